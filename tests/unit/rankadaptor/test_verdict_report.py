"""What ``status``, ``watch`` and an export say of a verdict at the whole recipe."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from rankadaptor import cli
from rankadaptor.commands.submit import _after
from rankadaptor.study_view import of_trials, study_details
from rankadaptor.verdict_report import NAME, write_report
from rankspace import Comparison, Layer, RankVector, SearchSpace, Study, Verdict
from rankspace.errors import InvalidInput
from rankspace.evaluation.recovery_metric import RecoveryMetric
from rankspace.recipe import Data, Recipe
from rankspace.study import Recover, Search, TrialRun, Verify
from rankspace.verdict import Answer, RecipeVerdict
from rankspace.wire import encode
from tests.unit.rankadaptor.listener import Stranger, in_json
from tests.verdicts import VERDICT

LOSS = Comparison(-0.2, -0.3, -0.1, 3, Answer.WORSE)
LOST = replace(VERDICT, recipe=RecipeVerdict(LOSS, (), -2.5, -2.7, -5.5))


def _study(verdict: Verdict, state: str, at: str = "recipe") -> dict[str, Any]:
    return {
        "id": "st_1",
        "name": "s",
        "state": state,
        "error": None,
        "best": None,
        "eta_seconds": None,
        "uniform_score": None,
        "workers_active": 1,
        "progress": {},
        "study": {"verify": {"at": at}},
        "verdict": encode(verdict),
    }


def _status(study: dict[str, Any]) -> str:
    console = Console(width=2000, record=True, file=io.StringIO())
    console.print(study_details(study))
    return console.export_text()


def test_status_has_a_line_for_the_trials_and_one_for_the_recipe_and_the_loss_first() -> None:
    said = _status(_study(LOST, "done"))
    first = said.index("does not last the whole recipe")
    assert first < said.index("better. The searched") < said.index("worse. After the whole recipe")


def test_status_and_watch_say_that_the_recipe_is_still_to_be_judged() -> None:
    waiting = _study(VERDICT, "recovering")
    assert "still to be judged" in _status(waiting)
    assert of_trials(waiting).startswith("better. The whole recipe is still to be judged")
    assert of_trials(_study(LOST, "done")) == ""
    assert "judged" not in _status(_study(VERDICT, "recovering", at="trial"))
    assert "ended before" in _status(_study(VERDICT, "cancelled"))


def test_an_export_tells_that_it_is_not_of_the_winner(tmp_path: Path) -> None:
    path = write_report(tmp_path, _study(LOST, "done"), LOST, LOST.recovered)
    text = path.read_text()
    assert path == tmp_path / NAME
    assert text.index("**The gain does not last") < text.index("Of the trials: **better**")
    assert "Of the whole recipe: **worse**" in text
    assert "| winner, recovered | 2.7000 |" in text
    assert "The adapter is of uniform ranks, not of the winner." in text


@pytest.mark.parametrize(
    ("exported", "said"),
    [
        (VERDICT.best_rank_vector, "The adapter is of the winner."),
        (VERDICT.uniform_rank_vector, "of uniform ranks, not of the winner"),
        (VERDICT.cheapest_rank_vector, "of the cheapest vector that is not worse"),
        (RankVector((3, 3)), "of another answer of the study, not of this winner"),
        (None, "too old to tell"),
    ],
)
def test_the_report_says_of_what_the_adapter_is_and_not_of_what_it_should_be(
    tmp_path: Path, exported: RankVector | None, said: str
) -> None:
    path = write_report(tmp_path, _study(VERDICT, "done"), VERDICT, exported)
    assert said in path.read_text()


def test_a_link_in_the_way_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / NAME).symlink_to(tmp_path / "precious")
    write_report(tmp_path, _study(VERDICT, "done", at="trial"), VERDICT, None)
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / NAME).is_symlink()


def test_a_report_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"):
        write_report(tmp_path / "nowhere", _study(VERDICT, "done"), VERDICT, None)


def test_the_check_says_what_the_whole_recipe_costs() -> None:
    study = Study(
        "s",
        "m",
        Recipe(Data("t")),
        search=Search(trial=TrialRun(40)),
        verify=Verify(at="recipe"),
        recover=Recover(steps=200),
    )
    said = _after(study)
    assert "the whole recipe (200 steps) 6 times: winner and uniform on 3 seeds" in said
    assert "1,200 steps or as many as 30 search trials" in said
    in_epochs = replace(
        study, recover=Recover(epochs=1), verify=Verify(max_trials=40, random_control=True)
    )
    once = _after(in_epochs)
    assert once.endswith("and the whole recipe (1 epoch) once")
    assert "as many of random vectors" in once
    assert "search trials" not in _after(replace(study, recover=Recover(epochs=2)))


@pytest.fixture
def _service(other: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose study waits for the whole recipe, and exports uniform ranks until then."""
    space = SearchSpace((Layer("a", 1, 0, "q"), Layer("b", 1, 1, "q")), (0, 1, 2, 4), 40)
    ranks = encode(VERDICT.uniform_rank_vector)
    for path, answer in (
        ("", _study(VERDICT, "recovering")),
        ("/verdict", encode(VERDICT)),
        ("/space", encode(space)),
        ("/export", {"files": [], "trial": 7, "rank_vector": ranks}),
    ):
        other.answers[f"/v1/studies/st_1{path}"] = in_json(answer)
    monkeypatch.setenv("RANKADAPTOR_KEY", "rka_x_y")
    monkeypatch.setenv("RANKADAPTOR_URL", other.url)


@pytest.mark.usefixtures("_service")
def test_a_program_too_reads_that_the_recipe_is_still_to_be_judged() -> None:
    told = CliRunner().invoke(cli.app, ["verdict", "st_1", "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert "still to be judged" in found.pop("awaited")
    assert found == encode(VERDICT)


@pytest.mark.usefixtures("_service")
def test_the_report_beside_an_export_is_of_the_ranks_that_were_listed(tmp_path: Path) -> None:
    told = CliRunner().invoke(cli.app, ["export", "st_1", "--to", str(tmp_path)])
    assert told.exit_code == 0, told.output
    assert "of uniform ranks, not of the winner" in (tmp_path / NAME).read_text()


def test_what_follows_the_search_names_the_metrics_and_what_they_are_compared_with() -> None:
    recover = Recover(metrics=(RecoveryMetric(task="/d/arc.jsonl"),))
    study = Study("s", "m", Recipe(Data("t")), recover=recover)
    alone = replace(study, verify=replace(study.verify, at="trial"))
    paired = replace(study, verify=replace(study.verify, at="recipe"))
    assert "evaluated after each recovery: arc.jsonl; uniform ranks are not" in _after(alone)
    assert _after(paired).endswith("evaluated after each recovery: arc.jsonl")
