"""``rankadaptor watch``: follow a study until it is over."""

import typer

from rankadaptor.commands.options import Json, StudyId, Url, connect
from rankadaptor.exit_codes import ExitCode
from rankadaptor.following import follow
from rankadaptor.screen import emit
from rankadaptor.study_view import study_details
from rankspace.study import StudyState


def watch(study: StudyId, url: Url = None, json_: Json = False) -> None:
    """Show progress until the study is over; exit code 7 when it failed."""
    with connect(url) as client:
        view = follow(client, study)
    emit(json_, view, lambda: study_details(view))
    if view["state"] != StudyState.DONE:
        raise typer.Exit(ExitCode.STUDY_FAILED)
