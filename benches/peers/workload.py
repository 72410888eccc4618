"""Workload W1 as our binary writes it: the initial weights and the batches, for any library.

Names of parameters are the paths of `mtl-arch`. A stack is a hidden layer of 128 columns and one of 64; the
experts, gates and towers of a model are stacks.
"""

import json
import pathlib
import struct

import numpy

DIM = 16
HIDDEN, LAST = 128, 64
TASK_EXPERTS, SHARED_EXPERTS = 4, 2
LEARNING_RATE, EPSILON = 1e-3, 1e-7
DROPOUT = 0.1
TASKS = ["buy", "click", "like"]
CHAINS = {"esmm": ["ctr", "cvr"], "esm2": ["y1", "y2", "y3", "y4"]}
MODELS = ["shared_bottom", "esmm", "esm2", "mmoe", "mmoe_16", "mmoe_64", "ple_2"]


def n_experts(model):
    """Of MMoE: `mmoe` has 4, `mmoe_16` 16."""
    return int(model.removeprefix("mmoe_")) if "_" in model else 4


class Workload:
    """What `w1 --write FOLDER` left in the folder."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.weights, _ = read_safetensors(folder / "weights.safetensors")
        batches, about = read_safetensors(folder / "batches.safetensors")
        self.label_names = about["label_names"].split(",")
        n = len(batches) // 2
        # Ids [B, columns], labels [labels, B].
        self.batches = [(batches[f"ids.{i}"], batches[f"labels.{i}"]) for i in range(n)]
        self.tables = []
        while (path := f"embedding.feature_{len(self.tables)}.table") in self.weights:
            self.tables.append(self.weights[path])
        self.n_in = DIM * len(self.tables)

    def cardinalities(self):
        return [len(table) for table in self.tables]

    def offsets(self):
        """Where each column's rows start in one table of all."""
        return numpy.concatenate([[0], numpy.cumsum(self.cardinalities())[:-1]])

    def layer(self, path):
        """W, in × out, and b; None where the layer has none."""
        return self.weights[f"{path}.weight"], self.weights.get(f"{path}.bias")


def read_safetensors(path):
    """Arrays by name, and the metadata: eight bytes of length, JSON, and the numbers as they are."""
    raw = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    about = header.pop("__metadata__", {})
    types = {"F32": numpy.float32, "I32": numpy.int32}
    arrays = {}
    for name, entry in header.items():
        start, end = (8 + length + at for at in entry["data_offsets"])
        values = numpy.frombuffer(raw[start:end], types[entry["dtype"]])
        arrays[name] = values.reshape(entry["shape"])
    return arrays, about


def stacks(model):
    """The paths of the stacks that read x in one wide product, in order."""
    if model in CHAINS:
        return [f"task.{tower}.tower" for tower in CHAINS[model]]
    if model == "shared_bottom":
        return ["bottom"]
    if model == "ple_2":
        return level_stacks(0)
    gates = [f"task.{task}.gate" for task in TASKS]
    return [f"expert.{k}" for k in range(n_experts(model))] + gates


def level_stacks(level):
    """Those of a level of PLE: each task's experts, the shared experts, the gates, the shared gate."""
    path = f"level.{level}"
    own = [f"{path}.task.{t}.expert.{j}" for t in TASKS for j in range(TASK_EXPERTS)]
    shared = [f"{path}.shared.expert.{k}" for k in range(SHARED_EXPERTS)]
    gates = [f"{path}.task.{t}.gate" for t in TASKS]
    return own + shared + gates + [f"{path}.shared.gate"] * (level == 0)


def wide(workload, paths):
    """First layers of several stacks over one input: W, in × stacks·128, and b."""
    layers = [workload.layer(f"{path}.0") for path in paths]
    return [numpy.concatenate(parts, axis=-1) for parts in zip(*layers)]


def per_stack(workload, paths, layer):
    """Later layers: W, stacks × in × out, and b, stacks × 1 × out, or None."""
    weights, biases = zip(*(workload.layer(f"{path}.{layer}") for path in paths))
    return numpy.stack(weights), None if biases[0] is None else numpy.stack(biases)[:, None]


def batched(workload, model):
    """The weights as `arrays.py` takes them: what reads one input side by side, all tables in one."""
    paths = stacks(model)
    layers = {"first": wide(workload, paths), "second": per_stack(workload, paths, 1)}
    if model in CHAINS:
        layers["logit"] = per_stack(workload, paths, 2)
    else:
        towers = [f"task.{task}.tower" for task in TASKS]
        layers |= {f"tower.{i}": per_stack(workload, towers, i) for i in range(3)}
    if model.startswith("mmoe"):
        layers["scores"] = per_stack(workload, paths[-len(TASKS) :], 2)
    if model == "ple_2":
        layers["scores"] = per_stack(workload, paths[-len(TASKS) - 1 : -1], 2)
        layers["shared_scores"] = per_stack(workload, paths[-1:], 2)
        last = level_stacks(1)
        # Stacks of the last level that read one input: a task's experts and its gate, or the shared.
        n = len(TASKS) * TASK_EXPERTS
        for t in range(len(TASKS)):
            own = last[t * TASK_EXPERTS : (t + 1) * TASK_EXPERTS]
            layers[f"last.first.{t}"] = wide(workload, own + [last[n + SHARED_EXPERTS + t]])
        layers["last.first.shared"] = wide(workload, last[n : n + SHARED_EXPERTS])
        layers["last.second"] = per_stack(workload, last, 1)
        layers["last.scores"] = per_stack(workload, last[-len(TASKS) :], 2)
    arrays = {"table": numpy.concatenate(workload.tables)}
    for name, (weight, bias) in layers.items():
        arrays[f"{name}.weight"] = weight
        if bias is not None:
            arrays[f"{name}.bias"] = bias
    return arrays
