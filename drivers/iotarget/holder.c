// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the block layer tells the holder of a claim.
 *
 * Context: process.  Lock: bd_holder_lock is held on entry, and dropped here.
 */
#include <linux/blkdev.h>
#include <linux/module.h>

#include "devices.h"

static void lower_mark_dead(struct block_device *bdev, bool surprise)
{
	/*
	 * The caller keeps the device, and nothing of the holder is needed but our code:
	 * without the lock nobody waits for us who would close the device and go.
	 */
	__module_get(THIS_MODULE);
	mutex_unlock(&bdev->bd_holder_lock);
	iotarget_watch_dead(bdev, surprise);
	/* As for holders who don't listen: what others left in its page cache. */
	if (!surprise)
		sync_blockdev(bdev);
	module_put(THIS_MODULE);
}

const struct blk_holder_ops iotarget_holder_ops = {
	.mark_dead	= lower_mark_dead,
};
