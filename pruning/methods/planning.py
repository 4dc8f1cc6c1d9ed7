"""From what is asked for to a plan: early where the sizes of the blocks settle it."""

from collections.abc import Mapping

from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of
from pruning.methods.plan import Plan
from pruning.methods.settings import PruningSettings
from pruning.progress import OnProgress, Steps
from pruning.rates.rates import Sizes
from pruning.rates.rules import AlphaPruning
from pruning.rates.tail_exponent import block_exponent


def early_plan(settings: PruningSettings, sizes: Sizes) -> Plan | None:
    """Return the plan, or None where the weights have to be looked at first.

    Raises:
        InvalidInput: The rates cannot be had at this ratio.
    """
    if isinstance(settings.rates, AlphaPruning):
        return None
    rates = settings.rates.rates(settings.ratio, sizes)
    return Plan(rates, settings.ranking or "local", settings.seed)


def plan_for(
    settings: PruningSettings,
    sizes: Sizes,
    model: PreTrainedModel,
    on_progress: OnProgress | None = None,
) -> Plan:
    """Return the plan for a model in memory; ``on_progress`` is called after each block looked at.

    Raises:
        InvalidInput: As ``early_plan``.
    """
    early = early_plan(settings, sizes)
    if early is not None or not isinstance(settings.rates, AlphaPruning):
        assert early is not None
        return early
    exponents = _exponents(model, settings.blocks, on_progress)
    rates = settings.rates.rates(settings.ratio, sizes, exponents)
    return Plan(rates, settings.ranking or "local", settings.seed)


def _exponents(
    model: PreTrainedModel, blocks: tuple[int, ...], on_progress: OnProgress | None
) -> Mapping[int, float]:
    step, layers = Steps(len(blocks), on_progress), blocks_of(model)
    exponents = {}
    for index in blocks:
        exponents[index] = block_exponent(layers[index])
        step()
    return exponents
