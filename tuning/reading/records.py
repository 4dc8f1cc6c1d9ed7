"""Records: the rows of a file, in whatever layout it has them; or its one stream of text."""

from collections.abc import Iterator

from rankspace.data_shape import ShapeName
from tuning.reading.json_records import json_records
from tuning.reading.source import Record, Source
from tuning.reading.stream import plain_text
from tuning.reading.text_file import holds_at_most, read_text_file


def read_records(source: Source) -> Iterator[Record]:
    """Yield the rows of a file, in its order.

    Raises:
        InvalidInput: It is no such file, or a damaged one; names the row where it is one's fault.
        CannotOpen: See ``opened``.
    """
    return json_records(source, read_text_file(source.field, source.path))


def read_stream(source: Source) -> tuple[ShapeName, str]:
    """Return a file's text, or that of its rows, and which of both it is.

    Raises:
        InvalidInput, CannotOpen: As ``read_records`` does.
    """
    return plain_text(source, read_text_file(source.field, source.path))


def is_small(source: Source, most: int) -> bool:
    """Whether no more than ``most`` bytes are in a file, or come out of it.

    Raises:
        InvalidInput, CannotOpen: As ``read_records`` does.
    """
    return holds_at_most(source.field, source.path, most)
