"""A model of each family, cut by a tool that keeps the dense config, is adopted exactly."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.assembly import blocks_of
from pruning.importing.adoption import adopt
from pruning.methods.compression import compress
from pruning.methods.settings import PruningSettings
from pruning.methods.surgery import Kept, shrink
from pruning.profiling.calibration_text import CalibrationText
from rankspace.errors import InvalidContainer, InvalidInput
from tests.unit.pruning.conftest import make_model

IDS = torch.arange(30)[None] * 11 % 256
ALL, HALF = tuple(range(8)), (0, 1, 2, 3)


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, directory: Path) -> Path:
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def edit(directory: Path, *forgotten: str, **changes: Any) -> dict[str, Any]:
    path = directory / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    left = {key: value for key, value in config.items() if key not in forgotten}
    path.write_text(json.dumps(left))
    return left


@torch.no_grad()
def test_an_uneven_model_of_any_family(
    any_model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    shrink(any_model, 1, Kept(ALL, (0, 1, 2, 3), (0, 5, 23)))
    adopt(save(any_model, tokenizer, tmp_path / "m"), tmp_path / "c")
    loaded = container.load(tmp_path / "c")
    assert [block.ffn for block in loaded.structure.blocks] == [24, 3, 24]
    assert torch.equal(loaded.model(IDS).logits, any_model(IDS).logits)


@torch.no_grad()
def test_fewer_heads_of_any_family_but_one(
    prunable: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    shrink(prunable, 1, Kept(HALF, (0, 1), (0, 5, 23)))
    adopt(save(prunable, tokenizer, tmp_path / "m"), tmp_path / "c")
    loaded = container.load(tmp_path / "c")
    assert [block.heads for block in loaded.structure.blocks] == [8, 4, 8]
    assert torch.equal(loaded.model(IDS).logits, prunable(IDS).logits)


@torch.no_grad()
def test_olmo2_with_the_norms_of_fewer_heads_is_what_its_tool_made_it(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """Whoever cuts them cuts the norm's weight, too; without that nothing fits, and it is said."""
    model = make_model("olmo2")
    attention: Any = blocks_of(model)[1].self_attn
    for kind, rows in (("q_proj", 16), ("k_proj", 8), ("v_proj", 8)):
        matrix = getattr(attention, kind)
        matrix.weight = torch.nn.Parameter(matrix.weight[:rows].clone(), requires_grad=False)
    attention.o_proj.weight = torch.nn.Parameter(attention.o_proj.weight[:, :16].clone(), False)
    save(model, tokenizer, tmp_path / "m")
    with pytest.raises(InvalidContainer, match=r"q_norm\.weight.*promises \[16\]"):
        adopt(tmp_path / "m", tmp_path / "c")
    for norm, width in ((attention.q_norm, 16), (attention.k_norm, 8)):
        norm.weight = torch.nn.Parameter(norm.weight[:width].clone(), requires_grad=False)
    adopt(save(model, tokenizer, tmp_path / "n"), tmp_path / "c")
    loaded = container.load(tmp_path / "c")
    assert [block.heads for block in loaded.structure.blocks] == [8, 4, 8]
    assert torch.equal(loaded.model(IDS).logits, model(IDS).logits)


def test_heads_that_are_normalised_together_are_not_compressed(
    tokenizer: PreTrainedTokenizerFast, text: Path, tmp_path: Path
) -> None:
    source = save(make_model("olmo2"), tokenizer, tmp_path / "m")
    with pytest.raises(InvalidInput, match="over all heads"):
        compress(source, tmp_path / "c", PruningSettings((1,)), CalibrationText(text))


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
def test_an_older_config_says_less(
    family: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """Tied unless it says otherwise, and windows by the place of a block."""
    source = save(make_model(family), tokenizer, tmp_path / "m")
    older = {"sliding_window_pattern": 2, "rope_local_base_freq": 50.0, "rope_theta": 500.0}
    edit(source, "tie_word_embeddings", "layer_types", "rope_parameters", **older)
    expected = AutoModelForCausalLM.from_pretrained(source)
    adopt(source, tmp_path / "c")
    assert torch.equal(container.load(tmp_path / "c").model(IDS).logits, expected(IDS).logits)


@pytest.mark.parametrize("numbers", ["kept", "new"])
def test_windows_that_go_by_place_are_no_guess_when_blocks_are_gone(
    numbers: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = make_model("gemma2")
    del blocks_of(model)[1]
    source = save(model, tokenizer, tmp_path / "m")
    if numbers == "kept":
        path = source / "model.safetensors"
        save_file({n.replace("rs.1.", "rs.2."): t for n, t in load_file(path).items()}, path)
    original = None if numbers == "kept" else (0, 2)
    edit(source, "layer_types", num_hidden_layers=2)
    with pytest.raises(InvalidContainer, match=r"layer_types.*place") as caught:
        adopt(source, tmp_path / "c", original=original)
    assert "blocks that are left" in caught.value.hint
    edit(source, layer_types=["sliding_attention", "sliding_attention"])
    adopt(source, tmp_path / "c", original=original)
    blocks = container.load(tmp_path / "c").structure.blocks
    assert [block.original_index for block in blocks] == [0, 2]


REFUSED = {
    "Phi3SmallForCausalLM": ("sparse attention", "Phi3ForCausalLM"),
    "PhiMoEForCausalLM": ("experts", "Phi3ForCausalLM"),
    "Phi3VForCausalLM": ("images", "Phi3ForCausalLM"),
    "NemotronForCausalLM": ("no gate_proj", "Minitron"),
    "NemotronHForCausalLM": ("Mamba", "Minitron"),
    "Gemma3ForConditionalGeneration": ("images", "Gemma3ForCausalLM"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_family_that_does_not_fit_is_told_why(name: str, plain: Path, tmp_path: Path) -> None:
    problem, fix = REFUSED[name]
    edit(plain, architectures=[name])
    with pytest.raises(InvalidContainer, match=problem) as caught:
        adopt(plain, tmp_path / "c")
    assert fix in caught.value.hint


def test_a_model_that_sees_what_follows_is_refused(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    source = save(make_model("gemma3"), tokenizer, tmp_path / "m")
    edit(source, use_bidirectional_attention=True)
    with pytest.raises(InvalidContainer, match="use_bidirectional_attention"):
        adopt(source, tmp_path / "c")
