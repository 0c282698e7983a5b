# SPDX-License-Identifier: GPL-2.0-only
"""Makes the guest's root: busybox, an init, kernel modules and the files of a run."""

import lzma
import os
import stat
from pathlib import Path

from .provision import busybox
from .shell import Failure

GUEST = Path(__file__).resolve().parent / "guest"


class Archive:
    """A "newc" cpio archive, written without help from the outside or from root."""

    def __init__(self):
        self.chunks = []
        self.seen = set()
        self.inode = 0

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.inode += 1
        encoded = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(encoded), 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + encoded
        self.chunks += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def directory(self, name):
        name = name.strip("/")
        if not name or name in self.seen:
            return
        self.directory(os.path.dirname(name))
        self.seen.add(name)
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        name = name.strip("/")
        if name in self.seen:
            raise Failure(f"initramfs: /{name} is there twice")
        self.directory(os.path.dirname(name))
        self.seen.add(name)
        if isinstance(data, str):
            data = data.encode()
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        name = name.strip("/")
        self.directory(os.path.dirname(name))
        self.seen.add(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def console(self):
        self.directory("dev")
        self._entry("dev/console", stat.S_IFCHR | 0o600, rdev=(5, 1))
        self._entry("dev/null", stat.S_IFCHR | 0o666, rdev=(1, 3))

    def add(self, name, source):
        """A file or a whole directory of the host."""
        source = Path(source)
        if source.is_dir():
            self.directory(name)
            for path in sorted(source.iterdir()):
                self.add(f"{name}/{path.name}", path)
        elif source.is_symlink() and not source.exists():
            self.link(name, os.readlink(source))
        else:
            mode = 0o755 if os.access(source, os.X_OK) else 0o644
            self.file(name, source.read_bytes(), mode)

    def write(self, path):
        self._entry("TRAILER!!!", 0)
        with open(path, "wb") as out:       # not compressed: unpacking costs the guest more
            for chunk in self.chunks:
                out.write(chunk)


def _canonical(name):
    return name.replace("-", "_")


def stock_modules(kernel, wanted):
    """[(path, parameters)] of stock modules with all they need, in load order.

    Names the kernel has built in are left out; an unknown name is a failure."""
    dependencies, paths = {}, {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        path, _, needs = line.partition(":")
        name = _canonical(Path(path).name.split(".ko")[0])
        paths[name] = path
        dependencies[name] = [_canonical(Path(n).name.split(".ko")[0]) for n in needs.split()]
    builtin = {_canonical(Path(line).name.split(".ko")[0]) for line in
               (kernel.modules / "modules.builtin").read_text().splitlines()}
    order, done = [], set()
    parameters = {_canonical(w.split()[0]): " ".join(w.split()[1:]) for w in wanted}

    def load(name):
        if name in done or name in builtin:
            return
        if name not in paths:
            raise Failure(f"kernel {kernel.version} has no module {name}")
        done.add(name)
        for other in reversed(dependencies[name]):
            load(other)
        order.append((kernel.modules / paths[name], parameters.get(name, "")))

    for name in parameters:
        load(name)
    return order


def unpacked(path):
    data = Path(path).read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def make(path, kernel, stock, own, files, jobs, settings):
    """Write the initramfs.

    stock     names (and parameters) of the kernel's modules to load
    own       our .ko files in load order; (path, False) is carried but not loaded
    files     {path in the guest: path on the host, or bytes}
    jobs      lines for the guest's /etc/jobs: "name timeout command..."
    settings  {variable: value} for the guest's /etc/settings
    """
    root = Archive()
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "run", "mnt", "root"):
        root.directory(name)
    root.console()
    root.file("bin/busybox", busybox().read_bytes(), 0o755)
    for name in ("sh", "mount"):
        root.link(f"bin/{name}", "busybox")
    for script in sorted(GUEST.iterdir()):
        root.add("init" if script.name == "init" else f"bin/{script.name}", script)
    load = []
    for module, parameters in stock_modules(kernel, stock):
        name = f"lib/modules/{module.name.split('.ko')[0]}.ko"
        root.file(name, unpacked(module))
        load.append(f"/{name} {parameters}".rstrip())
    for module, loaded in own:
        name = f"modules/{module.name}"
        root.add(name, module)
        if loaded:
            load.append(f"/{name}")
    root.file("etc/load", "".join(line + "\n" for line in load))
    root.file("etc/jobs", "".join(line + "\n" for line in jobs))
    root.file("etc/settings", "".join(f"{k}='{v}'\n" for k, v in settings.items()))
    for name, source in files.items():
        if isinstance(source, (bytes, str)):
            root.file(name, source, 0o755)
        else:
            root.add(name, source)
    path.parent.mkdir(parents=True, exist_ok=True)
    root.write(path)
    return path
