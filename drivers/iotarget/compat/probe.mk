# SPDX-License-Identifier: GPL-2.0-only
# What the kernel that we build for lacks, found by looking at its headers.  A
# copy of this tree inside the newest kernel leaves this folder behind.

iotarget-dir ?= $(patsubst %/tests,%,$(src))
iotarget-has = $(shell grep -qsE '$(2)' $(srctree)/include/linux/$(1) && echo y)

# A build outside the kernel tree brings its own public headers.
ifneq ($(KBUILD_EXTMOD),)
LINUXINCLUDE := -I$(iotarget-dir)/../../include $(LINUXINCLUDE)
ccflags-$(subst m,y,$(CONFIG_IOTARGET_KUNIT_TEST)) += \
	-DCONFIG_IOTARGET_KUNIT_TEST_MODULE=1
ccflags-y += -DCONFIG_IOTARGET_MODULE=1 -DCONFIG_IOTARGET_DISK_MODULE=1
endif

# Each shim is named like the header that it stands in front of.
LINUXINCLUDE := -I$(iotarget-dir)/compat $(LINUXINCLUDE)
ccflags-$(call iotarget-has,blkdev.h,bool bdev_rot) += -DIOTARGET_HAS_BDEV_ROT
ccflags-$(call iotarget-has,blkdev.h,bdev_file_open_by_dev) += \
	-DIOTARGET_HAS_BDEV_FILE
ccflags-$(call iotarget-has,blkdev.h,int bdev_freeze) += -DIOTARGET_HAS_BDEV_FREEZE
ccflags-$(call iotarget-has,bvec.h,bvec_set_virt) += \
	-DIOTARGET_HAS_BVEC_SET_VIRT
ccflags-$(call iotarget-has,blk_types.h,BLK_STS_RESV_CONFLICT) += \
	-DIOTARGET_HAS_RESV_CONFLICT
ccflags-$(or $(call iotarget-has,blkdev.h,bdev_partno),\
	     $(call iotarget-has,blk_types.h,bdev_partno)) += \
	-DIOTARGET_HAS_BDEV_PARTNO
ccflags-$(call iotarget-has,../net/genetlink.h,^struct genl_split_ops .) += \
	-DIOTARGET_HAS_GENL_SPLIT_OPS
ccflags-$(call iotarget-has,../net/genetlink.h,^genlmsg_multicast_netns_filtered) += \
	-DIOTARGET_HAS_MULTICAST_FILTER
ccflags-$(call iotarget-has,../net/netlink.h,const struct netlink_range_validation .range) += \
	-DIOTARGET_HAS_CONST_RANGE

# No header shows since when interrupts may put bios into the per-CPU cache (6.2).
ccflags-$(shell [ $(VERSION)$(shell printf %03d $(PATCHLEVEL)) -ge 6002 ] && echo y) += \
	-DIOTARGET_HAS_IRQ_BIO_CACHE
ccflags-$(call iotarget-has,namei.h,vfs_path_lookup) += \
	-DIOTARGET_HAS_VFS_PATH_LOOKUP
ccflags-$(call iotarget-has,pr.h,pr_read_keys) += -DIOTARGET_HAS_PR_READ

# Who has a class interface is told which device of it comes or goes, and no more.
ccflags-$(call iotarget-has,device/class.h,.add_dev.*struct device .dev.;) += \
	-DIOTARGET_HAS_CLASS_INTERFACE_DEV
ccflags-$(call iotarget-has,platform_device.h,void .\*remove..struct platform_device) += \
	-DIOTARGET_HAS_VOID_PLATFORM_REMOVE
ccflags-$(call iotarget-has,blk-mq.h,blk_mq_unfreeze_queue_nomemrestore) += \
	-DIOTARGET_HAS_NOMEMRESTORE
ccflags-$(call iotarget-has,blkdev.h,define blk_alloc_disk.lim) += \
	-DIOTARGET_HAS_ALLOC_DISK_LIMITS

# What of iotarget.ko has to be another file.  Holders are told of what becomes of
# their device, and each opening of a partition opens the disk, since the same kernel.
iotarget-has-holder-ops := $(call iotarget-has,blkdev.h,struct blk_holder_ops.\{)
ccflags-$(iotarget-has-holder-ops) += -DIOTARGET_HAS_HOLDER_OPS
iotarget-parts := $(if $(iotarget-has-holder-ops),\
	holder.o openers.o,compat/openers.o compat/dead.o)

# What of iotarget_disk.ko has to be another file.
iotarget-disk-parts := \
	$(if $(call iotarget-has,blkdev.h,getgeo.*struct gendisk),,compat/)disk_fops.o \
	$(if $(call iotarget-has,pr.h,pr_read_keys),disk_pr_read.o) \
	$(if $(call iotarget-has,blkdev.h,BLK_FEAT_IO_STAT),,compat/)disk_limits.o

# Symbol namespaces became strings, for exports first and for imports later.
ifeq ($(call iotarget-has,export.h,stringify.DEFAULT_SYMBOL_NAMESPACE),y)
iotarget-ns := IOTARGET_1
else
iotarget-ns := '"IOTARGET_1"'
endif
ifneq ($(call iotarget-has,module.h,MODULE_IMPORT_NS.*__stringify),y)
ccflags-y += -DIOTARGET_HAS_STRING_NS
endif
