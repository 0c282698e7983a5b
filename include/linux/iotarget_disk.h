/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * iotarget_disk - a disk over a local I/O target
 *
 * For stacked block drivers: a disk whose bios go through an I/O target to the
 * device below, which is opened when the disk is made and closed when it goes.
 * Queue limits, features, capacity, ioctls, persistent reservations and the like
 * are those of the device below.  The driver supplies what it wants to do with
 * bios, or nothing, and then they are passed on as they are.
 */
#ifndef _LINUX_IOTARGET_DISK_H
#define _LINUX_IOTARGET_DISK_H

#include <linux/blkdev.h>
#include <linux/iotarget.h>

/* So many of these disks may stand one on the other. */
#define IOTARGET_DISK_MAX_DEPTH		8

/**
 * struct iotarget_disk - a disk over a target
 * @target: the target; its iotarget_priv() is this structure
 * @gd: the disk
 * @priv: the driver's
 *
 * The public part of it.  Valid until &iotarget_disk_ops.release.
 */
struct iotarget_disk {
	struct iotarget		*target;
	struct gendisk		*gd;
	void			*priv;
};

/**
 * struct iotarget_disk_ops - what the driver supplies; all but @owner optional
 * @owner: the module of these functions; pinned while the disk is open, and
 *	until it is released
 * @submit_bio: gets each bio; it is to end in iotarget_forward_bio() or
 *	bio_endio() or the like.  NULL: each is forwarded.  Context as
 *	submit_bio().
 * @end_bio: as in &struct iotarget_ops
 * @release: the last user of a disk has gone, and its memory goes after this;
 *	not called for one that could not be made.  Process context; may be
 *	called with the open_mutex of the disk held.
 *
 * To be a static variable of the driver: it contains what the block layer calls
 * through, for as long as it may look at the disk.
 */
struct iotarget_disk_ops {
	struct module	*owner;
	void		(*submit_bio)(struct bio *bio);
	enum iotarget_bio_verdict
			(*end_bio)(struct iotarget *target, struct bio *bio,
				   blk_status_t *status,
				   enum iotarget_outcome outcome);
	void		(*release)(struct iotarget_disk *disk);
	/* private: must be zero */
	unsigned long	reserved[4];
	/* private: filled in */
	struct block_device_operations fops;
};

#define IOTARGET_DISK_PARTITIONS	0x1	/* may be partitioned; it is scanned */
#define IOTARGET_DISK_STRICTLIMIT	0x2	/* own limit of dirty pages, always */

/**
 * enum iotarget_disk_query - what is answered when the device below may go
 * @IOTARGET_DISK_QUERY_VETO: not while anybody has the disk open
 * @IOTARGET_DISK_QUERY_HOLD: it may go: what is sent is waited for, and flushed, and what
 *	comes is held until the device stays after all, or is back, as the policy says
 * @IOTARGET_DISK_QUERY_FREEZE: likewise, and before that the file systems on the disk and
 *	its partitions are frozen, so that those on the device are clean; but not
 *	for a removal that can't be refused, which has no time for that
 */
enum iotarget_disk_query {
	IOTARGET_DISK_QUERY_VETO,
	IOTARGET_DISK_QUERY_HOLD,
	IOTARGET_DISK_QUERY_FREEZE,
};

/**
 * struct iotarget_disk_params - how to make a disk
 * @flags: IOTARGET_DISK_* flags
 * @query: one of &enum iotarget_disk_query; with all but the first, @policy has
 *	%IOTARGET_POLICY_HOLD
 * @name: of the disk, 1 to %IOTARGET_NAME_MAX characters of ``[a-z0-9_-]``
 * @target_name: of the target, or NULL for @name
 * @ops: the driver's functions
 * @lower: what to open, by path or number, and how.  The disk is read-only if @lower.access has no
 *	%IOTARGET_ACCESS_WRITE.  With %IOTARGET_SHARE_WRITE in @lower.share the
 *	device below is not claimed, and has no link to the disk in sysfs.
 * @policy: what becomes of I/O when the device below is gone, or NULL; copied
 * @priv: for &iotarget_disk.priv
 */
struct iotarget_disk_params {
	u32					flags;
	u32					query;
	const char				*name;
	const char				*target_name;
	struct iotarget_disk_ops		*ops;
	const struct iotarget_open_params	*lower;
	const struct iotarget_policy		*policy;
	void					*priv;
	/* private: must be zero */
	u64					reserved[3];
};

/* As struct iotarget_abi: the sizes that the caller was compiled with. */
struct iotarget_disk_abi {
	u32	generation;
	u32	params_size;
	u32	ops_size;
	u32	open_size;
	u32	disk_size;
};

#define IOTARGET_DISK_ABI_INIT { \
	.generation	= IOTARGET_API_GENERATION, \
	.params_size	= sizeof(struct iotarget_disk_params), \
	.ops_size	= sizeof(struct iotarget_disk_ops), \
	.open_size	= sizeof(struct iotarget_open_params), \
	.disk_size	= sizeof(struct iotarget_disk), \
}

struct iotarget_disk *
__iotarget_disk_create(const struct iotarget_disk_params *params,
		       const struct iotarget_disk_abi *abi);

/**
 * iotarget_disk_create - make a disk over a target
 * @params: see there
 *
 * See __iotarget_disk_create().
 *
 * Return: the disk, or an ERR_PTR.
 */
static inline struct iotarget_disk *
iotarget_disk_create(const struct iotarget_disk_params *params)
{
	static const struct iotarget_disk_abi abi = IOTARGET_DISK_ABI_INIT;

	return __iotarget_disk_create(params, &abi);
}

int iotarget_disk_remove(struct iotarget_disk *disk, bool force,
			 unsigned int timeout_ms);
unsigned int iotarget_disk_depth(const struct iotarget_disk *disk);

/**
 * iotarget_disk_of - the disk that a bio was submitted to
 * @bio: as submit_bio() of the driver got it
 *
 * Context: any.
 * Return: the disk.
 */
static inline struct iotarget_disk *iotarget_disk_of(const struct bio *bio)
{
	return bio->bi_bdev->bd_disk->private_data;
}

#endif /* _LINUX_IOTARGET_DISK_H */
