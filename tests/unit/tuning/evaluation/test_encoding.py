from typing import Any

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from rankspace.errors import InvalidInput
from tuning.evaluation.document import answered
from tuning.evaluation.encoding import encode_pair, encode_task
from tuning.evaluation.task import Task
from tuning.evaluation.task_format import FORMATS


@pytest.fixture
def merging() -> Any:
    """Letters and a space, and the tokens ``ab`` and ``c d``, which nothing keeps apart."""
    names = ["a", "b", "c", "d", " ", "ab", "c ", "c d"]
    merges = [("a", "b"), ("c", " "), ("c ", "d")]
    model = models.BPE({name: i for i, name in enumerate(names)}, merges)
    make: Any = PreTrainedTokenizerFast
    return make(tokenizer_object=Tokenizer(model))


def task(*documents: Any) -> Task:
    return Task("t", FORMATS["plain"], documents, len(documents))


def test_where_a_token_joins_both_the_ending_is_the_tail_of_the_whole(merging: Any) -> None:
    """As the harness has it: context read alone, and what goes beyond as many tokens said."""
    assert encode_pair(merging, "c", " dab") == ([2], [5])  # whole: "c d", "ab"
    assert encode_pair(merging, "a", " b") == ([0], [4, 1])  # nothing joins


def test_spaces_at_the_end_of_a_context_are_said(merging: Any) -> None:
    assert encode_pair(merging, "a ", "b") == encode_pair(merging, "a", " b")
    assert encode_pair(merging, "a  ", "b") == ([0], [4, 4, 1])


def test_context_and_ending_are_the_whole_of_real_text(pieces: Any) -> None:
    read, said = encode_pair(pieces, "Once upon a time", " there was")
    assert read + said == pieces.encode("Once upon a time there was", add_special_tokens=False)
    assert pieces.decode(said).strip() == "there was"


def test_an_ending_without_a_token_of_its_own_is_refused(merging: Any) -> None:
    with pytest.raises(InvalidInput, match="without a token of its own") as refused:
        encode_task(merging, task(answered("line 7", "c", ("d", "a"), 0)), 100)
    assert "line 7" in refused.value.field


def test_a_longer_text_loses_its_beginning_and_is_counted(pieces: Any) -> None:
    long = answered("line 1", "One day a dog ran to the big tree", ("and sat", "and"), 0)
    short = answered("line 2", "A dog", ("sat", "ran"), 0)
    whole = encode_task(pieces, task(long, short), None)
    cut = encode_task(pieces, task(long, short), 8)
    assert whole.cut == 0
    assert cut.cut == 2
    for full, kept in zip(whole.examples, cut.examples, strict=True):
        assert len(kept.tokens) <= 9  # the last is only predicted
        assert kept.tokens.tolist() == full.tokens.tolist()[-9:]
        assert kept.targets == full.targets
    with pytest.raises(InvalidInput, match="made for 1"):
        encode_task(pieces, task(long), 1)


def test_a_beginning_is_put_before_every_context_or_none(pieces: Any) -> None:
    asked = task(answered("line 1", "A dog", ("sat", "ran"), 0))
    bare = encode_task(pieces, asked, 100)
    begun = encode_task(pieces, asked, 100, begin=1)
    for without, having in zip(bare.examples, begun.examples, strict=True):
        assert having.tokens.tolist() == [1, *without.tokens.tolist()]
        assert having.targets == without.targets
        assert 1 not in without.tokens
