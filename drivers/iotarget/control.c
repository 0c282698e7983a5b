// SPDX-License-Identifier: GPL-2.0-only
/*
 * Verbs from user space.
 *
 * A verb is a row of the table below.  Its handler checks it, answers with a
 * cookie and leaves the rest to workers: one makes the transitions of all verbs
 * in the order in which they were accepted, so that the last word counts; then
 * each verb waits by itself, and an event tells its result.
 *
 * A verb keeps its target and the module of that target's owner as long as it
 * runs.  The stop that it leaves, if it does, is kept in stops.c.
 *
 * Context: process.  Lock: iotarget_stops_lock, for the list of verbs; see
 * stops.c.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "hooks.h"
#include "stops.h"

#define MAX_VERBS		256	/* that have not ended */

/**
 * struct iotarget_verb_op - a verb that was accepted and has not ended
 * @node: in verbs                                                         (S)
 * @verb: the row                                                          (C)
 * @target: with a reference and its owner's module                        (C)
 * @cookie: its number                                                     (C)
 * @args: what it was told                                                 (C)
 * @stop: what it leaves in force, until it does                           (S)
 * @note: for the result
 * @why: what its error means, if that is not what it means otherwise
 * @change: what to wait for
 * @reopen: likewise
 * @work: makes the transition
 * @wait: waits
 */
struct iotarget_verb_op {
	struct list_head		node;
	const struct verb		*verb;
	struct iotarget			*target;
	u64				cookie;
	struct iotarget_verb_args	args;
	struct iotarget_stop		*stop;
	struct iotarget_note		*note;
	const char			*why;
	struct iotarget_change		change;
	struct iotarget_reopen		reopen;
	struct work_struct		work;
	struct work_struct		wait;
};

/**
 * struct verb - a row of the table of verbs
 * @check: can it be done?  NULL to ask the table of states for the first event
 * @make: makes the transition; on success sets op->change
 * @wait: waits for what it brings about
 * @events: what to do by &enum iotarget_sent_action; the first is the default,
 *	0 (%IOTARGET_EV_OPEN, which is no verb) for what is not possible
 * @stops: leaves a stop in force
 * @purge: which is a purge
 */
struct verb {
	int		(*check)(struct iotarget *target,
				 const struct iotarget_verb_args *args,
				 const char **why);
	int		(*make)(struct iotarget_verb_op *op);
	int		(*wait)(struct iotarget_verb_op *op,
				struct iotarget_wait_report *report);
	u8		events[IOTARGET_SENT_ACTION_LEAVE + 1];
	bool		stops;
	bool		purge;
};

static LIST_HEAD(verbs_running);
static atomic_t nr_verbs;
static struct workqueue_struct *make_wq, *wait_wq;

static enum iotarget_event event_of(const struct iotarget_verb_op *op)
{
	return op->verb->events[op->args.action];
}

static int make_stop(struct iotarget_verb_op *op)
{
	int ret;

	mutex_lock(&iotarget_stops_lock);
	ret = iotarget_stop_enforce(op->stop, op->target, event_of(op),
				    &op->change);
	if (!ret)
		op->stop = NULL;
	mutex_unlock(&iotarget_stops_lock);
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
	int ret;

	mutex_lock(&iotarget_stops_lock);
	ret = iotarget_control_event(op->target, event_of(op), &by,
				     &op->change);
	if (!ret)
		iotarget_stops_end(op->target, IOTARGET_WHY_STARTED);
	mutex_unlock(&iotarget_stops_lock);
	return ret;
}

static int wait_start(struct iotarget_verb_op *op,
		      struct iotarget_wait_report *report)
{
	int ret = iotarget_gate_wait_drained(op->target, op->args.timeout_ms,
					     report);

	if (ret == -ECANCELED && READ_ONCE(op->target->gate.lost))
		op->why = "its device is gone: it starts when that is back";
	else if (ret == -ECANCELED && READ_ONCE(op->target->gate.agreed))
		op->why = "it has agreed that its device goes: it starts if that stays";
	return ret;
}

static int check_policy(struct iotarget *target,
			const struct iotarget_verb_args *args, const char **why)
{
	return iotarget_policy_check(target, &args->policy, why);
}

static int make_policy(struct iotarget_verb_op *op)
{
	return iotarget_policy_change(op->target, &op->args.policy, &op->why);
}

static void report_now(struct iotarget *target,
		       struct iotarget_wait_report *report)
{
	struct iotarget_inst *inst = iotarget_inst_current(target);

	iotarget_gate_report(target, inst, report);
	if (inst)
		iotarget_inst_put(inst);
}

/* There is nothing to be waited for. */
static int wait_policy(struct iotarget_verb_op *op,
		       struct iotarget_wait_report *report)
{
	report_now(op->target, report);
	return 0;
}

static int check_reopen(struct iotarget *target,
			const struct iotarget_verb_args *args, const char **why)
{
	return iotarget_reopen_check(target, why);
}

static int make_reopen(struct iotarget_verb_op *op)
{
	return iotarget_reopen_begin(op->target, &op->reopen, &op->why);
}

static int wait_reopen(struct iotarget_verb_op *op,
		       struct iotarget_wait_report *report)
{
	int ret = iotarget_reopen_end(op->target, &op->reopen,
				      op->args.timeout_ms, &op->why);

	report_now(op->target, report);
	return ret;
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
	[IOTARGET_CMD_POLICY] = {
		.check = check_policy, .make = make_policy,
		.wait = wait_policy,
	},
	[IOTARGET_CMD_REOPEN] = {
		.check = check_reopen, .make = make_reopen,
		.wait = wait_reopen,
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
		iotarget_stop_put(op->stop);
	kfree(op->note);
	iotarget_gate_unpin(op->target);
	kfree(op);
	atomic_dec(&nr_verbs);
}

static void op_unlist(struct iotarget_verb_op *op)
{
	mutex_lock(&iotarget_stops_lock);
	list_del(&op->node);
	mutex_unlock(&iotarget_stops_lock);
}

static void op_end(struct iotarget_verb_op *op, int error)
{
	struct iotarget *target = op->target;
	struct iotarget_note *note = op->note;

	note->error = error;
	note->message = error && op->why ? op->why : iotarget_verb_error(error);
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
 * ERR_PTR: what the state table, or the verb, says of the target's state, -EUSERS,
 * -ENOMEM.
 */
struct iotarget_verb_op *iotarget_verb_begin(u8 cmd, struct iotarget *target,
					     const struct iotarget_verb_args *a,
					     const char **message)
{
	const struct verb *verb = &verb_table[cmd];
	struct iotarget_verb_op *op;
	int ret;

	*message = NULL;
	ret = verb->check ? verb->check(target, a, message) :
	      iotarget_rule(READ_ONCE(target->gate.word),
			    verb->events[a->action])->error;
	if (!ret && !atomic_add_unless(&nr_verbs, 1, MAX_VERBS))
		ret = -EUSERS;
	if (ret)
		goto refuse;
	op = kzalloc(sizeof(*op), IOTARGET_VERB_GFP);
	if (!op) {
		atomic_dec(&nr_verbs);
		ret = -ENOMEM;
		goto refuse;
	}
	INIT_WORK(&op->work, op_make);
	INIT_WORK(&op->wait, op_wait);
	op->verb = verb;
	op->cookie = iotarget_stop_cookie();
	op->args = *a;
	op->target = target;
	op->note = iotarget_note_alloc(IOTARGET_VERB_GFP);
	if (verb->stops)
		op->stop = iotarget_stop_alloc(target, op->cookie, a);
	if (op->stop)
		op->stop->purge = verb->purge;
	if (!op->note || (verb->stops && !op->stop)) {
		ret = -ENOMEM;
		goto free_op;
	}
	mutex_lock(&iotarget_stops_lock);
	list_add_tail(&op->node, &verbs_running);
	mutex_unlock(&iotarget_stops_lock);
	return op;

free_op:
	/* The caller keeps the target. */
	if (op->stop)
		iotarget_stop_put(op->stop);
	kfree(op->note);
	kfree(op);
	atomic_dec(&nr_verbs);
refuse:
	*message = *message ?: iotarget_verb_error(ret);
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

/**
 * iotarget_control_owner_gone - a socket was closed
 * @portid: its number
 *
 * Context: process; sleeps.
 */
void iotarget_control_owner_gone(u32 portid)
{
	struct iotarget_verb_op *op;

	iotarget_user_queries_owner_gone(portid);
	if (!iotarget_stops_held())
		return;
	mutex_lock(&iotarget_stops_lock);
	list_for_each_entry(op, &verbs_running, node) {
		if (op->stop && iotarget_stop_lost_owner(op->stop, portid))
			op->stop->owner_gone = true;
	}
	iotarget_stops_owner_gone(portid);
	mutex_unlock(&iotarget_stops_lock);
}

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
	/* In this order: no new verbs and events, no queries, no new stops, no works. */
	iotarget_nl_exit();
	iotarget_user_queries_exit();
	destroy_workqueue(make_wq);
	destroy_workqueue(wait_wq);
	iotarget_stops_exit();
}
