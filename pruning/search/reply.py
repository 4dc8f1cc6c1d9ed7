"""Reading a reply: the last JSON list in it, if it is what was asked for. Nothing is guessed."""

import json
from collections.abc import Iterator
from typing import Any

MOST_LISTS = 32
"""Places in a reply at which a list may begin, from its end, that are looked at."""

_DECODER = json.JSONDecoder()


def rates_in(text: str, count: int) -> tuple[float, ...] | None:
    """Return the ``count`` numbers from 0 to 1 that a reply gives; None if it does not."""
    for found in _lists(text):
        if len(found) == count and all(_is_share(value) for value in found):
            return tuple(float(value) for value in found)
    return None


def pair_in(text: str, count: int) -> tuple[int, int] | None:
    """Return the two different numbers from 0, below ``count``, that a reply gives; or None."""
    for found in _lists(text):
        if len(found) == 2 and all(type(value) is int and 0 <= value < count for value in found):
            one, other = found
            return (one, other) if one != other else None
    return None


def without_echo(text: str, prompt: str) -> str:
    """Take the question out of a reply that repeats it, and with it the lists that it showed."""
    return text.replace(prompt, " ")


def _lists(text: str) -> Iterator[list[Any]]:
    """Yield lists, the last first: models think aloud before they answer."""
    end = len(text)
    for _ in range(MOST_LISTS):
        end = text.rfind("[", 0, end)
        if end < 0:
            return
        try:
            found, _ = _DECODER.raw_decode(text, end)
        except (ValueError, RecursionError):  # an integer of thousands of digits is a ValueError
            continue
        if isinstance(found, list):
            yield found


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0.0 <= value <= 1.0
