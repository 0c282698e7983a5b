// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file system on a gate: sync, umount and freeze while the gate is stopped,
 * purged or taken away, in each order; and files that survive it all.
 */
#include <linux/fs.h>
#include <sys/wait.h>

#include "faulty.h"
#include "fixture.h"
#include "gates.h"

#define GATE		GATE_PREFIX "a"
#define OTHER		GATE_PREFIX "b"
#define NO_GATES	"iogate is not loaded, or this is not root"
#define FILE_LEN	(16 << 10)
#define HELD_MS		300

/* What is done to the file system; it has dirty pages. */
static int do_sync(void *arg)
{
	return syncfs(*(int *)arg) ? -errno : 0;
}

static int do_freeze(void *arg)
{
	return ioctl(*(int *)arg, FIFREEZE, 0) ? -errno : 0;
}

static char where[64];		/* the file system is mounted */

static bool make_where(void)
{
	snprintf(where, sizeof(where), "/tmp/iotarget-gate-XXXXXX");
	return mkdtemp(where);
}

static int do_umount(void *arg)
{
	int *dir = arg;

	close(*dir);
	*dir = -1;
	return umount(where) ? -errno : 0;
}

FIXTURE(fs) {
	char lower[DEVICE_PATH];
	char path[DEVICE_PATH];
	char *data;
	int dir;
};

FIXTURE_VARIANT(fs) {
	int (*act)(void *arg);
};

FIXTURE_VARIANT_ADD(fs, sync) { .act = do_sync, };
FIXTURE_VARIANT_ADD(fs, umount) { .act = do_umount, };
FIXTURE_VARIANT_ADD(fs, freeze) { .act = do_freeze, };

static int write_file(int dir, const char *name, char fill)
{
	int fd = openat(dir, name, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	char data[FILE_LEN];
	int ret = 0;

	if (fd < 0)
		return -errno;
	memset(data, fill, sizeof(data));
	if (write(fd, data, sizeof(data)) != sizeof(data))
		ret = -errno;
	close(fd);
	return ret;
}

static int file_is(int dir, const char *name, char fill)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char data[FILE_LEN];
	unsigned int i;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, data, sizeof(data));
	close(fd);
	for (i = 0; n == FILE_LEN && i < FILE_LEN; i++)
		if (data[i] != fill)
			return 0;
	return n == FILE_LEN;
}

static int mount_gate(const char *path)
{
	if (mount(path, where, "ext4", 0, NULL))
		return -errno;
	return open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

FIXTURE_SETUP(fs)
{
	self->dir = -1;
	if (!gates_loaded())
		SKIP(return, NO_GATES);
	if (!got_device(self->lower, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	ASSERT_TRUE(make_where());
	gates_cleanup();
	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_on(GATE, self->lower, self->path));
	ASSERT_EQ(0, device_ext2(self->path));
	self->dir = mount_gate(self->path);
	if (self->dir < 0)
		SKIP(return, "cannot mount ext4: %s", strerror(-self->dir));
	ASSERT_EQ(0, write_file(self->dir, "kept", 'k'));
	ASSERT_EQ(0, syncfs(self->dir));
	ASSERT_EQ(0, write_file(self->dir, "dirty", 'd'));
}

/* Whatever has become of it, it can be unmounted. */
FIXTURE_TEARDOWN(fs)
{
	if (self->dir >= 0) {
		ioctl(self->dir, FITHAW, 0);
		EXPECT_EQ(0, do_umount(&self->dir));
	}
	gate_remove(GATE);
	rmdir(where);
	ON_TIME();
}

/* One of the three, by another thread. */
struct job {
	struct meanwhile	m;
	int			(*act)(void *arg);
	void			*arg;
	bool			over;
};

static int run_job(void *arg)
{
	struct job *job = arg;
	int ret = job->act(job->arg);

	__atomic_store_n(&job->over, true, __ATOMIC_RELEASE);
	return ret;
}

static int job_begin(struct job *job, int (*act)(void *arg), void *arg)
{
	*job = (struct job){ .act = act, .arg = arg };
	return meanwhile_begin(&job->m, run_job, job);
}

static bool is_over(const struct job *job)
{
	return __atomic_load_n(&job->over, __ATOMIC_ACQUIRE);
}

static bool over_in_time(const struct job *job)
{
	uint64_t until = now_ms() + LONG_MS;

	while (!is_over(job) && now_ms() < until)
		sleep_ms(10);
	return is_over(job);
}

/* -- each of the three ------------------------------------------------------- */

TEST_F(fs, waits_for_the_start)
{
	struct job job;

	ASSERT_EQ(0, gate_set(GATE, "state", "stop"));
	ASSERT_EQ(0, job_begin(&job, variant->act, &self->dir));
	sleep_ms(HELD_MS);
	EXPECT_FALSE(is_over(&job));
	EXPECT_EQ(0, gate_set(GATE, "state", "start"));
	EXPECT_TRUE(over_in_time(&job));
	EXPECT_EQ(0, meanwhile_end(&job.m));
	if (self->dir < 0) {
		self->dir = mount_gate(self->path);
		ASSERT_LE(0, self->dir);
	}
	EXPECT_EQ(1, file_is(self->dir, "dirty", 'd'));
}

/* It waits at the gate, and the gate is taken away. */
TEST_F(fs, then_the_gate_goes)
{
	struct job job;

	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	ASSERT_EQ(0, job_begin(&job, variant->act, &self->dir));
	sleep_ms(HELD_MS);
	EXPECT_FALSE(is_over(&job));
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_TRUE(over_in_time(&job));
	/* An unmount has nothing to complain of, the others may. */
	EXPECT_GE(0, meanwhile_end(&job.m));
	EXPECT_TRUE(node_goes(self->path, LONG_MS));
	EXPECT_TRUE(device_becomes_free(self->lower));
}

/* The gate is taken away, and then it is done. */
TEST_F(fs, after_the_gate_went)
{
	struct job job;

	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	EXPECT_EQ(0, gate_remove(GATE));
	ASSERT_EQ(0, job_begin(&job, variant->act, &self->dir));
	EXPECT_TRUE(over_in_time(&job));
	EXPECT_GE(0, meanwhile_end(&job.m));
	EXPECT_TRUE(device_becomes_free(self->lower));
}

/* It waits at the gate, and what waits there is failed. */
TEST_F(fs, then_the_gate_is_purged)
{
	struct job job;

	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	ASSERT_EQ(0, job_begin(&job, variant->act, &self->dir));
	sleep_ms(HELD_MS);
	EXPECT_FALSE(is_over(&job));
	EXPECT_EQ(0, gate_set(GATE, "state", "purge"));
	EXPECT_TRUE(over_in_time(&job));
	EXPECT_GE(0, meanwhile_end(&job.m));
}

/* It is done, with the gate open, and then the gate is stopped and taken away. */
TEST_F(fs, before_the_gate_goes)
{
	ASSERT_EQ(0, variant->act(&self->dir));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_TRUE(device_becomes_free(self->lower));
}

/* -- files ------------------------------------------------------------------- */

FIXTURE(files) {
	char lower[DEVICE_PATH];
	char path[DEVICE_PATH];
};

FIXTURE_SETUP(files)
{
	if (!gates_loaded())
		SKIP(return, NO_GATES);
	if (!got_device(self->lower, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	ASSERT_TRUE(make_where());
	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_on(GATE, self->lower, self->path));
	ASSERT_EQ(0, device_ext2(self->path));
}

FIXTURE_TEARDOWN(files)
{
	umount(where);
	gate_remove(OTHER);
	gate_remove(GATE);
	rmdir(where);
	ON_TIME();
}

static int write_files(void *arg)
{
	int dir = *(int *)arg;
	char name[16];
	int i, ret = 0;

	for (i = 0; i < 20 && !ret; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		ret = write_file(dir, name, 'a' + i);
		if (!ret && syncfs(dir))
			ret = -errno;
	}
	return ret;
}

/* Files are written and synced while the gate is stopped again and again. */
TEST_F(files, survive_stops)
{
	struct job job;
	unsigned int stops = 0;
	char name[16];
	int dir, i;

	dir = mount_gate(self->path);
	if (dir < 0)
		SKIP(return, "cannot mount ext4: %s", strerror(-dir));
	ASSERT_EQ(0, job_begin(&job, write_files, &dir));
	do {
		ASSERT_EQ(0, gate_set(GATE, "state", "stop"));
		sleep_ms(20);
		ASSERT_EQ(0, gate_set(GATE, "state", "start"));
		sleep_ms(5);
		stops++;
	} while (!is_over(&job) && stops < 1000);
	EXPECT_EQ(0, meanwhile_end(&job.m));
	EXPECT_LT(3, stops);
	EXPECT_EQ(0, do_umount(&dir));
	/* Below the gate they are the same. */
	ASSERT_EQ(0, gate_off(GATE));
	EXPECT_TRUE(device_becomes_free(self->lower));
	dir = mount_gate(self->lower);
	ASSERT_LE(0, dir);
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		EXPECT_EQ(1, file_is(dir, name, 'a' + i))
			TH_LOG("%s", name);
	}
	EXPECT_EQ(0, do_umount(&dir));
}

/* What was synced is there when the device comes back under another gate. */
TEST_F(files, that_were_synced_survive_the_removal)
{
	int dir = mount_gate(self->path);

	if (dir < 0)
		SKIP(return, "cannot mount ext4: %s", strerror(-dir));
	ASSERT_EQ(0, write_file(dir, "kept", 'k'));
	ASSERT_EQ(0, syncfs(dir));
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_TRUE(device_becomes_free(self->lower));
	/* Where the file system was told, it takes nothing more. */
	EXPECT_TRUE(write_file(dir, "lost", 'l') || syncfs(dir));
	EXPECT_EQ(0, do_umount(&dir));

	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_on(GATE, self->lower, self->path));
	dir = mount_gate(self->path);
	ASSERT_LE(0, dir);
	EXPECT_EQ(1, file_is(dir, "kept", 'k'));
	EXPECT_EQ(-ENOENT, file_is(dir, "lost", 'l'));
	EXPECT_EQ(0, do_umount(&dir));
}

/* -- paths ------------------------------------------------------------------- */

static int power_other(void *arg)
{
	return gate_set(OTHER, "power", "1");
}

static int rmdir_other(void *arg)
{
	return rmdir(GATE_DIR "/" OTHER) ? -errno : 0;
}

static int umount_soon(void)
{
	uint64_t until = now_ms() + LONG_MS;

	while (umount(where)) {
		if (errno != EBUSY || now_ms() > until)
			return -errno;
		sleep_ms(20);
	}
	return 0;
}

static bool gate_holds_something(void)
{
	uint64_t held = 0, sent, until = now_ms() + LONG_MS;

	while (gate_inflight(GATE, &held, &sent) && !held && now_ms() < until)
		sleep_ms(5);
	return held;
}

/*
 * The path of a gate's device leads through a file system that does not answer, and
 * then into configfs, where the gate is just being removed, which waits for the store
 * that looks the path up.
 */
TEST_F(files, a_path_that_leads_to_its_own_gate)
{
	struct job power, removal;
	char link[80];
	int dir;

	dir = mount_gate(self->path);
	if (dir < 0)
		SKIP(return, "cannot mount ext4: %s", strerror(-dir));
	ASSERT_EQ(0, mkdirat(dir, "d", 0700));
	ASSERT_EQ(0, symlinkat(GATE_DIR "/" OTHER "/nothing", dir, "d/link"));
	ASSERT_EQ(0, do_umount(&dir));
	ASSERT_EQ(0, mount(self->path, where, "ext4", MS_RDONLY, NULL));
	snprintf(link, sizeof(link), "%s/d/link", where);
	ASSERT_EQ(0, gate_new(OTHER));
	ASSERT_EQ(0, gate_set(OTHER, "device", link));
	/* So that it has to be read. */
	ASSERT_EQ(0, sysfs_put("/proc/sys/vm", "drop_caches", "3"));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	ASSERT_EQ(0, job_begin(&power, power_other, NULL));
	EXPECT_TRUE(gate_holds_something());
	ASSERT_EQ(0, job_begin(&removal, rmdir_other, NULL));
	sleep_ms(HELD_MS);
	EXPECT_FALSE(is_over(&power));
	EXPECT_FALSE(is_over(&removal));
	ASSERT_EQ(0, gate_set(GATE, "state", "start"));
	ASSERT_TRUE(over_in_time(&power));
	EXPECT_EQ(-ETIMEDOUT, meanwhile_end(&power.m));
	ASSERT_TRUE(over_in_time(&removal));
	EXPECT_EQ(0, meanwhile_end(&removal.m));
	EXPECT_EQ(0, umount_soon());
}

TEST_HARNESS_MAIN
