"""Our training step of workload W1 beside PyTorch's, TensorFlow's and JAX's, in one run.

    cargo build --release -p mtl-benches --bin w1
    python -m venv venv && venv/bin/pip install -r benches/peers/requirements.txt
    venv/bin/python benches/peers/compare.py --json results.json

First every contender computes the losses of the first steps from the same weights on the same batches, without
dropout; they must agree, or the run stops. Then dropout is on, and short bursts of each alternate
(`processes.py`). What is compared is the median over bursts of the burst's median step. On one thread that is
milliseconds of processor time; with more it is wall time, since threads that wait cost processor time too.

A contender that cannot be measured is left out, and the run says why: a library that is not installed, a
compiler that is not there, no memory, no instructions for bf16.
"""

import argparse
import importlib.util
import json
import pathlib
import sys
import tempfile

from machine import has_bf16, machine
from processes import Ours, Process, alternate, best, compared, middle
from workload import MODELS

HERE = pathlib.Path(__file__).resolve().parent
# Name -> program, its variant.
PEERS = {
    "torch eager": ("torch_peer.py", "eager"),
    "torch eager, compiled": ("torch_peer.py", "eager_compiled"),
    "torch batched": ("torch_peer.py", "batched"),
    "torch batched, cheap masks": ("torch_peer.py", "batched_cheap"),
    "torch batched, compiled": ("torch_peer.py", "batched_compiled"),
    "torch batched, tuned": ("torch_peer.py", "batched_tuned"),
    "torch batched, SparseAdam": ("torch_peer.py", "batched_sparse"),
    "torch batched, bf16": ("torch_peer.py", "batched_bf16"),
    "torch batched, compiled, bf16": ("torch_peer.py", "batched_compiled_bf16"),
    "tensorflow keras": ("tensorflow_peer.py", "keras"),
    "tensorflow batched": ("tensorflow_peer.py", "batched"),
    "tensorflow batched, XLA": ("tensorflow_peer.py", "batched_xla"),
    "jax batched": ("jax_peer.py", "batched"),
}
# Only where it is asked for: it tries every kernel it knows for each product, which takes minutes a model.
SLOW = ["torch batched, tuned"]
# Of the losses of 8 steps: in f32, whose sums run in different orders, and with factors of 8 bits.
TOLERANCE, BF16_TOLERANCE = 2e-4, 2e-2


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--ours", default=HERE / "../../target/release/w1", type=pathlib.Path)
    arguments.add_argument("--model", choices=MODELS, action="append")
    arguments.add_argument("--peer", choices=list(PEERS), action="append")
    arguments.add_argument("--threads", type=int, action="append", help="1 by default; again for more")
    arguments.add_argument("--table-rows", type=int, help="ids of the two large columns")
    arguments.add_argument("--batch", type=int, default=1024)
    arguments.add_argument("--bursts", type=int, default=5)
    arguments.add_argument("--burst-ms", type=float, default=400, help="length of a burst")
    arguments.add_argument("--json", type=pathlib.Path, help="writes every figure there")
    given = arguments.parse_args()
    settings = vars(given) | {"ours": None, "json": None}
    found = {"machine": machine(), "settings": settings, "rows": [], "left_out": []}
    bf16 = has_bf16()
    for threads in given.threads or [1]:
        names = given.peer or [name for name in PEERS if name not in SLOW]
        peers = start_peers(names, threads, bf16, found["left_out"])
        for model in given.model or MODELS:
            rows = compare(model, peers, threads, bf16, given, found["left_out"])
            found["rows"] += rows
            table(model, threads, rows)
            if given.json:
                given.json.write_text(json.dumps(found, indent=1, default=str) + "\n")
        for peer in peers.values():
            peer.stop()


def compare(model, peers, threads, bf16, given, left_out):
    """The rows of one table: ours first."""
    with tempfile.TemporaryDirectory() as folder:
        expected = check(model, peers, threads, bf16, given, folder, left_out)
        contenders = ours(model, threads, bf16, given)
        mine, ready = list(contenders.values()), {}
        for name, peer in peers.items():
            if name not in expected:
                continue
            answer = peer.ask({"model": model, "folder": folder, "dropout": 0.1})
            if "first_losses" in answer:
                contenders[name], ready[name] = peer, answer["ready_s"]
            else:
                leave_out(left_out, name, answer["failed"], model)
    bursts = alternate(contenders, given.bursts, given.burst_ms)
    for process in mine:
        process.stop()
    # Off Linux our binary does not say its processor time.
    key = compared(bursts, threads)
    reference = middle(bursts["ours"], key)
    return [
        {
            "model": model,
            "contender": name,
            "threads": threads,
            "compared": key,
            "cpu_ms": middle(lines, "cpu_ms_per_step"),
            "wall_ms": middle(lines, "ms_per_step"),
            "best_ms": best(lines, key),
            "ratio": round(middle(lines, key) / reference, 3),
            "losses_agree_within": expected.get(name),
            "ready_s": ready.get(name),
        }
        for name, lines in bursts.items()
    ]


def table(model, threads, rows):
    print(f"{model}, threads: {threads}; ratios of {rows[0]['compared']}")
    print(f"{'':30}{'cpu ms':>10}{'wall ms':>10}{'best ms':>10}{'ratio':>8}{'losses within':>16}")
    for row in rows:
        cpu = "-" if row["cpu_ms"] is None else f"{row['cpu_ms']:.2f}"
        agree = row["losses_agree_within"]
        agree = "" if agree is None else f"{agree:.1e}"
        print(
            f"{row['contender']:30}{cpu:>10}{row['wall_ms']:10.2f}{row['best_ms']:10.2f}"
            f"{row['ratio']:8.2f}{agree:>16}",
            flush=True,
        )
    print()


def leave_out(left_out, name, reason, model=None):
    left_out.append({"contender": name, "model": model, "reason": reason})
    where = f"{model}: " if model else ""
    print(f"{where}{name} is left out: {reason}", flush=True)


# --- the same losses ----------------------------------------------------------------------------------


def check(model, peers, threads, bf16, given, folder, left_out):
    """Every contender's losses of the first steps beside ours; by name, the largest relative distance."""
    plain = ["--dropout", "0"]
    reference = {}
    for update in ("lazy", "dense"):
        write = ["--write", folder] if update == "lazy" else []
        reference[update] = first_losses(model, threads, given, [*plain, "--table-update", update, *write])
    found = {}
    if bf16:
        losses = first_losses(model, threads, given, [*plain, "--precision", "bf16"])
        found["ours, bf16"] = distance(model, "ours, bf16", losses, reference["lazy"])
    for name, peer in peers.items():
        answer = peer.ask({"model": model, "folder": folder, "dropout": 0.0})
        if "first_losses" not in answer:
            leave_out(left_out, name, answer["failed"], model)
            continue
        # SparseAdam leaves rows alone that a batch does not touch; the others step every row.
        losses = reference["lazy" if "SparseAdam" in name else "dense"]
        found[name] = distance(model, name, answer["first_losses"], losses)
    return found


def first_losses(model, threads, given, extra):
    own = Ours(given.ours, threads, options(model, given, extra))
    own.stop()
    return own.about["first_losses"]


def distance(model, name, theirs, reference):
    """How far losses lie apart, relative; the end of the run where that is too far."""
    pairs = list(zip(theirs, reference, strict=True))
    apart = max(abs(a - b) / abs(b) for a, b in pairs)
    if not apart < (BF16_TOLERANCE if "bf16" in name else TOLERANCE):
        sys.exit(f"{model}: {name} computes other losses than ours (theirs, ours): {pairs}")
    return apart


# --- contenders ---------------------------------------------------------------------------------------


def options(model, given, extra):
    rows = ["--table-rows", given.table_rows] if given.table_rows else []
    return ["--model", model, "--batch", given.batch, *rows, *extra]


def ours(model, threads, bf16, given):
    contenders = {"ours": Ours(given.ours, threads, options(model, given, []))}
    if bf16:
        extra = ["--precision", "bf16"]
        contenders["ours, bf16"] = Ours(given.ours, threads, options(model, given, extra))
    return contenders


def start_peers(names, threads, bf16, left_out):
    peers = {}
    if not bf16:
        leave_out(left_out, "ours, bf16", "this processor has no instructions for bf16")
    for name in names:
        program, variant = PEERS[name]
        library = program.removesuffix("_peer.py")
        if "bf16" in name and not bf16:
            leave_out(left_out, name, "this processor has no instructions for bf16")
            continue
        if importlib.util.find_spec(library) is None:
            leave_out(left_out, name, f"{library} is not installed")
            continue
        command = [sys.executable, HERE / program, "--variant", variant, "--threads", threads]
        peers[name] = Process(command, threads)
    return peers


if __name__ == "__main__":
    main()
