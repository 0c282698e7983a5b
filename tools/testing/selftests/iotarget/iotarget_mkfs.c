// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file system on a gate as people have them: made, checked and mounted by its own
 * tools, with a load like that of a build, while the gate is stopped for 20 s.  All
 * that is written there is written to a copy in memory as well, and in the end both
 * are the same.
 */
#include <dirent.h>
#include <linux/fs.h>

#include "fixture.h"
#include "gates.h"
#include "host.h"

#define GATE		GATE_PREFIX "a"
#define NO_GATES	"iogate is not loaded, or this is not root"
#define WHERE		"/tmp/iotarget-mkfs"
#define COPY		"/tmp/iotarget-copy"
#define NR_BUILDERS	3
#define NR_FILES	64		/* of each, that there may be */
#define MAX_FILE	(48 << 10)
#define STOPPED_MS	20000
#define LOAD_MS		1500

static const struct nullb disk = {
	.name = "iott_mkfs", .size_mb = 320,
};

/* Writes its files here and there, reads, renames and removes them. */
struct builder {
	unsigned int	number;
	unsigned int	files;
	int		here, copy;
	int		error;
	bool		*enough;
	pthread_t	thread;
};

static uint64_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

static int put_file(int dir, const char *name, const char *data, size_t len,
		    bool sync)
{
	int fd = openat(dir, "new", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, data, len) != (ssize_t)len || (sync && fsync(fd)))
		ret = errno ? -errno : -ENOSPC;
	close(fd);
	if (!ret && renameat(dir, "new", dir, name))
		ret = -errno;
	return ret;
}

static int get_file(int dir, const char *name, char *data, size_t *len)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, data, MAX_FILE);
	close(fd);
	if (n < 0)
		return -EIO;
	*len = n;
	return 0;
}

/* One file made from nothing, and a second one from the first, as it is read. */
static int build_one(struct builder *b, uint64_t *seed, char *data)
{
	unsigned int slot = b->files % NR_FILES;
	size_t len = 1 + next(seed) % MAX_FILE, i;
	bool sync = b->files % 4 == 3;
	char name[32];
	int ret;

	for (i = 0; i < len; i++)
		data[i] = next(seed);
	snprintf(name, sizeof(name), "s%u-%u", b->number, slot);
	ret = put_file(b->here, name, data, len, sync);
	if (!ret)
		ret = put_file(b->copy, name, data, len, false);
	if (!ret)
		ret = get_file(b->here, name, data, &len);
	for (i = 0; i < len; i++)
		data[i] = ~data[i];
	snprintf(name, sizeof(name), "o%u-%u", b->number, slot);
	if (!ret)
		ret = put_file(b->here, name, data, len, false);
	if (!ret)
		ret = put_file(b->copy, name, data, len, false);
	if (ret || b->files % 8 != 7)
		return ret;
	snprintf(name, sizeof(name), "o%u-%u", b->number, slot - 4);
	return unlinkat(b->here, name, 0) || unlinkat(b->copy, name, 0) ? -errno : 0;
}

static void *build(void *data)
{
	struct builder *b = data;
	uint64_t seed = b->number + 1;
	char *buffer = malloc(MAX_FILE);

	b->error = buffer ? 0 : -ENOMEM;
	while (!b->error && !__atomic_load_n(b->enough, __ATOMIC_ACQUIRE)) {
		b->error = build_one(b, &seed, buffer);
		b->files++;
	}
	free(buffer);
	return NULL;
}

static int new_directory(const char *where, unsigned int number)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/d%u", where, number);
	if (mkdir(path, 0700))
		return -errno;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int begin(struct builder *b, unsigned int number, bool *enough)
{
	*b = (struct builder){ .number = number, .enough = enough };
	b->here = new_directory(WHERE, number);
	b->copy = new_directory(COPY, number);
	if (b->here < 0 || b->copy < 0)
		return -EIO;
	return -pthread_create(&b->thread, NULL, build, b);
}

static int end(struct builder *b)
{
	pthread_join(b->thread, NULL);
	close(b->here);
	close(b->copy);
	return b->error;
}

static bool same_file(const char *one, const char *other)
{
	char command[160];

	snprintf(command, sizeof(command), "cmp -s %s %s", one, other);
	return !system(command);
}

/* Files of one of the builders in both trees, or the negative number of a wrong one. */
static int compare(unsigned int number)
{
	char here[96], copy[96], dir[64];
	struct dirent *entry;
	int files = 0, there = 0;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/d%u", WHERE, number);
	d = opendir(dir);
	while (d && (entry = readdir(d)))
		there += entry->d_name[0] != '.';
	if (d)
		closedir(d);
	snprintf(dir, sizeof(dir), "%s/d%u", COPY, number);
	d = opendir(dir);
	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		files++;
		snprintf(here, sizeof(here), "%s/d%u/%.31s", WHERE, number,
			 entry->d_name);
		snprintf(copy, sizeof(copy), "%s/%.31s", dir, entry->d_name);
		if (!same_file(here, copy)) {
			printf("# %s is another one\n", here);
			files = -1000000;
		}
	}
	if (d)
		closedir(d);
	return files == there ? files : -1;
}

static int run(const char *tool, const char *path)
{
	char command[160];
	int ret;

	snprintf(command, sizeof(command), "%s %s >/tmp/mkfs.out 2>&1", tool, path);
	ret = system(command);
	if (ret)
		system("sed 's/^/# /' /tmp/mkfs.out");
	return ret;
}

FIXTURE(mkfs) {
	char lower[DEVICE_PATH];
	char path[DEVICE_PATH];
	int hung_tasks;
};

FIXTURE_VARIANT(mkfs) {
	const char *type, *make, *check;
};

FIXTURE_VARIANT_ADD(mkfs, ext4) {
	.type = "ext4", .make = "mkfs.ext4 -q -F", .check = "e2fsck -fn",
};

FIXTURE_VARIANT_ADD(mkfs, xfs) {
	.type = "xfs", .make = "mkfs.xfs -q -f", .check = "xfs_repair -n",
};

static bool have(const char *tool)
{
	char command[96];

	snprintf(command, sizeof(command), "%s -V >/dev/null 2>&1", tool);
	return !system(command);
}

FIXTURE_SETUP(mkfs)
{
	char tool[32];

	if (!gates_loaded())
		SKIP(return, NO_GATES);
	snprintf(tool, sizeof(tool), "mkfs.%s", variant->type);
	if (!have(tool))
		SKIP(return, "there is no %s", tool);
	if (!got_device(self->lower, nullb_make(&disk)))
		SKIP(return, "%s", device_reason());
	system("rm -rf " WHERE " " COPY);
	ASSERT_EQ(0, mkdir(WHERE, 0700));
	ASSERT_EQ(0, mkdir(COPY, 0700));
	gates_cleanup();
	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_on(GATE, self->lower, self->path));
	/* Its users wait as long as it is stopped: that is no alarm here. */
	self->hung_tasks = hung_tasks(0);
}

FIXTURE_TEARDOWN(mkfs)
{
	umount(WHERE);
	gates_cleanup();
	hung_tasks(self->hung_tasks);
	system("rm -rf " WHERE " " COPY);
	ON_TIME();
}

static unsigned int built(const struct builder *builders)
{
	unsigned int i, files = 0;

	for (i = 0; i < NR_BUILDERS; i++)
		files += __atomic_load_n(&builders[i].files, __ATOMIC_RELAXED);
	return files;
}

TEST_F_TIMEOUT(mkfs, a_build_while_it_is_stopped, 120)
{
	struct builder builders[NR_BUILDERS];
	uint64_t held = 0, later = 0, sent;
	unsigned int i, files;
	bool enough = false;

	ASSERT_EQ(0, run(variant->make, self->path));
	ASSERT_EQ(0, mount(self->path, WHERE, variant->type, 0, NULL));
	for (i = 0; i < NR_BUILDERS; i++)
		ASSERT_EQ(0, begin(&builders[i], i, &enough));
	sleep_ms(LOAD_MS);

	ASSERT_EQ(0, gate_set(GATE, "state", "stop"));
	sleep_ms(STOPPED_MS - 2000);
	EXPECT_TRUE(gate_inflight(GATE, &held, &sent));
	EXPECT_LT(0, held);
	EXPECT_EQ(0, sent);
	files = built(builders);
	sleep_ms(2000);
	EXPECT_TRUE(gate_inflight(GATE, &later, &sent));
	EXPECT_LE(held, later);
	/* Each waits in an fsync(), sooner or later. */
	EXPECT_EQ(files, built(builders));
	EXPECT_TRUE(gate_is(GATE, "stopped"));
	ASSERT_EQ(0, gate_set(GATE, "state", "start"));
	sleep_ms(LOAD_MS);
	EXPECT_LT(files, built(builders));

	__atomic_store_n(&enough, true, __ATOMIC_RELEASE);
	for (i = 0; i < NR_BUILDERS; i++)
		EXPECT_EQ(0, end(&builders[i]));
	printf("# %u files, %u before the stop; %llu bios were held\n",
	       built(builders), files, (unsigned long long)later);
	ASSERT_EQ(0, umount(WHERE));
	EXPECT_EQ(0, run(variant->check, self->path));
	ASSERT_EQ(0, gate_off(GATE));
	/* What is below the gate is whole, and what was written. */
	EXPECT_EQ(0, run(variant->check, self->lower));
	ASSERT_EQ(0, mount(self->lower, WHERE, variant->type, MS_RDONLY, NULL));
	for (i = 0; i < NR_BUILDERS; i++)
		EXPECT_LT(0, compare(i));
	EXPECT_EQ(0, umount(WHERE));
}

TEST_HARNESS_MAIN
