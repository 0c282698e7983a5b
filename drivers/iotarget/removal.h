/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What removal.c, asked.c and away.c know of each other.
 */
#ifndef _IOTARGET_REMOVAL_H
#define _IOTARGET_REMOVAL_H

#include "devices.h"

/* What an owner has to be told, or is done for it; the lowest bit first. */
enum {
	IOTARGET_TODO_COMPLETE,
	IOTARGET_TODO_RETURNED,
	IOTARGET_TODO_NOTICE,
	IOTARGET_TODO_CANCELED,
	IOTARGET_TODO_ASK,
	IOTARGET_TODO_NONE,
};

/* removal.c; all of it with iotarget_lowers_lock */
extern struct list_head iotarget_told;	/* of struct iotarget_removal */

void iotarget_removal_kick(struct iotarget_removal *r, struct work_struct *work);
void iotarget_removal_todo(struct iotarget_removal *r, unsigned int what);
void iotarget_removal_no_notice(struct iotarget_removal *r);
void iotarget_removal_give_up(struct iotarget_removal *r, u8 why);

/* away.c */
#define IOTARGET_SWAP_MS	5000	/* of which memory that is short waits */

/* What is swapped out has waited long enough. */
static inline bool iotarget_away_no_swap(const struct iotarget_removal *r)
{
	return time_after_eq(jiffies,
			     r->since + iotarget_jiffies(IOTARGET_SWAP_MS));
}

bool iotarget_away_begin(struct iotarget_removal *r);
void iotarget_away_work(struct work_struct *work);
void iotarget_away_exit(void);

static inline struct iotarget *
iotarget_removal_target(struct iotarget_removal *r)
{
	return container_of(r, struct iotarget, removal);
}

#endif /* _IOTARGET_REMOVAL_H */
