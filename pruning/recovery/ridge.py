"""Ridge: the weights nearest to those of before that write most of what the dense matrix writes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pruning.recovery.moments import Moments

PENALTIES = (1e-8, 1e-5, 1e-3, 1e-2, 1e-1, 1.0)
"""Over the mean of the Gram matrix's diagonal. The least only keeps what features that depend on
each other leave open; the largest halves what features of middling size could bring."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What is done with one matrix.

    Attributes:
        weight: To write, ``(d_out, d_in)``, of the type of before; None leaves it unchanged.
        penalty: The one of ``PENALTIES`` that was chosen; None for unchanged.
        before: Error on the held-out windows, squared, over the squared norm of the targets.
        after: The same with ``weight``; never more.
    """

    weight: torch.Tensor | None
    penalty: float | None
    before: float
    after: float


def best_fit(
    weight: torch.Tensor,
    fitted: Moments,
    held_out: Moments,
    penalties: Sequence[float] = PENALTIES,
) -> Fit:
    """Solve on ``fitted`` with each penalty; keep what errs least on ``held_out``, maybe nothing.

    A solution is judged as it will be stored, rounded to the type of ``weight``, ``(d_out, d_in)``.
    """
    before = held_out.error()
    best = Fit(None, None, before, before)
    for penalty in penalties:
        change = ridge_change(fitted, penalty)
        if change is None:
            continue
        made = (weight.double() + change).to(weight.dtype)
        error = held_out.error(made.double() - weight.double())
        if error < best.after:  # nor is NaN, of weights that the type cannot hold
            best = Fit(made, penalty, before, error)
    return best


def ridge_change(moments: Moments, penalty: float) -> torch.Tensor | None:
    """Return ``D``, ``(d_out, d_in)``, that minimises ``||E - X D^T||^2 + lambda ||D||^2``.

    ``lambda`` is ``penalty`` times the mean of ``X^T X``'s diagonal. None where features were all
    0, or depend on each other so closely that a larger penalty has to decide.
    """
    gram = moments.gram
    scale = float(gram.diagonal().mean())
    ridged = gram.clone()
    ridged.diagonal().add_(penalty * scale)
    root, info = torch.linalg.cholesky_ex(ridged)
    if int(info):
        return None
    return torch.cholesky_solve(moments.cross.T, root).T
