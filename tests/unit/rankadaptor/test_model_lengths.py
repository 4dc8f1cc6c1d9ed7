"""What the commands that read a model say of it before anything is started."""

import json
from pathlib import Path

import pytest

from rankadaptor import cli
from rankadaptor.exit_codes import ExitCode
from tests.unit.tiny_llama import model_directory, text_file  # noqa: F401  # fixtures

pytestmark = pytest.mark.slow

STUDY = """\
name: s
model: {model}
recipe: {{data: {{train: {text}, format: text, held_out: 4}}, sequence_length: {length}}}
search: {{ranks: [0, 1, 2], budget: {{parameters: "uniform:1", trials: 4}}}}
"""


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["rankadaptor", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code if isinstance(ended.value.code, int) else 0


@pytest.mark.parametrize("length", [128, 129])
def test_submit_checks_the_length_against_the_model(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model_directory: Path,  # noqa: F811
    text_file: Path,  # noqa: F811
    tmp_path: Path,
    length: int,
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.format(model=model_directory, text=text_file, length=length))
    wanted = ExitCode.INVALID_INPUT if length > 128 else 0
    assert run(monkeypatch, "submit", "--check", file) == wanted
    said = " ".join(capsys.readouterr().err.split())
    refusal = "recipe.sequence_length = 129: the model is made for 128 tokens"
    assert (refusal in said) == ("fix: use 128 or less" in said) == (length > 128)


def test_compress_says_what_keeps_everything(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model_directory: Path,  # noqa: F811
    text_file: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    command = ("compress", "magnitude", model_directory, tmp_path / "p", "--text", text_file)
    assert run(monkeypatch, *command, "--ratio", "0.01") == ExitCode.INVALID_INPUT
    assert "removes nothing" in capsys.readouterr().err
    assert run(monkeypatch, *command, "--ratio", "0.25", "--blocks", "0-2", "--json") == 0
    told = capsys.readouterr()
    said = " ".join(told.err.split())
    assert "blocks 0, 1, 2 keep all key/value heads: only a rate above 0.25" in said
    assert json.loads(told.out)["architecture"] == "LlamaForCausalLM"
    assert run(monkeypatch, *command[:3], tmp_path / "q", *command[4:], "--ratio", "0.5") == 0
    assert "keep all" not in capsys.readouterr().err
