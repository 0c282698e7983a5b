// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who uses a disk or partition: mounts, swap, devices that stand on it, processes.
 * The kernel says which device is in use; by whom, /proc and /sys know.  No device
 * is opened for that.
 *
 * Of a whole disk that includes its partitions.  What other mount name spaces have
 * mounted is not seen, nor what the kernel itself has open.
 */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tool.h"

#define MAX_DEVICES	64

struct device {
	dev_t		number;
	char		name[64];
};

struct search {
	struct device	devices[MAX_DEVICES];
	unsigned int	nr, found;
	void		(*each)(void *context, const struct user *user);
	void		*context;
};

static void tell(struct search *s, const char *kind, const struct device *device,
		 const char *name, uint32_t pid)
{
	const struct user user = {
		.kind = kind, .device = device->name, .name = name, .pid = pid,
	};

	s->found++;
	s->each(s->context, &user);
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

	return !stat(path, &st) && S_ISBLK(st.st_mode) ? device_of(s, st.st_rdev) : NULL;
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

static void look_at_process(struct search *s, const char *pid)
{
	const struct device *device = NULL;
	char path[PATH_MAX], name[64] = "?";
	struct dirent *entry;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && !device && (entry = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		device = device_at(s, path);
	}
	if (d)
		closedir(d);
	if (!device)
		return;
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	read_line(path, name, sizeof(name));
	tell(s, "process", device, name, strtoul(pid, NULL, 10));
}

static void look_for_processes(struct search *s)
{
	struct dirent *entry;
	DIR *d = opendir("/proc");

	while (d && (entry = readdir(d))) {
		if (isdigit(entry->d_name[0]))
			look_at_process(s, entry->d_name);
	}
	if (d)
		closedir(d);
}

/* How many there were. */
unsigned int find_users(uint32_t major, uint32_t minor,
			void (*each)(void *context, const struct user *user), void *context)
{
	struct search s = { .each = each, .context = context };
	char link[64], dir[PATH_MAX];
	unsigned int i;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major, minor);
	if (!realpath(link, dir))
		return 0;
	add_devices(&s, dir);
	each_line(&s, "/proc/self/mountinfo", look_at_mount);
	each_line(&s, "/proc/swaps", look_at_swap);
	for (i = 0; i < s.nr; i++)
		look_for_holders(&s, &s.devices[i]);
	look_for_loops(&s);
	look_for_processes(&s);
	return s.found;
}
