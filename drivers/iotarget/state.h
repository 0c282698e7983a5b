/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state machine of a target, as data: which event does what in which
 * state.  Pure: no lock, no memory, no I/O.  gate.c carries the actions out.
 */
#ifndef _IOTARGET_STATE_H
#define _IOTARGET_STATE_H

#include <linux/bits.h>
#include <linux/types.h>

#include <linux/iotarget.h>

/*
 * The states, with the two that KMDF hides, Opening and Draining, and one that it does
 * not have, Away.
 */
enum iotarget_word {
	IOTARGET_W_CLOSED,
	IOTARGET_W_OPENING,	/* an open is under way in the open worker */
	IOTARGET_W_DRAINING,	/* started; what was held still goes first */
	IOTARGET_W_STARTED,
	IOTARGET_W_STOPPED,
	IOTARGET_W_PURGED,
	IOTARGET_W_AWAY,	/* held until its device is back, or stays, as if stopped */
	IOTARGET_W_CFQR,	/* closed for query-remove */
	IOTARGET_W_DELETED,
	IOTARGET_NR_WORDS,
};

enum iotarget_event {
	IOTARGET_EV_OPEN,		/* an open begins */
	IOTARGET_EV_OPENED,		/* the open worker has a device */
	IOTARGET_EV_OPEN_FAILED,	/* the open worker has none */
	IOTARGET_EV_START,
	IOTARGET_EV_DRAINED,		/* the drain worker reached its mark */
	IOTARGET_EV_STOP_CANCEL,
	IOTARGET_EV_STOP_WAIT,
	IOTARGET_EV_STOP_LEAVE,
	IOTARGET_EV_PURGE_WAIT,
	IOTARGET_EV_PURGE,
	IOTARGET_EV_CLOSE,
	IOTARGET_EV_CLOSE_QUERY,	/* close for query-remove */
	IOTARGET_EV_DELETE,
	IOTARGET_EV_LOST,		/* its device is gone, and waited for */
	IOTARGET_EV_RETURNED,		/* it is back, as another instance */
	IOTARGET_EV_ALIVE,		/* it was not gone, it only seemed so */
	IOTARGET_EV_AGREED,		/* its device may go; what comes is held */
	IOTARGET_EV_STAYS,		/* it does not go after all */
	IOTARGET_NR_EVENTS,
};

/* Actions, in the order in which they are carried out. */
#define IOTARGET_ACT_ATTACH		BIT(0)	/* the new instance, for any other */
#define IOTARGET_ACT_ABANDON		BIT(1)	/* the open under way is void */
#define IOTARGET_ACT_SHUT		BIT(2)	/* shut the out-gate at once */
#define IOTARGET_ACT_DETACH		BIT(3)	/* the instance finishes alone */
#define IOTARGET_ACT_FAIL_PENDED	BIT(4)	/* -ENODEV, never sent */
#define IOTARGET_ACT_CANCEL_SENT	BIT(5)	/* in the order of sending */
#define IOTARGET_ACT_CANCEL_IGNORED	BIT(6)	/* those past the state, too */
#define IOTARGET_ACT_DRAIN		BIT(7)	/* set the mark, open the gate */
#define IOTARGET_ACT_WAIT_SENT		BIT(8)	/* until the sent ones are back */
#define IOTARGET_ACT_WAIT_CLOSED	BIT(9)	/* until the device is released */
#define IOTARGET_ACT_WAIT_ALL		BIT(10)	/* until no instance is left */
#define IOTARGET_NR_ACTS		11

/**
 * struct iotarget_rule - one cell of the table
 * @next: the state after the event
 * @actions: IOTARGET_ACT_* to carry out
 * @error: 0, or the errno that the caller gets; then nothing changes
 * @origin: 'k' as KMDF does, 's' stricter than KMDF, 'x' an extension
 * @note: why, where @origin is not 'k'
 */
struct iotarget_rule {
	u8		next;
	u16		actions;
	s16		error;
	char		origin;
	const char	*note;
};

const struct iotarget_rule *iotarget_rule(enum iotarget_word word,
					  enum iotarget_event event);
enum iotarget_state iotarget_word_state(enum iotarget_word word);
enum iotarget_event iotarget_event_to(enum iotarget_state now,
				      enum iotarget_state wanted);
const char *iotarget_word_name(enum iotarget_word word);
const char *iotarget_event_name(enum iotarget_event event);
const char *iotarget_action_name(unsigned int bit);

/* Requests are accepted and, if need be, held. */
static inline bool iotarget_word_accepts(enum iotarget_word word)
{
	return word == IOTARGET_W_STARTED || word == IOTARGET_W_DRAINING ||
	       word == IOTARGET_W_STOPPED || word == IOTARGET_W_AWAY;
}

/* Both gates are, or are about to be, open. */
static inline bool iotarget_word_live(enum iotarget_word word)
{
	return word == IOTARGET_W_STARTED || word == IOTARGET_W_DRAINING;
}

/* There is a device. */
static inline bool iotarget_word_open(enum iotarget_word word)
{
	return iotarget_word_accepts(word) || word == IOTARGET_W_PURGED;
}

#endif /* _IOTARGET_STATE_H */
