# SPDX-License-Identifier: GPL-2.0-only
"""Builds the modules and the test programs, each environment in a copy of its own."""

import os
import re
import shutil
import threading
from pathlib import Path

from .debian import HOST, root
from .provision import CONFIGS, KERNEL_BUILD
from .shell import BUILD, TREE, Failure, cache, fresh, locked, output, run, sync_tree

JOBS = os.cpu_count() or 2
SELFTESTS = "tools/testing/selftests/iotarget"
TOOL_LOCK = threading.Lock()        # lanes that want it at the same time


def modules(env_name, kdir, *options, clean=False, suite=""):
    """Build all modules, the test ones too, and return their paths. A suite names the
    root (debian.py) whose headers and compiler it takes.

    W=1 is what `make check` asks for: both share one build. It is made where all checkouts
    make theirs, as ccache tells files by their paths, too; what came out is taken from there."""
    copy = sync_tree(BUILD / env_name / "src")
    with locked(f"modules-{env_name}"):
        place = sync_tree(cache("modules", env_name))
        _make_modules(env_name, place, kdir, options, clean, suite)
        # not whatever .ko lies about: a module that is gone from the tree may have left one
        built = [Path(line).with_suffix(".ko")
                 for line in (place / "modules.order").read_text().split()]
        built = [path.relative_to(place) if path.is_absolute() else path for path in built]
        if not built:
            raise Failure(f"build modules {env_name}: no .ko came out")
        for path in (*built, Path("Module.symvers")):
            shutil.copy(place / path, copy / path)
    return [copy / path for path in built]


def _make_modules(env_name, place, kdir, options, clean, suite):
    machine = root(suite)
    ccache = machine.ccache()
    argv = ["make", "-C", kdir, f"M={place}", f"-j{JOBS}", "IOTARGET_TESTS=m", "W=1",
            "CC=ccache gcc", *options]
    if suite:
        argv = machine.command(argv, place, ccache)
    variables = {"CCACHE_DIR": str(ccache)}
    if clean:
        run(f"clean modules {env_name}", argv + ["clean"], env=variables)
    run(f"build modules {env_name}", argv + ["modules"], env=variables)


def clang(source):
    """Compile all modules with clang, W=1, and return where the objects are."""
    ccache = HOST.ccache()
    with locked("modules-clang"):
        out = cache("build", f"clang-{source.name}")
        out.mkdir(parents=True, exist_ok=True)
        place = sync_tree(cache("modules", "clang"))
        for path in place.rglob("*.o"):
            path.unlink()       # a warning of one that did not change would be lost
        make = ["make", f"-j{JOBS}", "CC=ccache clang"]
        variables = {**KERNEL_BUILD, "CCACHE_DIR": str(ccache)}
        run("configure for clang", [*make, "-C", source, f"O={out}", "allnoconfig"],
            env={**variables, "KCONFIG_ALLCONFIG": str(CONFIGS / "in-tree.config")})
        run("prepare for clang", [*make, "-C", source, f"O={out}", "prepare"], env=variables)
        run("build clang", [*make, "-C", out, f"M={place}", "W=1", "IOTARGET_TESTS=m",
                            "IOTARGET_KUNIT=m", "drivers/iotarget/", "drivers/block/iogate/"],
            env=variables)
    return place


def depends(module):
    text = output(["/sbin/modinfo" if os.path.exists("/sbin/modinfo") else "modinfo",
                   "-F", "depends", module]).strip()
    return [name for name in text.split(",") if name]


def load_order(paths):
    """Our modules, each after those it needs."""
    by_name = {Path(p).stem.replace("-", "_"): Path(p) for p in paths}
    order, busy = [], set()

    def visit(name):
        path = by_name[name]
        if path in order or name in busy:
            return
        busy.add(name)
        for other in depends(path):
            if other.replace("-", "_") in by_name:
                visit(other.replace("-", "_"))
        order.append(path)

    for name in sorted(by_name):
        visit(name)
    return order


def _harness(env_name, kernel_source, slowness):
    """Where kselftest_harness.h is. For a slow kernel, a copy in which each test may
    take that many times as long."""
    harness = Path(kernel_source) / "tools/testing/selftests"
    if slowness == 1:
        return harness
    copy = fresh(BUILD / env_name / "harness")
    for name in ("kselftest.h", "kselftest_harness.h"):
        text, limits = re.subn(r"\balarm\(t->timeout\)", f"alarm(t->timeout * {slowness})",
                               (harness / name).read_text())
        if name == "kselftest_harness.h" and limits != 1:
            raise Failure(f"{name}: the time limit of a test is not where it was")
        (copy / name).write_text(text)
    return copy


def selftests(env_name, kernel_source, slowness=1):
    """Build the test programs, static and from nothing, and return those to be run:
    all programs built and all scripts. *_helper and run.sh, which runs the others
    on a real machine, are carried along but not run."""
    source = BUILD / env_name / "src" / SELFTESTS
    if not (source / "Makefile").exists():
        raise Failure(f"{SELFTESTS}/Makefile: not there")
    out = fresh(BUILD / env_name / "selftests")
    run(f"build selftests {env_name}",
        ["make", "-C", source, f"-j{JOBS}", f"KSFT={_harness(env_name, kernel_source, slowness)}",
         f"OUTPUT={out}", "LDFLAGS=-static", "CC=ccache gcc"],
        # alike in all environments and checkouts, but for where they lie
        env={"CCACHE_DIR": str(HOST.ccache()), "CCACHE_BASEDIR": str(BUILD / env_name)})
    programs = [p for p in sorted(out.iterdir())
                if p.is_file() and os.access(p, os.X_OK) and p.suffix not in (".o", ".d")]
    programs += sorted(source.glob("*.sh"))
    if not programs:
        raise Failure(f"build selftests {env_name}: no program came out in {out}")
    return programs


def with_libraries(program):
    """A program with the libraries that it needs: {path in a guest: path here}."""
    libraries = re.findall(r"(?:=> )?(/\S+) \(0x", output(["ldd", program]))
    return {f"bin/{Path(program).name}": Path(program),
            **{path.lstrip("/"): Path(path) for path in libraries}}


def tool():
    """The command-line tool. Debian has no static libmnl."""
    program = BUILD / "tool" / "iotarget"
    program.parent.mkdir(parents=True, exist_ok=True)
    with TOOL_LOCK:
        run("build tool", ["make", "-C", TREE / "tools/iotarget", f"OUTPUT={program.parent}"])
    return with_libraries(program)


def is_helper(program):
    return Path(program).stem.endswith("_helper") or Path(program).name == "run.sh"


def selftest_timeout(default=120):
    """Seconds for one program: the "settings" file kselftest itself reads."""
    settings = TREE / SELFTESTS / "settings"
    if settings.exists():
        found = re.search(r"^timeout=(\d+)", settings.read_text(), re.M)
        if found:
            return int(found.group(1))
    return default
