"""A cell of the latency table: one searcher at one number of layers and of trials."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """What is measured.

    Attributes:
        who: A strategy of ours, ``optuna-tpe`` or ``optuna-tpe-sqlite``.
        layers: Dimensions.
        trials: Finished ones that it knows of.
    """

    who: str
    layers: int
    trials: int


@dataclass(frozen=True)
class Timing:
    """Medians of one cell.

    Attributes:
        cell: What was measured.
        load: Seconds to take in the history and answer for the first time.
        propose: Milliseconds of a proposal, the first after a result.
        learn: Milliseconds of taking in one result.
        megabytes: Growth of the resident memory; None where the system does not say.
    """

    cell: Cell
    load: float
    propose: float
    learn: float
    megabytes: float | None
