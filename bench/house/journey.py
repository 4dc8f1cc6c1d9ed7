"""Two trips through the running product, and the files that each enters.

    PYTHONPATH=ROOT python -P bench/house/journey.py ROOT FOLDER

ROOT is the checkout to measure, maybe an older one: only such names are used as do not move, and
this is one file. In this process run a real service with SQLite behind HTTP and the product's own
worker, which fine-tunes a tiny Llama; the results after that are made up. Prints JSON.
"""

import importlib
import inspect
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx
import torch
import uvicorn

from rankadaptor.demo.base_model import Size, cached_base_model
from rankadaptor.demo.corpus import Corpus
from service.app import create_app
from service.settings import Settings

PRODUCT = ("rankspace", "tuning", "perfmodel", "pruning", "service", "worker", "rankadaptor")
TEXT = "".join(f"def f{i}(x):\n    return x + {i}\n" for i in range(400))
TINY = Size(
    vocabulary=300, hidden=32, ffn=48, blocks=3, heads=4, kv_heads=2, length=16, batch=2, steps=1
)
STUDY = """name: trip
model: base
recipe: {data: {train: text.txt, format: text, held_out: 16}, sequence_length: 16}
search: {budget: {parameters: "uniform:2", trials: 6}, trial: {steps: 4}}
verify: {candidates: 1, seeds: 3, max_trials: 16}
"""

TRAINED = 3
"""Trials that are really trained; the trip is the last one's, when nothing is a first time."""

QUIET_SECONDS = 0.5
"""So long must no function of the product have been entered before the journey goes on."""

Point = tuple[str, str, str]
"""How a file's path ends, a function in it, and ``call`` or ``return``."""


@dataclass
class Trip:
    """The files entered on the way between two points, when it was last gone to its end.

    Attributes:
        via: A point on the way; until it is reached, the trip may begin anew.
        end: Where it is over.
        begin: Where it begins, if nobody calls ``restart``.
        files: In order of first entry.
    """

    via: Point
    end: Point
    begin: Point | None = None
    files: list[str] = field(default_factory=list)
    _entered: dict[str, None] | None = None
    _is_past_via: bool = False

    def restart(self) -> None:
        self._entered, self._is_past_via = {}, False

    def go(self, file: str, name: str, event: str) -> None:
        """Note that the function ``name`` of ``file`` was entered or left."""
        if self.begin and not self._is_past_via and _is_at(self.begin, file, name, event):
            self.restart()
        if self._entered is None:
            return
        if event == "call":
            self._entered[file] = None
        self._is_past_via |= _is_at(self.via, file, name, event)
        if self._is_past_via and _is_at(self.end, file, name, event):
            self.files = list(self._entered)
            self._entered, self._is_past_via = None, False


def _is_at(point: Point, file: str, name: str, event: str) -> bool:
    return (name, event) == point[1:] and file.endswith(point[0])


class Tracer:
    """Tells trips of every function of the product that is entered or left, in any thread."""

    def __init__(self, root: Path, trips: Sequence[Trip]) -> None:
        self._folders = tuple(f"{root}{os.sep}{package}{os.sep}" for package in PRODUCT)
        self._start = len(str(root)) + 1
        self._trips = trips
        self._lock = threading.Lock()
        self._last = time.monotonic()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event in ("call", "return") and self._is_ours(code):
            with self._lock:
                self._last = time.monotonic()
                for trip in self._trips:
                    trip.go(code.co_filename[self._start :], code.co_name, event)

    def _is_ours(self, code: CodeType) -> bool:
        """Whether it is a function of the product: bodies of modules and classes are imports."""
        is_function = code.co_flags & inspect.CO_OPTIMIZED
        return bool(is_function) and code.co_filename.startswith(self._folders)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Trace this thread, and those that start meanwhile."""
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def wait_until_quiet(self) -> None:
        while time.monotonic() - self._last < QUIET_SECONDS:
            time.sleep(QUIET_SECONDS / 5)


def journey(root: Path, folder: Path) -> dict[str, list[str]]:
    """Go both trips on the product in ``root``; return the files of each.

    Raises:
        RuntimeError: The product was imported from elsewhere, or a trip was not gone to its end.
    """
    if not create_app.__code__.co_filename.startswith(f"{root}{os.sep}"):
        raise RuntimeError(f"the service is not that of {root}; set PYTHONPATH to it")
    vector = Trip(
        begin=("perfmodel/study.py", "propose", "return"),
        via=(".py", "attach", "call"),
        end=("perfmodel/study.py", "learn", "call"),
    )
    report = Trip(via=("/leases.py", "report", "call"), end=(".py", "_turn", "return"))
    tracer = Tracer(root, (vector, report))
    torch.set_num_threads(1)
    _write_study(folder)
    with tracer.running(), _service(folder) as url:
        _submit(folder, url)
        tracer.wait_until_quiet()
        _train(folder, url, tracer)
        _answer(folder, url, tracer, report)
    if not (vector.files and report.files):
        raise RuntimeError("a trip did not come to its end: has one of its points another name?")
    return {"vector": vector.files, "report": report.files}


def _write_study(folder: Path) -> None:
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    base, _ = cached_base_model(Corpus(TEXT, TEXT), TINY, folder, lambda step, loss: None)
    base.rename(folder / "base")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")


@contextmanager
def _service(folder: Path) -> Iterator[str]:
    settings = Settings(data_directory=folder / "data", lease_seconds=600.0, log_level="error")
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.05)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _key(folder: Path, role: str) -> str:
    return (folder / "data" / f"{role}.key").read_text(encoding="ascii").strip()


def _submit(folder: Path, url: str) -> None:
    command = [sys.executable, "-P", "-m", "rankadaptor.cli", "submit", "study.yaml", "--url", url]
    environment = {**os.environ, "RANKADAPTOR_KEY": _key(folder, "admin")}
    subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def _train(folder: Path, url: str, tracer: Tracer) -> None:
    """Be the product's worker, wired as in ``worker.run``, one trial at a time."""
    parts: Any = importlib.import_module("worker.run")
    parts.logs.configure("console", "error")
    spool, evaluator = parts.Spool(folder / "spool"), parts.Evaluator(torch.device("cpu"))
    client, renewer = (parts.LeaseClient(url, _key(folder, "worker"), "trip") for _ in range(2))
    for _ in range(TRAINED):
        patience = parts.Patience(max_trials=1, wait_seconds=5.0)
        parts.Worker(
            "trip", client, renewer, evaluator, spool, drain=parts.Drain(), patience=patience
        ).run()
        tracer.wait_until_quiet()


def _answer(folder: Path, url: str, tracer: Tracer, trip: Trip) -> None:
    """Report what nobody trained, until the verdict is there and an adapter is wanted."""
    headers = {"Authorization": f"Bearer {_key(folder, 'worker')}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        while True:
            claim = client.post("/v1/leases?wait=5", json={"worker": "made-up", "protocol": 1})
            if claim.raise_for_status().json()["purpose"] == "recover":
                return
            tracer.wait_until_quiet()
            trip.restart()
            path = f"/v1/leases/{claim.json()['trial_id']}/report"
            client.post(path, json=_report(claim.json())).raise_for_status()
            tracer.wait_until_quiet()


def _report(assignment: dict[str, Any]) -> dict[str, Any]:
    ranks = assignment["rank_vector"]["ranks"]
    value = sum((at % 4 + 1) * math.log1p(rank) for at, rank in enumerate(ranks)) / 100 - 3.0
    prices = [layer["parameters_per_rank"] for layer in assignment["layers"]]
    measured = {
        "score": value,
        "loss": -value,
        "train_loss": 1.0,
        "steps": assignment["steps"],
        "tokens": 100,
        "parameters": sum(rank * price for rank, price in zip(ranks, prices, strict=True)),
        "seconds": {"train": 0.01},
    }
    held = {name: assignment[name] for name in ("token", "study_id")}
    return {**held, "worker": "made-up", "outcome": "done", "measurement": measured}


if __name__ == "__main__":
    print(json.dumps(journey(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))))
