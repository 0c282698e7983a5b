// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks that are pulled and come back, under targets that hold for them: what is held is
 * kept and sent, what was sent is told truthfully, another disk is not taken for the
 * one that is gone, and who waits does so within the limits of the policy.
 */
#include <endian.h>
#include <sys/mount.h>

#include "fixture.h"
#include "gates.h"
#include "host.h"
#include "removing.h"

#define SPAN		(2 * MIB)
#define WRITTEN		(12 * MIB)	/* others look at what is before it */
#define BLOCK		4096
#define NR_HELD		16
#define HOLD_MS		60000

/* As in include/linux/iotarget.h. */
#define POLICY_HOLD	0x1
#define POLICY_LOSSY	0x2

FIXTURE(back) {
	struct plugged disk;
	char path[DEVICE_PATH];		/* it had at first */
	int fd;
};

FIXTURE_VARIANT(back) {
	const char *id;
	bool late;		/* it answers with errors before it is known to be gone */
};

FIXTURE_VARIANT_ADD(back, usb_storage) { "usb1" };
FIXTURE_VARIANT_ADD(back, usb_uas) { "uas0" };
FIXTURE_VARIANT_ADD(back, nvme) { "nvme1" };
FIXTURE_VARIANT_ADD(back, virtio_scsi) { "vscsi0", true };

static int set_policy(int fd, unsigned int flags, unsigned int hold_ms,
		      uint64_t hold_bytes)
{
	struct iotarget_test_policy arg = {
		.flags = flags, .hold_ms = hold_ms, .hold_bytes = hold_bytes,
	};

	return target_call(fd, IOTARGET_TEST_IOC_POLICY, &arg,
			   "iotarget_set_policy", 0);
}

static int accept_loss(int fd)
{
	struct iotarget_test_policy arg = {
		.bits = IOTARGET_TEST_ACCEPT_LOSS,
	};

	return target_call(fd, IOTARGET_TEST_IOC_POLICY, &arg,
			   "iotarget_accept_loss", 0);
}

static struct iotarget_test_info info_of(int fd)
{
	struct iotarget_test_info info = { };

	target_info(fd, &info);
	return info;
}

static bool becomes_away(int fd, bool away)
{
	const uint64_t until = now_ms() + slow(GONE_MS);

	while (info_of(fd).away != away) {
		if (now_ms() > until)
			return false;
		sleep_ms(5);
	}
	return true;
}

static int reopen_with(int fd, const char *path, unsigned int flags,
		       unsigned int hold_ms, uint64_t hold_bytes)
{
	int ret = target_close(fd, LONG_MS, NULL);

	ret = ret ?: set_policy(fd, flags, hold_ms, hold_bytes);
	return ret ?: target_open(fd, path, ACCESS_BOTH, SHARE_BOTH);
}

FIXTURE_SETUP(back)
{
	const char *why = host_pulls(variant->id);

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (why)
		SKIP(return, "%s: %s", variant->id, why);
	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	snprintf(self->path, sizeof(self->path), "%s", self->disk.path);
	self->fd = target_new("return-test", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, set_policy(self->fd, POLICY_HOLD, HOLD_MS, 0));
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
}

FIXTURE_TEARDOWN(back)
{
	struct iotarget_test_info info;

	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	if (disk_there(&self->disk))
		EXPECT_EQ(0, disk_pull(&self->disk));
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(0, info.sent + info.pended + info.closing + info.held_bytes);
	EXPECT_EQ(0, target_delete(self->fd, LONG_MS, NULL));
	close(self->fd);
	ON_TIME();
}

static int pull(struct plugged *disk)
{
	return disk_pull(disk) ?: disk_wait_gone(disk, slow(GONE_MS));
}

static int send_writes(int fd, unsigned int count)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < count && !ret; i++)
		ret = request_write(fd, i, WRITTEN + i * BLOCK, BLOCK) ?:
		      request_send(fd, i, 0, 0);
	return ret;
}

static unsigned int still_held(int fd, unsigned int count)
{
	unsigned int i, held = 0;

	for (i = 0; i < count; i++)
		held += !request_query(fd, i).callbacks;
	return held;
}

/* Each called back, once, as it should. */
static void check_all(struct __test_metadata *_metadata, int fd,
		      unsigned int count, int status, unsigned int outcome)
{
	struct iotarget_test_query query;
	unsigned int i;

	for (i = 0; i < count; i++) {
		EXPECT_EQ(0, request_called_back(fd, i, 1, slow(LONG_MS)))
			TH_LOG("request %u", i);
		query = request_query(fd, i);
		EXPECT_EQ(1, query.callbacks);
		EXPECT_EQ(status, query.status) TH_LOG("request %u", i);
		EXPECT_EQ(outcome, query.outcome) TH_LOG("request %u", i);
	}
}

/* What is held while it is away is written when it is back, by whatever name. */
TEST_F_TIMEOUT(back, held_is_sent_when_it_is_back, 60)
{
	struct iotarget_test_transfer out;
	struct iotarget_test_info info;
	unsigned int i;

	ASSERT_EQ(0, pull(&self->disk));
	ASSERT_TRUE(becomes_away(self->fd, true));
	EXPECT_EQ(STOPPED, target_state(self->fd));
	ASSERT_EQ(0, send_writes(self->fd, NR_HELD));
	info = info_of(self->fd);
	EXPECT_EQ(NR_HELD, info.pended);
	EXPECT_EQ(NR_HELD * BLOCK, info.held_bytes);
	EXPECT_EQ(-ETIMEDOUT, target_read(self->fd, 0, BLOCK, 100, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
	EXPECT_EQ(NR_HELD, still_held(self->fd, NR_HELD));

	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	ASSERT_TRUE(becomes_away(self->fd, false));
	check_all(_metadata, self->fd, NR_HELD, 0, DONE);
	EXPECT_EQ(STARTED, target_state(self->fd));
	EXPECT_EQ(0, info_of(self->fd).held_bytes);
	for (i = 0; i < NR_HELD; i++) {
		EXPECT_EQ(0, target_read(self->fd, WRITTEN + i * BLOCK, BLOCK,
					 LONG_MS, &out));
		EXPECT_EQ(0, out.wrong) TH_LOG("block %u", i);
	}
	EXPECT_TRUE(removal_hears(self->fd, 1, slow(1000)));
	EXPECT_EQ(IOTARGET_TEST_RETURNED, removal_told(self->fd).told[0].kind);
	EXPECT_EQ(1, removal_told(self->fd).nr);
}

/* Under load: an error for what was in flight, and for nothing else. */
TEST_F_TIMEOUT(back, under_load, 90)
{
	struct iotarget_test_load_start load = {
		.threads = 4, .depth = 16, .write_percent = 30,
		.min_len = BLOCK, .max_len = 8 * BLOCK, .span = SPAN,
		.bits = IOTARGET_TEST_LOAD_VERIFY,
	};
	struct iotarget_test_load_stop books;
	unsigned int round;

	/* Known is what it had when it was opened, and what the target wrote. */
	ASSERT_EQ(0, device_fill(self->path, 0, SPAN, SEED));
	ASSERT_EQ(0, reopen_with(self->fd, self->path, POLICY_HOLD, HOLD_MS, 0));
	ASSERT_EQ(0, load_start(self->fd, &load));
	for (round = 0; round < 3; round++) {
		ASSERT_TRUE(load_runs(self->fd, 100));
		ASSERT_EQ(0, pull(&self->disk));
		ASSERT_TRUE(becomes_away(self->fd, true));
		ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
		ASSERT_TRUE(becomes_away(self->fd, false));
	}
	ASSERT_TRUE(load_runs(self->fd, 100));
	ASSERT_EQ(0, load_stop(self->fd, slow(LONG_MS), &books));
	load_show(&books);
	EXPECT_EQ(books.accepted, books.callbacks);
	EXPECT_EQ(0, books.lost + books.doubles + books.uninvited);
	EXPECT_EQ(0, books.inconsistent + books.wrong_data);
	EXPECT_EQ(0, books.never_sent);
	EXPECT_EQ(0, books.refused) TH_LOG("%lld", (long long)books.last_refusal);
	if (!variant->late)
		EXPECT_GE(3 * 64, books.unknown + books.failed);
	EXPECT_EQ(0, device_wrong(self->disk.path, 0, SPAN, SEED));
}

/* Who has stopped it has it stopped, and a start that comes meanwhile counts. */
TEST_F_TIMEOUT(back, stopped_stays_stopped, 60)
{
	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, send_writes(self->fd, 2));
	ASSERT_EQ(0, pull(&self->disk));
	ASSERT_TRUE(becomes_away(self->fd, true));
	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	ASSERT_TRUE(becomes_away(self->fd, false));
	EXPECT_EQ(STOPPED, target_state(self->fd));
	EXPECT_EQ(2, still_held(self->fd, 2));

	ASSERT_EQ(0, pull(&self->disk));
	ASSERT_TRUE(becomes_away(self->fd, true));
	EXPECT_EQ(0, target_start(self->fd));
	EXPECT_EQ(STOPPED, target_state(self->fd));
	EXPECT_EQ(2, still_held(self->fd, 2));
	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	check_all(_metadata, self->fd, 2, 0, DONE);
	EXPECT_EQ(STARTED, target_state(self->fd));
}

/* Nobody waits for longer than the policy says. */
TEST_F_TIMEOUT(back, not_in_time, 60)
{
	uint64_t began;

	ASSERT_EQ(0, reopen_with(self->fd, self->path, POLICY_HOLD, 2000, 0));
	ASSERT_EQ(0, removal_set(self->fd, 0, 0, 0));
	began = now_ms();
	ASSERT_EQ(0, pull(&self->disk));
	ASSERT_TRUE(becomes_away(self->fd, true));
	ASSERT_EQ(0, send_writes(self->fd, NR_HELD));
	EXPECT_EQ(0, removal_told(self->fd).nr);
	check_all(_metadata, self->fd, NR_HELD, -ENODEV, NEVER_SENT);
	EXPECT_LE(2000, now_ms() - began);
	EXPECT_TRUE(removal_hears(self->fd, 1, slow(2000)));
	EXPECT_EQ(TOLD_COMPLETE, removal_told(self->fd).told[0].kind);
	EXPECT_EQ(PURGED, target_state(self->fd));
	EXPECT_EQ(0, info_of(self->fd).away);
	/* It is back too late: nobody takes it. */
	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	EXPECT_EQ(0, target_start(self->fd));
	EXPECT_EQ(-ENODEV, target_read(self->fd, 0, BLOCK, LONG_MS, NULL));
}

/* Nor is more held than it says. */
TEST_F_TIMEOUT(back, no_more_than_so_much, 60)
{
	ASSERT_EQ(0, reopen_with(self->fd, self->path, POLICY_HOLD, HOLD_MS,
				 4 * BLOCK));
	ASSERT_EQ(0, pull(&self->disk));
	ASSERT_TRUE(becomes_away(self->fd, true));
	ASSERT_EQ(0, send_writes(self->fd, 4));
	ASSERT_EQ(0, request_write(self->fd, 4, WRITTEN, BLOCK));
	EXPECT_EQ(-ENOBUFS, request_send(self->fd, 4, 0, 0));
	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	check_all(_metadata, self->fd, 4, 0, DONE);
	EXPECT_EQ(0, request_query(self->fd, 4).callbacks);
}

/* Nor for longer, or more, than it says by now. */
TEST_F_TIMEOUT(back, another_policy_meanwhile, 60)
{
	ASSERT_EQ(0, reopen_with(self->fd, self->path, POLICY_HOLD, HOLD_MS,
				 4 * BLOCK));
	ASSERT_EQ(0, removal_set(self->fd, 0, 0, 0));
	ASSERT_EQ(0, pull(&self->disk));
	ASSERT_TRUE(becomes_away(self->fd, true));
	ASSERT_EQ(0, send_writes(self->fd, 4));
	ASSERT_EQ(0, request_write(self->fd, 4, WRITTEN, BLOCK));
	EXPECT_EQ(-ENOBUFS, request_send(self->fd, 4, 0, 0));
	EXPECT_EQ(0, set_policy(self->fd, POLICY_HOLD, HOLD_MS, 5 * BLOCK));
	EXPECT_EQ(0, request_send(self->fd, 4, 0, 0));
	/* What is held already is not too much. */
	EXPECT_EQ(0, set_policy(self->fd, POLICY_HOLD, HOLD_MS, BLOCK));
	EXPECT_EQ(5, still_held(self->fd, 5));
	EXPECT_EQ(-EINVAL, set_policy(self->fd, 0x80, HOLD_MS, 0));
	EXPECT_EQ(5, still_held(self->fd, 5));
	EXPECT_EQ(0, set_policy(self->fd, 0, 0, 0));
	check_all(_metadata, self->fd, 5, -ENODEV, NEVER_SENT);
	EXPECT_TRUE(removal_hears(self->fd, 1, slow(2000)));
	EXPECT_EQ(TOLD_COMPLETE, removal_told(self->fd).told[0].kind);
}

/* An open target can hold if it is known what it had. */
TEST_F(back, one_that_is_open_may_be_told_to_hold)
{
	ASSERT_EQ(0, set_policy(self->fd, 0, 0, 0));
	ASSERT_EQ(0, set_policy(self->fd, POLICY_HOLD, HOLD_MS, 0));
	ASSERT_EQ(0, reopen_with(self->fd, self->path, 0, 0, 0));
	EXPECT_EQ(-EBUSY, set_policy(self->fd, POLICY_HOLD, HOLD_MS, 0));
	EXPECT_EQ(0, set_policy(self->fd, POLICY_LOSSY, HOLD_MS, 0));
	ASSERT_EQ(0, pull(&self->disk));
	EXPECT_TRUE(removal_hears(self->fd, 1, slow(GONE_MS)));
	EXPECT_EQ(0, info_of(self->fd).away);
}

/* Its owner can give it up at any time. */
TEST_F_TIMEOUT(back, given_up_while_it_is_away, 60)
{
	ASSERT_EQ(0, pull(&self->disk));
	ASSERT_TRUE(becomes_away(self->fd, true));
	ASSERT_EQ(0, send_writes(self->fd, NR_HELD));
	ASSERT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, LONG_MS, NULL));
	check_all(_metadata, self->fd, NR_HELD, -ENODEV, NEVER_SENT);
	/* Started again, it holds again. */
	EXPECT_EQ(0, target_start(self->fd));
	ASSERT_EQ(0, request_do(self->fd, 0, IOTARGET_TEST_REQUEST_REUSE, 0));
	ASSERT_EQ(0, request_write(self->fd, 0, WRITTEN, BLOCK));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(1, still_held(self->fd, 1));
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, 0).outcome);
	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	EXPECT_EQ(CLOSED, target_state(self->fd));
	EXPECT_EQ(0, target_open(self->fd, self->disk.path, ACCESS_BOTH,
				 SHARE_BOTH));
}

/* What the device had in its cache may be lost, and no flush says otherwise. */
TEST_F_TIMEOUT(back, loss_is_not_hidden, 60)
{
	struct iotarget_test_transfer out;
	struct iotarget_test_info info;

	ASSERT_EQ(0, target_info(self->fd, &info));
	if (!info.write_cache)
		SKIP(return, "the disk claims no cache");
	EXPECT_EQ(0, info.at_risk);
	ASSERT_EQ(0, target_write(self->fd, WRITTEN, 2 * BLOCK, LONG_MS, NULL));
	EXPECT_EQ(2 * BLOCK, info_of(self->fd).at_risk);
	ASSERT_EQ(0, target_flush(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, info_of(self->fd).at_risk);
	ASSERT_EQ(0, target_write(self->fd, WRITTEN, 3 * BLOCK, LONG_MS, NULL));
	EXPECT_EQ(3 * BLOCK, info_of(self->fd).at_risk);

	ASSERT_EQ(0, pull(&self->disk));
	ASSERT_TRUE(becomes_away(self->fd, true));
	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	ASSERT_TRUE(becomes_away(self->fd, false));
	EXPECT_EQ(3 * BLOCK, info_of(self->fd).lost);
	ASSERT_EQ(0, target_write(self->fd, WRITTEN, BLOCK, LONG_MS, NULL));
	EXPECT_EQ(-EIO, target_flush(self->fd, LONG_MS, &out));
	EXPECT_EQ(UNKNOWN, out.outcome);
	EXPECT_EQ(-EIO, target_flush(self->fd, LONG_MS, &out));
	EXPECT_EQ(0, accept_loss(self->fd));
	EXPECT_EQ(0, target_flush(self->fd, LONG_MS, &out));
	EXPECT_EQ(0, info_of(self->fd).at_risk);

	/* Who says that it does not matter is believed. */
	ASSERT_EQ(0, reopen_with(self->fd, self->disk.path,
				 POLICY_HOLD | POLICY_LOSSY, HOLD_MS, 0));
	ASSERT_EQ(0, target_write(self->fd, WRITTEN, BLOCK, LONG_MS, NULL));
	ASSERT_EQ(0, pull(&self->disk));
	ASSERT_TRUE(becomes_away(self->fd, true));
	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	ASSERT_TRUE(becomes_away(self->fd, false));
	EXPECT_EQ(0, info_of(self->fd).lost);
	EXPECT_EQ(0, target_flush(self->fd, LONG_MS, NULL));
}

/* -- others ----------------------------------------------------------------- */

#define EDGE		(64 << 10)	/* at both ends, that are compared */
#define STICK		(16 * MIB)

FIXTURE(stranger) {
	struct plugged disk;
	int fd, log;
};

FIXTURE_VARIANT(stranger) {
	const char *id;		/* says it is usb1 */
	const char *why;
	bool alike;		/* but for the partition table */
};

FIXTURE_VARIANT_ADD(stranger, contents) {
	"usb1x", "another contents at its beginning" };
FIXTURE_VARIANT_ADD(stranger, smaller) { "usb1s", "another size" };
FIXTURE_VARIANT_ADD(stranger, partition_table) {
	"usb1y", "another contents at its beginning", true };

/* One partition, from there on; and the rest of the sector as it was filled. */
static int write_table(const char *path, uint32_t start)
{
	uint8_t sector[SECTOR], *entry = sector + 446;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (pread(fd, sector, SECTOR, 0) != SECTOR)
		ret = -EIO;
	memset(entry, 0, 64);
	entry[4] = 0x83;
	*(uint32_t *)(entry + 8) = htole32(start);
	*(uint32_t *)(entry + 12) = htole32(2048);
	sector[510] = 0x55;
	sector[511] = 0xaa;
	if (!ret && (pwrite(fd, sector, SECTOR, 0) != SECTOR || fsync(fd)))
		ret = -EIO;
	close(fd);
	return ret;
}

/* What any test has left at its ends is written over: so two of them are alike. */
static int fill_edges(const char *path)
{
	return device_fill(path, 0, EDGE, SEED) ?:
	       device_fill(path, STICK - EDGE, EDGE, SEED);
}

/* One that says it is usb1 is made like that, and pulled. */
static int make_alike(const char *id, uint32_t start)
{
	struct plugged twin;
	int ret = disk_plug_as(&twin, "usb1", id);

	if (ret)
		return ret;
	ret = fill_edges(twin.path);
	if (!ret && start)
		ret = write_table(twin.path, start);
	return host_ask("unplug", id) ?:
	       disk_wait_gone(&twin, slow(GONE_MS)) ?: ret;
}

/* The target holds for usb1, which is gone, and has two writes for it. */
static void lose_usb1(struct __test_metadata *_metadata,
		      struct _test_data_stranger *self)
{
	self->fd = target_new("return-stranger", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, set_policy(self->fd, POLICY_HOLD | POLICY_LOSSY, HOLD_MS,
				0));
	ASSERT_EQ(0, target_open(self->fd, self->disk.path, ACCESS_BOTH,
				 SHARE_BOTH));
	ASSERT_EQ(0, pull(&self->disk));
	ASSERT_TRUE(becomes_away(self->fd, true));
	ASSERT_EQ(0, send_writes(self->fd, 2));
	self->log = log_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_SETUP(stranger)
{
	const char *why = host_pulls("usb1") ?: host_has(variant->id);

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (why)
		SKIP(return, "%s: %s", variant->id, why);
	if (variant->alike)
		ASSERT_EQ(0, make_alike(variant->id, 4096));
	ASSERT_EQ(0, host_ask("note", variant->id));
	ASSERT_EQ(0, disk_plug(&self->disk, "usb1"));
	if (variant->alike) {
		ASSERT_EQ(0, fill_edges(self->disk.path));
		ASSERT_EQ(0, write_table(self->disk.path, 8192));
	}
	lose_usb1(_metadata, self);
}

FIXTURE_TEARDOWN(stranger)
{
	close(self->log);
	if (variant->alike)
		EXPECT_EQ(0, fill_edges(self->disk.path));
	host_ask("unplug", "usb1");
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	EXPECT_EQ(0, target_delete(self->fd, LONG_MS, NULL));
	close(self->fd);
	ON_TIME();
}

/* Refused, with nothing written to it, and the log says why; then the right one comes. */
TEST_F_TIMEOUT(stranger, is_refused, 60)
{
	struct plugged other = { .id = "usb1" };

	ASSERT_EQ(0, host_ask("plug", variant->id));
	EXPECT_TRUE(log_says(self->log, "return-stranger", variant->why,
			     slow(GONE_MS)));
	EXPECT_TRUE(disk_find(&other));
	EXPECT_EQ(1, info_of(self->fd).away);
	EXPECT_EQ(2, still_held(self->fd, 2));
	EXPECT_EQ(0, host_ask("unplug", variant->id));
	EXPECT_EQ(0, disk_wait_gone(&other, slow(GONE_MS)));
	EXPECT_EQ(0, host_ask("same", variant->id));
	ASSERT_EQ(0, disk_plug(&self->disk, "usb1"));
	check_all(_metadata, self->fd, 2, 0, DONE);
}

/* Of the driver that the sticks have: a stick is read before it becomes a disk. */
#define SILENT		"vscsi0"

FIXTURE(twins) {
	struct _test_data_stranger stranger;
};

FIXTURE_VARIANT(twins) {
	const char *pulled, *taken;
};

FIXTURE_VARIANT_ADD(twins, the_other_goes) { "usb1y", "usb1" };
FIXTURE_VARIANT_ADD(twins, the_lost_one_goes) { "usb1", "usb1y" };

FIXTURE_SETUP(twins)
{
	struct _test_data_stranger *s = &self->stranger;
	const char *why = host_pulls("usb1") ?: host_has("usb1y") ?:
			  host_has(SILENT);

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (why)
		SKIP(return, "two of usb1, and " SILENT ": %s", why);
	ASSERT_EQ(0, make_alike("usb1y", 0));
	ASSERT_EQ(0, disk_plug(&s->disk, "usb1"));
	ASSERT_EQ(0, fill_edges(s->disk.path));
	lose_usb1(_metadata, s);
}

FIXTURE_TEARDOWN(twins)
{
	struct _test_data_stranger *s = &self->stranger;

	close(s->log);
	EXPECT_EQ(0, target_delete(s->fd, LONG_MS, NULL));
	close(s->fd);
	EXPECT_EQ(0, host_ask("unplug", variant->taken));
	ON_TIME();
}

/*
 * The lost one and another of the same serial number and contents, both at once: who
 * knows which?  Neither is taken, until one of them is gone again.  So that neither is
 * seen before the other, the search is kept by a disk that came before them and does not
 * answer.
 */
TEST_F_TIMEOUT(twins, are_not_told_apart, 90)
{
	struct _test_data_stranger *s = &self->stranger;
	unsigned int i;

	ASSERT_EQ(0, host_ask("note", "usb1"));
	ASSERT_EQ(0, host_ask("note", "usb1y"));
	ASSERT_EQ(0, host_ask("plug", SILENT " stalled"));
	EXPECT_TRUE(disks_enter(SILENT, 1));
	EXPECT_EQ(0, host_ask("plug", "usb1"));
	EXPECT_EQ(0, host_ask("plug", "usb1y"));
	EXPECT_TRUE(disks_enter("usb1", 2));
	EXPECT_EQ(0, host_ask("resume", SILENT));
	/* Who looks again has not taken one after the first look. */
	for (i = 0; i < 2; i++)
		EXPECT_TRUE(log_says(s->log, "return-stranger",
				     "2 disks are the device that is gone",
				     slow(GONE_MS)));
	EXPECT_EQ(1, info_of(s->fd).away);
	EXPECT_EQ(2, still_held(s->fd, 2));
	EXPECT_EQ(0, host_ask("same", "usb1"));
	EXPECT_EQ(0, host_ask("same", "usb1y"));

	EXPECT_EQ(0, host_ask("unplug", variant->pulled));
	check_all(_metadata, s->fd, 2, 0, DONE);
	EXPECT_EQ(STARTED, target_state(s->fd));
	for (i = 0; i < 2; i++) {
		struct iotarget_test_transfer out;

		EXPECT_EQ(0, target_read(s->fd, WRITTEN + i * BLOCK, BLOCK,
					 LONG_MS, &out));
		EXPECT_EQ(0, out.wrong);
	}
	EXPECT_EQ(0, host_ask("same", variant->pulled));
	EXPECT_EQ(0, host_ask("unplug", SILENT));
}

/* -- a file system ---------------------------------------------------------- */

#define GATE		GATE_PREFIX "away"
#define FILE_LEN	(64 << 10)

FIXTURE(file_system) {
	struct plugged disk;
	char path[DEVICE_PATH];		/* of the gate */
	char where[64];			/* it is mounted */
	bool mounted;
};

FIXTURE_SETUP(file_system)
{
	const char *why = host_pulls("usb1");

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!gates_loaded())
		SKIP(return, "iogate is not loaded, or this is not root");
	if (why)
		SKIP(return, "usb1: %s", why);
	gates_cleanup();
	ASSERT_EQ(0, disk_plug(&self->disk, "usb1"));
	ASSERT_EQ(0, device_ext2(self->disk.path));
	ASSERT_EQ(0, gate_new(GATE));
	EXPECT_EQ(-ERANGE, gate_set(GATE, "hold_seconds", "86401"));
	EXPECT_EQ(-EINVAL, gate_set(GATE, "hold_bytes", "much"));
	ASSERT_EQ(0, gate_set(GATE, "hold_seconds", "60"));
	ASSERT_EQ(0, gate_set(GATE, "lossy", "1"));
	ASSERT_EQ(0, gate_on(GATE, self->disk.path, self->path));
	EXPECT_EQ(-EBUSY, gate_set(GATE, "lossy", "0"));
	snprintf(self->where, sizeof(self->where), "/tmp/iotarget-back-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->where));
	ASSERT_EQ(0, mount(self->path, self->where, "ext4", 0, NULL));
	self->mounted = true;
}

FIXTURE_TEARDOWN(file_system)
{
	if (self->mounted)
		umount2(self->where, MNT_DETACH);
	rmdir(self->where);
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_EQ(0, disk_pull(&self->disk));
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	gates_cleanup();
	ON_TIME();
}

/* Written, and on the disk. */
static int write_file(const char *where, char fill)
{
	char path[128], data[FILE_LEN];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s/%c", where, fill);
	fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	memset(data, fill, sizeof(data));
	if (write(fd, data, sizeof(data)) != sizeof(data) || fsync(fd))
		ret = -errno;
	close(fd);
	return ret;
}

/* Read from the disk, not from the cache. */
static int file_is(const char *where, char fill)
{
	char path[128], data[FILE_LEN];
	int fd, ret = 0;
	size_t i;

	snprintf(path, sizeof(path), "%s/%c", where, fill);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (read(fd, data, sizeof(data)) != sizeof(data))
		ret = -EIO;
	for (i = 0; !ret && i < sizeof(data); i++)
		ret = data[i] == fill ? 0 : -EILSEQ;
	close(fd);
	return ret;
}

static void *write_b(void *arg)
{
	const char *where = arg;

	return (void *)(long)write_file(where, 'b');
}

static bool gate_holds_some(void)
{
	const uint64_t until = now_ms() + slow(GONE_MS);
	uint64_t held = 0, sent;

	while (gate_inflight(GATE, &held, &sent) && !held) {
		if (now_ms() > until)
			return false;
		sleep_ms(5);
	}
	return held;
}

/* It is as if the disk had been slow. */
TEST_F_TIMEOUT(file_system, lives_through_a_pull, 60)
{
	pthread_t writer;
	void *ret;

	ASSERT_EQ(0, write_file(self->where, 'a'));
	ASSERT_EQ(0, pull(&self->disk));
	ASSERT_TRUE(gate_is_away(GATE, true, slow(GONE_MS)));
	ASSERT_EQ(0, pthread_create(&writer, NULL, write_b, self->where));
	EXPECT_TRUE(gate_holds_some());
	ASSERT_EQ(0, disk_plug(&self->disk, "usb1"));
	EXPECT_TRUE(gate_is_away(GATE, false, slow(GONE_MS)));
	ASSERT_EQ(0, pthread_join(writer, &ret));
	EXPECT_EQ(0, (long)ret);
	EXPECT_EQ(0, file_is(self->where, 'a'));
	EXPECT_EQ(0, file_is(self->where, 'b'));
	EXPECT_EQ(0, umount(self->where));
	self->mounted = false;
	/* The gate has the disk again, whatever its name. */
	EXPECT_EQ(-EBUSY, mount(self->disk.path, self->where, "ext4", 0, NULL) ?
			  -errno : 0);
}

TEST_HARNESS_MAIN
