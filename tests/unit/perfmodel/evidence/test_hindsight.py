"""What the verification measured is learned, whatever its seeds and its data do to all scores."""

import pytest

from perfmodel import predict
from perfmodel.evidence.hindsight import hindsight
from perfmodel.evidence.verification import Scored
from rankspace import RankVector
from rankspace.study import StrategyName
from tests.unit.perfmodel.evidence.test_front import SPACE, searched

UNIFORM = SPACE.uniform()
DEAR = RankVector((0, 2, 4) * 4)


def verified(gain: float, level: float, count: int = 6) -> list[Scored]:
    """A vector beside uniform, on seeds that each move both."""
    seeds = range(1_000, 1_000 + count)
    return [
        one
        for seed in seeds
        for one in (
            Scored(UNIFORM, seed, level + seed % 3),
            Scored(DEAR, seed, level + seed % 3 + gain),
        )
    ]


@pytest.mark.parametrize("strategy", [StrategyName.ADDITIVE, StrategyName.SWAP, StrategyName.GP])
@pytest.mark.parametrize("level", [0.0, 50.0])
def test_the_prediction_moves_towards_what_was_measured(strategy: str, level: float) -> None:
    state = searched(16, strategy)
    before = predict(state, [DEAR, UNIFORM])[0]
    promised = before[0] - before[1]
    worse = promised - 2.0
    after = predict(hindsight(state, verified(worse, level)), [DEAR, UNIFORM])[0]
    gain = after[0] - after[1]
    assert gain < promised - 0.5
    assert abs(after[1] - before[1]) < 2.0  # uniform stays where the search saw it


def test_a_level_that_all_scores_share_changes_nothing() -> None:
    state = searched(16)
    low, high = (hindsight(state, verified(-0.5, level)) for level in (0.0, 50.0))
    known, moved = (predict(one, [DEAR, UNIFORM])[0] for one in (low, high))
    assert known == pytest.approx(moved, abs=1e-9)


def test_what_has_no_pair_says_nothing() -> None:
    state = searched(8)
    alone = [Scored(DEAR, 7, 99.0), Scored(UNIFORM, 8, 1.0), Scored(DEAR, 8, None)]
    failed = [Scored(UNIFORM, 9, None), Scored(DEAR, 9, 99.0)]
    assert hindsight(state, [*alone, *failed]) is state
    assert hindsight(state, ()) is state


def test_the_search_s_own_state_is_not_touched() -> None:
    state = searched(16)
    before = state.to_bytes()
    known = predict(state, [DEAR])[0][0]
    assert hindsight(state, verified(-5.0, 0.0)) is not state
    assert state.to_bytes() == before
    assert predict(state, [DEAR])[0][0] == known


@pytest.mark.parametrize(("count", "told"), [(1, 0), (2, 1), (3, 1), (6, 3), (7, 3)])
def test_two_differences_are_told_as_one_trial_whose_noise_they_have(count: int, told: int) -> None:
    state = searched(8)
    after = hindsight(state, verified(-1.0, 0.0, count))
    assert len(after.observations) - len(state.observations) == told


def test_nothing_of_what_was_measured_is_left_out() -> None:
    state = searched(8)
    level = float(predict(state, [UNIFORM])[0][0])
    gains = [1.0, 2.0, 6.0, 3.0, 3.0]
    seen = [
        one
        for seed, gain in enumerate(gains)
        for one in (Scored(DEAR, seed, gain), Scored(UNIFORM, seed, 0.0))
    ]
    told = hindsight(state, seen[::-1]).observations[len(state.observations) :]
    assert [one.score for one in told] == pytest.approx([level + 1.5, level + 4.0])
