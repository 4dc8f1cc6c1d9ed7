"""Who gets what on every route; ``test_route_matrix`` holds it against the routes served."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.access.caller import Role
from tests.unit.service.driver import model, study

READ = (Role.ADMIN, Role.MEMBER, Role.VIEWER)
WRITE = (Role.ADMIN, Role.MEMBER)
ADMIN = (Role.ADMIN,)
LEASE = (Role.ADMIN, Role.WORKER)


@dataclass(frozen=True)
class Row:
    """What a route answers.

    Attributes:
        roles: Let in; others get 403, strangers ``stranger``.
        status: What they get for an object of their project.
        foreign: What they get for an object of another project; None where there is no object.
        stranger: Without a valid key.
        session: A viewer's browser session; it may do no more than read.
        is_operators: Only keys of all projects are let in; others get 403.
        body: To send.
    """

    roles: tuple[Role, ...]
    status: int
    foreign: int | None = None
    stranger: int = 401
    session: int = 401
    is_operators: bool = False
    body: Any = None


def read(status: int = 200, *, of_object: bool = True) -> Row:
    return Row(READ, status, 404 if of_object else None, session=status)


def change(status: int, body: Any = None, roles: tuple[Role, ...] = WRITE) -> Row:
    return Row(roles, status, 404, body=body)


def same_for_all(status: int, body: Any = None) -> Row:
    return Row(tuple(Role), status, stranger=status, session=status, body=body)


def page(status: int, foreign: int | None = None) -> Row:
    """A page asks for a session, whatever key is sent."""
    return Row(tuple(Role), 303, foreign, stranger=303, session=status)


def button() -> Row:
    """A form of a page: asks for a session as that does, and for one that may write."""
    return Row(tuple(Role), 303, stranger=303, session=403)


CLAIM = {"worker": "matrix", "protocol": 1}
JOIN = {"token": "a fresh one", "worker": "a new one"}
ORDER = {"role": "viewer", "name": "x"}
STUDY = "/v1/studies/{study}"
TRIAL = "/v1/leases/{trial}"

TABLE: Mapping[str, Row] = {
    "GET /livez": same_for_all(200),
    "GET /readyz": same_for_all(200),
    "GET /v1/openapi.json": same_for_all(200),
    "GET /static": same_for_all(200),
    "GET /login": same_for_all(200),
    "POST /login": same_for_all(401, {"code": "never given out"}),
    "POST /logout": same_for_all(303),
    "GET /": page(200),
    "GET /fleet": page(200),
    "GET /studies/{study}": page(200, 404),
    **{
        f"GET /studies/{{study}}/{tab}": page(200, 404)
        for tab in ("ranks", "trials", "model", "budget", "events", "tables/{table}.csv")
    },
    "GET /studies/{study}/compare": page(200, 404),
    "GET /studies/{study}/trials/{number}": page(404, 404),
    **{
        f"POST /studies/{{study}}/{action}": button()
        for action in ("pause", "resume", "cancel", "extend", "clone", "delete")
    },
    "GET /v1/models": read(of_object=False),
    "POST /v1/models": Row(WRITE, 200, body=model()),  # registered before
    "GET /v1/models/{model}": read(),
    "GET /v1/studies": read(of_object=False),
    "POST /v1/studies": Row(WRITE, 201, body=study()),
    f"GET {STUDY}": read(),
    f"DELETE {STUDY}": change(204),
    f"GET {STUDY}/space": read(),
    f"GET {STUDY}/recovered": read(),
    f"GET {STUDY}/verdict": read(409),
    f"GET {STUDY}/events": read(),
    f"GET {STUDY}/events/stream": read(),
    f"POST {STUDY}/pause": change(200),
    f"POST {STUDY}/resume": change(200),
    f"POST {STUDY}/cancel": change(200),
    f"POST {STUDY}/extend": change(409, {"trials": 1}),  # it is not done
    f"POST {STUDY}/clone": change(201, {"seed": 1}),
    f"GET {STUDY}/trials": read(),
    f"POST {STUDY}/trials": change(201, {"rank_vector": [0] * 12}),
    f"GET {STUDY}/calibration": read(),
    f"GET {STUDY}/front": read(409),
    f"GET {STUDY}/noise": read(409),
    f"GET {STUDY}/fidelity": read(),
    f"GET {STUDY}/export": read(409),
    f"GET {STUDY}/export/{{name}}": read(409),
    "GET /v1/events/stream": read(of_object=False),
    "GET /v1/workers": read(of_object=False),
    "POST /v1/workers/join": Row(tuple(Role), 201, stranger=201, session=201, body=JOIN),
    "POST /v1/workers/{worker}/quarantine": change(200, {"reason": "on fire"}, ADMIN),
    "POST /v1/workers/{worker}/reinstate": change(200, roles=ADMIN),
    "POST /v1/login-codes": Row(READ, 201),
    "POST /v1/leases": Row(LEASE, 201, body=CLAIM),
    f"POST {TRIAL}/heartbeat": change(200, {}, LEASE),
    f"POST {TRIAL}/report": change(200, {"outcome": "failed", "error": "NaN"}, LEASE),
    f"POST {TRIAL}/release": change(204, {}, LEASE),
    f"GET {TRIAL}/adapter": Row(
        LEASE, 409, 404, session=403
    ),  # this trial is on no survey's adapter
    f"PUT {TRIAL}/artifacts/{{name}}": change(409, None, LEASE),  # a search trial keeps none
    "GET /v1/keys": Row(ADMIN, 200, session=403),
    "POST /v1/keys": Row(ADMIN, 201, body=ORDER),
    "GET /v1/join-tokens": Row(ADMIN, 200, session=403),
    "POST /v1/join-tokens": Row(ADMIN, 201, body={"name": "x"}),
    "DELETE /v1/join-tokens/{token}": change(204, roles=ADMIN),
    "GET /v1/audit": Row(ADMIN, 200, session=403),
    "GET /metrics": Row(ADMIN, 200, session=403, is_operators=True),
    "DELETE /v1/keys/{key}": change(204, roles=ADMIN),
}
