// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of what is kept of a device in case it is gone: what it may lose, and
 * whether another one is the same.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/blk_types.h>
#include <linux/percpu.h>

#include "../keep.h"

#define OP_FLUSH	(REQ_OP_WRITE | REQ_PREFLUSH)
#define OP_WRITE	REQ_OP_WRITE
#define MIDDLE	1000		/* a sector that is at no end */
#define SECTORS	2000

static struct iotarget_keep *make(struct kunit *test)
{
	struct iotarget_keep *keep = kunit_kzalloc(test, sizeof(*keep),
						   GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, keep);
	/* Without a size, as one that is gone. */
	keep->bdev = kunit_kzalloc(test, sizeof(*keep->bdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, keep->bdev);
	keep->acked = alloc_percpu(u64);
	KUNIT_ASSERT_TRUE(test, keep->acked);
	keep->cache = true;
	keep->head = IOTARGET_EDGE_SECTORS;
	keep->tail = SECTORS - IOTARGET_EDGE_SECTORS;
	for (i = 0; i < IOTARGET_EDGES; i++)
		keep->hash[i] = i + 1;
	return keep;
}

static void done(struct iotarget_keep *keep)
{
	free_percpu(keep->acked);
}

static void write(struct iotarget_keep *keep, blk_opf_t opf, sector_t sector,
		  u64 bytes, bool acked)
{
	const u64 covers = iotarget_keep_sent(keep, opf, sector, bytes);

	iotarget_keep_back(keep, opf, bytes, acked, covers);
}

static void flush(struct iotarget_keep *keep, bool acked)
{
	write(keep, OP_FLUSH, 0, 0, acked);
}

static void counts_what_is_acknowledged(struct kunit *test)
{
	struct iotarget_keep *keep = make(test);

	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 0);
	write(keep, OP_WRITE, MIDDLE, 4096, true);
	write(keep, OP_WRITE, MIDDLE, 512, false);
	write(keep, OP_WRITE | REQ_FUA, MIDDLE, 512, true);
	write(keep, REQ_OP_DISCARD, MIDDLE, 512, true);
	write(keep, REQ_OP_READ, MIDDLE, 512, true);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 4096);
	write(keep, REQ_OP_WRITE_ZEROES, MIDDLE, 512, true);
	iotarget_keep_entered(keep);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 4096 + 512 + 1);
	keep->cache = false;
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 0);
	done(keep);
}

static void a_flush_makes_durable_what_was_before_it(struct kunit *test)
{
	struct iotarget_keep *keep = make(test);
	u64 covers;

	write(keep, OP_WRITE, MIDDLE, 4096, true);
	covers = iotarget_keep_sent(keep, OP_FLUSH, 0, 0);
	write(keep, OP_WRITE, MIDDLE, 512, true);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 4096 + 512);
	iotarget_keep_back(keep, OP_FLUSH, 0, true, covers);
	/* What came while it was out may have come too late for it. */
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 512);
	flush(keep, true);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 0);
	/* With data of its own, which it does not make durable. */
	write(keep, OP_FLUSH, MIDDLE, 1024, true);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 1024);
	write(keep, OP_FLUSH | REQ_FUA, MIDDLE, 2048, true);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 0);
	done(keep);
}

static void one_that_fails_makes_nothing_durable(struct kunit *test)
{
	struct iotarget_keep *keep = make(test);

	write(keep, OP_WRITE, MIDDLE, 4096, true);
	flush(keep, false);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 4096);
	write(keep, OP_WRITE, MIDDLE, 512, true);
	/* Nor does it stand in the way of the next. */
	flush(keep, true);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 0);
	done(keep);
}

/* Each makes durable what was before it, whichever comes back first. */
static void flushes_that_overlap_count_each(struct kunit *test)
{
	struct iotarget_keep *keep = make(test);
	u64 a, b;

	write(keep, OP_WRITE, MIDDLE, 4096, true);
	a = iotarget_keep_sent(keep, OP_FLUSH, 0, 0);
	write(keep, OP_WRITE, MIDDLE, 512, true);
	b = iotarget_keep_sent(keep, OP_FLUSH, 0, 0);
	write(keep, OP_WRITE, MIDDLE, 1024, true);
	iotarget_keep_back(keep, OP_FLUSH, 0, true, b);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 1024);
	iotarget_keep_back(keep, OP_FLUSH, 0, true, a);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 1024);
	b = iotarget_keep_sent(keep, OP_FLUSH, 0, 0);
	a = iotarget_keep_sent(keep, OP_FLUSH, 0, 0);
	iotarget_keep_back(keep, OP_FLUSH, 0, false, b);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 1024);
	iotarget_keep_back(keep, OP_FLUSH, 0, true, a);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 0);
	done(keep);
}

/* What went with the device that is away is accepted, and no more than that. */
static void a_loss_is_accepted(struct kunit *test)
{
	struct iotarget_keep *keep = make(test);

	keep->lost = 512;
	write(keep, OP_WRITE, MIDDLE, 4096, true);
	iotarget_keep_accept(keep, false);
	KUNIT_EXPECT_EQ(test, keep->lost, 0);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 4096);
	iotarget_keep_accept(keep, true);
	KUNIT_EXPECT_EQ(test, iotarget_keep_at_risk(keep), 0);
	done(keep);
}

static void a_loss_is_handed_on(struct kunit *test)
{
	struct iotarget_keep *lost = make(test), *fresh = make(test);

	write(lost, OP_WRITE, MIDDLE, 4096, true);
	iotarget_keep_inherit(fresh, lost);
	KUNIT_EXPECT_TRUE(test, iotarget_keep_refuses(fresh, OP_FLUSH));
	KUNIT_EXPECT_TRUE(test, iotarget_keep_refuses(fresh, OP_WRITE | REQ_FUA));
	KUNIT_EXPECT_FALSE(test, iotarget_keep_refuses(fresh, OP_WRITE));
	KUNIT_EXPECT_FALSE(test, iotarget_keep_refuses(fresh, REQ_OP_READ));
	/* Also if that one is lost as well, with nothing at risk. */
	iotarget_keep_inherit(lost, fresh);
	KUNIT_EXPECT_EQ(test, lost->lost, 4096);
	done(lost);
	done(fresh);
}

/* -- is it the same? --------------------------------------------------------- */

static void contents_are_compared(struct kunit *test)
{
	struct iotarget_keep *lost = make(test), *fresh = make(test);

	KUNIT_EXPECT_NULL(test, iotarget_keep_differs(lost, fresh, 64));
	fresh->hash[5] = 0;
	KUNIT_EXPECT_NOT_NULL(test, iotarget_keep_differs(lost, fresh, 0));
	fresh->hash[5] = lost->hash[5];
	fresh->hash[IOTARGET_EDGES - 1] = 0;
	KUNIT_EXPECT_NOT_NULL(test, iotarget_keep_differs(lost, fresh, 0));
	done(lost);
	done(fresh);
}

static void but_not_what_was_written(struct kunit *test)
{
	struct iotarget_keep *lost = make(test), *fresh = make(test);

	fresh->hash[5] = 0;
	fresh->hash[IOTARGET_EDGES - 1] = 0;
	/* The last sector of the one, and before it; all of the other, and past it. */
	write(lost, OP_WRITE, 4, 2 * SECTOR_SIZE, false);
	KUNIT_EXPECT_NOT_NULL(test, iotarget_keep_differs(lost, fresh, 0));
	write(lost, REQ_OP_DISCARD, MIDDLE,
	      (SECTORS - MIDDLE) * (u64)SECTOR_SIZE, true);
	KUNIT_EXPECT_NULL(test, iotarget_keep_differs(lost, fresh, 0));
	KUNIT_EXPECT_EQ(test, bitmap_weight(lost->written, IOTARGET_EDGES),
			2 + IOTARGET_EDGE_SECTORS);
	/* Too much was: what is left has to be enough. */
	KUNIT_EXPECT_NULL(test, iotarget_keep_differs(lost, fresh, 126));
	KUNIT_EXPECT_NOT_NULL(test, iotarget_keep_differs(lost, fresh, 127));
	done(lost);
	done(fresh);
}

static void plain_sectors_tell_nothing(struct kunit *test)
{
	struct iotarget_keep *lost = make(test), *fresh = make(test);

	bitmap_fill(lost->plain, IOTARGET_EDGES);
	KUNIT_EXPECT_NULL(test, iotarget_keep_differs(lost, fresh, 0));
	KUNIT_EXPECT_NOT_NULL(test, iotarget_keep_differs(lost, fresh, 1));
	/* What a small device does not have is no evidence either. */
	bitmap_zero(lost->plain, IOTARGET_EDGES);
	lost->head = 4;
	KUNIT_EXPECT_NULL(test, iotarget_keep_differs(lost, fresh, 8));
	KUNIT_EXPECT_NOT_NULL(test, iotarget_keep_differs(lost, fresh, 9));
	done(lost);
	done(fresh);
}

static struct kunit_case keep_cases[] = {
	KUNIT_CASE(counts_what_is_acknowledged),
	KUNIT_CASE(a_flush_makes_durable_what_was_before_it),
	KUNIT_CASE(one_that_fails_makes_nothing_durable),
	KUNIT_CASE(flushes_that_overlap_count_each),
	KUNIT_CASE(a_loss_is_accepted),
	KUNIT_CASE(a_loss_is_handed_on),
	KUNIT_CASE(contents_are_compared),
	KUNIT_CASE(but_not_what_was_written),
	KUNIT_CASE(plain_sectors_tell_nothing),
	{}
};

static struct kunit_suite keep_suite = {
	.name		= "iotarget_keep",
	.test_cases	= keep_cases,
};

kunit_test_suite(keep_suite);
