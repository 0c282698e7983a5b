// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only the host of a virtual machine can do: plug a disk in, pull it,
 * stall it.  It is asked through a port, see tools/testing/iotarget/README.md;
 * on a real machine there is nobody to ask and the tests are skipped.
 *
 * Any thread may ask; they take turns, since the port has one reader.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

#define PORT		"/dev/iotarget-host"
#define SERIAL		"IOT-"		/* and the host's name for the disk */
#define LINE		1024

static pthread_mutex_t port_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_among(const char *id, const char *disks)
{
	size_t len = strlen(id);

	while (disks && *disks) {
		if (!strncmp(disks, id, len) && (!disks[len] || disks[len] == ' '))
			return true;
		disks = strchr(disks, ' ');
		disks += disks && *disks == ' ';
	}
	return false;
}

/* Why a disk of this name can't be plugged in here. */
const char *host_has(const char *id)
{
	if (access(PORT, W_OK))
		return "no host to ask for a disk";
	if (!is_among(id, getenv("IOTARGET_DISKS")))
		return "this machine has no such disk to plug in";
	return NULL;
}

/* Why a test that does the same with each kind of disk leaves this one out. */
const char *host_turn(const char *id)
{
	const char *pulled = getenv("IOTARGET_PULLED");

	if (pulled && *pulled && !is_among(id, pulled))
		return "for time it has its turn in another kernel, here in test-full";
	return NULL;
}

/* The same of one that the host plugs in. */
const char *host_pulls(const char *id)
{
	return host_has(id) ?: host_turn(id);
}

/* Kernels that are slow for being watched get as much more time. */
unsigned int slow(unsigned int ms)
{
	const char *bound = getenv("IOTARGET_BOUND_MS");

	return bound && strtoul(bound, NULL, 0) > 1000 ? 6 * ms : ms;
}

static int port_open(void)
{
	uint64_t until = now_ms() + LONG_MS;
	int fd;

	/* Somebody's shell may be asking, too. */
	do {
		fd = open(PORT, O_RDWR | O_CLOEXEC);
		if (fd >= 0 || errno != EBUSY)
			return fd < 0 ? -errno : fd;
		sleep_ms(10);
	} while (now_ms() < until);
	return -EBUSY;
}

static int read_line(int fd, char *line, size_t size)
{
	size_t len = 0;

	while (len < size - 1) {
		if (read(fd, line + len, 1) != 1)
			return -EIO;
		if (line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
	return 0;
}

/* The answer to request @number; others were for those who went away. */
static int await_answer(int fd, const char *verb, unsigned int number)
{
	char line[LINE];
	unsigned int id;
	int at, ret;

	for (;;) {
		ret = read_line(fd, line, sizeof(line));
		if (ret)
			return ret;
		if (sscanf(line, "%u %n", &id, &at) != 1 || id != number)
			continue;
		if (!strncmp(line + at, "ok", 2))
			return 0;
		printf("# host %s: %s\n", verb, line + at);
		return -EREMOTEIO;
	}
}

int host_ask(const char *verb, const char *words)
{
	static unsigned int number;
	char line[LINE];
	int fd, ret;

	pthread_mutex_lock(&port_lock);
	fd = port_open();
	ret = fd < 0 ? fd : 0;
	if (!ret) {
		number = (number + 1) % 1000;
		snprintf(line, sizeof(line), "%u%03u %s %s\n", getpid(), number,
			 verb, words);
		if (write(fd, line, strlen(line)) != (ssize_t)strlen(line))
			ret = -EIO;
		else
			ret = await_answer(fd, verb,
					   getpid() * 1000 + number);
		close(fd);
	}
	pthread_mutex_unlock(&port_lock);
	return ret;
}

static bool file_has(const char *dir, const char *file, const char *text)
{
	char path[PATH_MAX], data[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, data, sizeof(data));
	close(fd);
	return n > 0 && memmem(data, n, text, strlen(text));
}

/*
 * Is this the disk's serial number?  virtio-blk has it at the disk, SCSI in a
 * page of the device, NVMe at the controller, USB at the device further up.
 */
static bool has_serial(const char *name, const char *serial)
{
	static const char * const places[] = {
		"serial", "device/serial", "device/vpd_pg80",
		"device/../../../../serial",
	};
	char dir[PATH_MAX], queue[PATH_MAX + 8];
	unsigned int i;

	snprintf(dir, sizeof(dir), "/sys/block/%s", name);
	snprintf(queue, sizeof(queue), "%s/queue", dir);
	if (access(queue, F_OK))
		return false;
	for (i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (file_has(dir, places[i], serial))
			return true;
	return false;
}

/* How many disks say that they are this one; one of them is named. */
static unsigned int count_disks(const char *id, char *name, size_t size)
{
	unsigned int count = 0;
	struct dirent *entry;
	char serial[64];
	DIR *dir = opendir("/sys/block");

	snprintf(serial, sizeof(serial), SERIAL "%s", id);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    !has_serial(entry->d_name, serial))
			continue;
		snprintf(name, size, "%.31s", entry->d_name);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}

/*
 * Until so many disks that say they are this one have entered the system, even if they
 * don't answer yet: what has a queue in sysfs has told all who watch the class.
 */
bool disks_enter(const char *id, unsigned int count)
{
	uint64_t until = now_ms() + slow(PLUGGED_MS);
	char name[32];

	while (count_disks(id, name, sizeof(name)) < count) {
		if (now_ms() > until)
			return false;
		sleep_ms(10);
	}
	return true;
}

/* The disk that says it is this one, if there is one. */
bool disk_find(struct plugged *disk)
{
	disk->name[0] = '\0';
	if (!count_disks(disk->id, disk->name, sizeof(disk->name)))
		return false;
	snprintf(disk->path, sizeof(disk->path), "/dev/%s", disk->name);
	return device_size(disk->path) > 0;
}

/* One that says it is another. */
int disk_plug_as(struct plugged *disk, const char *id, const char *name)
{
	uint64_t until;
	long seq;
	int ret;

	*disk = (struct plugged){ .id = id };
	if (disk_find(disk)) {
		/* A test that failed has left it. */
		host_ask("unplug", name);
		disk_wait_gone(disk, slow(GONE_MS));
	}
	ret = host_ask("plug", name);
	if (ret)
		return ret;
	until = now_ms() + slow(PLUGGED_MS);
	while (!disk_find(disk)) {
		if (now_ms() > until) {
			printf("# %s was plugged in and no disk came up: %s\n",
			       name, *disk->name ? disk->name : "none");
			host_ask("unplug", name);
			return -ENODEV;
		}
		sleep_ms(10);
	}
	seq = device_sysfs(disk->path, "diskseq");
	disk->seq = seq > 0 ? seq : 0;
	return 0;
}

int disk_plug(struct plugged *disk, const char *id)
{
	return disk_plug_as(disk, id, id);
}

/* Returns when the device is gone for the host. */
int disk_pull(const struct plugged *disk)
{
	return host_ask("unplug", disk->id);
}

bool disk_there(const struct plugged *disk)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/%s", disk->name);
	return !access(path, F_OK) || !access(disk->path, F_OK);
}

int disk_wait_gone(const struct plugged *disk, unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	while (disk_there(disk)) {
		if (now_ms() > until) {
			printf("# %s is still there\n", disk->path);
			return -ETIMEDOUT;
		}
		sleep_ms(5);
	}
	return 0;
}

/* Requests that its driver, or its scheduler, has; negative: it is gone. */
int disk_inflight(const struct plugged *disk)
{
	char path[64];
	int reads = 0, writes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/block/%s/inflight", disk->name);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (fscanf(f, "%d %d", &reads, &writes) != 2)
		reads = -EIO;
	fclose(f);
	return reads < 0 ? reads : reads + writes;
}

/* The driver may get a request from a worker of the block layer. */
bool disk_gets_busy(const struct plugged *disk)
{
	uint64_t until = now_ms() + slow(1000);

	while (disk_inflight(disk) <= 0) {
		if (now_ms() > until)
			return false;
		sleep_ms(1);
	}
	return true;
}
