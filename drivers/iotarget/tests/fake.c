// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device for unit tests: a backend whose completions the test holds.
 *
 * It comes in two kinds, one that can cancel, like USB, and one that can't,
 * like a disk.  Byte N of it always reads as fake_byte(N), and what is written
 * there must be that.
 *
 * Context: as the backend's functions.  Lock: fake->lock, irq-safe.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "fake.h"

/* A request that is with the device. */
struct fake_io {
	struct list_head	node;
	struct iotarget_request	*req;
};

static void fake_complete(struct iotarget *target, struct iotarget_request *req,
			  void *context);

/* Requests of iotarget_read() and the like come without one. */
static struct fake_req *to_fake_req(struct iotarget_request *req)
{
	return req->complete == fake_complete ?
	       container_of(req, struct fake_req, req) : NULL;
}

/* What stands at a position. */
u8 fake_byte(u64 pos)
{
	return pos * 7 + (pos >> 8) + 1;
}

static void transfer(struct fake *fake, struct iotarget_request *req)
{
	struct iov_iter iter = req->iter;
	u64 pos;
	u8 byte;

	for (pos = req->pos; pos < req->pos + req->len; pos++) {
		byte = fake_byte(pos);
		if (req->type == IOTARGET_REQ_READ ?
		    !copy_to_iter(&byte, 1, &iter) :
		    !copy_from_iter(&byte, 1, &iter) || byte != fake_byte(pos))
			fake->bad_bytes++;
	}
}

static void give_back(struct fake *fake, struct iotarget_request *req,
		      int status)
{
	if (!status && (req->type == IOTARGET_REQ_READ ||
			req->type == IOTARGET_REQ_WRITE))
		transfer(fake, req);
	iotarget_request_done(req, status, IOTARGET_DONE,
			      status ? 0 : req->len);
}

static int fake_op_open(struct iotarget_inst *inst,
			const struct iotarget_open *how)
{
	struct fake *fake = how->data;

	WRITE_ONCE(fake->opening, fake->opening + 1);
	if (fake->open_gate)
		wait_for_completion(fake->open_gate);
	if (fake->open_error)
		return fake->open_error;
	inst->backend = fake;
	fake->opens++;
	return 0;
}

static void fake_op_release(struct iotarget_inst *inst)
{
	struct fake *fake = inst->backend;

	if (fake->release_gate)
		wait_for_completion(fake->release_gate);
	fake->releases++;
}

static int fake_op_check(struct iotarget_inst *inst,
			 struct iotarget_request *req)
{
	struct fake *fake = inst->backend;

	return fake->check_error;
}

static void fake_op_submit(struct iotarget_inst *inst,
			   struct iotarget_request *req)
{
	struct fake *fake = inst->backend;
	struct fake_req *fr = to_fake_req(req);
	struct fake_io *io = NULL;
	unsigned long flags;

	WRITE_ONCE(fake->entered, fake->entered + 1);
	if (fake->submit_gate)
		wait_for_completion(fake->submit_gate);
	if (READ_ONCE(fake->hold))
		io = kzalloc(sizeof(*io), GFP_NOIO);

	spin_lock_irqsave(&fake->lock, flags);
	fake->submitted++;
	if (fr)
		fr->submit_seq = fake->submitted;
	if (io) {
		io->req = req;
		list_add_tail(&io->node, &fake->held);
	} else {
		fake->answered++;
	}
	spin_unlock_irqrestore(&fake->lock, flags);
	if (!io)
		give_back(fake, req, 0);
}

/* Take a request, or the oldest one, from those that are held. */
static struct iotarget_request *take(struct fake *fake,
				     const struct iotarget_request *wanted)
{
	struct iotarget_request *req = NULL;
	struct fake_io *io, *found = NULL;
	unsigned long flags;

	spin_lock_irqsave(&fake->lock, flags);
	list_for_each_entry(io, &fake->held, node) {
		if (!wanted || io->req == wanted) {
			found = io;
			break;
		}
	}
	if (found) {
		list_del(&found->node);
		fake->answered++;
		req = found->req;
	}
	spin_unlock_irqrestore(&fake->lock, flags);
	kfree(found);
	return req;
}

static void fake_op_cancel(struct iotarget_inst *inst,
			   struct iotarget_request *req)
{
	struct fake *fake = inst->backend;
	struct fake_req *fr = to_fake_req(req);
	unsigned long flags;

	spin_lock_irqsave(&fake->lock, flags);
	fake->cancels++;
	if (fr)
		fr->cancel_seq = fake->cancels;
	spin_unlock_irqrestore(&fake->lock, flags);
	if (!fake->stubborn && take(fake, req))
		iotarget_request_done(req, -ECANCELED, IOTARGET_UNKNOWN, 0);
}

static const struct iotarget_backend_ops fake_disk_ops = {
	.name		= "fake-disk",
	.open		= fake_op_open,
	.release	= fake_op_release,
	.check		= fake_op_check,
	.submit		= fake_op_submit,
};

static const struct iotarget_backend_ops fake_usb_ops = {
	.name		= "fake-usb",
	.open		= fake_op_open,
	.release	= fake_op_release,
	.check		= fake_op_check,
	.submit		= fake_op_submit,
	.cancel		= fake_op_cancel,
};

void fake_init(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	spin_lock_init(&fake->lock);
	INIT_LIST_HEAD(&fake->held);
}

/* A lost device is back, as @fake, whichever was lost. */
int fake_return(struct iotarget *target, struct fake *fake)
{
	const struct iotarget_open how = { .data = fake };
	struct iotarget_inst *inst;
	int ret;

	__module_get(target->ops->owner);
	inst = iotarget_inst_alloc(iotarget_get(target), &fake_usb_ops);
	if (!inst) {
		iotarget_put(target);
		module_put(target->ops->owner);
		return -ENOMEM;
	}
	iotarget_inst_began(target);
	kref_get(&inst->kref);
	ret = inst->ops->open(inst, &how) ?:
	      iotarget_gate_returned(target, inst, 0);
	if (ret) {
		inst->ops->release(inst);
		iotarget_inst_finished(target, inst);
		iotarget_inst_discard(inst);
	}
	iotarget_inst_put(inst);
	return ret;
}

int fake_open_timeout(struct iotarget *target, struct fake *fake,
		      bool can_cancel, unsigned int timeout_ms)
{
	const struct iotarget_open how = { .data = fake };

	return iotarget_open_backend(target, can_cancel ? &fake_usb_ops :
							  &fake_disk_ops,
				     &how, NULL, timeout_ms);
}

int fake_open(struct iotarget *target, struct fake *fake, bool can_cancel)
{
	return fake_open_timeout(target, fake, can_cancel, FAKE_LONG_MS);
}

/* Answer the oldest request that is held; false if there is none. */
bool fake_answer(struct fake *fake, int status)
{
	struct iotarget_request *req = take(fake, NULL);

	if (req)
		give_back(fake, req, status);
	return req;
}

/* Answer this request; false if it is not held. */
bool fake_answer_req(struct fake *fake, struct iotarget_request *req,
		     int status)
{
	if (!take(fake, req))
		return false;
	give_back(fake, req, status);
	return true;
}

unsigned int fake_answer_all(struct fake *fake, int status)
{
	unsigned int n = 0;

	while (fake_answer(fake, status))
		n++;
	return n;
}

unsigned int fake_nr_held(struct fake *fake)
{
	unsigned int n;

	spin_lock_irq(&fake->lock);
	n = list_count_nodes(&fake->held);
	spin_unlock_irq(&fake->lock);
	return n;
}

static void fake_complete(struct iotarget *target, struct iotarget_request *req,
			  void *context)
{
	struct fake_req *fr = context;

	fr->callbacks++;
	fr->status = iotarget_request_status(req);
	fr->outcome = iotarget_request_outcome(req);
	fr->bytes = iotarget_request_bytes(req);
	if (fr->on_complete)
		fr->on_complete(target, fr);
}

void fake_req_init(struct fake_req *fr, struct fake *fake, unsigned int index)
{
	memset(fr, 0, sizeof(*fr));
	iotarget_request_init(&fr->req);
	fr->fake = fake;
	fr->index = index;
}

/* Format as a read of nothing, and set the callback. */
int fake_req_format(struct iotarget *target, struct fake_req *fr)
{
	int ret = iotarget_format_read(target, &fr->req, NULL, 0);

	return ret ?: iotarget_request_set_complete(&fr->req, fake_complete,
						    fr);
}

int fake_req_send(struct iotarget *target, struct fake_req *fr,
		  const struct iotarget_send_params *params)
{
	return fake_req_format(target, fr) ?:
	       iotarget_send(target, &fr->req, params);
}

/* With a timeout, it is one that no test lives to see. */
int fake_req_send_flags(struct iotarget *target, struct fake_req *fr, u32 flags)
{
	const struct iotarget_send_params params = {
		.flags = flags,
		.timeout_ms = flags & IOTARGET_SEND_TIMEOUT ? 3600 * 1000 : 0,
	};

	return fake_req_send(target, fr, &params);
}

struct iotarget *fake_target(const char *name)
{
	const struct iotarget_create_params params = { .name = name };

	return iotarget_create(&params);
}

/* Let the freeing of instances and targets come to its end. */
void fake_settle_all(void)
{
	rcu_barrier();
	flush_workqueue(iotarget_fast_wq);
	flush_workqueue(iotarget_slow_wq);
}

/* Let the workers do whatever there is to do. */
void fake_settle(struct iotarget *target)
{
	struct iotarget_inst *inst;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		fake_settle_all();
		inst = iotarget_inst_current(target);
		if (inst) {
			flush_work(&inst->drain);
			iotarget_inst_put(inst);
		}
	}
}

static void call_work(struct work_struct *work)
{
	struct fake_call *call = container_of(work, struct fake_call, work);

	call->ret = call->fn(call->arg);
	complete_all(&call->done);
}

/* Begin a call in another thread; @call is not on the stack. */
void fake_call_start(struct fake_call *call, int (*fn)(void *arg), void *arg)
{
	call->fn = fn;
	call->arg = arg;
	call->ret = -EINPROGRESS;
	init_completion(&call->done);
	INIT_WORK(&call->work, call_work);
	queue_work(system_unbound_wq, &call->work);
}

/* What it returned; -EINPROGRESS if it does not return. */
int fake_call_wait(struct fake_call *call)
{
	if (!wait_for_completion_timeout(&call->done,
					 msecs_to_jiffies(FAKE_LONG_MS)))
		return -EINPROGRESS;
	flush_work(&call->work);
	return call->ret;
}

static struct fake_test *fixture(struct kunit *test)
{
	struct fake_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	fake_init(&t->fake);
	init_completion(&t->gate);
	for (i = 0; i < FAKE_NR_REQS; i++)
		fake_req_init(&t->req[i], &t->fake, i);
	t->target = fake_target("test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->target));
	iotarget_get(t->target);
	test->priv = t;
	return t;
}

/* For suites: a target that is not open. */
int fake_closed_init(struct kunit *test)
{
	fixture(test);
	return 0;
}

/* For suites: a target on a device that can't cancel. */
int fake_disk_init(struct kunit *test)
{
	struct fake_test *t = fixture(test);

	return fake_open(t->target, &t->fake, false);
}

/* For suites: a target on a device that can cancel. */
int fake_usb_init(struct kunit *test)
{
	struct fake_test *t = fixture(test);

	return fake_open(t->target, &t->fake, true);
}

static bool all_over(struct fake_test *t)
{
	fake_answer_all(&t->fake, 0);
	return !READ_ONCE(t->target->gate.nr_insts);
}

/* A work may let go of the last instance after one settling has looked. */
static bool alone(struct fake_test *t)
{
	fake_settle_all();
	return kref_read(&t->target->refs) == 1;
}

/* For suites: end all, and look that nothing is left. */
void fake_exit(struct kunit *test)
{
	struct fake_test *t = test->priv;
	unsigned int i;

	if (!t)
		return;
	iotarget_hook_handler = NULL;
	t->fake.hold = false;
	complete_all(&t->gate);
	for (i = 0; i < ARRAY_SIZE(t->call); i++)
		if (t->call[i].fn)
			KUNIT_EXPECT_NE(test, fake_call_wait(&t->call[i]),
					-EINPROGRESS);
	if (!t->deleted)
		iotarget_delete(t->target, 0, NULL);
	KUNIT_EXPECT_TRUE(test, fake_until(all_over(t)));
	KUNIT_EXPECT_FALSE(test, READ_ONCE(t->target->gate.nr_failing));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->target->limbo), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->target->bounce_bytes), 0);
	KUNIT_EXPECT_EQ(test, t->fake.opens, t->fake.releases);
	KUNIT_EXPECT_EQ(test, t->fake.submitted, t->fake.answered);
	KUNIT_EXPECT_EQ(test, t->fake.bad_bytes, 0);
	/* Whatever had a reference, an instance above all, has let go of it. */
	KUNIT_EXPECT_TRUE(test, fake_until(alone(t)));
	iotarget_put(t->target);
	fake_settle_all();
}

/* The one hook of the test that is under way. */
static struct {
	enum iotarget_hook_point point;
	void			(*fn)(struct fake_test *t);
	struct fake_test	*t;
} hooked;

static void run_hook(enum iotarget_hook_point point, void *arg)
{
	if (point != hooked.point)
		return;
	iotarget_hook_handler = NULL;
	hooked.fn(hooked.t);
}

/* Call the function when the point is passed for the next time. */
void fake_hook(enum iotarget_hook_point point, void (*fn)(struct fake_test *t),
	       struct fake_test *t)
{
	hooked.point = point;
	hooked.fn = fn;
	hooked.t = t;
	iotarget_hook_handler = run_hook;
}
