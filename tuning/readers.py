"""Readers: from a file to examples, one reader per data format."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import torch

from rankspace.data_shape import DataFormat, ShapeName
from tuning.chat import read_chat
from tuning.control_tokens import spelled
from tuning.examples import FIELD, Example, Reading, digest, windows
from tuning.long_text import tokens_of
from tuning.reading.records import read_records, read_stream
from tuning.reading.rows import Completion, Row
from tuning.reading.shapes import shaped
from tuning.reading.source import Source

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

AT_ONCE = 1024
"""Rows tokenised together: what the library keeps of each is a hundred times its tokens."""

Tokens: TypeAlias = list[int]


class Reader(Protocol):
    """Reads one data format."""

    def __call__(self, path: Path, tokenizer: Any, length: int, /) -> Reading:
        """Read all of ``path`` as examples of at most ``length`` tokens, at least 2.

        Raises:
            InvalidInput: Unusable content; names the line.
            CannotOpen: This machine cannot read the file.
        """
        ...


def read_text(path: Path, tokenizer: Any, length: int) -> Reading:
    """Cut a UTF-8 text into consecutive windows of ``length`` tokens; a shorter rest is dropped.

    The text is one stream: no token is put in front of a window. Of rows it is what they have as
    ``text``.
    """
    shape, text = read_stream(Source(FIELD, path))
    examples = windows(tokens_of(tokenizer, text), length)
    return Reading(
        examples,
        len(examples),
        row_tokens=length if examples else 0,
        shape=shape,
        control=spelled(tokenizer, (text,)),
    )


def read_instructions(path: Path, tokenizer: Any, length: int) -> Reading:
    """Read instructions into Alpaca's templates; the answer and an end token are predicted.

    Examples are cut at ``length`` tokens; a row without an answer token left is dropped.
    """
    shape, rows = shaped(read_records(Source(FIELD, path)), "instruction")
    asked = [_Asked(_prompt(row), row.output) for row in rows if isinstance(row, Row)]
    return _reading(shape, asked, tokenizer, length, _prompt_tokens)


def read_completions(path: Path, tokenizer: Any, length: int) -> Reading:
    """Read prompts as they stand; what follows and an end token are predicted, cut likewise.

    A token that holds characters of both is predicted. Nothing foretells the first token of all.
    """
    shape, rows = shaped(read_records(Source(FIELD, path)), "completion")
    asked = [_Asked(row.prompt, row.completion) for row in rows if isinstance(row, Completion)]
    return _reading(shape, asked, tokenizer, length, _common_tokens)


@dataclass(frozen=True, slots=True)
class _Asked:
    prompt: str
    answer: str

    @property
    def text(self) -> str:
        return self.prompt + self.answer


def _reading(
    shape: ShapeName | None,
    asked: Sequence[_Asked],
    tokenizer: Any,
    length: int,
    prompt_of: Callable[[Tokens, Tokens, int | None], int],
) -> Reading:
    examples, cut, longest = list[Example](), 0, 0
    for one, head, whole in _tokenised(asked, tokenizer):
        longest = max(longest, len(whole))
        prompt = prompt_of(head, whole, tokenizer.eos_token_id)
        if prompt >= 1 and len(whole[:length]) > prompt:
            tokens = torch.tensor(whole[:length], dtype=torch.int32)
            examples.append(Example(tokens, prompt, digest(one.text)))
            cut += len(whole) > length
    return Reading(
        tuple(examples),
        len(asked),
        cut,
        longest,
        shape,
        empty=sum(not one.answer.strip() for one in asked),
        control=spelled(tokenizer, (one.text for one in asked)),
    )


def _tokenised(asked: Sequence[_Asked], tokenizer: Any) -> Iterator[tuple[_Asked, Tokens, Tokens]]:
    """Yield each with the tokens of its prompt and of the whole, which the end token closes."""
    for start in range(0, len(asked), AT_ONCE):
        some = asked[start : start + AT_ONCE]
        heads = _tokens(tokenizer, [one.prompt for one in some])
        wholes = _tokens(tokenizer, [one.text for one in some])
        for one, head, whole in zip(some, heads, wholes, strict=True):
            _close(whole, tokenizer.eos_token_id)
            yield one, head, whole


def _tokens(tokenizer: Any, text: str | list[str], **options: Any) -> Any:
    """Tokenise; a control token that is spelled in the text is text, and never ends a sequence."""
    return tokenizer(text, verbose=False, split_special_tokens=True, **options)["input_ids"]


def _close(whole: Tokens, end: int | None) -> None:
    """Append the end token, unless the tokenizer closes every text with it."""
    if end is not None and whole[-1:] != [end]:
        whole.append(end)


def _prompt_tokens(head: Tokens, _whole: Tokens, end: int | None) -> int:
    """Count a prompt's tokens, without the end token with which some tokenizers close it.

    Alpaca's prompts end in a line break, which no answer grows into.
    """
    return len(head) - (bool(head) and head[-1] == end)


def _common_tokens(head: Tokens, whole: Tokens, _end: int | None) -> int:
    """Count the tokens that a prompt has alone and before its answer, at least one."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(head, whole, strict=False))
    return max(1, sum(1 for _ in same))


def _prompt(row: Row) -> str:
    template = PROMPT_WITH_INPUT if row.input else PROMPT
    return template.format(instruction=row.instruction, input=row.input)


READERS: Mapping[DataFormat, Reader] = MappingProxyType(
    {
        "instruction": read_instructions,
        "completion": read_completions,
        "chat": read_chat,
        "text": read_text,
    }
)
