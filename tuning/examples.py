"""Example: one tokenised piece of training text. Two readers make them, one per data format."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor

from rankspace.errors import InvalidInput
from tuning.text_file import read_text_file

FIELD = "recipe.data.train"
ROW = '{"instruction": "…", "input": "", "output": "…"}'

PROMPT = (
    "Below is an instruction that describes a task. Write a response that appropriately "
    "completes the request.\n\n### Instruction:\n{instruction}\n\n### Response:\n"
)
PROMPT_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further "
    "context. Write a response that appropriately completes the request.\n\n### Instruction:\n"
    "{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)
"""Stanford Alpaca's two templates, as LLM-Pruner trains with."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Tokens to read and, from ``prompt`` on, to predict.

    Attributes:
        tokens: Token ids, int64 ``(t,)`` with ``t >= 2``.
        prompt: How many leading tokens are only read; at least 1, less than ``t``.
    """

    tokens: Tensor
    prompt: int

    @property
    def targets(self) -> int:
        """Tokens that are predicted."""
        return len(self.tokens) - self.prompt


class Reader(Protocol):
    """Reads a file of one format as token sequences."""

    def __call__(self, path: Path, tokenizer: Any, length: int) -> tuple[Example, ...]:
        """Return the file's examples of at most ``length`` tokens, in its order.

        Raises:
            InvalidInput: Content that is of no use to anyone.
            CannotOpen: This machine cannot read the file.
        """
        ...


def read_text(path: Path, tokenizer: Any, length: int) -> tuple[Example, ...]:
    """Cut a UTF-8 text into consecutive windows of ``length`` tokens; a shorter rest is dropped.

    The text is one stream: no token is put in front of a window.
    """
    encoded = tokenizer(read_text_file(FIELD, path), add_special_tokens=False, verbose=False)
    return windows(encoded["input_ids"], length)


def windows(tokens: Sequence[int], length: int) -> tuple[Example, ...]:
    """Cut a token stream into examples of ``length`` tokens that predict all but their first."""
    whole = len(tokens) // length * length
    rows = torch.tensor(tokens[:whole], dtype=torch.int64).view(-1, length)
    return tuple(Example(row, 1) for row in rows)


def read_instructions(path: Path, tokenizer: Any, length: int) -> tuple[Example, ...]:
    """Read Alpaca rows; the answer and a closing end-of-sequence token are predicted.

    Examples are cut at ``length`` tokens; one without an answer token left is dropped.
    """
    lines = read_text_file(FIELD, path).splitlines()
    rows = [_row(path, number, line) for number, line in enumerate(lines, 1) if line]
    prompts = [_prompt(row) for row in rows]
    if not rows:
        return ()
    heads = tokenizer(prompts, verbose=False)["input_ids"]
    texts = [prompt + row["output"] for prompt, row in zip(prompts, rows, strict=True)]
    wholes = tokenizer(texts, verbose=False)["input_ids"]
    built = [
        _instruction(head, whole, tokenizer.eos_token_id, length)
        for head, whole in zip(heads, wholes, strict=True)
    ]
    return tuple(example for example in built if example is not None)


def _instruction(
    head: Sequence[int], whole: Sequence[int], end: int | None, length: int
) -> Example | None:
    # Some tokenizers close every text with the end token: neither prompt nor answer may keep it.
    prompt = len(head) - (bool(head) and head[-1] == end)
    closed = list(whole) if end is None or whole[-1:] == [end] else [*whole, end]
    tokens = closed[:length]
    if prompt < 1 or len(tokens) <= prompt:
        return None
    return Example(torch.tensor(tokens, dtype=torch.int64), prompt)


def _prompt(row: Mapping[str, str]) -> str:
    template = PROMPT_WITH_INPUT if row.get("input") else PROMPT
    return template.format_map(row)


def _row(path: Path, number: int, line: str) -> Mapping[str, str]:
    row = _parsed(line)
    problem = _problem(row)
    if problem is not None:
        # Nothing of the line itself: who reads this need not be allowed to read the file.
        field, fix = f"{FIELD}, line {number}", f"write {ROW} on every line"
        raise InvalidInput(field, str(path), problem, fix=fix)
    found: Mapping[str, str] = row
    return found


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _problem(row: Any) -> str | None:
    if not isinstance(row, dict):
        return "is not a JSON object"
    missing = [key for key in ("instruction", "output") if not isinstance(row.get(key), str)]
    return f"has no text as {' and '.join(missing)}" if missing else None


READERS: Mapping[str, Reader] = MappingProxyType(
    {"instruction": read_instructions, "text": read_text}
)
