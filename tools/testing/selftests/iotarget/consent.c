// SPDX-License-Identifier: GPL-2.0-only
/*
 * A gate with a file system on it, on a USB stick that is asked for: what the tests of
 * those who agree and hold share.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "consent.h"
#include "removing.h"

#define NO_MODULE	"iotarget_test is not loaded, or this is not root"
#define NO_GATES	"iogate is not loaded, or this is not root"
#define FILE_LEN	(64 << 10)
#define EVENT_MS	LONG_MS

const char *consent_lacks(void)
{
	struct nl nl;

	if (!module_loaded())
		return NO_MODULE;
	if (!gates_loaded())
		return NO_GATES;
	if (nl_open(&nl))
		return "there is no netlink family iotarget";
	nl_close(&nl);
	return host_has(DISK);
}

int consent_gate(struct consent *c, const char *query, const char *seconds)
{
	return gate_new(GATE) ?: gate_set(GATE, "hold_seconds", seconds) ?:
	       gate_set(GATE, "query", query) ?:
	       gate_on(GATE, c->disk.path, c->node);
}

/* @make: a command that makes the file system, or NULL for a small one. */
int consent_make(struct consent *c, const char *query, const char *seconds,
		 const char *make)
{
	char command[192];
	int ret;

	c->dir = -1;
	c->users = users_now();
	c->made = true;
	/* Whoever uses a gate that holds waits: that is no alarm, up to a point. */
	c->hung_tasks = hung_tasks(60);
	gates_cleanup();
	ret = nl_open(&c->ask) ?: nl_listen(&c->ear) ?: disk_plug(&c->disk, DISK);
	if (ret)
		return ret;
	snprintf(command, sizeof(command), "%s %s >/dev/null 2>&1", make ?: "",
		 c->disk.path);
	ret = make ? system(command) : device_ext2(c->disk.path);
	ret = ret ?: consent_gate(c, query, seconds);
	if (ret)
		return ret;
	snprintf(c->where, sizeof(c->where), "/tmp/iotarget-consent-XXXXXX");
	if (!mkdtemp(c->where) || mount(c->node, c->where, "ext4", 0, NULL))
		return -errno;
	c->dir = open(c->where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->dir < 0 ? -errno : 0;
}

int consent_unmount(struct consent *c)
{
	if (c->dir < 0)
		return 0;
	close(c->dir);
	c->dir = -1;
	return umount(c->where) ? -errno : 0;
}

static int what_is_left(struct consent *c)
{
	if (!node_goes(c->node, LONG_MS) || !nobody_stuck())
		return -EBUSY;
	return users_back(&c->users) ? 0 : -EBUSY;
}

/* Nothing of it stays, and nobody waits. */
int consent_end_all(struct consent *c)
{
	int ret, gone;

	if (!c->made)
		return 0;
	ret = consent_unmount(c);
	rmdir(c->where);
	gate_remove(GATE);
	nl_close(&c->ask);
	nl_close(&c->ear);
	/* Whether the guest has let it go or not, for the host it is there. */
	host_ask("unplug", DISK);
	gone = consent_wait_gone(c);
	if (c->hung_tasks)
		hung_tasks(c->hung_tasks);
	return ret ?: gone ?: what_is_left(c);
}

/* Begin to ask whether the disk may go; 0 ms is what the kernel makes of it. */
int consent_begin(struct consent *c, unsigned int timeout_ms,
		  unsigned int expires_ms)
{
	struct nl_msg msg;
	struct stat st;

	if (stat(c->disk.path, &st))
		return -errno;
	nl_msg_init(&c->ask, &msg, IOTARGET_CMD_QUERY_REMOVE, 0);
	nl_put_u32(&msg, IOTARGET_A_VERB_MAJOR, major(st.st_rdev));
	nl_put_u32(&msg, IOTARGET_A_VERB_MINOR, minor(st.st_rdev));
	if (timeout_ms)
		nl_put_u32(&msg, IOTARGET_A_VERB_TIMEOUT_MS, timeout_ms);
	if (expires_ms)
		nl_put_u32(&msg, IOTARGET_A_VERB_EXPIRES_MS, expires_ms);
	return nl_ask(&c->ask, &msg, &c->cookie, NULL);
}

/* Its answer, 0 for a yes, which may come much later than it should. */
int consent_answer(struct consent *c)
{
	struct nl_event event;
	int ret;

	do {
		ret = nl_event(&c->ear, &event, EVENT_MS);
	} while (!ret && (event.cookie != c->cookie ||
			  (event.kind != IOTARGET_EVENT_KIND_QUERY_AGREED &&
			   event.kind != IOTARGET_EVENT_KIND_QUERY_REFUSED)));
	if (ret || event.kind == IOTARGET_EVENT_KIND_QUERY_AGREED)
		return ret;
	printf("# refused by %s: error %d\n", event.refused_name, event.error);
	return -EBUSY;
}

int consent_agree(struct consent *c, unsigned int expires_ms)
{
	return consent_begin(c, slow(ASK_MS), expires_ms) ?: consent_answer(c);
}

/* Why it is over, or a negative errno. */
int consent_ended(struct consent *c)
{
	struct nl_event event;
	int ret = nl_await(&c->ear, IOTARGET_EVENT_KIND_QUERY_ENDED, c->cookie,
			   &event, EVENT_MS);

	return ret ?: (int)event.why;
}

int consent_cancel(struct consent *c)
{
	struct nl_msg msg;

	nl_msg_init(&c->ask, &msg, IOTARGET_CMD_QUERY_CANCEL, 0);
	nl_put_u64(&msg, IOTARGET_A_VERB_COOKIE, c->cookie);
	return nl_ask(&c->ask, &msg, NULL, NULL);
}

int consent_remove_disk(void *arg)
{
	const struct consent *c = arg;
	struct above above;

	return device_above(c->disk.path, "remove", &above) ?:
	       remove_by_file(&above);
}

int consent_wait_gone(struct consent *c)
{
	return disk_wait_gone(&c->disk, slow(GONE_MS));
}

/* The same stick once more: it was only taken out of the guest. */
int consent_come_back(struct consent *c)
{
	return host_ask("unplug", DISK) ?: disk_plug(&c->disk, DISK);
}

/* Begun, and not on the disk yet. */
int consent_begin_file(int dir, char name)
{
	const char path[2] = { name };
	int fd = openat(dir, path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	char data[FILE_LEN];

	if (fd < 0)
		return -errno;
	memset(data, name, sizeof(data));
	if (write(fd, data, sizeof(data)) == sizeof(data))
		return fd;
	close(fd);
	return -EIO;
}

int consent_write_file(int dir, char name)
{
	int fd = consent_begin_file(dir, name);
	int ret = fd < 0 ? fd : 0;

	if (!ret && fsync(fd))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Read from the disk, not from the cache. */
int consent_file_is(int dir, char name)
{
	const char path[2] = { name };
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	char data[FILE_LEN];
	int ret = 0;
	size_t i;

	if (fd < 0)
		return -errno;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (read(fd, data, sizeof(data)) != sizeof(data))
		ret = -EIO;
	for (i = 0; !ret && i < sizeof(data); i++)
		ret = data[i] == name ? 0 : -EILSEQ;
	close(fd);
	return ret;
}

int consent_write_b(void *arg)
{
	return consent_write_file(((struct consent *)arg)->dir, 'b');
}

/* What may be lost, or what may have been; -1 if nobody tells. */
int64_t consent_loss(bool may_be)
{
	struct gate_loss loss;

	if (!gate_loss(GATE, &loss))
		return -1;
	return may_be ? loss.at_risk : loss.lost;
}

bool gate_holds_some(void)
{
	const uint64_t until = now_ms() + slow(GONE_MS);
	uint64_t held = 0, sent;

	while (!gate_inflight(GATE, &held, &sent) || !held) {
		if (now_ms() > until)
			return false;
		sleep_ms(5);
	}
	return true;
}

/* To be asked only where it is, or where a freeze finds nothing to wait for. */
bool fs_is_frozen(int dir)
{
	if (!ioctl(dir, FIFREEZE, 0)) {
		ioctl(dir, FITHAW, 0);
		return false;
	}
	return errno == EBUSY;
}

bool fs_becomes_thawed(int dir)
{
	const uint64_t until = now_ms() + LONG_MS;

	while (fs_is_frozen(dir)) {
		if (now_ms() > until)
			return false;
		sleep_ms(5);
	}
	return true;
}
