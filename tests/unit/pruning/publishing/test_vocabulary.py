from collections.abc import Sequence
from typing import Any

import pytest
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast

from pruning.container.container import load
from pruning.publishing.gguf.byte_level import SPLITS
from pruning.publishing.gguf.vocabulary import BYTE_LEVEL, PIECES, TokenType, vocabulary_of
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


SPACE = "▁"
LEGACY = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])


def pieces(
    merges: Sequence[tuple[str, str]] = (),
    *,
    tokens: Sequence[str] = (),
    bytes_: int = 256,
    added: Sequence[AddedToken] = (),
    **parts: Any,
) -> Any:
    """Return a tokenizer of the letters a, b and c and of what ``merges`` make."""
    joined = ["".join(pair) for pair in merges]
    by_byte = [f"<0x{byte:02X}>" for byte in range(bytes_)]
    names = dict.fromkeys(["<unk>", "<s>", "</s>", *by_byte, "a", "b", "c", SPACE])
    names |= dict.fromkeys([*joined, *tokens])
    vocabulary = {name: index for index, name in enumerate(names)}
    model = models.BPE(vocabulary, list(merges), byte_fallback=True, unk_token="<unk>")
    bare = Tokenizer(model)
    for name, value in (parts or {"normalizer": LEGACY}).items():
        setattr(bare, name, value)
    bare.add_special_tokens(["<unk>", "<s>", "</s>"])
    bare.add_tokens(list(added))
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=bare, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def with_token(**properties: bool) -> Any:
    tokenizer = byte_level(normalizer=normalizers.NFC())
    normalized = properties.pop("normalized", False)
    tokenizer.backend_tokenizer.add_tokens([AddedToken("cat", normalized=normalized, **properties)])
    return tokenizer


def with_template(single: str) -> Any:
    tokenizer = byte_level()
    tokenizer.add_special_tokens({"bos_token": "<beg>", "additional_special_tokens": ["<x>"]})
    ids = [(name, tokenizer.convert_tokens_to_ids(name)) for name in ("<beg>", "<x>", "<end>")]
    made = processors.TemplateProcessing(single=single, special_tokens=ids)
    tokenizer.backend_tokenizer.post_processor = made
    return tokenizer


def metaspace(scheme: str, *, split: bool = False) -> Any:
    made: Any = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    return pieces([(SPACE, "a")], pre_tokenizer=made)


def bpe(**changes: Any) -> Any:
    return byte_level(model=models.BPE({**ALPHABET, "th": 256}, [("t", "h")], **changes))


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
    "words before merges": lambda: bpe(ignore_merges=True),
    "chance": lambda: bpe(dropout=0.5),
    "no merges": lambda: byte_level(model=models.BPE(dict(ALPHABET), [])),
    "letters missing": lambda: byte_level(
        model=models.BPE({"t": 0, "h": 1, "th": 2}, [("t", "h")])
    ),
    "ends of words": lambda: byte_level(
        model=models.BPE({**ALPHABET, "t$": 256}, [], end_of_word_suffix="$")
    ),
    "insides of words": lambda: byte_level(
        model=models.BPE({**ALPHABET, "##t": 256}, [], continuing_subword_prefix="##")
    ),
    "spaces before a token": lambda: with_token(lstrip=True),
    "spaces after a token": lambda: with_token(rstrip=True),
    "a token that is a word": lambda: with_token(single_word=True),
    "a token in normal form": lambda: with_token(normalized=True),
    "two in front": lambda: with_template("<beg> <x> $A"),
    "another behind": lambda: with_template("$A <x>"),
    "pieces, a space in front": lambda: metaspace("always"),
    "pieces, a space at first": lambda: metaspace("first"),
    "pieces, words": lambda: metaspace("never", split=True),
    "pieces, bytes missing": lambda: pieces(bytes_=128),
    "pieces, no pair": lambda: pieces(tokens=["ab"]),
    "pieces, one pair of two": lambda: pieces([("b", "c"), ("a", "b"), ("ab", "c")]),
    "pieces, a letter alone": lambda: pieces(tokens=["aé"]),
    "pieces, pairs mixed": lambda: pieces(
        [("b", "c"), ("a", "b"), ("ab", "c"), ("a", "a"), ("a", "bc")]
    ),
    "pieces, a token in normal form": lambda: pieces(added=[AddedToken("<t>", normalized=True)]),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_what_llama_cpp_would_split_otherwise_is_refused(make: Any) -> None:
    with pytest.raises(InvalidInput, match=r"tokenizer\.json") as caught:
        vocabulary_of(make(), 300)
    assert "--format merged" in caught.value.hint


WHOLE = {
    "in front": lambda: pieces([("b", "c"), ("a", "b"), ("ab", "c"), ("a", "bc")]),
    "as it is": lambda: metaspace("never"),
    "runs": lambda: pieces(
        [
            (SPACE, SPACE),
            (SPACE * 2, SPACE * 2),
            (SPACE, SPACE * 2),
            (SPACE * 2, SPACE),
            (SPACE * 3, SPACE),
            (SPACE, SPACE * 3),
        ]
    ),
}


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_pieces_that_both_join_alike_are_taken(make: Any) -> None:
    assert vocabulary_of(make(), 300).kind == PIECES


@pytest.mark.parametrize(
    ("single", "has_bos", "has_eos"),
    [("$A", False, False), ("<beg> $A", True, False), ("<beg> $A <end>", True, True)],
)
def test_first_and_last_tokens_are_told(single: str, has_bos: bool, has_eos: bool) -> None:
    around = vocabulary_of(with_template(single), 300).around
    assert (around.has_bos, around.has_eos) == (has_bos, has_eos)


def test_no_end_token_would_be_another_in_llama_cpp() -> None:
    tokenizer = byte_level()
    tokenizer.eos_token = None
    with pytest.raises(InvalidInput, match="eos_token"):
        vocabulary_of(tokenizer, 260)
