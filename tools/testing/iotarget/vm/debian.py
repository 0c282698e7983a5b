# SPDX-License-Identifier: GPL-2.0-only
"""Where packages come from: this machine's apt, or a newer Debian's in a folder.

Both kinds have the same methods. A newer Debian ("root") is made from the mirror
that this machine's apt uses, lies in the cache, and is entered by chroot in a mount
namespace of its own: nothing of it is left behind on the machine.
"""

import os
import re
import shutil
from pathlib import Path

from .shell import Failure, cache, locked, output, run, say

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
OPTIONS = ("-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3")
# Headers may bring the kernel along. Nobody starts it here, and its initrd takes minutes.
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "INITRD": "No"}


def is_root():
    return os.geteuid() == 0


def which(tool):
    if tool.startswith("/"):
        return tool if os.path.exists(tool) else None
    return shutil.which(tool) or shutil.which(tool, path=SBIN)


class Host:
    """This machine's apt, updated at most once, and only when something has to be got."""
    path = Path("/")
    suite = ""
    updated = False

    def update(self):
        if not self.updated and is_root():
            say("  apt-get update")
            self._get("apt-get update", "update", "-qq")
            self.updated = True

    def names(self, prefix):
        return set(output(["apt-cache", "pkgnames", prefix]).split())

    def has(self, package):
        return bool(output(["apt-cache", "show", package], default=""))

    def install(self, packages, why):
        packages = sorted(packages)
        if not is_root():
            raise Failure(f"{why}: missing packages; as root: apt-get install "
                          "--no-install-recommends " + " ".join(packages))
        self.update()
        gone = [p for p in packages if not self.has(p)]
        if gone:
            raise Failure(f"{why}: apt has no package named {', '.join(gone)}")
        say(f"  apt-get install {' '.join(packages)}")
        self._get(f"apt-get install {' '.join(packages)}",
                  "install", "-qq", "-y", "--no-install-recommends", *packages)

    def ccache(self):
        """The folder of a cache of compilations, for what is compiled again and again."""
        if not self.program("ccache"):
            self.install(["ccache"], "a cache of compilations")
        folder = cache("-".join(filter(None, ("ccache", self.suite))))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def program(self, name):
        return which(name)

    def download(self, package, directory):
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.glob(f"{package}_*.deb"):
            old.unlink()
        self.update()
        say(f"  apt-get download {package}")
        self._get(f"apt-get download {package}", "-o", "APT::Sandbox::User=root",
                  "download", package, cwd=directory)
        found = sorted(directory.glob(f"{package}_*.deb"))
        if not found:
            raise Failure(f"{package}: apt-get download left no file")
        return found[-1]

    def _get(self, what, *args, cwd=None):
        run(what, ["apt-get", *OPTIONS, *args], log=f"apt-{args[0].strip('-')}-{len(args)}.log",
            cwd=cwd, env=QUIET, timeout=1200)


HOST = Host()


def mirror():
    """The Debian archive that this machine's apt uses, without its security part."""
    targets = output(["apt-get", "indextargets", "--format",
                      "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)", "Created-By: Packages"])
    for line in targets.splitlines():
        origin, label, component, uri = line.split("|", 3)
        if origin == label == "Debian" and component == "main":
            return uri
    raise Failure("no Debian archive among the sources of this machine's apt")


# $1 the root, $2 how many directories, these, then the command. A directory is seen
# in there under the name it has here.
ENTER = """
root=$1 count=$2; shift 2
mount -t proc proc "$root/proc"
while [ "$count" -gt 0 ]; do
	mkdir -p "$root$1"; mount --bind "$1" "$root$1"
	shift; count=$((count - 1))
done
exec env PWD=/ chroot "$root" "$@"
"""


class Root(Host):
    """A newer Debian with a compiler, in a folder."""

    PACKAGES = ("bc", "bison", "flex", "gcc", "kmod", "libc6-dev", "libelf-dev", "make",
                "python3")

    def __init__(self, suite):
        self.suite = suite
        self.path = cache("roots", suite)

    def ready(self):
        marker = self.path / "etc/iotarget-ready"
        return marker.exists() and marker.read_text().split() == list(self.PACKAGES)

    def make(self):
        if self.ready():
            return self
        if not is_root():
            raise Failure(f"{self.suite} in a folder: only root can make it")
        if not which("mmdebstrap"):
            HOST.install(["mmdebstrap"], f"{self.suite} in a folder")
        HOST.update()
        uri = mirror()
        with locked(f"root-{self.suite}"):
            if self.ready():
                return self
            say(f"  mmdebstrap {self.suite}")
            partial = self.path.with_name(f".{self.suite}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.parent.mkdir(parents=True, exist_ok=True)
            run(f"mmdebstrap {self.suite}", [
                "mmdebstrap", "--mode=root", "--variant=apt",
                f"--include={','.join(self.PACKAGES)}",
                "--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Retries \"3\"",
                self.suite, partial, f"deb {uri} {self.suite} main",
                f"deb {uri} {self.suite}-backports main"], env=QUIET)
            (partial / "etc/iotarget-ready").write_text("\n".join(self.PACKAGES) + "\n")
            shutil.rmtree(self.path, ignore_errors=True)
            partial.rename(self.path)
        return self

    def command(self, argv, *directories):
        """The argv that runs `argv` in there, with these directories of ours."""
        return ["unshare", "--mount", "--fork", "--kill-child", "/bin/sh", "-ec", ENTER, "enter",
                self.path, str(len(directories)), *directories, *argv]

    def update(self):
        if not self.updated:
            self.make()
            say(f"  apt-get update in {self.suite}")
            self._get(f"apt-get update in {self.suite}", "update", "-qq")
            self.updated = True

    def names(self, prefix):
        return set(output(["chroot", self.path, "apt-cache", "pkgnames", prefix]).split())

    def has(self, package):
        return bool(output(["chroot", self.path, "apt-cache", "show", package], default=""))

    def program(self, name):
        path = self.path / "usr/bin" / name
        return path if path.exists() else None

    def install(self, packages, why):
        self.make()
        with locked(f"root-{self.suite}"):
            super().install(packages, why)

    def download(self, package, directory):
        self.make()
        directory.mkdir(parents=True, exist_ok=True)
        with locked(f"root-{self.suite}"):
            return super().download(package, directory)

    def _get(self, what, *args, cwd=None):
        shutil.copyfile("/etc/resolv.conf", self.path / "etc/resolv.conf")
        proxies = []
        for line in output(["apt-config", "dump"]).splitlines():
            found = re.fullmatch(r'(Acquire::https?::Proxy) "(.+)";', line)
            if found:
                proxies += ["-o", f"{found[1]}={found[2]}"]
        argv = ["apt-get", *OPTIONS, *proxies, *args]
        if cwd:
            argv = ["sh", "-c", 'cd "$0" && exec "$@"', cwd, *argv]
        run(what, self.command(argv, *([cwd] if cwd else [])), env={**QUIET, "LC_ALL": "C"},
            log=f"apt-{self.suite}-{args[0].strip('-')}-{len(args)}.log", timeout=1200)


ROOTS = {}


def root(suite):
    """The place to get things from: "" is this machine."""
    if not suite:
        return HOST
    return ROOTS.setdefault(suite, Root(suite))
