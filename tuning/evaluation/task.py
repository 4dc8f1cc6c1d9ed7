"""Task: the documents of one file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rankspace.errors import InvalidInput
from tuning.evaluation.document import Document
from tuning.evaluation.task_format import TaskFormat, format_of
from tuning.reading.records import read_records
from tuning.reading.source import Source

FIELD = "--tasks"

ENDS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")
"""Names of the files of a directory that are taken for tasks."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one file asks.

    Attributes:
        name: Of the file, without its ending, or as much of its path as tells it from others.
        format: What its rows are.
        documents: In its order; with a limit, the first ones.
        rows: Of the file.
    """

    name: str
    format: TaskFormat
    documents: tuple[Document, ...]
    rows: int


def task_files(given: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files that are named, and those of the directories that are, by name.

    Raises:
        InvalidInput: A directory has none, or a file is named twice: its task would count twice.
    """
    files = tuple(file for path in given for file in _files(path))
    for file in files:
        if sum(other.resolve() == file.resolve() for other in files) > 1:
            raise InvalidInput(FIELD, str(file), "is named twice", fix="name it once")
    return files


def files_left(given: Sequence[Path]) -> tuple[Path, ...]:
    """Return what lies in the directories that are named and is taken for no task, by name."""
    within = (path for directory in given if directory.is_dir() for path in directory.iterdir())
    return tuple(sorted(path for path in within if not _is_task(path)))


def read_task(path: Path, limit: int | None = None, *, name: str | None = None) -> Task:
    """Read a file of rows; every one of them, also beyond ``limit``, has to be readable.

    Args:
        path: JSON lines or array, packed by gzip or not, or Parquet.
        limit: Documents at most.
        name: Of the task; None for that of the file.

    Raises:
        InvalidInput: A row is not of the format of the first, named by its line; or there is none.
        CannotOpen: This machine cannot read it.
    """
    source = Source(FIELD, path)
    form: TaskFormat | None = None
    documents: list[Document] = []
    for record in read_records(source, columns=None):
        form = form or format_of(record)
        if not isinstance(record.found, dict) or not form.fields <= record.found.keys():
            fields = ", ".join(sorted(form.fields))
            problem = f"is no row of {form.name}, as the first is"
            raise record.refusal(problem, f"give every row the fields {fields}, or drop it")
        if foreign := form.foreign(record.found):
            # Whose the file is need not be who is told: the names are part of its content.
            allowed = ", ".join(sorted(form.only or ()))
            problem = f"has {len(foreign)} fields beside those of {form.name} ({allowed})"
            fix = "drop them if it is one; else write it as context, choices and answer"
            raise record.refusal(problem, fix)
        documents.append(form.read(record))
    if form is None:
        raise source.refusal("has no rows", "give a file with a JSON object on every line")
    return Task(name or bare_name(path), form, tuple(documents[:limit]), len(documents))


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    found = sorted(file for file in path.iterdir() if _is_task(file))
    if not found:
        problem = f"is a directory without a file that ends in {', '.join(ENDS)}"
        raise InvalidInput(FIELD, str(path), problem, fix="name the files")
    yield from found


def _is_task(path: Path) -> bool:
    return path.name.endswith(ENDS) and path.is_file()


def bare_name(path: Path) -> str:
    """Return the name of a file without the ending of a task."""
    return next((path.name.removesuffix(end) for end in ENDS if path.name.endswith(end)), path.name)
