# SPDX-License-Identifier: GPL-2.0-only
"""make demo: a stock kernel, a USB stick with files on it, and a gate in front of it.

The story is demo/*.c, which runs as the guest's only job. What it prints is
shown as it comes. The exit status is 0 only if everything was as expected and the
kernel's log holds no alarm.
"""

import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vm import build, environments, provision, stick    # noqa: E402
from vm.session import Job, Session                      # noqa: E402
from vm.shell import BUILD, TREE, Failure, fresh, run    # noqa: E402

SEED = 7                    # PICTURE_SEED of demo.c
PICTURE = 4 << 20
NOTE = "This stick is served through an I/O target.\n"
MASK = (1 << 64) - 1


def word(pos):
    """iotarget_test_word() of drivers/iotarget/tests/iotarget_test.h."""
    z = ((SEED ^ pos) + 0x9e3779b97f4a7c15) & MASK
    z = ((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9) & MASK
    z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & MASK
    return z ^ (z >> 31)


def image():
    files = fresh(BUILD / "demo" / "files")
    (files / "note.txt").write_text(NOTE)
    (files / "picture.raw").write_bytes(
        struct.pack(f"<{PICTURE // 8}Q", *(word(pos) for pos in range(0, PICTURE, 8))))
    return stick.ext4_image(BUILD / "images" / "demo.img", files)


def program():
    tests = TREE / "tools/testing/selftests/iotarget"
    out = BUILD / "demo" / "demo"
    out.parent.mkdir(parents=True, exist_ok=True)
    run("build demo", ["gcc", "-O2", "-Wall", "-Wno-format-truncation",
                       "-D_GNU_SOURCE", "-static", "-pthread",
                       f"-I{tests}",
                       f"-I{TREE}/drivers/iotarget/tests",
                       *sorted((TREE / "tools/testing/iotarget/demo").glob("*.c")),
                       tests / "target.c", tests / "devices.c", tests / "gates.c",
                       "-o", out])
    return out


def main():
    began = time.monotonic()
    env = environments.by_name("stock-6.12")
    try:
        kernel = provision.kernel_of(env)
        print(f"Building the modules for {kernel.version}, a stick, and a demonstration ...",
              flush=True)
        other = stick.Stick(id="usb0x", image=stick.default_stick().image, plugged=False)
        session = Session(env, "demo", kernel=kernel, timeout=300,
                          files={"demo": program(), **build.tool()},
                          sticks=[stick.Stick(image=image()), other])
        print("Booting ...", flush=True)
        outcome = session.run([Job("demo", "/demo", timeout=200)],
                              on_line=lambda job, line: print(line, flush=True))
    except Failure as failure:
        print(failure)
        return 2
    for problem in (*outcome.problems, *outcome.alarms):
        print(f"PROBLEM: {problem}")
    good = not outcome.status and not outcome.problems and not outcome.alarms
    print(f"\n{'All as expected' if good else 'NOT as expected'}, "
          f"in {time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
