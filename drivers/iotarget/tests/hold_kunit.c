// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of those who agree that their device goes, and hold what comes until it is
 * known what became of it.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/blkdev.h>
#include <linux/device.h>

#include "../keep.h"
#include "owner.h"

#define HOLD_MS		60000

static int hold_on(struct owner *o, struct fakedisk *fd)
{
	const struct iotarget_policy policy = {
		.flags = IOTARGET_POLICY_HOLD,
		.hold_ms = HOLD_MS,
	};

	o->holds = true;
	return iotarget_close(o->target, FAKE_LONG_MS, NULL) ?:
	       iotarget_set_policy(o->target, &policy) ?: owner_open(o, fd);
}

static int hold_init(struct kunit *test)
{
	return owners_init(test) ?:
	       hold_on(&owners->owner[0], &owners->fd[0]);
}

static bool is_lost(struct owner *o)
{
	return READ_ONCE(o->target->gate.lost);
}

static bool becomes(struct owner *o, enum iotarget_word word)
{
	return fake_until(owner_is(o, word));
}

static bool io_ends(struct owner_io *io)
{
	return fake_until(READ_ONCE(io->ended));
}

/* But for reads. */
static blk_opf_t last_opf(const struct fakedisk *fd)
{
	unsigned int i;

	for (i = min_t(unsigned int, fd->submitted, FAKEDISK_LOG); i; i--) {
		if ((fd->opf[i - 1] & REQ_OP_MASK) != REQ_OP_READ)
			return fd->opf[i - 1];
	}
	return 0;
}

/* It has agreed, and no start sends anything. */
static void expect_holds(struct kunit *test, struct owner *o,
			 struct owner_io *io)
{
	const unsigned int submitted = owners->fd[0].submitted;

	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_AWAY));
	KUNIT_EXPECT_FALSE(test, is_lost(o));
	KUNIT_EXPECT_EQ(test, iotarget_get_state(o->target), IOTARGET_STOPPED);
	KUNIT_ASSERT_EQ(test, owner_read(o, io), 0);
	KUNIT_EXPECT_EQ(test, iotarget_start(o->target), 0);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_AWAY));
	fake_settle_all();
	KUNIT_EXPECT_FALSE(test, io->ended);
	KUNIT_EXPECT_EQ(test, owners->fd[0].submitted, submitted);
}

/* Nobody else may open it meanwhile. */
static void agreed_and_canceled(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct iotarget_consent *c = owners_query_long();

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_TRUE(test, last_opf(&owners->fd[0]) & REQ_PREFLUSH);
	expect_holds(test, o, &owners->io[0]);
	KUNIT_EXPECT_EQ(test, owner_open(&owners->plain, &owners->fd[0]),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_CANCELED });
	KUNIT_EXPECT_TRUE(test, becomes(o, IOTARGET_W_STARTED));
	KUNIT_EXPECT_TRUE(test, io_ends(&owners->io[0]));
	KUNIT_EXPECT_EQ(test, owners->io[0].status, 0);
	/* And the next query finds all as the first did. */
	c = owners_query_long();
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_AWAY));
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
}

static void agreed_and_expired(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct iotarget_consent *c = owners_query(0, FAKE_LONG_MS, FAKE_SENT_MS);

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_EQ(test, iotarget_query_wait(c, FAKE_LONG_MS), -ETIME);
	KUNIT_EXPECT_TRUE(test, becomes(o, IOTARGET_W_STARTED));
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ETIME);
	KUNIT_EXPECT_EQ(test, owner_read(o, &owners->io[0]), 0);
	KUNIT_EXPECT_TRUE(test, io_ends(&owners->io[0]));
}

/* It is waited for, and nobody hears that it is gone. */
static void agreed_and_gone(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct iotarget_consent *c = owners_query_long();

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[0]), 0);
	fakedisk_unplug(&owners->fd[0]);
	KUNIT_EXPECT_EQ(test, iotarget_query_wait(c, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), 0);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	KUNIT_EXPECT_TRUE(test, is_lost(o));
	/* By itself: who agreed has stopped nothing. */
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_AWAY));
	KUNIT_EXPECT_FALSE(test, o->target->gate.agreed);
	KUNIT_EXPECT_FALSE(test, owners->io[0].ended);
	KUNIT_EXPECT_EQ(test, iotarget_close(o->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, owners->io[0].outcome, IOTARGET_NEVER_SENT);
}

/* What it has written to the ends of the device tells as much as the rest then. */
static void ends_are_looked_at_again(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct iotarget_inst *inst = iotarget_inst_current(o->target);
	struct iotarget_consent *c;

	KUNIT_ASSERT_NOT_NULL(test, inst);
	set_bit(2, inst->keep->written);
	set_bit(IOTARGET_EDGES - 1, inst->keep->written);
	inst->keep->hash[2] = 0;
	c = owners_query_long();
	KUNIT_EXPECT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_TRUE(test, bitmap_empty(inst->keep->written,
					     IOTARGET_EDGES));
	KUNIT_EXPECT_NE(test, inst->keep->hash[2], 0);
	if (!IS_ERR_OR_NULL(c))
		KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS),
				-ECANCELED);
	iotarget_inst_put(inst);
}

/* Who has stopped it has it stopped until he starts it, whoever agrees meanwhile. */
static void stopped_by_somebody(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct iotarget_consent *c;
	u64 changes;

	KUNIT_ASSERT_EQ(test, iotarget_stop(o->target,
					    IOTARGET_LEAVE_SENT_PENDING, 0,
					    NULL), 0);
	changes = iotarget_gate_changes(&o->target->gate);
	c = owners_query_long();
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STOPPED));
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STOPPED));
	KUNIT_EXPECT_EQ(test, iotarget_gate_changes(&o->target->gate), changes);
	c = owners_query_long();
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_EQ(test, iotarget_start(o->target), 0);
	expect_holds(test, o, &owners->io[0]);
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
	KUNIT_EXPECT_TRUE(test, becomes(o, IOTARGET_W_STARTED));
	KUNIT_EXPECT_TRUE(test, io_ends(&owners->io[0]));
}

/* A refusal leaves nothing behind. */
static void device_does_not_answer(struct kunit *test)
{
	struct fakedisk *fd = &owners->fd[0];
	struct owner *o = &owners->owner[0];

	fd->hold = true;
	KUNIT_ASSERT_EQ(test, owner_read(o, &owners->io[0]), 0);
	KUNIT_EXPECT_TRUE(test, IS_ERR(owners_query(0, ASKED_MS, 0)));
	KUNIT_EXPECT_EQ(test, owners->refusal.error, -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, becomes(o, IOTARGET_W_STARTED));
	KUNIT_EXPECT_FALSE(test, o->target->gate.agreed);
	fakedisk_answer(fd, BLK_STS_OK);
	KUNIT_EXPECT_TRUE(test, io_ends(&owners->io[0]));
	KUNIT_EXPECT_EQ(test, owners->io[0].status, 0);
}

/* What can't be waited for is no reason to agree. */
static void without_a_policy(struct kunit *test)
{
	struct owner *o = &owners->owner[1];

	o->holds = true;
	KUNIT_ASSERT_EQ(test, owner_open(o, &owners->fd[0]), 0);
	KUNIT_EXPECT_TRUE(test, IS_ERR(owners_query_long()));
	KUNIT_EXPECT_STREQ(test, (const char *)owners->refusal.name, "owner1");
	KUNIT_EXPECT_EQ(test, owners->refusal.error, -EBUSY);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_STARTED));
	KUNIT_EXPECT_TRUE(test, becomes(&owners->owner[0], IOTARGET_W_STARTED));
}

static void dry_run(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, owners_query(IOTARGET_QUERY_DRY_RUN, 0, 0), NULL);
	KUNIT_EXPECT_TRUE(test, owner_is(&owners->owner[0],
					 IOTARGET_W_STARTED));
	KUNIT_EXPECT_FALSE(test, owners->owner[0].target->gate.agreed);
}

/* -- asked by nobody ----------------------------------------------------------- */

static void set_deadline(struct fakedisk *fd, long ms)
{
	struct iotarget_watch *watch = iotarget_watch_get(fd->disk);

	if (!watch)
		return;
	mutex_lock(&iotarget_lowers_lock);
	watch->level = IOTARGET_REMOVAL_ORDERLY;
	watch->deadline = jiffies + (ms < 0 ? -msecs_to_jiffies(-ms) :
					      msecs_to_jiffies(ms));
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_watch_put(watch);
}

static void forced_holds(struct kunit *test)
{
	struct fakedisk *fd = &owners->fd[0];
	struct owner *o = &owners->owner[0];

	set_deadline(fd, FAKE_LONG_MS);
	iotarget_watch_dead(fd->disk->part0, false);
	KUNIT_EXPECT_TRUE(test, o->query.forced);
	KUNIT_EXPECT_TRUE(test, last_opf(fd) & REQ_PREFLUSH);
	expect_holds(test, o, &owners->io[0]);
	/* It is ready, and not asked again. */
	iotarget_watch_dead(fd->disk->part0, false);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	fakedisk_unplug(fd);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	KUNIT_EXPECT_TRUE(test, is_lost(o));
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_AWAY));
}

/* The device was never removed: that is seen without anybody who looks. */
static void forced_and_stays(struct kunit *test)
{
	struct fakedisk *fd = &owners->fd[0];
	struct owner *o = &owners->owner[0];

	set_deadline(fd, FAKE_LONG_MS);
	iotarget_watch_dead(fd->disk->part0, false);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_AWAY));
	set_deadline(fd, -2 * FAKE_LONG_MS);
	KUNIT_EXPECT_TRUE(test, becomes(o, IOTARGET_W_STARTED));
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_CANCELED });
}

/* The asker has gone, and the removal that he began goes on. */
static void canceled_while_it_goes(struct kunit *test)
{
	struct fakedisk *fd = &owners->fd[0];
	struct owner *o = &owners->owner[0];
	struct iotarget_consent *c = owners_query_long();

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	set_deadline(fd, FAKE_LONG_MS);
	iotarget_watch_dead(fd->disk->part0, false);
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), -ECANCELED);
	OWNERS_EXPECT(test, { 0, TOLD_QUERY });
	expect_holds(test, o, &owners->io[0]);
	/* Unless the device stays. */
	set_deadline(fd, -2 * FAKE_LONG_MS);
	KUNIT_EXPECT_TRUE(test, becomes(o, IOTARGET_W_STARTED));
	KUNIT_EXPECT_TRUE(test, io_ends(&owners->io[0]));
	OWNERS_EXPECT(test, { 0, TOLD_QUERY }, { 0, TOLD_CANCELED });
}

/* -- in a callback --------------------------------------------------------------- */

static bool was_moot, is_moot;

static void wait_until_moot(struct owner *o, enum owner_told what)
{
	if (what != TOLD_QUERY || o->query.forced)
		return;
	was_moot = iotarget_query_is_moot(o->target);
	complete(&o->entered);
	is_moot = fake_until(iotarget_query_is_moot(o->target));
}

static int ask_long(void *unused)
{
	struct iotarget_consent *c = owners_query_long();

	if (IS_ERR_OR_NULL(c))
		return PTR_ERR_OR_ZERO(c) ?: -EINVAL;
	return iotarget_query_end(c, FAKE_LONG_MS);
}

/* Whoever pulls the device does not wait for an owner that waits before it answers. */
static void gone_while_its_owner_waits(struct kunit *test)
{
	struct owner *o = &owners->owner[0];

	o->on = wait_until_moot;
	fake_call_start(&owners->call, ask_long, NULL);
	KUNIT_ASSERT_TRUE(test, owner_entered(o));
	KUNIT_EXPECT_FALSE(test, was_moot);
	fakedisk_unplug(&owners->fd[0]);
	KUNIT_EXPECT_NE(test, fake_call_wait(&owners->call), -EINPROGRESS);
	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_TRUE(test, is_moot);
	KUNIT_EXPECT_TRUE(test, is_lost(o));
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_AWAY));
}

static int closed_while_looking;

static void close_while_looking(enum iotarget_hook_point point, void *target)
{
	if (point != IOTARGET_HOOK_LOOKED)
		return;
	iotarget_hook_handler = NULL;
	closed_while_looking = iotarget_close(target, FAKE_SENT_MS, NULL);
}

/* What is known of a device goes with it, but not while it is being renewed. */
static void closed_while_it_looks_again(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct iotarget_consent *c;

	closed_while_looking = 0;
	iotarget_hook_handler = close_while_looking;
	c = owners_query_long();
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_EQ(test, closed_while_looking, -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, owner_is(o, IOTARGET_W_CLOSED));
	KUNIT_EXPECT_TRUE(test, fake_until(!READ_ONCE(o->target->gate.nr_insts)));
	iotarget_query_end(c, FAKE_LONG_MS);
}

/* -- what is at risk ---------------------------------------------------------- */

/* A moment without a medium, between the gate and the device. */
static void out_for_a_moment(enum iotarget_hook_point point, void *req)
{
	if (point == IOTARGET_HOOK_REQ_SUBMIT)
		set_capacity(owners->fd[0].disk, 0);
	else if (point == IOTARGET_HOOK_REQ_FINISH)
		set_capacity(owners->fd[0].disk, FAKEDISK_SECTORS);
}

/* A flush that did not get to the device does not stand in the way of the next. */
static void refused_flush_makes_nothing_safe(struct kunit *test)
{
	const struct iotarget_send_params sync = {
		.flags = IOTARGET_SEND_SYNCHRONOUS | IOTARGET_SEND_TIMEOUT,
		.timeout_ms = FAKE_LONG_MS,
	};
	struct owner *o = &owners->owner[0];
	struct iotarget_request *req = &owners->io[0].req;
	void *data = page_address(owners->page);
	struct iotarget_info info;

	KUNIT_EXPECT_EQ(test, iotarget_write(o->target, data, SZ_4K, 0,
					     FAKE_LONG_MS, NULL), 0);
	KUNIT_ASSERT_EQ(test, iotarget_format_flush(o->target, req), 0);
	iotarget_hook_handler = out_for_a_moment;
	KUNIT_EXPECT_EQ(test, iotarget_send(o->target, req, &sync), -ENODEV);
	iotarget_hook_handler = NULL;
	KUNIT_EXPECT_EQ(test, iotarget_request_outcome(req),
			IOTARGET_NEVER_SENT);
	KUNIT_ASSERT_EQ(test, iotarget_get_info(o->target, &info), 0);
	KUNIT_EXPECT_EQ(test, info.at_risk, SZ_4K);
	KUNIT_EXPECT_EQ(test, iotarget_flush(o->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_ASSERT_EQ(test, iotarget_get_info(o->target, &info), 0);
	KUNIT_EXPECT_EQ(test, info.at_risk, 0);
}

/* Who passes the gate may have written, but for those who say that they have not. */
static void who_says_so_has_only_read(struct kunit *test)
{
	struct owner *o = &owners->owner[0];
	struct iotarget_entry entry;
	struct iotarget_info info;

	KUNIT_ASSERT_EQ(test, iotarget_enter(o->target, &entry, FAKE_LONG_MS), 0);
	entry.reads_only = true;
	iotarget_leave(&entry);
	KUNIT_ASSERT_EQ(test, iotarget_get_info(o->target, &info), 0);
	KUNIT_EXPECT_EQ(test, info.at_risk, 0);
	KUNIT_ASSERT_EQ(test, iotarget_enter(o->target, &entry, FAKE_LONG_MS), 0);
	iotarget_leave(&entry);
	KUNIT_ASSERT_EQ(test, iotarget_get_info(o->target, &info), 0);
	KUNIT_EXPECT_EQ(test, info.at_risk, 1);
}

/* -- one on the other ---------------------------------------------------------- */

/* What stands on a target that waits has its disk still, and goes on. */
static void upper_goes_on(struct kunit *test)
{
	struct owner *lower = &owners->owner[0], *upper = &owners->owner[1];
	struct iotarget_consent *c;

	KUNIT_ASSERT_EQ(test, hold_on(upper, &owners->fd[1]), 0);
	iotarget_set_upper(lower->target, owners->fd[1].disk);
	c = owners_query_long();
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(c));
	KUNIT_EXPECT_TRUE(test, owner_is(upper, IOTARGET_W_AWAY));
	fakedisk_unplug(&owners->fd[0]);
	KUNIT_EXPECT_EQ(test, iotarget_query_end(c, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_TRUE(test, becomes(upper, IOTARGET_W_STARTED));
	KUNIT_EXPECT_TRUE(test, owner_is(lower, IOTARGET_W_AWAY));
	KUNIT_EXPECT_TRUE(test, is_lost(lower));
	OWNERS_EXPECT(test, { 1, TOLD_QUERY }, { 0, TOLD_QUERY },
		      { 1, TOLD_CANCELED });
	iotarget_set_upper(lower->target, NULL);
}

static struct kunit_case hold_cases[] = {
	KUNIT_CASE(agreed_and_canceled),
	KUNIT_CASE(agreed_and_expired),
	KUNIT_CASE(agreed_and_gone),
	KUNIT_CASE(ends_are_looked_at_again),
	KUNIT_CASE(stopped_by_somebody),
	KUNIT_CASE(device_does_not_answer),
	KUNIT_CASE(without_a_policy),
	KUNIT_CASE(dry_run),
	KUNIT_CASE(forced_holds),
	KUNIT_CASE(forced_and_stays),
	KUNIT_CASE(canceled_while_it_goes),
	KUNIT_CASE(gone_while_its_owner_waits),
	KUNIT_CASE(closed_while_it_looks_again),
	KUNIT_CASE(refused_flush_makes_nothing_safe),
	KUNIT_CASE(who_says_so_has_only_read),
	KUNIT_CASE(upper_goes_on),
	{}
};

static struct kunit_suite hold_suite = {
	.name		= "iotarget_hold",
	.init		= hold_init,
	.exit		= owners_exit,
	.test_cases	= hold_cases,
};

kunit_test_suite(hold_suite);
