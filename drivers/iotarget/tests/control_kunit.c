// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of what control relies on: transitions that take place only if
 * there was no other one, and the way back into a state.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>

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

static struct kunit_case control_cases[] = {
	KUNIT_CASE(starts_what_it_stopped),
	KUNIT_CASE(never_what_the_driver_stopped),
	KUNIT_CASE(a_round_trip_is_seen),
	KUNIT_CASE(refusals_do_not_count),
	KUNIT_CASE(leads_where_wanted),
	{}
};

static struct kunit_suite control_suite = {
	.name		= "iotarget_control",
	.init		= control_init,
	.exit		= control_exit,
	.test_cases	= control_cases,
};

kunit_test_suite(control_suite);
