"""A reconstructed container: nearer to the dense model, of the same sizes, whole or not there."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container.assembly import blocks_of, read_structure
from pruning.container.container import LoadedModel, load, write
from pruning.container.contents import survey
from pruning.container.manifest import SCHEMA, read_manifest
from pruning.methods.change import Cut, Drop, apply
from pruning.methods.surgery import whole_groups
from pruning.profiling.calibration_text import CalibrationText
from pruning.recovery import blockwise
from pruning.recovery.blockwise import reconstruct_blocks
from pruning.recovery.dense_targets import dense_targets
from pruning.recovery.moments import Moments
from pruning.recovery.reconstruction import Reconstructed, reconstruct
from pruning.recovery.ridge import Fit, best_fit
from rankspace.errors import InvalidContainer, InvalidInput
from tests.unit.pruning.conftest import make_model
from tests.unit.pruning.factored.factoring import factor
from tests.unit.pruning.removed.conftest import remove

SAMPLES = 40
Make = Callable[[str, PreTrainedModel], Path]


@pytest.fixture
def doubled() -> PreTrainedModel:
    """A model whose last 12 channels of each FFN write what the first 12 do."""
    model = make_model("llama-biased")
    for block in blocks_of(model):
        mlp: Any = block.mlp
        for matrix in (mlp.gate_proj, mlp.up_proj):
            matrix.weight[12:] = matrix.weight[:12]
            matrix.bias[12:] = matrix.bias[:12]
        mlp.down_proj.weight.mul_(20)
    return model


def halve(model: PreTrainedModel) -> PreTrainedModel:
    """Return ``model`` without the last 12 channels of each FFN."""
    pruned = deepcopy(model)
    sizes = read_structure(model, (0, 1, 2)).blocks
    kept = {i: whole_groups(size, range(4), range(12)) for i, size in enumerate(sizes)}
    apply(pruned, Cut(kept))
    return pruned


@pytest.fixture
def make(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Make:
    def made(name: str, model: PreTrainedModel) -> Path:
        original = range(len(blocks_of(model)))
        write(model, tokenizer, tmp_path / name, provenance={"of": name}, original=original)
        return tmp_path / name

    return made


def run(pruned: Path, dense: Path, text: Path, **options: Any) -> Reconstructed:
    calibration = CalibrationText(text, options.pop("samples", SAMPLES), 16)
    target = pruned.with_name("target")
    return reconstruct(survey(pruned), survey(dense), target, calibration, **options)


def test_what_others_write_as_well_is_recovered_whole(
    doubled: PreTrainedModel, make: Make, text: Path
) -> None:
    dense, pruned = make("dense", doubled), make("pruned", halve(doubled))
    told: list[tuple[int, int]] = []
    done = run(pruned, dense, text, on_progress=lambda *steps: told.append(steps))
    before, after = load(pruned), load(pruned.with_name("target"))
    tokens = torch.arange(20)[None]
    expected = doubled(input_ids=tokens).logits
    assert (before.model(input_ids=tokens).logits - expected).abs().max() > 0.05
    assert (after.model(input_ids=tokens).logits - expected).abs().max() < 1e-3
    assert told == [(step, 6) for step in range(1, 7)]
    changed = {name for name, fit in done.fits.items() if fit.weight is not None}
    assert {f"model.layers.{i}.mlp.down_proj" for i in range(3)} <= changed

    ours, theirs = before.description, after.description
    assert (ours.parameters, ours.matrices) == (theirs.parameters, theirs.matrices)
    assert ours.fingerprint != theirs.fingerprint
    assert before.structure == after.structure
    manifest = read_manifest(pruned.with_name("target") / "pruned.json")
    said = manifest.provenance
    assert manifest.schema == SCHEMA
    assert (said["calibration"]["held_out"], said["source"]["provenance"]) == (10, {"of": "pruned"})
    assert said["dense"]["fingerprint"] == load(dense).description.fingerprint
    down = said["matrices"]["model.layers.0.mlp.down_proj"]
    assert down["error_after"] < 1e-6 < down["error_before"]
    assert "reconstructed block by block" in (pruned.with_name("target") / "README.md").read_text()


def test_what_is_held_out_is_not_fitted(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows, seen = torch.arange(7 * 5).reshape(7, 5) % 20, set[tuple[int, int]]()

    def looking(weight: torch.Tensor, fitted: Moments, held_out: Moments) -> Fit:
        seen.add((fitted.count, held_out.count))
        return best_fit(weight, fitted, held_out)

    monkeypatch.setattr(blockwise, "best_fit", looking)
    with dense_targets(lambda: loaded, windows, lambda: None) as targets:
        reconstruct_blocks(loaded.model, windows, targets, lambda: None)
    assert seen == {(6 * 5, 1 * 5)}


def test_an_interrupted_run_leaves_nothing(
    doubled: PreTrainedModel, make: Make, text: Path
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    dense, pruned = make("dense", doubled), make("pruned", halve(doubled))
    there = sorted(pruned.parent.iterdir())
    with pytest.raises(KeyboardInterrupt):
        run(pruned, dense, text, on_progress=interrupt)
    assert sorted(pruned.parent.iterdir()) == there


@pytest.mark.parametrize("which", ["dense", "pruned"])
def test_weights_that_are_no_numbers_are_refused(plain: Path, text: Path, which: str) -> None:
    other = plain.with_name(which)
    other.mkdir()
    for file in plain.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    weights = load_file(other / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = float("nan")
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    pair = (plain, other) if which == "dense" else (other, plain)
    with pytest.raises(InvalidContainer, match="up_proj"):
        run(*pair, text)
    assert not plain.with_name("target").exists()


def test_what_overflows_on_the_way_is_refused(loaded: LoadedModel) -> None:
    windows, pruned = torch.arange(64).view(4, 16), deepcopy(loaded.model)
    mlp: Any = blocks_of(pruned)[1].mlp
    nn.init.constant_(mlp.up_proj.weight, 3e38)
    with (
        dense_targets(lambda: loaded, windows, lambda: None) as targets,
        pytest.raises(InvalidContainer, match=r"layers\.1\.mlp\.down_proj"),
    ):
        reconstruct_blocks(pruned, windows, targets, lambda: None)


def dropped(model: PreTrainedModel) -> None:
    apply(model, Drop((1,)))


def without_mlp(model: PreTrainedModel) -> None:
    remove(model, 1, ffn=0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (factor, "two thin ones"),
        (dropped, "has 3 blocks, the pruned model 2"),
        (without_mlp, "has no MLP in block 1"),
    ],
)
def test_other_differences_than_widths_are_refused(
    change: Callable[[PreTrainedModel], None],
    problem: str,
    llama: PreTrainedModel,
    make: Make,
    text: Path,
) -> None:
    dense = make("dense", llama)
    change(llama)
    with pytest.raises(InvalidInput, match=problem):
        run(make("pruned", llama), dense, text)


def test_one_window_cannot_be_held_out(plain: Path, text: Path) -> None:
    with pytest.raises(InvalidInput, match="leaves no window"):
        run(plain, plain, text, samples=1)


def test_a_model_is_not_replaced_by_what_is_made_of_it(plain: Path, text: Path) -> None:
    contents, calibration = survey(plain), CalibrationText(text, SAMPLES, 16)
    with pytest.raises(InvalidInput, match="is the source"):
        reconstruct(contents, contents, plain, calibration)
