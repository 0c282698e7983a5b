// SPDX-License-Identifier: GPL-2.0-only
/*
 * Formatting: what a request is to do, with which memory, and what it did.
 *
 * Context: any, for a request that is not outstanding and that nobody else
 * uses.  Locks: none.
 */
#include <linux/export.h>
#include <linux/overflow.h>

#include "internal.h"

static int check_part(const struct iotarget_buffer *buf, size_t *len)
{
	size_t end;

	if (check_add_overflow(buf->offset, buf->length, &end))
		return -EOVERFLOW;
	if (buf->offset > buf->size || end > buf->size)
		return -EOVERFLOW;
	*len = buf->length ?: buf->size - buf->offset;
	return 0;
}

static int check_iter(const struct iov_iter *iter, bool write)
{
	if (!iov_iter_is_kvec(iter) && !iov_iter_is_bvec(iter))
		return -EINVAL;
	return iov_iter_rw(iter) == (write ? WRITE : READ) ? 0 : -EINVAL;
}

static size_t bvec_bytes(const struct iotarget_buffer *buf)
{
	size_t sum = 0;
	unsigned int i;

	for (i = 0; i < buf->nr_bvecs; i++)
		sum += buf->bvecs[i].bv_len;
	return sum;
}

/* Make req->iter show the part of the buffer that is to be transferred. */
static int set_buffer(struct iotarget_request *req,
		      const struct iotarget_buffer *buf, bool write)
{
	const unsigned int dir = write ? ITER_SOURCE : ITER_DEST;
	size_t len;
	int ret;

	req->len = 0;
	if (!buf || buf->type == IOTARGET_BUF_NONE)
		return buf && (buf->size || buf->offset || buf->length) ?
		       -EINVAL : 0;
	ret = check_part(buf, &len);
	if (ret)
		return ret;

	switch (buf->type) {
	case IOTARGET_BUF_KERNEL:
		if (!buf->data && len)
			return -EINVAL;
		req->kvec.iov_base = buf->data;
		req->kvec.iov_len = buf->size;
		iov_iter_kvec(&req->iter, dir, &req->kvec, 1, buf->size);
		break;
	case IOTARGET_BUF_BVEC:
		if ((!buf->bvecs && buf->nr_bvecs) ||
		    bvec_bytes(buf) < buf->size)
			return -EINVAL;
		iov_iter_bvec(&req->iter, dir, buf->bvecs, buf->nr_bvecs,
			      buf->size);
		break;
	case IOTARGET_BUF_ITER:
		if (!buf->iter || iov_iter_count(buf->iter) < buf->size)
			return -EINVAL;
		ret = check_iter(buf->iter, write);
		if (ret)
			return ret;
		req->iter = *buf->iter;
		break;
	default:
		return -EINVAL;
	}
	iov_iter_advance(&req->iter, buf->offset);
	iov_iter_truncate(&req->iter, len);
	req->len = len;
	return 0;
}

static int format(struct iotarget *target, struct iotarget_request *req,
		  enum iotarget_req_type type,
		  const struct iotarget_buffer *buf, u64 pos)
{
	struct iotarget_inst *inst;
	int ret;

	if (!target || !req)
		return -EINVAL;
	if (atomic_read_acquire(&req->state) == IOTARGET_RS_OUT) {
		iotarget_warn(target, "request formatted while it is outstanding\n");
		return -EBUSY;
	}
	atomic_set(&req->state, IOTARGET_RS_IDLE);
	req->type = IOTARGET_REQ_NONE;
	req->fua = false;

	inst = iotarget_inst_hold(target);
	if (!inst)
		return -ESHUTDOWN;
	ret = set_buffer(req, buf, type == IOTARGET_REQ_WRITE);
	if (!ret) {
		req->type = type;
		req->pos = pos;
		req->checked = inst->number;
		ret = inst->ops->check(inst, req);
	}
	iotarget_inst_unhold(inst);
	if (ret) {
		req->type = IOTARGET_REQ_NONE;
		iotarget_warn(target, "request refused: %zu bytes at %llu: error %d\n",
			      req->len, pos, ret);
		return ret;
	}
	req->target = target;
	atomic_set(&req->state, IOTARGET_RS_FORMATTED);
	return 0;
}

/**
 * iotarget_format_read - make a request read
 * @target: where it will be sent; must be open
 * @req: a request that is not outstanding
 * @buf: memory, of the alignment that the device wants, in pieces of whole
 *	logical blocks; vmalloc memory must begin at a multiple of one.  NULL
 *	is a read of length zero.  It, and what it points to, stays the caller's and must
 *	stay valid until the request completes.
 * @pos: first byte on the device, a multiple of its logical block size
 *
 * The format is checked against the device that is open now.  Sent after a
 * reopen, it is checked again when it passes the gate.
 *
 * KMDF: WdfIoTargetFormatRequestForRead.
 *
 * Context: any.
 * Return: 0; -ESHUTDOWN when closed; -EBUSY when outstanding; -EINVAL for
 * alignment, memory or direction; -EOVERFLOW for a part outside the buffer or a
 * position plus length past 64 bits; -ERANGE past the end of the device;
 * -EACCES when the target was not opened for it; -ENODEV when the device is
 * gone.
 */
int iotarget_format_read(struct iotarget *target, struct iotarget_request *req,
			 const struct iotarget_buffer *buf, u64 pos)
{
	return format(target, req, IOTARGET_REQ_READ, buf, pos);
}
EXPORT_SYMBOL_GPL(iotarget_format_read);

/**
 * iotarget_format_write - make a request write
 * @target: as in iotarget_format_read()
 * @req: as there
 * @buf: as there; the memory must not change until the request completes
 * @pos: as there
 *
 * KMDF: WdfIoTargetFormatRequestForWrite.
 *
 * Context: any.
 * Return: as iotarget_format_read().
 */
int iotarget_format_write(struct iotarget *target, struct iotarget_request *req,
			  const struct iotarget_buffer *buf, u64 pos)
{
	return format(target, req, IOTARGET_REQ_WRITE, buf, pos);
}
EXPORT_SYMBOL_GPL(iotarget_format_write);

/**
 * iotarget_format_flush - make a request flush the device's write cache
 * @target: as in iotarget_format_read()
 * @req: as there
 *
 * Extension.
 *
 * Context: any.
 * Return: as iotarget_format_read().
 */
int iotarget_format_flush(struct iotarget *target, struct iotarget_request *req)
{
	return format(target, req, IOTARGET_REQ_FLUSH, NULL, 0);
}
EXPORT_SYMBOL_GPL(iotarget_format_flush);

/**
 * iotarget_request_set_fua - a write is to be durable when it completes
 * @req: a request formatted for writing and not sent
 *
 * Extension.
 *
 * Context: any.
 * Return: 0 or -EINVAL.
 */
int iotarget_request_set_fua(struct iotarget_request *req)
{
	if (!req || atomic_read(&req->state) != IOTARGET_RS_FORMATTED ||
	    req->type != IOTARGET_REQ_WRITE)
		return -EINVAL;
	req->fua = true;
	return 0;
}
EXPORT_SYMBOL_GPL(iotarget_request_set_fua);

/**
 * iotarget_request_set_complete - set the completion callback for one send
 * @req: a request that is not outstanding
 * @complete: the callback, or NULL; forgotten when it was called
 * @context: for the callback
 *
 * KMDF: WdfRequestSetCompletionRoutine.
 *
 * Context: any.
 * Return: 0, -EINVAL, -EBUSY if the request is outstanding.
 */
int iotarget_request_set_complete(struct iotarget_request *req,
				  iotarget_complete_fn *complete, void *context)
{
	if (!req)
		return -EINVAL;
	if (atomic_read_acquire(&req->state) == IOTARGET_RS_OUT)
		return -EBUSY;
	req->complete = complete;
	req->context = context;
	return 0;
}
EXPORT_SYMBOL_GPL(iotarget_request_set_complete);

/**
 * iotarget_request_status - how a request ended
 * @req: a request that completed, or whose send failed
 *
 * KMDF: WdfRequestGetStatus.
 *
 * Context: any; in the completion callback, or when the request is over.
 * Return: 0 or a negative errno.
 */
int iotarget_request_status(const struct iotarget_request *req)
{
	return req->status;
}
EXPORT_SYMBOL_GPL(iotarget_request_status);

/**
 * iotarget_request_bytes - how much a request transferred
 * @req: as in iotarget_request_status()
 *
 * KMDF: WdfRequestGetInformation.
 *
 * Context: as iotarget_request_status().
 * Return: bytes, from the beginning, up to the first that failed.
 */
size_t iotarget_request_bytes(const struct iotarget_request *req)
{
	return req->bytes;
}
EXPORT_SYMBOL_GPL(iotarget_request_bytes);

/**
 * iotarget_request_outcome - what is known of a request's effect
 * @req: as in iotarget_request_status()
 *
 * Extension.
 *
 * Context: as iotarget_request_status().
 * Return: done, never sent or unknown.
 */
enum iotarget_outcome
iotarget_request_outcome(const struct iotarget_request *req)
{
	return req->outcome;
}
EXPORT_SYMBOL_GPL(iotarget_request_outcome);

/**
 * iotarget_request_type - what a request is formatted for
 * @req: the request
 *
 * KMDF: WdfRequestGetCompletionParams.
 *
 * Context: any.
 * Return: read, write, flush or none.
 */
enum iotarget_req_type
iotarget_request_type(const struct iotarget_request *req)
{
	return req->type;
}
EXPORT_SYMBOL_GPL(iotarget_request_type);

/**
 * iotarget_request_pos - where on the device a request begins
 * @req: the request
 *
 * KMDF: WdfRequestGetCompletionParams.
 *
 * Context: any.
 * Return: the position in bytes.
 */
u64 iotarget_request_pos(const struct iotarget_request *req)
{
	return req->pos;
}
EXPORT_SYMBOL_GPL(iotarget_request_pos);
