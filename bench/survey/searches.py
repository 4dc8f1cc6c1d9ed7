"""Searches with a survey, without, and with one that misleads, at equal device seconds.

    python -m bench.survey.searches [--quick] [--only NAME,NAME] [--json FILE]

Each problem is a recorded surface with a truth drawn from its posterior (``bench.proposers``); the
survey is the recorded one of 400 steps (``bench.survey.record``), its scores of the vectors on the
budget. ``permuted`` has the same scores on shuffled vectors; ``layers`` those of vectors whose
layers are shuffled, each way the same: a survey that is consistent and wrong. Regret is 100 for
uniform and 0 for the optimum, of the model's answer after so many trials of a search that is so
long. ``device`` adds the price of the survey, in trials. ``share`` is the fewest device trials
after which a search with a survey is as good as the longest one without, divided by that length;
a problem where none is counts with its longest. The last line is for a machine.
"""

import argparse
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import perfmodel
from bench.proposers.intervals import Mean, mean_of
from bench.proposers.problems.problem import Problem
from bench.proposers.problems.surfaces import DRAWS, SURFACES, problem_of
from bench.survey.record import DATA, vectors_of
from rankspace import Observation, RankVector
from rankspace.observation import Surveyed

SURVEYED = (
    *SURFACES,
    "wikitext-half-middle",
    "roleplay-half-late",
    "ptb-hard-early-long",
    "wikitext-random-most-long",
)
"""In an order that keeps their draws; trials of the last two have 200 steps, of the others 40."""

LENGTHS = (3, 5, 10, 20, 40)
QUICK = (5, 10, 20)
SEEDS = 2
"""Searches of each problem."""


@dataclass(frozen=True)
class Recorded:
    """A survey of one surface and what it costs, in trials."""

    surveyed: tuple[Surveyed, ...]
    price: float


@dataclass(frozen=True)
class Result:
    """Regret of one arm after a search of so many trials, mean over problems."""

    arm: str
    trials: int
    device: float
    regret: Mean


def recorded(surface: str, problem: Problem, steps: int = 400) -> Recorded:
    """Read the survey of so many steps; a study's has 400 by default."""
    lines = map(json.loads, (DATA / f"{surface}.jsonl").read_text().splitlines()[1:])
    row = next(one for one in lines if (one["scheme"], one["steps"]) == ("sampled", steps))
    scored = zip(vectors_of(surface), row["losses"], strict=True)
    kept = [(v, loss) for v, loss in scored if problem.space.affords(v)]
    seconds = row["train_seconds"] + row["score_seconds"] * len(kept) / len(row["losses"])
    return Recorded(tuple(Surveyed(v, -loss) for v, loss in kept), seconds / row["trial_seconds"])


def permuted(told: Sequence[Surveyed], seed: int) -> tuple[Surveyed, ...]:
    order = np.random.default_rng([1, seed]).permutation(len(told))
    pairs = zip(told, order, strict=True)
    return tuple(Surveyed(one.rank_vector, told[at].score) for one, at in pairs)


def other_layers(told: Sequence[Surveyed], seed: int) -> tuple[Surveyed, ...]:
    order = np.random.default_rng([2, seed]).permutation(len(told[0].rank_vector.ranks))
    return tuple(
        Surveyed(RankVector(tuple(one.rank_vector.ranks[at] for at in order)), one.score)
        for one in told
    )


Arm = Callable[[Sequence[Surveyed], int], Sequence[Surveyed]]
ARMS: Mapping[str, Arm] = {
    "none": lambda told, seed: (),
    "survey": lambda told, seed: told,
    "permuted": permuted,
    "layers": other_layers,
}


def regret(problem: Problem, told: Sequence[Surveyed], seed: int, trials: int) -> float:
    """Of the answer of a search of ``trials`` trials that begins with ``told``."""
    state = perfmodel.start(problem.space, seed=seed, trials=trials)
    state = perfmodel.inform(state, told) if told else state
    for trial in range(trials):
        state, (proposal,) = perfmodel.propose(state)
        score = problem.observe(proposal.rank_vector, trial + 1_000 * seed)
        state = perfmodel.learn(state, [Observation(proposal.rank_vector, score)])
    (answer,) = perfmodel.leaders(state, 1)
    return problem.regret(answer, problem.best_score())


def compare(
    lengths: Sequence[int], draws: int, seeds: int, only: Collection[str]
) -> tuple[list[Result], list[float]]:
    """Run all arms on those surfaces of ``only``; return the results, and each problem's share."""
    found: dict[tuple[str, int], list[float]] = {}
    prices: list[float] = []
    for at, surface in enumerate(SURVEYED):
        if surface not in only or not (DATA / f"{surface}.jsonl").exists():
            continue
        for draw in range(draws):
            problem = problem_of(surface, DRAWS * at + draw)
            survey = recorded(surface, problem)
            prices.append(survey.price)
            for arm, told_by in ARMS.items():
                for trials in lengths:
                    run = partial(regret, problem, trials=trials)
                    each = [run(told_by(survey.surveyed, s), s) for s in range(seeds)]
                    found.setdefault((arm, trials), []).append(float(np.mean(each)))
            print(f"{surface}, draw {draw}", flush=True)
    price = float(np.mean(prices))
    results = [
        Result(arm, trials, trials + (0.0 if arm == "none" else price), mean_of(values))
        for (arm, trials), values in found.items()
    ]
    return results, _shares(found, prices, lengths)


def _shares(
    found: Mapping[tuple[str, int], Sequence[float]],
    prices: Sequence[float],
    lengths: Sequence[int],
) -> list[float]:
    """Of every problem, at the longest search; one that is never as good counts as its longest."""
    longest = max(lengths)
    shares = []
    for at, price in enumerate(prices):
        aim = found["none", longest][at]
        enough = [n for n in lengths if found["survey", n][at] <= aim] or [longest]
        shares.append((min(enough) + price) / longest)
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(SURVEYED), help="surfaces")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lengths, draws, seeds = (QUICK, 1, 1) if options.quick else (LENGTHS, DRAWS, SEEDS)
    results, shares = compare(lengths, draws, seeds, options.only.split(","))
    table = Table("arm", "trials", "device", "regret")
    for one in results:
        mean = f"{one.regret.value:.1f} ± {one.regret.margin:.1f}"
        table.add_row(one.arm, str(one.trials), f"{one.device:.1f}", mean)
    Console(width=100).print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in results], indent=1))
    share = mean_of(shares)
    print(f"problems={len(shares)} share={share.value:.2f} margin={share.margin:.2f}")


if __name__ == "__main__":
    main()
