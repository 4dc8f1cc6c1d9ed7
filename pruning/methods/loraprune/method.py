"""LoraPrune: an adapter's training, masks that grow while it lasts, and what is left to cut."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, kinds_of, matrix_of
from pruning.container.contents import Contents
from pruning.container.structure import matrix_name
from pruning.methods.change import Cut, Learned
from pruning.methods.dimensions import BATCH_TOKENS, Dimensions
from pruning.methods.importance import Importance
from pruning.methods.loraprune.average import MovingAverage
from pruning.methods.loraprune.importance import block_importance
from pruning.methods.loraprune.masks import Masks
from pruning.methods.loraprune.memory import training_memory
from pruning.methods.loraprune.schedule import Schedule
from pruning.methods.method import Cutting
from pruning.methods.plan import Plan
from pruning.methods.settings import PruningSettings
from pruning.progress import OnProgress
from rankspace.errors import InvalidInput, TrialFailed
from rankspace.recipe import Optimizer
from tuning import memory
from tuning.back_ends import ADAPTER_BACK_ENDS, DEFAULT_BACK_END, AdapterBackEnd, Attached
from tuning.batches import Passes, schedule
from tuning.examples import windows as as_examples
from tuning.training import Training, train


@dataclass(frozen=True, slots=True)
class LoraPrune(Cutting):
    """Trains an adapter of every matrix on the windows; the masks it ends with are cut.

    Attributes:
        back_end: Of the adapter.
    """

    back_end: AdapterBackEnd = field(default=ADAPTER_BACK_ENDS[DEFAULT_BACK_END])

    changes_weights = True

    def check(self, contents: Contents, settings: PruningSettings) -> None:
        Cutting.check(self, contents, settings)
        if settings.ranking == "global":
            problem = "compares blocks, whose scores loraprune makes alike: each has norm 1"
            raise InvalidInput("ranking", settings.ranking, problem, fix="use local, or flap")

    def memory(self, dimensions: Dimensions) -> int:
        return training_memory(dimensions)

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: Tensor,
        on_progress: OnProgress | None = None,
    ) -> Cut:
        settings, steps = plan.training, plan.training.steps(len(windows))
        weights, masks = _weights(model), Masks(model, plan.blocks)
        ranks = {matrix_name(*key): settings.rank for key in weights}
        attached = self.back_end.attach(model, ranks, alpha_per_rank=settings.scale, seed=plan.seed)
        try:
            watch = _Watch(plan, masks, attached, weights, Schedule(steps, settings.every))
            with torch.enable_grad(), masks.put_on(), _in_our_words():
                training = _train(model, plan, attached, windows, watch, on_progress)
            products = {key: _copied(attached.matrices[matrix_name(*key)]) for key in weights}
        finally:
            attached.detach()
        account = _account(training, watch, steps)
        return Cut(masks.kept, learned=Learned(products, settings.scale, account))


class _Watch:
    """Scores the blocks of a plan before every update, and lets their masks grow."""

    def __init__(
        self,
        plan: Plan,
        masks: Masks,
        attached: Attached,
        weights: Mapping[tuple[int, str], Tensor],
        schedule: Schedule,
    ) -> None:
        self._masks = masks
        self.average = MovingAverage(plan.training.average)
        self._plan = plan
        self._matrices = attached.matrices
        self._weights = weights
        self._schedule = schedule

    def __call__(self, step: int) -> None:
        """See ``tuning.training.BeforeUpdate``: ``step`` is counted from 1, and from 0 in here."""
        self.average.take({index: self._importance(index) for index in self._plan.blocks})
        if self._schedule.masks_at(step - 1):
            self._grow(step - 1)

    def _importance(self, index: int) -> Importance:
        weights = {kind: weight for (i, kind), weight in self._weights.items() if i == index}
        matrices = {kind: self._matrices[matrix_name(index, kind)] for kind in weights}
        kv_heads, _ = self._masks.counts(index)
        return block_importance(weights, matrices, self._plan.training.scale, kv_heads)

    def _grow(self, step: int) -> None:
        if not self.average.scores:
            raise TrialFailed(
                f"no gradient of steps 1 to {step + 1} was a number, so that nothing has a score",
                hint=_HINT,
            )
        for index, rate in self._plan.rates.items():
            heads, channels = (
                self._schedule.masked(step, count, rate) for count in self._masks.counts(index)
            )
            self._masks.grow(index, self.average.scores[index], heads, channels)


def _train(
    model: PreTrainedModel,
    plan: Plan,
    attached: Attached,
    windows: Tensor,
    watch: _Watch,
    on_progress: OnProgress | None,
) -> Training:
    settings, length = plan.training, windows.shape[1]
    steps = settings.steps(len(windows))

    def tell(step: int, loss: float) -> bool:
        if on_progress is not None:
            on_progress(step, steps)
        return False

    examples = as_examples(windows.flatten().tolist(), length)
    return train(
        model,
        attached.parameters,
        schedule(examples, settings.batch, steps, plan.seed),
        Optimizer(learning_rate=settings.learning_rate, warmup_steps=0),
        steps=steps,
        passes=Passes(min(settings.batch, max(1, BATCH_TOKENS // length))),
        on_step=tell,
        before_update=watch,
    )


def _weights(model: PreTrainedModel) -> dict[tuple[int, str], Tensor]:
    """Return the weight of every matrix of every block, by block and kind."""
    return {
        (index, kind): matrix_of(block, kind).weight.detach()
        for index, block in enumerate(blocks_of(model))
        for kind in kinds_of(block)
    }


def _copied(pair: tuple[Parameter, Parameter]) -> tuple[Tensor, Tensor]:
    down, up = pair
    return down.detach().clone(), up.detach().clone()


def _account(training: Training, watch: _Watch, steps: int) -> dict[str, Any]:
    return {
        "merged": True,
        "steps": steps,
        "tokens": training.tokens,
        "micro_batch": training.passes.examples,
        "first_loss": training.losses[0],
        "final_loss": training.final_loss,
        "steps_without_scores": watch.average.skipped,
    }


_HINT = (
    "lower --learning-rate, or of a model in float16 use --dtype bfloat16, where a loss or a "
    "gradient is no number; lower --length where memory ran out"
)


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Let what a training fails for say what to do about it here, where there is no recipe."""
    try:
        yield
    except TrialFailed as error:
        raise TrialFailed(error.detail, hint=_HINT) from error
    except (RuntimeError, MemoryError) as error:
        if not memory.is_exhausted(error):
            raise
        problem = str(error).partition("\n")[0]
        raise TrialFailed(f"out of memory while scores were taken: {problem}", hint=_HINT) from None
