// SPDX-License-Identifier: GPL-2.0-only
/*
 * takes: is a device that has just come a target's?
 *
 * For the rule of udev that keeps others from it.  A target that waits for its device
 * looks at each disk that comes, which takes a moment; so this waits, for a limited time,
 * until a target has the device open, or none waits for one any more.  It asks only:
 * nothing is opened.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tool.h"

#define DEFAULT_MS	3000
#define LOOK_MS		200	/* again, if no event has told of it */

/* A disk or partition that has come. */
struct device {
	uint32_t	major, minor;
	bool		partition;
	char		disk[TEXT_BYTES];
};

struct looking {
	const struct device *device;
	bool		taken, waiting;
	char		name[TEXT_BYTES];
};

static bool find_device(const char *node, struct device *device)
{
	char link[64], dir[PATH_MAX], file[PATH_MAX + 16];
	struct stat st;
	char *end;

	if (stat(node, &st) || !S_ISBLK(st.st_mode))
		return false;
	device->major = major(st.st_rdev);
	device->minor = minor(st.st_rdev);
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", device->major, device->minor);
	if (!realpath(link, dir))
		return false;
	snprintf(file, sizeof(file), "%s/partition", dir);
	device->partition = !access(file, F_OK);
	end = strrchr(dir, '/');
	if (device->partition) {
		*end = 0;
		end = strrchr(dir, '/');
	}
	snprintf(device->disk, sizeof(device->disk), "%.60s", end + 1);
	return true;
}

/* The device itself, or all of the disk that it is a partition of. */
static bool has_it(const struct target *t, const struct device *device)
{
	if (!t->access || t->away)
		return false;
	if (t->major == device->major && t->minor == device->minor)
		return true;
	return device->partition && !t->partition && !strcmp(t->disk, device->disk);
}

static void look_at(void *context, const struct target *target)
{
	struct looking *l = context;

	l->waiting |= target->away;
	if (has_it(target, l->device)) {
		l->taken = true;
		memcpy(l->name, target->name, sizeof(l->name));
	}
}

/* All targets; while they are asked for, events may be passed over. */
static int look(struct client *client, struct looking *l)
{
	char buf[MNL_NLMSG_HDRLEN + 64];

	l->taken = false;
	l->waiting = false;
	client->on_target = look_at;
	client->target_context = l;
	return client_ask(client, client_message(client, buf, IOTARGET_CMD_GET, NLM_F_DUMP));
}

static int look_until(struct client *client, struct looking *l, unsigned int ms)
{
	const uint64_t end = now_ms() + ms;
	uint64_t now;
	int ret;

	for (;;) {
		ret = look(client, l);
		now = now_ms();
		if (ret || l->taken || !l->waiting || now >= end || told_to_end())
			return ret;
		/* Whatever is told of, or has changed unheard. */
		ret = client_wait(client, end - now < LOOK_MS ? end - now : LOOK_MS);
		if (ret < 0)
			return ret;
	}
}

static void print(const struct options *o, const struct looking *l)
{
	char number[32];

	if (!o->json && l->taken)
		printf("%s: taken by %s\n", o->args[0], plain(l->name));
	else if (!o->json)
		printf("%s: no target takes it\n", o->args[0]);
	if (!o->json)
		return;
	snprintf(number, sizeof(number), "%u:%u", l->device->major, l->device->minor);
	j_open("{");
	j_text("device", number);
	j_bool("taken", l->taken);
	if (l->taken)
		j_text("target", l->name);
	j_close("}");
	putchar('\n');
}

int verb_takes(const struct options *o)
{
	struct device device;
	struct looking l = { .device = &device };
	struct client client = { };
	int ret;

	if (!find_device(o->args[0], &device)) {
		complain("%s: there is no such block device", o->args[0]);
		return EXIT_NOT_THERE;
	}
	catch_signals();
	ret = client_open(&client);
	if (ret)
		return ret;
	ret = client_join(&client);
	if (!ret)
		ret = look_until(&client, &l, o->has_timeout ? o->timeout_ms : DEFAULT_MS);
	if (ret) {
		ret = refused(&client, o->args[0], ret);
	} else {
		print(o, &l);
		ret = l.taken ? EXIT_DONE : EXIT_REFUSED;
	}
	client_close(&client);
	return ret;
}
