# SPDX-License-Identifier: GPL-2.0-only
"""Unit tests of the order in which environments are run."""

import contextlib
import io
import os
import threading
import unittest

from .ktap import FAILED, PASSED, Test
from .plan import GIVE_WAY, Plan
from .results import Row


def row(name, outcome=PASSED):
    result = Row(name)
    result.tests.append(Test("test", outcome))
    return [result]


def run(step, names, keep_going=False, build=lambda name: None):
    """The plan's rows; what it says is not shown."""
    plan = Plan(step, build, keep_going)
    for name in names:
        plan.add(name, patient=name.startswith("patient"), idle=name.startswith("idle"))
    with contextlib.redirect_stdout(io.StringIO()):
        return plan.run()


class Order(unittest.TestCase):
    def test_fast_ones_come_first(self):
        seen = []
        rows = run(lambda name: seen.append(name) or row(name),
                   ["patient-1", "punctual-1", "uml", "static"])
        self.assertEqual(set(seen[:2]), {"uml", "static"})
        self.assertEqual([r.name for r in rows], ["patient-1", "punctual-1", "uml", "static"])

    def test_fast_ones_run_side_by_side(self):
        meeting = threading.Barrier(3, timeout=10)

        def step(name):
            meeting.wait()
            return row(name)
        self.assertFalse(any(r.red for r in run(step, ["plumbing", "static", "uml"])))

    def test_a_red_fast_one_ends_it(self):
        rows = run(lambda name: row(name, FAILED if name == "static" else PASSED),
                   ["plumbing", "static", "uml", "punctual", "patient"])
        self.assertEqual([r.name for r in rows if r.red], ["static", "punctual", "patient"])
        self.assertIn("static is red", rows[-1].tests[0].why)

    def test_unless_told_to_keep_going(self):
        rows = run(lambda name: row(name, FAILED if name == "static" else PASSED),
                   ["static", "uml", "patient"], keep_going=True)
        self.assertEqual([r.name for r in rows if r.red], ["static"])

    def test_lanes_run_side_by_side(self):
        meeting = threading.Barrier(3, timeout=10)

        def step(name):
            meeting.wait()
            return row(name)
        self.assertFalse(any(r.red for r in run(step, ["punctual-1", "patient", "punctual-2"])))

    def test_what_is_idle_waits_for_nobody(self):
        meeting = threading.Barrier(5, timeout=10)
        names = ["punctual-1", "patient", "punctual-2", "idle-1", "idle-2"]

        def step(name):
            meeting.wait()
            return row(name)
        self.assertFalse(any(r.red for r in run(step, names)))
        self.assertIn("idle-1", [r.name for r in run(
            lambda name: row(name, FAILED if name == "uml" else PASSED), [*names, "uml"])
            if r.red])

    def test_the_first_lane_helps_when_it_is_through(self):
        meeting = threading.Barrier(2, timeout=10)

        def step(name):
            if name.startswith("patient"):
                meeting.wait()          # both at once
            return row(name)
        rows = run(step, ["punctual", "patient-1", "patient-2"])
        self.assertEqual([r.name for r in rows if not r.red],
                         ["punctual", "patient-1", "patient-2"])

    def test_the_patient_lane_gives_way(self):
        nice = {}
        begun = threading.Event()

        def step(name):
            nice[name] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            if name == "patient":
                begun.set()
            else:
                begun.wait(10)          # or this lane would take the other one's
            return row(name)
        run(step, ["punctual", "patient", "idle"])
        self.assertEqual(nice["patient"], max(nice["punctual"], GIVE_WAY))
        self.assertIn(nice["idle"], (-GIVE_WAY, nice["punctual"]))

    def test_each_is_built_before_it_is_run(self):
        seen, tested = [], threading.Event()

        def build(name):
            if name == "idle":
                self.assertTrue(tested.wait(10))    # beside the tests of the one before
            seen.append(f"build {name}")

        def step(name):
            if name == "patient":
                tested.set()
            seen.append(f"run {name}")
            return row(name)
        run(step, ["punctual", "patient", "idle", "uml"], build=build)
        self.assertEqual(seen[0], "run uml")
        self.assertEqual([s for s in seen if s.startswith("build")],
                         ["build patient", "build idle"])
        for name in ("patient", "idle"):
            self.assertLess(seen.index(f"build {name}"), seen.index(f"run {name}"))

    def test_what_could_not_be_built_is_run_all_the_same(self):
        def build(name):
            raise LookupError("lost")
        rows = run(row, ["patient", "idle"], build=build)
        self.assertEqual([r.name for r in rows if not r.red], ["patient", "idle"])

    def test_an_exception_is_a_red_row(self):
        def step(name):
            raise LookupError("lost")
        rows = run(step, ["patient", "punctual"])
        self.assertTrue(all(r.red and r.broken for r in rows))
