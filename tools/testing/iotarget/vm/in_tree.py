# SPDX-License-Identifier: GPL-2.0-only
"""Builds our code inside the newest kernel's source tree, where it needs no compat/.

The tree is prepared with scripts/into-tree, configured by the tree's own Kconfig and
compiled, as a module and built in, by the compiler of that kernel's Debian.
"""

import re
import shutil

from . import provision
from .debian import root
from .ktap import FAILED, PASSED, Test
from .shell import LOGS, TREE, cache, locked, run, say

SUITE, SOURCE = "trixie", r"linux-source-7\.\d+"
CONFIG = "in-tree.config"
OURS = ("drivers/iotarget/", "drivers/block/iogate/")
WARNING = re.compile(r"\b(?:warning|error|WARNING|ERROR)\b:")


def provide():
    root(SUITE).make()
    return provision.kernel_source(SOURCE, SUITE)


def check(row):
    source = provide()
    place = root(SUITE)
    # the folder of builds is visible in there, too
    builds = cache("build")
    builds.mkdir(parents=True, exist_ok=True)
    with locked(f"into-{source.name}"):
        run("into-tree in-tree", [TREE / "scripts/into-tree", source])
        left = sorted(source.glob("drivers/iotarget/compat*"))
        row.add(Test("without compat", FAILED if left else PASSED,
                     "into-tree left compat/ in the kernel" if left else ""))
        for kind in ("m", "y"):
            out = builds / f"in-tree-{kind}"
            out.mkdir(exist_ok=True)
            _build(row, place, source, out, kind)


def _build(row, place, source, out, kind):
    name = {"m": "as modules", "y": "built in"}[kind]
    say(f"  in-tree: build {name} in {source.name}")
    wanted = out / "wanted.config"
    wanted.write_text((provision.CONFIGS / CONFIG).read_text().replace("=m", f"={kind}"))
    ccache = place.ccache()
    make = ["make", "-C", source, f"O={out}", f"-j{provision.JOBS}", "CC=ccache gcc"]

    def build(what, *arguments):
        log = f"in-tree-{kind}-{what}.log"
        run(f"in-tree {name}: {what}",
            place.command([*make, *arguments], source, out, ccache), log=log,
            env={**provision.KERNEL_BUILD, "CCACHE_DIR": str(ccache)})
        return [line for line in (LOGS / log).read_text(errors="replace").splitlines()
                if WARNING.search(line)]

    build("configure", f"KCONFIG_ALLCONFIG={wanted}", "allnoconfig")
    dropped = provision.dropped(out / ".config", wanted)
    if dropped:
        row.fail(f"{name}: Kconfig", f"drops {', '.join(dropped)}")
        return
    build("prepare", "prepare")
    # make sees only files that are newer: a warning of an unchanged file would be lost
    for directory in OURS:
        shutil.rmtree(out / directory, ignore_errors=True)
    complaints = build("compile", "W=1", *OURS)
    if complaints:
        row.fail(name, "\n".join(complaints[:20]))
    else:
        row.add(Test(name, PASSED))
