"""Evaluation: what a model, with its adapter or without, scores on texts and tasks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from pruning.container.container import LoadedModel, load_contents
from pruning.container.contents import Contents, survey
from pruning.publishing.adapter import Adapter, read_adapter
from pruning.publishing.attaching import attached, check_adapter
from rankadaptor.evaluation.questions import Asked, Questions, asked_of, usual_windows
from rankadaptor.evaluation.subject import Subject, check_note, stated_model
from tuning import memory
from tuning.evaluation.perplexity import Perplexity, measure_perplexity
from tuning.evaluation.task_score import TaskScore, score_task

Counted = Callable[[str, int], AbstractContextManager[Callable[[int, int], None]]]
"""Opens a progress bar of a name and a length."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one subject scores.

    Attributes:
        subject: The model and its adapter.
        fingerprint: Of the model's weights.
        parameters: Of the model, and of the adapter.
        dtype: In which the model computes; an adapter in its own.
        device: Where.
        peak_bytes: Memory at most: the device's of a GPU, the process's so far on a CPU.
        begins: See ``Questions``.
        limit: See ``Questions``.
        perplexities: By text and window.
        tasks: In the order of the files.
        remarks: What a reader must know of it.
    """

    subject: Subject
    fingerprint: str
    parameters: tuple[int, int]
    dtype: str
    device: str
    peak_bytes: int
    begins: bool
    limit: int | None
    perplexities: tuple[Perplexity, ...]
    tasks: tuple[TaskScore, ...]
    remarks: tuple[str, ...]


def evaluate_subjects(
    subjects: Sequence[Subject], questions: Questions, device: torch.device, counted: Counted
) -> tuple[tuple[Evaluation, ...], Exception | None]:
    """Evaluate each subject on the same questions; a model they share is loaded once.

    All files but the weights are read and checked before the first weight is, and one model at a
    time is in memory.

    Returns:
        What was finished, the last one perhaps in part; and what stopped the rest, or None.

    Raises:
        InvalidInput: Anything cannot be used, and nothing was finished; see ``asked_of``,
            ``check_adapter``, ``load_contents``.
    """
    surveyed = {subject.model: survey(subject.model) for subject in subjects}
    usual = usual_windows(surveyed.values()) if questions.texts else ()
    asked = {model: asked_of(contents, questions, usual) for model, contents in surveyed.items()}
    adapters = {subject: _adapter(subject) for subject in subjects}
    for subject, adapter in adapters.items():
        check_adapter(surveyed[subject.model], adapter)
    found: dict[Subject, Evaluation] = {}
    failure: Exception | None = None
    try:
        for model, contents in surveyed.items():
            own = {one: adapter for one, adapter in adapters.items() if one.model == model}
            _of_model(contents, own, asked[model], questions, device, counted=counted, found=found)
            memory.release(device)
    except Exception as error:
        if not found:
            raise
        failure = error
    return tuple(found[subject] for subject in subjects if subject in found), failure


def _of_model(  # noqa: PLR0913  # what is asked of whom, and where the answers go
    contents: Contents,
    adapters: Mapping[Subject, Adapter],
    asked: Asked,
    questions: Questions,
    device: torch.device,
    *,
    counted: Counted,
    found: dict[Subject, Evaluation],
) -> None:
    """Evaluate the subjects of one model; when this returns, nothing holds the model any more."""
    loaded = load_contents(contents, device=device)
    for subject in adapters:
        check_note(subject, loaded.description.fingerprint)
    for subject, adapter in adapters.items():
        _Run(subject, loaded, adapter, asked, questions, device).evaluate(counted, found)


def _adapter(subject: Subject) -> Adapter:
    return {} if subject.adapter is None else read_adapter(subject.adapter)


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    subject: Subject
    loaded: LoadedModel
    adapter: Adapter
    asked: Asked
    questions: Questions
    device: torch.device

    def evaluate(self, counted: Counted, found: dict[Subject, Evaluation]) -> None:
        """Write into ``found`` what is finished, also when the rest cannot be."""
        model = self.loaded.model
        perplexities: list[Perplexity] = []
        tasks: list[TaskScore] = []
        if self.device.type == "cuda":
            memory.reset_peak(self.device)
        try:
            with attached(model, self.adapter):
                perplexities.extend(self._perplexities(counted))  # keeps what came before an error
                tasks.extend(self._tasks(counted))
        finally:
            if perplexities or tasks:
                found[self.subject] = self._evaluation(tuple(perplexities), tuple(tasks))

    def _evaluation(
        self, perplexities: tuple[Perplexity, ...], tasks: tuple[TaskScore, ...]
    ) -> Evaluation:
        added = sum(low.first.numel() + low.second.numel() for low in self.adapter.values())
        return Evaluation(
            subject=self.subject,
            fingerprint=self.loaded.description.fingerprint,
            parameters=(self.loaded.description.parameters, added),
            dtype=str(self.loaded.model.dtype).removeprefix("torch."),
            device=str(self.device),
            peak_bytes=memory.peak_bytes(self.device),
            begins=self.questions.begins,
            limit=self.questions.limit,
            perplexities=perplexities,
            tasks=tasks,
            remarks=(*self.asked.remarks, *self._doubts()),
        )

    def _perplexities(self, counted: Counted) -> Iterator[Perplexity]:
        for stream in self.asked.streams:
            for window in self.asked.windows:
                count = len(stream.tokens) // window
                with counted(f"{stream.name}, {window}", count) as advance:
                    yield measure_perplexity(
                        self.loaded.model,
                        stream,
                        window,
                        self.device,
                        limit=self.questions.limit,
                        on_progress=advance,
                    )

    def _tasks(self, counted: Counted) -> Iterator[TaskScore]:
        for encoded in self.asked.tasks:
            with counted(encoded.task.name, len(encoded.examples)) as advance:
                yield score_task(self.loaded.model, encoded, self.device, on_progress=advance)

    def _doubts(self) -> Iterator[str]:
        adapter = self.subject.adapter
        if adapter and stated_model(adapter) is None:
            yield f"{self.subject.name}: no note says of which model the adapter is"
        if adapter and not self.adapter:
            yield f"{self.subject.name}: all ranks of the adapter are 0"
