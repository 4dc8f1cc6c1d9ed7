"""How long a worker waits for a trial and for the receipt of its result, over REST.

    python -m bench.latency.rest [--quick] [--strategy NAME] [--trials N ...]

A real server process on a SQLite file in a temporary folder, every commit synced to the disk; a
study of 128 layers whose history of finished trials was written through the service's own tables,
as a person's candidates. Then workers claim and report over keep-alive connections without
training anything: ``propose`` is the time of a claim, the planning it waits for included,
``report`` that of a report. After a restart, ``ready`` is the time until the server answers,
``first`` that of the first claim and ``cold`` that of the second, the first to be planned. Set
OMP_NUM_THREADS=1 for steady times.
"""

import argparse
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, insert, select

from perfmodel import random_vectors
from rankspace import Measurement, Purpose, RankVector, SearchSpace
from rankspace.lease import PROTOCOL, Claim, Report
from rankspace.trial import Split, TrialState
from rankspace.wire import encode
from service.settings import Settings
from service.storage.db import Database
from service.storage.documents import space_of
from service.storage.tables import AttemptRow, EventRow, ObservationRow, StudyRow, TrialRow

HERE = Path(__file__).resolve().parents[2]
KINDS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
WIDTHS = {"gate_proj": (64, 176), "up_proj": (64, 176), "down_proj": (176, 64)}
LAYERS = 128


def _costs(layers: int) -> tuple[int, ...]:
    return tuple(sum(WIDTHS.get(KINDS[at % len(KINDS)], (64, 64))) for at in range(layers))


HISTORIES, QUICK = (10, 1_000, 10_000), (10, 200)
CYCLES, QUICK_CYCLES = 60, 12
CREWS = (1, 4)
STEPS = 10
SECONDS = {"load": 0.0, "attach": 0.0, "train": 0.001, "evaluate": 0.0}
UNLIMITED = {"RANKADAPTOR_REQUESTS_PER_SECOND": "1e6", "RANKADAPTOR_REQUEST_BURST": "1e6"}
"""Environment of a server whose caller asks more than a key may."""

CHUNK = 500
"""Rows per statement."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds at the client."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Latency":
        p50, p99 = 1e3 * np.percentile([*seconds], [50, 99])
        return cls(float(p50), float(p99))


@dataclass(frozen=True)
class Start:
    """A server that starts with a history.

    Attributes:
        ready_ms: Until it answers.
        first_ms: Of the first claim, which an offer made before the stop waits for.
        cold_ms: Of the second claim, which waits for the first proposal: until then the model
            has read the whole history.
    """

    ready_ms: float
    first_ms: float
    cold_ms: float


@dataclass(frozen=True)
class RestRow:
    """One history and crew.

    Attributes:
        trials: Finished before.
        workers: That claim and report at the same time.
        propose: Of a claim, planning included.
        report: Of a report.
        start: Of the server that served them.
    """

    trials: int
    workers: int
    propose: Latency
    report: Latency
    start: Start


@dataclass(frozen=True)
class RestFigures:
    """Medians of one worker at the longest history, and all rows."""

    rest_propose_ms: float
    rest_report_ms: float
    rows: tuple[RestRow, ...]


def measure(quick: bool, strategy: str = "additive", trials: Sequence[int] = ()) -> RestFigures:
    """Run every history with every crew, each on a fresh database.

    Args:
        quick: Whether to run short histories and few cycles.
        strategy: Who proposes; ``random`` shows what the service alone takes.
        trials: Histories, shortest first, instead of the usual ones.
    """
    cycles = QUICK_CYCLES if quick else CYCLES
    histories = trials or (QUICK if quick else HISTORIES)
    rows = [row for count in histories for row in _rows(count, cycles, strategy)]
    longest = next(row for row in reversed(rows) if row.workers == 1)
    return RestFigures(longest.propose.p50, longest.report.p50, tuple(rows))


def _rows(trials: int, cycles: int, strategy: str) -> Iterator[RestRow]:
    """Run the crews one after another on one database."""
    planned = trials + len(CREWS) * (cycles + max(CREWS)) + 100
    with tempfile.TemporaryDirectory(prefix="rankadaptor-rest-") as folder:
        home = Path(folder)
        with server(home) as url:
            study = submit(url, key_of(home, "admin"), planned, strategy)
        write_history(home, study, trials)
        with server(home) as url:  # learns the history and makes an offer that knows it
            _cycles(url, key_of(home, "worker"), "worker-0", 2)
        begin = time.perf_counter()
        with server(home) as url:
            ready, key = time.perf_counter() - begin, key_of(home, "worker")
            (first, cold), _ = _cycles(url, key, "worker-0", 2)
            started = Start(1e3 * ready, 1e3 * first, 1e3 * cold)
            for crew in CREWS:
                yield RestRow(trials, crew, *_crew(url, key, crew, cycles), started)


def _crew(url: str, key: Mapping[str, str], crew: int, cycles: int) -> tuple[Latency, Latency]:
    """Let ``crew`` workers run ``cycles`` claims and reports between them."""
    each = -(-cycles // crew)
    with ThreadPoolExecutor(crew) as pool:
        ran = pool.map(lambda one: _cycles(url, key, f"worker-{one}", each), range(crew))
        claims, reports = ([*chain(*times)] for times in zip(*ran, strict=True))
    return Latency.of(claims), Latency.of(reports)


@contextmanager
def server(home: Path, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """A server process that answers, on the data in ``home``, with these in its environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "rankadaptor.cli", "serve", "--port", str(port)]
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--data", str(home)],
            cwd=HERE,
            stdout=log,
            stderr=log,
            env={**_environment(), **settings},
        )
        try:
            _await(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "RANKADAPTOR_" not in name}


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", verify=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.01)
    raise RuntimeError(f"the server ended with {process.returncode}")


def key_of(home: Path, role: str) -> dict[str, str]:
    secret = (home / f"{role}.key").read_text(encoding="utf-8").strip()
    return {"Authorization": f"Bearer {secret}"}


def submit(
    url: str, key: Mapping[str, str], trials: int, strategy: str, layers: int = LAYERS
) -> str:
    """Start a study of a model of ``layers`` matrices; its identity."""
    search = {
        "budget": {"parameters": "uniform:8", "trials": trials},
        "trial": {"steps": STEPS},
        "strategy": strategy,
    }
    recipe = {"data": {"train": "train.jsonl"}, "modules": list(KINDS)}
    study = {"name": "latency", "model": "/models/wide", "recipe": recipe, "search": search}
    with httpx.Client(base_url=url, headers=key, timeout=60) as client:
        client.post("/v1/models", json=_model(layers)).raise_for_status()
        answer = client.post("/v1/studies", json=study).raise_for_status()
        return str(answer.json()["id"])


def _model(layers: int) -> dict[str, Any]:
    sites = [(at // len(KINDS), KINDS[at % len(KINDS)]) for at in range(layers)]
    matrices = [
        {
            "name": f"model.layers.{block}.{kind}",
            "block": block,
            "module": kind,
            "d_in": WIDTHS.get(kind, (64, 64))[0],
            "d_out": WIDTHS.get(kind, (64, 64))[1],
        }
        for block, kind in sites
    ]
    return {
        "path": "/models/wide",
        "fingerprint": "0" * 64,
        "architecture": "LlamaForCausalLM",
        "parameters": 1_000_000,
        "matrices": matrices,
    }


def _score(ranks: Sequence[int], number: int) -> float:
    """Saturating utilities that differ by layer, and noise."""
    gain = sum((1 + at % 7) * math.log1p(rank) for at, rank in enumerate(ranks))
    return -3.0 + 1e-4 * gain + 1e-3 * math.sin(12.9898 * number)


def write_history(home: Path, study: str, trials: int) -> None:
    """Write what the service writes when a person's candidates are measured one after another."""
    database = Database(Settings(data_directory=home).url())
    with database.writing() as session:
        spaces = select(StudyRow.space).where(StudyRow.id == study)
        space = space_of(session.scalars(spaces).one())
        first = int(session.scalar(select(func.max(TrialRow.id))) or 0) + 1
        for start in range(0, trials, CHUNK):
            vectors = _vectors(space, trials)[start : start + CHUNK]
            rows = [
                _Finished(study, first + start + at, start + at + 1, v)
                for at, v in enumerate(vectors)
            ]
            for table in (TrialRow, AttemptRow, ObservationRow):
                session.execute(insert(table), [getattr(row, table.__tablename__) for row in rows])
            session.execute(insert(EventRow), [event for row in rows for event in row.events])
    database.close()


_known: dict[int, tuple[RankVector, ...]] = {}


def _vectors(space: SearchSpace, count: int) -> tuple[RankVector, ...]:
    if count not in _known:
        _known[count] = random_vectors(space, count, seed=1)
    return _known[count]


@dataclass(frozen=True)
class _Finished:
    """One finished trial of the history, as rows."""

    study: str
    trial: int
    sequence: int
    vector: RankVector

    @property
    def score(self) -> float:
        return _score(self.vector.ranks, self.sequence)

    @property
    def trials(self) -> dict[str, Any]:
        return {
            "id": self.trial,
            "study_id": self.study,
            "purpose": Purpose.SEARCH.value,
            "proposed": False,
            "rank_vector": self.vector,
            "seed": 0,
            "steps": STEPS,
            "epochs": 0,
            "split": Split.SELECTION.value,
            "keep_adapter": False,
            "priority": 1,
            "reason": "a person's candidate",
            "state": TrialState.DONE.value,
            "token": 1,
            "worker": "worker-0",
            "finished_at": float(self.sequence),
        }

    @property
    def attempts(self) -> dict[str, Any]:
        spent = {"ended_at": float(self.sequence), "seconds": 1.0, "outcome": "done"}
        return {"trial_id": self.trial, "token": 1, "worker": "worker-0", **spent}

    @property
    def observations(self) -> dict[str, Any]:
        numbers = {"sequence": self.sequence, "token": 1, "score": self.score}
        measured = encode(_measurement(self.score, self.vector.ranks))
        return {"trial_id": self.trial, "study_id": self.study, **numbers, "measurement": measured}

    @property
    def events(self) -> tuple[dict[str, Any], ...]:
        queued = {"purpose": "search", "rank_vector": list(self.vector.ranks), "seed": 0}
        claimed = {"worker": "worker-0", "token": 1}
        result = {"sequence": self.sequence, "score": self.score, "error": None, "steps": STEPS}
        contents = {"queued": queued, "claimed": claimed, "done": {"token": 1, **result}}
        return tuple(
            {"kind": kind, "study_id": self.study, "trial_id": self.trial, "content": content}
            for kind, content in contents.items()
        )


def _measurement(score: float, ranks: Sequence[int]) -> Measurement:
    price = RankVector(tuple(ranks)).parameters(_costs(len(ranks)))
    return Measurement(score, -score, 1.0, STEPS, 100, price, SECONDS)


def _cycles(
    url: str, key: Mapping[str, str], worker: str, count: int
) -> tuple[list[float], list[float]]:
    """Claim and report ``count`` times; return the seconds each took."""
    claims, reports = [], []
    with httpx.Client(base_url=url, headers=key, timeout=120) as client:
        for _ in range(count):
            claimed, lease = claim(client, worker)
            claims.append(claimed)
            reports.append(send(client, worker, lease))
    return claims, reports


def claim(client: httpx.Client, worker: str) -> tuple[float, Mapping[str, Any]]:
    """Claim a trial as ``worker``, waiting for it; return the seconds and the lease."""
    begin = time.perf_counter()
    body = encode(Claim(worker, PROTOCOL))
    while not (answer := client.post("/v1/leases?wait=20", json=body).raise_for_status()).content:
        pass
    seconds = time.perf_counter() - begin
    return seconds, answer.json()


def send(client: httpx.Client, worker: str, lease: Mapping[str, Any]) -> float:
    """Report the lease's result; return the seconds."""
    path, body = report(lease, worker)
    begin = time.perf_counter()
    client.post(path, json=body).raise_for_status()
    return time.perf_counter() - begin


def report(lease: Mapping[str, Any], worker: str) -> tuple[str, dict[str, Any]]:
    """Where to send the lease's result, and what."""
    ranks = lease["rank_vector"]["ranks"]
    measured = _measurement(_score(ranks, lease["trial_id"]), ranks)
    body = encode(Report(worker, lease["token"], lease["study_id"], "done", measured))
    return f"/v1/leases/{lease['trial_id']}/report", body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--strategy", default="additive")
    parser.add_argument("--trials", type=int, nargs="*", default=())
    given = parser.parse_args()
    figures = measure(given.quick, given.strategy, given.trials)
    Console(width=110).print(table(figures))
    print(
        f"rest_propose_ms={figures.rest_propose_ms:.1f} rest_report_ms={figures.rest_report_ms:.1f}"
    )


def table(figures: RestFigures) -> Table:
    """Lay the rows out; times in milliseconds."""
    heads = (
        "trials",
        "workers",
        "propose p50",
        "p99",
        "report p50",
        "p99",
        "ready",
        "first",
        "cold",
    )
    shown = Table(*heads, title=f"over REST, {LAYERS} layers, ms")
    for row in figures.rows:
        times = (row.propose.p50, row.propose.p99, row.report.p50, row.report.p99)
        cells = [f"{value:.1f}" for value in (*times, *astuple(row.start))]
        shown.add_row(str(row.trials), str(row.workers), *cells)
    return shown


if __name__ == "__main__":
    main()
