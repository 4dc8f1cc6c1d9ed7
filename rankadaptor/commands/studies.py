"""``rankadaptor status | verdict | pause | resume | cancel | dashboard``."""

from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from rankadaptor.commands.options import Json, StudyId, Url, connect
from rankadaptor.evaluation.recovered_view import recovered_view
from rankadaptor.exit_codes import ExitCode
from rankadaptor.screen import emit, err
from rankadaptor.study_view import awaited, studies_table, study_details
from rankadaptor.verdict_view import verdict_view
from rankspace.evaluation.recovered import Recovered
from rankspace.study import OVER
from rankspace.wire import encode


def status(
    study: Annotated[
        str | None, typer.Argument(metavar="STUDY", help="Id of a study; all of them without.")
    ] = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Show where the studies stand."""
    with connect(url) as client:
        if study is None:
            views = list(client.studies())
            emit(json_, views, lambda: studies_table(views))
        else:
            view = client.study(study)
            is_evaluated = bool(view["study"]["recover"].get("metrics"))
            found = client.recovered(study) if is_evaluated else Recovered(())
            told = {**view, "recovered": encode(found)} if is_evaluated else view
            emit(json_, told, lambda: Group(study_details(view), *recovered_view(found)))


def verdict(
    study: StudyId,
    require_better: Annotated[
        bool,
        typer.Option(
            help=f"Exit with {int(ExitCode.NOT_BETTER)} unless it says better, after the whole "
            "recipe too if the study judges that."
        ),
    ] = False,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Show what the study may honestly claim."""
    with connect(url) as client:
        view, result = client.study(study), client.verdict(study)
        space = client.space(study)
    if view["state"] not in OVER and view.get("extensions", 0) > result.extensions:
        err.print(Text("the study was extended and goes on: this is its answer of before"))
    lacks = awaited(view, result)
    told = {**encode(result), "awaited": lacks}
    emit(json_, told, lambda: verdict_view(result, space, awaited=lacks))
    if require_better and (lacks or not result.is_better):
        raise typer.Exit(ExitCode.NOT_BETTER)


def pause(study: StudyId, url: Url = None, json_: Json = False) -> None:
    """Hand out no more trials until resumed; running ones finish."""
    with connect(url) as client:
        view = client.pause(study)
    emit(json_, view, lambda: study_details(view))


def resume(study: StudyId, url: Url = None, json_: Json = False) -> None:
    """Go on with a paused study."""
    with connect(url) as client:
        view = client.resume(study)
    emit(json_, view, lambda: study_details(view))


def cancel(study: StudyId, url: Url = None, json_: Json = False) -> None:
    """End a study for good, or its extension; running trials are told to stop."""
    with connect(url) as client:
        view = client.cancel(study)
    emit(json_, view, lambda: study_details(view))


def dashboard(url: Url = None, json_: Json = False) -> None:
    """Print an address that opens the dashboard (good for ten minutes, once)."""
    with connect(url) as client:
        address = client.login_url()
    emit(json_, {"url": address}, lambda: Text(address, overflow="ignore", no_wrap=True))
