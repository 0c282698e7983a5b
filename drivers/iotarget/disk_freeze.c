// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacked disks: the file systems on a disk are frozen before the device below it
 * goes, and thawed when it is known what became of it.
 *
 * To freeze takes as long as the writing of all that is dirty, holds s_umount and
 * bd_fsfreeze_mutex meanwhile, and can't be broken off.  So a worker does it, for
 * which nobody waits but who asked whether the device may go, and he only as long as
 * nobody removes it all the same: then what the freeze writes is held like all else, and
 * somebody may wait in a hook for his answer.  What nobody wants any more is thawed by the
 * same worker, as soon as it is frozen.
 *
 * To thaw writes, too: the target has been started before, or it has been purged, so that
 * it fails.
 *
 *   THAWED -> FREEZING -> FROZEN -> THAWING -> THAWED
 *                |                     ^
 *                +-> THAWED (failed)   |
 *                +---------------------+ (not wanted any more)
 *
 * Context: process.  Lock: d->lock for the state; held over nothing that sleeps.
 */
#include <linux/blkdev.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "disk.h"

/* How soon it is seen that the device goes without an answer. */
#define MOOT_MS		20

/* A device that is frozen: the disk, or a partition of it. */
struct ice {
	struct list_head	node;
	struct block_device	*bdev;
};

static int freeze_one(struct iotarget_disk_freeze *f, struct block_device *bdev)
{
	struct ice *ice = kmalloc(sizeof(*ice), GFP_KERNEL);
	int ret;

	if (!ice)
		return -ENOMEM;
	/*
	 * An error of the past is told here, and not by the freeze: some kernels leave a
	 * file system frozen that was so before they found it.
	 */
	ret = sync_blockdev(bdev) ?: bdev_freeze(bdev);
	if (ret) {
		kfree(ice);
		return ret;
	}
	get_device(&bdev->bd_device);
	ice->bdev = bdev;
	list_add(&ice->node, &f->frozen);
	return 0;
}

static void thaw_all(struct iotarget_disk_priv *d)
{
	struct ice *ice, *next;
	int ret;

	list_for_each_entry_safe(ice, next, &d->freeze.frozen, node) {
		ret = bdev_thaw(ice->bdev);
		/* Somebody else may have done so. */
		if (ret && ret != -EINVAL)
			pr_warn_ratelimited("iotarget: %pg: not thawed: error %d\n",
					    ice->bdev, ret);
		list_del(&ice->node);
		put_device(&ice->bdev->bd_device);
		kfree(ice);
	}
}

/* The partitions of a disk, each with a reference of its own. */
static struct block_device *part_next(struct gendisk *gd, unsigned long *index)
{
	struct block_device *part;

	rcu_read_lock();
	while ((part = xa_find_after(&gd->part_tbl, index, ULONG_MAX,
				     XA_PRESENT))) {
		if (kobject_get_unless_zero(&part->bd_device.kobj))
			break;
	}
	rcu_read_unlock();
	return part;
}

static int freeze_all(struct iotarget_disk_priv *d)
{
	struct iotarget_disk_freeze *f = &d->freeze;
	struct gendisk *gd = iotarget_disk_hold(d);
	struct block_device *part;
	unsigned long index = 0;
	int ret;

	if (!gd)
		return -ENODEV;
	ret = freeze_one(f, gd->part0);
	while (!ret && (part = part_next(gd, &index))) {
		ret = READ_ONCE(f->wanted) ? freeze_one(f, part) : -ECANCELED;
		put_device(&part->bd_device);
	}
	if (ret)
		thaw_all(d);
	put_device(disk_to_dev(gd));
	return ret;
}

static void set_state(struct iotarget_disk_priv *d,
		      enum iotarget_disk_ice state)
{
	lockdep_assert_held(&d->lock);
	WRITE_ONCE(d->freeze.state, state);
	wake_up_all(&d->freeze.waitq);
}

static void do_freeze(struct iotarget_disk_priv *d)
{
	struct iotarget_disk_freeze *f = &d->freeze;
	const int ret = freeze_all(d);

	spin_lock(&d->lock);
	f->error = ret;
	set_state(d, ret ? IOTARGET_DISK_THAWED :
		     f->wanted ? IOTARGET_DISK_FROZEN : IOTARGET_DISK_THAWING);
	spin_unlock(&d->lock);
}

static void freeze_work(struct work_struct *work)
{
	struct iotarget_disk_priv *d = container_of(work,
						    struct iotarget_disk_priv,
						    freeze.work);
	struct module *owner = d->ops->owner;

	if (READ_ONCE(d->freeze.state) == IOTARGET_DISK_FREEZING)
		do_freeze(d);
	if (READ_ONCE(d->freeze.state) == IOTARGET_DISK_THAWING) {
		thaw_all(d);
		spin_lock(&d->lock);
		set_state(d, IOTARGET_DISK_THAWED);
		spin_unlock(&d->lock);
	}
	iotarget_put(d->disk.target);
	/* This code is ours, not the owner's. */
	module_put(owner);
}

/* The work holds the disk, and the code of its driver. */
static void kick(struct iotarget_disk_priv *d)
{
	__module_get(d->ops->owner);
	iotarget_get(d->disk.target);
	if (!iotarget_disk_queue(&d->freeze.work)) {
		iotarget_put(d->disk.target);
		module_put(d->ops->owner);
	}
}

static bool is_decided(const struct iotarget_disk_priv *d)
{
	return READ_ONCE(d->freeze.state) != IOTARGET_DISK_FREEZING;
}

/* Until it is frozen, or can't be; the device goes; or the time is over. */
static int wait_frozen(struct iotarget_disk_priv *d, unsigned long deadline)
{
	const unsigned long slice = msecs_to_jiffies(MOOT_MS);

	while (!wait_event_timeout(d->freeze.waitq, is_decided(d), slice)) {
		if (iotarget_query_is_moot(d->disk.target))
			return -ENODEV;
		if (time_after_eq(jiffies, deadline))
			return -ETIMEDOUT;
	}
	if (READ_ONCE(d->freeze.state) == IOTARGET_DISK_FROZEN)
		return 0;
	return READ_ONCE(d->freeze.error) ?: -ECANCELED;
}

/**
 * iotarget_disk_freeze - freeze the file systems on a disk
 * @d: the disk
 * @deadline: how long to wait for it, in jiffies
 *
 * One that does not succeed in time is thawed when it is through.
 *
 * Context: process; sleeps.  In a callback of the query whether the device below goes.
 * Return: 0, and iotarget_disk_thaw() is due; -ETIMEDOUT; -ENODEV: device or disk go;
 * -EBUSY: that of an earlier query is not through; or the file system's error.
 */
int iotarget_disk_freeze(struct iotarget_disk_priv *d, unsigned long deadline)
{
	int ret = 0;

	/* The removal of the disk thaws it after it has said that it is under way. */
	spin_lock(&d->lock);
	if (READ_ONCE(d->removing)) {
		ret = -ENODEV;
	} else if (d->freeze.state != IOTARGET_DISK_THAWED) {
		ret = -EBUSY;
	} else {
		d->freeze.wanted = true;
		set_state(d, IOTARGET_DISK_FREEZING);
	}
	spin_unlock(&d->lock);
	if (ret)
		return ret;
	kick(d);
	ret = wait_frozen(d, deadline);
	if (ret)
		iotarget_disk_thaw(d);
	return ret;
}

/**
 * iotarget_disk_thaw - thaw the file systems on a disk
 * @d: the disk; its target is started, or fails what comes
 *
 * Those that are being frozen are thawed after that.  Waits for nothing.
 *
 * Context: process; sleeps.
 */
void iotarget_disk_thaw(struct iotarget_disk_priv *d)
{
	bool frozen;

	spin_lock(&d->lock);
	WRITE_ONCE(d->freeze.wanted, false);
	frozen = d->freeze.state == IOTARGET_DISK_FROZEN;
	if (frozen)
		set_state(d, IOTARGET_DISK_THAWING);
	spin_unlock(&d->lock);
	if (frozen)
		kick(d);
}

static bool is_thawed(const struct iotarget_disk_priv *d)
{
	return READ_ONCE(d->freeze.state) == IOTARGET_DISK_THAWED;
}

/**
 * iotarget_disk_thaw_and_wait - thaw what stands on a disk that is about to be dead
 * @d: the disk; its target fails what comes
 * @timeout_ms: how long to wait
 *
 * Who is told that a disk is dead may wait for what is frozen.  If the device below still
 * has some of what the freeze sent, it is thawed later.
 *
 * Context: process; sleeps.
 */
void iotarget_disk_thaw_and_wait(struct iotarget_disk_priv *d,
				 unsigned int timeout_ms)
{
	iotarget_disk_thaw(d);
	wait_event_timeout(d->freeze.waitq, is_thawed(d),
			   msecs_to_jiffies(timeout_ms));
}

/**
 * iotarget_disk_freeze_init - of a disk that is being made
 * @d: the disk
 *
 * Context: process.
 */
void iotarget_disk_freeze_init(struct iotarget_disk_priv *d)
{
	INIT_WORK(&d->freeze.work, freeze_work);
	init_waitqueue_head(&d->freeze.waitq);
	INIT_LIST_HEAD(&d->freeze.frozen);
	d->freeze.state = IOTARGET_DISK_THAWED;
}
