"""Requests that something is wrong with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from bench.bad_input.answer import Answer, ask
from pruning.container.description import describe
from rankadaptor.rest.client import RestClient
from rankspace.wire import encode

Case: TypeAlias = tuple[str, str, str, Any, str | None]
"""What is wrong, method, path, body, key."""


def answers(place: Path, client: RestClient) -> Iterator[Answer]:
    """What a real service says."""
    model = describe(place / "pruned")
    client.register(model)
    study = {
        "name": "s",
        "model": model.path,
        "recipe": {"data": {"train": "text.txt"}},
        "search": {"budget": {"parameters": "uniform:8"}},
    }
    key = (place / "service" / "admin.key").read_text().strip()
    worker = (place / "service" / "worker.key").read_text().strip()
    nan = json.dumps(study | {"search": {"budget": {"gpu_hours": 1}}}).replace(" 1}", " NaN}")
    cases: list[Case] = [
        ("no key", "GET", "/v1/studies", None, None),
        ("wrong key", "GET", "/v1/studies", None, "rka_aaaaaaaa_wrong"),
        ("worker's key on an admin's route", "GET", "/v1/studies", None, worker),
        ("unknown route", "GET", "/v1/studys", None, key),
        ("unknown study", "GET", "/v1/studies/st_none", None, key),
        ("model never registered", "POST", "/v1/studies", study | {"model": "/m"}, key),
        ("unknown field", "POST", "/v1/studies", study | {"modle": 1}, key),
        ("body is not JSON", "POST", "/v1/studies", b"{", key),
        ("body is NaN", "POST", "/v1/studies", nan.encode(), key),
        ("body nested 10,000 deep", "POST", "/v1/studies", b"[" * 10_000, key),
        ("body of 1 MB", "POST", "/v1/studies", b" " * 1_000_000, key),
        ("page cursor is text", "GET", "/v1/studies?limit=many", None, key),
        ("fingerprint missing", "POST", "/v1/models", {"path": "/m"}, key),
        ("another protocol", "POST", "/v1/leases", {"worker": "w", "protocol": 99}, worker),
        ("wait of an hour", "POST", "/v1/leases?wait=3600", {"worker": "w", "protocol": 1}, worker),
        (
            "stale token",
            "POST",
            "/v1/leases/1/report",
            {"worker": "w", "token": 1, "outcome": "failed", "error": "x"},
            worker,
        ),
        ("no layer of that kind", "POST", "/v1/studies", _with_modules(study), key),
        *_studies(study, key),
        *_models(dict(encode(model)), key),
        *_others(key, worker),
    ]
    with httpx.Client(base_url=client.url) as http:
        for given, method, path, body, secret in cases:
            yield ask(http, given, method, path, body, secret)


def _with_modules(study: dict[str, Any]) -> dict[str, Any]:
    return study | {"recipe": {"data": {"train": "t"}, "modules": ["w_proj"]}}


def _studies(study: dict[str, Any], key: str) -> list[Case]:
    search = study["search"]
    changed: dict[str, dict[str, Any]] = {
        "a name of 20,000 characters": {"name": "x" * 20_000},
        "a name with NUL": {"name": "a\x00b"},
        "half a character": {"name": "\ud83d"},
        "trials without end": {"search": search | {"budget": {"parameters": 10, "trials": 10**9}}},
        "a number beyond all": {"search": search | {"budget": {"parameters": 10**400}}},
        "true as a number": {"search": search | {"seed": True}},
        "a path that leads up": {"model": "/models/../etc"},
        "a stop risk of two": {"search": search | {"trial": {"stop_risk": 2}}},
        "a layer fixed twice over": {"search": search | {"fixed": {"x" * 9_000: 1}}},
        "hours that are none": {"search": search | {"budget": {"gpu_hours": -1}}},
    }
    return [
        (given, "POST", "/v1/studies", json.dumps(study | change).encode(), key)
        for given, change in changed.items()
    ]


def _models(model: dict[str, Any], key: str) -> list[Case]:
    first = model["matrices"][0]
    changed: dict[str, dict[str, Any]] = {
        "a path that is not absolute": {"path": "models/tiny"},
        "a path with a line break": {"path": "/models/\n"},
        "a fingerprint of nothing": {"fingerprint": " "},
        "no matrices": {"matrices": []},
        "a matrix of no width": {"matrices": [first | {"d_in": 0}]},
        "a matrix of all widths": {"matrices": [first | {"d_in": 2**40}]},
        "a matrix named twice": {"matrices": [first, first]},
        "a negative number of weights": {"parameters": -1},
    }
    return [(given, "POST", "/v1/models", model | change, key) for given, change in changed.items()]


def _others(key: str, worker: str) -> list[Case]:
    claim = {"worker": "w", "protocol": 1}
    return [
        ("a method the route has not", "DELETE", "/v1/models", None, key),
        ("an expired page", "GET", "/v1/studies?after=st_none", None, key),
        ("a page of a million", "GET", "/v1/studies?limit=1000000", None, key),
        ("a trial's number as text", "GET", "/v1/studies/st_none/trials/one", None, key),
        ("a front of no study", "GET", "/v1/studies/st_none/front", None, key),
        ("a role nobody has", "POST", "/v1/keys", {"role": "root", "name": "x"}, key),
        ("a key for ever and ever", "POST", "/v1/keys", {"role": "admin", "days": -1}, key),
        ("a key of no name", "DELETE", "/v1/keys/none", None, key),
        ("a worker without a name", "POST", "/v1/leases", {"worker": "", "protocol": 1}, worker),
        ("a worker's name of dots", "POST", "/v1/leases", claim | {"worker": ".."}, worker),
        ("a worker that can do a word", "POST", "/v1/leases", claim | {"can": "all"}, worker),
        ("a heartbeat for no trial", "POST", "/v1/leases/9/heartbeat", {"worker": "w"}, worker),
        ("a trial beyond all numbers", "POST", f"/v1/leases/{2**70}/report", {}, worker),
        ("a body of another kind", "POST", "/v1/leases", b"worker=w&protocol=1", worker),
    ]
