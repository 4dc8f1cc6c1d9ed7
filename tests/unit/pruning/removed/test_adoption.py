"""What MultiPruner, ModelOpt and DeciLM leave where they removed half of a block."""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from pruning.container import container
from pruning.importing.adoption import adopt
from rankspace.errors import InvalidContainer
from tests.unit.pruning.importing.test_block_configs import configure, gone, modelopt
from tests.unit.pruning.importing.test_multipruner import DENSE, extract, tell
from tests.unit.pruning.removed.conftest import silence

IDS = torch.arange(30)[None] * 11 % 256

ACCOUNT: dict[str, Any] = {
    **DENSE,
    "pruned_attn_idx": [0, 1],
    "pruned_mlp_idx": [0, 2],
    "pruned_attn_width": {"0": 32, "1": 32, "2": 16},
    "pruned_mlp_width": {"0": 24, "1": 7, "2": 24},
}
"""Block 0 is gone whole; of the others each has one half, and of that a part."""


def provenance_of(directory: Path) -> Any:
    return json.loads((directory / "pruned.json").read_text())["provenance"]


@torch.no_grad()
def test_multipruner_s_halves_are_adopted_exactly(
    llama: PreTrainedModel, plain: Path, tmp_path: Path
) -> None:
    extract(plain, ACCOUNT)
    tell(plain, ACCOUNT)
    adopt(plain, tmp_path / "c")
    loaded = container.load(tmp_path / "c")
    assert [(b.original_index, b.heads, b.kv_heads, b.ffn) for b in loaded.structure.blocks] == [
        (1, 0, 0, 7),
        (2, 4, 2, 0),
    ]
    found = provenance_of(tmp_path / "c")
    assert [found[key] for key in ("dropped", "without_attention", "without_mlp")] == [
        [0],
        [1],
        [2],
    ]
    whole: Any = llama
    silence(whole, 1, "o_proj")
    silence(whole, 2, "down_proj")
    whole.model.layers[1].mlp.down_proj.weight[:, 7:] = 0
    whole.model.layers[2].self_attn.o_proj.weight[:, 16:] = 0
    del whole.model.layers[0]
    torch.testing.assert_close(loaded.model(IDS).logits, whole(IDS, use_cache=False).logits)


def without(directory: Path, *parts: str) -> None:
    """Remove tensors as a tool does that saves nothing of what it skips."""
    path = directory / "model.safetensors"
    state = load_file(path)
    save_file({n: t for n, t in state.items() if not any(part in n for part in parts)}, path)


SKIPPED: Mapping[str, tuple[str, ...]] = {
    "with its norms": (
        "layers.1.self_attn",
        "layers.1.input_layernorm",
        "layers.2.mlp",
        "layers.2.post_attention_layernorm",
    ),
    "norms stored": ("layers.1.self_attn", "layers.2.mlp"),
}


@pytest.mark.parametrize("parts", SKIPPED.values(), ids=SKIPPED)
@torch.no_grad()
def test_no_op_is_adopted_exactly(
    parts: tuple[str, ...], llama: PreTrainedModel, plain: Path, tmp_path: Path
) -> None:
    without(plain, *parts)
    whole = modelopt(4, 24)
    configure(plain, [whole, gone(whole, "attention"), gone(whole, "ffn")])
    adopt(plain, tmp_path / "c")
    loaded = container.load(tmp_path / "c")
    assert [block.lacks for block in loaded.structure.blocks] == [None, "attention", "MLP"]
    reference = deepcopy(llama)
    silence(reference, 1, "o_proj")
    silence(reference, 2, "down_proj")
    assert torch.equal(
        loaded.model(IDS, use_cache=False).logits, reference(IDS, use_cache=False).logits
    )


def test_matrices_that_are_there_all_the_same_contradict(plain: Path, tmp_path: Path) -> None:
    whole = modelopt(4, 24)
    configure(plain, [whole, gone(whole, "attention"), whole])
    with pytest.raises(InvalidContainer, match=r"layers\.1\.self_attn\.q_proj.*as removed"):
        adopt(plain, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_matrices_that_are_missing_without_being_removed_are_missed(
    plain: Path, tmp_path: Path
) -> None:
    without(plain, "layers.1.self_attn")
    configure(plain, [modelopt(4, 24)] * 3)
    with pytest.raises(InvalidContainer, match=r"layers\.1\.self_attn\.q_proj.*lack"):
        adopt(plain, tmp_path / "c")
