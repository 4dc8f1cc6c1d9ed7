"""What is remembered of memory: of this model, recipe and data, and only what was found here."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import torch
from structlog.testing import LogCapture

from rankspace import Assignment
from rankspace.recipe import Batch, Inputs
from tuning.batches import Passes
from tuning.training import Training
from worker.trial.checkpoints import Checkpoints
from worker.trial.evaluation import Evaluator
from worker.trial.fitting import Fitting

Assign = Callable[..., Assignment]
CPU = torch.device("cpu")
LONG, SHORT = Inputs(data="a" * 64), Inputs(data="b" * 64)


@pytest.fixture
def said() -> Iterator[LogCapture]:
    """What is logged, from debug on: before a worker starts, structlog has no level."""
    capture, before = LogCapture(), structlog.get_config()
    structlog.configure(
        processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    yield capture
    structlog.configure(**before)


def events(said: LogCapture) -> list[str]:
    return [str(entry["event"]) for entry in said.entries]


def test_what_long_examples_had_room_for_says_nothing_of_a_file_of_short_ones(
    assign: Assign,
) -> None:
    """Another file may lie at the path of the recipe by then."""
    fitting = Fitting()
    fitting.learn(assign(), LONG, Passes(8, 1000), Training((1.0,), 9, Passes(2, 1000), True))
    assert fitting.within(assign(), LONG, Passes(8, 1000)) == Passes(2, 1000)
    assert fitting.within(assign(), SHORT, Passes(80, 100)) == Passes(80, 100)


class Killed(Exception):
    """The worker's process ended."""


def killed(step: int, loss: float) -> bool:
    if step == 3:
        raise Killed
    return False


def go_on(step: int, loss: float) -> bool:
    return False


@pytest.mark.slow
def test_a_checkpoint_of_a_smaller_pass_is_no_want_of_memory_here(
    assign: Assign, tmp_path: Path, said: LogCapture
) -> None:
    """Another process had less: this one goes on as that began, and begins its own trials anew."""
    recipe = replace(assign().recipe, batch=Batch(examples=8))
    trial = assign(recipe=recipe, steps=6)
    tmp_path.chmod(0o700)

    def started() -> Evaluator:
        return Evaluator(CPU, checkpoints=Checkpoints(tmp_path, 0.0, clock=lambda: 0.0))

    crowded = started()
    resident: Any = crowded._residence.resident(trial)

    def hook(_: Any, arguments: Any, named: Any) -> None:
        if torch.is_grad_enabled() and len(named["input_ids"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    resident.model.get_decoder().register_forward_pre_hook(hook, with_kwargs=True)
    with pytest.raises(Killed):
        crowded.evaluate(trial, killed)
    roomy = started()
    assert roomy.evaluate(trial, go_on).versions["micro_batch"] == "2 x 32"
    assert roomy.resumed_at == 3
    assert roomy.evaluate(replace(trial, trial_id=2), go_on).versions["micro_batch"] == "8 x 32"
    assert not {"memory_ran_out", "micro_batch_remembered"} & {*events(said)}
