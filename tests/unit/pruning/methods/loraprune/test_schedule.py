"""How many are masked when: the formula, its ends, and that none is left over."""

import math

import pytest

from pruning.methods.loraprune.schedule import Schedule


def test_the_share_is_the_papers_cubic() -> None:
    """``s_f + (s_i - s_f) (1 - (t - t_w) / (T - t_w - t_c))^3``, T = 200, t_w = t_c = 20."""
    schedule = Schedule(200, 10)
    for step in range(200):
        expected = 0.5 + (0.0 - 0.5) * (1 - (step - 20) / 160) ** 3
        expected = 0.0 if step <= 20 else 0.5 if step > 180 else expected
        assert schedule.share(step, 0.5) == pytest.approx(expected, abs=1e-12)


def test_masks_grow_every_so_many_steps_and_at_the_end_of_the_rise() -> None:
    schedule = Schedule(195, 10)
    found = [step for step in range(195) if schedule.masks_at(step)]
    assert found == [*range(20, 180, 10), 176]


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.29, 0.5, 0.625, 0.99])
@pytest.mark.parametrize("count", [1, 4, 24, 100])
@pytest.mark.parametrize("steps", [1, 2, 19, 40, 200])
def test_the_number_never_falls_and_ends_at_what_every_method_removes(
    rate: float, count: int, steps: int
) -> None:
    schedule = Schedule(steps, 3)
    times = [step for step in range(steps) if schedule.masks_at(step)]
    numbers = [schedule.masked(step, count, rate) for step in times]
    assert numbers == sorted(numbers)
    assert numbers[-1] == count - max(1, round(count * (1 - rate)))
    for step, number in zip(times[:-1], numbers, strict=False):
        exact = count * schedule.share(step, rate)
        assert number <= exact + 1e-6
        assert number in (math.floor(exact + 1e-6), numbers[-1])


def test_where_the_source_stops_some_would_be_left() -> None:
    """Its last masking is at step 170 of 200: 49 of 100 channels at a ratio of 0.5, not 50."""
    schedule = Schedule(200, 10)
    assert schedule.masked(170, 100, 0.5) == 49
    assert [step for step in range(171, 200) if schedule.masks_at(step)] == [180]
    assert schedule.masked(180, 100, 0.5) == 50


def test_a_whole_number_is_not_lost_to_the_last_bit() -> None:
    """``0.29 * 100`` is 28.999999999999996 to a computer."""
    assert Schedule(10, 1).masked(9, 100, 0.29) == 29
