"""Shape: a way to write a row of training data; those that are read, and others that are known."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from rankspace.data_shape import DataFormat, ShapeName
from rankspace.errors import InvalidInput
from tuning.reading.conversations import OF_ROW, Conversation, messages, sharegpt
from tuning.reading.rows import GIVEN, Completion, Row, alpaca, completion, dolly
from tuning.reading.source import Record

ROWS = {
    "instruction": '{"instruction": "…", "input": "", "output": "…"}',
    "completion": '{"prompt": "…", "completion": "…"}',
    "chat": '{"messages": [{"role": "user", "content": "…"}, …]}',
    "text": '{"text": "…"}',
}
"""A row of each format, as errors show it."""

AnyRow: TypeAlias = Row | Completion | Conversation


@dataclass(frozen=True, slots=True)
class Shape:
    """A way that is read.

    Attributes:
        name: What it is called where rows are counted.
        format: The ``recipe.data.format`` that reads it.
        keys: All of which a row of it has.
        said: What a row of it is, after "is".
        read: Makes a row of what stands in the file.
    """

    name: ShapeName
    format: DataFormat
    keys: tuple[str, ...]
    said: str
    read: Callable[[Record], AnyRow]

    def fits(self, row: Mapping[str, Any]) -> bool:
        return all(key in row for key in self.keys)


SHAPES = (
    Shape(
        "alpaca",
        "instruction",
        ("instruction", "output"),
        "a row of instruction and output (Alpaca)",
        alpaca,
    ),
    Shape(
        "dolly",
        "instruction",
        ("instruction", "response"),
        "a row of instruction and response (Dolly)",
        dolly,
    ),
    Shape(
        "prompt-completion",
        "completion",
        ("prompt", "completion"),
        "a row of prompt and completion",
        completion,
    ),
    Shape("messages", "chat", ("messages",), "a conversation (messages)", messages),
    Shape("sharegpt", "chat", ("conversations",), "a conversation (ShareGPT)", sharegpt),
)


@dataclass(frozen=True, slots=True)
class OtherShape:
    """A way that is known and not read, or not as rows.

    Attributes:
        keys: As of ``Shape``.
        said: Likewise.
        fix: How to make of it what is read; ``FILE`` stands for the file's name.
    """

    keys: tuple[str, ...]
    said: str
    fix: str


def _renamed(prompt: str, completion: str) -> str:
    made = f"{{prompt: .{prompt}, completion: .{completion}}}"
    return f"convert it: jq -c '{made}' FILE > train.jsonl, and set recipe.data.format: completion"


OTHERS = (
    *(
        OtherShape((asked, answered), f"a row of {asked} and {answered}", _renamed(asked, answered))
        for asked, answered in (
            ("prompt", "response"),
            ("prompt", "chosen"),
            ("question", "answer"),
            ("query", "response"),
        )
    ),
    OtherShape(
        ("text",),
        "a row of plain text",
        "set recipe.data.format: text, which reads the text of such rows",
    ),
)

COLUMNS = frozenset(GIVEN + OF_ROW + ("system",)).union(
    *(shape.keys for shape in SHAPES), *(other.keys for other in OTHERS)
)
"""Whatever of a row is read or looked for; of a table other columns need not be unpacked."""


def shaped(
    records: Iterable[Record], form: DataFormat
) -> tuple[ShapeName | None, tuple[AnyRow, ...]]:
    """Read rows that ``form`` reads, all of one shape; None without any.

    Raises:
        InvalidInput: A row that is of no such shape, of several, or of another than those before.
    """
    shape, rows = None, list[AnyRow]()
    for record in records:
        found = _shape(record, form)
        if shape is not None and found is not shape:
            problem = f"is {found.said}, and the rows before it are of {' and '.join(shape.keys)}"
            raise record.refusal(problem, "write all rows of a file in one way, or train on one")
        shape = found
        rows.append(shape.read(record))
    return (shape.name if shape else None), tuple(rows)


def format_of(record: Record) -> DataFormat:
    """Tell which format reads a file that begins with this row.

    A row of some other shape that has a ``text`` beside it, as exports of Alpaca do, is of that
    shape.

    Raises:
        InvalidInput: None does, or rows like it can be read in two.
    """
    if not isinstance(record.found, dict):
        fix = f"write {ROWS['instruction']} on every line, or give plain text"
        raise record.refusal("is not a JSON object", fix)
    fitting = {one.format: one for one in SHAPES if one.fits(record.found)}
    if len(fitting) > 1:
        raise _ambiguous(record, [*fitting.values()])
    if not fitting and "text" not in record.found:
        raise _unread(record, "instruction")
    return next(iter(fitting), "text")


def _shape(record: Record, form: DataFormat) -> Shape:
    if not isinstance(record.found, dict):
        fix = f"write {ROWS[form]} on every line, or set recipe.data.format: text for plain text"
        raise record.refusal("is not a JSON object", fix)
    fitting = [one for one in SHAPES if one.format == form and one.fits(record.found)]
    if not fitting:
        raise _unread(record, form)
    if len(fitting) > 1:
        raise _ambiguous(record, fitting)
    return fitting[0]


def _ambiguous(record: Record, fitting: list[Shape]) -> InvalidInput:
    first, second = fitting[:2]
    extra = [key for key in second.keys if key not in first.keys]
    fix = f"leave one of them out: jq -c 'del({', '.join(f'.{key}' for key in extra)})' FILE"
    return record.refusal(f"is {first.said} and {second.said} at once", f"{fix} > train.jsonl")


def _unread(record: Record, form: DataFormat) -> InvalidInput:
    """The error of a row that ``form`` does not read: what it is instead, or what it lacks."""
    for shape in SHAPES:
        if shape.fits(record.found):
            fix = f"set recipe.data.format: {shape.format}, which reads such rows"
            return record.refusal(f"is {shape.said}", fix)
    for other in OTHERS:
        if all(key in record.found for key in other.keys):
            return record.refusal(f"is {other.said}", other.fix)
    keys = next(shape.keys for shape in SHAPES if shape.format == form)
    missing = [key for key in keys if key not in record.found]
    return record.refusal(f"has no {' and no '.join(missing)}", f"write {ROWS[form]} as every row")
