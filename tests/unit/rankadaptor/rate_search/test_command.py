"""``rankadaptor rates``: from a model to a file that ``compress`` takes."""

import json
from pathlib import Path
from typing import Any

import pytest

from pruning.container.manifest import read_manifest
from pruning.search.about import ABOUT
from rankadaptor import cli
from rankadaptor.exit_codes import ExitCode
from tests.unit.rankadaptor.rate_search.test_endpoint import answer, completion, server
from tests.unit.rankadaptor.test_cli import run, runner

SMALL = ("--length", "8", "--held-out-samples", "8", "--held-out-length", "8", "--blocks", "0-2")


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    path = tmp_path / "held-out.txt"
    path.write_text("the dog ran under the tree and then sat on a mat\n" * 40)
    return path


@pytest.fixture
def given(
    model_directory: Path, text_file: Path, held_out: Path, tmp_path: Path
) -> tuple[str, ...]:
    target = str(tmp_path / "rates.json")
    texts = ("--text", str(text_file), "--held-out", str(held_out))
    return (str(model_directory), target, *texts, "--method", "magnitude", *SMALL)


def test_the_help_says_what_each_search_does() -> None:
    said = " ".join(runner.invoke(cli.app, ["rates", "--help"]).output.replace("│", " ").split())
    for name, about in ABOUT.items():
        assert f"{name}: {about.split()[0]}" in said


@pytest.mark.parametrize("search", ["random", "genetic", "atp"])
def test_what_is_found_is_compressed_and_the_container_says_how(  # noqa: PLR0917 - fixtures
    search: str,
    given: tuple[str, ...],
    model_directory: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    target, container = tmp_path / "rates.json", tmp_path / "c"
    assert run(monkeypatch, "rates", search, *given, "--evaluations", "4") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith("memory: 0 MiB of weights, about ")
    assert "prunings scored, equal rates the first" in said
    assert "equal rates" in said
    document = json.loads(target.read_text())
    texts = ("--text", str(text_file), "--length", "8")
    compressed = (str(model_directory), str(container), *texts, "--rates", str(target))
    assert run(monkeypatch, "compress", "magnitude", *compressed) == 0
    provenance = read_manifest(container / "pruned.json").provenance["rates"]
    assert provenance["rule"] == "search"
    assert provenance["by_block"] == document["rates"]
    assert provenance["search"] == document["search"]
    assert provenance["search"]["search"] == search
    said = " ".join(capsys.readouterr().err.split())
    assert "searched with" not in said
    other = (str(model_directory), str(tmp_path / "d"), *texts, "--rates", str(target))
    assert run(monkeypatch, "compress", "random", *other) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "these rates were searched with 'magnitude', not random" in said
    document["search"]["model"] = "0" * 64
    target.write_text(json.dumps(document))
    another = (str(model_directory), str(tmp_path / "e"), *texts, "--rates", str(target))
    assert run(monkeypatch, "compress", "magnitude", *another) == ExitCode.INVALID_INPUT
    said = " ".join(capsys.readouterr().err.split())
    assert "is the model these rates were searched on" in said
    assert not (tmp_path / "e").exists()


def test_the_same_command_goes_on_and_no_file_of_others_is_lost(
    given: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    target = tmp_path / "rates.json"
    target.write_text("mine")
    assert run(monkeypatch, "rates", "random", *given) == ExitCode.INVALID_INPUT
    assert "no record of a search beside it" in " ".join(capsys.readouterr().err.split())
    assert target.read_text() == "mine"
    target.unlink()
    assert run(monkeypatch, "rates", "random", *given, "--evaluations", "6") == 0
    whole = target.read_bytes()
    record = tmp_path / "rates.json.record.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join(lines[:4]) + lines[4][:9])
    assert run(monkeypatch, "rates", "random", *given, "--evaluations", "6") == 0
    assert "ended in the middle of a line" in " ".join(capsys.readouterr().err.split())
    assert record.read_bytes() == b"".join(lines)
    assert target.read_bytes() == whole


def test_a_model_behind_an_address_makes_the_moves_and_is_replayed(
    given: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """It answers with control characters around its list: none of them reaches the terminal."""
    monkeypatch.setenv("RANKADAPTOR_CHAT_KEY", "sk-secret")
    told = 0

    def handle(handler: Any, body: dict[str, Any]) -> None:
        nonlocal told
        told += 1
        text = "[0, 1]" if "two integers" in body["messages"][0]["content"] else "[0.2, 0.5, 0.8]"
        text = f"\x1b[2J{text}\x07" if told % 2 else "\x1b]0;owned\x07"
        answer(handler, completion(text, usage={"completion_tokens": 5}))

    asked = ("rates", "self-pruner", *given, "--evaluations", "6")
    with server(handle) as (url, sent):
        chat = ("--chat", url, "--chat-model", "m")
        assert run(monkeypatch, *asked, *chat) == 0
        assert {authorization for _, authorization, _ in sent} == {"Bearer sk-secret"}
    first = capsys.readouterr()
    calls = (tmp_path / "rates.json.calls.jsonl").read_text()
    assert len(calls.splitlines()) == told
    written = calls + (tmp_path / "rates.json").read_text()
    assert "sk-secret" not in written + first.err + first.out
    assert not {"\x1b", "\x07"} & {*first.err, *first.out, *written}
    said = " ".join(first.err.split())
    assert "replies taken" in said
    document = json.loads((tmp_path / "rates.json").read_text())
    assert document["search"]["chat"]["reply_tokens"] == 5 * told
    assert document["search"]["chat"]["invalid"] > 0
    for name in ("rates.json", "rates.json.record.jsonl"):
        (tmp_path / name).unlink()
    assert run(monkeypatch, *asked) == 0  # the server is gone
    assert json.loads((tmp_path / "rates.json").read_text()) == document
    assert f"{told} of them from before" in " ".join(capsys.readouterr().err.split())


def test_nobody_who_answers_ends_it_and_nothing_is_half_done(
    given: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def handle(handler: Any, body: dict[str, Any]) -> None:
        answer(handler, b"", 503)

    with server(handle) as (url, sent):
        chat = ("--chat", url, "--chat-model", "m\x1b[2J")
        assert run(monkeypatch, "rates", "self-pruner", *given, *chat) == ExitCode.UNREACHABLE
        assert len(sent) == 3
    said = capsys.readouterr().err
    assert "it answers 503" in " ".join(said.split())
    assert "\x1b" not in said
    assert not (tmp_path / "rates.json").exists()


@pytest.mark.parametrize(
    ("search", "options", "said"),
    [
        ("genetics", (), "search = 'genetics': is not a search"),
        ("genetic", ("--chat", "http://host/v1"), "is not asked by genetic"),
        ("self-pruner", (), "--chat = None: is missing"),
        ("self-pruner", ("--chat", "http://host/v1"), "--chat-model = None: is missing"),
        ("self-pruner", ("--chat", "http://me:pw@host/v1", "--chat-model", "m"), "a password"),
        ("self-pruner", ("--chat", "no-such-model"), "no-such-model"),
        ("self-pruner", ("--chat", ".", "--chat-timeout", "0"), "is no time to wait"),
        ("random", ("--method", "depth-taylor"), "has no rates by block"),
        ("random", ("--method", "tailor"), "is not a pruner"),
        ("random", ("--evaluations", "1"), "evaluations = 1: is too few"),
        ("random", ("--ratio", "1"), "ratio = 1.0"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_field(  # noqa: PLR0917 - fixtures
    search: str,
    options: tuple[str, ...],
    said: str,
    given: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    assert run(monkeypatch, "rates", search, *given, *options) == ExitCode.INVALID_INPUT
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("rates.json*"))
