"""``rankadaptor meta`` on recorded surfaces and on a service's database."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

import perfmodel
from perfmodel.meta.finished import read_studies
from perfmodel.meta.prior import read_prior
from rankadaptor import cli
from rankadaptor.commands import meta
from rankadaptor.meta.history import finished_studies
from rankadaptor.meta.surfaces import recorded_studies, recorded_study
from rankspace.errors import InvalidInput, UnsupportedVersion
from tests.unit.service.driver import Service, model, score, start, study

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[3] / "bench" / "surfaces" / "data"
BLOCKS = ("stories-half-1to3-block.jsonl", "stdlib-hard-0to3-block.jsonl")
"""The two smallest surfaces: of two base models."""

runner = CliRunner()


@pytest.fixture
def surfaces(tmp_path: Path) -> Path:
    """A folder with two small surfaces."""
    folder = tmp_path / "surfaces"
    folder.mkdir()
    for name in BLOCKS:
        (folder / name).write_bytes((DATA / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a finished study of a profiled model, and one still searching."""
    running = start(tmp_path_factory.mktemp("service"))
    with running.client:
        profiled = {**model(), "profiles": [_profile(m) for m in model()["matrices"]]}
        assert running.post("/v1/models", profiled).status_code == 201
        search = {**study()["search"], "budget": {"parameters": "uniform:2", "trials": 12}}
        assert running.post("/v1/studies", study(search=search)).status_code == 201
        running.work()
        assert running.post("/v1/studies", study(name="unfinished")).status_code == 201
        running.work(trials=3)
        yield running


def database(service: Service) -> str:
    return str(service.directory / "rankadaptor.sqlite")


def test_train_writes_what_start_takes(surfaces: Path, tmp_path: Path) -> None:
    out = tmp_path / "prior.json"
    told = runner.invoke(
        cli.app,
        ["meta", "train", "--surfaces", str(surfaces), "--out", str(out), "--day", "2026-01-31"],
    )
    assert told.exit_code == 0, told.output
    assert "query" in told.output
    prior = read_prior(out.read_bytes())
    assert {teacher.family for teacher in prior.provenance.teachers} == {"stories260k", "stdlib"}
    one = recorded_study(surfaces / BLOCKS[0])
    state = perfmodel.start(one.space, prior=out.read_bytes(), context=one.context)
    assert state.belief is not None
    assert state.belief.prior.startswith("2026-01-31-")


def test_show_prints_the_shipped_prior_and_any_file(tmp_path: Path) -> None:
    shown = runner.invoke(cli.app, ["meta", "show"])
    assert shown.exit_code == 0, shown.output
    assert "attention output" in shown.output
    assert "stories260k" in shown.output
    told = json.loads(runner.invoke(cli.app, ["meta", "show", "shipped", "--json"]).output)
    assert told["kinds"]["up"][0] > told["kinds"]["key"][0]
    assert sum(told["gains"].values()) == pytest.approx(1.0)
    with pytest.raises(InvalidInput, match="No such file"):
        runner.invoke(cli.app, ["meta", "show", str(tmp_path / "x")], catch_exceptions=False)


def test_evaluate_has_a_row_per_study_method_and_way(surfaces: Path) -> None:
    told = runner.invoke(cli.app, ["meta", "evaluate", "--surfaces", str(surfaces), "--json"])
    cards = json.loads(told.output)
    assert {(card["held_out"], card["study"], card["method"]) for card in cards} == {
        (by, study_, method)
        for by in ("study", "family")
        for study_ in ("stories-half-1to3-block", "stdlib-hard-0to3-block", "mean")
        for method in ("xgboost", "ridge", "kind means")
    }
    shown = runner.invoke(cli.app, ["meta", "evaluate", "--surfaces", str(surfaces)])
    assert "stories-half-1to3-block" in shown.output


def test_export_round_trips_into_train(surfaces: Path, tmp_path: Path) -> None:
    file = tmp_path / "studies.jsonl"
    told = runner.invoke(
        cli.app, ["meta", "export", "--surfaces", str(surfaces), "--out", str(file)]
    )
    assert told.exit_code == 0, told.output
    assert read_studies(file.read_text()) == recorded_studies(surfaces)
    priors = []
    for source in (["--studies", str(file)], ["--surfaces", str(surfaces)]):
        out = tmp_path / "prior.json"
        runner.invoke(cli.app, ["meta", "train", *source, "--out", str(out)])
        document = json.loads(out.read_bytes())["content"]
        priors.append({**document, "provenance": None})
    assert priors[0] == priors[1]


def test_every_command_has_help_and_a_summary() -> None:
    for command in (meta.train, meta.show, meta.evaluate, meta.export):
        told = runner.invoke(cli.app, ["meta", command.__name__, "--help"])
        assert told.exit_code == 0, told.output
        assert command.__doc__


@pytest.mark.parametrize("command", ["train", "evaluate", "export"])
def test_a_source_must_be_named(command: str, tmp_path: Path) -> None:
    out = [] if command == "evaluate" else ["--out", str(tmp_path / "x")]
    with pytest.raises(InvalidInput, match="no source") as error:
        runner.invoke(cli.app, ["meta", command, *out], catch_exceptions=False)
    assert "--database" in error.value.hint
    assert not (tmp_path / "x").exists()


def test_a_finished_study_is_read_from_the_database(done: Service) -> None:
    (found,) = finished_studies(database(done))
    assert found.name.startswith("tiny (st_")
    assert len(found.context.profiles) == len(found.space.layers) == 12
    assert found.context.steps == 10
    assert found.family == "LlamaForCausalLM, 3 blocks, width 32"
    assert len(found.observations) == 12
    expected = [_score_of(found, seen.rank_vector.ranks, seen.seed) for seen in found.observations]
    assert [seen.score for seen in found.observations] == expected


def test_what_is_exported_from_a_database_is_what_it_holds(done: Service, tmp_path: Path) -> None:
    out = tmp_path / "studies.jsonl"
    told = runner.invoke(
        cli.app, ["meta", "export", "--database", database(done), "--out", str(out)]
    )
    assert told.exit_code == 0, told.output
    assert read_studies(out.read_text()) == finished_studies(database(done))


def test_a_missing_database_is_named_and_not_made(tmp_path: Path) -> None:
    file = tmp_path / "no.sqlite"
    with pytest.raises(InvalidInput, match="there is no such file") as missing:
        finished_studies(str(file))
    assert missing.value.value == str(file)
    with pytest.raises(InvalidInput, match="database"):
        finished_studies("nonsense://")
    assert not file.exists()


def test_a_database_of_another_schema_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "old.sqlite"
    with create_engine(f"sqlite:///{file}").begin() as connection:
        connection.execute(text("CREATE TABLE studies (id TEXT)"))
    with pytest.raises(UnsupportedVersion) as error:
        finished_studies(f"sqlite:///{file}")
    assert "rankadaptor serve" in error.value.hint


@pytest.mark.parametrize("name", ["a?b.sqlite", "50%41.sqlite", "a#b.sqlite"])
def test_a_database_s_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UnsupportedVersion):  # of an empty one
        finished_studies(str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_damaged_surface_is_named(surfaces: Path) -> None:
    file = surfaces / BLOCKS[0]
    whole = file.read_text()
    file.write_text(whole[:-20])
    with pytest.raises(InvalidInput, match=f"{BLOCKS[0]}, line 85"):
        recorded_studies(surfaces)
    first = json.loads(whole.splitlines()[0])
    del first["context"]
    file.write_text(json.dumps(first))
    with pytest.raises(InvalidInput, match=r"block\.jsonl\.context = None"):
        recorded_studies(surfaces)
    with pytest.raises(InvalidInput, match=r"surfaces = .*holds no"):
        recorded_studies(surfaces.parent)


def _profile(matrix: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": matrix["name"],
        "depth": matrix["block"] / 2,
        "kept": 0.5,
        "input_norm": 1.0,
        "output_norm": 2.0,
        "gradient_norm": 0.1 * (1 + matrix["block"]),
        "effective_rank": 0.7,
        "reconstruction_error": 0.2,
    }


def _score_of(found: Any, ranks: tuple[int, ...], seed: int) -> float:
    layers = [{"module": layer.module} for layer in found.space.layers]
    return score({"rank_vector": {"ranks": list(ranks)}, "layers": layers, "seed": seed})
