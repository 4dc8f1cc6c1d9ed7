"""Bad input through every door, and what each answers.

    python -m bench.bad_input [--json FILE] [--bodies N]

Runs the real command line and a real service on a tiny model made on the spot. Every answer must
be an error of ours that names what is wrong and a fix; nothing may be left behind. Then ``N``
damaged bodies go through the doors of the REST interface (``fuzzing``); a fault is a 5xx,
or a refusal not in our words. The last line counts: ``cases=… answered=… with_fix=…
left_behind=0 bodies=5000 faults=0``.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import httpx

from bench.bad_input import commands, data_files, model_files, requests, study_files
from bench.bad_input.answer import Answer
from bench.bad_input.fuzzing import Door, Fault, faults
from bench.latency.rest import UNLIMITED
from pruning.container.description import describe
from pruning.methods.compression import compress
from pruning.methods.settings import PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from rankadaptor.demo.base_model import Size, cached_base_model
from rankadaptor.demo.corpus import Corpus
from rankadaptor.private_service import service
from rankadaptor.rest.client import RestClient
from rankspace import Study
from rankspace.wire import decode, encode

TINY = Size(
    vocabulary=300, hidden=32, ffn=48, blocks=3, heads=4, kv_heads=2, length=16, batch=2, steps=1
)

DOORS = (model_files.answers, data_files.answers, study_files.answers, commands.answers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--bodies", type=int, default=5_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _prepare(place)
        with service(place / "service", place / "logs", UNLIMITED) as client:
            answers = [*_by_command(place), *requests.answers(place, client)]
            left = len(list(client.studies())) + len(list((place / "made").glob("*")))
            _print(answers)
            found = list(_damaged(place, client, options.bodies))
    for fault in found:
        print(f"FAULT {fault.door.method} {fault.door.path} {fault.status}: {fault.said}")
        print(f"  after {fault.body!r}")
    print(f"{_counts(answers, left)} bodies={options.bodies} faults={len(found)}")
    if options.json:
        options.json.write_text(json.dumps([asdict(answer) for answer in answers], indent=2))


def _by_command(place: Path) -> list[Answer]:
    """What the program says; it takes seconds to start, so all doors are tried side by side."""
    with ThreadPoolExecutor(len(DOORS)) as pool:
        return [*chain(*pool.map(lambda door: [*door(place)], DOORS))]


def _prepare(place: Path) -> None:
    text = "def f(x):\n    return x + 1\n" * 400
    (place / "text.txt").write_text(text)
    base, _ = cached_base_model(Corpus(text, text), TINY, place, lambda step, loss: None)
    base.rename(place / "base")
    calibration = CalibrationText(place / "text.txt", samples=2, length=16)
    compress(place / "base", place / "pruned", PruningSettings(blocks=(1,)), calibration)
    (place / "made").mkdir()


def _damaged(place: Path, client: RestClient, count: int) -> Iterator[Fault]:
    keys = {r: (place / "service" / f"{r}.key").read_text().strip() for r in ("admin", "worker")}
    with httpx.Client(base_url=client.url, timeout=60) as http:

        def send(door: Door, body: bytes) -> httpx.Response:
            headers = {"Authorization": f"Bearer {keys[door.role]}"}
            answer = http.request(door.method, door.path, content=body, headers=headers)
            if door.path == "/v1/studies" and answer.status_code == 201:
                client.cancel(answer.json()["id"])  # or all the others wait for its planning
            return answer

        yield from faults(_doors(place, client), send, count)


def _doors(place: Path, client: RestClient) -> list[Door]:
    """Every route that takes a body, with a good one for each."""
    model = describe(place / "pruned")
    client.register(model)  # as it is, whatever was sent under its path before
    search = {"budget": {"parameters": "uniform:8", "trials": 8}}
    recipe = {"data": {"train": "/text.txt"}}
    study = {"name": "s", "model": model.path, "recipe": recipe, "search": search}
    identity = client.submit(decode(Study, study))["id"]
    layers = len(client.space(identity).layers)
    held = {"worker": "w", "token": 1, "study_id": identity}
    numbers = {"loss": 1.0, "train_loss": 1.0, "steps": 1, "tokens": 1, "parameters": 1}
    measured = {"score": -1.0, **numbers, "seconds": {"train": 0.5}}
    trial = next(client.trials(identity))["id"]
    reports = [
        {**held, "outcome": "done", "measurement": measured},
        {**held, "outcome": "failed", "error": "NaN"},
    ]
    lease = f"/v1/leases/{trial}"
    return [
        Door("POST", "/v1/models", "admin", [encode(model)]),
        Door("POST", "/v1/studies", "admin", [study]),
        Door("POST", f"/v1/studies/{identity}/trials", "admin", [{"rank_vector": [0] * layers}]),
        Door("POST", "/v1/leases", "worker", [{"worker": "w", "protocol": 1}]),
        Door("POST", f"{lease}/heartbeat", "worker", [{**held, "interim": [[1, 2.5]]}]),
        Door("POST", f"{lease}/report", "worker", reports),
        Door("POST", f"{lease}/release", "worker", [held]),
        Door("POST", "/v1/keys", "admin", [{"role": "viewer", "name": "x", "days": 1}]),
    ]


def _print(answers: list[Answer]) -> None:
    print("| door | what is wrong | code | answer | fix |\n|---|---|---|---|---|")
    for a in answers:
        cells = (a.door, a.given, str(a.code), f"{a.error}: {a.detail}", a.fix)
        print(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    for taken in (answer for answer in answers if not answer.is_refusal or not answer.fix):
        print(f"NOT REFUSED, OR WITHOUT A FIX: {taken}")


def _counts(answers: list[Answer], left: int) -> str:
    ours = sum(a.is_refusal for a in answers)
    fixes = sum(bool(a.fix) for a in answers)
    return f"cases={len(answers)} answered={ours} with_fix={fixes} left_behind={left}"


if __name__ == "__main__":
    main()
