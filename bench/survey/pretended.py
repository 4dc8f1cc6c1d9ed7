"""What a survey is worth, and what one costs that misleads, where the truth is known.

    python -m bench.survey.pretended [--problems N] [--json FILE]

Problems of the family ``separable`` (32 layers, ``bench.proposers``). The survey is pretended: its
truth has every layer's worth wrong by a factor of its own (log-normal, 0.8), half the effects,
another offset, and noise of 0.3 of the spread; 100 vectors. The arms are those of
``bench.survey.searches``; no price is counted. The last line is for a machine.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from bench.proposers.intervals import mean_of
from bench.proposers.problems.families import separable
from bench.proposers.problems.landscapes import Separable
from bench.proposers.problems.optimum import levels_of
from bench.proposers.problems.problem import Problem
from bench.survey.searches import ARMS, Result, regret
from perfmodel import random_vectors
from perfmodel.arrays import Floats
from rankspace.observation import Surveyed

LAYERS, SCORED, LENGTHS = 32, 100, (5, 10, 20)
WRONG, NOISE = 0.8, 0.3


def pretended(problem: Problem, seed: int) -> tuple[tuple[Surveyed, ...], float]:
    """A survey of ``problem``, and its rank correlation with the truth."""
    rng = np.random.default_rng([3, seed])
    vectors = random_vectors(problem.space, SCORED, 999)
    tables = problem.landscape.tables
    assert tables is not None  # the family is separable
    levels = np.array([levels_of(problem.space, vector) for vector in vectors])
    said = Separable(tables * rng.lognormal(0.0, WRONG, (LAYERS, 1))).scores(levels)
    said = _standardised(said) + NOISE * rng.standard_normal(SCORED)
    truth = problem.landscape.scores(levels)
    scores = 3.0 + 0.5 * float(truth.std()) * said
    told = tuple(Surveyed(v, s) for v, s in zip(vectors, scores.tolist(), strict=True))
    return told, float(spearmanr(scores, truth)[0])


def _standardised(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / values.std())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[tuple[str, int], list[float]] = {}
    correlations = []
    for seed in range(options.problems):
        problem = separable(LAYERS, seed)
        told, correlation = pretended(problem, seed)
        correlations.append(correlation)
        for arm, told_by in ARMS.items():
            for trials in LENGTHS:
                value = regret(problem, told_by(told, seed), seed, trials)
                found.setdefault((arm, trials), []).append(value)
        print(f"problem {seed}: Spearman {correlation:.2f}", flush=True)
    results = [Result(arm, n, n, mean_of(values)) for (arm, n), values in found.items()]
    table = Table("arm", "trials", "regret")
    for one in results:
        table.add_row(one.arm, str(one.trials), f"{one.regret.value:.1f} ± {one.regret.margin:.1f}")
    Console(width=100).print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in results], indent=1))
    last = {one.arm: round(one.regret.value, 1) for one in results if one.trials == LENGTHS[-1]}
    figures = " ".join(f"{arm}={value}" for arm, value in last.items())
    print(f"spearman={np.mean(correlations):.2f} trials={LENGTHS[-1]} {figures}")


if __name__ == "__main__":
    main()
