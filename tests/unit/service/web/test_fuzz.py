"""Whatever is sent, the service answers, and never with a fault of its own."""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from bench.bad_input.fuzzing import Door, damaged, faults
from service.storage.tables import StudyRow
from tests.unit.service.driver import (
    Service,
    client_of,
    holding,
    model,
    outcome,
    start,
    study,
)

pytestmark = pytest.mark.slow

BODIES = 300
REPORT = {"outcome": "failed", "error": "NaN"}
LEASE = {
    "token": 1,
    "study_id": "st",
    "rank_vector": {"ranks": [0]},
    "layers": [{"parameters_per_rank": 1}],
}


@pytest.fixture(scope="module")
def service(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("fuzz") / "data"
    shutil.copytree(migrated, directory)
    running = start(directory)
    running.client = client_of(running.app, raises=False)
    with running.client:
        yield running


def _stop_studies(service: Service) -> None:
    """A good study that came through is planned for no longer than it takes to see it."""
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(StudyRow).values(state="cancelled"))


def _doors(service: Service) -> list[Door]:
    identity = service.submit()
    lease = service.claim()
    held, path = holding(lease), f"/v1/leases/{lease['trial_id']}"
    claims = [{"worker": "w1", "protocol": 1}]
    reports = [outcome(lease, -1.0), {**held, **REPORT}]
    keys = [{"role": "viewer", "name": "x", "project": "a", "days": 2.5}]
    tokens = [{"name": "x", "project": "a", "uses": 2, "hours": 0.5}]
    token = service.post("/v1/join-tokens", {"name": "x", "uses": 1000}).json()["token"]
    return [
        Door("POST", "/v1/models", "admin", [model()]),
        Door("POST", "/v1/studies", "admin", [study()]),
        Door("POST", f"/v1/studies/{identity}/trials", "admin", [{"rank_vector": [0] * 12}]),
        Door("POST", "/v1/leases", "worker", claims),
        Door("POST", f"{path}/heartbeat", "worker", [{**held, "interim": [[1, 2.5], [2, 2.25]]}]),
        Door("POST", f"{path}/report", "worker", reports),
        Door("POST", f"{path}/release", "worker", [held]),
        Door("POST", "/v1/keys", "admin", keys),
        Door("POST", "/v1/join-tokens", "admin", tokens),
        Door("POST", "/v1/workers/join", "admin", [{"token": token, "worker": "w9"}]),
        Door("POST", "/v1/workers/w1/quarantine", "admin", [{"reason": "on fire"}]),
    ]


def test_damaged_bodies_are_refused_in_our_words(service: Service) -> None:
    def send(door: Door, body: bytes) -> Any:
        answer = service.client.request(
            door.method, door.path, content=body, headers=service.key(door.role)
        )
        if answer.status_code == 201:
            _stop_studies(service)
        return answer

    assert list(faults(_doors(service), send, BODIES)) == []
    assert service.client.get("/readyz").status_code == 200


def test_the_damage_is_real() -> None:
    """Of bodies for one route, most are no longer what they were, and some are no JSON at all."""
    chance, good = random.Random(0), outcome(LEASE, -1.0)
    bodies = [damaged(good, chance) for _ in range(200)]
    assert len(set(bodies)) > 120
    assert 10 < sum(not _is_json(body) for body in bodies) < 120


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
