"""Losses of a logit (or prediction) z and a target y, with 60 digits, for `losses.json`; those of several
classes and of pairs in float64 by PyTorch."""

import mpmath
import torch

mpmath.mp.dps = 60

LOGITS = [-80.0, -40.0, -20.0, -10.0, -5.0, -2.5, -1.0, -0.5, -0.25, -1e-3, 0.0]
LOGITS = LOGITS + [-z for z in reversed(LOGITS[:-1])]


def sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def bce(z, y):
    """-y ln p - (1 - y) ln(1 - p), p = sigmoid(z)."""
    value = mpmath.log(1 + mpmath.exp(z)) - y * z
    return value, sigmoid(z) - y


def mse(z, y):
    """(z - y)^2, without a half."""
    return (z - y) ** 2, 2 * (z - y)


def huber(z, y, delta):
    """r^2 / 2 within delta, delta (|r| - delta / 2) beyond it."""
    r = z - y
    if abs(r) <= delta:
        return r * r / 2, r
    return delta * (abs(r) - delta / 2), delta * mpmath.sign(r)


def focal(z, y, gamma, alpha):
    """-a (1 - q)^gamma ln q with q = p, a = alpha for y = 1 and q = 1 - p, a = 1 - alpha for y = 0."""
    sign, weight = (1, alpha) if y == 1 else (-1, 1 - alpha)
    q, rest = sigmoid(sign * z), sigmoid(-sign * z)
    log_q = -mpmath.log(1 + mpmath.exp(-sign * z))
    value = -weight * rest**gamma * log_q
    # dq/dz = sign q (1 - q)
    slope = weight * sign * rest**gamma * (gamma * q * log_q - rest)
    return value, slope


def weighted_bce(z, y, positive_weight):
    """-w y ln p - (1 - y) ln(1 - p)."""
    value = positive_weight * y * mpmath.log(1 + mpmath.exp(-z)) + (1 - y) * mpmath.log(1 + mpmath.exp(z))
    return value, (1 - y) * sigmoid(z) - positive_weight * y * sigmoid(-z)


def log_cosh(z, y):
    """ln cosh(z - y)."""
    return mpmath.log(mpmath.cosh(z - y)), mpmath.tanh(z - y)


LOSSES = [
    ("bce", {}, bce, [0.0, 1.0, 0.25]),
    ("mse", {}, mse, [0.0, 1.0, -2.5]),
    ("huber", {"delta": 1.0}, huber, [0.0, 1.0, -2.5]),
    ("huber", {"delta": 0.5}, huber, [0.0, 1.0, -2.5]),
    ("focal", {"gamma": 2.0, "alpha": 0.25}, focal, [0.0, 1.0]),
    ("weighted_bce", {"positive_weight": 3.5}, weighted_bce, [0.0, 1.0, 0.25]),
    ("log_cosh", {}, log_cosh, [0.0, 1.0, -2.5]),
]

# A batch with missing labels and weights: value sum w l / sum w, gradient w_i l'_i / sum w.
BATCH = {
    "logits": [-80.0, -1.5, 0.0, 0.3, 2.0, 80.0, 5.0],
    "targets": [1.0, 0.0, 1.0, None, 0.0, 0.0, 1.0],
    "weights": [0.5, 1.0, 2.0, 3.0, 0.25, 1.5, 0.0],
}


def exact(settings):
    return {name: mpmath.mpf(value) for name, value in settings.items()}


def pointwise(loss, settings, target):
    pairs = [loss(mpmath.mpf(z), mpmath.mpf(target), **exact(settings)) for z in LOGITS]
    for z, (_, slope) in zip(LOGITS, pairs):
        check_slope(loss, settings, z, target, slope)
    return {
        "target": target,
        "value": [float(value) for value, _ in pairs],
        "gradient": [float(slope) for _, slope in pairs],
    }


def check_slope(loss, settings, z, target, slope):
    step = mpmath.mpf(10) ** -20
    z, y = mpmath.mpf(z), mpmath.mpf(target)
    up, down = loss(z + step, y, **exact(settings))[0], loss(z - step, y, **exact(settings))[0]
    error = abs((up - down) / (2 * step) - slope)
    assert error <= mpmath.mpf(10) ** -18, (loss.__name__, z, target, error)


def weighted_mean(loss, settings):
    numerator, denominator, slopes = mpmath.mpf(0), mpmath.mpf(0), []
    for z, y, w in zip(*BATCH.values()):
        if y is None:
            slopes.append(mpmath.mpf(0))
            continue
        value, slope = loss(mpmath.mpf(z), mpmath.mpf(y), **exact(settings))
        numerator, denominator = numerator + mpmath.mpf(w) * value, denominator + mpmath.mpf(w)
        slopes.append(mpmath.mpf(w) * slope)
    gradient = [float(slope / denominator) for slope in slopes]
    return {"value": float(numerator / denominator), "gradient": gradient}


def losses_file():
    cases = []
    for name, settings, loss, targets in LOSSES:
        case = {"name": name, "settings": settings}
        case["pointwise"] = [pointwise(loss, settings, target) for target in targets]
        case["weighted_mean"] = weighted_mean(loss, settings)
        cases.append(case)
    return {
        "logits": LOGITS,
        "batch": BATCH,
        "cases": cases,
        "softmax": softmax(),
        "pairwise": pairwise(),
    }


def softmax():
    """Weighted mean cross-entropy of four classes by torch.nn.functional.cross_entropy."""
    generator = torch.Generator().manual_seed(7)
    logits = 4 * torch.randn(9, 4, generator=generator, dtype=torch.float64)
    logits[3] *= 20  # a certain class
    logits.requires_grad_(True)
    labels = [0, 3, 1, 2, None, 3, 0, 1, 2]
    weights = torch.tensor([1.0, 0.5, 2.0, 1.0, 3.0, 0.0, 1.5, 0.25, 1.0], dtype=torch.float64)
    rows = [i for i, label in enumerate(labels) if label is not None]
    targets = torch.tensor([labels[i] for i in rows])
    each = torch.nn.functional.cross_entropy(logits[rows], targets, reduction="none")
    loss = (weights[rows] * each).sum() / weights[rows].sum()
    loss.backward()
    return {
        "logits": logits.tolist(),
        "labels": labels,
        "weights": weights.tolist(),
        "value": loss.item(),
        "gradient": logits.grad.tolist(),
    }


def pairwise():
    """BPR over every pair of a group by torch's logsigmoid; a pair weighs the product of its rows."""
    generator = torch.Generator().manual_seed(8)
    n = 11
    logits = (3 * torch.randn(n, generator=generator, dtype=torch.float64)).requires_grad_(True)
    labels = [1, 0, 0, 1, None, 1, 0, 1, 0, 1, 0]
    groups = [4, 4, 9, 4, 4, 9, 4, 2, 4, 9, 7]
    weights = [1.0, 0.5, 2.0, 1.0, 3.0, 0.25, 0.0, 1.5, 1.0, 2.0, 1.0]
    total, weight = torch.zeros((), dtype=torch.float64), 0.0
    for i in range(n):
        for j in range(n):
            if groups[i] == groups[j] and labels[i] == 1 and labels[j] == 0:
                pair = weights[i] * weights[j]
                total = total - pair * torch.nn.functional.logsigmoid(logits[i] - logits[j])
                weight += pair
    loss = total / weight
    loss.backward()
    return {
        "logits": logits.tolist(),
        "labels": labels,
        "groups": groups,
        "weights": weights,
        "total_weight": weight,
        "value": loss.item(),
        "gradient": logits.grad.tolist(),
    }
