#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Puts known faults into a copy of the code: the tests must turn red for each.

Every mutants/NAME.patch begins with a few words on the fault and the lines

    Env: uml
    Tests: iotarget_gate*

which name the environment and the tests that must find it. The same tests must be
green without the patch. One that does not apply, or does not build, is a failure.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from vm import environments, provision                              # noqa: E402
from vm.ktap import FAILED, PASSED, Test                            # noqa: E402
from vm.results import Row, report                                  # noqa: E402
from vm.shell import BUILD, LOGS, TREE, Failure, run, say, tail     # noqa: E402

COPY = BUILD / "mutants" / "tree"
GREEN, RED = 0, 1           # exit statuses of run.py
TIMEOUT = 120               # seconds for a boot; a fault may well hang it


@dataclass(frozen=True)
class Mutant:
    path: Path
    env: str
    tests: str

    @property
    def name(self):
        return self.path.stem


def read(path):
    head = re.split(r"^(?:diff |--- )", path.read_text(), maxsplit=1, flags=re.M)[0]
    fields = dict(re.findall(r"^(Env|Tests):\s*(\S+)\s*$", head, re.M))
    if "Env" not in fields:
        raise Failure(f"{path.name}: no line \"Env: NAME\" before the patch")
    environments.by_name(fields["Env"])
    return Mutant(path, fields["Env"], fields.get("Tests", ""))


def reset_copy():
    COPY.mkdir(parents=True, exist_ok=True)
    run("copy the tree for mutants", [
        "rsync", "--recursive", "--links", "--perms", "--checksum", "--delete",
        "--exclude=/build", "--exclude=/.git", "--exclude=__pycache__", "--exclude=*.o",
        "--exclude=*.ko", "--exclude=.*.cmd", f"{TREE}/", f"{COPY}/"])


def tests_of_copy(name, env, tests):
    """Run the copy's own tests; (exit status, log)."""
    log = LOGS / f"mutant-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, str(COPY / "tools/testing/iotarget/run.py"), "--env", env,
            "--alarms", "no", "--timeout", str(TIMEOUT)]
    argv += ["--tests", tests] if tests else []
    with open(log, "w") as out:
        status = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT, check=False).returncode
    return status, log


def first_failure(log):
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("  FAIL "):
            return re.sub(r"\s+", " ", line[7:]).strip()[:150]
    return "no failure named"


def try_mutant(mutant):
    reset_copy()
    try:
        run(f"apply {mutant.name}", ["patch", "-p1", "--no-backup-if-mismatch", "-s", "-N", "-i",
                                     mutant.path], cwd=COPY)
    except Failure as err:
        return Test(mutant.name, FAILED, f"the patch does not apply\n{err}")
    status, log = tests_of_copy(mutant.name, mutant.env, mutant.tests)
    if status == RED:
        return Test(mutant.name, PASSED, f"found by {first_failure(log)}")
    if status == GREEN:
        return Test(mutant.name, FAILED, f"{mutant.env} {mutant.tests}: survived, all tests passed")
    return Test(mutant.name, FAILED, f"did not build or run (status {status}); {log}\n{tail(log)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="globs of mutants; default: all")
    names = parser.parse_args().names
    rows = [Row("unchanged"), Row("mutants")]
    unchanged, mutants = rows
    chosen = []
    for path in sorted(HERE.glob("*.patch")):
        if names and not any(fnmatchcase(path.stem, name) for name in names):
            continue
        try:
            chosen.append(read(path))
        except (Failure, LookupError) as err:
            mutants.fail(path.stem, str(err))
    try:
        provision.provide([environments.by_name(name)
                           for name in dict.fromkeys(m.env for m in chosen)])
        reset_copy()
        for env, tests in dict.fromkeys((m.env, m.tests) for m in chosen):
            name = f"{env} {tests}".strip()
            status, log = tests_of_copy("none", env, tests)
            if status == GREEN:
                unchanged.add(Test(name, PASSED))
            else:
                unchanged.fail(name, f"red without any fault; {log}\n{tail(log)}")
        unchanged.finish()
        for mutant in chosen:
            mutants.add(try_mutant(mutant))
    except Failure as err:
        mutants.fail("mutants", str(err))
    finally:
        restore(chosen)
    mutants.finish()
    return report(rows)


def restore(chosen):
    """The kernel trees in the cache get the unchanged code back."""
    for name in dict.fromkeys(m.env for m in chosen):
        env = environments.by_name(name)
        if env.kind == "uml":
            options = ["--compat"] if env.compat else []
            try:
                run("put the unchanged tree back", [TREE / "scripts/into-tree",
                                                    provision.kernel_source(env.source, env.suite),
                                                    *options])
            except Failure as err:
                say(f"the unchanged code could not be put back: {err}")


if __name__ == "__main__":
    sys.exit(main())
