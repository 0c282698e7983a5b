# SPDX-License-Identifier: GPL-2.0-only
"""Runs the selftests in a stock kernel, and proves that its alarms are heard."""

from fnmatch import fnmatchcase

from . import build, provision
from .ktap import FAILED, PASSED, Collector, Test
from .session import Job, Session
from .shell import say


class StockRunner:
    def __init__(self, env):
        self.env = env
        self.kernel = None
        self.own = self.programs = None

    def prepare(self):
        self.kernel = provision.stock_kernel(self.env.kernel)
        source = provision.kernel_source(self.env.kselftest_source)
        say(f"  {self.env.name}: build modules for {self.kernel.version}")
        self.own = build.modules(self.env.name, self.kernel.headers)
        self.programs = build.selftests(self.env.name, source)

    def tests(self):
        return [p for p in self.programs if not build.is_helper(p)]

    def _session(self, name, **options):
        return Session(self.env, name, own=self.own, kernel=self.kernel,
                       files={f"tests/{p.name}": p for p in self.programs}, **options)

    # -- tests ---------------------------------------------------------------

    def run(self, row, pattern):
        """Run what matches: "PROGRAM" or "PROGRAM.FIXTURE.TEST", both globs."""
        boots = {}
        for program in self.tests():
            command = self._command(program, pattern)
            if command:
                boots.setdefault(self.env.boot_for(program.stem), []).append((program, command))
        for number, (boot, chosen) in enumerate(boots.items()):
            self._boot(row, boot, chosen, f"tests{number or ''}")
        return bool(boots)

    def _command(self, program, pattern):
        path = f"/tests/{program.name}"
        if not pattern or fnmatchcase(program.stem, pattern):
            return path
        name, _, rest = pattern.partition(".")
        if rest and fnmatchcase(program.stem, name):
            if program.suffix == ".sh":         # a script has no way to choose
                return path
            return f"ksft-select {path} '{rest}'"
        return None

    def _boot(self, row, boot, chosen, name):
        env = self.env
        say(f"  {env.name}: boot with {boot.smp} CPUs, {len(chosen)} programs")
        limit = build.selftest_timeout()
        collectors = {}

        def on_event(words):
            if words[0] == "start":
                collectors[words[1]] = Collector(words[1], on_result=row.add)
            elif words[0] == "end":
                finish(words[1], int(words[2]))

        def on_line(job, line):
            if job in collectors:
                collectors[job].feed(line)

        def finish(job, status=None):
            collector = collectors[job]
            tests = collector.finish()
            row.lateness += collector.lateness
            if status not in (0, 4, None) and not any(t.outcome == FAILED for t in tests):
                row.fail(job, f"ended with status {status}, yet no test of it failed")
            collector.finished = True

        jobs = [Job(p.stem, command, limit) for p, command in chosen]
        session = self._session(name, boot=boot)
        outcome = session.run(jobs, on_line=on_line, on_event=on_event)
        for job in jobs:
            if job.name not in collectors:
                row.fail(job.name, "did not start")
            elif not getattr(collectors[job.name], "finished", False):
                finish(job.name)
        judge(row, outcome)

    # -- alarms --------------------------------------------------------------

    def prove(self, row, fault):
        """Plant a fault in the boot configuration of the tests: the run must be red."""
        module = "/modules/iotarget_alarm.ko"
        job = Job("plant", f"insmod {module} fault={fault.name} & sleep {fault.settle}; true", 120)
        outcome = self._session(f"alarm-{fault.name}").run([job])
        return verdict(fault, outcome.alarms, outcome.log,
                       [p for p in outcome.problems if "could not be loaded" in p])


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
