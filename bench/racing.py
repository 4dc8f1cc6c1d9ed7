"""What racing saves, and how often it stops the trial that would have won.

    python -m bench.racing [--quick] [--risk R] [--json FILE]

Simulated studies: 60 trials whose quality drifts upwards as a search's does, each with a curve
of 50 interim losses. A curve is a falling trend and the batches' difficulty, which all trials of
a study share, minus the trial's quality, which shows only by and by, plus a part that fades and
says nothing about the end (``crossing``), plus the trial's own noise. In the adversarial rows the
early losses mislead: a share of the trials starts badly and ends best.

Recorded studies: curves of searches that were really fine-tuned (``bench/curves``), raced in the
order in which they ran and in random orders.

The winner is the trial with the highest final score if none is stopped. ``saved`` is the share of
all search steps. The last line is for a machine: the means over the rows without late bloomers,
and the worst row's rate of stopped winners.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import special

from bench.curves.record import DATA
from perfmodel.arrays import Floats
from perfmodel.evidence.racing import LOOKS, Curve, Finished, advise, risk_per_look, spared
from rankspace.lease import Action

TRIALS, POINTS, LAYERS = 60, 50, 56
ORDERS = 200
"""Random orders of a recorded study."""


@dataclass(frozen=True)
class Setting:
    """One kind of learning curves; deviations are in units of the qualities' own deviation.

    Attributes:
        name: Of the row.
        noise: Deviation of one interim loss's own noise.
        crossing: Deviation of the part that fades.
        heavy: Whether that part has heavy tails.
        late: Share of trials that start badly and end best; 0 for an honest row.
    """

    name: str
    noise: float
    crossing: float
    heavy: bool = False
    late: float = 0.0


SETTINGS = (
    Setting("calm", 0.2, 0.1),
    Setting("noisy", 1.0, 0.1),
    Setting("crossing", 0.2, 0.5),
    Setting("crossing and noisy", 1.0, 1.0),
    Setting("crossing, heavy tails", 0.2, 0.5, heavy=True),
    Setting("late bloomers, 30 %", 0.2, 0.3, late=0.3),
    Setting("late bloomers, 10 %", 0.2, 0.3, late=0.1),
    Setting("late bloomers, 2 %", 0.2, 0.3, late=0.02),
)


@dataclass(frozen=True)
class Study:
    """Trials in the order in which they run; ``curves`` hold every interim loss."""

    curves: Sequence[Curve]
    scores: Floats
    steps: int


@dataclass(frozen=True)
class Race:
    """How racing went in one study.

    Attributes:
        stopped: Trials stopped.
        saved: Share of the search's steps not run.
        lost_winner: Whether the winner was among them.
        regret: Winner's score minus the best one kept, in standard deviations of the scores.
    """

    stopped: int
    saved: float
    lost_winner: bool
    regret: float


def simulate(setting: Setting, seed: int) -> Study:
    """Draw a study of ``TRIALS`` curves."""
    rng = np.random.default_rng([seed, 5])
    rise = np.clip((np.arange(TRIALS) - 14) / (TRIALS - 14), 0, 1)
    quality = 1.5 * rise + np.where(rise > 0, 0.7, 1.0) * rng.standard_normal(TRIALS)
    late = rng.random(TRIALS) < setting.late
    quality = quality + 1.5 * late
    time = (np.arange(POINTS) + 1) / POINTS
    shown = np.where(late[:, None], 1 / (1 + np.exp(-20 * (time - 0.8))), time**0.5)
    fading = rng.standard_t(3, TRIALS) / 3**0.5 if setting.heavy else rng.standard_normal(TRIALS)
    fading = setting.crossing * fading + 1.5 * late
    own = setting.noise * rng.standard_normal((TRIALS, POINTS))
    shared = 30.0 * time**-0.3 + 10.0 * rng.standard_normal(POINTS)
    losses = shared - quality[:, None] * shown + fading[:, None] * (1 - shown) + own
    scores = quality + 0.05 * rng.standard_normal(TRIALS)
    steps = 4 * (np.arange(POINTS) + 1)
    return Study([Curve(steps, row) for row in losses], scores, 4 * POINTS)


def race(study: Study, risk: float, layers: int = LAYERS) -> Race:
    """Run the study's trials one after the other, with racing."""
    trials = len(study.scores)
    finished: list[Finished] = []
    stopped: dict[int, float] = {}
    for index, curve in enumerate(study.curves):
        share = _stop(study, curve, finished, risk) if index >= spared(trials, layers) else None
        if share is None:
            finished.append(Finished(curve, float(study.scores[index])))
        else:
            stopped[index] = 1.0 - share
    winner = int(np.argmax(study.scores))
    kept = [score for index, score in enumerate(study.scores) if index not in stopped]
    regret = (study.scores[winner] - max(kept)) / study.scores.std()
    saved = sum(stopped.values()) / trials
    return Race(len(stopped), saved, winner in stopped, float(regret))


def _stop(study: Study, curve: Curve, finished: Sequence[Finished], risk: float) -> float | None:
    """Share of the steps after which the trial is stopped; None if it runs to its end."""
    least = risk_per_look(risk, len(study.scores))
    for share in LOOKS:
        seen = curve.between(0, int(share * study.steps))
        if advise(seen, finished, risk=least).action is Action.STOP:
            return share
    return None


def recorded(file: Path) -> tuple[Study, int]:
    """Read a recording; return it with its number of layers. One interim loss in two is used."""
    head, *rows = [json.loads(line) for line in file.read_text().splitlines()]
    curves = [Curve.of(list(enumerate(row["steps"], 1))[1::2]) for row in rows]
    scores = np.array([-row["loss"] for row in rows])
    return Study(curves, scores, head["sequence"]["steps"]), len(head["space"]["layers"])


def shuffled(study: Study, seed: int) -> Study:
    """The same trials in a random order, uniform first as always."""
    order = [0, *(1 + np.random.default_rng(seed).permutation(len(study.scores) - 1))]
    return Study([study.curves[at] for at in order], study.scores[order], study.steps)


def summary(name: str, races: Iterable[Race], trials: int) -> dict[str, float | str]:
    found = list(races)
    lost = sum(one.lost_winner for one in found)
    low, high = special.betaincinv(lost + 0.5, len(found) - lost + 0.5, [0.025, 0.975])
    return {
        "setting": name,
        "studies": len(found),
        "stopped": float(np.mean([one.stopped for one in found])) / trials,
        "saved": float(np.mean([one.saved for one in found])),
        "winner_stopped": lost / len(found),
        "low": float(low) if lost else 0.0,
        "high": float(high),
        "regret": float(np.mean([one.regret for one in found])),
    }


def measure(studies: int, risk: float) -> list[dict[str, float | str]]:
    """One row per kind of simulated curves."""
    rows = []
    with ProcessPoolExecutor(2) as pool:
        for setting in SETTINGS:
            run = partial(_simulated, setting, risk)
            rows.append(summary(setting.name, pool.map(run, range(studies), chunksize=10), TRIALS))
    return rows


def _simulated(setting: Setting, risk: float, seed: int) -> Race:
    return race(simulate(setting, seed), risk)


def replay(files: Iterable[Path], orders: int, risk: float) -> list[dict[str, float | str]]:
    """Two rows per recording: in its own order, and in random ones."""
    rows = []
    for file in files:
        study, layers = recorded(file)
        trials = len(study.scores)
        rows.append(summary(f"{file.stem}, as run", [race(study, risk, layers)], trials))
        races = (race(shuffled(study, seed), risk, layers) for seed in range(orders))
        rows.append(summary(f"{file.stem}, shuffled", races, trials))
    return rows


def show(title: str, rows: Sequence[Mapping[str, float | str]]) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("setting")
    for column in ("studies", "stopped", "steps saved", "winner stopped", "95 %", "regret, sd"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            str(row["setting"]),
            str(row["studies"]),
            *(f"{100 * float(row[name]):.1f} %" for name in ("stopped", "saved")),
            f"{100 * float(row['winner_stopped']):.1f} %",
            f"{100 * float(row['low']):.1f} to {100 * float(row['high']):.1f}",
            f"{row['regret']:.3f}",
        )
    Console(width=118).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="40 studies per row, 20 orders")
    parser.add_argument("--risk", type=float, default=0.02, help="of the whole search")
    parser.add_argument("--json", type=Path, help="also write every row to this file")
    options = parser.parse_args()
    simulated = measure(40 if options.quick else 400, options.risk)
    show(f"Simulated curves, {TRIALS} trials, stated risk {options.risk:.0%}", simulated)
    orders = 20 if options.quick else ORDERS
    real = replay(sorted(DATA.glob("*.jsonl")), orders, options.risk)
    show(f"Recorded curves, stated risk {options.risk:.0%}", real)
    if options.json:
        options.json.write_text(json.dumps({"simulated": simulated, "recorded": real}, indent=1))
    late = {setting.name for setting in SETTINGS if setting.late}
    honest = [row for row in simulated if row["setting"] not in late]
    means = {name: np.mean([row[name] for row in honest]) for name in ("stopped", "saved")}
    lost = max(float(row["winner_stopped"]) for row in honest)
    worst = max(float(row["winner_stopped"]) for row in (*simulated, *real))
    print(
        f"stopped={means['stopped']:.3f} saved={means['saved']:.3f} "
        f"winner_stopped={lost:.4f} worst={worst:.4f}"
    )


if __name__ == "__main__":
    main()
