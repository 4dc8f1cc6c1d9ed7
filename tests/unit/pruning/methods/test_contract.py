"""What every method keeps to, on every family that it takes."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.assembly import blocks_of, matrix_of, read_structure
from pruning.container.contents import survey
from pruning.container.manifest import read_manifest
from pruning.methods.about import ABOUT
from pruning.methods.change import Change, Cut, Drop, apply, blocks_left
from pruning.methods.compression import compress
from pruning.methods.dimensions import Dimensions
from pruning.methods.flap import Flap
from pruning.methods.memory import memory_of
from pruning.methods.methods import METHODS
from pruning.methods.plan import Plan, TrainingSettings
from pruning.methods.settings import PrunerName, PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from pruning.rates.rates import matrix_weights
from pruning.rates.rules import Arithmetic
from rankspace.errors import InvalidInput
from tests.unit.pruning.conftest import MODELS, make_model
from tests.unit.pruning.removed.conftest import remove

WINDOWS = torch.arange(96).view(4, 24) * 37 % 256
DEPTH = (PrunerName.DEPTH_TAYLOR, PrunerName.DEPTH_PERPLEXITY)
CUTS = tuple(name for name in PrunerName if name not in DEPTH)
CASES = [
    (name, family)
    for name in PrunerName
    for family in MODELS
    if name in DEPTH or family != "olmo2"  # whose heads are normalised together
]

ALIKE = {
    PrunerName.DEPTH_PERPLEXITY,  # as depth-taylor
    PrunerName.TAYLOR_VECTOR,
    PrunerName.TAYLOR_MIX,
    PrunerName.MAGNITUDE,
    PrunerName.RANDOM,
}
"""Whose changes are depth-taylor's or taylor's, but for which blocks, heads and channels go."""


def plan(name: PrunerName) -> Plan:
    training = TrainingSettings(epochs=4, batch=4, every=2)
    return Plan({0: 0.5, 2: 0.5}, METHODS[name].ranking, training=training)


def change_of(name: PrunerName, model: PreTrainedModel) -> Change:
    return METHODS[name](model, plan(name), WINDOWS)


def test_every_name_has_a_method_and_two_sentences_with_a_source() -> None:
    assert set(METHODS) == set(ABOUT) == set(PrunerName)
    for name, about in ABOUT.items():
        assert about.count(". ") == 1, name
        assert about.endswith(".")
        assert "arXiv" in about or name == PrunerName.RANDOM


def test_what_methods_do_is_said_without_torch() -> None:
    program = "import sys, pruning.methods.about; print('torch' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "False\n"


@pytest.mark.parametrize(("name", "family"), CASES)
def test_a_method_leaves_the_model_alone_says_the_same_again_and_leaves_the_size_asked_for(
    name: PrunerName, family: str
) -> None:
    model = make_model(family)
    dense = [matrix_weights(block, 32) for block in read_structure(model, (0, 1, 2)).blocks]
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    told: list[tuple[int, int]] = []
    first = METHODS[name](model, plan(name), WINDOWS, lambda done, all_: told.append((done, all_)))
    again = change_of(name, model)
    assert all(torch.equal(before[key], t) for key, t in model.state_dict().items())
    assert not any(p.requires_grad or p.grad is not None for p in model.parameters())
    assert told == [(done, len(told)) for done in range(1, len(told) + 1)]
    assert told
    if isinstance(first, Drop):
        assert first == again
    else:
        assert isinstance(again, Cut)
        assert first.kept == again.kept
    left = blocks_left(first, 3)
    apply(model, first)
    sizes = [matrix_weights(block, 32) for block in read_structure(model, left).blocks]
    removed = (sum(dense) - sum(sizes)) / (dense[0] + dense[2])
    # Half a group of each block, and half a channel, are the most that whole ones are off.
    assert removed == pytest.approx(0.5, abs=(24 / 2 + 3 / 2) * 32 / dense[0])
    if 1 in left:
        assert sizes[left.index(1)] == dense[1]


@pytest.mark.parametrize(("name", "family"), [case for case in CASES if case[0] not in ALIKE])
def test_a_container_keeps_what_is_left(
    name: PrunerName, family: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = make_model(family)
    change = change_of(name, model)
    left = blocks_left(change, 3)
    apply(model, change)
    structure = read_structure(model, left)
    container.write(model, tokenizer, tmp_path / "c", provenance={}, original=left)
    loaded = container.load(tmp_path / "c")
    assert loaded.structure == structure
    with torch.no_grad():
        ours, theirs = model(WINDOWS).logits, loaded.model(WINDOWS).logits
        seen = loaded.model(WINDOWS[:, :20], use_cache=True).past_key_values
        cached = loaded.model(WINDOWS[:, 20:21], past_key_values=seen, use_cache=True).logits
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    torch.testing.assert_close(cached[:, 0], theirs[:, 20], rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", MODELS)
def test_a_dropped_block_is_one_that_hands_on_what_it_is_fed(family: str) -> None:
    """Blocks behind it keep their windows of attention, which go by place."""
    model = make_model(family)
    reference = copy.deepcopy(model)
    blocks_of(reference)[1].forward = lambda hidden, *_, **__: hidden
    apply(model, Drop((1,)))
    with torch.no_grad():
        torch.testing.assert_close(model(WINDOWS).logits, reference(WINDOWS).logits)
    attentions: list[Any] = [block.self_attn for block in blocks_of(model)]
    assert [attention.layer_idx for attention in attentions] == [0, 1]


@pytest.mark.parametrize("dropped", [(0, 1, 2), (3,), (-1,)])
def test_blocks_that_cannot_be_dropped_are_refused(
    dropped: tuple[int, ...], llama: PreTrainedModel
) -> None:
    with pytest.raises(InvalidInput, match="cannot be dropped"):
        apply(llama, Drop(dropped))
    assert len(blocks_of(llama)) == 3


@pytest.mark.parametrize("name", DEPTH)
def test_dropped_blocks_are_written_down(
    name: PrunerName, plain: Path, text: Path, tmp_path: Path
) -> None:
    settings = PruningSettings((0, 1, 2), 0.3, name)
    pruned = compress(plain, tmp_path / "c", settings, CalibrationText(text, 3, 32))
    loaded = container.load(tmp_path / "c")
    provenance = read_manifest(tmp_path / "c" / "pruned.json").provenance
    (dropped,) = provenance["dropped"]
    left = [index for index in range(3) if index != dropped]
    assert [block.original_index for block in loaded.structure.blocks] == left
    assert provenance["ranking"] == "global"
    assert loaded.model.config.num_hidden_layers == 2
    assert f"{name}: without blocks {dropped}" in (tmp_path / "c" / "README.md").read_text()
    assert pruned.parameters < container.load(plain).description.parameters


def test_blocks_without_a_half_can_be_dropped(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, text: Path, tmp_path: Path
) -> None:
    remove(llama, 1, heads=0, kv_heads=0)
    container.write(llama, tokenizer, tmp_path / "halved", provenance={})
    for name in DEPTH:
        settings = PruningSettings((1, 2), 0.5, name)
        compress(tmp_path / "halved", tmp_path / name, settings, CalibrationText(text, 3, 32))
        assert len(container.load(tmp_path / name).structure.blocks) == 2


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (PruningSettings((0, 1), 0.2, PrunerName.DEPTH_TAYLOR), "ratio"),
        (PruningSettings((0, 1, 2), 0.9, PrunerName.DEPTH_TAYLOR), "ratio"),
        (PruningSettings((0, 1), 0.5, PrunerName.DEPTH_TAYLOR, "local"), "ranking"),
        (PruningSettings((0, 1), method=PrunerName.DEPTH_TAYLOR, rates=Arithmetic(0.1)), "rates"),
        (PruningSettings((0, 1), 0.5, PrunerName.WANDA_STRUCTURED, "global"), "ranking"),
        (PruningSettings((0, 1), 0.5, PrunerName.LORAPRUNE, "global"), "ranking"),
        (PruningSettings((0, 1), 0.5, PrunerName.LORAPRUNE), "samples"),
        (PruningSettings((0, 1), 0.001, PrunerName.FLAP), "ratio"),
        (PruningSettings((0, 1), 0.01, PrunerName.FLAP, "local"), "ratio"),
    ],
)
def test_what_a_method_cannot_do_is_refused_and_nothing_is_written(
    settings: PruningSettings, field: str, plain: Path, text: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput) as caught:
        compress(plain, tmp_path / "c", settings, CalibrationText(text, 3, 32))
    assert caught.value.field == field
    assert not (tmp_path / "c").exists()


def test_rates_of_its_own_reach_a_method_that_compares_blocks(
    plain: Path, text: Path, tmp_path: Path
) -> None:
    settings = PruningSettings((0, 1, 2), 0.5, PrunerName.FLAP, rates=Arithmetic(0.25))
    compress(plain, tmp_path / "c", settings, CalibrationText(text, 3, 32))
    provenance = read_manifest(tmp_path / "c" / "pruned.json").provenance
    assert provenance["ranking"] == "local"
    blocks = container.load(tmp_path / "c").structure.blocks
    assert [(block.kv_heads, block.ffn) for block in blocks] == [(3, 18), (2, 12), (1, 6)]
    assert blocks[0].biases == ("o_proj", "down_proj")


def test_a_bias_that_is_there_gains_what_is_cut() -> None:
    model = make_model("llama-biased")
    before = matrix_of(blocks_of(model)[0], "o_proj").bias.clone()
    cut = Flap()(model, Plan({0: 0.5}), WINDOWS)
    apply(model, cut)
    found = matrix_of(blocks_of(model)[0], "o_proj").bias
    torch.testing.assert_close(found, before + cut.offsets[0, "o_proj"])


def test_a_matrix_that_loses_nothing_gets_no_bias(llama: PreTrainedModel) -> None:
    """A twentieth of 24 channels is one, of 4 heads none."""
    assert set(Flap()(llama, Plan({0: 0.0, 2: 0.05}), WINDOWS).offsets) == {(2, "down_proj")}


@pytest.mark.parametrize("name", PrunerName)
def test_memory_is_stated_from_headers(name: PrunerName, plain: Path, text: Path) -> None:
    contents = survey(plain)
    calibration = CalibrationText(text, 3, 32)
    settings = PruningSettings((0, 1), method=name)
    whole = memory_of(contents, settings, calibration, None)
    half = memory_of(contents, settings, calibration, torch.bfloat16)
    assert whole.weights == 2 * half.weights == 4 * container.load(plain).description.parameters
    assert 0 <= half.beside <= whole.beside
    assert (whole.beside > 0) == (name != PrunerName.RANDOM)


def test_sums_of_gradients_and_hidden_states_are_counted(plain: Path) -> None:
    """4 bytes a weight of the sums, 8 with the Fisher term; two copies of what blocks are fed."""
    structure = survey(plain).structure
    one, some, more = (Dimensions(structure, 32, 260, 4, (0, 1), n, 32) for n in (1, 16, 32))
    weights = 2 * matrix_weights(structure.blocks[0], 32)
    taylor, mixed = METHODS[PrunerName.TAYLOR], METHODS[PrunerName.TAYLOR_MIX]
    assert mixed.memory(one) - taylor.memory(one) == 4 * weights
    assert mixed.memory(one) == mixed.memory(more)  # squares need each window by itself
    flap = METHODS[PrunerName.FLAP]
    assert flap.memory(more) - flap.memory(some) == 2 * 16 * 32 * 32 * 4
    assert taylor.memory(one) < taylor.memory(some) == taylor.memory(more)
