// SPDX-License-Identifier: GPL-2.0-only
/*
 * The states of a target: what each call does in each, what is held and sent
 * and in which order, and what bad calls leave alone.
 */
#include "fixture.h"

FIXTURE(state) {
	int fd;
	char path[DEVICE_PATH];
};

FIXTURE_SETUP(state)
{
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->path, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	self->fd = target_opened("state-test", self->path);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(state)
{
	close(self->fd);
	ON_TIME();
}

enum call { START, START_WAIT, STOP_CANCEL, STOP_WAIT, STOP_LEAVE, PURGE_WAIT,
	    PURGE, OPEN, CLOSE, QUERY, DELETE, NR_CALLS };

static const char * const call_names[] = {
	"start", "start and wait", "stop cancel", "stop wait", "stop leave",
	"purge and wait", "purge", "open", "close", "close for query-remove",
	"delete",
};

static int make(int fd, enum call call, const char *path)
{
	switch (call) {
	case START:
		return target_start(fd);
	case START_WAIT:
		return target_start_and_wait(fd, LONG_MS, NULL);
	case STOP_CANCEL:
		return target_stop(fd, CANCEL_SENT, LONG_MS, NULL);
	case STOP_WAIT:
		return target_stop(fd, WAIT_FOR_SENT, LONG_MS, NULL);
	case STOP_LEAVE:
		return target_stop(fd, LEAVE_SENT_PENDING, 0, NULL);
	case PURGE_WAIT:
		return target_purge(fd, PURGE_AND_WAIT, LONG_MS, NULL);
	case PURGE:
		return target_purge(fd, PURGE_NO_WAIT, 0, NULL);
	case OPEN:
		return target_open(fd, path, ACCESS_BOTH, SHARE_BOTH);
	case CLOSE:
		return target_close(fd, LONG_MS, NULL);
	case QUERY:
		return target_close_query(fd, LONG_MS, NULL);
	default:
		return target_delete(fd, LONG_MS, NULL);
	}
}

/* From a fresh target to a state. */
static int reach(int fd, unsigned int state, const char *path)
{
	int ret = state == CLOSED ? 0 : make(fd, OPEN, path);

	if (ret)
		return ret;
	switch (state) {
	case STOPPED:
		return make(fd, STOP_WAIT, path);
	case PURGED:
		return make(fd, PURGE_WAIT, path);
	case CLOSED_FOR_QUERY_REMOVE:
		return make(fd, QUERY, path);
	case DELETED:
		return make(fd, DELETE, path);
	}
	return 0;
}

/* A row of the state table: what each call returns, and the state after it. */
struct row {
	unsigned int	state;
	int		ret[NR_CALLS];
	unsigned int	next[NR_CALLS];
};

#define QUERY_CLOSED CLOSED_FOR_QUERY_REMOVE

static const struct row table[] = {
	{ STARTED,
	  { 0, 0, 0, 0, 0, 0, 0, -EBUSY, 0, 0, 0 },
	  { STARTED, STARTED, STOPPED, STOPPED, STOPPED, PURGED, PURGED,
	    STARTED, CLOSED, QUERY_CLOSED, DELETED } },
	{ STOPPED,
	  { 0, 0, 0, 0, 0, 0, 0, -EBUSY, 0, 0, 0 },
	  { STARTED, STARTED, STOPPED, STOPPED, STOPPED, PURGED, PURGED,
	    STOPPED, CLOSED, QUERY_CLOSED, DELETED } },
	{ PURGED,
	  { 0, 0, 0, 0, 0, 0, 0, -EBUSY, 0, 0, 0 },
	  { STARTED, STARTED, STOPPED, STOPPED, STOPPED, PURGED, PURGED,
	    PURGED, CLOSED, QUERY_CLOSED, DELETED } },
	{ CLOSED,
	  { -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN,
	    -ESHUTDOWN, -ESHUTDOWN, 0, 0, 0, 0 },
	  { CLOSED, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED,
	    STARTED, CLOSED, CLOSED, DELETED } },
	{ QUERY_CLOSED,
	  { -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN,
	    -ESHUTDOWN, -ESHUTDOWN, 0, 0, 0, 0 },
	  { QUERY_CLOSED, QUERY_CLOSED, QUERY_CLOSED, QUERY_CLOSED,
	    QUERY_CLOSED, QUERY_CLOSED, QUERY_CLOSED,
	    STARTED, CLOSED, CLOSED, DELETED } },
	{ DELETED,
	  { -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN,
	    -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN,
	    -ESHUTDOWN },
	  { DELETED, DELETED, DELETED, DELETED, DELETED, DELETED, DELETED,
	    DELETED, DELETED, DELETED, DELETED } },
};

TEST_F(state, f43_f49_f50_f58_every_call_in_every_state)
{
	unsigned int i, call;
	int fd;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		for (call = 0; call < NR_CALLS; call++) {
			fd = target_new("state-table", 0);
			ASSERT_LE(0, fd);
			ASSERT_EQ(0, reach(fd, table[i].state, self->path));
			ASSERT_EQ(table[i].state, target_state(fd));
			EXPECT_EQ(table[i].ret[call],
				  make(fd, call, self->path))
				TH_LOG("%s while %s", call_names[call],
				       state_name(table[i].state));
			EXPECT_EQ(table[i].next[call], target_state(fd))
				TH_LOG("%s while %s", call_names[call],
				       state_name(table[i].state));
			close(fd);
		}
	}
}

static int send_read(int fd, unsigned int slot, unsigned int flags)
{
	int ret = request_read(fd, slot, slot * 4096, 4096);

	return ret ? ret : request_send(fd, slot, flags, 0);
}

/* Formats while it is open, brings it to the state, sends. */
static int send_in(int fd, unsigned int state, const char *path,
		   unsigned int flags, int *formatted)
{
	int ret = make(fd, OPEN, path);

	if (ret)
		return ret;
	*formatted = request_read(fd, 0, 0, 4096);
	switch (state) {
	case STOPPED:
		ret = make(fd, STOP_WAIT, path);
		break;
	case PURGED:
		ret = make(fd, PURGE_WAIT, path);
		break;
	case CLOSED:
		ret = make(fd, CLOSE, path);
		break;
	case CLOSED_FOR_QUERY_REMOVE:
		ret = make(fd, QUERY, path);
		break;
	case DELETED:
		ret = make(fd, DELETE, path);
		break;
	}
	return ret ? ret : request_send(fd, 0, flags, 0);
}

TEST_F(state, f38_f39_f40_sends_in_every_state)
{
	static const struct {
		unsigned int state;
		int plain, ignore, nowait, atomic;
	} sends[] = {
		{ STARTED, 0, 0, 0, 0 },
		{ STOPPED, 0, 0, -EAGAIN, 0 },
		{ PURGED, -ESHUTDOWN, 0, -ESHUTDOWN, -ESHUTDOWN },
		{ CLOSED, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN },
		{ CLOSED_FOR_QUERY_REMOVE, -ESHUTDOWN, -ESHUTDOWN,
		  -ESHUTDOWN, -ESHUTDOWN },
		{ DELETED, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN, -ESHUTDOWN },
	};
	static const unsigned int flags[] = {
		0, SEND_IGNORE_STATE, SEND_NOWAIT, SEND_ATOMIC,
	};
	unsigned int i, j;
	int fd, formatted = 1;

	for (i = 0; i < ARRAY_SIZE(sends); i++) {
		const int expected[] = {
			sends[i].plain, sends[i].ignore, sends[i].nowait,
			sends[i].atomic,
		};

		for (j = 0; j < ARRAY_SIZE(flags); j++) {
			fd = target_new("state-sends", 0);
			ASSERT_LE(0, fd);
			EXPECT_EQ(expected[j],
				  send_in(fd, sends[i].state, self->path,
					  flags[j], &formatted))
				TH_LOG("flags %#x while %s", flags[j],
				       state_name(sends[i].state));
			EXPECT_EQ(0, formatted);
			/* F22: refused means no callback, ever. */
			if (expected[j])
				EXPECT_EQ(0, request_query(fd, 0).callbacks);
			close(fd);
		}
	}
}

TEST_F(state, f38_f41_held_in_order_sent_in_order)
{
	unsigned int i;
	struct iotarget_test_query last = {}, query;
	struct iotarget_test_report report;
	struct iotarget_test_info info;

	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, &report));
	EXPECT_EQ(0, report.pended);
	for (i = 0; i < 60; i++) {
		ASSERT_EQ(0, send_read(self->fd, i, 0));
		EXPECT_EQ(0, request_query(self->fd, i).callbacks);
	}
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(60, info.pended);
	EXPECT_EQ(0, info.sent);
	ASSERT_EQ(0, target_stop(self->fd, LEAVE_SENT_PENDING, 0, &report));
	EXPECT_EQ(60, report.pended);
	EXPECT_EQ(0, report.sent);
	ASSERT_EQ(0, target_start(self->fd));
	for (i = 0; i < 60; i++) {
		ASSERT_EQ(0, request_called_back(self->fd, i, 1, LONG_MS));
		query = request_query(self->fd, i);
		EXPECT_EQ(0, query.status);
		EXPECT_EQ(DONE, query.outcome);
		/* The disk completes inside the submission. */
		if (i)
			EXPECT_LT(last.complete_seq, query.complete_seq);
		last = query;
	}
}

TEST_F(state, f41_start_and_wait_waits_for_the_drain)
{
	struct iotarget_test_report report;
	unsigned int i;

	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	for (i = 0; i < 60; i++)
		ASSERT_EQ(0, send_read(self->fd, i, 0));
	ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, &report));
	EXPECT_EQ(0, report.pended);
	for (i = 0; i < 60; i++)
		EXPECT_EQ(1, request_query(self->fd, i).callbacks);
}

TEST_F(state, f48_purge_fails_what_is_held)
{
	struct iotarget_test_query last = {}, query;
	struct iotarget_test_report report;
	unsigned int i;

	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, send_read(self->fd, i, 0));
	ASSERT_EQ(0, target_purge(self->fd, PURGE_NO_WAIT, 0, &report));
	EXPECT_EQ(PURGED, target_state(self->fd));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, request_called_back(self->fd, i, 1, LONG_MS));
		query = request_query(self->fd, i);
		EXPECT_EQ(-ENODEV, query.status);
		EXPECT_EQ(NEVER_SENT, query.outcome);
		EXPECT_EQ(0, query.bytes);
		EXPECT_EQ(0, query.touched);
		if (i)
			EXPECT_LT(last.complete_seq, query.complete_seq);
		last = query;
	}
	/* F49: purged, then started, accepts again. */
	ASSERT_EQ(0, target_start(self->fd));
	EXPECT_EQ(0, target_read(self->fd, 0, 4096, LONG_MS, NULL));
}

TEST_F(state, f51_close_fails_what_is_held)
{
	struct iotarget_test_report report;

	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, send_read(self->fd, 0, 0));
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, &report));
	EXPECT_EQ(0, report.sent + report.pended + report.oldest_ms);
	EXPECT_EQ(-ENODEV, request_query(self->fd, 0).status);
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, 0).outcome);
}

TEST_F(state, f42_stopped_again_while_draining)
{
	unsigned int i, j;
	struct iotarget_test_query query;

	/* Whatever the drain has reached, the rest is held, at the front. */
	for (j = 0; j < 50; j++) {
		ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
		for (i = 0; i < 30; i++)
			ASSERT_EQ(0, send_read(self->fd, i, 0));
		ASSERT_EQ(0, target_start(self->fd));
		ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
		for (i = 30; i < 60; i++)
			ASSERT_EQ(0, send_read(self->fd, i, 0));
		ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
		for (i = 1; i < 60; i++) {
			query = request_query(self->fd, i);
			EXPECT_EQ(1, query.callbacks);
			EXPECT_LT(request_query(self->fd, i - 1).complete_seq,
				  query.complete_seq);
		}
	}
}

TEST_F(state, f42_purged_while_draining)
{
	unsigned int i, j, never = 0;
	struct iotarget_test_query query;

	for (j = 0; j < 50; j++) {
		ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
		for (i = 0; i < 60; i++)
			ASSERT_EQ(0, send_read(self->fd, i, 0));
		ASSERT_EQ(0, target_start(self->fd));
		ASSERT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, LONG_MS,
					  NULL));
		for (i = 0; i < 60; i++) {
			query = request_query(self->fd, i);
			EXPECT_EQ(1, query.callbacks);
			if (query.outcome == NEVER_SENT) {
				EXPECT_EQ(-ENODEV, query.status);
				EXPECT_EQ(0, query.bytes);
				never++;
			} else {
				EXPECT_EQ(0, query.status);
				EXPECT_EQ(DONE, query.outcome);
			}
		}
		ASSERT_EQ(0, target_start(self->fd));
	}
	TH_LOG("%u of %u were never sent", never, 50 * 60);
}

TEST_F(state, f56_unknown_actions)
{
	static const unsigned int actions[] = { 0, 4, 255, 0xffffffff };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		EXPECT_EQ(-EINVAL, target_stop(self->fd, actions[i], 1000,
					       NULL));
		EXPECT_EQ(STARTED, target_state(self->fd));
	}
	EXPECT_EQ(-EINVAL, target_purge(self->fd, 0, 1000, NULL));
	EXPECT_EQ(-EINVAL, target_purge(self->fd, 3, 1000, NULL));
	EXPECT_EQ(STARTED, target_state(self->fd));
}

TEST_F(state, huge_timeouts)
{
	const unsigned int ms = MAX_TIMEOUT_MS + 1;
	struct iotarget_test_transfer out;

	late_calls_excused(true);
	EXPECT_EQ(-EINVAL, target_stop(self->fd, WAIT_FOR_SENT, ms, NULL));
	EXPECT_EQ(-EINVAL, target_stop(self->fd, CANCEL_SENT, ms, NULL));
	EXPECT_EQ(-EINVAL, target_purge(self->fd, PURGE_AND_WAIT, ms, NULL));
	EXPECT_EQ(-EINVAL, target_start_and_wait(self->fd, ms, NULL));
	EXPECT_EQ(-EINVAL, target_close(self->fd, ms, NULL));
	EXPECT_EQ(-EINVAL, target_close_query(self->fd, ms, NULL));
	EXPECT_EQ(-EINVAL, target_delete(self->fd, ms, NULL));
	EXPECT_EQ(-EINVAL, target_read(self->fd, 0, 4096, ms, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
	EXPECT_EQ(-EINVAL, target_write(self->fd, 0, 4096, ms, NULL));
	EXPECT_EQ(-EINVAL, target_flush(self->fd, ms, NULL));
	EXPECT_EQ(0, request_read(self->fd, 0, 0, 4096));
	EXPECT_EQ(-EINVAL, request_wait(self->fd, 0, ms));
	EXPECT_EQ(-EINVAL, request_send(self->fd, 0, SEND_TIMEOUT, ms));
	/* The forms with a limit have no "for ever", nor a zero. */
	EXPECT_EQ(-EINVAL, target_read(self->fd, 0, 4096, FOREVER, NULL));
	EXPECT_EQ(-EINVAL, target_read(self->fd, 0, 4096, 0, NULL));
	EXPECT_EQ(-EINVAL, target_flush(self->fd, 0, NULL));
	late_calls_excused(false);
	EXPECT_EQ(STARTED, target_state(self->fd));
	/* And the longest that is allowed is allowed. */
	EXPECT_EQ(0, target_read(self->fd, 0, 4096, MAX_TIMEOUT_MS, NULL));
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, MAX_TIMEOUT_MS,
				 NULL));
	EXPECT_EQ(0, target_start_and_wait(self->fd, FOREVER, NULL));
}

struct negative {
	const char	*what;
	unsigned int	number;
	int		expected;
};

#define NEG(_what, _expected) { #_what, IOTARGET_TEST_NEG_##_what, _expected }

TEST_F(state, null_and_wrong_arguments)
{
	static const struct negative calls[] = {
		NEG(CREATE_NULL, -EINVAL), NEG(CREATE_NO_NAME, -EINVAL),
		NEG(CREATE_EMPTY_NAME, -EINVAL),
		NEG(CREATE_LONG_NAME, -EINVAL),
		NEG(CREATE_UPPER_CASE, -EINVAL), NEG(CREATE_SLASH, -EINVAL),
		NEG(CREATE_FLAGS, -EINVAL), NEG(CREATE_RESERVED, -EINVAL),
		NEG(CREATE_OPS_RESERVED, -EINVAL),
		NEG(ABI_NULL, -ENOEXEC), NEG(ABI_GENERATION, -ENOEXEC),
		NEG(ABI_ABI_SIZE, -ENOEXEC), NEG(ABI_CREATE_SIZE, -ENOEXEC),
		NEG(ABI_OPS_SIZE, -ENOEXEC), NEG(ABI_OPEN_SIZE, -ENOEXEC),
		NEG(ABI_REQUEST_SIZE, -ENOEXEC), NEG(ABI_SEND_SIZE, -ENOEXEC),
		NEG(ABI_INFO_SIZE, -ENOEXEC),
		NEG(NULL_OPEN, -EINVAL), NEG(NULL_OPEN_PARAMS, -EINVAL),
		NEG(NULL_CLOSE, -EINVAL), NEG(NULL_QUERY_REMOVE, -EINVAL),
		NEG(NULL_START, -EINVAL), NEG(NULL_START_AND_WAIT, -EINVAL),
		NEG(NULL_STOP, -EINVAL), NEG(NULL_PURGE, -EINVAL),
		NEG(NULL_DELETE, -EINVAL), NEG(NULL_GET_STATE, UNDEFINED),
		NEG(NULL_GET_INFO, -EINVAL), NEG(NULL_INFO, -EINVAL),
		NEG(NULL_READ, -EINVAL), NEG(NULL_READ_DATA, -EINVAL),
		NEG(NULL_WRITE, -EINVAL), NEG(NULL_FLUSH, -EINVAL),
		NEG(NULL_FORMAT_TARGET, -EINVAL),
		NEG(NULL_FORMAT_REQUEST, -EINVAL),
		NEG(NULL_SEND_TARGET, -EINVAL),
		NEG(NULL_SEND_REQUEST, -EINVAL), NEG(NULL_WAIT, -EINVAL),
		NEG(NULL_REUSE, -EINVAL), NEG(NULL_FREE, 0),
		NEG(NULL_CANCEL, 0), NEG(UNFORMATTED, -EINVAL),
		NEG(BUFFER_TYPE, -EINVAL), NEG(BVEC_SHORT, -EINVAL),
		NEG(ITER_USER, -EINVAL),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		EXPECT_EQ(calls[i].expected,
			  target_negative(self->fd, calls[i].number))
			TH_LOG("%s", calls[i].what);
		EXPECT_EQ(STARTED, target_state(self->fd));
	}
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(-EINVAL, target_negative(self->fd,
					   IOTARGET_TEST_NEG_NULL_OPEN_FILE));
}

TEST_F(state, f57_waiting_in_atomic_context)
{
	static const struct negative calls[] = {
		NEG(ATOMIC_READ, -EWOULDBLOCK), NEG(ATOMIC_WRITE, -EWOULDBLOCK),
		NEG(ATOMIC_FLUSH, -EWOULDBLOCK),
		NEG(ATOMIC_READ_FOREVER, -EWOULDBLOCK),
		NEG(ATOMIC_OPEN, -EWOULDBLOCK),
	};
	static const struct {
		unsigned int op, action;
		int expected;
	} controls[] = {
		{ IOTARGET_TEST_START_AND_WAIT, 0, -EWOULDBLOCK },
		{ IOTARGET_TEST_STOP, CANCEL_SENT, -EWOULDBLOCK },
		{ IOTARGET_TEST_STOP, WAIT_FOR_SENT, -EWOULDBLOCK },
		{ IOTARGET_TEST_PURGE, PURGE_AND_WAIT, -EWOULDBLOCK },
		{ IOTARGET_TEST_CLOSE, 0, -EWOULDBLOCK },
		{ IOTARGET_TEST_CLOSE_FOR_QUERY_REMOVE, 0, -EWOULDBLOCK },
		{ IOTARGET_TEST_DELETE, 0, -EWOULDBLOCK },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		EXPECT_EQ(calls[i].expected,
			  target_negative(self->fd, calls[i].number))
			TH_LOG("%s", calls[i].what);
		EXPECT_EQ(STARTED, target_state(self->fd));
	}
	for (i = 0; i < ARRAY_SIZE(controls); i++) {
		struct iotarget_test_control arg = {
			.op = controls[i].op, .action = controls[i].action,
			.timeout_ms = 1000, .bits = IOTARGET_TEST_ATOMIC,
		};

		EXPECT_EQ(controls[i].expected, target_control(self->fd, &arg))
			TH_LOG("control %u", i);
		EXPECT_EQ(STARTED, target_state(self->fd));
	}
}

static int atomic_control(int fd, unsigned int op, unsigned int action)
{
	struct iotarget_test_control arg = {
		.op = op, .action = action, .bits = IOTARGET_TEST_ATOMIC,
	};

	return target_control(fd, &arg);
}

TEST_F(state, f57_not_waiting_in_atomic_context)
{
	struct iotarget_test_send send = {
		.flags = SEND_ATOMIC, .bits = IOTARGET_TEST_ATOMIC,
		.other_fd = -1,
	};
	unsigned int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, atomic_control(self->fd, IOTARGET_TEST_STOP,
					    LEAVE_SENT_PENDING));
		EXPECT_EQ(STOPPED, target_state(self->fd));
		ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
		ASSERT_EQ(0, request_send_raw(self->fd, &send));
		EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
		ASSERT_EQ(0, atomic_control(self->fd, IOTARGET_TEST_START, 0));
		EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
		EXPECT_EQ(0, request_query(self->fd, 0).status);
		/* Sent from there while started: a worker submits it. */
		ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
		ASSERT_EQ(0, request_send_raw(self->fd, &send));
		EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
		ASSERT_EQ(0, atomic_control(self->fd, IOTARGET_TEST_PURGE,
					    PURGE_NO_WAIT));
		EXPECT_EQ(PURGED, target_state(self->fd));
		ASSERT_EQ(0, atomic_control(self->fd, IOTARGET_TEST_START, 0));
	}
	/* Without saying so, such a send is refused. */
	send.flags = 0;
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	EXPECT_EQ(-EWOULDBLOCK, request_send_raw(self->fd, &send));
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
}

TEST_HARNESS_MAIN
