// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module itself: what pins its client, what the log says, what is left
 * over when everything is closed.
 */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "fixture.h"

#define CLIENT_REFS	"/sys/module/iotarget_test/refcnt"

FIXTURE(module) {
	int fd;
	char path[DEVICE_PATH];
};

FIXTURE_SETUP(module)
{
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->path, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	self->fd = target_new("module-test", 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(module)
{
	close(self->fd);
	ON_TIME();
}

static long client_refs(void)
{
	FILE *f = fopen(CLIENT_REFS, "re");
	long refs = -1;

	if (f && fscanf(f, "%ld", &refs) != 1)
		refs = -1;
	if (f)
		fclose(f);
	return refs;
}

/* A device is let go by a worker, a moment after its close. */
static bool refs_become(long refs)
{
	unsigned int i;

	for (i = 0; i < 200; i++) {
		if (client_refs() == refs)
			return true;
		sleep_ms(20);
	}
	return false;
}

TEST_F(module, an_open_target_pins_its_owner)
{
	long closed = client_refs();

	if (closed < 0)
		SKIP(return, "no %s", CLIENT_REFS);
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	EXPECT_LT(closed, client_refs());
	EXPECT_EQ(-1, syscall(SYS_delete_module, "iotarget_test", O_NONBLOCK));
	EXPECT_TRUE(errno == EBUSY || errno == EAGAIN)
		TH_LOG("%s", strerror(errno));
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_TRUE(refs_become(closed));
	/* Every kind of end lets go, and no call before it holds on. */
	ASSERT_EQ(0, target_reopen(self->fd));
	EXPECT_EQ(0, target_stop(self->fd, LEAVE_SENT_PENDING, 0, NULL));
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	EXPECT_EQ(0, target_purge(self->fd, PURGE_NO_WAIT, 0, NULL));
	EXPECT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, LONG_MS, NULL));
	EXPECT_EQ(0, target_start(self->fd));
	EXPECT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, target_close_query(self->fd, LONG_MS, NULL));
	EXPECT_TRUE(refs_become(closed));
	EXPECT_EQ(-ENOENT, target_open(self->fd, "/dev/no-such-device",
				       ACCESS_READ, SHARE_BOTH));
	EXPECT_TRUE(refs_become(closed));
	ASSERT_EQ(0, target_reopen(self->fd));
	EXPECT_EQ(0, target_delete(self->fd, LONG_MS, NULL));
	EXPECT_TRUE(refs_become(closed));
}

TEST_F(module, a_request_that_is_out_pins_its_owner)
{
	long closed = client_refs();
	char slow[DEVICE_PATH];

	if (closed < 0)
		SKIP(return, "no %s", CLIENT_REFS);
	if (!got_device(slow, nullb_make(&slow_disk)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, target_open(self->fd, slow, ACCESS_BOTH, SHARE_BOTH));
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(-ETIMEDOUT, target_close(self->fd, 100, NULL));
	EXPECT_LT(closed, client_refs());
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_TRUE(refs_become(closed));
}

struct bad_call {
	const char	*what;
	int		(*call)(int fd, const char *path);
	int		expected;
};

static int missing(int fd, const char *path)
{
	return target_open(fd, "/dev/no-such-device", ACCESS_READ, SHARE_BOTH);
}

static int directory(int fd, const char *path)
{
	return target_open(fd, "/dev", ACCESS_READ, SHARE_BOTH);
}

static int no_access(int fd, const char *path)
{
	return target_open(fd, path, 0, SHARE_BOTH);
}

static int start_closed(int fd, const char *path)
{
	return target_start(fd);
}

static int stop_closed(int fd, const char *path)
{
	return target_stop(fd, WAIT_FOR_SENT, 100, NULL);
}

static int purge_closed(int fd, const char *path)
{
	return target_purge(fd, PURGE_NO_WAIT, 0, NULL);
}

static int bad_action(int fd, const char *path)
{
	return target_stop(fd, 77, 0, NULL);
}

static int past_the_end(int fd, const char *path)
{
	return request_read(fd, 0, 1ULL << 50, 4096);
}

static int unaligned(int fd, const char *path)
{
	return request_read(fd, 0, 1, 4096);
}

static int unknown_flag(int fd, const char *path)
{
	int ret = request_read(fd, 0, 0, 4096);

	return ret ? ret : request_send(fd, 0, 0x1000, 0);
}

static int huge_timeout(int fd, const char *path)
{
	return target_close(fd, MAX_TIMEOUT_MS + 1, NULL);
}

static int no_timeout(int fd, const char *path)
{
	return target_read(fd, 0, 4096, 0, NULL);
}

static int second_open(int fd, const char *path)
{
	return target_open(fd, path, ACCESS_READ, SHARE_BOTH);
}

/* "Clear errno, one log line that names the target, state unchanged." */
TEST_F(module, one_log_line_for_each_bad_call)
{
	static const struct bad_call closed[] = {
		{ "missing path", missing, -ENOENT },
		{ "directory", directory, -ENOTBLK },
		{ "no access asked for", no_access, -EINVAL },
		{ "start while closed", start_closed, -ESHUTDOWN },
		{ "stop while closed", stop_closed, -ESHUTDOWN },
		{ "purge while closed", purge_closed, -ESHUTDOWN },
	};
	static const struct bad_call opened[] = {
		{ "unknown action", bad_action, -EINVAL },
		{ "past the end", past_the_end, -ERANGE },
		{ "unaligned", unaligned, -EINVAL },
		{ "unknown flag", unknown_flag, -EINVAL },
		{ "huge timeout", huge_timeout, -EINVAL },
		{ "no timeout", no_timeout, -EINVAL },
		{ "second open", second_open, -EBUSY },
	};
	int log = log_open();
	unsigned int i;

	if (log < 0)
		SKIP(return, "cannot read /dev/kmsg");
	late_calls_excused(true);
	for (i = 0; i < ARRAY_SIZE(closed); i++) {
		EXPECT_EQ(closed[i].expected,
			  closed[i].call(self->fd, self->path))
			TH_LOG("%s", closed[i].what);
		EXPECT_EQ(1, log_count(log, "iotarget: module-test: ", NULL))
			TH_LOG("%s", closed[i].what);
		EXPECT_EQ(CLOSED, target_state(self->fd));
	}
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	log_count(log, "", NULL);
	for (i = 0; i < ARRAY_SIZE(opened); i++) {
		EXPECT_EQ(opened[i].expected,
			  opened[i].call(self->fd, self->path))
			TH_LOG("%s", opened[i].what);
		EXPECT_EQ(1, log_count(log, "iotarget: module-test: ", NULL))
			TH_LOG("%s", opened[i].what);
		EXPECT_EQ(STARTED, target_state(self->fd));
	}
	late_calls_excused(false);
	close(log);
}

TEST_F(module, good_calls_are_silent)
{
	int log = log_open();

	if (log < 0)
		SKIP(return, "cannot read /dev/kmsg");
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	EXPECT_EQ(0, target_write(self->fd, 0, 4096, LONG_MS, NULL));
	EXPECT_EQ(0, target_read(self->fd, 0, 4096, LONG_MS, NULL));
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	EXPECT_EQ(0, target_start(self->fd));
	EXPECT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, LONG_MS, NULL));
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, log_count(log, "module-test", NULL));
	close(log);
}

TEST_F(module, the_test_device_wants_privileges)
{
	int status;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(2);
		_exit(target_new("module-test-2", 0) >= 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

/* Everything that other tests of this program made is gone by now. */
TEST_F(module, nothing_is_left_over)
{
	struct iotarget_test_global books;
	unsigned int i;
	char line[256];
	FILE *f;

	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, module_books(&books));
		if (books.created == books.destroyed + 1 &&
		    books.accepted == books.completed)
			break;
		sleep_ms(20);
	}
	/* But for the target of this test. */
	EXPECT_EQ(books.created, books.destroyed + 1);
	EXPECT_EQ(books.accepted, books.completed);
	EXPECT_EQ(0, books.doubles);
	f = fopen("/proc/slabinfo", "re");
	if (!f)
		SKIP(return, "no /proc/slabinfo");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "iotarget", 8))
			TH_LOG("%s", line);
	fclose(f);
}

TEST_HARNESS_MAIN
