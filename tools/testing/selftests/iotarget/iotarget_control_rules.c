// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control over netlink: when a stop ends, and into which state; what handlers
 * don't wait for; in which order events come.
 */
#include <sys/wait.h>

#include "control.h"

#define SOON_MS		300	/* a time to expire after */

FIXTURE(rules) {
	int fd;
	uint64_t id;
	char path[DEVICE_PATH];
	struct nl ask, ear;
};

FIXTURE_SETUP(rules)
{
	struct iotarget_test_info info;

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	NL_OR_SKIP(&self->ask);
	if (!got_device(self->path, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	self->fd = target_opened("rules-test", self->path);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, target_info(self->fd, &info));
	self->id = info.id;
	ASSERT_EQ(0, nl_listen(&self->ear));
}

FIXTURE_TEARDOWN(rules)
{
	nl_close(&self->ear);
	nl_close(&self->ask);
	close(self->fd);
	ON_TIME();
}

struct wish {
	uint8_t		cmd;
	unsigned int	timeout_ms;	/* 0: the default */
	unsigned int	expires_ms;	/* 0: the default, FOREVER: never */
	bool		hold;
	unsigned int	action;
};

/* Ask; a negative errno if it was refused. */
static int begin(struct nl *nl, uint64_t id, struct wish wish, uint64_t *cookie)
{
	struct nl_msg msg;

	nl_msg_init(nl, &msg, wish.cmd, 0);
	nl_put_u64(&msg, IOTARGET_A_VERB_ID, id);
	if (wish.timeout_ms)
		nl_put_u32(&msg, IOTARGET_A_VERB_TIMEOUT_MS, wish.timeout_ms);
	if (wish.expires_ms == FOREVER)
		nl_put(&msg, IOTARGET_A_VERB_FOREVER, NULL, 0);
	else if (wish.expires_ms)
		nl_put_u32(&msg, IOTARGET_A_VERB_EXPIRES_MS, wish.expires_ms);
	if (wish.hold)
		nl_put(&msg, IOTARGET_A_VERB_HOLD, NULL, 0);
	if (wish.action)
		nl_put_u32(&msg, IOTARGET_A_VERB_ACTION, wish.action);
	return nl_ask(nl, &msg, cookie, NULL);
}

/* The same, and wait for the result. */
static int finish(struct nl *nl, struct nl *ear, uint64_t id, struct wish wish,
		  uint64_t *cookie)
{
	struct nl_event event;
	int ret;

	ret = begin(nl, id, wish, cookie);
	if (!ret)
		ret = nl_await(ear, IOTARGET_EVENT_KIND_RESULT, *cookie, &event, EVENT_MS);
	return ret ? ret : -(int)event.error;
}

#define DO(_cookie, ...) \
	finish(&self->ask, &self->ear, self->id, (struct wish){ __VA_ARGS__ }, _cookie)

/* The end of a stop: why, or 0 if it does not come. */
static uint32_t ended(struct nl *ear, uint64_t cookie)
{
	struct nl_event event;

	return nl_await(ear, IOTARGET_EVENT_KIND_STOP_ENDED, cookie, &event, EVENT_MS) ?
		0 : event.why;
}

TEST_F(rules, a_stop_expires)
{
	uint64_t cookie, began = now_ms();
	struct iotarget_test_report report;

	ASSERT_EQ(0, DO(&cookie, IOTARGET_CMD_STOP, .expires_ms = SOON_MS));
	EXPECT_EQ(STOPPED, target_state(self->fd));
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(IOTARGET_WHY_EXPIRED, ended(&self->ear, cookie));
	EXPECT_LE(SOON_MS, now_ms() - began);
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(DONE, request_query(self->fd, 0).outcome);
	EXPECT_EQ(STARTED, target_state(self->fd));
	EXPECT_EQ(0, target_start_and_wait(self->fd, LONG_MS, &report));
}

TEST_F(rules, a_purge_expires)
{
	uint64_t cookie;

	ASSERT_EQ(0, DO(&cookie, IOTARGET_CMD_PURGE, .expires_ms = SOON_MS));
	EXPECT_EQ(PURGED, target_state(self->fd));
	EXPECT_EQ(IOTARGET_WHY_EXPIRED, ended(&self->ear, cookie));
	EXPECT_EQ(STARTED, target_state(self->fd));
}

TEST_F(rules, forever_is_not_a_minute)
{
	struct nl_target target;
	uint64_t cookie;

	ASSERT_EQ(0, DO(&cookie, IOTARGET_CMD_STOP, .expires_ms = FOREVER));
	ASSERT_EQ(0, nl_get(&self->ask, self->id, &target));
	ASSERT_EQ(1, target.nr_stops);
	EXPECT_FALSE(target.stops[0].expires);
	ASSERT_EQ(0, DO(&cookie, IOTARGET_CMD_START));
	EXPECT_EQ(STARTED, target_state(self->fd));
}

/* The driver's stop came after: the end of ours must not start the target. */
TEST_F(rules, an_expiry_does_not_overrule_the_driver)
{
	uint64_t cookie;

	ASSERT_EQ(0, DO(&cookie, IOTARGET_CMD_STOP, .expires_ms = SOON_MS));
	ASSERT_EQ(0, target_stop(self->fd, LEAVE_SENT_PENDING, 0, NULL));
	EXPECT_EQ(IOTARGET_WHY_OVERRIDDEN, ended(&self->ear, cookie));
	sleep_ms(2 * SOON_MS);
	EXPECT_EQ(STOPPED, target_state(self->fd));
	EXPECT_EQ(0, target_start(self->fd));
}

/* Started and stopped again: it looks the same, and is the driver's all the same. */
TEST_F(rules, a_stop_of_the_driver_after_its_start_is_the_drivers)
{
	uint64_t cookie;

	ASSERT_EQ(0, DO(&cookie, IOTARGET_CMD_STOP, .expires_ms = SOON_MS));
	ASSERT_EQ(0, target_start(self->fd));
	ASSERT_EQ(0, target_stop(self->fd, LEAVE_SENT_PENDING, 0, NULL));
	sleep_ms(2 * SOON_MS);
	EXPECT_EQ(STOPPED, target_state(self->fd));
	EXPECT_EQ(0, target_start(self->fd));
}

struct found {
	const char	*what;
	uint8_t		cmd;
	bool		purged;		/* by the driver, before; else stopped */
};

TEST_F(rules, the_end_restores_what_was_found)
{
	static const struct found found[] = {
		{ "stop of a stopped one", IOTARGET_CMD_STOP, false },
		{ "stop of a purged one", IOTARGET_CMD_STOP, true },
		{ "purge of a stopped one", IOTARGET_CMD_PURGE, false },
		{ "purge of a purged one", IOTARGET_CMD_PURGE, true },
	};
	unsigned int i;
	uint64_t cookie;

	for (i = 0; i < ARRAY_SIZE(found); i++) {
		ASSERT_EQ(0, found[i].purged ?
			  target_purge(self->fd, PURGE_NO_WAIT, 0, NULL) :
			  target_stop(self->fd, LEAVE_SENT_PENDING, 0, NULL));
		ASSERT_EQ(0, DO(&cookie, found[i].cmd, .expires_ms = SOON_MS));
		EXPECT_EQ(found[i].cmd == IOTARGET_CMD_STOP ? STOPPED : PURGED,
			  target_state(self->fd));
		EXPECT_EQ(IOTARGET_WHY_EXPIRED, ended(&self->ear, cookie))
			TH_LOG("%s", found[i].what);
		EXPECT_EQ(found[i].purged ? PURGED : STOPPED, target_state(self->fd))
			TH_LOG("%s", found[i].what);
	}
	EXPECT_EQ(0, target_start(self->fd));
}

/* Each stop is somebody's; the last one to end starts the target. */
TEST_F(rules, the_last_of_several_stops_starts)
{
	uint64_t first, second;

	ASSERT_EQ(0, DO(&first, IOTARGET_CMD_PURGE, .expires_ms = SOON_MS));
	ASSERT_EQ(0, DO(&second, IOTARGET_CMD_STOP, .expires_ms = 4 * SOON_MS));
	EXPECT_EQ(IOTARGET_WHY_EXPIRED, ended(&self->ear, first));
	EXPECT_EQ(STOPPED, target_state(self->fd));
	EXPECT_EQ(IOTARGET_WHY_EXPIRED, ended(&self->ear, second));
	EXPECT_EQ(STARTED, target_state(self->fd));
	/* The later one ends first: back to what the earlier one wants. */
	ASSERT_EQ(0, DO(&first, IOTARGET_CMD_STOP, .expires_ms = 4 * SOON_MS));
	ASSERT_EQ(0, DO(&second, IOTARGET_CMD_PURGE, .expires_ms = SOON_MS));
	EXPECT_EQ(PURGED, target_state(self->fd));
	EXPECT_EQ(IOTARGET_WHY_EXPIRED, ended(&self->ear, second));
	EXPECT_EQ(STOPPED, target_state(self->fd));
	EXPECT_EQ(IOTARGET_WHY_EXPIRED, ended(&self->ear, first));
	EXPECT_EQ(STARTED, target_state(self->fd));
}

TEST_F(rules, a_start_ends_all_stops)
{
	uint64_t first, second, cookie;

	ASSERT_EQ(0, DO(&first, IOTARGET_CMD_STOP, .expires_ms = FOREVER));
	ASSERT_EQ(0, DO(&second, IOTARGET_CMD_STOP));
	ASSERT_EQ(0, begin(&self->ask, self->id, (struct wish){ IOTARGET_CMD_START }, &cookie));
	EXPECT_EQ(IOTARGET_WHY_STARTED, ended(&self->ear, first));
	EXPECT_EQ(IOTARGET_WHY_STARTED, ended(&self->ear, second));
	EXPECT_EQ(STARTED, target_state(self->fd));
}

TEST_F(rules, nobody_stops_without_an_end)
{
	struct wish wish = { IOTARGET_CMD_STOP, .expires_ms = FOREVER };
	unsigned int i;
	uint64_t cookie;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, DO(&cookie, IOTARGET_CMD_STOP, .expires_ms = FOREVER));
	ASSERT_EQ(0, begin(&self->ask, self->id, wish, &cookie));
	EXPECT_EQ(-EUSERS, DO(&cookie, IOTARGET_CMD_STOP, .expires_ms = FOREVER));
	ASSERT_EQ(0, DO(&cookie, IOTARGET_CMD_START));
}

/* A process that is killed leaves no stop behind. */
TEST_F(rules, a_held_stop_ends_with_its_owner)
{
	struct wish wish = { IOTARGET_CMD_STOP, .expires_ms = FOREVER, .hold = true };
	int pipes[2], status;
	uint64_t cookie = 0;
	struct nl nl;
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (nl_open(&nl) || begin(&nl, self->id, wish, &cookie) ||
		    write(pipes[1], &cookie, sizeof(cookie)) != sizeof(cookie))
			_exit(1);
		for (;;)
			pause();
	}
	ASSERT_EQ(sizeof(cookie), read(pipes[0], &cookie, sizeof(cookie)));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_RESULT, cookie,
			      &(struct nl_event){ }, EVENT_MS));
	EXPECT_EQ(STOPPED, target_state(self->fd));
	sleep_ms(SOON_MS);
	EXPECT_EQ(STOPPED, target_state(self->fd));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(IOTARGET_WHY_OWNER_GONE, ended(&self->ear, cookie));
	EXPECT_EQ(STARTED, target_state(self->fd));
	close(pipes[0]);
	close(pipes[1]);
}

/* The stop of one that only asked outlives it. */
TEST_F(rules, a_stop_that_is_not_held_outlives_its_owner)
{
	struct wish wish = { IOTARGET_CMD_STOP, .expires_ms = 4 * SOON_MS };
	uint64_t cookie;
	struct nl nl;

	ASSERT_EQ(0, nl_open(&nl));
	ASSERT_EQ(0, begin(&nl, self->id, wish, &cookie));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_RESULT, cookie,
			      &(struct nl_event){ }, EVENT_MS));
	nl_close(&nl);
	sleep_ms(SOON_MS);
	EXPECT_EQ(STOPPED, target_state(self->fd));
	EXPECT_EQ(IOTARGET_WHY_EXPIRED, ended(&self->ear, cookie));
}

TEST_F(rules, a_deleted_target_has_no_stops)
{
	uint64_t cookie;

	ASSERT_EQ(0, DO(&cookie, IOTARGET_CMD_STOP, .expires_ms = FOREVER));
	EXPECT_EQ(0, target_delete(self->fd, LONG_MS, NULL));
	EXPECT_EQ(IOTARGET_WHY_GONE, ended(&self->ear, cookie));
}

/* The device needs a second; the answer doesn't, and the result is the truth. */
TEST_F(rules, handlers_do_not_wait_for_the_device)
{
	struct wish wish = { IOTARGET_CMD_STOP, .timeout_ms = 100 };
	struct iotarget_test_info info;
	struct nl_event event;
	char slow[DEVICE_PATH];
	uint64_t cookie;
	int fd;

	if (!got_device(slow, nullb_make(&slow_disk)))
		SKIP(return, "%s", device_reason());
	fd = target_opened("rules-slow", slow);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, target_info(fd, &info));
	ASSERT_EQ(0, request_read(fd, 0, 0, 4096));
	ASSERT_EQ(0, request_send(fd, 0, 0, 0));
	ASSERT_EQ(0, begin(&self->ask, info.id, wish, &cookie));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_RESULT, cookie, &event, EVENT_MS));
	EXPECT_EQ(ETIMEDOUT, event.error);
	EXPECT_EQ(1, event.sent);
	EXPECT_NE(NULL, strstr(event.message, "still out"));
	EXPECT_EQ(STOPPED, event.state);
	/* With the time it needs, it says when all is back. */
	wish.timeout_ms = LONG_MS;
	ASSERT_EQ(0, begin(&self->ask, info.id, wish, &cookie));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_RESULT, cookie, &event, EVENT_MS));
	EXPECT_EQ(0, event.error);
	EXPECT_EQ(0, event.sent);
	EXPECT_EQ(1, request_query(fd, 0).callbacks);
	close(fd);
}

/* Number by number, in the order in which it happened, and what happened. */
TEST_F(rules, events_are_in_order)
{
	static const uint32_t kinds[] = {
		IOTARGET_EVENT_KIND_CREATED, IOTARGET_EVENT_KIND_OPENED,
		IOTARGET_EVENT_KIND_STOPPED, IOTARGET_EVENT_KIND_STARTED,
		IOTARGET_EVENT_KIND_PURGED, IOTARGET_EVENT_KIND_CLOSED,
		IOTARGET_EVENT_KIND_DELETED,
	};
	struct nl_event event, last = { };
	unsigned int i, round;
	int fd;

	for (round = 0; round < 5; round++) {
		fd = target_new("rules-order", 0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, target_open(fd, self->path, ACCESS_BOTH, SHARE_BOTH));
		EXPECT_EQ(0, target_stop(fd, LEAVE_SENT_PENDING, 0, NULL));
		EXPECT_EQ(0, target_start(fd));
		EXPECT_EQ(0, target_purge(fd, PURGE_NO_WAIT, 0, NULL));
		EXPECT_EQ(0, target_close(fd, LONG_MS, NULL));
		EXPECT_EQ(0, target_delete(fd, LONG_MS, NULL));
		close(fd);
		for (i = 0; i < ARRAY_SIZE(kinds); i++) {
			ASSERT_EQ(0, nl_event(&self->ear, &event, EVENT_MS));
			EXPECT_EQ(kinds[i], event.kind)
				TH_LOG("round %u, event %u", round, i);
			EXPECT_EQ(0, event.cookie);
			EXPECT_EQ(0, event.dropped);
			if (last.seq) {
				EXPECT_EQ(last.seq + 1, event.seq);
				EXPECT_LE(last.time, event.time);
			}
			last = event;
		}
	}
	EXPECT_EQ(0, self->ear.overruns);
}

TEST_HARNESS_MAIN
