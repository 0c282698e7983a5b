/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control from user space: what its files call in each other.  What the core
 * calls is in internal.h.
 *
 *   netlink.c	the family: messages in and out, nothing else
 *   control.c	verbs
 *   reopen.c	one of them
 *   stops.c	the stops that they make, and drivers for users
 *   consent.c	queries whether a device may go
 *   notify.c	events on their way to netlink.c
 *   registry.c	which targets there are
 */
#ifndef _IOTARGET_CONTROL_H
#define _IOTARGET_CONTROL_H

#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/types.h>

#include <uapi/linux/iotarget.h>

#include "devices.h"

struct sock;

/* What a verb that names no times of its own gets. */
#define IOTARGET_VERB_TIMEOUT_MS	10000
#define IOTARGET_STOP_EXPIRES_MS	60000

#define IOTARGET_REASON_MAX		127
#define IOTARGET_ANCESTOR_MAX		127

/**
 * struct iotarget_note - an event on its way to those who listen
 * @node: in the queue
 * @seq: its number
 * @time: ktime_get_boottime_ns() when it happened
 * @id: the target's, or 0 for an event of a query
 * @cookie: of the verb that it is about, or 0
 * @name: the target's, or the device's that the query is about
 * @kind: &enum iotarget_event_kind
 * @state: &enum iotarget_state, just after, of a target
 * @why: &enum iotarget_why, with %IOTARGET_EVENT_KIND_STOP_ENDED,
 *	%IOTARGET_EVENT_KIND_QUERY_ENDED and %IOTARGET_EVENT_KIND_GIVEN_UP
 * @forced: with %IOTARGET_EVENT_KIND_REMOVE_QUERY: it can't be refused
 * @dry_run: the same, and with %IOTARGET_EVENT_KIND_QUERY_AGREED: it was only asked
 * @error: 0 or a negative errno, with %IOTARGET_EVENT_KIND_RESULT and
 *	%IOTARGET_EVENT_KIND_QUERY_REFUSED
 * @message: what the error means, a constant string, or NULL
 * @report: with %IOTARGET_EVENT_KIND_RESULT
 * @refusal: with %IOTARGET_EVENT_KIND_QUERY_REFUSED
 * @disk: the disk that is gone, or is there, with %IOTARGET_EVENT_KIND_AWAY and
 *	%IOTARGET_EVENT_KIND_RETURNED
 */
struct iotarget_note {
	struct list_head		node;
	u64				seq;
	u64				time;
	u64				id;
	u64				cookie;
	char				name[IOTARGET_NAME_MAX + 1];
	u8				kind;
	u8				state;
	u8				why;
	bool				forced;
	bool				dry_run;
	int				error;
	const char			*message;
	union {
		struct iotarget_wait_report	report;
		struct iotarget_refusal		refusal;
		char				disk[DISK_NAME_LEN];
	};
};

/**
 * struct iotarget_verb_args - what a verb was told
 * @timeout_ms: how long to wait
 * @expires_ms: how long a stop lasts, 0 for ever
 * @action: &enum iotarget_sent_action, 0 for the verb's own
 * @hold: it ends with the socket
 * @owner: which socket; may be looked at only with @hold, and in the handler
 * @portid: its number
 * @pid: who asked
 * @comm: the name of that process
 * @reason: what it gave as the reason
 * @policy: what is to be changed of the policy
 */
struct iotarget_verb_args {
	u32		timeout_ms;
	u32		expires_ms;
	u8		action;
	bool		hold;
	struct sock	*owner;
	u32		portid;
	pid_t		pid;
	char		comm[TASK_COMM_LEN];
	char		reason[IOTARGET_REASON_MAX + 1];
	struct iotarget_policy_change policy;
};

/**
 * struct iotarget_stop_info - a stop in force, for those who list them
 * @cookie: of the verb that made it
 * @purge: it is a purge
 * @left_ms: how long it lasts, if it expires
 * @args: what the verb was told
 */
struct iotarget_stop_info {
	u64				cookie;
	bool				purge;
	u32				left_ms;
	const struct iotarget_verb_args	*args;
};

struct iotarget_verb_op;

/* control.c */
struct iotarget_verb_op *iotarget_verb_begin(u8 cmd, struct iotarget *target,
					     const struct iotarget_verb_args *a,
					     const char **message);
u64 iotarget_verb_cookie(const struct iotarget_verb_op *op);
void iotarget_verb_go(struct iotarget_verb_op *op);
void iotarget_verb_abort(struct iotarget_verb_op *op);
bool iotarget_verb_stops(u8 cmd);
bool iotarget_verb_has_action(u8 cmd, u8 action);
const char *iotarget_verb_error(int error);
void iotarget_control_owner_gone(u32 portid);

/* reopen.c */

/**
 * struct iotarget_reopen - a target that is opened again
 * @away: its device is looked for; else it is opened
 * @look: that
 * @changes: &iotarget_gate.changes: it is opened only if there was none since
 * @how: as it was opened
 */
struct iotarget_reopen {
	bool			away;
	struct iotarget_look	look;
	u64			changes;
	struct iotarget_open	how;
};

int iotarget_reopen_check(struct iotarget *target, const char **why);
int iotarget_reopen_begin(struct iotarget *target, struct iotarget_reopen *reopen,
			  const char **why);
int iotarget_reopen_end(struct iotarget *target,
			const struct iotarget_reopen *reopen,
			unsigned int timeout_ms, const char **why);

/* stops.c */
int iotarget_stops_each(struct iotarget *target,
			int (*each)(void *context,
				    const struct iotarget_stop_info *info),
			void *context);

/* consent.c */
struct iotarget_user_query;

struct iotarget_user_query *
iotarget_user_query_begin(struct device *dev,
			  const struct iotarget_query_params *params,
			  const struct iotarget_verb_args *args);
u64 iotarget_user_query_cookie(const struct iotarget_user_query *q);
void iotarget_user_query_go(struct iotarget_user_query *q);
void iotarget_user_query_abort(struct iotarget_user_query *q);
int iotarget_user_query_cancel(u64 cookie);
void iotarget_user_queries_owner_gone(u32 portid);
void iotarget_user_queries_exit(void);

/* notify.c */
struct iotarget_note *iotarget_note_alloc(gfp_t gfp);
void iotarget_note_fill(struct iotarget_note *note, struct iotarget *target,
			u8 kind, u64 cookie);
void iotarget_note_queue(struct iotarget_note *note);
void iotarget_notes_flush(void);

/* netlink.c */
bool iotarget_nl_heard(void);
int iotarget_nl_tell(const struct iotarget_note *note, u64 dropped);
int iotarget_nl_init(void);
void iotarget_nl_exit(void);

/* registry.c */
struct iotarget *iotarget_registry_find(u64 id);
struct iotarget *iotarget_registry_find_name(const char *name);
struct iotarget *iotarget_registry_next(u64 from);
unsigned int iotarget_registry_changes(void);

#endif /* _IOTARGET_CONTROL_H */
