// SPDX-License-Identifier: GPL-2.0-only
/*
 * iogate over devices of every kind, and over other gates: limits, statistics,
 * what is passed down beside bios, and the stack that all of it takes.
 */
#include <dirent.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <linux/loop.h>
#include <scsi/scsi.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/capability.h>

#include "faulty.h"
#include "fixture.h"
#include "gates.h"
#include "host.h"

#define GATE		GATE_PREFIX "a"
#define NO_GATES	"iogate is not loaded, or this is not root"
#define BLOCK		4096
#define DEPTH		8		/* IOTARGET_DISK_MAX_DEPTH */
#define TRACING		"/sys/kernel/debug/tracing/"

static const struct nullb full_disk = {
	.name = "iott_full", .size_mb = 64, .blocksize = 4096, .cache_mb = 4,
	.discard = true,
};

FIXTURE(stack) {
	char lower[DEVICE_PATH];
	char path[DEVICE_PATH];
	char *data;
};

FIXTURE_SETUP(stack)
{
	if (!gates_loaded())
		SKIP(return, NO_GATES);
	gates_cleanup();
	if (!got_device(self->lower, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, posix_memalign((void **)&self->data, BLOCK, MIB));
	ASSERT_EQ(0, gate_new(GATE));
}

FIXTURE_TEARDOWN(stack)
{
	gates_cleanup();
	free(self->data);
	ON_TIME();
}

/* -- kinds of devices -------------------------------------------------------- */

/* Written and read through the gate, and seen below it.  The device is spoilt. */
static void try_device(struct __test_metadata *_metadata, const char *lower)
{
	char path[DEVICE_PATH];
	int64_t size = device_size(lower);
	uint64_t len = size < 4 * MIB ? size : 4 * MIB;

	ASSERT_LT(0, size);
	ASSERT_EQ(0, gate_on(GATE, lower, path))
		TH_LOG("%s", lower);
	EXPECT_EQ(size, device_size(path));
	EXPECT_EQ(0, device_fill(path, size - len, len, SEED + size));
	EXPECT_EQ(0, device_wrong(lower, size - len, len, SEED + size));
	EXPECT_EQ(0, device_wrong(path, size - len, len, SEED + size));
	EXPECT_EQ(0, gate_set(GATE, "state", "stop"));
	EXPECT_EQ(0, gate_set(GATE, "state", "start"));
	EXPECT_EQ(0, device_wrong(path, size - len, len, SEED + size));
	EXPECT_EQ(0, gate_off(GATE));
}

TEST_F(stack, over_ram)
{
	const char *disk = brd_disk();

	if (!disk)
		SKIP(return, "%s", device_reason());
	try_device(_metadata, disk);
}

TEST_F(stack, over_scsi)
{
	const char *disk = scsi_debug_disk();

	if (!disk)
		SKIP(return, "%s", device_reason());
	try_device(_metadata, disk);
}

TEST_F(stack, over_loop)
{
	const char *disk = loop_disk(8, false);

	if (!disk)
		SKIP(return, "%s", device_reason());
	try_device(_metadata, disk);
	loop_remove();
}

TEST_F(stack, over_a_partition)
{
	char part[DEVICE_PATH];

	if (!got_device(part, partition_make(self->lower, 1, MIB, 4 * MIB)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, device_fill(self->lower, 0, MIB, SEED));
	ASSERT_EQ(0, device_fill(self->lower, 5 * MIB, MIB, SEED));
	try_device(_metadata, part);
	EXPECT_EQ(0, device_wrong(self->lower, 0, MIB, SEED));
	EXPECT_EQ(0, device_wrong(self->lower, 5 * MIB, MIB, SEED));
	EXPECT_EQ(0, partition_remove(self->lower, 1));
}

static ssize_t direct_read(const char *path, void *data, size_t len, off_t pos)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t ret = pread(fd, data, len, pos);

	close(fd);
	return ret;
}

static ssize_t direct_write(const char *path, void *data, size_t len, off_t pos)
{
	int fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	ssize_t ret = pwrite(fd, data, len, pos);

	close(fd);
	return ret;
}

TEST_F(stack, over_device_mapper)
{
	char params[DEVICE_PATH + 8];
	const char *disk;

	snprintf(params, sizeof(params), "%s 2048", self->lower);
	disk = dm_make("iott-linear", "linear", params, 8 * MIB);
	if (!disk)
		SKIP(return, "no dm-linear: %s", strerror(errno));
	try_device(_metadata, disk);
	EXPECT_TRUE(dm_unused("iott-linear", LONG_MS));
	EXPECT_EQ(0, dm_remove("iott-linear"));
}

TEST_F(stack, under_device_mapper)
{
	char params[DEVICE_PATH + 8];
	const char *disk;

	ASSERT_EQ(0, gate_on(GATE, self->lower, self->path));
	snprintf(params, sizeof(params), "%s 2048", self->path);
	disk = dm_make("iott-linear", "linear", params, 8 * MIB);
	if (!disk)
		SKIP(return, "no dm-linear: %s", strerror(errno));
	EXPECT_EQ(0, device_fill(disk, 0, MIB, SEED));
	EXPECT_EQ(0, device_wrong(disk, 0, MIB, SEED));
	memset(self->data, 0x42, BLOCK);
	EXPECT_EQ(BLOCK, direct_write(disk, self->data, BLOCK, 0));
	memset(self->data, 0, BLOCK);
	EXPECT_EQ(BLOCK, direct_read(self->lower, self->data, BLOCK, MIB));
	EXPECT_EQ(0x42, self->data[0]);
	EXPECT_EQ(0x42, self->data[BLOCK - 1]);
	EXPECT_EQ(-EBUSY, gate_set(GATE, "power", "0"));
	EXPECT_EQ(0, dm_remove("iott-linear"));
	EXPECT_EQ(0, gate_off(GATE));
}

TEST_F_TIMEOUT(stack, over_nvme, 120)
{
	try_plugged(_metadata, try_device, "nvme0");
}

TEST_F_TIMEOUT(stack, over_a_usb_stick, 120)
{
	try_plugged(_metadata, try_device, "usb1");
}

/* -- limits and statistics --------------------------------------------------- */

static const char * const same_limits[] = {
	"logical_block_size", "physical_block_size", "minimum_io_size",
	"optimal_io_size", "max_hw_sectors_kb", "max_segments",
	"max_segment_size", "discard_granularity", "discard_max_hw_bytes",
	"discard_max_bytes", "write_zeroes_max_bytes", "write_same_max_bytes",
	"rotational", "fua", "stable_writes", "dma_alignment", "zone_append_max_bytes",
	"virt_boundary_mask", "atomic_write_max_bytes",
};

static bool queue_text(const char *path, const char *attr, char *text, size_t size)
{
	char file[256];
	FILE *f;

	snprintf(file, sizeof(file), "/sys/block/%s/queue/%s", path + 5, attr);
	f = fopen(file, "re");
	if (!f)
		return false;
	if (!fgets(text, size, f))
		*text = '\0';
	fclose(f);
	return true;
}

/* How many attributes of the queue differ; those it tells. */
static int differences(const char *upper, const char *lower)
{
	char up[64], low[64];
	unsigned int i, seen = 0;
	int bad = 0;

	for (i = 0; i < ARRAY_SIZE(same_limits); i++) {
		if (!queue_text(lower, same_limits[i], low, sizeof(low)))
			continue;
		seen++;
		if (queue_text(upper, same_limits[i], up, sizeof(up)) &&
		    !strcmp(up, low))
			continue;
		printf("# %s: %.*s, below %s", same_limits[i],
		       (int)strcspn(up, "\n"), up, low);
		bad++;
	}
	if (queue_text(lower, "write_cache", low, sizeof(low)) &&
	    (!queue_text(upper, "write_cache", up, sizeof(up)) ||
	     strcmp(up, low)))
		bad++;
	return seen < 8 ? -1 : bad;
}

TEST_F(stack, limits_are_those_below)
{
	char lower[DEVICE_PATH];
	const char *disk;

	ASSERT_EQ(0, gate_on(GATE, self->lower, self->path));
	EXPECT_EQ(0, differences(self->path, self->lower));
	EXPECT_EQ(0, gate_off(GATE));
	if (got_device(lower, nullb_make(&full_disk))) {
		ASSERT_EQ(0, gate_on(GATE, lower, self->path));
		EXPECT_EQ(0, differences(self->path, lower));
		EXPECT_EQ(4096, device_sysfs(self->path,
					     "queue/logical_block_size"));
		EXPECT_LT(0, device_sysfs(self->path,
					  "queue/discard_max_bytes"));
		EXPECT_EQ(0, gate_off(GATE));
	}
	disk = scsi_debug_disk();
	if (disk) {
		ASSERT_EQ(0, gate_on(GATE, disk, self->path));
		EXPECT_EQ(0, differences(self->path, disk));
		EXPECT_EQ(0, gate_off(GATE));
	}
	EXPECT_EQ(1, device_sysfs(self->lower, "queue/iostats"));
}

TEST_F(stack, statistics)
{
	unsigned long long before[NR_STATS], after[NR_STATS];
	unsigned int i;
	int fd;

	ASSERT_EQ(0, gate_on(GATE, self->lower, self->path));
	EXPECT_EQ(1, device_sysfs(self->path, "queue/iostats"));
	fd = open(self->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(device_stat(self->path, before));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(BLOCK, pread(fd, self->data, BLOCK, i * BLOCK));
	for (i = 0; i < 7; i++)
		ASSERT_EQ(2 * BLOCK, pwrite(fd, self->data, 2 * BLOCK,
					    i * 2 * BLOCK));
	ASSERT_TRUE(device_stat(self->path, after));
	EXPECT_EQ(10, after[STAT_READS] - before[STAT_READS]);
	EXPECT_EQ(10 * BLOCK / SECTOR, after[STAT_READ_SECTORS] -
				       before[STAT_READ_SECTORS]);
	EXPECT_EQ(7, after[STAT_WRITES] - before[STAT_WRITES]);
	EXPECT_EQ(14 * BLOCK / SECTOR, after[STAT_WRITE_SECTORS] -
				       before[STAT_WRITE_SECTORS]);
	EXPECT_EQ(0, after[STAT_IN_FLIGHT]);
	close(fd);
}

/* All that is not reading or writing gets to the device below. */
TEST_F(stack, flush_discard_and_zeroes)
{
	unsigned long long before[NR_STATS], after[NR_STATS];
	uint64_t range[2] = { MIB, MIB };
	char lower[DEVICE_PATH];
	struct iovec vec;
	int fd;

	if (!got_device(lower, nullb_make(&full_disk)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, gate_on(GATE, lower, self->path));
	ASSERT_EQ(0, device_fill(self->path, 0, 4 * MIB, SEED));
	fd = open(self->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(device_stat(lower, before));
	EXPECT_EQ(0, fsync(fd));
	ASSERT_TRUE(device_stat_beyond(lower, STAT_FLUSHES,
				       before[STAT_FLUSHES], after));
	EXPECT_EQ(1, after[STAT_FLUSHES] - before[STAT_FLUSHES]);
	/* Write through: on its own without a flush, where the device can. */
	memset(self->data, 0x3c, BLOCK);
	vec.iov_base = self->data;
	vec.iov_len = BLOCK;
	EXPECT_EQ(BLOCK, pwritev2(fd, &vec, 1, 3 * MIB, RWF_DSYNC));
	ASSERT_TRUE(device_stat_beyond(lower, STAT_WRITES, after[STAT_WRITES],
				       before));
	EXPECT_EQ(0, ioctl(fd, BLKDISCARD, range));
	ASSERT_TRUE(device_stat_beyond(lower, STAT_DISCARDS,
				       before[STAT_DISCARDS], after));
	EXPECT_EQ(MIB / SECTOR, after[STAT_DISCARD_SECTORS] -
				before[STAT_DISCARD_SECTORS]);
	range[0] = 2 * MIB;
	EXPECT_EQ(0, ioctl(fd, BLKZEROOUT, range));
	close(fd);
	EXPECT_EQ(0, device_wrong(lower, 0, MIB, SEED));
	EXPECT_EQ(2 * MIB / 8, device_wrong(lower, MIB, 2 * MIB, SEED));
	EXPECT_EQ(BLOCK / 8, device_wrong(lower, 3 * MIB, MIB, SEED));
	EXPECT_EQ(0, gate_off(GATE));
}

/* Longer than the device takes at once: split, not failed. */
TEST_F(stack, long_transfers)
{
	static const struct nullb narrow = {
		.name = "iott_narrow", .size_mb = 16,
	};
	char lower[DEVICE_PATH], dir[128];
	int fd;

	if (!got_device(lower, nullb_make(&narrow)))
		SKIP(return, "%s", device_reason());
	snprintf(dir, sizeof(dir), "/sys/block/%s/queue", lower + 5);
	ASSERT_EQ(0, sysfs_put(dir, "max_sectors_kb", "64"));
	ASSERT_EQ(0, gate_on(GATE, lower, self->path));
	fd = open(self->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, fd);
	memset(self->data, 0x11, MIB);
	EXPECT_EQ(MIB, pwrite(fd, self->data, MIB, 0));
	memset(self->data, 0, MIB);
	EXPECT_EQ(MIB, pread(fd, self->data, MIB, 0));
	EXPECT_EQ(0x11, self->data[0]);
	EXPECT_EQ(0x11, self->data[MIB - 1]);
	close(fd);
	EXPECT_EQ(0, gate_off(GATE));
	EXPECT_EQ(0, nullb_remove(narrow.name));
}

TEST_F(stack, grows_with_the_device)
{
	char lower[DEVICE_PATH];
	int fd, memory = memfd_create("iotarget", MFD_CLOEXEC);

	ASSERT_EQ(0, ftruncate(memory, 8 * MIB));
	if (!got_device(lower, loop_over(dup(memory), false)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, gate_on(GATE, lower, self->path));
	EXPECT_EQ(8 * MIB, device_size(self->path));
	ASSERT_EQ(0, ftruncate(memory, 16 * MIB));
	fd = open(lower, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, LOOP_SET_CAPACITY, 0));
	close(fd);
	/* Whoever opens it next sees it. */
	EXPECT_EQ(16 * MIB, device_size(self->path));
	EXPECT_EQ(0, device_fill(self->path, 15 * MIB, MIB, SEED));
	EXPECT_EQ(0, device_wrong(lower, 15 * MIB, MIB, SEED));
	EXPECT_EQ(0, gate_off(GATE));
	loop_remove();
	close(memory);
}

/* -- ioctls ------------------------------------------------------------------ */

static int bus_number(int fd)
{
	int bus = -1;

	return ioctl(fd, SCSI_IOCTL_GET_BUS_NUMBER, &bus) ? -errno : bus;
}

static void *bus_number_thread(void *fd)
{
	return (void *)(long)bus_number(*(int *)fd);
}

TEST_F(stack, ioctls_pass_the_gate)
{
	char disk[DEVICE_PATH];
	struct hd_geometry geo;
	pthread_t thread;
	void *ret;
	int fd, bus, status, unknown;
	pid_t pid;

	if (!got_device(disk, scsi_debug_disk()))
		SKIP(return, "%s", device_reason());
	fd = open(disk, O_RDONLY | O_CLOEXEC);
	bus = bus_number(fd);
	ASSERT_LE(0, bus);
	EXPECT_EQ(-1, ioctl(fd, _IO('j', 1)));
	unknown = errno;
	close(fd);
	ASSERT_EQ(0, gate_on(GATE, disk, self->path));
	fd = open(self->path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(bus, bus_number(fd));
	EXPECT_EQ(0, ioctl(fd, HDIO_GETGEO, &geo));
	EXPECT_LT(0, geo.heads);
	EXPECT_EQ(-1, ioctl(fd, _IO('j', 1)));
	EXPECT_EQ(unknown, errno);

	ASSERT_EQ(0, gate_set(GATE, "state", "stop"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, bus_number_thread, &fd));
	sleep_ms(200);
	EXPECT_EQ(EBUSY, pthread_tryjoin_np(thread, &ret));
	/* Another one waits until it is killed. */
	pid = fork();
	if (!pid)
		_exit(bus_number(fd) < 0);
	sleep_ms(200);
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(0, gate_set(GATE, "state", "start"));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(bus, (long)ret);

	ASSERT_EQ(0, gate_set(GATE, "state", "purge"));
	EXPECT_EQ(-ENXIO, bus_number(fd));
	ASSERT_EQ(0, gate_set(GATE, "state", "start"));
	EXPECT_EQ(bus, bus_number(fd));
	/* One that is removed answers, too. */
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_EQ(-ENXIO, bus_number(fd));
	close(fd);
}

static int bus_number_unprivileged(int fd)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return 1;
	data[0].effective &= ~(1U << CAP_SYS_RAWIO);
	if (syscall(SYS_capset, &head, data))
		return 2;
	return bus_number(fd) != -ENOTTY ? 3 : 0;
}

static void only_with_privilege(struct __test_metadata *_metadata,
				const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int status;
	pid_t pid;

	ASSERT_LE(0, fd);
	EXPECT_LE(0, bus_number(fd));
	pid = fork();
	if (!pid)
		_exit(bus_number_unprivileged(fd));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	close(fd);
}

/* Of the device below, or of the gate: below that it looks like a whole disk. */
TEST_F(stack, what_is_beyond_a_partition)
{
	char disk[DEVICE_PATH], part[DEVICE_PATH];

	if (!got_device(disk, scsi_debug_disk()) ||
	    !got_device(part, partition_make(disk, 1, MIB, 4 * MIB)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, gate_on(GATE, part, self->path));
	only_with_privilege(_metadata, self->path);
	EXPECT_EQ(0, gate_off(GATE));
	EXPECT_EQ(0, partition_remove(disk, 1));

	ASSERT_EQ(0, gate_set(GATE, "partitions", "1"));
	ASSERT_EQ(0, gate_on(GATE, disk, self->path));
	ASSERT_TRUE(got_device(part, partition_make(self->path, 1, MIB,
						    4 * MIB)));
	only_with_privilege(_metadata, part);
	EXPECT_EQ(0, partition_remove(self->path, 1));
	EXPECT_EQ(0, gate_off(GATE));
}

/* -- gates on gates ----------------------------------------------------------- */

static void level_name(char *name, unsigned int level)
{
	snprintf(name, 32, GATE_PREFIX "%u", level);
}

/* A pile of gates; the path of the topmost.  How many there are is returned. */
static unsigned int pile(const char *lower, unsigned int levels, char *path,
			 int *error)
{
	char below[DEVICE_PATH], name[32];
	unsigned int i;

	snprintf(below, sizeof(below), "%s", lower);
	for (i = 1; i <= levels; i++) {
		level_name(name, i);
		*error = gate_new(name);
		if (!*error)
			*error = gate_on(name, below, path);
		if (*error)
			return i - 1;
		snprintf(below, sizeof(below), "%s", path);
	}
	return levels;
}

static void unpile(struct __test_metadata *_metadata, unsigned int levels)
{
	char name[32];

	for (; levels; levels--) {
		level_name(name, levels);
		EXPECT_EQ(0, gate_off(name));
		EXPECT_EQ(0, gate_remove(name));
	}
}

TEST_F(stack, four_gates)
{
	char name[32];
	int error = 0;
	unsigned int i;

	ASSERT_EQ(4, pile(self->lower, 4, self->path, &error));
	for (i = 1; i <= 4; i++) {
		level_name(name, i);
		EXPECT_EQ(i, gate_number(name, "depth"));
	}
	EXPECT_EQ(0, device_fill(self->path, 0, 4 * MIB, SEED));
	EXPECT_EQ(0, device_wrong(self->lower, 0, 4 * MIB, SEED));
	EXPECT_EQ(0, differences(self->path, self->lower));
	/* Those below are in use. */
	level_name(name, 2);
	EXPECT_EQ(-EBUSY, gate_set(name, "power", "0"));
	/* Each can hold. */
	for (i = 1; i <= 4; i++) {
		struct aio aio;
		int64_t result;
		int fd = open(self->path, O_RDONLY | O_DIRECT | O_CLOEXEC);

		level_name(name, i);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, aio_begin(&aio, 1));
		ASSERT_EQ(0, gate_set(name, "state", "stop"));
		ASSERT_EQ(0, aio_send(&aio, fd, false, self->data, BLOCK, 0));
		EXPECT_TRUE(gate_holds(name, 1, LONG_MS));
		EXPECT_EQ(0, aio_reap(&aio, 1, 50, &result));
		ASSERT_EQ(0, gate_set(name, "state", "start"));
		EXPECT_EQ(1, aio_reap(&aio, 1, LONG_MS, &result));
		EXPECT_EQ(BLOCK, result);
		aio_end(&aio);
		close(fd);
	}
	unpile(_metadata, 4);
}

/* One in the middle is torn out: those above it fail, and can all be taken away. */
TEST_F(stack, one_in_the_middle_goes)
{
	char name[32];
	int fd, error = 0;

	ASSERT_EQ(4, pile(self->lower, 4, self->path, &error));
	fd = open(self->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, fd);
	level_name(name, 2);
	EXPECT_EQ(0, gate_remove(name));
	/* A disk that is dead has no sectors: where it would begin is its end. */
	EXPECT_GE(0, pread(fd, self->data, BLOCK, 0));
	EXPECT_EQ(-1, pwrite(fd, self->data, BLOCK, 0));
	close(fd);
	for (error = 4; error; error--) {
		level_name(name, error);
		if (error == 2)
			continue;
		EXPECT_EQ(0, gate_off(name));
		EXPECT_EQ(0, gate_remove(name));
	}
	/* The device itself is well. */
	EXPECT_EQ(0, gate_on(GATE, self->lower, self->path));
	EXPECT_EQ(0, device_fill(self->path, 0, MIB, SEED));
}

static unsigned int nr_slaves(const char *path)
{
	char dir[PATH_MAX];
	unsigned int n = 0;
	struct dirent *entry;
	DIR *d;

	snprintf(dir, sizeof(dir), "/sys/block/%s/slaves", path + 5);
	d = opendir(dir);
	while (d && (entry = readdir(d)))
		n += *entry->d_name != '.';
	if (d)
		closedir(d);
	return n;
}

/*
 * Whoever stands on the device hears that it is gone, though the disk in between stays
 * to be looked at.  And of the device nothing is kept: its driver may go as well.
 */
TEST_F(stack, the_device_goes_from_under_two)
{
	char name[2][32], path[2][DEVICE_PATH];
	unsigned int i;
	int error = 0;

	ASSERT_EQ(2, pile(self->lower, 2, path[1], &error));
	for (i = 0; i < 2; i++)
		level_name(name[i], i + 1);
	ASSERT_EQ(0, gate_get(name[1], "device", path[0], sizeof(path[0])));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(1, nr_slaves(path[i]));
	ASSERT_EQ(0, nullb_power(fast_disk.name, false));
	for (i = 0; i < 2; i++) {
		EXPECT_TRUE(gate_becomes(name[i], "closed", LONG_MS))
			TH_LOG("gate %u of 2", i + 1);
		EXPECT_EQ(0, device_size(path[i]));
		EXPECT_EQ(0, nr_slaves(path[i]));
	}
	for (i = 2; i--;) {
		EXPECT_EQ(0, gate_off(name[i]));
		EXPECT_EQ(0, gate_remove(name[i]));
	}
	EXPECT_EQ(0, nullb_power(fast_disk.name, true));
}

TEST_F(stack, too_many_gates)
{
	int error = 0;

	EXPECT_EQ(DEPTH, pile(self->lower, DEPTH + 1, self->path, &error));
	EXPECT_EQ(-ELOOP, error);
	EXPECT_EQ(0, device_fill(self->path, 0, MIB, SEED));
	EXPECT_EQ(0, device_wrong(self->lower, 0, MIB, SEED));
	unpile(_metadata, DEPTH);
}

/* -- the stack that it takes --------------------------------------------------- */

/* The deepest that the kernel's stack was in bio_endio() during reads of a disk. */
static long deepest(const char *path, char *data)
{
	unsigned int i;
	long size;
	int fd;

	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	sysfs_put("/proc/sys/kernel", "stack_tracer_enabled", "1");
	sysfs_put(TRACING, "stack_max_size", "0");
	for (i = 0; i < 64; i++)
		if (pread(fd, data, BLOCK, i * BLOCK) != BLOCK)
			break;
	size = sysfs_number(TRACING "stack_max_size");
	sysfs_put("/proc/sys/kernel", "stack_tracer_enabled", "0");
	close(fd);
	return i == 64 ? size : -EIO;
}

TEST_F(stack, what_a_gate_takes_of_the_kernel_stack)
{
	static const unsigned int levels[] = { 0, 1, 4, DEPTH };
	long size[ARRAY_SIZE(levels)];
	unsigned int i;
	int error;

	if (access(TRACING "stack_trace_filter", W_OK))
		SKIP(return, "the kernel has no stack tracer");
	ASSERT_EQ(0, sysfs_put(TRACING, "stack_trace_filter", "bio_endio"));
	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		snprintf(self->path, sizeof(self->path), "%s", self->lower);
		ASSERT_EQ(levels[i], pile(self->lower, levels[i], self->path,
					  &error));
		size[i] = deepest(self->path, self->data);
		printf("# stack of bio_endio() under %u gates: %ld bytes\n",
		       levels[i], size[i]);
		unpile(_metadata, levels[i]);
		ASSERT_LT(0, size[i]);
	}
	sysfs_put(TRACING, "stack_trace_filter", "");
	/* A sixteenth of it for each, so that what is above and below has room. */
	EXPECT_GE(1024, (size[i - 1] - size[0]) / DEPTH);
	EXPECT_GE(12 << 10, size[i - 1]);
}

TEST_HARNESS_MAIN
