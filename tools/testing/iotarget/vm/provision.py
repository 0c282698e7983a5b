# SPDX-License-Identifier: GPL-2.0-only
"""Gets what the environments need: packages, a kernel source, a kernel image, headers.

Stock kernel images are unpacked into the cache, never installed: installing one
would change what this machine boots. Everything that is there already is used.
"""

import hashlib
import os
import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from .debian import HOST, root, which
from .shell import TREE, Failure, cache, locked, output, run, say

# What to look for -> the Debian package that has it.
TOOLS = {
    "bash": "bash", "bc": "bc", "bison": "bison", "ccache": "ccache", "flex": "flex",
    "gcc": "gcc", "git": "git", "kmod": "kmod", "make": "make", "patch": "patch",
    "perl": "perl", "rsync": "rsync", "xz": "xz-utils", "pahole": "dwarves",
    "clang": "clang", "ld.lld": "lld", "llvm-nm": "llvm", "sparse": "sparse",
    "busybox": "busybox-static", "mke2fs": "e2fsprogs",
    "qemu-system-x86_64": "qemu-system-x86", "/usr/include/libelf.h": "libelf-dev",
    "/usr/include/openssl/ssl.h": "libssl-dev",
    "/usr/include/stdio.h": "libc6-dev", "/usr/include/libmnl/libmnl.h": "libmnl-dev",
    "/usr/lib/python3/dist-packages/yaml": "python3-yaml",
    "/usr/lib/python3/dist-packages/jsonschema": "python3-jsonschema",
}


# Programs that some test programs run in a guest: the same.
GUEST_TOOLS = {
    "fio": "fio",
    "mkfs.ext4": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "xfs_repair": "xfsprogs",
}


@dataclass(frozen=True)
class Kernel:
    version: str
    image: Path                 # vmlinuz
    modules: Path               # lib/modules/VERSION
    headers: Path               # a KDIR
    suite: str = ""             # which root (debian.py) has the headers and a compiler


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


def base_packages():
    missing = missing_packages()
    if missing:
        HOST.install(missing, "build and test tools")
        still = missing_packages()
        if still:
            raise Failure(f"installed, yet not found: {', '.join(sorted(still))}")


def guest_tool(name):
    """The path of a program that goes into a guest."""
    if not which(name):
        HOST.install([GUEST_TOOLS[name]], f"{name}, which tests run in the guest")
    path = which(name)
    if not path:
        raise Failure(f"{GUEST_TOOLS[name]}: installed, yet there is no {name}")
    return Path(path)


# -- kernel source -----------------------------------------------------------

def kernel_source(package, suite=""):
    """The unpacked source of Debian's kernel, e.g. for "linux-source-6.12". A package
    that is a regexp stands for the newest that the suite has."""
    if re.search(r"[\\*\[]", package):
        package = _newest_source(package, suite)
    tree = cache("src", package)
    if _is_source(tree):
        return tree
    with locked(f"source-{package}"):
        if _is_source(tree):
            return tree
        partial = cache("src", f".{package}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        archive = Path(f"/usr/src/{package}.tar.xz")
        deb = None
        if suite:
            deb = root(suite).download(package, cache("debs"))
            run(f"unpack {deb.name}", ["dpkg", "-x", deb, partial])
            archive = partial / archive.relative_to("/")
        elif not archive.exists():
            HOST.install([package], "kernel source")
        say(f"  unpack {archive.name}")
        run(f"unpack {package}", ["tar", "-C", partial, "-xf", archive])
        shutil.rmtree(tree, ignore_errors=True)
        (partial / package).rename(tree)
        shutil.rmtree(partial)
        if deb:
            deb.unlink()
    return tree


def _is_source(tree):
    return (tree / "Makefile").exists() and (tree / "Kbuild").exists()


def _newest_source(pattern, suite):
    here = [p.name for p in cache("src").glob("linux-source-*")
            if re.fullmatch(pattern, p.name) and _is_source(p)]
    if not here:
        root(suite).update()
        here = [name for name in root(suite).names("linux-source-")
                if re.fullmatch(pattern, name) and root(suite).has(name)]
    if not here:
        raise Failure(f"kernel source: apt has no package that matches {pattern}"
                      f"{' in ' + suite if suite else ''}")
    return max(here, key=_sort_key)


# -- stock kernels -----------------------------------------------------------

def _sort_key(version):
    return [int(n) for n in re.findall(r"\d+", version)]


def _headers(version, place):
    return place.path / f"usr/src/linux-headers-{version}"


def _usable(version, top):
    """The kernel unpacked or installed below `top`, if it is complete."""
    for modules in (top / "lib/modules" / version, top / "usr/lib/modules" / version):
        for image in (top / "boot" / f"vmlinuz-{version}", modules / "vmlinuz",
                      modules / "vmlinuz.unsigned"):
            if (image.exists() and (modules / "modules.dep").exists() and
                    (modules / "kernel").is_dir()):
                return image, modules
    return None


def _found(version):
    for top in (cache("kernels", version), Path("/")):
        usable = _usable(version, top)
        if usable:
            return usable
    return None


def _installed_versions(pattern, place):
    names = [p.name[len("linux-headers-"):]
             for p in (place.path / "usr/src").glob("linux-headers-*")]
    return [v for v in names if re.fullmatch(pattern, v) and
            (_headers(v, place) / "Makefile").exists()]


def _offered(pattern, place):
    """Versions that apt has with headers and an image: {version: packages of the image}."""
    names = place.names("linux-")
    offered = {}
    for name in names:
        version = name[len("linux-headers-"):]
        if not name.startswith("linux-headers-") or not re.fullmatch(pattern, version):
            continue
        # newer ones have the modules in a package of their own
        apart = [p for p in (f"linux-modules-{version}", f"linux-base-{version}") if p in names]
        images = [f"linux-binary-{version}", f"linux-binary-unsigned-{version}"] if apart else \
            [f"linux-image-{version}", f"linux-image-{version}-unsigned"]
        for image in images:
            if image in names and place.has(image):
                offered[version] = [image, *apart]
                break
    return offered


def stock_kernel(pattern, suite="", fetch=True):
    """Image, modules and headers of the newest kernel whose version matches; None if
    that is not here and must not be fetched."""
    place = root(suite)
    ready = [v for v in _installed_versions(pattern, place) if _found(v)]
    if ready:
        return _kernel(max(ready, key=_sort_key), place)
    if not fetch:
        return None
    place.update()
    offered = _offered(pattern, place)
    if not offered:
        raise Failure(f"stock kernel: apt has no headers with an image that match {pattern}"
                      f"{' in ' + suite if suite else ''}")
    version = max(offered, key=_sort_key)
    say(f"  stock kernel chosen: {version} ({offered[version][0]}, newest of {len(offered)})")
    if not (_headers(version, place) / "Makefile").exists():
        place.install([f"linux-headers-{version}"], "kernel headers")
    with locked(f"kernel-{version}"):
        if not _found(version):
            _unpack_image(version, offered[version], place)
    return _kernel(version, place)


def _kernel(version, place):
    image, modules = _found(version)
    headers = Path(f"/usr/src/linux-headers-{version}")
    return Kernel(version, image, modules, headers, place.suite)


def _unpack_image(version, packages, place):
    partial = cache("kernels", f".{version}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for package in packages:
        deb = place.download(package, cache("debs"))
        run(f"unpack {package}", ["dpkg", "-x", deb, partial])
        deb.unlink()
    usr = partial / "usr/lib/modules" / version
    run(f"depmod {version}", [which("depmod") or "depmod", "-b", partial / "usr" if usr.is_dir()
                              else partial, version])
    final = cache("kernels", version)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    if not _usable(version, final):
        raise Failure(f"{packages[0]}: unpacked, but there is no complete kernel in it")


# -- kernels of our own ------------------------------------------------------

CONFIGS = TREE / "tools/testing/iotarget/configs"
JOBS = os.cpu_count() or 2
# In the environment of whoever builds a kernel. The last one has ccache take what a file
# depends on from the compiler, and not run the preprocessor for it first: a tenth of the time.
KERNEL_BUILD = {"KBUILD_BUILD_TIMESTAMP": "2026-01-01", "KBUILD_BUILD_USER": "iotarget",
                "KBUILD_BUILD_HOST": "iotarget", "CCACHE_DEPEND": "1"}


def dropped(config, wanted):
    """Options that Kconfig did not take as they were asked for."""
    lines = set(config.read_text().splitlines())
    return [line for line in wanted.read_text().splitlines()
            if re.match(r"CONFIG_\w+=", line) and line not in lines]


def _build_folder(env, source):
    """Where a kernel is built and kept: named by all that it is made from."""
    head = (source / "Makefile").read_text().split("# *DOCUMENTATION*")[0]
    compiler = output(["gcc", "-dumpfullversion", "-dumpmachine"])
    made_from = head + compiler + (CONFIGS / env.config).read_text()
    digest = hashlib.sha256(made_from.encode()).hexdigest()[:12]
    return cache("build", f"{Path(env.config).stem}-{digest}")


def own_kernel(env):
    """A kernel with a configuration of ours, built if it is not in the cache."""
    source = kernel_source(env.source, env.suite)
    out = _build_folder(env, source)
    wanted = CONFIGS / env.config
    ready = out / "iotarget-ready"
    if not ready.exists():
        with locked(out.name):
            if not ready.exists():
                _build_kernel(env, source, out, wanted)
                ready.touch()
    version = (out / "include/config/kernel.release").read_text().strip()
    return Kernel(version, out / "arch/x86/boot/bzImage", out / "installed/lib/modules" / version,
                  out)


def _build_kernel(env, source, out, wanted):
    out.mkdir(parents=True, exist_ok=True)
    # only what nobody else wants of the processors: tests may run meanwhile
    make = ["chrt", "--idle", "0", "make", "-C", source, f"O={out}", f"-j{JOBS}",
            "CC=ccache gcc"]
    variables = {**KERNEL_BUILD, "CCACHE_DIR": str(HOST.ccache())}
    say(f"  {env.name}: build the kernel (many minutes when new)")
    run(f"configure {env.name}", [*make, "allnoconfig"],
        env={**variables, "KCONFIG_ALLCONFIG": str(wanted)})
    lost = dropped(out / ".config", wanted)
    if lost:
        raise Failure(f"{wanted.name}: Kconfig drops {', '.join(lost)}")
    seconds = run(f"build kernel {env.name}", [*make, "bzImage", "modules"],
                  env=variables, timeout=3600)
    seconds += run(f"install kernel {env.name}",
                   [*make, f"INSTALL_MOD_PATH={out / 'installed'}", "modules_install"],
                   env=variables)
    say(f"  {env.name}: built in {seconds:.0f} s")


# -- all of it ---------------------------------------------------------------

def kernel_of(env):
    """The kernel that an environment boots."""
    if env.config:
        return own_kernel(env)
    return stock_kernel(env.kernel, env.suite)


def provide(environments):
    """Everything for these environments."""
    base_packages()
    for env in environments:
        provide_one(env)


def provide_one(env):
    """What one environment needs beyond the base packages. Kernels of our own are
    built later. Quick when it is all there."""
    if env.source:
        kernel_source(env.source, env.suite)
    if env.kselftest_source:
        kernel_source(env.kselftest_source)
    for _, name in env.tools:
        guest_tool(name)
    if env.kernel:
        kernel = stock_kernel(env.kernel, env.suite)
        where = f" (in a root of {kernel.suite})" if kernel.suite else ""
        say(f"  {env.name}: kernel {kernel.version}, headers {kernel.headers}{where}")
