"""What a search found, for a person."""

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from pruning.methods.memory import Memory
from pruning.search.confirmation import Confirmation
from pruning.search.searching import Searched
from rankadaptor.rate_search.asking import Asking
from rankadaptor.screen import err
from tuning.memory_plan.plan import gib

NOTICED = 0.001
"""Of the blocks' weights: a difference in size that is said."""


def memory_sentence(need: Memory) -> str:
    """Say what the search takes, before a model is loaded."""
    weights, beside = gib(need.weights), gib(need.beside)
    return f"memory: {weights} of weights, about {beside} for each pruning, thrown away again"


def tell(searched: Searched, asking: Asking) -> None:
    """Say on stderr what was found, and all that the search could not use."""
    found = searched.found
    if searched.torn:
        _say("the record ended in the middle of a line, which was scored anew", is_warning=True)
    _say(spent_sentence(searched), is_warning=found.failed > 0 or found.ran_dry)
    if asking.sentence:
        _say(asking.sentence, is_warning=not asking.is_the_models)
    _say(found_sentence(searched))
    if searched.larger > NOTICED:
        _say(larger_sentence(searched), is_warning=True)
    if searched.confirmation:
        said, is_warning = confirmed_sentence(searched.confirmation)
        _say(said, is_warning=is_warning)


def _say(sentence: str, *, is_warning: bool = False) -> None:
    err.print(Text(sentence, style="yellow" if is_warning else ""))


def rates_table(searched: Searched) -> RenderableType:
    """Show what each block is to lose."""
    table = Table(box=box.SIMPLE_HEAD, title="share to remove", title_justify="left")
    for column in ("block", "rate"):
        table.add_column(column, justify="right")
    for index, rate in searched.found.best.rates.items():
        table.add_row(str(index), f"{100 * rate:.1f}%")
    return table


def spent_sentence(searched: Searched) -> str:
    """Say what the search used up, and what it could not use."""
    found = searched.found
    said = [f"{found.scored} prunings scored, equal rates the first"]
    if found.repeated:
        said.append(f"{found.repeated} proposals left what was scored before")
    if found.moved:
        said.append(f"{found.moved} removed less than they say and were moved towards equal rates")
    if found.failed:
        said.append(f"{found.failed} gave no finite loss")
    if found.ran_dry:
        said.append("the search had nothing new to propose")
    return "; ".join(said)


def found_sentence(searched: Searched) -> str:
    """Compare the best with equal rates where both were searched on."""
    best, uniform = searched.found.best, searched.found.uniform
    if best.rates == uniform.rates:
        return f"nothing was better than equal rates (loss {uniform.loss:.4f} on held-out text)"
    return (
        f"on the text searched on: loss {best.loss:.4f}, equal rates {uniform.loss:.4f} "
        f"({best.loss - uniform.loss:+.4f}), the best of {searched.found.scored}, which flatters "
        f"itself; it removes {searched.removed:.2%}, equal rates {searched.removed_uniform:.2%}"
    )


def larger_sentence(searched: Searched) -> str:
    """Say that equal rates are compared at another size."""
    return (
        f"it keeps {100 * searched.larger:.2f} points more of the blocks than equal rates, whose "
        "heads all round alike: part of the difference is its size"
    )


def confirmed_sentence(found: Confirmation) -> tuple[str, bool]:
    """Compare them where nobody searched; also whether equal rates are better there."""
    margin = "" if found.error is None else f" ± {2 * found.error:.4f}"
    said = (
        f"on {found.windows} windows that nobody searched on: loss {found.best:.4f}, equal rates "
        f"{found.uniform:.4f} ({found.difference:+.4f}{margin})"
    )
    if found.is_better:
        return f"{said}: better than equal rates", False
    if found.is_worse:
        return f"{said}: worse than equal rates, so prune with equal ones", True
    return f"{said}: no difference that these windows could tell", True
