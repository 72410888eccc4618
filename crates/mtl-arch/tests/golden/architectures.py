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

    def constant(self, path, columns, value, trained, rows=1):
        store = self.trained if trained else self.running
        if path not in store:
            full = torch.full((rows, columns), value, dtype=torch.float64)
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
        if self.case["architecture"] == "cross_stitch":
            return self.cross_stitch(self.inputs(batch))
        if self.case["architecture"] == "star":
            return self.star(self.inputs(batch), batch["categorical"][self.case["domain"]])
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

    def aitm(self, x):
        """q_t, and after the first task z_t from g_t(z_{t-1}) and q_t by attention to themselves."""
        outputs, before = {}, None
        for task in self.case["sequence"]:
            q = self.expert(f"task.{task}.bottom", x)
            if before is not None:
                given = self.relu(self.linear(f"task.{task}.transfer.0", before, q.shape[1]))
                q = self.attention(f"task.{task}.attention", [given, q])
            outputs[task] = before = q
        return outputs

    def attention(self, path, candidates):
        k = candidates[0].shape[1]
        w = {n: self.parameters.matrix(f"{path}.{n}.weight", k, k) for n in ("value", "key", "query")}
        scores = [((u @ w["key"]) * (u @ w["query"])).sum(dim=1) / k**0.5 for u in candidates]
        powers = [torch.exp(s) for s in scores]
        total = sum(powers)
        return sum((p / total).reshape(-1, 1) * (u @ w["value"]) for p, u in zip(powers, candidates))

    def cross_stitch(self, x):
        """Logits: the layers of bottom and tower in step, stitched after all but the logit's."""
        case, h = self.case, {task: x for task in self.tasks()}
        tower = case["tower_units"] + [1]
        for part, units in (("bottom", case["expert_units"]), ("tower", tower)):
            for i, width in enumerate(units):
                h = {t: self.linear(f"task.{t}.{part}.{i}", h[t], width) for t in self.tasks()}
                is_last = i + 1 == len(units)
                if part == "tower" and is_last:
                    return h
                if not is_last or case["preset"] == "paper" or part == "tower":
                    h = {t: self.relu(y) for t, y in h.items()}
                n = len(h)
                a = self.parameters.matrix(f"stitch.{part}.{i}", n, n)
                h = {
                    t: sum(a[i_t, i_s] * h[s] for i_s, s in enumerate(self.tasks()))
                    for i_t, t in enumerate(self.tasks())
                }

    def star(self, x, domains):
        """Logits. Each row has its own weights: those shared times those of its domain."""
        case = self.case
        last = "linear" if case["preset"] == "tutorial" else "relu"
        h = self.partitioned(x, domains)
        h = self.domain_stack("bottom", h, domains, case["expert_units"], last)
        table = self.parameters.matrix("domain.embedding.table", self.n_domains(), 8)
        auxiliary = torch.cat([x, table[torch.tensor(domains)]], dim=1)
        units = case["tower_units"] + [1]
        return {
            t: self.domain_stack(f"task.{t}.tower", h, domains, units, "linear")
            + self.stack(f"task.{t}.auxiliary", auxiliary, units, "linear")
            for t in self.tasks()
        }

    def n_domains(self):
        return next(f["rows"] for f in self.case["features"] if f["name"] == self.case["domain"])

    def domain_stack(self, path, x, domains, units, last):
        n = self.n_domains() - 1
        for i, width in enumerate(units):
            at, n_in = f"{path}.{i}", x.shape[1]
            weight = self.parameters.matrix(f"{at}.weight", n_in, width)
            bias = self.parameters.matrix(f"{at}.bias", 1, width)
            own = self.parameters.matrix(f"{at}.domain.weight", n * n_in, width)
            own_bias = self.parameters.matrix(f"{at}.domain.bias", n, width)
            rows = []
            for r, p in enumerate(domains):
                w, b = weight, bias
                if p > 0:
                    w = weight * own[(p - 1) * n_in : p * n_in]
                    b = bias + own_bias[p - 1 : p]
                rows.append(x[r : r + 1] @ w + b)
            x = torch.cat(rows, dim=0)
            if i + 1 < len(units) or last == "relu":
                x = self.relu(x)
        return x

    def partitioned(self, x, domains):
        """Statistics of the rows of the same domain; of all rows for the unseen domain 0."""
        n, d, settings = self.n_domains(), x.shape[1], BATCH_NORM[self.case["preset"]]
        gamma = self.parameters.matrix("normalise.gamma", 1, d)
        beta = self.parameters.matrix("normalise.beta", 1, d)
        own_gamma = self.parameters.matrix("normalise.domain.gamma", n - 1, d)
        own_beta = self.parameters.matrix("normalise.domain.beta", n - 1, d)
        means = self.parameters.constant("normalise.running_mean", d, 0.0, False, rows=n)
        variances = self.parameters.constant("normalise.running_var", d, 1.0, False, rows=n)
        seen = self.parameters.constant("normalise.seen", 1, 0.0, False, rows=n)
        moments = {}
        for p in range(n):
            if self.training:
                members = [r for r, q in enumerate(domains) if p in (0, q)]
                if members:
                    of_p = x[members]
                    mean = of_p.sum(dim=0) / len(members)
                    moments[p] = mean, ((of_p - mean) ** 2).sum(dim=0) / len(members)
            else:
                row = p if seen[p, 0] > 0 else 0
                moments[p] = means[row], variances[row]
        if self.training:
            kept = settings["momentum"]
            with torch.no_grad():
                for p, (mean, variance) in moments.items():
                    seen[p, 0] = 1.0
                    means[p] = kept * means[p] + (1.0 - kept) * mean
                    variances[p] = kept * variances[p] + (1.0 - kept) * variance
        rows = []
        for r, p in enumerate(domains):
            mean, variance = moments[p]
            normal = (x[r] - mean) / torch.sqrt(variance + settings["epsilon"])
            if p > 0:
                rows.append(gamma[0] * own_gamma[p - 1] * normal + beta[0] + own_beta[p - 1])
            else:
                rows.append(gamma[0] * normal + beta[0])
        return torch.stack(rows)

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
    for before, task in zip(case.get("sequence", []), case.get("sequence", [])[1:]):
        losses[task] = losses[task] + excess(logits[before], logits[task], task, batch)
    return losses


def excess(before, z, task, batch):
    """0.6 times the mean, over the rows that carry the label, of max(p_t - p_{t-1}, 0)."""
    numerator, denominator = 0.0, 0.0
    for i, label in enumerate(batch["labels"][task]):
        if label is not None:
            p, p_before = torch.sigmoid(z[i, 0]), torch.sigmoid(before[i, 0])
            assert (p - p_before).abs() > 1e-6, "on the kink"
            if p > p_before:
                numerator = numerator + batch["weights"][i] * (p - p_before)
            denominator += batch["weights"][i]
    return 0.6 * numerator / denominator


def total_loss(case, losses):
    return sum(case["task_weights"][task] * losses[task] for task in sorted(case["tasks"]))
