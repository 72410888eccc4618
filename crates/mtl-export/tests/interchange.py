"""A trained model in PyTorch (from safetensors) and in ONNX Runtime, against `mtl predict`.

    mtl export DIR --format safetensors --out w.safetensors
    mtl export DIR --format onnx --out m.onnx
    mtl predict DIR --data rows.csv --out p.csv
    python interchange.py rows.csv p.csv m.onnx [w.safetensors]

Checks the ONNX file, encodes the rows by the vocabulary beside it, and prints the largest
difference of each output; exits with 1 if one exceeds 1e-6. With weights, the model is an MMoE of
tutorial form over categorical features and numbers that are standardised logarithms, and x is taken
from the ONNX graph. Needs onnx, onnxruntime, numpy, and torch with safetensors for the weights.
"""

import csv
import json
import sys

import numpy
import onnx
import onnxruntime


def encode(vocabulary, rows):
    """The inputs of the graph for rows of texts; an empty text is a missing value."""
    inputs = {}
    for name, feature in vocabulary["inputs"].items():
        cells = [row[feature["column"]] for row in rows]
        if feature["kind"] == "number":
            numbers = [float(cell) if cell else numpy.nan for cell in cells]
            inputs[name] = numpy.array(numbers, numpy.float32)
        elif feature["kind"] == "vocabulary":
            first = vocabulary["first_known"]
            ids = {str(value): first + i for i, value in enumerate(feature["values"])}
            ids[""] = vocabulary["missing"]
            unseen = vocabulary["unseen"]
            inputs[name] = numpy.array([ids.get(cell, unseen) for cell in cells], numpy.int64)
        else:
            raise SystemExit(f"{name}: this script has no xxh3")
    return inputs


def report(what, found, expected):
    """The largest difference, printed."""
    difference = max(abs(a - b) for a, b in zip(found, expected, strict=True))
    print(f"{what}: {len(expected)} rows, largest difference {difference:.2e}")
    return difference


def in_torch(path, x, names):
    """An MMoE from its weights alone; see docs/interchange.md."""
    import torch
    from safetensors.torch import load_file

    w = load_file(path)

    def mlp(path, x):
        layer = 0
        while f"{path}.{layer}.weight" in w:
            x = x if layer == 0 else torch.relu(x)
            x = x @ w[f"{path}.{layer}.weight"]
            if f"{path}.{layer}.bias" in w:
                x = x + w[f"{path}.{layer}.bias"]
            layer += 1
        return x

    n_experts = 1 + max(int(name.split(".")[1]) for name in w if name.startswith("expert."))
    x = torch.from_numpy(x)
    experts = torch.stack([mlp(f"expert.{k}", x) for k in range(n_experts)], 1)
    outputs = {}
    for name in names:
        task = name.removeprefix("p_")
        gate = torch.softmax(mlp(f"task.{task}.gate", x), -1)
        mixed = (gate.unsqueeze(-1) * experts).sum(1)
        outputs[name] = torch.sigmoid(mlp(f"task.{task}.tower", mixed))[:, 0].numpy()
    return outputs


def main():
    rows_path, predicted_path, onnx_path = sys.argv[1:4]
    with open(rows_path, newline="") as file:
        rows = list(csv.DictReader(file))
    with open(predicted_path, newline="") as file:
        predicted = list(csv.DictReader(file))
    expected = {name: [float(row[name]) for row in predicted] for name in predicted[0]}
    model = onnx.load(onnx_path)
    onnx.checker.check_model(model, full_check=True)
    with open(onnx_path.removesuffix(".onnx") + ".vocabulary.json") as file:
        vocabulary = json.load(file)
    inputs = encode(vocabulary, rows)
    session = onnxruntime.InferenceSession(onnx_path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, inputs), strict=True))
    worst = max(report(f"onnxruntime {n}", outputs[n], expected[n]) for n in names)
    if len(sys.argv) > 4:
        # x is the first thing that the experts read.
        first = next(n for n in model.graph.node if "expert.0.0.weight" in n.input)
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(first.input[0], onnx.TensorProto.FLOAT, None)
        )
        session = onnxruntime.InferenceSession(model.SerializeToString())
        (x,) = session.run([first.input[0]], inputs)
        outputs = in_torch(sys.argv[4], x, names)
        worst = max(worst, *(report(f"pytorch {n}", outputs[n], expected[n]) for n in names))
    sys.exit(worst > 1e-6)


if __name__ == "__main__":
    main()
