#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Puts known faults into a copy of the code: the tests must turn red for each.

Every mutants/NAME.patch begins with a few words on the fault, and then names the
environments that must find it, at least two, each with its tests:

    Env: uml iotarget_[!r]*
    Env: stock-6.12 iotarget_state

In every one of them a test must fail. The same tests must be green without the patch.
One that does not apply, or does not build, is a failure.

What found each, and how long after the tests had begun, goes to build/mutants.json,
and with --write from there into the table in testing.rst.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from vm import environments, provision                              # noqa: E402
from vm.ktap import FAILED, PASSED, Test                            # noqa: E402
from vm.results import BEGIN, Row, report                           # noqa: E402
from vm.shell import BUILD, LOGS, TREE, Failure, run, say, tail     # noqa: E402

COPY = BUILD / "mutants" / "tree"
RESULTS = BUILD / "mutants.json"
PAGE = TREE / "Documentation/driver-api/iotarget/testing.rst"
TABLE = re.compile(r"(?<=\.\. mutants begin\n).*?(?=\.\. mutants end\n)", re.S)
FAIL = re.compile(r"  FAIL (?P<env>\S+) +(?P<test>.*?)(?:  \((?P<why>.*)\))?$")
GREEN = 0                   # exit status of run.py
TIMEOUTS = {"uml": 120, "qemu": 240}    # seconds for a boot; a fault may well hang it
SLOW_BOOT = 300             # more for environments that are slow by nature


@dataclass(frozen=True)
class Trial:
    """An environment, and the tests there that must find the fault."""
    env: str
    tests: str

    def __str__(self):
        return f"{self.env} {self.tests}".strip()


@dataclass(frozen=True)
class Mutant:
    path: Path
    fault: str              # in words
    trials: tuple

    @property
    def name(self):
        return self.path.stem


@dataclass
class Outcome:
    status: int             # of run.py; nothing is known of it when a failure ended it
    log: Path
    test: str = ""          # the first that failed
    why: str = ""
    seconds: float = 0.0    # from the first test's beginning until then


def read(path):
    head = re.split(r"^(?:diff |--- )", path.read_text(), maxsplit=1, flags=re.M)[0]
    fault = " ".join(re.split(r"^Env:", head, flags=re.M)[0].split())
    trials = tuple(Trial(*found) for found in
                   re.findall(r"^Env:[ \t]*(\S+)[ \t]*(\S*)[ \t]*$", head, re.M))
    if not fault or len({trial.env for trial in trials}) < 2:
        raise Failure(f"{path.name}: a fault in words and two lines \"Env: NAME TESTS\" "
                      "are to stand before the patch")
    for trial in trials:
        environments.by_name(trial.env)
    return Mutant(path, fault, trials)


def read_all(names, row):
    """Those that match a glob; what can't be read is a failure."""
    mutants = []
    for path in sorted(HERE.glob("*.patch")):
        if names and not any(fnmatchcase(path.stem, name) for name in names):
            continue
        try:
            mutants.append(read(path))
        except (Failure, LookupError) as err:
            row.fail(path.stem, str(err))
    return mutants


def reset_copy():
    COPY.mkdir(parents=True, exist_ok=True)
    run("copy the tree for mutants", [
        "rsync", "--recursive", "--links", "--perms", "--checksum", "--delete",
        "--exclude=/build", "--exclude=/.git", "--exclude=__pycache__", "--exclude=*.o",
        "--exclude=*.ko", "--exclude=.*.cmd", f"{TREE}/", f"{COPY}/"])


def apply(mutant):
    """Without fuzz: a patch that has to guess may end in the wrong place."""
    reset_copy()
    run(f"apply {mutant.name}", ["patch", "-p1", "--no-backup-if-mismatch", "-s", "-N", "-F0",
                                 "-i", mutant.path], cwd=COPY)


def time_limit(name):
    env = environments.by_name(name)
    return TIMEOUTS[env.kind] + (SLOW_BOOT if env.slowness > 1 else 0)


def tests_of_copy(name, trial):
    """Run the copy's own tests, until one fails: what follows may be a hang."""
    log = LOGS / f"mutant-{name}-{trial.env}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # (--full, as a mutant may name what make test leaves out)
    argv = [sys.executable, str(COPY / "tools/testing/iotarget/run.py"), "--full", "--env",
            trial.env, "--alarms", "no", "--timeout", str(time_limit(trial.env))]
    argv += ["--tests", trial.tests] if trial.tests else []
    outcome = Outcome(0, log)
    began = None
    with open(log, "w") as out, subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace") as proc:
        try:
            for line in proc.stdout:
                out.write(line)
                failed = FAIL.match(line.rstrip("\n"))
                if BEGIN.match(line):
                    began = time.monotonic()
                elif failed and began and not outcome.test:
                    outcome.test, outcome.why = failed["test"].strip(), failed["why"] or ""
                    outcome.seconds = time.monotonic() - began
                    proc.terminate()
        except BaseException:
            proc.terminate()        # it ends its virtual machine; ours is not to stay alone
            raise
        outcome.status = proc.wait()
    return outcome


def try_mutant(mutant, row, results):
    try:
        apply(mutant)
    except Failure as err:
        row.fail(mutant.name, f"the patch does not apply\n{err}")
        return
    for trial in mutant.trials:
        name = f"{mutant.name} in {trial.env}"
        outcome = tests_of_copy(mutant.name, trial)
        if outcome.test:
            results.append({"mutant": mutant.name, "env": trial.env, "tests": trial.tests,
                            "found_by": outcome.test, "why": outcome.why,
                            "seconds": round(outcome.seconds, 1)})
            row.add(Test(name, PASSED, f"{outcome.seconds:.1f} s: {outcome.test}: {outcome.why}"))
        elif outcome.status == GREEN:
            row.fail(name, f"{trial.tests}: survived, all tests passed")
        else:
            row.fail(name, f"did not build or run (status {outcome.status}); {outcome.log}\n"
                           f"{tail(outcome.log)}")


def try_unchanged(trial, row):
    outcome = tests_of_copy("none", trial)
    if outcome.status == GREEN:
        row.add(Test(str(trial), PASSED))
    else:
        row.fail(str(trial), f"red without any fault; {outcome.log}\n{tail(outcome.log)}")


def restore(mutants):
    """The kernel trees in the cache get the unchanged code back."""
    for name in dict.fromkeys(trial.env for m in mutants for trial in m.trials):
        env = environments.by_name(name)
        if env.kind == "uml":
            options = ["--compat"] if env.compat else []
            try:
                run("put the unchanged tree back", [TREE / "scripts/into-tree",
                                                    provision.kernel_source(env.source, env.suite),
                                                    *options])
            except Failure as err:
                say(f"the unchanged code could not be put back: {err}")


# -- what was found -------------------------------------------------------------

def load():
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def save(results, tried):
    """What this run found, beside what earlier ones did of mutants that still are."""
    kept = [entry for entry in load() if (entry["mutant"], entry["env"]) not in tried]
    names = {path.stem for path in HERE.glob("*.patch")}
    everything = [entry for entry in kept + results if entry["mutant"] in names]
    everything.sort(key=lambda entry: entry["mutant"])
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(everything, indent=1) + "\n")


def short(test):
    """A test's name without what all of them begin with."""
    return test.removeprefix("iotarget_").replace(".iotarget_", ".")


def table(mutants, results):
    found = {(entry["mutant"], entry["env"]): entry for entry in results}
    lines = [".. list-table::", "    :header-rows: 1", "    :widths: 40 60", "",
             "    * - mutant, fault", "      - found by, after"]
    for mutant in mutants:
        words = textwrap.wrap(f"**{mutant.name}**: {mutant.fault}", 72)
        lines += [f"    * - {words[0]}"] + [f"        {word}" for word in words[1:]]
        bullet = "      - "
        for trial in mutant.trials:
            entry = found.get((mutant.name, trial.env))
            if not entry:
                raise Failure(f"{mutant.name}: no result for {trial.env}; run it first")
            lines.append(f"{bullet}| {trial.env}: ``{short(entry['found_by'])}``, "
                         f"{entry['seconds']:.1f} s")
            bullet = "        "
    return "\n".join(lines) + "\n"


def write_table():
    row = Row("mutants")
    text = PAGE.read_text()
    if not TABLE.search(text):
        raise Failure(f"{PAGE.name}: no place for the table")
    new = f"\n{table(read_all([], row), load())}\n"
    PAGE.write_text(TABLE.sub(lambda _: new, text))
    return 1 if row.red else 0


# -------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="globs of mutants; default: all")
    parser.add_argument("--env", default="", help="only these environments, by commas")
    parser.add_argument("--only-mutants", action="store_true",
                        help="leave out the tests of the unchanged code")
    parser.add_argument("--write", action="store_true",
                        help="put what the last runs found into testing.rst, and run nothing")
    options = parser.parse_args()
    if options.write:
        try:
            return write_table()
        except Failure as err:
            say(str(err))
            return 2
    return run_mutants(options)


def chosen(mutants, envs):
    """Only the trials in these environments."""
    for mutant in mutants:
        trials = tuple(t for t in mutant.trials if not envs or t.env in envs)
        if trials:
            yield Mutant(mutant.path, mutant.fault, trials)


def run_mutants(options):
    unchanged, row = rows = [Row("unchanged"), Row("mutants")]
    envs = [name for name in options.env.split(",") if name]
    mutants = list(chosen(read_all(options.names, row), envs))
    trials = dict.fromkeys(trial for m in mutants for trial in m.trials)
    results = []
    try:
        provision.provide([environments.by_name(name)
                           for name in dict.fromkeys(trial.env for trial in trials)])
        reset_copy()
        for trial in [] if options.only_mutants else trials:
            try_unchanged(trial, unchanged)
        unchanged.finish()
        tried = set()
        for mutant in mutants:
            try_mutant(mutant, row, results)
            tried |= {(mutant.name, trial.env) for trial in mutant.trials}
            save(results, tried)
    except Failure as err:
        row.fail("mutants", str(err))
    finally:
        restore(mutants)
    row.finish()
    return report(rows)


if __name__ == "__main__":
    # an end from outside puts the unchanged code back, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
