"""Front: what score how many trainable parameters buy."""

from dataclasses import dataclass

from rankspace.rank_vector import RankVector
from rankspace.verdict import Comparison


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """A vector, what it costs and what it is worth.

    Attributes:
        rank_vector: The vector.
        parameters: Trainable parameters.
        mean: Predicted noiseless score; the model's mean, not the flattering best observation.
        std: Standard deviation of the prediction.
        score: Mean observed score on the search's seed; None if it was never tried.
    """

    rank_vector: RankVector
    parameters: int
    mean: float
    std: float
    score: float | None


@dataclass(frozen=True, slots=True)
class Spot:
    """A tried vector as a dot in a picture: see ``FrontPoint``."""

    parameters: int
    mean: float
    std: float
    score: float


@dataclass(frozen=True, slots=True)
class Verified:
    """The cheapest vector the verification found not worse than uniform, with the comparison."""

    rank_vector: RankVector
    parameters: int
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Front:
    """Score against trainable parameters.

    Attributes:
        points: The front, cheapest first: no known vector is as cheap and predicted as good.
        uniform: The baseline, the largest same-rank vector within the budget.
        uniforms: Same-rank vectors of every allowed rank within the budget, cheapest first.
        cheapest: The cheapest vector predicted to be not worse than uniform, one standard deviation
            of their difference allowed for; None if none is known that is cheaper.
        verified: The same as the verification found it; None before, or if it is uniform itself.
        tried: Every vector that was tried and scored on the search's seed; of very many the latest.
        summary: The essence in plain words.
    """

    points: tuple[FrontPoint, ...]
    uniform: FrontPoint
    uniforms: tuple[FrontPoint, ...]
    cheapest: FrontPoint | None
    verified: Verified | None
    tried: tuple[Spot, ...]
    summary: str
