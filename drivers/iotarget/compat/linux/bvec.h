/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <linux/bvec.h> of older kernels. */
#ifndef _IOTARGET_COMPAT_BVEC_H
#define _IOTARGET_COMPAT_BVEC_H

#include_next <linux/bvec.h>

#ifndef IOTARGET_HAS_BVEC_SET_VIRT
static inline void bvec_set_virt(struct bio_vec *bv, void *vaddr,
				 unsigned int len)
{
	bv->bv_page = virt_to_page(vaddr);
	bv->bv_len = len;
	bv->bv_offset = offset_in_page(vaddr);
}
#endif

#endif /* _IOTARGET_COMPAT_BVEC_H */
