"""Watching a study: what holds it up is said, and a service that restarts is waited for."""

from collections.abc import Iterator
from typing import Any

import pytest

from rankadaptor import following
from rankadaptor.following import AWAY, follow
from rankadaptor.rest.client import RestClient
from rankspace.errors import NotFound, Unreachable
from rankspace.wire import encode
from tests.unit.rankadaptor.listener import Answer, Stranger, in_json
from tests.verdicts import VERDICT

PATH = "/v1/studies/st_1"
NO_WORKER = "no worker: start one with rankadaptor worker"
PAUSED = "paused; to go on: rankadaptor resume st_1"
BAD_GATEWAY: Answer = (502, {"Content-Type": "text/html"}, b"<html>")
RESTARTING = in_json({"error": "Unreachable", "detail": "starting", "hint": ""}, 503)


class Script(dict[str, Answer]):
    """Answers one after the other; the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self._left = list(answers)

    def get(self, _path: str, _default: Any = None) -> Any:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


def view(state: str = "searching", **changes: Any) -> Answer:
    counts = {"planned": 4, "queued": 0, "running": 1, "done": 1, "failed": 0}
    return in_json(
        {
            "id": "st_1",
            "state": state,
            "error": None,
            "best": None,
            "progress": {"search": counts},
            "workers_active": 1,
            "eta_seconds": None,
            **changes,
        }
    )


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "POLL_SECONDS", 0.0)


@pytest.fixture
def client(other: Stranger) -> Iterator[RestClient]:
    with RestClient(other.url, "rka_x") as found:
        yield found


def _said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = (line.strip() for line in capsys.readouterr().err.splitlines())
    return [line for line in lines if line and "/4" not in line]


def test_what_holds_a_study_up_is_said_once(
    other: Stranger, client: RestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    idle, small = view(workers_active=0), view(unfit="too small")
    script = (idle, idle, small, small, view(), view("paused"), view("paused"), view("done"))
    other.answers = Script(*script)
    assert follow(client, "st_1")["state"] == "done"
    assert _said(capsys) == [NO_WORKER, "no active worker gets its trials: too small", PAUSED]


def test_a_study_that_paused_by_itself_says_why(
    other: Stranger, client: RestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    barred = [{"worker": "gpu-0", "tries": 1, "reason": "no such file", "until": None}]
    stopped = view("paused", error="nobody can open it")
    other.answers = Script(view(barred=barred), stopped, view("cancelled"))
    follow(client, "st_1")
    cannot = "gpu-0: cannot run its trials; why: rankadaptor status st_1"
    assert _said(capsys) == [cannot, f"nobody can open it: {PAUSED}"]


def test_what_holds_it_up_is_said_while_the_whole_recipe_is_judged_too(
    other: Stranger, client: RestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"study": {"verify": {"at": "recipe"}}, "verdict": encode(VERDICT)}
    idle = view("recovering", workers_active=0, note="no survey", **asked)
    other.answers = Script(idle, view("done"))
    follow(client, "st_1")
    first, *second = _said(capsys)
    assert first == f"no survey: {NO_WORKER}"
    assert " ".join(second).startswith("better. The whole recipe is still to be judged")


@pytest.mark.parametrize("away", [BAD_GATEWAY, RESTARTING])
def test_a_service_that_restarts_is_waited_for(
    other: Stranger, client: RestClient, capsys: pytest.CaptureFixture[str], away: Answer
) -> None:
    seen: list[int] = []
    other.answers = Script(view(), away, away, view(), away, view("done"))
    assert follow(client, "st_1", also=lambda: seen.append(1))["state"] == "done"
    assert _said(capsys) == [AWAY, AWAY]
    assert len(seen) == 5


def test_one_that_never_comes_back_is_not_waited_for_for_ever(
    other: Stranger, client: RestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "AWAY_SECONDS", -1.0)
    other.answers = Script(view(), BAD_GATEWAY)
    with pytest.raises(Unreachable):
        follow(client, "st_1")


def test_one_that_never_answered_is_not_waited_for(other: Stranger, client: RestClient) -> None:
    other.answers = Script(BAD_GATEWAY)
    with pytest.raises(Unreachable):
        follow(client, "st_1")
    assert len(other.sent) == 1


def test_a_refusal_ends_it(other: Stranger, client: RestClient) -> None:
    gone = in_json({"error": "NotFound", "detail": "no study", "hint": ""}, 404)
    other.answers = Script(view(), gone)
    with pytest.raises(NotFound):
        follow(client, "st_1")
