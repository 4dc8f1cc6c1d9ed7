"""The doctor says what fits without reading a weight, and refuses with the numbers."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankadaptor.doctor.memory_size import parse_size
from rankadaptor.exit_codes import ExitCode
from rankspace.errors import InvalidInput
from tests.unit.rankadaptor.test_cli import run
from tuning.memory_plan.device_memory import RESERVED

MIB = 2**20


@pytest.fixture
def study(tmp_path: Path, text_file: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(
        f"name: x\nmodel: {tmp_path}\nrecipe:\n  data: {{train: {text_file}, format: text}}\n"
        "  sequence_length: 129\n  batch: {examples: 64, micro: 64}\n"
        "  modules: [q_proj, down_proj]\n"
        "search: {ranks: [0, 2, 4], budget: {parameters: uniform:2}}\n"
    )
    return path


@pytest.fixture
def large(model_directory: Path, tmp_path: Path) -> Path:
    """The tiny model as if it was made for longer texts, its weights damaged."""
    copy = tmp_path / "model"
    copy.mkdir()
    for file in model_directory.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 4096}))
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-4000:] = b"\xff" * 4000
    (copy / "model.safetensors").write_bytes(weights)
    return copy


def asked(monkeypatch: pytest.MonkeyPatch, capsys: Any, *options: str) -> tuple[int, Any, str]:
    code = run(monkeypatch, "doctor", *options, "--json")
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else None, said.err


def test_the_plan_is_that_of_the_study_and_needs_no_weight(
    large: Path, study: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The weights are no numbers, which loading would refuse."""
    options = (str(large), "--recipe", str(study), "--device", "cpu")
    code, found, _ = asked(monkeypatch, capsys, *options)
    assert code == ExitCode.OK
    assert (found["asked"], found["micro"], found["sequence_length"]) == (64, 64, 129)
    assert found["dtype"] == "float32"
    assert found["trainable"] == 2 * 3 * ((32 + 32) + (48 + 32))
    assert found["use"]["weights"] == 4 * found["parameters"]
    assert found["use"]["adapters"] == 16 * found["trainable"]
    assert found["use"]["logits"] == 64 * 128 * (258 * 8 + 32 * 4)
    assert found["device"]["total"] > 2**28


def test_a_smaller_device_gets_a_smaller_micro_batch_in_its_type(
    large: Path, study: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    size = f"{RESERVED / MIB + 60:g}MiB"
    options = (str(large), "--recipe", str(study), "--memory", size)
    code, found, _ = asked(monkeypatch, capsys, *options)
    assert code == ExitCode.OK
    assert found["dtype"] == "bfloat16"
    assert 1 < found["micro"] < 64
    assert sum(found["use"].values()) <= 0.9 * found["device"]["free"]


def test_what_does_not_fit_is_refused_with_the_numbers(
    large: Path, study: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    size = f"{RESERVED / MIB + 8.2:g}MiB"
    options = (str(large), "--recipe", str(study), "--memory", size, "--device", "cpu")
    code, found, error = asked(monkeypatch, capsys, *options)
    assert code == ExitCode.INVALID_INPUT
    assert found["micro"] == 0
    assert "weights" in error
    assert "logits" in error


def test_a_person_reads_a_table_and_what_would_be_chosen(
    large: Path, study: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    size = f"{RESERVED / MIB + 60:g}MiB"
    options = (str(large), "--recipe", str(study), "--memory", size)
    assert run(monkeypatch, "doctor", *options) == ExitCode.OK
    said = " ".join(capsys.readouterr().out.split())
    for part in ("weights", "optimiser", "activations", "logits", "held-out loss"):
        assert part in said
    assert "instead of 64: the same results but for rounding" in said


def test_without_a_study_the_defaults_are_planned_for(
    large: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    code, found, _ = asked(monkeypatch, capsys, str(large), "--memory", "24GiB")
    assert code == ExitCode.OK
    assert (found["asked"], found["micro"], found["sequence_length"]) == (32, 32, 256)
    assert run(monkeypatch, "doctor", str(large), "--memory", "24GiB") == ExitCode.OK
    said = " ".join(capsys.readouterr().out.split())
    assert "micro-batch 32, what the device is fast with" in said
    assert "as many as have 8,192 tokens" in said


def test_a_length_the_model_is_not_made_for_is_refused(
    model_directory: Path, study: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    code, _, error = asked(monkeypatch, capsys, str(model_directory), "--recipe", str(study))
    assert code == ExitCode.INVALID_INPUT
    assert "made for 128 tokens" in error


@pytest.mark.parametrize("memory", [(), ("--memory", "24GiB")])
def test_a_device_that_is_none_is_refused_whatever_its_size(
    large: Path, memory: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    code, found, error = asked(monkeypatch, capsys, str(large), "--device", "cpuu", *memory)
    assert (code, found) == (ExitCode.INVALID_INPUT, None)
    assert "use cpu, cuda or cuda:1" in error


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("24GiB", 24 * 2**30),
        ("0.5 GB", 5 * 10**8),
        ("512mib", 2**29),
        ("24G", 24 * 2**30),
        ("512m", 2**29),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["24", "GiB", "-1GiB", "0GiB", "24TiB", "1e9GiB"])
def test_what_is_no_size_is_refused_by_its_option(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--memory = .*is not a size"):
        parse_size(text)
