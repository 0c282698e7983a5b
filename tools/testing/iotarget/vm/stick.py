# SPDX-License-Identifier: GPL-2.0-only
"""USB sticks for the virtual machine, and what may be done to them while it runs.

How a stick is stalled: the image's BlockBackend gets a limit of one byte a second
(block_set_io_throttle) and then one 4 KiB read by the monitor, which uses up the
allowance for over an hour. Whatever the guest sends from then on waits in QEMU,
as with a device that has stopped answering; its commands time out after 30 s, as
on real hardware. Taking the limit away lets all of it go at once.
"""

import array
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from .qmp import QmpError
from .provision import which
from .shell import BUILD, Failure, run

SIZE = 64 << 20


@dataclass
class Stick:
    """One stick: usb0 is /dev/sda in the guest if it is plugged in from the start."""
    id: str = "usb0"
    image: Path = None
    serial: str = "IOTSTICK01"
    plugged: bool = True

    @property
    def node(self):
        return f"{self.id}-image"


def pattern_image(path, size=SIZE):
    """Known contents: every 8 bytes hold their own offset, little endian."""
    path = Path(path)
    if path.exists() and path.stat().st_size == size:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    words = array.array("Q", range(0, size, 8))
    if sys.byteorder == "big":
        words.byteswap()
    partial = path.with_suffix(".partial")
    partial.write_bytes(words.tobytes())
    partial.rename(path)
    return path


def ext4_image(path, directory, size=SIZE, label="STICK"):
    """An ext4 file system with the files of a directory of the host on it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with open(path, "wb") as out:
        out.truncate(size)
    run(f"make {path.name}", [which("mke2fs") or "mke2fs", "-q", "-F", "-t", "ext4", "-L", label,
                              "-E", "root_owner=0:0", "-d", directory, path])
    return path


def default_stick():
    return Stick(image=pattern_image(BUILD / "images" / "pattern.img"))


def copy_for(stick, directory):
    """A run works on a copy: the next one finds the image as it was made."""
    copy = Path(directory) / f"{stick.id}.img"
    if not stick.image or not Path(stick.image).exists():
        raise Failure(f"stick {stick.id}: no image")
    shutil.copyfile(stick.image, copy)
    return copy


def arguments(sticks, directory):
    """QEMU's arguments for these sticks, plugged in or waiting for it."""
    argv = ["-device", "qemu-xhci,id=xhci,p2=8,p3=8"]
    for stick in sticks:
        argv += ["-blockdev", f"driver=file,node-name={stick.id}-file,"
                              f"filename={copy_for(stick, directory)}",
                 "-blockdev", f"driver=raw,node-name={stick.node},file={stick.id}-file"]
        if stick.plugged:
            argv += ["-device", f"usb-storage,id={stick.id},bus=xhci.0,drive={stick.node},"
                                f"serial={stick.serial}"]
    return argv


class Sticks:
    """Plug, pull, stall and resume, over QMP."""

    def __init__(self, qmp, sticks):
        self.qmp = qmp
        self.sticks = {stick.id: stick for stick in sticks}

    def _stick(self, name):
        try:
            return self.sticks[name]
        except KeyError:
            raise QmpError(f"no stick named {name}") from None

    def _backend(self, name):
        """The QOM path of the disk that usb-storage made for the image."""
        node = self._stick(name).node
        for entry in self.qmp("query-block"):
            if entry.get("inserted", {}).get("node-name") == node and entry.get("qdev"):
                return entry["qdev"]
        raise QmpError(f"{name} is not plugged in")

    def plug(self, name):
        stick = self._stick(name)
        self.qmp("device_add", driver="usb-storage", id=stick.id, bus="xhci.0",
                 drive=stick.node, serial=stick.serial)

    def unplug(self, name):
        mark = self.qmp.mark()
        self.qmp("device_del", id=self._stick(name).id)
        self.qmp.wait_event("DEVICE_DELETED", since=mark, device=name)

    def stall(self, name):
        backend = self._backend(name)
        self._limit(backend, 1)
        problem = self.qmp.hmp(f'qemu-io -d {backend} "read -q 0 4096"')
        if "rror" in problem:
            raise QmpError(f"stall {name}: {problem}")

    def resume(self, name):
        self._limit(self._backend(name), 0)

    def _limit(self, backend, bps):
        self.qmp("block_set_io_throttle", id=backend, bps=bps, bps_rd=0, bps_wr=0,
                 iops=0, iops_rd=0, iops_wr=0)
