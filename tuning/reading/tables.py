"""Rows of tables: CSV, and Parquet through pyarrow, which only this needs."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rankspace.errors import CannotOpen, InvalidInput
from tuning.reading.source import Record, Source
from tuning.reading.text_file import MOST_BYTES

PARQUET = b"PAR1"

AT_ONCE = 16
"""Rows of Parquet in memory as objects."""

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


def parquet_records(source: Source) -> Iterator[Record]:
    """Yield the rows of a Parquet file, a few in memory at a time.

    Raises:
        InvalidInput: It is damaged, or of columns that are no text.
        CannotOpen: pyarrow is not installed, or more than ``MOST_BYTES`` would come out.
    """
    file, number, size = _opened(source), 0, 0
    _check_names(source, file.schema_arrow.names, "its schema")
    for batch in _batches(source, file):
        # What the file says of its size leaves out that a value may be told once for many rows.
        size += batch.nbytes
        if size > MOST_BYTES:
            problem = f"unpacks to more than the {MOST_BYTES:,} bytes that are read"
            raise CannotOpen(source.field, str(source.path), problem, fix="give a part of it")
        for row in _rows(source, batch):
            number += 1
            yield Record(source, f"row {number}", row)


def parquet_bytes(source: Source) -> int:
    """Return what a Parquet file says that it unpacks to; raises what ``parquet_records`` does."""
    metadata = _opened(source).metadata
    groups = range(metadata.num_row_groups)
    return sum(metadata.row_group(group).total_byte_size for group in groups)


def _batches(source: Source, file: Any) -> Iterator[Any]:
    batches = file.iter_batches(batch_size=AT_ONCE)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - whatever damage leads to in another's library
            raise _damaged(source, error) from None
        yield batch


def _rows(source: Source, batch: Any) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except Exception as error:  # noqa: BLE001 - as above: text that is not UTF-8, say
        raise _damaged(source, error) from None
    return rows


def _opened(source: Source) -> Any:
    try:
        from pyarrow import parquet
    except ModuleNotFoundError:
        fix = f"pip install pyarrow, or convert it elsewhere: {_as_lines(source, 'read_parquet')}"
        problem = "is a Parquet file, and pyarrow, which reads them, is not installed here"
        raise CannotOpen(source.field, str(source.path), problem, fix=fix) from None
    try:
        return parquet.ParquetFile(source.path)
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
