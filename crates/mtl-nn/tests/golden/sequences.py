"""Writes sequences.json: pooled lists and DIN's target attention in PyTorch and float64.

    python -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6
    venv/bin/python sequences.py

Sum, mean and max are torch.nn.EmbeddingBag's own (offsets and ids, empty bags and ids that come
twice among them). Target attention is written plainly, list by list, after Zhou et al., KDD 2018:
a_j = MLP([h_j, t, h_j - t, h_j * t]), y = sum_j a_j h_j, and with a softmax over j. Gradients are
those of sum(coefficients * y).
"""

import json
import pathlib

import torch

HERE = pathlib.Path(__file__).resolve().parent
ROWS, DIM = 7, 3
LISTS = [[1, 2, 2, 5], [], [3], [6, 1], [0, 0, 0], [4, 3, 2, 1, 6], [5, 6]]
TARGETS = [2, 1, 3, 0, 6, 4, 5]
UNITS = [5, 4, 1]


def matrix(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * 0.7


def pooled(table, coefficients, mode):
    table = table.clone().requires_grad_()
    bag = torch.nn.EmbeddingBag.from_pretrained(table, freeze=False, mode=mode)
    offsets = torch.tensor([0] + [len(x) for x in LISTS[:-1]]).cumsum(0)
    y = bag(torch.tensor([i for x in LISTS for i in x]), offsets)
    (y * coefficients).sum().backward()
    return {"y": y.tolist(), "table_gradient": bag.weight.grad.tolist()}


def attended(table, layers, coefficients, activation, softmax):
    table = table.clone().requires_grad_()
    layers = [(w.clone().requires_grad_(), b.clone().requires_grad_()) for w, b in layers]
    rows = []
    for ids, target in zip(LISTS, TARGETS):
        y = torch.zeros(DIM, dtype=torch.float64)
        scores = []
        for i in ids:
            h, t = table[i], table[target]
            x = torch.cat([h, t, h - t, h * t])
            for depth, (w, b) in enumerate(layers):
                x = x @ w + b
                if depth + 1 < len(layers):
                    x = activation(x)
            scores.append(x[0])
        if scores:
            a = torch.stack(scores)
            a = torch.softmax(a, 0) if softmax else a
            y = (a[:, None] * table[torch.tensor(ids)]).sum(0)
        rows.append(y)
    y = torch.stack(rows)
    (y * coefficients).sum().backward()
    return {
        "y": y.tolist(),
        "table_gradient": table.grad.tolist(),
        "layer_gradients": [[w.grad.tolist(), b.grad.tolist()] for w, b in layers],
    }


def main():
    generator = torch.Generator().manual_seed(5)
    table = matrix(generator, ROWS, DIM)
    coefficients = matrix(generator, len(LISTS), DIM)
    widths = [4 * DIM] + UNITS
    layers = [
        (matrix(generator, n_in, n_out), matrix(generator, n_out))
        for n_in, n_out in zip(widths, UNITS)
    ]
    cases = {mode: pooled(table, coefficients, mode) for mode in ["sum", "mean", "max"]}
    for name, activation in [("relu", torch.relu), ("sigmoid", torch.sigmoid)]:
        for softmax in [False, True]:
            key = f"din_{name}{'_softmax' if softmax else ''}"
            cases[key] = attended(table, layers, coefficients, activation, softmax)
    golden = {
        "lists": LISTS,
        "targets": TARGETS,
        "table": table.tolist(),
        "coefficients": coefficients.tolist(),
        "layers": [[w.tolist(), b.tolist()] for w, b in layers],
        "cases": cases,
    }
    text = json.dumps(golden, separators=(",", ":"))
    (HERE / "sequences.json").write_text(text + "\n")


main()
