"""Contenders as processes of their own, in short bursts in turn.

A machine's speed drifts by more than two programs differ, and its neighbours come and go: what is compared
stands side by side in time.
"""

import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile

# Bursts are as long as was asked for, within these numbers of steps.
FEWEST_STEPS, MOST_STEPS = 3, 40


class Process:
    """A contender: a line in, a line out."""

    def __init__(self, command, threads):
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        # Warnings of libraries; an answer says what failed.
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            list(map(str, command)),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def read(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.errors.seek(0)
        last = self.errors.read().strip().splitlines()
        return {"failed": last[-1] if last else f"it ended with code {self.process.wait()}"}

    def ask(self, request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # `read` has the reason
        return self.read()

    def peak_mib(self):
        """The most memory that it held at a time; None where the system does not say."""
        try:
            with open(f"/proc/{self.process.pid}/status") as status:
                lines = [line.split() for line in status if line.startswith("VmHWM:")]
        except OSError:
            return None
        return round(int(lines[0][1]) / 1024) if lines else None

    def stop(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()


class Ours(Process):
    """Our binary `w1` in bursts: a request is a number of steps. `options` are its own."""

    def __init__(self, binary, threads, options):
        super().__init__([binary, "--bursts", *options], threads)
        self.about = self.read()
        if "failed" in self.about:
            sys.exit(f"{binary}: {self.about['failed']}")

    def ask(self, request):
        return super().ask(request["steps"])


def alternate(contenders, n_bursts, burst_ms):
    """By name, the answers of a contender's bursts; one that fails is left out, with a word."""
    bursts, lengths, failed = collections.defaultdict(list), {}, set()
    for _ in range(n_bursts):
        for name, contender in contenders.items():
            if name in failed:
                continue
            answer = contender.ask({"steps": lengths.get(name, FEWEST_STEPS)})
            if "failed" in answer:
                print(f"{name} is left out: {answer['failed']}")
                failed.add(name)
                bursts.pop(name, None)
                continue
            bursts[name].append(answer)
            took = answer["ms_per_step"]["median"]
            lengths[name] = int(min(max(burst_ms / took, FEWEST_STEPS), MOST_STEPS))
    return bursts


def compared(bursts, threads):
    """What is compared: processor time on one thread, where every program says it, else wall time, since
    threads that wait cost processor time too."""
    told = all(burst["cpu_ms_per_step"] for lines in bursts.values() for burst in lines)
    return "cpu_ms_per_step" if threads == 1 and told else "ms_per_step"


def middle(lines, key):
    """The median over bursts of the burst's median; None where a program does not say it."""
    if not all(line[key] for line in lines):
        return None
    return round(statistics.median(line[key]["median"] for line in lines), 3)


def best(lines, key):
    """The shortest step of all bursts."""
    return min(line[key]["min"] for line in lines)
