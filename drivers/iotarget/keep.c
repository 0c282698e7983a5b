// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is kept of an open device for the case that it is gone, and comes back: with
 * %IOTARGET_POLICY_HOLD only, as each I/O pays for it.
 *
 * Is it the same?  Names and serial numbers are copied, or all alike; so the contents of
 * both ends of the device, where partition tables and superblocks are, are read when it
 * is opened, a hash of each sector is kept, and compared when a device comes that could
 * be it.  Sectors that were written since are left out: what of that has reached the
 * medium nobody can tell.
 *
 * What has it lost?  A device that loses its power loses what its cache had.  A flush
 * makes durable what was acknowledged before the flush was submitted: that is summed up
 * then, goes along with the flush, and counts when it has succeeded.
 *
 * Context: as said at each function.  Lock: none.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/once.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/siphash.h>
#include <linux/slab.h>

#include "keep.h"

static const siphash_key_t *hash_key(void)
{
	static siphash_key_t key;

	get_random_once(&key, sizeof(key));
	return &key;
}

static void note_sector(struct iotarget_keep *keep, unsigned int i,
			const u8 *data)
{
	keep->hash[i] = siphash(data, SECTOR_SIZE, hash_key());
	__assign_bit(i, keep->plain, !memcmp(data, data + 1, SECTOR_SIZE - 1));
}

/* A gate that is shut stays so for longer than the device below it is busy. */
#define AGAIN_TRIES	10
#define AGAIN_MS	5

static int read_sectors(struct block_device *bdev, blk_opf_t opf,
			sector_t sector, unsigned int nr, void *buf)
{
	unsigned int tries = AGAIN_TRIES;
	struct bio_vec bvec;
	struct bio bio;
	int ret;

	for (;;) {
		bio_init(&bio, bdev, &bvec, 1, opf);
		bio.bi_iter.bi_sector = sector;
		__bio_add_page(&bio, virt_to_page(buf), nr << SECTOR_SHIFT,
			       offset_in_page(buf));
		ret = submit_bio_wait(&bio);
		bio_uninit(&bio);
		if (ret != -EAGAIN || !(opf & REQ_NOWAIT) || !--tries)
			return ret;
		msleep(AGAIN_MS);
	}
}

/* In pieces: memory is short when all of it waits for the device to be back. */
static int read_edge(struct iotarget_keep *keep, blk_opf_t opf,
		     sector_t sector, unsigned int nr, unsigned int bit, void *buf,
		     unsigned int piece)
{
	unsigned int i, n;
	int ret;

	for (; nr; nr -= n, sector += n) {
		n = min(nr, piece);
		ret = read_sectors(keep->bdev, opf, sector, n, buf);
		if (ret)
			return ret;
		for (i = 0; i < n; i++)
			note_sector(keep, bit++, buf + (i << SECTOR_SHIFT));
	}
	return 0;
}

static int read_edges(struct iotarget_keep *keep, bool nowait)
{
	/* Only what passes bios on has a gate; elsewhere a tag may be worth a wait. */
	const bool again = nowait && bdev_nowait(keep->bdev) &&
			   !queue_is_mq(bdev_get_queue(keep->bdev));
	const blk_opf_t opf = REQ_OP_READ | REQ_SYNC | (again ? REQ_NOWAIT : 0);
	const unsigned int bs = bdev_logical_block_size(keep->bdev);
	const unsigned int order = get_order(bs);
	const sector_t sectors = keep->sectors;
	const unsigned int piece = (PAGE_SIZE << order) >> SECTOR_SHIFT;
	unsigned int nr;
	void *buf;
	int ret;

	/* Of a device so small that its edges overlap, each has a half. */
	nr = min_t(sector_t, sectors / 2, IOTARGET_EDGE_SECTORS);
	nr = max(round_down(nr, bs >> SECTOR_SHIFT), bs >> SECTOR_SHIFT);
	nr = min(nr, IOTARGET_EDGE_SECTORS);
	keep->head = nr;
	keep->tail = sectors - nr;
	buf = (void *)__get_free_pages(GFP_NOIO, order);
	if (!buf)
		return -ENOMEM;
	ret = read_edge(keep, opf, 0, nr, 0, buf, piece) ?:
	      read_edge(keep, opf, keep->tail, nr, IOTARGET_EDGE_SECTORS, buf,
			piece);
	free_pages((unsigned long)buf, order);
	return ret;
}

/**
 * iotarget_keep_alloc - look at a device that was opened
 * @bdev: the device; stays open as long as what is returned
 * @nowait: do not wait behind a gate that is shut
 *
 * Context: process; sleeps, does I/O.
 * Return: what is kept of it, or an ERR_PTR: -ENOMEM, -EIO and the like; -EAGAIN.
 */
struct iotarget_keep *iotarget_keep_alloc(struct block_device *bdev, bool nowait)
{
	struct iotarget_keep *keep = kzalloc(sizeof(*keep), GFP_KERNEL);
	int ret = -ENOMEM;

	if (!keep)
		return ERR_PTR(-ENOMEM);
	keep->bdev = bdev;
	keep->sectors = bdev_nr_sectors(bdev);
	keep->cache = bdev_write_cache(bdev);
	keep->acked = alloc_percpu(u64);
	if (keep->acked)
		ret = read_edges(keep, nowait);
	if (!ret)
		return keep;
	iotarget_keep_free(keep);
	return ERR_PTR(ret);
}

/**
 * iotarget_keep_free - forget a device
 * @keep: what was kept of it, or NULL; nothing is in flight
 *
 * Context: process.
 */
void iotarget_keep_free(struct iotarget_keep *keep)
{
	if (!keep)
		return;
	free_percpu(keep->acked);
	kfree(keep);
}

/**
 * iotarget_keep_differs - are these two openings of the same contents?
 * @lost: of the device that is gone; nothing is in flight on it
 * @fresh: of the one that may be it, just opened
 * @enough: so many sectors that say something have to be the same
 *
 * Context: process.
 * Return: what differs, or NULL.
 */
const char *iotarget_keep_differs(const struct iotarget_keep *lost,
				  const struct iotarget_keep *fresh,
				  unsigned int enough)
{
	/* Of one that has grown only the beginning is where it was. */
	const unsigned int nr = lost->tail == fresh->tail ?
				IOTARGET_EDGES : IOTARGET_EDGE_SECTORS;
	unsigned int i, same = 0;

	for (i = 0; i < nr; i++) {
		if (i % IOTARGET_EDGE_SECTORS >= lost->head ||
		    test_bit(i, lost->written))
			continue;
		if (lost->hash[i] != fresh->hash[i])
			return i < IOTARGET_EDGE_SECTORS ?
			       "contents at its beginning" :
			       "contents at its end";
		same += !test_bit(i, lost->plain);
	}
	return same < enough ? "one, or too little is known of it" : NULL;
}

/**
 * iotarget_keep_renew - an end of a device is known anew
 * @keep: of the device; nothing is in flight, and nothing at risk
 * @edge: 0: its beginning, 1: its end
 * @data: what is there, @keep->head sectors
 *
 * What the target has written there says as much as the rest again.
 *
 * Context: process.
 */
void iotarget_keep_renew(struct iotarget_keep *keep, unsigned int edge,
			 const void *data)
{
	const unsigned int first = edge * IOTARGET_EDGE_SECTORS;
	unsigned int i;

	for (i = 0; i < keep->head; i++) {
		note_sector(keep, first + i, data + (i << SECTOR_SHIFT));
		clear_bit(first + i, keep->written);
	}
}

static u64 acked(const struct iotarget_keep *keep)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(keep->acked, cpu));
	return sum;
}

/**
 * iotarget_keep_at_risk - what a device may lose with its power
 * @keep: of the device
 *
 * Context: any.
 * Return: bytes that it has acknowledged, and that no flush has made durable; 0 if it
 * claims no cache.
 */
u64 iotarget_keep_at_risk(const struct iotarget_keep *keep)
{
	s64 durable;

	if (!READ_ONCE(keep->cache))
		return 0;
	durable = atomic64_read(&keep->durable);
	/*
	 * Before the sum, which only grows, or it would be more than that is.  Pairs with
	 * made_durable().
	 */
	smp_rmb();
	return acked(keep) - durable;
}

/**
 * iotarget_keep_inherit - what the lost device has lost is not forgotten
 * @fresh: of the device that is back
 * @lost: of the one that was gone; nothing is in flight on it
 *
 * Context: process.
 */
void iotarget_keep_inherit(struct iotarget_keep *fresh,
			   const struct iotarget_keep *lost)
{
	WRITE_ONCE(fresh->lost, lost->lost + iotarget_keep_at_risk(lost));
}

static void mark_edge(struct iotarget_keep *keep, sector_t first, sector_t end,
		      sector_t base, unsigned int bit)
{
	const sector_t from = max(first, base);
	const sector_t to = min(end, base + keep->head);
	sector_t s;

	for (s = from; s < to; s++) {
		if (!test_bit(bit + s - base, keep->written))
			set_bit(bit + s - base, keep->written);
	}
}

static bool changes_contents(blk_opf_t opf)
{
	return op_is_write(opf & REQ_OP_MASK) &&
	       (opf & REQ_OP_MASK) != REQ_OP_FLUSH;
}

/**
 * iotarget_keep_sent - something is about to be sent to the device
 * @keep: of the device
 * @opf: operation and flags
 * @sector: where
 * @bytes: how much
 *
 * Context: any.
 * Return: what it covers, if it is a flush, for iotarget_keep_back(); else 0.
 */
u64 iotarget_keep_sent(struct iotarget_keep *keep, blk_opf_t opf,
		       sector_t sector, u64 bytes)
{
	const sector_t end = sector + (bytes >> SECTOR_SHIFT);

	if (bytes && changes_contents(opf)) {
		if (sector < keep->head)
			mark_edge(keep, sector, end, 0, 0);
		if (end > keep->tail)
			mark_edge(keep, sector, end, keep->tail,
				  IOTARGET_EDGE_SECTORS);
	}
	if (!(opf & REQ_PREFLUSH) && (opf & REQ_OP_MASK) != REQ_OP_FLUSH)
		return 0;
	/* What is acknowledged from here on is not made durable by it. */
	return acked(keep);
}

/* It may be made larger, and when it is gone it has no size. */
static void note_size(struct iotarget_keep *keep)
{
	const sector_t sectors = bdev_nr_sectors(keep->bdev);

	if (sectors && sectors != READ_ONCE(keep->sectors))
		WRITE_ONCE(keep->sectors, sectors);
}

/* Flushes that were out at the same time come back in any order. */
static void made_durable(struct iotarget_keep *keep, s64 covers)
{
	s64 durable = atomic64_read(&keep->durable);

	while (covers > durable &&
	       !atomic64_try_cmpxchg(&keep->durable, &durable, covers))
		;
}

static void count(struct iotarget_keep *keep, u64 bytes)
{
	/* It may be switched on. */
	if (!READ_ONCE(keep->cache) && bdev_write_cache(keep->bdev))
		WRITE_ONCE(keep->cache, true);
	this_cpu_add(*keep->acked, bytes);
}

/**
 * iotarget_keep_entered - somebody used the device past all that is counted
 * @keep: of the device
 *
 * It may have been a write.
 *
 * Context: any.
 */
void iotarget_keep_entered(struct iotarget_keep *keep)
{
	count(keep, 1);
}

/**
 * iotarget_keep_back - it is back
 * @keep: of the device
 * @opf: operation and flags
 * @bytes: how much
 * @done: the device says that it is
 * @covers: of iotarget_keep_sent()
 *
 * Context: any.
 */
void iotarget_keep_back(struct iotarget_keep *keep, blk_opf_t opf,
			u64 bytes, bool done, u64 covers)
{
	if (!done)
		return;
	note_size(keep);
	if (covers)
		made_durable(keep, covers);
	if (bytes && changes_contents(opf) && !op_is_discard(opf) &&
	    !(opf & REQ_FUA))
		count(keep, bytes);
}

/**
 * iotarget_keep_accept - what is lost is nobody's loss
 * @keep: of the device
 * @gone: it is gone, and what is at risk with it
 *
 * Context: any.
 */
void iotarget_keep_accept(struct iotarget_keep *keep, bool gone)
{
	WRITE_ONCE(keep->lost, 0);
	if (gone)
		made_durable(keep, acked(keep));
}
