// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is done with a load (test_client_load.c) by more than one program: wait
 * until it runs, and print its books.
 */
#include "util.h"

/* Until so many callbacks more have come, or none comes any more. */
bool load_runs(int fd, uint64_t more)
{
	uint64_t until = now_ms() + LONG_MS;
	struct iotarget_test_load_stop begin, now;

	if (load_peek(fd, &begin))
		return false;
	do {
		sleep_ms(1);
		if (load_peek(fd, &now))
			return false;
		if (now.callbacks - begin.callbacks >= more)
			return true;
	} while (now_ms() < until);
	return false;
}

void load_show(const struct iotarget_test_load_stop *b)
{
	printf("# accepted %llu, callbacks %llu", b->accepted, b->callbacks);
	printf("; done %llu, failed %llu", b->done, b->failed);
	printf("; never sent %llu, unknown %llu", b->never_sent, b->unknown);
	printf("; cancelled %llu, timed out %llu, removed %llu\n",
	       b->canceled, b->timed_out, b->removed);
	printf("# refused: shut %llu, latch %llu", b->shut, b->latched);
	printf(", expired %llu, other %llu (last %lld)\n", b->expired,
	       b->refused, b->last_refusal);
}
