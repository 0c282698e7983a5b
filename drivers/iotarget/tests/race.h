/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Forced races: the calls that race, the situations in which they do, and what
 * must be true afterwards.
 */
#ifndef _IOTARGET_TESTS_RACE_H
#define _IOTARGET_TESTS_RACE_H

#include <kunit/test.h>

#include "fake.h"

enum race_op {
	RACE_SUBMIT,
	RACE_COMPLETE,
	RACE_CANCEL,
	RACE_TIMEOUT,
	RACE_START,
	RACE_STOP_CANCEL,
	RACE_STOP_WAIT,
	RACE_STOP_LEAVE,
	RACE_PURGE_WAIT,
	RACE_PURGE,
	RACE_CLOSE,
	RACE_OPEN,
	RACE_DELETE,
	RACE_NR_OPS,
};

enum race_scene {
	RACE_STARTED_USB,	/* one in flight, the backend can cancel */
	RACE_STARTED_DISK,	/* the same, it can't */
	RACE_STOPPED,		/* one in flight, one pended, all quiet */
	RACE_STOPPING,		/* the same, the reference not killed yet */
	RACE_DRAINING,		/* start has returned, the worker has not run */
	RACE_PURGED,		/* one in flight past the state */
	RACE_CLOSED,		/* one in flight on an earlier instance */
	RACE_NR_SCENES,
};

enum race_req {
	RACE_VICTIM,		/* in flight when the race begins */
	RACE_HELD,		/* pended then */
	RACE_FRESH_A,		/* sent by the first call */
	RACE_FRESH_B,		/* sent by the second one */
	RACE_NR_REQS,
};

/**
 * struct race - one run of two calls
 * @target: the target; the test has a reference of its own
 * @fake: its device
 * @scene: the situation
 * @req: the requests
 * @sent: what sending each returned; 1: not sent
 * @subject: the one that is cancelled and expired
 * @deleted: a delete was carried out
 * @ret: what the first and the second call returned; 1: not called
 * @quiet_at: what the device had been given when a waiting call said that it
 *	is quiet; -1: none said so
 * @starts: starts and opens so far
 * @noisy: what was wrong in that moment, or NULL
 */
struct race {
	struct iotarget		*target;
	struct fake		fake;
	enum race_scene		scene;
	struct fake_req		req[RACE_NR_REQS];
	int			sent[RACE_NR_REQS];
	enum race_req		subject;
	bool			deleted;
	int			ret[2];
	int			quiet_at;
	unsigned int		starts;
	const char		*noisy;
};

const char *race_op_name(enum race_op op);
const char *race_scene_name(enum race_scene scene);
bool race_op_waits(enum race_op op);
void race_begin(struct kunit *test, struct race *race, enum race_scene scene,
		enum race_op first);
void race_call(struct race *race, enum race_op op, bool second);
bool race_end(struct kunit *test, struct race *race, enum race_op a,
	      enum race_op b, const char *where);

#endif /* _IOTARGET_TESTS_RACE_H */
