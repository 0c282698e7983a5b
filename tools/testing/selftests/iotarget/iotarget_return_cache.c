// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk that loses its power, and with it its cache, under a gate that waits for it: what
 * was said to be safe is found again, and that the rest may be lost is not hidden.  When it
 * is back, it may have another cache, and other limits.
 *
 * The disk is a null_blk, whose cache is really lost.  It would tell that it goes, and be
 * flushed; so there is another gate between, which is removed by force.  What a flush has
 * said to be safe is written down here, as an application would that keeps its log elsewhere.
 */
#include <linux/cdrom.h>
#include <linux/hdreg.h>
#include <sys/ioctl.h>

#include "fixture.h"
#include "gates.h"

#define GATE		GATE_PREFIX "cache"
#define BELOW		GATE_PREFIX "below"
#define BLOCK		4096
#define NR_BLOCKS	64
#define AREA		(2 * MIB)	/* of the blocks; no end of the disk */
#define EDGE		(64 << 10)
#define ROUNDS		12
#define MAX_WRITES	24
#define COME_MS		LONG_MS

static const struct nullb disk = { .name = "iott_lossy", .size_mb = 16, .cache_mb = 8 };

FIXTURE(cache) {
	char lower[DEVICE_PATH];
	char below[DEVICE_PATH];	/* the gate on it */
	char path[DEVICE_PATH];		/* the gate on that */
	int fd;				/* its disk */
	uint64_t *data;
	uint64_t version;
	uint64_t written[NR_BLOCKS];	/* last version of each block that was acknowledged */
	uint64_t safe[NR_BLOCKS];	/* and that was there when a flush began that succeeded */
};

FIXTURE_VARIANT(cache) {
	const char *lossy;
	int flush;			/* what it returns when something was lost */
};

FIXTURE_VARIANT_ADD(cache, told) { "0", -EIO };
FIXTURE_VARIANT_ADD(cache, accepted) { "1", 0 };

/* By which it is known again: a null_blk has no name of its own. */
static int fill_edges(const char *path, uint64_t *data)
{
	const uint64_t size = device_size(path);
	int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC), ret = 0;
	uint64_t pos;
	size_t i;

	if (fd < 0)
		return -errno;
	for (pos = 0; pos < 2 * EDGE && !ret; pos += BLOCK) {
		const uint64_t at = pos < EDGE ? pos : size - 2 * EDGE + pos;

		for (i = 0; i < BLOCK / 8; i++)
			data[i] = iotarget_test_word(SEED, at + 8 * i);
		if (pwrite(fd, data, BLOCK, at) != BLOCK)
			ret = -errno;
	}
	if (fsync(fd))
		ret = -errno;
	close(fd);
	return ret;
}

#define DISK FIXTURE_DATA(cache)

static void make_gates(struct __test_metadata *_metadata, DISK *self,
		       const char *lossy)
{
	gates_cleanup();
	ASSERT_EQ(0, posix_memalign((void **)&self->data, BLOCK, BLOCK));
	ASSERT_EQ(0, fill_edges(self->lower, self->data));
	ASSERT_EQ(0, gate_new(BELOW));
	ASSERT_EQ(0, gate_on(BELOW, self->lower, self->below));
	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_set(GATE, "hold_seconds", "60"));
	ASSERT_EQ(0, gate_set(GATE, "lossy", lossy));
	ASSERT_EQ(0, gate_on(GATE, self->below, self->path));
	self->fd = open(self->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

static void remove_gates(struct __test_metadata *_metadata, DISK *self)
{
	close(self->fd);
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_EQ(0, gate_remove(BELOW));
	EXPECT_EQ(0, nullb_remove(disk.name));
	gates_cleanup();
	free(self->data);
	ON_TIME();
}

FIXTURE_SETUP(cache)
{
	if (!gates_loaded())
		SKIP(return, "iogate is not loaded, or this is not root");
	if (!got_device(self->lower, nullb_make(&disk)))
		SKIP(return, "%s", device_reason());
	make_gates(_metadata, self, variant->lossy);
}

FIXTURE_TEARDOWN(cache)
{
	remove_gates(_metadata, self);
}

static int write_one(DISK *self)
{
	const unsigned int n = rand() % NR_BLOCKS;
	size_t i;

	self->version++;
	for (i = 0; i < BLOCK / 8; i++)
		self->data[i] = self->version;
	if (pwrite(self->fd, self->data, BLOCK, AREA + n * BLOCK) != BLOCK)
		return -errno;
	self->written[n] = self->version;
	return 0;
}

static int write_some(DISK *self, unsigned int count)
{
	int ret = 0;

	while (count-- && !ret)
		ret = write_one(self);
	return ret;
}

static int flush(DISK *self)
{
	uint64_t before[NR_BLOCKS];

	memcpy(before, self->written, sizeof(before));
	if (fsync(self->fd))
		return -errno;
	memcpy(self->safe, before, sizeof(before));
	return 0;
}

/* How many blocks have an older version than they may; and how many lost a newer one. */
static unsigned int look(DISK *self, unsigned int *lost)
{
	unsigned int n, wrong = 0;

	for (n = 0; n < NR_BLOCKS; n++) {
		if (pread(self->fd, self->data, BLOCK, AREA + n * BLOCK) != BLOCK)
			return NR_BLOCKS;
		wrong += self->data[0] < self->safe[n] ||
			 self->data[0] != self->data[BLOCK / 8 - 1];
		*lost += self->data[0] < self->written[n];
		self->written[n] = self->data[0];
	}
	return wrong;
}

static int open_again(DISK *self)
{
	close(self->fd);
	self->fd = open(self->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	return self->fd < 0 ? -errno : 0;
}

static void power_off(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, gate_remove(BELOW));
	ASSERT_TRUE(gate_is_away(GATE, true, slow(COME_MS)));
	ASSERT_EQ(0, nullb_power(disk.name, false));
}

static void power_on(struct __test_metadata *_metadata, DISK *self)
{
	ASSERT_EQ(0, nullb_power(disk.name, true));
	ASSERT_EQ(0, gate_new(BELOW));
	ASSERT_EQ(0, gate_on(BELOW, self->lower, self->below));
}

static void lose_power(struct __test_metadata *_metadata, DISK *self)
{
	power_off(_metadata);
	power_on(_metadata, self);
	ASSERT_TRUE(gate_is_away(GATE, false, slow(COME_MS)));
}

TEST_F_TIMEOUT(cache, what_is_said_to_be_safe_is, 120)
{
	unsigned int i, at_risk, lost = 0;
	struct gate_loss loss;

	srand(1);
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, write_some(self, 1 + rand() % MAX_WRITES));
		ASSERT_EQ(0, flush(self));
		/* Every fourth time nothing is at risk. */
		at_risk = i % 4 ? 1 + rand() % MAX_WRITES : 0;
		ASSERT_EQ(0, write_some(self, at_risk));
		ASSERT_TRUE(gate_loss(GATE, &loss));
		EXPECT_EQ(at_risk * BLOCK, loss.at_risk);

		lose_power(_metadata, self);
		ASSERT_TRUE(gate_loss(GATE, &loss));
		EXPECT_EQ(variant->flush ? at_risk * BLOCK : 0, loss.lost);
		EXPECT_EQ(0, look(self, &lost));
		EXPECT_EQ(at_risk ? variant->flush : 0, flush(self));
		/* It stays so for whoever has it open. */
		EXPECT_EQ(at_risk ? variant->flush : 0, flush(self));
		ASSERT_EQ(0, open_again(self));
		EXPECT_EQ(0, flush(self));
	}
	TH_LOG("%u versions of %u blocks were lost that nobody had been told were safe",
	       lost, NR_BLOCKS);
	EXPECT_LT(0, lost);
}

/* Those who look what is on a new disk ask it this and that, and write nothing. */
TEST_F_TIMEOUT(cache, what_is_only_read_is_no_loss, 60)
{
	struct hd_geometry geo;
	struct gate_loss loss;
	unsigned int lost = 0;

	EXPECT_EQ(0, look(self, &lost));
	EXPECT_NE(0, ioctl(self->fd, CDROM_GET_CAPABILITY, 0));
	ioctl(self->fd, HDIO_GETGEO, &geo);
	ASSERT_TRUE(gate_loss(GATE, &loss));
	EXPECT_EQ(0, loss.at_risk);
	lose_power(_metadata, self);
	EXPECT_EQ(0, flush(self));
	ASSERT_TRUE(gate_loss(GATE, &loss));
	EXPECT_EQ(0, loss.lost);
}

/* Who was not there when it was lost, and opens the disk alone, has lost nothing. */
TEST_F_TIMEOUT(cache, opened_while_it_is_away, 60)
{
	struct gate_loss loss;

	ASSERT_EQ(0, write_some(self, 1));
	ASSERT_TRUE(gate_loss(GATE, &loss));
	EXPECT_EQ(BLOCK, loss.at_risk);
	power_off(_metadata);
	ASSERT_EQ(0, open_again(self));
	power_on(_metadata, self);
	ASSERT_TRUE(gate_is_away(GATE, false, slow(COME_MS)));
	EXPECT_EQ(0, flush(self));
	ASSERT_TRUE(gate_loss(GATE, &loss));
	EXPECT_EQ(0, loss.lost);
}

/* -- what it says of itself ------------------------------------------------ */

#define SECTORS		256

static const struct nullb plain = { .name = "iott_lossy", .size_mb = 16, .max_sectors = SECTORS };

FIXTURE(limits) {
	DISK disk;
};

FIXTURE_SETUP(limits)
{
	if (!gates_loaded())
		SKIP(return, "iogate is not loaded, or this is not root");
	if (!got_device(self->disk.lower, nullb_make(&plain)))
		SKIP(return, "%s", device_reason());
	make_gates(_metadata, &self->disk, "0");
}

FIXTURE_TEARDOWN(limits)
{
	remove_gates(_metadata, &self->disk);
}

static bool becomes(const char *path, const char *attr, long value)
{
	const uint64_t until = now_ms() + slow(COME_MS);

	while (device_sysfs(path, attr) != value) {
		if (now_ms() > until)
			return false;
		sleep_ms(5);
	}
	return true;
}

/* Requests of another size are no reason to refuse it: the gate has its limits then. */
TEST_F_TIMEOUT(limits, are_those_of_the_device_that_is_back, 60)
{
	DISK *d = &self->disk;

	ASSERT_EQ(SECTORS / 2, device_sysfs(d->path, "queue/max_hw_sectors_kb"));
	power_off(_metadata);
	ASSERT_EQ(0, nullb_set(plain.name, "max_sectors", 2 * SECTORS));
	power_on(_metadata, d);
	EXPECT_TRUE(gate_is_away(GATE, false, slow(COME_MS)));
	EXPECT_TRUE(becomes(d->path, "queue/max_hw_sectors_kb", SECTORS));
	EXPECT_EQ(1, device_sysfs(d->path, "queue/iostats"));
	EXPECT_EQ(0, write_some(d, 1));
	EXPECT_EQ(0, flush(d));
}

/* To one that has no cache nobody sends a flush. */
TEST_F_TIMEOUT(limits, a_cache_that_was_not_there_is_refused, 60)
{
	DISK *d = &self->disk;
	int log = log_open();

	ASSERT_LE(0, log);
	power_off(_metadata);
	ASSERT_EQ(0, nullb_set(plain.name, "cache_size", 1));
	power_on(_metadata, d);
	EXPECT_TRUE(log_says(log, GATE, "another write cache", slow(COME_MS)));
	EXPECT_TRUE(gate_is_away(GATE, true, 0));
	power_off(_metadata);
	ASSERT_EQ(0, nullb_set(plain.name, "cache_size", 0));
	power_on(_metadata, d);
	EXPECT_TRUE(gate_is_away(GATE, false, slow(COME_MS)));
	close(log);
}

TEST_HARNESS_MAIN
