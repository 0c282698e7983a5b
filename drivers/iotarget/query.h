/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queries: what query.c, scope.c, claims.c, and control for user space, know of them.
 */
#ifndef _IOTARGET_QUERY_H
#define _IOTARGET_QUERY_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/workqueue.h>

#include "devices.h"

struct device;
struct file;

/**
 * struct park - a device that stays claimed while all agree
 * @node: in the scope
 * @lower: the holder, referenced
 * @file: what keeps it open
 * @bdev: the device
 */
struct park {
	struct list_head	node;
	struct iotarget_lower	*lower;
	struct file		*file;
	struct block_device	*bdev;
};

/**
 * struct scope - a disk that is concerned
 * @node: in the query
 * @watch: the disk's, referenced
 * @disk: the disk; with a reference of its device until the end of the query
 * @depth: how many of our disks are between it and the device that may go
 * @gone: it has left the system                                           (I)
 * @parks: what is claimed of it
 */
struct scope {
	struct list_head	node;
	struct iotarget_watch	*watch;
	struct gendisk		*disk;
	unsigned int		depth;
	bool			gone;
	struct list_head	parks;
};

enum phase {
	PHASE_ASKING,
	PHASE_REFUSED,		/* those who agreed get their devices back */
	PHASE_AGREED,
	PHASE_ENDING,
	PHASE_ENDED,
};

/**
 * struct iotarget_consent - a query
 * @node: in queries, from when it is known who is concerned, to its end   (I)
 * @refs: the asker's, and the works'
 * @dev: the device that may go; with a reference until the end of the query
 * @cookie: of the verb that it is for, or 0
 * @flags: IOTARGET_QUERY_*
 * @timeout_ms: for all answers together
 * @expires_ms: how long an agreement holds
 * @deadline: for the answers, in jiffies
 * @phase: how far it has come                                             (I)
 * @unwanted: the asker does not wait any more                             (I)
 * @answer: from %PHASE_REFUSED on: 0 or a negative errno
 * @refusal: likewise: who refused
 * @result: from %PHASE_ENDED on: 0 if the device is gone, or a negative errno
 * @asks: who is asked
 * @scopes: which disks are concerned
 * @work: asks
 * @end_work: ends an agreement
 * @expire: ends it by itself
 * @answered: called when there is an answer, before anything can end it, or NULL
 * @ended: called at the end, once, after @answered, or NULL
 * @context: for those two
 */
struct iotarget_consent {
	struct list_head	node;
	struct kref		refs;
	struct device		*dev;
	u64			cookie;
	u32			flags;
	unsigned int		timeout_ms;
	unsigned int		expires_ms;
	unsigned long		deadline;
	enum phase		phase;
	bool			unwanted;
	int			answer;
	struct iotarget_refusal	refusal;
	int			result;
	struct list_head	asks;
	struct list_head	scopes;
	struct work_struct	work;
	struct work_struct	end_work;
	struct delayed_work	expire;
	void			(*answered)(struct iotarget_consent *c);
	void			(*ended)(struct iotarget_consent *c);
	void			*context;
};

struct iotarget_consent *
iotarget_consent_begin(struct device *dev,
		       const struct iotarget_query_params *params);
void iotarget_consent_go(struct iotarget_consent *c);
void iotarget_consent_cancel(struct iotarget_consent *c);
void iotarget_consent_drop(struct iotarget_consent *c);

void iotarget_query_refuse(struct iotarget_consent *c,
			   enum iotarget_refused_by by, int error, dev_t devt,
			   const char *name);

/* scope.c */
struct scope *iotarget_scope_of(struct iotarget_consent *c,
				const struct iotarget_watch *watch);
int iotarget_scopes_find(struct iotarget_consent *c);
int iotarget_scopes_check(struct iotarget_consent *c);

/* claims.c */
const struct block_device *
iotarget_query_part(const struct iotarget_consent *c, const struct scope *s);
int iotarget_claims_take(struct iotarget_consent *c);
int iotarget_claims_check(struct iotarget_consent *c);
void iotarget_claims_drop(struct iotarget_consent *c);

#endif /* _IOTARGET_QUERY_H */
