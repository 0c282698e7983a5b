// SPDX-License-Identifier: GPL-2.0-only
/*
 * May this device go?  It is asked, refused, agreed to and thought better of; it goes
 * without being asked, and it is pulled.  Each of it on each bus, with what targets
 * are told of it, and in which order, and what becomes of their requests.
 *
 * Three targets share the disk: one whose owner leaves everything to the defaults, one
 * whose owner has callbacks, and the one that asks, whose owner refuses to care.
 */
#include "fixture.h"
#include "removing.h"

#define BLOCK		4096
#define NR_HELD		8
#define SPAN		(2 * MIB)
#define MOUNT		"/tmp/removal"
#define ASK_MS		8000
#define NOTICE_MS	5000	/* the longest that a removal is held up */

#define TOLD_ALL (IOTARGET_TEST_QUERY_AGREES | IOTARGET_TEST_CANCELED_OPENS | \
		  IOTARGET_TEST_COMPLETE_CLOSES | IOTARGET_TEST_ALL_READ)

FIXTURE(removal) {
	struct plugged disk;
	struct above above;
	int plain, owner;
	bool asked;		/* there is an agreement to be ended */
	bool pulled;		/* for the host it is not there any more */
};

FIXTURE_VARIANT(removal) {
	const char *id;
	const char *file;	/* by which it is removed */
	bool live;		/* it still answers when that was written */
};

FIXTURE_VARIANT_ADD(removal, usb_storage) { "usb1", "remove", true };
FIXTURE_VARIANT_ADD(removal, usb_uas) { "uas0", "remove", true };
FIXTURE_VARIANT_ADD(removal, nvme) { "nvme0", "remove", true };
FIXTURE_VARIANT_ADD(removal, virtio_blk) { "vblk0", "remove", true };
FIXTURE_VARIANT_ADD(removal, virtio_scsi) { "vscsi0", "delete" };

FIXTURE_SETUP(removal)
{
	const char *why = host_pulls(variant->id);

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (why)
		SKIP(return, "%s: %s", variant->id, why);
	/* One that failed before may have left it. */
	if (disk_plug(&self->disk, variant->id)) {
		host_ask("unplug", variant->id);
		ASSERT_EQ(0, disk_plug(&self->disk, variant->id));
	}
	ASSERT_EQ(0, device_above(self->disk.path, variant->file,
				  &self->above));
	self->plain = target_with_defaults("removal-plain");
	ASSERT_LE(0, self->plain);
	ASSERT_EQ(0, target_open(self->plain, self->disk.path, ACCESS_BOTH,
				 SHARE_BOTH));
	self->owner = target_opened("removal-owner", self->disk.path);
	ASSERT_LE(0, self->owner);
	ASSERT_EQ(0, removal_set(self->owner, TOLD_ALL, 0, 0));
	ASSERT_EQ(0, target_start_and_wait(self->plain, LONG_MS, NULL));
}

FIXTURE_TEARDOWN(removal)
{
	if (self->asked)
		consent_end(self->plain, LONG_MS);
	/* For the host it is there as long as nobody has pulled it. */
	if (!self->pulled)
		EXPECT_EQ(0, disk_pull(&self->disk));
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	EXPECT_EQ(0, target_close(self->plain, LONG_MS, NULL));
	EXPECT_EQ(0, target_close(self->owner, LONG_MS, NULL));
	EXPECT_EQ(1, removal_told(self->owner).at_once ?: 1);
	EXPECT_EQ(0, removal_told(self->owner).in_atomic);
	close(self->plain);
	close(self->owner);
	ON_TIME();
}

/* Where the driver is asked even of that, it is not waited for. */
static int pull(struct _test_data_removal *self)
{
	self->pulled = true;
	return host_ask("after 0 unplug", self->disk.id);
}

static int ask(struct _test_data_removal *self, unsigned int flags,
	       unsigned int expires_ms, struct iotarget_test_consent *out)
{
	int ret;

	*out = (struct iotarget_test_consent){
		.up = self->above.up, .flags = flags, .timeout_ms = ASK_MS,
		.expires_ms = expires_ms,
	};
	ret = consent_ask(self->plain, out);
	self->asked = !ret && !(flags & QUERY_DRY_RUN);
	if (ret && ret != -EBUSY)
		printf("# asked: %d\n", ret);
	return ret;
}

/* It is open and works, as if nothing had been. */
static void check_works(struct __test_metadata *_metadata, int fd)
{
	struct iotarget_test_transfer out;

	EXPECT_TRUE(becomes_state(fd, STARTED, slow(2000)));
	EXPECT_EQ(0, target_write(fd, 0, BLOCK, LONG_MS, &out));
	EXPECT_EQ(DONE, out.outcome);
	EXPECT_EQ(0, target_read(fd, 0, BLOCK, LONG_MS, &out));
	EXPECT_EQ(0, out.wrong);
}

static void check_told(struct __test_metadata *_metadata, int fd,
		       const unsigned int *kinds, unsigned int nr)
{
	struct iotarget_test_removal told = removal_told(fd);
	unsigned int i;

	EXPECT_EQ(nr, told.nr);
	for (i = 0; i < nr && nr == told.nr; i++)
		EXPECT_EQ(kinds[i], told.told[i].kind) TH_LOG("call %u", i);
}

#define CHECK_TOLD(_fd, ...) do { \
	const unsigned int _kinds[] = { __VA_ARGS__ }; \
	check_told(_metadata, _fd, _kinds, ARRAY_SIZE(_kinds)); \
} while (0)

#define CHECK_TOLD_NOTHING(_fd) check_told(_metadata, _fd, NULL, 0)

/* F72, F73, F75, F77: all agree, and the device goes. */
TEST_F_TIMEOUT(removal, consent, 60)
{
	struct iotarget_test_consent answer;
	struct iotarget_test_transfer out;
	struct iotarget_test_removal told;

	ASSERT_EQ(0, target_write(self->plain, 0, BLOCK, LONG_MS, &out));
	ASSERT_EQ(0, ask(self, 0, 0, &answer));
	EXPECT_EQ(CLOSED_FOR_QUERY_REMOVE, target_state(self->plain));
	EXPECT_EQ(CLOSED_FOR_QUERY_REMOVE, target_state(self->owner));
	CHECK_TOLD(self->owner, TOLD_QUERY);
	EXPECT_EQ(-ESHUTDOWN, request_read(self->plain, 0, 0, BLOCK));
	EXPECT_EQ(-ETIMEDOUT, consent_wait(self->plain, 100));

	ASSERT_EQ(0, remove_by_file(&self->above));
	EXPECT_EQ(0, consent_wait(self->plain, LONG_MS));
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	EXPECT_TRUE(becomes_state(self->plain, CLOSED, slow(2000)));
	EXPECT_TRUE(becomes_state(self->owner, CLOSED, slow(2000)));
	CHECK_TOLD(self->owner, TOLD_QUERY, TOLD_COMPLETE);
	told = removal_told(self->owner);
	EXPECT_EQ(0, told.told[0].forced);
	EXPECT_EQ(0, told.told[0].dry_run);
	EXPECT_LT(0, told.told[0].timeout_ms);
	EXPECT_GE(ASK_MS, told.told[0].timeout_ms);
	EXPECT_EQ(0, told.told[0].read);
	EXPECT_EQ(CLOSED_FOR_QUERY_REMOVE, told.told[1].state);
	EXPECT_EQ(0, consent_end(self->plain, LONG_MS));
	self->asked = false;
}

/* F73, F74, F78: who agreed before another refused is back afterwards. */
TEST_F_TIMEOUT(removal, refused_by_a_target, 60)
{
	struct iotarget_test_consent answer;

	ASSERT_EQ(0, removal_set(self->owner, 0, -EPERM, 0));
	ASSERT_EQ(-EBUSY, ask(self, 0, 0, &answer));
	EXPECT_EQ(BY_TARGET, answer.by);
	EXPECT_EQ(-EPERM, answer.error);
	EXPECT_STREQ("removal-owner", answer.name);
	EXPECT_NE(0, answer.major);
	check_works(_metadata, self->plain);
	check_works(_metadata, self->owner);
	/* It did not agree, so there is nothing to cancel. */
	CHECK_TOLD(self->owner, TOLD_QUERY);
	/* The next one is asked afresh. */
	ASSERT_EQ(0, removal_set(self->owner, TOLD_ALL, 0, 0));
	EXPECT_EQ(0, ask(self, 0, 0, &answer));
}

/* To say yes and to keep the device open is a no. */
TEST_F_TIMEOUT(removal, refused_by_one_that_stays_open, 60)
{
	struct iotarget_test_consent answer;

	ASSERT_EQ(0, removal_set(self->owner, 0, 0, 0));
	ASSERT_EQ(-EBUSY, ask(self, 0, 0, &answer));
	EXPECT_EQ(BY_TARGET, answer.by);
	EXPECT_STREQ("removal-owner", answer.name);
	check_works(_metadata, self->owner);
	check_works(_metadata, self->plain);
}

/* An owner that does not answer in time has refused, whatever it says later. */
TEST_F_TIMEOUT(removal, refused_by_silence, 60)
{
	struct iotarget_test_consent answer = {
		.up = self->above.up, .timeout_ms = 1000,
	};

	ASSERT_EQ(0, removal_set(self->owner, IOTARGET_TEST_QUERY_CLOSES |
				 IOTARGET_TEST_CANCELED_OPENS, 0, 2500));
	EXPECT_EQ(-ETIMEDOUT, consent_ask(self->plain, &answer));
	check_works(_metadata, self->plain);
	/* Its yes came too late, so it is told that the device stays. */
	EXPECT_TRUE(removal_hears(self->owner, 2, slow(4000)));
	CHECK_TOLD(self->owner, TOLD_QUERY, TOLD_CANCELED);
	check_works(_metadata, self->owner);
}

/* Some kernels don't mount what somebody has open for writing. */
TEST_F_TIMEOUT(removal, refused_by_a_mount, 60)
{
	struct iotarget_test_consent answer;
	struct stat st;

	ASSERT_EQ(0, target_close(self->plain, LONG_MS, NULL));
	ASSERT_EQ(0, target_close(self->owner, LONG_MS, NULL));
	ASSERT_EQ(0, device_ext2(self->disk.path));
	ASSERT_EQ(0, target_open(self->plain, self->disk.path, ACCESS_READ,
				 SHARE_BOTH));
	ASSERT_EQ(0, target_open(self->owner, self->disk.path, ACCESS_READ,
				 SHARE_BOTH));
	mkdir(MOUNT, 0700);
	ASSERT_EQ(0, mount(self->disk.path, MOUNT, "ext4", 0, NULL));
	ASSERT_EQ(0, stat(self->disk.path, &st));
	EXPECT_EQ(-EBUSY, ask(self, 0, 0, &answer));
	EXPECT_EQ(BY_CLAIM, answer.by);
	EXPECT_EQ(major(st.st_rdev), answer.major);
	EXPECT_EQ(minor(st.st_rdev), answer.minor);
	EXPECT_STREQ(self->disk.name, answer.name);
	CHECK_TOLD_NOTHING(self->owner);
	EXPECT_EQ(0, umount(MOUNT));
	EXPECT_EQ(STARTED, target_state(self->plain));
	EXPECT_EQ(0, ask(self, 0, 0, &answer));
	/* And now nobody comes in. */
	EXPECT_EQ(-1, mount(self->disk.path, MOUNT, "ext4", 0, NULL));
	EXPECT_EQ(EBUSY, errno);
}

TEST_F_TIMEOUT(removal, refused_by_an_opener, 60)
{
	struct iotarget_test_consent answer;
	int fd = open(self->disk.path, O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, ask(self, 0, 0, &answer));
	EXPECT_EQ(BY_OPENER, answer.by);
	EXPECT_STREQ(self->disk.name, answer.name);
	CHECK_TOLD_NOTHING(self->owner);
	check_works(_metadata, self->plain);
	close(fd);
	EXPECT_EQ(0, ask(self, 0, 0, &answer));
}

static void *close_later(void *arg)
{
	sleep_ms(300);
	close(*(int *)arg);
	return NULL;
}

/* Who only has a look, as udev does, is no reason. */
TEST_F_TIMEOUT(removal, a_short_look_is_waited_for, 60)
{
	struct iotarget_test_consent answer;
	int fd = open(self->disk.path, O_RDONLY | O_CLOEXEC);
	pthread_t thread;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pthread_create(&thread, NULL, close_later, &fd));
	EXPECT_EQ(0, ask(self, 0, 0, &answer));
	pthread_join(thread, NULL);
}

struct asking {
	int				fd;
	struct iotarget_test_consent	answer;
	int				ret;
};

static void *ask_in_thread(void *data)
{
	struct asking *asking = data;

	asking->ret = consent_ask(asking->fd, &asking->answer);
	return NULL;
}

/* Neither while another asks nor while all have agreed; and nobody opens it then. */
TEST_F_TIMEOUT(removal, only_one_asks_at_a_time, 60)
{
	struct asking first = {
		.fd = self->plain,
		.answer = { .up = self->above.up, .timeout_ms = ASK_MS },
	};
	struct iotarget_test_consent other = { .timeout_ms = ASK_MS };
	pthread_t thread;

	ASSERT_EQ(0, removal_set(self->owner, TOLD_ALL, 0, 1500));
	ASSERT_EQ(0, pthread_create(&thread, NULL, ask_in_thread, &first));
	EXPECT_TRUE(removal_hears(self->owner, 1, slow(2000)));
	EXPECT_EQ(-EBUSY, consent_ask(self->owner, &other));
	EXPECT_EQ(BY_QUERY, other.by);
	EXPECT_STREQ(self->disk.name, other.name);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, first.ret);
	self->asked = true;
	EXPECT_EQ(-EBUSY, target_open(self->owner, self->disk.path, ACCESS_BOTH,
				      SHARE_BOTH));
}

/* Nothing is done, and the answer is the same. */
TEST_F_TIMEOUT(removal, dry_run, 60)
{
	struct iotarget_test_consent answer;
	struct iotarget_test_removal told;
	int fd;

	ASSERT_EQ(0, ask(self, QUERY_DRY_RUN, 0, &answer));
	EXPECT_EQ(BY_NOBODY, answer.by);
	EXPECT_EQ(STARTED, target_state(self->plain));
	EXPECT_EQ(STARTED, target_state(self->owner));
	CHECK_TOLD(self->owner, TOLD_QUERY);
	told = removal_told(self->owner);
	EXPECT_EQ(1, told.told[0].dry_run);
	fd = open(self->disk.path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, ask(self, QUERY_DRY_RUN, 0, &answer));
	EXPECT_EQ(BY_OPENER, answer.by);
	close(fd);
	ASSERT_EQ(0, removal_set(self->owner, 0, -EPERM, 0));
	EXPECT_EQ(-EBUSY, ask(self, QUERY_DRY_RUN, 0, &answer));
	EXPECT_EQ(BY_TARGET, answer.by);
	check_works(_metadata, self->plain);
	check_works(_metadata, self->owner);
	/* It can be claimed all the time. */
	fd = open(self->disk.path, O_RDONLY | O_EXCL | O_CLOEXEC);
	EXPECT_LE(0, fd);
	close(fd);
}

/* F74, F77, F78: and those who agreed go on. */
TEST_F_TIMEOUT(removal, canceled, 60)
{
	struct iotarget_test_consent answer;

	ASSERT_EQ(0, ask(self, 0, 0, &answer));
	EXPECT_EQ(-ECANCELED, consent_end(self->plain, LONG_MS));
	self->asked = false;
	/* All of them were told when that returned. */
	EXPECT_EQ(STARTED, target_state(self->owner));
	EXPECT_EQ(STARTED, target_state(self->plain));
	check_works(_metadata, self->plain);
	check_works(_metadata, self->owner);
	CHECK_TOLD(self->owner, TOLD_QUERY, TOLD_CANCELED);
	EXPECT_EQ(CLOSED_FOR_QUERY_REMOVE,
		  removal_told(self->owner).told[1].state);
	/* Notifications are as they were before: once, and not twice. */
	ASSERT_EQ(0, ask(self, 0, 0, &answer));
	CHECK_TOLD(self->owner, TOLD_QUERY, TOLD_CANCELED, TOLD_QUERY);
}

/* Whoever has asked and then forgets about it has not got the device. */
TEST_F_TIMEOUT(removal, expired, 60)
{
	struct iotarget_test_consent answer;

	ASSERT_EQ(0, ask(self, 0, 500, &answer));
	EXPECT_EQ(-ETIME, consent_wait(self->plain, LONG_MS));
	EXPECT_EQ(-ETIME, consent_end(self->plain, LONG_MS));
	self->asked = false;
	check_works(_metadata, self->plain);
	check_works(_metadata, self->owner);
	CHECK_TOLD(self->owner, TOLD_QUERY, TOLD_CANCELED);
}

/* It can't be refused; where the device still answers there is a last word. */
static void goes_unasked(struct __test_metadata *_metadata,
			 struct _test_data_removal *self, bool live)
{
	struct iotarget_test_removal told;

	EXPECT_TRUE(becomes_state(self->plain, CLOSED, slow(NOTICE_MS)));
	EXPECT_TRUE(becomes_state(self->owner, CLOSED, slow(NOTICE_MS)));
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	if (!live) {
		CHECK_TOLD(self->owner, TOLD_COMPLETE);
		return;
	}
	CHECK_TOLD(self->owner, TOLD_QUERY, TOLD_COMPLETE);
	told = removal_told(self->owner);
	EXPECT_EQ(1, told.told[0].forced);
	EXPECT_EQ(0, told.told[0].read);
	EXPECT_LT(0, told.told[0].timeout_ms);
	EXPECT_GE(NOTICE_MS, told.told[0].timeout_ms);
	EXPECT_EQ(CLOSED_FOR_QUERY_REMOVE, told.told[1].state);
}

/* F72, F75 */
TEST_F_TIMEOUT(removal, unasked, 60)
{
	ASSERT_EQ(0, remove_by_file(&self->above));
	goes_unasked(_metadata, self, variant->live);
}

TEST_F_TIMEOUT(removal, driver_unbound, 60)
{
	struct above scsi;
	const char *dir = self->above.dir;

	/* Of a SCSI disk that of the disk, elsewhere that of the bus. */
	if (!device_above(self->disk.path, "delete", &scsi))
		dir = scsi.dir;
	ASSERT_EQ(0, unbind_driver(dir));
	goes_unasked(_metadata, self, true);
}

TEST_F_TIMEOUT(removal, pulled_while_idle, 60)
{
	struct iotarget_test_transfer out;

	if (!strcmp(variant->file, "remove") && strncmp(variant->id, "u", 1)) {
		/* Of these buses the driver is asked, even by a pull. */
		ASSERT_EQ(0, pull(self));
		goes_unasked(_metadata, self, true);
		return;
	}
	ASSERT_EQ(0, pull(self));
	EXPECT_TRUE(becomes_state(self->plain, CLOSED, slow(NOTICE_MS)));
	EXPECT_TRUE(becomes_state(self->owner, CLOSED, slow(NOTICE_MS)));
	CHECK_TOLD(self->owner, TOLD_COMPLETE);
	EXPECT_EQ(-ESHUTDOWN, target_read(self->plain, 0, BLOCK, 1000, &out));
	EXPECT_EQ(NEVER_SENT, out.outcome);
}

/* What is held fails when the device is gone, and was never sent. */
TEST_F_TIMEOUT(removal, pulled_with_a_queue, 60)
{
	struct iotarget_test_query query;
	unsigned int i;

	ASSERT_EQ(0, target_stop(self->plain, WAIT_FOR_SENT, LONG_MS, NULL));
	for (i = 0; i < NR_HELD; i++) {
		ASSERT_EQ(0, request_write(self->plain, i, i * BLOCK, BLOCK));
		ASSERT_EQ(0, request_send(self->plain, i, 0, 0));
	}
	ASSERT_EQ(0, pull(self));
	for (i = 0; i < NR_HELD; i++) {
		EXPECT_EQ(0, request_called_back(self->plain, i, 1,
						 slow(NOTICE_MS)));
		query = request_query(self->plain, i);
		EXPECT_EQ(-ENODEV, query.status);
		EXPECT_EQ(NEVER_SENT, query.outcome);
		EXPECT_EQ(0, query.doubles);
	}
	EXPECT_TRUE(becomes_state(self->plain, CLOSED, slow(NOTICE_MS)));
}

/* F75, F79: each request has one answer. */
TEST_F_TIMEOUT(removal, pulled_under_load, 60)
{
	struct iotarget_test_load_start load = {
		.threads = 4, .depth = 16, .write_percent = 30,
		.min_len = BLOCK, .max_len = 8 * BLOCK, .span = SPAN,
		.bits = IOTARGET_TEST_LOAD_VERIFY,
	};
	struct iotarget_test_load_stop books;

	ASSERT_EQ(0, device_fill(self->disk.path, 0, SPAN, SEED));
	ASSERT_EQ(0, load_start(self->plain, &load));
	ASSERT_TRUE(load_runs(self->plain, 100));
	ASSERT_EQ(0, pull(self));
	EXPECT_TRUE(becomes_state(self->plain, CLOSED, slow(NOTICE_MS)));
	ASSERT_EQ(0, load_stop(self->plain, LONG_MS, &books));
	load_show(&books);
	EXPECT_LT(0, books.done);
	EXPECT_EQ(books.accepted, books.callbacks);
	EXPECT_EQ(books.callbacks, books.done + books.failed +
				   books.never_sent + books.unknown);
	EXPECT_EQ(0, books.lost + books.doubles + books.uninvited);
	EXPECT_EQ(0, books.inconsistent + books.wrong_data);
	EXPECT_EQ(0, books.latched + books.expired);
	EXPECT_TRUE(!books.refused || books.last_refusal == -ENODEV);
}

static void *pull_now(void *arg)
{
	sleep_ms(300);
	return (void *)(intptr_t)pull(arg);
}

/* The device does not wait for the answer. */
TEST_F_TIMEOUT(removal, pulled_during_the_query, 60)
{
	struct iotarget_test_consent answer;
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, removal_set(self->owner, IOTARGET_TEST_QUERY_CLOSES |
				 IOTARGET_TEST_COMPLETE_CLOSES, 0, 1500));
	ASSERT_EQ(0, pthread_create(&thread, NULL, pull_now,
				    self));
	ask(self, 0, 0, &answer);
	pthread_join(thread, &ret);
	EXPECT_EQ(NULL, ret);
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS + NOTICE_MS)));
	EXPECT_TRUE(becomes_state(self->plain, CLOSED, slow(NOTICE_MS)));
	EXPECT_TRUE(becomes_state(self->owner, CLOSED, slow(NOTICE_MS)));
	EXPECT_LE(2, removal_told(self->owner).nr);
	/* Whatever the answer was, the last that is told is that it is gone. */
	EXPECT_EQ(TOLD_COMPLETE, removal_told(self->owner)
		  .told[removal_told(self->owner).nr - 1].kind);
}

/* F76: a callback may delete its own target. */
TEST_F_TIMEOUT(removal, deleted_when_it_is_gone, 60)
{
	ASSERT_EQ(0, removal_set(self->owner, IOTARGET_TEST_COMPLETE_DELETES,
				 -EBUSY, 0));
	ASSERT_EQ(0, pull(self));
	EXPECT_TRUE(becomes_state(self->owner, DELETED, slow(NOTICE_MS)));
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	/* The teardown's close is refused then. */
	close(self->owner);
	self->owner = target_new("removal-other", 0);
	ASSERT_LE(0, self->owner);
}

TEST_HARNESS_MAIN
