// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control over netlink while modules come and go: iotarget itself, and the
 * owner of a target.
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "control.h"

static int ask(struct nl *nl, uint8_t cmd, uint64_t id)
{
	struct nl_msg msg;

	nl_msg_init(nl, &msg, cmd, 0);
	nl_put_u64(&msg, IOTARGET_A_VERB_ID, id);
	return nl_ask(nl, &msg, NULL, NULL);
}

static int load(const char *module, const char *params)
{
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/modules/%s.ko", module);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, params, 0) ? -errno : 0;
	close(fd);
	return ret;
}

/* A target's device is let go by a worker, a moment after its close. */
static int unload(const char *module)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < 200; i++) {
		ret = syscall(SYS_delete_module, module, O_NONBLOCK) ? -errno : 0;
		if (ret != -EAGAIN && ret != -EBUSY)
			break;
		sleep_ms(20);
	}
	return ret;
}

/* Those who use it first. */
static const char * const modules[] = { "iogate", "iotarget_disk", "iotarget_test", "iotarget" };
static bool taken_out[ARRAY_SIZE(modules)];

static int all_out(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(modules); i++) {
		ret = unload(modules[i]);
		if (ret && ret != -ENOENT)
			return ret;
		taken_out[i] = !ret;
	}
	return 0;
}

static int all_in(void)
{
	unsigned int i;
	int ret = 0;

	for (i = ARRAY_SIZE(modules); !ret && i--; ) {
		if (taken_out[i])
			ret = load(modules[i], "");
	}
	return ret;
}

/* Why that can't be done here, or NULL. */
static const char *must_stay(void)
{
	char path[64];
	unsigned int i;

	if (!module_loaded())
		return NO_MODULE;
	for (i = 0; i < ARRAY_SIZE(modules); i++) {
		snprintf(path, sizeof(path), "/modules/%s.ko", modules[i]);
		if (access(path, R_OK))
			return "the modules are not in /modules, to be loaded again";
	}
	if (!access("/sys/kernel/debug/kunit", F_OK))
		return "loading it again would run the unit tests again";
	return NULL;
}

TEST(the_module_goes_while_a_socket_listens)
{
	struct nl ear;

	if (must_stay())
		SKIP(return, "%s", must_stay());
	NL_OR_SKIP(&ear);
	ASSERT_EQ(0, nl_join(&ear));
	ASSERT_EQ(0, all_out());
	EXPECT_EQ(-ENOENT, ask(&ear, IOTARGET_CMD_GET, 1));
	ASSERT_EQ(0, all_in());
	nl_close(&ear);
	ASSERT_EQ(0, nl_listen(&ear));
	EXPECT_EQ(-ENOENT, ask(&ear, IOTARGET_CMD_GET, 1));
	EXPECT_STREQ("no such target", ear.text);
	nl_close(&ear);
}

/* Join a group by its number and say so; 0 if nothing is heard then. */
static int eavesdrop(uint32_t group, int said, int go)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	struct pollfd pfd = { .events = POLLIN };
	char c = 0;

	if (setgid(65534) || setuid(65534))
		return 1;
	pfd.fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	/* Without an address of its own it would get nothing in any case. */
	if (pfd.fd < 0 || bind(pfd.fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    setsockopt(pfd.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return 2;
	if (write(said, &c, 1) != 1 || read(go, &c, 1) != 1)
		return 3;
	return poll(&pfd, 1, 500) ? 4 : 0;
}

/* While the module is not there, its group is anybody's. */
TEST(who_has_joined_before_the_group_was_ours_hears_nothing)
{
	int said[2], go[2], status, fd;
	struct nl_event event;
	uint32_t group;
	struct nl ear;
	char c = 0;
	pid_t pid;

	if (must_stay())
		SKIP(return, "%s", must_stay());
	NL_OR_SKIP(&ear);
	group = ear.group;
	nl_close(&ear);
	ASSERT_EQ(0, pipe(said));
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, all_out());
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(eavesdrop(group, said[1], go[0]));
	close(said[1]);
	EXPECT_EQ(1, read(said[0], &c, 1))
		TH_LOG("the group can't be joined");
	ASSERT_EQ(0, all_in());
	ASSERT_EQ(0, nl_open(&ear));
	EXPECT_EQ(group, ear.group);
	ASSERT_EQ(0, nl_join(&ear));
	fd = target_new("secret", 0);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, nl_await(&ear, IOTARGET_EVENT_KIND_CREATED, 0, &event, EVENT_MS));
	EXPECT_EQ(1, write(go[1], &c, 1));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	close(fd);
	nl_close(&ear);
}

static bool not_it(void *context, const struct nl_target *target)
{
	if (!strcmp(target->name, "init-fails"))
		++*(unsigned int *)context;
	return true;
}

/* When its init fails it is freed at once, with whatever was found in it. */
TEST(a_target_of_a_module_that_is_being_loaded_is_not_found)
{
	unsigned int listed = 0;
	struct nl_event event;
	struct nl_msg msg;
	bool interrupted;
	struct nl ear;
	int status;
	pid_t pid;

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (access("/modules/iotarget_test.ko", R_OK))
		SKIP(return, "the module is not in /modules, to be loaded again");
	NL_OR_SKIP(&ear);
	ASSERT_EQ(0, nl_join(&ear));
	ASSERT_EQ(0, unload("iotarget_test"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-load("iotarget_test", "init_fails_ms=1500"));
	EXPECT_EQ(0, nl_await(&ear, IOTARGET_EVENT_KIND_CREATED, 0, &event, EVENT_MS));
	EXPECT_STREQ("init-fails", event.name);
	EXPECT_EQ(-ENOENT, nl_get(&ear, event.id, NULL));
	EXPECT_EQ(-ENOENT, ask(&ear, IOTARGET_CMD_STOP, event.id));
	nl_msg_init(&ear, &msg, IOTARGET_CMD_GET, 0);
	nl_put_text(&msg, IOTARGET_A_TARGET_NAME, "init-fails");
	EXPECT_EQ(-ENOENT, nl_ask(&ear, &msg, NULL, NULL));
	EXPECT_EQ(0, nl_dump(&ear, not_it, &listed, &interrupted));
	EXPECT_EQ(0, listed);
	/* All that was asked while it was there. */
	EXPECT_EQ(-ETIMEDOUT, nl_await(&ear, IOTARGET_EVENT_KIND_DELETED, 0, &event, 0));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(ECANCELED, WEXITSTATUS(status));
	nl_close(&ear);
	ASSERT_EQ(0, load("iotarget_test", ""));
}

TEST_HARNESS_MAIN
