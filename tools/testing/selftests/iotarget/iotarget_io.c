// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data: what a target writes is on the device, what is on the device it reads,
 * with every kind of memory, on every kind of device; and what it must refuse.
 * The device's contents are looked at past the target, through its node.
 */
#include "fixture.h"
#include "host.h"

#define BASE		MIB	/* where on the device */
#define LARGEST		(8 * MIB)
#define OTHER_SEED	(SEED + 1)

enum kind { NULLB, NULLB_4K, NULLB_CACHE, BRD, SCSI, LOOP, PARTITION };

static const struct nullb disk_4k = {
	.name = "iott_4k", .size_mb = 64, .blocksize = 4096,
};

static const struct nullb disk_cache = {
	.name = "iott_cache", .size_mb = 64, .cache_mb = 32,
};

static const char *const kind_names[] = {
	[IOTARGET_TEST_MEM_KMALLOC] = "kmalloc",
	[IOTARGET_TEST_MEM_VMALLOC] = "vmalloc",
	[IOTARGET_TEST_MEM_BVEC] = "bvecs",
	[IOTARGET_TEST_MEM_ITER_KVEC] = "kvec iterator",
	[IOTARGET_TEST_MEM_ITER_BVEC] = "bvec iterator",
};

FIXTURE(io) {
	int fd;
	char path[DEVICE_PATH];
	unsigned int bs;
	uint64_t capacity;
};

FIXTURE_VARIANT(io) {
	enum kind kind;
};

FIXTURE_VARIANT_ADD(io, null_blk) { .kind = NULLB };
FIXTURE_VARIANT_ADD(io, null_blk_4k) { .kind = NULLB_4K };
FIXTURE_VARIANT_ADD(io, null_blk_cache) { .kind = NULLB_CACHE };
FIXTURE_VARIANT_ADD(io, brd) { .kind = BRD };
FIXTURE_VARIANT_ADD(io, scsi_debug) { .kind = SCSI };
FIXTURE_VARIANT_ADD(io, loop) { .kind = LOOP };
FIXTURE_VARIANT_ADD(io, partition) { .kind = PARTITION };

static const char *make_device(enum kind kind)
{
	const char *disk;

	switch (kind) {
	case NULLB:
		return nullb_make(&fast_disk);
	case NULLB_4K:
		return nullb_make(&disk_4k);
	case NULLB_CACHE:
		return nullb_make(&disk_cache);
	case BRD:
		return brd_disk();
	case SCSI:
		return scsi_debug_disk();
	case LOOP:
		return loop_disk(16, false);
	default:
		disk = nullb_make(&fast_disk);
		return disk ? partition_make(disk, 3, 32 * MIB, 16 * MIB) :
			      NULL;
	}
}

FIXTURE_SETUP(io)
{
	struct iotarget_test_info info;

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!got_device(self->path, make_device(variant->kind)))
		SKIP(return, "%s", device_reason());
	self->fd = target_opened("io-test", self->path);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, target_info(self->fd, &info));
	self->bs = info.logical_block_size;
	self->capacity = info.capacity;
	ASSERT_LE(BASE + LARGEST + self->bs, self->capacity);
}

FIXTURE_TEARDOWN(io)
{
	close(self->fd);
	if (variant->kind == PARTITION)
		EXPECT_EQ(0, partition_remove(nullb_make(&fast_disk), 3));
	loop_remove();
	ON_TIME();
}

static int transfer(int fd, unsigned int type, unsigned int memory,
		    uint64_t len, struct iotarget_test_query *query)
{
	struct iotarget_test_format arg = {
		.slot = 0, .type = type, .memory = memory, .size = len,
		.pos = BASE, .seed = SEED,
	};
	int ret;

	memset(query, 0, sizeof(*query));
	/* The disk copies while we send it: a large transfer takes its time. */
	late_calls_excused(len > 65536);
	ret = request_format(fd, &arg);
	if (!ret)
		ret = request_send(fd, 0, 0, 0);
	if (!ret)
		ret = request_called_back(fd, 0, 1, LONG_MS);
	if (!ret)
		*query = request_query(fd, 0);
	request_do(fd, 0, IOTARGET_TEST_FREE, 0);
	late_calls_excused(false);
	return ret;
}

/* Both directions of one size and kind; true if anything was wrong. */
static bool both_ways(struct __test_metadata *_metadata, int fd,
		      const char *path, unsigned int bs, unsigned int memory,
		      uint64_t len)
{
	int before = _metadata->exit_code;
	struct iotarget_test_query query;

	EXPECT_EQ(0, device_fill(path, BASE - bs, len + 2 * bs, OTHER_SEED));
	EXPECT_EQ(0, transfer(fd, IOTARGET_TEST_WRITE, memory, len, &query));
	EXPECT_EQ(0, query.status);
	EXPECT_EQ(DONE, query.outcome);
	EXPECT_EQ(len, query.bytes);
	EXPECT_EQ(IOTARGET_TEST_WRITE, query.type);
	EXPECT_EQ(BASE, query.pos);
	EXPECT_EQ(0, device_wrong(path, BASE, len, SEED));
	EXPECT_EQ(0, device_wrong(path, BASE - bs, bs, OTHER_SEED));
	EXPECT_EQ(0, device_wrong(path, BASE + len, bs, OTHER_SEED));
	EXPECT_EQ(0, transfer(fd, IOTARGET_TEST_READ, memory, len, &query));
	EXPECT_EQ(0, query.status);
	EXPECT_EQ(DONE, query.outcome);
	EXPECT_EQ(len, query.bytes);
	EXPECT_EQ(0, query.wrong);
	EXPECT_EQ(1, query.callbacks);
	return _metadata->exit_code != before;
}

TEST_F_TIMEOUT(io, f17_every_memory_in_every_size, 120)
{
	const uint64_t sizes[] = {
		self->bs, 2 * self->bs, 8192, 12288 + self->bs, 64 << 10,
		MIB, MIB + self->bs, LARGEST,
	};
	unsigned int memory, i;

	for (memory = IOTARGET_TEST_MEM_KMALLOC; memory < IOTARGET_TEST_NR_MEM;
	     memory++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			/* More than kmalloc() gives. */
			if (memory == IOTARGET_TEST_MEM_KMALLOC &&
			    sizes[i] > 2 * MIB)
				continue;
			/* That each kind is split is seen in faster kernels. */
			if (slow(1) > 1 && sizes[i] >= MIB &&
			    memory != IOTARGET_TEST_MEM_VMALLOC &&
			    memory != IOTARGET_TEST_MEM_BVEC)
				continue;
			if (both_ways(_metadata, self->fd, self->path,
				      self->bs, memory, sizes[i]))
				TH_LOG("%llu bytes, %s",
				       (unsigned long long)sizes[i],
				       kind_names[memory]);
		}
	}
}

/* Bytes of the pattern at pos that differ from the poison. */
static uint64_t pattern_touches(uint64_t pos, uint64_t len)
{
	uint64_t touched = 0;
	uint64_t i, word;
	unsigned int b;

	for (i = 0; i < len; i += 8) {
		word = iotarget_test_word(SEED, pos + i);
		for (b = 0; b < 64; b += 8)
			touched += ((word >> b) & 0xff) !=
				   IOTARGET_TEST_POISON;
	}
	return touched;
}

TEST_F(io, f18_part_of_the_memory)
{
	const uint64_t offset = 8192, length = 16384;
	unsigned int memory;
	struct iotarget_test_query query;

	ASSERT_EQ(0, device_fill(self->path, BASE, 65536, SEED));
	for (memory = IOTARGET_TEST_MEM_KMALLOC; memory < IOTARGET_TEST_NR_MEM;
	     memory++) {
		struct iotarget_test_format arg = {
			.type = IOTARGET_TEST_READ, .memory = memory,
			.size = 65536, .offset = offset, .length = length,
			.pos = BASE, .seed = SEED,
		};

		ASSERT_EQ(0, request_format(self->fd, &arg));
		ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
		ASSERT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
		query = request_query(self->fd, 0);
		EXPECT_EQ(length, query.bytes);
		EXPECT_EQ(0, query.wrong);
		/* And nothing beside it. */
		EXPECT_EQ(pattern_touches(BASE, length), query.touched)
			TH_LOG("%s", kind_names[memory]);
		/* Length 0 is the rest. */
		arg.length = 0;
		ASSERT_EQ(0, request_format(self->fd, &arg));
		ASSERT_EQ(0, request_send(self->fd, 0, 0, 0));
		ASSERT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
		query = request_query(self->fd, 0);
		EXPECT_EQ(65536 - offset, query.bytes);
		EXPECT_EQ(0, query.wrong);
	}
}

/* What a device of large blocks can't take in pieces, it is not given. */
TEST_F(io, f18_pieces_smaller_than_a_block)
{
	struct iotarget_test_format arg = {
		.type = IOTARGET_TEST_READ, .pos = BASE, .size = 65536,
		.memory = IOTARGET_TEST_MEM_VMALLOC, .offset = SECTOR,
		.length = 4096,
	};

	EXPECT_EQ(self->bs > SECTOR ? -EINVAL : 0,
		  request_format(self->fd, &arg));
	EXPECT_EQ(STARTED, target_state(self->fd));
}

TEST_F(io, f18_past_the_memory)
{
	static const struct {
		uint64_t offset;
		uint64_t length;
	} wrong[] = {
		{ 65536 + 4096, 0 }, { 65536, 4096 }, { 4096, 65536 },
		{ UINT64_MAX, 0 }, { UINT64_MAX - 4095, 8192 },
		{ 4096, UINT64_MAX },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct iotarget_test_format arg = {
			.type = IOTARGET_TEST_READ, .pos = BASE,
			.memory = IOTARGET_TEST_MEM_VMALLOC, .size = 65536,
			.offset = wrong[i].offset, .length = wrong[i].length,
		};

		EXPECT_EQ(-EOVERFLOW, request_format(self->fd, &arg))
			TH_LOG("row %u", i);
	}
	EXPECT_EQ(STARTED, target_state(self->fd));
}

TEST_F(io, f19_zero_length)
{
	unsigned int type;
	struct iotarget_test_query query;

	for (type = IOTARGET_TEST_READ; type <= IOTARGET_TEST_WRITE; type++) {
		struct iotarget_test_format arg = {
			.type = type, .pos = BASE,
			.memory = IOTARGET_TEST_MEM_NONE,
		};

		EXPECT_EQ(0, request_format(self->fd, &arg));
		EXPECT_EQ(0, request_send(self->fd, 0, 0, 0));
		EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
		query = request_query(self->fd, 0);
		EXPECT_EQ(0, query.status);
		EXPECT_EQ(DONE, query.outcome);
		EXPECT_EQ(0, query.bytes);
		arg.bits = IOTARGET_TEST_NULL_BUFFER;
		EXPECT_EQ(0, request_format(self->fd, &arg));
		EXPECT_EQ(0, request_send(self->fd, 0, 0, 0));
		EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
		EXPECT_EQ(DONE, request_query(self->fd, 0).outcome);
	}
	EXPECT_EQ(0, target_read(self->fd, BASE, 0, LONG_MS, NULL));
	EXPECT_EQ(0, target_write(self->fd, BASE, 0, LONG_MS, NULL));
}

struct wrong_place {
	const char	*what;
	uint64_t	pos;
	uint64_t	len;
	int		expected;
};

TEST_F(io, bad_places)
{
	const uint64_t end = self->capacity;
	const struct wrong_place wrong[] = {
		{ "just past the end", end, self->bs, -ERANGE },
		{ "across the end", end - self->bs, 2 * self->bs, -ERANGE },
		{ "far past the end", 1ULL << 62, self->bs, -ERANGE },
		{ "position plus length overflows", UINT64_MAX - self->bs + 1,
		  self->bs, -EOVERFLOW },
		{ "the last position", UINT64_MAX, self->bs, -EOVERFLOW },
		{ "unaligned position", BASE + 1, self->bs, -EINVAL },
		{ "half a block", BASE, self->bs / 2, -EINVAL },
		{ "a block and a bit", BASE, self->bs + 8, -EINVAL },
	};
	unsigned int i;
	struct iotarget_test_transfer out;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(wrong[i].expected,
			  request_read(self->fd, 0, wrong[i].pos,
				       wrong[i].len))
			TH_LOG("format of a read: %s", wrong[i].what);
		EXPECT_EQ(wrong[i].expected,
			  request_write(self->fd, 0, wrong[i].pos,
					wrong[i].len))
			TH_LOG("format of a write: %s", wrong[i].what);
		EXPECT_EQ(wrong[i].expected,
			  target_read(self->fd, wrong[i].pos, wrong[i].len,
				      1000, &out))
			TH_LOG("read: %s", wrong[i].what);
		EXPECT_EQ(NEVER_SENT, out.outcome);
		EXPECT_EQ(0, out.touched);
		EXPECT_EQ(wrong[i].expected,
			  target_write(self->fd, wrong[i].pos, wrong[i].len,
				       1000, &out))
			TH_LOG("write: %s", wrong[i].what);
		EXPECT_EQ(STARTED, target_state(self->fd));
	}
	EXPECT_EQ(0, target_read(self->fd, end - self->bs, self->bs, LONG_MS,
				 NULL));
	/* None of the refused ones has kept anything. */
	EXPECT_EQ(0, target_close(self->fd, LONG_MS, NULL));
}

TEST_F(io, f28_one_call_transfers)
{
	const uint64_t sizes[] = { self->bs, 65536, MIB + self->bs };
	unsigned int i, misalign;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* A bounced transfer takes memory of any alignment. */
		for (misalign = 0; misalign < 16; misalign += 5) {
			struct iotarget_test_transfer arg = {
				.type = IOTARGET_TEST_WRITE, .pos = BASE,
				.timeout_ms = LONG_MS, .len = sizes[i],
				.misalign = misalign, .seed = SEED + misalign,
			};

			EXPECT_EQ(0, target_transfer(self->fd, &arg));
			EXPECT_EQ(DONE, arg.outcome);
			EXPECT_EQ(sizes[i], arg.bytes);
			EXPECT_EQ(0, arg.wrong);
			EXPECT_EQ(0, device_wrong(self->path, BASE, sizes[i],
						  SEED + misalign));
			arg.type = IOTARGET_TEST_READ;
			EXPECT_EQ(0, target_transfer(self->fd, &arg));
			EXPECT_EQ(DONE, arg.outcome);
			EXPECT_EQ(sizes[i], arg.bytes);
			EXPECT_EQ(0, arg.wrong);
			EXPECT_EQ(0, arg.overrun);
		}
	}
}

TEST_F(io, f28_without_a_limit)
{
	unsigned int memory;

	for (memory = IOTARGET_TEST_MEM_KMALLOC; memory < IOTARGET_TEST_NR_MEM;
	     memory++) {
		struct iotarget_test_transfer arg = {
			.type = IOTARGET_TEST_WRITE, .memory = memory,
			.bits = IOTARGET_TEST_FOREVER, .pos = BASE,
			.len = 65536, .seed = SEED + memory,
		};

		EXPECT_EQ(0, target_transfer(self->fd, &arg));
		EXPECT_EQ(DONE, arg.outcome);
		EXPECT_EQ(65536, arg.bytes);
		EXPECT_EQ(0, device_wrong(self->path, BASE, 65536,
					  SEED + memory));
		arg.type = IOTARGET_TEST_READ;
		EXPECT_EQ(0, target_transfer(self->fd, &arg));
		EXPECT_EQ(0, arg.wrong) TH_LOG("%s", kind_names[memory]);
	}
}

TEST_F(io, flush_and_durable_write)
{
	struct iotarget_test_transfer forever = {
		.type = IOTARGET_TEST_FLUSH, .bits = IOTARGET_TEST_FOREVER,
	};
	struct iotarget_test_format arg = {
		.type = IOTARGET_TEST_WRITE, .pos = BASE, .size = 4096,
		.memory = IOTARGET_TEST_MEM_KMALLOC, .seed = SEED,
		.bits = IOTARGET_TEST_FUA,
	};
	struct iotarget_test_transfer out;
	struct iotarget_test_info info;

	ASSERT_EQ(0, target_info(self->fd, &info));
	if (variant->kind == NULLB_CACHE)
		EXPECT_EQ(1, info.write_cache);
	EXPECT_EQ(0, target_flush(self->fd, LONG_MS, &out));
	EXPECT_EQ(DONE, out.outcome);
	EXPECT_EQ(0, target_transfer(self->fd, &forever));
	EXPECT_EQ(0, request_flush(self->fd, 1));
	EXPECT_EQ(0, request_send(self->fd, 1, 0, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 1, 1, LONG_MS));
	EXPECT_EQ(0, request_query(self->fd, 1).status);
	EXPECT_EQ(IOTARGET_TEST_FLUSH, request_query(self->fd, 1).type);
	EXPECT_EQ(0, request_format(self->fd, &arg));
	EXPECT_EQ(0, request_send(self->fd, 0, 0, 0));
	EXPECT_EQ(0, request_called_back(self->fd, 0, 1, LONG_MS));
	EXPECT_EQ(0, request_query(self->fd, 0).status);
	EXPECT_EQ(0, device_wrong(self->path, BASE, 4096, SEED));
	/* Only a write can be durable. */
	arg.type = IOTARGET_TEST_READ;
	EXPECT_EQ(-EINVAL, request_format(self->fd, &arg));
}

TEST_F(io, stack_memory)
{
	if (self->bs > SECTOR)
		SKIP(return, "blocks of %u bytes are too large", self->bs);
	EXPECT_EQ(0, target_negative(self->fd, IOTARGET_TEST_NEG_STACK_READ));
}

TEST_F(io, many_at_once)
{
	unsigned int i;

	ASSERT_EQ(0, device_fill(self->path, BASE, 32 * 65536, SEED));
	for (i = 0; i < 32; i++)
		ASSERT_EQ(0, request_read(self->fd, i, BASE + i * 65536,
					  65536));
	for (i = 0; i < 32; i++)
		EXPECT_EQ(0, request_send(self->fd, i, 0, 0));
	for (i = 0; i < 32; i++) {
		EXPECT_EQ(0, request_called_back(self->fd, i, 1, LONG_MS));
		EXPECT_EQ(0, request_query(self->fd, i).wrong);
		EXPECT_EQ(1, request_query(self->fd, i).callbacks);
	}
}

TEST_HARNESS_MAIN
