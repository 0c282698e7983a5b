// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic-netlink family "iotarget": messages in and out.
 *
 * Everything here takes CAP_SYS_ADMIN, joining the group of events, too.  No
 * handler waits for a device: a verb is answered, and then a worker begins it.
 * A further verb is an operation in the specification, a row in control.c and
 * three lines here.  Queries are no verbs of a target: see consent.c.
 *
 * Context: process.  Handlers run with cb_lock held for reading, at the same
 * time as each other.
 */
#include <linux/capability.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <linux/user_namespace.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "control.h"
#include "netlink-gen.h"

/* The generator can't say who may join. */
static const struct genl_multicast_group groups[] = {
	[IOTARGET_NLGRP_EVENTS] = {
		.name = IOTARGET_MCGRP_EVENTS,
		.flags = GENL_MCAST_CAP_SYS_ADMIN,
	},
};

/* Off before the family goes, and its group's number with it. */
static bool registered;

/*
 * Reconcilers share the workqueue of those who tell, and its only rescuer: what
 * there is no memory for at once is lost, and counted.
 */
#define TELL_GFP	(GFP_NOWAIT | __GFP_NOWARN)

/* -- what goes out -------------------------------------------------------- */

static int put_u64(struct sk_buff *skb, int type, u64 value, int pad)
{
	return nla_put_u64_64bit(skb, type, value, pad);
}

static int put_target_u64(struct sk_buff *skb, int type, u64 value)
{
	return put_u64(skb, type, value, IOTARGET_A_TARGET_PAD);
}

static int put_flag(struct sk_buff *skb, int type, bool set)
{
	return set ? nla_put_flag(skb, type) : 0;
}

static int put_stop(void *context, const struct iotarget_stop_info *info)
{
	const struct iotarget_verb_args *args = info->args;
	struct sk_buff *skb = context;
	struct nlattr *nest;

	nest = nla_nest_start(skb, IOTARGET_A_TARGET_STOP);
	if (!nest)
		return -EMSGSIZE;
	if (put_u64(skb, IOTARGET_A_STOP_COOKIE, info->cookie,
		    IOTARGET_A_STOP_PAD) ||
	    put_flag(skb, IOTARGET_A_STOP_PURGE, info->purge) ||
	    nla_put_u32(skb, IOTARGET_A_STOP_PID, args->pid) ||
	    nla_put_string(skb, IOTARGET_A_STOP_COMM, args->comm) ||
	    nla_put_string(skb, IOTARGET_A_STOP_REASON, args->reason) ||
	    put_flag(skb, IOTARGET_A_STOP_HOLD, args->hold) ||
	    (args->expires_ms &&
	     put_u64(skb, IOTARGET_A_STOP_EXPIRES_MS, info->left_ms,
		     IOTARGET_A_STOP_PAD)))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_device_info(struct sk_buff *skb,
			   const struct iotarget_info *info)
{
	if (!info->access)
		return 0;
	return nla_put_u32(skb, IOTARGET_A_TARGET_ACCESS, info->access) ||
	       nla_put_u32(skb, IOTARGET_A_TARGET_MAJOR, MAJOR(info->devt)) ||
	       nla_put_u32(skb, IOTARGET_A_TARGET_MINOR, MINOR(info->devt)) ||
	       nla_put_string(skb, IOTARGET_A_TARGET_DISK, info->disk_name) ||
	       nla_put_u32(skb, IOTARGET_A_TARGET_PARTITION,
			   info->partition) ||
	       put_target_u64(skb, IOTARGET_A_TARGET_CAPACITY,
			      info->capacity) ||
	       nla_put_u32(skb, IOTARGET_A_TARGET_LOGICAL_BLOCK_SIZE,
			   info->logical_block_size) ||
	       put_flag(skb, IOTARGET_A_TARGET_READ_ONLY, info->read_only) ||
	       put_flag(skb, IOTARGET_A_TARGET_REMOVABLE, info->removable) ||
	       put_flag(skb, IOTARGET_A_TARGET_WRITE_CACHE,
			info->write_cache);
}

static int put_policy(struct sk_buff *skb, struct iotarget *target)
{
	struct iotarget_policy policy;

	BUILD_BUG_ON(IOTARGET_POLICY_HOLD != IOTARGET_GONE_POLICY_HOLD);
	BUILD_BUG_ON(IOTARGET_POLICY_LOSSY != IOTARGET_GONE_POLICY_LOSSY);
	BUILD_BUG_ON(IOTARGET_POLICY_REPLAY != IOTARGET_GONE_POLICY_REPLAY);
	iotarget_policy_get(target, &policy);
	return nla_put_u32(skb, IOTARGET_A_TARGET_POLICY, policy.flags) ||
	       nla_put_u32(skb, IOTARGET_A_TARGET_HOLD_MS, policy.hold_ms) ||
	       put_target_u64(skb, IOTARGET_A_TARGET_HOLD_BYTES,
			      policy.hold_bytes);
}

/* What is held, and what of the device may be lost. */
static int put_away(struct sk_buff *skb, struct iotarget *target,
		    const struct iotarget_info *info, bool away,
		    unsigned int left_ms)
{
	if (away &&
	    (nla_put_flag(skb, IOTARGET_A_TARGET_AWAY) ||
	     put_target_u64(skb, IOTARGET_A_TARGET_AWAY_MS, left_ms)))
		return -EMSGSIZE;
	return put_target_u64(skb, IOTARGET_A_TARGET_HELD_BYTES,
			      info->held_bytes) ||
	       put_target_u64(skb, IOTARGET_A_TARGET_AT_RISK, info->at_risk) ||
	       put_target_u64(skb, IOTARGET_A_TARGET_LOST, info->lost) ||
	       put_target_u64(skb, IOTARGET_A_TARGET_UNKNOWN, info->unknown) ||
	       put_target_u64(skb, IOTARGET_A_TARGET_REPLAYED,
			      info->replayed) ||
	       put_policy(skb, target);
}

static int put_owner(struct sk_buff *skb, struct iotarget *target)
{
	struct module *owner = target->ops->owner;

	return (owner && nla_put_string(skb, IOTARGET_A_TARGET_MODULE,
					module_name(owner))) ||
	       (target->dev && nla_put_string(skb, IOTARGET_A_TARGET_CREATOR,
					      dev_name(target->dev)));
}

static int put_target(struct sk_buff *skb, struct iotarget *target)
{
	const enum iotarget_word word = READ_ONCE(target->gate.word);
	struct iotarget_info info;
	unsigned int left_ms;
	bool away;

	/* In this order: one that is not away any more is told with what came for it. */
	away = iotarget_away_left(target, &left_ms);
	iotarget_get_info(target, &info);
	if (put_target_u64(skb, IOTARGET_A_TARGET_ID, info.id) ||
	    nla_put_string(skb, IOTARGET_A_TARGET_NAME, info.name) ||
	    nla_put_u32(skb, IOTARGET_A_TARGET_STATE,
			iotarget_word_state(word)) ||
	    nla_put_string(skb, IOTARGET_A_TARGET_PHASE,
			   iotarget_word_name(word)) ||
	    put_target_u64(skb, IOTARGET_A_TARGET_PENDED, info.pended) ||
	    put_target_u64(skb, IOTARGET_A_TARGET_SENT, info.sent) ||
	    put_target_u64(skb, IOTARGET_A_TARGET_IGNORED, info.ignored) ||
	    put_target_u64(skb, IOTARGET_A_TARGET_OLDEST_MS, info.oldest_ms) ||
	    put_target_u64(skb, IOTARGET_A_TARGET_LIMBO, info.limbo) ||
	    put_target_u64(skb, IOTARGET_A_TARGET_LIMBO_BYTES,
			   info.limbo_bytes) ||
	    put_target_u64(skb, IOTARGET_A_TARGET_CLOSING, info.closing) ||
	    put_device_info(skb, &info) || put_owner(skb, target) ||
	    put_away(skb, target, &info, away, left_ms))
		return -EMSGSIZE;
	return iotarget_stops_each(target, put_stop, skb);
}

static int put_refusal(struct sk_buff *skb, const struct iotarget_note *note)
{
	const struct iotarget_refusal *refusal = &note->refusal;

	BUILD_BUG_ON((int)IOTARGET_REFUSED_BY_TARGET !=
		     (int)IOTARGET_REFUSER_TARGET);
	BUILD_BUG_ON((int)IOTARGET_REFUSED_BY_QUERY !=
		     (int)IOTARGET_REFUSER_QUERY);
	if (nla_put_u32(skb, IOTARGET_A_EVENT_ERROR, -note->error) ||
	    (note->message && nla_put_string(skb, IOTARGET_A_EVENT_MESSAGE,
					     note->message)))
		return -EMSGSIZE;
	if (refusal->by == IOTARGET_REFUSED_BY_NOBODY)
		return 0;
	return nla_put_u32(skb, IOTARGET_A_EVENT_REFUSED_BY, refusal->by) ||
	       nla_put_string(skb, IOTARGET_A_EVENT_REFUSED_NAME,
			      refusal->name) ||
	       nla_put_u32(skb, IOTARGET_A_EVENT_REFUSED_MAJOR,
			   MAJOR(refusal->devt)) ||
	       nla_put_u32(skb, IOTARGET_A_EVENT_REFUSED_MINOR,
			   MINOR(refusal->devt));
}

static int put_result(struct sk_buff *skb, const struct iotarget_note *note)
{
	if (note->kind == IOTARGET_EVENT_KIND_QUERY_REFUSED)
		return put_refusal(skb, note);
	if (note->kind == IOTARGET_EVENT_KIND_AWAY ||
	    note->kind == IOTARGET_EVENT_KIND_RETURNED)
		return nla_put_string(skb, IOTARGET_A_EVENT_DISK, note->disk);
	if (note->kind != IOTARGET_EVENT_KIND_RESULT)
		return 0;
	return nla_put_u32(skb, IOTARGET_A_EVENT_ERROR, -note->error) ||
	       (note->message && nla_put_string(skb, IOTARGET_A_EVENT_MESSAGE,
						note->message)) ||
	       put_u64(skb, IOTARGET_A_EVENT_SENT, note->report.sent,
		       IOTARGET_A_EVENT_PAD) ||
	       put_u64(skb, IOTARGET_A_EVENT_PENDED, note->report.pended,
		       IOTARGET_A_EVENT_PAD) ||
	       put_u64(skb, IOTARGET_A_EVENT_OLDEST_MS,
		       note->report.oldest_ms, IOTARGET_A_EVENT_PAD);
}

static int put_note(struct sk_buff *skb, const struct iotarget_note *note,
		    u64 dropped)
{
	const int pad = IOTARGET_A_EVENT_PAD;

	return put_u64(skb, IOTARGET_A_EVENT_SEQ, note->seq, pad) ||
	       put_u64(skb, IOTARGET_A_EVENT_TIME, note->time, pad) ||
	       put_u64(skb, IOTARGET_A_EVENT_DROPPED, dropped, pad) ||
	       nla_put_u32(skb, IOTARGET_A_EVENT_KIND, note->kind) ||
	       put_u64(skb, IOTARGET_A_EVENT_ID, note->id, pad) ||
	       nla_put_string(skb, IOTARGET_A_EVENT_NAME, note->name) ||
	       (note->id && nla_put_u32(skb, IOTARGET_A_EVENT_STATE,
					note->state)) ||
	       (note->cookie && put_u64(skb, IOTARGET_A_EVENT_COOKIE,
					note->cookie, pad)) ||
	       (note->why && nla_put_u32(skb, IOTARGET_A_EVENT_WHY,
					 note->why)) ||
	       put_flag(skb, IOTARGET_A_EVENT_FORCED, note->forced) ||
	       put_flag(skb, IOTARGET_A_EVENT_DRY_RUN, note->dry_run) ||
	       put_result(skb, note);
}

/**
 * iotarget_nl_heard - does anybody listen?
 *
 * Context: any.
 * Return: true if so.
 */
bool iotarget_nl_heard(void)
{
	return READ_ONCE(registered) &&
	       genl_has_listeners(&iotarget_nl_family, &init_net,
				  IOTARGET_NLGRP_EVENTS) > 0;
}

/*
 * Joining a group of ours takes CAP_SYS_ADMIN, but the number can be joined by
 * anybody while it is nobody's: whose socket it is counts.  A socket is in no
 * group any more when it is taken from its file; one without is the kernel's.
 */
static int must_not_hear(struct sock *sk, struct sk_buff *skb, void *data)
{
	const struct file *file = sk->sk_socket->file;

	return file && !file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN);
}

/**
 * iotarget_nl_tell - send an event to those who listen
 * @note: the event
 * @dropped: how many could not be told so far
 *
 * Context: process.
 * Return: 0 or a negative errno.
 */
int iotarget_nl_tell(const struct iotarget_note *note, u64 dropped)
{
	struct sk_buff *skb;
	void *head;

	/* What was queued just before the end must not reach another's group. */
	if (!READ_ONCE(registered))
		return 0;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, TELL_GFP);
	if (!skb)
		return -ENOMEM;
	head = genlmsg_put(skb, 0, 0, &iotarget_nl_family, 0,
			   IOTARGET_CMD_EVENT);
	if (!head || put_note(skb, note, dropped)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	/* Whose own buffer is full is told so; who has left need not be. */
	genlmsg_multicast_netns_filtered(&iotarget_nl_family, &init_net, skb, 0,
					 IOTARGET_NLGRP_EVENTS, TELL_GFP,
					 must_not_hear, NULL);
	return 0;
}

/* -- what comes in -------------------------------------------------------- */

static int may(struct sk_buff *skb, struct netlink_ext_ack *extack)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return 0;
	NL_SET_ERR_MSG(extack, "this takes CAP_SYS_ADMIN");
	return -EPERM;
}

/* By number or by name: the attributes are the same in all requests. */
static struct iotarget *find(struct genl_info *info)
{
	struct nlattr *id = info->attrs[IOTARGET_A_VERB_ID];
	struct nlattr *name = info->attrs[IOTARGET_A_VERB_NAME];
	struct iotarget *target;

	BUILD_BUG_ON((int)IOTARGET_A_VERB_ID != (int)IOTARGET_A_TARGET_ID);
	BUILD_BUG_ON((int)IOTARGET_A_VERB_NAME != (int)IOTARGET_A_TARGET_NAME);
	if (!id && !name) {
		NL_SET_ERR_MSG(info->extack, "which target? give id or name");
		return ERR_PTR(-EINVAL);
	}
	if (id && name) {
		NL_SET_ERR_MSG_ATTR(info->extack, name,
				    "id and name exclude each other");
		return ERR_PTR(-EINVAL);
	}
	target = id ? iotarget_registry_find(nla_get_u64(id)) :
		      iotarget_registry_find_name(nla_data(name));
	if (!target) {
		NL_SET_ERR_MSG_ATTR(info->extack, id ?: name,
				    "no such target");
		return ERR_PTR(-ENOENT);
	}
	if (IS_ERR(target))
		NL_SET_ERR_MSG_ATTR(info->extack, name,
				    "several targets have this name: use the id");
	return target;
}

static int reply_target(struct genl_info *info, struct iotarget *target)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *head;
	int ret;

	if (!skb)
		return -ENOMEM;
	head = genlmsg_put_reply(skb, info, &iotarget_nl_family, 0,
				 IOTARGET_CMD_GET);
	ret = head ? put_target(skb, target) : -EMSGSIZE;
	if (ret) {
		nlmsg_free(skb);
		return ret;
	}
	genlmsg_end(skb, head);
	return genlmsg_reply(skb, info);
}

int iotarget_nl_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct iotarget *target;
	int ret;

	ret = may(skb, info->extack);
	if (ret)
		return ret;
	target = find(info);
	if (IS_ERR(target))
		return PTR_ERR(target);
	ret = reply_target(info, target);
	iotarget_gate_unpin(target);
	return ret;
}

static int dump_target(struct sk_buff *skb, struct netlink_callback *cb,
		       struct iotarget *target)
{
	void *head;

	head = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &iotarget_nl_family, NLM_F_MULTI, IOTARGET_CMD_GET);
	if (!head)
		return -EMSGSIZE;
	if (put_target(skb, target)) {
		genlmsg_cancel(skb, head);
		return -EMSGSIZE;
	}
	genl_dump_check_consistent(cb, head);
	genlmsg_end(skb, head);
	return 0;
}

int iotarget_nl_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct iotarget *target;
	int ret;

	ret = may(cb->skb, cb->extack);
	if (ret)
		return ret;
	/* Who sees it change knows that targets came or went meanwhile. */
	cb->seq = iotarget_registry_changes();
	while ((target = iotarget_registry_next(cb->args[0]))) {
		const u64 id = target->id;

		ret = dump_target(skb, cb, target);
		iotarget_gate_unpin(target);
		if (ret)
			break;
		cb->args[0] = id + 1;
	}
	/* One that does not fit even alone would be asked for forever. */
	return skb->len ?: ret;
}

static int read_action(u8 cmd, struct genl_info *info,
		       struct iotarget_verb_args *args)
{
	struct nlattr *attr = info->attrs[IOTARGET_A_VERB_ACTION];

	if (!attr)
		return 0;
	args->action = nla_get_u32(attr);
	if (iotarget_verb_has_action(cmd, args->action))
		return 0;
	NL_SET_ERR_MSG_ATTR(info->extack, attr,
			    "a purge cancels what is sent, or leaves it");
	return -EINVAL;
}

/* What only those verbs have that leave a stop in force. */
static int read_stop(u8 cmd, struct genl_info *info,
		     struct iotarget_verb_args *args)
{
	struct nlattr *expires = info->attrs[IOTARGET_A_VERB_EXPIRES_MS];
	struct nlattr *reason = info->attrs[IOTARGET_A_VERB_REASON];
	const bool forever = info->attrs[IOTARGET_A_VERB_FOREVER];

	if (expires && forever) {
		NL_SET_ERR_MSG_ATTR(info->extack, expires,
				    "expires-ms and forever exclude each other");
		return -EINVAL;
	}
	args->expires_ms = IOTARGET_STOP_EXPIRES_MS;
	if (expires || forever)
		args->expires_ms = expires ? nla_get_u32(expires) : 0;
	args->hold = info->attrs[IOTARGET_A_VERB_HOLD];
	if (reason)
		nla_strscpy(args->reason, reason, sizeof(args->reason));
	return read_action(cmd, info, args);
}

/* What only the verb has that changes the policy. */
static int read_policy(struct genl_info *info, struct iotarget_verb_args *args)
{
	struct nlattr *set = info->attrs[IOTARGET_A_VERB_POLICY_SET];
	struct nlattr *clear = info->attrs[IOTARGET_A_VERB_POLICY_CLEAR];
	struct nlattr *ms = info->attrs[IOTARGET_A_VERB_HOLD_MS];
	struct nlattr *bytes = info->attrs[IOTARGET_A_VERB_HOLD_BYTES];
	struct iotarget_policy_change *change = &args->policy;

	change->accept_loss = info->attrs[IOTARGET_A_VERB_ACCEPT_LOSS];
	if (!set && !clear && !ms && !bytes && !change->accept_loss) {
		NL_SET_ERR_MSG(info->extack, "what is to be changed?");
		return -EINVAL;
	}
	change->flags = set ? nla_get_u32(set) : 0;
	change->mask = clear ? nla_get_u32(clear) : 0;
	if (change->flags & change->mask) {
		NL_SET_ERR_MSG_ATTR(info->extack, clear,
				    "a flag can't be set and cleared");
		return -EINVAL;
	}
	change->mask |= change->flags;
	change->hold_ms = ms ? nla_get_u32(ms) : 0;
	change->hold_bytes = bytes ? nla_get_u64(bytes) : 0;
	return 0;
}

/* The attributes of the others are not there to be looked at. */
static int read_own(u8 cmd, struct genl_info *info,
		    struct iotarget_verb_args *args)
{
	if (iotarget_verb_stops(cmd))
		return read_stop(cmd, info, args);
	return cmd == IOTARGET_CMD_POLICY ? read_policy(info, args) : 0;
}

static int reply_cookie(u8 cmd, struct genl_info *info, u64 cookie)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE,
					  GFP_KERNEL | __GFP_NORETRY |
					  __GFP_NOWARN);
	void *head;

	if (!skb)
		return -ENOMEM;
	head = genlmsg_put_reply(skb, info, &iotarget_nl_family, 0, cmd);
	if (!head || put_u64(skb, IOTARGET_A_VERB_COOKIE, cookie,
			     IOTARGET_A_VERB_PAD)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	return genlmsg_reply(skb, info);
}

/*
 * The answer goes first: so a socket has the cookie before the events that
 * carry it, and what nobody got an answer to is not done.
 */
static int begin(u8 cmd, struct iotarget *target, struct genl_info *info,
		 const struct iotarget_verb_args *args)
{
	const char *message = "failed";
	struct iotarget_verb_op *op;
	int ret;

	op = iotarget_verb_begin(cmd, target, args, &message);
	if (IS_ERR(op)) {
		if (info->extack)
			info->extack->_msg = message;
		/* All else of a policy is possible at any time. */
		if (cmd == IOTARGET_CMD_POLICY && op == ERR_PTR(-EBUSY))
			NL_SET_BAD_ATTR(info->extack,
					info->attrs[IOTARGET_A_VERB_POLICY_SET]);
		iotarget_gate_unpin(target);
		return PTR_ERR(op);
	}
	ret = reply_cookie(cmd, info, iotarget_verb_cookie(op));
	if (ret)
		iotarget_verb_abort(op);
	else
		iotarget_verb_go(op);
	return ret;
}

static int verb(u8 cmd, struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *timeout = info->attrs[IOTARGET_A_VERB_TIMEOUT_MS];
	struct iotarget_verb_args args = {
		.timeout_ms = IOTARGET_VERB_TIMEOUT_MS,
		.owner = NETLINK_CB(skb).sk,
		.portid = info->snd_portid,
		.pid = task_tgid_nr(current),
	};
	struct iotarget *target;
	unsigned int noio;
	int ret;

	ret = may(skb, info->extack);
	if (ret)
		return ret;
	if (timeout)
		args.timeout_ms = nla_get_u32(timeout);
	get_task_comm(args.comm, current);
	ret = read_own(cmd, info, &args);
	if (ret)
		return ret;
	target = find(info);
	if (IS_ERR(target))
		return PTR_ERR(target);
	/* A start must not wait for memory that needs what it would start. */
	noio = memalloc_noio_save();
	ret = begin(cmd, target, info, &args);
	memalloc_noio_restore(noio);
	return ret;
}

int iotarget_nl_stop_doit(struct sk_buff *skb, struct genl_info *info)
{
	return verb(IOTARGET_CMD_STOP, skb, info);
}

int iotarget_nl_start_doit(struct sk_buff *skb, struct genl_info *info)
{
	return verb(IOTARGET_CMD_START, skb, info);
}

int iotarget_nl_purge_doit(struct sk_buff *skb, struct genl_info *info)
{
	return verb(IOTARGET_CMD_PURGE, skb, info);
}

int iotarget_nl_policy_doit(struct sk_buff *skb, struct genl_info *info)
{
	return verb(IOTARGET_CMD_POLICY, skb, info);
}

int iotarget_nl_reopen_doit(struct sk_buff *skb, struct genl_info *info)
{
	return verb(IOTARGET_CMD_REOPEN, skb, info);
}

/* -- queries ---------------------------------------------------------------- */

/* Named by its number, and by bus and name what shall go of those above it. */
static struct device *find_device(struct genl_info *info)
{
	struct nlattr *major = info->attrs[IOTARGET_A_VERB_MAJOR];
	struct nlattr *minor = info->attrs[IOTARGET_A_VERB_MINOR];
	struct nlattr *above = info->attrs[IOTARGET_A_VERB_ANCESTOR];
	char bus[IOTARGET_ANCESTOR_MAX + 1], *name = NULL;
	struct device *dev;

	if (!major || !minor) {
		NL_SET_ERR_MSG(info->extack,
			       "which device? give major and minor");
		return ERR_PTR(-EINVAL);
	}
	if (above) {
		nla_strscpy(bus, above, sizeof(bus));
		name = strchr(bus, ':');
		if (!name || name == bus || !name[1]) {
			NL_SET_ERR_MSG_ATTR(info->extack, above,
					    "an ancestor is BUS:NAME");
			return ERR_PTR(-EINVAL);
		}
		*name++ = '\0';
	}
	dev = iotarget_watch_find(MKDEV(nla_get_u32(major), nla_get_u32(minor)),
				  above ? bus : NULL, name);
	if (dev == ERR_PTR(-ENODEV))
		NL_SET_ERR_MSG_ATTR(info->extack, major,
				    "no such disk or partition");
	else if (dev == ERR_PTR(-ENXIO))
		NL_SET_ERR_MSG_ATTR(info->extack, above,
				    "the disk has no such ancestor");
	return dev;
}

static int read_query(struct genl_info *info,
		      struct iotarget_query_params *params)
{
	struct nlattr *timeout = info->attrs[IOTARGET_A_VERB_TIMEOUT_MS];
	struct nlattr *expires = info->attrs[IOTARGET_A_VERB_EXPIRES_MS];

	if (timeout && !nla_get_u32(timeout)) {
		NL_SET_ERR_MSG_ATTR(info->extack, timeout,
				    "to answer takes time");
		return -EINVAL;
	}
	*params = (struct iotarget_query_params){
		.flags = info->attrs[IOTARGET_A_VERB_DRY_RUN] ?
			 IOTARGET_QUERY_DRY_RUN : 0,
		.timeout_ms = timeout ? nla_get_u32(timeout) : 0,
		.expires_ms = expires ? nla_get_u32(expires) : 0,
	};
	return 0;
}

/* As in begin(), the answer goes first. */
static int begin_query(struct genl_info *info, struct device *dev,
		       const struct iotarget_query_params *params,
		       const struct iotarget_verb_args *args)
{
	struct iotarget_user_query *q;
	int ret;

	q = iotarget_user_query_begin(dev, params, args);
	if (IS_ERR(q)) {
		if (q == ERR_PTR(-EUSERS))
			NL_SET_ERR_MSG(info->extack,
				       "too many queries are in force already");
		return PTR_ERR(q);
	}
	ret = reply_cookie(IOTARGET_CMD_QUERY_REMOVE, info,
			   iotarget_user_query_cookie(q));
	if (ret)
		iotarget_user_query_abort(q);
	else
		iotarget_user_query_go(q);
	return ret;
}

int iotarget_nl_query_remove_doit(struct sk_buff *skb, struct genl_info *info)
{
	const struct iotarget_verb_args args = {
		.hold = info->attrs[IOTARGET_A_VERB_HOLD],
		.owner = NETLINK_CB(skb).sk,
		.portid = info->snd_portid,
	};
	struct iotarget_query_params params;
	struct device *dev;
	unsigned int noio;
	int ret;

	ret = may(skb, info->extack);
	ret = ret ?: read_query(info, &params);
	if (ret)
		return ret;
	dev = find_device(info);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	noio = memalloc_noio_save();
	ret = begin_query(info, dev, &params, &args);
	memalloc_noio_restore(noio);
	put_device(dev);
	return ret;
}

int iotarget_nl_query_cancel_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *cookie = info->attrs[IOTARGET_A_VERB_COOKIE];
	int ret;

	ret = may(skb, info->extack);
	if (ret)
		return ret;
	if (!cookie) {
		NL_SET_ERR_MSG(info->extack, "which query? give its cookie");
		return -EINVAL;
	}
	ret = iotarget_user_query_cancel(nla_get_u64(cookie));
	if (ret)
		NL_SET_ERR_MSG_ATTR(info->extack, cookie, "no such query");
	return ret;
}

/* -- coming and going ----------------------------------------------------- */

static int socket_closed(struct notifier_block *nb, unsigned long event,
			 void *data)
{
	const struct netlink_notify *n = data;

	if (event == NETLINK_URELEASE && n->protocol == NETLINK_GENERIC &&
	    net_eq(n->net, &init_net))
		iotarget_control_owner_gone(n->portid);
	return NOTIFY_DONE;
}

static struct notifier_block socket_notifier = {
	.notifier_call = socket_closed,
};

/**
 * iotarget_nl_init - register the family
 *
 * Context: module load.
 * Return: 0 or a negative errno.
 */
int iotarget_nl_init(void)
{
	int ret;

	iotarget_nl_family.netnsok = false;
	iotarget_nl_family.mcgrps = groups;
	ret = netlink_register_notifier(&socket_notifier);
	if (ret)
		return ret;
	ret = genl_register_family(&iotarget_nl_family);
	if (ret)
		netlink_unregister_notifier(&socket_notifier);
	else
		WRITE_ONCE(registered, true);
	return ret;
}

/**
 * iotarget_nl_exit - unregister the family
 *
 * Context: module unload; sleeps.
 */
void iotarget_nl_exit(void)
{
	/* The number of our group may soon be another family's. */
	WRITE_ONCE(registered, false);
	iotarget_notes_flush();
	genl_unregister_family(&iotarget_nl_family);
	netlink_unregister_notifier(&socket_notifier);
}
