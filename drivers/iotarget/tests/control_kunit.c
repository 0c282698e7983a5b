// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of what control relies on: transitions that take place only if
 * there was no other one, and the way back into a state; of the stops that a driver
 * makes for a user; and of policies that are changed.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>

#include "fake.h"

#define WAIT_MS	2000

struct control_test {
	struct iotarget		*target;
	struct fake		fake;
};

static int control_init(struct kunit *test)
{
	struct control_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	fake_init(&t->fake);
	t->target = fake_target("control");
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->target));
	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	test->priv = t;
	return 0;
}

static void control_exit(struct kunit *test)
{
	struct control_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, iotarget_delete(t->target, WAIT_MS, NULL), 0);
}

/* Control stops it, as for a stop that expires later; the count after that. */
static u64 stopped_by_control(struct kunit *test)
{
	const struct iotarget_by by = { .cookie = 1 };
	struct control_test *t = test->priv;
	struct iotarget_change change;

	KUNIT_ASSERT_EQ(test, iotarget_control_event(t->target,
						     IOTARGET_EV_STOP_LEAVE,
						     &by, &change), 0);
	iotarget_change_put(&change);
	KUNIT_EXPECT_EQ(test, iotarget_word_state(change.before),
			IOTARGET_STARTED);
	return change.changes;
}

static int restart(struct iotarget *target, u64 unchanged)
{
	const struct iotarget_by by = { .cookie = 1, .unchanged = unchanged };
	struct iotarget_change change;
	int ret;

	ret = iotarget_control_event(target, IOTARGET_EV_START, &by, &change);
	if (!ret)
		iotarget_change_put(&change);
	return ret;
}

static void starts_what_it_stopped(struct kunit *test)
{
	struct control_test *t = test->priv;
	u64 seen = stopped_by_control(test);

	KUNIT_EXPECT_EQ(test, restart(t->target, seen), 0);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
	/* Once. */
	KUNIT_EXPECT_EQ(test, restart(t->target, seen), -ECANCELED);
}

/* Each transition of the driver, even one that looks like nothing. */
static void never_what_the_driver_stopped(struct kunit *test)
{
	static const enum iotarget_event events[] = {
		IOTARGET_EV_STOP_CANCEL, IOTARGET_EV_STOP_WAIT,
		IOTARGET_EV_STOP_LEAVE, IOTARGET_EV_PURGE_WAIT,
		IOTARGET_EV_PURGE,
	};
	struct control_test *t = test->priv;
	enum iotarget_state state;
	unsigned int i;
	u64 seen;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		KUNIT_ASSERT_EQ(test, iotarget_start_and_wait(t->target,
							      WAIT_MS, NULL),
				0);
		seen = stopped_by_control(test);
		KUNIT_ASSERT_EQ(test, iotarget_gate_event(t->target, events[i],
							  NULL, 0, NULL), 0);
		state = iotarget_get_state(t->target);
		KUNIT_EXPECT_EQ_MSG(test, restart(t->target, seen), -ECANCELED,
				    "%s", iotarget_event_name(events[i]));
		KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), state);
	}
}

/* Stopped, started, stopped: it looks the same and is another one's stop. */
static void a_round_trip_is_seen(struct kunit *test)
{
	struct control_test *t = test->priv;
	u64 seen = stopped_by_control(test);

	KUNIT_ASSERT_EQ(test, iotarget_start(t->target), 0);
	KUNIT_ASSERT_EQ(test, iotarget_stop(t->target,
					    IOTARGET_LEAVE_SENT_PENDING, 0,
					    NULL), 0);
	KUNIT_EXPECT_EQ(test, restart(t->target, seen), -ECANCELED);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STOPPED);
}

/* A refused transition is none. */
static void refusals_do_not_count(struct kunit *test)
{
	struct control_test *t = test->priv;
	u64 seen = stopped_by_control(test);

	KUNIT_EXPECT_EQ(test, iotarget_gate_event(t->target, IOTARGET_EV_OPEN,
						  NULL, 0, NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, restart(t->target, seen), 0);
}

static void leads_where_wanted(struct kunit *test)
{
	static const enum iotarget_word open[] = {
		IOTARGET_W_DRAINING, IOTARGET_W_STARTED, IOTARGET_W_STOPPED,
		IOTARGET_W_PURGED,
	};
	enum iotarget_event event;
	enum iotarget_state to;
	enum iotarget_word next;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(open); i++) {
		for (j = 1; j < ARRAY_SIZE(open); j++) {
			to = iotarget_word_state(open[j]);
			event = iotarget_event_to(iotarget_word_state(open[i]),
						  to);
			if (event == IOTARGET_NR_EVENTS) {
				KUNIT_EXPECT_EQ(test, to,
						iotarget_word_state(open[i]));
				continue;
			}
			KUNIT_EXPECT_EQ(test, iotarget_rule(open[i],
							    event)->error, 0);
			next = iotarget_rule(open[i], event)->next;
			KUNIT_EXPECT_EQ(test, iotarget_word_state(next), to);
		}
	}
	KUNIT_EXPECT_EQ(test, iotarget_event_to(IOTARGET_STARTED,
						IOTARGET_CLOSED),
			IOTARGET_NR_EVENTS);
}

/* -- stops that a driver makes for a user ---------------------------------- */

#define SOON_MS	100

static bool becomes(struct iotarget *target, enum iotarget_state state)
{
	unsigned int ms;

	for (ms = 0; ms < WAIT_MS && iotarget_get_state(target) != state; ms += 20)
		msleep(20);
	return iotarget_get_state(target) == state;
}

static void stop_for(struct kunit *test, unsigned int ms)
{
	struct control_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, iotarget_stop_for(t->target, ms, "a test"), 0);
	KUNIT_ASSERT_EQ(test, iotarget_get_state(t->target), IOTARGET_STOPPED);
}

static void a_stop_for_a_time_ends(struct kunit *test)
{
	struct control_test *t = test->priv;
	unsigned long began = jiffies;

	stop_for(test, SOON_MS);
	KUNIT_EXPECT_TRUE(test, becomes(t->target, IOTARGET_STARTED));
	KUNIT_EXPECT_GE(test, jiffies_to_msecs(jiffies - began), SOON_MS);
	/* Whatever it was before: that was the driver's business, and so is this. */
	KUNIT_ASSERT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE, 0,
					     NULL), 0);
	stop_for(test, SOON_MS);
	KUNIT_EXPECT_TRUE(test, becomes(t->target, IOTARGET_STARTED));
}

static void a_further_one_takes_its_place(struct kunit *test)
{
	struct control_test *t = test->priv;
	unsigned int i;

	/* More often than there may be stops. */
	for (i = 0; i < 20; i++)
		stop_for(test, SOON_MS);
	stop_for(test, IOTARGET_WAIT_FOREVER);
	msleep(3 * SOON_MS);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STOPPED);
	stop_for(test, SOON_MS);
	KUNIT_EXPECT_TRUE(test, becomes(t->target, IOTARGET_STARTED));
}

static void it_leaves_alone_what_came_later(struct kunit *test)
{
	struct control_test *t = test->priv;

	stop_for(test, SOON_MS);
	KUNIT_ASSERT_EQ(test, iotarget_stop(t->target,
					    IOTARGET_LEAVE_SENT_PENDING, 0,
					    NULL), 0);
	msleep(3 * SOON_MS);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STOPPED);
	/* Nor is a stop that control made at an end with it. */
	stop_for(test, SOON_MS);
	KUNIT_ASSERT_EQ(test, iotarget_start(t->target), 0);
	stopped_by_control(test);
	msleep(3 * SOON_MS);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STOPPED);
}

static void stop_for_refusals(struct kunit *test)
{
	struct control_test *t = test->priv;
	struct iotarget *closed = fake_target("closed");

	KUNIT_ASSERT_FALSE(test, IS_ERR(closed));
	KUNIT_EXPECT_EQ(test, iotarget_stop_for(NULL, 1, "x"), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_stop_for(t->target, 0, "x"), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_stop_for(t->target, 1, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_stop_for(t->target,
						IOTARGET_TIMEOUT_MAX_MS + 1,
						"x"), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_stop_for(closed, 1, "x"), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
	KUNIT_EXPECT_EQ(test, iotarget_delete(closed, WAIT_MS, NULL), 0);
}

/* -- policies --------------------------------------------------------------- */

static struct iotarget_policy policy_of(struct iotarget *target)
{
	struct iotarget_policy policy;

	iotarget_policy_get(target, &policy);
	return policy;
}

static void expect_policy(struct kunit *test, struct iotarget *target, u32 flags,
			  u32 hold_ms, u64 hold_bytes)
{
	const struct iotarget_policy policy = policy_of(target);

	KUNIT_EXPECT_EQ(test, policy.flags, flags);
	KUNIT_EXPECT_EQ(test, policy.hold_ms, hold_ms);
	KUNIT_EXPECT_EQ(test, policy.hold_bytes, hold_bytes);
}

#define BOTH	(IOTARGET_POLICY_HOLD | IOTARGET_POLICY_LOSSY)

/* What is not named stays. */
static void a_policy_is_changed_in_part(struct kunit *test)
{
	static const struct iotarget_policy_change changes[] = {
		{ .mask = BOTH, .flags = BOTH },
		{ .hold_ms = 1000 },
		{ .hold_bytes = 4096 },
		{ .mask = IOTARGET_POLICY_LOSSY },
		{ .accept_loss = true },
	};
	struct iotarget *target = fake_target("policy");
	const char *why;
	unsigned int i;

	KUNIT_ASSERT_FALSE(test, IS_ERR(target));
	expect_policy(test, target, 0, 30000, 64 << 20);
	for (i = 0; i < ARRAY_SIZE(changes); i++)
		KUNIT_EXPECT_EQ(test, iotarget_policy_change(target, &changes[i],
							     &why), 0);
	expect_policy(test, target, IOTARGET_POLICY_HOLD, 1000, 4096);
	/* The owner's is a whole one. */
	KUNIT_EXPECT_EQ(test, iotarget_set_policy(target, &(struct iotarget_policy){
				.flags = IOTARGET_POLICY_LOSSY }), 0);
	expect_policy(test, target, IOTARGET_POLICY_LOSSY, 30000, 64 << 20);
	KUNIT_EXPECT_EQ(test, iotarget_delete(target, WAIT_MS, NULL), 0);
}

static const struct iotarget_policy_change all_of_it = {
	.mask = BOTH, .flags = BOTH, .hold_ms = 1, .hold_bytes = 1,
};

static void refuses_to_hold(struct kunit *test, struct iotarget *target, int error)
{
	const char *why = NULL;

	KUNIT_EXPECT_EQ(test, iotarget_policy_check(target, &all_of_it, &why), error);
	KUNIT_EXPECT_NOT_NULL(test, why);
	why = NULL;
	KUNIT_EXPECT_EQ(test, iotarget_policy_change(target, &all_of_it, &why), error);
	KUNIT_EXPECT_NOT_NULL(test, why);
	expect_policy(test, target, 0, 30000, 64 << 20);
}

struct opener {
	struct iotarget		*target;
	struct fake		fake;
	struct completion	gate;
	struct fake_call	call;
};

static int open_it(void *arg)
{
	struct opener *o = arg;

	return fake_open_timeout(o->target, &o->fake, false, FAKE_LONG_MS);
}

/* Nothing is kept of an open device, or of one that is being opened, after the fact. */
static void one_that_is_refused_changes_nothing(struct kunit *test)
{
	struct opener *o = kunit_kzalloc(test, sizeof(*o), GFP_KERNEL);
	struct control_test *t = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, o);
	refuses_to_hold(test, t->target, -EBUSY);
	o->target = fake_target("policy");
	KUNIT_ASSERT_FALSE(test, IS_ERR(o->target));
	iotarget_get(o->target);
	fake_init(&o->fake);
	init_completion(&o->gate);
	o->fake.open_gate = &o->gate;
	fake_call_start(&o->call, open_it, o);
	KUNIT_EXPECT_TRUE(test, fake_until(fake_word(o->target) ==
					   IOTARGET_W_OPENING));
	refuses_to_hold(test, o->target, -EBUSY);
	complete(&o->gate);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&o->call), 0);
	KUNIT_EXPECT_EQ(test, iotarget_delete(o->target, WAIT_MS, NULL), 0);
	refuses_to_hold(test, o->target, -ESHUTDOWN);
	iotarget_put(o->target);
}

static void set_policy_refusals(struct kunit *test)
{
	struct iotarget_policy policy = { .hold_ms = IOTARGET_TIMEOUT_MAX_MS + 1 };
	struct control_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, iotarget_set_policy(t->target, &policy), -EINVAL);
	policy = (struct iotarget_policy){ .flags = 0x80 };
	KUNIT_EXPECT_EQ(test, iotarget_set_policy(t->target, &policy), -EINVAL);
	policy = (struct iotarget_policy){ .reserved = { 1 } };
	KUNIT_EXPECT_EQ(test, iotarget_set_policy(t->target, &policy), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_set_policy(t->target, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_set_policy(NULL, &policy), -EINVAL);
	policy = (struct iotarget_policy){ };
	local_irq_disable();
	KUNIT_EXPECT_EQ(test, iotarget_set_policy(t->target, &policy), -EWOULDBLOCK);
	local_irq_enable();
	KUNIT_EXPECT_EQ(test, iotarget_set_policy(t->target, &policy), 0);
}

/* An open that control asks for is for the state that it has looked at. */
static void no_open_after_another_transition(struct kunit *test)
{
	struct iotarget *target = fake_target("moment");
	struct iotarget_by by = { };

	KUNIT_ASSERT_FALSE(test, IS_ERR(target));
	KUNIT_EXPECT_EQ(test, iotarget_close(target, WAIT_MS, NULL), 0);
	by.unchanged = iotarget_gate_changes(&target->gate);
	KUNIT_EXPECT_EQ(test, iotarget_close(target, WAIT_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_control_event(target, IOTARGET_EV_OPEN, &by,
						     NULL), -ECANCELED);
	KUNIT_EXPECT_EQ(test, fake_word(target), IOTARGET_W_CLOSED);
	KUNIT_EXPECT_EQ(test, iotarget_delete(target, WAIT_MS, NULL), 0);
}

static struct kunit_case control_cases[] = {
	KUNIT_CASE(starts_what_it_stopped),
	KUNIT_CASE(never_what_the_driver_stopped),
	KUNIT_CASE(a_round_trip_is_seen),
	KUNIT_CASE(refusals_do_not_count),
	KUNIT_CASE(leads_where_wanted),
	KUNIT_CASE(a_stop_for_a_time_ends),
	KUNIT_CASE(a_further_one_takes_its_place),
	KUNIT_CASE(it_leaves_alone_what_came_later),
	KUNIT_CASE(stop_for_refusals),
	KUNIT_CASE(a_policy_is_changed_in_part),
	KUNIT_CASE(one_that_is_refused_changes_nothing),
	KUNIT_CASE(set_policy_refusals),
	KUNIT_CASE(no_open_after_another_transition),
	{}
};

static struct kunit_suite control_suite = {
	.name		= "iotarget_control",
	.init		= control_init,
	.exit		= control_exit,
	.test_cases	= control_cases,
};

kunit_test_suite(control_suite);
