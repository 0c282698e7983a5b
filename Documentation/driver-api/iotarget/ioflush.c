// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/ioflush: what was written is on stable storage a few seconds later, be
 * there a program that asks for it or not.  writing-a-stacked-driver.rst.
 */
#include <linux/err.h>
#include <linux/iotarget_disk.h>
#include <linux/module.h>
#include <linux/workqueue.h>

static unsigned int seconds = 5;
module_param(seconds, uint, 0644);

static unsigned long bits;
enum { MADE, FLUSHING, FAILED };
static struct iotarget_disk *disk;
static struct iotarget *local;
static struct iotarget_request flush;

static void ioflush_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(later, ioflush_work);

/* Any context.  The work has a reference of its own. */
static void flush_later(struct iotarget *target)
{
	if (iotarget_get_state(target) == IOTARGET_DELETED)
		return;
	iotarget_get(target);
	WRITE_ONCE(local, target);
	if (!schedule_delayed_work(&later, min(seconds, 3600U) * HZ))
		iotarget_put_atomic(target);
}

/* Any context; once for each send that returned 0. */
static void ioflush_done(struct iotarget *target, struct iotarget_request *req,
			 void *context)
{
	const bool sent = iotarget_request_outcome(req) != IOTARGET_NEVER_SENT;
	const bool failed = iotarget_request_status(req);

	if (sent && failed)
		set_bit(FAILED, &bits);
	clear_bit_unlock(FLUSHING, &bits);
	if (!sent)
		flush_later(target);
}

static void ioflush_work(struct work_struct *work)
{
	struct iotarget *target = READ_ONCE(local);

	if (test_and_set_bit_lock(FLUSHING, &bits)) {
		flush_later(target);		/* the last one is still out */
	} else if (iotarget_request_reuse(&flush) ?:
		   iotarget_format_flush(target, &flush) ?:
		   iotarget_request_set_complete(&flush, ioflush_done, NULL) ?:
		   iotarget_send(target, &flush, NULL)) {
		clear_bit_unlock(FLUSHING, &bits);
		flush_later(target);		/* purged, or about to go */
	}
	iotarget_put(target);
}

/* Any context; each bio on its way back, before its submitter hears of it. */
static enum iotarget_bio_verdict
ioflush_end_bio(struct iotarget *target, struct bio *bio, blk_status_t *status,
		enum iotarget_outcome outcome)
{
	if (!*status && op_is_write(bio_op(bio)) && bio->bi_iter.bi_size &&
	    !(bio->bi_opf & REQ_FUA))
		flush_later(target);
	if (bio->bi_opf & REQ_PREFLUSH && test_and_clear_bit(FAILED, &bits))
		*status = BLK_STS_IOERR;
	return IOTARGET_BIO_END;
}

static void ioflush_release(struct iotarget_disk *gone)
{
	clear_bit_unlock(MADE, &bits);
}

static struct iotarget_disk_ops ioflush_ops = {
	.owner		= THIS_MODULE,
	.end_bio	= ioflush_end_bio,
	.release	= ioflush_release,
};

static int make_disk(const char *path)
{
	const struct iotarget_open_params lower = {
		.type = IOTARGET_OPEN_PATH, .path = path, .timeout_ms = 5000,
		.access = IOTARGET_ACCESS_READ | IOTARGET_ACCESS_WRITE,
	};
	const struct iotarget_disk_params params = {
		.name = "ioflush", .ops = &ioflush_ops, .lower = &lower,
	};
	struct iotarget_disk *made;

	if (test_and_set_bit_lock(MADE, &bits))
		return -EBUSY;
	clear_bit(FAILED, &bits);
	iotarget_request_init(&flush);
	made = iotarget_disk_create(&params);
	if (IS_ERR(made))
		clear_bit_unlock(MADE, &bits);
	else
		disk = made;
	return PTR_ERR_OR_ZERO(made);
}

static void ioflush_cancel(void)
{
	if (cancel_delayed_work_sync(&later))
		iotarget_put(local);
}

/* Under the lock of the module's parameters. */
static int device_set(const char *value, const struct kernel_param *param)
{
	char path[256];
	int ret;

	if (THIS_MODULE->state != MODULE_STATE_LIVE)
		return -EBUSY;
	if (strscpy(path, value, sizeof(path)) < 0)
		return -ENAMETOOLONG;
	if (*strim(path))
		return make_disk(strim(path));
	ret = disk ? iotarget_disk_remove(disk, false, 5000) : -ENODEV;
	if (ret == -EBUSY)
		return ret;
	disk = NULL;			/* gone, or on its way */
	ioflush_cancel();
	return ret;
}

static const struct kernel_param_ops device_ops = { .set = device_set };
module_param_cb(device, &device_ops, NULL, 0200);

/* An open target pins the module, so the disk has gone; maybe not the work. */
static void __exit ioflush_exit(void)
{
	ioflush_cancel();
}
module_exit(ioflush_exit);

MODULE_DESCRIPTION("A disk that is flushed soon after each write");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("IOTARGET_1");
