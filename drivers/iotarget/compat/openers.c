// SPDX-License-Identifier: GPL-2.0-only
/* Stands in for openers.c in kernels that count otherwise. */
#include <linux/blkdev.h>

#include "../devices.h"

/* There only the first opening of a partition opens the disk as well. */
unsigned int iotarget_opens_by_part(const struct block_device *part)
{
	return atomic_read(&part->bd_openers) ? 1 : 0;
}
