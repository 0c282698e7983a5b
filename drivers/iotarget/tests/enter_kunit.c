// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of iotarget_enter(): work that is no request passes the gates.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/delay.h>

#include "fake.h"

static u64 nr_sent(struct iotarget *target)
{
	struct iotarget_info info;

	iotarget_get_info(target, &info);
	return info.sent;
}

static int leave_it(void *entry)
{
	msleep(FAKE_SENT_MS);
	iotarget_leave(entry);
	return 0;
}

/* It is counted as sent, and a waiting stop waits for it. */
static void stop_waits_for_it(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_wait_report report;
	struct iotarget_entry entry;

	KUNIT_ASSERT_EQ(test, iotarget_enter(t->target, &entry, 0), 0);
	KUNIT_EXPECT_EQ(test, nr_sent(t->target), 1);
	KUNIT_EXPECT_EQ(test, iotarget_stop(t->target, IOTARGET_WAIT_FOR_SENT,
					    FAKE_SHORT_MS, &report),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, report.sent, 1);
	fake_call_start(&t->call[0], leave_it, &entry);
	KUNIT_EXPECT_EQ(test, iotarget_stop(t->target, IOTARGET_WAIT_FOR_SENT,
					    FAKE_LONG_MS, &report), 0);
	KUNIT_EXPECT_EQ(test, report.sent, 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	KUNIT_EXPECT_EQ(test, nr_sent(t->target), 0);
}

/* While it lasts the device stays open, whatever becomes of the target. */
static void keeps_the_device_open(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_entry entry;

	KUNIT_ASSERT_EQ(test, iotarget_enter(t->target, &entry, 0), 0);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, t->fake.releases, 0);
	iotarget_leave(&entry);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->fake.releases) == 1));
}

static void refused_where_nothing_is_accepted(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_entry entry;

	KUNIT_EXPECT_EQ(test, iotarget_enter(NULL, &entry, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_enter(t->target, NULL, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_enter(t->target, &entry,
					     IOTARGET_TIMEOUT_MAX_MS + 1),
			-EINVAL);
	KUNIT_ASSERT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE_AND_WAIT,
					     FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_enter(t->target, &entry, FAKE_LONG_MS),
			-ESHUTDOWN);
	KUNIT_ASSERT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_enter(t->target, &entry, FAKE_LONG_MS),
			-ESHUTDOWN);
}

struct enterer {
	struct iotarget		*target;
	struct iotarget_entry	entry;
};

static int enter_it(void *arg)
{
	struct enterer *e = arg;

	return iotarget_enter(e->target, &e->entry, FAKE_LONG_MS);
}

/* At a stopped target it waits: for the time it has, or for the start. */
static void waits_for_the_start(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct enterer e = { .target = t->target };

	KUNIT_ASSERT_EQ(test, iotarget_stop(t->target, IOTARGET_WAIT_FOR_SENT,
					    FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_enter(t->target, &e.entry, 0), -EAGAIN);
	KUNIT_EXPECT_EQ(test, iotarget_enter(t->target, &e.entry,
					     FAKE_SHORT_MS), -ETIMEDOUT);
	fake_call_start(&t->call[0], enter_it, &e);
	msleep(FAKE_SENT_MS);
	KUNIT_EXPECT_FALSE(test, completion_done(&t->call[0].done));
	KUNIT_EXPECT_EQ(test, iotarget_start(t->target), 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	KUNIT_EXPECT_EQ(test, nr_sent(t->target), 1);
	iotarget_leave(&e.entry);
}

/* Whoever waits hears of the purge. */
static void purge_ends_the_wait(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct enterer e = { .target = t->target };

	KUNIT_ASSERT_EQ(test, iotarget_stop(t->target, IOTARGET_WAIT_FOR_SENT,
					    FAKE_LONG_MS, NULL), 0);
	fake_call_start(&t->call[0], enter_it, &e);
	msleep(FAKE_SHORT_MS);
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE_AND_WAIT,
					     FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), -ESHUTDOWN);
}

/* It goes in when all that was held has been sent. */
static void comes_after_what_was_held(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct enterer e = { .target = t->target };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, iotarget_stop(t->target, IOTARGET_WAIT_FOR_SENT,
					    FAKE_LONG_MS, NULL), 0);
	for (i = 0; i < FAKE_NR_REQS; i++)
		KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[i],
						    NULL), 0);
	init_completion(&t->gate);
	t->fake.submit_gate = &t->gate;
	KUNIT_EXPECT_EQ(test, iotarget_start(t->target), 0);
	fake_call_start(&t->call[0], enter_it, &e);
	msleep(FAKE_SENT_MS);
	KUNIT_EXPECT_FALSE(test, completion_done(&t->call[0].done));
	complete_all(&t->gate);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, FAKE_NR_REQS);
	iotarget_leave(&e.entry);
	t->fake.submit_gate = NULL;
}

static struct kunit_case enter_cases[] = {
	KUNIT_CASE(stop_waits_for_it),
	KUNIT_CASE(keeps_the_device_open),
	KUNIT_CASE(refused_where_nothing_is_accepted),
	KUNIT_CASE(waits_for_the_start),
	KUNIT_CASE(purge_ends_the_wait),
	KUNIT_CASE(comes_after_what_was_held),
	{}
};

static struct kunit_suite enter_suite = {
	.name		= "iotarget_enter",
	.init		= fake_disk_init,
	.exit		= fake_exit,
	.test_cases	= enter_cases,
};

kunit_test_suite(enter_suite);
