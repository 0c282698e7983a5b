# SPDX-License-Identifier: GPL-2.0-only
"""Builds what the benchmark needs beside our modules: a module, a program, a plugin."""

import shutil
from pathlib import Path

from vm.build import JOBS
from vm.debian import root
from vm.shell import BUILD, TREE, fresh, run

HERE = Path(__file__).resolve().parent
SELFTESTS = TREE / "tools/testing/selftests/iotarget"
WARNINGS = ("-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-sign-compare",
            "-Wno-format-truncation")


def module(env_name, kernel):
    """iotarget_bench.ko, against the modules that were built for this environment."""
    built = BUILD / env_name / "src"
    place = fresh(BUILD / env_name / "bench-module")
    for path in (HERE / "module").iterdir():
        if path.name == "Kbuild" or path.suffix in (".c", ".h"):
            shutil.copy(path, place)
    argv = ["make", "-C", kernel.headers, f"M={place}", f"-j{JOBS}", "W=1",
            f"IOTARGET_BUILT={built}", f"KBUILD_EXTRA_SYMBOLS={built}/Module.symvers", "modules"]
    if kernel.suite:
        argv = root(kernel.suite).command(argv, place, built)
    run(f"build benchmark module {env_name}", argv)
    return place / "iotarget_bench.ko"


def program():
    """What runs in the guest."""
    out = BUILD / "bench" / "guest"
    out.parent.mkdir(parents=True, exist_ok=True)
    sources = [SELFTESTS / name for name in ("target.c", "devices.c", "gates.c", "dm.c")]
    run("build benchmark", ["gcc", *WARNINGS, "-D_GNU_SOURCE=", "-static", f"-I{SELFTESTS}",
                            f"-I{TREE}/drivers/iotarget/tests", HERE / "guest.c", *sources,
                            "-lpthread", "-o", out])
    return out


def plugin():
    """QEMU's part."""
    out = BUILD / "bench" / "plugin.so"
    out.parent.mkdir(parents=True, exist_ok=True)
    run("build plugin", ["gcc", *WARNINGS, "-shared", "-fPIC", "-fvisibility=hidden",
                         HERE / "plugin.c", "-o", out])
    return out
