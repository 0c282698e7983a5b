// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of verbs and of the stops that they make: what user space can't
 * force.  What it can is tested by the selftests iotarget_control*.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "../control.h"
#include "../hooks.h"
#include "fake.h"

#define WAIT_MS		2000
#define PORTID		0x7ace1
#define OVERTAKE_MS	300

struct verbs_test {
	struct iotarget		*target;
	struct fake		fake;
	struct socket		*owner;
};

/* What a hook sees of a test's verbs. */
static struct {
	struct iotarget		*target;
	struct completion	told;
	unsigned int		refs;	/* without the verb's */
	bool			free;
	atomic_t		made;
	bool			overtaken;
} seen;

static bool told_soon(void)
{
	return wait_for_completion_timeout(&seen.told,
					   msecs_to_jiffies(FAKE_LONG_MS));
}

static int verbs_init(struct kunit *test)
{
	struct verbs_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	fake_init(&t->fake);
	t->target = fake_target("verbs");
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->target));
	iotarget_get(t->target);
	test->priv = t;
	return fake_open(t->target, &t->fake, false);
}

static void verbs_exit(struct kunit *test)
{
	struct verbs_test *t = test->priv;

	if (!t)
		return;
	iotarget_hook_handler = NULL;
	if (t->owner)
		sock_release(t->owner);
	KUNIT_EXPECT_EQ(test, iotarget_delete(t->target, WAIT_MS, NULL), 0);
	/* Verbs, the last of whose references this must be. */
	KUNIT_EXPECT_TRUE(test, fake_until(kref_read(&t->target->refs) == 1));
	iotarget_put(t->target);
	fake_settle_all();
}

static void verb(struct kunit *test, u8 cmd,
		 const struct iotarget_verb_args *args)
{
	struct verbs_test *t = test->priv;
	struct iotarget *found = iotarget_registry_find(t->target->id);
	struct iotarget_verb_op *op;
	const char *message;

	KUNIT_ASSERT_PTR_EQ(test, found, t->target);
	op = iotarget_verb_begin(cmd, found, args, &message);
	if (IS_ERR(op))
		iotarget_gate_unpin(found);
	KUNIT_ASSERT_FALSE(test, IS_ERR(op));
	iotarget_verb_go(op);
}

static bool becomes(struct kunit *test, enum iotarget_state state)
{
	struct verbs_test *t = test->priv;

	return fake_until(iotarget_get_state(t->target) == state);
}

static void make_owner(struct kunit *test)
{
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_pid = PORTID,
	};
	struct verbs_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, sock_create_kern(&init_net, AF_NETLINK, SOCK_RAW,
					       NETLINK_GENERIC, &t->owner), 0);
	KUNIT_ASSERT_EQ(test, kernel_bind(t->owner, (void *)&addr,
					  sizeof(addr)), 0);
}

/* A number is free for the next socket before we hear that the last one died. */
static void the_number_of_a_socket_is_not_the_socket(struct kunit *test)
{
	struct iotarget_verb_args args = {
		.timeout_ms = WAIT_MS,
		.hold = true,
		.portid = PORTID,
	};
	struct verbs_test *t = test->priv;

	make_owner(test);
	args.owner = t->owner->sk;
	verb(test, IOTARGET_CMD_STOP, &args);
	KUNIT_ASSERT_TRUE(test, becomes(test, IOTARGET_STOPPED));
	iotarget_control_owner_gone(PORTID);
	flush_workqueue(iotarget_fast_wq);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STOPPED);
	/* And when it is the socket. */
	sock_release(t->owner);
	t->owner = NULL;
	KUNIT_EXPECT_TRUE(test, becomes(test, IOTARGET_STARTED));
}

static const struct iotarget_verb_args plain = {
	.timeout_ms = WAIT_MS,
	.expires_ms = 60000,
};

/* Others let go of the target, too, so give them some time to. */
static void look_at_refs(enum iotarget_hook_point point, void *arg)
{
	unsigned long end = jiffies + msecs_to_jiffies(OVERTAKE_MS);

	if (point != IOTARGET_HOOK_VERB_TOLD || arg != seen.target)
		return;
	do {
		seen.free = kref_read(&seen.target->refs) == seen.refs;
		schedule_timeout_uninterruptible(1);
	} while (!seen.free && time_before(jiffies, end));
	complete(&seen.told);
}

/* Who hears the result can unload the target's owner. */
static void a_verb_lets_go_before_it_tells(struct kunit *test)
{
	struct verbs_test *t = test->priv;

	fake_settle(t->target);
	seen.target = t->target;
	seen.refs = kref_read(&t->target->refs);
	init_completion(&seen.told);
	iotarget_hook_handler = look_at_refs;
	verb(test, IOTARGET_CMD_PURGE, &plain);
	/* Whoever may be in it has to be out of it. */
	KUNIT_EXPECT_TRUE(test, told_soon());
	KUNIT_EXPECT_TRUE(test, seen.free);
	iotarget_hook_handler = NULL;
}

/* The first one dawdles: time enough for the second. */
static void hold_up_the_first(enum iotarget_hook_point point, void *arg)
{
	unsigned long end = jiffies + msecs_to_jiffies(OVERTAKE_MS);

	if (arg != seen.target)
		return;
	if (point == IOTARGET_HOOK_VERB_TOLD)
		complete(&seen.told);
	if (point != IOTARGET_HOOK_VERB_MAKE ||
	    atomic_inc_return(&seen.made) != 1)
		return;
	while (atomic_read(&seen.made) < 2 && time_before(jiffies, end))
		schedule_timeout_uninterruptible(1);
	seen.overtaken = atomic_read(&seen.made) > 1;
}

/* Whatever the scheduler does, the last word counts. */
static void no_verb_overtakes_another(struct kunit *test)
{
	struct verbs_test *t = test->priv;
	unsigned int i;

	seen.target = t->target;
	seen.overtaken = false;
	atomic_set(&seen.made, 0);
	init_completion(&seen.told);
	iotarget_hook_handler = hold_up_the_first;
	verb(test, IOTARGET_CMD_STOP, &plain);
	verb(test, IOTARGET_CMD_START, &plain);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_TRUE(test, told_soon());
	KUNIT_EXPECT_FALSE(test, seen.overtaken);
	KUNIT_EXPECT_TRUE(test, becomes(test, IOTARGET_STARTED));
	iotarget_hook_handler = NULL;
}

static struct kunit_case verbs_cases[] = {
	KUNIT_CASE(no_verb_overtakes_another),
	KUNIT_CASE(a_verb_lets_go_before_it_tells),
	KUNIT_CASE(the_number_of_a_socket_is_not_the_socket),
	{}
};

static struct kunit_suite verbs_suite = {
	.name		= "iotarget_control_verbs",
	.init		= verbs_init,
	.exit		= verbs_exit,
	.test_cases	= verbs_cases,
};

kunit_test_suite(verbs_suite);
