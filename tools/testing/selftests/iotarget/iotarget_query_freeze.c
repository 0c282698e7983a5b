// SPDX-License-Identifier: GPL-2.0-only
/*
 * A gate whose file system is frozen before its device goes: what goes is clean, nobody
 * waits for a freeze that waits for the device, and nobody is left frozen.
 */
#include <stdlib.h>

#include "consent.h"
#include "fixture.h"

#define SOON_MS		1000	/* too little for a freeze */
#define MOOT_MS		4000	/* by then a query is over whose device goes */
#define SUPER		1024	/* of ext4: where it is, and what is in it */
#define INCOMPAT	96
#define NEEDS_RECOVERY	0x4

/* By an asker who has all the time that it takes. */
FIXTURE(freeze) {
	struct consent c;
};

FIXTURE_SETUP(freeze)
{
	const char *why = consent_lacks();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, consent_make(&self->c, "freeze", "60", NULL));
	ASSERT_EQ(0, consent_write_file(self->c.dir, 'a'));
}

FIXTURE_TEARDOWN(freeze)
{
	EXPECT_EQ(0, consent_end_all(&self->c));
	ON_TIME();
}

/* The gate waits for two seconds only. */
FIXTURE(brief) {
	struct consent c;
};

FIXTURE_SETUP(brief)
{
	const char *why = consent_lacks();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, consent_make(&self->c, "freeze", "2", NULL));
	ASSERT_EQ(0, consent_write_file(self->c.dir, 'a'));
}

FIXTURE_TEARDOWN(brief)
{
	EXPECT_EQ(0, consent_end_all(&self->c));
	ON_TIME();
}

/* The file system has a journal. */
FIXTURE(journal) {
	struct consent c;
};

FIXTURE_SETUP(journal)
{
	const char *why = consent_lacks();

	if (why)
		SKIP(return, "%s", why);
	if (system("mkfs.ext4 -V >/dev/null 2>&1"))
		SKIP(return, "there is no mkfs.ext4");
	ASSERT_EQ(0, consent_make(&self->c, "freeze", "60",
				  "mkfs.ext4 -q -F"));
	ASSERT_EQ(0, consent_write_file(self->c.dir, 'a'));
}

FIXTURE_TEARDOWN(journal)
{
	EXPECT_EQ(0, consent_end_all(&self->c));
	ON_TIME();
}

/* Whether the journal of ext4 has something to be done, on the stick itself; -1: ? */
static int needs_recovery(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	unsigned char *page;
	int ret = -1;

	if (fd < 0)
		return -1;
	if (!posix_memalign((void **)&page, 4096, 4096)) {
		if (pread(fd, page, 4096, 0) == 4096 &&
		    page[SUPER + 56] == 0x53 && page[SUPER + 57] == 0xef)
			ret = !!(page[SUPER + INCOMPAT] & NEEDS_RECOVERY);
		free(page);
	}
	close(fd);
	return ret;
}

static int fsck(const char *path)
{
	char command[192];

	snprintf(command, sizeof(command), "e2fsck -fn %s >/dev/null 2>&1", path);
	return system(command);
}

/* Another machine finds a file system as if it had been unmounted. */
TEST_F_TIMEOUT(journal, what_goes_is_clean, 60)
{
	EXPECT_EQ(1, needs_recovery(self->c.disk.path));
	ASSERT_EQ(0, consent_agree(&self->c, 0));
	EXPECT_EQ(0, needs_recovery(self->c.disk.path));
	EXPECT_EQ(0, fsck(self->c.disk.path));
	ASSERT_EQ(0, consent_remove_disk(&self->c));
	ASSERT_EQ(0, consent_wait_gone(&self->c));
	EXPECT_TRUE(gate_is_away(GATE, true, slow(GONE_MS)));
	EXPECT_TRUE(fs_is_frozen(self->c.dir));
	ASSERT_EQ(0, consent_come_back(&self->c));
	EXPECT_TRUE(gate_is_away(GATE, false, slow(GONE_MS)));
	EXPECT_TRUE(fs_becomes_thawed(self->c.dir));
	EXPECT_EQ(0, consent_write_file(self->c.dir, 'b'));
	EXPECT_EQ(1, needs_recovery(self->c.disk.path));
}

/* As another machine does that mounts it: a byte of the superblock. */
static int change(const char *path)
{
	int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	unsigned char *page;
	int ret = -EIO;

	if (fd < 0)
		return -errno;
	if (!posix_memalign((void **)&page, 4096, 4096)) {
		if (pread(fd, page, 4096, 0) == 4096) {
			page[SUPER + 44]++;
			ret = pwrite(fd, page, 4096, 0) == 4096 ? 0 : -errno;
		}
		free(page);
	}
	close(fd);
	return ret;
}

/* What the file system here remembers is not what is there any more. */
TEST_F_TIMEOUT(freeze, changed_elsewhere_it_is_a_stranger, 60)
{
	const uint64_t until = now_ms() + LONG_MS;
	int log = log_open();

	ASSERT_LE(0, log);
	ASSERT_EQ(0, consent_agree(&self->c, 0));
	ASSERT_EQ(0, change(self->c.disk.path));
	ASSERT_EQ(0, consent_remove_disk(&self->c));
	ASSERT_EQ(0, consent_wait_gone(&self->c));
	ASSERT_EQ(0, consent_come_back(&self->c));
	while (!log_count(log, GATE, "another contents at its beginning") &&
	       now_ms() < until)
		sleep_ms(50);
	EXPECT_GT(until, now_ms());
	EXPECT_TRUE(gate_is_away(GATE, true, slow(GONE_MS)));
	close(log);
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_EQ(0, consent_unmount(&self->c));
}

/* A freeze that is on its way, and is held at the gate. */
static void freezing(struct __test_metadata *_metadata, struct consent *c,
		     unsigned int timeout_ms)
{
	int fd = consent_begin_file(c->dir, 'd');

	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, gate_set(GATE, "state", "stop forever"));
	ASSERT_EQ(0, consent_begin(c, timeout_ms, 0));
	ASSERT_TRUE(gate_holds_some());
}

static bool agrees_soon(struct consent *c)
{
	const uint64_t until = now_ms() + LONG_MS;

	while (consent_agree(c, 0)) {
		if (now_ms() > until)
			return false;
		sleep_ms(50);
	}
	return true;
}

/* It is a refusal, and the file system is thawed as soon as it is frozen. */
TEST_F_TIMEOUT(freeze, too_slow, 60)
{
	freezing(_metadata, &self->c, SOON_MS);
	EXPECT_EQ(-EBUSY, consent_answer(&self->c));
	/* And one that begins meanwhile is refused at once. */
	ASSERT_EQ(0, consent_begin(&self->c, slow(ASK_MS), 0));
	EXPECT_EQ(-EBUSY, consent_answer(&self->c));
	ASSERT_EQ(0, gate_set(GATE, "state", "start"));
	EXPECT_TRUE(fs_becomes_thawed(self->c.dir));
	EXPECT_EQ(0, consent_write_file(self->c.dir, 'b'));
	EXPECT_EQ(0, consent_file_is(self->c.dir, 'd'));
	/* Then it may go: at the latest when the worker has seen that nobody waits. */
	ASSERT_TRUE(agrees_soon(&self->c));
	EXPECT_TRUE(fs_is_frozen(self->c.dir));
	ASSERT_EQ(0, consent_cancel(&self->c));
	EXPECT_TRUE(fs_becomes_thawed(self->c.dir));
}

static int pull(void *arg)
{
	return disk_pull(&((struct consent *)arg)->disk) ?: consent_wait_gone(arg);
}

static int do_umount(void *arg)
{
	return consent_unmount(arg);
}

/* Nobody waits for a freeze that waits for a device which is not there. */
static void yanked(struct __test_metadata *_metadata, struct consent *c,
		   struct job *leaving)
{
	uint64_t began;

	freezing(_metadata, c, slow(ASK_MS));
	ASSERT_EQ(0, timed_call("pull of a disk", slow(KERNEL_MS), pull, c));
	began = now_ms();
	EXPECT_EQ(-EBUSY, consent_answer(c));
	EXPECT_GT(began + slow(MOOT_MS), now_ms());
	EXPECT_TRUE(gate_is_away(GATE, true, slow(GONE_MS)));
	/* It waits for the freeze, and that for the gate: as long as it holds. */
	ASSERT_EQ(0, job_begin(leaving, "umount under a freeze", FOREVER,
			       do_umount, c));
}

TEST_F_TIMEOUT(freeze, yanked_while_the_file_system_is_being_frozen, 60)
{
	struct job leaving;

	yanked(_metadata, &self->c, &leaving);
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_TRUE(over_within(&leaving, LONG_MS));
	EXPECT_EQ(0, meanwhile_end(&leaving.m));
}

TEST_F_TIMEOUT(brief, yanked_while_the_file_system_is_being_frozen, 60)
{
	struct job leaving;

	yanked(_metadata, &self->c, &leaving);
	EXPECT_TRUE(gate_becomes(GATE, "closed", LONG_MS));
	EXPECT_TRUE(over_within(&leaving, LONG_MS));
	EXPECT_EQ(0, meanwhile_end(&leaving.m));
}

TEST_F_TIMEOUT(freeze, yanked_while_being_frozen_and_back, 60)
{
	freezing(_metadata, &self->c, slow(ASK_MS));
	ASSERT_EQ(0, pull(&self->c));
	EXPECT_EQ(-EBUSY, consent_answer(&self->c));
	EXPECT_EQ(0, gate_set(GATE, "state", "start"));
	ASSERT_EQ(0, disk_plug(&self->c.disk, DISK));
	EXPECT_TRUE(gate_is_away(GATE, false, slow(GONE_MS)));
	EXPECT_TRUE(fs_becomes_thawed(self->c.dir));
	EXPECT_EQ(0, consent_file_is(self->c.dir, 'a'));
	EXPECT_EQ(0, consent_file_is(self->c.dir, 'd'));
}

/* Who removes the device waits for the callback, but not for what that waits for. */
TEST_F_TIMEOUT(freeze, removed_while_the_query_waits, 60)
{
	freezing(_metadata, &self->c, slow(ASK_MS));
	ASSERT_EQ(0, timed_call("removal of a device", slow(KERNEL_MS),
				consent_remove_disk, &self->c));
	ASSERT_EQ(0, consent_wait_gone(&self->c));
	EXPECT_EQ(-EBUSY, consent_answer(&self->c));
	EXPECT_TRUE(gate_is_away(GATE, true, slow(GONE_MS)));
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_EQ(0, consent_unmount(&self->c));
}

/* It never comes back: all fails, and nobody is left frozen. */
TEST_F_TIMEOUT(brief, time_is_over_while_it_is_frozen, 60)
{
	struct job writer;

	ASSERT_EQ(0, consent_agree(&self->c, 0));
	EXPECT_TRUE(fs_is_frozen(self->c.dir));
	ASSERT_EQ(0, job_begin(&writer, "a writer to what is frozen", FOREVER,
			       consent_write_b, &self->c));
	ASSERT_EQ(0, consent_remove_disk(&self->c));
	ASSERT_EQ(0, consent_wait_gone(&self->c));
	EXPECT_TRUE(gate_becomes(GATE, "closed", LONG_MS));
	EXPECT_TRUE(over_within(&writer, LONG_MS));
	EXPECT_NE(0, meanwhile_end(&writer.m));
	EXPECT_EQ(0, consent_unmount(&self->c));
	EXPECT_EQ(0, gate_remove(GATE));
}

TEST_HARNESS_MAIN
