// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/iogateN: a gate in front of a block device.
 *
 * A stacked disk that passes each bio on to the device below it, through an I/O
 * target, so that it can be held, drained, failed, and taken away while it is
 * in use.  All of that is done by iotarget and iotarget_disk; what is here is
 * their configuration, in configfs.  See
 * Documentation/driver-api/iotarget/iogate.rst.
 *
 * A gate is there as long as its item in configfs or its disk is: the disk of a
 * removed item lives until its last close, and so does its number.
 *
 * Context: process.  Lock: iogate->lock, one for each gate; outermost but for
 * configfs' own, and no gate's is taken under another's, as those below are opened
 * by a worker.  Who stores holds it for as long as the store takes; so of those only
 * one comes that far, and the others fail at once.  Who looks waits, killable.
 */
#include <linux/capability.h>
#include <linux/completion.h>
#include <linux/configfs.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/idr.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include <linux/iotarget_disk.h>

#define OPEN_MS		5000	/* for the device below to be found, and to open */
#define REMOVE_MS	1000	/* for the disk to go; it goes on by itself */
#define STOP_SECONDS	60	/* a stop ends by itself, unless told otherwise */
#define STOP_MAX	86400
#define HOLD_MAX	86400	/* seconds */

/**
 * struct iogate - a gate
 * @item: in configfs
 * @refs: of the item and the disk
 * @index: N of /dev/iogateN
 * @storing: somebody changes it now
 * @lock: guards what follows
 * @device: path of the device below, or NULL
 * @read_only: open it for reading only
 * @share_read: let others read it
 * @partitions: of the disk
 * @hold_seconds: wait so long for a device that is gone; 0: not at all
 * @hold_bytes: hold so much for it; 0: as iotarget.ko thinks right
 * @lossy: what it lost is no error
 * @disk: while the power is on
 */
struct iogate {
	struct config_item	item;
	struct kref		refs;
	int			index;
	bool			storing;
	struct mutex		lock;	/* of this gate */
	char			*device;
	bool			read_only;
	bool			share_read;
	bool			partitions;
	unsigned int		hold_seconds;
	u64			hold_bytes;
	bool			lossy;
	struct iotarget_disk	*disk;
};

static DEFINE_IDA(indexes);
static struct workqueue_struct *lookup_wq;

static struct iogate *to_iogate(struct config_item *item)
{
	return container_of(item, struct iogate, item);
}

static void iogate_free(struct kref *refs)
{
	struct iogate *g = container_of(refs, struct iogate, refs);

	ida_free(&indexes, g->index);
	kfree(g->device);
	kfree(g);
}

static void iogate_put(struct iogate *g)
{
	kref_put(&g->refs, iogate_free);
}

/* -- the path of the device below ------------------------------------------- */

/**
 * struct lookup - a path that is being looked up
 * @refs: of who wants it, and of the worker
 * @work: looks it up
 * @done: the work is through
 * @path: the path
 * @root: where it begins
 * @cred: with whose rights
 * @devt: where it leads
 * @error: or why it does not
 */
struct lookup {
	struct kref		refs;
	struct work_struct	work;
	struct completion	done;
	char			*path;
	struct path		root;
	const struct cred	*cred;
	dev_t			devt;
	int			error;
};

static void lookup_free(struct kref *refs)
{
	struct lookup *l = container_of(refs, struct lookup, refs);

	path_put(&l->root);
	put_cred(l->cred);
	kfree(l->path);
	kfree(l);
}

/* As lookup_bdev() does, which has no root but that of who calls it. */
static int device_at(const struct path *path, dev_t *devt)
{
	const struct inode *inode = d_backing_inode(path->dentry);

	if (!S_ISBLK(inode->i_mode))
		return -ENOTBLK;
	if (path->mnt->mnt_flags & MNT_NODEV ||
	    path->mnt->mnt_sb->s_iflags & SB_I_NODEV)
		return -EACCES;
	*devt = inode->i_rdev;
	return *devt ? 0 : -ENODEV;
}

static void lookup_work(struct work_struct *work)
{
	struct lookup *l = container_of(work, struct lookup, work);
	const struct cred *cred;
	struct path path;

	cred = override_creds(l->cred);
	l->error = vfs_path_lookup(l->root.dentry, l->root.mnt, l->path,
				   LOOKUP_FOLLOW, &path);
	if (!l->error) {
		l->error = device_at(&path, &l->devt);
		path_put(&path);
	}
	revert_creds(cred);
	complete_all(&l->done);
	kref_put(&l->refs, lookup_free);
	/* The end of the module waits for those that have not returned. */
	module_put(THIS_MODULE);
}

static struct lookup *lookup_begin(const char *path)
{
	struct lookup *l = kzalloc(sizeof(*l), GFP_KERNEL);

	if (!l)
		return NULL;
	l->path = kstrdup(path, GFP_KERNEL);
	if (!l->path) {
		kfree(l);
		return NULL;
	}
	kref_init(&l->refs);
	INIT_WORK(&l->work, lookup_work);
	init_completion(&l->done);
	get_fs_root(current->fs, &l->root);
	l->cred = get_current_cred();
	kref_get(&l->refs);
	__module_get(THIS_MODULE);
	queue_work(lookup_wq, &l->work);
	return l;
}

/*
 * Where the path leads, as who calls us sees it, and how much of the time is left, in
 * jiffies.  A worker looks it up: a look-up takes as long as the file systems take
 * that have the name, and if configfs is one of them, waits for locks that rmdir
 * holds while it waits for us.
 */
static long look_up(const char *path, dev_t *devt)
{
	struct lookup *l = lookup_begin(path);
	long left;

	if (!l)
		return -ENOMEM;
	left = wait_for_completion_killable_timeout(&l->done,
						    msecs_to_jiffies(OPEN_MS));
	if (left > 0 && l->error)
		left = l->error;
	else if (left > 0)
		*devt = l->devt;
	else
		left = left ? -EINTR : -ETIMEDOUT;
	kref_put(&l->refs, lookup_free);
	return left;
}

/* -- the disk -------------------------------------------------------------- */

static void iogate_submit_bio(struct bio *bio)
{
	iotarget_forward_bio(iotarget_disk_of(bio)->target, bio, 0);
}

static void iogate_release(struct iotarget_disk *disk)
{
	iogate_put(disk->priv);
}

static struct iotarget_disk_ops iogate_ops = {
	.owner		= THIS_MODULE,
	.submit_bio	= iogate_submit_bio,
	.release	= iogate_release,
};

static int power_on(struct iogate *g)
{
	struct iotarget_open_params lower = {
		.type = IOTARGET_OPEN_DEVT,
		.access = IOTARGET_ACCESS_READ |
			  (g->read_only ? 0 : IOTARGET_ACCESS_WRITE),
		.share = g->share_read ? IOTARGET_SHARE_READ : 0,
	};
	char name[DISK_NAME_LEN];
	const struct iotarget_policy policy = {
		.flags = (g->hold_seconds ? IOTARGET_POLICY_HOLD : 0) |
			 (g->lossy ? IOTARGET_POLICY_LOSSY : 0),
		.hold_ms = g->hold_seconds * MSEC_PER_SEC,
		.hold_bytes = g->hold_bytes,
	};
	const struct iotarget_disk_params params = {
		.flags = IOTARGET_DISK_STRICTLIMIT |
			 (g->partitions ? IOTARGET_DISK_PARTITIONS : 0),
		.name = name,
		.target_name = config_item_name(&g->item),
		.ops = &iogate_ops,
		.lower = &lower,
		.policy = &policy,
		.priv = g,
	};
	struct iotarget_disk *disk;
	long left;

	if (!g->device)
		return -EINVAL;
	left = look_up(g->device, &lower.devt);
	if (left < 0)
		return left;
	lower.timeout_ms = jiffies_to_msecs(left);
	snprintf(name, sizeof(name), "iogate%d", g->index);
	kref_get(&g->refs);
	disk = iotarget_disk_create(&params);
	if (IS_ERR(disk)) {
		iogate_put(g);
		return PTR_ERR(disk);
	}
	g->disk = disk;
	return 0;
}

static int power_off(struct iogate *g, bool force)
{
	int ret;

	ret = iotarget_disk_remove(g->disk, force, REMOVE_MS);
	if (ret == -EBUSY)
		return ret;
	/* Gone, or it goes by itself. */
	g->disk = NULL;
	return 0;
}

/* -- attributes ------------------------------------------------------------ */

/* Who may change something, and does so now. */
static int store_begin(struct iogate *g)
{
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (xchg(&g->storing, true))
		return -EBUSY;
	/* For those who only look; they don't take long. */
	ret = mutex_lock_killable(&g->lock);
	if (ret)
		WRITE_ONCE(g->storing, false);
	return ret;
}

static ssize_t store_end(struct iogate *g, int error, size_t len)
{
	mutex_unlock(&g->lock);
	/* The next one takes the lock. */
	WRITE_ONCE(g->storing, false);
	return error ?: len;
}

/* What the next power-on will use. */
static ssize_t store_bool(struct iogate *g, bool *flag, const char *page,
			  size_t len)
{
	bool value;
	int ret;

	ret = kstrtobool(page, &value) ?: store_begin(g);
	if (ret)
		return ret;
	if (g->disk)
		ret = -EBUSY;
	else
		*flag = value;
	return store_end(g, ret, len);
}

static ssize_t iogate_read_only_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", to_iogate(item)->read_only);
}

static ssize_t iogate_read_only_store(struct config_item *item, const char *page,
				      size_t len)
{
	return store_bool(to_iogate(item), &to_iogate(item)->read_only, page,
			  len);
}

static ssize_t iogate_share_read_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", to_iogate(item)->share_read);
}

static ssize_t iogate_share_read_store(struct config_item *item, const char *page,
				       size_t len)
{
	return store_bool(to_iogate(item), &to_iogate(item)->share_read, page,
			  len);
}

static ssize_t iogate_partitions_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", to_iogate(item)->partitions);
}

static ssize_t iogate_partitions_store(struct config_item *item, const char *page,
				       size_t len)
{
	return store_bool(to_iogate(item), &to_iogate(item)->partitions, page,
			  len);
}

static ssize_t iogate_lossy_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", to_iogate(item)->lossy);
}

static ssize_t iogate_lossy_store(struct config_item *item, const char *page,
				  size_t len)
{
	return store_bool(to_iogate(item), &to_iogate(item)->lossy, page, len);
}

static ssize_t iogate_hold_seconds_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", to_iogate(item)->hold_seconds);
}

static ssize_t iogate_hold_seconds_store(struct config_item *item,
					 const char *page, size_t len)
{
	struct iogate *g = to_iogate(item);
	unsigned int seconds;
	int ret;

	ret = kstrtouint(page, 10, &seconds);
	if (!ret && seconds > HOLD_MAX)
		ret = -ERANGE;
	ret = ret ?: store_begin(g);
	if (ret)
		return ret;
	if (g->disk)
		ret = -EBUSY;
	else
		g->hold_seconds = seconds;
	return store_end(g, ret, len);
}

static ssize_t iogate_hold_bytes_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%llu\n", to_iogate(item)->hold_bytes);
}

static ssize_t iogate_hold_bytes_store(struct config_item *item,
				       const char *page, size_t len)
{
	struct iogate *g = to_iogate(item);
	u64 bytes;
	int ret;

	ret = kstrtou64(page, 10, &bytes) ?: store_begin(g);
	if (ret)
		return ret;
	if (g->disk)
		ret = -EBUSY;
	else
		g->hold_bytes = bytes;
	return store_end(g, ret, len);
}

static ssize_t iogate_device_show(struct config_item *item, char *page)
{
	struct iogate *g = to_iogate(item);
	ssize_t ret;

	ret = mutex_lock_killable(&g->lock);
	if (ret)
		return ret;
	ret = sysfs_emit(page, "%s\n", g->device ?: "");
	mutex_unlock(&g->lock);
	return ret;
}

static ssize_t iogate_device_store(struct config_item *item, const char *page,
				   size_t len)
{
	struct iogate *g = to_iogate(item);
	char *path;
	int ret;

	/* The longest still fits into a page with the line's end. */
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	if (strlen(page) != len)
		return -EINVAL;
	path = kstrdup(skip_spaces(page), GFP_KERNEL);
	if (!path)
		return -ENOMEM;
	strim(path);
	ret = *path == '/' ? store_begin(g) : -EINVAL;
	if (ret)
		goto free_path;
	if (g->disk)
		ret = -EBUSY;
	else
		swap(path, g->device);
	len = store_end(g, ret, len);
	kfree(path);
	return len;

free_path:
	kfree(path);
	return ret;
}

static ssize_t iogate_power_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", !!READ_ONCE(to_iogate(item)->disk));
}

static ssize_t iogate_power_store(struct config_item *item, const char *page,
				  size_t len)
{
	struct iogate *g = to_iogate(item);
	bool on;
	int ret;

	ret = kstrtobool(page, &on) ?: store_begin(g);
	if (ret)
		return ret;
	if (on && !g->disk)
		ret = power_on(g);
	else if (!on && g->disk)
		ret = power_off(g, false);
	return store_end(g, ret, len);
}

static const char *state_name(struct iogate *g)
{
	switch (iotarget_get_state(g->disk->target)) {
	case IOTARGET_STARTED:
		return "started";
	case IOTARGET_STOPPED:
		return "stopped";
	case IOTARGET_CLOSED_FOR_QUERY_REMOVE:
		return "closed-for-query-remove";
	case IOTARGET_CLOSED:
		return "closed";
	case IOTARGET_PURGED:
		return "purged";
	default:
		return "deleted";
	}
}

static ssize_t iogate_state_show(struct config_item *item, char *page)
{
	struct iogate *g = to_iogate(item);
	ssize_t ret;

	ret = mutex_lock_killable(&g->lock);
	if (ret)
		return ret;
	ret = sysfs_emit(page, "%s\n", g->disk ? state_name(g) : "off");
	mutex_unlock(&g->lock);
	return ret;
}

/* "stop", "stop forever", or "stop SECONDS". */
static int stop_time(const char *page, unsigned int *ms)
{
	unsigned int seconds = STOP_SECONDS;
	int ret;

	if (strncmp(page, "stop", 4))
		return -EINVAL;
	page += 4;
	if (sysfs_streq(page, " forever")) {
		*ms = IOTARGET_WAIT_FOREVER;
		return 0;
	}
	if (!sysfs_streq(page, "")) {
		ret = *page == ' ' ? kstrtouint(page + 1, 10, &seconds) :
				     -EINVAL;
		if (ret)
			return ret;
	}
	if (!seconds || seconds > STOP_MAX)
		return -ERANGE;
	*ms = seconds * MSEC_PER_SEC;
	return 0;
}

/* None of them waits: what is sent comes back when it does. */
static int set_state(struct iogate *g, const char *page)
{
	struct iotarget *target = g->disk->target;
	unsigned int ms;

	if (sysfs_streq(page, "start"))
		return iotarget_start(target);
	if (sysfs_streq(page, "purge"))
		return iotarget_purge(target, IOTARGET_PURGE, 0, NULL);
	return stop_time(page, &ms) ?:
	       iotarget_stop_for(target, ms, "written to its state");
}

static ssize_t iogate_state_store(struct config_item *item, const char *page,
				  size_t len)
{
	struct iogate *g = to_iogate(item);
	int ret;

	ret = store_begin(g);
	if (ret)
		return ret;
	ret = g->disk ? set_state(g, page) : -ENXIO;
	return store_end(g, ret, len);
}

static ssize_t iogate_index_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", to_iogate(item)->index);
}

static ssize_t iogate_depth_show(struct config_item *item, char *page)
{
	struct iogate *g = to_iogate(item);
	ssize_t ret;

	ret = mutex_lock_killable(&g->lock);
	if (ret)
		return ret;
	ret = sysfs_emit(page, "%u\n", g->disk ? iotarget_disk_depth(g->disk) :
						 0);
	mutex_unlock(&g->lock);
	return ret;
}

/* What is known of its target, all zero while the power is off; to be freed. */
static struct iotarget_info *take_info(struct iogate *g)
{
	struct iotarget_info *info;
	int ret;

	info = kzalloc(sizeof(*info), GFP_KERNEL);
	if (!info)
		return ERR_PTR(-ENOMEM);
	ret = mutex_lock_killable(&g->lock);
	if (ret) {
		kfree(info);
		return ERR_PTR(ret);
	}
	if (g->disk)
		iotarget_get_info(g->disk->target, info);
	mutex_unlock(&g->lock);
	return info;
}

/* "held sent oldest_ms", taken at one time. */
static ssize_t iogate_inflight_show(struct config_item *item, char *page)
{
	struct iotarget_info *info = take_info(to_iogate(item));
	ssize_t ret;

	if (IS_ERR(info))
		return PTR_ERR(info);
	ret = sysfs_emit(page, "%llu %llu %llu\n", info->pended, info->sent,
			 info->oldest_ms);
	kfree(info);
	return ret;
}

/* "away at_risk lost", of a gate that holds. */
static ssize_t iogate_loss_show(struct config_item *item, char *page)
{
	struct iotarget_info *info = take_info(to_iogate(item));
	ssize_t ret;

	if (IS_ERR(info))
		return PTR_ERR(info);
	ret = sysfs_emit(page, "%u %llu %llu\n", info->away, info->at_risk,
			 info->lost);
	kfree(info);
	return ret;
}

CONFIGFS_ATTR(iogate_, device);
CONFIGFS_ATTR(iogate_, read_only);
CONFIGFS_ATTR(iogate_, share_read);
CONFIGFS_ATTR(iogate_, partitions);
CONFIGFS_ATTR(iogate_, hold_seconds);
CONFIGFS_ATTR(iogate_, hold_bytes);
CONFIGFS_ATTR(iogate_, lossy);
CONFIGFS_ATTR(iogate_, power);
CONFIGFS_ATTR(iogate_, state);
CONFIGFS_ATTR_RO(iogate_, index);
CONFIGFS_ATTR_RO(iogate_, depth);
CONFIGFS_ATTR_RO(iogate_, inflight);
CONFIGFS_ATTR_RO(iogate_, loss);

static struct configfs_attribute *iogate_attrs[] = {
	&iogate_attr_device,
	&iogate_attr_read_only,
	&iogate_attr_share_read,
	&iogate_attr_partitions,
	&iogate_attr_hold_seconds,
	&iogate_attr_hold_bytes,
	&iogate_attr_lossy,
	&iogate_attr_power,
	&iogate_attr_state,
	&iogate_attr_index,
	&iogate_attr_depth,
	&iogate_attr_inflight,
	&iogate_attr_loss,
	NULL,
};

/* -- items ----------------------------------------------------------------- */

static void iogate_item_release(struct config_item *item)
{
	iogate_put(to_iogate(item));
}

static struct configfs_item_operations iogate_item_ops = {
	.release	= iogate_item_release,
};

static const struct config_item_type iogate_type = {
	.ct_item_ops	= &iogate_item_ops,
	.ct_attrs	= iogate_attrs,
	.ct_owner	= THIS_MODULE,
};

/* It names the target. */
static int check_name(const char *name)
{
	if (strlen(name) > IOTARGET_NAME_MAX)
		return -ENAMETOOLONG;
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] ?
	       -EINVAL : 0;
}

static struct config_item *iogate_make_item(struct config_group *group,
					    const char *name)
{
	struct iogate *g;
	int ret;

	ret = capable(CAP_SYS_ADMIN) ? check_name(name) : -EPERM;
	if (ret)
		return ERR_PTR(ret);
	g = kzalloc(sizeof(*g), GFP_KERNEL);
	if (!g)
		return ERR_PTR(-ENOMEM);
	g->index = ida_alloc(&indexes, GFP_KERNEL);
	if (g->index < 0) {
		ret = g->index;
		kfree(g);
		return ERR_PTR(ret);
	}
	kref_init(&g->refs);
	mutex_init(&g->lock);
	config_item_init_type_name(&g->item, name, &iogate_type);
	return &g->item;
}

/* Nobody is asked; and no store can be running, or begin, any more. */
static void iogate_drop_item(struct config_group *group,
			     struct config_item *item)
{
	struct iogate *g = to_iogate(item);

	mutex_lock(&g->lock);
	if (g->disk)
		power_off(g, true);
	mutex_unlock(&g->lock);
	config_item_put(item);
}

static struct configfs_group_operations iogate_group_ops = {
	.make_item	= iogate_make_item,
	.drop_item	= iogate_drop_item,
};

static const struct config_item_type iogate_group_type = {
	.ct_group_ops	= &iogate_group_ops,
	.ct_owner	= THIS_MODULE,
};

static struct configfs_subsystem iogate_subsys = {
	.su_group = {
		.cg_item = {
			.ci_namebuf	= "iogate",
			.ci_type	= &iogate_group_type,
		},
	},
};

static int __init iogate_init(void)
{
	int ret;

	/* One that is stuck must not keep others. */
	lookup_wq = alloc_workqueue("iogate", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!lookup_wq)
		return -ENOMEM;
	config_group_init(&iogate_subsys.su_group);
	mutex_init(&iogate_subsys.su_mutex);
	ret = configfs_register_subsystem(&iogate_subsys);
	if (ret)
		destroy_workqueue(lookup_wq);
	return ret;
}
module_init(iogate_init);

static void __exit iogate_exit(void)
{
	configfs_unregister_subsystem(&iogate_subsys);
	/* A work may still be on its way out. */
	destroy_workqueue(lookup_wq);
	ida_destroy(&indexes);
}
module_exit(iogate_exit);

MODULE_DESCRIPTION("A gate in front of a block device");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("IOTARGET_1");
