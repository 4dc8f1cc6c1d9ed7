"""The commands of a study that is over, of trials and of own vectors, against a real service."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rankadaptor.cli import app
from rankadaptor.rest.client import RestClient
from rankadaptor.study_file import read_study
from rankspace.errors import Conflict, InvalidInput
from tests.unit.service.beginnings import DONE
from tests.unit.service.driver import ON_SQLITE, Service, model, study

pytestmark = [pytest.mark.slow, ON_SQLITE]

Run = Callable[..., Result]


@pytest.fixture
def run(service: Service, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command; its errors are raised."""
    monkeypatch.setenv("RANKADAPTOR_KEY", (service.directory / "admin.key").read_text().strip())
    service.client.headers.update(service.key("admin"))

    class Through(RestClient):
        """Talks to the service of this process."""

        def __init__(self, url: str, key: str) -> None:
            super().__init__(url, key)
            super().close()
            vars(self)["_http"] = service.client

        def close(self) -> None:
            """Leave the service open."""

    monkeypatch.setattr("rankadaptor.commands.options.RestClient", Through)

    def invoked(*arguments: str, **more: Any) -> Result:
        result = CliRunner().invoke(app, arguments, **more)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoked


def _json(result: Result) -> Any:
    return json.loads(result.stdout)


@DONE
def test_a_finished_study_is_extended_and_its_verdict_says_so(service: Service, run: Run) -> None:
    identity = service.only_study()
    view = _json(run("extend", identity, "--trials", "2", "--seeds", "4", "--json"))
    assert (view["state"], view["extensions"]) == ("searching", 1)
    assert "its answer of before" in run("verdict", identity).output
    service.work()
    assert "extended once after an earlier answer" in " ".join(
        run("verdict", identity).output.split()
    )
    assert "extended once" in run("status", identity).output
    with pytest.raises(InvalidInput, match="extends nothing"):
        run("extend", identity)


def test_own_vectors_are_tried_by_list_by_name_and_in_an_extension(
    service: Service, run: Run, tmp_path: Path
) -> None:
    identity, file = service.submit(), tmp_path / "ranks.json"
    file.write_text(json.dumps({"*": 1, "*.down_proj": 2}))
    (queued,) = _json(run("try", identity, str(file), "--json"))
    assert queued["rank_vector"] == [1, 1, 1, 2] * 3
    assert queued["reason"] == "a person's candidate"
    service.work()
    with pytest.raises(Conflict, match="is done") as caught:
        run("try", identity, str(file))
    assert "extended" in caught.value.hint
    file.write_text(json.dumps([[0] * 11 + [8], [8] + [0] * 11]))
    run("extend", identity, "--try", str(file))
    tried = [trial["rank_vector"]["ranks"] for trial in service.work()]
    assert tried[:2] == [[0] * 11 + [8], [8] + [0] * 11]


@DONE
def test_the_answer_of_before_an_extension_is_said_to_be_so_only_while_it_goes_on(
    service: Service, run: Run
) -> None:
    identity = service.only_study()
    run("extend", identity, "--seeds", "4")
    before = "this is its answer of before"
    assert before in " ".join(run("verdict", identity).output.split())
    made = service.client.post("/v1/login-codes")
    service.client.post("/login", data={"code": made.json()["code"]})
    assert before in service.client.get(f"/studies/{identity}").text
    assert _json(run("cancel", identity, "--json"))["state"] == "done"
    assert before not in " ".join(run("verdict", identity).output.split())
    assert before not in service.client.get(f"/studies/{identity}").text


def test_vectors_that_were_queued_before_one_was_refused_are_said(
    service: Service, run: Run, tmp_path: Path
) -> None:
    identity, file = service.submit(), tmp_path / "ranks.json"
    vectors = [[0] * at + [1] * (12 - at) for at in range(9)]
    file.write_text(json.dumps(vectors))
    key = "k" * 199
    asked = ["try", identity, str(file), "--idempotency-key", key]
    stopped = CliRunner().invoke(app, asked)
    assert isinstance(stopped.exception, Conflict)
    queued = service.get(f"/v1/studies/{identity}/trials")["items"]
    assert [trial["rank_vector"] for trial in queued] == vectors[:7]
    said = " ".join(stopped.output.split())
    assert f"trial {queued[6]['id']}: " in said
    assert "queued 7 of 9 vectors; the others are not" in said
    file.write_text(json.dumps(vectors[:7]))
    again = _json(run(*asked, "--json"))
    assert [trial["id"] for trial in again] == [trial["id"] for trial in queued]


def test_a_study_with_a_prior_of_its_own_is_cloned_and_its_file_not_made_up(
    service: Service, run: Run, tmp_path: Path
) -> None:
    worth = [float(index) for index in range(12)]
    own = {**study()["search"], "prior": {"version": "mine-1", "log_worth": worth}}
    identity, file = service.submit(search=own), tmp_path / "copy.yaml"
    assert _json(run("clone", identity, "--json"))["study"]["search"]["prior"] == "mine-1"
    with pytest.raises(InvalidInput, match="the prior mine-1 of the study") as caught:
        run("clone", identity, "--to", str(file))
    assert "leave --to out" in caught.value.hint
    assert not file.exists()


def test_trials_are_listed_and_written_as_csv(service: Service, run: Run) -> None:
    identity = service.submit()
    service.work(3)
    shown = _json(run("trials", identity, "--json"))
    rows = list(csv.DictReader(io.StringIO(run("trials", identity, "--csv").stdout)))
    assert [int(row["id"]) for row in rows] == [trial["id"] for trial in shown]
    assert float(rows[0]["score"]) == shown[0]["score"]
    layer = "model.layers.2.self_attn.down_proj"
    assert [int(row[layer]) for row in rows] == [trial["rank_vector"][11] for trial in shown]
    assert "search" in run("trials", identity).output
    assert run("trials", identity, "--csv", "--json").exit_code == 2


def test_a_study_is_cloned_or_written_to_be_changed(
    service: Service, run: Run, tmp_path: Path
) -> None:
    weights, data = tmp_path / "model", tmp_path / "train.jsonl"
    weights.mkdir()
    data.write_text("{}\n")
    service.post("/v1/models", model(path=str(weights)))
    recipe = {
        **study()["recipe"],
        "data": {"train": str(data)},
        "optimizer": {"learning_rate": 1e-5},
    }
    original = service.post("/v1/studies", study(model=str(weights), recipe=recipe)).json()
    copy = _json(run("clone", original["id"], "--name", "again", "--seed", "3", "--json"))
    assert (copy["name"], copy["study"]["search"]["seed"]) == ("again", 3)
    (alone,) = run("clone", original["id"]).stdout.split()
    assert service.get(f"/v1/studies/{alone}")["name"] == original["name"]
    file = tmp_path / "copy.yaml"
    run("clone", original["id"], "--to", str(file))
    assert read_study(file).recipe.optimizer.learning_rate == 1e-5
    with pytest.raises(InvalidInput, match="cannot be written: File exists"):
        run("clone", original["id"], "--to", str(file))
    assert run("clone", original["id"], "--to", str(file), "--seed", "1").exit_code == 2


@DONE
def test_nothing_is_deleted_without_a_yes(service: Service, run: Run) -> None:
    identity = service.only_study()
    with pytest.raises(InvalidInput, match="nobody is there to be asked") as caught:
        run("delete", identity)
    assert caught.value.hint == "add --yes"
    assert _json(run("delete", identity, "--yes", "--json")) == {"deleted": identity}
    assert service.get("/v1/studies")["items"] == []


@DONE
@pytest.mark.parametrize(("answer", "left"), [("n\n", 1), ("y\n", 0)])
def test_whoever_sits_at_a_terminal_is_asked(
    service: Service, run: Run, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    identity = service.only_study()
    monkeypatch.setattr("rankadaptor.commands.again.is_asked", lambda: True)
    result = run("delete", identity, input=answer)
    assert "and its adapter, for good?" in result.output
    assert len(service.get("/v1/studies")["items"]) == left
    assert result.exit_code == left
