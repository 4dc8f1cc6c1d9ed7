"""Which studies are looked at without being asked for: those something happened to."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete, update

from rankspace import RankVector
from rankspace.lease import PROTOCOL, Claim
from service.planning.agenda import Agenda
from service.planning.news import News
from service.storage.clock import Now
from service.storage.tables import WatermarkRow, WorkerRow
from service.studies.candidates import add_candidate
from service.studies.workflow import cancel, pause, resume
from tests.unit.service.driver import ANYBODY, ON_BOTH, Service, holding, score


def test_only_what_looks_otherwise_is_news() -> None:
    news = News()
    assert news.of({"a": (1,), "b": (1,)}) == ["a", "b"]
    assert news.of({"a": (1,), "b": (2,), "c": (1,)}) == ["b", "c"]
    assert news.of({"a": (1,), "c": (1,)}) == []
    assert news.of({"b": (2,)}) == ["b"]  # it had gone, and came back


def test_what_came_to_nothing_is_news_again() -> None:
    news = News()
    news.of({"a": (1,), "b": (1,)})
    news.forget("a")
    assert news.of({"a": (1,), "b": (1,)}) == ["a"]


def _agenda(service: Service) -> Agenda:
    agenda = service.app.state.runtime.planning._agenda
    assert isinstance(agenda, Agenda)
    return agenda


def _settled(service: Service) -> Agenda:
    agenda = _agenda(service)
    while agenda.news():
        service.sweep()
    assert agenda.news() == []
    return agenda


def _report_unheard(service: Service, study: str) -> None:
    """A result that another process accepted and died of."""
    runtime, lease = service.app.state.runtime, service.claim()
    real, runtime.planning.ask = runtime.planning.ask, lambda *_: None
    service.report(lease, score(lease))
    runtime.planning.ask = real


def _candidate(service: Service, study: str) -> None:
    with service.app.state.runtime.database.writing() as session:
        add_candidate(session, study, RankVector((1,) * 12))


def _claim(service: Service, study: str) -> None:
    assert service.app.state.runtime.leases.claim(Claim("w1", PROTOCOL), ANYBODY) is not None


def _release(service: Service, study: str) -> None:
    lease = service.claim()
    _settled(service)
    path = f"/v1/leases/{lease['trial_id']}/release"
    assert service.post(path, holding(lease), "worker").status_code == 204


def _resume(service: Service, study: str) -> None:
    with service.app.state.runtime.database.writing() as session:
        pause(session, study)
    assert _agenda(service).news() == []
    with service.app.state.runtime.database.writing() as session:
        resume(session, study)


def _lose_the_mark(service: Service, study: str) -> None:
    with service.app.state.runtime.database.writing() as session:
        session.execute(delete(WatermarkRow))


def _see_workers(service: Service, study: str) -> None:
    for name in ("w2", "w3"):
        service.app.state.runtime.leases.touch(name, ANYBODY)


@pytest.mark.parametrize(
    "happens",
    [_report_unheard, _candidate, _claim, _release, _resume, _lose_the_mark, _see_workers],
)
def test_whatever_happens_is_news_once(
    service: Service, happens: Callable[[Service, str], None]
) -> None:
    study = service.submit()
    agenda = _settled(service)
    happens(service, study)
    assert agenda.news() == [study]
    assert agenda.news() == []


@ON_BOTH
def test_a_worker_more_than_count_and_a_study_that_is_over_are_no_news(service: Service) -> None:
    study = service.submit()
    for number in range(5):
        service.app.state.runtime.leases.touch(f"w{number}", ANYBODY)
    agenda = _settled(service)
    service.app.state.runtime.leases.touch("w5", ANYBODY)
    assert agenda.news() == []
    with service.app.state.runtime.database.writing() as session:
        cancel(session, study)
    assert agenda.news() == []


@ON_BOTH
def test_workers_that_are_gone_are_news(service: Service) -> None:
    study = service.submit()
    for number in range(3):
        service.app.state.runtime.leases.touch(f"w{number}", ANYBODY)
    agenda = _settled(service)
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(WorkerRow).values(last_seen=Now() - 1_000))
    assert agenda.news() == [study]


def test_housekeeping_plans_nothing_where_nothing_happened(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.submit()
    _settled(service)
    asked: list[str] = []
    monkeypatch.setattr(service.app.state.runtime.planning, "ask", asked.append)
    for _ in range(3):
        service.app.state.housekeeping._caught_up_at = 0.0
        service.app.state.housekeeping._catch_up()
    assert asked == []
