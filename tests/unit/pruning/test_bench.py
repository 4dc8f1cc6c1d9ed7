"""``bench.pruners`` on a tiny model: every way to prune, scored on text nobody calibrated on."""

import json
import sys
from pathlib import Path

import pytest
import torch

from bench import pruners
from pruning.container import container
from pruning.profiling.gradients import next_token_loss


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["pruners", *map(str, arguments)])
    pruners.main()


@pytest.fixture
def long_text(tmp_path: Path) -> Path:
    path = tmp_path / "long.txt"
    path.write_text("".join(f"{i} times {i} is {i * i}.\n" for i in range(4000)), encoding="utf-8")
    return path


@pytest.mark.slow
def test_every_pruner_at_every_setting_is_in_the_last_line(
    plain: Path,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pruners, "WINDOWS", 20)
    run(monkeypatch, plain, text, "--blocks", "1-2", "--json", tmp_path / "out.json")
    last = capsys.readouterr().out.strip().splitlines()[-1]
    figures = {name: float(value) for name, value in (pair.split("=") for pair in last.split())}
    settings = [f"@{ratio}:{ranking}" for ratio in (25, 50) for ranking in ("local", "global")]
    assert set(figures) == {"dense", *(f"{name}{at}" for name in pruners.SCORED for at in settings)}
    assert all(5.0 < value < 6.5 for value in figures.values())  # untrained: near ln 260
    assert json.loads((tmp_path / "out.json").read_text())["figures"] == figures


def test_no_window_is_calibrated_on_and_scored(long_text: Path, tmp_path: Path) -> None:
    calibration, held_out = pruners.halves(long_text, tmp_path)
    whole = long_text.read_text()
    assert calibration.text.read_text() + held_out.text.read_text() == whole
    assert calibration.text.stat().st_size == pytest.approx(len(whole) / 2, abs=4)


def test_a_text_that_is_too_short_is_refused(
    plain: Path, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, plain, text)
    assert "give a longer text" in capsys.readouterr().err


def test_the_loss_is_the_mean_over_all_windows(plain: Path) -> None:
    model = container.load(plain).model
    windows = torch.arange(230 * 8).view(230, 8) % 256
    with torch.no_grad():
        expected = float(next_token_loss(model, windows))
    assert pruners.loss(model, windows) == pytest.approx(expected, rel=1e-6)
