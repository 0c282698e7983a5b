// SPDX-License-Identifier: GPL-2.0-only
/*
 * One-call transfers: read, write, flush.
 *
 * The timed forms must give the caller its memory back at the deadline, and
 * nobody can take memory away from a device that was told to use it.  So they
 * transfer through pages of the target's own, and at the deadline leave them to
 * the device ("limbo") until it answers, or for good.  How much memory one
 * target may hold in this way is bounded.
 *
 * The forms without a limit transfer to and from the caller's memory directly,
 * and say in their name that they wait.
 *
 * Context: process.  Locks: none; a bounce is freed by the last of its two
 * users, the caller and the device.
 */
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "internal.h"

/* The most that one piece of a timed transfer moves, and in how many parts. */
#define PIECE_PARTS	64
#define PIECE_BYTES	(PIECE_PARTS * PAGE_SIZE)

/**
 * struct bounce - one piece of a timed transfer
 * @refs: the caller and the request
 * @answered: the request has completed
 * @target: whose memory this is
 * @req: the request; goes with the bounce
 * @held: bytes counted in target->bounce_bytes
 * @limbo: 1 once the caller gave up before the answer, 2 after it
 * @status: the request's, valid once @answered
 * @outcome: likewise
 * @order: of each part: no block of the device is in two of them
 * @nr_parts: entries of @parts in use
 * @parts: the memory
 */
struct bounce {
	refcount_t		refs;
	struct completion	answered;
	struct iotarget		*target;
	struct iotarget_request	*req;
	size_t			held;
	atomic_t		limbo;
	int			status;
	enum iotarget_outcome	outcome;
	unsigned int		order;
	unsigned int		nr_parts;
	struct bio_vec		parts[PIECE_PARTS];
};

/* A device may have blocks that are larger than a page. */
static unsigned int part_order(struct iotarget *target)
{
	struct iotarget_inst *inst = iotarget_inst_hold(target);
	unsigned int order = 0;

	if (!inst)
		return 0;
	if (inst->bdev)
		order = get_order(bdev_logical_block_size(inst->bdev));
	iotarget_inst_unhold(inst);
	return order;
}

static void bounce_put(struct bounce *b)
{
	unsigned int i;

	if (!refcount_dec_and_test(&b->refs))
		return;
	iotarget_request_free(b->req);
	for (i = 0; i < b->nr_parts; i++)
		__free_pages(b->parts[i].bv_page, b->order);
	atomic_long_sub(b->held, &b->target->bounce_bytes);
	kfree(b);
}

static void bounce_complete(struct iotarget *target,
			    struct iotarget_request *req, void *context)
{
	struct bounce *b = context;

	b->status = iotarget_request_status(req);
	b->outcome = iotarget_request_outcome(req);
	if (atomic_xchg(&b->limbo, 2) == 1)
		atomic_long_dec(&target->limbo);
	complete(&b->answered);
	bounce_put(b);
}

/*
 * Under memory pressure a shorter piece than asked for will do; whoever calls
 * comes back for the rest.
 */
static struct bounce *bounce_alloc(struct iotarget *target, size_t len)
{
	const gfp_t gfp = GFP_NOIO | __GFP_NOWARN | __GFP_NORETRY;
	const unsigned int order = part_order(target);
	const size_t size = PAGE_SIZE << order;
	const size_t held = round_up(len, size);
	struct bounce *b;

	if (atomic_long_add_return(held, &target->bounce_bytes) >
	    target->limbo_max) {
		atomic_long_sub(held, &target->bounce_bytes);
		return ERR_PTR(-ENOBUFS);
	}
	b = kzalloc(sizeof(*b), gfp);
	if (!b) {
		atomic_long_sub(held, &target->bounce_bytes);
		return ERR_PTR(-ENOMEM);
	}
	refcount_set(&b->refs, 1);
	init_completion(&b->answered);
	b->target = target;
	b->held = held;
	b->order = order;
	for (; len; b->nr_parts++) {
		const unsigned int n = min(len, size);
		struct page *page = alloc_pages(gfp, order);

		if (!page && b->nr_parts)
			break;
		if (!page)
			goto nomem;
		bvec_set_page(&b->parts[b->nr_parts], page, n, 0);
		len -= n;
	}
	b->req = iotarget_request_reserve(false);
	if (b->req)
		return b;
nomem:
	bounce_put(b);
	return ERR_PTR(-ENOMEM);
}

static void bounce_copy(struct bounce *b, void *data, size_t len, bool in)
{
	unsigned int i;
	size_t n;

	for (i = 0; len; i++, data += n, len -= n) {
		void *part = page_address(b->parts[i].bv_page);

		n = min_t(size_t, len, b->parts[i].bv_len);
		if (in)
			memcpy(part, data, n);
		else
			memcpy(data, part, n);
	}
}

static int bounce_format(struct bounce *b, enum iotarget_req_type type,
			 size_t len, u64 pos)
{
	struct iotarget_buffer buf = iotarget_buf_bvec(b->parts, b->nr_parts,
						       len);

	switch (type) {
	case IOTARGET_REQ_READ:
		return iotarget_format_read(b->target, b->req, &buf, pos);
	case IOTARGET_REQ_WRITE:
		return iotarget_format_write(b->target, b->req, &buf, pos);
	default:
		return iotarget_format_flush(b->target, b->req);
	}
}

/*
 * Wait for the answer; at the deadline try to get the request back, and if the
 * device has it leave everything to it.
 */
static int bounce_wait(struct bounce *b, ktime_t deadline,
		       struct iotarget_result *res)
{
	s64 left = max_t(s64, 0, ktime_ms_delta(deadline, ktime_get()));
	long ret;

	ret = wait_for_completion_killable_timeout(&b->answered,
						   iotarget_jiffies(left));
	if (ret <= 0) {
		if (!ret)
			iotarget_request_expire(b->req);
		else
			iotarget_request_cancel(b->req);
		if (!try_wait_for_completion(&b->answered)) {
			atomic_long_inc(&b->target->limbo);
			if (atomic_xchg(&b->limbo, 1) == 2)
				atomic_long_dec(&b->target->limbo);
			res->outcome = IOTARGET_UNKNOWN;
			return ret ? -EINTR : -ETIMEDOUT;
		}
	}
	res->outcome = b->outcome;
	return b->status;
}

static int bounce_piece(struct iotarget *target, enum iotarget_req_type type,
			void *data, size_t *len, u64 pos, u32 flags,
			ktime_t deadline, struct iotarget_result *res)
{
	/* The worker submits: a device that has no room would hold us up. */
	const struct iotarget_send_params params = {
		.flags = IOTARGET_SEND_ATOMIC | flags,
	};
	struct bounce *b = bounce_alloc(target, *len);
	int ret;

	res->outcome = IOTARGET_NEVER_SENT;
	if (IS_ERR(b)) {
		iotarget_warn(target, "timed transfer refused: error %ld\n",
			      PTR_ERR(b));
		return PTR_ERR(b);
	}
	*len = min(*len, b->nr_parts * (PAGE_SIZE << b->order));
	ret = bounce_format(b, type, *len, pos);
	if (ret)
		goto out;
	if (type == IOTARGET_REQ_WRITE)
		bounce_copy(b, data, *len, true);
	iotarget_request_set_complete(b->req, bounce_complete, b);
	refcount_inc(&b->refs);
	ret = iotarget_send(target, b->req, &params);
	if (ret) {
		bounce_put(b);
		goto out;
	}
	ret = bounce_wait(b, deadline, res);
	if (!ret && type == IOTARGET_REQ_READ)
		bounce_copy(b, data, *len, false);
out:
	bounce_put(b);
	return ret;
}

static int bounce_transfer(struct iotarget *target,
			   enum iotarget_req_type type, void *data,
			   size_t len, u64 pos, unsigned int timeout_ms,
			   struct iotarget_result *result)
{
	struct iotarget_result res = { .outcome = IOTARGET_NEVER_SENT };
	ktime_t deadline = ktime_add_ms(ktime_get(), timeout_ms);
	size_t size, n;
	int ret;

	ret = !target || (!data && len) ? -EINVAL : 0;
	if (!ret && (!timeout_ms || timeout_ms == IOTARGET_WAIT_FOREVER)) {
		iotarget_warn(target, "timed transfer without a time limit\n");
		ret = -EINVAL;
	}
	ret = ret ?: iotarget_may_wait(target, timeout_ms);
	if (ret)
		goto out;
	if (check_add_overflow(pos, (u64)len, &(u64){ 0 })) {
		iotarget_warn(target, "transfer past 64 bits\n");
		ret = -EOVERFLOW;
		goto out;
	}

	size = PAGE_SIZE << part_order(target);
	do {
		n = min3(len, PIECE_BYTES,
			 max(size, round_down(target->limbo_max, size)));
		ret = bounce_piece(target, type, data, &n, pos, 0, deadline,
				   &res);
		if (ret)
			break;
		res.bytes += n;
		data += n;
		pos += n;
		len -= n;
	} while (len);
out:
	if (result)
		*result = res;
	return ret;
}

/**
 * iotarget_flush_past - flush, within a time, whatever the target's state
 * @target: the target
 * @timeout_ms: as in iotarget_flush()
 *
 * Context: process; sleeps, killable.
 * Return: as iotarget_flush().
 */
int iotarget_flush_past(struct iotarget *target, unsigned int timeout_ms)
{
	struct iotarget_result res;
	size_t len = 0;

	return bounce_piece(target, IOTARGET_REQ_FLUSH, NULL, &len, 0,
			    IOTARGET_SEND_IGNORE_STATE,
			    ktime_add_ms(ktime_get(), timeout_ms), &res);
}

/**
 * iotarget_read_past - read, within a time, whatever the target's state
 * @target: the target
 * @data: where to
 * @len: bytes, a multiple of the logical block size
 * @pos: first byte, likewise
 * @timeout_ms: as in iotarget_read()
 *
 * Context: process; sleeps, killable.
 * Return: as iotarget_read().
 */
int iotarget_read_past(struct iotarget *target, void *data, size_t len, u64 pos,
		       unsigned int timeout_ms)
{
	const ktime_t deadline = ktime_add_ms(ktime_get(), timeout_ms);
	struct iotarget_result res;
	size_t n;
	int ret;

	for (; len; len -= n, data += n, pos += n) {
		n = min(len, PIECE_BYTES);
		ret = bounce_piece(target, IOTARGET_REQ_READ, data, &n, pos,
				   IOTARGET_SEND_IGNORE_STATE, deadline, &res);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * iotarget_read - read, within a time
 * @target: the target
 * @data: where to; any memory, of any alignment
 * @len: bytes, a multiple of the logical block size
 * @pos: first byte, likewise
 * @timeout_ms: 1 to %IOTARGET_TIMEOUT_MAX_MS
 * @result: what is known, or NULL
 *
 * Returns within the time plus 100 ms whatever the device does.  After that
 * nothing touches @data any more: a device that does not answer keeps pages of
 * the target's.  On a stopped target this waits for the start.
 *
 * KMDF: WdfIoTargetSendReadSynchronously; the bounce is an extension.
 *
 * Context: process; sleeps, killable.
 * Return: 0; -ETIMEDOUT, with @result telling whether it was ever sent; after a fatal
 * signal -ECANCELED, never sent, or -EINTR, if the device has it; -ENOBUFS if the memory
 * that the target may hold for such calls is in use, by others that run or by a device
 * that does not answer; -ENOMEM; -EWOULDBLOCK in atomic context; the
 * errors of iotarget_format_read() and iotarget_send(); the device's.
 */
int iotarget_read(struct iotarget *target, void *data, size_t len, u64 pos,
		  unsigned int timeout_ms, struct iotarget_result *result)
{
	return bounce_transfer(target, IOTARGET_REQ_READ, data, len, pos,
			       timeout_ms, result);
}
EXPORT_SYMBOL_GPL(iotarget_read);

/**
 * iotarget_write - write, within a time
 * @target: the target
 * @data: what; any memory, of any alignment, copied
 * @len: bytes, a multiple of the logical block size
 * @pos: first byte, likewise
 * @timeout_ms: as in iotarget_read()
 * @result: what is known, or NULL; with -ETIMEDOUT and %IOTARGET_UNKNOWN the
 *	data may still reach the device, at any later time
 *
 * KMDF: WdfIoTargetSendWriteSynchronously; the bounce is an extension.
 *
 * Context: process; sleeps, killable.
 * Return: as iotarget_read().
 */
int iotarget_write(struct iotarget *target, const void *data, size_t len,
		   u64 pos, unsigned int timeout_ms,
		   struct iotarget_result *result)
{
	return bounce_transfer(target, IOTARGET_REQ_WRITE, (void *)data, len,
			       pos, timeout_ms, result);
}
EXPORT_SYMBOL_GPL(iotarget_write);

/**
 * iotarget_flush - flush the device's write cache, within a time
 * @target: the target
 * @timeout_ms: as in iotarget_read()
 * @result: what is known, or NULL
 *
 * Extension.
 *
 * Context: process; sleeps, killable.
 * Return: as iotarget_read().
 */
int iotarget_flush(struct iotarget *target, unsigned int timeout_ms,
		   struct iotarget_result *result)
{
	return bounce_transfer(target, IOTARGET_REQ_FLUSH, NULL, 0, 0, timeout_ms,
			       result);
}
EXPORT_SYMBOL_GPL(iotarget_flush);

static int forever(struct iotarget *target, enum iotarget_req_type type,
		   const struct iotarget_buffer *buf, u64 pos,
		   struct iotarget_result *result)
{
	const struct iotarget_send_params params = {
		.flags = IOTARGET_SEND_SYNCHRONOUS | IOTARGET_SEND_WAIT_FOREVER,
	};
	struct iotarget_request *req;
	int ret;

	if (result)
		*result = (struct iotarget_result){
			.outcome = IOTARGET_NEVER_SENT,
		};
	if (!target)
		return -EINVAL;
	ret = iotarget_may_wait(target, IOTARGET_WAIT_FOREVER);
	if (ret)
		return ret;
	req = iotarget_request_reserve(true);
	if (type == IOTARGET_REQ_READ)
		ret = iotarget_format_read(target, req, buf, pos);
	else if (type == IOTARGET_REQ_WRITE)
		ret = iotarget_format_write(target, req, buf, pos);
	else
		ret = iotarget_format_flush(target, req);
	if (!ret)
		ret = iotarget_send(target, req, &params);
	if (ret == -EINPROGRESS) {
		/* Killed, but the device has the caller's memory. */
		iotarget_request_settle(req);
		ret = iotarget_request_status(req);
	}
	if (result)
		*result = (struct iotarget_result){
			.outcome = iotarget_request_outcome(req) ?:
				   IOTARGET_NEVER_SENT,
			.bytes = iotarget_request_bytes(req),
		};
	iotarget_request_free(req);
	return ret;
}

/**
 * iotarget_read_wait_forever - read into the caller's memory, without a limit
 * @target: the target
 * @buf: as in iotarget_format_read()
 * @pos: as there
 * @result: what is known, or NULL
 *
 * Waits as long as the target is stopped and as long as the device takes.  A
 * fatal signal ends the first, not the second.
 *
 * KMDF: WdfIoTargetSendReadSynchronously without a timeout.
 *
 * Context: process; sleeps.
 * Return: 0, the errors of iotarget_format_read() and iotarget_send(), or the
 * device's.
 */
int iotarget_read_wait_forever(struct iotarget *target,
			       const struct iotarget_buffer *buf, u64 pos,
			       struct iotarget_result *result)
{
	return forever(target, IOTARGET_REQ_READ, buf, pos, result);
}
EXPORT_SYMBOL_GPL(iotarget_read_wait_forever);

/**
 * iotarget_write_wait_forever - write the caller's memory, without a limit
 * @target: the target
 * @buf: as in iotarget_format_write()
 * @pos: as there
 * @result: what is known, or NULL
 *
 * KMDF: WdfIoTargetSendWriteSynchronously without a timeout.
 *
 * Context: process; sleeps.
 * Return: as iotarget_read_wait_forever().
 */
int iotarget_write_wait_forever(struct iotarget *target,
				const struct iotarget_buffer *buf, u64 pos,
				struct iotarget_result *result)
{
	return forever(target, IOTARGET_REQ_WRITE, buf, pos, result);
}
EXPORT_SYMBOL_GPL(iotarget_write_wait_forever);

/**
 * iotarget_flush_wait_forever - flush the device's cache, without a limit
 * @target: the target
 * @result: what is known, or NULL
 *
 * Extension.
 *
 * Context: process; sleeps.
 * Return: as iotarget_read_wait_forever().
 */
int iotarget_flush_wait_forever(struct iotarget *target,
				struct iotarget_result *result)
{
	return forever(target, IOTARGET_REQ_FLUSH, NULL, 0, result);
}
EXPORT_SYMBOL_GPL(iotarget_flush_wait_forever);
