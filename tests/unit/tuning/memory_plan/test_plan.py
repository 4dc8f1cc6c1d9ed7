"""A plan adds up what is known of each part, and finds what fits, or says why nothing does."""

from dataclasses import replace

import pytest

from rankspace.errors import InvalidInput
from tuning.memory_plan.activations import kept_per_example
from tuning.memory_plan.model_shape import BlockShape, ModelShape
from tuning.memory_plan.plan import HEADROOM, MemoryPlan
from tuning.memory_plan.training_shape import TrainingShape

WIDE, NARROW = BlockShape(4, 2, 8, 100), BlockShape(2, 1, 8, 10)
MODEL = ModelShape(hidden=32, vocabulary=1000, parameters=50_000, blocks=(WIDE, NARROW))
EVERYWHERE = {(index, kind): 2 for index in (0, 1) for kind in WIDE.inputs(32)}
MIXED = TrainingShape(MODEL, EVERYWHERE, tokens=10, targets=7, width=2)
LIBRARIES = 70
PLAN = MemoryPlan(
    weights=1000,
    adapters=100,
    kept=10_000,
    logits=5000,
    slice=2**40,
    returned=0,
    working=3000,
    measuring=0,
    tokens=99,
    libraries=LIBRARIES,
    is_mixed=False,
)


def test_an_adapter_has_a_parameter_for_each_row_and_column() -> None:
    one = replace(MIXED, ranks={(0, "k_proj"): 3, (1, "down_proj"): 1})
    assert one.adapter_parameters == 3 * (32 + 16) + (10 + 32)


def test_the_parts_of_a_small_model_are_those_worked_out_by_hand() -> None:
    plan = MemoryPlan.of(MIXED, "cpu")
    per_rank = sum((32 + 32, 32 + 16, 32 + 16, 32 + 32, *[32 + 100] * 3))
    per_rank += sum((32 + 16, 32 + 8, 32 + 8, 16 + 32, *[32 + 10] * 3))
    assert plan.weights == 100_000
    assert plan.adapters == 2 * per_rank * (16 + 2)
    assert plan.logits == 7 * 1000 * 8
    assert plan.slice == 2**24 * 8
    assert plan.returned == 7 * 32 * 2
    norms = 2 * 4 * 33
    inputs = 2 * (2 * 32 + 100)
    wide = norms + 2 * (64 + 32) + 4 * 4 + 2 * 300 + 2 * 14 + inputs
    inputs = 2 * (2 * 32 + 10)
    narrow = norms + 2 * (32 + 16) + 4 * 2 + 2 * 30 + 2 * 14 + inputs
    assert plan.kept == 10 * (wide + narrow + 4 * 33)
    assert plan.working == 10 * 2 * 2 * 100
    assert plan.measuring - plan.libraries == 8192 * max(8 * 100 + 10 * 32, 10 * 1000)
    assert MemoryPlan.of(MIXED, "cuda").libraries > plan.libraries


def test_blocks_before_the_first_adapter_keep_nothing() -> None:
    late = replace(MIXED, ranks={(1, "q_proj"): 2})
    early = replace(MIXED, ranks={(0, "q_proj"): 2})
    alone = replace(late, model=replace(MODEL, blocks=(NARROW,)), ranks={(0, "q_proj"): 2})
    assert kept_per_example(late) == kept_per_example(alone)
    assert kept_per_example(early) > 2 * kept_per_example(late)


def test_capped_scores_grow_with_the_square_of_the_length() -> None:
    capped = replace(MIXED, model=replace(MODEL, has_scores=True))
    more = [kept_per_example(replace(one, tokens=1000)) for one in (MIXED, capped)]
    assert more[1] - more[0] > 6 * 1000 * 1000 * (4 + 2)


def test_logits_are_there_by_the_slice_and_their_gradients_by_state_all_at_once() -> None:
    plan = replace(PLAN, slice=7000, returned=10)
    assert [plan.use(micro).logits for micro in (1, 2, 3)] == [5010, 7020, 7030]
    assert plan.use(3).workspace == 9000 - 7030 + LIBRARIES


def test_of_a_vocabulary_larger_than_a_slice_a_slice_is_one_row() -> None:
    large = replace(MIXED, model=replace(MODEL, vocabulary=2**25))
    assert MemoryPlan.of(large, "cpu").slice == 2**25 * 8


def test_capped_logits_pass_in_three_copies_where_the_held_out_loss_is_measured() -> None:
    capped = replace(MIXED, model=replace(MODEL, caps_logits=True), width=4)
    plan = MemoryPlan.of(capped, "cpu")
    assert plan.measuring - plan.libraries == 8192 * 1000 * 12


def test_the_use_of_two_examples_is_twice_that_of_one_beside_what_is_fixed() -> None:
    one, two = PLAN.use(1), PLAN.use(2)
    assert (one.weights, one.adapters) == (two.weights, two.adapters) == (1000, 100)
    assert (two.activations, two.logits) == (20_000, 10_000)
    assert one.workspace == two.workspace == LIBRARIES  # a block's is smaller than the logits'
    assert replace(PLAN, logits=0).use(2).workspace == 6000 + LIBRARIES
    assert two.total == 1000 + two.beside_weights


@pytest.mark.parametrize(("examples", "found"), [(8, 8), (7.9, 4), (3.9, 2), (1.9, 1)])
def test_as_many_examples_as_fit_are_found_by_halving(examples: float, found: int) -> None:
    free = (1100 + LIBRARIES + examples * 15_000) / (1 - HEADROOM)
    assert PLAN.largest(int(free) + 1, 8) == found


def test_one_example_needs_no_headroom_but_all_of_its_bytes() -> None:
    needed = PLAN.use(1).total
    assert PLAN.largest(needed, 8) == 1
    assert PLAN.largest(needed - 1, 8) == 0


def test_an_odd_micro_batch_is_halved_as_the_training_halves_it() -> None:
    assert PLAN.largest(int((1100 + LIBRARIES + 5 * 15_000) / (1 - HEADROOM)) + 1, 6) == 3


def test_a_refusal_names_each_part_and_a_length_that_fits() -> None:
    free = 1100 + LIBRARIES + 7500
    refusal = PLAN.refusal(free)
    assert isinstance(refusal, InvalidInput)
    assert refusal.field == "recipe.sequence_length"
    assert refusal.value == 100
    for part in ("weights", "adapters", "activations", "logits", "workspace"):
        assert part in refusal.problem
    assert "lower recipe.sequence_length to 49," in refusal.hint


def test_a_refusal_says_when_a_shorter_text_does_not_help() -> None:
    assert "a model pruned further, or recipe.dtype: bfloat16" in PLAN.refusal(900).hint
    assert "dtype" not in replace(PLAN, is_mixed=True).refusal(900).hint
    assert "search.ranks" in PLAN.refusal(1150).hint
    assert "sequence_length" not in PLAN.refusal(1150).hint


def test_a_length_that_is_recommended_fits_though_a_slice_does_not_shrink() -> None:
    """Whether a slice is full at that length or not."""
    for size in (1000, 4000, 4900):
        plan = replace(PLAN, slice=size, returned=10)
        free = plan.use(1).total - 1500
        length = int(plan.refusal(free).hint.split(" to ")[1].split(",")[0])
        part = length / plan.tokens
        kept, logits = part * plan.kept, min(part * plan.logits, size) + part * 10
        needed = 1100 + LIBRARIES + kept + max(part * plan.working, logits)
        assert 0.8 * free < needed <= free
