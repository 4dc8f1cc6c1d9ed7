"""How often a verification errs, where what is true is known: thousands, without a search.

    python -m bench.verifications [--quick] [--only WORDS] [--json FILE]

Three candidates, uniform ranks and, where said, random vectors are verified as the service does it,
with the settings of the demo. Scores are truth plus an effect of the seed, plus noise of standard
deviation 1 per trial. Beside each share stands that of the rules of before, on the same scores:
looks after 5 rounds, half way and at the end, the 5 % divided among them; texts left out; a random
vector that one noisy score chose; the winner's own spread as the margin.

- ``flat``: no vector differs, so every ``better`` is false.
- ``effect 1.5``: the candidates gain 1.5 standard deviations of one trial's noise: the power; once
  more with the default budget of a study.
- ``spread random``: the search drew its vectors at random too, and vectors differ by three
  deviations of noise; what is counted is "better than random", of which each is false of the
  search. In ``spread exponential`` and ``spread t3`` they differ by such draws, in ``spread few``
  one vector in 25 is ten deviations better: luck is reckoned as normal, and these say what it is
  worth where that is not so.
- ``crashes N %``: the candidates crash by 5 deviations on so many seeds, and are that much better
  on the others that they gain nothing on the whole; ``deep crashes`` by 10. Who has not seen a
  crash cannot know of it: with so few seeds no rule tells the deep ones from a gain.
- ``shared texts``: the candidates gain nothing on texts at large, but do or lose on those at hand,
  by 0.7 of the standard error that the seeds give; ``unequal texts`` the same with 16 groups, of
  log-normal sizes.
- ``economy``: a winner three times as noisy, and a cheaper vector that loses as much as is
  allowed; what is counted is "not worse". ``equal economy`` is the power of that: the cheaper
  vector equals uniform, at margins of so many deviations.

The last line is for a machine. ``most_false`` is the largest share of false claims, without those
of deep crashes and of random vectors that are not normal, which are numbers of their own.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import special

from bench.verdicts import percent
from perfmodel.arrays import Floats
from perfmodel.evidence.arms import Arms, Controls
from perfmodel.evidence.fresh_seeds import FreshSeeds
from perfmodel.evidence.luck import luck
from perfmodel.evidence.scores import Scored
from perfmodel.evidence.verification import next_step
from rankspace import Layer, RankVector, SearchSpace, Verdict
from rankspace.observation import TextLosses
from rankspace.study import CHOOSING_SEEDS, Verify
from rankspace.verdict import Answer

SPACE = SearchSpace((Layer("a", 10), Layer("b", 10)), tuple(range(100)), 1980)
UNIFORM, ECONOMY = RankVector((50, 50)), RankVector((10, 10))
CANDIDATES = tuple(RankVector((60 + at, 40 - at)) for at in range(3))
RANDOMS = tuple(RankVector((70 + at, 30 - at)) for at in range(3))
ARMS = Arms(CANDIDATES, UNIFORM, ECONOMY)
DEMO = Verify(max_trials=44, random_control=True)
DRAWN = 40
"""Vectors of a search, and of its random control."""

SPREAD, CRASH, DEEP, NOISY = 3.0, 5.0, 10.0, 3.0
TOKENS = (20,) * 64
SHARE = 0.7
"""Standard error by sampling texts, in standard errors of seeds after ``SEEDS`` rounds."""

SEEDS = 8
SHARED = 3.0
"""Standard deviation of the effect of a seed."""


@dataclass
class World:
    """One study's arms and what is true of them; each run is drawn once.

    Attributes:
        rng: Of all that is drawn.
        truth: Gain of each vector over uniform, on seeds and texts at large; 0 if not named.
        noise: Standard deviation of a trial of each vector; 1 if not named.
        crash: Share of the seeds on which a candidate crashes.
        depth: By how much.
        texts: Standard deviation, over texts, of what a candidate gains.
        tokens: Of each group of texts.
    """

    rng: np.random.Generator
    truth: dict[RankVector, float] = field(default_factory=dict)
    noise: dict[RankVector, float] = field(default_factory=dict)
    crash: float = 0.0
    depth: float = CRASH
    texts: float = 0.0
    tokens: tuple[int, ...] = TOKENS
    arms: Arms = ARMS
    controls: Controls = field(default_factory=Controls)
    runs: dict[tuple[RankVector, int], Scored] = field(default_factory=dict)
    levels: dict[int, float] = field(default_factory=dict)
    biases: dict[RankVector, np.ndarray[tuple[int], np.dtype[np.float64]]] = field(
        default_factory=dict
    )

    def run(self, vector: RankVector, seed: int) -> Scored:
        if (vector, seed) not in self.runs:
            self.runs[vector, seed] = self._run(vector, seed)
        return self.runs[vector, seed]

    def _run(self, vector: RankVector, seed: int) -> Scored:
        level = self.levels.setdefault(seed, SHARED * self.rng.normal())
        score = level + self.truth.get(vector, 0.0)
        score += self.noise.get(vector, 1.0) * self.rng.normal()
        if self.crash and vector in self.arms.candidates:
            score += self.depth * (self.crash - (self.rng.random() < self.crash))
        if not self.texts:
            return Scored(vector, seed, score)
        losses = 100.0 - score - self._bias(vector)
        told = TextLosses(tuple((np.array(self.tokens) * losses).tolist()), self.tokens)
        return Scored(vector, seed, -told.mean, told)

    def _bias(self, vector: RankVector) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        if vector not in self.biases:
            spread = self.texts if vector in self.arms.candidates else 0.0
            self.biases[vector] = spread * self.rng.normal(size=len(self.tokens))
        return self.biases[vector]


def flat(rng: np.random.Generator) -> World:
    return World(rng)


def effect(rng: np.random.Generator) -> World:
    return World(rng, truth=dict.fromkeys(CANDIDATES, 1.5))


def spread(draw: Callable[[np.random.Generator], Floats], rng: np.random.Generator) -> World:
    """Both the search and its control drew vectors at random, and take the best by their scores."""
    truth: dict[RankVector, float] = {}
    scores = []
    for named in (CANDIDATES, RANDOMS):
        true = draw(rng)
        seen = true + rng.normal(size=DRAWN)
        truth |= zip(named, true[np.argsort(-seen)[: len(named)]].tolist(), strict=True)
        scores = seen.tolist()
    arms = Arms(CANDIDATES, UNIFORM, ECONOMY, RANDOMS[0])
    return World(rng, truth=truth, arms=arms, controls=Controls(RANDOMS[1:], luck(scores)))


def normal(rng: np.random.Generator) -> Floats:
    return SPREAD * rng.normal(size=DRAWN)


def exponential(rng: np.random.Generator) -> Floats:
    return SPREAD * rng.exponential(size=DRAWN)


def heavy(rng: np.random.Generator) -> Floats:
    return SPREAD * rng.standard_t(3, size=DRAWN)


def few(rng: np.random.Generator) -> Floats:
    return 10.0 * (rng.random(DRAWN) < 0.04) + rng.normal(size=DRAWN)


def crashes(share: float, rng: np.random.Generator) -> World:
    return World(rng, crash=share)


def texts(rng: np.random.Generator, tokens: tuple[int, ...] = TOKENS) -> World:
    error = (2.0 / SEEDS) ** 0.5  # of a mean paired difference
    weights = np.array(tokens) / sum(tokens)
    spread = SHARE * error / float(weights @ weights) ** 0.5
    return World(rng, texts=spread, tokens=tokens)


def unequal(rng: np.random.Generator) -> World:
    sizes = np.maximum(1, rng.lognormal(3.0, 1.2, 16)).astype(int)
    return texts(rng, tuple(sizes.tolist()))


def equal(rng: np.random.Generator) -> World:
    """The cheaper vector is as good as uniform, and the winner is shown to be better at once."""
    return World(rng, truth=dict.fromkeys(CANDIDATES, 6.0))


def economy(rng: np.random.Generator) -> World:
    truth = dict.fromkeys(CANDIDATES, 6.0)
    noise = dict.fromkeys(CANDIDATES, NOISY)
    return World(rng, truth=truth | {ECONOMY: -MARGIN}, noise=noise)


MARGIN = 1.0

APART = ("deep crashes 10 %", "spread exponential", "spread t3", "spread few")
"""What no rule tells from a gain with so few seeds, or by one draw of random vectors."""


def claims(verdict: Verdict) -> bool:
    return verdict.answer is Answer.BETTER


def claims_random(verdict: Verdict) -> bool:
    versus = verdict.versus_random
    return versus is not None and versus.answer is Answer.BETTER


def claims_economy(verdict: Verdict) -> bool:
    return verdict.cheapest_rank_vector == ECONOMY


@dataclass(frozen=True)
class Case:
    """One row: what is drawn, and what claim is counted, now and by the rules of before."""

    name: str
    draw: Callable[[np.random.Generator], World]
    claim: Callable[[Verdict], bool]
    verify: Verify = DEMO
    before: str = "better"


CASES = (
    Case("flat", flat, claims),
    Case("effect 1.5", effect, claims),
    Case("effect 1.5, default", effect, claims, Verify()),
    *(
        Case(f"spread {name}", partial(spread, draw), claims_random, before="random")
        for name, draw in (
            ("random", normal),
            ("exponential", exponential),
            ("t3", heavy),
            ("few", few),
        )
    ),
    Case("crashes 5 %", lambda rng: crashes(0.05, rng), claims),
    Case("crashes 10 %", lambda rng: crashes(0.1, rng), claims),
    Case("deep crashes 10 %", lambda rng: World(rng, crash=0.1, depth=DEEP), claims),
    Case("shared texts", texts, claims),
    Case("unequal texts", unequal, claims),
    *(
        Case(
            f"equal economy, {margin:g} sd",
            equal,
            claims_economy,
            replace(DEMO, margin=margin),
            "economy",
        )
        for margin in (0.0, 0.3, 1.0, 2.0)
    ),
    Case("economy", economy, claims_economy, replace(DEMO, margin=MARGIN), "economy"),
)


def verified(world: World, verify: Verify) -> Verdict:
    done: list[Scored] = []
    seeds = FreshSeeds(0)
    while True:
        step = next_step(
            world.arms,
            done,
            verify,
            seeds,
            space=SPACE,
            trials=DRAWN,
            controls=world.controls,
        )
        if isinstance(step, Verdict):
            return step
        done += [world.run(one.rank_vector, one.seed) for one in step]


def before(case: Case, world: World, winner: RankVector) -> bool:
    """Whether the rules of before would make the claim, on the same scores."""
    left = case.verify.max_trials - CHOOSING_SEEDS * len(world.arms.choosing)
    last = left // len(world.arms.judging(winner))
    seeds = FreshSeeds(0).judging(last)
    rival = RANDOMS[0] if case.before == "random" else UNIFORM
    looks = sorted({5, (5 + last) // 2 if last > 7 else last, last})
    parts = {1: (1.0,), 2: (0.5, 0.5), 3: (0.4, 0.2, 0.4)}[len(looks)]
    for count, part in zip(looks, parts, strict=True):
        main = differences(world, winner, UNIFORM, seeds[:count])
        is_over = abs(main.mean()) > reach(main, part) or count == last
        if is_over and case.before == "economy":
            saved = differences(world, ECONOMY, UNIFORM, seeds[:count])
            low, high = saved.mean() - reach(saved, part), saved.mean() + reach(saved, part)
            return bool(low >= -main.std(ddof=1) and high >= 0.0)
        if is_over:
            against = differences(world, winner, rival, seeds[:count])
            return bool(against.mean() > reach(against, part))
    return False


def differences(
    world: World, vector: RankVector, rival: RankVector, seeds: Sequence[int]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    pairs = [(world.run(vector, seed).score, world.run(rival, seed).score) for seed in seeds]
    return np.array([a - b for a, b in pairs if a is not None and b is not None])


def reach(values: np.ndarray[tuple[int], np.dtype[np.float64]], part: float) -> float:
    count = len(values)
    quantile = float(special.stdtrit(count - 1, 1.0 - 0.025 * part))
    return quantile * float(values.std(ddof=1)) / float(count**0.5)


def row(case: Case, studies: int) -> dict[str, float | str]:
    claimed = earlier = covered = 0
    seeds = []
    for number in range(studies):
        world = case.draw(np.random.default_rng([number, 91]))
        verdict = verified(world, case.verify)
        winner, found = verdict.best_rank_vector, verdict.versus_uniform
        claimed += case.claim(verdict)
        earlier += before(case, world, winner)
        covered += found.ci_low <= world.truth.get(winner, 0.0) <= found.ci_high
        seeds.append(found.seeds)
    return {
        "case": case.name,
        "studies": studies,
        "claimed": claimed,
        "before": earlier,
        "covered": covered,
        "seeds": float(np.mean(seeds)),
    }


def show(rows: Sequence[dict[str, float | str]]) -> None:
    table = Table(title="Verifications; share of the claim counted, [95 % interval]")
    table.add_column("case")
    for column in ("verifications", "claimed", "by the rules of before", "covered", "pairs"):
        table.add_column(column, justify="right")
    for one in rows:
        count = int(one["studies"])
        shares = [percent(int(one[name]), count) for name in ("claimed", "before", "covered")]
        table.add_row(str(one["case"]), str(count), *shares, f"{one['seeds']:.1f}")
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="100 verifications a row, not 1,000")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--only", help="cases whose name begins so", default="")
    options = parser.parse_args()
    studies = 100 if options.quick else 1000
    rows = [row(case, studies) for case in CASES if case.name.startswith(options.only)]
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    print(" ".join([*_summary(rows, studies), f"studies={studies}"]))


POWER = ("effect", "equal")
"""Rows of claims that are true."""


def _summary(rows: Sequence[dict[str, float | str]], studies: int) -> Iterator[str]:
    """Numbers of the rows there are."""
    named = {str(one["case"]): int(one["claimed"]) / studies for one in rows}
    apart = {name: f"{name.replace(' ', '_')}_false" for name in APART if name in named}
    false = [
        share for name, share in named.items() if name not in apart and not name.startswith(POWER)
    ]
    if false:
        yield f"most_false={max(false):.3f}"
    yield from (f"{label.replace('_10_%', '')}={named[name]:.3f}" for name, label in apart.items())
    for one in rows:
        if one["case"] == "effect 1.5":
            before = int(one["before"]) / studies
            yield f"power={named['effect 1.5']:.3f} power_before={before:.3f}"


if __name__ == "__main__":
    main()
