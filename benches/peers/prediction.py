"""Predictions of W1's MMoE beside PyTorch and ONNX Runtime, in short bursts in turn, on one thread.

    cargo build --release -p mtl-benches --bin prediction
    python -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
    venv/bin/python benches/peers/prediction.py --rounds 5

The peer is the model batched by hand (`Batched` of w1.py), which is the faster form of it. ONNX Runtime runs
its export. Prints microseconds (the median of each burst, then the median over rounds) and the ratio to ours.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy
import onnxruntime
import torch
import w1

CASES = {"one_row": 1, "200_rows": 200, "200_candidates": 200, "1024_rows": 1024}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--calls", type=int, default=100)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    model = w1.Batched(lambda drop: w1.BatchedMmoe(drop, 4), w1.no_drop, False).eval()
    session = exported(model)
    ids = w1.make_batches()[0][0]
    found = {}
    for _ in range(given.rounds):
        for case, us in ours(given.calls).items():
            found.setdefault((case, "ours"), []).append(us)
        for case, rows in CASES.items():
            batch = ids[:rows].contiguous()
            with torch.inference_mode():
                us = burst(lambda: model(batch), given.calls)
            found.setdefault((case, "pytorch"), []).append(us)
            array = {"ids": batch.numpy()}
            us = burst(lambda: session.run(None, array), given.calls)
            found.setdefault((case, "onnxruntime"), []).append(us)
    for case in CASES:
        mine = statistics.median(found[case, "ours"])
        row = {"case": case, "ours_us": round(mine, 1)}
        for peer in ("pytorch", "onnxruntime"):
            us = statistics.median(found[case, peer])
            row |= {f"{peer}_us": round(us, 1), f"{peer}_ratio": round(us / mine, 2)}
        print(json.dumps(row), flush=True)


def burst(call, calls):
    times = []
    for _ in range(calls + calls // 4):
        start = time.perf_counter()
        call()
        times.append(1e6 * (time.perf_counter() - start))
    return statistics.median(times[calls // 4 :])


def ours(calls):
    program = pathlib.Path(__file__).parents[2] / "target/release/prediction"
    environment = os.environ | {"RAYON_NUM_THREADS": "1"}
    command = [program, "--calls", str(calls)]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in output.stdout.splitlines()]
    return {line["case"]: line["us"]["median"] for line in lines}


def exported(model):
    """The model as ONNX Runtime runs it; its first answer is checked against PyTorch's."""
    ids = torch.zeros((2, len(w1.CARDINALITIES)), dtype=torch.int64)
    path = pathlib.Path(tempfile.mkdtemp()) / "w1.onnx"
    axes = {"ids": {0: "rows"}}
    torch.onnx.export(
        model, (ids,), str(path), input_names=["ids"], dynamic_axes=axes, dynamo=False, opset_version=17
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = model(ids).numpy()
    numpy.testing.assert_allclose(session.run(None, {"ids": ids.numpy()})[0], expected, atol=1e-5)
    return session


if __name__ == "__main__":
    main()
