// SPDX-License-Identifier: GPL-2.0-only
/*
 * Removals as the system makes them, and what a target was told of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "removing.h"

#define DEFAULT_QUERY_MS	10000
#define POLL_MS			5

static bool has(const char *dir, const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return !access(path, F_OK);
}

/* The nearest ancestor that has such a file; -ENOENT if none has. */
int device_above(const char *path, const char *file, struct above *above)
{
	char link[64], dir[PATH_MAX], *end;
	struct stat st;

	if (stat(path, &st))
		return -errno;
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u/device",
		 major(st.st_rdev), minor(st.st_rdev));
	if (!realpath(link, dir))
		return -errno;
	above->up = 1;
	while (!has(dir, file)) {
		end = strrchr(dir, '/');
		if (!end || end == dir)
			return -ENOENT;
		*end = '\0';
		/* Folders that only group devices are none. */
		above->up += has(dir, "uevent");
	}
	snprintf(above->dir, sizeof(above->dir), "%s", dir);
	above->file = file;
	return 0;
}

int remove_by_file(const struct above *above)
{
	return sysfs_put(above->dir, above->file, "1");
}

/* The driver of the device with this folder lets it go. */
int unbind_driver(const char *dir)
{
	char driver[PATH_MAX];

	snprintf(driver, sizeof(driver), "%s/driver", dir);
	return sysfs_put(driver, "unbind", strrchr(dir, '/') + 1);
}

/* A target whose owner has no callbacks. */
int target_with_defaults(const char *name)
{
	struct iotarget_test_create arg = { .bits = IOTARGET_TEST_DEFAULTS };
	int fd = target_new(NULL, 0);
	int ret;

	if (fd < 0)
		return fd;
	snprintf(arg.name, sizeof(arg.name), "%s", name);
	ret = target_call(fd, IOTARGET_TEST_IOC_CREATE, &arg, "iotarget_create",
			  0);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

int removal_set(int fd, unsigned int bits, int query_ret, unsigned int query_ms)
{
	struct iotarget_test_removal arg = {
		.bits = IOTARGET_TEST_SET | bits,
		.query_ret = query_ret,
		.query_ms = query_ms,
	};

	return target_call(fd, IOTARGET_TEST_IOC_REMOVAL, &arg, "set", 0);
}

struct iotarget_test_removal removal_told(int fd)
{
	struct iotarget_test_removal arg = {};

	if (target_call(fd, IOTARGET_TEST_IOC_REMOVAL, &arg, "told", 0))
		arg.nr = UINT_MAX;
	return arg;
}

bool removal_hears(int fd, unsigned int count, unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	while (removal_told(fd).nr < count) {
		if (now_ms() > until)
			return false;
		sleep_ms(POLL_MS);
	}
	return true;
}

/* Is it told in the end that the device is gone?  Nothing is purged for it after that. */
bool removal_completes(int fd, unsigned int ms)
{
	const uint64_t until = now_ms() + ms;
	struct iotarget_test_removal told;

	for (;;) {
		told = removal_told(fd);
		if (told.nr && told.nr <= IOTARGET_TEST_MAX_TOLD &&
		    told.told[told.nr - 1].kind == TOLD_COMPLETE)
			return true;
		if (now_ms() > until)
			return false;
		sleep_ms(POLL_MS);
	}
}

bool becomes_state(int fd, int state, unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	while (target_state(fd) != state) {
		if (now_ms() > until) {
			printf("# it is %s\n", state_name(target_state(fd)));
			return false;
		}
		sleep_ms(POLL_MS);
	}
	return true;
}

static int consent_call(int fd, struct iotarget_test_consent *arg,
			const char *call, unsigned int ms)
{
	return target_call(fd, IOTARGET_TEST_IOC_CONSENT, arg, call, ms);
}

int consent_ask(int fd, struct iotarget_test_consent *arg)
{
	arg->op = IOTARGET_TEST_ASK;
	return consent_call(fd, arg, "iotarget_query_remove",
			    arg->timeout_ms ?: DEFAULT_QUERY_MS);
}

int consent_wait(int fd, unsigned int ms)
{
	struct iotarget_test_consent arg = {
		.op = IOTARGET_TEST_WAIT_GONE, .timeout_ms = ms,
	};

	return consent_call(fd, &arg, "iotarget_query_wait", ms);
}

int consent_end(int fd, unsigned int ms)
{
	struct iotarget_test_consent arg = {
		.op = IOTARGET_TEST_END, .timeout_ms = ms,
	};

	return consent_call(fd, &arg, "iotarget_query_end", ms);
}
