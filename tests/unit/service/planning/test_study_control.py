"""Pause, resume, cancel, delete, repeat: what a person may do to a study."""

import itertools
from typing import Any

import pytest
from sqlalchemy import event

from rankspace.errors import Conflict
from rankspace.study import STAGES, STUDY_TRANSITIONS, StudyState
from service.storage.tables import AttemptRow, ObservationRow, StudyRow, TrialRow
from service.studies.repository import enter
from tests.unit.service.driver import ON_BOTH, Service, holding, model, score, study

pytestmark = pytest.mark.slow


def test_pause_hands_out_nothing_and_resume_goes_on(service: Service) -> None:
    identity = service.submit()
    running = service.claim()
    assert service.post(f"/v1/studies/{identity}/pause").json()["state"] == "paused"
    assert service.post(f"/v1/studies/{identity}/pause").json()["state"] == "paused"
    assert service.claim("w2") is None
    assert service.report(running, score(running)).json() == {"status": "accepted"}
    assert service.claim() is None
    assert service.post(f"/v1/studies/{identity}/resume").json()["state"] == "searching"
    service.work(3)
    assert service.get(f"/v1/studies/{identity}")["progress"]["search"]["done"] == 4


def test_pausing_does_not_change_the_proposals(service: Service) -> None:
    before, trials = service.submit(), 10  # with the first of the verification
    plain = [trial["rank_vector"] for trial in service.work(trials)]
    service.post(f"/v1/studies/{before}/cancel")
    identity = service.submit()
    paused = []
    for _ in range(trials):
        lease = service.claim()
        service.post(f"/v1/studies/{identity}/pause")
        service.report(lease, score(lease))
        service.post(f"/v1/studies/{identity}/resume")
        paused.append(lease["rank_vector"])
    assert paused == plain


def test_cancel_reaches_the_worker_with_its_heartbeat(service: Service) -> None:
    identity = service.submit()
    lease = service.claim()
    assert service.post(f"/v1/studies/{identity}/cancel").json()["state"] == "cancelled"
    answer = service.post(f"/v1/leases/{lease['trial_id']}/heartbeat", holding(lease), "worker")
    assert answer.json()["action"] == "cancel"
    assert service.report(lease, -2.5).status_code == 409
    assert service.claim() is None
    for verb in ("pause", "resume"):
        answer = service.post(f"/v1/studies/{identity}/{verb}")
        assert (answer.status_code, answer.json()["error"]) == (409, "Conflict")


@pytest.mark.parametrize(("old", "new"), [*itertools.product(StudyState, repeat=2)])
def test_a_study_enters_only_what_the_table_lets_follow(old: StudyState, new: StudyState) -> None:
    row = StudyRow(id="st_a", state=old.value, stage=StudyState.VERIFYING.value)
    if new not in STUDY_TRANSITIONS[old]:
        with pytest.raises(Conflict, match=f"study st_a is {old.value}"):
            enter(row, new)
        assert (row.state, row.stage) == (old, StudyState.VERIFYING)
        return
    enter(row, new)
    assert (row.state, row.stage) == (new, new if new in STAGES else StudyState.VERIFYING)


@ON_BOTH
def test_only_a_study_that_is_over_can_be_deleted(service: Service) -> None:
    identity = service.submit()
    service.work(3)
    path, admin = f"/v1/studies/{identity}", service.key("admin")
    assert service.client.delete(path, headers=admin).status_code == 409
    service.post(f"{path}/cancel")
    assert service.client.delete(path, headers=admin).status_code == 204
    assert service.client.get(path, headers=admin).status_code == 404
    assert service.client.delete(path, headers=admin).status_code == 404


@ON_BOTH
def test_idempotency_key_starts_one_study(service: Service) -> None:
    service.post("/v1/models", model())
    headers = service.key("admin") | {"Idempotency-Key": "run-1"}
    answers = [service.client.post("/v1/studies", json=study(), headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    other = service.client.post("/v1/studies", json=study(name="other"), headers=headers)
    assert other.status_code == 409


def test_a_known_model_keeps_its_identity_and_takes_the_new_path(service: Service) -> None:
    first = service.post("/v1/models", model())
    again = service.post("/v1/models", model(path="/moved"))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    (listed,) = service.get("/v1/models")["items"]
    assert listed["model"]["path"] == "/moved"
    assert service.get(f"/v1/models/{listed['id']}") == listed


@ON_BOTH
def test_pages_cut_and_continue(service: Service) -> None:
    identities = [service.submit(name=f"study {index}") for index in range(3)]
    first = service.get("/v1/studies?limit=2")
    rest = service.get(f"/v1/studies?limit=2&after={first['next']}")
    listed = [item["id"] for item in (*first["items"], *rest["items"])]
    assert listed == identities[::-1]
    assert rest["next"] is None
    service.work(4)
    events = service.get(f"/v1/studies/{identities[0]}/events?limit=3")
    more = service.get(f"/v1/studies/{identities[0]}/events?limit=1000&after={events['next']}")
    ids = [event["id"] for event in (*events["items"], *more["items"])]
    assert ids == sorted(set(ids))
    assert events["items"][0]["kind"] == "submitted"


def test_space_workers_and_eta(service: Service) -> None:
    identity = service.submit()
    service.work(2)
    space = service.get(f"/v1/studies/{identity}/space")
    assert space["ranks"] == [0, 1, 2, 4, 8]
    assert len(space["layers"]) == 12
    (worker,) = service.get("/v1/workers")["items"]
    assert worker["name"] == "w1"
    view = service.get(f"/v1/studies/{identity}")
    assert view["eta_seconds"] > 0
    assert view["workers_active"] == 1
    assert view["parameters"]["uniform"] == space["max_parameters"]


def test_time_left_counts_the_recovery_or_is_not_told(service: Service) -> None:
    def left(recover: dict[str, int]) -> Any:
        identity = service.submit(recover=recover)
        fresh = service.get(f"/v1/studies/{identity}")
        assert (fresh["eta_seconds"], fresh["before_recovery_seconds"]) == (None, None)
        service.work(2)
        view = service.get(f"/v1/studies/{identity}")
        eta, search = view["eta_seconds"], view["before_recovery_seconds"]
        assert search > 0
        assert eta is None or eta > search
        service.post(f"/v1/studies/{identity}/cancel")
        return eta

    short, long = left({"steps": 20}), left({"steps": 2_000})
    assert long - short > 10  # the scripted worker says that it trains 10 steps in 0.1 s
    assert left({"epochs": 2}) is None  # nobody here knows how many steps an epoch has


def test_listing_studies_does_not_load_their_trials(service: Service) -> None:
    identity = service.submit()
    service.work(6)
    loaded: list[Any] = []

    def note(row: Any, _context: Any) -> None:
        loaded.append(row)

    for table in (TrialRow, ObservationRow, AttemptRow):
        event.listen(table, "load", note)
    try:
        (listed,) = service.get("/v1/studies")["items"]
        assert loaded == []
    finally:
        for table in (TrialRow, ObservationRow, AttemptRow):
            event.remove(table, "load", note)
    assert listed["progress"]["search"]["done"] == 6
    trials = service.get(f"/v1/studies/{identity}/trials")["items"]
    scored = [trial for trial in trials if trial["score"] is not None]
    best = max(scored, key=lambda trial: trial["score"])
    assert listed["best"] == {name: best[name] for name in ("score", "rank_vector")} | {
        "trial": best["id"]
    }
    assert listed["uniform_score"] == scored[0]["score"]


def test_studies_keep_the_path_their_model_had_when_they_were_submitted(service: Service) -> None:
    service.submit()
    service.post("/v1/models", model(path="/moved"))
    assert service.claim("w1")["model_path"] == "/models/tiny"
    later = service.post("/v1/studies", study(model="/moved")).json()["id"]
    leases = [service.claim(f"w{index}") for index in range(2, 10)]
    paths = {lease["study_id"]: lease["model_path"] for lease in leases if lease}
    assert paths[later] == "/moved"
