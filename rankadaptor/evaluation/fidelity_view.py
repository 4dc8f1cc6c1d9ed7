"""How far the rungs of a study rank vectors alike, as tables."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rankspace.evaluation.fidelity import LEAST_VECTORS, Agreement, Fidelity, Rung


def fidelity_view(found: Fidelity) -> RenderableType:
    """The rungs, what every two of them agree, and what must be known to read that."""
    if not found.rungs:
        return Text("Nothing was measured yet.")
    notes = (Text(f"- {remark}") for remark in found.remarks)
    if not found.agreements:
        alone = Text("There is one rung, and nothing to compare it with.")
        return Group(_rungs(found.rungs), alone, *notes)
    return Group(_rungs(found.rungs), _agreements(found.agreements), *notes)


def _table(title: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in NUMBERS else "left")
    return table


NUMBERS = ("vectors", "tau", "with itself")


def _rungs(rungs: tuple[Rung, ...]) -> Table:
    table = _table("what was measured, and tau between two seeds", "", "vectors", "with itself")
    for one in rungs:
        few = f"fewer than {LEAST_VECTORS} repeats"
        told = few if one.repeat is None else f"{one.repeat:.2f} ({one.repeat_vectors} vectors)"
        table.add_row(Text(one.name), f"{one.vectors:,}", told)
    return table


def _agreements(agreements: tuple[Agreement, ...]) -> Table:
    columns = ("", "vectors", "tau", "95 % interval", "")
    table = _table("Kendall's tau between two of them", *columns)
    for one in agreements:
        names = Text(f"{one.lower} - {one.upper}")
        if one.tau is None or one.low is None or one.high is None:
            table.add_row(names, f"{one.vectors:,}", "", "", one.sentence)
            continue
        interval = f"{one.low:+.2f} … {one.high:+.2f}"
        table.add_row(names, f"{one.vectors:,}", f"{one.tau:+.2f}", interval, one.sentence)
    return table
