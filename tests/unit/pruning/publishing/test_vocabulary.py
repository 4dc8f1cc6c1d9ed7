from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pruning.container.container import load
from pruning.publishing.gguf.vocabulary import (
    BYTE_LEVEL,
    PIECES,
    SPLITS,
    TokenType,
    vocabulary_of,
)
from rankspace.errors import InvalidInput

ALPHABET = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}


def byte_level(split: str = "", *, ignore_merges: bool = False, **changes: Any) -> Any:
    vocabulary = {**ALPHABET, "th": 256, "the": 257}
    merges = [("t", "h"), ("th", "e")]
    bare = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=ignore_merges))
    by_regex = [pre_tokenizers.Split(Regex(split), "isolated")] if split else []
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split)
    bare.pre_tokenizer = pre_tokenizers.Sequence([*by_regex, level])
    bare.decoder = decoders.ByteLevel()
    for name, value in changes.items():
        setattr(bare, name, value)
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=bare, eos_token="<end>")


def test_bytes_keep_their_merges() -> None:
    made = vocabulary_of(byte_level(), 260)
    assert (made.kind, made.split, made.scores) == (BYTE_LEVEL, "gpt-2", ())
    assert made.merges == ("t h", "th e")
    assert made.tokens[256:] == ("th", "the", "<end>", "[PAD259]")
    kinds = (TokenType.NORMAL, TokenType.NORMAL, TokenType.CONTROL, TokenType.UNUSED)
    assert made.types[256:] == kinds


@pytest.mark.parametrize("pattern", SPLITS)
def test_known_splits_have_the_names_of_llama_cpp(pattern: str) -> None:
    whole = SPLITS[pattern] == "llama-bpe"
    assert vocabulary_of(byte_level(pattern, ignore_merges=whole), 260).split == SPLITS[pattern]


def test_composed_letters_are_told() -> None:
    made = vocabulary_of(byte_level(normalizer=normalizers.NFC()), 260)
    assert "composes accents" in made.differs


def test_pieces_are_joined_in_the_order_of_the_merges(stories: Any) -> None:
    made = vocabulary_of(load(stories).tokenizer, 512)
    assert (made.kind, made.merges, made.has_space_prefix) == (PIECES, (), True)
    assert made.types[0:4] == (
        TokenType.UNKNOWN,
        TokenType.CONTROL,
        TokenType.CONTROL,
        TokenType.BYTE,
    )
    assert made.tokens[259:261] == ("▁t", "he")
    assert made.scores[259:261] == (0.0, -1.0)


REFUSED = {
    "another split": lambda: byte_level(r"\p{L}+|\s+"),
    "lower case": lambda: byte_level(normalizer=normalizers.Lowercase()),
    "no bytes": lambda: byte_level(pre_tokenizer=pre_tokenizers.Whitespace()),
    "a space in front": lambda: byte_level(
        pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)
    ),
    "merges before words": lambda: byte_level(next(iter(SPLITS))),
    "words": lambda: byte_level(model=models.WordLevel({"a": 0}, "a")),
    "nothing": lambda: byte_level(pre_tokenizer=None),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_what_llama_cpp_would_split_otherwise_is_refused(make: Any) -> None:
    with pytest.raises(InvalidInput, match=r"tokenizer\.json") as caught:
        vocabulary_of(make(), 260)
    assert "--format merged" in caught.value.hint


def test_no_end_token_would_be_another_in_llama_cpp() -> None:
    tokenizer = byte_level()
    tokenizer.eos_token = None
    with pytest.raises(InvalidInput, match="eos_token"):
        vocabulary_of(tokenizer, 260)
