// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacked disks: reading persistent reservations, through the gate.
 *
 * Context: process.  Locks: none.
 */
#include "disk.h"

int iotarget_disk_pr_read_keys(struct block_device *bdev, struct pr_keys *keys)
{
	struct iotarget_entry entry;
	const struct pr_ops *ops;
	int ret;

	ret = iotarget_disk_pr_enter(bdev, &entry, &ops);
	return ret ?: IOTARGET_DISK_PR_CALL(&entry, ops->pr_read_keys, keys);
}

int iotarget_disk_pr_read_reservation(struct block_device *bdev,
				      struct pr_held_reservation *held)
{
	struct iotarget_entry entry;
	const struct pr_ops *ops;
	int ret;

	ret = iotarget_disk_pr_enter(bdev, &entry, &ops);
	return ret ?: IOTARGET_DISK_PR_CALL(&entry, ops->pr_read_reservation, held);
}
