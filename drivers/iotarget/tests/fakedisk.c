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

/* No two sectors are alike, nor all bytes of one. */
static void fill(struct bio *bio, u8 seed)
{
	u64 pos = bio->bi_iter.bi_sector << SECTOR_SHIFT;
	struct bvec_iter iter;
	struct bio_vec bv;
	unsigned int i;
	u8 *to;

	bio_for_each_segment(bv, bio, iter) {
		to = bvec_kmap_local(&bv);
		for (i = 0; i < bv.bv_len; i++, pos++)
			to[i] = seed + pos + (pos >> SECTOR_SHIFT);
		kunmap_local(to);
	}
}

static void fakedisk_submit_bio(struct bio *bio)
{
	struct fakedisk *fd = bio->bi_bdev->bd_disk->private_data;
	unsigned long flags;
	bool hold, again;

	if (fd->model.seed && bio_op(bio) == REQ_OP_READ)
		fill(bio, fd->model.seed);
	spin_lock_irqsave(&fd->lock, flags);
	if (fd->submitted < FAKEDISK_LOG) {
		fd->sectors[fd->submitted] = bio->bi_iter.bi_sector;
		fd->opf[fd->submitted] = bio->bi_opf;
	}
	fd->submitted++;
	fd->last = bio;
	again = fd->model.shut && bio->bi_opf & REQ_NOWAIT;
	hold = !again && (fd->hold || fd->model.shut);
	if (hold)
		bio_list_add(&fd->held, bio);
	spin_unlock_irqrestore(&fd->lock, flags);
	if (again)
		bio_wouldblock_error(bio);
	else if (!hold)
		bio_endio(bio);
}

static int fakedisk_get_unique_id(struct gendisk *disk, u8 id[16],
				  enum blk_unique_id type)
{
	struct fakedisk *fd = disk->private_data;

	if (!fd->model.unique || type != BLK_UID_NAA)
		return -EINVAL;
	memset(id, fd->model.unique, 16);
	return 16;
}

static const struct block_device_operations fakedisk_fops = {
	.owner		= THIS_MODULE,
	.submit_bio	= fakedisk_submit_bio,
	.get_unique_id	= fakedisk_get_unique_id,
};

/* Several may be there at a time. */
int fakedisk_make_as(struct fakedisk *fd, const struct fakedisk_model *model)
{
	static atomic_t numbers;
	struct queue_limits lim = {
		.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA |
			    BLK_FEAT_NOWAIT,
		.max_hw_discard_sectors = UINT_MAX >> SECTOR_SHIFT,
		.discard_granularity = SECTOR_SIZE,
	};
	struct gendisk *disk;
	int ret;

	memset(fd, 0, sizeof(*fd));
	fd->model = *model;
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
	set_capacity(disk, model->sectors ?: FAKEDISK_SECTORS);
	ret = device_add_disk(model->parent, disk, NULL);
	if (ret) {
		put_disk(disk);
		return ret;
	}
	fd->disk = disk;
	return 0;
}

int fakedisk_make(struct fakedisk *fd)
{
	return fakedisk_make_as(fd, &(struct fakedisk_model){ });
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

/* Answer the one that came last. */
bool fakedisk_answer_last(struct fakedisk *fd, blk_status_t status)
{
	struct bio_list others = BIO_EMPTY_LIST;
	struct bio *bio, *last = NULL;
	unsigned long flags;

	spin_lock_irqsave(&fd->lock, flags);
	while ((bio = bio_list_pop(&fd->held))) {
		if (last)
			bio_list_add(&others, last);
		last = bio;
	}
	fd->held = others;
	spin_unlock_irqrestore(&fd->lock, flags);
	if (!last)
		return false;
	last->bi_status = status;
	bio_endio(last);
	return true;
}

static void upper_end_io(struct bio *bio)
{
	struct fakedisk_upper *u = container_of(bio, struct fakedisk_upper, bio);

	u->order = ++*u->count;
	u->status = bio->bi_status;
	WRITE_ONCE(u->ended, u->ended + 1);
}

/* A bio without memory, as one that came for the disk above. */
struct bio *fakedisk_upper_make(struct fakedisk_upper *u, struct fakedisk *fd,
				sector_t sector, blk_opf_t opf,
				unsigned int *count)
{
	bio_init(&u->bio, fd->disk->part0, NULL, 0, opf);
	u->bio.bi_end_io = upper_end_io;
	u->bio.bi_iter.bi_sector = sector;
	u->count = count;
	return &u->bio;
}

/* One of 4 KiB. */
struct bio *fakedisk_upper_io(struct fakedisk_upper *u, struct fakedisk *fd,
			      sector_t sector, blk_opf_t opf,
			      unsigned int *count, struct page *page)
{
	struct bio *bio = fakedisk_upper_make(u, fd, sector, opf, count);

	bio->bi_io_vec = &u->vec;
	bio->bi_max_vecs = 1;
	__bio_add_page(bio, page, SZ_4K, 0);
	return bio;
}
