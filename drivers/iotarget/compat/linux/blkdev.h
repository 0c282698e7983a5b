/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <linux/blkdev.h> of older kernels. */
#ifndef _IOTARGET_COMPAT_BLKDEV_H
#define _IOTARGET_COMPAT_BLKDEV_H

#include_next <linux/blkdev.h>

#ifndef IOTARGET_HAS_BDEV_ROT
static inline bool bdev_rot(struct block_device *bdev)
{
	return !bdev_nonrot(bdev);
}
#endif

#endif /* _IOTARGET_COMPAT_BLKDEV_H */
