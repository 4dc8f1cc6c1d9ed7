from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from pruning.profiling import calibration_text
from pruning.profiling.calibration_text import CalibrationText, draw_windows, hash_windows
from rankspace.errors import InvalidInput


def test_the_same_seed_draws_the_same_windows(
    text: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    first, again, other = (
        draw_windows(CalibrationText(text, 5, 16, seed), tokenizer) for seed in (1, 1, 2)
    )
    assert first.shape == (5, 16)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert hash_windows(first) == hash_windows(again) != hash_windows(other)


def test_windows_are_pieces_of_the_text_and_do_not_overlap(
    text: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    windows = draw_windows(CalibrationText(text, 20, 32), tokenizer)
    places = [text.read_text().index(str(tokenizer.decode(window))) for window in windows]
    assert len({place // 32 for place in places}) == 20
    assert all(place % 32 == 0 for place in places)


def test_a_character_cut_at_the_limit_is_left_out(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration_text, "READ_BYTES", 9)
    path = tmp_path / "umlauts.txt"
    path.write_text("äöüß" * 4, encoding="utf-8")
    assert draw_windows(CalibrationText(path, 1, 8), tokenizer).shape == (1, 8)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"short", "windows of 64 tokens"), (b"\xff\xfe" * 999, "cannot be read")],
)
def test_an_unusable_text_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, content: bytes, problem: str
) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=problem):
        draw_windows(CalibrationText(path), tokenizer)


def test_a_missing_text_is_refused(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        draw_windows(CalibrationText(tmp_path / "none"), tokenizer)


@pytest.mark.parametrize(("samples", "length"), [(0, 64), (1, 1)])
def test_too_few_tokens_are_refused(samples: int, length: int) -> None:
    with pytest.raises(InvalidInput):
        CalibrationText(Path("x"), samples, length)
