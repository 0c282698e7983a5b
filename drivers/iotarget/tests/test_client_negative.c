// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotarget_test.ko: calls with wrong arguments that only kernel code can make:
 * NULL pointers, other structure sizes, waiting with interrupts off.  Each is
 * made with one thing wrong; what it should answer stands in the selftest.
 *
 * Context: process context; the "atomic" ones with client->atomic held.
 */
#include <linux/bvec.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "test_client.h"

#define TIMEOUT_MS	1000
#define SECTOR		512

static int made(struct iotarget *target)
{
	if (IS_ERR(target))
		return PTR_ERR(target);
	if (!target)
		return -ENODATA;
	iotarget_delete(target, TIMEOUT_MS, NULL);
	return 0;
}

static int negative_create(u32 number)
{
	struct iotarget_ops ops = {};
	struct iotarget_create_params params = { .name = "negative" };
	char name[IOTARGET_NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	switch (number) {
	case IOTARGET_TEST_NEG_CREATE_NULL:
		return made(iotarget_create(NULL));
	case IOTARGET_TEST_NEG_CREATE_NO_NAME:
		params.name = NULL;
		break;
	case IOTARGET_TEST_NEG_CREATE_EMPTY_NAME:
		params.name = "";
		break;
	case IOTARGET_TEST_NEG_CREATE_LONG_NAME:
		params.name = name;
		break;
	case IOTARGET_TEST_NEG_CREATE_UPPER_CASE:
		params.name = "Negative";
		break;
	case IOTARGET_TEST_NEG_CREATE_SLASH:
		params.name = "nega/tive";
		break;
	case IOTARGET_TEST_NEG_CREATE_FLAGS:
		params.flags = BIT(30);
		break;
	case IOTARGET_TEST_NEG_CREATE_RESERVED:
		params.reserved[ARRAY_SIZE(params.reserved) - 1] = 1;
		break;
	case IOTARGET_TEST_NEG_CREATE_OPS_RESERVED:
		ops.reserved[0] = 1;
		params.ops = &ops;
		break;
	}
	return made(iotarget_create(&params));
}

static int negative_abi(u32 number)
{
	struct iotarget_create_params params = { .name = "negative" };
	struct iotarget_abi abi = IOTARGET_ABI_INIT;

	switch (number) {
	case IOTARGET_TEST_NEG_ABI_NULL:
		return made(__iotarget_create(&params, NULL));
	case IOTARGET_TEST_NEG_ABI_GENERATION:
		abi.generation++;
		break;
	case IOTARGET_TEST_NEG_ABI_ABI_SIZE:
		abi.abi_size += sizeof(u32);
		break;
	case IOTARGET_TEST_NEG_ABI_CREATE_SIZE:
		abi.create_size += sizeof(u64);
		break;
	case IOTARGET_TEST_NEG_ABI_OPS_SIZE:
		abi.ops_size += sizeof(u64);
		break;
	case IOTARGET_TEST_NEG_ABI_OPEN_SIZE:
		abi.open_size -= sizeof(u64);
		break;
	case IOTARGET_TEST_NEG_ABI_REQUEST_SIZE:
		abi.request_size -= sizeof(u64);
		break;
	case IOTARGET_TEST_NEG_ABI_SEND_SIZE:
		abi.send_size += sizeof(u64);
		break;
	case IOTARGET_TEST_NEG_ABI_INFO_SIZE:
		abi.info_size += sizeof(u64);
		break;
	}
	return made(__iotarget_create(&params, &abi));
}

static int negative_null_control(struct iotarget *target, u32 number)
{
	struct iotarget_open_params params = {
		.type = IOTARGET_OPEN_FILE,
		.access = IOTARGET_ACCESS_READ,
		.share = IOTARGET_SHARE_READ | IOTARGET_SHARE_WRITE,
	};
	struct iotarget_info info;

	switch (number) {
	case IOTARGET_TEST_NEG_NULL_OPEN:
		return iotarget_open(NULL, &params);
	case IOTARGET_TEST_NEG_NULL_OPEN_PARAMS:
		return iotarget_open(target, NULL);
	case IOTARGET_TEST_NEG_NULL_OPEN_FILE:
		return iotarget_open(target, &params);
	case IOTARGET_TEST_NEG_NULL_CLOSE:
		return iotarget_close(NULL, 0, NULL);
	case IOTARGET_TEST_NEG_NULL_QUERY_REMOVE:
		return iotarget_close_for_query_remove(NULL, 0, NULL);
	case IOTARGET_TEST_NEG_NULL_START:
		return iotarget_start(NULL);
	case IOTARGET_TEST_NEG_NULL_START_AND_WAIT:
		return iotarget_start_and_wait(NULL, 0, NULL);
	case IOTARGET_TEST_NEG_NULL_STOP:
		return iotarget_stop(NULL, IOTARGET_WAIT_FOR_SENT, 0, NULL);
	case IOTARGET_TEST_NEG_NULL_PURGE:
		return iotarget_purge(NULL, IOTARGET_PURGE, 0, NULL);
	case IOTARGET_TEST_NEG_NULL_DELETE:
		return iotarget_delete(NULL, 0, NULL);
	case IOTARGET_TEST_NEG_NULL_GET_STATE:
		return iotarget_get_state(NULL);
	case IOTARGET_TEST_NEG_NULL_GET_INFO:
		return iotarget_get_info(NULL, &info);
	default:
		return iotarget_get_info(target, NULL);
	}
}

static int negative_null_io(struct iotarget *target,
			    struct iotarget_request *req, u32 number)
{
	static const struct iotarget_send_params send;
	struct iotarget_buffer none = iotarget_buf(NULL, 0);
	struct iotarget_result result;
	char data[8] = {};

	switch (number) {
	case IOTARGET_TEST_NEG_NULL_READ:
		return iotarget_read(NULL, data, sizeof(data), 0, TIMEOUT_MS,
				     &result);
	case IOTARGET_TEST_NEG_NULL_READ_DATA:
		return iotarget_read(target, NULL, SECTOR, 0, TIMEOUT_MS,
				     &result);
	case IOTARGET_TEST_NEG_NULL_WRITE:
		return iotarget_write(NULL, data, sizeof(data), 0, TIMEOUT_MS,
				      &result);
	case IOTARGET_TEST_NEG_NULL_FLUSH:
		return iotarget_flush(NULL, TIMEOUT_MS, &result);
	case IOTARGET_TEST_NEG_NULL_FORMAT_TARGET:
		return iotarget_format_read(NULL, req, &none, 0);
	case IOTARGET_TEST_NEG_NULL_FORMAT_REQUEST:
		return iotarget_format_read(target, NULL, &none, 0);
	case IOTARGET_TEST_NEG_NULL_SEND_TARGET:
		return iotarget_send(NULL, req, &send);
	case IOTARGET_TEST_NEG_NULL_SEND_REQUEST:
		return iotarget_send(target, NULL, &send);
	case IOTARGET_TEST_NEG_NULL_WAIT:
		return iotarget_request_wait(NULL, 0);
	case IOTARGET_TEST_NEG_NULL_REUSE:
		return iotarget_request_reuse(NULL);
	case IOTARGET_TEST_NEG_NULL_FREE:
		return iotarget_request_free(NULL);
	case IOTARGET_TEST_NEG_NULL_CANCEL:
		return iotarget_request_cancel(NULL);
	default:
		return iotarget_send(target, req, &send);
	}
}

static int negative_buffer(struct iotarget *target,
			   struct iotarget_request *req, void *data, u32 number)
{
	struct iotarget_buffer buf = iotarget_buf(data, SECTOR);
	struct bio_vec bvec;
	struct iov_iter iter;

	switch (number) {
	case IOTARGET_TEST_NEG_BUFFER_TYPE:
		buf.type = IOTARGET_BUF_ITER + 1;
		break;
	case IOTARGET_TEST_NEG_BVEC_SHORT:
		/* The array holds less than is asked for. */
		bvec_set_virt(&bvec, data, SECTOR);
		buf = iotarget_buf_bvec(&bvec, 1, 2 * SECTOR);
		break;
	default:
		iov_iter_ubuf(&iter, ITER_DEST, NULL, SECTOR);
		buf = iotarget_buf_iter(&iter);
	}
	return iotarget_format_read(target, req, &buf, 0);
}

static int negative_atomic(struct iotarget_test_client *client, void *data,
			   u32 number)
{
	struct iotarget_buffer buf = iotarget_buf(data, SECTOR);
	struct iotarget_open_params params = {
		.type = IOTARGET_OPEN_REOPEN,
	};
	struct iotarget *target = client->target;
	struct iotarget_result result;
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&client->atomic, flags);
	switch (number) {
	case IOTARGET_TEST_NEG_ATOMIC_OPEN:
		ret = iotarget_open(target, &params);
		break;
	case IOTARGET_TEST_NEG_ATOMIC_READ:
		ret = iotarget_read(target, data, SECTOR, 0, TIMEOUT_MS,
				    &result);
		break;
	case IOTARGET_TEST_NEG_ATOMIC_WRITE:
		ret = iotarget_write(target, data, SECTOR, 0, TIMEOUT_MS,
				     &result);
		break;
	case IOTARGET_TEST_NEG_ATOMIC_FLUSH:
		ret = iotarget_flush(target, TIMEOUT_MS, &result);
		break;
	default:
		ret = iotarget_read_wait_forever(target, &buf, 0, &result);
	}
	spin_unlock_irqrestore(&client->atomic, flags);
	return ret;
}

/* Memory on a stack that is itself vmalloc'ed: legal for a kernel buffer. */
static int stack_read(struct iotarget *target)
{
	u8 room[2 * SECTOR];
	u8 *data = PTR_ALIGN(&room[0], SECTOR);
	struct iotarget_buffer buf = iotarget_buf(data, SECTOR);
	struct iotarget_result result;
	u8 *heap;
	int ret;

	heap = kmalloc(SECTOR, GFP_KERNEL);
	if (!heap)
		return -ENOMEM;
	ret = iotarget_read(target, heap, SECTOR, 0, TIMEOUT_MS, &result);
	if (!ret)
		ret = iotarget_read_wait_forever(target, &buf, 0, &result);
	if (!ret && memcmp(heap, data, SECTOR))
		ret = -EBADMSG;
	kfree(heap);
	return ret;
}

static int negative_with_request(struct iotarget_test_client *client,
				 u32 number)
{
	struct iotarget_request *req = iotarget_request_alloc(GFP_KERNEL);
	void *data = kzalloc(SECTOR, GFP_KERNEL);
	int ret = -ENOMEM;

	if (!req || !data)
		goto out;
	if (number <= IOTARGET_TEST_NEG_UNFORMATTED)
		ret = negative_null_io(client->target, req, number);
	else if (number <= IOTARGET_TEST_NEG_ITER_USER)
		ret = negative_buffer(client->target, req, data, number);
	else
		ret = negative_atomic(client, data, number);
out:
	kfree(data);
	if (req)
		iotarget_request_free(req);
	return ret;
}

int iotarget_test_negative_call(struct iotarget_test_client *client,
				struct iotarget_test_negative_call *arg)
{
	ktime_t start = ktime_get();
	u32 number = arg->number;
	int ret;

	if (number >= IOTARGET_TEST_NR_NEG)
		return -EINVAL;
	if (number <= IOTARGET_TEST_NEG_CREATE_OPS_RESERVED)
		ret = negative_create(number);
	else if (number <= IOTARGET_TEST_NEG_ABI_INFO_SIZE)
		ret = negative_abi(number);
	else if (number <= IOTARGET_TEST_NEG_NULL_INFO)
		ret = negative_null_control(client->target, number);
	else if (number == IOTARGET_TEST_NEG_STACK_READ)
		ret = stack_read(client->target);
	else
		ret = negative_with_request(client, number);
	arg->head.ret = ret;
	arg->head.ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	return 0;
}
