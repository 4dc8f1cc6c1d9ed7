"""Rows of JSON: an object on every line, or one array of them."""

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

from tuning.reading.source import Record, Source

FIRST_VALUE = 8_000_000
"""Characters within which the first object of a JSON file ends, or it is not taken for JSON."""

_SPACE = re.compile(r"\s*")
_DECODER = json.JSONDecoder()
_MEND = "mend it there: commas between rows, a bracket behind the last one"


class Layout(Enum):
    """How JSON stands in a file; what each is called, after "is"."""

    LINES = "JSON lines"
    ARRAY = "one JSON array"
    DOCUMENT = "JSON written over several lines, not a row on every line"


def json_records(source: Source, text: str, *, is_whole: bool = True) -> Iterator[Record]:
    r"""Yield the rows of ``text``: the items of an array, else every line that is not blank.

    Only ``\n`` ends a line.

    Args:
        source: Of the text.
        text: JSON, or what is to be refused line by line.
        is_whole: Else more follows, and an item that is cut ends it.

    Raises:
        InvalidInput: It is JSON of another layout, or an array that is damaged; names the item.
    """
    layout = layout_of(text)
    if layout is Layout.DOCUMENT:
        fix = "convert it: jq -c '.' FILE > train.jsonl"
        raise source.refusal(f"is {layout.value}", fix)
    if layout is Layout.ARRAY:
        yield from _items(source, text, is_whole=is_whole)
        return
    for number, line in lines(text):
        yield Record(source, f"line {number}", parsed(line))


def layout_of(text: str) -> Layout | None:
    """Tell how JSON stands in ``text`` from its first object; None for what is no JSON.

    Prose and programs begin with brackets and braces, too: the object must end, and be followed by
    what follows one in JSON.
    """
    start = _after_space(text, 0)
    is_array = text.startswith("[", start)
    begin = _after_space(text, start + 1) if is_array else start
    end = _end_of_object(text, begin)
    if end is None:
        return None
    following = _next(text, end)
    if is_array:
        return Layout.ARRAY if following.startswith(",") or following == "]" else None
    if following and not following.startswith("{"):
        return None
    return Layout.LINES if text.find("\n", begin, end) < 0 else Layout.DOCUMENT


def begins_with_text(text: str) -> bool:
    """Whether the first line is a row with a text, whatever follows and however long it is."""
    start = _after_space(text, 0)
    if not text.startswith("{", start):
        return False
    end = text.find("\n", start)
    found = parsed(text[start:] if end < 0 else text[start:end])
    return isinstance(found, dict) and "text" in found


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, and their numbers from 1."""
    for number, line in enumerate(text.split("\n"), 1):
        if line and not line.isspace():
            yield number, line


def parsed(line: str) -> Any:
    """Return what a line says as JSON, or None."""
    try:
        return json.loads(line.strip())  # also of what is white space, but not for JSON
    except (ValueError, RecursionError):
        return None


def _items(source: Source, text: str, *, is_whole: bool) -> Iterator[Record]:
    """One item at a time: the whole of a large array would stand in memory as objects."""
    at, number = _after_space(text, 0) + 1, 0
    while True:
        number, place = number + 1, f"row {number + 1}"
        try:
            found, at = _DECODER.raw_decode(text, _after_space(text, at))
        except (ValueError, RecursionError):
            if is_whole:
                raise source.refusal("is not JSON", _MEND, place) from None
            return
        yield Record(source, place, found)
        at = _after_space(text, at)
        if not text.startswith(",", at):
            _check_end(source, text[at : at + 1], _next(text, at + 1), place, is_whole=is_whole)
            return
        at += 1


def _check_end(source: Source, here: str, after: str, place: str, *, is_whole: bool) -> None:
    is_closed = here == "]" and not after
    if not is_closed and (is_whole or here):
        raise source.refusal("is followed by what is no part of a JSON array", _MEND, place)


def _end_of_object(text: str, begin: int) -> int | None:
    if not text.startswith("{", begin):
        return None
    try:
        _, length = _DECODER.raw_decode(text[begin : begin + FIRST_VALUE])
    except (ValueError, RecursionError):
        return None
    return begin + length


def _next(text: str, start: int) -> str:
    """The two characters after ``start`` that are no space, as far as there are any."""
    first = _after_space(text, start)
    second = _after_space(text, first + 1)
    return text[first : first + 1] + text[second : second + 1]


def _after_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start
