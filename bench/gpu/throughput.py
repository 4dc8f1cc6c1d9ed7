"""Trials per hour of Llama-shaped models of random weights, and what share of a GPU they use."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from bench.memory import BILLION, Size, make_model, shape_of
from pruning.container.structure import MODULES, matrix_name
from rankspace.recipe import Batch, Optimizer
from tuning import memory
from tuning.back_ends import ADAPTER_BACK_ENDS, DEFAULT_BACK_END
from tuning.batches import Passes
from tuning.examples import Example
from tuning.measuring import mean_loss
from tuning.memory_plan.choice import Plans
from tuning.memory_plan.device_memory import DeviceMemory
from tuning.memory_plan.training_shape import TrainingShape
from tuning.training import train
from worker.trial.planning import asked_passes

EIGHT_BILLION = Size(4096, 32, 32, 8, 128, 14_336, 128_256)
"""As large as Llama 3.1 8B."""

PRUNED: Mapping[str, tuple[float, int]] = MappingProxyType(
    {"dense": (1.0, 1), "20 % pruned": (0.6, 2), "50 % pruned": (0.5, 1)}
)
"""Part that is kept, and of each how-manieth block."""

TRIAL_STEPS = 200
TRIAL_HELD_OUT = 1000
"""Steps of a trial, and examples that it is measured on; both are reckoned from fewer."""

OPERATIONS = 4
"""Per weight and token: a product forward, and one backward to pass the gradient on."""

PEAKS: Mapping[str, float] = MappingProxyType({"H200": 989e12, "H100": 989e12, "A100": 312e12})
"""Operations per second in bfloat16, dense, as NVIDIA's data sheets have it, by a part of a name
that the SXM form goes by; others are given with ``--peak``."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a trial is made of.

    Attributes:
        rank: Of every matrix of the blocks.
        examples: Of a step.
        length: Tokens of each of them.
        steps: That are timed, after one that is not.
    """

    rank: int = 8
    examples: int = 64
    length: int = 256
    steps: int = 3


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one model.

    Attributes:
        passes: As the plan of memory has them.
        tokens_per_second: In training.
        trials_per_hour: Of TRIAL_STEPS and TRIAL_HELD_OUT, the model being loaded.
        operations_per_second: In training, OPERATIONS of each weight but the embedding's.
        peak_bytes: Of all.
    """

    passes: Passes
    tokens_per_second: float
    trials_per_hour: float
    operations_per_second: float
    peak_bytes: int


def peak_of(name: str, said: float | None) -> float:
    """Return operations per second of a GPU, NaN where nobody knows; ``said`` is in TFLOP/s."""
    if said is not None:
        return said * 1e12
    return next((peak for part, peak in PEAKS.items() if part in name), math.nan)


def sizes() -> dict[str, Size]:
    """Return all models by name, the smaller first."""
    return {
        f"{name} {how}": _pruned(size, *what)
        for name, size in (("1B", BILLION), ("8B", EIGHT_BILLION))
        for how, what in PRUNED.items()
    }


def _pruned(size: Size, kept: float, every: int) -> Size:
    fields = {name: getattr(size, name) for name in size.__dataclass_fields__}
    return Size(**{**fields, "kept": kept, "every": every})


def measure(size: Size, load: Load, place: torch.device, dtype: torch.dtype) -> Speed | str:
    """Time a model; or say what it would take, where the plan has no room for one example."""
    memory.release(place)
    plan, passes = _planned(size, load, place, dtype)
    if passes is None:
        return plan
    model = make_model(size, dtype, str(place))
    if place.type == "cuda":
        memory.reset_peak(place)
    names = [matrix_name(i, kind) for i in range(size.layers) for kind in MODULES]
    attached = ADAPTER_BACK_ENDS[DEFAULT_BACK_END].attach(
        model, dict.fromkeys(names, load.rank), alpha_per_rank=2.0, seed=0
    )
    step = _examples(size, load)

    def run(steps: int) -> None:
        batches = [step] * steps
        train(model, attached.parameters, batches, Optimizer(), steps=steps, passes=passes)

    run(1)
    seconds = _seconds(place, lambda: run(load.steps)) / load.steps
    measuring = _seconds(place, lambda: mean_loss(model, step, place)) / len(step)
    tokens = load.examples * load.length
    return Speed(
        passes,
        tokens / seconds,
        3600 / (TRIAL_STEPS * seconds + TRIAL_HELD_OUT * measuring),
        OPERATIONS * _weights(model) * tokens / seconds,
        memory.peak_bytes(place),
    )


def _planned(
    size: Size, load: Load, place: torch.device, dtype: torch.dtype
) -> tuple[str, Passes | None]:
    with torch.device("meta"):
        shape = shape_of(size, make_model(size, dtype, "meta"))
    ranks = {(i, kind): load.rank for i in range(size.layers) for kind in MODULES}
    read = load.length - 1
    plans = Plans.of(TrainingShape(shape, ranks, read, read, dtype.itemsize), place.type)
    asked = asked_passes(Batch(load.examples), load.length, place)
    free = DeviceMemory.of(place).free
    passes = plans.fitting(asked, free)
    return ("" if passes else plans.recomputed.refusal(free).problem), passes


def _weights(model: Any) -> int:
    """Of matrices that are multiplied with; a tied head is one of them, an embedding is not."""
    frozen: int = sum(one.numel() for one in model.parameters() if not one.requires_grad)
    embedding: int = model.get_input_embeddings().weight.numel()
    return frozen if model.config.tie_word_embeddings else frozen - embedding


def _examples(size: Size, load: Load) -> list[Example]:
    generator = torch.Generator().manual_seed(0)
    shape = load.examples, load.length
    ids = torch.randint(size.vocabulary, shape, generator=generator, dtype=torch.int32)
    return [Example(row, 1) for row in ids]


def _seconds(place: torch.device, run: Any) -> float:
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    began = time.perf_counter()
    run()
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    return time.perf_counter() - began
