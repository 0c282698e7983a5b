// SPDX-License-Identifier: GPL-2.0-only
/* Stands in for disk_fops.c in kernels that have other prototypes. */
#include <linux/hdreg.h>

#include "../disk.h"

int iotarget_disk_lower_getgeo(struct block_device *lower,
			       struct hd_geometry *geo)
{
	const struct block_device_operations *fops = lower->bd_disk->fops;

	return fops->getgeo ? fops->getgeo(lower, geo) : -ENOTTY;
}

static int compat_getgeo(struct block_device *bdev, struct hd_geometry *geo)
{
	return iotarget_disk_getgeo(bdev->bd_disk, geo);
}

#ifdef IOTARGET_HAS_BDEV_FILE
#define compat_open	iotarget_disk_open
#define compat_release	iotarget_disk_release
#else
static int compat_open(struct block_device *bdev, fmode_t mode)
{
	return iotarget_disk_open(bdev->bd_disk, mode);
}

static void compat_release(struct gendisk *gd, fmode_t mode)
{
	iotarget_disk_release(gd);
}
#endif

static const struct pr_ops pr_ops = {
	.pr_register		= iotarget_disk_pr_register,
	.pr_reserve		= iotarget_disk_pr_reserve,
	.pr_release		= iotarget_disk_pr_release,
	.pr_preempt		= iotarget_disk_pr_preempt,
	.pr_clear		= iotarget_disk_pr_clear,
#ifdef IOTARGET_HAS_PR_READ
	.pr_read_keys		= iotarget_disk_pr_read_keys,
	.pr_read_reservation	= iotarget_disk_pr_read_reservation,
#endif
};

const struct block_device_operations iotarget_disk_fops = {
	.open		= compat_open,
	.release	= compat_release,
	.ioctl		= iotarget_disk_ioctl,
	.compat_ioctl	= iotarget_disk_compat_ioctl,
	.getgeo		= compat_getgeo,
	.set_read_only	= iotarget_disk_set_read_only,
	.get_unique_id	= iotarget_disk_get_unique_id,
	.pr_ops		= &pr_ops,
};
