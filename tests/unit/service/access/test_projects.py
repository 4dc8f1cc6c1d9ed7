"""What one project does, another neither sees nor touches."""

from typing import Any

import pytest
from sqlalchemy import update

from service.storage.clock import Now
from service.storage.tables import KeyRow
from tests.unit.service.driver import ON_BOTH, Service, holding, measurement, model, study

CLAIM = {"worker": "w1", "protocol": 1}


def _items(service: Service, path: str, headers: Any) -> list[Any]:
    answer = service.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def _key_id(headers: dict[str, str]) -> str:
    return headers["Authorization"].split("_")[1]


@ON_BOTH
def test_lists_hold_what_is_of_the_project(service: Service) -> None:
    ours, theirs = service.submit("ours"), service.submit("theirs")
    viewer = service.issue("viewer", "ours")
    assert [item["id"] for item in _items(service, "/v1/studies", viewer)] == [ours]
    assert [item["project"] for item in _items(service, "/v1/models", viewer)] == ["ours"]
    everything = {item["id"]: item["project"] for item in service.get("/v1/studies")["items"]}
    assert everything == {ours: "ours", theirs: "theirs"}
    foreign = service.client.get(f"/v1/studies?after={theirs}", headers=viewer)
    assert foreign.status_code == 404


def test_what_a_member_makes_is_of_its_project(service: Service) -> None:
    member = service.issue("member", "ours")
    made = [
        service.client.post(path, json=body, headers=member).json()["project"]
        for path, body in (("/v1/models", model()), ("/v1/studies", study()))
    ]
    assert made == ["ours", "ours"]
    elsewhere = service.client.post("/v1/studies?project=theirs", json=study(), headers=member)
    assert elsewhere.status_code == 403
    assert service.post("/v1/models?project=Not%20a%20name", model()).status_code == 422


def test_the_same_model_may_be_registered_in_two_projects(service: Service) -> None:
    first = service.post("/v1/models?project=ours", model()).json()["id"]
    answer = service.post("/v1/models?project=theirs", model())
    assert answer.status_code == 201
    assert answer.json()["id"] != first
    refused = service.post("/v1/studies?project=default", study(model=first))
    assert (refused.status_code, "is not registered" in refused.text) == (422, True)


def test_idempotency_keys_are_the_project_s(service: Service) -> None:
    answers = []
    for project, name in (("ours", "a"), ("theirs", "b"), ("ours", "a"), ("ours", "b")):
        service.post(f"/v1/models?project={project}", model())
        path = f"/v1/studies?project={project}"
        headers = service.key("admin") | {"Idempotency-Key": "k"}
        answers.append(service.client.post(path, json=study(name=name), headers=headers))
    assert [answer.status_code for answer in answers] == [201, 201, 200, 409]


@ON_BOTH
def test_a_worker_of_a_project_claims_only_its_trials(service: Service) -> None:
    theirs = service.submit("theirs")
    ours = service.issue("worker", "ours")
    assert service.client.post("/v1/leases", json=CLAIM, headers=ours).status_code == 204
    assert service.claim("w1")["study_id"] == theirs  # by a worker of all projects
    # A worker of that name holds a trial, but not one that this key may see.
    assert service.client.post("/v1/leases", json=CLAIM, headers=ours).status_code == 204
    mine = service.submit("ours")
    claimed = service.client.post("/v1/leases", json=CLAIM, headers=ours)
    assert claimed.json()["study_id"] == mine


def test_a_foreign_trial_is_answered_as_one_that_is_not_there(service: Service) -> None:
    service.submit("theirs")
    lease, ours = service.claim(), service.issue("worker", "ours")
    body = {**holding(lease), "outcome": "done", "measurement": measurement(-1.0, lease)}
    answers = [
        service.client.post(f"/v1/leases/{trial}/{verb}", json=body, headers=ours)
        for verb in ("heartbeat", "report", "release")
        for trial in (lease["trial_id"], 999)
    ]
    texts = [a.text.replace(str(lease["trial_id"]), "N").replace("999", "N") for a in answers]
    assert {answer.status_code for answer in answers} == {404}
    assert len(set(texts)) == 1
    assert service.report(lease, -1.0).json() == {"status": "accepted"}


def test_workers_are_seen_by_the_projects_they_worked_for(service: Service) -> None:
    service.submit("ours")
    service.claim("ours-1")
    service.claim("idle")
    names = [item["name"] for item in service.get("/v1/workers")["items"]]
    assert names == ["idle", "ours-1"]
    seen = [
        [item["name"] for item in _items(service, "/v1/workers", service.issue("viewer", project))]
        for project in ("ours", "theirs")
    ]
    assert seen in ([["ours-1"], []], [["idle", "ours-1"], []])  # idle may have found an offer


@pytest.mark.parametrize(
    ("role", "project", "status"),
    [
        ("member", "ours", 201),
        ("admin", None, 201),
        ("admin", "*", 403),
        ("worker", "*", 403),
        ("viewer", "theirs", 403),
        ("viewer", "*", 422),
        ("viewer", "No Name", 422),
    ],
)
def test_an_admin_of_a_project_gives_away_no_more_than_it_has(
    service: Service, role: str, project: str | None, status: int
) -> None:
    admin = service.issue("admin", "ours")
    order = {"role": role, "name": "x", "project": project}
    answer = service.client.post("/v1/keys", json=order, headers=admin)
    assert answer.status_code == status, answer.text
    if status == 201:
        assert answer.json()["project"] == "ours"


def test_an_admin_of_a_project_sees_and_revokes_its_keys_only(service: Service) -> None:
    admin, viewer = service.issue("admin", "ours"), service.issue("viewer", "ours")
    foreign = _key_id(service.issue("viewer", "theirs"))
    listed = [item["id"] for item in _items(service, "/v1/keys", admin)]
    assert sorted(listed) == sorted([_key_id(admin), _key_id(viewer)])
    statuses = [
        service.client.delete(f"/v1/keys/{key}", headers=admin).status_code
        for key in (foreign, "unknown", _key_id(viewer), _key_id(admin))
    ]
    assert statuses == [404, 404, 204, 204]


@ON_BOTH
def test_a_key_expires_and_remembers_its_last_use(service: Service) -> None:
    viewer = service.issue("viewer", days=30)
    _items(service, "/v1/studies", viewer)
    (seen,) = [key for key in service.get("/v1/keys")["items"] if key["id"] == _key_id(viewer)]
    assert seen["expires_at"] > seen["created_at"]
    assert seen["last_used_at"] >= seen["created_at"]
    mine = update(KeyRow).where(KeyRow.id == _key_id(viewer))
    with service.app.state.runtime.database.writing() as session:
        session.execute(mine.values(expires_at=Now() - 1))
    assert service.client.get("/v1/studies", headers=viewer).status_code == 401


@ON_BOTH
def test_the_last_use_is_written_once_a_minute(service: Service) -> None:
    def last_use(seconds_ago: float | None = None) -> Any:
        with service.app.state.runtime.database.writing() as session:
            row = session.get_one(KeyRow, _key_id(viewer))
            if seconds_ago is not None:
                row.last_used_at = Now() - seconds_ago
                session.flush()
            return row.last_used_at

    viewer = service.issue("viewer")
    for seconds, is_written in ((30, False), (90, True)):
        before = last_use(seconds)
        _items(service, "/v1/studies", viewer)
        assert (last_use() > before) is is_written


@ON_BOTH
def test_one_admin_key_for_everything_always_stays(service: Service) -> None:
    first = _key_id(service.key("admin"))
    service.issue("admin", "ours")
    service.issue("admin", days=1)
    headers = service.key("admin")
    assert service.client.delete(f"/v1/keys/{first}", headers=headers).status_code == 409
    service.issue("admin")
    assert service.client.delete(f"/v1/keys/{first}", headers=headers).status_code == 204


def test_a_session_reaches_as_far_as_its_key_and_ends_with_it(service: Service) -> None:
    ours, theirs = service.submit("ours"), service.submit("theirs")
    viewer = service.issue("viewer", "ours")
    code = service.client.post("/v1/login-codes", headers=viewer).json()["code"]
    service.client.post("/login", data={"code": code})
    page = service.client.get("/").text
    assert (ours in page, theirs in page) == (True, False)
    paths = [f"/studies/{ours}", f"/studies/{theirs}", f"/v1/studies/{theirs}", "/v1/keys"]
    assert [service.client.get(path).status_code for path in paths] == [200, 404, 404, 403]
    service.client.delete(f"/v1/keys/{_key_id(viewer)}", headers=service.key("admin"))
    assert service.client.get(paths[0], follow_redirects=False).status_code == 303
