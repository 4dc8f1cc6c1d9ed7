"""The planning in a process of its own: the same answers, and nobody dies of it."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from rankspace.errors import (
    BudgetTooSmall,
    InvalidInput,
    NotFound,
    Unreachable,
)
from service.insights.making import looking
from service.planning.apart import life, process
from service.planning.apart.child import NICE, _portable
from service.planning.apart.life import LOOKS
from service.planning.apart.process import MOST_ENDS, PlanningProcess
from service.planning.study_results import Planned
from service.storage.database_file import DatabaseLost
from service.storage.db import Database
from service.studies.repository import Studies
from tests.unit.service.driver import ON_POSTGRESQL, ON_SQLITE, Service, score, start
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

ENDS = 2
"""Of the process that one study or look is charged with before it is given up, instead of
``MOST_ENDS``: each takes more than a second to start again."""

_ODD = """
import os, signal, time
from service.allocation import nothing_collected
with nothing_collected():
    from service.planning import planner
    from service.planning.apart import child
real, seen = planner.StudyPlanner.advance, set()
def advance(self, study, until):
    with self._database.reading() as session:
        name = planner.Studies(session).get(study).name
    if name == "endless":
        time.sleep(1e6)
    if name == "deadly" and study in seen:
        os.kill(os.getpid(), signal.SIGKILL)
    seen.add(study)
    return real(self, study, until) and name != "deadly"
planner.StudyPlanner.advance = advance
child.main()
"""
ODD = ("-P", "-c", _ODD)
"""The program, but that the planning of a study called ``endless`` never ends, and that of one
called ``deadly`` ends the process when it is planned for the second time there."""

PARENT = """
import sys
from pathlib import Path
from service.runtime import assemble
from service.settings import Settings
runtime = assemble(Settings(data_directory=Path(sys.argv[1])), plans_apart=True)
runtime.planning.start()
print(runtime.planning._planner._life.pid, flush=True)
sys.stdin.read()
"""


def _looking(
    database: Database, planned: Planned, plan: Callable[[str], object]
) -> Callable[[str, str], Any]:
    """The real one, and looks at which something goes wrong."""
    real = looking(database, planned, plan)

    def look(kind: str, study: str) -> Any:
        if kind not in WRONG:
            return real(kind, study)
        with database.reading() as session:
            return WRONG[kind](session, study)

    return look


@pytest.fixture(scope="module", autouse=True)
def _looks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.runtime.looking", _looking)
        yield


@contextmanager
def _apart(directory: Path) -> Iterator[Service]:
    running = start(directory, plans_apart=True)
    with running.client:
        yield running


@pytest.fixture(scope="module")
def of_all(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("apart") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(life, "PROGRAM", ODD)
        with _apart(Path(shutil.copytree(migrated, home))) as running:
            patch.undo()
            yield running


@pytest.fixture
def apart(of_all: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """One service for all tests that leave it as it was; the process takes seconds to start."""
    monkeypatch.setattr(life, "PROGRAM", ODD)
    return of_all


def _planning(service: Service) -> PlanningProcess:
    found = service.app.state.runtime.planning._planner
    assert isinstance(found, PlanningProcess)
    return found


def _pid(service: Service) -> int:
    there = _planning(service)._life
    assert there is not None
    return there.pid


def _submitted(service: Service, project: str = "default", **changes: Any) -> str:
    """A study whose first trials are planned, however long the process takes to start."""
    identity = service.submit(project, **changes)
    service.sweep()
    return identity


def _done(service: Service, study: str) -> list[Any]:
    """Work until ``study`` is done; the vectors."""
    ran: list[Any] = []
    while service.get(f"/v1/studies/{study}")["state"] != "done":
        ran += [lease["rank_vector"]["ranks"] for lease in service.work()]
        service.sweep()
        assert len(ran) < 100
    return ran


@pytest.fixture
def unscored(apart: Service) -> Iterator[str]:
    """A study without a result, which leaves no trial to the tests after it."""
    identity = _submitted(apart)
    yield identity
    assert apart.post(f"/v1/studies/{identity}/cancel").is_success


def _goes_on(service: Service, study: str) -> None:
    """Two more results are planned: the offers rest on them, and then nobody works on the study."""
    service.sweep()  # a claim would not wait until a new process has started
    for _ in range(2):
        lease = service.claim()
        assert lease["study_id"] == study
        service.report(lease, score(lease))
        service.sweep()
    events = service.get(f"/v1/studies/{study}/events?limit=1000")["items"]
    ended = [event for event in events if event["kind"] == "done"]
    proposed = [event for event in events if event["kind"] == "proposed"]
    assert proposed[-1]["content"]["watermark"] == len(ended) >= 2
    assert service.post(f"/v1/studies/{study}/cancel").is_success


@ON_POSTGRESQL
def test_a_study_is_planned_on_the_other_database_too(directory: Path) -> None:
    with _apart(directory) as service:
        _goes_on(service, _submitted(service))


@ON_SQLITE
def test_a_study_is_planned_as_it_is_without_one(service: Service, apart: Service) -> None:
    identity, again = service.submit(), _submitted(apart)
    assert _done(apart, again) == _done(service, identity)
    for what in ("front", "calibration", "noise", ""):
        assert _without_identity(apart.get(f"/v1/studies/{again}/{what}")) == (
            _without_identity(service.get(f"/v1/studies/{identity}/{what}"))
        )


def _without_identity(answer: dict[str, Any]) -> dict[str, Any]:
    own = (
        "id",
        "created_at",
        "finished_at",
        "calibration",
        "seconds",
        "gpu_hours",
        "points",
        "best",
    )
    return {name: value for name, value in answer.items() if name not in own}


def test_what_a_terminal_sends_is_left_to_the_parent(apart: Service) -> None:
    identity = _submitted(apart)
    before = _pid(apart)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(before, number)
    _goes_on(apart, identity)
    assert _pid(apart) == before


def test_a_study_that_ends_the_process_fails_and_no_other(
    apart: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MOST_ENDS", ENDS)
    with structlog.testing.capture_logs() as logs:
        sound = _submitted(apart)
        deadly = _submitted(apart, "other", name="deadly")
        apart.sweep()
        view = apart.get(f"/v1/studies/{deadly}")
        assert view["state"] == "failed"
        assert f"{ENDS} times with nothing else under way" in view["error"]
        _goes_on(apart, sound)
    ends = [line for line in logs if line["event"] == "the planning process has ended"]
    assert {line["exit_code"] for line in ends} == {-signal.SIGKILL}
    assert len([line for line in ends if line["while_at"] == deadly]) >= ENDS


def test_looks_that_end_the_process_are_refused_and_cost_no_study(
    apart: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MOST_ENDS", ENDS)
    identity = _submitted(apart)
    answers = [_refused(apart, identity) for _ in range(ENDS)]
    assert all("has ended" in one for one in answers)
    while "has ended" in answers[-1]:  # not charged: the study was planned beside it
        answers.append(_refused(apart, identity))
        assert len(answers) < 3 * ENDS
    assert "looking at study" in answers[-1]
    _is_opened_again(apart, identity)
    _goes_on(apart, identity)


def _is_opened_again(service: Service, study: str) -> None:
    """The process has ended, and planned ``study``; after another start that is to be done anew."""
    wait_for(lambda: not _planning(service)._life.is_there)  # type: ignore[union-attr]
    agenda = service.app.state.runtime.planning._agenda
    while agenda.news():
        pass  # it is remembered as it looks now
    before, restarts = _pid(service), _restarts(service)
    _planning(service).start()
    assert agenda.news() == [study]
    assert (_pid(service) != before, _restarts(service)) == (True, restarts + 1)


def _restarts(service: Service) -> float:
    registry = service.app.state.runtime.metrics.registry
    return float(registry.get_sample_value("rankadaptor_planning_restart_total") or 0.0)


def _refused(service: Service, study: str) -> str:
    with pytest.raises(Unreachable) as refused:
        _planning(service).look("deadly", study)
    return str(refused.value)


def _deadly(_session: Session, _study: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@ON_SQLITE
def test_damage_that_one_process_sees_stops_both(directory: Path) -> None:
    with _apart(directory) as service:
        identity = service.submit()
        with pytest.raises(DatabaseError):
            _planning(service).look("damaged", identity)
        database = service.app.state.runtime.database
        with pytest.raises(DatabaseLost, match="damaged"):
            database.check_file()
        with pytest.raises(DatabaseLost, match="damaged"):
            _planning(service).look("front", identity)


def _damaged(session: Session, _study: str) -> None:
    """Read a file whose first page is nonsense."""
    file = Path(str(session.get_bind().engine.url.database))
    session.rollback()
    session.get_bind().engine.dispose()
    raw = bytearray(file.read_bytes())
    raw[:100] = b"nonsense" * 12 + b"nons"
    file.write_bytes(raw)
    for extra in ("-wal", "-shm"):
        file.with_name(file.name + extra).unlink(missing_ok=True)
    session.execute(text("SELECT count(*) FROM studies"))


@ON_SQLITE
def test_a_process_that_does_not_start_is_no_study_s_fault(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(life, "PROGRAM", ("-c", "raise SystemExit(3)"))
        with _apart(directory) as service:
            identity = service.submit()
            for _ in range(MOST_ENDS + 1):
                service.sweep()
            assert service.get(f"/v1/studies/{identity}")["state"] == "searching"
            assert not service.app.state.runtime.planning.is_alive
            with pytest.raises(Unreachable, match="does not start"):
                _planning(service).look("front", identity)
            assert service.app.state.runtime.planning._agenda.news() == [identity]
    with _apart(directory) as service:
        _goes_on(service, identity)


@ON_SQLITE
def test_it_ends_with_a_parent_that_is_killed(directory: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent.stdin, parent.stdout:
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        wait_for(lambda: not Path(f"/proc/{pid}/cmdline").exists())


def test_what_a_look_raises_is_raised_here(apart: Service, unscored: str) -> None:
    with pytest.raises(NotFound, match="st_none"):
        _planning(apart).look("front", "st_none")
    assert _planning(apart).look("front", unscored).value is None
    with pytest.raises(ZeroDivisionError, match="planted") as raised:
        _planning(apart).look("broken", unscored)
    assert any("_broken" in note for note in raised.value.__notes__)


def test_what_cannot_be_sent_is_told_and_the_line_goes_on(apart: Service, unscored: str) -> None:
    for _ in range(LOOKS + 1):
        with pytest.raises(TypeError, match="pickle"):
            _planning(apart).look("unsendable", unscored)
    assert _planning(apart).look("front", unscored).value is None


def _unsendable(_session: Session, _study: str) -> threading.Lock:
    return threading.Lock()


def _broken(session: Session, study: str) -> None:
    assert Studies(session).get(study).id == study
    raise ZeroDivisionError("planted")


WRONG: dict[str, Callable[[Session, str], object]] = {
    "broken": _broken,
    "deadly": _deadly,
    "damaged": _damaged,
    "unsendable": _unsendable,
}

ERRORS = (
    NotFound("there is no study", hint="look"),
    InvalidInput("trials", 3, "too few", fix="use 4"),
    BudgetTooSmall("budget", [1, 2], "too small", fix="more"),
    DatabaseLost("the file is gone", "put it back"),
    ValueError("plain"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_are_the_same_on_the_other_side(error: Exception) -> None:
    there = pickle.loads(pickle.dumps(_portable(error)))
    assert (type(there), str(there)) == (type(error), str(error))
    hidden = {"__notes__"}
    assert {k: v for k, v in vars(there).items() if k not in hidden} == {
        k: v for k, v in vars(error).items() if k not in hidden
    }
    if isinstance(error, ValueError):
        assert "ValueError" in there.__notes__[0]


def test_an_error_that_cannot_be_sent_is_told() -> None:
    class Odd(Exception):
        def __init__(self, lock: object, more: object) -> None:
            super().__init__("odd")

    there = _portable(Odd(threading.Lock(), None))
    assert isinstance(there, RuntimeError)
    assert "Odd: odd" in str(there)


def test_heartbeats_go_before_planning_where_processors_are_short(apart: Service) -> None:
    _submitted(apart)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    wait_for(lambda: os.getpriority(os.PRIO_PROCESS, _pid(apart)) == min(own + NICE, 19))


def test_stopping_ends_it_whatever_it_computes(
    apart: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one here: nothing is planned for those who share the process after it."""
    monkeypatch.setattr("service.planning.queue.PATIENCE_SECONDS", 0.1)
    identity = apart.submit("endless", name="endless")
    planning = apart.app.state.runtime.planning
    asked, pid = planning.ask(identity), _pid(apart)
    assert not asked.done()
    planning.close(0.1)
    assert asked.result(60) is None
    assert not Path(f"/proc/{pid}/cmdline").exists()
