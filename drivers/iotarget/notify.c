// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: from where something happens to those who listen.
 *
 * Transitions are noted under gate->lock, so that the numbers of the events of
 * one target are in the order of its transitions, and that may be with
 * interrupts off; a worker sends them.  When nobody listens an event is a number
 * and nothing else.
 *
 * Context: noting anywhere, sending in a worker.  Lock: notes_lock.
 */
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "control.h"

/* More than that wait only when the worker doesn't get to run. */
#define MAX_NOTES	8192

static DEFINE_SPINLOCK(notes_lock);
static LIST_HEAD(notes);
static unsigned int nr_notes;
static u64 last_seq, dropped;

static void send_notes(struct work_struct *work);
static DECLARE_WORK(notes_work, send_notes);

static struct iotarget_note *next_note(u64 *lost)
{
	struct iotarget_note *note;

	spin_lock_irq(&notes_lock);
	note = list_first_entry_or_null(&notes, struct iotarget_note, node);
	if (note) {
		list_del(&note->node);
		nr_notes--;
	}
	*lost = dropped;
	spin_unlock_irq(&notes_lock);
	return note;
}

static void send_notes(struct work_struct *work)
{
	struct iotarget_note *note;
	u64 lost;

	while ((note = next_note(&lost))) {
		if (iotarget_nl_tell(note, lost)) {
			spin_lock_irq(&notes_lock);
			dropped++;
			spin_unlock_irq(&notes_lock);
		}
		kfree(note);
		cond_resched();
	}
}

/**
 * iotarget_note_alloc - memory for an event
 * @gfp: how
 *
 * Context: as @gfp allows.
 * Return: a note for iotarget_note_queue() or kfree(), or NULL.
 */
struct iotarget_note *iotarget_note_alloc(gfp_t gfp)
{
	return kzalloc(sizeof(struct iotarget_note), gfp);
}

/**
 * iotarget_note_fill - what all events of a target carry
 * @note: the note
 * @target: the target
 * @kind: what happened
 * @cookie: of the verb that it is about, or 0
 *
 * Context: any.
 */
void iotarget_note_fill(struct iotarget_note *note, struct iotarget *target,
			u8 kind, u64 cookie)
{
	note->kind = kind;
	note->cookie = cookie;
	note->id = target->id;
	note->state = iotarget_get_state(target);
	strscpy(note->name, target->name, sizeof(note->name));
}

/* What somebody waits for; bounded by the number of verbs and queries. */
static bool is_result(u8 kind)
{
	return kind == IOTARGET_EVENT_KIND_RESULT ||
	       kind == IOTARGET_EVENT_KIND_QUERY_AGREED ||
	       kind == IOTARGET_EVENT_KIND_QUERY_REFUSED ||
	       kind == IOTARGET_EVENT_KIND_QUERY_ENDED;
}

/**
 * iotarget_note_queue - number an event and have it sent
 * @note: the note; NULL for one that there was no memory for
 *
 * Context: any, under gate->lock, too.
 */
void iotarget_note_queue(struct iotarget_note *note)
{
	const bool heard = iotarget_nl_heard();
	struct iotarget_note *excess = NULL;
	unsigned long flags;

	spin_lock_irqsave(&notes_lock, flags);
	last_seq++;
	if (note && (!heard || (nr_notes >= MAX_NOTES &&
				!is_result(note->kind))))
		swap(note, excess);
	if (note) {
		note->seq = last_seq;
		note->time = ktime_get_boottime_ns();
		list_add_tail(&note->node, &notes);
		nr_notes++;
		queue_work(iotarget_fast_wq, &notes_work);
	} else if (heard) {
		dropped++;
	}
	spin_unlock_irqrestore(&notes_lock, flags);
	kfree(excess);
}

/* Who is told of which transition; 0: nobody. */
static u8 kind_of(enum iotarget_event event, enum iotarget_word before)
{
	switch (event) {
	case IOTARGET_EV_OPENED:
		return IOTARGET_EVENT_KIND_OPENED;
	case IOTARGET_EV_OPEN_FAILED:
		return IOTARGET_EVENT_KIND_OPEN_FAILED;
	case IOTARGET_EV_START:
		return IOTARGET_EVENT_KIND_STARTED;
	case IOTARGET_EV_STOP_CANCEL:
	case IOTARGET_EV_STOP_WAIT:
	case IOTARGET_EV_STOP_LEAVE:
		return IOTARGET_EVENT_KIND_STOPPED;
	case IOTARGET_EV_PURGE_WAIT:
	case IOTARGET_EV_PURGE:
		return IOTARGET_EVENT_KIND_PURGED;
	case IOTARGET_EV_CLOSE:
	case IOTARGET_EV_CLOSE_QUERY:
		/* Closing what is closed waits for earlier openings only. */
		return iotarget_word_open(before) ||
		       before == IOTARGET_W_OPENING ?
			IOTARGET_EVENT_KIND_CLOSED : 0;
	case IOTARGET_EV_DELETE:
		return IOTARGET_EVENT_KIND_DELETED;
	case IOTARGET_EV_RETURNED:
		return IOTARGET_EVENT_KIND_RETURNED;
	default:
		return 0;
	}
}

static struct iotarget_note *make_note(struct iotarget *target, u8 kind,
				       u64 cookie)
{
	struct iotarget_note *note = NULL;

	if (iotarget_nl_heard())
		note = iotarget_note_alloc(GFP_ATOMIC | __GFP_NOWARN);
	if (note)
		iotarget_note_fill(note, target, kind, cookie);
	return note;
}

static void take_note(struct iotarget *target, u8 kind, u64 cookie)
{
	iotarget_note_queue(make_note(target, kind, cookie));
}

/* The disk that the target has open; it stays so as long as it is attached. */
static void name_disk(struct iotarget_note *note, struct iotarget *target)
{
	const struct iotarget_inst *inst;

	inst = rcu_dereference_protected(target->gate.inst,
					 lockdep_is_held(&target->gate.lock));
	if (inst && inst->bdev)
		strscpy(note->disk, inst->bdev->bd_disk->disk_name,
			sizeof(note->disk));
}

/**
 * iotarget_note_transition - a target has changed its state
 * @target: the target
 * @event: what made it
 * @before: the state before
 * @by: the verb that made it, or NULL for the target's driver
 *
 * Context: any, with gate->lock.
 */
void iotarget_note_transition(struct iotarget *target,
			      enum iotarget_event event,
			      enum iotarget_word before,
			      const struct iotarget_by *by)
{
	const u8 kind = kind_of(event, before);
	struct iotarget_note *note;

	lockdep_assert_held(&target->gate.lock);
	if (kind) {
		note = make_note(target, kind, by ? by->cookie : 0);
		if (note && kind == IOTARGET_EVENT_KIND_RETURNED)
			name_disk(note, target);
		iotarget_note_queue(note);
	}
	if (!by)
		iotarget_control_overridden();
}

/**
 * iotarget_note_created - there is a new target
 * @target: the target
 *
 * Context: any.
 */
void iotarget_note_created(struct iotarget *target)
{
	take_note(target, IOTARGET_EVENT_KIND_CREATED, 0);
}

/**
 * iotarget_note_removal - a target is about to be told of a removal
 * @target: the target
 * @kind: &enum iotarget_event_kind
 * @query: with %IOTARGET_EVENT_KIND_REMOVE_QUERY, what it is asked
 * @cookie: of the verb that it is for, or 0
 *
 * Context: any.
 */
void iotarget_note_removal(struct iotarget *target, u8 kind,
			   const struct iotarget_query *query, u64 cookie)
{
	struct iotarget_note *note = make_note(target, kind, cookie);

	if (note && query) {
		note->forced = query->forced;
		note->dry_run = query->dry_run;
	}
	iotarget_note_queue(note);
}

/**
 * iotarget_note_away - the device of a target is gone, and what becomes of that
 * @target: the target
 * @kind: %IOTARGET_EVENT_KIND_AWAY or %IOTARGET_EVENT_KIND_GIVEN_UP
 * @disk: its disk, or an empty string
 * @why: &enum iotarget_why, or 0
 *
 * That it is back is a transition.
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_note_away(struct iotarget *target, u8 kind, const char *disk,
			u8 why)
{
	struct iotarget_note *note = make_note(target, kind, 0);

	if (note) {
		note->why = why;
		strscpy(note->disk, disk, sizeof(note->disk));
	}
	iotarget_note_queue(note);
}

/**
 * iotarget_notes_flush - send what is in the queue
 *
 * Context: process; sleeps.
 */
void iotarget_notes_flush(void)
{
	flush_work(&notes_work);
}
