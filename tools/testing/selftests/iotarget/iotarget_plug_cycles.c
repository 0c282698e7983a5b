// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks on all buses at once, each plugged in, loaded by four threads and pulled,
 * IOTARGET_PLUG_ROUNDS times.  After that every counter is where it began: our
 * slab objects, the users of the modules, the kernel's threads.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdarg.h>

#include "fixture.h"
#include "host.h"

#define SPAN		(2 * MIB)
#define BLOCK		4096
#define NR_DISKS	6
#define SETTLE_MS	10000
#define ALL_GONE_MS	(4 * GONE_MS)	/* all buses are busy at once */
#define SLAB_BEFORE	"/tmp/plug-slab-before"
#define SLAB_AFTER	"/tmp/plug-slab-after"

static const char * const ids[NR_DISKS] = {
	"usb1", "uas0", "nvme1", "nvme0", "vblk0", "vscsi0",
};

static const char * const modules[] = {
	"iotarget", "iotarget_test", "sd_mod", "usb_storage", "uas",
	"nvme", "nvme_core", "virtio_blk", "virtio_scsi",
};

struct counters {
	long	users[ARRAY_SIZE(modules)];
	long	threads;
};

/* One disk's life: thread, what it did, what went wrong first. */
struct cycler {
	const char	*id;
	unsigned int	rounds, done;
	unsigned long long accepted, unknown, failed, gone_ms;
	char		problem[200];
	pthread_t	thread;
};

/* A thread of the kernel's own that somebody made: no worker of a pool. */
static bool counts(const char *pid)
{
	char path[300], name[64] = "";
	FILE *f;
	int c;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	c = fgetc(f);
	fclose(f);
	if (c != EOF)
		return false;
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	return name[0] && strncmp(name, "kworker", 7);
}

static long count_threads(void)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	long count = 0;

	while (dir && (entry = readdir(dir)))
		count += isdigit((unsigned char)entry->d_name[0]) &&
			 counts(entry->d_name);
	if (dir)
		closedir(dir);
	return count;
}

static struct counters count(void)
{
	struct counters now = { .threads = count_threads() };
	char path[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modules); i++) {
		snprintf(path, sizeof(path), "/sys/module/%s/refcnt",
			 modules[i]);
		now.users[i] = sysfs_number(path);
	}
	return now;
}

static bool wrong(struct cycler *c, const char *format, ...)
{
	va_list args;
	int n;

	n = snprintf(c->problem, sizeof(c->problem), "%s, round %u: ", c->id,
		     c->done);
	va_start(args, format);
	vsnprintf(c->problem + n, sizeof(c->problem) - n, format, args);
	va_end(args);
	return false;
}

#define TRY(_c, _call) ({						\
	int _ret = (_call);						\
	_ret ? wrong(_c, "%s: %d", #_call, _ret) : true; })

/* The target's way to its end, another one each time. */
static bool end(struct cycler *c, int fd)
{
	switch (c->done % 3) {
	case 0:
		return TRY(c, target_close(fd, LONG_MS, NULL));
	case 1:
		return TRY(c, target_stop(fd, WAIT_FOR_SENT, LONG_MS, NULL)) &&
		       TRY(c, target_purge(fd, PURGE_AND_WAIT, LONG_MS,
					   NULL)) &&
		       TRY(c, target_close(fd, LONG_MS, NULL));
	default:
		return TRY(c, target_delete(fd, LONG_MS, NULL));
	}
}

static bool books_right(struct cycler *c,
			const struct iotarget_test_load_stop *b)
{
	c->accepted += b->accepted;
	c->unknown += b->unknown;
	c->failed += b->failed;
	if (!b->done)
		return wrong(c, "nothing was done");
	if (b->accepted != b->callbacks)
		return wrong(c, "accepted %llu, called back %llu", b->accepted,
			     b->callbacks);
	if (b->lost || b->doubles || b->uninvited || b->inconsistent)
		return wrong(c, "lost %llu, doubles %llu, uninvited %llu, inconsistent %llu",
			     b->lost, b->doubles, b->uninvited,
			     b->inconsistent);
	if (b->callbacks != b->done + b->failed + b->unknown + b->never_sent)
		return wrong(c, "the outcomes do not add up");
	if (b->wrong_data)
		return wrong(c, "%llu reads of wrong data", b->wrong_data);
	return true;
}

static bool pulled_under_load(struct cycler *c, struct plugged *disk, int fd)
{
	struct iotarget_test_load_start load = {
		.threads = 4, .depth = 8, .write_percent = 50,
		.min_len = BLOCK, .max_len = 4 * BLOCK, .span = SPAN,
		.bits = c->done ? IOTARGET_TEST_LOAD_VERIFY : 0,
	};
	struct iotarget_test_load_stop books;
	uint64_t began;

	/* The first round fills it, all others find what was there. */
	if (!c->done && !TRY(c, device_fill(disk->path, 0, SPAN, SEED)))
		return false;
	if (!TRY(c, load_start(fd, &load)))
		return false;
	if (!load_runs(fd, 50))
		return wrong(c, "the load does not run");
	began = now_ms();
	if (!TRY(c, disk_pull(disk)) ||
	    !TRY(c, disk_wait_gone(disk, slow(ALL_GONE_MS))))
		return false;
	if (!end(c, fd) || !TRY(c, load_stop(fd, LONG_MS, &books)))
		return false;
	c->gone_ms = now_ms() - began > c->gone_ms ? now_ms() - began :
						     c->gone_ms;
	return books_right(c, &books);
}

static bool one_cycle(struct cycler *c)
{
	struct plugged disk;
	bool right;
	int fd;

	if (!TRY(c, disk_plug(&disk, c->id)))
		return false;
	fd = target_opened("cycle", disk.path);
	if (fd < 0)
		return wrong(c, "open: %d", fd);
	right = pulled_under_load(c, &disk, fd);
	close(fd);
	return right;
}

static void show(const struct cycler *c)
{
	printf("# %s: %u rounds, %llu requests, %llu unknown, %llu failed",
	       c->id, c->done, c->accepted, c->unknown, c->failed);
	printf("; from the pull to the end at most %llu ms\n", c->gone_ms);
}

static void *cycle(void *data)
{
	struct cycler *c = data;

	for (c->done = 0; c->done < c->rounds; c->done++) {
		if (!one_cycle(c))
			return NULL;
		if (c->done % 10 == 9)
			printf("# %s: %u rounds\n", c->id, c->done + 1);
	}
	return NULL;
}

/* What is freed late gets some time. */
static void check_counters(struct __test_metadata *_metadata,
			   const struct counters *before)
{
	uint64_t until = now_ms() + slow(SETTLE_MS);
	struct counters after;
	unsigned int i;

	do {
		after = count();
		if (!memcmp(&after, before, sizeof(after)))
			break;
		sleep_ms(100);
	} while (now_ms() < until);
	for (i = 0; i < ARRAY_SIZE(modules); i++)
		EXPECT_EQ(before->users[i], after.users[i])
			TH_LOG("users of module %u", i);
	EXPECT_EQ(before->threads, after.threads);
	EXPECT_EQ(0, system("slab-objects " SLAB_BEFORE " >" SLAB_AFTER
			    " && cmp " SLAB_BEFORE " " SLAB_AFTER));
	printf("# %ld threads of the kernel, before %ld\n", after.threads,
	       before->threads);
}

FIXTURE(plug) {
	unsigned int rounds;
	unsigned int disks;
};

FIXTURE_SETUP(plug)
{
	const char *rounds = getenv("IOTARGET_PLUG_ROUNDS");
	unsigned int i;

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	for (i = 0; i < NR_DISKS; i++)
		self->disks += !host_has(ids[i]);
	if (!self->disks)
		SKIP(return, "%s", host_has(ids[0]));
	self->rounds = rounds ? strtoul(rounds, NULL, 0) : 3;
	/* All that is loaded at once is too much for two processors. */
	late_calls_excused(true);
}

FIXTURE_TEARDOWN(plug)
{
}

TEST_F_TIMEOUT(plug, all_buses, 270)
{
	struct cycler cyclers[NR_DISKS] = {};
	struct counters before;
	uint64_t began = now_ms();
	unsigned int i, cycles = 0;

	ASSERT_EQ(0, system("slab-objects >" SLAB_BEFORE));
	before = count();
	/* Several loads at once leave a slow kernel no time for the plugging. */
	for (i = 0; i < NR_DISKS; i++) {
		if (host_has(ids[i])) {
			printf("# %s: %s\n", ids[i], host_has(ids[i]));
			continue;
		}
		cyclers[i].id = ids[i];
		cyclers[i].rounds = self->rounds;
		ASSERT_EQ(0, pthread_create(&cyclers[i].thread, NULL, cycle,
					    &cyclers[i]));
		if (slow(1) > 1)
			pthread_join(cyclers[i].thread, NULL);
	}
	for (i = 0; i < NR_DISKS; i++) {
		if (!cyclers[i].id)
			continue;
		if (slow(1) == 1)
			pthread_join(cyclers[i].thread, NULL);
		EXPECT_EQ(self->rounds, cyclers[i].done)
			TH_LOG("%s", cyclers[i].problem);
		cycles += cyclers[i].done;
		show(&cyclers[i]);
	}
	printf("# %u cycles in %.1f s\n", cycles, (now_ms() - began) / 1000.0);
	check_counters(_metadata, &before);
}

TEST_HARNESS_MAIN
