import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rankspace.errors import CannotOpen, InvalidInput
from rankspace.recipe import Data, Recipe
from rankspace.trial import Split
from tuning.data import DatasetCache, prepare
from tuning.examples import read_instructions, read_text, windows
from tuning.text_file import MOST_BYTES


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
    path.write_text("abcd" * 40)
    return Recipe(Data(str(path), "text", 2), sequence_length=8)


def test_prepared_data_are_read_again_only_when_the_file_changed(
    recipe: Recipe, tokenizer: Any
) -> None:
    cache = DatasetCache()
    first = cache.dataset(recipe, "f", tokenizer)
    assert cache.dataset(recipe, "f", tokenizer) is first
    path = Path(recipe.data.train)
    path.write_text("dcba" * 40)
    os.utime(path, ns=(1, 1))
    again = cache.dataset(recipe, "f", tokenizer)
    assert not torch.equal(again.train[0].tokens, first.train[0].tokens)


def test_data_are_prepared_for_each_length_and_part_held_out(
    recipe: Recipe, tokenizer: Any
) -> None:
    cache = DatasetCache()
    variants = [
        recipe,
        replace(recipe, sequence_length=16),
        replace(recipe, data=replace(recipe.data, held_out=4)),
    ]
    found = [cache.dataset(variant, "f", tokenizer) for variant in variants]
    sizes = [(len(each.train), len(each.train[0].tokens)) for each in found]
    assert sizes == [(18, 8), (8, 16), (16, 8)]


def test_data_are_tokenised_for_each_model(recipe: Recipe, tokenizer: Any) -> None:
    class Shifted:
        def __call__(self, text: str, **options: Any) -> Any:
            tokens = tokenizer(text, **options)["input_ids"]
            return {"input_ids": [token + 1 for token in tokens]}

    cache = DatasetCache()
    first = cache.dataset(recipe, "one", tokenizer)
    other = cache.dataset(recipe, "other", Shifted())
    assert torch.equal(other.train[0].tokens, first.train[0].tokens + 1)


def test_the_data_prepared_first_make_room(recipe: Recipe, tokenizer: Any) -> None:
    cache = DatasetCache(capacity=2)
    lengths = [replace(recipe, sequence_length=length) for length in (8, 9, 10)]
    first, second, third = (cache.dataset(each, "f", tokenizer) for each in lengths)
    assert cache.dataset(lengths[2], "f", tokenizer) is third
    assert cache.dataset(lengths[1], "f", tokenizer) is second
    assert cache.dataset(lengths[0], "f", tokenizer) is not first
