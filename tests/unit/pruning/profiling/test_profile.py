import math
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock, call

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.container import LoadedModel
from pruning.methods.surgery import Kept, shrink
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.profiling.dense_outputs import dense_outputs
from pruning.profiling.gradients import next_token_loss
from pruning.profiling.profile import effective_rank, profile
from rankspace.errors import InvalidInput
from rankspace.layer_profile import LayerProfile

KEPT = Kept((0, 1, 6, 7), (0, 3), tuple(range(6)))


def beside(
    pruned: LoadedModel, windows: torch.Tensor, dense: LoadedModel
) -> tuple[LayerProfile, ...]:
    """Profile beside the model it was pruned from."""
    with dense_outputs(lambda: dense, windows) as outputs:
        return profile(pruned, windows, outputs)


@pytest.fixture
def windows(text: Path, tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    return draw_windows(CalibrationText(text, 4, 32), tokenizer)


@pytest.fixture
def pruned(plain: Path, tmp_path: Path) -> LoadedModel:
    source = container.load(plain)
    shrink(source.model, 1, KEPT)
    container.write(source.model, source.tokenizer, tmp_path / "pruned", provenance={})
    return container.load(tmp_path / "pruned")


def test_there_is_one_profile_per_matrix_in_the_models_order(
    pruned: LoadedModel, windows: torch.Tensor
) -> None:
    profiles = profile(pruned, windows)
    assert [entry.name for entry in profiles] == [m.name for m in pruned.description.matrices]
    assert {entry.depth for entry in profiles} == {0.0, 0.5, 1.0}
    assert {entry.kept for entry in profiles if entry.depth == 0.5} == {0.5, 0.25}
    assert {entry.kept for entry in profiles if entry.depth != 0.5} == {1.0}
    assert {entry.reconstruction_error for entry in profiles} == {None}


def test_damage_begins_at_the_pruned_block(
    pruned: LoadedModel, loaded: LoadedModel, windows: torch.Tensor
) -> None:
    errors = {e.depth: e.reconstruction_error for e in beside(pruned, windows, loaded)}
    assert errors[0.0] == 0.0
    assert errors[0.5] is not None
    assert 0.0 < errors[0.5] < 2.0
    assert errors[1.0] is not None
    assert errors[1.0] > 0.0


def test_the_dense_model_knows_the_dense_sizes_better_than_the_config(
    pruned: LoadedModel, loaded: LoadedModel, windows: torch.Tensor
) -> None:
    forgetful = replace(pruned, dense_block=pruned.structure.blocks[1])
    profiles = beside(forgetful, windows, loaded)
    assert {entry.kept for entry in profiles if entry.depth == 0.5} == {0.5, 0.25}


def test_norms_and_gradients_equal_those_measured_by_hand(
    loaded: LoadedModel, windows: torch.Tensor
) -> None:
    matrix = matrix_of(blocks_of(loaded.model)[1], "down_proj")
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def record(_: object, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        seen.append((inputs[0].detach(), output.detach()))

    handle = matrix.register_forward_hook(record)
    matrix.weight.requires_grad_(True)
    next_token_loss(loaded.model, windows).backward()  # type: ignore[no-untyped-call]
    handle.remove()
    matrix.weight.requires_grad_(False)
    gradient, matrix.weight.grad = matrix.weight.grad, None
    assert gradient is not None
    found = next(e for e in profile(loaded, windows) if e.name == "model.layers.1.mlp.down_proj")
    assert found.input_norm == pytest.approx(float(seen[0][0].square().mean().sqrt()), rel=1e-4)
    assert found.output_norm == pytest.approx(float(seen[0][1].square().mean().sqrt()), rel=1e-4)
    relative = float(gradient.norm() / matrix.weight.norm())
    assert found.gradient_norm == pytest.approx(relative, rel=1e-4)


def test_progress_counts_windows_and_matrices_to_the_end(
    pruned: LoadedModel, loaded: LoadedModel, windows: torch.Tensor
) -> None:
    batched, looked, looks = Mock(), Mock(), len(windows)
    with dense_outputs(lambda: loaded, windows, looked) as dense:
        for original, total in ((None, 1 + looks + 21), (dense, 1 + 2 * looks + 21)):
            batched.reset_mock()
            profile(pruned, windows, original, on_progress=batched)
            assert batched.call_args_list == [call(done, total) for done in range(1, total + 1)]
    assert looked.call_args_list == [call(done, looks) for done in range(1, looks + 1)]


def test_profiling_leaves_the_model_as_it_was(loaded: LoadedModel, windows: torch.Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    beside(loaded, windows, loaded)
    assert all(torch.equal(before[name], t) for name, t in loaded.model.state_dict().items())
    assert not any(p.requires_grad or p.grad is not None for p in loaded.model.parameters())
    assert not any(module._forward_hooks for module in loaded.model.modules())


def test_a_dense_model_of_another_width_is_refused(
    pruned: LoadedModel, stories: Path, windows: torch.Tensor
) -> None:
    with pytest.raises(InvalidInput, match="hidden_size"):
        beside(pruned, windows, container.load(stories))


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (torch.eye(5), 1.0),
        (torch.eye(5)[:3], 1.0),
        (torch.outer(torch.arange(4.0), torch.ones(6)), 0.25),
        (torch.zeros(4, 2), 0.5),
    ],
    ids=["identity", "wide", "rank one", "zero"],
)
def test_effective_rank_of_known_matrices(weight: torch.Tensor, expected: float) -> None:
    assert effective_rank(weight) == pytest.approx(expected, rel=1e-3)


def test_effective_rank_equals_the_definition_by_singular_values() -> None:
    weight = torch.randn(30, 20, generator=torch.Generator().manual_seed(0))
    share = torch.linalg.svdvals(weight.double())
    share = share / share.sum()
    entropy = -sum(p * math.log(p) for p in share.tolist())
    assert effective_rank(weight) == pytest.approx(math.exp(entropy) / 20, rel=1e-9)


def test_effective_rank_of_a_matrix_of_low_rank_is_exact() -> None:
    """In float32 the rounding of the Gram matrix alone would add more than a hundredth."""
    generator = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(400, 16, generator=generator, dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(256, 16, generator=generator, dtype=torch.float64)).Q
    weight = left @ right.T
    assert effective_rank(weight) == pytest.approx(16 / 256, rel=1e-5)
    assert effective_rank(weight.float()) == pytest.approx(16 / 256, rel=1e-3)
