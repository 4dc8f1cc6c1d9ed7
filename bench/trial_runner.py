"""Trials without a service: the worker's own code on one model, one loss per (vector, seed)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from rankspace import Assignment, Layer, PrunedModel, Purpose, RankVector, SearchSpace
from rankspace.granularity import per_matrix
from rankspace.recipe import Batch, Data, Optimizer, Recipe
from rankspace.trial import Split
from worker.trial.evaluation import Evaluator


def text_recipe(
    train: Path,
    rate: float,
    form: Literal["text", "instruction"] = "text",
    length: int = 64,
) -> Recipe:
    """The demo's recipe on another text, or on instructions."""
    return Recipe(
        Data(str(train.resolve()), form, held_out=512),
        sequence_length=length,
        batch=Batch(16, 16),
        optimizer=Optimizer(learning_rate=rate, warmup_steps=4),
    )


def layers_of(model: PrunedModel) -> tuple[Layer, ...]:
    """Every matrix of the model is a layer."""
    return tuple(
        Layer(one.name, one.parameters_per_rank, one.block, one.module) for one in model.matrices
    )


def assignment(
    model: PrunedModel,
    recipe: Recipe,
    layers: tuple[Layer, ...],
    vector: RankVector,
    *,
    seed: int,
    steps: int,
) -> Assignment:
    """A trial of the search, as a service would hand it out."""
    return Assignment(
        trial_id=seed,
        token=1,
        study_id="bench",
        study_name="bench",
        purpose=Purpose.SEARCH,
        model_path=model.path,
        model_fingerprint=model.fingerprint,
        recipe=recipe,
        layers=layers,
        rank_vector=vector,
        seed=seed,
        steps=steps,
        epochs=1,
        split=Split.SELECTION,
        keep_adapter=False,
        lease_seconds=60,
        heartbeat_seconds=20,
    )


@dataclass(frozen=True)
class Run:
    """One fine-tune.

    Attributes:
        loss: Mean next-token loss on the held-out split, in nats.
        steps: Training loss of each step, in nats, from step 1 on.
    """

    loss: float
    steps: tuple[float, ...]


class TrialRunner:
    """Fine-tunes ``model`` with a rank vector of ``space`` and measures it."""

    def __init__(
        self, model: PrunedModel, recipe: Recipe, space: SearchSpace, *, steps: int, split: Split
    ) -> None:
        self._evaluator = Evaluator(torch.device("cpu"))
        self._model, self._recipe, self._space = model, recipe, space
        self._steps, self._split = steps, split

    def loss(self, vector: RankVector, seed: int) -> float:
        """Mean next-token loss in nats; the same vector and seed give the same number."""
        return self.run(vector, seed).loss

    def run(self, vector: RankVector, seed: int) -> Run:
        """Fine-tune and keep the training losses as well."""
        losses: list[float] = []

        def note(step: int, loss: float) -> bool:
            losses.append(loss)
            return False

        found = self._evaluator.evaluate(self._assignment(vector, seed), note).loss
        return Run(found, tuple(losses))

    def _assignment(self, vector: RankVector, seed: int) -> Assignment:
        layers, ranks = per_matrix(self._space, vector)
        found = assignment(self._model, self._recipe, layers, ranks, seed=seed, steps=self._steps)
        return replace(found, split=self._split)
