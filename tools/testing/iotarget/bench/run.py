#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""make bench: what an I/O target and a gate cost, in instructions of the guest.

For each kernel a boot with one emulated processor whose clock is the number of
instructions it has executed, and two with several and a clock of their own. The same bios go to a null_blk, and to it through a
disk that only remaps, through iogate, through dm-linear, and through a target. What
comes out is repeatable, and goes to build/bench.md, bench.svg and bench.json.
"""

import argparse
import dataclasses
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import build as bench_build, report              # noqa: E402
from vm import build, environments, provision               # noqa: E402
from vm.session import Job, Session                         # noqa: E402
from vm.shell import BUILD, Failure                         # noqa: E402

MODULES = ("configfs", "virtio_pci", "virtio_console", "null_blk nr_devices=0", "dm-mod")
# An instruction is a nanosecond, and when all are idle time jumps to the next timer.
COUNTING = ("-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off")
THREADS = ("-accel", "tcg,thread=multi")
# On a busy host the kernel would find the TSC unstable and change its clock in the middle,
# which patches code that another processor runs; that is more than QEMU's threads stand.
CLOCK = "tsc=reliable"


@dataclasses.dataclass(frozen=True)
class Count:
    """One boot: what the guest's program is to do, and in what machine."""
    name: str
    smp: int
    accel: tuple
    plugin: bool = True
    options: str = ""
    cmdline: str = ""


def counts(symbols):
    # (with one processor the kernel would take its lock prefixes out)
    return (Count("bench", 1, COUNTING, options=" --symbols" if symbols else "",
                  cmdline="noreplace-smp"),
            Count("parallel", 2, THREADS, options=" --parallel 2", cmdline=CLOCK),
            Count("throughput", 4, THREADS, plugin=False, options=" --throughput",
                  cmdline=CLOCK))


def boot(env, kernel, modules, count):
    """The lines that the guest printed, and where the profile is."""
    accel, profile = count.accel, None
    if count.plugin:
        profile = BUILD / "bench" / f"profile-{env.name}-{count.name}"
        accel += ("-plugin", f"{bench_build.plugin()},out={profile}")
    session = Session(dataclasses.replace(env, modules=MODULES, sticks=False, disks=False),
                      count.name, own=modules, kernel=kernel, sticks=[], timeout=900,
                      boot=environments.Boot(smp=count.smp, cmdline=count.cmdline, accel=accel),
                      unloaded=("iotarget_alarm", "iotarget_test"),
                      files={"bench": bench_build.program()})
    outcome = session.run([Job("bench", f"/bench{count.options}", timeout=800)])
    for problem in (*outcome.problems, *outcome.alarms):
        raise Failure(f"{env.name}: {problem}; log: {outcome.log}")
    lines = outcome.output["bench"]
    if outcome.status or lines[-1:] != ["end"]:
        raise Failure(f"{env.name}: {lines[-1] if lines else 'no answer'}; log: {outcome.log}")
    return lines, profile


def measure(name, symbols):
    """One kernel: (its version, what came out)."""
    env = environments.by_name(name)
    kernel = provision.kernel_of(env)
    modules = build.modules(env.name, kernel.headers, *env.options, suite=kernel.suite)
    modules.append(bench_build.module(env.name, kernel))
    result = {}
    for count in counts(symbols):
        print(f"{name}: {count.name} in {kernel.version} ...", flush=True)
        began = time.monotonic()
        lines, profile = boot(env, kernel, modules, count)
        for part, found in report.digest(lines, profile).items():
            result.setdefault(part, {}).update(found)
        if profile:
            os.unlink(profile)
        print(f"{name}: done in {time.monotonic() - began:.0f} s", flush=True)
    return kernel.version, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="stock-6.12", help="kernels, separated by commas")
    parser.add_argument("--no-profile", action="store_true",
                        help="do not fetch the kernel's symbols, which takes a while")
    options = parser.parse_args()
    results = {}
    try:
        provision.base_packages()
        for name in options.env.split(","):
            env = environments.by_name(name)
            if env.kind != "qemu":
                raise Failure(f"{name}: not a virtual machine")
            version, result = measure(name, not options.no_profile)
            results[version] = result
        return 0 if report.write(results) else 1
    except (Failure, LookupError) as failure:
        print(failure)
        return 2


if __name__ == "__main__":
    sys.exit(main())
