# SPDX-License-Identifier: GPL-2.0-only
"""The mutants: each can be read, and is a patch to the code as it is now."""

import importlib.util
import subprocess
import tempfile
import unittest
from pathlib import Path

from . import environments
from .shell import TREE, Failure

FOLDER = TREE / "tools/testing/iotarget/mutants"


def program():
    spec = importlib.util.spec_from_file_location("mutants_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Mutants(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mutants = program()

    def read(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "some.patch"
            path.write_text(text)
            return self.mutants.read(path)

    def test_head(self):
        mutant = self.read("Two\nlines.\n\nEnv: uml a*\nEnv: stock-6.12 b\n\n--- a/x\nEnv: kcsan\n")
        self.assertEqual((mutant.name, mutant.fault), ("some", "Two lines."))
        self.assertEqual([str(t) for t in mutant.trials], ["uml a*", "stock-6.12 b"])

    def test_two_environments_are_wanted(self):
        for text in ("Words.\n\nEnv: uml a\n\n--- a/x\n", "Words.\n\nEnv: uml a\nEnv: uml b\n",
                     "Env: uml a\nEnv: kcsan\n"):
            with self.assertRaises(Failure):
                self.read(text)
        with self.assertRaises(LookupError):
            self.read("Words.\n\nEnv: uml a\nEnv: nowhere b\n")

    def test_a_failure_is_heard(self):
        from .ktap import FAILED, Test
        for name, why in (("iotarget_gate.stop_waits", "a (b) c"), ("kernel log", "kasan: x")):
            line = f"  FAIL {'stock-6.12':<12} {name}  ({why})"
            found = self.mutants.FAIL.match(line)
            self.assertEqual((found["env"], found["test"], found["why"]),
                             ("stock-6.12", Test(name, FAILED).name, why))
        self.assertTrue(self.mutants.BEGIN.match("  uml: the tests begin"))
        self.assertFalse(self.mutants.FAIL.match("  ok   uml          FAIL x"))

    def test_each_can_be_read(self):
        paths = sorted(FOLDER.glob("*.patch"))
        self.assertGreaterEqual(len(paths), 22)
        for path in paths:
            with self.subTest(path.stem):
                for trial in self.mutants.read(path).trials:
                    self.assertTrue(environments.by_name(trial.env))

    def test_each_applies(self):
        for path in sorted(FOLDER.glob("*.patch")):
            with self.subTest(path.stem):
                done = subprocess.run(["patch", "-p1", "--dry-run", "-s", "-N", "-F0", "-i", path],
                                      cwd=TREE, capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
