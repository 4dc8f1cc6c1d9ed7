"""Who gets in, and what a stranger learns."""

import stat
from pathlib import Path
from typing import Any

import pytest

from rankspace.errors import InvalidInput
from service.access.keys import checksum
from service.settings import Settings
from tests.unit.service.driver import ON_SQLITE, Service, start


def test_a_key_with_a_changed_secret_is_refused(service: Service) -> None:
    key = service.key("admin")["Authorization"]
    changed = key[:-1] + ("a" if key[-1] != "a" else "b")
    answer = service.client.get("/v1/studies", headers={"Authorization": changed})
    assert answer.status_code == 401


def test_keys_are_files_only_the_owner_can_read(service: Service) -> None:
    for role in ("admin", "worker"):
        mode = (service.directory / f"{role}.key").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


@ON_SQLITE
def test_no_secret_is_stored(service: Service) -> None:
    secrets = [service.key("admin")["Authorization"], _issue(service, "worker")["key"]]
    stored = b"".join(p.read_bytes() for p in service.directory.glob("rankadaptor.sqlite*"))
    for secret in secrets:
        assert secret.split("_")[2].encode() not in stored


def test_keys_carry_a_checksum_and_older_keys_need_none(service: Service) -> None:
    key = _issue(service, "worker")["key"]
    unsigned, _, check = key.rpartition("_")
    assert check == checksum(unsigned)
    assert [_status(service, k) for k in (key, unsigned)] == [204, 204]
    assert [_status(service, f"{unsigned}_{c}") for c in ("00000000", check[:-1], "")] == [401] * 3


def _issue(service: Service, role: str, name: str = "gpu box") -> Any:
    answer = service.post("/v1/keys", {"role": role, "name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()


def _revoke(service: Service, key: str, headers: Any = None) -> int:
    answer = service.client.delete(f"/v1/keys/{key}", headers=headers or service.key("admin"))
    return int(answer.status_code)


def _status(service: Service, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    answer = service.client.post("/v1/leases", headers=headers, json={"worker": "w", "protocol": 1})
    return int(answer.status_code)


def test_a_key_is_shown_once_and_lets_in_until_it_is_revoked(service: Service) -> None:
    issued = _issue(service, "worker")
    assert (issued["role"], issued["name"]) == ("worker", "gpu box")
    assert _status(service, issued["key"]) == 204
    listed = {key["id"]: key for key in service.get("/v1/keys")["items"]}
    assert len(listed) == 3
    assert issued["key"].split("_")[2] not in str(listed)
    assert listed[issued["id"]]["revoked_at"] is None
    assert [_revoke(service, issued["id"]) for _ in range(2)] == [204, 204]
    assert _status(service, issued["key"]) == 401
    assert service.get(f"/v1/keys?after={min(listed)}&limit=1")["items"][0]["id"] > min(listed)


def test_the_last_admin_key_stays(service: Service) -> None:
    first = service.key("admin")["Authorization"].split("_")[1]
    assert _revoke(service, first) == 409
    second = _issue(service, "admin")
    assert _revoke(service, first) == 204
    headers = {"Authorization": f"Bearer {second['key']}"}
    assert _revoke(service, second["id"], headers) == 409
    assert _revoke(service, "unknown", headers) == 404


@pytest.mark.parametrize("body", [{"role": "root", "name": "x"}, {"role": "admin", "name": ""}])
def test_a_key_needs_a_role_and_a_name(service: Service, body: Any) -> None:
    assert service.post("/v1/keys", body).status_code == 422


@ON_SQLITE
def test_a_lost_admin_key_file_is_made_anew_at_the_next_start(directory: Path) -> None:
    lost = (directory / "admin.key").read_text()
    worker = (directory / "worker.key").read_text()
    (directory / "admin.key").unlink()
    with start(directory).client:
        pass
    assert (directory / "admin.key").read_text() != lost
    assert (directory / "worker.key").read_text() == worker
    assert stat.S_IMODE((directory / "admin.key").stat().st_mode) == 0o600
    again = start(directory)
    with again.client:
        assert len(again.get("/v1/keys")["items"]) == 3


def test_login_code_opens_the_pages_once(service: Service) -> None:
    assert service.client.get("/", follow_redirects=False).status_code == 303
    code = service.post("/v1/login-codes").json()["code"]
    assert code in service.client.get(f"/login?code={code}").text
    answer = service.client.post("/login", data={"code": code}, follow_redirects=False)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert service.client.get("/", follow_redirects=False).status_code == 200
    assert service.client.post("/login", data={"code": code}).status_code == 401


def test_the_cookie_reads_and_never_writes(service: Service) -> None:
    study = service.submit()
    code = service.post("/v1/login-codes").json()["code"]
    service.client.post("/login", data={"code": code})
    assert service.client.get(f"/v1/studies/{study}").status_code == 200
    assert service.client.post(f"/v1/studies/{study}/cancel").status_code == 401
    assert service.client.delete(f"/v1/studies/{study}").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost:80:90"])
def test_other_hosts_are_refused(service: Service, host: str) -> None:
    answer = service.client.get("/livez", headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]) == (403, "Forbidden")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8731", "[::1]:8731", "LOCALHOST:1"])
def test_local_hosts_are_answered(service: Service, host: str) -> None:
    assert service.client.get("/livez", headers={"Host": host}).status_code == 200


def test_every_answer_carries_the_security_headers(service: Service) -> None:
    for path in ("/login", "/livez", "/nowhere", "/static/page.css"):
        headers = service.client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_exposure_needs_named_hosts(host: str) -> None:
    with pytest.raises(InvalidInput, match="host"):
        Settings(host=host).check()
    Settings(host=host, allowed_hosts=("gpu.example",)).check()


@pytest.mark.parametrize("name", ["https://gpu.example", "gpu.example:8731", "::1", "*", "a/b"])
def test_names_that_never_match_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="allowed_hosts") as refused:
        Settings(allowed_hosts=("box.example", name)).check()
    assert "no scheme, no port" in refused.value.hint
    Settings(allowed_hosts=("box_1.Example", "10.0.0.7", "[fd00::1]")).check()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_nothing(host: str) -> None:
    Settings(host=host).check()


def test_allowed_hosts_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKADAPTOR_ALLOWED_HOSTS", "box.example, Gpu.Example")
    settings = Settings(host="0.0.0.0")
    settings.check()
    assert {"box.example", "gpu.example", "localhost"} <= settings.hosts()


@pytest.mark.parametrize("proxy", ["*", "proxy.example", "10.0.0.1/8", "127.0.0.1:80", "10.0.0.*"])
def test_proxies_are_addresses_or_networks(proxy: str) -> None:
    with pytest.raises(InvalidInput, match="trusted_proxies") as refused:
        Settings(trusted_proxies=("127.0.0.1", proxy)).check()
    assert "10.0.0.0/8" in refused.value.hint


def test_proxies_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().trusted_proxies == ()
    monkeypatch.setenv("RANKADAPTOR_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,fd00::/64")
    settings = Settings()
    settings.check()
    asked = ("127.0.0.1", "10.1.2.3", "fd00::1", "127.0.0.2", "fd00:0:0:1::", "unknown")
    assert [settings.is_proxy(one) for one in asked] == [True] * 3 + [False] * 3


def test_the_heartbeat_follows_the_lease() -> None:
    assert Settings().heartbeat_seconds == 20
    assert Settings(lease_seconds=12).heartbeat_seconds == 2
    Settings(lease_seconds=12).check()


def test_a_lease_shorter_than_three_heartbeats_is_refused() -> None:
    with pytest.raises(InvalidInput, match="heartbeat_seconds") as refused:
        Settings(lease_seconds=10, heartbeat_seconds=4).check()
    assert "3.3" in refused.value.hint
