"""Our training step of workload W1 beside PyTorch's, in turn, on one thread.

    cargo build --release -p mtl-benches --bin w1
    venv/bin/python compare.py --ours ../../target/release/w1 --model mmoe

A machine's speed drifts by more than two programs differ, and its neighbours come and go; so short bursts
of each program alternate, and what is compared is the median over bursts of the burst's median, in
milliseconds of processor time a step (wall time stands beside it). `w1.py` says what the variants are
and which packages they need.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
MODELS = ["shared_bottom", "mmoe", "mmoe_16", "ple_2"]
VARIANTS = ["eager", "eager_sparse", "batched", "batched_cheap_dropout", "batched_sparse"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--ours", default=HERE / "../../target/release/w1", type=pathlib.Path)
    arguments.add_argument("--model", choices=MODELS, action="append")
    arguments.add_argument("--variant", action="append", help="of w1.py; also batched_compiled")
    arguments.add_argument("--bursts", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=12, help="timed steps of a burst")
    given = arguments.parse_args()
    for model in given.model or MODELS:
        table(model, alternate(model, given.variant or VARIANTS, given))


def alternate(model, variants, given):
    """Variant -> the bursts' lines; all variants once, then all again."""
    bursts = {"ours": [], **{variant: [] for variant in variants}}
    for _ in range(given.bursts):
        for variant, lines in bursts.items():
            if variant == "ours":
                command = [given.ours]
            else:
                command = [sys.executable, HERE / "w1.py", "--variant", variant]
            command += ["--model", model, "--steps", str(given.steps)]
            lines.append(burst(command))
    return bursts


def burst(command):
    environment = {**os.environ, "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def table(model, bursts):
    def middle(lines, key):
        return statistics.median(line[key]["median"] for line in lines)

    # Off Linux our binary does not say its processor time.
    has_cpu = all(line["cpu_ms_per_step"] for line in bursts["ours"])
    key = "cpu_ms_per_step" if has_cpu else "ms_per_step"
    ours = middle(bursts["ours"], key)
    print(f"{model}: one thread, {len(bursts['ours'])} bursts, ratios of {key}")
    print(f"{'variant':24}{'cpu ms':>9}{'wall ms':>9}{'best ms':>9}{'ratio':>8}")
    for variant, lines in bursts.items():
        cpu = f"{middle(lines, 'cpu_ms_per_step'):9.2f}" if has_cpu else f"{'-':>9}"
        best = min(line[key]["min"] for line in lines)
        wall, ratio = middle(lines, "ms_per_step"), middle(lines, key) / ours
        print(f"{variant:24}{cpu}{wall:9.2f}{best:9.2f}{ratio:8.2f}", flush=True)
    print()


if __name__ == "__main__":
    main()
