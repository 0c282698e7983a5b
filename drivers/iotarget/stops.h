/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stops and purges that control makes: what stops.c and control.c share.
 */
#ifndef _IOTARGET_STOPS_H
#define _IOTARGET_STOPS_H

#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>

#include "control.h"

/* For a verb: rather refused than waiting for what it would start. */
#define IOTARGET_VERB_GFP	(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN)

/**
 * struct iotarget_stop - a stop or purge in force
 * @node: in stops, in the order in which they were made                   (S)
 * @refs: the list, and the work while it is queued                        (A)
 * @cookie: of the verb that made it                                       (C)
 * @id: the target's                                                       (C)
 * @name: the target's                                                     (C)
 * @seen: gate->changes after the last transition that control made        (S)
 * @before: the state to go back to                                        (S)
 * @purge: it is a purge                                                   (C)
 * @driver: the target's driver made it, for a user                        (C)
 * @owner_gone: the socket was closed                                      (S)
 * @args: what the verb was told; with @args.hold, a reference of the socket (C)
 * @note: for the event that it has ended                                  (S)
 * @expire: ends it
 * @free: lets go of the socket
 */
struct iotarget_stop {
	struct list_head		node;
	refcount_t			refs;
	u64				cookie;
	u64				id;
	char				name[IOTARGET_NAME_MAX + 1];
	u64				seen;
	enum iotarget_state		before;
	bool				purge;
	bool				driver;
	bool				owner_gone;
	struct iotarget_verb_args	args;
	struct iotarget_note		*note;
	struct delayed_work		expire;
	struct work_struct		free;
};

extern struct mutex iotarget_stops_lock;

u64 iotarget_stop_cookie(void);
struct iotarget_stop *iotarget_stop_alloc(const struct iotarget *target,
					  u64 cookie,
					  const struct iotarget_verb_args *args);
void iotarget_stop_put(struct iotarget_stop *stop);
int iotarget_stop_enforce(struct iotarget_stop *stop, struct iotarget *target,
			  enum iotarget_event event,
			  struct iotarget_change *change);
bool iotarget_stop_lost_owner(const struct iotarget_stop *stop, u32 portid);
bool iotarget_stops_held(void);
void iotarget_stops_owner_gone(u32 portid);
void iotarget_stops_end(struct iotarget *target, enum iotarget_why why);
void iotarget_stops_exit(void);

#endif /* _IOTARGET_STOPS_H */
