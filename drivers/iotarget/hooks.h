/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hook points: the places in gate, request and control where a race is decided.
 * Unit tests force an interleaving by running another call there.  They exist only
 * in a build with the unit tests; elsewhere a hook is no code at all.
 *
 * No hook point is under a spinlock.  The context is that of the call.
 */
#ifndef _IOTARGET_HOOKS_H
#define _IOTARGET_HOOKS_H

#include <linux/compiler.h>
#include <linux/kconfig.h>

enum iotarget_hook_point {
	IOTARGET_HOOK_GATE_ENTERED,	/* ref taken, flag not read yet */
	IOTARGET_HOOK_GATE_REFUSED,	/* ref put, not yet pended */
	IOTARGET_HOOK_GATE_LEAVE,	/* callback returned, ref not put yet */
	IOTARGET_HOOK_GATE_SHUT,	/* state and flag set, kill not queued */
	IOTARGET_HOOK_GATE_KILL,	/* in the reconciler, before the kill */
	IOTARGET_HOOK_GATE_REVIVE,	/* in the reconciler, before resurrect */
	IOTARGET_HOOK_GATE_DRAIN,	/* one unit taken off, not submitted */
	IOTARGET_HOOK_GATE_DRAINED,	/* drain flag just cleared */
	IOTARGET_HOOK_GATE_FAIL,	/* pended spliced off, not yet failed */
	IOTARGET_HOOK_REQ_SEND,		/* claimed, latch not read yet */
	IOTARGET_HOOK_REQ_SUBMIT,	/* past the gate, not with the device */
	IOTARGET_HOOK_REQ_SUBMITTED,	/* the backend returned */
	IOTARGET_HOOK_REQ_DONE,		/* device is done, claim not dropped */
	IOTARGET_HOOK_REQ_FINISH,	/* last claim dropped, not called back */
	IOTARGET_HOOK_REQ_CANCEL,	/* canceller has its claim */
	IOTARGET_HOOK_REQ_TIMEOUT,	/* timer fired, nothing decided */
	IOTARGET_HOOK_OPENED,		/* device open, not attached */
	IOTARGET_HOOK_FINISH,		/* instance quiet, device not released */
	IOTARGET_NR_HOOKS,		/* of those in the matrix of races */

	/* No call of the matrix makes a verb, or has to pass the others. */
	IOTARGET_HOOK_VERB_MAKE = IOTARGET_NR_HOOKS, /* nothing done yet */
	IOTARGET_HOOK_VERB_TOLD,	/* its result is queued */
	IOTARGET_HOOK_LOOKED,		/* an edge of a device is read again */
	IOTARGET_HOOK_DEVICE_OPEN,	/* a block device is open, not entered yet */
	IOTARGET_HOOK_REQ_TELL,		/* gate let go of, its waiter not told yet */
	IOTARGET_HOOK_ATTACH,		/* told of removals, not attached yet */
};

#if IS_ENABLED(CONFIG_IOTARGET_KUNIT_TEST)
typedef void iotarget_hook_fn(enum iotarget_hook_point point, void *arg);

extern iotarget_hook_fn *iotarget_hook_handler;

static inline void iotarget_hook(enum iotarget_hook_point point, void *arg)
{
	iotarget_hook_fn *fn = READ_ONCE(iotarget_hook_handler);

	if (unlikely(fn))
		fn(point, arg);
}
#else
static inline void iotarget_hook(enum iotarget_hook_point point, void *arg)
{
}
#endif

#endif /* _IOTARGET_HOOKS_H */
