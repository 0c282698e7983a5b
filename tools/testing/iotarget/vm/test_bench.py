# SPDX-License-Identifier: GPL-2.0-only
"""Unit tests of what judges the benchmark's numbers."""

import tempfile
import unittest

from bench import report

WAYS = {"raw": 2500, "remap": 3100, "iogate": 4000, "iogate_hold": 4100, "dm_linear": 4600,
        "target_own_bio": 2800}
VERSION = "6.12.1-test"


def lines(ways=WAYS):
    for load in report.LOADS:
        for way, count in ways.items():
            yield f"result inline {way} {load} {count * 1000} {count * 1000 + 7000}"
    for part in ("nothing", "gate", "gate_remap", "forward_uncounted", "raw_submit_bio_wait",
                 "dm_submit_bio_wait"):
        yield f"result parts {part} read4k {ways['dm_linear'] * 1000} {9 ** 9}"
    for way in report.CYCLES:
        yield f"cycle {way}-0 3000 1000 2000"
        yield f"cycle {way}-32 3000 1000 2000"
    yield "sizes " + " ".join(f"{name} 8" for name in report.SIZES)
    for n in (1, 2):
        for place, way in enumerate(("raw", "iogate", "dm_linear", "target_own_bio")):
            yield f"throughput {n} {way} {1000 - 100 * place} {2000 - 200 * place} {7 ** place}"
            yield f"parallel {n} {way}"
    yield "symbol 1000 first"
    yield "symbol 2000 rounds_raw"


def digest(text, segments=None):
    """With a profile in which each round is 100 instructions, and 1000 locks."""
    text = list(text)
    rounds = sum(2 for line in text if line.startswith("result"))
    rounds += sum(8 * int(line.split()[1]) for line in text if line.startswith("parallel"))
    if segments is not None:
        rounds = segments
    with tempfile.NamedTemporaryFile("w", suffix=".profile") as profile:
        profile.write("segment 100 1000\n1004 60 1000\n2000 40 0\n" * rounds)
        profile.flush()
        return report.digest(text, profile.name)


class Report(unittest.TestCase):
    def test_workloads(self):
        row = report.workloads(digest(lines()))["read4k"]
        self.assertEqual(row["raw"], 2500)
        self.assertEqual(row["ratio"], round(1500 / 2100, 3))
        self.assertEqual(row["ratio_hold"], round(1600 / 2100, 3))
        self.assertEqual(row["locked_iogate"], 1.0)

    def test_functions(self):
        one = digest(lines())["sets"]["inline"]["read4k"]["raw"]
        self.assertEqual(one["functions"], {"first": 0.06, "the loop": 0.04})

    def test_profile_too_short(self):
        with self.assertRaises(report.Failure):
            digest(lines(), segments=3)

    def test_blocks_of_one_address(self):
        with tempfile.NamedTemporaryFile("w", suffix=".profile") as profile:
            profile.write("segment 100 3\n1004 60 1\n1004 40 2\n")
            profile.flush()
            self.assertEqual(report.segments(profile.name), [(100, 3, {0x1004: (100, 3)})])

    def test_several_processors(self):
        result = digest(lines())
        self.assertEqual(result["parallel"]["2"]["iogate"], {"instructions": 0.1, "locked": 1.0})
        self.assertEqual(report.throughput(result)["2"],
                         {"iogate": 0.9, "dm_linear": 0.8, "target_own_bio": 0.7,
                          "raw_per_second": 1000})
        with self.assertRaises(report.Failure):
            digest(lines(), segments=2 * 5 * len(WAYS) + 2 * 6)

    def test_known(self):
        self.assertTrue(report.known(VERSION, digest(lines()))[2])
        for wrong in (4400, 4800):
            result = digest(lines({**WAYS, "dm_linear": wrong}))
            self.assertFalse(report.known(VERSION, result)[2])
        self.assertIsNone(report.known("6.1.0-test", digest(lines())))

    def test_pages(self):
        results = {VERSION: digest(lines())}
        page = "\n".join(report.markdown(VERSION, results[VERSION]))
        self.assertIn("| read 4 KiB | 2,500 | 3,100 | 4,000 | 4,100 | 4,600 | 2,800 |  "
                      "| 0.71 | 0.76 |", page)
        self.assertEqual(report.svg(results).count("<rect"), 1 + 4 * len(report.LOADS) + 4)


if __name__ == "__main__":
    unittest.main()
