// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control over netlink of targets whose devices are gone: what is told of them, how their
 * policy is changed, and how they get their devices back.  That what is held survives is
 * shown in iotarget_return.c.
 */
#include "control.h"
#include "removing.h"

#define BLOCK		4096
#define NR_HELD		4
#define LONG_HOLD_MS	600000
#define WRITTEN		(2 * MIB)

#define HOLD		IOTARGET_GONE_POLICY_HOLD
#define LOSSY		IOTARGET_GONE_POLICY_LOSSY

/* A disk that can be taken away without a bus. */
static const struct nullb disk = { .name = "iott_away", .size_mb = 16, .cache_mb = 1 };

struct change {
	uint32_t	set, clear, hold_ms;
	uint64_t	hold_bytes;
	bool		accept_loss;
};

static int begin(struct nl *nl, uint8_t cmd, uint64_t id, struct change c, uint64_t *cookie)
{
	struct nl_msg msg;

	nl_msg_init(nl, &msg, cmd, 0);
	nl_put_u64(&msg, IOTARGET_A_VERB_ID, id);
	if (c.set)
		nl_put_u32(&msg, IOTARGET_A_VERB_POLICY_SET, c.set);
	if (c.clear)
		nl_put_u32(&msg, IOTARGET_A_VERB_POLICY_CLEAR, c.clear);
	if (c.hold_ms)
		nl_put_u32(&msg, IOTARGET_A_VERB_HOLD_MS, c.hold_ms);
	if (c.hold_bytes)
		nl_put_u64(&msg, IOTARGET_A_VERB_HOLD_BYTES, c.hold_bytes);
	if (c.accept_loss)
		nl_put(&msg, IOTARGET_A_VERB_ACCEPT_LOSS, NULL, 0);
	return nl_ask(nl, &msg, cookie, NULL);
}

/* The result, with the event that tells of it. */
static int result(struct nl *ear, uint64_t cookie, struct nl_event *event)
{
	int ret = nl_await(ear, IOTARGET_EVENT_KIND_RESULT, cookie, event, EVENT_MS);

	return ret ? ret : -(int)event->error;
}

static int finish(struct nl *ask, struct nl *ear, uint8_t cmd, uint64_t id, struct change c,
		  struct nl_event *event)
{
	uint64_t cookie;
	int ret = begin(ask, cmd, id, c, &cookie);

	return ret ? ret : result(ear, cookie, event);
}

#define POLICY(...) \
	finish(&self->ask, &self->ear, IOTARGET_CMD_POLICY, self->id, \
	       (struct change){ __VA_ARGS__ }, &self->event)
#define REOPEN() \
	finish(&self->ask, &self->ear, IOTARGET_CMD_REOPEN, self->id, \
	       (struct change){ }, &self->event)
#define HEAR(_kind) \
	nl_await(&self->ear, IOTARGET_EVENT_KIND_##_kind, 0, &self->event, EVENT_MS)

static int send_writes(int fd, unsigned int first, unsigned int count)
{
	unsigned int i;
	int ret = 0;

	for (i = first; i < first + count && !ret; i++)
		ret = request_write(fd, i, WRITTEN + i * BLOCK, BLOCK) ?:
		      request_send(fd, i, 0, 0);
	return ret;
}

/* All failed, and none of them was sent. */
static int all_failed(int fd, unsigned int count)
{
	struct iotarget_test_query query;
	unsigned int i, n = 0;

	for (i = 0; i < count; i++) {
		if (request_called_back(fd, i, 1, slow(LONG_MS)))
			continue;
		query = request_query(fd, i);
		n += query.callbacks == 1 && query.status == -ENODEV &&
		     query.outcome == NEVER_SENT;
	}
	return n;
}

FIXTURE(away) {
	int fd;
	uint64_t id;
	char path[DEVICE_PATH];
	dev_t devt;
	struct nl ask, ear;
	struct nl_event event;
	struct nl_target target;
};

static bool make_disk(char *path, dev_t *devt)
{
	struct stat st;

	if (!got_device(path, nullb_make(&disk)) || stat(path, &st))
		return false;
	*devt = st.st_rdev;
	return true;
}

/* A target whose owner has no callbacks, and that does not hold. */
FIXTURE_SETUP(away)
{
	struct iotarget_test_info info;

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	NL_OR_SKIP(&self->ask);
	if (!make_disk(self->path, &self->devt))
		SKIP(return, "%s", device_reason());
	self->fd = target_with_defaults("control-away");
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, target_info(self->fd, &info));
	self->id = info.id;
	ASSERT_EQ(0, nl_listen(&self->ear));
}

FIXTURE_TEARDOWN(away)
{
	nl_close(&self->ear);
	nl_close(&self->ask);
	close(self->fd);
	nullb_remove(disk.name);
	ON_TIME();
}

#define GET() ASSERT_EQ(0, nl_get(&self->ask, self->id, &self->target))

/* Opened by a policy, with its disk taken away, and some requests held. */
static void lose(struct __test_metadata *_metadata, struct _test_data_away *self)
{
	ASSERT_EQ(0, POLICY(.set = HOLD, .hold_ms = LONG_HOLD_MS));
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH, SHARE_BOTH));
	ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, nullb_remove(disk.name));
	ASSERT_EQ(0, HEAR(AWAY));
	EXPECT_EQ(self->id, self->event.id);
	EXPECT_EQ(STOPPED, self->event.state);
	EXPECT_STREQ(strrchr(self->path, '/') + 1, self->event.disk);
	ASSERT_EQ(0, send_writes(self->fd, 0, NR_HELD));
}

TEST_F(away, is_seen)
{
	const uint64_t began = now_ms();

	lose(_metadata, self);
	GET();
	EXPECT_TRUE(self->target.away);
	EXPECT_STREQ("away", self->target.phase);
	EXPECT_EQ(STOPPED, self->target.state);
	EXPECT_EQ(NR_HELD, self->target.pended);
	EXPECT_EQ(NR_HELD * BLOCK, self->target.held_bytes);
	EXPECT_GE(LONG_HOLD_MS + 100, self->target.away_ms);
	EXPECT_LE(LONG_HOLD_MS, self->target.away_ms + (now_ms() - began));
	EXPECT_EQ(HOLD, self->target.policy);
	EXPECT_EQ(LONG_HOLD_MS, self->target.hold_ms);
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	GET();
	EXPECT_FALSE(self->target.away);
	EXPECT_EQ(0, self->target.away_ms + self->target.held_bytes);
	EXPECT_EQ(NR_HELD, all_failed(self->fd, NR_HELD));
}

/* It does not hold any more: at once, and all of it fails. */
TEST_F(away, without_hold_it_is_given_up)
{
	lose(_metadata, self);
	ASSERT_EQ(0, POLICY(.clear = HOLD, .set = LOSSY));
	EXPECT_EQ(NR_HELD, all_failed(self->fd, NR_HELD));
	GET();
	EXPECT_EQ(LOSSY, self->target.policy);
	EXPECT_FALSE(self->target.away);
	/* Its owner has no callbacks: it is closed for him. */
	EXPECT_TRUE(becomes_state(self->fd, CLOSED, slow(LONG_MS)));
}

/* The order in which it is told. */
TEST_F(away, giving_up_is_told)
{
	uint64_t cookie;

	lose(_metadata, self);
	ASSERT_EQ(0, begin(&self->ask, IOTARGET_CMD_POLICY, self->id,
			   (struct change){ .clear = HOLD }, &cookie));
	ASSERT_EQ(0, HEAR(GIVEN_UP));
	EXPECT_EQ(IOTARGET_WHY_POLICY, self->event.why);
	EXPECT_EQ(self->id, self->event.id);
	ASSERT_EQ(0, HEAR(REMOVE_COMPLETE));
	ASSERT_EQ(0, HEAR(CLOSED));
}

TEST_F(away, a_shorter_time_counts_from_the_loss)
{
	lose(_metadata, self);
	ASSERT_EQ(0, begin(&self->ask, IOTARGET_CMD_POLICY, self->id,
			   (struct change){ .hold_ms = 1 }, NULL));
	ASSERT_EQ(0, HEAR(GIVEN_UP));
	EXPECT_EQ(IOTARGET_WHY_EXPIRED, self->event.why);
	EXPECT_EQ(NR_HELD, all_failed(self->fd, NR_HELD));
}

TEST_F(away, limits_count_at_once)
{
	lose(_metadata, self);
	ASSERT_EQ(0, POLICY(.hold_bytes = NR_HELD * BLOCK));
	ASSERT_EQ(0, request_write(self->fd, NR_HELD, 0, BLOCK));
	EXPECT_EQ(-ENOBUFS, request_send(self->fd, NR_HELD, 0, 0));
	ASSERT_EQ(0, POLICY(.hold_bytes = (NR_HELD + 1) * BLOCK));
	EXPECT_EQ(0, request_send(self->fd, NR_HELD, 0, 0));
	/* What is held already stays, and what was not named stays as it was. */
	ASSERT_EQ(0, POLICY(.hold_bytes = 1));
	GET();
	EXPECT_EQ(NR_HELD + 1, self->target.pended);
	EXPECT_EQ(HOLD, self->target.policy);
	EXPECT_EQ(LONG_HOLD_MS, self->target.hold_ms);
	EXPECT_EQ(1, self->target.hold_bytes);
}

/* Whatever has become of it, it can be told to hold next time. */
TEST_F(away, a_closed_one_takes_any_policy)
{
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH, SHARE_BOTH));
	EXPECT_EQ(-EBUSY, POLICY(.set = HOLD));
	ASSERT_EQ(0, POLICY(.set = LOSSY));
	ASSERT_EQ(0, target_close_query(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, POLICY(.set = HOLD, .clear = LOSSY, .hold_ms = 5000, .hold_bytes = BLOCK));
	GET();
	EXPECT_EQ(HOLD, self->target.policy);
	EXPECT_EQ(5000, self->target.hold_ms);
	EXPECT_EQ(BLOCK, self->target.hold_bytes);
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH, SHARE_BOTH));
	/* Off and on: what is kept of the device is kept. */
	ASSERT_EQ(0, POLICY(.clear = HOLD));
	ASSERT_EQ(0, POLICY(.set = HOLD));
	EXPECT_EQ(0, target_delete(self->fd, LONG_MS, NULL));
}

/* What is at risk is known with a policy that holds only. */
TEST_F(away, what_is_at_risk_is_seen)
{
	ASSERT_EQ(0, POLICY(.set = HOLD));
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH, SHARE_BOTH));
	ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, target_write(self->fd, WRITTEN, 2 * BLOCK, LONG_MS, NULL));
	GET();
	EXPECT_EQ(2 * BLOCK, self->target.at_risk);
	ASSERT_EQ(0, target_flush(self->fd, LONG_MS, NULL));
	GET();
	EXPECT_EQ(0, self->target.at_risk + self->target.lost);
}

/* It was told, and starts when it can. */
TEST_F(away, a_start_says_that_it_comes_later)
{
	struct change none = { };

	lose(_metadata, self);
	EXPECT_EQ(-ECANCELED, finish(&self->ask, &self->ear, IOTARGET_CMD_START, self->id, none,
				     &self->event));
	EXPECT_NE(NULL, strstr(self->event.message, "starts when that is back"))
		TH_LOG("%s", self->event.message);
	GET();
	EXPECT_TRUE(self->target.away);
	/* A close is told as such, and nothing was given up. */
	EXPECT_EQ(0, target_close_query(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, HEAR(CLOSED));
	EXPECT_EQ(-ETIMEDOUT, nl_await(&self->ear, IOTARGET_EVENT_KIND_GIVEN_UP, 0, &self->event,
				       500));
}

/* -- reopen ---------------------------------------------------------------- */

TEST_F(away, reopen_says_when_it_is_not_there)
{
	lose(_metadata, self);
	EXPECT_EQ(-ENODEV, REOPEN());
	EXPECT_NE(NULL, strstr(self->event.message, "not there"))
		TH_LOG("%s", self->event.message);
	EXPECT_EQ(NR_HELD, self->event.pended);
	GET();
	EXPECT_TRUE(self->target.away);
	EXPECT_EQ(NR_HELD, self->target.pended);
}

static void gone(struct __test_metadata *_metadata, struct _test_data_away *self)
{
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH, SHARE_BOTH));
	ASSERT_EQ(0, nullb_remove(disk.name));
	ASSERT_TRUE(becomes_state(self->fd, CLOSED, slow(LONG_MS)));
}

/* As often as one likes; when there is a device of its number it is taken. */
TEST_F(away, reopen_after_a_removal)
{
	unsigned int i;
	dev_t devt;

	gone(_metadata, self);
	for (i = 0; i < 3; i++) {
		EXPECT_GT(0, REOPEN());
		EXPECT_NE(NULL, strstr(self->event.message, "no device of its number"))
			TH_LOG("%s", self->event.message);
	}
	if (!make_disk(self->path, &devt) || devt != self->devt)
		SKIP(return, "the disk has another number now");
	EXPECT_EQ(0, REOPEN());
	EXPECT_EQ(STARTED, self->event.state);
	GET();
	EXPECT_EQ(STARTED, self->target.state);
	EXPECT_EQ(ACCESS_BOTH, self->target.access);
	EXPECT_EQ(0, target_read(self->fd, 0, BLOCK, LONG_MS, NULL));
	EXPECT_EQ(-EBUSY, REOPEN());
	EXPECT_STREQ("the target is open", self->ask.text);
}

TEST_F(away, reopen_after_a_close_for_query_remove)
{
	int other;

	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH, 0));
	ASSERT_EQ(0, target_close_query(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, REOPEN());
	EXPECT_EQ(STARTED, target_state(self->fd));
	ASSERT_EQ(0, target_close_query(self->fd, LONG_MS, NULL));
	/* Somebody else has it: the reason is told, and there is another try. */
	other = target_opened("control-other", self->path);
	ASSERT_LE(0, other);
	EXPECT_EQ(-EBUSY, REOPEN());
	EXPECT_NE(NULL, strstr(self->event.message, "claimed")) TH_LOG("%s", self->event.message);
	EXPECT_EQ(0, target_delete(other, LONG_MS, NULL));
	close(other);
	EXPECT_EQ(0, REOPEN());
	/* What its driver closes is the driver's. */
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(-ESHUTDOWN, REOPEN());
	EXPECT_STREQ("its driver has closed it", self->ask.text);
}

TEST_F(away, reopen_of_one_that_was_never_open)
{
	EXPECT_EQ(-EINVAL, REOPEN());
	EXPECT_NE(NULL, strstr(self->ask.text, "not opened by a name"))
		TH_LOG("%s", self->ask.text);
}

/* All have agreed that it goes: it must not come between. */
TEST_F(away, no_reopen_of_what_is_about_to_go)
{
	struct nl_msg msg;
	uint64_t cookie;

	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH, SHARE_BOTH));
	nl_msg_init(&self->ask, &msg, IOTARGET_CMD_QUERY_REMOVE, 0);
	nl_put_u32(&msg, IOTARGET_A_VERB_MAJOR, major(self->devt));
	nl_put_u32(&msg, IOTARGET_A_VERB_MINOR, minor(self->devt));
	ASSERT_EQ(0, nl_ask(&self->ask, &msg, &cookie, NULL));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_QUERY_AGREED, cookie, &self->event,
			      EVENT_MS));
	EXPECT_EQ(-EBUSY, REOPEN());
	EXPECT_NE(NULL, strstr(self->ask.text, "all have agreed")) TH_LOG("%s", self->ask.text);
	EXPECT_EQ(CLOSED_FOR_QUERY_REMOVE, target_state(self->fd));
	nl_msg_init(&self->ask, &msg, IOTARGET_CMD_QUERY_CANCEL, 0);
	nl_put_u64(&msg, IOTARGET_A_VERB_COOKIE, cookie);
	ASSERT_EQ(0, nl_ask(&self->ask, &msg, NULL, NULL));
	EXPECT_TRUE(becomes_state(self->fd, STARTED, slow(LONG_MS)));
}

/* It is deleted while it is opened, or looked for; each verb has its one result. */
TEST_F(away, reopen_races_with_a_deletion)
{
	struct iotarget_test_info info;
	unsigned int i, n = 10, opened = 0;
	struct change none = { };
	uint64_t cookie;
	int fd, ret;

	for (i = 0; i < n; i++) {
		fd = target_with_defaults("control-race");
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, target_info(fd, &info));
		ASSERT_EQ(0, target_open(fd, self->path, ACCESS_BOTH, SHARE_BOTH));
		ASSERT_EQ(0, target_close_query(fd, LONG_MS, NULL));
		ASSERT_EQ(0, begin(&self->ask, IOTARGET_CMD_REOPEN, info.id, none, &cookie));
		if (i & 1)
			sleep_ms(i);
		EXPECT_EQ(0, target_delete(fd, LONG_MS, NULL));
		close(fd);
		ret = result(&self->ear, cookie, &self->event);
		EXPECT_TRUE(ret == 0 || ret == -ECANCELED || ret == -ESHUTDOWN) TH_LOG("%d", ret);
		opened += !ret;
	}
	TH_LOG("opened %u of %u before they were deleted", opened, n);
	EXPECT_TRUE(device_becomes_free(self->path));
}

/* -- a disk that comes back ------------------------------------------------- */

FIXTURE(stick) {
	struct plugged disk;
	int fd;
	uint64_t id;
	struct nl ask, ear;
	struct nl_event event;
	struct nl_target target;
};

FIXTURE_SETUP(stick)
{
	const char *why = host_pulls("usb1");
	struct iotarget_test_info info;

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (why)
		SKIP(return, "usb1: %s", why);
	NL_OR_SKIP(&self->ask);
	ASSERT_EQ(0, disk_plug(&self->disk, "usb1"));
	self->fd = target_new("control-stick", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, target_info(self->fd, &info));
	self->id = info.id;
	ASSERT_EQ(0, nl_listen(&self->ear));
	ASSERT_EQ(0, POLICY(.set = HOLD, .hold_ms = LONG_HOLD_MS));
	ASSERT_EQ(0, target_open(self->fd, self->disk.path, ACCESS_BOTH, SHARE_BOTH));
	ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
}

FIXTURE_TEARDOWN(stick)
{
	nl_close(&self->ear);
	nl_close(&self->ask);
	EXPECT_EQ(0, target_delete(self->fd, LONG_MS, NULL));
	if (disk_there(&self->disk))
		EXPECT_EQ(0, disk_pull(&self->disk));
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	close(self->fd);
	ON_TIME();
}

static void pull(struct __test_metadata *_metadata, struct _test_data_stick *self)
{
	ASSERT_EQ(0, disk_pull(&self->disk));
	ASSERT_EQ(0, HEAR(AWAY));
	EXPECT_STREQ(self->disk.name, self->event.disk);
	ASSERT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
}

/* Its name is told, whatever it is. */
TEST_F_TIMEOUT(stick, the_return_is_told, 60)
{
	pull(_metadata, self);
	ASSERT_EQ(0, send_writes(self->fd, 0, NR_HELD));
	EXPECT_EQ(-ENODEV, REOPEN());
	ASSERT_EQ(0, disk_plug(&self->disk, "usb1"));
	ASSERT_EQ(0, HEAR(RETURNED));
	EXPECT_EQ(self->id, self->event.id);
	EXPECT_EQ(STARTED, self->event.state);
	EXPECT_STREQ(self->disk.name, self->event.disk);
	EXPECT_EQ(0, request_called_back(self->fd, NR_HELD - 1, 1, slow(LONG_MS)));
	GET();
	EXPECT_FALSE(self->target.away);
	EXPECT_STREQ(self->disk.name, self->target.disk);
}

/* As soon as the kernel has it. */
static bool comes(struct plugged *disk)
{
	const uint64_t until = now_ms() + slow(PLUGGED_MS);
	long seq;

	while (!disk_find(disk)) {
		if (now_ms() > until)
			return false;
		sleep_ms(1);
	}
	seq = device_sysfs(disk->path, "diskseq");
	disk->seq = seq > 0 ? seq : 0;
	return true;
}

/* Whoever comes first: held requests fail or are done, all of them, once. */
TEST_F_TIMEOUT(stick, giving_up_races_with_the_return, 120)
{
	unsigned int i, round, done, failed;
	struct iotarget_test_query query;
	struct change off = { .clear = HOLD };
	uint64_t cookie;

	for (round = 0; round < 6; round++) {
		pull(_metadata, self);
		ASSERT_EQ(0, send_writes(self->fd, 0, NR_HELD));
		ASSERT_EQ(0, host_ask("plug", "usb1"));
		ASSERT_TRUE(comes(&self->disk));
		sleep_ms(round * round * 15);
		ASSERT_EQ(0, begin(&self->ask, IOTARGET_CMD_POLICY, self->id, off, &cookie));
		ASSERT_EQ(0, result(&self->ear, cookie, &self->event));
		for (i = done = failed = 0; i < NR_HELD; i++) {
			ASSERT_EQ(0, request_called_back(self->fd, i, 1, slow(LONG_MS)));
			query = request_query(self->fd, i);
			EXPECT_EQ(1, query.callbacks);
			done += query.outcome == DONE && !query.status;
			failed += query.outcome == NEVER_SENT && query.status == -ENODEV;
			ASSERT_EQ(0, request_do(self->fd, i, IOTARGET_TEST_REQUEST_REUSE, 0));
		}
		EXPECT_TRUE(done == NR_HELD || failed == NR_HELD)
			TH_LOG("%u done, %u failed", done, failed);
		TH_LOG("round %u: %s", round, done ? "returned" : "given up");
		ASSERT_TRUE(node_appears(self->disk.path, slow(PLUGGED_MS)));
		ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
		ASSERT_EQ(0, POLICY(.set = HOLD));
		ASSERT_EQ(0, target_open(self->fd, self->disk.path, ACCESS_BOTH, SHARE_BOTH));
		ASSERT_EQ(0, target_start_and_wait(self->fd, LONG_MS, NULL));
	}
}

/* What was lost is told, until it is accepted. */
TEST_F_TIMEOUT(stick, a_loss_can_be_accepted, 60)
{
	GET();
	ASSERT_EQ(0, target_write(self->fd, WRITTEN, 2 * BLOCK, LONG_MS, NULL));
	GET();
	if (!self->target.at_risk)
		SKIP(return, "the disk claims no cache");
	EXPECT_EQ(2 * BLOCK, self->target.at_risk);
	pull(_metadata, self);
	ASSERT_EQ(0, disk_plug(&self->disk, "usb1"));
	ASSERT_EQ(0, HEAR(RETURNED));
	GET();
	EXPECT_EQ(2 * BLOCK, self->target.lost);
	EXPECT_EQ(-EIO, target_flush(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, POLICY(.accept_loss = true));
	EXPECT_EQ(0, target_flush(self->fd, LONG_MS, NULL));
	GET();
	EXPECT_EQ(0, self->target.lost);
	/* While it is away it is not too late to say that it does not matter. */
	ASSERT_EQ(0, target_write(self->fd, WRITTEN, 2 * BLOCK, LONG_MS, NULL));
	pull(_metadata, self);
	ASSERT_EQ(0, POLICY(.set = LOSSY));
	ASSERT_EQ(0, disk_plug(&self->disk, "usb1"));
	ASSERT_EQ(0, HEAR(RETURNED));
	EXPECT_EQ(0, target_flush(self->fd, LONG_MS, NULL));
}

/* What has its number now is another one: nobody writes to that. */
TEST_F_TIMEOUT(stick, reopen_takes_no_other_device, 60)
{
	const char *why = host_has("uas0");
	struct plugged other;
	struct stat st, st2;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, POLICY(.clear = HOLD));
	ASSERT_EQ(0, removal_set(self->fd, IOTARGET_TEST_COMPLETE_CLOSES, 0, 0));
	ASSERT_EQ(0, stat(self->disk.path, &st));
	ASSERT_EQ(0, disk_pull(&self->disk));
	ASSERT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	ASSERT_TRUE(becomes_state(self->fd, CLOSED, slow(LONG_MS)));
	ASSERT_EQ(0, disk_plug(&other, "uas0"));
	if (!stat(other.path, &st2) && st.st_rdev == st2.st_rdev) {
		EXPECT_EQ(-ESTALE, REOPEN());
		EXPECT_NE(NULL, strstr(self->event.message, "another device"));
	} else {
		TH_LOG("%s has another number than %s had", other.path, self->disk.path);
	}
	EXPECT_EQ(CLOSED, target_state(self->fd));
	EXPECT_EQ(0, disk_pull(&other));
	EXPECT_EQ(0, disk_wait_gone(&other, slow(GONE_MS)));
	ASSERT_EQ(0, disk_plug(&self->disk, "usb1"));
	if (!stat(self->disk.path, &st2) && st.st_rdev == st2.st_rdev)
		EXPECT_EQ(0, REOPEN());
}

TEST_HARNESS_MAIN
