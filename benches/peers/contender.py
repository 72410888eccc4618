"""One contender as a process of its own: models and bursts on demand, a line of JSON each way.

    {"model": "mmoe", "folder": F, "dropout": 0.1}  ->  {"first_losses": [...], "ready_s": 2.5}
    {"steps": 12}                                   ->  {"cpu_ms_per_step": ..., "ms_per_step": ...}

The first answer comes after WARM_STEPS steps. Either may be `{"failed": why}`; the next model may be asked for
all the same.

A peer's program calls `serve` with a function `make(workload, model, dropout)`, which returns a step: a
function of the batch's number (and, counted from 1, of the step's) whose result is the loss.
"""

import json
import os
import statistics
import sys
import time

import workload

WARM_STEPS = 8


def serve(make):
    # What a library prints is no answer: it goes where warnings go.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    model = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "model" in request:
                model = None  # frees the last model before the next is made
                model = Model(make, request)
                answer = {"first_losses": model.first_losses, "ready_s": model.ready_s}
            else:
                answer = model.burst(request["steps"])
        except Exception as error:  # whatever it is: the other contenders go on
            model, answer = None, {"failed": told(error)}
        print(json.dumps(answer), file=answers, flush=True)


class Model:
    """A step, and how many of it were done."""

    def __init__(self, make, request):
        start = time.perf_counter()
        data = workload.Workload(request["folder"])
        self.step = make(data, request["model"], request["dropout"])
        self.n, self.n_batches = 0, len(data.batches)
        self.first_losses = [float(self.next()) for _ in range(WARM_STEPS)]
        self.ready_s = round(time.perf_counter() - start, 2)

    def next(self):
        self.n += 1
        return self.step((self.n - 1) % self.n_batches, self.n)

    def burst(self, steps):
        wall, cpu = [], []
        for _ in range(steps):
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            loss = self.next()
            cpu.append(1e3 * (time.process_time() - cpu_start))
            wall.append(1e3 * (time.perf_counter() - wall_start))
        return {
            "ms_per_step": summary(wall),
            "cpu_ms_per_step": summary(cpu),
            "loss": float(loss),
        }


def told(error):
    """An error in a line: a compiler's begins with who raised it, and the cause comes next."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])}"[:300]


def summary(times):
    return {"median": round(statistics.median(times), 3), "min": round(min(times), 3)}
