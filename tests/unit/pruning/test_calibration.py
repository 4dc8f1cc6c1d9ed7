import copy
import gzip
import json
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
    [(b"short", "windows of 64 tokens"), (b"\xff\xfe" * 999, "is UTF-16")],
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


def test_of_json_lines_the_texts_are_read(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the limit cuts the last line; what stands around the texts is not looked at."""
    path = tmp_path / "c4.jsonl"
    rows = [{"text": f"once {i} upon", "url": "https://example.org"} for i in range(40)]
    path.write_text("\ufeff" + "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (whole,) = draw_windows(CalibrationText(path, 1, 500), tokenizer)
    assert "once 0 upon\n\nonce 1 upon" in str(tokenizer.decode(whole))
    monkeypatch.setattr(calibration_text, "READ_BYTES", 200)
    (part,) = draw_windows(CalibrationText(path, 1, 36), tokenizer)
    assert tokenizer.decode(part) == "once 0 upon\n\nonce 1 upon\n\nonce 2 upo"


def test_what_gzip_packed_is_read_as_far_as_the_limit(
    tmp_path: Path, text: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "text.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    for limit in (calibration_text.READ_BYTES, 1000):
        monkeypatch.setattr(calibration_text, "READ_BYTES", limit)
        found = [draw_windows(CalibrationText(one, 5, 16), tokenizer) for one in (text, packed)]
        assert torch.equal(*found)


def test_control_tokens_that_a_text_spells_are_text(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    closing = copy.deepcopy(tokenizer)
    closing.add_special_tokens({"eos_token": "</s>"})
    path = tmp_path / "text"
    path.write_text("<s>old</s> " * 20)
    (window,) = draw_windows(CalibrationText(path, 1, 200), closing)
    assert closing.decode(window) == path.read_text()[:200]
    assert closing.eos_token_id not in window
