"""The golden cases: one batch, three tasks given out of order, every architecture in both presets."""

from architectures import BATCH_NORM, PRESETS

# In the order of their names, which is the order of x's columns: D = 3 + 1 + 3 + 1 + 3 = 11.
FEATURES = [
    {"name": "a_cat", "kind": "categorical", "rows": 5, "dim": 3},
    {"name": "b_num", "kind": "numeric"},
    {"name": "c_cat", "kind": "categorical", "rows": 7, "dim": 3},
    {"name": "d_num", "kind": "numeric"},
    {"name": "e_cat", "kind": "categorical", "rows": 4, "dim": 3},
]

# Ids repeat within the batch; row 3 of a_cat, 2, 4, 5 of c_cat and 2 of e_cat are never read.
BATCH = {
    "categorical": {
        "a_cat": [0, 2, 2, 4, 0, 1, 2],
        "c_cat": [6, 1, 3, 1, 0, 6, 3],
        "e_cat": [1, 1, 0, 1, 3, 0, 3],
    },
    "numeric": {
        "b_num": [0.5, -1.25, 0.75, 2.0, -0.3, 0.0, 1.1],
        "d_num": [-0.7, 0.4, 1.6, -0.9, 0.2, 1.3, -2.1],
    },
    "labels": {
        "zeta": [1.0, 0.0, None, 1.0, 0.0, 0.0, 1.0],
        "alpha": [None, 1.0, 0.0, 0.0, None, 1.0, 0.0],
        "mid": [0.0, None, 1.0, 1.0, 0.0, 1.0, None],
    },
    "weights": [1.0, 0.5, 2.0, 1.5, 0.25, 1.0, 3.0],
}
TASK_WEIGHTS = {"zeta": 1.0, "alpha": 0.7, "mid": 1.3}

LEVELS = [
    {"task_experts": {"zeta": 2, "alpha": 1, "mid": 2}, "shared_experts": 2},
    {"task_experts": {"zeta": 3, "alpha": 1, "mid": 2}, "shared_experts": 1},
    {"task_experts": {"zeta": 1, "alpha": 2, "mid": 2}, "shared_experts": 3},
]

# Name of the file -> architecture and what it needs beside the common settings.
ARCHITECTURES = {
    "single_task": ("single_task", {}),
    "shared_bottom": ("shared_bottom", {}),
    "omoe": ("omoe", {"experts": 3}),
    "mmoe": ("mmoe", {"experts": 3}),
    "cgc": ("cgc", {"levels": LEVELS[:1]}),
    "ple2": ("ple", {"levels": LEVELS[:2]}),
    "ple3": ("ple", {"levels": LEVELS}),
    "cross_stitch": ("cross_stitch", {}),
    "aitm": ("aitm", {"sequence": ["zeta", "alpha", "mid"]}),
    # Its ids 0, 1 and 3 are in the batch: 0 is the unseen domain, 2 has no row.
    "star": ("star", {"domain": "e_cat"}),
}

EVERY_ROW = list(range(7))
# Every task has a label in each of these; the rows that they read of a table differ.
SUBSETS = [EVERY_ROW, [0, 1, 2, 3], [3, 4, 5, 6]]
WHOLE = [EVERY_ROW] * 3


def variant(name, epsilon_form, table_update, rows_per_step):
    return {
        "name": name,
        "epsilon_form": epsilon_form,
        "table_update": table_update,
        "rows_per_step": rows_per_step,
    }


ADAM_DENSE = variant("adam_dense", "outside", "dense", WHOLE)
ADAM_HAT_LAZY = variant("adam_epsilon_hat_lazy", "epsilon_hat", "lazy", WHOLE)
# On one batch taken three times `lazy` and `dense` agree; on changing rows they do not.
ON_SUBSETS = [
    variant("adam_dense_subsets", "outside", "dense", SUBSETS),
    variant("adam_lazy_subsets", "outside", "lazy", SUBSETS),
    variant("adam_epsilon_hat_lazy_subsets", "epsilon_hat", "lazy", SUBSETS),
]
VARIANTS = {
    "mmoe_tutorial": [ADAM_DENSE, ADAM_HAT_LAZY, *ON_SUBSETS],
    "ple2_paper": [ADAM_DENSE, ADAM_HAT_LAZY],
    "star_tutorial": [ADAM_DENSE, ON_SUBSETS[0]],
}

# Trained parameters of each case, tables included, by hand: README.md shows the sums.
COUNTS = {
    "single_task_tutorial": 453,
    "single_task_paper": 453,
    "shared_bottom_tutorial": 189,
    "shared_bottom_paper": 189,
    "omoe_tutorial": 429,
    "omoe_paper": 393,
    "mmoe_tutorial": 573,
    "mmoe_paper": 465,
    "cgc_tutorial": 915,
    "cgc_paper": 825,
    "ple2_tutorial": 1474,
    "ple2_paper": 1297,
    "ple3_tutorial": 2069,
    "ple3_paper": 1794,
    "cross_stitch_tutorial": 384,
    "cross_stitch_paper": 384,
    "aitm_tutorial": 493,
    "aitm_paper": 493,
    "star_tutorial": 924,
    "star_paper": 924,
    "shared_bottom_batch_norm_tutorial": 217,
    "shared_bottom_batch_norm_paper": 217,
    "mmoe_batch_norm_tutorial": 645,
    "mmoe_batch_norm_paper": 513,
}

# The same for D = 480, three tasks, every stack [128, 64], without tables.
DEFAULT_COUNTS = {
    ("single_task", "tutorial"): 259395,
    ("single_task", "paper"): 259395,
    ("shared_bottom", "tutorial"): 119747,
    ("shared_bottom", "paper"): 119747,
    ("omoe", "tutorial"): 399299,
    ("omoe", "paper"): 331143,
    ("mmoe", "tutorial"): 539459,
    ("mmoe", "paper"): 334991,
    ("cgc", "tutorial"): 1238083,
    ("cgc", "paper"): 1036117,
    ("ple2", "tutorial"): 1591747,
    ("ple2", "paper"): 1276085,
}


def make_case(file, preset, batch_norm):
    architecture, more = ARCHITECTURES[file]
    name = f"{file}_batch_norm_{preset}" if batch_norm else f"{file}_{preset}"
    return {
        "name": name,
        "architecture": architecture,
        "preset": preset,
        "batch_norm": BATCH_NORM[preset] if batch_norm else None,
        "expert_units": [5, 4],
        "gate_units": [4, 3],
        "tower_units": [3],
        **more,
        "features": FEATURES,
        "tasks": list(TASK_WEIGHTS),
        "task_weights": TASK_WEIGHTS,
        "batch": BATCH,
    }


def all_cases():
    plain = [make_case(file, preset, False) for file in ARCHITECTURES for preset in PRESETS]
    normed = [
        make_case(file, preset, True) for file in ("shared_bottom", "mmoe") for preset in PRESETS
    ]
    return plain + normed


def default_width_case(file, preset):
    """The default configuration of the project, for the counts of README.md."""
    counts = {"task_experts": {t: 4 for t in TASK_WEIGHTS}, "shared_experts": 2}
    levels = {"cgc": [counts], "ple2": [counts, counts]}.get(file, [])
    return {
        **make_case(file, preset, False),
        "expert_units": [128, 64],
        "gate_units": [128, 64],
        "tower_units": [128, 64],
        "experts": 4,
        "levels": levels,
    }
