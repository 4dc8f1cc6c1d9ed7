"""The lease protocol, move by move."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rankspace import Purpose, RankVector
from rankspace.lease import LEAST_PROTOCOL, PROTOCOL, Claim
from service.leases import workflow
from service.leases.repository import Leases
from service.storage.db import Database
from service.studies.repository import Studies
from service.trials.planned import PlannedTrial
from service.trials.repository import Trials
from tests.unit.service.driver import (
    ANYBODY,
    ON_SQLITE,
    Service,
    holding,
    measurement,
    score,
    start,
)
from tests.waiting import wait_for


def _trial(service: Service, study: str, trial: int) -> Any:
    return service.get(f"/v1/studies/{study}/trials?after={trial - 1}&limit=1")["items"][0]


def _heartbeat(service: Service, lease: Any, **changes: Any) -> Any:
    body = {**holding(lease), "interim": [], **changes}
    return service.post(f"/v1/leases/{lease['trial_id']}/heartbeat", body, "worker")


def test_claim_carries_all_a_worker_needs(service: Service) -> None:
    service.submit()
    lease = service.claim()
    assert lease["token"] == 1
    assert (lease["purpose"], lease["split"], lease["steps"]) == ("search", "selection", 10)
    assert (lease["lease_seconds"], lease["heartbeat_seconds"]) == (60.0, 10.0)
    assert lease["model_path"] == "/models/tiny"
    assert lease["rank_vector"]["ranks"] == [2] * 12  # the first trial is the uniform vector
    assert len(lease["layers"]) == 12


def test_claiming_twice_gives_the_same_lease(service: Service) -> None:
    service.submit()
    assert service.claim() == service.claim()


def test_two_workers_get_two_trials(service: Service) -> None:
    service.submit()
    first, second = service.claim("w1"), service.claim("w2")
    assert first["trial_id"] != second["trial_id"]
    assert first["rank_vector"] != second["rank_vector"]


def test_report_is_accepted_once_and_then_a_duplicate(service: Service) -> None:
    study = service.submit()
    lease = service.claim()
    assert service.report(lease, -2.5).json() == {"status": "accepted"}
    assert service.report(lease, -2.4).json() == {"status": "duplicate"}
    trial = _trial(service, study, lease["trial_id"])
    assert (trial["state"], trial["score"]) == ("done", -2.5)


def test_failed_report_ends_the_trial_and_the_study_goes_on(service: Service) -> None:
    study = service.submit()
    lease = service.claim()
    assert service.report(lease, None).json() == {"status": "accepted"}
    trial = _trial(service, study, lease["trial_id"])
    assert (trial["state"], trial["error"], trial["score"]) == ("failed", "the loss is NaN", None)
    assert service.claim()["trial_id"] != lease["trial_id"]


def test_heartbeat_renews_and_keeps_the_interim_losses(service: Service) -> None:
    study = service.submit()
    lease = service.claim()
    for step in range(4):
        service.let_leases_run_out()
        answer = _heartbeat(service, lease, interim=[[step, 3.0 - step]])
        assert answer.json() == {"lease_seconds": 60.0, "action": "continue"}
        service.sweep()
    trial = _trial(service, study, lease["trial_id"])
    assert trial["state"] == "running"
    assert trial["interim"] == [[0, 3.0], [1, 2.0], [2, 1.0], [3, 0.0]]


def test_expired_lease_goes_to_another_worker_and_the_first_is_stale(service: Service) -> None:
    service.submit()
    lease = service.claim("w1")
    service.let_leases_run_out()
    service.sweep()
    again = service.claim("w2")
    assert (again["trial_id"], again["token"]) == (lease["trial_id"], lease["token"] + 1)
    for answer in (_heartbeat(service, lease), service.report(lease, -2.5)):
        assert answer.status_code == 409
        assert answer.json()["error"] == "LeaseLost"
    assert service.report(again, -2.5, worker="w2").json() == {"status": "accepted"}


def test_report_after_expiry_is_accepted_while_nobody_claimed(service: Service) -> None:
    study = service.submit()
    lease = service.claim()
    service.let_leases_run_out()
    service.sweep()
    assert _trial(service, study, lease["trial_id"])["state"] == "queued"
    assert service.report(lease, -2.5).json() == {"status": "accepted"}
    assert _trial(service, study, lease["trial_id"])["state"] == "done"


def test_third_expiry_is_the_last(service: Service) -> None:
    study = service.submit()
    for _ in range(3):
        lease = service.claim()
        service.let_leases_run_out()
        service.sweep()
    assert lease["token"] == 3
    trial = _trial(service, study, lease["trial_id"])
    assert (trial["state"], trial["expiries"]) == ("dead", 3)
    assert service.report(lease, -2.5).status_code == 409
    assert service.claim()["trial_id"] != lease["trial_id"]


def test_release_costs_no_attempt_and_may_be_repeated(service: Service) -> None:
    study = service.submit()
    lease = service.claim()
    for _ in range(2):
        answer = service.post(f"/v1/leases/{lease['trial_id']}/release", holding(lease), "worker")
        assert answer.status_code == 204
    assert _trial(service, study, lease["trial_id"])["expiries"] == 0
    assert service.claim("w2")["trial_id"] == lease["trial_id"]


@ON_SQLITE
@pytest.mark.parametrize("change", [{"worker": "w2"}, {"token": 2}, {"token": 99}])
def test_only_the_holder_may_report(service: Service, change: dict[str, Any]) -> None:
    service.submit()
    assert service.report(service.claim(), -2.5, **change).status_code == 409


@ON_SQLITE
@pytest.mark.parametrize("verb", ["heartbeat", "report", "release"])
def test_a_trial_of_another_study_is_not_found(service: Service, verb: str) -> None:
    """Databases number their trials alike; what a worker holds of another one stays with it."""
    other, mine = service.submit(), service.submit()
    lease = service.claim()
    assert lease["study_id"] == other
    for study in (mine, "st_aaaaaaaaaa", ""):
        body: dict[str, Any] = holding(lease, study_id=study)
        if verb == "report":
            body |= {"outcome": "done", "measurement": measurement(-0.001, lease)}
        answer = service.post(f"/v1/leases/{lease['trial_id']}/{verb}", body, "worker")
        assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")
    assert _trial(service, other, lease["trial_id"])["state"] == "running"
    assert service.report({**lease, "trial_id": 99}, -0.001).status_code == 404


def test_a_late_failed_report_counts_while_nobody_claimed(service: Service) -> None:
    study = service.submit()
    lease = service.claim()
    service.let_leases_run_out()
    service.sweep()
    assert service.report(lease, None).json() == {"status": "accepted"}
    trial = _trial(service, study, lease["trial_id"])
    assert (trial["state"], trial["error"]) == ("failed", "the loss is NaN")


def test_an_interim_loss_sent_again_is_kept_once(service: Service) -> None:
    study = service.submit()
    lease = service.claim()
    _heartbeat(service, lease, interim=[[1, 3.0], [2, 2.5]])
    _heartbeat(service, lease, interim=[[1, 3.0], [2, 2.5], [3, 2.0]])
    interim = _trial(service, study, lease["trial_id"])["interim"]
    assert interim == [[1, 3.0], [2, 2.5], [3, 2.0]]


def test_an_offer_nobody_claimed_cannot_be_reported(service: Service) -> None:
    held = {"worker": "w1", "token": 0, "study_id": service.submit()}
    body = {**held, "outcome": "failed", "error": "NaN"}
    answer = service.post("/v1/leases/1/report", body, "worker")
    assert answer.status_code == 422
    assert "token" in answer.json()["detail"]


def test_a_heartbeat_while_its_study_is_deleted_finds_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = service.submit()
    lease = service.claim()
    service.post(f"/v1/studies/{study}/cancel")
    renew = Leases.renew

    def deleted_meanwhile(leases: Leases, *given: Any) -> bool:
        Studies(leases._session).delete(study)
        return renew(leases, *given)

    monkeypatch.setattr(Leases, "renew", deleted_meanwhile)
    assert _heartbeat(service, lease, interim=[[1, 3.0]]).status_code == 404


def test_two_connections_racing_for_the_same_trials(service: Service) -> None:
    """Two engines on the same file: the lock of one process does not order them."""
    study = service.submit()
    planned = PlannedTrial(Purpose.SEARCH, RankVector((2,) * 12), seed=0, steps=1)
    runtime = service.app.state.runtime
    with runtime.database.writing() as session:
        queued = {Trials(session).queue(study, planned) for _ in range(29)}
    databases = [Database(runtime.settings.url()) for _ in range(2)]
    barrier, won = threading.Barrier(2), []

    def race(index: int) -> None:
        barrier.wait()
        for turn in range(20):
            with databases[index].writing() as session:
                racer = Claim(f"racer {index}, turn {turn}", PROTOCOL)
                trial = workflow.claim(session, racer, 60, ANYBODY)
                won.append(trial.id if trial else None)

    threads = [threading.Thread(target=race, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.close()
    claimed = [trial for trial in won if trial is not None]
    assert len(won) == 40  # nobody was told that the database is busy
    assert sorted(claimed) == sorted(queued | {1})


@pytest.fixture
def patient(directory: Path) -> Iterator[Service]:
    """A service whose long-polls look again when it rings, and not before."""
    running = start(directory, poll_seconds=3600.0)
    with running.client:
        yield running


def test_long_poll_wakes_for_a_new_study(patient: Service) -> None:
    doorbell = patient.app.state.runtime.doorbell
    doorbell.ring()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(patient.claim, wait=30)
        wait_for(lambda: doorbell._waiters)
        patient.submit()
        assert waiting.result(20) is not None  # before its time is up


def test_poll_without_work_ends_in_time(patient: Service) -> None:
    assert patient.claim(wait=0.3) is None


def _claim_as(service: Service, process: str | None, worker: str = "w1") -> Any:
    body = {"worker": worker, "protocol": PROTOCOL, "process": process}
    return service.post("/v1/leases", body, "worker")


def test_a_trial_that_kills_its_worker_is_dead_after_three_restarts(service: Service) -> None:
    study = service.submit()
    claims = [_claim_as(service, f"process {number}").json() for number in range(4)]
    first = claims[0]["trial_id"]
    assert [(c["trial_id"], c["token"]) for c in claims[:3]] == [(first, n) for n in (1, 2, 3)]
    assert claims[3]["trial_id"] != first
    trial = _trial(service, study, first)
    assert (trial["state"], trial["expiries"]) == ("dead", 3)
    events = service.get(f"/v1/studies/{study}/events?limit=1000")["items"]
    kinds = [event["kind"] for event in events if event["trial"] == first]
    assert kinds[-7:] == [*["claimed", "expired"] * 3, "dead"]
    causes = [event["content"].get("cause") for event in events if event["kind"] == "expired"]
    assert causes == ["restarted"] * 3
    assert _trial(service, study, claims[3]["trial_id"])["expiries"] == 0


def test_the_same_process_gets_the_same_lease_again(service: Service) -> None:
    study = service.submit()
    lease = _claim_as(service, "a").json()
    assert _claim_as(service, "a").json() == lease
    assert _claim_as(service, None).json() == lease  # a worker of before does not say
    assert _trial(service, study, lease["trial_id"])["expiries"] == 0


def test_a_restart_ends_what_the_worker_of_before_held(service: Service) -> None:
    service.submit()
    lease = _claim_as(service, None).json()
    assert _claim_as(service, "a").json()["token"] == lease["token"] + 1
    assert _heartbeat(service, lease).status_code == 409
    assert service.report(lease, -2.5).status_code == 409


def test_a_restart_costs_one_expiry_and_none_after_the_report(service: Service) -> None:
    study = service.submit()
    lease = _claim_as(service, "a").json()
    again = [_claim_as(service, "b").json() for _ in range(3)]
    assert {lease["token"] + 1} == {claim["token"] for claim in again}
    assert _trial(service, study, lease["trial_id"])["expiries"] == 1
    assert service.report(again[0], -2.5).json() == {"status": "accepted"}
    assert _claim_as(service, "c").json()["trial_id"] != lease["trial_id"]
    assert _trial(service, study, lease["trial_id"])["state"] == "done"


def test_another_worker_s_trial_is_not_touched_by_a_restart(service: Service) -> None:
    service.submit()
    lease = _claim_as(service, "a", "w1").json()
    _claim_as(service, "b", "w2")
    _claim_as(service, "c", "w2")
    assert _heartbeat(service, lease).status_code == 200


def test_a_restart_in_quarantine_gives_the_trial_to_others(service: Service) -> None:
    service.submit()
    lease = _claim_as(service, "a").json()
    service.post("/v1/workers/w1/quarantine", {"reason": "fan"})
    assert _claim_as(service, "a").json() == lease
    assert _claim_as(service, "b").status_code == 403
    assert _claim_as(service, "c", "w2").json()["trial_id"] == lease["trial_id"]


@ON_SQLITE
@pytest.mark.parametrize("process", ["", "x" * 65, "a\n"])
def test_a_process_is_a_short_text(service: Service, process: str) -> None:
    refused = _claim_as(service, process)
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("process = ")


@ON_SQLITE
@pytest.mark.parametrize("protocol", [LEAST_PROTOCOL - 1, PROTOCOL + 1])
def test_another_protocol_is_refused(service: Service, protocol: int) -> None:
    answer = service.post("/v1/leases", {"worker": "w1", "protocol": protocol}, "worker")
    assert (answer.status_code, answer.json()["error"]) == (426, "UnsupportedVersion")


@ON_SQLITE
def test_a_worker_of_protocol_1_is_still_served(service: Service) -> None:
    """Word for word what it sends; only the numbers are this trial's."""
    service.submit()
    lease = service.post("/v1/leases", {"worker": "w1", "protocol": 1}, "worker").json()
    held = {"worker": "w1", "token": 1, "study_id": lease["study_id"]}
    path = f"/v1/leases/{lease['trial_id']}"
    beat = service.post(f"{path}/heartbeat", {**held, "interim": []}, "worker")
    assert beat.json() == {"lease_seconds": 60.0, "action": "continue"}
    failed = {**held, "outcome": "failed", "measurement": None, "error": "the loss is NaN"}
    receipt = service.post(f"{path}/report", failed, "worker")
    assert receipt.json() == {"status": "accepted"}


def test_event_log_keeps_the_protocol_s_invariants(service: Service) -> None:
    study = service.submit()
    service.claim()
    service.let_leases_run_out()
    service.sweep()
    service.work(5, score)
    events = service.get(f"/v1/studies/{study}/events?limit=1000")["items"]
    by_trial: dict[int, list[Any]] = {}
    for event in events:
        by_trial.setdefault(event["trial"], []).append(event)
    by_trial.pop(None)  # type: ignore[call-overload]
    for history in by_trial.values():
        tokens = [event["content"]["token"] for event in history if event["kind"] == "claimed"]
        assert tokens == sorted(set(tokens))
        assert sum(event["kind"] in ("done", "failed", "dead") for event in history) <= 1
