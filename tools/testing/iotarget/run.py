#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests. The last line is "N passed, N failed" (and ", N skipped").

Exit status: 0 all passed, 1 a test failed, 2 something could not be built or had.
"""

import argparse
import dataclasses
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from vm import environments, ktap, provision                # noqa: E402
from vm.results import Row, report                          # noqa: E402
from vm.shell import TREE, Failure, say                     # noqa: E402
from vm.stock import StockRunner                            # noqa: E402
from vm.uml import UmlRunner                                # noqa: E402

RUNNERS = {"uml": UmlRunner, "qemu": StockRunner}
PLUMBING, STATIC = "plumbing", "static"
STATIC_NEEDS = "stock-6.12"         # scripts/check builds against its headers


class Listener(unittest.TestResult):
    """unittest's results as rows of ours."""

    def __init__(self, row):
        super().__init__()
        self.row = row

    def addSuccess(self, test):
        self.row.add(ktap.Test(test.id().removeprefix("vm."), ktap.PASSED))

    def addFailure(self, test, err):
        self.row.fail(test.id().removeprefix("vm."),
                      f"{err[0].__name__}\n{self._exc_info_to_string(err, test)}")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addFailure(subtest, err)

    addError = addFailure

    def addSkip(self, test, reason):
        self.row.add(ktap.Test(test.id(), ktap.SKIPPED, reason))


def run_plumbing(row, pattern):
    """The tests of what judges the others."""
    here = Path(__file__).resolve().parent
    suite = unittest.TestLoader().discover(str(here / "vm"), top_level_dir=str(here))
    suite.run(Listener(row))


def run_static(row, pattern):
    """scripts/check: style, documentation, compiler and sparse warnings."""
    collector = ktap.Collector(on_result=row.add)
    proc = subprocess.Popen([TREE / "scripts/check"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, text=True, errors="replace")
    for line in proc.stdout:
        if line.startswith("# "):           # a complaint
            say("       " + line[2:].rstrip())
        collector.feed(line)
    status = proc.wait()
    tests = collector.finish()
    if status and not any(t.outcome == ktap.FAILED for t in tests):
        row.fail("scripts/check", f"ended with status {status}")


def guarded(row, what, function, *arguments):
    """A failure to build or get something is a red row with a name, not the end."""
    try:
        return function(*arguments)
    except Failure as err:
        row.fail(what, str(err))
    except Exception as err:                                # pylint: disable=broad-except
        row.fail(what, f"{type(err).__name__}: {err}")
        if not isinstance(err, (OSError, LookupError)):
            import traceback
            traceback.print_exc()
    row.broken = True
    return None


def run_environment(env, pattern, alarms):
    say(f"\n== {env.name}: {env.about}")
    runner = RUNNERS[env.kind](env)
    row = Row(env.name)
    rows = [row]
    guarded(row, "build", runner.prepare)
    if row.broken:
        row.finish()
        return rows
    if guarded(row, "tests", runner.run, row, pattern) is False:
        say(f"  no test of {env.name} matches {pattern}")
    row.finish()
    if alarms and env.faults:
        proof = Row(f"{env.name} alarms")
        for fault in env.faults:
            test = guarded(proof, f"alarm {fault.name}", runner.prove, proof, fault)
            if test:
                proof.add(test)
        rows.append(proof.finish())
    return rows


def list_environments():
    for name, about in ((PLUMBING, "unit tests of the collector, the log checker and the rest"),
                        (STATIC, "scripts/check: checkpatch, kernel-doc, W=1, clang, sparse")):
        say(f"{name:<12} {about}")
    for env in environments.ENVIRONMENTS:
        say(f"{env.name:<12} {env.about}")
        if env.faults:
            say(f"{'':<12} alarms proven: {', '.join(f.name for f in env.faults)}")


def main():
    parser = argparse.ArgumentParser(description="Run iotarget's tests.")
    parser.add_argument("--env", default="", help="names, separated by commas; default: all")
    parser.add_argument("--tests", default="", help="only those that match this glob: "
                        "SUITE.CASE (uml), PROGRAM or PROGRAM.FIXTURE.TEST (stock)")
    parser.add_argument("--alarms", choices=("auto", "yes", "no"), default="auto",
                        help="plant faults to prove the alarms; auto: unless --tests is given")
    parser.add_argument("--timeout", type=int, default=0, help="seconds for one boot")
    parser.add_argument("--provision", action="store_true", help="only get what is needed")
    parser.add_argument("--list", action="store_true", help="list the environments")
    options = parser.parse_args()
    if options.list:
        return list_environments() or 0

    wanted = [name for name in options.env.split(",") if name]
    own = [PLUMBING, STATIC]
    envs = []
    try:
        for name in wanted:
            if name not in own:
                envs.append(environments.by_name(name))
    except LookupError as err:
        say(str(err))
        return 2
    if not wanted:
        envs = list(environments.ENVIRONMENTS)
        wanted = ([] if options.tests else own) + [env.name for env in envs]

    if options.timeout:
        envs = [dataclasses.replace(env, timeout=options.timeout) for env in envs]
    try:
        say("== what is needed")
        provision.provide(envs + [e for e in environments.ENVIRONMENTS
                                  if STATIC in wanted and e.name == STATIC_NEEDS and
                                  e not in envs])
    except Failure as err:
        say(f"{err}\n\n0 passed, 1 failed")
        return 2
    if options.provision:
        say("  everything is there")
        return 0

    rows = []
    for name, function in ((PLUMBING, run_plumbing), (STATIC, run_static)):
        if name in wanted:
            say(f"\n== {name}")
            row = Row(name)
            guarded(row, name, function, row, options.tests)
            rows.append(row.finish())
    alarms = options.alarms == "yes" or (options.alarms == "auto" and not options.tests)
    for env in envs:
        rows += run_environment(env, options.tests, alarms)
    return report(rows)


if __name__ == "__main__":
    sys.exit(main())
