"""Whose model of a study is looked at, and what of it stays in memory."""

from contextlib import ExitStack

import pytest
from sqlalchemy.orm import Session

from perfmodel import ModelState
from service.insights import knowledge as module
from service.insights.knowledge import Computing, Knowledge
from service.planning.study_results import ModelSnapshot, StudyResults
from service.studies.repository import Studies
from tests.unit.service.beginnings import DONE
from tests.unit.service.driver import Service


def _of(service: Service, knowledge: Knowledge, study: str) -> ModelSnapshot:
    with service.app.state.runtime.database.reading() as session:
        return knowledge.of(session, Studies(session).get(study))


def test_a_study_the_planning_has_not_come_to_holds_no_thread_and_is_not_learned_twice(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, asked = service.submit(), list[str]()
    service.work(2)
    service.sweep()
    monkeypatch.setattr(StudyResults, "open", None)
    with pytest.raises(Computing):
        _of(service, Knowledge(lambda _: None, asked.append), study)
    assert asked == [study]
    planner = service.app.state.runtime.planning._planner
    known = _of(service, Knowledge(planner.known, asked.append), study)
    assert (known.sequence, len(known.state.observations)) == (2, 2)
    assert known.state is planner.known(study).state
    assert asked == [study]


def test_the_planning_has_a_moment_to_learn_the_last_result(service: Service) -> None:
    study = service.submit()
    service.work(2)
    service.sweep()
    known = service.app.state.runtime.planning._planner.known(study)
    late = [ModelSnapshot(1, known.state)] * 3

    def planned(_study: str) -> ModelSnapshot:
        return late.pop() if late else known

    assert _of(service, Knowledge(planned), study).sequence == 2


def test_a_planning_that_stays_late_is_put_up_with_only_while_the_study_searches(
    service: Service,
) -> None:
    study = service.submit()
    service.work(6)
    service.sweep()
    state = service.app.state.runtime.planning._planner.known(study).state
    late = Knowledge(lambda _: ModelSnapshot(5, state))
    assert _of(service, late, study).sequence == 5
    service.work(1)
    service.sweep()
    assert service.get(f"/v1/studies/{study}")["stage"] == "verifying"
    with pytest.raises(Computing):
        _of(service, late, study)


@DONE
def test_what_the_planning_will_not_learn_of_a_study_that_is_over_is_learned_here(
    service: Service,
) -> None:
    study = service.only_study()
    with service.app.state.runtime.database.reading() as session:
        mine = Knowledge().of(session, Studies(session).get(study))
    behind = ModelSnapshot(2, ModelState(mine.state.space, mine.state.strategy, 0, 7))
    for planned in (lambda _: behind, lambda _: None):
        known = _of(service, Knowledge(planned), study)
        assert known.sequence == mine.sequence > 7
        assert known.state.observations == mine.state.observations


def test_what_is_known_beyond_what_the_session_sees_does_not_count_as_seen(
    service: Service,
) -> None:
    study = service.submit()
    service.work(2)
    service.sweep()
    database, planning = (getattr(service.app.state.runtime, of) for of in ("database", "planning"))
    with ExitStack() as stack:
        session: Session = stack.enter_context(database.reading())
        row = Studies(session).get(study)
        service.work(1)
        service.sweep()
        planner = planning._planner
        known = Knowledge(planner.known, planning.ask).of(session, row)
    assert (known.sequence, planner.known(study).sequence) == (2, 3)


def test_studies_nobody_plans_stay_open_within_so_many_bytes(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = [service.submit(name=f"{at}") for at in range(3)]
    service.work(9)
    knowledge, opened = Knowledge(), list[str]()
    really = StudyResults.open

    def noted(session: Session, study: str) -> StudyResults:
        opened.append(study)
        return really(session, study)

    monkeypatch.setattr(StudyResults, "open", noted)
    for study in [*studies, *studies]:
        _of(service, knowledge, study)
    assert opened == studies
    monkeypatch.setattr(module, "OPEN_BYTES", 1)
    for study in [*studies, *studies]:
        _of(service, knowledge, study)
    assert opened == [*studies, *studies[1:], *studies]
