"""Study: one search, as a person writes it. The YAML schema is these classes, read by ``wire``."""

from dataclasses import dataclass, field, replace

from rankspace.errors import InvalidInput
from rankspace.evaluation.recovery_metric import RecoveryMetric, check_metrics
from rankspace.recipe import Inputs, Recipe
from rankspace.study.bounds import (
    MAX_FRESH_SEEDS,
    MAX_GIB,
    MAX_STEPS,
    MAX_TRIALS,
    MAX_VERSION,
    MOST_CANDIDATES,
    within,
)
from rankspace.study.search import Search
from rankspace.study.verify import Verify
from rankspace.wire import LATER


@dataclass(frozen=True, slots=True)
class Recover:
    """The full fine-tune of the winner.

    Attributes:
        epochs: Passes over the training data.
        steps: Optimiser steps instead of epochs.
        metrics: Perplexities and tasks that every recovered model is evaluated on, at most 8, each
            a group of ``perplexity`` or ``task``, and ``form``, ``window``, ``limit``.
    """

    epochs: int = 2
    steps: int | None = None
    metrics: tuple[RecoveryMetric, ...] = field(default=(), metadata=LATER)

    def __post_init__(self) -> None:
        within(1, MAX_STEPS, "epochs", self.epochs)
        if self.steps is not None:
            within(1, MAX_STEPS, "steps", self.steps)
        check_metrics(self.metrics)


@dataclass(frozen=True, slots=True)
class Extension:
    """How a study that is done goes on.

    Attributes:
        trials: Search trials beside those it had.
        seeds: Fresh seeds before the first look of the verification that follows; None for as many
            as before. Seeds of earlier verifications count no more: they were seen.
        candidates: Rank vectors of a person's own, which are the first of the trials, or all of
            them if ``trials`` is not given.
    """

    trials: int = 0
    seeds: int | None = None
    candidates: tuple[tuple[int, ...], ...] = ()

    @property
    def ordered(self) -> int:
        """Search trials in all."""
        return self.trials or len(self.candidates)

    def __post_init__(self) -> None:
        within(0, MAX_TRIALS, "trials", self.trials)
        if self.seeds is not None:
            within(3, MAX_FRESH_SEEDS, "seeds", self.seeds)
        if len(self.candidates) > MOST_CANDIDATES:
            fix = f"give {MOST_CANDIDATES} or fewer, and the others while it searches"
            raise InvalidInput("candidates", len(self.candidates), "are too many", fix=fix)
        if len(self.candidates) > self.ordered:
            problem = f"are fewer than the {len(self.candidates)} candidates"
            fix = "leave it out, or give each of them a trial"
            raise InvalidInput("trials", self.trials, problem, fix=fix)
        if not self.ordered and self.seeds is None:
            fix = "give more trials, or fresh seeds for another verification"
            raise InvalidInput("trials", self.trials, "extends nothing", fix=fix)


@dataclass(frozen=True, slots=True)
class Study:
    """One search. Only ``name``, ``model`` and ``recipe.data.train`` have no default.

    Attributes:
        name: For people; need not be unique.
        model: Directory of a pruned-model container or of a plain Hugging Face model.
        recipe: How to fine-tune.
        search: Where to look.
        verify: How to check.
        recover: What to do with the winner.
        gpu_memory_gib: Least GPU memory of a worker that may run its trials; 0 for any worker, one
            without a GPU included. Where it is left out, `rankadaptor submit` works out what a
            trial takes of a GPU, and GPUs with less get none; workers without a GPU may run them.
        inputs: What the training file and the tokenizer were; trials on others are refused.
        paper: ``true`` searches as in the RankAdaptor paper: strategy ``rankadaptor``, one rank
            per block out of 2, 4, 6, 8, 10 and 12, and rank 8 on the blocks that pruning left
            whole. A stored study has the name of the preset, and what it set.
    """

    name: str
    model: str
    recipe: Recipe
    search: Search = field(default_factory=Search)
    verify: Verify = field(default_factory=Verify)
    recover: Recover = field(default_factory=Recover)
    gpu_memory_gib: float | None = field(default=None, metadata=LATER)
    inputs: Inputs = field(default_factory=Inputs)
    paper: bool | str = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        if self.gpu_memory_gib is not None:
            _check_gib(self.gpu_memory_gib)
        if not self.name.strip() or len(self.name) > 200:
            raise InvalidInput("name", self.name, "must have 1 to 200 characters", fix="shorten it")
        if not self.model.strip():
            raise InvalidInput("model", self.model, "is empty", fix="give the model's directory")
        if len(str(self.paper)) > MAX_VERSION:
            problem = f"has more than {MAX_VERSION} characters"
            raise InvalidInput("paper", self.paper, problem, fix="write true, or leave it out")

    def extended(self, by: Extension) -> "Study":
        """The same with more trials, and a verification of its own after them.

        Raises:
            InvalidInput: More trials than a study may have.
        """
        budget = replace(self.search.budget, trials=self.search.budget.trials + by.ordered)
        verify = self.verify if by.seeds is None else self.verify.on(by.seeds)
        return replace(self, search=replace(self.search, budget=budget), verify=verify)


def _check_gib(gib: float) -> None:
    if not 0.0 <= gib <= MAX_GIB:
        problem, fix = f"must be 0 to {MAX_GIB:,}", "give the GiB a trial needs"
        raise InvalidInput("gpu_memory_gib", gib, problem, fix=fix)
