"""Blocks that are computed twice: the same gradients bit by bit, and less is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from pruning.container.container import load
from rankspace.errors import TrialFailed
from rankspace.recipe import Optimizer
from tuning.back_ends import ADAPTER_BACK_ENDS
from tuning.batches import Passes, collate
from tuning.elastic.adapter import ElasticAdapter
from tuning.elastic.schemes import Scheme, forms
from tuning.examples import Example
from tuning.forward.recomputation import recomputed
from tuning.losses import summed_loss
from tuning.training import Training, train

CPU = torch.device("cpu")
RANKS = {
    "model.layers.1.self_attn.v_proj": 2,
    "model.layers.1.mlp.up_proj": 4,
    "model.layers.2.mlp.down_proj": 3,
}
EXAMPLES = [Example(torch.arange(3 + n, 20 + 2 * n), 2) for n in range(8)]


def attached(directory: Path, back_end: str, dtype: torch.dtype = torch.float32) -> Any:
    model: Any = load(directory, dtype=dtype).model.requires_grad_(False)
    adapter = ADAPTER_BACK_ENDS[back_end].attach(model, RANKS, alpha_per_rank=2.0, seed=0)
    return model, adapter.parameters


def fit(model: Any, parameters: Sequence[Any], passes: Passes) -> Training:
    steps = [EXAMPLES[:5], EXAMPLES[3:], EXAMPLES]
    return train(model, parameters, steps, Optimizer(learning_rate=1e-2), steps=3, passes=passes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("back_end", ADAPTER_BACK_ENDS)
def test_a_training_that_computes_twice_is_the_plain_one_bit_by_bit(
    model_directory: Path, back_end: str, dtype: torch.dtype
) -> None:
    found = []
    for recomputes in (False, True):
        model, parameters = attached(model_directory, back_end, dtype)
        calls: list[bool] = []
        matrix = model.model.layers[2].self_attn.q_proj
        matrix.register_forward_hook(lambda *_, calls=calls: calls.append(True))
        trained = fit(model, parameters, Passes(4, recomputes=recomputes))
        found.append((trained.losses, [one.detach().clone() for one in parameters], len(calls)))
        assert not any("forward" in vars(block) for block in model.model.layers)
        assert not model.training
    (plain, values, once), (again, others, twice) = found
    assert plain == again
    assert all(torch.equal(a, b) for a, b in zip(values, others, strict=True))
    assert any(value.abs().max() > 0 for value in values)
    assert twice == 2 * once


@pytest.mark.parametrize("scheme", Scheme)
def test_a_survey_s_training_does_too(model_directory: Path, scheme: Scheme) -> None:
    """Its matrices have other ranks at each pass over a step's examples."""
    found = []
    for recomputes in (False, True):
        model: Any = load(model_directory).model.requires_grad_(False)
        adapter = ElasticAdapter(model, RANKS, alpha_per_rank=2.0, seed=0)
        pool = [RANKS, {name: rank - 1 for name, rank in RANKS.items()}]
        trained = train(
            model,
            adapter.parameters,
            [EXAMPLES[:5], EXAMPLES[3:], EXAMPLES],
            Optimizer(learning_rate=1e-2),
            steps=3,
            passes=Passes(2, 35, recomputes=recomputes),
            forms=forms(adapter, pool, 3, 0, scheme),
        )
        found.append((trained.losses, [one.detach().clone() for one in adapter.parameters]))
    (plain, values), (again, others) = found
    assert plain == again
    assert all(torch.equal(a, b) for a, b in zip(values, others, strict=True))


def kept_bytes(model: Any, *, recomputes: bool) -> int:
    """Bytes of different tensors, weights left out, that a pass keeps for its backward pass."""
    batch, kept = collate(EXAMPLES, CPU), dict[int, Tensor]()
    weights = {parameter.data_ptr() for parameter in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        if recomputes:
            with recomputed(model):
                summed_loss(model, batch)
        else:
            summed_loss(model, batch)
    return sum(tensor.numel() * tensor.element_size() for tensor in kept.values())


def test_less_is_kept_where_blocks_are_computed_twice(model_directory: Path) -> None:
    model, _ = attached(model_directory, "fused")
    plain = kept_bytes(model, recomputes=False)
    assert kept_bytes(model, recomputes=True) < plain / 3


def test_blocks_are_as_they_were_after_a_pass_that_failed(model_directory: Path) -> None:
    model, _ = attached(model_directory, "fused")
    with pytest.raises(MemoryError), recomputed(model):
        raise MemoryError
    assert not any("forward" in vars(block) for block in model.model.layers)


def test_where_one_example_runs_out_of_memory_its_blocks_are_computed_twice(
    model_directory: Path,
) -> None:
    model, parameters = attached(model_directory, "fused")
    expected = fit(model, parameters, Passes(1))
    model, parameters = attached(model_directory, "fused")
    tries: list[int] = []

    def hook(_: Any, __: Any, named: Any) -> None:
        tries.append(len(named["input_ids"]))
        if "forward" not in vars(model.model.layers[0]):
            raise torch.OutOfMemoryError("CUDA out of memory")

    handle = model.get_decoder().register_forward_pre_hook(hook, with_kwargs=True)
    found = fit(model, parameters, Passes(2))
    assert tries[:3] == [2, 1, 1]
    assert found.passes == Passes(1, recomputes=True)
    assert found.losses == expected.losses
    handle.remove()
    model.get_decoder().register_forward_pre_hook(_exhausted)
    with pytest.raises(TrialFailed, match="one example per forward pass, its blocks computed"):
        fit(model, parameters, Passes(1))


def _exhausted(*_: Any) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")
