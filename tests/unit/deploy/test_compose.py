"""docker-compose.yml: what Docker would refuse, and what it would run all the same."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from service.settings import Settings
from tests.unit.deploy.files import DEPLOY, ROOT, commands, read, unknown_variables

COMPOSE = read(ROOT / "docker-compose.yml")
SERVICES: dict[str, Any] = COMPOSE["services"]
each = pytest.mark.parametrize("name", SERVICES)
OWN = [name for name in SERVICES if SERVICES[name]["image"].startswith("rankadaptor")]


def _named_volumes(service: Any) -> Iterator[str]:
    for volume in service.get("volumes", ()):
        source = volume.rsplit(":", 2 if volume.endswith(":ro") else 1)[0]
        if not source.startswith(("$", ".", "/")):
            yield source


@each
def test_who_is_waited_for_can_be_ready(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        checked = SERVICES[other].get("healthcheck", {"disable": True})
        if wait["condition"] == "service_healthy":
            assert checked.get("test"), f"{other} has no health check"
            assert not checked.get("disable")
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no", f"{other} never completes"


def test_nobody_waits_in_a_circle() -> None:
    ready: set[str] = set()
    while len(ready) < len(SERVICES):
        free = {name for name in SERVICES if set(SERVICES[name].get("depends_on", {})) <= ready}
        assert free - ready, f"waiting for each other: {set(SERVICES) - ready}"
        ready |= free


@each
def test_images_are_pinned(name: str) -> None:
    assert re.fullmatch(r"[\w/-]+:\d+\.\d+[\w.-]*", SERVICES[name]["image"])


@each
def test_nobody_is_root_or_can_become_it(name: str) -> None:
    service = SERVICES[name]
    user, _, group = service["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] is True
    assert not service.get("privileged")


@each
def test_volumes_networks_and_secrets_are_declared_and_secrets_are_files(name: str) -> None:
    service = SERVICES[name]
    assert set(_named_volumes(service)) <= set(COMPOSE["volumes"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())


@each
def test_no_password_is_in_the_environment(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|_URL|KEY|SECRET", variable) and variable != "RANKADAPTOR_URL":
            assert variable.endswith("_FILE"), variable
            mounted = {f"/run/secrets/{secret}" for secret in SERVICES[name].get("secrets", ())}
            assert value in mounted | {"/keys/worker.key"}


@each
def test_variables_are_settings(name: str) -> None:
    assert unknown_variables(SERVICES[name].get("environment", {})) == set()


def test_the_settings_of_the_service_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["service-1"]["environment"].items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    settings.check()
    for name in ("service", "service-1", "service-2", "127.0.0.1"):
        assert name in settings.hosts()


def test_the_worker_reaches_the_service_by_a_name_it_answers_to() -> None:
    worker, service = SERVICES["worker"], SERVICES["service-2"]
    host = re.fullmatch(r"http://([\w-]+):8731", worker["environment"]["RANKADAPTOR_URL"])
    assert host
    assert host[1] in service["environment"]["RANKADAPTOR_ALLOWED_HOSTS"].split(",")
    shared = set(worker["networks"]) & set(service["networks"])
    assert any(host[1] in service["networks"][name]["aliases"] for name in shared)


def test_the_worker_sees_no_database_and_no_admin_key() -> None:
    assert "back" not in SERVICES["worker"]["networks"]
    assert "data" not in set(_named_volumes(SERVICES["worker"]))
    assert COMPOSE["networks"]["back"] == {"internal": True}


def test_ports_are_published_to_this_machine_only_and_once() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert sorted(published) == ["127.0.0.1:8731:8731", "127.0.0.1:8732:8731"]


@pytest.mark.parametrize("name", [name for name in OWN if "entrypoint" not in SERVICES[name]])
def test_commands_exist(name: str) -> None:
    pending = {"db upgrade"} - commands()  # made beside this file
    assert " ".join(SERVICES[name]["command"]) in commands() | pending


def test_images_are_built_with_locks_that_exist() -> None:
    locks = {"rankadaptor-service:0.1.0": "service", "rankadaptor-worker:0.1.0": "worker torch"}
    for name in OWN:
        build = SERVICES[name]["build"]
        assert (ROOT / build["dockerfile"]).exists()
        assert build["args"]["LOCKS"] == locks[SERVICES[name]["image"]]
        assert all(
            (DEPLOY / f"locks/{lock}.txt").exists() for lock in build["args"]["LOCKS"].split()
        )


def test_the_gpu_file_changes_only_services_there_are() -> None:
    changed = read(DEPLOY / "compose.gpu.yml")["services"]
    assert set(changed) <= set(SERVICES)
    assert unknown_variables(changed["worker"]["environment"]) == set()
