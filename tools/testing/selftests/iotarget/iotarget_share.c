// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may have a device at the same time: share modes among targets (disk and
 * partition are one device), the kernel's claim against everybody else, and
 * opens that take long.
 */
#include <linux/fs.h>

#include "fixture.h"

#define PART_START	MIB
#define PART_LEN	(4 * MIB)

FIXTURE(share) {
	int a;
	int b;
	char path[DEVICE_PATH];
};

FIXTURE_SETUP(share)
{
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->path, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	self->a = target_new("share-a", 0);
	self->b = target_new("share-b", 0);
	ASSERT_LE(0, self->a);
	ASSERT_LE(0, self->b);
}

FIXTURE_TEARDOWN(share)
{
	close(self->a);
	close(self->b);
	ON_TIME();
}

/*
 * First target down, second across; access r, w or rw, and after the slash what
 * it shares (- nothing).  "." the second opens, "x" it is refused.
 */
static const char * const share_names[] = {
	"r/-", "r/r", "r/w", "r/rw", "w/-", "w/r", "w/w", "w/rw",
	"rw/-", "rw/r", "rw/w", "rw/rw",
};

static const char * const share_table[] = {
	/*	   r/-  r/w     w/-  w/w     rw/-  rw/w
	 *	      r/r  r/rw    w/r  w/rw     rw/r  rw/rw
	 */
	/* r/-   */ "x x x x x x x x x x x x",
	/* r/r   */ "x . x . x x x x x x x x",
	/* r/w   */ "x x x x x . x . x x x x",
	/* r/rw  */ "x . x . x . x . x . x .",
	/* w/-   */ "x x x x x x x x x x x x",
	/* w/r   */ "x x . . x x x x x x x x",
	/* w/w   */ "x x x x x x . . x x x x",
	/* w/rw  */ "x x . . x x . . x x . .",
	/* rw/-  */ "x x x x x x x x x x x x",
	/* rw/r  */ "x x x . x x x x x x x x",
	/* rw/w  */ "x x x x x x x . x x x x",
	/* rw/rw */ "x x x . x x x . x x x .",
};

static int open_mode(int fd, const char *path, const char *mode)
{
	const char *share = strchr(mode, '/') + 1;
	unsigned int may = 0, lets = 0;

	for (; *mode != '/'; mode++)
		may |= *mode == 'r' ? ACCESS_READ : ACCESS_WRITE;
	for (; *share; share++)
		lets |= *share == 'r' ? SHARE_READ :
			*share == 'w' ? SHARE_WRITE : 0;
	return target_open(fd, path, may, lets);
}

TEST_F_TIMEOUT(share, f09_matrix, 120)
{
	unsigned int i, j;
	int expected;

	for (i = 0; i < ARRAY_SIZE(share_names); i++) {
		for (j = 0; j < ARRAY_SIZE(share_names); j++) {
			expected = share_table[i][2 * j] == 'x' ? -EBUSY : 0;
			ASSERT_EQ(0, open_mode(self->a, self->path,
					       share_names[i]))
				TH_LOG("first %s", share_names[i]);
			EXPECT_EQ(expected, open_mode(self->b, self->path,
						      share_names[j]))
				TH_LOG("first %s, second %s", share_names[i],
				       share_names[j]);
			EXPECT_EQ(STARTED, target_state(self->a));
			EXPECT_EQ(expected ? CLOSED : STARTED,
				  target_state(self->b));
			EXPECT_EQ(0, target_close(self->b, LONG_MS, NULL));
			EXPECT_EQ(0, target_close(self->a, LONG_MS, NULL));
		}
	}
}

TEST_F(share, f09_disk_and_partition_are_one_device)
{
	char part[DEVICE_PATH];
	struct iotarget_test_info info;

	if (!got_device(part, partition_make(self->path, 1, PART_START, PART_LEN)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, open_mode(self->a, part, "rw/-"));
	EXPECT_EQ(-EBUSY, open_mode(self->b, self->path, "r/rw"));
	EXPECT_EQ(0, target_close(self->a, LONG_MS, NULL));
	EXPECT_EQ(0, open_mode(self->b, self->path, "r/r"));
	EXPECT_EQ(-EBUSY, open_mode(self->a, part, "rw/rw"));
	/* The kernel gives no claim on both, be the holder the same. */
	EXPECT_EQ(-EBUSY, open_mode(self->a, part, "r/r"));
	EXPECT_EQ(0, target_close(self->b, LONG_MS, NULL));
	EXPECT_EQ(0, open_mode(self->b, self->path, "r/rw"));
	EXPECT_EQ(0, open_mode(self->a, part, "r/rw"));
	ASSERT_EQ(0, target_info(self->a, &info));
	EXPECT_EQ(1, info.partition);
	EXPECT_EQ(PART_LEN, info.capacity);
	EXPECT_STREQ(self->path + strlen("/dev/"), info.disk_name);
	EXPECT_EQ(0, target_close(self->a, LONG_MS, NULL));
	EXPECT_EQ(0, target_close(self->b, LONG_MS, NULL));
	EXPECT_EQ(0, partition_remove(self->path, 1));
}

TEST_F(share, f09_two_partitions_are_two_devices)
{
	char first[DEVICE_PATH], second[DEVICE_PATH];

	if (!got_device(first, partition_make(self->path, 1, PART_START, PART_LEN)))
		SKIP(return, "%s", device_reason());
	if (!got_device(second, partition_make(self->path, 2, PART_START + PART_LEN,
					       PART_LEN)))
		SKIP(return, "%s", device_reason());
	EXPECT_EQ(0, open_mode(self->a, first, "rw/-"));
	EXPECT_EQ(0, open_mode(self->b, second, "rw/-"));
	EXPECT_EQ(0, target_close(self->a, LONG_MS, NULL));
	EXPECT_EQ(0, target_close(self->b, LONG_MS, NULL));
	EXPECT_EQ(0, partition_remove(self->path, 1));
	EXPECT_EQ(0, partition_remove(self->path, 2));
}

TEST_F(share, claim_is_the_kernels)
{
	int fd;

	ASSERT_EQ(0, open_mode(self->a, self->path, "rw/r"));
	EXPECT_GT(0, open(self->path, O_RDONLY | O_EXCL | O_CLOEXEC));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, target_close(self->a, LONG_MS, NULL));
	fd = open(self->path, O_RDONLY | O_EXCL | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, open_mode(self->a, self->path, "r/-"));
	EXPECT_EQ(-EBUSY, open_mode(self->a, self->path, "r/r"));
	/* Who shares writing takes no claim, and needs none. */
	EXPECT_EQ(0, open_mode(self->a, self->path, "r/rw"));
	EXPECT_EQ(0, target_close(self->a, LONG_MS, NULL));
	close(fd);
	EXPECT_EQ(0, open_mode(self->a, self->path, "r/-"));
}

TEST_F(share, claim_is_given_back_when_the_last_closes)
{
	int fd;

	ASSERT_EQ(0, open_mode(self->a, self->path, "r/r"));
	ASSERT_EQ(0, open_mode(self->b, self->path, "r/r"));
	EXPECT_EQ(0, target_close(self->a, LONG_MS, NULL));
	EXPECT_GT(0, open(self->path, O_RDONLY | O_EXCL | O_CLOEXEC));
	EXPECT_EQ(0, target_close(self->b, LONG_MS, NULL));
	fd = open(self->path, O_RDONLY | O_EXCL | O_CLOEXEC);
	EXPECT_LE(0, fd);
	if (fd >= 0)
		close(fd);
}

static bool can_mount(const char *path, const char *where)
{
	return !mount(path, where, "ext4", MS_RDONLY, NULL);
}

TEST_F(share, claim_against_a_mount)
{
	char where[] = "/tmp/iotarget-mount-XXXXXX";

	ASSERT_NE(NULL, mkdtemp(where));
	ASSERT_EQ(0, device_ext2(self->path));
	if (!can_mount(self->path, where)) {
		rmdir(where);
		SKIP(return, "cannot mount ext4: %s", strerror(errno));
	}
	EXPECT_EQ(-EBUSY, open_mode(self->a, self->path, "r/-"));
	EXPECT_EQ(-EBUSY, open_mode(self->a, self->path, "r/r"));
	EXPECT_EQ(CLOSED, target_state(self->a));
	EXPECT_EQ(0, open_mode(self->a, self->path, "r/rw"));
	EXPECT_EQ(0, target_close(self->a, LONG_MS, NULL));
	EXPECT_EQ(0, umount(where));
	ASSERT_EQ(0, open_mode(self->a, self->path, "rw/-"));
	EXPECT_FALSE(can_mount(self->path, where));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, target_close(self->a, LONG_MS, NULL));
	EXPECT_TRUE(can_mount(self->path, where));
	EXPECT_EQ(0, umount(where));
	rmdir(where);
}

/* Holds a disk's open_mutex: a partition scan of a disk that answers slowly. */
static void *scan_partitions(void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ioctl(fd, BLKRRPART);
		close(fd);
	}
	return NULL;
}

FIXTURE(slow_open) {
	int fd;
	char path[DEVICE_PATH];
	pthread_t scan;
	bool scanning;
};

FIXTURE_SETUP(slow_open)
{
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->path, nullb_make(&slow_disk)))
		SKIP(return, "%s", device_reason());
	self->fd = target_new("slow-open", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, pthread_create(&self->scan, NULL, scan_partitions,
				    self->path));
	self->scanning = true;
	sleep_ms(100);
}

FIXTURE_TEARDOWN(slow_open)
{
	if (self->scanning)
		pthread_join(self->scan, NULL);
	close(self->fd);
	ON_TIME();
}

/* What an open took that nobody waited for, it has given back. */
static int opens_alone(int fd, const char *path)
{
	int ret = target_close(fd, LONG_MS, NULL);
	int other = target_new("slow-open-other", 0);

	ret = ret ? ret : target_open(other, path, ACCESS_BOTH, 0);
	close(other);
	return ret;
}

TEST_F(slow_open, open_has_a_timeout)
{
	struct iotarget_test_open arg = {
		.type = OPEN_PATH, .access = ACCESS_READ, .share = SHARE_BOTH,
		.timeout_ms = 200,
	};

	snprintf(arg.path, sizeof(arg.path), "%s", self->path);
	EXPECT_EQ(-ETIMEDOUT, target_open_raw(self->fd, &arg));
	EXPECT_EQ(CLOSED, target_state(self->fd));
	pthread_join(self->scan, NULL);
	self->scanning = false;
	EXPECT_EQ(0, opens_alone(self->fd, self->path));
	EXPECT_EQ(0, target_open(self->fd, self->path, ACCESS_READ,
				 SHARE_BOTH));
	EXPECT_EQ(STARTED, target_state(self->fd));
}

/* The first open ends while the second is under way, and is not the second. */
TEST_F(slow_open, opened_again_while_the_first_still_hangs)
{
	struct iotarget_test_open arg = {
		.type = OPEN_PATH, .access = ACCESS_READ, .share = SHARE_BOTH,
		.timeout_ms = 200,
	};
	struct iotarget_test_info info;

	snprintf(arg.path, sizeof(arg.path), "%s", self->path);
	EXPECT_EQ(-ETIMEDOUT, target_open_raw(self->fd, &arg));
	EXPECT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	EXPECT_EQ(STARTED, target_state(self->fd));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(ACCESS_BOTH, info.access);
	pthread_join(self->scan, NULL);
	self->scanning = false;
	EXPECT_EQ(0, opens_alone(self->fd, self->path));
}

struct opening {
	int		fd;
	const char	*path;
	int		ret;
};

static void *open_it(void *data)
{
	struct opening *opening = data;

	opening->ret = target_open(opening->fd, opening->path, ACCESS_READ,
				   SHARE_BOTH);
	return NULL;
}

TEST_F(slow_open, f05_busy_while_opening)
{
	struct opening opening = { self->fd, self->path, 1 };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, open_it, &opening));
	sleep_ms(100);
	EXPECT_EQ(CLOSED, target_state(self->fd));
	EXPECT_EQ(-EBUSY, target_open(self->fd, self->path, ACCESS_READ,
				      SHARE_BOTH));
	EXPECT_EQ(-EBUSY, target_start(self->fd));
	EXPECT_EQ(-EBUSY, target_stop(self->fd, WAIT_FOR_SENT, 1000, NULL));
	EXPECT_EQ(-EBUSY, target_stop(self->fd, LEAVE_SENT_PENDING, 0, NULL));
	EXPECT_EQ(-EBUSY, target_purge(self->fd, PURGE_NO_WAIT, 0, NULL));
	EXPECT_EQ(-ESHUTDOWN, request_read(self->fd, 0, 0, 4096));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, opening.ret);
	EXPECT_EQ(STARTED, target_state(self->fd));
}

TEST_F(slow_open, f53_close_while_opening)
{
	struct opening opening = { self->fd, self->path, 1 };
	pthread_t thread;
	int ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, open_it, &opening));
	sleep_ms(100);
	ret = target_close(self->fd, 100, NULL);
	EXPECT_TRUE(ret == 0 || ret == -ETIMEDOUT)
		TH_LOG("close: %d", ret);
	EXPECT_EQ(CLOSED, target_state(self->fd));
	pthread_join(thread, NULL);
	EXPECT_GT(0, opening.ret);
	EXPECT_EQ(CLOSED, target_state(self->fd));
	pthread_join(self->scan, NULL);
	self->scanning = false;
	EXPECT_EQ(0, opens_alone(self->fd, self->path));
	EXPECT_EQ(0, target_open(self->fd, self->path, ACCESS_READ,
				 SHARE_BOTH));
}

TEST_HARNESS_MAIN
