"""Writes the golden values: an implementation in float64 that shares nothing with the Rust one.

    python -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6 mpmath==1.3.0
    venv/bin/python generate.py            # writes the *.json of both crates
    venv/bin/python generate.py --check    # also finite differences of every element (a minute)

Made with Python 3.11, torch 2.15.0 (CPU, one thread), numpy 2.4.6, mpmath 1.3.0. The architectures'
files lie beside this one, those of optimisers and losses in mtl-nn, whose tests read them. README.md says
what each file holds and which conventions it fixes.
"""

import argparse
import json
import pathlib

import torch

import cases
import checks
import losses
import optimisers
from architectures import Network, task_losses, total_loss

HERE = pathlib.Path(__file__).resolve().parent
MTL_NN = HERE.parents[2] / "mtl-nn" / "tests" / "golden"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    torch.set_num_threads(1)
    checks.default_width_counts()
    checks.torch_optimisers()
    write("optimisers", optimisers.optimisers_file(), MTL_NN)
    write("losses", losses.losses_file(), MTL_NN)
    for case in cases.all_cases():
        write(case["name"], golden_case(case, check))


def golden_case(case, check):
    network = Network(case)
    first = first_step(case, network)
    run_checks(case, network, first["gradients"], check)
    golden = {
        **case,
        "x": first_x(case),
        "parameter_count": cases.COUNTS[case["name"]],
        "initial_sums": first["initial_sums"],
        "logits": column(first["logits"]),
        "losses": {task: loss.item() for task, loss in first["losses"].items()},
        "total_loss": first["total_loss"],
        "gradients": matrices(first["gradients"]),
        "after_3_steps": {},
    }
    for variant in cases.VARIANTS.get(case["name"], [cases.ADAM_DENSE]):
        golden["after_3_steps"][variant["name"]] = train(case, variant)
    return golden


def first_x(case):
    """x of the first step: [B, D], or one of them for each task of Single-Task."""
    network = Network(case)
    if case["architecture"] == "single_task":
        tasks = sorted(case["tasks"])
        return {t: network.inputs(case["batch"], prefix=f"task.{t}.").tolist() for t in tasks}
    return network.inputs(case["batch"]).tolist()


def first_step(case, network):
    logits = network.logits(case["batch"])
    trained = network.parameters.trained
    by_task = task_losses(case, logits, case["batch"])
    loss = total_loss(case, by_task)
    gradients = torch.autograd.grad(loss, list(trained.values()))
    return {
        "initial_sums": {path: sum(flat(matrix)) for path, matrix in sorted(trained.items())},
        "logits": logits,
        "losses": by_task,
        "total_loss": loss.item(),
        "gradients": dict(zip(trained, gradients)),
    }


def run_checks(case, network, gradients, check):
    checks.parameter_count(case, network)
    checks.sines_agree(network)
    checks.untouched_rows_have_no_gradient(case, gradients)
    if "levels" in case:
        checks.isolation(case, network)
    dead = [path for path, g in gradients.items() if g.abs().max().item() == 0.0]
    report = f"{case['name']}: nearest kink {network.nearest_kink:.1e}"
    report += f", parameters without gradient: {' '.join(dead) or 'none'}"
    if check:
        report += f", finite differences {checks.finite_differences(case, network, gradients):.1e}"
    print(report)


def train(case, variant):
    """Three Adam steps from the initial values; then the logits of prediction."""
    network = Network(case)
    settings = {**optimisers.ADAM, "epsilon_form": variant["epsilon_form"]}
    states, total_losses, running = {}, [], []
    for t, rows in enumerate(variant["rows_per_step"], start=1):
        batch = subset(case["batch"], rows)
        loss = total_loss(case, task_losses(case, network.logits(batch), batch))
        total_losses.append(loss.item())
        trained = network.parameters.trained
        gradients = torch.autograd.grad(loss, list(trained.values()))
        for (path, value), gradient in zip(trained.items(), gradients):
            state = states.setdefault(path, {})
            with torch.no_grad():
                value.copy_(step(path, value, gradient, state, t, settings, variant, batch))
        running.append(matrices(network.parameters.running))
    assert network.nearest_kink > 1e-6, (case["name"], variant["name"], network.nearest_kink)
    network.training = False
    with torch.no_grad():
        predicted = network.logits(case["batch"])
    result = {
        "optimiser": {**settings, "table_update": variant["table_update"]},
        "rows_per_step": variant["rows_per_step"],
        "total_loss_before_step": total_losses,
        "parameters": matrices(network.parameters.trained),
        "predicted_logits": column(predicted),
    }
    if running[0]:
        result["running_after_step"] = running
    return result


def step(path, value, gradient, state, t, settings, variant, batch):
    if path.endswith(".table") and variant["table_update"] == optimisers.LAZY:
        rows = sorted(set(batch["categorical"][path.split(".")[-2]]))
        return optimisers.update_rows(optimisers.adam, value, gradient, state, t, settings, rows)
    return optimisers.adam(value, gradient, state, t, settings)


def subset(batch, rows):
    def pick(values):
        return [values[i] for i in rows]

    return {
        "categorical": {name: pick(ids) for name, ids in batch["categorical"].items()},
        "numeric": {name: pick(values) for name, values in batch["numeric"].items()},
        "labels": {task: pick(labels) for task, labels in batch["labels"].items()},
        "weights": pick(batch["weights"]),
    }


# --- writing ----------------------------------------------------------------------------------------


def flat(matrix):
    return matrix.detach().reshape(-1).tolist()


def matrices(by_path):
    return {path: matrix.detach().tolist() for path, matrix in sorted(by_path.items())}


def column(logits):
    return {task: flat(z) for task, z in sorted(logits.items())}


def write(name, content, folder=HERE):
    """JSON with one line for each path: a diff then shows which matrix changed."""
    text = render(content, 0) + "\n"
    assert json.loads(text) == content
    (folder / f"{name}.json").write_text(text)


def render(value, depth):
    if isinstance(value, dict) and value and depth < 4:
        pad = " " * (depth + 1)
        items = [f"{pad}{json.dumps(k)}:{render(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * depth + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        pad = " " * (depth + 1)
        return "[\n" + ",\n".join(pad + render(v, depth + 1) for v in value) + "\n]"
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


if __name__ == "__main__":
    main()
