# SPDX-License-Identifier: GPL-2.0-only
"""Builds a user-mode kernel with our code in it and runs its KUnit suites."""

import os
import re
import shutil
import subprocess
import threading

from . import alarms, provision
from .debian import HOST
from .ktap import SKIPPED, Collector
from .shell import BUILD, LOGS, TREE, Failure, cache, kill_group, locked, popen, run, say
from .stock import judge, verdict

ALARM_SUITE = "iotarget_alarm"      # carries the planted faults, tests nothing by itself
RESULT = re.compile(r"\s*(?:not )?ok \d+ ")
ATTEMPTS = 3
RUNNER_DONE = re.compile(r"^reboot: (?:System halted|Restarting system|Power down)")


class UmlRunner:
    def __init__(self, env):
        self.env = env
        self.binary = BUILD / env.name / "linux"

    def prepare(self):
        source = provision.kernel_source(self.env.source, self.env.suite)
        configs = [TREE / name for name in self.env.kunitconfig]
        for config in configs:
            if not config.exists():
                raise Failure(f"{config}: not there")
        out = cache(f"{self.env.name}-{source.name.rpartition('-')[2]}")
        say(f"  {self.env.name}: build the kernel (minutes when new, else seconds)")
        with locked(out.name):
            self._into(source)
            seconds = run(f"build {self.env.name}", [
                *(("chrt", "--idle", "0") if self.env.patient else ()),
                "./tools/testing/kunit/kunit.py", "build",
                *(f"--kunitconfig={config}" for config in configs), f"--build_dir={out}",
                f"--jobs={os.cpu_count() or 2}",
                "--make_options", "CC=ccache gcc"],
                cwd=source, timeout=2400,
                env={"CCACHE_DIR": str(HOST.ccache()), **provision.KERNEL_BUILD})
            # of our own: another run may build while this one still tests
            self.binary.parent.mkdir(parents=True, exist_ok=True)
            partial = self.binary.with_suffix(".partial")
            shutil.copy2(out / "linux", partial)
            partial.rename(self.binary)
        say(f"  {self.env.name}: built in {seconds:.0f} s")

    def _into(self, source):
        options = ["--compat"] if self.env.compat else []
        run(f"into-tree {self.env.name}", [TREE / "scripts/into-tree", source, *options])

    # -- one boot ------------------------------------------------------------

    def boot(self, name, arguments, listener=lambda: lambda line: None):
        """Run the kernel to its end; its log and what went wrong with the run.

        listener    function() that returns what is called with each line of a boot

        A kernel that has next to nothing to test may halt while another processor
        of it still prints what came before the console, and the rest is never seen.
        Such a boot, without a single result, is repeated."""
        for attempt in range(ATTEMPTS):
            boot = self._boot(name, arguments, listener())
            if not boot.unheard:
                break
            say(f"  {self.env.name}: halted before it was heard, boot {attempt + 1}")
        return boot

    def _boot(self, name, arguments, on_line):
        argv = [str(self.binary), "mem=1G", "console=tty", "kunit_shutdown=halt",
                "kunit.enable=1", f"iotarget.race_share={self.env.race_share}",
                *self.env.arguments, *arguments]
        path = LOGS / f"{self.env.name}-{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        problems, lines = [], []
        proc = popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                     errors="replace", cwd=self.binary.parent)
        expired = threading.Event()

        def expire():
            expired.set()
            kill_group(proc)
        watchdog = threading.Timer(self.env.timeout, expire)
        watchdog.start()
        try:
            with open(path, "w") as log:
                for line in proc.stdout:
                    log.write(line)
                    lines.append(line.rstrip("\r\n"))
                    on_line(lines[-1])
            status = proc.wait()
        finally:
            watchdog.cancel()
            kill_group(proc)
        ended = any(RUNNER_DONE.match(line) for line in lines)
        if expired.is_set():
            problems.append(f"hung: killed after {self.env.timeout} s")
        elif not ended:
            problems.append(f"the kernel died before the end (status {status})")
        found = alarms.scan(lines, [(t.pattern, t.then) for t in self.env.tolerated])
        return Boot(problems, found, str(path), unheard=status == 0 and not ended and
                    not any(RESULT.match(line) for line in lines))

    # -- tests ---------------------------------------------------------------

    def run(self, row, pattern):
        """Run the suites; the pattern is KUnit's: "SUITE" or "SUITE.CASE", globs."""
        def on_result(test):
            if test.name.startswith(ALARM_SUITE + ".") and test.outcome == SKIPPED:
                return                      # it had nothing to do, as it should
            row.add(test)

        def listener():
            nonlocal collector
            collector = Collector(on_result=on_result, kernel_log=True)
            return on_line

        def on_line(line):
            if "KTAP version" in line:
                row.begin()
            collector.feed(line)
        collector = None
        boot = self.boot("tests", [f"kunit.filter_glob={pattern or self.env.suites}"], listener)
        if pattern and not collector.results_seen and not boot.problems and not boot.alarms:
            return False
        collector.finish()
        row.lateness += collector.lateness
        judge(row, boot)
        return True

    def prove(self, row):
        """Plant each fault in a boot of its own: that must be red because of its alarm."""
        for fault in self.env.faults:
            boot = self.boot(f"alarm-{fault.name}", planting(fault))
            row.add(verdict(fault, boot.alarms, boot.log))


def planting(fault):
    """The kernel's arguments for a boot with this fault in it."""
    return fault.arguments or (f"kunit.filter_glob={ALARM_SUITE}",
                               f"{ALARM_SUITE}.fault={fault.name}")


class Boot:
    def __init__(self, problems, found, log, unheard):
        self.problems, self.alarms, self.log, self.unheard = problems, found, log, unheard
