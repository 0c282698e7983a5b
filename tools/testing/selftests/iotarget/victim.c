// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the tests of removals against which somebody waits share: disks that go, jobs of
 * other threads, and what must be as before when all is over, the users of the modules
 * and nobody who can't be woken.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "removing.h"
#include "victim.h"

#define SCSI_DEBUG	"/sys/bus/pseudo/drivers/scsi_debug"
#define NULLB		"/sys/kernel/config/nullb"
#define POLL_MS		10
#define OFFLINE		"offline\n"	/* as sysfs wants it */

/* Until a slow disk answers; that in jiffies takes 3 s if there are 250 in one. */
#define VICTIM_SLOW_MS		3000
#define VICTIM_SLOW_JIFFIES	750

/* More at a time older kernels put into their table in the wrong order. */
#define BAD_AT_ONCE	512
#define NO_MODULE	"iotarget_test is not loaded, or this is not root"

/* -- what is looked at around each test ------------------------------------- */

static const char * const modules[NR_MODULES] = {
	"iotarget", "iotarget_disk", "iogate", "iotarget_test", "scsi_debug",
	"sd_mod", "usb_storage", "virtio_blk",
};

/* With no target of ours: what the test before has closed may be on its way out. */
struct users users_now(void)
{
	uint64_t until = now_ms() + LONG_MS;
	struct users users;
	unsigned int i;

	while (module_users("iotarget_test") > 0 && now_ms() < until)
		sleep_ms(POLL_MS);
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
	scsi_debug_set("delay", 1);
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
	if (how == POWER_CUT && access(NULLB, F_OK))
		return "the kernel has no null_blk in configfs";
	if (how == FILE_TAKEN && access("/dev/loop-control", F_OK))
		return "the kernel has no loop devices";
	if (how < POWER_CUT && access(SCSI_DEBUG, F_OK))
		return "the kernel has no scsi_debug";
	return id ? host_turn(id) : NULL;
}

/*
 * A null_blk, or one below a loop device: what that does to its device and not through
 * the page cache is slow, and fails, as the device.
 */
static struct nullb power(unsigned int delay_ms)
{
	return (struct nullb){
		.name = "iott_victim", .size_mb = 64, .delay_ms = delay_ms,
	};
}

static int make_nullb(char *path, unsigned int delay_ms)
{
	const struct nullb disk = power(delay_ms);

	nullb_remove(disk.name);
	return got_device(path, nullb_make(&disk)) ? 0 : -ENODEV;
}

/* Nobody has it open when this returns. */
static int make_loop(struct victim *v, unsigned int delay_ms)
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_DIRECT_IO };
	char lower[DEVICE_PATH];
	int file, fd, ret;

	ret = make_nullb(lower, delay_ms);
	if (ret)
		return ret;
	file = open(lower, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (file < 0)
		return -errno;
	config.fd = file;
	fd = loop_new(v->path, sizeof(v->path));
	if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	close(file);
	return ret;
}

static int make_one(struct victim *v, unsigned int delay_ms)
{
	int ret;

	switch (v->how) {
	case DISK_PULLED:
		return -EINVAL;
	case POWER_CUT:
		ret = make_nullb(v->path, delay_ms);
		break;
	case FILE_TAKEN:
		ret = make_loop(v, delay_ms);
		break;
	default:
		no_scsi_debug();
		ret = got_device(v->path, scsi_debug_disk()) ? 0 : -ENODEV;
	}
	snprintf(v->disk.path, sizeof(v->disk.path), "%s", v->path);
	snprintf(v->disk.name, sizeof(v->disk.name), "%.31s", v->path + 5);
	return ret;
}

int victim_make(struct victim *v, const char *id, enum how how)
{
	*v = (struct victim){ .how = how };
	if (how != DISK_PULLED)
		return make_one(v, 0);
	if (disk_plug(&v->disk, id)) {
		/* One that failed before may have left it. */
		host_ask("unplug", id);
		if (disk_plug(&v->disk, id))
			return -ENODEV;
	}
	return got_device(v->path, v->disk.path) ? 0 : -ENODEV;
}

/*
 * From now on what is sent stays out: for good, or, if it answers a driver that lets it
 * go, for a while.  Those that can't be slowed down are made anew: nobody has them open.
 */
int victim_slow(struct victim *v, bool answers)
{
	char words[64];

	switch (v->how) {
	case DISK_PULLED:
		if (!answers)
			return host_ask("stall", v->disk.id);
		/* One a second: the pull comes long before the last answer. */
		snprintf(words, sizeof(words), "%s 1", v->disk.id);
		return host_ask("throttle", words);
	case POWER_CUT:
		return make_one(v, VICTIM_SLOW_MS);
	case FILE_TAKEN:
		return victim_remove(v) ?: make_one(v, VICTIM_SLOW_MS);
	default:
		return scsi_debug_set("delay", VICTIM_SLOW_JIFFIES);
	}
}

static int scsi_put(const struct victim *v, const char *attr, const char *value)
{
	char dir[DEVICE_PATH + 32];

	snprintf(dir, sizeof(dir), "/sys/block/%s/device", v->disk.name);
	return sysfs_put(dir, attr, value);
}

static int nullb_fail(void)
{
	const struct nullb disk = power(0);
	const unsigned int sectors = disk.size_mb * (MIB / SECTOR);
	char dir[64], range[32];
	unsigned int i;
	int ret = 0;

	snprintf(dir, sizeof(dir), NULLB "/%s", disk.name);
	for (i = 0; i < sectors && !ret; i += BAD_AT_ONCE) {
		snprintf(range, sizeof(range), "+%u-%u", i, i + BAD_AT_ONCE - 1);
		ret = sysfs_put(dir, "badblocks", range);
	}
	return ret;
}

/* It answers with errors, and is there. */
int victim_fail(struct victim *v)
{
	v->fails = true;
	switch (v->how) {
	case DISK_PULLED:
		return host_ask("fail", v->disk.id);
	case POWER_CUT:
	case FILE_TAKEN:
		return nullb_fail();
	default:
		return scsi_put(v, "state", OFFLINE);
	}
}

/* There is nothing where it looks for its contents, and so it has no capacity. */
static int loop_take_file(const struct victim *v)
{
	const uint64_t until = now_ms() + LONG_MS;
	struct loop_info64 info;
	int fd = open(v->path, O_RDWR | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, LOOP_GET_STATUS64, &info))
		ret = -errno;
	info.lo_offset = device_size(v->path);
	/* Who looks at the disk right now may keep an older kernel from it. */
	while (!ret && ioctl(fd, LOOP_SET_STATUS64, &info)) {
		if (errno != EAGAIN || now_ms() > until)
			ret = -errno;
		sleep_ms(POLL_MS);
	}
	close(fd);
	return ret;
}

/* The disk of a loop device goes when nobody has it open any more, and not before. */
static int loop_remove_disk(const struct victim *v)
{
	const uint64_t until = now_ms() + LONG_MS;
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int fd = open(v->path, O_RDWR | O_CLOEXEC);
	int ret = 0;

	if (control < 0 || fd < 0)
		ret = -errno;
	if (!ret && ioctl(fd, LOOP_CLR_FD))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	while (!ret && ioctl(control, LOOP_CTL_REMOVE,
			     atoi(v->disk.name + strlen("loop")))) {
		if (errno != EBUSY || now_ms() > until)
			ret = -errno;
		sleep_ms(POLL_MS);
	}
	if (control >= 0)
		close(control);
	return ret;
}

/* As its owner removes it, if nobody has it open or nobody is asked. */
int victim_remove(struct victim *v)
{
	const struct nullb disk = power(0);

	switch (v->how) {
	case DISK_PULLED:
		return -EINVAL;
	case POWER_CUT:
		v->gone = true;
		return nullb_power(disk.name, false);
	case FILE_TAKEN:
		return loop_remove_disk(v);
	default:
		v->gone = true;
		return scsi_put(v, "delete", "1");
	}
}

static int take_away(struct victim *v)
{
	switch (v->how) {
	case DISK_PULLED:
		/* Where the driver is asked even of that, it is not waited for. */
		return host_ask("after 0 unplug", v->disk.id) ?:
		       disk_wait_gone(&v->disk, LONG_MS);
	case DISK_OFFLINE:
		return scsi_put(v, "state", OFFLINE) ?: victim_remove(v);
	case HOST_GOES:
		return scsi_debug_set("add_host", -1);
	case FILE_TAKEN:
		return loop_take_file(v);
	default:
		return victim_remove(v);
	}
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

/* Whatever has become of it: there is none any more.  A loop device nobody has open. */
int victim_end(struct victim *v)
{
	const struct nullb disk = power(0);
	int ret = 0;

	switch (v->how) {
	case DISK_PULLED:
		if (v->gone)
			ret = disk_wait_gone(&v->disk, LONG_MS);
		else
			ret = disk_pull(&v->disk) ?:
			      disk_wait_gone(&v->disk, LONG_MS);
		v->gone = true;
		return (v->fails ? host_ask("mend", v->disk.id) : 0) ?: ret;
	case FILE_TAKEN:
		if (disk_there(&v->disk))
			ret = victim_remove(v);
		return nullb_remove(disk.name) ?: ret;
	case POWER_CUT:
		return nullb_remove(disk.name);
	default:
		ret = v->gone ? 0 : vanish(v);
		no_scsi_debug();
		return ret;
	}
}
