// SPDX-License-Identifier: GPL-2.0-only
/*
 * Under load: four threads send as fast as they can while the target is opened,
 * stopped, started, purged and closed.  The test module's load engine counts
 * every accepted send and every callback by itself; the target's own counters
 * are not believed.
 *
 * Meant for a machine with four processors ("smp4"), right on any.
 */
#include <stdatomic.h>

#include "fixture.h"

#define SPAN		(16 * MIB)

FIXTURE(load) {
	int fd;
	char path[DEVICE_PATH];
	bool excused;
};

FIXTURE_VARIANT(load) {
	bool brd;
	unsigned int delay_ms;
};

/* Both complete inside the submission, so order can be seen. */
FIXTURE_VARIANT_ADD(load, null_blk) { .brd = false };
FIXTURE_VARIANT_ADD(load, brd) { .brd = true };
/* This one in hard interrupts, a little later. */
FIXTURE_VARIANT_ADD(load, null_blk_irq) { .delay_ms = 1 };

static const struct nullb irq_disk = {
	.name = "iott_irq", .size_mb = 64, .delay_ms = 1, .depth = 256,
};

FIXTURE_SETUP(load)
{
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->path, variant->brd ? brd_disk() :
		    nullb_make(variant->delay_ms ? &irq_disk : &fast_disk)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, device_fill(self->path, 0, SPAN, SEED));
	self->fd = target_opened("load-test", self->path);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(load)
{
	close(self->fd);
	ON_TIME();
}

static struct iotarget_test_load_start four_threads(bool ordered)
{
	return (struct iotarget_test_load_start){
		.threads = 4, .depth = 16, .write_percent = 30,
		.min_len = 4096, .max_len = 32768, .span = SPAN,
		.bits = IOTARGET_TEST_LOAD_VERIFY |
			(ordered ? IOTARGET_TEST_LOAD_ORDERED : 0),
	};
}

static void show(const struct iotarget_test_load_stop *b)
{
	load_show(b);
	printf("# starts watched %llu, held before one %llu, overtaken %llu\n",
	       b->starts, b->held, b->overtaken);
	printf("# quiet times watched %llu, broken %llu\n", b->quiets,
	       b->unquiet);
}

/* What must hold at the end of every load (I1, I2, I5, I6). */
static void check_books(struct __test_metadata *_metadata,
			const struct iotarget_test_load_stop *b)
{
	show(b);
	EXPECT_LT(0, b->accepted);
	EXPECT_EQ(b->accepted, b->callbacks);
	EXPECT_EQ(0, b->lost);
	EXPECT_EQ(0, b->doubles);
	EXPECT_EQ(0, b->uninvited);
	EXPECT_EQ(0, b->inconsistent);
	EXPECT_EQ(0, b->wrong_data);
	EXPECT_EQ(0, b->failed);
	EXPECT_EQ(0, b->unknown);
	EXPECT_EQ(0, b->refused) TH_LOG("refused with %lld", b->last_refusal);
	EXPECT_EQ(b->callbacks, b->done + b->never_sent);
	EXPECT_EQ(0, b->overtaken);
	EXPECT_EQ(0, b->unquiet);
}

TEST_F_TIMEOUT(load, cycles_of_everything, 200)
{
	struct iotarget_test_load_start load = four_threads(!variant->delay_ms);
	struct iotarget_test_load_stop books;
	struct iotarget_test_info info;
	unsigned int i;

	ASSERT_EQ(0, load_start(self->fd, &load));
	for (i = 0; i < cycles(); i++) {
		ASSERT_TRUE(load_runs(self->fd, 50)) TH_LOG("cycle %u", i);
		ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS,
					 NULL));
		sleep_ms(i % 4);
		ASSERT_EQ(0, target_start(self->fd));
		ASSERT_TRUE(load_runs(self->fd, 50)) TH_LOG("cycle %u", i);
		ASSERT_EQ(0, target_stop(self->fd, i % 2 ? CANCEL_SENT :
						   LEAVE_SENT_PENDING, LONG_MS,
					 NULL));
		sleep_ms(i % 3);
		ASSERT_EQ(0, target_purge(self->fd, i % 3 ? PURGE_AND_WAIT :
						    PURGE_NO_WAIT, LONG_MS,
					  NULL));
		if (i % 2)
			ASSERT_EQ(0, target_start(self->fd));
		ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
		ASSERT_EQ(0, target_reopen(self->fd));
	}
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	check_books(_metadata, &books);
	EXPECT_LT(0, books.never_sent);
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(0, info.sent + info.pended + info.ignored + info.closing);
}

/* I5, and how long Start takes with everybody sending. */
TEST_F_TIMEOUT(load, order_and_the_time_of_start, 120)
{
	struct iotarget_test_load_start load = four_threads(!variant->delay_ms);
	struct iotarget_test_load_stop books;
	unsigned int i;

	load.min_len = 4096;
	load.max_len = 4096;
	ASSERT_EQ(0, load_start(self->fd, &load));
	for (i = 0; i < cycles(); i++) {
		ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS,
					 NULL));
		/* All threads come to have all their requests held. */
		sleep_ms(2);
		ASSERT_EQ(0, target_start(self->fd));
		ASSERT_TRUE(load_runs(self->fd, 200)) TH_LOG("cycle %u", i);
	}
	/* And often, for a sender that slips through a gate that is shut. */
	for (i = 0; !variant->delay_ms && i < 3 * cycles(); i++) {
		ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS,
					 NULL));
		sleep_ms(1);
		ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
	}
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	check_books(_metadata, &books);
	if (!variant->delay_ms) {
		EXPECT_LT(cycles(), books.starts);
		EXPECT_LT(0, books.held);
		EXPECT_LT(cycles(), books.quiets);
	}
}

/* I1: timers and cancellers against completion, stop, start and purge. */
TEST_F_TIMEOUT(load, timeouts_and_cancels_race, 120)
{
	struct iotarget_test_load_start load = four_threads(false);
	unsigned int i;
	struct iotarget_test_load_stop books;

	load.timeout_percent = 50;
	load.timeout_ms = 1;
	load.cancel_us = 50;
	ASSERT_EQ(0, load_start(self->fd, &load));
	for (i = 0; i < cycles() / 2; i++) {
		ASSERT_TRUE(load_runs(self->fd, 20)) TH_LOG("cycle %u", i);
		ASSERT_EQ(0, target_stop(self->fd, LEAVE_SENT_PENDING, 0,
					 NULL));
		sleep_ms(i % 12);
		ASSERT_EQ(0, target_start(self->fd));
		if (i % 10)
			continue;
		ASSERT_EQ(0, target_purge(self->fd, PURGE_NO_WAIT, 0, NULL));
		ASSERT_EQ(0, target_start(self->fd));
	}
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	check_books(_metadata, &books);
	EXPECT_LT(0, books.cancels);
	EXPECT_LT(0, books.timed_out);
	EXPECT_LT(0, books.canceled);
}

struct toggler {
	int		fd;
	atomic_bool	go;
	unsigned int	bad;
	int		last;
	pthread_t	thread;
	unsigned int	kind;
};

static void toggled(struct toggler *toggler, int ret)
{
	/* Each may be overtaken by another, none may do anything else. */
	if (!ret || ret == -ECANCELED || ret == -ESHUTDOWN || ret == -EBUSY)
		return;
	toggler->bad++;
	toggler->last = ret;
}

static void *toggle(void *data)
{
	struct toggler *toggler = data;
	int fd = toggler->fd;

	while (toggler->go) {
		switch (toggler->kind) {
		case 0:
			toggled(toggler, target_stop(fd, WAIT_FOR_SENT,
						     LONG_MS, NULL));
			toggled(toggler, target_start(fd));
			break;
		case 1:
			toggled(toggler, target_purge(fd, PURGE_AND_WAIT,
						      LONG_MS, NULL));
			toggled(toggler, target_start_and_wait(fd, LONG_MS,
							       NULL));
			break;
		case 2:
			sleep_ms(20);
			toggled(toggler, target_close(fd, LONG_MS, NULL));
			toggled(toggler, target_reopen(fd));
			break;
		default:
			toggled(toggler, target_stop(fd, LEAVE_SENT_PENDING, 0,
						     NULL));
			toggled(toggler, target_start(fd));
			break;
		}
	}
	return NULL;
}

/* Transitions against transitions: whoever wins, nobody hangs or loses I/O. */
TEST_F_TIMEOUT(load, transitions_race_each_other, 120)
{
	struct toggler togglers[4];
	struct iotarget_test_load_start load = four_threads(false);
	struct iotarget_test_load_stop books;
	unsigned int i;

	ASSERT_EQ(0, load_start(self->fd, &load));
	for (i = 0; i < ARRAY_SIZE(togglers); i++) {
		togglers[i] = (struct toggler){
			.fd = self->fd, .go = true, .kind = i,
		};
		ASSERT_EQ(0, pthread_create(&togglers[i].thread, NULL, toggle,
					    &togglers[i]));
	}
	sleep_ms(5000);
	for (i = 0; i < ARRAY_SIZE(togglers); i++)
		togglers[i].go = false;
	for (i = 0; i < ARRAY_SIZE(togglers); i++) {
		pthread_join(togglers[i].thread, NULL);
		EXPECT_EQ(0, togglers[i].bad)
			TH_LOG("kind %u: %d", i, togglers[i].last);
	}
	if (target_state(self->fd) == CLOSED)
		ASSERT_EQ(0, target_reopen(self->fd));
	ASSERT_EQ(0, target_start(self->fd));
	EXPECT_TRUE(load_runs(self->fd, 100));
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	check_books(_metadata, &books);
}

TEST_F(load, deleted_under_load)
{
	struct iotarget_test_load_start load = four_threads(false);
	struct iotarget_test_load_stop books;

	ASSERT_EQ(0, load_start(self->fd, &load));
	ASSERT_TRUE(load_runs(self->fd, 200));
	ASSERT_EQ(0, target_delete(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	check_books(_metadata, &books);
}

TEST_HARNESS_MAIN
