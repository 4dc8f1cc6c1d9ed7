"""Diagnosis: what a study's trials take of a device's memory, found without loading a weight."""

from dataclasses import dataclass
from pathlib import Path

import torch

from pruning.container.architecture import check_positions
from pruning.container.contents import survey
from pruning.container.description import outline_of, shape_of
from rankspace import Study
from rankspace.errors import InvalidInput
from tuning.memory_plan.choice import Plans
from tuning.memory_plan.device_memory import DeviceMemory
from tuning.memory_plan.plan import MemoryPlan, MemoryUse
from tuning.memory_plan.training_shape import TrainingShape
from worker.trial.gpu_need import largest_ranks
from worker.trial.planning import asked_passes, by_place
from worker.trial.resident import base_dtype


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a trial takes at its dearest, and with how many examples per forward pass it fits.

    Attributes:
        model: Directory.
        parameters: Of the base model.
        trainable: Parameters of the largest adapter that the study tries.
        dtype: Of the base weights.
        sequence_length: Tokens of the longest example; shorter ones take less.
        asked: The recipe's micro-batch, or what ``auto`` comes to on the device.
        is_automatic: Whether the recipe leaves it to the device; shorter examples then are more.
        micro: The one that a worker would begin with; 0 where not one example fits.
        is_recomputed: Whether blocks are computed twice, to keep less.
        device: What there is.
        use: Bytes by part at ``micro``, or with one example where none fits.
        held_out: Bytes for measuring the held-out loss beside weights and adapter.
        is_measured_in_parts: Whether that is more than is free, so that it takes fewer tokens at
            once.
    """

    model: str
    parameters: int
    trainable: int
    dtype: str
    sequence_length: int
    asked: int
    is_automatic: bool
    micro: int
    is_recomputed: bool
    device: DeviceMemory
    use: MemoryUse
    held_out: int
    is_measured_in_parts: bool


def diagnose(
    study: Study, device: torch.device, memory: DeviceMemory
) -> tuple[Diagnosis, InvalidInput | None]:
    """Look at the model's files, but for its weights, and plan the study's largest trial.

    Returns:
        What was found, and the refusal where not one example fits.

    Raises:
        InvalidInput: The model's files or the study are of no use.
    """
    contents = survey(Path(study.model))
    recipe, model = study.recipe, outline_of(contents)
    check_positions("recipe.sequence_length", recipe.sequence_length, contents.architecture.config)
    ranks, dtype = largest_ranks(study, model), base_dtype(recipe, device)
    read = recipe.sequence_length - 1
    places = by_place(model.matrices, ranks)
    # How much of it is prompt the data would say, which nobody reads here.
    training = TrainingShape(shape_of(contents), places, read, read, dtype.itemsize)
    plans = Plans.of(training, device.type)
    asked = asked_passes(recipe.batch, recipe.sequence_length, device)
    passes = plans.fitting(asked, memory.free)
    plan = plans.plan(passes) if passes else plans.recomputed
    micro = passes.examples if passes else 0
    found = Diagnosis(
        model=study.model,
        parameters=model.parameters,
        trainable=sum(m.parameters_per_rank * ranks.get(m.name, 0) for m in model.matrices),
        dtype=str(dtype).removeprefix("torch."),
        sequence_length=recipe.sequence_length,
        asked=asked.examples,
        is_automatic=asked.length is not None,
        micro=micro,
        is_recomputed=plan.recomputes,
        device=memory,
        use=plan.use(micro or 1),
        held_out=plan.measuring,
        is_measured_in_parts=_in_parts(plan, memory),
    )
    return found, None if micro else plan.refusal(memory.free)


def _in_parts(plan: MemoryPlan, memory: DeviceMemory) -> bool:
    return plan.weights + plan.adapters + plan.measuring > memory.free
