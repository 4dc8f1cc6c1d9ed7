"""Arms: what is asked, tried, told and answered."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from bench.proposers.arms import Own
from bench.proposers.lessons import others, rows_of_other_surfaces
from bench.proposers.peers.optuna_library import (
    OptunaLibrary,
    cmaes_sampler,
    opener,
    random_sampler,
    tpe_sampler,
)
from bench.proposers.peers.peer import Peer, excess
from bench.proposers.plan import Cell, cells
from bench.proposers.problems.families import problem
from bench.proposers.problems.surfaces import DATA
from bench.proposers.roster import PEERS, ROWS, arm, default_arms
from bench.proposers.runner import Task, run, run_all, tasks
from perfmodel.allocation.feasible import is_feasible
from perfmodel.meta.teaching import teaching
from rankadaptor.meta.surfaces import recorded_study
from rankspace import RankVector
from rankspace.errors import InvalidInput
from rankspace.observation import Taught

POSED = problem("separable", 8, 0)


class Stubborn:
    """A library that asks for the dearest vector, and writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[RankVector, float | None]] = []

    def ask(self) -> RankVector:
        return POSED.space.constant(12) if self.told else POSED.space.uniform()

    def tell(self, tried: RankVector, score: float | None) -> None:
        self.told.append((tried, score))

    def recommend(self) -> None:
        return None


def test_our_arm_answers_at_each_length_with_feasible_vectors_of_its_own() -> None:
    answers = list(Own("swap").answer(POSED, 0, (3, 9), cap=60.0))
    assert [(a.length, a.trials, a.infeasible) for a in answers] == [(3, 3, 0), (9, 9, 0)]
    assert all(is_feasible(POSED.space, a.vector) for a in answers)
    assert all(a.gain is not None for a in answers)


def test_a_run_past_its_cap_answers_every_length_with_what_it_has() -> None:
    answers = list(Own("swap").answer(POSED, 0, (3, 9), cap=0.0))
    assert [(a.length, a.trials) for a in answers] == [(3, 1), (9, 1)]


def test_a_plain_peer_tries_what_it_asks_and_a_projected_one_what_fits() -> None:
    for projected in (False, True):
        library = Stubborn()
        peer = Peer("optuna", lambda *_, library=library: library, projected)
        (answer,) = peer.answer(POSED, 0, (5,), cap=60.0)
        assert answer.infeasible == 4
        assert is_feasible(POSED.space, answer.vector)
        fits = [is_feasible(POSED.space, tried) for tried, _ in library.told]
        assert fits == [True, *[projected] * 4]
        scores = [POSED.observe(tried, at) for at, (tried, _) in enumerate(library.told)]
        assert [score for _, score in library.told] == scores
    best = max((score or -np.inf, tried) for tried, score in library.told)[1]
    assert answer.vector == best


@pytest.mark.parametrize("make", [random_sampler, tpe_sampler, cmaes_sampler])
def test_optuna_begins_at_uniform_and_is_told_of_every_trial(make: object) -> None:
    library = opener(make)(POSED, 0)  # type: ignore[arg-type]
    assert library.ask() == POSED.space.uniform()
    library.tell(POSED.space.uniform(), 1.0)
    assert library.study.best_value == 1.0


def asked(library: OptunaLibrary, *, over: bool) -> RankVector:
    for _ in range(100):
        vector = library.ask()
        if (excess(POSED.space, vector) > 0.0) == over:
            return vector
        library.tell(vector, 0.0)
    raise AssertionError("never asked for")


def test_optuna_learns_of_the_budget_as_a_constraint_or_as_a_fine() -> None:
    library = opener(random_sampler)(POSED, 0)
    over = asked(library, over=True)
    library.tell(over, 5.0)
    told = library.study.trials[-1]
    assert told.value == 5.0
    assert told.constraints == {"budget": pytest.approx(excess(POSED.space, over))}
    fined = opener(cmaes_sampler)(POSED, 0)
    over = asked(fined, over=True)
    fined.tell(over, 5.0)
    fine = 3.2 * POSED.swing * excess(POSED.space, over)
    assert fined.study.trials[-1].value == pytest.approx(5.0 - fine)


def test_optuna_is_told_the_score_of_a_repaired_vector_at_that_vector() -> None:
    library = opener(random_sampler)(POSED, 0)
    asked(library, over=True)
    library.tell(POSED.space.cheapest(), 5.0)
    told = library.study.best_trial
    assert told.value == 5.0
    assert set(told.params.values()) == {0}


def test_optuna_survives_a_diverged_trial() -> None:
    library = opener(tpe_sampler)(POSED, 0)
    library.ask()
    library.tell(POSED.space.uniform(), None)
    assert len(library.ask()) == 8


@pytest.mark.slow
def test_ax_begins_at_uniform_and_keeps_to_the_budget() -> None:
    pytest.importorskip("ax", reason="ax-platform is not installed: pip install '.[bench]'")
    task = Task("separable", 8, 0, "ax", (1, 4))
    ((_, found),) = run_all([task], processes=1, cap=300.0, minutes=5.0)  # it silences loggers
    assert found[0].ranks == POSED.space.uniform().ranks
    assert [record.trials for record in found] == [1, 4]
    assert is_feasible(POSED.space, RankVector(found[1].ranks))
    assert found[1].infeasible == 0


def test_a_task_gives_records_of_its_problem() -> None:
    found = run(Task("separable", 8, 0, "optuna-random", (2, 4)), cap=60.0)
    assert [record.length for record in found] == [2, 4]
    assert {record.fingerprint for record in found} == {POSED.fingerprint}
    assert all(record.version.startswith("optuna 5") for record in found)


def test_arms_of_one_pace_run_once_and_ours_once_per_length() -> None:
    made = list(tasks([Cell("separable", 8, (25, 50))], ["additive", "swap", "ax"], [0, 1]))
    per_arm = {name: [t.lengths for t in made if t.arm == name] for name in ("additive", "swap")}
    assert per_arm == {"additive": [(25,), (50,)] * 2, "swap": [(25, 50)] * 2}
    assert [task.problem for task in made] == [0] * 4 + [1] * 4


def test_the_taught_arm_is_asked_only_where_something_teaches_it() -> None:
    made = list(
        tasks([Cell("surfaces", 0, (9,)), Cell("separable", 8, (9,))], [ROWS], range(10, 14))
    )
    assert {task.family for task in made} == {"surfaces"}
    assert [task.problem for task in made] == [10, 11]  # 12 and 13 are of blocks
    for seed in range(10, 14):
        taught = rows_of_other_surfaces(problem("surfaces", 0, seed).space)
        assert (taught is not None) == (seed < 12)


@pytest.mark.slow
def test_no_task_starts_after_the_deadline() -> None:
    def waiting() -> Iterator[Task]:
        yield Task("separable", 8, 0, "swap", (2,))

    assert list(run_all(waiting(), processes=1, cap=60.0, minutes=0.0)) == []
    assert len(list(run_all(waiting(), processes=1, cap=60.0, minutes=1.0))) == 1


def test_a_peer_is_there_plain_and_projected_and_unknown_arms_are_refused() -> None:
    plain = {name for name in PEERS if not name.endswith("+budget")}
    assert {"optuna-tpe", "optuna-gp", "optuna-cmaes", "ax"} <= plain
    assert {f"{name}+budget" for name in plain} == set(PEERS) - plain
    assert {"additive", "swap", "random", *PEERS} <= set(default_arms(quick=True))
    with pytest.raises(InvalidInput, match="arms"):
        arm("additve")


def test_the_plan_is_cut_and_grows_as_asked() -> None:
    assert cells(False, ["reference"], [32], (7,)) == (Cell("reference", 32, (7,)),)
    assert cells(False, ["block-kind"], [112]) == (Cell("block-kind", 112, (25, 50, 100)),)
    assert {cell.family for cell in cells(False)} >= {"reference", "surfaces", "flat"}


def test_the_taught_arm_knows_other_surfaces_and_not_its_own() -> None:
    posed = problem("surfaces", 0, 0)
    taught = rows_of_other_surfaces(posed.space)
    assert taught is not None
    own = teaching([recorded_study(DATA / "stories-half-1to3.jsonl")], posed.space).taught
    assert own is not None
    assert len(own.vectors) > 50
    assert not set(_rows(own)) & set(_rows(taught))
    assert {len(vector) for vector in taught.vectors} == {len(posed.space.layers)}
    assert rows_of_other_surfaces(POSED.space) is None


def test_another_recording_of_the_model_is_left_out_too() -> None:
    studies = [
        recorded_study(DATA / f"stories-{name}.jsonl") for name in ("half-1to3", "quarter-all")
    ]
    mine = studies[0]
    space = replace(mine.space, ranks=(*mine.space.ranks, 64))
    twin = replace(mine, name="twin", space=space)
    assert others([*studies, twin], mine.space) == studies[1:]
    assert others([*studies, twin], space) == studies[1:]
    assert others(studies, POSED.space) == studies


def _rows(taught: Taught) -> Iterator[tuple[tuple[int, ...], float]]:
    return zip(taught.vectors, taught.scores, strict=True)


def test_the_taught_arm_searches_otherwise_where_it_was_taught() -> None:
    surface = problem("surfaces", 0, 0)
    for posed, is_same in ((surface, False), (POSED, True)):
        plain, taught = (
            next(iter(arm(name).answer(posed, 0, (9,), cap=60.0))) for name in ("rankadaptor", ROWS)
        )
        assert (plain.gain == taught.gain) == is_same
