"""A ``tokenizer.json`` in the words of GGUF; what llama.cpp would split otherwise is refused."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from transformers import PreTrainedTokenizerBase

from pruning.publishing.gguf.byte_level import check_byte_level
from pruning.publishing.gguf.pieces import byte_tokens, check_pieces, scores
from pruning.publishing.gguf.refusal import refusal
from pruning.publishing.gguf.surroundings import Surroundings, surroundings_of
from rankspace.errors import InvalidInput

BYTE_LEVEL, PIECES = "gpt2", "llama"
"""Kinds of vocabulary: BPE over bytes shown as letters; SentencePiece's, with tokens for bytes."""

_COMPOSED = (
    "the tokenizer composes accents with their letters first (NFC), llama.cpp does not: "
    "give it composed text"
)


class TokenType(IntEnum):
    """What a token is (``llama_token_type`` of llama.cpp)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What GGUF says of a tokenizer.

    Attributes:
        kind: ``BYTE_LEVEL`` or ``PIECES``.
        split: What splits a text into words.
        tokens: By id, one for each row of the embedding.
        types: Likewise.
        scores: Likewise; which pair of pieces is joined first. Empty where ``merges`` say it.
        merges: Pairs in the order in which they are joined, a space between.
        has_space_prefix: Whether a text gets a space in front.
        around: Which tokens it gets, unasked.
        differs: Where llama.cpp makes other tokens of a text; empty if nowhere.
    """

    kind: str
    split: str
    tokens: tuple[str, ...]
    types: tuple[TokenType, ...]
    scores: tuple[float, ...]
    merges: tuple[str, ...]
    has_space_prefix: bool
    around: Surroundings
    differs: str


def vocabulary_of(tokenizer: PreTrainedTokenizerBase, rows: int) -> Vocabulary:
    """Translate ``tokenizer`` for an embedding of ``rows`` rows.

    Raises:
        InvalidInput: llama.cpp has no such tokenizer, or would make other tokens of a text.
    """
    document = json.loads(tokenizer.backend_tokenizer.to_str())
    model = document["model"]
    _check_model(model)
    _check_added(document)
    if tokenizer.eos_token_id is None:
        fix = "name one in tokenizer_config.json (eos_token)"
        raise InvalidInput("eos_token", None, "llama.cpp would take another token for it", fix=fix)
    around = surroundings_of(tokenizer)
    merges = [_pair(merge) for merge in model["merges"]]
    tokens = _tokens(document, rows)
    types = _types(document, tokens)
    if model.get("byte_fallback"):
        prefix = check_pieces(document, merges)
        priority = scores(tokens, merges)
        return Vocabulary(PIECES, "default", tokens, types, priority, (), prefix, around, "")
    split = check_byte_level(document, merges)
    joined = tuple(" ".join(pair) for pair in merges)
    differs = _COMPOSED if document["normalizer"] == {"type": "NFC"} else ""
    return Vocabulary(BYTE_LEVEL, split, tokens, types, (), joined, False, around, differs)


def _pair(merge: str | Sequence[str]) -> tuple[str, str]:
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second


def _tokens(document: Mapping[str, Any], rows: int) -> tuple[str, ...]:
    """Return the tokens by id; rows of the embedding that have none get a name of their own."""
    names = {index: token for token, index in document["model"]["vocab"].items()}
    names |= {added["id"]: added["content"] for added in document["added_tokens"]}
    return tuple(names.get(index, f"[PAD{index}]") for index in range(rows))


def _types(document: Mapping[str, Any], tokens: Sequence[str]) -> tuple[TokenType, ...]:
    known = set(document["model"]["vocab"].values())
    types = [
        TokenType.NORMAL if index in known else TokenType.UNUSED for index in range(len(tokens))
    ]
    vocab = document["model"]["vocab"]
    for byte in byte_tokens():
        if document["model"].get("byte_fallback") and byte in vocab:
            types[vocab[byte]] = TokenType.BYTE
    for added in document["added_tokens"]:
        is_special = added["special"]
        types[added["id"]] = TokenType.CONTROL if is_special else TokenType.USER_DEFINED
    unknown = vocab.get(document["model"].get("unk_token"))
    if unknown is not None:
        types[unknown] = TokenType.UNKNOWN
    return tuple(types)


def _check_model(model: Mapping[str, Any]) -> None:
    if model["type"] != "BPE":
        raise refusal("model.type", model["type"], "is no BPE")
    for field in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(field):
            raise refusal(f"model.{field}", model[field], "llama.cpp has no such thing")
    if len({_pair(merge) for merge in model["merges"]}) != len(model["merges"]):
        raise refusal("model.merges", len(model["merges"]), "have a pair twice")


def _check_added(document: Mapping[str, Any]) -> None:
    for token in document["added_tokens"]:
        for field in ("lstrip", "rstrip", "single_word"):
            if token.get(field):
                problem = f"has {field}; llama.cpp finds it wherever it stands, spaces left alone"
                raise refusal("added_tokens", token["content"], problem)
        if token.get("normalized") and document["normalizer"] is not None:
            problem = "is looked for after the normalizer, in llama.cpp before it"
            raise refusal("added_tokens", token["content"], problem)
