# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of removals: every cell has an answer, and a cell without a result is red."""

import dataclasses
import unittest

from . import cells, disks
from .cells import CELLS, Cell
from .environments import ENVIRONMENTS, by_name
from .ktap import FAILED, PASSED, SKIPPED, Test
from .stock import StockRunner

SOURCE = '''
FIXTURE(pull) {
	int fd;
};

FIXTURE_VARIANT_ADD(pull, stick) { "usb1", 1 };
FIXTURE_VARIANT_ADD(pull, own) {
	.how = NOT_BY_HOST,
};

TEST_F_TIMEOUT(pull, idle, 60)
{
}

TEST_F(other, plain)
{
}

TEST(alone)
{
}
'''


class Table(unittest.TestCase):
    def test_there_are_as_many_as_there_have_to_be(self):
        self.assertEqual(8 * 14, len(CELLS))
        self.assertEqual(len(CELLS), len({cell.name for cell in CELLS}))

    def test_each_has_a_test_or_a_reason_and_not_both(self):
        for cell in CELLS:
            self.assertNotEqual(bool(cell.tests), bool(cell.reason), cell.name)

    def test_each_test_that_is_named_is_there(self):
        known = cells.sources()
        for cell in CELLS:
            for test in cell.tests:
                self.assertTrue(test in known, f"{cell.name}: there is no {test}")

    def test_what_is_said_of_a_cell_is_said_of_one_that_there_is(self):
        there = {(cell.device, cell.event) for cell in CELLS}
        self.assertLessEqual(set(cells.IMPOSSIBLE) | set(cells.MORE), there)
        self.assertFalse(set(cells.IMPOSSIBLE) & set(cells.MORE))
        self.assertLessEqual(set(cells.PULLED), set(cells.EVENTS))
        self.assertLessEqual(set(cells.UNPLUGGED), set(cells.DEVICES))

    def test_each_environment_with_disks_shows_each_cell_that_can_be(self):
        known = cells.sources()
        for env in ENVIRONMENTS:
            if cells.possible(env):
                for cell in CELLS:
                    here = [t for t in cell.tests if known.get(t) not in env.without_disks]
                    self.assertTrue(here or cell.reason, f"{env.name}: {cell.name}")


class Sources(unittest.TestCase):
    def test_names_as_the_harness_has_them(self):
        self.assertEqual({"p.pull.stick.idle": "usb1", "p.pull.own.idle": "",
                          "p.other.plain": "", "p.global.alone": ""},
                         cells.tests_of("p", SOURCE))


class Judged(unittest.TestCase):
    env = by_name("debug")
    known = {"p.f.a.t": "", "p.f.b.t": "nvme1"}

    def judge(self, cell, *results):
        return cells.judge(self.env, [Test(*r) for r in results], self.known, [cell])[0]

    def test_passed(self):
        test = self.judge(Cell("d", "e", ("p.f.a.t",)), ("p.f.a.t", PASSED))
        self.assertEqual((test.name, test.outcome), ("d: e", PASSED))

    def test_without_a_result_it_is_red_by_its_name(self):
        test = self.judge(Cell("d", "e", ("p.f.a.t",)), ("p.f.x.t", PASSED))
        self.assertEqual((test.name, test.outcome), ("d: e", FAILED))
        self.assertIn("no result of p.f.a.t", test.why)

    def test_so_it_is_if_that_was_skipped_or_failed(self):
        cell = Cell("d", "e", ("p.f.a.t",))
        self.assertIn("no stick", self.judge(cell, ("p.f.a.t", SKIPPED, "no stick")).why)
        for outcome in (SKIPPED, FAILED):
            self.assertEqual(FAILED, self.judge(cell, ("p.f.a.t", outcome)).outcome)
        self.assertEqual(FAILED, self.judge(cell, ("p.f.a.t", FAILED),
                                            ("p.f.a.t", PASSED)).outcome)

    def test_a_reason_is_told(self):
        test = self.judge(Cell("d", "e", reason="there is none"))
        self.assertEqual((test.outcome, test.why), (SKIPPED, "there is none"))

    def test_a_disk_that_a_kernel_can_not_handle_is_not_missed(self):
        cell = Cell("d", "e", ("p.f.a.t", "p.f.b.t"))
        self.assertEqual(PASSED, self.judge(cell, ("p.f.a.t", PASSED)).outcome)
        alone = self.judge(Cell("d", "e", ("p.f.b.t",)))
        self.assertEqual(SKIPPED, alone.outcome)
        self.assertIn("nvme1", alone.why)

    def test_the_end_counts_them(self):
        judged = [Test("a", PASSED), Test("b", FAILED), Test("c", SKIPPED, "why")]
        self.assertIn("1 of 3 cells of removals shown, 1 can't be",
                      cells.summary(self.env, judged))


class Whole(unittest.TestCase):
    def test_nothing_is_left_out(self):
        for env in ENVIRONMENTS:
            if not cells.possible(env):
                continue
            whole = cells.whole(env)
            self.assertFalse(whole.pulled or whole.left_out, env.name)
            self.assertEqual(env.without_disks, whole.without_disks)

    def test_only_the_programs_of_the_list_are_run_and_no_unit_tests(self):
        env = cells.whole(dataclasses.replace(by_name("debug"), without_disks=()))
        runner = StockRunner(env)
        runner.programs = [cells.TREE / name for name in ("iotarget_removal", "iotarget_io")]
        self.assertEqual(["iotarget_removal"], [p.stem for p in runner.tests()])
        asked = []
        runner._boot = lambda row, boot, chosen, number, kunit, pattern: asked.append(
            ([command for _, command in chosen], kunit))
        runner.run(type("Row", (), {"tests": []})(), "")
        self.assertEqual([(["/tests/iotarget_removal"], False)], asked)

    def test_it_is_for_those_that_have_disks(self):
        self.assertEqual({"stock-6.12", "stock-6.1", "stock-7", "debug"},
                         {env.name for env in ENVIRONMENTS if cells.possible(env)})

    def test_disks_that_it_takes_are_disks(self):
        known = set(cells.sources().values()) - {""}
        self.assertEqual(known, set(disks.NAMES))


if __name__ == "__main__":
    unittest.main()
