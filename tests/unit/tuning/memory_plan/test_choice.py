"""Blocks are computed twice where that is what fits, or what is faster; never otherwise."""

from dataclasses import replace

import pytest

from tests.unit.tuning.memory_plan.test_plan import MIXED, PLAN
from tuning.batches import Passes
from tuning.memory_plan.choice import LEAST_TOKENS, Plans
from tuning.memory_plan.plan import HEADROOM, MemoryPlan

LONG = replace(PLAN, tokens=255)
TWICE = replace(LONG, kept=1000, working=4000, recomputes=True)
PLANS = Plans(LONG, TWICE, "cuda")


def room(plan: MemoryPlan, examples: int) -> int:
    """Bytes of which a plan finds that so many examples fit, and not one more."""
    return int(plan.use(examples).total / (1 - HEADROOM)) + 1


@pytest.mark.parametrize("examples", [8, 4, 2])
def test_what_fits_and_fills_a_device_keeps_all(examples: int) -> None:
    found = PLANS.fitting(Passes(8, 256), room(LONG, examples))
    assert found == Passes(examples, 256)
    assert PLANS.plan(Passes(8)) is LONG


def test_passes_too_small_for_a_gpu_compute_twice_to_be_larger() -> None:
    free = room(LONG, 1)
    assert LONG.tokens < LEAST_TOKENS["cuda"]
    found = PLANS.fitting(Passes(8), free)
    assert found == Passes(2, recomputes=True)
    assert PLANS.plan(found) is TWICE
    assert replace(PLANS, kind="cpu").fitting(Passes(8), free) == Passes(1)


def test_one_example_that_is_all_that_was_asked_for_keeps_all() -> None:
    assert PLANS.fitting(Passes(1), room(LONG, 1)) == Passes(1)


def test_small_passes_stay_where_computing_twice_makes_them_no_larger() -> None:
    same = replace(PLANS, recomputed=replace(LONG, recomputes=True))
    assert same.fitting(Passes(8), room(LONG, 1)) == Passes(1)


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_what_only_fits_so_computes_twice_and_less_is_nothing(kind: str) -> None:
    plans, needed = replace(PLANS, kind=kind), TWICE.use(1).total
    assert plans.fitting(Passes(8), needed) == Passes(1, recomputes=True)
    assert plans.fitting(Passes(8), needed - 1) is None
    assert "its blocks computed twice" in TWICE.refusal(needed - 1).problem


def test_the_parts_of_blocks_computed_twice_are_those_worked_out_by_hand() -> None:
    plans = Plans.of(MIXED, "cpu")
    norm = 4 * 33
    wide = 2 * norm + 2 * (64 + 32) + 4 * 4 + 2 * 300 + 2 * 14 + 2 * (2 * 32 + 100)
    assert plans.recomputed.kept == 10 * (2 * 2 * 32 + norm)
    assert plans.recomputed.working == 10 * wide + plans.plain.working
    late = replace(MIXED, ranks={(1, "q_proj"): 2})
    assert Plans.of(late, "cpu").recomputed.kept == 10 * (2 * 32 + norm)
