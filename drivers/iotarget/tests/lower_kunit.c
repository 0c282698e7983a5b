// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of lower.c: who may have a device open beside whom, and the object
 * that holds the claim.  The devices are made up, as nobody looks at more of
 * them than which disk they are on, and which part of it they are.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <kunit/test.h>
#include <linux/blkdev.h>

#include "fake.h"

#define ALL	(IOTARGET_SHARE_READ | IOTARGET_SHARE_WRITE)

/* Two disks, of which the first has two partitions. */
enum { DISK, PART1, PART2, OTHER_DISK, NR_DEVICES };

struct lower_test {
	struct block_device	bdev[NR_DEVICES];
	struct gendisk		disk[2];
	struct iotarget		*target[2];
	struct iotarget_use	use[2];
};

static int lower_init(struct kunit *test)
{
	struct lower_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	for (i = 0; i < NR_DEVICES; i++)
		t->bdev[i].bd_disk = &t->disk[i == OTHER_DISK];
	atomic_set(&t->bdev[PART1].__bd_flags, 1);
	atomic_set(&t->bdev[PART2].__bd_flags, 2);
	for (i = 0; i < ARRAY_SIZE(t->target); i++) {
		t->target[i] = fake_target("lower");
		KUNIT_ASSERT_FALSE(test, IS_ERR(t->target[i]));
	}
	test->priv = t;
	return 0;
}

static void lower_exit(struct kunit *test)
{
	struct lower_test *t = test->priv;
	unsigned int i;

	for (i = 0; t && i < ARRAY_SIZE(t->target); i++)
		iotarget_delete(t->target[i], FAKE_LONG_MS, NULL);
}

static int share(struct lower_test *t, unsigned int i, unsigned int device,
		 u32 access, u32 lets)
{
	t->use[i] = (struct iotarget_use){
		.target = t->target[i],
		.bdev = &t->bdev[device],
		.access = access,
		.share = lets,
	};
	return iotarget_lower_share(&t->use[i]);
}

static void unshare(struct lower_test *t, unsigned int i)
{
	iotarget_lower_unshare(&t->use[i]);
}

/* Each must allow what the other does, whoever came first. */
static void each_must_allow_the_other(struct kunit *test)
{
	struct lower_test *t = test->priv;
	u32 a, b, lets_a, lets_b, i;
	int ret, expected;

	for (i = 0; i < ALL * ALL * (ALL + 1) * (ALL + 1); i++) {
		a = 1 + i % ALL;
		b = 1 + i / ALL % ALL;
		lets_a = i / (ALL * ALL) % (ALL + 1);
		lets_b = i / (ALL * ALL * (ALL + 1));
		expected = (a & lets_b) == a && (b & lets_a) == b ? 0 : -EBUSY;
		KUNIT_ASSERT_EQ(test, share(t, 0, DISK, a, lets_a), 0);
		ret = share(t, 1, DISK, b, lets_b);
		KUNIT_EXPECT_EQ_MSG(test, ret, expected,
				    "first %u/%u, second %u/%u", a, lets_a, b,
				    lets_b);
		if (!ret)
			unshare(t, 1);
		unshare(t, 0);
	}
}

/* A disk overlaps its partitions, which do not overlap each other. */
static void disk_and_partitions(struct kunit *test)
{
	static const struct {
		unsigned int	a, b;
		int		expected;
	} pairs[] = {
		{ DISK, DISK, -EBUSY }, { DISK, PART1, -EBUSY },
		{ PART1, DISK, -EBUSY }, { PART1, PART1, -EBUSY },
		{ PART1, PART2, 0 }, { DISK, OTHER_DISK, 0 },
		{ PART1, OTHER_DISK, 0 },
	};
	struct lower_test *t = test->priv;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		KUNIT_ASSERT_EQ(test, share(t, 0, pairs[i].a,
					    IOTARGET_ACCESS_WRITE, 0), 0);
		ret = share(t, 1, pairs[i].b, IOTARGET_ACCESS_WRITE, 0);
		KUNIT_EXPECT_EQ_MSG(test, ret, pairs[i].expected, "pair %u", i);
		if (!ret)
			unshare(t, 1);
		unshare(t, 0);
	}
}

/* An opening that waits for its device to let go is not in its target's way. */
static void earlier_opening_of_the_same_target(struct kunit *test)
{
	struct lower_test *t = test->priv;
	int ret;

	KUNIT_ASSERT_EQ(test, share(t, 0, DISK, IOTARGET_ACCESS_WRITE, 0), 0);
	t->use[1] = t->use[0];
	ret = iotarget_lower_share(&t->use[1]);
	KUNIT_EXPECT_EQ(test, ret, 0);
	unshare(t, 0);
	if (ret)
		return;
	/* The later one still is in everybody else's. */
	t->use[0].target = t->target[1];
	ret = iotarget_lower_share(&t->use[0]);
	KUNIT_EXPECT_EQ(test, ret, -EBUSY);
	if (!ret)
		unshare(t, 0);
	unshare(t, 1);
}

/* One holder for each device, as long as anybody has it. */
static void one_holder_per_device(struct kunit *test)
{
	struct iotarget_lower *a = iotarget_lower_get(MKDEV(240, 0));
	struct iotarget_lower *b = iotarget_lower_get(MKDEV(240, 1));

	KUNIT_ASSERT_NOT_NULL(test, a);
	KUNIT_ASSERT_NOT_NULL(test, b);
	KUNIT_EXPECT_PTR_NE(test, a, b);
	KUNIT_EXPECT_PTR_EQ(test, iotarget_lower_get(MKDEV(240, 0)), a);
	iotarget_lower_put(a);
	KUNIT_EXPECT_PTR_EQ(test, iotarget_lower_get(MKDEV(240, 0)), a);
	iotarget_lower_put(a);
	iotarget_lower_put(a);
	iotarget_lower_put(b);
}

static struct kunit_case lower_cases[] = {
	KUNIT_CASE(each_must_allow_the_other),
	KUNIT_CASE(disk_and_partitions),
	KUNIT_CASE(earlier_opening_of_the_same_target),
	KUNIT_CASE(one_holder_per_device),
	{}
};

static struct kunit_suite lower_suite = {
	.name		= "iotarget_lower",
	.init		= lower_init,
	.exit		= lower_exit,
	.test_cases	= lower_cases,
};

kunit_test_suite(lower_suite);
