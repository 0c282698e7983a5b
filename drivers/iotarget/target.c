// SPDX-License-Identifier: GPL-2.0-only
/*
 * Targets: making, deleting, stopping, starting, purging, and information.
 *
 * Context: as said at each function.  Locks: gate->lock, by way of the gate.
 */
#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "devices.h"

static atomic64_t target_ids;
/* A target without an owner's code is kept by ours. */
static const struct iotarget_ops no_ops = { .owner = THIS_MODULE };

/**
 * iotarget_may_wait - may this caller wait for this target now?
 * @target: the target, for the log; may be NULL
 * @timeout_ms: how long it means to wait
 *
 * Context: any.
 * Return: 0, -EINVAL for a time past the limit, -EWOULDBLOCK in atomic context.
 */
int iotarget_may_wait(struct iotarget *target, unsigned int timeout_ms)
{
	if (timeout_ms != IOTARGET_WAIT_FOREVER &&
	    timeout_ms > IOTARGET_TIMEOUT_MAX_MS) {
		if (target)
			iotarget_warn(target, "timeout of %u ms is too long\n",
				      timeout_ms);
		return -EINVAL;
	}
	if (in_interrupt() || irqs_disabled()) {
		if (target)
			iotarget_warn(target, "wait refused in atomic context\n");
		return -EWOULDBLOCK;
	}
	might_sleep();
	return 0;
}

static bool name_ok(const char *name)
{
	size_t len = name ? strnlen(name, IOTARGET_NAME_MAX + 1) : 0;

	return len && len <= IOTARGET_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

static bool abi_ok(const struct iotarget_abi *abi)
{
	static const struct iotarget_abi ours = IOTARGET_ABI_INIT;

	return abi && abi->generation == ours.generation &&
	       abi->abi_size == ours.abi_size &&
	       !memcmp(abi, &ours, sizeof(ours));
}

static void target_free(struct iotarget *target)
{
	/* First: who finds it there relies on the owner's code being there. */
	iotarget_removal_forget(target);
	iotarget_registry_remove(target);
	if (target->ops->destroy)
		target->ops->destroy(target->priv);
	iotarget_gate_exit(&target->gate);
	put_device(target->dev);
	kfree(target->saved.path);
	kfree(target);
}

static void target_release_work(struct work_struct *work)
{
	struct iotarget *target = container_of(work, struct iotarget,
					       release_work);
	struct module *owner = target->ops->owner;

	target_free(target);
	module_put(owner);
}

static void target_release(struct kref *kref)
{
	target_free(container_of(kref, struct iotarget, refs));
}

static void target_release_atomic(struct kref *kref)
{
	struct iotarget *target = container_of(kref, struct iotarget, refs);

	/* The caller pins the owner, and so must the work. */
	__module_get(target->ops->owner);
	queue_work(iotarget_slow_wq, &target->release_work);
}

/**
 * __iotarget_create - make a target, closed
 * @params: name, owner, callbacks; copied, but for what @ops points to
 * @abi: the sizes that the caller was compiled with
 *
 * Does no I/O.  Use iotarget_create().
 *
 * KMDF: WdfIoTargetCreate.
 *
 * Context: process; sleeps.
 * Return: the target, with one reference that iotarget_delete() takes; or an
 * ERR_PTR: -EINVAL for a bad name, unknown flags or a reserved field that isn't
 * zero, -ENOEXEC for a caller compiled for another API, -ENOMEM.
 */
struct iotarget *__iotarget_create(const struct iotarget_create_params *params,
				   const struct iotarget_abi *abi)
{
	struct iotarget *target;

	might_sleep();
	if (!abi_ok(abi)) {
		pr_warn_ratelimited("iotarget: create refused: the caller was compiled for another API\n");
		return ERR_PTR(-ENOEXEC);
	}
	if (!params || !name_ok(params->name)) {
		pr_warn_ratelimited("iotarget: create refused: bad name\n");
		return ERR_PTR(-EINVAL);
	}
	if (params->flags & ~IOTARGET_CREATE_ACCOUNT_BIOS ||
	    memchr_inv(params->reserved, 0, sizeof(params->reserved)) ||
	    (params->ops && memchr_inv(params->ops->reserved, 0,
				       sizeof(params->ops->reserved)))) {
		pr_warn_ratelimited("iotarget: %s: create refused: unknown flags\n",
				    params->name);
		return ERR_PTR(-EINVAL);
	}

	target = kzalloc(sizeof(*target), GFP_KERNEL);
	if (!target)
		return ERR_PTR(-ENOMEM);
	iotarget_gate_init(&target->gate);
	target->id = atomic64_inc_return(&target_ids);
	strscpy(target->name, params->name, sizeof(target->name));
	target->ops = params->ops ?: &no_ops;
	target->priv = params->priv;
	target->dev = get_device(params->owner);
	target->account = params->flags & IOTARGET_CREATE_ACCOUNT_BIOS;
	target->limbo_max = params->limbo_bytes ?: IOTARGET_LIMBO_BYTES;
	kref_init(&target->refs);
	INIT_WORK(&target->release_work, target_release_work);
	iotarget_removal_init(target);
	if (iotarget_registry_add(target)) {
		iotarget_gate_exit(&target->gate);
		put_device(target->dev);
		kfree(target);
		return ERR_PTR(-ENOMEM);
	}
	iotarget_note_created(target);
	return target;
}
EXPORT_SYMBOL_GPL(__iotarget_create);

/**
 * iotarget_get - take a reference
 * @target: the target, or NULL
 *
 * KMDF: WdfObjectReference.
 *
 * Context: any.
 * Return: @target.
 */
struct iotarget *iotarget_get(struct iotarget *target)
{
	if (target)
		kref_get(&target->refs);
	return target;
}
EXPORT_SYMBOL_GPL(iotarget_get);

/**
 * iotarget_put - drop a reference
 * @target: the target, or NULL; it must have been deleted before the last one
 *
 * The last reference calls &iotarget_ops.destroy.
 *
 * KMDF: WdfObjectDereference.
 *
 * Context: process; may sleep.
 */
void iotarget_put(struct iotarget *target)
{
	might_sleep();
	if (target)
		kref_put(&target->refs, target_release);
}
EXPORT_SYMBOL_GPL(iotarget_put);

/**
 * iotarget_put_atomic - drop a reference where one can't sleep
 * @target: the target, or NULL; as in iotarget_put(), and the caller pins its
 *	owner module, as a callback of the owner's does
 *
 * If it was the last one, a worker calls &iotarget_ops.destroy.
 *
 * Extension.
 *
 * Context: any.
 */
void iotarget_put_atomic(struct iotarget *target)
{
	if (target)
		kref_put(&target->refs, target_release_atomic);
}
EXPORT_SYMBOL_GPL(iotarget_put_atomic);

/* A transition; one that the table refuses is logged. */
static int make_event(struct iotarget *target, enum iotarget_event event,
		      struct iotarget_change *change)
{
	int ret = iotarget_gate_event(target, event, NULL, 0, change);

	if (ret)
		iotarget_warn(target, "%s refused while %s\n",
			      iotarget_event_name(event),
			      iotarget_word_name(READ_ONCE(target->gate.word)));
	return ret;
}

/* A transition, and the wait that its table row asks for. */
static int change_and_wait(struct iotarget *target, enum iotarget_event event,
			   unsigned int timeout_ms,
			   struct iotarget_wait_report *report)
{
	struct iotarget_change change;
	int ret;

	ret = make_event(target, event, &change);
	if (ret)
		return ret;
	ret = iotarget_gate_wait(target, &change, timeout_ms, report);
	iotarget_change_put(&change);
	return ret;
}

/* The same, after which nothing is told of the device any more. */
static int leave(struct iotarget *target, enum iotarget_event event,
		 unsigned int timeout_ms, struct iotarget_wait_report *report)
{
	const unsigned int runs = iotarget_removal_forget(target);
	const ktime_t began = ktime_get();
	int ret;

	ret = change_and_wait(target, event, timeout_ms, report);
	if (timeout_ms != IOTARGET_WAIT_FOREVER)
		timeout_ms -= min_t(s64, timeout_ms,
				    ktime_ms_delta(ktime_get(), began));
	/* Somebody else's doing, and somebody else's wait. */
	if (ret == -ESHUTDOWN)
		return ret;
	return iotarget_removal_left(target, runs, timeout_ms) ?: ret;
}

static void no_report(struct iotarget_wait_report *report)
{
	if (report)
		*report = (struct iotarget_wait_report){ };
}

/**
 * iotarget_delete - end a target
 * @target: the target; the caller's reference goes with a successful call, and
 *	with one that ends with -ETIMEDOUT or -EINTR
 * @timeout_ms: the longest wait, or %IOTARGET_WAIT_FOREVER
 * @report: what was out when the wait ended, or NULL
 *
 * Calls &iotarget_ops.cleanup, then closes: held requests complete with
 * -ENODEV, never sent; sent ones are cancelled where the backend can; then
 * waits until every completion callback has returned and the device is
 * released.  If that takes longer than the timeout, it goes on by itself, and
 * the owner's module stays pinned until it is through.
 *
 * KMDF: WdfObjectDelete.
 *
 * Context: process; sleeps, killable.  Not from a callback of the target.
 * Return: 0, -ETIMEDOUT, -EINTR; -EINVAL, -EWOULDBLOCK, -ESHUTDOWN if it is
 * deleted already, and then nothing was done.
 */
int iotarget_delete(struct iotarget *target, unsigned int timeout_ms,
		    struct iotarget_wait_report *report)
{
	int ret;

	no_report(report);
	if (!target)
		return -EINVAL;
	ret = iotarget_may_wait(target, timeout_ms);
	if (ret)
		return ret;
	if (!xchg(&target->deleting, true) && target->ops->cleanup)
		target->ops->cleanup(target);
	ret = leave(target, IOTARGET_EV_DELETE, timeout_ms, report);
	if (ret != -ESHUTDOWN)
		iotarget_put(target);
	return ret;
}
EXPORT_SYMBOL_GPL(iotarget_delete);

static int waiting_event(struct iotarget *target, enum iotarget_event event,
			 unsigned int timeout_ms,
			 struct iotarget_wait_report *report)
{
	int ret;

	no_report(report);
	if (!target)
		return -EINVAL;
	ret = iotarget_may_wait(target, timeout_ms);
	return ret ?: change_and_wait(target, event, timeout_ms, report);
}

/**
 * iotarget_close - close a target's device
 * @target: the target
 * @timeout_ms: the longest wait, or %IOTARGET_WAIT_FOREVER
 * @report: what was out when the wait ended, or NULL
 *
 * The target is closed when this begins: new requests are refused, held ones
 * complete with -ENODEV, never sent; sent ones, those past the state included,
 * are cancelled where the backend can.  Then waits until every callback has
 * returned and the device is released.  If that takes longer than the timeout
 * it goes on by itself; the target can be opened again meanwhile.
 *
 * An open that is under way is abandoned.  Closing a closed target waits for
 * earlier openings that have not finished.  Of the removal of the device nothing is
 * told any more; a callback that tells of it is waited for, unless it is what calls.
 *
 * KMDF: WdfIoTargetClose.
 *
 * Context: process; sleeps, killable.  Not from a callback of the target.
 * Return: 0; -ETIMEDOUT, -EINTR: closed, not finished; -ECANCELED: it was
 * closed before, and is being opened; -ESHUTDOWN: deleted; -EINVAL;
 * -EWOULDBLOCK.
 */
int iotarget_close(struct iotarget *target, unsigned int timeout_ms,
		   struct iotarget_wait_report *report)
{
	int ret;

	no_report(report);
	if (!target)
		return -EINVAL;
	ret = iotarget_may_wait(target, timeout_ms);
	return ret ?: leave(target, IOTARGET_EV_CLOSE, timeout_ms, report);
}
EXPORT_SYMBOL_GPL(iotarget_close);

/**
 * iotarget_close_for_query_remove - close so that the device may go
 * @target: the target
 * @timeout_ms: as in iotarget_close()
 * @report: likewise
 *
 * As iotarget_close(), but the state tells the reason.  A target that is not
 * open becomes, or stays, closed.
 *
 * KMDF: WdfIoTargetCloseForQueryRemove.
 *
 * Context: process; sleeps, killable.  Not from a callback of the target.
 * Return: as iotarget_close().
 */
int iotarget_close_for_query_remove(struct iotarget *target,
				    unsigned int timeout_ms,
				    struct iotarget_wait_report *report)
{
	return waiting_event(target, IOTARGET_EV_CLOSE_QUERY, timeout_ms,
			     report);
}
EXPORT_SYMBOL_GPL(iotarget_close_for_query_remove);

/**
 * iotarget_start - let requests through
 * @target: the target
 *
 * What is held is sent in the order in which it came, by a worker; nothing that
 * is sent after this has returned overtakes it, but for what is sent past the
 * state.  Ends the waiting of those who stopped or purged the target, with
 * -ECANCELED.
 *
 * KMDF: WdfIoTargetStart.
 *
 * Context: any.
 * Return: 0; -ESHUTDOWN when closed or deleted; -EBUSY while it is being
 * opened; -EINVAL.
 */
int iotarget_start(struct iotarget *target)
{
	return target ? make_event(target, IOTARGET_EV_START, NULL) : -EINVAL;
}
EXPORT_SYMBOL_GPL(iotarget_start);

/**
 * iotarget_start_and_wait - start, and wait until what was held is sent
 * @target: the target
 * @timeout_ms: the longest wait, or %IOTARGET_WAIT_FOREVER
 * @report: what was out when the wait ended, or NULL
 *
 * Extension.
 *
 * Context: process; sleeps, killable.  Not from a callback of the target.
 * Return: as iotarget_start(); -ETIMEDOUT, -EINTR: started, still draining;
 * -ECANCELED: stopped, purged or closed meanwhile, or its device is away, or was agreed
 * to go: it starts when that is back, or stays; -EWOULDBLOCK.
 */
int iotarget_start_and_wait(struct iotarget *target, unsigned int timeout_ms,
			    struct iotarget_wait_report *report)
{
	int ret;

	no_report(report);
	if (!target)
		return -EINVAL;
	ret = iotarget_may_wait(target, timeout_ms) ?: iotarget_start(target);
	return ret ?: iotarget_gate_wait_drained(target, timeout_ms, report);
}
EXPORT_SYMBOL_GPL(iotarget_start_and_wait);

/* Without a wait: any context. */
static int plain_event(struct iotarget *target, enum iotarget_event event,
		       struct iotarget_wait_report *report)
{
	struct iotarget_change change;
	int ret;

	no_report(report);
	if (!target)
		return -EINVAL;
	ret = make_event(target, event, &change);
	if (ret)
		return ret;
	iotarget_gate_report(target, change.inst, report);
	iotarget_change_put(&change);
	return 0;
}

/**
 * iotarget_stop - hold what comes
 * @target: the target
 * @action: what to do about what is sent
 * @timeout_ms: the longest wait, or %IOTARGET_WAIT_FOREVER; not used with
 *	%IOTARGET_LEAVE_SENT_PENDING
 * @report: what is out at the end, or NULL
 *
 * Unless refused, the target is stopped when this begins, however the wait
 * ends.  Held requests stay held.  When a waiting stop returns 0, every
 * completion callback of a sent request has returned; requests sent past the
 * state do not count.
 *
 * KMDF: WdfIoTargetStop.
 *
 * Context: with %IOTARGET_LEAVE_SENT_PENDING any, else process, sleeps,
 * killable, not from a callback of the target.
 * Return: 0; -ETIMEDOUT, -EINTR: stopped, requests may be out, see @report (to
 * know that none is takes an RCU grace period); -ECANCELED: it was started
 * meanwhile; refused with -ESHUTDOWN when closed or deleted, -EBUSY while it is
 * being opened, -EINVAL, -EWOULDBLOCK.
 */
int iotarget_stop(struct iotarget *target, enum iotarget_stop_action action,
		  unsigned int timeout_ms, struct iotarget_wait_report *report)
{
	switch (action) {
	case IOTARGET_CANCEL_SENT:
		return waiting_event(target, IOTARGET_EV_STOP_CANCEL,
				     timeout_ms, report);
	case IOTARGET_WAIT_FOR_SENT:
		return waiting_event(target, IOTARGET_EV_STOP_WAIT, timeout_ms,
				     report);
	case IOTARGET_LEAVE_SENT_PENDING:
		return plain_event(target, IOTARGET_EV_STOP_LEAVE, report);
	}
	no_report(report);
	if (target)
		iotarget_warn(target, "unknown stop action %d\n", action);
	return -EINVAL;
}
EXPORT_SYMBOL_GPL(iotarget_stop);

/**
 * iotarget_purge - fail what is held, refuse what comes
 * @target: the target
 * @action: whether to wait for what is sent
 * @timeout_ms: the longest wait, or %IOTARGET_WAIT_FOREVER; not used with
 *	%IOTARGET_PURGE
 * @report: what is out at the end, or NULL
 *
 * Held requests complete with -ENODEV, never sent, their callbacks called from
 * here.  Sent ones are cancelled where the backend can.  Unless refused, the
 * target is purged when this begins, however the wait ends.
 *
 * KMDF: WdfIoTargetPurge.
 *
 * Context: with %IOTARGET_PURGE any, else process, sleeps, killable, not from
 * a callback of the target.
 * Return: as iotarget_stop().
 */
int iotarget_purge(struct iotarget *target, enum iotarget_purge_action action,
		   unsigned int timeout_ms, struct iotarget_wait_report *report)
{
	switch (action) {
	case IOTARGET_PURGE_AND_WAIT:
		return waiting_event(target, IOTARGET_EV_PURGE_WAIT, timeout_ms,
				     report);
	case IOTARGET_PURGE:
		return plain_event(target, IOTARGET_EV_PURGE, report);
	}
	no_report(report);
	if (target)
		iotarget_warn(target, "unknown purge action %d\n", action);
	return -EINVAL;
}
EXPORT_SYMBOL_GPL(iotarget_purge);

/**
 * iotarget_get_state - the state of a target
 * @target: the target, or NULL
 *
 * A target that is being opened reads as closed, one whose held requests are
 * being sent as started, one that was never opened as closed.
 *
 * KMDF: WdfIoTargetGetState.
 *
 * Context: any.
 * Return: the state; it may have changed since.
 */
enum iotarget_state iotarget_get_state(struct iotarget *target)
{
	return target ? iotarget_word_state(READ_ONCE(target->gate.word)) :
			IOTARGET_UNDEFINED;
}
EXPORT_SYMBOL_GPL(iotarget_get_state);

/**
 * iotarget_get_info - what there is to know of a target and its device
 * @target: the target
 * @info: filled in
 *
 * KMDF: WdfIoTargetQueryTargetProperty and the WdfIoTargetWdmGet* functions.
 *
 * Context: any.
 * Return: 0 or -EINVAL.
 */
int iotarget_get_info(struct iotarget *target, struct iotarget_info *info)
{
	struct iotarget_inst *inst;

	if (!target || !info)
		return -EINVAL;
	memset(info, 0, sizeof(*info));
	info->id = target->id;
	strscpy(info->name, target->name, sizeof(info->name));
	info->limbo = atomic_long_read(&target->limbo);
	info->limbo_bytes = atomic_long_read(&target->bounce_bytes);
	info->pended = iotarget_gate_held(&target->gate);
	info->unknown = atomic_long_read(&target->unknown);
	info->replayed = atomic_long_read(&target->replayed);
	info->held_bytes = READ_ONCE(target->gate.held_bytes);
	info->away = READ_ONCE(target->gate.lost);
	info->state = iotarget_get_state(target);
	info->closing = iotarget_insts_closing(target);
	inst = iotarget_inst_hold(target);
	if (!inst)
		return 0;
	info->sent = iotarget_inst_sent(inst, &info->oldest_ms);
	/* Holds like ours count among the ignored, but are never sent. */
	info->ignored = min(iotarget_inst_ignored(inst) - 1, info->sent);
	if (inst->ops->info)
		inst->ops->info(inst, info);
	iotarget_inst_unhold(inst);
	return 0;
}
EXPORT_SYMBOL_GPL(iotarget_get_info);

/**
 * iotarget_get_bdev - the open block device
 * @target: the target
 *
 * KMDF: WdfIoTargetWdmGetTargetDeviceObject, which takes no reference.
 *
 * Context: any.
 * Return: the device, with a reference that put_device(&bdev->bd_device) drops,
 * or NULL when the target is closed.
 */
struct block_device *iotarget_get_bdev(struct iotarget *target)
{
	struct block_device *bdev = NULL;
	struct iotarget_inst *inst;

	inst = target ? iotarget_inst_hold(target) : NULL;
	if (!inst)
		return NULL;
	bdev = inst->bdev;
	if (bdev)
		get_device(&bdev->bd_device);
	iotarget_inst_unhold(inst);
	return bdev;
}
EXPORT_SYMBOL_GPL(iotarget_get_bdev);

/**
 * iotarget_name - the name of a target
 * @target: the target
 *
 * Context: any.
 * Return: its name, valid as long as the target.
 */
const char *iotarget_name(struct iotarget *target)
{
	return target->name;
}
EXPORT_SYMBOL_GPL(iotarget_name);

/**
 * iotarget_owner - the device of the driver that made a target
 * @target: the target
 *
 * KMDF: WdfIoTargetGetDevice.
 *
 * Context: any.
 * Return: the device or NULL, without a reference of its own.
 */
struct device *iotarget_owner(struct iotarget *target)
{
	return target->dev;
}
EXPORT_SYMBOL_GPL(iotarget_owner);

/**
 * iotarget_priv - what the owner gave to iotarget_create()
 * @target: the target
 *
 * Context: any.
 * Return: the pointer.
 */
void *iotarget_priv(struct iotarget *target)
{
	return target->priv;
}
EXPORT_SYMBOL_GPL(iotarget_priv);
