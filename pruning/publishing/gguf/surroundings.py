"""Surroundings: the tokens that a tokenizer puts around a text unasked."""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from pruning.publishing.gguf.refusal import refusal


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Tokens that are put around a text unasked, as far as GGUF can say.

    Attributes:
        has_bos: The token that begins a text comes first.
        has_eos: The token that ends one comes last.
    """

    has_bos: bool
    has_eos: bool


def surroundings_of(tokenizer: PreTrainedTokenizerBase) -> Surroundings:
    """Read off a short text what is put around any.

    Raises:
        InvalidInput: Other tokens, or more, which llama.cpp cannot put there.
    """
    bare, dressed = (tokenizer.encode("a", add_special_tokens=has) for has in (False, True))
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    for before in ([], [begin]):
        for after in ([], [end]):
            if dressed == [*before, *bare, *after] and None not in (*before, *after):
                return Surroundings(bool(before), bool(after))
    names = tokenizer.convert_ids_to_tokens(dressed)
    problem = "puts other tokens around a text than its first and its last"
    raise refusal("post_processor", names, problem)
