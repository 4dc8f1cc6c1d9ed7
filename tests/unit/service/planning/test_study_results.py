"""What a step knows of finished trials: the same after any restart, and in the replay."""

import dataclasses
import io
import sys
from typing import Any

import numpy as np
import pytest
import structlog
from sqlalchemy import delete, select, text, update

from perfmodel.meta.shipped import shipped_prior
from rankspace import Purpose, RankVector, Study
from rankspace.context import context_of
from rankspace.observation import TextLosses
from rankspace.wire import decode
from service.planning.planner import THREADS
from service.planning.replay import replay
from service.planning.study_results import StudyResults
from service.storage.documents import model_of, space_of, study_of
from service.storage.tables import EventRow, FitRow, ModelRow, TrialRow
from service.studies.repository import Studies
from service.trials.results import Result, fidelity
from tests.unit.service.driver import ON_BOTH, Service, measurement, model, outcome, score, study

pytestmark = pytest.mark.slow

CONTROLLED = {"candidates": 1, "seeds": 3, "max_trials": 30, "random_control": True}


def _open(service: Service, identity: str) -> StudyResults:
    with service.app.state.runtime.database.reading() as session:
        results = StudyResults.open(session, identity)
        results.catch_up(session)
    return results


def _catch_up(service: Service, results: StudyResults) -> None:
    with service.app.state.runtime.database.reading() as session:
        results.catch_up(session)


def _mismatches(service: Service, identity: str) -> Any:
    with service.app.state.runtime.database.reading() as session:
        return replay(session, identity)


def _failing(ran: list[Any]) -> Any:
    """The third search trial."""
    search = [lease for lease in ran if lease["purpose"] == Purpose.SEARCH]
    return search[2] if len(search) > 2 else None


@pytest.mark.slow
def test_a_ledger_that_grew_equals_one_that_is_opened_late(service: Service) -> None:
    identity = service.submit(verify=CONTROLLED)
    grown = _open(service, identity)
    ran = []
    while lease := service.claim():
        ran.append(lease)
        service.report(lease, None if lease is _failing(ran) else score(lease))
        _catch_up(service, grown)
        if len(ran) % 3:
            continue  # to read all of them again takes long
        late = _open(service, identity)
        late.study = grown.study  # the first result says what a study's inputs are, for workers
        assert grown == late
    search = [lease for lease in ran if lease["purpose"] == Purpose.SEARCH]
    assert grown.searched == len(search) == 7
    assert grown.scored == 6
    assert grown.controls == 7
    assert grown.last_error == "the loss is NaN"
    assert grown.search_seconds > 0.0
    assert len(grown.later) == len(ran) - 14
    assert grown.state.to_bytes() == _open(service, identity).state.to_bytes()


def test_losses_by_text_count_in_the_size(service: Service) -> None:
    results = _open(service, service.submit())
    before = results.size
    losses = tuple(1000.0 + index for index in range(5_000))
    texts = TextLosses(losses, tuple(range(1_000, 6_000)))
    result = Result(1, 1, Purpose.VERIFY, RankVector(()), 0, -3.0, texts, 10, 1.0, None)
    results.later.append(result)
    held = sum(sys.getsizeof(one) for one in (*losses, losses, *texts.tokens, texts.tokens))
    assert 0.9 * held < results.size - before < 1.2 * held


@pytest.mark.parametrize(("strategy", "is_kept"), [("blend", True), ("gp", False)])
def test_the_noise_of_predictions_is_kept_where_the_additive_model_is_fitted_anyway(
    service: Service, strategy: str, is_kept: bool
) -> None:
    budget = {"parameters": "uniform:2", "trials": 12}
    service.submit(search={**study()["search"], "strategy": strategy, "budget": budget})
    service.work(12)
    with service.app.state.runtime.database.reading() as session:
        proposed = select(TrialRow.noise).where(TrialRow.mean.is_not(None))
        kept = session.scalars(proposed).all()
    assert len(kept) > 3
    assert any(noise is not None for noise in kept) is is_kept


def test_the_best_control_is_the_first_with_the_highest_score(service: Service) -> None:
    identity = service.submit(verify=CONTROLLED)
    controls = []
    while (lease := service.claim()) and lease["purpose"] in ("search", "control"):
        is_control = lease["purpose"] == "control"
        controls += [lease["trial_id"]] * is_control
        service.report(lease, -2.0 if is_control and len(controls) in (3, 5) else -3.0)
    best = _open(service, identity).best_control
    assert best is not None
    assert (best.trial, best.score) == (controls[2], -2.0)


def test_a_trial_cut_short_is_learned_at_the_share_it_was_trained_for(service: Service) -> None:
    identity = service.submit()  # 10 steps a trial, 20 the full recipe
    service.work(2)
    lease = service.claim()
    cut = {**outcome(lease, -2.5), "measurement": {**measurement(-2.5, lease), "steps": 3}}
    service.post(f"/v1/leases/{lease['trial_id']}/report", cut, "worker")
    service.work(1, measure=lambda _: None)
    service.work(3)
    service.sweep()
    seen = _open(service, identity).state.observations
    assert [one.fidelity for one in seen] == [0.5, 0.5, 0.15, 0.5, 0.5, 0.5, 0.5]
    assert _mismatches(service, identity) == ()
    events = service.get(f"/v1/studies/{identity}/events?limit=1000")["items"]
    steps = [e["content"]["steps"] for e in events if e["kind"] == "done"]
    assert steps == [10, 10, 3, 10, 10, 10]


@pytest.mark.parametrize(
    ("full", "steps", "share"),
    [
        (20, 10, 0.5),
        (20, 5, 0.25),
        (20, 0, 0.5),
        (20, None, 0.5),
        (None, 4, 0.4),
        (None, 10, 1.0),
        (5, 10, 1.0),
    ],
)
def test_fidelity_is_the_share_of_the_full_recipe(
    full: int | None, steps: int | None, share: float
) -> None:
    submitted = decode(Study, study(recover={"epochs": 2, "steps": full}))
    assert fidelity(submitted, steps) == share


def _profiled() -> dict[str, Any]:
    """The model with a profile for every matrix; block 1 lost most."""
    profiles = [
        {
            "name": matrix["name"],
            "depth": matrix["block"] / 2,
            "kept": 0.4 if matrix["block"] == 1 else 0.9,
            "input_norm": 1.0,
            "output_norm": 1.0,
            "gradient_norm": 0.2 if matrix["block"] == 1 else 0.1,
            "effective_rank": 0.7,
        }
        for matrix in model()["matrices"]
    ]
    return {**model(), "profiles": profiles}


def _submit_profiled(service: Service, **search: Any) -> str:
    assert service.post("/v1/models", _profiled()).status_code == 201
    answer = service.post("/v1/studies", study(search=study()["search"] | search))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_a_study_keeps_its_context_and_what_the_shipped_prior_said(service: Service) -> None:
    identity = _submit_profiled(service)
    state = _open(service, identity).state
    with service.app.state.runtime.database.reading() as session:
        row = Studies(session).get(identity)
        described = model_of(session.get_one(ModelRow, row.model_id).document)
        submitted, space = study_of(row), space_of(row.space)
    assert state.context == context_of(described, submitted, space)
    assert len(state.context.profiles) == len(space.layers)
    assert shipped_prior() is not None
    assert state.belief is not None
    assert state.belief.prior
    assert len(set(state.belief.log_worth)) > 1


def test_a_study_without_the_prior_has_no_belief(service: Service) -> None:
    state = _open(service, _submit_profiled(service, prior="none")).state
    assert state.belief is None
    assert state.context.profiles


def test_what_the_prior_said_once_holds_although_another_one_is_shipped(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = _submit_profiled(service)
    before = _open(service, identity).state
    monkeypatch.setattr("service.studies.submission.shipped_prior", lambda: None)
    monkeypatch.setattr("perfmodel.meta.shipped.shipped_prior", lambda: None)
    service.work(7)
    service.sweep()
    assert dataclasses.replace(_open(service, identity).state, observations=()) == before
    assert _mismatches(service, identity) == ()


def test_a_study_of_before_the_schema_knew_of_contexts_goes_on(service: Service) -> None:
    identity = service.submit()
    service.work(2)
    service.sweep()
    with service.app.state.runtime.database.writing() as session:
        session.execute(text("UPDATE studies SET context = NULL, belief = NULL"))
        for event in session.scalars(select(EventRow).where(EventRow.kind == "done")):
            event.content = {k: v for k, v in event.content.items() if k != "steps"}
    service.app.state.runtime.planning._planner._results.clear()
    service.work(5)
    service.sweep()
    assert service.get(f"/v1/studies/{identity}")["state"] == "verifying"
    assert _mismatches(service, identity) == ()


@ON_BOTH
def test_a_restart_goes_on_from_what_was_learned(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.planning.study_results.LEAST_KEPT", 4)
    search = study()["search"] | {"budget": {"parameters": "uniform:2", "trials": 12}}
    identity = service.submit(search=search)
    service.work(8)
    service.sweep()
    late = _open(service, identity)
    assert vars(late.state)["_earlier"].count >= 4
    with service.app.state.runtime.database.writing() as session:
        assert session.execute(delete(FitRow)).rowcount == 1
    plain = _open(service, identity)
    assert late == plain
    assert late.propose(1, ()) == plain.propose(1, ())
    assert late.fit_to_keep() is None  # it is kept already
    assert plain.fit_to_keep() is not None
    service.work(4)
    assert _mismatches(service, identity) == ()


@pytest.mark.parametrize("closed", [False, True])
def test_the_kept_refit_grows_with_the_results_also_where_they_are_closed_in_between(
    service: Service, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    monkeypatch.setattr("service.planning.study_results.LEAST_KEPT", 4)
    search = study()["search"] | {"budget": {"parameters": "uniform:2", "trials": 12}}
    identity = service.submit(search=search)
    kept = []
    for _ in range(8):
        service.work(1)
        service.sweep()
        if closed:
            service.app.state.runtime.planning._planner._close(identity)
        kept.append(_kept_scores(service))
    assert kept == [0, 0, 0, 4, 5, 6, 7, 8]


def _kept_scores(service: Service) -> int:
    with service.app.state.runtime.database.reading() as session:
        content = session.scalar(select(FitRow.content))
    return 0 if content is None else int(np.load(io.BytesIO(content))["head"][1])


def test_a_damaged_fit_is_told_and_learned_anew(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.planning.study_results.LEAST_KEPT", 4)
    identity = service.submit()
    service.work(6)
    service.sweep()
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(FitRow).values(content=b"nonsense"))
    with structlog.testing.capture_logs() as logs:
        damaged = _open(service, identity)
    assert [line["study"] for line in logs] == [identity]
    assert damaged == _open(service, identity)


def test_what_is_open_and_looked_at_is_kept_once(service: Service) -> None:
    identity = service.submit()
    service.work(6)
    service.sweep()
    planner = service.app.state.runtime.planning._planner
    known = vars(planner.known(identity).state)
    assert known["posterior"] is vars(planner._results[identity].state)["posterior"]
    assert "_earlier" not in known


def test_results_that_take_too_much_memory_are_closed_and_opened_anew(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = study()["search"] | {"budget": {"parameters": "uniform:2", "trials": 4}}
    studies = [service.submit(name=f"s{number}", search=search) for number in range(3)]
    planner = service.app.state.runtime.planning._planner
    assert set(planner._results) == set(studies)
    service.work(6)
    service.sweep()
    sizes = {identity: results.size for identity, results in planner._results.items()}
    assert min(sizes.values()) > 0
    monkeypatch.setattr(planner, "_open_bytes", min(sizes.values()) // 2)
    while "searching" in (states := _states(service)):
        service.work(1)
        service.sweep()
    assert states <= {"verifying", "recovering", "done"}
    assert len(planner._results) == THREADS
    for identity in studies:
        assert _mismatches(service, identity) == ()


def _states(service: Service) -> set[str]:
    return {one["state"] for one in service.get("/v1/studies")["items"]}
