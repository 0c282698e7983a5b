/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Owners of targets who are told of removals, for unit tests: what they are told
 * is written down, and what they answer or do then is the test's.
 */
#ifndef _IOTARGET_TESTS_OWNER_H
#define _IOTARGET_TESTS_OWNER_H

#include <linux/atomic.h>
#include <linux/completion.h>

#include "fakedisk.h"

struct kunit;

/* For a query that reaches the targets on a slow machine, and gets no answer. */
#define ASKED_MS	(8 * FAKE_SENT_MS)

enum owner_told {
	TOLD_NOTHING,
	TOLD_QUERY,
	TOLD_CANCELED,
	TOLD_COMPLETE,
};

/**
 * struct owner - a target and who owns it
 * @target: the target; the test has a second reference
 * @deleted: the test has deleted it
 * @answer: to a query, if not 0; else it does as a target without a callback
 * @stays: it says yes, and keeps the device open
 * @holds: it says yes, and holds what comes
 * @on: called in each callback, before anything else; may be NULL
 * @hold: in which callback to wait for @go
 * @entered: it has begun
 * @go: it may return
 * @running: callbacks that run now
 * @overlaps: how often one began while another ran
 * @query: what it was asked last
 */
struct owner {
	struct iotarget		*target;
	bool			deleted;
	int			answer;
	bool			stays;
	bool			holds;
	void			(*on)(struct owner *o, enum owner_told what);
	enum owner_told		hold;
	struct completion	entered;
	struct completion	go;
	atomic_t		running;
	unsigned int		overlaps;
	struct iotarget_query	query;
};

/* What it was, and to whose target, in the order of the beginnings. */
struct owner_log {
	u8			owner;
	u8			told;
};

/**
 * struct owner_io - a read of the first block, and what became of it
 * @req: the request
 * @ended: it was called back
 * @status: what the callback saw
 * @outcome: likewise
 */
struct owner_io {
	struct iotarget_request	req;
	bool			ended;
	int			status;
	enum iotarget_outcome	outcome;
};

#define OWNER_LOG	16

/**
 * struct owners - what a test works with
 * @fd: disks
 * @owner: two with all callbacks, of which the first has the first disk open
 * @plain: a target without callbacks, closed
 * @lock: guards the log
 * @log: what they were told
 * @nr: how much that is
 * @io: reads
 * @page: for their data
 * @call: for a call by another thread
 * @refusal: who refused the last query
 */
struct owners {
	struct fakedisk		fd[2];
	struct owner		owner[2];
	struct owner		plain;
	spinlock_t		lock;	/* guards the log */
	struct owner_log	log[OWNER_LOG];
	unsigned int		nr;
	struct owner_io		io[2];
	struct page		*page;
	struct fake_call	call;
	struct iotarget_refusal	refusal;
};

extern struct owners *owners;

int owners_init(struct kunit *test);
void owners_exit(struct kunit *test);
int owner_open(struct owner *o, struct fakedisk *fd);
int owner_read(struct owner *o, struct owner_io *io);
int owner_close(void *owner);
bool owner_entered(struct owner *o);
bool owner_closed(struct owner *o);
void owners_tell(struct fakedisk *fd, enum iotarget_removal_level level);
int owners_notice(void *fd);
struct iotarget_consent *owners_query(u32 flags, u32 timeout_ms, u32 expires_ms);
struct iotarget_consent *owners_query_long(void);
bool owners_idle(void);
void owners_expect(struct kunit *test, const struct owner_log *want,
		   unsigned int nr);

/* That they were told this, and nothing else is on its way. */
#define OWNERS_EXPECT(_test, ...)					\
do {									\
	static const struct owner_log __want[] = { __VA_ARGS__ };	\
									\
	owners_expect(_test, __want, ARRAY_SIZE(__want));		\
} while (0)

static inline bool owner_is(struct owner *o, enum iotarget_word word)
{
	return fake_word(o->target) == word;
}

#endif /* _IOTARGET_TESTS_OWNER_H */
