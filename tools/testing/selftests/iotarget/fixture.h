/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every program of the selftests begins with: the harness, a check that
 * the test module is there, and the end of a test, which looks at how late the
 * calls were.
 *
 * Cases carry the number of the row of the feature checklist that they show
 * (f38 and so on; see Documentation/driver-api/iotarget/kmdf.rst).
 */
#ifndef _IOTARGET_FIXTURE_H
#define _IOTARGET_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "util.h"

/* Long enough for anything but a hang. */
#define LONG_MS		20000

#define NEED_MODULE() do {						\
	if (!module_loaded())						\
		SKIP(return, "iotarget_test is not loaded, or no root");\
} while (0)

/* A device path in _path, or the test is skipped with the reason. */
#define NEED_DEVICE(_path, _make) do {					\
	const char *made = (_make);					\
									\
	if (!made)							\
		SKIP(return, "%s", device_reason());			\
	snprintf((_path), sizeof(_path), "%s", made);			\
} while (0)

/* A target that is open on _path, shared with everybody. */
#define OPEN_TARGET(_fd, _name, _path) do {				\
	(_fd) = target_new((_name), 0);					\
	ASSERT_LE(0, (_fd));						\
	ASSERT_EQ(0, target_open((_fd), (_path), ACCESS_BOTH,		\
				 SHARE_BOTH));				\
} while (0)

#define ON_TIME() EXPECT_EQ(0, late_calls())

/* TEST_HARNESS_MAIN, with the devices gone at the end. */
#define IOTARGET_MAIN							\
static void cleanup_devices(void)					\
{									\
	nullb_cleanup();						\
	loop_remove();							\
}									\
									\
int main(int argc, char **argv)						\
{									\
	setvbuf(stdout, NULL, _IOLBF, 0);				\
	atexit(cleanup_devices);					\
	return test_harness_run(argc, argv);				\
}

#endif /* _IOTARGET_FIXTURE_H */
