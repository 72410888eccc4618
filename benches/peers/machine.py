"""What a figure is worth nothing without: the processor, its instructions, the versions."""

import importlib.metadata
import os
import pathlib
import platform


def cpu_info():
    try:
        return pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def has_bf16():
    """Whether the processor multiplies bf16; rounding in software measures nothing."""
    flags = cpu_info().split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def machine():
    names = [line.split(":")[1].strip() for line in cpu_info().splitlines() if "model name" in line]
    versions = {"python": platform.python_version()}
    for library in ("torch", "tensorflow_cpu", "tensorflow", "keras", "jax", "numpy"):
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"processor": names[:1], "cores": os.cpu_count(), "versions": versions}
