// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the state table as data.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>

#include "fake.h"

#define NR_CELLS	(IOTARGET_NR_WORDS * IOTARGET_NR_EVENTS)

/* An error changes nothing; a cell without one is decided. */
static void errors_change_nothing(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < NR_CELLS; i++) {
		const unsigned int w = i / IOTARGET_NR_EVENTS;
		const unsigned int e = i % IOTARGET_NR_EVENTS;
		const struct iotarget_rule *r = iotarget_rule(w, e);

		KUNIT_EXPECT_TRUE_MSG(test, r->origin, "%s/%s is not decided",
				      iotarget_word_name(w),
				      iotarget_event_name(e));
		KUNIT_EXPECT_EQ(test, r->origin != 'k', !!r->note);
		KUNIT_EXPECT_LE(test, r->error, 0);
		if (!r->error)
			continue;
		KUNIT_EXPECT_EQ(test, r->next, w);
		KUNIT_EXPECT_EQ(test, r->actions, 0);
	}
}

/* Who leaves an open state detaches, fails what is held, and shuts the gate. */
static void leaving_detaches(struct kunit *test)
{
	const u16 all = IOTARGET_ACT_DETACH | IOTARGET_ACT_FAIL_PENDED |
			IOTARGET_ACT_SHUT | IOTARGET_ACT_CANCEL_SENT |
			IOTARGET_ACT_CANCEL_IGNORED;
	const u16 waits = IOTARGET_ACT_WAIT_CLOSED | IOTARGET_ACT_WAIT_ALL;
	unsigned int i;

	for (i = 0; i < NR_CELLS; i++) {
		const unsigned int w = i / IOTARGET_NR_EVENTS;
		const unsigned int e = i % IOTARGET_NR_EVENTS;
		const struct iotarget_rule *r = iotarget_rule(w, e);

		if (r->error)
			continue;
		if (iotarget_word_open(w) && !iotarget_word_open(r->next))
			KUNIT_EXPECT_TRUE(test, (r->actions & all) == all &&
					  r->actions & waits);
		if (!iotarget_word_open(w))
			KUNIT_EXPECT_FALSE(test, r->actions &
					   IOTARGET_ACT_DETACH);
		if (!iotarget_word_open(w) && iotarget_word_open(r->next))
			KUNIT_EXPECT_TRUE(test, r->actions &
					  IOTARGET_ACT_ATTACH);
	}
}

/* What stops being live shuts the gate; what starts being live drains. */
static void live_follows(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < NR_CELLS; i++) {
		const unsigned int w = i / IOTARGET_NR_EVENTS;
		const unsigned int e = i % IOTARGET_NR_EVENTS;
		const struct iotarget_rule *r = iotarget_rule(w, e);

		if (iotarget_word_live(w) && !iotarget_word_live(r->next))
			KUNIT_EXPECT_TRUE(test, r->actions & IOTARGET_ACT_SHUT);
		if (!iotarget_word_live(w) && iotarget_word_live(r->next))
			KUNIT_EXPECT_TRUE(test, r->actions &
					  IOTARGET_ACT_DRAIN);
	}
}

/* Held requests never survive into a state that doesn't hold any. */
static void nothing_held_where_refused(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < NR_CELLS; i++) {
		const unsigned int w = i / IOTARGET_NR_EVENTS;
		const unsigned int e = i % IOTARGET_NR_EVENTS;
		const struct iotarget_rule *r = iotarget_rule(w, e);

		if (iotarget_word_accepts(w) && !iotarget_word_accepts(r->next))
			KUNIT_EXPECT_TRUE(test, r->actions &
					  IOTARGET_ACT_FAIL_PENDED);
	}
}

/* Deleted is for ever. */
static void deleted_is_final(struct kunit *test)
{
	unsigned int e;

	for (e = 0; e < IOTARGET_NR_EVENTS; e++)
		KUNIT_EXPECT_EQ(test, iotarget_rule(IOTARGET_W_DELETED, e)->next,
				IOTARGET_W_DELETED);
}

static struct kunit_case state_cases[] = {
	KUNIT_CASE(errors_change_nothing),
	KUNIT_CASE(leaving_detaches),
	KUNIT_CASE(live_follows),
	KUNIT_CASE(nothing_held_where_refused),
	KUNIT_CASE(deleted_is_final),
	{}
};

static struct kunit_suite state_suite = {
	.name		= "iotarget_state",
	.test_cases	= state_cases,
};

kunit_test_suite(state_suite);
