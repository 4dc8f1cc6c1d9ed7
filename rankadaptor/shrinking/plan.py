"""ShrinkPlan: what was asked for; a directory is begun with one, and goes on with no other."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rankspace.errors import InvalidInput, UnreadableInput

RECORD = "shrink.json"
READ = ("config.json", "*.safetensors", "tokenizer*")
"""Of the model's directory, what a change of would make another model."""


@dataclass(frozen=True, slots=True)
class ShrinkPlan:
    """What decides the result; the paths are absolute.

    Attributes:
        model: The dense model.
        keep: Share of its parameters to keep, in (0, 1).
        data: What the pruned model is trained on.
        text: What pruning looks at.
        method: How to prune.
    """

    model: str
    keep: float
    data: str
    text: str
    method: str

    def begin(self, home: Path) -> None:
        """Make ``home``, or go on with what it holds.

        Raises:
            InvalidInput: It holds something else, was begun with another plan, or a file that it
                was begun with has changed since.
        """
        record = home / RECORD
        if record.is_file():
            self._compare(_read(record), home)
            return
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            problem = "is there already, and was not begun by `rankadaptor shrink`"
            raise InvalidInput("--to", str(home), problem, fix="give a new directory")
        home.mkdir(parents=True, exist_ok=True)
        keep({**asdict(self), "files": self._files()}, record)

    def _compare(self, begun: Mapping[str, Any], home: Path) -> None:
        for name, value in asdict(self).items():
            if begun.get(name) != value:
                field = "MODEL" if name == "model" else f"--{name}"
                problem = f"{home} was begun with {begun.get(name)!r}"
                fix = "give that again to go on, or another directory"
                raise InvalidInput(field, value, problem, fix=fix)
        before, now = begun.get("files", {}), self._files()
        for name in sorted({*before, *now}):
            if before.get(name) != now.get(name):
                fix = "begin anew in another directory"
                raise InvalidInput("file", name, f"has changed since {home} was begun", fix=fix)

    def _files(self) -> dict[str, list[int]]:
        """Size and time of what is read, by path: hashing a 7B model takes a minute each time."""
        stated = ((path, path.stat()) for path in self._read_files())
        return {str(path): [stat.st_size, stat.st_mtime_ns] for path, stat in stated}

    def _read_files(self) -> Iterator[Path]:
        yield from (Path(self.data), Path(self.text))
        for pattern in READ:
            yield from Path(self.model).glob(pattern)


def keep(document: Mapping[str, Any] | str, file: Path) -> None:
    """Write it whole or not at all: half an identity is of no study."""
    text = document if isinstance(document, str) else json.dumps(document, indent=2) + "\n"
    beside = file.with_name(f".{file.name}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def _read(record: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        fix = "begin anew in another directory"
        raise UnreadableInput("--to", str(record), "is no record of a shrinking", fix=fix)
    return found


def ratio_for(keep: float, total: int, within: int) -> float:
    """Return the share of the ``within`` parameters of some blocks to remove.

    So that ``keep`` of all ``total`` parameters are left: embeddings and spared blocks stay whole.

    Raises:
        InvalidInput: Out of range, or the blocks do not hold that much.
    """
    if not 0.0 < keep < 1.0:
        raise InvalidInput("--keep", keep, "must lie between 0 and 1", fix="use 0.6")
    ratio = (1.0 - keep) * total / within
    if ratio >= 1.0:
        least = 1.0 - within / total
        problem = f"embeddings and the blocks that stay whole are {least:.0%} of the model"
        raise InvalidInput("--keep", keep, problem, fix=f"keep more than {least:.2f}")
    return ratio
