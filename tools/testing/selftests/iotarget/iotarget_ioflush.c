// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioflush, the stacked driver of the documentation, does what its page says: a
 * flush follows a write, one that failed is told, and it goes when it is asked to.
 */
#include "faulty.h"
#include "fixture.h"

#define NODE		"/dev/ioflush"
#define PARAMETER	"/sys/module/ioflush/parameters/device"
#define MODULE		"/modules/ioflush.ko"	/* in the virtual machine */
#define LOAD		"insmod " MODULE " seconds=1 || modprobe ioflush seconds=1"
#define BLOCK		4096
#define DISK		(64 * MIB)
#define DM		"iott_flush"
#define FLUSHED_MS	5000		/* a second, and what a slow kernel adds */

static const struct nullb cached = {
	.name = "iott_flush", .size_mb = 64, .cache_mb = 8,
};

/* What the module's parameter says to this path. */
static int device_is(const char *path)
{
	int fd = open(PARAMETER, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%s\n", path) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static long flushes(const char *path)
{
	unsigned long long stat[NR_STATS];

	return device_stat(path, stat) ? (long)stat[STAT_FLUSHES] : -1;
}

static bool flushed_since(const char *path, long before, unsigned int ms)
{
	uint64_t until = now_ms() + slow(ms);

	while (flushes(path) <= before) {
		if (now_ms() > until)
			return false;
		sleep_ms(10);
	}
	return true;
}

/* What is left of a disk goes a moment after its removal. */
static bool unloads(void)
{
	uint64_t until = now_ms() + slow(FLUSHED_MS);

	while (system("rmmod ioflush 2>/dev/null")) {
		if (now_ms() > until)
			return false;
		sleep_ms(20);
	}
	return true;
}

static int device_soon(const char *path)
{
	uint64_t until = now_ms() + slow(FLUSHED_MS);
	int ret;

	do {
		ret = device_is(path);
		if (ret != -EBUSY)
			return ret;
		sleep_ms(20);
	} while (now_ms() < until);
	return ret;
}

FIXTURE(ioflush) {
	char lower[DEVICE_PATH];
	char *data;
	int fd;
};

FIXTURE_SETUP(ioflush)
{
	self->fd = -1;
	if (access(MODULE, R_OK) && system("modprobe -qn ioflush"))
		SKIP(return, "the module ioflush is not here");
	ASSERT_EQ(0, system(LOAD));
	if (!got_device(self->lower, nullb_make(&cached)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, posix_memalign((void **)&self->data, BLOCK, BLOCK));
	memset(self->data, 0x5a, BLOCK);
}

FIXTURE_TEARDOWN(ioflush)
{
	int ret;

	if (self->fd >= 0)
		close(self->fd);
	ret = device_is("");
	EXPECT_TRUE(!ret || ret == -ENODEV) TH_LOG("removal: %d", ret);
	free(self->data);
	EXPECT_TRUE(unloads());
	dm_remove(DM);
}

/* Writes one block, and does not ask for a flush. */
static bool wrote(int fd, const char *data)
{
	return pwrite(fd, data, BLOCK, 0) == BLOCK;
}

TEST_F(ioflush, a_flush_follows_a_write)
{
	long before;

	ASSERT_EQ(0, device_is(self->lower));
	self->fd = open(NODE, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	before = flushes(self->lower);
	ASSERT_LE(0, before);
	ASSERT_EQ(BLOCK, pread(self->fd, self->data, BLOCK, 0));
	EXPECT_FALSE(flushed_since(self->lower, before, 1500));
	ASSERT_TRUE(wrote(self->fd, self->data));
	EXPECT_EQ(before, flushes(self->lower));
	EXPECT_TRUE(flushed_since(self->lower, before, FLUSHED_MS));
	/* Once for a write, and then there is nothing to be flushed. */
	before = flushes(self->lower);
	EXPECT_FALSE(flushed_since(self->lower, before, 1500));
}

TEST_F_TIMEOUT(ioflush, a_flush_that_failed_is_told_once, 60)
{
	char line[DEVICE_PATH], flakey[DEVICE_PATH + 40];
	const char *dm;
	int i;

	if (!dm_has("flakey"))
		SKIP(return, "the kernel has no dm-flakey");
	snprintf(line, sizeof(line), "%s 0", self->lower);
	dm = dm_make(DM, "linear", line, DISK);
	ASSERT_NE(NULL, dm);
	ASSERT_EQ(0, device_is(dm));
	self->fd = open(NODE, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_TRUE(wrote(self->fd, self->data));
	snprintf(flakey, sizeof(flakey), "%s 0 0 600 1 error_writes",
		 self->lower);
	ASSERT_EQ(0, dm_swap(DM, "flakey", flakey, DISK));
	/* Ours fails meanwhile, and nobody is there to hear of it. */
	sleep_ms(slow(3000));
	ASSERT_EQ(0, dm_swap(DM, "linear", line, DISK));
	EXPECT_EQ(-1, fsync(self->fd));
	EXPECT_EQ(EIO, errno);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, fsync(self->fd));
}

TEST_F(ioflush, refusals)
{
	EXPECT_EQ(-ENODEV, device_is(""));
	EXPECT_EQ(-ENOENT, device_is("/dev/none"));
	EXPECT_EQ(-ENOTBLK, device_is("/dev/null"));
	ASSERT_EQ(0, device_is(self->lower));
	EXPECT_EQ(-EBUSY, device_is(self->lower));
	self->fd = open(NODE, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(-EBUSY, device_is(""));
	ASSERT_TRUE(wrote(self->fd, self->data));
	close(self->fd);
	self->fd = -1;
	/* The work is still to come; it ends with the disk. */
	EXPECT_EQ(0, device_is(""));
	EXPECT_EQ(-1, access(NODE, F_OK));
	EXPECT_EQ(-ENODEV, device_is(""));
	ASSERT_EQ(0, device_soon(self->lower));
}

TEST_HARNESS_MAIN
