"""What is kept of a file is what it came to; damage is noticed, and nobody sees half of it."""

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rankspace.errors import InvalidInput
from rankspace.recipe import Data, Inputs, Recipe
from tests.unit.tuning.test_formats import PAIRS, lines
from tuning import token_cache
from tuning.data import READING, DatasetCache, prepare
from tuning.examples import Example, Reading, windows
from tuning.file_hash import FileHashes
from tuning.token_cache import DOCUMENT, NEW, TokenCache, key_of

KEY = key_of(data="a")
TALK = Example(torch.tensor([1, 2, 3, 4, 5, 6]), 2, b"x" * 16, ((3, 4), (5, 5)))
READINGS = {
    "windows": Reading(windows(range(100), 8), 12, row_tokens=8, shape="text", control=3),
    "rows": Reading((TALK, Example(torch.tensor([7, 8]), 1, b"y" * 16)), 9, 1, 77, "messages", 2),
    "nothing": Reading((), 4, row_tokens=99),
}


def said(reading: Reading) -> Any:
    examples = [(e.tokens.tolist(), e.prompt, e.said, e.passed) for e in reading]
    return examples, reading.rows, reading.cut, reading.row_tokens, reading.shape, reading.empty


def kept(cache: TokenCache, make: Callable[[], Reading], *, is_of: bool = True) -> Reading:
    return cache.reading(KEY, make, lambda: is_of)


def never() -> Reading:
    raise AssertionError("made anew")


@pytest.fixture
def cache(tmp_path: Path) -> TokenCache:
    return TokenCache(tmp_path / "tokens")


@pytest.mark.parametrize("name", READINGS)
def test_a_reading_is_the_same_after_it_was_kept(cache: TokenCache, name: str) -> None:
    reading = READINGS[name]
    first, again = kept(cache, lambda: reading), kept(cache, never)
    assert said(first) == said(again) == said(reading)
    assert again.control == reading.control
    assert [path.name for path in cache.directory.iterdir()] == [KEY]
    assert cache.directory.stat().st_mode & 0o077 == 0


def test_what_was_not_of_the_file_any_more_is_not_kept(cache: TokenCache) -> None:
    assert said(kept(cache, lambda: READINGS["rows"], is_of=False)) == said(READINGS["rows"])
    assert said(kept(cache, lambda: READINGS["windows"])) == said(READINGS["windows"])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def turned(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, turned, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["tokens.npy", "ends.npy", "said.npy", DOCUMENT])
def test_what_is_damaged_is_made_anew(cache: TokenCache, name: str, damage: Any) -> None:
    kept(cache, lambda: READINGS["rows"])
    damage(cache.directory / KEY / name)
    assert said(kept(cache, lambda: READINGS["rows"])) == said(READINGS["rows"])
    assert said(kept(cache, never)) == said(READINGS["rows"])
    assert [path.name for path in cache.directory.iterdir()] == [KEY]


def test_a_document_of_another_time_is_damage(cache: TokenCache) -> None:
    kept(cache, lambda: READINGS["rows"])
    document = cache.directory / KEY / DOCUMENT
    document.write_text(json.dumps({"sha256": {}, "counts": {}}))
    assert said(kept(cache, lambda: READINGS["windows"])) == said(READINGS["windows"])


def test_a_pickle_is_never_opened(cache: TokenCache) -> None:
    import hashlib  # noqa: PLC0415
    import pickle  # noqa: PLC0415

    kept(cache, lambda: READINGS["rows"])
    planted = cache.directory / KEY / "tokens.npy"
    planted.write_bytes(pickle.dumps([1]))
    document = cache.directory / KEY / DOCUMENT
    told = json.loads(document.read_text())["told"]
    told["sha256"]["tokens"] = hashlib.sha256(planted.read_bytes()).hexdigest()
    document.write_text(json.dumps({"told": told, "sha256": token_cache._hash_of(told)}))
    assert said(kept(cache, lambda: READINGS["windows"])) == said(READINGS["windows"])


@pytest.mark.parametrize(("name", "value"), [("rows", 112), ("cut", 0), ("shape", ["x"])])
def test_counts_that_are_no_more_what_they_were_are_damage(
    cache: TokenCache, name: str, value: Any
) -> None:
    kept(cache, lambda: READINGS["rows"])
    document = cache.directory / KEY / DOCUMENT
    content = json.loads(document.read_text())
    content.get("told", content)["counts"][name] = value
    document.write_text(json.dumps(content))
    assert said(kept(cache, lambda: READINGS["rows"])) == said(READINGS["rows"])


def test_a_reading_under_another_name_is_damage(cache: TokenCache) -> None:
    kept(cache, lambda: READINGS["rows"])
    other = key_of(data="b")
    (cache.directory / KEY).rename(cache.directory / other)
    found = cache.reading(other, lambda: READINGS["windows"], lambda: True)
    assert said(found) == said(READINGS["windows"])


def test_what_killed_workers_left_is_cleared_away(cache: TokenCache) -> None:
    old, young = cache.directory / f"{NEW}old", cache.directory / f"{NEW}young"
    for folder in (old, young):
        (folder / KEY).mkdir(parents=True)
    cache.directory.chmod(0o700)
    before = time.time() - token_cache.ABANDONED - 60
    os.utime(old, (before, before))
    kept(cache, lambda: READINGS["rows"])
    assert {path.name for path in cache.directory.iterdir()} == {young.name, KEY}


def of_another(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: directory.stat().st_uid + 1)


@pytest.mark.parametrize(
    "open_up",
    [
        lambda directory, _: directory.chmod(0o770),
        lambda directory, _: directory.chmod(0o1707),
        of_another,
    ],
)
def test_a_directory_that_others_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_up: Any
) -> None:
    heard = list[OSError]()
    cache = TokenCache(tmp_path / "tokens", told=heard.append)
    kept(cache, lambda: READINGS["rows"])
    open_up(cache.directory, monkeypatch)
    assert said(kept(cache, lambda: READINGS["windows"])) == said(READINGS["windows"])
    assert [type(error) for error in heard] == [PermissionError]


def test_those_not_used_for_long_make_room(cache: TokenCache) -> None:
    small = replace(cache, most_bytes=3000)
    (cache.directory / "of somebody else").mkdir(parents=True)
    for name in "abc":
        small.reading(key_of(data=name), lambda: READINGS["windows"], lambda: True)
    left = {path.name for path in cache.directory.iterdir()}
    assert key_of(data="c") in left
    assert key_of(data="a") not in left
    assert "of somebody else" in left


def test_where_nothing_can_be_kept_it_is_told_and_used(tmp_path: Path) -> None:
    heard = list[OSError]()
    (tmp_path / "file").write_text("")
    cache = TokenCache(tmp_path / "file", told=heard.append)
    assert said(kept(cache, lambda: READINGS["rows"])) == said(READINGS["rows"])
    assert len(heard) == 1


def _keep(directory: Path, barrier: Any) -> None:
    barrier.wait()
    for _ in range(20):
        TokenCache(directory).reading(KEY, lambda: READINGS["rows"], lambda: True)


def test_several_that_keep_one_come_to_one(cache: TokenCache) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    writers = [context.Process(target=_keep, args=(cache.directory, barrier)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert said(kept(cache, never)) == said(READINGS["rows"])
    assert not [path for path in cache.directory.iterdir() if path.name.startswith(NEW)]


# In a worker's data sets


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    path = tmp_path / "pairs.jsonl"
    path.write_text(lines(PAIRS))
    return Recipe(Data(str(path), "completion", 8), sequence_length=20)


def inputs(recipe: Recipe, tokenizer: str = "b" * 64) -> Inputs:
    return Inputs(FileHashes().of("f", recipe.data.train), tokenizer, READING)


def made(cache: TokenCache, recipe: Recipe, tokenizer: Any, of: Inputs | None = None) -> Any:
    dataset = DatasetCache(tokens=cache).dataset(recipe, of or inputs(recipe), tokenizer)
    return [example.tokens.tolist() for example in dataset.train], dataset.counts


def test_the_next_worker_tokenises_nothing(
    cache: TokenCache, recipe: Recipe, tokenizer: Any
) -> None:
    first = made(cache, recipe, tokenizer)
    assert made(cache, recipe, Only(tokenizer)) == first
    plain = prepare(recipe.data, 20, tokenizer)
    assert first == ([example.tokens.tolist() for example in plain.train], plain.counts)
    halves = replace(recipe, data=replace(recipe.data, held_out=4))
    assert made(cache, halves, Only(tokenizer))[1].train == len(PAIRS) - 4


class Only:
    """Knows its end token, and tokenises nothing."""

    def __init__(self, tokenizer: Any) -> None:
        self.eos_token_id = tokenizer.eos_token_id


def test_other_data_tokenizers_lengths_and_formats_are_read_anew(
    cache: TokenCache, recipe: Recipe, tokenizer: Any
) -> None:
    made(cache, recipe, tokenizer)
    longer = replace(recipe, sequence_length=22)
    text = replace(recipe, data=replace(recipe.data, format="text"))
    for other, of in (
        (longer, None),
        (text, None),
        (recipe, inputs(recipe, "c" * 64)),
        (recipe, replace(inputs(recipe), reading=READING + 1)),
    ):
        with pytest.raises((TypeError, InvalidInput)):  # it was asked for tokens, or for a text
            made(cache, other, Only(tokenizer), of)
    path = Path(recipe.data.train)
    path.write_text(path.read_text() + lines(PAIRS[:1]))
    with pytest.raises(TypeError):
        made(cache, recipe, Only(tokenizer))


def test_a_file_that_changed_while_it_was_read_is_not_kept_under_its_old_hash(
    cache: TokenCache, recipe: Recipe, tokenizer: Any
) -> None:
    before = inputs(recipe)
    path = Path(recipe.data.train)
    content = path.read_text()
    path.write_text(content + lines(PAIRS[:1]))
    made(cache, recipe, tokenizer, before)
    path.write_text(content)
    assert made(cache, recipe, tokenizer)[1].rows == len(PAIRS)
