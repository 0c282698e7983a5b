// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacked disks: limits and features of the queue are those of the device
 * below.  For kernels whose queues have flags instead of features compat/ has
 * this file once more.
 */
#include <linux/blk-integrity.h>
#include <linux/blk-mq.h>

#include "disk.h"

static void stack(struct queue_limits *lim, struct block_device *lower,
		  const char *name)
{
	blk_set_stacking_limits(lim);
	lim->dma_alignment = 0;		/* memory is touched below only */
	/* The second and the third stay only if the device below has them. */
	lim->features |= BLK_FEAT_IO_STAT | BLK_FEAT_NOWAIT |
			 BLK_FEAT_ATOMIC_WRITES;
	queue_limits_stack_bdev(lim, lower, 0, name);
	queue_limits_stack_integrity_bdev(lim, lower);
}

/**
 * iotarget_disk_alloc - a disk that can do what the device below can
 * @lower: the device below
 * @name: of the disk, for the log
 *
 * What a plain pass-through can't promise is left out: polling, DAX, zones,
 * inline encryption.
 *
 * Context: process; sleeps.
 * Return: the disk, or an ERR_PTR.
 */
struct gendisk *iotarget_disk_alloc(struct block_device *lower,
				    const char *name)
{
	struct queue_limits lim;

	stack(&lim, lower, name);
	return blk_alloc_disk(&lim, NUMA_NO_NODE);
}

/**
 * iotarget_disk_restack - the device below is back, maybe with other limits
 * @gd: the disk
 * @lower: the device below
 *
 * What was told to those above is no stricter than it may be: a device that wants
 * more than the lost one is not taken.  What somebody has set by hand stays.
 *
 * Context: process; sleeps, for as long as bios are on their way through the disk's
 * submit_bio(), where none waits for the device.
 * Return: 0, -ETIMEDOUT or -EINVAL; then all is as it was.
 */
int iotarget_disk_restack(struct gendisk *gd, struct block_device *lower)
{
	struct request_queue *q = gd->queue;
	struct queue_limits lim, old = queue_limits_start_update(q);
	int ret = -ETIMEDOUT;

	stack(&lim, lower, gd->disk_name);
	lim.flags |= old.flags & BLK_FLAG_WRITE_CACHE_DISABLED;
	lim.max_user_sectors = old.max_user_sectors;
	blk_freeze_queue_start(q);
	if (blk_mq_freeze_queue_wait_timeout(q, IOTARGET_DISK_FREEZE_WAIT) > 0)
		ret = queue_limits_commit_update(q, &lim);
	else
		queue_limits_cancel_update(q);
	blk_mq_unfreeze_queue_nomemrestore(q);
	return ret;
}
