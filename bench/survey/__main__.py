"""How well one elastic training ranks what trainings of their own found.

    python -m bench.survey [--quick] [--json FILE]

One row for each recorded survey (``bench.survey.record`` makes them): the rank correlation of its
scores with the losses of the stand-alone trials of the same vectors, those on the budget, with
95 % intervals from resampled vectors. ``ceiling`` is what a survey without any error could reach,
for the trials are noisy themselves: the root of the share of their variance that repeats do not
explain away. ``price`` is what it took, training and scores, in trials. ``--quick`` shows only what
a study does by default and the shorter one. The last line is for a machine: means over surfaces.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import kendalltau, spearmanr

from bench.surfaces.record import DATA as SURFACES
from bench.survey.plan import QUICK
from bench.survey.record import DATA
from perfmodel.arrays import Floats
from perfmodel.meta.repeats import repeat_noise
from rankadaptor.meta.surfaces import recorded_study

DRAWS = 1_000
"""Resampled sets of vectors behind an interval."""


@dataclass(frozen=True)
class Correlation:
    """A rank correlation and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Row:
    """One survey against the trials of its surface.

    Attributes:
        surface: Name.
        scheme: What a step trained.
        steps: Of the elastic training.
        seed: Of it.
        vectors: On the budget, compared.
        spearman: Of scores and trials.
        kendall: Likewise.
        ceiling: The largest Spearman correlation that the trials' noise allows, about.
        price: Processor seconds in trials.
    """

    surface: str
    scheme: str
    steps: int
    seed: int
    vectors: int
    spearman: Correlation
    kendall: Correlation
    ceiling: float
    price: float


def rows_of(surface: str) -> list[Row]:
    """Compare all surveys of a surface."""
    study = recorded_study(SURFACES / f"{surface}.jsonl")
    alone = [seen for seen in study.observations if seen.seed == 0]
    on_budget = np.array([study.space.affords(seen.rank_vector) for seen in alone])
    scores = np.array([seen.score for seen in alone], dtype=np.float64)[on_budget]
    noise = repeat_noise(study.observations, 1.0) or 0.0
    ceiling = float(np.sqrt(max(0.0, 1.0 - noise**2 / float(np.var(scores)))))
    lines = (DATA / f"{surface}.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    return [_row(surface, json.loads(line), scores, on_budget, ceiling) for line in lines]


def _row(
    surface: str, survey: Mapping[str, Any], scores: Floats, on_budget: Any, ceiling: float
) -> Row:
    said = -np.array(survey["losses"])[on_budget]
    seconds = survey["train_seconds"] + survey["score_seconds"]
    return Row(
        surface,
        survey["scheme"],
        survey["steps"],
        survey["seed"],
        len(scores),
        correlation(spearmanr, said, scores),
        correlation(kendalltau, said, scores),
        ceiling,
        seconds / survey["trial_seconds"],
    )


def correlation(
    measure: Callable[[Floats, Floats], Any], one: Floats, other: Floats
) -> Correlation:
    """``measure`` of both, ``(n,)`` each, with the interval that resampled pairs give."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(len(one), size=len(one)) for _ in range(DRAWS)]
    found = [float(measure(one[at], other[at])[0]) for at in drawn]
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return Correlation(float(measure(one, other)[0]), float(low), float(high))


def _table(rows: Sequence[Row]) -> Table:
    table = Table("surface", "scheme", "steps", "seed", "Spearman", "Kendall", "ceiling", "price")
    for row in rows:
        price = f"{row.price:.1f}"
        told = (row.surface, row.scheme, str(row.steps), str(row.seed), str(row.spearman))
        table.add_row(*told, str(row.kendall), f"{row.ceiling:.2f}", price)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [row for file in sorted(DATA.glob("*.jsonl")) for row in rows_of(file.stem)]
    if options.quick:
        wanted = {(run.scheme.value, run.steps, run.seed) for run in QUICK}
        rows = [row for row in rows if (row.scheme, row.steps, row.seed) in wanted]
    Console(width=140).print(_table(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    default = [row for row in rows if (row.scheme, row.steps) == ("sampled", 400)]
    means = {
        "surfaces": len({row.surface for row in rows}),
        "spearman_400": round(float(np.mean([row.spearman.value for row in default])), 3),
        "kendall_400": round(float(np.mean([row.kendall.value for row in default])), 3),
        "price_400": round(float(np.mean([row.price for row in default])), 1),
    }
    print(" ".join(f"{name}={value}" for name, value in means.items()))


if __name__ == "__main__":
    main()
