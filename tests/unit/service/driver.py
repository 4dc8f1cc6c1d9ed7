"""A service in this process on a migrated SQLite file, and a scripted worker for it."""

import hashlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from sqlalchemy import update

from rankspace import Measurement, TrialState
from rankspace.lease import PROTOCOL, WEIGHTS, Claim, Holding, Report
from rankspace.wire import encode
from service.access.caller import WorkerIdentity
from service.app import create_app
from service.settings import Settings
from service.storage.clock import Now
from service.storage.scope import ALL
from service.storage.tables import AttemptRow, EventRow, TrialRow
from tests.services import free_port
from tests.unit.service.compiled import share
from tests.unit.service.in_process import InProcess
from tests.waiting import wait_for

ANYBODY = WorkerIdentity(ALL)
"""The key of the first start, which speaks for any worker."""

MODULES = ("q_proj", "v_proj", "gate_proj", "down_proj")
DATABASE_URL = "database-url"
"""File in a test's data directory with the address of a database that is not in it."""

STREAM_SECONDS = 0.05
"""A test client gets an answer when it is complete."""

ON_SQLITE = pytest.mark.parametrize("directory", ["sqlite"], indirect=True)
"""For what only the database in a file does."""

ON_POSTGRESQL = pytest.mark.parametrize("directory", ["postgresql"], indirect=True)
"""For what only a database with several writers does."""

ON_BOTH = pytest.mark.parametrize("directory", ["sqlite", "postgresql"], indirect=True)
"""For what the two may do differently, in a module that is above the database."""

SEARCH = {
    "ranks": [0, 1, 2, 4, 8],
    "budget": {"parameters": "uniform:2", "trials": 24},
    "trial": {"steps": 10},
}
"""A search that is long enough to learn something."""

VERIFY = {"candidates": 1, "seeds": 4, "max_trials": 30}

USEFUL = {"down_proj": 0.03, "v_proj": 0.012, "gate_proj": 0.004, "q_proj": 0.001}


class Given(Settings):
    """Settings that are all given: reading the environment is most of what making them takes."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def settings(directory: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "data_directory": directory,
        "lease_seconds": 60.0,
        "housekeeping_seconds": 3600.0,  # tests sweep by hand
        "poll_seconds": 0.05,
        "fresh_seconds": 1e6,  # however slow the machine
        "stream_seconds": STREAM_SECONDS,
        "requests_per_second": 1e6,
        "request_burst": 1e6,
        "log_level": "error",
    }
    if (address := directory / DATABASE_URL).exists():
        values["database_url"] = address.read_text()
    return Given(**{**values, **changes})


def model(blocks: int = 3, path: str = "/models/tiny") -> dict[str, Any]:
    matrices = [
        {
            "name": f"model.layers.{block}.self_attn.{module}",
            "block": block,
            "module": module,
            "d_in": 32,
            "d_out": 32 + 16 * (module == "down_proj"),
        }
        for block in range(blocks)
        for module in MODULES
    ]
    return {
        "path": path,
        "fingerprint": f"{blocks:064x}",
        "architecture": "LlamaForCausalLM",
        "parameters": 10_000,
        "matrices": matrices,
    }


def study(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": "tiny",
        "model": "/models/tiny",
        "recipe": {"data": {"train": "train.jsonl"}, "modules": list(MODULES)},
        "search": {
            "ranks": [0, 1, 2, 4, 8],
            "budget": {"parameters": "uniform:2", "trials": 7},
            "trial": {"steps": 10},
        },
        "verify": {"candidates": 1, "seeds": 3, "max_trials": 16},
        "recover": {"epochs": 1, "steps": 20},
    }
    return {**values, **changes}


def score(assignment: Mapping[str, Any]) -> float:
    """Saturating utilities by kind of matrix, a seed effect all vectors share, a little noise."""
    ranks, layers = assignment["rank_vector"]["ranks"], assignment["layers"]
    gain = sum(
        USEFUL[layer["module"]] * math.log1p(rank)
        for layer, rank in zip(layers, ranks, strict=True)
    )
    seed = assignment["seed"]
    noise = math.sin(12.9898 * seed + sum((i + 1) * rank for i, rank in enumerate(ranks)))
    return -3.0 + gain + 0.01 * math.sin(seed) + 0.0005 * noise


def holding(assignment: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """What proves a claim: the worker, its token and the study."""
    return {**encode(Holding("w1", assignment["token"], assignment["study_id"])), **changes}


def outcome(assignment: Mapping[str, Any], value: float | None) -> dict[str, Any]:
    """The body of a report; None says that the trial failed."""
    held = "w1", assignment["token"], assignment["study_id"]
    if value is None:
        return dict(encode(Report(*held, "failed", error="the loss is NaN")))
    return dict(encode(Report(*held, "done", _measured(value, assignment))))


def price(assignment: Mapping[str, Any]) -> int:
    """Trainable parameters of the vector."""
    ranks, layers = assignment["rank_vector"]["ranks"], assignment["layers"]
    return sum(
        rank * int(layer["parameters_per_rank"]) for layer, rank in zip(layers, ranks, strict=True)
    )


def measurement(value: float, assignment: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker measures that ran all steps in a tenth of a second."""
    return dict(encode(_measured(value, assignment)))


def _measured(value: float, assignment: Mapping[str, Any]) -> Measurement:
    return Measurement(value, -value, 1.0, 10, 100, price(assignment), {"train": 0.1})


@dataclass
class Service:
    """A running application and the calls that tests repeat."""

    app: FastAPI
    client: httpx.Client
    directory: Path

    def key(self, role: str) -> dict[str, str]:
        secret = (self.directory / f"{role}.key").read_text().strip()
        return {"Authorization": f"Bearer {secret}"}

    def issue(self, role: str, project: str | None = None, **more: Any) -> dict[str, str]:
        """A new key, as the header that sends it."""
        answer = self.post("/v1/keys", {"role": role, "name": "x", "project": project, **more})
        assert answer.status_code == 201, answer.text
        return {"Authorization": f"Bearer {answer.json()['key']}"}

    def get(self, path: str) -> Any:
        answer = self.client.get(path, headers=self.key("admin"))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, role: str = "admin", **more: Any) -> Any:
        return self.client.post(path, json=body, headers=self.key(role), **more)

    def submit(self, project: str = "default", **changes: Any) -> str:
        query = f"?project={project}"
        assert self.post(f"/v1/models{query}", model()).status_code in (200, 201)
        answer = self.post(f"/v1/studies{query}", study(**changes))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def claim(self, worker: str = "w1", wait: float = 0) -> Any:
        body = encode(Claim(worker, PROTOCOL))
        answer = self.post(f"/v1/leases?wait={wait}", body, "worker")
        assert answer.status_code in (201, 204), answer.text
        return answer.json() if answer.status_code == 201 else None

    def report(
        self,
        assignment: Mapping[str, Any],
        value: float | None,
        *,
        upload: bool = True,
        **changes: Any,
    ) -> Any:
        if upload and assignment["keep_adapter"] and value is not None:
            self.upload(assignment, **{k: v for k, v in changes.items() if k == "worker"})
        path = f"/v1/leases/{assignment['trial_id']}/report"
        return self.post(path, {**outcome(assignment, value), **changes}, "worker")

    def upload(
        self, assignment: Mapping[str, Any], content: bytes = b"weights", **changes: Any
    ) -> None:
        path = f"/v1/leases/{assignment['trial_id']}/artifacts/{WEIGHTS}"
        digest = hashlib.sha256(content).hexdigest()
        answer = self.client.put(
            path,
            content=content,
            headers=self.key("worker") | {"X-Content-SHA256": digest},
            params=holding(assignment, **changes),
        )
        assert answer.status_code == 201, answer.text

    def work(
        self, trials: int = 1_000, measure: Callable[[Any], float | None] = score
    ) -> list[dict[str, Any]]:
        """Run up to ``trials`` trials as one worker; return what was assigned."""
        done: list[dict[str, Any]] = []
        while len(done) < trials and (assignment := self.claim()):
            answer = self.report(assignment, measure(assignment))
            assert answer.json() == {"status": "accepted"}, answer.text
            done.append(assignment)
        return done

    def only_study(self) -> str:
        """Identity of the study that a test marked with a beginning begins with."""
        (found,) = self.get("/v1/studies")["items"]
        return str(found["id"])

    def sweep(self) -> None:
        self.app.state.housekeeping.sweep()

    def let_leases_run_out(self) -> None:
        """Every worker has been silent for longer than its lease; no sweep has seen it yet."""
        held = update(TrialRow).where(TrialRow.state == TrialState.RUNNING.value)
        with self.app.state.runtime.database.writing() as session:
            session.execute(held.values(lease_until=Now() - 1))

    def let_time_pass(self, seconds: float) -> None:
        """Put back when trials were made and claimed, and what happened: all is so much older."""
        made = update(TrialRow).values(created_at=TrialRow.created_at - seconds)
        happened = update(EventRow).values(created_at=EventRow.created_at - seconds)
        claimed = update(AttemptRow).where(AttemptRow.ended_at.is_(None))
        with self.app.state.runtime.database.writing() as session:
            session.execute(made)
            session.execute(happened)
            session.execute(claimed.values(started_at=AttemptRow.started_at - seconds))


def start(directory: Path, *, plans_apart: bool = False, **changes: Any) -> Service:
    app = create_app(settings(directory, **changes), plans_apart=plans_apart)
    share(app.state.runtime.database)
    return Service(app, client_of(app), directory)


def client_of(app: FastAPI, *, raises: bool = True) -> httpx.Client:
    """A client that starts ``app`` when it is entered and stops it when it is left."""
    transport = InProcess(app, raises=raises)
    return httpx.Client(transport=transport, base_url="http://testserver", follow_redirects=True)


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Serve ``app`` over HTTP; its address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started or not thread.is_alive(), 30)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
