# SPDX-License-Identifier: GPL-2.0-only
"""What one environment leaves out for time another one runs."""

import re
import unittest
from fnmatch import fnmatchcase

from . import disks
from .environments import ENVIRONMENTS, MINUTES, RUNS
from .shell import TREE

QEMU = [env for env in ENVIRONMENTS if env.kind == "qemu"]


def left_out(env):
    return {glob for glob, _ in env.left_out}


MAKEFILE = TREE / "tools/testing/selftests/iotarget/Makefile"


def programs():
    names = re.findall(r"^TEST_(?:GEN_)?PROGS [:+]= (.*)$", MAKEFILE.read_text(), re.M)
    return {name.removesuffix(".sh") for line in names for name in line.split()}


class LeftOut(unittest.TestCase):
    def test_each_program_has_its_place(self):
        named = {f"iotarget_{p}" for runs in (*RUNS.values(), MINUTES) for p in runs.split()}
        self.assertEqual(programs(), named)

    def test_what_takes_no_minutes_runs_in_a_stock_kernel(self):
        stock = [env for env in QEMU if not env.patient]
        self.assertEqual({f"iotarget_{p}" for p in MINUTES.split()},
                         set.intersection(*(left_out(env) for env in stock)))

    def test_in_full_each_stock_kernel_has_everything(self):
        for env in QEMU:
            full = env.in_full()
            self.assertFalse(full.pulled, env.name)
            if not env.patient:
                self.assertFalse(full.left_out, env.name)

    def test_there_is_a_reason(self):
        for env in QEMU:
            for glob, why in env.left_out:
                self.assertTrue(why, f"{env.name}: {glob}")
                self.assertTrue(fnmatchcase(glob, "iotarget_*"), glob)


class Pulled(unittest.TestCase):
    def test_they_are_disks(self):
        known = {*disks.NAMES, *disks.OWN}
        for env in QEMU:
            self.assertLessEqual(set(env.pulled), known, env.name)

    def test_every_bus_has_its_turn(self):
        known = {*disks.NAMES, *disks.OWN}
        parts = set().union(*(env.pulled for env in QEMU if not env.patient))
        self.assertEqual(known, parts)


if __name__ == "__main__":
    unittest.main()
