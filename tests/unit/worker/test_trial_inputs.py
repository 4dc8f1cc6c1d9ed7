"""A trial reads what its study was submitted for, and its measurement says what it read."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rankspace import Assignment
from rankspace.errors import CannotOpen
from rankspace.recipe import UNSTATED_READING, Inputs
from tuning.data import READING
from worker.trial.evaluation import Evaluator
from worker.trial.reach import Reach
from worker.trial.resident import Residence

Assign = Callable[..., Assignment]
CPU = torch.device("cpu")
OTHER = "0" * 64


def go_on(step: int, loss: float) -> bool:
    return False


@pytest.fixture
def evaluator() -> Evaluator:
    return Evaluator(CPU)


@pytest.fixture
def own(assign: Assign, tmp_path: Path) -> Assign:
    """Assignments on a text that may be written to."""
    text = Path(shutil.copyfile(assign().recipe.data.train, tmp_path / "text.txt"))
    recipe = assign().recipe
    recipe = replace(recipe, data=replace(recipe.data, train=str(text)))
    return lambda **changes: assign(recipe=recipe, steps=1, **changes)


def stated(evaluator: Evaluator, assignment: Assignment) -> Inputs:
    return Inputs.of(evaluator.evaluate(assignment, go_on).versions)


def test_a_measurement_states_data_and_tokenizer(own: Assign, evaluator: Evaluator) -> None:
    found = stated(evaluator, own())
    text = Path(own().recipe.data.train).read_bytes()
    assert found.data == hashlib.sha256(text).hexdigest()
    assert found.tokenizer
    assert found.reading == READING
    assert stated(Evaluator(CPU), own(inputs=found)) == found


@pytest.mark.parametrize(
    ("inputs", "field"),
    [(Inputs(OTHER), "recipe.data.train"), (Inputs(None, OTHER), "model_path")],
)
def test_others_than_submitted_are_refused_with_both_hashes(
    inputs: Inputs, field: str, own: Assign, evaluator: Evaluator
) -> None:
    known = stated(evaluator, own())
    with pytest.raises(CannotOpen, match=OTHER) as caught:
        evaluator.evaluate(own(inputs=inputs), go_on)
    assert caught.value.field == field
    assert str(known.data if inputs.data else known.tokenizer) in caught.value.problem


def test_rows_that_were_added_are_seen_before_anything_is_trained(
    own: Assign, evaluator: Evaluator
) -> None:
    known = stated(evaluator, own())
    with Path(own().recipe.data.train).open("a") as file:
        file.write(" and then the dog ran on" * 50)
    steps: list[int] = []

    def noted(step: int, loss: float) -> bool:
        steps.append(step)
        return False

    with pytest.raises(CannotOpen, match=r"recipe\.data\.train.*the study is measured on"):
        evaluator.evaluate(own(inputs=known), noted)
    assert steps == []


def test_a_change_that_keeps_size_and_time_is_seen(own: Assign, evaluator: Evaluator) -> None:
    """A study of the new content may not be given the examples of the old."""
    path = Path(own().recipe.data.train)
    before, first = path.stat(), evaluator.evaluate(own(), go_on)
    text = path.read_text()
    path.write_text(text.replace("cat", "dog"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = evaluator.evaluate(own(), go_on)
    assert Inputs.of(first.versions).differing(Inputs.of(second.versions)) == ("data",)
    assert second.loss == Evaluator(CPU).evaluate(own(), go_on).loss != first.loss


def test_a_file_that_is_written_while_it_is_read_is_not_trusted(
    own: Assign, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, reader = Path(own().recipe.data.train), evaluator._datasets.dataset

    def meanwhile(*given: Any) -> Any:
        with path.open("a") as file:
            file.write(" more")
        return reader(*given)

    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(evaluator._datasets, "dataset", meanwhile)
        with pytest.raises(CannotOpen, match="while it was read"):
            evaluator.evaluate(own(), go_on)
    assert evaluator._datasets._datasets == {}
    path.write_bytes(before)
    assert evaluator.evaluate(own(), go_on).loss == Evaluator(CPU).evaluate(own(), go_on).loss


def test_a_study_that_was_read_otherwise_is_given_back_before_the_model_is_loaded(
    own: Assign, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loads(*_: Any, **__: Any) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("worker.trial.resident.load_contents", loads)
    of_before = own(inputs=Inputs(reading=UNSTATED_READING))
    with pytest.raises(CannotOpen, match=f"version {READING}, the study as of 1") as caught:
        evaluator.evaluate(of_before, go_on)
    assert "submit a new one" in caught.value.hint


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_file_of_the_hub_is_read_out_of_the_cache_within_reach(
    own: Assign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "datasets--a--b"
    blob, link = folder / "blobs" / "1", folder / "snapshots" / COMMIT / "text.txt"
    for place in (blob, link):
        place.parent.mkdir(parents=True)
    shutil.copyfile(own().recipe.data.train, blob)
    link.symlink_to(Path("..", "..", "blobs", "1"))
    data = replace(own().recipe.data, train=f"hf://datasets/a/b@{COMMIT}/text.txt")
    asked = replace(own(), recipe=replace(own().recipe, data=data))
    found = Evaluator(CPU).evaluate(asked, go_on)
    assert found.loss == Evaluator(CPU).evaluate(own(), go_on).loss
    assert Inputs.of(found.versions) == stated(Evaluator(CPU), own())
    model = Path(own().model_path)
    with pytest.raises(CannotOpen, match="nothing that studies may read"):
        Evaluator(CPU, reach=Reach([model])).evaluate(asked, go_on)
    link.unlink()
    with pytest.raises(CannotOpen, match="nothing is fetched") as caught:
        Evaluator(CPU, reach=Reach([model, tmp_path])).evaluate(asked, go_on)
    assert caught.value.hint.startswith("hf download a/b text.txt")


def test_an_address_is_not_followed(own: Assign) -> None:
    data = replace(own().recipe.data, train="http://169.254.169.254/latest/meta-data")
    asked = replace(own(), recipe=replace(own().recipe, data=data))
    with pytest.raises(CannotOpen, match="fetches anything"):
        Evaluator(CPU).evaluate(asked, go_on)


@pytest.fixture
def twin(assign: Assign, tmp_path: Path) -> Path:
    """The same weights, so the same fingerprint, with another tokenizer."""
    copy = Path(shutil.copytree(assign().model_path, tmp_path / "twin"))
    retoken(copy)
    return copy


def retoken(model: Path) -> None:
    """Let two letters change places."""
    path = model / "tokenizer.json"
    text = path.read_text(encoding="utf-8").replace('"e":', '"E!":').replace('"t":', '"e":')
    path.write_text(text.replace('"E!":', '"t":'), encoding="utf-8")


def test_equal_weights_with_another_tokenizer_are_another_model(assign: Assign, twin: Path) -> None:
    """The one that was loaded first lent its tokenizer to the other's trials."""
    residence = Residence(CPU)
    first = residence.resident(assign())
    second = residence.resident(assign(model_path=str(twin)))
    assert first.fingerprint == second.fingerprint
    assert first.tokenizer_hash != second.tokenizer_hash
    assert residence.resident(assign(model_path=str(twin))) is second


def test_a_tokenizer_that_was_exchanged_is_loaded_for_a_study_that_asks_for_it(
    assign: Assign, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(assign().model_path, tmp_path / "model"))
    residence, named = Residence(CPU), assign(model_path=str(model))
    old = residence.resident(named).tokenizer_hash
    retoken(model)
    new = Residence(CPU).resident(named).tokenizer_hash
    assert new != old
    expecting = replace(named, inputs=Inputs(tokenizer=new))
    assert residence.resident(expecting).tokenizer_hash == new
