"""How much of what is sent is kept in memory, and what is made of it."""

import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from pruning.profiling.input_spectrum import components_for
from rankspace.errors import TooManyRequests, Unreachable, UnreadableInput
from service.settings import KIB, MIB, Settings
from service.web import body_limit
from service.web.bodies import MAX_ITEMS, parse
from service.web.body_limit import CALL_BYTES, FREE_BYTES, Kept
from tests.unit.service.driver import Service, holding, model
from tests.unit.service.web.socket_server import Served, serving
from tests.waiting import wait_for

HALF = 100 * KIB


@pytest.fixture
def served(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A service that keeps little."""
    monkeypatch.setattr(body_limit, "KEPT_BYTES", 2 * HALF)
    with serving(directory, max_model_bytes=HALF) as running:
        yield running


@pytest.mark.parametrize(
    "repeated", [b"[]", b"{}", b'{"a":1}', b"[[[]]]", b"0"], ids=lambda part: part.decode()
)
def test_nothing_is_made_of_a_body_with_very_many_values(repeated: bytes) -> None:
    raw = b"[" + b",".join([repeated] * (8 * MIB // (len(repeated) + 1))) + b"]"
    tracemalloc.start()
    with pytest.raises(UnreadableInput, match=r"more than 400,000 values"):
        parse(raw)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < MIB


def test_the_largest_model_is_no_longer_than_may_be() -> None:
    components = components_for(MAX_ITEMS, tokens=640)
    assert components
    name = "model.layers.2856.self_attn.q_proj"
    matrix = {**model()["matrices"][0], "name": name, "block": 2856, "d_in": 28672, "d_out": 8192}
    numbers = ("depth", "kept", "input_norm", "output_norm", "gradient_norm", "effective_rank")
    profile = {"name": name, **dict.fromkeys((*numbers, "reconstruction_error"), 1 / 15)} | {
        "explained": [0.000123456] * components
    }
    whole = {**model(), "matrices": [matrix] * MAX_ITEMS, "profiles": [profile] * MAX_ITEMS}
    raw = httpx.Request("POST", "http://x", json=whole).read()
    assert parse(raw) == whole
    assert len(raw) < Settings().max_model_bytes


def test_keys_share_what_is_kept_and_give_it_back() -> None:
    kept = Kept(10)
    kept.take("a", 5)
    with pytest.raises(TooManyRequests):
        kept.take("a", 1)
    kept.take("b", 4)
    with pytest.raises(Unreachable):
        kept.take("c", 2)
    kept.give_back("a", 5)
    kept.take("c", 2)
    kept.take("a", 4)


@contextmanager
def _halfway(served: Served, key: str, length: int, sent: int) -> Iterator[socket.socket]:
    head = f"POST /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n"
    connection = served.say(f"{head}Content-Length: {length}\r\n\r\n".encode() + b" " * sent)
    with connection:
        yield connection


@pytest.mark.slow
def test_large_bodies_are_refused_while_others_fill_the_memory_and_workers_are_heard(
    served: Served,
) -> None:
    service = served.service
    service.submit()
    assignment = service.claim()
    first, second, third = (service.issue("member")["Authorization"] for _ in range(3))
    kept = _kept(service)
    with _halfway(served, first, HALF, 2 * FREE_BYTES), _halfway(served, second, HALF, HALF - 1):
        wait_for(lambda: kept._taken.total() == 2 * HALF)
        for key, refusal in ((first, b"429"), (third, b"503")):
            with _halfway(served, key, HALF, HALF) as refused:
                answer = refused.recv(10_000)
                assert answer.startswith(b"HTTP/1.1 " + refusal)
                assert b"retry-after: 1" in answer.lower()
        beat = f"{served.url}/v1/leases/{assignment['trial_id']}/heartbeat"
        worker, admin = service.key("worker"), service.key("admin")
        for url, body, headers, code in (
            (beat, holding(assignment), worker, 200),
            (f"{served.url}/v1/models", model(5, "/models/b"), admin, 201),
        ):
            assert httpx.post(url, json=body, headers=headers, timeout=20).status_code == code
    wait_for(lambda: not kept._taken)
    with _halfway(served, third, HALF, HALF) as read:
        assert read.recv(10_000).startswith(b"HTTP/1.1 400")
    wait_for(lambda: not kept._taken)


def _kept(service: Service) -> Any:
    layer: Any = service.app.middleware_stack
    while not isinstance(layer, body_limit.BodyLimit):
        layer = getattr(layer, "app", None) or layer._app
    return layer._kept


@pytest.mark.parametrize("path", ["/v1/leases", "/v1/leases/1/release"])
def test_what_a_worker_asks_with_is_short(service: Service, path: str) -> None:
    for length, code in ((CALL_BYTES + 1, 413), (CALL_BYTES, 400)):
        answer = service.client.post(path, content=b"x" * length, headers=service.key("worker"))
        assert answer.status_code == code
