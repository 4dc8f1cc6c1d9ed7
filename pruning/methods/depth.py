"""Dropping whole blocks, all in one shot.

Source: Kim et al., Shortened LLaMA (arXiv 2402.02834), section 3: Taylor and PPL. Taylor+ is Taylor
that spares the first four blocks and the last two, as all methods here do where nobody says.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of
from pruning.container.contents import Contents
from pruning.container.structure import Structure
from pruning.methods.change import Drop
from pruning.methods.dimensions import Dimensions
from pruning.methods.importance import chosen_matrices
from pruning.methods.plan import Plan, Ranking
from pruning.methods.settings import PruningSettings
from pruning.methods.taylor import gradient_memory
from pruning.profiling.gradients import BATCH_TOKENS, count_runs, measure_gradients, next_token_loss
from pruning.progress import OnProgress, Steps
from pruning.rates.rules import UNIFORM
from rankspace.errors import InvalidInput


class BlockScore(Protocol):
    """Scores whole blocks; the lowest are dropped first."""

    def memory(self, dimensions: Dimensions) -> int:
        """Return about how many bytes it takes besides the weights."""
        ...

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Mapping[int, float]:
        """Return a score for each of ``plan.blocks``."""
        ...


@dataclass(frozen=True, slots=True)
class Depth:
    """Drops the ratio of the chosen blocks, to the nearest whole one.

    Attributes:
        score: How to score them.
    """

    score: BlockScore
    ranking: Ranking = "global"

    def check(self, contents: Contents, settings: PruningSettings) -> None:
        problem = f"gives each block its share, where {settings.method} drops blocks whole"
        if settings.rates != UNIFORM:
            raise InvalidInput("rates", settings.rates.label, problem, fix="leave it out")
        if settings.ranking == "local":
            raise InvalidInput("ranking", settings.ranking, problem, fix="leave it out")

    def check_plan(self, structure: Structure, plan: Plan, ratio: float) -> None:
        count, whole = len(plan.blocks), len(structure.blocks)
        dropped = _dropped(plan)
        if dropped == 0:
            problem, fix = f"drops none of {count} blocks", f"use more than {0.5 / count:.3g}"
            raise InvalidInput("ratio", ratio, problem, fix=fix)
        if dropped == whole:
            problem, fix = f"drops all {whole} blocks of the model", "use less, or spare a block"
            raise InvalidInput("ratio", ratio, problem, fix=fix)

    def left_whole(self, structure: Structure, plan: Plan) -> tuple[str, ...]:
        return ()

    def memory(self, dimensions: Dimensions) -> int:
        return self.score.memory(dimensions)

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Drop:
        scores = self.score(model, plan, windows, on_progress)
        order = sorted(scores, key=lambda index: scores[index])
        return Drop(tuple(sorted(order[: _dropped(plan)])))


class TaylorOfBlocks:
    """``sum |w * dL/dw|`` over the weights of a block's matrices."""

    def memory(self, dimensions: Dimensions) -> int:
        return gradient_memory(dimensions, squared=False)

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Mapping[int, float]:
        matrices = chosen_matrices(model, plan)
        step = Steps(count_runs(matrices, windows), on_progress)
        scores = dict.fromkeys(plan.blocks, 0.0)
        for key, gradient in measure_gradients(model, matrices, windows, step=step):
            change = matrices[key].weight.detach().float() * gradient.mean
            scores[key[0]] += float(change.abs().sum(dtype=torch.float64))
        return scores


class LossWithoutBlock:
    """The mean next-token loss, whose exponential is the perplexity, without the block."""

    def memory(self, dimensions: Dimensions) -> int:
        return dimensions.block_bytes + dimensions.logits_bytes

    @torch.no_grad()
    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Mapping[int, float]:
        step = Steps(len(plan.blocks), on_progress)
        scores = {}
        for index in plan.blocks:
            with _skipped(model, index):
                scores[index] = _loss(model, windows)
            step()
        return scores


class _Passing(nn.Module):
    """A block that hands on what it is fed."""

    def forward(self, hidden: torch.Tensor, **_ignored: Any) -> torch.Tensor:
        return hidden


@contextmanager
def _skipped(model: PreTrainedModel, index: int) -> Iterator[None]:
    """Block ``index`` passes on its input; the others keep their places, masks and windows."""
    layers = blocks_of(model)
    block = layers[index]
    layers[index] = _Passing()
    try:
        yield
    finally:
        layers[index] = block


def _loss(model: PreTrainedModel, windows: torch.Tensor) -> float:
    parts = torch.split(windows, max(1, BATCH_TOKENS // windows.shape[1]))
    return sum(float(next_token_loss(model, part)) * len(part) for part in parts) / len(windows)


def _dropped(plan: Plan) -> int:
    return round(len(plan.blocks) * plan.ratio)
