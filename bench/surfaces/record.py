"""Record real surfaces: rank vectors and the losses that really fine-tuning with them gave.

    python -m bench.surfaces.record STORIES_DIRECTORY [--data FOLDER] [--only NAME] [--minutes N]

One file per surface in ``bench/surfaces/data``: a first line with the provenance, then one line
per trial. A killed recording goes on where it was; every surface ends by itself. STORIES_DIRECTORY
holds the pretrained stories260k model and its ``sample.txt``; the other base models are trained in
the demo's way on the spot and cached: on the standard library's source, or on what lies in FOLDER,
``text/{wikitext2,ptb}-{valid,test}.txt`` and ``instructions/gpteacher-roleplay.jsonl``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import platformdirs
import torch

from bench.recording import Recording, Row, Sources, command
from bench.surfaces.catalogue import CATALOGUE, STORIES, TRAINED, Surface
from bench.surfaces.corpora import halves
from bench.trial_runner import TrialRunner, text_recipe
from perfmodel import random_vectors
from pruning.container.container import load, write_profiles
from pruning.methods.compression import compress
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.profiling.dense_outputs import dense_outputs
from pruning.profiling.profile import profile
from rankadaptor.demo.base_model import cached_base_model
from rankspace import Context, PrunedModel, RankVector, SearchSpace
from rankspace.context import layer_profiles
from rankspace.granularity import search_space
from rankspace.recipe import LINEAR_MODULES, Recipe
from rankspace.study import Budget, Search
from rankspace.trial import Split
from rankspace.wire import encode

DATA = Path(__file__).parent / "data"
REPEATED = 8
"""Vectors that get further seeds, uniform first."""


def main() -> None:
    ran = command(__doc__, CATALOGUE, _recording)
    print(f"surfaces={len(CATALOGUE)} new_trials={ran}")


def _recording(surface: Surface, sources: Sources, place: Path) -> Recording:
    prepared = prepare(surface, sources, place)
    runner = prepared.runner(surface.steps)

    def trials(seen: Sequence[Row]) -> Iterator[Row]:
        done = {(tuple(row["ranks"]), row["seed"]) for row in seen}
        for vector, seed in wanted(surface, prepared.space):
            if (vector.ranks, seed) not in done:
                loss = runner.loss(vector, seed)
                yield {"ranks": vector.ranks, "seed": seed, "loss": loss}

    return Recording(DATA / f"{surface.name}.jsonl", _provenance(surface, prepared), trials)


@dataclass(frozen=True)
class PreparedSurface:
    """What all trials of a surface share.

    Attributes:
        model: Pruned.
        recipe: Of the fine-tunes.
        space: Of the rank vectors.
    """

    model: PrunedModel
    recipe: Recipe
    space: SearchSpace

    def runner(self, steps: int) -> TrialRunner:
        """Runs trials of so many steps."""
        return TrialRunner(self.model, self.recipe, self.space, steps=steps, split=Split.SELECTION)


def prepare(surface: Surface, sources: Sources, place: Path) -> PreparedSurface:
    """Prune the surface's base model in ``place``."""
    material = _material(surface, sources, place)
    model = _prune(surface, material.base, material.text, place / "pruned")
    search = Search(
        ranks=surface.ranks, granularity=surface.granularity, budget=Budget(surface.budget)
    )
    space = search_space(model, LINEAR_MODULES, search)
    recipe = text_recipe(material.train, surface.rate, material.form, surface.length)
    return PreparedSurface(model, recipe, space)


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
    highest = [choices[-1] for choices in space.options]
    for _ in range(surface.unconstrained):
        kept = rng.random(len(space.layers)) < rng.uniform(0.1, 1.0)
        ranks = np.minimum(rng.choice(space.ranks, len(space.layers)), highest) * kept
        yield RankVector(tuple(int(rank) for rank in ranks))


@dataclass(frozen=True)
class Material:
    """What a surface is made of.

    Attributes:
        base: Directory of the base model.
        text: What pruning looks at.
        train: What trials train on.
        form: Of that file.
    """

    base: Path
    text: Path
    train: Path
    form: Literal["text", "instruction"] = "text"


def _material(surface: Surface, sources: Sources, place: Path) -> Material:
    if surface.base == STORIES:
        text = sources.stories / "sample.txt"
        return Material(sources.stories, text, text)
    wanted = TRAINED[surface.base]
    learned = halves(wanted.corpus, sources)
    cache = Path(platformdirs.user_cache_dir("rankadaptor", appauthor=False)) / "demo"
    base, _ = cached_base_model(learned.corpus, wanted.size, cache, lambda step, loss: None)
    return Material(base, *learned.write(place), learned.format)


def _prune(surface: Surface, base: Path, text: Path, target: Path) -> PrunedModel:
    calibration = CalibrationText(text, samples=32, length=64)
    compress(base, target, surface.pruning, calibration)
    loaded = load(target)
    windows = draw_windows(calibration, loaded.tokenizer)
    with dense_outputs(lambda: load(base), windows) as dense:
        return write_profiles(target, profile(loaded, windows, dense))


def context(surface: Surface, prepared: PreparedSurface) -> Context:
    """What the surface holds fixed, as a study with its recipe would."""
    return Context(
        architecture=prepared.model.architecture,
        parameters=prepared.model.parameters,
        steps=surface.steps,
        learning_rate=surface.rate,
        examples=prepared.recipe.batch.examples,
        sequence_length=prepared.recipe.sequence_length,
        alpha_per_rank=prepared.recipe.alpha_per_rank,
        profiles=layer_profiles(prepared.model, prepared.space),
    )


def _provenance(surface: Surface, prepared: PreparedSurface) -> Row:
    return {
        "surface": encode(asdict(surface)),
        "corpus": STORIES if surface.base == STORIES else TRAINED[surface.base].corpus.value,
        "fingerprint": prepared.model.fingerprint,
        "parameters": prepared.model.parameters,
        "torch": torch.__version__,
        "space": encode(prepared.space),
        "profiles": encode(prepared.model.profiles),
        "context": encode(context(surface, prepared)),
    }


if __name__ == "__main__":
    main()
