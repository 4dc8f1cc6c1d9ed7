"""One trial, and two of them compared by what differs."""

from collections.abc import Iterator, Mapping
from typing import Any

from rankspace.errors import NotFound
from service.storage.documents import space_of
from service.trials.listing import attempts_of
from service.trials.repository import Trials
from service.trials.view import TrialView, view
from service.web.pages.charts import losses
from service.web.pages.charts.difference import difference
from service.web.pages.study.tab import Look, Sketch, Tab


def _trial(look: Look, number: int) -> TrialView:
    """Raises NotFound where the study has no such trial."""
    row = Trials(look.session).get(number)
    if row is None or row.study_id != look.row.id:
        raise NotFound(f"study {look.row.id} has no trial {number}", hint="see its trials")
    return view(*Trials(look.session).one(number), space_of(look.row.space))


def _sketch_one(look: Look) -> Sketch:
    number = int(look.asked["trial"])
    trial = _trial(look, number)
    attempts = attempts_of(look.session, number)
    told = [(one.token, [(p[0], p[1]) for p in one.interim or ()]) for one in attempts]
    best = look.study.best.trial if look.study.best else None
    return Sketch(
        {
            "space": space_of(look.row.space),
            "trial": trial,
            "vector": Trials(look.session).one(number)[0].rank_vector,
            "attempts": attempts,
            "losses": losses.losses(told),
            "frame": losses,
            "rival": best if best != number else None,
        }
    )


def _sketch_two(look: Look) -> Sketch:
    space = space_of(look.row.space)
    numbers = [int(part) for part in look.asked["trials"].split(",") if part]
    if len(numbers) != 2:
        return Sketch({"space": space, "pair": (), "chosen": len(numbers)})
    pair = tuple(_trial(look, number) for number in numbers)
    left, right = (Trials(look.session).one(number)[0].rank_vector for number in numbers)
    facts = [_facts(trial) for trial in pair]
    names = dict.fromkeys(name for one in facts for name in one)
    differing = [
        (name, *(one.get(name, "–") for one in facts))
        for name in names
        if facts[0].get(name) != facts[1].get(name)
    ]
    return Sketch(
        {
            "space": space,
            "pair": pair,
            "facts": differing,
            "same": len(names) - len(differing),
            "differs": difference(left, right, space),
        }
    )


def _facts(trial: TrialView) -> Mapping[str, str]:
    return {name: str(value) for name, value in _told(trial) if value is not None}


def _told(trial: TrialView) -> Iterator[tuple[str, Any]]:
    yield "Score", None if trial.score is None else f"{trial.score:.4f}"
    yield "Expected", None if trial.mean is None else f"{trial.mean:.4f}"
    yield "Parameters", f"{trial.parameters:,}"
    yield "Purpose", trial.purpose
    yield "State", trial.state
    yield "Seed", trial.seed
    yield "Held-out half", trial.split
    yield "Worker", trial.worker
    yield "Why", trial.reason
    yield "Error", trial.error
    measured = trial.measurement
    if measured is not None:
        yield "Steps", measured.steps
        yield "Training loss", f"{measured.train_loss:.4f}"
        yield from ((f"Version of {name}", text) for name, text in measured.versions.items())


TRIAL = Tab("trials", "Trial", "study/trial.html", _sketch_one)
COMPARISON = Tab("trials", "Comparison", "study/comparison.html", _sketch_two)
