"""Containers of models with factored matrices: what is written, read, and refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.contents import hash_file
from pruning.container.description import describe
from pruning.container.structure import BlockStructure, Factors
from pruning.factors import multiplied_out, multiply_out
from pruning.methods.surgery import Kept, shrink
from pruning.profiling.profile import profile
from rankspace import wire
from rankspace.errors import InvalidContainer
from rankspace.pruned_model import Matrix, PrunedModel
from tests.unit.pruning.conftest import make_model
from tests.unit.pruning.factored.factoring import RANKS, factor
from tuning.factored.linear import FactoredLinear

IDS = torch.arange(40)[None] * 7 % 256
WINDOWS = torch.arange(96).view(4, 24) * 37 % 256


@torch.no_grad()
def logits(model: PreTrainedModel) -> torch.Tensor:
    answer: torch.Tensor = model(input_ids=IDS).logits
    return answer


@pytest.fixture
def written(llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    factor(llama)
    container.write(llama, tokenizer, tmp_path / "c", provenance={})
    return tmp_path / "c"


def edited(directory: Path, change: Any) -> None:
    path = directory / "pruned.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def rewritten(directory: Path, change: Any) -> None:
    """Change the weights and their hash: what a careful stranger would hand over."""
    path = directory / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)
    edited(directory, lambda document: document["files"].update({path.name: hash_file(path)}))


@pytest.mark.parametrize("family", ["llama", "llama-biased", "llama-tied", "qwen2", "olmo2"])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_a_factored_model_comes_back_as_it_was(
    family: str,
    dtype: torch.dtype | None,
    tokenizer: PreTrainedTokenizerFast,
    tmp_path: Path,
) -> None:
    model = make_model(family)
    if family != "olmo2":
        shrink(model, 1, Kept((0, 1, 6, 7), (0, 3), tuple(range(5, 20))))
    factor(model)
    if dtype:
        for parameter in model.parameters():
            parameter.data = parameter.data.to(dtype)
        model.config.dtype = dtype
    described = container.write(model, tokenizer, tmp_path / "c", provenance={})
    loaded = container.load(tmp_path / "c")
    assert torch.equal(logits(loaded.model), logits(model))
    assert loaded.description == described == describe(tmp_path / "c")
    found = {(m.block, m.module): m.factor_rank for m in described.matrices if m.factor_rank}
    assert found == RANKS
    stored = load_file(tmp_path / "c" / "model.safetensors")
    assert described.parameters == sum(tensor.numel() for tensor in stored.values())
    kinds = [type(matrix_of(blocks_of(loaded.model)[0], kind)) for kind in ("q_proj", "v_proj")]
    assert kinds == [FactoredLinear, torch.nn.Linear]
    assert not any(p.requires_grad or p.is_meta for p in loaded.model.parameters())


def test_only_factors_make_a_file_that_older_programs_refuse(
    written: Path, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """They read a document whose schema is 1, and refuse a field that they do not know."""
    assert json.loads((written / "pruned.json").read_text())["schema"] == 2
    container.write(make_model("llama"), tokenizer, tmp_path / "whole", provenance={})
    document = json.loads((tmp_path / "whole" / "pruned.json").read_text())
    assert document["schema"] == 1
    assert all("factors" not in block for block in document["structure"]["blocks"])
    assert "factor_rank" not in json.dumps(wire.encode(describe(tmp_path / "whole")))


def test_the_fingerprint_knows_the_factors_and_profiles_keep_them(written: Path) -> None:
    before = describe(written)
    container.write_profiles(written, profile(container.load(written), WINDOWS))
    after = describe(written)
    assert after.fingerprint == before.fingerprint
    assert json.loads((written / "pruned.json").read_text())["schema"] == 2
    kept = {profile.name: profile.kept for profile in after.profiles}
    assert kept["model.layers.0.self_attn.q_proj"] == 5 * (32 + 32) / (32 * 32)
    assert kept["model.layers.0.self_attn.k_proj"] == 3 * (32 + 16) / (32 * 16)
    assert kept["model.layers.1.self_attn.q_proj"] == 1.0


def test_a_profile_is_that_of_the_matrix_that_the_factors_make(written: Path) -> None:
    factored, whole = container.load(written), container.load(written)
    multiply_out(whole.model)
    assert profile(factored, WINDOWS) == profile(whole, WINDOWS)
    assert isinstance(matrix_of(blocks_of(factored.model)[0], "q_proj"), FactoredLinear)


def test_multiplying_out_computes_the_same_and_is_taken_back(written: Path) -> None:
    model = container.load(written).model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    reference = logits(model)
    with multiplied_out(model):
        assert not any(name.endswith(".left") for name in model.state_dict())
        torch.testing.assert_close(logits(model), reference)
    assert model.state_dict().keys() == before.keys()
    assert torch.equal(logits(model), reference)


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (lambda d: d.update(schema=1), "pruned.json.schema", "came with version 2"),
        (lambda d: d.update(schema=3), "pruned.json.schema", "versions 1 and 2"),
        (
            lambda d: d["structure"]["blocks"][0]["factors"][0].update(rank=0),
            "pruned.json.structure.blocks[0].factors[0].rank",
            "at least 1",
        ),
        (
            lambda d: d["structure"]["blocks"][0]["factors"][1].update(rank=17),
            "pruned.json.structure.blocks[0].factors",
            "more than the 16 that k_proj can have",
        ),
        (
            lambda d: d["structure"]["blocks"][0]["factors"].reverse(),
            "pruned.json.structure.blocks[0].factors",
            "out of order",
        ),
        (
            lambda d: d["structure"]["blocks"][0]["factors"][0].update(kind="lm_head"),
            "pruned.json.structure.blocks[0].factors",
            "unknown matrix",
        ),
        (
            lambda d: d["structure"]["blocks"][0]["factors"][0].update(rank=4),
            "model.layers.0.self_attn.q_proj.left",
            "promises",
        ),
        (
            lambda d: d["structure"]["blocks"][0].pop("factors"),
            "model.layers.0.self_attn.q_proj.weight",
            "lack this tensor",
        ),
    ],
)
def test_what_disagrees_is_refused_by_its_field(
    change: Any, field: str, problem: str, written: Path
) -> None:
    edited(written, change)
    with pytest.raises(InvalidContainer, match=problem) as caught:
        describe(written)
    assert caught.value.field == field
    assert caught.value.hint


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_factor_of_another_shape_or_none_or_nan_is_refused(written: Path, side: str) -> None:
    name = f"model.layers.0.self_attn.q_proj.{side}"
    whole = load_file(written / "model.safetensors")[name]

    def spoilt(state: dict[str, torch.Tensor]) -> None:
        state[name] = torch.full_like(whole, torch.nan)

    rewritten(written, lambda state: state.update({name: whole.T.contiguous()}))
    with pytest.raises(InvalidContainer, match="promises"):
        describe(written)
    rewritten(written, spoilt)
    with pytest.raises(InvalidContainer, match="not numbers"):
        container.load(written)
    rewritten(written, lambda state: state.pop(name))
    with pytest.raises(InvalidContainer, match="lack this tensor"):
        describe(written)


def test_changed_factors_are_refused_by_their_hash(written: Path) -> None:
    path = written / "model.safetensors"
    state = load_file(path)
    state["model.layers.0.self_attn.q_proj.left"].add_(0.1)
    save_file(state, path)
    with pytest.raises(InvalidContainer, match="SHA-256"):
        describe(written)


def test_factors_of_a_matrix_that_is_gone_are_refused() -> None:
    with pytest.raises(InvalidContainer, match="unknown matrix"):
        BlockStructure(0, 0, 4, 24, (), 0, (Factors("q_proj", 2),))


def test_an_adapter_stands_beside_the_product_and_weights_are_those_kept() -> None:
    matrix = Matrix("q_proj", 0, "q_proj", 32, 16, factor_rank=5)
    assert (matrix.parameters_per_rank, matrix.weights) == (48, 5 * 48)
    assert Matrix("q_proj", 0, "q_proj", 32, 16).weights == 512
    model = PrunedModel("/m", "f", "LlamaForCausalLM", 1, (matrix,))
    assert wire.decode(PrunedModel, wire.encode(model)) == model
