// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forced races: the calls that race, the situations in which they do, and what
 * must be true afterwards.
 *
 * Context: KUnit, process; the second call of a race runs wherever the hook
 * point is.  Locks: none.
 */
#include "race.h"

static const char * const op_names[RACE_NR_OPS] = {
	[RACE_SUBMIT]		= "submit",
	[RACE_COMPLETE]		= "complete",
	[RACE_CANCEL]		= "cancel",
	[RACE_TIMEOUT]		= "timeout",
	[RACE_START]		= "start",
	[RACE_STOP_CANCEL]	= "stop-cancel",
	[RACE_STOP_WAIT]	= "stop-wait",
	[RACE_STOP_LEAVE]	= "stop-leave",
	[RACE_PURGE_WAIT]	= "purge-wait",
	[RACE_PURGE]		= "purge",
	[RACE_CLOSE]		= "close",
	[RACE_OPEN]		= "open",
	[RACE_DELETE]		= "delete",
};

static const char * const scene_names[RACE_NR_SCENES] = {
	[RACE_STARTED_USB]	= "started-usb",
	[RACE_STARTED_DISK]	= "started-disk",
	[RACE_STOPPED]		= "stopped",
	[RACE_STOPPING]		= "stopping",
	[RACE_DRAINING]		= "draining",
	[RACE_PURGED]		= "purged",
	[RACE_CLOSED]		= "closed",
};

const char *race_op_name(enum race_op op)
{
	return op_names[op];
}

const char *race_scene_name(enum race_scene scene)
{
	return scene_names[scene];
}

/* Calls that sleep. */
bool race_op_waits(enum race_op op)
{
	switch (op) {
	case RACE_SUBMIT:
	case RACE_STOP_CANCEL:
	case RACE_STOP_WAIT:
	case RACE_PURGE_WAIT:
	case RACE_CLOSE:
	case RACE_OPEN:
	case RACE_DELETE:
		return true;
	default:
		return false;
	}
}

static bool can_cancel(enum race_scene scene)
{
	return scene == RACE_STARTED_USB || scene == RACE_STOPPED ||
	       scene == RACE_DRAINING;
}

static void send(struct race *race, enum race_req which, u32 flags)
{
	race->sent[which] = fake_req_send_flags(race->target, &race->req[which],
						flags | IOTARGET_SEND_TIMEOUT);
}

static int stop_leave(struct race *race)
{
	return iotarget_stop(race->target, IOTARGET_LEAVE_SENT_PENDING, 0,
			     NULL);
}

/* Make the target, and bring it into the situation. */
void race_begin(struct kunit *test, struct race *race, enum race_scene scene,
		enum race_op first)
{
	unsigned int i;

	memset(race, 0, sizeof(*race));
	fake_init(&race->fake);
	for (i = 0; i < RACE_NR_REQS; i++) {
		fake_req_init(&race->req[i], &race->fake, i);
		race->sent[i] = 1;
	}
	race->scene = scene;
	race->ret[0] = 1;
	race->ret[1] = 1;
	race->quiet_at = -1;
	race->target = fake_target("race");
	KUNIT_ASSERT_FALSE(test, IS_ERR(race->target));
	iotarget_get(race->target);
	KUNIT_ASSERT_EQ(test, fake_open(race->target, &race->fake,
					can_cancel(scene)), 0);
	race->fake.hold = true;
	race->subject = RACE_VICTIM;

	if (scene == RACE_PURGED) {
		iotarget_purge(race->target, IOTARGET_PURGE, 0, NULL);
		send(race, RACE_VICTIM, IOTARGET_SEND_IGNORE_STATE);
	} else {
		send(race, RACE_VICTIM, 0);
	}
	if (scene == RACE_CLOSED)
		iotarget_close(race->target, 0, NULL);
	if (scene == RACE_STOPPED || scene == RACE_STOPPING ||
	    scene == RACE_DRAINING) {
		race->subject = RACE_HELD;
		KUNIT_ASSERT_EQ(test, stop_leave(race), 0);
		if (scene != RACE_STOPPING)
			fake_settle(race->target);
		send(race, RACE_HELD, 0);
		KUNIT_ASSERT_EQ(test, race->target->gate.nr_pended, 1);
	} else {
		fake_settle(race->target);
	}
	if (scene == RACE_DRAINING)
		KUNIT_ASSERT_EQ(test, iotarget_start(race->target), 0);
	if (first == RACE_SUBMIT)
		race->subject = RACE_FRESH_A;
}

/* Is a request with the device, or on its way there or back, as gates count? */
static bool in_flight(struct race *race, enum race_req which, bool ignored_too)
{
	struct fake_req *fr = &race->req[which];

	if (race->scene == RACE_PURGED && which == RACE_VICTIM && !ignored_too)
		return false;
	return fr->submit_seq && !fr->callbacks;
}

/*
 * A waiting call returned 0: then nothing may be out, or go out from now on,
 * unless it was started while it waited.
 */
static void said_quiet(struct race *race, unsigned int starts, bool ignored_too)
{
	unsigned int i;

	if (race->starts != starts)
		return;

	race->quiet_at = race->fake.submitted;
	for (i = 0; i < RACE_NR_REQS; i++)
		if (in_flight(race, i, ignored_too))
			race->noisy = "a request was out when a wait succeeded";
}

static int waiting(struct race *race, enum race_op op)
{
	const unsigned int starts = race->starts;
	struct iotarget *target = race->target;
	int ret;

	switch (op) {
	case RACE_STOP_CANCEL:
		ret = iotarget_stop(target, IOTARGET_CANCEL_SENT,
				    FAKE_SHORT_MS, NULL);
		break;
	case RACE_STOP_WAIT:
		ret = iotarget_stop(target, IOTARGET_WAIT_FOR_SENT,
				    FAKE_SHORT_MS, NULL);
		break;
	case RACE_PURGE_WAIT:
		ret = iotarget_purge(target, IOTARGET_PURGE_AND_WAIT,
				     FAKE_SHORT_MS, NULL);
		break;
	case RACE_CLOSE:
		ret = iotarget_close(target, FAKE_SHORT_MS, NULL);
		break;
	default:
		ret = iotarget_delete(target, FAKE_SHORT_MS, NULL);
		if (ret != -ESHUTDOWN)
			race->deleted = true;
		break;
	}
	if (!ret)
		said_quiet(race, starts,
			   op == RACE_CLOSE || op == RACE_DELETE);
	return ret;
}

static int call(struct race *race, enum race_op op, bool second)
{
	struct iotarget_request *subject = &race->req[race->subject].req;
	const enum race_req fresh = second ? RACE_FRESH_B : RACE_FRESH_A;

	switch (op) {
	case RACE_SUBMIT:
		send(race, fresh, 0);
		return race->sent[fresh];
	case RACE_COMPLETE:
		return fake_answer_req(&race->fake, subject, 0) ||
		       fake_answer(&race->fake, 0) ? 0 : -ENODATA;
	case RACE_CANCEL:
		return iotarget_request_cancel(subject) ? 0 : -ENODATA;
	case RACE_TIMEOUT:
		return iotarget_request_expire_timer(subject) ? 0 : -ENODATA;
	case RACE_START:
		race->quiet_at = -1;
		race->starts++;
		return iotarget_start(race->target);
	case RACE_STOP_LEAVE:
		return stop_leave(race);
	case RACE_PURGE:
		return iotarget_purge(race->target, IOTARGET_PURGE, 0, NULL);
	case RACE_OPEN:
		race->quiet_at = -1;
		race->starts++;
		return fake_open(race->target, &race->fake,
				 can_cancel(race->scene));
	default:
		return waiting(race, op);
	}
}

/* Make one of the two calls. */
void race_call(struct race *race, enum race_op op, bool second)
{
	race->ret[second] = call(race, op, second);
}

/* What a call alone makes of a state, when all has settled. */
static enum iotarget_word after(enum iotarget_word word, enum race_op op)
{
	const bool open = iotarget_word_open(word);

	switch (op) {
	case RACE_START:
		return open ? IOTARGET_W_STARTED : word;
	case RACE_STOP_CANCEL:
	case RACE_STOP_WAIT:
	case RACE_STOP_LEAVE:
		return open ? IOTARGET_W_STOPPED : word;
	case RACE_PURGE_WAIT:
	case RACE_PURGE:
		return open ? IOTARGET_W_PURGED : word;
	case RACE_CLOSE:
		return word == IOTARGET_W_DELETED ? word : IOTARGET_W_CLOSED;
	case RACE_OPEN:
		return word == IOTARGET_W_CLOSED ? IOTARGET_W_STARTED : word;
	case RACE_DELETE:
		return IOTARGET_W_DELETED;
	default:
		return word;
	}
}

static enum iotarget_word first_word(enum race_scene scene)
{
	switch (scene) {
	case RACE_STOPPED:
	case RACE_STOPPING:
		return IOTARGET_W_STOPPED;
	case RACE_PURGED:
		return IOTARGET_W_PURGED;
	case RACE_CLOSED:
		return IOTARGET_W_CLOSED;
	default:
		return IOTARGET_W_STARTED;
	}
}

static const char *wrong_request(struct race *race, enum race_req which)
{
	struct fake_req *fr = &race->req[which];
	bool never;

	if (race->sent[which]) {
		if (fr->callbacks)
			return "a refused request was called back";
		return fr->submit_seq ? "a refused request was sent" : NULL;
	}
	if (!fr->callbacks)
		return "an accepted request was not called back";
	if (fr->callbacks > 1)
		return "a request was called back twice";
	never = fr->outcome == IOTARGET_NEVER_SENT;
	if (never != !fr->submit_seq)
		return "the outcome is not true";
	if (fr->outcome == IOTARGET_OUTCOME_NONE)
		return "a request ended without an outcome";
	if (!fr->status && fr->outcome != IOTARGET_DONE)
		return "success, but not done";
	return NULL;
}

static const char *wrong_return(int ret)
{
	switch (ret) {
	case 1:			/* not called */
	case 0:
	case -ETIMEDOUT:	/* what it waits for, we hold */
	case -ECANCELED:	/* superseded */
	case -ESHUTDOWN:
	case -EBUSY:
	case -ENODATA:		/* nothing to answer, cancel or expire */
		return NULL;
	default:
		return "an unexpected errno";
	}
}

static const char *wrong_counts(struct race *race)
{
	struct fake *fake = &race->fake;
	struct iotarget_info info;

	iotarget_get_info(race->target, &info);
	if (info.sent || info.pended || info.ignored || info.limbo ||
	    info.limbo_bytes || info.oldest_ms)
		return "a count of the target is not zero";
	if (info.closing)
		return "an instance has not finished";
	if (fake->submitted != fake->answered)
		return "a request is still with the device";
	return NULL;
}

/* Once both calls have returned, and the workers are idle. */
static const char *wrong_state(struct race *race, enum race_op a,
			       enum race_op b, bool both)
{
	const enum iotarget_word first = first_word(race->scene);
	const enum iotarget_word word = fake_word(race->target);

	if (word == after(after(first, a), b))
		return NULL;
	if (both && word == after(after(first, b), a))
		return NULL;
	return "the state is of neither order";
}

static bool is_finished(struct race *race)
{
	struct iotarget_info info;

	fake_settle(race->target);
	iotarget_get_info(race->target, &info);
	return !info.closing;
}

static const char *wrong_end(struct race *race)
{
	struct iotarget *target = race->target;
	struct fake *fake = &race->fake;
	const char *wrong = NULL;
	unsigned int i;

	/* Let go of everything, then let the requests go through. */
	fake->hold = false;
	fake_answer_all(fake, 0);
	if (iotarget_word_open(fake_word(target)) &&
	    iotarget_start_and_wait(target, FAKE_LONG_MS, NULL))
		wrong = "the target does not start";
	fake_until(is_finished(race));
	wrong = wrong ?: wrong_counts(race);
	if (!race->deleted && iotarget_delete(target, FAKE_LONG_MS, NULL))
		wrong = wrong ?: "delete failed";
	if (!fake_until(!READ_ONCE(target->gate.nr_insts)))
		wrong = wrong ?: "an instance is left";
	if (fake->opens != fake->releases)
		wrong = wrong ?: "a device was not released";
	for (i = 0; i < RACE_NR_REQS; i++)
		wrong = wrong ?: wrong_request(race, i);
	return wrong;
}

/*
 * Both have returned: check, let everything end, check again.  For a call that
 * ran alone, @b is %RACE_NR_OPS.
 */
bool race_end(struct kunit *test, struct race *race, enum race_op a,
	      enum race_op b, const char *where)
{
	const bool both = b < RACE_NR_OPS;
	const char *wrong, *last;

	fake_settle(race->target);
	wrong = race->noisy ?: wrong_return(race->ret[0]) ?:
		wrong_return(race->ret[1]);
	if (race->quiet_at >= 0 && race->fake.submitted != race->quiet_at)
		wrong = wrong ?: "something was sent after a wait succeeded";
	wrong = wrong ?: wrong_state(race, a, b, both);
	last = wrong_end(race);
	wrong = wrong ?: last;
	iotarget_put(race->target);
	if (!wrong)
		return true;
	KUNIT_FAIL(test, "%s: %s with %s at %s: %s (returned %d and %d)",
		   scene_names[race->scene], op_names[a],
		   both ? op_names[b] : "nothing", where, wrong, race->ret[0],
		   race->ret[1]);
	return false;
}
