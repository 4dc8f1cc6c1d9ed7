"""`evaluate` says what it measured and on what, compares in pairs, and refuses early."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pruning.container.container import load
from rankadaptor.exit_codes import ExitCode
from rankspace.lease import NOTE
from tests.unit.rankadaptor.test_cli import run
from tuning.peft_back_end import PeftBackEnd

pytestmark = pytest.mark.slow

ROWS = [
    {"context": "the cat sat on the", "choices": ["mat", "under the tree", "dog"], "answer": 0},
    {"context": "a dog", "choices": ["ran", "mat"], "answer": 1},
    {"context": "then the cat and the dog ran", "choices": ["on", "a"], "answer": 0},
]


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    directory = tmp_path / "tasks"
    directory.mkdir()
    for name in ("first", "second"):
        lines = (json.dumps(row) + "\n" for row in ROWS)
        (directory / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return directory


@pytest.fixture
def adapter(model_directory: Path, tmp_path: Path) -> Path:
    """One that changes answers, as the export writes it."""
    loaded = load(model_directory)
    names = [matrix.name for matrix in loaded.description.matrices]
    attached = PeftBackEnd().attach(
        loaded.model, dict.fromkeys(names[::2], 2), alpha_per_rank=2.0, seed=1
    )
    with torch.no_grad():
        for parameter in attached.parameters:
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
    attached.save(tmp_path / "adapter")
    (tmp_path / "adapter" / NOTE).write_text(
        f"| fingerprint | `{loaded.description.fingerprint}` |\n"
    )
    return tmp_path / "adapter"


@pytest.fixture
def files(text_file: Path, tmp_path: Path, adapter: Path) -> dict[str, Path]:
    (tmp_path / "empty").mkdir()
    (tmp_path / "short.txt").write_text("the cat")
    (tmp_path / "wrong.jsonl").write_text(json.dumps(ROWS[0]) + '\n{"context": "a"}\n')
    long = ROWS[0] | {"choices": ["a " * 100, "b"]}
    (tmp_path / "long.jsonl").write_text(json.dumps(long))
    (tmp_path / "task.jsonl").write_text(json.dumps(ROWS[0]))
    wide = load_file(adapter / "adapter_model.safetensors")
    last = sorted(name for name in wide if "lora_B" in name)[-1]
    wide[last] = torch.cat([wide[last]] * 2)
    copytree(adapter, tmp_path / "wide")
    save_file(wide, tmp_path / "wide" / "adapter_model.safetensors", metadata={"format": "pt"})
    return {
        "TEXT": text_file,
        "TASK": tmp_path / "task.jsonl",
        "WIDE": tmp_path / "wide",
        "EMPTY": tmp_path / "empty",
        "SHORT": tmp_path / "short.txt",
        "WRONG": tmp_path / "wrong.jsonl",
        "LONG": tmp_path / "long.jsonl",
    }


def evaluated(monkeypatch: pytest.MonkeyPatch, capsys: Any, *given: object) -> Any:
    assert run(monkeypatch, "evaluate", *map(str, given), "--json") == ExitCode.OK
    return json.loads(capsys.readouterr().out)


def test_a_model_is_measured_on_texts_and_tasks(
    model_directory: Path,
    text_file: Path,
    tasks: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    given = (model_directory, "--perplexity", text_file, "--tasks", tasks, "--limit", 2)
    found = evaluated(monkeypatch, capsys, *given, "--window", 16, "--window", 32)
    assert (found["against"], found["differences"]) == (None, None)
    one = found["evaluation"]
    assert [text["window"] for text in one["perplexity"]] == [16, 32]
    for text in one["perplexity"]:
        whole = (text["windows"] + text["windows_beyond_limit"]) * text["window"]
        assert whole + text["dropped"] == text["tokens"]
        assert 1 < text["perplexity"] < 300  # 258 tokens, and a model that knows nothing
        assert text["error"] > 0
    assert [task["task"] for task in one["tasks"]] == ["first", "second"]
    assert [len(task["documents"]) for task in one["tasks"]] == [2, 2]
    assert one["tasks"][0]["rows"] == 3
    assert [len(row["scores"]) for row in one["tasks"][0]["documents"]] == [3, 2]


def test_a_model_does_not_differ_from_itself(
    model_directory: Path,
    text_file: Path,
    tasks: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    given = (model_directory, "--perplexity", text_file, "--tasks", tasks, "--limit", 3)
    found = evaluated(monkeypatch, capsys, *given, "--against", model_directory)
    assert found["evaluation"] == found["against"] | {
        "peak_bytes": found["evaluation"]["peak_bytes"]
    }
    differences = found["differences"]
    for text in differences["perplexity"]:
        assert text["mean_loss"]["mean"] == text["mean_loss"]["error"] == 0
    for task in differences["tasks"]:
        for metric in task["metrics"].values():
            assert (metric["mean"], metric["error"], metric["changed"]) == (0, 0, 0)
    assert differences["mean"]["difference"] == 0


def test_an_adapter_is_beside_the_model_only_where_it_is_asked_for(
    model_directory: Path,
    adapter: Path,
    text_file: Path,
    tasks: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    given = (model_directory, "--perplexity", text_file, "--tasks", tasks, "--limit", 3)
    bare = evaluated(monkeypatch, capsys, *given)["evaluation"]
    found = evaluated(
        monkeypatch, capsys, *given, "--adapter", adapter, "--against", model_directory
    )
    for found_text, bare_text in zip(
        found["against"]["perplexity"], bare["perplexity"], strict=True
    ):
        assert found_text["losses"] == bare_text["losses"]
    assert found["evaluation"]["adapter_parameters"] > 0
    assert len(found["evaluation"]["remarks"]) == 1  # of the windows
    shift = found["differences"]["perplexity"][0]["mean_loss"]["mean"]
    one, other = (found[side]["perplexity"][0]["losses"] for side in ("evaluation", "against"))
    assert shift == pytest.approx(sum(one) / 3 - sum(other) / 3)
    assert abs(shift) > 0.01
    turned = evaluated(monkeypatch, capsys, *given, "--against", adapter)
    back = turned["differences"]["perplexity"][0]["mean_loss"]["mean"]
    assert back == pytest.approx(-shift)


def test_an_adapter_of_another_model_is_refused_and_one_of_none_is_told(
    model_directory: Path,
    adapter: Path,
    tasks: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    (adapter / NOTE).write_text(f"| fingerprint | `{'0' * 64}` |\n")
    given = (model_directory, "--tasks", tasks, "--adapter", adapter)
    assert run(monkeypatch, "evaluate", *map(str, given)) == ExitCode.INVALID_INPUT
    assert "another model" in capsys.readouterr().err
    (adapter / NOTE).unlink()
    told = evaluated(monkeypatch, capsys, *given)["evaluation"]["remarks"]
    assert "no note says of which model" in told[0]


def test_an_adapter_without_ranks_is_told(
    model_directory: Path,
    tmp_path: Path,
    tasks: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    (tmp_path / "none").mkdir()
    fingerprint = load(model_directory).description.fingerprint
    (tmp_path / "none" / NOTE).write_text(f"| fingerprint | `{fingerprint}` |\n")
    given = (model_directory, "--tasks", tasks, "--adapter", tmp_path / "none")
    (told,) = evaluated(monkeypatch, capsys, *given)["evaluation"]["remarks"]
    assert told.endswith("all ranks of the adapter are 0")


def test_a_person_sees_tables_counts_and_what_the_numbers_are(
    model_directory: Path,
    text_file: Path,
    tasks: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    given = (str(model_directory), "--perplexity", str(text_file), "--tasks", str(tasks))
    more = ("--limit", "2", "--against", str(model_directory))
    assert run(monkeypatch, "evaluate", *given, *more) == ExitCode.OK
    shown = " ".join(capsys.readouterr().out.split())
    for words in (
        "first plain 2 of 3",
        "acc_norm",
        "+0.00 ± 0.00 0 0, 0",
        "prompts as the file has them",
        "wikitext2=FILE",
        "float32 on cpu",
        "--limit 2 takes the first",
    ):
        assert words in shown


def test_the_usual_windows_are_the_published_one_and_the_models_own(
    model_directory: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    def made_for(most: int) -> Path:
        copy = tmp_path / str(most)
        copy.mkdir()
        for file in model_directory.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        config = json.loads((copy / "config.json").read_text())
        text = json.dumps(config | {"max_position_embeddings": most})
        (copy / "config.json").write_text(text)
        return copy

    def windows(*models: Path) -> list[int]:
        given = (models[0], "--perplexity", text_file, "--limit", 1)
        more = ("--against", models[1]) if models[1:] else ()
        found = evaluated(monkeypatch, capsys, *given, *more)
        for one in [found["evaluation"]] + ([found["against"]] if more else []):
            assert one["remarks"][0].startswith("windows of ")
        if more:
            assert all(one["mean_loss"] for one in found["differences"]["perplexity"])
        return [one["window"] for one in found["evaluation"]["perplexity"]]

    assert windows(made_for(256)) == [128, 256]
    assert windows(made_for(128)) == [128]
    assert windows(made_for(64)) == [64]
    assert windows(made_for(131072)) == [128, 2048]
    assert windows(tmp_path / "256", tmp_path / "64") == [64]
    given = (str(made_for(1)), "--perplexity", str(text_file))
    assert run(monkeypatch, "evaluate", *given) == ExitCode.INVALID_INPUT
    assert "--window = 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ((), "--tasks"),
        (("--perplexity", "TEXT", "--window", "1"), "--window = 1"),
        (("--perplexity", "TEXT", "--window", "129"), "--window = 129"),
        (("--perplexity", "SHORT", "--window", "128"), "no whole window of 128"),
        (("--perplexity", "SHORT"), "no whole window of 128"),
        (("--perplexity", "TEXT", "--perplexity", "TEXT"), "named twice"),
        (("--perplexity", "TEXT", "--bos"), "--bos"),
        (("--tasks", "TASK", "--window", "16"), "--window = 16"),
        (("--perplexity", "TEXT", "--adapter", "WIDE"), "shape"),
        (("--perplexity", "TEXT", "--against", "WIDE"), "shape"),
        (("--perplexity", "TEXT", "--limit", "0"), "--limit = 0"),
        (("--perplexity", "/nowhere"), "--perplexity = '/nowhere'"),
        (("--tasks", "/nowhere"), "--tasks = '/nowhere'"),
        (("--tasks", "WRONG"), "--tasks, line 2"),
        (("--tasks", "LONG"), "made for 128"),
        (("--perplexity", "TEXT", "--adapter", "EMPTY"), "--adapter"),
        (("--perplexity", "TEXT", "--against", "EMPTY"), "--against"),
        (("--perplexity", "TEXT", "--against", "/nowhere"), "--against = '/nowhere'"),
        (("--perplexity", "TEXT", "--device", "gpu"), "device = 'gpu'"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_weights_are_read(
    options: tuple[str, ...],
    field: str,
    model_directory: Path,
    files: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    def loads(*_: Any, **__: Any) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("rankadaptor.evaluation.evaluation.load_contents", loads)
    given = [str(files.get(option, option)) for option in options]
    code = run(monkeypatch, "evaluate", str(model_directory), *given)
    assert code == ExitCode.INVALID_INPUT
    assert field in " ".join(capsys.readouterr().err.split())
