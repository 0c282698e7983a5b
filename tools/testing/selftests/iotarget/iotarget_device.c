// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device of the user's choice: IOTARGET_DEVICE names it, without that the
 * first USB stick is taken.  Reads only, unless IOTARGET_DESTROY is set; and
 * nothing at all of a device that is in use.
 */
#include <endian.h>

#include "fixture.h"

#define MAX_READ	(16 * MIB)

FIXTURE(device) {
	int fd;
	char path[DEVICE_PATH];
	struct iotarget_test_info info;
	uint64_t span;
};

static const char *chosen_device(void)
{
	const char *named = getenv("IOTARGET_DEVICE");

	return named && *named ? named : usb_stick();
}

FIXTURE_SETUP(device)
{
	const char *why;

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->path, chosen_device()))
		SKIP(return, "%s", device_reason());
	why = device_in_use(self->path);
	if (why)
		SKIP(return, "%s: %s", self->path, why);
	self->fd = target_new("device-test", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_READ,
				 SHARE_READ));
	ASSERT_EQ(0, target_info(self->fd, &self->info));
	self->span = self->info.capacity < MAX_READ ? self->info.capacity :
						      MAX_READ;
	self->span -= self->span % self->info.logical_block_size;
}

FIXTURE_TEARDOWN(device)
{
	close(self->fd);
	/* How long a real device takes is not ours to bound. */
	late_calls();
}

TEST_F(device, f12_information)
{
	printf("# %s: disk %s, %llu bytes, blocks of %u/%u\n", self->path,
	       self->info.disk_name, self->info.capacity,
	       self->info.logical_block_size, self->info.physical_block_size);
	printf("# serial '%s', unique id type %u\n", self->info.serial,
	       self->info.unique_id_type);
	EXPECT_EQ(device_size(self->path), self->info.capacity);
	EXPECT_LT(0, self->info.max_transfer);
	EXPECT_EQ(ACCESS_READ, self->info.access);
	EXPECT_EQ(STARTED, self->info.state);
}

/* All that is read through the target is what the node shows. */
TEST_F_TIMEOUT(device, contents_are_those_of_the_node, 120)
{
	const uint64_t chunk = 256 << 10;
	uint64_t pos, len, *direct;
	unsigned int slot = 0;
	int node = open(self->path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	ASSERT_LE(0, node);
	ASSERT_EQ(0, posix_memalign((void **)&direct, 4096, chunk));
	for (pos = 0; pos < self->span; pos += len) {
		uint64_t sum = 0, i;
		struct iotarget_test_query query;

		len = self->span - pos < chunk ? self->span - pos : chunk;
		ASSERT_EQ(0, request_read(self->fd, slot, pos, len));
		ASSERT_EQ(0, request_send(self->fd, slot, 0, 0));
		ASSERT_EQ(len, pread(node, direct, len, pos));
		ASSERT_EQ(0, request_called_back(self->fd, slot, 1, LONG_MS));
		query = request_query(self->fd, slot);
		EXPECT_EQ(0, query.status);
		EXPECT_EQ(DONE, query.outcome);
		EXPECT_EQ(len, query.bytes);
		for (i = 0; i < len / 8; i++)
			sum = iotarget_test_sum(sum, direct[i]);
		EXPECT_EQ(sum, query.sum)
			TH_LOG("at %llu", (unsigned long long)pos);
	}
	free(direct);
	close(node);
}

/* A stick on which every 8 bytes hold their own offset. */
TEST_F(device, contents_of_a_numbered_stick)
{
	uint64_t word, sum, pos, at;
	int node = open(self->path, O_RDONLY | O_CLOEXEC);
	unsigned int i;

	ASSERT_LE(0, node);
	for (i = 0, at = 0; i < 8; i++) {
		at = i * (self->span / 8) / 4096 * 4096;
		ASSERT_EQ(sizeof(word), pread(node, &word, sizeof(word), at));
		if (le64toh(word) != at) {
			close(node);
			SKIP(return, "%s is not numbered", self->path);
		}
	}
	close(node);
	for (pos = 0; pos < self->span; pos += MIB) {
		for (at = 0, sum = 0; at < MIB; at += sizeof(word))
			sum = iotarget_test_sum(sum, htole64(pos + at));
		ASSERT_EQ(0, request_read(self->fd, 0, pos, MIB));
		ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
		ASSERT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
		EXPECT_EQ(sum, request_query(self->fd, 0).sum)
			TH_LOG("at %llu", (unsigned long long)pos);
	}
}

/* Only a machine that pretends to be one can be asked to stall its stick. */
TEST_F(device, a_deadline_while_the_device_is_stalled)
{
	struct iotarget_test_transfer arg = {
		.type = IOTARGET_TEST_READ, .pos = 0, .len = 65536,
		.timeout_ms = 300, .linger_ms = 2500, .seed = SEED,
	};
	struct iotarget_test_report report;
	struct iotarget_test_info info;

	if (access("/dev/iotarget-host", W_OK) || getenv("IOTARGET_DEVICE"))
		SKIP(return, "nobody to stall the stick");
	ASSERT_EQ(0, system("host stall usb0"));
	ASSERT_EQ(0, system("host after 1500 resume usb0"));
	EXPECT_EQ(-ETIMEDOUT, target_transfer(self->fd, &arg));
	EXPECT_EQ(UNKNOWN, arg.outcome);
	EXPECT_EQ(0, arg.touched + arg.touched_late + arg.overrun);
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, &report));
	ASSERT_EQ(0, target_info(self->fd, &info));
	EXPECT_EQ(0, info.limbo);
	EXPECT_EQ(0, info.limbo_bytes);
	ASSERT_EQ(0, target_start(self->fd));
	/* And a stop that finds it stalled. */
	ASSERT_EQ(0, system("host stall usb0"));
	ASSERT_EQ(0, system("host after 1500 resume usb0"));
	ASSERT_EQ(0, request_read(self->fd, 0, MIB, 65536));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(-ETIMEDOUT, target_stop(self->fd, CANCEL_SENT, 300,
					  &report));
	EXPECT_EQ(1, report.sent);
	EXPECT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
	EXPECT_EQ(DONE, request_query(self->fd, 0).outcome);
	EXPECT_EQ(0, late_calls());
}

TEST_F(device, holds_drains_and_purges)
{
	uint64_t bs = self->info.logical_block_size;
	struct iotarget_test_report report;
	unsigned int i;

	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	for (i = 0; i < 32; i++) {
		ASSERT_EQ(0, request_read(self->fd, i, i * bs, bs));
		ASSERT_EQ(0, request_send(self->fd, i, 0, 0));
	}
	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, &report));
	EXPECT_EQ(32, report.pended);
	ASSERT_EQ(0, target_start(self->fd));
	for (i = 0; i < 32; i++) {
		EXPECT_EQ(0, request_called_back(self->fd, i, 1, LONG_MS));
		EXPECT_EQ(0, request_query(self->fd, i).status);
	}
	ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS, NULL));
	ASSERT_EQ(0, request_read(self->fd, 0, 0, bs));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	ASSERT_EQ(0, target_purge(self->fd, PURGE_AND_WAIT, LONG_MS, NULL));
	EXPECT_EQ(NEVER_SENT, request_query(self->fd, 0).outcome);
}

TEST_F(device, closes_and_reopens)
{
	unsigned int i;
	struct iotarget_test_info info;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
		ASSERT_EQ(0, target_reopen(self->fd));
		ASSERT_EQ(0, target_info(self->fd, &info));
		EXPECT_EQ(self->info.capacity, info.capacity);
		EXPECT_EQ(self->info.diskseq, info.diskseq);
		EXPECT_STREQ(self->info.serial, info.serial);
	}
	EXPECT_EQ(0, target_read(self->fd, 0, self->info.logical_block_size,
				 LONG_MS, NULL));
}

TEST_F_TIMEOUT(device, reads_under_load, 120)
{
	struct iotarget_test_load_start load = {
		.threads = 4, .depth = 8, .min_len = 4096, .max_len = 65536,
		.span = self->span,
	};
	struct iotarget_test_load_stop books;
	unsigned int i;

	if (self->span < 65536)
		SKIP(return, "the device is too small");
	ASSERT_EQ(0, load_start(self->fd, &load));
	for (i = 0; i < 20; i++) {
		sleep_ms(50);
		ASSERT_EQ(0, target_stop(self->fd, WAIT_FOR_SENT, LONG_MS,
					 NULL));
		ASSERT_EQ(0, target_start(self->fd));
	}
	ASSERT_EQ(0, load_stop(self->fd, LONG_MS, &books));
	EXPECT_LT(0, books.accepted);
	EXPECT_EQ(books.accepted, books.callbacks);
	EXPECT_EQ(books.callbacks, books.done);
	EXPECT_EQ(0, books.lost + books.doubles + books.uninvited +
		     books.inconsistent);
}

TEST_F(device, writes)
{
	uint64_t bs = self->info.logical_block_size;
	uint64_t len = self->span / 2 < MIB ? bs : MIB;

	if (!getenv("IOTARGET_DESTROY"))
		SKIP(return, "IOTARGET_DESTROY is not set");
	ASSERT_EQ(0, target_close(self->fd, LONG_MS, NULL));
	ASSERT_EQ(0, target_open(self->fd, self->path, ACCESS_BOTH,
				 SHARE_BOTH));
	ASSERT_EQ(0, request_write(self->fd, 0, self->span - len, len));
	ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
	EXPECT_EQ(0, target_flush(self->fd, LONG_MS, NULL));
	EXPECT_EQ(0, device_wrong(self->path, self->span - len, len, SEED));
}

TEST_HARNESS_MAIN
