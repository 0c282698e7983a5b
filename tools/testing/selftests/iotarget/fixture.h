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
#include "host.h"
#include "util.h"

#define NO_MODULE	"iotarget_test is not loaded, or this is not root"

#define ON_TIME() EXPECT_EQ(0, late_calls())

/* Try a disk that the host has plugged in for it, and have it pulled. */
static inline void
try_plugged(struct __test_metadata *_metadata,
	    void (*try_device)(struct __test_metadata *, const char *path),
	    const char *id)
{
	const char *why = host_has(id);
	struct plugged disk;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, disk_plug(&disk, id));
	try_device(_metadata, disk.path);
	EXPECT_EQ(0, disk_pull(&disk));
	EXPECT_EQ(0, disk_wait_gone(&disk, GONE_MS));
}

#endif /* _IOTARGET_FIXTURE_H */
