// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making targets, opening and closing them: every way to name a device, every
 * way to get it wrong, what is known of the device meanwhile.
 */
#include <linux/loop.h>

#include "fixture.h"

FIXTURE(target) {
	int fd;
	char path[DEVICE_PATH];
};

FIXTURE_SETUP(target)
{
	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->path, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	self->fd = target_new("open-test", 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(target)
{
	close(self->fd);
	loop_remove();
	ON_TIME();
}

static int open_devt(int fd, const char *path)
{
	struct iotarget_test_open arg = {
		.type = OPEN_DEVT, .access = ACCESS_BOTH, .share = SHARE_BOTH,
	};
	struct stat st;

	if (stat(path, &st))
		return -errno;
	arg.major = major(st.st_rdev);
	arg.minor = minor(st.st_rdev);
	return target_open_raw(fd, &arg);
}

static int open_file(int fd, const char *path, int flags)
{
	struct iotarget_test_open arg = {
		.type = OPEN_FILE, .share = SHARE_BOTH,
	};
	int ret;

	arg.fd = open(path, flags | O_CLOEXEC);
	if (arg.fd < 0)
		return -errno;
	ret = target_open_raw(fd, &arg);
	close(arg.fd);
	return ret;
}

TEST_F(target, f02_create_needs_no_device)
{
	struct iotarget_test_info info;

	EXPECT_EQ(CLOSED, target_state(self->fd));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_STREQ("open-test", info.name);
	EXPECT_NE(0, info.id);
	EXPECT_EQ(IOTARGET_TEST_GETTER_NAME | IOTARGET_TEST_GETTER_OWNER |
		  IOTARGET_TEST_GETTER_PRIV, info.getters);
}

TEST_F(target, ids_are_never_given_twice)
{
	struct iotarget_test_info first, second;
	int fd = target_new("open-test", 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, target_info(self->fd, &first));
	ASSERT_EQ(0, target_info(fd, &second));
	EXPECT_LT(first.id, second.id);
	close(fd);
	fd = target_new("open-test", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, target_info(fd, &first));
	EXPECT_LT(second.id, first.id);
	close(fd);
}

TEST_F(target, f03_f08_open_by_path)
{
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	EXPECT_EQ(STARTED, target_state(self->fd));
	EXPECT_EQ(0, target_read(self->fd, 0, 4096, LONG_MS, NULL));
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(CLOSED, target_state(self->fd));
}

TEST_F(target, f03_f08_open_by_number)
{
	ASSERT_EQ(0, open_devt(self->fd, self->path));
	EXPECT_EQ(STARTED, target_state(self->fd));
	EXPECT_EQ(0, target_read(self->fd, 0, 4096, LONG_MS, NULL));
}

TEST_F(target, f03_f08_open_by_file)
{
	ASSERT_EQ(0, open_file(self->fd, self->path, O_RDWR));
	EXPECT_EQ(STARTED, target_state(self->fd));
	EXPECT_EQ(0, target_read(self->fd, 0, 4096, LONG_MS, NULL));
	EXPECT_EQ(0, target_write(self->fd, 0, 4096, LONG_MS, NULL));
}

TEST_F(target, f03_a_files_access_is_the_targets)
{
	struct iotarget_test_info info;

	ASSERT_EQ(0, open_file(self->fd, self->path, O_RDONLY));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(ACCESS_READ, info.access);
	EXPECT_EQ(-EACCES, target_write(self->fd, 0, 4096, 1000, NULL));
	EXPECT_EQ(0, target_read(self->fd, 0, 4096, LONG_MS, NULL));
}

TEST_F(target, f03_a_file_that_is_no_block_device)
{
	EXPECT_EQ(-ENOTBLK, open_file(self->fd, "/proc/self/exe", O_RDONLY));
	EXPECT_EQ(-ENOTBLK, open_file(self->fd, "/dev/null", O_RDONLY));
	EXPECT_EQ(CLOSED, target_state(self->fd));
}

TEST_F(target, f04_path_is_copied)
{
	/* The test module spoils the string when the call has returned. */
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_READ,
				 SHARE_BOTH));
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, target_reopen(self->fd));
}

TEST_F(target, f07_reopen_after_path)
{
	struct iotarget_test_info info;

	EXPECT_GT(0, target_reopen(self->fd));
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_READ,
				 SHARE_BOTH));
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, target_reopen(self->fd));
	EXPECT_EQ(STARTED, target_state(self->fd));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(ACCESS_READ, info.access);
	EXPECT_EQ(0, target_read(self->fd, 0, 4096, LONG_MS, NULL));
	EXPECT_EQ(-EACCES, target_write(self->fd, 0, 4096, 1000, NULL));
}

TEST_F(target, f07_reopen_after_number)
{
	ASSERT_EQ(0, open_devt(self->fd, self->path));
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, target_reopen(self->fd));
	EXPECT_EQ(STARTED, target_state(self->fd));
}

TEST_F(target, f07_no_reopen_after_file)
{
	ASSERT_EQ(0, open_file(self->fd, self->path, O_RDWR));
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(-EINVAL, target_reopen(self->fd));
	EXPECT_EQ(CLOSED, target_state(self->fd));
}

TEST_F(target, f07_a_failed_open_leaves_the_parameters)
{
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_READ,
				 SHARE_BOTH));
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(-ENOENT, target_open(self->fd, "/dev/no-such-device",
				       ACCESS_READ, SHARE_BOTH));
	EXPECT_EQ(0, target_reopen(self->fd));
}

TEST_F(target, f05_second_open_disturbs_nothing)
{
	struct iotarget_test_info before, after;

	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	ASSERT_EQ(0, target_info(self->fd, &before));
	EXPECT_EQ(-EBUSY, target_open(self->fd, self->path, ACCESS_READ, 0));
	EXPECT_EQ(-EBUSY, open_devt(self->fd, self->path));
	EXPECT_EQ(-EBUSY, open_file(self->fd, self->path, O_RDONLY));
	EXPECT_EQ(-EBUSY, target_reopen(self->fd));
	EXPECT_EQ(-EBUSY, target_open(self->fd, "/dev/no-such-device",
				      ACCESS_READ, SHARE_BOTH));
	ASSERT_EQ(0, target_info(self->fd, &after));
	EXPECT_EQ(STOPPED, after.state);
	EXPECT_EQ(1, after.pended);
	EXPECT_EQ(before.access, after.access);
	EXPECT_EQ(before.diskseq, after.diskseq);
	ASSERT_EQ(0, target_start(self->fd));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
}

struct wrong_open {
	const char	*path;
	int		expected;
};

TEST_F(target, bad_paths_and_f06_reusable_after_each)
{
	static const struct wrong_open wrong[] = {
		{ "/dev/no-such-device", -ENOENT },
		{ "/no-such-directory/device", -ENOENT },
		{ "", -EINVAL },
		{ "/dev", -ENOTBLK },
		{ "/dev/null", -ENOTBLK },
		{ "/proc/self/exe", -ENOTBLK },
		{ "/proc/version", -ENOTBLK },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(wrong[i].expected,
			  target_open(self->fd, wrong[i].path, ACCESS_READ,
				      SHARE_BOTH))
			TH_LOG("path '%s'", wrong[i].path);
		EXPECT_EQ(CLOSED, target_state(self->fd));
		EXPECT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
					 SHARE_BOTH));
		EXPECT_EQ(STARTED, target_state(self->fd));
		EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	}
}

TEST_F(target, bad_open_parameters)
{
	static const struct iotarget_test_open wrong[] = {
		{ .type = 0, .access = ACCESS_READ },
		{ .type = OPEN_REOPEN + 1, .access = ACCESS_READ },
		{ .type = OPEN_PATH },
		{ .type = OPEN_PATH, .access = 0x4 | ACCESS_READ },
		{ .type = OPEN_PATH, .access = ACCESS_READ, .flags = 1 },
		{ .type = OPEN_PATH, .access = ACCESS_READ, .share = 0x4 },
		{ .type = OPEN_PATH, .access = ACCESS_READ,
		  .bits = IOTARGET_TEST_NULL_PATH },
		{ .type = OPEN_PATH, .access = ACCESS_READ,
		  .bits = IOTARGET_TEST_BAD_RESERVED },
		{ .type = OPEN_PATH, .access = ACCESS_READ,
		  .timeout_ms = MAX_TIMEOUT_MS + 1 },
		{ .type = OPEN_PATH, .access = ACCESS_READ,
		  .timeout_ms = FOREVER },
	};
	struct iotarget_test_open arg;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		arg = wrong[i];
		snprintf(arg.path, sizeof(arg.path), "%s", self->path);
		EXPECT_EQ(-EINVAL, target_open_raw(self->fd, &arg))
			TH_LOG("row %u", i);
		EXPECT_EQ(CLOSED, target_state(self->fd));
	}
	EXPECT_EQ(0, target_open(self->fd, self->path, ACCESS_READ, 0));
}

TEST_F(target, bad_device_number)
{
	struct iotarget_test_open arg = {
		.type = OPEN_DEVT, .access = ACCESS_READ, .share = SHARE_BOTH,
		.major = 0xffe, .minor = 0xffffe,
	};
	int ret = target_open_raw(self->fd, &arg);

	EXPECT_TRUE(ret == -ENXIO || ret == -ENODEV || ret == -ENOENT)
		TH_LOG("open of an unknown number: %d", ret);
	EXPECT_EQ(CLOSED, target_state(self->fd));
}

TEST_F(target, empty_device)
{
	char path[DEVICE_PATH];

	if (!got_device(path, loop_empty()))
		SKIP(return, "%s", device_reason());
	EXPECT_EQ(-ENOMEDIUM, target_open(self->fd, path, ACCESS_READ,
					  SHARE_BOTH));
	EXPECT_EQ(CLOSED, target_state(self->fd));
}

TEST_F(target, read_only_device_opened_for_writing)
{
	struct iotarget_test_info info;

	ASSERT_EQ(0, device_read_only(self->path, true));
	EXPECT_EQ(-EACCES, target_open(self->fd, self->path, ACCESS_BOTH,
				       SHARE_BOTH));
	EXPECT_EQ(CLOSED, target_state(self->fd));
	EXPECT_EQ(0, target_open(self->fd, self->path, ACCESS_READ,
				 SHARE_BOTH));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(1, info.read_only);
	ASSERT_EQ(0, device_read_only(self->path, false));
}

TEST_F(target, write_protected_scsi_disk)
{
	char path[DEVICE_PATH];
	int ret;

	if (!got_device(path, scsi_debug_disk()))
		SKIP(return, "%s", device_reason());
	ret = scsi_debug_protect(true);
	if (ret || device_sysfs(path, "ro") != 1) {
		scsi_debug_protect(false);
		SKIP(return, "scsi_debug cannot be write protected: %d", ret);
	}
	ret = target_open(self->fd, path, ACCESS_BOTH, SHARE_BOTH);
	EXPECT_EQ(-EACCES, ret);
	if (!ret)
		target_close(self->fd, 1000, NULL);
	EXPECT_EQ(0, target_open(self->fd, path, ACCESS_READ, SHARE_BOTH));
	EXPECT_EQ(-EACCES, target_write(self->fd, 0, 4096, 1000, NULL));
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, scsi_debug_protect(false));
}

TEST_F(target, read_only_loop)
{
	char path[DEVICE_PATH];

	if (!got_device(path, loop_disk(1, true)))
		SKIP(return, "%s", device_reason());
	EXPECT_EQ(-EACCES, target_open(self->fd, path, ACCESS_WRITE,
				       SHARE_BOTH));
	EXPECT_EQ(0, target_open(self->fd, path, ACCESS_READ, SHARE_BOTH));
}

/* No block may be in two pieces of memory that the device has to take one by one. */
TEST_F(target, blocks_larger_than_a_page)
{
	const unsigned long bs = 4 * sysconf(_SC_PAGESIZE);
	struct iotarget_test_transfer arg = {
		.type = IOTARGET_TEST_WRITE, .pos = bs, .len = 40 * bs,
		.timeout_ms = LONG_MS, .misalign = 5, .seed = SEED,
	};
	struct iotarget_test_info info;
	char path[DEVICE_PATH];
	int fd;

	if (!got_device(path, loop_disk(4, false)))
		SKIP(return, "%s", device_reason());
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	if (ioctl(fd, LOOP_SET_BLOCK_SIZE, bs)) {
		close(fd);
		SKIP(return, "this kernel has no blocks larger than a page");
	}
	close(fd);
	ASSERT_EQ(0, target_open(self->fd, path, ACCESS_BOTH, SHARE_BOTH));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(bs, info.logical_block_size);
	EXPECT_EQ(0, target_transfer(self->fd, &arg));
	EXPECT_EQ(40 * bs, arg.bytes);
	EXPECT_EQ(0, device_wrong(path, bs, 40 * bs, SEED));
	arg.type = IOTARGET_TEST_READ;
	EXPECT_EQ(0, target_transfer(self->fd, &arg));
	EXPECT_EQ(0, arg.wrong);
	EXPECT_EQ(0, arg.overrun);
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
}

TEST_F(target, f11_f12_known_while_open_only)
{
	struct stat st;
	struct iotarget_test_info info;

	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	ASSERT_EQ(0, stat(self->path, &st));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(1, info.have_bdev);
	EXPECT_EQ(major(st.st_rdev), info.bdev_major);
	EXPECT_EQ(minor(st.st_rdev), info.bdev_minor);
	EXPECT_EQ(major(st.st_rdev), info.major);
	EXPECT_EQ(minor(st.st_rdev), info.minor);
	EXPECT_STREQ(self->path + strlen("/dev/"), info.disk_name);
	EXPECT_EQ(device_size(self->path), info.capacity);
	EXPECT_EQ(device_sysfs(self->path, "queue/logical_block_size"),
		  info.logical_block_size);
	EXPECT_EQ(device_sysfs(self->path, "queue/physical_block_size"),
		  info.physical_block_size);
	EXPECT_EQ(device_sysfs(self->path, "queue/max_sectors_kb"),
		  info.max_transfer / 1024);
	EXPECT_EQ(device_sysfs(self->path, "queue/rotational"),
		  info.rotational);
	EXPECT_EQ(device_sysfs(self->path, "removable"), info.removable);
	EXPECT_EQ(device_sysfs(self->path, "diskseq"), info.diskseq);
	EXPECT_EQ(0, info.partition);
	EXPECT_EQ(ACCESS_BOTH, info.access);
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(0, info.have_bdev);
	EXPECT_EQ(0, info.major + info.minor + info.access + info.capacity);
	EXPECT_EQ(0, info.logical_block_size + info.max_transfer);
	EXPECT_EQ(0, info.diskseq);
	EXPECT_STREQ("", info.disk_name);
}

TEST_F(target, f12_identity_of_a_scsi_disk)
{
	char path[DEVICE_PATH];
	struct iotarget_test_info info;

	if (!got_device(path, scsi_debug_disk()))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, target_open(self->fd, path, ACCESS_READ, SHARE_BOTH));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_NE(0, info.unique_id_type);
	EXPECT_NE(0, info.unique_id_len);
	TH_LOG("unique id type %u, %u bytes, serial '%s'",
	       info.unique_id_type, info.unique_id_len, info.serial);
}

TEST_F(target, f52_close_for_query_remove)
{
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	ASSERT_EQ(0, target_close_query(self->fd, LONG_MS, NULL));
	EXPECT_EQ(CLOSED_FOR_QUERY_REMOVE, target_state(self->fd));
	EXPECT_EQ(-ESHUTDOWN, target_read(self->fd, 0, 4096, 1000, NULL));
	EXPECT_EQ(-ESHUTDOWN, target_start(self->fd));
	EXPECT_EQ(CLOSED_FOR_QUERY_REMOVE, target_state(self->fd));
	ASSERT_EQ(0, target_reopen(self->fd));
	EXPECT_EQ(STARTED, target_state(self->fd));
	ASSERT_EQ(0, target_close_query(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(CLOSED, target_state(self->fd));
	/* Of a target that is not open it is a plain close. */
	EXPECT_EQ(0, target_close_query(self->fd, LONG_MS, NULL));
	EXPECT_EQ(CLOSED, target_state(self->fd));
}

TEST_F(target, f53_close_twice)
{
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	EXPECT_EQ(CLOSED, target_state(self->fd));
}

TEST_F(target, delete_is_final)
{
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	ASSERT_EQ(0, target_delete(self->fd, LONG_MS, NULL));
	EXPECT_EQ(DELETED, target_state(self->fd));
	EXPECT_EQ(-ESHUTDOWN, target_open(self->fd, self->path, ACCESS_BOTH,
					  SHARE_BOTH));
	EXPECT_EQ(-ESHUTDOWN, target_start(self->fd));
	EXPECT_EQ(-ESHUTDOWN, target_close(self->fd, 1000, NULL));
	EXPECT_EQ(-ESHUTDOWN, request_read(self->fd, 0, 0, 4096));
	EXPECT_EQ(-ESHUTDOWN, target_read(self->fd, 0, 4096, 1000, NULL));
	EXPECT_EQ(DELETED, target_state(self->fd));
}

TEST_F(target, f13_cleanup_sees_what_is_held)
{
	struct iotarget_test_info info;

	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, request_read(self->fd, 0, 0, 4096));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	ASSERT_EQ(0, target_delete(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(1, info.cleanups);
	EXPECT_EQ(1, info.cleanup_pended);
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(-ENODEV, request_query(self->fd, 0).status);
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, 0).outcome);
}

TEST_F(target, destroy_is_called_once)
{
	struct iotarget_test_global before, after;
	unsigned int i;
	int fd;

	ASSERT_EQ(0, module_books(&before));
	for (i = 0; i < 20; i++) {
		fd = target_new("open-test-2", 0);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, target_open(fd, self->path, ACCESS_BOTH,
					 SHARE_BOTH));
		if (i % 2)
			EXPECT_EQ(0, target_delete(fd, LONG_MS, NULL));
		close(fd);
	}
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, module_books(&after));
		if (after.destroyed - before.destroyed == 20)
			break;
		sleep_ms(20);
	}
	EXPECT_EQ(20, after.created - before.created);
	EXPECT_EQ(20, after.destroyed - before.destroyed);
}

TEST_HARNESS_MAIN
