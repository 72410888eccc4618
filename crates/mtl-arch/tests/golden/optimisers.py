"""The optimisers, one matrix at a time, and the small problem of `optimisers.json`.

An update takes the value, the gradient, the matrix's state and the step number t (from 1) and returns
the new value. `rows` names the rows of a table that are in the batch: a `lazy` update computes as if
the matrix had no other rows.
"""

import torch

ADAM = {"learning_rate": 1e-2, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}
DENSE = "dense"
LAZY = "lazy"


def zeros(state, name, like):
    return state.get(name, torch.zeros_like(like))


def sgd(value, gradient, state, t, settings):
    return value - settings["learning_rate"] * gradient


def sgd_momentum(value, gradient, state, t, settings):
    """v <- mu v + g; p <- p - lr v."""
    velocity = settings["momentum"] * zeros(state, "velocity", value) + gradient
    state["velocity"] = velocity
    return value - settings["learning_rate"] * velocity


def adam(value, gradient, state, t, settings):
    """`epsilon_form` outside: p - lr m̂/(sqrt(v̂) + e); epsilon_hat: e beside the uncorrected sqrt(v)."""
    beta1, beta2 = settings["beta1"], settings["beta2"]
    first = beta1 * zeros(state, "first", value) + (1.0 - beta1) * gradient
    second = beta2 * zeros(state, "second", value) + (1.0 - beta2) * gradient * gradient
    state["first"], state["second"] = first, second
    correction1, correction2 = 1.0 - beta1**t, 1.0 - beta2**t
    if settings["epsilon_form"] == "epsilon_hat":
        rate = settings["learning_rate"] * correction2**0.5 / correction1
        return value - rate * first / (torch.sqrt(second) + settings["epsilon"])
    step = (first / correction1) / (torch.sqrt(second / correction2) + settings["epsilon"])
    return value - settings["learning_rate"] * step


def adamw(value, gradient, state, t, settings):
    """The decay first, by lr·wd, then Adam on the decayed value."""
    decayed = value * (1.0 - settings["learning_rate"] * settings["weight_decay"])
    return adam(decayed, gradient, state, t, settings)


def adagrad(value, gradient, state, t, settings):
    start = torch.full_like(value, settings["initial_accumulator"])
    accumulator = state.get("accumulator", start) + gradient * gradient
    state["accumulator"] = accumulator
    rate = settings["learning_rate"]
    return value - rate * gradient / (torch.sqrt(accumulator) + settings["epsilon"])


def rowwise_adagrad(value, gradient, state, t, settings):
    """One accumulator a row: it grows by the mean of the squares over the row."""
    start = torch.full((value.shape[0], 1), settings["initial_accumulator"], dtype=torch.float64)
    mean_square = (gradient * gradient).sum(dim=1, keepdim=True) / value.shape[1]
    accumulator = state.get("accumulator", start) + mean_square
    state["accumulator"] = accumulator
    rate = settings["learning_rate"]
    return value - rate * gradient / (torch.sqrt(accumulator) + settings["epsilon"])


UPDATES = {
    "sgd": sgd,
    "sgd_momentum": sgd_momentum,
    "adam": adam,
    "adamw": adamw,
    "adagrad": adagrad,
    "rowwise_adagrad": rowwise_adagrad,
}


def update_rows(update, value, gradient, state, t, settings, rows):
    """The lazy form: a separate state for each row, and nothing at all for rows not named."""
    new = value.clone()
    for row in rows:
        row_state = state.setdefault(row, {})
        at = slice(row, row + 1)
        new[at] = update(value[at], gradient[at], row_state, t, settings)
    return new


# --- the small problem: a 3x2 matrix and a 4x2 table, four steps of given gradients -----------------

PROBLEM = {
    "matrix": [[0.5, -0.25], [1.0, 0.75], [-1.5, 0.125]],
    "table": [[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6], [0.7, -0.8]],
    "steps": [
        {
            "matrix_gradient": [[0.3, -0.1], [0.02, 0.4], [-0.25, 0.05]],
            "table_rows": [0, 2],
            "table_gradient": [[0.5, -0.3], [0.1, 0.2]],
        },
        {
            "matrix_gradient": [[-0.2, 0.15], [0.3, -0.6], [0.1, 0.7]],
            "table_rows": [0, 1],
            "table_gradient": [[-0.4, 0.25], [0.8, -0.05]],
        },
        {
            "matrix_gradient": [[0.05, 0.0], [-0.1, 0.08], [0.12, -0.03]],
            "table_rows": [2],
            "table_gradient": [[0.07, -0.09]],
        },
        {
            "matrix_gradient": [[1.2, -0.9], [0.0, 0.35], [-0.45, 0.6]],
            "table_rows": [0, 1, 2],
            "table_gradient": [[0.33, 0.44], [-0.55, 0.66], [-0.77, 0.0]],
        },
    ],
}


def small_problem_cases():
    """Name, optimiser, settings, forms of the table update, and whether the matrix takes part."""
    both = (DENSE, LAZY)
    outside = {**ADAM, "epsilon_form": "outside"}
    hat = {**ADAM, "epsilon_form": "epsilon_hat"}
    accumulate = {"learning_rate": 0.05, "epsilon": 1e-7}
    slow = {"learning_rate": 0.1}
    return [
        ("sgd", "sgd", slow, (LAZY,)),
        ("sgd_momentum", "sgd_momentum", {**slow, "momentum": 0.9}, both),
        ("adam", "adam", outside, both),
        ("adam_epsilon_hat", "adam", hat, both),
        ("adamw", "adamw", {**outside, "weight_decay": 0.01}, both),
        ("adamw_epsilon_hat", "adamw", {**hat, "weight_decay": 0.01}, both),
        ("adagrad", "adagrad", {**accumulate, "initial_accumulator": 0.0}, (LAZY,)),
        ("adagrad_initial_0.1", "adagrad", {**accumulate, "initial_accumulator": 0.1}, (LAZY,)),
        ("rowwise_adagrad", "rowwise_adagrad", {**accumulate, "initial_accumulator": 0.0}, (LAZY,)),
        (
            "rowwise_adagrad_initial_0.1",
            "rowwise_adagrad",
            {**accumulate, "initial_accumulator": 0.1},
            (LAZY,),
        ),
        ("sgd_l2", "sgd", {**slow, "l2": 0.03}, (LAZY,)),
        ("adam_l2", "adam", {**outside, "l2": 0.03}, both),
        ("sgd_clip", "sgd", {**slow, "clip_norm": 0.5}, (LAZY,)),
        ("adam_clip", "adam", {**outside, "clip_norm": 0.5}, both),
        ("adam_l2_clip", "adam", {**outside, "l2": 0.03, "clip_norm": 0.5}, both),
    ]


def run_small_problem(optimiser, settings, form):
    """The values after each step."""
    update = UPDATES[optimiser]
    matrix = torch.tensor(PROBLEM["matrix"], dtype=torch.float64)
    table = torch.tensor(PROBLEM["table"], dtype=torch.float64)
    matrix_state, table_state, trace = {}, {}, []
    for t, step in enumerate(PROBLEM["steps"], start=1):
        rows = step["table_rows"]
        gradients = step_gradients(step, matrix, table, settings)
        matrix_gradient, table_gradient, norm = gradients
        entry = {"gradient_norm": norm}
        # A row-wise accumulator is a matter of tables: the matrix has no rows in that sense.
        if optimiser != "rowwise_adagrad":
            matrix = update(matrix, matrix_gradient, matrix_state, t, settings)
            entry["matrix"] = matrix.tolist()
        if form == LAZY:
            table = update_rows(update, table, table_gradient, table_state, t, settings, rows)
        else:
            table = update(table, table_gradient, table_state, t, settings)
        entry["table"] = table.tolist()
        trace.append(entry)
    return trace


def step_gradients(step, matrix, table, settings):
    """The given gradients, then L2 on the matrix and the batch's rows, then the clip."""
    matrix_gradient = torch.tensor(step["matrix_gradient"], dtype=torch.float64)
    table_gradient = torch.zeros_like(table)
    table_gradient[step["table_rows"]] = torch.tensor(step["table_gradient"], dtype=torch.float64)
    if "l2" in settings:
        matrix_gradient = matrix_gradient + 2.0 * settings["l2"] * matrix
        rows = step["table_rows"]
        table_gradient[rows] = table_gradient[rows] + 2.0 * settings["l2"] * table[rows]
    squares = (matrix_gradient**2).sum() + (table_gradient**2).sum()
    norm = squares.sqrt().item()
    if "clip_norm" in settings and norm > settings["clip_norm"]:
        scale = settings["clip_norm"] / norm
        matrix_gradient, table_gradient = matrix_gradient * scale, table_gradient * scale
    return matrix_gradient, table_gradient, norm


def optimisers_file():
    cases = []
    for name, optimiser, settings, forms in small_problem_cases():
        for form in forms:
            case = {"name": name, "optimiser": optimiser, "settings": settings}
            # Where only one form is listed, the other gives the same numbers.
            case["table_update"] = form if len(forms) > 1 else "either"
            case["after_step"] = run_small_problem(optimiser, settings, form)
            cases.append(case)
    return {"problem": PROBLEM, "cases": cases}
