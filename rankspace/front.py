"""Front: what score how many trainable parameters buy."""

from dataclasses import dataclass, field
from enum import StrEnum

from rankspace.calibration import Trust
from rankspace.rank_vector import RankVector
from rankspace.verdict import Comparison
from rankspace.wire import LATER


class Promise(StrEnum):
    """What the model says of a vector before the verification runs it."""

    BETTER = "better than uniform ranks"
    ENOUGH = "enough to match uniform ranks"


class Finding(StrEnum):
    """What the verification says of a promise."""

    CONFIRMED = "confirmed"
    OPEN = "not confirmed"
    REFUTED = "refuted"


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
class Checked:
    """A vector the model promised something of, and what the verification found.

    Attributes:
        rank_vector: The vector.
        parameters: Trainable parameters.
        promise: Of the candidates that they are better, of a cheaper one that it is enough.
        comparison: With uniform ranks on fresh seeds, those that chose the winner left out.
        finding: ``confirmed`` as the verdict would have it; ``refuted`` where the vector is worse
            than uniform, or was on every fresh seed it ran on.
    """

    rank_vector: RankVector
    parameters: int
    promise: Promise
    comparison: Comparison
    finding: Finding


@dataclass(frozen=True, slots=True)
class Front:
    """Score against trainable parameters.

    Attributes:
        points: The front, cheapest first: no known vector is as cheap and predicted as good.
        uniform: The baseline, the largest same-rank vector within the budget.
        uniforms: Same-rank vectors of every allowed rank within the budget, cheapest first.
        cheapest: The cheapest vector predicted to be not worse than uniform, one standard deviation
            of their difference allowed for, or confirmed to be; None if none is known that is
            cheaper. Where the verification did not confirm one, none as cheap is promised.
        verified: The same as the verdict has it; None before, or if it is uniform itself.
        tried: Every vector that was tried and scored on the search's seed; of very many the latest.
        summary: The essence in plain words.
        checked: What the last verification that has looked found, the winner first, then what
            earlier ones refuted of other vectors.
        trust: Whether the predicted standard deviations may be believed.
        age_seconds: How long ago it was computed; 0 while it knows every result there is.
    """

    points: tuple[FrontPoint, ...]
    uniform: FrontPoint
    uniforms: tuple[FrontPoint, ...]
    cheapest: FrontPoint | None
    verified: Verified | None
    tried: tuple[Spot, ...]
    summary: str
    checked: tuple[Checked, ...] = field(default=(), metadata=LATER)
    trust: Trust = field(default=Trust.TOO_EARLY, metadata=LATER)
    age_seconds: float = field(default=0.0, metadata=LATER)
