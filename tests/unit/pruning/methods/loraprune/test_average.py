"""The moving average of scores."""

import pytest
import torch

from pruning.methods.importance import Importance
from pruning.methods.loraprune.average import MovingAverage


def scores(*values: float) -> dict[int, Importance]:
    return {3: Importance(torch.tensor(values[:2]), torch.tensor(values[2:]))}


def test_the_average_is_written_out_step_by_step() -> None:
    average = MovingAverage(0.9)
    expected = [0.0, 0.0, 0.0]
    for step in ([1.0, 2.0, 3.0], [5.0, -1.0, 0.5], [0.25, 8.0, 1.0]):
        average.take(scores(*step))
        expected = [0.9 * old + 0.1 * new for old, new in zip(expected, step, strict=True)]
    found = average.scores[3]
    assert found.kv_heads.tolist() == pytest.approx(expected[:2])
    assert found.channels.tolist() == pytest.approx(expected[2:])
    assert average.skipped == 0


@pytest.mark.parametrize("broken", [(1.0, 2.0, torch.nan), (torch.nan, 2.0, 3.0)])
def test_a_step_with_a_nan_anywhere_is_left_out_and_counted(broken: tuple[float, ...]) -> None:
    average = MovingAverage(0.5)
    average.take({**scores(*broken), 4: scores(1.0, 1.0, 1.0)[3]})
    assert average.scores == {}
    average.take(scores(2.0, 4.0, 6.0))
    average.take(scores(*broken))
    assert average.skipped == 2
    assert average.scores[3].kv_heads.tolist() == [1.0, 2.0]
