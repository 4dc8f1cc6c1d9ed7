"""What was computed of a study: of which revision, when, and whom it still serves. Pure."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from service.studies.revision import Revision

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: the revision there was when it came, and a moment before that was read."""

    revision: Revision
    at: float


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """What a computation made.

    Attributes:
        revision: Of what it looked at, read in the same snapshot of the database.
        body: As it is sent.
        value: For whoever looks closer.
        is_whole: Whether nothing in it was still to come, or old.
    """

    revision: Revision
    body: bytes
    value: T
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A computation that is over: all that was written before it began is in it."""

    made: Made[T]
    begun_at: float
    ended_at: float

    @property
    def seconds(self) -> float:
        return self.ended_at - self.begun_at

    def is_of_this_stage(self, asked: Asked) -> bool:
        return self.made.revision.heads == asked.revision.heads

    def age(self, asked: Asked, now: float) -> float:
        """Seconds since it began; 0 while nothing has changed."""
        return 0.0 if self.made.revision == asked.revision else max(now - self.begun_at, 0.0)


@dataclass(frozen=True, slots=True)
class Rule:
    """How often something is computed anew while it changes all the time.

    Attributes:
        pauses: How many times as long as computing it the pause before the next time is.
        most_seconds: And how long at most.
        may_be_old: Whether those who ask in the pause get what there is; else they wait for the
            next. Nobody waits who asks of another stage than it is of, nor gets it.
        cheap_seconds: What takes no longer has no pause.
    """

    pauses: float
    most_seconds: float
    may_be_old: bool
    cheap_seconds: float

    def serves(self, found: Found[T], asked: Asked, now: float) -> bool:
        """Whether ``found`` may be the answer."""
        if found.begun_at >= asked.at:
            return True
        rests = now < self._rests_until(found)
        if found.made.revision == asked.revision:
            return found.made.is_whole or rests
        return self.stands_in(found, asked) and rests

    def stands_in(self, found: Found[T], asked: Asked) -> bool:
        """Whether ``found`` may be the answer where no other one comes in time."""
        return self.may_be_old and found.is_of_this_stage(asked)

    def pause(self, found: Found[T] | None, asked: Asked, now: float) -> float:
        """Seconds before it is computed anew for ``asked``, whom ``found`` does not serve."""
        if found is None or self.may_be_old or not found.is_of_this_stage(asked):
            return 0.0
        return max(self._rests_until(found) - now, 0.0)

    def _rests_until(self, found: Found[T]) -> float:
        if found.seconds <= self.cheap_seconds:
            return found.ended_at
        return found.ended_at + min(self.pauses * found.seconds, self.most_seconds)
