# SPDX-License-Identifier: GPL-2.0-only
"""What one environment leaves out for time another one runs."""

import unittest
from fnmatch import fnmatchcase

from . import disks
from .environments import ENVIRONMENTS, by_name

QEMU = [env for env in ENVIRONMENTS if env.kind == "qemu"]


def left_out(env):
    return {glob for glob, _ in env.left_out}


class LeftOut(unittest.TestCase):
    def test_each_program_runs_somewhere(self):
        everywhere = set.intersection(*(left_out(env) for env in QEMU))
        self.assertEqual(set(), everywhere)

    def test_and_in_a_stock_kernel(self):
        stock = [env for env in QEMU if not env.patient]
        self.assertEqual(set(), set.intersection(*(left_out(env) for env in stock)))

    def test_nearly_all_of_it_in_one(self):
        self.assertEqual({"iotarget_fio", "iotarget_mkfs", "iotarget_removal_gates",
                          "iotarget_removal_waits"}, left_out(by_name("stock-6.12")))

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
