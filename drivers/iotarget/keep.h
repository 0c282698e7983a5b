/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is kept of an open device so that it is known again when it was gone, and that
 * it is known what it may have lost: see keep.c.
 */
#ifndef _IOTARGET_KEEP_H
#define _IOTARGET_KEEP_H

#include "internal.h"

/* At each end of the device, in sectors. */
#define IOTARGET_EDGE_SECTORS	128
#define IOTARGET_EDGES		(2 * IOTARGET_EDGE_SECTORS)

/**
 * struct iotarget_keep - of one open instance
 * @bdev: the device                                                       (C)
 * @cache: it claims a volatile cache, or has                              (F)
 * @acked: bytes written and acknowledged                                  (P)
 * @durable: those of them that a flush has covered                        (A)
 * @sectors: its size when it was last there                               (F)
 * @lost: bytes that an earlier instance may have lost; each flush fails   (F)
 * @head: writes below this sector touch the first edge                    (C)
 * @tail: writes that end above this one touch the last                    (C)
 * @written: sectors of the edges that may have other contents than @hash  (A)
 * @plain: sectors that say nothing, as all bytes are alike                (C)
 * @hash: of each sector, when it was opened or looked at again            (C)
 */
struct iotarget_keep {
	struct block_device	*bdev;
	bool			cache;
	u64 __percpu		*acked;
	atomic64_t		durable;
	sector_t		sectors;
	u64			lost;
	sector_t		head;
	sector_t		tail;
	DECLARE_BITMAP(written, IOTARGET_EDGES);
	DECLARE_BITMAP(plain, IOTARGET_EDGES);
	u64			hash[IOTARGET_EDGES];
};

struct iotarget_keep *iotarget_keep_alloc(struct block_device *bdev, bool nowait);
void iotarget_keep_free(struct iotarget_keep *keep);
void iotarget_keep_renew(struct iotarget_keep *keep, unsigned int edge,
			 const void *data);
const char *iotarget_keep_differs(const struct iotarget_keep *lost,
				  const struct iotarget_keep *fresh,
				  unsigned int enough);
u64 iotarget_keep_at_risk(const struct iotarget_keep *keep);
void iotarget_keep_inherit(struct iotarget_keep *fresh,
			   const struct iotarget_keep *lost);
u64 iotarget_keep_sent(struct iotarget_keep *keep, blk_opf_t opf,
		       sector_t sector, u64 bytes);
void iotarget_keep_entered(struct iotarget_keep *keep);
void iotarget_keep_back(struct iotarget_keep *keep, blk_opf_t opf,
			u64 bytes, bool done, u64 covers);
void iotarget_keep_accept(struct iotarget_keep *keep, bool gone);

/* Nobody is told that what was lost is durable. */
static inline bool iotarget_keep_refuses(const struct iotarget_keep *keep,
					 blk_opf_t opf)
{
	return op_is_flush(opf) && READ_ONCE(keep->lost);
}

#endif /* _IOTARGET_KEEP_H */
