"""A trial begins with as many examples per pass as fit."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import torch
from structlog.testing import LogCapture

from rankspace import Assignment, RankVector
from rankspace.errors import CannotOpen
from rankspace.recipe import Batch, Recipe
from tuning.back_ends import assigned_ranks
from tuning.batches import Passes
from tuning.examples import Example
from tuning.memory_plan.choice import Plans
from tuning.memory_plan.device_memory import DeviceMemory
from tuning.memory_plan.plan import MemoryPlan
from worker.trial.evaluation import Evaluator
from worker.trial.planning import PASS_TOKENS, asked_passes, first_passes, free_beside, most_targets

Assign = Callable[..., Assignment]
CPU = torch.device("cpu")
PLAN = MemoryPlan(
    weights=1000,
    adapters=0,
    kept=100,
    logits=0,
    slice=0,
    returned=0,
    working=0,
    measuring=0,
    tokens=31,
    libraries=0,
    is_mixed=False,
)
TWICE = replace(PLAN, kept=20, recomputes=True)
PLANS = Plans(PLAN, TWICE, "cpu")
ROOMY = 10_000


@pytest.fixture
def said() -> Iterator[LogCapture]:
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture
    structlog.reset_defaults()


def go_on(step: int, loss: float) -> bool:
    return False


def events(said: LogCapture) -> list[str]:
    return [entry["event"] for entry in said.entries]


def test_what_fits_is_begun_with_and_said_where_it_is_less(said: LogCapture) -> None:
    tight = 1250 * 10 // 9 + 1
    assert first_passes(Passes(8), PLANS, ROOMY) == Passes(8)
    assert events(said) == []
    assert first_passes(Passes(8, 32), PLANS, tight) == Passes(2, 32)
    (entry,) = said.entries
    assert entry["event"] == "micro_batch_lowered"
    assert (entry["micro"], entry["asked"]) == (2, 8)


def test_a_trial_of_which_no_example_seems_to_fit_is_tried_one_at_a_time(said: LogCapture) -> None:
    assert first_passes(Passes(8), PLANS, 1019) == Passes(1, recomputes=True)
    assert events(said) == ["memory_may_run_out", "micro_batch_lowered", "blocks_recomputed"]


def test_blocks_are_computed_twice_where_not_one_example_fits_without(said: LogCapture) -> None:
    assert first_passes(Passes(2, 32), PLANS, 1099) == Passes(1, 32, recomputes=True)
    assert events(said) == ["micro_batch_lowered", "blocks_recomputed"]


def test_where_nobody_knows_what_is_free_the_recipe_is_followed(
    said: LogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: object) -> DeviceMemory:
        raise CannotOpen("memory", "/", "is not known", fix="give a size")

    monkeypatch.setattr(DeviceMemory, "of", unreadable)
    free = free_beside(PLAN, CPU)
    assert first_passes(Passes(8), PLANS, free) == Passes(8)
    assert events(said) == ["memory_unknown"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say it")
def test_a_heap_that_was_freed_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a trial: pieces too small to be given back at once, in a heap with a full end."""

    def resident(_: object) -> DeviceMemory:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return DeviceMemory("less what is resident", 2**40, 2**40 - pages * 4096)

    monkeypatch.setattr(DeviceMemory, "of", resident)
    pieces = [torch.ones(10_000) for _ in range(2_500)]
    end, full = torch.ones(10_000), resident(CPU).free
    pieces.clear()
    free = free_beside(PLAN, CPU)
    assert free is not None
    assert free - full > 80_000_000
    assert end.sum() == 10_000


@pytest.mark.slow
def test_the_plan_is_that_of_the_training_examples(
    assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts are not projected on the vocabulary, and what is held out is measured in slices."""
    planned = list[MemoryPlan]()

    def keep(asked: Passes, plans: Plans, free: int | None) -> Passes:
        planned.append(plans.plain)
        return asked

    monkeypatch.setattr("worker.trial.evaluation.first_passes", keep)
    evaluator = Evaluator(CPU)
    resident = evaluator._residence.resident(assign())
    whole = evaluator._dataset(assign(), resident, evaluator._inputs(assign(), resident))
    ids = torch.arange(20)
    dataset = replace(whole, train=(Example(ids, 17), Example(ids[:10], 5)))
    assert whole.counts.example_tokens == 32
    ranks = assigned_ranks(assign(), resident.modules)
    assert evaluator._passes(assign(), resident, dataset, ranks) == Passes(8)
    (plan,) = planned
    assert plan.tokens == 19
    assert plan.logits == 5 * resident.shape.vocabulary * 8


@pytest.mark.slow
def test_a_tight_device_gets_more_passes_and_the_same_result(
    assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy = Evaluator(CPU).evaluate(assign(), go_on)
    assert "micro_batch" not in roomy.versions
    # About the libraries' 8 MiB and two examples of this model.
    free = 9_700_000
    tight = DeviceMemory("tight", free, free)
    monkeypatch.setattr(DeviceMemory, "of", lambda _: tight)
    found = Evaluator(CPU).evaluate(assign(), go_on)
    assert found.versions["micro_batch"] in {"1 of 8", "2 of 8", "4 of 8"}
    assert found.loss == pytest.approx(roomy.loss, rel=1e-5)
    assert found.train_loss == pytest.approx(roomy.train_loss, rel=1e-5)


@pytest.mark.slow
def test_no_trial_is_refused_for_want_of_memory(
    assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DeviceMemory, "of", lambda _: DeviceMemory("full", 0, 0))
    found = Evaluator(CPU).evaluate(assign(rank_vector=RankVector((0,) * 21)), go_on)
    assert found.steps == 0
    assert "micro_batch" not in found.versions
    tried = Evaluator(CPU).evaluate(assign(), go_on)
    assert (tried.versions["micro_batch"], tried.versions["blocks"]) == ("1 of 8", "recomputed")


@pytest.mark.slow
def test_a_trial_halves_where_memory_runs_out_and_the_next_begins_with_that(
    assign: Assign, said: LogCapture
) -> None:
    evaluator, rows = Evaluator(CPU), list[int]()
    evaluator.evaluate(assign(rank_vector=RankVector((0,) * 21)), go_on)  # loads the model

    def hook(_: Any, arguments: Any, named: Any) -> None:
        if torch.is_grad_enabled():
            rows.append(len(named["input_ids"]))
            if rows[-1] > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")

    resident = evaluator._residence.resident(assign())
    resident.model.get_decoder().register_forward_pre_hook(hook, with_kwargs=True)
    first = evaluator.evaluate(assign(), go_on)
    assert rows[:3] == [8, 4, 2]
    assert first.versions["micro_batch"] == "2 of 8"
    assert "memory_ran_out" in events(said)
    rows.clear()
    second = evaluator.evaluate(assign(seed=1), go_on)
    assert set(rows) == {2}
    assert second.versions["micro_batch"] == "2 of 8"
    assert "micro_batch_remembered" in events(said)
    rows.clear()
    other = replace(assign().recipe, alpha_per_rank=1.0)
    evaluator.evaluate(assign(recipe=other), go_on)
    assert rows[:3] == [8, 4, 2]


def automatic(recipe: Recipe) -> Recipe:
    return replace(recipe, batch=Batch(examples=recipe.batch.examples))


def test_a_pass_is_of_so_many_tokens_where_the_recipe_leaves_it_to_the_device() -> None:
    batch = Batch(examples=64)
    assert asked_passes(Batch(64, 4), 100, CPU) == Passes(4)
    for kind, tokens in PASS_TOKENS.items():
        assert asked_passes(batch, 100, torch.device(kind)) == Passes(min(64, tokens // 100), 100)
        assert asked_passes(batch, 10_000, torch.device(kind)) == Passes(1, 10_000)


def test_short_examples_in_a_pass_may_predict_more_than_a_long_one() -> None:
    ids = torch.arange(20)
    examples = (Example(ids, 17), Example(ids[:10], 5))
    assert most_targets(examples, Passes(2)) == 5
    assert most_targets(examples, Passes(2, 20)) == 11  # 5 of 9 tokens read, of the 19 of the other


@pytest.mark.slow
def test_an_automatic_trial_comes_to_what_one_of_a_size_comes_to(assign: Assign) -> None:
    recipe = assign().recipe
    fixed, found = (
        Evaluator(CPU).evaluate(assign(recipe=one), go_on) for one in (recipe, automatic(recipe))
    )
    assert found.versions["micro_batch"] == "8 x 32"
    assert found.loss == pytest.approx(fixed.loss, rel=1e-5)
    assert found.train_loss == pytest.approx(fixed.train_loss, rel=1e-5)
