// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotarget_test.ko: the load engine.  Threads send requests as fast as their
 * fixed number of requests comes back, and the engine keeps its own books: a
 * send that was accepted must call back once and only once, one that was
 * refused never.
 *
 * Ordered mode wants a device that completes inside submit_bio() (null_blk
 * with irqmode=0, brd): there the order of the callbacks is the order of
 * submission.  Against each Start that came while the target was quiet (after
 * a waiting stop, purge or close succeeded) it checks that
 *  - nothing is submitted between that wait and the Start, and
 *  - no send that began after the Start returned is submitted before one that
 *    was accepted before the Start was called (it was held then).
 *
 * Context: the threads are kernel threads; the callback runs wherever the
 * device completes.  load->lock (a spinlock, interrupts off) guards the books
 * of the ordered mode; all other counts are atomic.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/llist.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "test_client.h"

/* Starts that are watched at a time; older ones have long been drained. */
#define WATCHED		32
#define MAX_MEMORY	(64U << 20)

/*
 * struct iotarget_test_unit - one request of a load
 * @mutex: reuse, format and cancel; never held over a send
 * @armed: 1 while a callback is due
 * @began: when its send was called, in load->seq
 * @accepted: when its send returned, 0 before that
 */
struct iotarget_test_unit {
	struct iotarget_request		req;
	struct iotarget_test_load	*load;
	struct iotarget_test_worker	*worker;
	struct llist_node		idle;
	struct mutex			mutex;	/* see above */
	atomic_t			armed;
	u64				began;
	u64				accepted;
	u64				pos;
	u32				len;
	u32				type;
	void				*data;
};

struct iotarget_test_worker {
	struct iotarget_test_load	*load;
	struct task_struct		*task;
	struct llist_head		idle;
	wait_queue_head_t		wait;
	u32				random;
	struct iotarget_test_unit	*units;
};

/* A Start: when it was called, when it returned, what came after it first. */
struct iotarget_test_start {
	u64				called;
	u64				returned;
	bool				overtaken;
};

enum load_count {
	ACCEPTED, CALLBACKS, DOUBLES, UNINVITED, INCONSISTENT, WRONG_DATA,
	DONE, FAILED, NEVER_SENT, UNKNOWN, CANCELED, TIMED_OUT, REMOVED,
	SHUT, LATCHED, EXPIRED, REFUSED, CANCELS,
	NR_COUNTS,
};

struct iotarget_test_load {
	struct iotarget			*target;
	struct iotarget_test_load_start	config;
	u32				sector;
	bool				stop;
	struct task_struct		*canceller;
	atomic_t			out;
	int				last_refusal;
	atomic64_t			seq;
	atomic64_t			counts[NR_COUNTS];
	spinlock_t			lock;	/* all that follows */
	bool				quiet;
	bool				was_quiet;
	u32				newest;
	struct iotarget_test_start	watched[WATCHED];
	u64				starts;
	u64				held;
	u64				overtaken;
	u64				quiets;
	u64				unquiet;
	struct iotarget_test_worker	workers[IOTARGET_TEST_MAX_THREADS];
};

static void count(struct iotarget_test_load *load, enum load_count what)
{
	atomic64_inc(&load->counts[what]);
}

static u32 pick(struct iotarget_test_worker *worker, u32 below)
{
	worker->random = worker->random * 1664525 + 1013904223;
	return below ? (worker->random >> 8) % below : 0;
}

/* The callback of one request, in the order of submission. */
static void load_watch(struct iotarget_test_load *load,
		       struct iotarget_test_unit *unit)
{
	u64 accepted = READ_ONCE(unit->accepted);
	struct iotarget_test_start *start;
	unsigned long flags;
	u64 now;
	u32 i;

	if (iotarget_request_outcome(&unit->req) == IOTARGET_NEVER_SENT)
		return;
	spin_lock_irqsave(&load->lock, flags);
	now = atomic64_inc_return(&load->seq);
	if (load->quiet)
		load->unquiet++;
	for (i = 0; i < WATCHED; i++) {
		start = &load->watched[i];
		if (!start->called)
			continue;
		if (start->returned && unit->began > start->returned) {
			start->overtaken = true;
		} else if (accepted && accepted < start->called &&
			   now > start->called) {
			load->held++;
			if (start->overtaken)
				load->overtaken++;
		}
	}
	spin_unlock_irqrestore(&load->lock, flags);
}

static u64 unit_wrong(struct iotarget_test_unit *unit)
{
	struct kvec seg = { .iov_base = unit->data, .iov_len = unit->len };
	struct iotarget_test_mem mem = {
		.segs = &seg, .nr = 1, .size = unit->len,
	};

	return iotarget_test_mem_wrong(&mem, 0, unit->len,
				       unit->load->config.seed, unit->pos);
}

static void load_account(struct iotarget_test_load *load,
			 struct iotarget_test_unit *unit)
{
	enum iotarget_outcome outcome = iotarget_request_outcome(&unit->req);
	int status = iotarget_request_status(&unit->req);
	size_t bytes = iotarget_request_bytes(&unit->req);
	u32 len = unit->type == IOTARGET_TEST_FLUSH ? 0 : unit->len;

	if (!status && (outcome != IOTARGET_DONE || bytes != len))
		count(load, INCONSISTENT);
	if (outcome == IOTARGET_NEVER_SENT && (!status || bytes))
		count(load, INCONSISTENT);
	if (outcome == IOTARGET_DONE)
		count(load, status ? FAILED : DONE);
	else if (outcome == IOTARGET_NEVER_SENT)
		count(load, NEVER_SENT);
	else if (outcome == IOTARGET_UNKNOWN)
		count(load, UNKNOWN);
	else
		count(load, INCONSISTENT);
	if (status == -ECANCELED)
		count(load, CANCELED);
	else if (status == -ETIMEDOUT)
		count(load, TIMED_OUT);
	else if (status == -ENODEV)
		count(load, REMOVED);
	if (!status && unit->type == IOTARGET_TEST_READ &&
	    (load->config.bits & IOTARGET_TEST_LOAD_VERIFY) &&
	    unit_wrong(unit))
		count(load, WRONG_DATA);
}

static void load_complete(struct iotarget *target,
			  struct iotarget_request *req, void *context)
{
	struct iotarget_test_unit *unit = context;
	struct iotarget_test_load *load = unit->load;
	struct iotarget_test_worker *worker = unit->worker;

	count(load, CALLBACKS);
	if (load->config.bits & IOTARGET_TEST_LOAD_ORDERED)
		load_watch(load, unit);
	load_account(load, unit);
	if (!atomic_xchg(&unit->armed, 0)) {
		count(load, DOUBLES);
		return;
	}
	if (llist_add(&unit->idle, &worker->idle))
		wake_up(&worker->wait);
	atomic_dec(&load->out);
}

static int unit_format(struct iotarget_test_worker *worker,
		       struct iotarget_test_unit *unit)
{
	struct iotarget_test_load *load = worker->load;
	struct iotarget_test_load_start *config = &load->config;
	u32 sectors = (config->max_len - config->min_len) / load->sector;
	struct iotarget_buffer buf;
	struct kvec seg;
	u64 room;
	int ret;

	unit->len = config->min_len + pick(worker, sectors + 1) * load->sector;
	room = div_u64(config->span - unit->len, load->sector);
	unit->pos = config->pos +
		    (u64)pick(worker, min_t(u64, room + 1, U32_MAX)) *
		    load->sector;
	unit->type = pick(worker, 100) < config->write_percent ?
		     IOTARGET_TEST_WRITE : IOTARGET_TEST_READ;
	buf = iotarget_buf(unit->data, unit->len);
	mutex_lock(&unit->mutex);
	ret = iotarget_request_reuse(&unit->req);
	if (!ret && unit->type == IOTARGET_TEST_WRITE) {
		struct iotarget_test_mem mem = { .segs = &seg, .nr = 1 };

		seg.iov_base = unit->data;
		seg.iov_len = unit->len;
		iotarget_test_mem_fill(&mem, 0, unit->len, config->seed,
				       unit->pos);
		ret = iotarget_format_write(load->target, &unit->req, &buf,
					    unit->pos);
	} else if (!ret) {
		ret = iotarget_format_read(load->target, &unit->req, &buf,
					   unit->pos);
	}
	if (!ret)
		ret = iotarget_request_set_complete(&unit->req, load_complete,
						    unit);
	mutex_unlock(&unit->mutex);
	return ret;
}

static void load_refused(struct iotarget_test_load *load, int ret)
{
	if (ret == -ESHUTDOWN) {
		count(load, SHUT);
	} else if (ret == -ECANCELED) {
		count(load, LATCHED);
	} else if (ret == -ETIMEDOUT && load->config.timeout_percent) {
		count(load, EXPIRED);
	} else {
		count(load, REFUSED);
		WRITE_ONCE(load->last_refusal, ret);
	}
	/* Don't burn the processor while the target is shut. */
	usleep_range(50, 100);
}

static int unit_send(struct iotarget_test_worker *worker,
		     struct iotarget_test_unit *unit)
{
	struct iotarget_test_load *load = worker->load;
	struct iotarget_send_params params = {};
	int ret;

	if (pick(worker, 100) < load->config.timeout_percent) {
		params.flags = IOTARGET_SEND_TIMEOUT;
		params.timeout_ms = load->config.timeout_ms;
	}
	WRITE_ONCE(unit->accepted, 0);
	unit->began = atomic64_inc_return(&load->seq);
	atomic_inc(&load->out);
	atomic_set_release(&unit->armed, 1);
	ret = iotarget_send(load->target, &unit->req, &params);
	if (!ret) {
		count(load, ACCEPTED);
		WRITE_ONCE(unit->accepted, atomic64_inc_return(&load->seq));
	} else if (!atomic_xchg(&unit->armed, 0)) {
		/* It is idle by now, the callback did that. */
		count(load, UNINVITED);
		ret = 0;
	} else {
		atomic_dec(&load->out);
	}
	return ret;
}

static int load_thread(void *data)
{
	struct iotarget_test_worker *worker = data;
	struct iotarget_test_load *load = worker->load;
	struct iotarget_test_unit *unit;
	struct llist_node *node;
	int ret;

	while (!READ_ONCE(load->stop)) {
		node = llist_del_first(&worker->idle);
		if (!node) {
			wait_event_timeout(worker->wait,
					   READ_ONCE(load->stop) ||
					   !llist_empty(&worker->idle),
					   HZ / 10);
			continue;
		}
		unit = llist_entry(node, struct iotarget_test_unit, idle);
		ret = unit_format(worker, unit);
		if (!ret)
			ret = unit_send(worker, unit);
		if (ret) {
			llist_add(&unit->idle, &worker->idle);
			load_refused(load, ret);
		}
		cond_resched();
	}
	while (!kthread_should_stop()) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}

static int load_cancel_thread(void *data)
{
	struct iotarget_test_load *load = data;
	struct iotarget_test_unit *unit;
	u32 number, turn = 0;

	while (!kthread_should_stop()) {
		number = turn++ * 2654435761U;
		unit = &load->workers[(number >> 4) % load->config.threads]
			.units[(number >> 12) % load->config.depth];
		/* Formatting excludes us, sending and completing do not. */
		if (mutex_trylock(&unit->mutex)) {
			iotarget_request_cancel(&unit->req);
			mutex_unlock(&unit->mutex);
			count(load, CANCELS);
		}
		usleep_range(load->config.cancel_us,
			     load->config.cancel_us + 50);
	}
	return 0;
}

static void load_destroy(struct iotarget_test_load *load)
{
	struct iotarget_test_unit *units;
	u32 i, j;

	for (i = 0; i < load->config.threads; i++) {
		units = load->workers[i].units;
		for (j = 0; units && j < load->config.depth; j++)
			kvfree(units[j].data);
		kvfree(units);
	}
	kvfree(load);
}

static int load_worker_init(struct iotarget_test_load *load, u32 number)
{
	struct iotarget_test_worker *worker = &load->workers[number];
	struct iotarget_test_unit *unit;
	u32 i;

	worker->load = load;
	worker->random = number * 2654435761U + (u32)load->config.seed;
	init_waitqueue_head(&worker->wait);
	worker->units = kvcalloc(load->config.depth, sizeof(*worker->units),
				 GFP_KERNEL);
	if (!worker->units)
		return -ENOMEM;
	for (i = 0; i < load->config.depth; i++) {
		unit = &worker->units[i];
		unit->data = kvmalloc(load->config.max_len, GFP_KERNEL);
		if (!unit->data)
			return -ENOMEM;
		unit->load = load;
		unit->worker = worker;
		mutex_init(&unit->mutex);
		iotarget_request_init(&unit->req);
		llist_add(&unit->idle, &worker->idle);
	}
	return 0;
}

static void load_stop_threads(struct iotarget_test_load *load)
{
	u32 i;

	WRITE_ONCE(load->stop, true);
	if (load->canceller)
		kthread_stop(load->canceller);
	load->canceller = NULL;
	for (i = 0; i < load->config.threads; i++) {
		wake_up(&load->workers[i].wait);
		if (load->workers[i].task)
			kthread_stop(load->workers[i].task);
		load->workers[i].task = NULL;
	}
}

static int load_start_threads(struct iotarget_test_load *load)
{
	struct task_struct *task;
	u32 i;

	for (i = 0; i < load->config.threads; i++) {
		task = kthread_run(load_thread, &load->workers[i],
				   "iotarget_load%u", i);
		if (IS_ERR(task))
			return PTR_ERR(task);
		load->workers[i].task = task;
	}
	if (!load->config.cancel_us)
		return 0;
	task = kthread_run(load_cancel_thread, load, "iotarget_cancel");
	if (IS_ERR(task))
		return PTR_ERR(task);
	load->canceller = task;
	return 0;
}

static int load_check(const struct iotarget_test_load_start *arg, u32 sector)
{
	if (!arg->threads || arg->threads > IOTARGET_TEST_MAX_THREADS ||
	    !arg->depth || arg->depth > IOTARGET_TEST_MAX_DEPTH ||
	    arg->write_percent > 100 || arg->timeout_percent > 100)
		return -EINVAL;
	if (!sector || arg->min_len < sector || arg->min_len % sector ||
	    arg->max_len < arg->min_len || arg->max_len % sector ||
	    arg->span < arg->max_len || arg->pos % sector)
		return -EINVAL;
	if ((u64)arg->threads * arg->depth * arg->max_len > MAX_MEMORY)
		return -ENOMEM;
	return 0;
}

int iotarget_test_load_start(struct iotarget_test_client *client,
			     struct iotarget_test_load_start *arg)
{
	struct iotarget_test_load *load;
	struct iotarget_info info = {};
	int ret;
	u32 i;

	iotarget_get_info(client->target, &info);
	ret = load_check(arg, info.logical_block_size);
	if (ret)
		return ret;
	load = kvzalloc(sizeof(*load), GFP_KERNEL);
	if (!load)
		return -ENOMEM;
	load->target = client->target;
	load->config = *arg;
	load->sector = info.logical_block_size;
	spin_lock_init(&load->lock);
	for (i = 0; i < arg->threads && !ret; i++)
		ret = load_worker_init(load, i);
	if (ret) {
		load_destroy(load);
		return ret;
	}
	mutex_lock(&client->lock);
	if (client->load)
		ret = -EBUSY;
	else
		client->load = load;
	mutex_unlock(&client->lock);
	if (ret) {
		load_destroy(load);
		return ret;
	}
	/* On failure the caller stops what has begun. */
	arg->head.ret = load_start_threads(load);
	return 0;
}

static void load_report(struct iotarget_test_load *load,
			struct iotarget_test_load_stop *arg)
{
	u64 counts[NR_COUNTS];
	u32 i;

	for (i = 0; i < NR_COUNTS; i++)
		counts[i] = atomic64_read(&load->counts[i]);
	arg->accepted = counts[ACCEPTED];
	arg->callbacks = counts[CALLBACKS];
	arg->doubles = counts[DOUBLES];
	arg->uninvited = counts[UNINVITED];
	arg->inconsistent = counts[INCONSISTENT];
	arg->wrong_data = counts[WRONG_DATA];
	arg->done = counts[DONE];
	arg->failed = counts[FAILED];
	arg->never_sent = counts[NEVER_SENT];
	arg->unknown = counts[UNKNOWN];
	arg->canceled = counts[CANCELED];
	arg->timed_out = counts[TIMED_OUT];
	arg->removed = counts[REMOVED];
	arg->shut = counts[SHUT];
	arg->latched = counts[LATCHED];
	arg->expired = counts[EXPIRED];
	arg->refused = counts[REFUSED];
	arg->cancels = counts[CANCELS];
	arg->last_refusal = READ_ONCE(load->last_refusal);
	arg->lost = atomic_read(&load->out);
	spin_lock_irq(&load->lock);
	arg->starts = load->starts;
	arg->held = load->held;
	arg->overtaken = load->overtaken;
	arg->quiets = load->quiets;
	arg->unquiet = load->unquiet;
	spin_unlock_irq(&load->lock);
}

int iotarget_test_load_stop(struct iotarget_test_client *client,
			    struct iotarget_test_load_stop *arg)
{
	struct iotarget_test_load *load;
	unsigned long until;

	mutex_lock(&client->lock);
	load = client->load;
	if (load && arg->peek)
		load_report(load, arg);
	mutex_unlock(&client->lock);
	if (!load)
		return -ENOENT;
	if (arg->peek)
		return 0;
	load_stop_threads(load);
	until = jiffies + msecs_to_jiffies(arg->timeout_ms);
	while (atomic_read(&load->out) && time_before(jiffies, until))
		msleep(20);
	load_report(load, arg);
	if (!arg->lost)
		iotarget_test_load_free(client, false);
	return 0;
}

/* Memory of requests that are still out goes with the target. */
void iotarget_test_load_free(struct iotarget_test_client *client, bool all)
{
	struct iotarget_test_load *load;

	mutex_lock(&client->lock);
	load = client->load;
	mutex_unlock(&client->lock);
	if (!load)
		return;
	load_stop_threads(load);
	if (!all && atomic_read(&load->out))
		return;
	mutex_lock(&client->lock);
	client->load = NULL;
	mutex_unlock(&client->lock);
	load_destroy(load);
}

static struct iotarget_test_load *
load_ordered(struct iotarget_test_client *client)
{
	struct iotarget_test_load *load = READ_ONCE(client->load);

	if (load && (load->config.bits & IOTARGET_TEST_LOAD_ORDERED))
		return load;
	return NULL;
}

/* A call that may let requests go on is about to be made. */
void iotarget_test_load_before(struct iotarget_test_client *client, u32 op)
{
	struct iotarget_test_load *load = load_ordered(client);
	struct iotarget_test_start *start;

	if (!load)
		return;
	if (op != IOTARGET_TEST_START && op != IOTARGET_TEST_START_AND_WAIT)
		return;
	spin_lock_irq(&load->lock);
	load->was_quiet = load->quiet;
	load->quiet = false;
	if (load->was_quiet) {
		load->newest = (load->newest + 1) % WATCHED;
		start = &load->watched[load->newest];
		memset(start, 0, sizeof(*start));
		start->called = atomic64_inc_return(&load->seq);
		load->starts++;
	}
	spin_unlock_irq(&load->lock);
}

/* And it has returned, with success and the target quiet, or not so. */
void iotarget_test_load_after(struct iotarget_test_client *client, u32 op,
			      bool quiet)
{
	struct iotarget_test_load *load = load_ordered(client);

	if (!load)
		return;
	spin_lock_irq(&load->lock);
	if (quiet) {
		load->quiet = true;
		load->quiets++;
	} else if (load->was_quiet && (op == IOTARGET_TEST_START ||
				       op == IOTARGET_TEST_START_AND_WAIT)) {
		load->watched[load->newest].returned =
			atomic64_inc_return(&load->seq);
		load->was_quiet = false;
	}
	spin_unlock_irq(&load->lock);
}
