// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacked disks: what is asked of the disk beside bios goes to the device below,
 * through the gate.
 *
 * At a stopped target it waits, killable; at a closed or purged one it fails
 * with -ENXIO.  While it runs it is counted among what is sent, so that a
 * waiting stop and the close of the device wait for it.  A kernel thread can't
 * be killed and has others who wait for it: it waits for a second at most, then
 * gets -EAGAIN.
 *
 * Context: process.  Locks: opening and releasing run under the open_mutex of
 * the disk; the others under none.
 */
#include <linux/capability.h>
#include <linux/hdreg.h>
#include <linux/sched.h>

#include "disk.h"

#define KTHREAD_WAIT_MS	1000

/**
 * iotarget_disk_enter - pass the gate on the way to the device below
 * @gd: the disk
 * @entry: to be given to iotarget_leave() after success; most of what is done there
 *	writes nothing, so who may have has to say so
 *
 * Context: process; sleeps, killable.
 * Return: 0, -ENXIO, -EAGAIN, -EINTR.
 */
int iotarget_disk_enter(struct gendisk *gd, struct iotarget_entry *entry)
{
	struct iotarget_disk *disk = gd->private_data;
	int ret;

	ret = iotarget_enter(disk->target, entry,
			     current->flags & PF_KTHREAD ?
			     KTHREAD_WAIT_MS : IOTARGET_WAIT_FOREVER);
	switch (ret) {
	case 0:
		entry->reads_only = true;
		return 0;
	case -ESHUTDOWN:
		return -ENXIO;
	case -ETIMEDOUT:
		return -EAGAIN;
	default:
		return ret;
	}
}

/*
 * What the drivers below do for a whole disk, and for a partition only for those
 * who may do it to the disk.  Which of the two the caller has, or we, makes no
 * difference: below it looks like ours.
 */
static bool beyond_partition(struct block_device *bdev,
			     struct block_device *lower)
{
	return (bdev_is_partition(bdev) || bdev_is_partition(lower)) &&
	       !capable(CAP_SYS_RAWIO);
}

int iotarget_disk_open(struct gendisk *gd, blk_mode_t mode)
{
	struct iotarget_disk *disk = gd->private_data;
	struct iotarget_disk_priv *d = iotarget_disk_priv(disk);

	/* One that is written without the lock leads to a dead disk, no worse. */
	if (READ_ONCE(d->removing))
		return -ENXIO;
	if (READ_ONCE(d->agreed))
		return -EBUSY;
	iotarget_disk_refresh(d);
	/* Nobody is left who may think that what was lost is safe. */
	if (!disk_openers(gd))
		iotarget_accept_loss(disk->target);
	if (mode & BLK_OPEN_WRITE && get_disk_ro(gd))
		return -EROFS;
	iotarget_get(disk->target);
	return 0;
}

void iotarget_disk_release(struct gendisk *gd)
{
	struct iotarget_disk *disk = gd->private_data;

	iotarget_put(disk->target);
}

typedef int ioctl_fn(struct block_device *bdev, blk_mode_t mode,
		     unsigned int cmd, unsigned long arg);

static ioctl_fn *lower_ioctl(struct block_device *lower, bool compat)
{
	const struct block_device_operations *fops = lower->bd_disk->fops;

	return compat ? fops->compat_ioctl : fops->ioctl;
}

/* Its driver does not know it, or did not allow it: nothing was done. */
static bool was_refused(int ret)
{
	return ret == -ENOIOCTLCMD || ret == -ENOTTY || ret == -EINVAL ||
	       ret == -EPERM || ret == -EACCES;
}

static int forward_ioctl(struct block_device *bdev, blk_mode_t mode,
			 unsigned int cmd, unsigned long arg, bool compat)
{
	struct iotarget_disk *disk = bdev->bd_disk->private_data;
	struct iotarget_entry entry;
	ioctl_fn *fn;
	int ret;

	if (!(iotarget_disk_priv(disk)->access & IOTARGET_ACCESS_WRITE))
		mode &= ~BLK_OPEN_WRITE;
	ret = iotarget_disk_enter(bdev->bd_disk, &entry);
	if (ret)
		return ret;
	fn = lower_ioctl(entry.bdev, compat);
	if (!fn || beyond_partition(bdev, entry.bdev))
		ret = -ENOIOCTLCMD;
	else
		ret = fn(entry.bdev, mode, cmd, arg);
	entry.reads_only = was_refused(ret);
	iotarget_leave(&entry);
	return ret;
}

int iotarget_disk_ioctl(struct block_device *bdev, blk_mode_t mode,
			unsigned int cmd, unsigned long arg)
{
	int ret = forward_ioctl(bdev, mode, cmd, arg, false);

	return ret == -ENOIOCTLCMD ? -ENOTTY : ret;
}

int iotarget_disk_compat_ioctl(struct block_device *bdev, blk_mode_t mode,
			       unsigned int cmd, unsigned long arg)
{
	return forward_ioctl(bdev, mode, cmd, arg, true);
}

/*
 * The heads and sectors are those of the disk below, the cylinders ours: it may
 * be a partition.
 */
int iotarget_disk_getgeo(struct gendisk *gd, struct hd_geometry *geo)
{
	const unsigned long start = geo->start;
	struct iotarget_entry entry;
	int ret;

	ret = iotarget_disk_enter(gd, &entry);
	if (ret)
		return ret;
	ret = iotarget_disk_lower_getgeo(entry.bdev, geo);
	if (!ret && bdev_is_partition(entry.bdev) && geo->heads && geo->sectors)
		geo->cylinders = div_u64(get_capacity(gd),
					 geo->heads * geo->sectors);
	geo->start = start;
	iotarget_leave(&entry);
	return ret;
}

/*
 * Protecting the disk is nobody's business but ours.  The other way, the device
 * below must be writable, and its driver is asked.  The block layer changes the
 * flag of the device that the ioctl came for; what iotarget_disk_refresh() has set
 * is the disk's.
 */
int iotarget_disk_set_read_only(struct block_device *bdev, bool ro)
{
	struct iotarget_disk *disk = bdev->bd_disk->private_data;
	const struct block_device_operations *fops;
	struct iotarget_entry entry;
	int ret;

	ret = iotarget_disk_enter(bdev->bd_disk, &entry);
	if (ret)
		return ret;
	fops = entry.bdev->bd_disk->fops;
	if (!ro && (bdev_read_only(entry.bdev) ||
		    !(iotarget_disk_priv(disk)->access & IOTARGET_ACCESS_WRITE)))
		ret = -EACCES;
	else if (fops->set_read_only && !bdev_is_partition(bdev))
		ret = fops->set_read_only(entry.bdev, ro);
	if (!ret && !ro && !bdev_is_partition(bdev))
		set_disk_ro(bdev->bd_disk, false);
	iotarget_leave(&entry);
	return ret;
}

/* A partition has no identity of its own, and must not pass for its disk. */
int iotarget_disk_get_unique_id(struct gendisk *gd, u8 id[16],
				enum blk_unique_id type)
{
	struct iotarget_entry entry;
	struct gendisk *lower;
	int ret;

	ret = iotarget_disk_enter(gd, &entry);
	if (ret)
		return ret;
	lower = entry.bdev->bd_disk;
	if (bdev_is_partition(entry.bdev) || !lower->fops->get_unique_id)
		ret = -EINVAL;
	else
		ret = lower->fops->get_unique_id(lower, id, type);
	iotarget_leave(&entry);
	return ret;
}

/* -- persistent reservations, which are the whole disk's -------------------- */

/**
 * iotarget_disk_pr_enter - pass the gate with a reservation
 * @bdev: the disk
 * @entry: to be given to iotarget_leave() after success
 * @ops: the lower driver's
 *
 * Context: process; sleeps, killable.
 * Return: 0, -EOPNOTSUPP, -EPERM, or as iotarget_disk_enter().
 */
int iotarget_disk_pr_enter(struct block_device *bdev,
			   struct iotarget_entry *entry,
			   const struct pr_ops **ops)
{
	int ret;

	ret = iotarget_disk_enter(bdev->bd_disk, entry);
	if (ret)
		return ret;
	*ops = entry->bdev->bd_disk->fops->pr_ops;
	if (!*ops)
		ret = -EOPNOTSUPP;
	else if (beyond_partition(bdev, entry->bdev))
		ret = -EPERM;
	if (ret)
		iotarget_leave(entry);
	return ret;
}

int iotarget_disk_pr_register(struct block_device *bdev, u64 old_key,
			      u64 new_key, u32 flags)
{
	struct iotarget_entry entry;
	const struct pr_ops *ops;
	int ret;

	ret = iotarget_disk_pr_enter(bdev, &entry, &ops);
	return ret ?: IOTARGET_DISK_PR_CALL(&entry, ops->pr_register, old_key, new_key, flags);
}

int iotarget_disk_pr_reserve(struct block_device *bdev, u64 key,
			     enum pr_type type, u32 flags)
{
	struct iotarget_entry entry;
	const struct pr_ops *ops;
	int ret;

	ret = iotarget_disk_pr_enter(bdev, &entry, &ops);
	return ret ?: IOTARGET_DISK_PR_CALL(&entry, ops->pr_reserve, key, type, flags);
}

int iotarget_disk_pr_release(struct block_device *bdev, u64 key,
			     enum pr_type type)
{
	struct iotarget_entry entry;
	const struct pr_ops *ops;
	int ret;

	ret = iotarget_disk_pr_enter(bdev, &entry, &ops);
	return ret ?: IOTARGET_DISK_PR_CALL(&entry, ops->pr_release, key, type);
}

int iotarget_disk_pr_preempt(struct block_device *bdev, u64 old_key,
			     u64 new_key, enum pr_type type, bool abort)
{
	struct iotarget_entry entry;
	const struct pr_ops *ops;
	int ret;

	ret = iotarget_disk_pr_enter(bdev, &entry, &ops);
	return ret ?: IOTARGET_DISK_PR_CALL(&entry, ops->pr_preempt, old_key, new_key, type, abort);
}

int iotarget_disk_pr_clear(struct block_device *bdev, u64 key)
{
	struct iotarget_entry entry;
	const struct pr_ops *ops;
	int ret;

	ret = iotarget_disk_pr_enter(bdev, &entry, &ops);
	return ret ?: IOTARGET_DISK_PR_CALL(&entry, ops->pr_clear, key);
}
