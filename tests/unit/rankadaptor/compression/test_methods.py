"""``compress METHOD``: said before it starts, shown when it is done."""

from pathlib import Path
from typing import Any

import pytest

from pruning.container import load
from pruning.methods.about import ABOUT
from rankadaptor import cli
from rankadaptor.compression.view import removed_share
from rankspace.pruned_model import Matrix, PrunedModel
from tests.unit.rankadaptor.test_cli import run, runner

LENGTH = ("--length", "8")


def test_the_help_says_what_each_method_does() -> None:
    said = " ".join(runner.invoke(cli.app, ["compress", "flap", "--help"]).output.split())
    bare = said.replace("│ │", "")
    for name, about in ABOUT.items():
        assert f"{name}: {about.split()[0]}" in " ".join(bare.split())


def test_memory_is_said_before_the_start_and_a_dropped_block_is_shown_gone(
    model_directory: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    target = tmp_path / "c"
    given = ("compress", "depth-perplexity", str(model_directory), str(target))
    asked = ("--text", str(text_file), *LENGTH, "--blocks", "0-2", "--ratio", "0.3")
    assert run(monkeypatch, *given, *asked) == 0
    said = capsys.readouterr()
    before = " ".join(said.err.split())
    assert before.startswith("memory: 0 MiB of weights, about 0 MiB to look at them")
    assert "removed 33.33% of blocks 0, 1, 2, where 0.3 was asked for" in before
    assert said.out.count("gone") == 2
    assert len(load(target).structure.blocks) == 2


def test_flap_gives_the_output_matrices_their_biases(
    model_directory: Path, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "c"
    given = ("compress", "flap", str(model_directory), str(target), "--text", str(text_file))
    assert run(monkeypatch, *given, *LENGTH) == 0
    block = load(target).structure.blocks[1]
    assert block.biases == ("o_proj", "down_proj")


def test_the_share_is_of_the_blocks_that_were_to_lose_it() -> None:
    def model(*sizes: int) -> PrunedModel:
        matrices = tuple(
            Matrix(f"m{index}", index, "q_proj", size, 10) for index, size in enumerate(sizes)
        )
        return PrunedModel("p", "f", "LlamaForCausalLM", 10 * sum(sizes), matrices)

    assert removed_share(model(40, 60, 100), model(40, 30, 100), (1,)) == pytest.approx(0.5)
    assert removed_share(model(40, 60, 100), model(40, 100), (1, 2)) == pytest.approx(0.375)
