"""Compressing a model: check, load, look, cut, write."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from pruning.cards.pruned import pruned_card
from pruning.container.architecture import Architecture, check_positions
from pruning.container.container import LoadedModel, load_contents, write
from pruning.container.contents import Contents, survey
from pruning.container.manifest import NAME, read_manifest
from pruning.container.structure import Structure
from pruning.container.target import check_apart, check_target
from pruning.container.tokenizer import read_tokenizer
from pruning.methods.importance import Importance
from pruning.methods.plan import Plan
from pruning.methods.planning import early_plan, plan_for
from pruning.methods.pruners import PRUNERS
from pruning.methods.selection import select, spared
from pruning.methods.settings import PruningSettings
from pruning.methods.surgery import shrink, whole_groups
from pruning.profiling.calibration_text import CalibrationText, draw_windows, hash_windows
from pruning.progress import OnProgress
from pruning.rates.rates import sizes_of
from pruning.rates.rules import UNIFORM
from rankspace import wire
from rankspace.errors import InvalidInput
from rankspace.pruned_model import PrunedModel


def compress(  # noqa: PLR0913 - what is pruned, how, and where it runs
    source: Path,
    target: Path,
    settings: PruningSettings,
    calibration: CalibrationText,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    on_progress: OnProgress | None = None,
) -> PrunedModel:
    """Prune the model in ``source`` and write it as a container to ``target``.

    ``dtype`` is of the weights, as they are looked at and as they are written; None keeps theirs.

    With grouped queries the unit of attention is a key/value head with all its query heads, as in
    LLM-Pruner's script for Llama 3: removing single query heads would have to remove equally many
    from every group, whatever their importance, and would leave k, v and the cache as they are.

    Raises:
        InvalidContainer: ``source`` is not a valid model, ``target`` holds other things.
        InvalidInput: Blocks the model does not have, a text that is too short, windows longer than
            the model is made for, a ratio that removes nothing at all, a target that contains the
            source.
    """
    check_apart(source, target)
    check_target(target)
    contents = survey(source)
    return compress_contents(
        contents,
        target,
        settings,
        calibration,
        dtype=dtype,
        device=device,
        on_progress=on_progress,
    ).pruned


@dataclass(frozen=True, slots=True)
class Compressed:
    """A model that was pruned, and what it was to lose.

    Attributes:
        pruned: The model that was written.
        plan: Rates by block of the model before, some of which only its weights may have said.
    """

    pruned: PrunedModel
    plan: Plan


def compress_contents(  # noqa: PLR0913 - as compress
    contents: Contents,
    target: Path,
    settings: PruningSettings,
    calibration: CalibrationText,
    *,
    dtype: torch.dtype | None,
    device: torch.device | str,
    on_progress: OnProgress | None,
) -> Compressed:
    """Prune a model that was surveyed already; see ``compress``."""
    check_apart(contents.directory, target)
    check_target(target)
    _check_family(contents.architecture)
    _check_blocks(contents.structure, settings)
    check_positions("length", calibration.length, contents.architecture.config)
    sizes = sizes_of(contents.structure, contents.architecture.hidden, settings.blocks)
    early = early_plan(settings, sizes)
    if early:
        _check_ratio(contents.structure, settings, early)
    windows = draw_windows(calibration, read_tokenizer(contents))
    loaded = load_contents(contents, dtype=dtype, device=device)
    plan = early or plan_for(settings, sizes, loaded.model, on_progress)
    _check_ratio(contents.structure, settings, plan)
    importances = PRUNERS[settings.method](loaded.model, plan, windows, on_progress)
    cut(loaded, importances, plan)
    pruned = write(
        loaded.model,
        loaded.tokenizer,
        target,
        provenance=_provenance(loaded, settings, plan, calibration, windows),
        original=[block.original_index for block in loaded.structure.blocks],
        card=pruned_card(Path(loaded.description.path), _how(settings, plan)),
    )
    return Compressed(pruned, plan)


def _how(settings: PruningSettings, plan: Plan) -> str:
    blocks, share = ", ".join(map(str, settings.blocks)), f"{100 * settings.ratio:.4g}%"
    how = f"{settings.method}: {share} of heads and channels of blocks {blocks}"
    if settings.rates == UNIFORM:
        return how
    by_block = ", ".join(f"{100 * rate:.4g}%" for rate in plan.rates.values())
    return f"{how}, by {settings.rates.label}: {by_block}"


def cut(loaded: LoadedModel, importances: Mapping[int, Importance], plan: Plan) -> None:
    """Remove the least important heads and channels from ``loaded.model``, in place."""
    heads, channels = select(importances, plan)
    for index in plan.blocks:
        block = loaded.structure.blocks[index]
        shrink(loaded.model, index, whole_groups(block, heads[index], channels[index]))


def _check_family(architecture: Architecture) -> None:
    """Heads and channels are removed together, and those heads not one by one."""
    if architecture.family.joint_norms:
        raise InvalidInput(
            "source",
            architecture.name,
            "normalises queries and keys over all heads of a block: without some of them the "
            "others would be scaled anew",
            fix="prune another family; a model whose channels were pruned elsewhere is accepted",
        )


def _check_blocks(structure: Structure, settings: PruningSettings) -> None:
    last = len(structure.blocks) - 1
    if settings.blocks[-1] > last:
        raise InvalidInput(
            "blocks", settings.blocks, "names a block the model lacks", fix=f"use 0 to {last}"
        )
    for index in settings.blocks:
        lacks = structure.blocks[index].lacks
        if lacks is not None:
            problem = f"names block {index}, which has no {lacks} any more"
            whole = [i for i in settings.blocks if structure.blocks[i].lacks is None]
            fix = f"leave it out: {','.join(map(str, whole))}" if whole else "name others"
            raise InvalidInput("blocks", settings.blocks, problem, fix=fix)


def _check_ratio(structure: Structure, settings: PruningSettings, plan: Plan) -> None:
    found = spared(structure, plan)
    asked = sum(rate > 0.0 for rate in plan.rates.values())
    if sum(len(kind.blocks) for kind in found) < 2 * asked:
        return
    problem = f"removes nothing: {'; '.join(kind.sentence for kind in found)}"
    least = min(kind.above for kind in found)
    fix = f"use more than {least:.3g}" if least < 1 else "leave the model as it is"
    raise InvalidInput("ratio", settings.ratio, problem, fix=fix)


def _provenance(
    loaded: LoadedModel,
    settings: PruningSettings,
    plan: Plan,
    calibration: CalibrationText,
    windows: torch.Tensor,
) -> Mapping[str, Any]:
    return {
        **wire.encode(settings),
        "rates": {"rule": settings.rates.label, "by_block": wire.encode(plan.rates)},
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "calibration": {
            "text": calibration.text.name,
            "samples": calibration.samples,
            "length": calibration.length,
            "seed": calibration.seed,
            "tokens_sha256": hash_windows(windows),
        },
        "source": {
            "name": Path(loaded.description.path).name,
            "fingerprint": loaded.description.fingerprint,
            "parameters": loaded.description.parameters,
            "provenance": _earlier(Path(loaded.description.path)),
        },
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }


def _earlier(source: Path) -> Mapping[str, Any]:
    manifest = source / NAME
    return read_manifest(manifest).provenance if manifest.exists() else {}
