import math
from dataclasses import replace
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
import torch

from rankspace.errors import InvalidInput
from tests.unit.tuning.evaluation.slowly import log_likelihood
from tuning.evaluation.perplexity import (
    Perplexity,
    check_whole,
    check_window,
    measure_perplexity,
    read_tokens,
)
from tuning.evaluation.text_form import TextForm, named_text, read_form

CPU = torch.device("cpu")
STORY = "Once upon a time, there was a little dog. It ran to the big tree and sat down. " * 3


def test_a_perplexity_is_that_of_one_token_at_a_time(model: Any, pieces: Any) -> None:
    stream = read_tokens("story", TextForm.PLAIN, STORY, pieces)
    found = measure_perplexity(model, stream, 16, CPU, batch_tokens=40)
    ids = stream.tokens.tolist()
    parts = [ids[at : at + 16] for at in range(0, len(ids) - 15, 16)]
    losses = [-log_likelihood(model, part[:1], part[1:]) / 15 for part in parts]
    assert len(parts) > 3
    assert found.losses == pytest.approx(losses, abs=1e-4)
    assert found.value == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-4)
    deviation = stdev(losses) / math.sqrt(len(losses))
    assert found.error == pytest.approx(math.exp(sum(losses) / len(losses)) * deviation, rel=1e-3)
    assert found.predicted == 15 * len(parts)
    assert found.tokens == len(ids)
    assert found.dropped == len(ids) - 16 * len(parts) > 0


def test_a_limit_takes_the_first_windows_and_counts_the_others(model: Any, pieces: Any) -> None:
    stream = read_tokens("story", TextForm.PLAIN, STORY, pieces)
    whole = measure_perplexity(model, stream, 16, CPU)
    found = measure_perplexity(model, stream, 16, CPU, limit=2)
    assert found.losses == pytest.approx(whole.losses[:2], abs=1e-5)
    assert found.beyond == len(whole.losses) - 2
    assert whole.beyond == 0


def test_a_text_begins_once_not_in_every_window(pieces: Any) -> None:
    stream = read_tokens("story", TextForm.PLAIN, STORY, pieces)
    assert stream.special == 1
    assert stream.tokens[0] == pieces.bos_token_id
    assert pieces.bos_token_id not in stream.tokens[1:]


def test_spelled_control_tokens_are_counted(pieces: Any) -> None:
    assert read_tokens("t", TextForm.PLAIN, "a <s> b </s> c <s>", pieces).control == 3
    assert read_tokens("t", TextForm.PLAIN, STORY, pieces).control == 0


def test_what_has_no_whole_window_is_refused_or_measured_as_nothing(
    model: Any, pieces: Any
) -> None:
    stream = read_tokens("story", TextForm.PLAIN, "A dog.", pieces)
    with pytest.raises(InvalidInput, match="no whole window of 128"):
        check_whole(stream, 128)
    found = measure_perplexity(model, stream, 128, CPU)
    assert (found.value, found.error, found.dropped) == (None, None, len(stream.tokens))
    with pytest.raises(InvalidInput, match="--window"):
        check_window(1)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (TextForm.PLAIN, " \n = A = \n \n b c \n"),
        (TextForm.WIKITEXT2, "\n\n = A = \n\n\n\n\n b c \n"),
        (TextForm.PTB, "\n\n= A =\n\n\n\nb c"),
    ],
)
def test_lines_are_joined_as_the_loader_of_the_data_set_has_them(
    form: TextForm, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "lines.txt"
    path.write_text(" \n = A = \n \n b c \n", encoding="utf-8")
    assert read_form(form, path) == text


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("a\u2028b\x85c\x0bd\x0ce\x1cf\ng", encoding="utf-8")
    assert read_form(TextForm.PTB, path) == "a\u2028b\x85c\x0bd\x0ce\x1cf\n\ng"


def test_a_loss_beyond_any_perplexity_is_still_a_loss(pieces: Any) -> None:
    stream = read_tokens("t", TextForm.PLAIN, STORY, pieces)
    one = Perplexity(
        "t", TextForm.PLAIN, 16, len(stream.tokens), 0, 0, 1, 0, "", losses=(700.0, 4000.0)
    )
    assert (one.value, one.error, one.mean_loss) == (None, None, 2350.0)
    wide = replace(one, losses=(1.0, 1418.0))  # a value that is a number, and its error is none
    assert wide.value is not None
    assert wide.error is None


def test_only_a_known_kind_before_the_sign_is_one() -> None:
    assert named_text("ptb=a=b.txt") == (TextForm.PTB, Path("a=b.txt"))
    assert named_text("a=b.txt") == (TextForm.PLAIN, Path("a=b.txt"))
    assert named_text("b.txt") == (TextForm.PLAIN, Path("b.txt"))


def test_rows_of_json_are_no_lines_of_a_data_set(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n{"text": "b"}\n', encoding="utf-8")
    assert read_form(TextForm.PLAIN, path) == "a\n\nb"
    with pytest.raises(InvalidInput, match="rows of JSON"):
        read_form(TextForm.PTB, path)
