// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of removal.c and watch.c: what the removal of a disk means to targets
 * that are open on it, whichever event tells of it first.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#include "owner.h"

/* Hold the removal up as long as it takes, but not longer than that. */
static int notice(struct fakedisk *fd, unsigned int ms)
{
	struct iotarget_watch *watch = iotarget_watch_get(fd->disk);

	if (!watch)
		return -ENODEV;
	mutex_lock(&iotarget_lowers_lock);
	watch->level = IOTARGET_REMOVAL_ORDERLY;
	watch->deadline = jiffies + msecs_to_jiffies(ms);
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_watch_dead(fd->disk->part0, false);
	iotarget_watch_put(watch);
	return 0;
}

/* -- without callbacks ------------------------------------------------------ */

static void closed_when_complete(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, owner_open(&owners->plain, &owners->fd[1]), 0);
	owners_tell(&owners->fd[1], IOTARGET_REMOVAL_COMPLETE);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_closed(&owners->plain)));
	/* Nothing was said of the other disk. */
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->owner[0],
					 IOTARGET_W_STARTED));
}

static void closed_when_the_disk_leaves(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, owner_open(&owners->plain, &owners->fd[1]), 0);
	fakedisk_unplug(&owners->fd[1]);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_closed(&owners->plain)));
	KUNIT_EXPECT_EQ(test, owner_open(&owners->plain, &owners->fd[1]),
			-ENXIO);
}

/* F10: a disk that is not watched is opened all the same, and known to be gone. */
static void unwatched_disk(struct kunit *test)
{
	struct fakedisk *fd = &owners->fd[1];
	struct iotarget_watch *watch = iotarget_watch_get(fd->disk);

	KUNIT_ASSERT_NOT_NULL(test, watch);
	mutex_lock(&iotarget_lowers_lock);
	list_del_init(&watch->node);
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_watch_put(watch);		/* the list's */
	iotarget_watch_put(watch);
	KUNIT_ASSERT_EQ(test, owner_open(&owners->plain, fd), 0);
	KUNIT_EXPECT_NULL(test, owners->plain.target->removal.watch);
	owners_tell(fd, IOTARGET_REMOVAL_ORDERLY);
	fakedisk_unplug(fd);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_closed(&owners->plain)));
}

static int open_alone(struct owner *o, struct fakedisk *fd)
{
	const struct iotarget_open_params params = {
		.type = IOTARGET_OPEN_DEVT,
		.devt = disk_devt(fd->disk),
		.access = IOTARGET_ACCESS_READ | IOTARGET_ACCESS_WRITE,
	};

	return iotarget_open(o->target, &params);
}

/* One that does not share writing hears of it before, and in time. */
static void claim_is_told_before_the_disk_leaves(struct kunit *test)
{
	struct owner *o = &owners->owner[1];

	KUNIT_ASSERT_EQ(test, open_alone(o, &owners->fd[1]), 0);
	fakedisk_unplug(&owners->fd[1]);
	KUNIT_EXPECT_TRUE(test, o->query.forced);
	OWNERS_EXPECT(test, { 1, TOLD_QUERY }, { 1, TOLD_COMPLETE });
}

/* -- the order --------------------------------------------------------------- */

static void told_once_each(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	KUNIT_EXPECT_EQ(test, notice(&owners->fd[0], FAKE_LONG_MS), 0);
	KUNIT_EXPECT_TRUE(test, o->query.forced);
	KUNIT_EXPECT_FALSE(test, o->query.dry_run);
	KUNIT_EXPECT_GT(test, o->query.timeout_ms, 0);
	KUNIT_EXPECT_LE(test, o->query.timeout_ms, FAKE_LONG_MS);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_CFQR));
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_ORDERLY);
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_SURPRISE);
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_SURPRISE);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_COMPLETE });
}

/* Whatever comes late of what has happened before. */
static void nothing_after_complete(struct kunit *test)
{
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_ORDERLY);
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_SURPRISE);
	fakedisk_unplug(&owners->fd[0]);
	OWNERS_EXPECT(test, { 0, TOLD_COMPLETE });
}

/* What comes while one runs is told after it, and what it makes void is not. */
static void one_at_a_time(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	o->hold = TOLD_QUERY;
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_ORDERLY);
	KUNIT_ASSERT_TRUE(test, owner_entered(o));
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_SURPRISE);
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	schedule_timeout_uninterruptible(msecs_to_jiffies(FAKE_SHORT_MS));
	KUNIT_EXPECT_EQ(test, owners->nr, 1);
	complete_all(&o->go);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_COMPLETE });
}

/* An owner that takes its time does not keep the others. */
static void others_are_told_meanwhile(struct kunit *test)
{
	struct owner *a = &owners->owner[0], *b = &owners->owner[1];

	KUNIT_ASSERT_EQ(test, owner_open(b, &owners->fd[0]), 0);
	a->hold = TOLD_COMPLETE;
	b->hold = TOLD_COMPLETE;
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	KUNIT_EXPECT_TRUE(test, owner_entered(a));
	KUNIT_EXPECT_TRUE(test, owner_entered(b));
}

/* -- surprise --------------------------------------------------------------- */

static void expect_never_sent(struct kunit *test, struct owner_io *io)
{
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(io->ended)));
	KUNIT_EXPECT_EQ(test, io->status, -ENODEV);
	KUNIT_EXPECT_EQ(test, io->outcome, IOTARGET_NEVER_SENT);
}

static void surprise_fails_what_is_held(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	KUNIT_ASSERT_EQ(test, iotarget_stop(o->target,
					    IOTARGET_LEAVE_SENT_PENDING, 0,
					    NULL), 0);
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[0]), 0);
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[1]), 0);
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_SURPRISE);
	expect_never_sent(test, &owners->io[0]);
	expect_never_sent(test, &owners->io[1]);
	KUNIT_EXPECT_EQ(test, owners->fd[0].submitted, 0);
	OWNERS_EXPECT(test);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_PURGED));
}

static void send_when_shut(enum iotarget_hook_point point, void *arg)
{
	if (point != IOTARGET_HOOK_GATE_SHUT)
		return;
	iotarget_hook_handler = NULL;
	owners->call.ret = owner_read(&owners->owner[0], &owners->io[0]);
}

/* From the first sign on nothing is sent any more, however late the worker is. */
static void surprise_shuts_at_once(struct kunit *test)
{
	iotarget_hook_handler = send_when_shut;
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_SURPRISE);
	KUNIT_EXPECT_PTR_EQ(test, iotarget_hook_handler, NULL);
	KUNIT_EXPECT_EQ(test, owners->call.ret, 0);
	expect_never_sent(test, &owners->io[0]);
	KUNIT_EXPECT_EQ(test, owners->fd[0].submitted, 0);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_EQ(test, owner_read(&owners->owner[0], &owners->io[1]),
			-ESHUTDOWN);
}

/* The same for one that hears of the end at once, and keeps it open. */
static void complete_fails_what_is_held(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	KUNIT_ASSERT_EQ(test, iotarget_stop(o->target,
					    IOTARGET_LEAVE_SENT_PENDING, 0,
					    NULL), 0);
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[0]), 0);
	fakedisk_unplug(&owners->fd[0]);
	expect_never_sent(test, &owners->io[0]);
	OWNERS_EXPECT(test, { 0, TOLD_COMPLETE });
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_PURGED));
}

/* What is sent comes back as the device, or its teardown, says. */
static void surprise_leaves_what_is_sent(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	owners->fd[0].hold = true;
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[0]), 0);
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_SURPRISE);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_FALSE(test, owners->io[0].ended);
	fakedisk_answer(&owners->fd[0], BLK_STS_OFFLINE);
	KUNIT_EXPECT_TRUE(test, owners->io[0].ended);
	KUNIT_EXPECT_EQ(test, owners->io[0].outcome, IOTARGET_UNKNOWN);
}

/* A request that fails makes us look, and a disk that is there is there. */
static void failed_request_alone_is_no_removal(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	owners->fd[0].hold = true;
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[0]), 0);
	fakedisk_answer(&owners->fd[0], BLK_STS_OFFLINE);
	fake_settle_all();
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STARTED));
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[1]), 0);
	blk_mark_disk_dead(owners->fd[0].disk);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STARTED));
	fakedisk_answer(&owners->fd[0], BLK_STS_OFFLINE);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(o, IOTARGET_W_PURGED)));
}

/* Of a disk without capacity a request is refused, and no bio is there to fail. */
static void refused_request_makes_us_look(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct fakedisk *fd = &owners->fd[0];

	set_capacity(fd->disk, 0);
	KUNIT_EXPECT_EQ(test, owner_read(o, &owners->io[0]), -ENODEV);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(o, IOTARGET_W_PURGED)));
	KUNIT_EXPECT_EQ(test, fd->submitted, 0);
}

/* -- orderly ------------------------------------------------------------------ */

static bool flush_is_there(struct fakedisk *fd)
{
	return READ_ONCE(fd->submitted) == 2;
}

static void orderly_drains_and_flushes(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct fakedisk *fd = &owners->fd[0];

	fd->hold = true;
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[0]), 0);
	fake_call_start(&owners->call, owners_notice, fd);
	KUNIT_ASSERT_TRUE(test, fake_until(owner_is(o, IOTARGET_W_STOPPED)));
	KUNIT_EXPECT_EQ(test, owner_read(o, &owners->io[1]), 0);
	schedule_timeout_uninterruptible(msecs_to_jiffies(FAKE_SHORT_MS));
	KUNIT_EXPECT_EQ(test, fd->submitted, 1);
	fakedisk_answer(fd, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, owners->io[0].status, 0);
	KUNIT_ASSERT_TRUE(test, fake_until(flush_is_there(fd)));
	KUNIT_EXPECT_TRUE(test, fd->opf[1] & REQ_PREFLUSH);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STOPPED));
	KUNIT_EXPECT_FALSE(test, completion_done(&owners->call.done));
	fakedisk_answer(fd, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&owners->call), 0);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_CFQR));
	expect_never_sent(test, &owners->io[1]);
	KUNIT_EXPECT_EQ(test, fd->submitted, 2);
}

/* Without callbacks likewise. */
static void orderly_closes_by_default(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, owner_open(&owners->plain, &owners->fd[1]), 0);
	KUNIT_EXPECT_EQ(test, notice(&owners->fd[1], FAKE_LONG_MS), 0);
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->plain, IOTARGET_W_CFQR));
	owners_tell(&owners->fd[1], IOTARGET_REMOVAL_COMPLETE);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(&owners->plain,
						    IOTARGET_W_CLOSED)));
}

/* The device has so many answers, and then no more: of the read, of the flush. */
static void orderly_is_bounded(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct fakedisk *fd = &owners->fd[0];
	ktime_t began;
	s64 late;

	fd->hold = true;
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[0]), 0);
	began = ktime_get();
	KUNIT_EXPECT_EQ(test, notice(fd, FAKE_SENT_MS), 0);
	late = ktime_ms_delta(ktime_get(), began) - FAKE_SENT_MS;
	kunit_info(test, "lateness: %lld bound 100 orderly notice\n", late);
	KUNIT_EXPECT_GE(test, late, -10);
	/* The removal goes on, and so does the target as long as it can. */
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(o, IOTARGET_W_STARTED)));
	KUNIT_EXPECT_FALSE(test, owners->io[0].ended);
	fakedisk_answer(fd, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, owners->io[0].status, 0);
	/* It has had its word. */
	KUNIT_EXPECT_EQ(test, notice(fd, FAKE_SENT_MS), 0);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STARTED));
}

static void flush_is_bounded(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct fakedisk *fd = &owners->fd[0];

	fd->hold = true;
	KUNIT_EXPECT_EQ(test, notice(fd, FAKE_SENT_MS), 0);
	KUNIT_EXPECT_EQ(test, fd->submitted, 1);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(o, IOTARGET_W_STARTED)));
	fakedisk_answer(fd, BLK_STS_OK);
	KUNIT_EXPECT_TRUE(test, fake_until(!atomic_long_read(&o->target->limbo)));
}

/* Refused for now, a target is as it was. */
static void comes_back_as_it_was(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct fakedisk *fd = &owners->fd[0];

	fd->hold = true;
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[0]), 0);
	KUNIT_ASSERT_EQ(test, iotarget_purge(o->target, IOTARGET_PURGE, 0,
					     NULL), 0);
	KUNIT_EXPECT_EQ(test, notice(fd, FAKE_SENT_MS), 0);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_EQ(test, owners->nr, 1);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_PURGED));
}

/* Who stopped it for a time has not stopped it for good. */
static void stop_for_a_time_ends(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct fakedisk *fd = &owners->fd[0];

	if (!IS_ENABLED(CONFIG_NET))
		kunit_skip(test, "the kernel has no control");
	fd->hold = true;
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[0]), 0);
	KUNIT_ASSERT_EQ(test, iotarget_stop_for(o->target, 2 * FAKE_SENT_MS,
						"test"), 0);
	KUNIT_EXPECT_EQ(test, notice(fd, FAKE_SENT_MS / 2), 0);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_EQ(test, owners->nr, 1);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STOPPED));
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(o, IOTARGET_W_STARTED)));
}

/* -- closing ------------------------------------------------------------------ */

static void close_it(struct owner *o, enum owner_told what)
{
	owners->call.ret = iotarget_close(o->target, FAKE_LONG_MS, NULL);
}

static void delete_it(struct owner *o, enum owner_told what)
{
	o->deleted = true;
	owners->call.ret = iotarget_delete(o->target, FAKE_LONG_MS, NULL);
}

/* From the callback itself; the word that ends it is the last. */
static void ends_itself(struct kunit *test, enum owner_told what,
			void (*on)(struct owner *o, enum owner_told what))
{
	struct owner *o = &owners->owner[0];

	owners->call.ret = 1;
	o->on = on;
	owners_tell(&owners->fd[0], what == TOLD_QUERY ? IOTARGET_REMOVAL_ORDERLY :
						  IOTARGET_REMOVAL_COMPLETE);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_EQ(test, owners->call.ret, 0);
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_EQ(test, owners->nr, 1);
	KUNIT_EXPECT_EQ(test, READ_ONCE(o->target->gate.nr_insts), 0);
}

static void closes_in_query(struct kunit *test)
{
	ends_itself(test, TOLD_QUERY, close_it);
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->owner[0], IOTARGET_W_CLOSED));
}

static void closes_in_complete(struct kunit *test)
{
	ends_itself(test, TOLD_COMPLETE, close_it);
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->owner[0], IOTARGET_W_CLOSED));
}

static void deletes_in_query(struct kunit *test)
{
	ends_itself(test, TOLD_QUERY, delete_it);
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->owner[0],
					 IOTARGET_W_DELETED));
}

static void deletes_in_complete(struct kunit *test)
{
	ends_itself(test, TOLD_COMPLETE, delete_it);
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->owner[0],
					 IOTARGET_W_DELETED));
}

static bool forgotten(struct owner *o)
{
	bool is;

	mutex_lock(&iotarget_lowers_lock);
	is = list_empty(&o->target->removal.node);
	mutex_unlock(&iotarget_lowers_lock);
	return is;
}

/* A close waits for the callback that runs, and no other begins. */
static void close_waits_for_a_callback(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	o->hold = TOLD_QUERY;
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_ORDERLY);
	KUNIT_ASSERT_TRUE(test, owner_entered(o));
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	fake_call_start(&owners->call, owner_close, o);
	KUNIT_ASSERT_TRUE(test, fake_until(forgotten(o)));
	schedule_timeout_uninterruptible(msecs_to_jiffies(FAKE_SHORT_MS));
	KUNIT_EXPECT_FALSE(test, completion_done(&owners->call.done));
	complete_all(&o->go);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&owners->call), 0);
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_CLOSED));
}

static void close_waits_no_longer_than_it_may(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	ktime_t began;
	s64 late;

	o->hold = TOLD_COMPLETE;
	owners_tell(&owners->fd[0], IOTARGET_REMOVAL_COMPLETE);
	KUNIT_ASSERT_TRUE(test, owner_entered(o));
	began = ktime_get();
	KUNIT_EXPECT_EQ(test, iotarget_close(o->target, FAKE_SENT_MS, NULL),
			-ETIMEDOUT);
	late = ktime_ms_delta(ktime_get(), began) - FAKE_SENT_MS;
	kunit_info(test, "lateness: %lld bound 100 iotarget_close()\n", late);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_CLOSED));
}

/* -- the driver below -------------------------------------------------------- */

static bool parent_lasts;

/* How far it has come, if that takes longer than those who are told may take. */
static void look_late(struct fakedisk *fd)
{
	struct iotarget_watch *watch = iotarget_watch_get(fd->disk);

	if (!watch)
		return;
	mutex_lock(&iotarget_lowers_lock);
	watch->deadline = jiffies - msecs_to_jiffies(2 * FAKE_LONG_MS);
	owners->call.ret = iotarget_watch_level(watch);
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_watch_put(watch);
}

/* Its driver takes long to let go. */
static void parent_remove(struct platform_device *parent)
{
	if (parent_lasts)
		look_late(&owners->fd[0]);
}

static struct platform_driver parent_driver = {
	.remove		= parent_remove,
	.driver.name	= "iotarget_fake_parent",
};

/* The disks anew below a device with a driver; NULL if that can't be. */
static struct platform_device *parent_make(struct kunit *test, unsigned int nr)
{
	struct fakedisk_model model = { };
	struct platform_device *parent;
	unsigned int i;

	if (platform_driver_register(&parent_driver))
		return NULL;
	parent = platform_device_register_simple("iotarget_fake_parent",
						 PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(parent)) {
		platform_driver_unregister(&parent_driver);
		return NULL;
	}
	model.parent = &parent->dev;
	iotarget_close(owners->owner[0].target, FAKE_LONG_MS, NULL);
	for (i = 0; i < nr; i++) {
		fakedisk_remove(&owners->fd[i]);
		KUNIT_EXPECT_EQ(test, fakedisk_make_as(&owners->fd[i], &model), 0);
		KUNIT_EXPECT_EQ(test, owner_open(&owners->owner[i],
						 &owners->fd[i]), 0);
	}
	return parent;
}

static void parent_end(struct platform_device *parent, unsigned int nr)
{
	while (nr--)
		fakedisk_unplug(&owners->fd[nr]);
	fake_settle_all();
	platform_device_unregister(parent);
	platform_driver_unregister(&parent_driver);
}

static int unbind(void *arg)
{
	/* By this the core of drivers unbinds. */
	device_release_driver(&((struct platform_device *)arg)->dev);
	return 0;
}

/* An ancestor that loses its driver waits for those who use its disk. */
static void unbinding_is_told_before(struct kunit *test)
{
	struct platform_device *parent = parent_make(test, 1);
	struct owner *o = &owners->owner[0];

	KUNIT_ASSERT_NOT_NULL(test, parent);
	unbind(parent);
	KUNIT_EXPECT_TRUE(test, o->query.forced);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_CFQR));
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	parent_end(parent, 1);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_COMPLETE });
}

static unsigned long deadline_of(struct fakedisk *fd)
{
	struct iotarget_watch *watch = iotarget_watch_get(fd->disk);
	unsigned long deadline = watch ? READ_ONCE(watch->deadline) : 0;

	iotarget_watch_put(watch);
	return deadline;
}

/* They are unbound one after the other, but not told so. */
static void all_disks_below_have_the_same_time(struct kunit *test)
{
	struct owner *a = &owners->owner[0], *b = &owners->owner[1];
	struct platform_device *parent = parent_make(test, 2);

	KUNIT_ASSERT_NOT_NULL(test, parent);
	a->hold = TOLD_QUERY;
	b->hold = TOLD_QUERY;
	fake_call_start(&owners->call, unbind, parent);
	KUNIT_EXPECT_TRUE(test, owner_entered(a));
	KUNIT_EXPECT_TRUE(test, owner_entered(b));
	KUNIT_EXPECT_NE(test, deadline_of(&owners->fd[0]), 0);
	KUNIT_EXPECT_EQ(test, deadline_of(&owners->fd[0]),
			deadline_of(&owners->fd[1]));
	KUNIT_EXPECT_FALSE(test, completion_done(&owners->call.done));
	complete_all(&a->go);
	complete_all(&b->go);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&owners->call), 0);
	KUNIT_EXPECT_TRUE(test, owner_is(a, IOTARGET_W_CFQR));
	KUNIT_EXPECT_TRUE(test, owner_is(b, IOTARGET_W_CFQR));
	KUNIT_EXPECT_EQ(test, owners->nr, 2);
	parent_end(parent, 2);
}

/* As long as the driver has not returned no disk has stayed, and then it has. */
static void nothing_has_stayed_yet(struct kunit *test)
{
	struct platform_device *parent = parent_make(test, 1);
	struct iotarget_watch *watch;

	KUNIT_ASSERT_NOT_NULL(test, parent);
	parent_lasts = true;
	unbind(parent);
	parent_lasts = false;
	KUNIT_EXPECT_EQ(test, owners->call.ret, IOTARGET_REMOVAL_ORDERLY);
	watch = iotarget_watch_get(owners->fd[0].disk);
	KUNIT_EXPECT_NOT_NULL(test, watch);
	/* Nobody has to look for that. */
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(watch->level) ==
					   IOTARGET_REMOVAL_NONE));
	iotarget_watch_put(watch);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_CANCELED });
	parent_end(parent, 1);
}

static void look_late_when_asked(struct owner *o, enum owner_told what)
{
	if (what == TOLD_QUERY)
		look_late(&owners->fd[1]);
}

/* And as long as a disk is being deleted it has not stayed either. */
static void deletion_takes_long(struct kunit *test)
{
	struct owner *o = &owners->owner[1];

	o->on = look_late_when_asked;
	KUNIT_ASSERT_EQ(test, open_alone(o, &owners->fd[1]), 0);
	fakedisk_unplug(&owners->fd[1]);
	KUNIT_EXPECT_EQ(test, owners->call.ret, IOTARGET_REMOVAL_ORDERLY);
	OWNERS_EXPECT(test, { 1, TOLD_QUERY }, { 1, TOLD_COMPLETE });
}

static struct kunit_case removal_cases[] = {
	KUNIT_CASE(closed_when_complete),
	KUNIT_CASE(closed_when_the_disk_leaves),
	KUNIT_CASE(unwatched_disk),
	KUNIT_CASE(claim_is_told_before_the_disk_leaves),
	KUNIT_CASE(told_once_each),
	KUNIT_CASE(nothing_after_complete),
	KUNIT_CASE(one_at_a_time),
	KUNIT_CASE(others_are_told_meanwhile),
	KUNIT_CASE(surprise_fails_what_is_held),
	KUNIT_CASE(surprise_shuts_at_once),
	KUNIT_CASE(complete_fails_what_is_held),
	KUNIT_CASE(surprise_leaves_what_is_sent),
	KUNIT_CASE(failed_request_alone_is_no_removal),
	KUNIT_CASE(refused_request_makes_us_look),
	KUNIT_CASE(orderly_drains_and_flushes),
	KUNIT_CASE(orderly_closes_by_default),
	KUNIT_CASE(orderly_is_bounded),
	KUNIT_CASE(flush_is_bounded),
	KUNIT_CASE(comes_back_as_it_was),
	KUNIT_CASE(stop_for_a_time_ends),
	KUNIT_CASE(closes_in_query),
	KUNIT_CASE(closes_in_complete),
	KUNIT_CASE(deletes_in_query),
	KUNIT_CASE(deletes_in_complete),
	KUNIT_CASE(close_waits_for_a_callback),
	KUNIT_CASE(close_waits_no_longer_than_it_may),
	KUNIT_CASE(unbinding_is_told_before),
	KUNIT_CASE(all_disks_below_have_the_same_time),
	KUNIT_CASE(nothing_has_stayed_yet),
	KUNIT_CASE(deletion_takes_long),
	{}
};

static struct kunit_suite removal_suite = {
	.name		= "iotarget_removal",
	.init		= owners_init,
	.exit		= owners_exit,
	.test_cases	= removal_cases,
};

kunit_test_suite(removal_suite);
