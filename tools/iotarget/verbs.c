// SPDX-License-Identifier: GPL-2.0-only
/*
 * The verbs that talk to the kernel over netlink.
 *
 * The kernel answers a verb with a cookie at once; the result is an event that
 * carries it.  So the socket joins the events first, and waits afterwards.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "tool.h"

#define DUMP_TRIES	10
#define DEFAULT_WAIT_MS	10000
#define BAD_NAME	1	/* it was said already */
#define GRACE_MS	5000	/* for the event, beyond the time of the verb */
#define LOOK_MS		5000	/* now and then, whether a stop is in force */

/* A refusal by the kernel, in words and as an exit status. */
int refused(const struct client *client, const char *what, int error)
{
	complain("%s: %s", what, *client->why ? client->why : strerror(-error));
	if (client->unanswered)
		return EXIT_LOST;
	switch (error) {
	case -EPERM:
	case -EACCES:
		return EXIT_NOT_ALLOWED;
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return EXIT_NOT_THERE;
	default:
		return EXIT_REFUSED;
	}
}

/*
 * By name, or as @NUMBER; the attributes are the same in all requests.  Nothing
 * else of what is put into a message is as long as the user likes.
 */
static bool put_target(struct nlmsghdr *message, const char *name)
{
	unsigned long long id;
	char *end;

	if (*name != '@') {
		if (strlen(name) > NAME_MAX_BYTES) {
			complain("%.40s...: a name has at most %d characters", name,
				 NAME_MAX_BYTES);
			return false;
		}
		mnl_attr_put_strz(message, IOTARGET_A_VERB_NAME, name);
		return true;
	}
	errno = 0;
	id = strtoull(name + 1, &end, 10);
	if (errno || end == name + 1 || *end) {
		complain("%s: not a number of a target", name);
		return false;
	}
	mnl_attr_put_u64(message, IOTARGET_A_VERB_ID, id);
	return true;
}

/* -- list, show ----------------------------------------------------------- */

struct targets {
	struct target	*all;
	size_t		count, room;
};

static void collect(void *context, const struct target *target)
{
	struct targets *targets = context;

	if (targets->count == targets->room) {
		targets->room = targets->room * 2 + 64;
		targets->all = realloc(targets->all, targets->room * sizeof(*target));
		if (!targets->all)
			abort();
	}
	targets->all[targets->count++] = *target;
}

int verb_list(const struct options *o)
{
	char buf[MNL_NLMSG_HDRLEN + 256];
	struct targets targets = { };
	struct client client = { .on_target = collect, .target_context = &targets };
	int ret, tries;
	size_t i;

	ret = client_open(&client);
	if (ret)
		return ret;
	/* Again, when targets came or went in between. */
	for (tries = 0; tries < DUMP_TRIES; tries++) {
		targets.count = 0;
		ret = client_ask(&client, client_message(&client, buf, IOTARGET_CMD_GET,
							 NLM_F_DUMP));
		if (ret || !client.interrupted)
			break;
	}
	if (ret) {
		ret = refused(&client, "list", ret);
	} else {
		if (client.interrupted)
			complain("targets come and go: the list may lack some");
		print_targets_begin(o->json);
		for (i = 0; i < targets.count; i++)
			print_target_row(o->json, &targets.all[i]);
		print_targets_end(o->json);
	}
	free(targets.all);
	client_close(&client);
	return ret;
}

static void remember(void *context, const struct target *target)
{
	*(struct target *)context = *target;
}

static int get(struct client *client, const char *name, struct target *target)
{
	char buf[MNL_NLMSG_HDRLEN + 512];
	struct nlmsghdr *message = client_message(client, buf, IOTARGET_CMD_GET, 0);

	if (!put_target(message, name))
		return BAD_NAME;
	client->on_target = remember;
	client->target_context = target;
	return client_ask(client, message);
}

int verb_show(const struct options *o)
{
	struct client client = { };
	struct target target;
	int ret;

	ret = client_open(&client);
	if (ret)
		return ret;
	ret = get(&client, o->args[0], &target);
	if (ret == BAD_NAME)
		ret = EXIT_USAGE;
	else if (ret)
		ret = refused(&client, o->args[0], ret);
	else
		print_target(o->json, &target);
	client_close(&client);
	return ret;
}

/* -- stop, start, purge, policy, reopen ----------------------------------- */

struct waiting {
	struct client	*client;
	bool		have_result, have_end;
	struct event	result, end;
};

static void watch(void *context, const struct event *event)
{
	struct waiting *w = context;

	/* The answer with the cookie comes before the events that carry it. */
	if (!w->client->cookie || event->cookie != w->client->cookie)
		return;
	if (event->kind == IOTARGET_EVENT_KIND_RESULT) {
		w->result = *event;
		w->have_result = true;
	} else if (event->kind == IOTARGET_EVENT_KIND_STOP_ENDED) {
		w->end = *event;
		w->have_end = true;
	}
}

static int await_result(struct waiting *w, const struct options *o)
{
	const uint64_t end = now_ms() + GRACE_MS +
			     (o->has_timeout ? o->timeout_ms : DEFAULT_WAIT_MS);

	while (!w->have_result && now_ms() < end && !told_to_end()) {
		const int ret = client_wait(w->client, 200);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* As an exit status. */
static int status_of(uint8_t cmd, uint32_t error)
{
	if (cmd == IOTARGET_CMD_REOPEN && (error == ENODEV || error == ENXIO || error == ENOMEDIUM))
		return EXIT_NOT_THERE;
	return cmd != IOTARGET_CMD_REOPEN && error == ETIMEDOUT ? EXIT_STILL_OUT : EXIT_REFUSED;
}

static int told(const struct waiting *w, const struct options *o, uint8_t cmd)
{
	if (!w->have_result) {
		complain("%s: asked for, but %s", o->args[0],
			 told_to_end() ? "interrupted before the result" :
			 "the result was lost; see 'iotarget show'");
		return EXIT_LOST;
	}
	print_result(o->json, &w->result);
	if (!w->result.error)
		return EXIT_DONE;
	complain("%s: %s", o->args[0],
		 *w->result.message ? w->result.message : strerror(w->result.error));
	return status_of(cmd, w->result.error);
}

/* The event of its end was lost, or will be: tell what can be seen. */
static void seems_over(struct waiting *w, uint32_t state, uint32_t why)
{
	memset(&w->end, 0, sizeof(w->end));
	w->end.kind = IOTARGET_EVENT_KIND_STOP_ENDED;
	w->end.id = w->result.id;
	w->end.cookie = w->result.cookie;
	memcpy(w->end.name, w->result.name, sizeof(w->end.name));
	w->end.state = state;
	w->end.why = why;
	w->have_end = true;
}

/* Is the stop in force?  Events may have told of its end, and not got here. */
static int look_for_stop(struct waiting *w)
{
	const uint64_t end = now_ms() + LOOK_MS;
	struct client *client = w->client;
	struct target target;
	unsigned int i;
	char id[32];
	int ret;

	/* Until the socket is empty the kernel has no room in it for an answer. */
	do {
		ret = client_wait(client, 0);
	} while (ret > 0 && !w->have_end && !told_to_end() && now_ms() < end);
	if (ret < 0 || w->have_end)
		return ret;
	client->overrun = false;
	snprintf(id, sizeof(id), "@%llu", (unsigned long long)w->result.id);
	ret = get(client, id, &target);
	if (w->have_end || client->unanswered)
		return 0;
	if (ret == -ENOENT)
		seems_over(w, IOTARGET_TARGET_STATE_DELETED, IOTARGET_WHY_GONE);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	for (i = 0; i < target.nr_stops; i++) {
		if (target.stops[i].cookie == client->cookie)
			return 0;
	}
	seems_over(w, target.state, 0);
	return 0;
}

static int hold_on(struct waiting *w)
{
	uint64_t next = now_ms() + LOOK_MS;
	int ret = 0;

	while (ret >= 0 && !w->have_end && !told_to_end()) {
		ret = client_wait(w->client, 500);
		if (ret < 0 || (!w->client->overrun && now_ms() < next))
			continue;
		ret = look_for_stop(w);
		next = now_ms() + LOOK_MS;
	}
	return ret < 0 ? ret : 0;
}

/* In the foreground: the stop lasts as long as this process, or until it ends. */
static int hold(struct waiting *w, const struct options *o)
{
	int ret;

	if (!o->json)
		printf("held until this process ends (Ctrl-C)\n");
	fflush(stdout);
	ret = hold_on(w);
	if (ret) {
		complain("netlink: %s", strerror(-ret));
		return EXIT_LOST;
	}
	if (!w->have_end)
		return EXIT_DONE;
	if (o->json)
		print_event(true, &w->end);
	else
		printf("%s: the stop is over: %s; the target is %s\n", w->end.name,
		       w->end.why ? why_name(w->end.why) : "why was lost",
		       state_name(w->end.state));
	return EXIT_DONE;
}

static void put_stop(struct nlmsghdr *message, const struct options *o)
{
	const char *reason = o->reason ?: "iotarget, by hand";
	char cut[REASON_MAX_BYTES + 1] = "";
	size_t len = strlen(reason);

	if (o->action)
		mnl_attr_put_u32(message, IOTARGET_A_VERB_ACTION, o->action);
	if (o->forever)
		mnl_attr_put(message, IOTARGET_A_VERB_FOREVER, 0, NULL);
	else if (o->has_expires)
		mnl_attr_put_u32(message, IOTARGET_A_VERB_EXPIRES_MS, o->expires_ms);
	if (o->hold)
		mnl_attr_put(message, IOTARGET_A_VERB_HOLD, 0, NULL);
	if (len > REASON_MAX_BYTES)
		len = cut_at(reason, REASON_MAX_BYTES);
	memcpy(cut, reason, len);
	mnl_attr_put_strz(message, IOTARGET_A_VERB_REASON, cut);
}

static void put_policy(struct nlmsghdr *message, const struct options *o)
{
	uint32_t set = 0, clear = 0;

	if (o->hold_ms) {
		set |= IOTARGET_GONE_POLICY_HOLD;
		mnl_attr_put_u32(message, IOTARGET_A_VERB_HOLD_MS, o->hold_ms);
	}
	if (o->hold_bytes)
		mnl_attr_put_u64(message, IOTARGET_A_VERB_HOLD_BYTES, o->hold_bytes);
	if (o->lossy)
		set |= IOTARGET_GONE_POLICY_LOSSY;
	if (o->no_lossy)
		clear |= IOTARGET_GONE_POLICY_LOSSY;
	if (o->replay)
		set |= IOTARGET_GONE_POLICY_REPLAY;
	if (o->no_replay)
		clear |= IOTARGET_GONE_POLICY_REPLAY;
	if (o->fail)
		clear |= IOTARGET_GONE_POLICY_HOLD;
	if (set)
		mnl_attr_put_u32(message, IOTARGET_A_VERB_POLICY_SET, set);
	if (clear)
		mnl_attr_put_u32(message, IOTARGET_A_VERB_POLICY_CLEAR, clear);
	if (o->accept_loss)
		mnl_attr_put(message, IOTARGET_A_VERB_ACCEPT_LOSS, 0, NULL);
}

static bool makes_stop(uint8_t cmd)
{
	return cmd == IOTARGET_CMD_STOP || cmd == IOTARGET_CMD_PURGE;
}

static int do_verb(struct client *client, const struct options *o, uint8_t cmd)
{
	char buf[MNL_NLMSG_HDRLEN + 1024];
	struct waiting w = { .client = client };
	struct nlmsghdr *message;
	int ret;

	client->on_event = watch;
	client->event_context = &w;
	ret = client_join(client);
	if (ret)
		return refused(client, "events", ret);
	message = client_message(client, buf, cmd, 0);
	if (!put_target(message, o->args[0]))
		return EXIT_USAGE;
	if (o->has_timeout)
		mnl_attr_put_u32(message, IOTARGET_A_VERB_TIMEOUT_MS, o->timeout_ms);
	if (makes_stop(cmd))
		put_stop(message, o);
	else if (cmd == IOTARGET_CMD_POLICY)
		put_policy(message, o);
	ret = client_ask(client, message);
	/* With the cookie it was accepted; just its acknowledgment was lost. */
	if (ret && !(client->unanswered && client->cookie))
		return refused(client, o->args[0], ret);
	ret = await_result(&w, o);
	if (ret)
		return refused(client, "netlink", ret);
	ret = told(&w, o, cmd);
	if (o->hold && (ret == EXIT_DONE || ret == EXIT_STILL_OUT)) {
		const int held = hold(&w, o);

		ret = held ?: ret;
	}
	return ret;
}

/*
 * Once a target is stopped, memory of ours that was swapped out to it, or code that
 * was not read yet, would not come back.
 */
int lock_memory(void)
{
	if (!mlockall(MCL_CURRENT | MCL_FUTURE))
		return EXIT_DONE;
	complain("memory can't be locked: %s; nothing was stopped", strerror(errno));
	return EXIT_NOT_ALLOWED;
}

static int run_verb(const struct options *o, uint8_t cmd)
{
	struct client client = { };
	int ret;

	/*
	 * Who starts a target must not wait for memory that it takes I/O to free; where
	 * this is refused, it goes without.
	 */
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	ret = makes_stop(cmd) ? lock_memory() : EXIT_DONE;
	if (ret)
		return ret;
	catch_signals();
	ret = client_open(&client);
	if (ret)
		return ret;
	ret = do_verb(&client, o, cmd);
	client_close(&client);
	return ret;
}

int verb_stop(const struct options *o)
{
	return run_verb(o, IOTARGET_CMD_STOP);
}

int verb_start(const struct options *o)
{
	return run_verb(o, IOTARGET_CMD_START);
}

int verb_purge(const struct options *o)
{
	return run_verb(o, IOTARGET_CMD_PURGE);
}

int verb_policy(const struct options *o)
{
	if ((o->hold_ms && o->fail) || (o->lossy && o->no_lossy) ||
	    (o->replay && o->no_replay)) {
		complain("--hold-for and --fail, --X and --no-X exclude each other");
		return EXIT_USAGE;
	}
	if (!o->hold_ms && !o->hold_bytes && !o->fail && !o->lossy && !o->no_lossy &&
	    !o->replay && !o->no_replay && !o->accept_loss) {
		complain("policy: what is to be changed? see iotarget --help");
		return EXIT_USAGE;
	}
	return run_verb(o, IOTARGET_CMD_POLICY);
}

int verb_reopen(const struct options *o)
{
	return run_verb(o, IOTARGET_CMD_REOPEN);
}

/* -- monitor -------------------------------------------------------------- */

struct monitor {
	const struct options *o;
	uint64_t	last;
};

static void show_event(void *context, const struct event *event)
{
	struct monitor *m = context;

	if (m->last && event->seq != m->last + 1)
		complain("%llu events were lost", (unsigned long long)(event->seq - m->last - 1));
	m->last = event->seq;
	if (m->o->args[0] && strcmp(m->o->args[0], event->name))
		return;
	print_event(m->o->json, event);
	fflush(stdout);
}

int verb_monitor(const struct options *o)
{
	struct monitor m = { .o = o };
	struct client client = { .on_event = show_event, .event_context = &m };
	int ret;

	catch_signals();
	ret = client_open(&client);
	if (ret)
		return ret;
	ret = client_join(&client);
	if (ret) {
		ret = refused(&client, "events", ret);
		goto out;
	}
	while (!told_to_end()) {
		if (client.overrun)
			complain("events were lost: they came faster than they were read");
		client.overrun = false;
		ret = client_wait(&client, 1000);
		if (ret < 0) {
			complain("netlink: %s", strerror(-ret));
			ret = EXIT_LOST;
			goto out;
		}
	}
	ret = EXIT_DONE;
out:
	client_close(&client);
	return ret;
}
