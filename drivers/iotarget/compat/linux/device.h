/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <linux/device.h> of older kernels. */
#ifndef _IOTARGET_COMPAT_DEVICE_H
#define _IOTARGET_COMPAT_DEVICE_H

#include_next <linux/device.h>

#ifndef IOTARGET_HAS_CLASS_INTERFACE_DEV
/*
 * The callbacks of older kernels get the interface as well.  This one has those
 * of newer kernels, and an interface of the kernel's that leads to them.
 */
struct iotarget_class_interface {
	struct class		*class;
	int			(*add_dev)(struct device *dev);
	void			(*remove_dev)(struct device *dev);
	/* private: */
	struct class_interface	kernels;
};

static inline int iotarget_class_add_dev(struct device *dev,
					 struct class_interface *ci)
{
	return container_of(ci, struct iotarget_class_interface,
			    kernels)->add_dev(dev);
}

static inline void iotarget_class_remove_dev(struct device *dev,
					     struct class_interface *ci)
{
	container_of(ci, struct iotarget_class_interface,
		     kernels)->remove_dev(dev);
}

static inline int
iotarget_class_interface_register(struct iotarget_class_interface *ci)
{
	ci->kernels.class = ci->class;
	ci->kernels.add_dev = iotarget_class_add_dev;
	ci->kernels.remove_dev = iotarget_class_remove_dev;
	return class_interface_register(&ci->kernels);
}

static inline void
iotarget_class_interface_unregister(struct iotarget_class_interface *ci)
{
	class_interface_unregister(&ci->kernels);
}

#define class_interface		iotarget_class_interface
#define class_interface_register(_ci) \
	iotarget_class_interface_register(_ci)
#define class_interface_unregister(_ci) \
	iotarget_class_interface_unregister(_ci)
#endif

#endif /* _IOTARGET_COMPAT_DEVICE_H */
