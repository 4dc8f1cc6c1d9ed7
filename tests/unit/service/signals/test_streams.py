"""Event streams: what is told to whom, how often, and when a stream is over."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event, update

from rankspace.errors import TooManyRequests
from service.access.caller import Role
from service.access.keys import Keys, digest
from service.access.logins import Credential, Logins
from service.access.slots import Slots
from service.signals import broadcast, stream
from service.signals.broadcast import Broadcast
from service.signals.doorbell import Doorbell
from service.signals.stream import Stream
from service.storage.clock import Now
from service.storage.db import Database
from service.storage.events import Events, Latest
from service.storage.scope import EVERYTHING, Scope
from service.storage.tables import KeyRow, LoginSessionRow
from tests.unit.service.driver import ON_BOTH, ON_POSTGRESQL, Service, start
from tests.unit.service.telemetry.scraping import scrape
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

CREDENTIAL = Credential("somebody")
SOON, LONG = 5.0, 30.0


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often; whoever tests a time sets it."""
    monkeypatch.setattr(broadcast, "GAP_SECONDS", 0.01)
    monkeypatch.setattr(broadcast, "EVERY_SECONDS", 0.02)
    monkeypatch.setattr(stream, "MESSAGE_SECONDS", 0.01)


@pytest.fixture
def database(service: Service) -> Database:
    """That of a service with two studies; who writes to it is another process to a broadcast."""
    database = service.app.state.runtime.database
    assert isinstance(database, Database)
    return database


@pytest.fixture
def studies(service: Service) -> tuple[str, str]:
    return service.submit("ours"), service.submit("theirs")


def _record(database: Database, study: str) -> int:
    with database.writing() as session:
        Events(session).record("told", study)
        return Events(session).last(study)


def _run(scene: Callable[[AsyncExitStack], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with AsyncExitStack() as stack:
            await asyncio.wait_for(scene(stack), LONG)

    asyncio.run(bounded())


async def _open(
    stack: AsyncExitStack,
    told: Broadcast,
    study: str | None,
    scope: Scope = EVERYTHING,
    **more: Any,
) -> AsyncIterator[str]:
    """A stream whose reader knows what there is so far; yields what it is told."""
    mine = Stream(
        more.get("credential", CREDENTIAL),
        scope,
        study,
        more.get("known", told._last(study, scope)),
    )
    await stack.enter_async_context(told.tuned_in(mine, study))
    messages = mine.messages(LONG)
    assert (await anext(messages)).startswith("retry: ")
    return messages


async def _next(messages: AsyncIterator[str]) -> int | None:
    """The number of the next message; None where the stream is over."""
    async for message in messages:
        found = re.fullmatch(r"id: (\d+)\ndata: changed\n\n", message)
        assert found, message
        return int(found[1])
    return None


@ON_BOTH
def test_what_somebody_else_wrote_is_told_to_those_it_concerns(
    database: Database, studies: tuple[str, str]
) -> None:
    ours, theirs = studies

    async def scene(stack: AsyncExitStack) -> None:
        told = Broadcast(database, Doorbell())
        of_study, of_project, not_concerned, of_all = [
            await _open(stack, told, *what)
            for what in ((ours,), (None, Scope("ours")), (None, Scope("ours")), (None, EVERYTHING))
        ]
        foreign = _record(database, theirs)
        assert await _next(of_all) == foreign
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(not_concerned), 0.2)
        own = _record(database, ours)
        for messages in (of_study, of_project, of_all):
            assert await _next(messages) == own
        await told.close()

    _run(scene)


def test_whoever_knows_the_last_event_is_told_nothing_and_others_at_once(
    database: Database, studies: tuple[str, str]
) -> None:
    async def scene(stack: AsyncExitStack) -> None:
        told = Broadcast(database, Doorbell())
        last = told._last(studies[0])
        for known in (0, last - 1, last + 1_000):  # the last is of before a restore
            assert await _next(await _open(stack, told, studies[0], known=known)) == last
        current = await _open(stack, told, studies[0])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(current), 0.3)
        await told.close()

    _run(scene)


def test_the_number_of_another_project_s_event_is_not_told(
    database: Database, studies: tuple[str, str]
) -> None:
    ours, theirs = studies

    async def scene(stack: AsyncExitStack) -> None:
        own, foreign = _record(database, ours), _record(database, theirs)
        told = Broadcast(database, Doorbell())
        for scope, last in ((Scope("ours"), own), (EVERYTHING, foreign), (Scope("none"), 0)):
            assert await _next(await _open(stack, told, None, scope, known=foreign + 9)) == last
        await told.close()

    _run(scene)


def test_the_page_of_a_project_begins_at_its_own_last_event(
    service: Service, database: Database, studies: tuple[str, str]
) -> None:
    own, foreign = _record(database, studies[0]), _record(database, studies[1])
    for project, last in (("ours", own), ("theirs", foreign)):
        viewer = service.issue("viewer", project)
        code = service.client.post("/v1/login-codes", headers=viewer).json()["code"]
        page = service.client.post("/login", data={"code": code}).text
        assert f'data-event="{last}"' in page


def test_any_number_of_streams_cost_one_look(database: Database, studies: tuple[str, str]) -> None:
    looks: list[str] = []

    def noted(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        looks.append(statement)

    async def scene(stack: AsyncExitStack) -> None:
        told = Broadcast(database, Doorbell())
        all_of_them = [await _open(stack, told, studies[0]) for _ in range(30)]
        event.listen(database.engine, "before_cursor_execute", noted)
        number = _record(database, studies[0])
        assert [await _next(messages) for messages in all_of_them] == [number] * 30
        event.remove(database.engine, "before_cursor_execute", noted)
        await told.close()

    _run(scene)
    assert sum("events.id > " in statement for statement in looks) < 15
    assert len(looks) < 25


def test_nobody_looks_when_nobody_listens(database: Database, studies: tuple[str, str]) -> None:
    async def scene(_stack: AsyncExitStack) -> None:
        told = Broadcast(database, Doorbell())
        async with AsyncExitStack() as stack:
            await _open(stack, told, studies[0])
            assert told.count == 1
        assert told.count == 0
        task = told._task
        assert task is not None
        await asyncio.wait_for(task, SOON)
        async with AsyncExitStack() as stack:
            messages = await _open(stack, told, studies[0])
            number = _record(database, studies[0])
            assert await _next(messages) == number
        await told.close()

    _run(scene)


@ON_POSTGRESQL
def test_an_event_that_was_overtaken_is_told_too(
    database: Database, studies: tuple[str, str]
) -> None:
    """A number is taken before the commit: that of another study may become visible first."""

    async def scene(stack: AsyncExitStack) -> None:
        told = Broadcast(database, Doorbell())
        slow, quick = [await _open(stack, told, study) for study in studies]
        with database.writing() as session:
            Events(session).record("told", studies[0])
            late = Events(session).last(studies[0])
            number = _record(database, studies[1])
            assert number > late
            assert await _next(quick) == number
        assert await _next(slow) == late
        await told.close()

    _run(scene)


@ON_BOTH
def test_a_ring_has_it_look_at_once(
    database: Database, studies: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "EVERY_SECONDS", 10.0 * LONG)

    async def scene(stack: AsyncExitStack) -> None:
        doorbell = Doorbell()
        told = Broadcast(database, doorbell)
        messages = await _open(stack, told, studies[0])
        number = _record(database, studies[0])
        doorbell.ring()
        assert await _next(messages) == number
        await told.close()

    _run(scene)


def test_closing_the_doorbell_ends_open_streams_and_those_that_come_after(
    database: Database, studies: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "GAP_SECONDS", 10.0 * LONG)

    async def scene(stack: AsyncExitStack) -> None:
        doorbell = Doorbell()
        told = Broadcast(database, doorbell)
        messages = await _open(stack, told, studies[0])
        doorbell.close()
        assert await _next(messages) is None
        assert await _next(await _open(stack, told, studies[0])) is None
        await told.close()

    _run(scene)


def _session(database: Database) -> tuple[str, str]:
    """A key, and the digest of a browser session opened with it."""
    with database.writing() as session:
        issued, logins = Keys(session).issue(Role.VIEWER, "x"), Logins(session)
        return issued.id, digest(logins.redeem(logins.offer(issued.id)))


@pytest.mark.parametrize("what", ["key", "session"])
def test_a_revoked_key_and_a_session_that_is_over_end_their_streams(
    database: Database,
    studies: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    monkeypatch.setattr(broadcast, "CREDENTIAL_SECONDS", 0.0)
    (key, mine), (other, _) = _session(database), _session(database)

    async def scene(stack: AsyncExitStack) -> None:
        told = Broadcast(database, Doorbell())
        ending = await _open(stack, told, studies[0], credential=Credential(key, mine))
        by_key = await _open(stack, told, studies[0], credential=Credential(key))
        stranger = await _open(stack, told, studies[0], credential=Credential(other))
        before = _record(database, studies[0])
        for messages in (ending, by_key, stranger):
            assert await _next(messages) == before
        with database.writing() as session:
            if what == "key":
                Keys(session).revoke(key)
            else:
                of = update(LoginSessionRow).where(LoginSessionRow.digest == mine)
                session.execute(of.values(expires_at=Now() - 1))
        assert await _next(ending) is None
        number = _record(database, studies[0])
        assert await _next(stranger) == number
        assert await _next(by_key) == (None if what == "key" else number)
        await told.close()

    _run(scene)


def test_a_slow_reader_gets_the_last_of_many_and_no_more_than_one_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "MESSAGE_SECONDS", 0.3)

    async def scene(_stack: AsyncExitStack) -> None:
        mine = Stream(CREDENTIAL, EVERYTHING, "st_a", 0)
        messages = mine.messages(LONG)
        await anext(messages)
        for number in range(1, 1_001):
            mine.hear(Latest("st_a", "default", number))
        clock = asyncio.get_running_loop().time
        began = clock()
        assert await _next(messages) == 1_000
        mine.hear(Latest("st_a", "default", 1_001))
        assert await _next(messages) == 1_001
        assert clock() - began >= 0.3

    _run(scene)


def test_silence_is_filled_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.05)

    async def scene(_stack: AsyncExitStack) -> None:
        messages = Stream(CREDENTIAL, EVERYTHING, None, 0).messages(LONG)
        assert [await anext(messages) for _ in range(3)][1:] == [":\n\n"] * 2

    _run(scene)


def test_a_key_has_so_many_slots_and_all_keys_have_so_many() -> None:
    slots = Slots("follows events", "close some", 1, (2, "come back"))
    with slots.held("a"):
        with pytest.raises(TooManyRequests, match="key a follows events 1 times") as refused:
            slots.held("a").__enter__()
        assert refused.value.hint == "close some"
        with slots.held("b"), pytest.raises(TooManyRequests, match="all 2 slots") as refused:
            slots.held("c").__enter__()
        assert refused.value.hint == "come back"
    with slots.held("a"), slots.held("c"):
        pass


@pytest.fixture
def streaming(directory: Path) -> Iterator[Service]:
    """A service whose streams last half a second, one for each key."""
    running = start(directory, stream_seconds=0.5, streams_per_key=1)
    with running.client:
        yield running


def _said(answer: Any) -> str:
    """What a stream that is over said beside its heartbeats."""
    assert answer.status_code == 200
    return str(answer.text).replace(":\n\n", "")


def test_over_http(streaming: Service) -> None:
    study = streaming.submit()
    path, key = f"/v1/studies/{study}/events/stream", streaming.key("admin")
    events = streaming.get(f"/v1/studies/{study}/events?limit=1000")["items"]
    last = events[-1]["id"]
    answer = streaming.client.get(path, headers=key)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert _said(answer) == f"retry: 2000\n\nid: {last}\ndata: changed\n\n"
    for known in ({"params": {"after": last}}, {"headers": key | {"Last-Event-ID": str(last)}}):
        asked: Any = {"headers": key, **known}
        assert _said(streaming.client.get(path, **asked)) == "retry: 2000\n\n"
    unknown = streaming.client.get("/v1/studies/st_aaaaaaaaaa/events/stream", headers=key)
    assert (unknown.status_code, unknown.json()["error"]) == (404, "NotFound")
    assert streaming.client.get(f"{path}?after=x", headers=key).status_code == 422


@pytest.fixture
def lasting(directory: Path) -> Iterator[Service]:
    """A service whose streams last until the doorbell is closed, one for each key."""
    running = start(directory, stream_seconds=3600.0, streams_per_key=1)
    with running.client:
        yield running


def _follow(service: Service) -> Any:
    return service.client.get("/v1/events/stream", headers=service.key("admin"))


@contextmanager
def _followed(service: Service) -> Iterator[None]:
    """While somebody follows a stream; it ends with all others, and those that come later."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(_follow, service)
        try:
            wait_for(lambda: service.app.state.runtime.streams.count == 1)
            yield
        finally:
            service.app.state.runtime.doorbell.close()
        assert following.result(LONG).status_code == 200


def test_streams_beyond_a_key_s_share_are_refused_until_one_ends(lasting: Service) -> None:
    with _followed(lasting):
        refused = _follow(lasting)
        assert refused.status_code == 429
        assert "RANKADAPTOR_STREAMS_PER_KEY" in refused.json()["hint"]
    assert _follow(lasting).status_code == 200


def test_a_stream_is_counted_while_it_is_open_and_timed_as_it_begins(
    lasting: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [1.0]
    clock = SimpleNamespace(perf_counter=lambda: seconds[0])
    monkeypatch.setattr("service.telemetry.timing.time", clock)
    with _followed(lasting):
        assert scrape(lasting).value("streams_open") == 1
        seconds[0] = 1000.0
    seen = scrape(lasting)
    assert seen.value("streams_open") == 0
    route = {"method": "GET", "route": "/v1/events/stream", "status": "200"}
    assert seen.value("http_request_seconds_count", **route) == 1
    assert seen.value("http_request_seconds_sum", **route) == 0.0


def test_a_page_opens_its_stream_where_it_was_drawn(streaming: Service) -> None:
    study = streaming.submit()
    code = streaming.post("/v1/login-codes").json()["code"]
    streaming.client.post("/login", data={"code": code})
    for page in ("/", f"/studies/{study}"):
        drawn = streaming.client.get(page).text
        found = re.search(r'data-stream="(\S+)" data-event="(\d+)"', drawn)
        assert found
        followed = streaming.client.get(f"{found[1]}?after={found[2]}")
        assert _said(followed) == "retry: 2000\n\n"
        streaming.work(1)
        assert "changed" in streaming.client.get(f"{found[1]}?after={found[2]}").text


@ON_BOTH
def test_a_key_that_ended_is_named_by_the_database(database: Database) -> None:
    key, mine = _session(database)
    with database.writing() as session:
        assert Keys(session).live({key, "missing"}) == {key}
        assert Logins(session).live({mine, "missing"}) == {mine}
        session.execute(update(KeyRow).where(KeyRow.id == key).values(expires_at=Now() - 1))
        assert Keys(session).live({key}) == frozenset()
