"""Bad input through every door, and what each answers.

    python -m bench.bad_input [--json FILE] [--bodies N]

Runs the real command line and a real service on a tiny model made on the spot. Every answer must
be an error of ours that names what is wrong and a fix; nothing may be left behind. Then ``N``
damaged bodies go through the doors of the REST interface (``bench.fuzzing``); a fault is an answer
of 5xx, or a refusal not in our words. The last line counts: ``cases=… answered=… with_fix=…
left_behind=0 bodies=5000 faults=0``.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.fuzzing import Door, Fault, faults
from pruning.container.description import describe
from pruning.methods.compression import compress
from pruning.methods.settings import PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from rankadaptor.client import Client
from rankadaptor.demo.base_model import Size, cached_base_model
from rankadaptor.demo.corpus import Corpus
from rankadaptor.demo.processes import service
from rankspace import Study
from rankspace.wire import decode, encode

UNLIMITED = {"RANKADAPTOR_REQUESTS_PER_SECOND": "1e6", "RANKADAPTOR_REQUEST_BURST": "1e6"}
TINY = Size(
    vocabulary=300, hidden=32, ffn=48, blocks=3, heads=4, kv_heads=2, length=16, batch=2, steps=1
)
STUDY = """name: s
model: pruned
recipe: {data: {train: text.txt, format: text, held_out: 4}, sequence_length: 16}
search: {budget: {parameters: "uniform:8", trials: 4}}
"""


@dataclass(frozen=True)
class Answer:
    """One refusal.

    Attributes:
        door: Where the input came in.
        given: What was wrong with it.
        code: Exit code or HTTP status.
        error: Class of the error.
        detail: What it said.
        fix: What to do.
    """

    door: str
    given: str
    code: int
    error: str
    detail: str
    fix: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--bodies", type=int, default=5_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _prepare(place)
        with service(place / "service", place / "logs", UNLIMITED) as client:
            answers = [*_containers(place), *_files(place), *_commands(place)]
            answers += _requests(place, client)
            left = len(list(client.studies())) + len(list((place / "made").glob("*")))
            found = list(_damaged(place, client, options.bodies))
    _print(answers)
    for fault in found:
        print(f"FAULT {fault.door.method} {fault.door.path} {fault.status}: {fault.said}")
        print(f"  after {fault.body!r}")
    print(f"{_counts(answers, left)} bodies={options.bodies} faults={len(found)}")
    if options.json:
        options.json.write_text(json.dumps([asdict(answer) for answer in answers], indent=2))


def _prepare(place: Path) -> None:
    text = "def f(x):\n    return x + 1\n" * 400
    (place / "text.txt").write_text(text)
    base, _ = cached_base_model(Corpus(text, text), TINY, place, lambda step, loss: None)
    base.rename(place / "base")
    calibration = CalibrationText(place / "text.txt", samples=2, length=16)
    compress(place / "base", place / "pruned", PruningSettings(blocks=(1,)), calibration)
    (place / "made").mkdir()


# --- containers -----------------------------------------------------------------------------


def _edit(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        document = json.loads((directory / name).read_text())
        change(document)
        (directory / name).write_text(json.dumps(document))

    return damage


def _cut(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-64])


def _link(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.rename(directory.parent / "elsewhere.safetensors")
    path.symlink_to(directory.parent / "elsewhere.safetensors")


def _block(**changes: Any) -> Callable[[Path], None]:
    return _edit("pruned.json", lambda d: d["structure"]["blocks"][1].update(changes))


DAMAGES: Mapping[str, Callable[[Path], object]] = {
    "no config.json": lambda d: (d / "config.json").unlink(),
    "config.json is not JSON": lambda d: (d / "config.json").write_text("{"),
    "unknown architecture": _edit("config.json", lambda c: c.update(architectures=["BertModel"])),
    "remote code asked for": _edit(
        "config.json", lambda c: c.update(auto_map={"AutoModel": "x.y"})
    ),
    "another schema version": _edit("pruned.json", lambda p: p.update(schema=99)),
    "FFN width disagrees": _block(ffn=7),
    "kv heads do not divide heads": _block(heads=3, kv_heads=2),
    "weights cut off": _cut,
    "weights are a link to outside": _link,
    "a pickle instead of weights": lambda d: (d / "model.safetensors").rename(d / "model.bin"),
}


def _containers(place: Path) -> Iterator[Answer]:
    for given, damage in DAMAGES.items():
        copy = place / "damaged" / "m"
        shutil.rmtree(copy.parent, ignore_errors=True)
        shutil.copytree(place / "pruned", copy)
        damage(copy)
        command = ["profile", str(copy), "--text", str(place / "text.txt"), "--samples", "2"]
        yield _run("container", given, *command, "--length", "16")


# --- study files ----------------------------------------------------------------------------

FILES: Mapping[str, str | bytes] = {
    "not YAML": "name: [",
    "not UTF-8": b"name: \xff\xfe",
    "a key written twice": STUDY + "name: again\n",
    "a Python object": "!!python/object/apply:os.system ['true']",
    "misspelt field": STUDY.replace("search:", "serach:"),
    "no training data": STUDY.replace("train: text.txt, ", ""),
    "model directory missing": STUDY.replace("model: pruned", "model: prund"),
    "ranks not increasing": STUDY.replace("{budget", "{ranks: [4, 2], budget"),
    "budget below the cheapest vector": STUDY.replace(
        '{budget: {parameters: "uniform:8"', "{ranks: [2, 4], budget: {parameters: 10"
    ),
    "budget rank not allowed": STUDY.replace("uniform:8", "uniform:7"),
    "number as text": STUDY.replace("sequence_length: 16", 'sequence_length: "16"'),
    "1e-4 without a dot": STUDY.replace(
        "sequence_length: 16", "optimizer: {learning_rate: 1e-4}, sequence_length: 16"
    ),
    "fixed layer unknown": STUDY.replace("{budget", "{fixed: {model.layers.9: 4}, budget"),
    "verification too small": STUDY + "verify: {max_trials: 3}\n",
}


def _files(place: Path) -> Iterator[Answer]:
    for given, content in FILES.items():
        file = place / "study.yaml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        yield _run("study file", given, "submit", str(file), "--check")


# --- command line ---------------------------------------------------------------------------


def _commands(place: Path) -> Iterator[Answer]:
    base, text, made = str(place / "base"), str(place / "text.txt"), str(place / "made" / "m")
    cut = ["compress", "taylor", base, made, "--text", text, "--samples", "2", "--length", "16"]
    yield _run("command", "unknown pruner", "compress", "tailor", base, made, "--text", text)
    yield _run("command", "ratio of 1.5", *cut, "--ratio", "1.5")
    yield _run("command", "block 9 of 3", *cut, "--blocks", "9")
    yield _run("command", "blocks not a list", *cut, "--blocks", "one")
    yield _run("command", "text missing", *cut[:5], str(place / "none.txt"))
    yield _run("command", "target is in use", *cut[:3], str(place / "logs"), *cut[4:])
    yield _run("command", "no service there", "status", "--url", "http://127.0.0.1:9")
    yield _run("command", "open to the world", "serve", "--host", "0.0.0.0")


def _run(door: str, given: str, *command: str) -> Answer:
    result = subprocess.run(
        [sys.executable, "-m", "rankadaptor.cli", *command, *(["--json"] * _speaks_json(command))],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "RANKADAPTOR_KEY": "rka_none_none", "HOME": "/nonexistent"},
    )
    last = (result.stderr.strip().splitlines() or [""])[-1]
    try:
        body = json.loads(last)
    except ValueError:
        body = _spoken(result.stderr)
    detail, fix = body.get("detail", last), body.get("hint", "")
    return Answer(door, given, result.returncode, body.get("error", ""), detail, fix)


def _speaks_json(command: tuple[str, ...]) -> bool:
    return command[0] != "serve"


def _spoken(text: str) -> dict[str, str]:
    """Read the two lines that a person sees."""
    head, _, fix = " ".join(text.split()).partition(" fix: ")
    error, _, detail = head.partition(": ")
    return {"error": error, "detail": detail, "hint": fix} if fix else {}


# --- REST -----------------------------------------------------------------------------------


def _requests(place: Path, client: Client) -> Iterator[Answer]:
    model = describe(place / "pruned")
    client.register(model)
    study = {
        "name": "s",
        "model": model.path,
        "recipe": {"data": {"train": "text.txt"}},
        "search": {"budget": {"parameters": "uniform:8"}},
    }
    key = (place / "service" / "admin.key").read_text().strip()
    worker = (place / "service" / "worker.key").read_text().strip()
    nan = json.dumps(study | {"search": {"budget": {"gpu_hours": 1}}}).replace(" 1}", " NaN}")
    cases: list[tuple[str, str, str, Any, str | None]] = [
        ("no key", "GET", "/v1/studies", None, None),
        ("wrong key", "GET", "/v1/studies", None, "rka_aaaaaaaa_wrong"),
        ("worker's key on an admin's route", "GET", "/v1/studies", None, worker),
        ("unknown route", "GET", "/v1/studys", None, key),
        ("unknown study", "GET", "/v1/studies/st_none", None, key),
        ("model never registered", "POST", "/v1/studies", study | {"model": "/m"}, key),
        ("unknown field", "POST", "/v1/studies", study | {"modle": 1}, key),
        ("body is not JSON", "POST", "/v1/studies", b"{", key),
        ("body is NaN", "POST", "/v1/studies", nan.encode(), key),
        ("body nested 10,000 deep", "POST", "/v1/studies", b"[" * 10_000, key),
        ("body of 1 MB", "POST", "/v1/studies", b" " * 1_000_000, key),
        ("page cursor is text", "GET", "/v1/studies?limit=many", None, key),
        ("fingerprint missing", "POST", "/v1/models", {"path": "/m"}, key),
        ("another protocol", "POST", "/v1/leases", {"worker": "w", "protocol": 99}, worker),
        ("wait of an hour", "POST", "/v1/leases?wait=3600", {"worker": "w", "protocol": 1}, worker),
        (
            "stale token",
            "POST",
            "/v1/leases/1/report",
            {"worker": "w", "token": 1, "outcome": "failed", "error": "x"},
            worker,
        ),
        ("no layer of that kind", "POST", "/v1/studies", _with_modules(study), key),
    ]
    with httpx.Client(base_url=client.url) as http:
        for given, method, path, body, secret in cases:
            yield _ask(http, given, method, path, body, secret)


def _with_modules(study: dict[str, Any]) -> dict[str, Any]:
    return study | {"recipe": {"data": {"train": "t"}, "modules": ["w_proj"]}}


def _ask(
    http: httpx.Client, given: str, method: str, path: str, body: Any, key: str | None
) -> Answer:
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    answer = http.request(method, path, content=content, headers=headers)
    said = answer.json()
    return Answer(
        "REST", given, answer.status_code, said["error"], said["detail"], said.get("hint", "")
    )


def _damaged(place: Path, client: Client, count: int) -> Iterator[Fault]:
    keys = {r: (place / "service" / f"{r}.key").read_text().strip() for r in ("admin", "worker")}
    with httpx.Client(base_url=client.url, timeout=60) as http:

        def send(door: Door, body: bytes) -> httpx.Response:
            headers = {"Authorization": f"Bearer {keys[door.role]}"}
            answer = http.request(door.method, door.path, content=body, headers=headers)
            if door.path == "/v1/studies" and answer.status_code == 201:
                client.cancel(answer.json()["id"])  # or all the others wait for its planning
            return answer

        yield from faults(_doors(place, client), send, count)


def _doors(place: Path, client: Client) -> list[Door]:
    """Every route that takes a body, with a good one for each."""
    model = describe(place / "pruned")
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


# --- output ---------------------------------------------------------------------------------


def _print(answers: list[Answer]) -> None:
    print("| door | what is wrong | code | answer | fix |\n|---|---|---|---|---|")
    for a in answers:
        cells = (a.door, a.given, str(a.code), f"{a.error}: {a.detail}", a.fix)
        print(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")


def _counts(answers: list[Answer], left: int) -> str:
    ours = sum(bool(a.error) for a in answers)
    fixes = sum(bool(a.fix) for a in answers)
    return f"cases={len(answers)} answered={ours} with_fix={fixes} left_behind={left}"


if __name__ == "__main__":
    main()
