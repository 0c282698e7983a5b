/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The private header of iotarget_disk.ko.  It stands on the public interface of
 * iotarget.ko like any driver.
 */
#ifndef _IOTARGET_DISK_H
#define _IOTARGET_DISK_H

#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pr.h>		/* wants blkdev.h */
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <linux/iotarget_disk.h>

/* What is known of the file systems on a disk; see disk_freeze.c. */
enum iotarget_disk_ice {
	IOTARGET_DISK_THAWED,
	IOTARGET_DISK_FREEZING,
	IOTARGET_DISK_FROZEN,
	IOTARGET_DISK_THAWING,
};

/**
 * struct iotarget_disk_freeze - the freezing of the file systems on a disk
 * @work: freezes and thaws
 * @waitq: for the state
 * @state: what is frozen; with the lock of the disk
 * @wanted: it is to be frozen; likewise
 * @error: why it could not be frozen; likewise
 * @frozen: what is; the work's
 */
struct iotarget_disk_freeze {
	struct work_struct		work;
	wait_queue_head_t		waitq;
	enum iotarget_disk_ice		state;
	bool				wanted;
	int				error;
	struct list_head		frozen;
};

/**
 * struct iotarget_disk_priv - a disk, all of it
 * @disk: what the driver sees
 * @ops: the driver's
 * @target_ops: for the target: the memory of this structure is the target's, and
 *	goes when the last reference of the target does
 * @access: what the lower device was opened for
 * @depth: how many disks of ours stand one on the other, this one included
 * @share: how the lower device is shared
 * @query: what is answered when the lower device may go: &enum iotarget_disk_query
 * @link: guards @lower and @unlinked
 * @lower: the lower device, referenced, if it has a link to the disk; else NULL
 * @unlinked: the disk goes, and gets no link any more
 * @lock: guards @there, and the state of @freeze
 * @there: the disk has been made and was not put
 * @made: its making succeeded
 * @removing: nobody may open it any more; written under the disk's open_mutex,
 *	or by a forced removal without it
 * @agreed: nobody may open it until it is known whether the device below goes;
 *	set under the disk's open_mutex
 * @forced: the removal does not ask
 * @freeze: of what stands on the disk
 * @flush: when the device below is removed unasked; outlived by the target, and so by
 *	this, when the device does not answer it
 * @scan_work: reads the partition table
 * @scanned: the work is through
 * @remove_work: takes the disk away
 * @removed: the work is through
 */
struct iotarget_disk_priv {
	struct iotarget_disk		disk;
	const struct iotarget_disk_ops	*ops;
	struct iotarget_ops		target_ops;
	u32				access;
	unsigned int			depth;
	u32				share;
	u32				query;
	struct mutex			link;	/* of the link to the disk */
	struct block_device		*lower;
	bool				unlinked;
	spinlock_t			lock;	/* of @there and @freeze */
	bool				there;
	bool				made;
	bool				removing;
	bool				agreed;
	bool				forced;
	struct iotarget_disk_freeze	freeze;
	struct iotarget_request		flush;
	struct work_struct		scan_work;
	struct completion		scanned;
	struct work_struct		remove_work;
	struct completion		removed;
};

static inline struct iotarget_disk_priv *
iotarget_disk_priv(const struct iotarget_disk *disk)
{
	return container_of(disk, struct iotarget_disk_priv, disk);
}

/* disk.c */
void iotarget_disk_refresh(struct iotarget_disk_priv *d);
struct gendisk *iotarget_disk_hold(struct iotarget_disk_priv *d);
bool iotarget_disk_queue(struct work_struct *work);

/* disk_freeze.c */
int iotarget_disk_freeze(struct iotarget_disk_priv *d, unsigned long deadline);
void iotarget_disk_thaw(struct iotarget_disk_priv *d);
void iotarget_disk_thaw_and_wait(struct iotarget_disk_priv *d,
				 unsigned int timeout_ms);
void iotarget_disk_freeze_init(struct iotarget_disk_priv *d);

/* disk_limits.c, or what compat/ has instead of it */
#define IOTARGET_DISK_FREEZE_WAIT	(2 * HZ)

struct gendisk *iotarget_disk_alloc(struct block_device *lower,
				    const char *name);
int iotarget_disk_restack(struct gendisk *gd, struct block_device *lower);

/* disk_fops.c, or what compat/ has instead of it */
extern const struct block_device_operations iotarget_disk_fops;
int iotarget_disk_lower_getgeo(struct block_device *lower,
			       struct hd_geometry *geo);

/* disk_ops.c: by the prototypes of the newest kernel */
int iotarget_disk_open(struct gendisk *gd, blk_mode_t mode);
void iotarget_disk_release(struct gendisk *gd);
int iotarget_disk_ioctl(struct block_device *bdev, blk_mode_t mode,
			unsigned int cmd, unsigned long arg);
int iotarget_disk_compat_ioctl(struct block_device *bdev, blk_mode_t mode,
			       unsigned int cmd, unsigned long arg);
int iotarget_disk_getgeo(struct gendisk *gd, struct hd_geometry *geo);
int iotarget_disk_set_read_only(struct block_device *bdev, bool ro);
int iotarget_disk_get_unique_id(struct gendisk *gd, u8 id[16],
				enum blk_unique_id type);
int iotarget_disk_pr_register(struct block_device *bdev, u64 old_key,
			      u64 new_key, u32 flags);
int iotarget_disk_pr_reserve(struct block_device *bdev, u64 key,
			     enum pr_type type, u32 flags);
int iotarget_disk_pr_release(struct block_device *bdev, u64 key,
			     enum pr_type type);
int iotarget_disk_pr_preempt(struct block_device *bdev, u64 old_key,
			     u64 new_key, enum pr_type type, bool abort);
int iotarget_disk_pr_clear(struct block_device *bdev, u64 key);
int iotarget_disk_enter(struct gendisk *gd, struct iotarget_entry *entry);
int iotarget_disk_pr_enter(struct block_device *bdev,
			   struct iotarget_entry *entry,
			   const struct pr_ops **ops);

/* After iotarget_disk_pr_enter(): the call, if the lower driver has it. */
#define IOTARGET_DISK_PR_CALL(_entry, _function, ...) ({		\
	struct iotarget_entry *_e = (_entry);				\
	const typeof(_function) _f = (_function);			\
	int _ret = _f ? _f(_e->bdev, __VA_ARGS__) : -EOPNOTSUPP;	\
									\
	iotarget_leave(_e);						\
	_ret;								\
})

/* disk_pr_read.c, where the kernel can ask for them */
struct pr_keys;
struct pr_held_reservation;
int iotarget_disk_pr_read_keys(struct block_device *bdev, struct pr_keys *keys);
int iotarget_disk_pr_read_reservation(struct block_device *bdev,
				      struct pr_held_reservation *held);

#endif /* _IOTARGET_DISK_H */
