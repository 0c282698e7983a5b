// SPDX-License-Identifier: GPL-2.0-only
/*
 * The test client's part in removals: its callbacks, which do what they were told and
 * remember what they heard, and the system's side, which asks.
 *
 * Without being told a callback does nothing, and a query is refused: so a target is
 * as open after a removal as before.
 *
 * Context: process.  Lock: client->told_lock.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/preempt.h>
#include <linux/slab.h>

#include "test_client.h"

#define CALL_MS		5000	/* for what a callback does */
#define READ_BYTES	4096

static s32 try_read(struct iotarget *target)
{
	struct iotarget_info info;
	void *page;
	int ret;

	ret = iotarget_get_info(target, &info);
	if (ret || info.state != IOTARGET_STARTED)
		return ret ?: -ESHUTDOWN;
	page = kmalloc(READ_BYTES, GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	ret = iotarget_read(target, page, READ_BYTES, 0, CALL_MS, NULL);
	kfree(page);
	return ret;
}

/* Remember it; the answer tells what to do. */
static struct iotarget_test_removal
remember(struct iotarget *target, u32 kind, const struct iotarget_query *query)
{
	struct iotarget_test_client *client = iotarget_priv(target);
	const u32 state = iotarget_get_state(target);
	struct iotarget_test_removal *t = &client->told;
	const u32 now = atomic_inc_return(&client->telling);
	const u32 in_atomic_here = in_interrupt() || irqs_disabled();
	s32 read = 0;
	u32 i;

	if (READ_ONCE(t->bits) & IOTARGET_TEST_ALL_READ)
		read = try_read(target);
	spin_lock(&client->told_lock);
	i = min_t(u32, t->nr, IOTARGET_TEST_MAX_TOLD - 1);
	t->nr++;
	t->at_once = max(t->at_once, now);
	t->told[i].kind = kind;
	t->told[i].forced = query && query->forced;
	t->told[i].dry_run = query && query->dry_run;
	t->told[i].timeout_ms = query ? query->timeout_ms : 0;
	t->told[i].read = read;
	t->told[i].state = state;
	t->in_atomic |= in_atomic_here;
	spin_unlock(&client->told_lock);
	return (struct iotarget_test_removal){
		.bits = t->bits,
		.query_ret = t->query_ret,
		.query_ms = t->query_ms,
	};
}

static void over(struct iotarget *target)
{
	struct iotarget_test_client *client = iotarget_priv(target);

	atomic_dec(&client->telling);
}

static int query_remove(struct iotarget *target,
			const struct iotarget_query *query)
{
	const struct iotarget_test_removal how =
		remember(target, IOTARGET_TEST_QUERY_REMOVE, query);
	int ret = how.query_ret;

	if (how.query_ms)
		msleep(how.query_ms);
	if (!query->dry_run && how.bits & IOTARGET_TEST_QUERY_CLOSES)
		iotarget_close_for_query_remove(target, CALL_MS, NULL);
	if (how.bits & IOTARGET_TEST_QUERY_AGREES)
		ret = iotarget_query_remove_default(target, query);
	over(target);
	return ret;
}

static void remove_canceled(struct iotarget *target)
{
	const struct iotarget_open_params again = {
		.type = IOTARGET_OPEN_REOPEN,
	};
	const struct iotarget_test_removal how =
		remember(target, IOTARGET_TEST_REMOVE_CANCELED, NULL);

	if (how.bits & IOTARGET_TEST_CANCELED_OPENS)
		iotarget_open(target, &again);
	over(target);
}

static void remove_complete(struct iotarget *target)
{
	const struct iotarget_test_removal how =
		remember(target, IOTARGET_TEST_REMOVE_COMPLETE, NULL);

	if (how.bits & IOTARGET_TEST_COMPLETE_CLOSES)
		iotarget_close(target, CALL_MS, NULL);
	if (how.bits & IOTARGET_TEST_COMPLETE_DELETES)
		iotarget_delete(target, CALL_MS, NULL);
	over(target);
}

static void returned(struct iotarget *target)
{
	remember(target, IOTARGET_TEST_RETURNED, NULL);
	over(target);
}

/* With client->lock, before the target is made. */
void iotarget_test_removal_init(struct iotarget_test_client *client,
				bool defaults)
{
	spin_lock_init(&client->told_lock);
	client->told.query_ret = -EBUSY;
	if (defaults)
		return;
	client->ops.query_remove = query_remove;
	client->ops.remove_canceled = remove_canceled;
	client->ops.remove_complete = remove_complete;
	client->ops.returned = returned;
}

int iotarget_test_policy_call(struct iotarget_test_client *client,
			      struct iotarget_test_policy *arg)
{
	const struct iotarget_policy policy = {
		.flags = arg->flags,
		.hold_ms = arg->hold_ms,
		.hold_bytes = arg->hold_bytes,
	};

	if (arg->bits & IOTARGET_TEST_ACCEPT_LOSS)
		iotarget_accept_loss(client->target);
	else
		arg->head.ret = iotarget_set_policy(client->target, &policy);
	return 0;
}

int iotarget_test_removal_call(struct iotarget_test_client *client,
			       struct iotarget_test_removal *arg)
{
	struct iotarget_test_removal *t = &client->told;

	spin_lock(&client->told_lock);
	if (arg->bits & IOTARGET_TEST_SET) {
		t->bits = arg->bits;
		t->query_ret = arg->query_ret;
		t->query_ms = arg->query_ms;
	}
	arg->nr = t->nr;
	arg->at_once = t->at_once;
	arg->in_atomic = t->in_atomic;
	memcpy(arg->told, t->told, sizeof(arg->told));
	spin_unlock(&client->told_lock);
	return 0;
}

/* So many devices above the one that the target has open. */
static struct device *device_above(struct iotarget *target, u32 up)
{
	struct block_device *bdev = iotarget_get_bdev(target);
	struct device *dev;

	if (!bdev)
		return NULL;
	dev = up ? disk_to_dev(bdev->bd_disk) : &bdev->bd_device;
	for (; up && dev; up--)
		dev = dev->parent;
	get_device(dev);
	put_device(&bdev->bd_device);
	return dev;
}

static int ask(struct iotarget_test_client *client,
	       struct iotarget_test_consent *arg)
{
	const struct iotarget_query_params params = {
		.flags = arg->flags,
		.timeout_ms = arg->timeout_ms,
		.expires_ms = arg->expires_ms,
	};
	struct iotarget_refusal refusal;
	struct iotarget_consent *consent;
	struct device *dev;

	if (client->consent)
		return -EBUSY;
	dev = device_above(client->target, arg->up);
	if (!dev)
		return -ENODEV;
	consent = iotarget_query_remove(dev, &params, &refusal);
	put_device(dev);
	arg->by = refusal.by;
	arg->error = refusal.error;
	arg->major = MAJOR(refusal.devt);
	arg->minor = MINOR(refusal.devt);
	strscpy(arg->name, refusal.name, sizeof(arg->name));
	if (!IS_ERR(consent))
		client->consent = consent;
	return PTR_ERR_OR_ZERO(consent);
}

int iotarget_test_consent_call(struct iotarget_test_client *client,
			       struct iotarget_test_consent *arg)
{
	ktime_t start = ktime_get();

	if (arg->op != IOTARGET_TEST_ASK && !client->consent)
		return -ENOENT;
	switch (arg->op) {
	case IOTARGET_TEST_ASK:
		arg->head.ret = ask(client, arg);
		break;
	case IOTARGET_TEST_WAIT_GONE:
		arg->head.ret = iotarget_query_wait(client->consent,
						    arg->timeout_ms);
		break;
	case IOTARGET_TEST_END:
		arg->head.ret = iotarget_query_end(client->consent,
						   arg->timeout_ms);
		client->consent = NULL;
		break;
	default:
		return -EINVAL;
	}
	arg->head.ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	return 0;
}

void iotarget_test_removal_free(struct iotarget_test_client *client)
{
	if (client->consent)
		iotarget_query_end(client->consent, CALL_MS);
	client->consent = NULL;
}
