// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the tests of removals against which somebody waits share: disks that go, jobs of
 * other threads, and what must be as before when all is over, the users of the modules
 * and nobody who can't be woken.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "removing.h"
#include "victim.h"

#define SCSI_DEBUG	"/sys/bus/pseudo/drivers/scsi_debug"
#define NO_MODULE	"iotarget_test is not loaded, or this is not root"

/* -- what is looked at around each test ------------------------------------- */

static const char * const modules[NR_MODULES] = {
	"iotarget", "iotarget_disk", "iogate", "iotarget_test", "scsi_debug",
	"sd_mod", "usb_storage", "virtio_blk",
};

struct users users_now(void)
{
	struct users users;
	unsigned int i;

	for (i = 0; i < NR_MODULES; i++)
		users.before[i] = module_users(modules[i]);
	return users;
}

/* What is closed lets go of its module when RCU is through with it. */
bool users_back(const struct users *users)
{
	uint64_t until = now_ms() + LONG_MS;
	unsigned int i;

	for (i = 0; i < NR_MODULES; i++) {
		while (module_users(modules[i]) != users->before[i]) {
			if (now_ms() > until) {
				printf("# %s: %ld users, before it had %ld\n",
				       modules[i], module_users(modules[i]),
				       users->before[i]);
				return false;
			}
			sleep_ms(10);
		}
	}
	return true;
}

/* A task of the kernel's, or of this process, that can't be woken. */
static bool is_stuck(const char *stat_path, char *name, size_t size)
{
	char line[512], state, *end, *comm;
	FILE *f = fopen(stat_path, "re");
	bool stuck = false;
	int parent;

	if (!f)
		return false;
	if (fgets(line, sizeof(line), f)) {
		comm = strchr(line, '(');
		end = strrchr(line, ')');
		if (comm && end && sscanf(end + 1, " %c %d", &state, &parent) == 2)
			stuck = state == 'D' &&
				(parent == 2 || parent == getppid());
		if (stuck)
			snprintf(name, size, "%.*s", (int)(end - comm + 1),
				 comm);
	}
	fclose(f);
	return stuck;
}

/* One whose name has this in it. */
static bool somebody_stuck(const char *part, char *name, size_t size)
{
	glob_t found = {};
	bool stuck = false;
	size_t i;

	glob("/proc/[0-9]*/task/[0-9]*/stat", GLOB_NOSORT, NULL, &found);
	for (i = 0; i < found.gl_pathc && !stuck; i++)
		stuck = is_stuck(found.gl_pathv[i], name, size) &&
			strstr(name, part);
	globfree(&found);
	return stuck;
}

bool gets_stuck(const char *part, unsigned int ms)
{
	uint64_t until = now_ms() + ms;
	char name[64];

	while (!somebody_stuck(part, name, sizeof(name))) {
		if (now_ms() > until)
			return false;
		sleep_ms(5);
	}
	return true;
}

/* In some moment nobody is: who does not wait for us does not wait for long. */
bool nobody_stuck(void)
{
	uint64_t until = now_ms() + LONG_MS;
	char name[64];

	while (somebody_stuck("", name, sizeof(name))) {
		if (now_ms() > until) {
			printf("# %s still waits\n", name);
			return false;
		}
		sleep_ms(20);
	}
	return true;
}

/* -- calls by other threads --------------------------------------------------- */

static int run_job(void *arg)
{
	struct job *job = arg;
	int ret = timed_call(job->call, job->ms, job->act, job->arg);

	__atomic_store_n(&job->over, true, __ATOMIC_RELEASE);
	return ret;
}

/* With a time it is held against it; FOREVER where that begins later. */
int job_begin(struct job *job, const char *call, unsigned int ms,
	      int (*act)(void *arg), void *arg)
{
	*job = (struct job){ .call = call, .ms = ms, .act = act, .arg = arg };
	return meanwhile_begin(&job->m, run_job, job);
}

bool is_over(const struct job *job)
{
	return __atomic_load_n(&job->over, __ATOMIC_ACQUIRE);
}

/* So long from now on; said as a call of that time is. */
bool over_within(const struct job *job, unsigned int ms)
{
	uint64_t until = now_ms() + LONG_MS;

	call_begins();
	while (!is_over(job) && now_ms() < until)
		sleep_ms(1);
	call_ended(job->call, ms);
	return is_over(job);
}

/* -- disks that go ------------------------------------------------------------ */

void no_scsi_debug(void)
{
	scsi_debug_set("every_nth", 0);
	scsi_debug_set("opts", 0);
	scsi_debug_set("ndelay", 0);
	while (!access(SCSI_DEBUG "/adapter0", F_OK) &&
	       !scsi_debug_set("add_host", -1))
		;
	scsi_debug_set("max_luns", 1);
}

/* NULL, or why there is none. */
const char *victim_lacks(const char *id, enum how how)
{
	if (!module_loaded())
		return NO_MODULE;
	if (how == DISK_PULLED)
		return host_pulls(id);
	return access(SCSI_DEBUG, F_OK) ? "the kernel has no scsi_debug" : NULL;
}

int victim_make(struct victim *v, const char *id, enum how how)
{
	*v = (struct victim){ .how = how };
	if (how != DISK_PULLED) {
		no_scsi_debug();
		return got_device(v->path, scsi_debug_disk()) ? 0 : -ENODEV;
	}
	if (disk_plug(&v->disk, id)) {
		/* One that failed before may have left it. */
		host_ask("unplug", id);
		if (disk_plug(&v->disk, id))
			return -ENODEV;
	}
	return got_device(v->path, v->disk.path) ? 0 : -ENODEV;
}

static int take_away(const struct victim *v)
{
	char dir[DEVICE_PATH + 32];

	switch (v->how) {
	case DISK_PULLED:
		/* Where the driver is asked even of that, it is not waited for. */
		return host_ask("after 0 unplug", v->disk.id) ?:
		       disk_wait_gone(&v->disk, LONG_MS);
	case DISK_DELETED:
		snprintf(dir, sizeof(dir), "/sys/block/%s/device", v->path + 5);
		return sysfs_put(dir, "delete", "1");
	case HOST_GOES:
		return scsi_debug_set("add_host", -1);
	}
	return -EINVAL;
}

/* It returns when nothing of the disk is left. */
int vanish(void *arg)
{
	struct victim *v = arg;
	uint64_t began = now_ms();
	int ret;

	v->gone = true;
	ret = take_away(v);
	printf("# the removal took %llu ms\n",
	       (unsigned long long)(now_ms() - began));
	return ret;
}

/* By us it is held up for so long at most: that is whoever removes it, a kworker or we. */
int vanish_now(struct victim *v, unsigned int held_ms)
{
	return timed_call("removal of the disk", held_ms + slow(KERNEL_MS),
			  vanish, v);
}

int vanish_begin(struct job *job, struct victim *v, unsigned int held_ms)
{
	return job_begin(job, "removal of the disk", held_ms + slow(KERNEL_MS),
			 vanish, v);
}

/* Whatever has become of it: there is none any more. */
int victim_end(struct victim *v)
{
	int ret = v->gone ? 0 : vanish(v);

	if (v->how != DISK_PULLED)
		no_scsi_debug();
	return ret;
}
