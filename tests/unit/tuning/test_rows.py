"""What the lines of a file say, and what is said of those that say it otherwise."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rankspace.errors import InvalidInput
from tuning import rows
from tuning.rows import Row, Source, instruction_rows, plain_text

SOURCE = Source("recipe.data.train", Path("/data/my rows.jsonl"))
GOOD = {"instruction": "Say", "input": "now", "output": "said"}


def lines(*rows: Any, **options: Any) -> str:
    return "".join(json.dumps(row, **options) + "\n" for row in rows)


def refusal(text: str, *, plain: bool = False) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        (plain_text if plain else instruction_rows)(SOURCE, text)
    return caught.value


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x7f", "\u200b"])
def test_only_a_newline_ends_a_line(mark: str) -> None:
    row = {**GOOD, "output": f"first{mark}second"}
    text = lines(GOOD, row, ensure_ascii=False) + "{\n"
    assert refusal(text).field == "recipe.data.train, line 3"
    assert instruction_rows(SOURCE, text[:-2])[1].output == f"first{mark}second"


@pytest.mark.parametrize("blank", ["", "   ", "\t", "\u2028", "\xa0 "])
def test_blank_lines_are_passed_over_and_counted(blank: str) -> None:
    text = f"{blank}\n{lines(GOOD)}{blank}\n{lines(GOOD)}"
    assert instruction_rows(SOURCE, text) == (Row("Say", "now", "said"),) * 2
    assert refusal(f"{text}[]\n").field == "recipe.data.train, line 5"


@pytest.mark.parametrize("space", [" ", "\t", "\u2028", "\xa0", "\x85"])
def test_white_space_around_a_row_is_no_part_of_it(space: str) -> None:
    text = "".join(f"{space}{json.dumps(GOOD)}{space}\n" for _ in range(2))
    assert instruction_rows(SOURCE, text) == (Row("Say", "now", "said"),) * 2


@pytest.mark.parametrize("given", [{}, {"input": None}, {"input": ""}])
def test_there_need_be_no_input(given: dict[str, Any]) -> None:
    row = {"instruction": "Say", "output": "said", **given}
    assert instruction_rows(SOURCE, lines(row)) == (Row("Say", "", "said"),)


@pytest.mark.parametrize("name", ["instruction", "input", "output"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (42, "a number"),
        (0.5, "a number"),
        (False, "true or false"),
        ([], "a list"),
        (["a", {"b": 1}], "a list"),
        ({"b": 1}, "a group"),
    ],
)
def test_every_field_is_a_text(name: str, value: Any, kind: str) -> None:
    error = refusal(lines(GOOD, {**GOOD, name: value}))
    assert error.field == "recipe.data.train, line 2"
    assert error.problem == f"has {kind} as {name}, not a text"


@pytest.mark.parametrize("name", ["instruction", "output"])
def test_null_is_neither_asked_nor_answered(name: str) -> None:
    assert "has null as" in refusal(lines({**GOOD, name: None})).problem


HIGH, LOW = chr(0xD83D), chr(0xDE00)
HALVES = {"first": HIGH, "second": LOW, "in the wrong order": LOW + HIGH}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("name", ["instruction", "input", "output"])
def test_half_a_character_is_named_with_its_place(name: str, half: str) -> None:
    error = refusal(lines(GOOD, GOOD, {**GOOD, name: f"well {half}"}))
    assert error.field == "recipe.data.train, line 3"
    assert "half a character" in error.problem
    assert error.problem.endswith(f"character 6 of its {name}")


def test_both_halves_of_a_character_are_one() -> None:
    line = '{"instruction": "a", "output": "\\ud83d\\ude00"}'
    assert instruction_rows(SOURCE, line)[0].output == "\N{GRINNING FACE}"


def _row(**fields: Any) -> Sequence[Any]:
    return [fields] * 3


SHAPES = {
    "one JSON array": json.dumps([GOOD] * 3),
    "one JSON array, not": json.dumps([GOOD] * 3, indent=4),
    "JSON written over several lines": json.dumps({"data": [GOOD]}, indent=2),
    "a conversation (ShareGPT)": lines(*_row(id="x", conversations=[{"from": "human"}])),
    "a list of chat messages": lines(*_row(messages=[{"role": "user"}])),
    "a row of prompt and completion": lines(*_row(prompt="a", completion="b")),
    "a row of prompt and response": lines(*_row(prompt="a", response="b")),
    "a row of prompt and chosen": lines(*_row(prompt="a", chosen="b", rejected="c")),
    "a row of question and answer": lines(*_row(question="a", answer="b")),
    "a row of query and response": lines(*_row(query="a", response="b")),
    "an instruction with a response": lines(*_row(instruction="a", context="", response="b")),
    "a row of plain text": lines(*_row(text="a", url="b")),
}


@pytest.mark.parametrize(("name", "text"), SHAPES.items(), ids=SHAPES)
def test_another_shape_is_named_with_the_way_out(name: str, text: str) -> None:
    error = refusal(text)
    assert error.problem.startswith(f"is {name}")
    command = error.hint.startswith("convert it: jq -c '") and "'my rows.jsonl' >" in error.hint
    assert command or "recipe.data.format: text" in error.hint


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_no_text_either(indent: int | None) -> None:
    error = refusal(json.dumps([{"text": "once"}, {"text": "upon"}], indent=indent), plain=True)
    assert error.problem.startswith("is one JSON array")


def test_of_json_lines_the_text_is_read() -> None:
    rows = [{"text": f"a{end}b", "url": "https://example.org"} for end in ("\n", "\u2028", " ")]
    text = lines(*rows, ensure_ascii=False)
    assert plain_text(SOURCE, f"\n{text}\n") == "a\nb\n\na\u2028b\n\na b"
    assert plain_text(SOURCE, text[:-9], is_whole=False) == "a\nb\n\na\u2028b"
    assert plain_text(SOURCE, lines(rows[0]), is_whole=False) == "a\nb"


@pytest.mark.parametrize("second", ["a", '"b"', "[]", "", "}"])
def test_a_first_row_with_a_text_makes_json_lines_of_a_file(second: str) -> None:
    """One damaged row, the second, and the syntax of all the others was learned."""
    text = "\n" + lines({"text": "a", "id": 1}) + second + "\n" + lines({"text": "b"})
    if not second:
        assert plain_text(SOURCE, text) == "a\n\nb"
    else:
        assert refusal(text, plain=True).field == "recipe.data.train, line 3"


@pytest.mark.parametrize("rest", ["", "\n" + lines({"text": "b"})])
def test_a_first_row_may_have_any_length(monkeypatch: pytest.MonkeyPatch, rest: str) -> None:
    monkeypatch.setattr(rows, "FIRST_VALUE", 10)
    text = json.dumps({"text": "abc" * 10}) + rest
    assert plain_text(SOURCE, text) == "abc" * 10 + ("\n\nb" if rest else "")


def test_a_row_that_is_cut_is_no_prose() -> None:
    text = '\n{ "url": "x", "text": "once upon a'
    with pytest.raises(InvalidInput, match="longer than what is read"):
        plain_text(SOURCE, text, is_whole=False)
    for prose in (text, "{x} once", '{"x": 1}\nonce'):
        assert plain_text(SOURCE, prose, is_whole=prose == text) == prose


@pytest.mark.parametrize(
    "text",
    [
        "[1] Smith, On cats.\n[2] Jones.\n",
        "[{x} for x in y]\n",
        "{% if a %}b{% endif %}",
        '{"a": 1} is a dictionary.\n{"b": 2} too.\n',
        '[{"a": 1}] is a list',
        '{"a": \n',
        '"text"\n',
        " \n",
        "",
    ],
)
def test_what_only_begins_like_json_is_plain_text(text: str) -> None:
    assert plain_text(SOURCE, text) == text


@pytest.mark.parametrize(
    ("rows", "line", "problem"),
    [
        ([{"text": "a"}, {"title": "b"}], 2, "without a text"),
        ([{"content": "a"}], 1, "without a text"),
        ([GOOD], 1, "without a text"),
        ([{"text": "a"}, {"text": ["b"]}], 2, "has a list as text"),
        ([{"text": "a"}, {"text": "b\udead"}], 2, "half a character"),
        ([{"text": "a"}, "b"], 2, "not a JSON object"),
    ],
)
def test_a_row_without_a_text_is_named(rows: list[Any], line: int, problem: str) -> None:
    text = lines(rows[0], {"text": "x"}) + lines(*rows[1:]) if line > 1 else lines(*rows)
    error = refusal(text, plain=True)
    assert error.field == f"recipe.data.train, line {line + (line > 1)}"
    assert problem in error.problem


def test_rows_of_instructions_say_which_format_they_are() -> None:
    assert "recipe.data.format: instruction" in refusal(lines(GOOD), plain=True).hint


@pytest.mark.parametrize("text", [*SHAPES.values(), lines({"rka_secret": 1}), "rka_secret"])
def test_no_refusal_tells_what_is_in_the_file(text: str) -> None:
    error = refusal(text.replace('"a"', '"rka_secret"'))
    assert "secret" not in f"{error.detail} {error.hint}"
