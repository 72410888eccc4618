"""Workload W1's models in PyTorch, in two forms; `torch_peer.py` trains them, `prediction.py` runs them.

W1: 30 categorical features of dimension 16 (27,000 users, 7,500 videos, 28 columns of 10 to 1,000 ids,
log-spaced; Zipf 1.05), three tasks, batch 1,024, every stack [128, 64] in the tutorial preset, dropout
0.1. Logits are [towers, B].

- `Eager`: one module for each table, expert, gate and tower, as one would write it first;
- `Batched`: one table with offsets, first layers that read one input as one wide product, later
  layers by bmm, towers by bmm.
"""

import numpy
import torch
from torch import nn
from torch.nn import functional

DIM = 16
CARDINALITIES = [27_000, 7_500] + [int(round(n)) for n in numpy.geomspace(10, 1_000, 28)]
N_IN = DIM * len(CARDINALITIES)
N_TASKS = 3
BATCH = 1_024
N_BATCHES = 16
DROPOUT = 0.1
TASK_EXPERTS, SHARED_EXPERTS = 4, 2


# --- data -------------------------------------------------------------------------------------------


def make_batches():
    """Ids [B, 30] with Zipf 1.05 popularity in each column, and labels [T, B]."""
    rng = numpy.random.default_rng(1)
    rates = numpy.array([[0.3], [0.1], [0.02]])
    columns = []
    for n in CARDINALITIES:
        weights = numpy.arange(1, n + 1, dtype=numpy.float64) ** -1.05
        popularity = numpy.cumsum(weights / weights.sum())
        draws = numpy.searchsorted(popularity, rng.random(N_BATCHES * BATCH))
        # Popular ids are not neighbours in a real vocabulary.
        columns.append(rng.permutation(n)[numpy.minimum(draws, n - 1)])
    ids = numpy.stack(columns, axis=1).reshape(N_BATCHES, BATCH, len(CARDINALITIES))
    labels = rng.random((N_BATCHES, N_TASKS, BATCH)) < rates
    return [
        (torch.from_numpy(ids[i].copy()), torch.from_numpy(labels[i].astype(numpy.float32)))
        for i in range(N_BATCHES)
    ]


# --- eager: plain modules ---------------------------------------------------------------------------


class Tables(nn.Module):
    """One nn.Embedding for each column, side by side."""

    def __init__(self, sparse, cardinalities):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, DIM, sparse=sparse) for n in cardinalities)
        for table in self.tables:
            nn.init.uniform_(table.weight, -0.05, 0.05)

    def forward(self, ids):
        return torch.cat([table(ids[:, i]) for i, table in enumerate(self.tables)], dim=1)


def stack(n_in, dropout=DROPOUT):
    """MLP[128, 64] with a linear last layer."""
    return nn.Sequential(nn.Linear(n_in, 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, 64))


def gate(n_in, n_experts, dropout=DROPOUT):
    return nn.Sequential(stack(n_in, dropout), nn.Linear(64, n_experts, bias=False), nn.Softmax(1))


def tower(n_in=64):
    first = [nn.Linear(n_in, 128), nn.ReLU(), nn.Dropout(DROPOUT)]
    second = [nn.Linear(128, 64), nn.ReLU(), nn.Dropout(DROPOUT)]
    return nn.Sequential(*first, *second, nn.Linear(64, 1))


def mix(weights, experts):
    """[B, K] and K times [B, d] -> [B, d]."""
    return (weights.unsqueeze(2) * torch.stack(experts, dim=1)).sum(dim=1)


class EagerSharedBottom(nn.Module):
    def __init__(self):
        super().__init__()
        self.bottom = stack(N_IN)

    def forward(self, x):
        return [self.bottom(x)] * N_TASKS


class EagerMmoe(nn.Module):
    def __init__(self, n_experts):
        super().__init__()
        self.experts = nn.ModuleList(stack(N_IN) for _ in range(n_experts))
        self.gates = nn.ModuleList(gate(N_IN, n_experts) for _ in range(N_TASKS))

    def forward(self, x):
        experts = [expert(x) for expert in self.experts]
        return [mix(task_gate(x), experts) for task_gate in self.gates]


class EagerLevel(nn.Module):
    """A CGC level; no dropout inside it in the tutorial preset."""

    def __init__(self, n_in, last):
        super().__init__()
        self.own = nn.ModuleList(
            nn.ModuleList(stack(n_in, 0.0) for _ in range(TASK_EXPERTS)) for _ in range(N_TASKS)
        )
        self.shared = nn.ModuleList(stack(n_in, 0.0) for _ in range(SHARED_EXPERTS))
        n_seen = TASK_EXPERTS + SHARED_EXPERTS
        self.gates = nn.ModuleList(gate(n_in, n_seen, 0.0) for _ in range(N_TASKS))
        n_all = N_TASKS * TASK_EXPERTS + SHARED_EXPERTS
        self.shared_gate = None if last else gate(n_in, n_all, 0.0)

    def forward(self, inputs):
        own = [[expert(x) for expert in bank] for bank, x in zip(self.own, inputs)]
        shared = [expert(inputs[-1]) for expert in self.shared]
        outputs = [mix(g(x), mine + shared) for g, x, mine in zip(self.gates, inputs, own)]
        if self.shared_gate is not None:
            outputs.append(mix(self.shared_gate(inputs[-1]), sum(own, []) + shared))
        return outputs


class EagerPle(nn.Module):
    def __init__(self):
        super().__init__()
        self.levels = nn.ModuleList([EagerLevel(N_IN, last=False), EagerLevel(64, last=True)])

    def forward(self, x):
        outputs = [x] * (N_TASKS + 1)
        for level in self.levels:
            outputs = level(outputs)
        return outputs


class EagerTowers(nn.Module):
    """Towers over x alone: what stands under a chain."""

    def __init__(self, n_towers, sparse, cardinalities=CARDINALITIES):
        super().__init__()
        self.tables = Tables(sparse, cardinalities)
        self.towers = nn.ModuleList(tower(N_IN) for _ in range(n_towers))

    def forward(self, ids):
        x = self.tables(ids)
        return torch.stack([t(x).squeeze(1) for t in self.towers])


class Eager(nn.Module):
    def __init__(self, body, sparse, cardinalities=CARDINALITIES):
        super().__init__()
        self.tables = Tables(sparse, cardinalities)
        self.body = body
        self.towers = nn.ModuleList(tower() for _ in range(N_TASKS))

    def forward(self, ids):
        outputs = self.body(self.tables(ids))
        return torch.stack([t(h).squeeze(1) for t, h in zip(self.towers, outputs)])


# --- batched by hand --------------------------------------------------------------------------------


class OneTable(nn.Module):
    """All tables in one, each column shifted by its offset: one gather for x."""

    def __init__(self, sparse, cardinalities):
        super().__init__()
        self.table = nn.Embedding(sum(cardinalities), DIM, sparse=sparse)
        nn.init.uniform_(self.table.weight, -0.05, 0.05)
        offsets = numpy.concatenate([[0], numpy.cumsum(cardinalities)[:-1]])
        self.register_buffer("offsets", torch.from_numpy(offsets))

    def forward(self, ids):
        return self.table(ids + self.offsets).view(ids.shape[0], N_IN)


def glorot(*shape):
    bound = (6.0 / (shape[-2] + shape[-1])) ** 0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


def stock_drop(h):
    return functional.dropout(h, DROPOUT)


def cheap_drop(h):
    random = torch.empty(h.numel() // 8, dtype=torch.int64).random_().view(torch.uint8)
    return h * (random >= 26).to(h.dtype).mul_(256 / 230).view(h.shape)


def no_drop(h):
    return h


class Wide(nn.Module):
    """The first layers [n_in, 128] of G stacks that read one input: one product, [G, B, 128]."""

    def __init__(self, n_in, n_stacks, drop):
        super().__init__()
        self.n_stacks = n_stacks
        self.drop = drop
        self.linear = nn.Linear(n_in, 128 * n_stacks)

    def forward(self, x):
        h = self.drop(functional.relu(self.linear(x)))
        return h.view(x.shape[0], self.n_stacks, 128).transpose(0, 1)


class PerStack(nn.Module):
    """One layer of G stacks, each with an input of its own: [G, B, n_in] -> [G, B, n_out]."""

    def __init__(self, n_stacks, n_in, n_out, bias=True):
        super().__init__()
        self.weight = glorot(n_stacks, n_in, n_out)
        self.bias = nn.Parameter(torch.zeros(n_stacks, 1, n_out)) if bias else None

    def forward(self, h):
        if self.bias is None:
            return torch.bmm(h, self.weight)
        return torch.baddbmm(self.bias, h, self.weight)


def mix_all(weights, experts):
    """[T, B, K] and [K, B, d] -> [T, B, d]: every task mixes the same experts.

    A product for each row: with 16 experts a quarter of the time of broadcasting and summing.
    """
    return torch.bmm(weights.transpose(0, 1), experts.transpose(0, 1)).transpose(0, 1)


class BatchedSharedBottom(nn.Module):
    def __init__(self, drop):
        super().__init__()
        self.first = Wide(N_IN, 1, drop)
        self.second = PerStack(1, 128, 64)

    def forward(self, x):
        return self.second(self.first(x)).expand(N_TASKS, -1, -1)


class BatchedMmoe(nn.Module):
    def __init__(self, drop, n_experts):
        super().__init__()
        self.n_experts = n_experts
        self.first = Wide(N_IN, n_experts + N_TASKS, drop)
        self.second = PerStack(n_experts + N_TASKS, 128, 64)
        self.scores = PerStack(N_TASKS, 64, n_experts, bias=False)

    def forward(self, x):
        experts, gates = self.second(self.first(x)).split([self.n_experts, N_TASKS])
        return mix_all(torch.softmax(self.scores(gates), dim=2), experts)


class BatchedLevel(nn.Module):
    """Stacks in the order: each task's experts, the shared experts, the gates."""

    def __init__(self, n_in, last):
        super().__init__()
        self.last = last
        self.n_own = N_TASKS * TASK_EXPERTS
        self.n_experts = self.n_own + SHARED_EXPERTS
        n_gates = N_TASKS + (0 if last else 1)
        self.first = self.first_layers(n_in, n_gates)
        self.second = PerStack(self.n_experts + n_gates, 128, 64)
        self.scores = PerStack(N_TASKS, 64, TASK_EXPERTS + SHARED_EXPERTS, bias=False)
        self.shared_scores = None if last else nn.Linear(64, self.n_experts, bias=False)

    def first_layers(self, n_in, n_gates):
        if not self.last:
            return Wide(n_in, self.n_experts + n_gates, no_drop)
        per_task = [Wide(n_in, TASK_EXPERTS + 1, no_drop) for _ in range(N_TASKS)]
        return nn.ModuleList([*per_task, Wide(n_in, SHARED_EXPERTS, no_drop)])

    def hidden(self, inputs):
        """Level 0 reads one x; the last level one input for each task and a shared one."""
        if not self.last:
            return self.first(inputs)
        *per_task, shared = [wide(x) for wide, x in zip(self.first, inputs)]
        own = [h[:TASK_EXPERTS] for h in per_task]
        return torch.cat(own + [shared] + [h[TASK_EXPERTS:] for h in per_task])

    def forward(self, inputs):
        h = self.second(self.hidden(inputs))
        experts, gates, *shared_gate = h.split([self.n_experts, N_TASKS] + [1] * (not self.last))
        own, shared = experts.split([self.n_own, SHARED_EXPERTS])
        own = own.view(N_TASKS, TASK_EXPERTS, *own.shape[1:])
        weights = torch.softmax(self.scores(gates), dim=2).transpose(1, 2).unsqueeze(3)
        own_weights, shared_weights = weights.split([TASK_EXPERTS, SHARED_EXPERTS], dim=1)
        # By broadcasting: with so few experts at a time a product for each row was slower.
        outputs = (own_weights * own).sum(dim=1) + (shared_weights * shared).sum(dim=1)
        if self.last:
            return outputs
        weights = torch.softmax(self.shared_scores(shared_gate[0]), dim=2)
        return [*outputs, *mix_all(weights, experts)]


class BatchedPle(nn.Module):
    def __init__(self, _drop):
        super().__init__()
        self.level_0 = BatchedLevel(N_IN, last=False)
        self.level_1 = BatchedLevel(64, last=True)

    def forward(self, x):
        return self.level_1(self.level_0(x))


class BatchedTowers(nn.Module):
    """Towers over x alone: what stands under a chain."""

    def __init__(self, n_towers, drop, sparse, cardinalities=CARDINALITIES):
        super().__init__()
        self.tables = OneTable(sparse, cardinalities)
        self.first = Wide(N_IN, n_towers, drop)
        self.second, self.logit = PerStack(n_towers, 128, 64), PerStack(n_towers, 64, 1)
        self.drop = drop

    def forward(self, ids):
        h = self.drop(functional.relu(self.second(self.first(self.tables(ids)))))
        return self.logit(h).squeeze(2)


class Batched(nn.Module):
    def __init__(self, body, drop, sparse, cardinalities=CARDINALITIES):
        super().__init__()
        self.tables = OneTable(sparse, cardinalities)
        self.body = body(drop)
        self.drop = drop
        self.tower = nn.ModuleList(
            [PerStack(N_TASKS, 64, 128), PerStack(N_TASKS, 128, 64), PerStack(N_TASKS, 64, 1)]
        )

    def forward(self, ids):
        h = self.body(self.tables(ids))
        for layer in self.tower[:-1]:
            h = self.drop(functional.relu(layer(h)))
        return self.tower[-1](h).squeeze(2)
