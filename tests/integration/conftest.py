"""The real pretrained model, pruned once for all tests, and a study on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankadaptor.cli import app
from rankadaptor.study_file import read_study
from rankspace.study import Study
from tests.integration import forked
from tests.integration.fleet import Fleet

STORIES = Path(__file__).parents[2].parent / "shared" / "data" / "stories260k"

STUDY = """
name: stories
model: pruned
recipe:
  data: {{train: {text}, format: text, held_out: 16}}
  sequence_length: 64
  batch: {{examples: 8, micro: 8}}
  optimizer: {{learning_rate: 1.0e-2, warmup_steps: 1}}
search:
  ranks: [0, 1, 2, 4]
  budget: {{parameters: "uniform:1", trials: {trials}}}
  trial: {{steps: 3}}
verify: {{candidates: 1, seeds: 3, max_trials: 15}}
recover: {{steps: 6}}
"""


@pytest.fixture(scope="session", autouse=True)
def _import_once() -> None:
    forked.import_once()


@pytest.fixture(scope="session")
def pruned_stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of blocks 1 to 3 of stories260k removed, by the command a person would type."""
    if not STORIES.is_dir():
        pytest.skip(f"the pretrained model is not there: {STORIES}")
    home = tmp_path_factory.mktemp("stories")
    command = ["compress", "taylor", str(STORIES), str(home / "pruned")]
    command += ["--text", str(STORIES / "sample.txt"), "--ratio", "0.5", "--blocks", "1-3"]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    return home


def stories_study(home: Path, trials: int) -> Study:
    file = home / f"study-{trials}.yaml"
    file.write_text(STUDY.format(text=STORIES / "sample.txt", trials=trials), encoding="utf-8")
    return read_study(file)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The fleet of the module's tests: starting torch takes longer than their trials."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet
