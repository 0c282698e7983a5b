# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's control protocol over one end of a socket pair."""

import json
import threading
import time


class QmpError(Exception):
    pass


class Qmp:
    """Commands in, answers and events out. Usable from several threads."""

    def __init__(self, sock):
        self.sock = sock
        self.condition = threading.Condition()
        self.sending = threading.Lock()
        self.answers = {}
        self.events = []
        self.closed = False
        self.last_id = 0
        self.greeted = False
        self.reader = threading.Thread(target=self._read, name="qmp", daemon=True)
        self.reader.start()

    def _read(self):
        try:
            with self.sock.makefile("r", encoding="utf-8", errors="replace") as stream:
                for line in stream:
                    self._take(json.loads(line))
        except (OSError, ValueError):
            pass
        with self.condition:
            self.closed = True
            self.condition.notify_all()

    def _take(self, message):
        with self.condition:
            if "QMP" in message:
                self.greeted = True
            elif "event" in message:
                self.events.append(message)
            else:
                self.answers[message.get("id")] = message
            self.condition.notify_all()

    def start(self, timeout=20):
        with self.condition:
            self.condition.wait_for(lambda: self.greeted or self.closed, timeout)
        self("qmp_capabilities")

    def __call__(self, command, timeout=20, **arguments):
        """For example qmp("device_del", id="usb0")."""
        return self.raw({"execute": command, "arguments": arguments}, timeout)

    def raw(self, message, timeout=20):
        with self.sending:
            self.last_id += 1
            number = self.last_id
            try:
                self.sock.sendall(json.dumps({**message, "id": number}).encode() + b"\n")
            except OSError as err:
                raise QmpError(f"QEMU is gone: {err}") from err
        with self.condition:
            self.condition.wait_for(lambda: number in self.answers or self.closed, timeout)
            answer = self.answers.pop(number, None)
        if answer is None:
            raise QmpError(f"{message.get('execute')}: no answer within {timeout} s")
        if "error" in answer:
            raise QmpError(answer["error"].get("desc", "unknown error"))
        return answer.get("return")

    def mark(self):
        """A place in the stream of events, for wait_event()."""
        with self.condition:
            return len(self.events)

    def wait_event(self, name, since=0, timeout=10, **data):
        end = time.monotonic() + timeout

        def there():
            return any(e["event"] == name and
                       all(e.get("data", {}).get(k) == v for k, v in data.items())
                       for e in self.events[since:])
        with self.condition:
            self.condition.wait_for(lambda: there() or self.closed, end - time.monotonic())
            if not there():
                raise QmpError(f"no event {name} within {timeout} s")

    def hmp(self, line):
        """A command of the human monitor."""
        text = self("human-monitor-command", **{"command-line": line})
        return (text or "").strip()
