"""Whether scoring further vectors on the survey's adapter, during the search, is worth its time.

    python -m bench.survey.further [--first DRAW] [--draws N] [--lengths T,T] [--arms A,A]
                                   [--steps N] [--json FILE]

Each problem is a recorded surface that has a recorded survey of ``--steps`` steps (400, or 160),
with a truth drawn from its posterior (``bench.proposers``). Every search begins with the survey's
scores on the budget and has the same device seconds afterwards: ``first`` spends all of them on
trials; the other arms spend ``SPENT`` trials' worth on further scores, by the seconds recorded, of
the vectors that ``perfmodel.to_survey`` names, in ``ROUNDS`` rounds. Vectors that nobody recorded
have no recorded score, so the arms are bounds: ``alike`` gives them the truth as the survey would
tell it, with the error that its recorded scores have about the drawn truth, independent for each
vector; ``perfect`` without any error, more than any survey can say; ``emulated`` what the recorded
survey's own emulator expects, which is nothing new. ``none`` has no survey, and its price in
further trials. Regret is 100 for uniform and 0 for the optimum; differences are paired, the arm's
minus that of ``first``, negative where the arm is worth its time. The last line is for a machine.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import perfmodel
from bench.proposers.intervals import Mean, mean_of
from bench.proposers.problems.noise import Gaussian
from bench.proposers.problems.problem import Problem
from bench.proposers.problems.surfaces import SURFACES, fitted
from bench.surfaces.emulator import Emulator, fit
from bench.survey.record import DATA
from bench.survey.searches import recorded
from perfmodel.arrays import Floats
from rankspace import Observation, RankVector
from rankspace.observation import Surveyed

LENGTHS = (10, 20, 40)
"""Trials' worth of device seconds after the survey."""

ARMS = ("first", "alike", "perfect", "emulated", "none")

SPENT, ROUNDS = 2, 3
"""Of them what further scores take, and in how many rounds, evenly over the search."""

FIRST_DRAW = 100
"""Draws from here on are no problem of ``bench.proposers``, on which the strategy was tuned."""

Scores = Callable[[Sequence[RankVector]], Floats]


@dataclass(frozen=True)
class Told:
    """A problem with its survey.

    Attributes:
        problem: The truth.
        surveyed: Scores of the first claim.
        price: Of the survey, in trials.
        further: How many scores cost ``SPENT`` trials.
        arms: By name, what the adapter says of vectors that were not surveyed.
    """

    problem: Problem
    surveyed: tuple[Surveyed, ...]
    price: float
    further: int
    arms: Mapping[str, Scores]


@dataclass(frozen=True)
class Result:
    """One arm at one length, mean over problems; ``worse``: its regret minus that of ``first``."""

    arm: str
    length: int
    regret: Mean
    worse: Mean


def told(surface: str, draw: int, steps: int = 400) -> Told:
    process = fitted(surface)
    problem = Problem(process.space, process.draw(draw), Gaussian(draw, process.noise))
    survey = recorded(surface, problem, steps)
    said = np.array([one.score for one in survey.surveyed])
    truth = np.array([problem.score(one.rank_vector) for one in survey.surveyed])
    slope, level = np.polyfit(truth, said, 1)
    error = float(np.std(said - slope * truth - level, ddof=2))
    rng = np.random.default_rng([4, draw])

    def perfect(vectors: Sequence[RankVector]) -> Floats:
        return np.array([slope * problem.score(one) + level for one in vectors])

    def alike(vectors: Sequence[RankVector]) -> Floats:
        return perfect(vectors) + error * rng.standard_normal(len(vectors))

    arms = {"alike": alike, "perfect": perfect, "emulated": _emulator(surface, steps).values}
    return Told(problem, survey.surveyed, survey.price, int(SPENT / _price(surface, steps)), arms)


@cache
def _emulator(surface: str, steps: int) -> Emulator:
    process = fitted(surface)
    problem = Problem(process.space, process.draw(0), Gaussian(0, process.noise))
    survey = recorded(surface, problem, steps).surveyed
    scores = np.array([one.score for one in survey])
    return fit(process.space, [one.rank_vector for one in survey], scores, 0.1 * scores.std())


def _price(surface: str, steps: int) -> float:
    """Of one further score, in trials."""
    lines = map(json.loads, (DATA / f"{surface}.jsonl").read_text().splitlines()[1:])
    row = next(one for one in lines if (one["scheme"], one["steps"]) == ("sampled", steps))
    return float(row["score_seconds"] / len(row["losses"]) / row["trial_seconds"])


def regret(given: Told, arm: str, seed: int, length: int) -> float:
    """Of the answer of one search."""
    scores, problem = given.arms.get(arm), given.problem
    trials = length + round(given.price) if arm == "none" else length - SPENT * (arm != "first")
    state = perfmodel.start(problem.space, seed=seed, trials=trials)
    state = state if arm == "none" else perfmodel.inform(state, given.surveyed)
    rounds = [trials * (at + 1) // (ROUNDS + 1) for at in range(ROUNDS)]
    for trial in range(trials):
        if scores is not None and trial in rounds:
            asked = perfmodel.to_survey(state, given.further // ROUNDS)
            pairs = zip(asked, scores(asked).tolist(), strict=True)
            state = perfmodel.inform(state, [Surveyed(*pair) for pair in pairs])
        state, (proposal,) = perfmodel.propose(state)
        score = problem.observe(proposal.rank_vector, trial + 1_000 * seed)
        state = perfmodel.learn(state, [Observation(proposal.rank_vector, score)])
    (answer,) = perfmodel.leaders(state, 1)
    return problem.regret(answer, problem.best_score())


def compare(
    draws: Sequence[int], lengths: Sequence[int], arms: Sequence[str], steps: int
) -> list[Result]:
    """Run the arms on all problems, each with a seed of its own."""
    found: dict[tuple[str, int], list[float]] = {}
    surveyed = [one for one in SURFACES if (DATA / f"{one}.jsonl").exists()]
    for draw in draws:
        for surface in surveyed:
            given = told(surface, draw, steps)
            for length in lengths:
                for arm in arms:
                    value = regret(given, arm, draw - FIRST_DRAW, length)
                    found.setdefault((arm, length), []).append(value)
            print(f"{surface}, draw {draw}: {given.further} further", flush=True)
    return [
        Result(arm, length, mean_of(values), _worse(values, found["first", length]))
        for (arm, length), values in found.items()
    ]


def _worse(values: Sequence[float], first: Sequence[float]) -> Mean:
    return mean_of([one - other for one, other in zip(values, first, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=FIRST_DRAW)
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--lengths", default=",".join(map(str, LENGTHS)))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lengths = [int(one) for one in options.lengths.split(",")]
    draws = range(options.first, options.first + options.draws)
    results = compare(draws, lengths, options.arms.split(","), options.steps)
    table = Table("arm", "trials' worth", "regret", "minus first")
    for one in results:
        mean = f"{one.regret.value:.1f} ± {one.regret.margin:.1f}"
        worse = f"{one.worse.value:.1f} ± {one.worse.margin:.1f}"
        table.add_row(one.arm, str(one.length), mean, worse)
    Console(width=100).print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in results], indent=1))
    ends = [
        f"{one.arm}_{one.length}={one.worse.value:.1f}±{one.worse.margin:.1f}" for one in results
    ]
    print(f"problems={results[0].regret.count} {' '.join(ends)}")


if __name__ == "__main__":
    main()
