"""The demo in small: the same code, processes and checks, too little training to find much."""

import json
from pathlib import Path

import pytest

from rankadaptor.demo.base_model import Size
from rankadaptor.demo.corpus import Corpus, standard_library
from rankadaptor.demo.plan import DemoPlan
from rankadaptor.demo.run import RELOAD_TOLERANCE, run_demo

pytestmark = [pytest.mark.integration, pytest.mark.soak]

TINY = Size(hidden=32, ffn=64, blocks=3, heads=4, kv_heads=2, batch=8, steps=20)
SMALL = DemoPlan(
    size=TINY,
    pruned_blocks=(0, 1),
    trials=6,
    trial_steps=2,
    recover_steps=4,
    workers=1,
    held_out=64,
)
KEYS = {
    "verdict",
    "gain",
    "ci_low",
    "ci_high",
    "seeds",
    "uniform_score",
    "best_rank_vector",
    "best_parameters",
    "uniform_parameters",
    "trials",
    "adapter_dir",
    "recipe",
    "dense_loss",
}


def _little_text() -> Corpus:
    """The beginnings of both texts: to encode all of them takes longer than the trials."""
    whole = standard_library()
    return Corpus(whole.pretraining[:200_000], whole.recovery[:200_000])


def test_the_demo_ends_with_a_verdict_and_an_adapter_that_reproduces_its_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("rankadaptor.demo.run.standard_library", _little_text)
    run_demo(tmp_path / "out", SMALL)
    found = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert set(found) >= KEYS
    assert found["verdict"] in {"better", "no difference shown", "worse"}
    assert found["ci_low"] <= found["gain"] <= found["ci_high"]
    assert found["best_parameters"] <= found["uniform_parameters"]
    assert found["trials"] == SMALL.trials
    assert abs(found["reloaded_loss"] - found["recovered_loss"]) <= RELOAD_TOLERANCE
    if found["best_rank_vector"] != found["uniform_rank_vector"]:
        assert [len(found["recipe"]["pairs"]), found["recipe"]["comparison"]["seeds"]] == [3, 3]
        assert found["recipe"]["pruned_score"] < -1.0
    adapter = Path(found["adapter_dir"])
    assert "Of the trials" in (adapter / "VERDICT.md").read_text()
    assert {file.name for file in adapter.iterdir()} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
