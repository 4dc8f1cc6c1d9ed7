"""Nothing that is asked for was learned: examples that say the same stay on one side."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from rankspace.errors import InvalidInput
from rankspace.recipe import Data
from rankspace.trial import Split
from tuning.data import Dataset, prepare
from tuning.examples import Example, windows
from tuning.readers import PROMPT
from tuning.repeats import label_repeats
from tuning.seeds import stream_seed

ROWS = [
    {"instruction": f"Say the number {i}.", "input": "", "output": f"The number is {i}."}
    for i in range(40)
]


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(rows: Iterable[Any], held_out: int) -> Data:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return Data(str(path), "instruction", held_out)

    return written


def said(examples: Iterable[Example], tokenizer: Any) -> set[str]:
    return {" ".join(tokenizer.decode(example.tokens).split()) for example in examples}


def parts(dataset: Dataset, tokenizer: Any) -> list[set[str]]:
    held_out = (dataset.held_out[part] for part in Split)
    return [said(examples, tokenizer) for examples in (dataset.train, *held_out)]


def assert_apart(dataset: Dataset, tokenizer: Any) -> None:
    train, selection, final = parts(dataset, tokenizer)
    assert not train & selection | train & final | selection & final
    assert all((train, selection, final))


def test_copies_of_a_row_stay_together(write: Any, tokenizer: Any) -> None:
    dataset = prepare(write(ROWS * 3, 40), 1000, tokenizer)
    assert_apart(dataset, tokenizer)
    counts = dataset.counts
    assert (counts.rows, counts.repeats, counts.dropped, counts.cut) == (120, 80, 0, 0)
    assert (counts.train, counts.selection, counts.final) == (84, 18, 18)
    assert [len(dataset.train), *map(len, dataset.held_out.values())] == [84, 18, 18]


@pytest.mark.parametrize("space", ["  ", "\n", "\t\t", "\u3000", " \r\n "])
def test_rows_that_differ_in_white_space_say_the_same(
    write: Any, tokenizer: Any, space: str
) -> None:
    spaced = [{**row, "output": row["output"].replace(" ", space) + space} for row in ROWS]
    dataset = prepare(write([*ROWS, *spaced], 20), 1000, tokenizer)
    assert_apart(dataset, tokenizer)
    assert dataset.counts.repeats == 40


def test_rows_that_are_cut_to_the_same_say_the_same(write: Any, tokenizer: Any) -> None:
    """What makes them differ lies beyond the length."""
    longer = [{**row, "output": row["output"] + "x" * 300 + str(i)} for i, row in enumerate(ROWS)]
    others = [{**row, "output": row["output"] + "x" * 300} for row in ROWS]
    dataset = prepare(write([*longer, *others], 20), 250, tokenizer)
    assert_apart(dataset, tokenizer)
    assert (dataset.counts.repeats, dataset.counts.cut) == (40, 80)


def test_who_says_the_same_as_a_third_says_the_same() -> None:
    """The first two are cut to the same tokens, the last two were written alike."""
    one = Example(torch.tensor([1, 2]), 1, b"a")
    other = Example(torch.tensor([1, 2]), 1, b"b")
    third = Example(torch.tensor([1, 3]), 1, b"b")
    assert label_repeats([third, one, windows([7, 8], 2)[0], other]) == [0, 0, 2, 0]
    assert label_repeats([one, third, other]) == [0, 0, 0]


def test_windows_of_a_text_that_comes_again_stay_together(tmp_path: Path, tokenizer: Any) -> None:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"{i:08d}" for i in range(30)) * 4)
    dataset = prepare(Data(str(path), "text", 40), 8, tokenizer)
    assert_apart(dataset, tokenizer)
    assert dataset.counts.repeats == 90


def test_data_without_repeats_are_divided_as_ever(write: Any, tokenizer: Any) -> None:
    """Running studies go on with the same examples: this is how the first release divided them."""
    dataset = prepare(write(ROWS, 9), 1000, tokenizer)
    generator = torch.Generator().manual_seed(stream_seed("held-out"))
    order = torch.randperm(40, generator=generator).tolist()
    wanted = {Split.SELECTION: order[:4], Split.FINAL: order[4:9]}
    for part, indices in wanted.items():
        answers = [tokenizer.decode(e.tokens[e.prompt :]) for e in dataset.held_out[part]]
        assert answers == [f"The number is {i}.</s>" for i in indices]
    assert dataset.counts.repeats == 0


def test_a_part_that_comes_out_far_too_small_is_refused(write: Any, tokenizer: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        prepare(write(ROWS[:3] * 40, 60), 1000, tokenizer)
    assert caught.value.field == "recipe.data.held_out"
    assert "of the 120 examples" in caught.value.problem
    assert "only 3 are different" in caught.value.problem
    with pytest.raises(InvalidInput, match="only 1 are different"):
        prepare(write(ROWS[:1] * 40, 2), 1000, tokenizer)


def test_no_usable_example_says_how_many_rows_leave_no_answer(write: Any, tokenizer: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        prepare(write(ROWS, 4), 64, tokenizer)
    assert "has only 0 usable examples of up to 64 tokens" in caught.value.problem
    assert "40 of its 40 rows leave no answer token at this length" in caught.value.problem
    longest = max(len(PROMPT.format_map(row) + row["output"]) for row in ROWS) + 1
    wanted = f"raise recipe.sequence_length (the longest row has {longest} tokens)"
    assert caught.value.hint.startswith(wanted)


@pytest.mark.parametrize(
    ("rows", "fix"),
    [
        (2, "give more data in recipe.data.train"),
        (3, "hold out fewer than 3 or give more data in recipe.data.train"),
    ],
)
def test_no_fix_asks_to_hold_out_fewer_than_can_be(
    rows: int, fix: str, write: Any, tokenizer: Any
) -> None:
    with pytest.raises(InvalidInput) as caught:
        prepare(write(ROWS[:rows], 4), 1000, tokenizer)
    assert caught.value.hint == fix


def test_what_is_dropped_and_cut_is_counted(write: Any, tokenizer: Any) -> None:
    long_prompts = [{"instruction": f"{i}" + "x" * 400, "output": "y"} for i in range(30)]
    long_answers = [{"instruction": f"{i}", "output": "y" * 400} for i in range(7)]
    dataset = prepare(write([*long_prompts, *ROWS, *long_answers], 8), 300, tokenizer)
    counts = dataset.counts
    assert (counts.rows, counts.dropped, counts.cut) == (77, 30, 7)
    assert (counts.examples, counts.example_tokens) == (47, 300)
    assert counts.row_tokens > 500
