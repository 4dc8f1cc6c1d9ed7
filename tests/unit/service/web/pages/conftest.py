"""Pages of studies that are served once for each module: a finished one, and one that is new."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.service.driver import Service, client_of, start

NASTY = '<script>alert("x")</script>'


@dataclass
class Shown:
    """Studies and the browsers that look at them.

    Attributes:
        service: What serves them.
        done: A study with a verdict and an adapter.
        fresh: One of which nothing ran, whose name is markup.
        browsers: Logged in, by the role of the key.
    """

    service: Service
    done: str
    fresh: str
    browsers: dict[str, httpx.Client]

    def get(self, path: str, role: str = "member", **more: Any) -> httpx.Response:
        return self.browsers[role].get(path, **more)

    def text(self, path: str, role: str = "member") -> str:
        answer = self.get(path, role)
        assert answer.status_code == 200, answer.text
        return answer.text


def browser(service: Service, headers: dict[str, str]) -> httpx.Client:
    """A client without a key that has a session of the key in ``headers``."""
    client = client_of(service.app)
    code = service.client.post("/v1/login-codes", headers=headers).json()["code"]
    client.post("/login", data={"code": code})
    return client


@pytest.fixture(scope="module")
def shown(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    directory = tmp_path_factory.mktemp("pages") / "data"
    service = start(Path(shutil.copytree(migrated, directory)))
    with service.client:
        done = service.submit()
        service.work()
        fresh = service.submit(name=NASTY)
        keys = {role: service.issue(role, "default") for role in ("member", "viewer")}
        browsers = {role: browser(service, key) for role, key in keys.items()}
        yield Shown(service, done, fresh, browsers)
