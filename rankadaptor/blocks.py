"""Block lists on the command line: ``4-29``, ``1,3,5``, ``0-2,7``."""

import re

from rankspace.errors import InvalidInput

MOST_BLOCKS = 10_000
"""Of a dense model that nobody has here."""

_BLOCKS = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


def parse_blocks(text: str | None, count: int) -> tuple[int, ...]:
    """Return the rising indices ``text`` names among ``count`` blocks.

    Without a text: LLM-Pruner's choice, all but the first four and the last two; models of fewer
    than twelve blocks spare the first and the last.

    Raises:
        InvalidInput: Not a list of blocks, or blocks the model does not have.
    """
    if text is None:
        return tuple(range(4, count - 2) if count >= 12 else range(1, max(2, count - 1)))
    last = count - 1
    chosen = _listed("blocks", text, count)
    if not chosen:
        problem = f"the model has blocks 0 to {last}"
        raise InvalidInput("blocks", text, problem, fix=f"use 0-{last}, or some of them")
    return chosen


def parse_original(text: str) -> tuple[int, ...]:
    """Return the rising indices of blocks of a dense model that is not here.

    Raises:
        InvalidInput: Not a list of blocks, or more than any model has.
    """
    chosen = _listed("original", text, MOST_BLOCKS)
    if not chosen:
        problem = f"is no list of blocks below {MOST_BLOCKS:,}"
        raise InvalidInput("original", text, problem, fix="write 0-20,25")
    return chosen


def _listed(field: str, text: str, count: int) -> tuple[int, ...]:
    """The blocks, or none where one is beyond ``count``: no set of a thousand million is made."""
    ranges = [_range(field, text, part.strip()) for part in text.split(",")]
    if any(part.stop > count for part in ranges):
        return ()
    return tuple(sorted({index for part in ranges for index in part}))


def _range(field: str, text: str, part: str) -> range:
    found = _BLOCKS.fullmatch(part)
    if not found:
        raise InvalidInput(field, text, f"{part!r} is not a block", fix="write 4-29 or 1,3,5")
    first, last = found.groups()
    return range(int(first), int(last or first) + 1)
