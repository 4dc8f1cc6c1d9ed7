"""AlphaPruning's mapping from exponents of spectra to rates."""

from collections.abc import Mapping

from pruning.rates.rates import Rates, Sizes, overall, within


def by_exponent(ratio: float, sizes: Sizes, exponents: Mapping[int, float], spread: float) -> Rates:
    """Map exponents linearly on ``[1 - spread, 1 + spread]``, scaled to ``ratio`` overall.

    The smallest exponent, the heaviest tail, is the best trained block and is cut least.

    Raises:
        InvalidInput: A rate comes out above 1.
    """
    low, high = min(exponents.values()), max(exponents.values())
    width = (high - low) or 1.0
    shape = {
        index: 1.0 - spread + 2.0 * spread * (exponents[index] - low) / width
        for index in sorted(sizes)
    }
    scale = ratio / overall(shape, sizes)
    return within({index: scale * value for index, value in shape.items()})
