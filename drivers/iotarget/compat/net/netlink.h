/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <net/netlink.h> of older kernels. */
#ifndef _IOTARGET_COMPAT_NETLINK_H
#define _IOTARGET_COMPAT_NETLINK_H

#include_next <net/netlink.h>

#ifndef IOTARGET_HAS_CONST_RANGE
/* Older kernels only read it, too, but don't say so. */
#undef NLA_POLICY_FULL_RANGE
#define NLA_POLICY_FULL_RANGE(tp, _range) { \
	.type = NLA_ENSURE_UINT_OR_BINARY_TYPE(tp), \
	.validation_type = NLA_VALIDATE_RANGE_PTR, \
	.range = (struct netlink_range_validation *)(_range), \
}
#endif

#endif /* _IOTARGET_COMPAT_NETLINK_H */
