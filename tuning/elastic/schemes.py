"""Schemes: which rank vectors an elastic training sees at each step."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import TypeAlias

from tuning.batches import shuffled_forever
from tuning.elastic.adapter import ElasticAdapter
from tuning.training import Forms

Ranks: TypeAlias = Mapping[str, int]
"""Full module name to its rank; one that is not named has rank 0."""


class Scheme(StrEnum):
    """What a step trains."""

    SAMPLED = "sampled"  # one vector of the pool
    PAIR = "pair"  # two vectors of the pool, the mean of their losses
    LARGEST = "largest"  # the largest ranks beside a vector of the pool
    DIAGONAL = "diagonal"  # the mean of all the pool's adapters, in one pass


def forms(
    adapter: ElasticAdapter, pool: Sequence[Ranks], steps: int, seed: int, scheme: Scheme
) -> Forms:
    """Return the forms that ``adapter`` takes at each of ``steps`` steps of ``train``.

    Args:
        adapter: What is trained.
        pool: Vectors to draw from: reshuffled passes over all of them.
        steps: Length of the training.
        seed: Of the order of the vectors; the order of the examples is another stream.
        scheme: What a step sees.
    """
    if scheme is Scheme.DIAGONAL:
        return lambda step: (partial(adapter.average, pool),)
    drawn = 2 if scheme is Scheme.PAIR else 1
    order = list(islice(shuffled_forever("vectors", len(pool), seed), drawn * steps))

    def at(step: int) -> Sequence[Callable[[], None]]:
        chosen = [pool[place] for place in order[(step - 1) * drawn : step * drawn]]
        if scheme is Scheme.LARGEST:
            chosen = [adapter.largest, *chosen]
        return tuple(partial(adapter.choose, ranks) for ranks in chosen)

    return at
