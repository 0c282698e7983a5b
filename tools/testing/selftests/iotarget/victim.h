/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Disks that go while others wait: victim.c.
 *
 * What returns an int returns 0 or a negative errno.
 */
#ifndef _IOTARGET_VICTIM_H
#define _IOTARGET_VICTIM_H

#include "faulty.h"
#include "host.h"
#include "util.h"

#define NOTICE_MS	5000	/* the longest that a removal is held up: watch.c */
#define KERNEL_MS	1500	/* what the kernel takes for it, on a busy machine */

/* How many use each of the modules that a test may have to do with. */
#define NR_MODULES	8

struct users {
	long	before[NR_MODULES];
};

struct users users_now(void);
bool users_back(const struct users *users);
bool gets_stuck(const char *part, unsigned int ms);
bool nobody_stuck(void);

/* A call by another thread. */
struct job {
	struct meanwhile	m;
	const char		*call;
	unsigned int		ms;		/* that it may take */
	int			(*act)(void *arg);
	void			*arg;
	bool			over;
};

int job_begin(struct job *job, const char *call, unsigned int ms,
	      int (*act)(void *arg), void *arg);
bool is_over(const struct job *job);
bool over_within(const struct job *job, unsigned int ms);

/* How a disk goes, and whose it is. */
enum how {
	DISK_PULLED,	/* by the host */
	DISK_DELETED,	/* scsi_debug: in sysfs */
	DISK_OFFLINE,	/* scsi_debug: the same, and before that it is offline */
	HOST_GOES,	/* scsi_debug: with its adapter */
	POWER_CUT,	/* null_blk */
	FILE_TAKEN,	/* loop: what is left has no capacity */
};

struct victim {
	struct plugged	disk;		/* id: only if it is the host's */
	enum how	how;
	char		path[DEVICE_PATH];
	bool		gone;		/* that was done, or it was removed otherwise */
	bool		fails;		/* whatever it is asked */
};

void no_scsi_debug(void);
const char *victim_lacks(const char *id, enum how how);
int victim_make(struct victim *v, const char *id, enum how how);
int victim_slow(struct victim *v, bool answers);
int victim_fail(struct victim *v);
int victim_remove(struct victim *v);
int vanish(void *arg);
int vanish_now(struct victim *v, unsigned int held_ms);
int vanish_begin(struct job *job, struct victim *v, unsigned int held_ms);
int victim_end(struct victim *v);

#endif /* _IOTARGET_VICTIM_H */
