"""Scorer: the loss of a model that was pruned at some rates, and is thrown away again."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

import torch
from transformers import PreTrainedModel

from pruning.methods.change import Change, Cut, apply
from pruning.methods.method import Method, Scored, kept_of
from pruning.methods.plan import Plan
from pruning.methods.selection import select
from pruning.rates.rates import Rates
from rankspace.errors import InvalidInput
from tuning.evaluation.likelihood import log_likelihoods
from tuning.examples import Example

BATCH_TOKENS = 2048
"""Held-out tokens per forward pass, one window at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Scores rates on held-out windows, each time from the dense model, which stays as it was.

    A copy shares all tensors that pruning leaves alone; those it shrinks are new, so that one
    evaluation takes the memory of the matrices that are cut, as they are left.

    Attributes:
        model: The dense one.
        change: Finds what to remove at given rates.
    """

    model: PreTrainedModel
    change: Callable[[Rates], Change]

    def losses(self, rates: Rates, windows: torch.Tensor) -> tuple[float, ...] | None:
        """Return the mean next-token loss in nats of each of ``windows``, ``(n, length)``.

        None where one is not finite.
        """
        pruned = _shared_copy(self.model)
        apply(pruned, self.change(rates))
        return window_losses(pruned, windows)

    def loss(self, rates: Rates, windows: torch.Tensor) -> float:
        """Return the mean over all of ``windows``; infinite where there is none."""
        losses = self.losses(rates, windows)
        return float("inf") if losses is None else fmean(losses)


def window_losses(model: PreTrainedModel, windows: torch.Tensor) -> tuple[float, ...] | None:
    """Return the mean loss in nats per predicted token of each window; None if one has none."""
    examples = [Example(window, 1) for window in windows]
    try:
        found = log_likelihoods(model, examples, model.device, batch_tokens=BATCH_TOKENS)
    except InvalidInput as error:
        if error.field != "log-likelihood":  # memory ran out, which no other rates mend
            raise
        return None
    return tuple(-value / (windows.shape[1] - 1) for value in found)


def changes(
    method: Method,
    model: PreTrainedModel,
    blocks: tuple[int, ...],
    windows: torch.Tensor,
    seed: int,
) -> Callable[[Rates], Change]:
    """Return what finds the change at given rates by ``method``, looking on calibration windows.

    A method that scores the dense model looks once: its scores do not hang on the rates.
    """
    if not isinstance(method, Scored):
        return lambda rates: method(model, Plan(rates, "local", seed), windows)
    equal = Plan(dict.fromkeys(blocks, 0.5), "local", seed)
    importances = method.importance(model, equal, windows)

    def cut(rates: Rates) -> Change:
        return Cut(kept_of(model, *select(importances, Plan(rates, "local", seed))))

    return cut


def _shared_copy(model: PreTrainedModel) -> PreTrainedModel:
    """Copy modules, not tensors: surgery puts new ones in their places and changes none."""
    tensors = chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
