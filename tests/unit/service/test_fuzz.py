"""Whatever is sent, the service answers, and never with a fault of its own."""

import json
import random
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from starlette.testclient import TestClient

from bench.fuzzing import Door, damaged, faults
from service.app import ROUTERS
from service.tables import StudyRow
from tests.unit.service.driver import Service, holding, model, outcome, start, study

BODIES = 300
EXAMPLES = 25  # per route
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
    with running.client:
        running.client = TestClient(running.app, raise_server_exceptions=False)
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


# --- requests made from the OpenAPI document ------------------------------------------------

NAMES = st.sampled_from(["st_aaaaaaaaaa", "md_a", "1", "9" * 30, "-1", "README.md", "..", "%00"])
TEXT = st.text(max_size=40)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
SCALARS: Mapping[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "integer": st.integers() | st.integers(0, 9),
    "number": st.floats() | st.integers(),
    "string": TEXT | st.just("x"),
}


def _of(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit ``schema``, and now and then one that need not."""
    return st.integers(0, 19).flatmap(lambda chance: _fitting(schema) if chance else ANYTHING)


def _fitting(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([_of(option) for option in schema["anyOf"]])
    kind = schema.get("type")
    if kind == "array":
        return st.lists(_of(schema["items"]), max_size=4)
    if kind == "object":
        return _objects(schema)
    return SCALARS.get(str(kind), ANYTHING)


def _objects(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    fields = {name: _of(inner) for name, inner in schema.get("properties", {}).items()}
    if not fields:
        return st.dictionaries(TEXT, _of(schema.get("additionalProperties") or {}), max_size=3)
    required = {name: fields.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(required, optional=fields)


def _requests(operation: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    places: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
    for parameter in operation.get("parameters", ()):
        values = _of(parameter["schema"]).map(str)
        places[parameter["in"]][parameter["name"]] = (NAMES | values).map(_sendable)
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return st.fixed_dictionaries(
        {
            "path": st.fixed_dictionaries(places["path"]),
            "params": st.fixed_dictionaries({}, optional=places["query"]),
            "headers": st.fixed_dictionaries({}, optional=places["header"]),
            "body": _of(schema).map(json.dumps) if schema else st.just(""),
        }
    )


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _operations() -> list[tuple[str, str]]:
    routes = [route for router in ROUTERS for route in router.routes]
    return sorted((m, r.path) for r in routes for m in r.methods)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("method", "path"), _operations())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_request_brings_the_service_to_a_fault(
    service: Service, method: str, path: str, data: st.DataObject
) -> None:
    described = service.app.openapi()["paths"].get(path, {}).get(method.lower(), {})
    request = data.draw(_requests(described))
    names = {name: data.draw(NAMES) for name in ("study",)} | request["path"]
    headers = {name: value.encode() for name, value in request["headers"].items()}
    answer = service.client.request(
        method,
        _filled(path, names),
        params=request["params"],
        headers={k: v for k, v in headers.items() if b"\n" not in v and b"\r" not in v}
        | {k: v.encode() for k, v in service.key("admin").items()},
        content=request["body"].encode("utf-8", "surrogatepass"),
        follow_redirects=False,
    )
    assert answer.status_code < 500, answer.text
    if answer.status_code == 201:
        _stop_studies(service)


def _filled(path: str, names: Mapping[str, str]) -> str:
    return path.format(**{name: quote(value, safe="") for name, value in names.items()})
