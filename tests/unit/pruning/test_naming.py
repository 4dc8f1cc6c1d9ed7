"""Weights under the names that wrappers and pruning tools give them are the same model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.naming import Names, read_names
from pruning.importing.adoption import adopt
from rankspace.errors import InvalidContainer

Rename = Callable[[str], str]
IDS = torch.arange(30)[None] * 11 % 256


def rename(directory: Path, new: Rename) -> None:
    path = directory / "model.safetensors"
    save_file({new(name): tensor for name, tensor in load_file(path).items()}, path)


def before(prefix: str) -> Rename:
    return lambda name: prefix + name


def within(prefix: str) -> Rename:
    """The decoder of a larger model, whose output projection stands apart."""
    return lambda name: name.replace("model.", prefix, 1)


WRAPPERS = {
    "torch.compile": before("_orig_mod."),
    "DDP": before("module."),
    "PEFT": before("base_model.model."),
    "DDP of a compiled model": before("module._orig_mod."),
    "a compiled DDP": before("_orig_mod.module."),
    "Lightning": before("net."),
    "vision-language model": before("language_model."),
    "the same, newer": within("model.language_model."),
}


@pytest.mark.parametrize("wrapped", WRAPPERS.values(), ids=WRAPPERS)
def test_what_a_model_was_wrapped_in_does_not_matter(
    wrapped: Rename, llama: PreTrainedModel, plain: Path
) -> None:
    rename(plain, wrapped)
    assert torch.equal(container.load(plain).model(IDS).logits, llama(IDS).logits)


def test_a_bare_decoder_with_a_tied_output_is_the_whole_model(
    tied: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    whole: Any = tied
    whole.model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    with pytest.raises(InvalidContainer, match="architectures") as caught:
        container.load(tmp_path)
    assert "['LlamaForCausalLM']" in caught.value.hint
    config["architectures"] = ["LlamaForCausalLM"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert torch.equal(container.load(tmp_path).model(IDS).logits, tied(IDS).logits)


def test_a_bare_decoder_without_its_output_is_no_model(plain: Path) -> None:
    state = load_file(plain / "model.safetensors")
    del state["lm_head.weight"]
    bare = {name.removeprefix("model."): tensor for name, tensor in state.items()}
    save_file(bare, plain / "model.safetensors")
    with pytest.raises(InvalidContainer, match=r"lm_head\.weight.*lack") as caught:
        container.load(plain)
    assert "not its decoder" in caught.value.hint


@pytest.mark.parametrize("prefix", ["", "_orig_mod."])
def test_a_tied_table_may_lie_under_the_name_of_the_output(
    prefix: str, tied: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """As safetensors.torch.save_model may leave it."""
    tied.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    output = {"model.embed_tokens.weight": "lm_head.weight"}
    rename(tmp_path, lambda name: prefix + output.get(name, name))
    loaded = container.load(tmp_path)
    assert torch.equal(loaded.model(IDS).logits, tied(IDS).logits)
    assert loaded.description.parameters == sum(p.numel() for p in tied.parameters())


def drop_block_1(directory: Path, wrapper: str = "") -> None:
    path = directory / "model.safetensors"
    left = {wrapper + n: t for n, t in load_file(path).items() if ".layers.1." not in n}
    save_file(left, path)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))


@pytest.mark.parametrize("wrapper", ["", "module."])
def test_blocks_that_kept_their_numbers_are_found_and_know_their_place(
    wrapper: str, llama: PreTrainedModel, plain: Path, tmp_path: Path
) -> None:
    drop_block_1(plain, wrapper)
    whole: Any = llama
    del whole.model.layers[1]
    loaded = container.load(plain)
    assert [block.original_index for block in loaded.structure.blocks] == [0, 2]
    expected = whole(IDS, use_cache=False).logits
    assert torch.equal(loaded.model(IDS).logits, expected)
    adopt(plain, tmp_path / "c")
    adopted = container.load(tmp_path / "c")
    assert [block.original_index for block in adopted.structure.blocks] == [0, 2]
    assert torch.equal(adopted.model(IDS).logits, expected)


def test_profiles_of_a_renamed_model_are_kept(plain: Path) -> None:
    rename(plain, before("_orig_mod."))
    known = container.write_profiles(plain, [])
    assert container.load(plain).description == known


@pytest.mark.parametrize(
    ("old", "fix"),
    [
        ("q_proj.base_layer.weight", "merge_and_unload"),
        ("q_proj.lora_A.default.weight", "merge_and_unload"),
        ("q_proj.weight_orig", "prune.remove"),
        ("q_proj.weight_mask", "prune.remove"),
    ],
)
def test_what_is_not_applied_to_the_weights_yet_is_named(plain: Path, old: str, fix: str) -> None:
    rename(plain, lambda name: name.replace("layers.1.self_attn.q_proj.weight", f"layers.1.{old}"))
    with pytest.raises(InvalidContainer, match="weights = ") as caught:
        container.load(plain)
    assert fix in caught.value.hint


@pytest.mark.parametrize(
    "names",
    [
        {"a.layers.0.x", "b.layers.0.x"},  # two decoders
        {"model.layers.0.x", "model.layers.00.x"},  # one name for two
        {"transformer.h.0.x"},  # another family
        {"model.my_layers.0.x"},  # another name
        set(),
    ],
)
def test_what_is_not_plain_is_left_as_it_is(names: set[str]) -> None:
    assert read_names(names, tied=False) == Names()


def test_stock_names_are_not_touched() -> None:
    names = {"model.layers.0.x", "model.layers.1.x", "lm_head.weight", "other"}
    assert read_names(names, tied=False) == Names({}, (0, 1))


def test_old_rotary_tables_of_dropped_blocks_are_no_blocks() -> None:
    names = {f"model.layers.{i}.self_attn.rotary_emb.inv_freq" for i in range(3)}
    found = read_names({*names, "model.layers.0.x", "model.layers.2.x"}, tied=False)
    assert found == Names({"model.layers.2.x": "model.layers.1.x"}, (0, 2))


def test_weights_of_another_kind_are_said_to_be_so(plain: Path) -> None:
    rename(plain, lambda name: name.replace("model.layers", "transformer.h"))
    with pytest.raises(InvalidContainer, match=r"no tensor is called model\.layers\.0"):
        container.load(plain)
