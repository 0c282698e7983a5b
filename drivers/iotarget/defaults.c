// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is done for a target whose owner has no callback for it, as in KMDF, and may
 * be called by one that has: to agree to a removal, and to come back when it was
 * canceled.  And, beyond KMDF: to agree with the device open, and wait for it to be back.
 *
 * Context: process; sleeps.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "devices.h"
#include "keep.h"

#define REOPEN_MS	5000
#define REOPEN_POLL_MS	20
#define LOOK_MS		500	/* for both ends of a device */

static struct iotarget_inst *hold_inst(struct iotarget *target, u64 number)
{
	struct iotarget_inst *inst = iotarget_inst_current(target);

	if (inst && inst->number != number) {
		iotarget_inst_put(inst);
		inst = NULL;
	}
	return inst;
}

/* What was sent is back, and durable. */
static int settle(struct iotarget *target, struct iotarget_inst *inst,
		  unsigned long deadline)
{
	if (!wait_event_timeout(target->gate.waitq, iotarget_inst_quiet(inst),
				max_t(long, deadline - jiffies, 1)))
		return -ETIMEDOUT;
	return iotarget_flush_past(target, iotarget_ms_until(deadline) ?: 1);
}

/*
 * Drained and flushed: nothing is lost that was acknowledged.  Who was stopped or
 * purged already is left so, as it may be by somebody's stop that has a time to end.
 */
static int leave(struct iotarget *target, u64 number, unsigned long deadline)
{
	const struct iotarget_by live = { .inst = number, .live = true };
	struct iotarget_change stop = { }, close = { };
	struct iotarget_inst *inst = hold_inst(target, number);
	struct iotarget_by by = { .inst = number };
	int ret, stopped;

	if (!inst)
		return 0;		/* it is closed already */
	stopped = iotarget_control_event(target, IOTARGET_EV_STOP_WAIT, &live,
					 &stop);
	by.unchanged = stopped ? iotarget_gate_changes(&target->gate) : stop.changes;
	ret = settle(target, inst, deadline);
	/* If it was started since, there is more to be flushed. */
	if (!ret)
		ret = iotarget_control_event(target, IOTARGET_EV_CLOSE_QUERY,
					     &by, &close);
	else if (!stopped)
		iotarget_control_event(target, IOTARGET_EV_START, &by, NULL);
	/* Who is asked next may look whether it is open; but it is a yes already. */
	if (close.inst)
		iotarget_gate_wait(target, &close, iotarget_ms_until(deadline), NULL);
	if (READ_ONCE(inst->detached))
		ret = 0;
	iotarget_change_put(&close);
	iotarget_change_put(&stop);
	iotarget_inst_put(inst);
	return ret == -ECANCELED ? -EBUSY : ret;
}

/**
 * iotarget_query_remove_default - answer as a target without a callback does
 * @target: the target
 * @query: as &iotarget_ops.query_remove got it
 *
 * Stops the target, waits for what is sent, flushes, and closes it for query-remove.
 * If that fails or takes too long, it is started again if it was before.  A target that
 * was opened by a file refuses, as it could not be opened again, unless the query is
 * forced.
 *
 * KMDF: what the framework does where EvtIoTargetQueryRemove is missing; the drain and the
 * flush are an extension.
 *
 * Context: process; sleeps.  For &iotarget_ops.query_remove.
 * Return: 0: it may go; -ETIMEDOUT: something is still out; -EBUSY: it was opened by a
 * file, or was started meanwhile; the errors of iotarget_flush().
 */
int iotarget_query_remove_default(struct iotarget *target,
				  const struct iotarget_query *query)
{
	struct iotarget_removal *r = &target->removal;
	bool by_file, stale;
	u64 inst;

	mutex_lock(&iotarget_lowers_lock);
	by_file = r->by_file;
	inst = iotarget_removal_about(r);
	stale = iotarget_removal_stale(r);
	mutex_unlock(&iotarget_lowers_lock);
	if (stale)
		return 0;		/* it is closed already */
	/* It could not come back. */
	if (by_file && !query->forced)
		return -EBUSY;
	if (query->dry_run)
		return 0;
	return leave(target, inst, jiffies + msecs_to_jiffies(query->timeout_ms));
}
EXPORT_SYMBOL_GPL(iotarget_query_remove_default);

/*
 * Others may have the device before it is back, with file systems on it that look as if
 * they had been unmounted.  Who changes one writes where this target has written as
 * well, so that is looked at again.  What can't be read now is known as well as before.
 */
static void look_at(struct iotarget *target, struct iotarget_keep *keep)
{
	const unsigned long until = jiffies + msecs_to_jiffies(LOOK_MS);
	unsigned int edge;
	size_t len;
	void *buf;

	len = keep->head << SECTOR_SHIFT;
	buf = kvmalloc(len, GFP_NOIO | __GFP_NOWARN);
	if (!buf)
		return;
	for (edge = 0; edge < 2; edge++) {
		const u64 pos = edge ? keep->tail << SECTOR_SHIFT : 0;

		if (iotarget_read_past(target, buf, len, pos,
				       iotarget_ms_until(until) ?: 1))
			continue;
		iotarget_hook(IOTARGET_HOOK_LOOKED, target);
		iotarget_keep_renew(keep, edge, buf);
	}
	kvfree(buf);
}

/* What is known of a device goes when it is closed: not in between. */
static void look_again(struct iotarget *target, u64 number)
{
	struct iotarget_inst *inst = iotarget_inst_hold(target);

	if (!inst)
		return;
	if (inst->number == number && inst->keep)
		look_at(target, inst->keep);
	iotarget_inst_unhold(inst);
}

/* From here on nothing is sent to the device. */
static int agree_and_hold(struct iotarget *target, u64 number,
			  unsigned long deadline)
{
	struct iotarget_inst *inst = hold_inst(target, number);
	int ret;

	if (!inst)
		return 0;		/* it is closed already */
	ret = iotarget_gate_agreed(target, number, true);
	if (ret)
		goto put_inst;
	ret = settle(target, inst, deadline);
	if (!ret)
		look_again(target, number);
	if (READ_ONCE(inst->detached))
		ret = 0;
	else if (ret)
		iotarget_gate_agreed(target, number, false);
put_inst:
	iotarget_inst_put(inst);
	return ret == -ECANCELED ? -EBUSY : ret;
}

/**
 * iotarget_query_remove_hold - agree, with the device open, and hold what comes
 * @target: the target, with %IOTARGET_POLICY_HOLD
 * @query: as &iotarget_ops.query_remove got it
 *
 * Stops the target, waits for what is sent, and flushes; then what comes is held,
 * also if the target is started, until it is known what becomes of the device.  If it goes,
 * it is waited for as the policy says, with nothing at risk.  If it stays,
 * iotarget_remove_canceled_default() lets go on what is held.  If this fails or takes
 * too long the target is as before.
 *
 * To be used for every removal that is no dry run, or for none: a target that is closed for
 * one does not wait for its device.
 *
 * Extension.
 *
 * Context: process; sleeps.  For &iotarget_ops.query_remove.
 * Return: 0: it may go; -ETIMEDOUT: something is still out; -EBUSY: it can't be waited
 * for, or is gone; the errors of iotarget_flush().
 */
int iotarget_query_remove_hold(struct iotarget *target,
			       const struct iotarget_query *query)
{
	struct iotarget_removal *r = &target->removal;
	bool can_hold, stale;
	u64 inst;

	mutex_lock(&iotarget_lowers_lock);
	can_hold = target->policy.flags & IOTARGET_POLICY_HOLD && !r->by_file;
	inst = iotarget_removal_about(r);
	stale = iotarget_removal_stale(r);
	mutex_unlock(&iotarget_lowers_lock);
	if (stale)
		return 0;		/* it is closed already */
	if (!can_hold)
		return -EBUSY;
	if (query->dry_run)
		return 0;
	return agree_and_hold(target, inst,
			      jiffies + msecs_to_jiffies(query->timeout_ms));
}
EXPORT_SYMBOL_GPL(iotarget_query_remove_hold);

/**
 * iotarget_query_is_moot - does the answer to a query not matter any more?
 * @target: the target
 *
 * For an owner who waits for something before it answers: whoever removes the device
 * waits for those whose callback runs.
 *
 * Extension.
 *
 * Context: process; sleeps.  For &iotarget_ops.query_remove, of a query that is not
 * forced.
 * Return: true if the device is going, asked or not, or the target was closed.
 */
bool iotarget_query_is_moot(struct iotarget *target)
{
	struct iotarget_removal *r = &target->removal;
	bool moot;

	mutex_lock(&iotarget_lowers_lock);
	moot = list_empty(&r->node) || r->level != IOTARGET_REMOVAL_NONE ||
	       iotarget_removal_stale(r);
	mutex_unlock(&iotarget_lowers_lock);
	return moot;
}
EXPORT_SYMBOL_GPL(iotarget_query_is_moot);

/**
 * iotarget_remove_canceled_default - come back as a target without a callback does
 * @target: the target
 *
 * Opens it again, as it was opened, if it is closed for query-remove.  After
 * iotarget_query_remove_hold() it is started, unless somebody has stopped it.
 *
 * KMDF: what the framework does where EvtIoTargetRemoveCanceled is missing.
 *
 * Context: process; sleeps.  For &iotarget_ops.remove_canceled.
 * Return: 0; -EINVAL for one that was opened by a file; -ESTALE: another device, or another
 * medium, has its number now; -ECANCELED: somebody else has changed its state meanwhile;
 * as iotarget_open().
 */
int iotarget_remove_canceled_default(struct iotarget *target)
{
	struct iotarget_removal *r = &target->removal;
	const unsigned long until = jiffies + msecs_to_jiffies(REOPEN_MS);
	struct iotarget_open how = { .type = IOTARGET_OPEN_DEVT, .only = true };
	struct iotarget_gate *gate = &target->gate;
	struct iotarget_by by = { };
	enum iotarget_word word;
	bool by_file;
	u64 inst;
	int ret;

	mutex_lock(&iotarget_lowers_lock);
	inst = iotarget_removal_about(r);
	mutex_unlock(&iotarget_lowers_lock);
	/* Refused to those who have not agreed by it. */
	iotarget_gate_agreed(target, inst, false);
	mutex_lock(&iotarget_lowers_lock);
	spin_lock_irq(&gate->lock);
	word = gate->word;
	by.unchanged = gate->changes;
	spin_unlock_irq(&gate->lock);
	how.access = r->access;
	how.share = r->share;
	how.devt = r->devt;
	how.id = r->id;
	how.diskseq = r->diskseq;
	by_file = r->by_file;
	mutex_unlock(&iotarget_lowers_lock);
	if (word != IOTARGET_W_CFQR)
		return 0;
	if (by_file)
		return -EINVAL;
	/* A disk that stands on another target may be a moment behind it. */
	for (;;) {
		ret = iotarget_open_backend(target, &iotarget_block_ops, &how,
					    &by, REOPEN_MS);
		if (ret != -EBUSY || time_after(jiffies, until) ||
		    iotarget_get_state(target) != IOTARGET_CLOSED)
			break;
		/* Whoever closes it for good meanwhile is heard: these two were ours. */
		by.unchanged += 2;
		msleep(REOPEN_POLL_MS);
	}
	if (ret && ret != -ECANCELED)
		iotarget_warn(target, "not opened again: error %d\n", ret);
	return ret;
}
EXPORT_SYMBOL_GPL(iotarget_remove_canceled_default);
