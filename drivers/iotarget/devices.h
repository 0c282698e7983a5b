/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The block devices below targets: who uses them, how they go, who is asked and
 * told, and how they come back.  The structures that are part of a target or of
 * an open instance are in internal.h, as is the lock order.
 */
#ifndef _IOTARGET_DEVICES_H
#define _IOTARGET_DEVICES_H

#include "internal.h"

/* lower.c */
struct iotarget_lower;

extern struct mutex iotarget_lowers_lock;

/**
 * struct iotarget_use - one target's use of a block device
 * @node: in the list of all of them                                       (I)
 * @target: whose use; only compared                                       (C)
 * @bdev: the device, which is open                                        (C)
 * @watch: of its disk, referenced, or NULL                                (C)
 * @access: IOTARGET_ACCESS_*                                              (C)
 * @share: IOTARGET_SHARE_*                                                (C)
 * @file: which opening of the device it is; only compared                 (C)
 * @id: what the device says of itself                                     (C)
 * @by_file: it was opened by somebody else                                (C)
 * @level: how far the removal of the device has come                      (I)
 */
struct iotarget_use {
	struct list_head	node;
	const struct iotarget	*target;
	struct block_device	*bdev;
	struct iotarget_watch	*watch;
	u32			access;
	u32			share;
	const struct file	*file;
	const struct iotarget_identity *id;
	bool			by_file;
	u8			level;
};

struct iotarget_lower *iotarget_lower_get(dev_t devt);
void iotarget_lower_put(struct iotarget_lower *lower);
int iotarget_lower_share(struct iotarget_use *use);
void iotarget_lower_unshare(struct iotarget_use *use);
bool iotarget_lower_claims_partition(const struct gendisk *disk);
unsigned int iotarget_lower_opens(const struct block_device *bdev);
void iotarget_lower_lapsed(const struct gendisk *disk);
void iotarget_lower_tell(struct gendisk *disk, struct block_device *bdev,
			 enum iotarget_removal_level level);
void iotarget_lower_identify(struct block_device *bdev,
			     struct iotarget_identity *id);

/* The device may go: it is closed, or nothing is sent to it any more. */
static inline bool iotarget_is_ready(struct iotarget *target)
{
	return !iotarget_word_open(READ_ONCE(target->gate.word)) ||
	       READ_ONCE(target->gate.agreed);
}

/* watch.c */
enum iotarget_removal_level
iotarget_watch_level(struct iotarget_watch *watch);
bool iotarget_watch_agreed(const struct iotarget_watch *watch,
			   const struct block_device *bdev);
struct iotarget_watch *iotarget_watch_ref(struct iotarget_watch *watch);
struct iotarget_watch *iotarget_watch_get(const struct gendisk *disk);
void iotarget_watch_put(struct iotarget_watch *watch);
void iotarget_watch_arm(struct iotarget_watch *watch);
void iotarget_watch_dead(struct block_device *bdev, bool surprise);
void iotarget_watch_suspect(struct iotarget_watch *watch);
void iotarget_watch_noticed(struct iotarget_watch *watch);
bool iotarget_watch_is_kind(const struct device *dev, const char *bus,
			    const char *type);
bool iotarget_watch_is_block(const struct device *dev);
struct iotarget_watch *iotarget_watch_next(struct iotarget_watch *after,
					   const struct device *dev);
u64 iotarget_watch_arrivals(void);
struct gendisk *iotarget_watch_hold(struct iotarget_watch *watch);
struct device *iotarget_watch_find(dev_t devt, const char *bus,
				   const char *name);
int iotarget_watch_init(void);
void iotarget_watch_exit(void);

/* holder.c, where the kernel has such a thing */
extern const struct blk_holder_ops iotarget_holder_ops;

/* away.c */

/**
 * struct iotarget_look - that a lost device was looked for
 * @inst: the number of the instance that was lost
 * @looks: &iotarget_removal.looks just before
 */
struct iotarget_look {
	u64			inst;
	unsigned int		looks;
};

void iotarget_away_arrived(void);
bool iotarget_away_left(struct iotarget *target, unsigned int *left_ms);
bool iotarget_away_look(struct iotarget *target, struct iotarget_look *look);
int iotarget_away_wait(struct iotarget *target, const struct iotarget_look *look,
		       unsigned int timeout_ms);

/* policy.c */

/**
 * struct iotarget_policy_change - what is to be another policy of a target
 * @mask: which of the flags
 * @flags: IOTARGET_POLICY_* flags
 * @hold_ms: 0 to leave it as it is
 * @hold_bytes: 0 to leave it as it is
 * @accept_loss: flushes are to succeed again
 */
struct iotarget_policy_change {
	u32			mask;
	u32			flags;
	u32			hold_ms;
	u64			hold_bytes;
	bool			accept_loss;
};

void iotarget_policy_get(struct iotarget *target,
			 struct iotarget_policy *policy);
int iotarget_policy_check(struct iotarget *target,
			  const struct iotarget_policy_change *change,
			  const char **why);
int iotarget_policy_change(struct iotarget *target,
			   const struct iotarget_policy_change *change,
			   const char **why);

/* removal.c */
void iotarget_removal_init(struct iotarget *target);
void iotarget_removal_tell(struct gendisk *disk, struct block_device *bdev,
			   enum iotarget_removal_level level);
int iotarget_removal_register(struct iotarget *target,
			      struct iotarget_inst *inst, u64 opens, u64 lost);
void iotarget_removal_returned(struct iotarget *target,
			       struct iotarget_inst *inst);
void iotarget_removal_lapsed(const struct gendisk *disk);
void iotarget_removal_opened(struct iotarget *target,
			     struct iotarget_inst *inst, bool opened);
void iotarget_removal_not_returned(struct iotarget *target,
				   struct iotarget_inst *inst);
int iotarget_removal_left(struct iotarget *target, unsigned int runs,
			  unsigned int timeout_ms);
unsigned int iotarget_removal_forget(struct iotarget *target);
u64 iotarget_removal_about(const struct iotarget_removal *r);
bool iotarget_removal_stale(const struct iotarget_removal *r);
int iotarget_removal_init_module(void);
void iotarget_removal_exit_module(void);

/**
 * struct iotarget_told - a target that is told of removals, to who asks them
 * @id: the target's
 * @inst: the number of the opening
 * @name: its name
 * @devt: what it uses
 * @open: it has the device open, and may send to it
 * @upper: the disk that stands on it, or NULL; only to be compared
 */
struct iotarget_told {
	u64			id;
	u64			inst;
	char			name[IOTARGET_NAME_MAX + 1];
	dev_t			devt;
	bool			open;
	const struct gendisk	*upper;
};

bool iotarget_removal_next(struct iotarget_told *t, const struct gendisk *disk,
			   const struct block_device *bdev);
bool iotarget_removal_ask(struct iotarget_ask *ask);
void iotarget_removal_withdraw(struct iotarget_ask *ask);
bool iotarget_removal_cancel(struct iotarget_ask *ask);
bool iotarget_removal_stands(struct iotarget_ask *ask);

/**
 * struct iotarget_ask - a question to a target, and its answer
 * @node: in the query
 * @consent: the query, referenced while the target has the question
 * @cookie: of the verb that it is for, or 0
 * @id: the target's; it may go at any time
 * @inst: the number of the opening
 * @name: its name
 * @devt: what it uses
 * @depth: how many disks are between it and the device that may go
 * @deadline: for the answer, in jiffies
 * @dry_run: it is only asked
 * @state: what became of it                                               (I)
 * @answer: 0 or a negative errno                                          (I)
 */
struct iotarget_ask {
	struct list_head	node;
	struct iotarget_consent	*consent;
	u64			cookie;
	u64			id;
	u64			inst;
	char			name[IOTARGET_NAME_MAX + 1];
	dev_t			devt;
	unsigned int		depth;
	unsigned long		deadline;
	bool			dry_run;
	enum {
		IOTARGET_ASK_NEW,
		IOTARGET_ASK_ASKED,
		IOTARGET_ASK_AGREED,
		IOTARGET_ASK_REFUSED,
		IOTARGET_ASK_LATE,
		IOTARGET_ASK_CANCELING,
		IOTARGET_ASK_OVER,
	} state;
	int			answer;
};

/* query.c */
bool iotarget_ask_answer(struct iotarget_ask *ask, int answer);
void iotarget_ask_over(struct iotarget_ask *ask);
void iotarget_query_gone(const struct iotarget_watch *watch,
			 const struct block_device *part);
int iotarget_query_init(void);
void iotarget_query_exit(void);

/* openers.c */
unsigned int iotarget_opens_by_part(const struct block_device *part);

#endif /* _IOTARGET_DEVICES_H */
