"""Fresh seeds: those of a verification and of the recovery after it, which nothing else shares.

They are hashed from the study's own seed, what they are for, how many answers there were before and
the number of the round: two studies whose seeds are neighbours would otherwise be judged on almost
the same seeds, and their answers err together. They lie beyond every seed that a search may use.
"""

import hashlib
from dataclasses import dataclass

from rankspace.study import CHOOSING_SEEDS

LEAST = 2**31
"""Beyond the seeds of searches, repeats included."""

RANGE = 2**40
"""Seeds there are; a JSON reader that uses doubles still sees each of them."""

COUNTED = 1_000_000
"""How far apart, and from the search, the verifications of studies of before count their seeds."""


@dataclass(frozen=True, slots=True)
class FreshSeeds:
    """The seeds of one verification.

    Attributes:
        root: Seed of the study's search.
        looks: Answers, or chances of one, before it.
        counted: Whether they are counted up, as in verifications that began before they were
            hashed.
    """

    root: int
    looks: int = 0
    counted: bool = False

    def of(self, number: int) -> int:
        """Seed of round ``number``; the first ``CHOOSING_SEEDS`` of them choose."""
        return self._first + number if self.counted else self._hashed("verify", number)

    def recovery(self, number: int) -> int:
        """Seed of a full fine-tune.

        Args:
            number: From 0; where they are counted, the trials a verification may have lie before.
        """
        return self._first + number if self.counted else self._hashed("recover", number)

    @property
    def choosing(self) -> tuple[int, ...]:
        """Seeds of the rounds that choose the winner."""
        return tuple(self.of(number) for number in range(CHOOSING_SEEDS))

    def judging(self, rounds: int) -> tuple[int, ...]:
        """Seeds of the first ``rounds`` of the rounds that judge it."""
        return tuple(self.of(CHOOSING_SEEDS + number) for number in range(rounds))

    @property
    def _first(self) -> int:
        return self.root + COUNTED * (1 + self.looks)

    def _hashed(self, purpose: str, number: int) -> int:
        text = f"{self.root}:{purpose}:{self.looks}:{number}"
        return LEAST + int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % RANGE
