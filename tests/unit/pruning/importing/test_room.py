"""A pickle that is larger than memory is refused by its size, before anything is written."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.importing import room
from pruning.importing.adoption import adopt
from pruning.importing.pickle_file import PickleFile
from rankspace.errors import CannotOpen, InvalidInput


@pytest.fixture
def pickled(llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    directory = tmp_path / "pruned"
    directory.mkdir()
    torch.save({"model": llama, "tokenizer": tokenizer}, directory / "pytorch_model.bin")
    return directory


def weights(model: PreTrainedModel) -> int:
    return sum(parameter.nbytes for parameter in model.parameters())


def test_weights_beyond_memory_are_refused_with_both_sizes(
    pickled: Path, llama: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the machine only its size is made up."""
    monkeypatch.setattr(room, "machine_memory", lambda: (2**40, weights(llama) - 1))
    with pytest.raises(InvalidInput, match="weights take 0 MiB of memory, where 0 MiB") as caught:
        adopt(pickled, tmp_path / "c", trust_pickle=True)
    assert "copy the container" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["pruned"]
    monkeypatch.setattr(room, "machine_memory", lambda: (2**40, weights(llama)))
    adopt(pickled, tmp_path / "c", trust_pickle=True)


def test_where_nobody_knows_how_much_is_free_it_is_tried(
    pickled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> tuple[int, int]:
        raise CannotOpen("memory", "/", "is not known", fix="give a size")

    monkeypatch.setattr(room, "machine_memory", unknown)
    adopt(pickled, tmp_path / "c", trust_pickle=True)
    assert (tmp_path / "c" / "pruned.json").exists()


@contextmanager
def _no_more_memory_than(more: int) -> Iterator[None]:
    """Let this process have ``more`` bytes of addresses beside those it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, most))


def test_a_file_that_cannot_be_mapped_is_refused_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    with path.open("wb") as file:
        file.truncate(64 * 2**30)  # none of it is written
    with (
        _no_more_memory_than(2**30),
        pytest.raises(InvalidInput, match=r"its pages take 64\.00 GiB of memory, where .* is free"),
    ):
        PickleFile(path)
