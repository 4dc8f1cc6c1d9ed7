"""Lanes on the tiny model, and the same candidates alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pruning.container.container import load
from rankspace.recipe import Optimizer
from tuning.back_ends import ADAPTER_BACK_ENDS, Attached
from tuning.batches import Passes, schedule
from tuning.examples import Example
from tuning.stacked.adapter import StackedAdapter
from tuning.stacked.training import Outcome, train_lanes
from tuning.training import OnStep, Training, train

CPU = torch.device("cpu")
PASSES = Passes(4)
OPTIMIZER = Optimizer(learning_rate=1e-2, warmup_steps=2, gradient_clip=0.5, weight_decay=0.1)
SCALE, SEED = 3.0, 3

Ranks = Mapping[str, int]


def uneven(names: Sequence[str], count: int) -> list[dict[str, int]]:
    """Rank vectors of 0 to 5 that differ from lane to lane; some module has a rank in no lane."""
    return [
        {name: (i + 2 * lane) % 6 if i % 7 else 0 for i, name in enumerate(names)}
        for lane in range(count)
    ]


def steps_of(examples: Sequence[Example], steps: int) -> list[tuple[Example, ...]]:
    return list(schedule(examples[20:], 8, steps, seed=SEED))


def stacked(model: Any, lanes: Sequence[Ranks]) -> StackedAdapter:
    return StackedAdapter(model, lanes, alpha_per_rank=SCALE, seed=SEED)


def alone(
    model: Any, ranks: Ranks, examples: Sequence[Example], steps: int, back_end: str = "peft"
) -> tuple[Attached, Training]:
    used = {name: rank for name, rank in ranks.items() if rank}
    attached = ADAPTER_BACK_ENDS[back_end].attach(model, used, alpha_per_rank=SCALE, seed=SEED)
    batches = steps_of(examples, steps)
    return attached, train(
        model, attached.parameters, batches, OPTIMIZER, steps=steps, passes=PASSES
    )


def together(
    model: Any,
    adapter: StackedAdapter,
    examples: Sequence[Example],
    steps: int,
    on_steps: Mapping[int, OnStep] | None = None,
    passes: Passes = PASSES,
) -> tuple[Outcome, ...]:
    lanes = range(len(adapter.parameters))
    return train_lanes(
        model,
        adapter,
        steps_of(examples, steps),
        OPTIMIZER,
        steps=steps,
        passes=passes,
        on_steps=[(on_steps or {}).get(lane) for lane in lanes],
    )


def matrices(adapter: StackedAdapter, lane: int) -> list[torch.Tensor]:
    return [one.clone() for pair in adapter.matrices(lane).values() for one in pair]


def apart(ones: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> float:
    """The largest difference of any parameter; there are as many, of the same shapes."""
    pairs = list(zip(ones, others, strict=True))
    assert pairs
    assert all(one.shape == other.shape for one, other in pairs)
    return max((one - other).detach().abs().max().item() for one, other in pairs)


def loaded(directory: Path, dtype: torch.dtype = torch.float32) -> Any:
    return load(directory, dtype=dtype).model
