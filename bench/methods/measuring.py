"""Measuring one arm: losses, parameters, seconds and memory."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from bench.methods.arms import Arm
from bench.pruners import loss
from bench.trials.process import now, peak, reset, resident
from pruning.container.container import LoadedModel, load_contents
from pruning.container.contents import Contents
from pruning.methods.change import Change, Cut, apply
from pruning.methods.compression import settled
from pruning.methods.memory import memory_of
from pruning.methods.methods import METHODS
from pruning.methods.plan import TrainingSettings
from pruning.methods.planning import plan_for
from pruning.methods.settings import PruningSettings
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.rates.rates import sizes_of
from pruning.rates.rules import UNIFORM

RATIOS = (0.2, 0.5)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Found:
    """Of one arm.

    Attributes:
        losses: Mean next-token loss in nats on scored windows, by ratio in percent and by draw.
        kept: Share of the model's parameters that is left, by ratio in percent.
        seconds: Processor seconds of the method itself, the mean over all runs.
        peak: Bytes beyond what was resident before, the most of all runs.
        stated: Bytes that the method says it takes besides the weights.
    """

    losses: Mapping[str, Sequence[float]]
    kept: Mapping[str, float]
    seconds: float
    peak: int
    stated: int


@dataclass(frozen=True)
class Texts:
    """Where calibration windows come from, and those that are scored.

    Attributes:
        calibration: What methods look at.
        trained: Windows that those train on that train.
        scored: Others.
        draws: Of what methods look at or train on.
    """

    calibration: CalibrationText
    trained: int
    scored: CalibrationText
    draws: int


def measure(arm: Arm, contents: Contents, blocks: tuple[int, ...], texts: Texts) -> Found:
    """Prune at each ratio on each draw; the model is loaded once."""
    loaded = load_contents(contents)
    windows = draw_windows(texts.scored, loaded.tokenizer)
    sizes = sizes_of(contents.structure, contents.architecture.hidden, blocks)
    training = arm.training or TrainingSettings()
    losses: dict[str, list[float]] = {}
    kept: dict[str, float] = {}
    seconds, most, stated = [], 0, 0
    for ratio in RATIOS:
        rule = arm.rule(ratio, sizes) if arm.rule else UNIFORM
        for seed in range(texts.draws):
            asked = PruningSettings(blocks, ratio, arm.method, None, seed, rule, training)
            settings = settled(asked)
            calibration = replace(texts.calibration, seed=seed)
            if arm.training is not None:
                calibration = replace(calibration, samples=texts.trained)
            looked = draw_windows(calibration, loaded.tokenizer)
            before, began = _begin()
            plan = plan_for(settings, sizes, loaded.model, looked)
            change = METHODS[arm.method](loaded.model, plan, looked)
            seconds.append(now(CPU) - began)
            most = max(most, peak(CPU) - before)
            stated = memory_of(contents, settings, calibration, None).beside
            value, share = _judged(loaded, change, windows, with_bias=arm.with_bias)
            losses.setdefault(percent(ratio), []).append(value)
            kept[percent(ratio)] = share
    return Found(losses, kept, sum(seconds) / len(seconds), most, stated)


def _begin() -> tuple[int, float]:
    reset(CPU)
    return resident("VmRSS"), now(CPU)


def _judged(
    loaded: LoadedModel, change: Change, windows: torch.Tensor, *, with_bias: bool
) -> tuple[float, float]:
    """Loss on ``windows`` of a copy that was changed, and the share of parameters it has left."""
    if isinstance(change, Cut) and not with_bias:
        change = Cut(change.kept)
    pruned = copy.deepcopy(loaded.model)
    apply(pruned, change)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (pruned, loaded.model)]
    return loss(pruned, windows), sizes[0] / sizes[1]


def percent(ratio: float) -> str:
    return f"{100 * ratio:.0f}"


def of_dense(contents: Contents, texts: Texts) -> float:
    """Loss of the model before."""
    loaded = load_contents(contents)
    return loss(loaded.model, draw_windows(texts.scored, loaded.tokenizer))
