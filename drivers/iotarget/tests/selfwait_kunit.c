// SPDX-License-Identifier: GPL-2.0-only
/*
 * A wait for a target from its own callback, to prove that lockdep sees it.
 *
 * Whoever does that deadlocks, if not in the test then in the field.  The report
 * turns the run red, so nothing is done unless the parameter "selfwait" is set.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/moduleparam.h>

#include "fake.h"

static bool selfwait;
module_param(selfwait, bool, 0444);
MODULE_PARM_DESC(selfwait, "make the mistake that lockdep is to see");

static void wait_for_itself(struct iotarget *target, struct fake_req *fr)
{
	fr->index = -iotarget_stop(target, IOTARGET_WAIT_FOR_SENT, 0, NULL);
}

static void callback_waits_for_its_target(struct kunit *test)
{
	struct fake_test *t = test->priv;

	if (!selfwait)
		kunit_skip(test, "asked for by iotarget.selfwait=1");
	t->req[0].on_complete = wait_for_itself;
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].index, ETIMEDOUT);
}

/* A wait for another target is no mistake. */
static void wait_for_the_other(struct iotarget *target, struct fake_req *fr)
{
	fr->index = -iotarget_stop(fr->priv, IOTARGET_WAIT_FOR_SENT,
				   FAKE_LONG_MS, NULL);
}

static void callback_waits_for_another_target(struct kunit *test)
{
	struct iotarget *other = fake_target("other");
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_FALSE(test, IS_ERR(other));
	KUNIT_ASSERT_EQ(test, fake_open(other, &t->fake, false), 0);
	t->req[0].on_complete = wait_for_the_other;
	t->req[0].priv = other;
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].index, 0);
	KUNIT_EXPECT_EQ(test, iotarget_delete(other, FAKE_LONG_MS, NULL), 0);
}

static struct kunit_case selfwait_cases[] = {
	KUNIT_CASE(callback_waits_for_another_target),
	KUNIT_CASE(callback_waits_for_its_target),
	{}
};

static struct kunit_suite selfwait_suite = {
	.name		= "iotarget_selfwait",
	.init		= fake_disk_init,
	.exit		= fake_exit,
	.test_cases	= selfwait_cases,
};

kunit_test_suite(selfwait_suite);
