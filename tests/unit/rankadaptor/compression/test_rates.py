"""``compress --rates``: what is asked for, what comes of it, and where that is written."""

import json
from pathlib import Path
from typing import Any

import pytest

from pruning.container import load
from pruning.container.manifest import read_manifest
from rankadaptor.exit_codes import ExitCode
from tests.unit.rankadaptor.test_cli import run

LENGTH = ("--length", "8")


def compressed(
    monkeypatch: pytest.MonkeyPatch, model: Path, target: Path, text: Path, *options: str
) -> int:
    given = ("compress", "magnitude", str(model), str(target), "--text", str(text), *LENGTH)
    return run(monkeypatch, *given, *options)


def widths(target: Path) -> list[tuple[int, int]]:
    """Key/value heads and channels of each block; the model has 2 and 48."""
    return [(block.kv_heads, block.ffn) for block in load(target).structure.blocks]


def by_block(target: Path) -> Any:
    return read_manifest(target / "pruned.json").provenance["rates"]


def test_a_file_says_what_each_block_loses(
    model_directory: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    target, rates = tmp_path / "c", tmp_path / "rates.yaml"
    rates.write_text("0: 0\n2: 0.5\n")
    assert compressed(monkeypatch, model_directory, target, text_file, "--rates", str(rates)) == 0
    assert widths(target) == [(2, 48), (2, 48), (1, 24)]
    assert by_block(target) == {"rule": "given", "by_block": {"0": 0.0, "2": 0.5}}
    assert read_manifest(target / "pruned.json").provenance["ratio"] == 0.25
    said = " ".join(capsys.readouterr().err.split())
    assert "removed 25.00% of blocks 0, 2, where 0.25 was asked for by given" in said
    assert "keep all" not in said
    card = (target / "README.md").read_text()
    assert "magnitude: 25% of heads and channels of blocks 0, 2, by given: 0%, 50%" in card


@pytest.mark.parametrize(
    "rule", ["atp:0.1", "depth-linear:0.3", "alpha-pruning", "rmi:0.1", "cfsp"]
)
def test_a_rule_keeps_the_ratio_but_for_whole_heads_and_channels(
    rule: str,
    model_directory: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "c"
    options = ("--rates", rule, "--ratio", "0.4", "--blocks", "0-2")
    assert compressed(monkeypatch, model_directory, target, text_file, *options) == 0
    written = by_block(target)
    rates = {int(index): rate for index, rate in written["by_block"].items()}
    assert written["rule"].startswith(rule)
    assert sum(rates.values()) / 3 == pytest.approx(0.4)
    assert len(set(rates.values())) == 3
    for index, (heads, channels) in enumerate(widths(target)):
        assert abs(heads - 2 * (1 - rates[index])) <= 0.5 + 1e-9
        assert abs(channels - 48 * (1 - rates[index])) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("0: 0.5\n7: 0.5\n", (), "rates.7 = 0.5: belongs to no block of the model"),
        ("0: 0.5\n", ("--blocks", "0,1"), "rates.1 = None: is missing"),
        ("0: 0.5\n1: 0.5\n", ("--blocks", "0"), "rates.1 = 0.5: belongs to no block that is to"),
        (
            "0: 0.5\n",
            ("--ratio", "0.3"),
            "ratio = 0.3: is not what the rates come to, which is 0.5",
        ),
        ("0: 1.5\n", (), "rates.0 = 1.5: is no share of a block"),
        ("0: 0.5\n0: 0.4\n", (), "the key 0 is written twice"),
        ("0: 0.5\n", ("--ranking", "global"), "ranking = 'global'"),
    ],
)
def test_a_file_is_refused_by_its_field_and_nothing_is_written(  # noqa: PLR0917 - fixtures
    content: str,
    options: tuple[str, ...],
    said: str,
    model_directory: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    target, rates = tmp_path / "c", tmp_path / "rates.json"
    rates.write_text(content)
    given = ("--rates", str(rates), *options)
    ended = compressed(monkeypatch, model_directory, target, text_file, *given)
    assert ended == ExitCode.INVALID_INPUT
    assert said in " ".join(capsys.readouterr().err.split())
    assert not target.exists()


def test_a_block_whose_own_rate_rounds_to_no_head_is_told_by_that_rate(
    model_directory: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    """Two heads, a tenth of which is none: the overall ratio of 0.5 would have removed one."""
    target, rates = tmp_path / "c", tmp_path / "rates.yaml"
    rates.write_text("0: 0.1\n2: 0.9\n")
    assert compressed(monkeypatch, model_directory, target, text_file, "--rates", str(rates)) == 0
    said = " ".join(capsys.readouterr().err.split())
    told = "blocks 0 keep all key/value heads: only a rate above 0.25 removes some"
    assert f"at rates of their own {told}" in said


@pytest.mark.parametrize(("rate", "problem"), [("0", "cut nothing"), ("1", "leave nothing")])
def test_rates_that_are_all_0_or_all_1_are_refused_as_rates(  # noqa: PLR0917 - fixtures
    rate: str,
    problem: str,
    model_directory: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    target, rates = tmp_path / "c", tmp_path / "rates.yaml"
    rates.write_text(f"0: {rate}\n2: {rate}\n")
    given = ("--rates", str(rates))
    ended = compressed(monkeypatch, model_directory, target, text_file, *given)
    assert ended == ExitCode.INVALID_INPUT
    assert f"rates = {{0: {rate}.0, 2: {rate}.0}}: {problem}" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not target.exists()


def test_json_is_read_as_well_and_no_file_is_said_to_be_none(
    model_directory: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    target, rates = tmp_path / "c", tmp_path / "rates.json"
    rates.write_text(json.dumps({"0": 5e-05, "1": 0.5}))  # YAML takes the former for a text
    assert compressed(monkeypatch, model_directory, target, text_file, "--rates", str(rates)) == 0
    assert widths(target)[1] == (1, 24)
    ended = compressed(monkeypatch, model_directory, target, text_file, "--rates", "atb:0.1")
    assert ended == ExitCode.INVALID_INPUT
    assert "use one of uniform, atp," in " ".join(capsys.readouterr().err.split())
