// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotarget_test.ko: memory of every kind that a request takes, filled with and
 * compared with the pattern, and the calls that do a whole transfer.
 *
 * Context: process context.  No lock: memory belongs to whoever made it.
 */
#include <linux/bvec.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "test_client.h"

/* Pieces of vectors begin inside their page, as user memory may. */
#define INSIDE		1024
/* What stands on either side of a transfer's memory. */
#define GUARD		PAGE_SIZE

/*
 * The length of piece @i of a vector.  When the memory is no multiple of a
 * page, neither are the pieces, as far as a device with small blocks takes it.
 */
static size_t piece_len(u32 kind, size_t size, u32 i)
{
	bool odd = size % PAGE_SIZE;

	switch (kind) {
	case IOTARGET_TEST_MEM_BVEC:
	case IOTARGET_TEST_MEM_ITER_BVEC:
		return odd && !i ? PAGE_SIZE - INSIDE : PAGE_SIZE;
	case IOTARGET_TEST_MEM_ITER_KVEC:
		return odd ? PAGE_SIZE + INSIDE : 3 * PAGE_SIZE;
	default:
		return size;
	}
}

static u32 mem_pieces(u32 kind, size_t size)
{
	size_t sum = 0;
	u32 i;

	for (i = 0; sum < size; i++)
		sum += piece_len(kind, size, i);
	return i;
}

static int mem_alloc_pages(struct iotarget_test_mem *mem)
{
	size_t left = mem->size;
	struct page *page;
	size_t offset;
	size_t len;
	u32 i;

	mem->bvecs = kvcalloc(mem->nr, sizeof(*mem->bvecs), GFP_KERNEL);
	if (!mem->bvecs)
		return -ENOMEM;
	for (i = 0; i < mem->nr; i++) {
		/* Two pages: every other piece lies across them. */
		page = alloc_pages(GFP_KERNEL, 1);
		if (!page)
			return -ENOMEM;
		offset = i % 2 ? 0 : INSIDE;
		len = min(left, piece_len(mem->kind, mem->size, i));
		bvec_set_page(&mem->bvecs[i], page, len, offset);
		mem->segs[i].iov_base = page_address(page) + offset;
		mem->segs[i].iov_len = len;
		left -= len;
	}
	return 0;
}

static int mem_alloc_piece(struct iotarget_test_mem *mem)
{
	size_t left = mem->size;
	void *at;
	u32 i;

	if (mem->kind == IOTARGET_TEST_MEM_KMALLOC)
		mem->base = kmalloc(mem->size, GFP_KERNEL | __GFP_NOWARN);
	else
		mem->base = vmalloc(mem->size);
	if (!mem->base)
		return -ENOMEM;
	at = mem->base;
	for (i = 0; i < mem->nr; i++) {
		mem->segs[i].iov_base = at;
		mem->segs[i].iov_len = min(left, piece_len(mem->kind,
							   mem->size, i));
		at += mem->segs[i].iov_len;
		left -= mem->segs[i].iov_len;
	}
	return 0;
}

int iotarget_test_mem_init(struct iotarget_test_mem *mem, u32 kind,
			   size_t size, bool write)
{
	unsigned int dir = write ? ITER_SOURCE : ITER_DEST;
	int ret;

	memset(mem, 0, sizeof(*mem));
	if (kind >= IOTARGET_TEST_NR_MEM || size > IOTARGET_TEST_MAX_BYTES)
		return -EINVAL;
	mem->kind = kind;
	if (kind == IOTARGET_TEST_MEM_NONE)
		return 0;
	if (!size)
		return -EINVAL;
	mem->size = size;
	mem->nr = mem_pieces(kind, size);
	mem->segs = kvcalloc(mem->nr, sizeof(*mem->segs), GFP_KERNEL);
	if (!mem->segs)
		return -ENOMEM;
	if (kind == IOTARGET_TEST_MEM_BVEC ||
	    kind == IOTARGET_TEST_MEM_ITER_BVEC)
		ret = mem_alloc_pages(mem);
	else
		ret = mem_alloc_piece(mem);
	if (ret) {
		iotarget_test_mem_free(mem);
		return ret;
	}
	if (kind == IOTARGET_TEST_MEM_ITER_KVEC)
		iov_iter_kvec(&mem->iter, dir, mem->segs, mem->nr, size);
	else if (kind == IOTARGET_TEST_MEM_ITER_BVEC)
		iov_iter_bvec(&mem->iter, dir, mem->bvecs, mem->nr, size);
	iotarget_test_mem_poison(mem);
	return 0;
}

void iotarget_test_mem_free(struct iotarget_test_mem *mem)
{
	u32 i;

	if (mem->bvecs) {
		for (i = 0; i < mem->nr && mem->bvecs[i].bv_page; i++)
			__free_pages(mem->bvecs[i].bv_page, 1);
		kvfree(mem->bvecs);
	}
	kvfree(mem->segs);
	kvfree(mem->base);
	memset(mem, 0, sizeof(*mem));
}

struct iotarget_buffer iotarget_test_mem_buffer(struct iotarget_test_mem *mem)
{
	switch (mem->kind) {
	case IOTARGET_TEST_MEM_BVEC:
		return iotarget_buf_bvec(mem->bvecs, mem->nr, mem->size);
	case IOTARGET_TEST_MEM_ITER_KVEC:
	case IOTARGET_TEST_MEM_ITER_BVEC:
		return iotarget_buf_iter(&mem->iter);
	default:
		return iotarget_buf(mem->base, mem->size);
	}
}

enum walk { FILL, COMPARE, SUM };

/*
 * Walk the 8-byte words of [offset, offset + len): write the pattern, or count
 * the words that differ from it, or sum them up.  Every piece is a multiple of
 * 8 bytes long when the memory is.
 */
static u64 mem_walk(struct iotarget_test_mem *mem, size_t offset, size_t len,
		    u64 seed, u64 pos, enum walk walk)
{
	u64 result = 0;
	u64 word, found;
	void *at;
	size_t n;
	u32 i;

	for (i = 0; i < mem->nr && len >= sizeof(word); i++) {
		if (offset >= mem->segs[i].iov_len) {
			offset -= mem->segs[i].iov_len;
			continue;
		}
		at = mem->segs[i].iov_base + offset;
		n = min(len, mem->segs[i].iov_len - offset);
		offset = 0;
		for (; n >= sizeof(word); n -= sizeof(word)) {
			/* Memory of any alignment. */
			memcpy(&found, at, sizeof(found));
			word = iotarget_test_word(seed, pos);
			if (walk == FILL)
				memcpy(at, &word, sizeof(word));
			else if (walk == COMPARE)
				result += found != word;
			else
				result = iotarget_test_sum(result, found);
			at += sizeof(word);
			pos += sizeof(word);
			len -= sizeof(word);
		}
	}
	return result;
}

void iotarget_test_mem_fill(struct iotarget_test_mem *mem, size_t offset,
			    size_t len, u64 seed, u64 pos)
{
	mem_walk(mem, offset, len, seed, pos, FILL);
}

u64 iotarget_test_mem_wrong(struct iotarget_test_mem *mem, size_t offset,
			    size_t len, u64 seed, u64 pos)
{
	return mem_walk(mem, offset, len, seed, pos, COMPARE);
}

u64 iotarget_test_mem_sum(struct iotarget_test_mem *mem, size_t offset,
			  size_t len)
{
	return mem_walk(mem, offset, len, 0, 0, SUM);
}

static u64 bytes_touched(const void *at, size_t len)
{
	const u8 *p = memchr_inv(at, IOTARGET_TEST_POISON, len);
	const u8 *end = at + len;
	u64 touched = 0;

	if (!p)
		return 0;
	for (; p < end; p++)
		touched += *p != IOTARGET_TEST_POISON;
	return touched;
}

u64 iotarget_test_mem_touched(struct iotarget_test_mem *mem)
{
	u64 touched = 0;
	u32 i;

	for (i = 0; i < mem->nr; i++)
		touched += bytes_touched(mem->segs[i].iov_base,
					 mem->segs[i].iov_len);
	return touched;
}

void iotarget_test_mem_poison(struct iotarget_test_mem *mem)
{
	u32 i;

	for (i = 0; i < mem->nr; i++)
		memset(mem->segs[i].iov_base, IOTARGET_TEST_POISON,
		       mem->segs[i].iov_len);
}

static int transfer_forever(struct iotarget_test_client *client,
			    struct iotarget_test_transfer *arg,
			    struct iotarget_result *result)
{
	struct iotarget_test_mem mem;
	struct iotarget_buffer buf;
	bool write = arg->type == IOTARGET_TEST_WRITE;
	ktime_t start;
	int ret;

	ret = iotarget_test_mem_init(&mem, arg->memory, arg->len, write);
	if (ret)
		return ret;
	if (write)
		iotarget_test_mem_fill(&mem, 0, arg->len, arg->seed, arg->pos);
	buf = iotarget_test_mem_buffer(&mem);
	start = ktime_get();
	if (arg->type == IOTARGET_TEST_READ)
		arg->head.ret = iotarget_read_wait_forever(client->target, &buf,
							   arg->pos, result);
	else if (write)
		arg->head.ret = iotarget_write_wait_forever(client->target,
							    &buf, arg->pos,
							    result);
	else
		arg->head.ret = iotarget_flush_wait_forever(client->target,
							    result);
	arg->head.ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	if (mem.size) {
		arg->touched = iotarget_test_mem_touched(&mem);
		arg->wrong = iotarget_test_mem_wrong(&mem, 0, arg->len,
						     arg->seed, arg->pos);
	}
	iotarget_test_mem_free(&mem);
	return 0;
}

static int transfer_do(struct iotarget_test_client *client,
		       struct iotarget_test_transfer *arg, void *data,
		       struct iotarget_result *result)
{
	if (arg->bits & IOTARGET_TEST_NULL_DATA)
		data = NULL;
	switch (arg->type) {
	case IOTARGET_TEST_READ:
		return iotarget_read(client->target, data, arg->len, arg->pos,
				     arg->timeout_ms, result);
	case IOTARGET_TEST_WRITE:
		return iotarget_write(client->target, data, arg->len, arg->pos,
				      arg->timeout_ms, result);
	default:
		return iotarget_flush(client->target, arg->timeout_ms, result);
	}
}

/*
 * Who owns the memory after the call?  The caller, always: it is looked at when
 * the call has returned, then spoilt if so asked, and looked at again later,
 * when a device that sat on the transfer has had the time to answer.
 */
static int transfer_timed(struct iotarget_test_client *client,
			  struct iotarget_test_transfer *arg,
			  struct iotarget_result *result)
{
	size_t room = arg->len + arg->misalign + 2 * GUARD;
	bool write = arg->type == IOTARGET_TEST_WRITE;
	struct iotarget_test_mem mem;
	struct kvec seg;
	ktime_t start;
	void *data;

	memset(&mem, 0, sizeof(mem));
	mem.base = vmalloc(room);
	if (!mem.base)
		return -ENOMEM;
	memset(mem.base, IOTARGET_TEST_POISON, room);
	data = mem.base + GUARD + arg->misalign;
	seg.iov_base = data;
	seg.iov_len = arg->len;
	mem.segs = &seg;
	mem.nr = 1;
	if (write)
		iotarget_test_mem_fill(&mem, 0, arg->len, arg->seed, arg->pos);
	start = ktime_get();
	arg->head.ret = transfer_do(client, arg, data, result);
	arg->head.ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	arg->touched = bytes_touched(data, arg->len);
	arg->wrong = iotarget_test_mem_wrong(&mem, 0, arg->len, arg->seed,
					     arg->pos);
	if (arg->bits & IOTARGET_TEST_SCRIBBLE)
		memset(data, IOTARGET_TEST_POISON, arg->len);
	if (arg->linger_ms)
		msleep(arg->linger_ms);
	arg->touched_late = bytes_touched(data, arg->len);
	arg->overrun = bytes_touched(mem.base, data - mem.base) +
		       bytes_touched(data + arg->len,
				     mem.base + room - data - arg->len);
	vfree(mem.base);
	return 0;
}

int iotarget_test_transfer_call(struct iotarget_test_client *client,
				struct iotarget_test_transfer *arg)
{
	struct iotarget_result result, *where = &result;
	int ret;

	if (arg->type < IOTARGET_TEST_READ || arg->type > IOTARGET_TEST_FLUSH)
		return -EINVAL;
	if (arg->len > IOTARGET_TEST_MAX_BYTES || arg->misalign >= PAGE_SIZE ||
	    arg->linger_ms > IOTARGET_TEST_MAX_LINGER_MS)
		return -EINVAL;
	if (arg->bits & IOTARGET_TEST_NO_RESULT)
		where = NULL;
	memset(&result, 0xff, sizeof(result));
	if (arg->bits & IOTARGET_TEST_FOREVER)
		ret = transfer_forever(client, arg, where);
	else
		ret = transfer_timed(client, arg, where);
	arg->outcome = result.outcome;
	arg->bytes = result.bytes;
	return ret;
}
