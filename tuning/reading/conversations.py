"""Conversation: turns of a system, a user and an assistant, as two kinds of rows have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tuning.reading.source import LONGEST, Place, Record, kind

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"

MOST_TURNS = 1_000
"""Of a conversation: what is written up to each answer is rendered, which takes time with the
square."""

_OF_TURN = (
    "tool_calls",
    "function_call",
    "weight",
    "reasoning_content",
    "reasoning",
    "thinking",
    "train",
    "train_detail",
    "loss",
    "mask",
)
"""What a turn may have that changes what it says or whether it is learned, and is not read."""

_IS_LEARNED = ("train", "loss")
"""Of these, whether a turn is learned: where they say yes of an answer, no of others, fine."""

OF_ROW = ("tools", "functions", "chat_template_kwargs")
"""Likewise, what a row may have."""

_NOTHING: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class Turn:
    """What one of the three says."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A system's turn or none, then a user's and an assistant's in turn, the assistant's last.

    Attributes:
        place: Where in the file, for errors that only its tokens show.
        turns: At least two.
    """

    place: Place
    turns: tuple[Turn, ...]

    @property
    def text(self) -> str:
        """All that is said, and by whom."""
        return "\n".join(f"{turn.role} {turn.text}" for turn in self.turns)

    @property
    def answers(self) -> tuple[str, ...]:
        return tuple(turn.text for turn in self.turns if turn.role == ASSISTANT)


@dataclass(frozen=True, slots=True)
class _Names:
    """How a kind of rows calls what they have.

    Attributes:
        turns: The list of turns.
        who: In a turn, who speaks.
        what: Likewise, what is said.
        roles: Who is meant by each of their names.
    """

    turns: str
    who: str
    what: str
    roles: Mapping[str, str]


MESSAGES = _Names(
    "messages",
    "role",
    "content",
    MappingProxyType({role: role for role in (SYSTEM, USER, ASSISTANT)}),
)
SHAREGPT = _Names(
    "conversations",
    "from",
    "value",
    MappingProxyType(
        {"system": SYSTEM, "human": USER, "user": USER, "gpt": ASSISTANT, "assistant": ASSISTANT}
    ),
)


def messages(record: Record) -> Conversation:
    """Read chat messages with role and content, as OpenAI's and most tools write them.

    A ``system`` beside them is the first one, as Anthropic's and LLaMA-Factory's rows have it.

    Raises:
        InvalidInput: What is said would be guessed or left out.
    """
    return _with_system(record, MESSAGES)


def sharegpt(record: Record) -> Conversation:
    """Read ShareGPT's turns, and what is beside them, as ``messages`` does."""
    return _with_system(record, SHAREGPT)


def _with_system(record: Record, names: _Names) -> Conversation:
    found = _conversation(record, names)
    if record.found.get("system") in _NOTHING:
        return found
    if found.turns[0].role == SYSTEM:
        problem = f"has a system beside its {names.turns}, and one as their first turn"
        raise record.refusal(problem, "leave one of them out")
    return Conversation(found.place, (Turn(SYSTEM, record.text("system")), *found.turns))


def _conversation(record: Record, names: _Names) -> Conversation:
    for name in OF_ROW:
        _check_extra(record, name, record.found.get(name), "")
    listed = record.found[names.turns]
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        said = "an empty list" if listed == [] else kind(listed)
        problem = f"has {said} as {names.turns}, not a list of turns"
        raise record.refusal(problem, "write its turns, or drop the row")
    if len(listed) > MOST_TURNS:
        problem = f"has {len(listed):,} turns, more than the {MOST_TURNS:,} read"
        raise record.refusal(problem, "divide it among several rows, or drop the row")
    turns = tuple(_turn(record, names, at, item) for at, item in enumerate(listed, 1))
    size = sum(len(turn.text) for turn in turns)
    if size > LONGEST:
        problem = f"has {size:,} characters in all turns, more than the {LONGEST:,} read"
        raise record.refusal(problem, "divide it among several rows, or drop the row")
    _check_order(record, turns)
    return Conversation(record.place, turns)


def _turn(record: Record, names: _Names, at: int, item: Any) -> Turn:
    if not isinstance(item, dict) or names.who not in item or names.what not in item:
        problem = f"has no {names.who} and {names.what} in turn {at}"
        fix = f'write every turn as {{"{names.who}": "…", "{names.what}": "…"}}'
        raise record.refusal(problem, fix)
    who = item[names.who]
    role = names.roles.get(who) if isinstance(who, str) else None
    if role is None:
        problem = f"has a {names.who} in turn {at} that is none of {', '.join(names.roles)}"
        raise record.refusal(
            problem, "tools are not trained on: rename who speaks, or drop the row"
        )
    for name in _OF_TURN:
        if not _says_what_is_done(name, item.get(name), role):
            _check_extra(record, name, item.get(name), f" in turn {at}")
    return Turn(role, record.checked(f"{names.what} of turn {at}", item[names.what]))


def _says_what_is_done(name: str, value: Any, role: str) -> bool:
    if name in _IS_LEARNED:
        return bool(value == (role == ASSISTANT))
    return bool(name == "weight" and value == 1)


def _check_extra(record: Record, name: str, value: Any, where: str) -> None:
    """Refuse what would be left out and changes what the rest means."""
    if value not in _NOTHING:
        problem = f"has {name}{where}, which is not read"
        raise record.refusal(problem, f"take {name} out if it is meant to go, or drop the row")


def _check_order(record: Record, turns: Sequence[Turn]) -> None:
    spoken = turns[1:] if turns[0].role == SYSTEM else turns
    skipped = len(turns) - len(spoken)
    for at, turn in enumerate(spoken):
        expected = (USER, ASSISTANT)[at % 2]
        if turn.role != expected:
            problem = f"has a turn of the {turn.role} where the {expected} is next, turn "
            fix = "after one system turn at most, user and assistant speak in turn, the user first"
            raise record.refusal(f"{problem}{at + 1 + skipped}", f"{fix}; or drop the row")
    if len(spoken) % 2 or not spoken:
        problem = f"ends with a turn of the {turns[-1].role}, which nobody answers"
        raise record.refusal(problem, "leave that turn out, or drop the row")
