"""Scores of rank vectors on one elastic adapter: an evaluation each, and no training."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from tuning.elastic.adapter import ElasticAdapter
from tuning.elastic.schemes import Ranks
from tuning.examples import Example
from tuning.measuring import mean_loss


def scores(
    adapter: ElasticAdapter,
    vectors: Sequence[Ranks],
    model: Any,
    examples: Sequence[Example],
    device: torch.device,
) -> Iterator[float]:
    """Yield for each of ``vectors`` minus its mean loss per token on ``examples``, in nats.

    Raises:
        TrialFailed: A loss is not finite, or a rank is above the adapter's largest.
    """
    for ranks in vectors:
        adapter.choose(ranks)
        yield -mean_loss(model, examples, device)
