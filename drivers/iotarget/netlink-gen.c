// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/iotarget.yaml */
/* YNL-GEN kernel source */
/* To regenerate run: tools/net/ynl/ynl-regen.sh */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "netlink-gen.h"

#include <uapi/linux/iotarget.h>

/* Integer value ranges */
static const struct netlink_range_validation iotarget_a_verb_timeout_ms_range = {
	.max	= 600000ULL,
};

static const struct netlink_range_validation iotarget_a_verb_expires_ms_range = {
	.min	= 1ULL,
	.max	= 86400000ULL,
};

static const struct netlink_range_validation iotarget_a_verb_minor_range = {
	.max	= 1048575ULL,
};

static const struct netlink_range_validation iotarget_a_verb_hold_ms_range = {
	.min	= 1ULL,
	.max	= 86400000ULL,
};

/* IOTARGET_CMD_GET - do */
static const struct nla_policy iotarget_get_nl_policy[IOTARGET_A_TARGET_NAME + 1] = {
	[IOTARGET_A_TARGET_ID] = { .type = NLA_U64, },
	[IOTARGET_A_TARGET_NAME] = { .type = NLA_NUL_STRING, .len = 31, },
};

/* IOTARGET_CMD_STOP - do */
static const struct nla_policy iotarget_stop_nl_policy[IOTARGET_A_VERB_REASON + 1] = {
	[IOTARGET_A_VERB_ID] = { .type = NLA_U64, },
	[IOTARGET_A_VERB_NAME] = { .type = NLA_NUL_STRING, .len = 31, },
	[IOTARGET_A_VERB_ACTION] = NLA_POLICY_RANGE(NLA_U32, 1, 3),
	[IOTARGET_A_VERB_TIMEOUT_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &iotarget_a_verb_timeout_ms_range),
	[IOTARGET_A_VERB_EXPIRES_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &iotarget_a_verb_expires_ms_range),
	[IOTARGET_A_VERB_FOREVER] = { .type = NLA_FLAG, },
	[IOTARGET_A_VERB_HOLD] = { .type = NLA_FLAG, },
	[IOTARGET_A_VERB_REASON] = { .type = NLA_NUL_STRING, .len = 127, },
};

/* IOTARGET_CMD_START - do */
static const struct nla_policy iotarget_start_nl_policy[IOTARGET_A_VERB_TIMEOUT_MS + 1] = {
	[IOTARGET_A_VERB_ID] = { .type = NLA_U64, },
	[IOTARGET_A_VERB_NAME] = { .type = NLA_NUL_STRING, .len = 31, },
	[IOTARGET_A_VERB_TIMEOUT_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &iotarget_a_verb_timeout_ms_range),
};

/* IOTARGET_CMD_PURGE - do */
static const struct nla_policy iotarget_purge_nl_policy[IOTARGET_A_VERB_REASON + 1] = {
	[IOTARGET_A_VERB_ID] = { .type = NLA_U64, },
	[IOTARGET_A_VERB_NAME] = { .type = NLA_NUL_STRING, .len = 31, },
	[IOTARGET_A_VERB_ACTION] = NLA_POLICY_RANGE(NLA_U32, 1, 3),
	[IOTARGET_A_VERB_TIMEOUT_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &iotarget_a_verb_timeout_ms_range),
	[IOTARGET_A_VERB_EXPIRES_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &iotarget_a_verb_expires_ms_range),
	[IOTARGET_A_VERB_FOREVER] = { .type = NLA_FLAG, },
	[IOTARGET_A_VERB_HOLD] = { .type = NLA_FLAG, },
	[IOTARGET_A_VERB_REASON] = { .type = NLA_NUL_STRING, .len = 127, },
};

/* IOTARGET_CMD_QUERY_REMOVE - do */
static const struct nla_policy iotarget_query_remove_nl_policy[IOTARGET_A_VERB_DRY_RUN + 1] = {
	[IOTARGET_A_VERB_TIMEOUT_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &iotarget_a_verb_timeout_ms_range),
	[IOTARGET_A_VERB_EXPIRES_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &iotarget_a_verb_expires_ms_range),
	[IOTARGET_A_VERB_HOLD] = { .type = NLA_FLAG, },
	[IOTARGET_A_VERB_MAJOR] = NLA_POLICY_MAX(NLA_U32, 4095),
	[IOTARGET_A_VERB_MINOR] = NLA_POLICY_FULL_RANGE(NLA_U32, &iotarget_a_verb_minor_range),
	[IOTARGET_A_VERB_ANCESTOR] = { .type = NLA_NUL_STRING, .len = 127, },
	[IOTARGET_A_VERB_DRY_RUN] = { .type = NLA_FLAG, },
};

/* IOTARGET_CMD_QUERY_CANCEL - do */
static const struct nla_policy iotarget_query_cancel_nl_policy[IOTARGET_A_VERB_COOKIE + 1] = {
	[IOTARGET_A_VERB_COOKIE] = { .type = NLA_U64, },
};

/* IOTARGET_CMD_POLICY - do */
static const struct nla_policy iotarget_policy_nl_policy[IOTARGET_A_VERB_ACCEPT_LOSS + 1] = {
	[IOTARGET_A_VERB_ID] = { .type = NLA_U64, },
	[IOTARGET_A_VERB_NAME] = { .type = NLA_NUL_STRING, .len = 31, },
	[IOTARGET_A_VERB_POLICY_SET] = NLA_POLICY_MASK(NLA_U32, 0x7),
	[IOTARGET_A_VERB_POLICY_CLEAR] = NLA_POLICY_MASK(NLA_U32, 0x7),
	[IOTARGET_A_VERB_HOLD_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &iotarget_a_verb_hold_ms_range),
	[IOTARGET_A_VERB_HOLD_BYTES] = NLA_POLICY_MIN(NLA_U64, 1),
	[IOTARGET_A_VERB_ACCEPT_LOSS] = { .type = NLA_FLAG, },
};

/* IOTARGET_CMD_REOPEN - do */
static const struct nla_policy iotarget_reopen_nl_policy[IOTARGET_A_VERB_TIMEOUT_MS + 1] = {
	[IOTARGET_A_VERB_ID] = { .type = NLA_U64, },
	[IOTARGET_A_VERB_NAME] = { .type = NLA_NUL_STRING, .len = 31, },
	[IOTARGET_A_VERB_TIMEOUT_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &iotarget_a_verb_timeout_ms_range),
};

/* Ops table for iotarget */
static const struct genl_split_ops iotarget_nl_ops[] = {
	{
		.cmd		= IOTARGET_CMD_GET,
		.doit		= iotarget_nl_get_doit,
		.policy		= iotarget_get_nl_policy,
		.maxattr	= IOTARGET_A_TARGET_NAME,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd	= IOTARGET_CMD_GET,
		.dumpit	= iotarget_nl_get_dumpit,
		.flags	= GENL_CMD_CAP_DUMP,
	},
	{
		.cmd		= IOTARGET_CMD_STOP,
		.doit		= iotarget_nl_stop_doit,
		.policy		= iotarget_stop_nl_policy,
		.maxattr	= IOTARGET_A_VERB_REASON,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= IOTARGET_CMD_START,
		.doit		= iotarget_nl_start_doit,
		.policy		= iotarget_start_nl_policy,
		.maxattr	= IOTARGET_A_VERB_TIMEOUT_MS,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= IOTARGET_CMD_PURGE,
		.doit		= iotarget_nl_purge_doit,
		.policy		= iotarget_purge_nl_policy,
		.maxattr	= IOTARGET_A_VERB_REASON,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= IOTARGET_CMD_QUERY_REMOVE,
		.doit		= iotarget_nl_query_remove_doit,
		.policy		= iotarget_query_remove_nl_policy,
		.maxattr	= IOTARGET_A_VERB_DRY_RUN,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= IOTARGET_CMD_QUERY_CANCEL,
		.doit		= iotarget_nl_query_cancel_doit,
		.policy		= iotarget_query_cancel_nl_policy,
		.maxattr	= IOTARGET_A_VERB_COOKIE,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= IOTARGET_CMD_POLICY,
		.doit		= iotarget_nl_policy_doit,
		.policy		= iotarget_policy_nl_policy,
		.maxattr	= IOTARGET_A_VERB_ACCEPT_LOSS,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= IOTARGET_CMD_REOPEN,
		.doit		= iotarget_nl_reopen_doit,
		.policy		= iotarget_reopen_nl_policy,
		.maxattr	= IOTARGET_A_VERB_TIMEOUT_MS,
		.flags		= GENL_CMD_CAP_DO,
	},
};

static const struct genl_multicast_group iotarget_nl_mcgrps[] = {
	[IOTARGET_NLGRP_EVENTS] = { "events", },
};

struct genl_family iotarget_nl_family __ro_after_init = {
	.name		= IOTARGET_FAMILY_NAME,
	.version	= IOTARGET_FAMILY_VERSION,
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.split_ops	= iotarget_nl_ops,
	.n_split_ops	= ARRAY_SIZE(iotarget_nl_ops),
	.mcgrps		= iotarget_nl_mcgrps,
	.n_mcgrps	= ARRAY_SIZE(iotarget_nl_mcgrps),
};
