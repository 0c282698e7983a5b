// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lower devices: one object for each block device that targets have open.
 *
 * It is the holder of the kernel's exclusive claim, so that several targets can
 * share a device that outsiders may not claim.  Beside it stands the list of who
 * has which device open for what, by which the share modes of our own targets
 * are kept.  A disk and its partitions overlap in this.
 *
 * Context: process.  Lock: iotarget_lowers_lock, a mutex.  Removal hooks take it, so
 * nobody waits with it held, for memory neither.
 */
#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/usb.h>
#include <scsi/scsi_device.h>

#include "devices.h"

/**
 * struct iotarget_lower - a block device that targets have open
 * @node: in lowers                                                        (I)
 * @devt: its number                                                       (C)
 * @refs: opens and attempts to open                                       (I)
 */
struct iotarget_lower {
	struct list_head	node;
	dev_t			devt;
	unsigned int		refs;
};

DEFINE_MUTEX(iotarget_lowers_lock);	/* guards what is marked (I) */
static LIST_HEAD(lowers);
static LIST_HEAD(uses);

/**
 * iotarget_lower_get - the object of a device, made if need be
 * @devt: the device
 *
 * Context: process; sleeps.
 * Return: with a reference, or NULL without memory.
 */
struct iotarget_lower *iotarget_lower_get(dev_t devt)
{
	struct iotarget_lower *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL);
	struct iotarget_lower *lower;

	if (!fresh)
		return NULL;
	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(lower, &lowers, node) {
		if (lower->devt == devt) {
			lower->refs++;
			goto out;
		}
	}
	lower = fresh;
	fresh = NULL;
	lower->devt = devt;
	lower->refs = 1;
	list_add(&lower->node, &lowers);
out:
	mutex_unlock(&iotarget_lowers_lock);
	kfree(fresh);
	return lower;
}

/**
 * iotarget_lower_put - drop a reference
 * @lower: the lower device; nothing is open on this reference any more
 *
 * Context: process; sleeps.
 */
void iotarget_lower_put(struct iotarget_lower *lower)
{
	mutex_lock(&iotarget_lowers_lock);
	if (!--lower->refs) {
		list_del(&lower->node);
		kfree(lower);
	}
	mutex_unlock(&iotarget_lowers_lock);
}

/* IOTARGET_ACCESS_* and IOTARGET_SHARE_* have the same bits. */
static bool compatible(const struct iotarget_use *a,
		       const struct iotarget_use *b)
{
	BUILD_BUG_ON(IOTARGET_ACCESS_READ != IOTARGET_SHARE_READ);
	BUILD_BUG_ON(IOTARGET_ACCESS_WRITE != IOTARGET_SHARE_WRITE);
	return !(a->access & ~b->share) && !(b->access & ~a->share);
}

static bool overlap(const struct iotarget_use *a, const struct iotarget_use *b)
{
	return a->bdev == b->bdev ||
	       (a->bdev->bd_disk == b->bdev->bd_disk &&
		(!bdev_is_partition(a->bdev) || !bdev_is_partition(b->bdev)));
}

/**
 * iotarget_lower_share - enter an open, if the others allow it
 * @use: who, what device, access and share mode; its @watch is filled in
 *
 * An earlier opening by the same target, which was closed and waits for the
 * device to let go, is in nobody's way.
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY, also for a device that all have agreed may go; -ENODEV for one
 * that is gone.
 */
int iotarget_lower_share(struct iotarget_use *use)
{
	struct iotarget_use *u;
	int ret = 0;

	use->watch = iotarget_watch_get(use->bdev->bd_disk);
	mutex_lock(&iotarget_lowers_lock);
	use->level = iotarget_watch_level(use->watch);
	/* One that has left the class since it was opened is told of to nobody any more. */
	if (use->level > IOTARGET_REMOVAL_ORDERLY ||
	    (!use->watch && test_bit(GD_DEAD, &use->bdev->bd_disk->state)))
		ret = -ENODEV;
	else if (iotarget_watch_agreed(use->watch, use->bdev))
		ret = -EBUSY;
	list_for_each_entry(u, &uses, node) {
		if (u->target != use->target && overlap(use, u) &&
		    !compatible(use, u))
			ret = -EBUSY;
	}
	if (!ret)
		list_add(&use->node, &uses);
	mutex_unlock(&iotarget_lowers_lock);
	if (ret)
		iotarget_watch_put(use->watch);
	return ret;
}

/**
 * iotarget_lower_unshare - undo iotarget_lower_share()
 * @use: the use
 *
 * Context: process; sleeps.
 */
void iotarget_lower_unshare(struct iotarget_use *use)
{
	mutex_lock(&iotarget_lowers_lock);
	list_del(&use->node);
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_watch_put(use->watch);
}

/**
 * iotarget_lower_opens - how many of the openings of a device are ours
 * @bdev: the device
 *
 * Context: process; sleeps.
 * Return: so many.
 */
unsigned int iotarget_lower_opens(const struct block_device *bdev)
{
	const struct iotarget_use *use, *same;
	unsigned int opens = 0;

	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(use, &uses, node) {
		if (use->bdev != bdev)
			continue;
		/* Several targets may use one file. */
		list_for_each_entry(same, &uses, node) {
			if (same->file == use->file)
				break;
		}
		opens += same == use;
	}
	mutex_unlock(&iotarget_lowers_lock);
	return opens;
}

/**
 * iotarget_lower_claims_partition - does a target of ours claim part of a disk?
 * @disk: the disk
 *
 * Context: process; sleeps.
 * Return: true if so; the disk as a whole can't be claimed then.
 */
bool iotarget_lower_claims_partition(const struct gendisk *disk)
{
	const struct iotarget_use *use;
	bool claims = false;

	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(use, &uses, node) {
		if (use->bdev->bd_disk == disk && bdev_is_partition(use->bdev) &&
		    !(use->share & IOTARGET_SHARE_WRITE))
			claims = true;
	}
	mutex_unlock(&iotarget_lowers_lock);
	return claims;
}

/**
 * iotarget_lower_lapsed - a disk that was about to go has stayed
 * @disk: the disk
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_lower_lapsed(const struct gendisk *disk)
{
	struct iotarget_use *use;

	lockdep_assert_held(&iotarget_lowers_lock);
	list_for_each_entry(use, &uses, node) {
		if (use->bdev->bd_disk == disk &&
		    use->level == IOTARGET_REMOVAL_ORDERLY)
			use->level = IOTARGET_REMOVAL_NONE;
	}
}

/**
 * iotarget_lower_tell - remember how far the removal of a device has come
 * @disk: the disk
 * @bdev: the partition, or NULL for all of the disk
 * @level: how far
 *
 * For openings whose target does not have them yet.
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_lower_tell(struct gendisk *disk, struct block_device *bdev,
			 enum iotarget_removal_level level)
{
	struct iotarget_use *use;

	lockdep_assert_held(&iotarget_lowers_lock);
	list_for_each_entry(use, &uses, node) {
		if (use->bdev->bd_disk == disk && (!bdev || use->bdev == bdev))
			use->level = max_t(u8, use->level, level);
	}
}

#if IS_ENABLED(CONFIG_SCSI)
/* The unit serial number of a SCSI device: page 80, without its padding. */
static void scsi_serial(struct device *dev, char *serial, size_t size)
{
	struct scsi_device *sdev = to_scsi_device(dev);
	const struct scsi_vpd *vpd;

	rcu_read_lock();
	vpd = rcu_dereference(sdev->vpd_pg80);
	if (vpd && vpd->len > 4)
		strscpy(serial, (const char *)vpd->data + 4,
			min_t(size_t, size, vpd->len - 4 + 1));
	rcu_read_unlock();
}
#else
static void scsi_serial(struct device *dev, char *serial, size_t size) { }
#endif

#if IS_ENABLED(CONFIG_USB)
static void usb_serial(struct device *dev, char *serial, size_t size)
{
	struct usb_device *udev = to_usb_device(dev);

	if (udev->serial)
		strscpy(serial, udev->serial, size);
}
#else
static void usb_serial(struct device *dev, char *serial, size_t size) { }
#endif

/*
 * The nearest ancestor that has a serial number gives it.  del_gendisk() takes
 * open_mutex before it cuts the disk off its parents, so that they stay while
 * we walk.
 */
static void find_serial(struct gendisk *disk, char *serial, size_t size)
{
	struct device *dev;

	mutex_lock(&disk->open_mutex);
	dev = disk_live(disk) ? disk_to_dev(disk)->parent : NULL;
	for (; dev && !*serial; dev = dev->parent) {
		if (iotarget_watch_is_kind(dev, "scsi", "scsi_device"))
			scsi_serial(dev, serial, size);
		if (!iotarget_watch_is_kind(dev, "usb", "usb_device"))
			continue;
		usb_serial(dev, serial, size);
		/* Those above are hubs, with numbers of their own. */
		break;
	}
	mutex_unlock(&disk->open_mutex);
	strim(serial);
}

/**
 * iotarget_lower_identify - ask a device who it is
 * @bdev: the device, open
 * @id: filled in
 *
 * Context: process; sleeps, and may do I/O.
 */
void iotarget_lower_identify(struct block_device *bdev,
			     struct iotarget_identity *id)
{
	static const u8 types[] = {
		BLK_UID_NAA, BLK_UID_EUI64, BLK_UID_T10,
	};
	struct gendisk *disk = bdev->bd_disk;
	unsigned int i;
	int len;

	memset(id, 0, sizeof(*id));
	for (i = 0; i < ARRAY_SIZE(types) && disk->fops->get_unique_id; i++) {
		len = disk->fops->get_unique_id(disk, id->unique_id, types[i]);
		if (len > 0 && len <= sizeof(id->unique_id)) {
			id->unique_id_type = types[i];
			id->unique_id_len = len;
			break;
		}
	}
	if (!id->unique_id_len)
		memset(id->unique_id, 0, sizeof(id->unique_id));
	find_serial(disk, id->serial, sizeof(id->serial));
}
