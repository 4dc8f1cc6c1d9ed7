"""Overview: what the study says so far, how far it has come, and what to do next."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from rankspace.presets.paper import sentence
from rankspace.study import OVER
from service.artifacts.repository import Artifacts
from service.leases.uploads import ArtifactFile
from service.storage.documents import space_of
from service.studies.recovered import recovered
from service.studies.view import StudyView
from service.trials.listing import search_history
from service.web.pages.charts import curve, pairs
from service.web.pages.charts.curve import Tried
from service.web.pages.study.judged import judged_strips
from service.web.pages.study.tab import Look, Sketch, Tab
from service.web.pages.words import recovered_losses, verdict_words

HOUR = 3600.0


def _sketch(look: Look) -> Sketch:
    study, calibration = look.study, look.insight("calibration")
    noise = calibration.value.noise if calibration.value else None
    by_hours = look.asked.get("by") == "hours"
    tried = tried_of(look)
    picture = curve.curve(
        tried, study.uniform_score, noise.sd if noise else None, by_hours=by_hours
    )
    values = {
        "preset": sentence(study.study),
        "space": space_of(look.row.space),
        "frame": curve,
        "curve": picture,
        "by_hours": by_hours,
        "noise": noise,
        "tried": tried,
        "evaluated": recovered(look.session, look.row),
        "files": _files(look),
        "strips": judged_strips(look.session, look.row, study.verdict) if study.verdict else (),
        "strip_frame": pairs,
        **_judged(study),
    }
    return Sketch(values, calibration.is_whole)


def _files(look: Look) -> Sequence[ArtifactFile]:
    """Of the adapter, if there is one."""
    if not look.study.export_ready:
        return ()
    is_paired = look.study.study.verify.at == "recipe"
    rows = Artifacts(look.session).export(look.row.id, look.study.verdict, is_paired=is_paired)
    return [ArtifactFile(row.name, row.bytes, row.sha256) for row in rows]


def tried_of(look: Look) -> Sequence[Tried]:
    """Trials of the search with a score, and the worker hours it had taken by then."""
    found = search_history(look.session, look.row.id)
    spent = accumulate(seconds / HOUR for _, _, seconds in found)
    return [
        Tried(trial, score, hours) for (trial, score, _), hours in zip(found, spent, strict=True)
    ]


def _judged(shown: StudyView) -> Mapping[str, Any]:
    """What it may claim, in words, and what was recovered to say so."""
    verdict = shown.verdict
    if verdict is None:
        return {"words": (), "recovered": ()}
    awaited = verdict.awaited(shown.study.verify.at, is_over=shown.state in OVER)
    losses = recovered_losses(verdict.recipe) if verdict.recipe else ()
    return {"words": verdict_words(verdict, awaited), "recovered": losses}


OVERVIEW = Tab("", "Overview", "study/overview.html", _sketch)
