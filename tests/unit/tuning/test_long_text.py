"""A long text comes to the same tokens, piece by piece, as in one go."""

import random
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tuning import long_text
from tuning.long_text import tokens_of

pytestmark = pytest.mark.slow

PIECE, OVERLAP = 8000, 2048
SAMPLES = {
    "prose": "",
    "words": "the cat sat on a mat, and then the dog ran under 27 trees. ",
    "lines": "one\n\n\ttwo  three\r\n  four\n",
    "umlauts": "Größe naïve cafe\u0301 señor Łódź ",
    "scripts": "你好，世界。日本語のテキスト 한국어 ไทย हिन्दी مرحبا ",
    "emoji": "\U0001f469\u200d\U0001f52c \U0001f600!",
    "spaces": "a" + " " * 50,
    "one long word": "abcab",
    "control tokens": "old</s> and <s>new ",
}


def byte_level(text: str) -> Any:
    """As GPT-2, Llama 3 and Qwen split: words first, then bytes."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"]
    )
    return _fast(bare, trainer, text)


def sentence_piece(text: str) -> Any:
    """As Llama 2 does: the text is one word, a space in front, and spaces are letters."""
    bare = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    bare.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    special = ["<unk>", "<s>", "</s>", *pieces]
    trainer = trainers.BpeTrainer(vocab_size=len(special) + 90, special_tokens=special)
    return _fast(bare, trainer, text[:5000])


def _fast(bare: Tokenizer, trainer: Any, text: str) -> Any:
    bare.train_from_iterator([text[i : i + 200] for i in range(0, len(text), 200)], trainer)
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=bare, bos_token="<s>", eos_token="</s>")


def sample(name: str) -> str:
    chooser = random.Random(name)
    if name == "prose":
        return "".join(chooser.choice("aeiou bcdfghklmnprst ,.\n") for _ in range(40_000))
    words = [SAMPLES[name], SAMPLES[name][: len(SAMPLES[name]) // 2], SAMPLES["words"]]
    return "".join(chooser.choice(words) for _ in range(1500))


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("make", [byte_level, sentence_piece])
def test_pieces_come_to_what_the_whole_does(make: Any, name: str) -> None:
    text = sample(name)
    tokenizer = make(text)
    whole = tokens_of(tokenizer, text, len(text))
    assert len(text) > 3 * PIECE
    assert np.array_equal(tokens_of(tokenizer, text, PIECE, OVERLAP), whole)
    assert tokenizer.eos_token_id not in whole
    joined = long_text._joined(long_text._pieces(tokenizer, text, PIECE, OVERLAP))
    # Of a text that repeats itself, without words, whole sentences become a token: no long run.
    assert joined is not None or (make is sentence_piece and name != "prose")


class Noted:
    """A tokenizer, and how long the texts were that it was given."""

    def __init__(self, tokenizer: Any) -> None:
        self.backend_tokenizer = tokenizer.backend_tokenizer
        self.lengths = list[int]()
        self._tokenizer = tokenizer

    def __call__(self, given: str, **options: Any) -> Any:
        self.lengths.append(len(given))
        return self._tokenizer(given, **options)


def without_unknown(text: str) -> Any:
    """Drops the characters it has not seen, and their places with them."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.Metaspace()
    return _fast(bare, trainers.BpeTrainer(vocab_size=90, special_tokens=["<s>", "</s>"]), text)


def unigram(text: str) -> Any:
    """As T5 does: weighs all ways to divide what stands between two spaces."""
    bare = Tokenizer(models.Unigram())
    bare.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    return _fast(
        bare,
        trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token="<unk>"),
        text,
    )


def byte_level_of_some(text: str) -> Any:
    """Of bytes, but not of all of them."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return _fast(bare, trainers.BpeTrainer(vocab_size=90, special_tokens=["<s>", "</s>"]), text)


@pytest.mark.parametrize("make", [without_unknown, unigram, byte_level_of_some])
def test_where_characters_may_be_dropped_or_stretches_weighed_the_whole_is_tokenised(
    make: Any,
) -> None:
    chooser = random.Random(1)
    tokenizer = make("".join(chooser.choice("abcdef gh") for _ in range(5_000)))
    for _ in range(8):
        letters = "abcdef gh\n\u00e4\u4e2d"
        text = "".join(chooser.choice(letters) for _ in range(20_000))
        noted = Noted(tokenizer)
        whole = tokens_of(tokenizer, text, len(text))
        assert np.array_equal(tokens_of(noted, text, 5_000, OVERLAP), whole)
        assert noted.lengths == [len(text)]


@pytest.mark.parametrize("make", [byte_level, sentence_piece])
def test_tokenizers_of_large_models_are_divided(make: Any) -> None:
    """Llama 3 and Qwen also have their digits divided first."""
    tokenizer = make(sample("words"))
    assert long_text._may_be_divided(tokenizer)
    bare = tokenizer.backend_tokenizer
    if bare.pre_tokenizer is not None:
        bare.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(), bare.pre_tokenizer])
        assert long_text._may_be_divided(tokenizer)


def test_pieces_are_what_is_tokenised(tokenizer: Any) -> None:
    text, noted = sample("words"), Noted(tokenizer)
    whole = tokens_of(tokenizer, text, len(text))
    assert np.array_equal(tokens_of(noted, text, PIECE, OVERLAP), whole)
    assert max(noted.lengths) == PIECE
    assert sum(noted.lengths) > len(text)


def test_where_pieces_never_agree_the_whole_is_tokenised(tokenizer: Any) -> None:
    """A tokenizer that hangs on the place in the text makes other tokens of every piece."""

    class Counting:
        backend_tokenizer = tokenizer.backend_tokenizer

        def __call__(self, given: str, **options: Any) -> Any:
            made = tokenizer(given, **options)
            return {**made, "input_ids": [at % 7 for at in range(len(given))]}

    text = sample("words")
    found = tokens_of(Counting(), text, 500, 150)
    assert found.tolist() == [at % 7 for at in range(len(text))]


def test_a_seam_is_within_a_long_run() -> None:
    assert long_text.AGREEING < OVERLAP
    assert 4 * long_text.AGREEING < long_text.OVERLAP < long_text.PIECE
