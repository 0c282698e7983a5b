/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices that fail on request: a device mapper table that is exchanged under
 * its users, a USB stick of this machine's own, scsi_debug and null_blk with
 * their switches.
 *
 * What returns an int returns 0 or a negative errno.
 */
#ifndef _IOTARGET_FAULTY_H
#define _IOTARGET_FAULTY_H

#include <stdbool.h>
#include <stdint.h>

#include "iotarget_test.h"

/* Device mapper: dm.c.  A device has one target, as long as itself. */
const char *dm_make(const char *name, const char *type, const char *params,
		    uint64_t bytes);
int dm_load(const char *name, const char *type, const char *params,
	    uint64_t bytes);
int dm_suspend(const char *name);
int dm_resume(const char *name);
int dm_swap(const char *name, const char *type, const char *params,
	    uint64_t bytes);
int dm_open_count(const char *name);
bool dm_unused(const char *name, unsigned int ms);
int dm_remove(const char *name);
bool dm_has(const char *type);

/* A USB stick: gadget.c.  There is one at most. */
#define GADGET_SERIAL	"IOTGADGET001"

bool gadget_possible(void);
const char *gadget_make(const char *lun);
int gadget_plug(bool in);
const char *gadget_disk(unsigned int ms);
bool gadget_gone(unsigned int ms);
int gadget_remove(void);

/* Something that may block, done by a thread meanwhile. */
struct meanwhile {
	int		(*act)(void *arg);
	void		*arg;
	int		ret;
	uint64_t	ms;		/* that it took */
	unsigned long	thread;
};

int meanwhile_begin(struct meanwhile *m, int (*act)(void *arg), void *arg);
int meanwhile_end(struct meanwhile *m);

long module_users(const char *module);
int target_end(int fd);

/* A load on a device with errors; all its requests together. */
#define FAULTY_THREADS	4
#define FAULTY_DEPTH	16

struct iotarget_test_load_start faulty_load(uint64_t span);
bool load_is_stuck(int fd);
int books_broken(const struct iotarget_test_load_stop *books);

#endif /* _IOTARGET_FAULTY_H */
