// SPDX-License-Identifier: GPL-2.0-only
/*
 * The targets of a disk, to who asks them whether it may go: query.c.
 *
 * A question is put to a target by its number and that of the opening, and answered by the
 * worker that tells it all else of removals (removal.c).
 *
 * Context: process.  Lock: iotarget_lowers_lock.
 */
#include <linux/blkdev.h>
#include <linux/export.h>
#include <linux/mutex.h>

#include "removal.h"

/**
 * iotarget_removal_next - the targets of a disk, one after the other
 * @t: the one before, its id 0 for the first; filled in
 * @disk: the disk
 * @bdev: a partition of it, or NULL for all of it
 *
 * In the order of their numbers; one that is opened meanwhile may be missed.
 *
 * Context: process; sleeps.
 * Return: false if there is no other.
 */
bool iotarget_removal_next(struct iotarget_told *t, const struct gendisk *disk,
			   const struct block_device *bdev)
{
	struct iotarget *target, *found = NULL;
	struct iotarget_removal *r;

	mutex_lock(&iotarget_lowers_lock);
	list_for_each_entry(r, &iotarget_told, node) {
		target = iotarget_removal_target(r);
		if (r->disk == disk && (!bdev || r->part == bdev) &&
		    r->level < IOTARGET_REMOVAL_COMPLETE &&
		    target->id > t->id && (!found || target->id < found->id))
			found = target;
	}
	if (found) {
		t->id = found->id;
		strscpy(t->name, found->name, sizeof(t->name));
		t->inst = found->removal.inst;
		t->devt = found->removal.devt;
		t->open = !iotarget_is_ready(found);
		t->upper = found->upper;
	}
	mutex_unlock(&iotarget_lowers_lock);
	return found;
}

/* The opening that was found: the target may be on another device by now. */
static struct iotarget_removal *find(const struct iotarget_ask *ask)
{
	struct iotarget_removal *r;

	lockdep_assert_held(&iotarget_lowers_lock);
	list_for_each_entry(r, &iotarget_told, node) {
		if (iotarget_removal_target(r)->id == ask->id && r->inst == ask->inst)
			return r;
	}
	return NULL;
}

/**
 * iotarget_removal_ask - put a question to a target
 * @ask: the question; on success its answer comes by iotarget_ask_answer()
 *
 * Context: process, with iotarget_lowers_lock.
 * Return: false if the target has nothing to do with the device any more.
 */
bool iotarget_removal_ask(struct iotarget_ask *ask)
{
	struct iotarget_removal *r = find(ask);

	if (!r)
		return false;
	/* Another query's, which has given up and could not take it back. */
	if (r->ask)
		iotarget_ask_answer(r->ask, -ECANCELED);
	r->ask = ask;
	iotarget_removal_todo(r, IOTARGET_TODO_ASK);
	return true;
}

/**
 * iotarget_removal_withdraw - take a question back, if the owner does not have it yet
 * @ask: the question
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_removal_withdraw(struct iotarget_ask *ask)
{
	struct iotarget_removal *r = find(ask);

	if (!r || r->ask != ask)
		return;
	__clear_bit(IOTARGET_TODO_ASK, &r->todo);
	r->ask = NULL;
	iotarget_ask_answer(ask, -ECANCELED);
}

/**
 * iotarget_removal_cancel - tell a target that the device stays
 * @ask: the question that it agreed to; iotarget_ask_over() when it was told
 *
 * Context: process, with iotarget_lowers_lock.
 * Return: false if there is nobody to be told.
 */
bool iotarget_removal_cancel(struct iotarget_ask *ask)
{
	struct iotarget_removal *r = find(ask);

	if (!r || r->canceled)
		return false;
	r->canceled = ask;
	iotarget_removal_todo(r, IOTARGET_TODO_CANCELED);
	return true;
}

/**
 * iotarget_removal_stands - is the device of a target still there, on one that holds?
 * @ask: the question that the target agreed to
 *
 * The device below has gone, and with it the disks that stand on targets which were
 * closed for it; not so those on targets that wait for it.
 *
 * Context: process, with iotarget_lowers_lock.
 * Return: true if so.
 */
bool iotarget_removal_stands(struct iotarget_ask *ask)
{
	struct iotarget_removal *above = find(ask), *r;
	struct iotarget *target;

	if (!above)
		return false;
	list_for_each_entry(r, &iotarget_told, node) {
		target = iotarget_removal_target(r);
		if (target->upper == above->disk)
			return r->holding || READ_ONCE(target->gate.agreed);
	}
	return false;
}

/**
 * iotarget_set_upper - which disk stands on a target
 * @target: the target
 * @disk: the disk, or NULL for none any more
 *
 * So its users are asked before it is.
 *
 * Extension.
 *
 * Context: process; sleeps.
 */
void iotarget_set_upper(struct iotarget *target, const struct gendisk *disk)
{
	mutex_lock(&iotarget_lowers_lock);
	target->upper = disk;
	mutex_unlock(&iotarget_lowers_lock);
}
EXPORT_SYMBOL_GPL(iotarget_set_upper);
