"""TrainingShape: what of a fine-tuning decides how much memory it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from tuning.memory_plan.model_shape import ModelShape

FLOAT = 4
"""Bytes of a float32."""


@dataclass(frozen=True, slots=True)
class TrainingShape:
    """What is trained of a model, and on how long examples.

    Attributes:
        model: Whose weights are frozen.
        ranks: Rank of each adapted matrix, at least 1, by block and kind (``q_proj``).
        tokens: Read of the longest example in a forward pass.
        targets: Predicted of the example with most of them; at most ``tokens``.
        width: Bytes of an element of the base weights, in which it computes: 4 or 2.
    """

    model: ModelShape
    ranks: Mapping[tuple[int, str], int]
    tokens: int
    targets: int
    width: int

    @property
    def is_mixed(self) -> bool:
        """Whether adapters have another type than the base."""
        return self.width != FLOAT

    @property
    def adapter_parameters(self) -> int:
        """Trainable parameters."""
        hidden, blocks = self.model.hidden, self.model.blocks
        return sum(
            rank * (blocks[index].inputs(hidden)[kind] + blocks[index].outputs(hidden)[kind])
            for (index, kind), rank in self.ranks.items()
        )

    def by_block(self) -> dict[int, dict[str, int]]:
        """Return the ranks of each block that has any, first to last."""
        blocks = groupby(sorted(self.ranks.items()), key=lambda item: item[0][0])
        return {index: {kind: rank for (_, kind), rank in items} for index, items in blocks}
