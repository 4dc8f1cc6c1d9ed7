"""``compress loraprune``: what it trains on, what it spares, what it says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pruning.container import load
from pruning.container.manifest import read_manifest
from pruning.methods.settings import PrunerName
from rankadaptor.compression.usual import all_but_first_tenth_and_last, usual_of
from rankadaptor.compression.view import trained_sentence
from rankadaptor.exit_codes import ExitCode
from tests.unit.rankadaptor.test_cli import run

SHORT = ("--length", "8", "--samples", "16", "--batch", "4", "--epochs", "5")


Prune = Callable[..., int]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "c"


@pytest.fixture
def prune(
    model_directory: Path, text_file: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> Prune:
    """Run the command with a method and options; return its exit code."""
    files = str(model_directory), str(target), "--text", str(text_file)
    return lambda method, *options: run(monkeypatch, "compress", method, *files, *options)


def test_it_trains_spares_the_last_block_and_says_so(
    prune: Prune, target: Path, capsys: Any
) -> None:
    assert prune("loraprune", *SHORT, "--learning-rate", "0.01") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith("memory: ")
    assert "trained for 20 steps, from a loss of " in said
    assert "the adapter is merged removed 50.00% of blocks 0, 1, where 0.5" in said
    assert [(b.kv_heads, b.ffn) for b in load(target).structure.blocks] == [
        (1, 24),
        (1, 24),
        (2, 48),
    ]
    provenance = read_manifest(target / "pruned.json").provenance
    assert provenance["blocks"] == [0, 1]
    assert provenance["training"]["learning_rate"] == 0.01


def test_named_blocks_are_those_that_are_cut(prune: Prune, target: Path) -> None:
    assert prune("loraprune", *SHORT, "--blocks", "2") == 0
    assert [b.ffn for b in load(target).structure.blocks] == [48, 48, 24]


@pytest.mark.parametrize(
    ("method", "options", "field"),
    [
        ("taylor", ("--epochs", "3"), "--epochs"),
        ("taylor", ("--learning-rate", "1e-3"), "--learning-rate"),
        ("loraprune", ("--samples", "10"), "samples"),
        ("loraprune", ("--samples", "0"), "samples"),
        ("loraprune", (*SHORT, "--batch", "0"), "batch"),
        ("loraprune", (*SHORT, "--learning-rate", "-1"), "learning_rate"),
        ("loraprune", (*SHORT, "--ranking", "global"), "ranking"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    prune: Prune, target: Path, method: str, options: tuple[str, ...], field: str, capsys: Any
) -> None:
    assert prune(method, *options) == ExitCode.INVALID_INPUT
    assert f"{field} = " in " ".join(capsys.readouterr().err.split())
    assert not target.exists()


def test_a_training_that_diverges_fails_and_writes_nothing(
    prune: Prune, target: Path, capsys: Any
) -> None:
    assert prune("loraprune", *SHORT, "--learning-rate", "1e38") == ExitCode.FAILURE
    said = " ".join(capsys.readouterr().err.split())
    assert "the training loss is nan at step" in said
    assert "lower --learning-rate" in said
    assert not target.exists()


@pytest.mark.parametrize(
    ("count", "first", "last"), [(1, 0, 0), (2, 0, 0), (5, 0, 3), (32, 3, 30), (40, 4, 38)]
)
def test_the_first_tenth_and_the_last_are_spared(count: int, first: int, last: int) -> None:
    """Of 32 blocks 3 to 30 are pruned, as in the source."""
    found = all_but_first_tenth_and_last(count)
    assert (found[0], found[-1], len(found)) == (first, last, last - first + 1)
    assert usual_of(PrunerName.LORAPRUNE).blocks(count) == found
    assert usual_of(PrunerName.TAYLOR).blocks(32) == tuple(range(4, 30))


def test_steps_that_do_not_count_are_said() -> None:
    account = {"steps": 9, "steps_without_scores": 2, "first_loss": 3.0, "final_loss": 2.5}
    assert trained_sentence(account).endswith("; 2 of the steps had no score that is a number")
