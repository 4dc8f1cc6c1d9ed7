"""Record: every evaluation of a search, in a file from which it goes on."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pruning.rates.document import rates_from
from pruning.rates.rates import Rates
from pruning.search.evaluation import Evaluation
from rankspace.errors import InvalidInput, UnreadableInput, glimpse

MAX_BYTES = 100_000_000
FIELD = "record"


@dataclass(slots=True)
class Record:
    """What was scored, in order, and of which question; a line of JSON each.

    Attributes:
        path: The file; None keeps all in memory.
        evaluations: Those known.
        torn: Whether a last line was cut off in the middle, which is scored anew.
    """

    path: Path | None = None
    evaluations: list[Evaluation] = field(default_factory=list)
    torn: bool = False

    def add(self, evaluation: Evaluation) -> None:
        """Keep ``evaluation``, on the disk before anything is made of it."""
        self.evaluations.append(evaluation)
        if self.path:
            loss = evaluation.loss if math.isfinite(evaluation.loss) else None
            append_line(self.path, {"rates": _keyed(evaluation.rates), "loss": loss})


def open_record(path: Path, question: Mapping[str, Any]) -> Record:
    """Begin a record of ``question``, or go on with the one that is there.

    Raises:
        InvalidInput: What is there is of another question, or no record.
    """
    if not path.exists():
        append_line(path, {"question": dict(question)})
        return Record(path)
    lines, torn = read_lines(path)
    first: Any = next(lines, None)
    _check_question(path, first.get("question") if isinstance(first, dict) else None, question)
    record = Record(path, [_evaluation(path, line) for line in lines], torn)
    if torn:
        cut_torn_line(path)
    return record


def read_lines(path: Path) -> tuple[Iterator[Any], bool]:
    """Return the JSON values of the lines of ``path``, and whether a last one lacks its end.

    Raises:
        UnreadableInput: A line is no JSON, or the file larger than any record.
    """
    if path.stat().st_size > MAX_BYTES:
        fix = "give another file"
        raise UnreadableInput(FIELD, str(path), "is too large for a record", fix=fix)
    *whole, rest = path.read_bytes().split(b"\n")
    return (_parsed(path, number, line) for number, line in enumerate(whole, 1)), bool(rest)


def cut_torn_line(path: Path) -> None:
    """Take off ``path`` what stands behind its last end of a line."""
    content = path.read_bytes()
    os.truncate(path, content.rfind(b"\n") + 1)


def _parsed(path: Path, number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        problem, fix = "is no line of JSON", "remove the file to begin anew"
        raise UnreadableInput(FIELD, f"{path}:{number}", problem, fix=fix) from None


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Write ``value`` as one more line, on the disk when this returns."""
    with path.open("a", encoding="ascii") as file:
        file.write(json.dumps(value, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _evaluation(path: Path, line: Any) -> Evaluation:
    loss = line.get("loss", "") if isinstance(line, dict) else ""
    if loss is not None and (isinstance(loss, bool) or not isinstance(loss, int | float)):
        problem, fix = f"holds no evaluation: {glimpse(line)}", "remove the file to begin anew"
        raise UnreadableInput(FIELD, str(path), problem, fix=fix)
    return Evaluation(rates_from(line.get("rates")), math.inf if loss is None else float(loss))


def _check_question(path: Path, found: Any, asked: Mapping[str, Any]) -> None:
    fix = "remove the file to begin anew, or ask as before"
    if not isinstance(found, dict):
        raise InvalidInput(FIELD, str(path), "is no record of a search", fix=fix)
    for name in [*asked, *found]:
        if found.get(name) != asked.get(name):
            problem = (
                f"is of a search with {name} {glimpse(found.get(name))}, "
                f"not {glimpse(asked.get(name))}"
            )
            raise InvalidInput(FIELD, str(path), problem, fix=fix)


def _keyed(rates: Rates) -> dict[str, float]:
    return {str(index): rate for index, rate in rates.items()}
