// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of races: every call inside every other, at every hook point.
 *
 * Each case is a situation and a first call.  The call runs alone, while the
 * hook points that it and what follows from it pass are recorded.  Then, for
 * each second call and each of these points, it runs again, and the second call
 * runs right there, to its end: in the thread that passes the point, which may
 * be a worker.  What it would wait for may be the very thread that it is in, so
 * it waits for a hundredth of a second only.  The points that the second call
 * passes itself are not hooked.
 *
 * Rows of the matrix that were not run say why: the first call does not pass
 * the point in this situation, the point can't sleep and the second call must,
 * they were left out on demand (race_share), or, where there are several
 * processors, the first call did not pass the point again in a few tries.  The
 * last case looks that no row is without an answer.
 *
 * Context: KUnit, process.  Locks: none.
 */
#include <linux/bitmap.h>
#include <linux/moduleparam.h>

#include "race.h"

/* A row takes a tenth of a second where there are sanitizers and an emulator. */
static unsigned int race_share = 1;
module_param(race_share, uint, 0444);
MODULE_PARM_DESC(race_share,
		 "Unit tests: run one of so many rows of the matrix of races");

/* A row that fails takes long: after so many, leave the rest of the matrix. */
#define ENOUGH	5

/* Runs that miss a point which the first run passed are repeated. */
#define TRIES	3

#define NR_ROWS	(RACE_NR_SCENES * RACE_NR_OPS * RACE_NR_OPS * IOTARGET_NR_HOOKS)

enum row {
	ROW_MISSING,
	ROW_RUN,
	ROW_NOT_PASSED,		/* the first call does not pass the point */
	ROW_CANT_SLEEP,		/* the point can't sleep, the second call must */
	ROW_LEFT_OUT,		/* on demand */
	ROW_MISSED,		/* a worker was faster, or slower, than before */
	NR_ROW_ANSWERS,
};

static u8 rows[RACE_NR_SCENES][RACE_NR_OPS][RACE_NR_OPS][IOTARGET_NR_HOOKS];

static unsigned int failed;
static unsigned int candidates;	/* rows whose point is passed, so far */

struct race_case {
	enum race_scene	scene;
	enum race_op	op;
};

static struct race_case cases[RACE_NR_SCENES * RACE_NR_OPS];

static const char * const hook_names[IOTARGET_NR_HOOKS] = {
	[IOTARGET_HOOK_GATE_ENTERED]	= "gate-entered",
	[IOTARGET_HOOK_GATE_REFUSED]	= "gate-refused",
	[IOTARGET_HOOK_GATE_LEAVE]	= "gate-leave",
	[IOTARGET_HOOK_GATE_SHUT]	= "gate-shut",
	[IOTARGET_HOOK_GATE_KILL]	= "gate-kill",
	[IOTARGET_HOOK_GATE_REVIVE]	= "gate-revive",
	[IOTARGET_HOOK_GATE_DRAIN]	= "gate-drain",
	[IOTARGET_HOOK_GATE_DRAINED]	= "gate-drained",
	[IOTARGET_HOOK_GATE_FAIL]	= "gate-fail",
	[IOTARGET_HOOK_REQ_SEND]	= "req-send",
	[IOTARGET_HOOK_REQ_SUBMIT]	= "req-submit",
	[IOTARGET_HOOK_REQ_SUBMITTED]	= "req-submitted",
	[IOTARGET_HOOK_REQ_DONE]	= "req-done",
	[IOTARGET_HOOK_REQ_FINISH]	= "req-finish",
	[IOTARGET_HOOK_REQ_CANCEL]	= "req-cancel",
	[IOTARGET_HOOK_REQ_TIMEOUT]	= "req-timeout",
	[IOTARGET_HOOK_OPENED]		= "opened",
	[IOTARGET_HOOK_FINISH]		= "finish",
};

/* The run that is under way. */
static struct {
	struct race		race;
	DECLARE_BITMAP(passed, IOTARGET_NR_HOOKS);
	bool			record;
	bool			fired;
	bool			busy;
	bool			cant_sleep;
	enum iotarget_hook_point point;
	enum race_op		second;
} now;

static void race_hook(enum iotarget_hook_point point, void *arg)
{
	if (now.record) {
		if (point < IOTARGET_NR_HOOKS)
			__set_bit(point, now.passed);
		return;
	}
	if (now.fired || point != now.point)
		return;
	now.fired = true;
	now.busy = true;
	now.cant_sleep = !preemptible() && race_op_waits(now.second);
	if (!now.cant_sleep)
		race_call(&now.race, now.second, true);
	WRITE_ONCE(now.busy, false);
}

/* The first call, and all that the workers do because of it. */
static void run_first(struct kunit *test, enum race_op op)
{
	iotarget_hook_handler = race_hook;
	race_call(&now.race, op, false);
	fake_settle(now.race.target);
	/* The second call may be in a worker of an instance that is detached. */
	KUNIT_EXPECT_TRUE(test, fake_until(!READ_ONCE(now.busy)));
	fake_settle(now.race.target);
	iotarget_hook_handler = NULL;
}

static void record(struct kunit *test, const struct race_case *c)
{
	bitmap_zero(now.passed, IOTARGET_NR_HOOKS);
	race_begin(test, &now.race, c->scene, c->op);
	now.record = true;
	run_first(test, c->op);
	now.record = false;
	failed += !race_end(test, &now.race, c->op, RACE_NR_OPS, "no point");
}

static enum row run_row(struct kunit *test, const struct race_case *c,
			enum race_op second, enum iotarget_hook_point point)
{
	unsigned int try;

	for (try = 0; try < TRIES; try++) {
		now.fired = false;
		now.cant_sleep = false;
		now.point = point;
		now.second = second;
		race_begin(test, &now.race, c->scene, c->op);
		run_first(test, c->op);
		failed += !race_end(test, &now.race, c->op,
				    now.fired && !now.cant_sleep ? second :
								   RACE_NR_OPS,
				    hook_names[point]);
		if (now.fired)
			return now.cant_sleep ? ROW_CANT_SLEEP : ROW_RUN;
	}
	if (num_online_cpus() > 1)
		return ROW_MISSED;
	KUNIT_FAIL(test, "%s: %s with %s: does not pass %s any more",
		   race_scene_name(c->scene), race_op_name(c->op),
		   race_op_name(second), hook_names[point]);
	return ROW_MISSING;
}

static enum row find_answer(struct kunit *test, const struct race_case *c,
			    enum race_op second, enum iotarget_hook_point point)
{
	if (!test_bit(point, now.passed))
		return ROW_NOT_PASSED;
	if (race_share > 1 && candidates++ % race_share)
		return ROW_LEFT_OUT;
	return run_row(test, c, second, point);
}

static void every_second_at_every_point(struct kunit *test)
{
	const struct race_case *c = test->param_value;
	unsigned int count[NR_ROW_ANSWERS] = { };
	unsigned int second, point;
	u8 *row;

	if (failed >= ENOUGH)
		kunit_skip(test, "%u rows have failed", failed);
	record(test, c);
	for (second = 0; second < RACE_NR_OPS; second++) {
		for (point = 0; point < IOTARGET_NR_HOOKS; point++) {
			if (failed >= ENOUGH)
				break;
			row = &rows[c->scene][c->op][second][point];
			*row = find_answer(test, c, second, point);
			count[*row]++;
		}
	}
	kunit_info(test, "run %u, point not passed %u, can't sleep there %u, left out %u, missed %u\n",
		   count[ROW_RUN], count[ROW_NOT_PASSED],
		   count[ROW_CANT_SLEEP], count[ROW_LEFT_OUT],
		   count[ROW_MISSED]);
}

/* No row without an answer, and no point that nobody ever passes. */
static void no_row_is_missing(struct kunit *test)
{
	DECLARE_BITMAP(reached, IOTARGET_NR_HOOKS) = { };
	unsigned int count[NR_ROW_ANSWERS] = { };
	const u8 *row = &rows[0][0][0][0];
	unsigned int i;

	for (i = 0; i < NR_ROWS; i++) {
		count[row[i]]++;
		if (row[i] == ROW_RUN || row[i] == ROW_LEFT_OUT ||
		    row[i] == ROW_MISSED)
			__set_bit(i % IOTARGET_NR_HOOKS, reached);
	}
	if (!count[ROW_RUN])
		kunit_skip(test, "the matrix was not run");
	KUNIT_EXPECT_EQ(test, count[ROW_MISSING], 0);
	KUNIT_EXPECT_EQ(test, count[ROW_RUN] + count[ROW_NOT_PASSED] +
			      count[ROW_CANT_SLEEP] + count[ROW_LEFT_OUT] +
			      count[ROW_MISSED], NR_ROWS);
	/* Some are, where timing decides what is passed; not most. */
	KUNIT_EXPECT_LT(test, count[ROW_MISSED], count[ROW_RUN]);
	/* With several processors some are passed only when timing has it so. */
	for_each_clear_bit(i, reached, IOTARGET_NR_HOOKS) {
		if (num_online_cpus() > 1)
			kunit_info(test, "no call passes %s\n", hook_names[i]);
		else
			KUNIT_FAIL(test, "no call passes %s", hook_names[i]);
	}
	kunit_info(test, "rows %u: run %u, point not passed %u, can't sleep there %u, left out %u, missed %u\n",
		   NR_ROWS, count[ROW_RUN], count[ROW_NOT_PASSED],
		   count[ROW_CANT_SLEEP], count[ROW_LEFT_OUT],
		   count[ROW_MISSED]);
}

static void case_name(struct race_case *c, char *desc)
{
	const unsigned int i = c - cases;

	c->scene = i / RACE_NR_OPS;
	c->op = i % RACE_NR_OPS;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s/%s",
		 race_scene_name(c->scene), race_op_name(c->op));
}

KUNIT_ARRAY_PARAM(race, cases, case_name);

static void race_exit(struct kunit *test)
{
	iotarget_hook_handler = NULL;
}

static struct kunit_case race_cases[] = {
	KUNIT_CASE_PARAM(every_second_at_every_point, race_gen_params),
	KUNIT_CASE(no_row_is_missing),
	{}
};

static struct kunit_suite race_suite = {
	.name		= "iotarget_race",
	.exit		= race_exit,
	.test_cases	= race_cases,
};

kunit_test_suite(race_suite);
