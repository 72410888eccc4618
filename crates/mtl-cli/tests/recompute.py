#!/usr/bin/env python3
"""Recomputes AUC, GAUC and val_user of a comparison from its written predictions.

    mtl compare kuairand --path DIR --out OUT --write-predictions
    python3 recompute.py OUT [LOG]

Reads OUT/results.json and OUT/predictions/*.csv, computes every metric anew by other means than
mtl-eval's (ranks by sorting for AUC, a comparison of every pair within a user for GAUC), prints the
largest difference of each metric and fails if it is above 1e-9 (the number of users: above 0).

With LOG, the log of KuaiRand (.csv or .csv.gz), labels and users are taken from it and not from the
predictions, whose own must agree: rows of the last three days, in the order of the log.

Needs nothing but Python.
"""

import collections
import csv
import gzip
import json
import pathlib
import statistics
import sys


def auc(rows):
    """By the sum of ranks, equal predictions sharing their mean rank."""
    rows = sorted(rows)
    positives = sum(y for _, y in rows)
    negatives = len(rows) - positives
    if positives == 0 or negatives == 0:
        return None
    ranks, i = 0.0, 0
    while i < len(rows):
        j = i
        while j < len(rows) and rows[j][0] == rows[i][0]:
            j += 1
        ranks += sum(y for _, y in rows[i:j]) * (i + 1 + j) / 2
        i = j
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def auc_of_pairs(rows):
    """By every pair of a positive and a negative."""
    positives = [p for p, y in rows if y == 1]
    negatives = [p for p, y in rows if y == 0]
    if not positives or not negatives:
        return None
    won = sum((a > b) + (a == b) / 2 for a in positives for b in negatives)
    return won / (len(positives) * len(negatives))


def measure(labels, groups, predicted):
    rows = [(p, int(y)) for p, y in zip(predicted, labels) if y is not None]
    by_group = collections.defaultdict(list)
    for group, p, y in zip(groups, predicted, labels):
        if y is not None:
            by_group[group].append((p, int(y)))
    of_groups = [a for a in map(auc_of_pairs, by_group.values()) if a is not None]
    gauc = statistics.fmean(of_groups) if of_groups else None
    return {"auc": auc(rows), "gauc": gauc, "val_users": len(of_groups)}


def read_log(path):
    """Users and labels of the last three days."""
    opened = gzip.open(path, "rt") if path.endswith(".gz") else open(path)
    with opened as file:
        rows = list(csv.DictReader(file))
    first = sorted({row["date"] for row in rows})[-3]
    return [row for row in rows if row["date"] >= first]


def main(out, log=None):
    out = pathlib.Path(out)
    results = json.loads((out / "results.json").read_text())
    log = read_log(log) if log else None
    worst = collections.Counter({"auc": 0.0, "gauc": 0.0, "val_users": 0.0})
    n = 0
    for model in results["models"]:
        found = collections.defaultdict(list)
        name = "".join(c if c.isalnum() or c == "_" else "-" for c in model["model"])
        for seed in model["seeds"]:
            (path,) = (out / "predictions").glob(f"*-{name}-seed{seed}.csv")
            with open(path) as file:
                rows = list(csv.DictReader(file))
            assert [int(row["row"]) for row in rows] == list(range(results["rows"])), path
            groups = [row["group"] for row in rows]
            if log:
                users = [row["user_id"] for row in log]
                pairs = set(zip(users, groups))
                assert len(users) == len(groups), path
                assert len(pairs) == len(set(users)) == len(set(groups)), f"{path}: users differ"
                groups = users
            for task in model["test"]["auc"]:
                if f"label_{task}" not in rows[0]:
                    continue
                labels = [row[f"label_{task}"] for row in rows]
                if log and task in log[0]:
                    assert labels == [row[task] for row in log], f"{path}: {task} differs"
                labels = [None if y == "" else float(y) for y in labels]
                output = task if task in rows[0] else f"p_{task}"
                predicted = [float(row[output]) for row in rows]
                for metric, value in measure(labels, groups, predicted).items():
                    found[metric, task].append(value)
        for (metric, task), values in found.items():
            mean = model["test"][metric][task]["mean"]
            worst[metric] = max(worst[metric], abs(statistics.fmean(values) - mean))
            n += 1
    for metric, difference in worst.items():
        print(f"{metric}: largest difference {difference:.1e}")
    print(f"{n} figures recomputed")
    limits = {"auc": 1e-9, "gauc": 1e-9, "val_users": 0.0}
    return 1 if n == 0 or any(worst[m] > limit for m, limit in limits.items()) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
