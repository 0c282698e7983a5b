// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time limits of requests and one-call transfers, on a disk that answers
 * everything after SLOW_MS: what times out while it is held, what can't be had
 * back from the disk, and whose memory is touched when.
 */
#include "fixture.h"

#define SHORT_MS	200
#define BASE		MIB
#define BUDGET		MIB

/* With a cache to flush; a flush of any other disk is over at once. */
static const struct nullb slow_cache = {
	.name = "iott_slow_cache", .size_mb = 64, .delay_ms = 2 * SHORT_MS,
	.cache_mb = 32,
};

FIXTURE(timed) {
	int fd;
	char path[DEVICE_PATH];
};

FIXTURE_SETUP(timed)
{
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->path, nullb_make(&slow_disk)))
		SKIP(return, "%s", device_reason());
	self->fd = target_new("timeout-test", BUDGET);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
}

FIXTURE_TEARDOWN(timed)
{
	close(self->fd);
	ON_TIME();
}

/* Contents for a slow disk: one request for all of it. */
static int prepare(const char *path, uint64_t seed)
{
	return device_fill(path, BASE, 65536, seed);
}

static int stop(int fd)
{
	return target_stop(fd, WAIT_FOR_SENT, LONG_MS, NULL);
}

/* F35: the timer is part of the request, so nothing is allocated. */
TEST_F(timed, f64_held_request_times_out)
{
	struct iotarget_test_query query;

	ASSERT_EQ(0, stop(self->fd));
	ASSERT_EQ(0, request_read(self->fd, 0, BASE, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, SEND_TIMEOUT, SHORT_MS));
	ASSERT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	query = request_query(self->fd, 0);
	EXPECT_EQ(-ETIMEDOUT, query.status);
	EXPECT_EQ(NEVER_SENT, query.outcome);
	EXPECT_EQ(0, query.bytes);
	EXPECT_EQ(0, query.touched);
	EXPECT_LE(SHORT_MS * 1000000ULL, query.callback_ns);
	EXPECT_GE((SHORT_MS + 100) * 1000000ULL, query.callback_ns);
	ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
	EXPECT_EQ(1, request_query(self->fd, 0).callbacks);
}

TEST_F(timed, f64_f65_late_success_stays_success)
{
	struct iotarget_test_query query;

	ASSERT_EQ(0, prepare(self->path, SEED));
	ASSERT_EQ(0, request_read(self->fd, 0, BASE, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, SEND_TIMEOUT, SHORT_MS));
	EXPECT_EQ(-ETIMEDOUT, request_called_back(self->fd, 0, 1,
						  2 * SHORT_MS));
	ASSERT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	query = request_query(self->fd, 0);
	EXPECT_EQ(0, query.status);
	EXPECT_EQ(DONE, query.outcome);
	EXPECT_EQ(4096, query.bytes);
	EXPECT_EQ(0, query.wrong);
	EXPECT_EQ(1, query.callbacks);
}

/* The callback comes with the answer, and not with the end of the limit. */
TEST_F(timed, answered_before_its_time)
{
	ASSERT_EQ(0, request_read(self->fd, 0, BASE, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, SEND_TIMEOUT, LONG_MS));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS / 2));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
}

TEST_F(timed, f67_the_limit_goes_on_after_the_start)
{
	struct iotarget_test_query query;

	/* Documented improvement: the limit counts from the send throughout. */
	ASSERT_EQ(0, stop(self->fd));
	ASSERT_EQ(0, request_read(self->fd, 0, BASE, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, SEND_TIMEOUT, 3 * SHORT_MS));
	sleep_ms(SHORT_MS);
	ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, target_stop(self->fd, LEAVE_SENT_PENDING, 0, NULL));
	ASSERT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	query = request_query(self->fd, 0);
	/* The disk had it: it ends as the disk says. */
	EXPECT_EQ(0, query.status);
	EXPECT_EQ(DONE, query.outcome);
}

TEST_F(timed, f69_zero_never_fires)
{
	ASSERT_EQ(0, stop(self->fd));
	ASSERT_EQ(0, request_read(self->fd, 0, BASE, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, SEND_TIMEOUT, 0));
	EXPECT_EQ(-ETIMEDOUT, request_called_back(self->fd, 0, 1,
						  2 * SHORT_MS));
	ASSERT_EQ(0, target_start(self->fd));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
}

TEST_F(timed, f69_absolute_deadlines)
{
	struct iotarget_test_send send = {
		.flags = SEND_DEADLINE, .deadline_ns = SHORT_MS * 1000000LL,
		.other_fd = -1,
	};
	struct iotarget_test_query query;

	ASSERT_EQ(0, stop(self->fd));
	ASSERT_EQ(0, request_read(self->fd, 0, BASE, 4096));
	ASSERT_EQ(0, request_send_raw(self->fd, &send));
	ASSERT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	query = request_query(self->fd, 0);
	EXPECT_EQ(-ETIMEDOUT, query.status);
	EXPECT_EQ(NEVER_SENT, query.outcome);
	EXPECT_LE(SHORT_MS * 1000000ULL, query.callback_ns);
	/* One that has passed is met at once. */
	send.slot = 1;
	send.deadline_ns = -1000000000;
	ASSERT_EQ(0, request_read(self->fd, 1, BASE, 4096));
	if (!request_send_raw(self->fd, &send))
		ASSERT_EQ(0, request_called_back(self->fd, 1, 1, 100));
	EXPECT_EQ(-ETIMEDOUT, request_query(self->fd, 1).status);
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, 1).outcome);
}

TEST_F(timed, f70_purged_before_its_time)
{
	struct iotarget_test_query query;

	ASSERT_EQ(0, stop(self->fd));
	ASSERT_EQ(0, request_read(self->fd, 0, BASE, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, SEND_TIMEOUT, SHORT_MS));
	ASSERT_EQ(0, target_purge(self->fd, PURGE_NO_WAIT, 0, NULL));
	sleep_ms(2 * SHORT_MS);
	query = request_query(self->fd, 0);
	EXPECT_EQ(1, query.callbacks);
	EXPECT_EQ(-ENODEV, query.status);
	EXPECT_EQ(NEVER_SENT, query.outcome);
}

TEST_F(timed, f60_f71_cancel_of_what_the_disk_has)
{
	struct iotarget_test_format again = {
		.type = IOTARGET_TEST_READ, .pos = BASE, .size = 4096,
		.memory = IOTARGET_TEST_MEM_KMALLOC,
		.bits = IOTARGET_TEST_KEEP,
	};
	struct iotarget_test_query query;

	ASSERT_EQ(0, prepare(self->path, SEED));
	ASSERT_EQ(0, request_read(self->fd, 0, BASE, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(1, request_cancel(self->fd, 0));
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	ASSERT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	query = request_query(self->fd, 0);
	EXPECT_EQ(0, query.status);
	EXPECT_EQ(DONE, query.outcome);
	EXPECT_EQ(0, query.wrong);
	/* F61: the latch stays. */
	ASSERT_EQ(0, request_format(self->fd, &again));
	EXPECT_EQ(-ECANCELED, request_send(self->fd, 0, 0, 0));
}

TEST_F(timed, f29_synchronous_while_stopped)
{
	ASSERT_EQ(0, stop(self->fd));
	ASSERT_EQ(0, request_read(self->fd, 0, BASE, 4096));
	EXPECT_EQ(-ETIMEDOUT, request_send(self->fd, 0,
					   SEND_SYNCHRONOUS | SEND_TIMEOUT,
					   SHORT_MS));
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, 0).outcome);
	EXPECT_EQ(1, request_query(self->fd, 0).callbacks);
}

static void *start_soon(void *fd)
{
	sleep_ms(SHORT_MS);
	target_start(*(int *)fd);
	return NULL;
}

TEST_F(timed, f29_synchronous_until_the_start)
{
	pthread_t thread;

	ASSERT_EQ(0, stop(self->fd));
	ASSERT_EQ(0, request_read(self->fd, 0, BASE, 4096));
	ASSERT_EQ(0, pthread_create(&thread, NULL, start_soon, &self->fd));
	EXPECT_EQ(0, request_send(self->fd, 0, SEND_SYNCHRONOUS | SEND_TIMEOUT,
				  LONG_MS));
	EXPECT_EQ(DONE, request_query(self->fd, 0).outcome);
	pthread_join(thread, NULL);
}

TEST_F(timed, f68_synchronous_and_still_with_the_disk)
{
	struct iotarget_test_send send = {
		.flags = SEND_SYNCHRONOUS | SEND_DEADLINE,
		.deadline_ns = SHORT_MS * 1000000LL, .other_fd = -1,
	};

	ASSERT_EQ(0, prepare(self->path, SEED));
	ASSERT_EQ(0, request_read(self->fd, 0, BASE, 4096));
	EXPECT_EQ(-EINPROGRESS, request_send_raw(self->fd, &send));
	EXPECT_EQ(-ETIMEDOUT, request_wait(self->fd, 0, SHORT_MS));
	EXPECT_EQ(-ETIMEDOUT, request_wait(self->fd, 0, 0));
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	EXPECT_EQ(0, request_wait(self->fd, 0, LONG_MS));
	EXPECT_EQ(1, request_query(self->fd, 0).callbacks);
	EXPECT_EQ(0, request_query(self->fd, 0).status);
	EXPECT_EQ(0, request_query(self->fd, 0).wrong);
}

TEST_F(timed, waiting_for_a_request_without_a_callback)
{
	struct iotarget_test_format arg = {
		.type = IOTARGET_TEST_READ, .size = 4096,
		.memory = IOTARGET_TEST_MEM_KMALLOC,
		.bits = IOTARGET_TEST_NO_CALLBACK,
	};

	ASSERT_EQ(0, request_format(self->fd, &arg));
	EXPECT_EQ(0, request_wait(self->fd, 0, 0));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(-ETIMEDOUT, request_wait(self->fd, 0, SHORT_MS));
	EXPECT_EQ(0, request_wait(self->fd, 0, LONG_MS));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
}

/* Waits for the target's memory to come back, and says how long it took. */
static bool limbo_ends(int fd, unsigned int ms)
{
	uint64_t until = now_ms() + ms;
	struct iotarget_test_info info;

	do {
		if (target_info(fd, &info))
			return false;
		if (!info.limbo && !info.limbo_bytes)
			return true;
		sleep_ms(20);
	} while (now_ms() < until);
	return false;
}

TEST_F(timed, limbo_read_leaves_the_memory_alone)
{
	struct iotarget_test_transfer arg = {
		.type = IOTARGET_TEST_READ, .pos = BASE, .len = 65536,
		.timeout_ms = SHORT_MS, .linger_ms = SLOW_MS + 500,
		.seed = SEED,
	};
	struct iotarget_test_info info;

	ASSERT_EQ(0, prepare(self->path, SEED));
	EXPECT_EQ(-ETIMEDOUT, target_transfer(self->fd, &arg));
	EXPECT_EQ(UNKNOWN, arg.outcome);
	EXPECT_EQ(0, arg.bytes);
	EXPECT_EQ(0, arg.touched);
	EXPECT_EQ(0, arg.touched_late);
	EXPECT_EQ(0, arg.overrun);
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(0, info.limbo);
	EXPECT_EQ(0, info.limbo_bytes);
	/* And with patience the same read succeeds. */
	EXPECT_EQ(0, target_read(self->fd, BASE, 65536, LONG_MS, &arg));
	EXPECT_EQ(DONE, arg.outcome);
	EXPECT_EQ(0, arg.wrong);
}

/* F21: what is written is what the memory held at the call. */
TEST_F(timed, limbo_write_is_not_spoilt)
{
	struct iotarget_test_transfer arg = {
		.type = IOTARGET_TEST_WRITE, .pos = BASE, .len = 65536,
		.timeout_ms = SHORT_MS, .bits = IOTARGET_TEST_SCRIBBLE,
		.seed = SEED,
	};
	struct iotarget_test_info info;

	ASSERT_EQ(0, prepare(self->path, SEED + 1));
	EXPECT_EQ(-ETIMEDOUT, target_transfer(self->fd, &arg));
	EXPECT_EQ(UNKNOWN, arg.outcome);
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(1, info.limbo);
	EXPECT_EQ(65536, info.limbo_bytes);
	EXPECT_EQ(1, info.sent);
	EXPECT_TRUE(limbo_ends(self->fd, LONG_MS));
	/* The disk did it after all, and with the data of that time. */
	EXPECT_EQ(0, device_wrong(self->path, BASE, 65536, SEED));
}

TEST_F(timed, limbo_flush)
{
	char path[DEVICE_PATH];
	struct iotarget_test_transfer out;

	if (!got_device(path, nullb_make(&slow_cache)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, target_open(self->fd, path, ACCESS_BOTH, SHARE_BOTH));
	EXPECT_EQ(-ETIMEDOUT, target_flush(self->fd, SHORT_MS, &out));
	EXPECT_EQ(UNKNOWN, out.outcome);
	EXPECT_TRUE(limbo_ends(self->fd, LONG_MS));
	EXPECT_EQ(0, target_flush(self->fd, LONG_MS, &out));
	EXPECT_EQ(DONE, out.outcome);
}

TEST_F(timed, one_call_transfer_while_stopped)
{
	struct iotarget_test_transfer arg = {
		.type = IOTARGET_TEST_READ, .pos = BASE, .len = 4096,
		.timeout_ms = SHORT_MS, .linger_ms = SHORT_MS, .seed = SEED,
	};
	struct iotarget_test_info info;

	ASSERT_EQ(0, stop(self->fd));
	EXPECT_EQ(-ETIMEDOUT, target_transfer(self->fd, &arg));
	EXPECT_EQ(NEVER_SENT, arg.outcome);
	EXPECT_EQ(0, arg.touched_late);
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(0, info.pended);
	EXPECT_EQ(0, info.limbo);
	EXPECT_EQ(0, info.limbo_bytes);
}

TEST_F(timed, f39_one_call_transfers_where_refused)
{
	struct iotarget_test_transfer out;

	ASSERT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, LONG_MS, NULL));
	EXPECT_EQ(-ESHUTDOWN, target_read(self->fd, BASE, 4096, 1000, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
	EXPECT_EQ(-ESHUTDOWN, target_write(self->fd, BASE, 4096, 1000, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
	EXPECT_EQ(-ESHUTDOWN, target_flush(self->fd, 1000, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
}

TEST_F(timed, limbo_has_a_budget)
{
	unsigned int i, ok = 0;
	struct iotarget_test_transfer out;
	struct iotarget_test_info info;
	int ret = 0;

	/*
	 * Each leaves 256 KiB with the disk, until the budget is used up; but one that a
	 * busy machine did not send in time leaves nothing.
	 */
	for (i = 0; i < 50 && ret != -ENOBUFS; i++) {
		ret = target_read(self->fd, BASE, 256 << 10, 50, &out);
		ok += ret == -ETIMEDOUT && out.outcome == UNKNOWN;
	}
	EXPECT_EQ(-ENOBUFS, ret);
	EXPECT_EQ(NEVER_SENT, out.outcome);
	EXPECT_EQ(BUDGET >> 18, ok);
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(ok, info.limbo);
	EXPECT_EQ(BUDGET, info.limbo_bytes);
	EXPECT_EQ(STARTED, info.state);
	EXPECT_TRUE(limbo_ends(self->fd, LONG_MS));
	EXPECT_EQ(0, target_read(self->fd, BASE, 4096, LONG_MS, NULL));
}

TEST_F(timed, limbo_does_not_outlive_its_close)
{
	struct iotarget_test_report report;
	struct iotarget_test_transfer out;
	struct iotarget_test_info info;

	EXPECT_EQ(-ETIMEDOUT, target_read(self->fd, BASE, 4096, SHORT_MS,
					  &out));
	EXPECT_EQ(-ETIMEDOUT, target_close(self->fd, SHORT_MS, &report));
	EXPECT_EQ(1, report.sent);
	ASSERT_EQ(0, target_reopen(self->fd));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(1, info.limbo);
	EXPECT_TRUE(limbo_ends(self->fd, LONG_MS));
}

TEST_HARNESS_MAIN
