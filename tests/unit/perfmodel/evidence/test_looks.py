"""When a verification looks, and that all its looks together err no more than they may."""

import numpy as np
import pytest
from scipy import special

from perfmodel.evidence.looks import ERROR, PARTS, error_after, plan_looks


@pytest.mark.parametrize(
    ("first", "last", "rounds"),
    [
        (5, 5, (5,)),
        (5, 6, (6,)),
        (5, 7, (7,)),
        (5, 8, (5, 8)),
        (5, 12, (5, 12)),
        (5, 13, (5, 8, 13)),
        (3, 40, (3, 11, 40)),
        (5, 2, (2,)),
    ],
)
def test_looks_are_far_apart(first: int, last: int, rounds: tuple[int, ...]) -> None:
    looks = plan_looks(first, last)
    assert tuple(look.rounds for look in looks) == rounds
    assert sum(1.0 - look.confidence for look in looks) >= ERROR - 1e-9
    assert looks[0].confidence == pytest.approx(1.0 - PARTS[len(looks)][0] * ERROR)


@pytest.mark.parametrize(("first", "last"), [(5, 8), (5, 13), (3, 40)])
def test_all_looks_together_miss_with_their_error(first: int, last: int) -> None:
    """Against plain simulation of paired differences, on numbers of its own."""
    looks, studies = plan_looks(first, last), 40_000
    drawn = np.random.default_rng(7).standard_normal((studies, last))
    missed = np.zeros(studies, dtype=np.bool_)
    for look in looks:
        seen = drawn[:, : look.rounds]
        reach = special.stdtrit(look.rounds - 1, 0.5 + look.confidence / 2.0)
        missed |= np.abs(seen.mean(1)) > reach * seen.std(1, ddof=1) / look.rounds**0.5
    assert missed.mean() == pytest.approx(ERROR, abs=0.004)


def test_after_many_answers_the_parts_of_the_error_are_not_read_off_a_few_points() -> None:
    for before in (4, 7, 10):
        error = error_after(before)
        looks = plan_looks(5, 13, error)
        spent = [1.0 - look.confidence for look in looks]
        assert spent == pytest.approx([error * part for part in PARTS[3]])
    read = [1.0 - look.confidence for look in plan_looks(5, 13, error_after(3))]
    assert sum(read) > error_after(3) * 1.01


def test_all_answers_of_a_study_err_no_more_than_twice_the_first() -> None:
    errors = [error_after(looks) for looks in range(40)]
    assert errors[0] == ERROR
    assert errors == sorted(errors, reverse=True)
    assert sum(errors) < 2.0 * ERROR
