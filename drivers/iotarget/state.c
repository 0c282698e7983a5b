// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state machine of a target, as data.
 *
 * Context: any; nothing here sleeps, allocates or takes a lock.  The table is
 * the single place that decides what a call does in a state: gate.c looks the
 * cell up under its lock and carries the actions out.  The diagram and the
 * table in Documentation/driver-api/iotarget/ are generated from this file by
 * scripts/state-table.
 */
#include <linux/kernel.h>
#include <linux/bug.h>
#include <linux/errno.h>

#include "state.h"

/* What several cells do. */
#define SHUT_FAIL	(IOTARGET_ACT_SHUT | IOTARGET_ACT_FAIL_PENDED)
#define STOP_CANCEL	(IOTARGET_ACT_SHUT | IOTARGET_ACT_CANCEL_SENT | \
			 IOTARGET_ACT_WAIT_SENT)
#define STOP_WAIT	(IOTARGET_ACT_SHUT | IOTARGET_ACT_WAIT_SENT)
#define STOP_LEAVE	IOTARGET_ACT_SHUT
#define PURGE		(SHUT_FAIL | IOTARGET_ACT_CANCEL_SENT)
#define PURGE_WAIT	(PURGE | IOTARGET_ACT_WAIT_SENT)
#define LEAVE		(PURGE | IOTARGET_ACT_DETACH | \
			 IOTARGET_ACT_CANCEL_IGNORED)
#define CLOSE		(LEAVE | IOTARGET_ACT_WAIT_CLOSED)
#define DELETE		(LEAVE | IOTARGET_ACT_WAIT_ALL)
#define CLOSED_ALREADY	IOTARGET_ACT_WAIT_ALL
#define ABANDON		(IOTARGET_ACT_ABANDON | IOTARGET_ACT_WAIT_ALL)

/* Cells: (event, next state, actions), or (event, errno). */
#define DO(_ev, _next, _act) \
	[IOTARGET_EV_##_ev] = { IOTARGET_W_##_next, (_act), 0, 'k', NULL }
#define DO_AS(_ev, _next, _act, _origin, _note) \
	[IOTARGET_EV_##_ev] = { IOTARGET_W_##_next, (_act), 0, _origin, _note }
#define NO(_ev, _same, _errno) \
	[IOTARGET_EV_##_ev] = { IOTARGET_W_##_same, 0, -(_errno), 'k', NULL }
#define NO_AS(_ev, _same, _errno, _origin, _note) \
	[IOTARGET_EV_##_ev] = { IOTARGET_W_##_same, 0, -(_errno), _origin, \
				_note }

/* An open that was abandoned ends, or a drain that a stop overtook does. */
#define LATE_OPEN(_same) \
	NO_AS(OPENED, _same, ECANCELED, 'x', \
	      "the open was abandoned: its device is closed again"), \
	NO_AS(OPEN_FAILED, _same, ECANCELED, 'x', \
	      "the open was abandoned, or has succeeded")
#define LATE_DRAIN(_same) \
	DO_AS(DRAINED, _same, 0, 'x', "another transition overtook the drain")

#define NOT_OPEN(_same) \
	NO_AS(START, _same, ESHUTDOWN, 's', \
	      "KMDF reports success and has no device"), \
	NO_AS(STOP_CANCEL, _same, ESHUTDOWN, 's', "KMDF only logs it"), \
	NO_AS(STOP_WAIT, _same, ESHUTDOWN, 's', "KMDF only logs it"), \
	NO_AS(STOP_LEAVE, _same, ESHUTDOWN, 's', "KMDF only logs it"), \
	NO_AS(PURGE_WAIT, _same, ESHUTDOWN, 's', "KMDF only logs it"), \
	NO_AS(PURGE, _same, ESHUTDOWN, 's', "KMDF only logs it")

#define LEAVE_OPEN_STATE \
	DO_AS(CLOSE, CLOSED, CLOSE, 'x', \
	      "the wait is bounded; the instance finishes by itself"), \
	DO_AS(CLOSE_QUERY, CFQR, CLOSE, 'x', \
	      "the wait is bounded; the instance finishes by itself"), \
	DO(DELETE, DELETED, DELETE)

/* Whether its device is gone is not what it waits for. */
#define NOT_AWAY(_same) \
	NO_AS(ALIVE, _same, ECANCELED, 'x', "it does not wait for that")

/* Nothing was lost that is waited for, so nothing comes back. */
#define NOT_LOST(_same) \
	NO_AS(LOST, _same, ECANCELED, 'x', "it has no device to lose"), \
	NO_AS(RETURNED, _same, ECANCELED, 'x', \
	      "the device is not waited for: it is closed again"), \
	NOT_AWAY(_same), \
	NO_AS(AGREED, _same, ECANCELED, 'x', "it has no device that could go"), \
	NOT_AGREED(_same)

#define NOT_AGREED(_same) \
	NO_AS(STAYS, _same, ECANCELED, 'x', "nobody has agreed that it goes")

/* Who was stopped or purged before stays so. */
#define BACK_IN(_same) \
	DO_AS(RETURNED, _same, IOTARGET_ACT_ATTACH, 'x', \
	      "the returned device stands in for the lost one"), \
	DO_AS(AGREED, _same, 0, 'x', "a start has to wait for the device"), \
	DO_AS(STAYS, _same, 0, 'x', "a start has nothing to wait for")

#define LOSES \
	DO_AS(LOST, AWAY, IOTARGET_ACT_SHUT, 'x', "the device may come back")

#define AGREES \
	DO_AS(AGREED, AWAY, IOTARGET_ACT_SHUT, 'x', \
	      "the device may go, and may come back")

#define STOPS \
	DO(STOP_CANCEL, STOPPED, STOP_CANCEL), \
	DO(STOP_WAIT, STOPPED, STOP_WAIT), \
	DO(STOP_LEAVE, STOPPED, STOP_LEAVE), \
	DO(PURGE_WAIT, PURGED, PURGE_WAIT), \
	DO(PURGE, PURGED, PURGE)

#define BUSY_OPENING "KMDF leaves it to the driver to serialise"

static const struct iotarget_rule
rules[IOTARGET_NR_WORDS][IOTARGET_NR_EVENTS] = {
	[IOTARGET_W_CLOSED] = {
		DO(OPEN, OPENING, 0),
		LATE_OPEN(CLOSED),
		LATE_DRAIN(CLOSED),
		NOT_OPEN(CLOSED),
		DO(CLOSE, CLOSED, CLOSED_ALREADY),
		DO(CLOSE_QUERY, CLOSED, CLOSED_ALREADY),
		DO(DELETE, DELETED, CLOSED_ALREADY),
		NOT_LOST(CLOSED),
	},
	[IOTARGET_W_OPENING] = {
		NO(OPEN, OPENING, EBUSY),
		DO(OPENED, DRAINING, IOTARGET_ACT_ATTACH | IOTARGET_ACT_DRAIN),
		DO(OPEN_FAILED, CLOSED, 0),
		LATE_DRAIN(OPENING),
		NO_AS(START, OPENING, EBUSY, 's', BUSY_OPENING),
		NO_AS(STOP_CANCEL, OPENING, EBUSY, 's', BUSY_OPENING),
		NO_AS(STOP_WAIT, OPENING, EBUSY, 's', BUSY_OPENING),
		NO_AS(STOP_LEAVE, OPENING, EBUSY, 's', BUSY_OPENING),
		NO_AS(PURGE_WAIT, OPENING, EBUSY, 's', BUSY_OPENING),
		NO_AS(PURGE, OPENING, EBUSY, 's', BUSY_OPENING),
		DO_AS(CLOSE, CLOSED, ABANDON, 'x',
		      "KMDF waits for the open, we abandon it"),
		DO_AS(CLOSE_QUERY, CLOSED, ABANDON, 'x',
		      "KMDF waits for the open, we abandon it"),
		DO_AS(DELETE, DELETED, ABANDON, 'x',
		      "KMDF waits for the open, we abandon it"),
		NOT_LOST(OPENING),
	},
	[IOTARGET_W_DRAINING] = {
		NO(OPEN, DRAINING, EBUSY),
		LATE_OPEN(DRAINING),
		DO_AS(START, DRAINING, IOTARGET_ACT_DRAIN, 'x',
		      "the mark moves to what is held now"),
		DO_AS(DRAINED, STARTED, 0, 'x',
		      "KMDF lets new requests overtake the drain"),
		STOPS,
		LEAVE_OPEN_STATE,
		LOSES,
		NO_AS(RETURNED, DRAINING, ECANCELED, 'x',
		      "the device is not waited for: it is closed again"),
		NOT_AWAY(DRAINING),
		AGREES,
		NOT_AGREED(DRAINING),
	},
	[IOTARGET_W_STARTED] = {
		NO(OPEN, STARTED, EBUSY),
		LATE_OPEN(STARTED),
		DO_AS(START, DRAINING, IOTARGET_ACT_DRAIN, 'x',
		      "a worker may still have requests of earlier sends"),
		LATE_DRAIN(STARTED),
		STOPS,
		LEAVE_OPEN_STATE,
		LOSES,
		NO_AS(RETURNED, STARTED, ECANCELED, 'x',
		      "the device is not waited for: it is closed again"),
		NOT_AWAY(STARTED),
		AGREES,
		NOT_AGREED(STARTED),
	},
	[IOTARGET_W_STOPPED] = {
		NO(OPEN, STOPPED, EBUSY),
		LATE_OPEN(STOPPED),
		DO(START, DRAINING, IOTARGET_ACT_DRAIN),
		LATE_DRAIN(STOPPED),
		STOPS,
		LEAVE_OPEN_STATE,
		LOSES,
		BACK_IN(STOPPED),
		NOT_AWAY(STOPPED),
	},
	[IOTARGET_W_PURGED] = {
		NO(OPEN, PURGED, EBUSY),
		LATE_OPEN(PURGED),
		DO(START, DRAINING, IOTARGET_ACT_DRAIN),
		LATE_DRAIN(PURGED),
		STOPS,
		LEAVE_OPEN_STATE,
		LOSES,
		BACK_IN(PURGED),
		NOT_AWAY(PURGED),
	},
	[IOTARGET_W_AWAY] = {
		NO(OPEN, AWAY, EBUSY),
		LATE_OPEN(AWAY),
		LATE_DRAIN(AWAY),
		DO_AS(START, AWAY, 0, 'x', "it starts when its device is back, or stays"),
		STOPS,
		LEAVE_OPEN_STATE,
		DO_AS(LOST, AWAY, 0, 'x', "it is away already"),
		DO_AS(RETURNED, DRAINING,
		      IOTARGET_ACT_ATTACH | IOTARGET_ACT_DRAIN, 'x',
		      "the returned device stands in for the lost one"),
		DO_AS(ALIVE, DRAINING, IOTARGET_ACT_DRAIN, 'x',
		      "the device failed and is still there"),
		NO_AS(AGREED, AWAY, ECANCELED, 'x',
		      "it is gone, or all have agreed that it goes"),
		DO_AS(STAYS, DRAINING, IOTARGET_ACT_DRAIN, 'x',
		      "only if all had agreed that it goes"),
	},
	[IOTARGET_W_CFQR] = {
		DO(OPEN, OPENING, 0),
		LATE_OPEN(CFQR),
		LATE_DRAIN(CFQR),
		NOT_OPEN(CFQR),
		DO(CLOSE, CLOSED, CLOSED_ALREADY),
		DO(CLOSE_QUERY, CLOSED, CLOSED_ALREADY),
		DO(DELETE, DELETED, CLOSED_ALREADY),
		NOT_LOST(CFQR),
	},
	[IOTARGET_W_DELETED] = {
		NO(OPEN, DELETED, ESHUTDOWN),
		LATE_OPEN(DELETED),
		NO(START, DELETED, ESHUTDOWN),
		LATE_DRAIN(DELETED),
		NO_AS(STOP_CANCEL, DELETED, ESHUTDOWN, 's', "KMDF only logs it"),
		NO_AS(STOP_WAIT, DELETED, ESHUTDOWN, 's', "KMDF only logs it"),
		NO_AS(STOP_LEAVE, DELETED, ESHUTDOWN, 's', "KMDF only logs it"),
		NO_AS(PURGE_WAIT, DELETED, ESHUTDOWN, 's', "KMDF only logs it"),
		NO_AS(PURGE, DELETED, ESHUTDOWN, 's', "KMDF only logs it"),
		NO_AS(CLOSE, DELETED, ESHUTDOWN, 's', "KMDF forbids it"),
		NO_AS(CLOSE_QUERY, DELETED, ESHUTDOWN, 's', "KMDF forbids it"),
		NO_AS(DELETE, DELETED, ESHUTDOWN, 's', "KMDF forbids it"),
		NOT_LOST(DELETED),
	},
};

/**
 * iotarget_rule - look up what an event does in a state
 * @word: the state
 * @event: the event
 *
 * Context: any.
 * Return: the cell; never NULL.
 */
const struct iotarget_rule *iotarget_rule(enum iotarget_word word,
					  enum iotarget_event event)
{
	return &rules[word][event];
}

/**
 * iotarget_word_state - the state that users see
 * @word: the internal state
 *
 * Opening reads as closed and draining as started, as in KMDF, and away as stopped.
 *
 * Context: any.
 * Return: the state.
 */
enum iotarget_state iotarget_word_state(enum iotarget_word word)
{
	static const u8 states[IOTARGET_NR_WORDS] = {
		[IOTARGET_W_CLOSED]	= IOTARGET_CLOSED,
		[IOTARGET_W_OPENING]	= IOTARGET_CLOSED,
		[IOTARGET_W_DRAINING]	= IOTARGET_STARTED,
		[IOTARGET_W_STARTED]	= IOTARGET_STARTED,
		[IOTARGET_W_STOPPED]	= IOTARGET_STOPPED,
		[IOTARGET_W_PURGED]	= IOTARGET_PURGED,
		[IOTARGET_W_AWAY]	= IOTARGET_STOPPED,
		[IOTARGET_W_CFQR]	= IOTARGET_CLOSED_FOR_QUERY_REMOVE,
		[IOTARGET_W_DELETED]	= IOTARGET_DELETED,
	};

	return states[word];
}

/**
 * iotarget_event_to - how a target gets from one open state to another
 * @now: the state it is in
 * @wanted: the state it shall be in
 *
 * Nothing is waited for on the way, and nothing that is sent is cancelled but by
 * a purge.
 *
 * Context: any.
 * Return: the event, or %IOTARGET_NR_EVENTS if there is nothing to be done, or
 * @wanted is no state of an open target.
 */
enum iotarget_event iotarget_event_to(enum iotarget_state now,
				      enum iotarget_state wanted)
{
	if (now == wanted)
		return IOTARGET_NR_EVENTS;
	switch (wanted) {
	case IOTARGET_STARTED:
		return IOTARGET_EV_START;
	case IOTARGET_STOPPED:
		return IOTARGET_EV_STOP_LEAVE;
	case IOTARGET_PURGED:
		return IOTARGET_EV_PURGE;
	default:
		return IOTARGET_NR_EVENTS;
	}
}

/**
 * iotarget_word_name - a state's name for logs and the documentation
 * @word: the state
 *
 * Context: any.
 * Return: a constant string.
 */
const char *iotarget_word_name(enum iotarget_word word)
{
	static const char * const names[IOTARGET_NR_WORDS] = {
		[IOTARGET_W_CLOSED]	= "closed",
		[IOTARGET_W_OPENING]	= "opening",
		[IOTARGET_W_DRAINING]	= "draining",
		[IOTARGET_W_STARTED]	= "started",
		[IOTARGET_W_STOPPED]	= "stopped",
		[IOTARGET_W_PURGED]	= "purged",
		[IOTARGET_W_AWAY]	= "away",
		[IOTARGET_W_CFQR]	= "closed-for-query-remove",
		[IOTARGET_W_DELETED]	= "deleted",
	};

	return names[word];
}

/**
 * iotarget_event_name - an event's name for logs and the documentation
 * @event: the event
 *
 * Context: any.
 * Return: a constant string.
 */
const char *iotarget_event_name(enum iotarget_event event)
{
	static const char * const names[IOTARGET_NR_EVENTS] = {
		[IOTARGET_EV_OPEN]		= "open",
		[IOTARGET_EV_OPENED]		= "opened",
		[IOTARGET_EV_OPEN_FAILED]	= "open-failed",
		[IOTARGET_EV_START]		= "start",
		[IOTARGET_EV_DRAINED]		= "drained",
		[IOTARGET_EV_STOP_CANCEL]	= "stop-cancel",
		[IOTARGET_EV_STOP_WAIT]		= "stop-wait",
		[IOTARGET_EV_STOP_LEAVE]	= "stop-leave",
		[IOTARGET_EV_PURGE_WAIT]	= "purge-and-wait",
		[IOTARGET_EV_PURGE]		= "purge",
		[IOTARGET_EV_CLOSE]		= "close",
		[IOTARGET_EV_CLOSE_QUERY]	= "close-for-query-remove",
		[IOTARGET_EV_DELETE]		= "delete",
		[IOTARGET_EV_LOST]		= "lost",
		[IOTARGET_EV_RETURNED]		= "returned",
		[IOTARGET_EV_ALIVE]		= "alive",
		[IOTARGET_EV_AGREED]		= "agreed",
		[IOTARGET_EV_STAYS]		= "stays",
	};

	return names[event];
}

/**
 * iotarget_action_name - an action's name for the documentation
 * @bit: its bit number, below IOTARGET_NR_ACTS
 *
 * Context: any.
 * Return: a constant string.
 */
const char *iotarget_action_name(unsigned int bit)
{
	static const char * const names[] = {
		"attach", "abandon", "shut", "detach", "fail pended",
		"cancel sent", "cancel ignored", "drain", "wait for sent",
		"wait for release", "wait for all",
	};

	static_assert(ARRAY_SIZE(names) == IOTARGET_NR_ACTS);
	return names[bit];
}
