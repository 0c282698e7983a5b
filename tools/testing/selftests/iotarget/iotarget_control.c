// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control over netlink: what can be asked, what is answered, and what is
 * refused and how; the rules by which stops end are in iotarget_control_rules.c,
 * modules that come and go in iotarget_control_module.c.
 */
#include <sys/wait.h>

#include "control.h"

#define MANY		200

FIXTURE(control) {
	int fd;
	uint64_t id;
	char path[DEVICE_PATH];
	struct nl ask, ear;
};

FIXTURE_SETUP(control)
{
	struct iotarget_test_info info;

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	NL_OR_SKIP(&self->ask);
	if (!got_device(self->path, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	self->fd = target_opened("control-test", self->path);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, target_info(self->fd, &info));
	self->id = info.id;
	ASSERT_EQ(0, nl_listen(&self->ear));
}

FIXTURE_TEARDOWN(control)
{
	nl_close(&self->ear);
	nl_close(&self->ask);
	close(self->fd);
	ON_TIME();
}

static int verb(struct nl *nl, uint8_t cmd, uint64_t id, uint64_t *cookie)
{
	struct nl_msg msg;

	nl_msg_init(nl, &msg, cmd, 0);
	nl_put_u64(&msg, IOTARGET_A_VERB_ID, id);
	return nl_ask(nl, &msg, cookie, NULL);
}

TEST_F(control, get_shows_the_target)
{
	struct nl_target target;
	struct nl_msg msg;

	ASSERT_EQ(0, nl_get(&self->ask, self->id, &target));
	EXPECT_EQ(self->id, target.id);
	EXPECT_STREQ("control-test", target.name);
	EXPECT_EQ(STARTED, target.state);
	EXPECT_STREQ("started", target.phase);
	EXPECT_EQ(ACCESS_BOTH, target.access);
	EXPECT_STREQ(strrchr(self->path, '/') + 1, target.disk);
	EXPECT_EQ(device_size(self->path), target.capacity);
	EXPECT_STREQ("iotarget_test", target.module);
	EXPECT_EQ(0, target.nr_stops);
	EXPECT_FALSE(target.away);
	EXPECT_EQ(0, target.policy);
	EXPECT_EQ(30000, target.hold_ms);
	EXPECT_EQ(64 * MIB, target.hold_bytes);
	EXPECT_EQ(0, target.held_bytes + target.at_risk + target.lost);
	/* By name it is the same one. */
	nl_msg_init(&self->ask, &msg, IOTARGET_CMD_GET, 0);
	nl_put_text(&msg, IOTARGET_A_TARGET_NAME, "control-test");
	memset(&target, 0, sizeof(target));
	ASSERT_EQ(0, nl_ask(&self->ask, &msg, NULL, &target));
	EXPECT_EQ(self->id, target.id);
	/* Without a device there is nothing to tell of it. */
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, nl_get(&self->ask, self->id, &target));
	EXPECT_EQ(CLOSED, target.state);
	EXPECT_EQ(0, target.access);
	EXPECT_STREQ("", target.disk);
}

struct step {
	uint8_t		cmd;
	uint32_t	kind;		/* of the event */
	uint32_t	state;		/* afterwards */
	unsigned int	stops;		/* in force afterwards */
};

TEST_F(control, each_verb_does_and_tells)
{
	static const struct step steps[] = {
		{ IOTARGET_CMD_STOP, IOTARGET_EVENT_KIND_STOPPED, STOPPED, 1 },
		{ IOTARGET_CMD_START, IOTARGET_EVENT_KIND_STARTED, STARTED, 0 },
		{ IOTARGET_CMD_PURGE, IOTARGET_EVENT_KIND_PURGED, PURGED, 1 },
		{ IOTARGET_CMD_STOP, IOTARGET_EVENT_KIND_STOPPED, STOPPED, 2 },
		{ IOTARGET_CMD_START, IOTARGET_EVENT_KIND_STARTED, STARTED, 0 },
	};
	struct nl_target target;
	struct nl_event event;
	unsigned int i;
	uint64_t cookie;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		cookie = 0;
		ASSERT_EQ(0, verb(&self->ask, steps[i].cmd, self->id, &cookie))
			TH_LOG("step %u: %s", i, self->ask.text);
		EXPECT_NE(0, cookie);
		ASSERT_EQ(0, nl_await(&self->ear, steps[i].kind, cookie, &event, EVENT_MS))
			TH_LOG("step %u", i);
		EXPECT_EQ(self->id, event.id);
		EXPECT_EQ(steps[i].state, event.state);
		EXPECT_STREQ("control-test", event.name);
		ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_RESULT, cookie, &event,
				      EVENT_MS));
		EXPECT_EQ(0, event.error);
		EXPECT_STREQ("", event.message);
		EXPECT_EQ(steps[i].state, target_state(self->fd));
		ASSERT_EQ(0, nl_get(&self->ask, self->id, &target));
		EXPECT_EQ(steps[i].stops, target.nr_stops);
	}
}

TEST_F(control, a_socket_has_the_cookie_before_its_events)
{
	struct nl_event event;
	uint64_t cookie;
	unsigned int i;

	ASSERT_EQ(0, nl_join(&self->ask));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, verb(&self->ask, i & 1 ? IOTARGET_CMD_START : IOTARGET_CMD_STOP,
				  self->id, &cookie));
		EXPECT_EQ(0, self->ask.early);
		ASSERT_EQ(0, nl_await(&self->ask, IOTARGET_EVENT_KIND_RESULT, cookie, &event,
				      EVENT_MS));
		EXPECT_EQ(0, event.error);
	}
}

/* Nobody waits for a result in between, and the last word counts. */
TEST_F(control, verbs_are_carried_out_in_order)
{
	uint64_t cookie = 0, last = 0;
	unsigned int i, n = 60;
	struct nl_event event;

	for (i = 0; i <= n; i++)
		ASSERT_EQ(0, verb(&self->ask, i & 1 ? IOTARGET_CMD_START : IOTARGET_CMD_PURGE,
				  self->id, &cookie));
	do {
		ASSERT_EQ(0, nl_event(&self->ear, &event, EVENT_MS));
		if (event.kind != IOTARGET_EVENT_KIND_STARTED &&
		    event.kind != IOTARGET_EVENT_KIND_PURGED)
			continue;
		EXPECT_LT(last, event.cookie);
		last = event.cookie;
	} while (event.kind != IOTARGET_EVENT_KIND_RESULT || event.cookie != cookie);
	EXPECT_EQ(cookie, last);
	EXPECT_EQ(0, self->ear.overruns);
	EXPECT_EQ(PURGED, target_state(self->fd));
}

TEST_F(control, a_stop_says_whose_it_is_and_why)
{
	struct nl_target target;
	struct nl_msg msg;
	uint64_t cookie;

	nl_msg_init(&self->ask, &msg, IOTARGET_CMD_STOP, 0);
	nl_put_text(&msg, IOTARGET_A_VERB_NAME, "control-test");
	nl_put_text(&msg, IOTARGET_A_VERB_REASON, "to see it");
	nl_put_u32(&msg, IOTARGET_A_VERB_ACTION, IOTARGET_SENT_ACTION_LEAVE);
	nl_put(&msg, IOTARGET_A_VERB_HOLD, NULL, 0);
	ASSERT_EQ(0, nl_ask(&self->ask, &msg, &cookie, NULL));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_RESULT, cookie,
			      &(struct nl_event){ }, EVENT_MS));
	ASSERT_EQ(0, nl_get(&self->ask, self->id, &target));
	ASSERT_EQ(1, target.nr_stops);
	EXPECT_EQ(cookie, target.stops[0].cookie);
	EXPECT_EQ(getpid(), target.stops[0].pid);
	EXPECT_STREQ("iotarget_contro", target.stops[0].comm);
	EXPECT_STREQ("to see it", target.stops[0].reason);
	EXPECT_TRUE(target.stops[0].hold);
	EXPECT_FALSE(target.stops[0].purge);
	/* It expires, unless told otherwise, after a minute. */
	EXPECT_TRUE(target.stops[0].expires);
	EXPECT_LT(30000, target.stops[0].expires_ms);
	EXPECT_GE(60100, target.stops[0].expires_ms);
}

/* -- refusals ------------------------------------------------------------- */

struct bad {
	const char	*what;
	uint8_t		cmd;
	int		expected;
	int		attr;		/* that the kernel must point at, or 0 */
	const char	*text;		/* part of what it must say */
	void		(*fill)(struct nl_msg *msg);
	bool		no_target;
};

static void unknown_id(struct nl_msg *msg)
{
	nl_put_u64(msg, IOTARGET_A_VERB_ID, ~0ULL);
}

static void unknown_name(struct nl_msg *msg)
{
	nl_put_text(msg, IOTARGET_A_VERB_NAME, "no-such-target");
}

static void long_name(struct nl_msg *msg)
{
	nl_put_text(msg, IOTARGET_A_VERB_NAME, "a23456789012345678901234567890123");
}

static void name_too(struct nl_msg *msg)
{
	nl_put_text(msg, IOTARGET_A_VERB_NAME, "control-test");
}

static void bad_action(struct nl_msg *msg)
{
	nl_put_u32(msg, IOTARGET_A_VERB_ACTION, 4);
}

static void wait_action(struct nl_msg *msg)
{
	nl_put_u32(msg, IOTARGET_A_VERB_ACTION, IOTARGET_SENT_ACTION_WAIT);
}

static void long_wait(struct nl_msg *msg)
{
	nl_put_u32(msg, IOTARGET_A_VERB_TIMEOUT_MS, 600001);
}

static void expires_at_once(struct nl_msg *msg)
{
	nl_put_u32(msg, IOTARGET_A_VERB_EXPIRES_MS, 0);
}

static void forever_and_not(struct nl_msg *msg)
{
	nl_put_u32(msg, IOTARGET_A_VERB_EXPIRES_MS, 1000);
	nl_put(msg, IOTARGET_A_VERB_FOREVER, NULL, 0);
}

static void long_reason(struct nl_msg *msg)
{
	char reason[129];

	memset(reason, 'x', 128);
	reason[128] = 0;
	nl_put_text(msg, IOTARGET_A_VERB_REASON, reason);
}

static void short_number(struct nl_msg *msg)
{
	nl_put(msg, IOTARGET_A_VERB_TIMEOUT_MS, "x", 1);
}

static void hold_it(struct nl_msg *msg)
{
	nl_put(msg, IOTARGET_A_VERB_HOLD, NULL, 0);
}

static void bad_policy(struct nl_msg *msg)
{
	nl_put_u32(msg, IOTARGET_A_VERB_POLICY_SET, 0x80);
}

static void let_it_be_lossy(struct nl_msg *msg)
{
	nl_put_u32(msg, IOTARGET_A_VERB_POLICY_SET, IOTARGET_GONE_POLICY_LOSSY);
}

static void two_policies(struct nl_msg *msg)
{
	nl_put_u32(msg, IOTARGET_A_VERB_POLICY_SET, IOTARGET_GONE_POLICY_LOSSY);
	nl_put_u32(msg, IOTARGET_A_VERB_POLICY_CLEAR,
		   IOTARGET_GONE_POLICY_LOSSY | IOTARGET_GONE_POLICY_HOLD);
}

static void hold_for_no_time(struct nl_msg *msg)
{
	nl_put_u32(msg, IOTARGET_A_VERB_HOLD_MS, 0);
}

static void hold_for_two_days(struct nl_msg *msg)
{
	nl_put_u32(msg, IOTARGET_A_VERB_HOLD_MS, 2 * 86400000);
}

static void hold_nothing(struct nl_msg *msg)
{
	nl_put_u64(msg, IOTARGET_A_VERB_HOLD_BYTES, 0);
}

/* It was opened without, and nothing of this is done then. */
static void hold_and_more(struct nl_msg *msg)
{
	nl_put_u32(msg, IOTARGET_A_VERB_HOLD_MS, 1234);
	nl_put_u64(msg, IOTARGET_A_VERB_HOLD_BYTES, 1234);
	nl_put_u32(msg, IOTARGET_A_VERB_POLICY_SET,
		   IOTARGET_GONE_POLICY_HOLD | IOTARGET_GONE_POLICY_LOSSY);
}

static void unknown_attr(struct nl_msg *msg)
{
	nl_put_u32(msg, 77, 1);
}

static const struct bad bad_requests[] = {
	{ "no target", IOTARGET_CMD_STOP, -EINVAL, 0, "which target", NULL, true },
	{ "no target to get", IOTARGET_CMD_GET, -EINVAL, 0, "which target", NULL, true },
	{ "unknown id", IOTARGET_CMD_STOP, -ENOENT, IOTARGET_A_VERB_ID,
	  "no such target", unknown_id, true },
	{ "unknown name", IOTARGET_CMD_GET, -ENOENT, IOTARGET_A_TARGET_NAME,
	  "no such target", unknown_name, true },
	{ "long name", IOTARGET_CMD_STOP, -EINVAL, IOTARGET_A_VERB_NAME, "policy",
	  long_name, true },
	{ "id and name", IOTARGET_CMD_PURGE, -EINVAL, IOTARGET_A_VERB_NAME,
	  "exclude each other", name_too },
	{ "unknown action", IOTARGET_CMD_STOP, -ERANGE, IOTARGET_A_VERB_ACTION, "range",
	  bad_action },
	{ "purge that waits", IOTARGET_CMD_PURGE, -EINVAL, IOTARGET_A_VERB_ACTION,
	  "a purge cancels", wait_action },
	{ "long wait", IOTARGET_CMD_START, -ERANGE, IOTARGET_A_VERB_TIMEOUT_MS, "range",
	  long_wait },
	{ "expires at once", IOTARGET_CMD_STOP, -ERANGE, IOTARGET_A_VERB_EXPIRES_MS, "range",
	  expires_at_once },
	{ "forever, and not", IOTARGET_CMD_STOP, -EINVAL, IOTARGET_A_VERB_EXPIRES_MS,
	  "exclude each other", forever_and_not },
	{ "long reason", IOTARGET_CMD_STOP, -EINVAL, IOTARGET_A_VERB_REASON, "policy",
	  long_reason },
	{ "short number", IOTARGET_CMD_STOP, -EINVAL, IOTARGET_A_VERB_TIMEOUT_MS, "length",
	  short_number },
	{ "a start that holds", IOTARGET_CMD_START, -EINVAL, IOTARGET_A_VERB_HOLD, "",
	  hold_it },
	{ "policy of nothing", IOTARGET_CMD_POLICY, -EINVAL, 0, "what is to be changed", NULL },
	{ "policy of nobody", IOTARGET_CMD_POLICY, -EINVAL, 0, "which target",
	  let_it_be_lossy, true },
	{ "unknown policy", IOTARGET_CMD_POLICY, -EINVAL, IOTARGET_A_VERB_POLICY_SET, "reserved",
	  bad_policy },
	{ "two policies", IOTARGET_CMD_POLICY, -EINVAL, IOTARGET_A_VERB_POLICY_CLEAR,
	  "set and cleared", two_policies },
	{ "hold for no time", IOTARGET_CMD_POLICY, -ERANGE, IOTARGET_A_VERB_HOLD_MS, "range",
	  hold_for_no_time },
	{ "hold for two days", IOTARGET_CMD_POLICY, -ERANGE, IOTARGET_A_VERB_HOLD_MS, "range",
	  hold_for_two_days },
	{ "hold nothing", IOTARGET_CMD_POLICY, -ERANGE, IOTARGET_A_VERB_HOLD_BYTES, "range",
	  hold_nothing },
	{ "hold of an open one", IOTARGET_CMD_POLICY, -EBUSY, IOTARGET_A_VERB_POLICY_SET,
	  "nothing is kept of the open device", hold_and_more },
	{ "a policy that waits", IOTARGET_CMD_POLICY, -EINVAL, IOTARGET_A_VERB_TIMEOUT_MS, "",
	  long_wait },
	{ "reopen of an open one", IOTARGET_CMD_REOPEN, -EBUSY, 0, "the target is open", NULL },
	{ "reopen of nobody", IOTARGET_CMD_REOPEN, -EINVAL, 0, "which target", NULL, true },
	{ "long reopen", IOTARGET_CMD_REOPEN, -ERANGE, IOTARGET_A_VERB_TIMEOUT_MS, "range",
	  long_wait },
	{ "unknown attribute", IOTARGET_CMD_STOP, -EINVAL, 77, "", unknown_attr },
	{ "unknown command", 99, -EOPNOTSUPP, 0, "", NULL },
	{ "an event", IOTARGET_CMD_EVENT, -EOPNOTSUPP, 0, "", NULL },
};

/* Which attribute of a message begins there? */
static int attr_at(const struct nl_msg *msg, int offset)
{
	const struct nlattr *attr;

	if (offset < 0 || offset + NLA_HDRLEN > (int)msg->head.nlmsg_len)
		return 0;
	attr = (const void *)((const char *)msg + offset);
	return attr->nla_type;
}

TEST_F(control, refusals_name_attribute_and_reason)
{
	const struct bad *bad = bad_requests;
	struct nl_target before, after;
	struct nl_msg msg;
	unsigned int i;

	ASSERT_EQ(0, nl_get(&self->ask, self->id, &before));

	for (i = 0; i < ARRAY_SIZE(bad_requests); i++, bad++) {
		nl_msg_init(&self->ask, &msg, bad->cmd, 0);
		if (!bad->no_target)
			nl_put_u64(&msg, IOTARGET_A_VERB_ID, self->id);
		if (bad->fill)
			bad->fill(&msg);
		EXPECT_EQ(bad->expected, nl_ask(&self->ask, &msg, NULL, NULL))
			TH_LOG("%s: %s", bad->what, self->ask.text);
		EXPECT_NE(NULL, strstr(self->ask.text, bad->text))
			TH_LOG("%s: %s", bad->what, self->ask.text);
		if (bad->attr)
			EXPECT_EQ(bad->attr, attr_at(&msg, self->ask.bad_attr))
				TH_LOG("%s: %s", bad->what, self->ask.text);
		EXPECT_EQ(STARTED, target_state(self->fd));
	}
	/* Not even half of it was done. */
	ASSERT_EQ(0, nl_get(&self->ask, self->id, &after));
	EXPECT_EQ(before.policy, after.policy);
	EXPECT_EQ(before.hold_ms, after.hold_ms);
	EXPECT_EQ(before.hold_bytes, after.hold_bytes);
}

TEST_F(control, a_closed_target_refuses_verbs)
{
	static const uint8_t cmds[] = {
		IOTARGET_CMD_STOP, IOTARGET_CMD_START, IOTARGET_CMD_PURGE,
	};
	unsigned int i;

	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		EXPECT_EQ(-ESHUTDOWN, verb(&self->ask, cmds[i], self->id, NULL));
		EXPECT_STREQ("the target is closed", self->ask.text);
	}
	EXPECT_EQ(-ESHUTDOWN, verb(&self->ask, IOTARGET_CMD_REOPEN, self->id, NULL));
	EXPECT_STREQ("its driver has closed it", self->ask.text);
}

TEST_F(control, a_name_that_two_have_is_refused)
{
	int other = target_new("control-test", 0);
	struct nl_msg msg;

	ASSERT_LE(0, other);
	nl_msg_init(&self->ask, &msg, IOTARGET_CMD_STOP, 0);
	nl_put_text(&msg, IOTARGET_A_VERB_NAME, "control-test");
	EXPECT_EQ(-ENOTUNIQ, nl_ask(&self->ask, &msg, NULL, NULL));
	EXPECT_NE(NULL, strstr(self->ask.text, "use the id"))
		TH_LOG("%s", self->ask.text);
	/* One that is deleted has no claim to it any more. */
	EXPECT_EQ(0, target_delete(other, LONG_MS, NULL));
	nl_msg_init(&self->ask, &msg, IOTARGET_CMD_GET, 0);
	nl_put_text(&msg, IOTARGET_A_TARGET_NAME, "control-test");
	EXPECT_EQ(0, nl_ask(&self->ask, &msg, NULL, NULL));
	close(other);
}

static bool first_only(void *context, const struct nl_target *target)
{
	return false;
}

/* What an unprivileged user gets; the number of the first that is wrong. */
static int as_nobody(uint64_t id)
{
	bool interrupted;
	struct nl nl;

	if (setgid(65534) || setuid(65534))
		return 1;
	if (nl_open(&nl))
		return 2;
	if (nl_get(&nl, id, NULL) != -EPERM)
		return 3;
	if (!strstr(nl.text, "CAP_SYS_ADMIN"))
		return 4;
	if (nl_dump(&nl, first_only, NULL, &interrupted) != -EPERM)
		return 5;
	if (verb(&nl, IOTARGET_CMD_STOP, id, NULL) != -EPERM)
		return 6;
	if (verb(&nl, IOTARGET_CMD_START, id, NULL) != -EPERM)
		return 7;
	if (verb(&nl, IOTARGET_CMD_PURGE, id, NULL) != -EPERM)
		return 8;
	if (nl_join(&nl) != -EPERM)
		return 9;
	if (verb(&nl, IOTARGET_CMD_POLICY, id, NULL) != -EPERM)
		return 10;
	if (verb(&nl, IOTARGET_CMD_REOPEN, id, NULL) != -EPERM)
		return 11;
	return 0;
}

TEST_F(control, others_than_root_are_refused)
{
	int status;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(as_nobody(self->id));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_EQ(STARTED, target_state(self->fd));
}

/* A socket that root made stays as weak as who uses it now. */
TEST_F(control, a_socket_of_root_in_other_hands_is_refused)
{
	int status;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(1);
		_exit(verb(&self->ask, IOTARGET_CMD_STOP, self->id, NULL) == -EPERM ? 0 : 2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

/*
 * Neither does one that nobody made become strong in the hands of root, who may
 * take it for another file and write to it what nobody wants: without an address.
 */
TEST_F(control, a_socket_of_nobody_in_the_hands_of_root_is_refused)
{
	struct nl nl;

	ASSERT_EQ(0, seteuid(65534));
	EXPECT_EQ(0, nl_open(&nl));
	EXPECT_EQ(0, nl_connect(&nl));
	ASSERT_EQ(0, seteuid(0));
	EXPECT_EQ(-EPERM, verb(&nl, IOTARGET_CMD_STOP, self->id, NULL));
	EXPECT_EQ(-EPERM, nl_get(&nl, self->id, NULL));
	nl_close(&nl);
	EXPECT_EQ(STARTED, target_state(self->fd));
}

/* -- dumps ---------------------------------------------------------------- */

struct seen {
	uint64_t	ids[MANY];
	bool		there[MANY];
	unsigned int	twice, disordered;
	uint64_t	last;
	int		made;		/* a target made in the middle */
};

static bool see(void *context, const struct nl_target *target)
{
	struct seen *seen = context;
	unsigned int i;

	if (target->id <= seen->last)
		seen->disordered++;
	seen->last = target->id;
	for (i = 0; i < MANY; i++) {
		if (seen->ids[i] != target->id)
			continue;
		seen->twice += seen->there[i];
		seen->there[i] = true;
	}
	return true;
}

static bool see_and_make(void *context, const struct nl_target *target)
{
	struct seen *seen = context;

	if (seen->made < 0)
		seen->made = target_new("control-late", 0);
	return see(context, target);
}

static unsigned int how_many(const struct seen *seen)
{
	unsigned int i, n = 0;

	for (i = 0; i < MANY; i++)
		n += seen->there[i];
	return n;
}

TEST_F(control, a_dump_is_complete_and_says_when_it_is_not_consistent)
{
	struct iotarget_test_info info;
	static struct seen seen, again;
	bool interrupted;
	unsigned int i;
	int fds[MANY];
	char name[32];

	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "control-%u", i);
		fds[i] = target_new(name, 0);
		ASSERT_LE(0, fds[i]);
		ASSERT_EQ(0, target_info(fds[i], &info));
		seen.ids[i] = info.id;
	}
	seen.made = -1;
	again = seen;
	ASSERT_EQ(0, nl_dump(&self->ask, see, &seen, &interrupted));
	EXPECT_FALSE(interrupted);
	EXPECT_EQ(MANY, how_many(&seen));
	EXPECT_EQ(0, seen.twice + seen.disordered);
	ASSERT_EQ(0, nl_dump(&self->ask, see_and_make, &again, &interrupted));
	EXPECT_TRUE(interrupted);
	EXPECT_EQ(MANY, how_many(&again));
	EXPECT_EQ(0, again.twice + again.disordered);
	close(again.made);
	for (i = 0; i < MANY; i++)
		close(fds[i]);
}

/* -- nonsense ------------------------------------------------------------- */

static uint64_t dice(uint64_t *state)
{
	return iotarget_test_word(SEED, ++*state * 8);
}

static void random_message(struct nl *nl, struct nl_msg *msg, uint64_t *state, uint64_t id)
{
	unsigned int attrs = dice(state) % 8;
	char bytes[256];
	unsigned int i;

	nl_msg_init(nl, msg, dice(state) % 9, 0);
	if (dice(state) % 4)
		nl_put_u64(msg, IOTARGET_A_VERB_ID, id);
	while (attrs--) {
		for (i = 0; i < sizeof(bytes); i += 8)
			memcpy(bytes + i, &(uint64_t){ dice(state) }, 8);
		/* Half of them with a plausible length. */
		nl_put(msg, dice(state) % 18 | (dice(state) % 8 ? 0 : NLA_F_NESTED), bytes,
		       dice(state) & 1 ? dice(state) % 3 * 4 : dice(state) % sizeof(bytes));
	}
	/* And now and then the end is missing. */
	if (!(dice(state) % 8) && msg->head.nlmsg_len > 24)
		msg->head.nlmsg_len -= dice(state) % 5;
}

TEST_F(control, nonsense_is_answered)
{
	unsigned int i, refused = 0, n = 3000;
	struct nl_event event;
	uint64_t state = 0, cookie;
	struct nl_msg msg;
	int ret;

	late_calls_excused(true);
	for (i = 0; i < n; i++) {
		random_message(&self->ask, &msg, &state, self->id);
		ret = nl_ask(&self->ask, &msg, NULL, NULL);
		ASSERT_LT(-NO_CALL / 2, ret)
			TH_LOG("message %u was not answered: %d", i, ret);
		refused += ret != 0;
	}
	late_calls_excused(false);
	TH_LOG("%u of %u messages refused", refused, n);
	EXPECT_LT(n / 2, refused);
	EXPECT_GT(n, refused);
	/* And it works as before: all that was accepted is done before this. */
	nl_close(&self->ear);
	ASSERT_EQ(0, nl_listen(&self->ear));
	ASSERT_EQ(0, verb(&self->ask, IOTARGET_CMD_START, self->id, &cookie));
	ASSERT_EQ(0, verb(&self->ask, IOTARGET_CMD_STOP, self->id, &cookie));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_RESULT, cookie, &event, EVENT_MS));
	EXPECT_EQ(STOPPED, target_state(self->fd));
	EXPECT_EQ(0, target_start(self->fd));
}

TEST_HARNESS_MAIN
