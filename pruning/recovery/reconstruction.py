"""Reconstruction: check, look at the dense model, fit, write a container."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

from pruning.cards.pruned import pruned_card
from pruning.container.architecture import check_positions
from pruning.container.container import LoadedModel, load_contents, write
from pruning.container.contents import Contents
from pruning.container.manifest import NAME, read_manifest
from pruning.container.target import check_apart, check_target
from pruning.container.tokenizer import read_tokenizer
from pruning.profiling.calibration_text import CalibrationText, draw_windows, hash_windows
from pruning.progress import OnProgress, Steps
from pruning.recovery.blockwise import held_out_of, reconstruct_blocks
from pruning.recovery.dense_targets import dense_targets
from pruning.recovery.partners import check_partners
from pruning.recovery.ridge import Fit
from rankspace.errors import InvalidInput
from rankspace.pruned_model import PrunedModel


@dataclass(frozen=True, slots=True)
class Reconstructed:
    """A model that was reconstructed.

    Attributes:
        pruned: The model that was written.
        fits: What was done, by matrix.
    """

    pruned: PrunedModel
    fits: Mapping[str, Fit]


def reconstruct(
    pruned: Contents,
    dense: Contents,
    target: Path,
    calibration: CalibrationText,
    *,
    device: torch.device | str = "cpu",
    on_progress: OnProgress | None = None,
) -> Reconstructed:
    """Fit matrices of ``pruned`` to what those of ``dense`` write; write a container to ``target``.

    Only weights change: sizes, schema and number of parameters stay. One model is in memory at a
    time. Progress counts the blocks of both.

    Raises:
        InvalidContainer: A model is damaged, or computes what is no number; ``target`` holds other
            things.
        InvalidInput: The models do not belong together, a matrix is factored, the text is too
            short, windows are too few or longer than the model is made for, there is no room.
    """
    for source in (pruned, dense):
        check_apart(source.directory, target)
    check_target(target)
    check_partners(pruned, dense)
    _check_samples(calibration)
    check_positions("length", calibration.length, pruned.architecture.config)
    windows = draw_windows(calibration, read_tokenizer(pruned))
    step = Steps(2 * len(pruned.structure.blocks), on_progress)
    with dense_targets(partial(load_contents, dense, device=device), windows, step) as targets:
        loaded = load_contents(pruned, device=device)  # the dense model is gone by now
        fits = reconstruct_blocks(loaded.model, windows, targets, step)
    original = {"name": dense.directory.name, "fingerprint": targets.fingerprint}
    written = write(
        loaded.model,
        loaded.tokenizer,
        target,
        provenance={"dense": original, **_provenance(loaded, calibration, windows, fits)},
        original=[block.original_index for block in loaded.structure.blocks],
        card=pruned_card(pruned.directory, _how(fits, windows)),
    )
    return Reconstructed(written, fits)


def _check_samples(calibration: CalibrationText) -> None:
    if calibration.samples < 2:
        problem = "leaves no window to be held out"
        raise InvalidInput("samples", calibration.samples, problem, fix="use 2 or more")


def _how(fits: Mapping[str, Fit], windows: torch.Tensor) -> str:
    changed = sum(fit.weight is not None for fit in fits.values())
    return (
        f"reconstructed block by block: {changed} of {len(fits)} output matrices fitted by ridge "
        f"least squares to the dense model's, on {len(windows)} windows"
    )


def _provenance(
    loaded: LoadedModel,
    calibration: CalibrationText,
    windows: torch.Tensor,
    fits: Mapping[str, Fit],
) -> Mapping[str, Any]:
    source = Path(loaded.description.path)
    return {
        "method": "reconstruction",
        "calibration": {
            "text": calibration.text.name,
            "samples": calibration.samples,
            "held_out": held_out_of(calibration.samples),
            "length": calibration.length,
            "seed": calibration.seed,
            "tokens_sha256": hash_windows(windows),
        },
        "matrices": {
            name: {"penalty": fit.penalty, "error_before": fit.before, "error_after": fit.after}
            for name, fit in fits.items()
        },
        "source": {
            "name": source.name,
            "fingerprint": loaded.description.fingerprint,
            "parameters": loaded.description.parameters,
            "provenance": _earlier(source),
        },
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }


def _earlier(source: Path) -> Mapping[str, Any]:
    manifest = source / NAME
    return read_manifest(manifest).provenance if manifest.exists() else {}
