# SPDX-License-Identifier: GPL-2.0-only
"""The table of test environments. A further kernel is a further entry here.

Two kinds exist: "uml" (KUnit inside a user-mode kernel built from Debian's
kernel source) and "qemu" (a stock Debian kernel in an emulated PC, with the
modules built against that kernel's headers).
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Fault:
    """A fault planted on purpose, to prove that its alarm is heard."""
    name: str                   # the value of iotarget_alarm's "fault" parameter
    alarm: str                  # the alarm (alarms.py) that must be raised
    settle: int = 1             # seconds to wait in the guest after planting


@dataclass(frozen=True)
class Tolerated:
    """A known line of this kernel that has nothing to do with our code."""
    pattern: str
    why: str


@dataclass(frozen=True)
class Boot:
    """What the virtual machine looks like for the tests that match a glob."""
    tests: str = "*"
    smp: int = 2
    memory: str = "1G"
    cmdline: str = ""


@dataclass(frozen=True)
class Environment:
    name: str
    kind: str                           # "uml" or "qemu"
    about: str
    timeout: int                        # seconds for one boot, then it is killed
    faults: tuple = ()
    tolerated: tuple = ()
    # kind uml
    source: str = ""                    # package name of the kernel source
    kunitconfig: str = ""               # path in our tree
    suites: str = "iotarget*"           # KUnit suites to run by default
    # kind qemu
    kernel: str = ""                    # regexp of the kernel version to look for
    kselftest_source: str = ""          # where kselftest_harness.h comes from
    modules: tuple = ()                 # stock modules "name [parameters]"
    boots: tuple = (Boot(),)            # first match wins

    def boot_for(self, test):
        for boot in self.boots:
            if fnmatchcase(test, boot.tests):
                return boot
        raise LookupError(f"{self.name}: no boot configuration for test {test}")


# Loaded in this order, with what they depend on. null_blk and scsi_debug come up
# without a device: tests make theirs through configfs and add_host.
STOCK_MODULES = (
    "configfs",
    "virtio_console",
    "crc32c_generic",
    "ext4",
    "null_blk nr_devices=0",
    "brd rd_nr=2 rd_size=16384",
    "loop max_loop=4",
    "sd_mod",
    "scsi_debug add_host=0 dev_size_mb=16 ndelay=0",
    "dm-mod",
    "dm-delay",
    "xhci-pci",
    "usb-storage",
)

ENVIRONMENTS = (
    Environment(
        name="uml",
        kind="uml",
        about="KUnit in user-mode Linux 6.12: KASAN, lockdep, atomic-sleep, UBSAN, kmemleak",
        timeout=300,
        source="linux-source-6.12",
        kunitconfig="drivers/iotarget/.kunitconfig",
        faults=(
            Fault("kasan", "kasan"),
            Fault("lockdep", "lockdep"),
            Fault("warn", "warning"),
            Fault("atomic", "atomic-sleep"),
        ),
        tolerated=(
            Tolerated(r"WARNING: .* at arch/um/drivers/virt-pci\.c:",
                      "kunit.py's default configuration has PCI over virtio without a device id"),
        ),
    ),
    Environment(
        name="stock-6.12",
        kind="qemu",
        about="Debian 12's stock 6.12 kernel in QEMU, with a USB stick that can be pulled",
        timeout=300,
        kernel=r"6\.12\.\d+\+deb12-amd64",
        kselftest_source="linux-source-6.12",
        modules=STOCK_MODULES,
        boots=(Boot(tests="*smp4*", smp=4), Boot()),
        faults=(Fault("warn", "warning"),),
    ),
)


def by_name(name):
    for env in ENVIRONMENTS:
        if env.name == name:
            return env
    known = ", ".join(env.name for env in ENVIRONMENTS)
    raise LookupError(f"no environment named {name!r}; there are: {known}")
