"""Progress, Best: how far a study has come, and the best that it found on the way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Trials of one purpose. ``planned`` is a lower bound for verification, which may go on.

    ``failed`` counts dead trials too; cancelled ones are counted nowhere.
    """

    planned: int
    queued: int
    running: int
    done: int
    failed: int

    @property
    def over(self) -> int:
        return self.done + self.failed

    @property
    def left(self) -> int:
        return max(self.planned - self.over, 0)


@dataclass(frozen=True, slots=True)
class Best:
    """The best search result so far."""

    score: float
    rank_vector: tuple[int, ...]
    trial: int
