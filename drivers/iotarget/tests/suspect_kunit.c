// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of failures as of a device that is gone, with a policy that holds: what is
 * kept, what becomes of it, and in which order it is sent again.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/blkdev.h>

#include "../keep.h"
#include "../removal.h"
#include "fakedisk.h"

#define NR_UPPERS	6
#define HOLD_MS		60000

/* Where no end of the disk is. */
#define SECTOR(_i)	(1024 + 8 * (_i))

/**
 * struct suspects - a test's
 * @target: the target, open, with a policy that holds
 * @fd: its device, and the one that comes then
 * @page: for data
 * @upper: bios to be forwarded
 * @order: completions so far
 * @end_calls: calls of end_bio()
 * @outcome: what the last of them was told
 */
static struct suspects {
	struct iotarget		*target;
	struct fakedisk		fd[2];
	struct page		*page;
	struct fakedisk_upper	upper[NR_UPPERS];
	unsigned int		order;
	unsigned int		end_calls;
	enum iotarget_outcome	outcome;
} *s;

static const struct fakedisk_model plain = { .seed = 1 };

static enum iotarget_bio_verdict end_bio(struct iotarget *target,
					 struct bio *bio, blk_status_t *status,
					 enum iotarget_outcome outcome)
{
	s->end_calls++;
	s->outcome = outcome;
	return IOTARGET_BIO_END;
}

static const struct iotarget_ops ops = {
	.owner		= THIS_MODULE,
	.end_bio	= end_bio,
};

static int open_with(u32 flags)
{
	const struct iotarget_policy policy = {
		.flags = IOTARGET_POLICY_HOLD | flags,
		.hold_ms = HOLD_MS,
	};

	return iotarget_close(s->target, FAKE_LONG_MS, NULL) ?:
	       iotarget_set_policy(s->target, &policy) ?:
	       fakedisk_open(s->target, &s->fd[0]);
}

static int suspects_init(struct kunit *test)
{
	const struct iotarget_create_params params = {
		.name = "suspects", .ops = &ops,
		.flags = IOTARGET_CREATE_ACCOUNT_BIOS,
	};

	s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	s->page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s->page);
	KUNIT_ASSERT_EQ(test, fakedisk_make_as(&s->fd[0], &plain), 0);
	s->target = iotarget_create(&params);
	KUNIT_ASSERT_FALSE(test, IS_ERR(s->target));
	iotarget_get(s->target);
	return open_with(0);
}

static bool all_over(void)
{
	fakedisk_answer_all(&s->fd[0], BLK_STS_OK);
	return !READ_ONCE(s->target->gate.nr_insts);
}

static void suspects_exit(struct kunit *test)
{
	unsigned int i;

	if (!s || IS_ERR_OR_NULL(s->target))
		return;
	s->fd[0].hold = false;
	iotarget_delete(s->target, 0, NULL);
	KUNIT_EXPECT_TRUE(test, fake_until(all_over()));
	KUNIT_EXPECT_EQ(test, iotarget_gate_held(&s->target->gate), 0);
	KUNIT_EXPECT_EQ(test, s->target->gate.held_bytes, 0);
	KUNIT_EXPECT_EQ(test, s->target->gate.nr_failing, 0);
	for (i = 0; i < NR_UPPERS; i++) {
		if (!s->upper[i].bio.bi_end_io)
			continue;
		KUNIT_EXPECT_EQ(test, s->upper[i].ended, 1);
		bio_uninit(&s->upper[i].bio);
	}
	iotarget_put(s->target);
	fake_settle_all();
	fakedisk_remove(&s->fd[0]);
	fakedisk_remove(&s->fd[1]);
	__free_page(s->page);
	s = NULL;
}

static void forward(unsigned int i, blk_opf_t opf)
{
	iotarget_forward_bio(s->target,
			     fakedisk_upper_io(&s->upper[i], &s->fd[0],
					       SECTOR(i), opf, &s->order,
					       s->page), 0);
}

/* These are with the device, which has not answered. */
static void send_all(unsigned int n, blk_opf_t opf)
{
	unsigned int i;

	s->fd[0].hold = true;
	for (i = 0; i < n; i++)
		forward(i, opf);
}

static struct iotarget_info info(void)
{
	struct iotarget_info info;

	iotarget_get_info(s->target, &info);
	return info;
}

/* As if the time were over in which the device may turn out to be gone. */
static void decide_now(void)
{
	struct iotarget_gate *gate = &s->target->gate;

	spin_lock_irq(&gate->lock);
	gate->decided = jiffies;
	spin_unlock_irq(&gate->lock);
}

static void pull(struct kunit *test)
{
	fakedisk_unplug(&s->fd[0]);
	KUNIT_ASSERT_TRUE(test, fake_until(READ_ONCE(s->target->gate.doubt) ==
					   IOTARGET_IS_GONE));
}

static void replug_as(struct kunit *test, const struct fakedisk_model *model)
{
	KUNIT_ASSERT_EQ(test, fakedisk_make_as(&s->fd[1], model), 0);
	iotarget_away_arrived();
	KUNIT_ASSERT_TRUE(test, fake_until(!info().away));
	KUNIT_ASSERT_EQ(test, iotarget_start_and_wait(s->target, FAKE_LONG_MS,
						      NULL), 0);
}

static void replug(struct kunit *test)
{
	replug_as(test, &plain);
}

static void still_there(struct kunit *test)
{
	send_all(1, REQ_OP_WRITE);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->upper[0].ended, 0);
	KUNIT_EXPECT_EQ(test, fake_word(s->target), IOTARGET_W_AWAY);
	forward(1, REQ_OP_WRITE);
	KUNIT_EXPECT_EQ(test, info().pended, 2);
	KUNIT_EXPECT_EQ(test, info().held_bytes, 2 * SZ_4K);
	KUNIT_EXPECT_EQ(test, info().sent, 0);

	s->fd[0].hold = false;
	decide_now();
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(s->upper[1].ended)));
	KUNIT_EXPECT_EQ(test, s->upper[0].ended, 1);
	KUNIT_EXPECT_EQ(test, s->upper[0].status, BLK_STS_IOERR);
	KUNIT_EXPECT_LT(test, s->upper[0].order, s->upper[1].order);
	KUNIT_EXPECT_EQ(test, s->upper[1].status, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, info().unknown, 1);
	KUNIT_EXPECT_FALSE(test, info().away);
}

/* Who has been found to be there is believed for a while. */
static void then_it_is_believed(struct kunit *test)
{
	still_there(test);
	s->fd[0].hold = true;
	forward(2, REQ_OP_READ);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->upper[2].ended, 1);
	KUNIT_EXPECT_EQ(test, s->upper[2].status, BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->outcome, IOTARGET_UNKNOWN);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(s->target), IOTARGET_STARTED);
}

/* What the device, or the block layer for it, has answered is no cause for doubt. */
static void an_answer_is_an_answer(struct kunit *test)
{
	static const blk_status_t answers[] = {
		BLK_STS_MEDIUM, BLK_STS_AGAIN, BLK_STS_INVAL,
	};
	unsigned int i;

	send_all(ARRAY_SIZE(answers), REQ_OP_READ);
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		fakedisk_answer(&s->fd[0], answers[i]);
		KUNIT_EXPECT_EQ(test, s->upper[i].ended, 1);
		KUNIT_EXPECT_EQ(test, s->upper[i].status, answers[i]);
		KUNIT_EXPECT_EQ(test, s->outcome, IOTARGET_DONE);
		KUNIT_EXPECT_EQ(test, iotarget_get_state(s->target),
				IOTARGET_STARTED);
	}
	KUNIT_EXPECT_EQ(test, info().unknown, 0);
}

/* As long as nobody knows whether it is there, what comes is not too much. */
static void no_budget_in_doubt(struct kunit *test)
{
	struct iotarget_policy policy = {
		.flags = IOTARGET_POLICY_HOLD,
		.hold_ms = HOLD_MS,
		.hold_bytes = SZ_4K,
	};

	KUNIT_ASSERT_EQ(test, iotarget_set_policy(s->target, &policy), 0);
	send_all(1, REQ_OP_WRITE);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	forward(1, REQ_OP_WRITE);
	forward(2, REQ_OP_WRITE);
	KUNIT_EXPECT_EQ(test, info().pended, 3);
	s->fd[0].hold = false;
	decide_now();
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(s->upper[2].ended)));
	KUNIT_EXPECT_EQ(test, s->upper[1].status, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, s->upper[2].status, BLK_STS_OK);
}

/* Nobody is asked about a stop that the owner made. */
static void stopped_stays_stopped(struct kunit *test)
{
	send_all(1, REQ_OP_READ);
	KUNIT_ASSERT_EQ(test, iotarget_stop(s->target, IOTARGET_LEAVE_SENT_PENDING,
					    0, NULL), 0);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->upper[0].ended, 0);
	forward(1, REQ_OP_READ);
	decide_now();
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(s->upper[0].ended)));
	KUNIT_EXPECT_EQ(test, s->upper[1].ended, 0);
	KUNIT_EXPECT_EQ(test, fake_word(s->target), IOTARGET_W_STOPPED);
}

/* It starts when it is known that the device is there. */
static void started_while_in_doubt(struct kunit *test)
{
	send_all(1, REQ_OP_READ);
	KUNIT_ASSERT_EQ(test, iotarget_stop(s->target, IOTARGET_LEAVE_SENT_PENDING,
					    0, NULL), 0);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	forward(1, REQ_OP_READ);
	KUNIT_EXPECT_EQ(test, iotarget_start(s->target), 0);
	KUNIT_EXPECT_EQ(test, fake_word(s->target), IOTARGET_W_AWAY);
	KUNIT_EXPECT_TRUE(test, bio_list_empty(&s->fd[0].held));
	s->fd[0].hold = false;
	decide_now();
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(s->upper[1].ended)));
}

/* Gone: a write fails, and a read is sent to the device that is back. */
static void reads_are_sent_again(struct kunit *test)
{
	send_all(2, REQ_OP_READ);
	forward(2, REQ_OP_WRITE);
	forward(3, REQ_OP_READ | REQ_RAHEAD);
	fakedisk_answer_all(&s->fd[0], BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->order, 0);
	forward(4, REQ_OP_WRITE);
	pull(test);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(s->upper[2].ended)));
	KUNIT_EXPECT_EQ(test, s->upper[2].status, BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->outcome, IOTARGET_UNKNOWN);
	KUNIT_EXPECT_EQ(test, s->order, 1);
	KUNIT_EXPECT_EQ(test, info().pended, 4);
	replug(test);
	KUNIT_EXPECT_EQ(test, s->upper[0].order, 2);
	KUNIT_EXPECT_EQ(test, s->upper[1].order, 3);
	KUNIT_EXPECT_EQ(test, s->upper[3].order, 4);
	KUNIT_EXPECT_EQ(test, s->upper[4].order, 5);
	KUNIT_EXPECT_EQ(test, s->upper[0].status, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, info().unknown, 1);
	/* The owner hears of each once. */
	KUNIT_EXPECT_EQ(test, s->end_calls, 5);
}

/* What comes back when it is known already is not told otherwise. */
static void the_rest_comes_back_late(struct kunit *test)
{
	send_all(2, REQ_OP_READ);
	forward(2, REQ_OP_WRITE);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	pull(test);
	fakedisk_answer_all(&s->fd[0], BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->upper[2].ended, 1);
	KUNIT_EXPECT_EQ(test, s->upper[1].ended, 0);
	replug(test);
	KUNIT_EXPECT_EQ(test, s->upper[0].order, 2);
	KUNIT_EXPECT_EQ(test, s->upper[1].order, 3);
}

/* In the order in which they were sent first, whatever order they came back in. */
static void writes_are_replayed_in_order(struct kunit *test)
{
	unsigned int i;

	KUNIT_ASSERT_EQ(test, open_with(IOTARGET_POLICY_REPLAY), 0);
	send_all(4, REQ_OP_WRITE);
	forward(4, REQ_OP_DISCARD);
	fakedisk_answer_last(&s->fd[0], BLK_STS_IOERR);
	fakedisk_answer_last(&s->fd[0], BLK_STS_IOERR);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	fakedisk_answer_all(&s->fd[0], BLK_STS_IOERR);
	forward(5, REQ_OP_WRITE);
	pull(test);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(s->upper[4].ended)));
	KUNIT_EXPECT_EQ(test, s->upper[4].status, BLK_STS_IOERR);
	replug(test);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, s->upper[i].order, 2 + i);
	KUNIT_EXPECT_EQ(test, s->upper[5].order, 6);
	KUNIT_EXPECT_EQ(test, info().unknown, 1);
	KUNIT_EXPECT_EQ(test, info().replayed, 4);
}

/* A flush that was out is no excuse for what was lost before it. */
static void a_replayed_flush_hides_no_loss(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, open_with(IOTARGET_POLICY_REPLAY), 0);
	forward(0, REQ_OP_WRITE);
	KUNIT_EXPECT_EQ(test, s->upper[0].ended, 1);
	s->fd[0].hold = true;
	iotarget_forward_bio(s->target,
			     fakedisk_upper_make(&s->upper[1], &s->fd[0], 0,
						 REQ_OP_WRITE | REQ_PREFLUSH,
						 &s->order), 0);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->upper[1].ended, 0);
	pull(test);
	replug(test);
	KUNIT_EXPECT_EQ(test, s->upper[1].ended, 1);
	KUNIT_EXPECT_EQ(test, s->upper[1].status, BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->outcome, IOTARGET_UNKNOWN);
	KUNIT_EXPECT_EQ(test, info().lost, SZ_4K);
}

static void purge_fails_them_unknown(struct kunit *test)
{
	send_all(2, REQ_OP_READ);
	fakedisk_answer_all(&s->fd[0], BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->order, 0);
	KUNIT_EXPECT_EQ(test, iotarget_purge(s->target, IOTARGET_PURGE_AND_WAIT,
					     FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, s->order, 2);
	KUNIT_EXPECT_EQ(test, s->upper[0].status, BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->outcome, IOTARGET_UNKNOWN);
	KUNIT_EXPECT_EQ(test, info().unknown, 2);
	/* Nobody would come for it. */
	s->fd[0].hold = false;
	KUNIT_EXPECT_EQ(test, info().pended, 0);
}

static void close_waits_for_nobody(struct kunit *test)
{
	send_all(2, REQ_OP_READ);
	fakedisk_answer_all(&s->fd[0], BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, iotarget_close(s->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, s->order, 2);
	KUNIT_EXPECT_EQ(test, s->outcome, IOTARGET_UNKNOWN);
}

/* The device is back, and they wait for a start: they were sent all the same. */
static void purged_before_they_are_sent_again(struct kunit *test)
{
	send_all(2, REQ_OP_READ);
	KUNIT_ASSERT_EQ(test, iotarget_stop(s->target, IOTARGET_LEAVE_SENT_PENDING,
					    0, NULL), 0);
	forward(2, REQ_OP_READ);
	fakedisk_answer_all(&s->fd[0], BLK_STS_IOERR);
	pull(test);
	KUNIT_ASSERT_EQ(test, fakedisk_make_as(&s->fd[1], &plain), 0);
	iotarget_away_arrived();
	KUNIT_ASSERT_TRUE(test, fake_until(!info().away));
	KUNIT_EXPECT_EQ(test, fake_word(s->target), IOTARGET_W_STOPPED);
	KUNIT_EXPECT_EQ(test, info().pended, 3);
	KUNIT_EXPECT_EQ(test, info().held_bytes, 3 * SZ_4K);
	KUNIT_EXPECT_EQ(test, iotarget_purge(s->target, IOTARGET_PURGE_AND_WAIT,
					     FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, s->upper[0].status, BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->upper[1].status, BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, info().unknown, 2);
	KUNIT_EXPECT_EQ(test, s->upper[2].status, BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, s->outcome, IOTARGET_NEVER_SENT);
}

/* A disk of a device of its own, of which there is no other: for open_as(). */
static struct fakedisk_model only(struct kunit *test)
{
	struct fakedisk_model model = {
		.parent = root_device_register("iotarget_fake"),
		.seed = 1,
		.unique = 7,
	};

	KUNIT_ASSERT_FALSE(test, IS_ERR(model.parent));
	return model;
}

static void open_as(struct kunit *test, const struct fakedisk_model *model)
{
	KUNIT_ASSERT_EQ(test, iotarget_close(s->target, FAKE_LONG_MS, NULL), 0);
	fakedisk_remove(&s->fd[0]);
	KUNIT_ASSERT_EQ(test, fakedisk_make_as(&s->fd[0], model), 0);
	KUNIT_ASSERT_EQ(test, open_with(0), 0);
}

/* The device of the disks goes, so they go first. */
static void all_gone(struct device *parent)
{
	iotarget_delete(s->target, FAKE_LONG_MS, NULL);
	fake_settle_all();
	fakedisk_remove(&s->fd[0]);
	fakedisk_remove(&s->fd[1]);
	root_device_unregister(parent);
}

static struct iotarget_keep *current_keep(void)
{
	struct iotarget_inst *inst = iotarget_inst_current(s->target);
	struct iotarget_keep *keep = inst->keep;

	iotarget_inst_put(inst);
	return keep;
}

static void expect_refused(struct kunit *test, const struct fakedisk_model *model)
{
	pull(test);
	KUNIT_ASSERT_EQ(test, fakedisk_make_as(&s->fd[1], model), 0);
	iotarget_away_arrived();
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(s->target->removal.nr_refused)));
	KUNIT_EXPECT_TRUE(test, info().away);
}

/* One of which there is no other may have grown, */
static void grown_meanwhile(struct kunit *test)
{
	struct fakedisk_model model = only(test);

	open_as(test, &model);
	pull(test);
	forward(0, REQ_OP_WRITE);
	model.sectors = FAKEDISK_SECTORS + 8;
	replug_as(test, &model);
	KUNIT_EXPECT_EQ(test, s->upper[0].status, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, info().capacity, model.sectors << SECTOR_SHIFT);
	all_gone(model.parent);
}

/* but not shrunk, */
static void shrunk_meanwhile(struct kunit *test)
{
	struct fakedisk_model model = only(test);

	open_as(test, &model);
	model.sectors = FAKEDISK_SECTORS - 8;
	expect_refused(test, &model);
	all_gone(model.parent);
}

/* to what it was before it grew neither, */
static void grown_and_shrunk(struct kunit *test)
{
	const struct fakedisk_model model = only(test);

	open_as(test, &model);
	set_capacity(s->fd[0].disk, 2 * FAKEDISK_SECTORS);
	forward(0, REQ_OP_READ);
	expect_refused(test, &model);
	all_gone(model.parent);
}

/* and one that says nothing of the kind, */
static void larger_is_another(struct kunit *test)
{
	const struct fakedisk_model larger = {
		.seed = 1, .sectors = FAKEDISK_SECTORS + 8,
	};

	expect_refused(test, &larger);
}

/* or stands on what says it, is another then. */
static void larger_without_hardware(struct kunit *test)
{
	struct fakedisk_model model = { .seed = 1, .unique = 7 };

	open_as(test, &model);
	model.sectors = FAKEDISK_SECTORS + 8;
	expect_refused(test, &model);
}

/* Of one that has grown, as much as can be has to be the same. */
static void larger_with_other_contents(struct kunit *test)
{
	struct fakedisk_model model = only(test);

	open_as(test, &model);
	/* All of its beginning may be something else now. */
	bitmap_fill(current_keep()->written, IOTARGET_EDGES);
	model.sectors = FAKEDISK_SECTORS + 8;
	expect_refused(test, &model);
	all_gone(model.parent);
}

/* What is for the part that came is held like the rest. */
static void held_for_what_has_grown(struct kunit *test)
{
	const struct iotarget_buffer buf = iotarget_buf(page_address(s->page), SZ_4K);
	struct iotarget_request *req = iotarget_request_alloc(GFP_KERNEL);
	const u64 pos = (u64)FAKEDISK_SECTORS << SECTOR_SHIFT;

	KUNIT_ASSERT_NOT_NULL(test, req);
	KUNIT_EXPECT_EQ(test, iotarget_format_read(s->target, req, &buf, pos), -ERANGE);
	set_capacity(s->fd[0].disk, 2 * FAKEDISK_SECTORS);
	forward(0, REQ_OP_READ);
	pull(test);
	KUNIT_EXPECT_EQ(test, iotarget_format_read(s->target, req, &buf, pos), 0);
	iotarget_request_free(req);
}

/* A disk may be held up by a gate that waits for us. */
static void nobody_waits_for_a_gate(struct kunit *test)
{
	const struct fakedisk_model shut = { .seed = 1, .shut = true };

	pull(test);
	forward(0, REQ_OP_READ);
	KUNIT_ASSERT_EQ(test, fakedisk_make_as(&s->fd[1], &shut), 0);
	iotarget_away_arrived();
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(s->fd[1].submitted)));
	KUNIT_EXPECT_TRUE(test, info().away);
	KUNIT_EXPECT_TRUE(test, bio_list_empty(&s->fd[1].held));
	s->fd[1].model.shut = false;
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(s->upper[0].ended)));
	KUNIT_EXPECT_EQ(test, s->upper[0].status, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, s->target->removal.nr_refused, 0);
}

static void close_for_query(enum iotarget_hook_point point, void *target)
{
	if (point != IOTARGET_HOOK_ATTACH)
		return;
	iotarget_hook_handler = NULL;
	iotarget_close_for_query_remove(target, FAKE_SHORT_MS, NULL);
}

/* Just as it is back: the device that was closed for the query has not come. */
static void closed_for_a_query_meanwhile(struct kunit *test)
{
	pull(test);
	iotarget_hook_handler = close_for_query;
	KUNIT_ASSERT_EQ(test, fakedisk_make_as(&s->fd[1], &plain), 0);
	iotarget_away_arrived();
	/* Which is what is done if the owner has no callback for it. */
	KUNIT_EXPECT_TRUE(test, fake_until(fake_word(s->target) == IOTARGET_W_CLOSED));
	iotarget_hook_handler = NULL;
}

/* Not back in time. */
static void given_up(struct kunit *test)
{
	send_all(1, REQ_OP_READ);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	pull(test);
	forward(1, REQ_OP_READ);
	mutex_lock(&iotarget_lowers_lock);
	s->target->removal.since -= iotarget_jiffies(HOLD_MS);
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_away_arrived();
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(s->order) == 2));
	KUNIT_EXPECT_EQ(test, s->upper[0].status, BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->upper[1].status, BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, info().unknown, 1);
}

/* Who waits for memory that is swapped out waits for a short time. */
static void swap_does_not_wait(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, open_with(IOTARGET_POLICY_REPLAY), 0);
	send_all(1, REQ_OP_WRITE | REQ_SWAP);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	pull(test);
	forward(1, REQ_OP_WRITE | REQ_SWAP);
	forward(2, REQ_OP_WRITE);
	KUNIT_EXPECT_EQ(test, s->order, 0);
	mutex_lock(&iotarget_lowers_lock);
	s->target->removal.since -= iotarget_jiffies(IOTARGET_SWAP_MS);
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_away_arrived();
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(s->upper[1].ended)));
	KUNIT_EXPECT_EQ(test, s->upper[0].status, BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->upper[1].status, BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, s->order, 2);
	forward(3, REQ_OP_WRITE | REQ_SWAP);
	KUNIT_EXPECT_EQ(test, s->upper[3].ended, 1);
	KUNIT_EXPECT_EQ(test, s->upper[3].status, BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, info().pended, 1);
	replug(test);
	KUNIT_EXPECT_EQ(test, s->upper[2].status, BLK_STS_OK);
	/* And with the device that is back it is as it was. */
	KUNIT_ASSERT_EQ(test, iotarget_stop(s->target, IOTARGET_LEAVE_SENT_PENDING,
					    0, NULL), 0);
	forward(4, REQ_OP_WRITE | REQ_SWAP);
	KUNIT_EXPECT_EQ(test, s->upper[4].ended, 0);
}

/* Past the state, and of the owner's own: told at once. */
static void others_are_told_at_once(struct kunit *test)
{
	s->fd[0].hold = true;
	iotarget_forward_bio(s->target,
			     fakedisk_upper_io(&s->upper[0], &s->fd[0],
					       SECTOR(0), REQ_OP_READ, &s->order,
					       s->page),
			     IOTARGET_SEND_IGNORE_STATE);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->upper[0].ended, 1);
	/* But what comes then is held. */
	forward(1, REQ_OP_READ);
	KUNIT_EXPECT_EQ(test, info().pended, 1);
	KUNIT_EXPECT_EQ(test, s->outcome, IOTARGET_UNKNOWN);
}

/* Without the policy nothing of it happens. */
static void only_with_the_policy(struct kunit *test)
{
	const struct iotarget_policy none = { };

	KUNIT_ASSERT_EQ(test, iotarget_close(s->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_ASSERT_EQ(test, iotarget_set_policy(s->target, &none), 0);
	KUNIT_ASSERT_EQ(test, fakedisk_open(s->target, &s->fd[0]), 0);
	send_all(1, REQ_OP_READ);
	fakedisk_answer(&s->fd[0], BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, s->upper[0].ended, 1);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(s->target), IOTARGET_STARTED);
}

static struct kunit_case suspect_cases[] = {
	KUNIT_CASE(still_there),
	KUNIT_CASE(then_it_is_believed),
	KUNIT_CASE(an_answer_is_an_answer),
	KUNIT_CASE(no_budget_in_doubt),
	KUNIT_CASE(stopped_stays_stopped),
	KUNIT_CASE(started_while_in_doubt),
	KUNIT_CASE(reads_are_sent_again),
	KUNIT_CASE(the_rest_comes_back_late),
	KUNIT_CASE(writes_are_replayed_in_order),
	KUNIT_CASE(a_replayed_flush_hides_no_loss),
	KUNIT_CASE(purge_fails_them_unknown),
	KUNIT_CASE(close_waits_for_nobody),
	KUNIT_CASE(purged_before_they_are_sent_again),
	KUNIT_CASE(grown_meanwhile),
	KUNIT_CASE(shrunk_meanwhile),
	KUNIT_CASE(grown_and_shrunk),
	KUNIT_CASE(larger_is_another),
	KUNIT_CASE(larger_without_hardware),
	KUNIT_CASE(larger_with_other_contents),
	KUNIT_CASE(held_for_what_has_grown),
	KUNIT_CASE(nobody_waits_for_a_gate),
	KUNIT_CASE(closed_for_a_query_meanwhile),
	KUNIT_CASE(given_up),
	KUNIT_CASE(swap_does_not_wait),
	KUNIT_CASE(others_are_told_at_once),
	KUNIT_CASE(only_with_the_policy),
	{}
};

static struct kunit_suite suspect_suite = {
	.name		= "iotarget_suspect",
	.init		= suspects_init,
	.exit		= suspects_exit,
	.test_cases	= suspect_cases,
};

kunit_test_suite(suspect_suite);
