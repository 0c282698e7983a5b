// SPDX-License-Identifier: GPL-2.0-only
/*
 * eject: ask all who use a device whether it may go, and have it removed if they agree.
 *
 * Whoever agreed waits for the device to go; the kernel cancels that when this process
 * ends before, however it ends, so that nobody is left without a device that is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tool.h"

#define DEADLINE_MS	10000
#define EXPIRES_MS	120000	/* if this process hangs; else it ends with it */
#define BACK_MS		30000	/* for those who agreed to be back, beyond the deadline */
#define GONE_MS		60000

/* A disk, and the device by which it is removed. */
struct place {
	unsigned int	major, minor;
	char		disk[64];
	const char	*bus;
	char		name[64];
	char		dir[PATH_MAX];
	const char	*file;
	int		fd;		/* its file, open: of this device, and of no later one */
};

struct query {
	struct client	*client;
	struct place	*place;
	bool		json, dry_run;
	bool		agreed, refused, ended;
	struct event	event;		/* the last of these */
};

/* -- what is to go ---------------------------------------------------------- */

static bool has(const char *dir, const char *file)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return !access(path, F_OK);
}

static bool is_on_bus(const char *dir, const char *bus)
{
	char path[PATH_MAX + 32], to[PATH_MAX];
	const char *name;
	ssize_t len;

	snprintf(path, sizeof(path), "%s/subsystem", dir);
	len = readlink(path, to, sizeof(to) - 1);
	if (len < 0)
		return false;
	to[len] = 0;
	name = strrchr(to, '/');
	return name && !strcmp(name + 1, bus);
}

static bool read_number(const char *dir, struct place *place)
{
	char path[PATH_MAX + 32];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/dev", dir);
	f = fopen(path, "re");
	ok = f && fscanf(f, "%u:%u", &place->major, &place->minor) == 2;
	if (f)
		fclose(f);
	return ok;
}

static bool up(char *dir)
{
	char *end = strrchr(dir, '/');

	if (!end || end == dir)
		return false;
	*end = 0;
	return true;
}

/* By a node or by its name; a partition stands for its disk. */
static int find_disk(const char *device, struct place *place)
{
	char link[PATH_MAX], dir[PATH_MAX];
	struct stat st;

	if (!strchr(device, '/')) {
		snprintf(link, sizeof(link), "/sys/class/block/%s", device);
	} else if (stat(device, &st)) {
		complain("%s: %s", device, strerror(errno));
		return errno == EACCES ? EXIT_NOT_ALLOWED : EXIT_NOT_THERE;
	} else if (S_ISBLK(st.st_mode)) {
		snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(st.st_rdev),
			 minor(st.st_rdev));
	} else {
		complain("%s: not a block device", device);
		return EXIT_REFUSED;
	}
	if (!realpath(link, dir) || (has(dir, "partition") && !up(dir)) ||
	    !read_number(dir, place)) {
		complain("%s: there is no such disk", device);
		return EXIT_NOT_THERE;
	}
	snprintf(place->disk, sizeof(place->disk), "%.60s", strrchr(dir, '/') + 1);
	return EXIT_DONE;
}

/*
 * A disk on USB goes with its device, whatever else that is; one on SCSI by itself, as the
 * adapter has others; NVMe and virtio are functions of PCI.
 */
static int find_above(struct place *place)
{
	static const struct {
		const char	*bus, *file;
	} ways[] = {
		{ "usb", "remove" }, { "scsi", "delete" }, { "pci", "remove" },
	};
	char link[64], dir[PATH_MAX];
	unsigned int i;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u/device", place->major, place->minor);
	for (i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (!realpath(link, dir))
			break;
		do {
			if (!has(dir, ways[i].file) || !is_on_bus(dir, ways[i].bus))
				continue;
			place->bus = ways[i].bus;
			snprintf(place->name, sizeof(place->name), "%.60s", strrchr(dir, '/') + 1);
			snprintf(place->dir, sizeof(place->dir), "%s", dir);
			place->file = ways[i].file;
			return EXIT_DONE;
		} while (up(dir));
	}
	complain("%s: it hangs on nothing that could be removed", place->disk);
	return EXIT_REFUSED;
}

/* Before anybody is asked: what is in this place then may be another one. */
static int open_removal(struct place *place)
{
	char path[PATH_MAX + 32];
	int error;

	snprintf(path, sizeof(path), "%s/%s", place->dir, place->file);
	place->fd = open(path, O_WRONLY | O_CLOEXEC);
	if (place->fd >= 0)
		return EXIT_DONE;
	error = errno;
	complain("%s: %s", path, strerror(error));
	return error == EACCES || error == EPERM ? EXIT_NOT_ALLOWED :
	       error == ENOENT ? EXIT_NOT_THERE : EXIT_REFUSED;
}

/* 0 or an errno; returns when the device is gone, or can't be removed. */
static int remove_device(const struct place *place)
{
	return write(place->fd, "1", 1) == 1 ? 0 : errno ?: EIO;
}

/* -- what came of it -------------------------------------------------------- */

static void begin_result(const struct query *q, const char *result)
{
	char text[128];

	j_open("{");
	j_text("disk", q->place->disk);
	snprintf(text, sizeof(text), "%s:%s", q->place->bus, q->place->name);
	j_text("device", text);
	j_text("result", result);
	if (q->client->cookie)
		j_number("cookie", q->client->cookie);
}

static void end_result(void)
{
	j_close("}");
	putchar('\n');
}

static int done(const struct query *q, const char *result, const char *text)
{
	if (q->json) {
		begin_result(q, result);
		end_result();
	} else {
		printf("%s: %s\n", q->place->disk, text);
	}
	return EXIT_DONE;
}

static int failed(const struct query *q, const char *result, int status, const char *why)
{
	if (q->json) {
		begin_result(q, result);
		j_text("message", why);
		end_result();
	}
	complain("%s: %s", q->place->disk, why);
	return status;
}

static void tell_user(void *context, const struct user *user)
{
	const struct query *q = context;
	char text[PATH_MAX];

	if (q->json) {
		j_next("{");
		j_text("kind", user->kind);
		j_text("device", user->device);
		j_text("name", user->name);
		if (user->pid)
			j_number("pid", user->pid);
		j_close("}");
	}
	if (!strcmp(user->kind, "mount"))
		snprintf(text, sizeof(text), "%s is mounted on %s", user->device, user->name);
	else if (!strcmp(user->kind, "swap"))
		snprintf(text, sizeof(text), "%s is swapped to", user->device);
	else if (!strcmp(user->kind, "holder"))
		snprintf(text, sizeof(text), "%s is used by %s", user->device, user->name);
	else
		snprintf(text, sizeof(text), "%s is open in %s[%u]", user->device, user->name,
			 user->pid);
	complain("%s: %s", q->place->disk, plain(text));
}

/* The kernel knows the device; who it is that uses it has to be looked for. */
static void tell_users(struct query *q)
{
	const struct event *e = &q->event;

	if (find_users(e->refused_major, e->refused_minor, tell_user, q))
		return;
	complain("%s: somebody %s %s", q->place->disk,
		 e->refused_by == IOTARGET_REFUSER_CLAIM ? "has claimed" : "has opened",
		 plain(e->refused_name));
}

static int tell_refused(struct query *q)
{
	const struct event *e = &q->event;

	if (q->json) {
		begin_result(q, "refused");
		if (e->refused_by) {
			j_text("refused_by", refuser_name(e->refused_by));
			j_text("refused_name", e->refused_name);
		}
		j_number("error", e->error);
		if (*e->message)
			j_text("message", e->message);
		j_key("users");
		j_open("[");
	}
	if (e->refused_by == IOTARGET_REFUSER_TARGET)
		complain("%s: the target %s refuses: %s", q->place->disk, plain(e->refused_name),
			 *e->message ? e->message : strerror(e->error));
	else if (e->refused_by == IOTARGET_REFUSER_QUERY)
		complain("%s: somebody else is ejecting %s", q->place->disk,
			 plain(e->refused_name));
	else if (e->refused_by)
		tell_users(q);
	else
		complain("%s: %s", q->place->disk, *e->message ? e->message : strerror(e->error));
	if (q->json) {
		j_close("]");
		end_result();
	}
	return EXIT_REFUSED;
}

static int tell_ended(struct query *q)
{
	char text[64];

	if (q->event.why == IOTARGET_WHY_GONE)
		return done(q, "gone", "gone");
	snprintf(text, sizeof(text), "it stays: %s", why_name(q->event.why));
	return failed(q, why_name(q->event.why), EXIT_REFUSED, text);
}

/* -- asking ----------------------------------------------------------------- */

static void on_event(void *context, const struct event *event)
{
	struct query *q = context;

	if (!q->client->cookie || event->cookie != q->client->cookie)
		return;
	if (event->kind == IOTARGET_EVENT_KIND_QUERY_AGREED)
		q->agreed = true;
	else if (event->kind == IOTARGET_EVENT_KIND_QUERY_REFUSED)
		q->refused = true;
	else if (event->kind == IOTARGET_EVENT_KIND_QUERY_ENDED)
		q->ended = true;
	else
		return;
	q->event = *event;
}

static bool over(const struct query *q)
{
	return q->refused || q->ended || (q->dry_run && q->agreed);
}

static int ask(struct query *q, const struct options *o)
{
	char buf[MNL_NLMSG_HDRLEN + 512], above[128];
	struct nlmsghdr *message = client_message(q->client, buf, IOTARGET_CMD_QUERY_REMOVE, 0);

	snprintf(above, sizeof(above), "%s:%s", q->place->bus, q->place->name);
	mnl_attr_put_u32(message, IOTARGET_A_VERB_MAJOR, q->place->major);
	mnl_attr_put_u32(message, IOTARGET_A_VERB_MINOR, q->place->minor);
	mnl_attr_put_strz(message, IOTARGET_A_VERB_ANCESTOR, above);
	mnl_attr_put_u32(message, IOTARGET_A_VERB_TIMEOUT_MS, o->deadline_ms ?: DEADLINE_MS);
	mnl_attr_put_u32(message, IOTARGET_A_VERB_EXPIRES_MS, EXPIRES_MS);
	mnl_attr_put(message, IOTARGET_A_VERB_HOLD, 0, NULL);
	if (o->dry_run)
		mnl_attr_put(message, IOTARGET_A_VERB_DRY_RUN, 0, NULL);
	return client_ask(q->client, message);
}

static void cancel(struct query *q)
{
	char buf[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *message = client_message(q->client, buf, IOTARGET_CMD_QUERY_CANCEL, 0);

	mnl_attr_put_u64(message, IOTARGET_A_VERB_COOKIE, q->client->cookie);
	client_ask(q->client, message);
}

/* Until its end or, if wanted, an agreement; or that time; or a signal, if heeded. */
static int await(struct query *q, unsigned int ms, bool agreed_is_enough, bool heed)
{
	const uint64_t end = now_ms() + ms;
	int ret = 0;

	while (ret >= 0 && !over(q) && !(agreed_is_enough && q->agreed) && now_ms() < end &&
	       !(heed && told_to_end()))
		ret = client_wait(q->client, 200);
	return ret < 0 ? ret : 0;
}

/* Nothing was removed: those who agreed get their devices back, before this returns. */
static int give_up(struct query *q, int status, const char *why)
{
	/* After a signal no answer is waited for, but it was sent. */
	if (!over(q))
		cancel(q);
	await(q, BACK_MS, false, false);
	/* It may have gone in the last moment. */
	if (q->ended && q->event.why == IOTARGET_WHY_GONE)
		return tell_ended(q);
	return failed(q, "canceled", status, why);
}

static bool there(const struct place *place)
{
	return has(place->dir, place->file);
}

static int carry_out(struct query *q)
{
	char why[PATH_MAX + 128];
	int error;

	/* What was agreed to may be over, if we were held up. */
	do
		error = client_wait(q->client, 0);
	while (error > 0 && !over(q));
	if (over(q))
		return tell_ended(q);
	if (error < 0 || q->client->overrun)
		return give_up(q, EXIT_LOST, "what came of the agreement was lost");
	error = remove_device(q->place);
	if (error && there(q->place)) {
		snprintf(why, sizeof(why), "%s/%s: %s", q->place->dir, q->place->file,
			 strerror(error));
		return give_up(q, EXIT_REFUSED, why);
	}
	error = await(q, GONE_MS, false, true);
	if (over(q))
		return tell_ended(q);
	/* The event may have been lost. */
	if (!there(q->place))
		return done(q, "gone", "gone");
	return give_up(q, EXIT_LOST, error ? strerror(-error) : "it was removed, and does not go");
}

static int eject(struct query *q, const struct options *o)
{
	int ret;

	ret = client_join(q->client);
	if (ret)
		return refused(q->client, "events", ret);
	ret = ask(q, o);
	/* After a signal it was not waited for, but came when the question was sent. */
	if (ret && q->client->unanswered && !q->client->cookie)
		client_wait(q->client, 0);
	/* With the cookie it was accepted; just its acknowledgment was lost. */
	if (ret && !(q->client->unanswered && q->client->cookie))
		return refused(q->client, q->place->disk, ret);
	ret = await(q, (o->deadline_ms ?: DEADLINE_MS) + BACK_MS, true, true);
	if (q->refused)
		return tell_refused(q);
	if (q->ended)
		return tell_ended(q);
	if (told_to_end())
		return give_up(q, EXIT_REFUSED, "interrupted; it stays");
	if (!q->agreed)
		return give_up(q, EXIT_LOST, ret ? strerror(-ret) : "the answer was lost");
	if (o->dry_run)
		return done(q, "agreed", "all agree that it may go");
	return carry_out(q);
}

int verb_eject(const struct options *o)
{
	static struct place place;
	struct client client = { };
	struct query q = {
		.client = &client, .place = &place, .json = o->json, .dry_run = o->dry_run,
	};
	int ret;

	ret = find_disk(o->args[0], &place) ?: find_above(&place);
	if (!ret && !o->dry_run)
		ret = open_removal(&place) ?: lock_memory();
	if (ret)
		return ret;
	catch_signals();
	ret = client_open(&client);
	if (ret)
		return ret;
	client.on_event = on_event;
	client.event_context = &q;
	ret = eject(&q, o);
	if (!o->dry_run)
		close(place.fd);
	client_close(&client);
	return ret;
}
