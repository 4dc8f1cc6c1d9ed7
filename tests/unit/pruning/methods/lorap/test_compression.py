"""LoRAP from a directory to a container, and what it refuses."""

from pathlib import Path

import pytest
import torch
from rich.console import Console
from transformers import PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.contents import survey
from pruning.container.manifest import read_manifest
from pruning.methods.compression import compress
from pruning.methods.dimensions import Dimensions
from pruning.methods.methods import METHODS
from pruning.methods.plan import Plan
from pruning.methods.settings import PrunerName, PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from pruning.rates.rules import Given
from rankadaptor.compression.view import pruning_table, removed_share
from rankspace.errors import InvalidInput
from tests.unit.pruning.conftest import make_model

HALF = PruningSettings((0, 2), 0.5, PrunerName.LORAP)


@pytest.fixture
def calibration(text: Path) -> CalibrationText:
    return CalibrationText(text, 4, 32)


@pytest.fixture
def pruned(plain: Path, calibration: CalibrationText, tmp_path: Path) -> Path:
    compress(plain, tmp_path / "c", HALF, calibration)
    return tmp_path / "c"


def test_the_container_holds_factors_and_says_how_it_came_about(pruned: Path, plain: Path) -> None:
    loaded, dense = container.load(pruned), container.load(plain)
    assert [bool(block.factors) for block in loaded.structure.blocks] == [True, False, True]
    assert {one.kind for one in loaded.structure.blocks[0].factors} == {
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
    }
    assert removed_share(dense.description, loaded.description, (0, 2)) == pytest.approx(
        0.5, abs=0.01
    )
    manifest = read_manifest(pruned / "pruned.json")
    assert (manifest.schema, manifest.provenance["method"]) == (2, "lorap")
    card = (pruned / "README.md").read_text()
    assert "lorap: 50% of weights, attention as factors, of blocks 0, 2" in card
    screen = Console(record=True, width=120)
    screen.print(pruning_table(dense.description, loaded.description))
    assert "32 of 32 (ranks q 4, k 2, v 8, o 12)" in screen.export_text()


def test_factored_blocks_are_pruned_no_further(
    pruned: Path, calibration: CalibrationText, tmp_path: Path
) -> None:
    for method in (PrunerName.LORAP, PrunerName.TAYLOR, PrunerName.DEPTH_TAYLOR):
        settings = PruningSettings((0, 1), 0.5, method)
        with pytest.raises(
            InvalidInput, match="block 0, whose q_proj is kept as factors"
        ) as caught:
            compress(pruned, tmp_path / "again", settings, calibration)
        assert caught.value.field == "blocks"
    settings = PruningSettings((1,), 0.5, PrunerName.LORAP_PLAIN)
    compress(pruned, tmp_path / "again", settings, calibration)
    assert all(block.factors for block in container.load(tmp_path / "again").structure.blocks)


def test_blocks_do_not_compete(plain: Path, calibration: CalibrationText, tmp_path: Path) -> None:
    settings = PruningSettings((0, 1), 0.5, PrunerName.LORAP, "global")
    with pytest.raises(InvalidInput, match="lorap cuts one after the other") as caught:
        compress(plain, tmp_path / "c", settings, calibration)
    assert caught.value.field == "ranking"


def test_a_block_of_rate_0_stays_as_it_is(
    plain: Path, calibration: CalibrationText, tmp_path: Path
) -> None:
    settings = PruningSettings((0, 2), 0.25, PrunerName.LORAP, rates=Given({0: 0.0, 2: 0.5}))
    compress(plain, tmp_path / "c", settings, calibration)
    loaded, dense = container.load(tmp_path / "c"), container.load(plain)
    assert loaded.structure.blocks[0] == dense.structure.blocks[0]
    before, after = dense.model.state_dict(), loaded.model.state_dict()
    name = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(after[name], before[name])


def test_what_stays_whole_on_purpose_is_said(plain: Path) -> None:
    structure = survey(plain).structure
    method = METHODS[PrunerName.LORAP]
    (told,) = method.left_whole(structure, Plan({0: 0.2, 1: 0.5, 2: 0.2}))
    assert told.startswith("blocks 0, 2 keep v_proj and o_proj whole")
    assert method.left_whole(structure, Plan({1: 0.5})) == ()


def test_memory_counts_the_decomposition_and_what_was_found(plain: Path) -> None:
    """Five matrices of 32 x 32 in float64, and the attention of two blocks in float32."""
    structure = survey(plain).structure
    found = METHODS[PrunerName.LORAP].memory(Dimensions(structure, 32, 260, 4, (0, 1), 4, 32))
    looking = METHODS[PrunerName.FLAP].memory(Dimensions(structure, 32, 260, 4, (0, 1), 4, 32))
    assert found - looking == (40 - 8) * 32 * 32 + 2 * 4 * (2 * 32 * 32 + 2 * 16 * 32)


def test_heads_that_are_normalised_together_stay_all(
    tokenizer: PreTrainedTokenizerFast, text: Path, tmp_path: Path
) -> None:
    model = make_model("olmo2")
    model.save_pretrained(tmp_path / "olmo")
    tokenizer.save_pretrained(tmp_path / "olmo")
    compress(tmp_path / "olmo", tmp_path / "c", HALF, CalibrationText(text, 4, 32))
    assert container.load(tmp_path / "c").structure.blocks[0].heads == 8
