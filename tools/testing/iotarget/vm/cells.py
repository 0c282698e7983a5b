# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of removals: what may happen to a disk, on each kind of disk there is.

Each cell names the tests that show it, or why there can't be one. A run of
"--tests removal" runs the programs that are named here, with all disks and none left out,
and a cell of which a test did not pass is red by its own name.
"""

import dataclasses
import re
from dataclasses import dataclass

from . import disks
from .build import SELFTESTS
from .ktap import FAILED, PASSED, SKIPPED, Test
from .shell import TREE

NAME = "removal"        # of the whole matrix, where a glob of tests is asked for
LONGER = 4              # times as long as a program or boot takes with some of the disks

# What happens, and the test of iotarget_removal that has it happen to each disk.
EVENTS = {
    "consent": "consent",
    "veto by a target": "refused_by_a_target",
    "veto by a foreign mount": "refused_by_a_mount",
    "dry run": "dry_run",
    "canceled after agreement": "canceled",
    "consent expired": "expired",
    "sysfs removal unasked": "unasked",
    "driver unbind": "driver_unbound",
    "yank idle": "pulled_while_idle",
    "yank under 4-thread load": "pulled_under_load",
    "yank with a pended queue": "pulled_with_a_queue",
    "yank during stop, purge, close": "pulled_while_calls_wait",
    "yank during the query": "pulled_during_the_query",
    "errors 300 ms before the yank": "errors_and_then_pulled",
}

# The kinds of disk, and what each is called as a variant of a fixture.
DEVICES = {
    "usb-storage": "usb_storage",
    "UAS": "usb_uas",
    "NVMe": "nvme",
    "virtio-blk": "virtio_blk",
    "virtio-scsi": "virtio_scsi",
    "scsi_debug": "scsi_debug",
    "loop": "loop",
    "null_blk": "null_blk",
}

# What can't be, whatever is tried.
IMPOSSIBLE = {
    ("loop", "sysfs removal unasked"):
        "LOOP_CTL_REMOVE refuses while somebody has it open, and LOOP_CLR_FD waits for "
        "the last close",
    ("loop", "driver unbind"): "no device below it: there is no driver to be unbound",
    ("null_blk", "driver unbind"): "no device below it: there is no driver to be unbound",
}

# Further tests of a cell: other ways to go, and other programs.
PULLED = {
    "yank under 4-thread load": ("under_load_and_plugged_in_again",),
    "yank with a pended queue": ("while_requests_are_held",),
    "yank during stop, purge, close": ("during_a_stop_and_a_close",),
}
UNPLUGGED = {
    "usb-storage": ("usb_storage",),
    "UAS": ("usb_uas",),
    "NVMe": ("nvme", "nvme_asked"),
    "virtio-blk": ("virtio_blk",),
    "virtio-scsi": ("virtio_scsi",),
}
# Their drivers are asked even of a pull, and wait for what the device has: calls that wait
# meanwhile are only in iotarget_unplug, a stop and a close.
ASKED = ("NVMe", "virtio-blk")
MORE = {
    ("usb-storage", "yank during the query"):
        ("iotarget_removal_waits.query.usb_pulled.is_being_thought_about",),
    ("virtio-blk", "yank during the query"):
        ("iotarget_removal_waits.query.virtio_pulled.is_being_thought_about",),
    ("scsi_debug", "yank during the query"):
        ("iotarget_removal_waits.query.scsi_deleted.is_being_thought_about",
         "iotarget_removal_waits.query.scsi_host_removed.is_being_thought_about"),
    ("usb-storage", "errors 300 ms before the yank"):
        ("iotarget_faulty_gadget.gadget.errors_and_then_vanishes",),
    ("scsi_debug", "yank under 4-thread load"):
        ("iotarget_faulty_scsi.scsi_gone.deleted.under_load",
         "iotarget_faulty_scsi.scsi_gone.host_removed.under_load"),
    ("scsi_debug", "driver unbind"): ("iotarget_faulty_scsi.scsi_gone.unbound.under_load",),
    ("null_blk", "yank under 4-thread load"): ("iotarget_faulty.power.cache.cut_under_load",
                                               "iotarget_faulty.power.timer.cut_under_load"),
}


@dataclass(frozen=True)
class Cell:
    device: str
    event: str
    tests: tuple = ()       # PROGRAM.FIXTURE.VARIANT.TEST: each has to pass
    reason: str = ""        # why there is none

    @property
    def name(self):
        return f"{self.device}: {self.event}"


def _cell(device, event):
    reason = IMPOSSIBLE.get((device, event), "")
    if reason:
        return Cell(device, event, reason=reason)
    tests = [f"iotarget_removal.removal.{DEVICES[device]}.{EVENTS[event]}"]
    if device in ASKED and event == "yank during stop, purge, close":
        tests = []
    tests += [f"iotarget_unplug.unplug.{variant}.{test}" for test in PULLED.get(event, ())
              for variant in UNPLUGGED.get(device, ())]
    return Cell(device, event, (*tests, *MORE.get((device, event), ())))


CELLS = tuple(_cell(device, event) for device in DEVICES for event in EVENTS)


def programs():
    """The programs that the cells name."""
    return tuple(sorted({test.partition(".")[0] for cell in CELLS for test in cell.tests}))


def wanted(pattern):
    """Is it the whole matrix that is asked for?"""
    return pattern == NAME


def possible(env):
    """Are there disks that can be plugged in and pulled?"""
    return env.kind == "qemu" and env.disks


def whole(env):
    """An environment that runs the whole matrix: nothing is left out for time."""
    return dataclasses.replace(env, programs=programs(), left_out=(), pulled=(),
                               longer=LONGER, timeout=LONGER * env.timeout)


# -- what the sources have -------------------------------------------------------

TEST = re.compile(r"^TEST(?:_SIGNAL|_TIMEOUT)?\(\s*(\w+)", re.M)
TEST_F = re.compile(r"^TEST_F(?:_SIGNAL|_TIMEOUT)?\(\s*(\w+)\s*,\s*(\w+)", re.M)
VARIANT = re.compile(r"^FIXTURE_VARIANT_ADD\(\s*(\w+)\s*,\s*(\w+)\s*\)\s*\{(.*?)\};",
                     re.M | re.S)


def tests_of(program, text):
    """The names of all tests in a program's source, and of what disk (disks.py) each is,
    if its variant names one."""
    names = dict.fromkeys((f"{program}.global.{name}" for name in TEST.findall(text)), "")
    variants = {}
    for fixture, variant, body in VARIANT.findall(text):
        known = [word for word in re.findall(r'"(\w+)"', body) if word in disks.NAMES]
        variants.setdefault(fixture, {})[variant] = known[0] if known else ""
    for fixture, test in TEST_F.findall(text):
        for variant, disk in variants.get(fixture, {"": ""}).items():
            parts = [program, fixture, variant, test]
            names[".".join(part for part in parts if part)] = disk
    return names


def sources(directory=TREE / SELFTESTS):
    """The tests of all programs that are named."""
    found = {}
    for program in programs():
        path = directory / f"{program}.c"
        if path.exists():
            found.update(tests_of(program, path.read_text()))
    return found


# -- what came of it --------------------------------------------------------------

def judge(env, results, known, cells=CELLS):
    """Each cell as a result of its own.

    results     the tests that ran
    known       {test: disk}, as sources() has it
    """
    came = {}
    for test in results:
        # several of one name: all have to have passed
        if test.name not in came or came[test.name].outcome == PASSED:
            came[test.name] = test
    return [_judge(env, cell, came, known) for cell in cells]


def _judge(env, cell, came, known):
    if cell.reason:
        return Test(cell.name, SKIPPED, cell.reason)
    here = [name for name in cell.tests if known.get(name) not in env.without_disks]
    if not here:
        return Test(cell.name, SKIPPED, f"{env.name} can't handle the disk "
                    f"{known[cell.tests[0]]}: see without_disks in environments.py")
    problems = [_problem(name, came.get(name)) for name in here]
    problems = [problem for problem in problems if problem]
    if problems:
        return Test(cell.name, FAILED, "; ".join(problems))
    return Test(cell.name, PASSED)


def _problem(name, test):
    if test is None:
        return f"no result of {name}"
    if test.outcome != PASSED:
        return f"{name} {test.outcome}" + (f" ({test.why})" if test.outcome == SKIPPED else "")
    return ""


def summary(env, judged):
    shown = sum(test.outcome == PASSED for test in judged)
    cannot = sum(test.outcome == SKIPPED for test in judged)
    return f"{env.name}: {shown} of {len(judged)} cells of removals shown, {cannot} can't be"
