"""A verdict in plain words and numbers."""

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rankadaptor.rank_map import rank_map
from rankspace import Comparison, SearchSpace, Verdict
from rankspace.verdict import Answer, Rates, RecipeVerdict

STYLES = {
    Answer.BETTER: "bold green",
    Answer.NO_DIFFERENCE_SHOWN: "bold yellow",
    Answer.WORSE: "bold red",
}


def verdict_view(
    verdict: Verdict, space: SearchSpace, *, awaited: str = "", dense: float | None = None
) -> RenderableType:
    """All of it.

    Args:
        verdict: What was found.
        space: Where.
        awaited: Why the whole recipe is not judged, where somebody asked for it.
        dense: Held-out loss of the model before pruning, where it is known.
    """
    picture = rank_map(space, verdict.best_rank_vector, "ranks by block")
    caveat = [Text(verdict.caveat)] if verdict.caveat else []
    recovered = (_recovered(verdict.recipe, dense), "") if verdict.recipe else ()
    tables = (_comparisons(verdict), "", _vectors(verdict), "", *recovered, *_rates(verdict.rates))
    return Group(*answer_lines(verdict, awaited), *caveat, "", *tables, picture)


def answer_lines(verdict: Verdict, awaited: str = "") -> Iterator[Text]:
    """What it says, the whole recipe on a line of its own, and first of all what contradicts it."""
    if verdict.contradiction:
        yield Text(verdict.contradiction, style="bold red")
    yield _answer(verdict.answer, verdict.sentence)
    if verdict.recipe:
        yield _answer(verdict.recipe.answer, verdict.recipe.sentence)
    if awaited:
        yield Text(awaited, style="yellow")


def _answer(answer: Answer, sentence: str) -> Text:
    return Text.assemble((f"{answer.value}. ", STYLES[answer]), sentence)


def _recovered(recipe: RecipeVerdict, dense: float | None) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title="held-out loss in nats after the whole recipe",
        title_style="bold",
        title_justify="left",
    )
    for column in ("", "mean", *(f"seed {at}" for at in range(1, len(recipe.pairs) + 1))):
        table.add_column(column, justify="left" if not column else "right")
    if dense is not None:
        table.add_row("dense", f"{dense:.4f}")
    for label, mean, seeds in recipe.losses:
        table.add_row(label, mean, *seeds)
    return table


def _rates(rates: Rates | None) -> Iterator[RenderableType]:
    """What other learning rates do, on one seed."""
    if rates is None:
        return
    table = Table(
        box=box.SIMPLE_HEAD,
        title="at other learning rates, on one seed",
        title_style="bold",
        title_justify="left",
    )
    for column in ("times the recipe's", "uniform", "winner", "gain"):
        table.add_column(column, justify="right")
    for point in rates.points:
        scores = ("failed" if s is None else f"{s:.4f}" for s in (point.uniform, point.winner))
        gain = "" if point.gain is None else f"{point.gain:+.4f}"
        table.add_row(f"{point.rate:g}", *scores, gain)
    yield from (table, Text(rates.summary), "")


def _comparisons(verdict: Verdict) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title="paired comparisons on fresh seeds",
        title_style="bold",
        title_justify="left",
    )
    for column in ("", "gain", "95 % interval", "asked", "worst seed", "seeds", "answer"):
        table.add_column(column, justify="left" if not column else "right")
    _add(table, "winner − uniform", verdict.versus_uniform)
    if verdict.recipe:
        label = "winner − uniform, whole recipe"
        if verdict.recipe.comparison is None:
            table.add_row(label, "", "", "", "", "", "failed")
        _add(table, label, verdict.recipe.comparison)
    _add(table, "winner − best random", verdict.versus_random)
    for control in verdict.controls:
        label = f"winner − {control.name}"
        if control.comparison is None:
            table.add_row(label, "", "", "", "", "", "failed")
        _add(table, label, control.comparison)
    _add(table, "cheapest not worse − uniform", verdict.versus_uniform_cheapest)
    return table


def _add(table: Table, label: str, comparison: Comparison | None) -> None:
    if comparison is None:
        return
    interval = f"{comparison.ci_low:+.4f} … {comparison.ci_high:+.4f}"
    answer = Text(comparison.answer.value, style=STYLES[comparison.answer])
    seeds = f"{comparison.seeds}" + (f" ({comparison.failed} failed)" if comparison.failed else "")
    worst = "" if comparison.worst is None else f"{comparison.worst:+.4f}"
    least = f"> {comparison.least_gain:.4f}"
    table.add_row(label, f"{comparison.gain:+.4f}", interval, least, worst, seeds, answer)


def _vectors(verdict: Verdict) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, title="parameters and scores", title_style="bold", title_justify="left"
    )
    for column in ("", "parameters", "mean score"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("uniform", f"{verdict.uniform_parameters:,}", f"{verdict.uniform_score:.4f}")
    table.add_row("winner", f"{verdict.best_parameters:,}", f"{verdict.best_score:.4f}")
    table.add_row("cheapest not worse", f"{verdict.cheapest_parameters:,}", "")
    return table
