"""Directories in the layout of ModelOpt's AnyModel and of DeciLM: sizes in block_configs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.description import describe
from pruning.importing.adoption import adopt
from pruning.methods.surgery import Kept, shrink
from rankspace.errors import InvalidContainer

IDS = torch.arange(30)[None] * 11 % 256
Json = dict[str, Any]


def configure(directory: Path, blocks: list[Json], **changes: Any) -> None:
    path = directory / "config.json"
    config = {**json.loads(path.read_text()), "block_configs": blocks, **changes}
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))


def modelopt(kv_heads: int, ffn: int) -> Json:
    return {
        "attention": {
            "no_op": False,
            "replace_with_linear": False,
            "sparsify": None,
            "weights_precision": "bf16",
            "num_key_value_heads": kv_heads,
            "llama4": None,
            "mamba": None,
        },
        "ffn": {
            "no_op": False,
            "replace_with_linear": False,
            "moe": None,
            "intermediate_size": ffn,
        },
        "parallel_blocks": None,
    }


def gone(entry: Json, *halves: str) -> Json:
    sizes = {"num_key_value_heads": None, "intermediate_size": None, "n_heads_in_group": None}
    return {**entry, **{half: {**sizes, "no_op": True} for half in halves}}


@pytest.fixture
def puzzle(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> tuple[Path, PreTrainedModel]:
    """Widths cut in block 1; config of the whole model, its blocks in block_configs."""
    shrink(llama, 1, Kept(tuple(range(8)), tuple(range(4)), (0, 5, 23)))
    llama.save_pretrained(tmp_path / "puzzle")
    tokenizer.save_pretrained(tmp_path / "puzzle")
    configure(
        tmp_path / "puzzle",
        [modelopt(4, 24), modelopt(4, 3), modelopt(4, 24)],
        architectures=["AnyModel"],
        base_architecture="LlamaForCausalLM",
        auto_map={"AutoConfig": "transformers.models.llama.configuration_llama.LlamaConfig"},
        intermediate_size=None,
        num_key_value_heads=...,
    )
    return tmp_path / "puzzle", llama


def test_a_puzzle_is_adopted_exactly(puzzle: tuple[Path, PreTrainedModel], tmp_path: Path) -> None:
    directory, model = puzzle
    with pytest.raises(InvalidContainer, match="architectures") as caught:
        describe(directory)
    assert "rankadaptor adopt" in caught.value.hint
    adopt(directory, tmp_path / "c")
    loaded = container.load(tmp_path / "c")
    assert [block.ffn for block in loaded.structure.blocks] == [24, 3, 24]
    assert loaded.dense_block.ffn == 24
    assert torch.equal(loaded.model(IDS).logits, model(IDS).logits)
    provenance = json.loads((tmp_path / "c" / "pruned.json").read_text())["provenance"]
    assert provenance["dropped"] == []
    assert "block_configs" in provenance["tool"]


def test_fewer_key_value_heads_of_all_the_query_heads(plain: Path, tmp_path: Path) -> None:
    """ModelOpt prunes key/value heads alone; the groups of that block grow."""
    torch.manual_seed(1)
    state = load_file(plain / "model.safetensors")
    for kind in ("k_proj", "v_proj"):
        name = f"model.layers.2.self_attn.{kind}.weight"
        state[name] = state[name][:8].contiguous()
    save_file(state, plain / "model.safetensors")
    configure(plain, [modelopt(4, 24), modelopt(4, 24), modelopt(2, 24)])
    adopt(plain, tmp_path / "c")
    loaded = container.load(tmp_path / "c")
    assert [block.kv_heads for block in loaded.structure.blocks] == [4, 4, 2]
    assert torch.isfinite(loaded.model(IDS).logits).all()


@pytest.fixture
def deci(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> tuple[Path, PreTrainedModel]:
    """Hidden 96: a factor of 2 is 128 channels, rounded up to 256; block 1 is skipped whole."""
    torch.manual_seed(0)
    sizes: Any = {"hidden_size": 96, "intermediate_size": 256, "num_attention_heads": 8}
    config = LlamaConfig(vocab_size=260, num_hidden_layers=2, num_key_value_heads=4, **sizes)
    model = LlamaForCausalLM(config).requires_grad_(False).train(False)
    model.save_pretrained(tmp_path / "deci")
    tokenizer.save_pretrained(tmp_path / "deci")
    path = tmp_path / "deci" / "model.safetensors"
    save_file({n.replace("rs.1.", "rs.2."): t for n, t in load_file(path).items()}, path)
    block = {
        "attention": {"n_heads_in_group": 2, "no_op": False, "window_length": None},
        "ffn": {"ffn_mult": 2.0, "no_op": False, "replace_with_linear": False},
    }
    configure(
        tmp_path / "deci",
        [block, gone(block, "attention", "ffn"), block],
        architectures=["DeciLMForCausalLM"],
        model_type="nemotron-nas",
        num_hidden_layers=3,
        auto_map={"AutoModelForCausalLM": "modeling_decilm.DeciLMForCausalLM"},
        num_key_value_heads=None,
        intermediate_size=None,
    )
    return tmp_path / "deci", model


def test_decilm_with_a_skipped_block_is_adopted_exactly(
    deci: tuple[Path, PreTrainedModel], tmp_path: Path
) -> None:
    directory, model = deci
    adopt(directory, tmp_path / "c")
    loaded = container.load(tmp_path / "c")
    assert [block.original_index for block in loaded.structure.blocks] == [0, 2]
    assert torch.equal(loaded.model(IDS).logits, model(IDS).logits)
    provenance = json.loads((tmp_path / "c" / "pruned.json").read_text())["provenance"]
    assert provenance["dropped"] == [1]


REFUSED: dict[str, tuple[list[Json], str]] = {
    "linear": (
        [
            modelopt(4, 24),
            modelopt(4, 24),
            {**modelopt(4, 24), "ffn": {"replace_with_linear": True}},
        ],
        r"\[2\]\.ffn\.replace_with_linear",
    ),
    "window": (
        [
            modelopt(4, 24),
            {**modelopt(4, 24), "attention": {"n_heads_in_group": 2, "window_length": 64}},
            modelopt(4, 24),
        ],
        "window_length.*another than the stock one",
    ),
    "parallel": (
        [{**modelopt(4, 24), "parallel_blocks": [{}]}, modelopt(4, 24), modelopt(4, 24)],
        "parallel_blocks",
    ),
    "too few": ([modelopt(4, 24)], "entries for 3 blocks"),
    "no list of objects": ([None, None, None], "an object per block"),  # type: ignore[list-item]
    "no size": (
        [modelopt(4, 24), {**modelopt(4, 24), "ffn": {"no_op": False}}, modelopt(4, 24)],
        "gives no width",
    ),
    "groups that do not divide": (
        [
            modelopt(4, 24),
            {**modelopt(4, 24), "attention": {"n_heads_in_group": 3}},
            modelopt(4, 24),
        ],
        "no whole number of key/value heads",
    ),
    "other sizes than the weights": (
        [modelopt(4, 24), modelopt(4, 8), modelopt(4, 24)],
        "ffn of block 1, but its weights have 24",
    ),
}


@pytest.mark.parametrize(("blocks", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_no_container_holds_is_refused_with_its_field(
    blocks: list[Json], problem: str, plain: Path, tmp_path: Path
) -> None:
    configure(plain, blocks)
    with pytest.raises(InvalidContainer, match=problem):
        adopt(plain, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_an_unknown_base_is_not_sent_in_a_circle(
    puzzle: tuple[Path, PreTrainedModel], tmp_path: Path
) -> None:
    directory, _ = puzzle
    blocks = [modelopt(4, 24), modelopt(4, 3), modelopt(4, 24)]
    configure(directory, blocks, base_architecture="NemotronHForCausalLM")
    with pytest.raises(InvalidContainer, match="NemotronHForCausalLM") as caught:
        adopt(directory, tmp_path / "c")
    assert "adopt" not in caught.value.hint
