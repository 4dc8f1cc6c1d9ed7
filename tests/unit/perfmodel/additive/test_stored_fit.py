"""A refit kept for a restart: the same proposals from it as from the whole history."""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from perfmodel import ModelState, learn, propose, random_vectors, start
from perfmodel.additive import stored_fit
from perfmodel.additive.basis import Basis
from perfmodel.additive.belief import Belief
from perfmodel.additive.fit import Fit, refit
from perfmodel.arrays import Floats
from rankspace import Layer, Observation, SearchSpace

pytestmark = pytest.mark.slow

LAYERS = tuple(Layer(f"{i}", 3 + i, i // 2, "qv"[i % 2]) for i in range(8))
SPACE = SearchSpace(LAYERS, (0, 1, 2, 4), 2 * sum(layer.parameters_per_rank for layer in LAYERS))
KNOWN, MORE = 24, 8


def _history() -> list[Observation]:
    rng = np.random.default_rng(0)
    found = [Observation(SPACE.uniform(), None)]
    for at, vector in enumerate(random_vectors(SPACE, KNOWN + MORE, seed=1)):
        score = float(np.log1p(vector.ranks).sum() + 0.1 * rng.standard_normal())
        found.append(Observation(vector, score, seed=at % 3, fidelity=(0.5, 1.0)[at % 2]))
    return found


@pytest.fixture(scope="module")
def whole() -> ModelState:
    return learn(start(SPACE, trials=200), _history())


@pytest.fixture(scope="module")
def kept() -> bytes:
    content = _of(_history()[: 1 + KNOWN])
    assert content is not None
    return content


def _of(history: list[Observation]) -> bytes | None:
    state = learn(start(SPACE, trials=200), history)
    assert state.posterior is not None
    return state.kept_fit(1)


def test_a_restart_from_a_kept_fit_proposes_what_the_whole_history_does(
    whole: ModelState, kept: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = propose(whole, count=3)
    fresh = learn(start(SPACE, trials=200), _history())
    assert fresh.take_up(kept)
    sizes: list[int] = []

    def counted(basis: Basis, seen: tuple[Observation, ...], before: Fit | None, home: int) -> Fit:
        sizes.append(len(seen))
        return refit(basis, seen, before, home)

    monkeypatch.setattr("perfmodel.additive.posterior.refit", counted)
    assert propose(fresh, count=3)[1] == expected
    assert min(sizes) > KNOWN
    assert whole.posterior is not None
    assert fresh.posterior is not None
    assert np.array_equal(fresh.posterior.gaussian.mean, whole.posterior.gaussian.mean)
    assert fresh.posterior.noise == whole.posterior.noise
    assert fresh.posterior.fit.misleads == whole.posterior.fit.misleads


def test_only_a_fit_that_is_of_enough_scores_is_kept(whole: ModelState) -> None:
    assert whole.posterior is not None
    there = len(whole.posterior.fit.measurements.seen)
    assert whole.kept_fit(there) is not None
    assert whole.kept_fit(there + 1) is None
    assert learn(start(SPACE), _history()).kept_fit(0) is None  # nothing derived yet


def has_nothing(state: ModelState) -> bool:
    """Whether it has taken up nothing: once it has, it takes up anything."""
    return not state.take_up(b"")


@pytest.mark.parametrize("change", ["score", "seed", "fidelity", "fewer"])
def test_a_fit_of_other_trials_is_learned_anew(kept: bytes, change: str) -> None:
    history = _history()
    first = history[1]
    values = {"score": first.score, "seed": first.seed, "fidelity": first.fidelity}
    if change == "fewer":
        history = history[: KNOWN // 2]
    else:
        values[change] = 0.25 if change != "seed" else 7
        history[1] = Observation(first.rank_vector, **values)  # type: ignore[arg-type]
    state = learn(start(SPACE, trials=200), history)
    assert not state.take_up(kept)
    assert has_nothing(state)


def test_a_fit_that_began_with_another_opinion_is_learned_anew(kept: bytes) -> None:
    """Further scores of a survey change the opinion, and none of the trials."""
    opinion = Belief(tuple(0.1 * at for at in range(len(SPACE.layers))), "another")
    assert not replace(learn(start(SPACE, trials=200), _history()), belief=opinion).take_up(kept)


def _without(content: bytes, name: str) -> bytes:
    with np.load(io.BytesIO(content)) as stored:
        return _saved({n: stored[n] for n in stored.files if n != name})


def _with(content: bytes, name: str, change: Callable[[Floats], Floats]) -> bytes:
    with np.load(io.BytesIO(content)) as stored:
        return _saved({**stored, name: change(stored[name])})


def _saved(arrays: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: b"",
        lambda kept: b"nonsense",
        lambda kept: kept[: len(kept) // 2],
        lambda kept: kept[:200] + bytes(200) + kept[400:],
        lambda kept: _without(kept, "shares"),
        lambda kept: _without(kept, "head"),
        lambda kept: _with(kept, "gaussian rows", lambda rows: rows * np.nan),
        lambda kept: _with(kept, "gaussian rows", lambda rows: rows[:, :-1]),
        lambda kept: _with(kept, "gaussian targets", lambda targets: targets + np.inf),
        lambda kept: _with(kept, "gaussian prior_mean", lambda mean: mean + np.inf),
        lambda kept: _with(kept, "gaussian prior_variance", lambda variance: -variance),
    ],
)
def test_a_damaged_fit_is_as_good_as_none(kept: bytes, damage: Any) -> None:
    state = learn(start(SPACE, trials=200), _history())
    assert not state.take_up(damage(kept))
    assert has_nothing(state)


def test_what_was_not_taken_up_changes_no_proposal(whole: ModelState, kept: bytes) -> None:
    state = learn(start(SPACE, trials=200), _history())
    assert not state.take_up(kept[: len(kept) // 2])
    assert propose(state)[1] == propose(whole)[1]


def test_a_fit_of_a_study_with_another_seed_is_learned_anew(kept: bytes) -> None:
    assert not learn(start(SPACE, trials=200, seed=1), _history()).take_up(kept)


def test_a_fit_of_another_version_is_learned_anew(
    kept: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_fit, "VERSION", stored_fit.VERSION + 1)
    assert not learn(start(SPACE, trials=200), _history()).take_up(kept)


def test_a_pickle_is_never_opened(whole: ModelState) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, head=np.array([object()], dtype=object))
    assert not learn(start(SPACE), _history()).take_up(buffer.getvalue())
