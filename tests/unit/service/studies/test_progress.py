"""The time left, from the pace of the trials so far."""

import pytest

from rankspace import Purpose, Study, TrialState
from rankspace.recipe import Data, Recipe
from rankspace.study import Recover, Search, StudyState, TrialRun, Verify
from service.studies.progress import progress, remaining_seconds
from service.studies.tally import Tally

STUDY = Study(
    "s",
    "m",
    Recipe(Data("t")),
    search=Search(trial=TrialRun(10)),
    verify=Verify(at="recipe", recipe_seeds=3),
    recover=Recover(steps=100),
)


@pytest.mark.parametrize(("workers", "rounds"), [(1, 6), (2, 3), (4, 2)])
def test_the_recoveries_of_the_pairs_are_shared_by_the_workers(workers: int, rounds: int) -> None:
    """Short trials of 3 s, 2 of them training; so a recovery takes 21 s, the pruned model none."""
    ran = {(Purpose.SEARCH.value, TrialState.DONE.value): 60}
    tally = Tally(ran, {Purpose.SEARCH: 180.0}, trained_steps=600, trained_seconds=120.0)
    counts = progress(STUDY, StudyState.VERIFYING, tally, {})
    assert counts[Purpose.RECOVER].planned == 7
    before, end = remaining_seconds(STUDY, counts, tally, workers)
    assert before is not None
    assert before == pytest.approx(counts[Purpose.VERIFY].planned * 3.0 / workers)
    assert end == pytest.approx(before + rounds * 21.0)
