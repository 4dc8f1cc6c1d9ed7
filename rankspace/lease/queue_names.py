"""Queue names: the queues in Redis, by what a trial needs of its worker.

A trial is announced in the queue of its model, which workers that have it loaded listen to, and a
little later in the queue of its needs, which every worker listens to that meets them.
"""

import math
from collections.abc import Iterable

PREFIX = "rankadaptor:queue:"

STEPS = (0, 8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 144, 192, 288)
"""Sizes of GPU memory in GiB that needs are rounded up to; a worker listens to all up to its own.
"""

SOLD = 0.9
"""Share of the size that a GPU is sold with, which it has at least: one of 24 GB has less than 24
GiB. It listens to that size all the same, or none of its kind would hear of a trial that needs 17.
Who hears of what does not fit is refused it."""

ANY = "any"

NO_GPU = "cpu"


def of_need(gpu_memory_gib: float, architecture: str) -> str:
    """Queue of a trial that needs ``gpu_memory_gib`` and a loader for ``architecture``."""
    step = next((step for step in STEPS if step >= gpu_memory_gib), math.ceil(gpu_memory_gib))
    return f"{PREFIX}need:{step}:{architecture or ANY}"


def without_gpu(architecture: str) -> str:
    """Queue of a trial that a worker without a GPU may run, and not every GPU is large enough for.

    Other workers do not listen to it: of what is announced for any worker, GPUs that are too small
    would take the announcement, and be refused the trial.
    """
    return f"{PREFIX}need:{NO_GPU}:{architecture or ANY}"


def of_model(fingerprint: str) -> str:
    """Queue of the trials of one model."""
    return f"{PREFIX}model:{fingerprint}"


def served(
    gpu_memory_gib: float, architectures: Iterable[str], resident: str | None
) -> tuple[str, ...]:
    """Queues a worker listens to, the one of its resident model first, then the largest needs."""
    names = (*architectures, ANY)
    sizes = [step for step in reversed(STEPS) if SOLD * step <= gpu_memory_gib]
    needs = [of_need(size, name) for size in sizes for name in names]
    if not gpu_memory_gib:
        needs += [without_gpu(name) for name in names]
    return (*((of_model(resident),) if resident else ()), *needs)
