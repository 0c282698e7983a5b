# SPDX-License-Identifier: GPL-2.0-only
"""One boot of a virtual machine: some jobs done in it, and what came of them.

This is what both the tests and the demo stand on:

    env = environments.by_name("stock-6.12")
    session = Session(env, "demo", files={"demo": path_of_a_static_program},
                      sticks=[Stick(image=ext4_image(...))])
    result = session.run([Job("demo", "/demo --fast", timeout=120)], on_line=print)
    sys.exit(result.status)
"""

import time
from dataclasses import dataclass, field

from . import alarms, build, initramfs, provision
from .machine import EXIT_DONE, Machine
from .shell import BUILD, LOGS, fresh, say
from .stick import default_stick

# Modules that no boot loads by itself.
ON_DEMAND = ("iotarget_alarm", "iotarget_example", "ioflush")


HELLO = "iotarget-guest: init"          # what the guest's init says first


@dataclass(frozen=True)
class Job:
    name: str               # no blanks
    command: str            # for the guest's shell
    timeout: int = 120      # seconds, then the guest kills it


@dataclass
class Outcome:
    """What a boot came to. `problems` is empty for a good one."""
    statuses: dict = field(default_factory=dict)        # job -> exit status
    output: dict = field(default_factory=dict)          # job -> lines
    alarms: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    boot_seconds: float = 0.0
    seconds: float = 0.0
    log: str = ""
    end: list = field(default_factory=list)             # the last lines of the kernel's log
    unborn: bool = False    # the kernel died before it ran init
    status: int = 1         # the first status that is not 0, or 1 if the boot failed


class Session:
    """
    own         our modules: paths of .ko files; None builds them
    unloaded    names of those that are carried in /modules but not loaded
    files       {path in the guest: path on the host, or bytes}
    sticks      USB sticks; None for the one with the known pattern
    disks       further disks, which wait to be plugged in (disks.py)
    """

    def __init__(self, env, name, *, own=None, unloaded=ON_DEMAND, files=None,
                 sticks=None, disks=(), kernel=None, boot=None, actions=None, timeout=None):
        self.env, self.name = env, name
        self.kernel = kernel or provision.kernel_of(env)
        self.boot = boot or env.boots[-1]
        built = build.modules(env.name, self.kernel.headers, *env.options,
                              suite=self.kernel.suite) if own is None else own
        self.own = [(path, path.stem not in unloaded) for path in build.load_order(built)]
        self.files = files or {}
        if sticks is None:
            sticks = [default_stick()] if env.sticks else []
        self.sticks, self.disks = list(sticks), list(disks)
        self.actions = actions
        self.timeout = timeout or env.timeout
        self.directory = BUILD / env.name / f"boot-{name}"
        self.outcome = None

    def run(self, jobs, on_line=None, on_event=None):
        """Boot, do the jobs, switch off. `on_line(job, line)` hears the jobs live,
        `on_event(words)` the guest's own messages.

        A kernel that dies before it has started init, and so before it has seen
        anything of ours, tells of the emulator: that boot is shown and repeated once."""
        self.on_line = on_line or (lambda job, line: None)
        self.on_event = on_event or (lambda words: None)
        outcome = self._boot(jobs)
        self._complain(outcome)
        if outcome.unborn:
            say(f"  {self.env.name}: that boot is repeated")
            outcome = self._boot(jobs)
            self._complain(outcome)
        return outcome

    def _complain(self, outcome):
        """Why, before the many failures that follow from it."""
        for problem in outcome.problems:
            say(f"  {self.env.name}: {problem}")
        for line in outcome.end if outcome.problems else ():
            say("       " + line)

    def _boot(self, jobs):
        self.outcome = outcome = Outcome()
        self.current = None
        self.done = None
        self.ready = False
        fresh(self.directory)
        initrd = initramfs.make(
            self.directory / "initramfs", self.kernel, self.env.modules, self.own, self.files,
            [f"{job.name} {job.timeout} {job.command}" for job in jobs],
            {"hung_task_timeout": 10,
             "IOTARGET_BOUND_MS": self.env.bound_ms,
             "IOTARGET_CYCLES": self.env.cycles,
             "IOTARGET_RACE_SHARE": self.env.race_share,
             "IOTARGET_DISKS": " ".join(disk.id for disk in self.disks),
             "IOTARGET_PLUG_ROUNDS": self.env.plug_rounds,
             "IOTARGET_PULLED": " ".join(self.env.pulled),
             "patience": max(self.timeout - 25, self.timeout // 2),
             "wait_for": " ".join(f"sd{letter}" for letter, _ in
                                  zip("abcd", [s for s in self.sticks if s.plugged]))})
        started = time.monotonic()
        machine = Machine(self.kernel, initrd, self.directory, on_line=self._line,
                          timeout=self.timeout, smp=self.boot.smp, memory=self.boot.memory,
                          cmdline=self.boot.cmdline, accel=self.boot.accel,
                          disks=self.sticks + self.disks, actions=self.actions)
        with machine:
            status = machine.wait()
        outcome.seconds = time.monotonic() - started
        self._judge(machine, status, jobs)
        for copy in self.directory.glob("*.img"):
            copy.unlink()
        initrd.unlink()
        return outcome

    def _line(self, line):
        if not line.startswith("@guest "):
            self.outcome.output.setdefault(self.current, []).append(line)
            self.on_line(self.current, line)
            return
        words = line.split()[1:]
        if words[0] == "start":
            self.current = words[1]
            self.outcome.output.setdefault(self.current, [])
        elif words[0] == "end":
            self.outcome.statuses[words[1]] = int(words[2])
            self.current = None
        elif words[0] == "ready":
            self.ready = True
            self.outcome.boot_seconds = float(words[1])
        elif words[0] == "done":
            self.done = int(words[1])
        elif words[0] == "module-failed":
            self.outcome.problems.append(f"module {words[1]} could not be loaded")
        elif words[0] == "no-disk":
            self.outcome.problems.append(f"no /dev/{words[1]} in the guest")
        self.on_event(words)

    def _judge(self, machine, status, jobs):
        outcome = self.outcome
        lines = machine.log_lines()
        outcome.log = str(LOGS / f"{self.env.name}-{self.name}.log")
        LOGS.mkdir(parents=True, exist_ok=True)
        with open(outcome.log, "w") as log:
            log.write("\n".join(lines) + "\n")
            for job, text in outcome.output.items():
                log.write(f"\n==== output of {job or 'init'}, status "
                          f"{outcome.statuses.get(job, 'none')}\n" + "\n".join(text) + "\n")
        outcome.alarms = alarms.scan(lines, [(t.pattern, t.then) for t in self.env.tolerated])
        if machine.timed_out:
            where = f"in {self.current}" if self.current else \
                "between jobs" if self.ready else "before the guest was up"
            outcome.problems.append(f"hung {where}: killed after {self.timeout} s")
        elif self.done is None or status != EXIT_DONE:
            where = f"in {self.current}" if self.current else \
                "between jobs" if self.ready else "before it was up"
            outcome.problems.append(f"the guest died {where} (QEMU's status {status})")
        for job in jobs:
            if outcome.statuses.get(job.name) == 137:
                outcome.problems.append(f"{job.name}: killed after {job.timeout} s")
        outcome.problems += machine.host.failures if machine.host else []
        outcome.end = lines[-30:]
        outcome.unborn = bool(outcome.problems) and not any(HELLO in line for line in lines)
        if status != EXIT_DONE:
            outcome.end += machine.complaints()
        if self.done is not None and not outcome.problems:
            outcome.status = self.done
        else:
            outcome.status = self.done or 1
