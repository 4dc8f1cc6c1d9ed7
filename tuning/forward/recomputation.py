"""Blocks that keep only what they read, and are computed once more in the backward pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch.utils.checkpoint import checkpoint


@contextmanager
def recomputed(model: Any) -> Iterator[None]:
    """Let a pass of ``model`` keep of each block only its input, and work it out once more.

    Gradients are the same bit by bit on a CPU: nothing is drawn at random. transformers' own does
    nothing while a model evaluates, as ours does in training, so that there is no dropout.

    Source: Chen et al. 2016 (arXiv 1604.06174), with one segment to a block.
    """
    blocks = list(model.get_decoder().layers)
    try:
        for block in blocks:
            block.forward = partial(
                checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False
            )
        yield
    finally:
        for block in blocks:
            vars(block).pop("forward", None)  # the class's own shows again
