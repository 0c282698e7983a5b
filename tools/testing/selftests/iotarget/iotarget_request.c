// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: formatting, the options of a send, callbacks, cancelling, sending
 * again, and every wrong use of them.
 */
#include <stdatomic.h>

#include "fixture.h"

FIXTURE(request) {
	int fd;
	char path[DEVICE_PATH];
};

FIXTURE_SETUP(request)
{
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->path, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	self->fd = target_opened("request-test", self->path);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(request)
{
	close(self->fd);
	ON_TIME();
}

static struct iotarget_test_format read_format(unsigned int slot, unsigned int bits)
{
	return (struct iotarget_test_format){
		.slot = slot, .type = IOTARGET_TEST_READ, .size = 4096,
		.memory = IOTARGET_TEST_MEM_KMALLOC, .bits = bits,
		.seed = SEED,
	};
}

TEST_F(request, f17_write_refused_on_a_target_for_reading)
{
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_READ,
				 SHARE_BOTH));
	EXPECT_EQ(-EACCES, request_write(self->fd, 0, 0, 4096));
	EXPECT_EQ(0, request_read(self->fd, 1, 0, 4096));
	EXPECT_EQ(0, request_flush(self->fd, 2));
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_WRITE,
				 SHARE_BOTH));
	EXPECT_EQ(-EACCES, request_read(self->fd, 0, 0, 4096));
	EXPECT_EQ(0, request_write(self->fd, 1, 0, 4096));
	EXPECT_EQ(0, request_flush(self->fd, 2));
}

TEST_F(request, f17_f33_another_targets_request)
{
	struct iotarget_test_send send = { .slot = 0 };
	int other;

	other = target_opened("request-other", self->path);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	send.other_fd = other;
	EXPECT_EQ(-EINVAL, request_send_raw(self->fd, &send));
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	/* It is still good for its own. */
	EXPECT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	close(other);
}

TEST_F(request, f17_no_format_when_closed)
{
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(-ESHUTDOWN, request_read(self->fd, 0, 0, 4096));
	EXPECT_EQ(-ESHUTDOWN, request_flush(self->fd, 0));
}

TEST_F(request, sent_after_a_reopen)
{
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(-ESHUTDOWN, request_send(self->fd, 0, 0, 0));
	ASSERT_EQ(0, target_reopen(self->fd));
	EXPECT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
}

TEST_F(request, f22_a_refused_send_can_be_repeated)
{
	ASSERT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, LONG_MS, NULL));
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	EXPECT_EQ(-ESHUTDOWN, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(-ESHUTDOWN, request_query(self->fd, 0).status);
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, 0).outcome);
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	ASSERT_EQ(0, target_start(self->fd));
	EXPECT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(1, request_query(self->fd, 0).callbacks);
}

TEST_F(request, f23_f34_sent_again_from_the_callback)
{
	struct iotarget_test_send send = { .other_fd = -1, .resends = 1000 };
	struct iotarget_test_query query;

	ASSERT_EQ(0, device_fill(self->path, 0, 4096, SEED));
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	ASSERT_EQ(0, request_send_raw(self->fd, &send));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1001, LONG_MS));
	query = request_query(self->fd, 0);
	EXPECT_EQ(1001, query.callbacks);
	EXPECT_EQ(1001, query.accepted);
	EXPECT_EQ(0, query.doubles);
	EXPECT_EQ(0, query.wrong);
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
}

TEST_F(request, f23_stop_and_purge_amid_sends_from_the_callback)
{
	struct iotarget_test_send send = { .other_fd = -1, .resends = 1000000000 };
	unsigned int i;
	struct iotarget_test_query query;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, request_read(self->fd, i, 0, 4096));
		send.slot = i;
		ASSERT_EQ(0, request_send_raw(self->fd, &send));
	}
	for (i = 0; i < 20; i++) {
		sleep_ms(5);
		ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
		ASSERT_EQ(0, target_start(self->fd));
	}
	/* The callback of a failed request sends again, and is refused. */
	ASSERT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, LONG_MS, NULL));
	for (i = 0; i < 8; i++) {
		query = request_query(self->fd, i);
		EXPECT_EQ(query.accepted, query.callbacks);
		EXPECT_EQ(0, query.doubles);
	}
}

TEST_F(request, f23_freed_by_its_callback)
{
	struct iotarget_test_format arg = read_format(0, IOTARGET_TEST_HEAP |
				      IOTARGET_TEST_FREE_IN_CALLBACK);

	ASSERT_EQ(0, request_format(self->fd, &arg));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	EXPECT_EQ(0, request_query(self->fd, 0).doubles);
}

TEST_F(request, f24_callback_must_be_set_again)
{
	struct iotarget_test_format arg = read_format(0, 0);

	ASSERT_EQ(0, request_format(self->fd, &arg));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	arg.bits = IOTARGET_TEST_KEEP | IOTARGET_TEST_NO_CALLBACK;
	ASSERT_EQ(0, request_format(self->fd, &arg));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(0, request_wait(self->fd, 0, LONG_MS));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
	EXPECT_EQ(1, request_query(self->fd, 0).callbacks);
}

TEST_F(request, f25_what_a_request_tells)
{
	struct iotarget_test_query query;

	ASSERT_EQ(0, request_write(self->fd, 0, 8192, 4096));
	query = request_query(self->fd, 0);
	EXPECT_EQ(IOTARGET_TEST_WRITE, query.type);
	EXPECT_EQ(8192, query.pos);
	EXPECT_EQ(OUTCOME_NONE, query.outcome);
	EXPECT_EQ(0, request_do(self->fd, 0, IOTARGET_TEST_REQUEST_REUSE, 0));
	query = request_query(self->fd, 0);
	EXPECT_EQ(0, query.type);
	EXPECT_EQ(-EINVAL, request_send(self->fd, 0, 0, 0));
}

struct mix {
	unsigned int	flags;
	unsigned int	ms;
	int64_t		deadline_ns;
	unsigned int	bits;
};

TEST_F(request, f26_bad_options)
{
	static const struct mix mixes[] = {
		{ 0x100, 0 }, { 0x80000000, 0 }, { ~0U, 0 },
		{ SEND_AND_FORGET | SEND_SYNCHRONOUS | SEND_WAIT_FOREVER },
		{ SEND_AND_FORGET | SEND_TIMEOUT, 1000 },
		{ SEND_AND_FORGET | SEND_IGNORE_STATE },
		{ SEND_AND_FORGET | SEND_DEADLINE, 0, 1000000000 },
		{ SEND_AND_FORGET | SEND_NOWAIT },
		{ SEND_AND_FORGET },	/* it has a callback, is embedded */
		{ SEND_SYNCHRONOUS },	/* without a limit */
		{ SEND_SYNCHRONOUS | SEND_TIMEOUT, 0 },
		{ SEND_SYNCHRONOUS | SEND_ATOMIC | SEND_TIMEOUT, 1000 },
		{ SEND_SYNCHRONOUS | SEND_WAIT_FOREVER | SEND_TIMEOUT, 1000 },
		{ SEND_TIMEOUT | SEND_DEADLINE, 1000, 1000000000 },
		{ SEND_WAIT_FOREVER },
		{ 0, 1000 },		/* a timeout without its flag */
		{ 0, 0, 1000000000 },	/* a deadline without its flag */
		{ SEND_TIMEOUT, MAX_TIMEOUT_MS + 1 },
		{ SEND_TIMEOUT, FOREVER },
		{ 0, 0, 0, IOTARGET_TEST_BAD_RESERVED },
	};
	unsigned int i;

	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	for (i = 0; i < ARRAY_SIZE(mixes); i++) {
		struct iotarget_test_send send = {
			.flags = mixes[i].flags, .timeout_ms = mixes[i].ms,
			.deadline_ns = mixes[i].deadline_ns,
			.bits = mixes[i].bits, .other_fd = -1,
		};

		EXPECT_EQ(-EINVAL, request_send_raw(self->fd, &send))
			TH_LOG("row %u, flags %#x", i, mixes[i].flags);
		EXPECT_EQ(STARTED, target_state(self->fd));
		EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	}
	EXPECT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
}

TEST_F(request, f26_no_parameters_are_the_usual_ones)
{
	struct iotarget_test_send send = {
		.other_fd = -1, .bits = IOTARGET_TEST_NULL_PARAMS,
	};

	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	EXPECT_EQ(0, request_send_raw(self->fd, &send));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
}

TEST_F(request, f27_send_and_forget)
{
	struct iotarget_test_format arg = {
		.type = IOTARGET_TEST_WRITE, .size = 4096, .seed = SEED,
		.memory = IOTARGET_TEST_MEM_KMALLOC,
		.bits = IOTARGET_TEST_HEAP | IOTARGET_TEST_NO_CALLBACK,
	};
	struct iotarget_test_send atomic = {
		.slot = 1, .flags = SEND_AND_FORGET | SEND_ATOMIC,
		.bits = IOTARGET_TEST_ATOMIC, .other_fd = -1,
	};
	unsigned int i;

	ASSERT_EQ(0, device_fill(self->path, 0, 8192, SEED + 1));
	ASSERT_EQ(0, request_format(self->fd, &arg));
	EXPECT_EQ(0, request_send(self->fd, 0, SEND_AND_FORGET, 0));
	arg.slot = 1;
	arg.pos = 4096;
	ASSERT_EQ(0, request_format(self->fd, &arg));
	EXPECT_EQ(0, request_send_raw(self->fd, &atomic));
	/* Nobody tells when it is done; until a worker has sent it, it is held. */
	for (i = 0; i < 100 && device_wrong(self->path, 0, 8192, SEED); i++)
		sleep_ms(10);
	EXPECT_EQ(0, device_wrong(self->path, 0, 8192, SEED));
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
}

TEST_F(request, f27_only_from_the_heap_without_a_callback)
{
	struct iotarget_test_format arg = read_format(0, IOTARGET_TEST_NO_CALLBACK);

	ASSERT_EQ(0, request_format(self->fd, &arg));
	EXPECT_EQ(-EINVAL, request_send(self->fd, 0, SEND_AND_FORGET, 0));
	arg.bits = IOTARGET_TEST_HEAP;
	ASSERT_EQ(0, request_format(self->fd, &arg));
	EXPECT_EQ(-EINVAL, request_send(self->fd, 0, SEND_AND_FORGET, 0));
}

TEST_F(request, f28_f30_synchronous)
{
	struct iotarget_test_query query;

	ASSERT_EQ(0, device_fill(self->path, 0, 4096, SEED));
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	EXPECT_EQ(0, request_send(self->fd, 0, SEND_SYNCHRONOUS | SEND_TIMEOUT,
				  LONG_MS));
	query = request_query(self->fd, 0);
	EXPECT_EQ(1, query.callbacks);
	EXPECT_EQ(0, query.wrong);
	EXPECT_EQ(DONE, query.outcome);
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	EXPECT_EQ(0, request_send(self->fd, 0,
				  SEND_SYNCHRONOUS | SEND_WAIT_FOREVER, 0));
}

TEST_F(request, f31_double_send_is_loud)
{
	int log = log_open();

	if (log < 0)
		SKIP(return, "cannot read /dev/kmsg");
	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	late_calls_excused(true);
	EXPECT_EQ(-EBUSY, request_send(self->fd, 0, 0, 0));
	late_calls_excused(false);
	EXPECT_EQ(1, log_count(log, "request-test: request sent while",
			       "outstanding"));
	close(log);
	ASSERT_EQ(0, target_start(self->fd));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(1, request_query(self->fd, 0).callbacks);
	EXPECT_EQ(0, request_query(self->fd, 0).doubles);
}

TEST_F(request, outstanding_requests_are_left_alone)
{
	struct iotarget_test_format arg = read_format(0, IOTARGET_TEST_HEAP);

	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, request_format(self->fd, &arg));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	late_calls_excused(true);
	arg.bits |= IOTARGET_TEST_KEEP;
	EXPECT_EQ(-EBUSY, request_format(self->fd, &arg));
	EXPECT_EQ(-EBUSY, request_do(self->fd, 0, IOTARGET_TEST_REQUEST_REUSE,
				     0));
	EXPECT_EQ(-EBUSY, request_do(self->fd, 0, IOTARGET_TEST_FREE, 0));
	late_calls_excused(false);
	ASSERT_EQ(0, target_start(self->fd));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
	EXPECT_EQ(0, request_do(self->fd, 0, IOTARGET_TEST_FREE, 0));
}

TEST_F(request, f59_cancel_of_a_held_request)
{
	struct iotarget_test_query query;
	unsigned int i;

	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, request_read(self->fd, i, 0, 4096));
		ASSERT_EQ(0, request_send(self->fd, i, 0, 0));
	}
	/* From the middle. */
	EXPECT_EQ(1, request_cancel(self->fd, 1));
	EXPECT_EQ(0, request_called_back(self->fd, 1, 1, LONG_MS));
	query = request_query(self->fd, 1);
	EXPECT_EQ(-ECANCELED, query.status);
	EXPECT_EQ(NEVER_SENT, query.outcome);
	EXPECT_EQ(0, query.bytes);
	EXPECT_EQ(0, query.touched);
	EXPECT_EQ(0, request_cancel(self->fd, 1));
	ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
	EXPECT_EQ(1, request_query(self->fd, 0).callbacks);
	EXPECT_EQ(1, request_query(self->fd, 1).callbacks);
	EXPECT_EQ(1, request_query(self->fd, 2).callbacks);
	EXPECT_EQ(0, request_query(self->fd, 2).status);
}

TEST_F(request, f59_cancel_in_atomic_context)
{
	struct iotarget_test_request arg = {
		.op = IOTARGET_TEST_CANCEL, .bits = IOTARGET_TEST_ATOMIC,
	};

	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	arg.head.size = sizeof(arg);
	arg.head.version = IOTARGET_TEST_VERSION;
	ASSERT_EQ(0, ioctl(self->fd, IOTARGET_TEST_IOC_REQUEST, &arg));
	EXPECT_EQ(1, arg.head.ret);
	EXPECT_EQ(-ECANCELED, request_query(self->fd, 0).status);
	arg.op = IOTARGET_TEST_WAIT;
	arg.timeout_ms = 1000;
	ASSERT_EQ(0, ioctl(self->fd, IOTARGET_TEST_IOC_REQUEST, &arg));
	EXPECT_EQ(-EWOULDBLOCK, arg.head.ret);
}

TEST_F(request, f61_the_latch)
{
	struct iotarget_test_format again = read_format(0, IOTARGET_TEST_KEEP);

	/* Cancelled before it was sent. */
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	EXPECT_EQ(0, request_cancel(self->fd, 0));
	EXPECT_EQ(-ECANCELED, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(0, request_query(self->fd, 0).callbacks);
	EXPECT_EQ(-ECANCELED, request_send(self->fd, 0, SEND_IGNORE_STATE, 0));
	/* Formatting does not lift it, only reuse does. */
	ASSERT_EQ(0, request_format(self->fd, &again));
	EXPECT_EQ(-ECANCELED, request_send(self->fd, 0, 0, 0));
	again.bits |= IOTARGET_TEST_REUSE;
	ASSERT_EQ(0, request_format(self->fd, &again));
	EXPECT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
	/* Cancelled after it completed. */
	EXPECT_EQ(0, request_cancel(self->fd, 0));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
	again.bits = IOTARGET_TEST_KEEP;
	ASSERT_EQ(0, request_format(self->fd, &again));
	EXPECT_EQ(-ECANCELED, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(1, request_query(self->fd, 0).callbacks);
}

struct racer {
	int		fd;
	atomic_bool	go;
	atomic_uint	round;		/* set by the sender */
	atomic_uint	cancelled;	/* the last one cancelled */
};

static void *cancel_all(void *data)
{
	struct racer *racer = data;

	while (racer->go)
		request_cancel(racer->fd, 0);
	return NULL;
}

TEST_F(request, f62_f63_f66_cancel_against_send_and_completion)
{
	struct racer racer = { .fd = self->fd, .go = true };
	unsigned int i, refused = 0, canceled = 0, done = 0, ms;
	struct iotarget_test_format arg = read_format(0, 0);
	pthread_t thread;
	struct iotarget_test_query query;
	int ret;

	ASSERT_EQ(0, request_format(self->fd, &arg));
	arg.bits = IOTARGET_TEST_KEEP | IOTARGET_TEST_REUSE;
	ASSERT_EQ(0, pthread_create(&thread, NULL, cancel_all, &racer));
	for (i = 0; i < 15 * cycles(); i++) {
		uint64_t before = request_query(self->fd, 0).callbacks;

		ms = i % 3 ? 0 : 1;
		ASSERT_EQ(0, request_format(self->fd, &arg));
		ret = request_send(self->fd, 0, ms ? SEND_TIMEOUT : 0, ms);
		if (ret) {
			/* The timer may be the one that came before the gate. */
			if (!ms || ret != -ETIMEDOUT)
				ASSERT_EQ(-ECANCELED, ret);
			refused++;
			EXPECT_EQ(before,
				  request_query(self->fd, 0).callbacks);
			continue;
		}
		ASSERT_EQ(0, request_called_back(self->fd, 0, before + 1,
						 LONG_MS));
		query = request_query(self->fd, 0);
		EXPECT_EQ(before + 1, query.callbacks);
		/* Also between the gate and the device, and by either. */
		if (query.status == -ECANCELED ||
		    (ms && query.status == -ETIMEDOUT))
			canceled++;
		else if (!query.status)
			done++;
	}
	racer.go = false;
	pthread_join(thread, NULL);
	TH_LOG("%u refused, %u cancelled, %u done", refused, canceled, done);
	EXPECT_EQ(15 * cycles(), refused + canceled + done);
	EXPECT_EQ(0, request_query(self->fd, 0).doubles);
}

static void *cancel_once_a_round(void *data)
{
	struct racer *racer = data;
	unsigned int round = 0, spin;

	while (racer->go) {
		if (racer->round == round)
			continue;
		round = racer->round;
		for (spin = 0; spin < round % 64 * 16; spin++)
			(void)racer->go;
		request_cancel(racer->fd, 0);
		racer->cancelled = round;
	}
	return NULL;
}

/* One cancel is enough, wherever it meets the send. */
TEST_F(request, f63_one_cancel_against_a_send_that_is_held)
{
	struct iotarget_test_format arg = read_format(0, 0);
	unsigned int round, refused = 0, canceled = 0;
	struct racer racer = { .fd = self->fd };
	struct iotarget_test_query query;
	uint64_t expected = 0;
	pthread_t thread;
	int ret;

	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, request_format(self->fd, &arg));
	arg.bits = IOTARGET_TEST_KEEP | IOTARGET_TEST_REUSE;
	racer.go = true;
	ASSERT_EQ(0, pthread_create(&thread, NULL, cancel_once_a_round,
				    &racer));
	for (round = 1; round <= 15 * cycles(); round++) {
		ASSERT_EQ(0, request_format(self->fd, &arg));
		racer.round = round;
		ret = request_send(self->fd, 0, 0, 0);
		while (racer.cancelled != round)
			;
		if (ret) {
			ASSERT_EQ(-ECANCELED, ret);
			refused++;
			continue;
		}
		ASSERT_EQ(0, request_called_back(self->fd, 0, ++expected,
						 LONG_MS));
		query = request_query(self->fd, 0);
		EXPECT_EQ(-ECANCELED, query.status);
		EXPECT_EQ(NEVER_SENT, query.outcome);
		canceled++;
	}
	racer.go = false;
	pthread_join(thread, NULL);
	TH_LOG("%u refused, %u cancelled", refused, canceled);
	EXPECT_EQ(expected, request_query(self->fd, 0).callbacks);
	EXPECT_EQ(0, request_query(self->fd, 0).doubles);
}

TEST_HARNESS_MAIN
