// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of requests: formatting, options, ownership, reuse.
 *
 * The numbers F1 to F71 are rows of the feature checklist in
 * Documentation/driver-api/iotarget/kmdf.rst.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/slab.h>

#include "fake.h"

#define RESENDS	300

static void stop_leave(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, iotarget_stop(t->target,
					    IOTARGET_LEAVE_SENT_PENDING, 0,
					    NULL), 0);
}

/* F22 */
static void accepted_is_called_back_once(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 1);
	KUNIT_EXPECT_EQ(test, t->req[0].status, 0);
	KUNIT_EXPECT_EQ(test, t->req[0].outcome, IOTARGET_DONE);
}

/* F22: refused, not called back, the status is there, and it can be sent. */
static void refused_stays_with_the_sender(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct fake_req *fr = &t->req[0];

	KUNIT_ASSERT_EQ(test, fake_req_format(t->target, fr), 0);
	KUNIT_ASSERT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE, 0,
					     NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, &fr->req, NULL),
			-ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, fr->callbacks, 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_status(&fr->req), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, iotarget_request_outcome(&fr->req),
			IOTARGET_NEVER_SENT);
	KUNIT_ASSERT_EQ(test, iotarget_start_and_wait(t->target, FAKE_LONG_MS,
						      NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, &fr->req, NULL), 0);
	KUNIT_EXPECT_EQ(test, fr->callbacks, 1);
}

static void resend(struct iotarget *target, struct fake_req *fr)
{
	if (fr->callbacks < RESENDS)
		WARN_ON(fake_req_send_flags(target, fr, IOTARGET_SEND_ATOMIC));
}

/* F23: sent again from its own callback, over and over. */
static void callback_may_resend(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct fake_req *fr = &t->req[0];

	fr->on_complete = resend;
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, fr, NULL), 0);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(fr->callbacks) ==
					   RESENDS));
	KUNIT_EXPECT_EQ(test, t->fake.submitted, RESENDS);
}

static void free_it(struct iotarget *target, struct iotarget_request *req,
		    void *context)
{
	*(int *)context = iotarget_request_free(req);
}

/* F23 */
static void callback_may_free(struct kunit *test)
{
	struct iotarget_request *req = iotarget_request_alloc(GFP_KERNEL);
	struct fake_test *t = test->priv;
	int ret = 1;

	KUNIT_ASSERT_NOT_NULL(test, req);
	KUNIT_EXPECT_EQ(test, iotarget_format_flush(t->target, req), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_set_complete(req, free_it, &ret),
			0);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, req, NULL), 0);
	KUNIT_EXPECT_EQ(test, ret, 0);
}

static void reuse_it(struct iotarget *target, struct fake_req *fr)
{
	fr->index = iotarget_request_reuse(&fr->req);
}

/* F23 */
static void callback_may_reuse(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct fake_req *fr = &t->req[1];

	fr->on_complete = reuse_it;
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, fr, NULL), 0);
	KUNIT_EXPECT_EQ(test, fr->index, 0);
}

/* F24: a callback is for one send. */
static void callback_is_forgotten(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_request *req = &t->req[0].req;

	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_ASSERT_EQ(test, iotarget_format_flush(t->target, req), 0);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, req, NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_wait(req, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 1);
}

/* Without a callback, a wait tells the end. */
static void wait_without_a_callback(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_request *req = &t->req[0].req;

	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, iotarget_format_flush(t->target, req), 0);
	KUNIT_ASSERT_EQ(test, iotarget_send(t->target, req, NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_wait(req, FAKE_SHORT_MS),
			-ETIMEDOUT);
	fake_answer(&t->fake, -EIO);
	KUNIT_EXPECT_EQ(test, iotarget_request_wait(req, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_status(req), -EIO);
	KUNIT_EXPECT_EQ(test, iotarget_request_outcome(req), IOTARGET_DONE);
}

/* F25 */
static void tells_what_it_was_formatted_for(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_request *req = &t->req[0].req;
	struct iotarget_buffer buf;
	u8 data[64];

	buf = iotarget_buf(data, sizeof(data));
	KUNIT_EXPECT_EQ(test, iotarget_request_type(req), IOTARGET_REQ_NONE);
	KUNIT_ASSERT_EQ(test, iotarget_format_read(t->target, req, &buf, 4096),
			0);
	KUNIT_EXPECT_EQ(test, iotarget_request_type(req), IOTARGET_REQ_READ);
	KUNIT_EXPECT_EQ(test, iotarget_request_pos(req), 4096);
	KUNIT_ASSERT_EQ(test, iotarget_send(t->target, req, NULL), 0);
	KUNIT_ASSERT_EQ(test, iotarget_request_wait(req, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_bytes(req), sizeof(data));
	KUNIT_EXPECT_EQ(test, data[5], fake_byte(4096 + 5));
	KUNIT_ASSERT_EQ(test, iotarget_request_reuse(req), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_type(req), IOTARGET_REQ_NONE);
	KUNIT_EXPECT_EQ(test, iotarget_request_outcome(req),
			IOTARGET_OUTCOME_NONE);
	KUNIT_EXPECT_EQ(test, iotarget_request_bytes(req), 0);
}

/* F18 */
static void part_of_a_buffer(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_request *req = &t->req[0].req;
	struct iotarget_buffer buf;
	u8 data[64] = { };

	buf = iotarget_buf(data, sizeof(data));
	buf.offset = 16;
	buf.length = 8;
	KUNIT_ASSERT_EQ(test, iotarget_format_read(t->target, req, &buf, 0), 0);
	KUNIT_ASSERT_EQ(test, iotarget_send(t->target, req, NULL), 0);
	KUNIT_ASSERT_EQ(test, iotarget_request_wait(req, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_bytes(req), 8);
	KUNIT_EXPECT_EQ(test, data[15], 0);
	KUNIT_EXPECT_EQ(test, data[16], fake_byte(0));
	KUNIT_EXPECT_EQ(test, data[23], fake_byte(7));
	KUNIT_EXPECT_EQ(test, data[24], 0);
	buf.length = 0;		/* the rest */
	KUNIT_ASSERT_EQ(test, iotarget_format_read(t->target, req, &buf, 0), 0);
	KUNIT_ASSERT_EQ(test, iotarget_send(t->target, req, NULL), 0);
	KUNIT_ASSERT_EQ(test, iotarget_request_wait(req, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_bytes(req), 48);
}

struct bad_buffer {
	const char		*what;
	int			error;
	struct iotarget_buffer	buf;
};

static u8 some_data[64];

static const struct bad_buffer bad_buffers[] = {
	{ "offset past the end", -EOVERFLOW,
	  { .type = IOTARGET_BUF_KERNEL, .data = some_data, .size = 64,
	    .offset = 65 } },
	{ "length past the end", -EOVERFLOW,
	  { .type = IOTARGET_BUF_KERNEL, .data = some_data, .size = 64,
	    .offset = 60, .length = 5 } },
	{ "offset plus length overflow", -EOVERFLOW,
	  { .type = IOTARGET_BUF_KERNEL, .data = some_data, .size = 64,
	    .offset = 8, .length = SIZE_MAX } },
	{ "no memory", -EINVAL,
	  { .type = IOTARGET_BUF_KERNEL, .size = 64 } },
	{ "no bvecs", -EINVAL,
	  { .type = IOTARGET_BUF_BVEC, .nr_bvecs = 1, .size = 64 } },
	{ "bvecs too short", -EINVAL,
	  { .type = IOTARGET_BUF_BVEC, .size = 64 } },
	{ "no iter", -EINVAL,
	  { .type = IOTARGET_BUF_ITER, .size = 64 } },
	{ "unknown type", -EINVAL,
	  { .type = 77, .data = some_data, .size = 64 } },
	{ "none with a size", -EINVAL,
	  { .type = IOTARGET_BUF_NONE, .size = 64 } },
};

static void buffer_name(const struct bad_buffer *b, char *desc)
{
	strscpy(desc, b->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bad_buffers, bad_buffers, buffer_name);

/* F18: refused, and then it can't be sent. */
static void bad_buffer_is_refused(struct kunit *test)
{
	const struct bad_buffer *b = test->param_value;
	struct fake_test *t = test->priv;
	struct iotarget_request *req = &t->req[0].req;

	KUNIT_EXPECT_EQ(test, iotarget_format_read(t->target, req, &b->buf, 0),
			b->error);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, req, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 0);
}

static void wrong_direction_is_refused(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct kvec kvec = { some_data, sizeof(some_data) };
	struct iotarget_buffer buf;
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_SOURCE, &kvec, 1, sizeof(some_data));
	buf = iotarget_buf_iter(&iter);
	KUNIT_EXPECT_EQ(test, iotarget_format_read(t->target, &t->req[0].req,
						   &buf, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_format_write(t->target, &t->req[0].req,
						    &buf, 0), 0);
}

/* F19 */
static void zero_length_is_sent(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].submit_seq, 1);
	KUNIT_EXPECT_EQ(test, t->req[0].bytes, 0);
	KUNIT_EXPECT_EQ(test, t->req[0].status, 0);
}

/* F17: what is closed refuses, and another target does. */
static void wrong_target_is_refused(struct kunit *test)
{
	struct iotarget *other = fake_target("other");
	struct fake_test *t = test->priv;
	struct iotarget_request *req = &t->req[0].req;

	KUNIT_ASSERT_FALSE(test, IS_ERR(other));
	KUNIT_EXPECT_EQ(test, iotarget_format_flush(other, req), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, iotarget_format_flush(t->target, req), 0);
	KUNIT_EXPECT_EQ(test, iotarget_send(other, req, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, req, NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_delete(other, FAKE_LONG_MS, NULL), 0);
}

/* Sent after a reopen, it is checked by the device that is open now. */
static void checked_again_after_a_reopen(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, fake_req_format(t->target, &t->req[0]), 0);
	KUNIT_ASSERT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	t->fake.check_error = -ERANGE;
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, &t->req[0].req, NULL),
			0);
	KUNIT_EXPECT_EQ(test, t->req[0].status, -ERANGE);
	KUNIT_EXPECT_EQ(test, t->req[0].outcome, IOTARGET_NEVER_SENT);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 0);
}

/* F31; the log gets a stack dump. */
static void double_send_is_loud(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_request *req = &t->req[0].req;

	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, req, NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, iotarget_format_flush(t->target, req), -EBUSY);
	KUNIT_EXPECT_EQ(test, iotarget_request_set_complete(req, NULL, NULL),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, iotarget_request_reuse(req), -EBUSY);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 1);
	KUNIT_EXPECT_EQ(test, iotarget_request_reuse(req), 0);
}

static void free_while_out_is_refused(struct kunit *test)
{
	struct iotarget_request *req = iotarget_request_alloc(GFP_KERNEL);
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, req);
	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, iotarget_format_flush(t->target, req), 0);
	KUNIT_ASSERT_EQ(test, iotarget_send(t->target, req, NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_free(req), -EBUSY);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_wait(req, FAKE_LONG_MS), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_free(req), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_free(NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_free(&t->req[0].req), -EINVAL);
}

struct bad_option {
	const char			*what;
	struct iotarget_send_params	params;
	bool				heap;
	bool				complete;
};

#define OPT(_o)	IOTARGET_SEND_##_o

static const struct bad_option bad_options[] = {
	{ "unknown flag", { .flags = 0x100 } },
	{ "reserved", { .reserved = { 0, 1 } } },
	{ "timeout and deadline",
	  { .flags = OPT(TIMEOUT) | OPT(DEADLINE), .timeout_ms = 5 } },
	{ "timeout and forever",
	  { .flags = OPT(SYNCHRONOUS) | OPT(TIMEOUT) | OPT(WAIT_FOREVER),
	    .timeout_ms = 5 } },
	{ "timeout without its flag", { .timeout_ms = 5 } },
	{ "deadline without its flag", { .deadline = 5 } },
	{ "timeout too long",
	  { .flags = OPT(TIMEOUT),
	    .timeout_ms = IOTARGET_TIMEOUT_MAX_MS + 1 } },
	{ "negative deadline", { .flags = OPT(DEADLINE), .deadline = -1 } },
	{ "deadline too far",
	  { .flags = OPT(DEADLINE), .deadline = KTIME_MAX } },
	{ "forget and synchronous",
	  { .flags = OPT(AND_FORGET) | OPT(SYNCHRONOUS) | OPT(WAIT_FOREVER) },
	  .heap = true },
	{ "forget and timeout",
	  { .flags = OPT(AND_FORGET) | OPT(TIMEOUT), .timeout_ms = 5 },
	  .heap = true },
	{ "forget and ignore state",
	  { .flags = OPT(AND_FORGET) | OPT(IGNORE_STATE) }, .heap = true },
	{ "forget and nowait",
	  { .flags = OPT(AND_FORGET) | OPT(NOWAIT) }, .heap = true },
	{ "forget an embedded one", { .flags = OPT(AND_FORGET) } },
	{ "forget with a callback", { .flags = OPT(AND_FORGET) },
	  .heap = true, .complete = true },
	{ "synchronous and atomic",
	  { .flags = OPT(SYNCHRONOUS) | OPT(ATOMIC) | OPT(TIMEOUT),
	    .timeout_ms = 5 } },
	{ "synchronous without a limit", { .flags = OPT(SYNCHRONOUS) } },
	{ "synchronous with timeout 0",
	  { .flags = OPT(SYNCHRONOUS) | OPT(TIMEOUT) } },
	{ "forever without synchronous", { .flags = OPT(WAIT_FOREVER) } },
	{ "nowait and ignore state",
	  { .flags = OPT(NOWAIT) | OPT(IGNORE_STATE) } },
};

static void option_name(const struct bad_option *o, char *desc)
{
	strscpy(desc, o->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bad_options, bad_options, option_name);

/* F26: refused, nothing sent, and the request is as it was. */
static void bad_option_is_refused(struct kunit *test)
{
	const struct bad_option *o = test->param_value;
	struct fake_test *t = test->priv;
	struct iotarget_request *req = &t->req[0].req;
	int ret = 1;

	if (o->heap)
		req = iotarget_request_alloc(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, req);
	KUNIT_EXPECT_EQ(test, iotarget_format_flush(t->target, req), 0);
	if (o->complete)
		iotarget_request_set_complete(req, free_it, &ret);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, req, &o->params),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 0);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, req, NULL), 0);
	if (!o->complete)
		KUNIT_EXPECT_EQ(test, iotarget_request_wait(req, FAKE_LONG_MS),
				0);
	if (o->heap && !o->complete)
		KUNIT_EXPECT_EQ(test, iotarget_request_free(req), 0);
}

static int send_and_forget(struct fake_test *t)
{
	const struct iotarget_send_params params = {
		.flags = IOTARGET_SEND_AND_FORGET,
	};
	struct iotarget_request *req = iotarget_request_alloc(GFP_KERNEL);
	int ret;

	if (!req)
		return -ENOMEM;
	ret = iotarget_format_flush(t->target, req);
	ret = ret ?: iotarget_send(t->target, req, &params);
	if (ret)
		iotarget_request_free(req);
	return ret;
}

/* F27: sent, held, failed or refused, nobody else frees it; kmemleak looks. */
static void send_and_forget_frees(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, send_and_forget(t), 0);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 1);
	stop_leave(test);
	KUNIT_EXPECT_EQ(test, send_and_forget(t), 0);
	KUNIT_EXPECT_EQ(test, t->target->gate.nr_pended, 1);
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE, 0,
					     NULL), 0);
	KUNIT_EXPECT_EQ(test, t->target->gate.nr_pended, 0);
	KUNIT_EXPECT_EQ(test, send_and_forget(t), -ESHUTDOWN);
}

static void nowait_does_not_hold(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct fake_req *fr = &t->req[0];

	KUNIT_EXPECT_EQ(test, fake_req_send_flags(t->target, fr,
						  IOTARGET_SEND_NOWAIT), 0);
	KUNIT_EXPECT_EQ(test, fr->callbacks, 1);
	stop_leave(test);
	KUNIT_EXPECT_EQ(test, fake_req_send_flags(t->target, fr,
						  IOTARGET_SEND_NOWAIT),
			-EAGAIN);
	KUNIT_EXPECT_EQ(test, fr->callbacks, 1);
	KUNIT_EXPECT_EQ(test, t->target->gate.nr_pended, 0);
}

static int send_with_irqs_off(struct fake_test *t, struct fake_req *fr,
			      u32 flags)
{
	unsigned long irq;
	int ret;

	local_irq_save(irq);
	ret = fake_req_send_flags(t->target, fr, flags);
	local_irq_restore(irq);
	return ret;
}

/* The worker gets stuck with a request, so that others wait for it. */
static void worker_is_stuck(struct kunit *test)
{
	const u32 flags = IOTARGET_SEND_ATOMIC | IOTARGET_SEND_IGNORE_STATE;
	struct fake_test *t = test->priv;

	t->fake.submit_gate = &t->gate;
	KUNIT_ASSERT_EQ(test, fake_req_send_flags(t->target, &t->req[1], flags),
			0);
	KUNIT_ASSERT_TRUE(test, fake_until(READ_ONCE(t->fake.entered)));
}

/* Design I4: whoever can't sleep says so, and a worker submits. */
static void atomic_send_is_submitted_by_a_worker(struct kunit *test)
{
	struct fake_test *t = test->priv;

	worker_is_stuck(test);
	KUNIT_EXPECT_EQ(test, send_with_irqs_off(t, &t->req[0], 0),
			-EWOULDBLOCK);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
	KUNIT_EXPECT_EQ(test, send_with_irqs_off(t, &t->req[0],
						 IOTARGET_SEND_ATOMIC), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].submit_seq, 0);
	KUNIT_EXPECT_EQ(test, t->target->gate.nr_pended, 1);
	complete_all(&t->gate);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->req[0].callbacks)));
	KUNIT_EXPECT_EQ(test, t->req[0].status, 0);
}

/* Past the state and without sleeping: a worker submits at once (F40). */
static void atomic_send_past_the_state(struct kunit *test)
{
	const u32 flags = IOTARGET_SEND_ATOMIC | IOTARGET_SEND_IGNORE_STATE;
	struct fake_test *t = test->priv;

	stop_leave(test);
	worker_is_stuck(test);
	KUNIT_EXPECT_EQ(test, send_with_irqs_off(t, &t->req[0], flags), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].submit_seq, 0);
	complete_all(&t->gate);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->req[0].callbacks)));
	KUNIT_EXPECT_EQ(test, t->req[0].status, 0);
	KUNIT_EXPECT_EQ(test, t->req[0].submit_seq, 2);
}

/* Handed off and not yet submitted, it can still be cancelled. */
static void handed_off_can_be_cancelled(struct kunit *test)
{
	const u32 flags = IOTARGET_SEND_ATOMIC | IOTARGET_SEND_IGNORE_STATE;
	struct fake_test *t = test->priv;
	struct fake_req *fr = &t->req[0];

	worker_is_stuck(test);
	KUNIT_EXPECT_EQ(test, fake_req_send_flags(t->target, fr, flags), 0);
	KUNIT_EXPECT_TRUE(test, iotarget_request_cancel(&fr->req));
	KUNIT_EXPECT_EQ(test, fr->callbacks, 1);
	KUNIT_EXPECT_EQ(test, fr->status, -ECANCELED);
	KUNIT_EXPECT_EQ(test, fr->outcome, IOTARGET_NEVER_SENT);
	complete_all(&t->gate);
	fake_settle(t->target);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 1);
	KUNIT_EXPECT_EQ(test, fr->submit_seq, 0);
}

static void expire_first(struct fake_test *t)
{
	iotarget_request_expire(&t->req[0].req);
}

/* Its time runs out on the way to the worker, which may be stuck elsewhere. */
static void handoff_sees_expiry(struct kunit *test)
{
	const u32 flags = IOTARGET_SEND_ATOMIC | IOTARGET_SEND_IGNORE_STATE;
	struct fake_test *t = test->priv;

	worker_is_stuck(test);
	fake_hook(IOTARGET_HOOK_REQ_SEND, expire_first, t);
	KUNIT_EXPECT_EQ(test, fake_req_send_flags(t->target, &t->req[0], flags),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 0);
}

static void null_is_refused(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_request *req = &t->req[0].req;

	KUNIT_EXPECT_EQ(test, iotarget_format_flush(NULL, req), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_format_flush(t->target, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_send(NULL, req, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, NULL, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_send(t->target, req, NULL), -EINVAL);
	KUNIT_EXPECT_FALSE(test, iotarget_request_cancel(NULL));
	KUNIT_EXPECT_EQ(test, iotarget_request_wait(NULL, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_request_reuse(NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_request_set_fua(NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_request_set_complete(NULL, NULL, NULL),
			-EINVAL);
}

static void only_a_write_takes_fua(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_request *req = &t->req[0].req;

	KUNIT_EXPECT_EQ(test, iotarget_request_set_fua(req), -EINVAL);
	KUNIT_ASSERT_EQ(test, iotarget_format_flush(t->target, req), 0);
	KUNIT_EXPECT_EQ(test, iotarget_request_set_fua(req), -EINVAL);
	KUNIT_ASSERT_EQ(test, iotarget_format_write(t->target, req, NULL, 0),
			0);
	KUNIT_EXPECT_EQ(test, iotarget_request_set_fua(req), 0);
	KUNIT_EXPECT_TRUE(test, req->fua);
	KUNIT_ASSERT_EQ(test, iotarget_format_write(t->target, req, NULL, 0),
			0);
	KUNIT_EXPECT_FALSE(test, req->fua);
}

static struct kunit_case request_cases[] = {
	KUNIT_CASE(accepted_is_called_back_once),
	KUNIT_CASE(refused_stays_with_the_sender),
	KUNIT_CASE(callback_may_resend),
	KUNIT_CASE(callback_may_free),
	KUNIT_CASE(callback_may_reuse),
	KUNIT_CASE(callback_is_forgotten),
	KUNIT_CASE(wait_without_a_callback),
	KUNIT_CASE(tells_what_it_was_formatted_for),
	KUNIT_CASE(part_of_a_buffer),
	KUNIT_CASE_PARAM(bad_buffer_is_refused, bad_buffers_gen_params),
	KUNIT_CASE(wrong_direction_is_refused),
	KUNIT_CASE(zero_length_is_sent),
	KUNIT_CASE(wrong_target_is_refused),
	KUNIT_CASE(checked_again_after_a_reopen),
	KUNIT_CASE(double_send_is_loud),
	KUNIT_CASE(free_while_out_is_refused),
	KUNIT_CASE_PARAM(bad_option_is_refused, bad_options_gen_params),
	KUNIT_CASE(send_and_forget_frees),
	KUNIT_CASE(nowait_does_not_hold),
	KUNIT_CASE(atomic_send_is_submitted_by_a_worker),
	KUNIT_CASE(atomic_send_past_the_state),
	KUNIT_CASE(handed_off_can_be_cancelled),
	KUNIT_CASE(handoff_sees_expiry),
	KUNIT_CASE(null_is_refused),
	KUNIT_CASE(only_a_write_takes_fua),
	{}
};

static struct kunit_suite request_suite = {
	.name		= "iotarget_request",
	.init		= fake_disk_init,
	.exit		= fake_exit,
	.test_cases	= request_cases,
};

kunit_test_suite(request_suite);
