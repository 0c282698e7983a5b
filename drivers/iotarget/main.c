// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotarget.ko: what the module as a whole needs.
 *
 * Context: module load and unload.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "devices.h"

/* Reconcilers and ticks: never blocks for longer than RCU does. */
struct workqueue_struct *iotarget_fast_wq;

/* Opening, releasing, freeing: may block as long as a driver likes. */
struct workqueue_struct *iotarget_slow_wq;

#if IS_ENABLED(CONFIG_IOTARGET_KUNIT_TEST)
void (*iotarget_hook_handler)(enum iotarget_hook_point point, void *arg);
#endif

static int __init iotarget_init(void)
{
	int ret;

	iotarget_fast_wq = alloc_workqueue("iotarget",
					   WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!iotarget_fast_wq)
		return -ENOMEM;
	iotarget_slow_wq = alloc_workqueue("iotarget_open",
					   WQ_MEM_RECLAIM | WQ_UNBOUND,
					   WQ_MAX_ACTIVE);
	if (!iotarget_slow_wq) {
		ret = -ENOMEM;
		goto destroy_fast;
	}
	ret = iotarget_requests_init();
	if (ret)
		goto destroy_slow;
	ret = iotarget_removal_init_module();
	if (ret)
		goto exit_requests;
	ret = iotarget_query_init();
	if (ret)
		goto exit_removal;
	ret = iotarget_watch_init();
	if (ret)
		goto exit_query;
	ret = iotarget_control_init();
	if (ret)
		goto exit_watch;
	return 0;

exit_watch:
	iotarget_watch_exit();
exit_query:
	iotarget_query_exit();
exit_removal:
	iotarget_removal_exit_module();
exit_requests:
	iotarget_requests_exit();
destroy_slow:
	destroy_workqueue(iotarget_slow_wq);
destroy_fast:
	destroy_workqueue(iotarget_fast_wq);
	return ret;
}

static void __exit iotarget_exit(void)
{
	iotarget_control_exit();
	iotarget_query_exit();
	iotarget_watch_exit();
	iotarget_removal_exit_module();
	/*
	 * No module that uses us is left, and so no open instance.  What the
	 * last ones queued on their way out ends in this order: reconcilers,
	 * the release of devices, an RCU callback, the freeing.
	 */
	flush_workqueue(iotarget_fast_wq);
	flush_workqueue(iotarget_slow_wq);
	rcu_barrier();
	destroy_workqueue(iotarget_slow_wq);
	destroy_workqueue(iotarget_fast_wq);
	iotarget_requests_exit();
}

subsys_initcall(iotarget_init);
module_exit(iotarget_exit);
MODULE_DESCRIPTION("I/O targets: a gate in front of a block device");
MODULE_LICENSE("GPL");
