/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device for unit tests: a backend whose completions the test holds.
 */
#ifndef _IOTARGET_TESTS_FAKE_H
#define _IOTARGET_TESTS_FAKE_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/spinlock.h>

#include "../internal.h"

struct kunit;

/**
 * struct fake - a fake device
 * @lock: guards the list and the counts
 * @held: requests that it was given and has not answered, oldest first
 * @hold: keep requests instead of answering at once
 * @open_error: what open() returns
 * @open_gate: if set, open() waits for it
 * @release_gate: if set, release() waits for it
 * @submitted: requests it was given
 * @answered: requests it gave back
 * @cancels: times it was asked to cancel
 * @opens: successful opens
 * @releases: releases
 * @check_error: what check() returns
 */
struct fake {
	spinlock_t		lock;	/* the list and the counts */
	struct list_head	held;
	bool			hold;
	int			open_error;
	struct completion	*open_gate;
	struct completion	*release_gate;
	unsigned int		submitted;
	unsigned int		answered;
	unsigned int		cancels;
	unsigned int		opens;
	unsigned int		releases;
	int			check_error;
};

/**
 * struct fake_req - a request that remembers what became of it
 * @req: the request
 * @fake: for fake_held
 * @node: in fake->held
 * @index: the test's own number
 * @submit_seq: its place in the order of submission, from 1; 0: never
 * @callbacks: how often it was called back
 * @status: what the callback saw
 * @outcome: likewise
 * @bytes: likewise
 * @on_complete: called from the callback; may send again
 */
struct fake_req {
	struct iotarget_request	req;
	struct fake		*fake;
	struct list_head	node;
	unsigned int		index;
	unsigned int		submit_seq;
	unsigned int		callbacks;
	int			status;
	enum iotarget_outcome	outcome;
	size_t			bytes;
	void (*on_complete)(struct iotarget *target, struct fake_req *fr);
};

void fake_init(struct fake *fake);
int fake_open(struct iotarget *target, struct fake *fake, bool can_cancel);
int fake_open_timeout(struct iotarget *target, struct fake *fake,
		      bool can_cancel, unsigned int timeout_ms);
bool fake_answer(struct fake *fake, int status);
unsigned int fake_answer_all(struct fake *fake, int status);
unsigned int fake_nr_held(struct fake *fake);
void fake_req_init(struct fake_req *fr, struct fake *fake, unsigned int index);
int fake_req_send(struct iotarget *target, struct fake_req *fr,
		  const struct iotarget_send_params *params);
struct iotarget *fake_target(const char *name);

#endif /* _IOTARGET_TESTS_FAKE_H */
