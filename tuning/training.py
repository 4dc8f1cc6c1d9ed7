"""The training loop: AdamW, linear warm-up and decay, gradient accumulation, nothing else."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.nn import Parameter

from rankspace.errors import TrialFailed
from rankspace.recipe import Optimizer
from tuning import memory
from tuning.batches import Passes, collate
from tuning.checkpoint.state import Keeper, Moments, TrainingState
from tuning.examples import Example
from tuning.forward.recomputation import recomputed
from tuning.losses import summed_loss

T = TypeVar("T")


class OnStep(Protocol):
    """Sees every step; may raise to abandon the training.

    A training that goes on from a checkpoint says the steps before it once more, without heeding
    the answer: whoever draws its curve has not seen them all.
    """

    def __call__(self, step: int, loss: float) -> bool:
        """Return True to stop after ``step`` (counted from 1), whose mean loss was ``loss``."""
        ...


Forms: TypeAlias = Callable[[int], Sequence[Callable[[], None]]]
"""What to do to the model before each pass over the examples of a step, which is counted from 1: a
step is as many passes, and its loss is their mean. Asked twice for a step, it says the same."""


BeforeUpdate: TypeAlias = Callable[[int], None]
"""Looks at a step, counted from 1, whose gradients lie clipped in the parameters' ``grad``, before
the optimiser takes them. What it does to the model holds from the next step on."""


def _one_form(step: int) -> Sequence[Callable[[], None]]:
    return (lambda: None,)


@dataclass(frozen=True, slots=True)
class Training:
    """What a training run came to.

    Attributes:
        losses: Mean token loss of each step taken, in nats, before its update.
        tokens: Tokens read, padding excluded.
        passes: How steps were cut at the end; smaller than asked for where memory ran out, here or
            before the checkpoint that it went on from.
        ran_out: Whether it was here that memory ran out; no part of what it came to.
    """

    losses: tuple[float, ...]
    tokens: int
    passes: Passes
    ran_out: bool = field(default=False, compare=False)

    @property
    def final_loss(self) -> float:
        """Mean over the last tenth of the steps; NaN when none was taken."""
        last = self.losses[-math.ceil(len(self.losses) / 10) :]
        return sum(last) / len(last) if last else math.nan


def train(  # noqa: PLR0913  # the six things that define a run, each a value of its own
    model: Any,
    parameters: Sequence[Parameter],
    batches: Iterable[Sequence[Example]],
    optimizer: Optimizer,
    *,
    steps: int,
    passes: Passes,
    on_step: OnStep | None = None,
    forms: Forms = _one_form,
    before_update: BeforeUpdate | None = None,
    keeper: Keeper | None = None,
) -> Training:
    """Train ``parameters`` of ``model`` in place, one update per item of ``batches``.

    The model stays in evaluation mode: no dropout, so equal inputs give equal results. A step's
    loss is the mean over all its predicted tokens, however it is cut into micro-batches. When
    memory runs out the same step is repeated, and the rest trained, with half the micro-batch, or
    where that is one example with blocks computed twice; nothing has been updated at that point, so
    only rounding changes.

    Args:
        model: A causal language model of transformers, adapters attached or not.
        parameters: What to update, at least one; nothing else should require gradients.
        batches: The examples of each step, see ``tuning.batches.schedule``.
        optimizer: Peak learning rate, warm-up, weight decay and clipping.
        steps: Length of the learning-rate schedule.
        passes: How a step is cut into forward and backward passes.
        on_step: Called after every step.
        forms: The forms that the model takes at each step; without it, the one it has.
        before_update: Called once in every step that is trained here, never for those before a
            checkpoint.
        keeper: Where to go on from, and who keeps states to go on from. On a CPU the result is
            that of an undisturbed run of the same micro-batch, bit by bit; of the state's and
            that of ``passes`` the smaller is taken.

    Raises:
        TrialFailed: The loss is not finite, or not even one example fits into memory.
    """
    run = _Run(model, parameters, optimizer, steps, passes, forms, before_update)
    _resume(run, keeper, on_step)
    for step, examples in enumerate(islice(batches, run.taken, None), run.taken + 1):
        loss = run.step(step, examples)
        if keeper is not None and keeper.is_due():
            keeper.keep(run.state())  # before anybody may abandon the training
        if on_step is not None and _stops(on_step, run, loss, keeper):
            break
    return Training(tuple(run.losses), run.tokens, run.passes, run.ran_out)


def _stops(on_step: OnStep, run: "_Run", loss: float, keeper: Keeper | None) -> bool:
    try:
        return on_step(run.taken, loss)
    except Exception:
        raise  # the training is given up
    except BaseException:
        if keeper is not None:  # the process leaves it
            keeper.leave(run.state())
        raise


def _resume(run: "_Run", keeper: Keeper | None, on_step: OnStep | None) -> None:
    state = keeper.found() if keeper is not None else None
    if state is None:
        return
    run.go_on(state)
    for step, loss in enumerate(state.losses, 1):
        if on_step is not None:
            on_step(step, loss)


def learning_rate(optimizer: Optimizer, step: int, steps: int) -> float:
    """Return the rate of ``step`` (from 1): linear up to the peak, then linear towards zero.

    Warm-up takes ``warmup_steps``, but at most a tenth of the steps: a trial that runs a fraction
    of the recipe would otherwise never leave it.
    """
    warmup = min(optimizer.warmup_steps, steps // 10)
    up = step / (warmup + 1)
    down = (steps - step + 1) / max(1, steps - warmup)
    return optimizer.learning_rate * min(up, down, 1.0)


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Compute in bfloat16 where the base weights are; adapters stay in float32."""
    if dtype is torch.bfloat16:
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def new_adamw(parameters: Sequence[Tensor], optimizer: Optimizer) -> torch.optim.AdamW:
    """Return AdamW as recipes mean it, at the peak of its rate."""
    return torch.optim.AdamW(
        parameters,
        lr=optimizer.learning_rate,
        weight_decay=optimizer.weight_decay,
        fused=True,
    )


def until_it_fits(
    attempt: Callable[[], T],
    device: torch.device,
    *,
    forget: Callable[[], None],
    shrink: Callable[[str], None],
) -> T:
    """Return what ``attempt`` does as soon as there is memory for it.

    Args:
        attempt: May leave gradients behind when memory runs out.
        device: Where memory is given back in between.
        forget: Lets go of those gradients.
        shrink: Makes the next attempt smaller, or raises; it is given the problem in words.
    """
    while True:
        try:
            return attempt()
        except (RuntimeError, MemoryError) as error:
            if not memory.is_exhausted(error):
                raise
            problem = str(error).partition("\n")[0]
        # Outside the handler, whose traceback would keep the activations alive.
        forget()
        memory.release(device)
        shrink(problem)


def not_finite(loss: float, before: Sequence[float], step: str, rate: float) -> TrialFailed:
    """Return the error of a step whose ``loss`` is not finite, given the losses before it."""
    return TrialFailed(
        f"the training loss is {loss} at step {step} "
        f"(learning rate {rate:.3g}, loss before: {before[-1] if before else 'none'})",
        hint="lower recipe.optimizer.learning_rate",
    )


def too_large(step: int, problem: str) -> TrialFailed:
    """Return the error of a step at which not one example fits."""
    return TrialFailed(
        f"out of memory at step {step} with one example per forward pass, its blocks "
        f"computed twice: {problem}",
        hint="lower recipe.sequence_length, or use a larger device",
    )


class _Run:
    def __init__(  # noqa: PLR0913, PLR0917  # as ``train``
        self,
        model: Any,
        parameters: Sequence[Parameter],
        optimizer: Optimizer,
        steps: int,
        passes: Passes,
        forms: Forms,
        before_update: BeforeUpdate | None,
    ) -> None:
        self._model = model
        self._parameters = list(parameters)
        self._settings = optimizer
        self._steps = steps
        self._adamw = new_adamw(self._parameters, optimizer)
        self._device = self._parameters[0].device
        self._forms = forms
        self._before_update = before_update
        self.passes = passes
        self.losses: list[float] = []
        self.tokens = 0
        self.ran_out = False

    @property
    def taken(self) -> int:
        return len(self.losses)

    def state(self) -> TrainingState:
        """Where it stands; the tensors are not copies."""
        return TrainingState(
            tuple(parameter.detach() for parameter in self._parameters),
            tuple(map(self._moments, self._parameters)),
            tuple(self.losses),
            self.tokens,
            self.passes.examples,
        )

    def _moments(self, parameter: Parameter) -> Moments | None:
        known = self._adamw.state.get(parameter)
        if not known:
            return None
        return Moments(int(known["step"].item()), known["exp_avg"], known["exp_avg_sq"])

    @torch.no_grad()
    def go_on(self, state: TrainingState) -> None:
        """Stand where ``state`` does, whose shapes are this run's."""
        pairs = zip(self._parameters, state.parameters, state.moments, strict=True)
        for parameter, values, moments in pairs:
            parameter.copy_(values)
            if moments is not None:
                self._adamw.state[parameter] = {
                    "step": torch.tensor(float(moments.updates), device=self._device),
                    "exp_avg": torch.empty_like(parameter).copy_(moments.mean),
                    "exp_avg_sq": torch.empty_like(parameter).copy_(moments.square),
                }
        self.losses, self.tokens = list(state.losses), state.tokens
        fewer = min(self.passes.examples, state.micro)  # there may be less memory than there was
        self.passes = replace(self.passes, examples=fewer)

    def step(self, step: int, examples: Sequence[Example]) -> float:
        # One transfer a step: the loss must be seen finite before the update is made.
        loss = self._accumulate(step, examples).item()
        if not math.isfinite(loss):
            rate = learning_rate(self._settings, step, self._steps)
            raise not_finite(loss, self.losses, f"{step} of {self._steps}", rate)
        self._update(step)
        self.losses.append(loss)
        self.tokens += sum(len(example.tokens) for example in examples)
        return loss

    def _update(self, step: int) -> None:
        torch.nn.utils.clip_grad_norm_(self._parameters, self._settings.gradient_clip)
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate(self._settings, step, self._steps)
        if self._before_update is not None:
            self._before_update(step)
        self._adamw.step()
        self._adamw.zero_grad()

    def _accumulate(self, step: int, examples: Sequence[Example]) -> Tensor:
        return until_it_fits(
            lambda: self._gradients(step, examples),
            self._device,
            forget=self._adamw.zero_grad,
            shrink=lambda problem: self._shrink(step, problem),
        )

    def _shrink(self, step: int, problem: str) -> None:
        smaller = self.passes.smaller()
        if smaller is None:
            raise too_large(step, problem)
        self.passes, self.ran_out = smaller, True

    def _gradients(self, step: int, examples: Sequence[Example]) -> Tensor:
        forms = self._forms(step)
        targets = len(forms) * sum(example.targets for example in examples)
        total = torch.zeros((), device=self._device)
        for take_form in forms:
            take_form()
            for part in self.passes.cut(examples):
                total += self._pass(part, targets)
        return total

    def _pass(self, examples: Sequence[Example], targets: int) -> Tensor:
        batch = collate(examples, self._device)
        how = recomputed(self._model) if self.passes.recomputes else nullcontext()
        with how, autocast(self._device, self._model.dtype):
            loss = summed_loss(self._model, batch) / targets
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()
