"""Rows of tables: CSV, and Parquet through pyarrow, which only this needs."""

import csv
import io
from collections.abc import Collection, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from rankspace.errors import CannotOpen, InvalidInput
from tuning.reading.shapes import COLUMNS
from tuning.reading.source import LONGEST, Record, Source
from tuning.reading.text_file import MOST_BYTES, PIECE

PARQUET = b"PAR1"

VALUE_BYTES = 8
"""What a value of Parquet is taken for beside its bytes: of a hundred million that say nothing a
file has next to none, and memory half a gigabyte."""

MOST_VALUES = 100_000
"""Of one row of Parquet: the longest conversation has a hundredth, in a few fields."""

_CELLS = {".csv": ",", ".tsv": "\t"}


def delimiter_of(path: Path) -> str | None:
    """Return what divides the cells of a table, by the file's name; None of no table."""
    name = path.name.lower().removesuffix(".gz")
    return next((mark for end, mark in _CELLS.items() if name.endswith(end)), None)


def csv_records(source: Source, text: str, delimiter: str) -> Iterator[Record]:
    """Yield the rows below the header; every cell is a text.

    Raises:
        InvalidInput: A row is damaged, too long, or has more or fewer cells than the header.
    """
    # Of the whole process, like what it limits: never lowered, in case somebody else needs more.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    for place, cells in _cells(source, reader):
        if header is None:
            _check_names(source, cells, place)
            header = cells
            continue
        if len(cells) != len(header):
            problem = f"has {len(cells)} cells, the header {len(header)}"
            raise source.refusal(problem, _mend(source), place)
        yield Record(source, place, dict(zip(header, cells, strict=True)))


def _cells(source: Source, reader: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield rows with the line they begin in; a line of nothing, not even empty cells, is none."""
    while True:
        place = f"line {reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # A fixed phrase, about quotes or the limit of a field.
            raise source.refusal(f"is no row of CSV ({error})", _mend(source), place) from None
        if cells:
            yield place, cells


def _check_names(source: Source, names: list[str], place: str) -> None:
    if len(set(names)) < len(names):
        raise source.refusal("names two columns alike", "rename one of them", place)


def parquet_records(source: Source, columns: Collection[str] | None = COLUMNS) -> Iterator[Record]:
    """Yield the rows of a Parquet file, one in memory at a time, of ``columns``; None for all.

    Raises:
        InvalidInput: It is damaged, of columns that are no text, or a row has too many values.
        CannotOpen: pyarrow is not installed, or more than ``MOST_BYTES`` would come out.
    """
    file, size = _opened(source), 0
    _check_names(source, file.schema_arrow.names, "its schema")
    _check_size(source, _declared(file, columns))
    for number, row in enumerate(_rows(source, file, columns), 1):
        size += _bytes(row)
        _check_size(source, size)
        place = f"row {number}"
        _check_values(source, row, place)
        yield Record(source, place, _found(source, row))


def parquet_holds_at_most(source: Source, most: int) -> bool:
    """Whether no more than ``most`` bytes come out; raises what ``parquet_records`` does.

    What the file says of its size leaves out that a value may be told once for many rows: a file
    that says little is read.
    """
    file = _opened(source)
    if _declared(file, COLUMNS) > most:
        return False
    return all(size <= most for size in accumulate(map(_bytes, _rows(source, file, COLUMNS))))


def _bytes(row: Any) -> int:
    """Count what a row's values take; of categories the one it has, not all that there are."""
    return sum(
        (column.dictionary_decode() if hasattr(column, "dictionary_decode") else column).nbytes
        for column in row.columns
    )


def _declared(file: Any, columns: Collection[str] | None) -> int:
    """Bytes that the columns read unpack to, as the file says, its values without any included."""
    metadata = file.metadata
    stored = (
        metadata.row_group(group).column(at)
        for group in range(metadata.num_row_groups)
        for at in range(metadata.num_columns)
    )
    return sum(
        column.total_uncompressed_size + VALUE_BYTES * column.num_values
        for column in stored
        if columns is None or column.path_in_schema.split(".")[0] in columns
    )


def _check_size(source: Source, size: int) -> None:
    if size > MOST_BYTES:
        problem = f"unpacks to more than the {MOST_BYTES:,} bytes that are read"
        raise CannotOpen(source.field, str(source.path), problem, fix="give a part of it")


def _check_values(source: Source, row: Any, place: str) -> None:
    """A value of nothing takes a bit in the file's arrays, and two hundred bytes as an object."""
    values = sum(map(_values, row.columns))
    if values > MOST_VALUES:
        problem = f"has {values:,} values in its lists, more than the {MOST_VALUES:,} read"
        raise source.refusal(problem, "divide it among several rows, or drop the row", place)


def _values(array: Any) -> int:
    """Count an array's values, those that are within others, too."""
    inner = array.flatten() if array.type.num_fields else []
    of_group = inner if isinstance(inner, list) else [inner]
    return len(array) + sum(map(_values, of_group))


def _rows(source: Source, file: Any, columns: Collection[str] | None) -> Iterator[Any]:
    """Yield each row as a batch of its own: a large value, told once, is copied for every row."""
    names = file.schema_arrow.names
    read = [name for name in names if columns is None or name in columns]
    batches = file.iter_batches(batch_size=1, columns=read, use_threads=False)
    while True:
        try:
            row = next(batches)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - whatever damage leads to in another's library
            raise _damaged(source, error) from None
        yield row


def _found(source: Source, row: Any) -> dict[str, Any]:
    try:
        found: list[dict[str, Any]] = row.to_pylist()
    except Exception as error:  # noqa: BLE001 - as above: text that is not UTF-8, say
        raise _damaged(source, error) from None
    return found[0]


def _opened(source: Source) -> Any:
    try:
        from pyarrow import parquet
    except ModuleNotFoundError:
        fix = f"pip install pyarrow, or convert it elsewhere: {_as_lines(source, 'read_parquet')}"
        problem = "is a Parquet file, and pyarrow, which reads them, is not installed here"
        raise CannotOpen(source.field, str(source.path), problem, fix=fix) from None
    try:
        return parquet.ParquetFile(source.path, pre_buffer=False, buffer_size=PIECE)
    except Exception as error:  # noqa: BLE001 - as above
        raise _damaged(source, error) from None


def _mend(source: Source) -> str:
    return f"mend it there, or save it as JSON lines: {_as_lines(source, 'read_csv')}"


def _as_lines(source: Source, reader: str) -> str:
    saved = "to_json('train.jsonl', orient='records', lines=True)"
    return f"pandas.{reader}({source.path.name!r}).{saved}"


def _damaged(source: Source, error: Exception) -> InvalidInput:
    problem = f"is a Parquet file that cannot be read ({type(error).__name__})"
    return source.refusal(problem, "copy it from its source again, or save it anew")
