/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * iotarget, the command-line tool: what its files share.
 *
 *   main.c	options, the table of verbs
 *   verbs.c	the verbs that talk to the kernel over netlink
 *   client.c	messages, errors, events
 *   signals.c	being told to end
 *   print.c	tables and JSON
 *   takes.c	takes: whether a disk that comes is a target's
 *   gate.c	attach and detach: iogates in configfs
 *   eject.c	eject: a device whose users agree
 *   users.c	who uses a device
 */
#ifndef _IOTARGET_TOOL_H
#define _IOTARGET_TOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "../../include/uapi/linux/iotarget.h"

/* Exit statuses; they stand in the manual page. */
enum {
	EXIT_DONE	= 0,
	EXIT_REFUSED	= 1,	/* with a reason */
	EXIT_USAGE	= 2,
	EXIT_NOT_THERE	= 3,	/* no module, no target */
	EXIT_NOT_ALLOWED = 4,
	EXIT_STILL_OUT	= 5,	/* done, but requests are still out */
	EXIT_LOST	= 6,	/* the answer or the result never came */
};

#define MAX_STOPS	8
#define NAME_MAX_BYTES	31	/* of a target */
#define REASON_MAX_BYTES 127
#define TEXT_BYTES	160	/* of each text, the NUL included */

struct options {
	bool		json;
	bool		hold;
	bool		force;
	bool		forever;
	bool		has_expires;
	bool		has_timeout;
	bool		dry_run;
	bool		fail;
	bool		lossy, no_lossy;
	bool		replay, no_replay;
	bool		accept_loss;
	uint32_t	hold_ms;	/* 0: not given */
	uint64_t	hold_bytes;	/* likewise */
	uint32_t	deadline_ms;	/* 0: not given */
	uint32_t	expires_ms;
	uint32_t	timeout_ms;
	uint32_t	action;
	const char	*reason;
	const char	*args[2];	/* the verb's own */
};

struct stop {
	uint64_t	cookie, expires_ms;
	uint32_t	pid;
	bool		purge, hold, expires;
	char		comm[TEXT_BYTES], reason[TEXT_BYTES];
};

struct target {
	uint64_t	id, pended, sent, ignored, oldest_ms;
	uint64_t	limbo, limbo_bytes, closing, capacity;
	uint64_t	held_bytes, away_ms, at_risk, lost, hold_bytes;
	uint64_t	unknown, replayed;
	uint32_t	state, access, major, minor, partition, block_size;
	uint32_t	policy, hold_ms;
	bool		read_only, removable, write_cache, away;
	char		name[TEXT_BYTES], phase[TEXT_BYTES], disk[TEXT_BYTES];
	char		module[TEXT_BYTES], creator[TEXT_BYTES];
	unsigned int	nr_stops;
	struct stop	stops[MAX_STOPS];
};

struct event {
	uint64_t	seq, time, dropped, id, cookie, sent, pended, oldest_ms;
	uint32_t	kind, state, error, why;
	uint32_t	refused_by, refused_major, refused_minor;
	bool		forced, dry_run;
	char		name[TEXT_BYTES], message[TEXT_BYTES], refused_name[TEXT_BYTES];
	char		disk[TEXT_BYTES];
};

/* client.c */
struct client {
	struct mnl_socket *sock;
	uint16_t	family;
	uint32_t	group, seq;
	uint64_t	cookie;		/* of the last verb */
	bool		interrupted;	/* the last dump was */
	bool		overrun;	/* events were lost here */
	bool		unanswered;	/* the last question was */
	char		why[256];	/* what the kernel said to the last error */
	void		(*on_target)(void *context, const struct target *target);
	void		(*on_event)(void *context, const struct event *event);
	void		*target_context, *event_context;
};

int client_open(struct client *client);
void client_close(struct client *client);
int client_join(struct client *client);
struct nlmsghdr *client_message(struct client *client, void *buf, uint8_t cmd, uint16_t flags);
int client_ask(struct client *client, struct nlmsghdr *message);
int client_wait(struct client *client, int ms);
int client_fd(const struct client *client);
uint64_t now_ms(void);

/* signals.c */
void catch_signals(void);
bool told_to_end(void);

/* print.c */
void print_targets_begin(bool json);
void print_target_row(bool json, const struct target *target);
void print_targets_end(bool json);
void print_target(bool json, const struct target *target);
void print_event(bool json, const struct event *event);
void print_result(bool json, const struct event *event);
const char *state_name(uint32_t state);
const char *why_name(uint32_t why);
const char *refuser_name(uint32_t refuser);
size_t cut_at(const char *text, size_t bytes);
const char *plain(const char *text);
void j_open(const char *bracket);
void j_next(const char *bracket);
void j_close(const char *bracket);
void j_key(const char *key);
void j_text(const char *key, const char *text);
void j_number(const char *key, uint64_t n);
void j_bool(const char *key, bool value);

/* verbs.c */
int verb_list(const struct options *o);
int verb_show(const struct options *o);
int verb_stop(const struct options *o);
int verb_start(const struct options *o);
int verb_purge(const struct options *o);
int verb_policy(const struct options *o);
int verb_reopen(const struct options *o);
int verb_monitor(const struct options *o);
int refused(const struct client *client, const char *what, int error);
int lock_memory(void);

/* takes.c */
int verb_takes(const struct options *o);

/* gate.c */
int verb_attach(const struct options *o);
int verb_detach(const struct options *o);

/* eject.c */
int verb_eject(const struct options *o);

/* users.c */
struct user {
	const char	*kind;		/* mount, swap, holder or process */
	const char	*device;	/* the disk or partition */
	const char	*name;		/* mount point, holder, or name of the process */
	uint32_t	pid;
};

unsigned int find_users(uint32_t major, uint32_t minor,
			void (*each)(void *context, const struct user *user), void *context);

/* main.c */
__attribute__((format(printf, 1, 2))) void complain(const char *fmt, ...);

#endif /* _IOTARGET_TOOL_H */
