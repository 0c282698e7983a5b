// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who uses a disk or partition: mounts, swap, devices that stand on it, processes.
 * The kernel says which device is in use; by whom, /proc and /sys know.  No device
 * is opened for that.  But files are looked at, and their file system may not answer, just
 * because of the device that is to go: so it is done by a child, for so long and no longer.
 *
 * Of a whole disk that includes its partitions.  What other mount name spaces have
 * mounted is not seen, nor what the kernel itself has open.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

#define MAX_DEVICES	64
#define SEARCH_MS	5000
#define NODES		"/dev/"

struct device {
	dev_t		number;
	char		name[64];
};

struct search {
	struct device	devices[MAX_DEVICES];
	unsigned int	nr;
	int		out;
};

/* What the child has found. */
struct found {
	char		kind[16];
	char		device[64];
	char		name[PATH_MAX];
	uint32_t	pid;
};

static void tell(struct search *s, const char *kind, const struct device *device,
		 const char *name, uint32_t pid)
{
	struct found found = { .pid = pid };
	const char *from = (const char *)&found;
	size_t done = 0;
	ssize_t n;

	snprintf(found.kind, sizeof(found.kind), "%s", kind);
	snprintf(found.device, sizeof(found.device), "%s", device->name);
	snprintf(found.name, sizeof(found.name), "%s", name);
	for (; done < sizeof(found); done += n) {
		n = write(s->out, from + done, sizeof(found) - done);
		if (n <= 0)
			_exit(1);
	}
}

static const struct device *device_of(const struct search *s, dev_t number)
{
	unsigned int i;

	for (i = 0; i < s->nr; i++) {
		if (s->devices[i].number == number)
			return &s->devices[i];
	}
	return NULL;
}

/* The device whose node that is. */
static const struct device *device_at(const struct search *s, const char *path)
{
	struct stat st;

	return *path == '/' && !stat(path, &st) && S_ISBLK(st.st_mode) ?
	       device_of(s, st.st_rdev) : NULL;
}

/* One line of a file, without its end. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	bool got = f && fgets(line, size, f);

	if (f)
		fclose(f);
	if (got)
		line[strcspn(line, "\n")] = 0;
	return got;
}

static void add_device(struct search *s, const char *dir)
{
	struct device *device = &s->devices[s->nr];
	unsigned int major, minor;
	char path[PATH_MAX + 8], line[32];

	snprintf(path, sizeof(path), "%s/dev", dir);
	if (s->nr == MAX_DEVICES || !read_line(path, line, sizeof(line)) ||
	    sscanf(line, "%u:%u", &major, &minor) != 2)
		return;
	device->number = makedev(major, minor);
	snprintf(device->name, sizeof(device->name), "%s", strrchr(dir, '/') + 1);
	s->nr++;
}

static void add_devices(struct search *s, const char *dir)
{
	char path[PATH_MAX + 300];
	struct dirent *entry;
	DIR *d = opendir(dir);

	add_device(s, dir);
	while (d && (entry = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s/partition", dir, entry->d_name);
		if (access(path, F_OK))
			continue;
		*strrchr(path, '/') = 0;
		add_device(s, path);
	}
	if (d)
		closedir(d);
}

/* Blanks and the like are \ and three octal digits in these files. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++, to++) {
		*to = *text;
		if (text[0] == '\\' && isdigit(text[1]) && isdigit(text[2]) && isdigit(text[3])) {
			*to = (text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0');
			text += 3;
		}
	}
	*to = 0;
}

/* Some file systems have a number of their own: those name their device. */
static void look_at_mount(struct search *s, char *line)
{
	const struct device *device;
	char *dash = strstr(line, " - "), *at = NULL, *source = NULL;
	unsigned int major, minor;

	if (!dash || sscanf(line, "%*u %*u %u:%u %*s %ms", &major, &minor, &at) != 3)
		return;
	device = device_of(s, makedev(major, minor));
	if (!device && sscanf(dash, " - %*s %ms", &source) == 1 && *source == '/') {
		unescape(source);
		device = device_at(s, source);
	}
	if (device) {
		unescape(at);
		tell(s, "mount", device, at, 0);
	}
	free(source);
	free(at);
}

static void look_at_swap(struct search *s, char *line)
{
	const struct device *device;

	line[strcspn(line, " \t")] = 0;
	unescape(line);
	device = device_at(s, line);
	if (device)
		tell(s, "swap", device, line, 0);
}

static void each_line(struct search *s, const char *path,
		      void (*look)(struct search *s, char *line))
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		look(s, line);
	}
	free(line);
	if (f)
		fclose(f);
}

static void look_for_holders(struct search *s, const struct device *device)
{
	struct dirent *entry;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(device->number),
		 minor(device->number));
	d = opendir(path);
	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] != '.')
			tell(s, "holder", device, entry->d_name, 0);
	}
	if (d)
		closedir(d);
}

/* A loop device is no holder; it has its file open like a process. */
static void look_for_loops(struct search *s)
{
	const struct device *device;
	char path[PATH_MAX], file[PATH_MAX];
	struct dirent *entry;
	DIR *d = opendir("/sys/block");

	while (d && (entry = readdir(d))) {
		snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", entry->d_name);
		if (!read_line(path, file, sizeof(file)))
			continue;
		device = device_at(s, file);
		if (device)
			tell(s, "holder", device, entry->d_name, 0);
	}
	if (d)
		closedir(d);
}

/* What a process has open among the nodes of devices, or elsewhere. */
static const struct device *opened_by(struct search *s, const char *pid, bool nodes)
{
	const struct device *device = NULL;
	char path[PATH_MAX], to[PATH_MAX];
	struct dirent *entry;
	ssize_t len;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && !device && (entry = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		len = readlink(path, to, sizeof(to) - 1);
		if (len <= 0 || *to != '/')
			continue;
		to[len] = 0;
		if (!strncmp(to, NODES, strlen(NODES)) == nodes)
			device = device_at(s, path);
	}
	if (d)
		closedir(d);
	return device;
}

static void look_at_process(struct search *s, const char *pid, bool nodes)
{
	const struct device *device;
	char path[PATH_MAX], name[64] = "?";

	/* Once is enough. */
	if (!nodes && opened_by(s, pid, true))
		return;
	device = opened_by(s, pid, nodes);
	if (!device)
		return;
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	read_line(path, name, sizeof(name));
	tell(s, "process", device, name, strtoul(pid, NULL, 10));
}

static void look_for_processes(struct search *s, bool nodes)
{
	struct dirent *entry;
	DIR *d = opendir("/proc");

	while (d && (entry = readdir(d))) {
		if (isdigit(entry->d_name[0]))
			look_at_process(s, entry->d_name, nodes);
	}
	if (d)
		closedir(d);
}

/* First what always has an answer. */
static void search(struct search *s, const char *dir)
{
	unsigned int i;

	add_devices(s, dir);
	for (i = 0; i < s->nr; i++)
		look_for_holders(s, &s->devices[i]);
	look_for_processes(s, true);
	each_line(s, "/proc/self/mountinfo", look_at_mount);
	each_line(s, "/proc/swaps", look_at_swap);
	look_for_loops(s);
	look_for_processes(s, false);
}

static unsigned int hear(int in, void (*each)(void *context, const struct user *user),
			 void *context)
{
	const uint64_t end = now_ms() + SEARCH_MS;
	struct pollfd input = { .fd = in, .events = POLLIN };
	unsigned int nr = 0;
	struct found found;
	size_t got = 0;
	ssize_t n;

	while (now_ms() < end && !told_to_end()) {
		if (poll(&input, 1, 100) <= 0)
			continue;
		n = read(in, (char *)&found + got, sizeof(found) - got);
		if (n <= 0)
			return nr;
		got += n;
		if (got < sizeof(found))
			continue;
		got = 0;
		nr++;
		each(context, &(struct user){
			.kind = found.kind, .device = found.device, .name = found.name,
			.pid = found.pid,
		});
	}
	complain("who else uses it is not known: a file system does not answer");
	return nr;
}

/* How many there were. */
unsigned int find_users(uint32_t major, uint32_t minor,
			void (*each)(void *context, const struct user *user), void *context)
{
	char link[64], dir[PATH_MAX];
	struct search s = { };
	unsigned int nr;
	int ends[2];
	pid_t child;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major, minor);
	if (!realpath(link, dir) || pipe2(ends, O_CLOEXEC))
		return 0;
	child = fork();
	if (!child) {
		close(ends[0]);
		s.out = ends[1];
		search(&s, dir);
		_exit(0);
	}
	close(ends[1]);
	nr = child < 0 ? 0 : hear(ends[0], each, context);
	close(ends[0]);
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, WNOHANG);
	}
	return nr;
}
