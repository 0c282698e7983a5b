// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control over netlink: may this device go?  What is answered and told, what ends a
 * query, and what is refused.  The disk is one that can be taken away without a bus;
 * the tool that asks, and disks on a bus, are in iotarget_eject.c.
 */
#include <sys/wait.h>

#include "control.h"
#include "removing.h"

#define SOON_MS		500	/* a time to expire after */
#define MAX_QUERIES	16
#define NR_KINDS	32

FIXTURE(query) {
	int plain, owner;
	uint64_t plain_id, owner_id;
	char path[DEVICE_PATH];
	unsigned int major, minor;
	struct nl ask, ear;
};

FIXTURE_SETUP(query)
{
	struct iotarget_test_info info;
	struct stat st;

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	NL_OR_SKIP(&self->ask);
	if (!got_device(self->path, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, stat(self->path, &st));
	self->major = major(st.st_rdev);
	self->minor = minor(st.st_rdev);
	self->plain = target_with_defaults("query-plain");
	ASSERT_LE(0, self->plain);
	ASSERT_EQ(0, target_open(self->plain, self->path, ACCESS_BOTH, SHARE_BOTH));
	ASSERT_EQ(0, target_start_and_wait(self->plain, LONG_MS, NULL));
	ASSERT_EQ(0, target_info(self->plain, &info));
	self->plain_id = info.id;
	self->owner = target_opened("query-owner", self->path);
	ASSERT_LE(0, self->owner);
	ASSERT_EQ(0, target_info(self->owner, &info));
	self->owner_id = info.id;
	ASSERT_EQ(0, removal_set(self->owner, IOTARGET_TEST_QUERY_AGREES |
				 IOTARGET_TEST_CANCELED_OPENS | IOTARGET_TEST_COMPLETE_CLOSES,
				 0, 0));
	ASSERT_EQ(0, nl_listen(&self->ear));
}

FIXTURE_TEARDOWN(query)
{
	nl_close(&self->ear);
	nl_close(&self->ask);
	close(self->owner);
	close(self->plain);
	ON_TIME();
}

/* What a query is told; 0 is what the kernel makes of it. */
struct wish {
	uint32_t	timeout_ms, expires_ms;
	bool		hold, dry_run;
};

static int begin_on(struct nl *nl, unsigned int major, unsigned int minor, struct wish wish,
		    uint64_t *cookie)
{
	struct nl_msg msg;

	nl_msg_init(nl, &msg, IOTARGET_CMD_QUERY_REMOVE, 0);
	nl_put_u32(&msg, IOTARGET_A_VERB_MAJOR, major);
	nl_put_u32(&msg, IOTARGET_A_VERB_MINOR, minor);
	if (wish.timeout_ms)
		nl_put_u32(&msg, IOTARGET_A_VERB_TIMEOUT_MS, wish.timeout_ms);
	if (wish.expires_ms)
		nl_put_u32(&msg, IOTARGET_A_VERB_EXPIRES_MS, wish.expires_ms);
	if (wish.hold)
		nl_put(&msg, IOTARGET_A_VERB_HOLD, NULL, 0);
	if (wish.dry_run)
		nl_put(&msg, IOTARGET_A_VERB_DRY_RUN, NULL, 0);
	return nl_ask(nl, &msg, cookie, NULL);
}

static int cancel(struct nl *nl, uint64_t cookie)
{
	struct nl_msg msg;

	nl_msg_init(nl, &msg, IOTARGET_CMD_QUERY_CANCEL, 0);
	nl_put_u64(&msg, IOTARGET_A_VERB_COOKIE, cookie);
	return nl_ask(nl, &msg, NULL, NULL);
}

#define BEGIN(_nl, _cookie, ...) \
	begin_on(_nl, self->major, self->minor, (struct wish){ __VA_ARGS__ }, _cookie)

/* How many events of each kind carry a cookie, up to the first of that kind. */
struct heard {
	unsigned int	of[NR_KINDS];
	unsigned int	others;		/* that carry another cookie */
	struct nl_event	last;
};

static int hear(struct nl *ear, uint64_t cookie, uint32_t kind, struct heard *heard)
{
	int ret;

	*heard = (struct heard){ };
	do {
		ret = nl_event(ear, &heard->last, EVENT_MS);
		if (ret)
			return ret;
		if (heard->last.cookie == cookie && heard->last.kind < NR_KINDS)
			heard->of[heard->last.kind]++;
		heard->others += heard->last.cookie && heard->last.cookie != cookie;
	} while (heard->last.cookie != cookie || heard->last.kind != kind);
	return 0;
}

#define HEAR(_cookie, _kind, _heard) hear(&self->ear, _cookie, IOTARGET_EVENT_KIND_##_kind, _heard)
#define OF(_kind) of[IOTARGET_EVENT_KIND_##_kind]

static void check_both(struct __test_metadata *_metadata, struct _test_data_query *self, int state)
{
	EXPECT_EQ(state, target_state(self->plain));
	EXPECT_EQ(state, target_state(self->owner));
}

/* Each step is told, in order, and the end when all is over. */
TEST_F(query, agreed_and_canceled)
{
	struct heard heard;
	uint64_t cookie = 0;

	ASSERT_EQ(0, BEGIN(&self->ask, &cookie, .hold = true)) TH_LOG("%s", self->ask.text);
	EXPECT_NE(0, cookie);
	ASSERT_EQ(0, HEAR(cookie, QUERY_AGREED, &heard));
	EXPECT_EQ(2, heard.OF(REMOVE_QUERY));
	EXPECT_EQ(0, heard.OF(REMOVE_CANCELED));
	EXPECT_EQ(0, heard.last.id);
	EXPECT_STREQ(strrchr(self->path, '/') + 1, heard.last.name);
	EXPECT_EQ(0, heard.last.error);
	EXPECT_FALSE(heard.last.dry_run);
	check_both(_metadata, self, CLOSED_FOR_QUERY_REMOVE);

	ASSERT_EQ(0, cancel(&self->ask, cookie));
	ASSERT_EQ(0, HEAR(cookie, QUERY_ENDED, &heard));
	EXPECT_EQ(IOTARGET_WHY_CANCELED, heard.last.why);
	EXPECT_EQ(2, heard.OF(REMOVE_CANCELED));
	EXPECT_EQ(0, heard.last.id);
	/* They are back when that is told. */
	check_both(_metadata, self, STARTED);
	EXPECT_EQ(-ENOENT, cancel(&self->ask, cookie));
	EXPECT_STREQ("no such query", self->ask.text);
}

TEST_F(query, a_socket_has_the_cookie_before_its_events)
{
	struct nl_event event;
	unsigned int i;
	uint64_t cookie;

	ASSERT_EQ(0, nl_join(&self->ask));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, BEGIN(&self->ask, &cookie, .dry_run = true));
		EXPECT_EQ(0, self->ask.early);
		ASSERT_EQ(0, nl_await(&self->ask, IOTARGET_EVENT_KIND_QUERY_AGREED, cookie, &event,
				      EVENT_MS));
		EXPECT_TRUE(event.dry_run);
	}
}

/* Those who are told are named, and each with its own. */
TEST_F(query, targets_are_named)
{
	struct nl_event event;
	unsigned int i, plain = 0, owner = 0;
	uint64_t cookie;

	ASSERT_EQ(0, BEGIN(&self->ask, &cookie, .dry_run = true));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_REMOVE_QUERY, cookie, &event,
				      EVENT_MS));
		EXPECT_TRUE(event.dry_run);
		EXPECT_FALSE(event.forced);
		EXPECT_EQ(STARTED, event.state);
		plain += event.id == self->plain_id && !strcmp(event.name, "query-plain");
		owner += event.id == self->owner_id && !strcmp(event.name, "query-owner");
	}
	EXPECT_EQ(1, plain);
	EXPECT_EQ(1, owner);
	check_both(_metadata, self, STARTED);
}

/* Nothing is left of it, and nothing more is told. */
TEST_F(query, a_dry_run_ends_with_its_answer)
{
	struct heard heard;
	uint64_t cookie;

	ASSERT_EQ(0, BEGIN(&self->ask, &cookie, .hold = true, .dry_run = true));
	ASSERT_EQ(0, HEAR(cookie, QUERY_AGREED, &heard));
	EXPECT_EQ(2, heard.OF(REMOVE_QUERY));
	EXPECT_EQ(-ENOENT, cancel(&self->ask, cookie));
	ASSERT_EQ(0, BEGIN(&self->ask, &cookie));
	ASSERT_EQ(0, HEAR(cookie, QUERY_AGREED, &heard));
	EXPECT_EQ(0, heard.others);
	ASSERT_EQ(0, cancel(&self->ask, cookie));
	ASSERT_EQ(0, HEAR(cookie, QUERY_ENDED, &heard));
	EXPECT_EQ(0, heard.others);
}

TEST_F(query, refused_by_a_target)
{
	struct heard heard;
	uint64_t cookie;

	ASSERT_EQ(0, removal_set(self->owner, 0, -EPERM, 0));
	ASSERT_EQ(0, BEGIN(&self->ask, &cookie));
	ASSERT_EQ(0, HEAR(cookie, QUERY_REFUSED, &heard));
	EXPECT_EQ(IOTARGET_REFUSER_TARGET, heard.last.refused_by);
	EXPECT_STREQ("query-owner", heard.last.refused_name);
	EXPECT_EQ(self->major, heard.last.refused_major);
	EXPECT_EQ(self->minor, heard.last.refused_minor);
	EXPECT_EQ(EPERM, heard.last.error);
	EXPECT_EQ(0, heard.OF(QUERY_AGREED));
	check_both(_metadata, self, STARTED);
	/* That was its end: nothing more comes of it. */
	ASSERT_EQ(0, removal_set(self->owner, IOTARGET_TEST_QUERY_AGREES |
				 IOTARGET_TEST_CANCELED_OPENS, 0, 0));
	EXPECT_EQ(-ENOENT, cancel(&self->ask, cookie));
}

TEST_F(query, refused_by_silence)
{
	struct heard heard;
	uint64_t cookie;

	ASSERT_EQ(0, removal_set(self->owner, IOTARGET_TEST_QUERY_CLOSES |
				 IOTARGET_TEST_CANCELED_OPENS, 0, 2500));
	ASSERT_EQ(0, BEGIN(&self->ask, &cookie, .timeout_ms = 300));
	ASSERT_EQ(0, HEAR(cookie, QUERY_REFUSED, &heard));
	EXPECT_EQ(IOTARGET_REFUSER_TARGET, heard.last.refused_by);
	EXPECT_STREQ("query-owner", heard.last.refused_name);
	EXPECT_EQ(ETIMEDOUT, heard.last.error);
	EXPECT_NE(NULL, strstr(heard.last.message, "in time"));
	EXPECT_EQ(STARTED, target_state(self->plain));
	EXPECT_TRUE(removal_hears(self->owner, 2, slow(5000)));
	EXPECT_TRUE(becomes_state(self->owner, STARTED, slow(2000)));
}

TEST_F(query, refused_by_an_opener)
{
	int fd = open(self->path, O_RDONLY | O_CLOEXEC);
	struct heard heard;
	uint64_t cookie;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, BEGIN(&self->ask, &cookie));
	ASSERT_EQ(0, HEAR(cookie, QUERY_REFUSED, &heard));
	EXPECT_EQ(IOTARGET_REFUSER_OPENER, heard.last.refused_by);
	EXPECT_STREQ(strrchr(self->path, '/') + 1, heard.last.refused_name);
	EXPECT_EQ(self->major, heard.last.refused_major);
	EXPECT_EQ(self->minor, heard.last.refused_minor);
	EXPECT_EQ(EBUSY, heard.last.error);
	close(fd);
}

TEST_F(query, refused_while_another_asks)
{
	uint64_t first, second;
	struct heard heard;

	ASSERT_EQ(0, BEGIN(&self->ask, &first));
	ASSERT_EQ(0, HEAR(first, QUERY_AGREED, &heard));
	ASSERT_EQ(0, BEGIN(&self->ask, &second));
	ASSERT_EQ(0, HEAR(second, QUERY_REFUSED, &heard));
	EXPECT_EQ(IOTARGET_REFUSER_QUERY, heard.last.refused_by);
	EXPECT_EQ(0, heard.OF(REMOVE_QUERY));
	/* The first is none the worse for it; and one may ask as soon as it is over. */
	check_both(_metadata, self, CLOSED_FOR_QUERY_REMOVE);
	ASSERT_EQ(0, cancel(&self->ask, first));
	ASSERT_EQ(0, HEAR(first, QUERY_ENDED, &heard));
	ASSERT_EQ(0, BEGIN(&self->ask, &second));
	ASSERT_EQ(0, HEAR(second, QUERY_AGREED, &heard));
	ASSERT_EQ(0, cancel(&self->ask, second));
	ASSERT_EQ(0, HEAR(second, QUERY_ENDED, &heard));
}

TEST_F(query, expires_by_itself)
{
	struct heard heard;
	uint64_t cookie;

	ASSERT_EQ(0, BEGIN(&self->ask, &cookie, .expires_ms = SOON_MS));
	ASSERT_EQ(0, HEAR(cookie, QUERY_AGREED, &heard));
	ASSERT_EQ(0, HEAR(cookie, QUERY_ENDED, &heard));
	EXPECT_EQ(IOTARGET_WHY_EXPIRED, heard.last.why);
	check_both(_metadata, self, STARTED);
}

/* Canceled while a target still thinks about it: nobody has agreed, nobody refused. */
TEST_F(query, canceled_while_it_is_asked)
{
	struct nl_event event;
	struct heard heard;
	uint64_t cookie;

	ASSERT_EQ(0, removal_set(self->owner, IOTARGET_TEST_QUERY_AGREES |
				 IOTARGET_TEST_CANCELED_OPENS, 0, 1000));
	ASSERT_EQ(0, BEGIN(&self->ask, &cookie));
	do {
		ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_REMOVE_QUERY, cookie, &event,
				      EVENT_MS));
	} while (event.id != self->owner_id);
	ASSERT_EQ(0, cancel(&self->ask, cookie));
	ASSERT_EQ(0, HEAR(cookie, QUERY_ENDED, &heard));
	EXPECT_EQ(IOTARGET_WHY_CANCELED, heard.last.why);
	EXPECT_EQ(0, heard.OF(QUERY_AGREED));
	check_both(_metadata, self, STARTED);
}

TEST_F(query, a_held_query_ends_with_its_socket)
{
	struct heard heard;
	uint64_t cookie;
	struct nl nl;

	ASSERT_EQ(0, nl_open(&nl));
	ASSERT_EQ(0, BEGIN(&nl, &cookie, .hold = true));
	ASSERT_EQ(0, HEAR(cookie, QUERY_AGREED, &heard));
	nl_close(&nl);
	ASSERT_EQ(0, HEAR(cookie, QUERY_ENDED, &heard));
	EXPECT_EQ(IOTARGET_WHY_OWNER_GONE, heard.last.why);
	EXPECT_EQ(2, heard.OF(REMOVE_CANCELED));
	check_both(_metadata, self, STARTED);
}

TEST_F(query, one_that_is_not_held_outlives_its_socket)
{
	struct heard heard;
	uint64_t cookie;
	struct nl nl;

	ASSERT_EQ(0, nl_open(&nl));
	ASSERT_EQ(0, BEGIN(&nl, &cookie, .expires_ms = 2 * SOON_MS));
	ASSERT_EQ(0, HEAR(cookie, QUERY_AGREED, &heard));
	nl_close(&nl);
	ASSERT_EQ(0, HEAR(cookie, QUERY_ENDED, &heard));
	EXPECT_EQ(IOTARGET_WHY_EXPIRED, heard.last.why);
}

TEST_F(query, agreed_and_gone)
{
	struct nl_event event;
	struct heard heard;
	uint64_t cookie;
	unsigned int i;

	ASSERT_EQ(0, BEGIN(&self->ask, &cookie, .hold = true));
	ASSERT_EQ(0, HEAR(cookie, QUERY_AGREED, &heard));
	ASSERT_EQ(0, nullb_power(fast_disk.name, false));
	/* Whoever was told is told by itself, so before or after the end. */
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_REMOVE_COMPLETE, 0, &event,
				      EVENT_MS));
	EXPECT_TRUE(becomes_state(self->plain, CLOSED, slow(2000)));
	EXPECT_TRUE(becomes_state(self->owner, CLOSED, slow(2000)));
	EXPECT_EQ(-ENOENT, cancel(&self->ask, cookie));
	EXPECT_EQ(0, nullb_remove(fast_disk.name));
}

TEST_F(query, the_end_is_told_when_it_is_gone)
{
	struct heard heard;
	uint64_t cookie;

	ASSERT_EQ(0, BEGIN(&self->ask, &cookie));
	ASSERT_EQ(0, HEAR(cookie, QUERY_AGREED, &heard));
	ASSERT_EQ(0, nullb_power(fast_disk.name, false));
	ASSERT_EQ(0, HEAR(cookie, QUERY_ENDED, &heard));
	EXPECT_EQ(IOTARGET_WHY_GONE, heard.last.why);
	EXPECT_EQ(0, heard.OF(REMOVE_CANCELED));
	EXPECT_EQ(0, nullb_remove(fast_disk.name));
}

/* Each is of a disk of its own, without a target. */
TEST_F_TIMEOUT(query, only_so_many_are_in_force, 60)
{
	uint64_t cookies[MAX_QUERIES], cookie;
	char names[MAX_QUERIES][32];
	struct nullb disk = { .size_mb = 1 };
	struct heard heard;
	struct stat st;
	unsigned int i;

	for (i = 0; i < MAX_QUERIES; i++) {
		snprintf(names[i], sizeof(names[i]), "iott_query%u", i);
		disk.name = names[i];
		ASSERT_NE(NULL, nullb_make(&disk)) TH_LOG("%s", device_reason());
	}
	for (i = 0; i < MAX_QUERIES; i++) {
		char path[DEVICE_PATH];

		snprintf(path, sizeof(path), "/dev/%s", names[i]);
		ASSERT_EQ(0, stat(path, &st));
		ASSERT_EQ(0, begin_on(&self->ask, major(st.st_rdev), minor(st.st_rdev),
				      (struct wish){ }, &cookies[i]));
		ASSERT_EQ(0, HEAR(cookies[i], QUERY_AGREED, &heard));
	}
	EXPECT_EQ(-EUSERS, BEGIN(&self->ask, &cookie));
	EXPECT_NE(NULL, strstr(self->ask.text, "too many")) TH_LOG("%s", self->ask.text);
	for (i = 0; i < MAX_QUERIES; i++) {
		EXPECT_EQ(0, cancel(&self->ask, cookies[i]));
		EXPECT_EQ(0, HEAR(cookies[i], QUERY_ENDED, &heard));
	}
	EXPECT_EQ(0, BEGIN(&self->ask, &cookie, .dry_run = true));
	EXPECT_EQ(0, HEAR(cookie, QUERY_AGREED, &heard));
	for (i = 0; i < MAX_QUERIES; i++)
		EXPECT_EQ(0, nullb_remove(names[i]));
}

/* -- refusals --------------------------------------------------------------- */

#define NOTHING	0xffffffffU	/* that attribute is not there */

struct bad {
	const char	*what;
	int		expected;
	int		attr;		/* that the kernel must point at, or 0 */
	const char	*text;		/* part of what it must say */
	uint32_t	major, minor;	/* 0 0: of the disk */
	const char	*ancestor;
	uint16_t	type;		/* of a further number */
	uint32_t	number;
};

#define FIFTY	"12345678901234567890123456789012345678901234567890"

static const struct bad bad_queries[] = {
	{ "no device", -EINVAL, 0, "which device", NOTHING, NOTHING },
	{ "no major", -EINVAL, 0, "which device", NOTHING, 0 },
	{ "no minor", -EINVAL, 0, "which device", 1, NOTHING },
	{ "large major", -ERANGE, IOTARGET_A_VERB_MAJOR, "range", 4096, 0 },
	{ "large minor", -ERANGE, IOTARGET_A_VERB_MINOR, "range", 1, 1 << 20 },
	{ "no such disk", -ENODEV, IOTARGET_A_VERB_MAJOR, "no such disk", 4095, 1048575 },
	{ "a device that is none", -ENODEV, IOTARGET_A_VERB_MAJOR, "no such disk", 1, 3 + 200 },
	{ "no bus", -EINVAL, IOTARGET_A_VERB_ANCESTOR, "BUS:NAME", .ancestor = "1-1" },
	{ "empty bus", -EINVAL, IOTARGET_A_VERB_ANCESTOR, "BUS:NAME", .ancestor = ":1-1" },
	{ "empty name", -EINVAL, IOTARGET_A_VERB_ANCESTOR, "BUS:NAME", .ancestor = "usb:" },
	{ "empty", -EINVAL, IOTARGET_A_VERB_ANCESTOR, "BUS:NAME", .ancestor = "" },
	{ "no ancestor", -ENXIO, IOTARGET_A_VERB_ANCESTOR, "no such ancestor",
	  .ancestor = "usb:1-1" },
	{ "long ancestor", -EINVAL, IOTARGET_A_VERB_ANCESTOR, "policy", .ancestor =
	  "usb:" FIFTY FIFTY FIFTY },
	{ "no time", -EINVAL, IOTARGET_A_VERB_TIMEOUT_MS, "takes time",
	  .type = IOTARGET_A_VERB_TIMEOUT_MS },
	{ "long time", -ERANGE, IOTARGET_A_VERB_TIMEOUT_MS, "range",
	  .type = IOTARGET_A_VERB_TIMEOUT_MS, .number = 600001 },
	{ "expires at once", -ERANGE, IOTARGET_A_VERB_EXPIRES_MS, "range",
	  .type = IOTARGET_A_VERB_EXPIRES_MS },
	{ "an action", -EINVAL, IOTARGET_A_VERB_ACTION, "", .type = IOTARGET_A_VERB_ACTION,
	  .number = 1 },
	{ "a flag with a number", -ERANGE, IOTARGET_A_VERB_HOLD, "",
	  .type = IOTARGET_A_VERB_HOLD, .number = 1 },
	{ "forever", -EINVAL, IOTARGET_A_VERB_FOREVER, "", .type = IOTARGET_A_VERB_FOREVER },
	{ "unknown attribute", -EINVAL, 77, "", .type = 77 },
};

static int attr_at(const struct nl_msg *msg, int offset)
{
	const struct nlattr *attr;

	if (offset < 0 || offset + NLA_HDRLEN > (int)msg->head.nlmsg_len)
		return 0;
	attr = (const void *)((const char *)msg + offset);
	return attr->nla_type;
}

TEST_F(query, refusals_name_attribute_and_reason)
{
	const struct bad *bad = bad_queries;
	struct nl_msg msg;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad_queries); i++, bad++) {
		const bool ours = !bad->major && !bad->minor;

		nl_msg_init(&self->ask, &msg, IOTARGET_CMD_QUERY_REMOVE, 0);
		if (bad->major != NOTHING)
			nl_put_u32(&msg, IOTARGET_A_VERB_MAJOR, ours ? self->major : bad->major);
		if (bad->minor != NOTHING)
			nl_put_u32(&msg, IOTARGET_A_VERB_MINOR, ours ? self->minor : bad->minor);
		if (bad->ancestor)
			nl_put_text(&msg, IOTARGET_A_VERB_ANCESTOR, bad->ancestor);
		if (bad->type)
			nl_put_u32(&msg, bad->type, bad->number);
		EXPECT_EQ(bad->expected, nl_ask(&self->ask, &msg, NULL, NULL))
			TH_LOG("%s: %s", bad->what, self->ask.text);
		EXPECT_NE(NULL, strstr(self->ask.text, bad->text))
			TH_LOG("%s: %s", bad->what, self->ask.text);
		if (bad->attr)
			EXPECT_EQ(bad->attr, attr_at(&msg, self->ask.bad_attr))
				TH_LOG("%s: %s", bad->what, self->ask.text);
	}
	check_both(_metadata, self, STARTED);
	nl_msg_init(&self->ask, &msg, IOTARGET_CMD_QUERY_CANCEL, 0);
	EXPECT_EQ(-EINVAL, nl_ask(&self->ask, &msg, NULL, NULL));
	EXPECT_NE(NULL, strstr(self->ask.text, "which query"));
	EXPECT_EQ(-ENOENT, cancel(&self->ask, ~0ULL));
}

/* What an unprivileged user gets; the number of the first that is wrong. */
static int as_nobody(unsigned int major, unsigned int minor, uint64_t cookie)
{
	const struct wish dry = { .dry_run = true };
	struct nl nl;

	if (setgid(65534) || setuid(65534))
		return 1;
	if (nl_open(&nl))
		return 2;
	if (begin_on(&nl, major, minor, dry, NULL) != -EPERM)
		return 3;
	if (!strstr(nl.text, "CAP_SYS_ADMIN"))
		return 4;
	if (cancel(&nl, cookie) != -EPERM)
		return 5;
	return 0;
}

TEST_F(query, others_than_root_are_refused)
{
	struct heard heard;
	uint64_t cookie;
	int status;
	pid_t pid;

	ASSERT_EQ(0, BEGIN(&self->ask, &cookie));
	ASSERT_EQ(0, HEAR(cookie, QUERY_AGREED, &heard));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(as_nobody(self->major, self->minor, cookie));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	check_both(_metadata, self, CLOSED_FOR_QUERY_REMOVE);
	ASSERT_EQ(0, cancel(&self->ask, cookie));
	ASSERT_EQ(0, HEAR(cookie, QUERY_ENDED, &heard));
}

TEST_HARNESS_MAIN
