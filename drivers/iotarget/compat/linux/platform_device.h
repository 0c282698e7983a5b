/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in front of <linux/platform_device.h> of older kernels. */
#ifndef _IOTARGET_COMPAT_PLATFORM_DEVICE_H
#define _IOTARGET_COMPAT_PLATFORM_DEVICE_H

#include_next <linux/platform_device.h>

#ifndef IOTARGET_HAS_VOID_PLATFORM_REMOVE
/*
 * Removing returns a number there that nobody wants.  This one is as in newer kernels,
 * with a driver of the kernel's that leads to it.
 */
struct iotarget_platform_driver {
	int			(*probe)(struct platform_device *pdev);
	void			(*remove)(struct platform_device *pdev);
	struct device_driver	driver;
	/* private: */
	struct platform_driver	kernels;
};

static inline int iotarget_platform_remove(struct platform_device *pdev)
{
	struct platform_driver *driver = to_platform_driver(pdev->dev.driver);

	container_of(driver, struct iotarget_platform_driver,
		     kernels)->remove(pdev);
	return 0;
}

static inline int
iotarget_platform_driver_register(struct iotarget_platform_driver *driver)
{
	driver->kernels.probe = driver->probe;
	driver->kernels.remove = iotarget_platform_remove;
	driver->kernels.driver = driver->driver;
	return platform_driver_register(&driver->kernels);
}

static inline void
iotarget_platform_driver_unregister(struct iotarget_platform_driver *driver)
{
	platform_driver_unregister(&driver->kernels);
}

#define platform_driver		iotarget_platform_driver
#undef platform_driver_register
#define platform_driver_register(_driver) \
	iotarget_platform_driver_register(_driver)
#define platform_driver_unregister(_driver) \
	iotarget_platform_driver_unregister(_driver)
#endif

#endif /* _IOTARGET_COMPAT_PLATFORM_DEVICE_H */
