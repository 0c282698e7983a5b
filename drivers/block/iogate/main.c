// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/iogateN: a gate in front of a block device.
 *
 * A stacked disk that passes each bio on to the device below it, through an I/O
 * target, so that it can be held, drained, failed, and taken away while it is
 * in use.  All of that is done by iotarget and iotarget_disk; what is here is
 * their configuration, in configfs: here the gates, in attrs.c what is in them.  See
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

#include "iogate.h"

#define OPEN_MS		5000	/* for the device below to be found, and to open */
#define REMOVE_MS	1000	/* for the disk to go; it goes on by itself */

static DEFINE_IDA(indexes);
static struct workqueue_struct *lookup_wq;

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

/**
 * iogate_power_on - make the disk of a gate
 * @g: the gate, locked, without a disk
 *
 * Context: process; sleeps, killable.
 * Return: 0 or a negative errno.
 */
int iogate_power_on(struct iogate *g)
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
			 (g->lossy ? IOTARGET_POLICY_LOSSY : 0) |
			 (g->replay ? IOTARGET_POLICY_REPLAY : 0),
		.hold_ms = g->hold_seconds * MSEC_PER_SEC,
		.hold_bytes = g->hold_bytes,
	};
	const struct iotarget_disk_params params = {
		.flags = IOTARGET_DISK_STRICTLIMIT |
			 (g->partitions ? IOTARGET_DISK_PARTITIONS : 0),
		.query = g->query,
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

/**
 * iogate_power_off - take the disk of a gate away
 * @g: the gate, locked, with a disk
 * @force: also if it is open
 *
 * Context: process; sleeps.
 * Return: 0, or -EBUSY if it is open.
 */
int iogate_power_off(struct iogate *g, bool force)
{
	int ret;

	ret = iotarget_disk_remove(g->disk, force, REMOVE_MS);
	if (ret == -EBUSY)
		return ret;
	/* Gone, or it goes by itself. */
	g->disk = NULL;
	return 0;
}

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
		iogate_power_off(g, true);
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
