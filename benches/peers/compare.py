"""Our training step of workload W1 beside PyTorch's, TensorFlow's and JAX's, in one run.

    cargo build --release -p mtl-benches --bin w1
    python -m venv venv && venv/bin/pip install -r benches/peers/requirements.txt
    venv/bin/python benches/peers/compare.py --json results.json

First every contender computes the losses of the first steps from the same weights on the same batches, without
dropout; they must agree, or the run stops. Then dropout is on, and short bursts of each alternate: a machine's
speed drifts by more than two programs differ, and its neighbours come and go. What is compared is the median
over bursts of the burst's median step. On one thread that is milliseconds of processor time; with more it is
wall time, since threads that wait cost processor time too.

A library that is not installed is left out, with a word; so are bf16 rows where the processor has no
instructions for them.
"""

import argparse
import collections
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

from workload import MODELS

HERE = pathlib.Path(__file__).resolve().parent
# Name -> program, its variant.
PEERS = {
    "torch eager": ("torch_peer.py", "eager"),
    "torch batched": ("torch_peer.py", "batched"),
    "torch batched, cheap masks": ("torch_peer.py", "batched_cheap"),
    "torch batched, compiled": ("torch_peer.py", "batched_compiled"),
    "torch batched, SparseAdam": ("torch_peer.py", "batched_sparse"),
    "torch batched, bf16": ("torch_peer.py", "batched_bf16"),
    "tensorflow keras": ("tensorflow_peer.py", "keras"),
    "tensorflow batched": ("tensorflow_peer.py", "batched"),
    "tensorflow batched, XLA": ("tensorflow_peer.py", "batched_xla"),
    "jax batched": ("jax_peer.py", "batched"),
}
# Of the losses of 8 steps in f32, whose sums run in different orders.
TOLERANCE = 2e-4


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
    found = {"machine": machine(), "settings": vars(given) | {"ours": None, "json": None}, "rows": []}
    bf16 = has_bf16()
    if not bf16:
        print("This processor has no bf16 instructions: bf16 rows are left out.")
    for threads in given.threads or [1]:
        peers = start_peers(given.peer or list(PEERS), threads, bf16)
        for model in given.model or MODELS:
            rows = compare(model, peers, threads, bf16, given)
            found["rows"] += rows
            table(model, threads, rows)
            if given.json:
                given.json.write_text(json.dumps(found, indent=1, default=str) + "\n")
        for peer in peers.values():
            peer.stop()


def compare(model, peers, threads, bf16, given):
    """The rows of one table: ours first."""
    with tempfile.TemporaryDirectory() as folder:
        contenders = ours(model, threads, bf16, given, folder)
        expected = check(model, contenders, peers, threads, given, folder)
        for name, peer in list(peers.items()):
            answer = peer.ask({"model": model, "folder": folder, "dropout": 0.1})
            if "first_losses" in answer:
                contenders[name] = peer
            else:
                print(f"{model}: {name} is left out: {answer['failed']}")
    bursts = collections.defaultdict(list)
    lengths = {}
    for _ in range(given.bursts):
        for name, contender in contenders.items():
            steps = lengths.get(name, 3)
            bursts[name].append(contender.ask({"steps": steps}))
            took = bursts[name][-1]["ms_per_step"]["median"]
            lengths[name] = int(min(max(given.burst_ms / took, 3), 40))
    for name, contender in contenders.items():
        if name not in peers:
            contender.stop()
    # Off Linux our binary does not say its processor time.
    has_cpu = all(burst["cpu_ms_per_step"] for lines in bursts.values() for burst in lines)
    key = "cpu_ms_per_step" if threads == 1 and has_cpu else "ms_per_step"
    mine = middle(bursts["ours"], key)
    return [
        {
            "model": model,
            "contender": name,
            "threads": threads,
            "compared": key,
            "cpu_ms": middle(lines, "cpu_ms_per_step") if has_cpu else None,
            "wall_ms": middle(lines, "ms_per_step"),
            "best_ms": min(line[key]["min"] for line in lines),
            "ratio": round(middle(lines, key) / mine, 3),
            "losses_agree_within": expected.get(name),
        }
        for name, lines in bursts.items()
    ]


def middle(lines, key):
    return round(statistics.median(line[key]["median"] for line in lines), 3)


def table(model, threads, rows):
    print(f"{model}, threads: {threads}; ratios of {rows[0]['compared']}")
    print(f"{'':28}{'cpu ms':>10}{'wall ms':>10}{'best ms':>10}{'ratio':>8}{'losses within':>16}")
    for row in rows:
        cpu = "-" if row["cpu_ms"] is None else f"{row['cpu_ms']:.2f}"
        agree = row["losses_agree_within"]
        agree = "" if agree is None else f"{agree:.1e}"
        print(
            f"{row['contender']:28}{cpu:>10}{row['wall_ms']:10.2f}{row['best_ms']:10.2f}"
            f"{row['ratio']:8.2f}{agree:>16}",
            flush=True,
        )
    print()


# --- the same losses ----------------------------------------------------------------------------------


def check(model, contenders, peers, threads, given, folder):
    """Every contender's losses of the first steps beside ours; by name, the largest relative distance."""
    reference = {}
    for update in ("lazy", "dense"):
        extra = ["--dropout", "0", "--table-update", update]
        own = Ours(model, threads, given, extra + (["--write", folder] if update == "lazy" else []))
        reference[update] = own.about["first_losses"]
        own.stop()
    found = {}
    for name, peer in list(peers.items()):
        answer = peer.ask({"model": model, "folder": folder, "dropout": 0.0})
        if "first_losses" not in answer or "bf16" in name:
            continue
        # SparseAdam leaves rows alone that a batch does not touch; the others step every row.
        losses = reference["lazy" if "SparseAdam" in name else "dense"]
        pairs = list(zip(answer["first_losses"], losses))
        distance = max(abs(a - b) / abs(b) for a, b in pairs)
        if not distance < TOLERANCE:
            sys.exit(f"{model}: {name} computes other losses than ours (theirs, ours): {pairs}")
        found[name] = distance
    return found


# --- processes ----------------------------------------------------------------------------------------


class Process:
    """A contender: a line in, a line out."""

    def __init__(self, command, threads):
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        # Warnings of libraries; an answer says what failed.
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            list(map(str, command)),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def read(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.errors.seek(0)
        last = self.errors.read().strip().splitlines() or ["no message"]
        return {"failed": last[-1]}

    def ask(self, request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # `read` has the reason
        return self.read()

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Ours(Process):
    """Our binary in bursts: a request is a number of steps."""

    def __init__(self, model, threads, given, extra):
        command = [given.ours, "--model", model, "--bursts", "--batch", given.batch, *extra]
        if given.table_rows:
            command += ["--table-rows", given.table_rows]
        super().__init__(command, threads)
        self.about = self.read()
        if "failed" in self.about:
            sys.exit(f"{given.ours}: {self.about['failed']}")

    def ask(self, request):
        return super().ask(request["steps"])


def ours(model, threads, bf16, given, folder):
    contenders = {"ours": Ours(model, threads, given, [])}
    if bf16:
        contenders["ours, bf16"] = Ours(model, threads, given, ["--precision", "bf16"])
    return contenders


def start_peers(names, threads, bf16):
    peers = {}
    for name in names:
        program, variant = PEERS[name]
        library = program.removesuffix("_peer.py")
        if "bf16" in name and not bf16:
            continue
        if importlib.util.find_spec(library) is None:
            print(f"{name} is left out: {library} is not installed")
            continue
        command = [sys.executable, HERE / program, "--variant", variant, "--threads", threads]
        peers[name] = Process(command, threads)
    return peers


# --- the machine --------------------------------------------------------------------------------------


def cpu_info():
    try:
        return pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def has_bf16():
    flags = cpu_info().split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def machine():
    names = [line.split(":")[1].strip() for line in cpu_info().splitlines() if "model name" in line]
    versions = {"python": platform.python_version()}
    for library in ("torch", "tensorflow_cpu", "tensorflow", "keras", "jax", "numpy"):
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"processor": names[:1], "cores": os.cpu_count(), "versions": versions}


if __name__ == "__main__":
    main()
