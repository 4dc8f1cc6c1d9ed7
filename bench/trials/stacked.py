"""Candidates in one forward pass beside the same candidates one after the other.

    python -m bench.trials.stacked [--quick] [--turns N] [--dtype float32|bfloat16]
        [--device cpu|cuda] [--operators]

K candidates of unequal ranks on a Llama of random weights, on the same examples in the same order:
trained as lanes of one stack, and by the worker's own loop and adapters K times in a row, in one
process by turns; a ratio is the median of those of each turn. Seconds are of attaching, training
and detaching, on a CPU the process's own, of one thread. Peak memory is beyond what was there with
the model: on a CPU VmHWM. The last line is for a machine: how much faster a candidate is in a stack
of K, and how far the final training losses are apart at most, in nats. With ``--operators`` those
of a pass are counted instead, see ``bench.trials.operators``: on a GPU they are about its launches.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from bench.trials.operators import CPU, operators_of_pass
from bench.trials.operators import operators as operators_of
from bench.trials.process import now, peak, reset, resident
from bench.trials.task import ALPHA_PER_RANK, OPTIMIZER, QUICK, SEED, SMALL, Task
from tuning import memory
from tuning.back_ends import ADAPTER_BACK_ENDS, DEFAULT_BACK_END
from tuning.batches import Passes, collate
from tuning.examples import Example
from tuning.stacked.adapter import StackedAdapter
from tuning.stacked.training import repeated, train_lanes
from tuning.training import Training, train

COUNTS = (1, 4, 8, 16)

Steps = Sequence[Sequence[Example]]
Vectors = Sequence[Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Found:
    """What ``count`` candidates took, and what each came to."""

    seconds: float
    bytes: int
    trainings: tuple[Training, ...]

    @property
    def tokens_per_second(self) -> float:
        return sum(one.tokens for one in self.trainings) / self.seconds


def vectors_of(task: Task, count: int) -> list[dict[str, int]]:
    """Ranks of 2 to 8 that differ from candidate to candidate by a turn."""
    names, ranks = zip(*task.ranks().items(), strict=True)
    turned = [(*ranks[lane:], *ranks[:lane]) for lane in range(count)]
    return [dict(zip(names, one, strict=True)) for one in turned]


def in_a_row(model: Any, vectors: Vectors, task: Task, steps: Steps) -> tuple[Training, ...]:
    return tuple(_alone(model, ranks, task, steps) for ranks in vectors)


def _alone(model: Any, ranks: Mapping[str, int], task: Task, steps: Steps) -> Training:
    back_end = ADAPTER_BACK_ENDS[DEFAULT_BACK_END]
    attached = back_end.attach(model, ranks, alpha_per_rank=ALPHA_PER_RANK, seed=SEED)
    count, passes = len(steps), Passes(task.micro)
    trained = train(model, attached.parameters, steps, OPTIMIZER, steps=count, passes=passes)
    attached.detach()
    return trained


def together(model: Any, vectors: Vectors, task: Task, steps: Steps) -> tuple[Training, ...]:
    adapter = StackedAdapter(model, vectors, alpha_per_rank=ALPHA_PER_RANK, seed=SEED)
    outcomes = train_lanes(
        model,
        adapter,
        steps,
        OPTIMIZER,
        steps=len(steps),
        passes=Passes(task.micro),
        on_steps=[None] * len(vectors),
    )
    adapter.detach()
    errors = [one for one in outcomes if not isinstance(one, Training)]
    if errors:
        raise SystemExit(f"a lane failed: {errors[0]}")
    return tuple(one for one in outcomes if isinstance(one, Training))


WAYS: Mapping[str, Callable[[Any, Vectors, Task, Steps], tuple[Training, ...]]] = {
    "stacked": together,
    f"{DEFAULT_BACK_END}, in a row": in_a_row,
}
STACKED, ROW = WAYS


def measured(way: str, model: Any, vectors: Vectors, task: Task, steps: Steps) -> Found:
    place = model.device
    memory.release(place)
    before = torch.cuda.memory_allocated(place) if place.type == "cuda" else resident("VmRSS")
    reset(place)
    began = now(place)
    trainings = WAYS[way](model, vectors, task, steps)
    return Found(now(place) - began, peak(place) - before, trainings)


def ratio(found: Mapping[str, Sequence[Found]]) -> float:
    """How much faster a candidate is in the stack, the median of the turns."""
    pairs = zip(found[ROW], found[STACKED], strict=True)
    return median(row.seconds / stacked.seconds for row, stacked in pairs)


def difference(found: Mapping[str, Sequence[Found]]) -> float:
    """The largest of the final training losses of the same candidate."""
    pairs = zip(found[ROW][-1].trainings, found[STACKED][-1].trainings, strict=True)
    return max(abs(one.final_loss - other.final_loss) for one, other in pairs)


def operators(task: Task, count: int, dtype: torch.dtype) -> int:
    """Count those of a pass of ``count`` lanes."""
    model = task.model(dtype)
    StackedAdapter(model, vectors_of(task, count), alpha_per_rank=ALPHA_PER_RANK, seed=SEED)
    return operators_of_pass(model, repeated(collate(task.examples()[: task.micro], CPU), count))


def _count_operators(dtype: torch.dtype) -> None:
    in_row = operators_of(DEFAULT_BACK_END, dtype)
    found = {count: operators(QUICK, count, dtype) for count in COUNTS}
    print(f"operators of a pass: {in_row} with {DEFAULT_BACK_END}, and in a stack of K")
    print(*(f"k{count}={number}" for count, number in found.items()))


def _show(by_count: Mapping[int, Mapping[str, Sequence[Found]]]) -> None:
    table = Table(title="Candidates, medians; ratio: how much faster than in a row")
    for column in ("candidates", "way", "s / candidate", "tokens / s", "peak MiB", "ratio"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for count, found in by_count.items():
        for way, turns in found.items():
            seconds = median(one.seconds for one in turns) / count
            speed = median(one.tokens_per_second for one in turns)
            most = median(one.bytes for one in turns) / 2**20
            figures = f"{seconds:.2f}", f"{speed:,.0f}", f"{most:,.0f}"
            faster = f"{ratio(found):.2f}" if way == STACKED else ""
            table.add_row(str(count), way, *figures, faster)
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a smaller model and fewer steps")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--operators", action="store_true", help="count them, train nothing")
    asked = parser.parse_args()
    if asked.operators:
        _count_operators(getattr(torch, asked.dtype))
        return
    torch.set_num_threads(1)
    task = replace(QUICK, steps=2) if asked.quick else SMALL
    model = task.model(getattr(torch, asked.dtype)).to(asked.device)
    steps = task.steps_of(task.examples(), task.steps)
    for way in WAYS:  # what a first pass takes is nobody's
        measured(way, model, vectors_of(task, 1), task, steps)
    by_count: dict[int, dict[str, list[Found]]] = {count: {w: [] for w in WAYS} for count in COUNTS}
    for _ in range(asked.turns):
        for count, found in by_count.items():
            for way, turns in found.items():
                turns.append(measured(way, model, vectors_of(task, count), task, steps))
    _show(by_count)
    ratios = " ".join(f"k{count}={ratio(found):.2f}" for count, found in by_count.items())
    apart = max(difference(found) for found in by_count.values())
    print(f"ratio_to_in_a_row {ratios} loss_difference={apart:.1e}")


if __name__ == "__main__":
    main()
