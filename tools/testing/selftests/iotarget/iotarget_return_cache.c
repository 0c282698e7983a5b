// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk that loses its power, and with it its cache, under a gate that waits for it: what
 * was said to be safe is found again, and that the rest may be lost is not hidden.
 *
 * The disk is a null_blk, whose cache is really lost.  It would tell that it goes, and be
 * flushed; so there is another gate between, which is removed by force.  What a flush has
 * said to be safe is written down here, as an application would that keeps its log elsewhere.
 */
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

FIXTURE_SETUP(cache)
{
	if (!gates_loaded())
		SKIP(return, "iogate is not loaded, or this is not root");
	if (!got_device(self->lower, nullb_make(&disk)))
		SKIP(return, "%s", device_reason());
	gates_cleanup();
	ASSERT_EQ(0, posix_memalign((void **)&self->data, BLOCK, BLOCK));
	ASSERT_EQ(0, fill_edges(self->lower, self->data));
	ASSERT_EQ(0, gate_new(BELOW));
	ASSERT_EQ(0, gate_on(BELOW, self->lower, self->below));
	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_set(GATE, "hold_seconds", "60"));
	ASSERT_EQ(0, gate_set(GATE, "lossy", variant->lossy));
	ASSERT_EQ(0, gate_on(GATE, self->below, self->path));
	self->fd = open(self->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(cache)
{
	close(self->fd);
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_EQ(0, gate_remove(BELOW));
	EXPECT_EQ(0, nullb_remove(disk.name));
	gates_cleanup();
	free(self->data);
	ON_TIME();
}

#define DISK FIXTURE_DATA(cache)

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

static void lose_power(struct __test_metadata *_metadata, DISK *self)
{
	ASSERT_EQ(0, gate_remove(BELOW));
	ASSERT_TRUE(gate_is_away(GATE, true, slow(COME_MS)));
	ASSERT_EQ(0, nullb_power(disk.name, false));
	ASSERT_EQ(0, nullb_power(disk.name, true));
	ASSERT_EQ(0, gate_new(BELOW));
	ASSERT_EQ(0, gate_on(BELOW, self->lower, self->below));
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

TEST_HARNESS_MAIN
