"""``export``: what a service has of a study becomes an adapter or a model of its own."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner, Result

from pruning.container import container
from rankadaptor import cli
from rankadaptor.exit_codes import ExitCode, exit_code
from rankspace.errors import InvalidInput, RankspaceError, UnsupportedVersion
from rankspace.lease import ADAPTER_FILES, CONFIG, NOTE
from rankspace.wire import encode
from tests.unit.rankadaptor.listener import Stranger, in_json
from tests.unit.tiny_llama import factored
from tests.verdicts import VERDICT
from tuning.peft_back_end import PeftBackEnd

ROUTE = "/v1/studies/st_1"
IDS = torch.arange(20)[None]

Export = Callable[..., Result]


@pytest.fixture
def base(request: pytest.FixtureRequest, model_directory: Path, tmp_path: Path) -> Path:
    """The model of the study: whole, or with factored matrices where a test asks for them."""
    is_whole = getattr(request, "param", "whole") == "whole"
    return model_directory if is_whole else factored(model_directory, tmp_path / "factored")


@pytest.fixture
def answers(other: Stranger, base: Path, tmp_path: Path) -> dict[str, Any]:
    """The list of the export, of a study whose adapter is on disk; changes are served, too."""
    loaded = container.load(base)
    ranks = {"model.layers.0.self_attn.q_proj": 2, "model.layers.1.mlp.up_proj": 4}
    attached = PeftBackEnd().attach(loaded.model, ranks, alpha_per_rank=2.0, seed=1)
    with torch.no_grad():
        for parameter in attached.parameters:
            parameter.add_(0.05)
    attached.save(tmp_path / "made")
    (tmp_path / "made" / NOTE).write_text("of the study")
    listing: dict[str, Any] = {"files": [], "model": loaded.description.fingerprint}
    for name in ADAPTER_FILES:
        content = (tmp_path / "made" / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        listing["files"].append({"name": name, "bytes": len(content), "sha256": digest})
        other.answers[f"{ROUTE}/export/{name}"] = 200, {}, content
    study = {"model": str(base), "recipe": {"steps": 3}, "verify": {"at": "trial"}}
    view = {"id": "st_1", "name": "tiny", "state": "done", "study": study, "extensions": 0}
    view["base_dtype"] = "bfloat16"
    other.answers[ROUTE] = in_json({**view, "verdict": encode(VERDICT)})
    other.answers[f"{ROUTE}/verdict"] = in_json(encode(VERDICT))
    return listing


@pytest.fixture
def export(
    other: Stranger, answers: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Export:
    monkeypatch.setenv("RANKADAPTOR_KEY", "rka_secret")

    def run(*arguments: str) -> Result:
        other.answers[f"{ROUTE}/export"] = in_json(answers)
        where = ("--to", str(tmp_path / "out"), "--url", other.url)
        return CliRunner().invoke(cli.app, ["export", "st_1", *where, *arguments])

    return run


def test_an_adapter_comes_with_its_verdict(export: Export, tmp_path: Path) -> None:
    assert export().exit_code == 0
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {*ADAPTER_FILES, "VERDICT.md"}


def test_a_flat_adapter_has_no_alphas_of_its_own(export: Export, tmp_path: Path) -> None:
    assert export("--flat-scale").exit_code == 0
    assert json.loads((tmp_path / "out" / CONFIG).read_text())["alpha_pattern"] == {}


@torch.no_grad()
def test_a_merged_model_is_an_ordinary_one_with_a_card(
    export: Export, model_directory: Path, tmp_path: Path
) -> None:
    done = export("--format", "merged")
    assert done.exit_code == 0, done.output
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    before = AutoModelForCausalLM.from_pretrained(model_directory)
    assert not torch.allclose(merged(IDS).logits, before(IDS).logits, atol=1e-3)
    card = (tmp_path / "out" / "README.md").read_text()
    assert '"dtype": "bfloat16"' in card
    assert "Of the trials: **better**" in card
    assert "not stated by the pruned model" in card


def test_a_moved_model_is_found_where_one_says(
    export: Export, model_directory: Path, other: Stranger, tmp_path: Path
) -> None:
    view = json.loads(other.answers[ROUTE][2])
    view["study"]["model"] = "/nowhere/model"
    other.answers[ROUTE] = in_json(view)
    assert "/nowhere" in str(export("--format", "container").exception)
    done = export("--format", "container", "--model", str(model_directory))
    assert done.exit_code == 0, done.output
    assert container.load(tmp_path / "out").model.num_parameters() > 0


def test_an_older_service_does_not_tell_which_model(
    export: Export, answers: dict[str, Any], tmp_path: Path
) -> None:
    del answers["model"]
    error = export("--format", "container").exception
    assert isinstance(error, UnsupportedVersion)
    assert not (tmp_path / "out").exists()


def test_an_adapter_that_cannot_be_flattened_leaves_nothing(
    export: Export, other: Stranger, answers: dict[str, Any], tmp_path: Path
) -> None:
    content = json.dumps({**json.loads((tmp_path / "made" / CONFIG).read_text()), "lora_alpha": 0})
    digest = hashlib.sha256(content.encode()).hexdigest()
    listed = next(file for file in answers["files"] if file["name"] == CONFIG)
    listed |= {"bytes": len(content), "sha256": digest}
    other.answers[f"{ROUTE}/export/{CONFIG}"] = 200, {}, content.encode()
    assert "no scale" in str(export("--flat-scale").exception)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "study",
    [None, {}, {"model": 5, "recipe": {}}, {"model": "a\0b", "recipe": {}}, {"model": "a"}],
    ids=str,
)
def test_a_service_that_does_not_tell_the_model_is_another(
    export: Export, other: Stranger, tmp_path: Path, study: Any
) -> None:
    view = {**json.loads(other.answers[ROUTE][2]), "study": study}
    other.answers[ROUTE] = in_json(view)
    assert isinstance(export("--format", "gguf").exception, UnsupportedVersion)
    assert not (tmp_path / "out").exists()


def test_a_name_of_any_letters_is_shown(export: Export, other: Stranger, tmp_path: Path) -> None:
    view = {**json.loads(other.answers[ROUTE][2]), "name": "a|\ud800"}
    other.answers[ROUTE] = in_json(view)
    for form in ("adapter", "container"):
        done = export("--format", form, "--to", str(tmp_path / form))
        assert done.exit_code == 0, done.output
    title = r"\|\\ud800"
    assert f"Verdict of study a{title}" in (tmp_path / "adapter" / "VERDICT.md").read_text()
    assert f"# a{title}" in (tmp_path / "container" / "README.md").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--dtype", "float32"),
        ("--model", "somewhere"),
        ("--multiply-out",),
        ("--format", "merged", "--flat-scale"),
        ("--format", "gguf", "--dtype", "int8"),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_asked(
    export: Export, other: Stranger, arguments: tuple[str, ...]
) -> None:
    error = export(*arguments).exception
    assert isinstance(error, InvalidInput)
    assert isinstance(error, RankspaceError)
    assert exit_code(error) is ExitCode.INVALID_INPUT
    assert other.sent == []


@pytest.mark.parametrize("base", ["factored"], indirect=True)
def test_factors_are_multiplied_out_when_asked_for(export: Export, tmp_path: Path) -> None:
    refused = export("--format", "merged").exception
    assert isinstance(refused, InvalidInput)
    assert "--multiply-out" in refused.hint
    assert not (tmp_path / "out").exists()
    done = export("--format", "merged", "--multiply-out")
    assert done.exit_code == 0, done.output
    assert not container.load(tmp_path / "out").structure.is_factored
