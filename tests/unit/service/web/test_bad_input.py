"""Bad input is answered with the field, the value and the fix; never with a 500."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rankspace.errors import UnreadableInput
from service.web import errors
from service.web.bodies import parse
from tests.unit.service.driver import Service, model, start, study


@pytest.fixture(scope="module")
def service(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the whole file: what is refused leaves nothing behind."""
    directory = tmp_path_factory.mktemp("bad") / "data"
    shutil.copytree(migrated, directory)
    running = start(directory)
    with running.client:
        yield running


def _changed(path: str, value: Any) -> dict[str, Any]:
    """A valid study with the field at the dotted ``path`` set to ``value``."""
    document = study()
    target: Any = document
    *parents, last = path.split(".")
    for name in parents:
        target = target.setdefault(name, {})
    target[last] = value
    return document


# (field changed, value, field named in the answer, part of the hint)
STUDIES = [
    ("model", "/models/tinny", "model", "did you mean /models/tiny?"),
    ("model", "md_unknown", "model", "POST /v1/models"),
    ("nmae", "x", "nmae", "did you mean name?"),
    ("name", " ", "name", ""),
    ("name", 7, "name", "a text"),
    ("name", "x\x1b]0;mine\x07\x1b[2J", "name", "leave it out"),
    ("name", "a\nb", "name", "leave it out"),
    ("name", "a\u2028b", "name", "leave it out"),
    ("name", "abc\u202efdp.exe", "name", "leave it out"),
    ("name", "a\u2067b", "name", "leave it out"),
    ("recipe.modules", ["q_proj", "o_proj"], "recipe.modules[1]", "q_proj"),
    ("recipe.data.train", None, "recipe.data.train", ""),
    ("search.budget.parameters", 3, "search.budget.parameters", ""),
    ("search.budget.parameters", "uniform:3", "search.budget.parameters", "add 3"),
    ("search.budget.parameters", "half", "search.budget.parameters", "uniform:8"),
    ("search.budget.trials", 0, "search.budget.trials", "1"),
    ("search.budget.trials", 10**9, "search.budget.trials", "100000"),
    ("search.budget.gpu_hours", -1, "search.budget.gpu_hours", ""),
    ("search.ranks", [2, 1], "search.ranks", "[0, 2, 4, 8]"),
    ("search.ranks", list(range(1, 300)), "search.ranks", "256"),
    ("search.ranks", "2", "search.ranks", "brackets"),
    ("search.fixed", {"model.layers.0.self_attn.q_prj": 2}, "search.fixed", "q_proj?"),
    ("search.fixed", {"model.layers.0.self_attn.q_proj": -2}, "search.fixed", "0"),
    ("search.granularity", "heads", "search.granularity", "module"),
    ("search.strategy", "magic", "search.strategy", "additive"),
    ("search.strategy", "importance", "search.strategy", "rankadaptor profile"),
    ("search.seed", -1, "search.seed", "0"),
    ("search.trial.steps", 10**20, "search.trial.steps", ""),
    ("search.ranks", [0, 2, 100_000], "search.ranks", "65536"),
    ("search.fixed", {"model.layers.0.self_attn.q_proj": 10**6}, "search.fixed", "65536"),
    ("recipe.sequence_length", 2**21, "recipe.sequence_length", ""),
    ("recipe.batch", {"examples": 2**30, "micro": 1}, "recipe.batch.examples", ""),
    ("verify.max_trials", 3, "verify.max_trials", ""),
    ("recover.steps", 10**20, "recover.steps", ""),
    ("recover", [], "recover", ""),
]


@pytest.mark.parametrize(("path", "value", "field", "hint"), STUDIES)
def test_a_study_that_cannot_run_is_refused_whole(
    service: Service, path: str, value: Any, field: str, hint: str
) -> None:
    service.post("/v1/models", model())
    document = _changed(path, value)
    document.setdefault("name", "refused")
    if path == "search.budget.parameters" and value == 3:
        document["search"]["ranks"] = [1, 2]
    answer = service.post("/v1/studies", document)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"].startswith(field), answer.json()
    assert hint in answer.json()["hint"]
    assert document["name"] not in [item["name"] for item in service.get("/v1/studies")["items"]]


@pytest.mark.parametrize("name", ["x\x1b[2J", "a\nb", "a\u2028b", "a\u202eb"])
@pytest.mark.parametrize("path", ["/v1/keys", "/v1/join-tokens"])
@pytest.mark.parametrize("field", ["name", "project"])
def test_no_name_steers_what_shows_it(service: Service, path: str, field: str, name: str) -> None:
    order = {"role": "viewer", "name": "x", "project": "ours", field: name}
    if path == "/v1/join-tokens":
        del order["role"]
    answer = service.post(path, order)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(field)
    assert answer.json()["detail"].isascii()


def test_a_name_in_any_script_is_taken(service: Service) -> None:
    service.post("/v1/models", model())
    name = "Größe 实验 נסוי می\u200cخواهم 👩\u200d🔬"
    assert service.post("/v1/studies", study(name=name)).json()["name"] == name


# (raw body, status, class)
BODIES = [
    (b"", 400, "UnreadableInput"),
    (b"{", 400, "UnreadableInput"),
    (b"\xff\xfe{}", 400, "UnreadableInput"),
    (b'{"worker": "a", "worker": "b", "protocol": 1}', 400, "UnreadableInput"),
    (b'{"worker": "\\ud800", "protocol": 1}', 400, "UnreadableInput"),
    (b'{"worker": "a\\u0000", "protocol": 1}', 400, "UnreadableInput"),
    (b"[" * 30_000, 400, "UnreadableInput"),
    (b"[" * 500 + b"]" * 500, 400, "UnreadableInput"),
    (b"9" * 5_000, 400, "UnreadableInput"),
    (b"[" + b"0," * 20_000 + b"0]", 413, "TooLarge"),
    (b'{"worker": "' + b"a" * 10_001 + b'"}', 400, "UnreadableInput"),
    (b"[]", 422, "InvalidInput"),
    (b"null", 422, "InvalidInput"),
    (b'{"worker": "a", "protocol": true}', 422, "InvalidInput"),
    (b'{"worker": "", "protocol": 1}', 422, "InvalidInput"),
    (b'{"worker": "a\\n", "protocol": 1}', 422, "InvalidInput"),
    (b'{"worker": "a", "protocol": 1e999}', 422, "InvalidInput"),
    (b'{"worker": "' + b"a" * 300_000 + b'"}', 413, "TooLarge"),
]


@pytest.mark.parametrize(("raw", "status", "error"), BODIES, ids=range(len(BODIES)))
def test_unreadable_bodies(service: Service, raw: bytes, status: int, error: str) -> None:
    answer = service.client.post("/v1/leases", content=raw, headers=service.key("worker"))
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text


def test_keys_given_twice_are_found_at_once() -> None:
    """Whoever has no key may send them, and the event loop waits."""
    names = [f'"a{number}":0' for number in range(19_000)]
    begin = time.thread_time()
    with pytest.raises(UnreadableInput, match="'a18999' is given twice"):
        parse(("{" + ",".join([*names, names[-1]]) + "}").encode())
    assert time.thread_time() - begin < 0.5


def test_too_many_keys_are_refused_wherever_they_are() -> None:
    pairs = ",".join(f'"a{number}":0' for number in range(20_001))
    with pytest.raises(UnreadableInput, match="20,000 entries"):
        parse(f"[[{{{pairs}}}]]".encode())


def test_a_body_without_declared_length_is_cut_off_too(service: Service) -> None:
    pieces = (b"x" * 65_536 for _ in range(8))
    answer = service.client.post("/v1/leases", content=pieces, headers=service.key("worker"))
    assert answer.status_code == 413


def test_a_body_that_is_cut_off_is_nobody_s_error(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(errors.log, "error", lambda *what, **_: said.extend(what))
    key = service.key("worker")["Authorization"].encode()
    headers = [(b"host", b"localhost"), (b"authorization", key), (b"content-length", b"100")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/leases",
        "query_string": b"",
        "headers": headers,
    }
    messages = iter(
        ({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"})
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(service.app(scope, receive, send))
    assert (sent[0]["status"], said) == (400, [])


FAILED = {
    "worker": "w1",
    "token": 1,
    "study_id": "st_aaaaaaaaaa",
    "outcome": "failed",
    "error": "NaN",
}

# each: method, path, expected status
REQUESTS = [
    ("GET", "/v1/nowhere", 404),
    ("GET", "/v1/studies/st_unknown", 404),
    ("GET", "/v1/studies/st_unknown/trials", 404),
    ("GET", "/v1/studies/st_unknown/events", 404),
    ("GET", "/v1/studies/st_unknown/space", 404),
    ("GET", "/v1/studies/st_unknown/verdict", 404),
    ("GET", "/v1/studies/st_unknown/export", 404),
    ("GET", "/v1/studies/st_unknown/export/x", 404),
    ("GET", "/v1/models/md_unknown", 404),
    ("GET", "/v1/studies?after=st_unknown", 404),
    ("GET", "/v1/studies?limit=0", 422),
    ("GET", "/v1/studies?limit=100000", 422),
    ("PUT", "/v1/studies", 405),
    ("POST", "/v1/leases?wait=31", 422),
    ("POST", "/v1/leases?wait=nan", 422),
    ("POST", f"/v1/leases/{10**30}/report", 422),
    ("POST", "/v1/leases/one/report", 422),
    ("POST", "/v1/studies/st_unknown/cancel", 404),
    ("GET", "/v1/studies/st_%00", 400),
    ("GET", "/v1/models/md_a?x=%00", 400),
    ("GET", "/studies/st_unknown", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS)
def test_bad_requests_have_our_error_body(
    service: Service, method: str, path: str, status: int
) -> None:
    body = {"worker": "w1", "protocol": 1} if path.startswith("/v1/leases?") else FAILED
    answer = service.client.request(method, path, headers=service.key("admin"), json=body)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert set(answer.json()) == {"error", "detail", "hint"}


@pytest.mark.parametrize(
    ("vector", "part"),
    [
        ([1, 2], "has 2 ranks for 12 layers"),
        ([8] * 12, "needs"),
        ([3] + [0] * 11, "rank_vector[0]"),
        ([-1] + [0] * 11, "rank_vector[0]"),
        ([10**30] + [0] * 11, "rank_vector[0]"),
        ("8", "must be a list"),
    ],
)
def test_a_candidate_outside_the_space_is_refused(service: Service, vector: Any, part: str) -> None:
    identity = service.submit()
    answer = service.post(f"/v1/studies/{identity}/trials", {"rank_vector": vector})
    assert answer.status_code == 422
    assert part in answer.json()["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"matrices": []},
        {"fingerprint": ""},
        {"fingerprint": "a" * 200},
        {"path": " "},
        {"matrices": [model()["matrices"][0] | {"d_in": 0}]},
        {"matrices": [model()["matrices"][0] | {"factor_rank": 33}]},
        {"matrices": [model()["matrices"][0] | {"factor_rank": -1}]},
        {"matrices": [model()["matrices"][0] | {"bias": True}]},
        {"parameters": "many"},
        {"parameters": -5},
        {"path": "relative/model"},
        {"path": "/models/../etc"},
        {"path": "//proc/self/root"},
        {"path": "/models/a\nb"},
        {"path": "/" + "m" * 4096},
        {"matrices": [model()["matrices"][0] | {"d_out": 2**31 + 1}]},
        {"matrices": [model()["matrices"][0] | {"block": -7}]},
    ],
)
def test_a_model_that_cannot_be_searched_is_refused(
    service: Service, change: dict[str, Any]
) -> None:
    answer = service.post("/v1/models", model() | change)
    assert answer.status_code == 422, answer.text
