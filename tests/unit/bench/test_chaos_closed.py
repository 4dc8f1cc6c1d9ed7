"""Studies that nobody can open: what must have become of them."""

from dataclasses import replace

from bench.chaos.work import Closed

PAUSED = Closed(studies=2, paused=2, workers=5, measured=0)


def test_all_of_them_must_have_paused_without_a_result() -> None:
    assert PAUSED.problems() == []


def test_one_that_goes_on_is_a_problem() -> None:
    assert "1 studies" in replace(PAUSED, paused=1).problems()[0]


def test_a_result_is_a_problem() -> None:
    assert "3 trials count" in replace(PAUSED, measured=3).problems()[0]
