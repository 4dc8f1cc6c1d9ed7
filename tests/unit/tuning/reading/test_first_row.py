"""A file of which nobody says the format is recognised by its first row, or refused with a way."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankspace.data_shape import DataFormat
from rankspace.errors import InvalidInput
from tuning.reading.records import first_record
from tuning.reading.shapes import format_of
from tuning.reading.source import Source

ROW = {"instruction": "Say", "output": "said"}


def found(at: Path, content: str, name: str = "rows.jsonl") -> DataFormat | None:
    """The format of a file; None of plain text."""
    file = at / name
    file.write_text(content, encoding="utf-8")
    record = first_record(Source("recipe.data.train", file))
    return None if record is None else format_of(record)


@pytest.mark.parametrize(
    ("row", "form"),
    [
        (ROW, "instruction"),
        ({"instruction": "Say", "response": "said"}, "instruction"),
        ({"prompt": "a", "completion": "b"}, "completion"),
        ({"messages": []}, "chat"),
        ({"conversations": []}, "chat"),
        ({"text": "once"}, "text"),
        ({**ROW, "text": "as exports of Alpaca have it"}, "instruction"),
    ],
)
@pytest.mark.parametrize("is_array", [False, True])
def test_rows_are_recognised(tmp_path: Path, row: Any, form: DataFormat, is_array: bool) -> None:
    content = json.dumps([row, row]) if is_array else f"\n{json.dumps(row)}\n"
    assert found(tmp_path, content) == form


@pytest.mark.parametrize("content", ["Once upon a time", "{ braces } of a program", "[1] a note"])
def test_prose_is_plain_text(tmp_path: Path, content: str) -> None:
    assert found(tmp_path, content, "story.txt") is None


def test_a_table_is_read_by_its_columns(tmp_path: Path) -> None:
    assert found(tmp_path, "instruction,output\na,b\n", "rows.csv") == "instruction"
    with pytest.raises(InvalidInput, match="has no instruction and no output"):
        found(tmp_path, "a,b\n1,2\n", "rows.csv")


@pytest.mark.parametrize(
    ("content", "problem", "fix"),
    [
        ('{"question": "a", "answer": "b"}\n', "question and answer", "jq"),
        ('{"messages": [], "prompt": "a", "completion": "b"}\n', "at once", "leave one of them"),
        ('{\n "text": "a"\n}\n', "several lines", "jq"),
        ('{"a": 1}\n', "has no instruction", "as every row"),
    ],
)
def test_what_is_no_row_to_train_on_is_refused(
    tmp_path: Path, content: str, problem: str, fix: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        found(tmp_path, content)
    assert problem in refused.value.problem
    assert fix in refused.value.hint


def test_a_table_of_nothing_but_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no rows"):
        found(tmp_path, "instruction,output\n", "rows.csv")
