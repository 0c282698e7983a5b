/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <linux/namei.h> of older kernels. */
#ifndef _IOTARGET_COMPAT_NAMEI_H
#define _IOTARGET_COMPAT_NAMEI_H

#include_next <linux/namei.h>

/* Exported since long, and declared in a header of fs/ only. */
#ifndef IOTARGET_HAS_VFS_PATH_LOOKUP
int vfs_path_lookup(struct dentry *dentry, struct vfsmount *mnt,
		    const char *name, unsigned int flags, struct path *path);
#endif

#endif /* _IOTARGET_COMPAT_NAMEI_H */
