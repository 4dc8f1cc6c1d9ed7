"""Record real surfaces: rank vectors and the losses that really fine-tuning with them gave.

    python -m bench.surfaces.record STORIES_DIRECTORY [--only NAME] [--minutes N]

One file per surface in ``bench/surfaces/data``: a first line with the provenance, then one line
per trial. A killed recording goes on where it was; every surface ends by itself. STORIES_DIRECTORY
holds the pretrained stories260k model and its ``sample.txt``; the other base models are trained in
the demo's way on the spot, from the standard library's source, and cached.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import platformdirs
import torch

from bench.surfaces.catalogue import CATALOGUE, STORIES, TRAINED, Surface
from bench.trial_runner import TrialRunner, text_recipe
from perfmodel import random_vectors
from pruning.container.container import load, write_profiles
from pruning.methods.compression import compress
from pruning.profiling.calibration_text import Calibration, draw_windows
from pruning.profiling.profile import profile
from rankadaptor.demo.base_model import cached_base_model
from rankadaptor.demo.corpus import standard_library
from rankspace import Context, PrunedModel, RankVector, SearchSpace
from rankspace.context import layer_profiles
from rankspace.errors import Conflict
from rankspace.granularity import search_space
from rankspace.recipe import LINEAR_MODULES, Recipe
from rankspace.study import Budget, Search
from rankspace.trial import Split
from rankspace.wire import encode

DATA = Path(__file__).parent / "data"
REPEATED = 8
"""Vectors that get further seeds, uniform first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stories", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    deadline = time.monotonic() + 60 * options.minutes
    trials = 0
    for surface in CATALOGUE:
        if options.only in (None, surface.name):
            with TemporaryDirectory() as folder:
                trials += record(surface, options.stories, Path(folder), deadline)
    print(f"surfaces={len(CATALOGUE)} new_trials={trials}")


def record(surface: Surface, stories: Path, place: Path, deadline: float) -> int:
    """Run the trials of ``surface`` that its file does not have yet; return how many."""
    model, text = prepare(surface, stories, place)
    search = Search(
        ranks=surface.ranks, granularity=surface.granularity, budget=Budget(surface.budget)
    )
    space = search_space(model, LINEAR_MODULES, search)
    recipe = text_recipe(text, surface.rate)
    runner = TrialRunner(model, recipe, space, steps=surface.steps, split=Split.SELECTION)
    file = DATA / f"{surface.name}.jsonl"
    _begin(file, surface, model, space, context(surface, recipe, model, space))
    done = _done(file)
    ran = 0
    for vector, seed in wanted(surface, space):
        if (vector.ranks, seed) in done or time.monotonic() > deadline:
            continue
        _append(file, {"ranks": vector.ranks, "seed": seed, "loss": runner.loss(vector, seed)})
        ran += 1
    print(f"{surface.name}: {len(done) + ran} trials", flush=True)
    return ran


def prepare(surface: Surface, stories: Path, place: Path) -> tuple[PrunedModel, Path]:
    """Prune the surface's base model in ``place``; return it and the text it recovers on."""
    base, text = _source(surface, stories, place)
    return _prune(surface, base, text, place / "pruned"), text


def wanted(surface: Surface, space: SearchSpace) -> Iterator[tuple[RankVector, int]]:
    """Uniform and random vectors on the budget, some off it, and repeats on other seeds."""
    on_budget = [space.uniform(), *random_vectors(space, surface.vectors, 0)]
    for vector in on_budget:
        yield vector, 0
    for vector in _off_budget(surface, space):
        yield vector, 0
    for seed in range(1, surface.repeats + 1):
        for vector in on_budget[:REPEATED]:
            yield vector, seed


def _off_budget(surface: Surface, space: SearchSpace) -> Iterator[RankVector]:
    """Vectors that differ in their total as well: each draws its own share of zeros."""
    rng = np.random.default_rng(1)
    for _ in range(surface.unconstrained):
        kept = rng.random(len(space.layers)) < rng.uniform(0.1, 1.0)
        ranks = rng.choice(space.ranks, len(space.layers)) * kept
        yield RankVector(tuple(int(rank) for rank in ranks))


def _source(surface: Surface, stories: Path, place: Path) -> tuple[Path, Path]:
    if surface.base == STORIES:
        return stories, stories / "sample.txt"
    corpus = standard_library()
    cache = Path(platformdirs.user_cache_dir("rankadaptor", appauthor=False)) / "demo"
    base, _ = cached_base_model(corpus, TRAINED[surface.base], cache, lambda step, loss: None)
    text = place / "recovery.txt"
    text.write_text(corpus.recovery, encoding="utf-8")
    return base, text


def _prune(surface: Surface, base: Path, text: Path, target: Path) -> PrunedModel:
    calibration = Calibration(text, samples=32, length=64)
    compress(base, target, surface.pruning, calibration)
    loaded = load(target)
    windows = draw_windows(calibration, loaded.tokenizer)
    return write_profiles(target, profile(loaded, windows, load(base)))


def context(surface: Surface, recipe: Recipe, model: PrunedModel, space: SearchSpace) -> Context:
    """What the surface holds fixed, as a study with its recipe would."""
    return Context(
        architecture=model.architecture,
        parameters=model.parameters,
        steps=surface.steps,
        learning_rate=surface.rate,
        examples=recipe.batch.examples,
        sequence_length=recipe.sequence_length,
        alpha_per_rank=recipe.alpha_per_rank,
        profiles=layer_profiles(model, space),
    )


def _begin(
    file: Path, surface: Surface, model: PrunedModel, space: SearchSpace, fixed: Context
) -> None:
    """Write the first line, or complete one that an older recorder wrote.

    Raises:
        Conflict: The file was recorded on another model.
    """
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        _append(file, _provenance(surface, model, space, fixed))
        return
    first, _, trials = file.read_text().partition("\n")
    written = json.loads(first)
    if written["fingerprint"] != model.fingerprint:
        raise Conflict(
            f"{file.name} was recorded on model {written['fingerprint'][:12]}, "
            f"this is {model.fingerprint[:12]}",
            hint="move the file away, and record the surface anew",
        )
    if "context" not in written:
        completed = file.with_suffix(".partial")
        completed.write_text(json.dumps({**written, "context": encode(fixed)}) + "\n" + trials)
        completed.replace(file)


def _provenance(
    surface: Surface, model: PrunedModel, space: SearchSpace, fixed: Context
) -> dict[str, object]:
    return {
        "surface": encode(asdict(surface)),
        "fingerprint": model.fingerprint,
        "parameters": model.parameters,
        "torch": torch.__version__,
        "space": encode(space),
        "profiles": encode(model.profiles),
        "context": encode(fixed),
    }


def _done(file: Path) -> set[tuple[tuple[int, ...], int]]:
    rows = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    return {(tuple(row["ranks"]), row["seed"]) for row in rows}


def _append(file: Path, row: object) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
