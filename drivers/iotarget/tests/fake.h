/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device for unit tests: a backend whose completions the test holds, and
 * helpers that all suites share.
 */
#ifndef _IOTARGET_TESTS_FAKE_H
#define _IOTARGET_TESTS_FAKE_H

#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "../devices.h"

/*
 * For waits that are to succeed, be the machine as busy as it may, and more so where a
 * machine is emulated; for those that are to fail; and for those that are to fail with
 * the request at the device, where it has to get first: slow kernels have slow workers.
 */
#define FAKE_LONG_MS	(IS_ENABLED(CONFIG_UML) ? 5000 : 20000)
#define FAKE_SHORT_MS	10
#define FAKE_SENT_MS	250

/**
 * struct fake - a fake device
 * @lock: guards the list and the counts
 * @held: requests that it was given and has not answered, oldest first
 * @hold: keep requests instead of answering at once
 * @stubborn: when asked to cancel, count it and do nothing
 * @open_error: what open() returns
 * @check_error: what check() returns
 * @open_gate: if set, open() waits for it
 * @release_gate: if set, release() waits for it
 * @submit_gate: if set, submit() waits for it, before it takes the request
 * @opening: open() calls begun
 * @entered: submit() calls begun
 * @submitted: requests it was given
 * @answered: requests it gave back
 * @cancels: times it was asked to cancel
 * @opens: successful opens
 * @releases: releases
 * @bad_bytes: bytes written that were not fake_byte() of their position
 */
struct fake {
	spinlock_t		lock;	/* guards the list and the counts */
	struct list_head	held;
	bool			hold;
	bool			stubborn;
	int			open_error;
	int			check_error;
	struct completion	*open_gate;
	struct completion	*release_gate;
	struct completion	*submit_gate;
	unsigned int		opening;
	unsigned int		entered;
	unsigned int		submitted;
	unsigned int		answered;
	unsigned int		cancels;
	unsigned int		opens;
	unsigned int		releases;
	unsigned int		bad_bytes;
};

/**
 * struct fake_req - a request that remembers what became of it
 * @req: the request
 * @fake: the device that the test means to send it to
 * @index: the test's own number
 * @submit_seq: its place in the order of submission, from 1; 0: never
 * @cancel_seq: its place in the order of cancelling, from 1; 0: never
 * @callbacks: how often it was called back
 * @status: what the callback saw
 * @outcome: likewise
 * @bytes: likewise
 * @on_complete: called from the callback; may send again
 * @priv: the test's own
 */
struct fake_req {
	struct iotarget_request	req;
	struct fake		*fake;
	unsigned int		index;
	unsigned int		submit_seq;
	unsigned int		cancel_seq;
	unsigned int		callbacks;
	int			status;
	enum iotarget_outcome	outcome;
	size_t			bytes;
	void (*on_complete)(struct iotarget *target, struct fake_req *fr);
	void			*priv;
};

/**
 * struct fake_call - a call made by another thread
 * @work: runs it
 * @done: it has returned
 * @fn: the call
 * @arg: its argument
 * @ret: what it returned
 */
struct fake_call {
	struct work_struct	work;
	struct completion	done;
	int			(*fn)(void *arg);
	void			*arg;
	int			ret;
};

void fake_init(struct fake *fake);
int fake_open(struct iotarget *target, struct fake *fake, bool can_cancel);
int fake_open_timeout(struct iotarget *target, struct fake *fake,
		      bool can_cancel, unsigned int timeout_ms);
int fake_return(struct iotarget *target, struct fake *fake);
bool fake_answer(struct fake *fake, int status);
bool fake_answer_req(struct fake *fake, struct iotarget_request *req,
		     int status);
unsigned int fake_answer_all(struct fake *fake, int status);
unsigned int fake_nr_held(struct fake *fake);
u8 fake_byte(u64 pos);
void fake_req_init(struct fake_req *fr, struct fake *fake, unsigned int index);
int fake_req_format(struct iotarget *target, struct fake_req *fr);
int fake_req_send(struct iotarget *target, struct fake_req *fr,
		  const struct iotarget_send_params *params);
int fake_req_send_flags(struct iotarget *target, struct fake_req *fr,
			u32 flags);
struct iotarget *fake_target(const char *name);
void fake_settle(struct iotarget *target);
void fake_settle_all(void);
void fake_call_start(struct fake_call *call, int (*fn)(void *arg), void *arg);
int fake_call_wait(struct fake_call *call);

#define FAKE_NR_REQS	8

/**
 * struct fake_test - what most suites work with
 * @target: the target, open; the test has a second reference
 * @fake: its device
 * @req: requests for it
 * @gate: for gates of the device
 * @call: for calls by other threads
 * @deleted: the test has deleted the target
 */
struct fake_test {
	struct iotarget		*target;
	struct fake		fake;
	struct fake_req		req[FAKE_NR_REQS];
	struct completion	gate;
	struct fake_call	call[2];
	bool			deleted;
};

int fake_disk_init(struct kunit *test);
int fake_usb_init(struct kunit *test);
int fake_closed_init(struct kunit *test);
void fake_exit(struct kunit *test);
void fake_hook(enum iotarget_hook_point point, void (*fn)(struct fake_test *t),
	       struct fake_test *t);

/* Give others the CPU until it is true; false if that takes too long. */
#define fake_until(_cond)						\
({									\
	unsigned long __end = jiffies + msecs_to_jiffies(FAKE_LONG_MS);	\
	bool __is;							\
									\
	while (!(__is = (_cond)) && time_before(jiffies, __end))	\
		schedule_timeout_uninterruptible(1);			\
	__is;								\
})

static inline enum iotarget_word fake_word(struct iotarget *target)
{
	return READ_ONCE(target->gate.word);
}

#endif /* _IOTARGET_TESTS_FAKE_H */
