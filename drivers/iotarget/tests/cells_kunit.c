// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the state table at work: every event in every state, fired at a
 * real target, as its callers or its workers would.
 *
 * What must come of it is written down here a second time, independent of
 * state.c, so that a change there has to be made here, too.  In each state that
 * has room for it the target has a request in flight, one past the state, and
 * one that is held.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>

#include "fake.h"

#define WORD(_w)	IOTARGET_W_##_w
#define EV(_e)		IOTARGET_EV_##_e
#define NR_CELLS	(IOTARGET_NR_WORDS * IOTARGET_NR_EVENTS)

/*
 * A cell is five letters: what is returned (0, Timeout, Busy, Shutdown,
 * Canceled), the state once the workers are idle, and what became of the held
 * request, of the one in flight, and of the one past the state: - there was
 * none, k kept as it was, f failed and never sent, s sent, c cancelled.
 */
static const char letters[IOTARGET_NR_WORDS] = {
	[WORD(CLOSED)]		= 'C',
	[WORD(OPENING)]		= 'O',
	[WORD(DRAINING)]	= 'D',
	[WORD(STARTED)]		= 'R',
	[WORD(STOPPED)]		= 'S',
	[WORD(PURGED)]		= 'P',
	[WORD(AWAY)]		= 'A',
	[WORD(CFQR)]		= 'Q',
	[WORD(DELETED)]		= 'X',
};

static const char * const expected[IOTARGET_NR_WORDS][IOTARGET_NR_EVENTS] = {
	[WORD(CLOSED)] = {
		[EV(OPEN)]		= "0R---",
		[EV(OPENED)]		= "TC---",
		[EV(OPEN_FAILED)]	= "TC---",
		[EV(START)]		= "SC---",
		[EV(DRAINED)]		= "0C---",
		[EV(STOP_CANCEL)]	= "SC---",
		[EV(STOP_WAIT)]		= "SC---",
		[EV(STOP_LEAVE)]	= "SC---",
		[EV(PURGE_WAIT)]	= "SC---",
		[EV(PURGE)]		= "SC---",
		[EV(CLOSE)]		= "0C---",
		[EV(CLOSE_QUERY)]	= "0C---",
		[EV(DELETE)]		= "0X---",
		[EV(LOST)]		= "CC---",
		[EV(RETURNED)]		= "CC---",
		[EV(ALIVE)]		= "CC---",
		[EV(AGREED)]		= "CC---",
		[EV(STAYS)]		= "CC---",
	},
	[WORD(OPENING)] = {
		[EV(OPEN)]		= "BO---",
		[EV(OPENED)]		= "0R---",
		[EV(OPEN_FAILED)]	= "EC---",
		[EV(START)]		= "BO---",
		[EV(DRAINED)]		= "0O---",
		[EV(STOP_CANCEL)]	= "BO---",
		[EV(STOP_WAIT)]		= "BO---",
		[EV(STOP_LEAVE)]	= "BO---",
		[EV(PURGE_WAIT)]	= "BO---",
		[EV(PURGE)]		= "BO---",
		[EV(CLOSE)]		= "TC---",
		[EV(CLOSE_QUERY)]	= "TC---",
		[EV(DELETE)]		= "TX---",
		[EV(LOST)]		= "CO---",
		[EV(RETURNED)]		= "CO---",
		[EV(ALIVE)]		= "CO---",
		[EV(AGREED)]		= "CO---",
		[EV(STAYS)]		= "CO---",
	},
	[WORD(DRAINING)] = {
		[EV(OPEN)]		= "BDkkk",
		[EV(OPENED)]		= "TDkkk",
		[EV(OPEN_FAILED)]	= "TDkkk",
		[EV(START)]		= "0Dkkk",
		[EV(DRAINED)]		= "0Rskk",
		[EV(STOP_CANCEL)]	= "TSkck",
		[EV(STOP_WAIT)]		= "TSkkk",
		[EV(STOP_LEAVE)]	= "0Skkk",
		[EV(PURGE_WAIT)]	= "TPfck",
		[EV(PURGE)]		= "0Pfck",
		[EV(CLOSE)]		= "TCfcc",
		[EV(CLOSE_QUERY)]	= "TQfcc",
		[EV(DELETE)]		= "TXfcc",
		[EV(LOST)]		= "0Akkk",
		[EV(RETURNED)]		= "CDkkk",
		[EV(ALIVE)]		= "CDkkk",
		[EV(AGREED)]		= "0Akkk",
		[EV(STAYS)]		= "CDkkk",
	},
	[WORD(STARTED)] = {
		[EV(OPEN)]		= "BR-kk",
		[EV(OPENED)]		= "TR-kk",
		[EV(OPEN_FAILED)]	= "TR-kk",
		[EV(START)]		= "0R-kk",
		[EV(DRAINED)]		= "0R-kk",
		[EV(STOP_CANCEL)]	= "0S-ck",
		[EV(STOP_WAIT)]		= "TS-kk",
		[EV(STOP_LEAVE)]	= "0S-kk",
		[EV(PURGE_WAIT)]	= "0P-ck",
		[EV(PURGE)]		= "0P-ck",
		[EV(CLOSE)]		= "0C-cc",
		[EV(CLOSE_QUERY)]	= "0Q-cc",
		[EV(DELETE)]		= "0X-cc",
		[EV(LOST)]		= "0A-kk",
		[EV(RETURNED)]		= "CR-kk",
		[EV(ALIVE)]		= "CR-kk",
		[EV(AGREED)]		= "0A-kk",
		[EV(STAYS)]		= "CR-kk",
	},
	[WORD(STOPPED)] = {
		[EV(OPEN)]		= "BSkkk",
		[EV(OPENED)]		= "TSkkk",
		[EV(OPEN_FAILED)]	= "TSkkk",
		[EV(START)]		= "0Rskk",
		[EV(DRAINED)]		= "0Skkk",
		[EV(STOP_CANCEL)]	= "0Skck",
		[EV(STOP_WAIT)]		= "TSkkk",
		[EV(STOP_LEAVE)]	= "0Skkk",
		[EV(PURGE_WAIT)]	= "0Pfck",
		[EV(PURGE)]		= "0Pfck",
		[EV(CLOSE)]		= "0Cfcc",
		[EV(CLOSE_QUERY)]	= "0Qfcc",
		[EV(DELETE)]		= "0Xfcc",
		[EV(LOST)]		= "0Akkk",
		[EV(RETURNED)]		= "0Skkk",
		[EV(ALIVE)]		= "CSkkk",
		[EV(AGREED)]		= "0Skkk",
		[EV(STAYS)]		= "0Skkk",
	},
	[WORD(PURGED)] = {
		[EV(OPEN)]		= "BP-kk",
		[EV(OPENED)]		= "TP-kk",
		[EV(OPEN_FAILED)]	= "TP-kk",
		[EV(START)]		= "0R-kk",
		[EV(DRAINED)]		= "0P-kk",
		[EV(STOP_CANCEL)]	= "0S-ck",
		[EV(STOP_WAIT)]		= "TS-kk",
		[EV(STOP_LEAVE)]	= "0S-kk",
		[EV(PURGE_WAIT)]	= "0P-ck",
		[EV(PURGE)]		= "0P-ck",
		[EV(CLOSE)]		= "0C-cc",
		[EV(CLOSE_QUERY)]	= "0Q-cc",
		[EV(DELETE)]		= "0X-cc",
		[EV(LOST)]		= "0A-kk",
		[EV(RETURNED)]		= "0P-kk",
		[EV(ALIVE)]		= "CP-kk",
		[EV(AGREED)]		= "0P-kk",
		[EV(STAYS)]		= "0P-kk",
	},
	[WORD(AWAY)] = {
		[EV(OPEN)]		= "BAkkk",
		[EV(OPENED)]		= "TAkkk",
		[EV(OPEN_FAILED)]	= "TAkkk",
		[EV(START)]		= "0Akkk",
		[EV(DRAINED)]		= "0Akkk",
		[EV(STOP_CANCEL)]	= "0Skck",
		[EV(STOP_WAIT)]		= "TSkkk",
		[EV(STOP_LEAVE)]	= "0Skkk",
		[EV(PURGE_WAIT)]	= "0Pfck",
		[EV(PURGE)]		= "0Pfck",
		[EV(CLOSE)]		= "0Cfcc",
		[EV(CLOSE_QUERY)]	= "0Qfcc",
		[EV(DELETE)]		= "0Xfcc",
		[EV(LOST)]		= "0Akkk",
		[EV(RETURNED)]		= "0Rskk",
		[EV(ALIVE)]		= "0Rskk",
		[EV(AGREED)]		= "CAkkk",
		[EV(STAYS)]		= "0Rskk",
	},
	[WORD(CFQR)] = {
		[EV(OPEN)]		= "0R---",
		[EV(OPENED)]		= "TQ---",
		[EV(OPEN_FAILED)]	= "TQ---",
		[EV(START)]		= "SQ---",
		[EV(DRAINED)]		= "0Q---",
		[EV(STOP_CANCEL)]	= "SQ---",
		[EV(STOP_WAIT)]		= "SQ---",
		[EV(STOP_LEAVE)]	= "SQ---",
		[EV(PURGE_WAIT)]	= "SQ---",
		[EV(PURGE)]		= "SQ---",
		[EV(CLOSE)]		= "0C---",
		[EV(CLOSE_QUERY)]	= "0C---",
		[EV(DELETE)]		= "0X---",
		[EV(LOST)]		= "CQ---",
		[EV(RETURNED)]		= "CQ---",
		[EV(ALIVE)]		= "CQ---",
		[EV(AGREED)]		= "CQ---",
		[EV(STAYS)]		= "CQ---",
	},
	[WORD(DELETED)] = {
		[EV(OPEN)]		= "SX---",
		[EV(OPENED)]		= "TX---",
		[EV(OPEN_FAILED)]	= "TX---",
		[EV(START)]		= "SX---",
		[EV(DRAINED)]		= "0X---",
		[EV(STOP_CANCEL)]	= "SX---",
		[EV(STOP_WAIT)]		= "SX---",
		[EV(STOP_LEAVE)]	= "SX---",
		[EV(PURGE_WAIT)]	= "SX---",
		[EV(PURGE)]		= "SX---",
		[EV(CLOSE)]		= "SX---",
		[EV(CLOSE_QUERY)]	= "SX---",
		[EV(DELETE)]		= "SX---",
		[EV(LOST)]		= "CX---",
		[EV(RETURNED)]		= "CX---",
		[EV(ALIVE)]		= "CX---",
		[EV(AGREED)]		= "CX---",
		[EV(STAYS)]		= "CX---",
	},
};

static bool ran[NR_CELLS];

enum {
	REQ_SENT,	/* in flight */
	REQ_IGNORED,	/* in flight past the state */
	REQ_PENDED,	/* held */
	REQ_STUCK,	/* in the drain worker, where a drain is stuck */
	NR_REQS,
};

/**
 * struct cells - one cell
 * @target: the target; the test has a reference of its own
 * @fake: its device
 * @late: the device of an open that was abandoned before
 * @req: the requests
 * @open_gate: where opens of @fake wait
 * @late_gate: where opens of @late wait
 * @submit_gate: where the drain worker gets stuck
 * @opener: the thread that opens
 * @deleted: a delete was carried out
 */
struct cells {
	struct iotarget		*target;
	struct fake		fake;
	struct fake		late;
	struct fake_req		req[NR_REQS];
	struct completion	open_gate;
	struct completion	late_gate;
	struct completion	submit_gate;
	struct fake_call	opener;
	bool			deleted;
};

static int open_call(void *arg)
{
	struct cells *t = arg;

	return fake_open(t->target, &t->fake, true);
}

static void send(struct kunit *test, struct cells *t, unsigned int which,
		 u32 flags)
{
	KUNIT_ASSERT_EQ(test, fake_req_send_flags(t->target, &t->req[which],
						  flags), 0);
}

static int stop_leave(struct cells *t)
{
	return iotarget_stop(t->target, IOTARGET_LEAVE_SENT_PENDING, 0, NULL);
}

static int lose(struct cells *t)
{
	return iotarget_gate_event(t->target, EV(LOST), NULL, 0, NULL);
}

static int agree(struct cells *t)
{
	return iotarget_gate_event(t->target, EV(AGREED), NULL, 0, NULL);
}

static int stay(struct cells *t)
{
	return iotarget_gate_event(t->target, EV(STAYS), NULL, 0, NULL);
}

static int delete(struct cells *t, unsigned int timeout_ms)
{
	int ret = iotarget_delete(t->target, timeout_ms, NULL);

	if (ret != -ESHUTDOWN)
		t->deleted = true;
	return ret;
}

/* Open, with one in flight and one past the state; they resist cancelling. */
static void go_started(struct kunit *test, struct cells *t)
{
	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, true), 0);
	t->fake.hold = true;
	t->fake.stubborn = true;
	send(test, t, REQ_SENT, 0);
	send(test, t, REQ_IGNORED, IOTARGET_SEND_IGNORE_STATE);
}

static void go_opening(struct kunit *test, struct cells *t)
{
	t->fake.open_gate = &t->open_gate;
	fake_call_start(&t->opener, open_call, t);
	KUNIT_ASSERT_TRUE(test, fake_until(READ_ONCE(t->fake.opening)));
}

/* Stopped, with one that is held, and a drain that gets stuck with another. */
static void go_draining(struct kunit *test, struct cells *t)
{
	go_started(test, t);
	KUNIT_ASSERT_EQ(test, stop_leave(t), 0);
	send(test, t, REQ_STUCK, 0);
	send(test, t, REQ_PENDED, 0);
	t->fake.submit_gate = &t->submit_gate;
	t->fake.entered = 0;
	KUNIT_ASSERT_EQ(test, iotarget_start(t->target), 0);
	KUNIT_ASSERT_TRUE(test, fake_until(READ_ONCE(t->fake.entered)));
}

static void go(struct kunit *test, struct cells *t, enum iotarget_word word)
{
	switch (word) {
	case WORD(CLOSED):
		break;
	case WORD(OPENING):
		go_opening(test, t);
		break;
	case WORD(DRAINING):
		go_draining(test, t);
		break;
	case WORD(STARTED):
		go_started(test, t);
		break;
	case WORD(STOPPED):
		go_started(test, t);
		KUNIT_ASSERT_EQ(test, stop_leave(t), 0);
		send(test, t, REQ_PENDED, 0);
		break;
	case WORD(PURGED):
		go_started(test, t);
		KUNIT_ASSERT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE,
						     0, NULL), 0);
		break;
	case WORD(AWAY):
		go_started(test, t);
		KUNIT_ASSERT_EQ(test, agree(t), 0);
		send(test, t, REQ_PENDED, 0);
		break;
	case WORD(CFQR):
		KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, true), 0);
		KUNIT_ASSERT_EQ(test,
				iotarget_close_for_query_remove(t->target,
								FAKE_LONG_MS,
								NULL), 0);
		break;
	case WORD(DELETED):
		KUNIT_ASSERT_EQ(test, delete(t, FAKE_LONG_MS), 0);
		break;
	case IOTARGET_NR_WORDS:
		break;
	}
	flush_workqueue(iotarget_fast_wq);
}

/*
 * An open that was abandoned ends in the state, or the open of the state Opening
 * does.  Returns what the opener got.
 */
static int fire_open_end(struct kunit *test, struct cells *t,
			 enum iotarget_word word, int error)
{
	int ret;

	if (word == WORD(OPENING)) {
		go(test, t, word);
		t->fake.open_error = error;
		complete_all(&t->open_gate);
		return fake_call_wait(&t->opener);
	}
	t->late.open_gate = &t->late_gate;
	t->late.open_error = error;
	ret = fake_open_timeout(t->target, &t->late, true, FAKE_SHORT_MS);
	KUNIT_ASSERT_EQ(test, fake_word(t->target), WORD(CLOSED));
	if (word == WORD(DELETED))
		delete(t, 0);
	else
		go(test, t, word);
	KUNIT_ASSERT_EQ(test, fake_word(t->target), word);
	complete_all(&t->late_gate);
	KUNIT_EXPECT_TRUE(test, fake_until(error ||
					   READ_ONCE(t->late.releases)));
	flush_workqueue(iotarget_slow_wq);
	return ret;
}

/* A drain ends: in Draining as it should, elsewhere after it was overtaken. */
static void fire_drained(struct kunit *test, struct cells *t,
			 enum iotarget_word word)
{
	if (word == WORD(STARTED)) {
		go(test, t, word);
		KUNIT_EXPECT_EQ(test, fake_req_send_flags(t->target,
							  &t->req[REQ_STUCK],
							  IOTARGET_SEND_ATOMIC),
				0);
		return;
	}
	go_draining(test, t);
	if (word == WORD(STOPPED))
		stop_leave(t);
	else if (word == WORD(PURGED))
		iotarget_purge(t->target, IOTARGET_PURGE, 0, NULL);
	else if (word == WORD(AWAY))
		lose(t);
	else if (word == WORD(CLOSED) || word == WORD(OPENING))
		iotarget_close(t->target, 0, NULL);
	else if (word == WORD(CFQR))
		iotarget_close_for_query_remove(t->target, 0, NULL);
	else if (word == WORD(DELETED))
		delete(t, 0);
	if (word == WORD(OPENING)) {
		t->fake.opening = 0;
		go_opening(test, t);
	}
	KUNIT_ASSERT_EQ(test, fake_word(t->target), word);
	complete_all(&t->submit_gate);
}

static int fire_call(struct cells *t, enum iotarget_event event,
		     unsigned int timeout_ms)
{
	switch (event) {
	case EV(OPEN):
		return fake_open(t->target, &t->fake, true);
	case EV(START):
		return iotarget_start(t->target);
	case EV(STOP_CANCEL):
		return iotarget_stop(t->target, IOTARGET_CANCEL_SENT,
				     timeout_ms, NULL);
	case EV(STOP_WAIT):
		return iotarget_stop(t->target, IOTARGET_WAIT_FOR_SENT,
				     timeout_ms, NULL);
	case EV(STOP_LEAVE):
		return stop_leave(t);
	case EV(PURGE_WAIT):
		return iotarget_purge(t->target, IOTARGET_PURGE_AND_WAIT,
				      timeout_ms, NULL);
	case EV(PURGE):
		return iotarget_purge(t->target, IOTARGET_PURGE, 0, NULL);
	case EV(CLOSE):
		return iotarget_close(t->target, timeout_ms, NULL);
	case EV(CLOSE_QUERY):
		return iotarget_close_for_query_remove(t->target, timeout_ms,
						       NULL);
	case EV(DELETE):
		return delete(t, timeout_ms);
	case EV(LOST):
		return lose(t);
	case EV(ALIVE):
		return iotarget_gate_event(t->target, EV(ALIVE), NULL, 0, NULL);
	case EV(RETURNED):
		t->late.hold = true;
		return fake_return(t->target, &t->late);
	case EV(AGREED):
		return agree(t);
	case EV(STAYS):
		/* Of those who are stopped some have agreed as well. */
		if (fake_word(t->target) == WORD(STOPPED) ||
		    fake_word(t->target) == WORD(PURGED))
			agree(t);
		return stay(t);
	default:
		return -EINVAL;
	}
}

/* Go to the state and let the event happen. */
static int fire(struct kunit *test, struct cells *t, enum iotarget_word word,
		enum iotarget_event event)
{
	switch (event) {
	case EV(OPENED):
		return fire_open_end(test, t, word, 0);
	case EV(OPEN_FAILED):
		return fire_open_end(test, t, word, -ENXIO);
	case EV(DRAINED):
		fire_drained(test, t, word);
		return 0;
	default:
		go(test, t, word);
		KUNIT_ASSERT_EQ(test, fake_word(t->target), word);
		t->fake.stubborn = false;
		return fire_call(t, event, expected[word][event][0] == 'T' ?
				 FAKE_SHORT_MS : FAKE_LONG_MS);
	}
}

static char letter_of_errno(int ret)
{
	switch (ret) {
	case 0:
		return '0';
	case -ETIMEDOUT:
		return 'T';
	case -EBUSY:
		return 'B';
	case -ESHUTDOWN:
		return 'S';
	case -ECANCELED:
		return 'C';
	case -ENXIO:
		return 'E';
	default:
		return '?';
	}
}

static char letter_of_fate(const struct fake_req *fr, bool was_sent)
{
	if (!fr->req.target)
		return '-';
	if (!fr->callbacks)
		return !!fr->submit_seq == was_sent ? 'k' : 's';
	if (fr->outcome == IOTARGET_NEVER_SENT && fr->status == -ENODEV &&
	    !fr->bytes)
		return 'f';
	return fr->status == -ECANCELED && fr->outcome == IOTARGET_UNKNOWN ?
	       'c' : '?';
}

/* The table must say of this cell what we saw. */
static void compare_with_table(struct kunit *test, enum iotarget_word word,
			       enum iotarget_event event, int ret,
			       const char *seen)
{
	const struct iotarget_rule *rule = iotarget_rule(word, event);
	const bool internal = event == EV(OPENED) || event == EV(OPEN_FAILED) ||
			      event == EV(DRAINED);
	const u16 waits = IOTARGET_ACT_WAIT_SENT | IOTARGET_ACT_WAIT_CLOSED |
			  IOTARGET_ACT_WAIT_ALL;

	/* When nothing is in the way, Opening and Draining pass at once. */
	if (seen[1] == letters[WORD(STARTED)])
		KUNIT_EXPECT_TRUE(test, iotarget_word_live(rule->next) ||
				  event == EV(OPEN));
	else
		KUNIT_EXPECT_EQ(test, seen[1], letters[rule->next]);
	if (!internal && rule->error)
		KUNIT_EXPECT_EQ(test, ret, rule->error);
	if (!internal && !rule->error && !(rule->actions & waits))
		KUNIT_EXPECT_EQ(test, ret, 0);
	if (seen[2] != '-')
		KUNIT_EXPECT_EQ(test, seen[2] == 'f',
				!!(rule->actions & IOTARGET_ACT_FAIL_PENDED));
	if (seen[3] != '-')
		KUNIT_EXPECT_EQ(test, seen[3] == 'c',
				!!(rule->actions & IOTARGET_ACT_CANCEL_SENT));
	if (seen[4] != '-')
		KUNIT_EXPECT_EQ(test, seen[4] == 'c',
				!!(rule->actions &
				   IOTARGET_ACT_CANCEL_IGNORED));
}

/* How the state answers one more request, which it may not hold (F38, F39). */
static void probe(struct kunit *test, struct cells *t)
{
	const struct iotarget_send_params params = {
		.flags = IOTARGET_SEND_NOWAIT,
	};
	struct iotarget_request *req = &t->req[REQ_STUCK].req;
	const enum iotarget_word word = fake_word(t->target);
	int ret;

	if (req->target || word == WORD(STARTED))
		return;
	ret = iotarget_format_read(t->target, req, NULL, 0);
	ret = ret ?: iotarget_send(t->target, req, &params);
	KUNIT_EXPECT_EQ(test, ret,
			iotarget_word_accepts(word) ? -EAGAIN : -ESHUTDOWN);
}

static void cell(struct kunit *test)
{
	const unsigned int i = (const bool *)test->param_value - ran;
	const enum iotarget_word word = i / IOTARGET_NR_EVENTS;
	const enum iotarget_event event = i % IOTARGET_NR_EVENTS;
	struct cells *t = test->priv;
	char seen[6] = { };
	int ret;

	ret = fire(test, t, word, event);
	if (fake_word(t->target) == WORD(DRAINING) && !t->fake.submit_gate)
		fake_until(fake_word(t->target) == WORD(STARTED));
	if (event == EV(DRAINED))
		fake_until(READ_ONCE(t->req[REQ_STUCK].submit_seq));
	flush_workqueue(iotarget_fast_wq);
	schedule_timeout_uninterruptible(1);

	seen[0] = letter_of_errno(ret);
	seen[1] = letters[fake_word(t->target)];
	seen[2] = letter_of_fate(&t->req[REQ_PENDED], false);
	seen[3] = letter_of_fate(&t->req[REQ_SENT], true);
	seen[4] = letter_of_fate(&t->req[REQ_IGNORED], true);
	if (event == EV(DRAINED) && word != WORD(DRAINING)) {
		/* The transition that overtook the drain is another cell. */
		seen[2] = expected[word][event][2];
		seen[3] = expected[word][event][3];
		seen[4] = expected[word][event][4];
	}
	KUNIT_EXPECT_STREQ(test, seen, expected[word][event]);
	compare_with_table(test, word, event, ret, seen);
	probe(test, t);
	ran[i] = true;
}

static void no_cell_is_missing(struct kunit *test)
{
	unsigned int i;

	if (!memchr_inv(ran, 0, sizeof(ran)))
		kunit_skip(test, "the cells were not run");
	for (i = 0; i < NR_CELLS; i++)
		KUNIT_EXPECT_TRUE_MSG(test, ran[i], "%s/%s was not run",
				      iotarget_word_name(i / IOTARGET_NR_EVENTS),
				      iotarget_event_name(i %
							  IOTARGET_NR_EVENTS));
}

static void cell_name(bool *c, char *desc)
{
	const unsigned int i = c - ran;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s/%s",
		 iotarget_word_name(i / IOTARGET_NR_EVENTS),
		 iotarget_event_name(i % IOTARGET_NR_EVENTS));
}

KUNIT_ARRAY_PARAM(cells, ran, cell_name);

static int cells_init(struct kunit *test)
{
	struct cells *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	fake_init(&t->fake);
	fake_init(&t->late);
	init_completion(&t->open_gate);
	init_completion(&t->late_gate);
	init_completion(&t->submit_gate);
	for (i = 0; i < NR_REQS; i++)
		fake_req_init(&t->req[i], &t->fake, i);
	t->target = iotarget_get(fake_target("cells"));
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->target));
	test->priv = t;
	return 0;
}

static bool all_answered(struct cells *t)
{
	fake_answer_all(&t->fake, 0);
	fake_answer_all(&t->late, 0);
	return !READ_ONCE(t->target->gate.nr_insts);
}

static void cells_exit(struct kunit *test)
{
	struct cells *t = test->priv;
	unsigned int i;

	t->fake.hold = false;
	t->late.hold = false;
	complete_all(&t->open_gate);
	complete_all(&t->late_gate);
	complete_all(&t->submit_gate);
	if (t->opener.fn)
		fake_call_wait(&t->opener);
	if (!t->deleted)
		delete(t, 0);
	KUNIT_EXPECT_TRUE(test, fake_until(all_answered(t)));
	KUNIT_EXPECT_EQ(test, t->fake.opens, t->fake.releases);
	KUNIT_EXPECT_EQ(test, t->late.opens, t->late.releases);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, t->fake.answered);
	for (i = 0; i < NR_REQS; i++)
		KUNIT_EXPECT_LE(test, t->req[i].callbacks, 1);
	iotarget_put(t->target);
}

static struct kunit_case cells_cases[] = {
	KUNIT_CASE_PARAM(cell, cells_gen_params),
	KUNIT_CASE(no_cell_is_missing),
	{}
};

static struct kunit_suite cells_suite = {
	.name		= "iotarget_cells",
	.init		= cells_init,
	.exit		= cells_exit,
	.test_cases	= cells_cases,
};

kunit_test_suite(cells_suite);
