"""Invented studies whose layers' worth follows from their features, by rules of the test's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel import random_vectors
from perfmodel.arrays import Floats
from perfmodel.meta.finished import FinishedStudy
from rankspace import Context, Layer, LayerProfile, Observation, RankVector, SearchSpace
from rankspace.recipe import LINEAR_MODULES

KIND_WORTH = dict(zip(LINEAR_MODULES, (-1.2, -1.6, 0.3, 0.5, 0.6, 0.7, 0.2), strict=True))


@dataclass(frozen=True)
class World:
    """A study and the truth it was made from.

    Attributes:
        study: What meta-learning sees.
        log_worth: Truth per layer, mean 0.
    """

    study: FinishedStudy
    log_worth: tuple[float, ...]


def world(seed: int, *, blocks: int = 5, trials: int = 90, noise: float = 0.1) -> World:
    """Worth grows with the gradient and the kind; scores bend as a square root, then stop.

    Args:
        seed: Everything about it.
        blocks: Of seven matrices each.
        trials: Random vectors on the budget.
        noise: Its standard deviation, in standard deviations of the scores.
    """
    rng = np.random.default_rng(seed)
    layers = tuple(
        Layer(f"model.layers.{block}.x.{module}", int(rng.integers(60, 200)), block, module)
        for block in range(blocks)
        for module in LINEAR_MODULES
    )
    gradients = np.exp(rng.normal(0.0, 0.7, len(layers)))
    kinds = np.array([KIND_WORTH[str(layer.module)] for layer in layers])
    log_worth = kinds + 0.8 * np.log(gradients)
    log_worth -= log_worth.mean()
    costs = sum(layer.parameters_per_rank for layer in layers)
    space = SearchSpace(layers, (0, 1, 2, 4, 8), 2 * costs)
    vectors = random_vectors(space, trials, seed)
    clean = _clean(vectors, log_worth)
    scores = clean + noise * clean.std() * rng.standard_normal(trials)
    profiles = tuple(
        _profile(layer, blocks, float(gradient), rng)
        for layer, gradient in zip(layers, gradients, strict=True)
    )
    observations = tuple(map(Observation, vectors, scores.tolist()))
    context = Context("LlamaForCausalLM", 1000, 40, 1e-2, 16, 64, 2.0, profiles)
    study = FinishedStudy(f"world {seed}", space, context, observations, f"m{seed}", f"f{seed}")
    return World(study, tuple(log_worth.tolist()))


def truth(one: World, vectors: Sequence[RankVector]) -> Floats:
    """Scores without noise, ``(n,)``."""
    return _clean(vectors, np.array(one.log_worth))


def _clean(vectors: Sequence[RankVector], log_worth: Floats) -> Floats:
    ranks = np.array([vector.ranks for vector in vectors], dtype=np.float64)
    return np.asarray(0.01 * np.minimum(np.sqrt(ranks / 2.0), 1.8) @ np.exp(log_worth))


def repeated(study: FinishedStudy, seeds: int, noise: float) -> FinishedStudy:
    """Only repeats: ten vectors on each of ``seeds`` seeds, which shift all of a seed's scores."""
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        for seen in study.observations[:10]:
            assert seen.score is not None
            score = seen.score + 5.0 * seed + noise * float(rng.standard_normal())
            rows.append(Observation(RankVector(seen.rank_vector.ranks), score, seed))
    return FinishedStudy(study.name, study.space, study.context, tuple(rows))


def _profile(layer: Layer, blocks: int, gradient: float, rng: np.random.Generator) -> LayerProfile:
    return LayerProfile(
        name=layer.name,
        depth=(layer.block or 0) / (blocks - 1),
        kept=float(rng.choice([0.5, 1.0])),
        input_norm=float(np.exp(rng.normal())),
        output_norm=float(np.exp(rng.normal())),
        gradient_norm=gradient,
        effective_rank=float(rng.uniform(0.3, 0.9)),
        reconstruction_error=float(rng.uniform(0.0, 0.8)),
    )
