/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of iogate.ko know of each other.
 */
#ifndef _IOGATE_H
#define _IOGATE_H

#include <linux/configfs.h>
#include <linux/kref.h>
#include <linux/mutex.h>

#include <linux/iotarget_disk.h>

/**
 * struct iogate - a gate
 * @item: in configfs
 * @refs: of the item and the disk
 * @index: N of /dev/iogateN
 * @storing: somebody changes it now
 * @lock: guards what follows
 * @device: path of the device below, or NULL
 * @read_only: open it for reading only
 * @share_read: let others read it
 * @partitions: of the disk
 * @hold_seconds: wait so long for a device that is gone; 0: not at all
 * @hold_bytes: hold so much for it; 0: as iotarget.ko thinks right
 * @lossy: what it lost is no error
 * @replay: writes that it had are sent again
 * @query: what is answered when the device may go
 * @disk: while the power is on
 */
struct iogate {
	struct config_item	item;
	struct kref		refs;
	int			index;
	bool			storing;
	struct mutex		lock;	/* of this gate */
	char			*device;
	bool			read_only;
	bool			share_read;
	bool			partitions;
	unsigned int		hold_seconds;
	u64			hold_bytes;
	bool			lossy;
	bool			replay;
	enum iotarget_disk_query query;
	struct iotarget_disk	*disk;
};

static inline struct iogate *to_iogate(struct config_item *item)
{
	return container_of(item, struct iogate, item);
}

/* main.c; with the lock of the gate */
int iogate_power_on(struct iogate *g);
int iogate_power_off(struct iogate *g, bool force);

/* attrs.c */
extern struct configfs_attribute *iogate_attrs[];

#endif /* _IOGATE_H */
