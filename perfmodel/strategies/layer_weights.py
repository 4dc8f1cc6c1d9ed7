"""Layer weights: how much of the budget each layer deserves, known before any trial.

Fixed layers have a weight like any other; who allocates ignores it.
"""

import numpy as np

from perfmodel.arrays import Floats, Integers
from rankspace import Context, SearchSpace
from rankspace.errors import InvalidInput

SHALLOW, DEEP = 0.5, 1.5
"""Weights of the first and the last block; PRILoRA's ranks 4 to 12 around a mean of 8."""


def by_reconstruction_error(space: SearchSpace, context: Context) -> Floats:
    """Reconstruction error of each layer's block, ``(layers,)``.

    Source: LoSA (arXiv 2502.14816): ``r_i = e_i / sum(e) * mean rank * layers``.

    Raises:
        InvalidInput: A layer has no profile, or its profile no reconstruction error.
    """
    errors = [profile.reconstruction_error for profile in context.profiles]
    known = [error for error in errors if error is not None]
    if len(known) < len(space.layers):
        raise _unprofiled("reconstruction-error", "the reconstruction error of every layer")
    return np.array(known)


def by_importance(space: SearchSpace, context: Context) -> Floats:
    """Importance of each layer's block squashed to (0, 1), ``(layers,)``.

    A block's importance is the mean, over its layers, of the gradient's norm relative to the
    weight's (``LayerProfile.gradient_norm``), each weighted by its parameters per rank: how far
    one step of fine-tuning would move it. As in CFSP it is centred, scaled and passed through a
    sigmoid; the scale here is the standard deviation over the blocks. CFSP itself measures the
    angle between a block's input and output, which no profile holds.

    Source: after CFSP (arXiv 2409.13199), IG-LoRA; the formula of its recovery is not public.

    Raises:
        InvalidInput: A layer has no profile.
    """
    if len(context.profiles) < len(space.layers):
        raise _unprofiled("importance", "the gradient norm of every layer")
    norms = np.array([profile.gradient_norm for profile in context.profiles])
    costs = np.array(space.costs, dtype=np.float64)
    blocks = _blocks(space)
    sums = np.bincount(blocks, norms * costs) / np.bincount(blocks, costs)
    centred = sums - sums.mean()
    return np.asarray(1.0 / (1.0 + np.exp(-centred / (sums.std() or 1.0))))[blocks]


def by_depth(space: SearchSpace, context: Context) -> Floats:
    """A weight that grows linearly with depth, ``(layers,)``; by order where a block is unknown.

    Source: PRILoRA (arXiv 2401.11316): ranks grow linearly with depth.
    """
    blocks = _blocks(space)
    return SHALLOW + (DEEP - SHALLOW) * blocks / max(1, int(blocks.max()))


def _blocks(space: SearchSpace) -> Integers:
    """Number the blocks by depth, ``(layers,)``; each layer is its own where one is unknown."""
    keys = [layer.block for layer in space.layers]
    if any(key is None for key in keys):
        return np.arange(len(keys))
    return np.unique(np.array(keys), return_inverse=True)[1]


def _unprofiled(strategy: str, what: str) -> InvalidInput:
    return InvalidInput(
        "strategy",
        strategy,
        f"needs {what}, and the model's profiles do not tell",
        fix="run 'rankadaptor profile MODEL --text FILE --dense MODEL_BEFORE_PRUNING' first, "
        "or use strategy additive",
    )
