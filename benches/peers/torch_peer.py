"""W1 in PyTorch: a contender of `compare.py`; `w1.py` has the models.

Variants: `eager` and `batched`, the two forms of `w1.py`, under fused Adam, and of each
- `_sparse`: sparse gradients of tables and SparseAdam on them;
- `_compiled`: the model under torch.compile (compilation is not timed; it needs a C++ compiler).

Of `batched` also
- `_cheap`: a mask draws a byte for each element instead of a Bernoulli float (a fifth of MMoE's step on one
  machine), at a rate of 26/256;
- `_tuned`: under torch.compile with `max-autotune-no-cudagraphs`, which times kernels for each product;
- `_bf16`: cheap masks, under autocast to bfloat16; `_compiled_bf16`: under both.
"""

import argparse
import os
import shutil

# In this process alone: helpers that wait would still be there when bursts are timed.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import torch
from torch.nn import functional

import arrays
import contender
import w1
import workload
from workload import CHAINS, TASKS

VARIANTS = ["eager", "eager_sparse", "eager_compiled", "batched", "batched_sparse", "batched_cheap"]
VARIANTS += ["batched_compiled", "batched_tuned", "batched_bf16", "batched_compiled_bf16"]


class Operations:
    """What `arrays.chain` asks of a library."""

    sigmoid = torch.sigmoid
    entropy = functional.binary_cross_entropy


def make(data, model, dropout, variant):
    sparse = variant.endswith("_sparse")
    build = eager if variant.startswith("eager") else batched
    drop = {"batched_cheap": w1.cheap_drop, "batched_bf16": w1.cheap_drop}.get(variant, w1.stock_drop)
    net = build(data, model, sparse, drop if dropout else w1.no_drop)
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = min(module.p, dropout)
    tables = list(net.tables.parameters())
    dense = [p for p in net.parameters() if all(p is not table for table in tables)]
    settings = {"lr": workload.LEARNING_RATE, "eps": workload.EPSILON}
    if sparse:
        adam = torch.optim.Adam(dense, fused=True, **settings)
        optimisers = [adam, torch.optim.SparseAdam(tables, **settings)]
    else:
        optimisers = [torch.optim.Adam(dense + tables, fused=True, **settings)]
    forward = compiled(net, variant)
    batches = [(torch.tensor(ids).long(), torch.tensor(y)) for ids, y in data.batches]
    bf16 = variant.endswith("_bf16")

    def step(batch, n):
        ids, labels = batches[batch]
        for optimiser in optimisers:
            optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            z = forward(ids)
        value = loss(z.float() if bf16 else z, labels, model)
        value.backward()
        if not dropout:
            # For the comparison of losses: Keras's and our place of eps, in PyTorch's form of Adam.
            for group in optimisers[0].param_groups:
                group["eps"] = workload.EPSILON / (1 - 0.999**n) ** 0.5
        for optimiser in optimisers:
            optimiser.step()
        return value.detach()

    return step


def compiled(net, variant):
    """The model as it runs: compiled, if the variant is."""
    if "_compiled" not in variant and "_tuned" not in variant:
        return net
    if not any(map(shutil.which, filter(None, [os.environ.get("CXX"), "g++", "clang++"]))):
        raise RuntimeError("torch.compile needs a C++ compiler, and neither g++ nor clang++ is there")
    return torch.compile(net, mode="max-autotune-no-cudagraphs" if "_tuned" in variant else None)


def loss(z, labels, model):
    """The sum over tasks of the mean over rows."""
    if model in CHAINS:
        o = Operations
        return sum(o.entropy(p, y) for p, y in arrays.chain(o, z, labels, model))
    return len(TASKS) * functional.binary_cross_entropy_with_logits(z, labels)


@torch.no_grad()
def eager(data, model, sparse, _drop):
    columns = data.cardinalities()
    if model in CHAINS:
        net = w1.EagerTowers(len(CHAINS[model]), sparse, columns)
        places = zip(net.towers, workload.stacks(model))
    else:
        body = {"shared_bottom": w1.EagerSharedBottom, "ple_2": w1.EagerPle}.get(model)
        body = body() if body else w1.EagerMmoe(workload.n_experts(model))
        net = w1.Eager(body, sparse, columns)
        places = [*stacks_of(body), *zip(net.towers, (f"task.{t}.tower" for t in TASKS))]
    for table, values in zip(net.tables.tables, data.tables):
        table.weight.copy_(torch.tensor(values))
    for module, path in places:
        linears = [m for m in module.modules() if isinstance(m, torch.nn.Linear)]
        for i, linear in enumerate(linears):
            weight, bias = data.layer(f"{path}.{i}")
            linear.weight.copy_(torch.tensor(weight).T)
            if bias is not None:
                linear.bias.copy_(torch.tensor(bias))
    return net


def stacks_of(body):
    """The modules of an eager body, and the paths of their parameters."""
    if isinstance(body, w1.EagerSharedBottom):
        return [(body.bottom, "bottom")]
    if isinstance(body, w1.EagerMmoe):
        experts = [(expert, f"expert.{k}") for k, expert in enumerate(body.experts)]
        return experts + [(g, f"task.{t}.gate") for g, t in zip(body.gates, TASKS)]
    places = []
    for number, level in enumerate(body.levels):
        own = [expert for bank in level.own for expert in bank]
        modules = [*own, *level.shared, *level.gates, level.shared_gate]
        places += zip(modules, workload.level_stacks(number))
    return places


@torch.no_grad()
def batched(data, model, sparse, drop):
    columns = data.cardinalities()
    if model in CHAINS:
        net = w1.BatchedTowers(len(CHAINS[model]), drop, sparse, columns)
        layers = {"first": net.first, "second": net.second, "logit": net.logit}
    else:
        bodies = {"shared_bottom": w1.BatchedSharedBottom, "ple_2": w1.BatchedPle}
        experts = workload.n_experts
        body = bodies.get(model, lambda drop: w1.BatchedMmoe(drop, experts(model)))
        net = w1.Batched(body, drop, sparse, columns)
        layers = layers_of(net.body) | {f"tower.{i}": net.tower[i] for i in range(3)}
    values = {k: torch.tensor(v) for k, v in workload.batched(data, model).items()}
    net.tables.table.weight.copy_(values["table"])
    for name, layer in layers.items():
        if isinstance(layer, w1.Wide):
            layer.linear.weight.copy_(values[f"{name}.weight"].T)
            layer.linear.bias.copy_(values[f"{name}.bias"])
            continue
        if isinstance(layer, torch.nn.Linear):
            layer.weight.copy_(values[f"{name}.weight"][0].T)
            continue
        layer.weight.copy_(values[f"{name}.weight"])
        if layer.bias is not None:
            layer.bias.copy_(values[f"{name}.bias"])
    return net


def layers_of(body):
    """The layers of a batched body by their names in `workload.batched`."""
    if isinstance(body, w1.BatchedPle):
        first, last = body.level_0, body.level_1
        layers = {"first": first.first, "second": first.second, "scores": first.scores}
        layers |= {"shared_scores": first.shared_scores, "last.second": last.second}
        inputs = [*range(len(TASKS)), "shared"]
        layers |= {f"last.first.{i}": wide for i, wide in zip(inputs, last.first)}
        return layers | {"last.scores": last.scores}
    layers = {"first": body.first, "second": body.second}
    return layers | ({"scores": body.scores} if isinstance(body, w1.BatchedMmoe) else {})


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--variant", choices=VARIANTS, required=True)
    arguments.add_argument("--threads", type=int, default=1)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)

    def make_variant(data, model, dropout):
        torch.compiler.reset()
        torch.manual_seed(1)
        return make(data, model, dropout, given.variant)

    contender.serve(make_variant)


if __name__ == "__main__":
    main()
