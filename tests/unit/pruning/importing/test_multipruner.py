"""Directories as MultiPruner's extract_model.py leaves them, its pruning_config.json beside."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.importing.adoption import adopt
from rankspace.errors import InvalidContainer

IDS = torch.arange(30)[None] * 11 % 256
DENSE: dict[str, Any] = {
    "pruned_attn_idx": [],
    "pruned_mlp_idx": [],
    "pruned_attn_width": {"0": 32, "1": 32, "2": 32},
    "pruned_mlp_width": {"0": 24, "1": 24, "2": 24},
}


def extract(directory: Path, account: dict[str, Any]) -> None:
    """Cut the state as the tool does: the first rows stay, the norms of a block do, too."""
    path = directory / "model.safetensors"
    state = load_file(path)
    for index, width in account["pruned_attn_width"].items():
        attention = f"model.layers.{index}.self_attn."
        for kind, rows in (("q_proj", width), ("k_proj", width // 2), ("v_proj", width // 2)):
            state[f"{attention}{kind}.weight"] = state[f"{attention}{kind}.weight"][:rows]
        state[f"{attention}o_proj.weight"] = state[f"{attention}o_proj.weight"][:, :width]
    for index, width in account["pruned_mlp_width"].items():
        mlp = f"model.layers.{index}.mlp."
        for kind in ("gate_proj", "up_proj"):
            state[f"{mlp}{kind}.weight"] = state[f"{mlp}{kind}.weight"][:width]
        state[f"{mlp}down_proj.weight"] = state[f"{mlp}down_proj.weight"][:, :width]
    for key, part in (("pruned_attn_idx", "self_attn"), ("pruned_mlp_idx", "mlp")):
        for index in account[key]:
            state = {n: t for n, t in state.items() if f".{index}.{part}" not in n}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)


def tell(directory: Path, account: dict[str, Any]) -> None:
    (directory / "pruning_config.json").write_text(json.dumps(account))


@torch.no_grad()
def test_widths_and_a_block_that_is_gone_are_adopted_exactly(
    llama: PreTrainedModel, plain: Path, tmp_path: Path
) -> None:
    account = {
        **DENSE,
        "pruned_attn_idx": [1],
        "pruned_mlp_idx": [1],
        "pruned_attn_width": {"0": 32, "1": 32, "2": 16},
        "pruned_mlp_width": {"0": 7, "1": 24, "2": 24},
    }
    extract(plain, account)
    tell(plain, account)
    adopt(plain, tmp_path / "c")
    loaded = container.load(tmp_path / "c")
    blocks = loaded.structure.blocks
    assert [(b.original_index, b.heads, b.kv_heads, b.ffn) for b in blocks] == [
        (0, 8, 4, 7),
        (2, 4, 2, 24),
    ]
    provenance = json.loads((tmp_path / "c" / "pruned.json").read_text())["provenance"]
    assert (provenance["tool"], provenance["dropped"]) == ("MultiPruner", [1])
    whole: Any = llama
    whole.model.layers[0].mlp.down_proj.weight[:, 7:] = 0
    whole.model.layers[2].self_attn.o_proj.weight[:, 16:] = 0
    del whole.model.layers[1]
    torch.testing.assert_close(loaded.model(IDS).logits, whole(IDS, use_cache=False).logits)


def test_a_file_that_is_not_applied_to_the_weights_is_no_guess(plain: Path, tmp_path: Path) -> None:
    tell(plain, {**DENSE, "pruned_mlp_width": {"2": 8}})
    with pytest.raises(InvalidContainer, match="ffn of block 2, but its weights have 24") as caught:
        adopt(plain, tmp_path / "c")
    assert "extract_model.py" in caught.value.hint
    assert not (tmp_path / "c").exists()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "attention that is there": ({"pruned_attn_idx": [2, 0]}, r"0\.self_attn\.q_proj.*as removed"),
    "an MLP that is there": ({"pruned_mlp_idx": [1]}, r"1\.mlp\.gate_proj.*as removed"),
    "a block that is not there": ({"pruned_mlp_idx": [3]}, "must list blocks of the 3"),
    "no list": ({"pruned_attn_idx": {"0": 1}}, "must list blocks"),
    "half a group": ({"pruned_attn_width": {"0": 28}}, "no whole number of heads"),
    "no width": ({"pruned_mlp_width": {"0": 0}}, "must map blocks"),
    "a width of nothing": ({"pruned_mlp_width": {"7": 8}}, "must map blocks of the 3"),
}


@pytest.mark.parametrize(("changes", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_no_container_holds_is_refused_with_its_field(
    changes: dict[str, Any], problem: str, plain: Path, tmp_path: Path
) -> None:
    tell(plain, {**DENSE, **changes})
    with pytest.raises(InvalidContainer, match=problem):
        adopt(plain, tmp_path / "c")


def test_two_accounts_are_one_too_many(plain: Path, tmp_path: Path) -> None:
    tell(plain, DENSE)
    config = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps({**config, "block_configs": [{}]}))
    with pytest.raises(InvalidContainer, match="block_configs says it, too"):
        adopt(plain, tmp_path / "c")


def test_another_tool_s_file_of_the_same_name_is_none(
    llama: PreTrainedModel, plain: Path, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    tell(plain, {"sparsity": 0.5})
    adopt(plain, tmp_path / "c")
    assert torch.equal(container.load(tmp_path / "c").model(IDS).logits, llama(IDS).logits)


@pytest.mark.parametrize("index", [0, 2])
@torch.no_grad()
def test_the_norms_of_a_block_that_is_gone_are_nobody_s(
    index: int, llama: PreTrainedModel, plain: Path, tmp_path: Path
) -> None:
    account = {**DENSE, "pruned_attn_idx": [index], "pruned_mlp_idx": [index]}
    extract(plain, account)
    tell(plain, account)
    adopt(plain, tmp_path / "c")
    whole: Any = llama
    del whole.model.layers[index]
    loaded = container.load(tmp_path / "c")
    assert torch.equal(loaded.model(IDS).logits, whole(IDS, use_cache=False).logits)
