"""RestClient: the service's REST interface as Python."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from rankadaptor.adapter_download import Adapter, listed, model_of, placed, receive, vector_of
from rankadaptor.rest.tls import tls_of
from rankspace import PrunedModel, RankVector, SearchSpace, Study, Verdict
from rankspace.calibration import Calibration, Noise
from rankspace.errors import RankspaceError, Unreachable, revive
from rankspace.evaluation.fidelity import Fidelity
from rankspace.evaluation.recovered import Recovered
from rankspace.front import Front
from rankspace.study import Extension
from rankspace.wire import decode, encode, only

JSON = dict[str, Any]
T = TypeVar("T")
MAX_BYTES = 64 << 20  # of an answer that is read as a whole


class RestClient:
    """Talks to one service with one key; every refusal is an error of ``rankspace.errors``.

    >>> with RestClient("http://127.0.0.1:8731", key) as client:
    ...     client.register(describe(Path("pruned/llama")))
    ...     study = client.submit(study)
    """

    def __init__(self, url: str, key: str, *, timeout_seconds: float = 30) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            # Nothing is unpacked: a kilobyte that was packed three times is a gigabyte.
            headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"},
            timeout=timeout_seconds,
            verify=tls_of(self.url),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def ready(self) -> bool:
        """Tell whether the service answers and its database works."""
        try:
            return self._http.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def register(self, model: PrunedModel) -> JSON:
        """Describe a model to the service; the same fingerprint again changes nothing."""
        return self._json("POST", "/v1/models", body=encode(model))

    def submit(
        self,
        study: Study,
        *,
        origin: str | None = None,
        idempotency_key: str | None = None,
        gpu_need_gib: float = 0.0,
    ) -> JSON:
        """Start a study; ``origin`` is another one whose results it begins with.

        Args:
            study: As a person writes it.
            origin: Identity of the other one.
            idempotency_key: The same again returns the same study.
            gpu_need_gib: Memory below which a GPU gets none of its trials, where the study does
                not state ``gpu_memory_gib``; 0 if not known.

        Raises:
            InvalidInput: A field that cannot be used, or results that were measured otherwise.
        """
        asked = {"from": origin, "gpu_need_gib": gpu_need_gib}
        return self._json(
            "POST",
            "/v1/studies",
            body=encode(study),
            headers=_once(idempotency_key),
            params={name: value for name, value in asked.items() if value},
        )

    def extend(self, study_id: str, by: Extension, *, idempotency_key: str | None = None) -> JSON:
        """Go on with a study that is done.

        Raises:
            Conflict: It is not done, or was extended too often.
        """
        path, headers = f"/v1/studies/{study_id}/extend", _once(idempotency_key)
        return self._json("POST", path, body=encode(by), headers=headers)

    def clone(
        self,
        study_id: str,
        *,
        name: str | None = None,
        trials: int | None = None,
        seed: int | None = None,
        results: bool = False,
        idempotency_key: str | None = None,
    ) -> JSON:
        """Start a study once more; ``results``: with what it has measured."""
        body = {"name": name, "trials": trials, "seed": seed, "results": results}
        path, headers = f"/v1/studies/{study_id}/clone", _once(idempotency_key)
        return self._json("POST", path, body=body, headers=headers)

    def studies(self) -> Iterator[JSON]:
        return self._pages("/v1/studies")

    def study(self, study_id: str) -> JSON:
        return self._json("GET", f"/v1/studies/{study_id}")

    def pause(self, study_id: str) -> JSON:
        return self._json("POST", f"/v1/studies/{study_id}/pause")

    def resume(self, study_id: str) -> JSON:
        return self._json("POST", f"/v1/studies/{study_id}/resume")

    def cancel(self, study_id: str) -> JSON:
        return self._json("POST", f"/v1/studies/{study_id}/cancel")

    def delete(self, study_id: str) -> None:
        self._send("DELETE", f"/v1/studies/{study_id}")

    def space(self, study_id: str) -> SearchSpace:
        return decode(SearchSpace, self._json("GET", f"/v1/studies/{study_id}/space"))

    def trials(self, study_id: str, *, limit: int | None = None) -> Iterator[JSON]:
        """Yield them oldest first, ``limit`` with a request or fewer; None: as the service does."""
        return self._pages(f"/v1/studies/{study_id}/trials", limit)

    def events(self, study_id: str) -> Iterator[JSON]:
        return self._pages(f"/v1/studies/{study_id}/events")

    def modules(self, study_id: str) -> tuple[str, ...]:
        """Kinds of matrices that the study may adapt."""
        return tuple(self.study(study_id)["study"]["recipe"]["modules"])

    def offer(
        self, study_id: str, rank_vector: RankVector, *, idempotency_key: str | None = None
    ) -> JSON:
        """Queue a rank vector of your own."""
        body = {"rank_vector": list(rank_vector.ranks)}
        path, headers = f"/v1/studies/{study_id}/trials", _once(idempotency_key)
        return self._json("POST", path, body=body, headers=headers)

    def verdict(self, study_id: str) -> Verdict:
        """Return the verdict.

        Raises:
            Conflict: The study has none yet.
        """
        return decode(Verdict, self._json("GET", f"/v1/studies/{study_id}/verdict"))

    def recovered(self, study_id: str) -> Recovered:
        """Return what the recovered models score on the metrics that the study asks for."""
        return _read(Recovered, self._json("GET", f"/v1/studies/{study_id}/recovered"))

    def fidelity(self, study_id: str) -> Fidelity:
        """Return how far what the study measures vectors by ranks them alike."""
        return _read(Fidelity, self._json("GET", f"/v1/studies/{study_id}/fidelity"))

    def calibration(self, study_id: str) -> Calibration:
        """Judge the model's predictions by the results since."""
        return _read(Calibration, self._json("GET", f"/v1/studies/{study_id}/calibration"))

    def front(self, study_id: str) -> Front:
        """Return score against parameters.

        Raises:
            Conflict: No trial has a score yet.
        """
        return _read(Front, self._json("GET", f"/v1/studies/{study_id}/front"))

    def noise(self, study_id: str) -> Noise:
        """Return what two equally good vectors' scores differ by.

        Raises:
            Conflict: Too few trials have a score.
        """
        return _read(Noise, self._json("GET", f"/v1/studies/{study_id}/noise"))

    def export(
        self, study_id: str, directory: Path, *, prepare: Callable[[Path], None] | None = None
    ) -> Adapter:
        """Download the recovered adapter into ``directory``, all of it or nothing.

        Args:
            study_id: Of the study.
            directory: Where the files land.
            prepare: Changes them in the folder it is given, before they do.

        Raises:
            UnsupportedVersion: The service lists other files than those of an adapter.
            Unreachable: What arrived is not what was announced.
            InvalidInput: ``directory`` cannot be written.
        """
        route = f"/v1/studies/{study_id}/export"
        listing = self._json("GET", route)
        files, rank_vector, model = listed(listing), vector_of(listing), model_of(listing)
        with placed(files, directory) as draft:
            for file in files:
                with self._answer("GET", f"{route}/{file.name}") as answer:
                    receive(file, answer.iter_raw(), draft / file.name)
            if prepare is not None:
                prepare(draft)
        paths = tuple(directory / file.name for file in files)
        return Adapter(files, paths, rank_vector, model)

    def workers(self) -> Iterator[JSON]:
        return self._pages("/v1/workers")

    def quarantine(self, worker: str, reason: str) -> JSON:
        """Give a worker no more trials."""
        path = f"/v1/workers/{quote(worker, safe='')}/quarantine"
        return self._json("POST", path, body={"reason": reason})

    def reinstate(self, worker: str) -> JSON:
        return self._json("POST", f"/v1/workers/{quote(worker, safe='')}/reinstate")

    def issue_join_token(
        self, name: str, *, project: str | None = None, uses: int = 1, hours: float = 24.0
    ) -> JSON:
        """Issue a join token; the answer's ``token`` is the secret, shown this once."""
        body = {"name": name, "project": project, "uses": uses, "hours": hours}
        return self._json("POST", "/v1/join-tokens", body=body)

    def join_tokens(self) -> Iterator[JSON]:
        return self._pages("/v1/join-tokens")

    def revoke_join_token(self, token_id: str) -> None:
        self._send("DELETE", f"/v1/join-tokens/{quote(token_id, safe='')}")

    def issue_key(
        self, role: str, name: str, *, project: str | None = None, days: float | None = None
    ) -> JSON:
        """Issue a key; the answer's ``key`` is the secret, shown this once."""
        body = {"role": role, "name": name, "project": project, "days": days}
        return self._json("POST", "/v1/keys", body=body)

    def api_keys(self) -> Iterator[JSON]:
        return self._pages("/v1/keys")

    def revoke_key(self, key_id: str) -> None:
        self._send("DELETE", f"/v1/keys/{quote(key_id, safe='')}")

    def audit(self) -> Iterator[JSON]:
        """Yield who changed what, oldest first."""
        return self._pages("/v1/audit")

    def login_url(self) -> str:
        """Return an address that opens the dashboard once, without the key in it."""
        code = str(self._json("POST", "/v1/login-codes")["code"])
        return f"{self.url}/login?code={quote(code, safe='')}"

    def _pages(self, path: str, limit: int | None = None) -> Iterator[JSON]:
        after: Any = None
        while True:
            asked = {"after": after, "limit": limit}
            page = self._json("GET", path, params={k: v for k, v in asked.items() if v is not None})
            before, after = after, page.get("next")
            if not isinstance(page.get("items"), list) or after == before is not None:
                raise Unreachable(f"{self.url}{path} answered no page", hint="check the address")
            yield from page["items"]
            if after is None:
                return

    def _json(self, method: str, path: str, **options: Any) -> JSON:
        with self._answer(method, path, **options) as answer:
            try:
                body = json.loads(_whole(answer))
            except (ValueError, RecursionError):
                body = None
            if not isinstance(body, dict):
                raise _foreign(answer)
            return body

    def _send(self, method: str, path: str) -> None:
        with self._answer(method, path):
            pass

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Iterator[httpx.Response]:
        """Yield an answer that is a success, its body not read yet; redirections are none."""
        try:
            with self._http.stream(
                method, path, json=body, headers=headers, params=params
            ) as answer:
                if not answer.is_success:
                    raise _refusal(answer)
                yield answer
        except httpx.RequestError as error:
            raise Unreachable(
                f"no answer from {self.url} ({error})",
                hint="is `rankadaptor serve` running there? Set --url or RANKADAPTOR_URL",
            ) from error


def _read(kind: type[T], answer: JSON) -> T:
    """Read what the model says; a service that is newer may say more."""
    return decode(kind, only(kind, answer))


def _once(idempotency_key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": idempotency_key} if idempotency_key else {}


def _whole(answer: httpx.Response) -> bytes:
    """Read all of the body.

    Raises:
        Unreachable: It has more than ``MAX_BYTES``, which none of ours has.
    """
    parts, count = [], 0
    for part in answer.iter_raw():
        parts.append(part)
        count += len(part)
        if count > MAX_BYTES:
            raise _foreign(answer)
    return b"".join(parts)


def _refusal(answer: httpx.Response) -> RankspaceError:
    try:
        body = json.loads(_whole(answer))
        error, detail, hint = body["error"], body["detail"], body["hint"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return _foreign(answer)
    if not all(isinstance(text, str) for text in (error, detail, hint)):
        return _foreign(answer)
    return revive(error, detail, hint)


def _foreign(answer: httpx.Response) -> Unreachable:
    return Unreachable(
        f"{answer.request.url} answered {answer.status_code} and not as our service does",
        hint="check the address",
    )
