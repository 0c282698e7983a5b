# SPDX-License-Identifier: GPL-2.0-only
"""Where things lie, and how commands are run: logged, bounded, named when they fail."""

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[4]
BUILD = TREE / "build"
LOGS = BUILD / "logs"
_running = set()


def cache(*parts):
    """A path in the cache, which lives outside the tree and survives `make clean`."""
    root = os.environ.get("IOTARGET_CACHE")
    if not root:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        root = os.path.join(base, "iotarget")
    return Path(root).resolve().joinpath(*parts)


class Failure(Exception):
    """Something that is not a test went wrong: a build, a package, a tool."""


def say(text=""):
    sys.stdout.write(f"{text}\n")      # in one piece: two lanes may speak at once
    sys.stdout.flush()


def tail(path, lines=40):
    try:
        text = Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join("    | " + line for line in text[-lines:])


def run(what, argv, log=None, timeout=900, env=None, cwd=None):
    """Run a command with its output in build/logs/LOG; raise Failure with the tail."""
    log = LOGS / (log or what.replace(" ", "-").replace("/", "-") + ".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with open(log, "w") as out:
        out.write("$ " + " ".join(map(str, argv)) + "\n")
        out.flush()
        try:
            proc = popen(argv, stdout=out, stderr=subprocess.STDOUT, cwd=cwd,
                         env={**os.environ, **(env or {})})
        except OSError as err:
            raise Failure(f"{what}: {err}") from err
        try:
            status = proc.wait(timeout)
        except subprocess.TimeoutExpired:
            kill_group(proc)
            raise Failure(f"{what}: not done after {timeout} s, killed\n{tail(log)}") from None
        except BaseException:
            kill_group(proc)
            raise
        finally:
            _running.discard(proc)
    if status:
        raise Failure(f"{what}: failed with status {status} ({log})\n{tail(log)}")
    return time.monotonic() - started


def popen(argv, **options):
    """Start a process in a session of its own. It does not outlive this program."""
    proc = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL,
                            start_new_session=True, **options)
    _running.add(proc)
    return proc


def kill_group(proc):
    """Kill a process started in its own session, and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(proc.pid, signal.SIGKILL)
    proc.wait()


@atexit.register
def _kill_rest():
    """What a thread has started must not outlive the program."""
    for proc in list(_running):
        if proc.poll() is None:
            kill_group(proc)


def output(argv, default=None):
    """What a command prints, or the default where it fails."""
    try:
        done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120, check=True)
    except (OSError, subprocess.SubprocessError) as err:
        if default is not None:
            return default
        raise Failure(f"{argv[0]}: {err}") from err
    return done.stdout


@contextlib.contextmanager
def locked(name):
    """One user at a time of a thing in the cache that several runs share."""
    path = cache("locks", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def sync_tree(destination):
    """Copy what modules and tests are built from. A file that did not change keeps
    its time stamp in the copy, one that did gets a new one: builds stay incremental
    and never stale, also when an older version comes back."""
    destination = Path(destination)
    destination.mkdir(parents=True, exist_ok=True)
    parts = [p for p in ("Kbuild", "Makefile", "drivers", "include", "tools/testing/selftests",
                                "Documentation/driver-api/iotarget")
             if (TREE / p).exists()]
    argv = ["rsync", "--recursive", "--links", "--perms", "--checksum", "--delete", "--relative",
            # what a build made in the copy stays there
            "--exclude=*.o", "--exclude=*.ko", "--exclude=*.mod", "--exclude=*.mod.c",
            "--exclude=.*.cmd", "--exclude=*.symvers", "--exclude=modules.order",
            "--exclude=*.a", "--exclude=.*.d", "--exclude=__pycache__"]
    argv += [f"{TREE}/./{part}" for part in parts] + [f"{destination}/"]
    run("copy the tree", argv, log=f"copy-{destination.parent.name}-{destination.name}.log")
    return destination


def fresh(directory):
    directory = Path(directory)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory
