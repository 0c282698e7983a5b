// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the block layer counts the openings of a device.
 *
 * Context: any.
 */
#include <linux/blkdev.h>

#include "devices.h"

/**
 * iotarget_opens_by_part - how many openings of a disk come from those of a partition
 * @part: the partition
 *
 * Context: any.
 * Return: so many.
 */
unsigned int iotarget_opens_by_part(const struct block_device *part)
{
	return atomic_read(&part->bd_openers);
}
