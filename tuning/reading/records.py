"""Records: the rows of a file, in whatever layout it has them; or its one stream of text."""

from collections.abc import Collection, Iterator

from rankspace.data_shape import ShapeName
from tuning.reading.json_records import begins_with_text, json_records, layout_of
from tuning.reading.shapes import COLUMNS
from tuning.reading.source import Record, Source
from tuning.reading.stream import joined, plain_text
from tuning.reading.tables import (
    PARQUET,
    csv_records,
    delimiter_of,
    parquet_holds_at_most,
    parquet_records,
)
from tuning.reading.text_file import holds_at_most, opened, read_text_file


def read_records(source: Source, columns: Collection[str] | None = COLUMNS) -> Iterator[Record]:
    """Yield the rows of a file, in its order; JSON is JSON, also under the name of a table.

    Args:
        source: The file.
        columns: Of Parquet, the ones that are unpacked; None for all.

    Raises:
        InvalidInput: It is no such file, or a damaged one; names the row where it is one's fault.
        CannotOpen: See ``opened``.
    """
    if _is_parquet(source):
        return parquet_records(source, columns)
    text, delimiter = read_text_file(source.field, source.path), delimiter_of(source.path)
    if delimiter is not None and layout_of(text) is None:
        return csv_records(source, text, delimiter)
    return json_records(source, text)


def read_stream(source: Source) -> tuple[ShapeName, str]:
    """Return a file's text, or that of its rows, and which of both it is.

    CSV is plain text here, as it always was.

    Raises:
        InvalidInput, CannotOpen: As ``read_records`` does.
    """
    if _is_parquet(source):
        return "text-rows", joined(parquet_records(source))
    return plain_text(source, read_text_file(source.field, source.path))


def first_record(source: Source) -> Record | None:
    """Return the first row of a file whose format nobody has said; None of plain text.

    Raises:
        InvalidInput, CannotOpen: As ``read_records`` does; it has no rows at all.
    """
    if not _is_parquet(source) and delimiter_of(source.path) is None:
        text = read_text_file(source.field, source.path)
        if layout_of(text) is None and not begins_with_text(text):
            return None
    record = next(iter(read_records(source)), None)
    if record is None:
        raise source.refusal("has no rows", "give a file of at least some hundred rows")
    return record


def is_small(source: Source, most: int) -> bool:
    """Whether no more than ``most`` bytes are in a file, or come out of it.

    Raises:
        InvalidInput, CannotOpen: As ``read_records`` does.
    """
    if _is_parquet(source):
        return parquet_holds_at_most(source, most)
    return holds_at_most(source.field, source.path, most)


def _is_parquet(source: Source) -> bool:
    with opened(source.field, source.path) as file:
        return file.peek(len(PARQUET)).startswith(PARQUET)
