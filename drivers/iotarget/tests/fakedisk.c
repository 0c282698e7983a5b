// SPDX-License-Identifier: GPL-2.0-only
/*
 * A block device for unit tests: a disk without a queue of requests, whose
 * submit_bio() keeps a bio until the test answers it.
 *
 * Context: process; submitting as submit_bio().  Lock: fd->lock.
 */
#include <linux/blkdev.h>
#include <linux/module.h>

#include "fakedisk.h"

static void fakedisk_submit_bio(struct bio *bio)
{
	struct fakedisk *fd = bio->bi_bdev->bd_disk->private_data;
	unsigned long flags;
	bool hold;

	spin_lock_irqsave(&fd->lock, flags);
	if (fd->submitted < FAKEDISK_LOG) {
		fd->sectors[fd->submitted] = bio->bi_iter.bi_sector;
		fd->opf[fd->submitted] = bio->bi_opf;
	}
	fd->submitted++;
	fd->last = bio;
	hold = fd->hold;
	if (hold)
		bio_list_add(&fd->held, bio);
	spin_unlock_irqrestore(&fd->lock, flags);
	if (!hold)
		bio_endio(bio);
}

static const struct block_device_operations fakedisk_fops = {
	.owner		= THIS_MODULE,
	.submit_bio	= fakedisk_submit_bio,
};

/* Below a device, or NULL; several may be there at a time. */
int fakedisk_make_below(struct fakedisk *fd, struct device *parent)
{
	static atomic_t numbers;
	struct queue_limits lim = {
		.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA |
			    BLK_FEAT_NOWAIT,
	};
	struct gendisk *disk;
	int ret;

	memset(fd, 0, sizeof(*fd));
	spin_lock_init(&fd->lock);
	bio_list_init(&fd->held);
	disk = blk_alloc_disk(&lim, NUMA_NO_NODE);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->fops = &fakedisk_fops;
	disk->private_data = fd;
	disk->flags = GENHD_FL_NO_PART;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "iotarget_fake%d",
		 atomic_inc_return(&numbers));
	set_capacity(disk, FAKEDISK_SECTORS);
	ret = device_add_disk(parent, disk, NULL);
	if (ret) {
		put_disk(disk);
		return ret;
	}
	fd->disk = disk;
	return 0;
}

int fakedisk_make(struct fakedisk *fd)
{
	return fakedisk_make_below(fd, NULL);
}

/* Take it away under those who use it; fakedisk_remove() is still to come. */
void fakedisk_unplug(struct fakedisk *fd)
{
	fd->unplugged = true;
	del_gendisk(fd->disk);
}

/* Nothing is held, and nobody has it open. */
void fakedisk_remove(struct fakedisk *fd)
{
	if (!fd->disk)
		return;
	if (!fd->unplugged)
		del_gendisk(fd->disk);
	put_disk(fd->disk);
	fd->disk = NULL;
}

int fakedisk_open(struct iotarget *target, struct fakedisk *fd)
{
	const struct iotarget_open_params params = {
		.type = IOTARGET_OPEN_DEVT,
		.devt = disk_devt(fd->disk),
		.access = IOTARGET_ACCESS_READ | IOTARGET_ACCESS_WRITE,
		.share = IOTARGET_SHARE_READ | IOTARGET_SHARE_WRITE,
	};

	return iotarget_open(target, &params) ?:
	       iotarget_start_and_wait(target, FAKE_LONG_MS, NULL);
}

/* Answer the oldest that is held; false if none is. */
bool fakedisk_answer(struct fakedisk *fd, blk_status_t status)
{
	unsigned long flags;
	struct bio *bio;

	spin_lock_irqsave(&fd->lock, flags);
	bio = bio_list_pop(&fd->held);
	spin_unlock_irqrestore(&fd->lock, flags);
	if (!bio)
		return false;
	bio->bi_status = status;
	bio_endio(bio);
	return true;
}

unsigned int fakedisk_answer_all(struct fakedisk *fd, blk_status_t status)
{
	unsigned int n = 0;

	while (fakedisk_answer(fd, status))
		n++;
	return n;
}
