"""Whatever is read after a write is not older than it, however dear it is to make."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rankspace.errors import Unreachable
from rankspace.lease import Release
from rankspace.wire import encode
from service.insights.cache import Insight
from service.studies.workflow import pause
from service.workers.bars import Bars
from tests.unit.service.driver import ON_BOTH, Service, score, start
from tests.waiting import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def dear(directory: Path) -> Iterator[Service]:
    """A service for which all is dear, with a browser that is logged in."""
    running = start(directory, fresh_seconds=1e-9)
    with running.client:
        code = running.post("/v1/login-codes").json()["code"]
        running.client.post("/login", data={"code": code})
        yield running


class Reader:
    """All places where a study is shown."""

    def __init__(self, service: Service, study: str) -> None:
        self.service, self.study = service, study

    def documents(self) -> list[Any]:
        """The study by itself, and in the list if it is there."""
        listed = self.service.get("/v1/studies")["items"]
        mine = [one for one in listed if one["id"] == self.study]
        return [self.service.get(f"/v1/studies/{self.study}"), *mine]

    def pages(self) -> list[str]:
        """Its own page, and the list of all."""
        paths = f"/studies/{self.study}", "/"
        return [self.service.client.get(path).text for path in paths]

    def budget(self) -> str:
        """The tab that needs what the model says."""
        page: str = self.service.client.get(f"/studies/{self.study}/budget").text
        return page

    def states(self) -> set[str]:
        """What the documents say, if the pages say so as well."""
        mine, every = self.pages()
        states = {document["state"] for document in self.documents()}
        return {state for state in states if _title(state) in mine and _badge(state) in every}


def _badge(state: str) -> str:
    return f'<span class="badge {state}">{state}</span>'


def _title(state: str) -> str:
    return f"<h1>tiny {_badge(state)}</h1>"


def test_every_result_is_in_the_next_answer(dear: Service) -> None:
    reader = Reader(dear, dear.submit())
    for count in range(1, 8):
        dear.work(1)
        done = [document["progress"]["search"]["done"] for document in reader.documents()]
        assert done == [count, count]
        mine, every = reader.pages()
        assert f'<p class="big">{count}<span class="quiet"> of 7</span>' in mine
        assert f"{count} of 7" in every


def test_every_turn_and_every_word_of_a_person_is_in_the_next_answer(dear: Service) -> None:
    study = dear.submit()
    reader = Reader(dear, study)
    assert reader.states() == {"searching"}
    for change, state in (("pause", "paused"), ("resume", "searching"), ("cancel", "cancelled")):
        assert dear.post(f"/v1/studies/{study}/{change}").status_code == 200
        assert reader.states() == {state}


def test_a_study_is_listed_as_soon_as_it_is_there_and_no_longer(dear: Service) -> None:
    for _ in range(3):
        study = dear.submit()
        reader = Reader(dear, study)
        assert len(reader.documents()) == 2
        assert f"studies/{study}" in reader.pages()[1]
        dear.post(f"/v1/studies/{study}/cancel")
        admin = dear.key("admin")
        answer = dear.client.delete(f"/v1/studies/{study}", headers=admin)
        assert answer.status_code == 204
        assert dear.get("/v1/studies")["items"] == []
        mine, every = reader.pages()
        assert "Not found" in mine
        assert study not in every
        for of in ("", "/front", "/calibration", "/noise"):
            path = f"/v1/studies/{study}{of}"
            assert dear.client.get(path, headers=admin).status_code == 404


def test_a_failed_study_is_not_shown_searching(dear: Service) -> None:
    reader = Reader(dear, dear.submit())
    states = []
    while dear.work(1, measure=lambda _: None):
        dear.sweep()
        states.append(reader.states())
    assert states[0] == {"searching"}
    assert states[-1] == {"failed"}


def test_the_end_is_shown_at_once(dear: Service) -> None:
    reader = Reader(dear, dear.submit())
    states = []
    while dear.work(1):
        dear.sweep()
        states.append(reader.states())
    assert {"verifying"} in states
    assert states[-1] == {"done"}
    assert "Verdict: " in reader.pages()[0]


@ON_BOTH
def test_what_another_process_wrote_is_shown_as_soon(dear: Service) -> None:
    study = dear.submit()
    reader = Reader(dear, study)
    assert reader.states() == {"searching"}
    with dear.app.state.runtime.database.writing() as session:
        pause(session, study, "no worker can open its files")
    assert reader.states() == {"paused"}
    assert reader.documents()[0]["error"] == "no worker can open its files"


def test_a_page_says_how_old_its_insights_are_and_does_not_stay_so(
    dear: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(dear, dear.submit())
    dear.work(4, measure=score)
    insights = dear.app.state.runtime.insights
    really = insights.insight_now

    def late(*given: Any) -> Insight:
        known: Insight = really(*given)
        return Insight(known.value, 65.0, known.body)

    monkeypatch.setattr(insights, "insight_now", late)
    assert "is of 1 min 5 s ago; results have come since" in reader.budget()
    monkeypatch.undo()
    wait_for(lambda: "results have come since" not in reader.budget())


def test_a_page_without_its_insights_says_why_and_shows_the_rest(
    dear: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: str) -> Any:
        raise Unreachable("looking at it ends the planning process", hint="give it more memory")

    reader = Reader(dear, dear.submit())
    dear.work(4, measure=score)
    monkeypatch.setattr(dear.app.state.runtime.insights, "_make_insight", ended)
    assert "4<span" in reader.pages()[0]
    budget = reader.budget()
    assert "looking at it ends the planning process; give it more memory." in budget
    assert "Score against parameters" not in budget
    assert "is being computed" not in budget
    monkeypatch.undo()
    wait_for(lambda: "Score against parameters" in reader.budget())


def test_who_works_and_who_cannot_is_in_the_next_answer(dear: Service) -> None:
    reader = Reader(dear, dear.submit())
    assert reader.documents()[0]["workers_active"] == 0
    lease = dear.claim()
    assert [one["workers_active"] for one in reader.documents()] == [1, 1]
    given = Release("w1", lease["token"], lease["study_id"], "no such file")
    path = f"/v1/leases/{lease['trial_id']}/release"
    assert dear.post(path, encode(given), "worker").status_code == 204
    for document in reader.documents():
        assert [(one["worker"], one["tries"]) for one in document["barred"]] == [("w1", 1)]
    assert "w1 cannot run its trials" in reader.pages()[0]
    with dear.app.state.runtime.database.writing() as session:
        Bars(session).lift_of("w1")  # no event of the study says so
    assert [document["barred"] for document in reader.documents()] == [[], []]
