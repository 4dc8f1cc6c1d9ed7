"""Fidelity: how far the rungs of a study's ladder rank vectors alike."""

from dataclasses import dataclass

LEAST_VECTORS = 4
"""Vectors on both of two rungs, below which nothing is told: three agree by chance once in six."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One way in which a study measured vectors.

    Attributes:
        name: What was measured: survey, trials, recovered loss or a metric.
        vectors: That have a score.
        repeat: Kendall's tau of the scores on two seeds, the mean over pairs of seeds: about as
            well as this rung ranks can another one agree with it. None where fewer than four
            vectors have two seeds in common.
        repeat_vectors: Vectors that it rests on, in the pair of seeds that has most.
    """

    name: str
    vectors: int
    repeat: float | None = None
    repeat_vectors: int = 0


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two rungs rank the same vectors alike.

    Attributes:
        lower: Name of the cheaper rung.
        upper: Name of the dearer one.
        vectors: That were measured on both.
        tau: Kendall's tau-b; None where it cannot be told.
        low: Lower end of its 95 % interval.
        high: Upper end.
        sentence: What that says.
    """

    lower: str
    upper: str
    vectors: int
    tau: float | None
    low: float | None
    high: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Fidelity:
    """All of them.

    Attributes:
        rungs: The cheapest first.
        agreements: Of every two rungs.
        remarks: What was left out, and what a reader must know.
    """

    rungs: tuple[Rung, ...]
    agreements: tuple[Agreement, ...]
    remarks: tuple[str, ...]
