"""Questions: what every model is asked, and the same as token ids of one of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pruning.container.architecture import check_positions, positions
from pruning.container.contents import Contents
from pruning.container.tokenizer import read_tokenizer
from rankadaptor.evaluation.naming import distinct
from rankspace.errors import InvalidInput
from rankspace.evaluation.recovery_metric import PUBLISHED_WINDOW
from tuning.evaluation.encoding import EncodedTask, encode_task
from tuning.evaluation.perplexity import TokenStream, check_whole, check_window, read_tokens
from tuning.evaluation.task import Task, bare_name, files_left, read_task, task_files
from tuning.evaluation.text_form import FIELD as TEXT_FIELD
from tuning.evaluation.text_form import TextForm, named_text, read_form

LONGEST_USUAL = 2048
"""Tokens of the longest window that nobody asked for: published numbers have it, and a model made
for 131,072 would take hours and more memory than there is."""

MOST_NAMED = 5
"""Files that a remark names."""


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
        windows: Tokens of a window; empty for the usual ones, see ``usual_windows``.
        tasks: To answer.
        left: Files of the directories of tasks that are taken for none.
        limit: At most so many documents of each task, and windows of each text.
        begins: Whether the token that begins a text stands before every context of a task.
    """

    texts: tuple[Text, ...]
    windows: tuple[int, ...]
    tasks: tuple[Task, ...]
    left: tuple[Path, ...]
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
        InvalidInput: A file cannot be used, or there is none; a text is named twice; a window or
            the limit is too small; or an option has nothing that it could change.
    """
    if not texts and not tasks:
        fix = "add --perplexity FILE, --tasks DIR, or both"
        raise InvalidInput("--tasks", None, "nothing is asked of the model", fix=fix)
    if limit is not None and limit < 1:
        raise InvalidInput("--limit", limit, "leaves nothing", fix="use 1 or more")
    for window in windows:
        check_window(window)
    if windows and not texts:
        problem = "divides no text: only perplexity has windows"
        raise InvalidInput("--window", windows[0], problem, fix="add --perplexity FILE, or drop it")
    if begins and not tasks:
        problem = "begins no context: only tasks have them"
        raise InvalidInput("--bos", begins, problem, fix="add --tasks DIR, or drop it")
    named = [named_text(given) for given in texts]
    _check_once(named)
    names = distinct([path for _, path in named])
    files = task_files(tasks)
    return Questions(
        tuple(
            Text(name, form, read_form(form, path))
            for name, (form, path) in zip(names, named, strict=True)
        ),
        tuple(dict.fromkeys(windows)),
        tuple(
            read_task(file, limit, name=name)
            for file, name in zip(files, _task_names(files), strict=True)
        ),
        files_left(tasks),
        limit,
        begins,
    )


def usual_windows(models: Iterable[Contents]) -> tuple[int, ...]:
    """The published window and the shortest model's own length, up to ``LONGEST_USUAL``.

    Raises:
        InvalidInput: A model is made for less than two tokens.
    """
    mosts = [positions(contents.architecture.config) for contents in models]
    known = [most for most in mosts if most is not None]
    most = min(LONGEST_USUAL, *known) if known else PUBLISHED_WINDOW
    check_window(most)
    return tuple(sorted({min(PUBLISHED_WINDOW, most), most}))


def asked_of(contents: Contents, questions: Questions, usual: tuple[int, ...]) -> Asked:
    """Tokenise the questions for a model whose weights are not yet read.

    Args:
        contents: Of the model.
        questions: What is asked.
        usual: Windows where none is asked for.

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
    for stream in streams:
        for window in questions.windows or usual[:1]:
            check_whole(stream, window)
    return Asked(
        streams,
        questions.windows or usual,
        tuple(encode_task(tokenizer, task, most, begin) for task in questions.tasks),
        tuple(_remarks(questions, usual, most)),
    )


def _remarks(questions: Questions, usual: tuple[int, ...], most: int | None) -> Iterator[str]:
    if questions.texts and not questions.windows:
        windows = " and ".join(f"{window:,}" for window in usual)
        made = "an unknown number of" if most is None else f"{most:,}"
        yield f"windows of {windows}, as no --window is given; the model is made for {made} tokens"
    if questions.left:
        names = ", ".join(path.name for path in questions.left[:MOST_NAMED])
        more = len(questions.left) - MOST_NAMED
        rest = f" and {more:,} more" if more > 0 else ""
        yield f"taken for no task, and not read: {names}{rest}"


def _check_once(named: Sequence[tuple[TextForm, Path]]) -> None:
    seen = set[tuple[TextForm, Path]]()
    for form, path in named:
        if (form, path.resolve()) in seen:
            raise InvalidInput(TEXT_FIELD, str(path), "is named twice", fix="name it once")
        seen.add((form, path.resolve()))


def _task_names(files: Sequence[Path]) -> tuple[str, ...]:
    """Names without endings, unless two of them differ in nothing else."""
    bare = [file.with_name(bare_name(file)) for file in files]
    twice = {path for path in bare if bare.count(path) > 1}
    return distinct(
        [file if path in twice else path for file, path in zip(files, bare, strict=True)]
    )


def _begin(tokenizer: Any) -> int:
    begin: int | None = tokenizer.bos_token_id
    if begin is None:
        problem = "the tokenizer has no token that begins a text"
        raise InvalidInput("--bos", None, problem, fix="leave --bos out")
    return begin
