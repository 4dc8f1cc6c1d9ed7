"""One trial: load, attach, train, measure, detach."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pruning.container.architecture import FAMILIES, positions
from rankspace.errors import CannotOpen, InvalidInput, TrialFailed
from rankspace.evaluation.metric_score import MetricScore
from rankspace.lease import Assignment, Capabilities
from rankspace.observation import DataCounts, Measurement, TextLosses, is_loss
from rankspace.recipe import Inputs
from tuning import memory
from tuning.back_ends import (
    ADAPTER_BACK_ENDS,
    DEFAULT_BACK_END,
    AdapterBackEnd,
    Attached,
    assigned_ranks,
)
from tuning.batches import Passes, schedule, steps_of_epochs
from tuning.data import READING, Dataset, DatasetCache
from tuning.elastic.adapter import ElasticAdapter
from tuning.elastic.scoring import scores
from tuning.examples import FIELD
from tuning.file_hash import FileHashes
from tuning.measuring import mean_loss, text_losses
from tuning.memory_plan.choice import Plans
from tuning.memory_plan.training_shape import TrainingShape
from tuning.reading.hub import located
from tuning.token_cache import TokenCache
from tuning.training import OnStep, Training, train
from worker.trial.checkpoints import Checkpoints, TrialKeeper, statement_of
from worker.trial.export import check_room, export
from worker.trial.fitting import Fitting
from worker.trial.inputs import changed_meanwhile, check_data_file, check_inputs
from worker.trial.metrics import ReadMetric, measure_metrics, read_metrics
from worker.trial.planning import (
    asked_passes,
    by_place,
    first_passes,
    free_beside,
    most_targets,
)
from worker.trial.reach import Reach
from worker.trial.resident import Residence, Resident
from worker.trial.surveying import SHARE, forms_of, is_trained, take_over, vectors_of
from worker.trial.versions import versions


@dataclass(frozen=True, slots=True)
class _Prepared:
    resident: Resident
    dataset: Dataset
    inputs: Inputs
    ranks: Mapping[str, int]
    metrics: tuple[ReadMetric, ...]
    passes: Passes

    @property
    def counts(self) -> DataCounts:
        most = positions(self.resident.model.config.to_dict())
        return replace(self.dataset.counts, positions=most or 0)


class Evaluator:
    """Runs assignments on one device; model and data stay between them."""

    def __init__(
        self,
        device: torch.device,
        back_end: str = DEFAULT_BACK_END,
        reach: Reach | None = None,
        tokens: TokenCache | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._device = device
        self._back_end_name = back_end
        self._back_end: AdapterBackEnd = ADAPTER_BACK_ENDS[back_end]
        self._residence = Residence(device)
        self._datasets = DatasetCache(tokens=tokens)
        self._hashes = FileHashes()
        self._reach = reach or Reach()
        self._checkpoints = checkpoints
        self._keeper: TrialKeeper | None = None
        self._fitting = Fitting()

    @property
    def resumed_at(self) -> int:
        """The step from which a checkpoint let the latest trial go on; 0 for its start."""
        return self._keeper.resumed_at if self._keeper else 0

    def capabilities(self) -> Capabilities:
        """What this machine can run, and what it would not have to load."""
        gib = memory.total_bytes(self._device) / 2**30
        return Capabilities(gib, tuple(FAMILIES), self._residence.fingerprint)

    def evaluate(
        self,
        assignment: Assignment,
        on_step: OnStep,
        adapter_directory: Path | None = None,
        kept: Path | None = None,
    ) -> Measurement:
        """Run one trial; on a CPU equal ones of equal micro-batches have bit-identical losses.

        Args:
            assignment: What to run.
            on_step: Called after every step: True ends training early (what there is gets
                measured), an exception abandons the trial.
            adapter_directory: Where to save the adapter if the assignment keeps it.
            kept: The weights that a survey scores on, if it is not to train any.

        Raises:
            CannotOpen: The model or the data cannot be used on this machine or are not those that
                were submitted, or there is no room for the adapter.
            TrialFailed: Not finite, out of memory; other weights than the survey's.
        """
        clock = _Clock()
        self._keeper = None
        self._start_clean()
        if assignment.keep_adapter and adapter_directory is not None:
            check_room(assignment, adapter_directory)
        with clock.phase("load"):
            prepared = self._prepare(assignment)
        try:
            return self._run(assignment, prepared, on_step, (adapter_directory, kept), clock)
        finally:
            self._check_base(prepared.resident)

    def _start_clean(self) -> None:
        if self._device.type == "cuda":  # a failed trial's tensors may linger in a traceback
            memory.release(self._device)
            memory.reset_peak(self._device)

    def _prepare(self, assignment: Assignment) -> _Prepared:
        check_inputs(assignment, Inputs(reading=READING))  # before the model is loaded for it
        self._reach.check("model_path", assignment.model_path)
        check_data_file(assignment, self._reach)
        resident = self._residence.resident(assignment)
        inputs = self._inputs(assignment, resident)
        check_inputs(assignment, inputs)
        dataset = self._dataset(assignment, resident, inputs)
        ranks = assigned_ranks(assignment, resident.modules)
        metrics = self._metrics(assignment, resident)
        asked = self._passes(assignment, resident, dataset, ranks)
        passes = self._fitting.within(assignment, inputs, asked) if ranks else asked
        return _Prepared(resident, dataset, inputs, ranks, metrics, passes)

    def _metrics(self, assignment: Assignment, resident: Resident) -> tuple[ReadMetric, ...]:
        """Read what the recovered model is to be evaluated on, before it is recovered."""
        config = resident.model.config.to_dict()
        try:
            return read_metrics(assignment.metrics, resident.tokenizer, config, self._reach.check)
        except InvalidInput as error:
            raise _no_fault(error) from error

    def _passes(
        self,
        assignment: Assignment,
        resident: Resident,
        dataset: Dataset,
        ranks: Mapping[str, int],
    ) -> Passes:
        """How to cut steps to begin with; as the recipe says where nothing is trained."""
        longest = max(len(example.tokens) for example in dataset.train)
        asked = asked_passes(assignment.recipe.batch, longest, self._device)
        if not ranks:
            return asked
        training = TrainingShape(
            resident.shape,
            by_place(resident.matrices, ranks),
            tokens=longest - 1,
            targets=most_targets(dataset.train, asked),
            width=resident.model.dtype.itemsize,
        )
        plans = Plans.of(training, self._device.type)
        free = free_beside(plans.plain, self._device)
        return first_passes(asked, plans, free)

    def _inputs(self, assignment: Assignment, resident: Resident) -> Inputs:
        wanted = assignment.recipe.data
        data = self._hashes.of(FIELD, str(located(FIELD, wanted.train)))
        return Inputs(data, resident.tokens_hash(wanted), READING)

    def _dataset(self, assignment: Assignment, resident: Resident, inputs: Inputs) -> Dataset:
        recipe = assignment.recipe
        try:
            dataset = self._datasets.dataset(recipe, inputs, resident.tokenizer)
        except InvalidInput as error:
            raise _no_fault(error) from error
        if self._inputs(assignment, resident) != inputs:
            self._datasets.forget(recipe, inputs)
            raise changed_meanwhile(assignment)
        return dataset

    def _run(
        self,
        assignment: Assignment,
        prepared: _Prepared,
        on_step: OnStep,
        places: tuple[Path | None, Path | None],
        clock: "_Clock",
    ) -> Measurement:
        adapter_directory, kept = places
        with clock.phase("attach"):
            attached = self._attach(assignment, prepared, kept)
        try:
            with clock.phase("train"):
                trained = self._train(assignment, prepared, attached, on_step)
            with clock.phase("evaluate"):
                loss, texts = self._measure(assignment, prepared, attached)
                again = _again(trained, loss, on_step)
                surveyed = self._survey(assignment, prepared, attached, again)
            measurement = self._measurement(prepared, trained, loss, attached, clock)
            metrics = self._evaluate(prepared, again, clock)
            measurement = replace(
                measurement,
                texts=texts,
                scores=surveyed,
                metrics=metrics,
                seconds=dict(clock.seconds),
                versions={**measurement.versions, **_stated(assignment, trained)},
            )
            if assignment.keep_adapter and adapter_directory is not None:
                export(attached, assignment, measurement, prepared.ranks, adapter_directory)
            return measurement
        finally:
            attached.detach()

    def _attach(self, assignment: Assignment, prepared: _Prepared, kept: Path | None) -> Attached:
        attach = self._back_end.attach if assignment.survey is None else ElasticAdapter
        attached = attach(
            prepared.resident.model,
            prepared.ranks,
            alpha_per_rank=assignment.recipe.alpha_per_rank,
            seed=assignment.seed,
        )
        try:
            take_over(assignment, attached, kept)
        except TrialFailed:
            attached.detach()
            raise
        return attached

    def _train(
        self, assignment: Assignment, prepared: _Prepared, attached: Attached, on_step: OnStep
    ) -> Training:
        recipe, examples = assignment.recipe, prepared.dataset.train
        steps = assignment.steps or steps_of_epochs(
            len(examples), recipe.batch.examples, assignment.epochs
        )
        if not attached.parameters or is_trained(assignment):
            return Training((), 0, prepared.passes)
        more: dict[str, Any] = {}
        if isinstance(attached, ElasticAdapter):
            more["forms"] = forms_of(assignment, attached, prepared.resident.modules)
        self._keeper = self._keeper_of(assignment, prepared, attached, steps)
        trained = train(
            prepared.resident.model,
            attached.parameters,
            schedule(examples, recipe.batch.examples, steps, assignment.seed),
            recipe.optimizer,
            steps=steps,
            passes=prepared.passes,
            on_step=on_step,
            keeper=self._keeper,
            **more,
        )
        self._fitting.learn(assignment, prepared.inputs, prepared.passes, trained)
        return trained

    def _keeper_of(
        self, assignment: Assignment, prepared: _Prepared, attached: Attached, steps: int
    ) -> TrialKeeper | None:
        if self._checkpoints is None:
            return None
        statement = statement_of(
            assignment,
            prepared.inputs,
            self._device,
            prepared.resident.model.dtype,
            steps=steps,
            back_end=self._back_end_name,
        )
        return self._checkpoints.of(assignment, statement, attached.parameters, steps)

    def _measure(
        self, assignment: Assignment, prepared: _Prepared, attached: Attached
    ) -> tuple[float, TextLosses | None]:
        """The held-out loss, and the same by text where the assignment asks for it."""
        if isinstance(attached, ElasticAdapter):
            attached.choose(attached.largest)
        held_out = prepared.dataset.held_out[assignment.split]
        if not assignment.texts or len(held_out) < 2:
            return mean_loss(prepared.resident.model, held_out, self._device), None
        texts = text_losses(prepared.resident.model, held_out, self._device)
        return texts.mean, texts

    def _survey(
        self,
        assignment: Assignment,
        prepared: _Prepared,
        attached: Attached,
        beat: Callable[[], object],
    ) -> tuple[float, ...]:
        """Scores of the vectors of a survey; the watchdog and the service hear of each."""
        if not isinstance(attached, ElasticAdapter):
            return ()
        resident, found = prepared.resident, list[float]()
        vectors = vectors_of(assignment, resident.modules)
        some = prepared.dataset.held_out[assignment.split][::SHARE]
        for score in scores(attached, vectors, resident.model, some, self._device):
            _check_converged(-score, -score)
            beat()
            found.append(score)
        attached.choose(attached.largest)
        return tuple(found)

    def _evaluate(
        self, prepared: _Prepared, beat: Callable[[], object], clock: "_Clock"
    ) -> tuple[MetricScore, ...]:
        """What the recovered model scores on the metrics that are asked for, if any."""
        if not prepared.metrics:
            return ()
        with clock.phase("metrics"):
            return measure_metrics(prepared.metrics, prepared.resident.model, self._device, beat)

    def _measurement(
        self,
        prepared: _Prepared,
        trained: Training,
        loss: float,
        attached: Attached,
        clock: "_Clock",
    ) -> Measurement:
        # Without an adapter nothing is trained: the held-out loss stands in for both.
        train_loss = trained.final_loss if trained.losses else loss
        _check_converged(loss, train_loss)
        return Measurement(
            score=-loss,
            loss=loss,
            train_loss=train_loss,
            steps=len(trained.losses),
            tokens=trained.tokens,
            parameters=sum(parameter.numel() for parameter in attached.parameters),
            seconds=dict(clock.seconds),
            peak_bytes=memory.peak_bytes(self._device),
            versions={
                **versions(self._device),
                **prepared.inputs.stated(),
                "adapters": self._back_end_name,
            },
            data=prepared.counts,
        )

    def _check_base(self, resident: Resident) -> None:
        changed = resident.changed()
        if changed:
            self._residence.forget()
            raise TrialFailed(
                f"the trial changed the base model: {', '.join(changed[:3])}",
                hint="this is a defect of the adapter back end; the model will be loaded anew",
            )


def _no_fault(error: InvalidInput) -> CannotOpen:
    """The rank vector had no part in this: it would go wrong with any other."""
    return CannotOpen(error.field, error.value, error.problem, fix=error.hint)


def _stated(assignment: Assignment, trained: Training) -> dict[str, str]:
    """What of the numbers' rounding is not the recipe's doing."""
    asked, found = assignment.recipe.batch.micro, trained.passes
    if not trained.losses:
        return {}
    size = str(found) if asked == "auto" else f"{found} of {asked}"
    stated = {} if found.examples == asked else {"micro_batch": size}
    return {**stated, "blocks": "recomputed"} if found.recomputes else stated


def _again(trained: Training, loss: float, on_step: OnStep) -> Callable[[], object]:
    """A sign of life after the training: its last step once more, so that its curve stays so.

    Where nothing was trained it has the held-out ``loss``.
    """
    last = trained.losses[-1] if trained.losses else loss
    return lambda: on_step(len(trained.losses), last)


def _check_converged(loss: float, train_loss: float) -> None:
    if not (is_loss(loss) and is_loss(train_loss)):
        raise TrialFailed(
            f"it diverged: the held-out loss is {loss:g}, the training loss {train_loss:g}",
            hint="lower recipe.optimizer.learning_rate",
        )


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
