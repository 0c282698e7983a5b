// SPDX-License-Identifier: GPL-2.0-only
/*
 * attach and detach: an iogate is a folder in configfs, with the attributes
 * "device" and "power".
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

#define FOLDER	"/sys/kernel/config/iogate"

static int status_of(int error)
{
	if (error == EACCES || error == EPERM)
		return EXIT_NOT_ALLOWED;
	return error == ENOENT ? EXIT_NOT_THERE : EXIT_REFUSED;
}

static bool folder_there(void)
{
	if (!access(FOLDER, F_OK))
		return true;
	if (access("/sys/kernel/config", F_OK))
		complain("configfs is not there: mount -t configfs none /sys/kernel/config");
	else
		complain("the kernel has no gates: is the module loaded? (modprobe iogate)");
	return false;
}

static bool name_ok(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	const size_t len = strlen(name);

	if (len && len <= NAME_MAX_BYTES && strspn(name, allowed) == len)
		return true;
	complain("%s: a name is 1 to 31 of a-z, 0-9, _ and -", name);
	return false;
}

/* 0 or an errno. */
static int store(const char *name, const char *attr, const char *value)
{
	char path[PATH_MAX];
	ssize_t len = strlen(value);
	int fd, error = 0;

	snprintf(path, sizeof(path), FOLDER "/%s/%s", name, attr);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, value, len) != len)
		error = errno ?: EIO;
	close(fd);
	return error;
}

int verb_attach(const struct options *o)
{
	const char *device = o->args[0], *name = o->args[1];
	char path[PATH_MAX], real[PATH_MAX];
	int error;

	if (!name_ok(name))
		return EXIT_USAGE;
	if (!folder_there())
		return EXIT_NOT_THERE;
	if (!realpath(device, real)) {
		complain("%s: %s", device, strerror(errno));
		return status_of(errno);
	}
	snprintf(path, sizeof(path), FOLDER "/%s", name);
	if (mkdir(path, 0755)) {
		complain("%s: %s", name, errno == EEXIST ? "there is one of that name" :
			 strerror(errno));
		return status_of(errno);
	}
	error = store(name, "device", real);
	if (error)
		complain("%s: %s", device, strerror(error));
	if (!error) {
		error = store(name, "power", "1");
		if (error)
			complain("%s: %s%s", device, strerror(error), error == EBUSY ?
				 " (mounted, or claimed by another driver?)" : "");
	}
	if (error) {
		rmdir(path);
		return status_of(error);
	}
	if (!o->json)
		printf("%s: a gate in front of %s\n", name, real);
	return EXIT_DONE;
}

int verb_detach(const struct options *o)
{
	const char *name = o->args[0];
	char path[PATH_MAX];
	int error = 0;

	if (!name_ok(name))
		return EXIT_USAGE;
	if (!folder_there())
		return EXIT_NOT_THERE;
	if (!o->force)
		error = store(name, "power", "0");
	if (error) {
		complain("%s: %s", name, error == EBUSY ?
			 "in use; --force takes it away all the same" :
			 error == ENOENT ? "there is no such gate" : strerror(error));
		return status_of(error);
	}
	snprintf(path, sizeof(path), FOLDER "/%s", name);
	if (rmdir(path)) {
		complain("%s: %s", name, errno == ENOENT ? "there is no such gate" :
			 strerror(errno));
		return status_of(errno);
	}
	return EXIT_DONE;
}
