// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotarget_test.ko: numbered slots, each with a request, its memory and a
 * record of what became of it.
 *
 * Context: process context, but for the completion callback, which runs where
 * the device completes (hard interrupt included).  slot->mutex covers format,
 * reuse, cancel and free; a send holds bit 0 of slot->sending instead, since a
 * synchronous one may last and must be cancellable meanwhile.
 */
#include <linux/bitops.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/jiffies.h>
#include <linux/preempt.h>
#include <linux/slab.h>

#include "test_client.h"

static int slot_format(struct iotarget_test_slot *slot);

static int slot_send_again(struct iotarget *target,
			   struct iotarget_test_slot *slot)
{
	static const struct iotarget_send_params params = {
		.flags = IOTARGET_SEND_ATOMIC,
	};
	int ret;

	ret = iotarget_request_reuse(slot->req);
	if (!ret)
		ret = slot_format(slot);
	if (ret)
		return ret;
	atomic_inc(&slot->armed);
	ret = iotarget_send(target, slot->req, &params);
	if (ret) {
		atomic_dec(&slot->armed);
		return ret;
	}
	atomic64_inc(&slot->accepted);
	atomic64_inc(&iotarget_test_accepted);
	return 0;
}

static void slot_complete(struct iotarget *target,
			  struct iotarget_request *req, void *context)
{
	struct iotarget_test_slot *slot = context;
	struct iotarget_test_client *client = slot->client;

	atomic_inc(&client->running);
	slot->complete_seq = atomic64_inc_return(&client->seq);
	slot->callback_ns = ktime_to_ns(ktime_sub(ktime_get(), slot->sent_at));
	slot->status = iotarget_request_status(req);
	slot->outcome = iotarget_request_outcome(req);
	slot->bytes = iotarget_request_bytes(req);
	slot->in_irq = !!in_hardirq();
	if (slot->spin_us)
		mdelay(DIV_ROUND_UP(slot->spin_us, USEC_PER_MSEC));
	if (atomic_dec_if_positive(&slot->armed) < 0) {
		atomic64_inc(&slot->doubles);
		atomic64_inc(&iotarget_test_doubles);
	}
	atomic64_inc(&iotarget_test_completed);
	atomic64_inc(&slot->callbacks);
	if (slot->resends) {
		slot->resends--;
		if (slot_send_again(target, slot))
			slot->resends = 0;
	} else if (slot->bits & IOTARGET_TEST_FREE_IN_CALLBACK) {
		slot->req = NULL;
		iotarget_request_free(req);
	}
	wake_up_all(&slot->wait);
	atomic_dec(&client->running);
}

static int slot_format(struct iotarget_test_slot *slot)
{
	struct iotarget *target = slot->client->target;
	struct iotarget_buffer buf, *where = &buf;
	int ret;

	buf = iotarget_test_mem_buffer(&slot->mem);
	buf.offset = slot->offset;
	buf.length = slot->length;
	if (slot->bits & IOTARGET_TEST_NULL_BUFFER)
		where = NULL;
	if (slot->type == IOTARGET_TEST_READ)
		ret = iotarget_format_read(target, slot->req, where, slot->pos);
	else if (slot->type == IOTARGET_TEST_WRITE)
		ret = iotarget_format_write(target, slot->req, where,
					    slot->pos);
	else
		ret = iotarget_format_flush(target, slot->req);
	if (ret)
		return ret;
	if (slot->bits & IOTARGET_TEST_FUA)
		ret = iotarget_request_set_fua(slot->req);
	if (!ret && !(slot->bits & IOTARGET_TEST_NO_CALLBACK))
		ret = iotarget_request_set_complete(slot->req, slot_complete,
						    slot);
	return ret;
}

/* Sent, and not known to have come back. */
static bool slot_is_out(struct iotarget_test_slot *slot)
{
	if (slot->forgotten)
		return true;
	if (!(slot->bits & IOTARGET_TEST_NO_CALLBACK))
		return atomic_read(&slot->armed);
	if (!atomic64_read(&slot->accepted))
		return false;
	return iotarget_request_wait(slot->req, 0) == -ETIMEDOUT;
}

static void slot_free(struct iotarget_test_slot *slot)
{
	if (slot->req && slot->req != &slot->embedded)
		iotarget_request_free(slot->req);
	iotarget_test_mem_free(&slot->mem);
	kfree(slot);
}

/* At release, what is out stays; when the target has gone, nothing can be. */
void iotarget_test_slots_free(struct iotarget_test_client *client, bool all)
{
	struct iotarget_test_slot *slot;
	unsigned int i;

	for (i = 0; i < IOTARGET_TEST_SLOTS; i++) {
		slot = client->slots[i];
		if (!slot || (!all && slot_is_out(slot)))
			continue;
		client->slots[i] = NULL;
		slot_free(slot);
	}
}

static struct iotarget_test_slot *slot_find(struct iotarget_test_client *client,
					    u32 number)
{
	struct iotarget_test_slot *slot;

	if (number >= IOTARGET_TEST_SLOTS)
		return ERR_PTR(-EINVAL);
	mutex_lock(&client->lock);
	slot = client->slots[number];
	if (slot)
		atomic_inc(&slot->users);
	mutex_unlock(&client->lock);
	return slot ?: ERR_PTR(-ENOENT);
}

static void slot_put(struct iotarget_test_slot *slot)
{
	atomic_dec(&slot->users);
}

static struct iotarget_test_slot *
slot_new(struct iotarget_test_client *client,
	 const struct iotarget_test_format *arg)
{
	struct iotarget_test_slot *slot;
	int ret;

	slot = kzalloc(sizeof(*slot), GFP_KERNEL);
	if (!slot)
		return ERR_PTR(-ENOMEM);
	ret = iotarget_test_mem_init(&slot->mem, arg->memory, arg->size,
				     arg->type == IOTARGET_TEST_WRITE);
	if (ret) {
		kfree(slot);
		return ERR_PTR(ret);
	}
	slot->client = client;
	mutex_init(&slot->mutex);
	init_waitqueue_head(&slot->wait);
	if (arg->bits & IOTARGET_TEST_HEAP) {
		slot->req = iotarget_request_alloc(GFP_KERNEL);
		if (!slot->req) {
			slot_free(slot);
			return ERR_PTR(-ENOMEM);
		}
	} else {
		slot->req = &slot->embedded;
		iotarget_request_init(slot->req);
	}
	return slot;
}

/* A fresh slot takes the place of an idle one of the same number. */
static int slot_replace(struct iotarget_test_client *client,
			const struct iotarget_test_format *arg)
{
	struct iotarget_test_slot *slot, *old;

	slot = slot_new(client, arg);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	mutex_lock(&client->lock);
	old = client->slots[arg->slot];
	if (old && (atomic_read(&old->users) || slot_is_out(old))) {
		mutex_unlock(&client->lock);
		slot_free(slot);
		return -EBUSY;
	}
	client->slots[arg->slot] = slot;
	mutex_unlock(&client->lock);
	if (old)
		slot_free(old);
	return 0;
}

static void slot_take(struct iotarget_test_slot *slot,
		      const struct iotarget_test_format *arg)
{
	slot->type = arg->type;
	slot->bits = arg->bits;
	slot->offset = arg->offset;
	slot->length = arg->length;
	slot->pos = arg->pos;
	if (arg->type == IOTARGET_TEST_WRITE && arg->offset < slot->mem.size)
		iotarget_test_mem_fill(&slot->mem, arg->offset,
				       arg->length ?: slot->mem.size -
						      arg->offset,
				       arg->seed, arg->pos);
}

int iotarget_test_format_call(struct iotarget_test_client *client,
			      struct iotarget_test_format *arg)
{
	struct iotarget_test_slot *slot;
	bool out;
	int ret = 0;

	if (arg->slot >= IOTARGET_TEST_SLOTS ||
	    arg->type < IOTARGET_TEST_READ || arg->type > IOTARGET_TEST_FLUSH)
		return -EINVAL;
	if (!(arg->bits & IOTARGET_TEST_KEEP))
		ret = slot_replace(client, arg);
	if (ret)
		return ret;
	slot = slot_find(client, arg->slot);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	mutex_lock(&slot->mutex);
	if (!slot->req || test_and_set_bit_lock(0, &slot->sending)) {
		ret = -EBUSY;
		goto unlock;
	}
	out = slot_is_out(slot);
	if (arg->bits & IOTARGET_TEST_REUSE)
		ret = iotarget_request_reuse(slot->req);
	if (!out)
		slot_take(slot, arg);
	arg->head.ret = ret ?: slot_format(slot);
	ret = 0;
	clear_bit_unlock(0, &slot->sending);
unlock:
	mutex_unlock(&slot->mutex);
	slot_put(slot);
	return ret;
}

static int send_atomic(struct iotarget_test_client *client,
		       struct iotarget *target, struct iotarget_request *req,
		       const struct iotarget_send_params *params)
{
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&client->atomic, flags);
	ret = iotarget_send(target, req, params);
	spin_unlock_irqrestore(&client->atomic, flags);
	return ret;
}

static int slot_send(struct iotarget_test_slot *slot, struct iotarget *target,
		     struct iotarget_test_send *arg)
{
	struct iotarget_send_params params = {
		.flags = arg->flags,
		.timeout_ms = arg->timeout_ms,
	}, *where = &params;
	struct iotarget_test_client *client = slot->client;
	struct iotarget_request *req = slot->req;
	ktime_t start;

	if (arg->bits & IOTARGET_TEST_BAD_RESERVED)
		params.reserved[0] = 1;
	if (arg->bits & IOTARGET_TEST_NULL_PARAMS)
		where = NULL;
	if (!atomic_read(&slot->armed)) {
		slot->resends = arg->resends;
		slot->spin_us = arg->spin_us;
		slot->submit_seq = atomic64_inc_return(&client->seq);
		slot->sent_at = ktime_get();
	}
	atomic_inc(&slot->armed);
	start = ktime_get();
	if (arg->deadline_ns || (arg->flags & IOTARGET_SEND_DEADLINE))
		params.deadline = ktime_add_ns(start, arg->deadline_ns);
	if (arg->bits & IOTARGET_TEST_ATOMIC)
		arg->head.ret = send_atomic(client, target, req, where);
	else
		arg->head.ret = iotarget_send(target, req, where);
	arg->head.ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	return arg->head.ret;
}

/*
 * Was the send accepted?  An asynchronous one says so with 0.  A synchronous
 * one hands back the status of the request, whose callback has run by then or
 * (-EINPROGRESS) will; it was refused when nobody called back.
 */
static bool slot_was_accepted(struct iotarget_test_slot *slot, u32 flags,
			      int ret, u64 callbacks)
{
	if (!ret || ret == -EINPROGRESS)
		return true;
	if (!(flags & IOTARGET_SEND_SYNCHRONOUS))
		return false;
	return atomic64_read(&slot->callbacks) != callbacks;
}

int iotarget_test_send_call(struct iotarget_test_client *client,
			    struct iotarget_test_send *arg)
{
	struct iotarget *target = client->target;
	struct iotarget_test_slot *slot;
	struct file *file = NULL;
	u64 callbacks;
	int ret = 0;

	if (arg->spin_us > IOTARGET_TEST_MAX_SPIN_US)
		return -EINVAL;
	slot = slot_find(client, arg->slot);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if (arg->other_fd >= 0) {
		file = fget(arg->other_fd);
		target = file ? iotarget_test_peer(file) : NULL;
		ret = target ? 0 : -EBADF;
	}
	if (!ret && test_and_set_bit_lock(0, &slot->sending))
		ret = -EBUSY;
	if (ret)
		goto out;
	ret = -EBUSY;
	if (!slot->req)
		goto unlock;
	callbacks = atomic64_read(&slot->callbacks);
	ret = slot_send(slot, target, arg);
	if (slot_was_accepted(slot, arg->flags, ret, callbacks)) {
		atomic64_inc(&slot->accepted);
		atomic64_inc(&iotarget_test_accepted);
		if (slot->bits & IOTARGET_TEST_NO_CALLBACK) {
			atomic_dec(&slot->armed);
			atomic64_inc(&iotarget_test_completed);
		}
		if (arg->flags & IOTARGET_SEND_AND_FORGET) {
			slot->forgotten = true;
			slot->req = NULL;
		}
	} else {
		atomic_dec(&slot->armed);
	}
	ret = 0;
unlock:
	clear_bit_unlock(0, &slot->sending);
out:
	if (file)
		fput(file);
	slot_put(slot);
	return ret;
}

static int slot_free_call(struct iotarget_test_client *client,
			  u32 number, s32 *result)
{
	struct iotarget_test_slot *slot;

	if (number >= IOTARGET_TEST_SLOTS)
		return -EINVAL;
	mutex_lock(&client->lock);
	slot = client->slots[number];
	if (!slot || atomic_read(&slot->users)) {
		mutex_unlock(&client->lock);
		return slot ? -EBUSY : -ENOENT;
	}
	if (slot->req && slot->req != &slot->embedded)
		*result = iotarget_request_free(slot->req);
	else if (slot_is_out(slot))
		*result = -EBUSY;
	if (!*result) {
		slot->req = NULL;
		client->slots[number] = NULL;
	}
	mutex_unlock(&client->lock);
	if (!*result)
		slot_free(slot);
	return 0;
}

static int slot_wait_callback(struct iotarget_test_slot *slot,
			      const struct iotarget_test_request *arg)
{
	unsigned long left = msecs_to_jiffies(arg->timeout_ms);
	long ret;

	ret = wait_event_killable_timeout(slot->wait,
					  atomic64_read(&slot->callbacks) >=
					  arg->count, left);
	if (ret < 0)
		return ret;
	return ret ? 0 : -ETIMEDOUT;
}

static int slot_cancel(struct iotarget_test_slot *slot,
		       const struct iotarget_test_request *arg)
{
	unsigned long flags;
	bool ret;

	if (!(arg->bits & IOTARGET_TEST_ATOMIC))
		return iotarget_request_cancel(slot->req);
	spin_lock_irqsave(&slot->client->atomic, flags);
	ret = iotarget_request_cancel(slot->req);
	spin_unlock_irqrestore(&slot->client->atomic, flags);
	return ret;
}

static int slot_request_do(struct iotarget_test_slot *slot,
			   struct iotarget_test_request *arg)
{
	unsigned long flags;
	int ret;

	switch (arg->op) {
	case IOTARGET_TEST_WAIT:
		if (!(arg->bits & IOTARGET_TEST_ATOMIC))
			return iotarget_request_wait(slot->req,
						     arg->timeout_ms);
		spin_lock_irqsave(&slot->client->atomic, flags);
		ret = iotarget_request_wait(slot->req, arg->timeout_ms);
		spin_unlock_irqrestore(&slot->client->atomic, flags);
		return ret;
	case IOTARGET_TEST_WAIT_CALLBACK:
		return slot_wait_callback(slot, arg);
	}
	mutex_lock(&slot->mutex);
	ret = -EBUSY;
	if (arg->op == IOTARGET_TEST_CANCEL)
		ret = slot_cancel(slot, arg);
	else if (arg->op == IOTARGET_TEST_REQUEST_REUSE)
		ret = iotarget_request_reuse(slot->req);
	else if (!slot_is_out(slot))
		ret = 0;
	if (arg->op == IOTARGET_TEST_FILL && !ret)
		iotarget_test_mem_poison(&slot->mem);
	mutex_unlock(&slot->mutex);
	return ret;
}

int iotarget_test_request_call(struct iotarget_test_client *client,
			       struct iotarget_test_request *arg)
{
	struct iotarget_test_slot *slot;
	ktime_t start;
	int ret = 0;

	if (arg->op > IOTARGET_TEST_FILL)
		return -EINVAL;
	if (arg->op == IOTARGET_TEST_FREE)
		return slot_free_call(client, arg->slot, &arg->head.ret);
	slot = slot_find(client, arg->slot);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if (arg->op != IOTARGET_TEST_WAIT_CALLBACK &&
	    (!slot->req || (slot->bits & IOTARGET_TEST_FREE_IN_CALLBACK))) {
		ret = -EBUSY;
	} else {
		start = ktime_get();
		arg->head.ret = slot_request_do(slot, arg);
		arg->head.ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	}
	slot_put(slot);
	return ret;
}

int iotarget_test_query_call(struct iotarget_test_client *client,
			     struct iotarget_test_query *arg)
{
	struct iotarget_test_slot *slot;
	u64 len;

	slot = slot_find(client, arg->slot);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	arg->in_irq = slot->in_irq;
	arg->callbacks = atomic64_read(&slot->callbacks);
	arg->accepted = atomic64_read(&slot->accepted);
	arg->doubles = atomic64_read(&slot->doubles);
	arg->submit_seq = slot->submit_seq;
	arg->complete_seq = slot->complete_seq;
	arg->callback_ns = slot->callback_ns;
	arg->status = slot->status;
	arg->outcome = slot->outcome;
	arg->bytes = slot->bytes;
	mutex_lock(&slot->mutex);
	if (slot->req && !(slot->bits & IOTARGET_TEST_FREE_IN_CALLBACK)) {
		arg->status = iotarget_request_status(slot->req);
		arg->outcome = iotarget_request_outcome(slot->req);
		arg->bytes = iotarget_request_bytes(slot->req);
		arg->type = iotarget_request_type(slot->req);
		arg->pos = iotarget_request_pos(slot->req);
	}
	if (slot->mem.size > slot->offset) {
		len = slot->length ?: slot->mem.size - slot->offset;
		arg->wrong = iotarget_test_mem_wrong(&slot->mem, slot->offset,
						     len, arg->seed, slot->pos);
		arg->sum = iotarget_test_mem_sum(&slot->mem, slot->offset, len);
	}
	arg->touched = iotarget_test_mem_touched(&slot->mem);
	mutex_unlock(&slot->mutex);
	slot_put(slot);
	return 0;
}
