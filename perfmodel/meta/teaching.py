"""Teaching: which trials of finished studies can be learned from as they are, row by row.

A prior generalises over layers by their features; rows do not. They count where another study had
the very same layers: another recipe or task, other data, or another pruning of the model.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.additive.standard import Standard
from perfmodel.meta.curve import is_on_budget
from perfmodel.meta.finished import FinishedStudy
from rankspace import Observation, SearchSpace
from rankspace.observation import MOST_DEVIATIONS, MOST_NATS, MOST_ROWS, MOST_TAUGHT_RANKS, Taught

LEAST_ROWS = 8
"""Of a study: fewer do not say what its scores scatter."""

DIGITS = 4
"""Of a standardised score: noise is larger."""

Row = tuple[tuple[int, ...], float]


@dataclass(frozen=True)
class Teaching:
    """What some studies teach another one.

    Attributes:
        taught: The rows; None if there are none.
        studies: Names of those that they come from.
        left_out: Names of the others, and why each teaches nothing.
    """

    taught: Taught | None
    studies: tuple[str, ...]
    left_out: Mapping[str, str]


def teaching(studies: Iterable[FinishedStudy], space: SearchSpace) -> Teaching:
    """Collect the trials on layers that are those of ``space``.

    Of too many trials each study gives an equal share, at least one, spread evenly over its search;
    what short ones leave of theirs goes to the others. Of too many studies the first ones count.
    """
    found: dict[str, list[Row]] = {}
    left_out: dict[str, str] = {}
    for study in studies:
        problem = _mismatch(study.space, space)
        rows = [] if problem else _rows(study)
        problem = problem or _too_little(study, rows)
        if problem:
            left_out[study.name] = problem
        else:
            found.setdefault(study.name, []).extend(rows)
    shares = _shares(found, min(MOST_ROWS, MOST_TAUGHT_RANKS // len(space.layers)))
    kept = [row for name, rows in found.items() for row in _spread(rows, shares[name])]
    left_out |= {name: _crowded(len(kept)) for name, share in shares.items() if not share}
    if not kept:
        return Teaching(None, (), left_out)
    vectors, scores = zip(*kept, strict=True)
    teachers = tuple(name for name, share in shares.items() if share)
    return Teaching(Taught(vectors, scores), teachers, left_out)


def _shares(found: Mapping[str, Sequence[Row]], room: int) -> dict[str, int]:
    """How many rows each study gives, ``room`` in all."""
    shares = dict.fromkeys(found, 0)
    counted = sorted(list(found)[:room], key=lambda name: len(found[name]))
    for at, name in enumerate(counted):
        shares[name] = min(len(found[name]), room // (len(counted) - at))
        room -= shares[name]
    return shares


def _crowded(rows: int) -> str:
    if not rows:
        return "has too many layers to learn from"
    return f"comes after others that give {rows:,} rows, which is all that are learned from"


def _mismatch(its: SearchSpace, mine: SearchSpace) -> str:
    """How the layers differ; empty if they do not."""
    if len(its.layers) != len(mine.layers):
        return f"has {len(its.layers):,} layers, here are {len(mine.layers):,}"
    for index, (there, here) in enumerate(zip(its.layers, mine.layers, strict=True)):
        if there.name != here.name:
            return f"its layer {index} is {there.name}, here {here.name}"
    return ""


def _too_little(study: FinishedStudy, rows: Sequence[Row]) -> str:
    if any(abs(seen.score or 0.0) > MOST_NATS for seen in study.observations):
        return f"has a score beyond {MOST_NATS:,.0f}"
    if len(rows) < LEAST_ROWS:
        return f"has {len(rows)} scored trials of one seed on its budget, {LEAST_ROWS} are needed"
    if len({score for _, score in rows}) == 1:
        return "its scores are all alike"
    return ""


def _rows(study: FinishedStudy) -> list[Row]:
    """Its trials on the commonest seed and on its budget, their scores standardised."""
    scored = [
        seen
        for seen in study.observations
        if seen.score is not None
        and abs(seen.score) <= MOST_NATS
        and is_on_budget(study.space, seen.rank_vector)
    ]
    if not scored:
        return []
    groups = Counter((seen.seed, seen.fidelity) for seen in scored)
    commonest = max(sorted(groups), key=groups.__getitem__)
    return _standardised([s for s in scored if (s.seed, s.fidelity) == commonest])


def _standardised(scored: Sequence[Observation]) -> list[Row]:
    scores = np.array([seen.score for seen in scored], dtype=np.float64)
    units, _ = Standard.of(scores).standardised(scores)
    bounded = np.round(np.clip(units, -MOST_DEVIATIONS, MOST_DEVIATIONS), DIGITS)
    return [(s.rank_vector.ranks, score) for s, score in zip(scored, bounded.tolist(), strict=True)]


def _spread(rows: Sequence[Row], share: int) -> list[Row]:
    if len(rows) <= share:
        return list(rows)
    return [rows[at * len(rows) // share] for at in range(share)]
