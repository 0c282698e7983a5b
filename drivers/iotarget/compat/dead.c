// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_mark_disk_dead() for kernels in which a dead disk keeps its size, and nobody who
 * stands on it is told.  Those who are targets can be, by whoever of us marks it.
 *
 * Context: process; sleeps.
 */
#include <linux/blkdev.h>
#include <linux/export.h>

#include "../devices.h"

#undef blk_mark_disk_dead

void iotarget_compat_mark_disk_dead(struct gendisk *disk)
{
	blk_mark_disk_dead(disk);
	set_capacity(disk, 0);
	iotarget_watch_dead(disk->part0, true);
}
EXPORT_SYMBOL_GPL(iotarget_compat_mark_disk_dead);
