"""From what is asked for to a plan: early where the sizes of the blocks settle it."""

from collections.abc import Mapping

import torch
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of
from pruning.methods.plan import Plan
from pruning.methods.settings import PruningSettings
from pruning.progress import OnProgress, Steps
from pruning.rates.rates import Rates, Sizes
from pruning.rates.rules import AlphaPruning, Cfsp, Rmi
from pruning.rates.tail_exponent import block_exponent
from pruning.statistics.angular_distance import angular_distances
from pruning.statistics.redundancy import redundancies


def early_plan(settings: PruningSettings, sizes: Sizes) -> Plan | None:
    """Return the plan, or None where the model has to be looked at first.

    Raises:
        InvalidInput: The rates cannot be had at this ratio.
    """
    if isinstance(settings.rates, AlphaPruning | Rmi | Cfsp):
        return None
    return _plan(settings, settings.rates.rates(settings.ratio, sizes))


def plan_for(
    settings: PruningSettings,
    sizes: Sizes,
    model: PreTrainedModel,
    windows: torch.Tensor,
    on_progress: OnProgress | None = None,
) -> Plan:
    """Return the plan for a model in memory, looked at on ``windows``, ``(samples, length)``.

    ``on_progress`` is called after each block that is looked at.

    Raises:
        InvalidInput: As ``early_plan``, or there are too few windows.
    """
    rule, blocks = settings.rates, settings.blocks
    if isinstance(rule, AlphaPruning):
        exponents = _exponents(model, blocks, on_progress)
        return _plan(settings, rule.rates(settings.ratio, sizes, exponents))
    if isinstance(rule, Rmi):
        found = redundancies(model, windows, blocks, Steps(blocks[-1] + 1, on_progress))
        return _plan(settings, rule.rates(settings.ratio, sizes, found))
    if isinstance(rule, Cfsp):
        turned = angular_distances(model, windows, blocks, Steps(blocks[-1] + 1, on_progress))
        return _plan(settings, rule.rates(settings.ratio, sizes, turned))
    return _plan(settings, rule.rates(settings.ratio, sizes))


def _plan(settings: PruningSettings, rates: Rates) -> Plan:
    return Plan(rates, settings.ranking or "local", settings.seed, settings.training)


def _exponents(
    model: PreTrainedModel, blocks: tuple[int, ...], on_progress: OnProgress | None
) -> Mapping[int, float]:
    step, layers = Steps(len(blocks), on_progress), blocks_of(model)
    exponents = {}
    for index in blocks:
        exponents[index] = block_exponent(layers[index])
        step()
    return exponents
