"""Cost: how much training a study is, before anybody knows how fast its workers are."""

from dataclasses import dataclass

from rankadaptor.beginning.lengths import Lengths
from rankspace import PrunedModel, Study

TRAINED = 4
"""Operations per weight and trained token: two forward and two backward, to the activations. The
frozen weights get no gradient, and adapters are small beside them."""

READ = 2
"""Operations per weight and token of held-out text."""

PACE = 1e14
"""Operations in a second that a time is told for: about a third of what data sheets promise of an
A100 in bfloat16. A unit, not a measurement."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a study that is decided at the first look.

    Attributes:
        search: Trials of the search.
        random: Random ones beside them.
        verification: Trials of verification, controls and other rates.
        recoveries: Full fine-tunes.
        trial_tokens: Trained in one trial.
        recovery_tokens: Trained in one recovery; 0 where its steps are not known.
        operations: Of all of it.
    """

    search: int
    random: int
    verification: int
    recoveries: int
    trial_tokens: int
    recovery_tokens: int
    operations: float

    @property
    def trials(self) -> int:
        """All that is no recovery."""
        return self.search + self.random + self.verification

    @property
    def hours(self) -> float:
        """Of one device of ``PACE``."""
        return self.operations / PACE / 3600


def cost_of(
    study: Study,
    model: PrunedModel,
    lengths: Lengths | None,
    recovery: int | None,
    *,
    recomputes: bool = False,
) -> Cost:
    """Count the tokens of a study; without ``lengths`` every example is as long as may be.

    Where memory asks for blocks to be computed twice, a trained token is read once more.
    """
    recipe, verify, trials = study.recipe, study.verify, study.search.budget.trials
    length = recipe.sequence_length
    mean = lengths.mean(length) if lengths else length
    per_step = recipe.batch.examples * mean
    trial, whole = study.search.trial.steps * per_step, (recovery or 0) * per_step
    random = trials if verify.random_control else 0
    verification = verify.planned_trials() + verify.control_trials()
    recoveries = 2 * verify.recipe_seeds if verify.at == "recipe" else 1
    count = trials + random + verification
    trained = count * trial + recoveries * whole
    read = (count + recoveries) * recipe.data.held_out // 2 * mean
    per_token = TRAINED + READ * recomputes
    operations = model.parameters * (per_token * trained + READ * read)
    return Cost(
        trials, random, verification, recoveries, round(trial), round(whole), float(operations)
    )
