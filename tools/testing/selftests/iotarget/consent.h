/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A gate with a file system on it, on a USB stick that is asked for: consent.c.
 *
 * What returns an int returns 0 or a negative errno.
 */
#ifndef _IOTARGET_CONSENT_H
#define _IOTARGET_CONSENT_H

#include "gates.h"
#include "nl.h"
#include "victim.h"

#define DISK		"usb1"
#define GATE		GATE_PREFIX "consent"
#define ASK_MS		15000	/* for an answer that is not waited for */

struct consent {
	struct plugged	disk;
	struct users	users;
	int		hung_tasks;
	struct nl	ask, ear;
	uint64_t	cookie;
	char		node[DEVICE_PATH];
	char		where[64];		/* it is mounted */
	int		dir;			/* negative: it is not */
	bool		made;
};

#define AT_RISK		consent_loss(true)
#define LOST		consent_loss(false)

const char *consent_lacks(void);
int consent_gate(struct consent *c, const char *query, const char *seconds);
int consent_make(struct consent *c, const char *query, const char *seconds,
		 const char *make);
int consent_unmount(struct consent *c);
int consent_begin(struct consent *c, unsigned int timeout_ms,
		  unsigned int expires_ms);
int consent_answer(struct consent *c);
int consent_agree(struct consent *c, unsigned int expires_ms);
int consent_ended(struct consent *c);
int consent_cancel(struct consent *c);
int consent_remove_disk(void *arg);
int consent_wait_gone(struct consent *c);
int consent_come_back(struct consent *c);
int consent_begin_file(int dir, char name);
int consent_write_file(int dir, char name);
int consent_file_is(int dir, char name);
int consent_write_b(void *arg);
int64_t consent_loss(bool may_be);
bool gate_holds_some(void);
bool fs_is_frozen(int dir);
bool fs_becomes_thawed(int dir);
int consent_end_all(struct consent *c);

#endif /* _IOTARGET_CONSENT_H */
