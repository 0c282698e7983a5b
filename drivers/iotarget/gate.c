// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two gates of a target, and the reconciler that keeps them.
 *
 * The in-gate decides whether a request may enter, the out-gate whether it may
 * go on to the device.  The truth about both is the state word, under
 * gate->lock.  The mechanism is one percpu_ref of the open instance, which is
 * live exactly while both gates are open: a successful tryget_live is the test
 * of both and the count of what is in flight, all without a shared cache line.
 *
 * A transition changes the word under the lock and leaves it to a work item,
 * the reconciler, to make the percpu_ref follow: kill it when a gate was shut,
 * resurrect it when both are open again.  The work item never runs twice at
 * once, so kills and resurrections are in order without a mutex, and nobody who
 * changes the state has to sleep.  Between the change and the kill, senders
 * would still get references.  That is what gate->flags is for: a sender reads
 * it once after its tryget, and if it is set puts the reference back before it
 * does anything else.  A sender that read it before it was set counts as one
 * that sent before the transition; the kill is confirmed on all CPUs before
 * anybody looks at the count, so it is seen.
 *
 * What may not pass takes the slow path: under the lock it is held in the FIFO,
 * or refused, as the word says.  Starting sets a mark at the end of the FIFO.
 * As long as the flag says "draining", everybody pends behind what is there,
 * and a worker sends from the head; the flag falls when the mark is reached and
 * either the FIFO is empty or a fixed number of later arrivals was taken.  So
 * nothing sent after the start overtakes what was held before it, and the drain
 * ends however fast others send.
 *
 * Context: entering and leaving run anywhere their callers may be, hard irq
 * included; the rest says so.  Lock: gate->lock, irq-safe.
 */
#include <linux/sched/mm.h>

#include "gate.h"

/**
 * iotarget_gate_init - set up a gate, closed
 * @gate: the gate
 *
 * Context: process; may sleep.
 */
void iotarget_gate_init(struct iotarget_gate *gate)
{
	spin_lock_init(&gate->lock);
	INIT_LIST_HEAD(&gate->pended);
	bio_list_init(&gate->again);
	bio_list_init(&gate->bios);
	bio_list_init(&gate->suspects);
	INIT_LIST_HEAD(&gate->insts);
	init_waitqueue_head(&gate->waitq);
	gate->word = IOTARGET_W_CLOSED;
	gate->flags = IOTARGET_GATE_SHUT;
	lockdep_register_key(&gate->key);
	lockdep_init_map(&gate->map, "iotarget_callback", &gate->key, 0);
}

/**
 * iotarget_gate_exit - undo iotarget_gate_init()
 * @gate: the gate, closed, with nothing pended
 *
 * Context: process; sleeps.
 */
void iotarget_gate_exit(struct iotarget_gate *gate)
{
	WARN_ON_ONCE(gate->nr_pended || gate->nr_suspects);
	lockdep_unregister_key(&gate->key);
}

/**
 * iotarget_gate_pin - what is held keeps its target, and the code of its owner
 * @target: the target
 *
 * Context: any.
 */
void iotarget_gate_pin(struct iotarget *target)
{
	kref_get(&target->refs);
	__module_get(target->ops->owner);
}

/**
 * iotarget_gate_unpin - let go of what a held unit or bio kept in memory
 * @target: the target
 *
 * Context: any.
 */
void iotarget_gate_unpin(struct iotarget *target)
{
	struct module *owner = target->ops->owner;

	iotarget_put_atomic(target);
	module_put(owner);
}

/**
 * iotarget_gate_bio_bytes - the memory that waits with a bio that is held
 * @bio: the bio, or NULL, see enter.c
 *
 * Context: any.
 * Return: bytes.
 */
u64 iotarget_gate_bio_bytes(const struct bio *bio)
{
	return bio && bio_has_data((struct bio *)bio) ? bio->bi_iter.bi_size : 0;
}

static u64 unit_bytes(const struct iotarget_unit *unit)
{
	if (unit->flags & IOTARGET_UNIT_BIO)
		return iotarget_gate_bio_bytes(&container_of(unit,
							     struct iotarget_bio,
							     unit)->bio);
	return unit_to_request(unit)->len;
}

static void pend(struct iotarget *target, struct iotarget_unit *unit)
{
	struct iotarget_gate *gate = &target->gate;

	lockdep_assert_held(&gate->lock);
	iotarget_gate_pin(target);
	unit->flags |= IOTARGET_UNIT_PINNED;
	unit->seq = ++gate->seq;
	bio_list_init(&unit->bios);
	WRITE_ONCE(unit->where, IOTARGET_AT_PENDED);
	list_add_tail(&unit->node, &gate->pended);
	gate->nr_pended++;
	gate->held_bytes += unit_bytes(unit);
}

/*
 * A bio that is somebody else's has no room for a unit: it hangs by its bi_next
 * behind the last unit of the FIFO, or before the first.
 */
static void pend_bio(struct iotarget *target, struct bio *bio)
{
	struct iotarget_gate *gate = &target->gate;

	lockdep_assert_held(&gate->lock);
	iotarget_gate_pin(target);
	gate->seq++;
	bio_list_add(list_empty(&gate->pended) ? &gate->bios :
		     &list_last_entry(&gate->pended, struct iotarget_unit,
				      node)->bios, bio);
	gate->nr_pended++;
	gate->held_bytes += iotarget_gate_bio_bytes(bio);
}

static void kick_drain(struct iotarget_inst *inst)
{
	iotarget_inst_kick(inst, inst->wq, &inst->drain);
}

/* What the word says to one who can't pass: hold, refuse, or try again. */
static enum iotarget_enter judge(struct iotarget_gate *gate, unsigned int flags,
				 u64 bytes, int *error)
{
	lockdep_assert_held(&gate->lock);
	if (!iotarget_word_accepts(gate->word)) {
		*error = -ESHUTDOWN;
		return IOTARGET_REFUSED;
	}
	if (gate->word == IOTARGET_W_STARTED)
		return flags & IOTARGET_UNIT_ATOMIC ? IOTARGET_HELD :
						      IOTARGET_ENTERED;
	if (flags & IOTARGET_UNIT_NOWAIT) {
		*error = -EAGAIN;
		return IOTARGET_REFUSED;
	}
	/*
	 * Memory that waits for a device which may never be back has a limit.  As long as
	 * it is asked whether it went, what comes is likely to be sent after all.
	 */
	if (gate->word == IOTARGET_W_AWAY && gate->lost &&
	    gate->doubt != IOTARGET_IN_DOUBT &&
	    gate->held_bytes + bytes >
	    gate_to_target(gate)->policy.hold_bytes) {
		*error = -ENOBUFS;
		return IOTARGET_REFUSED;
	}
	return IOTARGET_HELD;
}

/* Something was pended although the gates are open: for the worker. */
static void pended_for_worker(struct iotarget_gate *gate)
{
	if (gate->word == IOTARGET_W_STARTED)
		kick_drain(rcu_dereference_protected(gate->inst,
						     lockdep_is_held(&gate->lock)));
}

/*
 * The slow path: the word decides.  Returns IOTARGET_ENTERED when the gate was
 * found open after all and the caller has to try again.
 */
static enum iotarget_enter enter_slow(struct iotarget *target,
				      struct iotarget_unit *unit, int *error)
{
	struct iotarget_gate *gate = &target->gate;
	enum iotarget_enter ret;
	unsigned long flags;

	spin_lock_irqsave(&gate->lock, flags);
	ret = judge(gate, unit->flags, unit_bytes(unit), error);
	if (iotarget_word_accepts(gate->word) && iotarget_unit_cancelled(unit)) {
		*error = -ECANCELED;
		ret = IOTARGET_REFUSED;
	}
	if (ret == IOTARGET_HELD) {
		pend(target, unit);
		pended_for_worker(gate);
	}
	spin_unlock_irqrestore(&gate->lock, flags);
	return ret;
}

/* The same for a forwarded bio. */
static enum iotarget_enter enter_slow_bio(struct iotarget *target,
					  struct bio *bio, unsigned int uflags,
					  int *error)
{
	struct iotarget_gate *gate = &target->gate;
	enum iotarget_enter ret;
	unsigned long flags;

	spin_lock_irqsave(&gate->lock, flags);
	ret = judge(gate, uflags, iotarget_gate_bio_bytes(bio), error);
	if (ret == IOTARGET_HELD && gate->no_swap && bio->bi_opf & REQ_SWAP) {
		*error = -ENOBUFS;
		ret = IOTARGET_REFUSED;
	}
	if (ret == IOTARGET_HELD) {
		pend_bio(target, bio);
		pended_for_worker(gate);
	}
	spin_unlock_irqrestore(&gate->lock, flags);
	return ret;
}

/* The sender may not sleep: the worker submits, though not through the FIFO. */
static enum iotarget_enter hand_off(struct iotarget *target,
				    struct iotarget_unit *unit, int *error)
{
	struct iotarget_inst *inst = unit->inst;
	unsigned long flags;
	bool cancelled;

	spin_lock_irqsave(&target->gate.lock, flags);
	cancelled = iotarget_unit_cancelled(unit);
	if (!cancelled) {
		WRITE_ONCE(unit->where, IOTARGET_AT_HANDOFF);
		list_add_tail(&unit->node, &inst->handoff);
		kick_drain(inst);
	}
	spin_unlock_irqrestore(&target->gate.lock, flags);
	if (!cancelled)
		return IOTARGET_HELD;

	/* Who cancelled it came too early to find it in the list. */
	unit->inst = NULL;
	iotarget_gate_leave(inst, unit->epoch, unit->flags);
	*error = -ECANCELED;
	return IOTARGET_REFUSED;
}

/* Past the state of the target: any open instance will do. */
static enum iotarget_enter enter_ignoring(struct iotarget *target,
					  struct iotarget_unit *unit, int *error)
{
	unit->inst = iotarget_inst_hold(target);
	if (!unit->inst) {
		*error = -ESHUTDOWN;
		return IOTARGET_REFUSED;
	}
	unit->epoch = iotarget_gate_count(unit->inst);
	if (unit->flags & IOTARGET_UNIT_ATOMIC)
		return hand_off(target, unit, error);
	return IOTARGET_ENTERED;
}

/**
 * iotarget_gate_enter - bring a unit through the gates, or hold it
 * @target: the target
 * @unit: the unit, with its flags set and unit->inst NULL
 * @error: why, with %IOTARGET_REFUSED: -ESHUTDOWN, -EAGAIN, -ENOBUFS, -ECANCELED
 *
 * After %IOTARGET_HELD the unit may complete at any moment and must not be
 * touched.
 *
 * Context: any; does not sleep.
 * Return: what became of it.
 */
enum iotarget_enter iotarget_gate_enter(struct iotarget *target,
					struct iotarget_unit *unit, int *error)
{
	enum iotarget_enter ret;

	if (unlikely(unit->flags & IOTARGET_UNIT_IGNORE))
		return enter_ignoring(target, unit, error);

	/*
	 * Started without the flag means that the reference is live, and the
	 * slow path says "try again" only then: the loop goes round again only
	 * if another transition came between.
	 */
	for (;;) {
		if (!(unit->flags & IOTARGET_UNIT_ATOMIC))
			unit->inst = iotarget_gate_enter_direct(&target->gate,
								unit);
		if (unit->inst) {
			unit->epoch = iotarget_gate_count(unit->inst);
			return IOTARGET_ENTERED;
		}
		ret = enter_slow(target, unit, error);
		if (ret != IOTARGET_ENTERED)
			return ret;
	}
}

/* The gates were not open for it, or are not for it to pass by itself. */
static noinline enum iotarget_enter
enter_bio_slow(struct iotarget *target, struct bio *bio,
	       struct iotarget_pass *pass, int *error)
{
	enum iotarget_enter ret;

	if (pass->flags & IOTARGET_UNIT_IGNORE) {
		pass->inst = iotarget_inst_hold(target);
		if (!pass->inst) {
			*error = -ESHUTDOWN;
			return IOTARGET_REFUSED;
		}
		pass->epoch = iotarget_gate_count(pass->inst);
		return IOTARGET_ENTERED;
	}
	do {
		ret = enter_slow_bio(target, bio, pass->flags, error);
		if (ret != IOTARGET_ENTERED)
			return ret;
	} while (!iotarget_gate_pass_direct(target, bio, pass));
	return IOTARGET_ENTERED;
}

/**
 * iotarget_gate_enter_bio - bring a forwarded bio through the gates, or hold it
 * @target: the target
 * @bio: the bio
 * @pass: its flags are set; filled in with %IOTARGET_ENTERED, and to be given
 *	to iotarget_gate_leave()
 * @error: why, with %IOTARGET_REFUSED: -ESHUTDOWN, -EAGAIN, -ENOBUFS
 *
 * As iotarget_gate_enter(), without memory of its own for the time of holding:
 * of the flags none is remembered.
 *
 * Context: any; does not sleep.
 * Return: what became of it.
 */
enum iotarget_enter iotarget_gate_enter_bio(struct iotarget *target,
					    struct bio *bio,
					    struct iotarget_pass *pass,
					    int *error)
{
	if (likely(!(pass->flags & (IOTARGET_UNIT_IGNORE | IOTARGET_UNIT_ATOMIC)) &&
		   iotarget_gate_pass_direct(target, bio, pass)))
		return IOTARGET_ENTERED;
	return enter_bio_slow(target, bio, pass, error);
}

/**
 * iotarget_gate_leave - a unit is back and its callback has returned
 * @inst: the instance it was sent on
 * @epoch: unit->epoch
 * @flags: unit->flags
 *
 * The unit itself may be gone.
 *
 * Context: any.
 */
void iotarget_gate_leave(struct iotarget_inst *inst, unsigned int epoch,
			 unsigned int flags)
{
	iotarget_gate_leave_inline(inst, epoch, flags);
}

/**
 * iotarget_gate_put - drop a reference that passing the gates gave
 * @inst: the instance
 *
 * Context: any.
 */
void iotarget_gate_put(struct iotarget_inst *inst)
{
	percpu_ref_put(&inst->ref);
}

/**
 * iotarget_gate_put_ignored - drop a reference past the state
 * @inst: the instance
 *
 * Context: any, under RCU or with a kref of the instance.
 */
void iotarget_gate_put_ignored(struct iotarget_inst *inst)
{
	if (!refcount_dec_and_test(&inst->ignored))
		return;
	wake_up_all(&inst->target->gate.waitq);
	iotarget_inst_kick(inst, iotarget_fast_wq, &inst->reconcile);
}

/**
 * iotarget_ref_released - the count of an instance fell to zero
 * @ref: inst->ref
 *
 * Context: any; under RCU, maybe under percpu_ref_switch_lock.
 */
void iotarget_ref_released(struct percpu_ref *ref)
{
	struct iotarget_inst *inst = container_of(ref, struct iotarget_inst,
						  ref);

	wake_up_all(&inst->target->gate.waitq);
	iotarget_inst_kick(inst, iotarget_fast_wq, &inst->reconcile);
}

/* No CPU gives out references any more.  The kill's kref goes to the work. */
static void ref_confirmed(struct percpu_ref *ref)
{
	struct iotarget_inst *inst = container_of(ref, struct iotarget_inst,
						  ref);

	/* Pairs with iotarget_inst_quiet() and iotarget_reconcile(). */
	smp_store_release(&inst->ref_state, IOTARGET_REF_DEAD);
	wake_up_all(&inst->target->gate.waitq);
	if (!queue_work(iotarget_fast_wq, &inst->reconcile))
		iotarget_inst_put(inst);
}

/**
 * iotarget_inst_quiet - is nothing in flight that passed the gates?
 * @inst: the instance
 *
 * Context: any, without gate->lock.
 * Return: true if all of it is back and nothing follows.
 */
bool iotarget_inst_quiet(struct iotarget_inst *inst)
{
	/* Pairs with ref_confirmed(): before that the count is no count. */
	return smp_load_acquire(&inst->ref_state) == IOTARGET_REF_DEAD &&
	       percpu_ref_is_zero(&inst->ref);
}

/*
 * Ask the backend for everything that is sent, in the order of sending.  The
 * next one is found afresh each time, as the list changes under us; those that
 * were asked for are put aside.
 */
static void cancel_sent(struct iotarget_inst *inst)
{
	struct iotarget_gate *gate = &inst->target->gate;
	struct iotarget_unit *unit, *next, *found;

	if (!inst->ops->cancel)
		return;

	do {
		found = NULL;
		spin_lock_irq(&gate->lock);
		list_for_each_entry_safe(unit, next, &inst->sent, node) {
			if (unit->flags & IOTARGET_UNIT_IGNORE ?
			    !inst->cancel_ignored : !inst->cancel_sent)
				continue;
			list_move_tail(&unit->node, &inst->asked);
			if (iotarget_unit_claim(unit)) {
				found = unit;
				break;
			}
		}
		spin_unlock_irq(&gate->lock);
		if (found)
			iotarget_unit_cancel_sent(inst, found);
	} while (found);
}

/**
 * iotarget_reconcile - make an instance's reference follow the state word
 * @work: inst->reconcile
 *
 * Kill when a gate is shut, resurrect when both are open, and when a detached
 * instance has nothing in flight let it finish.  Each step queues this work
 * again when it is through, so there is nothing to wait for here.
 *
 * Context: iotarget_fast_wq.  Owns a kref of the instance.
 */
void iotarget_reconcile(struct work_struct *work)
{
	struct iotarget_inst *inst = container_of(work, struct iotarget_inst,
						  reconcile);
	struct iotarget_gate *gate = &inst->target->gate;
	bool want, detached, kill = false, revive = false, cancel;

	spin_lock_irq(&gate->lock);
	want = rcu_access_pointer(gate->inst) == inst &&
	       iotarget_word_live(gate->word);
	/* Pairs with ref_confirmed(), which has no lock. */
	switch (smp_load_acquire(&inst->ref_state)) {
	case IOTARGET_REF_LIVE:
		if (!want) {
			kill = true;
			WRITE_ONCE(inst->ref_state, IOTARGET_REF_KILLING);
		}
		break;
	case IOTARGET_REF_KILLING:
		break;
	case IOTARGET_REF_DEAD:
		revive = want;
		break;
	}
	detached = inst->detached;
	cancel = inst->cancel_sent || inst->cancel_ignored;
	spin_unlock_irq(&gate->lock);

	if (kill) {
		iotarget_hook(IOTARGET_HOOK_GATE_KILL, inst);
		kref_get(&inst->kref);	/* ref_confirmed() puts it */
		percpu_ref_kill_and_confirm(&inst->ref, ref_confirmed);
	} else if (revive) {
		iotarget_hook(IOTARGET_HOOK_GATE_REVIVE, inst);
		percpu_ref_resurrect(&inst->ref);
		spin_lock_irq(&gate->lock);
		WRITE_ONCE(inst->ref_state, IOTARGET_REF_LIVE);
		if (rcu_access_pointer(gate->inst) == inst)
			kick_drain(inst);
		spin_unlock_irq(&gate->lock);
		/* A stop may have come between; look again. */
		iotarget_inst_kick(inst, iotarget_fast_wq, &inst->reconcile);
	}
	if (cancel)
		cancel_sent(inst);
	if (detached && !inst->finished && iotarget_inst_quiet(inst) &&
	    !refcount_read(&inst->ignored)) {
		inst->finished = true;
		iotarget_hook(IOTARGET_HOOK_FINISH, inst);
		queue_work(iotarget_slow_wq, &inst->finish);
	}
	iotarget_inst_put(inst);
}

/**
 * iotarget_gate_drained - the mark is reached: open the gate to direct sends
 * @gate: the gate
 *
 * Context: any, with gate->lock.
 */
void iotarget_gate_drained(struct iotarget_gate *gate)
{
	const struct iotarget_rule *rule;

	lockdep_assert_held(&gate->lock);
	rule = iotarget_rule(gate->word, IOTARGET_EV_DRAINED);
	WRITE_ONCE(gate->word, rule->next);
	if (gate->word == IOTARGET_W_STARTED)
		WRITE_ONCE(gate->flags, 0);
	wake_up_all(&gate->waitq);
}

static struct iotarget_unit *handoff_next(struct iotarget_inst *inst)
{
	struct iotarget_unit *unit;

	unit = list_first_entry_or_null(&inst->handoff, struct iotarget_unit,
					node);
	if (!unit)
		return NULL;
	list_del_init(&unit->node);
	WRITE_ONCE(unit->where, IOTARGET_AT_NONE);
	return unit;
}

/* What the worker has in hand: a unit, or a bio and what it will give back. */
struct held {
	struct iotarget_unit	*unit;
	struct bio		*bio;
	bool			again;	/* the bio was sent before */
	struct iotarget_pass	pass;
};

/* Off the head of the FIFO, which is not empty. */
static void fifo_pop(struct iotarget_gate *gate, struct held *held)
{
	lockdep_assert_held(&gate->lock);
	held->bio = bio_list_pop(&gate->again);
	held->again = held->bio;
	if (!held->bio)
		held->bio = bio_list_pop(&gate->bios);
	if (!held->bio) {
		held->unit = list_first_entry(&gate->pended,
					      struct iotarget_unit, node);
		list_del_init(&held->unit->node);
		WRITE_ONCE(held->unit->where, IOTARGET_AT_NONE);
		gate->bios = held->unit->bios;
	}
	gate->held_bytes -= held->bio ? iotarget_gate_bio_bytes(held->bio) :
					unit_bytes(held->unit);
	gate->nr_pended--;
	if (gate->left)
		gate->left--;
}

/*
 * Take the next unit or bio off the FIFO, with its reference.  The word is live
 * and so is the reference, both under the lock, so the get can't fail: there is
 * no such thing as a unit that has to go back to the head.
 */
static bool fifo_next(struct iotarget_inst *inst, struct held *held,
		      bool *opened)
{
	struct iotarget_gate *gate = &inst->target->gate;

	if (rcu_access_pointer(gate->inst) != inst ||
	    !iotarget_word_live(gate->word) ||
	    READ_ONCE(inst->ref_state) != IOTARGET_REF_LIVE)
		return false;

	if (gate->word == IOTARGET_W_DRAINING &&
	    (!gate->nr_pended || (!gate->left && !gate->extra--))) {
		iotarget_gate_drained(gate);
		*opened = true;
	}
	if (!gate->nr_pended || WARN_ON_ONCE(!percpu_ref_tryget_live(&inst->ref)))
		return false;
	fifo_pop(gate, held);
	held->pass.inst = inst;
	held->pass.epoch = iotarget_gate_count(inst);
	if (held->unit) {
		held->unit->inst = inst;
		held->unit->epoch = held->pass.epoch;
	}
	inst->draining = true;
	return true;
}

/* From the FIFO and of what was handed off in turn: neither starves the other. */
static bool drain_next(struct iotarget_inst *inst, struct held *held,
		       bool *opened)
{
	struct iotarget_gate *gate = &inst->target->gate;
	const bool fifo_first = !inst->draining;
	bool found = false;

	*opened = false;
	*held = (struct held){ };
	spin_lock_irq(&gate->lock);
	inst->draining = false;
	if (fifo_first)
		found = fifo_next(inst, held, opened);
	if (!found) {
		held->unit = handoff_next(inst);
		found = held->unit;
	}
	if (!found && !fifo_first)
		found = fifo_next(inst, held, opened);
	spin_unlock_irq(&gate->lock);
	return found;
}

/**
 * iotarget_drain - submit what is held and what was handed off
 * @work: inst->drain
 *
 * Context: the instance's own workqueue, as submitting may block for as long as
 * the device does.  Owns a kref of the instance.
 */
void iotarget_drain(struct work_struct *work)
{
	struct iotarget_inst *inst = container_of(work, struct iotarget_inst,
						  drain);
	struct iotarget *target = inst->target;
	unsigned int noio = memalloc_noio_save();
	struct held held;
	bool opened, found;

	for (;;) {
		found = drain_next(inst, &held, &opened);
		if (opened)
			iotarget_hook(IOTARGET_HOOK_GATE_DRAINED, inst);
		if (!found)
			break;
		iotarget_hook(IOTARGET_HOOK_GATE_DRAIN, held.unit);
		/* What kept target and owner while held: now the instance does. */
		if (!held.unit) {
			iotarget_gate_unpin(target);
			iotarget_forward_drained(&held.pass, held.bio,
						 held.again);
		} else {
			if (held.unit->flags & IOTARGET_UNIT_PINNED) {
				held.unit->flags &= ~IOTARGET_UNIT_PINNED;
				iotarget_gate_unpin(target);
			}
			iotarget_unit_submit(held.unit);
		}
		cond_resched();
	}
	memalloc_noio_restore(noio);
	iotarget_inst_put(inst);
}

/* Take a held unit out; the bios behind it stay in their place. */
static void unpend(struct iotarget_gate *gate, struct iotarget_unit *unit)
{
	struct bio_list *before = &gate->bios;

	lockdep_assert_held(&gate->lock);
	if (!list_is_first(&unit->node, &gate->pended))
		before = &list_prev_entry(unit, node)->bios;
	bio_list_merge(before, &unit->bios);
	list_del_init(&unit->node);
	WRITE_ONCE(unit->where, IOTARGET_AT_NONE);
	gate->held_bytes -= unit_bytes(unit);
	gate->nr_pended--;
	if (unit->seq <= gate->mark && gate->left)
		gate->left--;
}

/**
 * iotarget_gate_unpend - take a unit from where it waits, if it still does
 * @target: the target
 * @unit: the unit
 *
 * Context: any.
 * Return: true if the caller now has to complete it, never sent.
 */
bool iotarget_gate_unpend(struct iotarget *target, struct iotarget_unit *unit)
{
	struct iotarget_gate *gate = &target->gate;
	unsigned long flags;
	bool mine = false;

	spin_lock_irqsave(&gate->lock, flags);
	if (unit->where == IOTARGET_AT_PENDED) {
		unpend(gate, unit);
		gate->nr_failing++;
		mine = true;
	} else if (unit->where == IOTARGET_AT_HANDOFF) {
		list_del_init(&unit->node);
		WRITE_ONCE(unit->where, IOTARGET_AT_NONE);
		mine = true;
	}
	spin_unlock_irqrestore(&gate->lock, flags);
	return mine;
}

/**
 * iotarget_gate_failing - a unit that was never sent is about to be called back
 * @target: the target
 * @unit: the unit, neither held nor sent
 *
 * Context: any; the caller has a reference of the target.
 */
void iotarget_gate_failing(struct iotarget *target, struct iotarget_unit *unit)
{
	struct iotarget_gate *gate = &target->gate;
	unsigned long flags;

	spin_lock_irqsave(&gate->lock, flags);
	iotarget_gate_pin(target);
	unit->flags |= IOTARGET_UNIT_PINNED;
	gate->nr_failing++;
	spin_unlock_irqrestore(&gate->lock, flags);
}

/**
 * iotarget_gate_failed - a unit that was never sent has been called back
 * @target: the target
 *
 * Context: any.
 */
void iotarget_gate_failed(struct iotarget *target)
{
	struct iotarget_gate *gate = &target->gate;
	unsigned long flags;

	spin_lock_irqsave(&gate->lock, flags);
	gate->nr_failing--;
	wake_up_all(&gate->waitq);
	spin_unlock_irqrestore(&gate->lock, flags);
	iotarget_gate_unpin(target);
}

/**
 * iotarget_gate_sent - list a unit that its backend can cancel
 * @inst: the instance
 * @unit: the unit, past the gate
 *
 * Context: any.
 * Return: false if it is too late, as everything sent is being cancelled.
 */
bool iotarget_gate_sent(struct iotarget_inst *inst, struct iotarget_unit *unit)
{
	struct iotarget_gate *gate = &inst->target->gate;
	unsigned long flags;
	bool sent;

	spin_lock_irqsave(&gate->lock, flags);
	sent = unit->flags & IOTARGET_UNIT_IGNORE ? !inst->cancel_ignored :
						    !inst->cancel_sent;
	if (sent) {
		unit->flags |= IOTARGET_UNIT_LISTED;
		list_add_tail(&unit->node, &inst->sent);
	}
	spin_unlock_irqrestore(&gate->lock, flags);
	return sent;
}

/**
 * iotarget_gate_unsent - take a unit off the list again
 * @inst: the instance
 * @unit: the unit; nobody can claim it any more
 *
 * Context: any.
 */
void iotarget_gate_unsent(struct iotarget_inst *inst,
			  struct iotarget_unit *unit)
{
	struct iotarget_gate *gate = &inst->target->gate;
	unsigned long flags;

	spin_lock_irqsave(&gate->lock, flags);
	list_del_init(&unit->node);
	unit->flags &= ~IOTARGET_UNIT_LISTED;
	spin_unlock_irqrestore(&gate->lock, flags);
}
