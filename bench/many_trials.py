"""Many trials in one worker: memory stays flat, the base model stays as it was, bit by bit.

    python -m bench.many_trials [--trials N] [--device cpu|cuda]

A Llama of random weights is fine-tuned by the worker's own code with one random rank vector after
the other. In the middle one of them diverges (its learning rate is out of all bounds), and one runs
out of memory (on a CPU the process is allowed hardly any beyond what it has; on a GPU all but a
little of it is taken): both must fail and cost nobody else anything. The first trial is repeated at
the end; its losses must be the same numbers, and the base weights those of a fresh load.
The last line is for a machine: memory after the last tenth of the trials less that after the first
tenth, in MiB, and 1 where everything is as it was.
"""

import argparse
import random
import resource
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from bench.phases import MIB, make_dense
from bench.trial_runner import assignment, layers_of
from pruning.container.container import load
from pruning.container.description import describe
from rankspace import Assignment, PrunedModel, RankVector
from rankspace.errors import TrialFailed
from rankspace.recipe import Batch, Data, Optimizer, Recipe
from worker.trial.evaluation import Evaluator

STEPS, LENGTH = 2, 48
RANKS = (0, 2, 4, 8)
LITTLE = 48 * MIB
"""What the trial that runs out of memory may take beyond what is taken already."""

DIVERGING = 1e38
"""So large that sums overflow: of merely huge weights the norms would make zeros, and a loss."""
LONG = 1_024
"""Tokens of an example that needs more than that."""


def order_of(model: PrunedModel, text: Path, trial: int, dice: random.Random) -> Assignment:
    """A trial of a random vector."""
    layers = layers_of(model)
    recipe = Recipe(
        Data(str(text), "text", held_out=16),
        sequence_length=LENGTH,
        batch=Batch(8, 8),
        optimizer=Optimizer(learning_rate=1e-3, warmup_steps=1),
    )
    vector = RankVector(tuple(dice.choice(RANKS) for _ in layers))
    return assignment(model, recipe, layers, vector, seed=trial, steps=STEPS)


def outcome(evaluator: Evaluator, order: Assignment) -> float | str:
    """The held-out loss, or why there is none."""
    try:
        return evaluator.evaluate(order, lambda *_: False).loss
    except TrialFailed as error:
        return error.detail


@contextmanager
def short_of_memory(device: torch.device) -> Iterator[None]:
    """Let this process take hardly any more memory meanwhile."""
    if device.type == "cuda":
        taken = torch.cuda.mem_get_info(device)[0] - LITTLE
        hoard = torch.empty(taken, dtype=torch.uint8, device=device)
        yield
        del hoard
        torch.cuda.empty_cache()
        return
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_size("VmSize") + LITTLE, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def taken_bytes(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else _size("VmRSS")


def _size(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def run(trials: int, device: torch.device, home: Path) -> tuple[list[int], list[str]]:
    """Bytes taken after each trial, and what is not as it should be."""
    make_dense("small", torch.float32, home)
    model, dice = describe(home / "dense"), random.Random(0)
    evaluator = Evaluator(device)
    orders = [order_of(model, home / "text.txt", n, dice) for n in range(1, trials + 1)]
    taken, wrong = [], list[str]()
    first = outcome(evaluator, orders[0])
    for order in orders[1:]:
        if order.trial_id == trials // 2:
            wrong += _check_failures(evaluator, order, device)
        found = outcome(evaluator, order)
        if isinstance(found, str):
            wrong.append(f"trial {order.trial_id} failed: {found}")
        taken.append(taken_bytes(device))
    if outcome(evaluator, orders[0]) != first:
        wrong.append("the first trial comes to another loss at the end")
    return taken, wrong + _changed(evaluator, orders[0], home / "dense")


def _check_failures(evaluator: Evaluator, order: Assignment, device: torch.device) -> list[str]:
    wild = Optimizer(learning_rate=DIVERGING, warmup_steps=0)
    diverged = outcome(evaluator, replace(order, recipe=replace(order.recipe, optimizer=wild)))
    data = replace(order.recipe.data, held_out=2)
    long = replace(order, recipe=replace(order.recipe, data=data, sequence_length=LONG))
    with short_of_memory(device):
        starved = outcome(evaluator, long)
    print(f"diverged: {diverged}\nout of memory: {starved}")
    return [
        f"a trial that should have failed came to {found}"
        for found in (diverged, starved)
        if not isinstance(found, str)
    ]


def _changed(evaluator: Evaluator, order: Assignment, source: Path) -> list[str]:
    """Names of base weights that are not those of a fresh load."""
    mine = evaluator._residence.resident(order).model.state_dict()
    fresh = load(source).model.state_dict()
    return [name for name, weights in fresh.items() if not torch.equal(mine[name].cpu(), weights)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trials-") as name:
        taken, wrong = run(asked.trials, torch.device(asked.device), Path(name))
    tenth = max(1, len(taken) // 10)
    early, late = (statistics.median(part) for part in (taken[:tenth], taken[-tenth:]))
    print(f"after the first tenth {early / MIB:,.0f} MiB, after the last {late / MIB:,.0f}")
    print("\n".join(wrong) or "all as it was")
    print(f"growth_mib={(late - early) / MIB:.1f} as_it_was={int(not wrong)}")


if __name__ == "__main__":
    main()
