// SPDX-License-Identifier: GPL-2.0-only
/* Stands in for disk_limits.c in kernels whose queues have flags. */
#include <linux/blk-integrity.h>
#include <linux/blk-mq.h>

#include "../disk.h"

static void copy_flag(struct request_queue *q, struct request_queue *from,
		      unsigned int flag)
{
	if (test_bit(flag, &from->queue_flags))
		blk_queue_flag_set(flag, q);
	else
		blk_queue_flag_clear(flag, q);
}

/* In one go, as some are read by those who have not entered the queue. */
static void stack(struct request_queue *q, struct block_device *lower,
		  const char *name)
{
	struct request_queue *from = bdev_get_queue(lower);
	struct queue_limits lim;

	blk_set_stacking_limits(&lim);
	lim.dma_alignment = 0;
	if (blk_stack_limits(&lim, &from->limits, get_start_sect(lower)))
		pr_notice("%s: Warning: Device %pg is misaligned\n", name,
			  lower);
	q->limits = lim;
	blk_queue_write_cache(q, bdev_write_cache(lower), bdev_fua(lower));
	copy_flag(q, from, QUEUE_FLAG_NOWAIT);
	copy_flag(q, from, QUEUE_FLAG_NONROT);
	copy_flag(q, from, QUEUE_FLAG_STABLE_WRITES);
}

struct gendisk *iotarget_disk_alloc(struct block_device *lower,
				    const char *name)
{
	struct blk_integrity *integrity;
	struct gendisk *gd;

	gd = blk_alloc_disk(NULL, NUMA_NO_NODE);
	if (IS_ERR(gd))
		return gd;
	blk_queue_flag_set(QUEUE_FLAG_IO_STAT, gd->queue);
	stack(gd->queue, lower, name);
	integrity = blk_get_integrity(lower->bd_disk);
	if (integrity)
		blk_integrity_register(gd, integrity);
	disk_update_readahead(gd);
	return gd;
}

int iotarget_disk_restack(struct gendisk *gd, struct block_device *lower)
{
	struct request_queue *q = gd->queue;
	int ret = -ETIMEDOUT;

	blk_freeze_queue_start(q);
	if (blk_mq_freeze_queue_wait_timeout(q, IOTARGET_DISK_FREEZE_WAIT) > 0) {
		stack(q, lower, gd->disk_name);
		ret = 0;
	}
	blk_mq_unfreeze_queue(q);
	if (!ret)
		disk_update_readahead(gd);
	return ret;
}
