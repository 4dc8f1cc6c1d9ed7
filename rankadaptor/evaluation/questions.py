"""Questions: what every model is asked, and the same as token ids of one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pruning.container.architecture import check_positions, positions
from pruning.container.contents import Contents
from pruning.container.tokenizer import read_tokenizer
from rankspace.errors import InvalidInput
from tuning.evaluation.encoding import EncodedTask, encode_task
from tuning.evaluation.perplexity import (
    PUBLISHED_WINDOW,
    TokenStream,
    check_whole,
    check_window,
    read_tokens,
)
from tuning.evaluation.task import Task, read_task, task_files
from tuning.evaluation.text_form import TextForm, named_text, read_form


@dataclass(frozen=True, slots=True)
class Text:
    """A text as it was read, before any tokenizer."""

    name: str
    form: TextForm
    content: str


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of each model.

    Attributes:
        texts: For perplexity.
        windows: Tokens of a window; empty for the published ones and the model's own length.
        tasks: To answer.
        limit: At most so many documents of each task, and windows of each text.
        begins: Whether the token that begins a text stands before every context of a task.
    """

    texts: tuple[Text, ...]
    windows: tuple[int, ...]
    tasks: tuple[Task, ...]
    limit: int | None
    begins: bool


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The questions as one model reads them.

    Attributes:
        streams: The texts.
        windows: Of each text.
        tasks: The tasks.
        remarks: What is measured otherwise than was asked for.
    """

    streams: tuple[TokenStream, ...]
    windows: tuple[int, ...]
    tasks: tuple[EncodedTask, ...]
    remarks: tuple[str, ...]


def read_questions(
    texts: Sequence[str],
    windows: Sequence[int],
    tasks: Sequence[Path],
    *,
    limit: int | None,
    begins: bool,
) -> Questions:
    """Read every file, before a model is looked at.

    Raises:
        InvalidInput: A file cannot be used, or there is none; a window or the limit is too small.
    """
    if not texts and not tasks:
        fix = "add --perplexity FILE, --tasks DIR, or both"
        raise InvalidInput("--tasks", None, "nothing is asked of the model", fix=fix)
    if limit is not None and limit < 1:
        raise InvalidInput("--limit", limit, "leaves nothing", fix="use 1 or more")
    for window in windows:
        check_window(window)
    named = [named_text(given) for given in texts]
    return Questions(
        tuple(Text(path.name, form, read_form(form, path)) for form, path in named),
        tuple(dict.fromkeys(windows)),
        tuple(read_task(file, limit) for file in task_files(tasks)),
        limit,
        begins,
    )


def asked_of(contents: Contents, questions: Questions) -> Asked:
    """Tokenise the questions for a model whose weights are not yet read.

    Raises:
        InvalidInput: A window is longer than the model or a text, a row cannot be scored, or the
            tokenizer has no token that begins a text where one is asked for.
    """
    tokenizer, most = read_tokenizer(contents), positions(contents.architecture.config)
    for window in questions.windows:
        check_positions("--window", window, contents.architecture.config)
    begin = _begin(tokenizer) if questions.begins else None
    streams = tuple(
        read_tokens(text.name, text.form, text.content, tokenizer) for text in questions.texts
    )
    for window in questions.windows:
        for stream in streams:
            check_whole(stream, window)
    return Asked(
        streams,
        questions.windows or _usual_windows(most),
        tuple(encode_task(tokenizer, task, most, begin) for task in questions.tasks),
        _remarks(most) if questions.texts and not questions.windows else (),
    )


def _usual_windows(most: int | None) -> tuple[int, ...]:
    """The published window and the model's own length, as far as the model goes."""
    if most is None:
        return (PUBLISHED_WINDOW,)
    return tuple(sorted({min(PUBLISHED_WINDOW, most), most}))


def _remarks(most: int | None) -> tuple[str, ...]:
    if most is None:
        return ("the model does not say for how many tokens it is made: one window only",)
    if most < PUBLISHED_WINDOW:
        return (f"the model is made for {most} tokens: no window of {PUBLISHED_WINDOW}",)
    return ()


def _begin(tokenizer: Any) -> int:
    begin: int | None = tokenizer.bos_token_id
    if begin is None:
        problem = "the tokenizer has no token that begins a text"
        raise InvalidInput("--bos", None, problem, fix="leave --bos out")
    return begin
