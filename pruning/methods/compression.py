"""Compressing a model: check, load, look, cut, write."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers

from pruning.cards.pruned import pruned_card
from pruning.container.architecture import check_positions
from pruning.container.container import LoadedModel, load_contents, write
from pruning.container.contents import Contents, survey
from pruning.container.manifest import NAME, read_manifest
from pruning.container.structure import Structure
from pruning.container.target import check_apart, check_target
from pruning.container.tokenizer import read_tokenizer
from pruning.methods.change import Change, Cut, Drop, apply, blocks_left
from pruning.methods.methods import METHODS
from pruning.methods.plan import Plan
from pruning.methods.planning import early_plan, plan_for
from pruning.methods.settings import PruningSettings
from pruning.profiling.calibration_text import CalibrationText, draw_windows, hash_windows
from pruning.progress import OnProgress
from pruning.rates.rates import sizes_of
from pruning.rates.rules import UNIFORM, Given, RateRule
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
        left: Indices, in the model before, of the blocks that are left.
        trained: How a training went, of methods that train.
    """

    pruned: PrunedModel
    plan: Plan
    left: tuple[int, ...]
    trained: Mapping[str, Any] | None = None


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
    method, settings = METHODS[settings.method], settled(settings)
    _check_blocks(contents.structure, settings)
    method.check(contents, settings)
    check_positions("length", calibration.length, contents.architecture.config)
    sizes = sizes_of(contents.structure, contents.architecture.hidden, settings.blocks)
    early = early_plan(settings, sizes)
    if early:
        method.check_plan(contents.structure, early, settings.ratio)
    windows = draw_windows(calibration, read_tokenizer(contents))
    loaded = load_contents(contents, dtype=dtype, device=device)
    _check_searched(settings.rates, loaded.description.fingerprint)
    plan = early or plan_for(settings, sizes, loaded.model, windows, on_progress)
    method.check_plan(contents.structure, plan, settings.ratio)
    change = method(loaded.model, plan, windows, on_progress)
    left = blocks_left(change, len(loaded.structure.blocks))
    apply(loaded.model, change)
    pruned = write(
        loaded.model,
        loaded.tokenizer,
        target,
        provenance=_provenance(loaded, settings, plan, change, calibration, windows),
        original=[loaded.structure.blocks[index].original_index for index in left],
        card=pruned_card(Path(loaded.description.path), _how(settings, plan, change)),
    )
    learned = change.learned if isinstance(change, Cut) else None
    return Compressed(pruned, plan, left, learned.account if learned else None)


def _check_searched(rule: RateRule, fingerprint: str) -> None:
    """Rates that a search found are of its model: what to spare of one says nothing of another."""
    searched = rule.origin.get("model") if isinstance(rule, Given) else None
    if searched not in (None, fingerprint):
        problem = f"is the model these rates were searched on; this one is {fingerprint}"
        fix = "search rates of this model, or take `search` out of the file to cut it with them"
        raise InvalidInput("rates.search.model", searched, problem, fix=fix)


def settled(settings: PruningSettings) -> PruningSettings:
    """Return ``settings`` with the ranking of its method where they name none.

    Blocks that have rates of their own do not compete, whatever the method.
    """
    if settings.ranking is not None:
        return settings
    own = METHODS[settings.method].ranking
    return replace(settings, ranking=own if settings.rates == UNIFORM else "local")


def _how(settings: PruningSettings, plan: Plan, change: Change) -> str:
    if isinstance(change, Drop):
        return f"{settings.method}: without blocks {', '.join(map(str, change.blocks))}"
    blocks, share = ", ".join(map(str, settings.blocks)), f"{100 * settings.ratio:.4g}%"
    what = "weights, attention as factors," if change.factors else "heads and channels"
    how = f"{settings.method}: {share} of {what} of blocks {blocks}"
    how += _trained(settings, change)
    if settings.rates == UNIFORM:
        return how
    by_block = ", ".join(f"{100 * rate:.4g}%" for rate in plan.rates.values())
    return f"{how}, by {settings.rates.label}: {by_block}"


def _trained(settings: PruningSettings, change: Cut) -> str:
    if change.learned is None:
        return ""
    steps, batch = change.learned.account["steps"], settings.training.batch
    return f", trained for {steps} steps of {batch} windows meanwhile"


def _check_blocks(structure: Structure, settings: PruningSettings) -> None:
    """Check that the model has the blocks that are to be pruned.

    Raises:
        InvalidInput: It lacks one, or has factored one, which no method cuts further.
    """
    last = len(structure.blocks) - 1
    if settings.blocks[-1] > last:
        raise InvalidInput(
            "blocks", settings.blocks, "names a block the model lacks", fix=f"use 0 to {last}"
        )
    for index in settings.blocks:
        for one in structure.blocks[index].factors:
            problem = f"names block {index}, whose {one.kind} is kept as factors of rank {one.rank}"
            fix = "prune the model that it was made of, or other blocks"
            raise InvalidInput("blocks", settings.blocks, problem, fix=fix)


def _provenance(
    loaded: LoadedModel,
    settings: PruningSettings,
    plan: Plan,
    change: Change,
    calibration: CalibrationText,
    windows: torch.Tensor,
) -> Mapping[str, Any]:
    asked = wire.encode(settings)
    training = asked.pop("training")
    if isinstance(change, Cut) and change.learned is not None:
        asked["training"] = {**training, **change.learned.account}
    return {
        **asked,
        "rates": _rates(settings, plan),
        "dropped": list(change.blocks) if isinstance(change, Drop) else [],
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


def _rates(settings: PruningSettings, plan: Plan) -> Mapping[str, Any]:
    rule = settings.rates
    written = {"rule": rule.label, "by_block": wire.encode(plan.rates)}
    if isinstance(rule, Given) and rule.origin:
        written["search"] = dict(rule.origin)
    return written


def _earlier(source: Path) -> Mapping[str, Any]:
    manifest = source / NAME
    return read_manifest(manifest).provenance if manifest.exists() else {}
