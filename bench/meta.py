"""What the meta-learned prior is worth: trials to the same regret, on surfaces it has not seen.

    python -m bench.meta [--quick] [--seeds N] [--trials N] [--processes N] [--json FILE]

Every recorded surface (``bench/surfaces``) is emulated, and searched by ``additive`` with

* no prior,
* a prior learned from the other surfaces: those of other pruned models (``study``), of other
  base models only (``family``), or of models trained on other texts only (``corpus``),
* the ``corpus`` prior learned from labels that are shuffled among each surface's layers
  (``permuted``): what is left of its worth is not in the labels.

A search's choice after t trials is its first leader; its regret is measured on the emulator without
noise, 100 for the uniform vector and 0 for the optimum. All arms of one surface and seed meet the
same noise in the same order of trials. Surfaces whose optimum is less than ``LEAST_GAP`` noise
deviations above uniform have nothing to find, and are left out.

``same`` is the share of trials an arm needs to reach the mean regret that no prior reaches at
trial T, interpolated; the last line has it at half the trials and at all of them.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import perfmodel
from bench.surfaces.catalogue import TRAINED
from bench.surfaces.emulator import Emulator, emulate
from bench.surfaces.record import DATA
from perfmodel.arrays import Floats
from perfmodel.meta.evaluation import HoldOut, others
from perfmodel.meta.lesson import Lesson, lessons_of
from perfmodel.meta.training import train_on
from rankadaptor.meta.surfaces import recorded_studies
from rankspace import Observation

ARMS = ("none", "study", "family", "corpus", "permuted")
LEAST_GAP = 2.0
"""Noise deviations between uniform and the optimum."""


@dataclass(frozen=True)
class Problem:
    """A surface, and the priors that have not seen it.

    Attributes:
        lesson: The surface.
        emulator: Its noiseless scores.
        priors: By arm, or None.
    """

    lesson: Lesson
    emulator: Emulator
    priors: Mapping[str, bytes | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one seed, 12 trials, the 3 smallest surfaces"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write every regret to this file")
    options = parser.parse_args()
    seeds, trials = (1, 12) if options.quick else (options.seeds, options.trials)
    lessons = lessons_of(recorded_studies(DATA))
    chosen = sorted(lessons, key=lambda one: one.features.size)[:3] if options.quick else lessons
    with ProcessPoolExecutor(options.processes) as pool:
        problems = [one for one in pool.map(partial(problem, lessons), chosen) if one is not None]
        jobs = [(one, arm, seed) for one in problems for arm in ARMS for seed in range(seeds)]
        curves = list(pool.map(_run, jobs, [trials] * len(jobs)))
    regrets = {
        arm: np.array([c for c, job in zip(curves, jobs, strict=True) if job[1] == arm])
        for arm in ARMS
    }
    names = [job[0].lesson.study.name for job in jobs if job[1] == ARMS[0]]
    if options.json:
        rows = {arm: regrets[arm].tolist() for arm in ARMS}
        options.json.write_text(json.dumps({"surfaces": names, "regrets": rows}, indent=1))
    _show(names, regrets, trials)


def problem(lessons: Sequence[Lesson], lesson: Lesson) -> Problem | None:
    """Emulate ``lesson`` and learn priors from the others; None if there is nothing to find."""
    emulator = emulate(lesson.study)
    if emulator is None or emulator.optimum - emulator.uniform < LEAST_GAP * emulator.noise:
        return None
    foreign = tuple(one for one in lessons if _corpus(one) != _corpus(lesson))
    rng = np.random.default_rng(0)
    priors = {
        "none": None,
        "study": train_on(others(lessons, lesson, HoldOut.STUDY)).to_bytes(),
        "family": train_on(others(lessons, lesson, HoldOut.FAMILY)).to_bytes(),
        "corpus": train_on(foreign).to_bytes(),
        "permuted": train_on(tuple(_permuted(one, rng) for one in foreign)).to_bytes(),
    }
    return Problem(lesson, emulator, priors)


def _corpus(lesson: Lesson) -> str:
    """What the lesson's base model was trained on."""
    base = lesson.study.family
    return TRAINED[base].corpus if base in TRAINED else base


def _permuted(lesson: Lesson, rng: np.random.Generator) -> Lesson:
    """The same with labels of its layers dealt out anew, each with its precision."""
    labels = lesson.labels
    order = rng.permutation(len(labels.log_worth))
    dealt = replace(labels, log_worth=labels.log_worth[order], precision=labels.precision[order])
    return replace(lesson, labels=dealt)


def search(one: Problem, arm: str, seed: int, trials: int) -> Floats:
    """Regret of the first leader at ``moments_of(trials)``, ``(moments,)``."""
    moments = moments_of(trials)
    study, emulator = one.lesson.study, one.emulator
    noise = np.random.default_rng(seed).normal(0.0, emulator.noise, trials)
    state = perfmodel.start(
        study.space,
        seed=seed,
        trials=trials,
        prior=one.priors[arm],
        context=study.context,
    )
    values = []
    for done, shock in enumerate(noise, start=1):
        state, (proposal,) = perfmodel.propose(state)
        score = float(emulator.values([proposal.rank_vector])[0] + shock)
        state = perfmodel.learn(state, [Observation(proposal.rank_vector, score)])
        if done in moments:
            values.append(float(emulator.values(perfmodel.leaders(state, 1))[0]))
    gap = emulator.optimum - emulator.uniform
    return 100.0 * (emulator.optimum - np.array(values)) / gap


def needed(moments: Sequence[int], curve: Floats, target: float) -> float:
    """Trials after which a mean regret curve first is ``target``, interpolated; inf: never."""
    below = np.flatnonzero(curve <= target)
    if not len(below):
        return float("inf")
    at = int(below[0])
    if at == 0:
        return float(moments[0])
    fallen = (curve[at - 1] - target) / (curve[at - 1] - curve[at])
    return float(moments[at - 1] + fallen * (moments[at] - moments[at - 1]))


def moments_of(trials: int) -> list[int]:
    """Numbers of trials after which the choice is judged: half and all of them among others."""
    fixed = [t for t in (2, 4, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50) if t < trials]
    return sorted({*fixed, trials // 4, trials // 2, trials})


def _run(job: tuple[Problem, str, int], trials: int) -> Floats:
    one, arm, seed = job
    regrets = search(one, arm, seed, trials)
    last = " ".join(f"{regret:.0f}" for regret in regrets)
    print(f"{one.lesson.study.name} {arm} seed {seed}: {last}", file=sys.stderr, flush=True)
    return regrets


def _show(names: Sequence[str], regrets: Mapping[str, Floats], trials: int) -> None:
    moments = moments_of(trials)
    table = Table("surface", "prior", *map(str, moments), title="mean regret after trials")
    for name in dict.fromkeys(names):
        rows = np.array([at for at, other in enumerate(names) if other == name])
        _add(table, name, {arm: curves[rows] for arm, curves in regrets.items()})
    _add(table, "all", regrets)
    Console(width=120).print(table)
    print(_paired(regrets, trials))
    print(_last_line(regrets, trials))


def _add(table: Table, name: str, regrets: Mapping[str, Floats]) -> None:
    for arm, curves in regrets.items():
        means = (f"{value:.0f}" for value in curves.mean(axis=0))
        table.add_row(name if arm == ARMS[0] else "", arm, *means)


def _paired(regrets: Mapping[str, Floats], trials: int) -> str:
    """Mean paired difference to no prior with its standard error, at three moments."""
    lines = []
    for arm in ARMS[1:]:
        for t in (trials // 4, trials // 2, trials):
            at = moments_of(trials).index(t)
            gain = regrets["none"][:, at] - regrets[arm][:, at]
            error = gain.std(ddof=1) / len(gain) ** 0.5
            wins = (gain > 0.0).mean()
            lines.append(
                f"{arm:9s} after {t:3d} trials: regret lower by {gain.mean():6.1f} ± "
                f"{1.96 * error:4.1f}, in {wins:.0%} of {len(gain)} searches"
            )
    return "\n".join(lines)


def _last_line(regrets: Mapping[str, Floats], trials: int) -> str:
    """``same_ARM_at_T``: trials to no prior's regret at trial T, divided by T."""
    means = {arm: curves.mean(axis=0) for arm, curves in regrets.items()}
    moments = moments_of(trials)
    parts: list[str] = []
    for t in (trials // 2, trials):
        target = float(np.interp(t, moments, means["none"]))
        base = needed(moments, means["none"], target)
        shares = {arm: needed(moments, means[arm], target) / base for arm in ARMS[1:]}
        parts.extend(f"same_{arm}_at{t}={share:.2f}" for arm, share in shares.items())
    return " ".join(parts)


if __name__ == "__main__":
    main()
