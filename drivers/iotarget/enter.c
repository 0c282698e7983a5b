// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work on the device that is neither a request nor a bio: an ioctl that a
 * stacked driver passes down, for one.
 *
 * It passes the same gates, is counted among what is sent, and keeps the device
 * open while it lasts.  What it does not have is a place in the FIFO: who comes
 * to a shut gate sleeps until it is open, and goes in after all that was held.
 *
 * Context: process.  Locks: none of its own.
 */
#include <linux/export.h>

#include "keep.h"

/* One try.  True when there is an answer; the wait goes on while it is "held". */
static bool try_enter(struct iotarget *target, struct iotarget_pass *pass,
		      int *error)
{
	/* A unit that may not be held: no bio is needed for it. */
	pass->flags = IOTARGET_UNIT_NOWAIT;
	*error = 0;
	return iotarget_gate_enter_bio(target, NULL, pass, error) ==
	       IOTARGET_ENTERED || *error != -EAGAIN;
}

/* Every transition, and the end of every drain, wakes the queue. */
static int wait_entered(struct iotarget *target, struct iotarget_pass *pass,
			unsigned int timeout_ms)
{
	long left = iotarget_wait_jiffies(timeout_ms);
	int error = 0;

	if (try_enter(target, pass, &error))
		return error;
	if (!timeout_ms)
		return -EAGAIN;
	left = wait_event_killable_timeout(target->gate.waitq,
					   try_enter(target, pass, &error),
					   left);
	return iotarget_wait_result(left) ?: error;
}

/**
 * iotarget_enter - pass the gates without a request
 * @target: the target
 * @entry: filled in on success, and to be given to iotarget_leave()
 * @timeout_ms: how long to wait while the target is stopped, or
 *	%IOTARGET_WAIT_FOREVER; 0 means not at all
 *
 * Between this and iotarget_leave() the caller may do with the device what it
 * likes, and a waiting stop, purge or close waits for it.  It must not make such
 * a call itself.
 *
 * Extension.
 *
 * Context: process; sleeps, killable.
 * Return: 0; -ESHUTDOWN: closed, purged or deleted; -EAGAIN: stopped, and the
 * timeout is 0; -ETIMEDOUT, -EINTR: still stopped; -EINVAL; -EWOULDBLOCK.
 */
int iotarget_enter(struct iotarget *target, struct iotarget_entry *entry,
		   unsigned int timeout_ms)
{
	struct iotarget_pass pass;
	int ret;

	if (!target || !entry)
		return -EINVAL;
	ret = iotarget_may_wait(target, timeout_ms) ?:
	      wait_entered(target, &pass, timeout_ms);
	if (ret)
		return ret;
	*entry = (struct iotarget_entry){
		.bdev = pass.inst->bdev,
		.inst = pass.inst,
		.epoch = pass.epoch,
		.flags = pass.flags,
	};
	return 0;
}
EXPORT_SYMBOL_GPL(iotarget_enter);

/**
 * iotarget_leave - the work is done
 * @entry: what iotarget_enter() filled in
 *
 * Extension.
 *
 * Context: any.
 */
void iotarget_leave(struct iotarget_entry *entry)
{
	/* Before the reference goes, which keeps it. */
	if (unlikely(entry->inst->keep) && !entry->reads_only)
		iotarget_keep_entered(entry->inst->keep);
	iotarget_gate_leave(entry->inst, entry->epoch, entry->flags);
}
EXPORT_SYMBOL_GPL(iotarget_leave);
