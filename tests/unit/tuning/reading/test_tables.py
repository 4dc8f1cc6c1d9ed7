"""Rows of CSV and Parquet say what they say as JSON lines."""

import csv
import gzip
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankspace.errors import CannotOpen, InvalidInput
from tuning.reading import tables
from tuning.reading.conversations import Conversation, Turn
from tuning.reading.records import is_small, read_records, read_stream
from tuning.reading.rows import Row
from tuning.reading.shapes import shaped
from tuning.reading.source import LONGEST, Source

HEADER = "instruction,input,output\n"
ROWS = (Row("Say, please", "", 'the "word"'), Row("Say\nmore", "now", "two\n\nlines"))
CSV = HEADER + '"Say, please",,"the ""word"""\n\n"Say\nmore",now,"two\n\nlines"\n'
NEEDS = "pyarrow is not installed: Parquet is not tested"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Source]:
    def written(name: str, content: str | bytes) -> Source:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Source("recipe.data.train", path)

    return written


def rows(source: Source) -> Any:
    return shaped(read_records(source), "instruction")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", CSV),
        ("ROWS.CSV", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("rows.tsv", 'output\tinstruction\tinput\n"the ""word"""\tSay, please\t\n'),
        ("rows.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
    ],
)
def test_cells_of_csv_are_texts(write: Any, name: str, content: str | bytes) -> None:
    shape, found = rows(write(name, content))
    assert shape == "alpaca"
    assert found == ROWS[: len(found)]
    assert len(found) == (1 if name.endswith("tsv") else 2)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (HEADER + "a,b\n", 2, "has 2 cells, the header 3"),
        (HEADER + 'a,"b\nc",d\ne,f\n', 4, "has 2 cells"),
        (HEADER + 'a,"b', 2, "is no row of CSV (unexpected end of data)"),
        (HEADER + 'a,"b"c,d', 2, "is no row of CSV"),
        (HEADER + f"a,b,{'x' * (LONGEST + 1)}", 2, "is no row of CSV (field larger"),
        ("output,output\n", 1, "two columns alike"),
        ("question,answer\na,b\n", 2, "a row of question and answer"),
    ],
)
def test_a_damaged_row_is_named_by_its_line(write: Any, text: str, line: int, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rows(write("my rows.csv", text))
    assert caught.value.field == f"recipe.data.train, line {line}"
    assert problem in caught.value.problem
    assert caught.value.hint


def test_of_csv_every_letter_is_text_where_text_is_asked_for(write: Any) -> None:
    """As it always was: studies that train on one go on."""
    assert read_stream(write("rows.csv", "text,id\na,1\n")) == ("text", "text,id\na,1\n")


def test_a_cell_may_be_as_long_as_any_text(write: Any) -> None:
    csv.field_size_limit(131_072)  # as Python has it, whatever was read before
    _, (found,) = rows(write("rows.csv", f"{HEADER}a,b,{'x' * LONGEST}\n"))
    assert len(found.output) == LONGEST


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.csv.gz"])
@pytest.mark.parametrize(
    "write_all", [json.dumps, lambda listed: "\n".join(map(json.dumps, listed))]
)
def test_json_under_the_name_of_a_table_is_json(write: Any, name: str, write_all: Any) -> None:
    text = write_all([{"instruction": "Say, please", "output": "a\tb"}] * 2).encode()
    content = gzip.compress(text, mtime=0) if name.endswith("gz") else text
    assert rows(write(name, content)) == ("alpaca", (Row("Say, please", "", "a\tb"),) * 2)


@pytest.mark.parametrize("line", [",,", '"","",""'])
def test_a_row_of_empty_cells_is_a_row(write: Any, line: str) -> None:
    """As JSON lines of empty texts are: counted as rows whose answers say nothing."""
    _, found = rows(write("rows.csv", f"{HEADER}a,b,c\n\n{line}\n"))
    assert found == (Row("a", "b", "c"), Row("", "", ""))


def test_csv_of_nothing_has_no_rows(write: Any) -> None:
    assert rows(write("rows.csv", "")) == rows(write("rows.csv", HEADER)) == (None, ())


# Parquet


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., Source]:
    pyarrow = pytest.importorskip("pyarrow", reason=NEEDS)
    from pyarrow import parquet as format_of  # noqa: PLC0415 - not installed everywhere

    def written(listed: list[dict[str, Any]], **options: Any) -> Source:
        path = tmp_path / "train-00000-of-00001.parquet"
        format_of.write_table(pyarrow.Table.from_pylist(listed), path, **options)
        return Source("recipe.data.train", path)

    return written


@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
def test_rows_of_parquet_are_rows(parquet: Any, compression: str) -> None:
    listed = [{"instruction": "Say", "input": None, "output": f"{i}", "id": i} for i in range(40)]
    found = rows(parquet(listed, compression=compression, row_group_size=7))
    assert found == ("alpaca", tuple(Row("Say", "", f"{i}") for i in range(40)))


def test_conversations_of_parquet_are_lists_in_it(parquet: Any) -> None:
    turns = [{"role": "user", "content": "Hi", "name": None}]
    turns.append({"role": "assistant", "content": "Hello", "name": "x"})
    shape, (talk,) = shaped(read_records(parquet([{"messages": turns}])), "chat")
    assert shape == "messages"
    turns_of = (Turn("user", "Hi"), Turn("assistant", "Hello"))
    assert talk == Conversation("row 1", turns_of)


def test_texts_of_parquet_are_one_stream(parquet: Any) -> None:
    source = parquet([{"text": "once", "url": "x"}, {"text": "upon"}])
    assert read_stream(source) == ("text-rows", "once\n\nupon")


def test_a_column_of_numbers_is_named_by_its_row(parquet: Any) -> None:
    with pytest.raises(InvalidInput, match=r"row 1.*a number as output"):
        rows(parquet([{"instruction": "Say", "output": 1}]))


def test_what_comes_out_of_parquet_is_what_is_measured(
    parquet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value is stored once, however many rows have it: a megabyte comes out of a thousand."""
    source = parquet([{"instruction": "Say", "output": "x" * 10_000}] * 100)
    assert source.path.stat().st_size < 20_000
    monkeypatch.setattr(tables, "MOST_BYTES", 100_000)
    with pytest.raises(CannotOpen, match="unpacks to more than the 100,000 bytes"):
        rows(source)


def test_how_large_parquet_is_is_asked_before_it_is_read(parquet: Any) -> None:
    source = parquet([{"text": f"{i}" * 1000} for i in range(50)], compression="zstd")
    assert is_small(source, 10**6)
    assert not is_small(source, 10**4)


def test_a_value_told_once_for_many_rows_counts_for_each(parquet: Any) -> None:
    source = parquet([{"text": "x" * 10_000}] * 100)
    assert source.path.stat().st_size < 20_000
    assert is_small(source, 2 * 10**6)
    assert not is_small(source, 10**5)


def test_columns_that_nobody_reads_are_not_unpacked(
    parquet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [{"instruction": "Say", "output": "a", "page": "x" * 10_000, "links": [None] * 500}]
    source = parquet(listed * 100)
    monkeypatch.setattr(tables, "MOST_BYTES", 100_000)
    assert rows(source) == ("alpaca", (Row("Say", "", "a"),) * 100)
    assert is_small(source, 100_000)
    (first, *_) = read_records(source)
    assert first.found == {"instruction": "Say", "output": "a"}


@pytest.mark.parametrize(
    "messages",
    [[None] * 300_000, [{"role": None, "content": None}] * 60_000, [{"content": [None] * 300_000}]],
)
def test_values_of_nothing_are_no_objects(parquet: Any, messages: Any) -> None:
    """Hundreds of thousands come out of a kilobyte."""
    source = parquet([{"messages": []}, {"messages": messages}])
    tracemalloc.start()
    with pytest.raises(InvalidInput, match=r"row 2.* values in its lists, more than the 100,000"):
        list(read_records(source))
    assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    tracemalloc.stop()


def test_values_of_nothing_count_before_they_are_read(
    parquet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = parquet([{"messages": [None] * 50_000}] * 4)
    assert source.path.stat().st_size < 5_000
    assert not is_small(source, 10**6)
    monkeypatch.setattr(tables, "MOST_BYTES", 10**6)
    with pytest.raises(CannotOpen, match="unpacks to more than"):
        next(read_records(source))


def test_columns_of_categories_are_texts(parquet: Any) -> None:
    """As pandas writes them: a dictionary beside every row."""
    import pyarrow  # noqa: PLC0415 - not installed everywhere
    from pyarrow import parquet as format_of  # noqa: PLC0415

    source = parquet([{"text": ""}])
    column = pyarrow.array([f"{i}" * 5 for i in range(100)]).dictionary_encode()
    format_of.write_table(pyarrow.table({"text": column}), source.path)
    assert read_stream(source)[1].startswith("00000\n\n11111\n\n")
    assert is_small(source, 5_000)


def test_of_two_columns_of_one_name_none_is_taken(parquet: Any) -> None:
    import pyarrow  # noqa: PLC0415 - not installed everywhere
    from pyarrow import parquet as format_of  # noqa: PLC0415

    source = parquet([{"instruction": "Say"}])
    columns, names = [["Say"], ["a"], ["b"]], ["instruction", "output", "output"]
    format_of.write_table(pyarrow.table(columns, names=names), source.path)
    with pytest.raises(InvalidInput, match="two columns alike"):
        rows(source)


@pytest.mark.parametrize("length", [4, 12, 200])
def test_damaged_parquet_is_said_to_be_damaged(parquet: Any, length: int) -> None:
    source = parquet([{"instruction": "Say", "output": f"{i}"} for i in range(99)])
    source.path.write_bytes(source.path.read_bytes()[:length])
    with pytest.raises(InvalidInput, match="cannot be read"):
        rows(source)


def test_without_pyarrow_the_way_out_is_told(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CannotOpen, match="pyarrow, which reads them, is not installed") as caught:
        rows(write("rows.parquet", b"PAR1\x15\x04PAR1"))
    assert "pandas.read_parquet('rows.parquet')" in caught.value.hint
