// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transitions of the gate: carry out what the state table says, and wait.
 *
 * A transition changes the state under gate->lock and returns; what takes time
 * is done by the reconciler, the drain worker and the instance itself.  Those
 * who asked to wait hold a reference of the instance that they asked about, so
 * that a close and a reopen under their feet changes nothing for them.  Any
 * number may wait at once, and all return: a later stop, purge or close only
 * tightens what an earlier one waits for, and a start ends the waiting of those
 * who stopped before it with -ECANCELED.
 *
 * Context: transitions anywhere, waits in process context.  Lock: gate->lock.
 */

#include "internal.h"

static struct iotarget_inst *current_inst(struct iotarget_gate *gate)
{
	return rcu_dereference_protected(gate->inst,
					 lockdep_is_held(&gate->lock));
}

static void set_mark(struct iotarget_gate *gate, struct iotarget_inst *inst)
{
	lockdep_assert_held(&gate->lock);
	gate->mark = gate->seq;
	gate->left = gate->nr_pended;
	gate->extra = IOTARGET_DRAIN_EXTRA;
	gate->starts++;
	inst->cancel_sent = false;
	WRITE_ONCE(gate->flags, IOTARGET_GATE_DRAINING);

	/* If it was never killed, or not yet, there may be nothing to do. */
	if (READ_ONCE(inst->ref_state) != IOTARGET_REF_LIVE)
		return;
	if (!gate->nr_pended && !inst->draining)
		iotarget_gate_drained(gate);
	else
		iotarget_inst_kick(inst, inst->wq, &inst->drain);
}

static void not_lost(struct iotarget_gate *gate)
{
	gate->lost = false;
	gate->no_swap = false;
	WRITE_ONCE(gate->agreed, false);
	WRITE_ONCE(gate->doubt, IOTARGET_IS_FINE);
}

/* The actions on the state, all at one instant. */
static void act_locked(struct iotarget_gate *gate, u16 actions,
		       struct iotarget_inst *inst,
		       struct iotarget_failing *failing)
{
	struct iotarget_unit *unit;

	lockdep_assert_held(&gate->lock);
	if (actions & IOTARGET_ACT_ATTACH) {
		list_add(&inst->node, &gate->insts);
		rcu_assign_pointer(gate->inst, inst);
		not_lost(gate);
		iotarget_suspect_requeue(gate, &failing->suspects);
	}
	if (actions & IOTARGET_ACT_ABANDON)
		WRITE_ONCE(gate->opens, gate->opens + 1);
	if (actions & IOTARGET_ACT_SHUT)
		WRITE_ONCE(gate->flags, IOTARGET_GATE_SHUT);
	if (actions & IOTARGET_ACT_DETACH) {
		RCU_INIT_POINTER(gate->inst, NULL);
		WRITE_ONCE(inst->detached, true);
		not_lost(gate);
	}
	if (actions & IOTARGET_ACT_FAIL_PENDED) {
		iotarget_suspect_take_again(gate, &failing->suspects);
		iotarget_suspect_take(gate, &failing->suspects);
		list_for_each_entry(unit, &gate->pended, node)
			WRITE_ONCE(unit->where, IOTARGET_AT_NONE);
		list_splice_init(&gate->pended, &failing->units);
		bio_list_merge(&failing->bios, &gate->bios);
		bio_list_init(&gate->bios);
		gate->nr_failing += gate->nr_pended;
		gate->nr_pended = 0;
		gate->held_bytes = 0;
	}
	if (actions & IOTARGET_ACT_CANCEL_SENT) {
		inst->cancel_sent = true;
		/* Ask again, also for what was asked for before. */
		list_splice_init(&inst->asked, &inst->sent);
	}
	if (actions & IOTARGET_ACT_CANCEL_IGNORED)
		inst->cancel_ignored = true;
	if (actions & IOTARGET_ACT_DRAIN)
		set_mark(gate, inst);
}

static void fail_bios(struct iotarget *target, struct bio_list bios)
{
	struct bio *bio;

	while ((bio = bio_list_pop(&bios)))
		iotarget_forward_fail(target, bio);
}

/* Fail what was taken off the FIFO; each may be freed by its callback. */
static void fail_pended(struct iotarget *target, struct iotarget_failing *failing)
{
	struct iotarget_unit *unit;
	struct bio_list bios;

	if (bio_list_empty(&failing->suspects) &&
	    bio_list_empty(&failing->bios) && list_empty(&failing->units))
		return;
	iotarget_hook(IOTARGET_HOOK_GATE_FAIL, target);
	iotarget_suspect_fail(target, &failing->suspects);
	fail_bios(target, failing->bios);
	while ((unit = list_first_entry_or_null(&failing->units,
						struct iotarget_unit, node))) {
		list_del_init(&unit->node);
		bios = unit->bios;
		iotarget_unit_fail(target, unit);
		fail_bios(target, bios);
	}
}

static int check_opens(struct iotarget_gate *gate, enum iotarget_event event,
		       u64 opens)
{
	if (event != IOTARGET_EV_OPENED && event != IOTARGET_EV_OPEN_FAILED)
		return 0;
	return opens == gate->opens ? 0 : -ECANCELED;
}

/*
 * What control ends is what control made: the driver must not have come between.  And
 * what became of one opening of a device is not the next one's.
 */
static int check_by(struct iotarget_gate *gate, const struct iotarget_by *by)
{
	struct iotarget_inst *inst = current_inst(gate);

	lockdep_assert_held(&gate->lock);
	if (!by)
		return 0;
	if (by->unchanged && by->unchanged != gate->changes)
		return -ECANCELED;
	if (by->inst && (!inst || by->inst != inst->number))
		return -ECANCELED;
	return by->live && !iotarget_word_live(gate->word) ? -ECANCELED : 0;
}

/*
 * Who has agreed that its device goes, and who has none any more, sends nothing to it,
 * whoever starts it; and only who has agreed can be told that it stays.
 */
static int check_agreed(struct iotarget_gate *gate, enum iotarget_event *event)
{
	lockdep_assert_held(&gate->lock);
	switch (*event) {
	case IOTARGET_EV_START:
		if (gate->lost || gate->agreed)
			*event = IOTARGET_EV_LOST;
		return 0;
	case IOTARGET_EV_ALIVE:		/* it may be lost since, for good */
	case IOTARGET_EV_AGREED:
		return gate->lost ? -ECANCELED : 0;
	case IOTARGET_EV_STAYS:
		return gate->agreed ? 0 : -ECANCELED;
	default:
		return 0;
	}
}

static void note_agreed(struct iotarget_gate *gate, enum iotarget_event event)
{
	lockdep_assert_held(&gate->lock);
	if (event == IOTARGET_EV_AGREED || event == IOTARGET_EV_STAYS)
		WRITE_ONCE(gate->agreed, event == IOTARGET_EV_AGREED);
}

/* What finds a target stopped and leaves it so changes nothing for who stopped it. */
static bool is_change(enum iotarget_event event, enum iotarget_word before,
		      const struct iotarget_rule *rule)
{
	return rule->next != before ||
	       (event != IOTARGET_EV_RETURNED && event != IOTARGET_EV_AGREED &&
		event != IOTARGET_EV_STAYS);
}

/* The instance that a new one is attached for, if there is one; it finishes alone. */
static struct iotarget_inst *replaced(struct iotarget_gate *gate, u16 actions)
{
	struct iotarget_inst *old = current_inst(gate);

	if (!(actions & IOTARGET_ACT_ATTACH) || !old)
		return NULL;
	WRITE_ONCE(old->detached, true);
	kref_get(&old->kref);
	return old;
}

static void let_go(struct iotarget_inst *old)
{
	iotarget_gate_put_ignored(old);
	iotarget_inst_kick(old, iotarget_fast_wq, &old->reconcile);
	iotarget_inst_put(old);
}

static int gate_event(struct iotarget *target, enum iotarget_event event,
		      struct iotarget_inst *fresh, u64 opens,
		      const struct iotarget_by *by,
		      struct iotarget_change *change)
{
	struct iotarget_gate *gate = &target->gate;
	const struct iotarget_rule *rule;
	enum iotarget_word before;
	struct iotarget_inst *inst, *old;
	struct iotarget_failing failing = {
		.suspects = BIO_EMPTY_LIST,
		.bios = BIO_EMPTY_LIST,
		.units = LIST_HEAD_INIT(failing.units),
	};
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&gate->lock, flags);
	before = gate->word;
	ret = check_agreed(gate, &event);
	rule = iotarget_rule(before, event);
	ret = ret ?: check_opens(gate, event, opens) ?: check_by(gate, by) ?:
	      rule->error;
	if (ret) {
		spin_unlock_irqrestore(&gate->lock, flags);
		return ret;
	}
	inst = fresh ?: current_inst(gate);
	if (inst)
		kref_get(&inst->kref);
	if (event == IOTARGET_EV_OPEN) {
		WRITE_ONCE(gate->opens, gate->opens + 1);
		WRITE_ONCE(gate->nr_insts, gate->nr_insts + 1);
	}
	gate->changes += is_change(event, before, rule);
	WRITE_ONCE(gate->word, rule->next);
	note_agreed(gate, event);
	old = replaced(gate, rule->actions);
	act_locked(gate, rule->actions, inst, &failing);
	if (change)
		*change = (struct iotarget_change){
			.actions = rule->actions,
			.inst = inst,
			.starts = gate->starts,
			.opens = gate->opens,
			.changes = gate->changes,
			.before = before,
		};
	iotarget_note_transition(target, event, before, by);
	spin_unlock_irqrestore(&gate->lock, flags);

	if (rule->actions & IOTARGET_ACT_SHUT)
		iotarget_hook(IOTARGET_HOOK_GATE_SHUT, target);
	if (rule->actions & IOTARGET_ACT_DETACH)
		iotarget_gate_put_ignored(inst);
	if (old)
		let_go(old);
	if (inst)
		iotarget_inst_kick(inst, iotarget_fast_wq, &inst->reconcile);
	wake_up_all(&gate->waitq);
	fail_pended(target, &failing);
	if (inst && !change)
		iotarget_inst_put(inst);
	return 0;
}

/**
 * iotarget_gate_event - carry out a transition
 * @target: the target
 * @event: what happens
 * @fresh: with %IOTARGET_EV_OPENED the new instance
 * @opens: with %IOTARGET_EV_OPENED and %IOTARGET_EV_OPEN_FAILED which open
 * @change: filled in on success, to be given to iotarget_gate_wait() and then
 *	to iotarget_change_put(); may be NULL
 *
 * Context: any, if the table gives no %IOTARGET_ACT_FAIL_PENDED or the
 * callbacks of held requests may run here.
 * Return: 0, or the errno of the table's cell; -ECANCELED for the end of an
 * open that was abandoned.
 */
int iotarget_gate_event(struct iotarget *target, enum iotarget_event event,
			struct iotarget_inst *fresh, u64 opens,
			struct iotarget_change *change)
{
	return gate_event(target, event, fresh, opens, NULL, change);
}

/**
 * iotarget_control_event - carry out a transition that control asks for
 * @target: the target
 * @event: what happens; not the end of an open
 * @by: for which verb, and on which condition; NULL for the target's driver
 * @change: as in iotarget_gate_event()
 *
 * Context: as iotarget_gate_event().
 * Return: 0, the errno of the table's cell, or -ECANCELED if there were other
 * transitions since @by->unchanged.
 */
int iotarget_control_event(struct iotarget *target, enum iotarget_event event,
			   const struct iotarget_by *by,
			   struct iotarget_change *change)
{
	return gate_event(target, event, NULL, 0, by, change);
}

/**
 * iotarget_gate_lost - the device of a target is gone, and may come back
 * @target: the target
 * @inst: the number of the instance
 *
 * From here on a start sends nothing to that instance.
 *
 * Context: any.
 * Return: false if it is not attached any more.
 */
bool iotarget_gate_lost(struct iotarget *target, u64 inst)
{
	const struct iotarget_by by = { .inst = inst, .live = true };
	struct iotarget_gate *gate = &target->gate;
	unsigned long flags;
	bool lost;

	spin_lock_irqsave(&gate->lock, flags);
	lost = current_inst(gate) && current_inst(gate)->number == inst;
	if (lost) {
		gate->lost = true;
		WRITE_ONCE(gate->agreed, false);
		WRITE_ONCE(gate->doubt, IOTARGET_IS_GONE);
	}
	spin_unlock_irqrestore(&gate->lock, flags);
	/* One that was stopped or purged stays so. */
	if (lost)
		gate_event(target, IOTARGET_EV_LOST, NULL, 0, &by, NULL);
	return lost;
}

/* Out of one of the lists that the FIFO is made of. */
static void take_swap(struct iotarget_gate *gate, struct bio_list *from,
		      struct bio_list *failing)
{
	struct bio_list rest = BIO_EMPTY_LIST;
	struct bio *bio;

	lockdep_assert_held(&gate->lock);
	while ((bio = bio_list_pop(from))) {
		if (!(bio->bi_opf & REQ_SWAP)) {
			bio_list_add(&rest, bio);
			continue;
		}
		bio_list_add(failing, bio);
		gate->nr_pended--;
		gate->nr_failing++;
		gate->held_bytes -= iotarget_gate_bio_bytes(bio);
	}
	*from = rest;
}

/**
 * iotarget_gate_no_swap - memory that is to be freed does not wait any longer
 * @target: the target, whose device is gone
 *
 * What is swapped out to it fails, and so does what comes.
 *
 * Context: any, without locks.
 */
void iotarget_gate_no_swap(struct iotarget *target)
{
	struct iotarget_gate *gate = &target->gate;
	struct iotarget_failing failing = {
		.suspects = BIO_EMPTY_LIST,
		.bios = BIO_EMPTY_LIST,
		.units = LIST_HEAD_INIT(failing.units),
	};
	struct iotarget_unit *unit;
	unsigned long flags;

	spin_lock_irqsave(&gate->lock, flags);
	if (gate->lost) {
		gate->no_swap = true;
		iotarget_suspect_take_swap(gate, &failing.suspects);
		take_swap(gate, &gate->again, &failing.suspects);
		take_swap(gate, &gate->bios, &failing.bios);
		list_for_each_entry(unit, &gate->pended, node)
			take_swap(gate, &unit->bios, &failing.bios);
	}
	spin_unlock_irqrestore(&gate->lock, flags);
	fail_pended(target, &failing);
}

/**
 * iotarget_gate_agreed - the device of a target may go, or stays after all
 * @target: the target
 * @inst: the number of the instance
 * @agreed: it may go: from here on nothing is sent to it, whoever starts the target;
 *	else the target is started, unless somebody has stopped it
 *
 * Context: any.
 * Return: 0; -ECANCELED if the instance is not attached any more, its device is gone,
 * or it was so already.
 */
int iotarget_gate_agreed(struct iotarget *target, u64 inst, bool agreed)
{
	const struct iotarget_by by = { .inst = inst };

	return gate_event(target, agreed ? IOTARGET_EV_AGREED : IOTARGET_EV_STAYS,
			  NULL, 0, &by, NULL);
}

/**
 * iotarget_gate_given_up - the device that was lost is not waited for any more
 * @gate: the gate
 *
 * Context: any.
 */
void iotarget_gate_given_up(struct iotarget_gate *gate)
{
	unsigned long flags;

	spin_lock_irqsave(&gate->lock, flags);
	gate->lost = false;
	spin_unlock_irqrestore(&gate->lock, flags);
}

/**
 * iotarget_gate_returned - a lost device is back
 * @target: the target
 * @fresh: the instance that stands in for the lost one, its device open
 * @lost: the number of that
 *
 * What is held is sent to it, unless somebody has stopped the target.
 *
 * Context: any.
 * Return: 0, or -ECANCELED if that one is not waited for any more.
 */
int iotarget_gate_returned(struct iotarget *target, struct iotarget_inst *fresh,
			   u64 lost)
{
	const struct iotarget_by by = { .inst = lost };

	return gate_event(target, IOTARGET_EV_RETURNED, fresh, 0, &by, NULL);
}

/**
 * iotarget_change_put - let go of what iotarget_gate_event() filled in
 * @change: the change
 *
 * Context: any.
 */
void iotarget_change_put(struct iotarget_change *change)
{
	if (change->inst)
		iotarget_inst_put(change->inst);
	change->inst = NULL;
}

/**
 * iotarget_gate_report - tell what is out
 * @target: the target
 * @inst: the instance in question, or NULL
 * @report: to be filled in, or NULL
 *
 * Context: any.
 */
void iotarget_gate_report(struct iotarget *target, struct iotarget_inst *inst,
			  struct iotarget_wait_report *report)
{
	if (!report)
		return;
	report->sent = 0;
	report->oldest_ms = 0;
	if (inst)
		report->sent = iotarget_inst_sent(inst, &report->oldest_ms);
	report->pended = iotarget_gate_held(&target->gate);
}

/* Wait with this gate's map: a callback of this target must not come here. */
static void wait_map(struct iotarget_gate *gate)
{
	unsigned long __maybe_unused flags;

	/*
	 * With interrupts off, as callbacks hold the map for reading in hard
	 * interrupts, too; see timer_delete_sync() for the same.
	 */
	local_irq_save(flags);
	lock_map_acquire(&gate->map);
	lock_map_release(&gate->map);
	local_irq_restore(flags);
}

/* A start ends the wait of a stop, an open that of a close without effect. */
static bool superseded(struct iotarget_gate *gate,
		       const struct iotarget_change *change)
{
	if (change->actions & IOTARGET_ACT_WAIT_SENT)
		return READ_ONCE(gate->starts) != change->starts &&
		       rcu_access_pointer(gate->inst) == change->inst;
	return change->actions & IOTARGET_ACT_WAIT_ALL &&
	       READ_ONCE(gate->opens) != change->opens;
}

static bool reached(struct iotarget_gate *gate,
		    const struct iotarget_change *change)
{
	struct iotarget_inst *inst = change->inst;

	if (change->actions & IOTARGET_ACT_WAIT_ALL)
		return !READ_ONCE(gate->nr_insts) &&
		       !READ_ONCE(gate->nr_failing);
	if (change->actions & IOTARGET_ACT_WAIT_CLOSED)
		return READ_ONCE(inst->gone) && !READ_ONCE(gate->nr_failing);
	if (!iotarget_inst_quiet(inst))
		return false;
	return !(change->actions & IOTARGET_ACT_FAIL_PENDED) ||
	       !READ_ONCE(gate->nr_failing);
}

static bool wait_over(struct iotarget_gate *gate,
		      const struct iotarget_change *change)
{
	return reached(gate, change) || superseded(gate, change);
}

typedef bool over_fn(struct iotarget_gate *gate,
		     const struct iotarget_change *change);

static int wait_until(struct iotarget_gate *gate, over_fn *over,
		      const struct iotarget_change *change,
		      unsigned int timeout_ms)
{
	long left = iotarget_wait_jiffies(timeout_ms);

	wait_map(gate);
	left = wait_event_killable_timeout(gate->waitq, over(gate, change),
					   left);
	return iotarget_wait_result(left);
}

/**
 * iotarget_gate_changes - how often the state was changed by somebody
 * @gate: the gate
 *
 * Context: process.
 * Return: the number.
 */
u64 iotarget_gate_changes(struct iotarget_gate *gate)
{
	u64 changes;

	spin_lock_irq(&gate->lock);
	changes = gate->changes;
	spin_unlock_irq(&gate->lock);
	return changes;
}

/**
 * iotarget_gate_wait - wait for what a transition asked to wait for
 * @target: the target
 * @change: what iotarget_gate_event() filled in
 * @timeout_ms: the longest wait, or %IOTARGET_WAIT_FOREVER
 * @report: filled in when the wait ends, however it does; may be NULL
 *
 * Whatever ends the wait, the state stays as it was asked for.
 *
 * Context: process; sleeps, killable.
 * Return: 0, -ETIMEDOUT, -EINTR after a fatal signal, -ECANCELED if the target
 * was started, or opened, meanwhile.
 */
int iotarget_gate_wait(struct iotarget *target, struct iotarget_change *change,
		       unsigned int timeout_ms,
		       struct iotarget_wait_report *report)
{
	struct iotarget_gate *gate = &target->gate;
	int ret = 0;

	if (change->actions & (IOTARGET_ACT_WAIT_SENT |
			       IOTARGET_ACT_WAIT_CLOSED |
			       IOTARGET_ACT_WAIT_ALL)) {
		ret = wait_until(gate, wait_over, change, timeout_ms);
		/* Quiet that a start has ended since is no quiet. */
		if (!ret && superseded(gate, change))
			ret = -ECANCELED;
	}
	iotarget_gate_report(target, change->inst, report);
	if (report && change->actions & IOTARGET_ACT_WAIT_ALL)
		report->sent = iotarget_insts_sent(target, &report->oldest_ms);
	return ret;
}

static bool drain_over(struct iotarget_gate *gate,
		       const struct iotarget_change *change)
{
	return READ_ONCE(gate->word) != IOTARGET_W_DRAINING;
}

/**
 * iotarget_gate_wait_drained - wait until a start has sent what was held
 * @target: the target
 * @timeout_ms: the longest wait, or %IOTARGET_WAIT_FOREVER
 * @report: filled in when the wait ends; may be NULL
 *
 * Context: process; sleeps, killable.
 * Return: 0, -ETIMEDOUT, -EINTR, -ECANCELED if it was stopped or closed before.
 */
int iotarget_gate_wait_drained(struct iotarget *target, unsigned int timeout_ms,
			       struct iotarget_wait_report *report)
{
	struct iotarget_gate *gate = &target->gate;
	struct iotarget_inst *inst;
	int ret;

	ret = wait_until(gate, drain_over, NULL, timeout_ms);
	if (!ret && READ_ONCE(gate->word) != IOTARGET_W_STARTED)
		ret = -ECANCELED;
	inst = iotarget_inst_current(target);
	iotarget_gate_report(target, inst, report);
	if (inst)
		iotarget_inst_put(inst);
	return ret;
}
