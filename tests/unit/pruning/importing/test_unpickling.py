"""LLM-Pruner's pickles are read as data; hostile ones do nothing."""

import builtins
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.cards.licence import Licence, licence_of
from pruning.container import container
from pruning.container.assembly import blocks_of
from pruning.importing.adoption import adopt
from pruning.methods.surgery import Kept, shrink
from rankspace.errors import InvalidContainer
from tests.unit.pruning.conftest import make_model

IDS = torch.arange(30)[None] * 11 % 256


def pickled(document: Any, directory: Path) -> Path:
    directory.mkdir()
    torch.save(document, directory / "pytorch_model.bin")
    return directory


@pytest.mark.parametrize("family", ["llama", "llama-biased", "llama-tied", "mistral", "qwen2"])
@torch.no_grad()
def test_a_pickled_model_is_adopted_exactly(
    family: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = make_model(family)
    shrink(model, 1, Kept((2, 3, 6, 7), (1, 3), (0, 5, 23)))
    source = pickled({"model": model, "tokenizer": tokenizer}, tmp_path / "pruned")
    with pytest.raises(InvalidContainer, match="pickle") as caught:
        adopt(source, tmp_path / "c")
    assert "--trust-pickle" in caught.value.hint
    adopt(source, tmp_path / "c", trust_pickle=True)
    loaded = container.load(tmp_path / "c")
    assert torch.equal(loaded.model(IDS).logits, model(IDS).logits)
    assert loaded.tokenizer.encode("Once upon") == tokenizer.encode("Once upon")


def test_a_tokenizer_beside_it_goes_before(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    source = pickled({"model": llama, "tokenizer": None}, tmp_path / "pruned")
    with pytest.raises(InvalidContainer, match="no such file"):
        adopt(source, tmp_path / "c", trust_pickle=True)
    tokenizer.save_pretrained(source)
    adopt(source, tmp_path / "c", trust_pickle=True)
    assert (tmp_path / "c" / "pruned.json").exists()


def test_the_licence_beside_it_is_carried_on(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    source = pickled({"model": llama, "tokenizer": tokenizer}, tmp_path / "pruned")
    (source / "README.md").write_text("---\nlicense: mit\n---\n# Some model\n")
    adopt(source, tmp_path / "c", trust_pickle=True)
    assert licence_of(tmp_path / "c") == Licence(("mit",))
    assert "| made of | pruned |" in (tmp_path / "c" / "README.md").read_text()


class Call:
    """Pickles as a call of ``function``: what a hostile file is made of."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def calls(place: Path) -> dict[str, Call]:
    key = place / "key"
    return {
        "reads a key": Call(builtins.open, str(key)),
        "runs a shell": Call(os.system, f"touch {place}/ran"),
        "runs Python": Call(builtins.eval, f"open({str(place / 'ran')!r}, 'w')"),
        "calls home": Call(socket.create_connection, ("127.0.0.1", 9)),
        "writes through an innocent name": Call(save_file, {}, str(place / "ran")),
        "loads what it likes": Call(torch.hub.load_state_dict_from_url, "file:///etc/passwd"),
        "saves over another file": Call(torch.save, {}, str(place / "ran")),
        "imports": Call(builtins.__import__, "antigravity"),
        "takes an attribute": Call(builtins.getattr, "torch", "upper"),
    }


@pytest.mark.parametrize("what", calls(Path()))
def test_what_a_hostile_pickle_calls_is_never_called(
    what: str, llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """Either its name is refused, or it stands for a class of ours that does nothing."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "key").write_text("secret")
    attributes: Any = blocks_of(llama)[0]
    attributes.payload = calls(place)[what]
    source = pickled({"model": llama, "tokenizer": tokenizer}, tmp_path / "pruned")
    before = (place / "key").stat().st_atime_ns
    if what in {"loads what it likes", "saves over another file"}:  # names of torch: inert
        adopt(source, tmp_path / "c", trust_pickle=True)
    else:
        problem = "not read as data" if "innocent" in what else "no model needs"
        with pytest.raises(InvalidContainer, match=problem) as caught:
            adopt(source, tmp_path / "c", trust_pickle=True)
        assert ("safetensors" in caught.value.hint) == (problem == "no model needs")
        assert not (tmp_path / "c").exists()
    assert [path.name for path in place.iterdir()] == ["key"]
    assert (place / "key").stat().st_atime_ns == before


def test_the_same_calls_do_run_where_a_pickle_is_opened(tmp_path: Path) -> None:
    """Without this, the test above would pass for calls that never do anything."""
    source = pickled(calls(tmp_path)["runs Python"], tmp_path / "hostile")
    torch.load(source / "pytorch_model.bin", weights_only=False).close()
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x80 no pickle", "cannot be read as data"),
        ({"state_dict": {}}, "no pickled model"),
        (torch.nn.Linear(2, 2), "'Linear'"),
    ],
)
def test_other_pickles_are_told_what_they_are(content: Any, problem: str, tmp_path: Path) -> None:
    source = pickled(content, tmp_path / "other")
    if isinstance(content, bytes):
        (source / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(InvalidContainer, match=problem):
        adopt(source, tmp_path / "c", trust_pickle=True)
