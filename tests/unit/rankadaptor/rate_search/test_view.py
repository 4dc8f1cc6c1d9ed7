"""What is said of a search: the verdict of the windows nobody searched on, and all that counts."""

import pytest

from pruning.search.confirmation import confirmed
from pruning.search.evaluation import Evaluation
from pruning.search.progression import search_steps
from pruning.search.run import Found
from pruning.search.searching import Searched
from rankadaptor.rate_search.asking import Asking
from rankadaptor.rate_search.view import confirmed_sentence, spent_sentence, tell
from tests.unit.pruning.search.spaces import space_of

SPACE = space_of(0.5)
UNIFORM = Evaluation(SPACE.uniform, 3.5)
BEST = Evaluation(SPACE.project([0.1, 0.3, 0.5, 0.7, 0.9]), 3.25)


def searched(best: Evaluation, removed: float = 0.5) -> Searched:
    found = Found(best, UNIFORM, 20, 2, 3, 4, ran_dry=False)
    confirmation = None if best is UNIFORM else confirmed([3.0, 3.2], [3.3, 3.6])
    return Searched(found, confirmation, removed, 0.5, {}, torn=False)


@pytest.mark.parametrize(
    ("best", "uniform", "verdict", "is_warning"),
    [
        ([1.0, 1.1], [2.0, 2.2], "better than equal rates", False),
        ([2.0, 2.2], [1.0, 1.1], "worse than equal rates, so prune with equal ones", True),
        ([1.0, 2.0], [2.0, 1.1], "no difference that these windows could tell", True),
    ],
)
def test_the_verdict_is_of_windows_that_nobody_searched_on(
    best: list[float], uniform: list[float], verdict: str, is_warning: bool
) -> None:
    said, warned = confirmed_sentence(confirmed(best, uniform))
    assert said.startswith("on 2 windows that nobody searched on: ")
    assert said.endswith(verdict)
    assert warned == is_warning


def test_what_was_spent_and_could_not_be_used_is_counted() -> None:
    assert spent_sentence(searched(BEST)) == (
        "20 prunings scored, equal rates the first; 3 proposals left what was scored before; 4 "
        "removed less than they say and were moved towards equal rates; 2 gave no finite loss"
    )


def test_the_best_of_many_is_said_to_flatter_itself(capsys: pytest.CaptureFixture[str]) -> None:
    tell(searched(BEST), Asking(search_steps))
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "loss 3.2500, equal rates 3.5000 (-0.2500), the best of 20, which flatters itself" in said
    )
    assert "part of the difference is its size" not in said
    assert "on 2 windows that nobody searched on" in said


def test_one_that_leaves_more_is_said_to_be_larger(capsys: pytest.CaptureFixture[str]) -> None:
    """Equal rates remove what rounding makes of them in all blocks alike."""
    tell(searched(BEST, removed=0.48), Asking(search_steps))
    said = " ".join(capsys.readouterr().err.split())
    assert "it keeps 2.00 points more of the blocks than equal rates" in said


def test_that_nothing_was_better_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    tell(searched(UNIFORM), Asking(search_steps))
    said = " ".join(capsys.readouterr().err.split())
    assert "nothing was better than equal rates (loss 3.5000 on held-out text)" in said
    assert "nobody searched on" not in said
