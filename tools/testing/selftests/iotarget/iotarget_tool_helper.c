// SPDX-License-Identifier: GPL-2.0-only
/*
 * What iotarget_tool.sh can't do in a shell.
 *
 *   iotarget_tool_helper targets	keep a target "tool-fast" and one "tool-slow" open
 *					until killed; SIGUSR1 sends a read to the slow one
 *   iotarget_tool_helper away		keep a target "tool-away" that holds for a device
 *					which is gone, until killed
 *   iotarget_tool_helper nobody CMD...	run a command without any privilege
 *   iotarget_tool_helper storm		more events than a socket can hold
 *   iotarget_tool_helper overrun CMD...	run a command, with a storm just before it sends
 *					its second message; the first finds the family
 *   iotarget_tool_helper shrink CMD...	run a command with a target "tool-late", which goes
 *					before the answer to the second message is read
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "nl.h"
#include "removing.h"
#include "util.h"

static int targets(void)
{
	char fast[DEVICE_PATH], slow[DEVICE_PATH];
	int fd, signal, slot = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (!got_device(fast, nullb_make(&fast_disk)) ||
	    !got_device(slow, nullb_make(&slow_disk))) {
		printf("skip %s\n", device_reason());
		return 4;
	}
	if (target_opened("tool-fast", fast) < 0)
		return 1;
	fd = target_opened("tool-slow", slow);
	if (fd < 0)
		return 1;
	printf("ready %s\n", fast);
	fflush(stdout);
	while (!sigwait(&set, &signal) && signal == SIGUSR1) {
		if (request_read(fd, slot, 0, 4096) || request_send(fd, slot, 0, 0))
			return 1;
		printf("sent\n");
		fflush(stdout);
		slot++;
	}
	return 0;
}

static bool is_away(int fd)
{
	struct iotarget_test_info info;
	unsigned int i;

	for (i = 0; i < 500; i++) {
		if (target_info(fd, &info))
			return false;
		if (info.away)
			return true;
		sleep_ms(20);
	}
	return false;
}

static int lose_device(void)
{
	static const struct nullb disk = { .name = "iott_gone", .size_mb = 16 };
	struct iotarget_test_policy policy = { .flags = 1, .hold_ms = 600000 };
	char path[DEVICE_PATH];
	int fd;

	if (!got_device(path, nullb_make(&disk))) {
		printf("skip %s\n", device_reason());
		return 4;
	}
	fd = target_with_defaults("tool-away");
	if (fd < 0 ||
	    target_call(fd, IOTARGET_TEST_IOC_POLICY, &policy, "iotarget_set_policy", 0) ||
	    target_open(fd, path, ACCESS_BOTH, SHARE_BOTH) || nullb_remove(disk.name) ||
	    !is_away(fd) || request_write(fd, 0, 0, 4096) || request_send(fd, 0, 0, 0))
		return 1;
	printf("ready\n");
	fflush(stdout);
	for (;;)
		pause();
}

/* An event each; a socket of the tool has 2 MiB. */
static int storm_on(int fd)
{
	unsigned int i;

	for (i = 0; i < 3000; i++) {
		if (target_stop(fd, LEAVE_SENT_PENDING, 0, NULL) || target_start(fd))
			return 1;
	}
	return 0;
}

static int storm(void)
{
	static const struct nullb disk = { .name = "iott_storm", .size_mb = 1 };
	char path[DEVICE_PATH];
	int fd, ret;

	if (!got_device(path, nullb_make(&disk)))
		return 1;
	fd = target_opened("tool-many", path);
	ret = fd < 0 ? 1 : storm_on(fd);
	if (fd >= 0)
		close(fd);
	return nullb_remove(disk.name) ? 1 : ret;
}

/* A command that stops where it would begin; it does not outlive us. */
static pid_t traced(char **argv)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD))
		_exit(126);
	return pid;
}

/* Let it run until it is about to make that system call for the nth time. */
static void run_to(pid_t pid, unsigned long call, unsigned int nth)
{
	struct __ptrace_syscall_info info;
	int status;

	while (nth) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) ||
		    waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			_exit(126);
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
			_exit(126);
		nth -= info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == call;
	}
}

static int run_on(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_DETACH, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid ||
	    !WIFEXITED(status))
		return 126;
	return WEXITSTATUS(status);
}

static int overrun(char **argv)
{
	pid_t pid = traced(argv);

	run_to(pid, SYS_sendto, 2);
	return storm() ? 126 : run_on(pid);
}

/* It is in the list until its last reference is gone, which others may have. */
static bool gone(uint64_t id)
{
	unsigned int i;
	struct nl nl;
	int ret = 0;

	if (nl_open(&nl))
		return false;
	for (i = 0; i < 200 && ret != -ENOENT; i++) {
		ret = nl_get(&nl, id, NULL);
		if (!ret)
			sleep_ms(20);
	}
	nl_close(&nl);
	return ret == -ENOENT;
}

static int shrink(char **argv)
{
	int fd = target_new("tool-late", 0);
	struct iotarget_test_info info;
	pid_t pid;

	if (fd < 0 || target_info(fd, &info))
		return 126;
	pid = traced(argv);
	run_to(pid, SYS_sendto, 2);
	run_to(pid, SYS_recvmsg, 1);
	close(fd);
	return gone(info.id) ? run_on(pid) : 126;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "targets"))
		return targets();
	if (argc == 2 && !strcmp(argv[1], "away"))
		return lose_device();
	/* exit() would take away the devices of "targets". */
	if (argc == 2 && !strcmp(argv[1], "storm"))
		_exit(storm());
	if (argc > 2 && !strcmp(argv[1], "overrun"))
		_exit(overrun(argv + 2));
	if (argc > 2 && !strcmp(argv[1], "shrink"))
		_exit(shrink(argv + 2));
	if (argc > 2 && !strcmp(argv[1], "nobody")) {
		if (setgid(65534) || setuid(65534))
			return 127;
		execvp(argv[2], argv + 2);
		return 127;
	}
	return 2;
}
