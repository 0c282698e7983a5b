/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <linux/unaligned.h>, which older kernels have elsewhere. */
#if __has_include_next(<linux/unaligned.h>)
#include_next <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif
