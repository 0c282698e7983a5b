// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of requests: making, setting up, reusing, freeing.
 *
 * Context: as said at each function.  Locks: none.
 */
#include <linux/export.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include "internal.h"

/* Synchronous calls under memory pressure live on these. */
#define RESERVED_REQUESTS	16

static struct kmem_cache *request_cache;
static mempool_t request_pool;

/**
 * iotarget_request_release - give a request's memory back
 * @req: a request that was allocated
 *
 * Context: any.
 */
void iotarget_request_release(struct iotarget_request *req)
{
	mempool_free(req, &request_pool);
}

/**
 * iotarget_request_init - set up a request that is part of a larger structure
 * @req: the request; not on the stack
 *
 * Extension.
 *
 * Context: any.
 */
void iotarget_request_init(struct iotarget_request *req)
{
	memset(req, 0, sizeof(*req));
	INIT_LIST_HEAD(&req->unit.node);
	spin_lock_init(&req->part_lock);
	timer_setup(&req->timer, iotarget_request_timeout, 0);
}
EXPORT_SYMBOL_GPL(iotarget_request_init);

/**
 * iotarget_request_alloc - make a request
 * @gfp: how to allocate
 *
 * KMDF: WdfRequestCreate.
 *
 * Context: any that @gfp allows.
 * Return: the request, or NULL.
 */
struct iotarget_request *iotarget_request_alloc(gfp_t gfp)
{
	struct iotarget_request *req = kmem_cache_alloc(request_cache, gfp);

	if (req) {
		iotarget_request_init(req);
		req->heap = true;
	}
	return req;
}
EXPORT_SYMBOL_GPL(iotarget_request_alloc);

/**
 * iotarget_request_reserve - a request for one of our own synchronous calls
 * @wait: wait until there is one
 *
 * Context: process; sleeps.
 * Return: the request; NULL only without @wait.
 */
struct iotarget_request *iotarget_request_reserve(bool wait)
{
	/* Without __GFP_NORETRY so little is tried for until there is some. */
	struct iotarget_request *req =
		iotarget_request_alloc(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);

	if (!req)
		req = mempool_alloc(&request_pool,
				    wait ? GFP_NOIO : GFP_NOWAIT);
	if (req) {
		iotarget_request_init(req);
		req->heap = true;
	}
	return req;
}

static int refuse_outstanding(const struct iotarget_request *req, const char *what)
{
	if (iotarget_request_is_done(req))
		return 0;
	pr_err("iotarget: %s: request %s while it is outstanding\n", req->target->name,
	       what);
	dump_stack();
	return -EBUSY;
}

/**
 * iotarget_request_reuse - make a request as new
 * @req: the request; may be called from its own callback, unless the send was
 *	synchronous
 *
 * Clears the cancel latch, the callback, the format and the result.
 *
 * KMDF: WdfRequestReuse.
 *
 * Context: any.
 * Return: 0, -EINVAL, -EBUSY if it is outstanding.
 */
int iotarget_request_reuse(struct iotarget_request *req)
{
	int ret;

	if (!req)
		return -EINVAL;
	ret = refuse_outstanding(req, "reused");
	if (ret)
		return ret;
	req->bits = 0;
	req->complete = NULL;
	req->context = NULL;
	req->type = IOTARGET_REQ_NONE;
	req->fua = false;
	req->status = 0;
	req->outcome = IOTARGET_OUTCOME_NONE;
	req->bytes = 0;
	atomic_set(&req->state, IOTARGET_RS_IDLE);
	return 0;
}
EXPORT_SYMBOL_GPL(iotarget_request_reuse);

/**
 * iotarget_request_free - free what iotarget_request_alloc() made
 * @req: the request, or NULL; may be called from its own callback unless the
 *	send was synchronous
 *
 * KMDF: WdfObjectDelete.
 *
 * Context: any.
 * Return: 0; -EBUSY if it is outstanding and -EINVAL if it is embedded, and
 * then nothing was freed.
 */
int iotarget_request_free(struct iotarget_request *req)
{
	int ret;

	if (!req)
		return 0;
	if (!req->heap)
		return -EINVAL;
	ret = refuse_outstanding(req, "freed");
	if (!ret)
		iotarget_request_release(req);
	return ret;
}
EXPORT_SYMBOL_GPL(iotarget_request_free);

int __init iotarget_requests_init(void)
{
	int ret;

	request_cache = KMEM_CACHE(iotarget_request, 0);
	if (!request_cache)
		return -ENOMEM;
	ret = mempool_init_slab_pool(&request_pool, RESERVED_REQUESTS,
				     request_cache);
	if (ret)
		kmem_cache_destroy(request_cache);
	return ret;
}

void iotarget_requests_exit(void)
{
	mempool_exit(&request_pool);
	kmem_cache_destroy(request_cache);
}
