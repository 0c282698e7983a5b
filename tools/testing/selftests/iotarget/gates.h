/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Gates, /dev/iogateN, and asynchronous I/O: gates.c.
 *
 * What returns an int returns 0 or a negative errno.
 */
#ifndef _IOTARGET_GATES_H
#define _IOTARGET_GATES_H

#include "util.h"

#define GATE_DIR	"/sys/kernel/config/iogate"
#define GATE_PREFIX	"iott-"

/* The attribute "loss". */
struct gate_loss {
	unsigned long long away, at_risk, lost, unknown, replayed;
};

bool gates_loaded(void);
void gates_cleanup(void);
int gate_new(const char *name);
int gate_set(const char *name, const char *attr, const char *value);
int gate_get(const char *name, const char *attr, char *value, size_t size);
long gate_number(const char *name, const char *attr);
bool gate_is(const char *name, const char *state);
bool gate_becomes(const char *name, const char *state, unsigned int ms);
bool gate_inflight(const char *name, uint64_t *held, uint64_t *sent);
bool gate_loss(const char *name, struct gate_loss *loss);
bool gate_is_away(const char *name, bool away, unsigned int ms);
bool gate_holds(const char *name, uint64_t held, unsigned int ms);
int gate_on(const char *name, const char *device, char *path);
int gate_off(const char *name);
int gate_remove(const char *name);
bool node_goes(const char *path, unsigned int ms);

struct aio {
	unsigned long	context;
	unsigned int	out;
};

int aio_begin(struct aio *aio, unsigned int depth);
int aio_send(struct aio *aio, int fd, bool write, void *data, size_t len,
	     uint64_t pos);
int aio_reap(struct aio *aio, unsigned int nr, unsigned int ms, int64_t *result);
void aio_end(struct aio *aio);

#endif /* _IOTARGET_GATES_H */
