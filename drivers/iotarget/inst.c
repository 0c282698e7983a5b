// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open instances: one opening of a device, from the open to the moment when the
 * device has given back the last request.
 *
 * A close detaches the instance from its target and returns as soon as its
 * caller stops waiting; the instance finishes by itself.  So a target can be
 * opened again while a dead driver still sits on requests of the time before.
 *
 * The end comes in this order: nothing is in flight (the reconciler sees it),
 * the device is released by a worker, the target's count of instances falls,
 * and when the last kref is gone and RCU readers are through, the memory.
 *
 * What is in flight is counted per CPU, in four slots by the time of leaving.
 * About once a second the current slot moves on, into one that sums to zero;
 * its predecessors only fall.  The oldest slot that is not empty tells how long
 * the oldest request is out, to a second or so, and no sender ever touches a
 * line that another CPU writes.
 *
 * Context: as said at each function.  Lock: gate->lock for the states.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "devices.h"

#define TICK	HZ

static atomic64_t numbers;

static long slot_sum(struct iotarget_inst *inst, unsigned int slot)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(inst->counts, cpu)->out[slot]);
	return sum;
}

static void inst_tick(struct work_struct *work)
{
	struct iotarget_inst *inst = container_of(to_delayed_work(work),
						  struct iotarget_inst, tick);
	unsigned int slot, now = inst->epoch;

	if (!slot_sum(inst, now)) {
		WRITE_ONCE(inst->began[now], ktime_get_ns());
		goto again;
	}
	for (slot = 0; slot < IOTARGET_NR_EPOCHS; slot++) {
		if (slot == now || slot_sum(inst, slot))
			continue;
		WRITE_ONCE(inst->began[slot], ktime_get_ns());
		WRITE_ONCE(inst->epoch, slot);
		break;
	}
again:
	queue_delayed_work(iotarget_fast_wq, &inst->tick,
			   round_jiffies_relative(TICK));
}

/**
 * iotarget_inst_sent - what is in flight
 * @inst: the instance
 * @oldest_ms: set to how long the oldest is out, or 0; may be NULL
 *
 * Context: any.
 * Return: how many; exact when nobody sends and nothing completes meanwhile.
 */
u64 iotarget_inst_sent(struct iotarget_inst *inst, u64 *oldest_ms)
{
	u64 now = ktime_get_ns(), oldest = now;
	unsigned int slot;
	long sum, sent = 0;

	for (slot = 0; slot < IOTARGET_NR_EPOCHS; slot++) {
		sum = slot_sum(inst, slot);
		if (sum > 0)
			oldest = min(oldest, READ_ONCE(inst->began[slot]));
		sent += sum;
	}
	/* A request may be seen coming back and not seen leaving. */
	sent = max(sent, 0L);
	if (oldest_ms)
		*oldest_ms = sent ? div_u64(now - oldest, NSEC_PER_MSEC) : 0;
	return sent;
}

/**
 * iotarget_inst_ignored - what is in flight past the target's state
 * @inst: the instance
 *
 * Context: any.
 * Return: how many, short holds of the device included.
 */
u64 iotarget_inst_ignored(struct iotarget_inst *inst)
{
	unsigned int n = refcount_read(&inst->ignored);

	return READ_ONCE(inst->detached) || !n ? n : n - 1;
}

static void inst_suspect(struct work_struct *work)
{
	struct iotarget_inst *inst = container_of(to_delayed_work(work),
						  struct iotarget_inst, suspect);
	unsigned long again;

	iotarget_watch_suspect(inst->watch);
	again = iotarget_suspect_decide(inst);
	if (!again || !queue_delayed_work(iotarget_fast_wq, &inst->suspect, again))
		iotarget_inst_put(inst);
}

/**
 * iotarget_inst_suspect - a request failed as if the device were gone
 * @inst: the instance
 *
 * Context: any.
 */
void iotarget_inst_suspect(struct iotarget_inst *inst)
{
	if (!inst->watch)
		return;
	if (inst->keep)
		iotarget_suspect_begin(inst);
	kref_get(&inst->kref);
	if (!queue_delayed_work(iotarget_fast_wq, &inst->suspect, 0))
		iotarget_inst_put(inst);
}

/**
 * iotarget_inst_kick - queue one of an instance's work items
 * @inst: the instance; the caller holds a kref, or RCU keeps the memory
 * @wq: where
 * @work: what; it puts the kref that it gets here
 *
 * Context: any.
 * Return: false if the instance is gone.
 */
bool iotarget_inst_kick(struct iotarget_inst *inst,
			struct workqueue_struct *wq, struct work_struct *work)
{
	if (!kref_get_unless_zero(&inst->kref))
		return false;
	if (!queue_work(wq, work))
		iotarget_inst_put(inst);
	return true;
}

/**
 * iotarget_inst_current - the open instance of a target
 * @target: the target
 *
 * Context: any.
 * Return: with a kref, or NULL.
 */
struct iotarget_inst *iotarget_inst_current(struct iotarget *target)
{
	struct iotarget_inst *inst;

	rcu_read_lock();
	inst = rcu_dereference(target->gate.inst);
	if (inst && !kref_get_unless_zero(&inst->kref))
		inst = NULL;
	rcu_read_unlock();
	return inst;
}

/**
 * iotarget_inst_hold - the open instance of a target, its device kept open
 * @target: the target
 *
 * For short looks at the device: a reference past the state, like that of a
 * request sent with %IOTARGET_SEND_IGNORE_STATE.
 *
 * Context: any.
 * Return: the instance, to be given to iotarget_inst_unhold(), or NULL.
 */
struct iotarget_inst *iotarget_inst_hold(struct iotarget *target)
{
	struct iotarget_inst *inst;

	rcu_read_lock();
	inst = rcu_dereference(target->gate.inst);
	if (inst && !refcount_inc_not_zero(&inst->ignored))
		inst = NULL;
	rcu_read_unlock();
	return inst;
}

/**
 * iotarget_inst_unhold - undo iotarget_inst_hold()
 * @inst: the instance
 *
 * Context: any.
 */
void iotarget_inst_unhold(struct iotarget_inst *inst)
{
	rcu_read_lock();
	iotarget_gate_put_ignored(inst);
	rcu_read_unlock();
}

/**
 * iotarget_insts_sent - what is in flight on all instances of a target
 * @target: the target
 * @oldest_ms: set to how long the oldest is out, or 0
 *
 * Context: any.
 * Return: how many, as iotarget_inst_sent().
 */
u64 iotarget_insts_sent(struct iotarget *target, u64 *oldest_ms)
{
	struct iotarget_gate *gate = &target->gate;
	struct iotarget_inst *inst;
	unsigned long flags;
	u64 ms, sent = 0;

	*oldest_ms = 0;
	spin_lock_irqsave(&gate->lock, flags);
	list_for_each_entry(inst, &gate->insts, node) {
		sent += iotarget_inst_sent(inst, &ms);
		*oldest_ms = max(*oldest_ms, ms);
	}
	spin_unlock_irqrestore(&gate->lock, flags);
	return sent;
}

/**
 * iotarget_insts_closing - instances that wait for a device to let go
 * @target: the target
 *
 * Context: any.
 * Return: how many.
 */
u64 iotarget_insts_closing(struct iotarget *target)
{
	struct iotarget_gate *gate = &target->gate;
	struct iotarget_inst *inst;
	unsigned long flags;
	u64 n = 0;

	spin_lock_irqsave(&gate->lock, flags);
	list_for_each_entry(inst, &gate->insts, node)
		n += inst->detached;
	spin_unlock_irqrestore(&gate->lock, flags);
	return n;
}

/**
 * iotarget_inst_began - an instance is being opened that is to stand in for another
 * @target: its target
 *
 * Those who wait until the target has nothing open wait for it, too.
 *
 * Context: any.
 */
void iotarget_inst_began(struct iotarget *target)
{
	struct iotarget_gate *gate = &target->gate;
	unsigned long flags;

	spin_lock_irqsave(&gate->lock, flags);
	WRITE_ONCE(gate->nr_insts, gate->nr_insts + 1);
	spin_unlock_irqrestore(&gate->lock, flags);
}

/**
 * iotarget_inst_finished - an instance, or an open that failed, is no more
 * @target: its target
 * @inst: the instance
 *
 * Context: any.
 */
void iotarget_inst_finished(struct iotarget *target, struct iotarget_inst *inst)
{
	struct iotarget_gate *gate = &target->gate;
	unsigned long flags;

	spin_lock_irqsave(&gate->lock, flags);
	list_del_init(&inst->node);
	WRITE_ONCE(gate->nr_insts, gate->nr_insts - 1);
	wake_up_all(&gate->waitq);
	spin_unlock_irqrestore(&gate->lock, flags);
}

/* Nothing is in flight and nobody can send: release the device. */
static void inst_finish(struct work_struct *work)
{
	struct iotarget_inst *inst = container_of(work, struct iotarget_inst,
						  finish);

	cancel_delayed_work_sync(&inst->tick);
	/* The drain worker may be on its way out; it has nothing to submit. */
	destroy_workqueue(inst->wq);
	inst->wq = NULL;
	inst->ops->release(inst);
	WRITE_ONCE(inst->gone, true);
	iotarget_inst_finished(inst->target, inst);
	iotarget_inst_put(inst);	/* the one of iotarget_inst_alloc() */
}

static void inst_free(struct work_struct *work)
{
	struct iotarget_inst *inst = container_of(to_rcu_work(work),
						  struct iotarget_inst, free);
	struct iotarget *target = inst->target;
	struct module *owner = target->ops->owner;

	percpu_ref_exit(&inst->ref);
	free_percpu(inst->counts);
	iotarget_watch_put(inst->watch);
	kfree(inst);
	/* In this order: the put may call the owner's destroy(). */
	iotarget_put(target);
	module_put(owner);
}

static void inst_release(struct kref *kref)
{
	struct iotarget_inst *inst = container_of(kref, struct iotarget_inst,
						  kref);

	queue_rcu_work(iotarget_slow_wq, &inst->free);
}

/**
 * iotarget_inst_put - let go of an instance
 * @inst: the instance
 *
 * Context: any.
 */
void iotarget_inst_put(struct iotarget_inst *inst)
{
	kref_put(&inst->kref, inst_release);
}

/**
 * iotarget_inst_discard - end an instance that no target ever had
 * @inst: the instance; its backend's release() ran, or its open() failed
 *
 * Context: process; sleeps.
 */
void iotarget_inst_discard(struct iotarget_inst *inst)
{
	cancel_delayed_work_sync(&inst->tick);
	destroy_workqueue(inst->wq);
	inst->wq = NULL;
	iotarget_inst_put(inst);
}

/**
 * iotarget_inst_alloc - make an instance, its reference live
 * @target: the target; the caller's reference of it and of its owner module
 *	goes to the instance
 * @ops: the backend
 *
 * Context: process; sleeps.
 * Return: the instance, or NULL without memory, and then the references stay.
 */
struct iotarget_inst *iotarget_inst_alloc(struct iotarget *target,
					  const struct iotarget_backend_ops *ops)
{
	struct iotarget_inst *inst;

	inst = kzalloc(sizeof(*inst), GFP_KERNEL);
	if (!inst)
		return NULL;
	inst->counts = alloc_percpu(struct iotarget_counts);
	if (!inst->counts)
		goto free_inst;
	if (percpu_ref_init(&inst->ref, iotarget_ref_released,
			    PERCPU_REF_ALLOW_REINIT, GFP_KERNEL))
		goto free_counts;
	inst->wq = alloc_workqueue("iotarget/%s", WQ_MEM_RECLAIM | WQ_UNBOUND,
				   0, target->name);
	if (!inst->wq)
		goto exit_ref;

	inst->ops = ops;
	inst->target = target;
	inst->number = atomic64_inc_return(&numbers);
	inst->began[0] = ktime_get_ns();
	refcount_set(&inst->ignored, 1);
	INIT_LIST_HEAD(&inst->node);
	INIT_LIST_HEAD(&inst->sent);
	INIT_LIST_HEAD(&inst->asked);
	INIT_LIST_HEAD(&inst->handoff);
	INIT_WORK(&inst->reconcile, iotarget_reconcile);
	INIT_WORK(&inst->drain, iotarget_drain);
	INIT_DELAYED_WORK(&inst->suspect, inst_suspect);
	inst->trusted = jiffies;
	INIT_DELAYED_WORK(&inst->tick, inst_tick);
	INIT_WORK(&inst->finish, inst_finish);
	INIT_RCU_WORK(&inst->free, inst_free);
	kref_init(&inst->kref);
	queue_delayed_work(iotarget_fast_wq, &inst->tick, TICK);
	return inst;

exit_ref:
	percpu_ref_exit(&inst->ref);
free_counts:
	free_percpu(inst->counts);
free_inst:
	kfree(inst);
	return NULL;
}
