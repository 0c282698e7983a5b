// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacked disks: limits and features of the queue are those of the device
 * below.  For kernels whose queues have flags instead of features compat/ has
 * this file once more.
 */
#include <linux/blk-integrity.h>

#include "disk.h"

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

	blk_set_stacking_limits(&lim);
	lim.dma_alignment = 0;		/* memory is touched below only */
	/* The second and the third stay only if the device below has them. */
	lim.features |= BLK_FEAT_IO_STAT | BLK_FEAT_NOWAIT |
			BLK_FEAT_ATOMIC_WRITES;
	queue_limits_stack_bdev(&lim, lower, 0, name);
	queue_limits_stack_integrity_bdev(&lim, lower);
	return blk_alloc_disk(&lim, NUMA_NO_NODE);
}
