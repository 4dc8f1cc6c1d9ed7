"""The Verdict on whole simulated studies; ``python -m bench.verdicts`` is the large form."""

from functools import cache

import pytest

from bench.verdicts import SETTINGS, Outcome, Setting, rate, search, study, summary, world
from rankspace.verdict import Answer

pytestmark = pytest.mark.slow

STUDIES, TRIALS = 10, 8
NAMED = {setting.name: setting for setting in SETTINGS}


@cache
def outcomes(name: str) -> tuple[Outcome, ...]:
    return tuple(study(NAMED[name], TRIALS, seed) for seed in range(STUDIES))


@pytest.mark.parametrize("name", ["flat", "flat, heavy tails"])
def test_where_nothing_is_better_better_is_hardly_ever_said(name: str) -> None:
    # At 2.5 %, three or more of 10 happen with probability 0.2 %.
    assert [one.answer for one in outcomes(name)].count(Answer.BETTER) <= 2
    assert all(one.gain == 0.0 for one in outcomes(name))


def test_two_deviations_of_a_paired_difference_are_found() -> None:
    # The large form finds 94 %; at 80 %, fewer than 6 of 10 happen with probability 3.3 %.
    assert [one.answer for one in outcomes("effect 2")].count(Answer.BETTER) >= 6
    assert max(one.gain for one in outcomes("effect 2")) == pytest.approx(2.0)


def test_the_interval_covers_the_true_gain() -> None:
    found = [one.covered for name in ("flat", "effect 2") for one in outcomes(name)]
    compared = [covered for covered in found if covered is not None]
    assert len(compared) >= 13
    # At 95 %, more than three misses of 20 happen with probability 1.6 %.
    assert compared.count(False) <= 3


def test_the_world_is_repeatable_and_its_noise_is_one() -> None:
    flat = world(Setting("flat"), 3)
    uniform = flat.space.uniform()
    assert flat.score(uniform, 5) == flat.score(uniform, 5)
    cheap = flat.space.constant(1)
    differences = [flat.score(uniform, seed) - flat.score(cheap, seed) for seed in range(400)]
    spread = (sum(value**2 for value in differences) / 400) ** 0.5
    assert spread == pytest.approx(2**0.5, rel=0.1)  # the seed's effect is paired away
    arms = search(flat, 6, 0)
    assert all(flat.space.affords(vector) for vector in arms.candidates)


def test_the_summary_counts() -> None:
    some = [
        Outcome(Answer.BETTER, 1.0, True, 5, 25),
        Outcome(Answer.WORSE, 0.0, None, 5, 25),
        Outcome(Answer.NO_DIFFERENCE_SHOWN, 2.0, False, 8, 31),
    ]
    row = summary(NAMED["flat"], some)
    assert (row["better"], row["worse"], row["compared"], row["covered"]) == (1, 1, 2, 1)
    assert (row["gain"], row["seeds"], row["trials"]) == (1.0, 6.0, 27.0)
    assert rate(0, 200) == pytest.approx((0.0, 0.0, 0.0125), abs=1e-3)
