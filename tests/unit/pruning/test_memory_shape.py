"""What a plan of memory counts is what autograd keeps, of a model of each family."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container.architecture import parse_architecture
from pruning.container.container import load, write
from pruning.container.contents import survey
from pruning.container.description import shape_of
from pruning.container.structure import MODULES, matrix_name
from pruning.importing.adoption import adopt
from pruning.methods.surgery import Kept, shrink
from tests.unit.pruning.conftest import MODELS
from tests.unit.pruning.factored.factoring import factor
from tuning.back_ends import ADAPTER_BACK_ENDS, DEFAULT_BACK_END
from tuning.batches import Batch
from tuning.losses import summed_loss
from tuning.memory_plan.activations import (
    kept_per_example,
    measuring_per_token,
    working_per_example,
)
from tuning.memory_plan.model_shape import ModelShape
from tuning.memory_plan.training_shape import TrainingShape
from tuning.training import autocast

EXAMPLES, TOKENS, RANK = 3, 20, 4
HEADS = tuple(range(8))
CPU = torch.device("cpu")
FEW = ((1, "v_proj"), (1, "down_proj"), (2, "o_proj"), (2, "gate_proj"))
ALL = tuple((index, kind) for index in range(3) for kind in MODULES)


def kept(model: Any) -> int:
    """Bytes of the tensors that autograd saves in a forward pass, parameters left out."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    saved: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        is_matrix = tensor.dim() == 2 and RANK in tensor.shape
        is_cast = is_matrix and TOKENS * EXAMPLES not in tensor.shape  # counted with the adapters
        if storage.data_ptr() not in own and not is_cast:
            saved[storage.data_ptr()] = storage
        return tensor

    ids = torch.arange(EXAMPLES * TOKENS).reshape(EXAMPLES, TOKENS) * 7 % 256
    batch = Batch(ids, None, ids.flatten())
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one):
        with autocast(CPU, model.dtype):
            loss = summed_loss(model, batch)
        assert loss.requires_grad
    return sum(storage.nbytes() for storage in saved.values())


def returned(model: Any) -> int:
    """Bytes of the gradient that the loss keeps of the hidden states, in place of its logits."""
    width: int = model.dtype.itemsize * model.config.hidden_size
    return EXAMPLES * TOKENS * width


def planned(
    model: Any, shape: ModelShape, adapted: Sequence[tuple[int, str]], dtype: torch.dtype
) -> int:
    """Put adapters on ``model`` and return what the plan says that it keeps."""
    ranks = {matrix_name(index, kind): RANK for index, kind in adapted}
    ADAPTER_BACK_ENDS[DEFAULT_BACK_END].attach(model, ranks, alpha_per_rank=2.0, seed=0)
    training = TrainingShape(shape, dict.fromkeys(adapted, RANK), TOKENS, TOKENS, dtype.itemsize)
    return EXAMPLES * kept_per_example(training)


def adopted(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, directory: Path) -> Path:
    """A container of the model with fewer channels in a block."""
    shrink(model, 1, Kept(HEADS, (0, 1, 2, 3), (0, 5, 23)))
    model.save_pretrained(directory / "m")
    tokenizer.save_pretrained(directory / "m")
    adopt(directory / "m", directory / "c")
    return directory / "c"


@pytest.mark.parametrize("adapted", [ALL, FEW], ids=["all", "few"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_of_llama_the_plan_is_exact_but_for_the_first_norm(
    llama: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    tmp_path: Path,
    adapted: tuple[tuple[int, str], ...],
    dtype: torch.dtype,
) -> None:
    container = adopted(llama, tokenizer, tmp_path)
    model = load(container, dtype=dtype).model
    plan = planned(model, shape_of(survey(container)), adapted, dtype)
    ahead_of_any_adapter = EXAMPLES * TOKENS * 4 * (32 + 1)
    rotary = 2 * TOKENS * 4 * dtype.itemsize
    assert plan - ahead_of_any_adapter + rotary == kept(model) - returned(model)


@pytest.mark.parametrize("adapted", [ALL, FEW], ids=["all", "few"])
def test_factors_keep_no_more_than_whole_matrices_and_take_what_lies_between_them(
    llama: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    tmp_path: Path,
    adapted: tuple[tuple[int, str], ...],
) -> None:
    whole = adopted(llama, tokenizer, tmp_path)
    loaded = load(whole)
    factor(loaded.model)
    write(loaded.model, loaded.tokenizer, tmp_path / "f", provenance={})
    model, shape = load(tmp_path / "f").model, shape_of(survey(tmp_path / "f"))
    plan = planned(model, shape, adapted, torch.float32)
    before_any = EXAMPLES * TOKENS * 4 * (32 + 1)
    assert plan - before_any + 2 * TOKENS * 4 * 4 == kept(model) - returned(model)
    dense = shape_of(survey(whole))
    training, other = (TrainingShape(one, {}, TOKENS, TOKENS, 4) for one in (shape, dense))
    assert shape.parameters < dense.parameters
    assert working_per_example(training) - working_per_example(other) == TOKENS * 4 * 16
    assert measuring_per_token(training) - measuring_per_token(other) == 4 * 16


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_of_any_family_the_plan_is_near(
    any_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    tmp_path: Path,
    dtype: torch.dtype,
) -> None:
    """Beyond a window keys are repeated for every query head, which is not counted."""
    container = adopted(any_model, tokenizer, tmp_path)
    model = load(container, dtype=dtype).model
    plan = planned(model, shape_of(survey(container)), ALL, dtype)
    assert plan == pytest.approx(kept(model) - returned(model), rel=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_capping_keeps_no_logits(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, dtype: torch.dtype
) -> None:
    container = adopted(MODELS["gemma2"](), tokenizer, tmp_path)
    shape = shape_of(survey(container))
    assert shape.caps_logits
    model = load(container, dtype=dtype).model
    planned(model, shape, ALL, dtype)
    capped = kept(model)
    model.config.final_logit_softcapping = None
    assert capped == kept(model)


def test_gemma_2_caps_where_its_config_does_not_say() -> None:
    gemma = MODELS["gemma2"]().config.to_dict()
    gemma["architectures"] = ["Gemma2ForCausalLM"]
    del gemma["final_logit_softcapping"]
    assert parse_architecture(gemma).caps_logits
    assert not parse_architecture({**gemma, "final_logit_softcapping": None}).caps_logits
