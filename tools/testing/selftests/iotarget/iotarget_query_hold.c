// SPDX-License-Identifier: GPL-2.0-only
/*
 * A gate with a file system on it, whose device is asked for: it agrees, and holds what
 * comes until the device is back, or stays; with the file system frozen before, or not.
 * What is about the freeze alone is in iotarget_query_freeze.c.
 */
#include <string.h>

#include "consent.h"
#include "fixture.h"

#define SOON_MS		1000	/* a time to expire after */

/* -- both ways -------------------------------------------------------------- */

FIXTURE(mounted) {
	struct consent c;
};

FIXTURE_VARIANT(mounted) {
	const char *query;
	bool frozen;
};

FIXTURE_VARIANT_ADD(mounted, hold) { "hold", false };
FIXTURE_VARIANT_ADD(mounted, freeze) { "freeze", true };

FIXTURE_SETUP(mounted)
{
	const char *why = consent_lacks();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, consent_make(&self->c, variant->query, "60", NULL));
	ASSERT_EQ(0, consent_write_file(self->c.dir, 'a'));
}

FIXTURE_TEARDOWN(mounted)
{
	EXPECT_EQ(0, consent_end_all(&self->c));
	ON_TIME();
}

/* What was dirty is on the disk if it is frozen, and all that was told to be safe is. */
static void agrees(struct __test_metadata *_metadata, struct consent *c,
		   struct job *writer, unsigned int expires_ms, bool frozen)
{
	int fd = consent_begin_file(c->dir, 'd');

	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, consent_agree(c, expires_ms));
	EXPECT_TRUE(gate_is(GATE, "stopped"));
	EXPECT_EQ(0, AT_RISK);
	if (frozen)
		EXPECT_TRUE(fs_is_frozen(c->dir));
	ASSERT_EQ(0, job_begin(writer, "a writer to a gate that has agreed",
			       FOREVER, consent_write_b, c));
	if (!frozen)
		EXPECT_TRUE(gate_holds_some());
	EXPECT_FALSE(is_over(writer));
}

static void goes_on(struct __test_metadata *_metadata, struct consent *c,
		    struct job *writer)
{
	EXPECT_TRUE(over_within(writer, LONG_MS));
	EXPECT_EQ(0, meanwhile_end(&writer->m));
	EXPECT_TRUE(fs_becomes_thawed(c->dir));
	EXPECT_EQ(0, syncfs(c->dir) ? -errno : 0);
	EXPECT_EQ(0, consent_file_is(c->dir, 'a'));
	EXPECT_EQ(0, consent_file_is(c->dir, 'b'));
	EXPECT_EQ(0, consent_file_is(c->dir, 'd'));
	EXPECT_TRUE(gate_is(GATE, "started"));
}

TEST_F_TIMEOUT(mounted, agreed_gone_and_back, 90)
{
	struct job writer;

	agrees(_metadata, &self->c, &writer, 0, variant->frozen);
	ASSERT_EQ(0, consent_remove_disk(&self->c));
	ASSERT_EQ(0, consent_wait_gone(&self->c));
	EXPECT_EQ(IOTARGET_WHY_GONE, consent_ended(&self->c));
	EXPECT_TRUE(gate_is_away(GATE, true, slow(GONE_MS)));
	EXPECT_EQ(0, AT_RISK);
	if (variant->frozen)
		EXPECT_TRUE(fs_is_frozen(self->c.dir));
	EXPECT_FALSE(is_over(&writer));
	ASSERT_EQ(0, consent_come_back(&self->c));
	EXPECT_TRUE(gate_is_away(GATE, false, slow(GONE_MS)));
	EXPECT_EQ(0, LOST);
	goes_on(_metadata, &self->c, &writer);
}

TEST_F_TIMEOUT(mounted, agreed_and_canceled, 60)
{
	struct job writer;

	agrees(_metadata, &self->c, &writer, 0, variant->frozen);
	ASSERT_EQ(0, consent_cancel(&self->c));
	EXPECT_EQ(IOTARGET_WHY_CANCELED, consent_ended(&self->c));
	goes_on(_metadata, &self->c, &writer);
	/* Once more is as the first time. */
	ASSERT_EQ(0, consent_agree(&self->c, 0));
	ASSERT_EQ(0, consent_cancel(&self->c));
	EXPECT_EQ(IOTARGET_WHY_CANCELED, consent_ended(&self->c));
	EXPECT_TRUE(fs_becomes_thawed(self->c.dir));
}

TEST_F_TIMEOUT(mounted, agreed_and_expired, 60)
{
	struct job writer;

	agrees(_metadata, &self->c, &writer, slow(SOON_MS), variant->frozen);
	EXPECT_EQ(IOTARGET_WHY_EXPIRED, consent_ended(&self->c));
	goes_on(_metadata, &self->c, &writer);
}

/* Somebody may start it, and has to wait all the same. */
TEST_F_TIMEOUT(mounted, started_while_all_agree, 60)
{
	struct nl_event event;
	struct job writer;

	agrees(_metadata, &self->c, &writer, 0, variant->frozen);
	EXPECT_EQ(-ECANCELED, nl_verb(&self->c.ask, &self->c.ear, IOTARGET_CMD_START, GATE, 0,
				      &event));
	EXPECT_NE(NULL, strstr(event.message, "starts if that stays"))
		TH_LOG("%s", event.message);
	EXPECT_EQ(0, gate_set(GATE, "state", "stop forever"));
	EXPECT_EQ(0, gate_set(GATE, "state", "start"));
	EXPECT_TRUE(gate_is(GATE, "stopped"));
	EXPECT_FALSE(is_over(&writer));
	ASSERT_EQ(0, consent_cancel(&self->c));
	goes_on(_metadata, &self->c, &writer);
}

/* Nobody asks, but while it still answers there is time for a flush. */
TEST_F_TIMEOUT(mounted, removed_unasked, 90)
{
	int fd = consent_begin_file(self->c.dir, 'd');
	struct job writer;

	ASSERT_LE(0, fd);
	/* Written, and in the cache of the device. */
	ASSERT_EQ(0, sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE |
				     SYNC_FILE_RANGE_WAIT_AFTER));
	close(fd);
	EXPECT_LT(0, AT_RISK);
	ASSERT_EQ(0, timed_call("removal of a device", NOTICE_MS, consent_remove_disk,
				&self->c));
	ASSERT_EQ(0, consent_wait_gone(&self->c));
	EXPECT_TRUE(gate_is_away(GATE, true, slow(GONE_MS)));
	EXPECT_EQ(0, AT_RISK);
	ASSERT_EQ(0, job_begin(&writer, "a writer to a gate whose disk is gone",
			       FOREVER, consent_write_b, &self->c));
	EXPECT_TRUE(gate_holds_some());
	ASSERT_EQ(0, consent_come_back(&self->c));
	EXPECT_TRUE(gate_is_away(GATE, false, slow(GONE_MS)));
	EXPECT_EQ(0, LOST);
	goes_on(_metadata, &self->c, &writer);
}

/* It does not ask: who waits there gets errors, and the query an end. */
TEST_F_TIMEOUT(mounted, gate_is_removed_while_all_agree, 60)
{
	struct job writer;

	agrees(_metadata, &self->c, &writer, 0, variant->frozen);
	EXPECT_EQ(0, gate_remove(GATE));
	EXPECT_TRUE(over_within(&writer, LONG_MS));
	EXPECT_NE(0, meanwhile_end(&writer.m));
	EXPECT_EQ(0, consent_unmount(&self->c));
	EXPECT_EQ(0, consent_cancel(&self->c));
}

/* -- without a file system --------------------------------------------------- */

FIXTURE(raw) {
	struct consent c;
};

FIXTURE_SETUP(raw)
{
	const char *why = consent_lacks();

	if (why)
		SKIP(return, "%s", why);
	self->c.dir = -1;
	self->c.users = users_now();
	gates_cleanup();
	ASSERT_EQ(0, nl_open(&self->c.ask) ?: nl_listen(&self->c.ear));
	ASSERT_EQ(0, disk_plug(&self->c.disk, DISK));
	self->c.made = true;
}

FIXTURE_TEARDOWN(raw)
{
	EXPECT_EQ(0, consent_end_all(&self->c));
	ON_TIME();
}

TEST_F_TIMEOUT(raw, attribute, 60)
{
	char text[32];

	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_get(GATE, "query", text, sizeof(text)));
	EXPECT_STREQ("veto", text);
	EXPECT_EQ(-EINVAL, gate_set(GATE, "query", "perhaps"));
	ASSERT_EQ(0, gate_set(GATE, "query", "freeze"));
	ASSERT_EQ(0, gate_get(GATE, "query", text, sizeof(text)));
	EXPECT_STREQ("freeze", text);
	/* What is not waited for can't be held. */
	ASSERT_EQ(0, gate_set(GATE, "device", self->c.disk.path));
	EXPECT_EQ(-EINVAL, gate_set(GATE, "power", "1"));
	ASSERT_EQ(0, gate_set(GATE, "hold_seconds", "60"));
	ASSERT_EQ(0, gate_on(GATE, self->c.disk.path, self->c.node));
	EXPECT_EQ(-EBUSY, gate_set(GATE, "query", "veto"));
}

/* As before, whoever has it open says no. */
TEST_F_TIMEOUT(raw, veto, 60)
{
	int fd;

	ASSERT_EQ(0, consent_gate(&self->c, "veto", "60"));
	fd = open(self->c.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, consent_agree(&self->c, 0));
	EXPECT_TRUE(gate_is(GATE, "started"));
	close(fd);
}

static int write_raw(int fd)
{
	static char data[4096];

	memset(data, 'r', sizeof(data));
	return pwrite(fd, data, sizeof(data), 8 * MIB) == sizeof(data) &&
	       !fsync(fd) ? 0 : -errno;
}

/* Nothing to be frozen, or nobody who has it open: it goes and comes all the same. */
TEST_F_TIMEOUT(raw, freeze_of_nothing, 90)
{
	int fd;

	ASSERT_EQ(0, consent_gate(&self->c, "freeze", "60"));
	fd = open(self->c.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, write_raw(fd));
	ASSERT_EQ(0, consent_agree(&self->c, 0));
	ASSERT_EQ(0, consent_cancel(&self->c));
	EXPECT_TRUE(gate_becomes(GATE, "started", LONG_MS));
	EXPECT_EQ(0, write_raw(fd));
	close(fd);
	ASSERT_EQ(0, consent_agree(&self->c, 0));
	ASSERT_EQ(0, consent_remove_disk(&self->c));
	ASSERT_EQ(0, consent_wait_gone(&self->c));
	EXPECT_TRUE(gate_is_away(GATE, true, slow(GONE_MS)));
	ASSERT_EQ(0, consent_come_back(&self->c));
	EXPECT_TRUE(gate_is_away(GATE, false, slow(GONE_MS)));
	fd = open(self->c.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, write_raw(fd));
	close(fd);
}

TEST_HARNESS_MAIN
