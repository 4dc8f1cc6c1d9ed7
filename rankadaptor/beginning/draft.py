"""Draft: a study that was chosen and checked, with all that its file and the screen say of it."""

import math
from dataclasses import dataclass
from pathlib import Path

from rankadaptor.beginning.choice import Alternative, Choice, document_of
from rankadaptor.beginning.cost import Cost, cost_of
from rankadaptor.beginning.findings import Findings
from rankadaptor.beginning.recipe_choices import Fit, fit, recipe_choices
from rankadaptor.beginning.search_choices import search_choices, trials_of
from rankadaptor.beginning.verify_choices import verify_choices
from rankadaptor.commands.submit import laid_out
from rankadaptor.doctor.diagnosis import Diagnosis
from rankadaptor.screen import plain
from rankspace import Study
from rankspace.granularity import search_space
from rankspace.observation import DataCounts
from rankspace.study import Recover, Search
from rankspace.wire import decode
from tuning.batches import steps_of_epochs
from tuning.memory_plan.plan import gib
from worker.trial.inspection import inspect

LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Draft:
    """What a study file is made of.

    Attributes:
        study: As the file says it.
        choices: Of its fields, in order.
        found: On this machine.
        counts: Of the data, as ``submit --check`` counts them; None of a file that is too large.
        diagnosis: Of the memory of a trial.
        cost: Of all trials.
    """

    study: Study
    choices: tuple[Choice, ...]
    found: Findings
    counts: DataCounts | None
    diagnosis: Diagnosis
    cost: Cost


def draft_of(found: Findings) -> Draft:
    """Choose every value of a study on what was found, and check it as ``submit`` does.

    Raises:
        InvalidInput: Nothing fits into the memory, or the data are of no use with this model.
    """
    fitted = fit(found)
    begun = Study("init", found.model.path, fitted.recipe)
    dataset = inspect(begun, weights=False).dataset
    counts = dataset.counts if dataset else None
    recovery = _steps(fitted, counts)
    choices = _choices(found, fitted, recovery)
    study = decode(Study, document_of(choices))
    laid_out(study, found.model)
    recomputes = fitted.diagnosis.is_recomputed
    cost = cost_of(study, found.model, found.lengths, recovery, recomputes=recomputes)
    return Draft(study, choices, found, counts, fitted.diagnosis, cost)


def head_of(draft: Draft) -> tuple[str, ...]:
    """Return what a study file says before its first field, paragraph by paragraph."""
    return (
        "Written by `rankadaptor init` from what it found, for you to read and to change. Comments "
        "say why; lines like `# field: value` are alternatives: take the # away, and the line they "
        "stand for. All fields and defaults: docs/reference/study.md. Paths are absolute, because "
        "workers open them as they stand: all need model and data there, as on a shared disk.",
        *(f"{title}: {said}" for title, said in told(draft)),
    )


def told(draft: Draft) -> tuple[tuple[str, str], ...]:
    """Return what was found and what it comes to, each under a word."""
    return (
        ("model", _model(draft.found)),
        ("data", _data(draft)),
        ("device", _device(draft)),
        ("cost", _cost(draft)),
    )


def _steps(fitted: Fit, counts: DataCounts | None) -> int | None:
    if counts is None:
        return None
    return steps_of_epochs(counts.train, fitted.recipe.batch.examples, Recover().epochs)


def _choices(found: Findings, fitted: Fit, recovery: int | None) -> tuple[Choice, ...]:
    space = search_space(found.model, fitted.recipe.modules, Search())
    trials = trials_of(len(space.free_layers))
    return (
        Choice("name", _name(found), "For people; need not be unique."),
        Choice("model", found.model.path, "Opened by every worker under this path."),
        *_memory(fitted),
        *recipe_choices(found, fitted),
        *search_choices(found.model, space, recovery),
        *verify_choices(found.model, space, trials, recovery),
    )


def _name(found: Findings) -> str:
    data = Path(found.data).name.partition(".")[0] or "data"
    model = Path(found.model.path).name or "model"
    return plain(f"{model} on {data}")[:LONGEST_NAME].strip()


def _memory(fitted: Fit) -> tuple[Choice, ...]:
    total = fitted.diagnosis.device.total
    if total < 2**30:  # of a device that nobody would keep trials from
        return ()
    said = (
        "Keeps workers with less memory, and those without a GPU, from its trials. Unless you say "
        "it, GPUs that cannot hold a trial, as rankadaptor submit works it out, get none:"
    )
    return (Choice("gpu_memory_gib", None, said, (_least(total),)),)


def _least(total: int) -> Alternative:
    return Alternative(total // 2**30, "as much as was planned for")


def _model(found: Findings) -> str:
    model = found.model
    kind = "a container" if found.is_container else "a Hugging Face directory"
    pruned = f"{found.smaller} of {found.blocks} blocks are smaller than the dense model's"
    if not found.is_container:
        pruned = f"{found.blocks} blocks of one size"
    profiles = "profiled" if model.profiles else "not profiled"
    return (
        f"{model.path}, {kind}: {model.architecture}, {model.parameters:,} parameters, {pruned}; "
        f"{profiles}. Weights were not read."
    )


def _data(draft: Draft) -> str:
    counts, length = draft.counts, draft.study.recipe.sequence_length
    if counts is None:
        return (
            f"{draft.found.data}, large: recognised by its first row as {draft.found.format}; a "
            "worker is the first to read all of it, so lengths and counts are not known here."
        )
    return f"{draft.found.data}, in examples of up to {length:,} tokens: {counts.sentence}."


def _device(draft: Draft) -> str:
    found = draft.diagnosis
    twice = "; memory asks for blocks to be computed twice" if found.is_recomputed else ""
    return (
        f"{found.device.name} with {gib(found.device.free)} free of {gib(found.device.total)}: a "
        f"trial takes {gib(found.use.total)} at most, in {found.dtype}, {found.micro} examples a "
        f"pass{twice}."
    )


def _cost(draft: Draft) -> str:
    cost = draft.cost
    random = f", {cost.random} random ones" if cost.random else ""
    trials = (
        f"{cost.trials} trials ({cost.search} of the search{random}, {cost.verification} to verify "
        f"and control) of {cost.trial_tokens:,} tokens"
    )
    each = f"of {cost.recovery_tokens:,} tokens" if cost.recovery_tokens else "of unknown length"
    recoveries = f"{cost.recoveries} recover{'y' if cost.recoveries == 1 else 'ies'} {each}"
    return f"{trials}, and {recoveries}; {_time(draft)}."


def _time(draft: Draft) -> str:
    """Operations, which are known, and the time they take at a pace that is said."""
    cost = draft.cost
    count = f"about {cost.operations:.1e} operations in all"
    if draft.found.device.type == "cpu":
        return f"{count}. How long that takes on a CPU the first trials tell"
    if cost.hours >= 2:
        hours = f"{cost.hours:,.0f} hours"
    else:
        hours = f"{max(1, math.ceil(60 * cost.hours))} minutes or less"
    return (
        f"{count}, {hours} of a GPU that does 1e14 a second; the first trials tell how many yours "
        "does, and several workers share them"
    )
