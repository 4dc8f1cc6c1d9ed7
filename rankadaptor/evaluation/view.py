"""What a person sees of an evaluation: two tables, and what must be known to compare them."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rankadaptor.evaluation.evaluation import Evaluation
from rankadaptor.evaluation.report import (
    mean_difference,
    mean_of_tasks,
    paired_perplexities,
    paired_tasks,
)
from tuning.evaluation.paired import PairedDifference
from tuning.evaluation.perplexity import Perplexity
from tuning.evaluation.task_score import Metric, TaskScore
from tuning.evaluation.text_form import TextForm

GIB = 2**30

NAME_WIDTH = 12
"""Characters of a name that are seen in the narrowest window."""


def evaluation_view(
    found: Evaluation, other: Evaluation | None, failure: Exception | None = None
) -> RenderableType:
    """Show an evaluation, and below it, where there is another, the differences."""
    parts: list[RenderableType] = []
    if found.perplexities:
        parts.append(_perplexities(found))
    if found.tasks:
        parts.append(_tasks(found))
    if other is not None and found.perplexities:
        parts.append(_losses(found, other))
    if other is not None and found.tasks:
        parts.append(_answers(found, other))
    notes = list(_notes(found, other))
    if failure is not None:
        notes.append(f"NOT FINISHED, the rest failed: {failure}")
    return Group(*parts, *(Text(f"- {note}") for note in dict.fromkeys(notes)))


def _table(title: str, columns: Sequence[str]) -> Table:
    """An empty table: a name, which takes several lines in a narrow window, and numbers."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    table.add_column(columns[0], overflow="fold", min_width=NAME_WIDTH)
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _perplexities(found: Evaluation) -> Table:
    columns = ["text", "window", "perplexity", "windows", "tokens", "dropped"]
    table = _table(f"perplexity of {found.subject.name}", columns)
    for one in found.perplexities:
        table.add_row(*_perplexity(one))
    return table


def _losses(found: Evaluation, other: Evaluation) -> Table:
    title = f"mean loss, in nats, minus that of {other.subject.name}"
    table = _table(title, ["text", "window", "its perplexity", "difference"])
    for one, theirs, difference in paired_perplexities(found, other):
        shown = _or_none(theirs.value, theirs.error, 2) if theirs else "-"
        table.add_row(_text(one), f"{one.window:,}", shown, _shift(difference, 4))
    return table


def _text(one: Perplexity) -> str:
    return one.text if one.form is TextForm.PLAIN else f"{one.form.value}={one.text}"


def _perplexity(one: Perplexity) -> list[str]:
    whole = f"{len(one.losses):,}"
    windows = f"{whole} of {len(one.losses) + one.beyond:,}" if one.beyond else whole
    value = _or_none(one.value, one.error, 2)
    return [_text(one), f"{one.window:,}", value, windows, f"{one.tokens:,}", f"{one.dropped:,}"]


def _tasks(found: Evaluation) -> Table:
    title = f"accuracy of {found.subject.name}, %"
    table = _table(title, ["task", "as", "documents", "acc", "acc_norm"])
    for task in found.tasks:
        table.add_row(*_task(task))
    if len(found.tasks) > 1:
        table.add_section()
        table.add_row(
            f"mean of {len(found.tasks)}", "", "", "", _hundredfold(*mean_of_tasks(found.tasks))
        )
    return table


def _answers(found: Evaluation, other: Evaluation) -> Table:
    title = f"accuracy, %, minus that of {other.subject.name}"
    table = _table(title, ["task", "its accuracy", "difference", "changed", "gained, lost"])
    differences = []
    for _, theirs, difference in paired_tasks(found, other):
        differences.append(difference)
        table.add_row(theirs.name, _percent(theirs, theirs.headline), *_paired(difference))
    if len(differences) > 1:
        value, error = mean_difference(differences)
        table.add_section()
        shift = _signed(100 * value, error, 100, 2)
        whole = _hundredfold(*mean_of_tasks(other.tasks))
        table.add_row(f"mean of {len(differences)}", whole, shift)
    return table


def _task(one: TaskScore) -> list[str]:
    count = f"{len(one.documents):,}"
    documents = count if len(one.documents) == one.rows else f"{count} of {one.rows:,}"
    has_norm = Metric.ACC_NORM in one.metrics
    norm = _percent(one, Metric.ACC_NORM) if has_norm else "-"
    return [one.name, one.format, documents, _percent(one, Metric.ACC), norm]


def _paired(difference: PairedDifference) -> list[str]:
    moved = f"{difference.gained:,}, {difference.lost:,}"
    shift = _signed(100 * difference.mean, difference.error, 100, 2)
    return [shift, f"{difference.changed:,}", moved]


def _percent(one: TaskScore, metric: Metric) -> str:
    return _hundredfold(one.accuracy(metric), one.error(metric))


def _hundredfold(value: float, error: float | None) -> str:
    return _or_none(100 * value, None if error is None else 100 * error, 2)


def _shift(difference: PairedDifference | None, digits: int) -> str:
    return "-" if difference is None else _signed(difference.mean, difference.error, 1, digits)


def _signed(value: float, error: float | None, scale: float, digits: int) -> str:
    spread = "" if error is None else f" ± {scale * error:.{digits}f}"
    return f"{value:+.{digits}f}{spread}"


def _or_none(value: float | None, error: float | None, digits: int) -> str:
    if value is None:
        return "-"
    return f"{value:,.{digits}f}" + ("" if error is None else f" ± {error:,.{digits}f}")


def _notes(found: Evaluation, other: Evaluation | None) -> Iterator[str]:
    yield "± is one standard error, over windows or documents"
    yield from _device_notes(found, other)
    yield from (note for one in found.perplexities for note in _text_notes(one))
    if found.perplexities and any(one.form is TextForm.PLAIN for one in found.perplexities):
        yield (
            "a text file counts as it stands, rows of a table joined by an empty line; published "
            "numbers join the lines of a data set: "
            "--perplexity wikitext2=FILE, ptb=FILE"
        )
    if found.limit is not None:
        yield f"--limit {found.limit:,} takes the first windows and documents"
    if other is not None:
        yield from _other_notes(found, other)
    yield from _task_notes(found, other)
    yield from (*found.remarks, *(other.remarks if other else ()))


def _device_notes(found: Evaluation, other: Evaluation | None) -> Iterator[str]:
    for one in (found, *((other,) if other else ())):
        base, added = one.parameters
        extra = f" + {added:,} of the adapter" if added else ""
        peak = f"{one.peak_bytes / GIB:.1f} GiB at most"
        yield (
            f"{one.subject.name}: {base:,} parameters{extra}, {one.dtype} on {one.device}, {peak}"
        )


def _text_notes(one: Perplexity) -> Iterator[str]:
    if one.value is None and one.mean_loss is not None:
        yield (
            f"{_text(one)}: the mean loss of windows of {one.window:,} is {one.mean_loss:,.1f} "
            "nats, whose perplexity is beyond any number: check the weights"
        )
    if one.mean_loss is None:
        yield f"{_text(one)} has no whole window of {one.window:,} tokens"
    if one.special:
        yield f"{_text(one)}: {one.special} of its tokens the tokenizer puts around the whole text"
    if one.control:
        yield f"{_text(one)} spells {one.control:,} control tokens, which count as such"


def _other_notes(found: Evaluation, other: Evaluation) -> Iterator[str]:
    yield "differences are paired: each document, or window, by itself"
    for one, theirs, difference in paired_perplexities(found, other):
        if difference is None and theirs is not None and theirs.mean_loss is not None:
            yield f"{_text(one)} is not compared: the two models tokenise it otherwise"


def _task_notes(found: Evaluation, other: Evaluation | None) -> Iterator[str]:
    if not found.tasks:
        return
    begins = "with" if found.begins else "without"
    yield f"zero-shot, as lm-evaluation-harness scores; contexts {begins} a token that begins them"
    if len(found.tasks) > 1 or other is not None:
        yield "mean and differences are of acc_norm where there is one, else of acc"
    for remark in dict.fromkeys(task.remark for task in found.tasks if task.remark):
        names = ", ".join(task.name for task in found.tasks if task.remark == remark)
        yield f"{names}: {remark}"
    for one in (found, *((other,) if other else ())):
        for task in one.tasks:
            if task.cut:
                yield (
                    f"{task.name}: {task.cut:,} contexts lost their beginning, longer than "
                    f"{one.subject.name}"
                )
            if task.control:
                yield (
                    f"{task.name} spells {task.control:,} control tokens of {one.subject.name}, "
                    "which count as such"
                )
