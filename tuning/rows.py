"""Rows: what the lines of a JSON-lines file say."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankspace.errors import InvalidInput
from tuning.shapes import ARRAY, DOCUMENT, LINES, Shape, shape_of

ROW = '{"instruction": "…", "input": "", "output": "…"}'
TEXT_ROW = '{"text": "…"}'

FIRST_VALUE = 8_000_000
"""Characters within which the first object of a JSON file ends, or it is not taken for JSON."""

BETWEEN_TEXTS = "\n\n"
"""What stands between the texts of two rows in the one stream they become."""

_SPACE = re.compile(r"\s*")
_CUT_ROW = re.compile(r'\s*\{\s*"[^\n]*')
"""A text of one line that begins as JSON does, and neither prose nor a program."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one line of a training file asks and answers; ``input`` may be empty."""

    instruction: str
    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Source:
    """A file as errors name it, without its content: who reads them need not be allowed to read it.

    Attributes:
        field: That names the file.
        path: Of the file.
    """

    field: str
    path: Path

    def refusal(self, problem: str, fix: str, line: int | None = None) -> InvalidInput:
        field = self.field if line is None else f"{self.field}, line {line}"
        return InvalidInput(field, str(self.path), problem, fix=fix)

    def misshapen(self, shape: Shape, line: int | None = None) -> InvalidInput:
        fix = shape.fix.replace("FILE", shlex.quote(self.path.name))
        return self.refusal(f"is {shape.name}", fix, line)


def instruction_rows(source: Source, text: str) -> tuple[Row, ...]:
    r"""Read a row from every line of ``text`` that is not blank; only ``\n`` ends a line.

    Raises:
        InvalidInput: Names the line and its flaw, or the shape that the file has instead.
    """
    shape = _shape(text)
    if shape in (ARRAY, DOCUMENT):
        raise source.misshapen(shape)
    return tuple(_row(source, number, _parsed(line)) for number, line in _lines(text))


def plain_text(source: Source, text: str, *, is_whole: bool = True) -> str:
    """Return ``text``; where it is JSON lines, what they have as ``text``.

    Args:
        source: For errors.
        text: Of the file.
        is_whole: Else more follows, and the last of several lines is left out.

    Raises:
        InvalidInput: It is JSON without such a field, or JSON of another shape.
    """
    shape = LINES if _begins_with_text(text) else _shape(text)
    if shape is None:
        if not is_whole and _CUT_ROW.fullmatch(text):
            problem = "begins with a row of JSON that is longer than what is read of the file"
            raise source.refusal(problem, "divide its text among several rows")
        return text
    if shape != LINES:
        raise source.misshapen(shape)
    lines = list(_lines(text))
    if not is_whole:
        lines = lines[: max(1, len(lines) - 1)]
    return BETWEEN_TEXTS.join(_text(source, number, _parsed(line)) for number, line in lines)


def _begins_with_text(text: str) -> bool:
    """Whether the first line is a row with a text, whatever follows and however long it is."""
    start = _after_space(text, 0)
    if not text.startswith("{", start):
        return False
    end = text.find("\n", start)
    found = _parsed(text[start:] if end < 0 else text[start:end])
    return isinstance(found, dict) and "text" in found


def _shape(text: str) -> Shape | None:
    """Tell the shape of JSON from its first object; None for what is no JSON.

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
        return ARRAY if following.startswith(",") or following == "]" else None
    if following and not following.startswith("{"):
        return None
    return LINES if text.find("\n", begin, end) < 0 else DOCUMENT


def _end_of_object(text: str, begin: int) -> int | None:
    if not text.startswith("{", begin):
        return None
    try:
        _, length = json.JSONDecoder().raw_decode(text[begin : begin + FIRST_VALUE])
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


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line and not line.isspace():
            yield number, line


def _parsed(line: str) -> Any:
    try:
        return json.loads(line.strip())  # also of what is white space, but not for JSON
    except (ValueError, RecursionError):
        return None


def _row(source: Source, number: int, found: Any) -> Row:
    fix = f"write {ROW} on every line"
    if not isinstance(found, dict):
        fix += ", or set recipe.data.format: text for plain text"
        raise source.refusal("is not a JSON object", fix, number)
    missing = [name for name in ("instruction", "output") if name not in found]
    shape = shape_of(found) if missing else None
    if shape:
        raise source.misshapen(shape, number)
    if missing:
        raise source.refusal(f"has no {' and no '.join(missing)}", fix, number)
    # Exports write that there is no input as an empty text, as null, or not at all.
    given = found if found.get("input") is not None else {**found, "input": ""}
    return Row(*(_value(source, number, given, n) for n in ("instruction", "input", "output")))


def _text(source: Source, number: int, found: Any) -> str:
    fix = f"write {TEXT_ROW} on every line, or give plain text"
    if not isinstance(found, dict):
        raise source.refusal("is not a JSON object, as the first line is", fix, number)
    if "text" not in found:
        if "instruction" in found:
            fix += "; rows of instruction and output are recipe.data.format: instruction"
        raise source.refusal("is a JSON object without a text", fix, number)
    return _value(source, number, found, "text")


def _value(source: Source, number: int, found: Mapping[str, Any], name: str) -> str:
    value = found[name]
    if not isinstance(value, str):
        problem = f"has {_kind(value)} as {name}, not a text"
        raise source.refusal(problem, "write one text in quotes, or drop the row", number)
    if not value.isascii():
        _check_characters(source, number, name, value)
    return value


def _check_characters(source: Source, number: int, name: str, value: str) -> None:
    """Refuse half a character: JSON can spell one, UTF-8 and tokenizers cannot."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        place = f"character {error.start + 1:,} of its {name}"
        problem = f"has half a character (an unpaired surrogate) as {place}"
        fix = "write both halves of it or none: somebody cut the text there"
        raise source.refusal(problem, fix, number) from None


def _kind(value: Any) -> str:
    names = {list: "a list", dict: "a group", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
