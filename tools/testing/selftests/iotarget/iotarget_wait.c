// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for a device that answers slowly: stops, purges and closes that come
 * to their end, that run out of time, that are overtaken or killed; what they
 * report; and that nobody waits past his bound.
 *
 * The disk answers everything after SLOW_MS.
 */
#include <sched.h>

#include "fixture.h"

#define SHORT_MS	200

FIXTURE(slow) {
	int fd;
	char path[DEVICE_PATH];
};

FIXTURE_SETUP(slow)
{
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->path, nullb_make(&slow_disk)))
		SKIP(return, "%s", device_reason());
	self->fd = target_opened("wait-test", self->path);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(slow)
{
	close(self->fd);
	ON_TIME();
}

static int send_read(int fd, unsigned int slot, unsigned int flags)
{
	int ret = request_read(fd, slot, slot * 4096, 4096);

	return ret ? ret : request_send(fd, slot, flags, 0);
}

/* Is the request over, and did the device do it? */
static bool done(int fd, unsigned int slot)
{
	struct iotarget_test_query query = request_query(fd, slot);

	return query.callbacks == 1 && !query.status &&
	       query.outcome == DONE && !query.doubles;
}

TEST_F(slow, f45_f71_stop_waits_for_what_is_sent)
{
	struct iotarget_test_report report;
	uint64_t began = now_ms();

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, &report));
	EXPECT_LE(SLOW_MS - 100, now_ms() - began);
	/* It was woken, and did not find out when its own time was over. */
	EXPECT_GT(LONG_MS / 2, now_ms() - began);
	EXPECT_TRUE(done(self->fd, 0));
	EXPECT_EQ(0, report.sent + report.pended + report.oldest_ms);
}

TEST_F(slow, f44_f71_stop_cancel_waits_too)
{
	struct iotarget_test_report report;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, send_read(self->fd, 1, 0));
	ASSERT_EQ(0, target_stop(self->fd, CANCEL_SENT, LONG_MS, &report));
	/* A block device cannot give back what it has. */
	EXPECT_TRUE(done(self->fd, 0));
	EXPECT_TRUE(done(self->fd, 1));
	EXPECT_EQ(0, report.sent);
}

TEST_F(slow, stop_runs_out_of_time_and_reports)
{
	struct iotarget_test_report report;
	struct iotarget_test_info info;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, send_read(self->fd, 1, 0));
	ASSERT_EQ(-ETIMEDOUT, target_stop(self->fd, WAIT_FOR_SENT, SHORT_MS,
					  &report));
	EXPECT_EQ(STOPPED, target_state(self->fd));
	EXPECT_EQ(2, report.sent);
	EXPECT_EQ(0, report.pended);
	EXPECT_LE(SHORT_MS, report.oldest_ms);
	/* "To a second or so." */
	EXPECT_GE(SHORT_MS + 2500, report.oldest_ms);
	ASSERT_EQ(0, send_read(self->fd, 2, 0));
	ASSERT_EQ(-ETIMEDOUT, target_stop(self->fd, CANCEL_SENT, SHORT_MS,
					  &report));
	EXPECT_EQ(2, report.sent);
	EXPECT_EQ(1, report.pended);
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(2, info.sent);
	EXPECT_EQ(1, info.pended);
	EXPECT_EQ(0, info.ignored);
	EXPECT_LT(0, info.oldest_ms);
	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, &report));
	EXPECT_EQ(0, report.sent);
	EXPECT_EQ(1, report.pended);
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(0, info.sent);
	EXPECT_EQ(0, info.oldest_ms);
	EXPECT_EQ(0, request_query(self->fd, 2).callbacks);
}

/* A request after a rest is not as old as the rest. */
TEST_F(slow, age_after_a_rest)
{
	struct iotarget_test_report report;

	sleep_ms(SHORT_MS + 4500);
	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(-ETIMEDOUT, target_stop(self->fd, WAIT_FOR_SENT, SHORT_MS,
					  &report));
	EXPECT_LE(SHORT_MS, report.oldest_ms);
	EXPECT_GE(SHORT_MS + 2500, report.oldest_ms);
}

TEST_F(slow, timeout_zero_asks_and_reports)
{
	struct iotarget_test_report report;
	struct iotarget_test_info info;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	EXPECT_EQ(-ETIMEDOUT, target_stop(self->fd, WAIT_FOR_SENT, 0,
					  &report));
	EXPECT_EQ(1, report.sent);
	EXPECT_EQ(STOPPED, target_state(self->fd));
	EXPECT_EQ(-ETIMEDOUT, target_purge(self->fd, PURGE_AND_WAIT, 0,
					   &report));
	EXPECT_EQ(1, report.sent);
	EXPECT_EQ(PURGED, target_state(self->fd));
	EXPECT_EQ(-ETIMEDOUT, target_close(self->fd, 0, &report));
	EXPECT_EQ(1, report.sent);
	EXPECT_EQ(CLOSED, target_state(self->fd));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(1, info.closing);
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, &report));
	EXPECT_TRUE(done(self->fd, 0));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(0, info.closing);
}

TEST_F(slow, f46_leave_then_wait)
{
	struct iotarget_test_report report;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, target_stop(self->fd, LEAVE_SENT_PENDING, 0, &report));
	EXPECT_EQ(1, report.sent);
	EXPECT_EQ(STOPPED, target_state(self->fd));
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	/* A later stop still counts what was left out there. */
	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, &report));
	EXPECT_TRUE(done(self->fd, 0));
}

TEST_F(slow, f47_waits_ignore_held_and_ignoring)
{
	struct iotarget_test_report report;
	struct iotarget_test_info info;

	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, send_read(self->fd, 1, SEND_IGNORE_STATE));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(1, info.ignored);
	EXPECT_EQ(1, info.sent);
	EXPECT_EQ(1, info.pended);
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, SHORT_MS, &report));
	EXPECT_EQ(0, target_stop(self->fd, CANCEL_SENT, SHORT_MS, &report));
	EXPECT_EQ(1, report.pended);
	EXPECT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, SHORT_MS,
				  &report));
	EXPECT_EQ(0, request_query(self->fd, 1).callbacks);
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, 0).outcome);
	/* F51: a close waits for it. */
	EXPECT_EQ(-ETIMEDOUT, target_close(self->fd, SHORT_MS, &report));
	EXPECT_EQ(1, report.sent);
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, &report));
	EXPECT_TRUE(done(self->fd, 1));
}

TEST_F(slow, f48_purge_and_wait)
{
	struct iotarget_test_report report;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, target_stop(self->fd, LEAVE_SENT_PENDING, 0, NULL));
	ASSERT_EQ(0, send_read(self->fd, 1, 0));
	EXPECT_EQ(-ETIMEDOUT, target_purge(self->fd, PURGE_AND_WAIT, SHORT_MS,
					   &report));
	EXPECT_EQ(1, report.sent);
	EXPECT_EQ(0, report.pended);
	EXPECT_EQ(PURGED, target_state(self->fd));
	EXPECT_EQ(-ENODEV, request_query(self->fd, 1).status);
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, 1).outcome);
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	EXPECT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, LONG_MS, NULL));
	EXPECT_TRUE(done(self->fd, 0));
}

TEST_F(slow, f48_purge_without_wait)
{
	struct iotarget_test_report report;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, target_purge(self->fd, PURGE_NO_WAIT, 0, &report));
	EXPECT_EQ(1, report.sent);
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_TRUE(done(self->fd, 0));
}

TEST_F(slow, f51_close_waits)
{
	struct iotarget_test_report report;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, &report));
	EXPECT_TRUE(done(self->fd, 0));
	EXPECT_EQ(0, report.sent);
}

TEST_F(slow, close_finishes_later_and_reopens_at_once)
{
	struct iotarget_test_report report;
	struct iotarget_test_info info;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(-ETIMEDOUT, target_close(self->fd, SHORT_MS, &report));
	EXPECT_EQ(1, report.sent);
	EXPECT_LE(SHORT_MS, report.oldest_ms);
	ASSERT_EQ(0, target_reopen(self->fd));
	EXPECT_EQ(STARTED, target_state(self->fd));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(1, info.closing);
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	/* Another request, on the new opening. */
	ASSERT_EQ(0, send_read(self->fd, 1, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_TRUE(done(self->fd, 0));
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	EXPECT_TRUE(done(self->fd, 1));
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(0, info.closing);
}

TEST_F(slow, f14_f16_delete_waits_request_outlives)
{
	struct iotarget_test_report report;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(-ETIMEDOUT, target_delete(self->fd, SHORT_MS, &report));
	EXPECT_EQ(1, report.sent);
	EXPECT_EQ(DELETED, target_state(self->fd));
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_TRUE(done(self->fd, 0));
}

TEST_F(slow, f14_delete_waits)
{
	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, target_delete(self->fd, LONG_MS, NULL));
	EXPECT_TRUE(done(self->fd, 0));
}

struct call {
	int		fd;
	unsigned int	op;
	unsigned int	action;
	int		ret;
	uint64_t	ended;
	pthread_t	thread;
};

static void *call_it(void *data)
{
	struct call *call = data;
	struct iotarget_test_control arg = {
		.op = call->op, .action = call->action, .timeout_ms = LONG_MS,
	};

	call->ret = target_control(call->fd, &arg);
	call->ended = now_ms();
	return NULL;
}

static int begin(struct call *call, int fd, unsigned int op,
		 unsigned int action)
{
	*call = (struct call){ .fd = fd, .op = op, .action = action, .ret = 1 };
	if (pthread_create(&call->thread, NULL, call_it, call))
		return -1;
	sleep_ms(50);
	return 0;
}

static bool run_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/*
 * I6: after a waiting stop no callback is under way any more.  The disk calls
 * back in the interrupt of the processor that sent; the stop looks from another.
 */
TEST_F(slow, callbacks_have_returned_when_a_stop_has)
{
	struct iotarget_test_send send = { .other_fd = -1, .spin_us = 50000 };
	struct iotarget_test_control arg = {
		.op = IOTARGET_TEST_STOP, .action = WAIT_FOR_SENT,
		.timeout_ms = LONG_MS,
	};
	unsigned int i;

	if (!run_on(0))
		SKIP(return, "cannot choose the processor");
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, request_read(self->fd, i, 0, 4096));
		send.slot = i;
		ASSERT_EQ(0, request_send_raw(self->fd, &send));
	}
	if (!run_on(1))
		SKIP(return, "there is only one processor");
	ASSERT_EQ(0, target_control(self->fd, &arg));
	EXPECT_EQ(0, arg.running);
	for (i = 0; i < 3; i++)
		EXPECT_TRUE(done(self->fd, i));
}

/* The same of a purge, and of callbacks that another purge is calling. */
TEST_F(slow, callbacks_have_returned_when_a_purge_has)
{
	struct iotarget_test_send send = { .other_fd = -1, .spin_us = 200000 };
	struct iotarget_test_control arg = {
		.op = IOTARGET_TEST_PURGE, .action = PURGE_AND_WAIT,
		.timeout_ms = LONG_MS,
	};
	struct call other;

	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	ASSERT_EQ(0, request_send_raw(self->fd, &send));
	late_calls_excused(true);
	ASSERT_EQ(0, begin(&other, self->fd, IOTARGET_TEST_PURGE,
			   PURGE_NO_WAIT));
	ASSERT_EQ(0, target_control(self->fd, &arg));
	EXPECT_EQ(0, arg.running);
	pthread_join(other.thread, NULL);
	late_calls_excused(false);
	EXPECT_EQ(1, request_query(self->fd, 0).callbacks);
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, 0).outcome);
}

TEST_F(slow, f55_two_stops_both_return)
{
	struct call first, second;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, begin(&first, self->fd, IOTARGET_TEST_STOP,
			   WAIT_FOR_SENT));
	ASSERT_EQ(0, begin(&second, self->fd, IOTARGET_TEST_STOP,
			   CANCEL_SENT));
	/* Stopping without waiting ends nobody else's wait. */
	ASSERT_EQ(0, target_stop(self->fd, LEAVE_SENT_PENDING, 0, NULL));
	EXPECT_EQ(1, first.ret);
	EXPECT_EQ(1, second.ret);
	pthread_join(first.thread, NULL);
	pthread_join(second.thread, NULL);
	EXPECT_EQ(0, first.ret);
	EXPECT_EQ(0, second.ret);
	EXPECT_TRUE(done(self->fd, 0));
}

TEST_F(slow, f54_start_ends_a_waiting_stop)
{
	struct call stop;
	uint64_t began;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, begin(&stop, self->fd, IOTARGET_TEST_STOP,
			   WAIT_FOR_SENT));
	began = now_ms();
	ASSERT_EQ(0, target_start(self->fd));
	pthread_join(stop.thread, NULL);
	EXPECT_EQ(-ECANCELED, stop.ret);
	EXPECT_GT(200, stop.ended - began);
	EXPECT_EQ(STARTED, target_state(self->fd));
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
}

TEST_F(slow, purge_tightens_a_waiting_stop)
{
	struct call stop;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, begin(&stop, self->fd, IOTARGET_TEST_STOP,
			   WAIT_FOR_SENT));
	ASSERT_EQ(0, send_read(self->fd, 1, 0));
	EXPECT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, LONG_MS, NULL));
	pthread_join(stop.thread, NULL);
	EXPECT_EQ(0, stop.ret);
	EXPECT_EQ(PURGED, target_state(self->fd));
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, 1).outcome);
	EXPECT_TRUE(done(self->fd, 0));
}

TEST_F(slow, close_while_a_stop_waits)
{
	struct call stop;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, begin(&stop, self->fd, IOTARGET_TEST_STOP,
			   WAIT_FOR_SENT));
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	pthread_join(stop.thread, NULL);
	EXPECT_EQ(0, stop.ret);
	EXPECT_EQ(CLOSED, target_state(self->fd));
	EXPECT_TRUE(done(self->fd, 0));
}

/* What is waited for is the opening of that time, whatever a later one does. */
TEST_F(slow, a_start_after_a_reopen_ends_no_earlier_wait)
{
	struct call stop;

	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, begin(&stop, self->fd, IOTARGET_TEST_STOP,
			   WAIT_FOR_SENT));
	EXPECT_EQ(-ETIMEDOUT, target_close(self->fd, SHORT_MS, NULL));
	ASSERT_EQ(0, target_reopen(self->fd));
	ASSERT_EQ(0, target_stop(self->fd, LEAVE_SENT_PENDING, 0, NULL));
	ASSERT_EQ(0, target_start(self->fd));
	pthread_join(stop.thread, NULL);
	EXPECT_EQ(0, stop.ret);
	EXPECT_TRUE(done(self->fd, 0));
	EXPECT_EQ(STARTED, target_state(self->fd));
}

TEST_F(slow, f43_start_while_started_disturbs_nothing)
{
	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, target_start(self->fd));
	ASSERT_EQ(0, send_read(self->fd, 1, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(0, request_called_back(self->fd, 1, 1, LONG_MS));
	EXPECT_TRUE(done(self->fd, 0));
	EXPECT_TRUE(done(self->fd, 1));
}

static void die_waiting(int fd, unsigned int what)
{
	struct iotarget_test_transfer out;

	switch (what) {
	case 0:
		target_stop(fd, WAIT_FOR_SENT, LONG_MS, NULL);
		break;
	case 1:
		target_close(fd, LONG_MS, NULL);
		break;
	case 2:
		target_read(fd, 0, 4096, LONG_MS, &out);
		break;
	case 3:
		request_wait(fd, 1, LONG_MS);
		break;
	default:
		request_read(fd, 2, 0, 4096);
		request_send(fd, 2, SEND_SYNCHRONOUS | SEND_TIMEOUT, LONG_MS);
		break;
	}
}

/* I3: whoever waits can be killed, and what he waited for goes on. */
TEST_F(slow, a_waiting_process_can_be_killed)
{
	struct iotarget_test_format quiet = {
		.slot = 1, .type = IOTARGET_TEST_READ, .size = 4096,
		.memory = IOTARGET_TEST_MEM_KMALLOC,
		.bits = IOTARGET_TEST_NO_CALLBACK,
	};
	unsigned int what;
	uint64_t began;
	int status;
	pid_t pid;

	for (what = 0; what < 5; what++) {
		if (target_state(self->fd) == CLOSED)
			ASSERT_EQ(0, target_reopen(self->fd));
		ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
		ASSERT_EQ(0, send_read(self->fd, 0, 0));
		ASSERT_EQ(0, request_format(self->fd, &quiet));
		ASSERT_EQ(0, request_send(self->fd, 1, 0, 0));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			die_waiting(self->fd, what);
			_exit(0);
		}
		sleep_ms(100);
		began = now_ms();
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status)) TH_LOG("wait %u", what);
		EXPECT_GT(500, now_ms() - began)
			TH_LOG("wait %u took %llu ms to die", what,
			       (unsigned long long)(now_ms() - began));
		EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
		EXPECT_TRUE(done(self->fd, 0));
		EXPECT_EQ(0, request_wait(self->fd, 1, LONG_MS));
	}
}

TEST_HARNESS_MAIN
