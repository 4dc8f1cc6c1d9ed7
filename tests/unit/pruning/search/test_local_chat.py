"""LocalChat: a model of this machine answers, in its template if it has one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pruning.search import local_chat
from pruning.search.local_chat import LEAST_TOKENS, LocalChat
from rankspace.errors import InvalidInput

CPU = torch.device("cpu")


def test_the_pretrained_model_tells_a_story_the_same_each_time(
    stories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_chat, "MOST_TOKENS", 20)
    chat = LocalChat(stories, CPU)
    one, other = chat("Once upon a time"), chat("Once upon a time")
    assert one.text == other.text
    assert one.text
    assert "Once upon" not in one.text  # the question is not part of the reply
    assert one.reply_tokens == 20
    assert chat.name.startswith("stories260k ")


def test_a_question_beyond_the_window_is_refused_by_both_numbers(plain: Path) -> None:
    chat = LocalChat(plain, CPU)
    assert chat("a" * (128 - LEAST_TOKENS)).reply_tokens == LEAST_TOKENS
    with pytest.raises(InvalidInput, match="has 128 positions, and a question takes 113"):
        chat("a" * (128 - LEAST_TOKENS + 1))


def test_a_chat_template_is_used(plain: Path) -> None:
    chat = LocalChat(plain, CPU)
    bare = chat("ab").prompt_tokens
    tokenizer: Any = chat._loaded.tokenizer
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}!"
    assert bare == 2
    assert chat("ab").prompt_tokens == len("<user>ab!")
