// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the gates: hold, drain, stop, purge, close, and their waits.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>

#include "fake.h"

#define NR	8
#define WAIT_MS	2000

struct gate_test {
	struct iotarget		*target;
	struct fake		fake;
	struct fake_req		req[NR];
};

static int gate_init(struct kunit *test)
{
	struct gate_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	fake_init(&t->fake);
	for (i = 0; i < NR; i++)
		fake_req_init(&t->req[i], &t->fake, i);
	t->target = fake_target("gate");
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->target));
	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	test->priv = t;
	return 0;
}

static void gate_exit(struct kunit *test)
{
	struct gate_test *t = test->priv;
	unsigned int i;

	t->fake.hold = false;
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, iotarget_delete(t->target, WAIT_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, t->fake.opens, t->fake.releases);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, t->fake.answered);
	for (i = 0; i < NR; i++)
		KUNIT_EXPECT_LE(test, t->req[i].callbacks, 1);
}

static void passes_when_started(struct kunit *test)
{
	struct gate_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 1);
	KUNIT_EXPECT_EQ(test, t->req[0].outcome, IOTARGET_DONE);
}

/* F38, F41: held in order, sent in order. */
static void holds_and_drains_in_order(struct kunit *test)
{
	struct gate_test *t = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, iotarget_stop(t->target, IOTARGET_WAIT_FOR_SENT,
					    WAIT_MS, NULL), 0);
	for (i = 0; i < NR; i++)
		KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[i],
						    NULL), 0);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 0);
	KUNIT_EXPECT_EQ(test, iotarget_start_and_wait(t->target, WAIT_MS, NULL),
			0);
	for (i = 0; i < NR; i++)
		KUNIT_EXPECT_EQ(test, t->req[i].submit_seq, i + 1);
}

/* F45, F71: a waiting stop waits for what is sent, and says what is out. */
static void stop_waits(struct kunit *test)
{
	struct gate_test *t = test->priv;
	struct iotarget_wait_report report;

	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_stop(t->target, IOTARGET_WAIT_FOR_SENT,
					    50, &report), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, report.sent, 1);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[1], NULL), 0);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, iotarget_stop(t->target, IOTARGET_WAIT_FOR_SENT,
					    WAIT_MS, &report), 0);
	KUNIT_EXPECT_EQ(test, report.sent, 0);
	KUNIT_EXPECT_EQ(test, report.pended, 1);
}

/* F48: never sent. */
static void purge_fails_held(struct kunit *test)
{
	struct gate_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, iotarget_stop(t->target,
					    IOTARGET_LEAVE_SENT_PENDING, 0,
					    NULL), 0);
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target,
					     IOTARGET_PURGE_AND_WAIT, WAIT_MS,
					     NULL), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 1);
	KUNIT_EXPECT_EQ(test, t->req[0].status, -ENODEV);
	KUNIT_EXPECT_EQ(test, t->req[0].outcome, IOTARGET_NEVER_SENT);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[1], NULL),
			-ESHUTDOWN);
}

/* Closed while the device has a request, open again at once. */
static void reopen_while_old_is_out(struct kunit *test)
{
	struct gate_test *t = test->priv;

	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, 20, NULL), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_CLOSED);
	KUNIT_EXPECT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	t->fake.hold = false;
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[1], NULL), 0);
	KUNIT_EXPECT_EQ(test, t->req[1].callbacks, 1);
	KUNIT_EXPECT_EQ(test, t->fake.releases, 0);
}

static struct kunit_case gate_cases[] = {
	KUNIT_CASE(passes_when_started),
	KUNIT_CASE(holds_and_drains_in_order),
	KUNIT_CASE(stop_waits),
	KUNIT_CASE(purge_fails_held),
	KUNIT_CASE(reopen_while_old_is_out),
	{}
};

static struct kunit_suite gate_suite = {
	.name		= "iotarget_gate",
	.init		= gate_init,
	.exit		= gate_exit,
	.test_cases	= gate_cases,
};

kunit_test_suite(gate_suite);
