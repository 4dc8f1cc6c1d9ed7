"""Following a study with progress bars until it is over."""

import time
from collections.abc import Callable
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from rankadaptor.rest.client import RestClient
from rankadaptor.rest.patience import AWAY_SECONDS, patiently
from rankadaptor.screen import err
from rankadaptor.study_view import PURPOSES, finished, of_trials, remark, whole_time_left
from rankspace.study import OVER, StudyState

POLL_SECONDS = 1.0

AWAY = "the service does not answer, or is asked too often; trying again"
LABELS = {
    "survey": "surveying",
    "search": "searching",
    "control": "random control",
    "verify": "verifying",
    "recover": "recovering",
}
STAGES = {
    StudyState.SURVEYING: "survey",
    StudyState.SEARCHING: "search",
    StudyState.VERIFYING: "verify",
    StudyState.RECOVERING: "recover",
}


def follow(
    client: RestClient, study_id: str, *, also: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Draw progress bars on stderr until ``study_id`` is over; return its last view.

    ``also`` is called at every poll, for a caller that has something to keep an eye on.

    Raises:
        Unreachable: The service has not answered at all, or not for ``AWAY_SECONDS``.
    """
    view = client.study(study_id)
    with _bars() as bars:
        picture = _Picture(bars)
        while True:
            picture.draw(view)
            if view["state"] in OVER:
                return view
            also()
            time.sleep(POLL_SECONDS)
            view = _next_view(client, study_id, picture, also)


def _next_view(
    client: RestClient, study_id: str, picture: "_Picture", also: Callable[[], None]
) -> dict[str, Any]:
    def pause() -> None:
        picture.say(AWAY)
        also()
        time.sleep(POLL_SECONDS)

    return patiently(lambda: client.study(study_id), pause, AWAY_SECONDS)


class _Picture:
    """A bar for each kind of trials, and a line for what a person should know or do."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._said = ""

    def draw(self, view: dict[str, Any]) -> None:
        for purpose in PURPOSES:
            counts = view["progress"].get(purpose)
            if counts and counts["planned"]:
                self._draw(purpose, counts, _note(purpose, view))
        self.say(_remark(view))

    def say(self, what: str) -> None:
        """Print ``what`` once, above the bars: where there is no terminal, it is all there is."""
        if what and what != self._said:
            self._bars.console.print(what, style="yellow")
        self._said = what

    def _draw(self, purpose: str, counts: dict[str, int], note: str) -> None:
        planned = counts["planned"]
        if purpose not in self._tasks:
            self._tasks[purpose] = self._bars.add_task(LABELS[purpose], total=planned, note="")
        done = finished(counts)
        self._bars.update(self._tasks[purpose], completed=done, total=planned, note=note)


def _bars() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=err,
    )


def _note(purpose: str, view: dict[str, Any]) -> str:
    if STAGES.get(view["state"]) != purpose:
        return ""
    best = [f"best {view['best']['score']:.4f}"] if purpose == "search" and view["best"] else []
    return ", ".join([*best, *filter(None, [whole_time_left(view)])])


def _remark(view: dict[str, Any]) -> str:
    """What a person should know: who watches has not seen the study's own error."""
    if view["state"] in OVER:
        return ""
    if barred := view.get("barred"):
        workers = ", ".join(str(one["worker"]) for one in barred)
        return f"{workers}: cannot run its trials; why: rankadaptor status {view['id']}"
    trouble = ": ".join(filter(None, [view["error"] or view.get("note"), remark(view)]))
    known = of_trials(view) if view["state"] == StudyState.RECOVERING else ""
    return "\n".join(filter(None, [trouble, known]))
