// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which targets there are.
 *
 * A target is in here from its creation until its last reference is gone, so
 * that one that was deleted and still waits for its device can be seen.  Who
 * finds one gets a reference and a pin on its owner's module, whose code the
 * last reference calls; a target whose module is still being loaded, or is being
 * unloaded, is not found.
 *
 * Context: process.  Lock: the xarray's own, held for look-ups only.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "control.h"

static DEFINE_XARRAY(targets);
static atomic_t changes = ATOMIC_INIT(1);

/**
 * iotarget_registry_add - enter a target
 * @target: the target
 *
 * Context: process; sleeps.
 * Return: 0 or -ENOMEM.
 */
int iotarget_registry_add(struct iotarget *target)
{
	int ret = xa_insert(&targets, target->id, target, GFP_KERNEL);

	atomic_inc(&changes);
	return ret;
}

/**
 * iotarget_registry_remove - take a target out
 * @target: the target; its last reference is gone
 *
 * Context: process.
 */
void iotarget_registry_remove(struct iotarget *target)
{
	xa_erase(&targets, target->id);
	atomic_inc(&changes);
}

/*
 * A module whose init fails is freed whatever its reference count is, so that
 * one counts only from the success of its init on.  From there on it can but be
 * unloaded, which try_module_get() looks at.
 */
static bool is_loaded(const struct module *owner)
{
#ifdef CONFIG_MODULES
	return !owner || READ_ONCE(owner->state) == MODULE_STATE_LIVE;
#else
	return true;
#endif
}

/**
 * iotarget_pin_loaded - keep a target and the code of its owner
 * @target: the target; the caller holds a lock under which its memory is there, and
 *	so are the owner's ops: who drops the last reference takes the target from
 *	where it was found before it returns to the owner
 *
 * Context: any.
 * Return: true if the caller now has what iotarget_gate_unpin() lets go of; false for
 * a target on its way out, and while its owner is being loaded or unloaded.
 */
bool iotarget_pin_loaded(struct iotarget *target)
{
	struct module *owner = target->ops->owner;

	if (!is_loaded(owner) || !try_module_get(owner))
		return false;
	if (kref_get_unless_zero(&target->refs))
		return true;
	module_put(owner);
	return false;
}

/**
 * iotarget_registry_find - find a target by its number
 * @id: the number
 *
 * Context: process.
 * Return: the target, to be given to iotarget_gate_unpin(), or NULL.
 */
struct iotarget *iotarget_registry_find(u64 id)
{
	struct iotarget *target;

	if (id > ULONG_MAX)
		return NULL;
	xa_lock(&targets);
	target = xa_load(&targets, id);
	if (target && !iotarget_pin_loaded(target))
		target = NULL;
	xa_unlock(&targets);
	return target;
}

/**
 * iotarget_registry_find_name - find a target by its name
 * @name: the name
 *
 * Those that were deleted are found by their number only.
 *
 * Context: process.
 * Return: the target, to be given to iotarget_gate_unpin(); NULL; or an ERR_PTR
 * of -ENOTUNIQ when several have that name.
 */
struct iotarget *iotarget_registry_find_name(const char *name)
{
	struct iotarget *target, *found = NULL;
	unsigned long index;

	xa_lock(&targets);
	xa_for_each(&targets, index, target) {
		if (strcmp(target->name, name) ||
		    iotarget_get_state(target) == IOTARGET_DELETED)
			continue;
		if (found) {
			found = ERR_PTR(-ENOTUNIQ);
			break;
		}
		found = target;
	}
	if (!IS_ERR_OR_NULL(found) && !iotarget_pin_loaded(found))
		found = NULL;
	xa_unlock(&targets);
	return found;
}

/**
 * iotarget_registry_next - the first target from a number on
 * @from: the number
 *
 * Numbers only rise, so who goes from one to the next sees every target that is
 * there all the time, once.
 *
 * Context: process.
 * Return: the target, to be given to iotarget_gate_unpin(), or NULL.
 */
struct iotarget *iotarget_registry_next(u64 from)
{
	struct iotarget *target;
	unsigned long index;

	if (from > ULONG_MAX)
		return NULL;
	xa_lock(&targets);
	xa_for_each_start(&targets, index, target, from) {
		if (iotarget_pin_loaded(target))
			break;
	}
	xa_unlock(&targets);
	return target;
}

/**
 * iotarget_registry_changes - has a target come or gone?
 *
 * Context: any.
 * Return: a number that is another one after each of them, and never 0.
 */
unsigned int iotarget_registry_changes(void)
{
	return (unsigned int)atomic_read(&changes) ?: 1;
}
