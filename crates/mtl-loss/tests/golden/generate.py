"""Golden values for the loss weightings, in float64, from formulas written on the gradient vectors.

Independent of the Rust code in three ways: everything here works on the T x P matrix of gradients (never
on its Gram matrix alone), learned state gets its gradient from automatic differentiation, and inner
problems go to general solvers (quadprog, a conic solver, a root finder), or to TorchJD where it offers the
method.

    pip install numpy scipy torch torchjd quadprog cvxpy clarabel
    python generate.py > golden.json
"""

import json
import sys

import cvxpy
import numpy as np
import quadprog
import torch
from scipy.optimize import root
from torchjd import aggregation
from torchjd.linalg import QuadprogProjector

TASKS = ["click", "like", "buy"]
STEPS = 3
rng = np.random.default_rng(20240607)


def stream(n_tasks=3, n_steps=STEPS, dim=7, conflict=1.0):
    """Losses that fall and gradients of different scales, some in conflict."""
    common = rng.normal(size=dim)
    for step in range(n_steps):
        scale = np.array([1.0, 0.3, 4.0])[:n_tasks, None]
        grads = scale * (common + conflict * rng.normal(size=(n_tasks, dim)))
        losses = np.array([0.7, 0.25, 2.0])[:n_tasks] * 0.9**step * rng.uniform(0.8, 1.2, n_tasks)
        yield losses, grads


def case(config, weigh, own, learned=None, lr=0.1, tolerance=1e-10, n_tasks=3, n_steps=STEPS, **more):
    """Runs `weigh(step, losses, grads) -> weights` over a stream and records inputs and outputs.

    `learned` is a torch vector whose gradient `weigh` (or `after`) leaves in `.grad`; it takes a plain
    gradient step, then `project` if given.
    """
    project, after = more.pop("project", None), more.pop("after", None)
    epoch, conflict = more.pop("epoch", lambda step: 0), more.pop("conflict", 1.0)
    steps = []
    for step, (losses, grads) in enumerate(stream(n_tasks, n_steps, conflict=conflict)):
        weights = np.asarray(weigh(step, losses, grads), dtype=float)
        record = {
            "epoch": epoch(step),
            "losses": losses.tolist(),
            "gram": (more["gram_of"](step) if "gram_of" in more else grads @ grads.T).tolist(),
            "shared": weights.tolist(),
            "own": own(weights, losses).tolist(),
        }
        if after:
            losses_after = losses * rng.uniform(0.85, 1.02, n_tasks)
            record["losses_after"] = losses_after.tolist()
            after(losses, losses_after)
        if learned is not None:
            record["gradient"] = learned.grad.tolist()
            with torch.no_grad():
                learned -= lr * learned.grad
                if project:
                    project(learned)
            learned.grad = None
            record["learned"] = learned.tolist()
        steps.append(record)
    more.pop("gram_of", None)
    return {"config": config, "tasks": TASKS[:n_tasks], "lr": lr, "tolerance": tolerance, "steps": steps, **more}


same = lambda w, losses: w
one = lambda w, losses: np.ones_like(w)


def leaf(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def uncertainty(form):
    s = leaf([0.0] * 3)

    def weigh(step, losses, grads):
        scaled = torch.exp(-s) * torch.tensor(losses)
        (scaled / 2 if form == "regression" else scaled).sum().add((s / 2).sum()).backward()
        sigma2 = np.exp(s.detach().numpy())
        return 1 / (2 * sigma2) if form == "regression" else 1 / sigma2

    return case({"method": "uncertainty", "form": form}, weigh, same, s, lr=0.3)


def imtl_l():
    s = leaf([0.0] * 3)

    def weigh(step, losses, grads):
        (torch.exp(s) * torch.tensor(losses) - s).sum().backward()
        return np.exp(s.detach().numpy())

    return case({"method": "imtl_l"}, weigh, same, s)


def gradnorm(initial, lr, clamped=False, start="one"):
    base_rate = np.array([0.69, 0.3, 1.7])
    w = leaf([1.0] * 3 if start == "one" else (3 / base_rate / (1 / base_rate).sum()).tolist())
    seen = {}

    def weigh(step, losses, grads):
        base = base_rate if initial == "base_rate" else seen.setdefault("L0", losses)
        norms = torch.linalg.vector_norm(w[:, None] * torch.tensor(grads), dim=1)
        if clamped:  # the derivative from the right at w = 0, where that of the norm is 0 in torch
            norms = w * torch.tensor(np.linalg.norm(grads, axis=1))
        ratio = torch.tensor(losses / base)
        target = (norms.mean() * (ratio / ratio.mean()) ** 1.5).detach()
        (norms - target).abs().sum().backward()
        return w.detach().numpy().copy()

    def project(w):
        w.clamp_(min=0)
        w *= 3 / w.sum()

    more = {"initial_losses": [0.69, 0.3, 1.7]} if initial == "base_rate" else {}
    config = {"method": "gradnorm", "initial_loss": initial, "start": start}
    return case(config, weigh, same, w, lr=lr, project=project, n_steps=20, **more)


def famo():
    xi, gamma = leaf([0.0] * 3), 1e-3

    def weigh(step, losses, grads):
        z = torch.softmax(xi, 0).detach().numpy()
        return z / losses / (z / losses).sum()

    def after(before, now):
        delta = torch.tensor(np.log(before) - np.log(now))
        ((torch.softmax(xi, 0) * delta).sum() + gamma / 2 * (xi**2).sum()).backward()

    return case({"method": "famo"}, weigh, same, xi, lr=0.5, after=after)


def shortest(grads, lower):
    """min |sum w g| with w >= lower, sum w = 1, by Goldfarb and Idnani's dual method."""
    n = len(lower)
    constraints = np.column_stack([np.ones(n), np.eye(n)])
    return quadprog.solve_qp(grads @ grads.T, np.zeros(n), constraints, np.r_[1.0, lower], meq=1)[0]


def relaxed(grads, lower):
    n = len(lower)
    system = np.block([[grads @ grads.T, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
    free = np.linalg.solve(system, np.r_[-(grads @ grads.T) @ lower, 1 - lower.sum()])[:n]
    constraints = np.column_stack([np.ones(n), np.eye(n)])
    total = np.r_[1 - lower.sum(), np.zeros(n)]
    return quadprog.solve_qp(np.eye(n), free, constraints, total, meq=1)[0] + lower


def simple():
    """Methods that are functions of one step."""
    lower = np.array([0.1, 0.2, 0.05])
    bounds = dict(zip(TASKS, lower.tolist()))
    tensor = torch.tensor
    upgrad = aggregation.UPGradWeighting(projector=QuadprogProjector(norm_eps=0.0, reg_eps=0.0))
    aligned, imtl_g = aggregation.AlignedMTLWeighting(), aggregation.IMTLGWeighting()
    gram = lambda g: tensor(g @ g.T)

    def geometric(_, losses, __):
        leaves = leaf(losses)
        leaves.prod().pow(1 / 3).backward()
        return leaves.grad.numpy()

    def db(_, losses, grads):
        logs = grads / losses[:, None]
        norms = np.linalg.norm(logs, axis=1)
        return norms.max() / norms / losses

    def mgda_l2(_, losses, grads):
        norms = np.linalg.norm(grads, axis=1)
        return shortest(grads / norms[:, None], np.zeros(3)) / norms

    yield case({"method": "equal"}, lambda *_: np.ones(3), one)
    fixed = {"click": 0.5, "buy": 2.0}
    yield case({"method": "fixed", "weights": fixed}, lambda *_: np.array([0.5, 1.0, 2.0]), same)
    yield case({"method": "gls"}, geometric, same)
    yield case({"method": "db_mtl"}, db, lambda w, losses: 1 / losses)
    for conflict in (1.0, 3.0):
        more = {"conflict": conflict}
        yield case({"method": "mgda"}, lambda _, __, g: shortest(g, np.zeros(3)), one, **more)
        yield case({"method": "mgda", "normalise": "l2"}, mgda_l2, one, **more)
        config = {"method": "pareto", "min_weights": bounds}
        yield case(config, lambda _, __, g: shortest(g, lower), same, **more)
        config = {**config, "form": "relaxed"}
        yield case(config, lambda _, __, g: relaxed(g, lower), same, **more)
        yield case({"method": "imtl_g"}, lambda _, __, g: imtl_g(gram(g)).numpy(), one, **more)
        yield case({"method": "aligned_mtl"}, lambda _, __, g: 3 * aligned(gram(g)).numpy(), one, **more)
        yield case({"method": "upgrad"}, lambda _, __, g: upgrad(gram(g)).numpy(), one, **more)
        yield case({"method": "cagrad"}, lambda _, __, g: cagrad(g), one, tolerance=1e-5, **more)
    two = {"n_tasks": 2, "conflict": 3.0}
    pcgrad = aggregation.PCGradWeighting()
    yield case({"method": "pcgrad"}, lambda _, __, g: pcgrad(gram(g)).numpy(), one, **two)


def cagrad(grads, c=0.4):
    """The primal problem as a second-order cone program; weights by least squares (T < P)."""
    mean, d, t = grads.mean(axis=0), cvxpy.Variable(grads.shape[1]), cvxpy.Variable()
    ball = cvxpy.norm(d - mean) <= c * np.linalg.norm(mean)
    problem = cvxpy.Problem(cvxpy.Maximize(t), [grads @ d >= t, ball])
    tight = {f"tol_{k}": 1e-13 for k in ("gap_abs", "gap_rel", "feas")}
    problem.solve(solver=cvxpy.CLARABEL, **tight)
    return np.linalg.lstsq(grads.T, d.value, rcond=None)[0]


def fair(alpha):
    """G w = w^(-1/alpha), by a root finder in ln w."""

    def weigh(step, losses, grads):
        gram = grads @ grads.T
        start = -np.log(np.diag(gram)) * alpha / (1 + alpha)
        f = lambda x: np.log(np.maximum(gram @ np.exp(x), 1e-300)) + x / alpha
        found = root(f, start, method="hybr", options={"xtol": 1e-14})
        assert np.abs(f(found.x)).max() < 1e-12, found
        return np.exp(found.x)

    return weigh


def db_running(beta=0.9):
    """The update itself, from running gradients kept here; the Gram matrix is theirs."""
    state = {"r": np.zeros((3, 7))}

    def weigh(step, losses, grads):
        decay = beta / (step + 1) ** 0.5
        state["r"] = grads / losses[:, None] + decay * (state["r"] - grads / losses[:, None])
        norms = np.linalg.norm(state["r"], axis=1)
        return norms.max() / norms

    gram_of = lambda step: state["r"] @ state["r"].T
    config = {"method": "db_mtl", "beta": beta}
    return case(config, weigh, lambda w, losses: 1 / losses, gram_of=gram_of)


def dwa():
    history = []

    def weigh(step, losses, grads):
        epoch, means = step // 2, []
        history.append(losses)
        for e in range(epoch):
            means.append((history[2 * e] + history[2 * e + 1]) / 2)
        if epoch < 2:
            return np.ones(3)
        ratio = np.exp(means[epoch - 1] / means[epoch - 2] / 2.0)
        return 3 * ratio / ratio.sum()

    return case({"method": "dwa"}, weigh, same, n_steps=8, epoch=lambda step: step // 2)


def stch():
    warm = []

    def weigh(step, losses, grads):
        leaves = leaf(losses)
        if step < 4:
            if step >= 2:
                warm.append(losses)
            leaves.log().sum().backward()
        else:
            scaled = torch.log(leaves / torch.tensor(np.mean(warm, axis=0)))
            (0.5 * torch.logsumexp(scaled / 0.5, 0) * 3).backward()
        return leaves.grad.numpy()

    config = {"method": "stch", "mu": 0.5, "warmup_epochs": 1}
    return case(config, weigh, same, n_steps=6, epoch=lambda step: step // 2)


def orders():
    return [rng.permutation([j for j in range(3) if j != i]).tolist() for i in range(3)]


def pcgrad_orders():
    for _, grads in stream(n_steps=6, conflict=3.0):
        chosen, update = orders(), 0
        for i, order in enumerate(chosen):
            p = grads[i].copy()
            for j in order:
                p -= min(p @ grads[j], 0) / (grads[j] @ grads[j]) * grads[j]
            update = update + p
        weights = np.linalg.lstsq(grads.T, update, rcond=None)[0]
        yield {"gram": (grads @ grads.T).tolist(), "orders": chosen, "weights": weights.tolist()}


def gradvac_orders(beta=0.2):
    target = np.zeros((3, 3))
    for _, grads in stream(n_steps=6, conflict=2.0):
        chosen, update = orders(), 0
        for i, order in enumerate(chosen):
            p = grads[i].copy()
            for j in order:
                norm, norm_j = np.linalg.norm(p), np.linalg.norm(grads[j])
                phi, aim = p @ grads[j] / (norm * norm_j), target[i, j]
                if phi < aim:
                    top = norm * (aim * np.sqrt(1 - phi**2) - phi * np.sqrt(1 - aim**2))
                    p = p + top / (norm_j * np.sqrt(1 - aim**2)) * grads[j]
                target[i, j] = (1 - beta) * aim + beta * phi
            update = update + p
        weights = np.linalg.lstsq(grads.T, update, rcond=None)[0]
        yield {
            "gram": (grads @ grads.T).tolist(),
            "orders": chosen,
            "weights": weights.tolist(),
            "targets": target.tolist(),
        }


def main():
    cases = [uncertainty("regression"), uncertainty("classification"), imtl_l(), famo(), dwa(), stch()]
    cases += [gradnorm("base_rate", 0.002), gradnorm("base_rate", 0.002, start="base_rate"), gradnorm("first_batch", 0.05, clamped=True), db_running(), *simple()]
    cases += [case({"method": "nash_mtl"}, fair(1.0), one)]
    cases += [case({"method": "fairgrad", "alpha": alpha}, fair(alpha), one) for alpha in (0.5, 1.0, 2.0)]
    golden = {"cases": cases, "pcgrad_orders": list(pcgrad_orders()), "gradvac_orders": list(gradvac_orders())}
    json.dump(golden, sys.stdout)
    print()


main()
