// SPDX-License-Identifier: GPL-2.0-only
/*
 * Being told to end: a signal sets a flag, which whoever waits looks at.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "tool.h"

static atomic_int told;

static void on_signal(int number)
{
	told = 1;
}

void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction action = { .sa_handler = on_signal };
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

bool told_to_end(void)
{
	return told;
}
