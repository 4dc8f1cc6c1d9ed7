"""What one hostile member, viewer and stranger can do to another project's workers.

    python -m bench.harm [--quick] [--seconds N]

A real server process on SQLite. The good project has two studies of 128 layers and workers
that each hold a trial, renew its lease ten times as often as real ones do, and now and then report
and claim the next. First they are alone; then, for as long again, there are

- a member of another project, who submits studies as large as are taken, with a random control and
  names of the most characters, one after another, and lets a worker of its own report to them;
- a viewer of that project with 60 requests at a time for fronts, calibrations and large pages;
- a stranger with 300 half-sent requests that are opened anew as they are cut off;
- a study in the good project that nobody can open, which every worker is handed and gives back.

The last line is for a machine: the good heartbeats' p99 and longest claim under attack, what
failed, and what of the results accepted is not there in the end.
"""

import argparse
import asyncio
import itertools
import multiprocessing
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.latency.rest import key_of, report, server, submit
from rankspace import Measurement
from rankspace.lease import PROTOCOL, Claim, Heartbeat, Release, Report
from rankspace.wire import encode

SECONDS, QUICK_SECONDS = 180.0, 20.0
WORKERS, BEAT_SECONDS, TRIAL_SECONDS = 12, 2.0, 6.0
LOOKS, LOOK_PATHS = 60, ("front", "calibration", "trials?limit=1000", "noise")
HALF_OPEN = 300
EVIL_LAYERS, EVIL_RANKS, EVIL_TRIALS = 512, 256, 1_500
NAME = "a" * 500
CANNOT_OPEN = "train.jsonl: no such file"

Lease: TypeAlias = Mapping[str, Any]


@dataclass
class Measured:
    """What the good project's workers saw, from a process that does nothing else.

    Attributes:
        beats: Seconds of each heartbeat.
        claims: Seconds of each claim, from when there was work to be had.
        failed: What was answered otherwise than with success, by what it was.
        accepted: Trials whose result was accepted.
    """

    beats: list[float] = field(default_factory=list)
    claims: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    accepted: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Site:
    """A server, and who talks to it.

    Attributes:
        url: Its address.
        home: Its data directory.
        admin: The header of an administrator's key.
        fleet: That of the good project's workers.
        closed: The good project's study that nobody can open.
        until: When the phase ends, on ``time.monotonic``'s clock.
    """

    url: str
    home: Path
    admin: Mapping[str, str]
    fleet: Mapping[str, str]
    closed: str
    until: float

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.until

    def client(self, headers: Mapping[str, str]) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, keepalive_expiry=3.0)
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, limits=limits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS:.0f} s a phase")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each phase")
    options = parser.parse_args()
    seconds = QUICK_SECONDS if options.quick else options.seconds
    with tempfile.TemporaryDirectory(prefix="rankadaptor-harm-") as folder:
        home = Path(folder)
        with server(home) as url:
            alone, beset, harm, lost = _phases(url, home, seconds)
    _show(alone, beset, harm, lost, seconds)


def _phases(url: str, home: Path, seconds: float) -> tuple[Measured, Measured, Counter[str], int]:
    """The good workers alone, then beset; what the attackers were answered, and what is lost."""
    admin = key_of(home, "admin")
    studies = [submit(url, admin, 50_000, "additive"), submit(url, admin, 50_000, "swap")]
    closed = submit(url, admin, 50, "random")
    with httpx.Client(base_url=url, headers=admin, timeout=60) as client:
        client.post(f"/v1/studies/{closed}/pause").raise_for_status()
        fleet = _issued(client, "worker", "default")
        alone, harm = Measured(), Counter[str]()
        asyncio.run(_staffed(_site(url, home, fleet, closed, seconds), alone))
        client.post(f"/v1/studies/{closed}/resume").raise_for_status()
        beset, site = Measured(), _site(url, home, fleet, closed, seconds)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            attack = pool.submit(_attack, site)
            asyncio.run(_staffed(site, beset))
            harm += attack.result()
        there = {trial for study in studies for trial in _done(client, study)}
        state = client.get(f"/v1/studies/{closed}").json()["state"]
        harm[f"the study nobody can open is {state}"] += 1
    return alone, beset, harm, len((alone.accepted | beset.accepted) - there)


def _site(url: str, home: Path, fleet: Mapping[str, str], closed: str, seconds: float) -> Site:
    until = time.monotonic() + seconds
    return Site(url, home, key_of(home, "admin"), fleet, closed, until)


def _issued(client: httpx.Client, role: str, project: str) -> dict[str, str]:
    body = {"role": role, "name": role, "project": project}
    answer = client.post("/v1/keys", json=body).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['key']}"}


def _done(client: httpx.Client, study: str) -> set[int]:
    found: set[int] = set()
    after: int | None = 0
    while after is not None:
        page = client.get(f"/v1/studies/{study}/trials?limit=1000&after={after}")
        items = page.raise_for_status().json()["items"]
        found |= {trial["id"] for trial in items if trial["state"] == "done"}
        after = page.json()["next"]
    return found


def _attack(site: Site) -> Counter[str]:
    """In a process of its own, or whoever measures would wait for its turn as well."""
    harm = Counter[str]()
    asyncio.run(_beset(site, harm))
    return harm


async def _beset(site: Site, harm: Counter[str]) -> None:
    with httpx.Client(base_url=site.url, headers=site.admin, timeout=60) as client:
        roles = ("member", "viewer", "worker")
        member, viewer, worker = (_issued(client, role, "evil") for role in roles)
    studies: list[str] = []
    await asyncio.gather(
        _submits(site, member, studies, harm),
        _reports(site, worker, harm),
        *(_looks(site, viewer, studies, harm) for _ in range(LOOKS)),
        *(_half_opens(site, harm) for _ in range(HALF_OPEN)),
    )


async def _staffed(site: Site, measured: Measured) -> None:
    async with site.client(site.fleet) as client:
        workers = (_works(site, client, f"good-{at}", measured) for at in range(WORKERS))
        await asyncio.gather(*workers)


async def _works(site: Site, client: httpx.AsyncClient, name: str, measured: Measured) -> None:
    await asyncio.sleep(random.uniform(0.0, TRIAL_SECONDS))
    while site.goes_on:
        lease = await _claimed(client, name, measured)
        if lease is not None and lease["study_id"] == site.closed:
            await _gives_back(client, name, lease, measured)
        elif lease is not None:
            await _trains(site, client, name, lease, measured)


async def _claimed(client: httpx.AsyncClient, name: str, measured: Measured) -> Lease | None:
    answer, seconds = await _timed(
        measured, client.post, "/v1/leases?wait=20", json=encode(Claim(name, PROTOCOL))
    )
    if answer is None or answer.status_code != 201:
        return None
    measured.claims.append(seconds)
    lease: Lease = answer.json()
    return lease


async def _trains(
    site: Site, client: httpx.AsyncClient, name: str, lease: Lease, measured: Measured
) -> None:
    ends = time.monotonic() + random.uniform(0.5, 1.5) * TRIAL_SECONDS
    while time.monotonic() < ends and site.goes_on:
        beat = Heartbeat(name, lease["token"], lease["study_id"], ())
        path = f"/v1/leases/{lease['trial_id']}/heartbeat"
        _, seconds = await _timed(measured, client.post, path, json=encode(beat))
        measured.beats.append(seconds)
        await asyncio.sleep(BEAT_SECONDS * random.uniform(0.5, 1.5))
    path, body = report(lease, name)
    answer, _ = await _timed(measured, client.post, path, json=body)
    if answer is not None and answer.is_success:
        measured.accepted.add(lease["trial_id"])


async def _gives_back(
    client: httpx.AsyncClient, name: str, lease: Lease, measured: Measured
) -> None:
    given = Release(name, lease["token"], lease["study_id"], CANNOT_OPEN)
    path = f"/v1/leases/{lease['trial_id']}/release"
    await _timed(measured, client.post, path, json=encode(given))


async def _timed(
    measured: Measured, ask: Callable[..., Awaitable[httpx.Response]], path: str, **more: Any
) -> tuple[httpx.Response | None, float]:
    begin = time.perf_counter()
    try:
        answer = await ask(path, **more)
    except httpx.HTTPError as error:
        measured.failed[type(error).__name__] += 1
        return None, time.perf_counter() - begin
    if not answer.is_success:
        measured.failed[f"{answer.status_code} {answer.text[:60]}"] += 1
    return answer, time.perf_counter() - begin


async def _submits(
    site: Site, key: Mapping[str, str], studies: list[str], harm: Counter[str]
) -> None:
    """Studies as large as are taken, as fast as the service answers, with long unknown names."""
    async with site.client(key) as client:
        for number in itertools.count():
            if not site.goes_on:
                return
            path = f"/models/evil-{number}"
            await _harm(harm, "model", client.post("/v1/models", json=_model(path)))
            answer = await _harm(harm, "study", client.post("/v1/studies", json=_study(path)))
            if answer is not None and answer.status_code == 201:
                studies.append(answer.json()["id"])
            fixed = {f"{NAME}{at}": 0 for at in range(200)}
            await _harm(
                harm, "unknown names", client.post("/v1/studies", json=_study(path, fixed=fixed))
            )


def _model(path: str) -> dict[str, Any]:
    matrices = [
        {
            "name": f"model.layers.{at}.{NAME[:400]}.q_proj",
            "block": at,
            "module": "q_proj",
            "d_in": 32,
            "d_out": 32 + at % 50,
        }
        for at in range(EVIL_LAYERS)
    ]
    about = {"architecture": "LlamaForCausalLM", "parameters": 1, "fingerprint": path}
    return {"path": path, **about, "matrices": matrices}


def _study(path: str, **search: Any) -> dict[str, Any]:
    budget = {"parameters": f"uniform:{EVIL_RANKS // 2}", "trials": EVIL_TRIALS}
    looked = {"ranks": list(range(EVIL_RANKS)), "budget": budget, "trial": {"steps": 10}}
    return {
        "name": "evil",
        "model": path,
        "recipe": {"data": {"train": "train.jsonl"}, "modules": ["q_proj"]},
        "search": {**looked, **search},
        "verify": {"candidates": 1, "seeds": 3, "max_trials": 100, "random_control": True},
    }


async def _reports(site: Site, key: Mapping[str, str], harm: Counter[str]) -> None:
    """A worker that trains nothing: every claim of the large studies is reported at once."""
    async with site.client(key) as client:
        while site.goes_on:
            body = encode(Claim("evil", PROTOCOL))
            answer = await _harm(harm, "claim", client.post("/v1/leases?wait=2", json=body))
            if answer is not None and answer.status_code == 201:
                path, result = _result(answer.json())
                await _harm(harm, "report", client.post(path, json=result))


def _result(lease: Lease) -> tuple[str, dict[str, Any]]:
    costs = (int(layer["parameters_per_rank"]) for layer in lease["layers"])
    ranks, loss = lease["rank_vector"]["ranks"], 3.0 + random.uniform(-0.01, 0.01)
    price = sum(rank * cost for rank, cost in zip(ranks, costs, strict=True))
    measured = Measurement(-loss, loss, loss, lease["steps"], 100, price, {"train": 0.01})
    body = Report("evil", lease["token"], lease["study_id"], "done", measured)
    return f"/v1/leases/{lease['trial_id']}/report", dict(encode(body))


async def _looks(
    site: Site, key: Mapping[str, str], studies: list[str], harm: Counter[str]
) -> None:
    async with site.client(key) as client:
        while site.goes_on:
            if not studies:
                await asyncio.sleep(0.5)
                continue
            path = f"/v1/studies/{random.choice(studies)}/{random.choice(LOOK_PATHS)}"
            await _harm(harm, "look", client.get(path))


async def _half_opens(site: Site, harm: Counter[str]) -> None:
    """Send half a request, and wait to be cut off."""
    host, port = site.url.removeprefix("http://").split(":")
    while site.goes_on:
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST /v1/leases HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            await asyncio.wait_for(reader.read(), max(site.until - time.monotonic(), 0.1))
            harm["half-open: cut off"] += 1
            writer.close()
        except TimeoutError:
            writer.close()
        except OSError as error:
            harm[f"half-open: {type(error).__name__}"] += 1
            await asyncio.sleep(0.5)


async def _harm(
    harm: Counter[str], what: str, asked: Awaitable[httpx.Response]
) -> httpx.Response | None:
    try:
        answer = await asked
    except httpx.HTTPError as error:
        harm[f"{what}: {type(error).__name__}"] += 1
        return None
    harm[f"{what}: {answer.status_code}"] += 1
    return answer


def _show(alone: Measured, beset: Measured, harm: Counter[str], lost: int, seconds: float) -> None:
    table = Table("workers", "heartbeats", "p50 ms", "p99 ms", "max ms", "claims", "p99", "max")
    for name, one in (("alone", alone), ("beset", beset)):
        beats, claims = _milliseconds(one.beats), _milliseconds(one.claims)
        cells = (str(len(one.beats)), *beats, str(len(one.claims)), *claims[1:])
        table.add_row(name, *cells)
    Console(width=110).print(table)
    for what, count in sorted(harm.items()):
        print(f"{what}: {count:,}")
    for what, count in (alone.failed + beset.failed).most_common():
        print(f"FAILED {what}: {count:,}")
    p99 = float(np.percentile(beset.beats, 99)) if beset.beats else float("inf")
    print(
        f"heartbeat_p99_ms={1e3 * p99:.1f} claim_max_ms={1e3 * max(beset.claims, default=0.0):.1f} "
        f"failed={(alone.failed + beset.failed).total()} lost={lost} "
        f"trials_alone={len(alone.accepted)} trials_beset={len(beset.accepted)} "
        f"seconds={seconds:.0f}"
    )


def _milliseconds(seconds: list[float]) -> tuple[str, ...]:
    if not seconds:
        return ("-", "-", "-")
    return tuple(f"{1e3 * value:.1f}" for value in np.percentile(seconds, [50, 99, 100]))


if __name__ == "__main__":
    main()
