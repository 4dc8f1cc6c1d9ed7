"""Calls: every question to a language model and its reply, in a file that answers them again."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pruning.search.chat import Chat, Reply
from pruning.search.record import append_line, cut_torn_line, read_lines
from rankspace import wire
from rankspace.errors import InvalidInput, Unreachable, cut, glimpse

MOST_FAILURES = 3
"""Calls in a row without a reply, after which nobody asks on."""

FIELD = "calls"


class Calls:
    """Answers from the file as long as it has replies, in their order; then asks the model.

    So a search that was interrupted goes on, and one that is over is run again, without asking
    anything twice.

    Attributes:
        asked: Calls to the model itself.
        replayed: Replies from the file.
        tokens: Of all replies, as far as they say.
        seconds: Of all calls.
    """

    def __init__(self, path: Path, chat: Chat | None) -> None:
        """Read ``path`` where it is there; without a ``chat`` its replies are all there are.

        Raises:
            InvalidInput: It is no record of calls.
        """
        self._path, self._chat = path, chat
        self._left = _read(path) if path.exists() else []
        self._models = {model for model, _, _ in self._left}
        self._failures = 0
        self.asked = self.replayed = self.tokens = 0
        self.seconds = 0.0

    def __call__(self, prompt: str) -> Reply:
        """Return the reply to ``prompt``; see ``Chat``.

        Raises:
            InvalidInput: The file has the reply to another question, or no more and nobody to ask,
                or only another model's.
            Unreachable: The model did not answer several times in a row; that is not kept.
        """
        reply = self._replayed(prompt) if self._left else self._ask(prompt)
        self.tokens += reply.reply_tokens or 0
        self.seconds += reply.seconds
        return reply

    def _replayed(self, prompt: str) -> Reply:
        _, recorded, reply = self._left.pop(0)
        if recorded != prompt:
            problem = "holds the reply to another question than is asked now"
            fix = "remove it and the record of the search to begin anew, or ask as before"
            raise InvalidInput(FIELD, str(self._path), problem, fix=fix)
        self.replayed += 1
        return reply

    def _ask(self, prompt: str) -> Reply:
        if self._chat is None:
            problem, fix = (
                "has no more replies",
                "name a model with --chat, which is asked for more",
            )
            raise InvalidInput(FIELD, str(self._path), problem, fix=fix)
        self._check_model(self._chat.name)
        reply = self._chat(prompt)
        self._failures = self._failures + 1 if reply.text is None else 0
        if self._failures >= MOST_FAILURES:
            said = f"{self._chat.name} did not answer {MOST_FAILURES} times: {cut(reply.problem)}"
            raise Unreachable(
                said, hint="mend it, then give the same command: it goes on from there"
            )
        append_line(self._path, {"model": self._chat.name, "prompt": prompt, **asdict(reply)})
        self.asked += 1
        return reply

    def _check_model(self, name: str) -> None:
        """What two models said is the search of neither."""
        if others := self._models - {name}:
            problem = f"has replies of {glimpse(min(others))}, and {name} is to go on"
            fix = "name that one with --chat, or remove the file and the record of the search"
            raise InvalidInput(FIELD, str(self._path), problem, fix=fix)


def _read(path: Path) -> list[tuple[str, str, Reply]]:
    lines, torn = read_lines(path)
    found = [_call(path, line) for line in lines]
    if torn:
        cut_torn_line(path)
    return found


def _call(path: Path, line: Any) -> tuple[str, str, Reply]:
    """The model, the question and the reply of one line."""
    texts = [line.get(name) for name in ("model", "prompt")] if isinstance(line, dict) else [None]
    if not all(isinstance(text, str) for text in texts):
        problem = f"holds no call of a model: {glimpse(line)}"
        raise InvalidInput(FIELD, str(path), problem, fix="give another file")
    reply = {name: value for name, value in line.items() if name not in ("model", "prompt")}
    return line["model"], line["prompt"], wire.decode(Reply, reply, FIELD)
