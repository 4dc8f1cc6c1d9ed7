import copy
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rankspace.errors import CannotOpen, InvalidInput
from rankspace.recipe import Data, Inputs, Recipe
from rankspace.trial import Split
from tuning.data import DatasetCache, prepare
from tuning.examples import windows
from tuning.readers import read_instructions, read_text
from tuning.reading.text_file import MOST_BYTES

ONE, OTHER = Inputs("a" * 64, "b" * 64, 2), Inputs("c" * 64, "b" * 64, 2)


def test_text_is_cut_into_consecutive_whole_windows(text_file: Path, tokenizer: Any) -> None:
    examples = read_text(text_file, tokenizer, 32)
    text = text_file.read_text()
    assert len(examples) == len(text) // 32
    assert tokenizer.decode(examples[1].tokens) == text[32:64]
    assert all(example.prompt == 1 for example in examples)


def test_a_text_shorter_than_a_window_gives_no_example() -> None:
    assert windows([1, 2, 3], 4) == ()


def test_only_the_answer_and_its_end_are_predicted(tmp_path: Path, tokenizer: Any) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"instruction": "Add", "input": "1 2", "output": "three"}) + "\n")
    (example,) = read_instructions(rows, tokenizer, 1000)
    assert tokenizer.decode(example.tokens[example.prompt :]) == "three</s>"
    prompt = tokenizer.decode(example.tokens[: example.prompt])
    assert prompt.endswith("### Instruction:\nAdd\n\n### Input:\n1 2\n\n### Response:\n")
    assert example.targets == 6


def test_a_control_token_that_is_spelled_is_text(tmp_path: Path, tokenizer: Any) -> None:
    row = {"instruction": "What is <s>?", "output": "<s>old</s> is struck through </s>"}
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(row))
    (example,) = read_instructions(rows, tokenizer, 1000)
    assert tokenizer.decode(example.tokens[example.prompt :]) == f"{row['output']}</s>"
    assert (example.tokens == tokenizer.eos_token_id).nonzero().flatten().tolist() == [
        len(example.tokens) - 1
    ]
    assert tokenizer.bos_token_id not in example.tokens
    (text := tmp_path / "text.txt").write_text("one</s>two<s>three")
    (window,) = read_text(text, tokenizer, 18)
    assert tokenizer.decode(window.tokens) == text.read_text()


def test_marks_and_blank_lines_are_no_rows(tmp_path: Path, tokenizer: Any) -> None:
    row = json.dumps({"instruction": "a", "output": "b"})
    (rows := tmp_path / "rows.jsonl").write_text(
        f"\ufeff{row}\r\n  \r\n\ufeff{row}", encoding="utf-8"
    )
    reading = read_instructions(rows, tokenizer, 1000)
    assert (reading.rows, len(reading)) == (2, 2)


def test_of_json_lines_the_texts_are_the_stream(tmp_path: Path, tokenizer: Any) -> None:
    rows = [{"text": f"text {i}", "url": "https://example.org"} for i in range(4)]
    (path := tmp_path / "c4.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    examples = read_text(path, tokenizer, 15)
    assert [tokenizer.decode(example.tokens) for example in examples] == [
        "text 0\n\ntext 1\n",
        "\ntext 2\n\ntext 3",
    ]


def test_an_example_without_an_answer_left_is_dropped(tmp_path: Path, tokenizer: Any) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        json.dumps({"instruction": "x" * 200, "output": "cut off"})
        + "\n"
        + json.dumps({"instruction": "x", "output": "kept"})
    )
    examples = read_instructions(rows, tokenizer, 180)
    assert [tokenizer.decode(e.tokens[e.prompt :]) for e in examples] == ["kept</s>"]
    assert not any(len(example.tokens) > 180 for example in examples)


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"instruction": "x"}', '{"instruction": 1, "output": ""}']
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, tokenizer: Any, line: str) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"instruction": "a", "output": "b"}\n' + line + "\n")
    with pytest.raises(InvalidInput, match=r"recipe\.data\.train, line 2"):
        read_instructions(rows, tokenizer, 100)


@pytest.mark.parametrize(
    "secret", ["rka_secret", '"rka_secret"', '{"rka_secret": 1}', "[" * 100_000 + "rka_secret"]
)
def test_an_error_carries_nothing_of_the_file(tmp_path: Path, tokenizer: Any, secret: str) -> None:
    """Who may name a file in a study need not be allowed to read it."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text(secret)
    with pytest.raises(InvalidInput) as caught:
        read_instructions(rows, tokenizer, 100)
    assert "secret" not in f"{caught.value.detail} {caught.value.hint}"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin", "/"])
def test_devices_and_directories_are_no_data(path: str, tokenizer: Any) -> None:
    with pytest.raises(CannotOpen, match=r"recipe\.data\.train"):
        read_text(Path(path), tokenizer, 8)


def test_a_pipe_holds_nobody_up(tmp_path: Path, tokenizer: Any) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CannotOpen, match="no regular file"):
        read_text(tmp_path / "pipe", tokenizer, 8)


def test_a_file_too_large_for_memory_is_refused_unread(tmp_path: Path, tokenizer: Any) -> None:
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(MOST_BYTES + 1)  # a hole: it takes no room
    with pytest.raises(CannotOpen, match="2,147,483,649 bytes, more than the 2,147,483,648"):
        read_text(tmp_path / "huge.txt", tokenizer, 8)


def test_unreadable_files_name_the_field(tmp_path: Path, tokenizer: Any) -> None:
    with pytest.raises(CannotOpen, match=r"recipe\.data\.train.*cannot be read"):
        read_text(tmp_path / "absent.txt", tokenizer, 8)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InvalidInput, match="not UTF-8 at byte 3"):
        read_text(tmp_path / "latin.txt", tokenizer, 8)


def test_held_out_halves_are_disjoint_from_training(text_file: Path, tokenizer: Any) -> None:
    dataset = prepare(Data(str(text_file), "text", 21), 32, tokenizer)
    whole = read_text(text_file, tokenizer, 32)
    selection, final = dataset.held_out[Split.SELECTION], dataset.held_out[Split.FINAL]
    assert (len(selection), len(final)) == (10, 11)
    parts = [*dataset.train, *selection, *final]
    assert len(parts) == len(whole)
    ours = sorted(tuple(example.tokens.tolist()) for example in parts)
    assert ours == sorted(tuple(example.tokens.tolist()) for example in whole)


def test_too_little_data_names_the_field(text_file: Path, tokenizer: Any) -> None:
    with pytest.raises(InvalidInput, match=r"recipe\.data\.held_out = 100000"):
        prepare(Data(str(text_file), "text", 100_000), 32, tokenizer)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    path = tmp_path / "t.txt"
    path.write_text("".join(f"{i:04d}" for i in range(40)))
    return Recipe(Data(str(path), "text", 2), sequence_length=8)


def test_prepared_data_are_read_again_only_when_the_file_changed(
    recipe: Recipe, tokenizer: Any
) -> None:
    cache = DatasetCache()
    first = cache.dataset(recipe, ONE, tokenizer)
    path = Path(recipe.data.train)
    os.utime(path, ns=(1, 1))
    assert cache.dataset(recipe, ONE, tokenizer) is first
    path.write_text("".join(f"{i:04d}" for i in range(40, 80)))
    again = cache.dataset(recipe, OTHER, tokenizer)
    assert not torch.equal(again.train[0].tokens, first.train[0].tokens)


def test_what_was_prepared_of_a_file_that_changed_meanwhile_is_forgotten(
    recipe: Recipe, tokenizer: Any
) -> None:
    cache = DatasetCache()
    first = cache.dataset(recipe, ONE, tokenizer)
    other = cache.dataset(recipe, OTHER, tokenizer)
    cache.forget(recipe, ONE)
    cache.forget(recipe, ONE)
    assert cache.dataset(recipe, ONE, tokenizer) is not first
    assert cache.dataset(recipe, OTHER, tokenizer) is other


def test_data_are_prepared_for_each_length_and_part_held_out(
    recipe: Recipe, tokenizer: Any
) -> None:
    cache = DatasetCache()
    variants = [
        recipe,
        replace(recipe, sequence_length=16),
        replace(recipe, data=replace(recipe.data, held_out=4)),
    ]
    found = [cache.dataset(variant, ONE, tokenizer) for variant in variants]
    sizes = [(len(each.train), len(each.train[0].tokens)) for each in found]
    assert sizes == [(18, 8), (8, 16), (16, 8)]


def test_data_are_tokenised_for_each_tokenizer(recipe: Recipe, tokenizer: Any) -> None:
    class Shifted:
        added_tokens_decoder = tokenizer.added_tokens_decoder

        def __call__(self, text: str, **options: Any) -> Any:
            tokens = tokenizer(text, **options)["input_ids"]
            return {"input_ids": [token + 1 for token in tokens]}

    cache = DatasetCache()
    first = cache.dataset(recipe, ONE, tokenizer)
    other = cache.dataset(recipe, OTHER, Shifted())
    assert torch.equal(other.train[0].tokens, first.train[0].tokens + 1)


def test_the_data_prepared_first_make_room(recipe: Recipe, tokenizer: Any) -> None:
    cache = DatasetCache(capacity=2)
    lengths = [replace(recipe, sequence_length=length) for length in (8, 9, 10)]
    first, second, third = (cache.dataset(each, ONE, tokenizer) for each in lengths)
    assert cache.dataset(lengths[2], ONE, tokenizer) is third
    assert cache.dataset(lengths[1], ONE, tokenizer) is second
    assert cache.dataset(lengths[0], ONE, tokenizer) is not first


def test_answers_that_nothing_would_end_are_refused(
    instruction_file: Path, text_file: Path, tokenizer: Any
) -> None:
    """Every answer would be trained without a token that ends it, and the model would not stop."""
    endless = copy.deepcopy(tokenizer)
    endless.eos_token = None
    with pytest.raises(InvalidInput, match=r"recipe\.data\.format.*names none") as caught:
        prepare(Data(str(instruction_file), held_out=2), 240, endless)
    assert "eos_token" in caught.value.hint
    assert prepare(Data(str(instruction_file), held_out=2), 240, tokenizer).train
    assert prepare(Data(str(text_file), "text", 2), 32, endless).train
