# SPDX-License-Identifier: GPL-2.0-only
"""Disks that come and go: what QEMU is told for each bus."""

import dataclasses
import tempfile
import unittest
from pathlib import Path

from . import disks
from .qmp import QmpError
from .stick import Stick, pattern_image


class Qmp:
    """Remembers what it was told; `blocks` is its query-block, `there` what it has to
    say on who is there, one after the other."""

    def __init__(self):
        self.told, self.blocks, self.there, self.late = [], [], [], 0

    def __call__(self, command, **arguments):
        if command == "query-block":
            return self.blocks
        if command == "qom-list":
            return [{"name": name} for name in self.there.pop(0)]
        self.told.append((command, arguments))
        return None

    def mark(self):
        return 7

    def wait_event(self, name, since=0, timeout=10, **data):
        if self.late:
            self.late -= 1
            raise QmpError("no event")
        self.told.append((name, {"since": since, **data}))

    def commands(self):
        return [command for command, _ in self.told]


class Registers:
    """The channel to the test protocol, with the registers of a port on bus 64 and of a
    card on bus 65 behind it."""

    CONTROL, COMMAND = 0xb400006c, 0xb4100004

    def __init__(self, capability=0x54, off=False):
        port = disks.Slot.PORT
        self.words = {port + 0x34: capability, port + 0x54: 0x0010, port + 0x18: 0x4140,
                      self.CONTROL: 0x0138 | (disks.Slot.POWER_OFF if off else 0),
                      self.COMMAND: 0x0406}
        self.written, self.answers = [], []

    def makefile(self, *_, **__):
        return self

    def sendall(self, data):
        for line in data.decode().splitlines():
            verb, address, *value = line.split()
            if verb == "readw":
                self.answers.append(f"OK 0x{self.words[int(address, 16)]:016x}\n")
            else:
                self.written.append((int(address, 16), int(value[0], 16)))
                self.answers.append("OK\n")

    def readline(self):
        return self.answers.pop(0)


def disk(bus, name="d0"):
    return disks.Disk(id=name, serial="S1", plugged=False, bus=bus)


class Plugging(unittest.TestCase):
    def setUp(self):
        self.qmp = Qmp()

    def disks(self, *those, qtest=None):
        return disks.Disks(self.qmp, those, qtest)

    def test_every_bus_names_the_disk_its_image_and_its_serial_number(self):
        for bus in disks.BUSES:
            self.qmp.told.clear()
            self.disks(disk(bus), qtest=Registers(off=True)).plug("d0")
            devices = [a for c, a in self.qmp.told if c == "device_add"]
            self.assertEqual(devices[0]["id"], "d0", bus)
            self.assertEqual(devices[-1]["drive"], "d0-image", bus)
            self.assertEqual(devices[-1]["serial"], "S1", bus)

    def test_uas_is_seen_when_its_disk_is_there_and_goes_before_it(self):
        there = self.disks(disk("usb-uas"))
        there.plug("d0")
        self.assertEqual(self.qmp.commands(), ["device_add", "device_add", "qom-set"])
        self.assertIs(self.qmp.told[0][1]["attached"], False)
        self.assertIs(self.qmp.told[2][1]["value"], True)
        self.qmp.told.clear()
        there.unplug("d0")
        self.assertEqual(self.qmp.commands(), ["qom-set", "device_del", "DEVICE_DELETED"])

    def test_unplug_waits_for_what_happens_after_it_was_asked_for(self):
        self.disks(disk("virtio-blk")).unplug("d0")
        self.assertEqual(self.qmp.told, [("device_del", {"id": "d0"}),
                                         ("DEVICE_DELETED", {"since": 7, "device": "d0"})])

    def test_unplug_asks_while_it_waits(self):
        self.qmp.late = 2
        self.disks(disk("virtio-blk")).unplug("d0")
        self.assertEqual(self.qmp.commands(), ["device_del", "query-status", "query-status",
                                               "DEVICE_DELETED"])

    def test_unplug_of_a_slot_cuts_the_card_off_and_switches_off_and_on(self):
        registers = Registers()
        self.qmp.there = [["type", "d0"], ["type"]]
        self.disks(disk("nvme-slot"), qtest=registers).unplug("d0")
        self.assertEqual(registers.written, [(Registers.COMMAND, 0x0402),
                                             (Registers.CONTROL, 0x0738),
                                             (Registers.CONTROL, 0x0138)])
        self.assertEqual(self.qmp.commands(), ["stop", "cont"])

    def test_a_card_that_stays_in_its_slot_is_told(self):
        self.qmp.there = [["d0"], ["d0"]]
        with self.assertRaisesRegex(QmpError, "still in its slot"):
            self.disks(disk("nvme-slot"), qtest=Registers()).unplug("d0")

    def test_plug_waits_until_the_slot_is_off(self):
        registers = Registers()
        slot = disks.Slot(registers)
        with self.assertRaisesRegex(QmpError, "has not switched the slot off"):
            slot.wait_free(0.05)
        registers.words[Registers.CONTROL] |= disks.Slot.POWER_OFF
        slot.wait_free(0.05)

    def test_a_slot_that_is_not_there(self):
        there = self.disks(disk("nvme-slot"), qtest=Registers(capability=0))
        self.qmp.there = [["d0"]]
        with self.assertRaisesRegex(QmpError, "no slot"):
            there.unplug("d0")
        self.assertEqual(self.qmp.commands(), ["stop", "cont"])     # and the guest goes on

    def test_what_is_not_there_is_told(self):
        there = self.disks(disk("nvme-slot"), qtest=Registers())
        self.qmp.there = [[]]
        with self.assertRaisesRegex(QmpError, "no disk named e0"):
            there.plug("e0")
        for verb in (there.unplug, there.stall, there.resume):
            with self.assertRaisesRegex(QmpError, "not plugged in"):
                verb("d0")

    def test_one_that_is_plugged_in_stalled_has_answered_nothing(self):
        self.qmp.blocks = [{"qdev": "d0", "inserted": {"node-name": "d0-image"}}]
        self.qmp.hmp = lambda line: self.qmp.told.append(("hmp", line)) or ""
        self.disks(disk("usb-storage")).plug_stalled("d0")
        self.assertEqual(self.qmp.commands(), ["stop", "device_add", "block_set_io_throttle",
                                               "hmp", "cont"])

    def test_throttle_and_resume(self):
        self.qmp.blocks = [{"qdev": "/machine/peripheral/e0", "inserted": {"node-name": "e0-image"}},
                           {"qdev": "/machine/peripheral/d0/backend", "inserted": {"node-name": "d0-image"}}]
        there = self.disks(disk("nvme"))
        there.throttle("d0", "3")
        there.resume("d0")
        self.assertEqual([(a["id"], a["iops"]) for _, a in self.qmp.told],
                         [("/machine/peripheral/d0/backend", n) for n in (3, 0)])


class Failing(unittest.TestCase):
    def setUp(self):
        self.qmp = Qmp()
        self.disks = disks.Disks(self.qmp, [disk("virtio-blk")])

    def test_errors_are_put_below_the_disk_and_taken_away(self):
        self.disks.fail("d0")
        self.disks.mend("d0")
        self.disks.fail("d0")
        self.assertEqual(self.qmp.commands(), ["blockdev-add", *3 * ["blockdev-reopen"]])
        added = self.qmp.told[0][1]
        self.assertEqual((added["driver"], added["image"]), ("blkdebug", "d0-file"))
        self.assertEqual({e["iotype"] for e in added["inject-error"]}, {"read", "write"})
        below = [a["options"][0]["file"] for c, a in self.qmp.told if c == "blockdev-reopen"]
        self.assertEqual(below, ["d0-errors", "d0-file", "d0-errors"])

    def test_a_disk_that_is_not_there_is_told(self):
        for verb in (self.disks.fail, self.disks.mend, self.disks.note):
            with self.assertRaisesRegex(QmpError, "no disk named e0"):
                verb("e0")


class Images(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.image = Path(temporary.name) / "d0.img"
        self.image.write_bytes(bytes(4096))
        self.disks = disks.Disks(Qmp(), [disk("usb-storage")], directory=temporary.name)

    def test_what_was_not_written_to_is_the_same(self):
        self.assertEqual(self.disks.note("d0"), self.disks.same("d0"))

    def test_one_byte_is_a_difference(self):
        self.disks.note("d0")
        self.image.write_bytes(bytes(4095) + b"x")
        with self.assertRaisesRegex(QmpError, "d0 was written to"):
            self.disks.same("d0")

    def test_there_has_to_be_something_to_compare_with(self):
        with self.assertRaisesRegex(QmpError, "nobody has noted"):
            self.disks.same("d0")


class Arguments(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.here = Path(temporary.name)
        self.image = pattern_image(self.here / "image", 1 << 16)

    def arguments(self, *those):
        return disks.arguments([dataclasses.replace(d, image=self.image) for d in those],
                               self.here)

    def devices(self, argv):
        return [word for flag, word in zip(argv, argv[1:]) if flag == "-device"]

    def test_a_stick_as_ever(self):
        self.assertEqual(self.devices(self.arguments(Stick())),
                         ["qemu-xhci,id=xhci,p2=8,p3=8",
                          "usb-storage,id=usb0,drive=usb0-image,serial=IOTSTICK01,bus=xhci.0"])

    def test_what_waits_is_not_there_yet_but_its_slot_and_image_are(self):
        argv = self.arguments(disk("nvme", "n0"), disk("virtio-scsi", "s0"),
                              disk("virtio-scsi", "s1"))
        self.assertEqual([d.split(",")[0] for d in self.devices(argv)],
                         ["qemu-xhci", "pcie-root-port", "virtio-scsi-pci"])
        self.assertEqual(sum("node-name=s1-image" in word for word in argv), 1)

    def test_slots_have_numbers_of_their_own(self):
        argv = self.arguments(*disks.default_disks())
        ports = [d for d in self.devices(argv) if d.startswith("pcie-root-port")]
        self.assertEqual(len({d.split("slot=")[1].split(",")[0] for d in ports}), len(ports))
        self.assertEqual(len(ports), 3)

    def test_one_disk_for_each_bus(self):
        self.assertEqual(sorted(disks.NAMES.values()), sorted(disks.BUSES))


if __name__ == "__main__":
    unittest.main()
