"""Memory: what a reconstruction takes, said before it starts."""

import math
from dataclasses import dataclass

from pruning.container.container import stored_dtype
from pruning.container.contents import Contents
from pruning.container.description import outline_of
from pruning.methods.dimensions import Dimensions
from pruning.profiling.calibration_text import CalibrationText
from pruning.recovery.dense_targets import KINDS, target_bytes


@dataclass(frozen=True, slots=True)
class Memory:
    """About how many bytes a run takes.

    Attributes:
        weights: Of the larger of the two models, which are not there together.
        beside: Hidden states, what the dense model wrote in one place, and sums of one matrix.
        disk: Of what the dense model wrote, in a temporary directory.
    """

    weights: int
    beside: int
    disk: int


def memory_of(pruned: Contents, dense: Contents, calibration: CalibrationText) -> Memory:
    """Return what reconstructing ``pruned`` after ``dense`` takes; both were surveyed."""
    weights = [outline_of(one).parameters * stored_dtype(one).itemsize for one in (pruned, dense)]
    size, blocks = stored_dtype(dense).itemsize, len(dense.structure.blocks)
    tokens = calibration.samples * calibration.length
    width = dense.architecture.hidden
    written = target_bytes(blocks, tokens, width, size)
    looking, fitting = _passing(dense, calibration), _passing(pruned, calibration)
    of_block, of_matrix = written // blocks, written // blocks // len(KINDS)
    # of a block's two matrices in parts and joined, and of one that is fitted
    beside = max(looking + 2 * of_block, fitting + of_matrix + _sums(pruned))
    return Memory(max(weights), beside, written)


def _passing(contents: Contents, calibration: CalibrationText) -> int:
    dimensions = Dimensions(
        contents.structure,
        contents.architecture.hidden,
        contents.architecture.vocabulary,
        stored_dtype(contents).itemsize,
        tuple(range(len(contents.structure.blocks))),
        calibration.samples,
        calibration.length,
    )
    return dimensions.hidden_bytes + dimensions.block_bytes


def _sums(contents: Contents) -> int:
    """Of fitted and held-out tokens, and of a solution: its root, and the change in its stages."""
    hidden = contents.architecture.hidden
    shapes = [
        block.shape(kind, hidden)
        for block in contents.structure.blocks
        for kind in KINDS
        if kind in block.modules
    ]
    return 8 * max(4 * d_in * d_in + 7 * math.prod((d_out, d_in)) for d_out, d_in in shapes)
