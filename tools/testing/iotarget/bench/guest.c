// SPDX-License-Identifier: GPL-2.0-only
/*
 * The benchmark's part in the guest: makes the devices, has iotarget_bench.ko
 * count, and prints what came out, a line for each measurement:
 *
 *	result SET WAY WORKLOAD SUM...		instructions of 1000 I/Os, 8 times
 *	cycle WHAT TIME...			of a stop and a start
 *	sizes WHAT BYTES [WHAT BYTES...]
 *	throughput N WAY RATE...		I/Os per second of N processors
 *	parallel N WAY				N processors have run their rounds
 *	symbol ADDRESS NAME
 *
 * SET is the kind of null_blk that the devices stand on.  It runs before
 * everything else that is not in an interrupt: else the system's own work would
 * be counted as well.
 *
 * The last two need boots of their own, with more processors: --throughput, and
 * --parallel N.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faulty.h"
#include "gates.h"
#include "util.h"

#define BENCH		"/sys/kernel/debug/iotarget_bench"
#define REMAP		"/dev/iotbench"
#define GATE		GATE_PREFIX "bench"
#define KEEPER		GATE_PREFIX "keeper"	/* a gate that holds when its device is gone */
#define DM		"iott_bench"
#define SIZE_MB		64
#define ROUNDS		8
#define DEPTH		32
#define BATCHES		32		/* of a round: 1024 I/Os */
#define SLICES		25
#define SLICE_MS	30
#define MOST		4		/* processors */
#define MEASURE		"measure"	/* a command of the module */
#define IOS		1000
#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

static void die(const char *what, int error)
{
	printf("error %s: %s\n", what, strerror(error));
	exit(1);
}

/* A command for the module; its answer, which is good until the next. */
static const char *ask(const char *format, ...)
{
	static char answer[4096], words[512];
	va_list args;
	ssize_t n;
	int fd;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	fd = open(BENCH, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(BENCH, errno);
	if (write(fd, words, strlen(words)) < 0)
		die(words, errno);
	n = read(fd, answer, sizeof(answer) - 1);
	close(fd);
	if (n < 0)
		die(words, errno);
	answer[n] = '\0';
	return answer;
}

static void measure(const char *set, const char *way, const char *how,
		    const char *load, const char *path)
{
	printf("result %s %s %s %s", set, way, load,
	       ask(MEASURE " %s %s %s", how, load, path));
}

/* -- io_uring -------------------------------------------------------------- */

struct ring {
	int			fd;
	unsigned int		*sq_tail, *sq_mask, *sq_array;
	unsigned int		*cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe	*sqes;
	struct io_uring_cqe	*cqes;
};

static void ring_make(struct ring *ring)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER };
	char *sq, *cq;

	ring->fd = syscall(SYS_io_uring_setup, DEPTH, &p);
	if (ring->fd < 0)
		die("io_uring_setup", errno);
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*ring->cqes),
		  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
		  IORING_OFF_CQ_RING);
	ring->sqes = mmap(NULL, p.sq_entries * sizeof(*ring->sqes),
			  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			  ring->fd, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || ring->sqes == MAP_FAILED)
		die("io_uring mmap", errno);
	ring->sq_tail = (void *)(sq + p.sq_off.tail);
	ring->sq_mask = (void *)(sq + p.sq_off.ring_mask);
	ring->sq_array = (void *)(sq + p.sq_off.array);
	ring->cq_head = (void *)(cq + p.cq_off.head);
	ring->cq_tail = (void *)(cq + p.cq_off.tail);
	ring->cq_mask = (void *)(cq + p.cq_off.ring_mask);
	ring->cqes = (void *)(cq + p.cq_off.cqes);
}

/* DEPTH reads of 4 KiB at once, and their answers. */
static void ring_batch(struct ring *ring, int fd, char *data, unsigned int at)
{
	unsigned int tail = *ring->sq_tail, head = *ring->cq_head;
	unsigned int i, slot;

	for (i = 0; i < DEPTH; i++, tail++) {
		slot = tail & *ring->sq_mask;
		memset(&ring->sqes[slot], 0, sizeof(ring->sqes[slot]));
		ring->sqes[slot].opcode = IORING_OP_READ;
		ring->sqes[slot].fd = fd;
		ring->sqes[slot].addr = (uintptr_t)(data + i * 4096);
		ring->sqes[slot].len = 4096;
		ring->sqes[slot].off = (at + i) * 4096ULL;
		ring->sq_array[slot] = slot;
	}
	__atomic_store_n(ring->sq_tail, tail, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, DEPTH, DEPTH,
		    IORING_ENTER_GETEVENTS, NULL, 0) != DEPTH)
		die("io_uring_enter", errno);
	for (i = 0; i < DEPTH; i++, head++)
		if (ring->cqes[head & *ring->cq_mask].res != 4096)
			die("io_uring read",
			    -ring->cqes[head & *ring->cq_mask].res);
	__atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);
}

static void uring(const char *set, const char *way, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	struct ring ring;
	unsigned int round, i;
	uint64_t start, ticks;
	char *data;

	if (fd < 0 || posix_memalign((void **)&data, 4096, DEPTH * 4096))
		die(path, errno);
	memset(data, 1, DEPTH * 4096);
	ring_make(&ring);
	ring_batch(&ring, fd, data, 0);
	printf("result %s %s uring32", set, way);
	for (round = 0; round < ROUNDS; round++) {
		asm volatile("xchg %%rbx, %%rbx" : : : "memory");
		start = __builtin_ia32_rdtsc();
		for (i = 0; i < BATCHES; i++)
			ring_batch(&ring, fd, data, i * DEPTH);
		ticks = __builtin_ia32_rdtsc() - start;
		asm volatile("xchg %%rcx, %%rcx" : : : "memory");
		printf(" %llu", (unsigned long long)ticks * IOS / (BATCHES * DEPTH));
	}
	printf("\n");
	close(ring.fd);
	close(fd);
	free(data);
}

/* -- the devices ----------------------------------------------------------- */

struct set {
	const char	*name;
	struct nullb	below;
	const char	*loads[4];
	bool		uring;
	int		busy;		/* reads at a device that is stopped; -1: not stopped */
};

static const struct set sets[] = {
	{ "inline", { .no_memory = true }, { "read4k", "write4k", "write64k" },
	  .uring = true },
	{ "cache", { .cache_mb = 1 }, { "flush" }, .busy = -1 },
	{ "interrupt", { .no_memory = true, .delay_ms = 1 }, { "read4k" },
	  .busy = DEPTH },
};

/* One for each way, as only some of them share. */
struct devices {
	char	raw[DEVICE_PATH], below[4][DEVICE_PATH];
	char	gate[DEVICE_PATH], keeper[DEVICE_PATH], dm[DEVICE_PATH];
};

static void make_below(const struct set *set, char *path, const char *what)
{
	struct nullb below = set->below;
	char name[64];
	const char *made;

	snprintf(name, sizeof(name), "iott_%s", what);
	below.name = name;
	below.size_mb = SIZE_MB;
	below.blocksize = 4096;
	made = nullb_make(&below);
	if (!made)
		die(device_reason(), errno);
	snprintf(path, DEVICE_PATH, "%s", made);
}

static void make_devices(const struct set *set, struct devices *d)
{
	char params[128];
	const char *dm;
	int ret;

	make_below(set, d->raw, "raw");
	make_below(set, d->below[0], "remap");
	make_below(set, d->below[1], "gate");
	make_below(set, d->below[2], "dm");
	make_below(set, d->below[3], "keeper");
	ask("remap %s", d->below[0]);
	ret = gate_new(GATE) ?: gate_on(GATE, d->below[1], d->gate) ?:
	      gate_new(KEEPER) ?: gate_set(KEEPER, "hold_seconds", "30") ?:
	      gate_on(KEEPER, d->below[3], d->keeper);
	if (ret)
		die("iogate", -ret);
	snprintf(params, sizeof(params), "%s 0", d->below[2]);
	dm = dm_make(DM, "linear", params, (uint64_t)SIZE_MB << 20);
	if (!dm)
		die(device_reason(), errno);
	snprintf(d->dm, sizeof(d->dm), "%s", dm);
}

static void remove_devices(void)
{
	ask("remap");
	dm_remove(DM);
	gate_remove(GATE);
	gate_remove(KEEPER);
	nullb_remove("iott_raw");
	nullb_remove("iott_remap");
	nullb_remove("iott_gate");
	nullb_remove("iott_dm");
	nullb_remove("iott_keeper");
}

/* -- what is measured ------------------------------------------------------ */

static void measure_load(const struct set *set, const struct devices *d,
			 const char *load)
{
	measure(set->name, "raw", "raw", load, d->raw);
	measure(set->name, "remap", "raw", load, REMAP);
	measure(set->name, "iogate", "raw", load, d->gate);
	measure(set->name, "iogate_hold", "raw", load, d->keeper);
	measure(set->name, "dm_linear", "raw", load, d->dm);
	measure(set->name, "target_own_bio", "own", load, d->raw);
	measure(set->name, "target_forward", "forward", load, d->raw);
}

/* Parts of it, and other ways to count it. */
static void measure_parts(const struct devices *d)
{
	measure("parts", "nothing", "nothing", "read4k", d->raw);
	measure("parts", "gate", "gate", "read4k", d->raw);
	measure("parts", "gate_remap", "forget", "read4k", d->raw);
	measure("parts", "forward_uncounted", "forward_uncounted", "read4k",
		d->raw);
	measure("parts", "raw_submit_bio_wait", "wait", "read4k", d->raw);
	measure("parts", "dm_submit_bio_wait", "wait", "read4k", d->dm);
}

/* Bytes, of whatever kind. */
static long free_memory(void)
{
	unsigned long kb = 0;
	char line[256];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %lu", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb * 1024;
}

static void show_memory(const char *what, long before, unsigned int n)
{
	printf("sizes %s %ld\n", what, (before - free_memory()) / n);
}

static void measure_many(const struct devices *d)
{
	static const unsigned int more[] = { 0, 63, 1023 };
	char set[32];
	long before;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(more); i++) {
		before = free_memory();
		if (more[i])
			ask("targets %u %s", more[i], d->raw);
		if (more[i] > 1000)
			show_memory("open-target", before, more[i]);
		snprintf(set, sizeof(set), "targets-%u", more[i] + 1);
		measure(set, "iogate", "raw", "read4k", d->gate);
		measure(set, "target_own_bio", "own", "read4k", d->raw);
	}
	ask("targets 0");
}

/* With so many reads at the device. */
static void time_cycle(const char *what, const char *path, unsigned int nr,
		       int (*stop_start)(void))
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	uint64_t ticks[ROUNDS];
	int64_t results[DEPTH];
	struct aio aio;
	unsigned int i, j;
	char *data;
	int ret;

	if (fd < 0 || posix_memalign((void **)&data, 4096, DEPTH * 4096))
		die(path, errno);
	for (i = 0; i < ROUNDS; i++) {
		ret = aio_begin(&aio, DEPTH);
		for (j = 0; !ret && j < nr; j++)
			ret = aio_send(&aio, fd, false, data + j * 4096, 4096,
				       j * 4096ULL);
		ticks[i] = __builtin_ia32_rdtsc();
		ret = ret ?: stop_start();
		ticks[i] = __builtin_ia32_rdtsc() - ticks[i];
		if (!ret && aio_reap(&aio, nr, 5000, results) != (int)nr)
			ret = -ETIMEDOUT;
		aio_end(&aio);
		if (ret)
			die(what, -ret);
	}
	printf("cycle %s-%u", what, nr);
	for (i = 0; i < ROUNDS; i++)
		printf(" %llu", (unsigned long long)ticks[i]);
	printf("\n");
	close(fd);
	free(data);
}

static int cycle_dm(void)
{
	return dm_suspend(DM) ?: dm_resume(DM);
}

static int cycle_gate(void)
{
	return gate_set(GATE, "state", "stop forever") ?:
	       gate_set(GATE, "state", "start");
}

static void measure_cycles(const struct devices *d, unsigned int nr)
{
	printf("cycle target-%u %s", nr, ask("cycle %u %s", nr, d->raw));
	time_cycle("iogate", d->gate, nr, cycle_gate);
	time_cycle("dm_linear", d->dm, nr, cycle_dm);
}

static void measure_set(const struct set *set)
{
	struct devices d;
	size_t i;

	make_devices(set, &d);
	/* Whatever new disks set off is to be over. */
	sleep(3);
	for (i = 0; i < ARRAY_SIZE(set->loads); i++)
		if (set->loads[i])
			measure_load(set, &d, set->loads[i]);
	if (set->uring) {
		uring(set->name, "raw", d.raw);
		uring(set->name, "remap", REMAP);
		uring(set->name, "iogate", d.gate);
		uring(set->name, "iogate_hold", d.keeper);
		uring(set->name, "dm_linear", d.dm);
		measure_parts(&d);
		measure_many(&d);
	}
	if (set->busy >= 0)
		measure_cycles(&d, set->busy);
	remove_devices();
}

/* -- several processors ---------------------------------------------------- */

static const struct set many_queues = {
	.name = "many", .below = { .no_memory = true, .queues = MOST },
};

struct lane {
	const char	*way, *how, *path;
};

#define LANES	4

static void make_lanes(const struct devices *d, struct lane *lanes)
{
	const struct lane all[LANES] = {
		{ "raw", "raw", d->raw },
		{ "iogate", "raw", d->gate },
		{ "dm_linear", "raw", d->dm },
		{ "target_own_bio", "own", d->raw },
	};

	memcpy(lanes, all, sizeof(all));
}

/*
 * What else the host does changes all the time.  So they take turns in short
 * slices, there and back, and what counts is how each compares with its round.
 */
static void take_turns(const struct lane *lanes, unsigned int n)
{
	unsigned long long rates[LANES][SLICES];
	unsigned int i, j, at;

	for (i = 0; i < SLICES; i++)
		for (j = 0; j < LANES; j++) {
			at = i % 2 ? LANES - 1 - j : j;
			rates[at][i] = strtoull(ask("parallel %s %u %u %s",
						    lanes[at].how, n, SLICE_MS,
						    lanes[at].path), NULL, 10);
		}
	for (j = 0; j < LANES; j++) {
		printf("throughput %u %s", n, lanes[j].way);
		for (i = 0; i < SLICES; i++)
			printf(" %llu", rates[j][i]);
		printf("\n");
	}
}

/* 0 processors: as fast as 1, 2 and 4 can. */
static void measure_parallel(unsigned int n)
{
	struct lane lanes[LANES];
	struct devices d;
	unsigned int i;

	make_devices(&many_queues, &d);
	sleep(3);
	make_lanes(&d, lanes);
	for (i = 1; !n && i <= MOST; i *= 2)
		take_turns(lanes, i);
	for (i = 0; n && i < LANES; i++) {
		ask("parallel %s %u 0 %s", lanes[i].how, n, lanes[i].path);
		printf("parallel %u %s\n", n, lanes[i].way);
	}
	remove_devices();
}

/* -- what the numbers stand for -------------------------------------------- */

static void show_symbols(void)
{
	char line[512], name[256], type;
	unsigned long long address;
	FILE *f = fopen("/proc/kallsyms", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx %c %255s", &address, &type, name) == 3 &&
		    (type == 't' || type == 'T'))
			printf("symbol %llx %s\n", address, name);
	if (f)
		fclose(f);
}

int main(int argc, char **argv)
{
	const struct sched_param first = { .sched_priority = 50 };
	size_t i;

	if (sched_setscheduler(0, SCHED_FIFO, &first))
		die("sched_setscheduler", errno);
	if (argc > 1 && strcmp(argv[1], "--symbols")) {
		measure_parallel(argc > 2 ? atoi(argv[2]) : 0);
		printf("end\n");
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(sets); i++)
		measure_set(&sets[i]);
	printf("sizes %s", ask("sizes"));
	if (argc > 1 && !strcmp(argv[1], "--symbols"))
		show_symbols();
	printf("end\n");
	return 0;
}
