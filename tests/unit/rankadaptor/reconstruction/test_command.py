"""``reconstruct``: said before it starts, shown when it is done."""

import json
from pathlib import Path
from typing import Any

import pytest

from pruning.container import load
from pruning.container.container import write
from pruning.methods.change import Cut, apply
from pruning.methods.surgery import whole_groups
from rankadaptor.exit_codes import ExitCode
from tests.unit.rankadaptor.test_cli import run

SHORT = ("--samples", "8", "--length", "8")


@pytest.fixture
def pruned(model_directory: Path, tmp_path: Path) -> Path:
    loaded = load(model_directory)
    kept = whole_groups(loaded.structure.blocks[1], (0,), range(24))
    apply(loaded.model, Cut({1: kept}))
    write(loaded.model, loaded.tokenizer, tmp_path / "pruned", provenance={})
    return tmp_path / "pruned"


def test_a_model_is_reconstructed_and_told_of(
    pruned: Path,
    model_directory: Path,
    text_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    target = pruned.with_name("target")
    given = ("reconstruct", str(pruned), str(target), "--dense", str(model_directory))
    assert run(monkeypatch, *given, "--text", str(text_file), *SHORT) == ExitCode.OK
    said = capsys.readouterr()
    before = " ".join(said.err.split())
    assert before.startswith("memory: 0 MiB of weights, about 0 MiB to fit them, 0 MiB of temp")
    changed = json.loads((target / "pruned.json").read_text())["provenance"]["matrices"]
    count = sum(one["penalty"] is not None for one in changed.values())
    assert 0 < count < 6
    assert f"{count} of 6 matrices changed" in before
    assert said.out.count("unchanged") == 6 - count
    assert load(target).description.parameters == load(pruned).description.parameters
