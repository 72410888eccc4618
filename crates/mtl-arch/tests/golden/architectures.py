"""The architectures of the golden cases, x -> logits, in plain float64 tensor algebra.

Nothing here comes from a layer library: a dense layer is `x @ W + b`, a softmax is exponentials over
their sum. A layer asks `Parameters` for its matrices by path; the first time they are made by the
formula of `initial_value`, so the forward pass is also the list of parameters.
"""

import math

import torch

PRESETS = ("tutorial", "paper")
BATCH_NORM = {
    "tutorial": {"epsilon": 1e-3, "momentum": 0.99},
    "paper": {"epsilon": 1e-5, "momentum": 0.9},
}


def path_hash(path):
    """h(P) = sum over the bytes b_i of the path, i from 0, of (i + 1) * b_i."""
    return sum((i + 1) * byte for i, byte in enumerate(path.encode("utf-8")))


def initial_value(path, row, column):
    """Element (row, column), both from 0. The additions go from left to right."""
    return 0.6 * math.sin(12.9898 * (row + 1) + 78.233 * (column + 1) + float(path_hash(path)))


class Parameters:
    """Matrices by path. `trained` ones get gradients, `running` ones are batch-norm statistics."""

    def __init__(self):
        self.trained = {}
        self.running = {}

    def matrix(self, path, rows, columns):
        if path not in self.trained:
            values = [[initial_value(path, r, c) for c in range(columns)] for r in range(rows)]
            self.trained[path] = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        assert tuple(self.trained[path].shape) == (rows, columns), path
        return self.trained[path]

    def constant(self, path, columns, value, trained):
        store = self.trained if trained else self.running
        if path not in store:
            full = torch.full((1, columns), value, dtype=torch.float64)
            store[path] = full.requires_grad_(trained)
        return store[path]


class Network:
    """One case: its configuration, its parameters and the forward pass."""

    def __init__(self, case):
        self.case = case
        self.parameters = Parameters()
        self.training = True
        # The smallest |input| of any ReLU: golden values must not sit on a kink.
        self.nearest_kink = math.inf

    # --- layers ---------------------------------------------------------------------------------

    def linear(self, path, x, width, bias=True):
        y = x @ self.parameters.matrix(f"{path}.weight", x.shape[1], width)
        return y + self.parameters.matrix(f"{path}.bias", 1, width) if bias else y

    def relu(self, y):
        self.nearest_kink = min(self.nearest_kink, y.detach().abs().min().item())
        return torch.where(y > 0, y, torch.zeros_like(y))

    def batch_norm(self, path, y):
        width = y.shape[1]
        settings = self.case["batch_norm"]
        gamma = self.parameters.constant(f"{path}.gamma", width, 1.0, trained=True)
        beta = self.parameters.constant(f"{path}.beta", width, 0.0, trained=True)
        mean = self.parameters.constant(f"{path}.running_mean", width, 0.0, trained=False)
        variance = self.parameters.constant(f"{path}.running_var", width, 1.0, trained=False)
        if self.training:
            batch_mean = y.sum(dim=0, keepdim=True) / y.shape[0]
            batch_variance = ((y - batch_mean) ** 2).sum(dim=0, keepdim=True) / y.shape[0]
            kept = settings["momentum"]
            with torch.no_grad():
                mean.copy_(kept * mean + (1.0 - kept) * batch_mean)
                variance.copy_(kept * variance + (1.0 - kept) * batch_variance)
            mean, variance = batch_mean, batch_variance
        return gamma * (y - mean) / torch.sqrt(variance + settings["epsilon"]) + beta

    def stack(self, path, x, units, last):
        """MLP[units]; `last` is the activation of the last layer, "relu" or "linear"."""
        for i, width in enumerate(units):
            x = self.linear(f"{path}.{i}", x, width)
            if i + 1 < len(units):
                if self.case["batch_norm"] is not None:
                    x = self.batch_norm(f"{path}.{i}.norm", x)
                x = self.relu(x)
            elif last == "relu":
                x = self.relu(x)
        return x

    def expert(self, path, x):
        """An expert, or the shared bottom: the presets treat them alike."""
        last = "linear" if self.case["preset"] == "tutorial" else "relu"
        return self.stack(path, x, self.case["expert_units"], last)

    def gate(self, path, x, n_experts):
        """Probabilities over the experts, [B, n_experts]."""
        if self.case["preset"] == "tutorial":
            units = self.case["gate_units"]
            hidden = self.stack(path, x, units, "linear")
            scores = self.linear(f"{path}.{len(units)}", hidden, n_experts, bias=False)
        else:
            scores = self.linear(f"{path}.0", x, n_experts)
        # The shift changes no value and no gradient; it only keeps exp in range.
        powers = torch.exp(scores - scores.detach().max(dim=1, keepdim=True).values)
        return powers / powers.sum(dim=1, keepdim=True)

    def tower(self, task, h):
        return self.stack(f"task.{task}.tower", h, self.case["tower_units"] + [1], "linear")

    # --- inputs ---------------------------------------------------------------------------------

    def inputs(self, batch, prefix=""):
        """x [B, D]: the features side by side in the order of their names."""
        columns = []
        for feature in self.case["features"]:
            name = feature["name"]
            if feature["kind"] == "categorical":
                path = f"{prefix}embedding.{name}.table"
                table = self.parameters.matrix(path, feature["rows"], feature["dim"])
                columns.append(table[torch.tensor(batch["categorical"][name])])
            else:
                column = torch.tensor(batch["numeric"][name], dtype=torch.float64)
                columns.append(column.reshape(-1, 1))
        return torch.cat(columns, dim=1)

    def logits(self, batch):
        """Logits by task name, each [B, 1]."""
        if self.case["architecture"] == "single_task":
            return {t: self.single_task(t, batch) for t in self.tasks()}
        return self.from_x(self.inputs(batch))

    def from_x(self, x):
        outputs = getattr(self, self.case["architecture"])(x)
        return {task: self.tower(task, h) for task, h in outputs.items()}

    def tasks(self):
        return sorted(self.case["tasks"])

    # --- architectures: x -> what each task's tower reads ---------------------------------------

    def single_task(self, task, batch):
        x = self.inputs(batch, prefix=f"task.{task}.")
        return self.tower(task, self.expert(f"task.{task}.bottom", x))

    def shared_bottom(self, x):
        h = self.expert("bottom", x)
        return {task: h for task in self.tasks()}

    def omoe(self, x):
        experts = [self.expert(f"expert.{k}", x) for k in range(self.case["experts"])]
        h = mix(self.gate("gate", x, len(experts)), experts)
        return {task: h for task in self.tasks()}

    def mmoe(self, x):
        experts = [self.expert(f"expert.{k}", x) for k in range(self.case["experts"])]
        return {
            task: mix(self.gate(f"task.{task}.gate", x, len(experts)), experts)
            for task in self.tasks()
        }

    def cgc(self, x):
        return self.ple(x)

    def ple(self, x):
        """Every level is a CGC; CGC is the case of one level."""
        task_inputs = {task: x for task in self.tasks()}
        shared_input = x
        last_level = len(self.case["levels"]) - 1
        for level in range(last_level + 1):
            own, shared = self.level_experts(level, task_inputs, shared_input)
            outputs = {}
            for task in self.tasks():
                mixed = self.gate_order(own[task], shared)
                gate = self.gate(f"level.{level}.task.{task}.gate", task_inputs[task], len(mixed))
                outputs[task] = mix(gate, mixed)
            if level < last_level:
                every_task = [expert for task in self.tasks() for expert in own[task]]
                mixed = self.gate_order(every_task, shared)
                gate = self.gate(f"level.{level}.shared.gate", shared_input, len(mixed))
                shared_input = mix(gate, mixed)
            task_inputs = outputs
        return task_inputs

    def level_experts(self, level, task_inputs, shared_input):
        counts = self.case["levels"][level]
        prefix = f"level.{level}"
        own = {
            task: [
                self.expert(f"{prefix}.task.{task}.expert.{j}", task_inputs[task])
                for j in range(counts["task_experts"][task])
            ]
            for task in self.tasks()
        }
        shared = [
            self.expert(f"{prefix}.shared.expert.{k}", shared_input)
            for k in range(counts["shared_experts"])
        ]
        return own, shared

    def gate_order(self, of_tasks, shared):
        return of_tasks + shared if self.case["preset"] == "tutorial" else shared + of_tasks


def mix(gate, experts):
    """sum_k g_k e_k, row by row."""
    h = gate[:, 0:1] * experts[0]
    for k in range(1, len(experts)):
        h = h + gate[:, k : k + 1] * experts[k]
    return h


def task_losses(case, logits, batch):
    """By task: sum w_i BCE_i / sum w_i over the rows that carry the task's label."""
    losses = {}
    for task in sorted(case["tasks"]):
        numerator, denominator = 0.0, 0.0
        for i, label in enumerate(batch["labels"][task]):
            if label is not None:
                z = logits[task][i, 0]
                softplus = torch.logaddexp(z, torch.zeros_like(z))
                numerator = numerator + batch["weights"][i] * (softplus - label * z)
                denominator += batch["weights"][i]
        losses[task] = numerator / denominator
    return losses


def total_loss(case, losses):
    return sum(case["task_weights"][task] * losses[task] for task in sorted(case["tasks"]))
