"""From importance to what stays."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from pruning.container.structure import Structure
from pruning.methods.importance import Importance
from pruning.methods.settings import PruningSettings

Chosen = dict[int, tuple[int, ...]]
"""Rising indices that stay, by block."""


@dataclass(frozen=True, slots=True)
class Spared:
    """Blocks that keep all of one kind of structure, because the ratio's share rounds to none.

    Attributes:
        kind: What they keep.
        blocks: Their indices.
        above: Larger ratios remove something from one of them; 1 if none does.
    """

    kind: str
    blocks: tuple[int, ...]
    above: float

    @property
    def sentence(self) -> str:
        some, more = ", ".join(map(str, self.blocks[:5])), len(self.blocks) - 5
        told = some if more <= 0 else f"{some} and {more} more"
        remedy = f"only a ratio above {self.above:.3g}" if self.above < 1 else "no ratio"
        return f"blocks {told} keep all {self.kind}: {remedy} removes some"


def spared(structure: Structure, settings: PruningSettings) -> tuple[Spared, ...]:
    """Tell which kinds of structure the ratio leaves whole in which of the blocks to prune.

    That follows from their numbers alone: nobody has to look at the weights.
    """
    heads = {index: structure.blocks[index].kv_heads for index in settings.blocks}
    channels = {index: structure.blocks[index].ffn for index in settings.blocks}
    kinds = {"key/value heads": heads, "channels": channels}
    look = _spared_globally if settings.ranking == "global" else _spared_locally
    found = (look(kind, counts, settings.ratio) for kind, counts in kinds.items())
    return tuple(one for one in found if one.blocks)


def _spared_locally(kind: str, counts: Mapping[int, int], ratio: float) -> Spared:
    whole = {index: count for index, count in counts.items() if _left(count, ratio) == count}
    return Spared(kind, tuple(whole), min((_above(n) for n in whole.values()), default=1.0))


def _spared_globally(kind: str, counts: Mapping[int, int], ratio: float) -> Spared:
    everything = sum(counts.values())
    is_whole = max(len(counts), _left(everything, ratio)) == everything
    above = _above(everything) if everything > len(counts) else 1.0
    return Spared(kind, tuple(counts) if is_whole else (), above)


def _above(count: int) -> float:
    """The ratio of half a structure of ``count``: larger ones are rounded to one, or more."""
    return 0.5 / count if count > 1 else 1.0


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
