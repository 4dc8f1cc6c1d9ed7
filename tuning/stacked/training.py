"""The training loop of several lanes: one forward pass for all, everything else for each."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor

from rankspace.errors import TrialFailed
from rankspace.recipe import Optimizer
from tuning.batches import Batch, Passes, collate
from tuning.examples import Example
from tuning.forward.recomputation import recomputed
from tuning.losses import trained_losses
from tuning.stacked.adapter import StackedAdapter
from tuning.training import (
    OnStep,
    Training,
    autocast,
    learning_rate,
    new_adamw,
    not_finite,
    too_large,
    until_it_fits,
)

Outcome: TypeAlias = Training | Exception
"""What a lane came to: its training, or the error for which it was given up."""


def train_lanes(  # noqa: PLR0913  # as ``tuning.training.train``
    model: Any,
    adapter: StackedAdapter,
    batches: Iterable[Sequence[Example]],
    optimizer: Optimizer,
    *,
    steps: int,
    passes: Passes,
    on_steps: Sequence[OnStep | None],
) -> tuple[Outcome, ...]:
    """Train every lane of ``adapter`` as ``tuning.training.train`` would without the others.

    All lanes read the same examples in the same order at the same rates. A lane's loss, the norm
    that its gradient is clipped to and the check that its loss is finite are its own, so what
    becomes of one lane changes nothing for the others but rounding. One that leaves costs nothing
    from the next step on. When memory runs out the same step is repeated, and the rest trained,
    with half the micro-batch, once that is one example with half as many lanes in a pass, and once
    that is one lane with blocks computed twice.

    Args:
        model: The causal language model that ``adapter`` is on.
        adapter: Its lanes, all of them in the run.
        batches: The examples of each step, see ``tuning.batches.schedule``.
        optimizer: Peak learning rate, warm-up, weight decay and clipping, of all lanes.
        steps: Length of the learning-rate schedule.
        passes: How a step is cut into forward and backward passes, for each lane.
        on_steps: Of each lane, called after each of its steps. True ends the training of that
            lane; so does an exception, which is then what the lane came to. What is no
            ``Exception`` is raised: the process leaves all of them.

    Returns:
        What each lane came to: ``TrialFailed`` where its loss is not finite or not even one
        example of one lane fits into memory, as ``train`` raises it.
    """
    run = _Run(model, adapter, optimizer, steps, passes, on_steps)
    for step, examples in enumerate(batches, 1):
        run.step(step, examples)
        if not adapter.in_run:
            break
    return run.outcomes()


class _Run:
    def __init__(  # as ``train_lanes``
        self,
        model: Any,
        adapter: StackedAdapter,
        optimizer: Optimizer,
        steps: int,
        passes: Passes,
        on_steps: Sequence[OnStep | None],
    ) -> None:
        self._model = model
        self._adapter = adapter
        self._settings = optimizer
        self._steps = steps
        self._passes = passes
        self._on_steps = on_steps
        self._adamw = new_adamw(adapter.parameters, optimizer)
        self._device = adapter.parameters[0].device
        self._lanes = len(on_steps)
        """At most, in a pass."""
        self._losses: list[list[float]] = [[] for _ in on_steps]
        self._tokens = 0
        self._ran_out = False
        self._ended: dict[int, Outcome] = {}

    def outcomes(self) -> tuple[Outcome, ...]:
        for lane in self._adapter.in_run:
            self._end(lane)
        return tuple(self._ended[lane] for lane in range(len(self._on_steps)))

    def step(self, step: int, examples: Sequence[Example]) -> None:
        lanes = self._adapter.in_run
        try:
            losses = dict(zip(lanes, self._accumulate(step, examples), strict=True))
        except TrialFailed as error:
            for lane in lanes:
                self._end(lane, error)
            return
        rate = learning_rate(self._settings, step, self._steps)
        self._give_up_diverged(losses, step, rate)
        if not self._adapter.in_run:
            return
        self._update(rate)
        self._tokens += sum(len(example.tokens) for example in examples)
        for lane in [one for one in lanes if one not in self._ended]:
            self._losses[lane].append(losses[lane])
            self._tell(lane, step, losses[lane])

    def _give_up_diverged(self, losses: dict[int, float], step: int, rate: float) -> None:
        for lane, loss in losses.items():
            if not math.isfinite(loss):
                before = self._losses[lane]
                self._end(lane, not_finite(loss, before, f"{step} of {self._steps}", rate))

    def _update(self, rate: float) -> None:
        self._adapter.clip(self._settings.gradient_clip)
        for group in self._adamw.param_groups:
            group["lr"] = rate
        self._adamw.step()
        self._adapter.forget_gradients()

    def _tell(self, lane: int, step: int, loss: float) -> None:
        on_step = self._on_steps[lane]
        if on_step is None:
            return
        try:
            is_over = on_step(step, loss)
        except Exception as error:  # noqa: BLE001  # it is this lane's, whatever it is
            self._end(lane, error)
        else:
            if is_over:
                self._end(lane)

    def _end(self, lane: int, error: Exception | None = None) -> None:
        trained = Training(tuple(self._losses[lane]), self._tokens, self._passes, self._ran_out)
        self._ended[lane] = error or trained
        self._adapter.leave(lane)
        # Its moments are twice what it is itself, and nobody reads them any more.
        self._adamw.state.pop(self._adapter.parameters[lane], None)

    def _accumulate(self, step: int, examples: Sequence[Example]) -> list[float]:
        """The loss of each lane in the run; one transfer for all."""
        losses = until_it_fits(
            lambda: self._gradients(examples),
            self._device,
            forget=self._adapter.forget_gradients,
            shrink=lambda problem: self._shrink(step, problem),
        )
        found: list[float] = losses.tolist()
        return found

    def _shrink(self, step: int, problem: str) -> None:
        lanes, smaller = min(self._lanes, len(self._adapter.in_run)), self._passes.smaller()
        if self._passes.examples == 1 and lanes > 1:
            self._lanes = lanes // 2
        elif smaller is not None:
            self._passes = smaller
        else:
            raise too_large(step, problem)
        self._ran_out = True

    def _gradients(self, examples: Sequence[Example]) -> Tensor:
        targets = sum(example.targets for example in examples)
        total = torch.zeros(len(self._adapter.in_run), device=self._device)
        for slots in _parts(len(total), self._lanes):
            self._adapter.compute(slots)
            for part in self._passes.cut(examples):
                total[slots] += self._pass(part, targets, slots.stop - slots.start)
        return total

    def _pass(self, examples: Sequence[Example], targets: int, lanes: int) -> Tensor:
        batch = repeated(collate(examples, self._device), lanes)
        how = recomputed(self._model) if self._passes.recomputes else nullcontext()
        with how, autocast(self._device, self._model.dtype):
            by_lane = trained_losses(self._model, batch).view(lanes, -1)
            losses = by_lane.sum(dim=1) / targets
        # Of a sum each gets its own gradient, also beside one that is not finite.
        losses.sum().backward()  # type: ignore[no-untyped-call]
        return losses.detach()


def _parts(count: int, most: int) -> Iterator[slice]:
    for start in range(0, count, most):
        yield slice(start, min(start + most, count))


def repeated(batch: Batch, lanes: int) -> Batch:
    """Return ``batch`` once for each lane, one after the other."""
    rows, length = batch.inputs.shape
    positions = batch.positions
    if positions is not None:
        begins = torch.arange(lanes, device=positions.device) * rows * length
        positions = (begins[:, None] + positions).flatten()
    return Batch(batch.inputs.repeat(lanes, 1), positions, batch.targets.repeat(lanes))
