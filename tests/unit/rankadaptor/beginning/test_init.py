"""A study file that is written for somebody is taken as it is, and says what was found and why."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from perfmodel.evidence.controls import control_vector
from rankadaptor.beginning import findings
from rankadaptor.beginning.choice import document_of
from rankadaptor.beginning.cost import cost_of
from rankadaptor.beginning.draft import Draft, draft_of, told
from rankadaptor.beginning.findings import look
from rankadaptor.commands.submit import laid_out
from rankadaptor.exit_codes import ExitCode
from rankadaptor.study_file import read_study
from rankspace import Study
from rankspace.context import context_of
from rankspace.errors import InvalidContainer, InvalidInput
from rankspace.granularity import search_space
from rankspace.study import Control, Survey
from rankspace.wire import decode
from tests.unit.rankadaptor.test_cli import run
from tuning.memory_plan.device_memory import RESERVED, DeviceMemory
from worker.trial import inspection

pytestmark = pytest.mark.slow

SHARED = Path(__file__).parents[5] / "shared" / "data"
CPU = torch.device("cpu")
ROOM = DeviceMemory.pretended("cpu", 2**31)

Init = Callable[..., tuple[int, str, str]]


@pytest.fixture
def model(model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as if it was made for texts that an instruction's template fits into."""
    copy = tmp_path_factory.mktemp("model") / "tiny"
    copy.mkdir()
    for file in model_directory.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return made_for(512, copy)


def made_for(tokens: int, model: Path) -> Path:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": tokens}))
    return model


@pytest.fixture
def init(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> Init:
    """Run the command for ``study.yaml`` of the test's directory: exit code and what it said."""

    def made(model: Path, data: Path, *options: str) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setenv("COLUMNS", "200")
        place = ("--output", str(tmp_path / "study.yaml"), "--memory", "2GiB", "--device", "cpu")
        code = run(monkeypatch, "init", str(model), str(data), *place, *options)
        said = capsys.readouterr()
        return code, said.out, said.err

    return made


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], int]:
    return lambda: run(monkeypatch, "submit", "--check", str(tmp_path / "study.yaml"))


@pytest.fixture
def container(
    model_directory: Path, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The tiny model with its middle block pruned by half."""
    pruned = tmp_path / "pruned"
    options = ("--ratio", "0.5", "--blocks", "1", "--length", "16", "--text", str(text_file))
    taken = run(monkeypatch, "compress", "magnitude", str(model_directory), str(pruned), *options)
    assert taken == ExitCode.OK
    return pruned


@pytest.mark.skipif(not SHARED.exists(), reason="the data beside the checkout are not here")
@pytest.mark.parametrize(
    ("data", "form", "rows"),
    [
        ("stories260k/sample.txt", "text", "windows of plain text"),
        ("instructions/gpteacher-roleplay.jsonl", "instruction", "400 rows of instruction"),
    ],
)
def test_a_real_model_and_real_data_make_a_study_that_is_taken(
    init: Init, checked: Callable[[], int], tmp_path: Path, data: str, form: str, rows: str
) -> None:
    """On the beginning of the data, whose rows are all read and counted alike."""
    kept = tmp_path / data.rpartition("/")[2]
    kept.write_text("".join((SHARED / data).read_text().splitlines(keepends=True)[:400]))
    code, said, _ = init(SHARED / "stories260k", kept)
    assert code == ExitCode.OK
    assert rows in " ".join(said.split())
    text = (tmp_path / "study.yaml").read_text()
    assert rows in " ".join(text.replace("\n#", "").split())
    assert max(map(len, text.splitlines())) <= 100 + len(str(SHARED))
    study = read_study(tmp_path / "study.yaml")
    assert study.recipe.data.format == form
    assert (study.model, study.recipe.data.train) == (
        str(SHARED / "stories260k"),
        str(kept),
    )
    assert study.search.budget.trials == 30  # of 35 matrices
    assert checked() == ExitCode.OK


def test_the_counts_are_those_of_the_check(
    init: Init,
    model: Path,
    instruction_file: Path,
    capsys: Any,
    tmp_path: Path,
    checked: Callable[[], int],
) -> None:
    code, said, _ = init(made_for(180, model), instruction_file, "--json")
    assert code == ExitCode.OK
    found = json.loads(said)
    assert checked() == ExitCode.OK
    told = " ".join(capsys.readouterr().err.split())
    counts = found["found"]["counts"]
    assert counts["dropped"] > 0  # their prompts alone have more than 180 tokens
    assert f"{counts['dropped']} of 80 rows" in told
    assert f"{counts['train']} examples to train on" in told
    study = read_study(tmp_path / "study.yaml")
    assert decode(Study, found["study"]) == study
    examples = 80 - counts["dropped"]
    assert study.recipe.data.held_out == examples // 5
    assert study.recipe.sequence_length <= 180
    assert study.recipe.batch.examples == 8


def test_every_alternative_is_a_study_too(model: Path, instruction_file: Path) -> None:
    draft = draft_of(look(model, str(instruction_file), CPU, ROOM))
    tried = 0
    for at, choice in enumerate(draft.choices):
        for other in choice.instead:
            changed = list(draft.choices)
            changed[at] = replace(choice, value=other.value)
            study = decode(Study, document_of(changed))
            assert study != draft.study
            assert laid_out(study, draft.found.model)[2].max_parameters > 0
            tried += 1
    assert tried > 15


def test_alternatives_are_uncommented_by_hand(
    init: Init, model: Path, instruction_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "study.yaml"
    assert init(model, instruction_file)[0] == ExitCode.OK
    text = file.read_text()
    for written, value in (
        ("# survey: {steps: 400, vectors: 100}", Survey()),
        ("# gpu_hours: 6", 6.0),
        ("# stop_risk: 0.02", 0.02),
    ):
        assert written in text
        file.write_text(text.replace(written, written[2:]))
        search = read_study(file).search
        assert value in (search.survey, search.budget.gpu_hours, search.trial.stop_risk)


def test_a_container_is_known_and_profiles_allow_more_controls(
    init: Init,
    container: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checked: Callable[[], int],
) -> None:
    code, said, _ = init(container, text_file, "--json")
    assert code == ExitCode.OK
    found = json.loads(said)["found"]
    assert (found["is_container"], found["blocks"], found["smaller"]) == (True, 3, 1)
    study = read_study(tmp_path / "study.yaml")
    assert study.verify.controls == (Control.O_PROJ, Control.DOWN_PROJ)
    assert "rankadaptor profile" in (tmp_path / "study.yaml").read_text()
    assert checked() == ExitCode.OK
    measured = ("profile", str(container), "--text", str(text_file), "--length", "16")
    assert run(monkeypatch, *measured) == ExitCode.OK
    draft = draft_of(look(container, str(text_file), CPU, ROOM))
    assert draft.study.verify.controls == tuple(Control)
    model, study = draft.found.model, draft.study
    space = search_space(model, study.recipe.modules, study.search)
    context = context_of(model, study, space)
    assert all(control_vector(control, space, context) for control in study.verify.controls)


def test_a_model_to_adopt_is_told_so_with_the_command(container: Path, text_file: Path) -> None:
    (container / "pruned.json").unlink()
    with pytest.raises(InvalidContainer) as refused:
        look(container, str(text_file), CPU, ROOM)
    assert f"rankadaptor adopt {container} {container}-adopted" in refused.value.hint


def test_nothing_is_replaced_unless_asked_and_nothing_is_left_behind(
    init: Init, model: Path, instruction_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("mine")
    code, _, error = init(model, instruction_file)
    assert code == ExitCode.INVALID_INPUT
    assert "--force" in error
    assert file.read_text() == "mine"
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"question": "a", "answer": "b"}\n')
    code, _, error = init(model, bad, "--force")
    assert code == ExitCode.INVALID_INPUT
    assert "a row of question and answer" in error
    assert file.read_text() == "mine"
    assert init(model, instruction_file, "--force")[0] == ExitCode.OK
    assert "name:" in file.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "study.yaml"]


@pytest.mark.parametrize(
    ("output", "problem"), [("none/x.yaml", "no directory"), (".", "is a directory")]
)
def test_a_place_that_is_none_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path, output: str, problem: str
) -> None:
    options = ("--output", str(tmp_path / output))
    assert run(monkeypatch, "init", "/nowhere", "/nowhere", *options) == ExitCode.INVALID_INPUT
    assert problem in capsys.readouterr().err


def drafted(model: Path, data: Path, mib: float) -> Draft:
    memory = DeviceMemory.pretended("cpu", RESERVED + int(mib * 2**20))
    return draft_of(look(model, str(data), CPU, memory))


def fitted(model: Path, data: Path, mib: float) -> Study:
    return drafted(model, data, mib).study


@pytest.mark.parametrize(
    ("mib", "micro", "length"),
    [(400, 2, 256), (11, 1, 256), (9.5, 1, 256), (9, 1, 128), (8.6, 1, 64)],
)
def test_less_memory_lowers_the_micro_batch_and_then_the_length(
    model: Path, text_file: Path, mib: float, micro: int, length: int
) -> None:
    draft = drafted(model, text_file, mib)
    assert draft.study.recipe.batch.micro == "auto"
    assert (draft.diagnosis.micro, draft.study.recipe.sequence_length) == (micro, length)
    assert draft.diagnosis.is_recomputed == (mib < 10)
    assert ("computed twice" in dict(told(draft))["device"]) == (mib < 10)
    plain = cost_of(draft.study, draft.found.model, draft.found.lengths, None).operations
    assert (draft.cost.operations > 1.2 * plain) == (mib < 10)


def test_what_does_not_fit_or_would_leave_no_answers_is_refused(
    model: Path, text_file: Path, instruction_file: Path
) -> None:
    with pytest.raises(InvalidInput, match="one example, its blocks computed twice, needs"):
        fitted(model, text_file, 8)
    assert fitted(model, instruction_file, 9).recipe.sequence_length == 248
    with pytest.raises(InvalidInput, match="one example, its"):  # half of it drops every row
        fitted(model, instruction_file, 8.6)


@pytest.mark.parametrize("name", ["a: b # c", "two\nlines", "line\u2028end", "'q\"", "[x]{y}"])
def test_a_name_of_any_kind_comes_back_from_the_file(
    init: Init, model: Path, instruction_file: Path, tmp_path: Path, name: str
) -> None:
    data = tmp_path / f"{name}.jsonl"
    data.write_bytes(instruction_file.read_bytes())
    assert init(model, data)[0] == ExitCode.OK
    assert read_study(tmp_path / "study.yaml").recipe.data.train == str(data)


def test_a_large_file_is_recognised_and_left_to_a_worker(
    model: Path, instruction_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "MOST_BYTES", 100)
    monkeypatch.setattr(inspection, "MOST_BYTES", 100)
    draft = draft_of(look(model, str(instruction_file), CPU, ROOM))
    assert (draft.counts, draft.found.lengths) == (None, None)
    recipe = draft.study.recipe
    assert (recipe.data.format, recipe.sequence_length) == ("instruction", 256)
    assert recipe.data.held_out == 2000
    assert draft.study.search.trial.steps == 200


def test_without_a_size_a_cpu_is_said_to_be_one(
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    tmp_path: Path,
    model: Path,
    instruction_file: Path,
) -> None:
    place = ("--output", str(tmp_path / "x.yaml"), "--device", "cpu")
    code = run(monkeypatch, "init", str(model), str(instruction_file), *place)
    said = capsys.readouterr()
    assert code == ExitCode.OK
    assert "for workers with a GPU say --memory 24GiB" in " ".join(said.err.split())
    commands = re.findall(r"^  rankadaptor (\w+)", said.out, re.MULTILINE)
    assert commands == ["submit", "serve", "worker", "submit", "watch"]
