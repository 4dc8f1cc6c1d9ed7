import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model

from pruning.container.container import load
from rankspace import Assignment, Layer, RankVector
from rankspace.errors import InvalidInput, TrialFailed
from tests.unit.tiny_llama import factored
from tuning.back_ends import ADAPTER_BACK_ENDS, AdapterBackEnd, assigned_ranks
from tuning.initialisation import first_matrix
from tuning.peft_back_end import lora_config


@pytest.fixture(params=list(ADAPTER_BACK_ENDS.values()), ids=list(ADAPTER_BACK_ENDS))
def back_end(request: pytest.FixtureRequest) -> AdapterBackEnd:
    chosen: AdapterBackEnd = request.param
    return chosen


@pytest.fixture(scope="module", params=["whole", "factored"])
def directory(
    request: pytest.FixtureRequest, model_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Of a model whose matrices are whole, and of one of which some are kept as factors."""
    if request.param == "whole":
        return model_directory
    return factored(model_directory, tmp_path_factory.mktemp("factored") / "c")


@pytest.fixture
def model(directory: Path) -> Any:
    return load(directory).model


@pytest.fixture(scope="module")
def widths(directory: Path) -> dict[str, int]:
    matrices = load(directory).description.matrices
    return {matrix.name: matrix.parameters_per_rank for matrix in matrices}


def uneven(names: Any) -> dict[str, int]:
    return {name: 1 + i % 5 for i, name in enumerate(names) if i % 4}


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.arange(20)[None]).logits
    return found


def test_parameters_are_exactly_those_asked_for(
    back_end: AdapterBackEnd, model: Any, widths: dict[str, int]
) -> None:
    ranks = uneven(widths)
    attached = back_end.attach(model, ranks, alpha_per_rank=2.0, seed=0)
    expected = sum(rank * widths[name] for name, rank in ranks.items())
    assert sum(parameter.numel() for parameter in attached.parameters) == expected
    assert {id(p) for p in attached.parameters} == {
        id(p) for p in model.parameters() if p.requires_grad
    }


def test_attaching_changes_no_output_and_detaching_no_bit(
    back_end: AdapterBackEnd, model: Any, widths: dict[str, int]
) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    reference = logits(model)
    attached = back_end.attach(model, uneven(widths), alpha_per_rank=2.0, seed=0)
    assert torch.equal(logits(model), reference)
    with torch.no_grad():
        for parameter in attached.parameters:
            parameter.add_(0.1)
    assert not torch.equal(logits(model), reference)
    attached.detach()
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_scale_does_not_depend_on_the_rank(
    back_end: AdapterBackEnd, model: Any, widths: dict[str, int]
) -> None:
    """Rank r with all-equal rows is r times rank 1 of the same rows: alpha / r stays put."""
    name = next(iter(widths))
    outputs = []
    for rank in (1, 4):
        attached = back_end.attach(model, {name: rank}, alpha_per_rank=3.0, seed=0)
        with torch.no_grad():
            for parameter in attached.parameters:
                parameter.fill_(0.1)
        linear = model.get_submodule(name)
        base = linear.base_layer if hasattr(linear, "base_layer") else linear.base
        ones = torch.ones(1, base.in_features)
        outputs.append((linear(ones) - base(ones)).detach())
        attached.detach()
    assert torch.allclose(outputs[1], 4 * outputs[0], rtol=1e-4)
    assert outputs[0][0, 0].item() == pytest.approx(3.0 * 0.1 * 0.1 * 32, rel=1e-4)


def test_no_rank_at_all_is_no_adapter(back_end: AdapterBackEnd, model: Any) -> None:
    attached = back_end.attach(model, {}, alpha_per_rank=2.0, seed=0)
    assert attached.parameters == ()
    attached.detach()


def test_matrices_are_the_parameters_by_module_with_what_a_pass_adds_to_them(
    back_end: AdapterBackEnd, model: Any, widths: dict[str, int]
) -> None:
    ranks = {name: rank for name, rank in uneven(widths).items() if "layers.2" in name}
    attached = back_end.attach(model, ranks, alpha_per_rank=2.0, seed=0)
    found = attached.matrices
    assert {id(p) for pair in found.values() for p in pair} == {id(p) for p in attached.parameters}
    model(input_ids=torch.arange(20)[None], labels=torch.arange(20)[None]).loss.backward()
    for name, (down, up) in found.items():
        assert len(down) == up.shape[1] == ranks[name]
        assert down.shape[1] + len(up) == widths[name]
        assert up.grad is not None
        assert down.grad is not None
        assert bool(up.grad.any())
        assert not bool(down.grad.any())  # B is zero to begin with
    attached.detach()
    assert attached.matrices == {}


def test_a_larger_start_begins_with_the_smaller_one() -> None:
    small, large = (first_matrix(7, "layers.1.q_proj", rank, 40) for rank in (3, 50))
    assert torch.equal(large[:3], small)
    assert large.abs().max() <= 40**-0.5
    assert large.std().item() == pytest.approx((1 / 3 / 40) ** 0.5, rel=0.05)
    assert not torch.equal(first_matrix(8, "layers.1.q_proj", 3, 40), small)
    assert not torch.equal(first_matrix(7, "layers.2.q_proj", 3, 40), small)


def test_a_modules_start_is_independent_of_the_other_ranks(
    back_end: AdapterBackEnd, model: Any, widths: dict[str, int]
) -> None:
    last = list(widths)[-1]
    starts = []
    for ranks in ({last: 2}, {**dict.fromkeys(widths, 5), last: 2}):
        attached = back_end.attach(model, ranks, alpha_per_rank=2.0, seed=0)
        starts.append([p.detach().clone() for p in attached.parameters[-2:]])
        attached.detach()
    assert all(torch.equal(a, b) for a, b in zip(*starts, strict=True))
    assert not starts[0][1].any()


def test_a_module_the_model_lacks_is_refused(back_end: AdapterBackEnd, model: Any) -> None:
    good = "model.layers.0.mlp.up_proj"
    with pytest.raises(TrialFailed, match=r"(peft ignored a rank|the model has no module).*9"):
        back_end.attach(
            model, {good: 1, "model.layers.9.mlp.up_proj": 2}, alpha_per_rank=2.0, seed=0
        )
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert type(model.get_submodule(good)) is torch.nn.Linear


def test_layer_one_does_not_reach_layer_eleven(widths: dict[str, int]) -> None:
    inner = torch.nn.ModuleList(torch.nn.Linear(3, 3) for _ in range(12))
    model = torch.nn.ModuleDict({"layers": inner})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = lora_config({"layers.1": 2, "layers.11": 5}, 2.0)
        config.task_type = None
        get_peft_model(model, config)
    ranks = {n: p.shape[0] for n, p in model.named_parameters() if "lora_A" in n}
    assert ranks == {"layers.1.lora_A.default.weight": 2, "layers.11.lora_A.default.weight": 5}


def test_ranks_of_a_block_reach_its_adapted_modules_only(
    assign: Callable[..., Assignment], widths: dict[str, int]
) -> None:
    blocks = tuple(Layer(f"model.layers.{i}", 100, i) for i in range(3))
    assignment = assign(layers=blocks, rank_vector=RankVector((4, 0, 2)))
    ranks = assigned_ranks(assignment, list(widths))
    assert len(ranks) == 14
    assert ranks["model.layers.0.mlp.up_proj"] == 4
    assert ranks["model.layers.2.self_attn.q_proj"] == 2


def test_a_layer_that_owns_no_module_is_named(assign: Callable[..., Assignment]) -> None:
    with pytest.raises(InvalidInput, match=r"model\.layers\.0"):
        assigned_ranks(assign(), ["model.layers.7.mlp.up_proj"])
