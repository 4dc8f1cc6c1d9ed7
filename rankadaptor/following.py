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

from rankadaptor.client import Client
from rankadaptor.screen import err
from rankadaptor.study_view import PURPOSES, finished, time_left
from rankspace.study import OVER, StudyState

POLL_SECONDS = 1.0
LABELS = {
    "search": "searching",
    "control": "random control",
    "verify": "verifying",
    "recover": "recovering",
}
STAGES = {
    StudyState.SEARCHING: "search",
    StudyState.VERIFYING: "verify",
    StudyState.RECOVERING: "recover",
}


def follow(
    client: Client, study_id: str, *, also: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Draw progress bars on stderr until ``study_id`` is over; return its last view.

    ``also`` is called at every poll, for a caller that has something to keep an eye on.
    """
    with _bars() as bars:
        tasks: dict[str, TaskID] = {}
        while True:
            view = client.study(study_id)
            _draw(bars, tasks, view)
            if view["state"] in OVER:
                return view
            also()
            time.sleep(POLL_SECONDS)


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


def _draw(bars: Progress, tasks: dict[str, TaskID], view: dict[str, Any]) -> None:
    for purpose in PURPOSES:
        counts = view["progress"].get(purpose)
        if not counts or not counts["planned"]:
            continue
        if purpose not in tasks:
            tasks[purpose] = bars.add_task(LABELS[purpose], total=counts["planned"], note="")
        note = _note(purpose, view)
        bars.update(tasks[purpose], completed=finished(counts), total=counts["planned"], note=note)


def _note(purpose: str, view: dict[str, Any]) -> str:
    if STAGES.get(view["state"]) != purpose:
        return ""
    left = time_left(view["eta_seconds"])
    parts = [f"best {view['best']['score']:.4f}"] if purpose == "search" and view["best"] else []
    return ", ".join([*parts, *([f"{left} left in all"] if left else [])])
