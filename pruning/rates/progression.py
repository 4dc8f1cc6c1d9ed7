"""Rates that rise or fall evenly from block to block."""

from collections.abc import Mapping

from pruning.rates.rates import Rates, Sizes, overall, within
from rankspace.errors import InvalidInput


def arithmetic(ratio: float, sizes: Sizes, step: float) -> Rates:
    """Return an arithmetic progression, each block cut by ``step`` more than the one before.

    ``s_i = S + step (i - c)`` with ``i`` the place among the blocks that are cut and ``c`` the mean
    place, by size, so that the overall ratio is ``S`` exactly. Of blocks of one size ``c`` is
    ``(L - 1) / 2``: ATP (arXiv 2502.14770), which leaves the early blocks denser as their errors
    grow on the way up.

    Raises:
        InvalidInput: ``step`` is not within ``steepest``.
    """
    limit = steepest(ratio, sizes)
    if not 0.0 < step <= limit * (1 + 1e-12):
        problem = f"is outside the legal range: a rate would leave 0 to 1 at a ratio of {ratio:g}"
        fix = f"use more than 0 and at most {limit:.6g}"
        raise InvalidInput("rates", f"atp:{step:g}", problem, fix=fix)
    places = _places(sizes)
    centre = overall(places, sizes)
    return within({index: ratio + step * (place - centre) for index, place in places.items()})


def steepest(ratio: float, sizes: Sizes) -> float:
    """Return the largest legal step: ``min(2S, 2(1 - S)) / (L - 1)`` of blocks of one size."""
    places = _places(sizes)
    centre = overall(places, sizes)
    above = len(places) - 1 - centre
    return min(ratio / centre, (1.0 - ratio) / above) if centre else 1.0


def linear(ratio: float, sizes: Sizes, first: float) -> Rates:
    """Return rates linear in depth, ``first`` at the first of the blocks, ``ratio`` overall.

    In the index of a block, so that a gap among the blocks counts as depth. PRILoRA (arXiv
    2401.11316) lets ranks grow so; a falling line is the control of a rising one.

    Raises:
        InvalidInput: ``first``, or the rate of the last block that follows, is no share.
    """
    depths = {index: float(index) for index in sizes}
    begin, middle, end = min(depths.values()), overall(depths, sizes), max(depths.values())
    if begin == end:
        return dict.fromkeys(sizes, ratio)
    far = (end - middle) / (middle - begin)
    lowest, highest = max(0.0, ratio - (1.0 - ratio) / far), min(1.0, ratio + ratio / far)
    if not lowest - 1e-12 <= first <= highest + 1e-12:
        problem = f"leaves the last block no rate between 0 and 1 at a ratio of {ratio:g}"
        fix = f"use {lowest:.4g} to {highest:.4g}"
        raise InvalidInput("rates", f"depth-linear:{first:g}", problem, fix=fix)
    slope = (ratio - first) / (middle - begin)
    return within({index: ratio + slope * (depth - middle) for index, depth in depths.items()})


def _places(sizes: Sizes) -> Mapping[int, float]:
    return {index: float(place) for place, index in enumerate(sorted(sizes))}
