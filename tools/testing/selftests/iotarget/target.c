// SPDX-License-Identifier: GPL-2.0-only
/*
 * One function for each call of the API, made through iotarget_test.ko, and the
 * books of how late each was: duration less the timeout that it was given, and
 * that timeout plus IOTARGET_BOUND_MS (100 by default) is the bound.
 *
 * A virtual processor that its host does not run makes every call on it late.
 * So on each a real-time thread notes when it was woken late itself, and the time
 * of that which stood still longest is not held against a call; a call that would
 * be too late without that says so.
 *
 * Any thread may call; a lock guards the books.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define DEVICE		"/dev/iotarget_test"
#define DEFAULT_OPEN_MS	30000
#define MAX_NAMES	48
#define MAX_CPUS	8
#define BEATS		50		/* of a heart in the time of the bound */
#define STALL_BEATS	5		/* a beat later than this is a stall */

static struct late {
	const char	*call;
	double		worst_ms;
} late_books[MAX_NAMES];
static pthread_mutex_t late_lock = PTHREAD_MUTEX_INITIALIZER;
static bool excused;

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static unsigned int bound_ms(void)
{
	const char *set = getenv("IOTARGET_BOUND_MS");

	return set && *set ? strtoul(set, NULL, 0) : 100;
}

/* How often to do what is done often; slow kernels want less. */
unsigned int cycles(void)
{
	const char *set = getenv("IOTARGET_CYCLES");

	return set && *set ? strtoul(set, NULL, 0) : 200;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* How long each processor stood still, since the process began. */
static atomic_ullong stalled_ns[MAX_CPUS];
static pid_t beating;

struct stalls {
	uint64_t	ns[MAX_CPUS];
};

static void *beat(void *arg)
{
	const long beat_ns = bound_ms() * 1000000L / BEATS;
	const struct timespec pause = { beat_ns / 1000000000, beat_ns % 1000000000 };
	atomic_ullong *stalled = arg;
	uint64_t now, last = now_ns();

	for (;;) {
		nanosleep(&pause, NULL);
		now = now_ns();
		if (now - last > (uint64_t)beat_ns * STALL_BEATS)
			*stalled += now - last - beat_ns;
		last = now;
	}
	return NULL;
}

/* Each test is a process of its own, and so has its own hearts. */
static void start_beating(void)
{
	const struct sched_param param = { .sched_priority = 50 };
	pthread_attr_t attr;
	pthread_t thread;
	unsigned int cpu;
	cpu_set_t set;

	if (beating == getpid())
		return;
	beating = getpid();
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &param);
	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
		/* One that is not there has no heart. */
		pthread_create(&thread, &attr, beat, &stalled_ns[cpu]);
	}
	pthread_attr_destroy(&attr);
}

static struct stalls stalls_now(void)
{
	struct stalls stalls;
	unsigned int cpu;

	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		stalls.ns[cpu] = stalled_ns[cpu];
	return stalls;
}

/* How long the machine stood still since @before, if it matters. */
static double stall_ms(const char *call, double late, const struct stalls *before)
{
	struct stalls now;
	uint64_t stall = 0;
	unsigned int cpu;

	if (late <= bound_ms())
		return 0;
	sleep_ms(2 * bound_ms() / BEATS + 1);	/* for the beat that tells */
	now = stalls_now();
	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		if (now.ns[cpu] - before->ns[cpu] > stall)
			stall = now.ns[cpu] - before->ns[cpu];
	printf("# %s was %.1f ms late, the machine stood still for %.1f ms\n",
	       call, late, stall / 1e6);
	return stall / 1e6;
}

static void late_note(const char *call, uint64_t ns, unsigned int ms,
		      const struct stalls *before)
{
	double late = (double)ns / 1e6 - ms;
	unsigned int i;

	if (ms == FOREVER || excused)
		return;
	late -= stall_ms(call, late, before);
	pthread_mutex_lock(&late_lock);
	for (i = 0; i < MAX_NAMES; i++) {
		if (late_books[i].call && strcmp(late_books[i].call, call))
			continue;
		late_books[i].call = call;
		if (late > late_books[i].worst_ms)
			late_books[i].worst_ms = late;
		break;
	}
	pthread_mutex_unlock(&late_lock);
}

/* Calls that wait for a device's tag or a busy processor by design. */
void late_calls_excused(bool on)
{
	excused = on;
}

/* Print the worst of each call, and return how many calls were too late. */
int late_calls(void)
{
	unsigned int bound = bound_ms();
	unsigned int i;
	int bad = 0;

	for (i = 0; i < MAX_NAMES && late_books[i].call; i++) {
		printf("# lateness: %.1f bound %u %s\n",
		       late_books[i].worst_ms, bound, late_books[i].call);
		bad += late_books[i].worst_ms > bound;
	}
	fflush(stdout);
	return bad;
}

/* The same for what is not made through the client: a request of netlink. */
static __thread struct stalls call_stalls;
static __thread uint64_t call_began;

void call_begins(void)
{
	start_beating();
	call_stalls = stalls_now();
	call_began = now_ns();
}

void call_ended(const char *call, unsigned int ms)
{
	late_note(call, now_ns() - call_began, ms, &call_stalls);
}

/* Any call through the module. */
int target_call(int fd, unsigned long ioc, void *arg, const char *call,
		unsigned int ms)
{
	struct iotarget_test_head *head = arg;
	struct stalls before;

	start_beating();
	before = stalls_now();
	head->size = _IOC_SIZE(ioc);
	head->version = IOTARGET_TEST_VERSION;
	if (ioctl(fd, ioc, arg)) {
		int error = errno;

		printf("# no call: %s: %s\n", call, strerror(error));
		return -NO_CALL - error;
	}
	late_note(call, head->ns, ms, &before);
	return head->ret;
}

/* A call that does not go through the module, and has a bound all the same. */
int timed_call(const char *call, unsigned int ms, int (*fn)(void *arg),
	       void *arg)
{
	struct stalls before;
	uint64_t began;
	int ret;

	start_beating();
	before = stalls_now();
	began = now_ns();
	ret = fn(arg);
	late_note(call, now_ns() - began, ms, &before);
	return ret;
}

bool module_loaded(void)
{
	return !access(DEVICE, R_OK | W_OK);
}

/* A file with a target of this name; without a name, only the file. */
int target_new(const char *name, unsigned int limbo_bytes)
{
	struct iotarget_test_create arg = { .limbo_bytes = limbo_bytes };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -NO_CALL - errno;
	if (!name)
		return fd;
	snprintf(arg.name, sizeof(arg.name), "%s", name);
	ret = target_call(fd, IOTARGET_TEST_IOC_CREATE, &arg, "iotarget_create",
			  0);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

int target_open_raw(int fd, struct iotarget_test_open *arg)
{
	return target_call(fd, IOTARGET_TEST_IOC_OPEN, arg, "iotarget_open",
			 arg->timeout_ms ?: DEFAULT_OPEN_MS);
}

int target_open(int fd, const char *path, unsigned int access,
		unsigned int share)
{
	struct iotarget_test_open arg = {
		.type = OPEN_PATH, .access = access, .share = share,
	};

	snprintf(arg.path, sizeof(arg.path), "%s", path);
	return target_open_raw(fd, &arg);
}

/*
 * A new target that is open, shared with everybody, and past the moment in
 * which requests are still held because the opening is not quite over.
 */
int target_opened(const char *name, const char *path)
{
	int fd = target_new(name, 0);
	int ret;

	if (fd < 0)
		return fd;
	ret = target_open(fd, path, ACCESS_BOTH, SHARE_BOTH);
	if (!ret)
		ret = target_start_and_wait(fd, LONG_MS, NULL);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

int target_reopen(int fd)
{
	struct iotarget_test_open arg = { .type = OPEN_REOPEN };

	return target_open_raw(fd, &arg);
}

int target_control(int fd, struct iotarget_test_control *arg)
{
	static const char * const names[] = {
		[IOTARGET_TEST_START]		= "iotarget_start",
		[IOTARGET_TEST_START_AND_WAIT]	= "iotarget_start_and_wait",
		[IOTARGET_TEST_STOP]		= "iotarget_stop",
		[IOTARGET_TEST_PURGE]		= "iotarget_purge",
		[IOTARGET_TEST_CLOSE]		= "iotarget_close",
		[IOTARGET_TEST_CLOSE_FOR_QUERY_REMOVE] =
			"iotarget_close_for_query_remove",
		[IOTARGET_TEST_DELETE]		= "iotarget_delete",
	};
	unsigned int ms = arg->timeout_ms;

	/* What cannot wait has no timeout to hide behind. */
	if (arg->op == IOTARGET_TEST_START ||
	    (arg->op == IOTARGET_TEST_STOP &&
	     arg->action == LEAVE_SENT_PENDING) ||
	    (arg->op == IOTARGET_TEST_PURGE && arg->action == PURGE_NO_WAIT))
		ms = 0;
	return target_call(fd, IOTARGET_TEST_IOC_CONTROL, arg, names[arg->op],
			 ms);
}

static int control(int fd, unsigned int op, unsigned int action,
		   unsigned int ms, struct iotarget_test_report *report)
{
	struct iotarget_test_control arg = {
		.op = op, .action = action, .timeout_ms = ms,
		.bits = report ? 0 : IOTARGET_TEST_NO_REPORT,
	};
	int ret = target_control(fd, &arg);

	if (report)
		*report = arg.report;
	return ret;
}

int target_start(int fd)
{
	return control(fd, IOTARGET_TEST_START, 0, 0, NULL);
}

int target_start_and_wait(int fd, unsigned int ms, struct iotarget_test_report *report)
{
	return control(fd, IOTARGET_TEST_START_AND_WAIT, 0, ms, report);
}

int target_stop(int fd, unsigned int action, unsigned int ms, struct iotarget_test_report *report)
{
	return control(fd, IOTARGET_TEST_STOP, action, ms, report);
}

int target_purge(int fd, unsigned int action, unsigned int ms,
		 struct iotarget_test_report *report)
{
	return control(fd, IOTARGET_TEST_PURGE, action, ms, report);
}

int target_close(int fd, unsigned int ms, struct iotarget_test_report *report)
{
	return control(fd, IOTARGET_TEST_CLOSE, 0, ms, report);
}

int target_close_query(int fd, unsigned int ms, struct iotarget_test_report *report)
{
	return control(fd, IOTARGET_TEST_CLOSE_FOR_QUERY_REMOVE, 0, ms,
		       report);
}

int target_delete(int fd, unsigned int ms, struct iotarget_test_report *report)
{
	return control(fd, IOTARGET_TEST_DELETE, 0, ms, report);
}

int target_info(int fd, struct iotarget_test_info *info)
{
	memset(info, 0, sizeof(*info));
	return target_call(fd, IOTARGET_TEST_IOC_INFO, info, "iotarget_get_info",
			 0);
}

int target_state(int fd)
{
	struct iotarget_test_info info;
	int ret = target_info(fd, &info);

	return ret ? ret : (int)info.state;
}

const char *state_name(unsigned int state)
{
	static const char * const names[] = {
		[UNDEFINED] = "undefined", [STARTED] = "started",
		[STOPPED] = "stopped",
		[CLOSED_FOR_QUERY_REMOVE] = "closed-for-query-remove",
		[CLOSED] = "closed", [DELETED] = "deleted",
		[PURGED] = "purged",
	};

	return state <= PURGED ? names[state] : "?";
}

int target_transfer(int fd, struct iotarget_test_transfer *arg)
{
	static const char * const timed[] = {
		"", "iotarget_read", "iotarget_write", "iotarget_flush",
	};
	static const char * const forever[] = {
		"", "iotarget_read_wait_forever", "iotarget_write_wait_forever",
		"iotarget_flush_wait_forever",
	};
	bool endless = arg->bits & IOTARGET_TEST_FOREVER;

	return target_call(fd, IOTARGET_TEST_IOC_TRANSFER, arg,
			 endless ? forever[arg->type] : timed[arg->type],
			 endless ? FOREVER : arg->timeout_ms);
}

static int transfer(int fd, struct iotarget_test_transfer *out, unsigned int type, uint64_t pos,
		    uint64_t len, unsigned int ms)
{
	struct iotarget_test_transfer arg = {
		.type = type, .timeout_ms = ms, .pos = pos, .len = len,
		.seed = SEED,
	};
	int ret = target_transfer(fd, &arg);

	if (out)
		*out = arg;
	return ret;
}

int target_read(int fd, uint64_t pos, uint64_t len, unsigned int ms,
		struct iotarget_test_transfer *out)
{
	return transfer(fd, out, IOTARGET_TEST_READ, pos, len, ms);
}

int target_write(int fd, uint64_t pos, uint64_t len, unsigned int ms,
		 struct iotarget_test_transfer *out)
{
	return transfer(fd, out, IOTARGET_TEST_WRITE, pos, len, ms);
}

int target_flush(int fd, unsigned int ms, struct iotarget_test_transfer *out)
{
	return transfer(fd, out, IOTARGET_TEST_FLUSH, 0, 0, ms);
}

int target_negative(int fd, unsigned int number)
{
	struct iotarget_test_negative_call arg = { .number = number };

	return target_call(fd, IOTARGET_TEST_IOC_NEGATIVE, &arg, "negative",
			 FOREVER);
}

int request_format(int fd, struct iotarget_test_format *arg)
{
	return target_call(fd, IOTARGET_TEST_IOC_FORMAT, arg, "iotarget_format",
			 FOREVER);
}

static int format(int fd, unsigned int slot, unsigned int type, uint64_t pos,
		  uint64_t len)
{
	struct iotarget_test_format arg = {
		.slot = slot, .type = type, .pos = pos, .size = len,
		.memory = len ? IOTARGET_TEST_MEM_KMALLOC :
				IOTARGET_TEST_MEM_NONE,
		.seed = SEED,
	};

	return request_format(fd, &arg);
}

int request_read(int fd, unsigned int slot, uint64_t pos, uint64_t len)
{
	return format(fd, slot, IOTARGET_TEST_READ, pos, len);
}

int request_write(int fd, unsigned int slot, uint64_t pos, uint64_t len)
{
	return format(fd, slot, IOTARGET_TEST_WRITE, pos, len);
}

int request_flush(int fd, unsigned int slot)
{
	return format(fd, slot, IOTARGET_TEST_FLUSH, 0, 0);
}

/* How long may a send with these options take? */
static unsigned int send_ms(const struct iotarget_test_send *arg)
{
	if (!(arg->flags & SEND_SYNCHRONOUS))
		return 0;
	if (arg->flags & SEND_WAIT_FOREVER)
		return FOREVER;
	if (arg->flags & SEND_TIMEOUT)
		return arg->timeout_ms;
	return arg->deadline_ns > 0 ? arg->deadline_ns / 1000000 : 0;
}

int request_send_raw(int fd, struct iotarget_test_send *arg)
{
	return target_call(fd, IOTARGET_TEST_IOC_SEND, arg, "iotarget_send",
			 send_ms(arg));
}

int request_send(int fd, unsigned int slot, unsigned int flags,
		 unsigned int ms)
{
	struct iotarget_test_send arg = {
		.slot = slot, .flags = flags, .timeout_ms = ms, .other_fd = -1,
	};

	return request_send_raw(fd, &arg);
}

int request_do(int fd, unsigned int slot, unsigned int op, unsigned int ms)
{
	struct iotarget_test_request arg = {
		.slot = slot, .op = op, .timeout_ms = ms,
	};
	static const char * const names[] = {
		[IOTARGET_TEST_CANCEL]		= "iotarget_request_cancel",
		[IOTARGET_TEST_WAIT]		= "iotarget_request_wait",
		[IOTARGET_TEST_WAIT_CALLBACK]	= "(callback)",
		[IOTARGET_TEST_REQUEST_REUSE]	= "iotarget_request_reuse",
		[IOTARGET_TEST_FREE]		= "iotarget_request_free",
		[IOTARGET_TEST_FILL]		= "(fill)",
	};

	return target_call(fd, IOTARGET_TEST_IOC_REQUEST, &arg, names[op], ms);
}

int request_cancel(int fd, unsigned int slot)
{
	return request_do(fd, slot, IOTARGET_TEST_CANCEL, 0);
}

int request_wait(int fd, unsigned int slot, unsigned int ms)
{
	return request_do(fd, slot, IOTARGET_TEST_WAIT, ms);
}

/* By the callbacks that the test module counts itself. */
int request_called_back(int fd, unsigned int slot, unsigned int count,
			unsigned int ms)
{
	struct iotarget_test_request arg = {
		.slot = slot, .op = IOTARGET_TEST_WAIT_CALLBACK,
		.timeout_ms = ms, .count = count,
	};

	return target_call(fd, IOTARGET_TEST_IOC_REQUEST, &arg, "(callback)",
			 FOREVER);
}

struct iotarget_test_query request_query(int fd, unsigned int slot)
{
	struct iotarget_test_query arg = { .slot = slot, .seed = SEED };

	target_call(fd, IOTARGET_TEST_IOC_QUERY, &arg, "(query)", FOREVER);
	return arg;
}

int load_start(int fd, struct iotarget_test_load_start *load)
{
	load->seed = SEED;
	return target_call(fd, IOTARGET_TEST_IOC_LOAD_START, load, "(load)",
			 FOREVER);
}

int load_stop(int fd, unsigned int ms, struct iotarget_test_load_stop *books)
{
	memset(books, 0, sizeof(*books));
	books->timeout_ms = ms;
	return target_call(fd, IOTARGET_TEST_IOC_LOAD_STOP, books, "(load)",
			 FOREVER);
}

int load_peek(int fd, struct iotarget_test_load_stop *books)
{
	memset(books, 0, sizeof(*books));
	books->peek = 1;
	return target_call(fd, IOTARGET_TEST_IOC_LOAD_STOP, books, "(load)",
			 FOREVER);
}

int module_books(struct iotarget_test_global *books)
{
	int fd = target_new(NULL, 0);
	int ret;

	if (fd < 0)
		return fd;
	memset(books, 0, sizeof(*books));
	ret = target_call(fd, IOTARGET_TEST_IOC_GLOBAL, books, "(books)",
			  FOREVER);
	close(fd);
	return ret;
}
