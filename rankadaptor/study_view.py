"""A study's progress, as text."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rankadaptor.verdict_view import answer_lines
from rankspace import Verdict
from rankspace.observation import DataCounts
from rankspace.study import ACTIVE, OVER, StudyState
from rankspace.wire import decode, only

PURPOSES = ("survey", "search", "control", "verify", "recover")
STATE_STYLES = {"done": "green", "failed": "bold red", "cancelled": "yellow", "paused": "yellow"}


def studies_table(studies: Iterable[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="studies", title_justify="left")
    for column in ("id", "name", "state", "trials", "best score", "time left"):
        table.add_column(column)
    for study in studies:
        best = study["best"]
        table.add_row(
            study["id"],
            Text(study["name"]),
            _state(study),
            _count(study["progress"]["search"]),
            f"{best['score']:.4f}" if best else "",
            _time_left(study),
        )
    return table


def study_details(study: dict[str, Any]) -> RenderableType:
    head = Text.assemble((study["name"], "bold"), f"  {study['id']}  ", _state(study))
    lines: list[RenderableType] = [head]
    if study["error"]:
        lines.append(Text(study["error"], style="red"))
    if study.get("note"):  # services of before have none
        lines.append(Text(study["note"], style="yellow"))
    lines += [_barred(one) for one in study.get("barred", ())]
    lines += [Text(said) for said in _history(study)]
    if study.get("data"):  # services of before do not say, and none does before the first result
        lines.append(_data(decode(DataCounts, only(DataCounts, study["data"]))))
    lines.append(_progress(study))
    if study["best"]:
        lines.append(
            f"best so far {study['best']['score']:.4f}, uniform {_score(study['uniform_score'])}"
        )
    if study.get("verdict"):
        lines += [*_verdict(study)]
    count = study["workers_active"]
    workers = f"{count} active worker{'' if count == 1 else 's'}"
    lines.append(", ".join(filter(None, [workers, whole_time_left(study)])))
    if said := remark(study):
        lines.append(Text(said, style="yellow"))
    return Group(*lines)


def _history(study: dict[str, Any]) -> Iterator[str]:
    """Where it began, how often it went on, in what and on what; services of before do not say."""
    if study.get("origin"):
        yield f"began with the results of {study['origin']}"
    extended = study.get("extensions", 0)
    if extended:
        yield f"extended {'once' if extended == 1 else f'{extended} times'}"
    if study.get("base_dtype"):
        yield f"base weights in {study['base_dtype']}"
    if study.get("gpu_need_gib"):
        yield f"GPUs with less than {study['gpu_need_gib']:.2f} GiB get none of its trials"


def _verdict(study: dict[str, Any]) -> Iterator[Text]:
    """What it claims so far; in an extended study that goes on, its answer of before."""
    found = decode(Verdict, only(Verdict, study["verdict"]))
    if study["state"] not in OVER and study.get("extensions", 0) > found.extensions:
        yield Text("extended since this answer:", style="yellow")
    yield from answer_lines(found, awaited(study, found))


def of_trials(study: dict[str, Any]) -> str:
    """The answer there is while the whole recipe is still to be judged; empty otherwise."""
    if not study.get("verdict"):
        return ""
    found = decode(Verdict, only(Verdict, study["verdict"]))
    lacks = awaited(study, found)
    return f"{found.answer}. {lacks}" if lacks else ""


def awaited(study: dict[str, Any], verdict: Verdict) -> str:
    """Why the whole recipe is not judged, where the study asks for it."""
    at = study["study"]["verify"].get("at", "trial")  # left out where it is the default
    return verdict.awaited(at, is_over=study["state"] in OVER)


def remark(study: dict[str, Any]) -> str:
    """What keeps the study from going on, and the command that helps; empty if nothing does."""
    if study["state"] == StudyState.PAUSED:
        return f"paused; to go on: rankadaptor resume {study['id']}"
    if study["state"] not in ACTIVE:
        return ""
    if not study["workers_active"]:
        return "no worker: start one with rankadaptor worker"
    if study.get("unfit"):  # services of before do not say
        return f"no active worker gets its trials: {study['unfit']}"
    return ""


def whole_time_left(study: dict[str, Any]) -> str:
    """As far as it can be told: nobody knows how long a recovery takes that counts in epochs."""
    if left := time_left(study["eta_seconds"]):
        return f"{left} left in all"
    if left := time_left(study.get("before_recovery_seconds")):  # services of before do not say
        return f"{left} left before the recovery"
    return ""


def _time_left(study: dict[str, Any]) -> str:
    if left := time_left(study["eta_seconds"]):
        return left
    left = time_left(study.get("before_recovery_seconds"))
    return f"{left} + recovery" if left else ""


def _barred(one: dict[str, Any]) -> Text:
    """Why a worker gets no trials of the study; services of before do not say."""
    tries = f"{one['tries']} {'try' if one['tries'] == 1 else 'tries'}"
    return Text(f"{one['worker']} cannot run its trials ({tries}): {one['reason']}", style="yellow")


def _data(counts: DataCounts) -> Text:
    return Text(f"data: {counts.sentence}", style="yellow" if counts.is_worrying else "")


def time_left(seconds: float | None) -> str:
    return "" if seconds is None else str(timedelta(seconds=round(seconds)))


def finished(progress: dict[str, int]) -> int:
    return progress["done"] + progress["failed"]


def _score(score: float | None) -> str:
    return "not measured" if score is None else f"{score:.4f}"


def _progress(study: dict[str, Any]) -> Table:
    table = Table(box=None)
    for column in ("", "done", "failed", "running", "queued", "planned"):
        table.add_column(column, justify="left" if not column else "right", header_style="dim")
    for purpose in PURPOSES:
        counts = study["progress"].get(purpose)
        if counts and counts["planned"]:
            row = (str(counts[name]) for name in ("done", "failed", "running", "queued", "planned"))
            table.add_row(purpose, *row)
    return table


def _count(progress: dict[str, int]) -> str:
    return f"{finished(progress)}/{progress['planned']}"


def _state(study: dict[str, Any]) -> Text:
    return Text(study["state"], style=STATE_STYLES.get(study["state"], "cyan"))
