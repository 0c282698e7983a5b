// SPDX-License-Identifier: GPL-2.0-only
/*
 * Being told to end: a signal sets a flag, which whoever waits looks at.  One
 * that is ignored when we begin stays ignored, as nohup and shells want it.
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
	struct sigaction before;
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		if (!sigaction(numbers[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

bool told_to_end(void)
{
	return told;
}
