// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stops and purges that are in force for somebody in user space.
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
 * number of the target.
 *
 * Context: process.  Lock: iotarget_stops_lock, a mutex; the transitions of control are
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
#include <linux/slab.h>
#include <linux/string.h>
#include <net/sock.h>

#include "stops.h"

#define MAX_STOPS		8	/* in force on one target */

/* Held over the transitions of control, so that stops and states agree. */
DEFINE_MUTEX(iotarget_stops_lock);
static LIST_HEAD(stops);
static atomic_t nr_stops, nr_held;
static atomic64_t cookies;

static void reap(struct work_struct *work);
static DECLARE_WORK(reap_work, reap);

/**
 * iotarget_stop_cookie - a number for a verb, and the stop that it makes
 *
 * Context: any.
 * Return: one that was never given before.
 */
u64 iotarget_stop_cookie(void)
{
	return atomic64_inc_return(&cookies);
}

static void stop_free(struct iotarget_stop *stop)
{
	kfree(stop->note);
	kfree(stop);
}

/* The last reference of a socket may end somebody's dump, which takes locks. */
static void stop_free_held(struct work_struct *work)
{
	struct iotarget_stop *stop = container_of(work, struct iotarget_stop, free);

	sock_put(stop->args.owner);
	stop_free(stop);
}

/**
 * iotarget_stop_put - drop a reference of a stop
 * @stop: the stop
 *
 * Context: any.
 */
void iotarget_stop_put(struct iotarget_stop *stop)
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

static void stop_end_after(struct iotarget_stop *stop, unsigned int ms)
{
	refcount_inc(&stop->refs);
	if (mod_delayed_work(iotarget_fast_wq, &stop->expire,
			     iotarget_jiffies(ms)))
		iotarget_stop_put(stop);
}

/* Take it out of force and tell so. */
static void stop_remove(struct iotarget_stop *stop, struct iotarget *target,
			enum iotarget_why why)
{
	struct iotarget_note *note = stop->note;

	lockdep_assert_held(&iotarget_stops_lock);
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
		iotarget_stop_put(stop);
	iotarget_stop_put(stop);
}

/* The latest of a target's stops but for this one. */
static struct iotarget_stop *other_stop(const struct iotarget_stop *stop)
{
	struct iotarget_stop *s;

	lockdep_assert_held(&iotarget_stops_lock);
	list_for_each_entry_reverse(s, &stops, node) {
		if (s != stop && s->id == stop->id)
			return s;
	}
	return NULL;
}

/* Back to what was before, unless the driver has decided otherwise. */
static enum iotarget_why restore(struct iotarget_stop *stop, struct iotarget *target,
				 enum iotarget_why why)
{
	const struct iotarget_by by = {
		.cookie = stop->cookie,
		.unchanged = stop->seen,
	};
	struct iotarget_stop *other = other_stop(stop);
	enum iotarget_state wanted = stop->before;
	struct iotarget_change change;
	enum iotarget_event event;
	struct iotarget_stop *s;

	if (other)
		wanted = other->purge ? IOTARGET_PURGED : IOTARGET_STOPPED;
	if (iotarget_gate_changes(&target->gate) != stop->seen)
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

static void stop_end(struct iotarget_stop *stop, enum iotarget_why why)
{
	struct iotarget *target = iotarget_registry_find(stop->id);

	lockdep_assert_held(&iotarget_stops_lock);
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
	struct iotarget_stop *stop = container_of(to_delayed_work(work), struct iotarget_stop,
					 expire);

	mutex_lock(&iotarget_stops_lock);
	if (!list_empty(&stop->node)) {
		/* Who wrote a word into a file does not listen for events. */
		if (stop->driver)
			pr_notice("iotarget: %s: its stop has expired\n",
				  stop->name);
		stop_end(stop, stop->owner_gone ? IOTARGET_WHY_OWNER_GONE :
						  IOTARGET_WHY_EXPIRED);
	}
	mutex_unlock(&iotarget_stops_lock);
	iotarget_stop_put(stop);
}

/* Drivers have changed states: which stops are not in force any more? */
static void reap(struct work_struct *work)
{
	struct iotarget *target;
	struct iotarget_stop *stop, *next;

	mutex_lock(&iotarget_stops_lock);
	list_for_each_entry_safe(stop, next, &stops, node) {
		target = iotarget_registry_find(stop->id);
		if (!target || iotarget_get_state(target) == IOTARGET_DELETED)
			stop_remove(stop, target, IOTARGET_WHY_GONE);
		else if (iotarget_gate_changes(&target->gate) != stop->seen)
			stop_remove(stop, target, IOTARGET_WHY_OVERRIDDEN);
		if (target)
			iotarget_gate_unpin(target);
	}
	mutex_unlock(&iotarget_stops_lock);
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
	struct iotarget_stop *stop;
	int ret = 0;
	u64 changes;

	if (!atomic_read(&nr_stops))
		return 0;
	mutex_lock(&iotarget_stops_lock);
	changes = iotarget_gate_changes(&target->gate);
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
	mutex_unlock(&iotarget_stops_lock);
	return ret;
}

/**
 * iotarget_stop_lost_owner - was the socket closed that a stop ends with?
 * @stop: the stop
 * @portid: number of a socket that was closed
 *
 * Its number alone does not say which socket it was: that is free before those
 * are told who ask for it, so that it may be another's by now.
 *
 * Context: any.
 * Return: true if so.
 */
bool iotarget_stop_lost_owner(const struct iotarget_stop *stop, u32 portid)
{
	return stop->args.hold && stop->args.portid == portid &&
	       sock_flag(stop->args.owner, SOCK_DEAD);
}

/**
 * iotarget_stops_held - is there a stop that ends with a socket?
 *
 * Context: any.
 * Return: true if there may be one.
 */
bool iotarget_stops_held(void)
{
	return atomic_read(&nr_held);
}

/**
 * iotarget_stops_owner_gone - a socket was closed
 * @portid: its number
 *
 * Context: process; iotarget_stops_lock is held.
 */
void iotarget_stops_owner_gone(u32 portid)
{
	struct iotarget_stop *stop;

	lockdep_assert_held(&iotarget_stops_lock);
	list_for_each_entry(stop, &stops, node) {
		if (!iotarget_stop_lost_owner(stop, portid))
			continue;
		stop->owner_gone = true;
		stop_end_after(stop, 0);
	}
}

/**
 * iotarget_stops_end - end all stops of a target, whose state was changed
 * @target: the target
 * @why: for those who listen
 *
 * Context: process; iotarget_stops_lock is held.
 */
void iotarget_stops_end(struct iotarget *target, enum iotarget_why why)
{
	struct iotarget_stop *stop, *next;

	lockdep_assert_held(&iotarget_stops_lock);
	list_for_each_entry_safe(stop, next, &stops, node) {
		if (stop->id == target->id)
			stop_remove(stop, target, why);
	}
}

/**
 * iotarget_stop_alloc - make a stop, not in force yet
 * @target: its target
 * @cookie: of the verb
 * @args: what it was told; with @args->hold it takes a reference of the socket
 *
 * Context: process; sleeps for memory only, without I/O.
 * Return: the stop, with one reference, or NULL.
 */
struct iotarget_stop *iotarget_stop_alloc(const struct iotarget *target,
					  u64 cookie,
					  const struct iotarget_verb_args *args)
{
	struct iotarget_stop *stop = kzalloc(sizeof(*stop), IOTARGET_VERB_GFP);

	if (!stop)
		return NULL;
	stop->note = iotarget_note_alloc(IOTARGET_VERB_GFP);
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

/*
 * The stop is in force.  Those that were, and that no driver has ended, go on:
 * the new one will restore what the first of them found.
 */
static void enforce(struct iotarget_stop *stop, struct iotarget *target,
		    const struct iotarget_change *change)
{
	struct iotarget_stop *s, *next;

	lockdep_assert_held(&iotarget_stops_lock);
	/* One that waits for its device is to start when that is back. */
	stop->before = change->before == IOTARGET_W_AWAY ?
		       IOTARGET_STARTED : iotarget_word_state(change->before);
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
	struct iotarget_stop *stop;

	list_for_each_entry(stop, &stops, node)
		n += stop->id == target->id && !(driver && stop->driver);
	return n >= MAX_STOPS;
}

/**
 * iotarget_stop_enforce - make the transition of a stop, and have it in force
 * @stop: the stop; with success it is the list's
 * @target: its target
 * @event: the transition
 * @change: filled in with success
 *
 * Context: process; iotarget_stops_lock is held.
 * Return: 0, -ECANCELED if its owner has gone, -EUSERS if there are too many, and
 * as iotarget_control_event().
 */
int iotarget_stop_enforce(struct iotarget_stop *stop, struct iotarget *target,
			  enum iotarget_event event,
			  struct iotarget_change *change)
{
	const struct iotarget_by by = { .cookie = stop->cookie };
	int ret;

	lockdep_assert_held(&iotarget_stops_lock);
	if (stop->owner_gone)
		return -ECANCELED;
	if (too_many(target, stop->driver))
		return -EUSERS;
	ret = iotarget_control_event(target, event, &by, change);
	if (!ret)
		enforce(stop, target, change);
	return ret;
}

/* -- stops that a driver makes for a user ---------------------------------- */

/* What the driver wants when this ends is a started target, whoever else stops it. */
static int make_stop_for(struct iotarget_stop *stop, struct iotarget *target)
{
	struct iotarget_change change;
	struct iotarget_stop *s, *next;
	int ret;

	lockdep_assert_held(&iotarget_stops_lock);
	ret = iotarget_stop_enforce(stop, target, IOTARGET_EV_STOP_LEAVE,
				    &change);
	if (ret)
		return ret;
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
	struct iotarget_stop *stop;
	int ret;

	if (!target || !expires_ms || !reason)
		return -EINVAL;
	ret = iotarget_may_wait(target, expires_ms);
	if (ret)
		return ret;
	get_task_comm(args.comm, current);
	strscpy(args.reason, reason, sizeof(args.reason));
	stop = iotarget_stop_alloc(target, iotarget_stop_cookie(), &args);
	if (!stop)
		return -ENOMEM;
	stop->driver = true;
	mutex_lock(&iotarget_stops_lock);
	ret = make_stop_for(stop, target);
	mutex_unlock(&iotarget_stops_lock);
	if (ret) {
		iotarget_warn(target, "stop refused: error %d\n", ret);
		iotarget_stop_put(stop);
		return ret;
	}
	/* A transition of the driver's may have come between, as in make_stop(). */
	iotarget_control_overridden();
	return 0;
}
EXPORT_SYMBOL_GPL(iotarget_stop_for);

/**
 * iotarget_stops_exit - forget all
 *
 * There is no target any more, so they have nothing to restore.
 *
 * Context: module unload; sleeps.
 */
void iotarget_stops_exit(void)
{
	struct iotarget_stop *stop, *next;

	mutex_lock(&iotarget_stops_lock);
	list_for_each_entry_safe(stop, next, &stops, node)
		stop_remove(stop, NULL, IOTARGET_WHY_GONE);
	mutex_unlock(&iotarget_stops_lock);
	cancel_work_sync(&reap_work);
}
