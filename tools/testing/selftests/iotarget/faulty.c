// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the tests of faulty devices share: a thread for what may block, the load
 * and what must hold of its books whatever the device does.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>

#include "faulty.h"
#include "util.h"

static void *meanwhile(void *arg)
{
	struct meanwhile *m = arg;
	uint64_t began = now_ms();

	m->ret = m->act(m->arg);
	m->ms = now_ms() - began;
	return NULL;
}

int meanwhile_begin(struct meanwhile *m, int (*act)(void *arg), void *arg)
{
	m->act = act;
	m->arg = arg;
	return -pthread_create(&m->thread, NULL, meanwhile, m);
}

int meanwhile_end(struct meanwhile *m)
{
	pthread_join(m->thread, NULL);
	return m->ret;
}

/* How many use a module; a test must leave as many as it found. */
long module_users(const char *module)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module);
	return sysfs_number(path);
}

/* Deleted by now, if it was not, and its device released: 0 or an error. */
int target_end(int fd)
{
	uint64_t until = now_ms() + LONG_MS;
	int ret = target_delete(fd, LONG_MS, NULL);
	struct iotarget_test_info info;

	if (ret != -ESHUTDOWN)
		return ret;
	/* A delete that ran out of time goes on by itself. */
	do {
		ret = target_info(fd, &info);
		if (ret || !info.closing)
			return ret;
		sleep_ms(10);
	} while (now_ms() < until);
	return -ETIMEDOUT;
}

struct iotarget_test_load_start faulty_load(uint64_t span)
{
	return (struct iotarget_test_load_start){
		.threads = FAULTY_THREADS, .depth = FAULTY_DEPTH,
		.write_percent = 30, .min_len = 4096, .max_len = 32768,
		.span = span, .bits = IOTARGET_TEST_LOAD_VERIFY,
	};
}

/* Until the device has all that the load can give it, and keeps it. */
bool load_is_stuck(int fd)
{
	uint64_t until = now_ms() + LONG_MS;
	struct iotarget_test_load_stop now;

	do {
		sleep_ms(5);
		if (load_peek(fd, &now))
			return false;
		if (now.accepted - now.callbacks == FAULTY_THREADS * FAULTY_DEPTH)
			return true;
	} while (now_ms() < until);
	return false;
}

static int rule(const char *text, bool holds)
{
	if (!holds)
		printf("# broken: %s\n", text);
	return !holds;
}

/* I1, I2: every accepted one came back once, told one thing, and truly. */
int books_broken(const struct iotarget_test_load_stop *b)
{
	printf("# accepted %llu, callbacks %llu", b->accepted, b->callbacks);
	printf("; done %llu, failed %llu", b->done, b->failed);
	printf("; never sent %llu, unknown %llu", b->never_sent, b->unknown);
	printf("; refused: shut %llu, other %llu, last %lld\n", b->shut,
	       b->refused, b->last_refusal);
	return rule("some are accepted", b->accepted) +
	       rule("one callback for each", b->accepted == b->callbacks) +
	       rule("none is lost", !b->lost) +
	       rule("none comes twice", !b->doubles) +
	       rule("none comes uninvited", !b->uninvited) +
	       rule("status, outcome and bytes agree", !b->inconsistent) +
	       rule("what was read is right", !b->wrong_data) +
	       rule("one outcome for each", b->callbacks ==
		      b->done + b->failed + b->never_sent + b->unknown);
}
