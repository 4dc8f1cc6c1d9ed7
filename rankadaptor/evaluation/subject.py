"""Subject: a model to evaluate, alone or with an adapter beside it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rankadaptor.evaluation.naming import distinct
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
        shown: Its name where another has the same; empty for that of the directories.
    """

    model: Path
    adapter: Path | None = None
    shown: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        if self.shown:
            return self.shown
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


def told_apart(subjects: Sequence[Subject]) -> list[Subject]:
    """Return the subjects, those of one name with as much of their paths as tells them apart."""
    names = [subject.name for subject in subjects]
    if len(set(names)) == len(set(subjects)):
        return list(subjects)
    models = distinct([subject.model for subject in subjects])
    adapters = distinct([subject.adapter or subject.model for subject in subjects])
    return [
        replace(one, shown=f"{model} + {adapter}" if one.adapter else model)
        for one, model, adapter in zip(subjects, models, adapters, strict=True)
    ]


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
