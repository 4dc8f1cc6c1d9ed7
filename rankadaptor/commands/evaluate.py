"""``rankadaptor evaluate``: the published metrics of a model, and what they are uncertain by."""

from pathlib import Path
from typing import Annotated

import typer

from rankadaptor.commands.options import Json
from rankadaptor.progress import counted
from rankadaptor.screen import emit


def evaluate(
    model: Annotated[Path, typer.Argument(help="A container, or a Hugging Face directory.")],
    adapter: Annotated[
        Path | None, typer.Option(help="Adapter beside it, a directory as export writes it.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="A model, or another adapter of this one, to compare with in pairs."),
    ] = None,
    perplexity: Annotated[
        list[str] | None,
        typer.Option(
            help="Text to measure perplexity on; may be repeated. Published numbers join the lines "
            "of a data set: wikitext2=FILE or ptb=FILE.",
            metavar="FILE",
        ),
    ] = None,
    tasks: Annotated[
        list[Path] | None,
        typer.Option(
            help="Task to answer: JSON rows of a data set, or a directory; may be repeated."
        ),
    ] = None,
    window: Annotated[
        list[int] | None,
        typer.Option(
            help="Tokens per window of a text; may be repeated (128 and the model's own length, "
            "up to 2,048)."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Take the first so many documents, and windows, only.")
    ] = None,
    bos: Annotated[
        bool,
        typer.Option("--bos", help="Begin every context of a task with the tokenizer's BOS token."),
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
    json_: Json = False,
) -> None:
    """Measure perplexity and commonsense accuracy as papers on pruned models print them."""
    from rankadaptor.evaluation.evaluation import evaluate_subjects
    from rankadaptor.evaluation.questions import read_questions
    from rankadaptor.evaluation.report import report
    from rankadaptor.evaluation.subject import against as other_subject
    from rankadaptor.evaluation.subject import subject_of, told_apart
    from rankadaptor.evaluation.view import evaluation_view
    from tuning.device import device_named

    place = device_named(device)
    subjects = [subject_of(model, adapter)]
    if against is not None:
        subjects.append(other_subject(model, against))
    questions = read_questions(perplexity or (), window or (), tasks or (), limit=limit, begins=bos)
    (found, *others), failure = evaluate_subjects(told_apart(subjects), questions, place, counted)
    other = others[0] if others else None
    emit(json_, report(found, other, failure), lambda: evaluation_view(found, other, failure))
    if failure is not None:
        raise failure
