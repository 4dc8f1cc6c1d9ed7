"""Elastic trainings on a prepared surface, with the seconds that they take."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.surfaces.record import PreparedSurface
from bench.survey.plan import Run
from perfmodel import random_vectors
from pruning.container.container import load
from rankspace import RankVector
from rankspace.granularity import module_ranks, per_matrix
from rankspace.trial import Split
from service.planning.surveying import POOL, POOL_SEED
from tuning.back_ends import ADAPTER_BACK_ENDS, DEFAULT_BACK_END
from tuning.batches import schedule
from tuning.data import prepare
from tuning.elastic.adapter import ElasticAdapter
from tuning.elastic.schemes import forms
from tuning.elastic.scoring import scores
from tuning.measuring import mean_loss
from tuning.training import train
from worker.trial.planning import asked_passes
from worker.trial.surveying import SHARE

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Surveyed:
    """What one elastic training said.

    Attributes:
        losses: Of each vector, in nats.
        train_seconds: Of the training; of the processor, as all seconds here.
        score_seconds: Of all scores together.
    """

    losses: tuple[float, ...]
    train_seconds: float
    score_seconds: float


class ElasticBench:
    """The model and data of one surface, as its trials had them."""

    def __init__(self, prepared: PreparedSurface) -> None:
        loaded = load(Path(prepared.model.path))
        self._model, self._space, self._recipe = loaded.model, prepared.space, prepared.recipe
        self._modules = [matrix.name for matrix in loaded.description.matrices]
        data = prepare(self._recipe.data, self._recipe.sequence_length, loaded.tokenizer)
        self._train, self._held_out = data.train, data.held_out[Split.SELECTION]

    def trial_seconds(self, steps: int) -> float:
        """What a trial of uniform ranks takes, its measurement included."""
        began = time.process_time()
        ranks = self._ranks(self._space.uniform())
        attached = ADAPTER_BACK_ENDS[DEFAULT_BACK_END].attach(
            self._model, ranks, alpha_per_rank=self._recipe.alpha_per_rank, seed=0
        )
        self._run(attached.parameters, steps, 0)
        mean_loss(self._model, self._held_out, CPU)
        attached.detach()
        return time.process_time() - began

    def survey(self, run: Run, vectors: Sequence[RankVector]) -> Surveyed:
        """Train once as ``run`` says, on a pool of its own, and score ``vectors``."""
        largest = RankVector(tuple(max(choices) for choices in self._space.options))
        alpha = self._recipe.alpha_per_rank
        ranks = self._ranks(largest)
        adapter = ElasticAdapter(self._model, ranks, alpha_per_rank=alpha, seed=run.seed)
        drawn = random_vectors(self._space, POOL, run.seed + POOL_SEED)
        pool = [self._ranks(vector) for vector in drawn]
        began = time.process_time()
        at = forms(adapter, pool, run.steps, run.seed, run.scheme)
        self._run(adapter.parameters, run.steps, run.seed, forms=at)
        trained = time.process_time()
        asked = [self._ranks(vector) for vector in vectors]
        found = scores(adapter, asked, self._model, self._held_out[::SHARE], CPU)
        losses = tuple(-score for score in found)
        adapter.detach()
        return Surveyed(losses, trained - began, time.process_time() - trained)

    def _run(
        self, parameters: Sequence[torch.nn.Parameter], steps: int, seed: int, **more: object
    ) -> None:
        batch = self._recipe.batch
        batches = schedule(self._train, batch.examples, steps, seed)
        optimizer = self._recipe.optimizer
        longest = max(len(example.tokens) for example in self._train)
        settings = {"steps": steps, "passes": asked_passes(batch, longest, CPU), **more}
        train(self._model, parameters, batches, optimizer, **settings)  # type: ignore[arg-type]

    def _ranks(self, vector: RankVector) -> Mapping[str, int]:
        layers, said = per_matrix(self._space, vector)
        ranks = module_ranks(layers, said, self._modules)
        return {name: rank for name, rank in ranks.items() if rank > 0}
