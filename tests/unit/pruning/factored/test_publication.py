"""What a recovered model with factored matrices leaves as."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.contents import survey
from pruning.publishing.adapter import read_adapter
from pruning.publishing.attaching import attached, check_adapter
from pruning.publishing.card import Origin
from pruning.publishing.form import Form
from pruning.publishing.publication import publish
from rankspace.errors import InvalidInput
from tests.unit.pruning.factored.factoring import factor
from tests.unit.pruning.publishing.conftest import recovered as with_adapter
from tests.unit.pruning.publishing.llama_cpp import LlamaCpp
from tuning.back_ends import ADAPTER_BACK_ENDS

IDS = torch.arange(40)[None] * 7 % 256
FACTORS = {(0, "q_proj"): 5, (0, "k_proj"): 3, (1, "o_proj"): 7, (2, "v_proj"): 9}
RANKS = {
    "model.layers.0.self_attn.q_proj": 3,
    "model.layers.1.self_attn.o_proj": 9,
    "model.layers.2.self_attn.v_proj": 2,
    "model.layers.2.mlp.up_proj": 2,
}
"""Of which 7 + 9 of o_proj cost as much as its 32 x 32 weights."""


@dataclass(frozen=True)
class Recovered:
    source: Path
    adapter: Path
    origin: Origin
    logits: torch.Tensor


@torch.no_grad()
def logits_of(model: PreTrainedModel) -> torch.Tensor:
    answer: torch.Tensor = model(input_ids=IDS).logits
    return answer


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def recovered(
    request: pytest.FixtureRequest,
    llama: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    tmp_path: Path,
) -> Recovered:
    factor(llama, FACTORS)
    container.write(llama, tokenizer, tmp_path / "first", provenance={})
    loaded = container.load(tmp_path / "first", dtype=request.param)
    container.write(loaded.model, loaded.tokenizer, tmp_path / "pruned", provenance={})
    loaded = container.load(tmp_path / "pruned", dtype=torch.float32)
    back_end = ADAPTER_BACK_ENDS["fused"]
    adapter = back_end.attach(loaded.model, RANKS, alpha_per_rank=2.0, seed=1)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in adapter.parameters:
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    logits = logits_of(loaded.model)
    adapter.save(tmp_path / "adapter")
    fingerprint = container.load(tmp_path / "pruned").description.fingerprint
    origin = Origin("tiny", str(tmp_path / "pruned"), fingerprint, "ab" * 32, {}, "", None)
    return Recovered(tmp_path / "pruned", tmp_path / "adapter", origin, logits)


def near(recovered: Recovered, found: torch.Tensor) -> None:
    is_half = container.load(recovered.source).model.dtype == torch.bfloat16
    before = logits_of(container.load(recovered.source, dtype=torch.float32).model)
    assert (before - recovered.logits).abs().max() > 0.1
    tolerance = 2e-2 if is_half else 1e-5
    torch.testing.assert_close(found.float(), recovered.logits, rtol=0.0, atol=tolerance)


def test_factors_grow_by_the_adapter_and_become_whole_where_that_is_no_less(
    recovered: Recovered, tmp_path: Path
) -> None:
    publish(recovered.source, recovered.adapter, tmp_path / "c", Form.CONTAINER, recovered.origin)
    merged = container.load(tmp_path / "c")
    near(recovered, logits_of(merged.model))
    ranks = [{one.kind: one.rank for one in block.factors} for block in merged.structure.blocks]
    # 9 + 2 of v_proj, whose 16 x 32 weights are those of a rank of 10.7: whole, too.
    assert ranks == [{"q_proj": 5 + 3, "k_proj": 3}, {}, {}]


def test_merged_into_16_bits_the_product_is_not_rounded_before_it_is_formed(
    recovered: Recovered, tmp_path: Path
) -> None:
    """The parts of a grown factor are what the model and the adapter hold, to the bit."""
    publish(recovered.source, recovered.adapter, tmp_path / "c", Form.CONTAINER, recovered.origin)
    name = "model.layers.0.self_attn.q_proj"
    before, after = (container.load(one).model for one in (recovered.source, tmp_path / "c"))
    low = read_adapter(recovered.adapter)[name]
    left, right = (
        [model.get_parameter(f"{name}.{side}") for model in (before, after)]
        for side in ("left", "right")
    )
    assert torch.equal(left[1], torch.cat((left[0], (2.0 * low.second).to(after.dtype)), 1))
    assert torch.equal(right[1], torch.cat((right[0], low.first.to(after.dtype))))


def test_an_ordinary_directory_takes_it_multiplied_out_and_only_when_asked(
    recovered: Recovered, tmp_path: Path
) -> None:
    given = recovered.source, recovered.adapter, tmp_path / "m", Form.MERGED, recovered.origin
    with pytest.raises(InvalidInput, match="block 0 keeps q_proj as factors of rank 5") as caught:
        publish(*given)
    assert caught.value.field == "format"
    assert "--multiply-out" in caught.value.hint
    assert not (tmp_path / "m").exists()
    publish(*given, whole=True)
    near(recovered, logits_of(AutoModelForCausalLM.from_pretrained(tmp_path / "m")))


def test_a_container_may_be_multiplied_out_too(recovered: Recovered, tmp_path: Path) -> None:
    given = recovered.source, recovered.adapter, tmp_path / "c", Form.CONTAINER, recovered.origin
    publish(*given, whole=True)
    merged = container.load(tmp_path / "c")
    near(recovered, logits_of(merged.model))
    assert not merged.structure.is_factored


def test_gguf_likewise(recovered: Recovered, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    given = recovered.source, recovered.adapter, tmp_path / "g", Form.GGUF, recovered.origin
    with pytest.raises(InvalidInput, match="keeps q_proj as factors") as caught:
        publish(*given)
    assert caught.value.value == "gguf"


@pytest.mark.slow
def test_llama_cpp_continues_as_the_factored_model_with_its_adapter(
    stories: Path, tmp_path: Path
) -> None:
    dense = container.load(stories)
    factor(dense.model, {(0, "q_proj"): 20, (1, "k_proj"): 12, (3, "o_proj"): 25})
    container.write(dense.model, dense.tokenizer, tmp_path / "pruned", provenance={})
    made = with_adapter(tmp_path / "pruned", tmp_path / "adapter")
    publish(made.source, made.adapter, tmp_path / "g", Form.GGUF, made.origin, whole=True)
    model, ids = container.load(made.source).model, [1, 403, 407]
    with attached(model, read_adapter(made.adapter)), torch.no_grad():
        for _ in range(20):
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    assert LlamaCpp(tmp_path / "g" / "model.gguf").continued(ids[:3], 20) == ids[3:]


def test_an_adapter_is_attached_and_checked_by_the_shape_of_the_product(
    recovered: Recovered,
) -> None:
    adapter = read_adapter(recovered.adapter)
    check_adapter(survey(recovered.source), adapter)
    model = container.load(recovered.source, dtype=torch.float32).model
    with attached(model, adapter):
        torch.testing.assert_close(logits_of(model), recovered.logits, rtol=1e-5, atol=1e-5)
    name = "model.layers.0.self_attn.q_proj"
    with pytest.raises(InvalidInput, match="shape"):
        check_adapter(survey(recovered.source), {name: adapter["model.layers.2.mlp.up_proj"]})
