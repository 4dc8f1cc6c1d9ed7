"""What people did is on record, with who they were, and without what they sent."""

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from service.studies import workflow
from service.web.audit import Audit
from tests.unit.service.driver import ON_BOTH, Service, study


def _entries(service: Service, headers: Any = None) -> list[Any]:
    answer = service.client.get("/v1/audit", headers=headers or service.key("admin"))
    assert answer.status_code == 200, answer.text
    return [
        tuple(entry[name] for name in ("project", "role", "method", "route", "object", "status"))
        for entry in answer.json()["items"]
    ]


@ON_BOTH
def test_a_member_s_changes_are_on_record(service: Service) -> None:
    member = service.issue("member", "ours")
    model = service.submit("ours") and service.get("/v1/models")["items"][0]["id"]
    before = len(_entries(service))
    mine = service.client.post("/v1/studies", json=study(), headers=member).json()["id"]
    service.client.post(f"/v1/studies/{mine}/cancel", headers=member)
    service.client.delete(f"/v1/studies/{mine}", headers=member)
    service.client.delete("/v1/studies/st_aaaaaaaaaa", headers=member)
    service.client.get(f"/v1/models/{model}", headers=member)
    who, path = ("ours", "member"), "/v1/studies/{study}"
    assert _entries(service)[before:] == [
        (*who, "POST", "/v1/studies", mine, 201),
        (*who, "POST", f"{path}/cancel", mine, 200),
        (*who, "DELETE", path, mine, 204),
        (*who, "DELETE", path, "st_aaaaaaaaaa", 404),
    ]
    key = member["Authorization"].split("_")[1]
    assert service.get("/v1/audit")["items"][-1]["key"] == key


def test_a_key_in_the_wrong_place_is_not_recorded(service: Service) -> None:
    secret = service.issue("viewer")["Authorization"].removeprefix("Bearer ")
    service.client.delete(f"/v1/keys/{secret}", headers=service.key("admin"))
    (entry,) = [entry for entry in _entries(service) if entry[2] == "DELETE"]
    assert entry[4:] == (f"rka_{secret.split('_')[1]}_[redacted]", 422)


def test_workers_and_strangers_leave_no_entries(service: Service) -> None:
    service.submit()
    before = _entries(service)
    service.work(2)
    service.client.post("/v1/studies", json=study())
    assert _entries(service) == before


def test_what_is_refused_is_recorded_as_refused(service: Service) -> None:
    viewer = service.issue("viewer")
    service.client.post("/v1/studies", json=study(), headers=viewer)
    assert _entries(service)[-1] == ("default", "viewer", "POST", "/v1/studies", "", 403)


def test_a_login_is_recorded_as_its_key_s(service: Service) -> None:
    viewer = service.issue("viewer", "ours")
    code = service.client.post("/v1/login-codes", headers=viewer).json()["code"]
    service.client.post("/login", data={"code": code})
    assert _entries(service)[-1] == ("ours", "viewer", "POST", "/login", "", 303)


@ON_BOTH
def test_an_admin_of_a_project_reads_that_project_s(service: Service) -> None:
    admin = service.issue("admin", "ours")
    service.client.post("/v1/login-codes", headers=service.issue("viewer", "theirs"))
    service.client.post("/v1/login-codes", headers=admin)
    assert _entries(service, admin) == [("ours", "admin", "POST", "/v1/login-codes", "", 201)]


def test_a_fault_of_the_service_is_recorded(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    study_id = service.submit()
    monkeypatch.setattr(workflow, "delete", broken)
    client = TestClient(service.app, raise_server_exceptions=False)
    path = f"/v1/studies/{study_id}"
    assert client.delete(path, headers=service.key("admin")).status_code == 500
    assert _entries(service)[-1][4:] == (study_id, 500)


def test_a_change_is_answered_even_if_it_cannot_be_recorded(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("disk full"))

    monkeypatch.setattr(Audit, "record", full)
    assert service.post("/v1/login-codes").status_code == 201
    assert "not in the audit" in capsys.readouterr().out


def test_pages_of_the_audit_follow_each_other(service: Service) -> None:
    for _ in range(3):
        service.post("/v1/login-codes")
    first = service.get("/v1/audit?limit=2")
    second = service.get(f"/v1/audit?limit=2&after={first['next']}")
    assert [entry["id"] for entry in first["items"] + second["items"]] == [1, 2, 3]
    assert second["next"] is None
