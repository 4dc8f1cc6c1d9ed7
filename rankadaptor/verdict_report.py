"""VERDICT.md: what an adapter is worth, to lie beside it; known only after it was uploaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rankadaptor.study_view import awaited
from rankspace import Comparison, RankVector, Verdict
from rankspace.errors import InvalidInput
from rankspace.redaction import as_markdown, visible

NAME = "VERDICT.md"


def write_report(
    directory: Path, study: dict[str, Any], verdict: Verdict, exported: RankVector | None
) -> Path:
    """Write ``NAME`` into ``directory``; return where it is.

    Args:
        directory: Where the adapter lies.
        study: The study's view.
        verdict: Its verdict.
        exported: Ranks of the adapter; None where the service does not tell.

    Raises:
        InvalidInput: It cannot be written there.
    """
    path = directory / NAME
    text = f"# {report(study, verdict, exported)}\n"
    try:
        path.unlink(missing_ok=True)  # a link there is replaced, and not written through
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}"
        raise InvalidInput("to", str(path), problem, fix="name a directory of your own") from error
    return path


def report(study: dict[str, Any], verdict: Verdict, exported: RankVector | None) -> str:
    """Return title and paragraphs, as Markdown; the title without its mark."""
    name = as_markdown(str(study["name"]))
    text = "\n\n".join((f"Verdict of study {name}", *_lines(study, verdict, exported)))
    return visible(text, keep="\n")


def _lines(study: dict[str, Any], verdict: Verdict, exported: RankVector | None) -> Iterator[str]:
    if verdict.contradiction:
        yield f"**{verdict.contradiction}**"
    if lacks := awaited(study, verdict):
        yield lacks
    yield f"Of the trials: **{verdict.answer}**. {verdict.sentence}"
    yield numbers(verdict.versus_uniform)
    if verdict.recipe:
        yield f"Of the whole recipe: **{verdict.recipe.answer}**. {verdict.recipe.sentence}"
    if verdict.recipe and verdict.recipe.comparison:
        yield numbers(verdict.recipe.comparison)
        yield _losses(verdict)
    if verdict.caveat:
        yield verdict.caveat
    yield f"The adapter is of {_exported(verdict, exported)}."


def numbers(found: Comparison) -> str:
    """Say what a comparison with uniform ranks rests on."""
    lost = f" ({found.failed} more failed)" if found.failed else ""
    return (
        f"Winner minus uniform: {found.gain:+.4f} nats, 95 % interval {found.ci_low:+.4f} to "
        f"{found.ci_high:+.4f}, over {found.seeds} paired seeds{lost}."
    )


def _losses(verdict: Verdict) -> str:
    assert verdict.recipe is not None
    told = (f"| {name} | {mean} |" for name, mean, _ in verdict.recipe.losses)
    return "\n".join(("| | held-out loss, mean over the seeds |", "|---|---|", *told))


def _exported(verdict: Verdict, vector: RankVector | None) -> str:
    if vector is None:
        return "ranks that the service is too old to tell; adapter_config.json has them"
    if vector == verdict.best_rank_vector:
        return "the winner"
    if vector == verdict.uniform_rank_vector:
        return "uniform ranks, not of the winner"
    if vector == verdict.cheapest_rank_vector:
        return "the cheapest vector that is not worse in the trials, not of the winner"
    return "a vector of another answer of the study, not of this winner"
