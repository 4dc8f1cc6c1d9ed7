"""A ``tokenizer.json`` in the words of GGUF; what llama.cpp would split otherwise is refused."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from transformers import PreTrainedTokenizerBase

from rankspace.errors import InvalidInput

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

SPLITS: Mapping[str, str] = MappingProxyType(
    {
        _WORDS + r"|\p{N}{1,3}" + _REST: "llama-bpe",
        _WORDS + r"|\p{N}" + _REST: "qwen2",
    }
)
"""Name in llama.cpp of what splits a text into words, by its pattern in ``tokenizer.json``."""

BYTE_LEVEL, PIECES = "gpt2", "llama"
"""Kinds of vocabulary: BPE over bytes shown as letters; SentencePiece's, with tokens for bytes."""

_SPACE = "▁"
_COMPOSED = (
    "the tokenizer composes accents with their letters first (NFC), llama.cpp does not: "
    "give it composed text"
)
_FIX = "use --format merged or container, whose programs read tokenizer.json itself"


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
        differs: Where llama.cpp makes other tokens of a text; empty if nowhere.
    """

    kind: str
    split: str
    tokens: tuple[str, ...]
    types: tuple[TokenType, ...]
    scores: tuple[float, ...]
    merges: tuple[str, ...]
    has_space_prefix: bool
    differs: str


def vocabulary_of(tokenizer: PreTrainedTokenizerBase, rows: int) -> Vocabulary:
    """Translate ``tokenizer`` for an embedding of ``rows`` rows.

    Raises:
        InvalidInput: llama.cpp has no such tokenizer, or would make other tokens of a text.
    """
    document = json.loads(tokenizer.backend_tokenizer.to_str())
    model = document["model"]
    if model["type"] != "BPE":
        raise _unknown("model.type", model["type"], "is no BPE")
    if tokenizer.eos_token_id is None:
        fix = "name one in tokenizer_config.json (eos_token)"
        raise InvalidInput("eos_token", None, "llama.cpp would take another token for it", fix=fix)
    merges = [_pair(merge) for merge in model["merges"]]
    tokens = _tokens(document, rows)
    types = _types(document, tokens)
    if model.get("byte_fallback"):
        prefix = _check_pieces(document)
        scores = _scores(tokens, merges)
        return Vocabulary(PIECES, "default", tokens, types, scores, (), prefix, "")
    joined = tuple(" ".join(pair) for pair in merges)
    differs = _COMPOSED if document["normalizer"] == {"type": "NFC"} else ""
    return Vocabulary(BYTE_LEVEL, _split(document), tokens, types, (), joined, False, differs)


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
    for byte in _byte_tokens():
        if document["model"].get("byte_fallback") and byte in vocab:
            types[vocab[byte]] = TokenType.BYTE
    for added in document["added_tokens"]:
        is_special = added["special"]
        types[added["id"]] = TokenType.CONTROL if is_special else TokenType.USER_DEFINED
    unknown = vocab.get(document["model"].get("unk_token"))
    if unknown is not None:
        types[unknown] = TokenType.UNKNOWN
    return tuple(types)


def _byte_tokens() -> Iterator[str]:
    return (f"<0x{byte:02X}>" for byte in range(256))


def _scores(tokens: Sequence[str], merges: Sequence[tuple[str, str]]) -> tuple[float, ...]:
    """Give each token the place of the first pair it is joined of: the earliest is joined first."""
    place: dict[str, int] = {}
    for index, pair in enumerate(merges):
        place.setdefault("".join(pair), index)
    return tuple(-float(place.get(token, len(merges))) for token in tokens)


def _check_pieces(document: Mapping[str, Any]) -> bool:
    """Return whether a text gets a space in front, of a tokenizer in the way of SentencePiece."""
    normalizer, before = document["normalizer"], document["pre_tokenizer"]
    if before is not None and before["type"] == "Metaspace":
        if normalizer is not None or before["replacement"] != _SPACE:
            raise _unknown("normalizer", normalizer, "comes beside Metaspace")
        return bool(before["prepend_scheme"] != "never")
    steps = _steps(normalizer, "normalizers")
    replaced = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
    prepended = {"type": "Prepend", "prepend": _SPACE}
    if before is not None or steps not in ([replaced], [prepended, replaced]):
        raise _unknown("normalizer", normalizer, "is not SentencePiece's")
    return bool(steps[0] == prepended)


def _split(document: Mapping[str, Any]) -> str:
    steps = _steps(document["pre_tokenizer"], "pretokenizers")
    normalizer = document["normalizer"]
    if normalizer not in (None, {"type": "NFC"}):
        raise _unknown("normalizer", normalizer, "changes a text, which llama.cpp does not")
    last = steps[-1] if steps else {}
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        raise _unknown("pre_tokenizer", document["pre_tokenizer"], "is not ByteLevel as it is")
    if len(steps) == 1 and last.get("use_regex", True):
        return "gpt-2"
    found = SPLITS.get(steps[0].get("pattern", {}).get("Regex", ""))
    is_whole = len(steps) == 2 and not last.get("use_regex", True)
    if found is None or not is_whole or steps[0].get("behavior") != "Isolated":
        raise _unknown("pre_tokenizer", document["pre_tokenizer"], "splits as none of llama.cpp's")
    if found == "llama-bpe" and not document["model"].get("ignore_merges"):
        raise _unknown("model.ignore_merges", False, "llama.cpp takes whole words first")
    return found


def _steps(part: Mapping[str, Any] | None, name: str) -> list[Any]:
    if part is None:
        return []
    return list(part[name]) if part["type"] == "Sequence" else [part]


def _unknown(field: str, value: Any, problem: str) -> InvalidInput:
    return InvalidInput(f"tokenizer.json: {field}", value, problem, fix=_FIX)
