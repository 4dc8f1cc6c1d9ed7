import math

import pytest

from rankspace import Observation, RankVector
from rankspace.errors import InvalidInput


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_refused(score: float) -> None:
    with pytest.raises(InvalidInput) as caught:
        Observation(RankVector((1,)), score)
    assert caught.value.field == "score"
    assert "None" in caught.value.hint


@pytest.mark.parametrize("fidelity", [math.nan, 0.0, 1.1])
def test_fidelity_is_a_share(fidelity: float) -> None:
    with pytest.raises(InvalidInput) as caught:
        Observation(RankVector((1,)), 0.5, fidelity=fidelity)
    assert caught.value.field == "fidelity"


def test_a_failed_trial_has_no_score() -> None:
    assert Observation(RankVector((1,)), None).score is None
