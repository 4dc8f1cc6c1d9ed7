"""Who says what in a conversation, and what is refused rather than guessed."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankspace.errors import InvalidInput
from tuning.reading.conversations import Turn
from tuning.reading.json_records import json_records
from tuning.reading.shapes import shaped
from tuning.reading.source import Source

SOURCE = Source("recipe.data.train", Path("/data/rows.jsonl"))
SYSTEM, ASKS, ANSWERS = Turn("system", "Be brief."), Turn("user", "Hi"), Turn("assistant", "Hello")


def read(*rows: Any) -> Any:
    return shaped(json_records(SOURCE, "".join(json.dumps(row) + "\n" for row in rows)), "chat")


def said(*turns: Turn) -> dict[str, Any]:
    return {"messages": [{"role": turn.role, "content": turn.text} for turn in turns]}


def shared(*turns: Turn, **beside: Any) -> dict[str, Any]:
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    listed = [{"from": names[turn.role], "value": turn.text} for turn in turns]
    return {"id": "identity_0", "conversations": listed, **beside}


def refusal(row: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read(said(ASKS, ANSWERS) if "messages" in row else shared(ASKS, ANSWERS), row)
    assert caught.value.field == "recipe.data.train, line 2"
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    "turns", [(ASKS, ANSWERS), (SYSTEM, ASKS, ANSWERS), (ASKS, ANSWERS, ASKS, ANSWERS)]
)
def test_both_shapes_say_the_same(turns: tuple[Turn, ...]) -> None:
    (shape, (ours,)), (other, (theirs,)) = read(said(*turns)), read(shared(*turns))
    assert (shape, other) == ("messages", "sharegpt")
    assert ours == theirs
    assert ours.turns == turns
    assert ours.place == "line 1"


def test_what_says_nothing_may_stand_in_a_turn() -> None:
    """As exports of tables have it: every turn has all columns."""
    row = said(ASKS, ANSWERS)
    row["messages"][0] |= {"train": False, "loss": 0}
    row["messages"][1] |= {"tool_calls": None, "weight": 1, "name": "x", "thinking": ""}
    row["messages"][1] |= {"train": True, "loss": 1, "mask": None}
    assert read(row | {"tools": []})[1][0].turns == (ASKS, ANSWERS)


def test_a_system_beside_the_turns_is_the_first_of_them() -> None:
    _, (found,) = read(shared(ASKS, ANSWERS, system=SYSTEM.text, tools=""))
    assert found.turns == (SYSTEM, ASKS, ANSWERS)
    assert read(shared(ASKS, ANSWERS, system=""))[1][0].turns == (ASKS, ANSWERS)
    _, (found,) = read(said(ASKS, ANSWERS) | {"system": SYSTEM.text})
    assert found.turns == (SYSTEM, ASKS, ANSWERS)
    for twice in (shared(SYSTEM, ASKS, ANSWERS), said(SYSTEM, ASKS, ANSWERS)):
        assert "and one as their first" in refusal(twice | {"system": "x"}).problem


@pytest.mark.parametrize(
    ("turns", "problem"),
    [
        ((ANSWERS, ASKS), "a turn of the assistant where the user is next, turn 1"),
        ((ASKS, ASKS, ANSWERS), "a turn of the user where the assistant is next, turn 2"),
        ((ASKS, ANSWERS, ANSWERS), "a turn of the assistant where the user is next, turn 3"),
        ((SYSTEM, ANSWERS), "a turn of the assistant where the user is next, turn 2"),
        ((ASKS, SYSTEM, ANSWERS), "a turn of the system where the assistant is next, turn 2"),
        ((ASKS, ANSWERS, ASKS), "ends with a turn of the user"),
        ((SYSTEM,), "ends with a turn of the system"),
    ],
)
@pytest.mark.parametrize("write", [said, shared])
def test_turns_out_of_order_are_refused(write: Any, turns: tuple[Turn, ...], problem: str) -> None:
    assert problem in refusal(write(*turns)).problem


def changed(**fields: Any) -> dict[str, Any]:
    row = said(ASKS, ANSWERS)
    row["messages"][1] |= fields
    return row


def asked(**fields: Any) -> dict[str, Any]:
    row = said(ASKS, ANSWERS)
    row["messages"][0] |= fields
    return row


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"messages": []}, "an empty list as messages"),
        ({"messages": None}, "null as messages"),
        ({"messages": "Hi"}, "a text as messages"),
        ({"messages": {"role": "user"}}, "a group as messages"),
        ({"messages": ["Hi"]}, "no role and content in turn 1"),
        ({"messages": [{"role": "user"}]}, "no role and content in turn 1"),
        ({"conversations": [{"role": "user", "content": "a"}]}, "no from and value in turn 1"),
        (changed(role="tool"), "a role in turn 2 that is none of system, user, assistant"),
        (changed(role=None), "a role in turn 2 that is none"),
        (changed(role=["user"]), "a role in turn 2 that is none"),
        (changed(content=None), "null as content of turn 2"),
        (changed(content=[{"type": "text", "text": "a"}]), "a list as content of turn 2"),
        (changed(content="b\udead"), "half a character"),
        (changed(tool_calls=[{"id": 1}]), "has tool_calls in turn 2, which is not read"),
        (changed(weight=0), "has weight in turn 2"),
        (changed(train=False), "has train in turn 2, which is not read"),
        (changed(train_detail=[{"train": False}]), "has train_detail in turn 2"),
        (changed(loss=0), "has loss in turn 2"),
        (changed(mask=True), "has mask in turn 2"),
        (asked(train=True), "has train in turn 1"),
        (changed(reasoning_content="hm"), "has reasoning_content in turn 2"),
        ({**said(ASKS, ANSWERS), "tools": [{"name": "f"}]}, "has tools, which is not read"),
        ({**said(ASKS, ANSWERS), "chat_template_kwargs": {"a": 1}}, "has chat_template_kwargs"),
        (shared(ASKS, ANSWERS, tools="[{}]"), "has tools, which is not read"),
        (said(*(ASKS, ANSWERS) * 501), "has 1,002 turns, more than the 1,000 read"),
        (said(Turn("user", "x" * 2**23), Turn("assistant", "x" * 2**24)), "in all turns"),
    ],
)
def test_what_would_be_guessed_or_left_out_is_refused(row: Any, problem: str) -> None:
    assert problem in refusal(row).problem


def test_no_refusal_tells_what_is_said() -> None:
    error = refusal(said(Turn("user", "rka_secret"), Turn("user", "rka_secret")))
    other = refusal(changed(role="rka_secret"))
    assert "secret" not in f"{error.detail} {error.hint} {other.detail} {other.hint}"
