// SPDX-License-Identifier: GPL-2.0-only
/*
 * The verb "reopen": a target whose device was given up for a removal gets it back.
 *
 * A target that was closed because its device was to go, or was gone, is opened again as
 * it was: by the number that the device had, if what has it now says the same of itself.
 * One that its driver has closed is its driver's affair.  For one that holds for its device,
 * which is away, the device is looked for at once.
 *
 * What was found is true at one moment.  So the open takes place only if the target has
 * seen no transition since: whatever its driver has done meanwhile counts.
 *
 * Context: process.  Locks: iotarget_lowers_lock, gate->lock.
 */
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>

#include "control.h"
#include "removal.h"

static int refuse(const char **why, int error, const char *text)
{
	*why = text;
	return error;
}

/* All have agreed that it goes; an open would be refused, and leave it closed. */
static bool is_about_to_go(const struct iotarget_removal *r)
{
	const struct iotarget_watch *watch = r->watch;

	lockdep_assert_held(&iotarget_lowers_lock);
	return watch && watch->agreed &&
	       (!watch->agreed_part || !r->part || watch->agreed_part == r->part);
}

static int check_closed(struct iotarget *target, enum iotarget_word word,
			u64 changes, const char **why)
{
	const struct iotarget_removal *r = &target->removal;

	lockdep_assert_held(&iotarget_lowers_lock);
	if (!r->devt || r->by_file)
		return refuse(why, -EINVAL, "it was not opened by a name or number");
	if (word == IOTARGET_W_CLOSED && r->level != IOTARGET_REMOVAL_COMPLETE &&
	    r->failed != changes)
		return refuse(why, -ESHUTDOWN, "its driver has closed it");
	if (is_about_to_go(r))
		return refuse(why, -EBUSY, "all have agreed that its device may go");
	return 0;
}

/* The same for any state; with the number of transitions that it is true of. */
static int check(struct iotarget *target, u64 *changes, const char **why)
{
	struct iotarget_gate *gate = &target->gate;
	enum iotarget_word word;

	lockdep_assert_held(&iotarget_lowers_lock);
	spin_lock_irq(&gate->lock);
	word = gate->word;
	*changes = gate->changes;
	spin_unlock_irq(&gate->lock);
	if (word == IOTARGET_W_DELETED)
		return refuse(why, -ESHUTDOWN, "the target is deleted");
	if (word == IOTARGET_W_OPENING)
		return refuse(why, -EBUSY, "the target is being opened");
	if (!iotarget_word_open(word))
		return check_closed(target, word, *changes, why);
	if (target->removal.holding && READ_ONCE(gate->lost))
		return 0;
	return refuse(why, -EBUSY, "the target is open");
}

/**
 * iotarget_reopen_check - can a target be opened again?
 * @target: the target
 * @why: set to why not
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY: it is open, or being opened, or its device is about to go;
 * -ESHUTDOWN: its driver has closed it, or it is deleted; -EINVAL: it was not opened by a
 * name.
 */
int iotarget_reopen_check(struct iotarget *target, const char **why)
{
	u64 changes;
	int ret;

	mutex_lock(&iotarget_lowers_lock);
	ret = check(target, &changes, why);
	mutex_unlock(&iotarget_lowers_lock);
	return ret;
}

/**
 * iotarget_reopen_begin - open a target again, or look for its device
 * @target: the target
 * @reopen: filled in, for iotarget_reopen_end()
 * @why: set to why not
 *
 * Context: process; waits for nothing.
 * Return: as iotarget_reopen_check().
 */
int iotarget_reopen_begin(struct iotarget *target, struct iotarget_reopen *reopen,
			  const char **why)
{
	const struct iotarget_removal *r = &target->removal;
	int ret;

	*reopen = (struct iotarget_reopen){ };
	mutex_lock(&iotarget_lowers_lock);
	ret = check(target, &reopen->changes, why);
	if (!ret) {
		reopen->away = iotarget_away_look(target, &reopen->look);
		reopen->how = (struct iotarget_open){
			.type = IOTARGET_OPEN_DEVT,
			.access = r->access,
			.share = r->share,
			.devt = r->devt,
			.only = true,
			.id = r->id,
		};
	}
	mutex_unlock(&iotarget_lowers_lock);
	return ret;
}

/*
 * It is closed now, whatever it was closed for before: there may be another try, unless
 * its driver says otherwise.  The open and its failure were two transitions.
 */
static void remember_failure(struct iotarget *target, u64 changes)
{
	mutex_lock(&iotarget_lowers_lock);
	if (iotarget_gate_changes(&target->gate) == changes + 2)
		target->removal.failed = changes + 2;
	mutex_unlock(&iotarget_lowers_lock);
}

static int open_again(struct iotarget *target, const struct iotarget_reopen *reopen,
		      unsigned int timeout_ms, const char **why)
{
	const struct iotarget_by by = { .unchanged = reopen->changes };
	/* What would free memory may wait for this very target. */
	unsigned int noio = memalloc_noio_save();
	int ret;

	ret = iotarget_open_backend(target, &iotarget_block_ops, &reopen->how,
				    &by, timeout_ms);
	memalloc_noio_restore(noio);
	switch (ret) {
	case 0:
	case -ECANCELED:
		return ret;
	case -ETIMEDOUT:
		*why = "the device takes too long to open; it is closed again";
		break;
	case -ESTALE:
		*why = "another device has its number now";
		break;
	case -EBUSY:
		*why = "the device is claimed, mounted, or used by targets that do not share it";
		break;
	case -ENODEV:
	case -ENXIO:
	case -ENOMEDIUM:
		*why = "there is no device of its number";
		break;
	}
	remember_failure(target, reopen->changes);
	return ret;
}

/**
 * iotarget_reopen_end - wait for what iotarget_reopen_begin() has begun
 * @target: the target
 * @reopen: what that filled in
 * @timeout_ms: the longest wait
 * @why: set to why it failed, where the errno does not say it
 *
 * Context: process; sleeps, killable.
 * Return: 0: it is open; -ENODEV: its device is not there; -ECANCELED: somebody else has
 * changed its state; -ESTALE: it is another device; -ETIMEDOUT; as iotarget_open().
 */
int iotarget_reopen_end(struct iotarget *target,
			const struct iotarget_reopen *reopen,
			unsigned int timeout_ms, const char **why)
{
	int ret;

	if (!reopen->away)
		return open_again(target, reopen, timeout_ms, why);
	ret = iotarget_away_wait(target, &reopen->look, timeout_ms);
	if (ret == -ENODEV)
		*why = "its device is not there; it is still waited for";
	else if (ret == -ETIMEDOUT)
		*why = "its device is still looked for";
	else if (ret == -ECANCELED)
		*why = "its device is not waited for any more";
	return ret;
}
