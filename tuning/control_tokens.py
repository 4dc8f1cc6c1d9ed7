"""Control tokens: those of a tokenizer that begin and end what is said, spelled in a text."""

import re
from collections.abc import Iterable
from typing import Any


def spelled(tokenizer: Any, texts: Iterable[str]) -> int:
    """Count how often ``texts`` spell a control token of ``tokenizer``."""
    names = _names(tokenizer)
    if not names:
        return 0
    found = re.compile("|".join(map(re.escape, names)))
    return sum(len(found.findall(text)) for text in texts)


def _names(tokenizer: Any) -> list[str]:
    """Longer ones first: one may begin as another does."""
    added = tokenizer.added_tokens_decoder.values()
    return sorted({token.content for token in added if token.special}, key=len, reverse=True)
