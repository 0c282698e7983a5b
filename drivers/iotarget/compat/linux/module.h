/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <linux/module.h> of older kernels. */
#ifndef _IOTARGET_COMPAT_MODULE_H
#define _IOTARGET_COMPAT_MODULE_H

#include_next <linux/module.h>

#ifndef IOTARGET_HAS_STRING_NS
#undef MODULE_IMPORT_NS
#define MODULE_IMPORT_NS(ns)	MODULE_INFO(import_ns, ns)
#endif

#endif /* _IOTARGET_COMPAT_MODULE_H */
