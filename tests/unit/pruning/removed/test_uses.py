"""Training, planning, profiling, pruning and publishing live with blocks that lack a half."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.assembly import blocks_of, read_block
from pruning.container.contents import survey
from pruning.container.description import describe, shape_of
from pruning.container.structure import MLP, MODULES
from pruning.methods.compression import compress
from pruning.methods.settings import PruningSettings
from pruning.methods.surgery import Kept, shrink
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.profiling.dense_outputs import dense_outputs
from pruning.profiling.profile import profile
from pruning.publishing.card import Origin
from pruning.publishing.form import Form
from pruning.publishing.publication import publish
from rankspace.errors import InvalidInput
from rankspace.granularity import search_space
from rankspace.study import Granularity, Search
from tests.unit.pruning.removed.conftest import Halve, Halved
from tests.unit.pruning.test_memory_shape import EXAMPLES, RANK, TOKENS, kept, returned
from tuning.back_ends import ADAPTER_BACK_ENDS, DEFAULT_BACK_END
from tuning.batches import Batch
from tuning.losses import summed_loss
from tuning.memory_plan.activations import kept_per_example
from tuning.memory_plan.training_shape import TrainingShape

IDS = torch.arange(30)[None] * 11 % 256


def adapt(model: PreTrainedModel, directory: Path) -> Any:
    """Put adapters on every matrix that the container in ``directory`` describes."""
    ranks = {matrix.name: RANK for matrix in describe(directory).matrices}
    return ADAPTER_BACK_ENDS[DEFAULT_BACK_END].attach(model, ranks, alpha_per_rank=2.0, seed=0)


def gradients(model: PreTrainedModel, attached: Any) -> list[torch.Tensor]:
    with torch.no_grad():
        for number, parameter in enumerate(attached.parameters):
            noise = torch.Generator().manual_seed(number)
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=noise))
    torch.autograd.backward([summed_loss(model, Batch(IDS, None, IDS.flatten()))])
    return [parameter.grad for parameter in attached.parameters]


def test_adapters_get_the_gradients_that_zeros_would_give(
    any_model: PreTrainedModel, halve: Halve
) -> None:
    halved = halve(any_model)
    model = container.load(halved.directory).model
    ours = gradients(model, adapt(model, halved.directory))
    theirs = gradients(halved.reference, adapt(halved.reference, halved.directory))
    assert len(ours) == 2 * (7 + 3 + 4)
    assert all(bool(gradient.any()) for gradient in ours)
    torch.testing.assert_close(ours, theirs)


def test_rank_goes_only_where_there_is_a_matrix(halved: Halved) -> None:
    described = describe(halved.directory)
    per_matrix = search_space(described, MODULES, Search())
    assert len(per_matrix.layers) == 7 + 3 + 4
    per_block = search_space(described, MODULES, Search(granularity=Granularity.BLOCK))
    costs = [layer.parameters_per_rank for layer in per_block.layers]
    ffn, attention = 3 * (32 + 24), (32 + 32) * 2 + (32 + 16) * 2
    assert costs == [ffn + attention, ffn, attention]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_plan_of_memory_is_exact_but_for_the_first_norm(
    halved: Halved, dtype: torch.dtype
) -> None:
    model = container.load(halved.directory, dtype=dtype).model
    shape = shape_of(survey(halved.directory))
    matrices = describe(halved.directory).matrices
    ranks = {(matrix.block, matrix.module): RANK for matrix in matrices}
    adapt(model, halved.directory)
    training = TrainingShape(shape, ranks, TOKENS, TOKENS, dtype.itemsize)
    ahead_of_any_adapter = EXAMPLES * TOKENS * 4 * (32 + 1)
    rotary = 2 * TOKENS * 4 * dtype.itemsize
    plan = EXAMPLES * kept_per_example(training) - ahead_of_any_adapter
    assert plan + rotary == kept(model) - returned(model)


def test_what_is_left_is_profiled_as_it_was_beside_zeros(
    halved: Halved, plain: Path, text: Path, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    windows = draw_windows(CalibrationText(text, 4, 32), tokenizer)
    container.write(halved.reference, tokenizer, tmp_path / "zeros", provenance={})
    with dense_outputs(lambda: container.load(plain), windows) as dense:
        ours = profile(container.load(halved.directory), windows, dense)
        theirs = profile(container.load(tmp_path / "zeros"), windows, dense)
    assert len(ours) == 7 + 3 + 4
    assert {one.kept for one in ours} == {1.0}
    assert ours == tuple(one for one in theirs if one.name in {mine.name for mine in ours})


def test_a_dense_model_that_lacks_more_is_another(
    halved: Halved, loaded: container.LoadedModel, text: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    windows = draw_windows(CalibrationText(text, 4, 32), tokenizer)
    lacking = dense_outputs(lambda: container.load(halved.directory), windows)
    with lacking as dense, pytest.raises(InvalidInput, match="has no attention in block 1"):
        profile(loaded, windows, dense)


@pytest.mark.parametrize("method", ["taylor", "magnitude"])
def test_other_blocks_can_be_pruned_further(
    halved: Halved, text: Path, tmp_path: Path, method: Any
) -> None:
    calibration = CalibrationText(text, 2, 16)
    compress(halved.directory, tmp_path / "c", PruningSettings((0,), 0.5, method), calibration)
    blocks = container.load(tmp_path / "c").structure.blocks
    assert [(block.heads, block.ffn) for block in blocks] == [(4, 12), (0, 24), (8, 0)]


@pytest.mark.parametrize(("block", "lacks"), [(1, "attention"), (2, "MLP")])
def test_blocks_that_lack_a_half_cannot(
    halved: Halved, text: Path, tmp_path: Path, block: int, lacks: str
) -> None:
    settings = PruningSettings((0, block), 0.5)
    with pytest.raises(InvalidInput, match=f"block {block}, which has no {lacks} any more"):
        compress(halved.directory, tmp_path / "c", settings, CalibrationText(text, 2, 16))
    model = container.load(halved.directory).model
    with pytest.raises(InvalidInput, match=f"has no {lacks} any more"):
        shrink(model, block, Kept((0, 1), (0,), (0,)))


def origin_of(directory: Path) -> Origin:
    fingerprint = describe(directory).fingerprint
    return Origin("tiny", str(directory), fingerprint, "ab" * 32, {"steps": 3}, "## Verdict", None)


@torch.no_grad()
def test_a_recovered_one_leaves_as_a_container(halved: Halved, tmp_path: Path) -> None:
    model = container.load(halved.directory).model
    attached = adapt(model, halved.directory)
    for parameter in attached.parameters:
        parameter.add_(0.05)
    expected = model(IDS).logits
    attached.save(tmp_path / "adapter")
    origin = origin_of(halved.directory)
    publish(halved.directory, tmp_path / "adapter", tmp_path / "out", Form.CONTAINER, origin)
    merged = container.load(tmp_path / "out")
    assert merged.structure == container.load(halved.directory).structure
    torch.testing.assert_close(merged.model(IDS).logits, expected)


def test_it_has_no_ordinary_form(halved: Halved, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    origin = origin_of(halved.directory)
    with pytest.raises(InvalidInput, match="block 1 has no attention, for which") as caught:
        publish(halved.directory, tmp_path / "adapter", tmp_path / "m", Form.MERGED, origin)
    assert "--format container" in caught.value.hint
    assert not (tmp_path / "m").exists()


def test_blocks_in_memory_are_read_as_they_are(halved: Halved) -> None:
    loaded = container.load(halved.directory)
    read = [read_block(block, index) for index, block in enumerate(blocks_of(loaded.model))]
    assert tuple(read) == loaded.structure.blocks
    assert read[1].modules == MLP
    assert replace(read[1], heads=8, kv_heads=4).modules == MODULES
