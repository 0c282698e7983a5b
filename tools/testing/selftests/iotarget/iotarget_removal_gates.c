// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disk below a gate goes while the gate is shut, and others wait there: a file
 * system that is being frozen, remounted or unmounted, somebody's I/O, or the removal of
 * the gate itself.  Nobody waits for longer than a removal may be held up, and what was
 * taken away is gone.
 *
 * Disks are pulled by the host where there is one, else they are scsi_debug's.
 */
#include <linux/fs.h>

#include "fixture.h"
#include "gates.h"
#include "victim.h"

#define BLOCK		4096
#define GATE		GATE_PREFIX "w"
#define NO_GATES	"iogate is not loaded, or this is not root"
#define NR_HELD		8
#define NR_SENT		4
#define SLOW_NS		(400L * 1000000)
#define FILE_LEN	(16 << 10)
#define HELD_UP_MS	0	/* a removal: a shut gate has nothing to wait for */

/* -- a file system ----------------------------------------------------------- */

static char where[64];		/* it is mounted */

struct mounted {
	struct victim	v;
	struct users	users;
	char		node[DEVICE_PATH];
	int		dir;		/* negative: it is not */
};

static int do_freeze(void *arg)
{
	const struct mounted *m = arg;

	return ioctl(m->dir, FIFREEZE, 0) ? -errno : 0;
}

static int do_remount(void *arg)
{
	return mount(NULL, where, NULL, MS_REMOUNT | MS_RDONLY, NULL) ?
	       -errno : 0;
}

static int do_umount(void *arg)
{
	struct mounted *m = arg;

	close(m->dir);
	m->dir = -1;
	return umount(where) ? -errno : 0;
}

static int write_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	char data[FILE_LEN];
	int ret = 0;

	if (fd < 0)
		return -errno;
	memset(data, 'w', sizeof(data));
	if (write(fd, data, sizeof(data)) != sizeof(data))
		ret = -errno;
	close(fd);
	return ret;
}

/* NULL, or why there is none. */
static const char *lacks(const char *id, enum how how)
{
	return gates_loaded() ? victim_lacks(id, how) : NO_GATES;
}

/* With dirty pages. */
static int mounted_make(struct mounted *m, const char *id, enum how how)
{
	int ret;

	m->dir = -1;
	m->users = users_now();
	gates_cleanup();
	ret = victim_make(&m->v, id, how) ?: gate_new(GATE) ?:
	      gate_on(GATE, m->v.path, m->node) ?: device_ext2(m->node);
	if (ret)
		return ret;
	snprintf(where, sizeof(where), "/tmp/iotarget-gate-XXXXXX");
	if (!mkdtemp(where) || mount(m->node, where, "ext4", 0, NULL))
		return -errno;
	m->dir = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = m->dir < 0 ? -errno : write_file(m->dir, "kept");
	if (!ret && syncfs(m->dir))
		ret = -errno;
	return ret ?: write_file(m->dir, "dirty");
}

static void mounted_end(struct __test_metadata *_metadata, struct mounted *m)
{
	EXPECT_EQ(0, victim_end(&m->v));
	if (m->dir >= 0) {
		ioctl(m->dir, FITHAW, 0);
		EXPECT_EQ(0, do_umount(m));
	}
	rmdir(where);
	gate_remove(GATE);
	EXPECT_TRUE(node_goes(m->node, LONG_MS));
	EXPECT_TRUE(nobody_stuck());
	EXPECT_TRUE(users_back(&m->users));
	ON_TIME();
}

static bool gate_holds_something(void)
{
	uint64_t held = 0, sent, until = now_ms() + LONG_MS;

	while (gate_inflight(GATE, &held, &sent) && !held && now_ms() < until)
		sleep_ms(1);
	return held;
}

FIXTURE(fs) {
	struct mounted m;
	bool made;
};

FIXTURE_VARIANT(fs) {
	int (*act)(void *arg);
	const char *id;
	enum how how;
};

FIXTURE_VARIANT_ADD(fs, freeze_usb_pulled) { do_freeze, "usb1", DISK_PULLED };
FIXTURE_VARIANT_ADD(fs, freeze_virtio_pulled) { do_freeze, "vblk0", DISK_PULLED };
FIXTURE_VARIANT_ADD(fs, freeze_scsi_deleted) { do_freeze, NULL, DISK_DELETED };
FIXTURE_VARIANT_ADD(fs, freeze_scsi_host_removed) { do_freeze, NULL, HOST_GOES };
FIXTURE_VARIANT_ADD(fs, remount_usb_pulled) { do_remount, "usb1", DISK_PULLED };
FIXTURE_VARIANT_ADD(fs, remount_virtio_pulled) { do_remount, "vblk0", DISK_PULLED };
FIXTURE_VARIANT_ADD(fs, remount_scsi_deleted) { do_remount, NULL, DISK_DELETED };
FIXTURE_VARIANT_ADD(fs, remount_scsi_host_removed) { do_remount, NULL, HOST_GOES };
FIXTURE_VARIANT_ADD(fs, umount_usb_pulled) { do_umount, "usb1", DISK_PULLED };
FIXTURE_VARIANT_ADD(fs, umount_virtio_pulled) { do_umount, "vblk0", DISK_PULLED };
FIXTURE_VARIANT_ADD(fs, umount_scsi_deleted) { do_umount, NULL, DISK_DELETED };
FIXTURE_VARIANT_ADD(fs, umount_scsi_host_removed) { do_umount, NULL, HOST_GOES };

FIXTURE_SETUP(fs)
{
	const char *why = lacks(variant->id, variant->how);

	if (why)
		SKIP(return, "%s", why);
	self->made = true;
	ASSERT_EQ(0, mounted_make(&self->m, variant->id, variant->how));
}

FIXTURE_TEARDOWN(fs)
{
	if (self->made)
		mounted_end(_metadata, &self->m);
}

/* It waits at the gate, with the locks of the file system, and the disk goes. */
TEST_F_TIMEOUT(fs, waits_at_the_gate, 60)
{
	struct job job, going;

	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	ASSERT_EQ(0, job_begin(&job, "file system at a gate whose disk goes",
			       FOREVER, variant->act, &self->m));
	ASSERT_TRUE(gate_holds_something());
	EXPECT_FALSE(is_over(&job));
	ASSERT_EQ(0, vanish_begin(&going, &self->m.v, HELD_UP_MS));
	EXPECT_TRUE(over_within(&job, HELD_UP_MS + slow(KERNEL_MS)));
	EXPECT_EQ(0, meanwhile_end(&going.m));
	/* An unmount has nothing to complain of, the others may. */
	EXPECT_GE(0, meanwhile_end(&job.m));
	EXPECT_TRUE(gate_becomes(GATE, "closed", LONG_MS));
	EXPECT_EQ(0, gate_remove(GATE));
}

/* It did all that before the gate was shut. */
TEST_F_TIMEOUT(fs, has_been_done, 60)
{
	ASSERT_EQ(0, variant->act(&self->m));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	ASSERT_EQ(0, vanish_now(&self->m.v, HELD_UP_MS));
	EXPECT_TRUE(gate_becomes(GATE, "closed", LONG_MS));
	EXPECT_EQ(0, gate_remove(GATE));
}

/* -- the gate itself is removed -------------------------------------------------- */

FIXTURE(gate) {
	struct victim v;
	struct users users;
	char node[DEVICE_PATH];
	struct aio aio;
	int fd;
	void *data;
	unsigned int sent;
};

FIXTURE_VARIANT(gate) {
	const char *id;
	enum how how;
	unsigned int sent;	/* that the disk has not answered */
};

FIXTURE_VARIANT_ADD(gate, usb_pulled) { "usb1", DISK_PULLED, 1 };
FIXTURE_VARIANT_ADD(gate, virtio_pulled) { "vblk0", DISK_PULLED };
FIXTURE_VARIANT_ADD(gate, scsi_deleted) { NULL, DISK_DELETED, NR_SENT };
FIXTURE_VARIANT_ADD(gate, scsi_host_removed) { NULL, HOST_GOES, NR_SENT };

static int send_some(struct _test_data_gate *self, unsigned int count)
{
	int ret = 0;

	while (!ret && count--)
		ret = aio_send(&self->aio, self->fd, count % 2, self->data,
			       BLOCK, self->aio.out * BLOCK);
	return ret;
}

/* What it is sent now it has not answered when it goes. */
static int hold_up(const struct victim *v)
{
	return v->how == DISK_PULLED ? host_ask("stall", v->disk.id) :
				       scsi_debug_set("ndelay", SLOW_NS);
}

/* Some are with the disk, some are held. */
FIXTURE_SETUP(gate)
{
	const char *why = lacks(variant->id, variant->how);

	self->fd = -1;
	if (why)
		SKIP(return, "%s", why);
	self->users = users_now();
	gates_cleanup();
	ASSERT_EQ(0, posix_memalign(&self->data, BLOCK, BLOCK));
	ASSERT_EQ(0, aio_begin(&self->aio, NR_HELD + NR_SENT));
	ASSERT_EQ(0, victim_make(&self->v, variant->id, variant->how));
	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_on(GATE, self->v.path, self->node));
	self->fd = open(self->node, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	if (variant->sent)
		ASSERT_EQ(0, hold_up(&self->v));
	ASSERT_EQ(0, send_some(self, variant->sent));
	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	ASSERT_EQ(0, send_some(self, NR_HELD));
	ASSERT_TRUE(gate_holds(GATE, NR_HELD, LONG_MS));
}

/* All are back: what was held with an error. */
FIXTURE_TEARDOWN(gate)
{
	const unsigned int nr = variant->sent + NR_HELD;
	int64_t result[NR_SENT + NR_HELD] = {};
	unsigned int i;

	if (self->fd < 0)
		return;
	EXPECT_EQ(nr, aio_reap(&self->aio, nr, LONG_MS, result));
	for (i = 0; i < nr; i++)
		EXPECT_TRUE(result[i] < 0 ||
			    (i < variant->sent && result[i] == BLOCK))
			TH_LOG("%u: %lld", i, (long long)result[i]);
	EXPECT_EQ(0, victim_end(&self->v));
	/* It has no size any more, so nothing is an error. */
	EXPECT_GE(0, pread(self->fd, self->data, BLOCK, 0));
	close(self->fd);
	aio_end(&self->aio);
	free(self->data);
	EXPECT_TRUE(node_goes(self->node, LONG_MS));
	EXPECT_TRUE(nobody_stuck());
	EXPECT_TRUE(users_back(&self->users));
	ON_TIME();
}

static int remove_gate(void *unused)
{
	return gate_remove(GATE);
}

TEST_F_TIMEOUT(gate, goes_before_its_disk, 60)
{
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_EQ(0, vanish_now(&self->v, HELD_UP_MS));
}

TEST_F_TIMEOUT(gate, goes_after_its_disk, 60)
{
	EXPECT_EQ(0, vanish_now(&self->v, HELD_UP_MS));
	EXPECT_TRUE(gate_becomes(GATE, "closed", LONG_MS));
	EXPECT_EQ(0, gate_remove(GATE));
}

TEST_F_TIMEOUT(gate, goes_with_its_disk, 60)
{
	struct job job, going;

	ASSERT_EQ(0, vanish_begin(&going, &self->v, HELD_UP_MS));
	ASSERT_EQ(0, job_begin(&job, "gate", FOREVER, remove_gate, NULL));
	EXPECT_EQ(0, meanwhile_end(&job.m));
	EXPECT_EQ(0, meanwhile_end(&going.m));
}

TEST_HARNESS_MAIN
