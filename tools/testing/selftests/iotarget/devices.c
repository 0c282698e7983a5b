// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices to try I/O targets on: null_blk through configfs, brd, scsi_debug,
 * loop over memory, a USB stick if there is one, partitions of any.  And what
 * a test looks at a device with, beside the target: plain reads and writes,
 * sysfs, the kernel's log.
 *
 * A null_blk made here stays for the next test of the same program, and goes
 * when the program ends.
 */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "gates.h"
#include "util.h"

#define HUNG_TASK	"/proc/sys/kernel/hung_task_timeout_secs"
#define NULLB_DIR	"/sys/kernel/config/nullb"
#define NULLB_PREFIX	"iott_"
#define SCSI_DEBUG_DIR	"/sys/bus/pseudo/drivers/scsi_debug"
#define CHUNK		MIB
#define MAX_LOOPS	4

const struct nullb fast_disk = { .name = NULLB_PREFIX "fast", .size_mb = 64 };
const struct nullb slow_disk = { .name = NULLB_PREFIX "slow", .size_mb = 64,
				 .delay_ms = SLOW_MS };

static char reason[256];
static int loops[MAX_LOOPS];	/* their files: the last close removes them */
static unsigned int nr_loops;

/* Keep the path of a device that was made, if it was. */
bool got_device(char *path, const char *made)
{
	if (made)
		snprintf(path, DEVICE_PATH, "%s", made);
	return made;
}

const char *device_reason(void)
{
	return reason;
}

void device_lacks(const char *what, int error)
{
	snprintf(reason, sizeof(reason), "%s: %s", what, strerror(error));
}

static const char *no(const char *what)
{
	device_lacks(what, errno);
	return NULL;
}

int sysfs_put(const char *dir, const char *file, const char *value)
{
	char path[PATH_MAX];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int put_number(const char *dir, const char *file, unsigned long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", value);
	return sysfs_put(dir, file, text);
}

long sysfs_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long value = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &value) != 1)
		value = -1;
	fclose(f);
	return value;
}

/* A node appears a little after its disk does. */
bool node_appears(const char *path, unsigned int ms)
{
	struct stat st;
	uint64_t until = now_ms() + ms;

	do {
		if (!stat(path, &st) && S_ISBLK(st.st_mode))
			return true;
		sleep_ms(10);
	} while (now_ms() < until);
	errno = ENOENT;
	return false;
}

static int nullb_configure(const char *dir, const struct nullb *opts)
{
	int ret;

	ret = put_number(dir, "size", opts->size_mb);
	if (!ret)
		ret = put_number(dir, "blocksize", opts->blocksize ?: SECTOR);
	if (!ret)
		ret = put_number(dir, "memory_backed", !opts->no_memory);
	if (!ret)
		ret = put_number(dir, "irqmode", opts->delay_ms ? 2 : 0);
	if (!ret)
		ret = put_number(dir, "completion_nsec",
				 opts->delay_ms * 1000000UL);
	if (!ret && opts->cache_mb)
		ret = put_number(dir, "cache_size", opts->cache_mb);
	if (!ret)
		ret = put_number(dir, "hw_queue_depth", opts->depth ?: 64);
	if (!ret && opts->queues)
		ret = put_number(dir, "submit_queues", opts->queues);
	if (!ret && opts->max_sectors)
		ret = put_number(dir, "max_sectors", opts->max_sectors);
	if (!ret && opts->zoned)
		ret = put_number(dir, "zone_size", 4);
	if (!ret && opts->zoned)
		ret = put_number(dir, "zoned", 1);
	if (!ret && opts->discard)
		ret = put_number(dir, "discard", 1);
	if (!ret)
		ret = put_number(dir, "power", 1);
	return ret;
}

const char *nullb_make(const struct nullb *opts)
{
	static char path[64];
	char dir[PATH_MAX];
	long index;
	int ret;

	snprintf(dir, sizeof(dir), NULLB_DIR "/%s", opts->name);
	snprintf(path, sizeof(path), "/dev/%s", opts->name);
	if (!access(dir, F_OK) && !access(path, F_OK))
		return path;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return no("null_blk in configfs");
	ret = nullb_configure(dir, opts);
	if (ret) {
		rmdir(dir);
		errno = -ret;
		return no(dir);
	}
	if (node_appears(path, 2000))
		return path;
	/* Older kernels name it by its index. */
	snprintf(dir, sizeof(dir), NULLB_DIR "/%s/index", opts->name);
	index = sysfs_number(dir);
	snprintf(path, sizeof(path), "/dev/nullb%ld", index);
	return node_appears(path, 2000) ? path : no(path);
}

/* While it has no power, but for the power. */
int nullb_set(const char *name, const char *attr, unsigned long value)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), NULLB_DIR "/%s", name);
	return put_number(dir, attr, value);
}

/* Without power the disk is gone, and what was in its cache is lost. */
int nullb_power(const char *name, bool on)
{
	return nullb_set(name, "power", on);
}

int nullb_remove(const char *name)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), NULLB_DIR "/%s", name);
	put_number(dir, "power", 0);
	return rmdir(dir) ? -errno : 0;
}

static void nullb_cleanup(void)
{
	struct dirent *entry;
	DIR *dir;

	gates_cleanup();	/* they may be on these */
	dir = opendir(NULLB_DIR);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, NULLB_PREFIX,
			     strlen(NULLB_PREFIX)))
			nullb_remove(entry->d_name);
	closedir(dir);
}

/*
 * Tests run in children, which leave without this; the program itself does not.
 * Called last of the cleanups, as others may be built on null_blk.
 */
__attribute__((constructor(101))) static void begin(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	atexit(nullb_cleanup);
}

const char *brd_disk(void)
{
	static const char path[] = "/dev/ram0";

	return access(path, F_OK) ? no("brd") : path;
}

/* Search dir, depth levels down, for a name; leave its path in found. */
static bool find_below(const char *dir, const char *name, int depth,
		       char *found, size_t size)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *d = opendir(dir);
	bool ret = false;

	if (!d)
		return false;
	while (!ret && (entry = readdir(d))) {
		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (!strcmp(entry->d_name, name)) {
			snprintf(found, size, "%s", path);
			ret = true;
		} else if (depth) {
			ret = find_below(path, name, depth - 1, found, size);
		}
	}
	closedir(d);
	return ret;
}

static bool only_entry(const char *dir, char *name, size_t size)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	bool ret = false;

	if (!d)
		return false;
	while (!ret && (entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, size, "%s", entry->d_name);
		ret = true;
	}
	closedir(d);
	return ret;
}

static bool scsi_debug_find(char *path, size_t size)
{
	char real[PATH_MAX], found[PATH_MAX], name[32];

	if (!realpath(SCSI_DEBUG_DIR "/adapter0", real) ||
	    !find_below(real, "block", 4, found, sizeof(found)) ||
	    !only_entry(found, name, sizeof(name)))
		return false;
	snprintf(path, size, "/dev/%s", name);
	return true;
}

const char *scsi_debug_disk(void)
{
	static char path[64];
	uint64_t until = now_ms() + 10000;

	if (access(SCSI_DEBUG_DIR, F_OK))
		return no("scsi_debug");
	if (access(SCSI_DEBUG_DIR "/adapter0", F_OK) &&
	    sysfs_put(SCSI_DEBUG_DIR, "add_host", "1"))
		return no("scsi_debug add_host");
	do {
		if (scsi_debug_find(path, sizeof(path)) &&
		    node_appears(path, 100) && device_size(path) > 0)
			return path;
		sleep_ms(20);
	} while (now_ms() < until);
	errno = ENODEV;
	return no("scsi_debug");
}

int scsi_debug_set(const char *attr, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	return sysfs_put(SCSI_DEBUG_DIR, attr, text);
}

/* Write protection, as a device's switch does it. */
int scsi_debug_protect(bool protect)
{
	const char *path = scsi_debug_disk();
	char dir[PATH_MAX];
	int ret;

	if (!path)
		return -ENODEV;
	ret = sysfs_put("/sys/module/scsi_debug/parameters", "wp",
			protect ? "Y" : "N");
	if (ret)
		return ret;
	snprintf(dir, sizeof(dir), "/sys/block/%s/device", path + 5);
	return sysfs_put(dir, "rescan", "1");
}

/* One that nobody uses, opened. */
int loop_new(char *path, size_t size)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number;

	if (control < 0)
		return -1;
	number = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	if (number < 0)
		return -1;
	snprintf(path, size, "/dev/loop%d", number);
	return open(path, O_RDWR | O_CLOEXEC);
}

const char *loop_empty(void)
{
	static char path[32];
	int fd = loop_new(path, sizeof(path));

	if (fd < 0)
		return no("loop");
	close(fd);
	return path;
}

/* Over this file, which is closed. */
const char *loop_over(int file, bool read_only)
{
	struct loop_config config = {
		.fd = file,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR |
				 (read_only ? LO_FLAGS_READ_ONLY : 0),
	};
	static char path[32];
	int fd;

	if (nr_loops == MAX_LOOPS) {
		errno = ENOSPC;
		return no("loop");
	}
	fd = loop_new(path, sizeof(path));
	if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config))
		return no("loop");
	close(file);
	loops[nr_loops++] = fd;
	return path;
}

const char *loop_disk(unsigned int size_mb, bool read_only)
{
	int memory = memfd_create("iotarget", MFD_CLOEXEC);

	if (memory < 0 || ftruncate(memory, (off_t)size_mb << 20))
		return no("loop");
	return loop_over(memory, read_only);
}

void loop_remove(void)
{
	while (nr_loops)
		close(loops[--nr_loops]);
}

const char *usb_stick(void)
{
	static char path[64];
	char link[PATH_MAX], real[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir("/sys/block");
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "sd", 2))
			continue;
		snprintf(link, sizeof(link), "/sys/block/%s", entry->d_name);
		if (!realpath(link, real) || !strstr(real, "/usb"))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		found = device_size(path) > 0;
	}
	if (dir)
		closedir(dir);
	errno = ENODEV;
	return found ? path : no("USB stick");
}

static int partition_call(const char *disk, unsigned int op,
			  unsigned int number, uint64_t start, uint64_t len)
{
	struct blkpg_partition part = {
		.start = start, .length = len, .pno = number,
	};
	struct blkpg_ioctl_arg arg = {
		.op = op, .datalen = sizeof(part), .data = &part,
	};
	int fd = open(disk, O_RDONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, BLKPG, &arg))
		ret = -errno;
	close(fd);
	return ret;
}

const char *partition_make(const char *disk, unsigned int number,
			   uint64_t start, uint64_t len)
{
	static char path[96];
	size_t end = strlen(disk);
	bool digit = disk[end - 1] >= '0' && disk[end - 1] <= '9';
	int ret;

	ret = partition_call(disk, BLKPG_ADD_PARTITION, number, start, len);
	if (ret && ret != -EBUSY) {
		errno = -ret;
		return no("partition");
	}
	snprintf(path, sizeof(path), "%s%s%u", disk, digit ? "p" : "", number);
	return node_appears(path, 2000) ? path : no(path);
}

int partition_remove(const char *disk, unsigned int number)
{
	return partition_call(disk, BLKPG_DEL_PARTITION, number, 0, 0);
}

int64_t device_size(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t size = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, BLKGETSIZE64, &size))
		size = 0;
	close(fd);
	return size;
}

/* A number in the device's directory, a whole disk's or a partition's. */
long device_sysfs(const char *path, const char *attr)
{
	char file[PATH_MAX];
	struct stat st;

	if (stat(path, &st))
		return -1;
	snprintf(file, sizeof(file), "/sys/dev/block/%u:%u/%s",
		 major(st.st_rdev), minor(st.st_rdev), attr);
	return sysfs_number(file);
}

bool device_stat(const char *path, unsigned long long stat[NR_STATS])
{
	char file[256];
	unsigned int i;
	FILE *f;

	snprintf(file, sizeof(file), "/sys/block/%s/stat", path + 5);
	f = fopen(file, "re");
	for (i = 0; f && i < NR_STATS; i++)
		if (fscanf(f, "%llu", &stat[i]) != 1)
			break;
	if (f)
		fclose(f);
	return i == NR_STATS;
}

/* A request is counted a moment after its answer. */
bool device_stat_beyond(const char *path, unsigned int place,
			unsigned long long before,
			unsigned long long stat[NR_STATS])
{
	uint64_t until = now_ms() + LONG_MS;

	while (device_stat(path, stat) && stat[place] <= before) {
		if (now_ms() > until)
			return false;
		sleep_ms(10);
	}
	return stat[place] > before;
}

/* Can somebody else claim it?  What held it may be a moment on its way out. */
bool device_becomes_free(const char *path)
{
	uint64_t until = now_ms() + LONG_MS;
	int fd;

	do {
		fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
		if (fd >= 0) {
			close(fd);
			return true;
		}
		sleep_ms(10);
	} while (now_ms() < until);
	return false;
}

static int64_t walk(const char *path, uint64_t pos, uint64_t len,
		    uint64_t seed, bool fill)
{
	int fd = open(path, (fill ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	uint64_t *words;
	int64_t wrong = 0;
	size_t n, i;

	if (fd < 0)
		return -errno;
	if (posix_memalign((void **)&words, 4096, CHUNK)) {
		close(fd);
		return -ENOMEM;
	}
	for (; len && wrong >= 0; len -= n, pos += n) {
		n = len < CHUNK ? len : CHUNK;
		for (i = 0; fill && i < n / 8; i++)
			words[i] = iotarget_test_word(seed, pos + i * 8);
		if (fill ? pwrite(fd, words, n, pos) != (ssize_t)n :
			   pread(fd, words, n, pos) != (ssize_t)n)
			wrong = errno ? -errno : -EIO;
		for (i = 0; wrong >= 0 && !fill && i < n / 8; i++)
			wrong += words[i] !=
				 iotarget_test_word(seed, pos + i * 8);
	}
	free(words);
	close(fd);
	return wrong;
}

int device_fill(const char *path, uint64_t pos, uint64_t len, uint64_t seed)
{
	return walk(path, pos, len, seed, true);
}

/* How many 8-byte words are not of the pattern; negative: it can't be read. */
int64_t device_wrong(const char *path, uint64_t pos, uint64_t len,
		     uint64_t seed)
{
	return walk(path, pos, len, seed, false);
}

int device_read_only(const char *path, bool on)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int flag = on;
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, BLKROSET, &flag))
		ret = -errno;
	close(fd);
	return ret;
}

static bool named_in(const char *table, dev_t dev)
{
	char line[4096], name[PATH_MAX];
	FILE *f = fopen(table, "re");
	bool found = false;
	struct stat st;

	while (f && !found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%4095s", name) == 1 && name[0] == '/')
			found = !stat(name, &st) && S_ISBLK(st.st_mode) &&
				st.st_rdev == dev;
	if (f)
		fclose(f);
	return found;
}

static bool has_holders(const char *dir)
{
	char path[PATH_MAX + 16], name[64];
	struct dirent *entry;
	bool found;
	DIR *d;

	snprintf(path, sizeof(path), "%s/holders", dir);
	found = only_entry(path, name, sizeof(name));
	d = opendir(dir);
	while (d && !found && (entry = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s/partition", dir,
			 entry->d_name);
		if (entry->d_name[0] == '.' || access(path, F_OK))
			continue;
		snprintf(path, sizeof(path), "%s/%s/holders", dir,
			 entry->d_name);
		found = only_entry(path, name, sizeof(name));
	}
	if (d)
		closedir(d);
	return found;
}

/* Why a device must be left alone; NULL: nobody uses it. */
const char *device_in_use(const char *path)
{
	char dir[64];
	struct stat st;
	int fd;

	if (stat(path, &st))
		return strerror(errno);
	if (!S_ISBLK(st.st_mode))
		return "it is not a block device";
	if (named_in("/proc/self/mounts", st.st_rdev))
		return "it is mounted";
	if (named_in("/proc/swaps", st.st_rdev))
		return "it is swapped to";
	snprintf(dir, sizeof(dir), "/sys/dev/block/%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	if (has_holders(dir))
		return "another device is built on it";
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		return errno == EBUSY ? "the kernel says that it is in use" :
					strerror(errno);
	close(fd);
	return NULL;
}

/* From a number of bits on all are set; those before are, too, up to another. */
static void bitmap(uint8_t *map, unsigned int used, unsigned int from,
		   unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size * 8; i++)
		if (i < used || i >= from)
			map[i / 8] |= 1 << i % 8;
}

/* The smallest file system that ext4 will mount: a root directory, empty. */
int device_ext2(const char *path)
{
	enum { BLOCK = 1024, BLOCKS = 1024, INODES = 32, TABLE = 5, ROOT = 9 };
	static uint8_t image[ROOT + 1][BLOCK];
	uint32_t now = htole32(time(NULL));
	uint8_t *super = image[1], *group = image[2];
	uint8_t *inode = image[TABLE] + 128, *dir = image[ROOT];
	int fd, ret = 0;

#define LE32(_at, _value) (*(uint32_t *)(_at) = htole32(_value))
#define LE16(_at, _value) (*(uint16_t *)(_at) = htole16(_value))
	memset(image, 0, sizeof(image));
	LE32(super, INODES);
	LE32(super + 4, BLOCKS);
	LE32(super + 12, BLOCKS - ROOT - 1);
	LE32(super + 16, INODES - 10);
	LE32(super + 20, 1);		/* first data block */
	LE32(super + 32, 8 * BLOCK);	/* blocks of a group */
	LE32(super + 36, 8 * BLOCK);
	LE32(super + 40, INODES);
	memcpy(super + 48, &now, sizeof(now));
	LE16(super + 54, 0xffff);
	LE16(super + 56, 0xef53);	/* magic */
	LE16(super + 58, 1);		/* clean */
	LE16(super + 60, 1);
	LE32(group, 3);			/* block bitmap */
	LE32(group + 4, 4);		/* inode bitmap */
	LE32(group + 8, TABLE);
	LE16(group + 12, BLOCKS - ROOT - 1);
	LE16(group + 14, INODES - 10);
	LE16(group + 16, 1);
	LE16(inode, 0040755);
	LE32(inode + 4, BLOCK);
	LE16(inode + 26, 2);		/* links */
	LE32(inode + 28, 2);		/* sectors */
	LE32(inode + 40, ROOT);
	LE32(dir, 2);
	LE16(dir + 4, 12);
	dir[6] = 1;
	dir[8] = '.';
	LE32(dir + 12, 2);
	LE16(dir + 16, BLOCK - 12);
	dir[18] = 2;
	memcpy(dir + 20, "..", 2);
	bitmap(image[3], ROOT, BLOCKS - 1, BLOCK);	/* from block 1 on */
	bitmap(image[4], 10, INODES, BLOCK);
#undef LE16
#undef LE32
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pwrite(fd, image, sizeof(image), 0) != sizeof(image) || fsync(fd))
		ret = -errno;
	close(fd);
	return ret;
}

/* After so many seconds the kernel complains of a task that waits; returns what it was. */
int hung_tasks(int seconds)
{
	FILE *f = fopen(HUNG_TASK, "r+e");
	int before = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%d", &before) == 1) {
		rewind(f);
		fprintf(f, "%d\n", seconds);
	}
	fclose(f);
	return before;
}

/* The kernel's log from now on. */
int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* How many new lines hold both texts. */
int log_count(int fd, const char *text, const char *text2)
{
	char line[8192];
	int count = 0;
	ssize_t n;

	for (;;) {
		n = read(fd, line, sizeof(line) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return count;
		line[n] = '\0';
		count += strstr(line, text) && (!text2 || strstr(line, text2));
	}
}

/* Once more than it did the last time that it was asked. */
bool log_says(int fd, const char *text, const char *text2, unsigned int ms)
{
	const uint64_t until = now_ms() + ms;

	while (!log_count(fd, text, text2)) {
		if (now_ms() > until)
			return false;
		sleep_ms(50);
	}
	return true;
}
