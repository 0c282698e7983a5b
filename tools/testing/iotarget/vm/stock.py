# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests in a virtual machine, and proves that its alarms are heard."""

from dataclasses import replace
from fnmatch import fnmatchcase

from . import build, provision
from .disks import default_disks
from .ktap import FAILED, PASSED, SKIPPED, Collector, Test
from .session import ON_DEMAND, Job, Session
from .shell import say

KUNIT = "kunit"
ALARM = "iotarget_alarm"
# What it takes to plant a fault: by two the guest tells what it does.
PLANTING = ("virtio_pci", "virtio_console", "kunit")
OURS = ("iotarget", "iotarget_disk", "iogate", "iotarget_test", *ON_DEMAND)


class StockRunner:
    def __init__(self, env):
        self.env = env
        self.kernel = None
        self.own = self.programs = self.tool = None

    def prepare(self):
        self.kernel = provision.kernel_of(self.env)
        source = provision.kernel_source(self.env.kselftest_source)
        say(f"  {self.env.name}: build modules for {self.kernel.version}")
        self.own = build.modules(self.env.name, self.kernel.headers, *self.env.options,
                                 suite=self.kernel.suite)
        self.programs = build.selftests(self.env.name, source, self.env.slowness)
        self.tool = build.tool()

    def tests(self):
        only = self.env.programs
        return [p for p in self.programs if not build.is_helper(p) and
                (not only or p.stem in only)]

    def _tools(self, chosen):
        """What the programs run, with its libraries: many megabytes, so only where needed."""
        files = {}
        for program, name in self.env.tools:
            if any(p.stem == program for p, _ in chosen):
                files.update(build.with_libraries(provision.guest_tool(name)))
        return files

    def _session(self, name, chosen=(), **options):
        return Session(self.env, name, own=self.own, kernel=self.kernel,
                       files={**self.tool, **self._tools(chosen),
                              **{f"tests/{p.name}": p for p in self.programs}},
                       disks=[disk for disk in default_disks() if self.env.disks and
                              disk.id not in self.env.without_disks], **options)

    # -- tests ---------------------------------------------------------------

    def run(self, row, pattern):
        """Run what matches: "PROGRAM" or "PROGRAM.FIXTURE.TEST", both globs; with KUnit
        also "SUITE" or "SUITE.CASE"."""
        boots = {}
        before = len(row.tests)
        for program in self.tests():
            self._leave_out(row, program, pattern)
            command = self._command(program, pattern)
            if command:
                boots.setdefault(self.env.boot_for(program.stem), []).append((program, command))
        if self.env.kunit and not boots and not self.env.programs:
            boots[self.env.boots[-1]] = []
        for number, (boot, chosen) in enumerate(boots.items()):
            # the unit tests once, in the boot of most tests
            kunit = self.env.kunit and not self.env.programs and \
                boot == max(boots, key=lambda b: len(boots[b]))
            self._boot(row, boot, chosen, number or "", kunit, pattern)
        return len(row.tests) > before

    def _left_out(self, program):
        return [why for glob, why in self.env.left_out if fnmatchcase(program.stem, glob)]

    def _leave_out(self, row, program, pattern):
        """A program that is not run is a skip with its reason."""
        if fnmatchcase(program.stem, pattern.partition(".")[0] or "*"):
            for why in self._left_out(program):
                row.add(Test(program.stem, SKIPPED, why))

    def _command(self, program, pattern):
        path = f"/tests/{program.name}"
        if self._left_out(program):
            return None
        if not pattern or fnmatchcase(program.stem, pattern):
            return path
        name, _, rest = pattern.partition(".")
        if rest and fnmatchcase(program.stem, name):
            if program.suffix == ".sh":         # a script has no way to choose
                return path
            return f"ksft-select {path} '{rest}'"
        return None

    def _jobs(self, chosen, number, kunit, pattern):
        limit = build.selftest_timeout() * self.env.slowness * self.env.longer
        jobs = [Job(p.stem, command, limit) for p, command in chosen]
        if self.env.kunit:
            # a boot without the unit tests loads the same modules
            glob = (pattern or self.env.suites) if kunit else "none"
            jobs.insert(0, Job(KUNIT, f"kunit-run '{glob}'", limit))
        return jobs + [Job(f"unload{number}", "unload", limit)]

    def _boot(self, row, boot, chosen, number, kunit, pattern):
        env = self.env
        jobs = self._jobs(chosen, number, kunit, pattern)
        say(f"  {env.name}: boot with {boot.smp} CPUs, {len(chosen)} programs"
            f"{' and the unit tests' if kunit else ''}")
        collectors = {}

        def on_event(words):
            if words[0] == "start":
                row.begin()
                collectors[words[1]] = Collector("" if words[1] == KUNIT else words[1],
                                                 on_result=row.add)
            elif words[0] == "end":
                finish(words[1], int(words[2]))

        def on_line(job, line):
            if job in collectors:
                collectors[job].feed(line)

        def finish(job, status=None):
            collector = collectors[job]
            collector.finished = True
            if job == KUNIT and status == 4 and (pattern or not kunit):
                return                          # no suite was asked for
            tests = collector.finish()
            row.lateness += collector.lateness
            if status not in (0, 4, None) and not any(t.outcome == FAILED for t in tests):
                row.fail(job, f"ended with status {status}, yet no test of it failed")

        options = {"unloaded": OURS} if env.kunit else {}
        session = self._session(f"tests{number}", chosen, boot=boot, **options)
        outcome = session.run(jobs, on_line=on_line, on_event=on_event)
        for job in jobs:
            if job.name not in collectors:
                row.fail(job.name, "did not start")
            elif not getattr(collectors[job.name], "finished", False):
                finish(job.name)
        judge(row, outcome)

    # -- alarms --------------------------------------------------------------

    def prove(self, row):
        """Plant the faults one after the other in the kernel of the tests, without their
        devices. Each must raise its alarm before the next is planted."""
        env = self.env
        if not env.faults:
            return
        jobs = [Job(f"plant-{fault.name}", f"insmod /modules/{ALARM}.ko fault={fault.name}; "
                    f"sleep {fault.settle}; {fault.then or 'true'}; rmmod {ALARM}; true", 120)
                for fault in env.faults]
        modules = tuple(m for m in env.modules if m.split()[0] in PLANTING)
        session = Session(replace(env, modules=modules), "alarms", own=self.own,
                          kernel=self.kernel, unloaded=OURS, sticks=[])
        outcome = session.run(jobs)
        problems = [p for p in outcome.problems if "could not be loaded" in p]
        with open(outcome.log, errors="replace") as log:
            lines = log.read().splitlines()
        starts = [next((n for n, line in enumerate(lines, 1)
                        if f"iotarget-guest: start {job.name}" in line), 0) for job in jobs]
        for fault, start, end in zip(env.faults, starts, starts[1:] + [len(lines)]):
            heard = [a for a in outcome.alarms if start and start < a.number < (end or len(lines))]
            row.add(verdict(fault, heard, outcome.log, problems))


def judge(row, outcome):
    """The kernel log and the boot's own problems, as results of the environment."""
    for problem in outcome.problems:
        row.fail("boot", f"{problem}; log: {outcome.log}")
    for alarm in outcome.alarms[:10]:
        row.fail("kernel log", f"{alarm.name}: line {alarm.number} of {outcome.log}: {alarm.line}")
    if not outcome.problems and not outcome.alarms:
        row.add(Test("kernel log and power-off", PASSED))


def verdict(fault, alarms, log, others=()):
    """Did the run turn red, and for the right reason?"""
    name = f"alarm {fault.name}"
    if others:
        return Test(name, FAILED, f"{'; '.join(others)}; log: {log}")
    heard = [alarm for alarm in alarms if alarm.name == fault.alarm]
    if heard:
        return Test(name, PASSED)
    if alarms:
        return Test(name, FAILED, f"expected {fault.alarm}, the log has only "
                                  f"{alarms[0].name}: {alarms[0].line}; log: {log}")
    return Test(name, FAILED, f"the planted fault raised no alarm; log: {log}")
