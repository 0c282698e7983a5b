// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of targets: making and deleting them, opening and closing, bad
 * arguments, wrong contexts.
 *
 * The numbers F2 to F58 are rows of the feature checklist in
 * Documentation/driver-api/iotarget/kmdf.rst.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/device.h>
#include <kunit/test.h>

#include "fake.h"

static int delete(struct fake_test *t, unsigned int timeout_ms)
{
	int ret = iotarget_delete(t->target, timeout_ms, NULL);

	if (ret != -ESHUTDOWN)
		t->deleted = true;
	return ret;
}

struct bad_create {
	const char	*what;
	const char	*name;
	u32		flags;
	u64		reserved;
};

static const struct bad_create bad_creates[] = {
	{ "no name" },
	{ "empty name", "" },
	{ "upper case", "Disk" },
	{ "slash", "a/b" },
	{ "blank", "a b" },
	{ "32 characters", "abcdefghijklmnopqrstuvwxyz012345" },
	{ "unknown flags", "ok", .flags = BIT(30) },
	{ "reserved", "ok", .reserved = 1 },
};

static void create_name(const struct bad_create *c, char *desc)
{
	strscpy(desc, c->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bad_creates, bad_creates, create_name);

static void bad_create_is_refused(struct kunit *test)
{
	const struct bad_create *c = test->param_value;
	const struct iotarget_create_params params = {
		.name = c->name, .flags = c->flags,
		.reserved = { [3] = c->reserved },
	};

	KUNIT_EXPECT_EQ(test, PTR_ERR(iotarget_create(&params)), -EINVAL);
}

/* A caller compiled for another header is refused, whatever differs. */
static void wrong_abi_is_refused(struct kunit *test)
{
	const struct iotarget_create_params params = { .name = "abi" };
	const struct iotarget_abi ours = IOTARGET_ABI_INIT;
	struct iotarget_abi abi;
	unsigned int i;

	for (i = 0; i < sizeof(abi) / sizeof(u32); i++) {
		abi = ours;
		((u32 *)&abi)[i]++;
		KUNIT_EXPECT_EQ(test, PTR_ERR(__iotarget_create(&params, &abi)),
				-ENOEXEC);
	}
	KUNIT_EXPECT_EQ(test, PTR_ERR(__iotarget_create(&params, NULL)),
			-ENOEXEC);
	KUNIT_EXPECT_EQ(test, PTR_ERR(__iotarget_create(NULL, &ours)), -EINVAL);
}

/* F2, F11, F12, F58: made without I/O, reads as closed, and has no device. */
static void new_target_is_closed(struct kunit *test)
{
	char name[] = "abcdefghijklmnopqrstuvwxyz_-019";
	struct device *dev = kunit_device_register(test, "iotarget_owner");
	const struct iotarget_create_params params = {
		.name = name, .owner = dev, .priv = test,
	};
	struct iotarget *target = iotarget_create(&params);
	struct iotarget_info info;

	KUNIT_ASSERT_FALSE(test, IS_ERR(target));
	name[0] = 'x';		/* F4: copied */
	KUNIT_EXPECT_STREQ(test, iotarget_name(target),
			   "abcdefghijklmnopqrstuvwxyz_-019");
	KUNIT_EXPECT_PTR_EQ(test, iotarget_owner(target), dev);
	KUNIT_EXPECT_PTR_EQ(test, iotarget_priv(target), (void *)test);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(target), IOTARGET_CLOSED);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(NULL), IOTARGET_UNDEFINED);
	KUNIT_EXPECT_NULL(test, iotarget_get_bdev(target));
	KUNIT_EXPECT_NULL(test, iotarget_get_bdev(NULL));
	KUNIT_EXPECT_EQ(test, iotarget_get_info(target, &info), 0);
	KUNIT_EXPECT_EQ(test, info.state, IOTARGET_CLOSED);
	KUNIT_EXPECT_EQ(test, info.access, 0);
	KUNIT_EXPECT_EQ(test, info.capacity, 0);
	KUNIT_EXPECT_EQ(test, iotarget_get_info(target, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_get_info(NULL, &info), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_delete(target, FAKE_LONG_MS, NULL), 0);
}

static void numbers_are_never_given_twice(struct kunit *test)
{
	struct iotarget_info first, second;
	struct iotarget *target;

	target = fake_target("same");
	KUNIT_ASSERT_FALSE(test, IS_ERR(target));
	iotarget_get_info(target, &first);
	KUNIT_EXPECT_EQ(test, iotarget_delete(target, FAKE_LONG_MS, NULL), 0);
	target = fake_target("same");
	KUNIT_ASSERT_FALSE(test, IS_ERR(target));
	iotarget_get_info(target, &second);
	KUNIT_EXPECT_NE(test, first.id, second.id);
	KUNIT_EXPECT_EQ(test, iotarget_delete(target, FAKE_LONG_MS, NULL), 0);
}

/* What the owner's callbacks of one target saw, in their order. */
static struct {
	struct fake_req		*held;
	unsigned int		cleanups;
	unsigned int		destroys;
	bool			held_before;
	bool			could_sleep;
	bool			after_callback;
	unsigned int		untold;		/* destroyed before it was told */
} life;

static void life_cleanup(struct iotarget *target)
{
	life.cleanups++;
	life.held_before = !life.held->callbacks;
	life.could_sleep = preemptible();
}

static void life_destroy(void *priv)
{
	life.destroys++;
	life.could_sleep &= preemptible();
	life.after_callback = life.held->callbacks && priv == life.held;
}

static struct iotarget *life_target(struct fake_req *held)
{
	static const struct iotarget_ops ops = {
		.owner = THIS_MODULE,
		.cleanup = life_cleanup,
		.destroy = life_destroy,
	};
	const struct iotarget_create_params params = {
		.name = "life", .ops = &ops, .priv = held,
	};

	memset(&life, 0, sizeof(life));
	life.held = held;
	return iotarget_create(&params);
}

/* F13, F14: cleanup, then the I/O is failed, then destroy; each once. */
static void delete_in_its_order(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget *target = life_target(&t->req[0]);

	KUNIT_ASSERT_FALSE(test, IS_ERR(target));
	KUNIT_ASSERT_EQ(test, fake_open(target, &t->fake, false), 0);
	iotarget_stop(target, IOTARGET_LEAVE_SENT_PENDING, 0, NULL);
	KUNIT_ASSERT_EQ(test, fake_req_send(target, &t->req[0], NULL), 0);
	iotarget_get(target);
	KUNIT_EXPECT_EQ(test, iotarget_delete(target, FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, t->req[0].status, -ENODEV);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(target), IOTARGET_DELETED);
	KUNIT_EXPECT_EQ(test, iotarget_delete(target, FAKE_LONG_MS, NULL),
			-ESHUTDOWN);
	fake_settle(target);
	KUNIT_EXPECT_EQ(test, life.destroys, 0);
	iotarget_put(target);
	KUNIT_EXPECT_EQ(test, life.cleanups, 1);
	KUNIT_EXPECT_EQ(test, life.destroys, 1);
	KUNIT_EXPECT_TRUE(test, life.held_before);
	KUNIT_EXPECT_TRUE(test, life.could_sleep);
	KUNIT_EXPECT_TRUE(test, life.after_callback);
}

/* F16: what is out keeps the target, after its deletion and without us. */
static void request_outlives_the_target(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget *target = life_target(&t->req[0]);

	KUNIT_ASSERT_FALSE(test, IS_ERR(target));
	KUNIT_ASSERT_EQ(test, fake_open(target, &t->fake, false), 0);
	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, fake_req_send(target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_delete(target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	schedule_timeout_uninterruptible(3);
	KUNIT_EXPECT_EQ(test, life.destroys, 0);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(life.destroys)));
	KUNIT_EXPECT_TRUE(test, life.after_callback);
	KUNIT_EXPECT_TRUE(test, life.could_sleep);
	KUNIT_EXPECT_EQ(test, t->req[0].status, 0);
	KUNIT_EXPECT_EQ(test, t->fake.releases, 1);
}

static void destroy_if_it_may(struct fake_test *t)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		fake_settle_all();
	life.untold = life.destroys;
}

/* Nobody waits for it any more, and it may be a part of what destroy() frees. */
static void told_before_all_is_destroyed(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget *target = life_target(&t->req[0]);
	struct iotarget_request *req = &t->req[0].req;

	KUNIT_ASSERT_FALSE(test, IS_ERR(target));
	KUNIT_ASSERT_EQ(test, fake_open(target, &t->fake, false), 0);
	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, iotarget_format_read(target, req, NULL, 0), 0);
	KUNIT_ASSERT_EQ(test, iotarget_send(target, req, NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_delete(target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	life.untold = 1;
	fake_hook(IOTARGET_HOOK_REQ_TELL, destroy_if_it_may, t);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, life.untold, 0);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(life.destroys)));
	KUNIT_EXPECT_EQ(test, iotarget_request_wait(req, FAKE_LONG_MS), 0);
}

static void resend_late(struct iotarget *target, struct fake_req *fr)
{
	fr->index = -fake_req_send_flags(target, fr, IOTARGET_SEND_ATOMIC);
}

/* A callback that comes after the delete is refused when it sends again. */
static void no_resend_after_delete(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	t->fake.hold = true;
	t->req[0].on_complete = resend_late;
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, delete(t, 0), -ETIMEDOUT);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, t->req[0].index, ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, t->req[0].callbacks, 1);
}

/* F5: refused, and nothing is disturbed. */
static void open_twice_is_refused(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, fake_open(t->target, &t->fake, false), -EBUSY);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
	KUNIT_EXPECT_EQ(test, t->fake.opens, 1);
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, t->req[0].status, 0);
}

/* F6, F8 */
static void failed_open_leaves_it_closed(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.open_error = -ENXIO;
	KUNIT_EXPECT_EQ(test, fake_open(t->target, &t->fake, false), -ENXIO);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_CLOSED);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
	t->fake.open_error = 0;
	KUNIT_EXPECT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
}

/* A device that does not open: the caller is free, and so is the target. */
static void blocked_open_is_abandoned(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct fake other;

	fake_init(&other);
	t->fake.open_gate = &t->gate;
	KUNIT_EXPECT_EQ(test, fake_open_timeout(t->target, &t->fake, false,
						FAKE_SHORT_MS), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_CLOSED);
	KUNIT_EXPECT_EQ(test, fake_open(t->target, &other, false), 0);
	complete_all(&t->gate);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->fake.releases)));
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
	KUNIT_EXPECT_EQ(test, other.releases, 0);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, other.releases, 1);
}

/* The worker was first: then it is open, and nobody may say it is not. */
static void late_timeout_does_not_lie(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	KUNIT_EXPECT_NE(test, iotarget_gate_event(t->target,
						  IOTARGET_EV_OPEN_FAILED, NULL,
						  t->target->gate.opens, NULL),
			0);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
}

static int open_call(void *arg)
{
	struct fake_test *t = arg;

	return fake_open(t->target, &t->fake, false);
}

static void begin_open(struct kunit *test)
{
	struct fake_test *t = test->priv;

	t->fake.open_gate = &t->gate;
	fake_call_start(&t->call[0], open_call, t);
	KUNIT_ASSERT_TRUE(test, fake_until(READ_ONCE(t->fake.opening)));
}

/* What was abandoned comes while another open is under way. */
static void late_open_does_not_pass_for_a_new_one(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(late_gate);
	struct fake_test *t = test->priv;
	struct fake late;

	fake_init(&late);
	late.open_gate = &late_gate;
	KUNIT_EXPECT_EQ(test, fake_open_timeout(t->target, &late, false,
						FAKE_SHORT_MS), -ETIMEDOUT);
	begin_open(test);
	complete_all(&late_gate);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(late.releases)));
	KUNIT_EXPECT_EQ(test, fake_word(t->target), IOTARGET_W_OPENING);
	complete_all(&t->gate);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, 1);
	KUNIT_EXPECT_EQ(test, late.submitted, 0);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
}

/* F53: KMDF waits for the open to end; here it is abandoned. */
static void close_while_it_opens(struct kunit *test)
{
	struct fake_test *t = test->priv;

	begin_open(test);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	/* The opener does not have to wait for the device. */
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), -ECANCELED);
	KUNIT_EXPECT_EQ(test, t->fake.opens, 0);
	complete_all(&t->gate);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, t->fake.opens, 1);
	KUNIT_EXPECT_EQ(test, t->fake.releases, 1);
}

static void delete_while_it_opens(struct kunit *test)
{
	struct fake_test *t = test->priv;

	begin_open(test);
	KUNIT_EXPECT_EQ(test, delete(t, FAKE_SHORT_MS), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), -ECANCELED);
	complete_all(&t->gate);
	KUNIT_EXPECT_TRUE(test, fake_until(READ_ONCE(t->fake.releases)));
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_DELETED);
}

/* F53 */
static void close_twice_is_safe(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
	KUNIT_EXPECT_EQ(test, t->fake.releases, 1);
}

/* The second close waits for what the first one left behind. */
static void close_waits_for_earlier_ones(struct kunit *test)
{
	struct iotarget_info info;
	struct fake_test *t = test->priv;

	t->fake.release_gate = &t->gate;
	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	iotarget_get_info(t->target, &info);
	KUNIT_EXPECT_EQ(test, info.closing, 1);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_SHORT_MS, NULL),
			-ETIMEDOUT);
	complete_all(&t->gate);
	KUNIT_EXPECT_EQ(test, iotarget_close(t->target, FAKE_LONG_MS, NULL), 0);
	iotarget_get_info(t->target, &info);
	KUNIT_EXPECT_EQ(test, info.closing, 0);
}

/* F52 */
static void close_for_query_remove_is_told(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, iotarget_close_for_query_remove(t->target,
							      FAKE_LONG_MS,
							      NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_CLOSED);
	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	KUNIT_EXPECT_EQ(test, iotarget_close_for_query_remove(t->target,
							      FAKE_LONG_MS,
							      NULL), 0);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target),
			IOTARGET_CLOSED_FOR_QUERY_REMOVE);
	KUNIT_EXPECT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
}

/* F43, F50: KMDF starts a closed target and has no device (D1); we refuse. */
static void closed_target_refuses(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_wait_report report = { 1, 1, 1 };

	KUNIT_EXPECT_EQ(test, iotarget_start(t->target), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, iotarget_start_and_wait(t->target, 1, &report),
			-ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, report.sent + report.pended + report.oldest_ms,
			0);
	KUNIT_EXPECT_EQ(test, iotarget_stop(t->target, IOTARGET_WAIT_FOR_SENT,
					    1, NULL), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target, IOTARGET_PURGE, 0,
					     NULL), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_CLOSED);
	KUNIT_EXPECT_EQ(test, fake_req_send(t->target, &t->req[0], NULL),
			-ESHUTDOWN);
}

/* F56: unknown actions change nothing. */
static void unknown_actions_are_refused(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	KUNIT_EXPECT_EQ(test, iotarget_stop(t->target, 0, 1, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_stop(t->target, 4, 1, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target, 0, 1, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_purge(t->target, 3, 1, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
}

/* Calls that wait, each with the time that it is given. */
enum { STOP, STOP_CANCEL, PURGE, CLOSE, CLOSE_QUERY, START, DELETE, NR_WAITS };

static int waiting_call(struct iotarget *target, unsigned int which,
			unsigned int ms)
{
	switch (which) {
	case STOP:
		return iotarget_stop(target, IOTARGET_WAIT_FOR_SENT, ms, NULL);
	case STOP_CANCEL:
		return iotarget_stop(target, IOTARGET_CANCEL_SENT, ms, NULL);
	case PURGE:
		return iotarget_purge(target, IOTARGET_PURGE_AND_WAIT, ms,
				      NULL);
	case CLOSE:
		return iotarget_close(target, ms, NULL);
	case CLOSE_QUERY:
		return iotarget_close_for_query_remove(target, ms, NULL);
	case START:
		return iotarget_start_and_wait(target, ms, NULL);
	default:
		return iotarget_delete(target, ms, NULL);
	}
}

/* Refused before anything was done. */
static void huge_timeouts_are_refused(struct kunit *test)
{
	struct fake_test *t = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	for (i = 0; i < NR_WAITS; i++) {
		KUNIT_EXPECT_EQ(test,
				waiting_call(t->target, i,
					     IOTARGET_TIMEOUT_MAX_MS + 1),
				-EINVAL);
		KUNIT_EXPECT_EQ(test, waiting_call(NULL, i, 1), -EINVAL);
		KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target),
				IOTARGET_STARTED);
	}
}

/* F57: who can't sleep can't wait ... */
static void waits_with_irqs_off_are_refused(struct kunit *test)
{
	struct fake_test *t = test->priv;
	unsigned long irq;
	unsigned int i;
	int ret;

	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	for (i = 0; i < NR_WAITS; i++) {
		local_irq_save(irq);
		ret = waiting_call(t->target, i, IOTARGET_WAIT_FOREVER);
		local_irq_restore(irq);
		KUNIT_EXPECT_EQ(test, ret, -EWOULDBLOCK);
		KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target),
				IOTARGET_STARTED);
	}
	local_irq_save(irq);
	ret = iotarget_request_wait(&t->req[0].req, 1);
	local_irq_restore(irq);
	KUNIT_EXPECT_EQ(test, ret, -EWOULDBLOCK);
}

/* ... and all else may be called (F57). */
static void the_rest_works_with_irqs_off(struct kunit *test)
{
	struct fake_test *t = test->priv;
	struct iotarget_info info;
	int ret[4], callbacks;
	unsigned long irq;

	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	local_irq_save(irq);
	ret[0] = iotarget_stop(t->target, IOTARGET_LEAVE_SENT_PENDING, 0, NULL);
	ret[1] = fake_req_send_flags(t->target, &t->req[0],
				     IOTARGET_SEND_ATOMIC);
	iotarget_get_info(t->target, &info);
	ret[2] = iotarget_purge(t->target, IOTARGET_PURGE, 0, NULL);
	callbacks = t->req[0].callbacks;
	ret[3] = iotarget_start(t->target);
	iotarget_request_cancel(&t->req[1].req);
	local_irq_restore(irq);
	KUNIT_EXPECT_EQ(test, ret[0] | ret[1] | ret[2] | ret[3], 0);
	KUNIT_EXPECT_EQ(test, callbacks, 1);
	KUNIT_EXPECT_EQ(test, info.state, IOTARGET_STOPPED);
	KUNIT_EXPECT_EQ(test, info.pended, 1);
	KUNIT_EXPECT_EQ(test, iotarget_get_state(t->target), IOTARGET_STARTED);
}

static int forever_call(void *arg)
{
	struct fake_test *t = arg;

	return iotarget_close(t->target, IOTARGET_WAIT_FOREVER, NULL);
}

/* F71: what can't be cancelled is waited for. */
static void forever_waits_for_the_device(struct kunit *test)
{
	struct fake_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(t->target, &t->fake, false), 0);
	t->fake.hold = true;
	KUNIT_ASSERT_EQ(test, fake_req_send(t->target, &t->req[0], NULL), 0);
	fake_call_start(&t->call[0], forever_call, t);
	schedule_timeout_uninterruptible(5);
	KUNIT_EXPECT_FALSE(test, completion_done(&t->call[0].done));
	fake_answer_all(&t->fake, 0);
	KUNIT_EXPECT_EQ(test, fake_call_wait(&t->call[0]), 0);
	KUNIT_EXPECT_EQ(test, t->fake.releases, 1);
}

static struct kunit_case target_cases[] = {
	KUNIT_CASE_PARAM(bad_create_is_refused, bad_creates_gen_params),
	KUNIT_CASE(wrong_abi_is_refused),
	KUNIT_CASE(new_target_is_closed),
	KUNIT_CASE(numbers_are_never_given_twice),
	KUNIT_CASE(delete_in_its_order),
	KUNIT_CASE(request_outlives_the_target),
	KUNIT_CASE(told_before_all_is_destroyed),
	KUNIT_CASE(no_resend_after_delete),
	KUNIT_CASE(open_twice_is_refused),
	KUNIT_CASE(failed_open_leaves_it_closed),
	KUNIT_CASE(blocked_open_is_abandoned),
	KUNIT_CASE(late_timeout_does_not_lie),
	KUNIT_CASE(late_open_does_not_pass_for_a_new_one),
	KUNIT_CASE(close_while_it_opens),
	KUNIT_CASE(delete_while_it_opens),
	KUNIT_CASE(close_twice_is_safe),
	KUNIT_CASE(close_waits_for_earlier_ones),
	KUNIT_CASE(close_for_query_remove_is_told),
	KUNIT_CASE(closed_target_refuses),
	KUNIT_CASE(unknown_actions_are_refused),
	KUNIT_CASE(huge_timeouts_are_refused),
	KUNIT_CASE(waits_with_irqs_off_are_refused),
	KUNIT_CASE(the_rest_works_with_irqs_off),
	KUNIT_CASE(forever_waits_for_the_device),
	{}
};

static struct kunit_suite target_suite = {
	.name		= "iotarget_target",
	.init		= fake_closed_init,
	.exit		= fake_exit,
	.test_cases	= target_cases,
};

kunit_test_suite(target_suite);
