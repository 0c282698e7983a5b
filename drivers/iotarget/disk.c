// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacked disks: a disk over a local I/O target, from its making to the last
 * close.
 *
 * As the local target of KMDF is opened with its device and closed with it, the
 * target here is opened and started before the disk appears, and closed after
 * it has gone.  Taking the disk away goes: purge, so that whoever waits for I/O
 * gets an answer; mark it dead, if nobody was asked; del_gendisk(); close the
 * device below.  A worker does that, as each of the steps may wait for others.
 *
 * The structure lives in the target's priv and as long as the target: each open
 * of the disk has a reference of it, as has the worker, so the disk may outlive
 * the removal until the last close.  After del_gendisk() no bio comes any more,
 * and what may still come, an ioctl, finds a deleted target.
 *
 * A partition table is read by a worker, as that takes as long as the device below
 * takes: whoever makes the disk has other things to do, and locks.
 *
 * Disks on disks: the depth is bounded, for each adds to the stack of a
 * completion and of an ioctl.  A loop can't be made, as the device below must
 * be there before the disk, and can't be exchanged afterwards.
 *
 * Context: process.  Lock: the open_mutex of the disk, to see whether it is
 * open.
 */
#include <linux/backing-dev.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "disk.h"

#define FLAGS_ALL	(IOTARGET_DISK_PARTITIONS | IOTARGET_DISK_STRICTLIMIT)

/* How long the worker waits for the device below before it leaves it alone. */
#define CLOSE_MS	10000

/* How long a disk that goes waits for what stands on it to be thawed. */
#define THAW_MS		5000

/* How long the making of a disk waits for its partition table to be read. */
#define SCAN_MS		1000

/* Or for a start of its target, if somebody has stopped it as soon as it was open. */
#define ENTER_MS	1000

static struct workqueue_struct *disk_wq;

/**
 * iotarget_disk_queue - have a worker do something
 * @work: what
 *
 * Context: any.
 * Return: false if it was to do it already.
 */
bool iotarget_disk_queue(struct work_struct *work)
{
	return queue_work(disk_wq, work);
}

static struct iotarget_disk_priv *gd_to_disk(struct gendisk *gd)
{
	if (gd->fops->open != iotarget_disk_fops.open)
		return NULL;
	return iotarget_disk_priv(gd->private_data);
}

/* The driver supplied nothing. */
static void forward_all(struct bio *bio)
{
	iotarget_forward_bio(iotarget_disk_of(bio)->target, bio, 0);
}

/* The last reference of the target is gone. */
static void disk_destroy(void *priv)
{
	struct iotarget_disk_priv *d = iotarget_disk_priv(priv);

	if (d->made && d->ops->release)
		d->ops->release(&d->disk);
	kfree(d);
}

/**
 * iotarget_disk_refresh - take over what may have changed below
 * @d: the disk
 *
 * Capacity and write protection, looked at with each open.  A device without
 * any capacity is gone, or its medium is; then the disk stays as it is.
 *
 * Context: process; under the open_mutex of the disk.
 */
void iotarget_disk_refresh(struct iotarget_disk_priv *d)
{
	struct block_device *lower = iotarget_get_bdev(d->disk.target);
	struct gendisk *gd = d->disk.gd;
	sector_t sectors;

	if (!lower)
		return;
	sectors = bdev_nr_sectors(lower);
	if (sectors && sectors != get_capacity(gd))
		set_capacity_and_notify(gd, sectors);
	if (bdev_read_only(lower) && !get_disk_ro(gd))
		set_disk_ro(gd, true);
	put_device(&lower->bd_device);
}

static const char *bad_params(const struct iotarget_disk_params *p)
{
	if (!p || !p->name || !p->ops || !p->lower)
		return "no name, ops or lower device";
	if (p->lower->type != IOTARGET_OPEN_PATH &&
	    p->lower->type != IOTARGET_OPEN_DEVT)
		return "lower device neither by path nor by number";
	if (p->flags & ~FLAGS_ALL ||
	    memchr_inv(p->reserved, 0, sizeof(p->reserved)) ||
	    memchr_inv(p->ops->reserved, 0, sizeof(p->ops->reserved)))
		return "unknown flags";
	if (p->query > IOTARGET_DISK_QUERY_FREEZE)
		return "unknown answer to a query";
	if (p->query != IOTARGET_DISK_QUERY_VETO &&
	    !(p->policy && p->policy->flags & IOTARGET_POLICY_HOLD))
		return "to hold for a device that goes takes a policy";
	return NULL;
}

static bool abi_ok(const struct iotarget_disk_abi *abi)
{
	static const struct iotarget_disk_abi ours = IOTARGET_DISK_ABI_INIT;

	return abi && !memcmp(abi, &ours, sizeof(ours));
}

/* May a disk stand on this device? */
static int check_lower(struct iotarget_disk_priv *d, const char *name,
		       struct block_device *lower)
{
	struct iotarget_disk_priv *below = gd_to_disk(lower->bd_disk);

	if (bdev_is_zoned(lower)) {
		pr_warn_ratelimited("iotarget: %s: %pg is zoned, which is not supported\n",
				    name, lower);
		return -EOPNOTSUPP;
	}
	d->depth = below ? below->depth + 1 : 1;
	if (d->depth > IOTARGET_DISK_MAX_DEPTH) {
		pr_warn_ratelimited("iotarget: %s: %u disks stand one on the other already\n",
				    name, d->depth - 1);
		return -ELOOP;
	}
	return 0;
}

/*
 * The block layer looks at the table even after the release of the disk, so it
 * is the driver's.  All of its disks have the same.
 */
static void set_up_ops(struct iotarget_disk_ops *ops)
{
	static DEFINE_MUTEX(lock);

	mutex_lock(&lock);
	if (!ops->fops.open) {
		ops->fops = iotarget_disk_fops;
		ops->fops.owner = ops->owner;
		ops->fops.submit_bio = ops->submit_bio ?: forward_all;
	}
	mutex_unlock(&lock);
}

static void set_up(struct iotarget_disk_priv *d,
		   const struct iotarget_disk_params *p, struct gendisk *gd,
		   struct block_device *lower)
{
	d->disk.gd = gd;
	set_up_ops(p->ops);
	gd->fops = &p->ops->fops;
	gd->private_data = &d->disk;
	strscpy(gd->disk_name, p->name, sizeof(gd->disk_name));
	if (p->flags & IOTARGET_DISK_PARTITIONS)
		set_bit(GD_SUPPRESS_PART_SCAN, &gd->state);
	else
		gd->flags |= GENHD_FL_NO_PART;
	if (p->flags & IOTARGET_DISK_STRICTLIMIT)
		gd->bdi->capabilities |= BDI_CAP_STRICTLIMIT;
	set_capacity(gd, bdev_nr_sectors(lower));
	if (!(d->access & IOTARGET_ACCESS_WRITE) || bdev_read_only(lower))
		set_disk_ro(gd, true);
}

static void drop_link(struct iotarget_disk_priv *d)
{
	lockdep_assert_held(&d->link);
	if (!d->lower)
		return;
	bd_unlink_disk_holder(d->lower, d->disk.gd);
	put_device(&d->lower->bd_device);
	d->lower = NULL;
}

/*
 * Who does not share writing has the kernel's claim, which the link asks for.
 * The disk is there already: without the link it works as well.
 */
static void link_holder(struct iotarget_disk_priv *d,
			struct block_device *lower)
{
	int ret;

	if (d->share & IOTARGET_SHARE_WRITE)
		return;
	mutex_lock(&d->link);
	if (d->unlinked || d->lower == lower)
		goto out;
	drop_link(d);
	ret = bd_link_disk_holder(lower, d->disk.gd);
	if (ret) {
		pr_warn_ratelimited("iotarget: %s: no link to %pg in sysfs: error %d\n",
				    d->disk.gd->disk_name, lower, ret);
		goto out;
	}
	get_device(&lower->bd_device);
	d->lower = lower;
out:
	mutex_unlock(&d->link);
}

/*
 * While the device below is open: the link keeps it in memory, and not the module of
 * its driver.
 */
static void unlink_holder(struct iotarget_disk_priv *d, bool for_good)
{
	mutex_lock(&d->link);
	drop_link(d);
	d->unlinked |= for_good;
	mutex_unlock(&d->link);
}

/*
 * The first who opens the disk reads its partition table.  That is this one, unless
 * somebody was faster, whom it waits for.
 */
static void scan_work(struct work_struct *work)
{
	struct iotarget_disk_priv *d = container_of(work,
						    struct iotarget_disk_priv,
						    scan_work);
	struct gendisk *gd = d->disk.gd;
	struct file *file;

	file = bdev_file_open_by_dev(disk_devt(gd), BLK_OPEN_READ, NULL, NULL);
	if (!IS_ERR(file))
		__fput_sync(file);
	/* Nobody shall lose partitions that were added by hand since. */
	clear_bit(GD_NEED_PART_SCAN, &gd->state);
	complete_all(&d->scanned);
}

static void scan_partitions(struct iotarget_disk_priv *d)
{
	struct gendisk *gd = d->disk.gd;

	clear_bit(GD_SUPPRESS_PART_SCAN, &gd->state);
	set_bit(GD_NEED_PART_SCAN, &gd->state);
	queue_work(disk_wq, &d->scan_work);
	/* If that is too short for it, it goes on by itself. */
	wait_for_completion_killable_timeout(&d->scanned,
					     msecs_to_jiffies(SCAN_MS));
}

/**
 * iotarget_disk_hold - keep a disk in memory
 * @d: the disk
 *
 * Context: process.
 * Return: with a reference of its device, or NULL if it is not there yet or not any
 * more.
 */
struct gendisk *iotarget_disk_hold(struct iotarget_disk_priv *d)
{
	struct gendisk *gd = NULL;

	spin_lock(&d->lock);
	if (d->there) {
		gd = d->disk.gd;
		get_device(disk_to_dev(gd));
	}
	spin_unlock(&d->lock);
	return gd;
}

static void set_there(struct iotarget_disk_priv *d, bool there)
{
	spin_lock(&d->lock);
	d->there = there;
	spin_unlock(&d->lock);
}

static int add_disk_over(struct iotarget_disk_priv *d,
			 const struct iotarget_disk_params *p,
			 struct block_device *lower)
{
	struct gendisk *gd;
	int ret;

	ret = check_lower(d, p->name, lower);
	if (ret)
		return ret;
	gd = iotarget_disk_alloc(lower, p->name);
	if (IS_ERR(gd))
		return PTR_ERR(gd);
	set_up(d, p, gd, lower);
	ret = device_add_disk(NULL, gd, NULL);
	if (ret) {
		put_disk(gd);
		return ret;
	}
	link_holder(d, lower);
	iotarget_set_upper(d->disk.target, gd);
	set_there(d, true);
	d->made = true;
	return 0;
}

static void remove_work(struct work_struct *work)
{
	struct iotarget_disk_priv *d = container_of(work,
						    struct iotarget_disk_priv,
						    remove_work);
	struct iotarget *target = d->disk.target;
	struct module *owner = d->ops->owner;

	iotarget_purge(target, IOTARGET_PURGE, 0, NULL);
	iotarget_set_upper(target, NULL);
	iotarget_disk_thaw_and_wait(d, THAW_MS);
	if (d->forced)
		blk_mark_disk_dead(d->disk.gd);
	/* del_gendisk() would wait for it as well, for the open_mutex. */
	cancel_work_sync(&d->scan_work);
	unlink_holder(d, true);
	del_gendisk(d->disk.gd);
	set_there(d, false);
	put_disk(d->disk.gd);
	/* If the device does not let go, the target waits for it by itself. */
	iotarget_delete(target, CLOSE_MS, NULL);
	complete_all(&d->removed);
	iotarget_put(target);
	/* This code is ours, not the owner's. */
	module_put(owner);
}

/* -- the removal of the device below ---------------------------------------- */

static struct iotarget_disk_priv *target_to_disk(struct iotarget *target)
{
	return iotarget_disk_priv(iotarget_priv(target));
}

/* Who opens or closes the disk right now uses it. */
static int agree(struct iotarget_disk_priv *d, struct gendisk *gd, bool look)
{
	int ret = 0;

	if (!mutex_trylock(&gd->open_mutex))
		return -EBUSY;
	if (disk_openers(gd))
		ret = -EBUSY;
	else if (!look)
		WRITE_ONCE(d->agreed, true);
	mutex_unlock(&gd->open_mutex);
	return ret;
}

/*
 * Its users have their I/O until the end, and what they flushed, or have yet to flush,
 * is safe.  Past the gate: who has shut it holds what comes, and a flush that is held
 * with the rest would only hold up the removal.
 */
static void last_flush(struct iotarget_disk_priv *d, unsigned int timeout_ms)
{
	const struct iotarget_send_params params = {
		.flags = IOTARGET_SEND_SYNCHRONOUS | IOTARGET_SEND_TIMEOUT |
			 IOTARGET_SEND_IGNORE_STATE,
		.timeout_ms = timeout_ms ?: 1,
	};

	/* Refused while that of an earlier notice is still out. */
	if (!iotarget_format_flush(d->disk.target, &d->flush))
		iotarget_send(d->disk.target, &d->flush, &params);
}

/* The device below is open as before, unless it could not be opened again. */
static void link_again(struct iotarget_disk_priv *d)
{
	struct block_device *lower = iotarget_get_bdev(d->disk.target);

	if (!lower)
		return;
	link_holder(d, lower);
	put_device(&lower->bd_device);
}

/* Not while anybody has the disk open. */
static int query_and_close(struct iotarget_disk_priv *d,
			   const struct iotarget_query *query)
{
	struct gendisk *gd = iotarget_disk_hold(d);
	int ret;

	if (!gd)
		return -EBUSY;
	ret = agree(d, gd, query->dry_run || query->forced);
	put_device(disk_to_dev(gd));
	if (ret && query->forced)
		last_flush(d, query->timeout_ms);
	if (ret || query->dry_run)
		return ret;
	unlink_holder(d, false);
	ret = iotarget_query_remove_default(d->disk.target, query);
	if (ret) {
		WRITE_ONCE(d->agreed, false);
		link_again(d);
	}
	return ret;
}

/*
 * Whether anybody has the disk open or not.  A removal that can't be refused is held
 * up for the answer: there is no time to freeze anything then.
 */
static int query_and_hold(struct iotarget_disk_priv *d,
			  const struct iotarget_query *query)
{
	const unsigned long deadline = jiffies +
				       msecs_to_jiffies(query->timeout_ms);
	struct iotarget_query rest = *query;
	int ret = 0;

	if (d->query == IOTARGET_DISK_QUERY_FREEZE && !query->forced &&
	    !query->dry_run)
		ret = iotarget_disk_freeze(d, deadline);
	if (ret)
		return ret;
	rest.timeout_ms = time_before(jiffies, deadline) ?
			  jiffies_to_msecs(deadline - jiffies) : 0;
	ret = iotarget_query_remove_hold(d->disk.target, &rest);
	if (ret)
		iotarget_disk_thaw(d);
	return ret;
}

static int disk_query_remove(struct iotarget *target,
			     const struct iotarget_query *query)
{
	struct iotarget_disk_priv *d = target_to_disk(target);

	return d->query == IOTARGET_DISK_QUERY_VETO ?
	       query_and_close(d, query) : query_and_hold(d, query);
}

/* The target first: to thaw may write. */
static void disk_remove_canceled(struct iotarget *target)
{
	struct iotarget_disk_priv *d = target_to_disk(target);

	iotarget_remove_canceled_default(target);
	link_again(d);
	WRITE_ONCE(d->agreed, false);
	iotarget_disk_thaw(d);
}

/* Who uses the disk hears of it as one hears of any disk that is gone. */
static void disk_remove_complete(struct iotarget *target)
{
	struct iotarget_disk_priv *d = target_to_disk(target);
	struct gendisk *gd;

	unlink_holder(d, true);
	iotarget_close(target, 0, NULL);
	iotarget_disk_thaw_and_wait(d, THAW_MS);
	/* Not before the close: a disk that comes to be meanwhile looks whether it is. */
	gd = iotarget_disk_hold(d);
	if (!gd)
		return;
	blk_mark_disk_dead(gd);
	put_device(disk_to_dev(gd));
}

static void restack(struct gendisk *gd, struct block_device *lower)
{
	const int ret = iotarget_disk_restack(gd, lower);

	if (ret)
		pr_warn_ratelimited("iotarget: %s: keeps the limits it had: error %d\n",
				    gd->disk_name, ret);
}

/* The device below was gone, and is back, maybe by another name. */
static void disk_returned(struct iotarget *target)
{
	struct iotarget_disk_priv *d = target_to_disk(target);
	struct gendisk *gd = iotarget_disk_hold(d);
	struct block_device *lower;

	iotarget_disk_thaw(d);
	if (!gd)
		return;
	lower = iotarget_get_bdev(target);
	if (lower) {
		restack(gd, lower);
		link_holder(d, lower);
		put_device(&lower->bd_device);
	}
	put_device(disk_to_dev(gd));
}

static struct iotarget_disk_priv *
disk_alloc(const struct iotarget_disk_params *p)
{
	struct iotarget_create_params create = {
		.flags = IOTARGET_CREATE_ACCOUNT_BIOS,
		.name = p->target_name ?: p->name,
	};
	struct iotarget_disk_priv *d;
	struct iotarget *target;

	d = kzalloc(sizeof(*d), GFP_KERNEL);
	if (!d)
		return ERR_PTR(-ENOMEM);
	d->ops = p->ops;
	d->access = p->lower->access;
	d->share = p->lower->share;
	d->query = p->query;
	mutex_init(&d->link);
	d->disk.priv = p->priv;
	d->target_ops.owner = p->ops->owner;
	d->target_ops.end_bio = p->ops->end_bio;
	d->target_ops.destroy = disk_destroy;
	d->target_ops.query_remove = disk_query_remove;
	d->target_ops.remove_canceled = disk_remove_canceled;
	d->target_ops.remove_complete = disk_remove_complete;
	d->target_ops.returned = disk_returned;
	spin_lock_init(&d->lock);
	iotarget_disk_freeze_init(d);
	iotarget_request_init(&d->flush);
	INIT_WORK(&d->scan_work, scan_work);
	init_completion(&d->scanned);
	INIT_WORK(&d->remove_work, remove_work);
	init_completion(&d->removed);
	create.ops = &d->target_ops;
	create.priv = &d->disk;
	target = iotarget_create(&create);
	if (IS_ERR(target)) {
		kfree(d);
		return ERR_CAST(target);
	}
	d->disk.target = target;
	return d;
}

/**
 * __iotarget_disk_create - make a disk over a target
 * @params: see there; copied, but for what @ops points to
 * @abi: the sizes that the caller was compiled with
 *
 * Makes a target and opens it, and makes a disk with the limits, features,
 * capacity and write protection of the device below.  When this returns the disk
 * is there for everybody.  With %IOTARGET_DISK_PARTITIONS its partition table
 * has been read; if that takes longer than a second it goes on by itself, and the
 * partitions appear when it is through.
 *
 * Use iotarget_disk_create().
 *
 * KMDF: the local I/O target that a filter's device has from the framework.
 *
 * Context: process; sleeps.
 * Return: the disk, to be given to iotarget_disk_remove(); or an ERR_PTR:
 * -EINVAL, -ENOMEM, -ENOEXEC as iotarget_create(); -EEXIST: a disk of that
 * name is there; -EOPNOTSUPP: the device is zoned; -ELOOP: more than
 * %IOTARGET_DISK_MAX_DEPTH of these disks, one on the other; -EBUSY: the device
 * is mounted, claimed, or another target's; and as iotarget_open().
 */
struct iotarget_disk *
__iotarget_disk_create(const struct iotarget_disk_params *params,
		       const struct iotarget_disk_abi *abi)
{
	unsigned int close_ms = CLOSE_MS;
	struct iotarget_disk_priv *d;
	struct iotarget_entry entry;
	const char *bad;
	int ret = 0;

	might_sleep();
	if (!abi_ok(abi))
		return ERR_PTR(-ENOEXEC);
	bad = bad_params(params);
	if (bad) {
		pr_warn_ratelimited("iotarget: disk refused: %s\n", bad);
		return ERR_PTR(-EINVAL);
	}
	d = disk_alloc(params);
	if (IS_ERR(d))
		return ERR_CAST(d);
	if (params->policy)
		ret = iotarget_set_policy(d->disk.target, params->policy);
	ret = ret ?: iotarget_open(d->disk.target, params->lower);
	if (ret) {
		/* Somebody has waited for it already, or wants to wait no more. */
		close_ms = 0;
		goto delete;
	}
	/* The device below stays open, and so does what it stands on itself. */
	ret = iotarget_enter(d->disk.target, &entry, ENTER_MS);
	if (ret) {		/* closed, or stopped, by somebody already */
		ret = ret == -ESHUTDOWN ? -ENXIO : ret;
		goto delete;
	}
	ret = add_disk_over(d, params, entry.bdev);
	entry.reads_only = true;
	iotarget_leave(&entry);
	if (ret)
		goto delete;
	/* The device below may have gone before anybody could tell the disk. */
	if (iotarget_get_state(d->disk.target) == IOTARGET_CLOSED)
		blk_mark_disk_dead(d->disk.gd);
	if (params->flags & IOTARGET_DISK_PARTITIONS)
		scan_partitions(d);
	return &d->disk;

delete:
	iotarget_delete(d->disk.target, close_ms, NULL);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(__iotarget_disk_create);

/* From now on nobody opens it; without force only if nobody has it open. */
static int claim_removal(struct iotarget_disk_priv *d, bool force)
{
	struct mutex *lock = &d->disk.gd->open_mutex;
	int ret = 0;

	if (force) {
		d->forced = true;
		return xchg(&d->removing, true) ? -EALREADY : 0;
	}
	/* Who holds it opens the disk, or reads its partition table. */
	if (!mutex_trylock(lock))
		return -EBUSY;
	if (disk_openers(d->disk.gd))
		ret = -EBUSY;
	else if (xchg(&d->removing, true))
		ret = -EALREADY;
	mutex_unlock(lock);
	return ret;
}

/**
 * iotarget_disk_remove - take a disk away
 * @disk: the disk; not to be used any more after this, unless it was refused
 * @force: also if it is open: who has it open gets errors
 * @timeout_ms: how long to wait for the end, or %IOTARGET_WAIT_FOREVER
 *
 * What is held at the gate fails, what is sent comes back as the device lets it.
 * A worker takes the disk away and closes the device below.  When somebody
 * still has the disk open, what is left of it goes with the last close.
 *
 * Context: process; sleeps, killable.
 * Return: 0: gone; -ETIMEDOUT, -EINTR: it goes on by itself; refused with
 * -EBUSY: open, or just being opened; -EALREADY: it was taken away before;
 * -EINVAL.
 */
int iotarget_disk_remove(struct iotarget_disk *disk, bool force,
			 unsigned int timeout_ms)
{
	unsigned long left = MAX_SCHEDULE_TIMEOUT;
	struct iotarget_disk_priv *d;
	struct iotarget *target;
	long ret;

	if (IS_ERR_OR_NULL(disk) ||
	    (timeout_ms > IOTARGET_TIMEOUT_MAX_MS &&
	     timeout_ms != IOTARGET_WAIT_FOREVER))
		return -EINVAL;
	might_sleep();
	d = iotarget_disk_priv(disk);
	target = disk->target;
	ret = claim_removal(d, force);
	if (ret)
		return ret;
	/* At once, as the worker may find that the lock is taken. */
	iotarget_purge(target, IOTARGET_PURGE, 0, NULL);
	__module_get(d->ops->owner);
	iotarget_get(target);		/* the worker's */
	iotarget_get(target);		/* ours, for the wait */
	queue_work(disk_wq, &d->remove_work);
	if (timeout_ms != IOTARGET_WAIT_FOREVER)
		left = msecs_to_jiffies(timeout_ms) + 1;
	ret = wait_for_completion_killable_timeout(&d->removed, left);
	iotarget_put(target);
	return ret > 0 ? 0 : ret ? -EINTR : -ETIMEDOUT;
}
EXPORT_SYMBOL_GPL(iotarget_disk_remove);

/**
 * iotarget_disk_depth - how many disks stand one on the other
 * @disk: the topmost of them
 *
 * Only disks made by iotarget_disk_create() directly on one another count.
 *
 * Context: any.
 * Return: 1 or more.
 */
unsigned int iotarget_disk_depth(const struct iotarget_disk *disk)
{
	return iotarget_disk_priv(disk)->depth;
}
EXPORT_SYMBOL_GPL(iotarget_disk_depth);

static int __init iotarget_disk_init(void)
{
	/*
	 * One that is stuck must not keep others: each may wait for its device.
	 * So there is no rescuer, who would be stuck with the first.  None is
	 * needed either: what is held for a removal fails before it is queued.
	 */
	disk_wq = alloc_workqueue("iotarget_disk", WQ_UNBOUND, WQ_MAX_ACTIVE);
	return disk_wq ? 0 : -ENOMEM;
}
module_init(iotarget_disk_init);

/* Nobody calls us any more, but a worker may not have returned yet. */
static void __exit iotarget_disk_exit(void)
{
	destroy_workqueue(disk_wq);
}
module_exit(iotarget_disk_exit);

MODULE_DESCRIPTION("Disks over I/O targets");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("IOTARGET_1");
