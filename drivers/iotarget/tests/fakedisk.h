/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A block device for unit tests of bios: a real disk whose driver keeps what it
 * is given until the test answers.
 */
#ifndef _IOTARGET_TESTS_FAKEDISK_H
#define _IOTARGET_TESTS_FAKEDISK_H

#include <linux/bio.h>
#include <linux/spinlock.h>

#include "fake.h"

#define FAKEDISK_SECTORS	2048
#define FAKEDISK_LOG		64

/**
 * struct fakedisk_model - what a disk is, from the moment on at which it is there
 * @parent: the device that it is below, or NULL
 * @seed: of its contents, if it is to have some
 * @unique: of its unique id, if it is to have one
 * @shut: what it gets is kept, or comes back if it must not wait
 * @sectors: its size, or 0 for FAKEDISK_SECTORS
 */
struct fakedisk_model {
	struct device		*parent;
	u8			seed;
	u8			unique;
	bool			shut;
	sector_t		sectors;
};

/**
 * struct fakedisk - the disk
 * @disk: registered, or once so
 * @unplugged: not any more
 * @model: what it is
 * @lock: guards what follows
 * @hold: keep bios instead of answering at once
 * @held: those that were kept
 * @submitted: bios it was given
 * @sectors: where each was, in order; writes and reads only
 * @opf: likewise, their flags
 * @last: the last one, to be compared only
 */
struct fakedisk {
	struct gendisk		*disk;
	bool			unplugged;
	struct fakedisk_model	model;
	spinlock_t		lock;	/* guards what follows */
	bool			hold;
	struct bio_list		held;
	unsigned int		submitted;
	sector_t		sectors[FAKEDISK_LOG];
	blk_opf_t		opf[FAKEDISK_LOG];
	const struct bio	*last;
};

/**
 * struct fakedisk_upper - a bio that comes from above
 * @bio: the bio
 * @vec: its memory
 * @ended: how often it completed
 * @order: its place in the order of completion, from 1
 * @status: how
 * @count: completions so far, of all of them
 */
struct fakedisk_upper {
	struct bio	bio;
	struct bio_vec	vec;
	unsigned int	ended;
	unsigned int	order;
	blk_status_t	status;
	unsigned int	*count;
};

int fakedisk_make(struct fakedisk *fd);
int fakedisk_make_as(struct fakedisk *fd, const struct fakedisk_model *model);
void fakedisk_unplug(struct fakedisk *fd);
void fakedisk_remove(struct fakedisk *fd);
int fakedisk_open(struct iotarget *target, struct fakedisk *fd);
bool fakedisk_answer(struct fakedisk *fd, blk_status_t status);
unsigned int fakedisk_answer_all(struct fakedisk *fd, blk_status_t status);
bool fakedisk_answer_last(struct fakedisk *fd, blk_status_t status);
struct bio *fakedisk_upper_make(struct fakedisk_upper *u, struct fakedisk *fd,
				sector_t sector, blk_opf_t opf,
				unsigned int *count);
struct bio *fakedisk_upper_io(struct fakedisk_upper *u, struct fakedisk *fd,
			      sector_t sector, blk_opf_t opf,
			      unsigned int *count, struct page *page);

#endif /* _IOTARGET_TESTS_FAKEDISK_H */
