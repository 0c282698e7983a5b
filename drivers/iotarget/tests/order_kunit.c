// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of stopping, purging and starting: what waits for what, in which
 * order requests go and are cancelled, and how old they are.
 *
 * The numbers F40 to F71 are rows of the feature checklist in
 * Documentation/driver-api/iotarget/kmdf.rst.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>

#include "fake.h"

#define MANY	(IOTARGET_DRAIN_EXTRA + 40)

/*
 * Of calls by other threads: longer than fake_call_wait() waits for them, since
 * they are to be woken, and not to find out when their time is over.
 */
#define WOKEN_MS	(FAKE_LONG_MS + FAKE_LONG_MS / 2)

static int stop(struct fake_test *t, enum iotarget_stop_action action,
		unsigned int ms)
{
	return iotarget_stop(t->target, action, ms, NULL);
}

static int stop_leave(struct fake_test *t)
{
	return stop(t, IOTARGET_LEAVE_SENT_PENDING, 0);
}

static int stop_wait_call(void *arg)
{
	return stop(arg, IOTARGET_WAIT_FOR_SENT, WOKEN_MS);
}

static int purge_wait_call(void *arg)
{
	struct fake_test *t = arg;

	return iotarget_purge(t->target, IOTARGET_PURGE_AND_WAIT, WOKEN_MS,
			      NULL);
}

static int purge_call(void *arg)
{
	struct fake_test *t = arg;

	return iotarget_purge(t->target, IOTARGET_PURGE, 0, NULL);
}

static void send(struct kunit *test, unsigned int first, unsigned int last,
		 u32 flags)
{
	struct fake_test *t = test->priv;
	unsigned int i;

	for (i = first; i <= last; i++)
		KUNIT_ASSERT_EQ(test, fake_req_send_flags(t->target, &t->req[i],
							  flags), 0);
}

/* Begin a call in another thread, and give it the time to wait. */
static void begin_call(struct kunit *test, unsigned int which,
		       int (*fn)(void *arg))
{
	struct fake_test *t = test->priv;

	fake_call_start(&t->call[which], fn, t);
	schedule_timeout_uninterruptible(3);
	KUNIT_ASSERT_FALSE(test, completion_done(&t->call[which].done));
}

/* Likewise one that stops the target: a slow machine may need longer for that. */
static void begin(struct kunit *test, unsigned int which, int (*fn)(void *arg))
{
	struct fake_test *t = test->priv;

	begin_call(test, which, fn);
	KUNIT_ASSERT_TRUE(test, fake_until(iotarget_get_state(t->target) !=
					   IOTARGET_STARTED));
}

/* F44: in the order of sending; what is held is left alone. */
static void stop_cancels_in_order(struct kunit *test)
{
	struct fake_test *t = test->priv;
	unsigned int i;

	t->fake.hold = true;
	t->fake.stubborn = true;
	send(test, 0, 5, 0);
	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	send(test, 6, 6, 0);
	KUNIT_EXPECT_EQ(test, stop(t, IOTARGET_CANCEL_SENT, FAKE_SHORT_MS),
			-ETIMEDOUT);
	fake_settle(t->target);
	for (i = 0; i < 6; i++)
		KUNIT_EXPECT_EQ(test, t->req[i].cancel_seq, i + 1);
	KUNIT_EXPECT_EQ(test, t->fake.cancels, 6);
	KUNIT_EXPECT_EQ(test, t->target->gate.nr_pended, 1);
	KUNIT_EXPECT_EQ(test, t->req[6].callbacks, 0);
}

/* Those that resisted are asked again, and still in their order. */
static void second_stop_cancel_asks_again(struct kunit *test)
{
	struct fake_test *t = test->priv;
	unsigned int i;

	t->fake.hold = true;
	t->fake.stubborn = true;
	send(test, 0, 3, 0);
	KUNIT_EXPECT_EQ(test, stop(t, IOTARGET_CANCEL_SENT, FAKE_SHORT_MS),
			-ETIMEDOUT);
	/* On a slow machine the time is over before all were asked. */
	fake_settle(t->target);
	t->fake.stubborn = false;
	KUNIT_EXPECT_EQ(test, stop(t, IOTARGET_CANCEL_SENT, FAKE_LONG_MS), 0);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, t->req[i].cancel_seq, i + 5);
		KUNIT_EXPECT_EQ(test, t->req[i].status, -ECANCELED);
	}
}

static void stop_cancel_later(struct fake_test *t)
{
	stop(t, IOTARGET_CANCEL_SENT, 0);
	fake_settle(t->target);
}

/* On its way to the device when the stop comes: not missed. */
static void cancel_of_one_that_is_submitted(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	fake_hook(IOTARGET_HOOK_REQ_SUBMIT, stop_cancel_later, t);
	send(test, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, stop(t, IOTARGET_WAIT_FOR_SENT, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].status, -ECANCELED);
}

/* F45: does not cancel. */
static void stop_wait_cancels_nothing(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	send(test, 0, 1, 0);
	begin(test, 0, stop_wait_call);
	KUNIT_EXPECT_EQ(test, t->fake.cancels, 0);
	fake_answer(&t->fake, 0);
	schedule_timeout_uninterruptible(2);
	KUNIT_EXPECT_FALSE(test, completion_done(&t->call[0].done));
	fake_answer(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
}

/* F46: left behind, and covered by a later stop. */
static void later_stop_covers_what_was_left(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	send(test, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	KUNIT_EXPECT_EQ(test, stop(t, IOTARGET_WAIT_FOR_SENT, FAKE_SHORT_MS),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, stop(t, IOTARGET_CANCEL_SENT, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].status, -ECANCELED);
}

/* F40, F47: sent whatever the state, counted, not waited for. */
static void ignored_are_not_waited_for(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_wait_report report;
	struct iotarget_info info;

	t->fake.hold = true;
	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	send(test, 0, 0, IOTARGET_SEND_IGNORE_STATE);
	send(test, 1, 1, 0);
	KUNIT_EXPECT_EQ(test, iotarget_stop(t->target, IOTARGET_CANCEL_SENT,
					    FAKE_LONG_MS, &report), 0);
	KUNIT_EXPECT_EQ(test, report.sent, 1);
	KUNIT_EXPECT_EQ(test, report.pended, 1);
	KUNIT_EXPECT_EQ(test, t->fake.cancels, 0);
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE_AND_WAIT,
					     FAKE_LONG_MS, NULL), 0);
	send(test, 2, 2, IOTARGET_SEND_IGNORE_STATE);
	iotarget_get_info(t->target, &info);
	KUNIT_EXPECT_EQ(test, info.sent, 2);
	KUNIT_EXPECT_EQ(test, info.ignored, 2);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 2);
}

/* F51: a close cancels and waits for them, too; F40: and refuses new ones. */
static void close_covers_the_ignored(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	t->fake.stubborn = true;
	send(test, 0, 0, IOTARGET_SEND_IGNORE_STATE);
	send(test, 1, 1, 0);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	fake_settle(t->target);
	KUNIT_EXPECT_EQ(test, t->fake.cancels, 2);
	KUNIT_EXPECT_EQ(test,
			fake_req_send_flags(t->target, &t->req[2],
					    IOTARGET_SEND_IGNORE_STATE),
			-ESHUTDOWN);
	fake_answer(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, t->fake.releases, 0);
	fake_answer(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, t->fake.releases, 1);
}

/* F55: both return, and not before it is quiet. */
static void two_waiting_stops_both_return(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	send(test, 0, 0, 0);
	begin(test, 0, stop_wait_call);
	begin(test, 1, stop_wait_call);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[1]), 0);
}

/* F55: nor does a stop that leaves them let the waiting one go. */
static void leave_releases_nobody(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	send(test, 0, 0, 0);
	begin(test, 0, stop_wait_call);
	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	schedule_timeout_uninterruptible(2);
	KUNIT_EXPECT_FALSE(test, completion_done(&t->call[0].done));
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
}

static void purge_while_a_stop_waits(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	t->fake.stubborn = true;
	send(test, 0, 0, 0);
	begin(test, 0, stop_wait_call);
	send(test, 1, 1, 0);
	begin(test, 1, purge_wait_call);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->req[1].callbacks)));
	KUNIT_EXPECT_EQ(test, t->req[1].status, -ENODEV);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[1]), 0);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_PURGED);
}

/* F54: KMDF's start waits for the stop; ours ends the stop's waiting. */
static void start_ends_a_waiting_stop(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	send(test, 0, 0, 0);
	begin(test, 0, stop_wait_call);
	KUNIT_EXPECT_EQ(test, iotarget_start(t->target), 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), -ECANCELED);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
}

/* Who waits for an instance goes on waiting for it, whatever comes after. */
static void reopen_while_a_stop_waits(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	t->fake.stubborn = true;
	send(test, 0, 0, 0);
	begin(test, 0, stop_wait_call);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, 0, NULL), -ETIMEDOUT);
	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, true), 0);
	schedule_timeout_uninterruptible(2);
	KUNIT_EXPECT_FALSE(test, completion_done(&t->call[0].done));
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
}

static void look_at_the_gate(struct iotarget *target, struct fake_req *fr)
{
	struct fake_test *t = fr->priv;

	/* Only a test may sleep here: a wait that ends too early is to do so. */
	schedule_timeout_uninterruptible(3);
	fr->index = 1 + completion_done(&t->call[0].done);
}

static int close_call(void *arg)
{
	struct fake_test *t = arg;

	return iotarget_close(t->target, WOKEN_MS, NULL);
}

/* Design I6: quiet is when the last callback has returned. */
static void waits_end_after_the_callback(struct kunit *test, u32 flags,
					 int (*fn)(void *arg))
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	t->fake.stubborn = true;
	t->req[0].on_complete = look_at_the_gate;
	t->req[0].priv = t;
	send(test, 0, 0, flags);
	begin(test, 0, fn);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, t->req[0].index, 1);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
}

static void stop_waits_for_the_callback(struct kunit *test)
{
	waits_end_after_the_callback(test, 0, stop_wait_call);
}

static void close_waits_for_the_callback(struct kunit *test)
{
	waits_end_after_the_callback(test, 0, close_call);
}

static void close_waits_for_the_ignored_callback(struct kunit *test)
{
	waits_end_after_the_callback(test, IOTARGET_SEND_IGNORE_STATE,
				     close_call);
}

/* The one that waits for what it is to fail itself (F14, F48). */
static void purge_waits_for_a_failing_callback(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	t->req[0].on_complete = look_at_the_gate;
	t->req[0].priv = t;
	send(test, 0, 0, 0);
	fake_call_start(&t->call[1], purge_call, t);
	KUNIT_ASSERT_TRUE(test, fake_until(READ_ONCE(t->req[0].callbacks)));
	fake_call_start(&t->call[0], close_call, t);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].index, 1);
}

static void pause_here(struct fake_test *t)
{
	wait_for_completion(&t->gate);
}

static int answer_call(void *arg)
{
	struct fake_test *t = arg;

	return fake_answer_all(&t->fake, 0);
}

/* Nor is it quiet while a request is between its device and its callback. */
static void stop_waits_between_device_and_callback(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.hold = true;
	send(test, 0, 0, 0);
	fake_hook(IOTARGET_HOOK_REQ_FINISH, pause_here, t);
	begin_call(test, 0, answer_call);
	KUNIT_EXPECT_EQ(test, stop(t, IOTARGET_WAIT_FOR_SENT, FAKE_SHORT_MS),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	complete_all(&t->gate);
	KUNIT_EXPECT_EQ(test, stop(t, IOTARGET_WAIT_FOR_SENT, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 1);
}

/* A sender that passed the gate and is slow is waited for. */
static void stop_sees_a_slow_sender(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.submit_gate = &t->gate;
	fake_call_start(&t->call[0], purge_wait_call, t);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	KUNIT_EXPECT_EQ(test, iotarget_start_and_wait(t->target, FAKE_LONG_MS,
						      NULL), 0);
	send(test, 0, 0, IOTARGET_SEND_ATOMIC);
	KUNIT_ASSERT_TRUE(test, fake_until(READ_ONCE(t->fake.entered)));
	KUNIT_EXPECT_EQ(test, stop(t, IOTARGET_WAIT_FOR_SENT, FAKE_SHORT_MS),
			-ETIMEDOUT);
	complete_all(&t->gate);
	KUNIT_EXPECT_EQ(test, stop(t, IOTARGET_WAIT_FOR_SENT, FAKE_LONG_MS), 0);
}

/*
 * Killed is not dead: until all CPUs have confirmed it, senders may still get
 * the reference.  That takes an RCU grace period, and none passes here.
 */
static void kill_is_confirmed_first(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_inst *inst = iotarget_inst_current(t->target);
	enum iotarget_ref_state state;
	bool quiet;

	kref_get(&inst->kref);	/* iotarget_reconcile() puts it */
	local_bh_disable();
	stop_leave(t);
	iotarget_reconcile(&inst->reconcile);
	state = inst->ref_state;
	quiet = iotarget_inst_quiet(inst);
	local_bh_enable();
	KUNIT_EXPECT_EQ(test, state, IOTARGET_REF_KILLING);
	KUNIT_EXPECT_FALSE(test, quiet);
	KUNIT_EXPECT_EQ(test, stop(t, IOTARGET_WAIT_FOR_SENT, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, inst->ref_state, IOTARGET_REF_DEAD);
	KUNIT_EXPECT_TRUE(test, iotarget_inst_quiet(inst));
	iotarget_inst_put(inst);
}

/* F49: in any order, and after each the state takes what it should. */
static void every_change_of_state(struct kunit *test)
{
	/* Started, stopped, purged; each after each. */
	static const char way[] = "PSRPRSPPSSRRP";
	struct fake_test *t = test->priv;
	unsigned int i, expect;
	int ret;

	for (i = 0; way[i]; i++) {
		if (way[i] == 'R')
			ret = iotarget_start_and_wait(t->target, FAKE_LONG_MS,
						      NULL);
		else if (way[i] == 'S')
			ret = stop(t, IOTARGET_WAIT_FOR_SENT, FAKE_LONG_MS);
		else
			ret = purge_wait_call(t);
		KUNIT_EXPECT_EQ(test, ret, 0);
		ret = fake_req_send_flags(t->target, &t->req[0],
					  IOTARGET_SEND_NOWAIT);
		expect = way[i] == 'R' ? 0 : way[i] == 'S' ? EAGAIN : ESHUTDOWN;
		KUNIT_EXPECT_EQ(test, -ret, expect);
	}
}

static void stop_now(struct fake_test *t)
{
	stop_leave(t);
}

/* F42: a stop in the middle of a drain; the rest stays, in its order. */
static void stop_inside_a_drain(struct kunit *test)
{
	struct fake_test *t = test->priv;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	send(test, 0, 5, 0);
	fake_hook(IOTARGET_HOOK_GATE_DRAIN, stop_now, t);
	KUNIT_EXPECT_EQ(test, iotarget_start_and_wait(t->target, FAKE_LONG_MS,
						      NULL), -ECANCELED);
	fake_settle(t->target);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 1);
	KUNIT_EXPECT_EQ(test, t->target->gate.nr_pended, 5);
	send(test, 6, 6, 0);
	KUNIT_EXPECT_EQ(test, iotarget_start_and_wait(t->target, FAKE_LONG_MS,
						      NULL), 0);
	for (i = 0; i < 7; i++)
		KUNIT_EXPECT_EQ(test, t->req[i].submit_seq, i + 1);
}

static void close_now(struct fake_test *t)
{
	iotarget_close(t->target, 0, NULL);
}

/* F42: a close in the middle of a drain; none of the rest was ever sent. */
static void close_inside_a_drain(struct kunit *test)
{
	struct fake_test *t = test->priv;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	send(test, 0, 5, 0);
	fake_hook(IOTARGET_HOOK_GATE_DRAIN, close_now, t);
	KUNIT_EXPECT_EQ(test, iotarget_start(t->target), 0);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->req[0].callbacks)));
	for (i = 0; i < 6; i++) {
		KUNIT_EXPECT_EQ(test, t->req[i].callbacks, 1);
		KUNIT_EXPECT_EQ(test, t->req[i].status, -ENODEV);
		KUNIT_EXPECT_EQ(test, t->req[i].outcome, IOTARGET_NEVER_SENT);
	}
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 0);
}

static void send_two_now(struct fake_test *t)
{
	fake_req_send(t->target, &t->req[2], NULL);
	fake_req_send(t->target, &t->req[3], NULL);
}

/* F41, I5: sent while it drains, they go after what was held. */
static void nobody_overtakes_the_drain(struct kunit *test)
{
	struct fake_test *t = test->priv;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	send(test, 0, 1, 0);
	fake_hook(IOTARGET_HOOK_GATE_DRAIN, send_two_now, t);
	KUNIT_EXPECT_EQ(test, iotarget_start_and_wait(t->target, FAKE_LONG_MS,
						      NULL), 0);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, t->req[i].submit_seq, i + 1);
}

/* I5: the last one is off the FIFO, but not with the device yet. */
static void start_sees_the_one_in_the_drain(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	send(test, 0, 0, 0);
	t->fake.submit_gate = &t->gate;
	KUNIT_EXPECT_EQ(test, iotarget_start(t->target), 0);
	KUNIT_ASSERT_TRUE(test, fake_until(READ_ONCE(t->fake.entered)));
	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	KUNIT_EXPECT_EQ(test, iotarget_start(t->target), 0);
	send(test, 1, 1, 0);
	KUNIT_EXPECT_EQ(test, t->req[1].submit_seq, 0);
	complete_all(&t->gate);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->req[1].callbacks)));
	KUNIT_EXPECT_EQ(test, t->req[0].submit_seq, 1);
	KUNIT_EXPECT_EQ(test, t->req[1].submit_seq, 2);
}

/* I5: a start of a started target sees what is still held. */
static void start_of_a_started_target(struct kunit *test)
{
	struct fake_test *t = test->priv;

	send(test, 0, 0, IOTARGET_SEND_ATOMIC);
	KUNIT_EXPECT_EQ(test, iotarget_start(t->target), 0);
	send(test, 1, 1, 0);
	fake_settle(t->target);
	KUNIT_EXPECT_EQ(test, t->req[0].submit_seq, 1);
	KUNIT_EXPECT_EQ(test, t->req[1].submit_seq, 2);
}

/* Sends itself again until it was told to end. */
static void again(struct iotarget *target, struct fake_req *fr)
{
	if (fr->callbacks < 3 * MANY)
		fake_req_send_flags(target, fr, IOTARGET_SEND_ATOMIC);
}

/* A drain ends however fast others send, after so many of them. */
static void drain_has_a_bound(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	t->req[0].on_complete = again;
	send(test, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, iotarget_start_and_wait(t->target, FAKE_LONG_MS,
						      NULL), 0);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->req[0].callbacks) ==
					   3 * MANY));
}

static unsigned int drained_at;

static void note_drained(struct fake_test *t)
{
	drained_at = t->fake.submitted;
}

static void drain_bound_is_the_one_we_say(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	t->req[0].on_complete = again;
	send(test, 0, 0, 0);
	fake_hook(IOTARGET_HOOK_GATE_DRAINED, note_drained, t);
	KUNIT_EXPECT_EQ(test, iotarget_start_and_wait(t->target, FAKE_LONG_MS,
						      NULL), 0);
	fake_until(READ_ONCE(t->req[0].callbacks) == 3 * MANY);
	/* The one that was held, and those that came after the start. */
	KUNIT_EXPECT_EQ(test, drained_at, 1 + IOTARGET_DRAIN_EXTRA);
}

static void start_and_wait_has_a_bound(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_wait_report report;

	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	send(test, 0, 1, 0);
	t->fake.submit_gate = &t->gate;
	KUNIT_EXPECT_EQ(test, iotarget_start_and_wait(t->target, FAKE_SENT_MS,
						      &report), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, report.sent, 1);
	KUNIT_EXPECT_EQ(test, report.pended, 1);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
}

static void again_past_the_state(struct iotarget *target, struct fake_req *fr)
{
	if (fr->callbacks < 10 * MANY)
		fake_req_send_flags(target, fr, IOTARGET_SEND_ATOMIC |
						IOTARGET_SEND_IGNORE_STATE);
}

/* What goes past the state does not keep what is held from going. */
static void handoffs_do_not_starve_the_drain(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_inst *inst = iotarget_inst_current(t->target);

	KUNIT_EXPECT_EQ(test, stop_leave(t), 0);
	send(test, 1, 1, 0);
	t->req[0].on_complete = again_past_the_state;
	/* The worker has the first of them in hand until both gates are open. */
	t->fake.submit_gate = &t->gate;
	send(test, 0, 0, IOTARGET_SEND_ATOMIC | IOTARGET_SEND_IGNORE_STATE);
	KUNIT_EXPECT_EQ(test, iotarget_start(t->target), 0);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(inst->ref_state) ==
					   IOTARGET_REF_LIVE));
	iotarget_inst_put(inst);
	complete_all(&t->gate);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->req[1].submit_seq)));
	KUNIT_EXPECT_LE(test, t->req[1].submit_seq, 3);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->req[0].callbacks) ==
					   10 * MANY));
}

static u64 oldest_ms(struct fake_test *t)
{
	struct iotarget_info info;

	iotarget_get_info(t->target, &info);
	return info.oldest_ms;
}

static u64 ms_since(u64 ns)
{
	return div_u64(ktime_get_ns() - ns, NSEC_PER_MSEC);
}

static void next_epoch(struct iotarget_inst *inst)
{
	mod_delayed_work(iotarget_fast_wq, &inst->tick, 0);
	flush_delayed_work(&inst->tick);
}

/*
 * The age grows, and is that of the oldest that is still out.  However slow the
 * machine is: at least that of the request, at most that of its slot.
 */
static void age_of_the_oldest(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_inst *inst = iotarget_inst_current(t->target);
	u64 sent, second = 0, age;
	unsigned int i, first;

	KUNIT_EXPECT_EQ(test, oldest_ms(t), 0);
	t->fake.hold = true;
	send(test, 0, 0, 0);
	sent = ktime_get_ns();
	first = inst->epoch;
	for (i = 1; i < IOTARGET_NR_EPOCHS + 2; i++) {
		schedule_timeout_uninterruptible(2);
		if (i == 1)
			second = ktime_get_ns();
		next_epoch(inst);
		age = ms_since(sent);
		KUNIT_EXPECT_GE(test, oldest_ms(t), age);
		/* A slot that is in use is not used again. */
		KUNIT_EXPECT_NE(test, inst->epoch, first);
		send(test, i, i, 0);
	}
	fake_answer(&t->fake, 0);
	age = oldest_ms(t);
	KUNIT_EXPECT_LE(test, age, ms_since(second));
	KUNIT_EXPECT_GT(test, age, 0);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, oldest_ms(t), 0);
	iotarget_inst_put(inst);
}

/* A request after a long rest is not as old as the rest. */
static void rest_does_not_age(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_inst *inst = iotarget_inst_current(t->target);
	u64 rested, age;

	schedule_timeout_uninterruptible(HZ / 2);
	rested = ktime_get_ns();
	next_epoch(inst);
	t->fake.hold = true;
	send(test, 0, 0, 0);
	age = oldest_ms(t);
	KUNIT_EXPECT_LE(test, age, ms_since(rested));
	iotarget_inst_put(inst);
}

static struct kunit_case order_cases[] = {
	KUNIT_CASE(stop_cancels_in_order),
	KUNIT_CASE(second_stop_cancel_asks_again),
	KUNIT_CASE(cancel_of_one_that_is_submitted),
	KUNIT_CASE(stop_wait_cancels_nothing),
	KUNIT_CASE(later_stop_covers_what_was_left),
	KUNIT_CASE(ignored_are_not_waited_for),
	KUNIT_CASE(close_covers_the_ignored),
	KUNIT_CASE(two_waiting_stops_both_return),
	KUNIT_CASE(leave_releases_nobody),
	KUNIT_CASE(purge_while_a_stop_waits),
	KUNIT_CASE(start_ends_a_waiting_stop),
	KUNIT_CASE(reopen_while_a_stop_waits),
	KUNIT_CASE(stop_waits_for_the_callback),
	KUNIT_CASE(close_waits_for_the_callback),
	KUNIT_CASE(close_waits_for_the_ignored_callback),
	KUNIT_CASE(purge_waits_for_a_failing_callback),
	KUNIT_CASE(stop_waits_between_device_and_callback),
	KUNIT_CASE(stop_sees_a_slow_sender),
	KUNIT_CASE(kill_is_confirmed_first),
	KUNIT_CASE(every_change_of_state),
	KUNIT_CASE(stop_inside_a_drain),
	KUNIT_CASE(close_inside_a_drain),
	KUNIT_CASE(nobody_overtakes_the_drain),
	KUNIT_CASE(start_sees_the_one_in_the_drain),
	KUNIT_CASE(start_of_a_started_target),
	KUNIT_CASE(drain_has_a_bound),
	KUNIT_CASE(drain_bound_is_the_one_we_say),
	KUNIT_CASE(start_and_wait_has_a_bound),
	KUNIT_CASE(handoffs_do_not_starve_the_drain),
	KUNIT_CASE(age_of_the_oldest),
	KUNIT_CASE(rest_does_not_age),
	{}
};

static struct kunit_suite order_suite = {
	.name		= "iotarget_order",
	.init		= fake_usb_init,
	.exit		= fake_exit,
	.test_cases	= order_cases,
};

kunit_test_suite(order_suite);
