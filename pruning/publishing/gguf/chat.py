"""What GGUF takes of the habits of a chat: templates and the tokens that end an answer."""

from collections.abc import Iterator
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT = "default"


def template_of(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return the one chat template that is written; None if there is none."""
    stated = tokenizer.chat_template
    return stated.get(DEFAULT) if isinstance(stated, dict) else stated


def left_out(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """Yield, in words, which templates and which end tokens are not written."""
    stated = tokenizer.chat_template
    if isinstance(stated, dict) and (others := sorted(stated.keys() - {DEFAULT})):
        yield f"the chat templates {', '.join(others)} are left out"
    config: Any = model.generation_config
    ends = getattr(config, "eos_token_id", None)
    listed = ends if isinstance(ends, list) else [ends]
    more = [index for index in listed if index not in (None, tokenizer.eos_token_id)]
    if more:
        names = [tokenizer.convert_ids_to_tokens(index) or f"id {index}" for index in more]
        yield (
            f"the file has one end token, {tokenizer.eos_token}: of the others of the generation "
            f"config, {', '.join(map(str, names))}, llama.cpp ends a text at those it knows by name"
        )
