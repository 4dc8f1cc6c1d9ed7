"""Waiting for a study: how often it asks, what it says, and when it gives up."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rankadaptor.following import AWAY
from rankadaptor.notebook import waiting
from rankadaptor.notebook.card import study_card
from rankadaptor.notebook.standing import Standing, standing
from rankadaptor.notebook.study_handle import StudyHandle
from rankadaptor.notebook.waiting import until_over
from rankadaptor.rest.client import RestClient
from rankspace.errors import Conflict, NotOver, Unreachable, UnsupportedVersion
from rankspace.redaction import steering
from rankspace.study import Best, Progress, StudyState
from rankspace.wire import encode
from tests.unit.rankadaptor.listener import Answer, Stranger, in_json
from tests.unit.rankadaptor.test_following import BAD_GATEWAY, RESTARTING, Script
from tests.verdicts import VERDICT

GOING = Standing(
    id="st_1",
    name="x",
    state=StudyState.SEARCHING,
    stage=StudyState.SEARCHING,
    error=None,
    progress={"search": Progress(planned=4, queued=0, running=1, done=1, failed=0)},
    best=None,
    uniform_score=None,
    verdict=None,
    workers_active=1,
    eta_seconds=None,
    study={},
)
DONE = replace(GOING, state=StudyState.DONE, verdict=VERDICT)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have slept, which is no time at all."""
    pauses: list[float] = []
    monkeypatch.setattr("rankadaptor.notebook.waiting.time.sleep", pauses.append)
    return pauses


@pytest.fixture
def study(other: Stranger) -> Iterator[StudyHandle]:
    with RestClient(other.url, "rka_x") as rest:
        yield StudyHandle(rest, "st_1")


def _asked(*answers: Standing) -> Callable[[], Standing]:
    left = list(answers)
    return lambda: left.pop(0)


def _answer(now: Standing) -> Answer:
    return in_json(encode(now))


def test_it_asks_ever_more_rarely_until_something_changes(slept: list[float]) -> None:
    further = replace(GOING, progress={"search": Progress(4, 0, 1, 2, 0)})
    until_over("st_1", _asked(*[GOING] * 7, further, further, DONE))
    assert slept == [1, 2, 4, 8, 15, 15, 15, 1, 2]


def test_a_line_is_told_once(slept: list[float]) -> None:
    said: list[str] = []
    idle = replace(GOING, workers_active=0)
    until_over("st_1", _asked(GOING, GOING, idle, DONE), tell=said.append)
    assert said == [
        "searching: 1 of 4 trials",
        "searching: 1 of 4 trials, no active worker",
        "done",
    ]


def test_workers_that_cannot_run_it_are_named() -> None:
    barred = [{"worker": "gpu-0", "tries": 1, "reason": "no such file", "until": None}]
    held_up = standing({**encode(GOING), "barred": barred})
    assert held_up.line.endswith("cannot run its trials: gpu-0: no such file")
    assert replace(held_up, state=StudyState.DONE).remark == ""


def test_what_others_wrote_steers_no_terminal(
    other: Stranger, study: StudyHandle, slept: list[float]
) -> None:
    barred = [{"worker": "gpu\x1b[2J", "tries": 1, "reason": "one\ntwo \u202e", "until": None}]
    held_up = standing({**encode(GOING), "barred": barred})
    failed = replace(GOING, state=StudyState.FAILED, error="\x1b]0;mine\x07")
    other.answers = Script(_answer(held_up), _answer(failed))
    said: list[str] = []
    with pytest.raises(Conflict) as raised:
        study.wait(tell=said.append)
    for text in (*said, raised.value.detail):
        assert steering(text) is None
    assert r"gpu\x1b[2J: one\ntwo \u202e" in said[0]


def test_what_is_no_time_is_not_waited_for_ever(slept: list[float]) -> None:
    with pytest.raises(NotOver):
        until_over("st_1", _asked(GOING, GOING), timeout=float("nan"))
    assert slept == []


def test_a_study_that_no_worker_can_take_says_why() -> None:
    held_up = standing({**encode(GOING), "unfit": "the largest GPU has 8.00 GiB"})
    assert held_up.line.endswith("no active worker gets its trials: the largest GPU has 8.00 GiB")
    assert "the largest GPU has 8.00 GiB" in study_card(held_up, None)
    assert replace(held_up, workers_active=0).remark == "no active worker"


@pytest.mark.parametrize("away", [BAD_GATEWAY, RESTARTING])
def test_a_service_that_goes_away_is_waited_for(
    other: Stranger, study: StudyHandle, slept: list[float], away: Answer
) -> None:
    other.answers = Script(_answer(GOING), away, away, away, _answer(DONE))
    said: list[str] = []
    assert study.wait(tell=said.append) == VERDICT
    assert said == ["searching: 1 of 4 trials", AWAY, "done"]
    assert slept == [1, 1, 2, 4]


def test_who_waits_beside_many_others_waits_from_the_first_question_on(
    other: Stranger, study: StudyHandle, slept: list[float]
) -> None:
    busy = in_json({"error": "TooManyRequests", "detail": "too often", "hint": ""}, 429)
    other.answers = Script(busy, busy, busy, _answer(DONE))
    assert study.wait() == VERDICT
    assert slept == [1, 2]
    other.answers = Script(busy)
    with pytest.raises(NotOver):
        study.wait(timeout=0)


def test_one_that_does_not_come_back_is_given_up(
    other: Stranger, study: StudyHandle, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "AWAY_SECONDS", -1.0)
    other.answers = Script(_answer(GOING), BAD_GATEWAY)
    with pytest.raises(Unreachable):
        study.wait()


def test_a_timeout_counts_while_the_service_is_away(
    other: Stranger, study: StudyHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "FIRST_SECONDS", 0.01)
    other.answers = Script(_answer(GOING), BAD_GATEWAY)
    with pytest.raises(NotOver, match="the service does not answer"):
        study.wait(timeout=0.05)


def test_what_a_newer_service_says_is_passed_over() -> None:
    scored = replace(DONE, best=Best(score=-2.5, rank_vector=(1, 2), trial=7))
    view = {**encode(scored), "mood": "fine"}
    for group in (view["verdict"], view["best"], view["progress"]["search"]):
        group["mood"] = "fine"
    assert standing(view) == scored


LATER = ("note", "before_recovery_seconds", "extensions", "barred", "unfit")


def test_a_service_of_before_says_a_little_less() -> None:
    view = {name: value for name, value in encode(DONE).items() if name not in LATER}
    assert standing(view) == DONE


def test_what_cannot_be_read_is_a_matter_of_versions() -> None:
    with pytest.raises(UnsupportedVersion, match=r"study\.state.*dreaming"):
        standing({**encode(GOING), "state": "dreaming"})
    lacking = {name: value for name, value in encode(GOING).items() if name != "progress"}
    with pytest.raises(UnsupportedVersion, match=r"study\.progress"):
        standing(lacking)
