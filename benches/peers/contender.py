"""One contender as a process of its own: models and bursts on demand, a line of JSON each way.

    {"model": "mmoe", "folder": F, "dropout": 0.1}  ->  {"first_losses": [...]} after WARM_STEPS steps
    {"steps": 12}                                   ->  {"cpu_ms_per_step": ..., "ms_per_step": ...}

A peer's program calls `serve` with a function `make(workload, model, dropout)`, which returns a step: a
function of the batch's number (and, counted from 1, of the step's) whose result is the loss.
"""

import json
import statistics
import sys
import time

import workload

WARM_STEPS = 8


def serve(make):
    step, n = None, 0
    for line in sys.stdin:
        request = json.loads(line)
        if "model" in request:
            step = None  # frees the last model before the next is made
            data = workload.Workload(request["folder"])
            step, n = make(data, request["model"], request["dropout"]), 0
            losses = []
            for n in range(1, WARM_STEPS + 1):
                losses.append(float(step((n - 1) % len(data.batches), n)))
            answer = {"first_losses": losses}
        else:
            wall, cpu = [], []
            for _ in range(request["steps"]):
                n += 1
                wall_start, cpu_start = time.perf_counter(), time.process_time()
                loss = step((n - 1) % len(data.batches), n)
                cpu.append(1e3 * (time.process_time() - cpu_start))
                wall.append(1e3 * (time.perf_counter() - wall_start))
            answer = {"ms_per_step": summary(wall), "cpu_ms_per_step": summary(cpu)}
            answer["loss"] = float(loss)
        print(json.dumps(answer), flush=True)


def summary(times):
    return {"median": round(statistics.median(times), 3), "min": round(min(times), 3)}
