"""What a forward pass keeps for the backward pass, and what both take beside, in bytes.

Counted tensor by tensor as transformers, ``tuning.lora`` and autograd keep them, the base being
frozen: a matrix keeps its input only for its adapter's sake, and those that read the same share it.
Norms keep their input in float32. Adapters of peft take more where the base is bfloat16, for each
keeps a copy of its input.

Source: autograd's saved tensors of torch 2.13 and transformers 5.23, which
``tests/unit/tuning/memory_plan`` holds this against.
"""

from collections.abc import Mapping

from tuning.memory_plan.model_shape import BlockShape
from tuning.memory_plan.training_shape import FLOAT, TrainingShape

SHARED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Matrices of a block that read the same tensor."""


def kept_per_example(training: TrainingShape) -> int:
    """Bytes that an example keeps from its forward to its backward pass, its logits left out.

    Blocks before the first adapter keep nothing: no gradient has to reach them.
    """
    ranks, model = training.by_block(), training.model
    first = min(ranks, default=len(model.blocks))
    per_token = sum(
        _kept_by_block(training, model.blocks[index], ranks.get(index, {}))
        for index in range(first, len(model.blocks))
    )
    return training.tokens * (per_token + _norm(model.hidden))


def working_per_example(training: TrainingShape) -> int:
    """Bytes that the widest block takes in a pass beside what is kept.

    That is at its last matrix: two gradients of what it reads.
    """
    return training.tokens * max(_working(training, block) for block in training.model.blocks)


def kept_recomputed(training: TrainingShape) -> int:
    """Bytes that an example keeps where blocks are computed twice: what each of them reads."""
    model = training.model
    blocks = len(model.blocks) - min(training.by_block(), default=len(model.blocks))
    return training.tokens * (blocks * training.width * model.hidden + _norm(model.hidden))


def working_recomputed(training: TrainingShape) -> int:
    """Bytes of the widest block as its gradients are formed: what it keeps, and what passes."""
    ranks = training.by_block()
    return training.tokens * max(
        _kept_by_block(training, block, ranks.get(index, {})) + _working(training, block)
        for index, block in enumerate(training.model.blocks)
    )


def measuring_per_token(training: TrainingShape) -> int:
    """Bytes that a pass without gradients takes.

    Before its last matrix a block has three MLP-wide tensors, or four with adapters of peft, which
    write the output of ``up_proj`` once more; beside them the residual stream.
    """
    widest = max(block.ffn for block in training.model.blocks)
    between = max(block.widest_factor for block in training.model.blocks)
    passing = 4 * widest + between + 3 * training.model.hidden
    return training.width * passing + FLOAT * training.model.hidden


def _kept_by_block(training: TrainingShape, block: BlockShape, ranks: Mapping[str, int]) -> int:
    """Bytes per token."""
    model, width = training.model, training.width
    return (
        block.share_of(model.norms) * _norm(model.hidden)
        + _kept_by_attention(training, block)
        + width * 3 * block.ffn  # the gate before and after its activation, and what it gates
        + width * sum(ranks.values())  # what an adapter's first matrix writes
        + _kept_inputs(training, block, ranks)
    )


def _kept_by_attention(training: TrainingShape, block: BlockShape) -> int:
    """Queries, keys, values and output; of a fused kernel, of each head the scores' scale."""
    width, queries, keys = training.width, block.queries, block.keys
    normed = 0
    if training.model.has_head_norms:
        normed = FLOAT * (queries + keys + block.heads + block.kv_heads)
    if not training.model.has_scores:
        return width * (2 * queries + 2 * keys) + FLOAT * block.heads + normed
    cast = width if training.is_mixed else 0
    per_score = width + FLOAT + cast  # capped; their softmax; that in the base's type
    # Keys and values are repeated for every query head; the output is a tensor of its own.
    return width * 4 * queries + per_score * block.heads * training.tokens + normed


def _kept_inputs(training: TrainingShape, block: BlockShape, ranks: Mapping[str, int]) -> int:
    inputs = block.inputs(training.model.hidden)
    shared = sum(inputs[kinds[0]] for kinds in SHARED if any(kind in ranks for kind in kinds))
    # What o_proj reads is attention's output, which is counted there.
    return training.width * (shared + (inputs["down_proj"] if "down_proj" in ranks else 0))


def _norm(width: int) -> int:
    """What a norm keeps per token: its input, and one scale."""
    return FLOAT * (width + 1)


def _working(training: TrainingShape, block: BlockShape) -> int:
    width = training.width
    mlp = 2 * width * block.ffn
    attention = 2 * width * (block.queries + block.keys)
    if training.model.has_scores:
        attention += 3 * FLOAT * block.heads * training.tokens
    # A product with two thin matrices passes through what lies between them.
    return max(mlp, attention) + width * block.widest_factor
