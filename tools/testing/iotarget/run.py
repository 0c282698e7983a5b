#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests. The last line is "N passed, N failed" (and ", N skipped").

Exit status: 0 all passed, 1 a test failed, 2 something could not be built or had.
"""

import argparse
import dataclasses
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from vm import cells, environments, in_tree, ktap, provision    # noqa: E402
from vm.plan import FAST, Plan                              # noqa: E402
from vm.results import Row, report                          # noqa: E402
from vm.shell import TREE, Failure, say                     # noqa: E402
from vm.stock import StockRunner                            # noqa: E402
from vm.uml import UmlRunner                                # noqa: E402

RUNNERS = {"uml": UmlRunner, "qemu": StockRunner}
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


def run_in_tree(row, pattern):
    """scripts/into-tree and a build in the newest kernel's source."""
    in_tree.check(row)


OWN = {
    "plumbing": (run_plumbing, "unit tests of the collector, the log checker and the rest"),
    "static": (run_static, "scripts/check: checkpatch, kernel-doc, W=1 for each stock kernel, "
                           "clang, sparse"),
    "in-tree": (run_in_tree, "scripts/into-tree and a build in the newest kernel's source, "
                             "without compat/"),
}



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


class Run:
    """Of an environment: what it needs is built, and then it is tested, maybe later."""

    def __init__(self, env):
        self.env = env
        self.row = self.runner = None

    def build(self):
        if not self.row:
            self.row = Row(self.env.name)
            self.runner = RUNNERS[self.env.kind](self.env)
            guarded(self.row, "build", self.runner.prepare)
            self.row.finish()

    def test(self, pattern, alarms):
        env = self.env
        say(f"\n== {env.name}: {env.about}")
        self.build()
        row, rows = self.row, [self.row]
        if row.broken:
            return rows
        row.resume()
        if guarded(row, "tests", self.runner.run, row, pattern) is False:
            say(f"  no test of {env.name} matches {pattern}")
        row.finish()
        if env.programs:
            rows.append(matrix(env, row.tests))
        if alarms and env.faults:
            proof = Row(f"{env.name} alarms")
            guarded(proof, "alarms", self.runner.prove, proof)
            rows.append(proof.finish())
        return rows


def run_own(name, pattern):
    say(f"\n== {name}")
    row = Row(name)
    guarded(row, name, OWN[name][0], row, pattern)
    return [row.finish()]


def matrix(env, tests):
    """The cells of the matrix of removals, each shown or red by its own name."""
    row = Row(f"{env.name} cells")
    judged = cells.judge(env, tests, cells.sources())
    for test in judged:
        row.add(test)
    row.note = cells.summary(env, judged)
    return row.finish()


def list_environments():
    for name, (_, about) in OWN.items():
        say(f"{name:<12} {about}")
    for env in environments.ENVIRONMENTS:
        say(f"{env.name:<12} {env.about}")
        for glob, why in env.left_out:
            say(f"{'':<12} without {glob}: {why}")
        if env.faults:
            say(f"{'':<12} alarms proven: {', '.join(f.name for f in env.faults)}")


def main():
    parser = argparse.ArgumentParser(description="Run iotarget's tests.")
    parser.add_argument("--env", default="",
                        help="names, separated by commas; default: all")
    parser.add_argument("--full", action="store_true",
                        help="do more often what is done often (hours)")
    parser.add_argument("--tests", default="", help="only those that match this glob: "
                        "SUITE.CASE (uml), PROGRAM or PROGRAM.FIXTURE.TEST (stock); "
                        f"{cells.NAME}: the whole matrix of removals, with all disks")
    parser.add_argument("--alarms", choices=("auto", "yes", "no"), default="auto",
                        help="plant faults to prove the alarms; auto: unless --tests is given")
    parser.add_argument("--timeout", type=int, default=0, help="seconds for one boot")
    parser.add_argument("--keep-going", action="store_true",
                        help="also when a fast environment is red")
    parser.add_argument("--provision", action="store_true", help="only get what is needed")
    parser.add_argument("--list", action="store_true", help="list the environments")
    options = parser.parse_args()
    if options.list:
        return list_environments() or 0

    wanted = [name for name in options.env.split(",") if name]
    envs = []
    try:
        for name in wanted:
            if name not in OWN:
                envs.append(environments.by_name(name))
    except LookupError as err:
        say(str(err))
        return 2
    keep_going = options.keep_going or bool(wanted)
    pattern = options.tests
    if not wanted:
        envs = list(environments.ENVIRONMENTS)
        if cells.wanted(options.tests):
            envs = [env for env in envs if cells.possible(env)]
        wanted = ([] if options.tests else list(OWN)) + [env.name for env in envs]
    if options.full:
        envs = [env.in_full() for env in envs]
    if cells.wanted(options.tests):
        for name in wanted:
            if name in OWN or not cells.possible(environments.by_name(name)):
                say(f"{name} has no disks to be pulled: the matrix of removals is not for it")
                return 2
        envs = [cells.whole(env) for env in envs]
        pattern = ""
    if options.timeout:
        envs = [dataclasses.replace(env, timeout=options.timeout) for env in envs]

    rows = provide(envs, wanted)
    if rows is None:
        return 2
    if options.provision:
        say("  what could not be had is named above" if rows else "  everything is there")
        return report(rows) if rows else 0

    unprovided = [row.name for row in rows]
    alarms = options.alarms == "yes" or (options.alarms == "auto" and not options.tests)
    by_name = {env.name: env for env in envs}
    runs = {env.name: Run(env) for env in envs}

    def step(name):
        if name in OWN:
            return run_own(name, pattern)
        return runs[name].test(pattern, alarms)

    def build(name):
        if name in runs:
            runs[name].build()

    plan = Plan(step, build, keep_going)
    own = [name for name in OWN if name in wanted]
    # what is patient in this order: the longest first
    for name in [*(n for n in own if n in FAST), *by_name, *(n for n in own if n not in FAST)]:
        if name not in unprovided:
            plan.add(name, patient=name in OWN or by_name[name].patient,
                     idle=name in by_name and by_name[name].idle)
    return report(rows + plan.run())


def provide(envs, wanted):
    """Get what is needed. An environment whose packages can't be had is a row of its
    own, red and named; the others go on. None if nothing can go on."""
    say("== what is needed")
    try:
        provision.base_packages()
    except Failure as err:
        say(f"{err}\n\n0 passed, 1 failed")
        return None
    rows = []
    needed = list(envs)
    if "static" in wanted and not any(env.name == STATIC_NEEDS for env in envs):
        needed.append(environments.by_name(STATIC_NEEDS))
    for env in needed:
        row = Row(env.name)
        guarded(row, "packages", provision.provide_one, env)
        if row.broken:
            rows.append(row.finish())
    if "in-tree" in wanted:
        row = Row("in-tree")
        guarded(row, "packages", in_tree.provide)
        if row.broken:
            rows.append(row.finish())
    return rows


if __name__ == "__main__":
    # an end from outside is one with cleaning up: no virtual machine stays behind
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
