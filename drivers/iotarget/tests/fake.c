// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device for unit tests: a backend whose completions the test holds.
 *
 * It comes in two kinds, one that can cancel, like USB, and one that can't,
 * like a disk.
 *
 * Context: as the backend's functions.  Lock: fake->lock, irq-safe.
 */
#include <linux/slab.h>

#include "fake.h"

static struct fake_req *to_fake_req(struct iotarget_request *req)
{
	return container_of(req, struct fake_req, req);
}

static int fake_op_open(struct iotarget_inst *inst,
			const struct iotarget_open *how)
{
	struct fake *fake = how->data;

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
	unsigned long flags;
	bool hold;

	spin_lock_irqsave(&fake->lock, flags);
	fr->submit_seq = ++fake->submitted;
	hold = fake->hold;
	if (hold)
		list_add_tail(&fr->node, &fake->held);
	else
		fake->answered++;
	spin_unlock_irqrestore(&fake->lock, flags);
	if (!hold)
		iotarget_request_done(req, 0, IOTARGET_DONE, req->len);
}

static void fake_op_cancel(struct iotarget_inst *inst,
			   struct iotarget_request *req)
{
	struct fake *fake = inst->backend;
	struct fake_req *fr = to_fake_req(req);
	unsigned long flags;
	bool mine;

	spin_lock_irqsave(&fake->lock, flags);
	fake->cancels++;
	mine = !list_empty(&fr->node);
	if (mine) {
		list_del_init(&fr->node);
		fake->answered++;
	}
	spin_unlock_irqrestore(&fake->lock, flags);
	if (mine)
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

int fake_open_timeout(struct iotarget *target, struct fake *fake,
		      bool can_cancel, unsigned int timeout_ms)
{
	const struct iotarget_open how = { .data = fake };

	return iotarget_open_backend(target, can_cancel ? &fake_usb_ops :
							  &fake_disk_ops,
				     &how, timeout_ms);
}

int fake_open(struct iotarget *target, struct fake *fake, bool can_cancel)
{
	return fake_open_timeout(target, fake, can_cancel, 5000);
}

/* Answer the oldest request that is held; false if there is none. */
bool fake_answer(struct fake *fake, int status)
{
	struct fake_req *fr;
	unsigned long flags;

	spin_lock_irqsave(&fake->lock, flags);
	fr = list_first_entry_or_null(&fake->held, struct fake_req, node);
	if (fr) {
		list_del_init(&fr->node);
		fake->answered++;
	}
	spin_unlock_irqrestore(&fake->lock, flags);
	if (fr)
		iotarget_request_done(&fr->req, status, IOTARGET_DONE,
				      status ? 0 : fr->req.len);
	return fr;
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
	INIT_LIST_HEAD(&fr->node);
	fr->fake = fake;
	fr->index = index;
}

/* Format as a read of nothing, set the callback, send. */
int fake_req_send(struct iotarget *target, struct fake_req *fr,
		  const struct iotarget_send_params *params)
{
	int ret = iotarget_format_read(target, &fr->req, NULL, 0);

	if (ret)
		return ret;
	ret = iotarget_request_set_complete(&fr->req, fake_complete, fr);
	return ret ?: iotarget_send(target, &fr->req, params);
}

struct iotarget *fake_target(const char *name)
{
	const struct iotarget_create_params params = { .name = name };

	return iotarget_create(&params);
}
