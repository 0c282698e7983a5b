// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device mapper devices, by ioctls on /dev/mapper/control.
 *
 * Tables are exchanged without flushing: what is in the device stays there, and
 * what comes meanwhile is kept by the device mapper until the new table is in.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "faulty.h"
#include "util.h"

#define CONTROL		"/dev/mapper/control"
#define PREFIX		"iott_"
#define NO_WAIT		(DM_SUSPEND_FLAG | DM_NOFLUSH_FLAG | DM_SKIP_LOCKFS_FLAG)

struct call {
	struct dm_ioctl		head;
	struct dm_target_spec	spec;
	char			params[512];
};

static int dm_call(unsigned long what, const char *name, struct call *call)
{
	int fd = open(CONTROL, O_RDWR | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	call->head.version[0] = DM_VERSION_MAJOR;
	call->head.data_size = sizeof(*call);
	call->head.data_start = offsetof(struct call, spec);
	snprintf(call->head.name, sizeof(call->head.name), "%s", name);
	if (ioctl(fd, what, call))
		ret = -errno;
	close(fd);
	return ret;
}

static int dm_simple(unsigned long what, const char *name, unsigned int flags)
{
	struct call call = { .head.flags = flags };

	return dm_call(what, name, &call);
}

int dm_load(const char *name, const char *type, const char *params,
	    uint64_t bytes)
{
	struct call call = {
		.head.target_count = 1,
		.spec.length = bytes / SECTOR,
		.spec.next = sizeof(call.spec) + sizeof(call.params),
	};

	snprintf(call.spec.target_type, sizeof(call.spec.target_type), "%s",
		 type);
	snprintf(call.params, sizeof(call.params), "%s", params);
	return dm_call(DM_TABLE_LOAD, name, &call);
}

int dm_suspend(const char *name)
{
	return dm_simple(DM_DEV_SUSPEND, name, NO_WAIT);
}

/* With the table that was loaded last. */
int dm_resume(const char *name)
{
	return dm_simple(DM_DEV_SUSPEND, name, 0);
}

int dm_swap(const char *name, const char *type, const char *params,
	    uint64_t bytes)
{
	int ret = dm_load(name, type, params, bytes);

	if (!ret)
		ret = dm_suspend(name);
	return ret ? ret : dm_resume(name);
}

static int dm_status(const char *name, struct call *call)
{
	memset(call, 0, sizeof(*call));
	return dm_call(DM_DEV_STATUS, name, call);
}

int dm_open_count(const char *name)
{
	struct call call;
	int ret = dm_status(name, &call);

	return ret ? ret : call.head.open_count;
}

/* For users that close it when they come to it. */
bool dm_unused(const char *name, unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	while (dm_open_count(name)) {
		if (now_ms() > until)
			return false;
		sleep_ms(10);
	}
	return true;
}

/* Fails while somebody has it open. */
int dm_remove(const char *name)
{
	return dm_simple(DM_DEV_REMOVE, name, 0);
}

/* Is the target there?  Its module must have been loaded. */
bool dm_has(const char *type)
{
	struct versions {
		struct dm_ioctl	head;
		char		list[16384 - sizeof(struct dm_ioctl)];
	} *v = calloc(1, sizeof(*v));
	struct dm_target_versions *at;
	int fd = open(CONTROL, O_RDWR | O_CLOEXEC);
	bool found = false;

	if (v && fd >= 0) {
		v->head.version[0] = DM_VERSION_MAJOR;
		v->head.data_size = sizeof(*v);
		v->head.data_start = offsetof(struct versions, list);
		at = (void *)((char *)v + v->head.data_start);
		if (!ioctl(fd, DM_LIST_VERSIONS, v))
			at = (void *)((char *)v + v->head.data_start);
		while (!found) {
			found = !strcmp(at->name, type);
			if (!at->next)
				break;
			at = (void *)((char *)at + at->next);
		}
	}
	if (fd >= 0)
		close(fd);
	free(v);
	return found;
}

const char *dm_make(const char *name, const char *type, const char *params,
		    uint64_t bytes)
{
	static char path[64];
	struct call call;
	unsigned int minor;
	int ret;

	ret = dm_simple(DM_DEV_CREATE, name, 0);
	if (!ret)
		ret = dm_load(name, type, params, bytes);
	if (!ret)
		ret = dm_resume(name);
	if (!ret)
		ret = dm_status(name, &call);
	if (ret) {
		dm_remove(name);
		device_lacks(type, -ret);
		return NULL;
	}
	minor = (call.head.dev & 0xff) | (call.head.dev >> 12 & 0xfff00);
	snprintf(path, sizeof(path), "/dev/dm-%u", minor);
	if (node_appears(path, 2000))
		return path;
	device_lacks(path, ENOENT);
	return NULL;
}

/* What a test that was stopped in the middle left behind. */
static void dm_cleanup(void)
{
	dm_remove(PREFIX "dm");
	dm_remove(PREFIX "lun");
}

/* After null_blk's: what was registered last is called first. */
__attribute__((constructor(102))) static void begin(void)
{
	atexit(dm_cleanup);
}
