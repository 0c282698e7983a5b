# SPDX-License-Identifier: GPL-2.0-only
"""A virtual PC: starts QEMU, carries the guest's words out, kills it when it hangs."""

import contextlib
import os
import shlex
import socket
import threading
import time
from pathlib import Path

from .disks import Disks, arguments
from .hostport import HostPort
from .qmp import Qmp, QmpError
from .shell import Failure, kill_group, popen

EXIT_DONE = (0x10 << 1) | 1         # the guest's init ran to its end


class Machine:
    """with Machine(...) as machine: status = machine.wait()

    kernel      provision.Kernel
    initrd      path of the initramfs
    directory   where serial.log, the images' copies and the command line go
    on_line     called with each line the guest sends to its output port
    timeout     seconds, then QEMU is killed
    disks       sticks and other disks that can be plugged and pulled
    accel       QEMU's options of how the processors are emulated
    actions     {verb: function(machine, *words)}: further things a guest may ask for
    """

    def __init__(self, kernel, initrd, directory, *, on_line=print, timeout=300, smp=2,
                 memory="1G", cmdline="", disks=(), actions=None,
                 accel=("-accel", "tcg,thread=multi")):
        self.kernel, self.initrd = kernel, Path(initrd)
        self.directory = Path(directory)
        self.on_line, self.timeout = on_line, timeout
        self.smp, self.memory, self.cmdline, self.accel = smp, memory, cmdline, accel
        self.disks_wanted = tuple(disks)
        self.serial_log = self.directory / "serial.log"
        self.timed_out = False
        self.proc = self.qmp = self.disks = self.host = None
        self.actions = actions or {}
        self.threads = []

    # -- start and stop ------------------------------------------------------

    def _argv(self, channels):
        command = f"console=ttyS0 loglevel=7 panic=-1 oops=panic {self.cmdline}".strip()
        argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
                "-M", "q35", *self.accel, "-cpu", "max",
                "-smp", str(self.smp), "-m", self.memory, "-no-reboot",
                "-kernel", str(self.kernel.image), "-initrd", str(self.initrd),
                "-append", command,
                "-chardev", f"file,id=serial,path={self.serial_log}", "-serial", "chardev:serial",
                "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                "-device", "virtio-serial-pci,id=ports"]
        for name, channel in channels.items():
            argv += ["-chardev", f"socket,id={name},fd={channel.fileno()}"]
            if name == "qmp":
                argv += ["-mon", "chardev=qmp,mode=control"]
            elif name == "qtest":
                argv += ["-qtest", "chardev:qtest", "-qtest-log", "none"]
            else:
                argv += ["-device", f"virtserialport,bus=ports.0,chardev={name},"
                                    f"name=iotarget-{name}"]
        return argv + arguments(self.disks_wanted, self.directory)

    def __enter__(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.serial_log.write_bytes(b"")
        ours, theirs = {}, {}
        for name in ("qmp", "qtest", "output", "host"):
            ours[name], theirs[name] = socket.socketpair()
            os.set_inheritable(theirs[name].fileno(), True)
        argv = self._argv(theirs)
        (self.directory / "command").write_text(shlex.join(argv) + "\n")
        with open(self.directory / "qemu.log", "wb") as log:
            self.proc = popen(argv, stdout=log, stderr=log,
                              pass_fds=[s.fileno() for s in theirs.values()])
        for channel in theirs.values():
            channel.close()
        self.started = time.monotonic()
        self.watchdog = threading.Timer(self.timeout, self._expired)
        self.watchdog.daemon = True
        self.watchdog.start()
        try:
            self.qmp = Qmp(ours["qmp"])
            self.qmp.start()
            self.disks = Disks(self.qmp, self.disks_wanted, ours["qtest"], self.directory)
            self.host = HostPort(self, ours["host"], self.actions)
        except QmpError as err:
            self.__exit__()
            raise Failure("\n".join([f"QEMU does not start: {err}", *self.complaints()])) from err
        self._thread("output", self._read_output, ours["output"])
        return self

    def _thread(self, name, function, *args):
        thread = threading.Thread(target=function, args=args, name=name, daemon=True)
        thread.start()
        self.threads.append(thread)

    def _expired(self):
        self.timed_out = True
        kill_group(self.proc)

    def kill(self):
        kill_group(self.proc)

    def wait(self):
        """Wait for the guest to switch itself off. Returns QEMU's exit status."""
        status = self.proc.wait()
        for thread in self.threads:
            thread.join(10)             # what was still on its way
        return status

    def __exit__(self, *_):
        self.watchdog.cancel()
        if self.proc.poll() is None:
            kill_group(self.proc)
        for thread in self.threads:
            thread.join(10)
        if self.host:
            self.host.close()

    # -- what the guest says -------------------------------------------------

    def _read_output(self, channel):
        with contextlib.suppress(OSError), channel.makefile("r", encoding="utf-8",
                                                            errors="replace") as stream:
            for line in stream:
                self.on_line(line.rstrip("\r\n"))

    def complaints(self):
        """What QEMU itself had to say."""
        return (self.directory / "qemu.log").read_text(errors="replace").splitlines()

    def log_lines(self):
        """The kernel log as it came over the serial line."""
        text = self.serial_log.read_text(errors="replace")
        return [line.rstrip("\r") for line in text.split("\n")]
