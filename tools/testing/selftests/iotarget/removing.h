/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Removals as the system makes them, and what a target was told of them: removing.c.
 */
#ifndef _IOTARGET_REMOVING_H
#define _IOTARGET_REMOVING_H

#include "util.h"

/* As in include/linux/iotarget.h. */
#define QUERY_DRY_RUN	0x1

enum { BY_NOBODY, BY_TARGET, BY_CLAIM, BY_OPENER, BY_QUERY };

enum {
	TOLD_QUERY	= IOTARGET_TEST_QUERY_REMOVE,
	TOLD_CANCELED	= IOTARGET_TEST_REMOVE_CANCELED,
	TOLD_COMPLETE	= IOTARGET_TEST_REMOVE_COMPLETE,
};

/* The ancestor of a disk by which it is removed. */
struct above {
	unsigned int	up;		/* how far from the disk */
	char		dir[512];	/* in sysfs */
	const char	*file;		/* to be written to */
};

int device_above(const char *path, const char *file, struct above *above);
int remove_by_file(const struct above *above);
int unbind_driver(const char *dir);

int target_with_defaults(const char *name);
int removal_set(int fd, unsigned int bits, int query_ret,
		unsigned int query_ms);
struct iotarget_test_removal removal_told(int fd);
bool removal_hears(int fd, unsigned int count, unsigned int ms);
bool removal_completes(int fd, unsigned int ms);
bool becomes_state(int fd, int state, unsigned int ms);
int consent_ask(int fd, struct iotarget_test_consent *arg);
int consent_wait(int fd, unsigned int ms);
int consent_end(int fd, unsigned int ms);

#endif /* _IOTARGET_REMOVING_H */
