/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <net/genetlink.h> of older kernels. */
#ifndef _IOTARGET_COMPAT_GENETLINK_H
#define _IOTARGET_COMPAT_GENETLINK_H

#include_next <net/genetlink.h>

#ifndef IOTARGET_HAS_MULTICAST_FILTER
/*
 * Older kernels ask nobody whether a socket is to get a message.  But they take
 * all sockets out of the groups of a family that is unregistered, so that those
 * that had joined the number before it was ours are out after this.
 */
static inline int iotarget_genl_register_emptied(struct genl_family *family)
{
	int ret = genl_register_family(family);

	if (!ret)
		ret = genl_unregister_family(family);
	return ret ?: genl_register_family(family);
}

#define genl_register_family(family)	iotarget_genl_register_emptied(family)

static inline int
genlmsg_multicast_netns_filtered(const struct genl_family *family,
				 struct net *net, struct sk_buff *skb,
				 u32 portid, unsigned int group, gfp_t flags,
				 int (*filter)(struct sock *sk,
					       struct sk_buff *skb, void *data),
				 void *filter_data)
{
	return genlmsg_multicast_netns(family, net, skb, portid, group, flags);
}
#endif

#ifndef IOTARGET_HAS_GENL_SPLIT_OPS
#include <linux/errno.h>

/*
 * Older kernels have one entry for a command, where newer ones have one for
 * doing and one for dumping.  The fields that we use have the same names, so
 * the generated table is one of these, and its entries are put together when
 * the family is registered.
 */
#define genl_split_ops	genl_ops
#define split_ops	ops
#define n_split_ops	n_ops

static inline int iotarget_genl_register_family(struct genl_family *family)
{
	static struct genl_ops merged[32];
	const struct genl_ops *op = family->ops;
	unsigned int i, n = 0;

	for (i = 0; i < family->n_ops; i++, op++) {
		if (n && merged[n - 1].cmd == op->cmd && op->dumpit) {
			merged[n - 1].dumpit = op->dumpit;
			continue;
		}
		if (n == ARRAY_SIZE(merged))
			return -ENOSPC;
		merged[n] = *op;
		/* The kernel finds out by itself what there is. */
		merged[n++].flags &= ~(GENL_CMD_CAP_DO | GENL_CMD_CAP_DUMP);
	}
	family->ops = merged;
	family->n_ops = n;
	return genl_register_family(family);
}

#undef genl_register_family
#define genl_register_family(family)	iotarget_genl_register_family(family)
#endif

#endif /* _IOTARGET_COMPAT_GENETLINK_H */
