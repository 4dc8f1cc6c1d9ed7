"""Subject: a model to evaluate, alone or with an adapter beside it."""

import re
from dataclasses import dataclass
from pathlib import Path

from rankspace.errors import InvalidInput
from rankspace.lease import CONFIG, NOTE

MODEL = "config.json"
"""What a directory with a model holds, and one with an adapter does not."""

_FINGERPRINT = re.compile(r"\| fingerprint \| `([0-9a-f]{64})` \|")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated.

    Attributes:
        model: Directory of a container or of an ordinary Hugging Face model.
        adapter: Directory as the export writes it; None for the model alone.
    """

    model: Path
    adapter: Path | None = None

    @property
    def name(self) -> str:
        model = self.model.name or str(self.model)
        return model if self.adapter is None else f"{model} + {self.adapter.name or self.adapter}"


def subject_of(model: Path, adapter: Path | None) -> Subject:
    """Return the subject that is evaluated.

    Raises:
        InvalidInput: ``adapter`` is no directory with one: it would be taken for all ranks 0.
    """
    if adapter is not None:
        _check_adapter("--adapter", adapter)
    return Subject(model, adapter)


def against(model: Path, given: Path) -> Subject:
    """Return what ``given`` is: a model, or an adapter beside ``model``.

    Raises:
        InvalidInput: It is neither.
    """
    if (given / MODEL).exists():
        return Subject(given)
    _check_adapter("--against", given)
    return Subject(model, given)


def stated_model(adapter: Path) -> str | None:
    """Return the fingerprint of the model that the adapter's note says it is of, if it says so."""
    note = adapter / NOTE
    found = _FINGERPRINT.search(note.read_text("utf-8", "replace")) if note.is_file() else None
    return found[1] if found else None


def check_note(subject: Subject, fingerprint: str) -> None:
    """Check that the note of the adapter, if it has one, does not name another model.

    Raises:
        InvalidInput: It does.
    """
    stated = stated_model(subject.adapter) if subject.adapter else None
    if stated is not None and stated != fingerprint:
        problem = f"its note says that it is of another model than {subject.model}"
        fix = "give the model that the study was submitted with"
        raise InvalidInput("adapter", str(subject.adapter), problem, fix=fix)


def _check_adapter(field: str, directory: Path) -> None:
    if not (directory / CONFIG).exists() and stated_model(directory) is None:
        problem = f"holds no {CONFIG}, nor the note of an adapter whose ranks are all 0"
        fix = "name the directory that `rankadaptor export STUDY --to DIR` wrote"
        if field == "--against":
            problem, fix = f"{problem}, nor a model ({MODEL})", f"{fix}, or that of a model"
        raise InvalidInput(field, str(directory), problem, fix=fix)
