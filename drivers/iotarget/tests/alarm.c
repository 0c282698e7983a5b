// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotarget_alarm: plant a fault, to prove that the test environment sees it.
 *
 * A sanitizer that is not there, or a log that nobody reads, lets every test
 * pass.  So each environment plants the faults that it claims to see, and its
 * log must raise the alarm that belongs to each.  Nothing is planted unless the
 * parameter "fault" names it.
 *
 * Context: process.  Locks: two of its own, taken in both orders.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "fault to plant; see faults[] for their names");

static void plant_kasan(void)
{
	char *p = kmalloc(16, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	kfree(p);
	OPTIMIZER_HIDE_VAR(p);
	if (p)
		pr_info("read after free: %d\n", READ_ONCE(p[3]));
}

static void plant_lockdep(void)
{
	static DEFINE_MUTEX(a);
	static DEFINE_MUTEX(b);

	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);
	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
}

static void plant_atomic(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	might_sleep();
	spin_unlock(&lock);
}

static void plant_warn(void)
{
	WARN(1, "planted\n");
}

/* Blocked for longer than the ten seconds that the environments allow. */
static void plant_hung(void)
{
	static DECLARE_COMPLETION(never);

	wait_for_completion_timeout(&never, 25 * HZ);
}

/* Nothing points to it any more, not even this stack. */
static noinline void plant_kmemleak(void)
{
	char *p = kmalloc(1000, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	if (p)
		memset(p, 1, 1000);
}

static void plant_ubsan(void)
{
	static int table[4];
	int at = 4;

	OPTIMIZER_HIDE_VAR(at);
	pr_info("beyond the end: %d\n", table[at]);
}

struct planted {
	struct timer_list timer;
};

static void planted_timer(struct timer_list *timer)
{
}

/* Memory is freed with a timer running in it. */
static void plant_odebug(void)
{
	struct planted *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return;
	timer_setup(&p->timer, planted_timer, 0);
	mod_timer(&p->timer, jiffies + 3600 * HZ);
	kfree(p);
}

static int planted_race;

static int racer(void *unused)
{
	while (!kthread_should_stop()) {
		planted_race++;
		cond_resched();
	}
	return 0;
}

static void plant_kcsan(void)
{
	struct task_struct *tasks[2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tasks); i++)
		tasks[i] = kthread_run(racer, NULL, "iotarget_race%u", i);
	msleep(3000);
	for (i = 0; i < ARRAY_SIZE(tasks); i++)
		if (!IS_ERR(tasks[i]))
			kthread_stop(tasks[i]);
}

static const struct {
	const char *name;
	void (*plant)(void);
} faults[] = {
	{ "kasan",	plant_kasan },
	{ "lockdep",	plant_lockdep },
	{ "atomic",	plant_atomic },
	{ "warn",	plant_warn },
	{ "hung",	plant_hung },
	{ "kmemleak",	plant_kmemleak },
	{ "ubsan",	plant_ubsan },
	{ "odebug",	plant_odebug },
	{ "kcsan",	plant_kcsan },
};

static int plant(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!strcmp(fault, faults[i].name)) {
			pr_info("iotarget_alarm: planting %s\n", fault);
			faults[i].plant();
			return 0;
		}
	}
	return -EINVAL;
}

#if IS_ENABLED(CONFIG_KUNIT)
#include <kunit/test.h>

static void iotarget_alarm_plant(struct kunit *test)
{
	if (!*fault)
		kunit_skip(test, "no fault named");
	KUNIT_EXPECT_EQ(test, plant(), 0);
}

static struct kunit_case iotarget_alarm_cases[] = {
	KUNIT_CASE(iotarget_alarm_plant),
	{}
};

static struct kunit_suite iotarget_alarm_suite = {
	.name		= "iotarget_alarm",
	.test_cases	= iotarget_alarm_cases,
};

kunit_test_suite(iotarget_alarm_suite);
#else
static int __init iotarget_alarm_init(void)
{
	return *fault ? plant() : 0;
}

static void __exit iotarget_alarm_exit(void)
{
}

module_init(iotarget_alarm_init);
module_exit(iotarget_alarm_exit);
#endif

MODULE_DESCRIPTION("Plants faults that a test environment must notice");
MODULE_LICENSE("GPL");
