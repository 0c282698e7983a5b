/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Disks that the host of a virtual machine plugs in and pulls: host.c.
 */
#ifndef _IOTARGET_HOST_H
#define _IOTARGET_HOST_H

#include "util.h"

#define PLUGGED_MS	10000	/* from the plug to the node, at most */
#define GONE_MS		5000	/* from the pull until nothing of it is left */

/* A disk while it is plugged in. */
struct plugged {
	const char	*id;		/* the host's name for it */
	char		name[32];	/* the kernel's; empty: not there */
	char		path[DEVICE_PATH];
	unsigned long	seq;		/* diskseq, 0 if the kernel has none */
};

/* These return NULL, or why it can't be. */
const char *host_has(const char *id);
const char *host_turn(const char *id);
const char *host_pulls(const char *id);

/* These return 0 or a negative errno, and say on standard output why. */
int host_ask(const char *verb, const char *words);
bool disk_find(struct plugged *disk);
bool disks_enter(const char *id, unsigned int count);
int disk_plug(struct plugged *disk, const char *id);
int disk_plug_as(struct plugged *disk, const char *id, const char *name);
int disk_pull(const struct plugged *disk);
bool disk_there(const struct plugged *disk);
int disk_wait_gone(const struct plugged *disk, unsigned int ms);
int disk_inflight(const struct plugged *disk);
bool disk_gets_busy(const struct plugged *disk);
unsigned int slow(unsigned int ms);

#endif /* _IOTARGET_HOST_H */
