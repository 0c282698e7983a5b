/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <linux/bio.h> of older kernels. */
#ifndef _IOTARGET_COMPAT_BIO_H
#define _IOTARGET_COMPAT_BIO_H

#include_next <linux/bio.h>

/* A bio of a bioset with a per-CPU cache must not be freed in interrupts there. */
#ifndef IOTARGET_HAS_IRQ_BIO_CACHE
#define BIOSET_PERCPU_CACHE	0
#endif

#endif /* _IOTARGET_COMPAT_BIO_H */
