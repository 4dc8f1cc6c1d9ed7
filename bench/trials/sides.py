"""Sides: who trains, each as its own users run it, from the same values and in the same order."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import Trainer, TrainingArguments

from bench.trials.task import ALPHA_PER_RANK, OPTIMIZER, SEED, Task
from tuning.back_ends import ADAPTER_BACK_ENDS, Attached
from tuning.batches import Passes
from tuning.examples import Example
from tuning.training import learning_rate, train

TRAINER = "Trainer + peft"
IGNORED = -100
"""The label that the library's loss leaves out."""

Steps: TypeAlias = Sequence[Sequence[Example]]


@dataclass(frozen=True, slots=True)
class Side:
    """One way of running a trial.

    Attributes:
        back_end: Who puts the adapters on the model.
        fit: Trains them.
    """

    back_end: str
    fit: Callable[[Any, Attached, Task, Steps], None]

    def attach(self, model: Any, ranks: Mapping[str, int]) -> Attached:
        back_end = ADAPTER_BACK_ENDS[self.back_end]
        return back_end.attach(model, ranks, alpha_per_rank=ALPHA_PER_RANK, seed=SEED)


def _ours(model: Any, attached: Attached, task: Task, steps: Steps) -> None:
    passes = Passes(task.micro)
    train(model, attached.parameters, steps, OPTIMIZER, steps=len(steps), passes=passes)


def _theirs(model: Any, attached: Attached, task: Task, steps: Steps) -> None:
    """The library's own loop, batches and loss; optimiser and rates are set as ours are."""
    adamw = torch.optim.AdamW(
        attached.parameters,
        lr=OPTIMIZER.learning_rate,
        weight_decay=OPTIMIZER.weight_decay,
        fused=True,
    )
    scheduler = LambdaLR(adamw, partial(_share, steps=len(steps)))
    with tempfile.TemporaryDirectory() as directory:
        arguments = TrainingArguments(
            output_dir=directory,
            max_steps=len(steps),
            per_device_train_batch_size=task.micro,
            gradient_accumulation_steps=task.per_step // task.micro,
            max_grad_norm=OPTIMIZER.gradient_clip,
            bf16=model.dtype is torch.bfloat16,
            use_cpu=model.device.type == "cpu",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=model.device.type == "cuda",
        )
        examples = [example for step in steps for example in step]
        trainer = _InOrder(
            model=model,
            args=arguments,
            data_collator=_padded,
            train_dataset=_Examples(examples),
            optimizers=(adamw, scheduler),
        )
        trainer.train()


def _share(taken: int, *, steps: int) -> float:
    return learning_rate(OPTIMIZER, min(taken + 1, steps), steps) / OPTIMIZER.learning_rate


class _InOrder(Trainer):
    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return SequentialSampler(train_dataset)


class _Examples(Dataset[Example]):
    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, place: int) -> Example:
        return self._examples[place]


def _padded(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """As the library's collators pad: to the longest on the right, with a mask and labels."""
    shape = len(examples), max(len(example.tokens) for example in examples)
    ids, mask = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)
    labels = torch.full(shape, IGNORED)
    for row, example in enumerate(examples):
        end = len(example.tokens)
        ids[row, :end], mask[row, :end] = example.tokens, 1
        labels[row, example.prompt : end] = example.tokens[example.prompt :].long()
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


SIDES: Mapping[str, Side] = MappingProxyType(
    {
        TRAINER: Side("peft", _theirs),
        **{f"our loop + {name}": Side(name, _ours) for name in ADAPTER_BACK_ENDS},
    }
)
