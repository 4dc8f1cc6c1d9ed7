"""Context: what a study holds fixed, as far as other studies can be compared by it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rankspace.granularity import owned_names
from rankspace.layer_profile import LayerProfile
from rankspace.pruned_model import PrunedModel
from rankspace.search_space import Layer, SearchSpace
from rankspace.study import Control, Study


@dataclass(frozen=True, slots=True)
class Context:
    """Features of the meta-learned prior that are not the ranks.

    Attributes:
        architecture: Transformers class name, empty if unknown.
        parameters: Weights of the pruned model; 0 if unknown.
        steps: Optimiser steps of a search trial.
        learning_rate: Its peak.
        examples: Per optimiser step.
        sequence_length: Tokens per example.
        alpha_per_rank: LoRA alpha divided by rank.
        profiles: One per layer of the search space, in its order; empty if not all are known.
            ``explained`` is there for a study whose controls need it, to its highest rank.
    """

    architecture: str = ""
    parameters: int = 0
    steps: int = 0
    learning_rate: float = 0.0
    examples: int = 0
    sequence_length: int = 0
    alpha_per_rank: float = 0.0
    profiles: tuple[LayerProfile, ...] = ()


def context_of(model: PrunedModel, study: Study, space: SearchSpace) -> Context:
    """Read the context of ``study`` from what it says and from the described model."""
    recipe = study.recipe
    return Context(
        architecture=model.architecture,
        parameters=model.parameters,
        steps=study.search.trial.steps,
        learning_rate=recipe.optimizer.learning_rate,
        examples=recipe.batch.examples,
        sequence_length=recipe.sequence_length,
        alpha_per_rank=recipe.alpha_per_rank,
        profiles=layer_profiles(model, space, _components(study, space)),
    )


def _components(study: Study, space: SearchSpace) -> int:
    """How much of the spectra is kept with the study: they are longer than all else of it."""
    return max(space.ranks) if Control.EVA in study.verify.controls else 0


def layer_profiles(
    model: PrunedModel, space: SearchSpace, components: int = 0
) -> tuple[LayerProfile, ...]:
    """One profile per layer of ``space``; a block's is the mean over its matrices.

    Matrices count by their parameters per rank. Empty if a layer has no profiled matrix. Of
    ``explained`` it has the first ``components``, or as many as are known of all its matrices.
    """
    costs = {matrix.name: matrix.parameters_per_rank for matrix in model.matrices}
    profiled = {profile.name: profile for profile in model.profiles if profile.name in costs}
    owned = owned_names(space.layers, profiled)
    found = []
    for layer in space.layers:
        mine = [profiled[name] for name in owned[layer.name]]
        if not mine:
            return ()
        cut = [replace(profile, explained=profile.explained[:components]) for profile in mine]
        found.append(_mean(layer, cut, [costs[profile.name] for profile in mine]))
    return tuple(found)


def _mean(layer: Layer, profiles: Sequence[LayerProfile], weights: Sequence[int]) -> LayerProfile:
    def mean(values: Iterable[float]) -> float:
        return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)

    def average(name: str) -> float:
        return mean(float(getattr(profile, name)) for profile in profiles)

    has_error = all(profile.reconstruction_error is not None for profile in profiles)
    return LayerProfile(
        name=layer.name,
        depth=average("depth"),
        kept=average("kept"),
        input_norm=average("input_norm"),
        output_norm=average("output_norm"),
        gradient_norm=average("gradient_norm"),
        effective_rank=average("effective_rank"),
        reconstruction_error=average("reconstruction_error") if has_error else None,
        explained=tuple(map(mean, zip(*(one.explained for one in profiles), strict=False))),
    )
