# SPDX-License-Identifier: GPL-2.0-only
"""What the benchmark's numbers mean: tables, a plot, and files for programs."""

import json
import os
import re
from bisect import bisect_right
from collections import Counter
from statistics import median, median_low

from vm.shell import BUILD, Failure

IOS = 1000                  # of a round, as in iotarget_bench.c
ROUNDS = 8                  # likewise
LOADS = {"read4k": "read 4 KiB", "write4k": "write 4 KiB", "write64k": "write 64 KiB",
         "uring32": "read 4 KiB, io_uring, 32 at once", "flush": "flush"}
WAYS = {"raw": "null_blk", "remap": "remap only", "iogate": "iogate",
        "iogate_hold": "iogate that holds", "dm_linear": "dm-linear",
        "target_own_bio": "target, own bio", "target_forward": "target, forwarded bio"}
LAYERS = [way for way in WAYS if way != "raw"]
PARTS = {"nothing": "the loop alone", "gate": "`iotarget_enter()` and `iotarget_leave()`",
         "gate_itself": "the gate in them: both ways, without the calls' own checks",
         "gate_remap": "forwarded and forgotten: gate and remap, over raw",
         "forward_uncounted": "forwarded without statistics, over raw",
         "raw_submit_bio_wait": "raw by `submit_bio_wait()`",
         "dm_submit_bio_wait": "dm-linear by `submit_bio_wait()`"}
CYCLES = {"target": "target: stop that waits, start that waits",
          "iogate": "iogate: stop and start in configfs, neither waits",
          "dm_linear": "dm-linear: suspend (noflush, nolockfs) and resume, which wait"}
SIZES = {"bio": "`struct bio`, for comparison",
         "iotarget_bio": "I/O in flight: a bio of the caller's own with its tracking",
         "clone": "I/O in flight: clone of a forwarded bio with its tracking, iogate's",
         "request": "I/O in flight: request",
         "target": "target: its structure and that of the open instance",
         "open-target": "target: all that an open one takes, on one processor"}
# What dm-linear is known to cost on a kernel, per bio: shows that we count as others do.
KNOWN_DM = {"6.12": (4597, 4640)}
TOLERANCE = 0.02
# The functions of the gate, and what RCU costs it.
GATE = re.compile(r"iotarget_gate_(enter|leave)|percpu_ref|__rcu_read_(un)?lock$")
TOP = 14                    # functions of a profile


# -- reading -----------------------------------------------------------------

class Symbols:
    """Which function an address is in."""

    def __init__(self, lines):
        pairs = sorted((int(a, 16), name) for _, a, name in lines)
        self.addresses = [a for a, _ in pairs]
        self.names = [name for _, name in pairs]

    def __call__(self, address):
        at = bisect_right(self.addresses, address)
        return self.names[at - 1] if at else "?"


def segments(profile):
    """[(instructions, locked, {address: (instructions, locked)})] of the plugin's file."""
    found = []
    with open(profile or os.devnull) as lines:
        for line in lines:
            words = line.split()
            if words[0] == "segment":
                found.append((int(words[1]), int(words[2]), {}))
            else:
                # (there may be several blocks that begin at an address)
                blocks, at = found[-1][2], int(words[0], 16)
                before = blocks.get(at, (0, 0))
                blocks[at] = (before[0] + int(words[1]), before[1] + int(words[2]))
    return found


def digest(lines, profile):
    """What the guest printed and the plugin wrote, per I/O."""
    words = [line.split() for line in lines]
    rounds = segments(profile)
    symbols = Symbols([w for w in words if w[0] == "symbol"])
    out = {"sets": {}, "cycles": {}, "sizes": {}, "parallel": {}, "throughput": {}}
    for w in words:
        if w[0] == "result":
            counts = [int(n) for n in w[4:]]
            mine, rounds = rounds[:len(counts)], rounds[len(counts):]
            if len(mine) != len(counts):
                raise Failure(f"the plugin has no profile of {' '.join(w[:4])}")
            out["sets"].setdefault(w[1], {}).setdefault(w[3], {})[w[2]] = one(counts, mine, symbols)
        elif w[0] == "parallel":
            many = ROUNDS * int(w[1])
            mine, rounds = rounds[:many], rounds[many:]
            if len(mine) != many:
                raise Failure(f"the plugin has no profile of {' '.join(w)}")
            out["parallel"].setdefault(w[1], {})[w[2]] = {
                "instructions": median_low([r[0] for r in mine]) / IOS,
                "locked": median_low([r[1] for r in mine]) / IOS}
        elif w[0] == "throughput":
            out["throughput"].setdefault(w[1], {})[w[2]] = [int(n) for n in w[3:]]
        elif w[0] == "cycle":
            out["cycles"][w[1]] = median_low([int(n) for n in w[2:]])
        elif w[0] == "sizes":
            out["sizes"].update(zip(w[1::2], map(int, w[2::2])))
    return out


def one(counts, rounds, symbols):
    """A measurement: the median round by the clock, and by the plugin."""
    _, locked, blocks = sorted(rounds, key=lambda r: r[0])[(len(rounds) - 1) // 2]
    functions, locks = Counter(), Counter()
    for address, (instructions, with_lock) in blocks.items():
        name = symbols(address)
        functions["the loop" if name.startswith("rounds_") else name] += instructions
        locks[symbols(address)] += with_lock
    return {"instructions": median_low(counts) / IOS, "spread": (max(counts) - min(counts)) / IOS,
            "locked": locked / IOS,
            "functions": {name: n / IOS for name, n in functions.items()},
            "locks": {name: n / IOS for name, n in locks.items() if n}}


# -- judging -----------------------------------------------------------------

def ratio(way, raw, dm):
    return round((way - raw) / (dm - raw), 3)


def workloads(result):
    """The rows of bench.json: {workload: {raw, remap, ..., ratio, locked_*}}."""
    found = {}
    for load in LOADS:
        ways = next(loads[load] for loads in result["sets"].values() if load in loads)
        row = {way: round(m["instructions"], 1) for way, m in ways.items()}
        for name, way in (("ratio", "iogate"), ("ratio_hold", "iogate_hold")):
            row[name] = ratio(row[way], row["raw"], row["dm_linear"])
        row.update({f"locked_{way}": round(m["locked"], 2) for way, m in ways.items()})
        interrupts = result["sets"].get("interrupt", {}).get(load, {})
        row.update({f"locked_{way}_interrupt": round(m["locked"], 2)
                    for way, m in interrupts.items()})
        found[load] = row
    return found


def parts(result):
    row = {name: m["instructions"] for name, m in result["sets"]["parts"]["read4k"].items()}
    raw = result["sets"]["inline"]["read4k"]["raw"]["instructions"]
    row["gate"] -= row["nothing"]
    row["gate_itself"] = sum(n for name, n in result["sets"]["parts"]["read4k"]["gate"]
                             ["functions"].items() if GATE.match(name))
    for name in ("gate_remap", "forward_uncounted"):
        row[name] -= raw
    return row


def throughput(result):
    """{processors: {way: of what null_blk alone does in the same round, the median}}."""
    return {n: {way: round(median([mine / raw for mine, raw in zip(rates, ways["raw"])]), 3)
                for way, rates in ways.items() if way != "raw"} |
            {"raw_per_second": round(median(ways["raw"]))}
            for n, ways in result["throughput"].items()}


def known(version, result):
    """Is dm-linear what it is known to be? (known, measured, agrees) or None."""
    for start, (low, high) in KNOWN_DM.items():
        if version.startswith(start + "."):
            reads = result["sets"]["inline"]["read4k"]
            measured = [reads["dm_linear"]["instructions"],
                        result["sets"]["parts"]["read4k"]["dm_submit_bio_wait"]["instructions"]]
            return (low, high), measured, all(low * (1 - TOLERANCE) <= m <= high * (1 + TOLERANCE)
                                              for m in measured)
    return None


def added(result, load, way):
    """Which functions a layer has more of than raw, largest first."""
    ways = next(loads[load] for loads in result["sets"].values() if load in loads)
    more = Counter(ways[way]["functions"])
    more.subtract(ways["raw"]["functions"])
    return [(name, n) for name, n in more.most_common() if n >= 1]


# -- writing -----------------------------------------------------------------

def table(head, rows):
    lines = ["| " + " | ".join(head) + " |",
             "| " + " | ".join(["---"] + ["---:"] * (len(head) - 1)) + " |"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def number(n):
    return f"{n:,.0f}"


def per_io(rows):
    lines = ["Instructions per I/O:", ""]
    lines += table(["", *WAYS.values(), "iogate / dm-linear",
                    "iogate that holds / dm-linear"],
                   [[LOADS[load], *(number(row[w]) if w in row else "" for w in WAYS),
                     f"{row['ratio']:.2f}", f"{row['ratio_hold']:.2f}"]
                    for load, row in rows.items()])
    lines += ["What each layer adds to raw:", ""]
    lines += table(["", *(WAYS[w] for w in LAYERS)],
                   [[LOADS[load], *(number(row[w] - row["raw"]) if w in row else ""
                                    for w in LAYERS)] for load, row in rows.items()])
    lines += ["Locked instructions per I/O; \"interrupt\": completed from a timer's interrupt:", ""]
    lines += table(["", *WAYS.values()],
                   [[LOADS[load] + (", interrupt" if end else ""),
                     *(f"{row[f'locked_{w}{end}']:.2f}" if f"locked_{w}{end}" in row else ""
                       for w in WAYS)]
                    for load, row in rows.items() for end in ("", "_interrupt")
                    if f"locked_raw{end}" in row])
    return lines


def of_targets(result):
    many = {name: loads["read4k"] for name, loads in result["sets"].items()
            if name.startswith("targets-")}
    lines = ["With so many targets open, read 4 KiB:", ""]
    lines += table(["targets", "iogate", "target, own bio"],
                   [[name.split("-")[1], *(number(ways[w]["instructions"])
                                           for w in ("iogate", "target_own_bio"))]
                    for name, ways in many.items()])
    lines += ["Parts, read 4 KiB:", ""]
    lines += table(["", "instructions"], [[about, number(parts(result)[name])]
                                          for name, about in PARTS.items()])
    lines += ["Stopping and starting, idle and with 32 reads that take 1 ms at the device, in "
              "microseconds of the guest's time, in which an instruction is a nanosecond and idle "
              "time passes as timers say:", ""]
    lines += table(["", "idle", "busy"],
                   [[about, *(number(result["cycles"][f"{name}-{busy}"] / 1000)
                              for busy in (0, 32))] for name, about in CYCLES.items()])
    return lines


def of_processors(result):
    """Several at once; in other boots, whose clock is the host's."""
    ways = [way for way in WAYS if way in ("iogate", "dm_linear", "target_own_bio")]
    lines = ["Throughput of reads of 4 KiB, each processor one at a time, as a share of what "
             "null_blk alone does just before or after (not judged):", ""]
    lines += table(["processors", "null_blk, I/Os per second", *(WAYS[way] for way in ways)],
                   [[n, number(row["raw_per_second"]), *(f"{row[way]:.2f}" for way in ways)]
                    for n, row in throughput(result).items()])
    lines += ["Locked instructions per I/O, the same reads:", ""]
    lines += table(["processors", *(WAYS[way] for way in ("raw", *ways))],
                   [[n, *(f"{row[way]['locked']:.2f}" for way in ("raw", *ways))]
                    for n, row in result["parallel"].items()])
    return lines


def of_memory(result):
    return ["Bytes:", ""] + table(["", "bytes"], [[about, number(result["sizes"][name])]
                                                  for name, about in SIZES.items()])


def of_functions(result):
    lines = []
    for way in ("iogate", "iogate_hold", "dm_linear", "target_own_bio"):
        more = added(result, "read4k", way)
        lines += [f"What {WAYS[way]} adds to a read of 4 KiB, by function:", ""]
        lines += table(["function", "instructions"],
                       [[f"`{name}`", number(n)] for name, n in more[:TOP]] +
                       [["others", number(sum(n for _, n in more[TOP:]))]])
    return lines


def markdown(version, result):
    lines = [f"# {version}", ""] + per_io(workloads(result)) + of_targets(result)
    lines += of_processors(result) + of_memory(result) + of_functions(result)
    check = known(version, result)
    if check:
        (low, high), measured, agrees = check
        lines += [f"dm-linear is known to cost {low:,} to {high:,} per bio; here "
                  f"{' and '.join(number(m) for m in measured)}: "
                  f"{'as known' if agrees else 'NOT as known'}.", ""]
    return lines


def svg(results):
    """Bars: what each layer adds to raw, one group for each workload."""
    colours = {"remap": "#999", "iogate": "#2a7", "dm_linear": "#c63", "target_own_bio": "#38c"}
    bar, gap, left, height, top = 22, 26, 70, 260, 40
    bars = [(version, load, way, row[way] - row["raw"]) for version, result in results.items()
            for load, row in workloads(result).items() for way in colours if way in row]
    most = max(n for *_, n in bars)
    shapes, x, before = [], left, None
    for version, load, way, n in bars:
        if (version, load) != before:
            x += gap if before else 0
            shapes += [f'<text x="{x}" y="{top + height + 16}">{load}</text>',
                       f'<text x="{x}" y="{top + height + 30}" fill="#777">'
                       f'{version.split("-")[0].split("+")[0]}</text>']
            before = (version, load)
        size = max(n, 0) / most * height
        shapes += [f'<rect x="{x}" y="{top + height - size:.0f}" width="{bar - 3}" '
                   f'height="{size:.0f}" fill="{colours[way]}"/>',
                   f'<text x="{x}" y="{top + height - size - 3:.0f}" font-size="8">'
                   f'{n:.0f}</text>']
        x += bar
    for place, (way, colour) in enumerate(colours.items()):
        shapes += [f'<rect x="{left + place * 130}" y="8" width="10" height="10" '
                   f'fill="{colour}"/>',
                   f'<text x="{left + place * 130 + 14}" y="17">{WAYS[way]}</text>']
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{x + 20}" '
            f'height="{top + height + 40}" font-family="sans-serif" font-size="11">\n'
            f'<rect width="100%" height="100%" fill="#fff"/>\n'
            f'<text x="14" y="{top + height}" transform="rotate(-90 14 {top + height})">'
            f'instructions per I/O more than null_blk alone</text>\n'
            + "\n".join(shapes) + "\n</svg>\n")


def write(results):
    """{kernel version: digest()} into build/; what is most wanted onto the screen."""
    lines = []
    for version, result in results.items():
        lines += markdown(version, result)
    (BUILD / "bench.md").write_text("\n".join(lines))
    (BUILD / "bench.svg").write_text(svg(results))
    (BUILD / "bench.json").write_text(json.dumps(
        {version: {**workloads(result), "throughput": throughput(result),
                   "parallel": result["parallel"]} for version, result in results.items()},
        indent=1) + "\n")
    (BUILD / "bench-details.json").write_text(json.dumps(results, indent=1) + "\n")
    for version, result in results.items():
        print(f"\n{version}\n\n" + "\n".join(per_io(workloads(result))[:len(LOADS) + 5]))
    print("\nbuild/bench.md, build/bench.svg, build/bench.json, build/bench-details.json")
    return all(check[2] for check in map(known, results, results.values()) if check)
