"""Racing: who is stopped, who never is, and how often the later winner is."""

import numpy as np
import pytest

from bench.racing import SETTINGS, Setting, race, simulate
from perfmodel import start
from perfmodel.evidence.racing import (
    LEAST_FINISHED,
    LOOKS,
    Advice,
    Curve,
    Finished,
    advise,
    look_at,
    risk_per_look,
    spared,
)
from rankspace import Layer, SearchSpace
from rankspace.lease import Action

STEPS = np.arange(1, 41)
BATCHES = 3.0 - 0.02 * STEPS + np.random.default_rng(0).standard_normal(40)


def curve(quality: float, seed: int = 0, noise: float = 0.01) -> Curve:
    """Lower by ``quality`` from the start, on batches all curves share."""
    own = noise * np.random.default_rng([seed, 9]).standard_normal(40)
    return Curve(STEPS, BATCHES - quality + own)


def field(count: int = 20, sign: float = 1.0) -> list[Finished]:
    qualities = np.linspace(-1.0, 1.0, count)
    return [Finished(curve(q, at), float(sign * q)) for at, q in enumerate(qualities)]


def judge(quality: float, finished: list[Finished]) -> Advice:
    return advise(curve(quality, seed=99), finished, risk=1e-3)


def test_a_hopeless_trial_is_stopped_and_a_promising_one_is_not() -> None:
    assert judge(-0.5, field()).action is Action.STOP
    assert judge(0.999, field()).action is Action.CONTINUE
    assert judge(1.5, field()).probability == pytest.approx(1.0)


def test_nothing_is_said_before_enough_trials_are_finished() -> None:
    found = judge(-0.5, field(LEAST_FINISHED - 1))
    assert (found.action, found.probability) == (Action.CONTINUE, None)
    assert judge(-0.5, field(LEAST_FINISHED)).action is Action.STOP


def test_being_further_behind_never_helps() -> None:
    near = field(LEAST_FINISHED)  # few trials: the slope is uncertain, far away it dominates
    noisy = [Finished(curve(0.02 * one.score, at), one.score) for at, one in enumerate(near)]
    chances = [judge(-0.01 * 1.5**at, noisy).probability for at in range(30)]
    known = np.array(chances, dtype=np.float64)
    assert (np.diff(known) <= 1e-12).all()
    assert known[0] > known[-1]


def test_losses_are_compared_at_the_same_steps_only() -> None:
    """The batches differ by far more than the trials do, so other steps would tell nothing."""
    running = curve(-0.5, seed=99)
    sparse = Curve(running.steps[::2], running.losses[::2])
    full, thinned = advise(running, field(), risk=1e-3), advise(sparse, field(), risk=1e-3)
    assert (full.action, thinned.action) == (Action.STOP, Action.STOP)
    odd = [Finished(Curve(f.curve.steps[1::2], f.curve.losses[1::2]), f.score) for f in field()]
    assert advise(sparse, odd, risk=1e-3).probability is None  # no step in common
    few = [Finished(f.curve.between(0, 24), f.score) for f in field()]
    assert advise(running, few, risk=1e-3).probability is None  # 4 of the window's 20
    half = [Finished(f.curve.between(0, 30), f.score) for f in field()]
    assert advise(running, half, risk=1e-3).action is Action.STOP  # 10 of 20


def test_pairs_are_put_in_order_and_nan_left_out() -> None:
    found = Curve.of([(3, 1.0), (1, 2.0), (2, float("nan")), (3, 1.5), (4, float("inf"))])
    assert (found.steps.tolist(), found.losses.tolist()) == ([1, 3], [2.0, 1.5])
    assert Curve.of([]).last == 0
    assert advise(Curve.of([]), field(), risk=0.5).action is Action.CONTINUE
    broken = [*field(), Finished(curve(0.0), float("nan"))]
    assert judge(-0.5, broken) == judge(-0.5, field())


def test_a_diverged_trial_does_not_bend_the_line() -> None:
    diverged = Finished(curve(-50.0), -2.0)
    assert judge(-0.5, [*field(), diverged]).action is Action.STOP
    wild = judge(0.9, [*field(), diverged]).probability
    assert wild == pytest.approx(judge(0.9, field()).probability, rel=1e-6)


def test_curves_that_point_the_wrong_way_stop_nobody() -> None:
    found = judge(-0.5, field(sign=-1.0))
    assert (found.action, found.probability) == (Action.CONTINUE, None)


def test_who_started_worse_and_ended_best_is_remembered() -> None:
    late = Finished(curve(-0.6), 1.4)
    assert judge(-0.9, field(40)).action is Action.STOP
    assert judge(-0.9, [*field(40), late]).action is Action.CONTINUE


def test_looks_and_shares_of_the_risk() -> None:
    assert [look_at(step, 100) for step in (29, 30, 49, 99)] == [None, 30, 30, 70]
    assert risk_per_look(0.02, 60) * 60 * len(LOOKS) == pytest.approx(0.02)


def test_the_design_is_spared() -> None:
    layers = tuple(Layer(f"{at}", 1) for at in range(56))
    for trials in (8, 30, 60, 200):
        state = start(SearchSpace(layers, (0, 1, 2, 4), 112), trials=trials)
        assert spared(trials, 56) >= max(LEAST_FINISHED, len(state.setup.design))
        assert spared(trials, 56) <= max(LEAST_FINISHED, trials // 2)


@pytest.mark.parametrize("setting", [SETTINGS[0], SETTINGS[3], SETTINGS[4]], ids=lambda s: s.name)
def test_the_winner_is_not_stopped_more_often_than_stated(setting: Setting) -> None:
    races = [race(simulate(setting, seed), 0.02) for seed in range(12)]
    assert np.mean([one.stopped for one in races]) > 6  # of 60: it is worth something
    # Of 12 studies at 2 %, two or more lost winners happen with probability 2 %.
    assert sum(one.lost_winner for one in races) <= 1
