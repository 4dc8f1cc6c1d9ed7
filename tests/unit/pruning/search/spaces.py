"""Spaces of made-up models, and losses that nobody has to prune for."""

from pruning.container.structure import BlockStructure, Structure
from pruning.rates.rates import Rates
from pruning.search.space import RateSpace


def space_of(
    ratio: float, *, kv_heads: int = 4, ffn: tuple[int, ...] = (64, 64, 64, 64, 64), first: int = 1
) -> RateSpace:
    """Of as many blocks as there are widths in ``ffn``, and ``first`` before them left alone."""
    widths = (64,) * first + ffn
    blocks = tuple(
        BlockStructure(2 * kv_heads, kv_heads, 4, width, (), index)
        for index, width in enumerate(widths)
    )
    return RateSpace(Structure(blocks), 32, tuple(range(first, len(widths))), ratio)


SPACES = {
    "equal blocks, half": space_of(0.5),
    "a fifth": space_of(0.2),
    "a third of two": space_of(0.33, ffn=(64, 64), first=0),
    "unequal blocks": space_of(0.4, ffn=(20, 200, 70, 64, 30)),
    "32 blocks": space_of(0.7, kv_heads=8, ffn=(344,) * 32),
    "hardly anything": space_of(0.02, kv_heads=32, ffn=(640,) * 4),
    "nearly all": space_of(0.97, kv_heads=32, ffn=(640,) * 4),
}


def bowl(rates: Rates) -> float:
    """Least where early blocks lose little and late ones much, but for the last."""
    wanted = [0.1 + 0.8 * place / len(rates) for place in range(len(rates))]
    wanted[-1] = 0.2
    return 3.0 + sum((rate - w) ** 2 for rate, w in zip(rates.values(), wanted, strict=True))
