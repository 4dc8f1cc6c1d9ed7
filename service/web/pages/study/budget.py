"""Budget: what score how many parameters buy, and what the work has cost."""

from service.trials.listing import spent_on
from service.web.pages.charts import price
from service.web.pages.study.tab import Look, Sketch, Tab

USEFUL = ("done",)
"""Outcomes of attempts that were worth their time."""


def _sketch(look: Look) -> Sketch:
    known, spent = look.insight("front"), spent_on(look.session, look.row.id)
    wasted = sum(one.seconds for one in spent if one.outcome not in USEFUL)
    values = {
        "front": known.value,
        "prices": price.price(known.value),
        "frame": price,
        "known": known,
        "spent": spent,
        "wasted_seconds": wasted,
        "spent_seconds": sum(one.seconds for one in spent),
    }
    return Sketch(values, known.is_whole)


BUDGET = Tab("budget", "Budget", "study/budget.html", _sketch)
