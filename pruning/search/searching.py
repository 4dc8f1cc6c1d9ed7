"""Searching rates for a model: check, load, look, score, confirm."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from pruning.container.architecture import check_positions
from pruning.container.container import load_contents, stored_dtype
from pruning.container.contents import Contents
from pruning.container.tokenizer import read_tokenizer
from pruning.methods.memory import Memory, memory_of
from pruning.methods.method import Cutting
from pruning.methods.methods import METHODS
from pruning.methods.plan import Plan
from pruning.methods.settings import PruningSettings
from pruning.profiling.calibration_text import (
    READ_BYTES,
    CalibrationText,
    draw_windows,
    hash_windows,
)
from pruning.progress import OnProgress
from pruning.search.about import SearchName
from pruning.search.confirmation import Confirmation, confirmed
from pruning.search.evaluation import Search
from pruning.search.record import Record, open_record
from pruning.search.run import Found, run_search
from pruning.search.scorer import BATCH_TOKENS, Scorer, changes
from pruning.search.space import RateSpace
from rankspace.errors import InvalidInput
from tuning.losses import MOST_LOGITS


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for, and on which texts.

    Attributes:
        search: By its name.
        settings: Method, blocks, ratio and seed; its rates and ranking are not looked at.
        calibration: What the method looks at.
        held_out: What rates are scored on; the first half of its windows is searched on, the second
            sees the best rates and equal ones in the end.
        evaluations: Prunings to score, equal rates among them.
        dtype: Of the weights; None keeps theirs.
    """

    search: SearchName
    settings: PruningSettings
    calibration: CalibrationText
    held_out: CalibrationText
    evaluations: int
    dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("evaluations", self.evaluations, 2),
            ("blocks", len(self.settings.blocks), 2),
            ("held-out windows", self.held_out.samples, 4),
        ):
            if value < least:
                raise InvalidInput(name, value, "is too few", fix=f"use {least} or more")


@dataclass(frozen=True, slots=True)
class Searched:
    """What came of a question.

    Attributes:
        found: Of the search itself.
        confirmation: None where equal rates are the best, or a loss is not finite there.
        removed: Share of the blocks' weights that whole structures make of the best rates.
        removed_uniform: Likewise of equal rates.
        question: As it is recorded.
        torn: Whether the record ended in the middle of a line.
    """

    found: Found
    confirmation: Confirmation | None
    removed: float
    removed_uniform: float
    question: Mapping[str, Any]
    torn: bool

    @property
    def larger(self) -> float:
        """Share of the blocks' weights that the best rates leave beyond what equal rates leave."""
        return self.removed_uniform - self.removed

    @property
    def document(self) -> dict[str, Any]:
        """What ``compress --rates`` reads, with where it comes from."""
        best, uniform = self.found.best, self.found.uniform
        return {
            "rates": {str(index): rate for index, rate in best.rates.items()},
            "search": {
                **self.question,
                "loss": _number(best.loss),
                "uniform_loss": _number(uniform.loss),
                "confirmation": asdict(self.confirmation) if self.confirmation else None,
                "scored": self.found.scored,
                "failed": self.found.failed,
                "repeated": self.found.repeated,
                "moved": self.found.moved,
                "removed": self.removed,
                "removed_uniform": self.removed_uniform,
                "versions": {
                    "torch": torch.__version__,
                    "transformers": transformers.__version__,
                },
            },
        }


def search_rates(
    contents: Contents,
    question: Question,
    search: Search,
    *,
    record: Path | None = None,
    device: torch.device | str = "cpu",
    on_progress: OnProgress | None = None,
) -> Searched:
    """Search the rates of a model that was surveyed.

    Args:
        contents: The dense model.
        question: What is asked.
        search: That of its name.
        record: File of all evaluations, which is gone on with where it is there.
        device: Where the model goes.
        on_progress: Called after each evaluation.

    Raises:
        InvalidContainer: The model is not valid.
        InvalidInput: A method that has no rates or blocks that it cannot cut, a ratio that removes
            nothing, a text that is too short or both the same, a record of another question.
    """
    space = check_question(contents, question)
    loaded = load_contents(contents, dtype=question.dtype, device=device)
    looked = draw_windows(question.calibration, loaded.tokenizer)
    searched, unseen = draw_windows(question.held_out, loaded.tokenizer).tensor_split(2)
    asked = _recorded(question, loaded.description.fingerprint, looked, searched, unseen)
    kept = open_record(record, asked) if record else Record()
    settings = question.settings
    method = METHODS[settings.method]
    change = changes(method, loaded.model, settings.blocks, looked, settings.seed)
    scorer = Scorer(loaded.model, change)
    found = run_search(
        search,
        space,
        lambda rates: scorer.loss(rates, searched),
        kept,
        question.evaluations,
        on_progress,
    )
    return Searched(
        found,
        _confirmation(scorer, found, unseen),
        space.removed(found.best.rates),
        space.removed(space.uniform),
        asked,
        kept.torn,
    )


def check_question(contents: Contents, question: Question) -> RateSpace:
    """Check what needs no weights, and return the space to search.

    Raises:
        InvalidInput: See ``search_rates``.
    """
    settings, structure = question.settings, contents.structure
    method = METHODS[settings.method]
    if not isinstance(method, Cutting):
        problem = "has no rates by block that a search could set"
        fix = "use a method that removes heads and channels"
        raise InvalidInput("method", settings.method, problem, fix=fix)
    if method.changes_weights:
        problem = "trains for each vector of rates anew, and changes the weights that all share"
        fix = "search with taylor or flap, and compress by the file with this method"
        raise InvalidInput("method", settings.method, problem, fix=fix)
    if settings.blocks[-1] >= len(structure.blocks):
        fix = f"use 0 to {len(structure.blocks) - 1}"
        raise InvalidInput("blocks", settings.blocks, "names a block the model lacks", fix=fix)
    method.check(contents, settings)
    for text in (question.calibration, question.held_out):
        check_positions("length", text.length, contents.architecture.config)
    _check_apart(question)
    space = RateSpace(structure, contents.architecture.hidden, settings.blocks, settings.ratio)
    method.check_plan(structure, Plan(space.uniform), settings.ratio)
    read_tokenizer(contents)
    return space


def search_memory(contents: Contents, question: Question) -> Memory:
    """Return what a search takes: one dense model, and beside it one pruned one at a time."""
    memory = memory_of(contents, question.settings, question.calibration, question.dtype)
    size = (question.dtype or stored_dtype(contents)).itemsize
    architecture, settings = contents.architecture, question.settings
    space = RateSpace(contents.structure, architecture.hidden, settings.blocks, settings.ratio)
    pruned = int(sum(space.sizes.values()) * (1.0 - settings.ratio)) * size
    logits = min(MOST_LOGITS, BATCH_TOKENS * architecture.vocabulary) * (size + 8)
    return Memory(memory.weights, max(memory.beside, pruned + logits))


def _check_apart(question: Question) -> None:
    """Rates that are scored on the text that the method looked at learn it by heart."""
    texts = (question.calibration.text, question.held_out.text)
    if _digest(texts[0]) == _digest(texts[1]):
        problem = "is the calibration text, too"
        fix = "give text that is neither calibration nor test: cut the file in two"
        raise InvalidInput("held-out text", str(texts[1]), problem, fix=fix)


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.sha256(file.read(READ_BYTES)).digest()
    except OSError as error:
        problem, fix = f"cannot be read: {error.strerror}", "give a UTF-8 text file"
        raise InvalidInput("text", str(path), problem, fix=fix) from None


def _recorded(
    question: Question, fingerprint: str, looked: torch.Tensor, *held_out: torch.Tensor
) -> dict[str, Any]:
    """All that decides what is found, in JSON types."""
    settings = question.settings
    return {
        "search": question.search.value,
        "seed": settings.seed,
        "evaluations": question.evaluations,
        "method": settings.method.value,
        "blocks": list(settings.blocks),
        "ratio": settings.ratio,
        "model": fingerprint,
        "dtype": str(question.dtype).removeprefix("torch.") if question.dtype else None,
        "calibration": _text(question.calibration, looked),
        "held_out": _text(question.held_out, *held_out),
    }


def _text(text: CalibrationText, *windows: torch.Tensor) -> dict[str, Any]:
    return {
        "text": text.text.name,
        "samples": text.samples,
        "length": text.length,
        "seed": text.seed,
        "tokens_sha256": [hash_windows(part) for part in windows],
    }


def _confirmation(scorer: Scorer, found: Found, windows: torch.Tensor) -> Confirmation | None:
    if found.best.rates == found.uniform.rates:
        return None
    both = [scorer.losses(one.rates, windows) for one in (found.best, found.uniform)]
    return confirmed(both[0], both[1]) if both[0] and both[1] else None


def _number(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None
