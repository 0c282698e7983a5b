# SPDX-License-Identifier: GPL-2.0-only
"""USB sticks for the virtual machine, and their images. What may be done to them while
it runs is in disks.py."""

import array
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from .provision import which
from .shell import BUILD, Failure, run

SIZE = 64 << 20
IMAGE_LOCK = threading.Lock()       # lanes that want one at the same time


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


def pattern_image(path, size=SIZE, first=0):
    """Known contents: every 8 bytes hold their own offset and `first`, little endian."""
    path = Path(path)
    with IMAGE_LOCK:
        if not path.exists() or path.stat().st_size != size:
            _make_pattern(path, size, first)
    return path


def _make_pattern(path, size, first):
    path.parent.mkdir(parents=True, exist_ok=True)
    words = array.array("Q", range(first, first + size, 8))
    if sys.byteorder == "big":
        words.byteswap()
    partial = path.with_suffix(".partial")
    partial.write_bytes(words.tobytes())
    partial.rename(path)


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
