// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small client of the netlink family "iotarget": see nl.h.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nl.h"
#include "util.h"

#define PAYLOAD(a)	((void *)((char *)(a) + NLA_HDRLEN))

static uint64_t number(const struct nlattr *attr)
{
	uint64_t wide = 0;

	memcpy(&wide, PAYLOAD(attr), attr->nla_len - NLA_HDRLEN > 4 ? 8 : 4);
	return wide;
}

static void text_of(const struct nlattr *attr, char *text, size_t size)
{
	size_t len = attr->nla_len - NLA_HDRLEN;

	if (len >= size)
		len = size - 1;
	memcpy(text, PAYLOAD(attr), len);
	text[len] = 0;
}

/* The attribute at @at, or NULL when that is not one that fits into what is left. */
static const struct nlattr *whole(const void *at, int left)
{
	const struct nlattr *attr = at;

	return left >= NLA_HDRLEN && attr->nla_len >= NLA_HDRLEN && attr->nla_len <= left ?
		attr : NULL;
}

static const struct nlattr *next(const struct nlattr *attr, int *left)
{
	*left -= NLA_ALIGN(attr->nla_len);
	return whole((const char *)attr + NLA_ALIGN(attr->nla_len), *left);
}

/* The first one inside another one. */
static const struct nlattr *inside(const struct nlattr *nest, int *left)
{
	*left = nest->nla_len - NLA_HDRLEN;
	return whole(PAYLOAD(nest), *left);
}

/* The first one of a message. */
static const struct nlattr *first(const struct genlmsghdr *genl, int *len)
{
	*len -= GENL_HDRLEN;
	return whole((const char *)genl + GENL_HDRLEN, *len);
}

static uint16_t type_of(const struct nlattr *attr)
{
	return attr->nla_type & NLA_TYPE_MASK;
}

void nl_msg_init(struct nl *nl, struct nl_msg *msg, uint8_t cmd, uint16_t flags)
{
	memset(msg, 0, sizeof(*msg));
	msg->head.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN;
	msg->head.nlmsg_type = nl->family;
	msg->head.nlmsg_flags = NLM_F_REQUEST | flags;
	msg->head.nlmsg_seq = ++nl->seq;
	msg->genl.cmd = cmd;
	msg->genl.version = 1;
}

void nl_put(struct nl_msg *msg, uint16_t type, const void *data, uint16_t len)
{
	struct nlattr *attr = (struct nlattr *)((char *)msg + msg->head.nlmsg_len);

	if (msg->head.nlmsg_len + NLA_HDRLEN + NLA_ALIGN(len) > sizeof(*msg))
		return;
	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	if (len)
		memcpy(PAYLOAD(attr), data, len);
	msg->head.nlmsg_len += NLA_HDRLEN + NLA_ALIGN(len);
}

void nl_put_u32(struct nl_msg *msg, uint16_t type, uint32_t value)
{
	nl_put(msg, type, &value, sizeof(value));
}

void nl_put_u64(struct nl_msg *msg, uint16_t type, uint64_t value)
{
	nl_put(msg, type, &value, sizeof(value));
}

void nl_put_text(struct nl_msg *msg, uint16_t type, const char *text)
{
	nl_put(msg, type, text, strlen(text) + 1);
}

int nl_send(struct nl *nl, struct nl_msg *msg)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t sent;

	if (nl->connected)
		sent = send(nl->fd, msg, msg->head.nlmsg_len, 0);
	else
		sent = sendto(nl->fd, msg, msg->head.nlmsg_len, 0, (struct sockaddr *)&kernel,
			      sizeof(kernel));
	return sent < 0 ? -errno : 0;
}

/* Messages need no address any more, so that a plain write would do. */
int nl_connect(struct nl *nl)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	if (connect(nl->fd, (struct sockaddr *)&kernel, sizeof(kernel)))
		return -errno;
	nl->connected = true;
	return 0;
}

/* What is copied from an attribute: a number, a flag or a text. */
struct field {
	uint16_t	type;
	size_t		offset;
	size_t		size;		/* of a number 4 or 8, of a flag 1 */
};

#define E(_type, _member, _size) \
	{ IOTARGET_A_EVENT_##_type, offsetof(struct nl_event, _member), _size }
#define S(_type, _member, _size) \
	{ IOTARGET_A_STOP_##_type, offsetof(struct nl_stop, _member), _size }
#define T(_type, _member, _size) \
	{ IOTARGET_A_TARGET_##_type, offsetof(struct nl_target, _member), _size }

static const struct field event_fields[] = {
	E(SEQ, seq, 8), E(TIME, time, 8), E(DROPPED, dropped, 8), E(ID, id, 8),
	E(COOKIE, cookie, 8), E(SENT, sent, 8), E(PENDED, pended, 8),
	E(OLDEST_MS, oldest_ms, 8), E(KIND, kind, 4), E(STATE, state, 4), E(ERROR, error, 4),
	E(WHY, why, 4), E(NAME, name, 32), E(MESSAGE, message, 96), E(REFUSED_BY, refused_by, 4),
	E(REFUSED_NAME, refused_name, 32), E(REFUSED_MAJOR, refused_major, 4),
	E(REFUSED_MINOR, refused_minor, 4), E(FORCED, forced, 1), E(DRY_RUN, dry_run, 1),
	E(DISK, disk, 32), { }
};

static const struct field stop_fields[] = {
	S(COOKIE, cookie, 8), S(EXPIRES_MS, expires_ms, 8), S(PID, pid, 4), S(PURGE, purge, 1),
	S(HOLD, hold, 1), S(COMM, comm, 16), S(REASON, reason, 128), { }
};

static const struct field target_fields[] = {
	T(ID, id, 8), T(PENDED, pended, 8), T(SENT, sent, 8), T(CAPACITY, capacity, 8),
	T(STATE, state, 4), T(MAJOR, major, 4), T(MINOR, minor, 4), T(ACCESS, access, 4),
	T(NAME, name, 32), T(PHASE, phase, 32), T(DISK, disk, 32), T(MODULE, module, 64),
	T(HELD_BYTES, held_bytes, 8), T(AWAY, away, 1), T(AWAY_MS, away_ms, 8),
	T(AT_RISK, at_risk, 8), T(LOST, lost, 8), T(POLICY, policy, 4), T(HOLD_MS, hold_ms, 4),
	T(HOLD_BYTES, hold_bytes, 8), { }
};

static void read_field(const struct field *field, const struct nlattr *attr, void *to)
{
	for (; field->size; field++) {
		char *at = (char *)to + field->offset;
		uint64_t wide = 1;

		if (field->type != type_of(attr))
			continue;
		if (field->size > 8) {
			text_of(attr, at, field->size);
			continue;
		}
		if (field->size > 1)
			wide = number(attr);
		memcpy(at, &wide, field->size);
	}
}

static void read_event(const struct genlmsghdr *genl, int len, struct nl_event *event)
{
	const struct nlattr *attr;

	memset(event, 0, sizeof(*event));
	for (attr = first(genl, &len); attr; attr = next(attr, &len))
		read_field(event_fields, attr, event);
}

static void read_stop(const struct nlattr *nest, struct nl_stop *stop)
{
	const struct nlattr *attr;
	int left;

	memset(stop, 0, sizeof(*stop));
	for (attr = inside(nest, &left); attr; attr = next(attr, &left)) {
		read_field(stop_fields, attr, stop);
		stop->expires |= type_of(attr) == IOTARGET_A_STOP_EXPIRES_MS;
	}
}

static void read_target(const struct genlmsghdr *genl, int len, struct nl_target *target)
{
	const struct nlattr *attr;

	memset(target, 0, sizeof(*target));
	for (attr = first(genl, &len); attr; attr = next(attr, &len)) {
		read_field(target_fields, attr, target);
		if (type_of(attr) == IOTARGET_A_TARGET_STOP && target->nr_stops < 8)
			read_stop(attr, &target->stops[target->nr_stops++]);
	}
}

/* The errno of an error or an acknowledgment, and what the kernel says of it. */
static int read_error(struct nl *nl, const struct nlmsghdr *head)
{
	const struct nlmsgerr *err = NLMSG_DATA(head);
	const struct nlattr *attr;
	int left, skip = sizeof(*err);

	nl->text[0] = 0;
	nl->bad_attr = -1;
	if (!(head->nlmsg_flags & NLM_F_CAPPED))
		skip += err->msg.nlmsg_len - NLMSG_HDRLEN;
	skip = NLMSG_ALIGN(skip);
	if (!(head->nlmsg_flags & NLM_F_ACK_TLVS))
		return err->error;
	left = (int)head->nlmsg_len - NLMSG_HDRLEN - skip;
	for (attr = whole((const char *)err + skip, left); attr; attr = next(attr, &left)) {
		if (type_of(attr) == NLMSGERR_ATTR_MSG)
			text_of(attr, nl->text, sizeof(nl->text));
		else if (type_of(attr) == NLMSGERR_ATTR_OFFS)
			nl->bad_attr = number(attr);
	}
	return err->error;
}

/* One read; -EAGAIN when there is nothing in that time. */
static int fetch(struct nl *nl, void *buf, size_t size, unsigned int ms)
{
	struct pollfd pfd = { .fd = nl->fd, .events = POLLIN };
	int n;

	n = poll(&pfd, 1, ms);
	if (n <= 0)
		return n ? -errno : -EAGAIN;
	n = recv(nl->fd, buf, size, 0);
	if (n < 0 && errno == ENOBUFS) {
		nl->overruns++;
		return 0;
	}
	return n < 0 ? -errno : n;
}

static bool keep_event(struct nl *nl, const struct nlmsghdr *head)
{
	const struct genlmsghdr *genl = NLMSG_DATA(head);

	if (head->nlmsg_type != nl->family || genl->cmd != IOTARGET_CMD_EVENT)
		return false;
	if (nl->head - nl->tail < NL_EVENTS)
		read_event(genl, head->nlmsg_len - NLMSG_HDRLEN,
			   &nl->events[nl->head++ % NL_EVENTS]);
	else
		nl->overruns++;
	return true;
}

static uint64_t read_cookie(const struct genlmsghdr *genl, int len)
{
	const struct nlattr *attr;
	uint64_t cookie = 0;

	for (attr = first(genl, &len); attr; attr = next(attr, &len)) {
		if (type_of(attr) == IOTARGET_A_VERB_COOKIE)
			cookie = number(attr);
	}
	return cookie;
}

/* An answer came: did events that carry its cookie come before it? */
static void look_for_early(struct nl *nl, uint64_t cookie)
{
	unsigned int i;

	for (i = nl->tail; i != nl->head; i++)
		nl->early += cookie && nl->events[i % NL_EVENTS].cookie == cookie;
}

/*
 * Read until the acknowledgment of a message that was sent, each time for so long.
 * Events that come between are kept.  An answer to a verb sets @cookie, one to
 * "get" @target.
 */
int nl_answer(struct nl *nl, const struct nl_msg *msg, uint64_t *cookie,
	      struct nl_target *target, unsigned int ms)
{
	static char buf[NL_BYTES];
	struct nlmsghdr *head;
	int n;

	for (;;) {
		n = fetch(nl, buf, sizeof(buf), ms);
		if (n < 0)
			return -NO_CALL + n;
		for (head = (void *)buf; NLMSG_OK(head, (unsigned int)n);
		     head = NLMSG_NEXT(head, n)) {
			if (keep_event(nl, head) || head->nlmsg_seq != msg->head.nlmsg_seq)
				continue;
			if (head->nlmsg_type == NLMSG_ERROR)
				return read_error(nl, head);
			if (cookie) {
				*cookie = read_cookie(NLMSG_DATA(head),
						      head->nlmsg_len - NLMSG_HDRLEN);
				look_for_early(nl, *cookie);
			}
			if (target)
				read_target(NLMSG_DATA(head), head->nlmsg_len - NLMSG_HDRLEN,
					    target);
		}
	}
}

/* Send, and read the answer, in time. */
int nl_ask(struct nl *nl, struct nl_msg *msg, uint64_t *cookie, struct nl_target *target)
{
	int ret;

	msg->head.nlmsg_flags |= NLM_F_ACK;
	call_begins();
	ret = nl_send(nl, msg);
	if (ret)
		return ret;
	ret = nl_answer(nl, msg, cookie, target, LONG_MS);
	if (ret > -NO_CALL)
		call_ended("netlink request", 0);
	return ret;
}

int nl_get(struct nl *nl, uint64_t id, struct nl_target *target)
{
	struct nl_msg msg;

	nl_msg_init(nl, &msg, IOTARGET_CMD_GET, 0);
	nl_put_u64(&msg, IOTARGET_A_TARGET_ID, id);
	return nl_ask(nl, &msg, NULL, target);
}

/* All targets; @each may end it by false. */
int nl_dump(struct nl *nl, bool (*each)(void *context, const struct nl_target *target),
	    void *context, bool *interrupted)
{
	static char buf[NL_BYTES];
	struct nl_target target;
	struct nlmsghdr *head;
	struct nl_msg msg;
	int ret, n;

	*interrupted = false;
	nl_msg_init(nl, &msg, IOTARGET_CMD_GET, NLM_F_DUMP);
	ret = nl_send(nl, &msg);
	while (!ret) {
		n = fetch(nl, buf, sizeof(buf), LONG_MS);
		if (n < 0)
			return -NO_CALL + n;
		for (head = (void *)buf; NLMSG_OK(head, (unsigned int)n);
		     head = NLMSG_NEXT(head, n)) {
			if (keep_event(nl, head) || head->nlmsg_seq != msg.head.nlmsg_seq)
				continue;
			*interrupted |= head->nlmsg_flags & NLM_F_DUMP_INTR;
			if (head->nlmsg_type == NLMSG_ERROR)
				return read_error(nl, head);
			if (head->nlmsg_type == NLMSG_DONE)
				return *(int *)NLMSG_DATA(head);
			read_target(NLMSG_DATA(head), head->nlmsg_len - NLMSG_HDRLEN, &target);
			if (!each(context, &target))
				return 0;
		}
	}
	return ret;
}

/* The next event, or -ETIMEDOUT. */
int nl_event(struct nl *nl, struct nl_event *event, unsigned int ms)
{
	const uint64_t end = now_ms() + ms;
	static char buf[NL_BYTES];
	struct nlmsghdr *head;
	uint64_t now;
	int n;

	while (nl->head == nl->tail) {
		now = now_ms();
		if (now > end)
			return -ETIMEDOUT;
		n = fetch(nl, buf, sizeof(buf), end - now);
		if (n < 0 && n != -EAGAIN)
			return n;
		for (head = (void *)buf; n > 0 && NLMSG_OK(head, (unsigned int)n);
		     head = NLMSG_NEXT(head, n))
			keep_event(nl, head);
	}
	*event = nl->events[nl->tail++ % NL_EVENTS];
	return 0;
}

/* The next event of that kind, and of that cookie if it isn't 0. */
int nl_await(struct nl *nl, uint32_t kind, uint64_t cookie, struct nl_event *event,
	     unsigned int ms)
{
	const uint64_t end = now_ms() + ms;
	uint64_t now;
	int ret;

	for (;;) {
		now = now_ms();
		ret = nl_event(nl, event, now < end ? end - now : 0);
		if (ret || (event->kind == kind && (!cookie || event->cookie == cookie)))
			return ret;
	}
}

/* A verb for the target of that name, for a time if it isn't 0, and what came of it. */
int nl_verb(struct nl *ask, struct nl *ear, uint8_t cmd, const char *name,
	    unsigned int expires_ms, struct nl_event *result)
{
	uint64_t cookie = 0;
	struct nl_msg msg;
	int ret;

	nl_msg_init(ask, &msg, cmd, 0);
	nl_put_text(&msg, IOTARGET_A_VERB_NAME, name);
	if (expires_ms)
		nl_put_u32(&msg, IOTARGET_A_VERB_EXPIRES_MS, expires_ms);
	ret = nl_ask(ask, &msg, &cookie, NULL);
	if (!ret)
		ret = nl_await(ear, IOTARGET_EVENT_KIND_RESULT, cookie, result, LONG_MS);
	return ret ? ret : -(int)result->error;
}

static void read_group(struct nl *nl, const struct nlattr *group)
{
	const struct nlattr *field;
	uint32_t id = 0;
	char name[32] = "";
	int left;

	for (field = inside(group, &left); field; field = next(field, &left)) {
		if (type_of(field) == CTRL_ATTR_MCAST_GRP_ID)
			id = number(field);
		else if (type_of(field) == CTRL_ATTR_MCAST_GRP_NAME)
			text_of(field, name, sizeof(name));
	}
	if (!strcmp(name, IOTARGET_MCGRP_EVENTS))
		nl->group = id;
}

static void read_family(struct nl *nl, const struct genlmsghdr *genl, int len)
{
	const struct nlattr *attr, *group;
	int left;

	for (attr = first(genl, &len); attr; attr = next(attr, &len)) {
		if (type_of(attr) == CTRL_ATTR_FAMILY_ID)
			nl->family = *(uint16_t *)PAYLOAD(attr);
		if (type_of(attr) != CTRL_ATTR_MCAST_GROUPS)
			continue;
		for (group = inside(attr, &left); group; group = next(group, &left))
			read_group(nl, group);
	}
}

static int resolve(struct nl *nl)
{
	static char buf[NL_BYTES];
	struct nlmsghdr *head;
	struct nl_msg msg;
	int ret, n;

	nl_msg_init(nl, &msg, CTRL_CMD_GETFAMILY, 0);
	msg.head.nlmsg_type = GENL_ID_CTRL;
	nl_put_text(&msg, CTRL_ATTR_FAMILY_NAME, IOTARGET_FAMILY_NAME);
	ret = nl_send(nl, &msg);
	if (ret)
		return ret;
	n = fetch(nl, buf, sizeof(buf), LONG_MS);
	head = (void *)buf;
	if (n < 0 || !NLMSG_OK(head, (unsigned int)n))
		return -EIO;
	if (head->nlmsg_type == NLMSG_ERROR)
		return read_error(nl, head);
	read_family(nl, NLMSG_DATA(head), head->nlmsg_len - NLMSG_HDRLEN);
	return nl->family && nl->group ? 0 : -EIO;
}

int nl_open(struct nl *nl)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(addr);
	int on = 1, ret;

	memset(nl, 0, sizeof(*nl));
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (nl->fd < 0)
		return -errno;
	if (bind(nl->fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) ||
	    getsockname(nl->fd, (struct sockaddr *)&addr, &len))
		ret = -errno;
	else
		ret = resolve(nl);
	nl->portid = addr.nl_pid;
	if (ret)
		nl_close(nl);
	return ret;
}

/* With its events. */
int nl_listen(struct nl *nl)
{
	int ret = nl_open(nl);

	return ret ? ret : nl_join(nl);
}

void nl_close(struct nl *nl)
{
	close(nl->fd);
	nl->fd = -1;
}

int nl_join(struct nl *nl)
{
	return setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &nl->group,
			  sizeof(nl->group)) ? -errno : 0;
}
