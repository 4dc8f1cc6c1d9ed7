"""The service under a fleet and an audience: how long each route takes, and what it costs.

    python -m bench.api [--quick] [--seconds N] [--workers N] [--pages N] [--trials N] [--json FILE]

A real server process on SQLite, a live study of 128 layers with a history of finished trials.
Workers hold a trial each and renew it every 20 s; now and then one reports and claims the next.
Browsers do what the dashboard's script does: each holds an event stream open, and fetches the page
anew at most every 2 s when it was told of an event. Times are at the client, over keep-alive
connections, per route.
The last line is for a machine: the slowest route's p99, and the server's memory in MiB after a
warm-up and at the end.
"""

import argparse
import asyncio
import json
import random
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.family import resident_mebibytes, server_on
from bench.latency.rest import key_of, report, server, submit, write_history
from rankspace.lease import PROTOCOL, Claim, Heartbeat
from rankspace.wire import encode

HEARTBEAT_SECONDS = 20.0
PAGE_SECONDS, SELDOM_SECONDS, TURN_SECONDS = 2.0, 15.0, 1.0
"""Least and most time between two fetches of a page, and how often its script looks what is up."""

REPORTS_PER_SECOND = 1.0
KEPT_SECONDS = 3.0
"""Of an idle connection: the server closes it after five, perhaps just when it is used again."""

SPREAD = 200
"""Trials beyond the history that the study may still make, beside one per worker."""


@dataclass
class Load:
    """What runs, and what it measured.

    Attributes:
        admin: Connection with an administrator's key.
        worker: Connection with a worker's key.
        heartbeat_seconds: Between two heartbeats of a worker.
        seconds: By route, of every answer.
        failed: Answers that were no success, by route.
    """

    admin: httpx.AsyncClient
    worker: httpx.AsyncClient
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def ask(
        self, client: httpx.AsyncClient, method: str, path: str, **more: Any
    ) -> httpx.Response:
        route = f"{method} {re.sub(r'/(st_[a-z2-7]+|[0-9]+)', '/…', path.partition('?')[0])}"
        begin = time.perf_counter()
        answer = await client.request(method, path, **more)
        self.seconds[route].append(time.perf_counter() - begin)
        self.failed[route] += not answer.is_success
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="20 workers, 4 pages, 500 trials, 15 s"
    )
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--heartbeat-seconds", type=float, default=HEARTBEAT_SECONDS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.workers, options.pages, options.trials = 15, 20, 4, 500
    with tempfile.TemporaryDirectory(prefix="rankadaptor-api-") as folder:
        home = Path(folder)
        with server(home) as url:
            planned = options.trials + 2 * options.workers + SPREAD + int(options.seconds)
            study = submit(url, key_of(home, "admin"), planned, "additive")
        write_history(home, study, options.trials)
        with server(home) as url:
            load, first, last = asyncio.run(_run(url, home, study, options))
    _show(load, first, last, options.json)


async def _run(
    url: str, home: Path, study: str, options: argparse.Namespace
) -> tuple[Load, float, float]:
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEPT_SECONDS
    )
    clients = [
        httpx.AsyncClient(base_url=url, headers=key_of(home, role), timeout=120, limits=limits)
        for role in ("admin", "worker")
    ]
    async with clients[0] as admin, clients[1] as worker:
        load = Load(admin, worker, options.heartbeat_seconds)
        leases = await _staff(load, options.workers)
        browser = {"Cookie": await _log_in(admin)}
        for insight in ("front", "calibration"):
            await load.ask(admin, "GET", f"/v1/studies/{study}/{insight}")
        await load.ask(admin, "GET", f"/studies/{study}", headers=browser)
        load.seconds.clear()  # the first look at a long history is told by bench.latency
        first = resident_mebibytes(server_on(home))
        end = time.monotonic() + options.seconds
        await asyncio.gather(
            *(_heartbeat(load, leases, at, end) for at in range(options.workers)),
            *(_watch(load, study, browser, end) for _ in range(options.pages)),
            _turn_over(load, leases, end),
            _administer(load, study, end),
        )
        return load, first, resident_mebibytes(server_on(home))


async def _staff(load: Load, workers: int) -> list[Mapping[str, Any]]:
    return [await _claim(load, f"worker-{at}") for at in range(workers)]


async def _claim(load: Load, name: str) -> Mapping[str, Any]:
    body = encode(Claim(name, PROTOCOL))
    while True:
        answer = await load.ask(load.worker, "POST", "/v1/leases?wait=20", json=body)
        if answer.status_code == 201:
            return {**answer.json(), "worker": name}


async def _log_in(admin: httpx.AsyncClient) -> str:
    """Return the header of a browser's session."""
    code = (await admin.post("/v1/login-codes")).raise_for_status().json()["code"]
    answer = await admin.post("/login", data={"code": code})
    admin.cookies.clear()
    return "; ".join(f"{name}={value}" for name, value in answer.cookies.items())


async def _heartbeat(load: Load, leases: list[Mapping[str, Any]], at: int, end: float) -> None:
    await asyncio.sleep(random.uniform(0, load.heartbeat_seconds))
    while time.monotonic() < end:
        lease = leases[at]
        if not lease:  # it is reporting
            await asyncio.sleep(0.5)
            continue
        interim = tuple((step, 2.0 / (step + 1)) for step in range(4))
        beat = Heartbeat(lease["worker"], lease["token"], lease["study_id"], interim)
        path = f"/v1/leases/{lease['trial_id']}/heartbeat"
        await load.ask(load.worker, "POST", path, json=encode(beat))
        await asyncio.sleep(load.heartbeat_seconds)


async def _turn_over(load: Load, leases: list[Mapping[str, Any]], end: float) -> None:
    """Some worker reports and claims the next."""
    while time.monotonic() < end:
        await asyncio.sleep(random.expovariate(REPORTS_PER_SECOND))
        at = random.randrange(len(leases))
        lease, leases[at] = leases[at], {}
        path, body = report(lease, lease["worker"])
        await load.ask(load.worker, "POST", path, json=body)
        leases[at] = await _claim(load, lease["worker"])


async def _watch(load: Load, study: str, browser: Mapping[str, str], end: float) -> None:
    """A browser with the study's page open."""
    await asyncio.sleep(random.uniform(0, PAGE_SECONDS))
    seen = await load.ask(load.admin, "GET", f"/studies/{study}", headers=browser)
    told = _Told(_event(seen))
    stream = asyncio.create_task(_follow(load, study, browser, told))
    try:
        await _redraw(load, study, browser, told, end)
    finally:
        stream.cancel()


@dataclass
class _Told:
    """The last event a page has heard of."""

    event: int


async def _redraw(
    load: Load, study: str, browser: Mapping[str, str], told: _Told, end: float
) -> None:
    """Fetch the page when there is something new, and now and then anyway."""
    drawn, looked = told.event, time.monotonic()
    while time.monotonic() < end:
        await asyncio.sleep(TURN_SECONDS * random.uniform(0.75, 1.25))
        patience = PAGE_SECONDS if told.event > drawn else SELDOM_SECONDS
        if time.monotonic() - looked > patience:
            looked = time.monotonic()
            drawn = _event(await load.ask(load.admin, "GET", f"/studies/{study}", headers=browser))


async def _follow(load: Load, study: str, browser: Mapping[str, str], told: _Told) -> None:
    path = f"/v1/studies/{study}/events/stream?after={told.event}"
    async with load.admin.stream("GET", path, headers=browser) as answer:
        load.failed["GET /v1/studies/…/events/stream"] += not answer.is_success
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                told.event = int(line.removeprefix("id: "))
    load.failed["GET /v1/studies/…/events/stream"] += 1  # it should not have ended


def _event(page: httpx.Response) -> int:
    found = re.search(r'data-event="(\d+)"', page.text)
    return int(found[1]) if found else 0


async def _administer(load: Load, study: str, end: float) -> None:
    """Everything else a person or a supervisor asks now and then."""
    paths = (
        "/v1/studies",
        f"/v1/studies/{study}/trials?limit=100",
        f"/v1/studies/{study}/events?limit=100",
        f"/v1/studies/{study}/calibration",
        f"/v1/studies/{study}/front",
        "/v1/workers",
        "/readyz",
        "/livez",
        "/metrics",
    )
    while time.monotonic() < end:
        for path in paths:
            await load.ask(load.admin, "GET", path)
            await asyncio.sleep(0.3)


def _show(load: Load, first: float, last: float, file: Path | None) -> None:
    table = Table("route", "answers", "p50 ms", "p99 ms", "max ms", "failed")
    p99: dict[str, float] = {}
    for route, seconds in sorted(load.seconds.items()):
        p50, p99[route], most = 1e3 * np.percentile(seconds, [50, 99, 100])
        cells = (f"{p50:.1f}", f"{p99[route]:.1f}", f"{most:.1f}", str(load.failed[route]))
        table.add_row(route, f"{len(seconds):,}", *cells)
    Console(width=110).print(table)
    if file:
        file.write_text(json.dumps({"p99_ms": p99, "rss_mib": [first, last]}), encoding="utf-8")
    print(
        f"p99_ms={max(p99.values()):.1f} rss_mib={last:.0f} growth_mib={last - first:.0f} "
        f"failed={sum(load.failed.values())}"
    )


if __name__ == "__main__":
    main()
