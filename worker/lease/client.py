"""LeaseClient: the lease routes of ``docs/rest.md`` over HTTP, one method per route."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from rankspace.errors import (
    InvalidInput,
    LeaseLost,
    NotFound,
    TrialFailed,
    Unreachable,
    UnsupportedVersion,
)
from rankspace.lease import (
    PROTOCOL,
    Action,
    Assignment,
    Capabilities,
    Claim,
    Heartbeat,
    HeartbeatAnswer,
    Holding,
    Receipt,
    Release,
    Report,
)
from rankspace.wire import encode, only
from worker.errors import Busy, NoAnswer
from worker.lease.answers import SAME_VERSION, error_of, json_of, read
from worker.lease.report import SpooledReport
from worker.lease.tls import tls_of

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 10.0
UPLOAD_TIMEOUT_SECONDS = 300.0

UNKNOWN = "unknown field"
"""How a service says that it reads no such field yet."""


class LeaseClient:
    """One worker's connection to the service. Not shared between threads: make a second one.

    The one that claims makes up who it is: a worker that was killed and comes back under its name
    would otherwise be taken for one whose answer got lost, and given the trial it died of again.

    Every method raises Unreachable when the service cannot serve it in ``attempts`` tries
    (NoAnswer when nothing comes back at all), Unauthenticated or Forbidden when it refuses the
    key, Quarantined when it gives this worker no trials, UnsupportedVersion when worker and
    service speak different protocols, LeaseLost when the trial is someone else's by now.
    """

    def __init__(self, url: str, key: str | None, worker: str, *, attempts: int = 3) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            verify=tls_of(url),
            trust_env=False,
        )
        self._worker = worker
        self._process = secrets.token_hex(8)
        self._retrying = Retrying(
            retry=retry_if_exception_type(Unreachable),
            stop=stop_after_attempt(attempts),
            wait=_wait_seconds,
            reraise=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def join(self, token: str) -> str:
        """Exchange a join token for a key that is bound to this worker; needs none itself.

        Raises:
            Conflict: Somebody has a key for that name.
        """
        body = {"token": token, "worker": self._worker}
        answer = json_of(self._send("POST", "/v1/workers/join", json=body))
        if not isinstance(answer, dict) or not str(answer.get("key")).startswith("rka_"):
            raise UnsupportedVersion(
                "the service answered a join token with something that is no key",
                hint=SAME_VERSION,
            )
        return str(answer["key"])

    def claim(self, wait_seconds: float, able: Capabilities | None = None) -> Assignment | None:
        """Ask for a trial the worker is ``able`` to run.

        The service may take ``wait_seconds`` to say that there is none.
        Asking again while holding a running trial brings the same lease.
        """
        claim = Claim(self._worker, PROTOCOL, able, self._process)
        answer = self._send(
            "POST",
            "/v1/leases",
            params={"wait": wait_seconds},
            json=encode(claim),
            timeout=TIMEOUT_SECONDS + wait_seconds,
        )
        return None if answer.status_code == 204 else read(Assignment, answer, strictly=True)

    def heartbeat(self, lease: Assignment, interim: Sequence[tuple[int, float]]) -> Action:
        """Renew the lease, hand in ``(step, loss)`` pairs, bring back what to do."""
        beat = Heartbeat(self._worker, lease.token, lease.study_id, tuple(interim))
        try:
            answer = self._lease("POST", lease, "heartbeat", json=encode(beat))
        except NotFound as error:
            # The study was deleted, and its trials with it.
            raise LeaseLost(error.detail, hint=error.hint) from None
        return read(HeartbeatAnswer, answer).action

    def report(self, report: SpooledReport) -> str:
        """Deliver a finished trial; ``accepted``, or ``duplicate`` if it had arrived before.

        Raises:
            NotFound: The study is another service's, or deleted.
        """
        try:
            return self._report(report)
        except InvalidInput as error:
            # During an upgrade a service of the release before may answer, which did not ask.
            measured = report.measurement
            if measured is None or measured.texts is None or UNKNOWN not in error.detail:
                raise
            return self._report(replace(report, measurement=replace(measured, texts=None)))

    def _report(self, report: SpooledReport) -> str:
        body = only(Report, encode(report))
        return read(Receipt, self._lease("POST", report, "report", json=body)).status

    def release(self, lease: Assignment, reason: str | None = None) -> None:
        """Give the trial back undone; it does not count as an attempt.

        With a ``reason`` why none of the study's can be run here, it brings others first.
        """
        body = encode(Release(self._worker, lease.token, lease.study_id, reason))
        # A service of the release before knows no reasons.
        self._lease("POST", lease, "release", json=body if reason else only(Holding, body))

    def upload(self, report: SpooledReport, file: Path) -> None:
        """Send one file of the adapter, ahead of its report; raises what ``report`` does."""
        self._lease(
            "PUT",
            report,
            f"artifacts/{file.name}",
            # Under the name that held the lease: the report may be an earlier process's.
            params=only(Holding, encode(report)),
            headers={"X-Content-SHA256": _sha256(file)},
            file=file,
            timeout=UPLOAD_TIMEOUT_SECONDS,
        )

    def fetch(self, lease: Assignment, target: BinaryIO, most: int) -> None:
        """Write the weights that ``lease`` scores on to ``target``, ``most`` bytes at most.

        Raises:
            NotFound: The service has lost them.
            TrialFailed: They are longer than was said.
        """
        held = encode(Holding(self._worker, lease.token, lease.study_id))
        path = f"/v1/leases/{lease.trial_id}/adapter"
        self._retrying(self._fetch, path, held, target, most)

    def _fetch(self, path: str, held: Any, target: BinaryIO, most: int) -> None:
        target.seek(0)
        target.truncate()
        try:
            with self._http.stream(
                "GET", path, params=held, timeout=UPLOAD_TIMEOUT_SECONDS
            ) as answer:
                if not answer.is_success:
                    answer.read()
                    raise error_of(answer)
                for chunk in answer.iter_bytes(CHUNK_BYTES):
                    if target.tell() + len(chunk) > most:
                        raise TrialFailed(f"the survey's adapter has more than {most:,} bytes")
                    target.write(chunk)
        except httpx.TransportError as error:
            raise self._no_answer(error) from error

    def _lease(
        self, method: str, lease: Assignment | SpooledReport, route: str, **request: Any
    ) -> httpx.Response:
        return self._send(method, f"/v1/leases/{lease.trial_id}/{route}", **request)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self._retrying(self._once, method, path, **request)

    def _once(
        self, method: str, path: str, *, file: Path | None = None, **request: Any
    ) -> httpx.Response:
        content = None if file is None else _chunks(file)
        try:
            answer = self._http.request(method, path, content=content, **request)
        except httpx.TransportError as error:
            raise self._no_answer(error) from error
        if not answer.is_success:
            raise error_of(answer)
        return answer

    def _no_answer(self, error: httpx.TransportError) -> NoAnswer:
        return NoAnswer(
            f"{self._http.base_url} does not answer: {error or type(error).__name__}",
            hint="check the address and that the service runs",
        )


_backoff = wait_random_exponential(multiplier=0.2, max=5)


def _wait_seconds(state: RetryCallState) -> float:
    """Back off at random, and at least as long as the service asked for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_seconds if isinstance(error, Busy) else 0.0
    return asked + _backoff(state)


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
