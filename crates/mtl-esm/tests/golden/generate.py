"""Reference values of event log-probabilities and their gradients, in arithmetic of many digits.

    python -m pip install mpmath
    python generate.py > reference.json

Probabilities are written as products and sums of sigmoids (the form that the crate does not use),
with as many digits as it takes to leave 50 after every cancellation: ln(1 - p) of a p that is
1 - e^-10000 needs 4,343 of them. A gradient is the exact derivative of a function that is linear in
each tower's probability. Values are rounded to float64 at the very end.
"""

import json
import random

from mpmath import exp, log, mp, mpf


def sigmoid(a):
    return 1 / (1 + exp(-a))


def softmax(logits):
    total = sum(exp(a) for a in logits)
    return [exp(a) / total for a in logits]


# Each graph: independent towers, towers of one softmax (None is the logit 0), and its events'
# probabilities as functions of tower probabilities.
GRAPHS = {
    "esmm": {
        "towers": ["ctr", "cvr"],
        "events": {
            "click": lambda y: y["ctr"],
            "conversion": lambda y: y["ctr"] * y["cvr"],
        },
    },
    "esm2": {
        "towers": ["y1", "y2", "y3", "y4"],
        "events": {
            "click": lambda y: y["y1"],
            "action": lambda y: y["y1"] * y["y2"],
            "other_action": lambda y: y["y1"] * (1 - y["y2"]),
            "purchase": lambda y: y["y1"] * (y["y2"] * y["y3"] + (1 - y["y2"]) * y["y4"]),
        },
    },
    "chain6": {
        "towers": [f"t{i}" for i in range(1, 7)],
        "events": {
            "s1": lambda y: y["t1"],
            "s3": lambda y: y["t1"] * y["t2"] * y["t3"],
            "s6": lambda y: y["t1"] * y["t2"] * y["t3"] * y["t4"] * y["t5"] * y["t6"],
        },
    },
    "three_branches": {
        "towers": ["click", "buy_cart", "buy_wish", "buy_neither"],
        "softmax": ["cart", "wish", None],
        "events": {
            "cart": lambda y: y["click"] * y["cart"],
            "neither": lambda y: y["click"] * y[None],
            "purchase": lambda y: y["click"]
            * (y["cart"] * y["buy_cart"] + y["wish"] * y["buy_wish"] + y[None] * y["buy_neither"]),
        },
    },
}


def probabilities(graph, logits):
    y = {t: sigmoid(mpf(logits[t])) for t in graph["towers"]}
    branches = graph.get("softmax", [])
    shares = softmax([mpf(logits[b]) if b else mpf(0) for b in branches])
    return y | dict(zip(branches, shares))


def slopes(graph, event, y):
    """dp/da of every tower: p is linear in each tower's probability, and in the shares together."""
    p = event(y)
    branches = graph.get("softmax", [])
    slope = {t: y[t] * (1 - y[t]) * (event(y | {t: 1}) - event(y | {t: 0})) for t in graph["towers"]}
    for b in branches:
        if b:
            only = {other: int(other == b) for other in branches}
            slope[b] = y[b] * (event(y | only) - p)
    return slope


def case(name, logits):
    graph = GRAPHS[name]
    mp.dps = 60 + int(sum(abs(a) for a in logits.values()) / 2.3)
    y = probabilities(graph, logits)
    events = {}
    for event, function in graph["events"].items():
        p = function(y)
        slope = slopes(graph, function, y)
        events[event] = {
            "log_p": float(log(p)),
            "log_rest": float(log(1 - p)),
            "d_log_p": {t: float(d / p) for t, d in sorted(slope.items())},
            "d_log_rest": {t: float(-d / (1 - p)) for t, d in sorted(slope.items())},
        }
    return {"graph": name, "logits": logits, "events": events}


def main():
    draw = random.Random(20)
    cases = []
    for name, graph in GRAPHS.items():
        towers = graph["towers"] + [b for b in graph.get("softmax", []) if b]
        scales = [(1, 2), (8, 3), (40, 4), (80, 4), (700, 3)]
        for scale, count in scales:
            for _ in range(count):
                cases.append(case(name, {t: round(draw.uniform(-scale, scale), 3) for t in towers}))
        for size in (80.0, 1000.0):
            cases.append(case(name, {t: size for t in towers}))
            cases.append(case(name, {t: -size for t in towers}))
            cases.append(case(name, {t: draw.choice((-size, 0.0, size)) for t in towers}))
    print("[")
    print(",\n".join(json.dumps(c) for c in cases))
    print("]")


main()
