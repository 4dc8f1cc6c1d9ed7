"""What a training takes besides the weights, from the sizes of a model alone."""

from pruning.methods.dimensions import Dimensions
from pruning.methods.loraprune.importance import AT_ONCE
from tuning.memory_plan.model_shape import BlockShape, ModelShape
from tuning.memory_plan.plan import MemoryPlan
from tuning.memory_plan.training_shape import FLOAT, TrainingShape

SCORING = 3 * FLOAT
"""Bytes of a weight that is being scored: merged, its gradient, and what that is added up of."""


def training_memory(dimensions: Dimensions) -> int:
    """Return the bytes of adapters, of a pass of ``batch_tokens``, and of a matrix being scored.

    What a pass takes is gone when scores are taken, and what scoring takes is less.
    """
    blocks = dimensions.structure.blocks
    training = TrainingShape(
        ModelShape(
            dimensions.hidden,
            dimensions.vocabulary,
            0,
            tuple(BlockShape(one.heads, one.kv_heads, one.head_dim, one.ffn) for one in blocks),
        ),
        {(i, kind): dimensions.rank for i, one in enumerate(blocks) for kind in one.modules},
        dimensions.length,
        dimensions.length,
        min(FLOAT, dimensions.number_bytes),
    )
    use = MemoryPlan.of(training, "cpu").use(dimensions.batch_tokens // dimensions.length)
    scoring = SCORING * min(AT_ONCE, dimensions.largest_matrix)
    return use.adapters + max(scoring, use.beside_weights - use.adapters)
