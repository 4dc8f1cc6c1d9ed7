"""A container is replaced as a whole only where nothing else would go with it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import PreTrainedModel

from pruning.container import container, writing
from pruning.container.container import LoadedModel
from pruning.container.description import describe
from pruning.container.logits import record_logits
from pruning.container.manifest import LogitCheck
from pruning.importing.adoption import adopt
from pruning.methods.compression import compress
from pruning.methods.settings import PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from rankspace.errors import InvalidContainer, InvalidInput

SETTINGS = PruningSettings((1,))


@pytest.fixture
def target(loaded: LoadedModel, tmp_path: Path) -> Path:
    container.write(loaded.model, loaded.tokenizer, tmp_path / "c", provenance={})
    return tmp_path / "c"


def put_file(directory: Path) -> None:
    (directory / "notes.txt").write_text("mine")


def put_directory(directory: Path) -> None:
    (directory / "my-adapter").mkdir()


def put_link(directory: Path) -> None:
    (directory / "elsewhere").symlink_to(directory.parent)


def swap_for_directory(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    (directory / "model.safetensors").mkdir()


FOREIGN = [put_file, put_directory, put_link, swap_for_directory]


@pytest.mark.parametrize("put", FOREIGN)
def test_what_the_manifest_does_not_list_survives(
    put: Callable[[Path], None], target: Path, plain: Path, loaded: LoadedModel, text: Path
) -> None:
    put(target)
    before = sorted(target.rglob("*"))
    with pytest.raises(InvalidContainer, match="does not list"):
        container.write(loaded.model, loaded.tokenizer, target, provenance={})
    with pytest.raises(InvalidContainer, match="does not list"):
        compress(plain, target, SETTINGS, CalibrationText(text))
    with pytest.raises(InvalidContainer, match="does not list"):
        adopt(plain, target)
    assert sorted(target.rglob("*")) == before


def test_what_appears_while_writing_survives(
    target: Path, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(model: PreTrainedModel) -> LogitCheck:
        put_file(target)
        return record_logits(model)

    monkeypatch.setattr(writing, "record_logits", record)
    with pytest.raises(InvalidContainer, match="does not list"):
        container.write(loaded.model, loaded.tokenizer, target, provenance={})
    assert (target / "notes.txt").read_text() == "mine"
    assert not list(target.parent.glob(".c.*"))


def test_a_manifest_that_cannot_be_read_protects_its_directory(
    target: Path, loaded: LoadedModel
) -> None:
    (target / "pruned.json").write_text("{}")
    with pytest.raises(InvalidContainer, match="cannot be read"):
        container.write(loaded.model, loaded.tokenizer, target, provenance={})
    assert (target / "model.safetensors").exists()


@pytest.mark.parametrize("place", ["dense", "a/b"])
def test_a_source_inside_the_target_survives(
    place: str, target: Path, plain: Path, text: Path
) -> None:
    source = target / place
    shutil.copytree(plain, source)
    before = describe(source).fingerprint
    with pytest.raises(InvalidInput, match="the source"):
        compress(source, target, SETTINGS, CalibrationText(text))
    with pytest.raises(InvalidInput, match="the source"):
        adopt(source, target)
    assert describe(source).fingerprint == before


def test_a_target_inside_the_source_is_an_ordinary_one(plain: Path, text: Path) -> None:
    compress(plain, plain / "pruned", SETTINGS, CalibrationText(text))
    assert describe(plain / "pruned").parameters < describe(plain).parameters
