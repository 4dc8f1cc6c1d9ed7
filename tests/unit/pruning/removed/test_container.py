"""A container says which blocks have no attention or no MLP, and computes what zeros would."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from pruning.container import container
from pruning.container.contents import read_contents
from pruning.container.description import describe
from pruning.container.structure import ATTENTION, MLP, BlockStructure
from rankspace.errors import InvalidContainer
from tests.unit.pruning.removed.conftest import Halve, Halved

IDS = torch.arange(30)[None] * 11 % 256


@torch.no_grad()
def test_every_family_computes_what_zeros_would(any_model: PreTrainedModel, halve: Halve) -> None:
    halved = halve(any_model)
    loaded = container.load(halved.directory)
    whole, without_attention, without_mlp = loaded.structure.blocks
    assert (whole.lacks, without_attention.lacks, without_mlp.lacks) == (None, "attention", "MLP")
    assert (without_attention.heads, without_attention.kv_heads, without_mlp.ffn) == (0, 0, 0)
    assert torch.equal(
        loaded.model(IDS, use_cache=False).logits, halved.reference(IDS, use_cache=False).logits
    )


def test_only_what_is_left_is_stored_and_described(halved: Halved) -> None:
    names = {name for name in read_contents(halved.directory).tensors if "layers.0" not in name}
    kinds = {f"model.layers.1.mlp.{kind}.weight" for kind in MLP}
    kinds |= {f"model.layers.2.self_attn.{kind}.weight" for kind in ATTENTION}
    norms = {
        "model.layers.1.post_attention_layernorm.weight",
        "model.layers.2.input_layernorm.weight",
    }
    tables = {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}
    assert names == kinds | norms | tables
    described = [(matrix.block, matrix.module) for matrix in describe(halved.directory).matrices]
    assert described[7:] == [(1, kind) for kind in MLP] + [(2, kind) for kind in ATTENTION]


@pytest.mark.parametrize("first", [0, 1])
def test_generation_counts_the_tokens_wherever_attention_is_gone(
    any_model: PreTrainedModel, halve: Halve, first: int
) -> None:
    """transformers asks one layer of a cache how many tokens there were: often the first."""
    halved = halve(any_model, attention=first)
    ours: Any = container.load(halved.directory).model
    theirs: Any = halved.reference
    asked = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    plain = theirs.generate(IDS, use_cache=False, **asked)
    dynamic, static = {"cache_implementation": "dynamic"}, {"cache_implementation": "static"}
    for how in (dynamic, static, {"use_cache": False}):
        assert torch.equal(ours.generate(IDS, **how, **asked), plain), how


def changed(directory: Path, index: int, **sizes: Any) -> None:
    path = directory / "pruned.json"
    document = json.loads(path.read_text())
    document["structure"]["blocks"][index] |= sizes
    path.write_text(json.dumps(document))


def test_a_container_that_says_so_of_a_whole_block_is_refused(halved: Halved) -> None:
    changed(halved.directory, 0, heads=0, kv_heads=0)
    with pytest.raises(InvalidContainer, match=r"layers\.0.*the model has no such tensor"):
        container.load(halved.directory)


def test_a_container_whose_block_lost_its_attention_is_refused(halved: Halved) -> None:
    changed(halved.directory, 1, heads=8, kv_heads=4)
    with pytest.raises(InvalidContainer, match="lack this tensor"):
        container.load(halved.directory)


NO_BLOCK: dict[str, tuple[dict[str, Any], str]] = {
    "neither half": ({"heads": 0, "kv_heads": 0, "ffn": 0}, "ffn"),
    "heads without keys": ({"kv_heads": 0}, "kv_heads"),
    "keys without heads": ({"heads": 0}, "heads"),
    "a bias of what is gone": ({"heads": 0, "kv_heads": 0, "biases": ("q_proj",)}, "biases"),
}


@pytest.mark.parametrize(("sizes", "field"), NO_BLOCK.values(), ids=NO_BLOCK)
def test_half_a_half_is_none(sizes: dict[str, Any], field: str) -> None:
    whole = {"heads": 8, "kv_heads": 4, "head_dim": 4, "ffn": 24, "biases": ()}
    with pytest.raises(InvalidContainer) as caught:
        BlockStructure(**{**whole, **sizes}, original_index=0)
    assert caught.value.field == field


def test_that_half_a_block_is_gone_is_no_guess(plain: Path) -> None:
    """Tensors that are missing may have been lost."""
    path = plain / "model.safetensors"
    state = {n: t for n, t in load_file(path).items() if "layers.1.self_attn" not in n}
    save_file(state, path)
    with pytest.raises(InvalidContainer, match=r"q_proj.*lack this matrix") as caught:
        read_contents(plain, infer=True)
    assert "pruning_config.json" in caught.value.hint


def test_containers_of_before_are_read_as_they_were(plain: Path, tmp_path: Path) -> None:
    """The format has one more value of two fields, which older programs refuse: no new schema."""
    loaded = container.load(plain)
    container.write(loaded.model, loaded.tokenizer, tmp_path / "c", provenance={})
    document = json.loads((tmp_path / "c" / "pruned.json").read_text())
    assert document["schema"] == 1
    assert document["structure"]["blocks"][1] == {
        "heads": 8,
        "kv_heads": 4,
        "head_dim": 4,
        "ffn": 24,
        "biases": [],
        "original_index": 1,
    }
