/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of control over netlink begin with: one connection that asks, and one that
 * listens.
 */
#ifndef _IOTARGET_CONTROL_H
#define _IOTARGET_CONTROL_H

#include "fixture.h"
#include "nl.h"

#define EVENT_MS	LONG_MS
#define NO_FAMILY	"there is no netlink family iotarget (%s)"

#define NL_OR_SKIP(_nl)								\
do {										\
	const int __ret = nl_open(_nl);						\
										\
	if (__ret == -ENOENT || __ret == -EPROTONOSUPPORT)			\
		SKIP(return, NO_FAMILY, strerror(-__ret));			\
	ASSERT_EQ(0, __ret);							\
} while (0)

#endif /* _IOTARGET_CONTROL_H */
