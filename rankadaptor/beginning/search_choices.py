"""Where to look and at what price: choices for the search, from the model and the recovery."""

import math
from collections.abc import Iterator

from rankadaptor.beginning.choice import Alternative, Choice
from rankspace import PrunedModel, SearchSpace
from rankspace.study import Budget, Granularity, Search, StrategyName, Survey, TrialRun

TRIALS = ((35, 30), (64, 40), (300, Budget().trials))
"""Trials by how many ranks are searched at most. The default model was made for 35 to 560 layers in
30 to 100 trials (docs/decisions/0005); the demo's 42 take 40, the 224 of a 7B model the default."""

MOST_TRIALS = 100
"""For more layers than the table has."""

RECOVERY_SHARE = 5
"""A trial has at most one step of so many of a recovery, as the demo's."""

LEAST_TRIAL_STEPS = 10


def trials_of(layers: int) -> int:
    """Return how many trials a search of so many ranks begins with."""
    return next((trials for most, trials in TRIALS if layers <= most), MOST_TRIALS)


def trial_steps(recovery: int | None) -> int:
    """Return the steps of a trial, from those of the recovery; None where nobody knows them."""
    usual = TrialRun().steps
    return (
        usual
        if recovery is None
        else min(usual, max(LEAST_TRIAL_STEPS, recovery // RECOVERY_SHARE))
    )


def search_choices(
    model: PrunedModel, space: SearchSpace, recovery: int | None
) -> Iterator[Choice]:
    """Yield the choices for a search.

    Args:
        model: To find what ranks cost beside it.
        space: Of the default search.
        recovery: Optimiser steps of a recovery; None where they are not known.
    """
    search = Search()
    yield Choice(
        "search.ranks",
        list(search.ranks),
        "What each matrix may get; 0 lets it go without an adapter. A rank of the budget below has "
        "to be among them.",
        (Alternative([0, 1, 2, 4, 8], "with a tight budget, as uniform:2 or uniform:4"),),
    )
    yield _granularity(space)
    yield Choice(
        "search.fixed",
        None,
        "Layers whose rank is not searched, by name or pattern:",
        (Alternative({"model.layers.0.*": search.ranks[1]}, "the first block keeps this rank"),),
    )
    yield _budget(model, space)
    yield _trials(space)
    yield Choice(
        "search.budget.gpu_hours",
        None,
        "After so many hours of training in the search no new trial starts; no limit without it:",
        (Alternative(6, "an evening"),),
    )
    steps = trial_steps(recovery)
    yield _steps(recovery)
    yield Choice(
        "search.trial.stop_risk",
        None,
        "Ends hopeless trials early, at this risk of ending the one that would have won:",
        (Alternative(0.02, "saves training time; off by default"),),
    )
    yield from _who(steps)


def _granularity(space: SearchSpace) -> Choice:
    blocks = len({layer.block for layer in space.layers})
    block = (
        f"As in the RankAdaptor paper: {blocks} ranks to find, but matrices of a block share one"
    )
    return Choice(
        "search.granularity",
        Granularity.MODULE.value,
        f"One rank per weight matrix: {len(space.layers)} ranks to find.",
        (Alternative(Granularity.BLOCK.value, block),),
    )


def _budget(model: PrunedModel, space: SearchSpace) -> Choice:
    budget = Budget()
    rank = budget.uniform_rank()
    others = [one for one in space.ranks if one > 0 and one in (2, 4, 16) and one != rank]
    instead = (Alternative(f"uniform:{one}", _price(model, space, one)) for one in others)
    return Choice(
        "search.budget.parameters",
        budget.parameters,
        f"Trainable parameters of a vector: as many as rank {rank} everywhere, "
        f"{_price(model, space, rank or 1)}. It is also what the winner is compared with. Where "
        "the budget is tight, it matters most who gets it.",
        tuple(instead),
    )


def _price(model: PrunedModel, space: SearchSpace, rank: int) -> str:
    cost = space.cost_of_constant(rank)
    return f"{cost:,} parameters or {cost / model.parameters:.2%} of the model"


def _trials(space: SearchSpace) -> Choice:
    layers, trials = len(space.free_layers), trials_of(len(space.free_layers))
    return Choice(
        "search.budget.trials",
        trials,
        f"Trainings that the search compares, a first value for {layers} ranks; more ranks want "
        "more of them. `rankadaptor extend` adds some later.",
        (Alternative(math.ceil(trials / 2), "half the price; the winner is less certain"),),
    )


def _steps(recovery: int | None) -> Choice:
    steps = trial_steps(recovery)
    usual = f"the usual number, {TrialRun().steps}"
    if recovery is None:
        why = f"{usual}, as the file is large and the steps of a recovery are not known here"
    elif steps < TrialRun().steps:
        why = f"one in {RECOVERY_SHARE} of the recovery's {recovery:,}, as there are few; "
        why += f"usual are {TrialRun().steps}"
    else:
        why = f"{usual}; a recovery has {recovery:,}"
    return Choice(
        "search.trial.steps",
        steps,
        f"Optimiser steps of a trial: {why}. The whole price of the search grows with it.",
        (Alternative(2 * steps, "nearer to the recovery, at twice the price"),),
    )


def _who(steps: int) -> Iterator[Choice]:
    yield Choice(
        "search.strategy",
        None,
        "Who proposes; the default, additive, takes turns with others where it predicts badly:",
        (Alternative(StrategyName.GP.value, "where the worst few layers decide, or ranks hurt"),),
    )
    survey = Survey()
    yield Choice(
        "search.survey",
        None,
        "One elastic training before the search, on which many vectors are scored, to tell layers "
        f"apart. It costs about as much as {max(1, round(survey.steps / steps))} trials:",
        (
            Alternative(
                {"steps": survey.steps, "vectors": survey.vectors},
                "whether it pays is not shown yet, see docs/experiments.md",
            ),
        ),
    )
    yield Choice(
        "search.prior",
        None,
        "The search begins with what other studies, of small models, expect of layers:",
        (Alternative("none", "without an opinion"),),
    )
