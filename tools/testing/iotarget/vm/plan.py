# SPDX-License-Identifier: GPL-2.0-only
"""In which order environments are run, and which of them side by side.

The fast ones come first, side by side: they find most mistakes in a minute or two. If one
of them is red, the rest is not run. Then there are lanes. In two of them run the environments
that look closely at the time; in the third, which gives way to them, those that are
patient. A lane that is through takes over some of the third. An environment that does next
to nothing but wait is in nobody's way: it has a lane of its own from the start.

What is patient or idle mostly has a kernel of its own, which takes minutes to be built. That
is done beside the lanes, one after the other, in the order in which they were added: so the one
that takes longest to be tested is there first, and the others are built beside its tests.
"""

import collections
import contextlib
import os
import threading

from .results import Row

FAST = ("plumbing", "static", "uml")
LANES = 2                           # of the punctual ones
GIVE_WAY = 10                       # niceness


class Plan:
    """
    step        function(name) that runs an environment and returns its rows
    build       function(name) that builds what a patient or idle one needs; its step comes
                after it, whatever came of it
    keep_going  also when a fast environment is red
    """

    def __init__(self, step, build=lambda name: None, keep_going=False):
        self.step, self.build, self.keep_going = step, build, keep_going
        self.order, self.fast, self.idle, self.punctual, self.patient = [], [], [], [], []
        self.rows, self.built = {}, {}

    def add(self, name, patient, idle=False):
        self.order.append(name)
        lane = self.fast if name in FAST else self.idle if idle else \
            self.patient if patient else self.punctual
        lane.append(name)

    def run(self):
        """All rows, in the order in which environments were added."""
        if self._run_fast():
            punctual = collections.deque(self.punctual)
            waiting = collections.deque(self.patient)
            self.built = {name: threading.Event() for name in self.order
                          if name in self.patient + self.idle}
            lanes = [threading.Thread(target=self._build_all, name="builder", daemon=True),
                     threading.Thread(target=self._patient_lane, args=(waiting,), name="patient",
                                      daemon=True)]
            lanes += [threading.Thread(target=self._idle_lane, args=(name,), name=name,
                                       daemon=True) for name in self.idle]
            for number in range(max(1, min(LANES, len(punctual)))):
                lanes.append(threading.Thread(target=self._punctual_lane,
                                              args=(punctual, waiting),
                                              name=f"punctual-{number}", daemon=True))
            for lane in lanes:
                lane.start()
            for lane in lanes:
                lane.join()
        return [row for name in self.order for row in self.rows[name]]

    def _run_fast(self):
        lanes = [threading.Thread(target=self._lane, args=([name],), name=name, daemon=True)
                 for name in self.fast]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        red = [name for name in self.fast if any(row.red for row in self.rows[name])]
        if self.keep_going or not red:
            return True
        for other in self.idle + self.punctual + self.patient:
            row = Row(other)
            row.fail("not run", f"{' and '.join(red)} {'are' if red[1:] else 'is'} red "
                     "(see --keep-going)")
            self.rows[other] = [row]
        return False

    def _build_all(self):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), GIVE_WAY)
        for name, built in self.built.items():
            with contextlib.suppress(Exception):
                self.build(name)
            built.set()

    def _lane(self, names):
        for name in names:
            if name in self.built:
                self.built[name].wait()
            try:
                self.rows[name] = self.step(name)
            except Exception as err:            # pylint: disable=broad-except
                row = Row(name)
                row.fail("run", f"{type(err).__name__}: {err}")
                row.broken = True
                self.rows[name] = [row]

    def _take(self, waiting):
        while True:
            try:
                name = waiting.popleft()
            except IndexError:
                return
            self._lane([name])

    def _punctual_lane(self, punctual, waiting):
        self._take(punctual)
        self._take(waiting)

    def _idle_lane(self, name):
        # what it wakes up for is little, and often to be done in time
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -GIVE_WAY)
        self._lane([name])

    def _patient_lane(self, waiting):
        # niceness is a thread's own, and what it starts inherits it
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), GIVE_WAY)
        self._take(waiting)
