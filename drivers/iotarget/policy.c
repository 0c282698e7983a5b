// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy of a target: what becomes of I/O when its device is gone.
 *
 * It may be changed at any time, by the target's owner and by control, and holds from
 * then on.  What can't hold is refused as a whole: a target that is open knows its device
 * again only if it had a policy that holds when it was opened.
 *
 * Both locks are held over a change.  So whoever sees a device go, with
 * iotarget_lowers_lock, and whoever holds a request for it, with gate->lock, goes by
 * all of a policy or by all of the next one.
 *
 * Context: process.  Locks: iotarget_lowers_lock, gate->lock.
 */
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include <uapi/linux/iotarget.h>

#include "keep.h"
#include "removal.h"

#define HOLD_MS		30000
#define HOLD_BYTES	(64ULL << 20)

#define ALL_FLAGS	(IOTARGET_POLICY_HOLD | IOTARGET_POLICY_LOSSY | \
			 IOTARGET_POLICY_REPLAY)

static int refuse_to_hold(struct iotarget_gate *gate, const char **why)
{
	struct iotarget_inst *inst;

	lockdep_assert_held(&gate->lock);
	if (gate->word == IOTARGET_W_OPENING) {
		*why = "the target is being opened";
		return -EBUSY;
	}
	inst = rcu_dereference_protected(gate->inst,
					 lockdep_is_held(&gate->lock));
	if (!inst || inst->keep)
		return 0;
	*why = "nothing is kept of the open device: it can hold from the next open on";
	return -EBUSY;
}

/* What the policy would be, or why it can't. */
static int merge(struct iotarget *target,
		 const struct iotarget_policy_change *change,
		 struct iotarget_policy *policy, const char **why)
{
	lockdep_assert_held(&target->gate.lock);
	*policy = target->policy;
	policy->flags &= ~change->mask;
	policy->flags |= change->flags & change->mask;
	policy->hold_ms = change->hold_ms ?: policy->hold_ms ?: HOLD_MS;
	policy->hold_bytes = change->hold_bytes ?: policy->hold_bytes ?:
			     HOLD_BYTES;
	if (target->gate.word == IOTARGET_W_DELETED) {
		*why = "the target is deleted";
		return -ESHUTDOWN;
	}
	if (policy->flags & ~target->policy.flags & IOTARGET_POLICY_HOLD)
		return refuse_to_hold(&target->gate, why);
	return 0;
}

/**
 * iotarget_policy_get - the policy of a target
 * @target: the target
 * @policy: filled in
 *
 * Context: any.
 */
void iotarget_policy_get(struct iotarget *target,
			 struct iotarget_policy *policy)
{
	unsigned long flags;

	spin_lock_irqsave(&target->gate.lock, flags);
	*policy = target->policy;
	spin_unlock_irqrestore(&target->gate.lock, flags);
	policy->hold_ms = policy->hold_ms ?: HOLD_MS;
	policy->hold_bytes = policy->hold_bytes ?: HOLD_BYTES;
}

/**
 * iotarget_policy_check - can the policy of a target be changed so?
 * @target: the target
 * @change: how
 * @why: set to why not
 *
 * Context: any.
 * Return: as iotarget_policy_change(), which may say something else by then.
 */
int iotarget_policy_check(struct iotarget *target,
			  const struct iotarget_policy_change *change,
			  const char **why)
{
	struct iotarget_policy policy;
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&target->gate.lock, flags);
	ret = merge(target, change, &policy, why);
	spin_unlock_irqrestore(&target->gate.lock, flags);
	return ret;
}

static int set_merged(struct iotarget *target,
		      const struct iotarget_policy_change *change,
		      const char **why)
{
	struct iotarget_policy policy;
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&target->gate.lock, flags);
	ret = merge(target, change, &policy, why);
	if (!ret) {
		target->policy.hold_ms = policy.hold_ms;
		target->policy.hold_bytes = policy.hold_bytes;
		/* Looked at without a lock, too. */
		WRITE_ONCE(target->policy.flags, policy.flags);
	}
	spin_unlock_irqrestore(&target->gate.lock, flags);
	return ret;
}

/**
 * iotarget_policy_change - change some of the policy of a target
 * @target: the target
 * @change: what
 * @why: set to why not
 *
 * All of it or nothing.
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY if it is to hold and can't; -ESHUTDOWN when deleted.
 */
int iotarget_policy_change(struct iotarget *target,
			   const struct iotarget_policy_change *change,
			   const char **why)
{
	struct iotarget_removal *r = &target->removal;
	int ret;

	mutex_lock(&iotarget_lowers_lock);
	ret = set_merged(target, change, why);
	if (!ret && r->holding &&
	    !(target->policy.flags & IOTARGET_POLICY_HOLD))
		iotarget_removal_give_up(r, IOTARGET_WHY_POLICY);
	mutex_unlock(&iotarget_lowers_lock);
	if (!ret && change->accept_loss)
		iotarget_accept_loss(target);
	return ret;
}

/**
 * iotarget_set_policy - what becomes of I/O when the device is gone
 * @target: the target
 * @policy: see there; copied
 *
 * With %IOTARGET_POLICY_HOLD a target that is opened by path or number does not fail
 * what is held when its device is gone without having been asked, and what comes then: it
 * reads as stopped, and holds it until the device is back, however it is called then, or
 * the time or the memory of the policy is used up.  Of what the device had and did not
 * answer, a forwarded bio that reads is sent again when the device is back, and with
 * %IOTARGET_POLICY_REPLAY one that writes; all else completes as the device's driver says,
 * mostly with an error and an outcome of %IOTARGET_UNKNOWN.
 *
 * The policy may be changed at any time, and the new one counts at once.  While the
 * device is waited for, the time counts from its loss, what is held already stays held
 * even if there is to be less, and without %IOTARGET_POLICY_HOLD the device is given up.
 * An open target can be told to hold only if it did when it was opened: else nothing is
 * kept of its device by which that would be known again.
 *
 * Extension.
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY: it is to hold, and is being opened, or was opened when it was not to;
 * -ESHUTDOWN: it is deleted; -EINVAL: unknown flags, or too long; -EWOULDBLOCK. Then
 * nothing was changed.
 */
int iotarget_set_policy(struct iotarget *target,
			const struct iotarget_policy *policy)
{
	struct iotarget_policy_change change = { .mask = ALL_FLAGS };
	const char *why;
	int ret;

	if (!target || !policy || policy->flags & ~ALL_FLAGS ||
	    policy->hold_ms > IOTARGET_TIMEOUT_MAX_MS ||
	    memchr_inv(policy->reserved, 0, sizeof(policy->reserved)))
		return -EINVAL;
	ret = iotarget_may_wait(target, 0);
	if (ret)
		return ret;
	change.flags = policy->flags;
	change.hold_ms = policy->hold_ms ?: HOLD_MS;
	change.hold_bytes = policy->hold_bytes ?: HOLD_BYTES;
	return iotarget_policy_change(target, &change, &why);
}
EXPORT_SYMBOL_GPL(iotarget_set_policy);

/**
 * iotarget_accept_loss - let flushes succeed again
 * @target: the target
 *
 * For an owner whose users know, or have gone, see %IOTARGET_POLICY_LOSSY.  While the
 * device is away that is what was at risk when it went.
 *
 * Extension.
 *
 * Context: any.
 */
void iotarget_accept_loss(struct iotarget *target)
{
	struct iotarget_inst *inst = iotarget_inst_hold(target);

	if (!inst)
		return;
	if (inst->keep)
		iotarget_keep_accept(inst->keep, READ_ONCE(target->gate.lost));
	iotarget_inst_unhold(inst);
}
EXPORT_SYMBOL_GPL(iotarget_accept_loss);
