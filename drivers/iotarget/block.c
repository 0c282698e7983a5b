// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block backend: requests become bios.
 *
 * A request in one piece of memory uses the bio that it brings along.  Any
 * other is made into as many bios as it takes, from the instance's own bioset,
 * which never fails; each part remembers where in the request it begins.  The
 * block layer splits what the device can't take at once.
 *
 * Context: opening and releasing in a worker; submitting as submit_bio(); the
 * completion in any, hard irq included.  Lock: req->part_lock, for requests of
 * several bios.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "devices.h"
#include "keep.h"

/**
 * struct block - an open block device
 * @file: what keeps it open
 * @bdev: the device
 * @own_file: opened by us, not given to us
 * @access: IOTARGET_ACCESS_*
 * @lower: the device's object, and the holder of the claim
 * @use: our entry there
 * @id: who the device says it is
 * @bios: for requests of more than one part
 * @clones: for forwarded bios
 */
struct block {
	struct file		*file;
	struct block_device	*bdev;
	bool			own_file;
	u32			access;
	struct iotarget_lower	*lower;
	struct iotarget_use	use;
	struct iotarget_identity id;
	struct bio_set		bios;
	struct bio_set		clones;
};

/**
 * struct part - one of a request's bios
 * @req: the request
 * @offset: where in the request it begins
 * @bio: the bio, with room for its bio_vecs behind it
 */
struct part {
	struct iotarget_request	*req;
	size_t			offset;
	struct bio		bio;
};

/**
 * iotarget_block_outcome - what a completion status says about the effect
 * @inst: where it was sent
 * @status: of a bio
 *
 * A status as of a device that is gone has the buses asked whether it is.
 *
 * Context: any; something is in flight on @inst, or it is kept otherwise.
 * Return: done or unknown.
 */
enum iotarget_outcome iotarget_block_outcome(struct iotarget_inst *inst,
					     blk_status_t status)
{
	switch (status) {
	case BLK_STS_OK:
	case BLK_STS_MEDIUM:
	case BLK_STS_PROTECTION:
	case BLK_STS_NOSPC:
	case BLK_STS_NOTSUPP:
	case BLK_STS_TARGET:
	case BLK_STS_RESV_CONFLICT:
	/* Answers of the block layer above the device: would wait, or can't be split. */
	case BLK_STS_AGAIN:
	case BLK_STS_INVAL:
		return IOTARGET_DONE;
	default:
		/*
		 * The rest may be a device that is gone, and what it did before
		 * it went nobody can tell.
		 */
		iotarget_inst_suspect(inst);
		return IOTARGET_UNKNOWN;
	}
}

static blk_mode_t block_mode(u32 access)
{
	return (access & IOTARGET_ACCESS_READ ? BLK_OPEN_READ : 0) |
	       (access & IOTARGET_ACCESS_WRITE ? BLK_OPEN_WRITE : 0);
}

static int block_open_file(struct block *b, const struct iotarget_open *how)
{
	struct file *file;

	if (how->file) {
		b->file = get_file(how->file);
		b->bdev = file_bdev(b->file);
		return 0;
	}
	/* Who does not let others write takes the kernel's claim as well. */
	file = bdev_file_open_by_dev(how->devt, block_mode(how->access),
				     how->share & IOTARGET_SHARE_WRITE ?
				     NULL : b->lower, &iotarget_holder_ops);
	if (IS_ERR(file))	/* some drivers refuse by themselves */
		return PTR_ERR(file) == -EROFS ? -EACCES : PTR_ERR(file);
	b->file = file;
	b->bdev = file_bdev(file);
	b->own_file = true;
	return 0;
}

/* The last put of a file of our own closes the device here and now. */
static void block_close_file(struct block *b)
{
	if (b->own_file)
		__fput_sync(b->file);
	else
		fput(b->file);
}

static int block_check_device(struct block *b)
{
	/* A drive without a medium may read as write protected. */
	if (!bdev_nr_bytes(b->bdev))
		return -ENOMEDIUM;
	if (b->access & IOTARGET_ACCESS_WRITE && bdev_read_only(b->bdev))
		return -EACCES;
	return 0;
}

/* What it takes to know it again. */
static int block_keep(struct iotarget_inst *inst, struct block *b, bool nowait)
{
	struct iotarget_keep *keep;

	if (!(READ_ONCE(inst->target->policy.flags) & IOTARGET_POLICY_HOLD))
		return 0;
	keep = iotarget_keep_alloc(b->bdev, nowait);
	if (IS_ERR(keep))
		return PTR_ERR(keep);
	inst->keep = keep;
	return 0;
}

static const char *identity_differs(const struct iotarget_identity *a,
				    const struct iotarget_identity *b)
{
	if (a->unique_id_type != b->unique_id_type ||
	    memcmp(a->unique_id, b->unique_id, sizeof(a->unique_id)))
		return "unique id";
	if (strcmp(a->serial, b->serial))
		return "serial number";
	return NULL;
}

static int block_open(struct iotarget_inst *inst,
		      const struct iotarget_open *how)
{
	dev_t devt = how->file ? file_inode(how->file)->i_rdev : how->devt;
	struct block *b;
	int ret = -ENOMEM;

	b = kzalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return -ENOMEM;
	b->access = how->access;
	b->use.target = inst->target;
	b->use.access = how->access;
	b->use.share = how->share;
	b->lower = iotarget_lower_get(devt);
	if (!b->lower)
		goto free_block;
	/* A driver's submit_bio may send: see bio_alloc_bioset(). */
	ret = bioset_init(&b->bios, BIO_POOL_SIZE, offsetof(struct part, bio),
			  BIOSET_NEED_BVECS | BIOSET_NEED_RESCUER);
	if (ret)
		goto put_lower;
	/* One for each bio that comes: needs no rescuer, see bio.c. */
	ret = bioset_init(&b->clones, BIO_POOL_SIZE,
			  offsetof(struct iotarget_forward, clone),
			  BIOSET_PERCPU_CACHE);
	if (ret)
		goto exit_bios;
	ret = block_open_file(b, how);
	if (ret)
		goto exit_clones;
	ret = block_check_device(b);
	if (ret)
		goto close_file;
	b->use.bdev = b->bdev;
	b->use.file = b->file;
	b->use.by_file = !b->own_file;
	iotarget_hook(IOTARGET_HOOK_DEVICE_OPEN, inst);
	ret = iotarget_lower_share(&b->use);
	if (ret)
		goto close_file;
	iotarget_watch_arm(b->use.watch);
	/* First, as a disk whose gate is shut is not asked who it is. */
	ret = block_keep(inst, b, how->nowait);
	if (ret)
		goto unshare;
	iotarget_lower_identify(b->bdev, &b->id);
	b->use.id = &b->id;
	if (how->only && (identity_differs(&how->id, &b->id) ||
			  (how->diskseq &&
			   how->diskseq != b->bdev->bd_disk->diskseq))) {
		ret = -ESTALE;
		goto free_keep;
	}
	inst->backend = b;
	inst->use = &b->use;
	inst->watch = iotarget_watch_ref(b->use.watch);
	inst->bdev = b->bdev;
	inst->clones = &b->clones;
	return 0;

free_keep:
	iotarget_keep_free(inst->keep);
	inst->keep = NULL;
unshare:
	iotarget_lower_unshare(&b->use);
close_file:
	block_close_file(b);
exit_clones:
	bioset_exit(&b->clones);
exit_bios:
	bioset_exit(&b->bios);
put_lower:
	iotarget_lower_put(b->lower);
free_block:
	kfree(b);
	return ret;
}

static void block_release(struct iotarget_inst *inst)
{
	struct block *b = inst->backend;

	iotarget_keep_free(inst->keep);
	iotarget_lower_unshare(&b->use);
	block_close_file(b);
	bioset_exit(&b->clones);
	bioset_exit(&b->bios);
	iotarget_lower_put(b->lower);
	kfree(b);
}

/* What stands on it relies on these, as it was told of others. */
static const char *limits_differ(struct block_device *lost,
				 struct block_device *fresh)
{
	if (bdev_logical_block_size(fresh) != bdev_logical_block_size(lost))
		return "block size";
	if (bdev_dma_alignment(fresh) & ~bdev_dma_alignment(lost))
		return "alignment of memory";
	/* Who was told that there is none sends no flush. */
	if (bdev_write_cache(fresh) && !bdev_write_cache(lost))
		return "write cache";
	if (bdev_is_zoned(fresh) != bdev_is_zoned(lost))
		return "zones";
	if (bdev_read_only(fresh) && !bdev_read_only(lost))
		return "write protection";
	return NULL;
}

/*
 * Is its unique id its own?  A disk without hardware may tell that of one that it stands
 * on, as others that stand there do.
 */
static bool is_unique(const struct block *b)
{
	return b->id.unique_id_len && disk_to_dev(b->bdev->bd_disk)->parent;
}

/*
 * One that is the only one of its name may have grown, while it was open or while it was
 * gone.  A partition that has another size is another one.
 */
static bool size_differs(const struct iotarget_keep *lost,
			 const struct iotarget_keep *fresh, bool unique)
{
	const sector_t was = READ_ONCE(lost->sectors);

	if (unique && !bdev_is_partition(fresh->bdev))
		return fresh->sectors < was;
	return fresh->sectors != was;
}

/*
 * So many sectors of the ends have to be as they were: of a device that is the only one of
 * its name none, unless it has grown; of one with a serial number, which may be that of a
 * card reader, some; of one that says nothing many.
 */
#define SOME_SECTORS	8
#define MANY_SECTORS	64

static const char *block_differs(struct iotarget_inst *lost,
				 struct iotarget_inst *fresh)
{
	const struct block *a = lost->backend, *b = fresh->backend;
	const char *why = identity_differs(&a->id, &b->id);
	const bool unique = is_unique(b);
	unsigned int enough = MANY_SECTORS;

	if (why)
		return why;
	if (!lost->keep || !fresh->keep)
		return "nothing is known of it";
	if (size_differs(lost->keep, fresh->keep, unique))
		return "size";
	why = limits_differ(a->bdev, b->bdev);
	if (why)
		return why;
	/* Ids that are not unique exist: then the contents of one that has grown decide. */
	if (unique && fresh->keep->tail == lost->keep->tail)
		enough = 0;
	else if (unique || *a->id.serial)
		enough = SOME_SECTORS;
	return iotarget_keep_differs(lost->keep, fresh->keep, enough);
}

/*
 * Walk over a request's memory piece by piece.  A bio_vec is one piece, a
 * kernel address of the linear mapping is, and of vmalloc memory each page.
 */
struct walk {
	struct iov_iter		iter;
	struct page		*page;
	unsigned int		offset;
	size_t			len;
};

static bool walk_piece(struct walk *w)
{
	const size_t skip = w->iter.iov_offset;
	void *addr;

	if (!iov_iter_count(&w->iter))
		return false;
	if (iov_iter_is_bvec(&w->iter)) {
		const struct bio_vec *bv = w->iter.bvec;

		w->page = bv->bv_page + ((bv->bv_offset + skip) >> PAGE_SHIFT);
		w->offset = (bv->bv_offset + skip) & ~PAGE_MASK;
		w->len = bv->bv_len - skip;
	} else {
		addr = w->iter.kvec->iov_base + skip;
		w->offset = offset_in_page(addr);
		w->len = w->iter.kvec->iov_len - skip;
		if (is_vmalloc_addr(addr)) {
			w->page = vmalloc_to_page(addr);
			w->len = min_t(size_t, w->len, PAGE_SIZE - w->offset);
		} else {
			w->page = virt_addr_valid(addr) ? virt_to_page(addr) :
							  NULL;
		}
	}
	w->len = min(w->len, iov_iter_count(&w->iter));
	return true;
}

/* Start, or go on after using @used bytes; false at the end. */
static bool walk_next(struct walk *w, size_t used)
{
	do {
		iov_iter_advance(&w->iter, used);
		if (!walk_piece(w))
			return false;
		used = 0;
	} while (!w->len);
	return true;
}

/*
 * Each piece must be where the device can reach it, and of whole blocks, as the
 * block layer may split between any two of them.  So vmalloc memory, whose
 * pieces are pages, must begin at a block.
 */
static int check_memory(struct block_device *bdev,
			const struct iotarget_request *req)
{
	const unsigned int mask = bdev_dma_alignment(bdev);
	const unsigned int len_mask = bdev_logical_block_size(bdev) - 1;
	struct walk w = { .iter = req->iter };
	bool more;

	for (more = walk_next(&w, 0); more; more = walk_next(&w, w.len)) {
		if (!w.page || w.offset & mask || w.len & len_mask)
			return -EINVAL;
	}
	return 0;
}

/* Worth a look at the buses, as a bio that failed would be. */
static int nothing_there(struct iotarget_inst *inst)
{
	iotarget_inst_suspect(inst);
	return -ENODEV;
}

/* Of one that is waited for. */
static u64 size_that_was(struct iotarget_inst *inst)
{
	if (!inst->keep || !READ_ONCE(inst->target->gate.lost))
		return 0;
	return (u64)READ_ONCE(inst->keep->sectors) << SECTOR_SHIFT;
}

static int block_check(struct iotarget_inst *inst, struct iotarget_request *req)
{
	const struct block *b = inst->backend;
	const unsigned int bs = bdev_logical_block_size(b->bdev);
	/*
	 * Read once: a device that goes in between has one answer, not two.  And one that
	 * is waited for comes back with the size that it had.
	 */
	const u64 size = bdev_nr_bytes(b->bdev) ?: size_that_was(inst);
	u64 end;

	switch (req->type) {
	case IOTARGET_REQ_FLUSH:
		/*
		 * The block layer answers a flush of a device without a cache
		 * by itself, even if the device is gone.
		 */
		return size ? 0 : nothing_there(inst);
	case IOTARGET_REQ_READ:
		if (!(b->access & IOTARGET_ACCESS_READ))
			return -EACCES;
		break;
	case IOTARGET_REQ_WRITE:
		if (!(b->access & IOTARGET_ACCESS_WRITE))
			return -EACCES;
		break;
	default:
		return -EINVAL;
	}
	if (check_add_overflow(req->pos, (u64)req->len, &end))
		return -EOVERFLOW;
	if (!size)
		return nothing_there(inst);
	if ((req->pos | req->len) & (bs - 1))
		return -EINVAL;
	if (end > size)
		return -ERANGE;
	return req->len ? check_memory(b->bdev, req) : 0;
}

/*
 * Somebody waits for each of them, as for direct I/O.  Without the two flags a
 * write is taken for writeback, and its sender made to wait in submit_bio() as
 * long as the device is slow.
 */
static blk_opf_t block_opf(const struct iotarget_request *req)
{
	switch (req->type) {
	case IOTARGET_REQ_WRITE:
		return REQ_OP_WRITE | REQ_SYNC | REQ_IDLE |
		       (req->fua ? REQ_FUA : 0);
	case IOTARGET_REQ_FLUSH:
		return REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC;
	default:
		return REQ_OP_READ | REQ_SYNC;
	}
}

/* As told to what is kept of the device.  False: it is not to be sent. */
static noinline bool keep_sent(struct iotarget_keep *keep,
			       struct iotarget_request *req)
{
	const blk_opf_t opf = block_opf(req);

	if (iotarget_keep_refuses(keep, opf))
		return false;
	req->unit.covers = iotarget_keep_sent(keep, opf,
					      req->pos >> SECTOR_SHIFT,
					      req->len);
	return true;
}

/* All of it is back. */
static void block_done(struct iotarget_request *req, int status,
		       enum iotarget_outcome outcome, size_t bytes)
{
	struct iotarget_keep *keep = req->unit.inst->keep;

	if (unlikely(keep))
		iotarget_keep_back(keep, block_opf(req), bytes,
				   !status || bytes, req->unit.covers);
	iotarget_request_done(req, status, outcome, bytes);
}

/* The bio that the request brought along: the whole of it. */
static void own_end_io(struct bio *bio)
{
	struct iotarget_request *req = bio->bi_private;
	const blk_status_t status = bio->bi_status;

	bio_uninit(bio);
	block_done(req, blk_status_to_errno(status),
		   iotarget_block_outcome(req->unit.inst, status),
		   status ? 0 : req->len);
}

static void submit_own(struct block *b, struct iotarget_request *req,
		       const struct walk *w)
{
	struct bio *bio = &req->bio;

	bio_init(bio, b->bdev, &req->bvec, 1, block_opf(req));
	bio->bi_iter.bi_sector = req->pos >> SECTOR_SHIFT;
	bio->bi_end_io = own_end_io;
	bio->bi_private = req;
	if (w)
		__bio_add_page(bio, w->page, w->len, w->offset);
	submit_bio(bio);
}

static void parts_put(struct iotarget_request *req)
{
	if (atomic_dec_and_test(&req->bios))
		block_done(req, req->status, req->outcome, req->bytes);
}

/* The result of the whole: the first error by position, the worst outcome. */
static void part_failed(struct iotarget_request *req, size_t offset,
			blk_status_t status)
{
	const enum iotarget_outcome outcome =
		iotarget_block_outcome(req->unit.inst, status);
	unsigned long flags;

	spin_lock_irqsave(&req->part_lock, flags);
	if (!req->status || offset < req->bytes) {
		req->status = blk_status_to_errno(status);
		req->bytes = offset;
	}
	req->outcome = max_t(u8, req->outcome, outcome);
	spin_unlock_irqrestore(&req->part_lock, flags);
}

static void part_end_io(struct bio *bio)
{
	struct part *part = container_of(bio, struct part, bio);
	struct iotarget_request *req = part->req;
	const size_t offset = part->offset;
	const blk_status_t status = bio->bi_status;

	bio_put(bio);
	if (status)
		part_failed(req, offset, status);
	parts_put(req);
}

static struct bio *part_alloc(struct block *b, struct iotarget_request *req,
			      size_t offset)
{
	struct part *part;
	struct bio *bio;

	bio = bio_alloc_bioset(b->bdev, BIO_MAX_VECS, block_opf(req), GFP_NOIO,
			       &b->bios);
	part = container_of(bio, struct part, bio);
	part->req = req;
	part->offset = offset;
	bio->bi_iter.bi_sector = (req->pos + offset) >> SECTOR_SHIFT;
	bio->bi_end_io = part_end_io;
	return bio;
}

static void submit_parts(struct block *b, struct iotarget_request *req,
			 struct walk *w)
{
	const unsigned int bs = bdev_logical_block_size(b->bdev);
	size_t offset = 0, n;
	struct bio *bio;
	bool more = true;

	req->status = 0;
	req->outcome = IOTARGET_DONE;
	req->bytes = req->len;
	atomic_set(&req->bios, 1);
	while (more) {
		bio = part_alloc(b, req, offset);
		for (;;) {
			/* A bio's size is 32 bits; whole blocks only. */
			n = min_t(size_t, w->len,
				  round_down(UINT_MAX - bio->bi_iter.bi_size,
					     bs));
			if (!n || !bio_add_page(bio, w->page, n, w->offset))
				break;
			offset += n;
			more = walk_next(w, n);
			if (!more)
				break;
		}
		atomic_inc(&req->bios);
		submit_bio(bio);
	}
	parts_put(req);
}

static void block_submit(struct iotarget_inst *inst,
			 struct iotarget_request *req)
{
	struct block *b = inst->backend;
	struct walk w = { .iter = req->iter };

	/* See block_check(); it went since. Before the flush is counted as sent. */
	if (req->type == IOTARGET_REQ_FLUSH &&
	    unlikely(!bdev_nr_bytes(b->bdev))) {
		iotarget_request_done(req, nothing_there(inst),
				      IOTARGET_NEVER_SENT, 0);
		return;
	}
	if (unlikely(inst->keep) && !keep_sent(inst->keep, req)) {
		iotarget_request_done(req, -EIO, IOTARGET_UNKNOWN, 0);
		return;
	}
	if (req->type == IOTARGET_REQ_FLUSH) {
		submit_own(b, req, NULL);
		return;
	}
	if (!req->len || !walk_next(&w, 0)) {
		/* The block layer has no transfer of nothing. */
		iotarget_request_done(req, 0, IOTARGET_DONE, 0);
		return;
	}
	if (w.len == req->len && w.len <= UINT_MAX - SECTOR_SIZE)
		submit_own(b, req, &w);
	else
		submit_parts(b, req, &w);
}

static void block_info(struct iotarget_inst *inst, struct iotarget_info *info)
{
	const struct block *b = inst->backend;
	struct block_device *bdev = b->bdev;

	info->access = b->access;
	info->devt = bdev->bd_dev;
	strscpy(info->disk_name, bdev->bd_disk->disk_name,
		sizeof(info->disk_name));
	info->capacity = bdev_nr_bytes(bdev);
	info->logical_block_size = bdev_logical_block_size(bdev);
	info->physical_block_size = bdev_physical_block_size(bdev);
	info->max_transfer = queue_max_sectors(bdev_get_queue(bdev)) <<
			     SECTOR_SHIFT;
	info->dma_alignment = bdev_dma_alignment(bdev);
	info->partition = bdev_partno(bdev);
	info->write_cache = bdev_write_cache(bdev);
	info->read_only = bdev_read_only(bdev);
	info->rotational = bdev_rot(bdev);
	info->removable = bdev->bd_disk->flags & GENHD_FL_REMOVABLE;
	info->unique_id_type = b->id.unique_id_type;
	info->unique_id_len = b->id.unique_id_len;
	memcpy(info->unique_id, b->id.unique_id, sizeof(info->unique_id));
	strscpy(info->serial, b->id.serial, sizeof(info->serial));
	info->diskseq = bdev->bd_disk->diskseq;
	if (inst->keep) {
		info->at_risk = iotarget_keep_at_risk(inst->keep);
		info->lost = READ_ONCE(inst->keep->lost);
	}
}

const struct iotarget_backend_ops iotarget_block_ops = {
	.name		= "block",
	.open		= block_open,
	.release	= block_release,
	.check		= block_check,
	.submit		= block_submit,
	.info		= block_info,
	.differs	= block_differs,
};
