"""Serving: one trial for each line that is read, what it came to on a line of its own."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from bench.trials.process import now, peak, reset, resident
from bench.trials.sides import Side
from bench.trials.task import HELD_OUT, Task
from tuning import memory
from tuning.examples import Example
from tuning.measuring import text_losses


@dataclass(frozen=True, slots=True)
class Found:
    """What one trial came to.

    Attributes:
        seconds: Of attaching, training and detaching.
        tokens: Read in training, padding left out.
        peak_bytes: Of training, beyond what there was before the model.
        loss: Held out, in nats per token.
    """

    seconds: float
    tokens: int
    peak_bytes: int
    loss: float


def serve(side: Side, task: Task, dtype: str, device: str) -> None:
    """Load the model and run a trial whenever a line comes in, until there are no more."""
    torch.set_num_threads(1)
    place, examples = torch.device(device), task.examples()
    before = 0 if device == "cuda" else resident("VmRSS")
    model = task.model(getattr(torch, dtype)).to(place)
    steps = task.steps_of(examples, task.steps)
    for _ in sys.stdin:
        print(json.dumps(asdict(_trial(side, task, model, steps, examples, before))), flush=True)


def _trial(
    side: Side,
    task: Task,
    model: Any,
    steps: Sequence[Sequence[Example]],
    examples: Sequence[Example],
    before: int,
) -> Found:
    memory.release(model.device)
    reset(model.device)
    began = now(model.device)
    attached = side.attach(model, task.ranks())
    side.fit(model, attached, task, steps)
    trained = now(model.device)
    most = peak(model.device) - before
    loss = text_losses(model.eval(), examples[:HELD_OUT], model.device).mean
    measured = now(model.device)
    attached.detach()
    seconds = trained - began + now(model.device) - measured
    return Found(seconds, sum(len(e.tokens) for step in steps for e in step), most, loss)
