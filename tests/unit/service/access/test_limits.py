"""How much a caller may have, and what it hears beyond it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rankspace.errors import TooManyRequests
from service.access.buckets import MOST, Buckets
from service.access.caller import Caller, Role
from service.access.limits import Limits
from service.access.refusals import MOST as REMEMBERED
from service.access.refusals import Refusals
from service.storage.scope import EVERYTHING
from tests.unit.service.driver import Service, settings, start

CLAIM = {"worker": "w1", "protocol": 1}
WORKER = Caller("worker", Role.WORKER, EVERYTHING)


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_holds_a_burst_and_refills_steadily() -> None:
    time = Time()
    buckets = Buckets(rate=2.0, burst=3.0, clock=time)
    assert [buckets.take("a") for _ in range(5)] == [0.0, 0.0, 0.0, 0.5, 0.5]
    assert buckets.take("b") == 0.0
    time.now = 0.25
    assert buckets.take("a") == pytest.approx(0.25)
    time.now = 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0.0, pytest.approx(0.5)]
    time.now = 1000.0
    assert [buckets.take("a") for _ in range(4)].count(0.0) == 3


def test_buckets_do_not_pile_up() -> None:
    buckets = Buckets(rate=1e-9, burst=1.0, clock=Time())
    for number in range(MOST + 2):
        buckets.take(str(number))
    assert buckets.take("0") == 0.0  # long forgotten
    assert buckets.take(str(MOST)) > 0.0


def test_a_refusal_is_remembered_until_it_is_over() -> None:
    time = Time()
    refusals = Refusals(clock=time)
    refusals.check("a")
    refusals.note("a", TooManyRequests("too often", hint="wait", wait_seconds=2.0))
    refusals.check("b")
    time.now = 1.5
    with pytest.raises(TooManyRequests, match="too often") as refused:
        refusals.check("a")
    assert refused.value.hint == "wait"
    assert refused.value.wait_seconds == pytest.approx(0.5)
    time.now = 2.0
    refusals.check("a")


def test_refusals_do_not_pile_up() -> None:
    refusals = Refusals(clock=Time())
    for number in range(REMEMBERED + 1):
        refusals.note(str(number), TooManyRequests("too often"))
    refusals.check("0")  # long forgotten
    with pytest.raises(TooManyRequests):
        refusals.check("1")


def _asks(service: Service, headers: Any, times: int) -> list[int]:
    return [service.client.get("/v1/studies", headers=headers).status_code for _ in range(times)]


@pytest.fixture
def tight(directory: Path) -> Iterator[Service]:
    """A service that gives each key ten requests, and then almost none."""
    running = start(directory, requests_per_second=1e-3, request_burst=10, polls_per_key=1)
    with running.client:
        yield running


def test_each_key_has_its_own_share(tight: Service) -> None:
    viewer = tight.issue("viewer")
    assert _asks(tight, viewer, 12) == [200] * 10 + [429] * 2
    assert _asks(tight, tight.key("admin"), 1) == [200]
    answer = tight.client.get("/v1/studies", headers=viewer)
    assert answer.json()["error"] == "TooManyRequests"
    assert 900 <= int(answer.headers["retry-after"]) <= 1000


def test_who_does_not_heed_a_refusal_is_not_looked_up(
    tight: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = tight.issue("viewer")
    other = tight.issue("viewer")
    assert _asks(tight, viewer, 11)[-1] == 429
    with monkeypatch.context() as patch:
        patch.setattr("service.web.auth.identify", None)
        answer = tight.client.get("/v1/studies", headers=viewer)
    assert answer.status_code == 429
    assert 900 <= int(answer.headers["retry-after"]) <= 1000
    assert _asks(tight, other, 1) == [200]


def test_a_worker_key_has_the_share_of_a_fleet(tight: Service) -> None:
    codes = [
        tight.client.post("/v1/leases", json=CLAIM, headers=tight.key("worker")).status_code
        for _ in range(101)
    ]
    assert codes == [204] * 100 + [429]


def test_strangers_share_a_small_bucket_and_take_nothing_from_others(tight: Service) -> None:
    wrong = {"Authorization": "Bearer rka_nonsense"}
    assert _asks(tight, wrong, 2) + _asks(tight, {}, 1) == [401, 429, 429]
    assert tight.client.post("/login", data={"code": "guess"}).status_code == 429
    assert tight.client.post("/logout").status_code == 429
    assert _asks(tight, tight.key("admin"), 1) == [200]


@pytest.mark.parametrize("path", ["/", "/studies/st_aaaaaaaaaa"])
def test_pages_count_as_requests(tight: Service, path: str) -> None:
    def statuses(times: int) -> list[int]:
        answers = (tight.client.get(path, follow_redirects=False) for _ in range(times))
        return [answer.status_code for answer in answers]

    code = tight.client.post("/v1/login-codes", headers=tight.issue("viewer")).json()["code"]
    assert tight.client.post("/login", data={"code": code}).status_code == 200
    assert set(statuses(8)) <= {200, 404}  # the code and the page after it were two of ten
    assert statuses(1) == [429]


@pytest.mark.parametrize("cookie", [{}, {"Cookie": "rka_session=junk"}])
def test_pages_without_a_session_are_for_strangers(tight: Service, cookie: Any) -> None:
    answers = [tight.client.get("/", headers=cookie, follow_redirects=False) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 429]
    assert _asks(tight, tight.key("admin"), 1) == [200]


@pytest.mark.parametrize("path", ["/v1/openapi.json", "/login"])
def test_what_needs_no_key_is_for_strangers(tight: Service, path: str) -> None:
    assert [tight.client.get(path).status_code for _ in range(2)] == [200, 429]
    assert _asks(tight, tight.key("admin"), 1) == [200]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/static/page.css"])
def test_supervisors_and_pages_are_always_answered(tight: Service, path: str) -> None:
    assert {tight.client.get(path).status_code for _ in range(30)} == {200}


def test_the_document_is_written_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    first = service.client.get("/v1/openapi.json")
    monkeypatch.setattr(service.app, "openapi", None)
    again = service.client.get("/v1/openapi.json")
    assert (again.content, again.json()) == (first.content, first.json())
    assert {"openapi", "info", "paths"} <= set(again.json())


@pytest.mark.parametrize("path", ["/v1/workers/join", "/login"])
def test_what_strangers_send_is_read_only_within_their_share(tight: Service, path: str) -> None:
    unreadable = "&".join(["code=x"] * 100)
    codes = [tight.client.post(path, content=unreadable).status_code for _ in range(2)]
    assert codes == [400, 429]


def test_a_key_waits_no_more_often_than_it_may(tight: Service) -> None:
    def claim(wait: float) -> int:
        path, headers = f"/v1/leases?wait={wait}", tight.key("worker")
        return int(tight.client.post(path, json=CLAIM, headers=headers).status_code)

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(claim, [1.0, 1.0]))
    assert codes == [204, 429]
    assert claim(0.01) == 204  # a wait that is over counts no more


def test_a_wait_that_ends_in_an_error_is_over_too(tmp_path: Path) -> None:
    limits = Limits(settings(tmp_path, polls_per_key=1))
    with pytest.raises(ZeroDivisionError), limits.polling(WORKER):
        raise ZeroDivisionError
    with limits.polling(WORKER), pytest.raises(TooManyRequests), limits.polling(WORKER):
        pass
