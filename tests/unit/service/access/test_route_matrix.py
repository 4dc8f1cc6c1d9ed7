"""Every route, asked by everybody, for an own and for a foreign object."""

import itertools
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import update
from starlette.routing import Mount, Route

from service.access.caller import Role
from service.app import ROUTERS
from service.storage.clock import Now
from service.storage.tables import KeyRow, StudyRow
from tests.unit.service.access.route_table import TABLE, Row
from tests.unit.service.driver import Service, holding, start

pytestmark = pytest.mark.slow

OURS, THEIRS = "ours", "theirs"
STRANGERS = ("nobody", "nonsense", "expired", "revoked")
KEYS = (*STRANGERS, *(role.value for role in Role), "everything", "session")
_number = itertools.count(1)

Prepared: TypeAlias = tuple[Mapping[str, Any], Mapping[str, Any]]
"""The names in a route's path, and what is sent."""


class Cast:
    """Everybody who asks, and the objects that they ask for."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.headers = {role.value: service.issue(role.value, OURS) for role in Role}
        self.headers["everything"] = service.issue("admin")
        self.headers["nobody"] = self.headers["session"] = {}
        self.headers["nonsense"] = {"Authorization": "Bearer rka_nonsense"}
        for name, column in (("expired", "expires_at"), ("revoked", "revoked_at")):
            self.headers[name] = service.issue("admin", OURS)
            mine = update(KeyRow).where(KeyRow.id == _key_id(self.headers[name]))
            with service.app.state.runtime.database.writing() as session:
                session.execute(mine.values({column: Now() - 1}))
        self.workers = {project: service.issue("worker", project) for project in (OURS, THEIRS)}
        self.cookies = self._log_in()
        self.untouched: dict[tuple[str, str], Prepared] = {}

    def _log_in(self) -> dict[str, str]:
        codes = self.service.client.post("/v1/login-codes", headers=self.headers["viewer"])
        self.service.client.post("/login", data={"code": codes.json()["code"]})
        cookies = dict(self.service.client.cookies)
        self.service.client.cookies.clear()
        return cookies

    def ask(self, route: str, who: str, project: str) -> Any:
        """Ask for an object of ``project``: a fresh one where the last may have been changed."""
        prepared = self.untouched.get((route, project)) or self._prepare(route, project)
        answer = self._ask(route, who, prepared)
        is_as_before = route.startswith("GET ") or answer.status_code in (401, 403, 404)
        self.untouched = {(route, project): prepared} if is_as_before else {}
        return answer

    def _ask(self, route: str, who: str, prepared: Prepared) -> Any:
        method, path = route.split(" ")
        names, body = prepared
        if who == "everything" and method == "POST":  # as the others' keys do by themselves
            path += f"?project={OURS}"
        ends = route == "POST /logout"  # not the session that the other routes are asked with
        cookies = self._log_in() if ends else self.cookies
        self.service.client.cookies.update(cookies if who == "session" else {})
        try:
            return self.service.client.request(
                method,
                path.format(**names) + ("/page.css" if path == "/static" else ""),
                headers=self.headers[who] | {"X-Content-SHA256": "0" * 64},
                follow_redirects=False,
                **body,
            )
        finally:
            self.service.client.cookies.clear()

    def _prepare(self, route: str, project: str) -> Prepared:
        """Make a fresh object of ``project``, in a state that the route can change."""
        body = TABLE[route].body
        names: dict[str, Any] = {"name": "README.md", "table": "curve", "number": 1 << 60}
        if "{trial}" in route:
            return self._lease(names, project, body)
        if "{study}" in route or route == "POST /v1/leases":
            names["study"] = self.service.submit(project)
        if route.startswith("DELETE /v1/studies"):
            self.service.post(f"/v1/studies/{names['study']}/cancel")
        if "{model}" in route:
            names["model"] = self._model(project)
        if "{key}" in route:
            names["key"] = _key_id(self.service.issue("viewer", project))
        if "{worker}" in route:
            names["worker"] = self._worker(project)
        if "token" in route or "join" in route:
            body, names["token"] = self._join(route, project, body)
        return names, {"data" if route == "POST /login" else "json": body} if body else {}

    def _model(self, project: str) -> str:
        self.service.submit(project)
        models = self.service.get("/v1/models")["items"]
        return str(next(item["id"] for item in models if item["project"] == project))

    def _worker(self, project: str) -> str:
        claim = {"worker": f"worker-{next(_number)}", "protocol": 1}
        self.service.client.post("/v1/leases", json=claim, headers=self.workers[project])
        return str(claim["worker"])

    def _join(self, route: str, project: str, body: Any) -> tuple[Any, str]:
        issued = self.service.post("/v1/join-tokens", {"name": "x", "project": project}).json()
        if route.endswith("/join"):
            body = {"token": issued["token"], "worker": f"new-{next(_number)}"}
        return body, str(issued["id"])

    def _lease(self, names: dict[str, Any], project: str, body: Any) -> Prepared:
        self.service.submit(project)
        worker = f"worker-{next(_number)}"
        claim = {"worker": worker, "protocol": 1}
        answer = self.service.client.post("/v1/leases", json=claim, headers=self.workers[project])
        held = holding(answer.json(), worker=worker)
        names["trial"] = answer.json()["trial_id"]
        if body is None:
            return names, {"params": held, "content": b"weights"}
        return names, {"json": {**held, **body}}


def _key_id(headers: Mapping[str, str]) -> str:
    return headers["Authorization"].split("_")[1]


@pytest.fixture(scope="module")
def cast(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    directory = tmp_path_factory.mktemp("matrix") / "data"
    shutil.copytree(migrated, directory)
    running = start(directory)
    with running.client:
        for project in (OURS, THEIRS, "default"):
            running.submit(project)
        yield Cast(running)


@pytest.fixture(autouse=True)
def _few_studies(cast: Cast) -> Iterator[None]:
    """What earlier tests submitted takes no part any more: every claim asks about all studies."""
    yield
    with cast.service.app.state.runtime.database.writing() as session:
        session.execute(update(StudyRow).values(state="cancelled"))


def _served(cast: Cast) -> set[str]:
    app = cast.service.app
    routes = [route for router in ROUTERS for route in router.routes]
    assert all(isinstance(route, APIRoute) for route in routes)
    found = {f"{m} {r.path}" for r in routes if isinstance(r, APIRoute) for m in r.methods or ()}
    found |= {f"GET {r.path}" for r in app.routes if isinstance(r, Route | Mount)}
    described = app.openapi()["paths"].items()
    return found | {f"{method.upper()} {path}" for path, verbs in described for method in verbs}


def test_the_table_names_the_routes_that_are_served(cast: Cast) -> None:
    assert _served(cast) == set(TABLE)


def _expected(row: Row, who: str, *, is_foreign: bool) -> int:
    if who in STRANGERS:
        return row.stranger
    if row.is_operators and who != "everything":
        return 403
    role = {"everything": Role.ADMIN, "session": Role.VIEWER}.get(who) or Role(who)
    own = row.session if who == "session" else row.status if role in row.roles else 403
    if is_foreign and own not in (401, 403, 303) and who != "everything":
        return row.foreign or own
    return own


@pytest.mark.parametrize("route", TABLE)
def test_everybody_gets_what_the_table_says(cast: Cast, route: str) -> None:
    row = TABLE[route]
    objects = (False, True) if row.foreign else (False,)
    cells = [(who, is_foreign) for is_foreign in objects for who in KEYS]
    found = {
        (who, foreign): cast.ask(route, who, THEIRS if foreign else OURS).status_code
        for who, foreign in cells
    }
    assert found == {cell: _expected(row, cell[0], is_foreign=cell[1]) for cell in cells}


@pytest.mark.parametrize("route", [r for r in TABLE if "{study}" in r and r.startswith("GET /v1")])
def test_a_foreign_study_is_answered_word_for_word_as_an_unknown_one(
    cast: Cast, route: str
) -> None:
    foreign, path = cast.service.submit(THEIRS), route.split(" ")[1]
    texts = {
        cast.service.client.get(
            path.format(study=study, name="README.md"), headers=cast.headers["viewer"]
        ).text.replace(study, "ID")
        for study in (foreign, "st_aaaaaaaaaa")
    }
    assert len(texts) == 1
