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

#ifndef IOTARGET_HAS_BDEV_PARTNO
static inline u8 bdev_partno(const struct block_device *bdev)
{
	return bdev->bd_partno;
}
#endif

#ifndef IOTARGET_HAS_BDEV_FREEZE
#define bdev_freeze	freeze_bdev
#define bdev_thaw	thaw_bdev
#endif

#ifndef IOTARGET_HAS_RESV_CONFLICT
#define BLK_STS_RESV_CONFLICT	BLK_STS_NEXUS
#endif

/* Nobody answers that there. */
#ifndef BLK_STS_INVAL
#define BLK_STS_INVAL	((__force blk_status_t)19)
#endif

/* Not stacked, so not claimed. */
#ifndef BLK_FEAT_ATOMIC_WRITES
#define BLK_FEAT_ATOMIC_WRITES	((__force blk_features_t)0)
#endif

#ifndef IOTARGET_HAS_HOLDER_OPS
/* Nobody is told there that a disk is dead, see dead.c. */
void iotarget_compat_mark_disk_dead(struct gendisk *disk);
#define blk_mark_disk_dead	iotarget_compat_mark_disk_dead
#endif

#ifndef IOTARGET_HAS_ALLOC_DISK_LIMITS
#include <linux/bug.h>
#include <linux/err.h>

/* Limits are set in the queue afterwards there, see disk_limits.c. */
static inline struct gendisk *iotarget_alloc_disk(int node)
{
	return blk_alloc_disk(node) ?: ERR_PTR(-ENOMEM);
}

#undef blk_alloc_disk
#define blk_alloc_disk(_limits, _node)					\
({									\
	BUILD_BUG_ON(!__same_type(_limits, NULL));			\
	iotarget_alloc_disk(_node);					\
})
#endif

#ifndef IOTARGET_HAS_BDEV_FILE
#include <linux/fs.h>
#include <linux/slab.h>

/*
 * A device that we open is a file in newer kernels.  Here it is a block device
 * and a mode, so our own opens get a structure of that type to carry both.  The
 * VFS never sees it; what tells it from a real one is that it has no f_op.
 */
#define blk_mode_t	fmode_t
#define BLK_OPEN_READ	FMODE_READ
#define BLK_OPEN_WRITE	FMODE_WRITE

struct blk_holder_ops;

static inline struct file *
bdev_file_open_by_dev(dev_t dev, blk_mode_t mode, void *holder,
		      const struct blk_holder_ops *hops)
{
	struct file *file = kzalloc(sizeof(*file), GFP_KERNEL);
	struct block_device *bdev;

	if (!file)
		return ERR_PTR(-ENOMEM);
	file->f_mode = mode | (holder ? FMODE_EXCL : 0);
	bdev = blkdev_get_by_dev(dev, file->f_mode, holder);
	if (IS_ERR(bdev)) {
		kfree(file);
		return ERR_CAST(bdev);
	}
	file->private_data = bdev;
	return file;
}

static inline struct block_device *file_bdev(struct file *file)
{
	return file->f_op ? I_BDEV(file->f_mapping->host) : file->private_data;
}

static inline void iotarget_bdev_file_close(struct file *file)
{
	blkdev_put(file->private_data, file->f_mode);
	kfree(file);
}

/* The core uses it for its own files only; not exported in these kernels. */
#define __fput_sync(_file)	iotarget_bdev_file_close(_file)
#endif

#endif /* _IOTARGET_COMPAT_BLKDEV_H */
