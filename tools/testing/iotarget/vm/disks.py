# SPDX-License-Identifier: GPL-2.0-only
"""Disks that can be plugged and pulled while the virtual machine runs, on each bus
that can do that, and what else may be done to them: stalling and throttling.

A bus is a row of BUSES: what must be there from the start (a controller, a slot),
what is plugged in, and how it is pulled. Pulling asks or it does not:

usb-storage, usb-uas, virtio-scsi
    the device is gone, then the guest hears of it. What it had is never answered.
nvme, virtio-blk
    the guest is asked through ACPI, and ejects the device when its driver has let
    go. The driver waits for what the device has, so a stalled one does not go.
nvme-slot
    the device is torn out of its slot, and native PCIe hot plug (below a pxb-pcie,
    which has no ACPI hot plug) hears of it after that. QEMU removes a device when
    the slot's power and its indicator are switched off in its registers; the host
    does that, behind the guest's back.

How a disk is stalled: its BlockBackend gets a limit of one byte a second
(block_set_io_throttle) and then one 4 KiB read by the monitor, which uses up the
allowance for over an hour. Whatever the guest sends from then on waits in QEMU,
as with a device that has stopped answering; its commands time out after 30 s, as
on real hardware. Taking the limit away lets all of it go at once.

How a disk fails: a blkdebug node, which answers reads and writes with EIO, is put
between the disk and the file of its image, and taken out again.
"""

import errno
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from .qmp import QmpError
from .shell import BUILD
from .stick import Stick, copy_for, pattern_image

SIZE = 16 << 20
GONE_S = 150            # a driver may wait for what the device has, a slow kernel long


@dataclass(frozen=True)
class Bus:
    name: str
    devices: tuple              # of device_add, in order: {property: value}
    fixed: tuple = ()           # of -device
    once: tuple = ()            # of -device, shared by all disks of the bus
    attach: bool = False        # visible when told so, after all parts are there
    slot: bool = False          # pulled by taking the slot's power away


def _port(**where):
    return {"driver": "pcie-root-port", "id": "{id}-port", "chassis": "{n}", "slot": "{n}",
            "bus": "pcie.0", **where}


XHCI = {"driver": "qemu-xhci", "id": "xhci", "p2": "8", "p3": "8"}
# what all of them have; an image is a node of its own and outlives the device
DISK = {"id": "{id}", "drive": "{id}-image", "serial": "{serial}"}
LUN = {**DISK, "driver": "scsi-hd"}
NVME = {**DISK, "driver": "nvme", "bus": "{id}-port"}

BUSES = {bus.name: bus for bus in (
    Bus("usb-storage", ({**DISK, "driver": "usb-storage", "bus": "xhci.0"},), once=(XHCI,)),
    Bus("usb-uas", ({"driver": "usb-uas", "id": "{id}", "bus": "xhci.0", "serial": "{serial}",
                     "attached": False},
                    {**LUN, "id": "{id}-lun", "bus": "{id}.0"}), once=(XHCI,), attach=True),
    Bus("nvme", (NVME,), fixed=(_port(),)),
    # (now and then QEMU 7.2 keeps the memory of one that was torn out, and with it the
    # right to write to the image: that must be shared, and nobody waits for the memory)
    Bus("nvme-slot", ({**NVME, "share-rw": True},), fixed=(_port(bus="pxb", addr="0"),),
        once=({"driver": "pxb-pcie", "id": "pxb", "bus": "pcie.0", "bus_nr": "64"},), slot=True),
    Bus("virtio-blk", ({**DISK, "driver": "virtio-blk-pci", "bus": "{id}-port"},),
        fixed=(_port(),)),
    Bus("virtio-scsi", ({**LUN, "bus": "hba.0"},),
        once=({"driver": "virtio-scsi-pci", "id": "hba", "bus": "pcie.0"},)),
)}

# One for each bus. usb0 is the stick that is there from the start, see stick.py.
NAMES = {"usb1": "usb-storage", "uas0": "usb-uas", "nvme0": "nvme", "nvme1": "nvme-slot",
         "vblk0": "virtio-blk", "vscsi0": "virtio-scsi"}

# Disks that the guest makes itself: for tests that do the same with each kind of disk.
OWN = ("scsi_debug", "loop", "null_blk")

# Sticks that say they are usb1: one with other contents, one that lacks a sector, one
# that has the same.
STRANGERS = ("usb1x", "usb1s", "usb1y")


@dataclass
class Disk(Stick):
    """A stick, but on any bus. The guest finds it by its serial number."""
    bus: str = "usb-storage"


def default_disks():
    """One for each bus, and those that look like one of them; not plugged in."""
    image = pattern_image(BUILD / "images" / "pattern-disk.img", SIZE)
    others = pattern_image(BUILD / "images" / "pattern-other.img", SIZE, first=SIZE)
    smaller = pattern_image(BUILD / "images" / "pattern-smaller.img", SIZE - 512)
    images = dict(zip(STRANGERS, (others, smaller, image)))
    return [Disk(id=name, image=image, serial=f"IOT-{name}", plugged=False, bus=bus)
            for name, bus in NAMES.items()] + \
           [Disk(id=name, image=images[name], serial="IOT-usb1", plugged=False)
            for name in STRANGERS]


def _bus(disk):
    return BUSES[getattr(disk, "bus", "usb-storage")]


def _filled(properties, disk, number=0):
    words = {"id": disk.id, "serial": disk.serial, "n": number}
    return {key: value.format(**words) if isinstance(value, str) else value
            for key, value in properties.items()}


def _device(properties):
    """As an argument of -device."""
    switch = {False: "off", True: "on"}
    rest = {k: switch.get(v, v) for k, v in properties.items() if k != "driver"}
    return ["-device", ",".join([properties["driver"], *(f"{k}={v}" for k, v in rest.items())])]


def arguments(disks, directory):
    """QEMU's arguments for these disks, plugged in or waiting for it."""
    argv, there = [], [XHCI]
    argv += _device(XHCI)
    for number, disk in enumerate(disks, 1):
        bus = _bus(disk)
        for properties in bus.once:
            if properties not in there:
                argv += _device(properties)
                there.append(properties)
        for properties in bus.fixed:
            argv += _device(_filled(properties, disk, number))
        argv += ["-blockdev", f"driver=file,node-name={disk.id}-file,"
                              f"filename={copy_for(disk, Path(directory))}",
                 "-blockdev", f"driver=raw,node-name={disk.node},file={disk.id}-file"]
        if disk.plugged:
            for properties in bus.devices:
                argv += _device(_filled(properties, disk))
    return argv


class Slot:
    """The slot below the pxb-pcie, by its registers: the host reads and writes the guest's
    configuration space through QEMU's test protocol."""

    ECAM = 0xb0000000
    PORT = ECAM + (64 << 20)            # bus 64, device 0, function 0
    POWER_OFF = 0x0400 | 0x0300         # PCI_EXP_SLTCTL_PWR_OFF, PWR_IND_OFF
    MASTER = 0x0004                     # PCI_COMMAND_MASTER

    def __init__(self, channel):
        self.channel = channel
        self.stream = channel.makefile("r", encoding="ascii", errors="replace")

    def _ask(self, *commands):
        """QEMU does what comes in one piece without letting the guest look in between."""
        self.channel.sendall("".join(f"{command}\n" for command in commands).encode())
        value = 0
        for command in commands:
            answer = self.stream.readline().split()
            if not answer or answer[0] != "OK":
                raise QmpError(f"qtest {command}: {' '.join(answer) or 'no answer'}")
            value = int(answer[1], 16) if len(answer) > 1 else 0
        return value

    def _read(self, address):
        return self._ask(f"readw {address:#x}")

    def _control(self):
        """Where the slot's control register is: PCI_EXP_SLTCTL of PCI_CAP_ID_EXP."""
        capability = self._read(self.PORT + 0x34) & 0xff
        while capability and self._read(self.PORT + capability) & 0xff != 0x10:
            capability = self._read(self.PORT + capability) >> 8
        if not capability:
            raise QmpError("no slot found")
        return self.PORT + capability + 0x18

    def wait_free(self, timeout=20):
        """A card put in while the guest still switches the slot off would be lost: QEMU
        takes that for its removal. The guest takes a second for it."""
        control = self._control()
        end = time.monotonic() + timeout
        while self._read(control) & self.POWER_OFF != self.POWER_OFF:
            if time.monotonic() > end:
                raise QmpError(f"the guest has not switched the slot off within {timeout} s")
            time.sleep(0.02)

    def cut_off(self):
        """The card reaches the guest's memory no more, so nothing that it has is answered."""
        secondary = self._read(self.PORT + 0x18) >> 8                   # PCI_SECONDARY_BUS
        command = self.ECAM + (secondary << 20) + 0x04
        self._ask(f"writew {command:#x} {self._read(command) & ~self.MASTER:#x}")

    def tear_out(self):
        """Off, so that QEMU removes the device, and on again: the guest's driver would
        take a slot without power for one that it has switched off itself."""
        control = self._control()
        before = self._read(control)
        self._ask(f"writew {control:#x} {before | self.POWER_OFF:#x}",
                  f"writew {control:#x} {before:#x}")


class Disks:
    """Plug, pull, stall and resume, over QMP; and a look at the images."""

    def __init__(self, qmp, disks, qtest=None, directory="."):
        self.qmp = qmp
        self.disks = {disk.id: disk for disk in disks}
        self.slot = Slot(qtest) if qtest else None
        self.directory = Path(directory)
        self.failing = set()            # those whose blkdebug node is there
        self.hashes = {}                # of images, when they were asked for last

    def _disk(self, name):
        try:
            return self.disks[name]
        except KeyError:
            raise QmpError(f"no disk named {name}") from None

    def _backend(self, name):
        """The id or QOM path of the device that has the image."""
        node = self._disk(name).node
        for entry in self.qmp("query-block"):
            if entry.get("inserted", {}).get("node-name") == node and entry.get("qdev"):
                return entry["qdev"]
        raise QmpError(f"{name} is not plugged in")

    def plug(self, name):
        disk = self._disk(name)
        bus = _bus(disk)
        if bus.slot:
            self.slot.wait_free()
        for properties in bus.devices:
            self.qmp("device_add", **_filled(properties, disk))
        if bus.attach:
            self._attach(name, True)

    def plug_stalled(self, name):
        """It never answers, from the first read on."""
        self.qmp("stop")
        try:
            self.plug(name)
            self.stall(name)
        finally:
            self.qmp("cont")

    def unplug(self, name):
        bus = _bus(self._disk(name))
        if bus.slot:
            self._tear_out(name)
            return
        if bus.attach:
            # without this QEMU 7.2 dies of an assertion when the disk has requests
            self._attach(name, False)
        mark = self.qmp.mark()
        self.qmp("device_del", id=name)
        self._wait_deleted(name, mark)

    def _wait_deleted(self, name, mark):
        """Ask something now and then: the machine was seen to stand still until somebody
        did, with all processors asleep and their timers forgotten."""
        end = time.monotonic() + GONE_S
        while True:
            try:
                return self.qmp.wait_event("DEVICE_DELETED", since=mark, timeout=1, device=name)
            except QmpError:
                if time.monotonic() > end:
                    raise QmpError(f"{name} is still there after {GONE_S} s") from None
            self.qmp("query-status")

    def _tear_out(self, name):
        """QEMU 7.2 may crash when an NVMe goes that has requests. A machine
        that is stopped has none, and what they were answered got nowhere."""
        if not self._there(name):
            raise QmpError(f"{name} is not plugged in")
        self.slot.cut_off()
        self.qmp("stop")
        try:
            self.slot.tear_out()
        finally:
            self.qmp("cont")
        if self._there(name):
            raise QmpError(f"{name} is still in its slot")

    def _there(self, name):
        return any(entry["name"] == name
                   for entry in self.qmp("qom-list", path="/machine/peripheral"))

    def _attach(self, name, attached):
        self.qmp("qom-set", path=f"/machine/peripheral/{name}", property="attached",
                 value=attached)

    def stall(self, name):
        backend = self._backend(name)
        self._limit(backend, bps=1)
        problem = self.qmp.hmp(f'qemu-io -d {backend} "read -q 0 4096"')
        if "rror" in problem:
            raise QmpError(f"stall {name}: {problem}")

    def throttle(self, name, iops):
        self._limit(self._backend(name), iops=int(iops))

    def resume(self, name):
        self._limit(self._backend(name))

    def _limit(self, backend, bps=0, iops=0):
        self.qmp("block_set_io_throttle", id=backend, bps=bps, bps_rd=0, bps_wr=0,
                 iops=iops, iops_rd=0, iops_wr=0)

    def fail(self, name):
        """It answers reads and writes with errors; it need not be plugged in."""
        disk = self._disk(name)
        if name not in self.failing:
            errors = [{"event": "none", "iotype": kind, "errno": errno.EIO}
                      for kind in ("read", "write")]
            self.qmp("blockdev-add", driver="blkdebug", image=f"{name}-file",
                     **{"node-name": f"{name}-errors", "inject-error": errors})
            self.failing.add(name)
        self._stand_on(disk, f"{name}-errors")

    def mend(self, name):
        self._stand_on(self._disk(name), f"{name}-file")

    def _stand_on(self, disk, below):
        self.qmp("blockdev-reopen", options=[
            {"driver": "raw", "node-name": disk.node, "file": below}])

    def note(self, name):
        """Remember what is in its image."""
        self.hashes[name] = self._hash(name)
        return self.hashes[name]

    def same(self, name):
        """Nothing was written to it since."""
        if name not in self.hashes:
            raise QmpError(f"nobody has noted what is in {name}")
        now = self._hash(name)
        if now != self.hashes[name]:
            raise QmpError(f"{name} was written to: {now}, it was {self.hashes[name]}")
        return now

    def _hash(self, name):
        self._disk(name)
        return hashlib.sha256((self.directory / f"{name}.img").read_bytes()).hexdigest()
