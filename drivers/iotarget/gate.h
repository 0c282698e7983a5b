/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way through open gates and back, in line: every I/O takes it.  What is to
 * be done when they are not open is in gate.c, and so is how it all works.
 */
#ifndef _IOTARGET_GATE_H
#define _IOTARGET_GATE_H

#include "internal.h"

/*
 * Count what is about to leave for the device; in which slot?  By the remainder, here
 * and on the way back, the compiler knows that there is such a slot, where the kernel
 * has it check the bounds of arrays.
 */
static __always_inline u8 iotarget_gate_count(struct iotarget_inst *inst)
{
	const u8 epoch = READ_ONCE(inst->epoch) % IOTARGET_NR_EPOCHS;

	this_cpu_inc(inst->counts->out[epoch]);
	return epoch;
}

/**
 * iotarget_gate_enter_direct - both gates at once, if they are open
 * @gate: the gate
 * @who: for the hooks
 *
 * For a sender that may submit by itself.  percpu_ref_tryget_live() and
 * percpu_ref_put() each call RCU's functions, out of line.  The switch of a
 * percpu_ref waits for sections without preemption as well, so here and in
 * iotarget_gate_leave_inline() is the half of them that is for a reference per
 * CPU.  There is no other that is live: while it is resurrected the flag is up.
 *
 * Return: the instance, with a reference of it; NULL: to the slow path.
 */
static __always_inline struct iotarget_inst *
iotarget_gate_enter_direct(struct iotarget_gate *gate, void *who)
{
	unsigned long __percpu *count;
	struct iotarget_inst *inst;

	preempt_disable();
	inst = rcu_dereference_sched(gate->inst);
	if (unlikely(!inst || !__ref_is_percpu(&inst->ref, &count))) {
		preempt_enable();
		return NULL;
	}
	this_cpu_inc(*count);
	preempt_enable();

	iotarget_hook(IOTARGET_HOOK_GATE_ENTERED, who);
	if (unlikely(READ_ONCE(gate->flags))) {
		/*
		 * Put it before pending: were it held over the pending, a stop
		 * would wait for a unit that itself waits for the start.
		 */
		iotarget_gate_put(inst);
		iotarget_hook(IOTARGET_HOOK_GATE_REFUSED, who);
		return NULL;
	}
	return inst;
}

/**
 * iotarget_gate_pass_direct - the same for a bio that is somebody else's
 * @target: the target
 * @bio: for the hooks
 * @pass: filled in but for its flags
 *
 * Return: false: to the slow path.
 */
static __always_inline bool
iotarget_gate_pass_direct(struct iotarget *target, struct bio *bio,
			  struct iotarget_pass *pass)
{
	pass->inst = iotarget_gate_enter_direct(&target->gate, bio);
	if (unlikely(!pass->inst))
		return false;
	pass->epoch = iotarget_gate_count(pass->inst);
	return true;
}

/* As iotarget_gate_leave(). */
static __always_inline void
iotarget_gate_leave_inline(struct iotarget_inst *inst, unsigned int epoch,
			   unsigned int flags)
{
	unsigned long __percpu *count;

	iotarget_hook(IOTARGET_HOOK_GATE_LEAVE, inst);
	this_cpu_dec(inst->counts->out[epoch % IOTARGET_NR_EPOCHS]);
	if (unlikely(flags & IOTARGET_UNIT_IGNORE)) {
		iotarget_inst_unhold(inst);
		return;
	}
	preempt_disable();
	if (unlikely(!__ref_is_percpu(&inst->ref, &count))) {
		preempt_enable();
		iotarget_gate_put(inst);
		return;
	}
	this_cpu_dec(*count);
	preempt_enable();
}

#endif /* _IOTARGET_GATE_H */
