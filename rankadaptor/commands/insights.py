"""``rankadaptor calibration | front | fidelity``."""

from rankadaptor.commands.options import Json, StudyId, Url, connect
from rankadaptor.evaluation.fidelity_view import fidelity_view
from rankadaptor.insight_view import calibration_view, front_view
from rankadaptor.screen import emit


def calibration(study: StudyId, url: Url = None, json_: Json = False) -> None:
    """Judge the predictions by the results.

    Each prediction was made before its result, so this says how far the model may be believed.
    """
    with connect(url) as client:
        found = client.calibration(study)
    emit(json_, found, lambda: calibration_view(found))


def front(study: StudyId, url: Url = None, json_: Json = False) -> None:
    """Show score against parameters.

    The best predicted vector at every price, and the cheapest that matches uniform ranks.
    """
    with connect(url) as client:
        found = client.front(study)
    emit(json_, found, lambda: front_view(found))


def fidelity(study: StudyId, url: Url = None, json_: Json = False) -> None:
    """Show how far the rungs of the study rank vectors alike.

    Survey scores, short trials, verification, recovered losses and metrics: Kendall's tau of
    every two, on the vectors that both have measured.
    """
    with connect(url) as client:
        found = client.fidelity(study)
    emit(json_, found, lambda: fidelity_view(found))
