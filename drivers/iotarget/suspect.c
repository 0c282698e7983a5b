// SPDX-License-Identifier: GPL-2.0-only
/*
 * Suspect completions: a failure as of a device that is gone, with %IOTARGET_POLICY_HOLD.
 *
 * Many a device fails what it has, and what it gets, some time before its bus says that
 * it is gone; from one failure nobody can tell that from a fault of the device.  So with
 * the first such failure the gate is shut, as if the device were gone, and the buses are
 * asked again and again.  What comes is held, and forwarded bios that come back like
 * that are kept.  Then either
 *
 *   the device is gone: what can be sent again, see sent_again(), waits with what is held
 *	and goes first when the device is back; the rest fails, unknown; or
 *   it is still there after %DOUBT_MS: all of them fail as the device said, and what
 *	is held is sent.  For %TRUST_MS its failures are then what they seem to be.
 *
 * A bio that is kept is not in flight any more, and no callback of it is under way: for
 * all who wait it is one that is held, but that its outcome is unknown when it fails.
 * Nothing is allocated for it: the clone that came back stays, and remembers when it was
 * sent, as those sent first go first again.
 *
 * Requests and bios of the owner's own are told at once what they got: their owner can
 * tell whether they are worth another try.
 *
 * Context: as said at each function.  Lock: gate->lock.
 */
#include <linux/bio.h>
#include <linux/jiffies.h>

#include "devices.h"

#define DOUBT_MS	2000
#define TRUST_MS	10000
#define ASK_MS		50

static struct iotarget_forward *to_forward(struct bio *clone)
{
	return container_of(clone, struct iotarget_forward, clone);
}

/*
 * Nothing is changed by a second read.  A second write overwrites what the first may have
 * done, if the owner wants that.  A flush among them is refused as long as something is
 * lost that it would have made durable.
 */
static bool sent_again(const struct iotarget *target, const struct bio *upper)
{
	switch (bio_op(upper)) {
	case REQ_OP_READ:
		return true;
	case REQ_OP_WRITE:
		return target->policy.flags & IOTARGET_POLICY_REPLAY;
	default:
		return false;
	}
}

static bool is_kept(const struct iotarget *target, const struct bio *upper)
{
	switch (target->gate.doubt) {
	case IOTARGET_IN_DOUBT:
		return true;
	case IOTARGET_IS_GONE:
		/* And waited for. */
		return target->gate.lost && sent_again(target, upper);
	default:
		return false;
	}
}

/* By the time of sending; they come back much in that order. */
static void insert(struct bio_list *list, struct bio *clone)
{
	const u64 sent = to_forward(clone)->sent;
	struct bio *bio, *before = NULL;

	if (bio_list_empty(list) || to_forward(list->tail)->sent <= sent) {
		bio_list_add(list, clone);
		return;
	}
	bio_list_for_each(bio, list) {
		if (to_forward(bio)->sent > sent)
			break;
		before = bio;
	}
	clone->bi_next = bio;
	if (before)
		before->bi_next = clone;
	else
		list->head = clone;
}

/**
 * iotarget_suspect_keep - keep a forwarded bio that failed as if the device were gone
 * @fwd: its clone, with nothing left to do but for the completion of the upper bio
 *
 * Context: any; the clone's reference of the instance is still there.
 * Return: true if it is not to complete now; then @fwd is not to be touched any more.
 */
bool iotarget_suspect_keep(struct iotarget_forward *fwd)
{
	struct iotarget_inst *inst = fwd->pass.inst;
	struct iotarget *target = inst->target;
	struct iotarget_gate *gate = &target->gate;
	unsigned long flags;
	bool kept;

	if (fwd->pass.flags & IOTARGET_UNIT_IGNORE)
		return false;
	spin_lock_irqsave(&gate->lock, flags);
	/* Where nothing is held nobody would come for it. */
	kept = rcu_access_pointer(gate->inst) == inst &&
	       iotarget_word_accepts(gate->word) &&
	       is_kept(target, fwd->upper);
	if (kept) {
		iotarget_gate_pin(target);
		insert(&gate->suspects, &fwd->clone);
		gate->nr_suspects++;
		gate->held_bytes += iotarget_gate_bio_bytes(fwd->upper);
	}
	spin_unlock_irqrestore(&gate->lock, flags);
	return kept;
}

/* One is not kept any more: its upper bio, with the status that it came back with. */
static struct bio *let_go(struct iotarget_gate *gate, struct bio *clone)
{
	struct bio *upper = to_forward(clone)->upper;

	lockdep_assert_held(&gate->lock);
	upper->bi_status = clone->bi_status;
	bio_put(clone);
	gate->nr_suspects--;
	gate->held_bytes -= iotarget_gate_bio_bytes(upper);
	return upper;
}

static struct bio *take(struct iotarget_gate *gate)
{
	struct bio *clone = bio_list_pop(&gate->suspects);

	return clone ? let_go(gate, clone) : NULL;
}

static void take_to_fail(struct iotarget_gate *gate, struct bio *upper,
			 struct bio_list *failing)
{
	bio_list_add(failing, upper);
	gate->nr_failing++;
}

/**
 * iotarget_suspect_take - all that are kept have to fail
 * @gate: the gate
 * @failing: gets them, for iotarget_suspect_fail()
 *
 * Context: any, with gate->lock.
 */
void iotarget_suspect_take(struct iotarget_gate *gate, struct bio_list *failing)
{
	struct bio *upper;

	lockdep_assert_held(&gate->lock);
	while ((upper = take(gate)))
		take_to_fail(gate, upper, failing);
}

/**
 * iotarget_suspect_requeue - the device is back: those to be sent again go first
 * @gate: the gate
 * @failing: gets the others
 *
 * Context: any, with gate->lock.
 */
void iotarget_suspect_requeue(struct iotarget_gate *gate,
			      struct bio_list *failing)
{
	struct iotarget *target = gate_to_target(gate);
	struct bio *upper;

	lockdep_assert_held(&gate->lock);
	while ((upper = take(gate))) {
		if (!sent_again(target, upper)) {
			take_to_fail(gate, upper, failing);
			continue;
		}
		atomic_long_inc(&target->replayed);
		upper->bi_status = BLK_STS_OK;
		/* "Try again" would be no answer to what may be done already. */
		upper->bi_opf &= ~REQ_NOWAIT;
		bio_list_add(&gate->again, upper);
		gate->nr_pended++;
		gate->held_bytes += iotarget_gate_bio_bytes(upper);
	}
}

/**
 * iotarget_suspect_take_again - what waits to be sent again has to fail
 * @gate: the gate; what it holds is counted as failing by the caller
 * @failing: gets it, for iotarget_suspect_fail(): it was sent, whatever became of it
 *
 * Context: any, with gate->lock.
 */
void iotarget_suspect_take_again(struct iotarget_gate *gate,
				 struct bio_list *failing)
{
	lockdep_assert_held(&gate->lock);
	bio_list_merge(failing, &gate->again);
	bio_list_init(&gate->again);
}

/**
 * iotarget_suspect_fail - complete those that were kept, unknown
 * @target: the target
 * @failing: they
 *
 * Context: any, without locks.
 */
void iotarget_suspect_fail(struct iotarget *target, struct bio_list *failing)
{
	struct bio *upper;

	while ((upper = bio_list_pop(failing)))
		iotarget_forward_unknown(target, upper);
}

/**
 * iotarget_suspect_begin - something failed as if the device were gone
 * @inst: the instance, opened with a policy that holds
 *
 * Context: any; something is in flight on @inst, or it is kept otherwise.
 */
void iotarget_suspect_begin(struct iotarget_inst *inst)
{
	const struct iotarget_by by = { .inst = inst->number, .live = true };
	struct iotarget_gate *gate = &inst->target->gate;
	unsigned long flags;
	bool begun;

	if (READ_ONCE(gate->doubt) != IOTARGET_IS_FINE || inst->use->by_file)
		return;
	spin_lock_irqsave(&gate->lock, flags);
	begun = rcu_access_pointer(gate->inst) == inst &&
		inst->target->policy.flags & IOTARGET_POLICY_HOLD &&
		iotarget_word_accepts(gate->word) &&
		gate->doubt == IOTARGET_IS_FINE && !gate->lost && !gate->agreed &&
		time_after_eq(jiffies, inst->trusted);
	if (begun) {
		WRITE_ONCE(gate->doubt, IOTARGET_IN_DOUBT);
		gate->decided = jiffies + iotarget_jiffies(DOUBT_MS);
		gate->lost = true;
	}
	spin_unlock_irqrestore(&gate->lock, flags);
	/* One that was stopped stays so, and so it does whatever becomes of this. */
	if (begun)
		iotarget_control_event(inst->target, IOTARGET_EV_LOST, &by, NULL);
}

/* It has not gone: what it said is what it meant. */
static void is_there(struct iotarget_inst *inst)
{
	const struct iotarget_by by = { .inst = inst->number };
	struct iotarget *target = inst->target;
	struct iotarget_gate *gate = &target->gate;
	struct bio_list failing = BIO_EMPTY_LIST;

	spin_lock_irq(&gate->lock);
	if (rcu_access_pointer(gate->inst) != inst ||
	    gate->doubt != IOTARGET_IN_DOUBT) {
		spin_unlock_irq(&gate->lock);
		return;
	}
	WRITE_ONCE(gate->doubt, IOTARGET_IS_FINE);
	gate->lost = false;
	inst->trusted = jiffies + iotarget_jiffies(TRUST_MS);
	iotarget_suspect_take(gate, &failing);
	spin_unlock_irq(&gate->lock);

	iotarget_warn(target, "its device fails, and is still there\n");
	iotarget_suspect_fail(target, &failing);
	/* It may be gone by now, and then the event has no effect. */
	iotarget_control_event(target, IOTARGET_EV_ALIVE, &by, NULL);
}

/**
 * iotarget_suspect_decide - the buses have been asked: is the device gone?
 * @inst: the instance
 *
 * That it is has been said to the target by now, see iotarget_gate_lost().
 *
 * Context: process.
 * Return: in how many jiffies to ask again, or 0.
 */
unsigned long iotarget_suspect_decide(struct iotarget_inst *inst)
{
	struct iotarget_gate *gate = &inst->target->gate;
	bool doubt, over;

	spin_lock_irq(&gate->lock);
	doubt = rcu_access_pointer(gate->inst) == inst &&
		gate->doubt == IOTARGET_IN_DOUBT;
	over = time_after_eq(jiffies, gate->decided);
	spin_unlock_irq(&gate->lock);
	if (!doubt)
		return 0;
	if (!over)
		return iotarget_jiffies(ASK_MS);
	is_there(inst);
	return 0;
}

/* Those that may not wait any longer. */
static void take_some(struct iotarget *target, struct bio_list *failing,
		      bool (*stays)(const struct iotarget *target,
				    const struct bio *upper))
{
	struct iotarget_gate *gate = &target->gate;
	struct bio_list rest = gate->suspects;
	struct bio *clone;

	lockdep_assert_held(&gate->lock);
	bio_list_init(&gate->suspects);
	while ((clone = bio_list_pop(&rest))) {
		if (stays(target, to_forward(clone)->upper))
			bio_list_add(&gate->suspects, clone);
		else
			take_to_fail(gate, let_go(gate, clone), failing);
	}
}

static bool is_no_swap(const struct iotarget *target, const struct bio *upper)
{
	return !(upper->bi_opf & REQ_SWAP);
}

/**
 * iotarget_suspect_take_swap - what is swapped out has to fail
 * @gate: the gate
 * @failing: gets it, for iotarget_suspect_fail()
 *
 * Context: any, with gate->lock.
 */
void iotarget_suspect_take_swap(struct iotarget_gate *gate,
				struct bio_list *failing)
{
	take_some(gate_to_target(gate), failing, is_no_swap);
}

/**
 * iotarget_suspect_settle - the device is gone: what can't be sent again fails
 * @target: the target
 *
 * Context: process, without locks.
 */
void iotarget_suspect_settle(struct iotarget *target)
{
	struct iotarget_gate *gate = &target->gate;
	struct bio_list failing = BIO_EMPTY_LIST;

	spin_lock_irq(&gate->lock);
	if (gate->doubt == IOTARGET_IS_GONE)
		take_some(target, &failing, sent_again);
	spin_unlock_irq(&gate->lock);
	iotarget_suspect_fail(target, &failing);
}
