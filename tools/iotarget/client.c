// SPDX-License-Identifier: GPL-2.0-only
/*
 * The connection to the kernel: finding the family, asking, and reading what
 * comes back.  Events and answers come over the same socket.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define BYTES		65536
#define ANSWER_MS	10000	/* between the parts of an answer */

/* What is copied from an attribute: a number, a flag or a text of TEXT_BYTES. */
enum kind { END, U32, U64, FLAG, TEXT };

struct field {
	uint16_t	type;
	enum kind	kind;
	size_t		offset;
};

#define T(_type, _kind, _member) \
	{ IOTARGET_A_TARGET_##_type, _kind, offsetof(struct target, _member) }
#define S(_type, _kind, _member) \
	{ IOTARGET_A_STOP_##_type, _kind, offsetof(struct stop, _member) }
#define E(_type, _kind, _member) \
	{ IOTARGET_A_EVENT_##_type, _kind, offsetof(struct event, _member) }

static const struct field target_fields[] = {
	T(ID, U64, id), T(NAME, TEXT, name), T(STATE, U32, state), T(PHASE, TEXT, phase),
	T(PENDED, U64, pended), T(SENT, U64, sent), T(IGNORED, U64, ignored),
	T(OLDEST_MS, U64, oldest_ms), T(LIMBO, U64, limbo), T(LIMBO_BYTES, U64, limbo_bytes),
	T(CLOSING, U64, closing), T(ACCESS, U32, access), T(MAJOR, U32, major),
	T(MINOR, U32, minor), T(DISK, TEXT, disk), T(PARTITION, U32, partition),
	T(CAPACITY, U64, capacity), T(LOGICAL_BLOCK_SIZE, U32, block_size),
	T(READ_ONLY, FLAG, read_only), T(REMOVABLE, FLAG, removable),
	T(WRITE_CACHE, FLAG, write_cache), T(MODULE, TEXT, module), T(CREATOR, TEXT, creator),
	T(AWAY, FLAG, away), T(AWAY_MS, U64, away_ms), T(HELD_BYTES, U64, held_bytes),
	T(AT_RISK, U64, at_risk), T(LOST, U64, lost), T(POLICY, U32, policy),
	T(HOLD_MS, U32, hold_ms), T(HOLD_BYTES, U64, hold_bytes),
	T(UNKNOWN, U64, unknown), T(REPLAYED, U64, replayed),
	{ }
};

static const struct field stop_fields[] = {
	S(COOKIE, U64, cookie), S(PURGE, FLAG, purge), S(PID, U32, pid), S(COMM, TEXT, comm),
	S(REASON, TEXT, reason), S(HOLD, FLAG, hold), S(EXPIRES_MS, U64, expires_ms),
	{ }
};

static const struct field event_fields[] = {
	E(SEQ, U64, seq), E(TIME, U64, time), E(DROPPED, U64, dropped), E(KIND, U32, kind),
	E(ID, U64, id), E(NAME, TEXT, name), E(STATE, U32, state), E(COOKIE, U64, cookie),
	E(ERROR, U32, error), E(MESSAGE, TEXT, message), E(WHY, U32, why), E(SENT, U64, sent),
	E(PENDED, U64, pended), E(OLDEST_MS, U64, oldest_ms), E(REFUSED_BY, U32, refused_by),
	E(REFUSED_NAME, TEXT, refused_name), E(REFUSED_MAJOR, U32, refused_major),
	E(REFUSED_MINOR, U32, refused_minor), E(FORCED, FLAG, forced), E(DRY_RUN, FLAG, dry_run),
	E(DISK, TEXT, disk),
	{ }
};

static void copy_text(char *to, size_t size, const struct nlattr *attr)
{
	size_t len = mnl_attr_get_payload_len(attr);

	if (len >= size)
		len = cut_at(mnl_attr_get_payload(attr), size - 1);
	memcpy(to, mnl_attr_get_payload(attr), len);
	to[len] = 0;
}

/* Attributes of a newer kernel are passed over. */
static void read_field(const struct field *f, const struct nlattr *attr, void *to)
{
	const uint16_t type = mnl_attr_get_type(attr), len = mnl_attr_get_payload_len(attr);

	for (; f->kind != END; f++) {
		char *at = (char *)to + f->offset;

		if (f->type != type)
			continue;
		if (f->kind == U32 && len >= 4)
			*(uint32_t *)at = mnl_attr_get_u32(attr);
		else if (f->kind == U64 && len >= 8)
			*(uint64_t *)at = mnl_attr_get_u64(attr);
		else if (f->kind == FLAG)
			*(bool *)at = true;
		else if (f->kind == TEXT)
			copy_text(at, TEXT_BYTES, attr);
	}
}

static void read_target(const struct nlmsghdr *head, struct target *target)
{
	struct nlattr *attr, *inner;
	struct stop *stop;

	memset(target, 0, sizeof(*target));
	mnl_attr_for_each(attr, head, GENL_HDRLEN) {
		read_field(target_fields, attr, target);
		if (mnl_attr_get_type(attr) != IOTARGET_A_TARGET_STOP ||
		    target->nr_stops == MAX_STOPS)
			continue;
		stop = &target->stops[target->nr_stops++];
		mnl_attr_for_each_nested(inner, attr) {
			read_field(stop_fields, inner, stop);
			if (mnl_attr_get_type(inner) == IOTARGET_A_STOP_EXPIRES_MS)
				stop->expires = true;
		}
	}
}

static int on_message(const struct nlmsghdr *head, void *data)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(head);
	struct client *client = data;
	struct target target;
	struct event event;
	struct nlattr *attr;

	if (head->nlmsg_type != client->family)
		return MNL_CB_OK;
	if (genl->cmd == IOTARGET_CMD_EVENT) {
		memset(&event, 0, sizeof(event));
		mnl_attr_for_each(attr, head, GENL_HDRLEN)
			read_field(event_fields, attr, &event);
		if (client->on_event)
			client->on_event(client->event_context, &event);
	} else if (genl->cmd == IOTARGET_CMD_GET) {
		client->interrupted |= head->nlmsg_flags & NLM_F_DUMP_INTR;
		read_target(head, &target);
		if (client->on_target)
			client->on_target(client->target_context, &target);
	} else {
		mnl_attr_for_each(attr, head, GENL_HDRLEN) {
			if (mnl_attr_get_type(attr) == IOTARGET_A_VERB_COOKIE)
				client->cookie = mnl_attr_get_u64(attr);
		}
	}
	return MNL_CB_OK;
}

/* The attribute of the request that the kernel points at, by its name. */
static const char *attr_name(const struct nlmsghdr *request, uint32_t offset)
{
	static const char * const names[] = {
		[IOTARGET_A_VERB_ID] = "id",
		[IOTARGET_A_VERB_NAME] = "name",
		[IOTARGET_A_VERB_ACTION] = "--action",
		[IOTARGET_A_VERB_TIMEOUT_MS] = "--timeout",
		[IOTARGET_A_VERB_EXPIRES_MS] = "--expires",
		[IOTARGET_A_VERB_FOREVER] = "--expires",
		[IOTARGET_A_VERB_HOLD] = "--hold",
		[IOTARGET_A_VERB_REASON] = "--reason",
		[IOTARGET_A_VERB_MAJOR] = "device",
		[IOTARGET_A_VERB_MINOR] = "device",
		[IOTARGET_A_VERB_ANCESTOR] = "what is to go",
		[IOTARGET_A_VERB_POLICY_SET] = "--hold-for",
		[IOTARGET_A_VERB_POLICY_CLEAR] = "--fail",
		[IOTARGET_A_VERB_HOLD_MS] = "--hold-for",
		[IOTARGET_A_VERB_HOLD_BYTES] = "--hold-bytes",
	};
	const struct nlattr *attr = (const void *)((const char *)request + offset);

	if (offset + sizeof(*attr) > request->nlmsg_len ||
	    mnl_attr_get_type(attr) >= sizeof(names) / sizeof(*names))
		return NULL;
	return names[mnl_attr_get_type(attr)];
}

/* What the kernel says beside the errno, in attributes from @skip on. */
static int explain(struct client *client, int error, const struct nlmsghdr *head, size_t skip,
		   const struct nlmsghdr *request)
{
	const char *name = NULL;
	char text[TEXT_BYTES] = "";
	struct nlattr *attr;

	if (!error)
		return 0;
	if (head->nlmsg_flags & NLM_F_ACK_TLVS) {
		mnl_attr_for_each(attr, head, skip) {
			if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
				copy_text(text, sizeof(text), attr);
			else if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_OFFS)
				name = attr_name(request, mnl_attr_get_u32(attr));
		}
	}
	snprintf(client->why, sizeof(client->why), "%s%s%s", name ?: "", name ? ": " : "",
		 *text ? text : strerror(-error));
	return error;
}

static int read_error(struct client *client, const struct nlmsghdr *head,
		      const struct nlmsghdr *request)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(head);
	size_t skip = sizeof(*err);

	if (!(head->nlmsg_flags & NLM_F_CAPPED))
		skip += mnl_nlmsg_get_payload_len(&err->msg);
	return explain(client, err->error, head, skip, request);
}

/* A dump tells of its failure at its end. */
static int read_done(struct client *client, const struct nlmsghdr *head,
		     const struct nlmsghdr *request)
{
	int error = 0;

	/* Here, too: what came or went last may have left no entry to say so. */
	client->interrupted |= head->nlmsg_flags & NLM_F_DUMP_INTR;
	if (mnl_nlmsg_get_payload_len(head) >= sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(head), sizeof(error));
	return explain(client, error < 0 ? error : 0, head, sizeof(error), request);
}

/* One read.  1: the end of @request; 0: go on; negative: an error. */
static int read_some(struct client *client, const struct nlmsghdr *request)
{
	static char buf[BYTES];
	struct nlmsghdr *head;
	ssize_t got;
	int n, ret;

	got = mnl_socket_recvfrom(client->sock, buf, sizeof(buf));
	if (got < 0) {
		if (errno == EINTR || errno == EAGAIN)
			return 0;
		if (errno != ENOBUFS)
			return -errno;
		client->overrun = true;
		return 0;
	}
	n = got;
	for (head = (void *)buf; mnl_nlmsg_ok(head, n); head = mnl_nlmsg_next(head, &n)) {
		const bool answer = request && head->nlmsg_seq == request->nlmsg_seq;

		if (answer && head->nlmsg_type == NLMSG_ERROR) {
			ret = read_error(client, head, request);
			return ret ?: 1;
		}
		if (answer && head->nlmsg_type == NLMSG_DONE) {
			ret = read_done(client, head, request);
			return ret ?: 1;
		}
		on_message(head, client);
	}
	return 0;
}

struct nlmsghdr *client_message(struct client *client, void *buf, uint8_t cmd, uint16_t flags)
{
	struct nlmsghdr *head = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(head, sizeof(*genl));

	head->nlmsg_type = client->family;
	head->nlmsg_flags = NLM_F_REQUEST | flags;
	head->nlmsg_seq = ++client->seq;
	genl->cmd = cmd;
	genl->version = 1;
	return head;
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

static int no_answer(struct client *client, int error, const char *why)
{
	client->unanswered = true;
	snprintf(client->why, sizeof(client->why), "no answer: %s", why);
	return error;
}

/*
 * The kernel answers a message while it is being sent, so when events have
 * overrun the socket and there is nothing more to read, the answer was lost, too.
 */
static int read_answer(struct client *client, const struct nlmsghdr *message)
{
	struct pollfd pfd = { .fd = client_fd(client), .events = POLLIN };
	uint64_t end = now_ms() + ANSWER_MS;
	int n, ret = 0;

	while (!ret) {
		if (told_to_end())
			return no_answer(client, -EINTR, "interrupted");
		n = poll(&pfd, 1, client->overrun ? 0 : 200);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			ret = read_some(client, message);
			end = now_ms() + ANSWER_MS;
		} else if (!n && client->overrun) {
			return no_answer(client, -ENOBUFS, "too many events at once");
		} else if (now_ms() > end) {
			return no_answer(client, -ETIMEDOUT, strerror(ETIMEDOUT));
		}
	}
	return ret < 0 ? ret : 0;
}

/* Send, and read up to the acknowledgment or the end of the dump. */
int client_ask(struct client *client, struct nlmsghdr *message)
{
	client->interrupted = false;
	client->unanswered = false;
	client->why[0] = 0;
	if ((message->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		message->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(client->sock, message, message->nlmsg_len) < 0)
		return -errno;
	return read_answer(client, message);
}

int client_fd(const struct client *client)
{
	return mnl_socket_get_fd(client->sock);
}

/* Read what comes within that time; 1 if something did. */
int client_wait(struct client *client, int ms)
{
	struct pollfd pfd = { .fd = client_fd(client), .events = POLLIN };
	int n = poll(&pfd, 1, ms);

	if (n <= 0)
		return n && errno != EINTR ? -errno : 0;
	n = read_some(client, NULL);
	return n < 0 ? n : 1;
}

static int read_group(const struct nlattr *groups, uint32_t *id)
{
	const struct nlattr *group, *field;
	const char *name;
	uint32_t number;

	mnl_attr_for_each_nested(group, groups) {
		name = "";
		number = 0;
		mnl_attr_for_each_nested(field, group) {
			if (mnl_attr_get_type(field) == CTRL_ATTR_MCAST_GRP_NAME)
				name = mnl_attr_get_str(field);
			else if (mnl_attr_get_type(field) == CTRL_ATTR_MCAST_GRP_ID)
				number = mnl_attr_get_u32(field);
		}
		if (!strcmp(name, IOTARGET_MCGRP_EVENTS))
			*id = number;
	}
	return 0;
}

static int on_family(const struct nlmsghdr *head, void *data)
{
	struct client *client = data;
	struct nlattr *attr;

	mnl_attr_for_each(attr, head, GENL_HDRLEN) {
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
			client->family = mnl_attr_get_u16(attr);
		else if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GROUPS)
			read_group(attr, &client->group);
	}
	return MNL_CB_OK;
}

static int find_family(struct client *client)
{
	static char buf[BYTES];
	struct nlmsghdr *head;
	ssize_t got;

	client->family = GENL_ID_CTRL;
	head = client_message(client, buf, CTRL_CMD_GETFAMILY, 0);
	client->family = 0;
	mnl_attr_put_strz(head, CTRL_ATTR_FAMILY_NAME, IOTARGET_FAMILY_NAME);
	if (mnl_socket_sendto(client->sock, head, head->nlmsg_len) < 0)
		return -errno;
	got = mnl_socket_recvfrom(client->sock, buf, sizeof(buf));
	if (got < 0 || mnl_cb_run(buf, got, 0, 0, on_family, client) < 0)
		return -errno;
	return client->family ? 0 : -ENOENT;
}

int client_open(struct client *client)
{
	int one = 1, space = 1 << 20, ret;

	client->sock = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!client->sock || mnl_socket_bind(client->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		complain("netlink: %s", strerror(errno));
		return EXIT_REFUSED;
	}
	mnl_socket_setsockopt(client->sock, NETLINK_EXT_ACK, &one, sizeof(one));
	/* Room for bursts of events; less will do where that is not allowed. */
	setsockopt(client_fd(client), SOL_SOCKET, SO_RCVBUFFORCE, &space, sizeof(space));
	ret = find_family(client);
	if (!ret)
		return EXIT_DONE;
	if (ret == -ENOENT)
		complain("there are no I/O targets: is the module loaded? (modprobe iotarget)");
	else
		complain("netlink: %s", strerror(-ret));
	client_close(client);
	return ret == -ENOENT ? EXIT_NOT_THERE : EXIT_REFUSED;
}

void client_close(struct client *client)
{
	if (client->sock)
		mnl_socket_close(client->sock);
	client->sock = NULL;
}

int client_join(struct client *client)
{
	if (mnl_socket_setsockopt(client->sock, NETLINK_ADD_MEMBERSHIP, &client->group,
				  sizeof(client->group)) < 0)
		return -errno;
	return 0;
}
