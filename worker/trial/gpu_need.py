"""GpuNeed: the memory below which a GPU runs out of it in every trial of a study."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from pruning.container.contents import survey
from pruning.container.description import outline_of, shape_of
from rankspace import PrunedModel, Study
from rankspace.granularity import module_ranks, per_matrix, search_space
from rankspace.presets.paper import expanded
from tuning.data import Dataset
from tuning.memory_plan.choice import Plans
from tuning.memory_plan.device_memory import RESERVED
from tuning.memory_plan.plan import GIB, MemoryUse, gib
from tuning.memory_plan.training_shape import TrainingShape
from worker.trial.planning import by_place
from worker.trial.resident import base_dtype

GPU = torch.device("cuda")


@dataclass(frozen=True, slots=True)
class GpuNeed:
    """What the study's largest trial takes of a GPU with one example per forward pass.

    Attributes:
        use: Bytes by part, beside those that CUDA takes.
        trainable: Parameters of the largest adapter that the study tries.
        tokens: Of the longest example.
        is_recomputed: Whether blocks are computed twice for that, as a worker does where need be.
        is_looked_up: Whether that is of the data; else it is the most that the recipe allows.
        dtype: Of the base weights.
    """

    use: MemoryUse
    trainable: int
    tokens: int
    is_recomputed: bool
    is_looked_up: bool
    dtype: str

    @property
    def gib(self) -> float:
        """Memory of the smallest GPU that has it, CUDA's own included."""
        return (self.use.total + RESERVED) / GIB

    @property
    def sentence(self) -> str:
        """What it is, and what it was worked out from."""
        whose = "the longest one" if self.is_looked_up else "as long as the recipe allows"
        twice = ", blocks computed twice" if self.is_recomputed else ""
        return (
            f"the largest trial takes {gib(self.use.total + RESERVED)} of a GPU with one example "
            f"of {self.tokens:,} tokens ({whose}) at a time in {self.dtype}{twice}, "
            f"{self.trainable:,} trainable parameters: {self.use.sentence}, CUDA itself "
            f"{gib(RESERVED)}"
        )


def gpu_need(study: Study, dataset: Dataset | None) -> GpuNeed:
    """Plan the largest trial of a study whose model and data were found to fit each other.

    Reads no weights.

    Args:
        study: As it was written: what a preset sets is found here.
        dataset: Its examples; None where nobody has looked at them.
    """
    contents = survey(Path(study.model))
    model, dtype = outline_of(contents), base_dtype(study.recipe, GPU)
    places = by_place(model.matrices, largest_ranks(study, model))
    read, predicted = _lengths(study, dataset)
    training = TrainingShape(shape_of(contents), places, read, predicted, dtype.itemsize)
    plan = Plans.of(training, GPU.type).least
    return GpuNeed(
        use=plan.use(1),
        trainable=training.adapter_parameters,
        tokens=read + 1,
        is_recomputed=plan.recomputes,
        is_looked_up=dataset is not None,
        dtype=str(dtype).removeprefix("torch."),
    )


def largest_ranks(study: Study, model: PrunedModel) -> Mapping[str, int]:
    """The ranks of a vector that uses up the budget; of a survey, which trains all, the highest."""
    study = expanded(study, model)
    space = search_space(model, study.recipe.modules, study.search)
    vector = space.constant(space.ranks[-1]) if study.search.survey else space.uniform()
    layers, vector = per_matrix(space, vector)
    kinds = set(study.recipe.modules)
    names = [matrix.name for matrix in model.matrices if matrix.module in kinds]
    found = module_ranks(layers, vector, names)
    return {name: rank for name, rank in found.items() if rank > 0}


def _lengths(study: Study, dataset: Dataset | None) -> tuple[int, int]:
    """Tokens that a forward pass reads of the longest example, and predicts of any, at most."""
    if dataset is None:
        read = study.recipe.sequence_length - 1
        return read, read
    read = max(len(example.tokens) for example in dataset.train) - 1
    return read, max(example.targets for example in dataset.train)
