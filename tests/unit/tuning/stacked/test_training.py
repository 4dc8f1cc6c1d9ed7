"""Lanes trained in one forward pass become what each candidate becomes alone."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from rankspace.errors import LeaseLost, TrialFailed
from tests.unit.tuning.stacked.lanes import (
    CPU,
    OPTIMIZER,
    alone,
    apart,
    loaded,
    matrices,
    stacked,
    steps_of,
    together,
)
from tuning.batches import Passes
from tuning.examples import Example
from tuning.measuring import mean_loss
from tuning.stacked.adapter import StackedAdapter
from tuning.stacked.training import Outcome, train_lanes
from tuning.training import OnStep, Training

STEPS = 6


@pytest.fixture(scope="module")
def references(
    model_directory: Path, vectors: Sequence[dict[str, int]], examples: tuple[Example, ...]
) -> list[tuple[list[torch.Tensor], Training, float]]:
    """Matrices, training and held-out loss of each candidate alone, by peft, after 40 steps."""
    found: list[tuple[list[torch.Tensor], Training, float]] = []
    for lane, ranks in enumerate(vectors):
        if ranks in vectors[:lane]:  # the very same training
            found.append(found[vectors.index(ranks)])
            continue
        model = loaded(model_directory)
        attached, run = alone(model, ranks, examples, 40)
        values = [parameter.detach() for parameter in attached.parameters]
        found.append((values, run, mean_loss(model, examples[:20], CPU)))
    return found


@pytest.fixture(scope="module")
def singles(
    model_directory: Path, vectors: Sequence[dict[str, int]], examples: tuple[Example, ...]
) -> list[list[torch.Tensor]]:
    """Matrices of the first three candidates in a stack of one each, after ``STEPS``."""
    found = []
    for ranks in vectors[:3]:
        model = loaded(model_directory)
        single = stacked(model, [ranks])
        together(model, single, examples, STEPS)
        found.append(matrices(single, 0))
    return found


@pytest.fixture
def model(model_directory: Path) -> Any:
    return loaded(model_directory)


def trained(outcome: Outcome) -> Training:
    assert isinstance(outcome, Training)
    return outcome


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3, 8])
def test_every_parameter_of_every_lane_equals_pefts_after_forty_steps(
    count: int,
    model: Any,
    vectors: Sequence[dict[str, int]],
    examples: tuple[Example, ...],
    references: Sequence[tuple[list[torch.Tensor], Training, float]],
) -> None:
    adapter = stacked(model, vectors[:count])
    outcomes = together(model, adapter, examples, 40)
    assert len(outcomes) == count
    for lane, (theirs, reference, their_loss) in enumerate(references[:count]):
        assert apart(matrices(adapter, lane), theirs) < 1e-5
        run = trained(outcomes[lane])
        assert run.losses == pytest.approx(reference.losses, rel=1e-5)
        assert (run.tokens, run.passes) == (reference.tokens, reference.passes)
        adapter.show(lane)
        assert mean_loss(model, examples[:20], CPU) == pytest.approx(their_loss, rel=1e-6)
        assert run.losses[-1] < run.losses[0] - 0.2


def apart_from(
    singles: Sequence[list[torch.Tensor]], adapter: StackedAdapter, lanes: Sequence[int]
) -> float:
    """How far these lanes are from the same candidates in a stack of one each."""
    return max(apart(matrices(adapter, lane), singles[lane]) for lane in lanes)


def rows_seen(model: Any) -> list[int]:
    seen: list[int] = []
    model.get_decoder().register_forward_pre_hook(
        lambda _, arguments, named: seen.append(len(named["input_ids"])), with_kwargs=True
    )
    return seen


def at(when: int, then: Exception | bool) -> OnStep:
    def on_step(step: int, loss: float) -> bool:
        if step == when and isinstance(then, Exception):
            raise then
        return step == when

    return on_step


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_lane_that_is_not_finite_fails_alone(
    bad: int,
    singles: Sequence[list[torch.Tensor]],
    model: Any,
    vectors: Sequence[dict[str, int]],
    examples: tuple[Example, ...],
) -> None:
    adapter, seen = stacked(model, vectors[:3]), rows_seen(model)

    def poison(step: int, loss: float) -> bool:
        if step == 3:
            with torch.no_grad():
                adapter.parameters[bad].fill_(math.nan)
        return False

    outcomes = together(model, adapter, examples, STEPS, {bad: poison})
    error = outcomes[bad]
    assert isinstance(error, TrialFailed)
    assert f"the training loss is nan at step 4 of {STEPS}" in error.detail
    others = [lane for lane in range(3) if lane != bad]
    assert [len(trained(outcomes[lane]).losses) for lane in others] == [STEPS, STEPS]
    assert apart_from(singles, adapter, others) < 1e-6
    assert seen == 8 * [12] + 2 * (STEPS - 4) * [8]


def test_lanes_that_all_diverge_end_the_run(
    model: Any, vectors: Sequence[dict[str, int]], examples: tuple[Example, ...]
) -> None:
    adapter, seen = stacked(model, vectors[:2]), rows_seen(model)
    with torch.no_grad():
        for parameter in adapter.parameters:
            parameter.fill_(math.inf)
    batches = iter(steps_of(examples, STEPS))
    outcomes = train_lanes(
        model, adapter, batches, OPTIMIZER, steps=STEPS, passes=Passes(4), on_steps=[None, None]
    )
    assert all(isinstance(outcome, TrialFailed) for outcome in outcomes)
    assert seen == [8, 8]
    assert len(list(batches)) == STEPS - 1


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_lane_that_is_abandoned_or_stopped_leaves_the_others_and_costs_nothing_more(
    gone: int,
    singles: Sequence[list[torch.Tensor]],
    model: Any,
    vectors: Sequence[dict[str, int]],
    examples: tuple[Example, ...],
) -> None:
    lost = LeaseLost("somebody else has it")
    stopped = (gone + 1) % 3
    adapter, seen = stacked(model, vectors[:3]), rows_seen(model)
    outcomes = together(
        model, adapter, examples, STEPS, {gone: at(2, lost), stopped: at(4, then=True)}
    )
    assert outcomes[gone] is lost
    assert len(trained(outcomes[stopped]).losses) == 4
    last = 3 - gone - stopped
    assert len(trained(outcomes[last]).losses) == STEPS
    assert apart_from(singles, adapter, [last]) < 1e-6
    assert seen == 4 * [12] + 4 * [8] + 2 * (STEPS - 4) * [4]


def test_a_stopped_lane_stays_what_it_was_when_it_stopped(
    model_directory: Path,
    model: Any,
    vectors: Sequence[dict[str, int]],
    examples: tuple[Example, ...],
) -> None:
    adapter = stacked(model, vectors[:3])
    outcomes = together(model, adapter, examples, STEPS, {0: at(5, then=True)})
    other = loaded(model_directory)
    single = stacked(other, vectors[:1])
    [reference] = together(other, single, examples, STEPS, {0: at(5, then=True)})
    assert trained(outcomes[0]).losses == pytest.approx(trained(reference).losses, rel=1e-6)
    assert trained(outcomes[0]).tokens == trained(reference).tokens
    assert apart(matrices(adapter, 0), matrices(single, 0)) < 1e-6
    adapter.show(0)
    loss = mean_loss(model, examples[:20], CPU)
    single.show(0)
    assert loss == pytest.approx(mean_loss(other, examples[:20], CPU), rel=1e-6)


def test_no_moments_are_kept_of_a_lane_that_left(
    model: Any, vectors: Sequence[dict[str, int]], examples: tuple[Example, ...]
) -> None:
    known: list[int] = []
    hook = register_optimizer_step_post_hook(lambda adamw, *_: known.append(len(adamw.state)))
    try:
        left = {0: at(3, then=True), 1: at(2, LeaseLost("somebody else has it"))}
        together(model, stacked(model, vectors[:3]), examples, 4, left)
    finally:
        hook.remove()
    assert known == [3, 3, 2, 1]


def test_who_leaves_the_process_leaves_all_lanes(
    model: Any, vectors: Sequence[dict[str, int]], examples: tuple[Example, ...]
) -> None:
    def leave(step: int, loss: float) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        together(model, stacked(model, vectors[:2]), examples, STEPS, {1: leave})


def test_padding_stays_exactly_zero(
    model: Any, vectors: Sequence[dict[str, int]], examples: tuple[Example, ...]
) -> None:
    adapter = stacked(model, vectors[:3])
    together(model, adapter, examples, 3)
    padded = 0
    for lane in range(3):
        own = sum(
            rank
            * (
                model.get_submodule(name).base.weight.shape[0]
                + model.get_submodule(name).base.weight.shape[1]
            )
            for name, rank in vectors[lane].items()
            if rank
        )
        values = adapter.parameters[lane].detach()
        assert values.count_nonzero() == own
        padded += len(values) - own
    assert padded > 1000


def exhaust(model: Any, most: int, spared: int = 0) -> list[int]:
    """Let ``model`` run out of memory above ``most`` rows, after the first ``spared`` passes.

    Returns:
        The rows of its passes.
    """
    seen: list[int] = []

    def hook(_: Any, arguments: Any, named: Any) -> None:
        seen.append(len(named["input_ids"]))
        if seen[-1] > most and len(seen) > spared:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    model.get_decoder().register_forward_pre_hook(hook, with_kwargs=True)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("most", "spared", "first"), [(6, 1, [12, 12, 6]), (2, 0, [12, 6, 3, 1])], ids=["half", "one"]
)
def test_too_little_memory_costs_examples_and_then_lanes_in_a_pass(  # noqa: PLR0917  # fixtures
    most: int,
    spared: int,
    first: list[int],
    singles: Sequence[list[torch.Tensor]],
    model: Any,
    vectors: Sequence[dict[str, int]],
    examples: tuple[Example, ...],
) -> None:
    seen, adapter = exhaust(model, most, spared), stacked(model, vectors[:3])
    outcomes = together(model, adapter, examples, STEPS)
    assert [trained(one).passes.examples for one in outcomes] == [first[-1] // 3 or 1] * 3
    assert all(trained(one).ran_out for one in outcomes)
    assert seen[: len(first)] == first
    assert max(seen[len(first) :]) <= most
    assert apart_from(singles, adapter, range(3)) < 1e-5


def test_where_not_one_example_fits_every_lane_in_the_run_says_so_and_who_is_done_is_done(
    model: Any, vectors: Sequence[dict[str, int]], examples: tuple[Example, ...]
) -> None:
    adapter = stacked(model, vectors[:3])

    def stop(step: int, loss: float) -> bool:
        exhaust(model, 0)
        return True

    outcomes = together(model, adapter, examples, STEPS, {1: stop})
    assert len(trained(outcomes[1]).losses) == 1
    for lane in (0, 2):
        error = outcomes[lane]
        assert isinstance(error, TrialFailed)
        assert "out of memory at step 2 with one example per forward pass" in error.detail


def test_lanes_whose_blocks_are_computed_twice_are_the_same_bit_by_bit(
    model_directory: Path, vectors: Sequence[dict[str, int]], examples: tuple[Example, ...]
) -> None:
    """Our backward pass adds to gradients itself: that of a block must not run twice."""
    ran = []
    for passes in (Passes(4), Passes(4, recomputes=True)):
        model = loaded(model_directory)
        adapter = stacked(model, vectors[:3])
        together(model, adapter, examples, 3, passes=passes)
        ran.append([matrices(adapter, lane) for lane in range(3)])
    for kept, twice in zip(*ran, strict=True):
        assert apart(kept, twice) == 0.0


@pytest.mark.slow
def test_on_a_bfloat16_base_lanes_train_as_each_does_alone(
    model_directory: Path, vectors: Sequence[dict[str, int]], examples: tuple[Example, ...]
) -> None:
    model = loaded(model_directory, torch.bfloat16)
    adapter = stacked(model, vectors[:2])
    outcomes = together(model, adapter, examples, 8)
    assert {parameter.dtype for parameter in adapter.parameters} == {torch.float32}
    for lane in range(2):
        other = loaded(model_directory, torch.bfloat16)
        _, reference = alone(other, vectors[lane], examples, 8, "fused")
        run = trained(outcomes[lane])
        assert run.losses[-1] == pytest.approx(reference.losses[-1], abs=3e-3)
        assert run.losses[-1] < run.losses[0] - 0.2
        adapter.show(lane)
        loss = mean_loss(other, examples[:20], CPU)
        assert mean_loss(model, examples[:20], CPU) == pytest.approx(loss, abs=3e-3)


def test_each_lane_is_clipped_by_its_own_norm(
    model: Any, vectors: Sequence[Mapping[str, int]]
) -> None:
    adapter = stacked(model, vectors[:2])
    gradients = [parameter.grad for parameter in adapter.parameters]
    assert gradients[0] is not None
    assert gradients[1] is not None
    gradients[0].fill_(1.0)
    gradients[1][:5] = 0.1
    adapter.clip(0.5)
    assert gradients[0].norm().item() == pytest.approx(0.5, rel=1e-5)
    assert gradients[1].norm().item() == pytest.approx(0.1 * 5**0.5)
