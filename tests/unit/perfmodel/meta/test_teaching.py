"""Which trials of other studies are learned from as they are."""

from dataclasses import replace

import numpy as np
import pytest

from perfmodel import ModelState, random_vectors, start
from perfmodel.meta.finished import FinishedStudy
from perfmodel.meta.teaching import LEAST_ROWS, _rows, _shares, teaching
from perfmodel.strategies.rankadaptor import offline
from perfmodel.strategies.training_set import MinMaxScaling
from rankspace import Layer, Observation, RankVector, SearchSpace
from rankspace.observation import MOST_DEVIATIONS, MOST_ROWS, MOST_TAUGHT_RANKS, Taught
from tests.unit.perfmodel.meta.worlds import truth, world

ONE = world(0, blocks=2)
SPACE = ONE.study.space
SEEN = ONE.study.observations


def changed(index: int, **changes: object) -> FinishedStudy:
    """The first world's study with another observation at ``index``."""
    seen = list(ONE.study.observations)
    seen[index] = replace(seen[index], **changes)  # type: ignore[arg-type]
    return replace(ONE.study, observations=tuple(seen))


def taught_by(*studies: FinishedStudy) -> Taught:
    taught = teaching(studies, SPACE).taught
    assert taught is not None
    return taught


def test_rows_are_in_the_units_of_their_own_study() -> None:
    alike = replace(
        ONE.study,
        name="in other units",
        observations=tuple(
            replace(seen, score=1000.0 * (seen.score or 0.0) - 7.0)
            for seen in ONE.study.observations
        ),
    )
    taught = taught_by(ONE.study, alike)
    rows = len(taught.vectors) // 2
    assert taught.vectors[:rows] == tuple(s.rank_vector.ranks for s in SEEN)
    assert taught.scores[:rows] == pytest.approx(taught.scores[rows:], abs=1e-3)
    assert np.median(taught.scores) == pytest.approx(0.0, abs=0.1)
    assert np.std(taught.scores) == pytest.approx(1.0, abs=0.1)


def test_studies_of_other_layers_are_left_out_and_told_why() -> None:
    named = replace(SPACE, layers=(*SPACE.layers[:-1], replace(SPACE.layers[-1], name="x")))
    renamed = replace(ONE.study, name="renamed", space=named)
    longer = world(2, blocks=3).study
    found = teaching([longer, renamed, ONE.study], SPACE)
    assert found.studies == (ONE.study.name,)
    assert found.left_out[longer.name] == "has 21 layers, here are 14"
    assert found.left_out["renamed"] == f"its layer 13 is x, here {SPACE.layers[-1].name}"
    nothing = teaching([longer], SPACE)
    assert (nothing.taught, nothing.studies) == (None, ())


def test_trials_off_the_budget_of_other_seeds_and_failed_ones_do_not_count() -> None:
    count = len(taught_by(ONE.study).vectors)
    dear = RankVector((8,) * len(SPACE.layers))
    for study in (
        changed(3, rank_vector=dear),
        changed(3, seed=5),
        changed(3, fidelity=0.5),
        changed(3, score=None),
    ):
        assert len(taught_by(study).vectors) == count - 1


@pytest.mark.parametrize(
    ("study", "why"),
    [
        (replace(ONE.study, observations=ONE.study.observations[: LEAST_ROWS - 1]), "7 scored"),
        (replace(ONE.study, observations=()), "0 scored trials"),
        (changed(3, score=1e308), "score beyond"),
        (changed(3, score=-2e6), "score beyond"),
        (
            replace(
                ONE.study,
                observations=tuple(replace(s, score=1.0) for s in ONE.study.observations),
            ),
            "all alike",
        ),
    ],
)
def test_what_teaches_nothing_is_told(study: FinishedStudy, why: str) -> None:
    found = teaching([study], SPACE)
    assert found.taught is None
    assert why in found.left_out[study.name]


def test_a_diverged_trial_is_pulled_in() -> None:
    taught = taught_by(changed(3, score=-9e5))
    assert min(taught.scores) > -5.0
    assert max(map(abs, taught_by(changed(3, score=9e5)).scores)) <= MOST_DEVIATIONS


def lengthy(*trials: int, layers: int = 4) -> list[FinishedStudy]:
    """Studies of so many trials each on the same layers."""
    space = SearchSpace(tuple(Layer(f"{i}", 1) for i in range(layers)), (0, 1, 2, 4, 8), 3 * layers)
    vectors = [RankVector((2, 4) * (layers // 2)), RankVector((4, 2) * (layers // 2))]
    return [
        FinishedStudy(
            f"study {index}",
            space,
            ONE.study.context.__class__(),
            tuple(Observation(vectors[at % len(vectors)], float(at % 7)) for at in range(count)),
        )
        for index, count in enumerate(trials)
    ]


@pytest.mark.parametrize(
    ("trials", "rows"),
    [
        ((3_000, 100), [MOST_ROWS - 100, 100]),
        ((100, 3_000, 2_000), [100, 450, 450]),
        ((20, 900, 81, 21), [20, 1_000 - 20 - 81 - 21, 81, 21]),
        ((400, 400), [400, 400]),
    ],
)
def test_of_too_many_trials_each_study_gives_its_share_and_what_short_ones_leave(
    trials: tuple[int, ...], rows: list[int]
) -> None:
    studies = lengthy(*trials)
    found = teaching(studies, studies[0].space)
    assert found.taught is not None
    assert len(found.taught.vectors) == sum(rows) <= MOST_ROWS
    shares = _shares({one.name: _rows(one) for one in studies}, MOST_ROWS)
    assert list(shares.values()) == rows


@pytest.mark.parametrize(("count", "layers"), [(1_001, 4), (1_500, 4), (286, 224)])
def test_of_too_many_studies_the_first_ones_give_a_row_each(count: int, layers: int) -> None:
    studies = lengthy(*[8] * count, layers=layers)
    room = min(MOST_ROWS, MOST_TAUGHT_RANKS // layers)
    found = teaching(studies, studies[0].space)
    assert found.taught is not None
    assert len(found.taught.vectors) == room
    assert found.studies == tuple(one.name for one in studies[:room])
    assert list(found.left_out) == [one.name for one in studies[room:]]
    assert all(f"others that give {room:,} rows" in why for why in found.left_out.values())


def test_a_space_of_too_many_layers_learns_nothing() -> None:
    studies = lengthy(8, layers=MOST_TAUGHT_RANKS + 2)
    found = teaching(studies, studies[0].space)
    assert found.taught is None
    assert "too many layers" in found.left_out["study 0"]


def test_the_perceptron_is_taught_the_rows_instead_of_the_prior() -> None:
    begun = replace(start(SPACE, strategy="rankadaptor"), taught=taught_by(ONE.study))
    fresh = random_vectors(SPACE, 100, seed=77)
    said = offline(begun)(MinMaxScaling.of(SPACE)(fresh))
    assert np.corrcoef(said, truth(ONE, fresh))[0, 1] > 0.7
    restored = ModelState.from_bytes(begun.to_bytes())
    assert restored == begun
    assert (offline(restored)(MinMaxScaling.of(SPACE)(fresh)) == said).all()


def test_a_rank_beyond_the_highest_of_here_counts_as_the_highest() -> None:
    rows = taught_by(ONE.study)
    high = tuple(tuple(9_999 if rank == 8 else rank for rank in v) for v in rows.vectors)
    begun = start(SPACE, strategy="rankadaptor")
    known, other = (
        offline(replace(begun, taught=taught)) for taught in (rows, Taught(high, rows.scores))
    )
    for mine, its in zip(known.weights, other.weights, strict=True):
        assert (mine == its).all()


def test_a_state_of_before_has_no_rows_and_says_nothing_of_them() -> None:
    assert b"taught" not in start(SPACE).to_bytes()
