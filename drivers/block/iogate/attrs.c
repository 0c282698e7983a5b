// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is in the directory of a gate: Documentation/driver-api/iotarget/iogate.rst.
 *
 * Context: process.  Lock: iogate->lock; of those who store only one comes that far at
 * a time, see main.c.
 */
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "iogate.h"

#define STOP_SECONDS	60	/* a stop ends by itself, unless told otherwise */
#define STOP_MAX	86400
#define HOLD_MAX	86400	/* seconds */

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
static ssize_t store_flag(struct iogate *g, bool *flag, bool value, size_t len)
{
	int ret = store_begin(g);

	if (ret)
		return ret;
	if (g->disk)
		ret = -EBUSY;
	else
		*flag = value;
	return store_end(g, ret, len);
}

static ssize_t store_bool(struct iogate *g, bool *flag, const char *page,
			  size_t len)
{
	bool value;
	int ret = kstrtobool(page, &value);

	return ret ?: store_flag(g, flag, value, len);
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

static ssize_t iogate_replay_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%s\n",
			  to_iogate(item)->replay ? "overwrite" : "none");
}

static ssize_t iogate_replay_store(struct config_item *item, const char *page,
				   size_t len)
{
	const bool overwrite = sysfs_streq(page, "overwrite");
	struct iogate *g = to_iogate(item);

	if (!overwrite && !sysfs_streq(page, "none"))
		return -EINVAL;
	return store_flag(g, &g->replay, overwrite, len);
}

static const char * const queries[] = {
	[IOTARGET_DISK_QUERY_VETO]	= "veto",
	[IOTARGET_DISK_QUERY_HOLD]	= "hold",
	[IOTARGET_DISK_QUERY_FREEZE]	= "freeze",
};

static ssize_t iogate_query_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%s\n",
			  queries[READ_ONCE(to_iogate(item)->query)]);
}

static ssize_t iogate_query_store(struct config_item *item, const char *page,
				  size_t len)
{
	const int query = sysfs_match_string(queries, page);
	struct iogate *g = to_iogate(item);
	int ret;

	ret = query < 0 ? query : store_begin(g);
	if (ret)
		return ret;
	if (g->disk)
		ret = -EBUSY;
	else
		WRITE_ONCE(g->query, query);
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
		ret = iogate_power_on(g);
	else if (!on && g->disk)
		ret = iogate_power_off(g, false);
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

/* "away at_risk lost unknown replayed", of a gate that holds. */
static ssize_t iogate_loss_show(struct config_item *item, char *page)
{
	struct iotarget_info *info = take_info(to_iogate(item));
	ssize_t ret;

	if (IS_ERR(info))
		return PTR_ERR(info);
	ret = sysfs_emit(page, "%u %llu %llu %llu %llu\n", info->away,
			 info->at_risk, info->lost, info->unknown,
			 info->replayed);
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
CONFIGFS_ATTR(iogate_, replay);
CONFIGFS_ATTR(iogate_, query);
CONFIGFS_ATTR(iogate_, power);
CONFIGFS_ATTR(iogate_, state);
CONFIGFS_ATTR_RO(iogate_, index);
CONFIGFS_ATTR_RO(iogate_, depth);
CONFIGFS_ATTR_RO(iogate_, inflight);
CONFIGFS_ATTR_RO(iogate_, loss);

/* Of each gate. */
struct configfs_attribute *iogate_attrs[] = {
	&iogate_attr_device,
	&iogate_attr_read_only,
	&iogate_attr_share_read,
	&iogate_attr_partitions,
	&iogate_attr_hold_seconds,
	&iogate_attr_hold_bytes,
	&iogate_attr_lossy,
	&iogate_attr_replay,
	&iogate_attr_query,
	&iogate_attr_power,
	&iogate_attr_state,
	&iogate_attr_index,
	&iogate_attr_depth,
	&iogate_attr_inflight,
	&iogate_attr_loss,
	NULL,
};
