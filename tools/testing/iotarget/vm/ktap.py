# SPDX-License-Identifier: GPL-2.0-only
"""Reads KTAP and TAP: kselftest programs, KUnit's nested results, our own scripts.

What is missing counts as failed: a result the plan promised, a plan, any test at
all, the reason of a skip.
"""

import re
from dataclasses import dataclass, field

TIMESTAMP = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ")
VERSION = re.compile(r"^(?:K?TAP version \d+)$")
PLAN = re.compile(r"^1\.\.(\d+)(?:\s*#\s*(.*))?$")
RESULT = re.compile(r"^(ok|not ok)\b\s*(\d+)?\s*(?:- )?(.*)$")
DIRECTIVE = re.compile(r"(?:^|\s)#\s*(SKIP|TODO|XFAIL|XPASS|TIMEOUT|error)\b:?\s*(.*)$", re.I)
ASSERTION = re.compile(r"\S+\.[ch]:\d+:")             # kselftest_harness.h
LATENESS = re.compile(r"\blateness: *(-?[\d.]+) *(?:ms)? *bound *(-?[\d.]+) *(?:ms)? *(.*)$")
BAIL = re.compile(r"^Bail out!\s*(.*)$")

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True)
class Test:
    name: str
    outcome: str
    why: str = ""


@dataclass(frozen=True)
class Lateness:
    ms: float
    bound: float
    call: str


@dataclass
class _Group:
    indent: int
    name: str = ""
    planned: int = None
    skip_all: str = None
    seen: int = 0
    results: list = field(default_factory=list)         # Test, one per leaf
    failed_child: bool = False


class Collector:
    """Feed it lines; finish() gives the tests. `on_result` hears each as it comes."""

    def __init__(self, name="", on_result=None, kernel_log=False):
        self.name = name
        self.kernel_log = kernel_log        # lines of other origin lie between the results
        self.on_result = on_result or (lambda test: None)
        self.lateness = []
        self.diagnostics = []               # last lines since the last result
        self.stack = []
        self.tests = []
        self.pending_name = None
        self.bailed = None
        self.results_seen = 0

    # -- input -------------------------------------------------------------

    def feed(self, line):
        line = TIMESTAMP.sub("", line.rstrip("\r\n"))
        text = line.lstrip(" ")
        indent = len(line) - len(text)
        if VERSION.match(text):
            self._open(indent)
            return
        if BAIL.match(text):
            self.bailed = BAIL.match(text).group(1) or "no reason given"
            return
        if not self.stack:
            if text.startswith("#"):
                self._diagnostic(text)
            return
        if text.startswith("#"):
            self._diagnostic(text)
        elif PLAN.match(text):
            self._plan(indent, PLAN.match(text))
        elif RESULT.match(text) and (RESULT.match(text).group(2) or not self.kernel_log):
            self._result(indent, RESULT.match(text))
        elif text and not self.kernel_log:
            self._remember(text)

    def _open(self, indent):
        self._close_deeper(indent)
        if self.stack and self.stack[-1].indent == indent:
            return                          # a second header: same group
        self.stack.append(_Group(indent))

    def _diagnostic(self, text):
        if text.startswith("# Subtest:"):
            if self.stack:
                self.stack[-1].name = text[len("# Subtest:"):].strip()
            return
        found = LATENESS.search(text)
        if found:
            self.lateness.append(Lateness(float(found[1]), float(found[2]),
                                          found[3].strip() or "unnamed call"))
            return
        self._remember(text)

    def _remember(self, text):
        self.diagnostics.append(text.lstrip("# ").rstrip())
        del self.diagnostics[:-24]

    def _plan(self, indent, match):
        group = self._group_at(indent)
        if group.planned is not None:
            self._fault(group, "a second plan line")
            return
        group.planned = int(match.group(1))
        reason = match.group(2)
        if group.planned == 0 and reason is not None:
            group.skip_all = re.sub(r"^SKIP\b:?\s*", "", reason, flags=re.I)

    def _group_at(self, indent):
        """The open group that a line with this indentation belongs to."""
        self._close_deeper(indent)
        if not self.stack:
            self.stack.append(_Group(indent))
        return self.stack[-1]

    def _close_deeper(self, indent):
        while self.stack and self.stack[-1].indent > indent:
            self._abandon(self.stack.pop())

    def _abandon(self, group):
        """A subtest ended by something else than its parent's result line."""
        parent = self.stack[-1] if self.stack else None
        self._complete(group, parameterised=False)
        if parent is not None:
            parent.failed_child |= group.failed_child
        else:
            self.tests += group.results
        if parent is not None:
            parent.results += group.results

    def _result(self, indent, match):
        while len(self.stack) > 1 and self.stack[-2].indent > indent:
            self._abandon(self.stack.pop())
        children = None
        if self.stack and self.stack[-1].indent > indent:
            children = self.stack.pop()
        group = self._group_at(indent)
        group.seen += 1
        self.results_seen += 1
        status, number, rest = match.groups()
        directive = DIRECTIVE.search(" " + rest)
        name = rest[:max(directive.start() - 1, 0)].strip() if directive else \
            re.split(r"\s#\s", " " + rest)[0].strip()
        if number is not None and int(number) != group.seen:
            self._fault(group, f"result {number} came where {group.seen} was due")
            group.seen = int(number)
        if children is not None:
            self._complete(children, parameterised=True, name=name)
            group.results += children.results
            if status == "not ok" and not children.failed_child:
                self._leaf(group, Test(self._path(name), FAILED, self._why("failed as a whole")))
            elif children.failed_child:
                group.failed_child = True
            elif not children.results:
                self._leaf(group, self._judge(status, name, directive))
            self.diagnostics.clear()
            return
        self._leaf(group, self._judge(status, name or f"test {group.seen}", directive))
        self.diagnostics.clear()

    def _judge(self, status, name, directive):
        path = self._path(name)
        if directive:
            kind, reason = directive.group(1).upper(), directive.group(2).strip()
            if kind == "SKIP" and status == "ok":
                if not reason or reason.lower() in ("unknown", "none"):
                    return Test(path, FAILED, "skipped without a reason")
                return Test(path, SKIPPED, reason)
            if kind == "XFAIL" and status == "ok":
                return Test(path, SKIPPED, f"expected failure: {reason or 'no reason'}")
            if kind in ("TODO", "XPASS", "TIMEOUT", "ERROR"):
                return Test(path, FAILED, f"{kind.lower()} {reason}".strip())
        if status == "ok":
            return Test(path, PASSED)
        return Test(path, FAILED, self._why("not ok"))

    def _why(self, default):
        """What an assertion said comes before what else was printed last."""
        words = [d for d in self.diagnostics if d]
        said = [d for d in words if ASSERTION.match(d)]
        return " / ".join(said[:3] or words[-4:]) or default

    def _path(self, name):
        parts = [self.name] + [g.name for g in self.stack if g.name] + [name]
        return ".".join(p for p in parts if p)

    def _leaf(self, group, test):
        group.results.append(test)
        if test.outcome == FAILED:
            group.failed_child = True
        self.on_result(test)

    def _fault(self, group, why):
        self._leaf(group, Test(self._path(group.name) or "results", FAILED, why))

    def _complete(self, group, parameterised, name=""):
        """A group ends. KUnit prints no plan for a parameterised case: there the
        unbroken numbering and the parent's result line vouch for it."""
        label = group.name or name
        if group.planned is None:
            if not parameterised:
                self._missing(group, label, "no plan line (cut short?)")
            return
        if group.skip_all is not None and not group.seen:
            if group.skip_all:
                self._leaf(group, Test(self._path(label) or "all", SKIPPED, group.skip_all))
            else:
                self._missing(group, label, "skipped without a reason")
            return
        if group.planned == 0 and not group.seen:
            self._missing(group, label, "no tests at all")
        for number in range(group.seen + 1, group.planned + 1):
            self._missing(group, label, f"no result for test {number} of {group.planned}")
        if group.seen > group.planned:
            self._missing(group, label, f"{group.seen} results, planned were {group.planned}")

    def _missing(self, group, label, why):
        self._leaf(group, Test(self._path(label) or "results", FAILED, why))

    # -- output ------------------------------------------------------------

    def finish(self):
        """Close what is open and return the tests; never an empty list."""
        while self.stack:
            self._abandon(self.stack.pop())
        if self.bailed is not None:
            test = Test(self.name or "results", FAILED, f"bailed out: {self.bailed}")
            self.tests.append(test)
            self.on_result(test)
        if not self.tests:
            test = Test(self.name or "results", FAILED, "no test results in the output")
            self.tests.append(test)
            self.on_result(test)
        return self.tests


def collect(lines, **options):
    collector = Collector(**options)
    for line in lines:
        collector.feed(line)
    return collector.finish()
