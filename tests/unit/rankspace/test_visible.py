"""What a text may not do to whoever looks at it."""

import pytest

from rankspace.recipe import Data, Recipe
from rankspace.redaction import as_markdown, steering, visible, visible_texts
from rankspace.study import Study
from rankspace.wire import decode, encode

STEERING = [
    *("\x1b", "\x07", "\0", "\x7f", "\x9b", "\n", "\r", "\t", "\u2028", "\u2029", "\x85"),
    *("\u202e", "\u202a", "\u2066", "\u2069", "\ud800"),
]
HARMLESS = [
    *("", "Grüße", "实验 7", "נסוי", "می\u200cخواهم", "👩\u200d🔬", "a\u00a0b", "a\u200fb"),
    "x=1 [y] \\ '\"",
]


@pytest.mark.parametrize("character", STEERING)
def test_what_steers_is_found_and_made_visible(character: str) -> None:
    assert steering(f"a{character}b") == character
    shown = visible(f"a{character}b")
    assert shown.isascii()
    assert shown == f"a{character.encode('unicode_escape').decode()}b"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_write_stays(text: str) -> None:
    assert (steering(text), visible(text)) == (None, text)


def test_only_traces_have_lines() -> None:
    event = {"study": "a\nb", "exception": "a\n\tb\x1b", "stack": "a\nb", "step": 1, "x": ["\n"]}
    shown = {"study": "a\\nb", "exception": "a\n\tb\\x1b", "stack": "a\nb", "step": 1, "x": ["\n"]}
    assert visible_texts(event) == shown


def test_studies_of_before_are_still_read() -> None:
    """Their names are refused at the door only."""
    study = Study("x\x1b[2J", "/models/tiny", Recipe(Data("train.jsonl")))
    assert decode(Study, encode(study)) == study


def test_markdown_shows_a_text_as_it_is() -> None:
    assert as_markdown("tiny-llama 2.0 (é)") == "tiny-llama 2.0 (é)"
    assert as_markdown("a|b <i>\n# `c`") == r"a\|b \<i\>\\n# \`c\`"
