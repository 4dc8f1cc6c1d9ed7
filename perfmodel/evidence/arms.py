"""Arms: what a verification compares. Controls: what it runs beside them, and is paid for apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rankspace import RankVector


@dataclass(frozen=True)
class Arms:
    """What is verified; equal vectors are one arm and run once.

    Attributes:
        candidates: The search's leaders, best predicted first, at least one.
        uniform: The baseline.
        economy: A cheaper vector predicted to equal uniform, or None.
        random: The best vector of the random control, or None.
    """

    candidates: tuple[RankVector, ...]
    uniform: RankVector
    economy: RankVector | None = None
    random: RankVector | None = None

    @property
    def choosing(self) -> tuple[RankVector, ...]:
        """Arms of a choosing round."""
        return distinct((*self.candidates, self.uniform, self.economy, self.random))

    def judging(
        self, winner: RankVector, random: RankVector | None = None
    ) -> tuple[RankVector, ...]:
        """Arms of a later round; ``random`` is the one that was chosen, if not the first."""
        return distinct((winner, self.uniform, self.economy, random or self.random))

    def promised(self, winner: RankVector) -> tuple[RankVector, ...]:
        """Arms of which the model promises something."""
        found = distinct((winner, self.economy))
        return tuple(vector for vector in found if vector != self.uniform)


@dataclass(frozen=True)
class Controls:
    """What runs beside the arms.

    ``verify.max_trials`` does not pay for it: nothing of it may cost a round of the winner against
    uniform.

    Attributes:
        random: Random vectors after ``Arms.random``, best score first, for the choosing rounds: the
            control chooses as the search does.
        luck: By how much the best of as many random vectors may lead that of another draw.
        vectors: Vectors that need no search, by the control's name.
        rates: Multiples of the recipe's learning rate, beside its own, lowest first.
    """

    random: tuple[RankVector, ...] = ()
    luck: float = 0.0
    vectors: Mapping[str, RankVector] = field(default_factory=dict)
    rates: tuple[float, ...] = ()


def distinct(vectors: Sequence[RankVector | None]) -> tuple[RankVector, ...]:
    return tuple(dict.fromkeys(vector for vector in vectors if vector is not None))
