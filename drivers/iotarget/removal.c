// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a removal means to the owner of a target.
 *
 * A target that is opened on a block device is told when that device goes, by its
 * callbacks or by what stands in for those it does not have.  It is told once for
 * each opening: the sources of events (watch.c, query.c) raise its level, and
 * whatever has not been told when a higher level comes is not told any more.
 *
 *   orderly	&iotarget_ops.query_remove, with no way to refuse
 *   surprise	the gates are shut at once; what is held fails, never sent
 *   complete	&iotarget_ops.remove_complete
 *
 * A query that can be refused is one more thing to tell, and so is that it was
 * canceled.  All of that is done by one work item of each target, so that no two
 * callbacks of a target run at a time, and no source of events waits for one but for
 * a time of its own.  What was told survives a close for query-remove; any other close,
 * a delete, and the next opening end it.
 *
 * Context: process.  Lock: iotarget_lowers_lock.
 */
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>

#include <uapi/linux/iotarget.h>

#include "removal.h"

#define RETRY_MS	100	/* for a module that is being loaded */
#define LAPSE_MS	1000	/* to look whether a device has stayed after all */

LIST_HEAD(iotarget_told);
static DECLARE_WAIT_QUEUE_HEAD(told_waitq);
static struct workqueue_struct *removal_wq, *lost_wq;

static void retry(struct work_struct *work);
static DECLARE_DELAYED_WORK(retry_work, retry);
static void lapse(struct work_struct *work);
static DECLARE_DELAYED_WORK(lapse_work, lapse);

/**
 * iotarget_removal_kick - queue one of a target's works
 * @r: the target's
 * @work: which
 *
 * The work holds the target, and the code of its owner.
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_removal_kick(struct iotarget_removal *r, struct work_struct *work)
{
	struct iotarget *target = iotarget_removal_target(r);

	lockdep_assert_held(&iotarget_lowers_lock);
	if (!iotarget_pin_loaded(target))
		queue_delayed_work(iotarget_fast_wq, &retry_work,
				   iotarget_jiffies(RETRY_MS));
	else if (!queue_work(work == &r->lost ? lost_wq : removal_wq, work))
		iotarget_gate_unpin(target);
}

/* A callback of a module whose init may still fail is no place to be. */
static void retry(struct work_struct *work)
{
	struct iotarget_removal *r;

	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(r, &iotarget_told, node) {
		if (r->todo)
			iotarget_removal_kick(r, &r->work);
		if (r->level > IOTARGET_REMOVAL_ORDERLY)
			iotarget_removal_kick(r, &r->lost);
	}
	mutex_unlock(&iotarget_lowers_lock);
}

/**
 * iotarget_removal_todo - there is something to be told, or done
 * @r: the target's
 * @what: IOTARGET_TODO_*
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_removal_todo(struct iotarget_removal *r, unsigned int what)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	if (__test_and_set_bit(what, &r->todo))
		return;
	if (what == IOTARGET_TODO_NOTICE)
		WRITE_ONCE(r->watch->noticing, r->watch->noticing + 1);
	iotarget_removal_kick(r, &r->work);
}

/**
 * iotarget_removal_no_notice - it is too late for a last word
 * @r: the target's
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_removal_no_notice(struct iotarget_removal *r)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	if (__test_and_clear_bit(IOTARGET_TODO_NOTICE, &r->todo))
		iotarget_watch_noticed(r->watch);
}

/* What was not told is not told any more. */
static void forget_todo(struct iotarget_removal *r)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	iotarget_removal_no_notice(r);
	if (r->ask)
		iotarget_ask_over(r->ask);
	if (r->canceled)
		iotarget_ask_over(r->canceled);
	r->ask = NULL;
	r->canceled = NULL;
	r->todo = 0;
}

static bool is_open(struct iotarget *target)
{
	return iotarget_word_open(READ_ONCE(target->gate.word));
}

/* At once, whoever comes next is held; to fail what is held is the worker's. */
static void shut(struct iotarget_removal *r)
{
	const struct iotarget_by by = { .inst = r->inst, .live = true };

	iotarget_control_event(iotarget_removal_target(r), IOTARGET_EV_STOP_LEAVE, &by, NULL);
}

/* What is held fails, and then the owner hears of it. */
static void lose(struct iotarget_removal *r)
{
	shut(r);
	/* Beside whatever callback runs: it may wait for what is held. */
	iotarget_removal_kick(r, &r->lost);
	if (r->level == IOTARGET_REMOVAL_COMPLETE)
		iotarget_removal_todo(r, IOTARGET_TODO_COMPLETE);
}

static void lose_or_hold(struct iotarget_removal *r)
{
	if (!iotarget_away_begin(r))
		lose(r);
}

static void raise_level(struct iotarget_removal *r,
			enum iotarget_removal_level level)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	if (level <= r->level)
		return;
	r->level = level;
	if (level == IOTARGET_REMOVAL_ORDERLY) {
		/* Who has agreed, or closed it otherwise, is ready. */
		if (r->watch && (!r->opened ||
				 !iotarget_is_ready(iotarget_removal_target(r))))
			iotarget_removal_todo(r, IOTARGET_TODO_NOTICE);
		return;
	}
	if (r->opened)
		lose_or_hold(r);
}

/**
 * iotarget_removal_give_up - a device that was waited for has not come
 * @r: the target's
 * @why: %IOTARGET_WHY_EXPIRED, %IOTARGET_WHY_POLICY, or 0 if it was closed meanwhile,
 *	which is told already
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_removal_give_up(struct iotarget_removal *r, u8 why)
{
	struct iotarget *target = iotarget_removal_target(r);

	lockdep_assert_held(&iotarget_lowers_lock);
	r->holding = false;
	r->given_up = true;
	iotarget_gate_given_up(&target->gate);
	if (why) {
		iotarget_note_away(target, IOTARGET_EVENT_KIND_GIVEN_UP, "",
				   why);
		iotarget_warn(target, "its device %s\n",
			      why == IOTARGET_WHY_POLICY ?
			      "is not to be waited for any more" :
			      "has not come back in time");
	}
	lose(r);
}

/**
 * iotarget_removal_tell - a disk, or a partition, is going or gone
 * @disk: the disk
 * @bdev: the partition, or NULL for all of the disk
 * @level: how far it has come
 *
 * Context: process, with iotarget_lowers_lock; waits for nothing.
 */
void iotarget_removal_tell(struct gendisk *disk, struct block_device *bdev,
			   enum iotarget_removal_level level)
{
	struct iotarget_removal *r;

	lockdep_assert_held(&iotarget_lowers_lock);
	iotarget_lower_tell(disk, bdev, level);
	list_for_each_entry(r, &iotarget_told, node) {
		if (r->disk == disk && (!bdev || r->part == bdev))
			raise_level(r, level);
	}
}

/* -- what is done --------------------------------------------------------- */

static bool was_reopened(struct iotarget *target)
{
	bool stale;

	mutex_lock(&iotarget_lowers_lock);
	stale = iotarget_removal_stale(&target->removal);
	mutex_unlock(&iotarget_lowers_lock);
	return stale;
}

static int ask(struct iotarget *target, const struct iotarget_query *query)
{
	int ret;

	if (!target->ops->query_remove)
		return iotarget_query_remove_default(target, query);
	ret = target->ops->query_remove(target, query);
	/* A yes is closed, or holds what comes by iotarget_query_remove_hold(). */
	if (!ret && !query->dry_run && !iotarget_is_ready(target)) {
		iotarget_warn(target, "%s\n", was_reopened(target) ?
			      "was opened again while it agreed to a removal" :
			      "agreed to a removal and kept the device open");
		return -EBUSY;
	}
	return ret;
}

/*
 * Those who hold for a device that goes unasked, or have closed it: if it stays, by a
 * driver that came back, nobody else tells them.
 */
static void lapse(struct work_struct *work)
{
	struct iotarget_removal *r;
	bool any = false;

	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(r, &iotarget_told, node) {
		if (r->level != IOTARGET_REMOVAL_ORDERLY)
			continue;
		/* Tells all of them, if it has stayed. */
		iotarget_watch_level(r->watch);
		any |= r->level == IOTARGET_REMOVAL_ORDERLY;
	}
	mutex_unlock(&iotarget_lowers_lock);
	if (any)
		queue_delayed_work(iotarget_fast_wq, &lapse_work,
				   iotarget_jiffies(LAPSE_MS));
}

static void do_notice(struct iotarget *target, struct iotarget_watch *watch)
{
	const unsigned long deadline = READ_ONCE(watch->deadline);
	const struct iotarget_query query = {
		.forced = true,
		.timeout_ms = iotarget_ms_until(deadline),
	};

	/* Nobody hears the answer; and who has agreed meanwhile need not be told. */
	if (iotarget_is_ready(target))
		return;
	iotarget_note_removal(target, IOTARGET_EVENT_KIND_REMOVE_QUERY, &query,
			      0);
	ask(target, &query);
	queue_delayed_work(iotarget_fast_wq, &lapse_work,
			   iotarget_jiffies(LAPSE_MS));
}

static void do_lost(struct iotarget *target, u64 inst)
{
	const struct iotarget_by by = { .inst = inst };

	if (READ_ONCE(target->gate.word) == IOTARGET_W_PURGED)
		return;
	iotarget_control_event(target, IOTARGET_EV_PURGE, &by, NULL);
}

static void lost_work(struct work_struct *work)
{
	struct iotarget_removal *r = container_of(work, struct iotarget_removal,
						  lost);
	struct iotarget *target = iotarget_removal_target(r);
	bool no_swap = false;
	u64 inst = 0;

	mutex_lock(&iotarget_lowers_lock);
	if (list_empty(&r->node) || r->level <= IOTARGET_REMOVAL_ORDERLY)
		goto unlock;
	if (!r->holding)
		inst = r->inst;
	else
		no_swap = iotarget_away_no_swap(r);
unlock:
	mutex_unlock(&iotarget_lowers_lock);
	if (inst) {
		do_lost(target, inst);
	} else {
		iotarget_suspect_settle(target);
		if (no_swap)
			iotarget_gate_no_swap(target);
	}
	iotarget_gate_unpin(target);
}

/* What it is told of, or what is left of it, but no later opening. */
static void close_this(struct iotarget *target, u64 inst)
{
	struct iotarget_by by = { .inst = inst };
	enum iotarget_word word;

	spin_lock_irq(&target->gate.lock);
	word = target->gate.word;
	if (word == IOTARGET_W_CFQR)
		by = (struct iotarget_by){ .unchanged = target->gate.changes };
	spin_unlock_irq(&target->gate.lock);
	iotarget_control_event(target, IOTARGET_EV_CLOSE, &by, NULL);
}

static void do_complete(struct iotarget *target, u64 inst)
{
	/* An owner who leaves it open has nothing to wait for any more. */
	do_lost(target, inst);
	iotarget_note_removal(target, IOTARGET_EVENT_KIND_REMOVE_COMPLETE, NULL,
			      0);
	if (target->ops->remove_complete)
		target->ops->remove_complete(target);
	else
		close_this(target, inst);
}

/* Somebody removes it, whatever the asker wants: it has no use for more I/O. */
static bool goes_on_holding(struct iotarget *target)
{
	bool goes;

	mutex_lock(&iotarget_lowers_lock);
	goes = target->removal.level == IOTARGET_REMOVAL_ORDERLY &&
	       READ_ONCE(target->gate.agreed);
	mutex_unlock(&iotarget_lowers_lock);
	if (goes)
		queue_delayed_work(iotarget_fast_wq, &lapse_work,
				   iotarget_jiffies(LAPSE_MS));
	return goes;
}

/* Without a question it was itself that came too late. */
static void do_canceled(struct iotarget *target, const struct iotarget_ask *a)
{
	if (goes_on_holding(target))
		return;
	iotarget_note_removal(target, IOTARGET_EVENT_KIND_REMOVE_CANCELED, NULL,
			      a ? a->cookie : 0);
	if (target->ops->remove_canceled)
		target->ops->remove_canceled(target);
	else
		iotarget_remove_canceled_default(target);
}

static void do_ask(struct iotarget *target, struct iotarget_ask *a)
{
	const struct iotarget_query query = {
		.timeout_ms = iotarget_ms_until(a->deadline),
		.dry_run = a->dry_run,
	};
	int ret = -ETIMEDOUT;

	/* Who has closed it has no say, and nothing to be opened again. */
	if (!is_open(target)) {
		mutex_lock(&iotarget_lowers_lock);
		iotarget_ask_over(a);
		mutex_unlock(&iotarget_lowers_lock);
		return;
	}
	if (query.timeout_ms) {
		iotarget_note_removal(target, IOTARGET_EVENT_KIND_REMOVE_QUERY,
				      &query, a->cookie);
		ret = ask(target, &query);
	}
	/* A yes that came too late is taken back. */
	mutex_lock(&iotarget_lowers_lock);
	if (!iotarget_ask_answer(a, ret) && !ret && !query.dry_run &&
	    !list_empty(&target->removal.node))
		iotarget_removal_todo(&target->removal, IOTARGET_TODO_CANCELED);
	mutex_unlock(&iotarget_lowers_lock);
}

/**
 * iotarget_removal_about - which instance is the removal of that is answered to?
 * @r: the target's
 *
 * While a callback runs the target may be closed and opened again, or get its device back:
 * of that one nobody has asked.
 *
 * Context: process, with iotarget_lowers_lock.
 * Return: the number of the one that the callback is about which is calling, or of the one
 * that the target was last opened with.
 */
u64 iotarget_removal_about(const struct iotarget_removal *r)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	return r->runner == current ? r->about : r->inst;
}

/**
 * iotarget_removal_stale - is the callback that is calling about an earlier opening?
 * @r: the target's
 *
 * Context: process, with iotarget_lowers_lock.
 * Return: true if so: of what the target has now, if anything, nobody has asked.
 */
bool iotarget_removal_stale(const struct iotarget_removal *r)
{
	return iotarget_removal_about(r) != r->inst;
}

/* Its watch is to be put when the lock is dropped. */
static struct iotarget_watch *unlist(struct iotarget_removal *r)
{
	struct iotarget_watch *watch = r->watch;

	lockdep_assert_held(&iotarget_lowers_lock);
	if (list_empty(&r->node))
		return NULL;
	forget_todo(r);
	list_del_init(&r->node);
	r->watch = NULL;
	r->holding = false;
	return watch;
}

/**
 * struct task - what the worker does next
 * @what: TODO_*
 * @watch: with a reference, or NULL
 * @ask: with a reference, which its answer or end drops
 * @inst: the instance that it is about
 */
struct task {
	unsigned int		what;
	struct iotarget_watch	*watch;
	struct iotarget_ask	*ask;
	u64			inst;
};

static bool begin(struct iotarget_removal *r, struct task *t)
{
	mutex_lock(&iotarget_lowers_lock);
	t->what = IOTARGET_TODO_NONE;
	if (list_empty(&r->node) || !r->todo || !r->opened)
		goto out;
	t->what = __ffs(r->todo);
	t->inst = r->inst;
	r->about = r->inst;
	t->watch = iotarget_watch_ref(r->watch);
	t->ask = t->what == IOTARGET_TODO_ASK ? r->ask :
		 t->what == IOTARGET_TODO_CANCELED ? r->canceled : NULL;
	if (t->what == IOTARGET_TODO_ASK)
		r->ask = NULL;
	if (t->what == IOTARGET_TODO_CANCELED)
		r->canceled = NULL;
	__clear_bit(t->what, &r->todo);
	/* With the reference of @t it is not the last one. */
	if (t->what == IOTARGET_TODO_COMPLETE)
		iotarget_watch_put(unlist(r));
	r->runs++;
	WRITE_ONCE(r->runner, current);
out:
	mutex_unlock(&iotarget_lowers_lock);
	return t->what != IOTARGET_TODO_NONE;
}

static void end(struct iotarget_removal *r, struct task *t)
{
	mutex_lock(&iotarget_lowers_lock);
	WRITE_ONCE(r->runner, NULL);
	if (t->what == IOTARGET_TODO_NOTICE)
		iotarget_watch_noticed(t->watch);
	if (t->what == IOTARGET_TODO_CANCELED && t->ask)
		iotarget_ask_over(t->ask);
	mutex_unlock(&iotarget_lowers_lock);
	wake_up_all(&told_waitq);
	iotarget_watch_put(t->watch);
}

static void removal_work(struct work_struct *work)
{
	struct iotarget_removal *r = container_of(work, struct iotarget_removal,
						  work);
	struct iotarget *target = iotarget_removal_target(r);
	/* What frees memory may be held by a target that waits for us. */
	unsigned int noio = memalloc_noio_save();
	struct task t;

	while (begin(r, &t)) {
		switch (t.what) {
		case IOTARGET_TODO_COMPLETE:
			do_complete(target, t.inst);
			break;
		case IOTARGET_TODO_RETURNED:
			if (target->ops->returned)
				target->ops->returned(target);
			break;
		case IOTARGET_TODO_NOTICE:
			do_notice(target, t.watch);
			break;
		case IOTARGET_TODO_CANCELED:
			do_canceled(target, t.ask);
			break;
		case IOTARGET_TODO_ASK:
			do_ask(target, t.ask);
			break;
		}
		end(r, &t);
	}
	memalloc_noio_restore(noio);
	iotarget_gate_unpin(target);
}

/* -- who is told ----------------------------------------------------------- */

/**
 * iotarget_removal_init - of a target that is being made
 * @target: the target
 *
 * Context: process.
 */
void iotarget_removal_init(struct iotarget *target)
{
	INIT_LIST_HEAD(&target->removal.node);
	INIT_WORK(&target->removal.work, removal_work);
	INIT_WORK(&target->removal.lost, lost_work);
	INIT_WORK(&target->removal.back, iotarget_away_work);
}

/**
 * iotarget_removal_register - a target is being opened on a block device
 * @target: the target
 * @inst: the instance, with its device open
 * @opens: which open it is of
 * @lost: the number of the one that it stands in for, or 0
 *
 * What an earlier opening had to be told is dropped.  From here on events are kept;
 * they are told after iotarget_removal_opened().
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY if all have agreed to the removal of the device; -ECANCELED if
 * nobody waits for this one, or for that one, any more.
 */
int iotarget_removal_register(struct iotarget *target,
			      struct iotarget_inst *inst, u64 opens, u64 lost)
{
	struct iotarget_removal *r = &target->removal;
	const struct iotarget_use *use = inst->use;
	struct iotarget_watch *before;

	if (!use)
		return 0;
	mutex_lock(&iotarget_lowers_lock);
	/* Abandoned: what is listed may be of a later one, or a later one comes here. */
	if (lost ? !r->holding || r->inst != lost :
		   READ_ONCE(target->gate.opens) != opens) {
		mutex_unlock(&iotarget_lowers_lock);
		return -ECANCELED;
	}
	/* All have agreed while it was being opened. */
	if (iotarget_watch_agreed(use->watch, use->bdev)) {
		mutex_unlock(&iotarget_lowers_lock);
		return -EBUSY;
	}
	before = unlist(r);
	r->watch = iotarget_watch_ref(use->watch);
	r->disk = use->bdev->bd_disk;
	r->part = bdev_is_partition(use->bdev) ? use->bdev : NULL;
	r->devt = use->bdev->bd_dev;
	r->access = use->access;
	r->share = use->share;
	r->by_file = use->by_file;
	r->id = *use->id;
	r->diskseq = r->disk->diskseq;
	r->inst = inst->number;
	r->level = IOTARGET_REMOVAL_NONE;
	r->opened = false;
	r->given_up = false;
	list_add_tail(&r->node, &iotarget_told);
	raise_level(r, use->level);
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_watch_put(before);
	return 0;
}

/* It was closed since, and not for a query. */
static bool has_left(struct iotarget *target)
{
	struct iotarget_inst *inst;
	u64 number = 0;

	rcu_read_lock();
	inst = rcu_dereference(target->gate.inst);
	if (inst)
		number = inst->number;
	rcu_read_unlock();
	return number != target->removal.inst &&
	       READ_ONCE(target->gate.word) != IOTARGET_W_CFQR;
}

/**
 * iotarget_removal_opened - an open is through
 * @target: the target
 * @inst: its instance
 * @opened: it succeeded
 *
 * Context: process; sleeps.
 */
void iotarget_removal_opened(struct iotarget *target,
			     struct iotarget_inst *inst, bool opened)
{
	struct iotarget_removal *r = &target->removal;
	struct iotarget_watch *before = NULL;

	mutex_lock(&iotarget_lowers_lock);
	if (r->inst == inst->number && !list_empty(&r->node)) {
		r->opened = opened;
		if (!opened || has_left(target))
			before = unlist(r);
		else if (r->todo)
			iotarget_removal_kick(r, &r->work);
		/* What was told before it had a gate to be shut. */
		if (!before && r->level > IOTARGET_REMOVAL_ORDERLY)
			lose_or_hold(r);
	}
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_watch_put(before);
}

/**
 * iotarget_removal_not_returned - the device of a target is back, and not wanted
 * @target: the target
 * @inst: the instance that was registered for it
 *
 * It was closed meanwhile.  If that was for a query, its owner still has to hear that the
 * device which it had is gone.
 *
 * Context: process; sleeps.
 */
void iotarget_removal_not_returned(struct iotarget *target,
				   struct iotarget_inst *inst)
{
	struct iotarget_removal *r = &target->removal;
	struct iotarget_watch *before = NULL;

	mutex_lock(&iotarget_lowers_lock);
	if (r->inst == inst->number && !list_empty(&r->node)) {
		if (READ_ONCE(target->gate.word) != IOTARGET_W_CFQR) {
			before = unlist(r);
		} else {
			r->opened = true;
			r->level = IOTARGET_REMOVAL_COMPLETE;
			iotarget_removal_give_up(r, 0);
		}
	}
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_watch_put(before);
}

/**
 * iotarget_removal_returned - the device of a target is back
 * @target: the target
 * @inst: the instance that it has now
 *
 * Context: process; sleeps.
 */
void iotarget_removal_returned(struct iotarget *target,
			       struct iotarget_inst *inst)
{
	struct iotarget_removal *r = &target->removal;

	mutex_lock(&iotarget_lowers_lock);
	if (r->inst == inst->number && !list_empty(&r->node))
		iotarget_removal_todo(r, IOTARGET_TODO_RETURNED);
	mutex_unlock(&iotarget_lowers_lock);
}

/* The number of the callback that runs, unless it is what calls; 0 for none. */
static unsigned int running(const struct iotarget_removal *r)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	return r->runner && r->runner != current ? r->runs : 0;
}

static bool is_over(const struct iotarget_removal *r, unsigned int runs)
{
	return !READ_ONCE(r->runner) || READ_ONCE(r->runs) != runs;
}

static int wait_told(struct iotarget_removal *r, unsigned int runs,
		     unsigned int timeout_ms)
{
	long left = iotarget_wait_jiffies(timeout_ms);

	if (!runs)
		return 0;
	left = wait_event_killable_timeout(told_waitq, is_over(r, runs), left);
	return iotarget_wait_result(left);
}

/**
 * iotarget_removal_forget - the owner gives the device up, or the target
 * @target: the target
 *
 * No callback begins any more.
 *
 * Context: process; sleeps.
 * Return: the callback that runs, for iotarget_removal_left(), or 0.
 */
unsigned int iotarget_removal_forget(struct iotarget *target)
{
	struct iotarget_watch *before;
	unsigned int runs;

	mutex_lock(&iotarget_lowers_lock);
	before = unlist(&target->removal);
	runs = running(&target->removal);
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_watch_put(before);
	return runs;
}

/**
 * iotarget_removal_left - the owner has closed the target
 * @target: the target
 * @runs: what iotarget_removal_forget() returned
 * @timeout_ms: how long to wait for the callback that runs
 *
 * An opening that came to its end after iotarget_removal_forget() is forgotten, too.
 *
 * Context: process; sleeps, killable.
 * Return: 0, -ETIMEDOUT, -EINTR.
 */
int iotarget_removal_left(struct iotarget *target, unsigned int runs,
			  unsigned int timeout_ms)
{
	struct iotarget_removal *r = &target->removal;
	struct iotarget_watch *before = NULL;

	mutex_lock(&iotarget_lowers_lock);
	if (r->opened && !list_empty(&r->node) && has_left(target)) {
		before = unlist(r);
		runs = running(r);
	}
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_watch_put(before);
	return wait_told(r, runs, timeout_ms);
}

/**
 * iotarget_removal_lapsed - a disk that was about to go has stayed
 * @disk: the disk
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_removal_lapsed(const struct gendisk *disk)
{
	struct iotarget_removal *r;
	struct iotarget *target;

	lockdep_assert_held(&iotarget_lowers_lock);
	iotarget_lower_lapsed(disk);
	list_for_each_entry(r, &iotarget_told, node) {
		if (r->disk != disk || r->level != IOTARGET_REMOVAL_ORDERLY)
			continue;
		r->level = IOTARGET_REMOVAL_NONE;
		target = iotarget_removal_target(r);
		if (READ_ONCE(target->gate.word) == IOTARGET_W_CFQR ||
		    READ_ONCE(target->gate.agreed))
			iotarget_removal_todo(r, IOTARGET_TODO_CANCELED);
	}
}

/**
 * iotarget_removal_init_module - at module load
 *
 * Context: module load.
 * Return: 0 or -ENOMEM.
 */
int iotarget_removal_init_module(void)
{
	/*
	 * One owner that takes its time must not keep the others.  So there is no
	 * rescuer, who comes when a machine is slow to make workers, and then calls
	 * all owners that still wait, one after the other.  None is needed: nobody
	 * waits for these calls without a limit, and what is held, and may be
	 * memory on its way to the device, is failed by the other one's workers.
	 */
	removal_wq = alloc_workqueue("iotarget_removal", WQ_UNBOUND,
				     WQ_MAX_ACTIVE);
	if (!removal_wq)
		return -ENOMEM;
	lost_wq = alloc_workqueue("iotarget_lost", WQ_MEM_RECLAIM | WQ_UNBOUND,
				  WQ_MAX_ACTIVE);
	if (!lost_wq) {
		destroy_workqueue(removal_wq);
		return -ENOMEM;
	}
	return 0;
}

/**
 * iotarget_removal_exit_module - at module unload
 *
 * Context: module unload, with no target left; sleeps.
 */
void iotarget_removal_exit_module(void)
{
	iotarget_away_exit();
	cancel_delayed_work_sync(&retry_work);
	cancel_delayed_work_sync(&lapse_work);
	destroy_workqueue(removal_wq);
	destroy_workqueue(lost_wq);
}
