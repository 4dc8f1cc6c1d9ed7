"""Plan: what a method is to remove, nothing left open."""

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pruning.rates.rates import Rates, are_equal
from rankspace.errors import InvalidInput

Ranking: TypeAlias = Literal["local", "global"]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a method that trains an adapter does so (``loraprune``); others do not look at it.

    The defaults are its source's, but for the batch (128) and a dropout of 0.05, which there is
    none of here.

    Attributes:
        epochs: Passes over the calibration windows.
        batch: Windows of a step.
        learning_rate: At the first step; it falls linearly towards 0.
        rank: Of the adapter of every matrix.
        alpha: LoRA's; the scale is ``alpha / rank``.
        every: Steps between two maskings.
        average: What the moving average of the scores keeps of itself at a step.
    """

    epochs: int = 2
    batch: int = 16
    learning_rate: float = 1e-4
    rank: int = 8
    alpha: float = 16.0
    every: int = 10
    average: float = 0.9

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "rank", "every"):
            value = getattr(self, name)
            if value < 1:
                raise InvalidInput(name, value, "is too few", fix="use 1 or more")
        for name in ("learning_rate", "alpha"):
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise InvalidInput(name, value, "must be positive", fix="leave it out")
        if not 0.0 <= self.average < 1.0:
            problem = "must be at least 0 and less than 1"
            raise InvalidInput("average", self.average, problem, fix="use 0.9")

    @property
    def scale(self) -> float:
        """Of the product of an adapter's matrices."""
        return self.alpha / self.rank

    def steps(self, samples: int) -> int:
        """Return the steps of a training on so many windows.

        Raises:
            InvalidInput: So few that masks could hardly grow before all are there.
        """
        steps, least = max(1, samples * self.epochs // self.batch), 2 * self.every
        if steps >= least:
            return steps
        problem = (
            f"make {steps} steps of {self.batch} in {self.epochs} passes over them, and masks grow "
            f"every {self.every}"
        )
        enough = math.ceil(least * self.batch / self.epochs)
        fix = f"use {enough} or more, a smaller --batch or more --epochs"
        raise InvalidInput("samples", samples, problem, fix=fix)


@dataclass(frozen=True, slots=True)
class Plan:
    """Rates by block, and how structures compete.

    Attributes:
        rates: Share of heads and of channels to remove from each block, rising by block.
        ranking: ``local``: each block loses its own share; ``global``: the blocks compete for what
            stays, so that their rates have to be equal.
        seed: Of the method ``random``, and of methods that train.
        training: Of those.
    """

    rates: Rates
    ranking: Ranking = "local"
    seed: int = 0
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def __post_init__(self) -> None:
        if self.ranking == "global" and not are_equal(self.rates):
            problem = "lets the blocks compete, so that none has a rate of its own"
            raise InvalidInput("ranking", self.ranking, problem, fix="use local, or uniform rates")

    @property
    def blocks(self) -> tuple[int, ...]:
        """Those to prune, rising."""
        return tuple(self.rates)

    @property
    def ratio(self) -> float:
        """The share that every block loses, where it is the same."""
        return next(iter(self.rates.values()))
