from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from perfmodel.meta.evaluation import Held, HoldOut, leave_out, possible, spread_of
from perfmodel.meta.lesson import Lesson, lessons_of
from perfmodel.meta.methods import METHODS
from perfmodel.meta.prior import MetaPrior
from perfmodel.meta.scorecard import MEAN, Scorecard, scorecards
from perfmodel.meta.training import train, train_on
from rankspace import Context
from rankspace.errors import InvalidInput
from tests.unit.perfmodel.meta.worlds import world

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def held(lessons: tuple[Lesson, ...]) -> Sequence[Held]:
    """What the others say of each study."""
    return leave_out(lessons, HoldOut.STUDY)


@pytest.fixture(scope="module")
def means(lessons: tuple[Lesson, ...]) -> dict[str, Scorecard]:
    """How well each method foretells, on average."""
    return {method: scorecards(lessons, HoldOut.STUDY, method)[-1] for method in METHODS}


def test_the_prior_learns_what_determines_worth(prior: MetaPrior) -> None:
    unseen = world(99)
    belief = prior.belief(unseen.study.space, unseen.study.context)
    assert belief is not None
    assert spearmanr(belief.log_worth, unseen.log_worth)[0] > 0.8
    error = np.array(belief.log_worth) - np.array(unseen.log_worth)
    assert error.std() < 0.6 * np.std(unseen.log_worth)


def test_the_spread_is_the_error_on_what_was_not_seen(prior: MetaPrior) -> None:
    errors = []
    for seed in range(90, 96):
        unseen = world(seed)
        belief = prior.belief(unseen.study.space, unseen.study.context)
        assert belief is not None
        errors.extend(np.array(belief.log_worth) - np.array(unseen.log_worth))
    assert prior.spread == pytest.approx(np.std(errors), rel=0.5)


def test_inverted_labels_make_an_inverted_prior(lessons: tuple[Lesson, ...]) -> None:
    unseen = world(99)
    inverted = train_on(tuple(lesson.inverted() for lesson in lessons))
    belief = inverted.belief(unseen.study.space, unseen.study.context)
    assert belief is not None
    assert spearmanr(belief.log_worth, unseen.log_worth)[0] < -0.8


def test_the_same_studies_give_the_same_bytes_in_any_order() -> None:
    studies = [world(seed, blocks=3, trials=60).study for seed in range(3)]
    first = train(studies, made="2026-01-31").to_bytes()
    assert train(studies[::-1], made="2026-01-31").to_bytes() == first
    assert train(studies[:2], made="2026-01-31").to_bytes() != first


def test_a_study_without_profiles_or_trials_is_no_lesson() -> None:
    study = world(0).study
    bare = replace(study, context=Context())
    short = replace(study, observations=study.observations[:5])
    assert lessons_of([bare, short]) == ()
    assert len(lessons_of([bare, short, study])) == 1


def test_one_model_is_not_enough() -> None:
    study = world(0).study
    twin = replace(study, name="twin")
    with pytest.raises(InvalidInput, match=r"studies = .*world 0"):
        train([study, twin])


def test_studies_of_one_model_are_held_out_together(lessons: tuple[Lesson, ...]) -> None:
    twin = replace(lessons[0], study=replace(lessons[0].study, name="twin"))
    by_study = leave_out((*lessons, twin), HoldOut.STUDY)
    by_family = leave_out(lessons, HoldOut.FAMILY)
    assert [held.teachers for held in by_study] == [5, 6, 6, 6, 6, 6, 5]
    assert [held.teachers for held in by_family] == [4] * 6


def test_base_models_are_held_out_where_there_are_two(lessons: tuple[Lesson, ...]) -> None:
    one = tuple(replace(lesson, study=replace(lesson.study, family="same")) for lesson in lessons)
    assert possible(lessons)[-1] is HoldOut.FAMILY
    assert possible(one) == (HoldOut.STUDY,)
    assert train_on(one).provenance.held_out == "study"


def test_a_held_out_study_does_not_teach(lessons: tuple[Lesson, ...], held: Sequence[Held]) -> None:
    """Labels of the one held out may be anything: what is said of it stays the same."""
    liar = (*lessons[:2], lessons[2].inverted(), *lessons[3:])
    misled = leave_out(liar, HoldOut.STUDY)
    assert np.array_equal(misled[2].log_worth, held[2].log_worth)
    assert not np.array_equal(misled[0].log_worth, held[0].log_worth)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_foretells_a_part(method: str, means: dict[str, Scorecard]) -> None:
    mean = means[method]
    assert mean.study == MEAN
    assert mean.rank_correlation > 0.5
    assert mean.explained > 0.2
    assert mean.score_correlation_equal < mean.score_correlation < mean.score_correlation_own
    assert mean.rank_correlation < mean.ceiling <= 1.0


def test_profiles_are_worth_something_beyond_the_kind(means: dict[str, Scorecard]) -> None:
    assert means["xgboost"].explained > means["kind means"].explained + 0.1


@pytest.mark.slow
def test_the_better_the_prediction_the_smaller_the_spread(held: Sequence[Held]) -> None:
    perfect = [replace(one, log_worth=one.lesson.labels.log_worth) for one in held]
    wrong = [replace(one, log_worth=-one.log_worth) for one in held]
    assert spread_of(perfect) < 0.7 * spread_of(held)
    assert spread_of(held) < 0.7 * spread_of(wrong)
