// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk goes, and somebody waits: for a flush that it will not answer, for an owner who
 * thinks about whether it may go, for 64 owners, or for those of all disks of a device.
 * Nobody waits for longer than he said; each request comes back once, and says the
 * truth; and whoever took the disk away is through with it in the time that a removal
 * may be held up.
 *
 * Disks are pulled by the host where there is one, else they are the kernel's own.
 */
#include <glob.h>

#include "fixture.h"
#include "gates.h"
#include "removing.h"
#include "victim.h"

#define BLOCK		4096
#define GATE		GATE_PREFIX "w"
#define OVERRUN_MS	(NOTICE_MS + 3000)
#define THINK_MS	1500
#define SCSI_DEBUG	"/sys/bus/pseudo/drivers/scsi_debug"
#define NO_GATES	"iogate is not loaded, or this is not root"

#define TOLD_ALL (IOTARGET_TEST_QUERY_AGREES | IOTARGET_TEST_COMPLETE_CLOSES)

/* -- requests ------------------------------------------------------------------ */

/* Once, and with an outcome that fits the status. */
static void check_back(struct __test_metadata *_metadata, int fd,
		       unsigned int slot)
{
	struct iotarget_test_query query;

	EXPECT_EQ(0, request_called_back(fd, slot, 1, LONG_MS))
		TH_LOG("request %u", slot);
	query = request_query(fd, slot);
	EXPECT_EQ(1, query.callbacks);
	EXPECT_EQ(0, query.doubles);
	switch (query.outcome) {
	case DONE:
		EXPECT_EQ(0, query.status) TH_LOG("request %u", slot);
		break;
	case NEVER_SENT:
		EXPECT_EQ(-ENODEV, query.status) TH_LOG("request %u", slot);
		break;
	default:
		EXPECT_EQ(UNKNOWN, query.outcome) TH_LOG("request %u", slot);
		EXPECT_GT(0, query.status) TH_LOG("request %u", slot);
	}
}

static void check_held(struct __test_metadata *_metadata, int fd,
		       unsigned int slot)
{
	check_back(_metadata, fd, slot);
	EXPECT_EQ(NEVER_SENT, request_query(fd, slot).outcome)
		TH_LOG("request %u", slot);
}

static int send_write(int fd, unsigned int slot)
{
	return request_write(fd, slot, slot * BLOCK, BLOCK) ?:
	       request_send(fd, slot, 0, 0);
}

static void check_told(struct __test_metadata *_metadata, int fd, bool asked)
{
	const unsigned int late = slow(NOTICE_MS / 5);
	struct iotarget_test_removal told;

	EXPECT_TRUE(removal_hears(fd, 1 + asked, LONG_MS));
	told = removal_told(fd);
	EXPECT_EQ(1 + asked, told.nr);
	EXPECT_EQ(TOLD_COMPLETE, told.told[asked].kind);
	EXPECT_EQ(1, told.at_once);
	EXPECT_EQ(0, told.in_atomic);
	if (!asked)
		return;
	EXPECT_EQ(TOLD_QUERY, told.told[0].kind);
	EXPECT_EQ(1, told.told[0].forced);
	/* Whoever is told, he has all of the time that there is. */
	EXPECT_LE(NOTICE_MS, told.told[0].timeout_ms + late);
	EXPECT_GE(NOTICE_MS, told.told[0].timeout_ms);
}

/* -- a flush is in flight -------------------------------------------------------- */

#define LUN		"iott_lun"
#define LUN_SIZE	(32 * MIB)

static const struct nullb cached_disk = {
	.name = "iott_cached", .size_mb = 64, .cache_mb = 8,
};

/* A stick of this machine's own, whose far end does not answer a flush. */
FIXTURE(flush) {
	struct users users;
	char lower[DEVICE_PATH];
	char lun[DEVICE_PATH];
	char path[DEVICE_PATH];
	bool made;
	struct job pull;
};

static int pull_gadget(void *unused)
{
	return gadget_plug(false);
}

/* usb-storage does not ask whether it has a cache. */
static int says_it_has_a_cache(const char *path)
{
	char pattern[DEVICE_PATH + 64];
	glob_t found = {};
	int ret = -ENOENT;

	snprintf(pattern, sizeof(pattern), "/sys/block/%s/device/scsi_disk/*",
		 path + 5);
	if (!glob(pattern, 0, NULL, &found))
		ret = sysfs_put(found.gl_pathv[0], "cache_type",
				"temporary write back");
	globfree(&found);
	return ret;
}

FIXTURE_SETUP(flush)
{
	char linear[DEVICE_PATH + 16];

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->lower, nullb_make(&cached_disk)))
		SKIP(return, "%s", device_reason());
	if (!dm_has("linear"))
		SKIP(return, "the kernel has no device mapper");
	if (!gadget_possible())
		SKIP(return, "%s", device_reason());
	self->users = users_now();
	snprintf(linear, sizeof(linear), "%s 0", self->lower);
	ASSERT_TRUE(got_device(self->lun,
			       dm_make(LUN, "linear", linear, LUN_SIZE)))
		TH_LOG("%s", device_reason());
	self->made = true;
	ASSERT_TRUE(!!gadget_make(self->lun)) TH_LOG("%s", device_reason());
	ASSERT_EQ(0, gadget_plug(true));
	ASSERT_TRUE(got_device(self->path, gadget_disk(LONG_MS)));
	ASSERT_EQ(0, says_it_has_a_cache(self->path));
}

FIXTURE_TEARDOWN(flush)
{
	if (!self->made)
		return;
	dm_resume(LUN);
	gate_remove(GATE);
	EXPECT_EQ(0, gadget_remove());
	EXPECT_TRUE(gadget_gone(LONG_MS));
	/* The stick's file is closed a little after the stick is gone. */
	EXPECT_TRUE(dm_unused(LUN, LONG_MS));
	EXPECT_EQ(0, dm_remove(LUN));
	EXPECT_TRUE(nobody_stuck());
	EXPECT_TRUE(users_back(&self->users));
	ON_TIME();
}

/* The thread of the stick's far end waits for its own device. */
static bool flush_has_arrived(void)
{
	return gets_stuck("file-storage", LONG_MS);
}

struct flusher {
	int				fd;
	struct iotarget_test_transfer	out;
};

static int flush_and_wait(void *arg)
{
	struct flusher *f = arg;

	return target_flush(f->fd, LONG_MS, &f->out);
}

TEST_F_TIMEOUT(flush, of_a_target, 90)
{
	int fd = target_opened("waits-flush", self->path);
	struct flusher flusher = { .fd = fd };
	struct iotarget_test_transfer out;
	struct iotarget_test_report report;
	struct job job;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, target_write(fd, 0, BLOCK, LONG_MS, &out));
	ASSERT_EQ(0, dm_suspend(LUN));
	ASSERT_EQ(0, request_flush(fd, 0));
	ASSERT_EQ(0, request_send(fd, 0, 0, 0));
	ASSERT_TRUE(flush_has_arrived());
	ASSERT_EQ(0, job_begin(&job, "iotarget_flush of a disk that goes",
			       FOREVER, flush_and_wait, &flusher));
	EXPECT_EQ(-ETIMEDOUT, target_stop(fd, WAIT_FOR_SENT, 200, &report));
	EXPECT_LE(1, report.sent);
	ASSERT_EQ(0, send_write(fd, 1));
	ASSERT_EQ(0, job_begin(&self->pull, "pull", FOREVER, pull_gadget,
			       NULL));
	EXPECT_TRUE(over_within(&job, slow(KERNEL_MS)));
	EXPECT_GT(0, meanwhile_end(&job.m));
	EXPECT_NE(DONE, flusher.out.outcome);
	EXPECT_NE(OUTCOME_NONE, flusher.out.outcome);
	check_back(_metadata, fd, 0);
	EXPECT_EQ(UNKNOWN, request_query(fd, 0).outcome);
	check_held(_metadata, fd, 1);
	EXPECT_EQ(0, target_stop(fd, WAIT_FOR_SENT, LONG_MS, &report));
	EXPECT_EQ(0, report.sent);
	EXPECT_EQ(0, target_close(fd, slow(KERNEL_MS), NULL));
	EXPECT_TRUE(gadget_gone(slow(GONE_MS)));
	/* The far end waits for its device; nobody on this one did. */
	ASSERT_EQ(0, dm_resume(LUN));
	EXPECT_EQ(0, meanwhile_end(&self->pull.m));
	EXPECT_EQ(0, target_end(fd));
	close(fd);
}

static int sync_node(void *arg)
{
	return fsync(*(int *)arg) ? -errno : 0;
}

/* The same for one who knows nothing but a disk. */
TEST_F_TIMEOUT(flush, of_a_gate, 90)
{
	char node[DEVICE_PATH];
	struct job job;
	void *data;
	int fd;

	if (!gates_loaded())
		SKIP(return, NO_GATES);
	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_on(GATE, self->path, node));
	fd = open(node, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, posix_memalign(&data, BLOCK, BLOCK));
	memset(data, 1, BLOCK);
	ASSERT_EQ(BLOCK, pwrite(fd, data, BLOCK, 0));
	ASSERT_EQ(0, dm_suspend(LUN));
	ASSERT_EQ(0, job_begin(&job, "fsync of a gate whose disk goes", FOREVER,
			       sync_node, &fd));
	ASSERT_TRUE(flush_has_arrived());
	EXPECT_FALSE(is_over(&job));
	ASSERT_EQ(0, job_begin(&self->pull, "pull", FOREVER, pull_gadget,
			       NULL));
	EXPECT_TRUE(over_within(&job, slow(KERNEL_MS)));
	EXPECT_GT(0, meanwhile_end(&job.m));
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_TRUE(gadget_gone(slow(GONE_MS)));
	EXPECT_GT(0, pwrite(fd, data, BLOCK, 0));
	ASSERT_EQ(0, dm_resume(LUN));
	EXPECT_EQ(0, meanwhile_end(&self->pull.m));
	close(fd);
	free(data);
}

/* -- a query waits in an owner's callback ------------------------------------------ */

FIXTURE(query) {
	struct victim v;
	struct users users;
	int plain, owner;
	struct job asking;
	struct iotarget_test_consent answer;
};

FIXTURE_VARIANT(query) {
	const char *id;
	enum how how;
	bool live;		/* it still answers when it is to go */
};

FIXTURE_VARIANT_ADD(query, usb_pulled) { "usb1", DISK_PULLED };
FIXTURE_VARIANT_ADD(query, virtio_pulled) { "vblk0", DISK_PULLED, true };
FIXTURE_VARIANT_ADD(query, scsi_deleted) { NULL, DISK_DELETED };
FIXTURE_VARIANT_ADD(query, scsi_host_removed) { NULL, HOST_GOES, true };

FIXTURE_SETUP(query)
{
	const char *why = victim_lacks(variant->id, variant->how);

	self->plain = -1;
	if (why)
		SKIP(return, "%s", why);
	self->users = users_now();
	ASSERT_EQ(0, victim_make(&self->v, variant->id, variant->how));
	self->plain = target_with_defaults("waits-plain");
	ASSERT_LE(0, self->plain);
	ASSERT_EQ(0, target_open(self->plain, self->v.path, ACCESS_BOTH,
				 SHARE_BOTH));
	self->owner = target_opened("waits-owner", self->v.path);
	ASSERT_LE(0, self->owner);
}

FIXTURE_TEARDOWN(query)
{
	if (self->plain < 0)
		return;
	EXPECT_EQ(0, victim_end(&self->v));
	EXPECT_EQ(0, target_end(self->owner));
	EXPECT_EQ(0, target_end(self->plain));
	close(self->owner);
	close(self->plain);
	EXPECT_TRUE(nobody_stuck());
	EXPECT_TRUE(users_back(&self->users));
	ON_TIME();
}

static int ask(void *arg)
{
	struct _test_data_query *self = arg;

	return consent_ask(self->plain, &self->answer);
}

/* The owner thinks for longer than any removal waits for it. */
TEST_F_TIMEOUT(query, is_being_thought_about, 60)
{
	struct job going;
	int ret;

	ASSERT_EQ(0, removal_set(self->owner, IOTARGET_TEST_QUERY_CLOSES |
				 IOTARGET_TEST_COMPLETE_CLOSES, 0, OVERRUN_MS));
	ASSERT_EQ(0, target_stop(self->owner, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, send_write(self->owner, 0));
	self->answer.timeout_ms = OVERRUN_MS + LONG_MS;
	ASSERT_EQ(0, job_begin(&self->asking, "iotarget_query_remove", FOREVER,
			       ask, self));
	ASSERT_TRUE(removal_hears(self->owner, 1, LONG_MS));
	ASSERT_EQ(0, vanish_begin(&going, &self->v,
				  variant->live ? NOTICE_MS : 0));
	/* It is failed beside the callback, not after it. */
	check_held(_metadata, self->owner, 0);
	EXPECT_EQ(0, meanwhile_end(&going.m));
	/* Whatever the answer was: nothing can be done about it. */
	ret = meanwhile_end(&self->asking.m);
	printf("# asked: %d\n", ret);
	EXPECT_TRUE(becomes_state(self->owner, CLOSED, LONG_MS));
	EXPECT_TRUE(becomes_state(self->plain, CLOSED, LONG_MS));
	EXPECT_EQ(TOLD_COMPLETE, removal_told(self->owner)
		  .told[removal_told(self->owner).nr - 1].kind);
	EXPECT_EQ(1, removal_told(self->owner).at_once);
	if (!ret)
		EXPECT_EQ(0, consent_end(self->plain, LONG_MS));
}

/* -- many targets on one disk --------------------------------------------------------- */

#define NR_MANY		64

FIXTURE(many) {
	struct victim v;
	struct users users;
	int fd[NR_MANY];
};

FIXTURE_VARIANT(many) {
	const char *id;
	enum how how;
	bool live;
};

FIXTURE_VARIANT_ADD(many, usb_pulled) { "usb1", DISK_PULLED };
FIXTURE_VARIANT_ADD(many, virtio_pulled) { "vblk0", DISK_PULLED, true };
FIXTURE_VARIANT_ADD(many, scsi_deleted) { NULL, DISK_DELETED };
FIXTURE_VARIANT_ADD(many, scsi_host_removed) { NULL, HOST_GOES, true };

FIXTURE_SETUP(many)
{
	const char *why = victim_lacks(variant->id, variant->how);
	char name[32];
	int i;

	self->fd[0] = -1;
	if (why)
		SKIP(return, "%s", why);
	self->users = users_now();
	ASSERT_EQ(0, victim_make(&self->v, variant->id, variant->how));
	for (i = 0; i < NR_MANY; i++) {
		snprintf(name, sizeof(name), "waits-many-%d", i);
		self->fd[i] = target_opened(name, self->v.path);
		ASSERT_LE(0, self->fd[i]);
	}
}

FIXTURE_TEARDOWN(many)
{
	int i;

	if (self->fd[0] < 0)
		return;
	EXPECT_EQ(0, victim_end(&self->v));
	for (i = 0; i < NR_MANY; i++) {
		EXPECT_EQ(0, target_end(self->fd[i]));
		close(self->fd[i]);
	}
	EXPECT_TRUE(nobody_stuck());
	EXPECT_TRUE(users_back(&self->users));
	ON_TIME();
}

/* All hear of it, all have one request that was held and one that was sent. */
static void all_go(struct __test_metadata *_metadata,
		   struct _test_data_many *self, bool live, unsigned int think_ms)
{
	const unsigned int held_ms = think_ms < NOTICE_MS ? think_ms : NOTICE_MS;
	int i;

	for (i = 0; i < NR_MANY; i++) {
		ASSERT_EQ(0, removal_set(self->fd[i], TOLD_ALL, 0, think_ms));
		ASSERT_EQ(0, send_write(self->fd[i], 0));
		ASSERT_EQ(0, target_stop(self->fd[i], LEAVE_SENT_PENDING, 0,
					 NULL));
		ASSERT_EQ(0, send_write(self->fd[i], 1));
	}
	ASSERT_EQ(0, vanish_now(&self->v, live ? held_ms : 0));
	for (i = 0; i < NR_MANY; i++) {
		check_back(_metadata, self->fd[i], 0);
		check_held(_metadata, self->fd[i], 1);
		EXPECT_TRUE(becomes_state(self->fd[i], CLOSED, LONG_MS));
		check_told(_metadata, self->fd[i], live);
	}
}

/* One after the other they would take a minute and a half. */
TEST_F_TIMEOUT(many, think_at_the_same_time, 120)
{
	all_go(_metadata, self, variant->live, THINK_MS);
}

TEST_F_TIMEOUT(many, think_for_too_long, 120)
{
	if (!variant->live)
		SKIP(return, "of this removal nobody is told before it");
	all_go(_metadata, self, true, OVERRUN_MS);
}

/* -- several disks of one device ---------------------------------------------------- */

#define NR_LUNS		4

FIXTURE(luns) {
	struct users users;
	char path[NR_LUNS][DEVICE_PATH];
	int fd[NR_LUNS];
};

static unsigned int find_luns(char path[][DEVICE_PATH])
{
	glob_t found = {};
	unsigned int i;

	glob(SCSI_DEBUG "/adapter0/host*/target*/*:*/block/*", 0, NULL, &found);
	for (i = 0; i < found.gl_pathc && i < NR_LUNS; i++) {
		snprintf(path[i], DEVICE_PATH, "/dev/%s",
			 strrchr(found.gl_pathv[i], '/') + 1);
		if (!node_appears(path[i], 100) || device_size(path[i]) <= 0)
			break;
	}
	globfree(&found);
	return i;
}

FIXTURE_SETUP(luns)
{
	uint64_t until = now_ms() + LONG_MS;
	const char *why = victim_lacks(NULL, HOST_GOES);
	int i;

	self->fd[0] = -1;
	if (why)
		SKIP(return, "%s", why);
	no_scsi_debug();
	self->users = users_now();
	ASSERT_EQ(0, scsi_debug_set("max_luns", NR_LUNS));
	ASSERT_EQ(0, scsi_debug_set("add_host", 1));
	while (find_luns(self->path) < NR_LUNS && now_ms() < until)
		sleep_ms(20);
	ASSERT_EQ(NR_LUNS, find_luns(self->path));
	for (i = 0; i < NR_LUNS; i++) {
		self->fd[i] = target_opened("waits-lun", self->path[i]);
		ASSERT_LE(0, self->fd[i]);
	}
}

FIXTURE_TEARDOWN(luns)
{
	int i;

	if (self->fd[0] < 0)
		return;
	no_scsi_debug();
	for (i = 0; i < NR_LUNS; i++) {
		EXPECT_EQ(0, target_end(self->fd[i]));
		close(self->fd[i]);
	}
	EXPECT_TRUE(nobody_stuck());
	EXPECT_TRUE(users_back(&self->users));
	ON_TIME();
}

/* The driver core unbinds them one after the other, and they have one time. */
static void adapter_goes(struct __test_metadata *_metadata,
			 struct _test_data_luns *self, unsigned int think_ms)
{
	const unsigned int held_ms = think_ms < NOTICE_MS ? think_ms : NOTICE_MS;
	struct victim v = { .how = HOST_GOES };
	int i;

	for (i = 0; i < NR_LUNS; i++)
		ASSERT_EQ(0, removal_set(self->fd[i], TOLD_ALL, 0, think_ms));
	ASSERT_EQ(0, vanish_now(&v, held_ms));
	for (i = 0; i < NR_LUNS; i++) {
		EXPECT_TRUE(becomes_state(self->fd[i], CLOSED, LONG_MS));
		check_told(_metadata, self->fd[i], true);
	}
}

TEST_F_TIMEOUT(luns, think_at_the_same_time, 60)
{
	adapter_goes(_metadata, self, THINK_MS);
}

TEST_F_TIMEOUT(luns, think_for_too_long, 60)
{
	adapter_goes(_metadata, self, OVERRUN_MS);
}

TEST_HARNESS_MAIN
