"""The first three updates of a small MMoE under every loss weighting, in float64 with PyTorch.

The model is written out here from its equations; each loss's gradient comes from automatic
differentiation of that loss alone, the weights from each method's formula on the matrix of
gradients (inner problems by enumeration of active sets or a root finder), and the update is plain
gradient descent: shared parameters by the sum of shared[t] g_t, those of one loss by own[t] g_t.

    pip install torch numpy scipy
    python generate.py > golden.json
"""

import itertools
import json
import sys

import numpy as np
import torch
from scipy.optimize import brentq, root

torch.set_default_dtype(torch.float64)

TASKS = ["buy", "click", "like"]
USER = {"buy": 2.0, "click": 1.0, "like": 0.5}
INITIAL = [1.3, 0.6, 0.4]
EXPERTS, EXPERT, GATE, TOWER = 2, [3, 2], [3, 2], [2]
TABLES = {"kind": (4, 2), "place": (5, 2)}
LR, STEPS, ROWS = 0.1, 3, 8

# What the methods that draw random numbers draw at seed 0 in steps 0, 1, 2: an input, not a result.
ORDERS = [[[1, 2], [0, 2], [0, 1]], [[1, 2], [0, 2], [1, 0]], [[2, 1], [2, 0], [1, 0]]]
NORMALS = [
    [-1.5355413474037047, 1.4404617263059913, -1.956916367593472],
    [-0.12520744042775794, 1.1344013200670837, 0.25072571426347146],
    [0.7440961078944025, 1.2752729070849669, -0.02032038434737827],
]


def initial_parameters(rng):
    parameters = {}

    def stack(path, n_in, widths, last_bias=True):
        for layer, n_out in enumerate(widths):
            parameters[f"{path}.{layer}.weight"] = rng.normal(size=(n_in, n_out)) * 0.8
            if last_bias or layer + 1 < len(widths):
                parameters[f"{path}.{layer}.bias"] = rng.normal(size=(1, n_out)) * 0.3
            n_in = n_out

    for name, shape in TABLES.items():
        parameters[f"embedding.{name}.table"] = rng.normal(size=shape)
    n_in = sum(dim for _, dim in TABLES.values())
    for k in range(EXPERTS):
        stack(f"expert.{k}", n_in, EXPERT)
    for task in TASKS:
        stack(f"task.{task}.gate", n_in, [*GATE, EXPERTS], last_bias=False)
        stack(f"task.{task}.tower", EXPERT[-1], [*TOWER, 1])
    return {path: np.round(value, 3) for path, value in parameters.items()}


def batch(rng):
    """Ids, and labels of which about a third is missing (null)."""
    labels = {
        "buy": np.round(rng.normal(size=ROWS) * 2.0, 2),
        "click": (rng.uniform(size=ROWS) < 0.5) * 1.0,
        "like": (rng.uniform(size=ROWS) < 0.3) * 1.0,
    }
    kept = {task: rng.uniform(size=ROWS) < 0.7 for task in TASKS}
    return {
        "ids": {name: rng.integers(0, n, ROWS).tolist() for name, (n, _) in TABLES.items()},
        "labels": {t: [float(y) if k else None for y, k in zip(labels[t], kept[t])] for t in TASKS},
    }


def forward(p, data):
    """Logits by task: embeddings, experts, softmax gates, towers; ReLU inside. The last layer of an
    expert and of a tower is linear; so is the last hidden layer of a gate, and its softmax layer."""

    def stack(path, x, n_linear=1):
        layers = sum(1 for name in p if name.startswith(f"{path}.") and name.endswith(".weight"))
        for layer in range(layers):
            x = x @ p[f"{path}.{layer}.weight"]
            if f"{path}.{layer}.bias" in p:
                x = x + p[f"{path}.{layer}.bias"]
            if layer + n_linear < layers:
                x = torch.relu(x)
        return x

    x = torch.cat([p[f"embedding.{name}.table"][data["ids"][name]] for name in TABLES], dim=1)
    experts = torch.stack([stack(f"expert.{k}", x) for k in range(EXPERTS)], dim=1)
    logits = {}
    for task in TASKS:
        gate = torch.softmax(stack(f"task.{task}.gate", x, n_linear=2), dim=1)
        logits[task] = stack(f"task.{task}.tower", (gate[:, :, None] * experts).sum(dim=1))[:, 0]
    return logits


def losses(p, data):
    """Mean over the rows with a label, times the user's weight: squared error, log loss, log loss."""
    logits, out = forward(p, data), []
    for task in TASKS:
        rows = [i for i, y in enumerate(data["labels"][task]) if y is not None]
        y = torch.tensor([data["labels"][task][i] for i in rows])
        z = logits[task][rows]
        if task == "buy":
            loss = ((z - y) ** 2).mean()
        else:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
        out.append(USER[task] * loss)
    return out


def is_owned(path, task):
    return path.startswith(f"task.{task}.")


def is_shared(path, shared):
    if path.startswith("task."):
        return False
    last = path.startswith("expert.") and path.endswith(f".{len(EXPERT) - 1}.weight")
    return {"last_layer": last, "dense": path.startswith("expert."), "all": True}[shared]


def run(config, method, start, batches, shared="last_layer"):
    """Three updates; `method` answers (shared weights, own weights)."""
    p = {path: torch.tensor(value, requires_grad=True) for path, value in start.items()}
    steps = []
    for step, data in enumerate(batches):
        each = losses(p, data)
        values = np.array([loss.item() for loss in each])
        gradients = [dict(zip(p, torch.autograd.grad(loss, list(p.values()), retain_graph=True, allow_unused=True))) for loss in each]
        paths = [path for path in p if is_shared(path, shared)]
        jacobian = np.stack([np.concatenate([g[path].flatten().numpy() for path in paths]) for g in gradients])
        weights, own = method.weigh(step, values, jacobian)
        with torch.no_grad():
            for path, value in p.items():
                for t, task in enumerate(TASKS):
                    if gradients[t][path] is not None:
                        factor = own[t] if is_owned(path, task) else weights[t]
                        value -= LR * factor * gradients[t][path]
        after = np.array([loss.item() for loss in losses(p, data)])
        method.after(values, after)
        steps.append({
            "losses": values.tolist(),
            "gram": (jacobian @ jacobian.T).flatten().tolist(),
            "shared": np.asarray(weights, dtype=float).tolist(),
            "own": np.asarray(own, dtype=float).tolist(),
        })
    end = {path: value.detach().numpy().tolist() for path, value in p.items()}
    return {"config": config, "shared": shared, "steps": steps, "end": end}


class Method:
    """A formula (step, losses, gradients) → weights; `own` says what parameters of one loss get."""

    def __init__(self, formula, own="same"):
        self.formula, self.own = formula, own

    def weigh(self, step, values, jacobian):
        w = np.asarray(self.formula(step, values, jacobian), dtype=float)
        return w, {"same": w, "one": np.ones(3), "inverse": 1 / values}[self.own]

    def after(self, before, now):
        pass


class Learned(Method):
    """Learned state: a leaf whose objective automatic differentiation turns into a step."""

    def __init__(self, start, answer, objective, project=None, lr=LR, looks_again=False):
        self.state = torch.tensor(start, requires_grad=True)
        self.answer, self.objective, self.project = answer, objective, project
        self.lr, self.looks_again, self.own = lr, looks_again, "same"

    def formula(self, step, values, jacobian):
        self.seen = jacobian
        return self.answer(self.state.detach().numpy().copy(), values)

    def after(self, before, now):
        args = (torch.tensor(before), torch.tensor(now if self.looks_again else self.seen))
        (gradient,) = torch.autograd.grad(self.objective(self.state, *args), self.state)
        with torch.no_grad():
            self.state -= self.lr * gradient
            if self.project:
                self.project(self.state)


def uncertainty(form, start):
    half = 2.0 if form == "regression" else 1.0
    rest = [0.0] * 3 if start == "one" else np.log(2 / half * np.array(INITIAL)).tolist()
    objective = lambda s, losses, _: (torch.exp(-s) * losses / half + s / 2).sum()
    return Learned(rest, lambda s, _: np.exp(-s) / half, objective)


def imtl_l(start):
    rest = [0.0] * 3 if start == "one" else (-np.log(INITIAL)).tolist()
    return Learned(rest, lambda s, _: np.exp(s), lambda s, losses, _: (torch.exp(s) * losses - s).sum())


def gradnorm(start, alpha=1.5):
    inverse = 1 / np.array(INITIAL)
    first = [1.0] * 3 if start == "one" else (3 * inverse / inverse.sum()).tolist()

    def objective(w, losses, jacobian):
        norms = torch.linalg.vector_norm(w[:, None] * jacobian, dim=1)
        pace = losses / torch.tensor(INITIAL)
        target = (norms.mean() * (pace / pace.mean()) ** alpha).detach()
        return (norms - target).abs().sum()

    def project(w):
        w.clamp_(min=0)
        w *= 3 / w.sum()

    return Learned(first, lambda w, _: w, objective, project)


def famo(gamma=1e-3, lr=0.025):
    def answer(xi, losses):
        z = np.exp(xi) / np.exp(xi).sum()
        return z / losses / (z / losses).sum()

    def objective(xi, before, now):
        fell = torch.log(before) - torch.log(now)
        return (torch.softmax(xi, 0) * fell).sum() + gamma / 2 * (xi**2).sum()

    return Learned([0.0] * 3, answer, objective, lr=lr, looks_again=True)


def best_support(gram, lower, total):
    """min wᵀGw with w ≥ lower, and Σ w = total where it is given: the best over all active sets."""
    n, found = len(lower), None
    for size in range(n + 1):
        for free in itertools.combinations(range(n), size):
            free, w = list(free), np.array(lower, dtype=float)
            fixed = [i for i in range(n) if i not in free]
            if size:
                right = -gram[np.ix_(free, fixed)] @ w[fixed]
                inner = gram[np.ix_(free, free)]
                if total is not None:
                    inner = np.block([[inner, np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
                    right = np.r_[right, total - w[fixed].sum()]
                w[free] = np.linalg.solve(inner, right)[:size]
            elif total is not None and abs(w.sum() - total) > 1e-12:
                continue
            if (w >= np.array(lower) - 1e-12).all() and (found is None or w @ gram @ w < found @ gram @ found):
                found = w
    return found


def shortest(lower):
    return lambda _, __, g: best_support(g @ g.T, lower, 1.0)


def relaxed(lower):
    def formula(_, __, g):
        gram, n = g @ g.T, len(lower)
        system = np.block([[gram, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
        free = np.linalg.solve(system, np.r_[-gram @ lower, 1 - sum(lower)])[:n]
        # The nearest point of {w ≥ 0, Σ w = 1 − Σ c}: shift until the positive parts sum up.
        shift = brentq(lambda s: np.maximum(free - s, 0).sum() - (1 - sum(lower)), -10 - abs(free).max(), abs(free).max(), xtol=1e-15)
        return np.maximum(free - shift, 0) + lower

    return formula


def upgrad(_, __, g):
    return sum(best_support(g @ g.T, np.eye(3)[i], None) for i in range(3)) / 3


def cagrad(_, __, g, c=0.4):
    """min over the simplex of g_wᵀg_0 + c ‖g_0‖ ‖g_w‖, support by support; d = g_0 + c ‖g_0‖ g_w/‖g_w‖."""
    gram, mean = g @ g.T, np.full(3, 1 / 3)
    radius = c * np.sqrt(mean @ gram @ mean)
    value = lambda w: w @ gram @ mean + radius * np.sqrt(w @ gram @ w)
    slope = lambda w: gram @ mean + radius * (gram @ w) / np.sqrt(w @ gram @ w)
    best = None
    for size in (1, 2, 3):
        for support in itertools.combinations(range(3), size):
            support = list(support)

            def spread(w):
                full = np.zeros(3)
                full[support] = w[:size]
                return full

            equations = lambda x: np.r_[slope(spread(x))[support] - x[size], x[:size].sum() - 1]
            x = root(equations, np.r_[np.full(size, 1 / size), 0.0], options={"xtol": 1e-15}).x
            w = spread(x)
            if np.abs(equations(x)).max() < 1e-10 and (w > -1e-12).all() and (best is None or value(w) < value(best)):
                best = w
    return mean + radius * best / np.sqrt(best @ gram @ best)


def fair(alpha):
    """G w = w^(−1/α), in ln w."""

    def formula(_, __, g):
        gram = g @ g.T
        f = lambda x: gram @ np.exp(x) - np.exp(-x / alpha)
        for start in (-np.log(np.diag(gram)) * alpha / (1 + alpha) + s for s in (0.0, 0.5, -0.5, 1.0, -1.0)):
            x = start
            for _ in range(200):  # Newton's method with steps of at most 0.5 in each coordinate
                jacobian = gram * np.exp(x) + np.diag(np.exp(-x / alpha) / alpha)
                x = x - np.clip(np.linalg.solve(jacobian, f(x)), -0.5, 0.5)
            if np.abs(f(x) * np.exp(x / alpha)).max() < 1e-12:
                return np.exp(x)
        raise ValueError("no fair point found")

    return formula


def imtl_g(_, __, g):
    w = np.linalg.solve(g @ g.T, np.linalg.norm(g, axis=1))
    return w / w.sum()


def aligned_mtl(_, __, g):
    """Through the singular values of the gradients themselves: each of them becomes the smallest."""
    u, sigma, _ = np.linalg.svd(g, full_matrices=False)
    return sigma.min() * (u / sigma @ u.T) @ np.ones(3)


def pcgrad(step, _, g):
    update = np.zeros(g.shape[1])
    for i, order in enumerate(ORDERS[step]):
        p = g[i].copy()
        for j in order:
            p -= min(p @ g[j], 0) / (g[j] @ g[j]) * g[j]
        update += p
    return np.linalg.lstsq(g.T, update, rcond=None)[0]


def gradvac(beta=0.01):
    target = np.zeros((3, 3))

    def formula(step, _, g):
        update = np.zeros(g.shape[1])
        for i, order in enumerate(ORDERS[step]):
            p = g[i].copy()
            for j in order:
                norm, norm_j = np.linalg.norm(p), np.linalg.norm(g[j])
                phi, aim = p @ g[j] / (norm * norm_j), target[i, j]
                if phi < aim:
                    top = norm * (aim * np.sqrt(1 - phi**2) - phi * np.sqrt(1 - aim**2))
                    p = p + top / (norm_j * np.sqrt(1 - aim**2)) * g[j]
                target[i, j] = (1 - beta) * aim + beta * phi
            update += p
        return np.linalg.lstsq(g.T, update, rcond=None)[0]

    return formula


def db_mtl(_, values, g):
    norms = np.linalg.norm(g / values[:, None], axis=1)
    return norms.max() / norms / values


def rlw(step, _, __):
    z = np.exp(np.array(NORMALS[step]))
    return z / z.sum()


def dwa(temperature=2.0):
    """An epoch is one step here."""
    seen = []

    def formula(step, values, _):
        seen.append(values)
        if step < 2:
            return np.ones(3)
        ratio = np.exp(seen[step - 1] / seen[step - 2] / temperature)
        return 3 * ratio / ratio.sum()

    return formula


def gls(_, values, __):
    return values.prod() ** (1 / 3) / 3 / values


def stch(mu=0.5):
    """An epoch is one step here: epochs 0 and 1 warm up, the losses of epoch 1 are the nadir."""
    nadir = []

    def formula(step, values, _):
        if step < 2:
            nadir[:] = [values]
            return 1 / values
        z = np.exp(np.log(values / nadir[0]) / mu)
        return 3 * z / z.sum() / values

    return formula


def cases():
    lower = np.array([0.05, 0.2, 0.1])
    bounds = dict(zip(TASKS, lower.tolist()))
    fixed = {"buy": 0.5, "like": 2.0}
    yield {"method": "fixed", "weights": fixed}, lambda: Method(lambda *_: [0.5, 1.0, 2.0])
    yield {"method": "equal"}, lambda: Method(lambda *_: np.ones(3))
    for start in ("one", "base_rate"):
        for form in ("regression", "classification"):
            config = {"method": "uncertainty", "form": form, "start": start, "learning_rate": LR}
            yield config, lambda form=form, start=start: uncertainty(form, start)
        yield {"method": "gradnorm", "start": start}, lambda start=start: gradnorm(start)
    yield {"method": "pareto"}, lambda: Method(shortest(np.zeros(3)))
    yield {"method": "pareto", "min_weights": bounds}, lambda: Method(shortest(lower))
    yield {"method": "pareto", "min_weights": bounds, "form": "relaxed"}, lambda: Method(relaxed(lower))
    yield {"method": "mgda"}, lambda: Method(shortest(np.zeros(3)), "one")
    yield {"method": "dwa"}, lambda: Method(dwa())
    yield {"method": "rlw"}, lambda: Method(rlw)
    yield {"method": "gls"}, lambda: Method(gls)
    for start in ("one", "base_rate"):
        config = {"method": "imtl_l", "start": start, "learning_rate": LR}
        yield config, lambda start=start: imtl_l(start)
    yield {"method": "imtl_g"}, lambda: Method(imtl_g, "one")
    yield {"method": "pcgrad"}, lambda: Method(pcgrad, "one")
    yield {"method": "gradvac"}, lambda: Method(gradvac(), "one")
    yield {"method": "cagrad"}, lambda: Method(cagrad, "one")
    yield {"method": "nash_mtl"}, lambda: Method(fair(1.0), "one")
    yield {"method": "aligned_mtl"}, lambda: Method(aligned_mtl, "one")
    yield {"method": "famo"}, famo
    yield {"method": "db_mtl"}, lambda: Method(db_mtl, "inverse")
    yield {"method": "fairgrad", "alpha": 2.0}, lambda: Method(fair(2.0), "one")
    yield {"method": "stch", "mu": 0.5, "warmup_epochs": 1}, lambda: Method(stch())
    yield {"method": "upgrad"}, lambda: Method(upgrad, "one")


def main():
    rng = np.random.default_rng(20260301)
    start, batches = initial_parameters(rng), [batch(rng) for _ in range(STEPS)]
    out = []
    for config, method in cases():
        out.append(run(config, method(), start, batches))
        # Where the gradients are compared, once more over all shared parameters, tables included.
        if config["method"] in ("gradnorm", "mgda", "pcgrad", "upgrad", "nash_mtl", "cagrad", "imtl_g"):
            out.append(run(config, method(), start, batches, "all"))
        if config["method"] == "mgda":
            out.append(run(config, method(), start, batches, "dense"))
    golden = {
        "initial_losses": INITIAL,
        "user_weights": [USER[task] for task in TASKS],
        "start": {path: value.tolist() for path, value in start.items()},
        "batches": batches,
        "cases": out,
    }
    json.dump(golden, sys.stdout, separators=(",", ":"))
    print()


main()
