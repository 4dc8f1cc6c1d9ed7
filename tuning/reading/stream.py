"""Stream: a file as one text, or the texts of its rows one after another."""

import re
import sys
from collections.abc import Iterable

from rankspace.data_shape import ShapeName
from tuning.reading.json_records import Layout, begins_with_text, json_records, layout_of
from tuning.reading.shapes import ROWS
from tuning.reading.source import Record, Source

BETWEEN_TEXTS = "\n\n"
"""What stands between the texts of two rows in the one stream they become."""

_CUT_ROW = re.compile(r'\s*\{\s*"[^\n]*')
"""A text of one line that begins as JSON does, and neither prose nor a program."""


def plain_text(source: Source, text: str, *, is_whole: bool = True) -> tuple[ShapeName, str]:
    """Return ``text``; where it is JSON rows, what they have as ``text``.

    Args:
        source: For errors.
        text: Of the file.
        is_whole: Else more follows, and the last of several lines is left out.

    Raises:
        InvalidInput: It is JSON without such a field, or JSON over several lines.
    """
    layout = Layout.LINES if begins_with_text(text) else layout_of(text)
    if layout is None:
        if not is_whole and _CUT_ROW.fullmatch(text):
            problem = "begins with a row of JSON that is longer than what is read of the file"
            raise source.refusal(problem, "divide its text among several rows")
        return "text", text
    if layout is Layout.LINES and not is_whole:
        text = _without_last_line(text)
    return "text-rows", joined(json_records(source, text, is_whole=is_whole))


def joined(records: Iterable[Record]) -> str:
    """Return the texts of rows as one."""
    return BETWEEN_TEXTS.join(map(_text, records))


def _without_last_line(text: str) -> str:
    """All of ``text`` but what may be cut; a single line stays."""
    before, _, _ = text.rstrip("\n").rpartition("\n")
    return before if before.strip() else text


def _text(record: Record) -> str:
    fix = f"write {ROWS['text']} on every line, or give plain text"
    if not isinstance(record.found, dict):
        raise record.refusal("is not a JSON object, as the first line is", fix)
    if "text" not in record.found:
        if "instruction" in record.found:
            fix += "; rows of instruction and output are recipe.data.format: instruction"
        raise record.refusal("is a JSON object without a text", fix)
    return record.checked("text", record.found["text"], sys.maxsize)
