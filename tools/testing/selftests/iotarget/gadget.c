// SPDX-License-Identifier: GPL-2.0-only
/*
 * A USB stick that this machine is itself: the mass storage function of a USB
 * gadget, made in configfs, on the far end of dummy_hcd.  The near end is
 * usb-storage, which sees a stick that can be pulled, and that answers what
 * the device behind its unit does.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faulty.h"
#include "util.h"

#define DIR_GADGET	"/sys/kernel/config/usb_gadget/iott"
#define DIR_STRINGS	DIR_GADGET "/strings/0x409"
#define DIR_CONFIG	DIR_GADGET "/configs/c.1"
#define DIR_FUNCTION	DIR_GADGET "/functions/mass_storage.0"
#define LINK_FUNCTION	DIR_CONFIG "/mass_storage.0"
#define DIR_HOST	"/sys/devices/platform/dummy_hcd.0"
#define CONTROLLER	"dummy_udc.0"
#define STORAGE		"/sys/module/usb_storage/parameters"

static const char *no(const char *what)
{
	device_lacks(what, errno);
	return NULL;
}

static bool put(const char *dir, const char *file, const char *value)
{
	int ret = sysfs_put(dir, file, value);

	errno = -ret;
	return !ret;
}

static bool directory(const char *path)
{
	return !mkdir(path, 0700) || errno == EEXIST;
}

int gadget_plug(bool in)
{
	return sysfs_put(DIR_GADGET, "UDC", in ? CONTROLLER : "\n");
}

bool gadget_possible(void)
{
	if (access("/sys/class/udc/" CONTROLLER, F_OK))
		return no("dummy_hcd");
	if (access("/sys/kernel/config/usb_gadget", F_OK))
		return no("USB gadgets in configfs");
	if (access("/sys/module/usb_f_mass_storage", F_OK))
		return no("mass storage gadget");
	return true;
}

/* A stick whose contents are a block device; put in by gadget_plug(). */
const char *gadget_make(const char *lun)
{
	if (!directory(DIR_GADGET) || !directory(DIR_FUNCTION) ||
	    !directory(DIR_STRINGS) || !directory(DIR_CONFIG) ||
	    !put(DIR_GADGET, "idVendor", "0x1d6b") ||
	    !put(DIR_GADGET, "idProduct", "0x0104") ||
	    !put(DIR_STRINGS, "serialnumber", GADGET_SERIAL) ||
	    !put(DIR_FUNCTION, "lun.0/file", lun) ||
	    (symlink(DIR_FUNCTION, LINK_FUNCTION) && errno != EEXIST))
		return no("gadget");
	/* Nobody has to let go of the stick before it is looked at. */
	put(STORAGE, "delay_use", "0");
	return lun;
}

/* The stick's disk, as its host knows it. */
static bool find_disk(char *path, size_t size)
{
	glob_t found = {};
	bool ok;

	ok = !glob(DIR_HOST "/usb*/*-1/*/host*/target*/*/block/*", 0, NULL,
		   &found);
	if (ok)
		snprintf(path, size, "/dev/%s",
			 strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	return ok;
}

const char *gadget_disk(unsigned int ms)
{
	uint64_t until = now_ms() + ms;
	static char path[64];

	do {
		if (find_disk(path, sizeof(path)) && node_appears(path, 100) &&
		    device_size(path) > 0)
			return path;
		sleep_ms(20);
	} while (now_ms() < until);
	errno = ENODEV;
	return no("gadget's disk");
}

bool gadget_gone(unsigned int ms)
{
	uint64_t until = now_ms() + ms;
	char path[64];

	while (find_disk(path, sizeof(path))) {
		if (now_ms() > until)
			return false;
		sleep_ms(5);
	}
	return true;
}

int gadget_remove(void)
{
	if (access(DIR_GADGET, F_OK))
		return 0;
	gadget_plug(false);
	put(STORAGE, "delay_use", "1");
	unlink(LINK_FUNCTION);
	rmdir(DIR_CONFIG);
	rmdir(DIR_FUNCTION);
	rmdir(DIR_STRINGS);
	return rmdir(DIR_GADGET) ? -errno : 0;
}

static void gadget_cleanup(void)
{
	gadget_remove();
}

/* The gadget has the device mapper's device open, and goes first. */
__attribute__((constructor(103))) static void begin(void)
{
	atexit(gadget_cleanup);
}
