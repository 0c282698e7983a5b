# SPDX-License-Identifier: GPL-2.0-only
"""What the collector makes of good, bad and broken output."""

import textwrap
import unittest

from . import ktap
from .ktap import FAILED, PASSED, SKIPPED


def collect(text, **options):
    collector = ktap.Collector(**options)
    for line in textwrap.dedent(text).strip("\n").splitlines():
        collector.feed(line)
    return collector.finish(), collector


def outcomes(text, **options):
    tests, _ = collect(text, **options)
    return [(t.name, t.outcome) for t in tests]


class Flat(unittest.TestCase):
    def test_passes(self):
        self.assertEqual(outcomes("""
            TAP version 13
            1..2
            # Starting 2 tests from 1 test cases.
            #  RUN           global.a ...
            #            OK  global.a
            ok 1 global.a
            ok 2 global.b
            # Totals: pass:2 fail:0
            """, name="basic"), [("basic.global.a", PASSED), ("basic.global.b", PASSED)])

    def test_not_ok_carries_its_diagnostics(self):
        tests, _ = collect("""
            TAP version 13
            1..1
            # x.c:12:a:Expected 1 (1) == 2 (2)
            not ok 1 global.a
            """)
        self.assertEqual(tests[0].outcome, FAILED)
        self.assertIn("Expected 1 (1) == 2 (2)", tests[0].why)

    def test_assertions_come_before_what_was_printed_later(self):
        tests, _ = collect("""
            TAP version 13
            1..1
            # x.c:12:a:Expected 1 (1) == 2 (2)
            # x.c:13:a:usb1, round 2: it is still there
            # one of the counters
            # another
            # a third
            # a fourth
            not ok 1 global.a
            """)
        self.assertEqual(tests[0].why, "x.c:12:a:Expected 1 (1) == 2 (2) / "
                                       "x.c:13:a:usb1, round 2: it is still there")

    def test_skip_with_reason(self):
        tests, _ = collect("""
            TAP version 13
            1..2
            ok 1 a # SKIP no such device
            ok 2 # SKIP of no name
            """)
        self.assertEqual([(t.outcome, t.why) for t in tests],
                         [(SKIPPED, "no such device"), (SKIPPED, "of no name")])

    def test_skip_without_reason_fails(self):
        for line in ("ok 1 a # SKIP", "ok 1 a # SKIP unknown"):
            tests, _ = collect(f"TAP version 13\n1..1\n{line}")
            self.assertEqual(tests[0].outcome, FAILED)
            self.assertIn("without a reason", tests[0].why)

    def test_missing_result_fails(self):
        tests, _ = collect("TAP version 13\n1..3\nok 1 a\nok 2 b")
        self.assertEqual([t.outcome for t in tests], [PASSED, PASSED, FAILED])
        self.assertIn("no result for test 3 of 3", tests[2].why)

    def test_more_results_than_planned_fail(self):
        tests, _ = collect("TAP version 13\n1..1\nok 1 a\nok 2 b")
        self.assertEqual([t.outcome for t in tests], [PASSED, PASSED, FAILED])

    def test_wrong_number_fails(self):
        tests, _ = collect("TAP version 13\n1..3\nok 1 a\nok 3 c")
        self.assertIn(FAILED, [t.outcome for t in tests])

    def test_no_plan_fails(self):
        tests, _ = collect("TAP version 13\nok 1 a")
        self.assertEqual([t.outcome for t in tests], [PASSED, FAILED])

    def test_plan_at_the_end(self):
        self.assertEqual(outcomes("TAP version 13\nok 1 a\n1..1"), [("a", PASSED)])

    def test_nothing_fails(self):
        for text in ("", "hello", "TAP version 13", "TAP version 13\n1..0"):
            tests, _ = collect(text)
            self.assertEqual({t.outcome for t in tests}, {FAILED}, text)

    def test_skipping_all(self):
        self.assertEqual(outcomes("TAP version 13\n1..0 # SKIP not root", name="p"),
                         [("p", SKIPPED)])

    def test_bail_out_fails(self):
        tests, _ = collect("TAP version 13\n1..1\nok 1 a\nBail out! no memory")
        self.assertEqual(tests[-1].outcome, FAILED)
        self.assertIn("no memory", tests[-1].why)

    def test_todo_fails(self):
        self.assertEqual(outcomes("TAP version 13\n1..1\nok 1 a # TODO later"), [("a", FAILED)])

    def test_words_of_the_program_do_not_count(self):
        self.assertEqual(outcomes("TAP version 13\n1..1\nokay then\nnotok 2\nok 1 a"),
                         [("a", PASSED)])


class Lateness(unittest.TestCase):
    def test_collected_from_diagnostics(self):
        _, collector = collect("""
            TAP version 13
            1..1
            # lateness: 12.5 bound 100 iotarget_stop()
            # x.c:13:a:lateness: 3 bound 100 iotarget_close()
            ok 1 a
            """)
        self.assertEqual([(e.ms, e.bound, e.call) for e in collector.lateness],
                         [(12.5, 100, "iotarget_stop()"), (3, 100, "iotarget_close()")])


KUNIT = """
    Linux version 6.12
    [    0.100000] KTAP version 1
    [    0.100000] 1..2
    [    0.100000]     KTAP version 1
    [    0.100000]     # Subtest: one
    [    0.100000]     # module: one_kunit
    [    0.100000]     1..3
    [    0.100000]     ok 1 a
    some driver: ok
    [    0.100000]         KTAP version 1
    [    0.100000]         # Subtest: b
    [    0.100000]         ok 1 param-0
    [    0.100000]         {second} 2 param-1
    [    0.100000]     # b: pass:2 fail:0 skip:0 total:2
    [    0.100000]     {b} 2 b
    [    0.100000]     ok 3 c # SKIP not here
    [    0.100000] # one: pass:2 fail:0 skip:1 total:3
    [    0.100000] {one} 1 one
    {rest}
    """
GOOD = {"second": "ok", "b": "ok", "one": "ok"}
TWO = "    KTAP version 1\n    # Subtest: two\n    1..1\n    ok 1 x\nok 2 two"


class Nested(unittest.TestCase):
    def kunit(self, **changes):
        text = textwrap.dedent(KUNIT).format(**{**GOOD, "rest": TWO, **changes})
        return outcomes(text, kernel_log=True)

    def test_leaves_are_counted_once(self):
        self.assertEqual(self.kunit(), [
            ("one.a", PASSED), ("one.b.param-0", PASSED), ("one.b.param-1", PASSED),
            ("one.c", SKIPPED), ("two.x", PASSED)])

    def test_failed_leaf_is_one_failure(self):
        found = self.kunit(second="not ok", b="not ok", one="not ok")
        self.assertEqual([name for name, o in found if o == FAILED], ["one.b.param-1"])

    def test_failed_parent_of_good_children_fails(self):
        found = self.kunit(one="not ok")
        self.assertEqual([name for name, o in found if o == FAILED], ["one"])

    def test_suite_that_died_fails(self):
        found = self.kunit(rest="    KTAP version 1\n    # Subtest: two\n    1..2\n    ok 1 x")
        self.assertEqual([o for name, o in found if name.startswith("two")],
                         [PASSED, FAILED])
        # and the top level misses the result of suite two
        self.assertEqual([o for _, o in found].count(FAILED), 2)

    def test_no_suite_at_all_fails(self):
        self.assertEqual([o for _, o in outcomes("KTAP version 1\n1..0", kernel_log=True)],
                         [FAILED])


if __name__ == "__main__":
    unittest.main()
