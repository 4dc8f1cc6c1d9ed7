"""Ranks: where the vector that is ahead spends, what the others tried, and where pruning hurt."""

from sqlalchemy.orm import Session

from rankspace import RankVector, SearchSpace, Verdict
from rankspace.context import layer_profiles
from rankspace.layer_profile import LayerProfile
from rankspace.study import Best
from service.storage.documents import context_of, model_of, space_of
from service.storage.tables import ModelRow, StudyRow
from service.trials.listing import search_history, vectors_of
from service.web.pages.charts import spending
from service.web.pages.charts.field import Field, Scored, evenly, field
from service.web.pages.study.tab import Look, Sketch, Tab


def leading(verdict: Verdict | None, best: Best | None) -> tuple[RankVector, str] | None:
    """The vector that is ahead, and how it came to be; None before there is a score."""
    if verdict is not None:
        return verdict.best_rank_vector, "the winner that the verification chose"
    if best is not None:
        return RankVector(best.rank_vector), f"the best score so far, of trial {best.trial}"
    return None


def profiles_of(session: Session, row: StudyRow, space: SearchSpace) -> tuple[LayerProfile, ...]:
    """What is known of the pruning of each layer; empty where nobody profiled the model.

    What the study was submitted with, or what its model was registered with since.
    """
    known = context_of(row.context).profiles
    if known:
        return known
    return layer_profiles(model_of(session.get_one(ModelRow, row.model_id).document), space)


def _sketch(look: Look) -> Sketch:
    space, ahead = space_of(look.row.space), leading(look.study.verdict, look.study.best)
    profiles = profiles_of(look.session, look.row, space)
    known = spending.measured(profiles)
    by = look.asked.get("by", "")
    by = by if by in known else next(iter(known), "")
    spent = spending.spending(ahead[0], space, profiles, by) if ahead and by else None
    drawn, total = _field(look, space)
    return Sketch(
        {
            "space": space,
            "leading": ahead,
            "field": drawn,
            "scored": total,
            "measures": {name: spending.MEASURES[name].title for name in known},
            "by": by,
            "spent": spent,
            "frame": spending,
        }
    )


def _field(look: Look, space: SearchSpace) -> tuple[Field | None, int]:
    """Trials of the search by score, and how many there are to choose from."""
    found = search_history(look.session, look.row.id)
    ranked = sorted(((score, trial) for trial, score, _ in found), reverse=True)
    chosen = [ranked[at] for at in evenly(len(ranked))]
    vectors = vectors_of(look.session, [trial for _, trial in chosen])
    scored = [Scored(trial, score, vectors[trial]) for score, trial in chosen]
    return field(scored, space), len(ranked)


RANKS = Tab("ranks", "Ranks", "study/ranks.html", _sketch)
