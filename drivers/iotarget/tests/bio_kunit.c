// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of forwarded bios and of bios of the caller's own.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/blkdev.h>
#include <linux/slab.h>

#include "fakedisk.h"

#define NR_UPPERS	8

/**
 * struct own - a bio of the caller's own
 * @tb: the bio
 * @ended: how often it completed
 * @status: how
 * @outcome: likewise
 * @vec: its memory
 * @clean: it held nothing any more that would have to be put
 */
struct own {
	struct iotarget_bio	tb;
	struct bio_vec		vec;
	bool			clean;
	unsigned int		ended;
	blk_status_t		status;
	enum iotarget_outcome	outcome;
};

/**
 * struct bios - a test's
 * @target: the target, open and started
 * @fd: its device
 * @page: for data
 * @upper: bios to be forwarded
 * @own: bios to be sent
 * @req: a request between them
 * @req_ended: its callbacks
 * @order: completions so far
 * @end_calls: calls of end_bio()
 * @outcome: what the last of them was told
 * @new_status: what end_bio() makes of an error, if not 0
 * @again: how often it has a bio sent again
 * @deleted: the test has deleted the target
 */
static struct bios {
	struct iotarget		*target;
	struct fakedisk		fd;
	struct page		*page;
	struct fakedisk_upper	upper[NR_UPPERS];
	struct own		own[2];
	struct iotarget_request	req;
	unsigned int		req_ended;
	unsigned int		order;
	unsigned int		end_calls;
	enum iotarget_outcome	outcome;
	blk_status_t		new_status;
	unsigned int		again;
	bool			deleted;
} *b;

static enum iotarget_bio_verdict end_bio(struct iotarget *target,
					 struct bio *bio, blk_status_t *status,
					 enum iotarget_outcome outcome)
{
	b->end_calls++;
	b->outcome = outcome;
	if (b->again) {
		b->again--;
		return IOTARGET_BIO_AGAIN;
	}
	if (b->new_status)
		*status = b->new_status;
	return IOTARGET_BIO_END;
}

static const struct iotarget_ops bio_ops = {
	.owner		= THIS_MODULE,
	.end_bio	= end_bio,
};

static int bios_init(struct kunit *test)
{
	const struct iotarget_create_params params = {
		.name = "bios", .ops = &bio_ops,
		.flags = IOTARGET_CREATE_ACCOUNT_BIOS,
	};

	b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b);
	b->page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b->page);
	KUNIT_ASSERT_EQ(test, fakedisk_make(&b->fd), 0);
	b->target = iotarget_create(&params);
	KUNIT_ASSERT_FALSE(test, IS_ERR(b->target));
	iotarget_get(b->target);
	iotarget_request_init(&b->req);
	return fakedisk_open(b->target, &b->fd);
}

static bool all_over(void)
{
	fakedisk_answer_all(&b->fd, BLK_STS_OK);
	return !READ_ONCE(b->target->gate.nr_insts);
}

static void bios_exit(struct kunit *test)
{
	unsigned int i;

	if (!b || IS_ERR_OR_NULL(b->target))
		return;
	b->again = 0;
	b->fd.hold = false;
	if (!b->deleted)
		iotarget_delete(b->target, 0, NULL);
	KUNIT_EXPECT_TRUE(test, fake_until(all_over()));
	KUNIT_EXPECT_EQ(test, b->target->gate.nr_pended, 0);
	KUNIT_EXPECT_EQ(test, b->target->gate.nr_failing, 0);
	for (i = 0; i < NR_UPPERS; i++) {
		KUNIT_EXPECT_LE(test, b->upper[i].ended, 1);
		if (b->upper[i].bio.bi_end_io)
			bio_uninit(&b->upper[i].bio);
	}
	iotarget_put(b->target);
	fake_settle_all();
	fakedisk_remove(&b->fd);
	__free_page(b->page);
	b = NULL;
}

/* A bio of one page, at the place of its number. */
static struct bio *upper_make(unsigned int i, blk_opf_t opf)
{
	return fakedisk_upper_make(&b->upper[i], &b->fd, 8 * i, opf, &b->order);
}

static struct bio *upper_io(unsigned int i, blk_opf_t opf)
{
	return fakedisk_upper_io(&b->upper[i], &b->fd, 8 * i, opf, &b->order,
				 b->page);
}

static void forward(unsigned int i)
{
	iotarget_forward_bio(b->target, upper_io(i, REQ_OP_READ), 0);
}

static void stop_leave(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, iotarget_stop(b->target,
					    IOTARGET_LEAVE_SENT_PENDING, 0,
					    NULL), 0);
}

static void start(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, iotarget_start_and_wait(b->target, FAKE_LONG_MS,
						      NULL), 0);
}

static void req_complete(struct iotarget *target, struct iotarget_request *req,
			 void *context)
{
	b->req_ended++;
}

/* A request at the sector of the bio of that number. */
static void send_req(struct kunit *test, unsigned int i)
{
	const struct iotarget_buffer buf = iotarget_buf(page_address(b->page),
							SZ_4K);

	KUNIT_ASSERT_EQ(test, iotarget_format_read(b->target, &b->req, &buf,
						   8 * i * SECTOR_SIZE), 0);
	iotarget_request_set_complete(&b->req, req_complete, NULL);
	KUNIT_ASSERT_EQ(test, iotarget_send(b->target, &b->req, NULL), 0);
}

/* The device was given these sectors, in this order and no others. */
static void expect_order(struct kunit *test, const u8 *want, unsigned int n)
{
	unsigned int i;

	KUNIT_ASSERT_EQ(test, b->fd.submitted, n);
	for (i = 0; i < n; i++)
		KUNIT_EXPECT_EQ(test, b->fd.sectors[i], 8 * want[i]);
}

/* F32 */
static void forwarded_as_a_clone(struct kunit *test)
{
	const blk_opf_t opf = REQ_OP_WRITE | REQ_FUA | REQ_PREFLUSH | REQ_SYNC |
			      REQ_META;
	struct bio *bio = upper_io(3, opf);

	b->fd.hold = true;
	bio->bi_ioprio = 0x4002;
	iotarget_forward_bio(b->target, bio, 0);
	KUNIT_ASSERT_EQ(test, b->fd.submitted, 1);
	KUNIT_EXPECT_PTR_NE(test, b->fd.last, (const struct bio *)bio);
	KUNIT_EXPECT_EQ(test, (__force u32)(b->fd.last->bi_opf & opf),
			(__force u32)opf);
	KUNIT_EXPECT_EQ(test, b->fd.last->bi_ioprio, 0x4002);
	KUNIT_EXPECT_EQ(test, b->fd.last->bi_iter.bi_sector, 24);
	KUNIT_EXPECT_EQ(test, b->fd.last->bi_iter.bi_size, SZ_4K);
	KUNIT_EXPECT_EQ(test, b->upper[3].ended, 0);
	KUNIT_EXPECT_TRUE(test, fakedisk_answer(&b->fd, BLK_STS_OK));
	KUNIT_EXPECT_EQ(test, b->upper[3].ended, 1);
	KUNIT_EXPECT_EQ(test, b->upper[3].status, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, b->end_calls, 1);
	KUNIT_EXPECT_EQ(test, b->outcome, IOTARGET_DONE);
}

static void errors_come_up(struct kunit *test)
{
	b->fd.hold = true;
	forward(0);
	forward(1);
	fakedisk_answer(&b->fd, BLK_STS_MEDIUM);
	KUNIT_EXPECT_EQ(test, b->upper[0].status, BLK_STS_MEDIUM);
	KUNIT_EXPECT_EQ(test, b->outcome, IOTARGET_DONE);
	fakedisk_answer(&b->fd, BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, b->upper[1].status, BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, b->outcome, IOTARGET_UNKNOWN);
}

/* F38, F41: bios and requests share one FIFO. */
static void held_in_order_with_requests(struct kunit *test)
{
	static const u8 want[] = { 0, 1, 2, 3, 4 };
	struct iotarget_wait_report report;

	stop_leave(test);
	forward(0);
	forward(1);
	send_req(test, 2);
	forward(3);
	forward(4);
	KUNIT_EXPECT_EQ(test, b->fd.submitted, 0);
	KUNIT_EXPECT_EQ(test, iotarget_stop(b->target, IOTARGET_WAIT_FOR_SENT,
					    FAKE_LONG_MS, &report), 0);
	KUNIT_EXPECT_EQ(test, report.pended, 5);
	start(test);
	expect_order(test, want, ARRAY_SIZE(want));
	KUNIT_EXPECT_EQ(test, b->upper[4].ended, 1);
	KUNIT_EXPECT_EQ(test, b->req_ended, 1);
}

/* What was behind a request that is taken back keeps its place. */
static void order_outlives_a_cancel(struct kunit *test)
{
	static const u8 want[] = { 0, 1, 3, 4, 5 };

	stop_leave(test);
	forward(0);
	forward(1);
	send_req(test, 2);
	forward(3);
	forward(4);
	KUNIT_EXPECT_TRUE(test, iotarget_request_cancel(&b->req));
	KUNIT_EXPECT_EQ(test, b->req_ended, 1);
	forward(5);
	start(test);
	expect_order(test, want, ARRAY_SIZE(want));
}

static void purge_fails_what_is_held(struct kunit *test)
{
	unsigned int i;

	stop_leave(test);
	forward(0);
	send_req(test, 1);
	forward(2);
	forward(3);
	KUNIT_EXPECT_EQ(test, iotarget_purge(b->target, IOTARGET_PURGE_AND_WAIT,
					     FAKE_LONG_MS, NULL), 0);
	for (i = 0; i < 4; i++) {
		if (i == 1)
			continue;
		KUNIT_EXPECT_EQ(test, b->upper[i].ended, 1);
		KUNIT_EXPECT_EQ(test, b->upper[i].status, BLK_STS_OFFLINE);
	}
	KUNIT_EXPECT_LT(test, b->upper[0].order, b->upper[2].order);
	KUNIT_EXPECT_LT(test, b->upper[2].order, b->upper[3].order);
	KUNIT_EXPECT_EQ(test, b->outcome, IOTARGET_NEVER_SENT);
	KUNIT_EXPECT_EQ(test, b->req_ended, 1);
	KUNIT_EXPECT_EQ(test, b->fd.submitted, 0);
	forward(4);
	KUNIT_EXPECT_EQ(test, b->upper[4].status, BLK_STS_OFFLINE);
}

/* REQ_NOWAIT never waits, and a guess is not worth holding. */
static void nowait_and_readahead_are_not_held(struct kunit *test)
{
	stop_leave(test);
	iotarget_forward_bio(b->target, upper_io(0, REQ_OP_READ | REQ_NOWAIT),
			     0);
	KUNIT_EXPECT_EQ(test, b->upper[0].ended, 1);
	KUNIT_EXPECT_EQ(test, b->upper[0].status, BLK_STS_AGAIN);
	iotarget_forward_bio(b->target, upper_io(1, REQ_OP_READ | REQ_RAHEAD),
			     0);
	KUNIT_EXPECT_EQ(test, b->upper[1].ended, 1);
	KUNIT_EXPECT_EQ(test, b->upper[1].status, BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, b->target->gate.nr_pended, 0);
	start(test);
	iotarget_forward_bio(b->target, upper_io(2, REQ_OP_READ | REQ_NOWAIT),
			     0);
	KUNIT_EXPECT_EQ(test, b->upper[2].status, BLK_STS_OK);
}

/* F32: its completion is observed. */
static void owner_changes_the_status(struct kunit *test)
{
	b->new_status = BLK_STS_PROTECTION;
	forward(0);
	KUNIT_EXPECT_EQ(test, b->upper[0].ended, 1);
	KUNIT_EXPECT_EQ(test, b->upper[0].status, BLK_STS_PROTECTION);
}

static void owner_has_it_sent_again(struct kunit *test)
{
	static const u8 want[] = { 0, 0, 0 };

	b->fd.hold = true;
	b->again = 2;
	forward(0);
	KUNIT_EXPECT_TRUE(test, fakedisk_answer(&b->fd, BLK_STS_IOERR));
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(b->fd.submitted) == 2));
	KUNIT_EXPECT_TRUE(test, fakedisk_answer(&b->fd, BLK_STS_IOERR));
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(b->fd.submitted) == 3));
	KUNIT_EXPECT_EQ(test, b->upper[0].ended, 0);
	KUNIT_EXPECT_TRUE(test, fakedisk_answer(&b->fd, BLK_STS_OK));
	KUNIT_EXPECT_EQ(test, b->upper[0].ended, 1);
	KUNIT_EXPECT_EQ(test, b->upper[0].status, BLK_STS_OK);
	expect_order(test, want, ARRAY_SIZE(want));
}

/* Nothing is accepted any more: it completes with what the device said. */
static void not_again_after_a_purge(struct kunit *test)
{
	b->fd.hold = true;
	b->again = 1;
	forward(0);
	KUNIT_EXPECT_EQ(test, iotarget_purge(b->target, IOTARGET_PURGE, 0,
					     NULL), 0);
	fakedisk_answer(&b->fd, BLK_STS_TRANSPORT);
	KUNIT_EXPECT_EQ(test, b->upper[0].ended, 1);
	KUNIT_EXPECT_EQ(test, b->upper[0].status, BLK_STS_TRANSPORT);
}

/* F27 */
static void forgotten_is_not_tracked(struct kunit *test)
{
	struct bio *bio = upper_io(0, REQ_OP_READ);
	struct iotarget_info info;

	b->fd.hold = true;
	iotarget_forward_bio(b->target, bio, IOTARGET_SEND_AND_FORGET);
	KUNIT_EXPECT_PTR_EQ(test, b->fd.last, (const struct bio *)bio);
	iotarget_get_info(b->target, &info);
	KUNIT_EXPECT_EQ(test, info.sent, 0);
	KUNIT_EXPECT_EQ(test, iotarget_stop(b->target, IOTARGET_WAIT_FOR_SENT,
					    FAKE_LONG_MS, NULL), 0);
	/* One that can't go at once is remembered, and so it is tracked. */
	iotarget_forward_bio(b->target, upper_io(1, REQ_OP_READ),
			     IOTARGET_SEND_AND_FORGET);
	start(test);
	iotarget_get_info(b->target, &info);
	KUNIT_EXPECT_EQ(test, info.sent, 1);
	KUNIT_EXPECT_EQ(test, fakedisk_answer_all(&b->fd, BLK_STS_OK), 2);
	KUNIT_EXPECT_EQ(test, b->upper[0].ended + b->upper[1].ended, 2);
	KUNIT_EXPECT_EQ(test, b->end_calls, 1);
}

/*
 * In a submit_bio() the device gets it only later: until then it must not be
 * released.
 */
static void not_forgotten_before_it_is_sent(struct kunit *test)
{
	struct bio_list list[2] = { BIO_EMPTY_LIST, BIO_EMPTY_LIST };
	struct bio *bio = upper_io(0, REQ_OP_READ);

	current->bio_list = list;
	iotarget_forward_bio(b->target, bio, IOTARGET_SEND_AND_FORGET);
	current->bio_list = NULL;
	KUNIT_EXPECT_EQ(test, b->fd.submitted, 0);
	KUNIT_EXPECT_EQ(test, iotarget_close(b->target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	bio = bio_list_pop(&list[0]);
	KUNIT_ASSERT_NOT_NULL(test, bio);
	submit_bio_noacct(bio);
	KUNIT_EXPECT_EQ(test, b->fd.submitted, 1);
	KUNIT_EXPECT_EQ(test, b->upper[0].ended, 1);
	KUNIT_EXPECT_EQ(test, iotarget_close(b->target, FAKE_LONG_MS, NULL), 0);
}

/* A waiting stop means quiet, callbacks included (I6). */
static void stop_waits_for_the_upper_bio(struct kunit *test)
{
	struct iotarget_wait_report report;

	b->fd.hold = true;
	forward(0);
	KUNIT_EXPECT_EQ(test, iotarget_stop(b->target, IOTARGET_WAIT_FOR_SENT,
					    FAKE_SHORT_MS, &report),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, report.sent, 1);
	fakedisk_answer(&b->fd, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, iotarget_stop(b->target, IOTARGET_WAIT_FOR_SENT,
					    FAKE_LONG_MS, &report), 0);
	KUNIT_EXPECT_EQ(test, b->upper[0].ended, 1);
}

static void ignoring_passes_a_stop(struct kunit *test)
{
	stop_leave(test);
	iotarget_forward_bio(b->target, upper_io(0, REQ_OP_READ),
			     IOTARGET_SEND_IGNORE_STATE);
	KUNIT_EXPECT_EQ(test, b->upper[0].ended, 1);
	KUNIT_EXPECT_EQ(test, b->upper[0].status, BLK_STS_OK);
	KUNIT_ASSERT_EQ(test, iotarget_close(b->target, FAKE_LONG_MS, NULL), 0);
	iotarget_forward_bio(b->target, upper_io(1, REQ_OP_READ),
			     IOTARGET_SEND_IGNORE_STATE);
	KUNIT_EXPECT_EQ(test, b->upper[1].status, BLK_STS_OFFLINE);
}

static void atomic_goes_by_a_worker(struct kunit *test)
{
	struct bio *bio = upper_io(0, REQ_OP_READ);
	unsigned long flags;

	local_irq_save(flags);
	iotarget_forward_bio(b->target, bio, IOTARGET_SEND_ATOMIC);
	local_irq_restore(flags);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(b->upper[0].ended)));
	KUNIT_EXPECT_EQ(test, b->upper[0].status, BLK_STS_OK);
}

/* Polled and zoned I/O are refused, not mistreated. */
static void what_is_not_understood_is_refused(struct kunit *test)
{
	/* The owner can't have it sent again. */
	b->again = 5;
	iotarget_forward_bio(b->target, upper_io(0, REQ_OP_READ | REQ_POLLED),
			     0);
	iotarget_forward_bio(b->target, upper_make(1, REQ_OP_ZONE_RESET), 0);
	iotarget_forward_bio(b->target, upper_io(2, REQ_OP_ZONE_APPEND), 0);
	iotarget_forward_bio(b->target, upper_io(3, REQ_OP_READ), BIT(30));
	iotarget_forward_bio(b->target, upper_io(4, REQ_OP_READ),
			     IOTARGET_SEND_ATOMIC | IOTARGET_SEND_IGNORE_STATE);
	KUNIT_EXPECT_EQ(test, b->upper[0].status, BLK_STS_NOTSUPP);
	KUNIT_EXPECT_EQ(test, b->upper[1].status, BLK_STS_NOTSUPP);
	KUNIT_EXPECT_EQ(test, b->upper[2].status, BLK_STS_NOTSUPP);
	KUNIT_EXPECT_EQ(test, b->upper[3].status, BLK_STS_NOTSUPP);
	KUNIT_EXPECT_EQ(test, b->upper[4].status, BLK_STS_NOTSUPP);
	KUNIT_EXPECT_EQ(test, b->end_calls, 5);
	KUNIT_EXPECT_EQ(test, b->fd.submitted, 0);
}

static void flush_has_no_data(struct kunit *test)
{
	iotarget_forward_bio(b->target,
			     upper_make(0, REQ_OP_WRITE | REQ_PREFLUSH), 0);
	KUNIT_EXPECT_EQ(test, b->upper[0].ended, 1);
	KUNIT_EXPECT_EQ(test, b->upper[0].status, BLK_STS_OK);
	KUNIT_EXPECT_TRUE(test, b->fd.opf[0] & REQ_PREFLUSH);
}

/* Writeback throttling would make their senders wait. */
static void requests_are_not_writeback(struct kunit *test)
{
	const struct iotarget_buffer buf = iotarget_buf(page_address(b->page),
							SZ_4K);

	KUNIT_ASSERT_EQ(test, iotarget_format_write(b->target, &b->req, &buf,
						    0), 0);
	KUNIT_ASSERT_EQ(test, iotarget_send(b->target, &b->req, NULL), 0);
	KUNIT_EXPECT_TRUE(test, b->fd.opf[0] & REQ_SYNC);
	KUNIT_EXPECT_TRUE(test, b->fd.opf[0] & REQ_IDLE);
}

static void close_with_held_and_sent(struct kunit *test)
{
	b->fd.hold = true;
	forward(0);
	stop_leave(test);
	forward(1);
	KUNIT_EXPECT_EQ(test, iotarget_close(b->target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, b->upper[0].ended, 0);
	KUNIT_EXPECT_EQ(test, b->upper[1].ended, 1);
	KUNIT_EXPECT_EQ(test, b->upper[1].status, BLK_STS_OFFLINE);
	fakedisk_answer(&b->fd, BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, b->upper[0].ended, 1);
	KUNIT_EXPECT_EQ(test, iotarget_close(b->target, FAKE_LONG_MS, NULL), 0);
}

static void *cgroup_of(const struct bio *bio)
{
#ifdef CONFIG_BLK_CGROUP
	return bio->bi_blkg;
#else
	return NULL;
#endif
}

static void own_complete(struct iotarget *target, struct iotarget_bio *tb)
{
	struct own *own = container_of(tb, struct own, tb);

	own->ended++;
	own->status = tb->bio.bi_status;
	own->outcome = iotarget_bio_outcome(tb);
	own->clean = !cgroup_of(&tb->bio);
}

static int own_send(unsigned int i, u32 flags)
{
	struct own *own = &b->own[i];

	iotarget_bio_init(&own->tb, &own->vec, 1, REQ_OP_READ, own_complete);
	__bio_add_page(&own->tb.bio, b->page, SZ_4K, 0);
	own->tb.bio.bi_iter.bi_sector = 8 * i;
	return iotarget_send_bio(b->target, &own->tb, flags);
}

static bool cancel(unsigned int i)
{
	return iotarget_cancel_bio(b->target, &b->own[i].tb);
}

static void own_bio_is_sent_itself(struct kunit *test)
{
	b->fd.hold = true;
	KUNIT_EXPECT_EQ(test, own_send(0, 0), 0);
	KUNIT_EXPECT_PTR_EQ(test, b->fd.last,
			    (const struct bio *)&b->own[0].tb.bio);
	KUNIT_EXPECT_FALSE(test, cancel(0));
	fakedisk_answer(&b->fd, BLK_STS_MEDIUM);
	KUNIT_EXPECT_EQ(test, b->own[0].ended, 1);
	KUNIT_EXPECT_EQ(test, b->own[0].status, BLK_STS_MEDIUM);
	KUNIT_EXPECT_EQ(test, b->own[0].outcome, IOTARGET_DONE);
}

static void own_bio_is_held(struct kunit *test)
{
	static const u8 want[] = { 5, 0, 1 };

	stop_leave(test);
	forward(5);
	KUNIT_EXPECT_EQ(test, own_send(0, IOTARGET_SEND_NOWAIT), -EAGAIN);
	bio_uninit(&b->own[0].tb.bio);
	KUNIT_EXPECT_EQ(test, b->own[0].ended, 0);
	KUNIT_EXPECT_EQ(test, own_send(0, 0), 0);
	KUNIT_EXPECT_EQ(test, own_send(1, IOTARGET_SEND_ATOMIC), 0);
	/* Held, it is its submitter's already. */
	KUNIT_EXPECT_PTR_EQ(test, b->own[0].tb.bio.bi_bdev,
			    b->fd.disk->part0);
	start(test);
	expect_order(test, want, ARRAY_SIZE(want));
	KUNIT_EXPECT_EQ(test, b->own[0].ended + b->own[1].ended, 2);
}

static void own_bio_is_cancelled(struct kunit *test)
{
	static const u8 want[] = { 5, 6, 1 };

	stop_leave(test);
	forward(5);
	KUNIT_EXPECT_EQ(test, own_send(0, 0), 0);
	forward(6);
	KUNIT_EXPECT_EQ(test, own_send(1, 0), 0);
	KUNIT_EXPECT_TRUE(test, cancel(0));
	KUNIT_EXPECT_EQ(test, b->own[0].ended, 1);
	KUNIT_EXPECT_EQ(test, b->own[0].outcome, IOTARGET_NEVER_SENT);
	KUNIT_EXPECT_FALSE(test, cancel(0));
	start(test);
	expect_order(test, want, ARRAY_SIZE(want));
}

static void own_bio_is_purged(struct kunit *test)
{
	stop_leave(test);
	KUNIT_EXPECT_EQ(test, own_send(0, 0), 0);
	KUNIT_EXPECT_EQ(test, iotarget_purge(b->target, IOTARGET_PURGE_AND_WAIT,
					     FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, b->own[0].ended, 1);
	KUNIT_EXPECT_EQ(test, b->own[0].status, BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, b->own[0].outcome, IOTARGET_NEVER_SENT);
	KUNIT_EXPECT_TRUE(test, b->own[0].clean);
	KUNIT_EXPECT_EQ(test, own_send(0, 0), -ESHUTDOWN);
	bio_uninit(&b->own[0].tb.bio);
	KUNIT_EXPECT_EQ(test, own_send(1, IOTARGET_SEND_IGNORE_STATE), 0);
	KUNIT_EXPECT_TRUE(test, b->own[1].clean);
	KUNIT_EXPECT_EQ(test, b->own[1].status, BLK_STS_OK);
}

static void own_bio_with_bad_arguments(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, iotarget_send_bio(NULL, &b->own[0].tb, 0),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_send_bio(b->target, NULL, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, own_send(0, BIT(30)), -EINVAL);
	KUNIT_EXPECT_EQ(test, own_send(0, IOTARGET_SEND_NOWAIT |
					  IOTARGET_SEND_ATOMIC), -EINVAL);
	KUNIT_EXPECT_FALSE(test, iotarget_cancel_bio(b->target, NULL));
	iotarget_bio_init(&b->own[0].tb, NULL, 0, REQ_OP_READ | REQ_POLLED,
			  own_complete);
	KUNIT_EXPECT_EQ(test, iotarget_send_bio(b->target, &b->own[0].tb, 0),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, b->fd.submitted, 0);
}

static struct kunit_case bio_cases[] = {
	KUNIT_CASE(forwarded_as_a_clone),
	KUNIT_CASE(errors_come_up),
	KUNIT_CASE(held_in_order_with_requests),
	KUNIT_CASE(order_outlives_a_cancel),
	KUNIT_CASE(purge_fails_what_is_held),
	KUNIT_CASE(nowait_and_readahead_are_not_held),
	KUNIT_CASE(owner_changes_the_status),
	KUNIT_CASE(owner_has_it_sent_again),
	KUNIT_CASE(not_again_after_a_purge),
	KUNIT_CASE(forgotten_is_not_tracked),
	KUNIT_CASE(not_forgotten_before_it_is_sent),
	KUNIT_CASE(stop_waits_for_the_upper_bio),
	KUNIT_CASE(ignoring_passes_a_stop),
	KUNIT_CASE(atomic_goes_by_a_worker),
	KUNIT_CASE(what_is_not_understood_is_refused),
	KUNIT_CASE(flush_has_no_data),
	KUNIT_CASE(requests_are_not_writeback),
	KUNIT_CASE(close_with_held_and_sent),
	KUNIT_CASE(own_bio_is_sent_itself),
	KUNIT_CASE(own_bio_is_held),
	KUNIT_CASE(own_bio_is_cancelled),
	KUNIT_CASE(own_bio_is_purged),
	KUNIT_CASE(own_bio_with_bad_arguments),
	{}
};

static struct kunit_suite bio_suite = {
	.name		= "iotarget_bio",
	.init		= bios_init,
	.exit		= bios_exit,
	.test_cases	= bio_cases,
};

kunit_test_suite(bio_suite);
