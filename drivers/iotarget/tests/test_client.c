// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotarget_test.ko: the client that the selftests drive.
 *
 * A misc device whose every open file owns one I/O target; each ioctl makes
 * one call of the driver API for user space and measures it.  For tests only:
 * it is never installed, wants CAP_SYS_ADMIN, and will make any call it is
 * asked to make, wrong ones on purpose.
 *
 * Context: process context of the caller.  Several threads may use one file:
 * client->lock guards the pointers in the client and is never held over a call
 * that may wait for I/O.  A client lives until its file is closed and its
 * target is gone (ops->destroy), whichever comes last.
 */
#include <linux/blkdev.h>
#include <linux/capability.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "test_client.h"

/* How long a closed file waits for what its target still has out. */
#define RELEASE_TIMEOUT_MS	20000

atomic64_t iotarget_test_accepted;
atomic64_t iotarget_test_completed;
atomic64_t iotarget_test_doubles;
static atomic64_t created;
static atomic64_t destroyed;

static struct miscdevice iotarget_test_misc;

static void client_put(struct iotarget_test_client *client)
{
	if (!refcount_dec_and_test(&client->refs))
		return;
	iotarget_test_slots_free(client, true);
	iotarget_test_load_free(client, true);
	kfree(client);
}

static void client_cleanup(struct iotarget *target)
{
	struct iotarget_test_client *client = iotarget_priv(target);
	struct iotarget_info info = {};

	/* The owner may still drain its own way: what is held is held. */
	iotarget_get_info(target, &info);
	client->cleanup_pended = info.pended;
	atomic_inc(&client->cleanups);
}

static void client_destroy(void *priv)
{
	atomic64_inc(&destroyed);
	client_put(priv);
}

static int create_call(struct iotarget_test_client *client,
		       struct iotarget_test_create *arg)
{
	struct iotarget_create_params params = {
		.name = arg->name,
		.limbo_bytes = arg->limbo_bytes,
		.owner = iotarget_test_misc.this_device,
		.ops = &client->ops,
		.priv = client,
	};
	struct iotarget *target;
	ktime_t start;

	arg->name[sizeof(arg->name) - 1] = '\0';
	mutex_lock(&client->lock);
	if (client->target) {
		mutex_unlock(&client->lock);
		return -EBUSY;
	}
	iotarget_test_removal_init(client, arg->bits & IOTARGET_TEST_DEFAULTS);
	refcount_inc(&client->refs);
	start = ktime_get();
	target = iotarget_create(&params);
	arg->head.ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	arg->head.ret = PTR_ERR_OR_ZERO(target);
	if (!arg->head.ret) {
		atomic64_inc(&created);
		client->target = iotarget_get(target);
	}
	mutex_unlock(&client->lock);
	if (arg->head.ret)
		client_put(client);
	return 0;
}

static int open_call(struct iotarget_test_client *client,
		     struct iotarget_test_open *arg)
{
	struct iotarget_open_params params = {
		.type = arg->type,
		.flags = arg->flags,
		.access = arg->access,
		.share = arg->share,
		.timeout_ms = arg->timeout_ms,
	};
	struct file *file = NULL;
	ktime_t start;

	arg->path[sizeof(arg->path) - 1] = '\0';
	switch (arg->type) {
	case IOTARGET_OPEN_PATH:
		if (!(arg->bits & IOTARGET_TEST_NULL_PATH))
			params.path = arg->path;
		break;
	case IOTARGET_OPEN_DEVT:
		params.devt = MKDEV(arg->major, arg->minor);
		break;
	case IOTARGET_OPEN_FILE:
		file = fget(arg->fd);
		if (!file)
			return -EBADF;
		params.file = file;
		break;
	}
	if (arg->bits & IOTARGET_TEST_BAD_RESERVED)
		params.reserved[0] = 1;
	/* A target is started when it has been opened. */
	iotarget_test_load_before(client, IOTARGET_TEST_START);
	start = ktime_get();
	arg->head.ret = iotarget_open(client->target, &params);
	arg->head.ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	iotarget_test_load_after(client, IOTARGET_TEST_START, false);
	/* The path was copied: whoever keeps a pointer to it is found out. */
	memset(arg->path, IOTARGET_TEST_POISON, sizeof(arg->path));
	if (file)
		fput(file);
	return 0;
}

static int control_do(struct iotarget *target,
		      struct iotarget_test_control *arg,
		      struct iotarget_wait_report *report)
{
	switch (arg->op) {
	case IOTARGET_TEST_START:
		return iotarget_start(target);
	case IOTARGET_TEST_START_AND_WAIT:
		return iotarget_start_and_wait(target, arg->timeout_ms, report);
	case IOTARGET_TEST_STOP:
		return iotarget_stop(target, arg->action, arg->timeout_ms,
				     report);
	case IOTARGET_TEST_PURGE:
		return iotarget_purge(target, arg->action, arg->timeout_ms,
				      report);
	case IOTARGET_TEST_CLOSE:
		return iotarget_close(target, arg->timeout_ms, report);
	case IOTARGET_TEST_CLOSE_FOR_QUERY_REMOVE:
		return iotarget_close_for_query_remove(target, arg->timeout_ms,
						       report);
	default:
		return iotarget_delete(target, arg->timeout_ms, report);
	}
}

static int control_atomic(struct iotarget_test_client *client,
			  struct iotarget_test_control *arg,
			  struct iotarget_wait_report *report)
{
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&client->atomic, flags);
	ret = control_do(client->target, arg, report);
	spin_unlock_irqrestore(&client->atomic, flags);
	return ret;
}

/* After success of these nothing that was sent is out any more. */
static bool control_makes_quiet(const struct iotarget_test_control *arg)
{
	switch (arg->op) {
	case IOTARGET_TEST_STOP:
		return arg->action == IOTARGET_CANCEL_SENT ||
		       arg->action == IOTARGET_WAIT_FOR_SENT;
	case IOTARGET_TEST_PURGE:
		return arg->action == IOTARGET_PURGE_AND_WAIT;
	case IOTARGET_TEST_CLOSE:
	case IOTARGET_TEST_CLOSE_FOR_QUERY_REMOVE:
		return true;
	default:
		return false;
	}
}

static int control_call(struct iotarget_test_client *client,
			struct iotarget_test_control *arg)
{
	struct iotarget_wait_report report, *where = &report;
	ktime_t start;

	if (arg->op > IOTARGET_TEST_DELETE)
		return -EINVAL;
	if (arg->bits & IOTARGET_TEST_NO_REPORT)
		where = NULL;
	memset(&report, 0xff, sizeof(report));
	iotarget_test_load_before(client, arg->op);
	start = ktime_get();
	if (arg->bits & IOTARGET_TEST_ATOMIC)
		arg->head.ret = control_atomic(client, arg, where);
	else
		arg->head.ret = control_do(client->target, arg, where);
	arg->head.ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	arg->running = atomic_read(&client->running);
	iotarget_test_load_after(client, arg->op,
				 !arg->head.ret && control_makes_quiet(arg));
	arg->state = iotarget_get_state(client->target);
	arg->report.sent = report.sent;
	arg->report.pended = report.pended;
	arg->report.oldest_ms = report.oldest_ms;
	return 0;
}

static void info_getters(struct iotarget_test_client *client,
			 struct iotarget_test_info *arg)
{
	struct block_device *bdev = iotarget_get_bdev(client->target);

	arg->have_bdev = !!bdev;
	if (bdev) {
		arg->bdev_major = MAJOR(bdev->bd_dev);
		arg->bdev_minor = MINOR(bdev->bd_dev);
	}
	if (!strcmp(iotarget_name(client->target), arg->name))
		arg->getters |= IOTARGET_TEST_GETTER_NAME;
	if (iotarget_owner(client->target) == iotarget_test_misc.this_device)
		arg->getters |= IOTARGET_TEST_GETTER_OWNER;
	if (iotarget_priv(client->target) == client)
		arg->getters |= IOTARGET_TEST_GETTER_PRIV;
	arg->cleanups = atomic_read(&client->cleanups);
	arg->cleanup_pended = client->cleanup_pended;
}

static int info_call(struct iotarget_test_client *client,
		     struct iotarget_test_info *arg)
{
	struct iotarget_info info = {};
	ktime_t start;

	memset((void *)arg + sizeof(arg->head), 0,
	       sizeof(*arg) - sizeof(arg->head));
	start = ktime_get();
	arg->head.ret = iotarget_get_info(client->target, &info);
	arg->head.ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	arg->state = iotarget_get_state(client->target);
	arg->id = info.id;
	strscpy(arg->name, info.name, sizeof(arg->name));
	arg->info_state = info.state;
	arg->access = info.access;
	arg->major = MAJOR(info.devt);
	arg->minor = MINOR(info.devt);
	strscpy(arg->disk_name, info.disk_name, sizeof(arg->disk_name));
	arg->capacity = info.capacity;
	arg->logical_block_size = info.logical_block_size;
	arg->physical_block_size = info.physical_block_size;
	arg->max_transfer = info.max_transfer;
	arg->dma_alignment = info.dma_alignment;
	arg->partition = info.partition;
	arg->write_cache = info.write_cache;
	arg->read_only = info.read_only;
	arg->rotational = info.rotational;
	arg->removable = info.removable;
	arg->unique_id_type = info.unique_id_type;
	arg->unique_id_len = info.unique_id_len;
	memcpy(arg->unique_id, info.unique_id, sizeof(arg->unique_id));
	strscpy(arg->serial, info.serial, sizeof(arg->serial));
	arg->diskseq = info.diskseq;
	arg->pended = info.pended;
	arg->sent = info.sent;
	arg->ignored = info.ignored;
	arg->oldest_ms = info.oldest_ms;
	arg->limbo = info.limbo;
	arg->limbo_bytes = info.limbo_bytes;
	arg->closing = info.closing;
	arg->held_bytes = info.held_bytes;
	arg->at_risk = info.at_risk;
	arg->lost = info.lost;
	arg->away = info.away;
	info_getters(client, arg);
	return 0;
}

static int global_call(struct iotarget_test_client *client,
		       struct iotarget_test_global *arg)
{
	arg->created = atomic64_read(&created);
	arg->destroyed = atomic64_read(&destroyed);
	arg->accepted = atomic64_read(&iotarget_test_accepted);
	arg->completed = atomic64_read(&iotarget_test_completed);
	arg->doubles = atomic64_read(&iotarget_test_doubles);
	return 0;
}

/* Everything that an ioctl can bring; too large for the stack. */
union iotarget_test_arg {
	struct iotarget_test_head		head;
	struct iotarget_test_create		create;
	struct iotarget_test_open		open;
	struct iotarget_test_control		control;
	struct iotarget_test_info		info;
	struct iotarget_test_global		global;
	struct iotarget_test_transfer		transfer;
	struct iotarget_test_format		format;
	struct iotarget_test_send		send;
	struct iotarget_test_request		request;
	struct iotarget_test_query		query;
	struct iotarget_test_negative_call	negative;
	struct iotarget_test_load_start		load_start;
	struct iotarget_test_load_stop		load_stop;
	struct iotarget_test_removal		removal;
	struct iotarget_test_consent		consent;
	struct iotarget_test_policy		policy;
};

static int ioctl_do(struct iotarget_test_client *client, unsigned int cmd,
		    union iotarget_test_arg *arg)
{
	switch (cmd) {
	case IOTARGET_TEST_IOC_OPEN:
		return open_call(client, &arg->open);
	case IOTARGET_TEST_IOC_CONTROL:
		return control_call(client, &arg->control);
	case IOTARGET_TEST_IOC_INFO:
		return info_call(client, &arg->info);
	case IOTARGET_TEST_IOC_TRANSFER:
		return iotarget_test_transfer_call(client, &arg->transfer);
	case IOTARGET_TEST_IOC_FORMAT:
		return iotarget_test_format_call(client, &arg->format);
	case IOTARGET_TEST_IOC_SEND:
		return iotarget_test_send_call(client, &arg->send);
	case IOTARGET_TEST_IOC_REQUEST:
		return iotarget_test_request_call(client, &arg->request);
	case IOTARGET_TEST_IOC_QUERY:
		return iotarget_test_query_call(client, &arg->query);
	case IOTARGET_TEST_IOC_NEGATIVE:
		return iotarget_test_negative_call(client, &arg->negative);
	case IOTARGET_TEST_IOC_LOAD_START:
		return iotarget_test_load_start(client, &arg->load_start);
	case IOTARGET_TEST_IOC_LOAD_STOP:
		return iotarget_test_load_stop(client, &arg->load_stop);
	case IOTARGET_TEST_IOC_REMOVAL:
		return iotarget_test_removal_call(client, &arg->removal);
	case IOTARGET_TEST_IOC_CONSENT:
		return iotarget_test_consent_call(client, &arg->consent);
	case IOTARGET_TEST_IOC_POLICY:
		return iotarget_test_policy_call(client, &arg->policy);
	default:
		return -ENOTTY;
	}
}

static int ioctl_one(struct iotarget_test_client *client, unsigned int cmd,
		     union iotarget_test_arg *arg)
{
	bool have;

	if (cmd == IOTARGET_TEST_IOC_CREATE)
		return create_call(client, &arg->create);
	if (cmd == IOTARGET_TEST_IOC_GLOBAL)
		return global_call(client, &arg->global);
	/* Once there, the target stays until release. */
	mutex_lock(&client->lock);
	have = client->target;
	mutex_unlock(&client->lock);
	if (!have)
		return -ENXIO;
	return ioctl_do(client, cmd, arg);
}

static long test_ioctl(struct file *file, unsigned int cmd, unsigned long where)
{
	void __user *user = (void __user *)where;
	unsigned int size = _IOC_SIZE(cmd);
	union iotarget_test_arg *arg;
	long ret;

	if (_IOC_TYPE(cmd) != _IOC_TYPE(IOTARGET_TEST_IOC_CREATE))
		return -ENOTTY;
	if (size < sizeof(arg->head) || size > sizeof(*arg))
		return -ENOTTY;
	arg = kzalloc(sizeof(*arg), GFP_KERNEL);
	if (!arg)
		return -ENOMEM;
	ret = -EFAULT;
	if (copy_from_user(arg, user, size))
		goto out;
	ret = -EPROTO;
	if (arg->head.size != size ||
	    arg->head.version != IOTARGET_TEST_VERSION)
		goto out;
	ret = ioctl_one(file->private_data, cmd, arg);
	if (!ret && copy_to_user(user, arg, size))
		ret = -EFAULT;
out:
	kfree(arg);
	return ret;
}

static int test_open(struct inode *inode, struct file *file)
{
	struct iotarget_test_client *client;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	client = kzalloc(sizeof(*client), GFP_KERNEL);
	if (!client)
		return -ENOMEM;
	mutex_init(&client->lock);
	spin_lock_init(&client->atomic);
	refcount_set(&client->refs, 1);
	client->ops.owner = THIS_MODULE;
	client->ops.cleanup = client_cleanup;
	client->ops.destroy = client_destroy;
	file->private_data = client;
	return 0;
}

static int test_release(struct inode *inode, struct file *file)
{
	struct iotarget_test_client *client = file->private_data;
	struct iotarget *target = client->target;
	int ret;

	iotarget_test_removal_free(client);
	if (target) {
		if (iotarget_get_state(target) != IOTARGET_DELETED) {
			ret = iotarget_delete(target, RELEASE_TIMEOUT_MS, NULL);
			if (ret)
				pr_warn("iotarget_test: %s: delete: %d\n",
					iotarget_name(target), ret);
		}
		iotarget_test_load_free(client, false);
		iotarget_test_slots_free(client, false);
		iotarget_put(target);
	}
	client_put(client);
	return 0;
}

static const struct file_operations test_fops = {
	.owner		= THIS_MODULE,
	.open		= test_open,
	.release	= test_release,
	.read		= iotarget_test_read,
	.unlocked_ioctl	= test_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

/* The target of another open file of ours, borrowed while @file is held. */
struct iotarget *iotarget_test_peer(struct file *file)
{
	struct iotarget_test_client *client = file->private_data;
	struct iotarget *target;

	if (file->f_op != &test_fops)
		return NULL;
	mutex_lock(&client->lock);
	target = client->target;
	mutex_unlock(&client->lock);
	return target;
}

static struct miscdevice iotarget_test_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "iotarget_test",
	.fops	= &test_fops,
	.mode	= 0600,
};

static unsigned int init_fails_ms;
module_param(init_fails_ms, uint, 0444);
MODULE_PARM_DESC(init_fails_ms,
		 "load for so many milliseconds, with a target, and then fail");

static int fail_slowly(void)
{
	static const struct iotarget_ops ops = { .owner = THIS_MODULE };
	const struct iotarget_create_params params = {
		.name = "init-fails",
		.ops = &ops,
	};
	struct iotarget *target = iotarget_create(&params);
	int ret;

	if (IS_ERR(target))
		return PTR_ERR(target);
	msleep(init_fails_ms);
	ret = iotarget_delete(target, RELEASE_TIMEOUT_MS, NULL);
	return ret ?: -ECANCELED;
}

static int __init test_init(void)
{
	return init_fails_ms ? fail_slowly() :
			       misc_register(&iotarget_test_misc);
}

static void __exit test_exit(void)
{
	misc_deregister(&iotarget_test_misc);
}

module_init(test_init);
module_exit(test_exit);

MODULE_DESCRIPTION("I/O targets: the client of the selftests");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("IOTARGET_1");
