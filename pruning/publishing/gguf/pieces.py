"""BPE over pieces as SentencePiece makes it, with tokens for the bytes of other letters.

llama.cpp joins whatever two neighbours are a token together, the best score first; tokenizers
joins the pairs of a list in its order. Both are one where the list has every such pair, and the
pairs of one token come one after another.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pruning.publishing.gguf.byte_level import steps
from pruning.publishing.gguf.refusal import refusal

_SPACE = "▁"

Pair = tuple[str, str]


def check_pieces(document: Mapping[str, Any], merges: Sequence[Pair]) -> bool:
    """Return whether a text gets a space in front.

    Raises:
        InvalidInput: llama.cpp would join other pieces, or put spaces elsewhere.
    """
    vocab = document["model"]["vocab"]
    missing = [byte for byte in byte_tokens() if byte not in vocab]
    if missing:
        raise refusal("model.vocab", missing, "lacks tokens for bytes")
    if document["model"].get("ignore_merges"):
        raise refusal("model.ignore_merges", True, "llama.cpp joins pieces by pairs")
    added = {token["content"] for token in document["added_tokens"]}
    _check_complete([token for token in vocab if token not in added], vocab, merges)
    _check_order(merges)
    return _has_space_prefix(document)


def byte_tokens() -> Iterator[str]:
    return (f"<0x{byte:02X}>" for byte in range(256))


def scores(tokens: Sequence[str], merges: Sequence[Pair]) -> tuple[float, ...]:
    """Give each token the place of the first pair it is joined of: the earliest is joined first."""
    place: dict[str, int] = {}
    for index, pair in enumerate(merges):
        place.setdefault("".join(pair), index)
    return tuple(-float(place.get(token, len(merges))) for token in tokens)


def _check_complete(
    tokens: Sequence[str], vocab: Mapping[str, int], merges: Sequence[Pair]
) -> None:
    """Check that any two pieces that are a token together are a pair; a letter is a piece."""
    known = set(merges)
    for token in tokens:
        for at in range(1, len(token)):
            left, right = token[:at], token[at:]
            is_joined = _is_piece(left, vocab) and _is_piece(right, vocab)
            if is_joined and (left, right) not in known:
                problem = "llama.cpp would join them, which the merges do not"
                raise refusal("model.merges", f"{left} {right}", problem)


def _is_piece(text: str, vocab: Mapping[str, int]) -> bool:
    return len(text) == 1 or text in vocab


def _check_order(merges: Sequence[Pair]) -> None:
    """Check that no pair of another token comes between the pairs of one.

    SentencePiece gives runs of one letter (spaces, as people add them) the same score, and their
    pairs are mixed in the list: of any run, both still make the same.
    """
    seen: set[str] = set()
    last = ""
    for pair in merges:
        token = "".join(pair)
        if token != last and token in seen and not _is_run(token, last):
            raise refusal("model.merges", " ".join(pair), "comes after pairs of other tokens")
        seen.add(token)
        last = token


def _is_run(*tokens: str) -> bool:
    return len({letter for token in tokens for letter in token}) == 1


def _has_space_prefix(document: Mapping[str, Any]) -> bool:
    normalizer, before = document["normalizer"], document["pre_tokenizer"]
    if before is not None and before["type"] == "Metaspace":
        if normalizer is not None or before["replacement"] != _SPACE:
            raise refusal("normalizer", normalizer, "comes beside Metaspace")
        if before["prepend_scheme"] != "never" or before.get("split", True):
            problem = "puts a space where llama.cpp puts none, or splits at spaces"
            raise refusal("pre_tokenizer", before, problem)
        return False
    parts = steps(normalizer, "normalizers")
    replaced = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
    prepended = {"type": "Prepend", "prepend": _SPACE}
    if before is not None or parts not in ([replaced], [prepended, replaced]):
        raise refusal("normalizer", normalizer, "is not SentencePiece's")
    return bool(parts[0] == prepended)
