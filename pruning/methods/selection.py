"""From importance to what stays."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from pruning.container.structure import Structure
from pruning.methods.importance import Importance
from pruning.methods.plan import Plan

Chosen = dict[int, tuple[int, ...]]
"""Rising indices that stay, by block."""


@dataclass(frozen=True, slots=True)
class Spared:
    """Blocks that keep all of one kind of structure, because the ratio's share rounds to none.

    Attributes:
        kind: What they keep.
        blocks: Their indices.
        above: Larger rates remove something from one of them; 1 if none does.
    """

    kind: str
    blocks: tuple[int, ...]
    above: float

    @property
    def sentence(self) -> str:
        some, more = ", ".join(map(str, self.blocks[:5])), len(self.blocks) - 5
        told = some if more <= 0 else f"{some} and {more} more"
        remedy = f"only a rate above {self.above:.3g}" if self.above < 1 else "no rate"
        return f"blocks {told} keep all {self.kind}: {remedy} removes some"


def spared(structure: Structure, plan: Plan) -> tuple[Spared, ...]:
    """Tell which kinds of structure the rates leave whole in which of the blocks to prune.

    That follows from their numbers alone: nobody has to look at the weights. A block whose rate is
    0 was not to lose any.
    """
    asked = [index for index, rate in plan.rates.items() if rate > 0.0]
    heads = {index: structure.blocks[index].kv_heads for index in asked}
    channels = {index: structure.blocks[index].ffn for index in asked}
    kinds = {"key/value heads": heads, "channels": channels}
    look = _spared_globally if plan.ranking == "global" else _spared_locally
    found = (look(kind, counts, plan) for kind, counts in kinds.items())
    return tuple(one for one in found if one.blocks)


def _spared_locally(kind: str, counts: Mapping[int, int], plan: Plan) -> Spared:
    whole = {i: count for i, count in counts.items() if left_of(count, plan.rates[i]) == count}
    return Spared(kind, tuple(whole), min((_above(n) for n in whole.values()), default=1.0))


def _spared_globally(kind: str, counts: Mapping[int, int], plan: Plan) -> Spared:
    everything = sum(counts.values())
    is_whole = max(len(counts), left_of(everything, plan.ratio)) == everything
    above = _above(everything) if everything > len(counts) else 1.0
    return Spared(kind, tuple(counts) if is_whole else (), above)


def _above(count: int) -> float:
    """The ratio of half a structure of ``count``: larger ones are rounded to one, or more."""
    return 0.5 / count if count > 1 else 1.0


def select(importances: Mapping[int, Importance], plan: Plan) -> tuple[Chosen, Chosen]:
    """Choose the key/value heads and the channels that stay in each block."""
    heads = {index: importance.kv_heads for index, importance in importances.items()}
    channels = {index: importance.channels for index, importance in importances.items()}
    choose = _choose_globally if plan.ranking == "global" else _choose_locally
    return choose(heads, plan), choose(channels, plan)


def _choose_locally(scores: Mapping[int, torch.Tensor], plan: Plan) -> Chosen:
    return {i: best(score, left_of(len(score), plan.rates[i])) for i, score in scores.items()}


def _choose_globally(scores: Mapping[int, torch.Tensor], plan: Plan) -> Chosen:
    protected = {index: protect_best(score) for index, score in scores.items()}
    everything = torch.cat(list(protected.values()))
    left = max(len(scores), left_of(len(everything), plan.ratio))
    stays = set(best(everything, left))
    chosen: Chosen = {}
    begin = 0
    for index, score in scores.items():
        chosen[index] = tuple(i for i in range(len(score)) if begin + i in stays)
        begin += len(score)
    return chosen


def left_of(count: int, rate: float) -> int:
    """How many of ``count`` structures stay: the nearest whole number, one at least."""
    return max(1, round(count * (1.0 - rate)))


def best(score: torch.Tensor, count: int) -> tuple[int, ...]:
    """Return the rising places of the ``count`` largest of ``score``, ``(n,)``."""
    # Stable, so that ties do not depend on the machine.
    order = score.cpu().argsort(descending=True, stable=True)
    return tuple(sorted(order[:count].tolist()))


def protect_best(score: torch.Tensor) -> torch.Tensor:
    """Return a copy of ``score``, ``(n,)``, whose largest is infinite."""
    protected = score.cpu().clone()
    protected[protected.argmax()] = torch.inf
    return protected
