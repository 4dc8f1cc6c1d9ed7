"""How a prior and its evaluation look on a screen."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perfmodel.meta.scorecard import MEAN, Scorecard
from perfmodel.meta.summary import Summary

OWN = "xgboost"
"""The method a prior is made with."""


def summary_view(summary: Summary) -> RenderableType:
    return Group(
        _head(summary), _kind_table(summary), _effect_table(summary), _teacher_table(summary)
    )


def evaluation_view(cards: Sequence[Scorecard]) -> RenderableType:
    """One row per study for the prior's own method, then the means of all methods."""
    return Group(_study_table(cards), _method_table(cards), Text(_LEGEND, style="dim"))


_LEGEND = (
    "rank: Spearman's correlation of predicted with labelled worth; ceiling: its highest value, as "
    "the labels are noisy. score: correlation of predicted with observed scores over vectors on "
    "the budget; equal: with all layers alike; own: with the study's own labels. Held out are all "
    "studies of the same pruned model (study), or of the same base model (family)."
)


def _study_table(cards: Sequence[Scorecard]) -> Table:
    mine = [card for card in cards if card.method == OWN and card.study != MEAN]
    ways = list(dict.fromkeys(card.held_out for card in mine))
    table = _table("what a prior says of a study it has not seen")
    table.add_column("study", no_wrap=True)
    for column in (*(f"rank\n{way}" for way in ways), "rank\nceiling"):
        table.add_column(column, justify="right")
    for column in (*(f"score\n{way}" for way in ways), "score\nequal", "score\nown"):
        table.add_column(column, justify="right")
    for study in dict.fromkeys(card.study for card in mine):
        same = [card for card in mine if card.study == study]
        last = same[-1]
        table.add_row(
            study,
            *(f"{card.rank_correlation:.2f}" for card in same),
            f"{last.ceiling:.2f}",
            *(f"{card.score_correlation:.2f}" for card in same),
            f"{last.score_correlation_equal:.2f}",
            f"{last.score_correlation_own:.2f}",
        )
    return table


def _method_table(cards: Sequence[Scorecard]) -> Table:
    table = _table("means over the studies, by method")
    for column in ("held out", "method"):
        table.add_column(column)
    for column in ("rank", "ceiling", "explained", "score"):
        table.add_column(column, justify="right")
    for card in cards:
        if card.study == MEAN:
            table.add_row(
                card.held_out,
                card.method,
                f"{card.rank_correlation:.2f}",
                f"{card.ceiling:.2f}",
                f"{card.explained:.2f}",
                f"{card.score_correlation:.2f}",
            )
    return table


def _head(summary: Summary) -> Text:
    origin = summary.provenance
    lines = [
        f"prior {summary.version}",
        f"learned from {len(origin.teachers)} studies of "
        f"{len({teacher.family for teacher in origin.teachers})} base models, "
        f"{sum(teacher.trials for teacher in origin.teachers):,} trials",
        f"spread of true log worth around it {summary.spread:.2f} "
        f"(each {origin.held_out} held out); noise ratio of an average study {summary.noise:.2f}",
    ]
    if origin.command:
        lines.append(f"made by {origin.command}")
    return Text("\n".join(lines))


def _kind_table(summary: Summary) -> Table:
    table = _table("expected worth of a matrix, the average one's = 1")
    table.add_column("kind")
    for place in ("first block", "middle", "last block"):
        table.add_column(place, justify="right")
    for kind, factors in summary.kinds.items():
        table.add_row(kind, *(f"{factor:.2f}" for factor in factors))
    return table


def _effect_table(summary: Summary) -> Table:
    table = _table("what else it goes by: worth is multiplied, at low and high values, by")
    table.add_column("feature")
    for column in ("share of gain", "low", "factor", "high", "factor"):
        table.add_column(column, justify="right")
    for name, (low, _, high) in summary.effects.items():
        factors = summary.factors[name]
        table.add_row(
            name,
            f"{summary.gains.get(name, 0.0):.0%}",
            f"{low:.2f}",
            f"{factors[0]:.2f}",
            f"{high:.2f}",
            f"{factors[-1]:.2f}",
        )
    return table


def _teacher_table(summary: Summary) -> Table:
    table = _table("learned from")
    table.add_column("study")
    table.add_column("base model")
    table.add_column("layers", justify="right")
    table.add_column("trials", justify="right")
    for teacher in summary.provenance.teachers:
        table.add_row(teacher.name, teacher.family, str(teacher.layers), str(teacher.trials))
    return table


def _table(title: str) -> Table:
    return Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
