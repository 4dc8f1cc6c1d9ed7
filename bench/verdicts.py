"""How often the Verdict is right: whole simulated studies, from the first trial to the answer.

    python -m bench.verdicts [--quick] [--json FILE] [--processes N]

A study searches 8 blocks x 7 kinds of matrices with the default strategy, then verifies as the
service does. Scores are truth plus an effect of the seed, which all vectors of a seed share, plus
noise of standard deviation 1 per trial; so one paired difference has a noise of sqrt(2). Rows:

- ``flat``: no rank matters, so every ``better`` is false. The interval must cover 0.
- ``flat, heavy tails``: the same with Student's t noise of 4 degrees of freedom, same deviation.
- ``effect N``: the ranks matter. When the search is over, the noise of the verification is set so
  that the best candidate truly beats uniform by N deviations of one paired difference; so the
  effect is the same in every study, whatever its search found. Choosing may still pick a worse
  candidate; the interval must cover what the chosen one truly gains.
- ``as it comes``: the same noise in search and verification, whatever effect that gives.

The last line is for a machine: ``power`` is that of ``effect 2``, ``coverage`` over all rows.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import special

from perfmodel import (
    Arms,
    Scored,
    economy,
    leaders,
    learn,
    next_step,
    propose,
    random_vectors,
    start,
)
from perfmodel.arrays import Floats
from perfmodel.evidence.fresh_seeds import FreshSeeds
from rankspace import Layer, Observation, RankVector, SearchSpace, Verdict
from rankspace.study import Verify
from rankspace.verdict import Answer

KINDS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RANKS = (0, 1, 2, 4, 6, 8)
FRESH = FreshSeeds(0)
PAIRED = 2.0**0.5
"""Standard deviation of the noise of one paired difference, where a trial's is 1."""

SIGNAL = 5.0
"""Standard deviation of the truth over random vectors where ranks matter, a trial's noise is 1."""


@dataclass(frozen=True)
class Setting:
    """One row of the table.

    Attributes:
        name: Of the row.
        signal: Spread of the truth over random vectors, in noise deviations; 0 for flat.
        effect: Gain of the best candidate the verification is scaled to, in deviations of a paired
            difference; None leaves the noise as it is.
        heavy: Whether the noise has heavy tails.
    """

    name: str
    signal: float = 0.0
    effect: float | None = None
    heavy: bool = False


SETTINGS = (
    Setting("flat"),
    Setting("flat, heavy tails", heavy=True),
    Setting("effect 1", SIGNAL, 1.0),
    Setting("effect 2", SIGNAL, 2.0),
    Setting("effect 3", SIGNAL, 3.0),
    Setting("as it comes", 0.3 * SIGNAL),
)


@dataclass(frozen=True)
class Outcome:
    """What one study claimed, and what was true.

    Attributes:
        answer: The verdict's.
        gain: True gain of the winner over uniform, in deviations of a paired difference.
        covered: Whether the interval holds it; None where uniform won, which is no comparison.
        seeds: Pairs the interval rests on.
        trials: Verification trials spent.
    """

    answer: Answer
    gain: float
    covered: bool | None
    seeds: int
    trials: int


@dataclass(frozen=True)
class World:
    """A space with a known truth and noise.

    Attributes:
        space: What may be tried.
        worth: Utility of each rank on each layer, ``(layers, R)``.
        heavy: Whether the noise is Student's t with 4 degrees of freedom.
        seed: Of the noise.
    """

    space: SearchSpace
    worth: Floats
    heavy: bool
    seed: int

    def truth(self, vector: RankVector) -> float:
        at = [self.space.ranks.index(rank) for rank in vector.ranks]
        return float(self.worth[np.arange(len(at)), at].sum())

    def score(self, vector: RankVector, seed: int, noise: float = 1.0) -> float:
        """Repeatable: the same vector and seed score the same, as a deterministic trial does."""
        shared = np.random.default_rng([self.seed, seed]).normal()
        own = np.random.default_rng([self.seed, seed, *vector.ranks])
        drawn = own.standard_t(4) / 2.0**0.5 if self.heavy else own.normal()
        return self.truth(vector) + noise * float(3.0 * shared + drawn)


def world(setting: Setting, seed: int) -> World:
    """Draw a problem: hyperbolic utilities with factors of kind, block and layer."""
    rng = np.random.default_rng([seed, 77])
    worth = rng.lognormal(0, 0.6, 7) * rng.lognormal(0, 0.9, (8, 1)) * rng.lognormal(0, 0.2, (8, 7))
    costs = np.where(np.arange(7) < 4, 6912, 12544) * np.where(rng.random((8, 1)) < 0.5, 0.7, 1.0)
    layers = tuple(
        Layer(f"{block}.{kind}", int(costs[block, at]), block, kind)
        for block in range(8)
        for at, kind in enumerate(KINDS)
    )
    space = SearchSpace(layers, RANKS, 2 * sum(layer.parameters_per_rank for layer in layers))
    half = rng.uniform(0.5, 4.0, (56, 1))
    tables = worth.reshape(56, 1) * np.array(RANKS) / (np.array(RANKS) + half)
    clean = World(space, tables, setting.heavy, seed)
    spread = float(np.std([clean.truth(v) for v in random_vectors(space, 64, seed=0)]))
    return World(space, setting.signal / spread * tables, setting.heavy, seed)


def study(setting: Setting, trials: int, seed: int) -> Outcome:
    """Run one study to its verdict."""
    problem = world(setting, seed)
    arms = search(problem, trials, seed)
    base = problem.truth(arms.uniform)
    best = max(problem.truth(vector) for vector in arms.candidates) - base
    noise = 1.0
    if setting.effect is not None and best > 0.0:
        noise = best / (setting.effect * PAIRED)
    verdict, spent = verify(problem, arms, noise, trials)
    gain, versus = problem.truth(verdict.best_rank_vector) - base, verdict.versus_uniform
    return Outcome(
        answer=verdict.answer,
        gain=gain / (noise * PAIRED),
        covered=(
            None
            if verdict.best_rank_vector == arms.uniform
            else versus.ci_low <= gain <= versus.ci_high
        ),
        seeds=versus.seeds,
        trials=spent,
    )


def search(problem: World, trials: int, seed: int) -> Arms:
    """Search on one seed; return what enters verification, as the service chooses it."""
    state = start(problem.space, seed=seed, trials=trials)
    for _ in range(trials):
        state, (proposal,) = propose(state)
        score = problem.score(proposal.rank_vector, 0)
        state = learn(state, [Observation(proposal.rank_vector, score)])
    candidates = leaders(state, Verify().candidates)
    return Arms(candidates, problem.space.uniform(), economy(state))


def verify(problem: World, arms: Arms, noise: float, trials: int) -> tuple[Verdict, int]:
    """Run the verification; return its verdict and how many trials it took."""
    done: list[Scored] = []
    while True:
        step = next_step(arms, done, Verify(), FRESH, space=problem.space, trials=trials)
        if isinstance(step, Verdict):
            return step, len(done)
        for run in step:
            score = problem.score(run.rank_vector, run.seed, noise)
            done.append(Scored(run.rank_vector, run.seed, score))


def rate(hits: int, count: int) -> tuple[float, float, float]:
    """Share of hits with its 95 % Jeffreys interval."""
    low, high = special.betaincinv(hits + 0.5, count - hits + 0.5, [0.025, 0.975])
    return hits / max(count, 1), float(low) if hits else 0.0, float(high) if hits < count else 1.0


def summary(setting: Setting, outcomes: Sequence[Outcome]) -> dict[str, float | str]:
    compared = [one.covered for one in outcomes if one.covered is not None]
    answers = [one.answer for one in outcomes]
    return {
        "setting": setting.name,
        "studies": len(outcomes),
        "better": answers.count(Answer.BETTER),
        "worse": answers.count(Answer.WORSE),
        "compared": len(compared),
        "covered": sum(compared),
        "gain": float(np.mean([one.gain for one in outcomes])),
        "seeds": float(np.mean([one.seeds for one in outcomes])),
        "trials": float(np.mean([one.trials for one in outcomes])),
    }


def show(rows: Sequence[Mapping[str, float | str]], trials: int) -> None:
    table = Table(title=f"Studies of {trials} trials, 56 layers; share [95 % interval]")
    table.add_column("setting")
    for column in ("studies", "true gain", "better", "worse", "covered", "pairs", "trials"):
        table.add_column(column, justify="right")
    for row in rows:
        count = int(row["studies"])
        table.add_row(
            str(row["setting"]),
            str(count),
            f"{row['gain']:.2f}",
            percent(int(row["better"]), count),
            percent(int(row["worse"]), count),
            percent(int(row["covered"]), int(row["compared"])),
            f"{row['seeds']:.1f}",
            f"{row['trials']:.1f}",
        )
    Console(width=120).print(table)


def percent(hits: int, count: int) -> str:
    """A share with its 95 % interval, for a table."""
    share, low, high = rate(hits, count)
    return f"{100 * share:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="20 studies of 20 trials per row")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    studies, trials = (20, 20) if options.quick else (200, 40)
    os.environ["OMP_NUM_THREADS"] = "1"
    rows = []
    with ProcessPoolExecutor(options.processes) as pool:
        for setting in SETTINGS:
            run = partial(study, setting, trials)
            rows.append(summary(setting, list(pool.map(run, range(studies), chunksize=5))))
    show(rows, trials)
    if options.json:
        options.json.write_text(json.dumps([*map(dict, rows), asdict(Verify())], indent=1))
    named = {str(row["setting"]): row for row in rows}
    covered = sum(int(row["covered"]) for row in rows)
    compared = sum(int(row["compared"]) for row in rows)
    print(
        f"false_better={int(named['flat']['better']) / studies:.3f} "
        f"power={int(named['effect 2']['better']) / studies:.3f} "
        f"coverage={covered / compared:.3f} studies={studies}"
    )


if __name__ == "__main__":
    main()
