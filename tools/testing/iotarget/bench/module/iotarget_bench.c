// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a bio costs, on the way through an I/O target and on others.
 *
 * Commands are written to iotarget_bench in debugfs, and the answer is read from
 * the same file:
 *
 *	measure WAY WORKLOAD PATH	instructions of IOS bios, ROUNDS times
 *	cycle N PATH			a stop that waits and a start, ROUNDS times,
 *					with N reads at the device
 *	remap PATH			make /dev/iotbench over it; without PATH: take it away
 *	targets N PATH			open N further targets; without PATH: close them
 *	parallel WAY N MS PATH		I/Os per second of N processors at once, for MS
 *					milliseconds; 0: rounds, for the plugin alone
 *	sizes				of what is allocated for each I/O, target, disk
 *
 * The numbers are differences of the time stamp counter, which is the number of
 * instructions in an emulator that counts them (-icount).  The two exchanges of
 * a register with itself around each round are for its plugin (plugin.c).
 *
 * What is measured is each bio from its initialisation to its completion's wake
 * up, one after the other.  All loops are the same but for the one call.
 *
 * Context: process.  Lock: bench_lock.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <asm/msr.h>

#include <linux/iotarget_disk.h>

#include "internal.h"		/* for the sizes alone */

/* Kernels that clear what is on the stack would do so to larger bios for longer. */
#ifndef __uninitialized
#define __uninitialized	__attribute__((__uninitialized__))
#endif

#define IOS		1000
#define ROUNDS		8
#define LARGEST		65536
#define SPAN		(32U << 20)	/* bytes of the device that are used */
#define OPEN_MS		10000
#define MAX_TARGETS	4096
#define MAX_SENT	64
#define MAX_WORKERS	4
#define BETWEEN_LOOKS	32		/* I/Os from one look at the time to the next */

struct workload {
	const char	*name;
	blk_opf_t	opf;
	unsigned int	len;
};

static const struct workload workloads[] = {
	{ "read4k", REQ_OP_READ | REQ_SYNC, 4096 },
	{ "write4k", REQ_OP_WRITE | REQ_SYNC, 4096 },
	{ "write64k", REQ_OP_WRITE | REQ_SYNC, 65536 },
	{ "flush", REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC, 0 },
};

/* One measurement. */
struct bench {
	struct iotarget		*target;
	struct block_device	*bdev;
	const struct workload	*load;
	u64			rounds[ROUNDS];
	u64			slice_ns;	/* for how long, if not in rounds */
	u64			rate;		/* I/Os per second in that time */
	blk_status_t		status;		/* the last that was not 0 */
};

struct way {
	const char	*name;
	u32		create_flags;
	void		(*rounds)(struct bench *b);
	void		(*slice)(struct bench *b);
};

static DEFINE_MUTEX(bench_lock);
static struct page *pages;
static struct dentry *bench_file;
static struct iotarget **idle_targets;
static unsigned int nr_idle;
static struct iotarget_disk *remap_disk;

/* -- one bio --------------------------------------------------------------- */

static void bench_end_io(struct bio *bio)
{
	complete(bio->bi_private);
}

static __always_inline void fill(struct bench *b, struct bio *bio,
				 unsigned int i)
{
	const unsigned int len = b->load->len;

	if (!len)
		return;
	bio->bi_iter.bi_sector = i * len % SPAN >> SECTOR_SHIFT;
	__bio_add_page(bio, pages, len, 0);
}

static __always_inline void over(struct bench *b, struct bio *bio)
{
	if (unlikely(bio->bi_status))
		b->status = bio->bi_status;
	bio_uninit(bio);
}

static __always_inline void do_raw(struct bench *b, unsigned int i)
{
	struct bio_vec bvec __uninitialized;
	struct bio bio __uninitialized;
	DECLARE_COMPLETION_ONSTACK(done);

	bio_init(&bio, b->bdev, &bvec, 1, b->load->opf);
	fill(b, &bio, i);
	bio.bi_private = &done;
	bio.bi_end_io = bench_end_io;
	submit_bio(&bio);
	wait_for_completion_io(&done);
	over(b, &bio);
}

/* Nearly the same, by the block layer's own function. */
static __always_inline void do_wait(struct bench *b, unsigned int i)
{
	struct bio_vec bvec;
	struct bio bio;

	bio_init(&bio, b->bdev, &bvec, 1, b->load->opf);
	fill(b, &bio, i);
	submit_bio_wait(&bio);
	over(b, &bio);
}

static __always_inline void forward(struct bench *b, unsigned int i, u32 flags)
{
	struct bio_vec bvec __uninitialized;
	struct bio bio __uninitialized;
	DECLARE_COMPLETION_ONSTACK(done);

	bio_init(&bio, b->bdev, &bvec, 1, b->load->opf);
	fill(b, &bio, i);
	bio.bi_private = &done;
	bio.bi_end_io = bench_end_io;
	iotarget_forward_bio(b->target, &bio, flags);
	wait_for_completion_io(&done);
	over(b, &bio);
}

static __always_inline void do_forward(struct bench *b, unsigned int i)
{
	forward(b, i, 0);
}

static __always_inline void do_forget(struct bench *b, unsigned int i)
{
	forward(b, i, IOTARGET_SEND_AND_FORGET);
}

struct own {
	struct iotarget_bio	tb;
	struct bio_vec		bvec;
	struct completion	done;
};

static void own_complete(struct iotarget *target, struct iotarget_bio *tb)
{
	complete(&container_of(tb, struct own, tb)->done);
}

static __always_inline void do_own(struct bench *b, unsigned int i)
{
	struct own own __uninitialized;

	/* In line, as that of the others. */
	own.done = (struct completion)COMPLETION_INITIALIZER(own.done);
	iotarget_bio_init(&own.tb, &own.bvec, 1, b->load->opf, own_complete);
	fill(b, &own.tb.bio, i);
	if (iotarget_send_bio(b->target, &own.tb, 0))
		b->status = BLK_STS_IOERR;
	else
		wait_for_completion_io(&own.done);
	over(b, &own.tb.bio);
}

static __always_inline void do_gate(struct bench *b, unsigned int i)
{
	struct iotarget_entry entry;

	if (iotarget_enter(b->target, &entry, 0))
		b->status = BLK_STS_IOERR;
	else
		iotarget_leave(&entry);
}

static __always_inline void do_nothing(struct bench *b, unsigned int i)
{
	barrier();
}

/* -- rounds of them -------------------------------------------------------- */

static __always_inline void
rounds(struct bench *b, void (*one)(struct bench *b, unsigned int i))
{
	unsigned int round, i;
	u64 start;

	for (round = 0; round < ROUNDS; round++) {
		asm volatile("xchg %%rbx, %%rbx" : : : "memory");
		start = rdtsc_ordered();
		for (i = 0; i < IOS; i++)
			one(b, i);
		b->rounds[round] = rdtsc_ordered() - start;
		asm volatile("xchg %%rcx, %%rcx" : : : "memory");
	}
}

/* Where an instruction is not a nanosecond: as many as there is time for. */
static __always_inline void
slice(struct bench *b, void (*one)(struct bench *b, unsigned int i))
{
	const u64 start = ktime_get_ns();
	unsigned int i = 0;
	u64 passed;

	do {
		do
			one(b, i);
		while (++i % BETWEEN_LOOKS);
		cond_resched();
		passed = ktime_get_ns() - start;
	} while (passed < b->slice_ns);
	b->rate = div64_u64((u64)i * NSEC_PER_SEC, passed);
}

static noinline void slice_raw(struct bench *b)
{
	slice(b, do_raw);
}

static noinline void slice_own(struct bench *b)
{
	slice(b, do_own);
}

#define ROUNDS_OF(_way) \
	static noinline void rounds_ ## _way(struct bench *b) \
	{ \
		rounds(b, do_ ## _way); \
	}

ROUNDS_OF(raw)
ROUNDS_OF(wait)
ROUNDS_OF(forward)
ROUNDS_OF(forget)
ROUNDS_OF(own)
ROUNDS_OF(gate)
ROUNDS_OF(nothing)

static const struct way ways[] = {
	{ "raw", 0, rounds_raw, slice_raw },
	{ "wait", 0, rounds_wait },
	{ "forward", IOTARGET_CREATE_ACCOUNT_BIOS, rounds_forward },
	{ "forward_uncounted", 0, rounds_forward },
	{ "forget", 0, rounds_forget },
	{ "own", 0, rounds_own, slice_own },
	{ "gate", 0, rounds_gate },
	{ "nothing", 0, rounds_nothing },
};

/* -- targets --------------------------------------------------------------- */

/* Others may use the device, too: it is one that nobody else knows. */
static struct iotarget *open_target(const char *name, const char *path,
				    u32 create_flags)
{
	const struct iotarget_create_params create = {
		.flags = create_flags, .name = name,
	};
	const struct iotarget_open_params open = {
		.type = IOTARGET_OPEN_PATH,
		.path = path,
		.access = IOTARGET_ACCESS_READ | IOTARGET_ACCESS_WRITE,
		.share = IOTARGET_SHARE_READ | IOTARGET_SHARE_WRITE,
		.timeout_ms = OPEN_MS,
	};
	struct iotarget *target;
	int ret;

	target = iotarget_create(&create);
	if (IS_ERR(target))
		return target;
	ret = iotarget_open(target, &open);
	if (ret) {
		iotarget_delete(target, 0, NULL);
		return ERR_PTR(ret);
	}
	return target;
}

static void close_target(struct iotarget *target)
{
	iotarget_delete(target, OPEN_MS, NULL);
}

static ssize_t show_rounds(const struct bench *b, char *answer, size_t size)
{
	ssize_t len = 0;
	int i;

	if (b->status)
		return blk_status_to_errno(b->status) ?: -EIO;
	for (i = 0; i < ROUNDS; i++)
		len += scnprintf(answer + len, size - len, "%llu%c",
				 b->rounds[i], i < ROUNDS - 1 ? ' ' : '\n');
	return len;
}

static const struct way *way_by_name(const char *name)
{
	size_t i;

	for (i = 0; name && i < ARRAY_SIZE(ways); i++)
		if (!strcmp(ways[i].name, name))
			return &ways[i];
	return NULL;
}

static ssize_t measure(char *words, char *answer, size_t size)
{
	const struct way *way = way_by_name(strsep(&words, " "));
	const char *load_name = strsep(&words, " ");
	struct bench b = { };
	ssize_t ret;
	size_t i;

	for (i = 0; load_name && i < ARRAY_SIZE(workloads); i++)
		if (!strcmp(workloads[i].name, load_name))
			b.load = &workloads[i];
	if (!way || !b.load || !words)
		return -EINVAL;
	b.target = open_target("bench", words, way->create_flags);
	if (IS_ERR(b.target))
		return PTR_ERR(b.target);
	b.bdev = iotarget_get_bdev(b.target);
	way->rounds(&b);
	ret = show_rounds(&b, answer, size);
	put_device(&b.bdev->bd_device);
	close_target(b.target);
	return ret;
}

/* One processor's share; they go together. */
struct worker {
	struct bench		b;
	const struct way	*way;
	struct task_struct	*task;
	struct completion	*go;
	struct completion	done;
};

static int work(void *data)
{
	struct worker *w = data;

	wait_for_completion(w->go);
	if (w->b.slice_ns)
		w->way->slice(&w->b);
	else
		w->way->rounds(&w->b);
	complete(&w->done);
	return 0;
}

static int worker_begin(struct worker *w, unsigned int cpu)
{
	if (!cpu_online(cpu))
		return -EINVAL;
	w->task = kthread_create(work, w, "iotarget_bench/%u", cpu);
	if (IS_ERR(w->task))
		return PTR_ERR(w->task);
	kthread_bind(w->task, cpu);
	get_task_struct(w->task);
	init_completion(&w->done);
	wake_up_process(w->task);
	return 0;
}

static void worker_end(struct worker *w)
{
	wait_for_completion(&w->done);
	kthread_stop(w->task);
	put_task_struct(w->task);
}

/* All of them have the target, and each a copy of the rest. */
static ssize_t run_workers(const struct bench *b, const struct way *way,
			   unsigned int n, char *answer, size_t size)
{
	DECLARE_COMPLETION_ONSTACK(go);
	blk_status_t status = 0;
	struct worker *workers;
	unsigned int i;
	int ret = 0;
	u64 rate = 0;

	workers = kcalloc(n, sizeof(*workers), GFP_KERNEL);
	if (!workers)
		return -ENOMEM;
	for (i = 0; i < n && !ret; i++) {
		workers[i].b = *b;
		workers[i].way = way;
		workers[i].go = &go;
		ret = worker_begin(&workers[i], i);
	}
	if (ret)
		i--;
	complete_all(&go);
	while (i--) {
		worker_end(&workers[i]);
		rate += workers[i].b.rate;
		status = workers[i].b.status ?: status;
	}
	kfree(workers);
	if (ret || status)
		return ret ?: blk_status_to_errno(status) ?: -EIO;
	return scnprintf(answer, size, "%llu\n", rate);
}

static ssize_t parallel(char *words, char *answer, size_t size)
{
	const struct way *way = way_by_name(strsep(&words, " "));
	const char *number = strsep(&words, " "), *ms = strsep(&words, " ");
	struct bench b = { .load = &workloads[0] };
	unsigned int n, slice_ms;
	ssize_t ret;

	if (!way || !way->slice || !words || kstrtouint(number, 0, &n) ||
	    kstrtouint(ms, 0, &slice_ms) || !n || n > MAX_WORKERS)
		return -EINVAL;
	b.slice_ns = (u64)slice_ms * NSEC_PER_MSEC;
	b.target = open_target("bench", words, way->create_flags);
	if (IS_ERR(b.target))
		return PTR_ERR(b.target);
	b.bdev = iotarget_get_bdev(b.target);
	ret = run_workers(&b, way, n, answer, size);
	put_device(&b.bdev->bd_device);
	close_target(b.target);
	return ret;
}

/* Reads that are with the device when it is stopped. */
static int send_some(struct bench *b, struct own *own, unsigned int n)
{
	unsigned int i;
	int ret = 0, error;

	for (i = 0; i < n; i++) {
		init_completion(&own[i].done);
		iotarget_bio_init(&own[i].tb, &own[i].bvec, 1, b->load->opf,
				  own_complete);
		fill(b, &own[i].tb.bio, i);
		error = iotarget_send_bio(b->target, &own[i].tb, 0);
		if (error)
			complete(&own[i].done);
		ret = ret ?: error;
	}
	return ret;
}

static int one_cycle(struct bench *b, struct own *own, unsigned int n, u64 *ticks)
{
	unsigned int i;
	int ret;

	ret = send_some(b, own, n);
	*ticks = rdtsc_ordered();
	ret = ret ?: iotarget_stop(b->target, IOTARGET_WAIT_FOR_SENT, OPEN_MS,
				   NULL);
	ret = ret ?: iotarget_start_and_wait(b->target, OPEN_MS, NULL);
	*ticks = rdtsc_ordered() - *ticks;
	for (i = 0; i < n; i++)
		wait_for_completion_io(&own[i].done);
	return ret;
}

static ssize_t cycle(char *words, char *answer, size_t size)
{
	struct bench b = { .load = &workloads[0] };
	const char *number = strsep(&words, " ");
	struct own *own;
	unsigned int n;
	ssize_t ret;
	int i;

	ret = number && words ? kstrtouint(number, 0, &n) : -EINVAL;
	if (ret || n > MAX_SENT)
		return ret ?: -EINVAL;
	own = kcalloc(MAX_SENT, sizeof(*own), GFP_KERNEL);
	if (!own)
		return -ENOMEM;
	b.target = open_target("bench", words, 0);
	if (IS_ERR(b.target)) {
		kfree(own);
		return PTR_ERR(b.target);
	}
	for (i = 0; i < ROUNDS && !ret; i++)
		ret = one_cycle(&b, own, n, &b.rounds[i]);
	if (!ret)
		ret = show_rounds(&b, answer, size);
	close_target(b.target);
	kfree(own);
	return ret;
}

static void close_idle(void)
{
	while (nr_idle)
		close_target(idle_targets[--nr_idle]);
	kvfree(idle_targets);
	idle_targets = NULL;
}

static ssize_t targets(char *words, char *answer, size_t size)
{
	const char *number = strsep(&words, " ");
	struct iotarget *target;
	char name[16];
	unsigned int n;
	int ret;

	close_idle();
	ret = kstrtouint(number, 0, &n);
	if (ret || !words)
		return ret;
	if (n > MAX_TARGETS)
		return -EINVAL;
	idle_targets = kvcalloc(n, sizeof(*idle_targets), GFP_KERNEL);
	if (!idle_targets)
		return -ENOMEM;
	while (nr_idle < n) {
		snprintf(name, sizeof(name), "idle-%u", nr_idle);
		target = open_target(name, words, 0);
		if (IS_ERR(target)) {
			close_idle();
			return PTR_ERR(target);
		}
		idle_targets[nr_idle++] = target;
	}
	return 0;
}

/* -- a disk that only remaps ----------------------------------------------- */

/* What the block layer takes for another disk in between, and nothing else. */
static void remap_submit_bio(struct bio *bio)
{
	struct block_device *lower = READ_ONCE(iotarget_disk_of(bio)->priv);

	if (unlikely(!lower)) {
		bio_io_error(bio);
		return;
	}
	bio_set_dev(bio, lower);
	submit_bio_noacct(bio);
}

static struct iotarget_disk_ops remap_ops = {
	.owner		= THIS_MODULE,
	.submit_bio	= remap_submit_bio,
};

static int remove_remap(void)
{
	struct block_device *lower;
	int ret;

	if (!remap_disk)
		return 0;
	lower = remap_disk->priv;
	ret = iotarget_disk_remove(remap_disk, false, OPEN_MS);
	if (ret)
		return ret;
	remap_disk = NULL;
	put_device(&lower->bd_device);
	return 0;
}

static ssize_t remap(char *words, char *answer, size_t size)
{
	const struct iotarget_open_params lower = {
		.type = IOTARGET_OPEN_PATH,
		.path = words,
		.access = IOTARGET_ACCESS_READ | IOTARGET_ACCESS_WRITE,
		.timeout_ms = OPEN_MS,
	};
	const struct iotarget_disk_params params = {
		.name = "iotbench",
		.ops = &remap_ops,
		.lower = &lower,
	};
	struct iotarget_disk *disk;
	int ret;

	ret = remove_remap();
	if (ret || !words)
		return ret;
	disk = iotarget_disk_create(&params);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	WRITE_ONCE(disk->priv, iotarget_get_bdev(disk->target));
	remap_disk = disk;
	return 0;
}

/* -- commands -------------------------------------------------------------- */

static ssize_t sizes(char *words, char *answer, size_t size)
{
	return scnprintf(answer, size,
			 "bio %zu iotarget_bio %zu clone %zu request %zu target %zu\n",
			 sizeof(struct bio), sizeof(struct iotarget_bio),
			 sizeof(struct iotarget_forward),
			 sizeof(struct iotarget_request),
			 sizeof(struct iotarget) + sizeof(struct iotarget_inst));
}

static const struct {
	const char	*name;
	ssize_t		(*run)(char *words, char *answer, size_t size);
} commands[] = {
	{ "measure", measure },
	{ "parallel", parallel },
	{ "cycle", cycle },
	{ "remap", remap },
	{ "targets", targets },
	{ "sizes", sizes },
};

static ssize_t command(char *words, char *answer, size_t size)
{
	const char *name = strsep(&words, " ");
	ssize_t ret = -EINVAL;
	size_t i;

	mutex_lock(&bench_lock);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			ret = commands[i].run(words, answer, size);
	mutex_unlock(&bench_lock);
	return ret;
}

static ssize_t bench_write(struct file *file, const char __user *data,
			   size_t len, loff_t *pos)
{
	char *words, *answer;
	ssize_t ret;

	answer = simple_transaction_get(file, data, len);
	if (IS_ERR(answer))
		return PTR_ERR(answer);
	words = kstrdup(strim(answer), GFP_KERNEL);
	if (!words)
		return -ENOMEM;
	ret = command(words, answer, SIMPLE_TRANSACTION_LIMIT);
	kfree(words);
	if (ret < 0)
		return ret;
	simple_transaction_set(file, ret);
	return len;
}

static const struct file_operations bench_fops = {
	.owner		= THIS_MODULE,
	.write		= bench_write,
	.read		= simple_transaction_read,
	.release	= simple_transaction_release,
};

static int __init bench_init(void)
{
	pages = alloc_pages(GFP_KERNEL | __GFP_ZERO, get_order(LARGEST));
	if (!pages)
		return -ENOMEM;
	bench_file = debugfs_create_file("iotarget_bench", 0600, NULL, NULL,
					 &bench_fops);
	return 0;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	debugfs_remove(bench_file);
	close_idle();		/* the other disk keeps us loaded */
	__free_pages(pages, get_order(LARGEST));
}
module_exit(bench_exit);

MODULE_DESCRIPTION("Counts the instructions of bios on several ways");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("IOTARGET_1");
