// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacked disks: the tables that the block layer calls through.  For kernels
 * that have other prototypes compat/ has this file once more.
 */
#include <linux/hdreg.h>

#include "disk.h"

int iotarget_disk_lower_getgeo(struct block_device *lower,
			       struct hd_geometry *geo)
{
	const struct block_device_operations *fops = lower->bd_disk->fops;

	return fops->getgeo ? fops->getgeo(lower->bd_disk, geo) : -ENOTTY;
}

static const struct pr_ops pr_ops = {
	.pr_register		= iotarget_disk_pr_register,
	.pr_reserve		= iotarget_disk_pr_reserve,
	.pr_release		= iotarget_disk_pr_release,
	.pr_preempt		= iotarget_disk_pr_preempt,
	.pr_clear		= iotarget_disk_pr_clear,
	.pr_read_keys		= iotarget_disk_pr_read_keys,
	.pr_read_reservation	= iotarget_disk_pr_read_reservation,
};

const struct block_device_operations iotarget_disk_fops = {
	.open		= iotarget_disk_open,
	.release	= iotarget_disk_release,
	.ioctl		= iotarget_disk_ioctl,
	.compat_ioctl	= iotarget_disk_compat_ioctl,
	.getgeo		= iotarget_disk_getgeo,
	.set_read_only	= iotarget_disk_set_read_only,
	.get_unique_id	= iotarget_disk_get_unique_id,
	.pr_ops		= &pr_ops,
};
