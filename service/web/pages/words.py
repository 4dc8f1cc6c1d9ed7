"""What the status page says in plain words."""

from rankspace import Comparison, Verdict
from rankspace.study import MOST_NATS
from rankspace.verdict import Controlled, RecipeVerdict
from service.storage.clock import timestamp

LEAST_SHARE = 0.005
"""Of parameters saved, which fewer than that would be 0 %."""


def verdict_words(verdict: Verdict, awaited: str = "") -> tuple[str, ...]:
    """Say what the study may claim, one sentence each; what contradicts it first.

    Args:
        verdict: What was found.
        awaited: Why the whole recipe is not judged, where somebody asked for it.
    """
    first = filter(None, (verdict.contradiction, awaited))
    caveat = (verdict.caveat,) if verdict.caveat else ()
    beside = (*_against_random(verdict), *_against_controls(verdict), *_at_rates(verdict))
    answers = (_against_uniform(verdict), *_after_recipe(verdict))
    return (*first, *answers, *caveat, *beside, _cheapest(verdict))


def _after_recipe(verdict: Verdict) -> tuple[str, ...]:
    """The line of its own that the whole recipe has."""
    if verdict.recipe is None:
        return ()
    found = verdict.recipe.comparison
    return (f"{verdict.recipe.sentence} {_interval(found) if found else ''}".rstrip(),)


def recovered_losses(recipe: RecipeVerdict) -> tuple[tuple[str, str, str], ...]:
    """Rows of what was recovered: what it is, its held-out loss, and that on each seed."""
    return tuple((name, mean, ", ".join(seeds)) for name, mean, seeds in recipe.losses)


def _against_controls(verdict: Verdict) -> tuple[str, ...]:
    """Vectors that need no search, each at the same budget."""
    return tuple(map(_against_control, verdict.controls))


def _against_control(control: Controlled) -> str:
    found = control.comparison
    said = f"{found.answer}. {_interval(found)}" if found else "failed, nothing is shown."
    return f"Against {control.name}, which needs no search: {said}"


def _at_rates(verdict: Verdict) -> tuple[str, ...]:
    return (f"At other learning rates: {verdict.rates.summary}",) if verdict.rates else ()


def _against_uniform(verdict: Verdict) -> str:
    return f"{verdict.sentence} {_interval(verdict.versus_uniform)}"


def _against_random(verdict: Verdict) -> tuple[str, ...]:
    versus = verdict.versus_random
    if versus is None:
        return ()
    found = f"Against the best of the random vectors: {versus.answer}. {_interval(versus)}"
    return (f"{found} {_luck(verdict.luck)}".rstrip(),)


def _luck(luck: float) -> str:
    """What is allowed for luck; 0 in verdicts of before, all there is where one draw says nothing.

    What is said of these vectors is not promised of the search.
    """
    if luck >= MOST_NATS:
        return "So few random vectors say nothing of the search."
    if not luck:
        return ""
    return (
        f"One draw may lead another by {luck:.4f} where scores are about normal, by more where few "
        "vectors stand out: this is these two vectors, not the search."
    )


def _cheapest(verdict: Verdict) -> str:
    saved = verdict.uniform_parameters - verdict.cheapest_parameters
    if saved <= 0:
        return "No cheaper vector was shown to be as good as uniform ranks."
    share = saved / verdict.uniform_parameters
    fewer = f"{share:.0%}" if share >= LEAST_SHARE else f"{saved:,}"
    return (
        f"{verdict.cheapest_parameters:,} parameters are enough to be not worse than uniform "
        f"ranks within {verdict.margin:.2g}: {fewer} fewer than its "
        f"{verdict.uniform_parameters:,}."
    )


def _interval(comparison: Comparison) -> str:
    lost = f", {comparison.failed} more failed" if comparison.failed else ""
    told = comparison.texts_seeds
    on = f" (told on {told})" if 0 < told < comparison.seeds else ""
    texts = f" and {comparison.texts} groups of texts{on}" if comparison.texts else ""
    worst = "" if comparison.worst is None else f" The worst seed: {comparison.worst:+.4f}."
    least = (
        f" To be better it must exceed {comparison.least_gain:.4f}." if comparison.is_small else ""
    )
    return (
        f"Score difference {comparison.gain:+.4f}, 95 % interval "
        f"{comparison.ci_low:+.4f} to {comparison.ci_high:+.4f}, "
        f"over {comparison.seeds} paired seeds{lost}{texts}.{worst}{least}"
    )


def duration(seconds: float | None) -> str:
    """Write a span of time with its two largest units."""
    if seconds is None:
        return "not known yet"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(at: str | None) -> str:
    """Write a time of the service, ISO 8601 in UTC, to the minute."""
    return (at or "–")[:16].replace("T", " ")


def when(seconds: float | None) -> str:
    """The same of a time of the database, to the second."""
    return (timestamp(seconds) or "–")[:19].replace("T", " ")


def gibibytes(size: int) -> str:
    """Write a number of bytes with a unit that suits it."""
    for unit, step in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= step:
            return f"{size / step:,.1f} {unit}"
    return f"{size} bytes"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"
