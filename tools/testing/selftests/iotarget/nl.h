/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small client of the netlink family "iotarget", for the selftests: no
 * library, so that a test can also send what no library would.
 */
#ifndef _IOTARGET_NL_H
#define _IOTARGET_NL_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "../../../../include/uapi/linux/iotarget.h"

#define NL_EVENTS	256	/* that wait to be looked at */
#define NL_BYTES	32768	/* of one read */

/* An event, or what a target's entry says; what is not there is 0. */
struct nl_event {
	uint64_t	seq, time, dropped, id, cookie;
	uint64_t	sent, pended, oldest_ms;
	uint32_t	kind, state, error, why;
	uint32_t	refused_by, refused_major, refused_minor;
	bool		forced, dry_run;
	char		name[32], message[96], refused_name[32], disk[32];
};

struct nl_stop {
	uint64_t	cookie, expires_ms;
	uint32_t	pid;
	bool		purge, hold, expires;
	char		comm[16], reason[128];
};

struct nl_target {
	uint64_t	id, pended, sent, capacity;
	uint64_t	held_bytes, away_ms, at_risk, lost, hold_bytes;
	uint32_t	state, major, minor, access, policy, hold_ms;
	bool		away;
	char		name[32], phase[32], disk[32], module[64];
	unsigned int	nr_stops;
	struct nl_stop	stops[8];
};

/* A connection.  The text and the attribute are those of the last error. */
struct nl {
	int		fd;
	uint32_t	portid, seq;
	bool		connected;
	uint16_t	family;
	uint32_t	group;
	char		text[128];
	int		bad_attr;
	unsigned int	overruns, head, tail;
	unsigned int	early;		/* events that came before their verb's answer */
	struct nl_event	events[NL_EVENTS];
};

/* A message being put together. */
struct nl_msg {
	struct nlmsghdr		head;
	struct genlmsghdr	genl;
	char			attrs[4096];
};

int nl_open(struct nl *nl);
int nl_listen(struct nl *nl);
void nl_close(struct nl *nl);
int nl_join(struct nl *nl);
int nl_connect(struct nl *nl);
void nl_msg_init(struct nl *nl, struct nl_msg *msg, uint8_t cmd, uint16_t flags);
void nl_put(struct nl_msg *msg, uint16_t type, const void *data, uint16_t len);
void nl_put_u32(struct nl_msg *msg, uint16_t type, uint32_t value);
void nl_put_u64(struct nl_msg *msg, uint16_t type, uint64_t value);
void nl_put_text(struct nl_msg *msg, uint16_t type, const char *text);
int nl_send(struct nl *nl, struct nl_msg *msg);
int nl_answer(struct nl *nl, const struct nl_msg *msg, uint64_t *cookie,
	      struct nl_target *target, unsigned int ms);
int nl_ask(struct nl *nl, struct nl_msg *msg, uint64_t *cookie,
	   struct nl_target *target);
int nl_get(struct nl *nl, uint64_t id, struct nl_target *target);
int nl_dump(struct nl *nl, bool (*each)(void *context, const struct nl_target *target),
	    void *context, bool *interrupted);
int nl_event(struct nl *nl, struct nl_event *event, unsigned int ms);
int nl_verb(struct nl *ask, struct nl *ear, uint8_t cmd, const char *name,
	    unsigned int expires_ms, struct nl_event *result);
int nl_await(struct nl *nl, uint32_t kind, uint64_t cookie, struct nl_event *event,
	     unsigned int ms);

#endif /* _IOTARGET_NL_H */
