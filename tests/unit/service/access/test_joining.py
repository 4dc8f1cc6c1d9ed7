"""A worker exchanges a join token for a key of its own, once, and speaks for itself only."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from rankspace.lease import PROTOCOL
from service.storage.clock import Now
from service.storage.tables import JoinTokenRow, KeyRow
from service.workers.join_tokens import join
from tests.unit.service.driver import ON_BOTH, Service, holding, measurement, start

JOIN = "/v1/workers/join"


def _token(service: Service, **order: Any) -> Any:
    answer = service.post("/v1/join-tokens", {"name": "rack 3", "project": "*", **order})
    assert answer.status_code == 201, answer.text
    return answer.json()


def _join(service: Service, token: str, worker: str = "gpu-0") -> Any:
    return service.client.post(JOIN, json={"token": token, "worker": worker})


def _joined(service: Service, worker: str = "gpu-0", **order: Any) -> dict[str, str]:
    answer = _join(service, _token(service, **order)["token"], worker)
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['key']}"}


def _tokens(service: Service) -> dict[str, int]:
    return {one["id"]: one["uses_left"] for one in service.get("/v1/join-tokens")["items"]}


def _bound(service: Service) -> list[str]:
    return [key["worker"] for key in service.get("/v1/keys")["items"] if key["worker"]]


def test_a_token_becomes_a_worker_s_own_key(service: Service) -> None:
    issued = _token(service, project="ours", uses=2)
    assert issued["token"].startswith(f"rkj_{issued['id']}_")
    answer = _join(service, issued["token"])
    key = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/keys/{key['id']}")
    assert (key["role"], key["worker"], key["project"]) == ("worker", "gpu-0", "ours")
    listed = next(one for one in service.get("/v1/keys")["items"] if one["id"] == key["id"])
    assert (listed["worker"], listed["name"]) == ("gpu-0", f"joined with {issued['id']}")
    assert _tokens(service) == {issued["id"]: 1}
    secret = issued["token"].split("_")[2]
    assert secret not in service.client.get("/v1/join-tokens", headers=service.key("admin")).text


def test_a_bound_key_speaks_for_its_worker_only(service: Service) -> None:
    key = _joined(service)
    service.submit()

    def send(route: str, worker: str, more: Mapping[str, Any]) -> Any:
        body = {**more, "worker": worker}
        return service.client.post(f"/v1/leases{route}", json=body, headers=key)

    claim = {"protocol": PROTOCOL}
    lease = send("", "gpu-0", claim).json()
    body, path = holding(lease), f"/{lease['trial_id']}"
    end = {"outcome": "done", "measurement": measurement(-1.0, lease)}
    refused = [
        send("", "gpu-1", claim),
        send(f"{path}/heartbeat", "gpu-1", body),
        send(f"{path}/report", "gpu-1", body | end),
        send(f"{path}/release", "gpu-1", body),
        service.client.put(
            f"/v1/leases{path}/artifacts/README.md",
            params=holding(lease, worker="gpu-1"),
            headers=key | {"X-Content-SHA256": "0" * 64},
        ),
    ]
    assert {(a.status_code, a.json()["error"]) for a in refused} == {(403, "WrongWorker")}
    assert "RANKADAPTOR_WORKER=gpu-0" in refused[0].json()["hint"]
    assert send(f"{path}/heartbeat", "gpu-0", body).status_code == 200
    assert send(f"{path}/report", "gpu-0", body | end).json() == {"status": "accepted"}


def _changed(service: Service, **values: Any) -> str:
    issued = _token(service)
    with service.app.state.runtime.database.writing() as session:
        mine = update(JoinTokenRow).where(JoinTokenRow.id == issued["id"])
        session.execute(mine.values(**values))
    return str(issued["token"])


def test_every_token_that_is_no_good_gets_the_same_answer(service: Service) -> None:
    good = _token(service)["token"]
    wrong = [
        "rkj_nonsense",
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.rpartition("_")[0],
        "_".join([*good.split("_")[:2], *_token(service)["token"].split("_")[2:]]),
        _changed(service, expires_at=Now() - 1),
        _changed(service, uses_left=0),
        _changed(service, revoked_at=Now()),
        service.key("worker")["Authorization"].removeprefix("Bearer "),
    ]
    answers = [_join(service, token) for token in wrong]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert _bound(service) == []


def test_a_revoked_token_makes_no_key_and_revokes_none(service: Service) -> None:
    issued = _token(service, uses=2)
    first = _join(service, issued["token"])
    for _ in range(2):
        path = f"/v1/join-tokens/{issued['id']}"
        assert service.client.delete(path, headers=service.key("admin")).status_code == 204
    assert _join(service, issued["token"], "gpu-1").status_code == 401
    key = {"Authorization": f"Bearer {first.json()['key']}"}
    claim = {"worker": "gpu-0", "protocol": PROTOCOL}
    assert service.client.post("/v1/leases", json=claim, headers=key).status_code == 204


@ON_BOTH
def test_of_many_that_race_for_the_last_use_one_wins(service: Service) -> None:
    token = _token(service)["token"]
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda n: _join(service, token, f"gpu-{n}").status_code, range(6)))
    assert sorted(codes) == [201] + [401] * 5
    assert len(_bound(service)) == 1


@ON_BOTH
def test_a_use_that_is_not_committed_yet_counts(service: Service) -> None:
    token, database = _token(service)["token"], service.app.state.runtime.database
    with ThreadPoolExecutor(1) as pool:
        with database.writing() as session:
            join(session, token, "gpu-0")
            other = pool.submit(_join, service, token, "gpu-1")
            assert not wait([other], timeout=0.3).done  # it waits for this transaction
        assert other.result(30).status_code == 401
    assert _bound(service) == ["gpu-0"]


@ON_BOTH
def test_of_many_that_race_for_a_name_one_wins_and_the_others_keep_their_tokens(
    service: Service,
) -> None:
    tokens = [_token(service) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: _join(service, one["token"]), tokens))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert sorted(_tokens(service).values()) == [0, 1, 1, 1]
    assert _bound(service) == ["gpu-0"]


def test_a_name_with_a_key_is_taken_until_that_is_revoked(service: Service) -> None:
    old = _joined(service)["Authorization"].split("_")[1]
    token = _token(service)
    refused = _join(service, token["token"])
    assert (refused.status_code, refused.json()["error"]) == (409, "Conflict")
    assert f"keys revoke {old}" in refused.json()["hint"]
    assert _tokens(service)[token["id"]] == 1
    service.client.delete(f"/v1/keys/{old}", headers=service.key("admin"))
    assert _join(service, token["token"]).status_code == 201


def test_a_token_of_a_project_takes_no_name_from_others(service: Service) -> None:
    service.claim("fleet-1")  # with the key of all projects
    token = _token(service, project="ours")
    assert _join(service, token["token"], "fleet-1").status_code == 409
    assert _tokens(service)[token["id"]] == 1
    assert _join(service, token["token"], "ours-1").status_code == 201
    assert _join(service, _token(service)["token"], "fleet-1").status_code == 201


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"uses": 0}, "uses"),
        ({"uses": 10**6}, "uses"),
        ({"hours": 0.0}, "hours"),
        ({"hours": 1e9}, "hours"),
        ({"name": ""}, "name"),
        ({"project": "No Name"}, "project"),
    ],
)
def test_orders_that_make_no_sense_are_refused(
    service: Service, order: Mapping[str, Any], field: str
) -> None:
    answer = service.post("/v1/join-tokens", {"name": "x", **order})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(field)


@pytest.mark.parametrize("name", ["", "a/b", "x" * 201, "a\nb"])
def test_names_that_fit_nowhere_are_refused(service: Service, name: str) -> None:
    assert _join(service, _token(service)["token"], name).status_code == 422


def test_an_admin_of_a_project_gives_tokens_of_it_only(service: Service) -> None:
    admin = service.issue("admin", "ours")
    codes = {
        project: service.client.post(
            "/v1/join-tokens", json={"name": "x", "project": project}, headers=admin
        ).status_code
        for project in (None, "ours", "theirs", "*")
    }
    assert codes == {None: 201, "ours": 201, "theirs": 403, "*": 403}
    _token(service, project="theirs")
    shown = service.client.get("/v1/join-tokens", headers=admin).json()["items"]
    assert {one["project"] for one in shown} == {"ours"}


def test_joining_is_on_record_with_the_token_it_was_done_with(service: Service) -> None:
    issued = _token(service, project="ours")
    key = _join(service, issued["token"]).json()["id"]
    _join(service, "rkj_nonsense")
    entries = [e for e in service.get("/v1/audit")["items"] if e["route"] == JOIN]
    assert [(e["key"], e["role"], e["project"], e["object"], e["status"]) for e in entries] == [
        (issued["id"], "worker", "ours", key, 201)
    ]


@pytest.fixture
def tight(directory: Path) -> Iterator[Service]:
    running = start(directory, requests_per_second=1e-3, request_burst=30)
    with running.client:
        yield running


def test_guessing_tokens_is_for_strangers(tight: Service) -> None:
    codes = [_join(tight, "rkj_nonsense").status_code for _ in range(5)]
    assert codes == [401] * 3 + [429] * 2
    with tight.app.state.runtime.database.reading() as session:
        bound = select(func.count()).where(KeyRow.worker.is_not(None))
        assert session.scalar(bound) == 0


# Names that are somebody's


def _speak(
    service: Service, key: dict[str, str], lease: Mapping[str, Any], worker: str
) -> list[Any]:
    """Everything a key may say in the name of ``worker`` that holds ``lease``."""
    path, body = f"/v1/leases/{lease['trial_id']}", holding(lease, worker=worker)
    end = {"outcome": "failed", "error": "x"}
    post = service.client.post
    return [
        post("/v1/leases", json={"worker": worker, "protocol": PROTOCOL}, headers=key),
        post(f"{path}/heartbeat", json=body, headers=key),
        post(f"{path}/report", json=body | end, headers=key),
        post(f"{path}/release", json=body, headers=key),
        service.client.put(
            f"{path}/artifacts/README.md",
            params=body,
            headers=key | {"X-Content-SHA256": "0" * 64},
        ),
    ]


def _claim(service: Service, key: dict[str, str], worker: str) -> Any:
    return service.client.post(
        "/v1/leases", json={"worker": worker, "protocol": PROTOCOL}, headers=key
    )


def _worker(service: Service, name: str) -> Any:
    return next(one for one in service.get("/v1/workers")["items"] if one["name"] == name)


def _revoke(service: Service, key: dict[str, str]) -> None:
    identity = key["Authorization"].split("_")[1]
    path = f"/v1/keys/{identity}"
    assert service.client.delete(path, headers=service.key("admin")).status_code == 204


@pytest.mark.parametrize("project", ["ours", "theirs", None])
def test_a_name_with_a_key_of_its_own_is_for_no_unbound_key(
    service: Service, project: str | None
) -> None:
    own = _joined(service, project="theirs")
    service.submit("theirs")
    lease = _claim(service, own, "gpu-0").json()
    unbound = service.issue("worker", project) if project else service.key("worker")
    answers = _speak(service, unbound, lease, "gpu-0")
    codes = [(answer.status_code, answer.json()["error"]) for answer in answers]
    hidden = [(404, "NotFound")] * 4 if project == "ours" else [(403, "WrongWorker")] * 4
    assert codes == [(403, "WrongWorker"), *hidden]
    assert "RANKADAPTOR_WORKER" in answers[0].json()["hint"]
    assert _worker(service, "gpu-0")["project"] == "theirs"
    assert _claim(service, own, "gpu-0").json() == lease


def test_a_worker_of_another_project_stays_what_it_is(service: Service) -> None:
    theirs, ours = service.issue("worker", "theirs"), service.issue("worker", "ours")
    service.submit("ours")
    assert _claim(service, theirs, "w1").status_code == 204
    refused = _claim(service, ours, "w1")
    assert (refused.status_code, refused.json()["error"]) == (403, "WrongWorker")
    assert "theirs" not in refused.text
    assert _worker(service, "w1")["project"] == "theirs"
    assert _claim(service, ours, "w2").status_code == 201
    assert _join(service, _token(service, project="theirs")["token"], "w1").status_code == 201


def test_a_name_without_a_project_is_open_to_the_unbound_keys_of_each(service: Service) -> None:
    ours = service.issue("worker", "ours")
    for key in (service.key("worker"), ours, service.key("worker")):
        assert _claim(service, key, "w1").status_code == 204
    assert _worker(service, "w1")["project"] == "*"
    assert _claim(service, ours, "w2").status_code == 204
    assert _claim(service, service.key("worker"), "w2").status_code == 204
    assert _worker(service, "w2")["project"] == "*"  # as before: a key of all is the operator's


def test_a_name_is_free_again_when_its_key_is_revoked(service: Service) -> None:
    key = _joined(service)
    assert _claim(service, service.key("worker"), "gpu-0").status_code == 403
    _revoke(service, key)
    assert _claim(service, service.key("worker"), "gpu-0").status_code == 204


@ON_BOTH
def test_a_held_trial_is_out_of_reach_of_the_old_key_once_the_worker_has_joined(
    service: Service,
) -> None:
    service.submit()
    lease = service.claim("gpu-0")
    own = _joined(service)
    codes = {a.status_code for a in _speak(service, service.key("worker"), lease, "gpu-0")}
    assert codes == {403}
    assert _claim(service, own, "gpu-0").json() == lease
