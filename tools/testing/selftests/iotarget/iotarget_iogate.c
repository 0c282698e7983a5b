// SPDX-License-Identifier: GPL-2.0-only
/*
 * iogate: made and removed, busy and by force; stopped, started and purged; what
 * it refuses.
 */
#include <endian.h>
#include <linux/blkpg.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "fixture.h"
#include "gates.h"
#include "host.h"
#include "nl.h"

#define GATE		GATE_PREFIX "a"
#define OTHER		GATE_PREFIX "b"
#define THIRD		GATE_PREFIX "c"
#define NO_GATES	"iogate is not loaded, or this is not root"
#define BLOCK		4096
#define NR		16

FIXTURE(gate) {
	char lower[DEVICE_PATH];
	char path[DEVICE_PATH];
	char *data;
	struct aio aio;
	struct nl nl;
};

FIXTURE_SETUP(gate)
{
	self->nl.fd = -1;
	if (!gates_loaded())
		SKIP(return, NO_GATES);
	gates_cleanup();
	if (!got_device(self->lower, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, posix_memalign((void **)&self->data, BLOCK, NR * BLOCK));
	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_on(GATE, self->lower, self->path));
	ASSERT_EQ(0, aio_begin(&self->aio, NR));
}

FIXTURE_TEARDOWN(gate)
{
	aio_end(&self->aio);
	if (self->nl.fd >= 0)
		nl_close(&self->nl);
	gate_remove(THIRD);
	gate_remove(OTHER);
	gate_remove(GATE);
	free(self->data);
	ON_TIME();
}

static int direct(const char *path)
{
	return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static bool link_between(const char *from, const char *kind, const char *to)
{
	char path[512];

	snprintf(path, sizeof(path), "/sys/block/%s/%s/%s", from + 5, kind,
		 to + 5);
	return !access(path, F_OK);
}

TEST_F(gate, f01_made_and_removed)
{
	char text[DEVICE_PATH];

	EXPECT_EQ(device_size(self->lower), device_size(self->path));
	EXPECT_TRUE(link_between(self->path, "slaves", self->lower));
	EXPECT_TRUE(link_between(self->lower, "holders", self->path));
	EXPECT_GT(0, open(self->lower, O_RDONLY | O_EXCL | O_CLOEXEC));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, gate_get(GATE, "device", text, sizeof(text)));
	EXPECT_STREQ(self->lower, text);
	EXPECT_EQ(1, gate_number(GATE, "power"));
	EXPECT_EQ(1, gate_number(GATE, "depth"));
	EXPECT_TRUE(gate_is(GATE, "started"));
	/* Dirty pages have a limit of their own (and since 6.2 it shows). */
	EXPECT_NE(0, device_sysfs(self->path, "bdi/strict_limit"));
	/* What is on stays on. */
	EXPECT_EQ(0, gate_set(GATE, "power", "1"));

	EXPECT_EQ(0, gate_off(GATE));
	EXPECT_TRUE(node_goes(self->path, LONG_MS));
	EXPECT_TRUE(gate_is(GATE, "off"));
	EXPECT_TRUE(device_becomes_free(self->lower));
	EXPECT_FALSE(link_between(self->lower, "holders", self->path));
	EXPECT_EQ(0, gate_set(GATE, "power", "0"));
	/* And again. */
	EXPECT_EQ(0, gate_set(GATE, "power", "1"));
	EXPECT_TRUE(gate_is(GATE, "started"));
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_TRUE(device_becomes_free(self->lower));
}

TEST_F(gate, data_is_that_of_the_device)
{
	int fd;

	ASSERT_EQ(0, device_fill(self->path, 0, 4 * MIB, SEED));
	EXPECT_EQ(0, device_wrong(self->lower, 0, 4 * MIB, SEED));
	EXPECT_EQ(0, device_wrong(self->path, 0, 4 * MIB, SEED));
	/* Through the page cache, not of whole blocks. */
	fd = open(self->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	memset(self->data, 0x5a, 3000);
	ASSERT_EQ(3000, pwrite(fd, self->data, 3000, 8 * MIB + 100));
	ASSERT_EQ(0, fsync(fd));
	close(fd);
	fd = direct(self->lower);
	ASSERT_LE(0, fd);
	ASSERT_EQ(BLOCK, pread(fd, self->data, BLOCK, 8 * MIB));
	EXPECT_EQ(0, self->data[99]);
	EXPECT_EQ(0x5a, self->data[100]);
	EXPECT_EQ(0x5a, self->data[3099]);
	EXPECT_EQ(0, self->data[3100]);
	close(fd);
}

TEST_F(gate, busy_while_open)
{
	int fd = open(self->path, O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, gate_set(GATE, "power", "0"));
	EXPECT_EQ(1, gate_number(GATE, "power"));
	EXPECT_EQ(BLOCK, pread(fd, self->data, BLOCK, 0));
	/* What the next power-on uses can't be changed either. */
	EXPECT_EQ(-EBUSY, gate_set(GATE, "device", self->lower));
	EXPECT_EQ(-EBUSY, gate_set(GATE, "read_only", "1"));
	close(fd);
	EXPECT_EQ(0, gate_off(GATE));
	EXPECT_EQ(0, gate_set(GATE, "read_only", "1"));
}

TEST_F(gate, f15_removed_by_force_while_open)
{
	long index = gate_number(GATE, "index");
	int fd = direct(self->path);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_TRUE(device_becomes_free(self->lower));
	/* A dead disk has no size: reading finds the end. */
	EXPECT_GE(0, pread(fd, self->data, BLOCK, 0));
	EXPECT_GT(0, pwrite(fd, self->data, BLOCK, 0));
	EXPECT_TRUE(node_goes(self->path, LONG_MS));
	/* The number is not given to another while somebody has it open. */
	ASSERT_EQ(0, gate_new(OTHER));
	EXPECT_NE(index, gate_number(OTHER, "index"));
	EXPECT_EQ(0, gate_on(OTHER, self->lower, self->path));
	EXPECT_GE(0, pread(fd, self->data, BLOCK, 0));
	EXPECT_EQ(0, gate_remove(OTHER));
	close(fd);
	ASSERT_EQ(0, gate_new(OTHER));
	EXPECT_EQ(index, gate_number(OTHER, "index"));
}

/* Writes of one block after the other: the last one stays. */
TEST_F(gate, stop_holds_and_start_drains_in_order)
{
	int64_t result[NR];
	uint64_t held, sent;
	int fd = direct(self->path);
	unsigned int i;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, gate_set(GATE, "state", "stop"));
	EXPECT_TRUE(gate_is(GATE, "stopped"));
	for (i = 0; i < NR; i++) {
		memset(self->data + i * BLOCK, i + 1, BLOCK);
		ASSERT_EQ(0, aio_send(&self->aio, fd, true,
				      self->data + i * BLOCK, BLOCK, 0));
	}
	EXPECT_EQ(0, aio_reap(&self->aio, 1, 200, result));
	ASSERT_TRUE(gate_inflight(GATE, &held, &sent));
	EXPECT_EQ(NR, held);
	EXPECT_EQ(0, sent);
	EXPECT_EQ(0, gate_set(GATE, "state", "start"));
	EXPECT_EQ(NR, aio_reap(&self->aio, NR, LONG_MS, result));
	for (i = 0; i < NR; i++)
		EXPECT_EQ(BLOCK, result[i]);
	ASSERT_EQ(BLOCK, pread(fd, self->data, BLOCK, 0));
	EXPECT_EQ(NR, self->data[0]);
	EXPECT_EQ(NR, self->data[BLOCK - 1]);
	EXPECT_TRUE(gate_is(GATE, "started"));
	close(fd);
}

TEST_F(gate, purge_fails_what_is_held_and_what_comes)
{
	int64_t result[NR] = { };
	int fd = direct(self->path);
	unsigned int i;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, gate_set(GATE, "state", "stop"));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(0, aio_send(&self->aio, fd, false,
				      self->data + i * BLOCK, BLOCK,
				      i * BLOCK));
	EXPECT_TRUE(gate_holds(GATE, NR, 0));
	EXPECT_EQ(0, gate_set(GATE, "state", "purge"));
	EXPECT_TRUE(gate_is(GATE, "purged"));
	EXPECT_EQ(NR, aio_reap(&self->aio, NR, LONG_MS, result));
	for (i = 0; i < NR; i++)
		EXPECT_EQ(-ENODEV, result[i]);
	EXPECT_EQ(-1, pread(fd, self->data, BLOCK, 0));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(0, gate_set(GATE, "state", "start"));
	EXPECT_EQ(BLOCK, pread(fd, self->data, BLOCK, 0));
	close(fd);
}

TEST_F(gate, who_must_not_wait_does_not)
{
	struct iovec vec = { self->data, BLOCK };
	int fd = direct(self->path);

	ASSERT_LE(0, fd);
	ASSERT_EQ(BLOCK, preadv2(fd, &vec, 1, 0, RWF_NOWAIT));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop"));
	EXPECT_EQ(-1, preadv2(fd, &vec, 1, 0, RWF_NOWAIT));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_TRUE(gate_holds(GATE, 0, 0));
	EXPECT_EQ(0, gate_set(GATE, "state", "start"));
	close(fd);
}

TEST_F(gate, a_stop_expires)
{
	int64_t result;
	int fd = direct(self->path);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, gate_set(GATE, "state", "stop 1"));
	ASSERT_EQ(0, aio_send(&self->aio, fd, false, self->data, BLOCK, 0));
	EXPECT_EQ(0, aio_reap(&self->aio, 1, 500, &result));
	EXPECT_EQ(1, aio_reap(&self->aio, 1, LONG_MS, &result));
	EXPECT_EQ(BLOCK, result);
	EXPECT_TRUE(gate_is(GATE, "started"));
	/* Not the one that was started and stopped anew. */
	ASSERT_EQ(0, gate_set(GATE, "state", "stop 1"));
	ASSERT_EQ(0, gate_set(GATE, "state", "start"));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	sleep_ms(1500);
	EXPECT_TRUE(gate_is(GATE, "stopped"));
	EXPECT_EQ(0, gate_set(GATE, "state", "start"));
	close(fd);
}

/* Stop, start or purge by netlink, for a time; 0: the default. */
static int by_netlink(struct nl *nl, uint8_t cmd, unsigned int ms)
{
	struct nl_event event;

	return nl_verb(nl, nl, cmd, GATE, ms, &event);
}

/* Is it like that in a while, and before? */
static bool gate_stays(const char *state, unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	do {
		if (!gate_is(GATE, state))
			return false;
		sleep_ms(50);
	} while (now_ms() < until);
	return true;
}

/* It comes back when the purge is over, and is over itself by then. */
TEST_F(gate, a_stop_expires_under_a_purge)
{
	ASSERT_EQ(0, nl_listen(&self->nl));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop 1"));
	ASSERT_EQ(0, by_netlink(&self->nl, IOTARGET_CMD_PURGE, 4000));
	EXPECT_TRUE(gate_stays("purged", 1800));
	EXPECT_TRUE(gate_becomes(GATE, "started", 10000));
	/* And one that lasts longer than the purge is there again. */
	ASSERT_EQ(0, gate_set(GATE, "state", "stop 6"));
	ASSERT_EQ(0, by_netlink(&self->nl, IOTARGET_CMD_PURGE, 1000));
	EXPECT_TRUE(gate_becomes(GATE, "stopped", 4500));
	EXPECT_TRUE(gate_becomes(GATE, "started", 10000));
}

TEST_F(gate, a_stop_does_not_end_another_ones)
{
	struct nl_target target;
	struct nl_msg msg;

	ASSERT_EQ(0, nl_listen(&self->nl));
	/* One that was ended, */
	ASSERT_EQ(0, gate_set(GATE, "state", "stop 1"));
	ASSERT_EQ(0, by_netlink(&self->nl, IOTARGET_CMD_START, 0));
	EXPECT_TRUE(gate_is(GATE, "started"));
	ASSERT_EQ(0, by_netlink(&self->nl, IOTARGET_CMD_STOP, 0));
	EXPECT_TRUE(gate_stays("stopped", 1800));
	/* and one that is in force beside it. */
	ASSERT_EQ(0, gate_set(GATE, "state", "start"));
	ASSERT_EQ(0, by_netlink(&self->nl, IOTARGET_CMD_STOP, 4000));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop 1"));
	nl_msg_init(&self->nl, &msg, IOTARGET_CMD_GET, 0);
	nl_put_text(&msg, IOTARGET_A_TARGET_NAME, GATE);
	ASSERT_EQ(0, nl_ask(&self->nl, &msg, NULL, &target));
	ASSERT_EQ(2, target.nr_stops);
	EXPECT_EQ(getpid(), target.stops[1].pid);
	EXPECT_STREQ("written to its state", target.stops[1].reason);
	EXPECT_TRUE(target.stops[1].expires);
	EXPECT_TRUE(gate_stays("stopped", 1800));
	EXPECT_TRUE(gate_becomes(GATE, "started", 10000));
}

/* "forever" is the last word until there is another one. */
TEST_F(gate, a_stop_takes_the_place_of_a_stop)
{
	ASSERT_EQ(0, gate_set(GATE, "state", "stop 1"));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	EXPECT_TRUE(gate_stays("stopped", 1500));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop 1"));
	EXPECT_TRUE(gate_becomes(GATE, "started", 10000));
	/* Taken away and made again, it does not remember. */
	ASSERT_EQ(0, gate_set(GATE, "state", "stop 1"));
	ASSERT_EQ(0, gate_off(GATE));
	ASSERT_EQ(0, gate_set(GATE, "power", "1"));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	EXPECT_TRUE(gate_stays("stopped", 1500));
	ASSERT_EQ(0, gate_set(GATE, "state", "start"));
}

TEST_F(gate, removed_by_force_while_stopped)
{
	int64_t result[NR] = { };
	int fd = direct(self->path);
	unsigned int i;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(0, aio_send(&self->aio, fd, i % 2,
				      self->data + i * BLOCK, BLOCK,
				      i * BLOCK));
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_EQ(NR, aio_reap(&self->aio, NR, LONG_MS, result));
	for (i = 0; i < NR; i++)
		EXPECT_EQ(-ENODEV, result[i]);
	EXPECT_TRUE(device_becomes_free(self->lower));
	close(fd);
}

/* The device below sits on what it has: nobody waits for that long. */
TEST_F(gate, removed_by_force_while_the_device_is_busy)
{
	int64_t result;
	char slow[DEVICE_PATH];
	int fd;

	if (!got_device(slow, nullb_make(&slow_disk)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, gate_new(OTHER));
	ASSERT_EQ(0, gate_on(OTHER, slow, self->path));
	fd = direct(self->path);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, aio_send(&self->aio, fd, true, self->data, BLOCK, 0));
	EXPECT_EQ(0, gate_remove(OTHER));
	/* It was sent, and is answered. */
	EXPECT_EQ(1, aio_reap(&self->aio, 1, LONG_MS, &result));
	EXPECT_EQ(BLOCK, result);
	EXPECT_TRUE(device_becomes_free(slow));
	close(fd);
}

/* A flush waits at the gate, too, and so does a discard. */
static void *sync_it(void *fd)
{
	return (void *)(long)(fsync(*(int *)fd) ? errno : 0);
}

static void *discard_it(void *fd)
{
	uint64_t range[2] = { 2 * MIB, MIB };

	return (void *)(long)(ioctl(*(int *)fd, BLKDISCARD, range) ? errno : 0);
}

TEST_F(gate, flush_and_discard_are_held_too)
{
	static const struct nullb full = {
		.name = "iott_full", .size_mb = 64, .cache_mb = 4,
		.discard = true,
	};
	pthread_t syncer, discarder;
	char lower[DEVICE_PATH];
	uint64_t held, sent;
	void *error;
	int fd;

	if (!got_device(lower, nullb_make(&full)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, gate_new(OTHER));
	ASSERT_EQ(0, gate_on(OTHER, lower, self->path));
	ASSERT_EQ(0, device_fill(self->path, 0, 4 * MIB, SEED));
	fd = open(self->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, gate_set(OTHER, "state", "stop"));
	ASSERT_EQ(0, pthread_create(&syncer, NULL, sync_it, &fd));
	EXPECT_TRUE(gate_holds(OTHER, 1, LONG_MS));
	ASSERT_EQ(0, pthread_create(&discarder, NULL, discard_it, &fd));
	EXPECT_TRUE(gate_holds(OTHER, 2, LONG_MS));
	sleep_ms(100);
	ASSERT_TRUE(gate_inflight(OTHER, &held, &sent));
	EXPECT_EQ(2, held);
	EXPECT_EQ(0, device_wrong(lower, 0, 4 * MIB, SEED));
	ASSERT_EQ(0, gate_set(OTHER, "state", "start"));
	ASSERT_EQ(0, pthread_join(syncer, &error));
	EXPECT_EQ(NULL, error);
	ASSERT_EQ(0, pthread_join(discarder, &error));
	EXPECT_EQ(NULL, error);
	close(fd);
	/* What was discarded reads as zeroes, and nothing else. */
	EXPECT_EQ(0, device_wrong(self->path, 0, 2 * MIB, SEED));
	EXPECT_EQ(MIB / 8, device_wrong(self->path, 2 * MIB, MIB, SEED));
	EXPECT_EQ(0, device_wrong(self->path, 3 * MIB, MIB, SEED));
}

/* -- what it refuses -------------------------------------------------------- */

static int made(const char *name)
{
	int ret = gate_new(name);

	if (!ret)
		gate_remove(name);
	return ret;
}

TEST_F(gate, names)
{
	EXPECT_EQ(-EEXIST, gate_new(GATE));
	EXPECT_EQ(0, made("iott-67890123456789012345678901"));
	EXPECT_EQ(-ENAMETOOLONG, made("iott-678901234567890123456789012"));
	EXPECT_EQ(-EINVAL, made("Iott"));
	EXPECT_EQ(-EINVAL, made("iott.x"));
	EXPECT_EQ(-EINVAL, made("iott x"));
}

TEST_F(gate, stores_refuse_what_they_do_not_know)
{
	static const char * const states[] = {
		"stopp", "stop x", "stop -1", "start now", "STOP", "sto",
		"stop5", "stopforever", "stop forever 1",
	};
	char longest[4096];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(states); i++)
		EXPECT_EQ(-EINVAL, gate_set(GATE, "state", states[i]))
			TH_LOG("number %u", i);
	EXPECT_EQ(-ERANGE, gate_set(GATE, "state", "stop 0"));
	EXPECT_EQ(-ERANGE, gate_set(GATE, "state", "stop 86401"));
	EXPECT_TRUE(gate_is(GATE, "started"));
	EXPECT_EQ(-EINVAL, gate_set(GATE, "power", "2x"));
	EXPECT_EQ(-EACCES, gate_set(GATE, "index", "1"));
	ASSERT_EQ(0, gate_new(OTHER));
	EXPECT_EQ(-EINVAL, gate_set(OTHER, "power", "1"));
	EXPECT_EQ(-ENXIO, gate_set(OTHER, "state", "stop"));
	EXPECT_EQ(-EINVAL, gate_set(OTHER, "device", "relative"));
	EXPECT_EQ(-EINVAL, gate_set(OTHER, "device", " "));
	EXPECT_EQ(-EINVAL, gate_set(OTHER, "read_only", "perhaps"));
	memset(longest, '/', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	EXPECT_EQ(0, gate_set(OTHER, "device", longest));
}

struct look {
	bool		over;
	unsigned int	seen;
};

static void *look_at_it(void *arg)
{
	struct look *look = arg;
	uint64_t held, sent;

	while (!__atomic_load_n(&look->over, __ATOMIC_RELAXED))
		look->seen += gate_inflight(GATE, &held, &sent) &&
			      gate_number(GATE, "depth") == 1;
	return NULL;
}

/* Who looks is in nobody's way. */
TEST_F(gate, stores_while_somebody_looks)
{
	unsigned int i, refused = 0, rounds = cycles() * 20;
	struct look look[2] = { };
	pthread_t thread[2];

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, look_at_it,
					    &look[i]));
	for (i = 0; i < rounds; i++)
		refused += gate_set(GATE, "state", i & 1 ? "start" : "stop") != 0;
	for (i = 0; i < 2; i++) {
		__atomic_store_n(&look[i].over, true, __ATOMIC_RELAXED);
		pthread_join(thread[i], NULL);
		EXPECT_LT(0, look[i].seen);
	}
	EXPECT_EQ(0, refused);
	TH_LOG("%u stores, %u and %u looks", rounds, look[0].seen, look[1].seen);
}

/* Blanks around a path are not part of it. */
TEST_F(gate, a_path_in_blanks)
{
	char text[DEVICE_PATH + 8], path[DEVICE_PATH];

	ASSERT_EQ(0, gate_off(GATE));
	snprintf(text, sizeof(text), " \t%s \t", self->lower);
	ASSERT_EQ(0, gate_on(GATE, text, path));
	EXPECT_EQ(0, gate_get(GATE, "device", text, sizeof(text)));
	EXPECT_STREQ(self->lower, text);
}

static int tried(const char *device)
{
	char path[DEVICE_PATH];
	int ret;

	gate_new(OTHER);
	ret = gate_on(OTHER, device, path);
	if (!ret)
		gate_off(OTHER);
	return ret;
}

TEST_F(gate, lower_devices_it_refuses)
{
	char text[DEVICE_PATH];
	int fd;

	EXPECT_EQ(-ENOENT, tried("/dev/no-such-device"));
	EXPECT_EQ(-ENOTDIR, tried("/dev/null/x"));
	EXPECT_EQ(-ENOTBLK, tried("/dev/null"));
	EXPECT_EQ(-ENOTBLK, tried("/tmp"));
	/* The same device twice. */
	EXPECT_EQ(-EBUSY, tried(self->lower));
	/* Its own disk, which is not there before. */
	ASSERT_EQ(0, gate_new(THIRD));
	snprintf(text, sizeof(text), "/dev/iogate%ld",
		 gate_number(THIRD, "index"));
	EXPECT_EQ(-ENOENT, gate_on(THIRD, text, text));
	EXPECT_EQ(0, gate_remove(THIRD));
	/* Claimed by somebody else. */
	EXPECT_EQ(0, gate_off(GATE));
	fd = open(self->lower, O_RDONLY | O_EXCL | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, gate_set(GATE, "power", "1"));
	EXPECT_TRUE(gate_is(GATE, "off"));
	close(fd);
	EXPECT_EQ(0, gate_set(GATE, "power", "1"));
}

TEST_F(gate, a_zoned_device)
{
	static const struct nullb zones = {
		.name = "iott_zones", .size_mb = 64, .zoned = true,
	};
	char lower[DEVICE_PATH];
	int log = log_open();

	if (!got_device(lower, nullb_make(&zones)))
		SKIP(return, "%s", device_reason());
	EXPECT_EQ(-EOPNOTSUPP, tried(lower));
	EXPECT_EQ(1, log_count(log, "iogate", "is zoned"));
	close(log);
	EXPECT_TRUE(device_becomes_free(lower));
	EXPECT_EQ(0, nullb_remove(zones.name));
}

/* Refused, or taken as if it had not been asked for: never hanging. */
TEST_F(gate, polled_reads)
{
	struct iovec vec = { self->data, BLOCK };
	ssize_t ret;
	int fd = direct(self->path);

	ASSERT_LE(0, fd);
	ret = preadv2(fd, &vec, 1, 0, RWF_HIPRI);
	EXPECT_TRUE(ret == BLOCK || errno == EOPNOTSUPP)
		TH_LOG("%s", strerror(errno));
	EXPECT_EQ(0, device_sysfs(self->path, "queue/io_poll"));
	close(fd);
}

TEST_F(gate, an_empty_device)
{
	char empty[DEVICE_PATH];
	int ret;

	if (!got_device(empty, loop_empty()))
		SKIP(return, "%s", device_reason());
	ret = tried(empty);
	/* 6.1 opens it, and finds nothing. */
	EXPECT_TRUE(ret == -ENXIO || ret == -ENOMEDIUM)
		TH_LOG("%d", ret);
}

TEST_F(gate, a_mounted_device)
{
	char where[] = "/tmp/iotarget-gate-XXXXXX";
	int ret;

	ASSERT_EQ(0, gate_off(GATE));
	ASSERT_NE(NULL, mkdtemp(where));
	ASSERT_EQ(0, device_ext2(self->lower));
	if (mount(self->lower, where, "ext4", MS_RDONLY, NULL)) {
		ret = errno;
		rmdir(where);
		SKIP(return, "cannot mount ext4: %s", strerror(ret));
	}
	EXPECT_EQ(-EBUSY, gate_set(GATE, "power", "1"));
	EXPECT_EQ(0, umount(where));
	EXPECT_EQ(0, gate_set(GATE, "power", "1"));
	EXPECT_TRUE(node_appears(self->path, LONG_MS));
	/* And the other way round; a file system on a gate is a user of it. */
	EXPECT_EQ(0, mount(self->path, where, "ext4", 0, NULL));
	EXPECT_EQ(-EBUSY, gate_set(GATE, "power", "0"));
	EXPECT_EQ(0, umount(where));
	EXPECT_EQ(0, gate_off(GATE));
	rmdir(where);
}

TEST_F(gate, a_read_only_device)
{
	char path[DEVICE_PATH];
	int fd, zero = 0;

	ASSERT_EQ(0, gate_off(GATE));
	ASSERT_EQ(0, device_read_only(self->lower, true));
	EXPECT_EQ(-EACCES, gate_set(GATE, "power", "1"));
	ASSERT_EQ(0, gate_set(GATE, "read_only", "1"));
	EXPECT_EQ(0, gate_on(GATE, self->lower, path));
	EXPECT_EQ(1, device_sysfs(path, "ro"));
	EXPECT_GT(0, open(path, O_RDWR | O_CLOEXEC));
	EXPECT_EQ(EROFS, errno);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, ioctl(fd, BLKROSET, &zero));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(BLOCK, pread(fd, self->data, BLOCK, 0));
	close(fd);
	EXPECT_EQ(0, gate_off(GATE));
	EXPECT_EQ(0, device_read_only(self->lower, false));
}

/* The disk follows the device, and comes back when somebody says so. */
TEST_F(gate, read_only_and_back)
{
	int fd, zero = 0, one = 1;

	ASSERT_EQ(0, device_read_only(self->lower, true));
	EXPECT_GT(0, open(self->path, O_RDWR | O_CLOEXEC));
	EXPECT_EQ(EROFS, errno);
	fd = open(self->path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, device_sysfs(self->path, "ro"));
	EXPECT_EQ(-1, ioctl(fd, BLKROSET, &zero));
	EXPECT_EQ(EACCES, errno);
	ASSERT_EQ(0, device_read_only(self->lower, false));
	EXPECT_EQ(1, device_sysfs(self->path, "ro"));
	EXPECT_EQ(0, ioctl(fd, BLKROSET, &zero));
	EXPECT_EQ(0, device_sysfs(self->path, "ro"));
	close(fd);
	EXPECT_EQ(0, device_fill(self->path, 0, MIB, SEED));
	/* And by hand alone. */
	fd = open(self->path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, ioctl(fd, BLKROSET, &one));
	EXPECT_EQ(1, device_sysfs(self->path, "ro"));
	EXPECT_EQ(0, ioctl(fd, BLKROSET, &zero));
	EXPECT_EQ(0, device_sysfs(self->path, "ro"));
	close(fd);
}

TEST_F(gate, two_readers_may_share)
{
	char path[DEVICE_PATH];

	ASSERT_EQ(0, gate_off(GATE));
	ASSERT_EQ(0, gate_new(OTHER));
	ASSERT_EQ(0, gate_set(GATE, "share_read", "1"));
	ASSERT_EQ(0, gate_set(GATE, "read_only", "1"));
	ASSERT_EQ(0, gate_set(OTHER, "share_read", "1"));
	ASSERT_EQ(0, gate_on(GATE, self->lower, path));
	EXPECT_EQ(-EBUSY, gate_on(OTHER, self->lower, path));
	ASSERT_EQ(0, gate_set(OTHER, "read_only", "1"));
	EXPECT_EQ(0, gate_on(OTHER, self->lower, path));
	EXPECT_EQ(0, device_fill(self->lower, 0, MIB, SEED));
	EXPECT_EQ(0, device_wrong(path, 0, MIB, SEED));
	EXPECT_EQ(0, gate_off(OTHER));
	EXPECT_EQ(0, device_wrong(self->path, 0, MIB, SEED));
}

static int without_privilege(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return 1;
	data[0].effective &= ~(1U << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &head, data))
		return 2;
	if (gate_set(GATE, "state", "stop") != -EPERM)
		return 3;
	if (gate_set(GATE, "power", "0") != -EPERM)
		return 4;
	if (gate_set(GATE, "device", "/dev/null") != -EPERM)
		return 5;
	return gate_new(OTHER) != -EPERM ? 6 : 0;
}

TEST_F(gate, only_the_administrator)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(without_privilege());
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_TRUE(gate_is(GATE, "started"));
}

static int add_partition(const char *path)
{
	struct blkpg_partition part = {
		.start = MIB, .length = 4 * MIB, .pno = 1,
	};
	struct blkpg_ioctl_arg arg = {
		.op = BLKPG_ADD_PARTITION, .datalen = sizeof(part),
		.data = &part,
	};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = ioctl(fd, BLKPG, &arg) ? -errno : 0;
	close(fd);
	return ret;
}

TEST_F(gate, partitions_only_if_asked_for)
{
	char part[DEVICE_PATH + 2];

	EXPECT_EQ(-EINVAL, add_partition(self->path));
	ASSERT_EQ(0, gate_off(GATE));
	ASSERT_EQ(0, gate_set(GATE, "partitions", "1"));
	ASSERT_EQ(0, gate_on(GATE, self->lower, self->path));
	EXPECT_EQ(0, add_partition(self->path));
	snprintf(part, sizeof(part), "%sp1", self->path);
	ASSERT_TRUE(node_appears(part, LONG_MS));
	EXPECT_EQ(0, device_fill(part, 0, MIB, SEED + 1));
	EXPECT_EQ(0, device_fill(self->path, 0, MIB, SEED));
	EXPECT_EQ(0, device_wrong(part, 0, MIB, SEED + 1));
	EXPECT_EQ(0, gate_off(GATE));
}

/* One partition of 4 MiB, in a table as the BIOS knows it. */
static int write_table(const char *path, char *block)
{
	uint32_t first = htole32(MIB / SECTOR), length = htole32(4 * MIB / SECTOR);
	int fd = direct(path);
	ssize_t n;

	memset(block, 0, BLOCK);
	block[446 + 4] = (char)0x83;
	memcpy(block + 446 + 8, &first, 4);
	memcpy(block + 446 + 12, &length, 4);
	block[510] = 0x55;
	block[511] = (char)0xaa;
	n = pwrite(fd, block, BLOCK, 0);
	close(fd);
	return n == BLOCK ? 0 : -errno;
}

/* A kernel that looks for mistakes may take longer than a second to read a table. */
static bool bound_is_short(void)
{
	return slow(1) == 1;
}

/* The node of a partition is there a moment before it can be opened. */
static bool partition_comes(const char *part)
{
	uint64_t until = now_ms() + LONG_MS;

	while (device_size(part) != 4 * MIB && now_ms() < until)
		sleep_ms(20);
	return device_size(part) == 4 * MIB;
}

/*
 * The table is read through a gate that is stopped.  Making the disk does not wait
 * for that, nor does anybody who asks, nor taking it away by force.
 */
TEST_F(gate, partitions_when_the_device_takes_its_time)
{
	char upper[DEVICE_PATH], part[DEVICE_PATH + 2];

	ASSERT_EQ(0, write_table(self->path, self->data));
	ASSERT_EQ(0, gate_new(OTHER));
	ASSERT_EQ(0, gate_set(OTHER, "partitions", "1"));
	/* As long as it does not, they are there when the store returns. */
	ASSERT_EQ(0, gate_on(OTHER, self->path, upper));
	snprintf(part, sizeof(part), "%sp1", upper);
	if (bound_is_short())
		EXPECT_EQ(4 * MIB, device_size(part));
	EXPECT_TRUE(partition_comes(part));
	ASSERT_EQ(0, gate_off(OTHER));
	EXPECT_TRUE(node_goes(part, LONG_MS));

	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	ASSERT_EQ(0, gate_on(OTHER, self->path, upper));
	EXPECT_TRUE(gate_holds(GATE, 1, LONG_MS));
	EXPECT_EQ(1, gate_number(OTHER, "power"));
	EXPECT_EQ(2, gate_number(OTHER, "depth"));
	EXPECT_EQ(-EBUSY, gate_set(OTHER, "power", "0"));
	EXPECT_TRUE(access(part, F_OK));
	ASSERT_EQ(0, gate_set(GATE, "state", "start"));
	EXPECT_TRUE(partition_comes(part));
	ASSERT_EQ(0, gate_off(OTHER));
	EXPECT_TRUE(node_goes(part, LONG_MS));

	/* By force, while it still is being read. */
	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	ASSERT_EQ(0, gate_on(OTHER, self->path, upper));
	EXPECT_TRUE(gate_holds(GATE, 1, LONG_MS));
	EXPECT_EQ(0, gate_remove(OTHER));
	ASSERT_EQ(0, gate_set(GATE, "state", "start"));
	EXPECT_TRUE(node_goes(upper, LONG_MS));
	EXPECT_TRUE(device_becomes_free(self->path));
	EXPECT_EQ(0, device_fill(self->path, 0, MIB, SEED));
}

/* A disk whose table is being read can't be opened: that is waited for, and no more. */
TEST_F(gate, power_on_when_the_device_does_not_open)
{
	char upper[DEVICE_PATH], path[DEVICE_PATH];

	ASSERT_EQ(0, gate_new(OTHER));
	ASSERT_EQ(0, gate_new(THIRD));
	ASSERT_EQ(0, gate_set(OTHER, "partitions", "1"));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	ASSERT_EQ(0, gate_on(OTHER, self->path, upper));
	EXPECT_TRUE(gate_holds(GATE, 1, LONG_MS));
	EXPECT_EQ(-ETIMEDOUT, gate_on(THIRD, upper, path));
	EXPECT_TRUE(gate_is(THIRD, "off"));
	ASSERT_EQ(0, gate_set(GATE, "state", "start"));
	/* What was opened too late is closed again. */
	EXPECT_TRUE(device_becomes_free(upper));
	EXPECT_EQ(0, gate_set(THIRD, "power", "1"));
	EXPECT_EQ(3, gate_number(THIRD, "depth"));
	EXPECT_EQ(0, gate_off(THIRD));
	EXPECT_EQ(0, gate_off(OTHER));
}

TEST_HARNESS_MAIN
