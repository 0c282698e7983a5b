// SPDX-License-Identifier: GPL-2.0-only
/*
 * Real (emulated) hardware that is pulled: USB sticks, UAS, NVMe, virtio-blk,
 * disks of virtio-scsi.  Whatever the device had, was about to get or was never
 * to get: each request completes once and says the truth, the calls return, the
 * old disk goes, and what was written is there when it is plugged in again.
 *
 * Where the driver is asked first (variant->asked), it waits for what the device
 * has; elsewhere that is never answered.
 */
#include <stdatomic.h>

#include "fixture.h"
#include "host.h"
#include "removing.h"

#define SPAN		(2 * MIB)	/* of the load */
#define WRITTEN		(4 * MIB)	/* written and flushed before the pull */
#define FLIGHT		(8 * MIB)	/* requests that are out at the pull */
#define PIECE		(64 << 10)
#define NR_PIECES	16
#define BLOCK		4096
#define NR_HELD		8

FIXTURE(unplug) {
	struct plugged disk;
	int fd, other;		/* two targets, both open on it */
	long users;		/* of the driver, before */
};

FIXTURE_VARIANT(unplug) {
	const char *id;
	const char *driver;
	unsigned int out;	/* so many at a time, more would be waited for */
	bool asked;
};

FIXTURE_VARIANT_ADD(unplug, usb_storage) { "usb1", "sd_mod", 1 };
FIXTURE_VARIANT_ADD(unplug, usb_uas) { "uas0", "sd_mod", 6 };
FIXTURE_VARIANT_ADD(unplug, nvme) { "nvme1", "nvme_core", 6 };
FIXTURE_VARIANT_ADD(unplug, nvme_asked) { "nvme0", "nvme_core", 6, true };
FIXTURE_VARIANT_ADD(unplug, virtio_blk) { "vblk0", "virtio_blk", 6, true };
FIXTURE_VARIANT_ADD(unplug, virtio_scsi) { "vscsi0", "sd_mod", 6 };

static long users_of(const char *module)
{
	char path[64];
	long users = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%ld", &users) != 1)
		users = -1;
	fclose(f);
	return users;
}

/* The driver's references are its disks' openers and the disks themselves. */
static bool users_back(const char *module, long users)
{
	uint64_t until = now_ms() + slow(GONE_MS);

	while (users_of(module) != users) {
		if (now_ms() > until) {
			printf("# %s has %ld users, before it had %ld\n",
			       module, users_of(module), users);
			return false;
		}
		sleep_ms(10);
	}
	return true;
}

FIXTURE_SETUP(unplug)
{
	const char *why = host_pulls(variant->id);

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (why)
		SKIP(return, "%s: %s", variant->id, why);
	self->users = users_of(variant->driver);
	ASSERT_LE(0, self->users);
	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	self->fd = target_opened("unplug-test", self->disk.path);
	ASSERT_LE(0, self->fd);
	self->other = target_opened("unplug-other", self->disk.path);
	ASSERT_LE(0, self->other);
}

FIXTURE_TEARDOWN(unplug)
{
	struct iotarget_test_info info;

	if (disk_there(&self->disk)) {
		EXPECT_EQ(0, host_ask("resume", variant->id));
		EXPECT_EQ(0, disk_pull(&self->disk));
	}
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	/* Whatever is closed has let go of the device. */
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, target_close(self->other, LONG_MS, NULL));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(0, info.sent + info.pended + info.limbo + info.closing);
	EXPECT_TRUE(users_back(variant->driver, self->users));
	EXPECT_EQ(0, target_delete(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, target_delete(self->other, LONG_MS, NULL));
	close(self->fd);
	close(self->other);
	ON_TIME();
}

/* Pull it, now or when its driver has let go, and see its disk go. */
static int pull(const struct plugged *disk, bool asked)
{
	int ret;

	ret = asked ? host_ask("after 0 unplug", disk->id) :
		      disk_pull(disk);
	return ret ?: disk_wait_gone(disk, slow(GONE_MS));
}

/* From now on what is sent stays out, for good or for a while. */
static int hold_up(const struct plugged *disk, bool asked)
{
	char words[64];

	if (!asked)
		return host_ask("stall", disk->id);
	/* One a second: the pull comes long before the last answer. */
	snprintf(words, sizeof(words), "%s 1", disk->id);
	return host_ask("throttle", words);
}

static int send_some(int fd, uint64_t pos, unsigned int count)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < count && !ret; i++) {
		ret = i % 2 ? request_read(fd, i, pos + i * BLOCK, BLOCK) :
			      request_write(fd, i, pos + i * BLOCK, BLOCK);
		if (!ret)
			ret = request_send(fd, i, 0, 0);
	}
	return ret;
}

/* How many of them have not been called back yet? */
static unsigned int still_out(int fd, unsigned int count)
{
	unsigned int i, out = 0;

	for (i = 0; i < count; i++)
		out += !request_query(fd, i).callbacks;
	return out;
}

/* Each was called back, once: how did they end? */
static void check_back(struct __test_metadata *_metadata, int fd,
		       unsigned int count, int status, unsigned int outcome)
{
	struct iotarget_test_query query = {};
	unsigned int i;

	for (i = 0; i < count; i++) {
		EXPECT_EQ(0, request_called_back(fd, i, 1, LONG_MS))
			TH_LOG("request %u", i);
		query = request_query(fd, i);
		EXPECT_EQ(1, query.callbacks);
		EXPECT_EQ(0, query.doubles);
		EXPECT_EQ(outcome, query.outcome)
			TH_LOG("request %u: status %d", i, query.status);
		/* Which error it is a device tells that goes is its affair. */
		EXPECT_TRUE(outcome == UNKNOWN ? query.status < 0 :
						 query.status == status)
			TH_LOG("request %u: status %d", i, query.status);
		EXPECT_EQ(status ? 0 : BLOCK, query.bytes);
	}
	printf("# the last of %u: status %d, outcome %u, %llu ms after the send\n",
	       count, query.status, query.outcome,
	       query.callback_ns / 1000000);
}

/* Those that were out at the pull: answered, or nobody can tell. */
static void check_out(struct __test_metadata *_metadata, int fd,
		      unsigned int count, bool asked)
{
	if (asked)
		check_back(_metadata, fd, count, 0, DONE);
	else
		check_back(_metadata, fd, count, -EIO, UNKNOWN);
}

/* A request that is made after that gets one answer, and at once. */
static void check_gone(struct __test_metadata *_metadata, int fd)
{
	struct iotarget_test_transfer out;

	EXPECT_EQ(-ENODEV, request_read(fd, 60, 0, BLOCK));
	EXPECT_EQ(-ENODEV, request_write(fd, 61, 0, BLOCK));
	EXPECT_EQ(-ENODEV, request_flush(fd, 62));
	EXPECT_EQ(-ENODEV, target_read(fd, 0, BLOCK, 1000, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
	EXPECT_EQ(-ENODEV, target_write(fd, 0, BLOCK, 1000, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
	EXPECT_EQ(-ENODEV, target_flush(fd, 1000, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
}

static void check_books(struct __test_metadata *_metadata,
			const struct iotarget_test_load_stop *b)
{
	load_show(b);
	EXPECT_LT(0, b->done);
	EXPECT_EQ(b->accepted, b->callbacks);
	EXPECT_EQ(b->callbacks, b->done + b->failed + b->never_sent +
				b->unknown);
	EXPECT_EQ(0, b->lost + b->doubles + b->uninvited);
	EXPECT_EQ(0, b->inconsistent);
	EXPECT_EQ(0, b->wrong_data);
	EXPECT_EQ(0, b->latched + b->expired);
	EXPECT_TRUE(!b->refused || b->last_refusal == -ENODEV);
}

static struct iotarget_test_load_start four_threads(void)
{
	return (struct iotarget_test_load_start){
		.threads = 4, .depth = 16, .write_percent = 30,
		.min_len = BLOCK, .max_len = 8 * BLOCK, .span = SPAN,
		.bits = IOTARGET_TEST_LOAD_VERIFY,
	};
}

/* What is reported done and flushed is there the next time. */
TEST_F_TIMEOUT(unplug, under_load_and_plugged_in_again, 60)
{
	struct iotarget_test_load_start load = four_threads();
	struct iotarget_test_transfer out;
	struct iotarget_test_load_stop books;
	struct iotarget_test_report report;
	unsigned long seq = self->disk.seq;
	char path[DEVICE_PATH];
	unsigned int i;

	snprintf(path, sizeof(path), "%s", self->disk.path);
	ASSERT_EQ(0, device_fill(self->disk.path, 0, SPAN, SEED));
	EXPECT_NE(0, device_wrong(self->disk.path, WRITTEN, PIECE, SEED));
	ASSERT_EQ(0, load_start(self->fd, &load));
	ASSERT_TRUE(load_runs(self->fd, 100));
	for (i = 0; i < NR_PIECES; i++) {
		ASSERT_EQ(0, target_write(self->other, WRITTEN + i * PIECE,
					  PIECE, LONG_MS, &out));
		EXPECT_EQ(DONE, out.outcome);
	}
	ASSERT_EQ(0, target_flush(self->other, LONG_MS, &out));
	EXPECT_EQ(DONE, out.outcome);

	ASSERT_EQ(0, pull(&self->disk, false));
	/* The owner's callbacks do nothing, so it stays open. */
	EXPECT_TRUE(becomes_state(self->fd, PURGED, slow(1000)));
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, &report));
	EXPECT_EQ(0, report.sent);
	EXPECT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, LONG_MS, NULL));
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	check_books(_metadata, &books);
	EXPECT_EQ(0, target_start(self->fd));
	check_gone(_metadata, self->fd);
	check_gone(_metadata, self->other);

	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, target_close(self->other, LONG_MS, NULL));
	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	EXPECT_TRUE(!seq || seq != self->disk.seq);
	ASSERT_EQ(0, target_open(self->other, self->disk.path, ACCESS_BOTH,
				 SHARE_BOTH));
	/* By its old path it is the new one, if that has taken the name. */
	EXPECT_EQ(strcmp(path, self->disk.path) ? -ENOENT : 0,
		  target_reopen(self->fd));
	for (i = 0; i < NR_PIECES; i++) {
		ASSERT_EQ(0, target_read(self->other, WRITTEN + i * PIECE,
					 PIECE, LONG_MS, &out));
		EXPECT_EQ(0, out.wrong) TH_LOG("piece %u", i);
	}
	EXPECT_EQ(0, device_wrong(self->disk.path, 0, SPAN, SEED));
}

/* What the device had and did not answer is unknown, and not "never sent". */
TEST_F_TIMEOUT(unplug, with_commands_in_flight, 60)
{
	struct iotarget_test_report report;
	struct iotarget_test_info info;
	unsigned int i;
	int ret;

	ASSERT_EQ(0, hold_up(&self->disk, variant->asked));
	ASSERT_EQ(0, send_some(self->fd, FLIGHT, variant->out));
	EXPECT_TRUE(disk_gets_busy(&self->disk));
	ASSERT_EQ(0, pull(&self->disk, variant->asked));
	if (variant->asked) {
		/*
		 * It is still there for them, though not for anybody else.  From
		 * 7.x it goes early, and then all come back at once.
		 */
		printf("# %u still out\n", still_out(self->fd, variant->out));
		ret = target_stop(self->fd, WAIT_FOR_SENT, 100, &report);
		EXPECT_TRUE(ret == -ETIMEDOUT || (!ret && !report.sent))
			TH_LOG("stop: %d", ret);
	}
	check_out(_metadata, self->fd, variant->out, variant->asked);
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, &report));
	EXPECT_EQ(0, report.sent);
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(0, info.sent);
	ASSERT_EQ(0, target_start(self->fd));
	check_gone(_metadata, self->fd);
	if (!variant->asked)
		return;
	/* What it said it had written, it had. */
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, target_close(self->other, LONG_MS, NULL));
	ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	for (i = 0; i < variant->out; i += 2)
		EXPECT_EQ(0, device_wrong(self->disk.path, FLIGHT + i * BLOCK,
					  BLOCK, SEED));
}

/* What the gate holds was never sent, and there is nowhere to send it. */
TEST_F_TIMEOUT(unplug, while_requests_are_held, 60)
{
	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, target_stop(self->other, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, send_some(self->fd, FLIGHT, NR_HELD));
	ASSERT_EQ(0, send_some(self->other, FLIGHT, NR_HELD));
	ASSERT_EQ(0, pull(&self->disk, false));
	check_back(_metadata, self->fd, NR_HELD, -ENODEV, NEVER_SENT);
	check_back(_metadata, self->other, NR_HELD, -ENODEV, NEVER_SENT);
	/* With the end of the removal it is purged once more. */
	EXPECT_TRUE(removal_completes(self->other, slow(GONE_MS)));
	EXPECT_TRUE(becomes_state(self->other, PURGED, slow(1000)));
	EXPECT_EQ(0, target_start_and_wait(self->other, LONG_MS, NULL));
	check_gone(_metadata, self->other);
}

struct waiter {
	int		fd;
	bool		closes;
	unsigned int	out;
	int		ret;
	pthread_t	thread;
};

static void *wait_for_sent(void *data)
{
	struct waiter *waiter = data;

	if (waiter->closes)
		waiter->ret = target_close(waiter->fd, LONG_MS, NULL);
	else
		waiter->ret = target_stop(waiter->fd, WAIT_FOR_SENT, LONG_MS,
					  NULL);
	return NULL;
}

/* The calls that wait for the device come back when it goes. */
TEST_F_TIMEOUT(unplug, during_a_stop_and_a_close, 60)
{
	const unsigned int out = variant->out > 1 ? variant->out / 2 : 1;
	struct waiter waiters[] = {
		{ .fd = self->other, .out = out, .closes = true },
		{ .fd = self->fd, .out = variant->out - out },
	};
	unsigned int i;

	ASSERT_EQ(0, hold_up(&self->disk, variant->asked));
	for (i = 0; i < ARRAY_SIZE(waiters); i++) {
		ASSERT_EQ(0, send_some(waiters[i].fd, FLIGHT, waiters[i].out));
		ASSERT_EQ(0, pthread_create(&waiters[i].thread, NULL,
					    wait_for_sent, &waiters[i]));
	}
	while (target_state(self->fd) != STOPPED ||
	       target_state(self->other) != CLOSED)
		sleep_ms(1);
	EXPECT_LT(0, still_out(self->other, out));
	ASSERT_EQ(0, pull(&self->disk, variant->asked));
	for (i = 0; i < ARRAY_SIZE(waiters); i++) {
		pthread_join(waiters[i].thread, NULL);
		EXPECT_EQ(0, waiters[i].ret);
		EXPECT_EQ(0, still_out(waiters[i].fd, waiters[i].out));
		check_out(_metadata, waiters[i].fd, waiters[i].out,
			  variant->asked);
	}
}

struct opener {
	const struct plugged	*disk;
	int			fd;
	atomic_uint		opened;
	atomic_int		ret;
	pthread_t		thread;
};

/* Open and close until it can't be opened any more. */
static void *open_and_close(void *data)
{
	struct opener *opener = data;
	int fd = opener->fd;

	do {
		opener->ret = target_close(fd, LONG_MS, NULL);
		if (opener->ret)
			return NULL;
		opener->ret = target_open(fd, opener->disk->path, ACCESS_BOTH,
					  SHARE_BOTH);
		opener->opened += !opener->ret;
	} while (!opener->ret);
	return NULL;
}

TEST_F_TIMEOUT(unplug, while_it_is_opened_and_closed, 60)
{
	struct opener openers[] = {
		{ .disk = &self->disk, .fd = self->fd },
		{ .disk = &self->disk, .fd = self->other },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(openers); i++)
		ASSERT_EQ(0, pthread_create(&openers[i].thread, NULL,
					    open_and_close, &openers[i]));
	while (!openers[0].ret && openers[0].opened < 2 &&
	       !openers[1].ret && openers[1].opened < 2)
		sleep_ms(1);
	ASSERT_EQ(0, pull(&self->disk, false));
	for (i = 0; i < ARRAY_SIZE(openers); i++) {
		pthread_join(openers[i].thread, NULL);
		printf("# opened %u times, then error %d\n",
		       openers[i].opened, openers[i].ret);
		EXPECT_TRUE(openers[i].ret == -ENXIO ||
			    openers[i].ret == -ENODEV ||
			    openers[i].ret == -ENOENT ||
			    openers[i].ret == -ENOMEDIUM);
		EXPECT_EQ(CLOSED, target_state(openers[i].fd));
	}
}

TEST_HARNESS_MAIN
