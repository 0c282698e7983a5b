// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of synchronous sends and of one-call transfers: who waits, for how
 * long, and whose memory it is meanwhile.
 *
 * The numbers F28 to F68 are rows of the feature checklist in
 * Documentation/driver-api/iotarget/kmdf.rst.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "fake.h"

/* Longer than one piece, and not a multiple of it. */
#define LONG_LEN	(SZ_256K + SZ_64K)

static const struct iotarget_send_params sync_short = {
	.flags = IOTARGET_SEND_SYNCHRONOUS | IOTARGET_SEND_TIMEOUT,
	.timeout_ms = FAKE_SENT_MS,
};

static const struct iotarget_send_params sync_long = {
	.flags = IOTARGET_SEND_SYNCHRONOUS | IOTARGET_SEND_TIMEOUT,
	.timeout_ms = FAKE_LONG_MS,
};

static void stop_leave(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, iotarget_stop(t->target,
					    IOTARGET_LEAVE_SENT_PENDING, 0,
					    NULL), 0);
}

static u8 *buffer(struct kunit *test, size_t len)
{
	u8 *data = kunit_kzalloc(test, len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, data);
	return data;
}

static int answer_eio(void *arg)
{
	struct fake_test *t = arg;

	fake_until(fake_nr_held(&t->fake));
	fake_answer_all(&t->fake, -EIO);
	return 0;
}

static int start(void *arg)
{
	struct fake_test *t = arg;

	fake_until(READ_ONCE(t->target->gate.nr_pended));
	return iotarget_start(t->target);
}

/* F28, F30: the final status, and the callback has run before. */
static void sync_returns_the_status(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	fake_call_start(&t->call[0], answer_eio, t);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], &sync_long),
			-EIO);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 1);
	KUNIT_EXPECT_EQ(test, t->req[0].status, -EIO);
	KUNIT_EXPECT_EQ(test, iotarget_request_reuse(&t->req[0].req), 0);
}

/* F30: what was not sent keeps its callback. */
static void refused_sync_keeps_its_callback(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct fake_req *fr = &t->req[0];

	KUNIT_ASSERT_EQ(test, fake_req_format(t->target, fr), 0);
	iotarget_purge(t->target, IOTARGET_PURGE, 0, NULL);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, &fr->req, &sync_long),
			-ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, fr->callbacks, 0);
	iotarget_start(t->target);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, &fr->req, &sync_long),
			0);
	KUNIT_EXPECT_EQ(test, fr->callbacks, 1);
}

/* F29: until the start. */
static void sync_waits_for_the_start(struct kunit *test)
{
	struct fake_test *t = test->priv;

	stop_leave(test);
	fake_call_start(&t->call[0], start, t);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], &sync_long),
			0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
}

/* F29: or until its time is over. */
static void sync_on_a_stopped_target_times_out(struct kunit *test)
{
	struct fake_test *t = test->priv;

	stop_leave(test);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], &sync_short),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, t->req[0].outcome, IOTARGET_NEVER_SENT);
	KUNIT_EXPECT_EQ(test, t->target->gate.nr_pended, 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_reuse(&t->req[0].req), 0);
}

/* F68: KMDF waits without limit for a device that does not cancel; not we. */
static void sync_gives_up_and_says_so(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct fake_req *fr = &t->req[0];

	t->fake.hold = true;
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, fr, &sync_short),
			-EINPROGRESS);
	KUNIT_EXPECT_EQ(test, fr->callbacks, 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_reuse(&fr->req), -EBUSY);
	KUNIT_EXPECT_EQ(test, iotarget_request_wait(&fr->req, FAKE_SHORT_MS),
			-ETIMEDOUT);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_wait(&fr->req, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, fr->callbacks, 1);
	KUNIT_EXPECT_EQ(test, fr->status, 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_reuse(&fr->req), 0);
}

/* F68: from a device that cancels it comes back. */
static void sync_is_cancelled(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, true), 0);
	t->fake.hold = true;
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], &sync_short),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, t->req[0].outcome, IOTARGET_UNKNOWN);
	KUNIT_EXPECT_EQ(test, t->fake.cancels, 1);
}

static void deadline_of_a_sync_send(struct kunit *test)
{
	struct iotarget_send_params params = {
		.flags = IOTARGET_SEND_SYNCHRONOUS | IOTARGET_SEND_DEADLINE,
		.deadline = 1,
	};
	struct fake_test *t = test->priv;

	stop_leave(test);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], &params),
			-ETIMEDOUT);
}

static int killed_sender(void *arg)
{
	const struct iotarget_send_params params = {
		.flags = IOTARGET_SEND_SYNCHRONOUS |
			 IOTARGET_SEND_WAIT_FOREVER,
	};
	struct fake_test *t = arg;

	allow_signal(SIGKILL);
	t->call[0].ret = fake_req_send(t->target, &t->req[0], &params);
	complete_all(&t->call[0].done);
	return 0;
}

static bool is_out(struct fake_test *t)
{
	return READ_ONCE(t->req[0].submit_seq) ||
	       READ_ONCE(t->target->gate.nr_pended);
}

static void kill_sender(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct task_struct *task;

	init_completion(&t->call[0].done);
	task = kthread_run(killed_sender, t, "iotarget_killed");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	KUNIT_EXPECT_TRUE(test, fake_until(is_out(t)));
	send_sig(SIGKILL, task, 1);
	wait_for_completion(&t->call[0].done);
	put_task_struct(task);
}

/* A killed process does not hang on a stopped target ... */
static void killed_while_held(struct kunit *test)
{
	struct fake_test *t = test->priv;

	stop_leave(test);
	kill_sender(test);
	KUNIT_EXPECT_EQ(test, t->call[0].ret, -ECANCELED);
	KUNIT_EXPECT_EQ(test, t->req[0].outcome, IOTARGET_NEVER_SENT);
}

/* ... nor on a device that does not answer. */
static void killed_while_sent(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	kill_sender(test);
	KUNIT_EXPECT_EQ(test, t->call[0].ret, -EINPROGRESS);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_wait(&t->req[0].req,
						    FAKE_LONG_MS), 0);
}

static void expect_bytes(struct kunit *test, const u8 *data, size_t len,
			 u64 pos)
{
	size_t i;

	for (i = 0; i < len && data[i] == fake_byte(pos + i); i++)
		;
	KUNIT_EXPECT_EQ(test, i, len);
}

static void reads_and_writes(struct kunit *test)
{
	struct fake_test *t = test->priv;
	u8 *data = buffer(test, LONG_LEN);
	struct iotarget_result res;

	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, data, LONG_LEN, 512,
					    FAKE_LONG_MS, &res), 0);
	KUNIT_EXPECT_EQ(test, res.bytes, LONG_LEN);
	KUNIT_EXPECT_EQ(test, res.outcome, IOTARGET_DONE);
	expect_bytes(test, data, LONG_LEN, 512);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 2);
	/* The device looks at what it gets. */
	KUNIT_EXPECT_EQ(test, iotarget_write(t->target, data, LONG_LEN, 512,
					     FAKE_LONG_MS, &res), 0);
	KUNIT_EXPECT_EQ(test, res.bytes, LONG_LEN);
	KUNIT_EXPECT_EQ(test, iotarget_flush(t->target, FAKE_LONG_MS, &res), 0);
	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, NULL, 0, 0,
					    FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 6);
}

static void forever_forms_move_the_same(struct kunit *test)
{
	struct fake_test *t = test->priv;
	u8 *data = buffer(test, SZ_4K);
	struct iotarget_buffer buf = iotarget_buf(data, SZ_4K);
	struct iotarget_result res;

	KUNIT_EXPECT_EQ(test, iotarget_read_wait_forever(t->target, &buf, 0,
							 &res), 0);
	KUNIT_EXPECT_EQ(test, res.bytes, SZ_4K);
	expect_bytes(test, data, SZ_4K, 0);
	KUNIT_EXPECT_EQ(test, iotarget_write_wait_forever(t->target, &buf, 0,
							  &res), 0);
	KUNIT_EXPECT_EQ(test, iotarget_flush_wait_forever(t->target, &res), 0);
	iotarget_purge(t->target, IOTARGET_PURGE, 0, NULL);
	KUNIT_EXPECT_EQ(test, iotarget_flush_wait_forever(t->target, &res),
			-ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, res.outcome, IOTARGET_NEVER_SENT);
}

/* At the deadline the memory is the caller's, whatever the device does then. */
static void late_answer_touches_nothing(struct kunit *test)
{
	struct fake_test *t = test->priv;
	u8 *data = buffer(test, SZ_4K);
	struct iotarget_result res;
	struct iotarget_info info;

	t->fake.hold = true;
	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, data, SZ_4K, 0,
					    FAKE_SENT_MS, &res), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, res.outcome, IOTARGET_UNKNOWN);
	KUNIT_EXPECT_EQ(test, res.bytes, 0);
	iotarget_get_info(t->target, &info);
	KUNIT_EXPECT_EQ(test, info.limbo, 1);
	KUNIT_EXPECT_EQ(test, info.limbo_bytes, SZ_4K);
	KUNIT_EXPECT_EQ(test, info.sent, 1);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(data, 0, SZ_4K));
	iotarget_get_info(t->target, &info);
	KUNIT_EXPECT_EQ(test, info.limbo, 0);
	KUNIT_EXPECT_EQ(test, info.limbo_bytes, 0);
	KUNIT_EXPECT_EQ(test, info.sent, 0);
}

/* What the device still has to write is a copy. */
static void late_write_has_its_own_copy(struct kunit *test)
{
	struct fake_test *t = test->priv;
	u8 *data = buffer(test, SZ_4K);
	size_t i;

	for (i = 0; i < SZ_4K; i++)
		data[i] = fake_byte(i);
	t->fake.hold = true;
	KUNIT_EXPECT_EQ(test, iotarget_write(t->target, data, SZ_4K, 0,
					     FAKE_SENT_MS, NULL), -ETIMEDOUT);
	memset(data, 0xee, SZ_4K);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, t->fake.bad_bytes, 0);
}

static void limbo_has_a_budget(struct kunit *test)
{
	const struct iotarget_create_params params = {
		.name = "budget", .limbo_bytes = 2 * PAGE_SIZE,
	};
	struct iotarget *target = iotarget_create(&params);
	struct fake_test *t = test->priv;
	u8 *data = buffer(test, PAGE_SIZE);
	struct iotarget_result res;
	unsigned int i;

	KUNIT_ASSERT_FALSE(test, IS_ERR(target));
	KUNIT_ASSERT_EQ(test, fake_open(target, &t->fake, false), 0);
	t->fake.hold = true;
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, iotarget_read(target, data, PAGE_SIZE, 0,
						    FAKE_SENT_MS, NULL),
				-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, iotarget_read(target, data, PAGE_SIZE, 0,
					    FAKE_SENT_MS, &res), -ENOBUFS);
	KUNIT_EXPECT_EQ(test, res.outcome, IOTARGET_NEVER_SENT);
	/* A flush has no memory to leave behind. */
	KUNIT_EXPECT_EQ(test, iotarget_flush(target, FAKE_SENT_MS, NULL),
			-ETIMEDOUT);
	t->fake.hold = false;
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, iotarget_read(target, data, PAGE_SIZE, 0,
					    FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&target->limbo), 0);
	KUNIT_EXPECT_EQ(test, iotarget_delete(target, FAKE_LONG_MS, NULL), 0);
}

/* A call that ended does not keep the target from going away. */
static void limbo_outlives_the_target(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_wait_report report;
	u8 *data = buffer(test, SZ_4K);

	t->fake.hold = true;
	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, data, SZ_4K, 0,
					    FAKE_SENT_MS, NULL), -ETIMEDOUT);
	t->deleted = true;
	KUNIT_EXPECT_EQ(test, iotarget_delete(t->target, FAKE_SHORT_MS,
					      &report), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, report.sent, 1);
}

static void timed_on_a_stopped_target(struct kunit *test)
{
	struct fake_test *t = test->priv;
	u8 *data = buffer(test, SZ_4K);
	struct iotarget_result res;

	stop_leave(test);
	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, data, SZ_4K, 0,
					    FAKE_SHORT_MS, &res), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, res.outcome, IOTARGET_NEVER_SENT);
	fake_call_start(&t->call[0], start, t);
	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, data, SZ_4K, 0,
					    FAKE_LONG_MS, &res), 0);
	expect_bytes(test, data, SZ_4K, 0);
}

static int answer_one_then_stop(void *arg)
{
	struct fake_test *t = arg;

	fake_until(fake_nr_held(&t->fake));
	iotarget_stop(t->target, IOTARGET_LEAVE_SENT_PENDING, 0, NULL);
	fake_answer_all(&t->fake, 0);
	return 0;
}

/* The outcome is of what follows the bytes that were transferred. */
static void outcome_is_of_the_rest(struct kunit *test)
{
	struct fake_test *t = test->priv;
	u8 *data = buffer(test, LONG_LEN);
	struct iotarget_result res;
	size_t i;

	for (i = 0; i < LONG_LEN; i++)
		data[i] = fake_byte(i);
	t->fake.hold = true;
	fake_call_start(&t->call[0], answer_one_then_stop, t);
	/* The fake takes seconds to look at each byte where each access is watched. */
	KUNIT_EXPECT_EQ(test, iotarget_write(t->target, data, LONG_LEN, 0,
					     24 * FAKE_SENT_MS, &res),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, res.bytes, SZ_256K);
	KUNIT_EXPECT_EQ(test, res.outcome, IOTARGET_NEVER_SENT);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 1);
}

static void device_error_is_told(struct kunit *test)
{
	struct fake_test *t = test->priv;
	u8 *data = buffer(test, SZ_4K);
	struct iotarget_result res;

	t->fake.hold = true;
	fake_call_start(&t->call[0], answer_eio, t);
	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, data, SZ_4K, 0,
					    FAKE_LONG_MS, &res), -EIO);
	KUNIT_EXPECT_EQ(test, res.outcome, IOTARGET_DONE);
}

static void bad_arguments_of_timed_calls(struct kunit *test)
{
	struct fake_test *t = test->priv;
	u8 data[16];
	unsigned long irq;
	int ret;

	KUNIT_EXPECT_EQ(test, iotarget_read(NULL, data, 16, 0, 1, NULL),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, NULL, 16, 0, 1, NULL),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, data, 16, 0, 0, NULL),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, data, 16, 0,
					    IOTARGET_WAIT_FOREVER, NULL),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, data, 16, 0,
					    IOTARGET_TIMEOUT_MAX_MS + 1, NULL),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_read(t->target, data, 16, U64_MAX - 8,
					    1, NULL), -EOVERFLOW);
	local_irq_save(irq);
	ret = iotarget_read(t->target, data, 16, 0, 1, NULL);
	local_irq_restore(irq);
	KUNIT_EXPECT_EQ(test, ret, -EWOULDBLOCK);
	KUNIT_EXPECT_EQ(test, iotarget_flush_wait_forever(NULL, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 0);
}

static struct kunit_case sync_cases[] = {
	KUNIT_CASE(sync_returns_the_status),
	KUNIT_CASE(refused_sync_keeps_its_callback),
	KUNIT_CASE(sync_waits_for_the_start),
	KUNIT_CASE(sync_on_a_stopped_target_times_out),
	KUNIT_CASE(sync_gives_up_and_says_so),
	KUNIT_CASE(sync_is_cancelled),
	KUNIT_CASE(deadline_of_a_sync_send),
	KUNIT_CASE(killed_while_held),
	KUNIT_CASE(killed_while_sent),
	KUNIT_CASE(reads_and_writes),
	KUNIT_CASE(forever_forms_move_the_same),
	KUNIT_CASE(late_answer_touches_nothing),
	KUNIT_CASE(late_write_has_its_own_copy),
	KUNIT_CASE(limbo_has_a_budget),
	KUNIT_CASE(limbo_outlives_the_target),
	KUNIT_CASE(timed_on_a_stopped_target),
	KUNIT_CASE(outcome_is_of_the_rest),
	KUNIT_CASE(device_error_is_told),
	KUNIT_CASE(bad_arguments_of_timed_calls),
	{}
};

static struct kunit_suite sync_suite = {
	.name		= "iotarget_sync",
	.init		= fake_disk_init,
	.exit		= fake_exit,
	.test_cases	= sync_cases,
};

kunit_test_suite(sync_suite);
