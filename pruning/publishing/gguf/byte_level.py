"""BPE over bytes that are shown as letters, as GPT-2 began it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel

from pruning.publishing.gguf.refusal import refusal

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

WHOLE_WORDS = "llama-bpe"
"""The one split whose words llama.cpp looks up whole before it joins letters."""

SPLITS: Mapping[str, str] = MappingProxyType(
    {
        _WORDS + r"|\p{N}{1,3}" + _REST: WHOLE_WORDS,
        _WORDS + r"|\p{N}" + _REST: "qwen2",
    }
)
"""Name in llama.cpp of what splits a text into words, by its pattern in ``tokenizer.json``."""


def check_byte_level(document: Mapping[str, Any], merges: Sequence[tuple[str, str]]) -> str:
    """Return the name in llama.cpp of what splits a text into words.

    Raises:
        InvalidInput: It would split or join otherwise.
    """
    model = document["model"]
    missing = set(ByteLevel.alphabet()) - model["vocab"].keys()
    if missing:
        raise refusal("model.vocab", sorted(missing), "lacks letters of bytes")
    if not merges or any(" " in part for pair in merges for part in pair):
        raise refusal("model.merges", len(merges), "are none, or have spaces: it cannot read them")
    found = _split(document)
    if bool(model.get("ignore_merges")) != (found == WHOLE_WORDS):
        problem = f"llama.cpp takes whole words first with {WHOLE_WORDS}, and only there"
        raise refusal("model.ignore_merges", model.get("ignore_merges"), problem)
    return found


def _split(document: Mapping[str, Any]) -> str:
    before, normalizer = document["pre_tokenizer"], document["normalizer"]
    if normalizer not in (None, {"type": "NFC"}):
        raise refusal("normalizer", normalizer, "changes a text, which llama.cpp does not")
    parts = steps(before, "pretokenizers")
    last = parts[-1] if parts else {}
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        raise refusal("pre_tokenizer", before, "is not ByteLevel as it is")
    if len(parts) == 1 and last.get("use_regex", True):
        return "gpt-2"
    found = SPLITS.get(parts[0].get("pattern", {}).get("Regex", ""))
    is_whole = len(parts) == 2 and not last.get("use_regex", True) and not parts[0].get("invert")
    if found is None or not is_whole or parts[0].get("behavior") != "Isolated":
        raise refusal("pre_tokenizer", before, "splits as none of llama.cpp's")
    return found


def steps(part: Mapping[str, Any] | None, name: str) -> list[Any]:
    """Return the steps of a normalizer or of a pre-tokenizer, which may be a sequence of them."""
    if part is None:
        return []
    return list(part[name]) if part["type"] == "Sequence" else [part]
