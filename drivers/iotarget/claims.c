// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who else uses the disks that a query is about, and how those are kept out who might.
 *
 * Context: process.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "query.h"

/*
 * Who looks at a disk that was just closed, as udev does, is through with it soon.
 */
#define OPENERS_MS	1000
#define OPENERS_POLL_MS	20

/**
 * iotarget_query_part - of the device itself only the part that was named goes
 * @c: the query
 * @s: a disk
 *
 * Context: process.
 * Return: the partition that was named, or NULL for all of the disk.
 */
const struct block_device *
iotarget_query_part(const struct iotarget_consent *c, const struct scope *s)
{
	const struct block_device *bdev;

	if (s->depth || !iotarget_watch_is_block(c->dev))
		return NULL;
	bdev = dev_to_bdev(c->dev);
	return bdev == bdev->bd_disk->part0 ? NULL : bdev;
}

static int refuse(struct iotarget_consent *c, enum iotarget_refused_by by,
		  const struct block_device *bdev)
{
	iotarget_query_refuse(c, by, 0, bdev->bd_dev,
			      dev_name(&bdev->bd_device));
	return -EBUSY;
}

/* The partitions of a disk, each with a reference of its own. */
static struct block_device *part_next(struct gendisk *disk, unsigned long *index)
{
	struct block_device *part;

	rcu_read_lock();
	while ((part = xa_find_after(&disk->part_tbl, index, ULONG_MAX,
				     XA_PRESENT))) {
		if (kobject_get_unless_zero(&part->bd_device.kobj))
			break;
	}
	rcu_read_unlock();
	return part;
}

static int claim(struct iotarget_consent *c, struct scope *s,
		 struct block_device *bdev)
{
	struct park *park = kzalloc(sizeof(*park), GFP_KERNEL);
	struct file *file;

	if (!park)
		return -ENOMEM;
	park->lower = iotarget_lower_get(bdev->bd_dev);
	if (!park->lower) {
		kfree(park);
		return -ENOMEM;
	}
	file = bdev_file_open_by_dev(bdev->bd_dev, BLK_OPEN_READ, park->lower,
				     &iotarget_holder_ops);
	if (IS_ERR(file)) {
		iotarget_lower_put(park->lower);
		kfree(park);
		switch (PTR_ERR(file)) {
		case -EBUSY:
			return refuse(c, IOTARGET_REFUSED_BY_CLAIM, bdev);
		case -ENOMEDIUM:	/* nothing there to be claimed, */
		case -ENXIO:		/* or not any more */
		case -ENODEV:
			return 0;
		default:
			return PTR_ERR(file);
		}
	}
	park->file = file;
	park->bdev = bdev;
	list_add_tail(&park->node, &s->parks);
	return 0;
}

/*
 * So that nobody else comes in.  The kernel claims a disk or its partitions, and where
 * a target claims one of them, we can but claim all of them.  Disks without a device
 * below them are taken away by those who look whether they are open.
 */
static int claim_disk(struct iotarget_consent *c, struct scope *s)
{
	struct block_device *part;
	struct gendisk *disk = s->disk;
	unsigned long index = 0;
	int ret = 0;

	/* Its users have another disk open, which is not below the device. */
	if (disk->flags & GENHD_FL_HIDDEN)
		return refuse(c, IOTARGET_REFUSED_BY_CLAIM, disk->part0);
	if (s->depth || !disk_to_dev(disk)->parent || iotarget_query_part(c, s) ||
	    c->flags & IOTARGET_QUERY_DRY_RUN)
		return 0;
	if (!iotarget_lower_claims_partition(disk))
		return claim(c, s, disk->part0);
	while (!ret && (part = part_next(disk, &index))) {
		ret = claim(c, s, part);
		put_device(&part->bd_device);
	}
	return ret;
}

/**
 * iotarget_claims_drop - let go of what is claimed
 * @c: the query
 *
 * Context: process; sleeps.
 */
void iotarget_claims_drop(struct iotarget_consent *c)
{
	struct park *park, *next;
	struct scope *s;

	list_for_each_entry(s, &c->scopes, node) {
		list_for_each_entry_safe(park, next, &s->parks, node) {
			list_del(&park->node);
			__fput_sync(park->file);
			iotarget_lower_put(park->lower);
			kfree(park);
		}
	}
}

static unsigned int our_opens(struct scope *s, const struct block_device *bdev)
{
	unsigned int ours = iotarget_lower_opens(bdev);
	struct park *park;

	list_for_each_entry(park, &s->parks, node)
		ours += park->bdev == bdev;
	return ours;
}

static bool has_other_openers(struct scope *s, const struct block_device *bdev,
			      unsigned int by_parts)
{
	return atomic_read(&bdev->bd_openers) > our_opens(s, bdev) + by_parts;
}

/* Who has a partition open has opened the disk as well. */
static int check_openers_once(struct iotarget_consent *c, struct scope *s)
{
	const struct block_device *only = iotarget_query_part(c, s);
	struct gendisk *disk = s->disk;
	struct block_device *part;
	unsigned long index = 0;
	unsigned int parts = 0;
	int ret = 0;

	while (!ret && (part = part_next(disk, &index))) {
		if ((!only || only == part) && has_other_openers(s, part, 0))
			ret = refuse(c, IOTARGET_REFUSED_BY_OPENER, part);
		parts += iotarget_opens_by_part(part);
		put_device(&part->bd_device);
	}
	if (!ret && !only && has_other_openers(s, disk->part0, parts))
		ret = refuse(c, IOTARGET_REFUSED_BY_OPENER, disk->part0);
	return ret;
}

/**
 * iotarget_claims_check - is a disk open elsewhere?
 * @c: the query
 *
 * Who looks at a disk that was just closed, as udev does, is waited for.
 *
 * Context: process; sleeps.
 * Return: 0, or -EBUSY, and the refusal tells which.
 */
int iotarget_claims_check(struct iotarget_consent *c)
{
	unsigned long until = jiffies + msecs_to_jiffies(OPENERS_MS);
	struct scope *s;
	int ret;

	if (time_after(until, c->deadline))
		until = c->deadline;
	for (;;) {
		ret = 0;
		list_for_each_entry(s, &c->scopes, node) {
			/* Of what stands on a target, its owner knows better. */
			if (!ret && !s->depth)
				ret = check_openers_once(c, s);
		}
		if (!ret || time_after_eq(jiffies, until))
			return ret;
		msleep(OPENERS_POLL_MS);
	}
}

/**
 * iotarget_claims_take - claim the disks, as far as nobody else uses them
 * @c: the query
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY, and the refusal tells who; -ENOMEM; or the error of the open.
 */
int iotarget_claims_take(struct iotarget_consent *c)
{
	struct scope *s;
	int ret;

	list_for_each_entry(s, &c->scopes, node) {
		ret = claim_disk(c, s);
		if (ret)
			return ret;
	}
	ret = iotarget_claims_check(c);
	if (!ret)
		c->refusal.by = IOTARGET_REFUSED_BY_NOBODY;
	return ret;
}
