/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the selftests of I/O targets share: one function for each call of the
 * API, made through iotarget_test.ko; devices to try it on; and the measure of
 * how late each call was.
 *
 * A function that stands for a call returns what the call returned, a negative
 * errno on failure.  -NO_CALL - errno says that the call was never made, which
 * no test expects.
 */
#ifndef _IOTARGET_UTIL_H
#define _IOTARGET_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "iotarget_test.h"

#define NO_CALL			10000
#define FOREVER			0xffffffffU
#define MAX_TIMEOUT_MS		(24U * 60 * 60 * 1000)
#define SEED			0x10a26e7ULL
#define SECTOR			512
#define MIB			(1024 * 1024)
#define LONG_MS			20000	/* enough for anything but a hang */
#define DEVICE_PATH		96	/* bytes of a path in a fixture */

/* As in include/linux/iotarget.h, which user space cannot include. */
#define ACCESS_READ		0x1
#define ACCESS_WRITE		0x2
#define ACCESS_BOTH		0x3
#define SHARE_READ		0x1
#define SHARE_WRITE		0x2
#define SHARE_BOTH		0x3

enum {
	UNDEFINED,
	STARTED,
	STOPPED,
	CLOSED_FOR_QUERY_REMOVE,
	CLOSED,
	DELETED,
	PURGED,
};

enum { OUTCOME_NONE, DONE, NEVER_SENT, UNKNOWN };
enum { CANCEL_SENT = 1, WAIT_FOR_SENT, LEAVE_SENT_PENDING };
enum { PURGE_AND_WAIT = 1, PURGE_NO_WAIT };
enum { OPEN_PATH = 1, OPEN_DEVT, OPEN_FILE, OPEN_REOPEN };

#define SEND_TIMEOUT		0x01
#define SEND_SYNCHRONOUS	0x02
#define SEND_IGNORE_STATE	0x04
#define SEND_AND_FORGET		0x08
#define SEND_ATOMIC		0x10
#define SEND_DEADLINE		0x20
#define SEND_NOWAIT		0x40
#define SEND_WAIT_FOREVER	0x80

/* Targets: target.c. */
bool module_loaded(void);
int target_call(int fd, unsigned long ioc, void *arg, const char *call,
		unsigned int ms);
int target_new(const char *name, unsigned int limbo_bytes);
int target_open_raw(int fd, struct iotarget_test_open *arg);
int target_open(int fd, const char *path, unsigned int access,
		unsigned int share);
int target_opened(const char *name, const char *path);
int target_reopen(int fd);
int target_control(int fd, struct iotarget_test_control *arg);
int target_start(int fd);
int target_start_and_wait(int fd, unsigned int ms, struct iotarget_test_report *report);
int target_stop(int fd, unsigned int action, unsigned int ms,
		struct iotarget_test_report *report);
int target_purge(int fd, unsigned int action, unsigned int ms,
		 struct iotarget_test_report *report);
int target_close(int fd, unsigned int ms, struct iotarget_test_report *report);
int target_close_query(int fd, unsigned int ms, struct iotarget_test_report *report);
int target_delete(int fd, unsigned int ms, struct iotarget_test_report *report);
int target_state(int fd);
int target_info(int fd, struct iotarget_test_info *info);
const char *state_name(unsigned int state);
int target_transfer(int fd, struct iotarget_test_transfer *arg);
int target_read(int fd, uint64_t pos, uint64_t len, unsigned int ms,
		struct iotarget_test_transfer *out);
int target_write(int fd, uint64_t pos, uint64_t len, unsigned int ms,
		 struct iotarget_test_transfer *out);
int target_flush(int fd, unsigned int ms, struct iotarget_test_transfer *out);
int target_negative(int fd, unsigned int number);
int request_format(int fd, struct iotarget_test_format *arg);
int request_read(int fd, unsigned int slot, uint64_t pos, uint64_t len);
int request_write(int fd, unsigned int slot, uint64_t pos, uint64_t len);
int request_flush(int fd, unsigned int slot);
int request_send_raw(int fd, struct iotarget_test_send *arg);
int request_send(int fd, unsigned int slot, unsigned int flags,
		 unsigned int ms);
int request_do(int fd, unsigned int slot, unsigned int op, unsigned int ms);
int request_cancel(int fd, unsigned int slot);
int request_wait(int fd, unsigned int slot, unsigned int ms);
int request_called_back(int fd, unsigned int slot, unsigned int count,
			unsigned int ms);
struct iotarget_test_query request_query(int fd, unsigned int slot);
int load_start(int fd, struct iotarget_test_load_start *load);
int load_stop(int fd, unsigned int ms, struct iotarget_test_load_stop *books);
int load_peek(int fd, struct iotarget_test_load_stop *books);
int module_books(struct iotarget_test_global *books);
int timed_call(const char *call, unsigned int ms, int (*fn)(void *arg),
	       void *arg);
void late_calls_excused(bool excused);
int late_calls(void);
void call_begins(void);
void call_ended(const char *call, unsigned int ms);
unsigned int cycles(void);
uint64_t now_ms(void);
void sleep_ms(unsigned int ms);

/* Loads: load.c. */
bool load_runs(int fd, uint64_t more);
void load_show(const struct iotarget_test_load_stop *books);

/* Places in the stat file of a disk: device_stat(). */
enum {
	STAT_READS		= 0,
	STAT_READ_SECTORS	= 2,
	STAT_WRITES		= 4,
	STAT_WRITE_SECTORS	= 6,
	STAT_IN_FLIGHT		= 8,
	STAT_DISCARDS		= 11,
	STAT_DISCARD_SECTORS	= 13,
	STAT_FLUSHES		= 15,
	NR_STATS		= 17,
};

/* Devices: devices.c. */
struct nullb {
	const char	*name;
	unsigned int	size_mb;
	unsigned int	blocksize;	/* 0: 512 */
	unsigned int	delay_ms;	/* 0: completes inside the submission */
	unsigned int	cache_mb;
	unsigned int	depth;		/* 0: 64 */
	unsigned int	queues;		/* 0: 1 */
	unsigned int	max_sectors;	/* of a request; 0: the driver's own */
	bool		no_memory;	/* data goes nowhere */
	bool		discard;
	bool		zoned;		/* zones of 4 MiB */
};

extern const struct nullb fast_disk, slow_disk;

#define SLOW_MS		1000		/* slow_disk's answer to everything */

/* These return a path, or NULL with the reason in device_reason(). */
const char *nullb_make(const struct nullb *opts);
int nullb_power(const char *name, bool on);
int nullb_set(const char *name, const char *attr, unsigned long value);
int nullb_remove(const char *name);
const char *brd_disk(void);
const char *scsi_debug_disk(void);
int scsi_debug_protect(bool protect);
int scsi_debug_set(const char *attr, long value);
int loop_new(char *path, size_t size);
const char *loop_disk(unsigned int size_mb, bool read_only);
const char *loop_over(int file, bool read_only);
const char *loop_empty(void);
void loop_remove(void);
const char *usb_stick(void);
const char *partition_make(const char *disk, unsigned int number,
			   uint64_t start, uint64_t len);
int partition_remove(const char *disk, unsigned int number);
bool got_device(char *path, const char *made);
const char *device_reason(void);
void device_lacks(const char *what, int error);
bool node_appears(const char *path, unsigned int ms);
int sysfs_put(const char *dir, const char *file, const char *value);
long sysfs_number(const char *path);
const char *device_in_use(const char *path);
int64_t device_size(const char *path);
long device_sysfs(const char *path, const char *attr);
bool device_stat(const char *path, unsigned long long stat[NR_STATS]);
bool device_stat_beyond(const char *path, unsigned int place,
			unsigned long long before,
			unsigned long long stat[NR_STATS]);
bool device_becomes_free(const char *path);
int device_fill(const char *path, uint64_t pos, uint64_t len, uint64_t seed);
int64_t device_wrong(const char *path, uint64_t pos, uint64_t len,
		     uint64_t seed);
int device_read_only(const char *path, bool on);
int device_ext2(const char *path);
int hung_tasks(int seconds);
int log_open(void);
int log_count(int fd, const char *text, const char *text2);
bool log_says(int fd, const char *text, const char *text2, unsigned int ms);

#endif /* _IOTARGET_UTIL_H */
