// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: one I/O operation from its formatting to its one completion.
 *
 * A sent request may be completed by its device, cancelled by its sender and
 * expired by its timer, all at once.  Each of the three owns a claim on it: the
 * device from the send to iotarget_request_done(), the timer from its arming
 * until it was deleted or its handler is through, a canceller while it is at
 * work.  Whoever drops the last claim calls back.  So there is one callback,
 * it comes when nobody looks at the request any more, and a completion in hard
 * interrupt never waits for a timer or a canceller on another CPU.
 *
 * What the request ends with is written by the one who has it: the device once
 * it was sent, the one who took it out of the FIFO before that.  The timer only
 * leaves a mark, which turns "cancelled" into "timed out" and nothing else.
 *
 * Context: as said at each function.  Locks: none of its own; claims and state
 * are atomics.
 */
#include <linux/device.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/wait_bit.h>

#include "internal.h"

#define SEND_ALL	(IOTARGET_SEND_TIMEOUT | IOTARGET_SEND_SYNCHRONOUS | \
			 IOTARGET_SEND_IGNORE_STATE | \
			 IOTARGET_SEND_AND_FORGET | IOTARGET_SEND_ATOMIC | \
			 IOTARGET_SEND_DEADLINE | IOTARGET_SEND_NOWAIT | \
			 IOTARGET_SEND_WAIT_FOREVER)

/* How long a synchronous send that gave up waits for its cancellation. */
#define GRACE_MS	20

/* Nobody is left but us: call back, then let go of the gate. */
static void request_finish(struct iotarget_request *req)
{
	const u32 flags = req->send_flags;
	const bool forget = flags & IOTARGET_SEND_AND_FORGET;
	const bool sync = flags & IOTARGET_SEND_SYNCHRONOUS;
	struct iotarget *target = req->target;
	struct iotarget_inst *inst = req->unit.inst;
	iotarget_complete_fn *complete = req->complete;
	const bool tell = !forget && (sync || !complete);
	const unsigned int epoch = req->unit.epoch;
	unsigned int uflags = req->unit.flags;

	if (uflags & IOTARGET_UNIT_LISTED)
		iotarget_gate_unsent(inst, &req->unit);
	if (req->status == -ECANCELED &&
	    test_bit(IOTARGET_REQ_TIMED_OUT, &req->bits))
		req->status = -ETIMEDOUT;
	if (req->outcome == IOTARGET_UNKNOWN)
		atomic_long_inc(&target->unknown);
	req->unit.inst = NULL;
	WRITE_ONCE(req->unit.where, IOTARGET_AT_NONE);
	req->complete = NULL;
	iotarget_hook(IOTARGET_HOOK_REQ_FINISH, req);

	/*
	 * The callback of an asynchronous send may send the request again, or
	 * free it; that of a synchronous one may not, its sender still waits.
	 */
	if (!sync && complete)
		atomic_set_release(&req->state, IOTARGET_RS_DONE);
	if (complete) {
		lock_map_acquire_read(&target->gate.map);
		complete(target, req, req->context);
		lock_map_release(&target->gate.map);
	}
	if (forget)
		iotarget_request_release(req);

	/*
	 * One that nobody waits for any more may be a part of what destroy() frees:
	 * as long as there is the instance, or the pin, there is its target.
	 */
	if (inst && tell)
		kref_get(&inst->kref);
	if (inst)
		iotarget_gate_leave(inst, epoch, uflags);
	if (tell) {
		iotarget_hook(IOTARGET_HOOK_REQ_TELL, req);
		/* Once it says done, the waiter may free it. */
		atomic_set_release(&req->state, IOTARGET_RS_DONE);
		smp_mb();	/* pairs with the waiter's prepare_to_wait */
		wake_up_var(&req->state);
	}
	if (inst && tell)
		iotarget_inst_put(inst);
	else if (!inst && uflags & IOTARGET_UNIT_PINNED)
		iotarget_gate_failed(target);
}

static void drop_claims(struct iotarget_request *req, int n)
{
	if (atomic_sub_and_test(n, &req->claims))
		request_finish(req);
}

/* The timer's claim, if it can still be had.  Does not wait for its handler. */
static int disarm(struct iotarget_request *req)
{
	return test_bit(IOTARGET_REQ_TIMER, &req->bits) &&
	       timer_delete(&req->timer);
}

static void set_result(struct iotarget_request *req, int status,
		       enum iotarget_outcome outcome, size_t bytes)
{
	req->status = status;
	req->outcome = outcome;
	req->bytes = bytes;
}

/**
 * iotarget_request_done - the device has given a request back
 * @req: the request
 * @status: 0 or a negative errno
 * @outcome: what is known
 * @bytes: transferred
 *
 * For backends, once for each request that they were given.
 *
 * Context: any.
 */
void iotarget_request_done(struct iotarget_request *req, int status,
			   enum iotarget_outcome outcome, size_t bytes)
{
	set_result(req, status, outcome, bytes);
	iotarget_hook(IOTARGET_HOOK_REQ_DONE, req);
	drop_claims(req, 1 + disarm(req));
}

/**
 * iotarget_request_fail - complete a held request that was taken off the FIFO
 * @target: the target
 * @unit: its unit
 *
 * Context: any.
 */
void iotarget_request_fail(struct iotarget *target, struct iotarget_unit *unit)
{
	struct iotarget_request *req = unit_to_request(unit);

	set_result(req, -ENODEV, IOTARGET_NEVER_SENT, 0);
	drop_claims(req, 1 + disarm(req));
}

/**
 * iotarget_unit_cancelled - was it cancelled, or has its time run out?
 * @unit: the unit
 *
 * Context: any.
 * Return: true if it must not go to the device.
 */
bool iotarget_unit_cancelled(const struct iotarget_unit *unit)
{
	const unsigned long mask = BIT(IOTARGET_REQ_LATCH) |
				   BIT(IOTARGET_REQ_TIMED_OUT);

	if (unit->flags & IOTARGET_UNIT_BIO)
		return false;
	return READ_ONCE(unit_to_request(unit)->bits) & mask;
}

/**
 * iotarget_unit_claim - keep a sent unit from completing for a moment
 * @unit: the unit, in the list of those sent
 *
 * Context: any.
 * Return: false if it is completing already.
 */
bool iotarget_unit_claim(struct iotarget_unit *unit)
{
	return atomic_inc_not_zero(&unit_to_request(unit)->claims);
}

/**
 * iotarget_unit_cancel_sent - ask the backend for a unit back
 * @inst: the instance
 * @unit: the unit, claimed; the claim is dropped
 *
 * Context: any.
 */
void iotarget_unit_cancel_sent(struct iotarget_inst *inst,
			       struct iotarget_unit *unit)
{
	struct iotarget_request *req = unit_to_request(unit);

	inst->ops->cancel(inst, req);
	drop_claims(req, 1);
}

static bool cancel_wanted(struct iotarget_inst *inst,
			  struct iotarget_unit *unit)
{
	if (iotarget_unit_cancelled(unit))
		return true;
	return unit->flags & IOTARGET_UNIT_IGNORE ?
	       READ_ONCE(inst->cancel_ignored) : READ_ONCE(inst->cancel_sent);
}

/* A backend that can cancel: nobody may miss the request on its way there. */
static void submit_cancellable(struct iotarget_inst *inst,
			       struct iotarget_request *req)
{
	struct iotarget_unit *unit = &req->unit;

	atomic_inc(&req->claims);
	if (iotarget_gate_sent(inst, unit)) {
		inst->ops->submit(inst, req);
		/*
		 * Whoever asked for it back before the backend had it found
		 * nothing.  Pairs with the barriers after the latch and in
		 * gate->lock: either they see the request there, or we see that
		 * they asked.
		 */
		smp_mb();
		iotarget_hook(IOTARGET_HOOK_REQ_SUBMITTED, req);
		if (cancel_wanted(inst, unit))
			inst->ops->cancel(inst, req);
	} else {
		iotarget_request_done(req, -ECANCELED, IOTARGET_NEVER_SENT, 0);
	}
	drop_claims(req, 1);
}

/**
 * iotarget_request_submit - give a request that passed the gates to the device
 * @unit: its unit; not to be touched afterwards
 *
 * Context: process; may sleep as submit_bio() may.
 */
void iotarget_request_submit(struct iotarget_unit *unit)
{
	struct iotarget_request *req = unit_to_request(unit);
	struct iotarget_inst *inst = unit->inst;
	int ret = 0;

	/* Pairs with the acquire in abort_claimed(): inst is set. */
	smp_store_release(&unit->where, IOTARGET_AT_SENT);
	iotarget_hook(IOTARGET_HOOK_REQ_SUBMIT, req);
	if (unlikely(iotarget_unit_cancelled(unit)))
		ret = -ECANCELED;
	else if (unlikely(READ_ONCE(inst->detached)))
		ret = -ENODEV;
	else if (unlikely(req->checked != inst->number))
		ret = inst->ops->check(inst, req);

	if (unlikely(ret))
		iotarget_request_done(req, ret, IOTARGET_NEVER_SENT, 0);
	else if (inst->ops->cancel)
		submit_cancellable(inst, req);
	else
		inst->ops->submit(inst, req);
}

/* Try to get a request back, with a claim of the caller's own on it. */
static void abort_claimed(struct iotarget_request *req)
{
	struct iotarget_unit *unit = &req->unit;

	if (iotarget_gate_unpend(req->target, unit)) {
		set_result(req, -ECANCELED, IOTARGET_NEVER_SENT, 0);
		drop_claims(req, 1 + disarm(req));
		return;
	}
	/* Pairs with the release in iotarget_request_submit(): inst is set. */
	if (smp_load_acquire(&unit->where) == IOTARGET_AT_SENT &&
	    unit->inst->ops->cancel)
		unit->inst->ops->cancel(unit->inst, req);
}

static bool request_abort(struct iotarget_request *req)
{
	if (!atomic_inc_not_zero(&req->claims))
		return false;
	iotarget_hook(IOTARGET_HOOK_REQ_CANCEL, req);
	abort_claimed(req);
	drop_claims(req, 1);
	return true;
}

/**
 * iotarget_request_cancel - try to get a sent request back
 * @req: the request; the caller sees to it that its memory stays
 *
 * A request that is held completes at once, with -ECANCELED and never sent,
 * maybe inside this call.  For one that is with the device this asks the
 * backend; a block device cannot cancel, and the request ends as the device
 * says.  The call also sets a latch: until iotarget_request_reuse(), sending
 * the request fails with -ECANCELED, be it cancelled before its first send,
 * while out, or afterwards.
 *
 * KMDF: WdfRequestCancelSentRequest.
 *
 * Context: any.
 * Return: true if it was out and the attempt was made, false if there was
 * nothing to cancel.
 */
bool iotarget_request_cancel(struct iotarget_request *req)
{
	if (!req)
		return false;
	set_bit(IOTARGET_REQ_LATCH, &req->bits);
	/* Pairs with that of iotarget_send(): it sees the latch, or we it. */
	smp_mb__after_atomic();
	return request_abort(req);
}
EXPORT_SYMBOL_GPL(iotarget_request_cancel);

/**
 * iotarget_request_expire - as if the request's time had run out
 * @req: the request; the caller sees to it that its memory stays
 *
 * Context: any.
 */
void iotarget_request_expire(struct iotarget_request *req)
{
	set_bit(IOTARGET_REQ_TIMED_OUT, &req->bits);
	smp_mb__after_atomic();	/* as in iotarget_request_cancel() */
	request_abort(req);
}

/* The timer's own claim keeps the request. */
static void timed_out(struct iotarget_request *req)
{
	iotarget_hook(IOTARGET_HOOK_REQ_TIMEOUT, req);
	set_bit(IOTARGET_REQ_TIMED_OUT, &req->bits);
	smp_mb__after_atomic();	/* as in iotarget_request_cancel() */
	abort_claimed(req);
	drop_claims(req, 1);
}

/**
 * iotarget_request_timeout - a request's timer went off
 * @timer: its timer
 *
 * Context: softirq.
 */
void iotarget_request_timeout(struct timer_list *timer)
{
	timed_out(container_of(timer, struct iotarget_request, timer));
}

/**
 * iotarget_request_expire_timer - let the timer go off now, and here
 * @req: the request
 *
 * For tests, which so decide when the handler runs.
 *
 * Context: any.
 * Return: false if the timer isn't armed.
 */
bool iotarget_request_expire_timer(struct iotarget_request *req)
{
	if (!disarm(req))
		return false;
	timed_out(req);
	return true;
}

/*
 * The gate said no.  If others hold claims, a canceller or the timer, then the
 * send counts as accepted and the last of them calls back.
 */
static int refuse(struct iotarget *target, struct iotarget_request *req,
		  int error)
{
	int claims = 1 + disarm(req);

	if (error == -ECANCELED &&
	    test_bit(IOTARGET_REQ_TIMED_OUT, &req->bits))
		error = -ETIMEDOUT;
	set_result(req, error, IOTARGET_NEVER_SENT, 0);
	if (atomic_cmpxchg(&req->claims, claims, 0) != claims) {
		/* Whoever waits for the target waits for that callback, too. */
		iotarget_gate_failing(target, &req->unit);
		if (!atomic_sub_and_test(claims, &req->claims))
			return 0;
		req->unit.flags &= ~IOTARGET_UNIT_PINNED;
		iotarget_gate_failed(target);
	}
	atomic_set_release(&req->state, IOTARGET_RS_FORMATTED);
	return error;
}

static void arm(struct iotarget_request *req, ktime_t deadline)
{
	s64 left = ktime_to_ns(ktime_sub(deadline, ktime_get()));

	set_bit(IOTARGET_REQ_TIMER, &req->bits);
	/* Two more: one that was rounded off, one that has begun already. */
	req->timer.expires = jiffies + (left > 0 ? nsecs_to_jiffies(left) + 2 :
						   0);
	add_timer(&req->timer);
}

static int wait_done(struct iotarget_request *req, unsigned int timeout_ms,
		     int task_state)
{
	long left = iotarget_wait_jiffies(timeout_ms);

	if (iotarget_request_is_done(req))
		return 0;
	left = ___wait_var_event(&req->state,
				 ___wait_cond_timeout(iotarget_request_is_done(req)),
				 task_state, 0, left,
				 __ret = schedule_timeout(__ret));
	return iotarget_wait_result(left);
}

/* Wait for a synchronous send; give up when its time is over. */
static int wait_sync(struct iotarget_request *req, ktime_t deadline)
{
	unsigned int ms = IOTARGET_WAIT_FOREVER;
	int ret;

	if (deadline != KTIME_MAX)
		ms = max_t(s64, 0, ktime_ms_delta(deadline, ktime_get()));
	ret = wait_done(req, ms, TASK_KILLABLE);
	if (ret == -ETIMEDOUT)
		iotarget_request_expire(req);
	else if (ret)
		iotarget_request_cancel(req);
	if (ret && wait_done(req, GRACE_MS, TASK_UNINTERRUPTIBLE))
		return -EINPROGRESS;
	return req->status;
}

static const char *bad_options(const struct iotarget_request *req, u32 flags,
			       const struct iotarget_send_params *p)
{
	const u32 limits = flags & (IOTARGET_SEND_TIMEOUT |
				    IOTARGET_SEND_DEADLINE |
				    IOTARGET_SEND_WAIT_FOREVER);

	if (flags & ~SEND_ALL)
		return "unknown flag";
	if (p && (p->reserved[0] || p->reserved[1]))
		return "reserved field is not zero";
	if (hweight32(limits) > 1)
		return "more than one time limit";
	if (p && p->timeout_ms && !(flags & IOTARGET_SEND_TIMEOUT))
		return "timeout without its flag";
	if (p && p->deadline && !(flags & IOTARGET_SEND_DEADLINE))
		return "deadline without its flag";
	if (p && p->timeout_ms > IOTARGET_TIMEOUT_MAX_MS)
		return "timeout too long";
	if (p && (p->deadline < 0 ||
		  p->deadline > ktime_add_ms(ktime_get(),
					     IOTARGET_TIMEOUT_MAX_MS)))
		return "deadline out of range";
	if (flags & IOTARGET_SEND_AND_FORGET) {
		if (flags & ~(IOTARGET_SEND_AND_FORGET | IOTARGET_SEND_ATOMIC))
			return "send and forget with another option";
		if (!req->heap)
			return "send and forget of an embedded request";
		if (req->complete)
			return "send and forget with a completion callback";
	}
	if (flags & IOTARGET_SEND_SYNCHRONOUS) {
		if (flags & IOTARGET_SEND_ATOMIC)
			return "synchronous and atomic";
		if (!limits || (limits == IOTARGET_SEND_TIMEOUT &&
				!p->timeout_ms))
			return "synchronous without a time limit";
	} else if (flags & IOTARGET_SEND_WAIT_FOREVER) {
		return "wait forever without synchronous";
	}
	if (flags & IOTARGET_SEND_NOWAIT &&
	    flags & (IOTARGET_SEND_ATOMIC | IOTARGET_SEND_IGNORE_STATE))
		return "nowait with atomic or ignore state";
	return NULL;
}

static int take_for_send(struct iotarget *target, struct iotarget_request *req)
{
	switch (atomic_cmpxchg(&req->state, IOTARGET_RS_FORMATTED,
			       IOTARGET_RS_OUT)) {
	case IOTARGET_RS_FORMATTED:
		break;
	case IOTARGET_RS_OUT:
		pr_err("iotarget: %s: request sent while it is outstanding\n",
		       target->name);
		dump_stack();
		return -EBUSY;
	default:
		iotarget_warn(target, "request sent without being formatted\n");
		return -EINVAL;
	}
	if (req->target == target)
		return 0;
	atomic_set(&req->state, IOTARGET_RS_FORMATTED);
	iotarget_warn(target, "request sent that was formatted for another target\n");
	return -EINVAL;
}

/*
 * submit_bio() waits for a free tag as long as the device sits on all of them.
 * A synchronous send with a limit must not wait there, so the worker does.
 */
static u8 unit_flags(u32 flags)
{
	const bool limited = flags & IOTARGET_SEND_SYNCHRONOUS &&
			     !(flags & IOTARGET_SEND_WAIT_FOREVER);

	return (flags & IOTARGET_SEND_IGNORE_STATE ? IOTARGET_UNIT_IGNORE : 0) |
	       (flags & IOTARGET_SEND_ATOMIC || limited ?
		IOTARGET_UNIT_ATOMIC : 0) |
	       (flags & IOTARGET_SEND_NOWAIT ? IOTARGET_UNIT_NOWAIT : 0);
}

static ktime_t send_deadline(u32 flags, const struct iotarget_send_params *p)
{
	if (flags & IOTARGET_SEND_DEADLINE)
		return p->deadline;
	if (flags & IOTARGET_SEND_TIMEOUT && p->timeout_ms)
		return ktime_add_ms(ktime_get(), p->timeout_ms);
	return KTIME_MAX;
}

/* The send proper: nobody else has the request. */
static int send(struct iotarget *target, struct iotarget_request *req,
		u32 flags, ktime_t deadline)
{
	const bool sync = flags & IOTARGET_SEND_SYNCHRONOUS;
	const bool timer = !sync && deadline != KTIME_MAX;
	int error = 0;

	clear_bit(IOTARGET_REQ_TIMED_OUT, &req->bits);
	clear_bit(IOTARGET_REQ_TIMER, &req->bits);
	req->send_flags = flags;
	req->unit.flags = unit_flags(flags);
	req->unit.inst = NULL;
	WRITE_ONCE(req->unit.where, IOTARGET_AT_NONE);
	set_result(req, 0, IOTARGET_OUTCOME_NONE, 0);
	atomic_set(&req->claims, 1 + timer);
	smp_mb();	/* pairs with that of iotarget_request_cancel() */
	iotarget_hook(IOTARGET_HOOK_REQ_SEND, req);

	if (timer)
		arm(req, deadline);
	if (test_bit(IOTARGET_REQ_LATCH, &req->bits)) {
		error = refuse(target, req, -ECANCELED);
	} else {
		switch (iotarget_gate_enter(target, &req->unit, &error)) {
		case IOTARGET_ENTERED:
			iotarget_request_submit(&req->unit);
			break;
		case IOTARGET_HELD:
			break;
		case IOTARGET_REFUSED:
			error = refuse(target, req, error);
			break;
		}
	}
	if (error || !sync)
		return error;
	return wait_sync(req, deadline);
}

/**
 * iotarget_send - send a formatted request to its target
 * @target: the target that it was formatted for
 * @req: the request
 * @params: options, or NULL for an asynchronous send without a limit
 *
 * When an asynchronous send returns 0 the request is with the device, or held
 * until the target is started; it belongs to the target until the completion
 * callback is called, exactly once, maybe before this returns.  A request that
 * has no callback is over when iotarget_request_wait() says so.  On failure
 * nothing was sent, no callback is called, and the request may be sent again.
 *
 * In the states: started sends; stopped holds (%IOTARGET_SEND_NOWAIT: -EAGAIN);
 * purged, closed and deleted refuse.  %IOTARGET_SEND_IGNORE_STATE sends on any
 * open target and refuses when a close has begun.  A held request of a target
 * that is purged, closed or deleted completes with -ENODEV, never sent.
 *
 * A timeout counts from this call, the time of being held included, and is not
 * lost when a held request is sent.  It completes a held request with
 * -ETIMEDOUT, never sent; for one that is with the device it asks the backend
 * to cancel, and only if that succeeds the status is -ETIMEDOUT.  A deadline
 * that has passed is met as soon as the timer runs; the device may be faster.
 *
 * %IOTARGET_SEND_SYNCHRONOUS returns the request's final status.  With a limit
 * a worker submits it, as a device that has no room can hold up the submitter;
 * without one the caller does.  When its time
 * is over, or its process is killed, while the device has the request and won't
 * give it back, it returns -EINPROGRESS: the request and its memory stay with
 * the device until iotarget_request_wait() returns 0.  A fatal signal cancels
 * it as iotarget_request_cancel() does, latch included.  A callback that was
 * set is called once the send was accepted; it must not reuse the request, free
 * it or send it again.
 *
 * With %IOTARGET_SEND_AND_FORGET the target frees the request, which must come
 * from iotarget_request_alloc(), when it is done.
 *
 * KMDF: WdfRequestSend.  Extensions: deadline, atomic, nowait, -EINPROGRESS.
 *
 * Context: process, may sleep as submit_bio() may; with %IOTARGET_SEND_ATOMIC
 * any, and then a worker submits it, and until then it counts as held (as sent,
 * if it ignores the state).
 * Return: 0; -ESHUTDOWN for the target's state; -EAGAIN; -ENOBUFS: its device is
 * away, and more than the policy's hold_bytes would be held; -ECANCELED for the
 * latch; -ETIMEDOUT if the time was over before the gate; -EINVAL for options or
 * an unformatted request; -EBUSY if it is outstanding; -EWOULDBLOCK in atomic
 * context without the flag; with %IOTARGET_SEND_SYNCHRONOUS also the request's
 * status, and -EINPROGRESS.
 */
int iotarget_send(struct iotarget *target, struct iotarget_request *req,
		  const struct iotarget_send_params *params)
{
	const u32 flags = params ? params->flags : 0;
	const char *bad;
	int ret;

	if (!target || !req)
		return -EINVAL;
	bad = bad_options(req, flags, params);
	if (bad) {
		iotarget_warn(target, "send refused: %s\n", bad);
		return -EINVAL;
	}
	if (!(flags & IOTARGET_SEND_ATOMIC)) {
		if (in_interrupt() || irqs_disabled()) {
			iotarget_warn(target,
				      "send refused: atomic context without the flag\n");
			return -EWOULDBLOCK;
		}
		might_sleep();
	}
	ret = take_for_send(target, req);
	if (ret)
		return ret;
	return send(target, req, flags, send_deadline(flags, params));
}
EXPORT_SYMBOL_GPL(iotarget_send);

/**
 * iotarget_request_wait - wait for a request that has no callback
 * @req: a request that was sent without a callback, or synchronously
 * @timeout_ms: the longest wait, or %IOTARGET_WAIT_FOREVER
 *
 * Extension.
 *
 * Context: process; sleeps, killable.
 * Return: 0 when the request is not outstanding (any more), -ETIMEDOUT, -EINTR
 * after a fatal signal, -EINVAL also for an asynchronous send with a callback,
 * -EWOULDBLOCK in atomic context.
 */
int iotarget_request_wait(struct iotarget_request *req, unsigned int timeout_ms)
{
	int ret;

	if (!req)
		return -EINVAL;
	/* The target of a request that is over may be gone. */
	ret = iotarget_may_wait(NULL, timeout_ms);
	if (ret)
		return ret;
	/* Nobody wakes us for one whose end is its callback. */
	if (READ_ONCE(req->complete) && !iotarget_request_is_done(req) &&
	    !(req->send_flags & IOTARGET_SEND_SYNCHRONOUS))
		return -EINVAL;
	return wait_done(req, timeout_ms, TASK_KILLABLE);
}
EXPORT_SYMBOL_GPL(iotarget_request_wait);

/**
 * iotarget_request_settle - wait for a request, come what may
 * @req: a request that was sent synchronously
 *
 * Only for calls that say "wait forever" in their name.
 *
 * Context: process; sleeps, not killable.
 */
void iotarget_request_settle(struct iotarget_request *req)
{
	wait_done(req, IOTARGET_WAIT_FOREVER, TASK_UNINTERRUPTIBLE);
}
