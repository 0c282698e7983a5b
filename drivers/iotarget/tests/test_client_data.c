// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plain reading through a target: pread() of /dev/iotarget_test is one timed
 * iotarget_read() for each 256 KiB, so that a program can compare contents.
 *
 * Context: process.  Locks: client->lock, for the pointer to the target.
 */
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>

#include "test_client.h"

#define PIECE		(256U << 10)
#define PIECE_MS	20000

ssize_t iotarget_test_read(struct file *file, char __user *data, size_t len,
			   loff_t *pos)
{
	struct iotarget *target = iotarget_test_peer(file);
	ssize_t done = 0;
	void *piece;
	size_t n;
	int ret = 0;

	if (!target)
		return -ENXIO;
	piece = kvmalloc(PIECE, GFP_KERNEL);
	if (!piece)
		return -ENOMEM;
	while (len) {
		n = min_t(size_t, len, PIECE);
		ret = iotarget_read(target, piece, n, *pos, PIECE_MS, NULL);
		if (!ret && copy_to_user(data, piece, n))
			ret = -EFAULT;
		if (ret)
			break;
		data += n;
		*pos += n;
		done += n;
		len -= n;
	}
	kvfree(piece);
	return done ?: ret;
}
