"""Every error this project raises on purpose, grouped by what the caller can do about it.

RankspaceError
├── InvalidInput             change the named field and try again          (HTTP 422)
│   ├── UnreadableInput      the document is not even YAML, JSON, UTF-8 …  (HTTP 400)
│   ├── BudgetTooSmall       no vector of the space fits the budget
│   ├── InvalidContainer     the model's files do not agree with each other
│   └── CannotOpen           not on this machine: no fault of the trial at hand
├── Unauthenticated          send a valid key                              (HTTP 401)
├── Forbidden                this key may not do that                      (HTTP 403)
│   ├── WrongWorker          the key may not speak for this worker
│   └── Quarantined          the worker gets no trials: mend it, have it reinstated
├── NotFound                 there is no such thing                        (HTTP 404)
├── Conflict                 true now, perhaps not later                   (HTTP 409)
│   ├── LeaseLost            someone else holds the trial: drop it, go on
│   └── NotOver              the study goes on: wait longer
├── TooLarge                 send less                                     (HTTP 413)
├── TooManyRequests          come back later                               (HTTP 429)
├── UnsupportedVersion       upgrade the older side                        (HTTP 426)
├── TrialFailed              this rank vector cannot be measured; the study goes on
└── Unreachable              the service did not answer: try again         (HTTP 503)
"""

import difflib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from heapq import nlargest
from itertools import islice
from typing import Any, Self

LIMIT = 80  # characters of a value
_LONG_BITS = 1024  # Python refuses to spell out integers of some thousand digits
MAX_TOLD = 4000
"""Characters of what another program says is wrong; the rest is left out."""
MOST_COMPARED, LONGEST_COMPARED = 500, 64
"""Names, and their characters, that are looked at for one that is alike: the time it takes grows
with the product of both and with the length of what was asked for."""
MOST_MATCHED = 20
"""Of those, with most characters in common, whose characters are matched in order: most dear."""
ALIKE = 0.5
"""Least part of two names that must match."""


class RankspaceError(Exception):
    """Base class; catch it only at a process boundary.

    Attributes:
        detail: What is wrong, for a person, with the value that caused it.
        hint: What to do about it; empty where nothing helps.
    """

    def __init__(self, detail: str, *, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint


class InvalidInput(RankspaceError):
    """A value the caller gave cannot be used; names the field, the value and the fix."""

    def __init__(self, field: str, value: Any, problem: str, *, fix: str) -> None:
        super().__init__(f"{field} = {glimpse(value)}: {problem}", hint=fix)
        self.field = field
        self.value = value
        self.problem = problem

    def __reduce__(self) -> tuple[Any, ...]:  # what is made anew needs more than the message
        return partial(type(self), fix=self.hint), (self.field, self.value, self.problem)

    def under(self, parent: str) -> Self:
        """Return the same error with its field named from one level further out."""
        joined = self.field if not parent else f"{parent}.{self.field}" if self.field else parent
        return type(self)(joined, self.value, self.problem, fix=self.hint)


class UnreadableInput(InvalidInput):
    """The document is not even YAML, JSON or UTF-8."""


class BudgetTooSmall(InvalidInput):
    """No vector of the space fits the budget."""


class InvalidContainer(InvalidInput):
    """A model's files do not agree with each other."""


class CannotOpen(InvalidInput):
    """The model or the data cannot be opened on this machine: no fault of the trial at hand.

    The trial goes back, and this worker gets none of its study for a while: another one would fare
    no better here.
    """


class Unauthenticated(RankspaceError):
    """No valid key came with the request."""


class Forbidden(RankspaceError):
    """The key may not do that."""


class WrongWorker(Forbidden):
    """A key was used in the name of a worker that it may not speak for."""


class Quarantined(Forbidden):
    """The worker gets no trials until an admin reinstates it; it may go on asking."""


class NotFound(RankspaceError):
    """There is no such thing, or none that the key may see."""


class Conflict(RankspaceError):
    """True now, perhaps not later."""


class LeaseLost(Conflict):
    """The trial was handed on, cancelled or finished; the holder drops its work."""


class NotOver(Conflict):
    """The study goes on, and whoever waited for its end wanted to wait no longer."""


class TooLarge(RankspaceError):
    """More was sent than is taken."""


class TooManyRequests(RankspaceError):
    """The caller has used up its share for the moment.

    Attributes:
        wait_seconds: When to come back.
    """

    wait_seconds: float = 1.0

    def __init__(self, detail: str, *, hint: str = "", wait_seconds: float = 1.0) -> None:
        super().__init__(detail, hint=hint)
        self.wait_seconds = wait_seconds


class UnsupportedVersion(RankspaceError):
    """The two sides speak different versions: upgrade the older one."""


class TrialFailed(RankspaceError):
    """The trial itself cannot succeed (NaN loss, out of memory); reported, never a crash."""


class Unreachable(RankspaceError):
    """The service did not answer: try again."""


def glimpse(value: Any, limit: int = LIMIT) -> str:
    """Return ``repr(value)``, cut to ``limit`` characters.

    Lists and groups are spelled out no further than that: 500 bytes of YAML may name one list a
    hundred million times, or a list that holds itself.
    """
    text = ""
    for piece in _pieces(value, limit):
        text += piece
        if len(text) > limit:
            break
    return cut(text, limit)


def cut(text: str, limit: int = LIMIT) -> str:
    """Return ``text``, with an ellipsis for what goes beyond ``limit`` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of ``known`` most like ``name``, for a "did you mean"; None if none is."""
    names = {one[:LONGEST_COMPARED]: one for one in islice(known, MOST_COMPARED)}
    matcher = difflib.SequenceMatcher(b=name[:LONGEST_COMPARED])

    def likeness(of: str, measure: Callable[[], float]) -> float:
        matcher.set_seq1(of)
        return measure()

    hopeful = nlargest(MOST_MATCHED, names, lambda one: likeness(one, matcher.quick_ratio))
    close = max(hopeful, key=lambda one: likeness(one, matcher.ratio), default="")
    return names[close] if close and likeness(close, matcher.ratio) >= ALIKE else None


def _pieces(value: Any, limit: int) -> Iterator[str]:
    """Spell out ``value`` piece by piece, for a reader that stops after ``limit`` characters."""
    if type(value) is dict:
        yield from _listed("{", (_pair(key, item, limit) for key, item in value.items()), "}")
    elif type(value) is list:
        yield from _listed("[", (_pieces(item, limit) for item in value), "]")
    elif type(value) is tuple:
        closing = ",)" if len(value) == 1 else ")"
        yield from _listed("(", (_pieces(item, limit) for item in value), closing)
    else:
        yield _leaf(value, limit)


def _listed(opening: str, items: Iterable[Iterator[str]], closing: str) -> Iterator[str]:
    yield opening
    for index, item in enumerate(items):
        if index:
            yield ", "
        yield from item
    yield closing


def _pair(key: Any, item: Any, limit: int) -> Iterator[str]:
    yield from _pieces(key, limit)
    yield ": "
    yield from _pieces(item, limit)


def _leaf(value: Any, limit: int) -> str:
    if isinstance(value, int) and value.bit_length() > _LONG_BITS:
        return f"<a number of {value.bit_length():,} bits>"
    if type(value) in (str, bytes):
        return repr(value[: limit + 1])
    try:
        return repr(value)
    except (ValueError, RecursionError):
        return f"<{type(value).__name__}>"


def revive(name: str, detail: str, hint: str) -> RankspaceError:
    """Rebuild an error from its class name and texts, as an error body carries them."""
    kind = _by_name(RankspaceError).get(name, RankspaceError)
    error = kind.__new__(kind)
    RankspaceError.__init__(error, cut(detail, MAX_TOLD), hint=cut(hint, MAX_TOLD))
    return error


def _by_name(kind: type[RankspaceError]) -> dict[str, type[RankspaceError]]:
    found = {kind.__name__: kind}
    for child in kind.__subclasses__():
        found |= _by_name(child)
    return found
