"""How the winner is judged and what becomes of it: as the demo does, as far as the model allows."""

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rankadaptor.beginning.choice import Alternative, Choice
from rankspace import PrunedModel, SearchSpace
from rankspace.context import layer_profiles
from rankspace.study import Control, Recover, Verify
from rankspace.study.bounds import MAX_TRIALS
from rankspace.study.verify import LOOKS_APART

RATES: tuple[float, ...] = (0.33, 1, 3)
"""Of the recipe's learning rate, as the demo's: a third and three times it."""

UNPROFILED = (Control.O_PROJ, Control.DOWN_PROJ)
"""Controls that need to know nothing of the model but its shape."""


def controls_of(model: PrunedModel, space: SearchSpace) -> tuple[Control, ...]:
    """Return the controls that can be made: of kinds that are searched, and of what is profiled."""
    highest = max(space.ranks)
    kinds = {space.layers[at].module for at in space.free_layers}
    found = [control for control in UNPROFILED if control.value in kinds]
    profiles = layer_profiles(model, space, highest)
    if profiles:
        found.append(Control.LARGEST_GRADIENT)
        free = space.free_layers
        if all(len(profiles[at].explained) >= space.choices(at)[-1] for at in free):
            found.append(Control.EVA)
    return tuple(found)


def verification(controls: Sequence[Control]) -> Verify:
    """Return the demo's verification: trials enough for a second look at the interval."""
    wide = Verify(max_trials=MAX_TRIALS, random_control=True, controls=tuple(controls), rates=RATES)
    least = replace(wide, max_trials=wide.least_trials(), at="recipe")
    return replace(least, max_trials=least.on(math.ceil(LOOKS_APART * least.seeds)).max_trials)


def verify_choices(
    model: PrunedModel, space: SearchSpace, trials: int, recovery: int | None
) -> Iterator[Choice]:
    """Yield the choices for verification and recovery.

    Args:
        model: With the profiles that some controls need.
        space: Of the search.
        trials: Of the search.
        recovery: Optimiser steps of a recovery; None where they are not known.
    """
    verify = verification(controls_of(model, space))
    yield Choice(
        "verify.seeds",
        verify.seeds,
        "Fresh seeds, on held-out text that the search never saw, before the first look at the "
        "interval.",
    )
    yield Choice(
        "verify.max_trials",
        verify.max_trials,
        f"Pays for a second look where the first leaves it open; {verify.planned_trials()} trials "
        "are run if it does not.",
    )
    yield Choice(
        "verify.random_control",
        verify.random_control,
        f"{trials} random vectors beside the {trials} of the search: what does chance alone find?",
        (Alternative(False, f"saves these {trials} trials; chance stays unmeasured"),),
    )
    yield _controls(model, verify)
    yield Choice(
        "verify.rates",
        list(verify.rates),
        "Multiples of the learning rate: does the gain hang on it? "
        f"{2 * len(verify.other_rates)} trials.",
        (Alternative([], "saves them"),),
    )
    yield Choice(
        "verify.at",
        verify.at,
        f"Does the gain last the whole recipe? Winner and uniform on {verify.recipe_seeds} seeds: "
        f"{2 * verify.recipe_seeds} recoveries instead of one.",
        (Alternative("trial", "recovers the winner once; a gain may be gone then, unseen"),),
    )
    yield from _recover(recovery)


def _controls(model: PrunedModel, verify: Verify) -> Choice:
    lacking = [control.value for control in Control if control not in verify.controls]
    said = (
        "Vectors that need no search, each verified against the winner: is the search worth it? "
        f"{len(verify.controls) * verify.seeds} trials."
    )
    if lacking and not model.profiles:
        said += f" After `rankadaptor profile {shlex.quote(model.path)} --text FILE` also "
        said += f"{' and '.join(lacking)}, and the search begins with a better opinion of layers."
    elif lacking:
        said += f" Not possible with this model or its profiles: {' and '.join(lacking)}."
    value = [control.value for control in verify.controls]
    return Choice("verify.controls", value, said, (Alternative([], "saves them"),))


def _recover(recovery: int | None) -> Iterator[Choice]:
    recover = Recover()
    count = f", {recovery:,} steps" if recovery else ""
    steps = recovery or 1000
    yield Choice(
        "recover.epochs",
        recover.epochs,
        f"Passes over the training examples{count}: the full fine-tune, whose adapter is exported.",
    )
    yield Choice(
        "recover.steps",
        None,
        "Instead of epochs:",
        (Alternative(steps, "optimiser steps"),),
    )
    yield Choice(
        "recover.metrics",
        None,
        "What recovered models are evaluated on, by absolute paths (docs/evaluating.md):",
        (
            Alternative(
                [{"perplexity": "/data/wikitext2-test.txt", "form": "wikitext2"}],
                "perplexity as published",
            ),
        ),
    )
