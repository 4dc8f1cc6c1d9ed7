"""From importance to what stays."""

from collections.abc import Mapping

import torch

from pruning.methods.importance import Importance
from pruning.methods.settings import PruningSettings

Chosen = dict[int, tuple[int, ...]]
"""Rising indices that stay, by block."""


def select(
    importances: Mapping[int, Importance], settings: PruningSettings
) -> tuple[Chosen, Chosen]:
    """Choose the key/value heads and the channels that stay in each block."""
    heads = {index: importance.kv_heads for index, importance in importances.items()}
    channels = {index: importance.channels for index, importance in importances.items()}
    choose = _choose_globally if settings.ranking == "global" else _choose_locally
    return choose(heads, settings.ratio), choose(channels, settings.ratio)


def _choose_locally(scores: Mapping[int, torch.Tensor], ratio: float) -> Chosen:
    return {index: _best(score, _left(len(score), ratio)) for index, score in scores.items()}


def _choose_globally(scores: Mapping[int, torch.Tensor], ratio: float) -> Chosen:
    protected = {index: _protect_best(score) for index, score in scores.items()}
    everything = torch.cat(list(protected.values()))
    left = max(len(scores), _left(len(everything), ratio))
    stays = set(_best(everything, left))
    chosen: Chosen = {}
    begin = 0
    for index, score in scores.items():
        chosen[index] = tuple(i for i in range(len(score)) if begin + i in stays)
        begin += len(score)
    return chosen


def _left(count: int, ratio: float) -> int:
    return max(1, round(count * (1.0 - ratio)))


def _best(score: torch.Tensor, count: int) -> tuple[int, ...]:
    # Stable, so that ties do not depend on the machine.
    order = score.cpu().argsort(descending=True, stable=True)
    return tuple(sorted(order[:count].tolist()))


def _protect_best(score: torch.Tensor) -> torch.Tensor:
    protected = score.cpu().clone()
    protected[protected.argmax()] = torch.inf
    return protected
