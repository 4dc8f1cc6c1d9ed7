"""The ledger: records turned into regrets, arm by arm and paired."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.proposers.intervals import Mean, mean_of
from bench.proposers.problems.families import problem
from bench.proposers.record import Record
from rankspace import RankVector

CHAMPION = "additive"

Place = tuple[str, int, int]
"""Family, layers, length."""


@dataclass(frozen=True)
class Line:
    """One arm in one cell after one number of trials.

    Attributes:
        arm: Who.
        regret: Over its problems; NaN in ``flat``, where nothing can be gained.
        wins: Problems on which the champion's regret is lower, ties counting half.
        shared: Problems that both answered.
        difference: The champion's regret minus this arm's, paired.
        infeasible: Proposals that did not fit the space.
        proposals: In all.
        milliseconds: Of CPU, proposing and learning, per trial.
        capped: Runs that ended early at the cap.
        gain: Predicted gain of the answer over uniform, in noise deviations.
    """

    arm: str
    regret: Mean
    wins: float
    shared: int
    difference: Mean
    infeasible: int
    proposals: int
    milliseconds: float
    capped: int
    gain: Mean


def lines(records: Iterable[Record]) -> dict[Place, list[Line]]:
    """Group ``records`` by place; the lines of a place go from the lowest regret up."""
    records = list(records)
    best = _best_scores(records)
    places: dict[Place, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        places[record.family, record.layers, record.length][record.arm].append(record)
    return {place: _lines_of(arms, best) for place, arms in places.items()}


def _best_scores(records: list[Record]) -> dict[tuple[str, int, int], float]:
    """Score of the optimum of each problem, searched from every arm's answer too."""
    answers: dict[tuple[str, int, int], set[RankVector]] = defaultdict(set)
    for record in records:
        answers[record.family, record.layers, record.problem].add(RankVector(record.ranks))
    return {
        key: problem(*key).best_score(sorted(found, key=lambda vector: vector.ranks))
        for key, found in answers.items()
    }


def _lines_of(
    arms: Mapping[str, list[Record]], best: Mapping[tuple[str, int, int], float]
) -> list[Line]:
    regrets = {
        name: {r.problem: _regret(r, best[r.family, r.layers, r.problem]) for r in found}
        for name, found in arms.items()
    }
    champion = regrets.get(CHAMPION, {})
    found = [_line(name, arms[name], regrets[name], champion) for name in arms]
    return sorted(found, key=lambda line: (not line.regret.known, line.regret.value))


def _regret(record: Record, best: float) -> float:
    posed = problem(record.family, record.layers, record.problem)
    if best - posed.uniform_score <= 0.0:
        return float("nan")
    return posed.regret(RankVector(record.ranks), best)


def _line(
    name: str, found: list[Record], own: Mapping[int, float], champion: Mapping[int, float]
) -> Line:
    shared = sorted(own.keys() & champion.keys())
    differences = [champion[seed] - own[seed] for seed in shared]
    trials = sum(record.trials for record in found)
    return Line(
        arm=name,
        regret=mean_of(list(own.values())),
        wins=sum(1.0 if d < 0 else 0.5 if d == 0 else 0.0 for d in differences),
        shared=len(shared),
        difference=mean_of(differences),
        infeasible=sum(record.infeasible for record in found),
        proposals=trials,
        milliseconds=1e3 * sum(record.seconds for record in found) / trials,
        capped=sum(record.trials < record.length for record in found),
        gain=mean_of([record.gain for record in found if record.gain is not None]),
    )
