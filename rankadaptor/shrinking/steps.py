"""Steps: the commands a shrinking stands for, each with what is there once it is done."""

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rankadaptor.shrinking.plan import ShrinkPlan
from rankadaptor.verdict_report import NAME as REPORT

PRUNED, STUDY, STUDY_ID, HOME = "pruned", "study.yaml", "study.id", "service"
ADAPTER, MODEL, WHOLE = "adapter", "model", "pruned.json"


@dataclass(frozen=True, slots=True)
class Step:
    """One command.

    Attributes:
        title: For people.
        command: Its words, behind ``rankadaptor``.
        made: There once it is done, and not before: the last of its files.
    """

    title: str
    command: tuple[str, ...]
    made: Path

    @property
    def line(self) -> str:
        return shlex.join(("rankadaptor", *self.command))


def pruning(plan: ShrinkPlan, ratio: float, device: str | None, home: Path) -> Iterator[Step]:
    """What needs no service: cut, measure what that did, and say what to search."""
    target = str(home / PRUNED)
    on = () if device is None else ("--device", device)
    cut = ("compress", plan.method, plan.model, target, "--text", plan.text)
    yield Step("Pruning", (*cut, "--ratio", f"{ratio:.6g}", *on), home / PRUNED / WHOLE)
    measure = ("profile", target, "--dense", plan.model, "--text", plan.text, *on)
    yield Step("What pruning did", measure, home / "profiled")
    begin = ("init", target, plan.data, "--output", str(home / STUDY), *on)
    yield Step("What to search", begin, home / STUDY)


def submission(home: Path) -> Step:
    """Twice is once: the key is of this directory."""
    key = f"shrink-{hashlib.sha256(str(home).encode()).hexdigest()[:16]}"
    words = ("submit", str(home / STUDY), "--idempotency-key", key)
    return Step("The study", words, home / STUDY_ID)


def ways_out(study: str, home: Path) -> Iterator[Step]:
    """What is taken from a finished study; the model has the adapter merged."""
    adapter, model = home / ADAPTER, home / MODEL
    yield Step("The adapter", ("export", study, "--to", str(adapter)), adapter / REPORT)
    merged = ("export", study, "--to", str(model), "--format", "container")
    yield Step("The model", merged, model / WHOLE)
