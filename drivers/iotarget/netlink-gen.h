/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/iotarget.yaml */
/* YNL-GEN kernel header */
/* To regenerate run: tools/net/ynl/ynl-regen.sh */

#ifndef _LINUX_IOTARGET_GEN_H
#define _LINUX_IOTARGET_GEN_H

#include <net/netlink.h>
#include <net/genetlink.h>

#include <uapi/linux/iotarget.h>

int iotarget_nl_get_doit(struct sk_buff *skb, struct genl_info *info);
int iotarget_nl_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int iotarget_nl_stop_doit(struct sk_buff *skb, struct genl_info *info);
int iotarget_nl_start_doit(struct sk_buff *skb, struct genl_info *info);
int iotarget_nl_purge_doit(struct sk_buff *skb, struct genl_info *info);
int iotarget_nl_query_remove_doit(struct sk_buff *skb, struct genl_info *info);
int iotarget_nl_query_cancel_doit(struct sk_buff *skb, struct genl_info *info);
int iotarget_nl_policy_doit(struct sk_buff *skb, struct genl_info *info);
int iotarget_nl_reopen_doit(struct sk_buff *skb, struct genl_info *info);

enum {
	IOTARGET_NLGRP_EVENTS,
};

extern struct genl_family iotarget_nl_family;

#endif /* _LINUX_IOTARGET_GEN_H */
