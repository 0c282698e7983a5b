# SPDX-License-Identifier: GPL-2.0-only
"""A boot that ends before the guest's init is repeated, any other is not."""

import contextlib
import io
import unittest
from types import SimpleNamespace

from vm.session import HELLO, Outcome, Session


class Boots(Session):
    """Boots that went as told, without a machine."""

    def __init__(self, *boots):             # pylint: disable=super-init-not-called
        self.env = SimpleNamespace(name="none")
        self.boots = list(boots)

    def _boot(self, jobs):
        return self.boots.pop(0)


def died(*log):
    return Outcome(problems=["the guest died"], end=list(log),
                   unborn=not any(HELLO in line for line in log))


class Repeat(unittest.TestCase):
    def run_boots(self, *boots):
        self.session = Boots(*boots)
        self.said = io.StringIO()
        with contextlib.redirect_stdout(self.said):
            return self.session.run([])

    def test_dead_before_init_is_repeated(self):
        good = Outcome(status=0)
        self.assertIs(self.run_boots(died("IO-APIC"), good), good)
        self.assertIn("IO-APIC", self.said.getvalue())
        self.assertIn("repeated", self.said.getvalue())

    def test_only_once(self):
        last = died("second")
        self.assertIs(self.run_boots(died("first"), last, Outcome()), last)
        self.assertIn("second", self.said.getvalue())

    def test_dead_after_init_is_not(self):
        first = died(f"<6>{HELLO}", "Kernel panic")
        self.assertIs(self.run_boots(first, Outcome()), first)
        self.assertIn("Kernel panic", self.said.getvalue())

    def test_good_one_is_not(self):
        good = Outcome(status=0)
        self.assertIs(self.run_boots(good, died()), good)
        self.assertEqual(self.said.getvalue(), "")


if __name__ == "__main__":
    unittest.main()
