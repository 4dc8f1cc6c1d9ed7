"""What the held-out texts at hand add to the error of a gain, against simulation."""

import numpy as np
import pytest

from perfmodel.arrays import Floats
from perfmodel.evidence.comparison import Pairs, Score
from perfmodel.evidence.text_sampling import text_sampling
from rankspace.observation import TextLosses

SEEDS, TEXTS = 6, 60
TOKENS = tuple(int(10 + 7 * (at % 5)) for at in range(TEXTS))


def told(losses: Floats) -> TextLosses:
    """Per-token losses by text, ``(TEXTS,)``."""
    sums = losses * np.array(TOKENS)
    return TextLosses(tuple(sums.tolist()), TOKENS)


def study(
    rng: np.random.Generator, *, seeds: float, texts: float, both: float
) -> tuple[list[TextLosses], list[TextLosses]]:
    """Two vectors without a true difference; standard deviations of what makes one."""
    level = 3.0 + rng.normal(size=TEXTS)
    gain = (
        seeds * rng.normal(size=(SEEDS, 1))
        + texts * rng.normal(size=TEXTS)
        + both * rng.normal(size=(SEEDS, TEXTS))
    )
    shared = level + 0.3 * rng.normal(size=(SEEDS, 1))
    return [told(row) for row in shared - gain], [told(row) for row in shared]


@pytest.mark.parametrize("both", [0.0, 1.0])
def test_the_variance_is_that_of_drawing_other_texts(both: float) -> None:
    rng = np.random.default_rng(0)
    weights = np.array(TOKENS) / sum(TOKENS)
    expected = 0.25 * float(weights @ weights)
    drawn = [study(rng, seeds=0.2, texts=0.5, both=both) for _ in range(400)]
    found = [text_sampling(*one) for one in drawn]
    variances = [one.variance for one in found if one is not None]
    assert len(variances) == 400
    assert np.mean(variances) == pytest.approx(expected, rel=0.1)


def test_what_all_texts_share_is_no_sampling_of_texts() -> None:
    found = text_sampling(*study(np.random.default_rng(1), seeds=5.0, texts=0.0, both=0.0))
    assert found is not None
    assert found.variance == pytest.approx(0.0, abs=1e-12)


def test_the_interval_covers_zero_where_texts_differ_and_the_vectors_do_not() -> None:
    rng = np.random.default_rng(2)
    covered = {True: 0, False: 0}
    for _ in range(600):
        one, rival = study(rng, seeds=0.05, texts=0.5, both=0.1)
        for are_told in covered:
            pairs = Pairs(
                tuple(Score(-a.mean, a if are_told else None) for a in one),
                tuple(Score(-b.mean, b if are_told else None) for b in rival),
            )
            found = pairs.compare()
            assert found is not None
            assert found.texts == (TEXTS if are_told else 0)
            covered[are_told] += found.ci_low <= 0.0 <= found.ci_high
    assert 0.93 <= covered[True] / 600 <= 0.98
    assert covered[False] / 600 < 0.85


def test_without_two_pairs_or_with_losses_of_other_texts_nothing_is_said() -> None:
    one, rival = study(np.random.default_rng(3), seeds=1.0, texts=1.0, both=0.0)
    assert text_sampling(one, [rival[0], *[None] * (SEEDS - 1)]) is None
    other = TextLosses(rival[0].losses, (*TOKENS[:-1], 1))
    assert text_sampling(one, [other, *rival[1:]]) is None
    assert text_sampling(one, rival) is not None


def test_one_trial_that_did_not_tell_takes_only_its_pair_with_it() -> None:
    one, rival = study(np.random.default_rng(4), seeds=0.1, texts=0.5, both=0.1)
    whole, most = text_sampling(one, rival), text_sampling(one, [None, *rival[1:]])
    assert whole is not None
    assert most is not None
    assert (whole.pairs, most.pairs) == (SEEDS, SEEDS - 1)
    assert most.variance == pytest.approx(whole.variance, rel=0.1)
    scores = [tuple(Score(-a.mean, a) for a in side) for side in (one, rival)]
    lost = (scores[0], (Score(scores[1][0].value), *scores[1][1:]))
    found, before = Pairs(*lost).compare(), Pairs(scores[0], scores[1]).compare()
    assert found is not None
    assert before is not None
    assert found.texts == TEXTS
    assert found.texts_seeds == SEEDS - 1
    assert found.ci_high - found.ci_low == pytest.approx(before.ci_high - before.ci_low, rel=0.1)


def test_one_text_that_is_nearly_all_of_them_is_no_division_by_zero() -> None:
    tokens = (10**17, 1)
    one, rival = TextLosses((1e17, 9.0), tokens), TextLosses((1.1e17, 3.0), tokens)
    found = text_sampling([one, one, rival], [rival, one, one])
    assert found is not None
    assert np.isfinite(found.variance)
    assert found.freedom == 1.0


def test_unequal_texts_have_the_freedom_of_as_many_as_weigh_the_same() -> None:
    """Of 16 groups of log-normal sizes the largest hold most tokens; the interval still covers."""
    rng, covered, times = np.random.default_rng(5), 0, 1500
    for _ in range(times):
        tokens = np.maximum(1, rng.lognormal(3.0, 1.2, 16)).astype(int)
        gains = 2.0 * rng.normal(size=16) + 0.2 * rng.normal(size=(5, 1))
        ours = [TextLosses(tuple(((10.0 - row) * tokens).tolist()), tuple(tokens)) for row in gains]
        theirs = TextLosses(tuple((10.0 * tokens).tolist()), tuple(tokens))
        pairs = Pairs(
            tuple(Score(-a.mean, a) for a in ours), (Score(-theirs.mean, theirs),) * len(ours)
        )
        found = pairs.compare()
        assert found is not None
        covered += found.ci_low <= 0.0 <= found.ci_high
    assert 0.93 <= covered / times <= 0.975
