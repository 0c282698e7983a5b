// SPDX-License-Identifier: GPL-2.0-only
/* Stands in for disk_limits.c in kernels whose queues have flags. */
#include <linux/blk-integrity.h>

#include "../disk.h"

static void copy_flag(struct request_queue *q, struct request_queue *from,
		      unsigned int flag)
{
	if (test_bit(flag, &from->queue_flags))
		blk_queue_flag_set(flag, q);
}

struct gendisk *iotarget_disk_alloc(struct block_device *lower,
				    const char *name)
{
	struct request_queue *from = bdev_get_queue(lower);
	struct blk_integrity *integrity;
	struct request_queue *q;
	struct gendisk *gd;

	gd = blk_alloc_disk(NULL, NUMA_NO_NODE);
	if (IS_ERR(gd))
		return gd;
	q = gd->queue;
	blk_set_stacking_limits(&q->limits);
	q->limits.dma_alignment = 0;
	if (blk_stack_limits(&q->limits, &from->limits, get_start_sect(lower)))
		pr_notice("%s: Warning: Device %pg is misaligned\n", name,
			  lower);
	blk_queue_write_cache(q, bdev_write_cache(lower), bdev_fua(lower));
	blk_queue_flag_set(QUEUE_FLAG_IO_STAT, q);
	copy_flag(q, from, QUEUE_FLAG_NOWAIT);
	copy_flag(q, from, QUEUE_FLAG_NONROT);
	copy_flag(q, from, QUEUE_FLAG_STABLE_WRITES);
	integrity = blk_get_integrity(lower->bd_disk);
	if (integrity)
		blk_integrity_register(gd, integrity);
	disk_update_readahead(gd);
	return gd;
}
