// SPDX-License-Identifier: GPL-2.0-only
/*
 * May this device go?
 *
 * Linux has no way to ask.  Here is one, for those who can be asked: every target on
 * every disk that goes with the device, those on disks that stand on such targets
 * first.  And nobody else may use those disks: who can't be asked has to be taken
 * for a no.  The first no ends it, and those who have agreed are told that the device
 * stays.
 *
 * While all agree, the devices stay claimed, so that nobody else comes in and none of
 * the targets can be kept from coming back.  That ends when the disks have gone, when
 * the asker says so, and by itself after a time: silence is never a yes.
 *
 * A question holds no target: by its number it is found, or it is gone and has no
 * say any more.
 *
 * Context: process; what may take long is done by a worker.  Lock:
 * iotarget_lowers_lock.
 */
#include <linux/blkdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "query.h"

#define TIMEOUT_MS	10000
#define EXPIRES_MS	30000
#define CANCEL_MS	10000	/* for the targets of one depth to be back */

#define OWN_MS		50	/* of the asker's time, for the answer to come in time */
#define GRACE_MS	500	/* for answers that come a little late */
#define ANSWER_MS	20	/* for whoever waits for what came of it */

static LIST_HEAD(queries);
static DECLARE_WAIT_QUEUE_HEAD(waitq);
static struct workqueue_struct *query_wq;

static void consent_free(struct kref *refs)
{
	struct iotarget_consent *c = container_of(refs, struct iotarget_consent,
						  refs);
	struct iotarget_ask *ask, *next_ask;
	struct scope *s, *next;

	list_for_each_entry_safe(ask, next_ask, &c->asks, node)
		kfree(ask);
	list_for_each_entry_safe(s, next, &c->scopes, node) {
		iotarget_watch_put(s->watch);
		kfree(s);
	}
	put_device(c->dev);		/* of one that was not begun */
	kfree(c);
}

static void consent_put(struct iotarget_consent *c)
{
	kref_put(&c->refs, consent_free);
}

static bool time_is_over(const struct iotarget_consent *c)
{
	return time_after_eq(jiffies, c->deadline);
}

/**
 * iotarget_query_refuse - who refuses
 * @c: the query
 * @by: what it is
 * @error: a negative errno, of a target
 * @devt: the device that it has
 * @name: its name
 *
 * Context: process.
 */
void iotarget_query_refuse(struct iotarget_consent *c,
			   enum iotarget_refused_by by, int error, dev_t devt,
			   const char *name)
{
	c->refusal.by = by;
	c->refusal.error = error;
	c->refusal.devt = devt;
	strscpy(c->refusal.name, name, sizeof(c->refusal.name));
}

/* -- answers ------------------------------------------------------------------ */

/**
 * iotarget_ask_answer - a target has answered
 * @ask: the question; not to be touched afterwards
 * @answer: 0 or a negative errno
 *
 * Context: process, with iotarget_lowers_lock.
 * Return: false if the answer came too late.
 */
bool iotarget_ask_answer(struct iotarget_ask *ask, int answer)
{
	struct iotarget_consent *c = ask->consent;
	bool in_time = ask->state == IOTARGET_ASK_ASKED;

	lockdep_assert_held(&iotarget_lowers_lock);
	if (in_time) {
		ask->answer = answer;
		WRITE_ONCE(ask->state, answer ? IOTARGET_ASK_REFUSED :
						IOTARGET_ASK_AGREED);
		wake_up_all(&waitq);
	}
	consent_put(c);
	return in_time;
}

/**
 * iotarget_ask_over - a target knows that the device stays
 * @ask: the question; not to be touched afterwards
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_ask_over(struct iotarget_ask *ask)
{
	struct iotarget_consent *c = ask->consent;

	lockdep_assert_held(&iotarget_lowers_lock);
	WRITE_ONCE(ask->state, IOTARGET_ASK_OVER);
	wake_up_all(&waitq);
	consent_put(c);
}

/* -- one at a time ------------------------------------------------------------ */

/* Those who are asked already can't be asked by another. */
static int enter(struct iotarget_consent *c)
{
	struct iotarget_consent *other;
	struct scope *s;
	int ret = 0;

	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(other, &queries, node) {
		list_for_each_entry(s, &c->scopes, node) {
			if (!iotarget_scope_of(other, s->watch))
				continue;
			iotarget_query_refuse(c, IOTARGET_REFUSED_BY_QUERY, 0,
					      disk_devt(s->disk),
					      s->watch->name);
			ret = -EBUSY;
		}
	}
	if (!ret) {
		list_add_tail(&c->node, &queries);
		list_for_each_entry(s, &c->scopes, node)
			s->gone = list_empty(&s->watch->node);
	}
	mutex_unlock(&iotarget_lowers_lock);
	return ret;
}

static void leave(struct iotarget_consent *c)
{
	mutex_lock(&iotarget_lowers_lock);
	list_del_init(&c->node);
	mutex_unlock(&iotarget_lowers_lock);
}

/* -- asking ----------------------------------------------------------------- */

static unsigned int deepest(const struct iotarget_consent *c)
{
	const struct iotarget_ask *ask;
	unsigned int depth = 0;

	list_for_each_entry(ask, &c->asks, node)
		depth = max(depth, ask->depth);
	return depth;
}

static void refuse_for(struct iotarget_consent *c,
		       const struct iotarget_ask *ask, int error)
{
	iotarget_query_refuse(c, IOTARGET_REFUSED_BY_TARGET, error, ask->devt,
			      ask->name);
}

static void put_questions(struct iotarget_consent *c, unsigned int depth)
{
	struct iotarget_ask *ask;

	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(ask, &c->asks, node) {
		if (ask->depth != depth)
			continue;
		ask->state = IOTARGET_ASK_ASKED;
		kref_get(&c->refs);
		if (!iotarget_removal_ask(ask)) {
			ask->state = IOTARGET_ASK_OVER;
			consent_put(c);
		}
	}
	mutex_unlock(&iotarget_lowers_lock);
}

static struct iotarget_ask *first_in(struct iotarget_consent *c,
				     unsigned int depth, unsigned int state)
{
	struct iotarget_ask *ask;

	list_for_each_entry(ask, &c->asks, node) {
		if (ask->depth == depth && READ_ONCE(ask->state) == state)
			return ask;
	}
	return NULL;
}

/* Without a refusal, not to have answered by now is one. */
static int collect_answers(struct iotarget_consent *c, unsigned int depth)
{
	const struct iotarget_ask *refused, *silent;

	/* In this order: who refuses in between is one of the two. */
	silent = first_in(c, depth, IOTARGET_ASK_ASKED);
	refused = first_in(c, depth, IOTARGET_ASK_REFUSED);
	if (refused) {
		refuse_for(c, refused, refused->answer);
		return -EBUSY;
	}
	if (!silent)
		return 0;
	if (READ_ONCE(c->unwanted))
		return -ECANCELED;
	pr_warn_ratelimited("iotarget: %s: did not answer in time whether its device may go\n",
			    silent->name);
	refuse_for(c, silent, -ETIMEDOUT);
	return -ETIMEDOUT;
}

static int ask_depth(struct iotarget_consent *c, unsigned int depth)
{
	const long left = c->deadline - jiffies;

	if (READ_ONCE(c->unwanted))
		return -ECANCELED;
	put_questions(c, depth);
	wait_event_timeout(waitq,
			   !first_in(c, depth, IOTARGET_ASK_ASKED) ||
			   first_in(c, depth, IOTARGET_ASK_REFUSED) ||
			   READ_ONCE(c->unwanted),
			   max(left, 1L));
	return collect_answers(c, depth);
}

static int ask_all(struct iotarget_consent *c)
{
	int depth, ret = 0;

	for (depth = deepest(c); depth >= 0 && !ret; depth--)
		ret = ask_depth(c, depth);
	return ret;
}

static bool any_asked(const struct iotarget_consent *c)
{
	const struct iotarget_ask *ask;

	list_for_each_entry(ask, &c->asks, node) {
		if (READ_ONCE(ask->state) == IOTARGET_ASK_ASKED)
			return true;
	}
	return false;
}

/* Who is about to answer does so first; a yes after that is taken back by itself. */
static void await_answers(struct iotarget_consent *c)
{
	const long left = c->deadline - jiffies;
	struct iotarget_ask *ask;

	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(ask, &c->asks, node)
		iotarget_removal_withdraw(ask);
	mutex_unlock(&iotarget_lowers_lock);
	/* Most have the same deadline, and are on their way. */
	wait_event_timeout(waitq, !any_asked(c),
			   max(left, 0L) + msecs_to_jiffies(GRACE_MS));
	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(ask, &c->asks, node) {
		if (ask->state == IOTARGET_ASK_ASKED)
			WRITE_ONCE(ask->state, IOTARGET_ASK_LATE);
	}
	mutex_unlock(&iotarget_lowers_lock);
}

/*
 * Those who agreed get their devices back, the lowest first.  When the device has gone,
 * those whose disk is there all the same: it stands on a target that waits.
 */
static void cancel(struct iotarget_consent *c, bool gone)
{
	const unsigned int last = deepest(c);
	struct iotarget_ask *ask;
	unsigned int depth;

	for (depth = gone; depth <= last; depth++) {
		mutex_lock(&iotarget_lowers_lock);
		list_for_each_entry(ask, &c->asks, node) {
			if (ask->depth != depth ||
			    ask->state != IOTARGET_ASK_AGREED || ask->dry_run ||
			    (gone && !iotarget_removal_stands(ask)))
				continue;
			ask->state = IOTARGET_ASK_CANCELING;
			kref_get(&c->refs);
			if (!iotarget_removal_cancel(ask)) {
				ask->state = IOTARGET_ASK_OVER;
				consent_put(c);
			}
		}
		mutex_unlock(&iotarget_lowers_lock);
		wait_event_timeout(waitq,
				   !first_in(c, depth, IOTARGET_ASK_CANCELING),
				   msecs_to_jiffies(CANCEL_MS));
	}
}

/* -- the life of a query ------------------------------------------------------- */

static bool all_gone(const struct iotarget_consent *c)
{
	const struct scope *s;

	list_for_each_entry(s, &c->scopes, node) {
		if (!s->depth && !s->gone)
			return false;
	}
	return true;
}

static void set_phase(struct iotarget_consent *c, enum phase phase)
{
	/* Pairs with phase_of(). */
	smp_store_release(&c->phase, phase);
	wake_up_all(&waitq);
}

/* Nobody opens a disk that all have agreed may go. */
static void set_agreed(struct iotarget_consent *c, bool agreed)
{
	struct scope *s;

	lockdep_assert_held(&iotarget_lowers_lock);
	list_for_each_entry(s, &c->scopes, node) {
		s->watch->agreed = agreed;
		s->watch->agreed_part = iotarget_query_part(c, s);
	}
}

/* An agreement ends, once, and a worker sees to it. */
static void end(struct iotarget_consent *c, int result)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	if (c->phase != PHASE_AGREED)
		return;
	c->result = result;
	set_agreed(c, false);
	set_phase(c, PHASE_ENDING);
	kref_get(&c->refs);
	queue_work(query_wq, &c->end_work);
}

static void query_over(struct iotarget_consent *c)
{
	struct scope *s;

	if (c->result != 0)
		await_answers(c);
	cancel(c, c->result == 0);
	iotarget_claims_drop(c);
	leave(c);
	/* What is left of the question must not keep what has gone. */
	list_for_each_entry(s, &c->scopes, node)
		put_device(disk_to_dev(s->disk));
	put_device(c->dev);
	c->dev = NULL;
	mutex_lock(&iotarget_lowers_lock);
	set_phase(c, PHASE_ENDED);
	mutex_unlock(&iotarget_lowers_lock);
	if (c->ended)
		c->ended(c);
}

static void end_work(struct work_struct *work)
{
	struct iotarget_consent *c = container_of(work, struct iotarget_consent,
						  end_work);

	if (cancel_delayed_work_sync(&c->expire))
		consent_put(c);
	query_over(c);
	consent_put(c);
}

static void expire_work(struct work_struct *work)
{
	struct iotarget_consent *c = container_of(to_delayed_work(work),
						  struct iotarget_consent,
						  expire);

	mutex_lock(&iotarget_lowers_lock);
	end(c, -ETIME);
	mutex_unlock(&iotarget_lowers_lock);
	consent_put(c);
}

static int query_steps(struct iotarget_consent *c)
{
	int ret;

	ret = iotarget_scopes_find(c) ?: enter(c);
	if (ret)
		return ret;
	ret = iotarget_claims_take(c) ?: ask_all(c);
	if (!ret && !(c->flags & IOTARGET_QUERY_DRY_RUN)) {
		/* From here on nobody comes; who came while we asked is seen. */
		mutex_lock(&iotarget_lowers_lock);
		set_agreed(c, true);
		mutex_unlock(&iotarget_lowers_lock);
		ret = iotarget_scopes_check(c) ?: iotarget_claims_check(c);
	}
	if (!ret && time_is_over(c))
		ret = -ETIMEDOUT;
	return ret;
}

static void query_work(struct work_struct *work)
{
	struct iotarget_consent *c = container_of(work, struct iotarget_consent,
						  work);
	int ret = query_steps(c);
	bool agreed = false;

	mutex_lock(&iotarget_lowers_lock);
	if (!ret && c->unwanted)
		ret = -ECANCELED;
	c->answer = ret;
	mutex_unlock(&iotarget_lowers_lock);
	if (c->answered)
		c->answered(c);
	mutex_lock(&iotarget_lowers_lock);
	if (!ret && !(c->flags & IOTARGET_QUERY_DRY_RUN)) {
		agreed = true;
		set_phase(c, PHASE_AGREED);
		kref_get(&c->refs);
		queue_delayed_work(iotarget_fast_wq, &c->expire,
				   iotarget_jiffies(c->expires_ms));
		/* What came while the answer was told has ended nothing yet. */
		if (all_gone(c))
			end(c, 0);
		else if (c->unwanted)
			end(c, -ECANCELED);
	} else {
		/* Another query's are its own. */
		if (!list_empty(&c->node))
			set_agreed(c, false);
		set_phase(c, PHASE_REFUSED);
	}
	mutex_unlock(&iotarget_lowers_lock);
	if (!agreed) {
		c->result = ret ?: -ECANCELED;
		query_over(c);
	}
	consent_put(c);
}

/**
 * iotarget_query_gone - a disk or a partition has left the system
 * @watch: its watch
 * @part: the partition, if only that has
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_query_gone(const struct iotarget_watch *watch,
			 const struct block_device *part)
{
	struct iotarget_consent *c;
	struct scope *s;

	lockdep_assert_held(&iotarget_lowers_lock);
	list_for_each_entry(c, &queries, node) {
		s = iotarget_scope_of(c, watch);
		if (!s || (part && iotarget_query_part(c, s) != part))
			continue;
		s->gone = true;
		if (all_gone(c))
			end(c, 0);
	}
}

/**
 * iotarget_consent_begin - begin to ask
 * @dev: the device; a reference is taken
 * @params: how; checked
 *
 * Context: process; sleeps.
 * Return: the query, to be given to iotarget_consent_go() and iotarget_consent_drop(),
 * or an ERR_PTR of -ENOMEM.
 */
struct iotarget_consent *
iotarget_consent_begin(struct device *dev,
		       const struct iotarget_query_params *params)
{
	struct iotarget_consent *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return ERR_PTR(-ENOMEM);
	kref_init(&c->refs);
	INIT_LIST_HEAD(&c->node);
	INIT_LIST_HEAD(&c->asks);
	INIT_LIST_HEAD(&c->scopes);
	INIT_WORK(&c->work, query_work);
	INIT_WORK(&c->end_work, end_work);
	INIT_DELAYED_WORK(&c->expire, expire_work);
	c->dev = get_device(dev);
	c->flags = params->flags;
	c->timeout_ms = params->timeout_ms ?: TIMEOUT_MS;
	c->expires_ms = params->expires_ms ?: EXPIRES_MS;
	return c;
}

/**
 * iotarget_consent_go - ask
 * @c: the query
 *
 * Context: process.
 */
void iotarget_consent_go(struct iotarget_consent *c)
{
	const unsigned int own = min_t(unsigned int, c->timeout_ms / 4, OWN_MS);

	c->deadline = jiffies + msecs_to_jiffies(c->timeout_ms - own);
	kref_get(&c->refs);
	queue_work(query_wq, &c->work);
}

/**
 * iotarget_consent_cancel - the asker wants nothing any more
 * @c: the query
 *
 * Context: process; sleeps.
 */
void iotarget_consent_cancel(struct iotarget_consent *c)
{
	mutex_lock(&iotarget_lowers_lock);
	c->unwanted = true;
	end(c, -ECANCELED);
	mutex_unlock(&iotarget_lowers_lock);
	wake_up_all(&waitq);
}

/**
 * iotarget_consent_drop - let go of a query
 * @c: the query
 *
 * Context: process; sleeps.
 */
void iotarget_consent_drop(struct iotarget_consent *c)
{
	consent_put(c);
}

static enum phase phase_of(const struct iotarget_consent *c)
{
	/* Pairs with set_phase(): what belongs to the phase is there. */
	return smp_load_acquire(&c->phase);
}

static int wait_phase(struct iotarget_consent *c, enum phase phase,
		      unsigned int timeout_ms)
{
	long left = iotarget_wait_jiffies(timeout_ms);

	left = wait_event_killable_timeout(waitq, phase_of(c) >= phase, left);
	return iotarget_wait_result(left);
}

/* The worker has the same deadline, and says who has not answered by then. */
static int wait_answer(struct iotarget_consent *c)
{
	int ret = wait_phase(c, PHASE_AGREED, c->timeout_ms + ANSWER_MS);

	if (phase_of(c) >= PHASE_REFUSED)
		return c->answer;
	return ret;
}

/**
 * iotarget_query_remove - ask whether a device may go
 * @dev: what is to be removed: a partition, a disk, or an ancestor of disks
 * @params: how, or NULL
 * @refusal: who refused, or NULL
 *
 * Every target on every disk below @dev is asked, those that stand on others first,
 * and every other user of these disks counts as a refusal.  If all agree, their
 * devices are closed, or get nothing any more (iotarget_query_remove_hold()), and stay
 * claimed until they are gone, or the agreement ends.
 *
 * Extension; the system's part in KMDF.
 *
 * Context: process; sleeps, killable.
 * Return: the agreement, for iotarget_query_wait(), to be ended by
 * iotarget_query_end(); NULL after a dry run to which all said yes; or an ERR_PTR, and
 * then everything is as it was, or will be as soon as those who agreed have their device
 * back: -EBUSY, see @refusal; -ETIMEDOUT, likewise, or an open or another step took too
 * long; -EAGAIN: a disk came meanwhile; -ENODEV: no disk is there; -EINTR, -ENOMEM,
 * -EINVAL, -EWOULDBLOCK.
 */
struct iotarget_consent *
iotarget_query_remove(struct device *dev,
		      const struct iotarget_query_params *params,
		      struct iotarget_refusal *refusal)
{
	static const struct iotarget_query_params defaults;
	struct iotarget_consent *c;
	int ret;

	params = params ?: &defaults;
	if (refusal)
		*refusal = (struct iotarget_refusal){ };
	if (!dev || params->flags & ~IOTARGET_QUERY_DRY_RUN || params->pad ||
	    memchr_inv(params->reserved, 0, sizeof(params->reserved)) ||
	    params->timeout_ms > IOTARGET_TIMEOUT_MAX_MS ||
	    params->expires_ms > IOTARGET_TIMEOUT_MAX_MS)
		return ERR_PTR(-EINVAL);
	ret = iotarget_may_wait(NULL, params->timeout_ms);
	if (ret)
		return ERR_PTR(ret);
	c = iotarget_consent_begin(dev, params);
	if (IS_ERR(c))
		return c;
	iotarget_consent_go(c);
	ret = wait_answer(c);
	if (refusal && phase_of(c) >= PHASE_REFUSED)
		*refusal = c->refusal;
	if (!ret && !(c->flags & IOTARGET_QUERY_DRY_RUN))
		return c;
	iotarget_consent_cancel(c);
	consent_put(c);
	return ret ? ERR_PTR(ret) : NULL;
}
EXPORT_SYMBOL_GPL(iotarget_query_remove);

/**
 * iotarget_query_wait - wait until the device is gone
 * @consent: the agreement
 * @timeout_ms: the longest wait, or %IOTARGET_WAIT_FOREVER
 *
 * Extension.
 *
 * Context: process; sleeps, killable.
 * Return: 0: it is gone; -ETIME: the agreement has expired; -ECANCELED: it was ended;
 * -ETIMEDOUT, -EINTR; -EINVAL, -EWOULDBLOCK.
 */
int iotarget_query_wait(struct iotarget_consent *consent,
			unsigned int timeout_ms)
{
	int ret;

	ret = iotarget_may_wait(NULL, timeout_ms) ?:
	      wait_phase(consent, PHASE_ENDED, timeout_ms);
	return ret ?: consent->result;
}
EXPORT_SYMBOL_GPL(iotarget_query_wait);

/**
 * iotarget_query_end - end an agreement
 * @consent: the agreement; gone afterwards, however the wait ends
 * @timeout_ms: the longest wait, or %IOTARGET_WAIT_FOREVER
 *
 * Unless the device is gone, all who agreed are told that it stays.
 *
 * Extension.
 *
 * Context: process; sleeps, killable.
 * Return: 0: the device was removed; -ECANCELED: it stays; -ETIME: the agreement
 * had expired before; -ETIMEDOUT, -EINTR: some are not back yet; -EINVAL, -EWOULDBLOCK:
 * nor was it waited for.
 */
int iotarget_query_end(struct iotarget_consent *consent,
		       unsigned int timeout_ms)
{
	int ret;

	iotarget_consent_cancel(consent);
	ret = iotarget_query_wait(consent, timeout_ms);
	consent_put(consent);
	return ret;
}
EXPORT_SYMBOL_GPL(iotarget_query_end);

/**
 * iotarget_query_init - at module load
 *
 * Context: module load.
 * Return: 0 or -ENOMEM.
 */
int iotarget_query_init(void)
{
	query_wq = alloc_workqueue("iotarget_query", WQ_UNBOUND, WQ_MAX_ACTIVE);
	return query_wq ? 0 : -ENOMEM;
}

/**
 * iotarget_query_exit - at module unload
 *
 * Context: module unload; sleeps.
 */
void iotarget_query_exit(void)
{
	struct iotarget_consent *c;

	/* Those of user space; drivers have ended theirs. */
	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(c, &queries, node) {
		c->unwanted = true;
		end(c, -ECANCELED);
	}
	mutex_unlock(&iotarget_lowers_lock);
	wake_up_all(&waitq);
	destroy_workqueue(query_wq);
}
