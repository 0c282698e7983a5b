# SPDX-License-Identifier: GPL-2.0-only
"""Finds the lines of a kernel log that make a run a failed one, whatever its tests said."""

import re
from dataclasses import dataclass

from .ktap import TIMESTAMP

# The first that matches names the alarm, so the special ones stand first. A message
# begins its line, or follows "rcu: " and the like; a console may glue it to a rest.
_START = r"(?:^|(?<=[\s:>\]]))"

ALARMS = tuple((name, re.compile(_START + pattern)) for name, pattern in (
    ("kasan",           r"(?:BUG: )?KASAN: "),
    ("kcsan",           r"(?:BUG: )?KCSAN: "),
    ("kfence",          r"BUG: KFENCE: "),
    ("ubsan",           r"UBSAN: "),
    ("atomic-sleep",    r"BUG: (?:sleeping function called from invalid context|"
                        r"scheduling while atomic)"),
    ("lockdep",         r"WARNING: (?:possible (?:circular|recursive|irq lock|.* deadlock)|"
                        r"inconsistent lock state|suspicious RCU usage|held lock freed|"
                        r"bad unlock balance|bad contention|lock held when|Nested lock|"
                        r"\S+-safe -> \S+-unsafe lock order)"),
    ("lockdep",         r"(?:possible (?:recursive|circular) locking|inconsistent lock state|"
                        r"suspicious RCU usage|held lock freed|bad unlock balance|"
                        r"INFO: trying to register non-static key|BUG: Invalid wait context|"
                        r"BUG: MAX_LOCK\w+|BUG: .* (?:still has locks held|held lock))"),
    ("hung-task",       r"INFO: task .* blocked for more than"),
    ("stall",           r"(?:rcu: )?INFO: rcu\w* .*(?:detected|self-detected) .*stall"),
    ("stall",           r"(?:watchdog: )?BUG: (?:soft|workqueue) lockup|"
                        r"NMI watchdog: .*LOCKUP|watchdog: .*hard LOCKUP"),
    ("kmemleak",        r"kmemleak: \d+ new suspected"),
    ("debug-objects",   r"ODEBUG: "),
    ("refcount",        r"refcount_t: "),
    ("list",            r"list_(?:add|del)(?: corruption|.*should be)"),
    ("percpu-ref",      r"percpu ref .*<= 0"),
    ("slub",            r"BUG \S+ \(.*\): |=+ BUG "),
    ("warning",         r"WARNING: "),
    ("oops",            r"(?:Oops\b|general protection fault|Unable to handle|"
                        r"kernel BUG at|BUG: (?:unable to handle|kernel NULL|Bad page|"
                        r"Bad rss|using|non-zero|spinlock|rwlock|TASK stack|stack guard))"),
    ("bug",             r"BUG: "),
    ("panic",           r"Kernel panic"),
))

# What test programs print, and the record of what the command line was.
_NOT_THE_KERNEL = re.compile(r"^\s*(?:#|ok\b|not ok\b|K?TAP version|1\.\.|Kernel command line:|"
                             r"Unknown kernel command line)")


FOLLOWING = 4       # lines after the first that may tell what a report is about


@dataclass(frozen=True)
class Alarm:
    name: str
    line: str
    number: int         # of the line in the log, from 1


def scan(lines, tolerated=()):
    """All alarms of a log. `tolerated` are known, foreign ones: pairs of regexps, of the
    line and of one of those that follow it ("" for any)."""
    known = [(re.compile(pattern), re.compile(then)) for pattern, then in tolerated]
    lines = [TIMESTAMP.sub("", line.rstrip("\r\n")) for line in lines]
    found = []
    for number, text in enumerate(lines, 1):
        if _NOT_THE_KERNEL.match(text):
            continue
        for name, pattern in ALARMS:
            if pattern.search(text):
                after = lines[number:number + FOLLOWING] or [""]
                if not any(p.search(text) and any(then.search(line) for line in after)
                           for p, then in known):
                    found.append(Alarm(name, text.strip(), number))
                break
    return found
