# SPDX-License-Identifier: GPL-2.0-only
"""Does for the guest what only the host can: pull a disk, stall it, tell the log.

The guest writes "ID VERB WORDS..." to /dev/iotarget-host, the answer is a line
"ID ok TEXT" or "ID error TEXT". The command `host` in the guest does just that.
"""

import contextlib
import json
import threading
import time

from .qmp import QmpError

HELP = ("plug ID [stalled] | unplug ID | stall ID | throttle ID IOPS | resume ID | fail ID | mend ID | "
        "note ID | same ID | after MS VERB... | log TEXT | qmp JSON | ping | help")


def _plug(machine, name, how=""):
    if how not in ("", "stalled"):
        raise ValueError(f"a disk is not plugged in {how}")
    return machine.disks.plug_stalled(name) if how else machine.disks.plug(name)


class HostPort:
    def __init__(self, machine, channel, actions):
        self.machine, self.channel = machine, channel
        self.actions = {
            "plug": _plug,
            "unplug": lambda m, name: m.disks.unplug(name),
            "stall": lambda m, name: m.disks.stall(name),
            "resume": lambda m, name: m.disks.resume(name),
            "throttle": lambda m, name, iops: m.disks.throttle(name, iops),
            "fail": lambda m, name: m.disks.fail(name),
            "mend": lambda m, name: m.disks.mend(name),
            "note": lambda m, name: m.disks.note(name),
            "same": lambda m, name: m.disks.same(name),
            "ping": lambda m: "pong",
            "help": lambda m: " | ".join([HELP, *sorted(actions)]),
            "log": lambda m, *words: m.on_line("# host: " + " ".join(words)),
            **actions,
        }
        self.timers = []
        self.locks = {}                     # one action at a time for each disk
        self.failures = []                  # of actions nobody waits for any more
        threading.Thread(target=self._serve, name="host", daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError), \
                self.channel.makefile("r", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                number, _, request = line.strip().partition(" ")
                if not request:
                    continue
                # of its own: a slow action must not keep others from being heard
                threading.Thread(target=self._answer, args=(number, request), daemon=True).start()

    def _answer(self, number, request):
        verdict, text = self.do(request)
        with contextlib.suppress(OSError):
            self.channel.sendall(f"{number} {verdict} {text}".strip().encode() + b"\n")

    def do(self, request):
        """Carry out one request; ("ok" or "error", text)."""
        verb, *words = request.split()
        # "stall-usb" is short for "stall usb0"
        if verb.endswith("-usb") and not words:
            verb, words = verb[:-len("-usb")], ["usb0"]
        if verb == "after":
            return self._later(words)
        try:
            if verb == "qmp":
                answer = self.machine.qmp.raw(json.loads(request.partition(" ")[2]))
                return "ok", json.dumps(answer)
            if verb not in self.actions:
                return "error", f"no action {verb}; there are: {HELP}"
            with self.locks.setdefault(" ".join(words[:1]), threading.Lock()):
                text = self.actions[verb](self.machine, *words)
            return "ok", str(text) if text is not None else ""
        except (QmpError, ValueError, TypeError) as err:
            return "error", f"{verb}: {err}"

    def _later(self, words):
        """"after 1500 resume usb0": answered at once, done in 1.5 s; for a guest that
        will be blocked by then."""
        try:
            delay = float(words[0]) / 1000
            request = " ".join(words[1:])
        except (IndexError, ValueError):
            return "error", "after MILLISECONDS VERB..."
        if not request:
            return "error", "after MILLISECONDS VERB..."
        asked = time.monotonic()

        def fire():
            verdict, text = self.do(request)
            if verdict != "ok":
                self.failures.append(f"host action {request!r} asked for "
                                     f"{time.monotonic() - asked:.1f} s before: {text}")
        timer = threading.Timer(delay, fire)
        timer.daemon = True
        timer.start()
        self.timers.append(timer)
        return "ok", ""

    def close(self):
        for timer in self.timers:
            timer.cancel()
        with contextlib.suppress(OSError):
            self.channel.close()
