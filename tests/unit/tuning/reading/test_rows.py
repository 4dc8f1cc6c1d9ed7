"""What the rows of a file say, and what is said of those that say it otherwise."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rankspace.data_shape import DataFormat
from rankspace.errors import InvalidInput
from tuning.reading import json_records as layouts
from tuning.reading.json_records import json_records
from tuning.reading.rows import Completion, Row
from tuning.reading.shapes import shaped
from tuning.reading.source import LONGEST, Source
from tuning.reading.stream import plain_text

SOURCE = Source("recipe.data.train", Path("/data/my rows.jsonl"))
GOOD = {"instruction": "Say", "input": "now", "output": "said"}


def lines(*rows: Any, **options: Any) -> str:
    return "".join(json.dumps(row, **options) + "\n" for row in rows)


def read(text: str, form: DataFormat = "instruction") -> Any:
    """What the rows are recognised as, and the rows."""
    return shaped(json_records(SOURCE, text), form)


def instruction_rows(text: str) -> Any:
    return read(text)[1]


def refusal(text: str, form: DataFormat = "instruction") -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        plain_text(SOURCE, text) if form == "text" else read(text, form)
    return caught.value


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x7f", "\u200b"])
def test_only_a_newline_ends_a_line(mark: str) -> None:
    row = {**GOOD, "output": f"first{mark}second"}
    text = lines(GOOD, row, ensure_ascii=False) + "{\n"
    assert refusal(text).field == "recipe.data.train, line 3"
    assert instruction_rows(text[:-2])[1].output == f"first{mark}second"


@pytest.mark.parametrize("blank", ["", "   ", "\t", "\u2028", "\xa0 "])
def test_blank_lines_are_passed_over_and_counted(blank: str) -> None:
    text = f"{blank}\n{lines(GOOD)}{blank}\n{lines(GOOD)}"
    assert instruction_rows(text) == (Row("Say", "now", "said"),) * 2
    assert refusal(f"{text}[]\n").field == "recipe.data.train, line 5"


@pytest.mark.parametrize("space", [" ", "\t", "\u2028", "\xa0", "\x85"])
def test_white_space_around_a_row_is_no_part_of_it(space: str) -> None:
    text = "".join(f"{space}{json.dumps(GOOD)}{space}\n" for _ in range(2))
    assert instruction_rows(text) == (Row("Say", "now", "said"),) * 2


@pytest.mark.parametrize("given", [{}, {"input": None}, {"input": ""}])
def test_there_need_be_no_input(given: dict[str, Any]) -> None:
    row = {"instruction": "Say", "output": "said", **given}
    assert instruction_rows(lines(row)) == (Row("Say", "", "said"),)


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
    assert instruction_rows(line)[0].output == "\N{GRINNING FACE}"


def _row(**fields: Any) -> Sequence[Any]:
    return [fields] * 3


ALPACA = lines(*_row(**GOOD))
DOLLY = lines(*_row(instruction="a", context="b", response="c", category="open_qa"))
COMPLETION = lines(*_row(prompt="a", completion="b"))
MESSAGES = lines(*_row(messages=[{"role": "user", "content": "a"}]))
SHAREGPT = lines(*_row(id="x", conversations=[{"from": "human", "value": "a"}]))
TEXT = lines(*_row(text="a", url="b"))

UNREAD = {
    "JSON written over several lines": json.dumps({"data": [GOOD]}, indent=2),
    "a row of prompt and response": lines(*_row(prompt="a", response="b")),
    "a row of prompt and chosen": lines(*_row(prompt="a", chosen="b", rejected="c")),
    "a row of question and answer": lines(*_row(question="a", answer="b")),
    "a row of query and response": lines(*_row(query="a", response="b")),
}

OF_ANOTHER_FORMAT: list[tuple[DataFormat, str, str]] = [
    ("instruction", COMPLETION, "completion"),
    ("instruction", MESSAGES, "chat"),
    ("instruction", SHAREGPT, "chat"),
    ("instruction", TEXT, "text"),
    ("completion", ALPACA, "instruction"),
    ("completion", DOLLY, "instruction"),
    ("completion", MESSAGES, "chat"),
    ("chat", ALPACA, "instruction"),
    ("chat", COMPLETION, "completion"),
    ("chat", TEXT, "text"),
]


@pytest.mark.parametrize(("name", "text"), UNREAD.items(), ids=UNREAD)
@pytest.mark.parametrize("form", ["instruction", "completion", "chat"])
def test_a_shape_that_is_not_read_is_named_with_the_way_out(
    form: DataFormat, name: str, text: str
) -> None:
    error = refusal(text, form)
    assert error.problem.startswith(f"is {name}")
    assert error.hint.startswith("convert it: jq -c '")
    assert "'my rows.jsonl' >" in error.hint


@pytest.mark.parametrize(("form", "text", "reads"), OF_ANOTHER_FORMAT)
def test_rows_of_another_format_are_told_which_one(
    form: DataFormat, text: str, reads: DataFormat
) -> None:
    error = refusal(text, form)
    assert error.field == "recipe.data.train, line 1"
    assert f"set recipe.data.format: {reads}" in error.hint


def test_what_is_read_is_recognised_row_by_row() -> None:
    assert read(ALPACA) == ("alpaca", (Row("Say", "now", "said"),) * 3)
    assert read(DOLLY) == ("dolly", (Row("a", "b", "c"),) * 3)
    assert read(COMPLETION, "completion") == ("prompt-completion", (Completion("a", "b"),) * 3)
    assert read("") == (None, ())


@pytest.mark.parametrize("context", [{}, {"context": None}, {"context": ""}])
def test_dolly_s_context_may_be_left_out(context: dict[str, Any]) -> None:
    assert instruction_rows(lines({"instruction": "a", "response": "c", **context})) == (
        Row("a", "", "c"),
    )


@pytest.mark.parametrize(
    ("name", "given", "answer"), [("input", "context", "response"), ("context", "input", "output")]
)
def test_what_another_shape_calls_its_input_is_not_left_out(
    name: str, given: str, answer: str
) -> None:
    row = {"instruction": "a", answer: "c"}
    error = refusal(lines(row, {**row, name: "b"}))
    assert error.field == "recipe.data.train, line 2"
    assert error.problem == f"has {name} beside {answer}, which would be left out"
    assert f".{given} = .{name}" in error.hint
    for nothing in ("", None):
        assert instruction_rows(lines({**row, name: nothing})) == (Row("a", "", "c"),)


def test_a_row_that_fits_two_shapes_is_not_guessed_at() -> None:
    error = refusal(lines(GOOD, {**GOOD, "response": "another"}))
    assert error.field == "recipe.data.train, line 2"
    assert "Alpaca" in error.problem
    assert "Dolly" in error.problem
    assert "del(.response)" in error.hint
    both = lines({"messages": [], "conversations": []})
    assert "at once" in refusal(both, "chat").problem


def test_rows_of_another_shape_than_the_first_are_named() -> None:
    error = refusal(ALPACA + DOLLY)
    assert error.field == "recipe.data.train, line 4"
    assert "the rows before it are of instruction and output" in error.problem


def test_an_answer_of_megabytes_is_none() -> None:
    error = refusal(lines(GOOD, {**GOOD, "output": "x" * (LONGEST + 1)}))
    assert error.field == "recipe.data.train, line 2"
    assert "16,777,217 characters as output" in error.problem


# Arrays


@pytest.mark.parametrize("indent", [None, 4])
def test_of_an_array_the_items_are_rows(indent: int | None) -> None:
    rows = [{**GOOD, "output": f"{i}"} for i in range(5)]
    found = instruction_rows(f"\n {json.dumps(rows, indent=indent)}\n")
    assert found == tuple(Row("Say", "now", f"{i}") for i in range(5))


@pytest.mark.parametrize(
    ("damage", "place", "problem"),
    [
        (lambda text: text[:-1], "row 3", "no part of a JSON array"),
        (lambda text: text[:-20], "row 3", "is not JSON"),
        (lambda text: text + "x", "row 3", "no part of a JSON array"),
        (lambda text: text.replace("}, {", "} {", 1), "row 1", None),
        (lambda text: text[:-1] + ",]", "row 4", "is not JSON"),
        (lambda text: text[:-1] + ', "a"]', "row 4", "is not a JSON object"),
        (lambda text: text[:-1] + ', {"a": 1}]', "row 4", "has no instruction and no output"),
        (lambda text: text[:-1] + ", " + "[" * 100_000, "row 4", "is not JSON"),
    ],
)
def test_a_damaged_array_is_named_by_its_row(damage: Any, place: str, problem: str | None) -> None:
    error = refusal(damage(json.dumps([GOOD] * 3)))
    if problem is None:  # what begins so need not be an array: it is refused as a line
        assert error.problem == "is not a JSON object"
    else:
        assert error.field == f"recipe.data.train, {place}"
        assert problem in error.problem


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_texts_is_one_stream(indent: int | None) -> None:
    rows = [{"text": "once", "id": 1}, {"text": "upon"}, {"text": "a time"}]
    text = json.dumps(rows, indent=indent)
    assert plain_text(SOURCE, text) == ("text-rows", "once\n\nupon\n\na time")
    assert plain_text(SOURCE, text[:-9], is_whole=False) == ("text-rows", "once\n\nupon")
    assert "without a text" in refusal(json.dumps([{"text": "a"}, GOOD]), "text").problem


def test_of_json_lines_the_text_is_read() -> None:
    rows = [{"text": f"a{end}b", "url": "https://example.org"} for end in ("\n", "\u2028", " ")]
    text = lines(*rows, ensure_ascii=False)
    assert plain_text(SOURCE, f"\n{text}\n")[1] == "a\nb\n\na\u2028b\n\na b"
    assert plain_text(SOURCE, text[:-9], is_whole=False)[1] == "a\nb\n\na\u2028b"
    assert plain_text(SOURCE, lines(rows[0]), is_whole=False)[1] == "a\nb"


@pytest.mark.parametrize("second", ["a", '"b"', "[]", "", "}"])
def test_a_first_row_with_a_text_makes_json_lines_of_a_file(second: str) -> None:
    """One damaged row, the second, and the syntax of all the others was learned."""
    text = "\n" + lines({"text": "a", "id": 1}) + second + "\n" + lines({"text": "b"})
    if not second:
        assert plain_text(SOURCE, text) == ("text-rows", "a\n\nb")
    else:
        assert refusal(text, form="text").field == "recipe.data.train, line 3"


@pytest.mark.parametrize("rest", ["", "\n" + lines({"text": "b"})])
def test_a_first_row_may_have_any_length(monkeypatch: pytest.MonkeyPatch, rest: str) -> None:
    monkeypatch.setattr(layouts, "FIRST_VALUE", 10)
    text = json.dumps({"text": "abc" * 10}) + rest
    assert plain_text(SOURCE, text)[1] == "abc" * 10 + ("\n\nb" if rest else "")


def test_a_row_that_is_cut_is_no_prose() -> None:
    text = '\n{ "url": "x", "text": "once upon a'
    with pytest.raises(InvalidInput, match="longer than what is read"):
        plain_text(SOURCE, text, is_whole=False)
    for prose in (text, "{x} once", '{"x": 1}\nonce'):
        assert plain_text(SOURCE, prose, is_whole=prose == text) == ("text", prose)


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
    assert plain_text(SOURCE, text) == ("text", text)


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
    error = refusal(text, form="text")
    assert error.field == f"recipe.data.train, line {line + (line > 1)}"
    assert problem in error.problem


def test_rows_of_instructions_say_which_format_they_are() -> None:
    assert "recipe.data.format: instruction" in refusal(lines(GOOD), form="text").hint


@pytest.mark.parametrize(
    "text", [*UNREAD.values(), DOLLY + ALPACA, lines({"rka_secret": 1}), "rka_secret"]
)
def test_no_refusal_tells_what_is_in_the_file(text: str) -> None:
    error = refusal(text.replace('"a"', '"rka_secret"').replace('"now"', '"rka_secret"'))
    assert "secret" not in f"{error.detail} {error.hint}"
