# SPDX-License-Identifier: GPL-2.0-only
"""The initramfs, the sticks' images, what a guest may ask for, and into-tree."""

import os
import stat
import struct
import subprocess
import tempfile
import types
import unittest
from pathlib import Path

from . import initramfs, stick
from .hostport import HostPort
from .provision import Kernel
from .qmp import QmpError
from .shell import TREE


def entries(data):
    """{name: (mode, contents)} of a newc archive."""
    found, at = {}, 0
    while True:
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        assert data[at:at + 6] == b"070701"
        name = data[at + 110:at + 110 + fields[11] - 1].decode()
        body = at + (110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], data[body:body + fields[6]])
        at = body + (fields[6] + 3) // 4 * 4


class InTemporary(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.here = Path(self.temporary.name)

    def put(self, name, text="", mode=0o644):
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path


class Initramfs(InTemporary):
    def test_archive(self):
        archive = initramfs.Archive()
        archive.file("a/b/c", "hello", 0o755)
        archive.link("a/d", "b/c")
        archive.write(self.here / "cpio")
        found = entries((self.here / "cpio").read_bytes())
        self.assertEqual(list(found), ["a", "a/b", "a/b/c", "a/d"])
        self.assertEqual(found["a/b/c"], (stat.S_IFREG | 0o755, b"hello"))
        self.assertEqual(found["a/d"], (stat.S_IFLNK | 0o777, b"b/c"))

    def modules(self, wanted):
        self.put("modules.dep", "kernel/sd_mod.ko.xz: kernel/scsi_mod.ko.xz kernel/common.ko.xz\n"
                                "kernel/scsi_mod.ko.xz: kernel/common.ko.xz\n"
                                "kernel/common.ko.xz:\nkernel/usb-storage.ko: "
                                "kernel/scsi_mod.ko.xz kernel/common.ko.xz\n")
        self.put("modules.builtin", "kernel/virtio_console.ko\n")
        kernel = Kernel("6", None, self.here, None)
        return [(path.name, parameters)
                for path, parameters in initramfs.stock_modules(kernel, wanted)]

    def test_modules_come_after_what_they_need(self):
        self.assertEqual(self.modules(["usb-storage quirks=1", "sd_mod", "virtio_console"]),
                         [("common.ko.xz", ""), ("scsi_mod.ko.xz", ""),
                          ("usb-storage.ko", "quirks=1"), ("sd_mod.ko.xz", "")])

    def test_unknown_module_is_named(self):
        with self.assertRaisesRegex(Exception, "no module nonesuch"):
            self.modules(["nonesuch"])


class Images(InTemporary):
    def test_pattern(self):
        path = stick.pattern_image(self.here / "image", 1 << 16)
        data = path.read_bytes()
        self.assertEqual(len(data), 1 << 16)
        self.assertEqual(struct.unpack_from("<Q", data, 4096 + 16)[0], 4096 + 16)


class Channel:
    """Stands in for the port's socket."""
    def makefile(self, *_, **__):
        return open(os.devnull)

    def close(self):
        pass


class Requests(unittest.TestCase):
    def setUp(self):
        self.asked = []

        class Disks:
            def plug_stalled(this, name):
                self.asked.append(("plug_stalled", name))

            def unplug(this, name):
                self.asked.append(("unplug", name))

            def throttle(this, name, iops):
                self.asked.append(("throttle", name, iops))

            def stall(this, name):
                raise QmpError("no stick")
        machine = types.SimpleNamespace(disks=Disks())
        self.port = HostPort(machine, Channel(), {"mine": lambda m, *words: "-".join(words)})

    def test_action(self):
        self.assertEqual(self.port.do("unplug usb0"), ("ok", ""))
        self.assertEqual(self.port.do("unplug-usb"), ("ok", ""))
        self.assertEqual(self.asked, [("unplug", "usb0")] * 2)

    def test_plugged_in_stalled_or_not(self):
        self.assertEqual(self.port.do("plug usb1 stalled")[0], "ok")
        self.assertEqual(self.asked, [("plug_stalled", "usb1")])
        self.assertEqual(self.port.do("plug usb1 twice")[0], "error")

    def test_throttle(self):
        self.assertEqual(self.port.do("throttle nvme0 1"), ("ok", ""))
        self.assertEqual(self.asked, [("throttle", "nvme0", "1")])
        self.assertEqual(self.port.do("throttle nvme0")[0], "error")

    def test_own_action(self):
        self.assertEqual(self.port.do("mine a b"), ("ok", "a-b"))

    def test_errors_are_told(self):
        self.assertEqual(self.port.do("stall usb0"), ("error", "stall: no stick"))
        self.assertEqual(self.port.do("dance")[0], "error")
        self.assertEqual(self.port.do("unplug")[0], "error")
        self.assertEqual(self.port.do("after soon unplug usb0")[0], "error")

    def test_failure_of_a_later_action_is_kept(self):
        self.assertEqual(self.port.do("after 0 stall usb0"), ("ok", ""))
        for timer in self.port.timers:
            timer.join(5)
        self.assertEqual(len(self.port.failures), 1)


class IntoTree(InTemporary):
    def setUp(self):
        super().setUp()
        (self.here / "ours/scripts").mkdir(parents=True)
        script = self.here / "ours/scripts/into-tree"
        script.write_text((TREE / "scripts/into-tree").read_text())
        script.chmod(0o755)
        self.put("ours/drivers/iotarget/Kconfig")
        self.put("ours/drivers/iotarget/gate.c", "one")
        self.put("ours/drivers/iotarget/compat/old.h")
        self.put("ours/drivers/block/iogate/Kconfig")
        self.put("ours/include/linux/iotarget.h", "header")
        self.put("kernel/drivers/Kconfig", 'menu "Device Drivers"\nendmenu\n')
        self.put("kernel/drivers/Makefile", "obj-y += x/\n")
        self.put("kernel/drivers/block/Kconfig", "if BLK_DEV\nendif # BLK_DEV\n")
        self.put("kernel/drivers/block/Makefile", "obj-y += x/\n")
        self.put("kernel/Kbuild")
        self.put("kernel/include/linux/other.h")

    def into(self, *options):
        subprocess.run([self.here / "ours/scripts/into-tree", self.here / "kernel", *options],
                       check=True, stdin=subprocess.DEVNULL)

    def test_hooks_are_set_once(self):
        self.into()
        self.into()
        kconfig = (self.here / "kernel/drivers/Kconfig").read_text()
        self.assertEqual(kconfig.count('source "drivers/iotarget/Kconfig"'), 1)
        self.assertTrue(kconfig.endswith("endmenu\n"))
        self.assertEqual((self.here / "kernel/drivers/Makefile").read_text().count("iotarget/"), 1)
        block = self.here / "kernel/drivers/block"
        kconfig = (block / "Kconfig").read_text()
        self.assertEqual(kconfig.count('source "drivers/block/iogate/Kconfig"'), 1)
        self.assertTrue(kconfig.endswith("endif # BLK_DEV\n"))
        self.assertEqual((block / "Makefile").read_text().count("iogate/"), 1)

    def test_compat_is_left_behind(self):
        compat = self.here / "kernel/drivers/iotarget/compat"
        self.into("--compat")
        self.assertTrue(compat.exists())
        self.into()
        self.assertFalse(compat.exists())

    def test_only_changed_files_are_written(self):
        self.into()
        there = self.here / "kernel/drivers/iotarget/gate.c"
        os.utime(there, (1e9, 1e9))
        self.into()
        self.assertEqual(there.stat().st_mtime, 1e9)
        # an older file with other contents comes back as a new one: make must see it
        self.put("ours/drivers/iotarget/gate.c", "two")
        os.utime(self.here / "ours/drivers/iotarget/gate.c", (9e8, 9e8))
        self.into()
        self.assertEqual(there.read_text(), "two")
        self.assertGreater(there.stat().st_mtime, 1e9)

    def test_what_is_gone_here_goes_there(self):
        self.into()
        (self.here / "ours/drivers/iotarget/gate.c").unlink()
        (self.here / "ours/include/linux/iotarget.h").unlink()
        self.into()
        self.assertFalse((self.here / "kernel/drivers/iotarget/gate.c").exists())
        self.assertFalse((self.here / "kernel/include/linux/iotarget.h").exists())
        self.assertTrue((self.here / "kernel/include/linux/other.h").exists())


if __name__ == "__main__":
    unittest.main()
