// SPDX-License-Identifier: GPL-2.0-only
/*
 * No memory: each allocation that a call makes fails in turn, first the first
 * one, then the second, until the call gets by without meeting the failure.
 * Each time the call must end with 0 or -ENOMEM, the target must be in the
 * state that this says, and the same call must then work.
 *
 * Needs a kernel with fault injection (CONFIG_FAILSLAB).  What leaks shows in
 * the counters that are looked at after the tests.
 */
#include "control.h"

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define FAIL_PAGE	"/sys/kernel/debug/fail_page_alloc/"
#define MOST_SITES	500

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return good;
}

/* Sites that may sleep count, too, and nothing is printed for each. */
static bool can_fail_allocations(void)
{
	put(FAIL_PAGE "verbose", "0");
	put(FAIL_PAGE "ignore-gfp-wait", "N");
	return !access("/proc/thread-self/fail-nth", W_OK) &&
	       put(FAILSLAB "ignore-gfp-wait", "N") &&
	       put(FAILSLAB "verbose", "0");
}

FIXTURE(failslab) {
	char path[DEVICE_PATH];
	int nth_fd;
	int fd;
	int sites;
};

FIXTURE_SETUP(failslab)
{
	self->nth_fd = -1;
	self->fd = -1;
	self->sites = 0;
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!can_fail_allocations())
		SKIP(return, "the kernel has no failslab");
	if (!got_device(self->path, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	self->nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->nth_fd);
}

FIXTURE_TEARDOWN(failslab)
{
	if (self->nth_fd < 0)
		return;
	close(self->fd);
	close(self->nth_fd);
	TH_LOG("%d allocations failed, one by one", self->sites);
	ON_TIME();
}

/* From now on, the n-th allocation of this thread fails. */
static void arm(int nth_fd, int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nth);
	if (pwrite(nth_fd, text, strlen(text), 0) < 0)
		abort();
}

/* Did it come to that? */
static bool struck(int nth_fd)
{
	char text[16] = "";

	if (pread(nth_fd, text, sizeof(text) - 1, 0) <= 0)
		abort();
	if (pwrite(nth_fd, "0", 1, 0) < 0)
		abort();
	return !atoi(text);
}

/* The test client's own allocations, and those of the system call, are hit. */
static bool no_memory(int ret)
{
	return ret == -ENOMEM || ret == -NO_CALL - ENOMEM;
}

TEST_F(failslab, create)
{
	int nth;

	for (nth = 1; nth < MOST_SITES; nth++) {
		bool hit;
		int fd;

		arm(self->nth_fd, nth);
		fd = target_new("failslab-create", 0);
		hit = struck(self->nth_fd);
		if (fd < 0)
			ASSERT_TRUE(no_memory(fd)) TH_LOG("%d: %d", nth, fd);
		if (fd >= 0) {
			EXPECT_EQ(0, target_delete(fd, LONG_MS, NULL));
			close(fd);
		}
		if (!hit)
			break;
		self->sites++;
		fd = target_new("failslab-create", 0);
		ASSERT_LE(0, fd);
		close(fd);
	}
	EXPECT_LT(nth, MOST_SITES);
	EXPECT_LT(0, self->sites);
}

TEST_F(failslab, open)
{
	int nth;

	for (nth = 1; nth < MOST_SITES; nth++) {
		bool hit;
		int ret;

		self->fd = target_new("failslab-open", 0);
		ASSERT_LE(0, self->fd);
		arm(self->nth_fd, nth);
		ret = target_open(self->fd, self->path, ACCESS_BOTH, SHARE_BOTH);
		hit = struck(self->nth_fd);
		if (ret) {
			ASSERT_TRUE(no_memory(ret)) TH_LOG("%d: %d", nth, ret);
			ASSERT_NE(STARTED, target_state(self->fd));
			ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH, SHARE_BOTH));
		}
		EXPECT_EQ(STARTED, target_state(self->fd));
		EXPECT_EQ(0, target_read(self->fd, 0, 4096, LONG_MS, NULL));
		EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
		close(self->fd);
		if (!hit)
			break;
		self->sites++;
	}
	EXPECT_LT(nth, MOST_SITES);
	EXPECT_LT(0, self->sites);
}

TEST_F(failslab, send)
{
	int nth;

	self->fd = target_opened("failslab-send", self->path);
	ASSERT_LE(0, self->fd);
	for (nth = 1; nth < MOST_SITES; nth++) {
		int format, send = 0;
		bool hit;

		arm(self->nth_fd, nth);
		format = request_read(self->fd, 0, 0, 4096);
		if (!format)
			send = request_send(self->fd, 0, 0, 0);
		hit = struck(self->nth_fd);
		if (format) {
			ASSERT_TRUE(no_memory(format)) TH_LOG("%d: %d", nth, format);
			ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
			send = request_send(self->fd, 0, 0, 0);
			ASSERT_EQ(0, send);
		}
		if (send) {
			ASSERT_TRUE(no_memory(send)) TH_LOG("%d: %d", nth, send);
			ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
		}
		ASSERT_EQ(0, request_wait(self->fd, 0, LONG_MS));
		/* What was accepted may still have met it on its way. */
		if (request_query(self->fd, 0).status)
			ASSERT_EQ(-ENOMEM, request_query(self->fd, 0).status);
		ASSERT_EQ(STARTED, target_state(self->fd));
		ASSERT_EQ(0, request_do(self->fd, 0, IOTARGET_TEST_FREE, 0));
		if (!hit)
			break;
		self->sites++;
	}
	EXPECT_LT(nth, MOST_SITES);
	EXPECT_LT(0, self->sites);
}

TEST_F(failslab, synchronous)
{
	int nth;

	self->fd = target_opened("failslab-synchronous", self->path);
	ASSERT_LE(0, self->fd);
	for (nth = 1; nth < MOST_SITES; nth++) {
		bool hit;
		int ret;

		arm(self->nth_fd, nth);
		ret = target_write(self->fd, 0, 65536, LONG_MS, NULL);
		hit = struck(self->nth_fd);
		if (ret)
			ASSERT_TRUE(no_memory(ret)) TH_LOG("%d: %d", nth, ret);
		ASSERT_EQ(0, target_write(self->fd, 0, 65536, LONG_MS, NULL));
		ASSERT_EQ(STARTED, target_state(self->fd));
		if (!hit)
			break;
		self->sites++;
	}
	EXPECT_LT(nth, MOST_SITES);
}

static int get_rid(int fd, int call)
{
	switch (call) {
	case 0:
		return target_stop(fd, WAIT_FOR_SENT, LONG_MS, NULL);
	case 1:
		return target_purge(fd, PURGE_AND_WAIT, LONG_MS, NULL);
	case 2:
		return target_close(fd, LONG_MS, NULL);
	default:
		return target_delete(fd, LONG_MS, NULL);
	}
}

/* To get rid of something must not take memory: only the client may want some. */
TEST_F(failslab, stop_purge_close_delete)
{
	static const int after[] = { STOPPED, PURGED, CLOSED, DELETED };
	int call, nth, ret;
	bool hit = true;

	for (call = 0; call < 4; call++) {
		for (nth = 1, hit = true; hit && nth < MOST_SITES; nth++) {
			self->fd = target_opened("failslab-stop", self->path);
			ASSERT_LE(0, self->fd);
			ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
			ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
			arm(self->nth_fd, nth);
			ret = get_rid(self->fd, call);
			hit = struck(self->nth_fd);
			if (ret == -NO_CALL - ENOMEM)
				ret = get_rid(self->fd, call);
			ASSERT_EQ(0, ret) TH_LOG("call %d, site %d", call, nth);
			ASSERT_EQ(after[call], target_state(self->fd));
			close(self->fd);
			self->sites += hit;
		}
		EXPECT_LT(nth, MOST_SITES);
	}
	self->fd = -1;
}

static void put_verb(struct nl *nl, struct nl_msg *msg, uint8_t cmd, uint64_t id)
{
	nl_msg_init(nl, msg, cmd, NLM_F_ACK);
	nl_put_u64(msg, IOTARGET_A_VERB_ID, id);
}

/* Over netlink: what has an answer is done, and what has none is not. */
TEST_F(failslab, verb)
{
	struct iotarget_test_info info;
	struct nl_event event;
	struct nl_msg msg;
	uint64_t cookie;
	struct nl nl;
	int nth, ret;
	bool hit;

	NL_OR_SKIP(&nl);
	ASSERT_EQ(0, nl_join(&nl));
	self->fd = target_opened("failslab-verb", self->path);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, target_info(self->fd, &info));
	for (nth = 1, hit = true; hit && nth < MOST_SITES; nth++) {
		cookie = 0;
		put_verb(&nl, &msg, IOTARGET_CMD_STOP, info.id);
		arm(self->nth_fd, nth);
		ret = nl_send(&nl, &msg);
		hit = struck(self->nth_fd);
		/* The acknowledgment, which is the system's, may be what fails. */
		if (!ret)
			ret = nl_answer(&nl, &msg, &cookie, NULL, 300);
		self->sites += hit;
		if (!cookie) {
			ASSERT_TRUE(ret == -ENOMEM || ret == -ENOBUFS ||
				    ret == -NO_CALL - EAGAIN) TH_LOG("%d: %d", nth, ret);
			ASSERT_EQ(STARTED, target_state(self->fd));
			continue;
		}
		ASSERT_EQ(0, nl_await(&nl, IOTARGET_EVENT_KIND_RESULT, cookie, &event, LONG_MS));
		EXPECT_EQ(0, event.error);
		ASSERT_EQ(STOPPED, target_state(self->fd));
		put_verb(&nl, &msg, IOTARGET_CMD_START, info.id);
		ASSERT_EQ(0, nl_ask(&nl, &msg, &cookie, NULL));
		ASSERT_EQ(0, nl_await(&nl, IOTARGET_EVENT_KIND_RESULT, cookie, &event, LONG_MS));
		ASSERT_EQ(STARTED, target_state(self->fd));
	}
	EXPECT_LT(nth, MOST_SITES);
	EXPECT_LT(0, self->sites);
	nl_close(&nl);
}

static void put_query(struct nl *nl, struct nl_msg *msg, const struct stat *st)
{
	nl_msg_init(nl, msg, IOTARGET_CMD_QUERY_REMOVE, NLM_F_ACK);
	nl_put_u32(msg, IOTARGET_A_VERB_MAJOR, major(st->st_rdev));
	nl_put_u32(msg, IOTARGET_A_VERB_MINOR, minor(st->st_rdev));
	nl_put(msg, IOTARGET_A_VERB_DRY_RUN, NULL, 0);
	nl_put(msg, IOTARGET_A_VERB_HOLD, NULL, 0);
}

/* The same of a query: one that has no answer keeps neither the device nor the socket. */
TEST_F(failslab, query)
{
	static const struct nullb disk = { .name = "iott_failing", .size_mb = 1 };
	struct nl_event event;
	char path[DEVICE_PATH];
	struct nl_msg msg;
	uint64_t cookie;
	struct stat st;
	struct nl nl;
	int nth, ret;
	bool hit;

	NL_OR_SKIP(&nl);
	ASSERT_EQ(0, nl_join(&nl));
	ASSERT_TRUE(got_device(path, nullb_make(&disk)));
	ASSERT_EQ(0, stat(path, &st));
	for (nth = 1, hit = true; hit && nth < MOST_SITES; nth++) {
		cookie = 0;
		put_query(&nl, &msg, &st);
		arm(self->nth_fd, nth);
		ret = nl_send(&nl, &msg);
		hit = struck(self->nth_fd);
		if (!ret)
			ret = nl_answer(&nl, &msg, &cookie, NULL, 300);
		self->sites += hit;
		if (!cookie) {
			ASSERT_TRUE(ret == -ENOMEM || ret == -ENOBUFS ||
				    ret == -NO_CALL - EAGAIN) TH_LOG("%d: %d", nth, ret);
			continue;
		}
		ASSERT_EQ(0, nl_await(&nl, IOTARGET_EVENT_KIND_QUERY_AGREED, cookie, &event,
				      LONG_MS));
	}
	EXPECT_LT(nth, MOST_SITES);
	EXPECT_LT(0, self->sites);
	nl_close(&nl);
	EXPECT_EQ(0, nullb_remove(disk.name));
}

TEST_HARNESS_MAIN
