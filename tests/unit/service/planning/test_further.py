"""Further scores on a survey's adapter, in claims of their own while the search goes on."""

import hashlib
from collections.abc import Container, Mapping
from typing import Any

import pytest

from rankspace.lease import FURTHER_SINCE, WEIGHTS
from service.leases.workflow import MAX_EXPIRIES
from service.planning.further import FAILURES, ROUNDS
from service.planning.planner import StudyPlanner
from service.planning.replay import replay
from service.planning.study_results import StudyResults
from tests.unit.service.driver import ON_BOTH, Service, holding, measurement, score, study

pytestmark = pytest.mark.slow

VECTORS, FURTHER = 40, 7
AFTER = ("verify", "recover")
"""Purposes of the trials that follow the search."""

SURVEY = {"steps": 10, "vectors": VECTORS, "further": FURTHER}


def submit(service: Service, **search: Any) -> str:
    asked = {**study()["search"], "survey": SURVEY, **search}
    return service.submit(search=asked)


def surveyed(service: Service, **search: Any) -> str:
    """A study whose survey is over."""
    identity = submit(service, **search)
    deliver(service, service.claim())
    return identity


def view(service: Service, identity: str) -> Any:
    return service.get(f"/v1/studies/{identity}")


def deliver(
    service: Service, lease: Mapping[str, Any], worker: str = "w1", *, upside_down: bool = False
) -> None:
    changes: dict[str, Any] = {"worker": worker}
    if lease["purpose"] == "survey":
        vectors = lease["survey"]["vectors"]
        said = [score({**lease, "rank_vector": {"ranks": ranks}}) for ranks in vectors]
        said = [-6.0 - 10.0 * (one + 3.0) for one in said] if upside_down else said
        changes["measurement"] = {**measurement(score(lease), lease), "steps": 0, "scores": said}
    answer = service.report(lease, score(lease), **changes)
    assert answer.json() == {"status": "accepted"}, answer.text


def until_further(service: Service, worker: str = "w1") -> Any:
    """Run trials until further scores are handed out."""
    while (lease := service.claim(worker)) and lease["purpose"] != "survey":
        deliver(service, lease, worker)
    assert lease is not None
    return lease


def work(
    service: Service, worker: str = "w1", *, until: Container[str] = ()
) -> list[dict[str, Any]]:
    """Run what there is, up to the first trial of a purpose in ``until``, which stays claimed."""
    done: list[dict[str, Any]] = []
    while (lease := service.claim(worker)) and lease["purpose"] not in until:
        deliver(service, lease, worker)
        done.append(lease)
    return done


def fetch(service: Service, lease: Mapping[str, Any], **changes: Any) -> Any:
    path = f"/v1/leases/{lease['trial_id']}/adapter"
    held = holding(lease, **changes)
    return service.client.get(path, headers=service.key("worker"), params=held)


def learned(service: Service, identity: str) -> StudyResults:
    with service.app.state.runtime.database.reading() as session:
        results = StudyResults.open(session, identity)
        results.catch_up(session)
    return results


def check_replay(service: Service, identity: str) -> None:
    with service.app.state.runtime.database.reading() as session:
        assert replay(session, identity) == ()


@ON_BOTH
def test_the_search_has_its_best_vectors_scored_and_ends_as_any_other(service: Service) -> None:
    identity = submit(service, budget={**study()["search"]["budget"], "trials": 8})
    first = service.claim()
    deliver(service, first)
    ran = work(service)
    later = [lease for lease in ran if lease["purpose"] == "survey"]
    assert [len(lease["survey"]["vectors"]) for lease in later] == [3, 2, 2]
    for lease in later:
        assert lease["survey"]["pool"] == []
        assert (lease["steps"], lease["keep_adapter"]) == (0, False)
        same = ("seed", "split", "rank_vector", "recipe", "layers")
        assert [lease[name] for name in same] == [first[name] for name in same]
    asked = [tuple(one) for lease in (first, *later) for one in lease["survey"]["vectors"]]
    assert len({*asked}) == VECTORS + FURTHER
    assert sum(lease["purpose"] == "search" for lease in ran) == 8
    seen = view(service, identity)
    assert (seen["state"], seen["note"]) == ("done", None)
    assert seen["progress"]["survey"]["done"] == 1 + ROUNDS
    results = learned(service, identity)
    assert [one.rank_vector.ranks for one in results.state.surveyed] == asked
    assert results.survey_seconds == pytest.approx(seen["seconds"]["survey"])
    rungs = service.get(f"/v1/studies/{identity}/fidelity")["rungs"]
    assert rungs[0]["vectors"] == VECTORS + FURTHER
    check_replay(service, identity)


def test_they_come_after_a_quarter_a_half_and_three_quarters_of_the_trials(
    service: Service,
) -> None:
    surveyed(service, budget={**study()["search"]["budget"], "trials": 16})
    ran = work(service, until=AFTER)
    begun = [at - n for n, at in enumerate(i for i, x in enumerate(ran) if is_survey(x))]
    assert len(begun) == ROUNDS
    for number, trials in enumerate(begun):
        due = 4 * (number + 1)
        assert due <= trials <= due + 4, begun  # the offers before it come first


def is_survey(lease: Mapping[str, Any]) -> bool:
    return bool(lease["purpose"] == "survey")


def test_whoever_holds_it_is_handed_the_adapter_and_nobody_else(service: Service) -> None:
    surveyed(service)
    trial = service.claim("w2")
    assert trial["purpose"] == "search"
    assert fetch(service, trial, worker="w2").status_code == 409
    deliver(service, trial, "w2")
    lease = until_further(service)
    sent = fetch(service, lease)
    kept = lease["survey"]["adapter"]
    assert sent.content == b"weights"
    assert kept["sha256"] == hashlib.sha256(sent.content).hexdigest()
    assert (kept["bytes"], sent.headers["content-length"]) == (7, "7")
    assert fetch(service, lease, token=lease["token"] + 1).status_code == 409
    assert fetch(service, lease, worker="w2").status_code == 409
    deliver(service, lease)
    assert fetch(service, lease).status_code == 409


def test_an_adapter_that_is_gone_is_said_to_be(service: Service) -> None:
    identity = surveyed(service)
    lease = until_further(service)
    (weights,) = service.directory.glob(f"artifacts/{identity}/*/{WEIGHTS}")
    weights.unlink()
    answer = fetch(service, lease)
    assert answer.status_code == 404
    assert WEIGHTS in answer.json()["detail"]


@ON_BOTH
def test_a_lost_claim_goes_to_another_worker_and_counts_once(service: Service) -> None:
    identity = surveyed(service)
    lost = until_further(service)
    service.let_leases_run_out()
    service.sweep()
    lease = until_further(service, "w2")
    assert (lease["trial_id"], lease["token"]) == (lost["trial_id"], lost["token"] + 1)
    assert lease["survey"] == lost["survey"]
    assert service.report(lost, score(lost)).status_code == 409
    deliver(service, lease, "w2")
    assert len(learned(service, identity).state.surveyed) == VECTORS + 3
    check_replay(service, identity)


def test_a_worker_of_before_gets_the_trials_beside_it(service: Service) -> None:
    identity = surveyed(service)
    ran = []
    body = {"worker": "old", "protocol": FURTHER_SINCE - 1}
    while (lease := service.post("/v1/leases", body, "worker").json())["purpose"] not in AFTER:
        deliver(service, lease, "old")
        ran.append(lease["purpose"])
    assert ran == ["search"] * 7
    seen = view(service, identity)
    assert (seen["state"], seen["note"]) == (
        "verifying",
        "0 of 7 further vectors were scored on the survey's adapter by the end of the search, "
        "after 7 trials; no worker of lease protocol 8 or later took the last claim of them",
    )
    trials = service.get(f"/v1/studies/{identity}/trials")["items"]
    assert [one["state"] for one in trials if one["purpose"] == "survey"] == ["done", "cancelled"]


def test_claims_that_fail_cost_nothing_but_themselves_and_the_study_says_so(
    service: Service,
) -> None:
    identity = surveyed(service, budget={**study()["search"]["budget"], "trials": 12})
    failed = 0
    while (lease := service.claim())["purpose"] not in AFTER:
        if is_survey(lease):
            assert service.report(lease, None).json() == {"status": "accepted"}
            failed += 1
        else:
            deliver(service, lease)
    assert failed == FAILURES
    seen = view(service, identity)
    assert seen["state"] == "verifying"
    assert seen["progress"]["search"]["done"] == 12
    assert seen["note"] == (
        "0 of 7 further vectors were scored on the survey's adapter by the end of the search, "
        "after 12 trials; "
        "2 of 2 claims that were to score further vectors on the survey's adapter failed; "
        "the last one: the loss is NaN"
    )
    assert len(learned(service, identity).state.surveyed) == VECTORS
    check_replay(service, identity)


def test_one_that_loses_three_workers_counts_as_failed(service: Service) -> None:
    identity = surveyed(service)
    for _ in range(MAX_EXPIRIES):
        until_further(service)
        service.let_leases_run_out()
        service.sweep()
    work(service, until=AFTER)
    assert "lost its worker 3 times" in view(service, identity)["note"]
    assert view(service, identity)["state"] == "verifying"


def test_the_search_ends_when_somebody_who_scores_has_reported(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = surveyed(service)
    lease = until_further(service, "w2")
    work(service)
    assert view(service, identity)["state"] == "searching"
    plan, looks = StudyPlanner._planned, list[str]()

    def counted(planner: StudyPlanner, study: str, until: float) -> bool:
        looks.append(study)
        assert len(looks) < 5
        return plan(planner, study, until)

    monkeypatch.setattr(StudyPlanner, "_planned", counted)
    service.sweep()
    assert len(looks) < 5  # it waits for the report, and does not look again and again
    deliver(service, lease, "w2")
    service.sweep()
    assert view(service, identity)["state"] == "verifying"
    assert len(learned(service, identity).state.surveyed) == VECTORS + 3


def test_the_search_does_not_wait_for_who_does_not_come_back(service: Service) -> None:
    identity = surveyed(service)
    until_further(service, "w2")
    work(service)
    service.let_leases_run_out()
    service.sweep()
    assert view(service, identity)["state"] == "verifying"
    assert view(service, identity)["progress"]["survey"]["queued"] == 0


def test_a_study_is_paused_resumed_and_cancelled_while_one_waits(service: Service) -> None:
    identity = surveyed(service)
    lease = until_further(service)
    path = f"/v1/leases/{lease['trial_id']}/release"
    assert service.post(path, holding(lease), "worker").status_code == 204
    assert service.post(f"/v1/studies/{identity}/pause").status_code == 200
    assert service.claim() is None
    assert service.post(f"/v1/studies/{identity}/resume").status_code == 200
    again = until_further(service)
    assert again["survey"] == lease["survey"]
    assert service.post(f"/v1/studies/{identity}/cancel").status_code == 200
    answer = service.post(f"/v1/leases/{again['trial_id']}/heartbeat", holding(again), "worker")
    assert answer.json()["action"] == "cancel"


def test_a_study_that_is_extended_or_cloned_goes_on_as_ever(service: Service) -> None:
    identity = surveyed(service)
    before = sum(map(is_survey, work(service)))
    assert service.post(f"/v1/studies/{identity}/extend", {"trials": 3}).status_code == 200
    assert before + sum(map(is_survey, work(service))) == ROUNDS
    seen = view(service, identity)
    assert (seen["state"], seen["progress"]["search"]["done"]) == ("done", 10)
    assert service.post(f"/v1/studies/{identity}/extend", {"trials": 3}).status_code == 200
    assert not any(map(is_survey, work(service)))
    check_replay(service, identity)
    copy = service.post(f"/v1/studies/{identity}/clone", {}).json()["id"]
    assert view(service, copy)["study"]["search"]["survey"] == SURVEY
    deliver(service, service.claim())
    until_further(service)


def test_they_stop_where_the_survey_has_used_up_its_part_of_the_time(service: Service) -> None:
    budget = {**study()["search"]["budget"], "gpu_hours": 1.0}
    identity = submit(service, budget=budget)
    lease = service.claim()
    service.let_time_pass(1801)
    deliver(service, lease)
    assert not any(map(is_survey, work(service, until=AFTER)))
    seen = view(service, identity)
    assert seen["progress"]["survey"]["done"] == 1
    assert "0 of 7 further vectors" in seen["note"]
    assert "a survey uses up half of search.budget.gpu_hours at most" in seen["note"]


def test_scores_that_take_all_content_from_the_survey_are_said_to(service: Service) -> None:
    many = {"steps": 10, "vectors": 12, "further": 120}
    identity = surveyed(service, survey=many, budget={**study()["search"]["budget"], "trials": 16})
    while (lease := service.claim())["purpose"] not in AFTER:
        deliver(service, lease, upside_down=True)
    note = view(service, identity)["note"]
    assert "80 of 120 further vectors" in note  # no more once it says nothing
    assert note.endswith("the survey does not tell the layers apart any more")


def test_scores_of_an_adapter_that_was_trained_further_are_refused(service: Service) -> None:
    surveyed(service)
    lease = until_further(service)
    said = [score(lease)] * len(lease["survey"]["vectors"])
    measured = {**measurement(score(lease), lease), "steps": 1, "scores": said}
    answer = service.report(lease, score(lease), measurement=measured)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("measurement.steps")
    deliver(service, lease)


def test_scores_that_come_while_a_proposal_is_written_are_not_said_to_be_known(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the scores first, and the proposal that rests on none of them after."""
    many = {"steps": 10, "vectors": 12, "further": 60}
    identity = surveyed(service, survey=many, budget={**study()["search"]["budget"], "trials": 16})
    lease = until_further(service, "w2")
    note, pending = StudyPlanner._note, [lease]

    def reported_meanwhile(planner: StudyPlanner, results: StudyResults) -> None:
        note(planner, results)
        if pending:
            deliver(service, pending.pop(), "w2", upside_down=True)

    trial = service.claim()
    monkeypatch.setattr(StudyPlanner, "_note", reported_meanwhile)
    deliver(service, trial)
    work(service, until=AFTER)
    assert not pending
    assert learned(service, identity).surveys > 1
    check_replay(service, identity)


def test_without_being_asked_for_nothing_more_is_scored(service: Service) -> None:
    without = {name: value for name, value in SURVEY.items() if name != "further"}
    surveyed(service, survey=without)
    assert not any(map(is_survey, work(service, until=AFTER)))


@pytest.mark.parametrize("further", [-1, 461, 10**9, 1.5])
def test_more_than_can_be_scored_is_refused(service: Service, further: float) -> None:
    service.submit()
    asked = study(search={**study()["search"], "survey": {**SURVEY, "further": further}})
    answer = service.post("/v1/studies", asked)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("search.survey.further")
