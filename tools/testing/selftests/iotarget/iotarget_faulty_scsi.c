// SPDX-License-Identifier: GPL-2.0-only
/*
 * A SCSI disk that fails: one that is taken away in three ways, one that says
 * no to what it is asked, one that says nothing at all.
 *
 * What scsi_debug is told to do, it does to each command from then on, until it
 * is told otherwise.
 */
#include <glob.h>
#include <limits.h>

#include "faulty.h"
#include "fixture.h"

#define SPAN		(4 * MIB)
#define SHORT_MS	200
#define SENT		8
#define HELD		8
#define SLOW_NS		(2L * SHORT_MS * 1000000)
#define DRIVER		"/sys/bus/scsi/drivers/sd"

/* As in drivers/scsi/scsi_debug.c. */
#define OPT_MEDIUM_ERR		2
#define OPT_RECOVERED_ERR	8
#define OPT_TRANSPORT_ERR	16
#define OPT_DIF_ERR		32
#define OPT_MAC_TIMEOUT		128	/* reads and writes are ignored */
#define OPT_HOST_BUSY		0x8000

/* The 8 blocks that hold the first that can't be read. */
#define BAD_POS		(0x1230ULL * SECTOR)

struct disk {
	int fd;
	char path[DEVICE_PATH];
	long users;
};

/* No host; and scsi_debug does as it is told, slowly or not. */
static void no_disk(void)
{
	scsi_debug_set("every_nth", 0);
	scsi_debug_set("opts", 0);
	while (!access("/sys/bus/pseudo/drivers/scsi_debug/adapter0", F_OK) &&
	       !scsi_debug_set("add_host", -1))
		;
	scsi_debug_set("ndelay", 0);
}

/* NULL, or why there is none. */
static const char *disk_setup(struct disk *disk)
{
	disk->fd = -1;
	if (!module_loaded())
		return NO_MODULE;
	if (access("/sys/bus/pseudo/drivers/scsi_debug", F_OK))
		return "the kernel has no scsi_debug";
	no_disk();
	disk->users = module_users("scsi_debug");
	if (!got_device(disk->path, scsi_debug_disk()))
		return device_reason();
	return NULL;
}

static void disk_sysfs(const struct disk *disk, char *dir, size_t size)
{
	snprintf(dir, size, "/sys/block/%s/device", disk->path + 5);
}

static int disk_put(const struct disk *disk, const char *attr,
		    const char *value)
{
	char dir[DEVICE_PATH + 32];

	disk_sysfs(disk, dir, sizeof(dir));
	return sysfs_put(dir, attr, value);
}

/* Above the disk nobody is to hide an error by asking again. */
static int no_retries(const struct disk *disk)
{
	char pattern[DEVICE_PATH + 64];
	glob_t found = {};
	int ret = -ENOENT;

	disk_sysfs(disk, pattern, sizeof(pattern) - 32);
	strcat(pattern, "/scsi_disk/*");
	if (!glob(pattern, 0, NULL, &found))
		ret = sysfs_put(found.gl_pathv[0], "max_retries", "0");
	globfree(&found);
	return ret;
}

static bool gone(const struct disk *disk)
{
	char dir[DEVICE_PATH + 32];

	snprintf(dir, sizeof(dir), "/sys/block/%s", disk->path + 5);
	return access(dir, F_OK);
}

static int delete_disk(void *arg)
{
	return disk_put(arg, "delete", "1");
}

static int remove_host(void *unused)
{
	return scsi_debug_set("add_host", -1);
}

static int unbind_driver(void *arg)
{
	char dir[DEVICE_PATH + 32], real[PATH_MAX];

	disk_sysfs(arg, dir, sizeof(dir));
	if (!realpath(dir, real))
		return -errno;
	return sysfs_put(DRIVER, "unbind", strrchr(real, '/') + 1);
}

FIXTURE(scsi_gone) {
	struct disk disk;
};

FIXTURE_VARIANT(scsi_gone) {
	int (*remove)(void *arg);
};

FIXTURE_VARIANT_ADD(scsi_gone, deleted) { .remove = delete_disk };
FIXTURE_VARIANT_ADD(scsi_gone, host_removed) { .remove = remove_host };
FIXTURE_VARIANT_ADD(scsi_gone, unbound) { .remove = unbind_driver };

FIXTURE_SETUP(scsi_gone)
{
	const char *why = disk_setup(&self->disk);

	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(scsi_gone)
{
	if (self->disk.fd < 0)
		return;
	EXPECT_EQ(0, target_end(self->disk.fd));
	close(self->disk.fd);
	no_disk();
	EXPECT_EQ(self->disk.users, module_users("scsi_debug"));
	ON_TIME();
}

/* A host anew, and the target on its disk. */
static bool comes_back(struct disk *disk)
{
	no_disk();
	return got_device(disk->path, scsi_debug_disk()) &&
	       !target_open(disk->fd, disk->path, ACCESS_BOTH, SHARE_BOTH) &&
	       !target_read(disk->fd, 0, MIB, LONG_MS, NULL);
}

TEST_F_TIMEOUT(scsi_gone, under_load, 60)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct disk *disk = &self->disk;
	struct iotarget_test_load_stop books;
	struct iotarget_test_transfer out;
	struct meanwhile m;

	ASSERT_EQ(0, device_fill(disk->path, 0, SPAN, SEED));
	disk->fd = target_opened("faulty-scsi", disk->path);
	ASSERT_LE(0, disk->fd);
	ASSERT_EQ(0, load_start(disk->fd, &load));
	ASSERT_TRUE(load_runs(disk->fd, 200));
	ASSERT_EQ(0, meanwhile_begin(&m, variant->remove, disk));
	EXPECT_EQ(0, meanwhile_end(&m));
	EXPECT_GT(LONG_MS, m.ms);
	EXPECT_TRUE(gone(disk));
	EXPECT_EQ(-ENODEV, target_read(disk->fd, 0, 4096, LONG_MS, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
	ASSERT_EQ(0, load_stop(disk->fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	EXPECT_LT(0, books.done);
	EXPECT_EQ(0, books.failed);
	/* Who came when the gate was shut already, and nobody else. */
	EXPECT_LE(books.never_sent, books.removed);
	EXPECT_LT(0, books.refused);
	EXPECT_EQ(-ENODEV, books.last_refusal);
	EXPECT_EQ(0, target_close(disk->fd, LONG_MS, NULL));
	EXPECT_TRUE(comes_back(disk)) TH_LOG("%s", device_reason());
}

static int send_some(int fd, unsigned int first, unsigned int count)
{
	unsigned int i;
	int ret = 0;

	for (i = first; !ret && i < first + count; i++) {
		ret = i % 2 ? request_write(fd, i, i * 65536, 4096) :
			      request_read(fd, i, i * 65536, 4096);
		if (!ret)
			ret = request_send(fd, i, 0, 0);
	}
	return ret;
}

/*
 * Eight are in the disk, eight are held, and the disk is removed.  It still
 * answers what it has, and what is held is not sent any more.
 */
TEST_F_TIMEOUT(scsi_gone, with_known_requests, 60)
{
	struct iotarget_test_report report;
	struct disk *disk = &self->disk;
	struct iotarget_test_query query;
	struct meanwhile m;
	unsigned int i;

	disk->fd = target_opened("faulty-scsi", disk->path);
	ASSERT_LE(0, disk->fd);
	ASSERT_EQ(0, scsi_debug_set("ndelay", SLOW_NS));
	ASSERT_EQ(0, send_some(disk->fd, 0, SENT));
	ASSERT_EQ(0, target_stop(disk->fd, LEAVE_SENT_PENDING, 0, NULL));
	ASSERT_EQ(0, send_some(disk->fd, SENT, HELD));
	ASSERT_EQ(0, meanwhile_begin(&m, variant->remove, disk));
	EXPECT_EQ(-ETIMEDOUT, target_stop(disk->fd, WAIT_FOR_SENT,
					  SHORT_MS / 2, &report));
	/* A slow machine may have come so late that the first are back. */
	EXPECT_GE(SENT, report.sent);
	EXPECT_LE(1, report.sent);
	EXPECT_EQ(0, target_stop(disk->fd, WAIT_FOR_SENT, LONG_MS, &report));
	EXPECT_EQ(0, meanwhile_end(&m));
	EXPECT_GT(LONG_MS, m.ms);
	EXPECT_TRUE(gone(disk));
	EXPECT_EQ(0, target_close(disk->fd, LONG_MS, NULL));
	for (i = 0; i < SENT + HELD; i++) {
		query = request_query(disk->fd, i);
		EXPECT_EQ(1, query.callbacks) TH_LOG("request %u", i);
		EXPECT_EQ(i < SENT ? 0 : -ENODEV, query.status)
			TH_LOG("request %u: %d", i, query.status);
		EXPECT_EQ(i < SENT ? DONE : NEVER_SENT, query.outcome)
			TH_LOG("request %u", i);
	}
	EXPECT_TRUE(comes_back(disk)) TH_LOG("%s", device_reason());
}

/* The disk swallows what it gets and is then removed: nobody can tell. */
TEST_F_TIMEOUT(scsi_gone, while_it_is_silent, 60)
{
	struct iotarget_test_report report;
	struct disk *disk = &self->disk;
	struct iotarget_test_query query;
	struct iotarget_test_transfer out;
	struct meanwhile m;
	unsigned int i;

	ASSERT_EQ(0, no_retries(disk));
	ASSERT_EQ(0, disk_put(disk, "timeout", "2"));
	disk->fd = target_opened("faulty-scsi", disk->path);
	ASSERT_LE(0, disk->fd);
	ASSERT_EQ(0, scsi_debug_set("opts", OPT_MAC_TIMEOUT));
	ASSERT_EQ(0, scsi_debug_set("every_nth", 1));
	ASSERT_EQ(0, send_some(disk->fd, 0, SENT));
	EXPECT_EQ(-ETIMEDOUT, target_read(disk->fd, 0, 4096, SHORT_MS, &out));
	EXPECT_EQ(UNKNOWN, out.outcome);
	/* What it has swallowed it keeps; it is to answer its last flush. */
	ASSERT_EQ(0, scsi_debug_set("every_nth", 0));
	ASSERT_EQ(0, meanwhile_begin(&m, variant->remove, disk));
	EXPECT_EQ(-ETIMEDOUT, target_stop(disk->fd, CANCEL_SENT, SHORT_MS,
					  &report));
	EXPECT_EQ(SENT + 1, report.sent);
	EXPECT_EQ(-ETIMEDOUT, target_close(disk->fd, SHORT_MS / 2, &report));
	EXPECT_EQ(SENT + 1, report.sent);
	for (i = 0; i < SENT; i++) {
		ASSERT_EQ(0, request_called_back(disk->fd, i, 1, LONG_MS));
		query = request_query(disk->fd, i);
		EXPECT_GT(0, query.status) TH_LOG("request %u", i);
		EXPECT_EQ(UNKNOWN, query.outcome) TH_LOG("request %u", i);
		EXPECT_EQ(0, query.bytes);
	}
	EXPECT_EQ(0, meanwhile_end(&m));
	EXPECT_TRUE(gone(disk));
	EXPECT_EQ(0, target_close(disk->fd, LONG_MS, NULL));
	EXPECT_TRUE(comes_back(disk)) TH_LOG("%s", device_reason());
}

FIXTURE(scsi) {
	struct disk disk;
};

FIXTURE_SETUP(scsi)
{
	const char *why = disk_setup(&self->disk);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, device_fill(self->disk.path, 0, SPAN, SEED));
	self->disk.fd = target_opened("faulty-scsi", self->disk.path);
	ASSERT_LE(0, self->disk.fd);
}

FIXTURE_TEARDOWN(scsi)
{
	if (self->disk.fd < 0)
		return;
	scsi_debug_set("every_nth", 0);
	scsi_debug_set("opts", 0);
	EXPECT_EQ(0, target_end(self->disk.fd));
	close(self->disk.fd);
	no_disk();
	EXPECT_EQ(self->disk.users, module_users("scsi_debug"));
	ON_TIME();
}

/* Each error in turn: which of them is an answer? */
TEST_F(scsi, errors_and_outcomes)
{
	static const struct {
		const char	*what;
		long		opts;
		uint64_t	pos;
		int		status;
		unsigned int	outcome;
	} errors[] = {
		{ "unreadable", OPT_MEDIUM_ERR, BAD_POS, -ENODATA, DONE },
		{ "readable", OPT_MEDIUM_ERR, 0, 0, DONE },
		{ "recovered", OPT_RECOVERED_ERR, 0, 0, DONE },
		{ "protection", OPT_DIF_ERR, 0, -EILSEQ, DONE },
		{ "transport", OPT_TRANSPORT_ERR, 0, -EIO, UNKNOWN },
		{ "none", 0, BAD_POS, 0, DONE },
	};
	struct iotarget_test_query query;
	int fd = self->disk.fd;
	unsigned int i;

	ASSERT_EQ(0, no_retries(&self->disk));
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		ASSERT_EQ(0, scsi_debug_set("opts", errors[i].opts));
		ASSERT_EQ(0, scsi_debug_set("every_nth", 1));
		ASSERT_EQ(0, request_read(fd, 0, errors[i].pos, 4096));
		ASSERT_EQ(0, request_send(fd, 0, 0, 0));
		ASSERT_EQ(0, request_called_back(fd, 0, 1, LONG_MS));
		scsi_debug_set("every_nth", 0);
		query = request_query(fd, 0);
		EXPECT_EQ(errors[i].status, query.status)
			TH_LOG("%s", errors[i].what);
		EXPECT_EQ(errors[i].outcome, query.outcome)
			TH_LOG("%s", errors[i].what);
		EXPECT_EQ(query.status ? 0 : 4096, query.bytes)
			TH_LOG("%s", errors[i].what);
		EXPECT_TRUE(query.status || !query.wrong)
			TH_LOG("%s", errors[i].what);
	}
}

/* A long read ends where the disk can't read on, with what came before. */
TEST_F(scsi, long_read_over_a_bad_block)
{
	const uint64_t piece = 256 << 10, before = 2 * piece;
	struct iotarget_test_transfer out;
	uint64_t pos = BAD_POS / piece * piece - before;

	ASSERT_EQ(0, scsi_debug_set("opts", OPT_MEDIUM_ERR));
	EXPECT_EQ(-ENODATA, target_read(self->disk.fd, pos, MIB, LONG_MS,
					&out));
	EXPECT_EQ(DONE, out.outcome);
	EXPECT_EQ(before, out.bytes);
	/* Writing there is no problem to it. */
	EXPECT_EQ(0, target_write(self->disk.fd, pos, MIB, LONG_MS, &out));
	EXPECT_EQ(MIB, out.bytes);
}

TEST_F_TIMEOUT(scsi, bad_blocks_under_load, 60)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct iotarget_test_load_stop books;

	ASSERT_EQ(0, scsi_debug_set("opts", OPT_MEDIUM_ERR));
	load.pos = BAD_POS - 128 * 1024;
	load.span = 256 * 1024;
	ASSERT_EQ(0, load_start(self->disk.fd, &load));
	ASSERT_TRUE(load_runs(self->disk.fd, 500));
	ASSERT_EQ(0, load_stop(self->disk.fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	EXPECT_LT(0, books.failed);
	EXPECT_LT(0, books.done);
	EXPECT_EQ(0, books.unknown + books.never_sent + books.refused);
}

/* What is tried again below us is a success, whatever it took. */
TEST_F_TIMEOUT(scsi, retried_below_us_under_load, 60)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct iotarget_test_load_stop books;

	ASSERT_EQ(0, scsi_debug_set("opts", OPT_HOST_BUSY | OPT_TRANSPORT_ERR));
	ASSERT_EQ(0, scsi_debug_set("every_nth", 7));
	ASSERT_EQ(0, load_start(self->disk.fd, &load));
	ASSERT_TRUE(load_runs(self->disk.fd, 500));
	ASSERT_EQ(0, load_stop(self->disk.fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	EXPECT_EQ(books.callbacks, books.done);
}

/* And if it is not: some fail, and nobody knows more than that. */
TEST_F_TIMEOUT(scsi, transport_errors_under_load, 60)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct iotarget_test_load_stop books;

	ASSERT_EQ(0, no_retries(&self->disk));
	ASSERT_EQ(0, scsi_debug_set("opts", OPT_TRANSPORT_ERR));
	ASSERT_EQ(0, scsi_debug_set("every_nth", 7));
	ASSERT_EQ(0, load_start(self->disk.fd, &load));
	ASSERT_TRUE(load_runs(self->disk.fd, 500));
	ASSERT_EQ(0, load_stop(self->disk.fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	EXPECT_LT(0, books.unknown);
	EXPECT_LT(0, books.done);
	EXPECT_EQ(0, books.failed + books.never_sent + books.refused);
}

/*
 * The disk does not answer; the SCSI layer gives up on it after two seconds or
 * three.  Our calls do when they were told to.
 */
TEST_F_TIMEOUT(scsi, silent_for_a_while, 60)
{
	struct iotarget_test_transfer out = {
		.type = IOTARGET_TEST_READ, .len = 4096, .seed = SEED,
		.timeout_ms = SHORT_MS, .linger_ms = 3500,
	};
	struct iotarget_test_report report;
	struct iotarget_test_query query;
	int fd = self->disk.fd;
	unsigned int i;

	ASSERT_EQ(0, no_retries(&self->disk));
	ASSERT_EQ(0, disk_put(&self->disk, "timeout", "2"));
	ASSERT_EQ(0, scsi_debug_set("opts", OPT_MAC_TIMEOUT));
	ASSERT_EQ(0, scsi_debug_set("every_nth", 1));
	ASSERT_EQ(0, send_some(fd, 0, SENT));
	EXPECT_EQ(-ETIMEDOUT, target_transfer(fd, &out));
	EXPECT_EQ(UNKNOWN, out.outcome);
	EXPECT_EQ(0, out.touched + out.touched_late + out.overrun);
	for (i = 0; i < SENT; i++) {
		ASSERT_EQ(0, request_called_back(fd, i, 1, LONG_MS));
		query = request_query(fd, i);
		EXPECT_GT(0, query.status) TH_LOG("request %u", i);
		EXPECT_EQ(UNKNOWN, query.outcome) TH_LOG("request %u", i);
	}
	/*
	 * After answers as late as these, writeback throttling would let one
	 * write pass at a time and keep the senders of others in submit_bio();
	 * but these are not writeback.
	 */
	for (i = 0; i < SENT; i++) {
		ASSERT_EQ(0, request_write(fd, i, i * 65536, 4096));
		ASSERT_EQ(0, request_send(fd, i, 0, 0));
	}
	EXPECT_EQ(-ETIMEDOUT, target_purge(fd, PURGE_AND_WAIT, SHORT_MS,
					   &report));
	EXPECT_EQ(SENT, report.sent);
	EXPECT_EQ(-ETIMEDOUT, target_delete(fd, SHORT_MS, &report));
	EXPECT_EQ(SENT, report.sent);
	for (i = 0; i < SENT; i++) {
		ASSERT_EQ(0, request_called_back(fd, i, 1, LONG_MS));
		EXPECT_EQ(UNKNOWN, request_query(fd, i).outcome);
	}
}

TEST_HARNESS_MAIN
