// SPDX-License-Identifier: GPL-2.0-only
/*
 * Targets whose device is gone, and may come back.
 *
 * With %IOTARGET_POLICY_HOLD what is held when the device is pulled, and what comes
 * then, waits for it, within the limits that the policy sets.  The target keeps the
 * dead device's instance until it has another: so nothing of it can be taken for
 * something else, and what it was is known for the comparison.
 *
 * When a disk enters the system, and every now and then while something is away, each
 * disk that came since, of the driver that the lost one had, is opened and compared.
 * It is the same if it says the same of itself, has the same size, limits and place
 * in a partition table, and the contents of its ends are those that the lost one had.  One
 * that has a unique id may have grown.
 * One that is not is closed again, with nothing written to it, and the log says what
 * differs.  If two are the same, none is.
 *
 * What others write to the device, by a target of theirs or its node, is not seen by
 * this one: such a device is not known again.
 *
 * Nothing is tried before the driver of the lost device has given back all that it
 * had: what was sent there must not land after what is sent to the one that is back.
 *
 * Context: process; a work item of each target.  Lock: iotarget_lowers_lock.
 */
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>

#include "keep.h"
#include "removal.h"

#include <uapi/linux/iotarget.h>

#define POLL_MS		200

static void poll(struct work_struct *work);
static DECLARE_DELAYED_WORK(poll_work, poll);

/* From the loss on, however often the policy is changed meanwhile. */
static unsigned long deadline(struct iotarget_removal *r)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	return r->since +
	       iotarget_jiffies(iotarget_removal_target(r)->policy.hold_ms);
}

static void poll(struct work_struct *work)
{
	struct iotarget_removal *r;
	bool any = false;

	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(r, &iotarget_told, node) {
		if (!r->holding)
			continue;
		any = true;
		/*
		 * Here, as who looks may be stuck with a device; and one that was closed
		 * for a query meanwhile waits for nothing.
		 */
		if (!READ_ONCE(iotarget_removal_target(r)->gate.lost))
			iotarget_removal_give_up(r, 0);
		else if (time_after_eq(jiffies, deadline(r)))
			iotarget_removal_give_up(r, IOTARGET_WHY_EXPIRED);
		else
			iotarget_removal_kick(r, &r->back);
		if (iotarget_away_no_swap(r) &&
		    !READ_ONCE(iotarget_removal_target(r)->gate.no_swap))
			iotarget_removal_kick(r, &r->lost);
	}
	mutex_unlock(&iotarget_lowers_lock);
	if (any)
		queue_delayed_work(iotarget_fast_wq, &poll_work,
				   iotarget_jiffies(POLL_MS));
}

/**
 * iotarget_away_arrived - a disk has entered the system
 *
 * Context: any.
 */
void iotarget_away_arrived(void)
{
	mod_delayed_work(iotarget_fast_wq, &poll_work, 0);
}

/**
 * iotarget_away_exit - at module unload
 *
 * Context: module unload, with no target left; sleeps.
 */
void iotarget_away_exit(void)
{
	cancel_delayed_work_sync(&poll_work);
}

/**
 * iotarget_away_begin - the device of a target is gone: is it waited for?
 * @r: the target's
 *
 * Context: process, with iotarget_lowers_lock.
 * Return: false if what is held has to fail.
 */
bool iotarget_away_begin(struct iotarget_removal *r)
{
	struct iotarget *target = iotarget_removal_target(r);

	lockdep_assert_held(&iotarget_lowers_lock);
	if (r->holding)
		return true;
	/* One that was opened by a file can't be opened again. */
	if (!(target->policy.flags & IOTARGET_POLICY_HOLD) || r->by_file ||
	    !r->opened || r->given_up ||
	    !iotarget_gate_lost(target, r->inst))
		return false;
	r->holding = true;
	iotarget_removal_no_notice(r);
	/* What can't wait for it fails. */
	iotarget_removal_kick(r, &r->lost);
	r->seen = iotarget_watch_arrivals();
	r->since = jiffies;
	iotarget_note_away(target, IOTARGET_EVENT_KIND_AWAY,
			   r->watch ? r->watch->name : "", 0);
	iotarget_warn(target, "its device is gone: I/O is held for it, for up to %u ms\n",
		      target->policy.hold_ms);
	queue_delayed_work(iotarget_fast_wq, &poll_work,
			   iotarget_jiffies(POLL_MS));
	return true;
}

/**
 * iotarget_away_left - is the device of a target waited for?
 * @target: the target
 * @left_ms: set to how long it still is
 *
 * Context: process; sleeps.
 * Return: true if so.
 */
bool iotarget_away_left(struct iotarget *target, unsigned int *left_ms)
{
	struct iotarget_removal *r = &target->removal;
	bool away;

	mutex_lock(&iotarget_lowers_lock);
	away = r->holding && READ_ONCE(target->gate.lost);
	*left_ms = away ? iotarget_ms_until(deadline(r)) : 0;
	mutex_unlock(&iotarget_lowers_lock);
	return away;
}

/* -- who comes ------------------------------------------------------------- */

/**
 * struct search - for the device of a target
 * @target: the target
 * @lost: the instance that it had, held
 * @access: IOTARGET_ACCESS_* of that
 * @share: IOTARGET_SHARE_*
 * @seen: disks that were there when it went
 * @devt: the device that is it
 * @diskseq: of its disk
 * @same: so many are
 */
struct search {
	struct iotarget		*target;
	struct iotarget_inst	*lost;
	u32			access;
	u32			share;
	u64			seen;
	dev_t			devt;
	u64			diskseq;
	unsigned int		same;
};

static void close_inst(struct iotarget_inst *inst)
{
	struct iotarget *target = inst->target;

	inst->ops->release(inst);
	iotarget_inst_finished(target, inst);
	iotarget_inst_discard(inst);
}

static struct iotarget_inst *open_inst(struct search *s, dev_t devt, u32 access,
				       u32 share)
{
	const struct iotarget_open how = {
		.type = IOTARGET_OPEN_DEVT,
		.access = access,
		.share = share,
		.devt = devt,
		/* A disk may be held up by its gate, and that by this target. */
		.nowait = true,
	};
	struct iotarget_inst *inst;
	int ret;

	if (!try_module_get(s->target->ops->owner))
		return ERR_PTR(-ENODEV);
	inst = iotarget_inst_alloc(iotarget_get(s->target), s->lost->ops);
	if (!inst) {
		iotarget_put(s->target);
		module_put(s->target->ops->owner);
		return ERR_PTR(-ENOMEM);
	}
	iotarget_inst_began(s->target);
	ret = inst->ops->open(inst, &how);
	if (!ret)
		return inst;
	iotarget_inst_finished(s->target, inst);
	iotarget_inst_discard(inst);
	return ERR_PTR(ret);
}

/* The disk, or the partition that has the place of the lost one. */
static dev_t same_place(struct gendisk *disk, const struct block_device *lost)
{
	struct block_device *part;
	dev_t devt = 0;

	rcu_read_lock();
	part = xa_load(&disk->part_tbl, bdev_partno(lost));
	if (part)
		devt = part->bd_dev;
	rcu_read_unlock();
	return devt;
}

static bool was_refused(struct iotarget_removal *r, u64 diskseq)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(r->refused); i++) {
		if (r->refused[i] == diskseq)
			return true;
	}
	return false;
}

/* Only the worker of this target remembers, and looks. */
static void refuse(struct search *s, struct gendisk *disk, const char *why)
{
	struct iotarget_removal *r = &s->target->removal;

	r->refused[r->nr_refused++ % ARRAY_SIZE(r->refused)] = disk->diskseq;
	iotarget_warn(s->target, "%s is not the device that is gone: another %s\n",
		      disk->disk_name, why);
}

/* Without a claim, as it is probably somebody else's. */
static void try_disk(struct search *s, struct gendisk *disk)
{
	struct block_device *lost = s->lost->bdev;
	struct iotarget_inst *inst;
	const char *why;
	dev_t devt;

	/* The walk may begin anew, when a disk leaves. */
	if (s->same && disk->diskseq == s->diskseq)
		return;
	if (disk->fops != lost->bd_disk->fops ||
	    was_refused(&s->target->removal, disk->diskseq))
		return;
	devt = same_place(disk, lost);
	if (!devt)
		return;
	/* It may be busy for a moment, as with those who look what it is. */
	inst = open_inst(s, devt, IOTARGET_ACCESS_READ,
			 IOTARGET_SHARE_READ | IOTARGET_SHARE_WRITE);
	if (IS_ERR(inst))
		return;
	why = inst->ops->differs(s->lost, inst);
	if (inst->bdev->bd_disk->diskseq != disk->diskseq) {
		/* Another has taken its number: next time. */
	} else if (why) {
		refuse(s, disk, why);
	} else {
		s->devt = devt;
		s->diskseq = disk->diskseq;
		s->same++;
	}
	close_inst(inst);
}

static void search_disks(struct search *s)
{
	struct iotarget_watch *watch = NULL;
	struct gendisk *disk;

	while ((watch = iotarget_watch_next(watch, NULL))) {
		if (watch->arrival <= s->seen)
			continue;
		disk = iotarget_watch_hold(watch);
		if (!disk)
			continue;
		try_disk(s, disk);
		put_device(disk_to_dev(disk));
	}
	if (s->same > 1)
		iotarget_warn(s->target, "%u disks are the device that is gone: none is taken\n",
			      s->same);
}

/* As the target had it; looked at once more, as it was open for anybody. */
static struct iotarget_inst *open_found(struct search *s)
{
	struct iotarget_inst *inst;

	inst = open_inst(s, s->devt, s->access, s->share);
	if (IS_ERR(inst))
		return NULL;
	if (inst->bdev->bd_disk->diskseq == s->diskseq &&
	    !inst->ops->differs(s->lost, inst))
		return inst;
	close_inst(inst);
	return NULL;
}

/* It has the target's device now, or is closed again. */
static void come_back(struct search *s)
{
	struct iotarget_inst *inst = open_found(s);
	struct iotarget *target = s->target;
	const u64 lost = s->lost->number;
	char name[DISK_NAME_LEN];

	if (!inst)
		return;
	strscpy(name, inst->bdev->bd_disk->disk_name, sizeof(name));
	if (!(READ_ONCE(target->policy.flags) & IOTARGET_POLICY_LOSSY))
		iotarget_keep_inherit(inst->keep, s->lost->keep);
	if (inst->keep->lost)
		iotarget_warn(target, "%llu bytes may be lost that %s had acknowledged: flushes fail\n",
			      inst->keep->lost, name);
	/* Once it is the target's it may be gone at any time. */
	kref_get(&inst->kref);
	if (iotarget_open_attach(target, inst, 0, lost)) {
		close_inst(inst);
	} else {
		pr_info("iotarget: %s: its device is back as %s\n",
			target->name, name);
		iotarget_removal_returned(target, inst);
	}
	iotarget_inst_put(inst);
}

/*
 * Held, it stays open for as long as we look at it.  Quiet, nobody has a reference of it
 * by which more could be sent, and nothing of what was sent can land any more.
 */
static void look_for(struct search *s, u64 number)
{
	s->lost = iotarget_inst_hold(s->target);
	if (!s->lost)
		return;
	if (s->lost->number == number && s->lost->ops->differs &&
	    iotarget_inst_quiet(s->lost) &&
	    refcount_read(&s->lost->ignored) == 2) {
		search_disks(s);
		if (s->same == 1)
			come_back(s);
	}
	iotarget_inst_unhold(s->lost);
}

/**
 * iotarget_away_work - is the device back?
 * @work: of a target's struct iotarget_removal
 *
 * Context: removal's workqueue; has a reference of the target.
 */
void iotarget_away_work(struct work_struct *work)
{
	struct iotarget_removal *r = container_of(work, struct iotarget_removal,
						  back);
	struct iotarget *target = iotarget_removal_target(r);
	unsigned int noio = memalloc_noio_save();
	struct search s = { .target = target };
	u64 look = 0;

	mutex_lock(&iotarget_lowers_lock);
	s.access = r->access;
	s.share = r->share;
	s.seen = r->seen;
	if (!list_empty(&r->node) && r->holding &&
	    r->level == IOTARGET_REMOVAL_COMPLETE)
		look = r->inst;
	mutex_unlock(&iotarget_lowers_lock);
	if (look)
		look_for(&s, look);
	/* Pairs with the acquire in iotarget_away_wait(): it has the device, or not. */
	smp_store_release(&r->looks, r->looks + 1);
	wake_up_all(&target->gate.waitq);
	memalloc_noio_restore(noio);
	iotarget_gate_unpin(target);
}

/* -- who asks -------------------------------------------------------------- */

/**
 * iotarget_away_look - look for a device that is waited for, now
 * @target: the target
 * @look: filled in, for iotarget_away_wait()
 *
 * Context: process, with iotarget_lowers_lock; waits for nothing.
 * Return: false if none is waited for.
 */
bool iotarget_away_look(struct iotarget *target, struct iotarget_look *look)
{
	struct iotarget_removal *r = &target->removal;

	lockdep_assert_held(&iotarget_lowers_lock);
	if (!r->holding || !READ_ONCE(target->gate.lost))
		return false;
	look->inst = r->inst;
	look->looks = READ_ONCE(r->looks);
	iotarget_removal_kick(r, &r->back);
	return true;
}

/* One may have been under way already; the next was begun afterwards. */
static bool has_looked(struct iotarget_removal *r, const struct iotarget_look *look)
{
	/* Pairs with the release in iotarget_away_work(). */
	return smp_load_acquire(&r->looks) - look->looks >= 2;
}

/**
 * iotarget_away_wait - what came of iotarget_away_look()
 * @target: the target
 * @look: what that filled in
 * @timeout_ms: the longest wait
 *
 * Context: process; sleeps, killable.
 * Return: 0: it has its device; -ENODEV: it is not there; -ETIMEDOUT, -EINTR: who looks
 * has not come to an end; -ECANCELED: it is not waited for any more.
 */
int iotarget_away_wait(struct iotarget *target, const struct iotarget_look *look,
		       unsigned int timeout_ms)
{
	struct iotarget_removal *r = &target->removal;
	struct iotarget_gate *gate = &target->gate;
	struct iotarget_inst *inst;
	long left;
	u64 number = 0;

	left = wait_event_killable_timeout(gate->waitq,
					   !READ_ONCE(gate->lost) ||
					   has_looked(r, look),
					   iotarget_wait_jiffies(timeout_ms));
	inst = iotarget_inst_current(target);
	if (inst) {
		number = inst->number;
		iotarget_inst_put(inst);
	}
	if (number && number != look->inst)
		return 0;
	if (!READ_ONCE(gate->lost))
		return -ECANCELED;
	return iotarget_wait_result(left) ?: -ENODEV;
}
