// SPDX-License-Identifier: GPL-2.0-only
/*
 * What iotarget_tool.sh can't do in a shell.
 *
 *   iotarget_tool_helper targets	keep a target "tool-fast" and one "tool-slow" open
 *					until killed; SIGUSR1 sends a read to the slow one
 *   iotarget_tool_helper nobody CMD...	run a command without any privilege
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

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
	printf("ready\n");
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

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "targets"))
		return targets();
	if (argc > 2 && !strcmp(argv[1], "nobody")) {
		if (setgid(65534) || setuid(65534))
			return 127;
		execvp(argv[2], argv + 2);
		return 127;
	}
	return 2;
}
