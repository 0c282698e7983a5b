// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gates, /dev/iogateN, made in configfs; and asynchronous I/O on their nodes.
 *
 * A gate made here goes when the program ends.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "gates.h"

#define OPEN_MS		6000	/* as in iogate.c, and to read a partition table */
#define REMOVE_MS	1000
#define MAX_REAP	64

bool gates_loaded(void)
{
	return !access(GATE_DIR, W_OK);
}

static void gate_dir(char *dir, size_t size, const char *name)
{
	snprintf(dir, size, GATE_DIR "/%s", name);
}

struct gate_call {
	const char	*name;
	const char	*attr;
	const char	*value;
};

static int do_set(void *arg)
{
	struct gate_call *call = arg;
	char dir[512];

	gate_dir(dir, sizeof(dir), call->name);
	return sysfs_put(dir, call->attr, call->value);
}

int gate_set(const char *name, const char *attr, const char *value)
{
	struct gate_call call = { name, attr, value };
	bool power = !strcmp(attr, "power");
	bool on = power && *value == '1';

	return timed_call(on ? "power on" : power ? "power off" :
			  "store of a gate", on ? OPEN_MS : power ? REMOVE_MS :
			  0, do_set, &call);
}

/* Without the end of the line. */
int gate_get(const char *name, const char *attr, char *value, size_t size)
{
	char path[640];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), GATE_DIR "/%s/%s", name, attr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, value, size - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return n;
	value[n] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return 0;
}

long gate_number(const char *name, const char *attr)
{
	char text[64];

	return gate_get(name, attr, text, sizeof(text)) ? -1 : atol(text);
}

bool gate_is(const char *name, const char *state)
{
	char text[64];

	return !gate_get(name, "state", text, sizeof(text)) &&
	       !strcmp(text, state);
}

bool gate_becomes(const char *name, const char *state, unsigned int ms)
{
	const uint64_t until = now_ms() + ms;

	while (!gate_is(name, state)) {
		if (now_ms() > until)
			return false;
		sleep_ms(5);
	}
	return true;
}

bool gate_inflight(const char *name, uint64_t *held, uint64_t *sent)
{
	unsigned long long h, s;
	char text[128];

	if (gate_get(name, "inflight", text, sizeof(text)) ||
	    sscanf(text, "%llu %llu", &h, &s) != 2)
		return false;
	*held = h;
	*sent = s;
	return true;
}

bool gate_loss(const char *name, struct gate_loss *loss)
{
	char text[128];

	return !gate_get(name, "loss", text, sizeof(text)) &&
	       sscanf(text, "%llu %llu %llu %llu %llu", &loss->away,
		      &loss->at_risk, &loss->lost, &loss->unknown,
		      &loss->replayed) == 5;
}

/* Does it find that its device is gone, or back? */
bool gate_is_away(const char *name, bool away, unsigned int ms)
{
	const uint64_t until = now_ms() + ms;
	struct gate_loss loss;

	for (;;) {
		if (gate_loss(name, &loss) && loss.away == away)
			return true;
		if (now_ms() > until)
			return false;
		sleep_ms(5);
	}
}

/* Does it come to hold so many? */
bool gate_holds(const char *name, uint64_t held, unsigned int ms)
{
	uint64_t until = now_ms() + ms;
	uint64_t now, sent;

	do {
		if (gate_inflight(name, &now, &sent) && now == held)
			return true;
		sleep_ms(5);
	} while (now_ms() < until);
	return false;
}

/* By force, so the order does not matter. */
void gates_cleanup(void)
{
	struct dirent *entry;
	DIR *dir = opendir(GATE_DIR);

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, GATE_PREFIX, strlen(GATE_PREFIX)))
			gate_remove(entry->d_name);
	closedir(dir);
}

int gate_new(const char *name)
{
	char dir[512];

	gate_dir(dir, sizeof(dir), name);
	return mkdir(dir, 0700) ? -errno : 0;
}

/* Power on over the device; the path has room for DEVICE_PATH. */
int gate_on(const char *name, const char *device, char *path)
{
	int ret;

	ret = gate_set(name, "device", device);
	if (!ret)
		ret = gate_set(name, "power", "1");
	if (ret)
		return ret;
	snprintf(path, DEVICE_PATH, "/dev/iogate%ld",
		 gate_number(name, "index"));
	return node_appears(path, 2000) ? 0 : -ENOENT;
}

/* Somebody who looks at every new disk may have it open for a moment. */
int gate_off(const char *name)
{
	uint64_t until = now_ms() + 2000;
	int ret;

	do {
		ret = gate_set(name, "power", "0");
		if (ret != -EBUSY)
			break;
		sleep_ms(20);
	} while (now_ms() < until);
	return ret;
}

static int do_remove(void *arg)
{
	return rmdir(arg) ? -errno : 0;
}

int gate_remove(const char *name)
{
	char dir[512];

	gate_dir(dir, sizeof(dir), name);
	if (access(dir, F_OK))
		return -ENOENT;
	return timed_call("rmdir of a gate", REMOVE_MS, do_remove, dir);
}

bool node_goes(const char *path, unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	do {
		if (access(path, F_OK))
			return true;
		sleep_ms(5);
	} while (now_ms() < until);
	return false;
}

/* -- asynchronous I/O ------------------------------------------------------ */

int aio_begin(struct aio *aio, unsigned int depth)
{
	aio_context_t context = 0;

	aio->out = 0;
	if (syscall(SYS_io_setup, depth, &context))
		return -errno;
	aio->context = context;
	return 0;
}

/* The submissions are numbered from 0. */
int aio_send(struct aio *aio, int fd, bool write, void *data, size_t len,
	     uint64_t pos)
{
	struct iocb iocb = {
		.aio_data = aio->out,
		.aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		.aio_fildes = fd,
		.aio_buf = (uintptr_t)data,
		.aio_nbytes = len,
		.aio_offset = pos,
	};
	struct iocb *list = &iocb;

	if (syscall(SYS_io_submit, aio->context, 1, &list) != 1)
		return -errno;
	aio->out++;
	return 0;
}

/*
 * Wait for so many; the results go to their numbers.  How many came in time is
 * returned.
 */
int aio_reap(struct aio *aio, unsigned int nr, unsigned int ms, int64_t *result)
{
	struct io_event events[MAX_REAP];
	struct timespec wait = {
		.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L,
	};
	long n, i;

	n = syscall(SYS_io_getevents, aio->context, nr, MAX_REAP, events,
		    &wait);
	for (i = 0; i < n; i++)
		if (result)
			result[events[i].data] = events[i].res;
	return n < 0 ? -errno : n;
}

void aio_end(struct aio *aio)
{
	syscall(SYS_io_destroy, aio->context);
}
