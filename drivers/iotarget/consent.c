// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queries of user space: may this device go?
 *
 * The asking is query.c's.  Here a query gets what user space needs: a cookie, an
 * owner, and events that tell what came of it.
 *
 *   query-agreed	all agree.  The owner removes the device now, by a file of
 *			sysfs, or had it only asked.
 *   query-refused	not all agree, and all is as it was.
 *   query-ended	after an agreement: the device is gone, or stays after all;
 *			or nobody wants to know any more.
 *
 * One that was asked for with "hold" is canceled when the socket is closed, by
 * whatever: an ejector that dies must not leave targets without their devices.
 * Others expire.
 *
 * What the events need is there from the beginning, as in stops.c: the targets on
 * which memory is freed may be those that wait for the end.
 *
 * Context: process; nobody waits for a device here.  Lock: user_queries_lock, taken
 * before iotarget_lowers_lock.
 */
#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>
#include <net/sock.h>

#include "query.h"
#include "stops.h"

#define MAX_QUERIES	16

/**
 * struct iotarget_user_query - a query, from the answer with its cookie to its end
 * @node: in queries                                                       (Q)
 * @consent: the query itself, with a reference                            (C)
 * @cookie: its number                                                     (C)
 * @name: of the device                                                    (C)
 * @owner: with "hold", the socket, with a reference, or NULL              (C)
 * @portid: its number                                                     (C)
 * @why: it is not wanted any more, &enum iotarget_why, or 0               (Q)
 * @agreed: for the event that all agree
 * @end: for the event of the end
 *
 * (Q): user_queries_lock.
 */
struct iotarget_user_query {
	struct list_head	node;
	struct iotarget_consent	*consent;
	u64			cookie;
	char			name[IOTARGET_NAME_MAX + 1];
	struct sock		*owner;
	u32			portid;
	u8			why;
	struct iotarget_note	*agreed;
	struct iotarget_note	*end;
};

static DEFINE_MUTEX(user_queries_lock);
static LIST_HEAD(queries);
static atomic_t nr_queries, nr_held;
static DECLARE_WAIT_QUEUE_HEAD(all_ended);

static void query_free(struct iotarget_user_query *q)
{
	if (q->consent)
		iotarget_consent_drop(q->consent);
	if (q->owner) {
		atomic_dec(&nr_held);
		sock_put(q->owner);
	}
	kfree(q->agreed);
	kfree(q->end);
	kfree(q);
	if (atomic_dec_and_test(&nr_queries))
		wake_up_all(&all_ended);
}

static void fill(struct iotarget_note *note, const struct iotarget_user_query *q,
		 u8 kind)
{
	note->kind = kind;
	note->cookie = q->cookie;
	note->dry_run = kind == IOTARGET_EVENT_KIND_QUERY_AGREED &&
			q->consent->flags & IOTARGET_QUERY_DRY_RUN;
	strscpy(note->name, q->name, sizeof(note->name));
}

/* In a worker, and nothing can end it before this returns. */
static void answered(struct iotarget_consent *c)
{
	struct iotarget_user_query *q = c->context;
	struct iotarget_note *note = q->agreed;

	/* After a dry run it is the end that is told. */
	if (c->answer || c->flags & IOTARGET_QUERY_DRY_RUN)
		return;
	q->agreed = NULL;
	fill(note, q, IOTARGET_EVENT_KIND_QUERY_AGREED);
	iotarget_note_queue(note);
}

static const char *message_of(int answer)
{
	switch (answer) {
	case -EBUSY:
		return NULL;		/* who refused says more */
	case -ENODEV:
		return "the device is gone";
	case -ETIMEDOUT:
		return "there was no answer in time";
	case -EAGAIN:
		return "another disk came meanwhile";
	case -ENOMEM:
		return "no memory";
	default:
		return "failed";
	}
}

static void fill_refused(struct iotarget_note *note,
			 const struct iotarget_user_query *q)
{
	const struct iotarget_consent *c = q->consent;

	fill(note, q, IOTARGET_EVENT_KIND_QUERY_REFUSED);
	note->refusal = c->refusal;
	note->error = c->refusal.error ?: c->answer;
	note->message = message_of(c->answer);
}

static void fill_ended(struct iotarget_note *note,
		       const struct iotarget_user_query *q)
{
	const int result = q->consent->result;

	fill(note, q, IOTARGET_EVENT_KIND_QUERY_ENDED);
	if (!result)
		note->why = IOTARGET_WHY_GONE;
	else if (result == -ETIME)
		note->why = IOTARGET_WHY_EXPIRED;
	else
		note->why = q->why ?: IOTARGET_WHY_CANCELED;
}

/* In a worker, once, when all who agreed have their devices back, or all is gone. */
static void ended(struct iotarget_consent *c)
{
	struct iotarget_user_query *q = c->context;
	struct iotarget_note *note = q->end;

	mutex_lock(&user_queries_lock);
	list_del(&q->node);
	mutex_unlock(&user_queries_lock);
	if (c->answer && c->answer != -ECANCELED)
		fill_refused(note, q);
	else if (!c->answer && c->flags & IOTARGET_QUERY_DRY_RUN)
		fill(note, q, IOTARGET_EVENT_KIND_QUERY_AGREED);
	else
		fill_ended(note, q);
	q->end = NULL;
	/* First: who hears of it may ask again. */
	query_free(q);
	iotarget_note_queue(note);
}

static void cancel(struct iotarget_user_query *q, enum iotarget_why why)
{
	lockdep_assert_held(&user_queries_lock);
	q->why = q->why ?: why;
	iotarget_consent_cancel(q->consent);
}

/**
 * iotarget_user_query_begin - accept a query
 * @dev: the device that may go; a reference is taken
 * @params: how to ask, checked
 * @args: whose query it is; with @args->hold it takes a reference of the socket
 *
 * Nothing has happened yet when this returns.
 *
 * Context: process; sleeps for memory only.
 * Return: the query, for iotarget_user_query_go() or iotarget_user_query_abort(), or
 * an ERR_PTR: -EUSERS, -ENOMEM.
 */
struct iotarget_user_query *
iotarget_user_query_begin(struct device *dev,
			  const struct iotarget_query_params *params,
			  const struct iotarget_verb_args *args)
{
	struct iotarget_user_query *q;
	struct iotarget_consent *c;

	if (!atomic_add_unless(&nr_queries, 1, MAX_QUERIES))
		return ERR_PTR(-EUSERS);
	q = kzalloc(sizeof(*q), IOTARGET_VERB_GFP);
	if (!q) {
		if (atomic_dec_and_test(&nr_queries))
			wake_up_all(&all_ended);
		return ERR_PTR(-ENOMEM);
	}
	if (args->hold) {
		sock_hold(args->owner);
		atomic_inc(&nr_held);
		q->owner = args->owner;
		q->portid = args->portid;
	}
	q->agreed = iotarget_note_alloc(IOTARGET_VERB_GFP);
	q->end = iotarget_note_alloc(IOTARGET_VERB_GFP);
	c = iotarget_consent_begin(dev, params);
	if (!IS_ERR(c))
		q->consent = c;
	if (!q->agreed || !q->end || !q->consent) {
		query_free(q);
		return ERR_PTR(-ENOMEM);
	}
	q->cookie = iotarget_stop_cookie();
	strscpy(q->name, dev_name(dev), sizeof(q->name));
	c->cookie = q->cookie;
	c->answered = answered;
	c->ended = ended;
	c->context = q;
	mutex_lock(&user_queries_lock);
	list_add_tail(&q->node, &queries);
	mutex_unlock(&user_queries_lock);
	return q;
}

/**
 * iotarget_user_query_cookie - the number of a query
 * @q: the query
 *
 * Context: any.
 * Return: the number, never given twice.
 */
u64 iotarget_user_query_cookie(const struct iotarget_user_query *q)
{
	return q->cookie;
}

/**
 * iotarget_user_query_go - ask; what comes of it is an event
 * @q: the query; not to be touched afterwards
 *
 * Context: process.
 */
void iotarget_user_query_go(struct iotarget_user_query *q)
{
	iotarget_consent_go(q->consent);
}

/**
 * iotarget_user_query_abort - drop a query that was not begun
 * @q: the query
 *
 * Context: process; sleeps.
 */
void iotarget_user_query_abort(struct iotarget_user_query *q)
{
	mutex_lock(&user_queries_lock);
	list_del(&q->node);
	mutex_unlock(&user_queries_lock);
	query_free(q);
}

/**
 * iotarget_user_query_cancel - end a query, whoever's it is; the device stays
 * @cookie: its number
 *
 * Context: process; sleeps.
 * Return: 0, or -ENOENT when there is none, or not any more.
 */
int iotarget_user_query_cancel(u64 cookie)
{
	struct iotarget_user_query *q;
	int ret = -ENOENT;

	mutex_lock(&user_queries_lock);
	list_for_each_entry(q, &queries, node) {
		if (q->cookie != cookie)
			continue;
		cancel(q, IOTARGET_WHY_CANCELED);
		ret = 0;
		break;
	}
	mutex_unlock(&user_queries_lock);
	return ret;
}

/**
 * iotarget_user_queries_owner_gone - a socket was closed
 * @portid: its number, which may be another's by now
 *
 * Context: process; sleeps.
 */
void iotarget_user_queries_owner_gone(u32 portid)
{
	struct iotarget_user_query *q;

	if (!atomic_read(&nr_held))
		return;
	mutex_lock(&user_queries_lock);
	list_for_each_entry(q, &queries, node) {
		if (q->owner && q->portid == portid &&
		    sock_flag(q->owner, SOCK_DEAD))
			cancel(q, IOTARGET_WHY_OWNER_GONE);
	}
	mutex_unlock(&user_queries_lock);
}

/**
 * iotarget_user_queries_exit - end all, and wait for that
 *
 * There is no target any more, so nobody is asked or told.
 *
 * Context: module unload, with no handler running; sleeps.
 */
void iotarget_user_queries_exit(void)
{
	struct iotarget_user_query *q;

	mutex_lock(&user_queries_lock);
	list_for_each_entry(q, &queries, node)
		cancel(q, IOTARGET_WHY_CANCELED);
	mutex_unlock(&user_queries_lock);
	wait_event(all_ended, !atomic_read(&nr_queries));
}
