"""W1's models batched by hand, over any library of arrays: what a determined user would write.

First layers that read one input are one wide product, later layers and towers one batched product each, all
tables one with offsets. `o` has the library's operations: see `jax_peer.py` and `tensorflow_peer.py`.
"""

from workload import CHAINS, HIDDEN, LAST, SHARED_EXPERTS, TASK_EXPERTS, TASKS


def loss(o, weights, ids, labels, model):
    """The sum over tasks of the mean over rows. `ids` [B, columns] have their offsets added."""
    x = o.reshape(o.take(weights["table"], ids), (ids.shape[0], -1))
    if model in CHAINS:
        hidden = first(o, weights, "first", x, o.drop)
        hidden = o.drop(o.relu(layer(o, weights, "second", hidden)))
        z = layer(o, weights, "logit", hidden)[:, :, 0]
        return sum(o.entropy(p, y) for p, y in chain(o, z, labels, model))
    h = BODIES[model.split("_")[0]](o, weights, x)
    h = o.drop(o.relu(layer(o, weights, "tower.0", h)))
    h = o.drop(o.relu(layer(o, weights, "tower.1", h)))
    z = layer(o, weights, "tower.2", h)[:, :, 0]
    return len(TASKS) * o.logit_entropy(z, labels)


def chain(o, z, labels, model):
    """The chain's probabilities, and what they are fitted to; labels in the order of their names."""
    p = o.sigmoid(z)
    if model == "esmm":
        click, conversion = labels[0], labels[1]
        return [(p[0], click), (p[0] * p[1], click * conversion)]
    action, click, purchase = labels[0], labels[1], labels[2]
    bought = p[1] * p[2] + (1 - p[1]) * p[3]
    return [(p[0], click), (p[0] * p[1], click * action), (p[0] * bought, click * purchase)]


def layer(o, weights, name, h):
    """One layer of S stacks, each with an input of its own: [S, B, in] -> [S, B, out]."""
    z = o.matmul(h, weights[f"{name}.weight"])
    bias = f"{name}.bias"
    return z + weights[bias] if bias in weights else z


def first(o, weights, name, x, drop):
    """First layers of S stacks over one x [B, in]: [S, B, 128]."""
    h = drop(o.relu(o.matmul(x, weights[f"{name}.weight"]) + weights[f"{name}.bias"]))
    return o.transpose(o.reshape(h, (x.shape[0], -1, HIDDEN)), (1, 0, 2))


def mix(o, scores, experts):
    """softmax(scores) [T, B, K] over experts [K, B, d]: [T, B, d]."""
    by_row = o.matmul(
        o.transpose(o.softmax(scores), (1, 0, 2)), o.transpose(experts, (1, 0, 2))
    )
    return o.transpose(by_row, (1, 0, 2))


def shared_bottom(o, weights, x):
    h = layer(o, weights, "second", first(o, weights, "first", x, o.drop))
    return o.concat([h] * len(TASKS), 0)


def mmoe(o, weights, x):
    h = layer(o, weights, "second", first(o, weights, "first", x, o.drop))
    experts, gates = h[: -len(TASKS)], h[-len(TASKS) :]
    return mix(o, layer(o, weights, "scores", gates), experts)


def ple(o, weights, x):
    n, n_own = len(TASKS), len(TASKS) * TASK_EXPERTS
    n_experts = n_own + SHARED_EXPERTS

    def keep(h):
        return h

    h = layer(o, weights, "second", first(o, weights, "first", x, keep))
    outputs = by_task(o, h[:n_experts], layer(o, weights, "scores", h[n_experts : n_experts + n]))
    shared_scores = layer(o, weights, "shared_scores", h[-1:])
    shared = mix(o, shared_scores, h[:n_experts])[0]
    own = [first(o, weights, f"last.first.{t}", outputs[t], keep) for t in range(n)]
    shared = first(o, weights, "last.first.shared", shared, keep)
    experts = [h[:TASK_EXPERTS] for h in own]
    hidden = o.concat([*experts, shared, *(h[TASK_EXPERTS:] for h in own)], 0)
    h = layer(o, weights, "last.second", hidden)
    return by_task(o, h[:n_experts], layer(o, weights, "last.scores", h[n_experts:]))


def by_task(o, experts, scores):
    """Each task's gate over its own experts and the shared ones: [T, B, 64]."""
    n, rows = len(TASKS), experts.shape[1]
    own = o.reshape(experts[: n * TASK_EXPERTS], (n, TASK_EXPERTS, rows, LAST))
    shared = experts[n * TASK_EXPERTS :]
    weights = o.transpose(o.softmax(scores), (0, 2, 1))[:, :, :, None]
    mixed = o.sum(weights[:, :TASK_EXPERTS] * own, 1)
    return mixed + o.sum(weights[:, TASK_EXPERTS:] * shared[None], 1)


BODIES = {"shared": shared_bottom, "mmoe": mmoe, "ple": ple}
