# SPDX-License-Identifier: GPL-2.0-only
"""Counts, the table at the end, and the line everything else reads."""

import re
import time
from dataclasses import dataclass, field

from .ktap import FAILED, PASSED, SKIPPED, Test
from .shell import say

BEGIN = re.compile(r"  \S+: the tests begin$")      # what begin() says


@dataclass
class Row:
    """What one environment (or one group of checks) came to."""
    name: str
    tests: list = field(default_factory=list)
    lateness: list = field(default_factory=list)
    seconds: float = 0.0
    broken: bool = False        # something other than a test failed: build, package, tool
    begun: bool = False
    note: str = ""              # a line for the end

    def __post_init__(self):
        self.started = time.monotonic()

    def resume(self):
        """Go on with it after a pause, which finish() began: that is not its time."""
        self.started = time.monotonic() - self.seconds

    def begin(self):
        """The boot is over: say so once, for those who measure from here."""
        if not self.begun:
            self.begun = True
            say(f"  {self.name}: the tests begin")

    def add(self, test, detail=""):
        """Take a result and say so at once."""
        self.tests.append(test)
        mark = {PASSED: "ok  ", FAILED: "FAIL", SKIPPED: "skip"}[test.outcome]
        why = f"  ({test.why.splitlines()[0]})" if test.why else ""
        say(f"  {mark} {self.name:<12} {test.name}{detail}{why}")

    def fail(self, name, why):
        self.add(Test(name, FAILED, why))

    def count(self, outcome):
        return sum(1 for test in self.tests if test.outcome == outcome)

    def finish(self):
        self.seconds = time.monotonic() - self.started
        return self

    @property
    def red(self):
        return self.broken or self.count(FAILED) > 0

    def worst(self):
        if not self.lateness:
            return "-"
        late = max(self.lateness, key=lambda entry: entry.ms)
        over = " OVER" if late.ms > late.bound else ""
        return f"{late.ms:g} of {late.bound:g} ms{over} ({late.call})"


def report(rows):
    """Print the table and the last line; the exit status."""
    skipped = [(row.name, test) for row in rows for test in row.tests if test.outcome == SKIPPED]
    failed = [(row.name, test) for row in rows for test in row.tests if test.outcome == FAILED]
    say()
    head = ("environment", "passed", "failed", "skipped", "time", "worst lateness")
    lines = [(row.name, str(row.count(PASSED)), str(row.count(FAILED)), str(row.count(SKIPPED)),
              f"{row.seconds:.0f} s", row.worst()) for row in rows]
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    for line in [head, *lines]:
        say("  ".join(cell.ljust(width) if i in (0, 5) else cell.rjust(width)
                      for i, (cell, width) in enumerate(zip(line, widths))).rstrip())
    for title, group in (("skipped", skipped), ("failed", failed)):
        if group:
            say(f"\n{title}:")
            for name, test in group:
                first, *rest = (test.why or "no reason given").splitlines()
                say(f"  {name}: {test.name}: {first}")
                for line in rest:
                    say(line)
    for row in rows:
        if row.note:
            say(f"\n{row.note}")
    total = {o: sum(row.count(o) for row in rows) for o in (PASSED, FAILED, SKIPPED)}
    if not total[PASSED] and not total[FAILED]:
        say("\nno test ran")
        total[FAILED] = 1
    say()
    last = f"{total[PASSED]} passed, {total[FAILED]} failed"
    if total[SKIPPED]:
        last += f", {total[SKIPPED]} skipped"
    say(last)
    if any(row.broken for row in rows):
        return 2
    return 1 if total[FAILED] else 0
