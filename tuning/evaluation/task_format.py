"""TaskFormat: how the rows of a published task become documents, prompt by prompt.

The prompts, choices and answers are those of lm-evaluation-harness, zero-shot, as its task files
had them when they were read: boolq 2.0 (commit 0d03a9f), piqa (11d8a69), hellaswag 1.0 (05480a1,
its text clean-up 0a9cc28), winogrande 1.0 (003e585), arc 1.0 (0671c9c), openbookqa 1.0 (0d03a9f).
A row has the fields of the data set on the hub that the task file names.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tuning.evaluation.document import Document, answered
from tuning.reading.source import Record, kind

MOST_CHOICES = 1000


@dataclass(frozen=True, slots=True)
class TaskFormat:
    """One shape of rows.

    Attributes:
        name: Of the task.
        fields: A row has all of them.
        read: Makes a document of a row.
        has_norm: Whether the published metrics have a normalised accuracy, too.
        remark: What a reader of its numbers must know; empty if nothing.
        only: A row has no others; None where any may be beside. Other data sets than ARC have
            its fields and more, and other prompts.
    """

    name: str
    fields: frozenset[str]
    read: Callable[[Record], Document]
    has_norm: bool = True
    remark: str = ""
    only: frozenset[str] | None = None

    def foreign(self, found: Iterable[str]) -> tuple[str, ...]:
        """Return the fields that no row of this format has."""
        return () if self.only is None else tuple(sorted(set(found) - self.only))


def format_of(first: Record) -> TaskFormat:
    """Recognise the format of a file by its first row.

    Raises:
        InvalidInput: It is none of the table.
    """
    names = first.found.keys() if isinstance(first.found, dict) else frozenset[str]()
    for one in FORMATS.values():
        if one.fields <= names:
            return one
    known = "; ".join(f"{one.name}: {', '.join(sorted(one.fields))}" for one in FORMATS.values())
    raise first.refusal(
        "is no row of a task that is known", f"give rows with the fields of {known}"
    )


def _boolq(record: Record) -> Document:
    context = f"{_said(record, 'passage')}\nQuestion: {_said(record, 'question')}?\nAnswer:"
    name = "label" if "label" in record.found else "answer"
    value = record.found.get(name)
    answer = int(value) if isinstance(value, bool) else _index(record, name, 2)
    return answered(record.place, context, ("no", "yes"), answer)


def _piqa(record: Record) -> Document:
    choices = (_said(record, "sol1"), _said(record, "sol2"))
    context = f"Question: {_said(record, 'goal')}\nAnswer:"
    return answered(record.place, context, choices, _index(record, "label", 2))


def _hellaswag(record: Record) -> Document:
    # Of the rows of ActivityNet the second half is empty: the space before it is stripped.
    begun = f"{record.text('ctx_a')} {record.text('ctx_b').capitalize()}"
    context = _cleaned(f"{_said(record, 'activity_label')}: {begun}")
    endings = map(_cleaned, _texts(record, "endings", record.found))
    choices = tuple(_worded(record, f"endings[{i}]", one) for i, one in enumerate(endings))
    return answered(record.place, context, choices, _index(record, "label", len(choices)))


def _cleaned(text: str) -> str:
    """Take out what WikiHow left: marks in brackets, and one of two spaces."""
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def _winogrande(record: Record) -> Document:
    """Score what follows the blank after either option (Trinh and Le 2018, partial scoring)."""
    sentence = _said(record, "sentence")
    before, blank, after = sentence.partition("_")
    if not blank or not after.strip():
        problem = "has no blank (_) with something behind it as sentence"
        raise record.refusal(problem, "give the rows of the data set as they are")
    options = tuple(before + _said(record, name) for name in ("option1", "option2"))
    answer = _one_of(record, "answer", ("1", "2"))
    return Document(record.place, options, (f" {after.strip()}",) * 2, options, answer)


def _arc(record: Record) -> Document:
    return _lettered(record, f"Question: {_said(record, 'question')}\nAnswer:")


def _openbookqa(record: Record) -> Document:
    return _lettered(record, _said(record, "question_stem"))


def _lettered(record: Record, context: str) -> Document:
    group = record.found["choices"]
    if not isinstance(group, dict):
        raise record.refusal(f"has {kind(group)} as choices, not a group", _AS_IT_IS)
    choices = _texts(record, "text", group)
    labels = tuple(label.strip() for label in _texts(record, "label", group))
    if len(labels) != len(choices):
        problem = f"has {len(labels)} labels for {len(choices)} choices"
        raise record.refusal(problem, _AS_IT_IS)
    if len(set(labels)) < len(labels):
        raise record.refusal("labels two choices alike", _AS_IT_IS)
    return answered(record.place, context, choices, _one_of(record, "answerKey", labels))


def _plain(record: Record) -> Document:
    choices = _texts(record, "choices", record.found)
    context = _said(record, "context")
    return answered(record.place, context, choices, _index(record, "answer", len(choices)))


_AS_IT_IS = "give the rows of the data set as they are, of a split that has answers"


def _said(record: Record, name: str) -> str:
    """The text under ``name``, which is not blank."""
    return _worded(record, name, record.found.get(name))


def _worded(record: Record, name: str, value: Any) -> str:
    text = record.checked(name, value)
    if not text.strip():
        raise record.refusal(f"says nothing as {name}", "write the text, or drop the row")
    return text


def _texts(record: Record, name: str, group: Mapping[str, Any]) -> tuple[str, ...]:
    values = group.get(name)
    if not isinstance(values, list) or not 2 <= len(values) <= MOST_CHOICES:
        problem = f"has no list of 2 to {MOST_CHOICES:,} texts as {name}"
        raise record.refusal(problem, _AS_IT_IS)
    return tuple(_worded(record, f"{name}[{i}]", value) for i, value in enumerate(values))


def _index(record: Record, name: str, count: int) -> int:
    """The index under ``name``, as a number or, as HellaSwag has it, in digits."""
    value = record.found.get(name)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 5:
        value = int(value)
    if type(value) is not int or not 0 <= value < count:
        # What splits without answers have; any other number is the file's own.
        shown = "-1" if value == -1 else kind(value)
        problem = f"has no index from 0 to {count - 1} as {name}, but {shown}"
        raise record.refusal(problem, _AS_IT_IS)
    return value


def _one_of(record: Record, name: str, labels: tuple[str, ...]) -> int:
    value = record.found.get(name)
    label = value.strip() if isinstance(value, str) else value
    if label not in labels:
        problem = f"has none of the {len(labels)} labels as {name}"
        raise record.refusal(problem, _AS_IT_IS)
    return labels.index(label)


_ARC = frozenset({"question", "choices", "answerKey"})

FORMATS: Mapping[str, TaskFormat] = MappingProxyType(
    {
        one.name: one
        for one in (
            TaskFormat("boolq", frozenset({"passage", "question"}), _boolq, has_norm=False),
            TaskFormat("piqa", frozenset({"goal", "sol1", "sol2"}), _piqa),
            TaskFormat(
                "hellaswag",
                frozenset({"activity_label", "ctx_a", "ctx_b", "endings"}),
                _hellaswag,
            ),
            TaskFormat(
                "winogrande",
                frozenset({"sentence", "option1", "option2"}),
                _winogrande,
                has_norm=False,
            ),
            TaskFormat(
                "openbookqa", frozenset({"question_stem", "choices", "answerKey"}), _openbookqa
            ),
            TaskFormat("arc", _ARC, _arc, only=_ARC | {"id"}),
            TaskFormat(
                "plain",
                frozenset({"context", "choices", "answer"}),
                _plain,
                remark="prompts as the file has them: not those of the published task",
            ),
        )
    }
)
"""All that are read, in the order in which they are looked for."""
