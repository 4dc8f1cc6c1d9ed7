"""Chance: how likely a worker that is no worse than the others would fail as one did."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """What happened to the trials of one study since a worker began to fail.

    Attributes:
        own: Its failures in the study.
        failed: The others' failures there.
        done: What the others finished well there.
    """

    own: int
    failed: int
    done: int


def chance(records: Iterable[Record]) -> float:
    """Probability that all ``own`` trials fail, if all workers fail at one rate in a study.

    Nothing is known of that rate but what is seen (Laplace's rule of succession): few results of
    others say little, and many failures of theirs make one's own likely.
    """
    return math.prod(
        (one.failed + 1 + earlier) / (one.failed + one.done + 2 + earlier)
        for one in records
        for earlier in range(one.own)
    )
