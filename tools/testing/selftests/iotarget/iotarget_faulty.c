// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that fail, and that stay on this machine: a device mapper device that
 * is suspended, slow, or answers with errors, now and then or for ever; a disk
 * that loses its power, and with it its cache; a loop device whose file system
 * is full.
 *
 * Whatever they do, every request completes once and says the truth, calls come
 * back in time, and in the end nobody has the device open any more.
 */
#include "faulty.h"
#include "fixture.h"

#define SPAN		(8 * MIB)
#define DISK		(32 * MIB)
#define DM		"iott_dm"
#define SHORT_MS	200
#define ALL		(FAULTY_THREADS * FAULTY_DEPTH)

FIXTURE(dm) {
	int fd;
	char lower[DEVICE_PATH];
	char path[DEVICE_PATH];
	char linear[DEVICE_PATH + 16];
};

FIXTURE_SETUP(dm)
{
	self->fd = -1;
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->lower, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	snprintf(self->linear, sizeof(self->linear), "%s 0", self->lower);
	if (!dm_has("linear"))
		SKIP(return, "the kernel has no device mapper");
	ASSERT_TRUE(got_device(self->path,
			       dm_make(DM, "linear", self->linear, DISK)))
		TH_LOG("%s", device_reason());
	ASSERT_EQ(0, device_fill(self->path, 0, SPAN, SEED));
	self->fd = target_opened("faulty-dm", self->path);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(dm)
{
	if (self->fd < 0)
		return;
	/* Whatever a test that failed has left of it. */
	dm_swap(DM, "linear", self->linear, DISK);
	EXPECT_EQ(0, target_end(self->fd));
	close(self->fd);
	/* The device is released when that has returned, and not some day. */
	EXPECT_EQ(0, dm_open_count(DM));
	EXPECT_EQ(0, dm_remove(DM));
	ON_TIME();
}

/* The whole way: what is there can be read, through the target, unspoilt. */
static bool reads_well(int fd)
{
	struct iotarget_test_transfer out;

	return !target_read(fd, 0, MIB, LONG_MS, &out) && out.outcome == DONE &&
	       out.bytes == MIB && !out.wrong;
}

/*
 * A suspended device keeps what it has and what it gets.  No call waits for it
 * longer than it was told, and the target can be opened again beside that.
 */
TEST_F_TIMEOUT(dm, suspended_under_load, 60)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct iotarget_test_report report;
	struct iotarget_test_load_stop books;
	struct iotarget_test_transfer out;
	struct iotarget_test_info info;

	ASSERT_EQ(0, load_start(self->fd, &load));
	ASSERT_TRUE(load_runs(self->fd, 200));
	ASSERT_EQ(0, dm_suspend(DM));
	ASSERT_TRUE(load_is_stuck(self->fd));
	EXPECT_EQ(-ETIMEDOUT, target_stop(self->fd, WAIT_FOR_SENT, SHORT_MS,
					  &report));
	EXPECT_EQ(ALL, report.sent);
	EXPECT_EQ(-ETIMEDOUT, target_read(self->fd, 0, 4096, SHORT_MS, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
	EXPECT_EQ(0, target_purge(self->fd, PURGE_NO_WAIT, 0, NULL));
	EXPECT_EQ(0, target_start(self->fd));
	EXPECT_EQ(-ETIMEDOUT, target_read(self->fd, 0, 4096, SHORT_MS, &out));
	EXPECT_EQ(UNKNOWN, out.outcome);
	EXPECT_EQ(-ETIMEDOUT, target_purge(self->fd, PURGE_AND_WAIT, SHORT_MS,
					   &report));
	EXPECT_LT(ALL, report.sent);
	EXPECT_EQ(-ETIMEDOUT, target_close(self->fd, SHORT_MS, &report));
	EXPECT_LT(ALL, report.sent);
	EXPECT_EQ(-EBUSY, dm_remove(DM));
	ASSERT_EQ(0, target_reopen(self->fd));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(1, info.closing);
	EXPECT_EQ(2, dm_open_count(DM));
	ASSERT_EQ(0, dm_resume(DM));
	ASSERT_TRUE(load_runs(self->fd, 200));
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	EXPECT_EQ(0, books.unknown + books.failed + books.refused);
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, dm_open_count(DM));
}

TEST_F_TIMEOUT(dm, deleted_while_suspended, 60)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct iotarget_test_report report;
	struct iotarget_test_load_stop books;

	ASSERT_EQ(0, load_start(self->fd, &load));
	ASSERT_TRUE(load_runs(self->fd, 200));
	ASSERT_EQ(0, dm_suspend(DM));
	ASSERT_TRUE(load_is_stuck(self->fd));
	EXPECT_EQ(-ETIMEDOUT, target_delete(self->fd, SHORT_MS, &report));
	EXPECT_EQ(ALL, report.sent);
	EXPECT_EQ(DELETED, target_state(self->fd));
	EXPECT_EQ(1, dm_open_count(DM));
	ASSERT_EQ(0, dm_resume(DM));
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	EXPECT_EQ(books.callbacks, books.done);
}

/* From one request to the next the device has nothing but errors, and back. */
TEST_F_TIMEOUT(dm, swapped_to_errors_under_load, 60)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct iotarget_test_load_stop errors, books;
	struct iotarget_test_transfer out;
	struct iotarget_test_query query;

	ASSERT_EQ(0, load_start(self->fd, &load));
	ASSERT_TRUE(load_runs(self->fd, 200));
	ASSERT_EQ(0, dm_swap(DM, "error", "", DISK));
	ASSERT_TRUE(load_runs(self->fd, 200));
	EXPECT_EQ(-EIO, target_read(self->fd, 0, 4096, LONG_MS, &out));
	EXPECT_EQ(UNKNOWN, out.outcome);
	EXPECT_EQ(0, out.bytes);
	ASSERT_EQ(0, request_write(self->fd, 0, 0, 65536));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	ASSERT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	query = request_query(self->fd, 0);
	EXPECT_EQ(-EIO, query.status);
	EXPECT_EQ(UNKNOWN, query.outcome);
	EXPECT_EQ(0, query.bytes);
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, load_peek(self->fd, &errors));
	/* What the old table had when it went may be among the 200. */
	EXPECT_LE(200 - ALL, errors.unknown);
	ASSERT_EQ(0, dm_swap(DM, "linear", self->linear, DISK));
	ASSERT_EQ(0, target_start(self->fd));
	/* What was held meanwhile is none the worse for it. */
	ASSERT_TRUE(load_runs(self->fd, 200));
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	EXPECT_EQ(errors.unknown, books.unknown);
	EXPECT_EQ(0, books.failed + books.never_sent + books.refused);
	EXPECT_TRUE(reads_well(self->fd));
	EXPECT_EQ(0, device_wrong(self->lower, 0, SPAN, SEED));
}

/* Closed and reopened while it answers with errors, as one does in despair. */
TEST_F_TIMEOUT(dm, closed_and_reopened_on_errors, 60)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct iotarget_test_load_stop books;
	unsigned int i;

	ASSERT_EQ(0, load_start(self->fd, &load));
	ASSERT_EQ(0, dm_swap(DM, "error", "", DISK));
	for (i = 0; i < 10; i++) {
		ASSERT_TRUE(load_runs(self->fd, 20));
		ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
		EXPECT_EQ(0, dm_open_count(DM));
		ASSERT_EQ(0, target_reopen(self->fd));
	}
	ASSERT_EQ(0, dm_swap(DM, "linear", self->linear, DISK));
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	EXPECT_LT(0, books.unknown);
	EXPECT_TRUE(reads_well(self->fd));
}

/* F71: what the device has it has, until it answers. */
TEST_F(dm, late_answers)
{
	struct iotarget_test_transfer arg = {
		.type = IOTARGET_TEST_READ, .len = 65536, .seed = SEED,
		.timeout_ms = SHORT_MS, .linger_ms = SLOW_MS + 500,
	};
	struct iotarget_test_report report;
	struct iotarget_test_query query;
	char slow[DEVICE_PATH + 16];

	if (!dm_has("delay"))
		SKIP(return, "the kernel has no dm-delay");
	snprintf(slow, sizeof(slow), "%s 0 %u", self->lower, SLOW_MS);
	ASSERT_EQ(0, dm_swap(DM, "delay", slow, DISK));
	EXPECT_EQ(-ETIMEDOUT, target_transfer(self->fd, &arg));
	EXPECT_EQ(UNKNOWN, arg.outcome);
	/* It has answered by now, and not into the caller's memory. */
	EXPECT_EQ(0, arg.touched + arg.touched_late + arg.overrun);
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 65536));
	ASSERT_EQ(0, request_send(self->fd, 0, SEND_TIMEOUT, SHORT_MS));
	EXPECT_EQ(-ETIMEDOUT, target_stop(self->fd, CANCEL_SENT, 2 * SHORT_MS,
					  &report));
	EXPECT_EQ(1, report.sent);
	EXPECT_EQ(-ETIMEDOUT, target_close(self->fd, SHORT_MS, &report));
	EXPECT_EQ(1, report.sent);
	ASSERT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	query = request_query(self->fd, 0);
	EXPECT_EQ(0, query.status);
	EXPECT_EQ(DONE, query.outcome);
	EXPECT_EQ(0, query.wrong);
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, dm_open_count(DM));
}

/* One second it works, the next it does not. */
TEST_F_TIMEOUT(dm, flakey_under_load, 60)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct iotarget_test_load_stop books;
	char flakey[DEVICE_PATH + 16];

	if (!dm_has("flakey"))
		SKIP(return, "the kernel has no dm-flakey");
	snprintf(flakey, sizeof(flakey), "%s 0 1 1", self->lower);
	ASSERT_EQ(0, dm_swap(DM, "flakey", flakey, DISK));
	ASSERT_EQ(0, load_start(self->fd, &load));
	sleep_ms(2500);
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	EXPECT_LT(0, books.done);
	EXPECT_LT(0, books.unknown);
	EXPECT_EQ(0, books.failed + books.never_sent + books.refused);
}

TEST_F(dm, flakey_fails_writes_only)
{
	struct iotarget_test_transfer out;
	char flakey[DEVICE_PATH + 32];

	if (!dm_has("flakey"))
		SKIP(return, "the kernel has no dm-flakey");
	snprintf(flakey, sizeof(flakey), "%s 0 0 600 1 error_writes",
		 self->lower);
	ASSERT_EQ(0, dm_swap(DM, "flakey", flakey, DISK));
	EXPECT_TRUE(reads_well(self->fd));
	EXPECT_EQ(-EIO, target_write(self->fd, 0, MIB, LONG_MS, &out));
	EXPECT_EQ(UNKNOWN, out.outcome);
	EXPECT_EQ(0, out.bytes);
	EXPECT_TRUE(reads_well(self->fd));
}

/* What says that it did it is believed: "done" is what the device answered. */
TEST_F(dm, flakey_loses_writes)
{
	struct iotarget_test_transfer out;
	char flakey[DEVICE_PATH + 32];

	if (!dm_has("flakey"))
		SKIP(return, "the kernel has no dm-flakey");
	ASSERT_EQ(0, device_fill(self->lower, 0, 65536, SEED + 1));
	snprintf(flakey, sizeof(flakey), "%s 0 0 600 1 drop_writes",
		 self->lower);
	ASSERT_EQ(0, dm_swap(DM, "flakey", flakey, DISK));
	EXPECT_EQ(0, target_write(self->fd, 0, 65536, LONG_MS, &out));
	EXPECT_EQ(DONE, out.outcome);
	EXPECT_EQ(0, target_read(self->fd, 0, 65536, LONG_MS, &out));
	EXPECT_EQ(65536 / 8, out.wrong);
	EXPECT_EQ(0, device_wrong(self->lower, 0, 65536, SEED + 1));
}

FIXTURE(power) {
	int fd;
	char path[DEVICE_PATH];
	long users;
};

FIXTURE_VARIANT(power) {
	struct nullb disk;
};

FIXTURE_VARIANT_ADD(power, cache) {
	.disk = { .name = "iott_cache", .size_mb = 64, .cache_mb = 32 },
};

/* Answers in hard interrupts, a little later. */
FIXTURE_VARIANT_ADD(power, timer) {
	.disk = { .name = "iott_timer", .size_mb = 64, .delay_ms = 1,
		  .depth = 256, .cache_mb = 32 },
};

FIXTURE_SETUP(power)
{
	self->fd = -1;
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	self->users = module_users("null_blk");
	if (!got_device(self->path, nullb_make(&variant->disk)))
		SKIP(return, "%s", device_reason());
	self->fd = target_opened("faulty-power", self->path);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(power)
{
	if (self->fd < 0)
		return;
	EXPECT_EQ(0, target_end(self->fd));
	close(self->fd);
	EXPECT_EQ(0, nullb_remove(variant->disk.name));
	EXPECT_EQ(self->users, module_users("null_blk"));
	ON_TIME();
}

static int power_off(void *name)
{
	return nullb_power(name, false);
}

static int write_through(int fd, uint64_t pos)
{
	struct iotarget_test_format arg = {
		.type = IOTARGET_TEST_WRITE, .pos = pos, .size = 65536,
		.memory = IOTARGET_TEST_MEM_KMALLOC, .seed = SEED,
		.bits = IOTARGET_TEST_FUA,
	};
	int ret = request_format(fd, &arg);

	if (!ret)
		ret = request_send(fd, 0, 0, 0);
	return ret ?: request_called_back(fd, 0, 1, LONG_MS);
}

/*
 * "Done" says that the device has it, not that it will keep it.  What was
 * flushed is kept, and what was written past the cache.
 */
TEST_F(power, cache_is_lost)
{
	struct iotarget_test_transfer out;
	struct iotarget_test_info info;
	unsigned int i;

	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(1, info.write_cache);
	ASSERT_EQ(0, target_write(self->fd, 0, 65536, LONG_MS, &out));
	EXPECT_EQ(DONE, out.outcome);
	ASSERT_EQ(0, target_flush(self->fd, LONG_MS, &out));
	EXPECT_EQ(DONE, out.outcome);
	ASSERT_EQ(0, target_write(self->fd, MIB, 65536, LONG_MS, &out));
	EXPECT_EQ(DONE, out.outcome);
	ASSERT_EQ(0, write_through(self->fd, 2 * MIB));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
	EXPECT_EQ(DONE, request_query(self->fd, 0).outcome);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, target_read(self->fd, i * MIB, 65536, LONG_MS,
					 &out));
		EXPECT_EQ(0, out.wrong);
	}
	ASSERT_EQ(0, nullb_power(variant->disk.name, false));
	EXPECT_EQ(-ENODEV, target_read(self->fd, 0, 65536, LONG_MS, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, nullb_power(variant->disk.name, true));
	ASSERT_TRUE(node_appears(self->path, LONG_MS));
	ASSERT_EQ(0, target_reopen(self->fd));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, target_read(self->fd, i * MIB, 65536, LONG_MS,
					 &out));
		EXPECT_EQ(i == 1 ? 65536 / 8 : 0, out.wrong)
			TH_LOG("part %u", i);
	}
}

TEST_F_TIMEOUT(power, cut_under_load, 60)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct iotarget_test_load_stop books;
	struct iotarget_test_info info;
	struct meanwhile off;
	unsigned int i;

	ASSERT_EQ(0, device_fill(self->path, 0, SPAN, SEED));
	/* What is read after the power came back must have been kept. */
	ASSERT_EQ(0, target_flush(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, load_start(self->fd, &load));
	for (i = 0; i < 5; i++) {
		ASSERT_TRUE(load_runs(self->fd, 100));
		ASSERT_EQ(0, meanwhile_begin(&off, power_off,
					     (void *)variant->disk.name));
		EXPECT_EQ(0, target_info(self->fd, &info));
		EXPECT_EQ(0, meanwhile_end(&off));
		EXPECT_GT(LONG_MS, off.ms);
		EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS,
					 NULL));
		/* It is told that its disk is gone, sooner or later. */
		EXPECT_TRUE(target_state(self->fd) == STOPPED ||
			    target_state(self->fd) == PURGED);
		EXPECT_EQ(0, target_start(self->fd));
		EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
		ASSERT_EQ(0, nullb_power(variant->disk.name, true));
		ASSERT_TRUE(node_appears(self->path, LONG_MS));
		ASSERT_EQ(0, target_reopen(self->fd));
	}
	ASSERT_TRUE(load_runs(self->fd, 100));
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	EXPECT_EQ(0, books.failed);
	if (books.refused)
		EXPECT_EQ(-ENODEV, books.last_refusal);
	EXPECT_LT(0, books.done);
}

#define SENT	8
#define HELD	8

static const struct nullb slow_power = {
	.name = "iott_power", .size_mb = 64, .delay_ms = 2 * SHORT_MS,
};

/* Eight are in the disk, eight are held, and the power goes. */
TEST(power_cut_with_known_requests)
{
	struct iotarget_test_report report;
	struct iotarget_test_query query;
	char path[DEVICE_PATH];
	struct meanwhile off;
	uint64_t began;
	unsigned int i;
	int fd, ret;

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(path, nullb_make(&slow_power)))
		SKIP(return, "%s", device_reason());
	fd = target_opened("faulty-power", path);
	ASSERT_LE(0, fd);
	began = now_ms();
	for (i = 0; i < SENT + HELD; i++) {
		if (i == SENT)
			ASSERT_EQ(0, target_stop(fd, LEAVE_SENT_PENDING, 0,
						 NULL));
		ASSERT_EQ(0, i % 2 ? request_write(fd, i, i * MIB, 4096) :
				     request_read(fd, i, i * MIB, 4096));
		ASSERT_EQ(0, request_send(fd, i, 0, 0));
	}
	ASSERT_EQ(0, meanwhile_begin(&off, power_off,
				     (void *)slow_power.name));
	ret = target_stop(fd, WAIT_FOR_SENT, SHORT_MS / 2, &report);
	/* A slow machine may have got here when all is answered. */
	if (now_ms() - began < slow_power.delay_ms) {
		EXPECT_EQ(-ETIMEDOUT, ret);
		EXPECT_EQ(SENT, report.sent);
	}
	EXPECT_EQ(0, target_stop(fd, WAIT_FOR_SENT, LONG_MS, &report));
	EXPECT_EQ(0, report.sent);
	EXPECT_EQ(0, meanwhile_end(&off));
	EXPECT_NE(0, access("/sys/block/iott_power", F_OK));
	/* There is nobody to do what is held, and so it is not sent. */
	EXPECT_EQ(0, target_close(fd, LONG_MS, NULL));
	for (i = 0; i < SENT + HELD; i++) {
		query = request_query(fd, i);
		EXPECT_EQ(1, query.callbacks) TH_LOG("request %u", i);
		EXPECT_EQ(i < SENT ? 0 : -ENODEV, query.status)
			TH_LOG("request %u", i);
		EXPECT_EQ(i < SENT ? DONE : NEVER_SENT, query.outcome)
			TH_LOG("request %u", i);
	}
	EXPECT_EQ(0, target_end(fd));
	close(fd);
	EXPECT_EQ(0, nullb_remove(slow_power.name));
	ON_TIME();
}

#define FULL	"/tmp/iotarget-full"

/*
 * The device answers that it has no room: that is an answer.  In older kernels
 * it only says that it could not.
 */
TEST(loop_on_a_full_file_system)
{
	struct iotarget_test_transfer out = {};
	char path[DEVICE_PATH];
	int file, fd, ret = 0;
	uint64_t pos;

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	mkdir(FULL, 0700);
	ASSERT_EQ(0, mount("none", FULL, "tmpfs", 0, "size=2m"));
	file = open(FULL "/image", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, ftruncate(file, 8 * MIB));
	if (!got_device(path, loop_over(file, false))) {
		close(file);
		umount(FULL);
		SKIP(return, "%s", device_reason());
	}
	fd = target_opened("faulty-loop", path);
	ASSERT_LE(0, fd);
	for (pos = 0; !ret && pos < 8 * MIB; pos += 65536)
		ret = target_write(fd, pos, 65536, LONG_MS, &out);
	EXPECT_TRUE(ret == -ENOSPC || ret == -EIO) TH_LOG("%d", ret);
	EXPECT_EQ(ret == -ENOSPC ? DONE : UNKNOWN, out.outcome);
	EXPECT_LT(MIB, pos);
	EXPECT_EQ(0, target_read(fd, 0, MIB, LONG_MS, &out));
	EXPECT_EQ(0, out.wrong);
	EXPECT_EQ(0, target_end(fd));
	close(fd);
	loop_remove();
	/* Only if nobody has the file open any more. */
	EXPECT_EQ(0, umount(FULL));
	rmdir(FULL);
	ON_TIME();
}

TEST_HARNESS_MAIN
