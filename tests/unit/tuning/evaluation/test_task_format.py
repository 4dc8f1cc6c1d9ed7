"""Rows become the prompts of lm-evaluation-harness, to the character; others are named by line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from rankspace.errors import InvalidInput
from tuning.evaluation.document import Document
from tuning.evaluation.task import files_left, read_task, task_files

ARC = {
    "id": "x",
    "question": "What is wet?",
    "choices": {"text": ["Sand", "Water", "Air"], "label": ["A", "B", "C"]},
    "answerKey": "B",
}
ROWS: dict[str, tuple[dict[str, Any], Document]] = {
    "boolq": (
        {"passage": "Cats purr.", "question": "do cats purr", "label": 1},
        Document(
            "line 1",
            ("Cats purr.\nQuestion: do cats purr?\nAnswer:",) * 2,
            (" no", " yes"),
            ("no", "yes"),
            1,
        ),
    ),
    "piqa": (
        {"goal": "dresser", "sol1": "drawer", "sol2": "bobby  pin", "label": 0},
        Document(
            "line 1",
            ("Question: dresser\nAnswer:",) * 2,
            (" drawer", " bobby  pin"),
            ("drawer", "bobby  pin"),
            0,
        ),
    ),
    "hellaswag": (
        {
            "activity_label": "Roof",
            "ctx_a": "A man [step] sits  down. [title] Then",
            "ctx_b": "he",
            "endings": ["goes [substeps] on.", "He [title] Stops"],
            "label": "1",
        },
        Document(
            "line 1",
            ("Roof: A man sits down.. Then He",) * 2,
            (" goes on.", " He. Stops"),
            ("goes on.", "He. Stops"),
            1,
        ),
    ),
    "winogrande": (
        {
            "sentence": "Sarah was better than Maria so _ always got the easier cases.",
            "option1": "Sarah",
            "option2": "Maria",
            "answer": "2",
        },
        Document(
            "line 1",
            (
                "Sarah was better than Maria so Sarah",
                "Sarah was better than Maria so Maria",
            ),
            (" always got the easier cases.",) * 2,
            (
                "Sarah was better than Maria so Sarah",
                "Sarah was better than Maria so Maria",
            ),
            1,
        ),
    ),
    "arc": (
        ARC,
        Document(
            "line 1",
            ("Question: What is wet?\nAnswer:",) * 3,
            (" Sand", " Water", " Air"),
            ("Sand", "Water", "Air"),
            1,
        ),
    ),
    "openbookqa": (
        {
            "question_stem": "Predators eat",
            "choices": {"text": ["bunnies", "grass"], "label": ["A", "B"]},
            "answerKey": " A",
        },
        Document("line 1", ("Predators eat",) * 2, (" bunnies", " grass"), ("bunnies", "grass"), 0),
    ),
    "plain": (
        {"context": "Predators eat", "choices": ["bunnies", "grass"], "answer": 0},
        Document("line 1", ("Predators eat",) * 2, (" bunnies", " grass"), ("bunnies", "grass"), 0),
    ),
}


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ROWS)
def test_a_row_becomes_the_published_prompt(name: str, tmp_path: Path) -> None:
    row, document = ROWS[name]
    task = read_task(written(tmp_path / "some_task.jsonl", row))
    assert task.name == "some_task"
    assert task.format.name == name
    assert task.documents == (document,)


def test_boolq_of_the_other_hub_has_true_and_false(tmp_path: Path) -> None:
    row = {"passage": "Cats purr.", "question": "do cats purr", "answer": True}
    assert read_task(written(tmp_path / "b.jsonl", row)).documents == (ROWS["boolq"][1],)


def test_only_rows_as_they_are_have_a_remark(tmp_path: Path) -> None:
    remarks = {
        name: bool(read_task(written(tmp_path / f"{name}.jsonl", row)).format.remark)
        for name, (row, _) in ROWS.items()
    }
    assert [name for name, has in remarks.items() if has] == ["plain"]


@pytest.mark.parametrize(
    "wrong",
    [
        "no row",
        {**ARC, "answerKey": ""},
        {**ARC, "answerKey": "D"},
        {**ARC, "answerKey": None},
        {**ARC, "question_concept": "wet"},
        {**ARC, "choices": {"text": ["a", "b"], "label": ["B", " B"]}},
        {**ARC, "question": ""},
        {**ARC, "question": {"stem": "x"}},
        {**ARC, "choices": ["a", "b"]},
        {**ARC, "choices": {"text": ["a"], "label": ["A"]}},
        {**ARC, "choices": {"text": ["a", "b"], "label": ["A", "B", "C"]}},
        {**ARC, "choices": {"text": ["a", " "], "label": ["A", "B"]}},
        {"question": "Who?"},
    ],
)
def test_a_row_that_cannot_be_read_is_named_by_its_line(wrong: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "arc.jsonl", ARC, wrong)
    with pytest.raises(InvalidInput, match="--tasks, line 2") as refused:
        read_task(path, limit=1)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("winogrande", {"sentence": "no blank here"}),
        ("winogrande", {"sentence": "a blank at the _"}),
        ("winogrande", {"answer": ""}),
        ("hellaswag", {"label": ""}),
        ("hellaswag", {"label": "2"}),
        ("hellaswag", {"endings": ["[title]", "x"]}),
        ("piqa", {"label": -1}),
        ("piqa", {"label": True}),
        ("boolq", {"label": 2}),
        ("plain", {"answer": 2}),
        ("plain", {"context": "  "}),
    ],
)
def test_what_each_task_cannot_be_scored_on_is_refused(
    name: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    row, _ = ROWS[name]
    with pytest.raises(InvalidInput, match="--tasks, line 1"):
        read_task(written(tmp_path / "t.jsonl", {**row, **changes}))


def test_unknown_rows_and_no_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no row of a task") as refused:
        read_task(written(tmp_path / "t.jsonl", {"question": "a", "reply": "b"}))
    assert "winogrande" in refused.value.hint
    with pytest.raises(InvalidInput, match="has no rows"):
        read_task(written(tmp_path / "t.jsonl"))


@pytest.mark.parametrize("field", ["question_concept", "fact1", "context"])
def test_rows_of_other_data_sets_are_not_taken_for_arc(field: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has 1 fields beside those of arc") as refused:
        read_task(written(tmp_path / "t.jsonl", {**ARC, field: "x"}))
    assert field not in refused.value.problem
    unanswered = {name: value for name, value in ARC.items() if name != "answerKey"}
    with pytest.raises(InvalidInput, match="no row of a task"):
        read_task(written(tmp_path / "t.jsonl", unanswered))


def test_a_refusal_says_nothing_of_what_the_file_holds(tmp_path: Path) -> None:
    """A study may name a file that whoever submits it may not read."""
    for row in ({**ARC, "pin": 4711}, {**ROWS["boolq"][0], "label": 4711}, {"pin": 4711}):
        with pytest.raises(InvalidInput) as refused:
            read_task(written(tmp_path / "t.jsonl", row))
        told = f"{refused.value.detail} {refused.value.hint}"
        assert "4711" not in told
        assert "pin" not in told


def test_labels_have_spaces_around_them_as_answers_may(tmp_path: Path) -> None:
    choices = {"text": ["Sand", "Water"], "label": [" A", "B "]}
    row = {**ARC, "choices": choices, "answerKey": " B"}
    assert read_task(written(tmp_path / "t.jsonl", row)).documents[0].answer == 1


def test_a_number_that_is_no_index_is_shown(tmp_path: Path) -> None:
    row = {**ROWS["piqa"][0], "label": -1}
    with pytest.raises(InvalidInput, match="but -1"):
        read_task(written(tmp_path / "t.jsonl", row))


def test_parquet_and_packed_files_of_a_directory_are_tasks(tmp_path: Path) -> None:
    parquet.write_table(pa.Table.from_pylist([ARC, ARC]), tmp_path / "a.parquet")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(json.dumps(ARC).encode()))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps([ARC]).encode()))
    found = [read_task(file) for file in task_files([tmp_path])]
    assert [(task.name, task.rows) for task in found] == [("a", 2), ("b", 1), ("c", 1)]
    assert {task.documents[0].contexts for task in found} == {ROWS["arc"][1].contexts}


def test_a_limit_takes_the_first_and_counts_all(tmp_path: Path) -> None:
    task = read_task(written(tmp_path / "t.jsonl", *[ARC] * 5), limit=2)
    assert (len(task.documents), task.rows) == (2, 5)


def test_a_directory_is_its_files_and_none_counts_twice(tmp_path: Path) -> None:
    first, second = written(tmp_path / "b.jsonl", ARC), written(tmp_path / "a.jsonl", ARC)
    (tmp_path / "README.md").write_text("x")
    assert task_files([tmp_path]) == (second, first)
    assert files_left([tmp_path]) == (tmp_path / "README.md",)
    with pytest.raises(InvalidInput, match="named twice"):
        task_files([tmp_path, first])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InvalidInput, match="without a file"):
        task_files([empty])
