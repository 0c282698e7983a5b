# SPDX-License-Identifier: GPL-2.0-only
"""Gets what the environments need: packages, a kernel source, a kernel image, headers.

Stock kernel images are unpacked into the cache, never installed: installing one
would change what this machine boots. Everything that is there already is used.
"""

import os
import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from .shell import Failure, cache, locked, output, run, say

# What to look for -> the Debian package that has it.
TOOLS = {
    "bash": "bash", "bc": "bc", "bison": "bison", "ccache": "ccache", "flex": "flex",
    "gcc": "gcc", "git": "git", "kmod": "kmod", "make": "make", "patch": "patch",
    "perl": "perl", "rsync": "rsync", "xz": "xz-utils", "pahole": "dwarves",
    "clang": "clang", "ld.lld": "lld", "llvm-nm": "llvm", "sparse": "sparse",
    "busybox": "busybox-static", "mke2fs": "e2fsprogs",
    "qemu-system-x86_64": "qemu-system-x86", "/usr/include/libelf.h": "libelf-dev",
    "/usr/include/openssl/ssl.h": "libssl-dev",
    "/usr/include/stdio.h": "libc6-dev",
}
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Kernel:
    version: str
    image: Path                 # vmlinuz
    modules: Path               # lib/modules/VERSION
    headers: Path               # a KDIR


def is_root():
    return os.geteuid() == 0


def which(tool):
    if tool.startswith("/"):
        return tool if os.path.exists(tool) else None
    return shutil.which(tool) or shutil.which(tool, path=SBIN)


def _is_static(path):
    """No PT_INTERP among the program headers of a 64-bit ELF file."""
    data = Path(path).read_bytes()
    if data[:5] != b"\x7fELF\x02":
        return False
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return all(struct.unpack_from("<I", data, offset + i * size)[0] != 3 for i in range(count))


def busybox():
    """The static busybox; a dynamic one would not run in an initramfs."""
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path) and _is_static(path):
            return Path(path)
    raise Failure("busybox-static: no static busybox found")


def missing_packages():
    missing = {package for tool, package in TOOLS.items() if not which(tool)}
    try:
        busybox()
    except Failure:
        missing.add("busybox-static")
    return missing


class Apt:
    """apt, updated at most once, and only when something has to be got."""
    updated = False

    @classmethod
    def update(cls):
        if not cls.updated and is_root():
            say("  apt-get update")
            cls._get("apt-get update", "update", "-qq")
            cls.updated = True

    @classmethod
    def install(cls, packages, why):
        packages = sorted(packages)
        if not is_root():
            raise Failure(f"{why}: missing packages; as root: apt-get install "
                          "--no-install-recommends " + " ".join(packages))
        cls.update()
        gone = [p for p in packages if not output(["apt-cache", "show", p], default="")]
        if gone:
            raise Failure(f"{why}: apt has no package named {', '.join(gone)}")
        say(f"  apt-get install {' '.join(packages)}")
        cls._get(f"apt-get install {' '.join(packages)}",
                 "install", "-qq", "-y", "--no-install-recommends", *packages)

    @classmethod
    def download(cls, package, directory):
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.glob(f"{package}_*.deb"):
            old.unlink()
        cls.update()
        say(f"  apt-get download {package}")
        cls._get(f"apt-get download {package}", "-o", "APT::Sandbox::User=root",
                 "download", package, cwd=directory)
        found = sorted(directory.glob(f"{package}_*.deb"))
        if not found:
            raise Failure(f"{package}: apt-get download left no file")
        return found[-1]

    @staticmethod
    def _get(what, *args, cwd=None):
        run(what, ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", *args],
            log=f"apt-{args[0].strip('-')}-{len(args)}.log", cwd=cwd,
            env={"DEBIAN_FRONTEND": "noninteractive"}, timeout=1200)


def base_packages():
    missing = missing_packages()
    if missing:
        Apt.install(missing, "build and test tools")
        still = missing_packages()
        if still:
            raise Failure(f"installed, yet not found: {', '.join(sorted(still))}")


# -- kernel source -----------------------------------------------------------

def kernel_source(package):
    """The unpacked source of Debian's kernel, e.g. for "linux-source-6.12"."""
    tree = cache("src", package)
    if (tree / "Makefile").exists() and (tree / "Kbuild").exists():
        return tree
    archive = Path(f"/usr/src/{package}.tar.xz")
    if not archive.exists():
        Apt.install([package], "kernel source")
    with locked(f"source-{package}"):
        if not (tree / "Kbuild").exists():
            partial = cache("src", f".{package}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            say(f"  unpack {archive}")
            run(f"unpack {package}", ["tar", "-C", partial, "-xf", archive])
            shutil.rmtree(tree, ignore_errors=True)
            (partial / package).rename(tree)
            partial.rmdir()
    return tree


# -- stock kernels -----------------------------------------------------------

def _sort_key(version):
    return [int(n) for n in re.findall(r"\d+", version)]


def _headers(version):
    return Path(f"/usr/src/linux-headers-{version}")


def _usable(version, root):
    """The kernel unpacked or installed below `root`, if it is complete."""
    for modules in (root / "lib/modules" / version, root / "usr/lib/modules" / version):
        image = root / "boot" / f"vmlinuz-{version}"
        if image.exists() and (modules / "modules.dep").exists() and (modules / "kernel").is_dir():
            return image, modules
    return None


def _found(version):
    for root in (cache("kernels", version), Path("/")):
        usable = _usable(version, root)
        if usable:
            return usable
    return None


def _installed_versions(pattern):
    names = [p.name[len("linux-headers-"):] for p in Path("/usr/src").glob("linux-headers-*")]
    return [v for v in names if re.fullmatch(pattern, v) and (_headers(v) / "Makefile").exists()]


def _offered(pattern):
    """Versions apt offers with headers and an image: {version: image package}."""
    names = set(output(["apt-cache", "pkgnames", "linux-"]).split())
    offered = {}
    for name in names:
        version = name[len("linux-headers-"):]
        if not name.startswith("linux-headers-") or not re.fullmatch(pattern, version):
            continue
        for image in (f"linux-image-{version}", f"linux-image-{version}-unsigned"):
            if image in names and output(["apt-cache", "show", image], default=""):
                offered[version] = image
                break
    return offered


def stock_kernel(pattern):
    """Image, modules and headers of the newest kernel whose version matches."""
    ready = [v for v in _installed_versions(pattern) if _found(v)]
    if ready:
        version = max(ready, key=_sort_key)
        image, modules = _found(version)
        return Kernel(version, image, modules, _headers(version))
    Apt.update()
    offered = _offered(pattern)
    if not offered:
        raise Failure(f"stock kernel: apt offers no headers with an image that match {pattern}")
    version = max(offered, key=_sort_key)
    say(f"  stock kernel chosen: {version} ({offered[version]}, newest of {len(offered)})")
    if not (_headers(version) / "Makefile").exists():
        Apt.install([f"linux-headers-{version}"], "kernel headers")
    with locked(f"kernel-{version}"):
        if not _found(version):
            _unpack_image(version, offered[version])
    image, modules = _found(version)
    return Kernel(version, image, modules, _headers(version))


def _unpack_image(version, package):
    deb = Apt.download(package, cache("debs"))
    partial = cache("kernels", f".{version}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    run(f"unpack {package}", ["dpkg", "-x", deb, partial])
    usr = partial / "usr/lib/modules" / version
    run(f"depmod {version}", [which("depmod") or "depmod", "-b", partial / "usr" if usr.is_dir()
                              else partial, version])
    final = cache("kernels", version)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    deb.unlink()
    if not _usable(version, final):
        raise Failure(f"{package}: unpacked, but has no complete boot/ and lib/modules/")


# -- all of it ---------------------------------------------------------------

def provide(environments):
    """Everything for these environments. Quick when it is all there."""
    base_packages()
    for env in environments:
        if env.source:
            kernel_source(env.source)
        if env.kselftest_source:
            kernel_source(env.kselftest_source)
        if env.kernel:
            kernel = stock_kernel(env.kernel)
            say(f"  {env.name}: kernel {kernel.version}, headers {kernel.headers}")
