/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <linux/bio.h> of older kernels. */
#ifndef _IOTARGET_COMPAT_BIO_H
#define _IOTARGET_COMPAT_BIO_H

#include_next <linux/bio.h>
#include <linux/version.h>

/*
 * Before 6.3 a bio of a bioset with a per-CPU cache must not be freed in
 * interrupt context.  No header shows which of the two a kernel has.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define BIOSET_PERCPU_CACHE	0
#endif

#endif /* _IOTARGET_COMPAT_BIO_H */
