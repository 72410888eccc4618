"""How our training step grows: with the rows of tables, with experts, with the batch, with threads.

    cargo build --release -p mtl-benches --bin w1
    python benches/peers/scale.py --json scale.json

A series is one thing that grows, on each number of threads. Its sizes run as processes of their own, in short
bursts in turn (`processes.py`). `ratio` is the time over that of the first size. Where the step should be linear,
`us per unit` is the time over the size, which falls towards what one expert or one row of a batch costs, and
`line` how far the time lies from the straight line through all sizes; with the rows of tables it should not grow
at all. `memory` is the most that the process held at a time.
Needs nothing but Python and the binary.
"""

import argparse
import json
import pathlib
import statistics

from machine import machine
from processes import Ours, alternate, best, compared, middle

HERE = pathlib.Path(__file__).resolve().parent

EXPERTS = {2: "mmoe_2", 4: "mmoe", 8: "mmoe_8", 16: "mmoe_16", 32: "mmoe_32", 64: "mmoe_64"}
# The series in which the step should not grow.
CONSTANT = "tables"
# Series -> what grows, and the options of `w1` by its size.
SERIES = {
    "tables": (
        "rows of each of two tables, Shared-Bottom",
        {
            n: ["--model", "shared_bottom", "--table-rows", n]
            for n in (10_000, 100_000, 1_000_000, 10_000_000)
        },
    ),
    "experts": ("experts of MMoE", {n: ["--model", name] for n, name in EXPERTS.items()}),
    "batch": (
        "rows of a batch, MMoE of 4 experts",
        {n: ["--model", "mmoe", "--batch", n] for n in (256, 512, 1024, 2048, 4096)},
    ),
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--ours", default=HERE / "../../target/release/w1", type=pathlib.Path)
    arguments.add_argument("--series", choices=list(SERIES), action="append")
    arguments.add_argument("--most", type=int, help="leaves larger sizes out: tables of 10,000,000 rows take 4 GB")
    arguments.add_argument("--threads", type=int, action="append", help="1 and 2 by default")
    arguments.add_argument("--bursts", type=int, default=5)
    arguments.add_argument("--burst-ms", type=float, default=400, help="length of a burst")
    arguments.add_argument("--json", type=pathlib.Path, help="writes every figure there")
    given = arguments.parse_args()
    settings = vars(given) | {"ours": None, "json": None}
    found = {"machine": machine(), "settings": settings, "rows": []}
    for series in given.series or SERIES:
        for threads in given.threads or [1, 2]:
            rows = measure(series, threads, given)
            found["rows"] += rows
            table(series, threads, rows)
            if given.json:
                given.json.write_text(json.dumps(found, indent=1) + "\n")


def measure(series, threads, given):
    sizes = {n: o for n, o in SERIES[series][1].items() if given.most is None or n <= given.most}
    contenders = {n: Ours(given.ours, threads, options) for n, options in sizes.items()}
    bursts = alternate(contenders, given.bursts, given.burst_ms)
    memory = {n: contender.peak_mib() for n, contender in contenders.items()}
    for contender in contenders.values():
        contender.stop()
    key = compared(bursts, threads)
    ms = {n: middle(lines, key) for n, lines in bursts.items()}
    line = straight(ms)
    first = next(iter(ms))
    return [
        {
            "series": series,
            "threads": threads,
            "size": n,
            "compared": key,
            "ms": ms[n],
            "wall_ms": middle(lines, "ms_per_step"),
            "best_ms": best(lines, key),
            "ratio": round(ms[n] / ms[first], 3),
            "us_per_unit": None if series == CONSTANT else round(1e3 * ms[n] / n, 4),
            "off_the_line": None if series == CONSTANT else round(ms[n] / line(n) - 1, 3),
            "peak_mib": memory[n],
        }
        for n, lines in bursts.items()
    ]


def straight(ms):
    """The line through all sizes that is relatively nearest: weights are 1/ms²."""
    if len(ms) < 2:
        return lambda n: next(iter(ms.values()))
    weights = [1 / y**2 for y in ms.values()]
    mean_x, mean_y = (
        statistics.fmean(values, weights) for values in (list(ms), list(ms.values()))
    )
    over = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, ms.items()))
    slope = over / sum(w * (x - mean_x) ** 2 for w, x in zip(weights, ms))
    return lambda n: mean_y + slope * (n - mean_x)


def table(series, threads, rows):
    print(f"{SERIES[series][0]}; threads: {threads}; {rows[0]['compared']}")
    heads = ("size", "ms", "best ms", "ratio", "us per unit", "line", "memory MiB")
    print("".join(f"{head:>13}" for head in heads))
    for row in rows:
        told = [
            "-" if row[key] is None else format(row[key], form)
            for key, form in (("us_per_unit", ".3f"), ("off_the_line", ".1%"), ("peak_mib", "d"))
        ]
        print(
            f"{row['size']:13,}{row['ms']:13.2f}{row['best_ms']:13.2f}{row['ratio']:13.2f}"
            + "".join(f"{text:>13}" for text in told),
            flush=True,
        )
    print()


if __name__ == "__main__":
    main()
