/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the demonstration share: how a step is told and judged, and
 * the files on the stick.
 */
#ifndef _IOTARGET_DEMO_H
#define _IOTARGET_DEMO_H

#include <linux/fiemap.h>
#include <linux/fs.h>

#include "util.h"

#define MNT		"/mnt"
#define PICTURE_SEED	7

/* Where the picture is on the stick. */
struct extents {
	struct fiemap		map;
	struct fiemap_extent	extent[32];
};

/* demo.c */
void step(const char *fmt, ...);
void expect(const char *fmt, ...);
void show(bool good, const char *fmt, ...);
int ask_host(const char *verb);
bool files_right(void);
bool picture_right(const void *data, uint64_t pos, size_t len);

/* commands.c */
extern char output[4096];	/* of the last command */
int shell(const char *command);
void does(const char *fmt, ...);
void says(int status, const char *text, const char *fmt, ...);

/* removal.c */
bool plugged(const char *disk);
const char *plug_in(void);
void show_removal(const char *disk, const struct extents *e);

/* returned.c */
void show_return(void);

#endif /* _IOTARGET_DEMO_H */
