"""What the golden values must satisfy before they are written. Each check raises on failure."""

import numpy
import torch

import cases
import optimisers
from architectures import Network, initial_value, task_losses, total_loss

STEP = 1e-6


def sines_agree(network):
    """`math.sin` and numpy's sine give the same initial values, to 1e-15."""
    worst = 0.0
    for path, matrix in network.parameters.trained.items():
        if path.endswith((".gamma", ".beta")):
            continue
        base = float(sum((i + 1) * b for i, b in enumerate(path.encode())))
        for r in range(matrix.shape[0]):
            for c in range(matrix.shape[1]):
                angle = 12.9898 * (r + 1) + 78.233 * (c + 1) + base
                worst = max(worst, abs(0.6 * float(numpy.sin(angle)) - initial_value(path, r, c)))
    assert worst <= 1e-15, worst


def finite_differences(case, network, gradients):
    """Central differences of the total loss for every element; returns the largest error."""
    worst = 0.0
    for path, matrix in network.parameters.trained.items():
        flat = matrix.data.view(-1)
        for i in range(flat.numel()):
            before = flat[i].item()
            values = []
            for step in (STEP, -STEP):
                flat[i] = before + step
                with torch.no_grad():
                    logits = network.logits(case["batch"])
                    values.append(total_loss(case, task_losses(case, logits, case["batch"])).item())
            flat[i] = before
            estimate = (values[0] - values[1]) / (2.0 * STEP)
            worst = max(worst, abs(estimate - gradients[path].view(-1)[i].item()))
    assert worst <= 2e-9, (case["name"], worst)
    return worst


def isolation(case, network):
    """At the last level of CGC and PLE no task's logits reach another task's experts or gate."""
    last = len(case["levels"]) - 1
    logits = network.logits(case["batch"])
    for task in case["tasks"]:
        others = {
            path: matrix
            for path, matrix in network.parameters.trained.items()
            for other in case["tasks"]
            if other != task and path.startswith(f"level.{last}.task.{other}.")
        }
        gradients = torch.autograd.grad(
            logits[task].sum(), list(others.values()), retain_graph=True, allow_unused=True
        )
        assert all(gradient is None for gradient in gradients), (case["name"], task)


def untouched_rows_have_no_gradient(case, gradients):
    for path, gradient in gradients.items():
        if path.endswith(".table"):
            name = path.split(".")[-2]
            if path == "domain.embedding.table":
                name = case["domain"]
            read = set(case["batch"]["categorical"][name])
            for row in set(range(gradient.shape[0])) - read:
                assert gradient[row].abs().max().item() == 0.0, (case["name"], path, row)


def parameter_count(case, network):
    count = sum(matrix.numel() for matrix in network.parameters.trained.values())
    assert count == cases.COUNTS[case["name"]], (case["name"], count)


def default_width_counts():
    for (file, preset), expected in cases.DEFAULT_COUNTS.items():
        case = cases.default_width_case(file, preset)
        network = Network(case)
        x = torch.zeros((1, 480), dtype=torch.float64)
        if file == "single_task":
            for task in case["tasks"]:
                network.tower(task, network.expert(f"task.{task}.bottom", x))
        else:
            network.from_x(x)
        count = sum(matrix.numel() for matrix in network.parameters.trained.values())
        assert count == expected, (file, preset, count)


# --- our optimisers against PyTorch's own, where it has them ----------------------------------------


def torch_optimisers():
    adam = {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-7}
    peers = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "sgd_momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, **adam),
        "adamw": lambda p: torch.optim.AdamW(p, **adam, weight_decay=0.01),
        "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05, eps=1e-7),
        "adagrad_initial_0.1": lambda p: torch.optim.Adagrad(
            p, lr=0.05, eps=1e-7, initial_accumulator_value=0.1
        ),
    }
    for name, optimiser, settings, _ in optimisers.small_problem_cases():
        if name in peers:
            ours = optimisers.run_small_problem(optimiser, settings, optimisers.DENSE)
            theirs = run_peer(peers[name], sparse=False)
            assert_traces_agree(name, ours, theirs, ("matrix", "table"))
        if name == "adam_epsilon_hat":
            ours = optimisers.run_small_problem(optimiser, settings, optimisers.LAZY)
            theirs = run_peer(lambda p: torch.optim.SparseAdam(p[1:], **adam), sparse=True)
            assert_traces_agree(name, ours, theirs, ("table",))


def run_peer(make, sparse):
    problem = optimisers.PROBLEM
    matrix = torch.tensor(problem["matrix"], dtype=torch.float64, requires_grad=True)
    table = torch.tensor(problem["table"], dtype=torch.float64, requires_grad=True)
    optimiser = make([matrix, table])
    trace = []
    for step in problem["steps"]:
        matrix.grad, gradient, _ = optimisers.step_gradients(step, matrix.data, table.data, {})
        if sparse:
            rows = torch.tensor([step["table_rows"]])
            values = gradient[step["table_rows"]]
            gradient = torch.sparse_coo_tensor(
                rows, values, table.shape, check_invariants=True
            )
        table.grad = gradient
        optimiser.step()
        trace.append({"matrix": matrix.tolist(), "table": table.tolist()})
    return trace


def assert_traces_agree(name, ours, theirs, keys):
    for t, (a, b) in enumerate(zip(ours, theirs), start=1):
        for key in keys:
            gap = numpy.abs(numpy.array(a[key]) - numpy.array(b[key])).max()
            assert gap <= 1e-14, (name, key, t, gap)
