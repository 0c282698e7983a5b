// SPDX-License-Identifier: GPL-2.0-only
/*
 * A gate that is stopped, purged and started under load, while memory runs out and
 * the devices above and below it fail.
 *
 * Reads and writes are asynchronous; flushes and discards come from threads of their
 * own. Each must be answered once, what it changed must be what the answer says, and
 * in the end nothing may be counted any more.
 *
 * Faults need a kernel with CONFIG_FAILSLAB and CONFIG_FAIL_MAKE_REQUEST; the load by
 * itself does not.
 */
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <sys/syscall.h>

#include "fixture.h"
#include "gates.h"
#include "host.h"

#define GATE		GATE_PREFIX "a"
#define NO_GATES	"iogate is not loaded, or this is not root"
#define BLOCK		4096
#define BLOCKS		128		/* of each worker */
#define DEPTH		16
#define WORKERS		2
#define PIECE		(64 << 10)	/* that is discarded at once */
#define PIECES		16
#define DISCARDED	(32 * MIB)	/* where these begin */
#define MAYBES		8

#define FAILSLAB	"/sys/kernel/debug/failslab"
#define FAIL_REQUEST	"/sys/kernel/debug/fail_make_request"

static const struct nullb full_disk = {
	.name = "iott_full", .size_mb = 64, .cache_mb = 4, .discard = true,
};

/* How often each end was seen. */
struct books {
	unsigned int	good, refused, io, gone, memory, other;
};

/**
 * struct block - what a block may contain
 * @acked: the number of the last write that succeeded
 * @maybe: those of writes since then of which nobody can tell
 * @nr_maybe: how many; more than %MAYBES: anything
 */
struct block {
	uint64_t	acked;
	uint64_t	maybe[MAYBES];
	unsigned int	nr_maybe;
	bool		busy;
};

struct slot {
	struct block	*block;
	uint64_t	writing;	/* the number of the write, or 0 */
	bool		out;
	char		*data;
};

struct worker {
	pthread_t	thread;
	int		fd;
	uint64_t	first;		/* block on the disk */
	unsigned int	seed;
	uint64_t	last;
	struct block	blocks[BLOCKS];
	struct slot	slots[DEPTH];
	struct books	books;
	unsigned int	wrong, lost, twice;
};

/* The threads that flush and discard. */
struct helper {
	pthread_t	thread;
	int		fd;
	struct books	books;
	unsigned int	wrong;
};

static bool over;

static bool is_over(void)
{
	return __atomic_load_n(&over, __ATOMIC_RELAXED);
}

/* Allocations of this thread fail now and then, if the kernel can. */
static void may_fail(bool fail)
{
	int fd = open("/proc/thread-self/make-it-fail", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, fail ? "1" : "0", 1) != 1)
		abort();
	close(fd);
}

static void count(struct books *books, long ret)
{
	books->good += ret >= 0;
	books->io += ret == -EIO;
	books->gone += ret == -ENODEV;
	books->memory += ret == -ENOMEM || ret == -EAGAIN;
	books->other += ret < 0 && ret != -EIO && ret != -ENODEV &&
			ret != -ENOMEM && ret != -EAGAIN;
}

/* -- reads and writes ------------------------------------------------------------ */

static uint64_t word(uint64_t place, uint64_t number)
{
	return number << 20 | place;
}

static void fill(void *data, uint64_t place, uint64_t number)
{
	uint64_t *words = data;
	unsigned int i;

	for (i = 0; i < BLOCK / sizeof(*words); i++)
		words[i] = word(place, number);
}

static bool may_be(const struct block *block, uint64_t number)
{
	unsigned int i;

	if (number == block->acked || block->nr_maybe > MAYBES)
		return true;
	for (i = 0; i < block->nr_maybe; i++)
		if (number == block->maybe[i])
			return true;
	return false;
}

/* All of the block is of one write, and that is one that may have been done. */
static bool data_good(const struct block *block, const void *data, uint64_t place)
{
	const uint64_t *words = data;
	unsigned int i;

	for (i = 0; i < BLOCK / sizeof(*words); i++)
		if (words[i] != words[0])
			return false;
	return (words[0] & ((1 << 20) - 1)) == place && may_be(block, words[0] >> 20);
}

static uint64_t place_of(const struct worker *w, const struct block *block)
{
	return w->first + (block - w->blocks);
}

/*
 * What the gate refuses, or fails while it is held, was never sent: the block is what
 * it was.  Of an error below nobody can tell.
 */
static void written(struct slot *slot, long ret)
{
	struct block *block = slot->block;

	if (ret == BLOCK) {
		block->acked = slot->writing;
		block->nr_maybe = 0;
	} else if (ret != -ENODEV && ret != -ENOMEM && ret != -EAGAIN) {
		if (block->nr_maybe < MAYBES)
			block->maybe[block->nr_maybe] = slot->writing;
		block->nr_maybe++;
	}
}

static void answered(struct worker *w, struct slot *slot, long ret)
{
	if (!slot->out) {
		w->twice++;
		return;
	}
	slot->out = false;
	slot->block->busy = false;
	count(&w->books, ret);
	if (ret >= 0 && ret != BLOCK)
		w->wrong++;
	if (slot->writing)
		written(slot, ret);
	else if (ret == BLOCK)
		w->wrong += !data_good(slot->block, slot->data,
				       place_of(w, slot->block));
}

static void send_one(struct worker *w, aio_context_t context, struct slot *slot)
{
	struct block *block = &w->blocks[rand_r(&w->seed) % BLOCKS];
	struct iocb iocb = {
		.aio_data = slot - w->slots,
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = w->fd,
		.aio_buf = (uintptr_t)slot->data,
		.aio_nbytes = BLOCK,
		.aio_offset = place_of(w, block) * BLOCK,
	};
	struct iocb *list = &iocb;

	if (block->busy)
		return;
	slot->block = block;
	slot->writing = rand_r(&w->seed) & 1 ? ++w->last : 0;
	if (slot->writing) {
		iocb.aio_lio_opcode = IOCB_CMD_PWRITE;
		fill(slot->data, place_of(w, block), slot->writing);
	}
	if (syscall(SYS_io_submit, context, 1, &list) == 1) {
		slot->out = true;
		block->busy = true;
	} else {
		w->books.refused++;
	}
}

static unsigned int reap(struct worker *w, aio_context_t context,
			 unsigned int least, unsigned int ms)
{
	struct timespec wait = {
		.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L,
	};
	struct io_event events[DEPTH];
	long i, n;

	n = syscall(SYS_io_getevents, context, least, DEPTH, events, &wait);
	for (i = 0; i < n; i++)
		answered(w, &w->slots[events[i].data], events[i].res);
	return n > 0 ? n : 0;
}

static void *work(void *arg)
{
	unsigned int i, n, out = 0;
	struct worker *w = arg;
	aio_context_t context = 0;

	if (syscall(SYS_io_setup, DEPTH, &context))
		abort();
	may_fail(true);
	while (!is_over()) {
		for (i = 0, out = 0; i < DEPTH; i++) {
			if (!w->slots[i].out)
				send_one(w, context, &w->slots[i]);
			out += w->slots[i].out;
		}
		if (out)
			reap(w, context, 1, 10);
	}
	may_fail(false);
	for (i = 0, out = 0; i < DEPTH; i++)
		out += w->slots[i].out;
	for (; out; out -= n) {
		n = reap(w, context, 1, LONG_MS);
		if (!n)
			break;
	}
	w->lost = out;
	/* Anything that comes now has come before. */
	w->twice += reap(w, context, 0, 0);
	syscall(SYS_io_destroy, context);
	return NULL;
}

static int worker_init(struct worker *w, unsigned int number, const char *path)
{
	unsigned int i;

	w->first = number * BLOCKS;
	w->seed = number + 1;
	w->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (w->fd < 0)
		return -errno;
	for (i = 0; i < DEPTH; i++)
		if (posix_memalign((void **)&w->slots[i].data, BLOCK, BLOCK))
			return -ENOMEM;
	for (i = 0; i < BLOCKS; i++) {
		w->blocks[i].acked = ++w->last;
		fill(w->slots[0].data, w->first + i, w->last);
		if (pwrite(w->fd, w->slots[0].data, BLOCK, (w->first + i) * BLOCK) != BLOCK)
			return -errno;
	}
	return 0;
}

/* How many blocks of a disk are not what they may be. */
static unsigned int worker_wrong(struct worker *w, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	unsigned int i, wrong = 0;

	for (i = 0; i < BLOCKS; i++) {
		char *data = w->slots[0].data;
		uint64_t place = w->first + i;

		wrong += pread(fd, data, BLOCK, place * BLOCK) != BLOCK ||
			 !data_good(&w->blocks[i], data, place);
	}
	close(fd);
	return wrong;
}

static void worker_exit(struct worker *w)
{
	unsigned int i;

	close(w->fd);
	for (i = 0; i < DEPTH; i++)
		free(w->slots[i].data);
}

/* -- flushes and discards ----------------------------------------------------------- */

static void *flush(void *arg)
{
	struct helper *h = arg;

	may_fail(true);
	while (!is_over()) {
		count(&h->books, fsync(h->fd) ? -errno : 0);
		sleep_ms(1);
	}
	may_fail(false);
	return NULL;
}

static bool all_is(const char *data, char value)
{
	unsigned int i;

	for (i = 0; i < PIECE; i++)
		if (data[i] != value)
			return false;
	return true;
}

/* What was written is gone after a discard that succeeded, and only then. */
static void *discard(void *arg)
{
	struct helper *h = arg;
	char *data;
	unsigned int i;

	if (posix_memalign((void **)&data, BLOCK, PIECE))
		abort();
	may_fail(true);
	for (i = 0; !is_over(); i++) {
		uint64_t range[2] = { DISCARDED + i % PIECES * PIECE, PIECE };
		int ret;

		memset(data, 0x5a, PIECE);
		if (pwrite(h->fd, data, PIECE, range[0]) != PIECE)
			continue;
		ret = ioctl(h->fd, BLKDISCARD, range) ? -errno : 0;
		count(&h->books, ret);
		if (pread(h->fd, data, PIECE, range[0]) != PIECE)
			continue;
		if (ret && all_is(data, 0x5a))
			continue;
		/* Of one that failed below nobody can tell. */
		if (ret != -ENODEV && all_is(data, 0))
			continue;
		if (ret == -EIO)
			continue;
		h->wrong++;
	}
	may_fail(false);
	free(data);
	return NULL;
}

/* -- faults ----------------------------------------------------------------------- */

static bool fault_set(const char *dir, unsigned int percent, bool some_tasks)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", percent);
	/* Those that may wait fail, too; the other directory has no such file. */
	sysfs_put(dir, "ignore-gfp-wait", "N");
	return !sysfs_put(dir, "verbose", "0") &&
	       !sysfs_put(dir, "interval", "1") &&
	       !sysfs_put(dir, "task-filter", some_tasks ? "Y" : "N") &&
	       !sysfs_put(dir, "times", "-1") &&
	       !sysfs_put(dir, "probability", text);
}

static bool disk_fails(const char *path, bool fails)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "/sys/block/%s", path + 5);
	return !sysfs_put(dir, "make-it-fail", fails ? "1" : "0");
}

static bool can_fail(void)
{
	return !access(FAILSLAB "/probability", W_OK) &&
	       !access(FAIL_REQUEST "/probability", W_OK);
}

/* -- the test ---------------------------------------------------------------------- */

FIXTURE(faults) {
	char lower[DEVICE_PATH];
	char path[DEVICE_PATH];
	struct worker *workers;
	struct helper helpers[2];
};

FIXTURE_VARIANT(faults) {
	unsigned int percent;
};

FIXTURE_VARIANT_ADD(faults, none) { .percent = 0, };
FIXTURE_VARIANT_ADD(faults, some) { .percent = 3, };

FIXTURE_SETUP(faults)
{
	unsigned int i;

	if (!gates_loaded())
		SKIP(return, NO_GATES);
	if (variant->percent && !can_fail())
		SKIP(return, "the kernel has no fault injection");
	gates_cleanup();
	if (!got_device(self->lower, nullb_make(&full_disk)))
		SKIP(return, "%s", device_reason());
	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_on(GATE, self->lower, self->path));
	self->workers = calloc(WORKERS, sizeof(*self->workers));
	ASSERT_NE(NULL, self->workers);
	for (i = 0; i < WORKERS; i++)
		ASSERT_EQ(0, worker_init(&self->workers[i], i, self->path));
	for (i = 0; i < 2; i++) {
		self->helpers[i].fd = open(self->path, O_RDWR | O_DIRECT | O_CLOEXEC);
		ASSERT_LE(0, self->helpers[i].fd);
	}
}

FIXTURE_TEARDOWN(faults)
{
	if (variant->percent && can_fail()) {
		fault_set(FAILSLAB, 0, true);
		fault_set(FAIL_REQUEST, 0, false);
	}
	gate_remove(GATE);
	free(self->workers);
	ON_TIME();
}

/* Whatever it was, it is started afterwards. */
static int disturb(unsigned int round)
{
	static const char * const steps[][3] = {
		{ "stop" },
		{ "stop", "purge" },
		{ "purge" },
		{ "stop", "stop 5" },
		{ "stop", "start", "stop" },
	};
	unsigned int i;
	int ret = 0;

	for (i = 0; i < 3 && !ret && steps[round % ARRAY_SIZE(steps)][i]; i++) {
		ret = gate_set(GATE, "state", steps[round % ARRAY_SIZE(steps)][i]);
		sleep_ms(3 + round % 7);
	}
	ret = ret ? ret : gate_set(GATE, "state", "start");
	sleep_ms(slow(10 + round % 11));
	return ret;
}

static bool nothing_in_flight(const char *path)
{
	unsigned int reads = 1, writes = 1;
	char file[256];
	FILE *f;

	snprintf(file, sizeof(file), "/sys/block/%s/inflight", path + 5);
	f = fopen(file, "re");
	if (f && fscanf(f, "%u %u", &reads, &writes) != 2)
		reads = 1;
	if (f)
		fclose(f);
	return !reads && !writes;
}

static void tell(struct __test_metadata *_metadata, const char *who,
		 const struct books *b)
{
	TH_LOG("%s: %u good, %u not accepted, errors: %u I/O, %u gone, %u no memory", who,
	       b->good, b->refused, b->io, b->gone, b->memory);
}

TEST_F_TIMEOUT(faults, nothing_lost_and_nothing_twice, 120)
{
	static void *(*const helps[])(void *) = { flush, discard };
	static const char * const names[] = { "flushes", "discards" };
	unsigned int i, faults = 0, gone = 0;
	uint64_t held, sent;

	over = false;
	if (variant->percent) {
		ASSERT_TRUE(disk_fails(self->path, true));
		ASSERT_TRUE(disk_fails(self->lower, true));
		ASSERT_TRUE(fault_set(FAILSLAB, variant->percent, true));
		ASSERT_TRUE(fault_set(FAIL_REQUEST, variant->percent, false));
	}
	for (i = 0; i < WORKERS; i++)
		ASSERT_EQ(0, pthread_create(&self->workers[i].thread, NULL, work,
					    &self->workers[i]));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&self->helpers[i].thread, NULL, helps[i],
					    &self->helpers[i]));
	for (i = 0; i < 3 * cycles(); i++)
		EXPECT_EQ(0, disturb(i));
	EXPECT_EQ(0, gate_set(GATE, "state", "start"));
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++) {
		struct helper *h = &self->helpers[i];

		pthread_join(h->thread, NULL);
		close(h->fd);
		tell(_metadata, names[i], &h->books);
		EXPECT_LT(0, h->books.good);
		EXPECT_EQ(0, h->books.other);
		EXPECT_EQ(0, h->wrong);
		faults += h->books.io;
		gone += h->books.gone;
	}
	for (i = 0; i < WORKERS; i++)
		pthread_join(self->workers[i].thread, NULL);
	if (variant->percent) {
		EXPECT_TRUE(fault_set(FAILSLAB, 0, true));
		EXPECT_TRUE(fault_set(FAIL_REQUEST, 0, false));
		EXPECT_TRUE(disk_fails(self->path, false));
		EXPECT_TRUE(disk_fails(self->lower, false));
	}
	for (i = 0; i < WORKERS; i++) {
		struct worker *w = &self->workers[i];

		tell(_metadata, "reads and writes", &w->books);
		EXPECT_LT(0, w->books.good);
		EXPECT_EQ(0, w->books.other);
		EXPECT_EQ(0, w->lost);
		EXPECT_EQ(0, w->twice);
		EXPECT_EQ(0, w->wrong);
		faults += w->books.io + w->books.memory + w->books.refused;
		gone += w->books.gone;
		/* All of it is on the device, nothing between. */
		EXPECT_EQ(0, worker_wrong(w, self->path));
		EXPECT_EQ(0, worker_wrong(w, self->lower));
		worker_exit(w);
	}
	EXPECT_LT(0, gone);
	EXPECT_EQ(!!variant->percent, !!faults);
	ASSERT_TRUE(gate_inflight(GATE, &held, &sent));
	EXPECT_EQ(0, held);
	EXPECT_EQ(0, sent);
	EXPECT_TRUE(nothing_in_flight(self->path));
	EXPECT_TRUE(nothing_in_flight(self->lower));
	EXPECT_EQ(0, gate_off(GATE));
}

TEST_HARNESS_MAIN
