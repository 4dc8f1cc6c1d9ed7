"""``rankadaptor submit --check`` on a real directory: what it refuses, and the path it keeps."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankadaptor import cli
from rankadaptor.commands.submit import prepared
from rankadaptor.study_file import read_study
from rankspace.errors import InvalidInput
from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    imported_for_good,
    model_directory,
    one_thread,
    text_file,
)

pytestmark = pytest.mark.slow

STUDY = """
name: tiny
model: {model}
recipe: {{data: {{train: {text}, format: text, held_out: 20}}, sequence_length: 32}}
search: {{ranks: [0, 1, 2], budget: {{parameters: "uniform:1"}}, {search}}}
"""


def _file(at: Path, model: Path, text: Path, search: str = "") -> Path:
    file = at / "study.yaml"
    file.write_text(STUDY.format(model=model, text=text, search=search))
    return file


def _checked(file: Path) -> object:
    return CliRunner().invoke(cli.app, ["submit", "--check", str(file)]).exception


@pytest.mark.parametrize("strategy", ["reconstruction-error", "importance"])
def test_a_strategy_without_its_profiles_is_refused_before_it_is_sent(
    tmp_path: Path,
    model_directory: Path,  # noqa: F811
    text_file: Path,  # noqa: F811
    strategy: str,
) -> None:
    search = f"strategy: {strategy}"
    error = _checked(_file(tmp_path, model_directory, text_file, search))
    assert isinstance(error, InvalidInput)
    assert error.field == "search.strategy"
    assert "rankadaptor profile" in error.hint


@pytest.mark.parametrize("strategy", ["additive", "gp-optuna", "linear-depth"])
def test_one_that_needs_none_is_not(
    tmp_path: Path,
    model_directory: Path,  # noqa: F811
    text_file: Path,  # noqa: F811
    strategy: str,
) -> None:
    search = f"strategy: {strategy}"
    assert _checked(_file(tmp_path, model_directory, text_file, search)) is None


def test_a_prior_of_one_s_own_needs_profiles(
    tmp_path: Path,
    model_directory: Path,  # noqa: F811
    text_file: Path,  # noqa: F811
) -> None:
    shipped = Path(cli.__file__).parents[1] / "perfmodel" / "meta" / "prior.json"
    search = f"prior: {shipped}"
    error = _checked(_file(tmp_path, model_directory, text_file, search))
    assert isinstance(error, InvalidInput)
    assert error.field == "search.prior"
    assert "without profiles" in error.problem


PAPER = """
name: tiny
paper: true
model: {model}
recipe: {{data: {{train: {text}, format: text, held_out: 20}}, sequence_length: 32}}
search: {{budget: {{trials: 9}}, {search}}}
"""


def test_check_shows_what_the_paper_s_preset_sets(
    tmp_path: Path,
    model_directory: Path,  # noqa: F811
    text_file: Path,  # noqa: F811
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(PAPER.format(model=model_directory, text=text_file, search=""))
    told = CliRunner().invoke(cli.app, ["submit", "--check", str(file)])
    assert told.exit_code == 0, told.output
    said = " ".join(told.output.split())
    assert "As in the RankAdaptor paper (paper-1): strategy rankadaptor" in said
    assert "one rank per block, ranks 2, 4, 6, 8, 10, 12" in said
    study, _, space, _ = prepared(read_study(file))
    assert study.paper == "paper-1"
    assert space.ranks == (2, 4, 6, 8, 10, 12)
    for spelt_out, field in (("granularity: module", "granularity"), ("ranks: [2, 4]", "ranks")):
        file.write_text(PAPER.format(model=model_directory, text=text_file, search=spelt_out))
        error = _checked(file)
        assert isinstance(error, InvalidInput)
        assert error.field == f"search.{field}"


def test_the_model_is_registered_under_the_path_that_was_written(
    tmp_path: Path,
    model_directory: Path,  # noqa: F811
    text_file: Path,  # noqa: F811
) -> None:
    (tmp_path / "models").symlink_to(model_directory.parent)
    written = tmp_path / "models" / model_directory.name
    study, model, *_ = prepared(read_study(_file(tmp_path, written, text_file)))
    assert (study.model, model.path) == (str(written), str(written))


@pytest.mark.parametrize(
    ("stated", "said", "derived"),
    [
        ("", "GPUs with less get none of its trials", True),
        ("gpu_memory_gib: 0\n", "gpu_memory_gib: 0 is stated, so that any worker", False),
        ("gpu_memory_gib: 0.25\n", "gpu_memory_gib: 0.25 is stated", False),
    ],
)
def test_check_says_what_a_trial_takes_of_a_gpu_and_who_gets_one(
    tmp_path: Path,
    model_directory: Path,  # noqa: F811
    text_file: Path,  # noqa: F811
    stated: str,
    said: str,
    derived: bool,
) -> None:
    file = _file(tmp_path, model_directory, text_file)
    file.write_text(f"{stated}{file.read_text()}")
    told = CliRunner().invoke(cli.app, ["submit", "--check", str(file)])
    assert told.exit_code == 0, told.output
    words = " ".join(told.output.split())
    assert "the largest trial takes" in words
    assert "one example of 32 tokens (the longest one) at a time in bfloat16" in words
    assert said in words
    study, *_, need = prepared(read_study(file))
    assert (need > 0.5) is derived
    assert (study.gpu_memory_gib is None) is derived
