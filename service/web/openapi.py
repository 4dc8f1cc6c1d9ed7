"""The OpenAPI document, with links: which routes take what another one has just answered."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from service.web.auth import admit_stranger

_CLAIM = {"token": "$response.body#/token", "study_id": "$response.body#/study_id"}
_HOLDING = {"worker": "$request.body#/worker", **_CLAIM}

LINKS: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("post", "/v1/models"): {"/v1/models/{model}": "$response.body#/id"},
    ("post", "/v1/studies"): {"/v1/studies/{study}": "$response.body#/id"},
    ("get", "/v1/studies"): {"/v1/studies/{study}": "$response.body#/items/0/id"},
    ("post", "/v1/leases"): {"/v1/leases/{trial}": "$response.body#/trial_id"},
    ("post", "/v1/keys"): {"/v1/keys/{key}": "$response.body#/id"},
}
"""By route: the routes below which address its answer fills in."""

BODIES: Mapping[str, Mapping[str, Any]] = {
    "/v1/leases/{trial}/heartbeat": _HOLDING,
    "/v1/leases/{trial}/release": _HOLDING,
    "/v1/leases/{trial}/report": {**_HOLDING, "outcome": "failed", "error": "out of memory"},
}
"""What a claim's answer says of the body of the calls that follow it."""


router = APIRouter(include_in_schema=False, dependencies=[Depends(admit_stranger)])


@router.get("/v1/openapi.json")
async def document(request: Request) -> Response:
    """Answer with the document, which is written once."""
    state = request.app.state
    if state.openapi is None:
        state.openapi = await run_in_threadpool(_written, request.app)
    return Response(state.openapi, media_type="application/json")


def _written(app: FastAPI) -> bytes:
    return json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()


def describe(app: FastAPI) -> None:
    """Have ``app`` serve its document with the links in it."""
    app.state.openapi = None
    plain = app.openapi

    def linked() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = link(plain())
        return app.openapi_schema

    app.openapi = linked  # type: ignore[method-assign]  # as FastAPI's documentation has it


def link(document: dict[str, Any]) -> dict[str, Any]:
    """Add the links to ``document`` and return it."""
    paths = document["paths"]
    for (method, path), below in LINKS.items():
        responses = paths[path][method]["responses"]
        for code in responses.keys() & {"200", "201"}:
            responses[code]["links"] = {
                operation["operationId"]: _link(target, operation, expression)
                for root, expression in below.items()
                for target, operations in paths.items()
                if target.startswith(root)
                for operation in operations.values()
            }
    return document


def _link(path: str, operation: Mapping[str, Any], expression: str) -> dict[str, Any]:
    name = path.partition("{")[2].partition("}")[0]
    made: dict[str, Any] = {
        "operationId": operation["operationId"],
        "parameters": {name: expression},
    }
    asked = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"}
    if path in BODIES:
        made["requestBody"] = dict(BODIES[path])
    elif asked >= _HOLDING.keys():
        made["parameters"] |= _HOLDING
    return made
