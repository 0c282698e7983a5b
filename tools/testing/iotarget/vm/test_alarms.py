# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of a kernel log raise an alarm, and which do not."""

import unittest

from . import alarms, environments, uml

RAISED = (
    ("warning", "WARNING: CPU: 1 PID: 93 at drivers/iotarget/gate.c:40 iotarget_put+0x1/0x2"),
    ("warning", "[   12.345678] WARNING: CPU: 1 PID: 93 at kernel/foo.c:1 foo+0x1/0x2"),
    ("kasan", "[    1.000000][  T93] BUG: KASAN: slab-use-after-free in foo+0x1/0x2"),
    ("kasan", "BUG: KASAN: null-ptr-deref in range [0x0-0x7]"),
    ("kcsan", "BUG: KCSAN: data-race in foo / bar"),
    ("kfence", "BUG: KFENCE: use-after-free read in foo+0x1/0x2"),
    ("ubsan", "UBSAN: array-index-out-of-bounds in foo.c:3:4"),
    ("lockdep", "WARNING: possible recursive locking detected"),
    ("lockdep", "WARNING: possible circular locking dependency detected"),
    ("lockdep", "WARNING: possible irq lock inversion dependency detected"),
    ("lockdep", "WARNING: inconsistent lock state"),
    ("lockdep", "WARNING: suspicious RCU usage"),
    ("lockdep", "WARNING: held lock freed!"),
    ("lockdep", "WARNING: bad unlock balance detected!"),
    ("lockdep", "WARNING: lock held when returning to user space!"),
    ("lockdep", "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected"),
    ("lockdep", "[ BUG: Invalid wait context ]"),
    ("lockdep", "INFO: trying to register non-static key."),
    ("hung-task", "INFO: task iotarget_test:99 blocked for more than 10 seconds."),
    ("stall", "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"),
    ("stall", "rcu: INFO: rcu_preempt self-detected stall on CPU"),
    ("stall", "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [insmod:93]"),
    ("kmemleak", "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"),
    ("debug-objects", "ODEBUG: free active (active state 0) object: 0000 type: timer_list"),
    ("atomic-sleep", "BUG: sleeping function called from invalid context at kernel/foo.c:3"),
    ("atomic-sleep", "BUG: scheduling while atomic: insmod/93/0x00000002"),
    ("refcount", "refcount_t: underflow; use-after-free."),
    ("list", "list_add corruption. next->prev should be prev (0), but was 1. (next=2)."),
    ("list", "list_del corruption, 0->next is LIST_POISON1 (1)"),
    ("percpu-ref", "percpu ref (foo_release) <= 0 (-1) after switching to atomic"),
    ("slub", "BUG kmalloc-64 (Tainted: G           O      ): Redzone overwritten"),
    ("oops", "Oops: general protection fault, probably for non-canonical address 0x1: 0000 [#1]"),
    ("oops", "BUG: kernel NULL pointer dereference, address: 0000000000000000"),
    ("oops", "BUG: unable to handle page fault for address: ffffc90000"),
    ("oops", "Unable to handle kernel paging request at virtual address 0"),
    ("oops", "kernel BUG at drivers/iotarget/gate.c:12!"),
    ("bug", "BUG: looks like something of its own"),
    ("panic", "Kernel panic - not syncing: Fatal exception"),
)

SILENT = (
    "kasan: KernelAddressSanitizer initialized",
    "kcsan: enabled early",
    "Kernel command line: console=ttyS0 panic=-1 oops=panic",
    "    # iotarget_gate: WARNING: this is a test's own remark",
    "    ok 3 WARNING: as a name",
    "not ok 4 BUG: as a name",
    "INFO: lockdep is turned off.",
    "usb 1-1: USB disconnect, device number 2",
    "workqueue: output_poll_execute hogged CPU for >10000us 4 times",
    "sd 0:0:0:0: [sda] Synchronize Cache(10) failed: Result: hostbyte=DID_NO_CONNECT",
    "device offline error, dev sdb, sector 0 op 0x0:(READ)",
    "DEBUG: nothing",
    "iotarget: loading out-of-tree module taints kernel.",
)


class Alarms(unittest.TestCase):
    def test_raised(self):
        for name, line in RAISED:
            with self.subTest(line=line):
                found = alarms.scan([line])
                self.assertEqual([a.name for a in found], [name])

    def test_silent(self):
        for line in SILENT:
            with self.subTest(line=line):
                self.assertEqual(alarms.scan([line]), [])

    def test_line_number_and_text(self):
        found = alarms.scan(["a", "[    1.000000] WARNING: possible recursive locking detected"])
        self.assertEqual((found[0].number, found[0].line),
                         (2, "WARNING: possible recursive locking detected"))

    def test_tolerated_only_where_it_matches(self):
        lines = ["WARNING: CPU: 0 at foo.c:1", "WARNING: CPU: 0 at bar.c:1"]
        self.assertEqual(len(alarms.scan(lines, [(r"at foo\.c:", "")])), 1)

    def test_tolerated_only_if_it_goes_on_like_that(self):
        head = "WARNING: suspicious RCU usage"
        known = [(head, "offline CPU")]
        self.assertEqual(alarms.scan([head, "7.3", "----", "on offline CPU!!"], known), [])
        self.assertEqual(len(alarms.scan([head, "7.3", "----", "ours"], known)), 1)
        self.assertEqual(len(alarms.scan([head], known)), 1)


class Table(unittest.TestCase):
    def test_faults_name_known_alarms(self):
        known = {name for name, _ in alarms.ALARMS}
        for env in environments.ENVIRONMENTS:
            for fault in env.faults:
                self.assertIn(fault.alarm, known, f"{env.name} {fault.name}")

    def test_what_plants_a_fault(self):
        self.assertIn("iotarget_alarm.fault=kasan", uml.planting(environments.KASAN))
        self.assertEqual(uml.planting(environments.SELFWAIT),
                         ("kunit.filter_glob=iotarget_selfwait", "iotarget.selfwait=1"))
        for env in environments.ENVIRONMENTS:
            for fault in env.faults:
                suites = [a for a in uml.planting(fault) if a.startswith("kunit.filter_glob=")]
                self.assertEqual(len(suites), 1, f"{env.name} {fault.name}: one suite")
                if env.kind != "uml":       # there the module iotarget_alarm plants them all
                    self.assertFalse(fault.arguments, f"{env.name} {fault.name}")

    def test_every_test_has_a_boot(self):
        for env in environments.ENVIRONMENTS:
            self.assertTrue(env.boot_for("anything"))

    def test_names_are_unique(self):
        names = [env.name for env in environments.ENVIRONMENTS]
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    unittest.main()
