"""Model: how far its predictions may be believed, and what it would try next."""

from service.storage.documents import space_of
from service.trials.repository import Trials
from service.web.pages.charts import agreement
from service.web.pages.study.tab import Look, Sketch, Tab


def _sketch(look: Look) -> Sketch:
    known = look.insight("calibration")
    found = known.value
    values = {
        "calibration": found,
        "agrees": agreement.agreement(found) if found else None,
        "frame": agreement,
        "known": known,
        "space": space_of(look.row.space),
        "offers": Trials(look.session).offers(look.row.id),
    }
    return Sketch(values, known.is_whole)


MODEL = Tab("model", "Model", "study/model.html", _sketch)
