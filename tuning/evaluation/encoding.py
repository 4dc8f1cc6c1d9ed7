"""EncodedTask: the documents of a task as token ids of one model."""

from dataclasses import dataclass
from typing import Any

import torch

from rankspace.errors import InvalidInput
from tuning.control_tokens import spelled
from tuning.evaluation.task import FIELD, Task
from tuning.examples import Example


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTask:
    """A task as one tokenizer reads it.

    Attributes:
        task: What is asked.
        examples: One per choice, document by document; the ending is what is predicted.
        cut: Choices whose context lost its beginning, because the model is made for less.
        control: How often its texts spell a control token, which is then taken for one.
    """

    task: Task
    examples: tuple[Example, ...]
    cut: int
    control: int


def encode_pair(tokenizer: Any, context: str, ending: str) -> tuple[list[int], list[int]]:
    """Return the ids of a context and of what of the whole text goes beyond as many ids.

    As lm-evaluation-harness 0.4 does it (``TemplateLM._encode_pair``, commit 04e7442), without
    special tokens: spaces at the end of the context go to the ending first, and where a token joins
    both, the ending is the tail of the whole text and the context is read as it is alone.
    """
    kept = context.rstrip()
    whole = _encoded(tokenizer, context + ending)
    read = _encoded(tokenizer, kept)
    return read, whole[len(read) :]


def encode_task(
    tokenizer: Any, task: Task, most: int | None, begin: int | None = None
) -> EncodedTask:
    """Make examples of a task.

    Args:
        tokenizer: Of the model.
        task: What is asked.
        most: Tokens that the model is made for; a longer text loses its beginning, as in
            lm-evaluation-harness. None for any number.
        begin: Id put in front of every context; None for none, as by default in
            lm-evaluation-harness up to 0.4 (``models/huggingface.py``, commit 0068151).

    Raises:
        InvalidInput: An ending has no token of its own, or more than ``most``; names the row.
    """
    examples, cut = [], 0
    for document in task.documents:
        for context, ending in zip(document.contexts, document.endings, strict=True):
            read, said = encode_pair(tokenizer, context, ending)
            if begin is not None:
                read = [begin, *read]
            _check(task, document.place, read, said, most)
            tokens = read + said
            kept = tokens if most is None else tokens[-(most + 1) :]
            cut += len(kept) < len(tokens)
            examples.append(Example(torch.tensor(kept), len(kept) - len(said)))
    texts = (text for one in task.documents for text in one.texts)
    return EncodedTask(task, tuple(examples), cut, spelled(tokenizer, texts))


def _check(task: Task, place: str, read: list[int], said: list[int], most: int | None) -> None:
    field = f"{FIELD}, {place}"
    if not read or not said:
        which = "context" if not read else "choice"
        problem = f"the tokenizer leaves a {which} without a token of its own"
        raise InvalidInput(field, task.name, problem, fix="drop the row")
    if most is not None and len(said) > most:
        problem = f"has a choice of {len(said):,} tokens, and the model is made for {most:,}"
        raise InvalidInput(field, task.name, problem, fix="drop the row")


def _encoded(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, verbose=False)
    return ids
