"""What a worker relies on, held by the real service and by the fake one of its own tests."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from rankspace import Assignment, Layer, Measurement, Purpose, RankVector
from rankspace.errors import Conflict, LeaseLost, NotFound, Quarantined, Unauthenticated
from rankspace.lease import NOTE, Action
from rankspace.recipe import Data, Recipe
from rankspace.trial import Split
from tests.unit.service.driver import listening, model, start, study
from tests.unit.worker.fake_service import FakeService
from tests.waiting import wait_for
from worker.lease.client import LeaseClient
from worker.lease.report import SpooledReport, done, failed

SECONDS = 30
FAKE_KEY = "rka_fake"
SEARCH = {
    "ranks": [0, 1, 2, 4, 8],
    "budget": {"parameters": "uniform:2", "trials": 7},
    "trial": {"steps": 10},
    "strategy": "random",
}


class Site(Protocol):
    """A service whose one study is queued, cancelled and looked at from outside the protocol."""

    url: str
    key: str

    def queue(self) -> None: ...
    def cancel(self) -> None: ...
    def quarantine(self, worker: str) -> None: ...
    def has_heard_of(self, worker: str) -> bool: ...


class FakeSite:
    def __init__(self, service: FakeService) -> None:
        self.url, self.key = service.url, FAKE_KEY
        self._service = service
        self.cancel = service.leases.cancel
        self.quarantine = service.leases.quarantine

    def queue(self) -> None:
        self._service.leases.queue(*(_assignment(number) for number in (1, 2)))

    def has_heard_of(self, worker: str) -> bool:
        return any(body["worker"] == worker for body in self._service.bodies("claim"))


def _assignment(number: int) -> Assignment:
    return Assignment(
        trial_id=number,
        token=1,
        study_id="st_abcdefghij",
        study_name="tiny",
        purpose=Purpose.SEARCH,
        model_path="/models/tiny",
        model_fingerprint="0" * 64,
        recipe=Recipe(Data("train.jsonl")),
        layers=(Layer("a", 64, 0, "q_proj"),),
        rank_vector=RankVector((2,)),
        seed=0,
        steps=10,
        epochs=0,
        split=Split.SELECTION,
        keep_adapter=False,
        lease_seconds=60.0,
        heartbeat_seconds=10.0,
    )


class RealSite:
    def __init__(self, url: str, home: Path) -> None:
        self.url, self.key = url, (home / "worker.key").read_text().strip()
        secret = (home / "admin.key").read_text().strip()
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"})
        self._study = ""

    def queue(self) -> None:
        self._post("/v1/models", model())
        self._study = self._post("/v1/studies", study(search=SEARCH))["id"]

    def cancel(self) -> None:
        self._post(f"/v1/studies/{self._study}/cancel")

    def quarantine(self, worker: str) -> None:
        self._post(f"/v1/workers/{worker}/quarantine", {"reason": "fan"})

    def has_heard_of(self, worker: str) -> bool:
        found = self._http.get("/v1/workers").raise_for_status().json()["items"]
        return any(each["name"] == worker for each in found)

    def close(self) -> None:
        self._http.close()

    def _post(self, path: str, body: Any = None) -> Any:
        return self._http.post(path, json=body).raise_for_status().json()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as the migrations and the first start leave it."""
    home = tmp_path_factory.mktemp("migrated")
    with start(home).client:
        pass
    return home


@contextmanager
def _fake(_: Path) -> Iterator[Site]:
    service = FakeService(FAKE_KEY)
    try:
        yield FakeSite(service)
    finally:
        service.close()


@contextmanager
def _real(home: Path) -> Iterator[Site]:
    with listening(start(home).app) as url:
        site = RealSite(url, home)
        try:
            yield site
        finally:
            site.close()


@pytest.fixture(params=[_fake, _real], ids=["fake", "real"])
def site(request: pytest.FixtureRequest, migrated: Path, tmp_path: Path) -> Iterator[Site]:
    with request.param(Path(shutil.copytree(migrated, tmp_path / "data"))) as opened:
        yield opened


Connect = Callable[..., LeaseClient]


@pytest.fixture
def connect(site: Site) -> Iterator[Connect]:
    """Start a process of a worker: a new one each time, also under an old name."""
    with ExitStack() as stack:

        def start(worker: str = "w1", key: str | None = None) -> LeaseClient:
            client = LeaseClient(site.url, key or site.key, worker, attempts=1)
            return stack.enter_context(client)

        yield start


@pytest.fixture
def client(connect: Connect) -> LeaseClient:
    return connect()


def _claimed(client: LeaseClient) -> Assignment:
    lease = client.claim(0)
    assert lease is not None
    return lease


def _done(lease: Assignment, worker: str = "w1") -> SpooledReport:
    price = lease.rank_vector.parameters([layer.parameters_per_rank for layer in lease.layers])
    return done(lease, worker, Measurement(-2.5, 2.5, 2.5, lease.steps, 100, price), 0.0, ())


def test_without_work_there_is_no_lease(client: LeaseClient) -> None:
    assert client.claim(0) is None


def test_a_claim_brings_a_trial_under_its_first_token(site: Site, client: LeaseClient) -> None:
    site.queue()
    lease = _claimed(client)
    assert (lease.token, lease.purpose, lease.steps) == (1, Purpose.SEARCH, 10)
    assert len(lease.layers) == len(lease.rank_vector.ranks)


def test_a_claim_while_holding_a_trial_brings_the_same_lease(
    site: Site, client: LeaseClient
) -> None:
    site.queue()
    assert _claimed(client) == _claimed(client)


def test_two_workers_hold_two_trials(site: Site, connect: Connect) -> None:
    site.queue()
    assert _claimed(connect("w1")).trial_id != _claimed(connect("w2")).trial_id


def test_a_claim_that_waits_gets_the_work_that_comes(site: Site, client: LeaseClient) -> None:
    found: list[Assignment | None] = []
    waiting = threading.Thread(target=lambda: found.append(client.claim(SECONDS)))
    waiting.start()
    wait_for(lambda: site.has_heard_of("w1"), SECONDS)
    site.queue()
    waiting.join()
    assert [lease is not None for lease in found] == [True]


def test_a_holder_goes_on(site: Site, client: LeaseClient) -> None:
    site.queue()
    lease = _claimed(client)
    assert client.heartbeat(lease, ()) is Action.CONTINUE
    assert client.heartbeat(lease, [(1, 2.5), (2, 2.25)]) is Action.CONTINUE


def test_a_holder_hears_that_its_trial_was_cancelled(site: Site, client: LeaseClient) -> None:
    site.queue()
    lease = _claimed(client)
    site.cancel()
    assert client.heartbeat(lease, ()) is Action.CANCEL
    with pytest.raises(LeaseLost):
        client.report(_done(lease))


@pytest.mark.parametrize("end", [_done, lambda lease: failed(lease, "w1", "the loss is NaN", 0.0)])
def test_a_report_is_accepted_once(
    site: Site, client: LeaseClient, end: Callable[[Assignment], SpooledReport]
) -> None:
    site.queue()
    lease = _claimed(client)
    assert [client.report(end(lease)) for _ in range(3)] == ["accepted", "duplicate", "duplicate"]
    with pytest.raises(LeaseLost):
        client.heartbeat(lease, ())
    assert _claimed(client).trial_id != lease.trial_id


def test_a_released_trial_is_handed_on_under_a_higher_token(site: Site, connect: Connect) -> None:
    site.queue()
    first, second = connect("w1"), connect("w2")
    lease = _claimed(first)
    first.release(lease)
    first.release(lease)
    again = _claimed(second)
    assert (again.trial_id, again.token) == (lease.trial_id, 2)
    assert second.report(_done(again, "w2")) == "accepted"


def test_a_study_that_a_worker_cannot_open_is_for_others(site: Site, connect: Connect) -> None:
    site.queue()
    first, second = connect("w1"), connect("w2")
    lease = _claimed(first)
    first.release(lease, "recipe.data.train = '/absent': cannot be read")
    assert first.claim(0) is None
    assert _claimed(second).trial_id == lease.trial_id


def _upload(client: LeaseClient, lease: Assignment, file: Path) -> None:
    file.write_text("hello")
    client.upload(_done(lease), file)


def _calls(client: LeaseClient, lease: Assignment, home: Path) -> list[Callable[[], Any]]:
    """All that may be said of a lease."""
    return [
        lambda: client.heartbeat(lease, ()),
        lambda: _upload(client, lease, home / NOTE),
        lambda: client.report(_done(lease)),
        lambda: client.release(lease),
    ]


def test_a_restarted_worker_takes_the_lease_from_its_former_self(
    site: Site, connect: Connect, tmp_path: Path
) -> None:
    site.queue()
    former, new = connect("w1"), connect("w1")
    stale = _claimed(former)
    lease = _claimed(new)
    assert (lease.trial_id, lease.token) == (stale.trial_id, stale.token + 1)
    for call in _calls(former, stale, tmp_path):
        with pytest.raises(LeaseLost):
            call()
    assert new.report(_done(lease)) == "accepted"


def test_another_worker_cannot_speak_for_the_holder(
    site: Site, connect: Connect, tmp_path: Path
) -> None:
    site.queue()
    holder = connect("w2")
    lease = _claimed(holder)
    for call in _calls(connect("w1"), lease, tmp_path):
        with pytest.raises(LeaseLost):
            call()
    assert holder.heartbeat(lease, ()) is Action.CONTINUE


def test_what_is_another_service_s_is_not_known(
    site: Site, client: LeaseClient, tmp_path: Path
) -> None:
    """Training for a study that was deleted is over; a report waits for its own service."""
    site.queue()
    lease = _claimed(client)
    for foreign in (replace(lease, study_id="st_aaaaaaaaaa"), replace(lease, trial_id=999)):
        heartbeat, *others = _calls(client, foreign, tmp_path)
        with pytest.raises(LeaseLost):
            heartbeat()
        for call in others:
            with pytest.raises(NotFound):
                call()


def test_a_trial_that_keeps_no_adapter_takes_no_files(
    site: Site, client: LeaseClient, tmp_path: Path
) -> None:
    site.queue()
    with pytest.raises(Conflict) as refused:
        _upload(client, _claimed(client), tmp_path / NOTE)
    assert not isinstance(refused.value, LeaseLost)


def test_in_quarantine_a_worker_finishes_and_gets_no_more(site: Site, client: LeaseClient) -> None:
    site.queue()
    lease = _claimed(client)
    site.quarantine("w1")
    assert _claimed(client) == lease
    assert client.report(_done(lease)) == "accepted"
    with pytest.raises(Quarantined) as refused:
        client.claim(0)
    assert refused.value.hint


def test_a_bad_key_is_refused(site: Site, connect: Connect, tmp_path: Path) -> None:
    stranger = connect(key="rka_abcdefgh_" + "a" * 32 + "_00000000")
    calls = _calls(stranger, _assignment(1), tmp_path)
    for call in (lambda: stranger.claim(0), *calls):
        with pytest.raises(Unauthenticated):
            call()
