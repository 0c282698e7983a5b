/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <linux/blk-mq.h> of older kernels. */
#ifndef _IOTARGET_COMPAT_BLK_MQ_H
#define _IOTARGET_COMPAT_BLK_MQ_H

#include_next <linux/blk-mq.h>

/* To freeze a queue did not change the flags of the task yet. */
#ifndef IOTARGET_HAS_NOMEMRESTORE
#define blk_mq_unfreeze_queue_nomemrestore(_q)	blk_mq_unfreeze_queue(_q)
#endif

#endif /* _IOTARGET_COMPAT_BLK_MQ_H */
