"""Chat: conversations as tokens, by the tokenizer's own chat template; answers are predicted.

Where the answers stand is never guessed. A template that marks them with its ``generation`` keyword
says it itself. Of any other the beginnings of a conversation are rendered: what it writes up to an
answer, with the prompt for one, must be what the whole begins with, token by token; so must what it
writes up to the answer's end.
"""

import hashlib
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from transformers.utils.chat_template_utils import render_jinja_template

from rankspace.data_shape import DataFormat
from rankspace.errors import InvalidInput
from tuning.control_tokens import spelled
from tuning.examples import FIELD, Example, Reading, digest
from tuning.reading.conversations import ASSISTANT, SYSTEM, USER, Conversation
from tuning.reading.records import read_records
from tuning.reading.shapes import shaped
from tuning.reading.source import Source

DATE = "26 Jul 2024"
"""What templates are told that write today's date: examples must not change overnight. It is what
Llama's write where nobody tells them."""

_CLOCK = MappingProxyType(
    {
        "%Y": "2024",
        "%y": "24",
        "%m": "07",
        "%-m": "7",
        "%B": "July",
        "%b": "Jul",
        "%d": "26",
        "%-d": "26",
        "%j": "208",
        "%A": "Friday",
        "%a": "Fri",
        "%H": "12",
        "%I": "12",
        "%M": "00",
        "%S": "00",
        "%p": "PM",
        "%F": "2024-07-26",
        "%T": "12:00:00",
    }
)
"""Noon of that day, by the directives of ``strftime`` that templates use; others stay as they
are, which is the same tomorrow, too."""

FORMAT = "recipe.data.format"

MOST_RENDERED = 2**27
"""Characters of a conversation's beginnings that are rendered: about a minute's work."""

MARKS = "\U000f0000\U000f0001"
"""What transformers marks control tokens with that are text; it takes them out of what is said."""

_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")

_WARNED = "sequence-length-is-longer-than-the-specified-maximum"
"""Under which a tokenizer notes that it has said so; in a template's way nothing else hushes it."""

_FLAGS = ("special", "single_word", "lstrip", "rstrip", "normalized")
"""Of an added token: where in a text it is found, and what of the text it swallows."""

_Turn: TypeAlias = dict[str, str]
"""As templates are given it."""

_SYSTEM: _Turn = {"role": "system", "content": "Be brief."}
_PROBE: tuple[_Turn, ...] = (
    {"role": "user", "content": "Who sat on the mat?"},
    {"role": "assistant", "content": "The cat, in 1 of 2 cases."},
    {"role": "user", "content": "And then?"},
    {"role": "assistant", "content": "The dog ran."},
)
"""A conversation whose tokens tell templates and tokenizers apart."""

_Spans: TypeAlias = tuple[tuple[int, int], ...]
"""First token and end of each answer."""


def read_chat(path: Path, tokenizer: Any, length: int) -> Reading:
    """Read conversations; what the template writes for the assistant's turns is predicted.

    That is the answer and what ends it. Examples are cut at ``length`` tokens and end with the last
    answer; a conversation without an answer token left is dropped.

    Raises:
        InvalidInput: As ``Reader`` says; or the tokenizer has no template, or one that does not
            take a conversation or does not show where its answers are: names the row.
    """
    source = Source(FIELD, path)
    template = check_template(tokenizer)
    tokenizer.deprecation_warnings[_WARNED] = True  # longer rows are cut here, and counted
    shape, rows = shaped(read_records(source), "chat")
    talks = [row for row in rows if isinstance(row, Conversation)]
    examples, cut, longest = list[Example](), 0, 0
    for talk in talks:
        tokens, spans = _Renderer(source, talk, tokenizer, template, length).answers()
        longest = max(longest, len(tokens))
        example = _example(tokens[:length], spans, digest(talk.text))
        if example is not None:
            examples.append(example)
            cut += spans[-1][1] > length
    return Reading(
        tuple(examples),
        len(talks),
        cut,
        longest,
        shape,
        empty=sum(any(not answer.strip() for answer in talk.answers) for talk in talks),
        control=spelled(tokenizer, (talk.text for talk in talks)),
    )


def check_template(tokenizer: Any) -> str:
    """Return the chat template of ``tokenizer``.

    Raises:
        InvalidInput: It has none, or several.
    """
    if getattr(tokenizer, "chat_template", None) is None:
        raise InvalidInput(
            FORMAT,
            "chat",
            "is rendered by the tokenizer's chat template, and the model's has none",
            fix="put the chat_template.jinja of a chat model of its family into the model's "
            "directory (for a container: into that of its source); or train on rows of instruction "
            "and output",
        )
    try:
        template: str = tokenizer.get_chat_template()
    except ValueError:
        problem = "is rendered by the tokenizer's chat template, and it has several, none default"
        raise InvalidInput(FORMAT, "chat", problem, fix="name one of them default") from None
    return _dated(template)


def _dated(template: str) -> str:
    """Give ``template`` a clock that stands still; it calls the library's today's date."""
    if "strftime_now" not in template:
        return template
    written = "".join(f" | replace('{name}', '{value}')" for name, value in _CLOCK.items())
    clock = "{% macro strftime_now(format) %}{{ format" + written + " }}{% endmacro %}"
    return f"{clock}\n{template}"  # Jinja drops a line break after a block


def tokens_hash(tokenizer: Any, plain: str, form: DataFormat) -> str:
    """Return what tells apart all that makes tokens of data of a format.

    Args:
        tokenizer: Of the model.
        plain: SHA-256 of what it makes of a text.
        form: Of the data; conversations depend on the chat template, too, and on what it writes
            with.
    """
    if form != "chat":
        return plain
    parts = [plain, getattr(tokenizer, "chat_template", None), *_written(tokenizer)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _written(tokenizer: Any) -> Iterator[Any]:
    """Yield what a template may write with: names, added tokens, and what comes of the probes."""
    yield tokenizer.special_tokens_map
    yield [
        [number, token.content, *(getattr(token, flag) for flag in _FLAGS)]
        for number, token in sorted(tokenizer.added_tokens_decoder.items())
    ]
    yield [_probed(tokenizer, turns) for turns in (_PROBE, (_SYSTEM, *_PROBE))]


def _probed(tokenizer: Any, turns: Sequence[_Turn]) -> list[int] | None:
    """Tokens of ``turns``; None where the template takes no such conversation, which tells, too."""
    try:
        tokens: list[int] = _rendered(tokenizer, check_template(tokenizer), turns)["input_ids"]
    except Exception:  # noqa: BLE001 - a template may do whatever it likes; rows have it named
        return None
    return tokens


def _rendered(tokenizer: Any, template: str, turns: Sequence[_Turn], **options: Any) -> Any:
    """Tokens of ``turns``; a control token that is spelled in one is text."""
    given = {"sanitize_control_tokens": True, "date_string": DATE, **options}
    return tokenizer.apply_chat_template(
        list(turns), chat_template=template, return_dict=True, **given
    )


class _Renderer:
    """One conversation on its way to tokens."""

    def __init__(
        self, source: Source, talk: Conversation, tokenizer: Any, template: str, length: int
    ) -> None:
        self._source, self._talk, self._tokenizer = source, talk, tokenizer
        self._turns = [{"role": turn.role, "content": turn.text} for turn in talk.turns]
        self._template, self._length, self._spent = template, length, 0
        self._ends = _ends(tokenizer, template)
        self._is_marked = bool(_GENERATION.search(template))

    def answers(self) -> tuple[list[int], _Spans]:
        """Return all tokens, and where in them the answers are, up to the first one that is cut."""
        if any(mark in turn["content"] for mark in MARKS for turn in self._turns):
            problem = "has a character of private use that is taken out (U+F0000 or U+F0001)"
            raise self._source.refusal(problem, "write another one for it", self._talk.place)
        tokens, spans = self._marked() if self._is_marked else self._compared()
        places = [1, *(place for span in spans for place in span)]
        if any(end <= first for first, end in spans) or places != sorted(places):
            raise self._refusal("writes nothing for an answer of it, or nothing before")
        for first, end in spans:
            self._check_closed(tokens[first:end])
        self._check_said(self._text()[0])
        return tokens, spans

    def _check_said(self, text: str) -> None:
        """A template may leave out what was thought, or the system's turn."""
        at = 0
        for place, turn in enumerate(self._talk.turns, 1):
            said = turn.text.strip()
            found = text.find(said, at)
            if found < 0:
                raise self._refusal(f"leaves out what turn {place} says, or changes it")
            at = found + len(said) if turn.role != SYSTEM else 0  # some write it with a question

    def _marked(self) -> tuple[list[int], _Spans]:
        if spelled(self._tokenizer, (turn.text for turn in self._talk.turns)):
            problem = "spells a control token, which a template with the generation keyword obeys"
            raise self._source.refusal(problem, "take it out of the text", self._talk.place)
        text, marks = self._text()
        self._check_marks(text, marks)
        made = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return made["input_ids"], tuple(_covering(made["offset_mapping"], marks))

    def _text(self) -> tuple[str, _Spans]:
        """What the template writes, and which characters of it are marked."""
        given = {**self._tokenizer.special_tokens_map, "date_string": DATE}
        try:
            # Texts and marks, one of each for a conversation; it is annotated otherwise.
            made: Any = render_jinja_template(
                [self._turns],
                chat_template=self._template,
                return_assistant_tokens_mask=self._is_marked,
                **given,
            )
        except Exception as error:  # noqa: BLE001 - a template may do whatever it likes
            raise self._not_taken(error) from None
        (text,), marks = made
        return text, tuple(marks[0]) if self._is_marked else ()

    def _check_marks(self, text: str, marks: _Spans) -> None:
        """Each answer has a mark of its own, and what the user says before it stands before it."""
        answers = self._talk.answers
        if len(marks) != len(answers):
            raise self._refusal(f"marks {len(marks)} answers where it has {len(answers)}")
        passed = [0, *(end for _, end in marks)]
        asked = [turn.text for turn in self._talk.turns if turn.role == USER]
        for question, answer, (first, end), since in zip(
            asked, answers, marks, passed[:-1], strict=True
        ):
            before, marked = text[since:first], text[first:end]
            if answer.strip() not in marked or question.strip() not in before:
                raise self._refusal("marks something else than its answers")

    def _compared(self) -> tuple[list[int], _Spans]:
        whole = self._rendered(self._turns)["input_ids"]
        spans = list[tuple[int, int]]()
        for at in self._answering:
            spans.append(self._span(at, whole))
            if spans[-1][1] > self._length:  # what is said after is cut
                break
        return whole, tuple(spans)

    @property
    def _answering(self) -> list[int]:
        return [at for at, turn in enumerate(self._talk.turns) if turn.role == ASSISTANT]

    def _span(self, at: int, whole: list[int]) -> tuple[int, int]:
        """Where the answer of turn ``at`` stands, if the beginnings are those of the whole."""
        self._spend(self._turns[: at + 1])
        before = self._rendered(self._turns[:at], add_generation_prompt=True)["input_ids"]
        is_last = at + 1 == len(self._turns)
        upto = whole if is_last else self._rendered(self._turns[: at + 1])["input_ids"]
        if upto[: len(before)] != before or whole[: len(upto)] != upto:
            problem = f"writes turn {at + 1} otherwise than it writes what comes before"
            raise self._refusal(problem)
        return len(before), len(upto)

    def _spend(self, turns: Sequence[_Turn]) -> None:
        """Count what is rendered; turn after turn anew it takes time with the square."""
        self._spent += 2 * sum(len(turn["content"]) for turn in turns)
        if self._spent > MOST_RENDERED:
            size = sum(len(turn["content"]) for turn in self._turns)
            problem = f"has {len(self._turns):,} turns of {size:,} characters, too many to compare "
            problem += "what a template writes up to each"
            fix = "divide it among several rows, or drop the row; or lower recipe.sequence_length"
            raise self._source.refusal(problem, fix, self._talk.place)

    def _rendered(self, turns: Sequence[_Turn], **options: Any) -> Any:
        try:
            return _rendered(self._tokenizer, self._template, turns, **options)
        except Exception as error:  # noqa: BLE001 - a template may do whatever it likes
            raise self._not_taken(error) from None

    def _not_taken(self, error: Exception) -> InvalidInput:
        """What it says may be out of the row."""
        return self._refusal(f"does not take it ({type(error).__name__})")

    def _check_closed(self, answer: Sequence[int]) -> None:
        """Without an end token a model is taught answers, and never to stop."""
        last = next(filter(self._is_said, reversed(answer)), None)
        if last not in self._ends:
            raise self._refusal("writes no token that ends an answer")

    def _is_said(self, token: int) -> bool:
        """Whether ``token`` is more than white space after the end of an answer."""
        return token in self._ends or bool(self._tokenizer.decode([token]).strip())

    def _refusal(self, problem: str) -> InvalidInput:
        fix = "drop the row, or give the tokenizer another chat template: "
        fix += "one that writes every turn alike, wherever it stands, and ends answers with a token"
        said = f"is a conversation, and the tokenizer's chat template {problem}"
        return self._source.refusal(said, fix, self._talk.place)


def _ends(tokenizer: Any, template: str) -> frozenset[int]:
    """Tokens that may end an answer: control tokens, which no text spells (``<think>`` is none)."""
    added = tokenizer.added_tokens_decoder.items()
    named = [number for number, token in added if token.special or token.content in template]
    end = tokenizer.eos_token_id
    return frozenset(named if end is None else (end, *named))


def _covering(places: Sequence[tuple[int, int]], marks: _Spans) -> Iterator[tuple[int, int]]:
    """First token and end of each of ``marks``, given the characters of each token.

    transformers' mask goes on to the end of all where the last character of a mark has no token,
    and leaves out the rest where the first has none: white space has none for some tokenizers.
    """
    firsts, ends = [first for first, _ in places], [end for _, end in places]
    for first, end in marks:
        yield bisect_right(ends, first), bisect_left(firsts, end)


def _example(tokens: Sequence[int], spans: _Spans, said: bytes) -> Example | None:
    """Make an example of ``tokens``, which may end before some of the ``spans`` do."""
    there = [(first, min(end, len(tokens))) for first, end in spans if first < len(tokens)]
    if not there:
        return None
    firsts = [first for first, _ in there[1:]]
    ends = [end for _, end in there]
    passed = tuple(zip(ends[:-1], firsts, strict=True))
    kept = torch.tensor(tokens[: ends[-1]], dtype=torch.int32)
    return Example(kept, there[0][0], said, passed)
