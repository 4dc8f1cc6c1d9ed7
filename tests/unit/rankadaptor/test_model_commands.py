"""Commands on models say what they kept, refuse a device by its name, and help as advised."""

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pruning.container import load
from pruning.container.description import describe
from rankadaptor.exit_codes import ExitCode
from rankadaptor.rest.client import RestClient
from rankspace import Study
from tests.unit.rankadaptor.test_cli import run

LENGTH = ("--length", "8")


@pytest.fixture
def model(model_directory: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    copy.mkdir()
    for file in model_directory.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    config = json.loads((copy / "config.json").read_text())
    config["max_position_embeddings"] = 256
    (copy / "config.json").write_text(json.dumps(config))
    return copy


def measured(model: Path, text: Path, *options: str) -> tuple[str, ...]:
    return "profile", str(model), "--text", str(text), *LENGTH, *options


def test_a_profile_of_a_plain_directory_is_kept(
    model: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The advice of a strategy that needs profiles was followed by the same refusal again."""
    before = describe(model)
    assert run(monkeypatch, *measured(model, text_file)) == ExitCode.OK
    assert f"savedin{model}" in "".join(capsys.readouterr().err.split())
    after = describe(model)
    assert len(after.profiles) == len(after.matrices)
    assert after.fingerprint == before.fingerprint


def test_what_is_not_kept_is_said(
    model: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert run(monkeypatch, *measured(model, text_file, "--no-save", "--json")) == ExitCode.OK
    said = capsys.readouterr()
    assert "not saved" in said.err
    assert len(json.loads(said.out)) == 21
    assert not (model / "pruned.json").exists()


def test_where_nothing_can_be_kept_nothing_is_measured(
    model: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("os.access", lambda _, mode, **__: mode != os.W_OK)
    assert run(monkeypatch, *measured(model, text_file)) == ExitCode.INVALID_INPUT
    assert "--no-save" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (("--length", "9999"), "length = 9999"),
        (("--samples", "9999"), "calibration.text = "),
        (("--dense", "/nowhere"), "model = '/nowhere'"),
        (("--components", "9999"), "components = 9999"),
    ],
)
def test_a_profile_that_cannot_be_is_refused_before_weights_are_read(
    options: tuple[str, ...],
    field: str,
    model: Path,
    text_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    def loads(*_: Any, **__: Any) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("pruning.container.container.load_contents", loads)
    given = measured(model, text_file, *options)
    assert run(monkeypatch, *given) == ExitCode.INVALID_INPUT
    assert field in " ".join(capsys.readouterr().err.split())


def test_what_was_measured_is_shown_where_it_cannot_be_kept(
    model: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(model / "pruned.json"))

    monkeypatch.setattr("pruning.container.container.write_profiles", full)
    assert run(monkeypatch, *measured(model, text_file, "--json")) != ExitCode.OK
    said = capsys.readouterr()
    assert len(json.loads(said.out)) == 21
    assert "saved in" not in said.err


@pytest.mark.parametrize("device", ["gpu", "cuda:1"])
@pytest.mark.parametrize("command", ["compress", "profile"])
def test_a_device_is_refused_before_a_model_is_looked_at(
    command: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    nowhere, text = str(tmp_path / "nowhere"), str(tmp_path / "text")
    names = (nowhere,) if command == "profile" else ("taylor", nowhere, str(tmp_path / "c"))
    given = (command, *names, "--text", text, "--device", device)
    assert run(monkeypatch, *given) == ExitCode.INVALID_INPUT
    assert f"device = '{device}'" in capsys.readouterr().err


def test_a_method_is_refused_before_a_model_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    nowhere = str(tmp_path / "nowhere")
    given = ("compress", "wanda", nowhere, str(tmp_path / "c"), "--text", nowhere)
    assert run(monkeypatch, *given) == ExitCode.INVALID_INPUT
    assert "method = 'wanda'" in capsys.readouterr().err


def test_compress_writes_the_type_that_is_asked_for(
    model: Path, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    target = tmp_path / "c"
    given = ("compress", "taylor", str(model), str(target), "--text", str(text_file), *LENGTH)
    assert run(monkeypatch, *given, "--dtype", "int8") == ExitCode.INVALID_INPUT
    assert "--dtype = 'int8'" in capsys.readouterr().err
    assert run(monkeypatch, *given, "--dtype", "bfloat16") == ExitCode.OK
    assert load(target).model.dtype is torch.bfloat16


def test_reconstruction_errors_are_those_of_the_dense_model(
    model: Path, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    target = tmp_path / "c"
    given = ("compress", "taylor", str(model), str(target), "--text", str(text_file), *LENGTH)
    assert run(monkeypatch, *given) == ExitCode.OK
    capsys.readouterr()
    asked = measured(target, text_file, "--dense", str(model), "--json")
    assert run(monkeypatch, *asked) == ExitCode.OK
    profiles = json.loads(capsys.readouterr().out)
    errors = [profile["reconstruction_error"] for profile in profiles]
    assert errors[0] == 0.0 < errors[7] < 2.0
    other = tmp_path / "other"
    assert run(monkeypatch, "adopt", str(target), str(other), "--original", "0,3,4") == ExitCode.OK
    asked = measured(other, text_file, "--dense", str(model))
    assert run(monkeypatch, *asked) == ExitCode.INVALID_INPUT
    assert "lacks block 3" in capsys.readouterr().err


def test_a_model_is_adopted_as_advised(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    target = tmp_path / "c"
    given = ("adopt", str(model), str(target), "--original", "0,2,5")
    assert run(monkeypatch, *given) == ExitCode.OK
    assert "3 blocks" in " ".join(capsys.readouterr().out.split())
    blocks = json.loads((target / "pruned.json").read_text())["structure"]["blocks"]
    assert [block["original_index"] for block in blocks] == [0, 2, 5]


def test_a_pickle_is_read_only_when_asked_for_by_name(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    torch.save({"model": load(model).model}, model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    given = ("adopt", str(model), str(tmp_path / "c"))
    assert run(monkeypatch, *given) == ExitCode.INVALID_INPUT
    assert "--trust-pickle" in capsys.readouterr().err
    assert run(monkeypatch, *given, "--trust-pickle") == ExitCode.OK
    assert (tmp_path / "c" / "pruned.json").exists()


def test_what_a_tool_skips_is_said_where_the_person_looks(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A block that MultiPruner has emptied is left out, but not silently."""
    account = {"pruned_attn_idx": [1], "pruned_mlp_idx": [1]}
    (model / "pruning_config.json").write_text(json.dumps(account))
    assert run(monkeypatch, "adopt", str(model), str(tmp_path / "c")) == ExitCode.OK
    said = " ".join(capsys.readouterr().out.split())
    assert "read as MultiPruner says" in said
    assert "blocks 1 are skipped by it and left out" in said


def test_halves_that_a_tool_removed_are_said(
    model: Path, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = model / "model.safetensors"
    state = {name: t for name, t in load_file(path).items() if "layers.1.self_attn" not in name}
    save_file(state, path)
    (model / "pruning_config.json").write_text(json.dumps({"pruned_attn_idx": [1]}))
    target = tmp_path / "c"
    assert run(monkeypatch, "adopt", str(model), str(target)) == ExitCode.OK
    assert "; blocks 1 have no attention" in " ".join(capsys.readouterr().out.split())
    assert run(monkeypatch, *measured(target, text_file, "--json")) == ExitCode.OK
    assert len(json.loads(capsys.readouterr().out)) == 17
    given = ("compress", "magnitude", str(target), str(tmp_path / "d"), "--text", str(text_file))
    assert run(monkeypatch, *given, *LENGTH, "--blocks", "0") == ExitCode.OK
    assert "0 of 0" in capsys.readouterr().out


@pytest.mark.parametrize("original", ["0-9999999999", "", "a"])
def test_a_list_that_is_none_is_refused_by_its_option(
    original: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    given = ("adopt", str(model), str(tmp_path / "c"), "--original", original)
    assert run(monkeypatch, *given) == ExitCode.INVALID_INPUT
    assert "original = " in capsys.readouterr().err


def study_file(place: Path, model: Path, data: Path, **recipe: Any) -> str:
    document = {
        "name": "s",
        "model": str(model),
        "recipe": {"data": {"train": str(data), "held_out": 20}, "sequence_length": 240, **recipe},
        "search": {"ranks": [0, 1, 2], "budget": {"parameters": "uniform:1", "trials": 4}},
    }
    (place / "study.yaml").write_text(json.dumps(document))
    return str(place / "study.yaml")


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """Rows of another shape than a worker reads."""
    path = tmp_path / "sharegpt.jsonl"
    path.write_text('{"conversations": [{"from": "human", "value": "hi"}]}\n' * 40)
    return path


def test_a_check_reads_what_a_worker_will(
    model: Path,
    instruction_file: Path,
    wrong: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    good = study_file(tmp_path, model, instruction_file)
    assert run(monkeypatch, "submit", "--check", good) == ExitCode.OK
    said = capsys.readouterr()
    assert "21 layers" in said.out
    assert "examples of up to 240 tokens" in said.err
    bad = study_file(tmp_path, model, wrong)
    assert run(monkeypatch, "submit", "--check", bad) == ExitCode.INVALID_INPUT
    assert "line 1" in capsys.readouterr().err


def test_without_the_libraries_of_a_worker_a_check_says_what_it_left_out(
    model: Path, wrong: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("rankadaptor.commands.submit.find_spec", lambda _: None)
    assert run(monkeypatch, "submit", "--check", study_file(tmp_path, model, wrong)) == ExitCode.OK
    assert "not looked into" in capsys.readouterr().err


def test_without_them_a_study_is_held_to_the_data_that_it_names(
    model: Path, wrong: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The hash in the file was overwritten by that of whatever lay there."""
    monkeypatch.setattr("rankadaptor.commands.submit.find_spec", lambda _: None)
    file = Path(study_file(tmp_path, model, wrong))
    named = {**json.loads(file.read_text()), "inputs": {"data": "0" * 64}}
    file.write_text(json.dumps(named))
    assert run(monkeypatch, "submit", "--check", str(file)) == ExitCode.INVALID_INPUT
    assert "inputs.data = " in capsys.readouterr().err


def test_without_them_a_text_too_large_for_a_worker_is_refused_too(
    model: Path, wrong: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("rankadaptor.commands.submit.find_spec", lambda _: None)
    (tmp_path / "long.txt").write_text("a" * (2**22 + 1))
    file = Path(study_file(tmp_path, model, wrong))
    asked = {"recover": {"metrics": [{"perplexity": "long.txt"}]}}
    file.write_text(json.dumps({**json.loads(file.read_text()), **asked}))
    assert run(monkeypatch, "submit", "--check", str(file)) == ExitCode.INVALID_INPUT
    said = " ".join(capsys.readouterr().err.split())
    assert "recover.metrics[0].perplexity = " in said
    assert "more than 4 MiB" in said
    (tmp_path / "long.txt").write_text("a" * 2**22)
    assert run(monkeypatch, "submit", "--check", str(file)) == ExitCode.OK


def test_a_submission_names_what_is_compared_and_prints_the_id_alone(
    model: Path,
    instruction_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sent: list[Study] = []

    def submit(_: RestClient, study: Study, **__: Any) -> dict[str, str]:
        sent.append(study)
        return {"id": "st_1"}

    monkeypatch.setattr(RestClient, "register", lambda *_: {})
    monkeypatch.setattr(RestClient, "submit", submit)
    monkeypatch.setenv("RANKADAPTOR_KEY", "rka_x")
    file = study_file(tmp_path, model, instruction_file)
    assert run(monkeypatch, "submit", file) == ExitCode.OK
    printed = capsys.readouterr()
    assert printed.out == "st_1\n"
    assert "rankadaptor watch st_1" in printed.err
    (study,) = sent
    assert study.inputs.data == hashlib.sha256(instruction_file.read_bytes()).hexdigest()
    assert study.inputs.tokenizer


@pytest.mark.parametrize("command", ["compress", "profile"])
def test_a_text_is_refused_before_a_model_is_looked_at(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    nowhere = str(tmp_path / "nowhere")
    names = (nowhere,) if command == "profile" else ("taylor", nowhere, str(tmp_path / "c"))
    assert run(monkeypatch, command, *names, "--text", nowhere) == ExitCode.INVALID_INPUT
    assert "calibration.text = " in capsys.readouterr().err
