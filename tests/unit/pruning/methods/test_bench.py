"""``bench.methods`` on a tiny model: every arm at both ratios, and what is said of an ordering."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import pruners
from bench.methods import __main__ as command
from bench.methods.arms import ARMS, ORDERINGS, Arm
from bench.methods.measuring import RATIOS, Found
from bench.methods.tables import difference, verdict
from pruning.methods.settings import PrunerName

BATCH = 4
"""Windows a step of the arms that train; 16 in earnest."""


def test_every_method_is_an_arm_and_orderings_are_of_arms() -> None:
    assert set(PrunerName) <= set(ARMS)
    assert {name for pair in ORDERINGS for name in pair[:2]} <= set(ARMS)


def _small(arm: Arm) -> Arm:
    """The same with as many steps, each on a quarter of the windows."""
    return replace(arm, training=replace(arm.training, batch=BATCH)) if arm.training else arm


@pytest.mark.slow
def test_every_arm_is_measured_at_every_ratio(
    plain: Path,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out.json"
    monkeypatch.setattr(command, "SAMPLES", 6)
    monkeypatch.setattr(command, "LENGTH", 24)
    monkeypatch.setattr(command, "ARMS", {name: _small(arm) for name, arm in ARMS.items()})
    monkeypatch.setattr(command, "TRAINED_QUICKLY", 10 * BATCH)
    monkeypatch.setattr(pruners, "WINDOW_LENGTH", 32)
    monkeypatch.setattr(
        sys, "argv", ["methods", str(plain), str(text), "--quick", "--json", str(out)]
    )
    command.main()
    last = capsys.readouterr().out.strip().splitlines()[-1]
    named = {pair.split("=")[0] for pair in last.split()}
    assert named == {"dense", *(f"{arm}@{100 * ratio:.0f}" for arm in ARMS for ratio in RATIOS)}
    arms = json.loads(out.read_text())["arms"]
    for name, found in arms.items():
        assert all(5.0 < loss < 6.5 for losses in found["losses"].values() for loss in losses)
        assert found["kept"]["50"] < found["kept"]["20"] < 1.0, name
    assert arms["flap-no-bias"]["kept"]["20"] < arms["flap"]["kept"]["20"]


def test_an_ordering_holds_only_where_the_interval_says_so() -> None:
    def found(*losses: float) -> Found:
        return Found({"20": losses}, {}, 0.0, 0, 0)

    arms = {"a": found(1.0, 1.1, 1.2), "b": found(1.5, 1.6, 1.71), "c": found(0.2, 3.0, 0.9)}
    said = [
        verdict(difference(arms, *pair, "20")).split()[-1]
        for pair in (("a", "b"), ("b", "a"), ("a", "c"))
    ]
    assert said == ["holds", "hold", "open"]
