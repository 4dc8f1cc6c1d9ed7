from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from perfmodel.evidence.comparison import RELEVANT, Pairs, Score, compare
from perfmodel.evidence.text_sampling import TextSampling
from rankspace.verdict import Answer


def pairs_of(scores: Sequence[float | None], rivals: Sequence[float | None]) -> Pairs:
    return Pairs(tuple(map(Score, scores)), tuple(map(Score, rivals)))


def test_the_interval_is_students() -> None:
    differences = [0.3, 0.1, 0.25, 0.4, -0.05]
    found = compare(differences, 0.9)
    low, high = stats.ttest_1samp(differences, 0.0).confidence_interval(0.9)
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high))
    assert found.gain == pytest.approx(0.2)
    assert found.seeds == 5
    assert found.answer is Answer.BETTER


@pytest.mark.parametrize(
    ("differences", "answer"),
    [
        ([1.0, 1.1, 0.9], Answer.BETTER),
        ([-1.0, -1.1, -0.9], Answer.WORSE),
        ([1.0, -1.1, 0.2], Answer.NO_DIFFERENCE_SHOWN),
        ([0.0, 0.0, 0.0], Answer.NO_DIFFERENCE_SHOWN),
    ],
)
def test_the_answer_says_where_zero_lies(differences: list[float], answer: Answer) -> None:
    assert compare(differences).answer is answer


def test_more_confidence_is_a_wider_interval() -> None:
    differences = np.random.default_rng(0).standard_normal(8).tolist()
    assert compare(differences, 0.99).ci_low < compare(differences, 0.95).ci_low


@pytest.mark.parametrize("differences", [[], [1.0]])
def test_one_pair_is_no_comparison(differences: list[float]) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        compare(differences)


def test_two_pairs_have_an_interval_but_no_claim() -> None:
    found = compare([1.0, 1.0])
    assert (found.ci_low, found.answer) == (1.0, Answer.NO_DIFFERENCE_SHOWN)


def test_lost_pairs_are_counted_and_forfeits_are_named() -> None:
    pairs = pairs_of((1.0, None, 2.0, None, 3.0), (0.5, 1.0, None, None, 1.0))
    assert pairs.differences == [0.5, 2.0]
    assert pairs.forfeits == (1, 1)
    found = pairs.compare()
    assert found is not None
    assert (found.seeds, found.failed) == (2, 3)
    assert pairs_of((1.0, None), (0.0, 1.0)).compare() is None


@pytest.mark.parametrize(
    ("scores", "rivals", "answer"),
    [
        ((1.0, 1.1, 0.9, None), (0.0, 0.0, 0.0, 0.0), Answer.NO_DIFFERENCE_SHOWN),
        ((1.0, 1.1, 0.9, None), (0.0, 0.0, 0.0, None), Answer.BETTER),
        ((1.0, 1.1, 0.9, 1.0), (0.0, 0.0, 0.0, None), Answer.BETTER),
        ((-1.0, -1.1, -0.9, None), (0.0, 0.0, 0.0, 0.0), Answer.WORSE),
        ((-1.0, -1.1, -0.9, -1.0), (0.0, 0.0, 0.0, None), Answer.NO_DIFFERENCE_SHOWN),
    ],
)
def test_who_fails_alone_cannot_win(
    scores: tuple[float | None, ...], rivals: tuple[float | None, ...], answer: Answer
) -> None:
    found = pairs_of(scores, rivals).compare()
    assert found is not None
    assert found.answer is answer


def test_the_worst_seed_is_told() -> None:
    assert compare([1.0, -7.0, 2.0]).worst == -7.0


def test_a_gain_that_matters_to_nobody_is_not_better() -> None:
    differences = [0.019, 0.021, 0.020, 0.020]
    assert compare(differences).answer is Answer.BETTER
    assert compare(differences, least_gain=0.018).answer is Answer.BETTER
    assert compare(differences, least_gain=0.02).answer is Answer.NO_DIFFERENCE_SHOWN


def test_the_least_gain_is_a_tenth_of_one_trials_noise() -> None:
    rng = np.random.default_rng(0)
    found = compare((3.0 * rng.standard_normal(9000) - 3.0 * rng.standard_normal(9000)).tolist())
    assert found.least_gain == pytest.approx(RELEVANT * 3.0, rel=0.02)


def test_text_sampling_never_narrows_the_interval() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        differences = rng.standard_normal(rng.integers(2, 9)).tolist()
        texts = TextSampling(float(rng.exponential() ** 3), 300, float(rng.integers(1, 299)), 5)
        alone, both = compare(differences), compare(differences, texts=texts)
        assert both.ci_high - both.ci_low >= alone.ci_high - alone.ci_low
        assert both.texts == texts.count


def test_the_errors_of_seeds_and_texts_add_up_in_squares() -> None:
    differences = [1.0, -1.0] * 500
    variance = float(np.var(differences, ddof=1)) / 1000
    found = compare(differences, texts=TextSampling(3.0 * variance, 1001, 1000.0, 1000))
    assert found.ci_high == pytest.approx(2.0 * 1.96 * variance**0.5, rel=0.01)
