"""A small honest service over real HTTP: it keeps leases as the real one does, and may be scripted.

``tests/contract/test_lease_service.py`` holds it against the real one.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

from rankspace import Assignment
from rankspace.errors import (
    Conflict,
    InvalidInput,
    LeaseLost,
    NotFound,
    Quarantined,
    RankspaceError,
    Unauthenticated,
)
from rankspace.lease import (
    ADAPTER_FILES,
    Action,
    Claim,
    Heartbeat,
    HeartbeatAnswer,
    Holding,
    Receipt,
    Release,
    Report,
)
from rankspace.wire import decode, encode, only

Answer: TypeAlias = tuple[int, Any]
Said: TypeAlias = Answer | Callable[[], Answer]
"""What is answered; a callable runs in the request's own thread first."""

LEASE_SECONDS = 60.0
STATUS: Mapping[type[RankspaceError], int] = {
    InvalidInput: 422,
    Unauthenticated: 401,
    Quarantined: 403,
    NotFound: 404,
    Conflict: 409,
    LeaseLost: 409,
}


@dataclass
class Attempt:
    """One claim of a trial; ``outcome`` is how it ended."""

    worker: str
    process: str | None
    outcome: str | None = None


@dataclass
class Trial:
    """``assignment`` has the token of the latest claim, or before any that of the first."""

    assignment: Assignment
    state: str = "queued"
    attempts: dict[int, Attempt] = field(default_factory=dict)


class Leases:
    """Who holds what; every call is one transaction."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._trials: dict[int, Trial] = {}
        self._quarantined: set[str] = set()
        self._barred: set[tuple[str, str]] = set()

    def queue(self, *assignments: Assignment) -> None:
        with self._changed:
            self._trials |= {each.trial_id: Trial(each) for each in assignments}
            self._changed.notify_all()

    def quarantine(self, worker: str) -> None:
        self._quarantined.add(worker)

    def cancel(self) -> None:
        with self._changed:
            for trial in self._trials.values():
                trial.state = "cancelled"

    def hold(self, assignment: Assignment, worker: str, process: str | None = None) -> None:
        """Let ``worker`` have claimed it, if its token is a new one."""
        with self._changed:
            trial = self._trials.setdefault(assignment.trial_id, Trial(assignment))
            if assignment.token not in trial.attempts:
                trial.assignment, trial.state = assignment, "running"
                trial.attempts[assignment.token] = Attempt(worker, process)

    def claim(self, claim: Claim, wait: float) -> Assignment | None:
        with self._changed:
            if (held := self._left_to(claim)) is not None:
                return held.assignment
            if claim.worker in self._quarantined:
                raise Quarantined("three failures", hint="have it reinstated")
            self._changed.wait_for(lambda: self._next(claim.worker) is not None, wait)
            trial = self._next(claim.worker)
            if trial is None:
                return None
            token = max(trial.attempts, default=trial.assignment.token - 1) + 1
            self.hold(replace(trial.assignment, token=token), claim.worker, claim.process)
            return trial.assignment

    def heartbeat(self, number: int, beat: Heartbeat) -> HeartbeatAnswer:
        with self._changed:
            trial, _ = self._held(number, beat)
            if trial.state not in ("running", "cancelled") or not _is_current(trial, beat):
                raise _lost(beat)
            action = Action.CANCEL if trial.state == "cancelled" else Action.CONTINUE
            return HeartbeatAnswer(LEASE_SECONDS, action)

    def report(self, number: int, report: Report) -> Receipt:
        with self._changed:
            trial, attempt = self._held(number, report)
            if attempt.outcome in ("done", "failed"):
                return Receipt("duplicate")
            if trial.state not in ("running", "queued") or not _is_current(trial, report):
                raise _lost(report)
            trial.state = attempt.outcome = report.outcome
            return Receipt("accepted")

    def release(self, number: int, holding: Release) -> None:
        with self._changed:
            trial, attempt = self._held(number, holding)
            if attempt.outcome == "released":
                return
            if trial.state != "running" or not _is_current(trial, holding):
                raise _lost(holding)
            trial.state, attempt.outcome = "queued", "released"
            if holding.reason:
                self._barred.add((holding.study_id, holding.worker))
            self._changed.notify_all()

    def check_upload(self, number: int, holding: Holding) -> None:
        with self._changed:
            trial, _ = self._held(number, holding)
            if trial.state in ("done", "failed", "cancelled") or not _is_current(trial, holding):
                raise _lost(holding)
            if not trial.assignment.keep_adapter:
                raise Conflict(f"trial {number} keeps no adapter")

    def _next(self, worker: str) -> Trial | None:
        for each in self._trials.values():
            is_barred = (each.assignment.study_id, worker) in self._barred
            if each.state == "queued" and not is_barred:
                return each
        return None

    def _left_to(self, claim: Claim) -> Trial | None:
        """What the worker holds; what it held as another process is queued again."""
        for trial in self._trials.values():
            attempt = trial.attempts.get(trial.assignment.token)
            if attempt is None or trial.state != "running" or attempt.worker != claim.worker:
                continue
            if claim.process in (None, attempt.process):
                return trial
            trial.state, attempt.outcome = "queued", "expired"
        return None

    def _held(self, number: int, holding: Holding) -> tuple[Trial, Attempt]:
        trial = self._trials.get(number)
        if trial is None or trial.assignment.study_id != holding.study_id:
            raise NotFound(f"trial {number} of study {holding.study_id!r} is not known here")
        attempt = trial.attempts.get(holding.token)
        if attempt is None or attempt.worker != holding.worker:
            raise _lost(holding)
        return trial, attempt


def _is_current(trial: Trial, holding: Holding) -> bool:
    return trial.assignment.token == holding.token


def _lost(holding: Holding) -> LeaseLost:
    return LeaseLost(f"no longer held with token {holding.token}")


class FakeService:
    """Answers each route from its script, last answer for ever, or else as its leases are.

    Attributes:
        leases: What there is to claim; a scripted claim is held, too.
        key: The only one it takes; None for any.
        seen: Route, path and body of every request.
        authorizations: The headers it was sent.
    """

    def __init__(self, key: str | None = None) -> None:
        self.leases = Leases()
        self.key = key
        self.seen: list[tuple[str, str, Any]] = []
        self.authorizations: set[str | None] = set()
        self._script: dict[str, list[Said]] = {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                service.handle(self)

            do_GET = do_POST = do_PUT = answer  # noqa: N815

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def say(self, route: str, *answers: Said) -> None:
        self._script[route] = list(answers)

    def bodies(self, route: str) -> list[Any]:
        return [body for name, _, body in self.seen if name == route]

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        route, trial = _route(request)
        self.authorizations.add(request.headers["Authorization"])
        body = _body(request)
        self.seen.append((route, request.path, body))
        if route in self._script:
            status, answer = self._scripted(route, body)
        else:
            status, answer = self._honest(request, route, trial, body)
        text = answer if isinstance(answer, bytes) else _json(answer)
        with suppress(ConnectionError):  # a worker that was told to leave waits for no answer
            request.send_response(status)
            request.send_header("Content-Length", str(len(text)))
            request.end_headers()
            request.wfile.write(text)

    def _scripted(self, route: str, body: Any) -> Answer:
        left = self._script[route]
        said = left.pop(0) if len(left) > 1 else left[0]
        status, answer = said() if callable(said) else said
        if (route, status) == ("claim", 201):
            given = decode(Assignment, only(Assignment, answer))
            self.leases.hold(given, body["worker"], body["process"])
        return status, answer

    def _honest(self, request: BaseHTTPRequestHandler, route: str, trial: int, body: Any) -> Answer:
        try:
            if self.key and request.headers["Authorization"] != f"Bearer {self.key}":
                raise Unauthenticated("the key is not valid")
            return self._answer(request, route, trial, body)
        except RankspaceError as error:
            told = {"error": type(error).__name__, "detail": error.detail, "hint": error.hint}
            return STATUS[type(error)], told

    def _answer(self, request: BaseHTTPRequestHandler, route: str, trial: int, body: Any) -> Answer:
        given = {name: each[0] for name, each in parse_qs(urlsplit(request.path).query).items()}
        if route == "claim":
            found = self.leases.claim(decode(Claim, body), float(given["wait"]))
            return (201, encode(found)) if found else (204, None)
        if route == "heartbeat":
            return 200, encode(self.leases.heartbeat(trial, decode(Heartbeat, body)))
        if route == "report":
            return 200, encode(self.leases.report(trial, decode(Report, body)))
        if route == "release":
            self.leases.release(trial, decode(Release, body))
            return 204, None
        if route == "upload":
            holding = Holding(given["worker"], int(given["token"]), given["study_id"])
            return self._take(request, trial, holding, body)
        raise Unauthenticated("no such join token")

    def _take(
        self, request: BaseHTTPRequestHandler, trial: int, holding: Holding, content: bytes
    ) -> Answer:
        name = urlsplit(request.path).path.rpartition("/")[2]
        if name not in ADAPTER_FILES:
            raise InvalidInput("name", name, "is not an artifact", fix="use another")
        self.leases.check_upload(trial, holding)
        digest = hashlib.sha256(content).hexdigest()
        if request.headers["X-Content-SHA256"] != digest:
            raise InvalidInput("X-Content-SHA256", digest, "arrived", fix="upload it again")
        return 201, {"name": name, "bytes": len(content), "sha256": digest}


def _route(request: BaseHTTPRequestHandler) -> tuple[str, int]:
    """Return the route's name and the trial's number, 0 without one."""
    path = urlsplit(request.path).path
    if path == "/v1/workers/join":
        return "join", 0
    found = re.fullmatch(r"/v1/leases/(\d+)/(\w+)(/.*)?", path)
    if found is None:
        return "claim", 0
    return "upload" if found[2] == "artifacts" else found[2], int(found[1])


def _body(request: BaseHTTPRequestHandler) -> Any:
    if request.command == "GET":
        return None
    if request.headers.get("Transfer-Encoding") != "chunked":
        return json.loads(request.rfile.read(int(request.headers["Content-Length"])))
    parts = b""
    while size := int(request.rfile.readline(), 16):
        parts += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return parts


def _json(answer: Any) -> bytes:
    return b"" if answer is None else json.dumps(answer).encode()
