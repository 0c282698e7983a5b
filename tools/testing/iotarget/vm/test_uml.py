# SPDX-License-Identifier: GPL-2.0-only
"""Unit tests of how a user-mode kernel is run, with programs in place of the kernel."""

import contextlib
import dataclasses
import io
import unittest

from . import environments
from .shell import BUILD, fresh
from .uml import ATTEMPTS, UmlRunner

HALTED = "reboot: System halted"


class Boots(unittest.TestCase):
    def boot(self, script):
        """Run a shell script as the kernel; the boot, and what its listeners heard."""
        place = fresh(BUILD / "test-uml")
        runner = UmlRunner(dataclasses.replace(environments.by_name("uml-smp"), timeout=20))
        runner.binary = place / "linux"
        runner.binary.write_text("#!/bin/sh\n" + script)
        runner.binary.chmod(0o755)
        heard = []

        def listener():
            heard.append([])
            return heard[-1].append
        with contextlib.redirect_stdout(io.StringIO()):
            return runner.boot("plumbing", [], listener), heard

    def test_a_whole_one(self):
        boot, heard = self.boot(f"echo 1..0; echo {HALTED}")
        self.assertEqual((boot.problems, heard), ([], [["1..0", HALTED]]))

    def test_one_that_was_not_heard_is_repeated(self):
        boot, heard = self.boot('echo "KTAP version 1"; test -e again && '
                                f'echo {HALTED}; touch again')
        self.assertEqual(boot.problems, [])
        self.assertEqual(len(heard), 2)

    def test_but_not_for_ever(self):
        boot, heard = self.boot('echo "KTAP version 1"')
        self.assertEqual(len(heard), ATTEMPTS)
        self.assertIn("died before the end", boot.problems[0])

    def test_one_with_a_result_is_not(self):
        boot, heard = self.boot('echo "    ok 1 case"')
        self.assertEqual((len(boot.problems), len(heard)), (1, 1))

    def test_nor_one_that_crashed(self):
        boot, heard = self.boot('echo "KTAP version 1"; exit 1')
        self.assertEqual((len(boot.problems), len(heard)), (1, 1))
