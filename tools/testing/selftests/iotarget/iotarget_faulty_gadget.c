// SPDX-License-Identifier: GPL-2.0-only
/*
 * A USB stick that fails before it is pulled: this machine is the stick, by a
 * USB gadget on dummy_hcd, and what the stick stores on is a device mapper
 * device whose table is exchanged.
 */
#include "faulty.h"
#include "fixture.h"

#define LUN		"iott_lun"
#define SPAN		(4 * MIB)
#define DISK		(32 * MIB)
#define SHORT_MS	200
#define ERRORS_MS	300
#define KNOWN		4	/* requests, more than its driver takes */

FIXTURE(gadget) {
	int fd;
	char lower[DEVICE_PATH];
	char lun[DEVICE_PATH];
	char linear[DEVICE_PATH + 16];
	char path[DEVICE_PATH];
	long users;
};

FIXTURE_SETUP(gadget)
{
	self->fd = -1;
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	self->users = module_users("usb_storage");
	if (!got_device(self->lower, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	snprintf(self->linear, sizeof(self->linear), "%s 0", self->lower);
	if (!dm_has("linear"))
		SKIP(return, "the kernel has no device mapper");
	if (!gadget_possible())
		SKIP(return, "%s", device_reason());
	ASSERT_TRUE(got_device(self->lun,
			       dm_make(LUN, "linear", self->linear, DISK)))
		TH_LOG("%s", device_reason());
	ASSERT_TRUE(!!gadget_make(self->lun)) TH_LOG("%s", device_reason());
	ASSERT_EQ(0, device_fill(self->lun, 0, SPAN, SEED));
	ASSERT_EQ(0, gadget_plug(true));
	ASSERT_TRUE(got_device(self->path, gadget_disk(LONG_MS)));
	self->fd = target_opened("faulty-gadget", self->path);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(gadget)
{
	if (self->fd < 0)
		return;
	dm_swap(LUN, "linear", self->linear, DISK);
	EXPECT_EQ(0, target_end(self->fd));
	close(self->fd);
	EXPECT_EQ(0, gadget_remove());
	EXPECT_TRUE(gadget_gone(LONG_MS));
	EXPECT_EQ(self->users, module_users("usb_storage"));
	/* The stick's file is closed a little after the stick is gone. */
	EXPECT_TRUE(dm_unused(LUN, LONG_MS));
	EXPECT_EQ(0, dm_remove(LUN));
	ON_TIME();
}

static int pull(void *unused)
{
	return gadget_plug(false);
}

/* The stick reads through a cache of its own. */
static void forget_what_was_read(void)
{
	sysfs_put("/proc/sys/vm", "drop_caches", "1");
}

static bool comes_back(int fd, char *path)
{
	struct iotarget_test_transfer out;
	struct iotarget_test_info info;
	uint64_t pos;

	if (gadget_plug(true) || !got_device(path, gadget_disk(LONG_MS)) ||
	    target_open(fd, path, ACCESS_BOTH, SHARE_BOTH) ||
	    target_info(fd, &info) || strcmp(info.serial, GADGET_SERIAL))
		return false;
	for (pos = 0; pos < SPAN; pos += MIB)
		if (target_read(fd, pos, MIB, LONG_MS, &out) || out.wrong)
			return false;
	return true;
}

/* Does the load meet errors? */
static bool fails(int fd, struct iotarget_test_load_stop *now)
{
	uint64_t until = now_ms() + LONG_MS;

	do {
		sleep_ms(10);
		if (load_peek(fd, now))
			return false;
		if (now->failed)
			return true;
	} while (now_ms() < until);
	return false;
}

/*
 * Errors for a while, as a stick gives that is about to be out of its socket.
 * Only reads: the answer to a failed write is one that may as well come from
 * the way there.
 */
TEST_F_TIMEOUT(gadget, errors_and_then_vanishes, 90)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct iotarget_test_load_stop errors, books;
	struct iotarget_test_transfer out;
	struct iotarget_test_info info;
	struct meanwhile m;

	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_STREQ(GADGET_SERIAL, info.serial);
	load.write_percent = 0;
	ASSERT_EQ(0, load_start(self->fd, &load));
	ASSERT_TRUE(load_runs(self->fd, 50));
	ASSERT_EQ(0, dm_swap(LUN, "error", "", DISK));
	forget_what_was_read();
	ASSERT_TRUE(fails(self->fd, &errors));
	sleep_ms(ERRORS_MS);
	ASSERT_EQ(0, load_peek(self->fd, &errors));
	ASSERT_EQ(0, meanwhile_begin(&m, pull, NULL));
	EXPECT_EQ(0, meanwhile_end(&m));
	EXPECT_GT(LONG_MS, m.ms);
	EXPECT_TRUE(gadget_gone(LONG_MS));
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	/* As long as it was there it said that it can't read. */
	EXPECT_EQ(0, errors.unknown);
	/* And those that it had got, or was to get, when it went. */
	EXPECT_LT(0, books.unknown);
	/* Who came when the gate was shut already, and nobody else. */
	EXPECT_LE(books.never_sent, books.removed);
	if (books.refused)
		EXPECT_EQ(-ENODEV, books.last_refusal);
	EXPECT_NE(0, target_read(self->fd, 0, 4096, LONG_MS, &out));
	EXPECT_NE(DONE, out.outcome);
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, dm_swap(LUN, "linear", self->linear, DISK));
	EXPECT_TRUE(comes_back(self->fd, self->path));
}

/*
 * It does not answer, and is pulled.  Its driver takes one request or two, and
 * who has more for it waits in submit_bio(): here that is the target's worker.
 */
TEST_F_TIMEOUT(gadget, vanishes_with_known_requests, 90)
{
	struct iotarget_test_report report;
	struct iotarget_test_query query;
	struct iotarget_test_transfer out;
	struct meanwhile m;
	unsigned int i;

	forget_what_was_read();
	ASSERT_EQ(0, dm_suspend(LUN));
	for (i = 0; i < KNOWN; i++) {
		ASSERT_EQ(0, request_read(self->fd, i, i * MIB, 65536));
		ASSERT_EQ(0, request_send(self->fd, i, i ? SEND_ATOMIC : 0, 0));
	}
	EXPECT_EQ(-ETIMEDOUT, target_read(self->fd, KNOWN * MIB, 4096, SHORT_MS,
					  &out));
	EXPECT_NE(DONE, out.outcome);
	EXPECT_EQ(-ETIMEDOUT, target_stop(self->fd, CANCEL_SENT, SHORT_MS,
					  &report));
	EXPECT_LE(1, report.sent);
	EXPECT_LE(1, report.pended);
	ASSERT_EQ(0, request_read(self->fd, KNOWN, 0, 65536));
	ASSERT_EQ(0, request_send(self->fd, KNOWN, 0, 0));
	ASSERT_EQ(0, meanwhile_begin(&m, pull, NULL));
	ASSERT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, &report));
	EXPECT_EQ(0, report.sent);
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	for (i = 0; i <= KNOWN; i++) {
		query = request_query(self->fd, i);
		EXPECT_EQ(1, query.callbacks) TH_LOG("request %u", i);
		EXPECT_GT(0, query.status) TH_LOG("request %u", i);
		EXPECT_EQ(0, query.bytes);
	}
	EXPECT_EQ(UNKNOWN, request_query(self->fd, 0).outcome);
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, KNOWN).outcome);
	EXPECT_EQ(-ENODEV, request_query(self->fd, KNOWN).status);
	/* The far end waits for its device; nobody on this one did. */
	ASSERT_EQ(0, dm_resume(LUN));
	EXPECT_EQ(0, meanwhile_end(&m));
	EXPECT_TRUE(gadget_gone(LONG_MS));
	EXPECT_TRUE(comes_back(self->fd, self->path));
}

/* In and out, with everybody sending, and the target open all the time. */
TEST_F_TIMEOUT(gadget, vanishes_again_and_again, 90)
{
	struct iotarget_test_load_start load = faulty_load(SPAN);
	struct iotarget_test_load_stop books;
	unsigned int i;

	ASSERT_EQ(0, load_start(self->fd, &load));
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(load_runs(self->fd, 20));
		ASSERT_EQ(0, gadget_plug(false));
		EXPECT_TRUE(gadget_gone(LONG_MS));
		EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
		ASSERT_TRUE(comes_back(self->fd, self->path));
	}
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	EXPECT_EQ(0, books_broken(&books));
	EXPECT_EQ(0, books.failed);
	EXPECT_LT(0, books.done);
}

TEST_HARNESS_MAIN
