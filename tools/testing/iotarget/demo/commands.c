// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an administrator would type: it is run as it is printed, by a shell.
 */
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

#include "demo.h"

char output[4096];

/* Its exit status; what it says goes to the output, its lines put into one. */
int shell(const char *command)
{
	char line[512];
	size_t len = 0, n;
	int status;
	FILE *f;

	output[0] = '\0';
	snprintf(line, sizeof(line), "{ %s; } 2>&1", command);
	f = popen(line, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		n = strcspn(line, "\n");
		line[n] = '\0';
		if (len + n + 4 > sizeof(output))
			continue;
		len += sprintf(output + len, "%s%s", len ? " / " : "", line);
	}
	status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int type(const char *fmt, va_list args)
{
	char command[256];

	vsnprintf(command, sizeof(command), fmt, args);
	printf("     # %s\n", command);
	return shell(command);
}

static const char *with_status(int status)
{
	static char text[32];

	snprintf(text, sizeof(text), " (exit status %d)", status);
	return status ? text : "";
}

/* Nothing to be told, unless it fails. */
void does(const char *fmt, ...)
{
	va_list args;
	int status;

	va_start(args, fmt);
	status = type(fmt, args);
	va_end(args);
	if (status || *output)
		show(!status, "%s%s", output, with_status(status));
}

/* Says exactly this and ends with that status. */
void says(int status, const char *text, const char *fmt, ...)
{
	va_list args;
	int ret;

	va_start(args, fmt);
	ret = type(fmt, args);
	va_end(args);
	expect("%s%s", text, with_status(status));
	show(ret == status && !strcmp(output, text), "%s%s", output, with_status(ret));
}
