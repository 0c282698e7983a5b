// SPDX-License-Identifier: GPL-2.0-only
/* Reads one page of a block device through an I/O target. */
#include <linux/err.h>
#include <linux/iotarget.h>
#include <linux/module.h>
#include <linux/slab.h>

#define WAIT_MS	5000

static char *path = "/dev/ram0";
module_param(path, charp, 0444);
MODULE_PARM_DESC(path, "block device to read");

static const struct iotarget_ops example_ops = { .owner = THIS_MODULE };

/* Any context; once for each send that returned 0, however the I/O ended. */
static void example_done(struct iotarget *target, struct iotarget_request *req,
			 void *data)
{
	pr_info("%s: status %d, outcome %d, %zu bytes\n", iotarget_name(target),
		iotarget_request_status(req), iotarget_request_outcome(req),
		iotarget_request_bytes(req));
	kfree(data);
	iotarget_request_free(req);
}

static int example_send(struct iotarget *target)
{
	struct iotarget_request *req = iotarget_request_alloc(GFP_KERNEL);
	void *data = kmalloc(PAGE_SIZE, GFP_KERNEL);
	struct iotarget_buffer buf = iotarget_buf(data, PAGE_SIZE);
	int ret = -ENOMEM;

	if (req && data)
		ret = iotarget_format_read(target, req, &buf, 0);
	if (!ret)
		ret = iotarget_request_set_complete(req, example_done, data);
	if (!ret)
		ret = iotarget_send(target, req, NULL);
	if (ret) {
		/* Nobody else has them. */
		kfree(data);
		iotarget_request_free(req);
	}
	return ret;
}

static int example_use(struct iotarget *target)
{
	const struct iotarget_open_params params = {
		.type = IOTARGET_OPEN_PATH, .path = path,
		.access = IOTARGET_ACCESS_READ, .share = IOTARGET_SHARE_READ,
	};

	return iotarget_open(target, &params) ?:
	       iotarget_stop(target, IOTARGET_WAIT_FOR_SENT, WAIT_MS, NULL) ?:
	       example_send(target) ?:			/* held */
	       iotarget_start_and_wait(target, WAIT_MS, NULL) ?:	/* sent */
	       /* Whatever was sent is called back when this returns 0. */
	       iotarget_stop(target, IOTARGET_WAIT_FOR_SENT, WAIT_MS, NULL) ?:
	       iotarget_purge(target, IOTARGET_PURGE_AND_WAIT, WAIT_MS, NULL) ?:
	       iotarget_close(target, WAIT_MS, NULL);
}

static int __init example_init(void)
{
	const struct iotarget_create_params params = {
		.name = "example", .ops = &example_ops,
	};
	struct iotarget *target = iotarget_create(&params);

	if (IS_ERR(target))
		return PTR_ERR(target);
	pr_info("example: %d\n", example_use(target));
	/*
	 * Whatever failed, this ends it.  A device that never answers keeps
	 * this module in memory, so there is no error to return from here.
	 */
	iotarget_delete(target, WAIT_MS, NULL);
	return 0;
}

static void __exit example_exit(void)
{
}

module_init(example_init);
module_exit(example_exit);
MODULE_DESCRIPTION("Example of an I/O target");
MODULE_IMPORT_NS("IOTARGET_1");
MODULE_LICENSE("GPL");
