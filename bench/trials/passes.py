"""With how many padded tokens per forward pass a step is fastest.

    python -m bench.trials.passes [--quick] [--device cpu|cuda] [--dtype float32|bfloat16]

The model and the examples are those of ``bench.trials``, 64 examples a step. Sizes take turns, one
step each, after one that does not count; seconds are medians, of a CPU the process's own, of one
thread, or with ``--threads N`` what went by with so many. The last line is for a machine: the
fastest size, and how much slower others are.
"""

import argparse
import time
from dataclasses import replace
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from bench.trials.process import now
from bench.trials.task import ALPHA_PER_RANK, OPTIMIZER, QUICK, SEED, SMALL
from tuning.back_ends import ADAPTER_BACK_ENDS, DEFAULT_BACK_END
from tuning.batches import Passes
from tuning.training import train

SIZES = (256, 512, 1024, 2048, 4096, 8192)
PER_STEP = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a smaller model, under a minute")
    parser.add_argument("--turns", type=int, default=5, help="steps of each size that count")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    task = replace(QUICK if asked.quick else SMALL, per_step=PER_STEP)
    place = torch.device(asked.device)
    model = task.model(getattr(torch, asked.dtype)).to(place)
    attached = ADAPTER_BACK_ENDS[DEFAULT_BACK_END].attach(
        model, task.ranks(), alpha_per_rank=ALPHA_PER_RANK, seed=SEED
    )
    steps = task.steps_of(task.examples(), 1)
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(1 + asked.turns):
        for size, found in seconds.items():
            passes = Passes.of_tokens(size, task.length, PER_STEP)
            began = _clock(place, asked.threads)
            train(model, attached.parameters, steps, OPTIMIZER, steps=1, passes=passes)
            found.append(_clock(place, asked.threads) - began)
    medians = {size: median(found[1:]) for size, found in seconds.items()}
    tokens = sum(len(example.tokens) for example in steps[0])
    _show(medians, tokens)


def _clock(place: torch.device, threads: int) -> float:
    return time.perf_counter() if place.type == "cpu" and threads > 1 else now(place)


def _show(medians: dict[int, float], tokens: int) -> None:
    best = min(medians, key=lambda size: medians[size])
    table = Table(title=f"A step of {PER_STEP} examples, {tokens:,} tokens, medians")
    for column in ("padded tokens per pass", "seconds", "tokens / s", "of the fastest"):
        table.add_column(column, justify="right")
    for size, seconds in medians.items():
        share = f"{seconds / medians[best]:.3f}"
        table.add_row(f"{size:,}", f"{seconds:.3f}", f"{tokens / seconds:,.0f}", share)
    Console(width=120).print(table)
    slower = " ".join(f"at_{size}={found / medians[best]:.3f}" for size, found in medians.items())
    print(f"fastest={best} {slower}")


if __name__ == "__main__":
    main()
