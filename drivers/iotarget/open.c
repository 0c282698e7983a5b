// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening a target.
 *
 * Opening a device may take as long as its driver likes, so a worker does it,
 * and the caller waits for as long as it said.  An open that nobody waits for
 * any more, because its time is over or because the target was closed under it,
 * is abandoned: the worker finds that the number of its open is not the current
 * one, and releases what it opened.  A path is looked up by the caller, in its
 * name space and with its rights.
 *
 * Context: process.  Locks: gate->lock for the saved parameters.
 */
#include <linux/blkdev.h>
#include <linux/device_cgroup.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "devices.h"

/**
 * struct opening - one open, shared by the caller and the worker
 * @refs: the two of them
 * @work: in iotarget_slow_wq
 * @done: the worker is through
 * @target: a reference, and one of its owner's module
 * @inst: made by the caller, given to the target or ended by the worker
 * @how: what to open
 * @opens: the number of this open
 * @error: valid once @done
 */
struct opening {
	refcount_t		refs;
	struct work_struct	work;
	bool			done;
	struct iotarget		*target;
	struct iotarget_inst	*inst;
	struct iotarget_open	how;
	u64			opens;
	int			error;
};

static void opening_put(struct opening *o)
{
	struct module *owner = o->target->ops->owner;

	if (!refcount_dec_and_test(&o->refs))
		return;
	if (o->how.file)
		fput(o->how.file);
	/* In this order: the put may call the owner's destroy(). */
	iotarget_put(o->target);
	module_put(owner);
	kfree(o);
}

/**
 * iotarget_open_attach - a target has a device, and is told of its removal
 * @target: the target
 * @inst: the instance, its device open
 * @opens: which open it is of
 * @lost: or the number of the instance that it stands in for
 *
 * Context: process; sleeps.
 * Return: 0, or a negative errno, and the instance is as before.
 */
int iotarget_open_attach(struct iotarget *target, struct iotarget_inst *inst,
			 u64 opens, u64 lost)
{
	int ret;

	ret = iotarget_removal_register(target, inst, opens, lost);
	if (ret)
		return ret;
	iotarget_hook(IOTARGET_HOOK_ATTACH, target);
	ret = lost ? iotarget_gate_returned(target, inst, lost) :
		     iotarget_gate_event(target, IOTARGET_EV_OPENED, inst,
					 opens, NULL);
	if (ret && lost)
		iotarget_removal_not_returned(target, inst);
	else
		iotarget_removal_opened(target, inst, !ret);
	return ret;
}

static void open_work(struct work_struct *work)
{
	struct opening *o = container_of(work, struct opening, work);
	struct iotarget *target = o->target;
	struct iotarget_inst *inst = o->inst;
	int ret;

	ret = inst->ops->open(inst, &o->how);
	iotarget_hook(IOTARGET_HOOK_OPENED, target);
	/* Once it is the target's, it may be gone at any time. */
	kref_get(&inst->kref);
	if (!ret) {
		ret = iotarget_open_attach(target, inst, o->opens, 0);
		if (!ret)
			goto out;
		inst->ops->release(inst);
	}
	/* Of no effect after one that was abandoned. */
	iotarget_gate_event(target, IOTARGET_EV_OPEN_FAILED, NULL, o->opens,
			    NULL);
	iotarget_inst_finished(target, inst);
	iotarget_inst_discard(inst);
out:
	iotarget_inst_put(inst);
	o->error = ret;
	/* Pairs with the acquire in is_over(): the error is set. */
	smp_store_release(&o->done, true);
	wake_up_all(&target->gate.waitq);
	opening_put(o);
}

static bool is_over(struct opening *o)
{
	/* Pairs with the release in open_work(). */
	return smp_load_acquire(&o->done);
}

static bool is_abandoned(struct opening *o)
{
	return READ_ONCE(o->target->gate.opens) != o->opens;
}

/* Wait for the worker; if it takes too long, the open is void. */
static int open_wait(struct opening *o, unsigned int timeout_ms)
{
	struct iotarget_gate *gate = &o->target->gate;
	long left;

	left = wait_event_killable_timeout(gate->waitq,
					   is_over(o) || is_abandoned(o),
					   iotarget_jiffies(timeout_ms));
	if (left <= 0 &&
	    !iotarget_gate_event(o->target, IOTARGET_EV_OPEN_FAILED, NULL,
				 o->opens, NULL))
		return iotarget_wait_result(left);
	/*
	 * The worker has made its transition, or it will find that this open is
	 * not the current one.  In the first case it is as good as through.
	 */
	wait_event(gate->waitq, is_over(o) || is_abandoned(o));
	return is_over(o) ? o->error : -ECANCELED;
}

/**
 * iotarget_open_backend - open a target on a backend
 * @target: the target
 * @ops: the backend
 * @how: for its open(); copied, the file referenced
 * @by: on which condition; NULL for the target's driver
 * @timeout_ms: the longest wait
 *
 * Context: process; sleeps, killable.
 * Return: 0, -EBUSY, -ESHUTDOWN, -ETIMEDOUT, -EINTR, -ECANCELED, also when the
 * condition is not met, -ENOMEM, -ENODEV when the owner's module is being unloaded,
 * or the backend's error.
 */
int iotarget_open_backend(struct iotarget *target,
			  const struct iotarget_backend_ops *ops,
			  const struct iotarget_open *how,
			  const struct iotarget_by *by,
			  unsigned int timeout_ms)
{
	struct iotarget_change change;
	struct opening *o;
	int ret;

	if (!try_module_get(target->ops->owner))
		return -ENODEV;
	iotarget_get(target);
	o = kzalloc(sizeof(*o), GFP_KERNEL);
	if (!o) {
		ret = -ENOMEM;
		goto put_target;
	}
	o->inst = iotarget_inst_alloc(target, ops);
	if (!o->inst) {
		ret = -ENOMEM;
		goto free_opening;
	}

	ret = iotarget_control_event(target, IOTARGET_EV_OPEN, by, &change);
	if (ret) {
		/* The instance has the two references now. */
		iotarget_inst_discard(o->inst);
		kfree(o);
		return ret;
	}
	refcount_set(&o->refs, 2);
	INIT_WORK(&o->work, open_work);
	o->target = iotarget_get(target);
	__module_get(target->ops->owner);
	o->opens = change.opens;
	o->how = *how;
	if (o->how.file)
		get_file(o->how.file);
	queue_work(iotarget_slow_wq, &o->work);
	ret = open_wait(o, timeout_ms);
	opening_put(o);
	return ret;

free_opening:
	kfree(o);
put_target:
	iotarget_put(target);
	module_put(target->ops->owner);
	return ret;
}

static int check_devcg(dev_t devt, u32 access)
{
	short acc = 0;

	if (access & IOTARGET_ACCESS_READ)
		acc |= DEVCG_ACC_READ;
	if (access & IOTARGET_ACCESS_WRITE)
		acc |= DEVCG_ACC_WRITE;
	return devcgroup_check_permission(DEVCG_DEV_BLOCK, MAJOR(devt),
					  MINOR(devt), acc);
}

static int file_access(struct file *file, u32 *access)
{
	if (!file)
		return -EINVAL;
	if (!S_ISBLK(file_inode(file)->i_mode))
		return -ENOTBLK;
	*access = (file->f_mode & FMODE_READ ? IOTARGET_ACCESS_READ : 0) |
		  (file->f_mode & FMODE_WRITE ? IOTARGET_ACCESS_WRITE : 0);
	return *access ? 0 : -EBADF;
}

/* How the last successful open by name went. */
static int take_saved(struct iotarget *target, struct iotarget_open *how,
		      char **path)
{
	struct iotarget_gate *gate = &target->gate;
	int ret = 0;

	/* Copied outside the lock: the saved path changes only by an open. */
	*path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!*path)
		return -ENOMEM;
	spin_lock_irq(&gate->lock);
	if (!target->saved.type) {
		ret = -EINVAL;
	} else {
		how->access = target->saved.access;
		how->share = target->saved.share;
		how->devt = target->saved.devt;
		if (target->saved.path)
			strscpy(*path, target->saved.path, PATH_MAX);
	}
	ret = ret ?: target->saved.type;
	spin_unlock_irq(&gate->lock);
	return ret;
}

static void save(struct iotarget *target, u32 type,
		 const struct iotarget_open *how, char **path)
{
	struct iotarget_gate *gate = &target->gate;

	spin_lock_irq(&gate->lock);
	swap(target->saved.path, *path);
	target->saved.type = type == IOTARGET_OPEN_FILE ? 0 : type;
	target->saved.access = how->access;
	target->saved.share = how->share;
	target->saved.devt = how->devt;
	spin_unlock_irq(&gate->lock);
}

static const char *bad_params(const struct iotarget_open_params *p)
{
	const u32 access = IOTARGET_ACCESS_READ | IOTARGET_ACCESS_WRITE;
	const u32 share = IOTARGET_SHARE_READ | IOTARGET_SHARE_WRITE;

	if (p->type < IOTARGET_OPEN_PATH || p->type > IOTARGET_OPEN_REOPEN)
		return "unknown type";
	if (p->flags || memchr_inv(p->reserved, 0, sizeof(p->reserved)))
		return "unknown flags";
	if (p->timeout_ms > IOTARGET_TIMEOUT_MAX_MS)
		return "timeout too long";
	if (p->type == IOTARGET_OPEN_REOPEN)
		return NULL;
	if (p->share & ~share)
		return "unknown share mode";
	if (p->type == IOTARGET_OPEN_FILE)
		return NULL;
	if (!p->access || p->access & ~access)
		return "unknown or no access";
	if (p->type == IOTARGET_OPEN_PATH && (!p->path || !*p->path))
		return "no path";
	return NULL;
}

/* From what the caller named to a device number or a file. */
static int resolve(struct iotarget *target, const struct iotarget_open_params *p,
		   struct iotarget_open *how, u32 *type, char **path)
{
	int ret = 0;

	*how = (struct iotarget_open){
		.type = IOTARGET_OPEN_DEVT,
		.access = p->access,
		.share = p->share,
	};
	*type = p->type;
	switch (p->type) {
	case IOTARGET_OPEN_REOPEN:
		ret = take_saved(target, how, path);
		if (ret < 0)
			return ret;
		*type = ret;
		/* A thread of the kernel's sees no file system, or another. */
		if (current->flags & PF_KTHREAD)
			*type = IOTARGET_OPEN_DEVT;
		break;
	case IOTARGET_OPEN_PATH:
		*path = kstrdup(p->path, GFP_KERNEL);
		if (!*path)
			return -ENOMEM;
		break;
	case IOTARGET_OPEN_DEVT:
		how->devt = p->devt;
		break;
	case IOTARGET_OPEN_FILE:
		how->type = IOTARGET_OPEN_FILE;
		how->file = p->file;
		return file_access(p->file, &how->access);
	}
	if (*type == IOTARGET_OPEN_PATH)
		ret = lookup_bdev(*path, &how->devt);
	return ret < 0 ? ret : check_devcg(how->devt, how->access);
}

static int open_checked(struct iotarget *target,
			const struct iotarget_open_params *p)
{
	struct iotarget_open how;
	char *path = NULL;
	u32 type;
	int ret;

	/* Before the look-up, so that an open target answers the same always. */
	ret = iotarget_rule(READ_ONCE(target->gate.word),
			    IOTARGET_EV_OPEN)->error;
	ret = ret ?: resolve(target, p, &how, &type, &path);
	ret = ret ?: iotarget_open_backend(target, &iotarget_block_ops, &how,
					   NULL, p->timeout_ms ?:
					   IOTARGET_OPEN_TIMEOUT_MS);
	if (!ret && p->type != IOTARGET_OPEN_REOPEN)
		save(target, type, &how, &path);
	kfree(path);
	return ret;
}

/**
 * iotarget_open - open a target's device
 * @target: the target
 * @params: what to open, and how; copied
 *
 * On success the target is started.  On failure it is closed (for query-remove,
 * if it was and the path led nowhere), and can be opened again; the parameters
 * of the last successful open are kept for a reopen.
 *
 * KMDF: WdfIoTargetOpen.
 *
 * Context: process; sleeps, killable.  A path is looked up in the caller's
 * context and takes as long as the file system takes that has the name.  In a thread of
 * the kernel's, where callbacks of removals run, a reopen takes the device by the
 * number to which the path led.
 * Return: 0; -EBUSY: open or being opened, and undisturbed by this call, or
 * the device is claimed, mounted, or shared with targets that do not allow it;
 * -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG for the path; -ENOTBLK: not
 * a block device; -ENXIO, -ENODEV: no such device; -ENOMEDIUM: an empty one;
 * -EACCES: writing to a read-only one; -EIO and the like: with %IOTARGET_POLICY_HOLD,
 * its ends could not be read; -EBADF: a file that is open for neither
 * reading nor writing; -EPERM by the device cgroup;
 * -ETIMEDOUT, -EINTR: nobody waits any more, and if the device opens later it
 * is closed again; -ECANCELED: closed or deleted meanwhile; -ESHUTDOWN:
 * deleted; -EINVAL, -ENOMEM, -EWOULDBLOCK.
 */
int iotarget_open(struct iotarget *target,
		  const struct iotarget_open_params *params)
{
	const char *bad;
	int ret;

	if (!target || !params)
		return -EINVAL;
	bad = bad_params(params);
	if (bad) {
		iotarget_warn(target, "open refused: %s\n", bad);
		return -EINVAL;
	}
	ret = iotarget_may_wait(target, params->timeout_ms) ?:
	      open_checked(target, params);
	if (ret)
		iotarget_warn(target, "open failed: error %d\n", ret);
	return ret;
}
EXPORT_SYMBOL_GPL(iotarget_open);
