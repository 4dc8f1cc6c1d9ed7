"""Recordings: really fine-tuned trials, one line of JSON each, in a file that can be gone on with.

The first line of a file says where its trials come from. A killed recording goes on where it was;
every one ends by itself.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import torch

from rankspace.errors import Conflict

Row = Mapping[str, Any]


class Named(Protocol):
    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Sources:
    """Folders with what was not made here.

    Attributes:
        stories: The pretrained stories260k model and its ``sample.txt``.
        data: ``text/`` and ``instructions/``, for base models that are trained on them.
    """

    stories: Path
    data: Path | None = None


Wanted = TypeVar("Wanted", bound=Named)


@dataclass(frozen=True)
class Recording:
    """What one file is to hold.

    Attributes:
        file: Where.
        head: Its first line; the ``fingerprint`` there is the model's.
        trials: Given the lines there are, runs one more trial for each it is asked for.
    """

    file: Path
    head: Row
    trials: Callable[[Sequence[Row]], Iterator[Row]]


def command(
    description: str | None,
    wanted: Sequence[Wanted],
    prepare: Callable[[Wanted, Sources, Path], Recording],
) -> int:
    """Be the command that records ``wanted``; return how many trials it ran.

    Args:
        description: Of the command.
        wanted: What there is to record.
        prepare: Makes a recording of one of them from the folders named, in a folder of its own.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("stories", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    deadline = time.monotonic() + 60 * options.minutes
    sources = Sources(options.stories, options.data)
    ran = 0
    for one in wanted:
        if options.only in (None, one.name):
            with TemporaryDirectory() as folder:
                ran += record(prepare(one, sources, Path(folder)), deadline)
    return ran


def record(recording: Recording, deadline: float) -> int:
    """Run the trials that its file does not have yet; return how many."""
    file = recording.file
    _begin(file, recording.head)
    seen = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    trials, ran = recording.trials(seen), 0
    while time.monotonic() < deadline and (row := next(trials, None)) is not None:
        _append(file, row)
        ran += 1
    print(f"{file.stem}: {len(seen) + ran} trials", flush=True)
    return ran


def _begin(file: Path, head: Row) -> None:
    """Write the first line.

    Raises:
        Conflict: The file was recorded on another model.
    """
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        _append(file, head)
        return
    with file.open(encoding="utf-8") as lines:
        recorded = json.loads(next(lines))["fingerprint"]
    if recorded != head["fingerprint"]:
        raise Conflict(
            f"{file.name} was recorded on model {recorded[:12]}, "
            f"this is {head['fingerprint'][:12]}",
            hint="move the file away, and record it anew",
        )


def _append(file: Path, row: Row) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(row) + "\n")
