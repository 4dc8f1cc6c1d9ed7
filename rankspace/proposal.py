"""Proposal: a rank vector offered for trial, with the reason."""

from dataclasses import dataclass

from rankspace.rank_vector import RankVector


@dataclass(frozen=True, slots=True)
class Proposal:
    """What ``perfmodel.propose`` offers.

    Attributes:
        rank_vector: Feasible by construction.
        mean: Predicted score; None before the model knows anything.
        std: Standard deviation of the predicted noiseless score; None likewise.
        reason: One line for a person: which rule chose it and why.
    """

    rank_vector: RankVector
    mean: float | None
    std: float | None
    reason: str
