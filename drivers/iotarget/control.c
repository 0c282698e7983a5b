// SPDX-License-Identifier: GPL-2.0-only
/*
 * Verbs from user space, and the stops that they make.
 *
 * A verb is a row of the table below.  Its handler checks it, answers with a
 * cookie and leaves the rest to workers: one makes the transitions of all verbs
 * in the order in which they were accepted, so that the last word counts; then
 * each verb waits by itself, and an event tells its result.
 *
 * A stop or purge made here has an owner, a reason and, unless it was told to
 * last forever, a time at which it ends.  When it ends the target goes back
 * into the state in which the first of the stops that are in force found it.
 * The target's own driver stays its master: any transition that the driver
 * makes, before or after, ends all stops of that target without a transition of
 * ours.  How do we know?  The gate counts its transitions, each stop remembers
 * the count just after the last one that control made, and the transition that
 * ends it takes place only if the count, compared under gate->lock, is still
 * the same.
 *
 * A driver may stop its target here, too, if it does so for a user and for a time
 * (iotarget_stop_for()).  That is one more stop among the others, not a transition
 * of the driver's that ends them.
 *
 * A stop does not keep its target or anybody's module in memory; it knows the
 * number of the target.  A verb keeps both as long as it runs.
 *
 * Context: process.  Lock: stops_lock, a mutex; the transitions of control are
 * made with it held, so that stops and states agree, and so are the callbacks
 * of held requests that a purge fails.  They can't sleep, so they can't want it.
 *
 * Whoever holds it, or works for the end of a stop, allocates nothing: what a
 * stop needs for its end is there from its beginning.  The I/O that would free
 * memory may be what a stop holds, and an allocation as small as these are tries
 * on for ever, rather than to fail, unless it is told not to.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <net/sock.h>

#include "control.h"
#include "hooks.h"

#define MAX_VERBS		256	/* that have not ended */
#define MAX_STOPS		8	/* in force on one target */

/* For a verb: rather refused than waiting for what it would start. */
#define VERB_GFP		(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN)

/**
 * struct stop - a stop or purge in force
 * @node: in stops, in the order in which they were made                   (S)
 * @refs: the list, and the work while it is queued                        (A)
 * @cookie: of the verb that made it                                       (C)
 * @id: the target's                                                       (C)
 * @name: the target's                                                     (C)
 * @seen: gate->changes after the last transition that control made        (S)
 * @before: the state to go back to                                        (S)
 * @purge: it is a purge                                                   (C)
 * @driver: the target's driver made it, for a user                        (C)
 * @owner_gone: the socket was closed                                      (S)
 * @args: what the verb was told; with @args.hold, a reference of the socket (C)
 * @note: for the event that it has ended                                  (S)
 * @expire: ends it
 * @free: lets go of the socket
 */
struct stop {
	struct list_head		node;
	refcount_t			refs;
	u64				cookie;
	u64				id;
	char				name[IOTARGET_NAME_MAX + 1];
	u64				seen;
	enum iotarget_state		before;
	bool				purge;
	bool				driver;
	bool				owner_gone;
	struct iotarget_verb_args	args;
	struct iotarget_note		*note;
	struct delayed_work		expire;
	struct work_struct		free;
};

/**
 * struct iotarget_verb_op - a verb that was accepted and has not ended
 * @node: in verbs                                                         (S)
 * @verb: the row                                                          (C)
 * @target: with a reference and its owner's module                        (C)
 * @cookie: its number                                                     (C)
 * @args: what it was told                                                 (C)
 * @stop: what it leaves in force, until it does                           (S)
 * @note: for the result
 * @change: what to wait for
 * @work: makes the transition
 * @wait: waits
 */
struct iotarget_verb_op {
	struct list_head		node;
	const struct verb		*verb;
	struct iotarget			*target;
	u64				cookie;
	struct iotarget_verb_args	args;
	struct stop			*stop;
	struct iotarget_note		*note;
	struct iotarget_change		change;
	struct work_struct		work;
	struct work_struct		wait;
};

/**
 * struct verb - a row of the table of verbs
 * @make: makes the transition; on success sets op->change
 * @wait: waits for what it brings about
 * @events: what to do by &enum iotarget_sent_action; the first is the default,
 *	0 (%IOTARGET_EV_OPEN, which is no verb) for what is not possible
 * @stops: leaves a stop in force
 * @purge: which is a purge
 */
struct verb {
	int		(*make)(struct iotarget_verb_op *op);
	int		(*wait)(struct iotarget_verb_op *op,
				struct iotarget_wait_report *report);
	u8		events[IOTARGET_SENT_ACTION_LEAVE + 1];
	bool		stops;
	bool		purge;
};

static DEFINE_MUTEX(stops_lock);
static LIST_HEAD(stops);
static LIST_HEAD(verbs_running);
static atomic_t nr_stops, nr_verbs, nr_held;
static atomic64_t cookies;
static struct workqueue_struct *make_wq, *wait_wq;

static void reap(struct work_struct *work);
static DECLARE_WORK(reap_work, reap);

static u64 changes_of(struct iotarget *target)
{
	struct iotarget_gate *gate = &target->gate;
	u64 changes;

	spin_lock_irq(&gate->lock);
	changes = gate->changes;
	spin_unlock_irq(&gate->lock);
	return changes;
}

/* -- stops ---------------------------------------------------------------- */

static void stop_free(struct stop *stop)
{
	kfree(stop->note);
	kfree(stop);
}

/* The last reference of a socket may end somebody's dump, which takes locks. */
static void stop_free_held(struct work_struct *work)
{
	struct stop *stop = container_of(work, struct stop, free);

	sock_put(stop->args.owner);
	stop_free(stop);
}

static void stop_put(struct stop *stop)
{
	if (!refcount_dec_and_test(&stop->refs))
		return;
	if (!stop->args.hold) {
		stop_free(stop);
		return;
	}
	atomic_dec(&nr_held);
	queue_work(iotarget_slow_wq, &stop->free);
}

static void stop_end_after(struct stop *stop, unsigned int ms)
{
	refcount_inc(&stop->refs);
	if (mod_delayed_work(iotarget_fast_wq, &stop->expire,
			     iotarget_jiffies(ms)))
		stop_put(stop);
}

/* Take it out of force and tell so. */
static void stop_remove(struct stop *stop, struct iotarget *target,
			enum iotarget_why why)
{
	struct iotarget_note *note = stop->note;

	lockdep_assert_held(&stops_lock);
	note->kind = IOTARGET_EVENT_KIND_STOP_ENDED;
	note->why = why;
	note->id = stop->id;
	note->cookie = stop->cookie;
	strscpy(note->name, stop->name, sizeof(note->name));
	note->state = target ? iotarget_get_state(target) : IOTARGET_DELETED;
	stop->note = NULL;
	iotarget_note_queue(note);
	list_del_init(&stop->node);
	atomic_dec(&nr_stops);
	/* A work that runs already finds that it is not in the list. */
	if (cancel_delayed_work(&stop->expire))
		stop_put(stop);
	stop_put(stop);
}

/* The latest of a target's stops but for this one. */
static struct stop *other_stop(const struct stop *stop)
{
	struct stop *s;

	lockdep_assert_held(&stops_lock);
	list_for_each_entry_reverse(s, &stops, node) {
		if (s != stop && s->id == stop->id)
			return s;
	}
	return NULL;
}

/* Back to what was before, unless the driver has decided otherwise. */
static enum iotarget_why restore(struct stop *stop, struct iotarget *target,
				 enum iotarget_why why)
{
	const struct iotarget_by by = {
		.cookie = stop->cookie,
		.unchanged = stop->seen,
	};
	struct stop *other = other_stop(stop);
	enum iotarget_state wanted = stop->before;
	struct iotarget_change change;
	enum iotarget_event event;
	struct stop *s;

	if (other)
		wanted = other->purge ? IOTARGET_PURGED : IOTARGET_STOPPED;
	if (changes_of(target) != stop->seen)
		return IOTARGET_WHY_OVERRIDDEN;
	event = iotarget_event_to(iotarget_get_state(target), wanted);
	if (event == IOTARGET_NR_EVENTS)
		return why;
	if (iotarget_control_event(target, event, &by, &change))
		return IOTARGET_WHY_OVERRIDDEN;
	iotarget_change_put(&change);
	list_for_each_entry(s, &stops, node) {
		if (s->id == stop->id && s->seen == stop->seen)
			s->seen = s == stop ? s->seen : change.changes;
	}
	return why;
}

static void stop_end(struct stop *stop, enum iotarget_why why)
{
	struct iotarget *target = iotarget_registry_find(stop->id);

	lockdep_assert_held(&stops_lock);
	if (!target || iotarget_get_state(target) == IOTARGET_DELETED)
		why = IOTARGET_WHY_GONE;
	else
		why = restore(stop, target, why);
	stop_remove(stop, target, why);
	if (target)
		iotarget_gate_unpin(target);
}

static void stop_expire(struct work_struct *work)
{
	struct stop *stop = container_of(to_delayed_work(work), struct stop,
					 expire);

	mutex_lock(&stops_lock);
	if (!list_empty(&stop->node)) {
		/* Who wrote a word into a file does not listen for events. */
		if (stop->driver)
			pr_notice("iotarget: %s: its stop has expired\n",
				  stop->name);
		stop_end(stop, stop->owner_gone ? IOTARGET_WHY_OWNER_GONE :
						  IOTARGET_WHY_EXPIRED);
	}
	mutex_unlock(&stops_lock);
	stop_put(stop);
}

/* Drivers have changed states: which stops are not in force any more? */
static void reap(struct work_struct *work)
{
	struct iotarget *target;
	struct stop *stop, *next;

	mutex_lock(&stops_lock);
	list_for_each_entry_safe(stop, next, &stops, node) {
		target = iotarget_registry_find(stop->id);
		if (!target || iotarget_get_state(target) == IOTARGET_DELETED)
			stop_remove(stop, target, IOTARGET_WHY_GONE);
		else if (changes_of(target) != stop->seen)
			stop_remove(stop, target, IOTARGET_WHY_OVERRIDDEN);
		if (target)
			iotarget_gate_unpin(target);
	}
	mutex_unlock(&stops_lock);
}

/**
 * iotarget_control_overridden - a driver has changed the state of a target
 *
 * Context: any, under gate->lock, too.
 */
void iotarget_control_overridden(void)
{
	if (unlikely(atomic_read(&nr_stops)))
		queue_work(iotarget_fast_wq, &reap_work);
}

/*
 * Its number alone does not say which socket it was: that is free before those
 * are told who ask for it, so that it may be another's by now.
 */
static bool lost_owner(const struct stop *stop, u32 portid)
{
	return stop->args.hold && stop->args.portid == portid &&
	       sock_flag(stop->args.owner, SOCK_DEAD);
}

/**
 * iotarget_control_owner_gone - a socket was closed
 * @portid: its number
 *
 * Context: process; sleeps.
 */
void iotarget_control_owner_gone(u32 portid)
{
	struct iotarget_verb_op *op;
	struct stop *stop;

	if (!atomic_read(&nr_held))
		return;
	mutex_lock(&stops_lock);
	list_for_each_entry(op, &verbs_running, node) {
		if (op->stop && lost_owner(op->stop, portid))
			op->stop->owner_gone = true;
	}
	list_for_each_entry(stop, &stops, node) {
		if (!lost_owner(stop, portid))
			continue;
		stop->owner_gone = true;
		stop_end_after(stop, 0);
	}
	mutex_unlock(&stops_lock);
}

/**
 * iotarget_stops_each - look at a target's stops that are in force
 * @target: the target
 * @each: called for each, with a mutex held; a result that isn't 0 ends it
 * @context: for @each
 *
 * Context: process; sleeps.
 * Return: the last result of @each, or 0.
 */
int iotarget_stops_each(struct iotarget *target,
			int (*each)(void *context,
				    const struct iotarget_stop_info *info),
			void *context)
{
	struct iotarget_stop_info info;
	unsigned long expires;
	struct stop *stop;
	int ret = 0;
	u64 changes;

	if (!atomic_read(&nr_stops))
		return 0;
	mutex_lock(&stops_lock);
	changes = changes_of(target);
	list_for_each_entry(stop, &stops, node) {
		if (stop->id != target->id || stop->seen != changes)
			continue;
		info.cookie = stop->cookie;
		info.purge = stop->purge;
		info.args = &stop->args;
		expires = READ_ONCE(stop->expire.timer.expires);
		info.left_ms = time_before(jiffies, expires) ?
			jiffies_to_msecs(expires - jiffies) : 0;
		ret = each(context, &info);
		if (ret)
			break;
	}
	mutex_unlock(&stops_lock);
	return ret;
}

/* -- verbs ---------------------------------------------------------------- */

static enum iotarget_event event_of(const struct iotarget_verb_op *op)
{
	return op->verb->events[op->args.action];
}

/*
 * The stop is in force.  Those that were, and that no driver has ended, go on:
 * the new one will restore what the first of them found.
 */
static void enforce(struct stop *stop, struct iotarget *target,
		    const struct iotarget_change *change)
{
	struct stop *s, *next;

	lockdep_assert_held(&stops_lock);
	stop->before = iotarget_word_state(change->before);
	list_for_each_entry_safe(s, next, &stops, node) {
		if (s->id != stop->id)
			continue;
		if (s->seen + 1 != change->changes) {
			stop_remove(s, target, IOTARGET_WHY_OVERRIDDEN);
			continue;
		}
		s->seen = change->changes;
		stop->before = s->before;
	}
	stop->seen = change->changes;
	list_add_tail(&stop->node, &stops);
	atomic_inc(&nr_stops);
	if (stop->args.expires_ms)
		stop_end_after(stop, stop->args.expires_ms);
}

/* The driver's new one takes the place of its old one. */
static bool too_many(const struct iotarget *target, bool driver)
{
	unsigned int n = 0;
	struct stop *stop;

	list_for_each_entry(stop, &stops, node)
		n += stop->id == target->id && !(driver && stop->driver);
	return n >= MAX_STOPS;
}

static int make_stop(struct iotarget_verb_op *op)
{
	const struct iotarget_by by = { .cookie = op->cookie };
	int ret;

	mutex_lock(&stops_lock);
	if (op->stop->owner_gone)
		ret = -ECANCELED;
	else if (too_many(op->target, false))
		ret = -EUSERS;
	else
		ret = iotarget_control_event(op->target, event_of(op), &by,
					     &op->change);
	if (!ret) {
		enforce(op->stop, op->target, &op->change);
		op->stop = NULL;
	}
	mutex_unlock(&stops_lock);
	/* The driver may have come between, unseen as there was no stop. */
	iotarget_control_overridden();
	return ret;
}

static int wait_stop(struct iotarget_verb_op *op,
		     struct iotarget_wait_report *report)
{
	return iotarget_gate_wait(op->target, &op->change, op->args.timeout_ms,
				  report);
}

static int make_start(struct iotarget_verb_op *op)
{
	const struct iotarget_by by = { .cookie = op->cookie };
	struct stop *stop, *next;
	int ret;

	mutex_lock(&stops_lock);
	ret = iotarget_control_event(op->target, event_of(op), &by,
				     &op->change);
	if (!ret) {
		list_for_each_entry_safe(stop, next, &stops, node) {
			if (stop->id == op->target->id)
				stop_remove(stop, op->target,
					    IOTARGET_WHY_STARTED);
		}
	}
	mutex_unlock(&stops_lock);
	return ret;
}

static int wait_start(struct iotarget_verb_op *op,
		      struct iotarget_wait_report *report)
{
	return iotarget_gate_wait_drained(op->target, op->args.timeout_ms,
					  report);
}

/* A purge cancels; "wait" without it would be another thing. */
static const struct verb verb_table[] = {
	[IOTARGET_CMD_STOP] = {
		.make = make_stop, .wait = wait_stop, .stops = true,
		.events = {
			IOTARGET_EV_STOP_WAIT, IOTARGET_EV_STOP_CANCEL,
			IOTARGET_EV_STOP_WAIT, IOTARGET_EV_STOP_LEAVE,
		},
	},
	[IOTARGET_CMD_START] = {
		.make = make_start, .wait = wait_start,
		.events = { IOTARGET_EV_START },
	},
	[IOTARGET_CMD_PURGE] = {
		.make = make_stop, .wait = wait_stop, .stops = true,
		.purge = true,
		.events = {
			IOTARGET_EV_PURGE_WAIT, IOTARGET_EV_PURGE_WAIT,
			IOTARGET_EV_OPEN, IOTARGET_EV_PURGE,
		},
	},
};

/**
 * iotarget_verb_stops - does a verb leave a stop in force?
 * @cmd: the verb
 *
 * Context: any.
 * Return: true if so.
 */
bool iotarget_verb_stops(u8 cmd)
{
	return verb_table[cmd].stops;
}

/**
 * iotarget_verb_has_action - can a verb do that about sent requests?
 * @cmd: the verb
 * @action: &enum iotarget_sent_action
 *
 * Context: any.
 * Return: true if so.
 */
bool iotarget_verb_has_action(u8 cmd, u8 action)
{
	return verb_table[cmd].events[action] != IOTARGET_EV_OPEN;
}

/**
 * iotarget_verb_error - what an error of a verb means
 * @error: the negative errno, or 0
 *
 * Context: any.
 * Return: a constant string, or NULL.
 */
const char *iotarget_verb_error(int error)
{
	switch (error) {
	case 0:
		return NULL;
	case -ETIMEDOUT:
		return "requests are still out; the state is as asked for";
	case -ECANCELED:
		return "another transition came, or the socket was closed";
	case -ESHUTDOWN:
		return "the target is closed";
	case -EBUSY:
		return "the target is being opened";
	case -EUSERS:
		return "too many stops or verbs are in force already";
	case -ENOMEM:
		return "no memory";
	default:
		return "failed";
	}
}

static void op_free(struct iotarget_verb_op *op)
{
	if (op->stop)
		stop_put(op->stop);
	kfree(op->note);
	iotarget_gate_unpin(op->target);
	kfree(op);
	atomic_dec(&nr_verbs);
}

static void op_unlist(struct iotarget_verb_op *op)
{
	mutex_lock(&stops_lock);
	list_del(&op->node);
	mutex_unlock(&stops_lock);
}

static void op_end(struct iotarget_verb_op *op, int error)
{
	struct iotarget *target = op->target;
	struct iotarget_note *note = op->note;

	note->error = error;
	note->message = iotarget_verb_error(error);
	iotarget_note_fill(note, target, IOTARGET_EVENT_KIND_RESULT,
			   op->cookie);
	op->note = NULL;
	op_unlist(op);
	/* First: who hears the result may want to unload the owner. */
	op_free(op);
	iotarget_note_queue(note);
	iotarget_hook(IOTARGET_HOOK_VERB_TOLD, target);
}

static void op_wait(struct work_struct *work)
{
	struct iotarget_verb_op *op = container_of(work,
						   struct iotarget_verb_op,
						   wait);
	int ret;

	ret = op->verb->wait(op, &op->note->report);
	iotarget_change_put(&op->change);
	op_end(op, ret);
}

static void op_make(struct work_struct *work)
{
	struct iotarget_verb_op *op = container_of(work,
						   struct iotarget_verb_op,
						   work);
	int ret;

	iotarget_hook(IOTARGET_HOOK_VERB_MAKE, op->target);
	ret = op->verb->make(op);
	if (ret)
		op_end(op, ret);
	else
		queue_work(wait_wq, &op->wait);
}

static struct stop *stop_alloc(const struct iotarget *target, u64 cookie,
			       const struct iotarget_verb_args *args)
{
	struct stop *stop = kzalloc(sizeof(*stop), VERB_GFP);

	if (!stop)
		return NULL;
	stop->note = iotarget_note_alloc(VERB_GFP);
	if (!stop->note) {
		kfree(stop);
		return NULL;
	}
	INIT_LIST_HEAD(&stop->node);
	INIT_DELAYED_WORK(&stop->expire, stop_expire);
	INIT_WORK(&stop->free, stop_free_held);
	refcount_set(&stop->refs, 1);
	stop->cookie = cookie;
	stop->id = target->id;
	strscpy(stop->name, target->name, sizeof(stop->name));
	stop->args = *args;
	if (stop->args.hold) {
		sock_hold(stop->args.owner);
		atomic_inc(&nr_held);
	}
	return stop;
}

/**
 * iotarget_verb_begin - accept a verb, or refuse it
 * @cmd: the verb
 * @target: the target, pinned; the pin goes with success
 * @a: what it was told; copied, with a reference of the socket if need be
 * @message: set to why it was refused
 *
 * Nothing has happened yet when this returns.
 *
 * Context: process; sleeps for memory only, and no I/O.
 * Return: the verb, for iotarget_verb_go() or iotarget_verb_abort(), or an
 * ERR_PTR: what the state table says of the target's state, -EUSERS, -ENOMEM.
 */
struct iotarget_verb_op *iotarget_verb_begin(u8 cmd, struct iotarget *target,
					     const struct iotarget_verb_args *a,
					     const char **message)
{
	const struct verb *verb = &verb_table[cmd];
	struct iotarget_verb_op *op;
	int ret;

	ret = iotarget_rule(READ_ONCE(target->gate.word),
			    verb->events[a->action])->error;
	if (!ret && !atomic_add_unless(&nr_verbs, 1, MAX_VERBS))
		ret = -EUSERS;
	if (ret)
		goto refuse;
	op = kzalloc(sizeof(*op), VERB_GFP);
	if (!op) {
		atomic_dec(&nr_verbs);
		ret = -ENOMEM;
		goto refuse;
	}
	INIT_WORK(&op->work, op_make);
	INIT_WORK(&op->wait, op_wait);
	op->verb = verb;
	op->cookie = atomic64_inc_return(&cookies);
	op->args = *a;
	op->target = target;
	op->note = iotarget_note_alloc(VERB_GFP);
	if (verb->stops)
		op->stop = stop_alloc(target, op->cookie, a);
	if (op->stop)
		op->stop->purge = verb->purge;
	if (!op->note || (verb->stops && !op->stop)) {
		ret = -ENOMEM;
		goto free_op;
	}
	mutex_lock(&stops_lock);
	list_add_tail(&op->node, &verbs_running);
	mutex_unlock(&stops_lock);
	return op;

free_op:
	/* The caller keeps the target. */
	if (op->stop)
		stop_put(op->stop);
	kfree(op->note);
	kfree(op);
	atomic_dec(&nr_verbs);
refuse:
	*message = iotarget_verb_error(ret);
	return ERR_PTR(ret);
}

/**
 * iotarget_verb_cookie - the number of a verb
 * @op: the verb
 *
 * Context: any.
 * Return: the number, never given twice.
 */
u64 iotarget_verb_cookie(const struct iotarget_verb_op *op)
{
	return op->cookie;
}

/**
 * iotarget_verb_go - carry a verb out; its result is an event
 * @op: the verb; not to be touched afterwards
 *
 * Context: process.
 */
void iotarget_verb_go(struct iotarget_verb_op *op)
{
	queue_work(make_wq, &op->work);
}

/**
 * iotarget_verb_abort - drop a verb that was not begun
 * @op: the verb
 *
 * Context: process; sleeps.
 */
void iotarget_verb_abort(struct iotarget_verb_op *op)
{
	op_unlist(op);
	op_free(op);
}

/* -- stops that a driver makes for a user ---------------------------------- */

/* What the driver wants when this ends is a started target, whoever else stops it. */
static int make_stop_for(struct stop *stop, struct iotarget *target)
{
	const struct iotarget_by by = { .cookie = stop->cookie };
	struct iotarget_change change;
	struct stop *s, *next;
	int ret;

	lockdep_assert_held(&stops_lock);
	if (too_many(target, true))
		return -EUSERS;
	ret = iotarget_control_event(target, IOTARGET_EV_STOP_LEAVE, &by,
				     &change);
	if (ret)
		return ret;
	enforce(stop, target, &change);
	iotarget_change_put(&change);
	list_for_each_entry_safe(s, next, &stops, node) {
		if (s->id != stop->id)
			continue;
		s->before = IOTARGET_STARTED;
		if (s->driver && s != stop)
			stop_remove(s, target, IOTARGET_WHY_OVERRIDDEN);
	}
	return 0;
}

/**
 * iotarget_stop_for - hold what comes, for a time
 * @target: the target
 * @expires_ms: how long, or %IOTARGET_WAIT_FOREVER
 * @reason: for those who find it stopped
 *
 * For drivers whose users may stop the target.  What is sent comes back by itself.
 * The process that calls is shown as the stop's owner.  Another call makes another
 * stop in its place.  When it ends, the target is started; while it is stopped or
 * purged from user space as well (control.rst), that goes on, and then it is started.
 * Any other transition that the driver makes ends it early, and so does a start from
 * user space.  There is no such call without CONFIG_NET.
 *
 * Extension.
 *
 * Context: process; sleeps for memory only, without I/O.
 * Return: 0; refused with -ESHUTDOWN when closed or deleted, -EBUSY while it is
 * being opened, -EUSERS when it is stopped from user space 8 times already,
 * -ENOMEM, -EINVAL, -EWOULDBLOCK.
 */
int iotarget_stop_for(struct iotarget *target, unsigned int expires_ms,
		      const char *reason)
{
	struct iotarget_verb_args args = {
		.expires_ms = expires_ms == IOTARGET_WAIT_FOREVER ? 0 :
								    expires_ms,
		.pid = task_tgid_nr(current),
	};
	struct stop *stop;
	int ret;

	if (!target || !expires_ms || !reason)
		return -EINVAL;
	ret = iotarget_may_wait(target, expires_ms);
	if (ret)
		return ret;
	get_task_comm(args.comm, current);
	strscpy(args.reason, reason, sizeof(args.reason));
	stop = stop_alloc(target, atomic64_inc_return(&cookies), &args);
	if (!stop)
		return -ENOMEM;
	stop->driver = true;
	mutex_lock(&stops_lock);
	ret = make_stop_for(stop, target);
	mutex_unlock(&stops_lock);
	if (ret) {
		iotarget_warn(target, "stop refused: error %d\n", ret);
		stop_put(stop);
		return ret;
	}
	/* A transition of the driver's may have come between, as in make_stop(). */
	iotarget_control_overridden();
	return 0;
}
EXPORT_SYMBOL_GPL(iotarget_stop_for);

/**
 * iotarget_control_init - begin to listen
 *
 * Context: module load.
 * Return: 0 or a negative errno.
 */
int iotarget_control_init(void)
{
	int ret = -ENOMEM;

	/* Starting what is held may be what frees memory. */
	make_wq = alloc_ordered_workqueue("iotarget_verb", WQ_MEM_RECLAIM);
	if (!make_wq)
		return ret;
	wait_wq = alloc_workqueue("iotarget_verb_wait", WQ_UNBOUND, MAX_VERBS);
	if (!wait_wq)
		goto destroy_make;
	ret = iotarget_nl_init();
	if (!ret)
		return 0;
	destroy_workqueue(wait_wq);
destroy_make:
	destroy_workqueue(make_wq);
	return ret;
}

/**
 * iotarget_control_exit - end it
 *
 * There is no target any more, so that verbs have nothing to wait for and stops
 * nothing to restore.
 *
 * Context: module unload; sleeps.
 */
void iotarget_control_exit(void)
{
	struct stop *stop, *next;

	/* In this order: no new verbs and events, no new stops, no works. */
	iotarget_nl_exit();
	destroy_workqueue(make_wq);
	destroy_workqueue(wait_wq);
	mutex_lock(&stops_lock);
	list_for_each_entry_safe(stop, next, &stops, node)
		stop_remove(stop, NULL, IOTARGET_WHY_GONE);
	mutex_unlock(&stops_lock);
	cancel_work_sync(&reap_work);
}
