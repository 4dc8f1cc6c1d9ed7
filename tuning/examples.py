"""Example: one tokenised piece of training text. Two readers make them, one per data format."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor

from tuning.rows import Row, Source, instruction_rows, plain_text
from tuning.text_file import read_text_file

FIELD = "recipe.data.train"

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

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Tokens to read and, from ``prompt`` on, to predict.

    Attributes:
        tokens: Token ids, int64 ``(t,)`` with ``t >= 2``.
        prompt: How many leading tokens are only read; at least 1, less than ``t``.
        said: Digest of the whole text, runs of white space taken as one; empty for a window.
    """

    tokens: Tensor
    prompt: int
    said: bytes = b""

    @property
    def targets(self) -> int:
        """Tokens that are predicted."""
        return len(self.tokens) - self.prompt


@dataclass(frozen=True, slots=True)
class Reading:
    """The examples of a file, in its order, and what became of its rows.

    Attributes:
        examples: Those with something to predict.
        rows: Of the file; of plain text, windows.
        cut: Examples that lack the end of their row.
        row_tokens: Of the longest row, uncut.
    """

    examples: tuple[Example, ...]
    rows: int
    cut: int = 0
    row_tokens: int = 0

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    @property
    def dropped(self) -> int:
        """Rows that leave no answer token within the length."""
        return self.rows - len(self.examples)


class Reader(Protocol):
    """Reads a file of one format as token sequences."""

    def __call__(self, path: Path, tokenizer: Any, length: int) -> Reading:
        """Return the file's examples of at most ``length`` tokens.

        Raises:
            InvalidInput: Content that is of no use to anyone.
            CannotOpen: This machine cannot read the file.
        """
        ...


def read_text(path: Path, tokenizer: Any, length: int) -> Reading:
    """Cut a UTF-8 text into consecutive windows of ``length`` tokens; a shorter rest is dropped.

    The text is one stream: no token is put in front of a window. Of JSON lines it is what they have
    as ``text``.
    """
    text = plain_text(Source(FIELD, path), read_text_file(FIELD, path))
    examples = windows(_tokens(tokenizer, text, add_special_tokens=False), length)
    return Reading(examples, len(examples), row_tokens=length if examples else 0)


def windows(tokens: Sequence[int], length: int) -> tuple[Example, ...]:
    """Cut a token stream into examples of ``length`` tokens that predict all but their first."""
    whole = len(tokens) // length * length
    rows = torch.tensor(tokens[:whole], dtype=torch.int64).view(-1, length)
    return tuple(Example(row, 1) for row in rows)


def read_instructions(path: Path, tokenizer: Any, length: int) -> Reading:
    """Read Alpaca rows; the answer and a closing end-of-sequence token are predicted.

    Examples are cut at ``length`` tokens; a row without an answer token left is dropped.
    """
    rows = instruction_rows(Source(FIELD, path), read_text_file(FIELD, path))
    if not rows:
        return Reading((), 0)
    prompts = [_prompt(row) for row in rows]
    texts = [prompt + row.output for prompt, row in zip(prompts, rows, strict=True)]
    heads, wholes = _tokens(tokenizer, prompts), _tokens(tokenizer, texts)
    end = tokenizer.eos_token_id
    for whole in wholes:
        _close(whole, end)
    built = [
        _instruction(_prompt_tokens(head, end), whole[:length], text)
        for head, whole, text in zip(heads, wholes, texts, strict=True)
    ]
    examples = tuple(example for example in built if example is not None)
    sizes = [len(whole) for whole in wholes]
    too_long = (size > length for size, example in zip(sizes, built, strict=True) if example)
    return Reading(examples, len(rows), sum(too_long), max(sizes))


def _tokens(tokenizer: Any, text: str | list[str], **options: Any) -> Any:
    """Tokenise; a control token that is spelled in the text is text, and never ends a sequence."""
    return tokenizer(text, verbose=False, split_special_tokens=True, **options)["input_ids"]


def _close(whole: list[int], end: int | None) -> None:
    """Append the end token, unless the tokenizer closes every text with it."""
    if end is not None and whole[-1:] != [end]:
        whole.append(end)


def _prompt_tokens(head: Sequence[int], end: int | None) -> int:
    """Count a prompt's tokens, without the end token with which some tokenizers close it."""
    return len(head) - (bool(head) and head[-1] == end)


def _instruction(prompt: int, tokens: Sequence[int], text: str) -> Example | None:
    if prompt < 1 or len(tokens) <= prompt:
        return None
    return Example(torch.tensor(tokens, dtype=torch.int64), prompt, _said(text))


def _said(text: str) -> bytes:
    return hashlib.blake2b(" ".join(text.split()).encode(), digest_size=DIGEST_BYTES).digest()


def _prompt(row: Row) -> str:
    template = PROMPT_WITH_INPUT if row.input else PROMPT
    return template.format(instruction=row.instruction, input=row.input)


READERS: Mapping[str, Reader] = MappingProxyType(
    {"instruction": read_instructions, "text": read_text}
)
