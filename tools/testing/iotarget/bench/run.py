#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""make bench: what an I/O target and a gate cost, in instructions of the guest.

One boot for each kernel, with one emulated processor whose clock is the number of
instructions it has executed. The same bios go to a null_blk, and to it through a
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


def session_of(env, profile):
    kernel = provision.kernel_of(env)
    modules = build.modules(env.name, kernel.headers, *env.options, suite=kernel.suite)
    modules.append(bench_build.module(env.name, kernel))
    accel = COUNTING
    if profile:
        accel += ("-plugin", f"{bench_build.plugin()},out={profile}")
    # (with one processor the kernel would take its lock prefixes out)
    boot = environments.Boot(smp=1, cmdline="noreplace-smp", accel=accel)
    env = dataclasses.replace(env, modules=MODULES, sticks=False, disks=False)
    return kernel, Session(env, "bench", own=modules, kernel=kernel, boot=boot, sticks=[],
                           unloaded=("iotarget_alarm", "iotarget_test"),
                           files={"bench": bench_build.program()}, timeout=900)


def measure(name, symbols):
    """One kernel: (its version, the lines that the guest printed, the profile)."""
    env = environments.by_name(name)
    profile = BUILD / "bench" / f"profile-{name}"
    kernel, session = session_of(env, profile)
    print(f"{name}: counting in {kernel.version} ...", flush=True)
    began = time.monotonic()
    outcome = session.run([Job("bench", f"/bench{' --symbols' if symbols else ''}", timeout=800)])
    for problem in (*outcome.problems, *outcome.alarms):
        raise Failure(f"{name}: {problem}; log: {outcome.log}")
    lines = outcome.output["bench"]
    if outcome.status or lines[-1:] != ["end"]:
        raise Failure(f"{name}: {lines[-1] if lines else 'no answer'}; log: {outcome.log}")
    print(f"{name}: done in {time.monotonic() - began:.0f} s", flush=True)
    return kernel.version, lines, profile


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
            version, lines, profile = measure(name, not options.no_profile)
            results[version] = report.digest(lines, profile)
            os.unlink(profile)
        return 0 if report.write(results) else 1
    except (Failure, LookupError) as failure:
        print(failure)
        return 2


if __name__ == "__main__":
    sys.exit(main())
