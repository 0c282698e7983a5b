// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of query.c: who is asked whether a device may go, what counts as a
 * no, and how it ends.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/blkdev.h>
#include <linux/device.h>

#include "owner.h"

/* It was refused with this errno, by one of that name. */
static void expect_refusal(struct kunit *test, struct iotarget_consent *c,
			   int ret, enum iotarget_refused_by by,
			   const char *name, int error)
{
	KUNIT_ASSERT_TRUE(test, IS_ERR(c));
	KUNIT_EXPECT_EQ(test, PTR_ERR(c), ret);
	KUNIT_EXPECT_EQ(test, owners->refusal.by, by);
	KUNIT_EXPECT_EQ(test, owners->refusal.error, error);
	KUNIT_EXPECT_STREQ(test, (const char *)owners->refusal.name, name);
	KUNIT_EXPECT_EQ(test, owners->refusal.devt, disk_devt(owners->fd[0].disk));
}

/* -- yes ---------------------------------------------------------------------- */

static void agreed_and_gone(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct iotarget_consent *c = owners_query_long();

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_EQ(test, owners->refusal.by, IOTARGET_REFUSED_BY_NOBODY);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_CFQR));
	KUNIT_EXPECT_FALSE(test, o->query.forced);
	KUNIT_EXPECT_FALSE(test, o->query.dry_run);
	KUNIT_EXPECT_GT(test, o->query.timeout_ms, 0);
	KUNIT_EXPECT_LE(test, o->query.timeout_ms, FAKE_LONG_MS);
	KUNIT_EXPECT_EQ(test, iotarget_query_wait(c, FAKE_SHORT_MS),
			-ETIMEDOUT);
	fakedisk_unplug(&owners->fd[0]);
	KUNIT_EXPECT_EQ(test, iotarget_query_wait(c, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), 0);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_COMPLETE });
}

static void agreed_and_canceled(struct kunit *test)
{
	struct iotarget_consent *c = owners_query_long();

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_CANCELED });
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(&owners->owner[0],
						    IOTARGET_W_STARTED)));
	/* It is told of the next removal as of the first. */
	fakedisk_unplug(&owners->fd[0]);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_CANCELED },
		      { 0, TOLD_COMPLETE });
}

/* Silence of the asker is not a yes. */
static void agreed_and_expired(struct kunit *test)
{
	struct iotarget_consent *c = owners_query(0, FAKE_LONG_MS, FAKE_SENT_MS);

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_EQ(test, iotarget_query_wait(c, FAKE_LONG_MS), -ETIME);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_CANCELED });
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(&owners->owner[0],
						    IOTARGET_W_STARTED)));
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ETIME);
}

static void without_callbacks(struct kunit *test)
{
	struct iotarget_consent *c;

	KUNIT_ASSERT_EQ(test, owner_open(&owners->plain, &owners->fd[0]), 0);
	c = owners_query_long();
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->plain, IOTARGET_W_CFQR));
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(&owners->plain,
						    IOTARGET_W_STARTED)));
}

static void wait_for_upper(struct owner *o, enum owner_told what)
{
	if (o == &owners->owner[0] && what == TOLD_QUERY)
		owners->call.ret = fake_word(owners->owner[1].target);
}

/* Who stands on others is asked before them, and comes back after them. */
static void highest_first(struct kunit *test)
{
	struct owner *lower = &owners->owner[0], *upper = &owners->owner[1];
	struct iotarget_consent *c;

	KUNIT_ASSERT_EQ(test, owner_open(upper, &owners->fd[1]), 0);
	iotarget_set_upper(lower->target, owners->fd[1].disk);
	lower->on = wait_for_upper;
	c = owners_query_long();
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_EQ(test, owners->call.ret, IOTARGET_W_CFQR);
	OWNERS_EXPECT(test, { 1, TOLD_QUERY }, { 0, TOLD_QUERY });
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
	OWNERS_EXPECT(test, { 1, TOLD_QUERY }, { 0, TOLD_QUERY },
		      { 0, TOLD_CANCELED }, { 1, TOLD_CANCELED });
	iotarget_set_upper(lower->target, NULL);
}

/* -- no ----------------------------------------------------------------------- */

static void refused(struct kunit *test)
{
	owners->owner[0].answer = -EPERM;
	expect_refusal(test, owners_query_long(), -EBUSY, IOTARGET_REFUSED_BY_TARGET,
		       "owner0", -EPERM);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->owner[0],
					 IOTARGET_W_STARTED));
}

static void wait_for_other(struct owner *o, enum owner_told what)
{
	struct owner *other = &owners->owner[0];

	if (what == TOLD_QUERY)
		fake_until(owner_is(other, IOTARGET_W_CFQR) &&
			   !atomic_read(&other->running));
}

/* Those who agreed before another refused get their device back. */
static void refused_by_one_of_two(struct kunit *test)
{
	struct owner *a = &owners->owner[0], *b = &owners->owner[1];

	KUNIT_ASSERT_EQ(test, owner_open(b, &owners->fd[0]), 0);
	b->on = wait_for_other;
	b->answer = -EPERM;
	expect_refusal(test, owners_query_long(), -EBUSY, IOTARGET_REFUSED_BY_TARGET,
		       "owner1", -EPERM);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_ASSERT_EQ(test, owners->nr, 3);
	KUNIT_EXPECT_EQ(test, owners->log[2].owner, 0);
	KUNIT_EXPECT_EQ(test, owners->log[2].told, TOLD_CANCELED);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(a, IOTARGET_W_STARTED)));
	KUNIT_EXPECT_TRUE(test, owner_is(b, IOTARGET_W_STARTED));
}

/* A word is not enough. */
static void agreed_and_kept_open(struct kunit *test)
{
	owners->owner[0].stays = true;
	expect_refusal(test, owners_query_long(), -EBUSY, IOTARGET_REFUSED_BY_TARGET,
		       "owner0", -EBUSY);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
}

/* A query that has given up still waits for answers, but not for so long. */
#define GIVEN_UP_MS	800

static void answer_late(struct kunit *test, unsigned int ms)
{
	struct owner *o = &owners->owner[0];
	ktime_t began = ktime_get();

	o->hold = TOLD_QUERY;
	expect_refusal(test, owners_query(0, FAKE_SENT_MS, 0), -ETIMEDOUT,
		       IOTARGET_REFUSED_BY_TARGET, "owner0", -ETIMEDOUT);
	kunit_info(test, "lateness: %lld bound 100 iotarget_query_remove()\n",
		   ktime_ms_delta(ktime_get(), began) - FAKE_SENT_MS);
	schedule_timeout_uninterruptible(msecs_to_jiffies(ms));
	KUNIT_EXPECT_EQ(test, owners->nr, 1);
	o->hold = TOLD_NOTHING;
	complete_all(&o->go);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(owners->nr) == 2));
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_CANCELED });
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(o, IOTARGET_W_STARTED)));
}

/* Not to answer is to refuse; a yes that comes then is taken back. */
static void too_late(struct kunit *test)
{
	answer_late(test, 0);
}

/* So is one that comes when the query is over. */
static void much_too_late(struct kunit *test)
{
	answer_late(test, GIVEN_UP_MS);
}

/* So does one whose device does not answer; it goes on then. */
static void device_does_not_answer(struct kunit *test)
{
	struct fakedisk *fd = &owners->fd[0];
	struct owner *o = &owners->owner[0];
	struct iotarget_consent *c;

	fd->hold = true;
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[0]), 0);
	c = owners_query(0, ASKED_MS, 0);
	KUNIT_ASSERT_TRUE(test, IS_ERR(c));
	KUNIT_EXPECT_EQ(test, owners->refusal.by, IOTARGET_REFUSED_BY_TARGET);
	KUNIT_EXPECT_EQ(test, owners->refusal.error, -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, fake_until(owner_is(o, IOTARGET_W_STARTED)));
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	fakedisk_answer(fd, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, owners->io[0].status, 0);
}

/* Nobody is asked while a query holds, and after it everybody is again. */
static void one_query_at_a_time(struct kunit *test)
{
	struct iotarget_consent *c = owners_query_long();

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	expect_refusal(test, owners_query_long(), -EBUSY, IOTARGET_REFUSED_BY_QUERY,
		       owners->fd[0].disk->disk_name, 0);
	expect_refusal(test, owners_query(IOTARGET_QUERY_DRY_RUN, 0, 0), -EBUSY,
		       IOTARGET_REFUSED_BY_QUERY,
		       owners->fd[0].disk->disk_name, 0);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
	c = owners_query_long();
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_CANCELED },
		      { 0, TOLD_QUERY }, { 0, TOLD_CANCELED });
}

static void refused_by_an_opener(struct kunit *test)
{
	struct gendisk *disk = owners->fd[0].disk;
	struct file *file = bdev_file_open_by_dev(disk_devt(disk),
						  BLK_OPEN_READ, NULL, NULL);
	struct iotarget_consent *c;
	unsigned int tries = 20;

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	expect_refusal(test, owners_query_long(), -EBUSY, IOTARGET_REFUSED_BY_OPENER,
		       disk->disk_name, 0);
	/* In time, but that a busy machine may be late with the answer. */
	do {
		c = owners_query(0, 200, 0);
	} while (PTR_ERR(c) == -ETIMEDOUT && --tries);
	expect_refusal(test, c, -EBUSY, IOTARGET_REFUSED_BY_OPENER,
		       disk->disk_name, 0);
	OWNERS_EXPECT(test);
	__fput_sync(file);
}

/* -- claims -------------------------------------------------------------------- */

/* On a device, so that its disk can be claimed; the target is open on it. */
static struct device *claimable(struct kunit *test)
{
	struct fakedisk_model model = {
		.parent = root_device_register("iotarget_fake"),
	};

	KUNIT_ASSERT_FALSE(test, IS_ERR(model.parent));
	iotarget_close(owners->owner[0].target, FAKE_LONG_MS, NULL);
	fakedisk_remove(&owners->fd[0]);
	KUNIT_EXPECT_EQ(test, fakedisk_make_as(&owners->fd[0], &model), 0);
	KUNIT_EXPECT_EQ(test, owner_open(&owners->owner[0], &owners->fd[0]), 0);
	return model.parent;
}

static struct file *claim(void)
{
	return bdev_file_open_by_dev(disk_devt(owners->fd[0].disk),
				     BLK_OPEN_READ, owners, NULL);
}

static void refused_by_a_claim(struct kunit *test)
{
	struct device *parent = claimable(test);
	struct file *file = claim();

	KUNIT_EXPECT_FALSE(test, IS_ERR(file));
	if (!IS_ERR(file)) {
		expect_refusal(test, owners_query_long(), -EBUSY,
			       IOTARGET_REFUSED_BY_CLAIM,
			       owners->fd[0].disk->disk_name, 0);
		__fput_sync(file);
	}
	OWNERS_EXPECT(test);
	iotarget_close(owners->owner[0].target, FAKE_LONG_MS, NULL);
	fakedisk_remove(&owners->fd[0]);
	root_device_unregister(parent);
}

/* Nobody comes in while all agree, by the device that goes, too. */
static void claimed_while_all_agree(struct kunit *test)
{
	struct device *parent = claimable(test);
	struct iotarget_consent *c = iotarget_query_remove(parent, NULL,
							   &owners->refusal);
	struct file *file;

	KUNIT_EXPECT_FALSE(test, IS_ERR_OR_NULL(c));
	if (!IS_ERR_OR_NULL(c)) {
		KUNIT_EXPECT_TRUE(test, owner_is(&owners->owner[0],
						 IOTARGET_W_CFQR));
		file = claim();
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(file), -EBUSY);
		KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS),
				-ECANCELED);
	}
	file = claim();
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(file), 0);
	if (!IS_ERR(file))
		__fput_sync(file);
	iotarget_close(owners->owner[0].target, FAKE_LONG_MS, NULL);
	fakedisk_remove(&owners->fd[0]);
	root_device_unregister(parent);
}

/* -- dry runs -------------------------------------------------------------------- */

static void dry_run(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	o->stays = true;
	KUNIT_EXPECT_PTR_EQ(test, owners_query(IOTARGET_QUERY_DRY_RUN, 0, 0), NULL);
	KUNIT_EXPECT_TRUE(test, o->query.dry_run);
	KUNIT_EXPECT_FALSE(test, o->query.forced);
	o->stays = false;
	KUNIT_EXPECT_PTR_EQ(test, owners_query(IOTARGET_QUERY_DRY_RUN, 0, 0), NULL);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STARTED));
	o->answer = -EPERM;
	expect_refusal(test, owners_query(IOTARGET_QUERY_DRY_RUN, 0, 0), -EBUSY,
		       IOTARGET_REFUSED_BY_TARGET, "owner0", -EPERM);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_QUERY },
		      { 0, TOLD_QUERY });
	KUNIT_EXPECT_EQ(test, owners->fd[0].submitted, 0);
}

/* -- who goes meanwhile ----------------------------------------------------------- */

static void close_it(struct owner *o, enum owner_told what)
{
	owners->call.ret = iotarget_close(o->target, FAKE_LONG_MS, NULL);
}

static void delete_it(struct owner *o, enum owner_told what)
{
	o->deleted = true;
	owners->call.ret = iotarget_delete(o->target, FAKE_LONG_MS, NULL);
}

/* To close it otherwise is to agree, for good. */
static void closes_when_asked(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct iotarget_consent *c;

	owners->call.ret = 1;
	o->on = close_it;
	c = owners_query_long();
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_EQ(test, owners->call.ret, 0);
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_CLOSED));
}

static void end_when_canceled(struct kunit *test,
			      void (*on)(struct owner *o, enum owner_told what))
{
	struct owner *o = &owners->owner[0];
	struct iotarget_consent *c = owners_query_long();

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	owners->call.ret = 1;
	o->on = on;
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_CANCELED });
	KUNIT_EXPECT_EQ(test, owners->call.ret, 0);
}

static void closes_when_canceled(struct kunit *test)
{
	end_when_canceled(test, close_it);
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->owner[0], IOTARGET_W_CLOSED));
}

static void deletes_when_canceled(struct kunit *test)
{
	end_when_canceled(test, delete_it);
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->owner[0],
					 IOTARGET_W_DELETED));
}

/* The device goes before all have answered: nobody has to come back. */
static void gone_while_it_is_asked(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	o->on = NULL;
	o->hold = TOLD_QUERY;
	KUNIT_EXPECT_TRUE(test, IS_ERR(owners_query(0, FAKE_SENT_MS, 0)));
	fakedisk_unplug(&owners->fd[0]);
	complete_all(&o->go);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(owners->nr) == 2));
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_COMPLETE });
}

static int ask_for_long(void *arg)
{
	struct iotarget_consent *c = owners_query(0, 2 * FAKE_LONG_MS, 0);

	return IS_ERR(c) ? PTR_ERR(c) : iotarget_query_end(c, FAKE_LONG_MS);
}

/* What a removal is held up at most: watch.c. */
#define NOTICE_MS	5000

/* Nor does whoever removes it wait until they have. */
static void removal_waits_for_no_answer(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	unsigned long late = msecs_to_jiffies(NOTICE_MS);

	o->hold = TOLD_QUERY;
	fake_call_start(&owners->call, ask_for_long, NULL);
	KUNIT_ASSERT_TRUE(test, owner_entered(o));
	late += jiffies;
	fakedisk_unplug(&owners->fd[0]);
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, late));
	complete_all(&o->go);
	fake_call_wait(&owners->call);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(owners->nr) == 2));
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_COMPLETE });
}

static void nothing_to_ask_about(struct kunit *test)
{
	struct iotarget_query_params params = { .flags = 0x2 };
	struct device *dev = disk_to_dev(owners->fd[0].disk);
	struct iotarget_consent *c;

	c = iotarget_query_remove(dev, &params, NULL);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(c), -EINVAL);
	params = (struct iotarget_query_params){
		.timeout_ms = IOTARGET_TIMEOUT_MAX_MS + 1,
	};
	c = iotarget_query_remove(dev, &params, NULL);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(c), -EINVAL);
	c = iotarget_query_remove(NULL, NULL, NULL);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(c), -EINVAL);
	fakedisk_unplug(&owners->fd[0]);
	c = owners_query_long();
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(c), -ENODEV);
	OWNERS_EXPECT(test, { 0, TOLD_COMPLETE });
}

static struct kunit_case query_cases[] = {
	KUNIT_CASE(agreed_and_gone),
	KUNIT_CASE(agreed_and_canceled),
	KUNIT_CASE(agreed_and_expired),
	KUNIT_CASE(without_callbacks),
	KUNIT_CASE(highest_first),
	KUNIT_CASE(refused),
	KUNIT_CASE(refused_by_one_of_two),
	KUNIT_CASE(agreed_and_kept_open),
	KUNIT_CASE(too_late),
	KUNIT_CASE(much_too_late),
	KUNIT_CASE(device_does_not_answer),
	KUNIT_CASE(one_query_at_a_time),
	KUNIT_CASE(refused_by_an_opener),
	KUNIT_CASE(refused_by_a_claim),
	KUNIT_CASE(claimed_while_all_agree),
	KUNIT_CASE(dry_run),
	KUNIT_CASE(closes_when_asked),
	KUNIT_CASE(closes_when_canceled),
	KUNIT_CASE(deletes_when_canceled),
	KUNIT_CASE(gone_while_it_is_asked),
	KUNIT_CASE(removal_waits_for_no_answer),
	KUNIT_CASE(nothing_to_ask_about),
	{}
};

static struct kunit_suite query_suite = {
	.name		= "iotarget_query",
	.init		= owners_init,
	.exit		= owners_exit,
	.test_cases	= query_cases,
};

kunit_test_suite(query_suite);
