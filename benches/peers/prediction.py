"""Predictions of W1's MMoE beside PyTorch and ONNX Runtime, in short bursts in turn, on one thread.

    cargo build --release -p mtl-benches --bin prediction --bin w1
    python -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
    venv/bin/python benches/peers/prediction.py --rounds 5

The peer is the model batched by hand (`Batched` of w1.py), which is the faster form of it. ONNX Runtime runs
its export. All have the weights and the rows of our model; the logits of a first row must agree, or the run
stops. Prints microseconds (the median of each burst, then the median over rounds) and the ratio to ours.
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
import torch_peer
import w1
import workload

CASES = {"one_row": 1, "200_rows": 200, "200_candidates": 200, "1024_rows": 1024}
PROGRAMS = pathlib.Path(__file__).resolve().parents[2] / "target/release"
# Of logits around 0, whose sums run in different orders.
TOLERANCE = 1e-5


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--calls", type=int, default=100)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    data = our_model()
    model = torch_peer.batched(data, "mmoe", False, w1.no_drop).eval()
    session = exported(model)
    batches = {case: rows_of(data, case) for case in CASES}
    check(model, batches)
    found = {}
    for _ in range(given.rounds):
        for case, line in ours(given.calls).items():
            found.setdefault((case, "ours"), []).append(line["us"]["median"])
        for case, batch in batches.items():
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


def run(program, *options):
    """The lines of JSON that a program of ours prints."""
    environment = os.environ | {"RAYON_NUM_THREADS": "1"}
    command = [PROGRAMS / program, *map(str, options)]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in output.stdout.splitlines()]


def ours(calls):
    return {line["case"]: line for line in run("prediction", "--calls", calls)}


def our_model():
    """The weights and the rows of the model that `prediction` runs."""
    with tempfile.TemporaryDirectory() as folder:
        run("w1", "--model", "mmoe", "--steps", 1, "--write", folder)
        return workload.Workload(folder)


def rows_of(data, case):
    ids = torch.tensor(data.batches[0][0]).long()[: CASES[case]].contiguous()
    if case == "200_candidates":
        ids[:, ::2] = ids[0, ::2].clone()  # what is the user's
    return ids


def check(model, batches):
    for case, line in ours(1).items():
        with torch.inference_mode():
            theirs = model(batches[case])[:, 0].numpy()
        mine = numpy.array(line["logits_of_first_row"])
        numpy.testing.assert_allclose(theirs, mine, rtol=0, atol=TOLERANCE, err_msg=case)


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
