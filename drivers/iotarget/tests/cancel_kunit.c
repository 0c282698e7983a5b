// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of cancelling and of timeouts, on a device that can cancel and on
 * one that can't.
 *
 * The numbers F59 to F70 are rows of the feature checklist in
 * Documentation/driver-api/iotarget/kmdf.rst.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>

#include "fake.h"

#define HOUR_MS	(3600 * 1000)

static void hold_one(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, iotarget_stop(t->target,
					    IOTARGET_LEAVE_SENT_PENDING, 0,
					    NULL), 0);
	KUNIT_ASSERT_EQ(test, fake_req_send_flags(t->target, &t->req[0],
						  IOTARGET_SEND_TIMEOUT), 0);
}

static void send_one(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, fake_req_send_flags(t->target, &t->req[0],
						  IOTARGET_SEND_TIMEOUT), 0);
	KUNIT_ASSERT_EQ(test, t->req[0].submit_seq, 1);
}

static void expect_end(struct kunit *test, int status,
		       enum iotarget_outcome outcome)
{
	struct fake_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 1);
	KUNIT_EXPECT_EQ(test, t->req[0].status, status);
	KUNIT_EXPECT_EQ(test, t->req[0].outcome, outcome);
}

static void cancel_first(struct fake_test *t)
{
	iotarget_request_cancel(&t->req[0].req);
}

static void expire_first(struct fake_test *t)
{
	iotarget_request_expire_timer(&t->req[0].req);
}

static void answer_first(struct fake_test *t)
{
	fake_answer_req(&t->fake, &t->req[0].req, 0);
}

/* F59 */
static void held_is_cancelled_at_once(struct kunit *test)
{
	struct fake_test *t = test->priv;

	hold_one(test);
	KUNIT_EXPECT_TRUE(test, iotarget_request_cancel(&t->req[0].req));
	expect_end(test, -ECANCELED, IOTARGET_NEVER_SENT);
	KUNIT_EXPECT_EQ(test, t->target->gate.nr_pended, 0);
	KUNIT_EXPECT_EQ(test, iotarget_start_and_wait(t->target, FAKE_LONG_MS,
						      NULL), 0);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 0);
}

/* F60: attempted; the status is the device's. */
static void disk_ends_as_it_likes(struct kunit *test)
{
	struct fake_test *t = test->priv;

	send_one(test);
	KUNIT_EXPECT_TRUE(test, iotarget_request_cancel(&t->req[0].req));
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	fake_answer_all(&t->fake, 0);
	expect_end(test, 0, IOTARGET_DONE);
}

/* F60 */
static void usb_gives_it_back(struct kunit *test)
{
	struct fake_test *t = test->priv;

	send_one(test);
	KUNIT_EXPECT_TRUE(test, iotarget_request_cancel(&t->req[0].req));
	expect_end(test, -ECANCELED, IOTARGET_UNKNOWN);
	KUNIT_EXPECT_EQ(test, t->fake.cancels, 1);
}

/* F61: the latch holds until reuse, whenever it was set. */
static void latch_before_the_send(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct fake_req *fr = &t->req[0];

	KUNIT_EXPECT_FALSE(test, iotarget_request_cancel(&fr->req));
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, fr, NULL), -ECANCELED);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, fr, NULL), -ECANCELED);
	KUNIT_EXPECT_EQ(test, fr->callbacks, 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_reuse(&fr->req), 0);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, fr, NULL), 0);
	KUNIT_EXPECT_EQ(test, fr->callbacks, 1);
}

/* F61, F62: too late, and said so. */
static void latch_after_the_completion(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct fake_req *fr = &t->req[0];

	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, fr, NULL), 0);
	KUNIT_EXPECT_FALSE(test, iotarget_request_cancel(&fr->req));
	expect_end(test, 0, IOTARGET_DONE);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, fr, NULL), -ECANCELED);
	KUNIT_EXPECT_EQ(test, iotarget_request_reuse(&fr->req), 0);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, fr, NULL), 0);
}

/* F61: set while it was out. */
static void latch_while_out(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct fake_req *fr = &t->req[0];

	send_one(test);
	iotarget_request_cancel(&fr->req);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, fr, NULL), -ECANCELED);
	KUNIT_EXPECT_EQ(test, fr->callbacks, 1);
}

/* F62: the device and a canceller at once. */
static void completion_inside_a_cancel(struct kunit *test)
{
	struct fake_test *t = test->priv;

	send_one(test);
	fake_hook(IOTARGET_HOOK_REQ_CANCEL, answer_first, t);
	KUNIT_EXPECT_TRUE(test, iotarget_request_cancel(&t->req[0].req));
	expect_end(test, 0, IOTARGET_DONE);
}

static void cancel_inside_a_completion(struct kunit *test)
{
	struct fake_test *t = test->priv;

	send_one(test);
	fake_hook(IOTARGET_HOOK_REQ_DONE, cancel_first, t);
	fake_answer_all(&t->fake, 0);
	expect_end(test, 0, IOTARGET_DONE);
}

/* F63, the first outcome: refused. */
static void cancel_before_the_gate(struct kunit *test)
{
	struct fake_test *t = test->priv;

	fake_hook(IOTARGET_HOOK_REQ_SEND, cancel_first, t);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], NULL),
			-ECANCELED);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 0);
}

static void stop_then_cancel(struct fake_test *t)
{
	iotarget_stop(t->target, IOTARGET_LEAVE_SENT_PENDING, 0, NULL);
	fake_hook(IOTARGET_HOOK_GATE_REFUSED, cancel_first, t);
}

/* F63: cancelled between the gate, which a stop has shut, and the FIFO. */
static void cancel_on_the_way_to_the_fifo(struct kunit *test)
{
	struct fake_test *t = test->priv;

	fake_hook(IOTARGET_HOOK_GATE_ENTERED, stop_then_cancel, t);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], NULL),
			-ECANCELED);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	KUNIT_EXPECT_EQ(test, t->target->gate.nr_pended, 0);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 0);
}

/* F63, the second outcome: accepted, and cancelled before the device saw it. */
static void cancel_past_the_gate(struct kunit *test)
{
	struct fake_test *t = test->priv;

	fake_hook(IOTARGET_HOOK_REQ_SUBMIT, cancel_first, t);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	expect_end(test, -ECANCELED, IOTARGET_NEVER_SENT);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 0);
}

static int send_first_call(void *arg)
{
	struct fake_test *t = arg;

	return fake_req_send_flags(t->target, &t->req[0],
				   IOTARGET_SEND_TIMEOUT);
}

/* Send the first request in another thread, which gets stuck in submit(). */
static void begin_submit(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	t->fake.submit_gate = &t->gate;
	fake_call_start(&t->call[0], send_first_call, t);
	KUNIT_ASSERT_TRUE(test, fake_until(READ_ONCE(t->fake.entered)));
}

/* The device did not have it yet when it was asked: then it is asked again. */
static void cancel_while_it_is_submitted(struct kunit *test)
{
	struct fake_test *t = test->priv;

	begin_submit(test);
	KUNIT_EXPECT_TRUE(test, iotarget_request_cancel(&t->req[0].req));
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	complete_all(&t->gate);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	expect_end(test, -ECANCELED, IOTARGET_UNKNOWN);
}

static void timeout_while_it_is_submitted(struct kunit *test)
{
	struct fake_test *t = test->priv;

	begin_submit(test);
	KUNIT_EXPECT_TRUE(test, iotarget_request_expire_timer(&t->req[0].req));
	complete_all(&t->gate);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	expect_end(test, -ETIMEDOUT, IOTARGET_UNKNOWN);
}

static void stop_cancel_while_it_is_submitted(struct kunit *test)
{
	struct fake_test *t = test->priv;

	begin_submit(test);
	KUNIT_EXPECT_EQ(test, iotarget_stop(t->target, IOTARGET_CANCEL_SENT,
					    FAKE_SHORT_MS, NULL), -ETIMEDOUT);
	complete_all(&t->gate);
	KUNIT_EXPECT_EQ(test, iotarget_stop(t->target, IOTARGET_WAIT_FOR_SENT,
					    FAKE_LONG_MS, NULL), 0);
	expect_end(test, -ECANCELED, IOTARGET_UNKNOWN);
}

static int cancel_first_call(void *arg)
{
	cancel_first(arg);
	return 0;
}

static void pause_here(struct fake_test *t)
{
	complete(&t->call[1].done);
	wait_for_completion(&t->gate);
}

/* Cancel the first request in another thread, up to where it has its claim. */
static void begin_cancel(struct fake_test *t)
{
	init_completion(&t->call[1].done);
	fake_hook(IOTARGET_HOOK_REQ_CANCEL, pause_here, t);
	fake_call_start(&t->call[0], cancel_first_call, t);
	wait_for_completion(&t->call[1].done);
}

/*
 * A canceller is at work when the request is failed, so it is the canceller who
 * calls back: until then no wait for the target is over (F14).
 */
static void purged_under_a_canceller(struct kunit *test)
{
	struct fake_test *t = test->priv;

	hold_one(test);
	begin_cancel(t);
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE, 0,
					     NULL), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target,
					     IOTARGET_PURGE_AND_WAIT,
					     FAKE_SHORT_MS * 10, NULL),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	complete_all(&t->gate);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
	expect_end(test, -ENODEV, IOTARGET_NEVER_SENT);
}

/* The same when the gate refuses it: it counts as accepted then (F63). */
static void refused_under_a_canceller(struct kunit *test)
{
	struct fake_test *t = test->priv;

	fake_hook(IOTARGET_HOOK_REQ_SEND, begin_cancel, t);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	t->deleted = true;
	KUNIT_EXPECT_EQ(test, iotarget_delete(t->target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	complete_all(&t->gate);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	expect_end(test, -ECANCELED, IOTARGET_NEVER_SENT);
}

/* F64: the time of being held counts. */
static void timeout_of_a_held_one(struct kunit *test)
{
	const struct iotarget_send_params params = {
		.flags = IOTARGET_SEND_TIMEOUT,
		.timeout_ms = FAKE_SHORT_MS,
	};
	struct fake_test *t = test->priv;

	iotarget_stop(t->target, IOTARGET_LEAVE_SENT_PENDING, 0, NULL);
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, &t->req[0], &params), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->req[0].callbacks)));
	expect_end(test, -ETIMEDOUT, IOTARGET_NEVER_SENT);
	KUNIT_EXPECT_EQ(test, t->target->gate.nr_pended, 0);
}

/* F64: with a device that cancels, cancelled becomes timed out. */
static void timeout_of_a_sent_one(struct kunit *test)
{
	struct fake_test *t = test->priv;

	send_one(test);
	KUNIT_EXPECT_TRUE(test, iotarget_request_expire_timer(&t->req[0].req));
	expect_end(test, -ETIMEDOUT, IOTARGET_UNKNOWN);
}

/* F65: success that comes late is success, and an error stays that error. */
static void late_success_stays_success(struct kunit *test)
{
	struct fake_test *t = test->priv;

	send_one(test);
	KUNIT_EXPECT_TRUE(test, iotarget_request_expire_timer(&t->req[0].req));
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	fake_answer_all(&t->fake, 0);
	expect_end(test, 0, IOTARGET_DONE);
}

static void late_error_stays_that_error(struct kunit *test)
{
	struct fake_test *t = test->priv;

	send_one(test);
	KUNIT_EXPECT_TRUE(test, iotarget_request_expire_timer(&t->req[0].req));
	fake_answer_all(&t->fake, -EIO);
	expect_end(test, -EIO, IOTARGET_DONE);
}

/* F66: the handler runs while the device completes, either way round. */
static void completion_inside_the_timer(struct kunit *test)
{
	struct fake_test *t = test->priv;

	send_one(test);
	fake_hook(IOTARGET_HOOK_REQ_TIMEOUT, answer_first, t);
	KUNIT_EXPECT_TRUE(test, iotarget_request_expire_timer(&t->req[0].req));
	expect_end(test, 0, IOTARGET_DONE);
}

static void timer_inside_a_completion(struct kunit *test)
{
	struct fake_test *t = test->priv;

	send_one(test);
	fake_hook(IOTARGET_HOOK_REQ_DONE, expire_first, t);
	fake_answer_all(&t->fake, 0);
	expect_end(test, 0, IOTARGET_DONE);
}

/* F67: KMDF loses the timer when a held request is sent; we do not. */
static void timer_survives_the_drain(struct kunit *test)
{
	struct fake_test *t = test->priv;

	hold_one(test);
	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, iotarget_start_and_wait(t->target, FAKE_LONG_MS,
						      NULL), 0);
	KUNIT_ASSERT_EQ(test, t->req[0].submit_seq, 1);
	KUNIT_EXPECT_TRUE(test, iotarget_request_expire_timer(&t->req[0].req));
	expect_end(test, -ETIMEDOUT, IOTARGET_UNKNOWN);
}

/* F69 */
static void timeout_of_zero_is_none(struct kunit *test)
{
	const struct iotarget_send_params params = {
		.flags = IOTARGET_SEND_TIMEOUT,
	};
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, &t->req[0], &params), 0);
	KUNIT_EXPECT_FALSE(test, iotarget_request_expire_timer(&t->req[0].req));
	fake_answer_all(&t->fake, 0);
	expect_end(test, 0, IOTARGET_DONE);
}

/* F69: a deadline is honoured, and one that has passed is met at once. */
static void deadline_is_absolute(struct kunit *test)
{
	struct iotarget_send_params params = {
		.flags = IOTARGET_SEND_DEADLINE,
		.deadline = 1,
	};
	struct fake_test *t = test->priv;
	int ret;

	iotarget_stop(t->target, IOTARGET_LEAVE_SENT_PENDING, 0, NULL);
	/* Where the timer is sooner than the gate it is refused, without a callback. */
	ret = fake_req_send(t->target, &t->req[0], &params);
	if (ret) {
		KUNIT_EXPECT_EQ(test, ret, -ETIMEDOUT);
		KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	} else {
		KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->req[0].callbacks)));
		expect_end(test, -ETIMEDOUT, IOTARGET_NEVER_SENT);
	}

	params.deadline = ktime_add_ms(ktime_get(), HOUR_MS);
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, &t->req[1], &params), 0);
	schedule_timeout_uninterruptible(2);
	KUNIT_EXPECT_EQ(test, t->req[1].callbacks, 0);
	KUNIT_EXPECT_TRUE(test, iotarget_request_expire_timer(&t->req[1].req));
	KUNIT_EXPECT_EQ(test, t->req[1].status, -ETIMEDOUT);
}

/* F70: the purge has it, then its timer goes off. */
static void purged_stays_never_sent(struct kunit *test)
{
	struct fake_test *t = test->priv;

	hold_one(test);
	fake_hook(IOTARGET_HOOK_GATE_FAIL, expire_first, t);
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE, 0,
					     NULL), 0);
	expect_end(test, -ENODEV, IOTARGET_NEVER_SENT);
	KUNIT_EXPECT_EQ(test, t->req[0].bytes, 0);
}

/* The other way round: its time is over first. */
static void timed_out_stays_timed_out(struct kunit *test)
{
	struct fake_test *t = test->priv;

	hold_one(test);
	iotarget_request_expire_timer(&t->req[0].req);
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE, 0,
					     NULL), 0);
	expect_end(test, -ETIMEDOUT, IOTARGET_NEVER_SENT);
}

/* A timer that did not go off is no more when the request has completed. */
static void timer_ends_with_the_request(struct kunit *test)
{
	struct fake_test *t = test->priv;

	send_one(test);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_FALSE(test, timer_pending(&t->req[0].req.timer));
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE, 0,
					     NULL), 0);
	KUNIT_EXPECT_EQ(test, fake_req_send_flags(t->target, &t->req[1],
						  IOTARGET_SEND_TIMEOUT),
			-ESHUTDOWN);
	KUNIT_EXPECT_FALSE(test, timer_pending(&t->req[1].req.timer));
}

static struct kunit_case disk_cases[] = {
	KUNIT_CASE(held_is_cancelled_at_once),
	KUNIT_CASE(latch_before_the_send),
	KUNIT_CASE(latch_after_the_completion),
	KUNIT_CASE(latch_while_out),
	KUNIT_CASE(completion_inside_a_cancel),
	KUNIT_CASE(cancel_inside_a_completion),
	KUNIT_CASE(cancel_before_the_gate),
	KUNIT_CASE(cancel_past_the_gate),
	KUNIT_CASE(purged_under_a_canceller),
	KUNIT_CASE(refused_under_a_canceller),
	KUNIT_CASE(cancel_on_the_way_to_the_fifo),
	KUNIT_CASE(timeout_of_a_held_one),
	KUNIT_CASE(completion_inside_the_timer),
	KUNIT_CASE(timer_inside_a_completion),
	KUNIT_CASE(timeout_of_zero_is_none),
	KUNIT_CASE(deadline_is_absolute),
	KUNIT_CASE(purged_stays_never_sent),
	KUNIT_CASE(timed_out_stays_timed_out),
	KUNIT_CASE(timer_ends_with_the_request),
	KUNIT_CASE(disk_ends_as_it_likes),
	KUNIT_CASE(late_success_stays_success),
	KUNIT_CASE(late_error_stays_that_error),
	{}
};

static struct kunit_case usb_cases[] = {
	KUNIT_CASE(held_is_cancelled_at_once),
	KUNIT_CASE(latch_before_the_send),
	KUNIT_CASE(latch_after_the_completion),
	KUNIT_CASE(latch_while_out),
	KUNIT_CASE(completion_inside_a_cancel),
	KUNIT_CASE(cancel_inside_a_completion),
	KUNIT_CASE(cancel_before_the_gate),
	KUNIT_CASE(cancel_past_the_gate),
	KUNIT_CASE(purged_under_a_canceller),
	KUNIT_CASE(refused_under_a_canceller),
	KUNIT_CASE(cancel_on_the_way_to_the_fifo),
	KUNIT_CASE(timeout_of_a_held_one),
	KUNIT_CASE(completion_inside_the_timer),
	KUNIT_CASE(timer_inside_a_completion),
	KUNIT_CASE(timeout_of_zero_is_none),
	KUNIT_CASE(deadline_is_absolute),
	KUNIT_CASE(purged_stays_never_sent),
	KUNIT_CASE(timed_out_stays_timed_out),
	KUNIT_CASE(timer_ends_with_the_request),
	KUNIT_CASE(usb_gives_it_back),
	KUNIT_CASE(cancel_while_it_is_submitted),
	KUNIT_CASE(timeout_while_it_is_submitted),
	KUNIT_CASE(stop_cancel_while_it_is_submitted),
	KUNIT_CASE(timeout_of_a_sent_one),
	KUNIT_CASE(timer_survives_the_drain),
	{}
};

static struct kunit_suite disk_suite = {
	.name		= "iotarget_cancel_disk",
	.init		= fake_disk_init,
	.exit		= fake_exit,
	.test_cases	= disk_cases,
};

static struct kunit_suite usb_suite = {
	.name		= "iotarget_cancel_usb",
	.init		= fake_usb_init,
	.exit		= fake_exit,
	.test_cases	= usb_cases,
};

kunit_test_suites(&disk_suite, &usb_suite);
