"""Calls: nothing is asked twice, and nothing is answered for another question."""

import json
from pathlib import Path

import pytest

from pruning.search.calls import MOST_FAILURES, Calls
from pruning.search.chat import Reply
from rankspace.errors import InvalidInput, Unreachable


class Counting:
    """Says how many questions there were; ``silent`` of them have no reply."""

    name = "counting"

    def __init__(self, silent: tuple[int, ...] = ()) -> None:
        self.asked: list[str] = []
        self._silent = silent

    def __call__(self, prompt: str) -> Reply:
        self.asked.append(prompt)
        number = len(self.asked)
        if number in self._silent:
            return Reply(None, "gone", seconds=1.0)
        return Reply(f"{number}\x1b[2J", "", 10, number, 0.5)


def test_what_was_said_is_said_again_without_the_model(tmp_path: Path) -> None:
    path, chat = tmp_path / "c.jsonl", Counting(silent=(2,))
    first = Calls(path, chat)
    replies = [first(prompt) for prompt in "abc"]
    assert (first.asked, first.replayed, first.tokens, first.seconds) == (3, 0, 4, 2.0)
    again = Calls(path, None)
    assert [again(prompt) for prompt in "abc"] == replies
    assert (again.asked, again.replayed, again.tokens, again.seconds) == (0, 3, 4, 2.0)
    with pytest.raises(InvalidInput, match="has no more replies"):
        again("d")
    onward = Calls(path, chat)
    for prompt in "abcd":
        onward(prompt)
    assert chat.asked == [*"abcd"]
    assert "\x1b" not in path.read_text()
    assert {json.loads(line)["model"] for line in path.read_text().splitlines()} == {"counting"}


def test_the_reply_to_another_question_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    Calls(path, Counting())("a")
    with pytest.raises(InvalidInput, match="another question"):
        Calls(path, Counting())("b")


def test_another_model_does_not_go_on_with_a_search(tmp_path: Path) -> None:
    path, other = tmp_path / "c.jsonl", Counting()
    Calls(path, Counting())("a")
    other.name = "another"
    calls = Calls(path, other)
    assert calls("a").text is not None
    with pytest.raises(InvalidInput, match="has replies of 'counting', and another is to go on"):
        calls("b")
    assert other.asked == []


def test_a_model_that_is_gone_ends_the_search_and_is_asked_again_later(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    gone = Calls(path, Counting(silent=tuple(range(2, 9))))
    assert gone("a").text
    for _ in range(MOST_FAILURES - 1):
        assert gone("b").problem == "gone"
    with pytest.raises(Unreachable, match="counting did not answer 3 times: gone"):
        gone("b")
    back = Calls(path, Counting())
    assert [back(prompt).text for prompt in "abbb"] == ["1\x1b[2J", None, None, "1\x1b[2J"]


def test_a_line_that_was_torn_is_asked_anew(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    first = Calls(path, Counting())
    first("a")
    first("b")
    path.write_bytes(path.read_bytes()[:-5])
    again = Calls(path, Counting())
    assert [again(prompt).text for prompt in "ab"] == ["1\x1b[2J", "1\x1b[2J"]
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize("line", ["7", "{}", '{"prompt": "a", "text": 7}', '{"prompt": "a"}'])
def test_what_are_no_calls_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InvalidInput):
        Calls(path, None)
