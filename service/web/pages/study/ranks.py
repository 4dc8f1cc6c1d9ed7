"""Ranks: where the vector that is ahead spends its parameters."""

from rankspace import RankVector
from service.storage.documents import space_of
from service.web.pages.study.tab import Look, Sketch, Tab


def leading(look: Look) -> tuple[RankVector, str] | None:
    """The vector that is ahead, and how it came to be; None before there is a score."""
    study = look.study
    if study.verdict is not None:
        return study.verdict.best_rank_vector, "the winner that the verification chose"
    if study.best is not None:
        return RankVector(
            study.best.rank_vector
        ), f"the best score so far, trial {study.best.trial}"
    return None


def _sketch(look: Look) -> Sketch:
    space = space_of(look.row.space)
    return Sketch({"space": space, "leading": leading(look)})


RANKS = Tab("ranks", "Ranks", "study/ranks.html", _sketch)
