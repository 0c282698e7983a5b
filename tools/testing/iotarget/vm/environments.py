# SPDX-License-Identifier: GPL-2.0-only
"""The table of test environments. A further kernel is a further entry here.

Two kinds exist: "uml" (KUnit inside a user-mode kernel built from Debian's kernel
source) and "qemu" (an emulated PC). The latter's kernel is a stock one, with the
modules built against that kernel's headers, or one of our own, built from Debian's
source with a configuration from configs/.
"""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Fault:
    """A fault planted on purpose, to prove that its alarm is heard."""
    name: str                   # the value of iotarget_alarm's "fault" parameter
    alarm: str                  # the alarm (alarms.py) that must be raised
    settle: int = 1             # seconds to wait in the guest after planting
    then: str = ""              # a command of the guest that makes the kernel look
    arguments: tuple = ()       # kind uml: what plants it, if it is not iotarget_alarm


@dataclass(frozen=True)
class Tolerated:
    """A known report of this kernel that has nothing to do with our code."""
    pattern: str            # of its first line
    why: str
    then: str = ""          # of one of the lines after it


@dataclass(frozen=True)
class Boot:
    """What the virtual machine looks like for the tests that match a glob."""
    tests: str = "*"
    smp: int = 2
    memory: str = "1G"
    cmdline: str = ""
    accel: tuple = ("-accel", "tcg,thread=multi")   # how QEMU runs it


@dataclass(frozen=True)
class Environment:
    name: str
    kind: str                           # "uml" or "qemu"
    about: str
    timeout: int                        # seconds for one boot, then it is killed
    faults: tuple = ()
    tolerated: tuple = ()
    suite: str = ""                     # of Debian, for packages that are not in ours
    source: str = ""                    # package name of the kernel source, or a regexp
    suites: str = "iotarget*"           # KUnit suites to run by default
    # kind uml
    kunitconfig: tuple = ()             # paths in our tree
    arguments: tuple = ()               # for the kernel
    compat: bool = True                 # take compat/ along: not in the newest kernel
    # kind qemu
    kernel: str = ""                    # regexp of the version of a stock kernel, or
    config: str = ""                    # the file in configs/ of one to be built
    options: tuple = ()                 # for make when our modules are built
    kunit: bool = False                 # run KUnit suites, too (needs IOTARGET_KUNIT=m)
    kselftest_source: str = "linux-source-6.12"     # where kselftest_harness.h comes from
    modules: tuple = ()                 # the kernel's modules: "name [parameters]"
    boots: tuple = (Boot(),)            # first match wins
    left_out: tuple = ()                # (glob of programs not run here, why)
    programs: tuple = ()                # only these; all
    longer: int = 1                     # times as long as usual for each of them
    tools: tuple = ()                   # (test program, what it runs): provision.GUEST_TOOLS
    sticks: bool = True                 # has USB
    disks: bool = True                  # has what it takes to plug and pull disks (disks.py)
    without_disks: tuple = ()           # names (disks.py) of those that it can't handle
    bound_ms: int = 100                 # how late a call may be
    slowness: int = 1                   # for the time limits of programs and tests
    cycles: int = 30                    # of a test that does the same thing often
    plug_rounds: int = 3                # of plugging, loading and pulling all disks
    pulled: tuple = ()                  # names of those that tests of one disk take (disks.py,
                                        # or of its own: disks.OWN); all
    race_share: int = 1                 # of the matrix of races, one row of so many
    patient: bool = False               # may be slowed down by other work
    idle: bool = False                  # waits for most of its time: beside all others
    full: tuple = ()                    # (field, value): what differs in test-full

    def in_full(self):
        return replace(self, **dict(self.full))

    def boot_for(self, test):
        for boot in self.boots:
            if fnmatchcase(test, boot.tests):
                return boot
        raise LookupError(f"{self.name}: no boot configuration for test {test}")


# Loaded in this order, with what they depend on. null_blk and scsi_debug come up
# without a device: tests make theirs through configfs and add_host.
MODULES = (
    "configfs",
    "virtio_pci",
    "virtio_console",
    "ext4",
    "null_blk nr_devices=0",
    "brd rd_nr=2 rd_size=16384",
    "loop max_loop=4",
    "sd_mod",
    "scsi_debug add_host=0 dev_size_mb=16 ndelay=0",
    "dm-mod",
    "dm-delay",
    "dm-flakey",
    "xhci-pci",
    "usb-storage",
    "uas",
    "nvme",
    "virtio_blk",
    "virtio_scsi",
    "dummy_hcd",
    "libcomposite",
    "usb_f_mass_storage",
)
STOCK_MODULES = ("crc32c_generic", *MODULES, "xfs")    # ext4 asks for it by its algorithm's name
DEBUG_MODULES = ("crc32c_generic", "kunit enable=1", *MODULES)
# That kernel has no USB, less of the device mapper and no driver for what can be
# plugged in: tests say that they are skipped.
NOT_IN_KCSAN = ("dm-flakey", "xhci-pci", "usb-storage", "uas", "nvme", "virtio_blk",
                "virtio_scsi", "dummy_hcd", "libcomposite", "usb_f_mass_storage")
KCSAN_MODULES = tuple(m for m in DEBUG_MODULES if m not in NOT_IN_KCSAN)

# What make test runs where, in twenty minutes: each program in one stock kernel at least but
# for those that take minutes, a kernel what it can differ in, the sanitizers what they can
# find something in. make test-full runs all of it everywhere.
KERNELS = "control control_module control_query iogate_stack module open plug_cycles removal " \
          "unplug"
RUNS = {
    "stock-6.12": f"{KERNELS} control_away control_rules failslab faulty faulty_gadget faulty_scsi "
                  "iogate_faults io load_smp4 request return return_cache share state timeout "
                  "tool wait",
    "stock-6.1": f"{KERNELS} device iogate iogate_fs query_hold",
    "stock-7": f"{KERNELS} eject iogate iogate_fs ioflush query_freeze",
    "debug": "control failslab faulty iogate_faults return_cache unplug",
    "kcsan": "control iogate_faults load_smp4 request",
}
MINUTES = "fio mkfs removal_gates removal_waits return_fio"
HERE = "here in test-full"
FULL = (("cycles", 200), ("plug_rounds", 20), ("longer", 4), ("timeout", 7200),
        ("left_out", ()), ("pulled", ()))


def left_out(name):
    """(program, why) of those that an environment leaves to others, or to test-full."""
    where = {program: [] for program in MINUTES.split()}
    for env, programs in RUNS.items():
        for program in programs.split():
            where.setdefault(program, []).append(env)
    return tuple((f"iotarget_{program}", f"in {' and '.join(envs)}, {HERE}" if envs else
                  "minutes: in test-full")
                 for program, envs in sorted(where.items()) if name not in envs)


TOOLS = (("iotarget_fio", "fio"), ("iotarget_return_fio", "fio"),
         *(("iotarget_query_freeze", t) for t in ("mkfs.ext4", "e2fsck")),
         *(("iotarget_mkfs", t) for t in ("mkfs.ext4", "e2fsck", "mkfs.xfs", "xfs_repair")))

# Slab caches of the same size are one unless told otherwise: ours must be told apart.
# And on a busy host the kernel would find the TSC unstable and change its clock, which
# patches code that another processor runs: that is more than QEMU's threads stand.
# On such a host too the interrupt of the timer may come later than the kernel's check
# of it allows, and then it gives up: only kernels that see KVM leave it out themselves.
# What guards against speculation flushes the TLB with each system call, which QEMU pays
# dearly for, and it does not speculate.
CMDLINE = "mitigations=off slab_nomerge tsc=reliable no_timer_check"
BOOTS = (Boot(tests="*smp4*", smp=4, cmdline=CMDLINE), Boot(cmdline=CMDLINE))
DEBUG_BOOTS = (Boot(smp=2, memory="2G", cmdline=CMDLINE),)

WARN = Fault("warn", "warning")
HUNG = Fault("hung", "hung-task")
LOCKDEP = Fault("lockdep", "lockdep")
ATOMIC = Fault("atomic", "atomic-sleep")
UBSAN = Fault("ubsan", "ubsan")
ODEBUG = Fault("odebug", "debug-objects")
KASAN = Fault("kasan", "kasan")
KCSAN = Fault("kcsan", "kcsan")
# a wait for a target in one of its own callbacks: our own map is to tell
SELFWAIT = Fault("selfwait", "lockdep", arguments=("kunit.filter_glob=iotarget_selfwait",
                                                   "iotarget.selfwait=1"))
KMEMLEAK = Fault("kmemleak", "kmemleak", 6,
                 "for i in 1 2; do echo scan >/sys/kernel/debug/kmemleak; sleep 1; done")

ENVIRONMENTS = (
    Environment(
        name="uml",
        kind="uml",
        about="KUnit in user-mode Linux 6.12: KASAN, lockdep, atomic-sleep, UBSAN, kmemleak",
        timeout=300,
        source="linux-source-6.12",
        kunitconfig=("drivers/iotarget/.kunitconfig",
                     "tools/testing/iotarget/configs/uml.config"),
        faults=(KASAN, LOCKDEP, SELFWAIT, WARN, ATOMIC, UBSAN, ODEBUG),
        tolerated=(
            Tolerated(r"WARNING: .* at arch/um/drivers/virt-pci\.c:",
                      "kunit.py's default configuration has PCI over virtio without a device id"),
        ),
    ),
    Environment(
        name="stock-6.12",
        kind="qemu",
        about="Debian 12's stock 6.12 kernel in QEMU, with a USB stick that can be pulled",
        timeout=1200,
        kernel=r"6\.12\.\d+\+deb12-amd64",
        modules=STOCK_MODULES,
        tools=TOOLS,
        left_out=left_out("stock-6.12"),
        boots=BOOTS,
        pulled=("usb1",),
        full=FULL,
        faults=(WARN, HUNG),
    ),
    Environment(
        name="stock-6.1",
        kind="qemu",
        about="Debian 12's stock 6.1 kernel, as above",
        timeout=1200,
        kernel=r"6\.1\.0-\d+-amd64",
        modules=STOCK_MODULES,
        tools=TOOLS,
        left_out=left_out("stock-6.1"),
        boots=BOOTS,
        pulled=("nvme0", "nvme1", "loop", "null_blk"),
        full=FULL,
        faults=(WARN, HUNG),
    ),
    Environment(
        name="stock-7",
        kind="qemu",
        about="the newest stock 7.x kernel of Debian 13's backports, as above",
        timeout=1200,
        suite="trixie",
        kernel=r"7\.\d+(\.\d+)?\+deb13-amd64",
        modules=(*MODULES, "xfs", "fuse"),
        tools=TOOLS,
        left_out=left_out("stock-7"),
        boots=BOOTS,
        pulled=("uas0", "vblk0", "vscsi0", "scsi_debug"),
        full=FULL,
        faults=(WARN, HUNG),
    ),
    Environment(
        name="debug",
        kind="qemu",
        about="6.12 with KASAN, lockdep, kmemleak, UBSAN, debug objects, fault injection: "
              "KUnit as modules, selftests, leaks",
        timeout=3600,
        source="linux-source-6.12",
        config="debug-6.12.config",
        options=("IOTARGET_KUNIT=m",),
        kunit=True,
        modules=DEBUG_MODULES,
        left_out=left_out("debug"),
        boots=DEBUG_BOOTS,
        bound_ms=2100,
        slowness=4,
        cycles=10,
        race_share=28,
        plug_rounds=1,
        patient=True,
        pulled=("usb1", "scsi_debug"),
        full=(("race_share", 1), ("plug_rounds", 60), ("slowness", 8), ("cycles", 20),
              ("timeout", 14400), ("left_out", ()), ("pulled", ())),
        # Torn out of its slot while this kernel is busy, QEMU 7.2 often keeps it, and
        # the slot is taken for the rest of the boot.
        without_disks=("nvme1",),
        tolerated=(
            Tolerated(r"kmemleak: \d+ new suspected",
                      "uas loses an URB of a device that goes (see vm/guest/unload)",
                      then=r"iotarget-guest: known leaks of the kernel only"),
        ),
        # lockdep is off once a report of KASAN's has made the kernel doubtful
        faults=(LOCKDEP, ATOMIC, WARN, ODEBUG, UBSAN, HUNG, KMEMLEAK, KASAN),
    ),
    Environment(
        name="kcsan",
        kind="qemu",
        about="6.12 with KCSAN and lockdep: KUnit as modules, selftests",
        timeout=2400,
        source="linux-source-6.12",
        config="kcsan-6.12.config",
        options=("IOTARGET_KUNIT=m",),
        kunit=True,
        modules=KCSAN_MODULES,
        left_out=left_out("kcsan"),
        boots=DEBUG_BOOTS,
        sticks=False,
        disks=False,
        bound_ms=2100,
        slowness=4,
        cycles=10,
        race_share=28,
        patient=True,
        pulled=("null_blk",),
        full=(("race_share", 1), ("cycles", 20), ("timeout", 7200), ("left_out", ()),
              ("pulled", ())),
        faults=(LOCKDEP, ATOMIC, WARN, HUNG, KCSAN),
        tolerated=(
            Tolerated(r"KCSAN: data-race in (?!.*\[iotarget)",
                      "the kernel races with itself; ours have a name of a module behind theirs"),
        ),
    ),
    Environment(
        name="uml-smp",
        kind="uml",
        about="KUnit in user-mode Linux 7.x with two processors",
        timeout=900,
        suite="trixie",
        source=r"linux-source-7\.\d+",
        kunitconfig=("drivers/iotarget/.kunitconfig",
                     "tools/testing/iotarget/configs/uml.config",
                     "tools/testing/iotarget/configs/uml-smp.config"),
        race_share=28,
        full=(("race_share", 1),),
        arguments=("seccomp=on", "ncpus=2"),
        patient=True,
        idle=True,
        compat=False,
        tolerated=(
            Tolerated(r"WARNING: suspicious RCU usage",
                      "user-mode Linux frees memory on its way to a second processor",
                      then=r"Callback enqueued on offline CPU!!"),
        ),
        faults=(KASAN, LOCKDEP, SELFWAIT, WARN, ATOMIC),
    ),
)


def by_name(name):
    for env in ENVIRONMENTS:
        if env.name == name:
            return env
    known = ", ".join(env.name for env in ENVIRONMENTS)
    raise LookupError(f"no environment named {name!r}; there are: {known}")
