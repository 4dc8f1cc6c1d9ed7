"""Method: from a model and calibration windows to what is removed of it."""

from dataclasses import dataclass
from typing import Protocol

import torch
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, read_block
from pruning.container.contents import Contents
from pruning.container.structure import Structure
from pruning.methods.change import Change, Cut
from pruning.methods.cutting import check_cut, check_removes
from pruning.methods.dimensions import Dimensions
from pruning.methods.importance import Pruner
from pruning.methods.plan import Plan, Ranking
from pruning.methods.selection import Chosen, select, spared
from pruning.methods.settings import PruningSettings
from pruning.methods.surgery import Kept, whole_groups
from pruning.progress import OnProgress


class Method(Protocol):
    """Finds what to remove and leaves the model as it was."""

    @property
    def ranking(self) -> Ranking:
        """How structures compete where nobody says."""
        ...

    def check(self, contents: Contents, settings: PruningSettings) -> None:
        """Raise ``InvalidInput`` where this model cannot be pruned so; before any weight is read.

        ``settings.ranking`` is settled.
        """
        ...

    def check_plan(self, structure: Structure, plan: Plan, ratio: float) -> None:
        """Raise ``InvalidInput`` where ``plan``, made for an overall ``ratio``, removes nothing."""
        ...

    def left_whole(self, structure: Structure, plan: Plan) -> tuple[str, ...]:
        """Say what ``plan`` leaves whole, a sentence each, because its share rounds to nothing."""
        ...

    def memory(self, dimensions: Dimensions) -> int:
        """Return about how many bytes it takes besides the weights."""
        ...

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Change:
        """Look at ``model`` on ``windows``, token ids of ``(samples, length)``."""
        ...


class Cutting:
    """What methods have in common that remove heads and channels.

    Attributes:
        ranking: Whether blocks compete.
        changes_weights: Whether what stays is changed as well, as by a training.
    """

    ranking: Ranking = "local"
    changes_weights: bool = False

    def check(self, contents: Contents, settings: PruningSettings) -> None:
        check_cut(contents, settings.blocks)

    def check_plan(self, structure: Structure, plan: Plan, ratio: float) -> None:
        check_removes(structure, plan, ratio)

    def left_whole(self, structure: Structure, plan: Plan) -> tuple[str, ...]:
        return tuple(kind.sentence for kind in spared(structure, plan))


@dataclass(frozen=True, slots=True)
class Scored(Cutting):
    """Scores every head and channel of the dense model, and cuts those with the lowest.

    Attributes:
        importance: How to score.
    """

    importance: Pruner

    def memory(self, dimensions: Dimensions) -> int:
        return self.importance.memory(dimensions)

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Cut:
        importances = self.importance(model, plan, windows, on_progress)
        return Cut(kept_of(model, *select(importances, plan)))


def kept_of(model: PreTrainedModel, heads: Chosen, channels: Chosen) -> dict[int, Kept]:
    """Return what stays of each block: whole key/value groups and channels."""
    layers = blocks_of(model)
    return {i: whole_groups(read_block(layers[i], i), heads[i], channels[i]) for i in heads}
