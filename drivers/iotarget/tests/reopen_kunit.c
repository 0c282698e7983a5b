// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of removal.c: disks that go while a target is being opened, and targets that
 * are opened again, or deleted, while they are told of one.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/blkdev.h>
#include <linux/module.h>

#include "owner.h"

/* -- while it is opened ---------------------------------------------------- */

static void open_other(struct owner *o, enum owner_told what)
{
	if (what == TOLD_COMPLETE && fake_word(o->target) != IOTARGET_W_STARTED)
		owners->call.ret = iotarget_close(o->target, FAKE_LONG_MS,
						  NULL) ?:
				   owner_open(o, &owners->fd[1]);
}

/* From then on it hears of the new device, and of the old one nothing more. */
static void reopens_in_complete(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	owners->call.ret = 1;
	o->on = open_other;
	fakedisk_unplug(&owners->fd[0]);
	OWNERS_EXPECT(test, { 0, TOLD_COMPLETE });
	KUNIT_EXPECT_EQ(test, owners->call.ret, 0);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STARTED));
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	OWNERS_EXPECT(test, { 0, TOLD_COMPLETE });
	o->on = NULL;
	owners_tell(&owners->fd[1], IOTARGET_REMOVAL_COMPLETE);
	OWNERS_EXPECT(test, { 0, TOLD_COMPLETE }, { 0, TOLD_COMPLETE });
}

static void wait_and_open_other(struct owner *o, enum owner_told what)
{
	complete(&o->entered);
	wait_for_completion(&o->go);
	open_other(o, what);
}

/* A close that came before it did so waits for it; what it opens is another matter. */
static void close_while_it_reopens(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	o->on = wait_and_open_other;
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	KUNIT_ASSERT_TRUE(test, owner_entered(o));
	fake_call_start(&owners->call, owner_close, o);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(o, IOTARGET_W_CLOSED)));
	schedule_timeout_uninterruptible(msecs_to_jiffies(FAKE_SHORT_MS));
	KUNIT_EXPECT_FALSE(test, completion_done(&owners->call.done));
	complete_all(&o->go);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&owners->call), 0);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STARTED));
	OWNERS_EXPECT(test, { 0, TOLD_COMPLETE });
	o->on = NULL;
	owners_tell(&owners->fd[1], IOTARGET_REMOVAL_COMPLETE);
	OWNERS_EXPECT(test, { 0, TOLD_COMPLETE }, { 0, TOLD_COMPLETE });
}

static void unplug_other(struct fake_test *unused)
{
	fakedisk_unplug(&owners->fd[1]);
}

static int open_only(struct owner *o, struct fakedisk *fd)
{
	const struct iotarget_open_params params = {
		.type = IOTARGET_OPEN_DEVT,
		.devt = disk_devt(fd->disk),
		.access = IOTARGET_ACCESS_READ,
		.share = IOTARGET_SHARE_READ | IOTARGET_SHARE_WRITE,
	};

	return iotarget_open(o->target, &params);
}

/* A disk that goes between its opening and when the target has it. */
static void gone_before_the_target_has_it(struct kunit *test)
{
	fake_hook(IOTARGET_HOOK_OPENED, unplug_other, NULL);
	KUNIT_EXPECT_EQ(test, open_only(&owners->owner[1], &owners->fd[1]), 0);
	OWNERS_EXPECT(test, { 1, TOLD_COMPLETE });
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->owner[1],
					 IOTARGET_W_PURGED));
}

static void notice_other(struct fake_test *unused)
{
	owners_notice(&owners->fd[1]);
}

static void goes_before_the_target_has_it(struct kunit *test)
{
	struct owner *o = &owners->owner[1];

	fake_hook(IOTARGET_HOOK_OPENED, notice_other, NULL);
	KUNIT_EXPECT_EQ(test, open_only(o, &owners->fd[1]), 0);
	OWNERS_EXPECT(test, { 1, TOLD_QUERY });
	KUNIT_EXPECT_TRUE(test, o->query.forced);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_CFQR));
}

static void fail_open(struct fake_test *unused)
{
	owners_tell(&owners->fd[1], IOTARGET_REMOVAL_COMPLETE);
	iotarget_close(owners->owner[1].target, 0, NULL);
}

/* An open that was abandoned has nothing to tell. */
static void nothing_of_an_open_that_failed(struct kunit *test)
{
	struct owner *o = &owners->owner[1];

	fake_hook(IOTARGET_HOOK_OPENED, fail_open, NULL);
	KUNIT_EXPECT_EQ(test, open_only(o, &owners->fd[1]), -ECANCELED);
	KUNIT_EXPECT_TRUE(test, fake_until(!READ_ONCE(o->target->gate.nr_insts)));
	fakedisk_unplug(&owners->fd[1]);
	OWNERS_EXPECT(test);
}

/* -- opens and deletes that are not the last --------------------------------- */

/* An open that nobody waits for any more takes its time. */
static void open_is_late(enum iotarget_hook_point point, void *target)
{
	struct owner *o = &owners->plain;

	if (point != IOTARGET_HOOK_OPENED || target != o->target)
		return;
	iotarget_hook_handler = NULL;
	complete(&o->entered);
	wait_for_completion(&o->go);
}

/* What it comes back with is not what the target is told of. */
static void late_open_leaves_the_later_one(struct kunit *test)
{
	const struct iotarget_open_params params = {
		.type = IOTARGET_OPEN_DEVT,
		.devt = disk_devt(owners->fd[0].disk),
		.access = IOTARGET_ACCESS_READ,
		.share = IOTARGET_SHARE_READ | IOTARGET_SHARE_WRITE,
		.timeout_ms = FAKE_SENT_MS,
	};
	struct owner *o = &owners->plain;

	iotarget_hook_handler = open_is_late;
	KUNIT_ASSERT_EQ(test, iotarget_open(o->target, &params), -ETIMEDOUT);
	KUNIT_ASSERT_TRUE(test, owner_entered(o));
	KUNIT_ASSERT_EQ(test, owner_open(o, &owners->fd[1]), 0);
	complete(&o->go);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(o->target->gate.nr_insts) == 1));
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STARTED));
	fakedisk_unplug(&owners->fd[1]);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_closed(o)));
}

/* It waits for the callback that runs, but has nothing to let go of. */
static void deleted_twice_while_told(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	unsigned int refs;

	o->hold = TOLD_COMPLETE;
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	KUNIT_ASSERT_TRUE(test, owner_entered(o));
	iotarget_get(o->target);
	KUNIT_EXPECT_EQ(test, iotarget_delete(o->target, FAKE_SENT_MS, NULL),
			-ETIMEDOUT);
	o->deleted = true;
	KUNIT_EXPECT_TRUE(test, fake_until(!READ_ONCE(o->target->gate.nr_insts)));
	refs = kref_read(&o->target->refs);
	KUNIT_EXPECT_EQ(test, iotarget_delete(o->target, FAKE_SENT_MS, NULL),
			-ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, kref_read(&o->target->refs), refs);
	if (kref_read(&o->target->refs) == refs)
		iotarget_put(o->target);
}

/* What is answered late is of what was asked, and that is closed. */
static void asked_about_an_earlier_opening(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	o->hold = TOLD_QUERY;
	fake_call_start(&owners->call, owners_notice, &owners->fd[0]);
	KUNIT_ASSERT_TRUE(test, owner_entered(o));
	KUNIT_EXPECT_EQ(test, iotarget_close(o->target, FAKE_SENT_MS, NULL),
			-ETIMEDOUT);
	KUNIT_ASSERT_EQ(test, owner_open(o, &owners->fd[1]), 0);
	complete(&o->go);
	KUNIT_EXPECT_NE(test, fake_call_wait(&owners->call), -EINPROGRESS);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STARTED));
}

static int query_and_end(void *unused)
{
	const struct iotarget_query_params params = {
		.timeout_ms = FAKE_LONG_MS,
	};
	struct iotarget_refusal refusal;
	struct iotarget_consent *c;

	c = iotarget_query_remove(disk_to_dev(owners->fd[1].disk), &params,
				  &refusal);
	if (IS_ERR_OR_NULL(c))
		return -EINVAL;
	complete(&owners->plain.entered);
	wait_for_completion(&owners->plain.go);
	return iotarget_query_end(c, FAKE_LONG_MS);
}

/* Agreed to, and another medium is there when it is to be opened again. */
static void another_medium_is_not_opened_again(struct kunit *test)
{
	struct owner *o = &owners->plain;

	KUNIT_ASSERT_EQ(test, owner_open(o, &owners->fd[1]), 0);
	fake_call_start(&owners->call, query_and_end, NULL);
	KUNIT_ASSERT_TRUE(test, owner_entered(o));
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_CFQR));
	owners->fd[1].disk->diskseq++;
	complete(&o->go);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&owners->call), -ECANCELED);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_CLOSED));
}

/* It is there when it is opened, and has left when that is entered. */
static void gone_before_anybody_could_tell(struct kunit *test)
{
	struct owner *o = &owners->plain;

	fake_hook(IOTARGET_HOOK_DEVICE_OPEN, unplug_other, NULL);
	KUNIT_EXPECT_EQ(test, owner_open(o, &owners->fd[1]), -ENODEV);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_closed(o)));
}

/* Nor does a target without an owner's code outlive ours. */
static void nobodys_target_pins_us(struct kunit *test)
{
#ifdef MODULE
	struct owner *o = &owners->plain;
	struct module *owner = o->target->ops->owner;
	int refs;

	KUNIT_ASSERT_NOT_NULL(test, owner);
	refs = module_refcount(owner);
	KUNIT_ASSERT_EQ(test, owner_open(o, &owners->fd[1]), 0);
	KUNIT_EXPECT_GT(test, module_refcount(owner), refs);
	KUNIT_EXPECT_EQ(test, iotarget_close(o->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_TRUE(test, fake_until(module_refcount(owner) == refs));
#else
	kunit_skip(test, "what is built in is pinned anyway");
#endif
}

static struct kunit_case reopen_cases[] = {
	KUNIT_CASE(reopens_in_complete),
	KUNIT_CASE(close_while_it_reopens),
	KUNIT_CASE(gone_before_the_target_has_it),
	KUNIT_CASE(goes_before_the_target_has_it),
	KUNIT_CASE(nothing_of_an_open_that_failed),
	KUNIT_CASE(late_open_leaves_the_later_one),
	KUNIT_CASE(deleted_twice_while_told),
	KUNIT_CASE(asked_about_an_earlier_opening),
	KUNIT_CASE(another_medium_is_not_opened_again),
	KUNIT_CASE(gone_before_anybody_could_tell),
	KUNIT_CASE(nobodys_target_pins_us),
	{}
};

static struct kunit_suite reopen_suite = {
	.name		= "iotarget_reopen",
	.init		= owners_init,
	.exit		= owners_exit,
	.test_cases	= reopen_cases,
};

kunit_test_suite(reopen_suite);
