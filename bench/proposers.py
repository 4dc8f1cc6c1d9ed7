"""How far each strategy gets with how many trials, on synthetic rank allocation.

    python -m bench.proposers [--quick] [--json FILE]

Every row is a family of problems, every problem one seed. The score is separable in the layers
except in ``substitutes``; none of the families draws its curves from the model's basis. Regret is
100 at the uniform vector and 0 at the exact optimum, both noiseless, for the first leader after a
study planned for so many trials. Wins count problems on which ``additive`` has the lower regret.
The families come from the same hand as the model: they show that it works where its assumptions
roughly hold, not that real losses are like this. Set OMP_NUM_THREADS=1 for steady times.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from perfmodel import allocate, leaders, learn, propose, random_vectors, start
from perfmodel.arrays import Floats
from rankspace import Layer, Observation, RankVector, SearchSpace

RIVALS = ("additive", "swap", "random")
KINDS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
COSTS = np.array([6912, 6912, 6912, 6912, 12544, 12544, 12544])


@dataclass(frozen=True)
class Problem:
    """A search space with a known truth.

    Attributes:
        space: What may be tried.
        worth: True utility of each rank on each layer, ``(layers, R)``.
        noise: Standard deviation of the noise of one trial.
        power: The score is the total worth to this power; below 1, layers substitute each other.
    """

    space: SearchSpace
    worth: Floats
    noise: float
    power: float = 1.0

    def truth(self, vector: RankVector) -> float:
        """Noiseless score."""
        at = [self.space.ranks.index(rank) for rank in vector.ranks]
        total = float(self.worth[np.arange(len(at)), at].sum())
        return total if self.power == 1.0 else total**self.power

    def regret(self, vector: RankVector) -> float:
        """100 at uniform, 0 at the optimum, negative never."""
        best = self.truth(allocate(self.space, self.worth))
        return 100.0 * (best - self.truth(vector)) / (best - self.truth(self.space.uniform()))


def pareto(seed: int, noise: float) -> Problem:
    """32 unnamed layers, ``-w exp(-r / tau)``: the benchmark the peers were measured on."""
    rng = np.random.default_rng(1000 + seed)
    layers, ranks = 32, np.arange(2, 13, 2)
    w = rng.pareto(1.2, layers) + 0.05
    tau = rng.uniform(2.0, 8.0, layers)
    losses = w[:, None] * np.exp(-ranks / tau[:, None])
    space = SearchSpace(
        tuple(Layer(f"{i}", 1) for i in range(layers)), tuple(ranks.tolist()), 8 * layers
    )
    return Problem(space, -losses / losses[:, 3].sum(), noise)


def blocks_and_kinds(seed: int, noise: float, own: float = 0.2, power: float = 1.0) -> Problem:
    """8 blocks x 7 kinds, hyperbolic ``w r / (r + h)``; half of the blocks pruned and cheaper."""
    rng = np.random.default_rng(2000 + seed)
    w = rng.lognormal(0, 0.6, 7) * rng.lognormal(0, 0.9, (8, 1)) * rng.lognormal(0, own, (8, 7))
    kept = np.where(rng.random(8) < 0.5, 0.7, 1.0)
    costs = (COSTS * kept[:, None]).astype(int).ravel()
    ranks = np.array([0, 1, 2, 4, 6, 8])
    half = rng.uniform(0.5, 4.0, (56, 1))
    space = SearchSpace(
        tuple(Layer(f"{i // 7}.{i % 7}", int(costs[i]), i // 7, KINDS[i % 7]) for i in range(56)),
        tuple(ranks.tolist()),
        int(2 * costs.sum()),
    )
    clean = Problem(space, w.reshape(56, 1) * ranks / (ranks + half), 0.0, power)
    spread = float(np.std([clean.truth(v) for v in random_vectors(space, 64, seed=0)]))
    return Problem(space, clean.worth, noise * spread, power)


FAMILIES: Mapping[str, Callable[[int], Problem]] = {
    "pareto-32": lambda seed: pareto(seed, noise=0.005),
    "block-kind-56": lambda seed: blocks_and_kinds(seed, noise=0.2),
    "noisy-56": lambda seed: blocks_and_kinds(seed, noise=0.5),
    "unpooled-56": lambda seed: blocks_and_kinds(seed, noise=0.2, own=1.2),
    "substitutes-56": lambda seed: blocks_and_kinds(seed, noise=0.2, power=0.25),
}


def regret(problem: Problem, strategy: str, trials: int, seed: int) -> float:
    """Run one study of ``trials`` trials; return the regret of its first leader."""
    state = start(problem.space, strategy=strategy, seed=seed, trials=trials)
    rng = np.random.default_rng(seed + 77)
    for _ in range(trials):
        state, (proposal,) = propose(state)
        vector = proposal.rank_vector
        score = problem.truth(vector) + problem.noise * float(rng.standard_normal())
        state = learn(state, [Observation(vector, score)])
    return problem.regret(leaders(state, 1)[0])


def flat_gain(trials: int, problems: int) -> float:
    """Mean prediction of the last proposal, in noise deviations, when no rank matters; truth: 0."""
    gains = []
    for seed in range(problems):
        problem = blocks_and_kinds(seed, noise=0.2)
        flat = Problem(problem.space, np.zeros_like(problem.worth), 1.0)
        state = start(flat.space, seed=seed, trials=trials)
        rng = np.random.default_rng(seed)
        for _ in range(trials):
            state, (proposal,) = propose(state)
            state = learn(state, [Observation(proposal.rank_vector, float(rng.standard_normal()))])
        gains.append(float(proposal.mean or 0.0))
    return float(np.mean(gains))


def latency(layers: int, observations: int) -> tuple[float, float]:
    """Milliseconds of ``propose`` (the first after learning) and of ``learn``."""
    space = SearchSpace(
        tuple(Layer(f"{i}", 4000 + 7 * i, i // 8, f"{i % 8}") for i in range(layers)),
        (0, 2, 4, 6, 8, 10, 12, 16),
        8 * sum(4000 + 7 * i for i in range(layers)),
    )
    rng = np.random.default_rng(0)
    vectors = random_vectors(space, observations, seed=1)
    seen = [Observation(v, float(np.sqrt(v.ranks).sum() + rng.standard_normal())) for v in vectors]
    state, _ = propose(learn(start(space, trials=observations + 10), seen[:-1]))
    before = time.perf_counter()
    state = learn(state, seen[-1:])
    between = time.perf_counter()
    propose(state)
    return 1e3 * (time.perf_counter() - between), 1e3 * (between - before)


def measure(problems: int, lengths: tuple[int, ...]) -> list[dict[str, float | str]]:
    """One row per family and length: median regrets, and wins of ``additive``."""
    rows: list[dict[str, float | str]] = []
    for family, make in FAMILIES.items():
        for trials in lengths:
            found = {
                rival: np.array([regret(make(s), rival, trials, s) for s in range(problems)])
                for rival in RIVALS
            }
            row: dict[str, float | str] = {"family": family, "trials": trials}
            row |= {rival: round(float(np.median(values)), 1) for rival, values in found.items()}
            row["wins_swap"] = int((found["additive"] < found["swap"]).sum())
            row["wins_random"] = int((found["additive"] < found["random"]).sum())
            rows.append(row)
    return rows


def show(rows: list[dict[str, float | str]], problems: int) -> None:
    table = Table(title=f"Median regret over {problems} problems (100 = uniform, 0 = optimum)")
    for column in rows[0]:
        table.add_column(column, justify="left" if column == "family" else "right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="4 problems, 25 trials")
    parser.add_argument("--json", type=Path, help="also write every row to this file")
    options = parser.parse_args()
    problems, lengths = (4, (25,)) if options.quick else (12, (25, 50, 100))
    rows = measure(problems, lengths)
    show(rows, problems)
    figures: dict[str, float] = {
        f"{row['family']}@{row['trials']}:{rival}": float(row[rival])
        for row in rows
        for rival in RIVALS
    }
    figures["flat_gain"] = round(flat_gain(25, problems), 3)
    figures["propose_ms"], figures["learn_ms"] = (round(ms, 2) for ms in latency(56, 40))
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "figures": figures}, indent=1))
    print(" ".join(f"{name}={value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
