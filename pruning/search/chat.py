"""Chat: a language model that is asked one question and gives one reply."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said, or why it said nothing.

    Attributes:
        text: As it came: nobody has looked at it yet; None where there was no reply.
        problem: Why there was none; empty where there was one.
        prompt_tokens: Of the question, as the model's side counts them; None if it does not.
        reply_tokens: Likewise, of the reply.
        seconds: From the question to the reply.
    """

    text: str | None
    problem: str = ""
    prompt_tokens: int | None = None
    reply_tokens: int | None = None
    seconds: float = 0.0


class Chat(Protocol):
    """Answers questions that have nothing to do with each other."""

    @property
    def name(self) -> str:
        """Which model, for a record; no secret is in it."""
        ...

    def __call__(self, prompt: str) -> Reply:
        """Ask; a failure is a reply with a problem, and never an exception."""
        ...
