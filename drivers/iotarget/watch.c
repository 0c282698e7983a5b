// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disks of the machine, and what tells that one goes.
 *
 * Linux has no single place that says "this disk is about to go": what a bus,
 * the driver core, the block layer and a failed request know comes at different
 * moments, and on no bus does all of it come.  So there are several sources,
 * in any order and number, and each only raises the level of a disk or of its
 * targets (removal.c):
 *
 *   a consumer	a device of our own, linked to each bound ancestor of the disk
 *		as one that depends on it.  The driver core unbinds it before
 *		it unbinds the ancestor: where there is a moment in which a
 *		device that is about to go still answers, this is it.
 *   mark_dead	of those who claimed the device (holder.c)
 *   the block class	a disk or partition leaves it: it is gone for good
 *   a request	that failed as requests to a lost device do
 *
 * A watch is a disk and its ancestors.  There is one for each disk, made when the
 * disk enters the class, as there alone its parents are certain; its consumer is
 * made when a target first opens the disk.
 *
 * Context: process.  Lock: iotarget_lowers_lock.  Waiting, for the targets to be
 * done with a device that still answers, has one limit for all of them, and is done
 * with no lock of ours.
 */
#include <linux/blkdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/usb.h>
#include <scsi/scsi_device.h>

#include "devices.h"

/* How long a removal that can't be refused is held up for a last flush. */
#define NOTICE_MS	5000

/* More ancestors with drivers no disk is known to have. */
#define MAX_LINKS	16

static LIST_HEAD(watches);
static u64 arrivals;		/* so far; with iotarget_lowers_lock */
static struct class_interface block_interface;
static DECLARE_WAIT_QUEUE_HEAD(noticed);

/**
 * iotarget_watch_is_kind - is a device one of that kind?
 * @dev: the device
 * @bus: the name of its bus
 * @type: the name of its type, or NULL for any
 *
 * Context: any.
 * Return: true if so.
 */
bool iotarget_watch_is_kind(const struct device *dev, const char *bus,
			    const char *type)
{
	return dev->bus && !strcmp(dev->bus->name, bus) &&
	       (!type || (dev->type && dev->type->name &&
			  !strcmp(dev->type->name, type)));
}

/* For good; that a device does not answer may have many reasons. */
static bool device_gone(struct device *dev)
{
#if IS_ENABLED(CONFIG_USB)
	if (iotarget_watch_is_kind(dev, "usb", "usb_device"))
		return to_usb_device(dev)->state == USB_STATE_NOTATTACHED;
#endif
#if IS_ENABLED(CONFIG_SCSI)
	if (iotarget_watch_is_kind(dev, "scsi", "scsi_device")) {
		const enum scsi_device_state state =
			READ_ONCE(to_scsi_device(dev)->sdev_state);

		return state == SDEV_CANCEL || state == SDEV_DEL;
	}
#endif
#if IS_ENABLED(CONFIG_PCI)
	if (iotarget_watch_is_kind(dev, "pci", NULL)) {
		struct pci_dev *pdev = to_pci_dev(dev);
		const pci_channel_state_t state = READ_ONCE(pdev->error_state);

		/* One that is being reset, or recovered, does not answer for a while. */
		return state == pci_channel_io_perm_failure ||
		       (state != pci_channel_io_frozen &&
			pdev->current_state != PCI_D3cold &&
			!pdev->block_cfg_access &&
			!pci_device_is_present(pdev));
	}
#endif
	return false;
}

/* What the buses say: a failed request alone tells nothing. */
static bool is_gone(const struct iotarget_watch *watch)
{
	unsigned int i;

	lockdep_assert_held(&iotarget_lowers_lock);
	/* It is in the class as long as the watch is in the list. */
	if (list_empty(&watch->node) ||
	    test_bit(GD_DEAD, &watch->disk->state))
		return true;
	for (i = 0; i < watch->nr; i++) {
		if (device_gone(watch->chain[i]))
			return true;
	}
	return false;
}

static struct iotarget_watch *find(const struct gendisk *disk)
{
	struct iotarget_watch *watch;

	lockdep_assert_held(&iotarget_lowers_lock);
	list_for_each_entry(watch, &watches, node) {
		if (watch->disk == disk)
			return watch;
	}
	return NULL;
}

static void watch_free(struct kref *refs)
{
	kfree(container_of(refs, struct iotarget_watch, refs));
}

/**
 * iotarget_watch_put - drop a reference
 * @watch: the watch, or NULL
 *
 * Context: any.
 */
void iotarget_watch_put(struct iotarget_watch *watch)
{
	if (watch)
		kref_put(&watch->refs, watch_free);
}

/**
 * iotarget_watch_ref - take a reference
 * @watch: the watch, or NULL
 *
 * Context: any.
 * Return: @watch.
 */
struct iotarget_watch *iotarget_watch_ref(struct iotarget_watch *watch)
{
	if (watch)
		kref_get(&watch->refs);
	return watch;
}

/**
 * iotarget_watch_get - the watch of a disk
 * @disk: the disk
 *
 * Context: process; sleeps.
 * Return: with a reference, or NULL for a disk that is gone, or that there was
 * no memory to watch.
 */
struct iotarget_watch *iotarget_watch_get(const struct gendisk *disk)
{
	struct iotarget_watch *watch;

	mutex_lock(&iotarget_lowers_lock);
	watch = iotarget_watch_ref(find(disk));
	mutex_unlock(&iotarget_lowers_lock);
	return watch;
}

/**
 * iotarget_watch_is_block - is it a disk or a partition?
 * @dev: a device
 *
 * Context: any.
 * Return: true if so.
 */
bool iotarget_watch_is_block(const struct device *dev)
{
	return dev->class == block_interface.class;
}

static bool below(const struct iotarget_watch *watch, const struct device *dev)
{
	unsigned int i;

	for (i = 0; i < watch->nr; i++) {
		if (watch->chain[i] == dev)
			return true;
	}
	/* Itself, or a part of it. */
	return iotarget_watch_is_block(dev) &&
	       dev_to_bdev(dev)->bd_disk == watch->disk;
}

/**
 * iotarget_watch_next - the disks that go with a device, one after the other
 * @after: the one before, whose reference goes, or NULL
 * @dev: the device: an ancestor of disks, a disk or a partition; NULL: all disks
 *
 * If the one before goes meanwhile, the walk begins anew.
 *
 * Context: process; sleeps.
 * Return: with a reference, or NULL.
 */
struct iotarget_watch *iotarget_watch_next(struct iotarget_watch *after,
					   const struct device *dev)
{
	struct iotarget_watch *watch, *found = NULL;

	mutex_lock(&iotarget_lowers_lock);
	watch = after && !list_empty(&after->node) ? after :
		list_entry(&watches, struct iotarget_watch, node);
	list_for_each_entry_continue(watch, &watches, node) {
		if (!dev || below(watch, dev)) {
			found = iotarget_watch_ref(watch);
			break;
		}
	}
	mutex_unlock(&iotarget_lowers_lock);
	iotarget_watch_put(after);
	return found;
}

/**
 * iotarget_watch_arrivals - how many disks have entered the system so far
 *
 * Context: process, with iotarget_lowers_lock.
 * Return: the &iotarget_watch.arrival of the last one.
 */
u64 iotarget_watch_arrivals(void)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	return arrivals;
}

/**
 * iotarget_watch_hold - keep the disk of a watch in memory
 * @watch: the watch
 *
 * Context: process; sleeps.
 * Return: the disk, with a reference of its device; NULL if it has left already.
 */
struct gendisk *iotarget_watch_hold(struct iotarget_watch *watch)
{
	struct gendisk *disk = NULL;

	mutex_lock(&iotarget_lowers_lock);
	if (!list_empty(&watch->node)) {
		disk = watch->disk;
		get_device(disk_to_dev(disk));
	}
	mutex_unlock(&iotarget_lowers_lock);
	return disk;
}

static struct device *ancestor(const struct gendisk *disk, const char *bus,
			       const char *name)
{
	struct device *dev = ERR_PTR(-ENXIO);
	struct iotarget_watch *watch;
	unsigned int i;

	/* As long as it is in the list, its ancestors are on their buses. */
	mutex_lock(&iotarget_lowers_lock);
	watch = find(disk);
	for (i = 0; watch && i < watch->nr; i++) {
		if (iotarget_watch_is_kind(watch->chain[i], bus, NULL) &&
		    !strcmp(dev_name(watch->chain[i]), name)) {
			dev = get_device(watch->chain[i]);
			break;
		}
	}
	mutex_unlock(&iotarget_lowers_lock);
	return dev;
}

/**
 * iotarget_watch_find - find a disk or partition, or a device above it
 * @devt: the disk or partition, which is not opened
 * @bus: the name of the bus of the device above it, or NULL for itself
 * @name: the name that the device has there
 *
 * Context: process; sleeps.
 * Return: the device, with a reference; or an ERR_PTR: -ENODEV: there is no such disk
 * or partition; -ENXIO: there is no such device above it.
 */
struct device *iotarget_watch_find(dev_t devt, const char *bus,
				   const char *name)
{
	struct device *above, *dev;

	dev = class_find_device_by_devt(block_interface.class, devt);
	if (!dev)
		return ERR_PTR(-ENODEV);
	if (!bus)
		return dev;
	above = ancestor(dev_to_bdev(dev)->bd_disk, bus, name);
	put_device(dev);
	return above;
}

/* -- what is told ---------------------------------------------------------- */

/*
 * The highest of the ancestors that are losing their drivers right now, or NULL.  The
 * driver core notes that of an ancestor before it unbinds the first of its consumers,
 * and takes it back when the driver has returned.
 */
static struct device *unbinding(const struct iotarget_watch *watch)
{
	unsigned int i = watch->nr;

	lockdep_assert_held(&iotarget_lowers_lock);
	while (i--) {
		if (READ_ONCE(watch->chain[i]->links.status) ==
		    DL_DEV_UNBINDING)
			return watch->chain[i];
	}
	return NULL;
}

/**
 * iotarget_watch_level - how far the removal of a disk has come
 * @watch: its watch, or NULL
 *
 * An ancestor may lose its driver and the disk stay all the same.  But as long as the
 * driver is about to go, with all the disks that it has, nothing has stayed yet.
 *
 * Context: process, with iotarget_lowers_lock.
 * Return: how far.
 */
enum iotarget_removal_level iotarget_watch_level(struct iotarget_watch *watch)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	if (!watch)
		return IOTARGET_REMOVAL_NONE;
	if (watch->level == IOTARGET_REMOVAL_ORDERLY &&
	    time_after(jiffies, watch->deadline + msecs_to_jiffies(NOTICE_MS)) &&
	    !unbinding(watch) &&
	    /* A disk without hardware goes without a driver's leave, and may take long. */
	    (list_empty(&watch->node) || disk_live(watch->disk))) {
		watch->level = IOTARGET_REMOVAL_NONE;
		iotarget_removal_lapsed(watch->disk);
	}
	return watch->level;
}

/**
 * iotarget_watch_agreed - have the targets of a device agreed to its removal?
 * @watch: of its disk, or NULL
 * @bdev: the device
 *
 * Context: process, with iotarget_lowers_lock.
 * Return: true if so: nobody may open it.
 */
bool iotarget_watch_agreed(const struct iotarget_watch *watch,
			   const struct block_device *bdev)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	if (!watch || !watch->agreed)
		return false;
	return !watch->agreed_part || watch->agreed_part == bdev ||
	       bdev == bdev->bd_disk->part0;
}

/**
 * iotarget_watch_noticed - a target is through with what it was told
 * @watch: the watch
 *
 * Context: process, with iotarget_lowers_lock.
 */
void iotarget_watch_noticed(struct iotarget_watch *watch)
{
	lockdep_assert_held(&iotarget_lowers_lock);
	WRITE_ONCE(watch->noticing, watch->noticing - 1);
	wake_up_all(&noticed);
}

/*
 * Whoever removes the device goes on when this returns: all targets at once have
 * until the deadline, which the first of several events of one removal has set, for
 * all disks that go with it.
 */
static void wait_noticed(struct iotarget_watch *watch)
{
	unsigned long deadline = READ_ONCE(watch->deadline);
	long left = deadline - jiffies;

	if (left > 0)
		wait_event_timeout(noticed, !READ_ONCE(watch->noticing), left);
	if (READ_ONCE(watch->noticing))
		pr_warn_ratelimited("iotarget: %s is removed before its targets are ready\n",
				    watch->name);
}

static void raise_level(struct iotarget_watch *watch, unsigned long deadline)
{
	enum iotarget_removal_level level = IOTARGET_REMOVAL_ORDERLY;

	/* A disk without capacity does not fail a request, it refuses it. */
	if (is_gone(watch) || !get_capacity(watch->disk))
		level = IOTARGET_REMOVAL_SURPRISE;
	if (iotarget_watch_level(watch) < IOTARGET_REMOVAL_ORDERLY)
		watch->deadline = deadline;
	watch->level = max(watch->level, level);
	iotarget_removal_tell(watch->disk, NULL, watch->level);
}

/*
 * Each of them is about to have an event of its own, one after the other: told at once
 * they have the same time, and not each its own after that of the one before.
 */
static void raise_all_below(const struct device *dev, unsigned long deadline)
{
	struct iotarget_watch *watch;

	lockdep_assert_held(&iotarget_lowers_lock);
	list_for_each_entry(watch, &watches, node) {
		if (below(watch, dev) && iotarget_watch_level(watch) <
					 IOTARGET_REMOVAL_ORDERLY)
			raise_level(watch, deadline);
	}
}

/* An ancestor is about to lose its driver, or the disk is about to be dead. */
static void about_to_go(struct iotarget_watch *watch)
{
	const unsigned long deadline = jiffies + msecs_to_jiffies(NOTICE_MS);
	enum iotarget_removal_level level = IOTARGET_REMOVAL_NONE;
	struct device *top;

	mutex_lock(&iotarget_lowers_lock);
	/* Once it has left, the address of the disk may be another one's. */
	if (list_empty(&watch->node))
		goto out;
	raise_level(watch, deadline);
	level = watch->level;
	top = unbinding(watch);
	if (top)
		raise_all_below(top, deadline);
out:
	mutex_unlock(&iotarget_lowers_lock);
	/* A device that is gone gives back what it has when we return. */
	if (level == IOTARGET_REMOVAL_ORDERLY)
		wait_noticed(watch);
}

/**
 * iotarget_watch_dead - the block layer gives a device up
 * @bdev: the device
 * @surprise: its driver says that it is gone already
 *
 * The driver of an orderly removal may still serve it, and on some buses this is
 * the only moment to know.  Of a medium that is taken out of a drive nothing else
 * is ever heard, as the disk stays, nor of a disk without hardware, which may be left
 * there for as long as somebody wants to see that it is dead.
 *
 * Context: process; sleeps for as long as targets have to be ready for a removal.
 */
void iotarget_watch_dead(struct block_device *bdev, bool surprise)
{
	struct iotarget_watch *watch;

	if (surprise && (!test_bit(GD_DEAD, &bdev->bd_disk->state) ||
			 !disk_to_dev(bdev->bd_disk)->parent)) {
		mutex_lock(&iotarget_lowers_lock);
		iotarget_removal_tell(bdev->bd_disk, NULL,
				      IOTARGET_REMOVAL_COMPLETE);
		mutex_unlock(&iotarget_lowers_lock);
		return;
	}
	watch = iotarget_watch_get(bdev->bd_disk);
	if (!watch)
		return;
	about_to_go(watch);
	iotarget_watch_put(watch);
}

/**
 * iotarget_watch_suspect - requests to a disk fail as if it were gone
 * @watch: its watch, or NULL
 *
 * Context: process; sleeps.
 */
void iotarget_watch_suspect(struct iotarget_watch *watch)
{
	if (!watch)
		return;
	mutex_lock(&iotarget_lowers_lock);
	if (list_empty(&watch->node))
		goto out;
	if (is_gone(watch)) {
		watch->level = max(watch->level, IOTARGET_REMOVAL_SURPRISE);
		iotarget_removal_tell(watch->disk, NULL, watch->level);
	} else if (!get_capacity(watch->disk)) {
		/* The medium may be back for those who open it later. */
		iotarget_removal_tell(watch->disk, NULL,
				      IOTARGET_REMOVAL_SURPRISE);
	}
out:
	mutex_unlock(&iotarget_lowers_lock);
}

/* -- the consumer ---------------------------------------------------------- */

/*
 * The driver core binds it when its suppliers, the ancestors, are bound, and unbinds it
 * before the first of them loses its driver.
 */
static int consumer_probe(struct platform_device *consumer)
{
	/* Once it was unbound it knows nothing any more. */
	return platform_get_drvdata(consumer) ? 0 : -ENODEV;
}

/* With locks of devices above the one that goes; not that of its own. */
static void consumer_remove(struct platform_device *consumer)
{
	about_to_go(platform_get_drvdata(consumer));
}

static struct platform_driver consumer_driver = {
	.probe	= consumer_probe,
	.remove	= consumer_remove,
	.driver	= {
		.name			= "iotarget",
		.suppress_bind_attrs	= true,
	},
};

static void consumer_unregister(struct work_struct *work)
{
	struct iotarget_watch *watch = container_of(work, struct iotarget_watch,
						    drop);

	/* Its memory is the driver core's affair, and may be used for a while. */
	platform_device_unregister(watch->consumer);
	iotarget_watch_put(watch);
}

/* The ancestors that can lose a driver, each with a reference. */
static unsigned int hold_chain(struct iotarget_watch *watch,
			       struct device *chain[], unsigned int max)
{
	unsigned int i, nr = 0;

	mutex_lock(&iotarget_lowers_lock);
	for (i = 0; i < watch->nr && nr < max; i++) {
		if (READ_ONCE(watch->chain[i]->driver))
			chain[nr++] = get_device(watch->chain[i]);
	}
	mutex_unlock(&iotarget_lowers_lock);
	return nr;
}

/* Linked before it is there, it is never bound without its suppliers. */
static struct platform_device *consumer_make(struct iotarget_watch *watch)
{
	struct device *chain[MAX_LINKS];
	struct platform_device *consumer;
	unsigned int i, nr;

	consumer = platform_device_alloc("iotarget", PLATFORM_DEVID_AUTO);
	if (!consumer)
		return NULL;
	platform_set_drvdata(consumer, watch);
	/* For the names of the links. */
	if (dev_set_name(&consumer->dev, "iotarget.%s.%llu", watch->name,
			 watch->diskseq))
		goto put_consumer;
	nr = hold_chain(watch, chain, ARRAY_SIZE(chain));
	for (i = 0; i < nr; i++)
		device_link_add(&consumer->dev, chain[i], 0);
	if (platform_device_add(consumer)) {
		for (i = 0; i < nr; i++)
			device_link_remove(&consumer->dev, chain[i]);
		platform_device_put(consumer);
		consumer = NULL;
	}
	for (i = 0; i < nr; i++)
		put_device(chain[i]);
	return consumer;

put_consumer:
	platform_device_put(consumer);
	return NULL;
}

/**
 * iotarget_watch_arm - a disk is in use: have its ancestors tell when they go
 * @watch: its watch, or NULL
 *
 * Without memory the other sources have to do.
 *
 * Context: process; sleeps.
 */
void iotarget_watch_arm(struct iotarget_watch *watch)
{
	struct platform_device *consumer;
	bool first, gone;

	if (!watch)
		return;
	mutex_lock(&iotarget_lowers_lock);
	first = !watch->armed && watch->nr && !list_empty(&watch->node);
	watch->armed |= first;
	mutex_unlock(&iotarget_lowers_lock);
	if (!first)
		return;
	iotarget_watch_ref(watch);
	consumer = consumer_make(watch);
	if (!consumer) {
		iotarget_watch_put(watch);
		return;
	}
	mutex_lock(&iotarget_lowers_lock);
	watch->consumer = consumer;
	gone = list_empty(&watch->node);
	mutex_unlock(&iotarget_lowers_lock);
	/* Whoever left meanwhile has found no consumer. */
	if (gone)
		queue_work(iotarget_slow_wq, &watch->drop);
}

/* -- the block class -------------------------------------------------------- */

static struct iotarget_watch *watch_alloc(struct gendisk *disk)
{
	struct iotarget_watch *watch;
	unsigned int nr = 0;
	struct device *dev;

	for (dev = disk_to_dev(disk)->parent; dev; dev = dev->parent)
		nr++;
	/* What would free memory may wait for a removal that waits for us. */
	watch = kzalloc(struct_size(watch, chain, nr), GFP_NOIO);
	if (!watch)
		return NULL;
	kref_init(&watch->refs);
	INIT_WORK(&watch->drop, consumer_unregister);
	watch->disk = disk;
	watch->diskseq = disk->diskseq;
	strscpy(watch->name, disk->disk_name, sizeof(watch->name));
	for (dev = disk_to_dev(disk)->parent; dev; dev = dev->parent)
		watch->chain[watch->nr++] = get_device(dev);
	return watch;
}

/* With the mutex of the class, which keeps the parents of who enters or leaves. */
static int block_added(struct device *dev)
{
	struct block_device *bdev = dev_to_bdev(dev);
	struct iotarget_watch *watch;

	watch = bdev_is_partition(bdev) ? NULL : watch_alloc(bdev->bd_disk);
	if (watch) {
		mutex_lock(&iotarget_lowers_lock);
		watch->arrival = ++arrivals;
		list_add_tail(&watch->node, &watches);
		mutex_unlock(&iotarget_lowers_lock);
	}
	iotarget_away_arrived();
	return 0;
}

/* It is gone: nothing of it is to be kept. */
static unsigned int watch_unlist(struct iotarget_watch *watch)
{
	const unsigned int nr = watch->nr;

	lockdep_assert_held(&iotarget_lowers_lock);
	watch->level = IOTARGET_REMOVAL_COMPLETE;
	watch->nr = 0;
	list_del_init(&watch->node);
	if (watch->consumer)
		queue_work(iotarget_slow_wq, &watch->drop);
	return nr;
}

/* The same, and for a partition maybe with the disk's open_mutex: no waiting. */
static void block_removed(struct device *dev)
{
	struct block_device *bdev = dev_to_bdev(dev);
	struct block_device *part = bdev_is_partition(bdev) ? bdev : NULL;
	struct iotarget_watch *watch;
	unsigned int i, nr = 0;

	mutex_lock(&iotarget_lowers_lock);
	iotarget_removal_tell(bdev->bd_disk, part, IOTARGET_REMOVAL_COMPLETE);
	watch = find(bdev->bd_disk);
	if (watch)
		iotarget_query_gone(watch, part);
	if (watch && !part)
		nr = watch_unlist(watch);
	mutex_unlock(&iotarget_lowers_lock);
	if (!watch || part)
		return;
	for (i = 0; i < nr; i++)
		put_device(watch->chain[i]);
	iotarget_watch_put(watch);
}

static struct class_interface block_interface = {
	.add_dev	= block_added,
	.remove_dev	= block_removed,
};

/**
 * iotarget_watch_init - begin to watch
 *
 * Context: module load.
 * Return: 0 or a negative errno.
 */
int iotarget_watch_init(void)
{
	struct gendisk *disk;
	int ret;

	ret = platform_driver_register(&consumer_driver);
	if (ret)
		return ret;
	/* The class has no name for us, but each disk knows it. */
	disk = blk_alloc_disk(NULL, NUMA_NO_NODE);
	if (IS_ERR(disk)) {
		ret = PTR_ERR(disk);
		goto unregister_driver;
	}
	block_interface.class = disk_to_dev(disk)->class;
	put_disk(disk);
	ret = class_interface_register(&block_interface);
	if (!ret)
		return 0;
unregister_driver:
	platform_driver_unregister(&consumer_driver);
	return ret;
}

/**
 * iotarget_watch_exit - end it
 *
 * Context: module unload, with no device open; sleeps.
 */
void iotarget_watch_exit(void)
{
	class_interface_unregister(&block_interface);
	/* The consumers go by it. */
	flush_workqueue(iotarget_slow_wq);
	platform_driver_unregister(&consumer_driver);
}
